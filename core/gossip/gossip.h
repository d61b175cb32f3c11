/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include <stdbool.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "crypto/ed25519.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* gossipsub 1.0 to 1.2: a message once to everybody who wants it.
 *
 *    publish ─► sign ──────────────┐
 *    on_rpc ──► budget ► seen? ► verify signature ► MESSAGE ► verdict ─┤
 *                                                                      ▼
 *       mesh peers ◄── SEND, at once ── seen, message cache (5 heartbeats)
 *       lazy peers ◄── IHAVE each heartbeat;  IWANT ──► from the cache
 *
 * Owns no connection.  The owner tells which peers there are, hands in every
 * RPC (without its length prefix) and drains gossip_poll() after every call.
 * Each MESSAGE is answered once by gossip_verdict(); until then its id does
 * not count as seen, and copies of it are neither forwarded nor counted as
 * first.  Only topics named in the configuration exist: what peers say about
 * others is counted and ignored.
 *
 * Every peer has a score (score.h), made of what it does here and of what the
 * owner thinks of it.  Below 0 it is taken into no mesh, below -10 it gets and
 * gives no gossip, below -50 it gets none of our messages, below -80 it is not
 * heard; from 10 on it is believed when it tells of other peers.
 *
 * A message is serialised once; all SENDs of it show the same bytes. */

enum {
    GOSSIP_RPC_SENT_MAX = 64 << 10, /* rust-libp2p accepts no more */
    GOSSIP_RPC_ACCEPTED_MAX = 1 << 20,
    GOSSIP_DATA_MAX = 63 << 10, /* what surely fits one RPC we send */
    GOSSIP_TOPICS_MAX = 32,
    GOSSIP_TOPIC_LEN_MAX = 128,
    GOSSIP_ID_MAX = 96,
    GOSSIP_RECORD_MAX = 2048, /* a signed peer record */
};

/* What the peer's stream was negotiated as. */
enum gossip_version {
    GOSSIP_FLOODSUB,
    GOSSIP_V10,
    GOSSIP_V11,
    GOSSIP_V12,
};

enum gossip_id_function {
    GOSSIP_ID_SHA256,     /* SHA-256(data), first 20 bytes */
    GOSSIP_ID_FROM_SEQNO, /* text base58(from) ‖ decimal(seqno) */
};

struct score_params;

/* Zero means the default wherever a default is named. */
struct gossip_config {
    struct peer_id self;
    const struct ed25519_keypair *identity; /* borrowed, signs */
    const char *const *topics;              /* the allow-list, copied */
    size_t topic_count;
    enum gossip_id_function id_function;

    duration heartbeat;       /* 1 s */
    duration heartbeat_first; /* 100 ms */
    unsigned d, d_lo, d_hi;   /* 6, 5, 12 */
    unsigned d_out, d_lazy;   /* 2, 6 */
    duration fanout_ttl;      /* 60 s */
    duration prune_backoff;   /* 60 s */
    duration leave_backoff;   /* 10 s, after our unsubscribe */
    duration seen_ttl;        /* 120 s */
    duration promise_ttl;     /* 3 s from IWANT to the message */
    duration verdict_ttl;     /* 60 s; then the message is forgotten */
    bool no_flood_publish;    /* default: own messages go to every subscriber */
    /* Messages of others, and that one is here, are told by gossip_hand_on()
     * only; default: at once. */
    bool hands_on_later;

    size_t peers_max;         /* 256 */
    size_t seen_max;          /* 131,072 ids */
    size_t cache_bytes_max;   /* 16 MiB in the message cache */
    size_t pending_max;       /* 1,024 messages waiting for a verdict */
    size_t pending_bytes_max; /* 8 MiB of them */
    size_t events_max;        /* 16,384 events not polled yet */

    /* Budgets of one peer: what flows in a second, four seconds' worth at
     * once. */
    unsigned peer_bytes_per_s;    /* 2 MiB of RPCs */
    unsigned peer_messages_per_s; /* 500 messages */
    unsigned peer_control_per_s;  /* 500 control entries and subscriptions */

    unsigned idontwant_bytes;          /* 1,024 of data; told to peers of 1.2 */
    const struct score_params *scores; /* borrowed; NULL: score_defaults */
    bool no_scores; /* all are worth 0: to see what scores are good for */
};

struct gossip;
struct gossip *gossip_new(const struct gossip_config *config, tstamp now,
                          const struct rng *rng, const struct mem *mem,
                          const struct log *log);
void gossip_free(struct gossip *g);

/* ---- Peers. ---- */

