/* SPDX-License-Identifier: Apache-2.0
 *
 * What the process as a whole bounds, a row each.  Where a setting exists
 * (tbl/params.h) the number here is its default.  Limits of one protocol stand
 * in that protocol's room.  Include with LIMIT() defined.
 *
 *  LIMIT(name, value, text)                                                 */

/* Connections. */
LIMIT(CONNS_DIALLED, 64, "connections up to which told peers are dialled")
LIMIT(CONNS_TRIM, 96, "connections above which idle ones are closed")
LIMIT(CONNS_MAX, 128, "connections to peers")
LIMIT(CONNS_IP_MAX, 8, "connections from one IP address")
LIMIT(DIALS_IN_FLIGHT, 32, "dials under way at once")
LIMIT(RESOLVES_IN_FLIGHT, 16, "DNS questions under way at once")
LIMIT(RESOLVED_ADDRS_MAX, 16, "addresses taken from one DNS answer")

LIMIT(UNSENT_BYTES_MAX, 128 << 20, "bytes written to peers and not sent")
LIMIT(PARTIAL_BYTES_MAX, 64 << 20, "peers' messages that are not whole yet")

/* Between the threads. */
LIMIT(MAILBOX_MAX, 1024, "requests of the gateway waiting for the core")
LIMIT(READER_QUEUE_MAX, 256, "catalogue questions waiting for the reader")

/* Memory and disk. */
/* kad.h keeps 131,072 records; one of a Debian package takes 0.84 KiB. */
LIMIT(RECORDS_BYTES_MAX, 128 << 20, "DHT records in memory")
LIMIT(CATALOGUE_BYTES_MAX, 1 << 30, "other people's packages on disk")
LIMIT(OUTBOX_MAX, 1 << 20, "publishes the network has not got yet")
LIMIT(DATABASE_CACHE_BYTES_MAX, 64 << 20, "pages of the database in memory")
LIMIT(POSTINGS_BYTES_MAX, 64 << 20, "the commonest words' packages in memory")
LIMIT(HOT_CACHE_BYTES_MAX, 32 << 20, "answers kept ready")

/* Searching. */
LIMIT(SEARCH_FAN_OUT, 3, "peers asked by a network search")
LIMIT(TERMS_MAX, 2000, "search terms provided to the network")

/* HTTP. */
LIMIT(HTTP_CONNS_MAX, 1024, "HTTP connections")
LIMIT(HTTP_BODY_BYTES_MAX, 1 << 20, "bytes of a JSON request body")
LIMIT(HTTP_HEADER_BYTES_MAX, 16 << 10, "bytes of a request's headers")
LIMIT(HTTP_RATE, 200, "requests a second of one client")
LIMIT(HTTP_RATE_BURST, 2000, "requests one client may have saved up")

/* The process. */
LIMIT(FDS_RESERVED, 32, "descriptors for files, pipes and libraries")
LIMIT(CONFIG_BYTES_MAX, 1 << 20, "bytes of the configuration file")
#undef LIMIT
