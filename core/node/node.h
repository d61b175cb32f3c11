/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "crypto/ed25519.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "reputation/reputation.h"
#include "souk/err.h"
#include "souk/request.h"
#include "souk/status.h"
#include "souk/trace.h"
#include "souk/usage.h"

/* A whole souk node without a machine under it: it owns the connections, the
 * DHT, gossip, search and reputation, and never acts.  Bytes, time and results
 * go in; actions come out, in order:
 *
 *      socket  ── node_conn_recv() ──►┐          ┌──► NODE_DIAL, NODE_FLUSH …
 *      gateway ── node_request() ────►│  node    ├──► NODE_ANSWER
 *      store   ── node_…_loaded() ───►│          ├──► NODE_ACCEPT, NODE_SAVE_…
 *      clock   ── node_tick() ───────►┘          └──► node_deadline()
 *
 * core/host performs the actions with libuv and SQLite, tests/sim with a heap
 * of arrivals in virtual time.  After any call, poll until NODE_NONE. */
struct node;

/* The row of core/tbl/networks.h. */
struct network;

typedef uint32_t conn_id; /* never 0, never used again */

struct node_config {
    const struct network *network;
    const struct ed25519_keypair *identity; /* copied */
    const char *agent;                      /* "souk/0.1.0"; copied */
    bool is_standalone;                     /* accepts but never dials */
    bool is_private_network;
    bool is_client;                    /* kad client mode */
    const struct multiaddr *bootstrap; /* each with /p2p/ID; copied */
    size_t bootstrap_count;
    bool has_location;
    double latitude, longitude;
    /* 0 = the default of core/tbl/limits.h */
    unsigned dials_max;    /* connections; below, told peers are dialled: 64 */
    unsigned conns_trim;   /* trimmed above: 96 */
    unsigned conns_max;    /* 128 */
    unsigned conns_ip_max; /* 8 */
    size_t unsent_bytes_max;  /* written to peers and not sent: 128 MiB */
    size_t partial_bytes_max; /* peers' messages that are not whole: 64 MiB */
    size_t records_bytes_max; /* DHT values in memory */
    unsigned search_fan_out;  /* 3 */
    unsigned terms_max;       /* of own packages, provided: 2000 */
    bool has_no_terms;        /* none are */
    bool no_gossip_scores;    /* for tests: what are they good for? */
    /* Which of what it does is told as spans; NULL: nothing.  Copied. */
    const struct trace_sampler *sampler;
};

struct node *node_new(const struct node_config *config, tstamp now,
                      wall_ms wall, const struct rng *rng,
                      const struct mem *mem, const struct log *log);
void node_free(struct node *n);

/* ---- What a restart brings back; before node_start(). ---- */

struct saved_record { /* of the DHT */
    struct span key;
    struct span value;
    struct peer_id publisher; /* who signed it; len 0: nobody */
    wall_ms received;
    wall_ms expires;
};
struct saved_provider {
    struct span key;
    struct peer_id provider;
    wall_ms expires;
    size_t addr_count;
    struct multiaddr addrs[REQUEST_ADDRS_MAX]; /* last: see store/job.c */
};
struct saved_peer {
    struct reputation_row reputation; /* .peer says whose */
    size_t addr_count;
    struct multiaddr addrs[REQUEST_ADDRS_MAX]; /* last, too */
};

void node_load_record(struct node *n, const struct saved_record *r);
void node_load_provider(struct node *n, const struct saved_provider *p);
void node_load_peer(struct node *n, const struct saved_peer *p);
/* A term of our own packages: provided to the network, paced. */
void node_load_term(struct node *n, struct span term, unsigned packages);

/* Addresses that are bound now; all of them, at each change. */
void node_listening(struct node *n, const struct multiaddr *addrs,
                    size_t count);
void node_start(struct node *n, tstamp now, wall_ms wall);
/* Say goodbye: no new streams, GO_AWAY, close.  Done when node_is_drained(). */
void node_drain(struct node *n, tstamp now);
bool node_is_drained(const struct node *n);

/* ---- Connections. ---- */

/* Somebody connected.  ERR_LIMIT, ERR_BANNED: close the socket. */
MUST_USE
enum err node_conn_accepted(struct node *n, const struct multiaddr *remote,
                            tstamp now, conn_id *conn);
/* The dial of NODE_DIAL succeeded … */
void node_conn_dialled(struct node *n, conn_id conn, tstamp now);
/* … or failed, or the connection ended.  |err| OK: the peer closed. */
void node_conn_closed(struct node *n, conn_id conn, enum err err, tstamp now);
/* |bytes| are decrypted in place. */
void node_conn_recv(struct node *n, conn_id conn, uint8_t *bytes, size_t len,
                    tstamp now, wall_ms wall);
/* What to write now, possibly none; valid until the next call on |n|. */
struct span node_conn_out(struct node *n, conn_id conn);
void node_conn_sent(struct node *n, conn_id conn, size_t len, tstamp now);

