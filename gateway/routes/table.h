/* SPDX-License-Identifier: Apache-2.0
 *
 * Every route, a row each; HEAD comes with GET, OPTIONS with all.  Include with
 * ROUTE() defined.
 *
 *  ROUTE(method, template, handler, scope, cost, flags)
 *
 * |cost| is what a request takes from its client's bucket at once; a search
 * that goes to the network takes more (routes/search.c).                    */
ROUTE(GET, "/api/v1/search", route_search, READ, 1, 0)
ROUTE(POST, "/api/v1/packages", route_publish, PUBLISH, 1, ROUTE_JSON)
ROUTE(GET, "/api/v1/packages/{namespace}/{name}", route_package, READ, 1, 0)
ROUTE(GET, "/api/v1/packages/{namespace}/{name}/versions", route_versions, READ,
      1, 0)
ROUTE(GET, "/api/v1/packages/{namespace}/{name}/versions/{version}",
      route_version, READ, 1, 0)
ROUTE(DELETE, "/api/v1/packages/{namespace}/{name}/versions/{version}",
      route_delete_version, PUBLISH, 1, ROUTE_JSON)
ROUTE(PUT, "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
      route_yank, PUBLISH, 1, ROUTE_JSON)
ROUTE(DELETE, "/api/v1/packages/{namespace}/{name}/versions/{version}/yank",
      route_unyank, PUBLISH, 1, 0)
ROUTE(GET, "/api/v1/peers", route_peers, READ, 1, 0)
ROUTE(POST, "/api/v1/peers", route_connect, ADMIN, 1, ROUTE_JSON)
ROUTE(GET, "/api/v1/peers/{peer}", route_peer, READ, 1, 0)
ROUTE(DELETE, "/api/v1/peers/{peer}", route_disconnect, ADMIN, 1, 0)
ROUTE(GET, "/api/v1/peers/{peer}/reputation", route_reputation, READ, 1, 0)
ROUTE(GET, "/api/v1/node", route_node, READ, 1, 0)
ROUTE(GET, "/api/v1/node/limits", route_limits, READ, 1, 0)
/* As ggen's REST client asks. */
ROUTE(GET, "/api/v1/packages/search", route_ggen_search, READ, 1, 0)
ROUTE(GET, "/api/v1/index", route_ggen_index, READ, 1, 0)
ROUTE(GET, "/api/v1/metadata", route_ggen_metadata, READ, 1, 0)
ROUTE(GET, "/livez", route_livez, READ, 0, ROUTE_PROBE)
ROUTE(GET, "/readyz", route_readyz, READ, 0, ROUTE_PROBE)
ROUTE(GET, "/startupz", route_startupz, READ, 0, ROUTE_PROBE)
ROUTE(GET, "/health", route_health, READ, 0, ROUTE_PROBE)
ROUTE(GET, "/openapi.json", route_openapi, READ, 1, 0)
ROUTE(GET, "/version", route_version_info, READ, 1, 0)
ROUTE(GET, "/", route_root, READ, 1, 0)
/* The admin listener's. */
ROUTE(GET, "/metrics", route_metrics, READ, 0, ROUTE_ADMIN | ROUTE_FREE)
ROUTE(GET, "/debug/gateway", route_debug, READ, 1, ROUTE_ADMIN)
#undef ROUTE
