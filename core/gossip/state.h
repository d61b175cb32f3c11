/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_STATE_H
#define GOSSIP_STATE_H

/* What the files of this room share.
 *
 *    gossip.c   creation, peers, topics, time
 *    inbound.c  one RPC from a peer
 *    message.c  a message: its id, signature and bytes
 *    publish.c  messages out: ours, and others' after their verdict
 *    cache.c    messages that wait for a verdict, then are kept for IWANT
 *    mesh.c     who forwards to whom: GRAFT, PRUNE, heartbeat
 *    backoff.c  who is not grafted for a while
 *    px.c       peers told of in a PRUNE
 *    lazy.c     IHAVE, IWANT, promises
 *    unwanted.c IDONTWANT
 *    score.c    what a peer is worth: arithmetic
 *    standing.c the scores, kept over connections
 *    seen.c, queue.c   ids seen; events to be polled
 */
#include "base/list.h"
#include "base/map.h"
#include "gossip/gossip.h"
#include "gossip/queue.h"
#include "gossip/score.h"
#include "gossip/seen.h"
#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/gossip.pb-c.h"

/* Every limit that is not in the configuration. */
enum {
    D_SCORE = 4, /* kept for their score when a mesh is pruned */
    CACHE_BEATS = 5,
    GOSSIP_BEATS = 3,
    GOSSIP_FACTOR_PERCENT = 25,
    SEQNO_LEN = 8,
    SIGNATURE_MAX = PUBKEY_SIG_MAX,
    DECODED_MAX = 8 << 20, /* of one RPC, unpacked */
    DECODED_KEPT = 128 << 10,
    IHAVE_MESSAGES_MAX = 10,
    IHAVE_IDS_MAX = 5000,      /* asked of one peer a heartbeat */
    IWANT_IDS_MAX = 5000,      /* heard from one peer a heartbeat */
    IWANT_BYTES_MAX = 8 << 20, /* answered to one peer a heartbeat */
    RETRANSMIT_MAX = 3,        /* of one message to one peer by IWANT */
    PROMISES_MAX = 1024,
    BACKOFFS_A_PEER = 4,     /* on average; the oldest gives way */
    COPIES_MAX = 16,         /* senders remembered of one message */
    BURST_S = 4,             /* seconds' worth a budget holds */
    LEFT_A_PEER = 4,         /* bad scores kept, for each peer there may be */
    PX_PEERS_MAX = 16,       /* in a PRUNE; taken of one peer a heartbeat */
    BETTER_PEERS = 2,        /* grafted at once because they are better */
    IDONTWANT_IDS_MAX = 500, /* told to or heard of one peer a heartbeat */
    UNWANTED_BEATS = 3,
    UNWANTED_MAX = 65536,  /* of all peers together */
    FLOOD_IN_MESH_MAX = 2, /* penalties of a mesh peer for its budget */
};
#define GRAFT_FLOOD (10 * SECONDS)
#define BACKOFF_MAX (1 * HOURS) /* what a peer may ask of us */
#define BETTER_EVERY (60 * SECONDS)
#define FLOOD_GRACE (5 * SECONDS) /* for what is on its way after a PRUNE */

struct bucket {
    uint64_t level;
    tstamp at;
};

/* A score that outlives the connection. */
struct standing {
    UT_hash_handle hh;
    struct peer_id id;
    struct list link; /* of g->left; in none while the peer is here */
    bool is_here;
    tstamp forgotten_at;
    uint64_t ip; /* 0: not counted */
    struct score_self self;
    struct topic_score topics[];
};

struct peer {
    UT_hash_handle hh;
    struct peer_id id;
    uint32_t serial; /* never reused: what others remember a peer by */
    enum gossip_version version;
    bool is_outbound;
    struct standing *standing;
    uint8_t *record; /* signed, to be told to others */
    size_t record_len;
    tstamp left_mesh_at; /* or came */
    /* A bit a topic. */
    uint32_t subscribed, mesh, fanout;
    struct bucket bytes, messages, control;
    /* Since the last heartbeat. */
    unsigned ihaves, ids_asked, ids_wanted;
    unsigned idontwants_in, idontwants_out, px_taken;
    bool has_flooded;
    size_t bytes_wanted;
};

struct topic {
    uint8_t len;
    uint8_t name[GOSSIP_TOPIC_LEN_MAX];
    bool is_subscribed;
    size_t mesh_count;
    double share;        /* copies a mesh peer brought on average; decays */
    tstamp fanout_until; /* 0: no fanout */
};

/* After a PRUNE, either way.  Outlives the connection. */
struct backoff_key {
    struct peer_id peer;
    uint8_t topic;
};
struct backoff {
    UT_hash_handle hh;
    struct backoff_key key;
    bool is_ours; /* we pruned */
    tstamp since, until;
};

/* Asked for by IWANT; a zero serial is a kept one. */
struct promise {
    uint64_t hash;
    uint32_t serial;
    tstamp until;
};

