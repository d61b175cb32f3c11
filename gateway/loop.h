/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_LOOP_H
#define GATEWAY_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "gateway/auth.h"
#include "gateway/client.h"
#include "gateway/cors.h"
#include "gateway/cursor.h"
#include "gateway/exchange.h"
#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "gateway/metrics.h"
#include "gateway/ready.h"

/* What the gateway's own files share: the gateway, and its threads. */

enum {
    PROXIES_MAX = 64,
    ORIGINS_MAX = 64,
    RATE_SHARDS = 16,
    RATE_CLIENTS_MAX = 65536,    /* over all shards */
    BODIES_BYTES_MAX = 64 << 20, /* of all requests being read */
    BASE_PATH_MAX = 128,
};

/* Locked piecewise, so that threads rarely meet. */
struct rate_shard {
    pthread_mutex_t lock;
    struct rate_limiter *limiter;
};

/* A limit of the gateway's own, for /api/v1/node/limits. */
struct gauge {
    atomic_uint_fast64_t use;
    atomic_uint_fast64_t refused;
};

struct gateway {
    struct gateway_deps deps;
    struct peer_id self;
    uint64_t rate, rate_burst;
    unsigned conns_max;
    struct router router;
    struct auth auth;
    struct ip_net proxies[PROXIES_MAX];
    size_t proxy_count;
    char *origins[ORIGINS_MAX];
    struct cors cors;
    char base_path[BASE_PATH_MAX]; /* "" or "/souk" */
    char *public_url;              /* "" or without the last slash */
    char *version, *commit;
    struct cursor_key cursor_key;
    uint64_t salt; /* of this run, in tags that count from its start */
    struct rate_shard shards[RATE_SHARDS];
    struct gateway_ports ports;
    struct ip admin_ip; /* bound, for the Host check */
    bool admin_is_unix;
    char *admin_socket; /* path to unlink */

    struct gauge conns, bodies, throttled;
    struct gauge large_bodies, large_heads; /* their refusals only */
    atomic_bool is_draining;
    atomic_uint loops_listening, loops_busy; /* not drained yet */

    struct loop *loops;
    unsigned loop_count;
};

/* What a connection is doing; each is a list, the oldest first. */
enum phase {
    PHASE_IDLE,    /* no request, as far as we know */
    PHASE_HEAD,    /* the request line is there */
    PHASE_BODY,    /* its body is read */
    PHASE_DRAIN,   /* likewise, but the answer is a refusal */
    PHASE_WAITING, /* suspended: the core or the store works */
    PHASE_SENDING, /* the answer is on its way */
    PHASE_COUNT
};

struct daemon; /* server.c: a listener of one loop */

struct loop {
    struct gateway *gateway;
    unsigned index;
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t tick;
    pthread_t thread;
    bool is_open, is_running;
    struct reader *reader;
    struct daemon *daemons[2]; /* public, admin */
    struct list phases[PHASE_COUNT];
    size_t tickets;                 /* not come home yet, orphans among them */
    _Atomic(struct ticket *) inbox; /* newest first */
    atomic_bool must_stop;
    bool is_drained;
    tstamp drain_started;
    tstamp now;        /* as of the last wake-up: near enough for phases */
    uint64_t id_state; /* of made request ids */
    struct ready ready;
    struct tracer tracer;
    struct metrics metrics;
    atomic_uint_fast64_t connections, waiting, requests, wakeups;
};

/* loop.c */
MUST_USE
enum err loop_init(struct loop *l, struct gateway *g, unsigned index);
/* Its daemons are there: begin. */
MUST_USE
enum err loop_start(struct loop *l);
/* Ends what it has, joins.  false: something of its is still out, so the
 * memory must stay. */
bool loop_stop(struct loop *l);
/* On the loop: there are connections to look after. */
void loop_tick_on(struct loop *l);
/* From any thread. */
void loop_wake(struct loop *l);
/* A ticket comes home; any thread. */
void loop_deliver(struct ticket *t);

#endif /* GATEWAY_LOOP_H */
