/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "gossip/state.h"

#include "gossip_fixture.h"

/* Twenty nodes in virtual time: what one tells to be sent arrives at the other
 * after its link's delay, or is lost. */

enum { NODES = 20, LINKS = 6, MESSAGES_MAX = 64 };

struct net_node {
    struct who who;
    struct gossip *g;
    struct rng_seeded seed;
    struct rng rng;
    unsigned heard[MESSAGES_MAX];
    tstamp heard_at[MESSAGES_MAX];
    enum gossip_verdict verdict;
    bool is_silent; /* forwards nothing: everything it sends is lost */
};

struct parcel {
    struct heap_node at;
    size_t from, to;
    size_t len;
    uint8_t bytes[];
};

struct net {
    struct net_node nodes[NODES];
    bool is_linked[NODES][NODES];
    unsigned loss_percent; /* of messages */
    struct heap parcels;
    struct rng_seeded seed;
    struct rng rng;
    tstamp now;
    unsigned outcomes[GOSSIP_OUTCOME_COUNT];
    unsigned sent, lost;
};

static size_t node_of(const struct net *net, const struct peer_id *id)
{
    for (size_t i = 0; i < NODES; i++)
        if (peer_id_eq(&net->nodes[i].who.id, id))
            return i;
    fail_msg("an event for a stranger");
    return 0;
}

static void post(struct net *net, size_t from, const struct gossip_event *ev)
{
    size_t to = node_of(net, &ev->peer);
    bool is_message = ev->send.kind == GOSSIP_SEND_FORWARDED ||
                      ev->send.kind == GOSSIP_SEND_OWN;
    struct parcel *p;

    net->sent++;
    assert_in_range(ev->send.rpc.len, 1, GOSSIP_RPC_SENT_MAX);
    if (is_message && (net->nodes[from].is_silent ||
                       rng_below(&net->rng, 100) < net->loss_percent)) {
        net->lost++;
        return;
    }
    p = calloc(1, sizeof(*p) + ev->send.rpc.len);
    p->from = from;
    p->to = to;
    p->len = ev->send.rpc.len;
    memcpy(p->bytes, ev->send.rpc.data, p->len);
    /* 10 to 50 ms, the same for each pair, so that order is kept. */
    assert_ok(
        heap_set(&net->parcels, &p->at,
                 net->now + (10 + (from * 7 + to * 7) % 41) * MILLISECONDS));
}

static void hear(struct net *net, size_t at, const struct gossip_event *ev)
{
    struct net_node *n = &net->nodes[at];
    unsigned k;

    assert_true(ev->message.data.len >= sizeof(k));
    memcpy(&k, ev->message.data.data, sizeof(k));
    assert_in_range(k, 0, MESSAGES_MAX - 1);
    n->heard[k]++;
    n->heard_at[k] = net->now;
    assert_ok(gossip_verdict(n->g, ev->message.token, n->verdict, net->now));
}

static void net_drain(struct net *net, size_t at)
{
    struct gossip_event ev;

    while (gossip_poll(net->nodes[at].g, &ev))
        if (ev.type == GOSSIP_EV_SEND)
            post(net, at, &ev);
        else if (ev.type == GOSSIP_EV_MESSAGE)
            hear(net, at, &ev);
        else
            net->outcomes[ev.outcome.kind] += ev.outcome.count;
}

static void arrive(struct net *net, struct parcel *p)
{
    if (net->is_linked[p->from][p->to]) {
        assert_ok(gossip_on_rpc(net->nodes[p->to].g,
                                &net->nodes[p->from].who.id,
                                SPAN(p->bytes, p->len), net->now, WALL));
        net_drain(net, p->to);
    }
    free(p);
}

static void run(struct net *net, duration length)
{
    tstamp end = net->now + length;

    for (;;) {
        tstamp next = heap_deadline(&net->parcels);
        struct heap_node *due;

        for (size_t i = 0; i < NODES; i++)
            next = tstamp_min(next, gossip_deadline(net->nodes[i].g));
        if (next > end)
            break;
        net->now = next;
        while ((due = heap_pop_due(&net->parcels, next)) != NULL)
            arrive(net, HEAP_ENTRY(due, struct parcel, at));
        for (size_t i = 0; i < NODES; i++) {
            gossip_tick(net->nodes[i].g, net->now);
            net_drain(net, i);
        }
    }
    net->now = end;
}

