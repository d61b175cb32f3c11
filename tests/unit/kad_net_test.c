/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "kad/internal.h"

#include "support/kad.h"

/* A network of kads in virtual time, without connections: a message takes
 * LATENCY, a peer that is not reached fails after DIAL_FAILS, one that is mute
 * never answers.  Every run replays. */
enum { NODES_MAX = 64, RESULT_BYTES = 256 };
static const duration LATENCY = 5 * MILLISECONDS;
static const duration DIAL_FAILS = 50 * MILLISECONDS;

enum arrival_kind { ARRIVAL_REQUEST, ARRIVAL_ANSWER, ARRIVAL_FAILURE };

struct arrival {
    struct heap_node at;
    enum arrival_kind kind;
    unsigned from, to;
    uint64_t rpc;
    bool wants_answer;
    size_t len;
    uint8_t bytes[];
};

struct result {
    bool is_done;
    struct kad_event ev;
    char best[RESULT_BYTES];
    struct peer_id peers[KAD_PROVIDERS_MAX];
    unsigned progress, done;
};

struct node {
    struct kad *k;
    bool is_down, is_mute, is_client, is_liar;
    unsigned side; /* of a partition */
    struct result result;
    unsigned needs, added, removed;
};

struct net {
    struct node nodes[NODES_MAX];
    unsigned count;
    bool is_connected[NODES_MAX][NODES_MAX];
    struct heap arrivals;
    struct rng_seeded seed;
    struct rng rng;
    tstamp now;
    uint64_t messages;
    unsigned invented; /* by liars */
};

static wall_ms wall_of(const struct net *net)
{
    return test_wall + (wall_ms)(net->now / MILLISECONDS);
}

static void net_open(struct net *net)
{
    *net = (struct net){.now = 100 * SECONDS};
    net->rng = rng_seeded(&net->seed, 11);
    heap_init(&net->arrivals, &mem_libc);
}

static void net_close(struct net *net)
{
    struct heap_node *n;

    while ((n = heap_pop_due(&net->arrivals, TSTAMP_NEVER)) != NULL)
        free(HEAP_ENTRY(n, struct arrival, at));
    heap_release(&net->arrivals);
    for (unsigned i = 0; i < net->count; i++)
        kad_free(net->nodes[i].k);
}

static struct kad *kad_of(struct net *net, unsigned i)
{
    return net->nodes[i].k;
}

static unsigned node_add(struct net *net, bool is_client)
{
    unsigned i = net->count++;
    struct peer_id self = test_peer(i);
    struct multiaddr addr = test_addr(i);
    struct kad_config config;

    assert_true(i < NODES_MAX);
    kad_config_default(&config, &self);
    config.is_server = !is_client;
    net->nodes[i] = (struct node){.is_client = is_client};
    net->nodes[i].k = kad_new(&config, &test_validator, NULL, &net->rng,
                              &mem_libc, &log_none, net->now, wall_of(net));
    kad_set_addrs(net->nodes[i].k, &addr, 1);
    return i;
}

static bool is_reachable(const struct net *net, unsigned a, unsigned b)
{
    return b < net->count && !net->nodes[a].is_down && !net->nodes[b].is_down &&
           net->nodes[a].side == net->nodes[b].side;
}

static void identify(struct net *net, unsigned who, unsigned about)
{
    struct peer_id id = test_peer(about);
    struct multiaddr addr = test_addr(about);

    kad_peer_identified(kad_of(net, who), &id, &addr, 1, &addr,
                        !net->nodes[about].is_client, net->now);
}

static void net_connect(struct net *net, unsigned a, unsigned b)
{
    if (net->is_connected[a][b] || !is_reachable(net, a, b))
        return;
    net->is_connected[a][b] = net->is_connected[b][a] = true;
    identify(net, a, b);
    identify(net, b, a);
}

static void net_disconnect(struct net *net, unsigned a, unsigned b)
{
    struct peer_id id_a = test_peer(a), id_b = test_peer(b);

    if (!net->is_connected[a][b])
        return;
    net->is_connected[a][b] = net->is_connected[b][a] = false;
    kad_peer_disconnected(kad_of(net, a), &id_b, net->now);
    kad_peer_disconnected(kad_of(net, b), &id_a, net->now);
}

