/* SPDX-License-Identifier: Apache-2.0
 *
 * Every attribute of a span, once.  Include with ATTRIBUTE() defined.
 *
 *  ATTRIBUTE(name, key)                                                     */
ATTRIBUTE(PEER_ID, "peer.id")
ATTRIBUTE(PACKAGE_ID, "package.id")
ATTRIBUTE(KAD_KEY, "kad.key")
ATTRIBUTE(FAN_OUT, "fan_out")
ATTRIBUTE(PEERS_QUERIED, "peers_queried")
ATTRIBUTE(PEERS_RESPONDED, "peers_responded")
ATTRIBUTE(HOPS, "hops")
ATTRIBUTE(RESULTS, "results")
ATTRIBUTE(CACHE_HIT, "cache.hit")
ATTRIBUTE(OUTCOME, "outcome")
ATTRIBUTE(ERROR_TYPE, "error.type")
/* OpenTelemetry's own names, for what it has names for. */
ATTRIBUTE(RPC_METHOD, "rpc.method")
ATTRIBUTE(HTTP_METHOD, "http.request.method")
ATTRIBUTE(HTTP_ROUTE, "http.route")
ATTRIBUTE(HTTP_STATUS, "http.response.status_code")
#undef ATTRIBUTE
