/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NODE_INTERNAL_H
#define NODE_INTERNAL_H

#include "base/budget.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "conn/conn.h"
#include "gossip/gossip.h"
#include "identify/identify.h"
#include "kad/kad.h"
#include "market/terms.h"
#include "market/validator.h"
#include "node/node.h"
#include "noise/noise.h"
#include "ping/ping.h"
#include "search/search.h"
#include "souk/metrics.h"
#include "tbl/limit.h"
#include "tbl/network.h"
#include "wire/delim.h"

/* The node's parts, shared by the files of this room only.
 *
 *      peer ──┬── link (a connection) ──┬── flow (a stream)
 *             ├── link                  └── flow ── rpc
 *             └── dial (under way)
 *
 * Every entry of node.h sets n->now and n->wall, does its part and settles:
 * kad's and gossip's events are handled until there are none.  Inside, nothing
 * takes the time as an argument. */

enum {
    PEERS_KNOWN_MAX = 4096, /* with addresses, connected or not */
    PEER_ADDRS_MAX = REQUEST_ADDRS_MAX,
    IDENTIFY_TRIES_MAX = 5,   /* a connection */
    PUSH_BURST = 10,          /* … and at once */
    PEER_WAITING_MAX = 1024,  /* RPCs waiting for one peer */
    PEER_ASKING_MAX = 32,     /* RPCs on streams to one peer; others wait */
    PEER_KAD_IDLE_MAX = 32,   /* streams kept open for the next question */
    PEER_CONTROL_MAX = 65536, /* gossip control bytes waiting for room */
    DIAL_ADDRS_MAX = 16,
    OBSERVERS_MAX = 8, /* neighbourhoods that tell of one address of ours */
    DIAL_RESOLVE_DEPTH_MAX = 4, /* dnsaddr leading to dnsaddr … */
    REQUESTS_MAX = 1024,        /* of the gateway, under way */
    OUTBOX_ITEMS_MAX = 32,      /* publishes on their way at once */
    OUTBOX_LOAD_MAX = 16,
    OUTBOX_DONE_MAX = 256,   /* remembered for those who ask late */
    OUTBOX_RATE = 2000,      /* publishes a second */
    TERMS_OWN_MAX = 8192,    /* as many as kad.h provides */
    TERMS_PROVIDING_MAX = 8, /* term lookups at once */
    SEARCH_CANDIDATES_MAX = 64,
    SEARCH_TERMS_ASKED_MAX = 3, /* provider lookups of one search */
    LINK_PARTIAL_MAX = 4 << 20, /* a peer's messages that are not whole */
    KNOWN_CHUNKS = 512,         /* 65,536 marks of records, 8 bytes each */
    SEARCHES_SERVED_MAX = 64,   /* of peers, waiting for the catalogue */
    SEARCH_RATE_PER_MINUTE = 6000,
    SEARCH_BURST = 400,
    SAVE_PEERS_A_TICK = 64,
    GOSSIP_MESSAGES_PER_S = 4096, /* what one peer may send us */
    GOSSIP_BYTES_PER_S = 8 << 20,
    GOSSIP_SEEN_MAX = 131072, /* message ids remembered */
    GOSSIP_CACHE_BYTES_MAX = 16 << 20,
    LOOKUP_OPS = KAD_OP_FIND_PROVIDERS + 1,
    LOOKUP_OUTCOMES = KAD_CANCELLED + 1,
    PX_DIALS_MAX = 16, /* of peers a PRUNE told of … */
};
#define PX_DIALS_WITHIN (60 * SECONDS) /* … in this time */

#define DIAL_WITHIN (5 * SECONDS)
#define DIAL_STAGGER                                        \
    (250 * MILLISECONDS) /* until the next address is tried \
                          */
#define DIAL_BACKOFF_MIN (2 * SECONDS)
#define DIAL_BACKOFF_MAX (5 * MINUTES)
#define UPKEEP_EVERY (1 * SECONDS)
#define IDENTIFY_RETRY (2 * SECONDS) /* doubled each time */
#define PUSH_EVERY (5 * SECONDS)     /* what one peer may push, … */
#define PING_EVERY (60 * SECONDS)
#define KAD_IDLE_WITHIN (10 * SECONDS)
/* While the table is not full: how soon after a change, and at least how
 * often, neighbours are looked for. */