static void cut_unreachable(struct net *net)
{
    for (unsigned a = 0; a < net->count; a++)
        for (unsigned b = 0; b < a; b++)
            if (!is_reachable(net, a, b))
                net_disconnect(net, a, b);
}

static void send(struct net *net, enum arrival_kind kind, unsigned from,
                 unsigned to, uint64_t rpc, bool wants_answer, struct span msg,
                 duration after)
{
    struct arrival *a = calloc(1, sizeof(*a) + msg.len);

    assert_non_null(a);
    a->kind = kind;
    a->from = from;
    a->to = to;
    a->rpc = rpc;
    a->wants_answer = wants_answer;
    a->len = msg.len;
    if (msg.len > 0)
        memcpy(a->bytes, msg.data, msg.len);
    assert_ok(heap_set(&net->arrivals, &a->at, net->now + after));
    net->messages++;
}

static void on_rpc(struct net *net, unsigned i, const struct kad_event *ev)
{
    unsigned to = test_peer_number(&ev->peer.id);

    if (!is_reachable(net, i, to)) {
        send(net, ARRIVAL_FAILURE, to, i, ev->rpc, false, SPAN_NONE,
             DIAL_FAILS);
        return;
    }
    net_connect(net, i, to);
    send(net, ARRIVAL_REQUEST, i, to, ev->rpc, ev->wants_answer, ev->message,
         LATENCY);
}

static void keep_result(struct result *r, const struct kad_event *ev)
{
    r->is_done = true;
    r->done++;
    r->ev = *ev;
    r->best[0] = '\0';
    if (ev->values_count > 0) {
        assert_true(ev->values[0].value.len < RESULT_BYTES);
        memcpy(r->best, ev->values[0].value.data, ev->values[0].value.len);
        r->best[ev->values[0].value.len] = '\0';
    }
    for (size_t p = 0; p < ev->peers_count; p++)
        r->peers[p] = ev->peers[p].id;
}

static void drain(struct net *net, unsigned i)
{
    struct node *n = &net->nodes[i];
    struct kad_event ev;

    while (kad_poll(n->k, &ev)) {
        switch (ev.type) {
        case KAD_EV_RPC:
            on_rpc(net, i, &ev);
            break;
        case KAD_EV_DONE:
            keep_result(&n->result, &ev);
            break;
        case KAD_EV_PROGRESS:
            n->result.progress++;
            break;
        case KAD_EV_NEED_PEERS:
            n->needs++;
            if (i != 0)
                net_connect(net, i, 0);
            break;
        case KAD_EV_PEER_ADDED:
            n->added++;
            assert_true(test_peer_number(&ev.peer.id) < net->count);
            assert_false(net->nodes[test_peer_number(&ev.peer.id)].is_client);
            break;
        case KAD_EV_PEER_REMOVED:
            n->removed++;
            break;
        case KAD_EV_RPC_ABANDONED:
        case KAD_EV_RECORD_STORED:
        case KAD_EV_RECORD_FORGOTTEN:
        case KAD_EV_PROVIDER_STORED:
        case KAD_EV_PROVIDER_FORGOTTEN:
        case KAD_EV_PEER_OUTCOME:
            break;
        }
    }
}

/* A liar names twenty peers that do not exist, nearer to any key than any. */
static void lie(struct net *net, struct span request, struct buf *answer)
{
    struct arena arena;
    Wire__KadMessage *msg;
    struct kad_peer peers[KAD_K];
    struct addrs addrs[KAD_K];
    struct message m = {.closer = peers, .closer_count = KAD_K};

    arena_init(&arena, KAD_DECODE_MAX, &mem_libc);
    assert_ok(message_decode(&arena, request, &msg));
    m.type = (enum kad_rpc_type)msg->type;
    m.key = message_bytes(msg->key);
    for (unsigned i = 0; i < KAD_K; i++) {
        unsigned n = 1000 + net->invented++;
        struct multiaddr addr = test_addr(n % 4000);

        addrs[i] = (struct addrs){0};
        assert_ok(addrs_add(&addrs[i], &addr, &mem_libc));
        peers[i] = (struct kad_peer){test_peer(n), addrs_span(&addrs[i])};
    }
    assert_ok(message_encode(&arena, &m, false, answer));
    for (unsigned i = 0; i < KAD_K; i++)
        addrs_release(&addrs[i], &mem_libc);
    arena_release(&arena);
}

