/* SPDX-License-Identifier: Apache-2.0
 *
 * The networks a node can join, a row each; --network NAME chooses.  Include
 * with NETWORK() defined.
 *
 *  NETWORK(name, identify_protocol_version, kad_protocol, key_prefix, topic,
 *          message_id, heartbeat_ms, accepts_unsigned)                        */
NETWORK(souk, "/souk/1.0.0", "/souk/kad/1.0.0", "/souk/", "/souk/packages/v1",
        MESSAGE_ID_SHA256, 1000, false)
NETWORK(ggen, "/ggen/1.0.0", "/ipfs/kad/1.0.0", "", "/ggen/packages/v1",
        MESSAGE_ID_FROM_SEQNO, 10000, true)
#undef NETWORK
