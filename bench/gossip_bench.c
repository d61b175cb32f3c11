/* SPDX-License-Identifier: Apache-2.0 */

/* Gossip alone: machines in one thread, each connected to all others in memory
 * through Noise and Yamux, and small messages that are nothing but messages: no
 * record, no DHT.  One line of JSON.
 *
 *      gossip_bench [NODES [MESSAGES [BYTES]]]
 *
 * The rate is by the CPU time of this one thread, which does both sides of
 * everything; the time that heartbeats and budgets look at is virtual. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/crypto.h"
#include "gossip/gossip.h"
#include "multi/peer_id.h"
#include "pair.h"
#include "wire/delim.h"

enum { NODES_MAX = 20, DATA_MAX = 4096, PIECE_MAX = 256 * 1024 };

static const char *const protocols[] = {"/meshsub/1.2.0"};
static const char *const topics[] = {"bench"};

/* One machine's end of a connection. */
struct end {
    struct conn *conn;
    uint32_t out; /* the stream that we write to */
    struct delim in;
};

static struct member {
    struct ed25519_keypair key;
    struct noise_static noise_key;
    struct peer_id id;
    struct gossip *gossip;
    struct end ends[NODES_MAX]; /* to each of the others */
} members[NODES_MAX];

static unsigned count;
static tstamp now = 1000 * SECONDS;
static struct rng_seeded seed;
static struct rng rng;
static size_t deliveries, copies;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "gossip_bench: %s\n", what);
    exit(1);
}

static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned index_of(const struct peer_id *id)
{
    unsigned i = 0;

    while (i < count && !peer_id_eq(&members[i].id, id))
        i++;
    must(i < count, "a stranger");
    return i;
}

/* ---- What the machines want. ---- */

static bool pump(struct member *m)
{
    struct gossip_event ev;
    struct end *to;
    bool any = false;

    while (gossip_poll(m->gossip, &ev)) {
        any = true;
        if (ev.type == GOSSIP_EV_SEND) {
            to = &m->ends[index_of(&ev.peer)];
            must(conn_stream_write(to->conn, to->out, ev.send.frame) == OK,
                 "a write");
        } else if (ev.type == GOSSIP_EV_MESSAGE) {
            deliveries++;
            must(gossip_verdict(m->gossip, ev.message.token, GOSSIP_ACCEPT,
                                now) == OK,
                 "a verdict");
        } else if (ev.type == GOSSIP_EV_OUTCOME &&
                   ev.outcome.kind == GOSSIP_DUPLICATE) {
            copies += ev.outcome.count;
        }
    }
    return any;
}

static void heard(struct member *m, unsigned from, struct span data)
{
    struct span msg;
    bool whole = true;

    while (whole) {
        must(delim_recv(&m->ends[from].in, &data, &msg, &whole) == OK, "frame");
        if (whole)
            must(gossip_on_rpc(m->gossip, &members[from].id, msg, now, 0) == OK,
                 "an RPC");
        (void)pump(m);
    }
}

static bool carry(unsigned from, unsigned to)
{
    static uint8_t in[PIECE_MAX]; /* received bytes are written to */
    struct end *a = &members[from].ends[to], *b = &members[to].ends[from];
    struct span out = conn_out(a->conn);
    size_t len = out.len < sizeof(in) ? out.len : sizeof(in);
    struct conn_event ev;

    if (len == 0)
        return false;
    memcpy(in, out.data, len);
    conn_sent(a->conn, len);
    conn_recv(b->conn, in, len, now);
    while (conn_poll(b->conn, &ev)) {
        must(ev.type != CONN_EV_CLOSED && ev.type != CONN_EV_STREAM_RESET,
             "connected");
        if (ev.type != CONN_EV_STREAM_DATA)
            continue;
        conn_stream_consumed(b->conn, ev.stream, ev.data.len, now);
        heard(&members[to], from, ev.data);
    }
    return true;
}

/* Everybody hears all that was said, then answers. */
static void settle(void)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (unsigned i = 0; i < count; i++) {
            moved |= pump(&members[i]);
            while (gossip_hand_on(members[i].gossip, now))
                moved |= pump(&members[i]);
            for (unsigned k = 0; k < count; k++)
                moved |= k != i && carry(i, k);
        }
    }
}