static void on_request(struct net *net, const struct arrival *a)
{
    struct node *n = &net->nodes[a->to];
    struct peer_id from = test_peer(a->from);
    struct span msg = SPAN(a->bytes, a->len);
    struct buf answer;
    enum err err = OK;

    if (!is_reachable(net, a->from, a->to)) {
        send(net, ARRIVAL_FAILURE, a->to, a->from, a->rpc, false, SPAN_NONE,
             LATENCY);
        return;
    }
    if (n->is_mute)
        return;
    buf_init(&answer, KAD_MESSAGE_SEND_MAX, &mem_libc);
    if (n->is_liar)
        lie(net, msg, &answer);
    else
        err = kad_on_request(n->k, &from, msg, net->now, wall_of(net), &answer);
    if (err == OK)
        assert_int_equal(a->wants_answer, buf_len(&answer) > 0);
    send(net, err == OK ? ARRIVAL_ANSWER : ARRIVAL_FAILURE, a->to, a->from,
         a->rpc, false, buf_span(&answer), LATENCY);
    buf_release(&answer);
}

static void arrive(struct net *net, const struct arrival *a)
{
    if (net->nodes[a->to].is_down)
        return;
    switch (a->kind) {
    case ARRIVAL_REQUEST:
        on_request(net, a);
        break;
    case ARRIVAL_ANSWER:
        kad_on_answer(kad_of(net, a->to), a->rpc, SPAN(a->bytes, a->len),
                      net->now, wall_of(net));
        break;
    case ARRIVAL_FAILURE:
        kad_on_failure(kad_of(net, a->to), a->rpc, ERR_DIAL_FAILED, net->now,
                       wall_of(net));
        break;
    }
}

static tstamp net_deadline(const struct net *net)
{
    tstamp at = heap_deadline(&net->arrivals);

    for (unsigned i = 0; i < net->count; i++)
        if (!net->nodes[i].is_down)
            at = tstamp_min(at, kad_deadline(net->nodes[i].k));
    return at;
}

static void drain_all(struct net *net)
{
    for (unsigned i = 0; i < net->count; i++)
        drain(net, i);
}

/* Everything that happens until |end|, or until node |until| is done. */
static void run(struct net *net, tstamp end, const struct node *until)
{
    drain_all(net);
    while (until == NULL || !until->result.is_done) {
        tstamp at = net_deadline(net);
        struct heap_node *h;

        if (at > end)
            break;
        if (at > net->now)
            net->now = at;
        while ((h = heap_pop_due(&net->arrivals, net->now)) != NULL) {
            struct arrival *a = HEAP_ENTRY(h, struct arrival, at);

            arrive(net, a);
            drain_all(net);
            free(a);
        }
        for (unsigned i = 0; i < net->count; i++)
            if (!net->nodes[i].is_down &&
                kad_deadline(kad_of(net, i)) <= net->now)
                kad_tick(kad_of(net, i), net->now, wall_of(net));
        drain_all(net);
    }
    if (until == NULL && net->now < end)
        net->now = end;
}

static void run_for(struct net *net, duration d)
{
    run(net, net->now + d, NULL);
}

/* |count| servers that know node 0 only, and the time to find each other. */
static void net_grow(struct net *net, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned node = node_add(net, false);

        if (node != 0)
            net_connect(net, node, 0);
        run_for(net, 200 * MILLISECONDS);
    }
    run_for(net, 5 * SECONDS);
}

static const struct kad_event *finish(struct net *net, unsigned i)
{
    run(net, net->now + 2 * MINUTES, &net->nodes[i]);
    assert_true(net->nodes[i].result.is_done);
    return &net->nodes[i].result.ev;
}