#define SEEK_FIRST (2 * SECONDS)
#define SEEK_LAST (10 * MINUTES)
#define SEEK_WITHIN (10 * SECONDS)
#define FLOW_IN_IDLE_WITHIN                                              \
    (60 * SECONDS)                     /* an inbound stream says nothing \
                                        */
#define FLOW_OUT_WITHIN (15 * SECONDS) /* an outbound one is not done */
/* js-libp2p loses data that comes in one read with the negotiation of its
 * stream and its end. */
#define FIN_AFTER (50 * MILLISECONDS)
#define DUPLICATE_GRACE                                   \
    (5 * SECONDS) /* before a second connection is closed \
                   */
/* Who is no souk keeps both: then the side with the larger id closes it. */
#define DUPLICATE_GRACE_LARGER (10 * SECONDS)
#define DUPLICATE_QUIET (1 * SECONDS) /* nobody has asked anything on it */
/* A peer whose stream to us ended, and that opens no other. */
#define GOSSIP_UNHEARD_WITHIN (2 * SECONDS)
#define INCOMPLETE_TOLD_EVERY (1 * SECONDS)
#define TRIM_GRACE (30 * SECONDS)
#define GET_EARLY_WITHIN (1 * SECONDS) /* … for a first peer */
#define OUTBOX_RETRY (5 * SECONDS)
#define OUTBOX_PUT_WITHIN (15 * SECONDS)
#define OUTBOX_REST (50 * MILLISECONDS)
#define TERM_WITHIN (10 * SECONDS)
/* Nobody waits for the terms of a publish; many wait for the publish. */
#define TERMS_AFTER (100 * MILLISECONDS)
#define SEARCH_ASK_WITHIN (1500 * MILLISECONDS) /* then another is asked */
#define SEARCH_PROVIDERS_WITHIN (150 * MILLISECONDS)

/* What we speak, best first where there is a choice.  KAD is last so that a
 * client can leave it out of what it accepts. */
enum proto {
    PROTO_MESHSUB_12,
    PROTO_MESHSUB_11,
    PROTO_MESHSUB_10,
    PROTO_IDENTIFY,
    PROTO_PUSH,
    PROTO_PING,
    PROTO_SEARCH,
    PROTO_KAD,
    PROTO_COUNT
};

enum timer_type {
    TIMER_LINK,    /* conn_deadline() */
    TIMER_FLOW,    /* a stream is idle or late */
    TIMER_DIAL,    /* the next address, or the end */
    TIMER_REQUEST, /* the deadline of a gateway's request */
    TIMER_SEARCH,  /* providers were looked for long enough */
    TIMER_UPKEEP,
    TIMER_OUTBOX,
    TIMER_REST, /* of a publish, what is still to be put */
    TIMER_TERMS,
    TIMER_SAVE,
};
struct timer {
    struct heap_node node; /* first */
    enum timer_type type;
};

/* ---- A known peer. ---- */

struct peer {
    struct peer_id id;
    struct list links;    /* struct link.of_peer, the one to use first */
    struct list waiting;  /* struct rpc.of_owner, for a link or their turn */
    struct list idle;     /* in n->idle_peers while nothing holds it */
    struct list kad_idle; /* struct flow.of_idle */
    size_t waiting_count;
    size_t kad_idle_count;
    size_t asking_count; /* struct rpc with a stream */
    bool is_asking;      /* rpcs_next() is under way */

    struct multiaddr *addrs; /* where it can be dialled, best first */
    size_t addr_count;
    bool addrs_are_dirty;

    /* From identify. */
    bool is_identified;
    bool is_kad_server;
    bool speaks_search;
    bool speaks_ping;
    bool speaks_push;
    int gossip_version; /* enum gossip_version, -1: does not speak it */
    char *agent;
    char *protocols; /* one a line */

    struct flow *gossip_out;
    bool in_gossip; /* gossip_peer_connected() was called */
    unsigned gossip_opens;
    unsigned gossip_in_count;    /* the peer's streams to us, one mostly */
    tstamp gossip_unheard_since; /* the last of them ended; else NEVER */
    uint8_t *record;             /* signed; waits until gossip has the peer */
    size_t record_len;
    struct buf control; /* GRAFT, PRUNE … that found no room yet */

    struct dial *dial;
    unsigned dial_failures;
    tstamp dial_not_before;
    struct list connects; /* struct pending.of_owner: CONNECT requests */

