/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"
#include "market/record.h"
#include "support/test.h"
#include "tbl/network.h"

#define SIM_START (1000 * SECONDS)
#define SIM_WALL ((wall_ms)1800000000000)
#define STALL (200 * MILLISECONDS)
enum { PORT = 4001, ADDRESS_BASE = 10 << 24, CHUNK_CUT_MAX = 700 };

struct end { /* of a pipe */
    unsigned node;
    conn_id conn;
    bool is_open;
};
struct pipe {
    struct end ends[2]; /* the dialler's first */
    tstamp arrives[2];  /* the last chunk to each end: order is kept */
    unsigned refs;      /* events and open ends */
};

enum event_type { EV_CONNECT, EV_DIALLED, EV_CHUNK, EV_CLOSED, EV_TICK };
struct event {
    struct heap_node at; /* first */
    enum event_type type;
    struct pipe *pipe;
    unsigned to; /* which end of the pipe; EV_TICK: the node */
    size_t len;
    uint8_t *bytes;
};

struct heard {
    uint8_t hash[SHA256_LEN];
    UT_hash_handle hh;
};
struct place { /* where a node's conn leads */
    conn_id conn;
    struct pipe *pipe;
    unsigned end;
    UT_hash_handle hh;
};

struct sim_node {
    struct node *node; /* NULL: down */
    struct store *store;
    struct reader *reader;
    struct sim_node_options options;
    struct peer_id id;
    struct rng_seeded seed;
    struct rng rng;
    unsigned side;
    struct place *places;
    struct event tick;
    struct heard *heard;
    unsigned heard_count, heard_again;
    char dir[256];
    struct log log;
};

struct sim {
    struct sim_config config;
    struct rng_seeded seed;
    struct rng rng;
    struct heap events;
    tstamp now;
    struct sim_node *nodes;
    unsigned count;
    struct sim_stats stats;
    bool is_verbose;
};

/* ---- Making. ---- */

struct sim *sim_new(const struct sim_config *config)
{
    struct sim *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->config = *config;
    if (s->config.latency_max == 0) {
        s->config.latency_min = 200 * 1000;
        s->config.latency_max = 2 * MILLISECONDS;
    }
    if (s->config.network == NULL)
        s->config.network = "souk";
    s->rng = rng_seeded(&s->seed, config->seed);
    s->now = SIM_START;
    s->nodes = calloc(config->nodes_max, sizeof(*s->nodes));
    assert_non_null(s->nodes);
    heap_init(&s->events, &mem_libc);
    s->is_verbose = getenv("SIM_LOG") != NULL;
    printf("sim: seed %llu, latency %.1f…%.1f ms, stall %u, reset %u per "
           "million, recut %d\n",
           (unsigned long long)config->seed,
           (double)s->config.latency_min / (double)MILLISECONDS,
           (double)s->config.latency_max / (double)MILLISECONDS,
           config->stall_per_million, config->reset_per_million, config->recut);
    return s;
}

tstamp sim_now(const struct sim *s)
{
    return s->now;
}

wall_ms sim_wall(const struct sim *s)
{
    return SIM_WALL + (wall_ms)((s->now - SIM_START) / MILLISECONDS);
}

static void pipe_unref(struct pipe *p)
{
    if (--p->refs == 0)
        free(p);
}

static struct event *event_new(struct sim *s, enum event_type type,
                               struct pipe *p, unsigned to, tstamp at)
{
    struct event *e = calloc(1, sizeof(*e));

    assert_non_null(e);
    e->type = type;
    e->pipe = p;
    e->to = to;
    if (p != NULL)
        p->refs++;
    assert_ok(heap_set(&s->events, &e->at, at));
    return e;
}

static void event_free(struct event *e)
{
    if (e->pipe != NULL)
        pipe_unref(e->pipe);
    free(e->bytes);
    free(e);
}

/* ---- Nodes. ---- */