/* The answer to NODE_RESOLVE: addresses without /p2p (A, AAAA: ip4/ip6 only)
 * or, for a TXT query, the texts after "dnsaddr=". */
void node_resolved(struct node *n, uint32_t query, enum err err,
                   const struct multiaddr *addrs, size_t count, tstamp now);

/* ---- The store's answers. ---- */

struct outbox_item {
    int64_t id;
    struct span head;           /* the head record, signed */
    struct span version_record; /* the version's own; may equal head */
    const char *namespace;
    const char *name;
    const char *version;
    /* On whose behalf; NULL: it is not known any more. */
    const struct trace_context *trace;
};
/* What NODE_ACCEPT gave was not taken: it is given again when it comes. */
void node_accept_refused(struct node *n, struct span record);
/* What was taken lately may not have been written. */
void node_catalogue_lost(struct node *n);

/* The answer to NODE_OUTBOX_LOAD; |items| borrowed. */
void node_outbox_loaded(struct node *n, const struct outbox_item *items,
                        size_t count, tstamp now, wall_ms wall);
void node_outbox_grew(struct node *n, tstamp now);
/* What was said to be done may be in the list yet: it is gone through again. */
void node_outbox_again(struct node *n, tstamp now);

struct catalogue_hit {
    struct span record;
    double score;
};
/* The answer to NODE_CATALOGUE_SEARCH; |hits| borrowed. */
void node_catalogue_found(struct node *n, uint32_t query, enum err err,
                          const struct catalogue_hit *hits, size_t count,
                          uint64_t total, tstamp now);

/* ---- Requests of the gateway. ---- */

/* Takes |r|; it comes back in one NODE_ANSWER. */
void node_request(struct node *n, struct request *r, tstamp now, wall_ms wall);
void node_cancel(struct node *n, struct request *r, tstamp now);

/* ---- Time and actions. ---- */

tstamp node_deadline(const struct node *n);
void node_tick(struct node *n, tstamp now, wall_ms wall);

enum node_action_type {
    NODE_NONE,
    NODE_DIAL,             /* conn, addr */
    NODE_FLUSH,            /* conn: has bytes to write */
    NODE_CLOSE,            /* conn: close the socket, say no more of it */
    NODE_RESOLVE,          /* query, resolve */
    NODE_OUTBOX_LOAD,      /* outbox: ids > after, at most limit; or just id */
    NODE_OUTBOX_DONE,      /* outbox.id has reached the network */
    NODE_ACCEPT,           /* record, peer: verified, for the catalogue */
    NODE_CATALOGUE_SEARCH, /* query, search */
    NODE_SAVE_RECORD,      /* saved_record */
    NODE_FORGET_RECORD,    /* saved_record.key and .publisher */
    NODE_SAVE_PROVIDER,    /* saved_provider */
    NODE_FORGET_PROVIDER,  /* saved_provider.key and .provider */
    NODE_SAVE_PEER,        /* saved_peer */
    NODE_FORGET_PEER,      /* saved_peer.reputation.peer */
    NODE_ANSWER,           /* request: done */
    NODE_SPAN,             /* trace: it has ended */
};

enum resolve_kind { RESOLVE_IP, RESOLVE_IP4, RESOLVE_IP6, RESOLVE_TXT };

enum accept_source { ACCEPT_GOSSIP, ACCEPT_SEARCH, ACCEPT_LOOKUP };

/* All pointers are valid until the next call on the node. */
struct node_action {
    enum node_action_type type;
    conn_id conn;
    const struct multiaddr *addr;
    uint32_t query;
    struct {
        enum resolve_kind kind;
        const char *name; /* TXT: with the _dnsaddr. prefix */
    } resolve;
    struct {
        int64_t after;
        int64_t id; /* > 0: this one */
        unsigned limit;
    } outbox;
    struct {
        struct span bytes;
        struct peer_id from;
        enum accept_source source;
        double reputation; /* of |from| */
    } accept;
    struct {
        const char *text;
        const struct search_filter *filter;
        unsigned limit;
        tstamp deadline;
    } search;
    const struct saved_record *record;
    const struct saved_provider *provider;
    const struct saved_peer *peer;
    struct request *request;
    const struct trace_span *trace;
};

bool node_poll(struct node *n, struct node_action *action);

/* Is there room for more spans?  While there is none, none are begun.  How many
 * would have been since the last call, and how many were |lost| for want of
 * memory. */
uint64_t node_tracing(struct node *n, bool has_room, uint64_t *lost);

/* ---- What it says of itself. ---- */

/* All but what only the host knows (listening, lag, store). */
void node_status(const struct node *n, struct node_status *out);
/* The rows of what the node itself limits; the others are left as they are.
 * Walks the connections. */
void node_usage(const struct node *n, struct usages *out);

struct node_metrics;
void node_metrics(const struct node *n, struct node_metrics *out);

#endif /* NODE_NODE_H */