    double latency_ms; /* < 0: never measured */
    tstamp push_due;   /* of identify: when the next one would be in time */
    tstamp ping_at;
    tstamp search_not_before;
    UT_hash_handle hh;
};

/* ---- A dial of a peer, over one address after the other. ---- */

struct dial {
    struct timer timer;
    struct peer *peer;
    struct multiaddr addrs[DIAL_ADDRS_MAX];
    uint8_t depth[DIAL_ADDRS_MAX]; /* how many names led here */
    size_t addr_count, next;
    unsigned in_flight; /* links */
    unsigned resolving; /* names */
    bool is_operators;  /* asked for by the operator, not learnt */
    tstamp started_at;
    tstamp deadline;
    enum err last; /* why the last address failed */
    struct trace_span *trace;
};
struct resolve {
    uint32_t id;
    struct peer_id peer; /* whose dial asked */
    uint16_t port;       /* 0: dnsaddr */
    uint8_t depth;
    UT_hash_handle hh;
};

/* ---- A connection. ---- */

struct link {
    struct timer timer;
    conn_id id;
    struct conn *conn; /* NULL while the socket is being connected */
    struct peer *peer; /* NULL before the handshake of an inbound one */
    struct peer_id expected;
    struct multiaddr addr;
    struct multiaddr observed; /* ours, as who dialled us says; len 0: none */
    bool is_outbound;
    bool is_upgraded;
    bool is_gone;    /* no more events; waits in n->gone */
    bool is_closing; /* said goodbye: takes no new streams */
    bool must_close; /* the host still holds a socket */
    tstamp opened_at;
    struct trace_span *trace; /* of its upgrade, if we dialled */
    tstamp identify_at;       /* when it is asked again who it is */
    unsigned identify_tries;
    tstamp duplicate_since; /* TSTAMP_NEVER: the only or the chosen one */
    tstamp asked_at;        /* bytes or an end of a stream, no gossip or ping */
    size_t unsent;          /* its share of n->unsent */
    struct budget partial;  /* its share of n->partial */
    struct list flows;      /* struct flow.of_link */
    struct list of_peer;
    struct list of_flush; /* in n->flush */
    struct list of_gone;  /* in n->gone */
    UT_hash_handle hh;
};

/* ---- A stream. ---- */

enum flow_type {
    FLOW_IDENTIFY_IN,
    FLOW_IDENTIFY_OUT,
    FLOW_PUSH_IN,
    FLOW_PUSH_OUT,
    FLOW_PING_IN,
    FLOW_PING_OUT,
    FLOW_KAD_IN,
    FLOW_KAD_OUT,
    FLOW_GOSSIP_IN,
    FLOW_GOSSIP_OUT,
    FLOW_SEARCH_IN,
    FLOW_SEARCH_OUT,
    FLOW_TYPE_COUNT
};

struct flow {
    struct timer timer;
    enum flow_type type;
    uint32_t stream;
    struct link *link;
    struct list of_link;
    struct list of_idle; /* KAD_OUT without a question */
    struct delim in;     /* where messages are framed */
    bool was_used;       /* KAD_OUT: carried a question before */
    bool is_over;        /* KAD_OUT: finished, waits for its end */
    tstamp wrote_at;
    bool is_finishing; /* our FIN follows when the timer fires */
    union {
        struct identify_reader *reader;
        struct ping ping;
        struct ping_echo echo;
        struct rpc *rpc;
        struct served *served;
    } u;
};

/* ---- A question to a peer. ---- */

struct rpc {
    struct list of_owner; /* in peer->waiting: no connection, or not its turn */
    bool is_waiting;
    struct peer *peer;
    struct flow *flow;
    struct buf message; /* framed */
    bool wants_answer;
    bool was_retried;
    uint64_t kad;             /* kad's id, or … */
    struct ask *ask;          /* … a search's */
    struct trace_span *trace; /* of kad's */
    UT_hash_handle hh;        /* n->kad_rpcs */
};

/* A search of a peer, waiting for the catalogue. */
struct served {
    uint32_t query;
    struct flow *flow;
    UT_hash_handle hh;
};

/* ---- A request of the gateway. ---- */

