/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_NODE_FIXTURE_H
#define UNIT_NODE_FIXTURE_H

#include <stdlib.h>

#include "node/internal.h"
#include "support/test.h"
#include "tbl/network.h"
#include "unit/record_fixture.h"

/* Whole nodes joined in memory, without latency and without a store. */

enum { NODES_MAX = 4, PORT = 4001, ANSWERS_MAX = 2048, OUTBOX_SLOTS = 64 };

enum step_type { STEP_ACCEPT, STEP_DIALLED, STEP_BYTES, STEP_CLOSED };
struct end {
    unsigned node;
    conn_id conn;
};
struct pipe {
    struct end ends[2]; /* the dialler's first; conn 0: closed */
};
struct step {
    struct list link;
    enum step_type type;
    struct pipe *pipe;
    unsigned to; /* which end */
    size_t len;
    uint8_t bytes[];
};

struct world {
    struct test_heap heap;
    struct rng_seeded seed;
    struct rng rng;
    tstamp now;
    struct node *nodes[NODES_MAX];
    unsigned count;
    struct pipe pipes[256];
    unsigned pipe_count;
    struct list steps;
    unsigned dials; /* to where nobody is: neither accepted nor refused */
    struct record record;
    bool outbox[OUTBOX_SLOTS]; /* at id − 1; all of the same record */
    unsigned published;
    unsigned searches_served;
    bool has_names; /* each leads to |named|, a bare IP */
    struct multiaddr named;
    struct request *answered[ANSWERS_MAX];
    unsigned answer_count;
    const struct trace_context *trace; /* of what is in the outbox */
    struct trace_span *spans;          /* of all nodes, as they ended */
    unsigned span_count;
};

static inline wall_ms wall_of(const struct world *w)
{
    return FIXTURE_WALL + (wall_ms)(w->now / MILLISECONDS);
}

