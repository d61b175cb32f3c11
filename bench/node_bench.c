/* SPDX-License-Identifier: Apache-2.0 */

/* Whole nodes in one thread, joined in memory: what the node itself costs,
 * without sockets, disk or scheduler.  One line of JSON.
 *
 *      node_bench [NODES [PUBLISHES [GETS [HANDSHAKES]]]]
 *
 * All rates are by the CPU time of this one thread, which does both sides of
 * everything: handshakes of two connections, a burst of publishes (announced
 * to all, put to all three times, terms provided) until the last one is
 * everywhere, and gets through the DHT.  Time is virtual where it is waited
 * for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "market/record.h"
#include "node/node.h"
#include "pair.h"
#include "tbl/network.h"

enum {
    NODES_MAX = 20,
    CONNS_MAX = 4096, /* ever made by one node */
    CHUNK_MAX = 256 * 1024,
    WALL_START_S = 1762000000,
};

struct wire {
    unsigned node; /* at the other end */
    conn_id conn;  /* 0: none */
};

struct member {
    struct node *node;
    struct ed25519_keypair key;
    struct wire wires[CONNS_MAX]; /* by our own id */
    struct multiaddr addr;
};

static struct member members[NODES_MAX];
static unsigned count = 10, alive;
static tstamp now = 1000 * SECONDS;
static struct rng_seeded seed;
static struct rng rng;

static struct record *records;
static size_t record_count, records_put, deliveries, answers, answers_bad;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "node_bench: %s\n", what);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static wall_ms wall(void)
{
    return (wall_ms)WALL_START_S * 1000 + (wall_ms)(now / MILLISECONDS);
}

/* ---- The wires. ---- */

static void hang_up(unsigned i, conn_id conn)
{
    struct wire w = members[i].wires[conn];

    if (w.conn == 0)
        return;
    members[i].wires[conn].conn = 0;
    members[w.node].wires[w.conn].conn = 0;
    node_conn_closed(members[w.node].node, w.conn, OK, now);
}

static void dial(unsigned i, const struct node_action *a)
{
    struct multiaddr bare = *a->addr;
    conn_id there;

    multiaddr_strip_peer(&bare);
    for (unsigned k = 0; k < alive; k++) {
        if (k == i || !multiaddr_eq(&bare, &members[k].addr))
            continue;
        if (node_conn_accepted(members[k].node, &members[i].addr, now,
                               &there) != OK)
            break;
        must(a->conn < CONNS_MAX && there < CONNS_MAX, "connections");
        members[i].wires[a->conn] = (struct wire){k, there};
        members[k].wires[there] = (struct wire){i, a->conn};
        node_conn_dialled(members[i].node, a->conn, now);
        return;
    }
    node_conn_closed(members[i].node, a->conn, ERR_DIAL_FAILED, now);
}

static void flush(unsigned i, conn_id conn)
{
    static uint8_t bytes[CHUNK_MAX];
    struct wire w = members[i].wires[conn];
    struct span out;

    while ((out = node_conn_out(members[i].node, conn)).len > 0) {
        size_t len = out.len < sizeof(bytes) ? out.len : sizeof(bytes);

        memcpy(bytes, out.data, len);
        node_conn_sent(members[i].node, conn, len, now);
        if (w.conn != 0)
            node_conn_recv(members[w.node].node, w.conn, bytes, len, now,
                           wall());
    }
}

/* ---- What the nodes want. ---- */

static void load_outbox(unsigned i, const struct node_action *a)
{
    struct outbox_item items[64];
    size_t n = 0;

    for (size_t id = (size_t)a->outbox.after;
         i == 0 && id < records_put && n < a->outbox.limit && n < 64;
         id++, n++) {
        struct span bytes = buf_span(&records[id].bytes);

        items[n] = (struct outbox_item){.id = (int64_t)id + 1,
                                        .head = bytes,
                                        .version_record = bytes,
                                        .namespace = records[id].id.ns,
                                        .name = records[id].id.name,
                                        .version = "1.0.0"};
    }
    node_outbox_loaded(members[i].node, items, n, now, wall());
}

static void take_answer(const struct node_action *a)
{
    answers++;
    answers_bad += a->request->err != OK;
    request_free(a->request);
}