struct pending {
    struct timer timer;
    struct request *request;
    tstamp started_at;
    struct list of_owner; /* joined gets and searches, CONNECTs of a peer,
                             ANNOUNCEs */
    struct list of_node;  /* n->requests */
    struct search *search;
    struct get *get;
    bool was_early; /* waited for the first peer */
    struct peer *connect;
};

/* Gets of the same key share one lookup. */
struct get {
    char key[PACKAGE_KEY_MAX];
    uint64_t op;
    struct list waiting; /* struct pending.of_owner */
    tstamp deadline;     /* of the request that began it */
    UT_hash_handle hh;
};

/* A kad operation of ours, by its id. */
enum op_type { OP_GET, OP_OUTBOX, OP_TERM, OP_SEARCH };
struct op {
    uint64_t id;
    enum op_type type;
    void *owner;
    bool is_main; /* OUTBOX: the put whose holders are counted */
    struct trace_span *trace;
    UT_hash_handle hh;
};

struct ask { /* one peer of a search */
    struct search *search;
    struct peer_id peer;
    struct rpc *rpc;
    tstamp sent_at;
    struct trace_span *trace;
    struct list of_search;
};
/* Searches for the same that begin at nearly the same time are one. */
struct search {
    struct timer timer;
    struct request_search in;
    struct list waiting; /* struct pending.of_owner */
    tstamp deadline;     /* the latest of theirs: peers are told */
    tstamp join_until;   /* the latest of one that may join */
    bool is_listed;      /* in n->searches, to be joined */
    struct query query;  /* to see that what is sent does match */
    struct peer_id candidates[SEARCH_CANDIDATES_MAX];
    size_t candidate_count, next;
    unsigned provider_ops;
    bool is_asking;
    bool is_busy;    /* go_on() is at work */
    bool is_held;    /* a peer must not be asked yet, or said so itself */
    unsigned chosen; /* sources that must answer */
    unsigned active, queried, responded;
    struct list asks;
    UT_hash_handle hh;
};

struct outbox_work {
    int64_t id;
    struct record head, version; /* what is still to be put of them; or none */
    unsigned ops;                /* puts not ended */
    unsigned requested, acked;
    bool is_refused; /* it will never be put: do not try again */
    bool is_head;    /* the version is the head itself */
    struct list of_node;
    /* Of the publish; not |is_noted|: nobody knows it any more. */
    bool is_noted;
    struct trace_context trace;
    char *trace_state;
};

/* How others see us. */
struct observer {
    uint64_t group; /* a neighbourhood of the network */
    tstamp at;
};
struct observation {
    struct multiaddr addr;
    struct observer by[OBSERVERS_MAX];
    size_t count;
};

struct term {
    char text[TERM_MAX + 1];
    struct list of_queue;    /* to be provided */
    struct heap_node common; /* in n->terms_common, the commonest first */
    unsigned packages;       /* of ours that have it */
    uint64_t package;        /* a mark of the last of them */
    bool is_provided;
    UT_hash_handle hh;
};

struct action {
    struct list link;
    struct node_action act;
    struct multiaddr addr;
    struct saved_record record;
    struct saved_provider provider;
    struct saved_peer *peer;
    char *name;
    struct search_filter filter;
    uint8_t *bytes; /* what spans point into */
    struct trace_span *trace;
};

struct node {
    const struct mem *mem;
    const struct log *log;
    struct rng rng;
    struct node_config config;
    const struct network *network;
    struct ed25519_keypair identity;
    struct pubkey identity_key;
    struct noise_static noise_key; /* of all connections */
    struct peer_id self;
    char agent[64];
    const char *protocols[PROTO_COUNT];
    size_t protocol_count; /* accepted */
    struct multiaddr *bootstrap;
    tstamp now;
    wall_ms wall;
    tstamp started_at;
    bool is_started;
    bool is_draining;

    struct kad *kad;
    struct gossip *gossip;
    unsigned px_dials; /* since … */
    tstamp px_since;
    struct reputation *reputation;
    struct validator *validator;
    struct search_pace *pace_in;  /* what peers may ask us */
    struct search_pace *pace_out; /* what we ask them */

    struct heap timers;
    struct timer upkeep, outbox_timer, rest_timer, terms_timer, save_timer;

    struct peer *peers; /* map by id */
    struct list idle_peers;
    struct link *links; /* map by id */
    conn_id last_conn;
    size_t unsent;         /* written and not sent, over all links */
    struct budget partial; /* messages that are not whole, of all links */
    size_t outbound_count, dialling_count;
    struct list flush;
    struct list gone;
    struct resolve *resolves;
    uint32_t last_query;

