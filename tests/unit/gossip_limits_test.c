/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

#include "gossip_fixture.h"

/* ---- Failed allocations. ---- */

static void run_scenario(struct fixture *f)
{
    uint8_t bytes[32], other[32];
    ProtobufCBinaryData id = id_of("known", bytes);
    ProtobufCBinaryData unknown = id_of("unknown", other);
    struct gossip_event ev;
    size_t sent;

    whatever(gossip_subscribe(f->g, SPAN_LIT(TOPIC), f->now));
    for (size_t i = 0; i < 15; i++)
        if (gossip_peer_connected(f->g, &f->peers[i].id, GOSSIP_V11, i % 2, 0,
                                  f->now) == OK)
            whatever(say_subscribe(f, &f->peers[i], TOPIC, true));
    whatever(gossip_publish(f->g, SPAN_LIT(TOPIC), SPAN_LIT("known"), f->now,
                            WALL, &sent));
    whatever(gossip_publish(f->g, SPAN_LIT(OTHER_TOPIC), SPAN_LIT("o"), f->now,
                            WALL, &sent));
    f->token = 0;
    whatever(say_text(f, &f->peers[0], &f->peers[0], "news", 1));
    whatever(say_ids(f, &f->peers[1], false, &id, 1));
    whatever(say_ids(f, &f->peers[1], true, &unknown, 1));
    whatever(say_graft(f, &f->peers[7], TOPIC));
    whatever(say_prune(f, &f->peers[1], TOPIC, 60));
    while (gossip_poll(f->g, &ev))
        if (ev.type == GOSSIP_EV_MESSAGE)
            note_message(f, &ev);
    whatever(gossip_verdict(f->g, f->token, GOSSIP_ACCEPT, f->now));
    for (int i = 0; i < 7; i++)
        heartbeat(f);
    whatever(gossip_unsubscribe(f->g, SPAN_LIT(TOPIC), f->now));
    gossip_peer_gone(f->g, &f->peers[2].id, f->now);
}

static void every_failed_allocation_is_survived(void **state)
{
    static struct fixture f;
    unsigned total, made;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    made = f.heap.count;
    run_scenario(&f);
    total = f.heap.count - made;
    fixture_release(&f);
    assert_true(total > 40);
    for (unsigned nth = 1; nth <= total; nth++) {
        fixture_init(&f, (struct gossip_config){0});
        test_heap_fail(&f.heap, nth);
        run_scenario(&f);
        assert_true(gossip_mesh_count(f.g, SPAN_LIT(TOPIC)) <=
                    gossip_peer_count(f.g));
        fixture_release(&f);
    }
}

/* ---- Limits reached. ---- */

static void peers_are_limited(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){.peers_max = 3});
    connect_subscribed(&f, 0, 3);
    assert_err(ERR_LIMIT, gossip_peer_connected(f.g, &f.peers[3].id, GOSSIP_V11,
                                                false, 0, f.now));
    gossip_peer_gone(f.g, &f.peers[0].id, f.now);
    connect_as(&f, &f.peers[3], GOSSIP_V11, false);
    fixture_release(&f);
}

static void waiting_messages_are_limited(void **state)
{
    static struct fixture f;
    char text[16];

    (void)state;
    fixture_init(&f, (struct gossip_config){.pending_max = 4});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    for (unsigned round = 0; round < 3; round++) {
        drain(&f);
        for (unsigned i = 0; i < 6; i++) {
            snprintf(text, sizeof(text), "%u.%u", round, i);
            assert_ok(say_text(&f, &f.peers[0], &f.peers[0], text, i));
        }
        assert_int_equal(4, gossip_pending_count(f.g));
        drain(&f);
        assert_int_equal(4, message_count(&f));
        assert_int_equal(2, outcome_count(&f, NULL, GOSSIP_NO_ROOM));
        for (size_t i = 0; i < f.logged; i++)
            if (f.log[i].ev.type == GOSSIP_EV_MESSAGE)
                assert_ok(gossip_verdict(f.g, f.log[i].ev.message.token,
                                         GOSSIP_ACCEPT, f.now));
    }
    fixture_release(&f);

    fixture_init(&f, (struct gossip_config){.pending_bytes_max = 20000});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    for (unsigned i = 0; i < 4; i++) {
        static uint8_t data[8000];
        uint8_t seqno[8], signature[64];
        Wire__GossipMessage m;

        data[0] = (uint8_t)i;
        m = make_message(&f.peers[0], TOPIC, SPAN_OF(data), seqno, i,
                         signature);
        assert_ok(say_message(&f, &f.peers[0], &m));
    }
    assert_int_equal(1, gossip_pending_count(f.g));
    drain(&f);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_IGNORE, f.now));
    assert_int_equal(0, f.g->pending_bytes);
    fixture_release(&f);
}