static void perform(unsigned i, const struct node_action *a)
{
    struct node *n = members[i].node;

    switch (a->type) {
    case NODE_DIAL:
        dial(i, a);
        break;
    case NODE_FLUSH:
        flush(i, a->conn);
        break;
    case NODE_CLOSE:
        hang_up(i, a->conn);
        break;
    case NODE_RESOLVE:
        node_resolved(n, a->query, ERR_NOT_FOUND, NULL, 0, now);
        break;
    case NODE_OUTBOX_LOAD:
        load_outbox(i, a);
        break;
    case NODE_CATALOGUE_SEARCH:
        node_catalogue_found(n, a->query, OK, NULL, 0, 0, now);
        break;
    case NODE_ACCEPT:
        deliveries += a->accept.source == ACCEPT_GOSSIP;
        break;
    case NODE_ANSWER:
        take_answer(a);
        break;
    case NODE_NONE:
    case NODE_SPAN:
    case NODE_OUTBOX_DONE:
    case NODE_SAVE_RECORD:
    case NODE_FORGET_RECORD:
    case NODE_SAVE_PROVIDER:
    case NODE_FORGET_PROVIDER:
    case NODE_SAVE_PEER:
    case NODE_FORGET_PEER:
        break; /* nothing is kept */
    }
}

/* Until nobody wants anything. */
static void settle(void)
{
    struct node_action a;
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned i = 0; i < alive; i++)
            while (node_poll(members[i].node, &a)) {
                perform(i, &a);
                moved = true;
            }
    }
}

/* To the next moment that anybody waits for, at most |d| away. */
static void pass(duration d)
{
    tstamp next = now + d;

    for (unsigned i = 0; i < alive; i++)
        next = tstamp_min(next, node_deadline(members[i].node));
    if (next > now)
        now = next;
    for (unsigned i = 0; i < alive; i++)
        if (node_deadline(members[i].node) <= now)
            node_tick(members[i].node, now, wall());
    settle();
}

static uint64_t events(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < alive; i++) {
        struct node_status s;

        node_status(members[i].node, &s);
        sum += s.events;
    }
    return sum;
}

/* ---- A network. ---- */

static void add(unsigned i)
{
    uint8_t ip[4] = {127, 0, 0, 1};
    struct member *m = &members[i];
    struct multiaddr first = members[0].addr;
    struct node_config config = {.network = network_find("souk"),
                                 .identity = &m->key,
                                 .agent = "souk/bench",
                                 .is_private_network = true,
                                 .bootstrap = &first,
                                 .bootstrap_count = i > 0};
    struct peer_id id;

    ed25519_generate(&m->key, &rng);
    multiaddr_from_ip(&m->addr, SPAN_OF(ip), (uint16_t)(4001 + i));
    peer_id_from_ed25519(&id, members[0].key.pub);
    if (i > 0)
        must(multiaddr_add_peer(&first, &id) == OK, "address");
    m->node = node_new(&config, now, wall(), &rng, &mem_libc, &log_none);
    alive = i + 1;
    node_listening(m->node, &m->addr, 1);
    node_start(m->node, now, wall());
    settle();
}

static bool is_settled(void)
{
    for (unsigned i = 0; i < count; i++) {
        struct node_status s;

        node_status(members[i].node, &s);
        if (s.routing_table_peers < count - 1 || s.mesh_peers == 0)
            return false;
    }
    return true;
}

static void network_open(void)
{
    tstamp end = now + 10 * MINUTES;

    for (unsigned i = 0; i < count; i++)
        add(i);
    while (!is_settled() && now < end)
        pass(SECONDS);
    must(is_settled(), "the nodes do not find each other");
    for (end = now + 5 * SECONDS; now < end;)
        pass(SECONDS);
}

static void network_close(void)
{
    for (unsigned i = 0; i < count; i++)
        node_free(members[i].node);
}

/* ---- Publishes. ---- */

static void make_record(size_t nth)
{
    static const struct record_version only = {{1, 0, 0, ""}, false};
    struct record_seal seal = {
        .sequence = 1, .versions = &only, .version_count = 1};
    char text[1024];
    struct record r;
    int len = snprintf(
        text, sizeof(text),
        "{\"id\":\"bench/p%zu\",\"version\":\"1.0.0\",\"metadata\":{"
        "\"title\":\"Package %zu\",\"description\":\"A small tool that does "
        "one thing and does it well, number %zu of very many.\",\"tags\":"
        "[\"tool\",\"small\"],\"categories\":[\"Utility\"],"
        "\"license\":\"MIT\"}}",
        nth, nth, nth);

    must(record_parse(&r, SPAN(text, (size_t)len), RECORD_INPUT, &mem_libc,
                      NULL) == OK &&
             record_complete(&r, wall(), NULL) == OK &&
             record_sign(&r, &seal, &members[0].key, &records[nth]) == OK,
         "record");
    record_release(&r);
}