struct msg_id {
    uint8_t len;
    uint8_t bytes[GOSSIP_ID_MAX];
};

struct retransmit {
    uint32_t serial;
    unsigned count;
};

/* A message whose signature verified: waiting for its verdict, then cached. */
struct message {
    UT_hash_handle hh; /* by id */
    struct list link;  /* of pending or cached, oldest first */
    struct list fresh; /* others do not know of it yet */
    struct msg_id id;
    struct blob *blob;
    struct peer_id author;
    uint32_t data_at, data_len; /* in the blob */
    uint8_t topic;
    bool is_pending;
    struct peer_id sender;
    uint32_t copies[COPIES_MAX]; /* who brought it, the first one first */
    uint8_t copy_count;
    /* While pending. */
    uint64_t token;
    tstamp since;
    /* Once cached. */
    tstamp judged_at; /* 0: ours */
    uint64_t beat;
    struct retransmit *sent;
    uint32_t sent_count, sent_cap;
};

struct gossip {
    struct gossip_config config;
    const struct mem *mem;
    const struct rng *rng;
    const struct log *log;

    struct topic *topics;
    struct peer *peers;
    const struct score_params *params;
    struct standing *standings; /* of peers here and of those that left */
    struct list left;           /* who left first is forgotten first */
    size_t left_count;
    tstamp scored_at;
    tstamp next_better;
    struct seen unwanted; /* by id and peer */
    uint32_t serial;
    struct peer **picked; /* room for every peer, for choosing */

    struct message *messages; /* pending and cached, by id */
    struct list pending, cached;
    struct list fresh;      /* with config.hands_on_later */
    struct message **slots; /* of pending ones, by token */
    size_t pending_count, pending_bytes, cached_bytes;
    uint64_t tokens;

    struct seen seen;
    struct backoff *backoffs; /* oldest first */
    struct promise *promises; /* ring */
    size_t promise_head, promise_count;

    struct queue queue;
    struct blob *held; /* of the SEND polled last */
    struct arena arena;

    uint64_t seqno;
    uint64_t beat;
    tstamp next_beat;
    struct gossip_stats stats;
    uint64_t peers_refused, pending_refused, pending_bytes_refused;
    uint64_t backoffs_evicted;
};

/* ---- gossip.c ---- */

struct peer *gossip_peer_find(const struct gossip *g, const struct peer_id *id);
struct peer *peer_by_serial(const struct gossip *g, uint32_t serial);
/* -1: not in the allow-list. */
int topic_index(const struct gossip *g, struct span name);
static inline struct span topic_name(const struct gossip *g, unsigned t)
{
    return SPAN(g->topics[t].name, g->topics[t].len);
}
static inline uint32_t topic_bit(unsigned t)
{
    return UINT32_C(1) << t;
}
void send_blob(struct gossip *g, struct peer *p, enum gossip_send_kind kind,
               struct blob *b);
void tell(struct gossip *g, const struct peer_id *peer,
          enum gossip_outcome outcome);
/* False: the budget is used up, nothing was taken. */
bool bucket_take(struct bucket *b, uint64_t n, uint64_t per_s, uint64_t burst,
                 tstamp now);
/* An RPC packed behind its length; NULL: no memory. */
struct blob *pack_rpc(struct gossip *g, const Wire__GossipRpc *rpc);

/* ---- message.c ---- */

/* A message taken apart: spans into the RPC. */
struct fields {
    bool has_data;
    struct span from, data, seqno, topic, signature, key;
};
void message_id(const struct gossip *g, const struct peer_id *author,
                struct span seqno, struct span data, struct msg_id *out);
static inline struct span msg_id_span(const struct msg_id *id)
{
    return SPAN(id->bytes, id->len);
}
/* Make the RPC that carries |f|, if its signature verifies.  |*data_at| tells
 * where in it the data is.  ERR_BAD_SIGNATURE, ERR_NOMEM. */
MUST_USE enum err message_verify(struct gossip *g, const struct fields *f,
                                 const struct peer_id *author,
                                 struct blob **out, uint32_t *data_at);
/* The same with our signature. */
MUST_USE enum err message_sign(struct gossip *g, struct fields *f,
                               struct blob **out, uint32_t *data_at);

/* ---- publish.c ---- */

/* Tell the mesh of |m|: that it is here, or, once it is judged, the message. */
void message_hand_on(struct gossip *g, struct message *m, tstamp now);
/* The same, by and by if the owner wants it so. */
void message_hand_on_soon(struct gossip *g, struct message *m, tstamp now);

/* ---- cache.c ---- */

struct message *message_find(const struct gossip *g, const struct msg_id *id);
/* Takes |b| in any case.  NULL: no memory. */
struct message *message_add(struct gossip *g, const struct msg_id *id,
                            struct blob *b);
