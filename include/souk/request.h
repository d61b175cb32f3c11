/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_REQUEST_H
#define SOUK_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/time.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "souk/err.h"
#include "souk/trace.h"

/* What a gateway thread asks of the core, and the answer: one object for both.
 *
 *      gateway: request_new() -> fill in -> core_submit()
 *      core:    works on it, fills in err, lookup, out -> done(), exactly once
 *      gateway: reads the answer -> request_free()
 *
 * Between core_submit() and done() the object belongs to the core.  It ends by
 * its deadline with what was gathered, or early when core_cancel() says that
 * nobody waits any more (ERR_CANCELLED).  All pointers inside are owned by the
 * request. */

enum request_type {
    REQUEST_GET,        /* a package record from the DHT */
    REQUEST_SEARCH,     /* packages from the best peers */
    REQUEST_ANNOUNCE,   /* wait for a publish to reach the network */
    REQUEST_PEERS,      /* all peers of a state */
    REQUEST_PEER,       /* one, with its reputation */
    REQUEST_CONNECT,    /* dial an address */
    REQUEST_DISCONNECT, /* close, and ban if asked */
};

enum {
    REQUEST_TEXT_MAX = 64,   /* a namespace, name, tag … with its NUL: + 1 */
    REQUEST_QUERY_MAX = 512, /* a query in normal form */
    REQUEST_REASONS_MAX = 16,
    REQUEST_ADDRS_MAX = 8,
};

struct search_filter { /* "" = any */
    char category[REQUEST_TEXT_MAX + 1];
    char tag[REQUEST_TEXT_MAX + 1];
    char author[REQUEST_TEXT_MAX + 1];
    char license[REQUEST_TEXT_MAX + 1];
    char namespace[REQUEST_TEXT_MAX + 1];
};

struct request_get {
    char namespace[REQUEST_TEXT_MAX + 1];
    char name[REQUEST_TEXT_MAX + 1];
    char version[REQUEST_TEXT_MAX * 4]; /* "" = the head; else needs |owner| */
    struct peer_id owner;               /* len 0: any publisher's */
};

struct request_search {
    char query[REQUEST_QUERY_MAX + 1];
    struct search_filter filter;
    unsigned limit;   /* 1…50 results a peer */
    unsigned fan_out; /* peers to ask; 0: as the node is set */
};

enum announce_wait { ANNOUNCE_ONE, ANNOUNCE_QUORUM };

struct request_announce {
    int64_t outbox_id; /* as the store's publish gave it */
    enum announce_wait wait;
};

enum peer_state { PEER_CONNECTED, PEER_KNOWN, PEER_BANNED };

struct request_peers { /* PEERS, PEER, CONNECT, DISCONNECT */
    enum peer_state state;
    struct peer_id peer; /* REQUEST_PEER, REQUEST_DISCONNECT */
    bool ban;
    int64_t ban_ms;        /* how long; 0 = for good */
    struct multiaddr addr; /* REQUEST_CONNECT, with /p2p/ID */
};

/* How an answer came about. */
struct lookup_report {
    bool complete;
    const char *reason; /* static text; NULL when complete */
    unsigned peers_queried;
    unsigned peers_responded;
    unsigned hops;
    unsigned fan_out; /* of a search */
    duration elapsed;
};

/* A record that came from the network and was verified: now, or (SEARCH, not
 * |is_new|) when the catalogue got it. */
struct found_record {
    struct span bytes;        /* as it came; SEARCH: its "namespace/name" */
    struct peer_id publisher; /* GET; len 0: unsigned */
    struct peer_id source;    /* SEARCH: who sent it */
    bool is_new;              /* SEARCH: it is on its way to the catalogue */
};

struct reputation_reason {
    wall_ms at;
    char text[48]; /* "dial-failed", "search-answered" … */
};

struct peer_info {
    struct peer_id id;
    struct multiaddr addrs[REQUEST_ADDRS_MAX];
    size_t addr_count;
    char agent[128];
    char *protocols; /* newline separated, may be NULL */
    bool is_outbound;
    double latency_ms; /* < 0: never measured */
    double score;
    bool has_gossip_score; /* while it, or its memory, is in gossip */
    double gossip_score;
    enum peer_state state;
    wall_ms last_seen;
    wall_ms banned_until; /* 0: not banned */
    /* The score's terms. */
    double success, response, packages, recency, location;
    uint64_t successes, failures, packages_provided;
    struct reputation_reason reasons[REQUEST_REASONS_MAX];
    size_t reason_count;
};

struct request {
    enum request_type type;
    tstamp deadline;            /* on the clock of core_now() */
    struct trace_context trace; /* on whose behalf */
    char *trace_state;          /* what trace.state points to, or NULL */
    union {
        struct request_get get;
        struct request_search search;
        struct request_announce announce;
        struct request_peers peers;
    } in;

    enum err err;
    char detail[160]; /* for people: why it failed, "" if nothing to add */
    struct lookup_report lookup;
    struct found_record *records; /* GET: distinct, best first; SEARCH */
    size_t record_count;
    uint64_t total; /* SEARCH: matches the peers said they hold */
    bool truncated; /* SEARCH: a peer had more than it sent */
    struct peer_info *peers;
    size_t peer_count;
    unsigned requested, acked; /* ANNOUNCE */
    bool was_connected;        /* CONNECT: it was already, over that address */

    /* Called once, on the core's thread. */
    void (*done)(struct request *request);
    void *owner; /* the submitter's */

    void *node_state;     /* the core's */
    struct request *next; /* the mailbox's */
};

struct request *request_new(enum request_type type, tstamp deadline);
void request_free(struct request *r);

/* Append a copy of |bytes| to r->records.  NULL when memory ends. */
struct found_record *request_add_record(struct request *r, struct span bytes);
/* Append a zeroed entry.  NULL when memory ends. */
struct peer_info *request_add_peer(struct request *r);

#endif /* SOUK_REQUEST_H */