struct rate {
    double a_s, events_a_s;
};

static struct rate rate_of(size_t n, uint64_t events_before, double since)
{
    double took = cpu_s() - since;

    return (struct rate){(double)n / took,
                         (double)(events() - events_before) / took};
}

static struct rate publish(void)
{
    tstamp end = now + 10 * MINUTES;
    uint64_t before = events();
    double since = cpu_s();

    records_put = record_count;
    node_outbox_grew(members[0].node, now);
    settle();
    while (deliveries < record_count * (count - 1) && now < end)
        pass(SECONDS);
    must(deliveries >= record_count * (count - 1), "not all were delivered");
    return rate_of(deliveries, before, since);
}

/* ---- Gets. ---- */

static void ask(size_t nth)
{
    struct request *r = request_new(REQUEST_GET, now + 10 * SECONDS);
    const struct package_id *id = &records[nth % record_count].id;

    must(r != NULL, "memory");
    (void)snprintf(r->in.get.namespace, sizeof(r->in.get.namespace), "%s",
                   id->ns);
    (void)snprintf(r->in.get.name, sizeof(r->in.get.name), "%s", id->name);
    node_request(members[1 + nth % (count - 1)].node, r, now, wall());
    settle();
}

static struct rate get(size_t total)
{
    uint64_t before = events();
    double since = cpu_s();

    for (size_t i = 0; i < total; i++)
        ask(i);
    must(answers == total && answers_bad == 0, "gets were not answered");
    return rate_of(total, before, since);
}

/* ---- Handshakes. ---- */

static double handshakes(size_t total)
{
    static const char *const protocols[] = {"/bench/1.0.0"};
    struct noise_static noise_keys[2];
    struct pair_side sides[2];
    struct peer_id expected;
    struct pair p;
    double since;

    for (int i = 0; i < 2; i++) {
        noise_static_generate(&noise_keys[i], &members[i].key, &rng);
        sides[i] = (struct pair_side){&members[i].key, &noise_keys[i]};
    }
    peer_id_from_ed25519(&expected, members[0].key.pub);
    since = cpu_s();
    for (size_t n = 0; n < total; n++) {
        pair_open(&p, sides, &expected, protocols, now, &rng);
        pair_talk(&p, now);
        must(p.upgraded == 2, "handshake");
        pair_close(&p);
    }
    return (double)total / (cpu_s() - since);
}

static size_t number(int argc, char **argv, int nth, size_t otherwise)
{
    return argc > nth ? strtoul(argv[nth], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct rate published, got;
    size_t gets, shakes;
    double shaken;

    count = (unsigned)number(argc, argv, 1, 10);
    record_count = number(argc, argv, 2, 500);
    gets = number(argc, argv, 3, 2000);
    shakes = number(argc, argv, 4, 2000);
    must(count >= 2 && count <= NODES_MAX && record_count > 0, "arguments");
    crypto_init();
    record_init();
    rng = rng_seeded(&seed, 1);
    records = calloc(record_count, sizeof(*records));
    must(records != NULL, "memory");
    network_open();
    for (size_t i = 0; i < record_count; i++)
        make_record(i);
    published = publish();
    got = get(gets);
    shaken = handshakes(shakes);
    (void)printf("{\"bench\":\"node\",\"nodes\":%u,\"publishes\":%zu,"
                 "\"gets\":%zu,\"handshakes\":%zu,\"deliveries_s\":%.0f,"
                 "\"publish_events_s\":%.0f,\"gets_s\":%.0f,"
                 "\"get_events_s\":%.0f,\"handshakes_s\":%.0f}\n",
                 count, record_count, gets, shakes, published.a_s,
                 published.events_a_s, got.a_s, got.events_a_s, shaken);
    network_close();
    for (size_t i = 0; i < record_count; i++)
        record_release(&records[i]);
    free(records);
    return 0;
}