static const struct kad_event *put(struct net *net, unsigned i, const char *key,
                                   const char *value)
{
    uint64_t op;

    net->nodes[i].result = (struct result){0};
    assert_ok(kad_put(kad_of(net, i), span_str(key), span_str(value),
                      net->now + 10 * SECONDS, net->now, wall_of(net), &op));
    return finish(net, i);
}

static const struct kad_event *get_with(struct net *net, unsigned i,
                                        const char *key,
                                        const struct kad_get_options *options)
{
    uint64_t op;

    net->nodes[i].result = (struct result){0};
    assert_ok(kad_get(kad_of(net, i), span_str(key), options,
                      net->now + 10 * SECONDS, net->now, wall_of(net), &op));
    return finish(net, i);
}

static const struct kad_event *get(struct net *net, unsigned i, const char *key)
{
    return get_with(net, i, key, NULL);
}

static void assert_got(struct net *net, unsigned i, const char *key,
                       const char *value)
{
    (void)get(net, i, key);
    assert_string_equal(value, net->nodes[i].result.best);
}

static unsigned holders_of(struct net *net, const char *key, const char *value)
{
    unsigned count = 0;

    for (unsigned i = 0; i < net->count; i++) {
        struct kad_value out[KAD_PUBLISHERS_MAX];

        if (kad_local_records(kad_of(net, i), span_str(key), out) > 0)
            count += span_eq(out[0].value, span_str(value));
    }
    return count;
}

static unsigned stale_dials(const struct net *net)
{
    unsigned failed = 0;

    for (unsigned i = 0; i < net->count; i++) {
        struct kad_stats s;

        kad_stats(net->nodes[i].k, &s);
        for (int t = 0; t < 6; t++)
            failed += (unsigned)s.rpcs_failed[t];
    }
    return failed;
}

/* --- the tests --------------------------------------------------------- */

static void fifty_nodes_do_not_find_each_other(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 50);
    for (unsigned i = 0; i < 50; i++) {
        struct kad_stats s;

        kad_stats(kad_of(&net, i), &s);
        assert_true(s.table_peers >= KAD_K);
    }
    for (unsigned i = 0; i < 50; i++) {
        char key[32], value[32];
        const struct kad_event *ev;

        (void)snprintf(key, sizeof(key), "/souk/ns/%u", i);
        (void)snprintf(value, sizeof(value), "A:%04u:v", i);
        ev = put(&net, i, key, value);
        assert_int_equal(KAD_COMPLETE, ev->outcome);
        assert_int_equal(KAD_K, ev->requested);
        assert_int_equal(KAD_K, ev->acked);
        assert_int_equal(KAD_K, net.nodes[i].result.progress);
        assert_in_range(holders_of(&net, key, value), KAD_K, KAD_K + 1);
    }
    for (unsigned i = 0; i < 50; i++) {
        char key[32], value[32];
        unsigned reader = (i * 7 + 3) % 50;

        (void)snprintf(key, sizeof(key), "/souk/ns/%u", i);
        (void)snprintf(value, sizeof(value), "A:%04u:v", i);
        assert_got(&net, reader, key, value);
        assert_int_equal(KAD_QUORUM, net.nodes[reader].result.ev.outcome);
    }
    assert_int_equal(0, stale_dials(&net));
    net_close(&net);
}

/* The k closest found by a lookup are those that sorting all nodes gives. */
static void a_lookup_misses_the_closest(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 50);
    for (unsigned q = 0; q < 20; q++) {
        uint8_t key[8], target[KAD_POSITION_LEN], last[KAD_POSITION_LEN] = {0};
        unsigned who = q % 50, nearer = 0;
        const struct kad_event *ev;
        uint64_t op;

        rng_fill(&net.rng, key, sizeof(key));
        position_of(SPAN_OF(key), target);
        net.nodes[who].result = (struct result){0};
        assert_ok(kad_find_closest(kad_of(&net, who), SPAN_OF(key),
                                   net.now + 10 * SECONDS, net.now, &op));
        ev = finish(&net, who);
        assert_true(ev->complete);
        assert_int_equal(KAD_K, ev->peers_count);
        for (size_t p = 0; p < ev->peers_count; p++) {
            uint8_t d[KAD_POSITION_LEN];

            position_of(peer_id_span(&net.nodes[who].result.peers[p]), d);
            position_xor(d, target, d);
            assert_true(memcmp(last, d, sizeof(d)) < 0);
            memcpy(last, d, sizeof(d));
        }
        for (unsigned i = 0; i < 50; i++) {
            struct peer_id id = test_peer(i);
            uint8_t d[KAD_POSITION_LEN];

            position_of(peer_id_span(&id), d);
            position_xor(d, target, d);
            nearer += i != who && memcmp(d, last, sizeof(d)) <= 0;
        }
        assert_int_equal(KAD_K, nearer);
    }
    net_close(&net);
}

