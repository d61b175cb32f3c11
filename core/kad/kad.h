/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_KAD_H
#define KAD_KAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* The Kademlia DHT of one node: routing table, lookups, records, providers.
 *
 *   their requests -- kad_on_request --> +-----+ --> the answer
 *   kad_get, kad_put, kad_provide … ---> | kad | --> KAD_EV_RPC: dial, send
 *   kad_on_answer, kad_on_failure -----> +-----+ --> KAD_EV_DONE, …
 *
 * It owns no connection: each question it has for a peer is a KAD_EV_RPC with
 * the addresses known, and comes back through kad_on_answer or kad_on_failure,
 * once.  Messages are whole and without their length prefix.
 *
 * Drive it: call in, then kad_poll until it returns false, then kad_tick at
 * kad_deadline.  What an event points to lives until the next kad_poll.
 * Every operation ends with exactly one KAD_EV_DONE, cancelled ones too.
 *
 * It never acts on its own copy of time: |now| is the monotonic clock, |wall|
 * the clock on the wall, which records carry over restarts.
 *
 * spec: kad-dht/README.md */

enum {
    KAD_K = 20,                   /* bucket size, replication */
    KAD_POSITION_LEN = 32,        /* SHA-256 */
    KAD_MESSAGE_SEND_MAX = 16384, /* rust-libp2p takes no more */
    KAD_MESSAGE_MAX = 65536,      /* go-libp2p sends more than 16 KiB */
    KAD_KEY_MAX = 512,            /* record keys and FIND_NODE targets */
    KAD_PROVIDER_KEY_MAX = 80,
    KAD_VALUE_MAX = 12 * 1024,
    KAD_PUBLISHERS_MAX = 4, /* records a key, one a publisher */
    KAD_VALUES_MAX = 16,    /* distinct values one get reports */
    KAD_PROVIDERS_PER_KEY = 20,
    KAD_PROVIDERS_MAX = 256, /* one kad_find_providers may want */
    KAD_ADDRS_MAX = 8,       /* addresses kept of a peer */
    KAD_ADDRS_BYTES_MAX = 1024,
    KAD_CLOSER_MAX = KAD_K,   /* peers believed from one answer */
    KAD_CANDIDATES_MAX = 128, /* peers one lookup remembers */
    KAD_ASKED_MAX = 96,       /* peers one lookup asks */
    KAD_SPARES_MAX = 8,       /* replacement cache of a bucket */
    KAD_LOST_MAX = 64,        /* peers that fell out, tried again */
    KAD_GROUP_TABLE_MAX = 3,  /* peers of an IP group in the table */
    KAD_GROUP_BUCKET_MAX = 2, /* … in one bucket */
    KAD_TARGETS_MAX = 128,    /* peers of one kad_put_to */
    KAD_TICK_WORK_MAX = 256,  /* timers handled by one kad_tick */
};

struct kad_config {
    struct peer_id self;
    bool is_server;
    bool is_private_network; /* hand on private addresses, no group limits */

    unsigned alpha;          /* 10 questions at once a lookup */
    unsigned quorum;         /* 3 equal best answers end a get */
    duration dial_timeout;   /* 5 s */
    duration rpc_timeout;    /* 10 s, the dial included */
    duration rpc_slow;       /* 1 s: from then on it blocks no other */
    duration lookup_timeout; /* 60 s: of our own maintenance */

    duration record_lifetime;     /* 48 h */
    duration republish_interval;  /* 22 h: records and provider keys of ours */
    duration replicate_interval;  /* 1 h: signed records we hold */
    duration provider_lifetime;   /* 48 h */
    duration maintenance_spacing; /* 20 ms between two of our own put lookups */
    duration refresh_interval;    /* 10 min */
    duration liveness_interval;   /* 60 s: ask at least one peer so often */
    duration need_peers_min;      /* 1 s … */
    duration need_peers_max;      /* 60 s: back-off of KAD_EV_NEED_PEERS */

    size_t operations_max;       /* 256 running at once */
    size_t maintenance_max;      /* 4 of our own at once */
    size_t rpcs_max;             /* 1,024 unanswered at once */
    size_t contacts_max;         /* 4,096 peers known */
    size_t records_max;          /* 131,072 */
    size_t record_bytes_max;     /* 256 MiB, entries and distinct values */
    size_t provider_records_max; /* 100,000 pairs of key and provider */
    size_t provider_keys_max;    /* 1,000 keys a provider */
    size_t provided_max;         /* 8,192 keys of our own */
};

/* The defaults above, for |self|, in server mode. */
void kad_config_default(struct kad_config *config, const struct peer_id *self);