    struct status_addrs listen;
    struct status_addrs announced;
    struct status_addrs confirmed;
    struct observation observed[STATUS_ADDRS_MAX];
    size_t observed_count;
    tstamp observed_at; /* when they were gone through */
    struct buf signed_record;
    uint64_t signed_seq;

    tstamp incomplete_at; /* when the next incomplete answer may be told of */
    unsigned incomplete_count;
    tstamp seek_at;
    duration seek_wait;
    struct rpc *kad_rpcs; /* map by kad's id */
    struct op *ops;       /* map */
    struct served *served;
    struct list requests; /* all pending */
    size_t request_count;
    struct get *gets;        /* map by key */
    struct list early;       /* struct pending.of_owner: gets before any peer */
    struct search *searches; /* map by what is asked */

    struct {
        struct list items;           /* struct outbox_work */
        struct outbox_work *resting; /* before its other puts; or NULL */
        size_t count;
        int64_t after; /* ids up to here were loaded */
        int64_t asked_after;
        int64_t again; /* the first that all who were asked refused; 0: none */
        tstamp again_at; /* its next turn; 0: when all others had theirs */
        struct outbox_done {
            int64_t id; /* 0: none */
            unsigned requested, acked;
        } done[OUTBOX_DONE_MAX]; /* a ring */
        size_t done_next;
        bool is_loading;
        bool has_grown; /* since then */
        bool may_have_more;
        tstamp retry_at;
        uint64_t tokens; /* pacing, in thousandths */
        tstamp tokens_at;
    } outbox;
    struct list announces; /* struct pending, waiting for their outbox id */

    struct known_chunk *known[KNOWN_CHUNKS];
    struct term *terms;
    struct list term_queue;
    struct heap terms_common;
    size_t terms_provided, terms_providing;
    tstamp terms_at; /* none is provided before */

    struct list actions;
    struct action *current;

    struct tracer tracer;
    struct trace_span *bootstrapping;

    struct {
        uint64_t events, lookups, bytes_in, bytes_out;
        uint64_t conns_refused, conns_ip_refused, conns_trimmed;
        uint64_t streams_refused, streams_out_refused; /* of links gone */
        uint64_t dials_refused, requests_refused, messages_refused;
        uint64_t unsent_refused, partial_refused;
        uint64_t searches_refused, peers_evicted, terms_refused;
        uint64_t waiting_refused, gossip_dropped, pushes_refused;
        uint64_t px_refused;
        uint64_t dials_failed, names_failed;
    } count;
    struct histogram lookups[LOOKUP_OPS][LOOKUP_OUTCOMES];
    struct histogram scores; /* of connected peers, once a second */
};

/* node.c */
/* Nobody is connected, and nobody is being dialled. */
bool node_is_alone(const struct node *n);
void node_settle(struct node *n);
void node_timer_set(struct node *n, struct timer *t, tstamp at);
struct action *action_push(struct node *n, enum node_action_type type);
/* Not to be performed after all. */
void action_drop(struct node *n, struct action *a);
/* A copy of |s| that the action owns; SPAN_NONE without memory. */
struct span action_copy(struct node *n, struct action *a, struct span s);

/* peers.c */
struct peer *peer_find(const struct node *n, const struct peer_id *id);
/* NULL: no room, or no memory. */
struct peer *peer_get(struct node *n, const struct peer_id *id);
/* What held |p| may have gone: it may be forgotten from now on. */
void peer_unhold(struct node *n, struct peer *p);
void peer_add_addr(struct node *n, struct peer *p, const struct multiaddr *a,
                   bool is_front);
void peer_free(struct node *n, struct peer *p);
/* The one to use: the chosen one that does not say goodbye; NULL: none. */
struct link *peer_link(const struct peer *p);
void peer_learn(struct node *n, const struct peer_id *id,
                enum reputation_outcome outcome, duration took);
void peers_save(struct node *n);

/* dial.c */
/* Connect, if a dial is not under way.  ERR_DIAL_FAILED (no address, or too
 * soon after a failure), ERR_LIMIT, ERR_BANNED, ERR_NOMEM. */
