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

/* gossipsub as of 1.1, also under the name of 1.2: a message once to everybody
 * who wants it.
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
 * A message is serialised once; all SENDs of it show the same bytes. */

enum {
    GOSSIP_RPC_SENT_MAX = 64 << 10, /* rust-libp2p accepts no more */
    GOSSIP_RPC_ACCEPTED_MAX = 1 << 20,
    GOSSIP_DATA_MAX = 63 << 10, /* what surely fits one RPC we send */
    GOSSIP_TOPICS_MAX = 32,
    GOSSIP_TOPIC_LEN_MAX = 128,
    GOSSIP_ID_MAX = 96,
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
};

struct gossip;
struct gossip *gossip_new(const struct gossip_config *config, tstamp now,
                          const struct rng *rng, const struct mem *mem,
                          const struct log *log);
void gossip_free(struct gossip *g);

/* ---- Peers. ---- */

/* A stream to |peer| is open and writable; our subscriptions go out as the
 * first RPC.  |is_outbound|: we dialled.  |ip_group| as multiaddr_ip_group(),
 * kept for scoring.  ERR_LIMIT (too many peers), ERR_NOMEM; OK and nothing new
 * when the peer is already here. */
MUST_USE enum err gossip_peer_connected(struct gossip *g,
                                        const struct peer_id *peer,
                                        enum gossip_version version,
                                        bool is_outbound, uint64_t ip_group,
                                        tstamp now);
/* Another stream takes the place of the peer's: tell our subscriptions again.
 * ERR_NOT_FOUND, ERR_NOMEM. */
MUST_USE enum err gossip_peer_greet(struct gossip *g,
                                    const struct peer_id *peer);
/* Events that are queued already may still name the peer. */
void gossip_peer_gone(struct gossip *g, const struct peer_id *peer, tstamp now);
/* The owner's opinion, >= 0 good.  Below 0 a peer is taken into no mesh, below
 * -10 gets and gives no gossip, below -50 gets none of our messages, below -80
 * is not heard at all. */
void gossip_set_app_score(struct gossip *g, const struct peer_id *peer,
                          double score);

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

/* ---- Time and events. ---- */

tstamp gossip_deadline(const struct gossip *g);
void gossip_tick(struct gossip *g, tstamp now);

enum gossip_event_type {
    GOSSIP_EV_NONE,
    GOSSIP_EV_SEND,
    GOSSIP_EV_MESSAGE,
    GOSSIP_EV_OUTCOME,
};
/* When a peer's stream is full, drop in the order of this list; CONTROL
 * (subscriptions, GRAFT, PRUNE) should arrive. */
enum gossip_send_kind {
    GOSSIP_SEND_GOSSIP,    /* IHAVE, IWANT */
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
    GOSSIP_NO_ROOM,         /* our fault: too many wait for a verdict */
};
#define GOSSIP_OUTCOME_COUNT (GOSSIP_NO_ROOM + 1)
const char *gossip_outcome_name(enum gossip_outcome outcome); /* "duplicate" */

struct gossip_event {
    enum gossip_event_type type;
    struct peer_id peer; /* the receiver of SEND, else the sender */
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
    };
};
/* False: nothing more.  The spans of SEND live until the next gossip_poll(),
 * those of MESSAGE until its verdict (or verdict_ttl). */
bool gossip_poll(struct gossip *g, struct gossip_event *ev);

/* ---- Looking. ---- */

struct gossip_stats {
    uint64_t rpcs_in, rpcs_out;
    uint64_t bytes_in, bytes_out;
    uint64_t published, forwarded, delivered;
    uint64_t outcomes[GOSSIP_OUTCOME_COUNT];
    uint64_t grafts_in, grafts_out, prunes_in, prunes_out;
    uint64_t ihave_ids_in, ihave_ids_out, iwant_ids_in, iwant_ids_out;
    uint64_t events_dropped, seen_evicted, cache_evicted;
};
const struct gossip_stats *gossip_stats(const struct gossip *g);
size_t gossip_peer_count(const struct gossip *g);
size_t gossip_subscriber_count(const struct gossip *g, struct span topic);
size_t gossip_mesh_count(const struct gossip *g, struct span topic);
bool gossip_is_in_mesh(const struct gossip *g, struct span topic,
                       const struct peer_id *peer);
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
    uint64_t peers_refused, pending_refused, pending_bytes_refused;
    uint64_t events_refused;
};
void gossip_usage(const struct gossip *g, struct gossip_usage *out);

#endif /* GOSSIP_GOSSIP_H */