/* What is valid under which key is for the caller to say.  Called from within
 * kad_* calls; must not call back. */
struct kad_validator {
    void *ctx;
    /* OK, or why |value| may not stand under |key|. */
    enum err (*validate)(void *ctx, struct span key, struct span value,
                         wall_ms wall);
    /* Of two valid values of |key|: < 0 when |a| is better, > 0 when |b| is, 0
     * when neither.  Total and stable. */
    int (*select)(void *ctx, struct span key, struct span a, struct span b);
    /* Who signed a valid value; false: unsigned (one such a key, and never
     * replicated). */
    bool (*publisher_of)(void *ctx, struct span value, struct peer_id *out);
};

/* Reputation: in [0, 1], higher is asked earlier among equally near ones;
 * negative: never ask (banned).  NULL: all are equal. */
struct kad_scorer {
    void *ctx;
    double (*score)(void *ctx, const struct peer_id *peer);
};

struct kad;

/* |rng|, |mem| and |log| must outlive it.  ERR_NOMEM never: what is small
 * aborts. */
struct kad *kad_new(const struct kad_config *config,
                    const struct kad_validator *validator,
                    const struct kad_scorer *scorer, const struct rng *rng,
                    const struct mem *mem, const struct log *log, tstamp now,
                    wall_ms wall);
void kad_free(struct kad *k);

void kad_set_server(struct kad *k, bool is_server, tstamp now);
/* Ours, for provider records; what is private is left out on the way to
 * others, unless the network is private. */
void kad_set_addrs(struct kad *k, const struct multiaddr *addrs, size_t count);

/* Addresses in events: a packed list, read with kad_addr_next. */
struct kad_peer {
    struct peer_id id;
    struct span addrs;
};
/* Take the next address from the front; false when there is none. */
bool kad_addr_next(struct span *addrs, struct multiaddr *out);

/* --- peers ------------------------------------------------------------- */

/* Identify has told us of a connected peer (again after each push).  |remote|
 * is where the connection really ends and decides its IP group; NULL: taken
 * from |addrs|.  A server that then answers a question enters the table. */
void kad_peer_identified(struct kad *k, const struct peer_id *peer,
                         const struct multiaddr *addrs, size_t count,
                         const struct multiaddr *remote, bool is_server,
                         tstamp now);
/* Its last connection is gone; it stays in the table while it answers. */
void kad_peer_disconnected(struct kad *k, const struct peer_id *peer,
                           tstamp now);
/* Banned: out of the table and every lookup. */
void kad_peer_forget(struct kad *k, const struct peer_id *peer, tstamp now);

/* --- server ------------------------------------------------------------ */

/* One request of |peer|; the answer is appended to |answer|, nothing if there
 * is none (ADD_PROVIDER).  On an error reset the stream:
 *   ERR_PROTO, ERR_FRAME_SIZE   malformed
 *   ERR_NO_PROTOCOL             we are a client
 *   ERR_WRONG_KEY … (whatever the validator says), ERR_STALE_SEQUENCE
 *   ERR_LIMIT, ERR_NOMEM        full */
MUST_USE
enum err kad_on_request(struct kad *k, const struct peer_id *peer,
                        struct span msg, tstamp now, wall_ms wall,
                        struct buf *answer);

/* --- client ------------------------------------------------------------ */

/* The peer's answer to |rpc|; an empty |msg| says that one which wants no
 * answer was written.  Unknown ids (given up meanwhile) are ignored.  What was
 * wrong with it, for who keeps a record of that; the peer has been told on:
 *   ERR_PROTO                   malformed, or no answer to this
 *   ERR_FRAME_SIZE              longer than is read
 *   ERR_WRONG_KEY … (whatever the validator says) of the record in it */
enum err kad_on_answer(struct kad *k, uint64_t rpc, struct span msg, tstamp now,
                       wall_ms wall);
/* Errors of ERR_CLASS_PEER count against the peer, others do not. */
void kad_on_failure(struct kad *k, uint64_t rpc, enum err err, tstamp now,
                    wall_ms wall);

/* Operations give an id (never 0) and run until done or |deadline|.
 *   ERR_BUSY   operations_max are running
 *   ERR_INVAL  key or value out of bounds
 *   ERR_NOMEM */

/* The k closest peers to |key| (any bytes, e.g. a peer id's). */
MUST_USE
enum err kad_find_closest(struct kad *k, struct span key, tstamp deadline,
                          tstamp now, uint64_t *op);