static void link_nodes(struct net *net, size_t a, size_t b)
{
    if (a == b || net->is_linked[a][b])
        return;
    net->is_linked[a][b] = net->is_linked[b][a] = true;
    assert_ok(gossip_peer_connected(net->nodes[a].g, &net->nodes[b].who.id,
                                    GOSSIP_V11, true, 0, net->now));
    assert_ok(gossip_peer_connected(net->nodes[b].g, &net->nodes[a].who.id,
                                    GOSSIP_V11, false, 0, net->now));
    net_drain(net, a);
    net_drain(net, b);
}

static void unlink_nodes(struct net *net, size_t a, size_t b)
{
    if (!net->is_linked[a][b])
        return;
    net->is_linked[a][b] = net->is_linked[b][a] = false;
    gossip_peer_gone(net->nodes[a].g, &net->nodes[b].who.id, net->now);
    gossip_peer_gone(net->nodes[b].g, &net->nodes[a].who.id, net->now);
    net_drain(net, a);
    net_drain(net, b);
}

static void net_init(struct net *net, uint64_t seed,
                     struct gossip_config config)
{
    static const char *const topics[] = {TOPIC};

    memset(net, 0, sizeof(*net));
    net->rng = rng_seeded(&net->seed, seed);
    net->now = 1 * HOURS;
    heap_init(&net->parcels, &mem_libc);
    config.topics = topics;
    config.topic_count = 1;
    for (size_t i = 0; i < NODES; i++) {
        struct net_node *n = &net->nodes[i];

        who_init(&n->who, 100 + (unsigned)i);
        n->rng = rng_seeded(&n->seed, seed + i);
        config.self = n->who.id;
        config.identity = &n->who.key;
        n->g = gossip_new(&config, net->now, &n->rng, &mem_libc, NULL);
        assert_ok(gossip_subscribe(n->g, SPAN_LIT(TOPIC), net->now));
    }
}

/* A ring, so that all are reached, and links at random. */
static void link_at_random(struct net *net, size_t links)
{
    for (size_t i = 0; i < NODES; i++) {
        link_nodes(net, i, (i + 1) % NODES);
        for (size_t k = 1; k < links; k++)
            link_nodes(net, i, (size_t)rng_below(&net->rng, NODES));
    }
}

static void net_release(struct net *net)
{
    while (heap_first(&net->parcels) != NULL)
        free(HEAP_ENTRY(heap_pop_due(&net->parcels, TSTAMP_NEVER),
                        struct parcel, at));
    heap_release(&net->parcels);
    for (size_t i = 0; i < NODES; i++)
        gossip_free(net->nodes[i].g);
}

static void publish(struct net *net, size_t from, unsigned k)
{
    struct net_node *n = &net->nodes[from];

    assert_ok(gossip_publish(n->g, SPAN_LIT(TOPIC), SPAN(&k, sizeof(k)),
                             net->now, WALL, NULL));
    n->heard[k]++;
    n->heard_at[k] = net->now;
    net_drain(net, from);
}

static void assert_all_heard_once(const struct net *net, unsigned k)
{
    for (size_t i = 0; i < NODES; i++)
        if (net->nodes[i].heard[k] != 1)
            fail_msg("node %zu heard message %u %u times", i, k,
                     net->nodes[i].heard[k]);
}

static size_t degree(const struct net *net, size_t i)
{
    return gossip_mesh_count(net->nodes[i].g, SPAN_LIT(TOPIC));
}

/* ---- ---- */