static struct multiaddr address_of(unsigned i)
{
    uint32_t ip = ADDRESS_BASE | i / 200 << 16 | (i % 200 + 1);
    uint8_t bytes[4] = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16),
                        (uint8_t)(ip >> 8), (uint8_t)ip};
    struct multiaddr a;

    multiaddr_from_ip(&a, SPAN_OF(bytes), PORT);
    return a;
}

static int node_at(const struct sim *s, const struct multiaddr *a)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct multiaddr own = address_of(i);

        if (multiaddr_eq(a, &own))
            return (int)i;
    }
    return SIM_NOBODY;
}

static void print_line(void *ctx, enum log_level level, const char *room,
                       const char *line)
{
    const struct sim_node *n = ctx;
    char id[PEER_ID_TEXT_MAX];

    (void)level;
    printf("  [%s] %s: %s\n", peer_id_format(&n->id, id) + 44, room, line);
}

static void open_store(struct sim *s, struct sim_node *n)
{
    struct store_config config = {
        .dir = s->config.dir != NULL ? n->dir : NULL,
        .network = network_find(s->config.network),
        .rng = &n->rng,
    };
    char why[STORE_WHY_MAX];
    enum err err = store_open(&config, sim_wall(s), &n->store, why);

    if (err != OK)
        fail_msg("store: %s", why);
    assert_ok(reader_open(n->store, &n->reader));
    n->id = *store_self(n->store);
}

static void load_record(void *ctx, const struct saved_record *r)
{
    node_load_record(ctx, r);
}
static void load_provider(void *ctx, const struct saved_provider *p)
{
    node_load_provider(ctx, p);
}
static void load_peer(void *ctx, const struct saved_peer *p)
{
    node_load_peer(ctx, p);
}
static void load_term(void *ctx, struct span term, unsigned packages)
{
    node_load_term(ctx, term, packages);
}

static void drain(struct sim *s, unsigned i);

static void start_node(struct sim *s, unsigned i)
{
    struct sim_node *n = &s->nodes[i];
    struct multiaddr bootstrap[SIM_BOOTSTRAP_MAX], own = address_of(i);
    size_t count = 0;
    struct node_config config = {
        .network = network_find(s->config.network),
        .agent = "souk/sim",
        .is_private_network = true,
        .is_client = n->options.is_client,
        .is_standalone = n->options.is_standalone,
        .no_gossip_scores = s->config.no_gossip_scores,
        .bootstrap = bootstrap,
    };
    struct store_sink sink = {.record = load_record,
                              .provider = load_provider,
                              .peer = load_peer,
                              .term = load_term};

    n->log = (struct log){print_line, n, LOG_DEBUG};
    open_store(s, n);
    for (size_t b = 0; b < SIM_BOOTSTRAP_MAX; b++) {
        int known = n->options.bootstrap[b];

        if (known == SIM_NOBODY)
            break;
        bootstrap[count] = address_of((unsigned)known);
        assert_ok(multiaddr_add_peer(&bootstrap[count], &s->nodes[known].id));
        count++;
    }
    config.bootstrap_count = count;
    config.identity = store_identity(n->store);
    n->node = node_new(&config, s->now, sim_wall(s), &n->rng, &mem_libc,
                       s->is_verbose ? &n->log : NULL);
    sink.ctx = n->node;
    assert_ok(store_load(n->store, &sink, sim_wall(s)));
    node_listening(n->node, &own, 1);
    node_start(n->node, s->now, sim_wall(s));
    n->tick.type = EV_TICK;
    n->tick.to = i;
    drain(s, i);
}

unsigned sim_add(struct sim *s, const struct sim_node_options *options)
{
    struct sim_node *n = &s->nodes[s->count];

    assert_true(s->count < s->config.nodes_max);
    n->options = *options;
    n->rng = rng_seeded(&n->seed, rng_u64(&s->rng));
    if (s->config.dir != NULL)
        (void)snprintf(n->dir, sizeof(n->dir), "%s/%u", s->config.dir,
                       s->count);
    s->count++;
    start_node(s, s->count - 1);
    return s->count - 1;
}