static inline struct multiaddr address(unsigned i)
{
    uint8_t ip[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
    struct multiaddr a;

    multiaddr_from_ip(&a, SPAN_OF(ip), PORT);
    return a;
}

static inline void world_init(struct world *w)
{
    memset(w, 0, sizeof(*w));
    test_heap_init(&w->heap);
    w->rng = rng_seeded(&w->seed, 1);
    w->now = 1000 * SECONDS;
    list_init(&w->steps);
}

static inline struct node *add(struct world *w, struct node_config config)
{
    struct ed25519_keypair key = fixture_key((uint8_t)(w->count + 1));
    struct multiaddr own = address(w->count);
    struct node *n;

    config.network = network_find("souk");
    config.identity = &key;
    config.agent = "souk/test";
    config.is_private_network = true;
    n = node_new(&config, w->now, wall_of(w), &w->rng, &w->heap.mem, NULL);
    w->nodes[w->count++] = n;
    node_listening(n, &own, 1);
    node_start(n, w->now, wall_of(w));
    return n;
}

static inline void push(struct world *w, enum step_type type, struct pipe *p,
                        unsigned to, struct span bytes)
{
    struct step *s = calloc(1, sizeof(*s) + bytes.len);

    assert_non_null(s);
    s->type = type;
    s->pipe = p;
    s->to = to;
    s->len = bytes.len;
    if (bytes.len > 0)
        memcpy(s->bytes, bytes.data, bytes.len);
    list_push_back(&w->steps, &s->link);
}

static inline struct pipe *pipe_of(struct world *w, unsigned i, conn_id conn,
                                   unsigned *end)
{
    for (unsigned k = 0; k < w->pipe_count; k++)
        for (*end = 0; *end < 2; ++*end)
            if (w->pipes[k].ends[*end].node == i &&
                w->pipes[k].ends[*end].conn == conn)
                return &w->pipes[k];
    return NULL;
}

static inline void on_dial(struct world *w, unsigned i,
                           const struct node_action *a)
{
    for (unsigned k = 0; k < w->count; k++) {
        struct multiaddr there = address(k);
        struct pipe *p = &w->pipes[w->pipe_count];

        if (!multiaddr_eq(&there, a->addr))
            continue;
        assert_true(++w->pipe_count < 256);
        p->ends[0] = (struct end){i, a->conn};
        p->ends[1] = (struct end){k, 0};
        push(w, STEP_ACCEPT, p, 1, SPAN_NONE);
        return;
    }
    w->dials++;
}

static inline void keep_span(struct world *w, const struct trace_span *s)
{
    w->spans = realloc(w->spans, (w->span_count + 1) * sizeof(*w->spans));
    assert_non_null(w->spans);
    memcpy(&w->spans[w->span_count++], s, trace_span_size(s));
}

static inline void load_outbox(struct world *w, unsigned i, int64_t after)
{
    struct outbox_item items[OUTBOX_LOAD_MAX];
    size_t count = 0;

    for (int64_t id = after + 1;
         i == 0 && id <= OUTBOX_SLOTS && count < OUTBOX_LOAD_MAX; id++)
        if (w->outbox[id - 1])
            items[count++] = (struct outbox_item){
                .id = id,
                .namespace = "org",
                .name = "lib",
                .version = "1.0.0",
                .head = buf_span(&w->record.bytes),
                .version_record = buf_span(&w->record.bytes),
                .trace = w->trace};
    node_outbox_loaded(w->nodes[i], items, count, w->now, wall_of(w));
}

static inline void perform(struct world *w, unsigned i,
                           const struct node_action *a)
{
    struct node *n = w->nodes[i];
    unsigned end;
    struct pipe *p = pipe_of(w, i, a->conn, &end);
    struct catalogue_hit hit = {.score = 1};
    struct span out;

    switch (a->type) {
    case NODE_DIAL:
        on_dial(w, i, a);
        break;
    case NODE_FLUSH:
        while (p != NULL && (out = node_conn_out(n, a->conn)).len > 0) {
            push(w, STEP_BYTES, p, !end, out);
            node_conn_sent(n, a->conn, out.len, w->now);
        }
        break;
    case NODE_CLOSE:
        if (p == NULL)
            break;
        p->ends[end].conn = 0;
        push(w, STEP_CLOSED, p, !end, SPAN_NONE);
        break;
    case NODE_OUTBOX_LOAD:
        load_outbox(w, i, a->outbox.after);
        break;
    case NODE_OUTBOX_DONE:
        w->outbox[a->outbox.id - 1] = false;
        break;
    case NODE_CATALOGUE_SEARCH:
        w->searches_served++;
        hit.record = buf_span(&w->record.bytes);
        node_catalogue_found(n, a->query, OK, &hit, hit.record.len > 0, 1,
                             w->now);
        break;
    case NODE_ANSWER:
        assert_true(w->answer_count < ANSWERS_MAX);
        w->answered[w->answer_count++] = a->request;
        break;
    case NODE_SPAN:
        keep_span(w, a->trace);
        break;
    case NODE_RESOLVE:
        node_resolved(n, a->query, w->has_names ? OK : ERR_NOT_FOUND, &w->named,
                      w->has_names, w->now);
        break;
    case NODE_NONE:
    case NODE_ACCEPT:
    case NODE_SAVE_RECORD:
    case NODE_FORGET_RECORD:
    case NODE_SAVE_PROVIDER:
    case NODE_FORGET_PROVIDER:
    case NODE_SAVE_PEER:
    case NODE_FORGET_PEER:
        break;
    }
}

static inline void on_accept(struct world *w, struct pipe *p)
{
    struct multiaddr from = address(p->ends[0].node);
    conn_id conn;

    if (p->ends[0].conn == 0)
        return;
    if (node_conn_accepted(w->nodes[p->ends[1].node], &from, w->now, &conn) !=
        OK) {
        push(w, STEP_CLOSED, p, 0, SPAN_NONE);
        return;
    }
    p->ends[1].conn = conn;
    push(w, STEP_DIALLED, p, 0, SPAN_NONE);
}

static inline void take(struct world *w, struct step *s)
{
    struct end *e = &s->pipe->ends[s->to];
    struct node *n = w->nodes[e->node];

    if (s->type == STEP_ACCEPT)
        on_accept(w, s->pipe);
    else if (e->conn == 0)
        return;
    else if (s->type == STEP_DIALLED)
        node_conn_dialled(n, e->conn, w->now);
    else if (s->type == STEP_BYTES)
        node_conn_recv(n, e->conn, s->bytes, s->len, w->now, wall_of(w));
    else
        node_conn_closed(n, e->conn, OK, w->now);
}

static inline void act(struct world *w)
{
    struct node_action a;

    for (unsigned i = 0; i < w->count; i++)
        while (node_poll(w->nodes[i], &a))
            perform(w, i, &a);
}

/* Until nothing is on its way. */
static inline void settle(struct world *w)
{
    struct list *link;

    act(w);
    while ((link = list_pop_front(&w->steps)) != NULL) {
        struct step *s = LIST_ENTRY(link, struct step, link);

        take(w, s);
        free(s);
        act(w);
    }
}

static inline void run(struct world *w, duration d)
{
    tstamp until = w->now + d;

    settle(w);
    for (;;) {
        tstamp next = TSTAMP_NEVER;

        for (unsigned i = 0; i < w->count; i++)
            next = tstamp_min(next, node_deadline(w->nodes[i]));
        if (next > until)
            break;
        if (next > w->now)
            w->now = next;
        for (unsigned i = 0; i < w->count; i++)
            if (node_deadline(w->nodes[i]) <= w->now)
                node_tick(w->nodes[i], w->now, wall_of(w));
        settle(w);
    }
    w->now = until;
}

static inline void world_release(struct world *w)
{
    struct list *link;

    for (unsigned i = 0; i < w->count; i++)
        node_free(w->nodes[i]);
    while ((link = list_pop_front(&w->steps)) != NULL)
        free(LIST_ENTRY(link, struct step, link));
    for (unsigned i = 0; i < w->answer_count; i++)
        request_free(w->answered[i]);
    record_release(&w->record);
    free(w->spans);
    assert_int_equal(0, w->heap.live);
}

/* ---- What is asked of a node. ---- */

static inline struct multiaddr address_with_id(const struct world *w,
                                               unsigned at, unsigned who)
{
    struct multiaddr a = address(at);

    assert_ok(multiaddr_add_peer(&a, &w->nodes[who]->self));
    return a;
}

static inline struct request *submit(struct world *w, unsigned i,
                                     struct request *r)
{
    node_request(w->nodes[i], r, w->now, wall_of(w));
    return r;
}

static inline struct request *connect_over(struct world *w, unsigned i,
                                           unsigned at, unsigned who)
{
    struct request *r = request_new(REQUEST_CONNECT, w->now + 20 * SECONDS);

    r->in.peers.addr = address_with_id(w, at, who);
    return submit(w, i, r);
}

static inline struct request *get_within(struct world *w, unsigned i,
                                         duration within)
{
    struct request *r = request_new(REQUEST_GET, w->now + within);

    (void)snprintf(r->in.get.namespace, sizeof(r->in.get.namespace), "org");
    (void)snprintf(r->in.get.name, sizeof(r->in.get.name), "lib");
    return submit(w, i, r);
}

static inline struct request *search_within(struct world *w, unsigned i,
                                            duration within)
{
    struct request *r = request_new(REQUEST_SEARCH, w->now + within);

    (void)snprintf(r->in.search.query, sizeof(r->in.search.query), "lib");
    r->in.search.limit = 10;
    return submit(w, i, r);
}

static inline struct request *search(struct world *w, unsigned i)
{
    return search_within(w, i, 5 * SECONDS);
}

/* The next one that the first node has in its outbox. */
static inline void publish(struct world *w)
{
    struct ed25519_keypair key = fixture_key(1);

    if (w->published == 0)
        fixture_signed(&w->record, "org/lib", "1.0.0", "", &key, 1);
    w->outbox[w->published++] = true;
    node_outbox_grew(w->nodes[0], w->now);
}

static inline bool has_outbox(const struct world *w)
{
    return w->outbox[0];
}

static inline bool is_answered(const struct world *w, const struct request *r)
{
    for (unsigned i = 0; i < w->answer_count; i++)
        if (w->answered[i] == r)
            return true;
    return false;
}

static inline void two(struct world *w)
{
    struct node_config config = {0};
    struct request *r;

    world_init(w);
    (void)add(w, config);
    (void)add(w, config);
    r = connect_over(w, 0, 1, 1);
    run(w, 5 * SECONDS);
    assert_true(is_answered(w, r));
    assert_ok(r->err);
}

#endif /* UNIT_NODE_FIXTURE_H */
