/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_INTERNAL_H
#define KAD_INTERNAL_H

#include "kad/events.h"
#include "kad/lookup.h"
#include "kad/message.h"
#include "kad/providers.h"
#include "kad/records.h"
#include "kad/routing.h"

/* What the files of kad share, each its own part:
 *
 *      kad.c        life, time, events       server.c    requests of others
 *      rpc.c        questions under way      contact.c   who enters the table
 *      operation.c  lookups, puts, gets      upkeep.c    refresh, republish
 */

/* Why a peer was asked. */
enum rpc_purpose {
    RPC_LOOKUP,
    RPC_STORE,   /* of an operation */
    RPC_CORRECT, /* a stale holder, after a get */
    RPC_CHECK,   /* does it answer? */
};

struct rpc {
    UT_hash_handle hh;
    struct heap_node timer; /* slow, then over */
    uint64_t id;
    uint64_t op; /* 0: none */
    int slot;    /* of the operation's lookup */
    enum rpc_purpose purpose;
    enum kad_rpc_type type;
    struct peer_id peer;
    struct blob *value; /* what a PUT_VALUE's answer must repeat */
    tstamp sent_at;
    tstamp answer_by;
    bool is_slow;
};

enum upkeep { UPKEEP_NONE, UPKEEP_REFRESH, UPKEEP_RECORD, UPKEEP_PROVIDED };

enum operation_stage { STAGE_FIND, STAGE_STORE };

/* How long a lookup that heard of nobody but those in a table that is not full
 * speaks for puts and provides of other keys: the nearest of any key are then
 * all there are. */
#define KAD_ALL_KNOWN_WITHIN (10 * SECONDS)

struct found_value {
    struct blob *value;
    struct peer_id owner, publisher;
    uint32_t ttl;
    unsigned holders;
};

struct found_peer {
    struct peer_id id;
    struct addrs addrs;
};

struct operation {
    UT_hash_handle hh;
    struct heap_node timer;
    struct list starved; /* waits for rpcs_max */
    uint64_t id;
    enum kad_operation type;
    enum upkeep upkeep;
    enum operation_stage stage;
    tstamp started_at, deadline;
    struct lookup lookup;
    struct blob *key;
    struct blob *request; /* while finding */
    struct blob *store;   /* PUT_VALUE or ADD_PROVIDER */
    struct event_node *done;

    /* get */
    struct found_value values[KAD_VALUES_MAX];
    size_t values_count;
    int best;
    unsigned quorum; /* 0: none ends it early */
    bool corrects;

    /* put, provide */
    struct blob *value;
    struct peer_id owner;
    unsigned requested, acked, pending;
    bool is_late;   /* half of the time is gone */
    bool is_direct; /* nobody was looked for: see all_known_until */

    /* find_providers */
    struct found_peer *providers;
    size_t providers_count, wanted;
};

/* A key we provide. */
struct own_key {
    UT_hash_handle hh;
    struct heap_node timer;
    uint8_t len;
    uint8_t bytes[];
};

struct kad {
    const struct mem *mem;
    const struct rng *rng;
    const struct log *log;
    struct kad_config config;
    struct kad_validator validator;
    struct kad_scorer scorer;
    struct kad_stats stats;
    struct addrs addrs; /* ours */
    struct arena arena; /* one message at a time */
    struct events events;
    struct routing routing;
    struct records records;
    struct providers providers;

    struct rpc *rpcs;
    struct heap rpc_timers;
    uint64_t last_rpc;
    tstamp clock_now; /* the last |now| and |wall| that came together */
    wall_ms clock_wall;

    struct operation *operations;
    struct heap operation_timers;
    struct list starved;
    uint64_t last_operation;
    tstamp
        all_known_until; /* the network is smaller than k, and in the table */

    struct own_key *own_keys;
    struct heap own_key_timers;
    size_t upkeep_running; /* put and provide lookups of our own */
    tstamp upkeep_at;      /* the next one not before */
    struct blob *check_message;
    tstamp last_answer_at;
    tstamp liveness_at;
    tstamp need_peers_at;
    unsigned need_peers_attempt;
    tstamp refresh_at;
    unsigned refresh_next; /* 0: ourselves, i: bucket i − 1 */
    bool is_refreshing;
};

static inline void clock_set(struct kad *k, tstamp now, wall_ms wall)
{
    k->clock_now = now;
    k->clock_wall = wall;
}
static inline wall_ms wall_at(const struct kad *k, tstamp now)
{
    return k->clock_wall + (wall_ms)((now - k->clock_now) / MILLISECONDS);
}

/* --- rpc.c ------------------------------------------------------------- */