unsigned sim_add_knowing(struct sim *s, int a, int b)
{
    struct sim_node_options options = {
        .bootstrap = {a, a == SIM_NOBODY ? SIM_NOBODY : b, SIM_NOBODY}};

    return sim_add(s, &options);
}

/* The other end learns of it when the news arrives. */
static void close_end(struct sim *s, struct pipe *p, unsigned end)
{
    unsigned other = 1 - end;
    struct sim_node *n = &s->nodes[p->ends[end].node];
    conn_id conn = p->ends[end].conn;
    struct place *place;
    tstamp at = s->now + s->config.latency_max;

    if (!p->ends[end].is_open)
        return;
    p->ends[end].is_open = false;
    MAP_FIND(n->places, &conn, sizeof(conn), place);
    assert_non_null(place);
    MAP_DEL(n->places, place);
    free(place);
    if (p->arrives[other] > at)
        at = p->arrives[other];
    p->arrives[other] = at;
    event_new(s, EV_CLOSED, p, other, at);
    pipe_unref(p);
}

void sim_crash(struct sim *s, unsigned i)
{
    struct sim_node *n = &s->nodes[i];
    struct place *place, *tmp;

    assert_non_null(n->node);
    MAP_FOR_EACH(n->places, place, tmp)
        close_end(s, place->pipe, place->end);
    heap_remove(&s->events, &n->tick.at);
    node_free(n->node);
    n->node = NULL;
    reader_close(n->reader);
    store_close(n->store);
    n->reader = NULL;
    n->store = NULL;
}

void sim_restart(struct sim *s, unsigned i)
{
    assert_null(s->nodes[i].node);
    start_node(s, i);
}

bool sim_is_up(const struct sim *s, unsigned i)
{
    return s->nodes[i].node != NULL;
}

void sim_cut(struct sim *s, unsigned i, unsigned side)
{
    s->nodes[i].side = side;
}

void sim_heal(struct sim *s)
{
    for (unsigned i = 0; i < s->count; i++)
        s->nodes[i].side = 0;
    s->config.stall_per_million = s->config.reset_per_million = 0;
}

void sim_free(struct sim *s)
{
    struct heap_node *due;

    for (unsigned i = 0; i < s->count; i++) {
        struct heard *h, *tmp;

        if (s->nodes[i].node != NULL)
            sim_crash(s, i);
        MAP_FOR_EACH(s->nodes[i].heard, h, tmp) {
            MAP_DEL(s->nodes[i].heard, h);
            free(h);
        }
    }
    while ((due = heap_pop_due(&s->events, TSTAMP_NEVER)) != NULL)
        event_free((struct event *)(void *)due);
    heap_release(&s->events);
    free(s->nodes);
    free(s);
}

struct node *sim_node(struct sim *s, unsigned i)
{
    return s->nodes[i].node;
}

const struct peer_id *sim_peer(const struct sim *s, unsigned i)
{
    return &s->nodes[i].id;
}

void sim_status(const struct sim *s, unsigned i, struct node_status *out)
{
    node_status(s->nodes[i].node, out);
}

/* ---- The network. ---- */

static duration latency(struct sim *s)
{
    return s->config.latency_min +
           rng_below(&s->rng,
                     s->config.latency_max - s->config.latency_min + 1);
}

static void open_end(struct sim *s, struct pipe *p, unsigned end, unsigned node,
                     conn_id conn)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    p->ends[end] = (struct end){node, conn, true};
    p->refs++;
    *place = (struct place){.conn = conn, .pipe = p, .end = end};
    MAP_ADD(s->nodes[node].places, &place->conn, sizeof(place->conn), place);
}

static void dial(struct sim *s, unsigned i, const struct node_action *a)
{
    int to = node_at(s, a->addr);
    struct pipe *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    s->stats.dials++;
    open_end(s, p, 0, i, a->conn);
    p->ends[1].node = to == SIM_NOBODY ? i : (unsigned)to;
    event_new(s, to == SIM_NOBODY ? EV_CLOSED : EV_CONNECT, p,
              to == SIM_NOBODY ? 0 : 1, s->now + latency(s));
}

