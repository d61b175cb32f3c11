/* SPDX-License-Identifier: Apache-2.0 */
/* The node's own limits, to their edge and one beyond: refused, counted in the
 * row of the table, and free again afterwards. */
#include "unit/node_fixture.h"

static struct usage usage_of(const struct node *n, enum usage_id id)
{
    struct usages all = {0};

    node_usage(n, &all);
    return all.of[id];
}

static void assert_usage(const struct node *n, enum usage_id id, uint64_t use,
                         uint64_t refused)
{
    struct usage u = usage_of(n, id);

    if (u.use != use || u.refused != refused)
        fail_msg("%s: use %llu, refused %llu", usage_name(id),
                 (unsigned long long)u.use, (unsigned long long)u.refused);
}

/* One of many, who is at an address where nobody answers. */
static struct request *connect_to_nobody(struct world *w, unsigned i)
{
    struct request *r = request_new(REQUEST_CONNECT, w->now + 20 * SECONDS);
    struct peer_id id;

    fixture_peer(200, &id);
    memcpy(id.bytes + 6, &i, sizeof(i));
    r->in.peers.addr = address(900 + i);
    assert_ok(multiaddr_add_peer(&r->in.peers.addr, &id));
    return submit(w, 0, r);
}

static void more_dials_than_that_are_under_way(void **state)
{
    struct request *r;
    struct world w;
    struct node *n;

    (void)state;
    world_init(&w);
    n = add(&w, (struct node_config){0});
    for (unsigned i = 0; i < LIMIT_DIALS_IN_FLIGHT; i++)
        (void)connect_to_nobody(&w, i);
    settle(&w);
    assert_usage(n, USAGE_DIALS, LIMIT_DIALS_IN_FLIGHT, 0);
    assert_int_equal(0, w.answer_count);
    r = connect_to_nobody(&w, LIMIT_DIALS_IN_FLIGHT);
    settle(&w);
    assert_true(is_answered(&w, r));
    assert_err(ERR_LIMIT, r->err);
    assert_usage(n, USAGE_DIALS, LIMIT_DIALS_IN_FLIGHT, 1);
    assert_int_equal(LIMIT_DIALS_IN_FLIGHT, usage_of(n, USAGE_DIALS).limit);
    run(&w, DIAL_WITHIN);
    assert_true(usage_of(n, USAGE_DIALS).use < LIMIT_DIALS_IN_FLIGHT);
    r = connect_to_nobody(&w, LIMIT_DIALS_IN_FLIGHT + 1);
    settle(&w);
    assert_false(is_answered(&w, r)); /* it is being dialled */
    world_release(&w);
}

static void more_streams_than_that_are_opened(void **state)
{
    const char *protocol = "/not/spoken";
    struct flow *flow;
    struct world w;
    struct node *n;
    struct link *l;
    uint64_t max, opened;

    (void)state;
    two(&w);
    n = w.nodes[0];
    l = peer_link(peer_find(n, &w.nodes[1]->self));
    max = usage_of(n, USAGE_STREAMS_OUT).limit;
    for (opened = usage_of(n, USAGE_STREAMS_OUT).use; opened < max; opened++)
        assert_ok(flow_open(n, l, FLOW_PING_OUT, &protocol, 1, &flow));
    assert_usage(n, USAGE_STREAMS_OUT, max, 0);
    assert_err(ERR_LIMIT, flow_open(n, l, FLOW_PING_OUT, &protocol, 1, &flow));
    assert_usage(n, USAGE_STREAMS_OUT, max, 1);
    run(&w, 60 * SECONDS);
    assert_true(usage_of(n, USAGE_STREAMS_OUT).use < 10);
    world_release(&w);
}

static enum err question(struct node *n, const struct peer_id *to)
{
    struct rpc *rpc;

    return rpc_start(n, to, SPAN_LIT("?"), true, 0, NULL, NULL, &rpc);
}

static void more_questions_than_that_wait_for_a_peer(void **state)
{
    const struct peer_id *to;
    struct world w;
    struct node *n;

    (void)state;
    two(&w);
    n = w.nodes[0];
    to = &w.nodes[1]->self;
    for (unsigned i = 0; i < PEER_ASKING_MAX + PEER_WAITING_MAX; i++)
        assert_ok(question(n, to));
    assert_usage(n, USAGE_RPCS_WAITING, PEER_WAITING_MAX, 0);
    assert_err(ERR_LIMIT, question(n, to));
    assert_usage(n, USAGE_RPCS_WAITING, PEER_WAITING_MAX, 1);
    run(&w, 60 * SECONDS); /* no question of the DHT: each is refused */
    assert_usage(n, USAGE_RPCS_WAITING, 0, 1);
    world_release(&w);
}

static void more_publishes_than_that_are_under_way(void **state)
{
    struct world w;
    struct node *n;

    (void)state;
    two(&w);
    n = w.nodes[0];
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        publish(&w);
        act(&w); /* what is sent is not heard yet */
        assert_true(usage_of(n, USAGE_OUTBOX_IN_FLIGHT).use <=
                    OUTBOX_ITEMS_MAX);
    }
    assert_true(usage_of(n, USAGE_OUTBOX_IN_FLIGHT).use >
                OUTBOX_ITEMS_MAX - OUTBOX_LOAD_MAX);
    run(&w, 5 * SECONDS);
    assert_usage(n, USAGE_OUTBOX_IN_FLIGHT, 0, 0);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++)
        assert_false(w.outbox[i]);
    world_release(&w);
}

/* Every row of gossip is counted where its room counts it. */
static void gossip_refuses_more_peers_uncounted(void **state)
{
    struct world w;
    struct node *n;
    struct peer_id id;
    uint64_t max;

    (void)state;
    two(&w);
    n = w.nodes[0];
    run(&w, 5 * SECONDS);
    max = usage_of(n, USAGE_GOSSIP_PEERS).limit;
    fixture_peer(200, &id);
    for (uint64_t i = usage_of(n, USAGE_GOSSIP_PEERS).use; i < max; i++) {
        memcpy(id.bytes + 6, &i, sizeof(i));
        assert_ok(
            gossip_peer_connected(n->gossip, &id, GOSSIP_V11, false, 0, w.now));
    }
    assert_usage(n, USAGE_GOSSIP_PEERS, max, 0);
    id.bytes[20] ^= 1;
    assert_err(ERR_LIMIT, gossip_peer_connected(n->gossip, &id, GOSSIP_V11,
                                                false, 0, w.now));
    assert_usage(n, USAGE_GOSSIP_PEERS, max, 1);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_dials_than_that_are_under_way),
        cmocka_unit_test(more_streams_than_that_are_opened),
        cmocka_unit_test(more_questions_than_that_wait_for_a_peer),
        cmocka_unit_test(more_publishes_than_that_are_under_way),
        cmocka_unit_test(gossip_refuses_more_peers_uncounted),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