struct kad_get_options {
    bool is_full;    /* ask all the k closest, no early end at the quorum */
    bool is_silent;  /* do not correct stale holders */
    bool skip_local; /* our own copy does not count */
    unsigned quorum; /* 0: the configured one */
};
/* The values under |key|; |options| may be NULL. */
MUST_USE
enum err kad_get(struct kad *k, struct span key,
                 const struct kad_get_options *options, tstamp deadline,
                 tstamp now, wall_ms wall, uint64_t *op);

/* Store |value| here as ours (republished until kad_disown) and at the k
 * closest peers.  KAD_EV_PROGRESS tells of each acknowledgement.  Half of the
 * time may go into finding the peers.  Also the validator's errors,
 * ERR_STALE_SEQUENCE (a better one of that publisher is here), ERR_LIMIT. */
MUST_USE
enum err kad_put(struct kad *k, struct span key, struct span value,
                 tstamp deadline, tstamp now, wall_ms wall, uint64_t *op);
/* As kad_put, but straight to |peers|; the addresses known to the table are
 * used. */
MUST_USE
enum err kad_put_to(struct kad *k, struct span key, struct span value,
                    const struct peer_id *peers, size_t count, tstamp deadline,
                    tstamp now, wall_ms wall, uint64_t *op);
/* Our records under |key| are no longer republished; they live out their time
 * like anybody's. */
void kad_disown(struct kad *k, struct span key, tstamp now);

/* Say at the k closest peers that we provide |key|, now and each
 * republish_interval until kad_unprovide. */
MUST_USE
enum err kad_provide(struct kad *k, struct span key, tstamp deadline,
                     tstamp now, wall_ms wall, uint64_t *op);
void kad_unprovide(struct kad *k, struct span key);

/* Up to |wanted| (0: KAD_PROVIDERS_PER_KEY) providers of |key|. */
MUST_USE
enum err kad_find_providers(struct kad *k, struct span key, size_t wanted,
                            tstamp deadline, tstamp now, uint64_t *op);

/* Ends the operation with KAD_EV_DONE, KAD_CANCELLED; unknown ids are ignored.
 * What a put has sent is not taken back. */
void kad_cancel(struct kad *k, uint64_t op, tstamp now);

/* --- time and events --------------------------------------------------- */

enum kad_event_type {
    KAD_EV_RPC,              /* ask a peer */
    KAD_EV_RPC_ABANDONED,    /* its time is over: reset that stream */
    KAD_EV_PROGRESS,         /* a put or provide has one more answer */
    KAD_EV_DONE,             /* an operation is over */
    KAD_EV_RECORD_STORED,    /* new, replaced or lives longer: save it */
    KAD_EV_RECORD_FORGOTTEN, /* expired or made way: delete it */
    KAD_EV_PROVIDER_STORED,
    KAD_EV_PROVIDER_FORGOTTEN,
    KAD_EV_PEER_ADDED, /* to the table */
    KAD_EV_PEER_REMOVED,
    KAD_EV_PEER_OUTCOME, /* for reputation */
    KAD_EV_NEED_PEERS,   /* the table is empty, or may be an island */
};

/* Why an operation ended. */
enum kad_outcome {
    KAD_COMPLETE, /* the k closest live peers have answered */
    KAD_QUORUM,   /* a get or find_providers had enough before that */
    KAD_DEADLINE, /* time, or KAD_ASKED_MAX, was up: what was gathered is there
                   */
    KAD_NO_PEERS, /* nobody answered at all */
    KAD_CANCELLED,
};
const char *kad_outcome_name(enum kad_outcome outcome); /* "complete" */

enum kad_operation {
    KAD_OP_FIND_CLOSEST,
    KAD_OP_GET,
    KAD_OP_PUT,
    KAD_OP_PUT_TO,
    KAD_OP_PROVIDE,
    KAD_OP_FIND_PROVIDERS,
};

const char *kad_operation_name(enum kad_operation operation); /* "get" */

enum kad_peer_outcome {
    KAD_PEER_ANSWERED,   /* |elapsed| holds how long it took */
    KAD_PEER_FAILED,     /* |err| says how */
    KAD_PEER_BAD_ANSWER, /* could not be read, or was for another question */
    KAD_PEER_BAD_RECORD, /* handed on a record that is not valid */
};

enum kad_rpc_type {
    KAD_PUT_VALUE = 0,
    KAD_GET_VALUE = 1,
    KAD_ADD_PROVIDER = 2,
    KAD_GET_PROVIDERS = 3,
    KAD_FIND_NODE = 4,
    KAD_PING = 5,
};
const char *kad_rpc_type_name(enum kad_rpc_type type); /* "find_node" */

struct kad_value {
    struct span value;
    struct peer_id owner;     /* who signed it; len 0: unsigned */
    struct peer_id publisher; /* who put it, as the wire says; may be len 0 */
    unsigned holders;         /* peers that answered with it, we among them */
};