static bool chance(struct sim *s, unsigned per_million)
{
    return per_million > 0 && rng_below(&s->rng, 1000000) < per_million;
}

static void send_chunk(struct sim *s, struct pipe *p, unsigned to,
                       struct span bytes)
{
    tstamp at = s->now + latency(s);
    struct event *e;

    if (chance(s, s->config.stall_per_million)) {
        s->stats.stalls++;
        at += STALL;
    }
    if (at < p->arrives[to])
        at = p->arrives[to];
    p->arrives[to] = at;
    e = event_new(s, EV_CHUNK, p, to, at);
    e->bytes = malloc(bytes.len);
    assert_non_null(e->bytes);
    memcpy(e->bytes, bytes.data, bytes.len);
    e->len = bytes.len;
    s->stats.chunks++;
    s->stats.bytes += bytes.len;
}

static void flush(struct sim *s, unsigned i, conn_id conn)
{
    struct sim_node *n = &s->nodes[i];
    struct place *place;
    struct span out;

    MAP_FIND(n->places, &conn, sizeof(conn), place);
    if (place == NULL)
        return;
    while ((out = node_conn_out(n->node, conn)).len > 0) {
        size_t len = out.len;

        if (s->config.recut && len > 1) {
            size_t max = len < CHUNK_CUT_MAX ? len : CHUNK_CUT_MAX;

            len = 1 + (size_t)rng_below(&s->rng, max);
        }
        send_chunk(s, place->pipe, 1 - place->end, SPAN(out.data, len));
        node_conn_sent(n->node, conn, len, s->now);
    }
}

/* ---- The store. ---- */

static void do_job(struct sim *s, struct sim_node *n, struct job *job)
{
    assert_non_null(job);
    store_perform(n->store, &job, 1, sim_wall(s));
    job_free(job);
}

static void load_outbox(struct sim *s, struct sim_node *n,
                        const struct node_action *a)
{
    struct outbox_page page;

    assert_ok(reader_outbox(n->reader, a->outbox.after, a->outbox.id,
                            a->outbox.limit, &page));
    node_outbox_loaded(n->node, page.items, page.count, s->now, sim_wall(s));
    outbox_page_free(&page);
}

static void search_catalogue(struct sim *s, struct sim_node *n,
                             const struct node_action *a)
{
    uint32_t query = a->query;
    struct hit_page page;
    struct query q;
    enum err err = query_parse(span_str(a->search.text), &q, NULL);

    if (err != OK) {
        node_catalogue_found(n->node, query, err, NULL, 0, 0, s->now);
        return;
    }
    q.filter = *a->search.filter;
    assert_ok(reader_hits(n->reader, &q, a->search.limit, sim_wall(s), &page));
    node_catalogue_found(n->node, query, OK, page.hits, page.count, page.total,
                         s->now);
    hit_page_free(&page);
}

static void note_heard(struct sim_node *n, struct span record)
{
    struct heard *h = calloc(1, sizeof(*h)), *known;

    assert_non_null(h);
    sha256(record, h->hash);
    MAP_FIND(n->heard, h->hash, sizeof(h->hash), known);
    n->heard_count++;
    if (known != NULL) {
        n->heard_again++;
        free(h);
        return;
    }
    MAP_ADD(n->heard, h->hash, sizeof(h->hash), h);
}

static void answered(struct request *r)
{
    bool *is_done = r->owner;

    assert_false(*is_done); /* exactly once */
    *is_done = true;
}