static void every_message_reaches_everybody_once(void **state)
{
    static struct net net;
    tstamp slowest = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        net_init(&net, seed, (struct gossip_config){0});
        link_at_random(&net, LINKS);
        run(&net, 3 * SECONDS);
        for (unsigned k = 0; k < 40; k++) {
            tstamp at = net.now;

            publish(&net, k % NODES, k);
            run(&net, 400 * MILLISECONDS);
            assert_all_heard_once(&net, k);
            for (size_t i = 0; i < NODES; i++)
                if (net.nodes[i].heard_at[k] - at > slowest)
                    slowest = net.nodes[i].heard_at[k] - at;
        }
        run(&net, 10 * SECONDS);
        for (unsigned k = 0; k < 40; k++)
            assert_all_heard_once(&net, k);
        assert_int_equal(40 * (NODES - 1), net.outcomes[GOSSIP_DELIVERED]);
        assert_int_equal(0, net.outcomes[GOSSIP_BROKEN_PROMISE]);
        assert_int_equal(0, net.outcomes[GOSSIP_GRAFT_FLOOD]);
        assert_int_equal(0, net.outcomes[GOSSIP_OVER_BUDGET]);
        net_release(&net);
    }
    /* Nothing waited for a heartbeat: at most four hops of ≤ 50 ms. */
    assert_in_range(slowest, 1, 200 * MILLISECONDS);
}

static void meshes_settle_within_their_bounds_and_agree(void **state)
{
    static struct net net;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        net_init(&net, seed, (struct gossip_config){0});
        for (size_t a = 0; a < NODES; a++)
            for (size_t b = 0; b < a; b++)
                link_nodes(&net, a, b);
        run(&net, 20 * SECONDS);
        for (size_t a = 0; a < NODES; a++) {
            assert_in_range(degree(&net, a), 5, 12);
            for (size_t b = 0; b < a; b++)
                assert_int_equal(
                    gossip_is_in_mesh(net.nodes[a].g, SPAN_LIT(TOPIC),
                                      &net.nodes[b].who.id),
                    gossip_is_in_mesh(net.nodes[b].g, SPAN_LIT(TOPIC),
                                      &net.nodes[a].who.id));
        }
        assert_int_equal(0, net.outcomes[GOSSIP_GRAFT_FLOOD]);
        net_release(&net);
    }
}

static void what_the_mesh_loses_gossip_recovers(void **state)
{
    static struct net net;
    uint64_t asked = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        net_init(&net, seed, (struct gossip_config){0});
        for (size_t a = 0; a < NODES; a++)
            for (size_t b = 0; b < a; b++)
                link_nodes(&net, a, b);
        run(&net, 3 * SECONDS);
        net.loss_percent = 60;
        for (unsigned k = 0; k < 30; k++) {
            publish(&net, k % NODES, k);
            run(&net, 100 * MILLISECONDS);
        }
        run(&net, 500 * MILLISECONDS);
        net.loss_percent = 0;
        run(&net, 6 * SECONDS);
        for (unsigned k = 0; k < 30; k++)
            assert_all_heard_once(&net, k);
        assert_true(net.lost > 100);
        for (size_t i = 0; i < NODES; i++)
            asked += gossip_stats(net.nodes[i].g)->iwant_ids_out;
        net_release(&net);
    }
    assert_true(asked > 0);
}

/* A star around a node that swallows messages, and a detour outside of any
 * mesh: only IHAVE and IWANT can bring it. */
static void a_lost_message_comes_by_iwant_over_another_link(void **state)
{
    static struct net net;

    (void)state;
    net_init(&net, 9, (struct gossip_config){.no_flood_publish = true});
    link_nodes(&net, 0, 1);
    link_nodes(&net, 0, 2);
    link_nodes(&net, 1, 2);
    run(&net, 2 * SECONDS);
    /* 0 and 2 prune each other; 1 hears and does not forward. */
    assert_true(gossip_is_in_mesh(net.nodes[0].g, SPAN_LIT(TOPIC),
                                  &net.nodes[1].who.id));
    gossip_set_app_score(net.nodes[0].g, &net.nodes[2].who.id, -1);
    gossip_set_app_score(net.nodes[2].g, &net.nodes[0].who.id, -1);
    net.nodes[1].is_silent = true;
    run(&net, 2 * SECONDS);
    assert_false(gossip_is_in_mesh(net.nodes[0].g, SPAN_LIT(TOPIC),
                                   &net.nodes[2].who.id));
    publish(&net, 0, 1);
    run(&net, 500 * MILLISECONDS);
    assert_int_equal(1, net.nodes[1].heard[1]);
    run(&net, 2 * SECONDS);
    assert_int_equal(1, net.nodes[2].heard[1]);
    assert_true(gossip_stats(net.nodes[2].g)->iwant_ids_out >= 1);
    net_release(&net);
}