static void what_is_nowhere_is_not_found_completely(void **state)
{
    const struct kad_event *ev;
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 30);
    ev = get(&net, 3, "/souk/no/such");
    assert_int_equal(KAD_COMPLETE, ev->outcome);
    assert_true(ev->complete);
    assert_int_equal(0, ev->values_count);
    assert_true(ev->answered >= KAD_K);
    assert_true(ev->hops >= 1);
    net_close(&net);
}

static void a_node_alone_claims_a_complete_answer(void **state)
{
    const struct kad_event *ev;
    struct net net;

    (void)state;
    net_open(&net);
    (void)node_add(&net, false);
    ev = get(&net, 0, "/souk/a");
    assert_int_equal(KAD_NO_PEERS, ev->outcome);
    assert_false(ev->complete);
    ev = put(&net, 0, "/souk/a", "A:0001:");
    assert_int_equal(KAD_NO_PEERS, ev->outcome);
    assert_int_equal(0, ev->requested);
    assert_got(&net, 0, "/souk/a", "A:0001:");
    net_close(&net);
}

/* A third of the nodes die without a word. */
static void failing_peers_lose_a_record(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 45);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    for (unsigned i = 0; i < 45; i += 3)
        net.nodes[i].is_down = true;
    cut_unreachable(&net);
    for (unsigned i = 1; i < 45; i += 3)
        assert_got(&net, i, "/souk/a", "A:0001:v");
    assert_int_equal(KAD_COMPLETE, get(&net, 2, "/souk/none")->outcome);
    /* The dead fall out of every table, and are not dialled for ever. */
    run_for(&net, 60 * MINUTES);
    for (unsigned i = 1; i < 45; i += 3)
        for (unsigned dead = 0; dead < 45; dead += 3) {
            struct peer_id id = test_peer(dead);

            assert_false(kad_is_in_table(kad_of(&net, i), &id));
        }
    net_close(&net);
}

/* Peers that take a question and never answer hold up neither a put nor the
 * end of a lookup; the get tells that it may have missed something. */
static void mute_peers_hang_a_lookup(void **state)
{
    struct net net;
    const struct kad_event *ev;

    (void)state;
    net_open(&net);
    net_grow(&net, 30);
    for (unsigned i = 0; i < 30; i += 5)
        net.nodes[i].is_mute = true;
    ev = put(&net, 1, "/souk/a", "A:0001:v");
    assert_true(ev->acked >= 15);
    assert_true(ev->elapsed <= 10 * SECONDS);
    assert_got(&net, 2, "/souk/a", "A:0001:v");
    assert_true(net.nodes[2].result.ev.elapsed < 3 * SECONDS);
    ev = get(&net, 3, "/souk/none");
    assert_true(ev->elapsed <= 10 * SECONDS);
    assert_int_equal(KAD_DEADLINE, ev->outcome);
    assert_false(ev->complete);
    /* In time the mute fall out. */
    run_for(&net, 15 * MINUTES);
    ev = get(&net, 3, "/souk/none");
    assert_true(ev->complete);
    net_close(&net);
}