struct kad_event {
    enum kad_event_type type;
    enum kad_rpc_type rpc_type;         /* RPC */
    enum kad_peer_outcome peer_outcome; /* PEER_OUTCOME */
    enum err err;
    enum kad_operation operation; /* PROGRESS, DONE */
    enum kad_outcome outcome;     /* DONE */
    bool complete;                /* outcome is KAD_COMPLETE */
    bool wants_answer; /* RPC; false: write, close, report by kad_on_answer */
    bool is_own;       /* RECORD_* */

    uint64_t op;  /* RPC (0: our own upkeep), PROGRESS, DONE */
    uint64_t rpc; /* RPC, RPC_ABANDONED */
    /* RPC, PEER_*: the peer.  PROVIDER_*: the provider.  RECORD_*: none. */
    struct kad_peer peer;

    /* RPC */
    struct span message;
    tstamp dial_by;   /* give up connecting then */
    tstamp answer_by; /* kad gives up then by itself */

    /* RECORD_*, PROVIDER_* (key only) */
    struct span key;
    struct kad_value record;
    wall_ms received;
    wall_ms expires;

    /* PROGRESS, DONE */
    unsigned requested; /* peers a put or provide was sent to */
    unsigned acked;

    /* DONE */
    const struct kad_value *values; /* get: distinct, valid, best first */
    size_t values_count;
    const struct kad_peer *peers; /* closest first, those that answered; for
                                     find_providers the providers */
    size_t peers_count;
    unsigned asked; /* peers asked, and of these answered */
    unsigned answered;
    unsigned hops;
    unsigned attempt; /* NEED_PEERS: from 1 while the table is empty, 0: a
                         look at the bootstrap peers from time to time */
    duration elapsed; /* DONE, PEER_OUTCOME */
};

/* The next event, false if there is none. */
bool kad_poll(struct kad *k, struct kad_event *ev);
tstamp kad_deadline(const struct kad *k);
/* Does a bounded piece of what is due; when more is, kad_deadline says so. */
void kad_tick(struct kad *k, tstamp now, wall_ms wall);

/* --- over restarts ----------------------------------------------------- */

/* What RECORD_STORED, PROVIDER_STORED and kad_provide once said, back from
 * disk: nothing is validated, no event follows.  What has expired is refused
 * with ERR_NOT_FOUND.  ERR_LIMIT, ERR_NOMEM, ERR_INVAL. */
MUST_USE
enum err kad_load_record(struct kad *k, struct span key,
                         const struct kad_value *record, bool is_own,
                         wall_ms received, wall_ms expires, tstamp now,
                         wall_ms wall);
MUST_USE
enum err kad_load_provider(struct kad *k, struct span key,
                           const struct peer_id *provider,
                           const struct multiaddr *addrs, size_t count,
                           wall_ms expires, tstamp now, wall_ms wall);
/* A key of ours, to be provided again at |due| (wall), at once if past. */
MUST_USE
enum err kad_load_provided(struct kad *k, struct span key, wall_ms due,
                           tstamp now, wall_ms wall);

/* --- looking in -------------------------------------------------------- */

/* The records held here under |key|, best first, in |out| of
 * KAD_PUBLISHERS_MAX; valid until the next call that takes |now|. */
size_t kad_local_records(const struct kad *k, struct span key,
                         struct kad_value *out);
/* The peers of the table nearest to |key|, nearest first; how many. */
size_t kad_closest(const struct kad *k, struct span key, struct kad_peer *out,
                   size_t max);
bool kad_is_in_table(const struct kad *k, const struct peer_id *peer);
/* When a peer last answered one of our questions; 0: never. */
tstamp kad_last_answer_at(const struct kad *k);

struct kad_stats {
    size_t table_peers, contacts, operations, rpcs;
    size_t records, records_own, record_bytes, record_values;
    size_t provider_records, provider_keys, provided;
    uint64_t requests[6], requests_refused[6]; /* by kad_rpc_type */
    uint64_t rpcs_sent[6], rpcs_answered[6], rpcs_failed[6];
    uint64_t rpcs_timeout[6]; /* of those that failed */
    /* Times a limit was reached. */
    uint64_t records_refused, record_bytes_refused, publishers_refused;
    uint64_t providers_refused, provider_keys_refused, provided_refused;
    uint64_t group_refused, contacts_refused, operations_refused;
    uint64_t rpcs_refused, messages_oversized, messages_malformed;
    uint64_t records_invalid, closer_ignored;
    uint64_t corrected, republished, replicated, reprovided;
};
void kad_stats(const struct kad *k, struct kad_stats *out);

#endif /* KAD_KAD_H */
