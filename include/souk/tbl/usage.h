/* SPDX-License-Identifier: Apache-2.0
 *
 * Every limit the running node keeps, once: what GET /api/v1/node/limits,
 * "souk limits" and the metrics limit_usage_ratio and limit_refused_total show.
 * The numbers stand in core/tbl/limits.h and in the rooms.  Include with
 * USAGE() defined.
 *
 *  USAGE(id, name, text)
 *
 * Where a limit holds for one connection, peer or key, the use is that of the
 * fullest connection, or 0 where that would be dear to know: then only the
 * refusals tell.                                                            */

/* Connections. */
USAGE(CONNS, "connections", "connections to peers")
USAGE(CONNS_IP, "connections_of_ip", "connections from one IP address")
USAGE(CONNS_TRIM, "connections_trim", "connections above which idle ones go")
USAGE(DIALS, "dials", "dials under way")
USAGE(RESOLVES, "resolves_in_flight", "DNS questions under way")
USAGE(RESOLVED_ADDRS, "resolved_addresses", "addresses of one DNS answer")
USAGE(STREAMS_IN, "streams_in", "streams a peer opened on one connection")
USAGE(STREAMS_OUT, "streams_out", "streams we opened on one connection")
USAGE(UNSENT_BYTES, "unsent_bytes", "bytes written to peers and not sent")
USAGE(PARTIAL_BYTES, "partial_bytes", "peers' messages that are not whole yet")
USAGE(MESSAGE_BYTES, "message_bytes", "bytes of one message of a peer")
USAGE(PUSHES, "identify_pushes", "identify pushes of one peer, at once")
USAGE(RPCS_WAITING, "rpcs_waiting", "questions waiting for one peer")
USAGE(PEERS_KNOWN, "peers_known", "peers with addresses and reputation")

/* The DHT. */
USAGE(DHT_RECORDS, "dht_records", "DHT records held")
USAGE(DHT_RECORD_BYTES, "dht_record_bytes", "memory of DHT records")
USAGE(DHT_PUBLISHERS, "dht_record_publishers", "publishers of one record key")
USAGE(DHT_PROVIDERS, "dht_providers", "DHT provider records held")
USAGE(DHT_PROVIDER_KEYS, "dht_provider_keys", "keys of one provider")
USAGE(DHT_PROVIDED, "dht_provided", "keys we provide ourselves")
USAGE(DHT_OPERATIONS, "dht_operations", "lookups, puts and provides under way")
USAGE(DHT_RPCS, "dht_rpcs", "DHT questions without an answer yet")
USAGE(DHT_CONTACTS, "dht_contacts", "peers the DHT knows")
USAGE(DHT_GROUP, "dht_group_peers", "table entries of one IP group")
USAGE(TERMS, "terms", "search terms provided to the network")

/* Gossip. */
USAGE(GOSSIP_PEERS, "gossip_peers", "peers that gossip")
USAGE(GOSSIP_PENDING, "gossip_pending", "messages waiting for a verdict")
USAGE(GOSSIP_PENDING_BYTES, "gossip_pending_bytes", "their memory")
USAGE(GOSSIP_SEEN, "gossip_seen", "message ids remembered")
USAGE(GOSSIP_CACHE_BYTES, "gossip_cache_bytes", "messages kept for IWANT")
USAGE(GOSSIP_EVENTS, "gossip_events", "messages waiting to be sent")
USAGE(GOSSIP_SCORES_LEFT, "gossip_scores_left", "scores of peers that left")
USAGE(GOSSIP_BACKOFFS, "gossip_backoffs", "peers not to be grafted for a while")
USAGE(GOSSIP_UNWANTED, "gossip_unwanted", "message ids peers do not want")
USAGE(GOSSIP_PX, "gossip_px", "peers told of by others, dialled in a minute")
USAGE(GOSSIP_BUDGET, "gossip_peer_messages", "messages a second of one peer")

/* Searches of peers. */
USAGE(SEARCHES_SERVED, "searches_served", "searches of peers being answered")
USAGE(SEARCH_RATE, "search_rate", "searches a minute of one peer")
USAGE(READER_QUEUE, "reader_queue", "catalogue questions of the core waiting")

/* Requests and publishes. */
USAGE(MAILBOX, "mailbox", "requests waiting for the core")
USAGE(REQUESTS, "requests", "requests the core works on")
USAGE(OUTBOX, "outbox", "publishes the network has not got yet")
USAGE(OUTBOX_IN_FLIGHT, "outbox_in_flight", "publishes on their way at once")
USAGE(OUTBOX_HELD, "outbox_held", "those done, waiting to be written so")

/* The store. */
USAGE(WRITES_WAITING, "writes_waiting", "writes somebody waits for")
USAGE(WRITES_BEHIND, "writes_behind", "writes nobody waits for")
USAGE(WRITES_BYTES, "writes_bytes", "memory of both")
USAGE(CATALOGUE_BYTES, "catalogue_bytes", "others' packages on disk")
USAGE(CATALOGUE_VERSIONS, "catalogue_versions", "versions of another's package")
USAGE(DATABASE_CACHE, "database_cache_bytes", "memory of the database")
USAGE(SEARCH_LISTS, "search_lists_bytes", "packages of the commonest words")
USAGE(HOT_CACHE, "hot_cache_bytes", "answers kept ready")

/* HTTP. */
USAGE(HTTP_CONNS, "http_connections", "HTTP connections")
USAGE(HTTP_BODY, "http_request_body_bytes", "bytes of one request's body")
USAGE(HTTP_HEADERS, "http_header_bytes", "bytes of one request's headers")
USAGE(HTTP_BODIES, "http_body_bytes", "request bodies in memory")
USAGE(HTTP_RATE, "http_rate", "requests a second of one client")
USAGE(HTTP_CLIENTS, "http_rate_clients", "clients whose rate is remembered")

/* The process. */
USAGE(FDS, "file_descriptors", "open file descriptors")
#undef USAGE