static void a_rejected_message_stops_at_the_first_hop(void **state)
{
    static struct net net;
    unsigned heard = 0;

    (void)state;
    net_init(&net, 4, (struct gossip_config){.no_flood_publish = true});
    for (size_t i = 0; i + 1 < NODES; i++)
        link_nodes(&net, i, i + 1);
    for (size_t i = 0; i < NODES; i++)
        net.nodes[i].verdict = GOSSIP_REJECT;
    run(&net, 2 * SECONDS);
    publish(&net, 5, 1);
    run(&net, 10 * SECONDS);
    for (size_t i = 0; i < NODES; i++)
        heard += net.nodes[i].heard[1];
    assert_int_equal(3, heard); /* itself and its two neighbours */
    assert_int_equal(2, net.outcomes[GOSSIP_REJECTED]);
    net_release(&net);
}

static void a_partition_heals(void **state)
{
    static struct net net;

    (void)state;
    net_init(&net, 6, (struct gossip_config){0});
    link_at_random(&net, LINKS);
    run(&net, 2 * SECONDS);
    for (size_t a = 0; a < NODES / 2; a++)
        for (size_t b = NODES / 2; b < NODES; b++)
            unlink_nodes(&net, a, b);
    publish(&net, 0, 1);
    run(&net, 1 * SECONDS);
    for (size_t i = NODES / 2; i < NODES; i++)
        assert_int_equal(0, net.nodes[i].heard[1]);
    for (size_t i = 0; i < NODES / 2; i++)
        link_nodes(&net, i, NODES / 2 + i);
    /* What is still in the caches crosses, what is new does at once. */
    run(&net, 5 * SECONDS);
    publish(&net, 1, 2);
    run(&net, 400 * MILLISECONDS);
    assert_all_heard_once(&net, 1);
    assert_all_heard_once(&net, 2);
    net_release(&net);
}

static void a_slow_heartbeat_does_not_slow_messages(void **state)
{
    static struct net net;

    (void)state;
    net_init(&net, 8,
             (struct gossip_config){.heartbeat = 10 * SECONDS,
                                    .heartbeat_first = 10 * SECONDS,
                                    .id_function = GOSSIP_ID_FROM_SEQNO});
    for (size_t i = 0; i < NODES; i++)
        link_nodes(&net, i, (i + 1) % NODES);
    run(&net, 200 * MILLISECONDS); /* no heartbeat yet */
    publish(&net, 0, 1);
    run(&net, 10 * 50 * MILLISECONDS);
    assert_all_heard_once(&net, 1);
    net_release(&net);
}

static void a_run_replays_from_its_seed(void **state)
{
    static struct net net;
    unsigned sent[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        net_init(&net, 11, (struct gossip_config){0});
        link_at_random(&net, LINKS);
        net.loss_percent = 20;
        for (unsigned k = 0; k < 10; k++) {
            publish(&net, k, k);
            run(&net, 700 * MILLISECONDS);
        }
        sent[i] = net.sent;
        net_release(&net);
    }
    assert_int_equal(sent[0], sent[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reaches_everybody_once),
        cmocka_unit_test(meshes_settle_within_their_bounds_and_agree),
        cmocka_unit_test(what_the_mesh_loses_gossip_recovers),
        cmocka_unit_test(a_lost_message_comes_by_iwant_over_another_link),
        cmocka_unit_test(a_rejected_message_stops_at_the_first_hop),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_slow_heartbeat_does_not_slow_messages),
        cmocka_unit_test(a_run_replays_from_its_seed),
    };

    return cmocka_run_group_tests_name("gossip_net", tests, NULL, NULL);
}