struct rpc_spec {
    enum kad_rpc_type type;
    enum rpc_purpose purpose;
    uint64_t op;
    int slot;
    const struct peer_id *peer;
    struct span addrs; /* what is known besides the contact's own */
    struct blob *message;
    struct blob *value;
};
/* ERR_BUSY: rpcs_max; ERR_NOMEM. */
MUST_USE
enum err rpc_send(struct kad *k, const struct rpc_spec *spec, tstamp now);
/* Who ends the stream of a put keeps no more, and is there: no absent peer. */
bool is_refusal(const struct rpc *rpc, enum err err);
void rpc_tick(struct kad *k, unsigned *work, tstamp now);
void rpc_release_all(struct kad *k);
void peer_outcome(struct kad *k, const struct peer_id *peer,
                  enum kad_peer_outcome outcome, enum err err,
                  duration elapsed);

/* --- operation.c ------------------------------------------------------- */

struct operation_spec {
    enum kad_operation type;
    enum upkeep upkeep;
    struct span key;
    tstamp deadline;
};
/* Made, but not begun.  ERR_BUSY, ERR_NOMEM. */
MUST_USE
enum err operation_new(struct kad *k, const struct operation_spec *spec,
                       tstamp now, struct operation **out);
void operation_free(struct kad *k, struct operation *op);
/* Ask the first peers; may be over at once. */
void operation_begin(struct kad *k, struct operation *op, tstamp now);
struct operation *operation_find(const struct kad *k, uint64_t id);

void operation_on_slow(struct kad *k, const struct rpc *rpc, tstamp now);
void operation_on_failed(struct kad *k, const struct rpc *rpc, enum err err,
                         tstamp now);
/* What was wrong with the record in it; OK: nothing. */
enum err operation_on_answer(struct kad *k, const struct rpc *rpc,
                             const Wire__KadMessage *msg, tstamp now);
/* A place among the RPCs is free. */
void operation_feed_starved(struct kad *k, tstamp now);
void operation_tick(struct kad *k, unsigned *work, tstamp now);

/* A peer of a message; |addrs| is the caller's.  False: no peer id. */
bool peer_from_wire(struct kad *k, const Wire__KadPeer *w, struct peer_id *id,
                    struct addrs *addrs);

/* Encode into a blob.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE
enum err message_blob(struct kad *k, const struct message *m,
                      struct blob **out);
/* PUT_VALUE of |value|, to live |ttl| seconds (0: the receiver's). */
MUST_USE
enum err put_message(struct kad *k, struct span key, struct span value,
                     const struct peer_id *publisher, uint32_t ttl,
                     struct blob **out);
/* ADD_PROVIDER of |key|, naming us. */
MUST_USE
enum err provider_message(struct kad *k, struct span key, struct blob **out);

/* --- values.c: what a get gathers -------------------------------------- */

/* A peer's answer, or our own copy with |slot| LOOKUP_NO_SLOT.  Whatever the
 * validator says. */
enum err values_take(struct kad *k, struct operation *op, int slot,
                     const struct message_record *record, tstamp now);
bool values_have_quorum(const struct operation *op);
/* Best first, ties as they came. */
void values_sort(struct kad *k, struct operation *op);
/* Put the best at those that answered with an older one or, when all were
 * asked, with none. */
void values_correct(struct kad *k, struct operation *op, bool is_complete,
                    tstamp now);

/* --- contact.c --------------------------------------------------------- */

void contact_answered(struct kad *k, const struct peer_id *peer, tstamp now);
void contact_failed(struct kad *k, const struct peer_id *peer, enum err err,
                    tstamp now);
void contact_check_ended(struct kad *k, const struct peer_id *peer);
/* Ask it, if it is not being asked. */
void contact_check(struct kad *k, struct contact *c, tstamp now);
void contact_tick(struct kad *k, unsigned *work, tstamp now);
float peer_score(const struct kad *k, const struct peer_id *peer);

/* --- upkeep.c ---------------------------------------------------------- */

void upkeep_init(struct kad *k, tstamp now);
/* Provide |key| again at |due|; known already: only the time changes.
 *   ERR_LIMIT, ERR_NOMEM */
MUST_USE
enum err own_key_add(struct kad *k, struct span key, tstamp due);
struct own_key *own_key_find(const struct kad *k, struct span key);
void own_key_drop(struct kad *k, struct own_key *own);
void upkeep_release(struct kad *k);
void upkeep_table_changed(struct kad *k, tstamp now);
void upkeep_operation_ended(struct kad *k, const struct operation *op,
                            tstamp now);
tstamp upkeep_deadline(const struct kad *k);
void upkeep_tick(struct kad *k, unsigned *work, tstamp now);

#endif /* KAD_INTERNAL_H */