static void budgets_of_a_peer_are_kept(void **state)
{
    static struct fixture f;
    static uint8_t data[300 << 10];
    uint8_t seqno[8], signature[64];
    Wire__GossipMessage m;
    unsigned i;

    (void)state;
    /* Bytes: a second later there is room for a second's worth. */
    fixture_init(&f, (struct gossip_config){.peer_bytes_per_s = 300 << 10});
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    connect_as(&f, &f.peers[1], GOSSIP_V11, false);
    m = make_message(&f.peers[0], TOPIC, SPAN_OF(data), seqno, 1, signature);
    for (i = 0; say_message(&f, &f.peers[0], &m) == OK; i++)
        ;
    assert_int_equal(3, i);
    drain(&f);
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_OVER_BUDGET));
    assert_ok(say_message(&f, &f.peers[1], &m)); /* costs only itself */
    f.now += 1 * SECONDS;
    assert_ok(say_message(&f, &f.peers[0], &m));
    fixture_release(&f);

    /* Messages. */
    fixture_init(&f, (struct gossip_config){.peer_messages_per_s = 10});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    for (i = 0; say_text(&f, &f.peers[0], &f.peers[0], "x", i) == OK; i++)
        assert_true(i < 100);
    assert_int_equal(40, i);
    f.now += 100 * MILLISECONDS;
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    assert_err(ERR_LIMIT, say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    /* Fractions add up: 20 steps of 150 ms are worth 30 messages. */
    i = 0;
    for (int step = 0; step < 20; step++) {
        f.now += 150 * MILLISECONDS;
        while (say_text(&f, &f.peers[0], &f.peers[0], "x", 1) == OK)
            i++;
    }
    assert_int_equal(30, i);
    fixture_release(&f);

    /* Control. */
    fixture_init(&f, (struct gossip_config){.peer_control_per_s = 10});
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    for (i = 0; say_subscribe(&f, &f.peers[0], TOPIC, i % 2) == OK; i++)
        assert_true(i < 100);
    assert_int_equal(40, i);
    f.now += 1 * SECONDS;
    for (i = 0; say_graft(&f, &f.peers[0], TOPIC) == OK; i++)
        assert_true(i < 100);
    assert_int_equal(10, i);
    fixture_release(&f);

    /* The largest RPC. */
    fixture_init(&f, (struct gossip_config){0});
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    {
        uint8_t *big = calloc(1, GOSSIP_RPC_ACCEPTED_MAX + 1);

        assert_err(ERR_FRAME_SIZE,
                   gossip_on_rpc(f.g, &f.peers[0].id,
                                 SPAN(big, GOSSIP_RPC_ACCEPTED_MAX + 1), f.now,
                                 WALL));
        /* One that decodes to far more than it is. */
        for (size_t k = 0; k < GOSSIP_RPC_ACCEPTED_MAX; k += 2)
            big[k] = 0x12;
        assert_err(ERR_NOMEM, gossip_on_rpc(f.g, &f.peers[0].id,
                                            SPAN(big, GOSSIP_RPC_ACCEPTED_MAX),
                                            f.now, WALL));
        free(big);
    }
    fixture_release(&f);
}

static void ihave_floods_are_limited(void **state)
{
    enum { N = 3000 };
    static struct fixture f;
    static ProtobufCBinaryData ids[N];
    static uint32_t bytes[N];
    size_t asked = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    drain(&f);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < N; i++) {
            bytes[i] = round * N + i;
            ids[i] = wire_bytes(SPAN(&bytes[i], sizeof(bytes[i])));
        }
        assert_ok(say_ids(&f, &f.peers[0], true, ids, N));
        drain(&f);
        asked += sent_to(&f, NULL).iwant_ids;
    }
    assert_int_equal(5000, asked);
    for (int i = 3; i < 12; i++)
        assert_ok(say_ids(&f, &f.peers[0], true, ids, 1));
    drain(&f);
    assert_int_equal(2, outcome_count(&f, NULL, GOSSIP_OVER_BUDGET));
    /* A heartbeat later all is forgiven. */
    heartbeat(&f);
    drain(&f);
    bytes[0] = UINT32_MAX;
    assert_ok(say_ids(&f, &f.peers[0], true, ids, 1));
    drain(&f);
    assert_int_equal(1, sent_to(&f, NULL).iwant_ids);

    /* And IWANT: 5,000 ids a heartbeat. */
    assert_ok(say_ids(&f, &f.peers[0], false, ids, N));
    drain(&f);
    assert_int_equal(0, outcome_count(&f, NULL, GOSSIP_OVER_BUDGET));
    assert_ok(say_ids(&f, &f.peers[0], false, ids, N));
    drain(&f);
    assert_int_equal(1, outcome_count(&f, NULL, GOSSIP_OVER_BUDGET));
    fixture_release(&f);
}