void message_drop(struct gossip *g, struct message *m);
/* False: counted. */
bool pending_has_room(struct gossip *g, size_t bytes);
void pending_start(struct gossip *g, struct message *m, const struct peer *from,
                   tstamp now);
struct message *pending_find(const struct gossip *g, uint64_t token);
void pending_stop(struct gossip *g, struct message *m);
/* False: |from| brought it before, or too many did. */
bool message_note_copy(struct message *m, const struct peer *from);
bool message_has_copy(const struct message *m, const struct peer *p);
void pending_expire(struct gossip *g, tstamp now);
void cache_start(struct gossip *g, struct message *m, tstamp now);
void cache_shift(struct gossip *g);
/* Count one more IWANT answer to |p|; false: enough. */
bool cache_may_resend(struct gossip *g, struct message *m,
                      const struct peer *p);

/* ---- mesh.c ---- */

bool is_mesh_peer(const struct peer *p); /* speaks gossipsub, not floodsub */
void mesh_joined(struct gossip *g, unsigned topic, tstamp now);
void mesh_left(struct gossip *g, unsigned topic, tstamp now);
void mesh_peer_subscribed(struct gossip *g, struct peer *p, unsigned topic,
                          tstamp now);
void mesh_peer_unsubscribed(struct gossip *g, struct peer *p, unsigned topic,
                            tstamp now);
void mesh_peer_gone(struct gossip *g, uint32_t mesh, tstamp now);
void mesh_on_graft(struct gossip *g, struct peer *p, unsigned topic,
                   tstamp now);
void mesh_on_prune(struct gossip *g, struct peer *p, unsigned topic,
                   duration backoff, tstamp now);
void mesh_heartbeat(struct gossip *g, tstamp now);
void fanout_use(struct gossip *g, unsigned topic, tstamp now);
/* Peers that pass |may| in g->picked, in random order. */
size_t pick_peers(struct gossip *g, unsigned topic, tstamp now,
                  bool (*may)(const struct gossip *g, const struct peer *p,
                              unsigned topic, tstamp now));

/* ---- backoff.c ---- */

struct backoff *backoff_find(const struct gossip *g, const struct peer *p,
                             unsigned topic);
void backoff_set(struct gossip *g, const struct peer *p, unsigned topic,
                 duration length, bool is_ours, tstamp now);
bool may_not_graft_yet(const struct gossip *g, const struct peer *p,
                       unsigned topic, tstamp now);
/* And has not waited long enough since. */
bool was_pruned_by_us(const struct gossip *g, const struct peer *p, tstamp now);
void backoff_expire(struct gossip *g, tstamp now);
void backoff_release(struct gossip *g);

/* ---- standing.c ---- */

/* What gossip decisions look at; 0 for all without scores. */
double score_of(const struct gossip *g, const struct peer *p);
MUST_USE enum err standing_arrived(struct gossip *g, struct peer *p,
                                   uint64_t ip);
void standing_left(struct gossip *g, struct peer *p, tstamp now);
void standing_beat(struct gossip *g, tstamp now);
void standing_release(struct gossip *g);
/* |m| was accepted … */
void standing_delivered(struct gossip *g, const struct message *m);
/* … and here is another copy. */
void standing_copied(struct gossip *g, struct message *m, struct peer *p,
                     tstamp now);
/* It brought something invalid; told as |outcome|. */
void standing_blame(struct gossip *g, struct peer *p, unsigned topic,
                    enum gossip_outcome outcome);
/* A penalty of P7. */
void standing_misbehaved(struct peer *p);
/* It is above one of its budgets; told, and punished once a heartbeat. */
void standing_flooded(struct gossip *g, struct peer *p, tstamp now);

/* ---- px.c ---- */

/* Whom to tell |to| of in a PRUNE.  |out| borrows. */
size_t px_choose(struct gossip *g, const struct peer *to, unsigned topic,
                 Wire__GossipPeer out[PX_PEERS_MAX]);
void px_on_prune(struct gossip *g, struct peer *p, unsigned topic,
                 const Wire__GossipPrune *prune);

/* ---- unwanted.c ---- */

void unwanted_tell(struct gossip *g, const struct message *m);
void unwanted_on_idontwant(struct gossip *g, struct peer *p,
                           const Wire__GossipIDontWant *idontwant, tstamp now);
/* Counts what is kept back. */
bool unwanted_is(struct gossip *g, const struct peer *p,
                 const struct msg_id *id, tstamp now);

/* ---- lazy.c ---- */

void lazy_gossip(struct gossip *g, unsigned topic, tstamp now);
void lazy_on_ihave(struct gossip *g, struct peer *p, unsigned topic,
                   const Wire__GossipIHave *ihave, tstamp now);
void lazy_on_iwant(struct gossip *g, struct peer *p,
                   const Wire__GossipIWant *iwant, tstamp now);
void promise_kept(struct gossip *g, struct span id);
void promise_expire(struct gossip *g, tstamp now);

#endif /* GOSSIP_STATE_H */