static void stale_holders_stay_stale(void **state)
{
    struct kad_get_options full = {.is_full = true};
    struct kad_value new = {.value = SPAN_LIT("A:0002:new"),
                            .owner = test_owner('A')};
    const struct kad_event *ev;
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 15);
    (void)put(&net, 1, "/souk/a", "A:0001:old");
    assert_int_equal(15, holders_of(&net, "/souk/a", "A:0001:old"));
    /* One holder learns of the new one alone; another forgets. */
    assert_ok(kad_load_record(kad_of(&net, 7), SPAN_LIT("/souk/a"), &new, false,
                              wall_of(&net), wall_of(&net) + 3600 * 1000,
                              net.now, wall_of(&net)));
    ev = get_with(&net, 3, "/souk/a", &full);
    assert_int_equal(KAD_COMPLETE, ev->outcome);
    assert_int_equal(2, ev->values_count);
    assert_string_equal("A:0002:new", net.nodes[3].result.best);
    run_for(&net, 1 * SECONDS);
    assert_int_equal(15, holders_of(&net, "/souk/a", "A:0002:new"));
    net_close(&net);
}

static void a_holder_of_none_stays_without(void **state)
{
    struct kad_get_options full = {.is_full = true};
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 10);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    net_grow(&net, 3);
    assert_int_equal(10, holders_of(&net, "/souk/a", "A:0001:v"));
    (void)get_with(&net, 3, "/souk/a", &full);
    run_for(&net, 1 * SECONDS);
    assert_int_equal(13, holders_of(&net, "/souk/a", "A:0001:v"));
    net_close(&net);
}

static void several_publishers_are_not_told_apart(void **state)
{
    struct kad_get_options full = {.is_full = true};
    const struct kad_event *ev;
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 10);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    (void)put(&net, 2, "/souk/a", "B:0005:v");
    (void)put(&net, 3, "/souk/a", "-:0009:v");
    ev = get_with(&net, 4, "/souk/a", &full);
    assert_string_equal("B:0005:v", net.nodes[4].result.best);
    assert_true(ev->values_count >= 1);
    net_close(&net);
}

static void halves_of_a_partition_never_meet_again(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 40);
    for (unsigned i = 0; i < 40; i++)
        net.nodes[i].side = i % 2;
    cut_unreachable(&net);
    run_for(&net, 10 * MINUTES);
    (void)put(&net, 0, "/souk/even", "A:0001:even");
    (void)put(&net, 1, "/souk/odd", "A:0001:odd");
    assert_int_equal(0, get(&net, 2, "/souk/odd")->values_count);
    for (unsigned i = 0; i < 40; i++)
        net.nodes[i].side = 0;
    run_for(&net, 6 * MINUTES);
    for (unsigned i = 0; i < 40; i++) {
        assert_got(&net, i, "/souk/even", "A:0001:even");
        assert_got(&net, i, "/souk/odd", "A:0001:odd");
    }
    net_close(&net);
}

static void isolation_needs_a_restart(void **state)
{
    struct peer_id other = test_peer(0);
    struct net net;
    unsigned needs;

    (void)state;
    net_open(&net);
    net_grow(&net, 2);
    assert_true(kad_is_in_table(kad_of(&net, 1), &other));
    net.nodes[1].side = 1;
    cut_unreachable(&net);
    run_for(&net, 30 * MINUTES);
    assert_false(kad_is_in_table(kad_of(&net, 1), &other));
    /* Backed off to one a minute, but for ever. */
    needs = net.nodes[1].needs;
    run_for(&net, 60 * MINUTES);
    assert_in_range(net.nodes[1].needs - needs, 45, 75);
    net.nodes[1].side = 0;
    run_for(&net, 75 * SECONDS);
    assert_true(kad_is_in_table(kad_of(&net, 1), &other));
    net_close(&net);
}

static void clients_are_asked(void **state)
{
    struct net net;
    unsigned client;
    struct kad_stats s;

    (void)state;
    net_open(&net);
    net_grow(&net, 20);
    client = node_add(&net, true);
    net_connect(&net, client, 0);
    run_for(&net, 5 * SECONDS);
    (void)put(&net, client, "/souk/a", "A:0001:v");
    assert_int_equal(20, net.nodes[client].result.ev.acked);
    assert_got(&net, 5, "/souk/a", "A:0001:v");
    run_for(&net, 30 * MINUTES);
    for (unsigned i = 0; i < 20; i++) {
        struct peer_id id = test_peer(client);

        assert_false(kad_is_in_table(kad_of(&net, i), &id));
    }
    kad_stats(kad_of(&net, client), &s);
    for (int t = 0; t < 6; t++)
        assert_int_equal(0, s.requests[t]);
    net_close(&net);
}