MUST_USE enum err dial_start(struct node *n, struct peer *p, bool is_impatient);
void dial_link_failed(struct node *n, struct link *l, enum err err);
void dial_succeeded(struct node *n, struct peer *p);
void dial_timer(struct node *n, struct dial *d);
void dial_free(struct node *n, struct dial *d);
/* All of them, for good. */
void dials_stop(struct node *n);
bool dial_may_use(const struct node *n, const struct multiaddr *a,
                  bool is_operators);
void bootstrap_dial(struct node *n);

/* links.c */
void link_touch(struct node *n, struct link *l);
void link_drain(struct node *n, struct link *l);
void link_gone(struct node *n, struct link *l, enum err err);
void link_close(struct node *n, struct link *l);
void link_free(struct node *n, struct link *l);
struct link *link_new(struct node *n, const struct multiaddr *addr,
                      bool is_outbound);
/* Make the machine of a connection whose socket is open. */
void link_open(struct node *n, struct link *l);
void links_upkeep(struct node *n);
bool link_may_be_idle(const struct link *l);

/* flows.c */
MUST_USE enum err flow_open(struct node *n, struct link *l, enum flow_type type,
                            const char *const protos[], size_t count,
                            struct flow **out);
struct flow *flow_new(struct node *n, struct link *l, enum flow_type type,
                      uint32_t stream);
void flow_inbound(struct node *n, struct link *l, uint32_t stream,
                  enum proto proto);
void flow_data(struct node *n, struct flow *f, struct span data);
void flow_fin(struct node *n, struct flow *f);
void flow_ready(struct node *n, struct flow *f, size_t proto);
void flow_writable(struct node *n, struct flow *f);
/* The stream is gone; frees |f|. */
void flow_gone(struct node *n, struct flow *f, enum err err);
/* End it both ways; frees |f|. */
void flow_reset(struct node *n, struct flow *f);
void flow_timer(struct node *n, struct flow *f);
MUST_USE enum err flow_write(struct node *n, struct flow *f, struct span s);
void flow_finish(struct node *n, struct flow *f);
/* The same a moment later, apart from the bytes before it. */
void flow_finish_later(struct node *n, struct flow *f);
struct peer *flow_peer(const struct flow *f);

/* who.c: identify, push, ping */
void who_link_up(struct node *n, struct link *l);
/* Ask again if the first answer did not come. */
void who_upkeep(struct node *n, struct link *l);
void who_inbound(struct node *n, struct flow *f);
void who_push_all(struct node *n);
void who_addresses_changed(struct node *n);
void who_ping(struct node *n, struct peer *p);
enum err who_data(struct node *n, struct flow *f, struct span data);
void who_fin(struct node *n, struct flow *f);
void who_gone(struct node *n, struct flow *f, enum err err);

/* observed.c: how others see us */
void observed_by(struct node *n, struct link *l, const struct multiaddr *a);
void observed_upkeep(struct node *n);

/* rpc.c */
/* Ask |peer|; takes what |message| (unframed) holds by copy. */
MUST_USE enum err rpc_start(struct node *n, const struct peer_id *peer,
                            struct span message, bool wants_answer,
                            uint64_t kad, struct ask *ask,
                            struct trace_span **trace, struct rpc **out);
void rpc_cancel(struct node *n, struct rpc *r);
void rpc_answered(struct node *n, struct rpc *r, struct span msg);
void rpc_failed(struct node *n, struct rpc *r, enum err err);
void rpcs_connected(struct node *n, struct peer *p);
void rpcs_unreachable(struct node *n, struct peer *p, enum err err);
enum err rpc_data(struct node *n, struct flow *f, struct span data);
void rpc_fin(struct node *n, struct flow *f);
void rpc_gone(struct node *n, struct flow *f, enum err err);
void rpc_flow_retire(struct node *n, struct flow *f);

/* dht.c */
void dht_config(const struct node *n, struct kad_config *out);
void dht_init(struct node *n);
bool dht_pump(struct node *n);
void dht_identified(struct node *n, struct peer *p, struct link *l);
enum err dht_serve(struct node *n, struct flow *f, struct span data);
void dht_upkeep(struct node *n);
MUST_USE enum err op_add(struct node *n, uint64_t id, enum op_type type,
                         void *owner, struct op **out);
void ops_forget(struct node *n, const void *owner);