/* A stream to |peer| is open and writable; our subscriptions go out as the
 * first RPC.  |is_outbound|: we dialled.  |ip| as multiaddr_ip_key(): many
 * peers of one lower their scores; 0 is exempt.  ERR_LIMIT (too many peers),
 * ERR_NOMEM; OK and nothing new when the peer is already here. */
MUST_USE enum err gossip_peer_connected(struct gossip *g,
                                        const struct peer_id *peer,
                                        enum gossip_version version,
                                        bool is_outbound, uint64_t ip,
                                        tstamp now);
/* Another stream takes the place of the peer's: tell our subscriptions again.
 * ERR_NOT_FOUND, ERR_NOMEM. */
MUST_USE enum err gossip_peer_greet(struct gossip *g,
                                    const struct peer_id *peer);
/* Events that are queued already may still name the peer. */
void gossip_peer_gone(struct gossip *g, const struct peer_id *peer, tstamp now);
/* The owner's opinion, a part of the score; >= 0 is good. */
void gossip_set_app_score(struct gossip *g, const struct peer_id *peer,
                          double score);
/* The peer's signed record, for others to be told of it; copied, empty takes
 * it back.  The owner has checked it.  ERR_NOT_FOUND, ERR_LIMIT (longer than
 * GOSSIP_RECORD_MAX), ERR_NOMEM. */
MUST_USE enum err gossip_set_record(struct gossip *g,
                                    const struct peer_id *peer,
                                    struct span record);

/* One RPC.  What a peer does wrong without breaking the framing is an OUTCOME,
 * not an error.  ERR_PROTO: undecodable, reset the stream.  ERR_FRAME_SIZE:
 * longer than 1 MiB.  ERR_LIMIT: dropped, the peer is over its budget.
 * ERR_NOT_FOUND: no such peer.  ERR_NOMEM. */
MUST_USE enum err gossip_on_rpc(struct gossip *g, const struct peer_id *peer,
                                struct span rpc, tstamp now, wall_ms wall);

/* ---- Topics.  ERR_INVAL: not in the allow-list. ---- */

MUST_USE enum err gossip_subscribe(struct gossip *g, struct span topic,
                                   tstamp now);
MUST_USE enum err gossip_unsubscribe(struct gossip *g, struct span topic,
                                     tstamp now);
/* Sign and send at once.  OK too when the very id was seen already and nothing
 * was sent.  |sent_to| (may be NULL) is the number of peers it went to.
 * ERR_LIMIT: more than GOSSIP_DATA_MAX.  ERR_NOMEM. */
MUST_USE enum err gossip_publish(struct gossip *g, struct span topic,
                                 struct span data, tstamp now, wall_ms wall,
                                 size_t *sent_to);

enum gossip_verdict {
    GOSSIP_ACCEPT,   /* forward */
    GOSSIP_IGNORE,   /* do not forward; nobody's fault */
    GOSSIP_REJECT,   /* do not forward; whoever sent it sent rubbish */
    GOSSIP_UNJUDGED, /* no time to look: forget it, it may come again */
};
/* ERR_NOT_FOUND: no such message waits (verdict_ttl has passed). */
MUST_USE enum err gossip_verdict(struct gossip *g, uint64_t token,
                                 enum gossip_verdict verdict, tstamp now);

/* Hand one message on, with config.hands_on_later; false: there is none.  To be
 * called when all that has come is heard, until it is false: what is judged by
 * then needs no IDONTWANT, and who sent us a copy meanwhile needs none. */
bool gossip_hand_on(struct gossip *g, tstamp now);

/* ---- Time and events. ---- */

tstamp gossip_deadline(const struct gossip *g);
void gossip_tick(struct gossip *g, tstamp now);

enum gossip_event_type {
    GOSSIP_EV_NONE,
    GOSSIP_EV_SEND,
    GOSSIP_EV_MESSAGE,
    GOSSIP_EV_OUTCOME,
    GOSSIP_EV_PX, /* a good peer pruned us and tells of another */
};
/* When a peer's stream is full, drop in the order of this list; CONTROL
 * (subscriptions, GRAFT, PRUNE) should arrive. */