static void perform(struct sim *s, unsigned i, const struct node_action *a)
{
    struct sim_node *n = &s->nodes[i];
    struct place *place;

    switch (a->type) {
    case NODE_NONE:
        break;
    case NODE_DIAL:
        dial(s, i, a);
        break;
    case NODE_FLUSH:
        flush(s, i, a->conn);
        break;
    case NODE_CLOSE:
        MAP_FIND(n->places, &a->conn, sizeof(a->conn), place);
        if (place != NULL)
            close_end(s, place->pipe, place->end);
        break;
    case NODE_RESOLVE:
        node_resolved(n->node, a->query, ERR_NOT_FOUND, NULL, 0, s->now);
        break;
    case NODE_OUTBOX_LOAD:
        load_outbox(s, n, a);
        break;
    case NODE_OUTBOX_DONE:
        do_job(s, n, job_outbox_done(a->outbox.id));
        break;
    case NODE_ACCEPT:
        if (a->accept.source == ACCEPT_GOSSIP)
            note_heard(n, a->accept.bytes);
        do_job(s, n,
               job_accept(a->accept.bytes, &a->accept.from, a->accept.source,
                          a->accept.reputation, false));
        break;
    case NODE_CATALOGUE_SEARCH:
        search_catalogue(s, n, a);
        break;
    case NODE_SAVE_RECORD:
        do_job(s, n, job_save_record(a->record));
        break;
    case NODE_FORGET_RECORD:
        do_job(s, n, job_forget_record(a->record->key, &a->record->publisher));
        break;
    case NODE_SAVE_PROVIDER:
        do_job(s, n, job_save_provider(a->provider));
        break;
    case NODE_FORGET_PROVIDER:
        do_job(s, n,
               job_forget_provider(a->provider->key, &a->provider->provider));
        break;
    case NODE_SAVE_PEER:
        do_job(s, n, job_save_peer(a->peer));
        break;
    case NODE_FORGET_PEER:
        do_job(s, n, job_forget_peer(&a->peer->reputation.peer));
        break;
    case NODE_ANSWER:
        answered(a->request);
        break;
    case NODE_SPAN: /* nobody traces here */
        break;
    }
}

/* Perform what the node wants, and see when it wants to be called again. */
static void drain(struct sim *s, unsigned i)
{
    struct sim_node *n = &s->nodes[i];
    struct node_action a;
    tstamp next;

    while (n->node != NULL && node_poll(n->node, &a))
        perform(s, i, &a);
    next = node_deadline(n->node);
    if (next < s->now)
        next = s->now;
    assert_ok(heap_set(&s->events, &n->tick.at, next));
}

/* ---- Events. ---- */

static bool can_reach(const struct sim *s, const struct pipe *p)
{
    return s->nodes[p->ends[0].node].side == s->nodes[p->ends[1].node].side;
}

static void on_connect(struct sim *s, struct pipe *p)
{
    unsigned from = p->ends[0].node, to = p->ends[1].node;
    struct multiaddr remote = address_of(from);
    conn_id conn;

    if (!p->ends[0].is_open || !can_reach(s, p))
        return; /* a dial into nothing ends by its own deadline */
    /* What a listener sees is not where the dialler listens. */
    remote.bytes[remote.len - 1] ^= 1;
    if (s->nodes[to].node == NULL ||
        node_conn_accepted(s->nodes[to].node, &remote, s->now, &conn) != OK) {
        event_new(s, EV_CLOSED, p, 0, s->now + latency(s));
        return;
    }
    open_end(s, p, 1, to, conn);
    p->arrives[0] = s->now + latency(s); /* no byte before the handshake */
    event_new(s, EV_DIALLED, p, 0, p->arrives[0]);
    drain(s, to);
}

static void on_chunk(struct sim *s, struct event *e)
{
    struct end *end = &e->pipe->ends[e->to];

    if (!end->is_open)
        return;
    if (!can_reach(s, e->pipe)) { /* kept, and sent again, by TCP */
        struct event *again =
            event_new(s, EV_CHUNK, e->pipe, e->to, s->now + STALL);

        again->bytes = e->bytes;
        again->len = e->len;
        e->bytes = NULL;
        return;
    }
    if (chance(s, s->config.reset_per_million)) {
        unsigned node = end->node;
        conn_id conn = end->conn;

        s->stats.resets++;
        close_end(s, e->pipe, e->to);
        node_conn_closed(s->nodes[node].node, conn, ERR_CLOSED, s->now);
        drain(s, node);
        return;
    }
    node_conn_recv(s->nodes[end->node].node, end->conn, e->bytes, e->len,
                   s->now, sim_wall(s));
    drain(s, end->node);
}