static void a_liar_costs_more_than_its_share(void **state)
{
    const struct kad_event *ev;
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 30);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    for (unsigned i = 0; i < 30; i += 6)
        net.nodes[i].is_liar = true;
    for (unsigned i = 1; i < 30; i += 6) {
        ev = get(&net, i, "/souk/a");
        assert_string_equal("A:0001:v", net.nodes[i].result.best);
        assert_true(ev->asked <= KAD_ASKED_MAX);
        assert_true(ev->elapsed <= 2 * SECONDS);
    }
    ev = get(&net, 2, "/souk/none");
    assert_int_equal(0, ev->values_count);
    assert_true(ev->asked <= KAD_ASKED_MAX);
    net_close(&net);
}

static void providers_are_not_found(void **state)
{
    const struct kad_event *ev;
    struct net net;
    uint64_t op;

    (void)state;
    net_open(&net);
    net_grow(&net, 30);
    for (unsigned i = 1; i <= 3; i++) {
        net.nodes[i].result = (struct result){0};
        assert_ok(kad_provide(kad_of(&net, i), SPAN_LIT("term"),
                              net.now + 10 * SECONDS, net.now, wall_of(&net),
                              &op));
        ev = finish(&net, i);
        assert_int_equal(KAD_K, ev->acked);
    }
    net.nodes[9].result = (struct result){0};
    assert_ok(kad_find_providers(kad_of(&net, 9), SPAN_LIT("term"), 0,
                                 net.now + 10 * SECONDS, net.now, &op));
    ev = finish(&net, 9);
    assert_true(ev->complete);
    assert_int_equal(3, ev->peers_count);
    net.nodes[9].result = (struct result){0};
    assert_ok(kad_find_providers(kad_of(&net, 9), SPAN_LIT("term"), 2,
                                 net.now + 10 * SECONDS, net.now, &op));
    ev = finish(&net, 9);
    assert_int_equal(KAD_QUORUM, ev->outcome);
    assert_int_equal(2, ev->peers_count);
    net_close(&net);
}

/* All that hold a record leave, one after another, and others come: who holds
 * it puts it again at who is near, so it outlives them all. */
static void a_record_dies_with_its_holders(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 8);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    for (unsigned gone = 1; gone < 8; gone++) {
        net_grow(&net, 1);
        run_for(&net, 80 * MINUTES);
        net.nodes[gone].is_down = true;
        cut_unreachable(&net);
    }
    assert_got(&net, 14, "/souk/a", "A:0001:v");
    /* But not for ever: its publisher is gone. */
    run_for(&net, 48 * HOURS);
    assert_int_equal(0, get(&net, 14, "/souk/a")->values_count);
    net_close(&net);
}

static void our_records_end_while_we_live(void **state)
{
    struct kad_stats s;
    struct net net;
    uint64_t op;

    (void)state;
    net_open(&net);
    net_grow(&net, 5);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    (void)put(&net, 1, "/souk/u", "-:0001:v");
    net.nodes[1].result = (struct result){0};
    assert_ok(kad_provide(kad_of(&net, 1), SPAN_LIT("term"),
                          net.now + 10 * SECONDS, net.now, wall_of(&net), &op));
    (void)finish(&net, 1);
    run_for(&net, 100 * HOURS);
    kad_stats(kad_of(&net, 1), &s);
    assert_int_equal(8, s.republished);
    assert_true(s.reprovided >= 4);
    assert_got(&net, 3, "/souk/a", "A:0001:v");
    assert_got(&net, 3, "/souk/u", "-:0001:v");
    kad_stats(kad_of(&net, 3), &s);
    assert_int_equal(1, s.provider_records);
    net_close(&net);
}

/* Everybody holds it: in an hour one of them puts it again, not all. */
static void all_holders_replicate_at_once(void **state)
{
    uint64_t replicated = 0;
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 20);
    (void)put(&net, 1, "/souk/a", "A:0001:v");
    run_for(&net, 10 * HOURS);
    for (unsigned i = 0; i < 20; i++) {
        struct kad_stats s;

        kad_stats(kad_of(&net, i), &s);
        replicated += s.replicated;
    }
    assert_in_range(replicated, 8, 40);
    net_close(&net);
}