static void caches_are_limited(void **state)
{
    static struct fixture f;
    static uint8_t data[60000];
    struct gossip_event ev;
    size_t queued = 0;

    (void)state;
    fixture_init(
        &f, (struct gossip_config){.cache_bytes_max = 2 << 20, .seen_max = 50});
    for (unsigned i = 0; i < 100; i++) {
        data[0] = (uint8_t)i;
        assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_OF(data), f.now,
                                 WALL, NULL));
        assert_in_range(gossip_cache_bytes(f.g), 60000, 2 << 20);
    }
    assert_int_equal(50, gossip_seen_count(f.g));
    assert_true(gossip_stats(f.g)->cache_evicted > 60);
    fixture_release(&f);

    /* Events nobody polls. */
    fixture_init(&f, (struct gossip_config){.events_max = 64});
    connect_subscribed(&f, 0, 30);
    for (unsigned i = 0; i < 10; i++)
        assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN(&i, sizeof(i)),
                                 f.now, WALL, NULL));
    while (gossip_poll(f.g, &ev))
        queued++;
    assert_int_equal(64, queued);
    assert_int_equal(300 - 64, gossip_stats(f.g)->events_dropped);
    fixture_release(&f);
}

static void backoffs_are_limited(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){.peers_max = 2});
    for (unsigned i = 0; i < 40; i++) {
        connect_as(&f, &f.peers[i], GOSSIP_V11, false);
        assert_ok(say_prune(&f, &f.peers[i], TOPIC, UINT64_MAX));
        assert_ok(say_prune(&f, &f.peers[i], OTHER_TOPIC, 1));
        gossip_peer_gone(f.g, &f.peers[i].id, f.now);
    }
    assert_int_equal(BACKOFFS_A_PEER * 2, MAP_COUNT(f.g->backoffs));
    /* What a peer asks for is bounded too. */
    f.now += 1 * HOURS + 2 * SECONDS;
    gossip_tick(f.g, f.now);
    assert_int_equal(0, MAP_COUNT(f.g->backoffs));
    fixture_release(&f);
}

/* ---- The seen cache against a naive twin. ---- */

static void seen_agrees_with_a_list_of_all(void **state)
{
    enum { STEPS = 30000, IDS = 3000, LIMIT = 200 };
    static uint64_t hash[STEPS];
    static tstamp at[STEPS];
    struct test_heap heap;
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 3);
    struct seen s;
    size_t from = 0, to = 0;
    tstamp now = 5 * SECONDS;

    (void)state;
    test_heap_init(&heap);
    seen_init(&s, LIMIT, 10 * SECONDS, &heap.mem);
    for (int i = 0; i < STEPS; i++) {
        uint64_t h = rng_below(&rng, IDS) * 0x100000001u;
        bool is_there = false;

        now += rng_below(&rng, 30) * MILLISECONDS;
        while (from < to && at[from] + 10 * SECONDS <= now)
            from++;
        for (size_t k = from; k < to; k++)
            is_there |= hash[k] == h;
        assert_int_equal(is_there, seen_has(&s, h, now));
        if (rng_below(&rng, 2)) {
            seen_add(&s, h, now);
            if (!is_there) {
                if (to - from == LIMIT)
                    from++;
                hash[to] = h;
                at[to++] = now;
            }
            assert_int_equal(to - from, s.count);
        }
    }
    assert_true(s.evicted > 0);
    /* Memory fails: something is forgotten, nothing breaks. */
    seen_release(&s);
    seen_init(&s, LIMIT, 10 * SECONDS, &heap.mem);
    test_heap_fail(&heap, 1);
    seen_add(&s, 1, now);
    assert_false(seen_has(&s, 1, now));
    seen_add(&s, 1, now);
    assert_true(seen_has(&s, 1, now));
    seen_release(&s);
    assert_int_equal(0, heap.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(peers_are_limited),
        cmocka_unit_test(waiting_messages_are_limited),
        cmocka_unit_test(budgets_of_a_peer_are_kept),
        cmocka_unit_test(ihave_floods_are_limited),
        cmocka_unit_test(caches_are_limited),
        cmocka_unit_test(backoffs_are_limited),
        cmocka_unit_test(seen_agrees_with_a_list_of_all),
    };

    return cmocka_run_group_tests_name("gossip_limits", tests, NULL, NULL);
}