static void on_event(struct sim *s, struct event *e)
{
    struct end *end = e->pipe != NULL ? &e->pipe->ends[e->to] : NULL;
    unsigned node;
    conn_id conn;

    switch (e->type) {
    case EV_CONNECT:
        on_connect(s, e->pipe);
        break;
    case EV_DIALLED:
        if (!end->is_open)
            break;
        node_conn_dialled(s->nodes[end->node].node, end->conn, s->now);
        drain(s, end->node);
        break;
    case EV_CHUNK:
        on_chunk(s, e);
        break;
    case EV_CLOSED:
        if (!end->is_open)
            break;
        node = end->node;
        conn = end->conn;
        close_end(s, e->pipe, e->to);
        node_conn_closed(s->nodes[node].node, conn, ERR_CLOSED, s->now);
        drain(s, node);
        break;
    case EV_TICK:
        node_tick(s->nodes[e->to].node, s->now, sim_wall(s));
        drain(s, e->to);
        break;
    }
}

static bool step(struct sim *s, tstamp until)
{
    struct heap_node *due = heap_pop_due(&s->events, until);
    struct event *e = (struct event *)(void *)due;

    if (due == NULL)
        return false;
    if (due->at > s->now)
        s->now = due->at;
    s->stats.events++;
    on_event(s, e);
    if (e->type != EV_TICK)
        event_free(e);
    return true;
}

void sim_run(struct sim *s, duration d)
{
    tstamp until = s->now + d;

    while (step(s, until))
        ;
    s->now = until;
}

bool sim_run_until(struct sim *s, bool (*is_true)(struct sim *s, void *ctx),
                   void *ctx, duration within)
{
    tstamp until = s->now + within;

    while (!is_true(s, ctx))
        if (!step(s, until)) {
            s->now = until;
            return is_true(s, ctx);
        }
    return true;
}

static bool is_settled(struct sim *s, void *ctx)
{
    unsigned want = *(unsigned *)ctx, up = 0;

    for (unsigned i = 0; i < s->count; i++)
        up += s->nodes[i].node != NULL && !s->nodes[i].options.is_client;
    if (want > up - 1)
        want = up - 1;
    for (unsigned i = 0; i < s->count; i++) {
        struct node_status st;

        if (s->nodes[i].node == NULL)
            continue;
        sim_status(s, i, &st);
        if (st.routing_table_peers < want)
            return false;
    }
    return true;
}

bool sim_settle(struct sim *s, unsigned count, duration within)
{
    return sim_run_until(s, is_settled, &count, within);
}

/* ---- What people do. ---- */

static enum err store_package(struct sim *s, unsigned i, const char *id,
                              const char *version, const char *description)
{
    struct sim_node *n = &s->nodes[i];
    struct record record;
    struct problems problems = {0};
    char text[4096];
    struct job *job;
    enum err err;

    (void)snprintf(text, sizeof(text),
                   "{\"id\":\"%s\",\"version\":\"%s\",\"metadata\":{\"title\":"
                   "\"%s\",\"description\":\"%s\"}}",
                   id, version, strchr(id, '/') + 1, description);
    err = record_parse(&record, span_str(text), RECORD_INPUT, &mem_libc,
                       &problems);
    if (err != OK)
        fail_msg("record: %s %s", problems.list[0].pointer,
                 problems.list[0].detail);
    assert_ok(record_complete(&record, sim_wall(s), NULL));
    job = job_publish(&record);
    assert_non_null(job);
    store_perform(n->store, &job, 1, sim_wall(s));
    err = job->err;
    if (err == ERR_STORE)
        fail_msg("store: %s", job->out.detail);
    job_free(job);
    return err;
}