static void readiness_starves_in_a_quiet_network(void **state)
{
    struct net net;

    (void)state;
    net_open(&net);
    net_grow(&net, 3);
    for (int i = 0; i < 60; i++) {
        run_for(&net, 30 * SECONDS);
        for (unsigned n = 0; n < 3; n++)
            assert_true(net.now - kad_last_answer_at(kad_of(&net, n)) <=
                        61 * SECONDS);
    }
    net_close(&net);
}

static void a_quiet_network_talks_too_much(void **state)
{
    struct net net;
    uint64_t before;

    (void)state;
    net_open(&net);
    net_grow(&net, 10);
    run_for(&net, 30 * MINUTES);
    before = net.messages;
    run_for(&net, 60 * MINUTES);
    /* One question a minute and a refresh each ten, of ten nodes. */
    assert_true((net.messages - before) / 10 / 60 < 20);
    net_close(&net);
}

static void put_to_goes_elsewhere(void **state)
{
    struct peer_id to[3] = {test_peer(2), test_peer(4), test_peer(4)};
    const struct kad_event *ev;
    struct net net;
    uint64_t op;

    (void)state;
    net_open(&net);
    net_grow(&net, 6);
    net.nodes[1].result = (struct result){0};
    assert_ok(kad_put_to(kad_of(&net, 1), SPAN_LIT("/souk/a"),
                         SPAN_LIT("-:0001:v"), to, 3, net.now + 10 * SECONDS,
                         net.now, wall_of(&net), &op));
    ev = finish(&net, 1);
    assert_int_equal(2, ev->requested);
    assert_int_equal(2, ev->acked);
    assert_int_equal(3, holders_of(&net, "/souk/a", "-:0001:v"));
    net_close(&net);
}

static void many_operations_starve_each_other(void **state)
{
    struct net net;
    struct kad_stats s;

    (void)state;
    net_open(&net);
    net_grow(&net, 25);
    net.nodes[1].result = (struct result){0};
    kad_of(&net, 1)->config.rpcs_max = 16;
    for (unsigned i = 0; i < 100; i++) {
        char key[32];
        uint64_t op;

        (void)snprintf(key, sizeof(key), "/souk/%u", i);
        assert_ok(kad_put(kad_of(&net, 1), span_str(key), SPAN_LIT("A:0001:v"),
                          net.now + 10 * MINUTES, net.now, wall_of(&net), &op));
    }
    run_for(&net, 2 * MINUTES);
    assert_int_equal(100, net.nodes[1].result.done);
    assert_int_equal(100 * KAD_K, net.nodes[1].result.progress);
    kad_stats(kad_of(&net, 1), &s);
    assert_int_equal(0, s.operations);
    assert_true(s.rpcs_refused > 0);
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_nodes_do_not_find_each_other),
        cmocka_unit_test(a_lookup_misses_the_closest),
        cmocka_unit_test(what_is_nowhere_is_not_found_completely),
        cmocka_unit_test(a_node_alone_claims_a_complete_answer),
        cmocka_unit_test(failing_peers_lose_a_record),
        cmocka_unit_test(mute_peers_hang_a_lookup),
        cmocka_unit_test(stale_holders_stay_stale),
        cmocka_unit_test(a_holder_of_none_stays_without),
        cmocka_unit_test(several_publishers_are_not_told_apart),
        cmocka_unit_test(halves_of_a_partition_never_meet_again),
        cmocka_unit_test(isolation_needs_a_restart),
        cmocka_unit_test(clients_are_asked),
        cmocka_unit_test(a_liar_costs_more_than_its_share),
        cmocka_unit_test(providers_are_not_found),
        cmocka_unit_test(a_record_dies_with_its_holders),
        cmocka_unit_test(our_records_end_while_we_live),
        cmocka_unit_test(all_holders_replicate_at_once),
        cmocka_unit_test(readiness_starves_in_a_quiet_network),
        cmocka_unit_test(a_quiet_network_talks_too_much),
        cmocka_unit_test(put_to_goes_elsewhere),
        cmocka_unit_test(many_operations_starve_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