/* pubsub.c */
void pubsub_init(struct node *n);
bool pubsub_pump(struct node *n);
/* All that came is heard: on with what came of gossip. */
void pubsub_hand_on(struct node *n);
void pubsub_open(struct node *n, struct peer *p);
/* |record|: its signed peer record, checked; may be empty. */
void pubsub_identified(struct node *n, struct peer *p, struct span record);
void pubsub_upkeep(struct node *n);
void pubsub_inbound(struct node *n, struct flow *f, enum proto proto);
void pubsub_ready(struct node *n, struct flow *f, size_t proto);
enum err pubsub_data(struct node *n, struct flow *f, struct span data);
void pubsub_writable(struct node *n, struct flow *f);
void pubsub_gone(struct node *n, struct flow *f);

/* requests.c */
void request_answer(struct node *n, struct pending *p, enum err err,
                    const char *detail);
void request_timer(struct node *n, struct pending *p);
void connects_done(struct node *n, struct peer *p, enum err err,
                   const char *detail);
void requests_release(struct node *n);

/* get.c */
void get_start(struct node *n, struct pending *p);
/* Those that waited for a first peer: all, or those who waited enough. */
void gets_begin(struct node *n, bool is_all);
void get_leave(struct node *n, struct pending *p);
void get_done(struct node *n, struct get *g, const struct kad_event *ev);

/* find.c: search */
void find_start(struct node *n, struct pending *p);
void find_timer(struct node *n, struct search *s);
void find_providers_done(struct node *n, struct search *s,
                         const struct kad_event *ev);
void find_answered(struct node *n, struct ask *a, struct span msg);
void find_failed(struct node *n, struct ask *a, enum err err);
/* Deadline or cancel: |p| gets what there is; a search that nobody waits for
 * ends. */
void find_leave(struct node *n, struct pending *p, enum err err,
                const char *reason);
enum err find_serve(struct node *n, struct flow *f, struct span data);
void find_flow_gone(struct node *n, struct flow *f);

/* metrics.c */
void metrics_lookup_ended(struct node *n, const struct kad_event *ev);
void metrics_upkeep(struct node *n);

/* traced.c: spans; NULL where nobody traces */
struct trace_span *traced_root(struct node *n, const char *name,
                               enum trace_kind kind);
struct trace_span *traced(struct node *n, const struct trace_context *parent,
                          const char *name, enum trace_kind kind);
struct trace_span *traced_under(struct node *n, const struct trace_span *parent,
                                const char *name, enum trace_kind kind);
/* Of a DHT operation on |key|; |parent| NULL: nobody's. */
struct trace_span *traced_lookup(struct node *n,
                                 const struct trace_context *parent,
                                 const char *name, const char *key);
struct trace_span *traced_rpc(struct node *n, const struct kad_event *ev);
void traced_op_end(struct node *n, struct op *op, const struct kad_event *ev);
/* Hands it out, and forgets it. */
void traced_end(struct node *n, struct trace_span **s, enum err err);
void traced_drop(struct node *n, struct trace_span **s);
void traced_bootstrap_begin(struct node *n);
void traced_bootstrap_upkeep(struct node *n);

/* known.c: what the catalogue was given not long ago */
enum known {
    KNOWN_NOT,
    KNOWN_JUST_NOW, /* it may not be written yet */
    KNOWN_WELL,
};
enum known known_look(const struct node *n, struct span record);
void known_add(struct node *n, struct span record);
void known_release(struct node *n);
/* A verified record, for the catalogue. */
void accept_record(struct node *n, struct span record,
                   const struct peer_id *from, enum accept_source source);

/* outbox.c: announcing what was published */
void outbox_start(struct node *n);
void outbox_timer(struct node *n);
void outbox_rested(struct node *n);
void outbox_peers_came(struct node *n);
void outbox_work_free(struct node *n, struct outbox_work *w);
void outbox_progress(struct node *n, struct outbox_work *w, bool is_main,
                     const struct kad_event *ev);
void announce_start(struct node *n, struct pending *p);

/* terms.c */
/* One that is not there yet; |package| marks the one it comes from. */
void terms_add(struct node *n, const char *text, unsigned packages,
               uint64_t package);
void terms_of_package(struct node *n, const struct record *r);
void terms_release(struct node *n);
void terms_pump(struct node *n);
void terms_provided(struct node *n);

#endif /* NODE_INTERNAL_H */