enum err sim_publish(struct sim *s, unsigned i, const char *id,
                     const char *version, const char *description)
{
    enum err err = store_package(s, i, id, version, description);

    node_outbox_grew(s->nodes[i].node, s->now);
    drain(s, i);
    return err;
}

void sim_poke(struct sim *s, unsigned i)
{
    node_tick(s->nodes[i].node, s->now, sim_wall(s));
    drain(s, i);
}

size_t sim_outbox(struct sim *s, unsigned i)
{
    struct store_counts counts;

    store_counts(s->nodes[i].store, &counts);
    return (size_t)counts.outbox;
}

static bool is_answered(struct sim *s, void *ctx)
{
    (void)s;
    return *(bool *)ctx;
}

struct request *sim_ask(struct sim *s, unsigned i, struct request *r)
{
    bool is_done = false;
    duration within = r->deadline - s->now;

    r->owner = &is_done;
    node_request(s->nodes[i].node, r, s->now, sim_wall(s));
    drain(s, i);
    /* No request outlives its deadline. */
    assert_true(
        sim_run_until(s, is_answered, &is_done, within + 50 * MILLISECONDS));
    r->owner = NULL;
    return r;
}

static void split_id(const char *id, char *ns, char *name, size_t size)
{
    const char *slash = strchr(id, '/');

    (void)snprintf(ns, size, "%.*s", (int)(slash - id), id);
    (void)snprintf(name, size, "%s", slash + 1);
}

struct request *sim_get(struct sim *s, unsigned i, const char *id,
                        const char *version, const struct peer_id *owner,
                        duration within)
{
    struct request *r = request_new(REQUEST_GET, s->now + within);
    struct request_get *in = &r->in.get;

    split_id(id, in->namespace, in->name, sizeof(in->name));
    if (version != NULL)
        (void)snprintf(in->version, sizeof(in->version), "%s", version);
    if (owner != NULL)
        in->owner = *owner;
    return sim_ask(s, i, r);
}

struct request *sim_search(struct sim *s, unsigned i, const char *query,
                           unsigned fan_out, duration within)
{
    struct request *r = request_new(REQUEST_SEARCH, s->now + within);

    (void)snprintf(r->in.search.query, sizeof(r->in.search.query), "%s", query);
    r->in.search.limit = 20;
    r->in.search.fan_out = fan_out;
    return sim_ask(s, i, r);
}

struct request *sim_connect(struct sim *s, unsigned i, unsigned to,
                            duration within)
{
    struct request *r = request_new(REQUEST_CONNECT, s->now + within);

    r->in.peers.addr = address_of(to);
    assert_ok(multiaddr_add_peer(&r->in.peers.addr, &s->nodes[to].id));
    return sim_ask(s, i, r);
}

static enum err read_record(struct sim *s, unsigned i, const char *id,
                            const char *version, struct buf *record)
{
    struct package_view view;
    struct package_id package;
    struct semver semver;

    assert_ok(package_id_parse(span_str(id), &package));
    assert_ok(semver_parse(span_str(version), &semver));
    return reader_version(s->nodes[i].reader, &package, &semver, &view, record);
}

void sim_sign(struct sim *s, unsigned i, const char *id, const char *version,
              const char *description, struct buf *record)
{
    assert_ok(store_package(s, i, id, version, description));
    assert_ok(read_record(s, i, id, version, record));
}

bool sim_holds(struct sim *s, unsigned i, const char *id, const char *version)
{
    struct buf record;
    enum err err;

    buf_init(&record, 64 << 10, &mem_libc);
    err = read_record(s, i, id, version, &record);
    buf_release(&record);
    return err == OK;
}

unsigned sim_heard(const struct sim *s, unsigned i)
{
    return s->nodes[i].heard_count;
}

unsigned sim_heard_again(const struct sim *s, unsigned i)
{
    return s->nodes[i].heard_again;
}

void sim_stats(const struct sim *s, struct sim_stats *out)
{
    *out = s->stats;
}