enum gossip_send_kind {
    GOSSIP_SEND_GOSSIP,    /* IHAVE, IWANT, IDONTWANT */
    GOSSIP_SEND_FORWARDED, /* others' messages */
    GOSSIP_SEND_OWN,       /* our messages */
    GOSSIP_SEND_CONTROL,
};
enum gossip_outcome {
    GOSSIP_DELIVERED,       /* first to bring a message that was accepted */
    GOSSIP_DUPLICATE,       /* brought one we had */
    GOSSIP_REJECTED,        /* brought one the validator rejected */
    GOSSIP_IGNORED,         /* brought one the validator ignored */
    GOSSIP_BAD_SIGNATURE,   /* on another's message */
    GOSSIP_BAD_OWN_MESSAGE, /* bad signature or form on the sender's own */
    GOSSIP_BAD_FORM,        /* no signature, seqno, author…, another's */
    GOSSIP_OVER_BUDGET,     /* RPC, messages or control above the budget */
    GOSSIP_UNKNOWN_TOPIC,   /* not in the allow-list, or not subscribed */
    GOSSIP_BROKEN_PROMISE,  /* offered by IHAVE, asked for, did not come */
    GOSSIP_GRAFT_FLOOD,     /* GRAFT within backoff */
    GOSSIP_WITHHELD,        /* left the mesh, having brought too little */
    GOSSIP_FLOOD,           /* above its budget after we pruned it */
    GOSSIP_NO_ROOM,         /* our fault: too many wait for a verdict */
};
#define GOSSIP_OUTCOME_COUNT (GOSSIP_NO_ROOM + 1)
const char *gossip_outcome_name(enum gossip_outcome outcome); /* "duplicate" */

struct gossip_event {
    enum gossip_event_type type;
    struct peer_id peer; /* the receiver of SEND, else who did it */
    union {
        struct {
            enum gossip_send_kind kind;
            struct span rpc;   /* unframed */
            struct span frame; /* the same with its length in front */
        } send;
        struct {
            uint64_t token;
            struct peer_id author;
            struct span topic, data;
        } message;
        struct {
            enum gossip_outcome kind;
            unsigned count; /* neighbours of one kind are told together */
        } outcome;
        struct {
            struct peer_id peer;
            struct span record; /* as told: to be checked; may be empty */
        } px;
    };
};
/* False: nothing more.  The spans of SEND and PX live until the next
 * gossip_poll(), those of MESSAGE until its verdict (or verdict_ttl). */
bool gossip_poll(struct gossip *g, struct gossip_event *ev);

/* ---- Looking. ---- */

struct gossip_stats {
    uint64_t rpcs_in, rpcs_out;
    uint64_t bytes_in, bytes_out;
    uint64_t published, forwarded, delivered;
    uint64_t outcomes[GOSSIP_OUTCOME_COUNT];
    uint64_t grafts_in, grafts_out, prunes_in, prunes_out;
    uint64_t ihave_ids_in, ihave_ids_out, iwant_ids_in, iwant_ids_out;
    uint64_t idontwant_ids_in, idontwant_ids_out;
    uint64_t kept_back;                 /* messages not sent for an IDONTWANT */
    uint64_t px_in, px_out, px_refused; /* peers told of */
    uint64_t better_grafts;             /* opportunistic */
    uint64_t rpcs_unheard;              /* of graylisted peers */
    uint64_t events_dropped, seen_evicted, cache_evicted, standings_evicted;
};
const struct gossip_stats *gossip_stats(const struct gossip *g);
size_t gossip_peer_count(const struct gossip *g);
size_t gossip_subscriber_count(const struct gossip *g, struct span topic);
size_t gossip_mesh_count(const struct gossip *g, struct span topic);
bool gossip_is_in_mesh(const struct gossip *g, struct span topic,
                       const struct peer_id *peer);
/* A score and what it is made of: each part weighted, their sum the score. */
struct gossip_score {
    double score;
    bool is_connected; /* false: kept since it left */
    double time_in_mesh, first_deliveries, mesh_deliveries, mesh_failures,
        invalid_messages, topics_cap; /* P1, P2, P3, P3b, P4 */
    double app, ip, behaviour;        /* P5, P6, P7 */
};
/* False: nothing is known of it. */
bool gossip_peer_score(const struct gossip *g, const struct peer_id *peer,
                       struct gossip_score *out);
/* The scores of at most |max| connected peers; how many. */
size_t gossip_scores(const struct gossip *g, double *out, size_t max);
size_t gossip_left_count(const struct gossip *g); /* scores kept */
size_t gossip_seen_count(const struct gossip *g);
size_t gossip_pending_count(const struct gossip *g);
size_t gossip_cache_bytes(const struct gossip *g);

/* How full its limits are, and how often each refused. */
struct gossip_usage {
    size_t peers, peers_max;
    size_t pending, pending_max;
    size_t pending_bytes, pending_bytes_max;
    size_t events, events_max;
    size_t seen_max, cache_bytes_max;
    size_t left, left_max; /* scores of peers that left */
    size_t backoffs, backoffs_max;
    size_t unwanted, unwanted_max;
    uint64_t backoffs_evicted, unwanted_evicted;
    uint64_t peers_refused, pending_refused, pending_bytes_refused;
    uint64_t events_refused;
};
void gossip_usage(const struct gossip *g, struct gossip_usage *out);

#endif /* GOSSIP_GOSSIP_H */