static void pass(duration d)
{
    now += d;
    for (unsigned i = 0; i < count; i++)
        if (gossip_deadline(members[i].gossip) <= now)
            gossip_tick(members[i].gossip, now);
    settle();
}

/* ---- A network. ---- */

static void add(struct member *m)
{
    struct gossip_config config = {.identity = &m->key,
                                   .topics = topics,
                                   .topic_count = 1,
                                   .id_function = GOSSIP_ID_FROM_SEQNO,
                                   .hands_on_later = true};

    ed25519_generate(&m->key, &rng);
    noise_static_generate(&m->noise_key, &m->key, &rng);
    peer_id_from_ed25519(&m->id, m->key.pub);
    config.self = m->id;
    m->gossip = gossip_new(&config, now, &rng, &mem_libc, &log_none);
    must(gossip_subscribe(m->gossip, span_str(topics[0]), now) == OK, "topic");
}

static void join(unsigned i, unsigned k)
{
    const struct pair_side sides[2] = {
        {&members[i].key, &members[i].noise_key},
        {&members[k].key, &members[k].noise_key}};
    const unsigned who[2] = {i, k};
    struct pair p;

    pair_open(&p, sides, &members[i].id, protocols, now, &rng);
    pair_talk(&p, now);
    must(p.upgraded == 2, "a handshake");
    for (int side = 0; side < 2; side++) {
        unsigned other = who[1 - side];
        struct end *e = &members[who[side]].ends[other];

        e->conn = p.conn[side];
        delim_init(&e->in, GOSSIP_RPC_ACCEPTED_MAX, &mem_libc);
        must(conn_stream_open(e->conn, protocols, 1, now, &e->out) == OK,
             "a stream");
        must(gossip_peer_connected(members[who[side]].gossip,
                                   &members[other].id, GOSSIP_V12, side == 1, 0,
                                   now) == OK,
             "a peer");
    }
}

static bool has_meshes(void)
{
    for (unsigned i = 0; i < count; i++)
        if (gossip_mesh_count(members[i].gossip, span_str(topics[0])) <
            (count - 1 < 5 ? count - 1 : 5))
            return false;
    return true;
}

static void network_open(void)
{
    for (unsigned i = 0; i < count; i++)
        add(&members[i]);
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = i + 1; k < count; k++)
            join(i, k);
    settle();
    for (int beats = 0; !has_meshes() && beats < 100; beats++)
        pass(1 * SECONDS);
    must(has_meshes(), "no mesh");
}

static void network_close(void)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < count; k++) {
            conn_free(members[i].ends[k].conn);
            delim_release(&members[i].ends[k].in);
        }
        gossip_free(members[i].gossip);
    }
}

/* ---- Messages. ---- */

static double spread(size_t total, size_t bytes)
{
    static uint8_t data[DATA_MAX];
    double since = cpu_s();

    for (size_t n = 0; n < total; n++) {
        rng_fill(&rng, data, bytes);
        must(gossip_publish(members[n % count].gossip, span_str(topics[0]),
                            SPAN(data, bytes), now, 0, NULL) == OK,
             "a publish");
        settle();
        pass(10 * MILLISECONDS);
    }
    must(deliveries == total * (count - 1), "not all were delivered");
    return (double)deliveries / (cpu_s() - since);
}

static size_t number(int argc, char **argv, int nth, size_t otherwise)
{
    return argc > nth ? strtoul(argv[nth], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    size_t messages = number(argc, argv, 2, 1000);
    size_t bytes = number(argc, argv, 3, 100);
    double rate;

    count = (unsigned)number(argc, argv, 1, 10);
    must(count >= 2 && count <= NODES_MAX && messages > 0 && bytes <= DATA_MAX,
         "arguments");
    crypto_init();
    rng = rng_seeded(&seed, 1);
    network_open();
    deliveries = copies = 0;
    rate = spread(messages, bytes);
    (void)printf("{\"bench\":\"gossip\",\"nodes\":%u,\"messages\":%zu,"
                 "\"bytes\":%zu,\"gossip_s\":%.0f,\"copies\":%.1f}\n",
                 count, messages, bytes, rate,
                 (double)copies / (double)deliveries);
    network_close();
    return 0;
}
