/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip_fixture.h"

/* ---- Peer exchange. ---- */

static void give_record(struct fixture *f, size_t i, const char *record)
{
    assert_ok(gossip_set_record(f->g, &f->peers[i].id, span_str(record)));
}

/* A mesh of |n|, all of whose records are known. */
static void init(struct fixture *f, size_t n, struct gossip_config config)
{
    char record[32];

    fixture_init(f, config);
    assert_ok(gossip_subscribe(f->g, SPAN_LIT(TOPIC), f->now));
    connect_subscribed(f, 0, n);
    for (size_t i = 0; i < n; i++) {
        assert_ok(say_graft(f, &f->peers[i], TOPIC));
        snprintf(record, sizeof(record), "record %zu", i);
        give_record(f, i, record);
    }
    drain(f);
}

static void who_is_one_too_many_is_told_of_nobody(void **state)
{
    static struct fixture f;
    struct sent s;

    (void)state;
    init(&f, 12, (struct gossip_config){0});
    connect_subscribed(&f, 12, 13);
    assert_ok(say_graft(&f, &f.peers[12], TOPIC));
    drain(&f);
    s = sent_to(&f, &f.peers[12]);
    assert_int_equal(1, s.prunes);
    assert_int_equal(12, s.px);
    fixture_release(&f);
}

static void nobody_is_told_of_whom_we_would_not_take(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 12, (struct gossip_config){0});
    connect_subscribed(&f, 12, 14);
    connect_as(&f, &f.peers[14], GOSSIP_V11, false); /* not subscribed */
    give_record(&f, 14, "record 14");
    gossip_set_app_score(f.g, &f.peers[3].id, -0.5); /* bad */
    give_record(&f, 4, "");                          /* taken back */
    assert_ok(say_graft(&f, &f.peers[12], TOPIC));
    drain(&f);
    assert_int_equal(10, sent_to(&f, &f.peers[12]).px);
    /* Who is bad, misbehaves or speaks 1.0 is told nothing. */
    gossip_set_app_score(f.g, &f.peers[13].id, -0.5);
    assert_ok(say_graft(&f, &f.peers[13], TOPIC));
    assert_ok(say_graft(&f, &f.peers[12], TOPIC)); /* in backoff */
    connect_as(&f, &f.peers[15], GOSSIP_V10, false);
    assert_ok(say_subscribe(&f, &f.peers[15], TOPIC, true));
    assert_ok(say_graft(&f, &f.peers[15], TOPIC));
    drain(&f);
    assert_int_equal(3, sent_to(&f, NULL).prunes);
    assert_int_equal(0, sent_to(&f, NULL).px);
    /* Nor who is pruned for its score. */
    heartbeat(&f);
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[3]).prunes);
    assert_int_equal(0, sent_to(&f, &f.peers[3]).px);
    fixture_release(&f);
}

static void all_the_world_is_told_of(void **state)
{
    static struct fixture f;
    static char long_record[GOSSIP_RECORD_MAX + 1];
    struct sent s;

    (void)state;
    memset(long_record, 'r', GOSSIP_RECORD_MAX + 1);
    init(&f, 30, (struct gossip_config){.d_hi = 30});
    for (size_t i = 0; i < 30; i++)
        assert_ok(gossip_set_record(f.g, &f.peers[i].id,
                                    SPAN(long_record, GOSSIP_RECORD_MAX)));
    assert_err(ERR_LIMIT,
               gossip_set_record(f.g, &f.peers[0].id,
                                 SPAN(long_record, GOSSIP_RECORD_MAX + 1)));
    assert_err(ERR_NOT_FOUND,
               gossip_set_record(f.g, &f.peers[35].id, SPAN_LIT("record")));
    connect_subscribed(&f, 30, 31);
    assert_ok(say_graft(&f, &f.peers[30], TOPIC));
    drain(&f);
    s = sent_to(&f, &f.peers[30]);
    assert_int_equal(PX_PEERS_MAX, s.px);
    assert_in_range(s.largest, 16 * GOSSIP_RECORD_MAX, GOSSIP_RPC_SENT_MAX);
    fixture_release(&f);
}

static enum err say_px(struct fixture *f, const struct who *from,
                       const struct who *first, size_t count,
                       struct span record)
{
    Wire__GossipPrune prune = WIRE__GOSSIP_PRUNE__INIT, *prunes[] = {&prune};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipPeer peers[64], *at[64];

    for (size_t i = 0; i < count; i++) {
        wire__gossip_peer__init(&peers[i]);
        peers[i].has_id = peers[i].has_signed_record = true;
        peers[i].id = wire_bytes(peer_id_span(&first[i].id));
        peers[i].signed_record = wire_bytes(record);
        at[i] = &peers[i];
    }
    prune.has_topic = true;
    prune.topic = wire_bytes(span_str(TOPIC));
    prune.n_peers = count;
    prune.peers = at;
    control.n_prune = 1;
    control.prune = prunes;
    return say_control(f, from, &control);
}

/* Polls: drain() does not keep the record. */
static unsigned px_heard(struct fixture *f, const struct who *from,
                         const char *record)
{
    struct gossip_event ev;
    unsigned count = 0;

    while (gossip_poll(f->g, &ev)) {
        if (ev.type != GOSSIP_EV_PX)
            continue;
        assert_true(peer_id_eq(&from->id, &ev.peer));
        assert_span_equal(span_str(record), ev.px.record);
        count++;
    }
    return count;
}

static void strangers_are_believed_whom_they_tell_of(void **state)
{
    static struct fixture f;
    struct who *told;

    (void)state;
    init(&f, 2, (struct gossip_config){0});
    told = &f.peers[20];
    gossip_set_app_score(f.g, &f.peers[0].id, 9.99);
    assert_ok(say_px(&f, &f.peers[0], told, 3, SPAN_LIT("record")));
    assert_int_equal(0, px_heard(&f, &f.peers[0], "record"));
    assert_int_equal(3, gossip_stats(f.g)->px_refused);
    gossip_set_app_score(f.g, &f.peers[0].id, 10);
    assert_ok(say_px(&f, &f.peers[0], told, 3, SPAN_LIT("record")));
    assert_int_equal(3, px_heard(&f, &f.peers[0], "record"));
    /* Without a record they are told on: somebody may know more. */
    assert_ok(say_px(&f, &f.peers[0], told, 1, SPAN_NONE));
    assert_int_equal(1, px_heard(&f, &f.peers[0], ""));
    fixture_release(&f);
}

static void news_are_none_or_too_many(void **state)
{
    static struct fixture f;
    static uint8_t record[GOSSIP_RECORD_MAX + 1];
    Wire__GossipPeer peer = WIRE__GOSSIP_PEER__INIT, *peers[] = {&peer};
    Wire__GossipPrune prune = WIRE__GOSSIP_PRUNE__INIT, *prunes[] = {&prune};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;

    (void)state;
    init(&f, 2, (struct gossip_config){0});
    gossip_set_app_score(f.g, &f.peers[0].id, 20);
    /* Ourselves, who is here already, a record that is too long, no id. */
    assert_ok(say_px(&f, &f.peers[0], &f.self, 1, SPAN_LIT("record")));
    assert_ok(say_px(&f, &f.peers[0], &f.peers[1], 1, SPAN_LIT("record")));
    assert_ok(say_px(&f, &f.peers[0], &f.peers[20], 1, SPAN_OF(record)));
    prune.has_topic = peer.has_id = true;
    prune.topic = wire_bytes(span_str(TOPIC));
    peer.id = wire_bytes(SPAN_LIT("nobody"));
    prune.n_peers = 1;
    prune.peers = peers;
    control.n_prune = 1;
    control.prune = prunes;
    assert_ok(say_control(&f, &f.peers[0], &control));
    assert_int_equal(0, px_heard(&f, &f.peers[0], ""));
    /* 16 a heartbeat, those four included. */
    assert_ok(say_px(&f, &f.peers[0], &f.peers[10], 20, SPAN_LIT("r")));
    assert_int_equal(12, px_heard(&f, &f.peers[0], "r"));
    assert_ok(say_px(&f, &f.peers[0], &f.peers[10], 20, SPAN_LIT("r")));
    assert_int_equal(0, px_heard(&f, &f.peers[0], "r"));
    heartbeat(&f);
    assert_ok(say_px(&f, &f.peers[0], &f.peers[10], 20, SPAN_LIT("r")));
    assert_int_equal(16, px_heard(&f, &f.peers[0], "r"));
    fixture_release(&f);
}

/* ---- A poor mesh. ---- */

static void a_poor_mesh_takes_no_better_ones(void **state)
{
    static struct fixture f;
    tstamp begun;

    (void)state;
    init(&f, 6, (struct gossip_config){0});
    begun = f.now;
    connect_subscribed(&f, 6, 12);
    assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    for (size_t i = 0; i < 9; i++) /* three of the others are as poor */
        gossip_set_app_score(f.g, &f.peers[i].id, 1);
    for (size_t i = 9; i < 12; i++)
        gossip_set_app_score(f.g, &f.peers[i].id, 15);
    f.now = begun + 60 * SECONDS - 1;
    gossip_tick(f.g, f.now);
    assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    f.now += 1 * SECONDS;
    gossip_tick(f.g, f.now);
    assert_int_equal(8, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    assert_int_equal(2, gossip_stats(f.g)->better_grafts);
    for (size_t i = 6; i < 9; i++)
        assert_false(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id));
    /* Once a minute, and not when the mesh is good enough. */
    heartbeat(&f);
    assert_int_equal(2, gossip_stats(f.g)->better_grafts);
    for (size_t i = 0; i < 6; i++)
        gossip_set_app_score(f.g, &f.peers[i].id, 20);
    gossip_set_app_score(f.g, &f.peers[8].id, 1000);
    f.now += 60 * SECONDS;
    gossip_tick(f.g, f.now);
    assert_int_equal(2, gossip_stats(f.g)->better_grafts);
    for (size_t i = 0; i < 6; i++)
        gossip_set_app_score(f.g, &f.peers[i].id, 1);
    f.now += 60 * SECONDS;
    gossip_tick(f.g, f.now);
    assert_int_equal(4, gossip_stats(f.g)->better_grafts);
    fixture_release(&f);
}

/* ---- IDONTWANT. ---- */

static char large[1024 + 1];

static void init_large_as(struct fixture *f, size_t n,
                          struct gossip_config config)
{
    memset(large, 'x', 1024);
    fixture_init(f, config);
    assert_ok(gossip_subscribe(f->g, SPAN_LIT(TOPIC), f->now));
    for (size_t i = 0; i < n; i++) {
        connect_as(f, &f->peers[i], GOSSIP_V12, false);
        assert_ok(say_subscribe(f, &f->peers[i], TOPIC, true));
    }
    drain(f);
}

static void init_large(struct fixture *f, size_t n)
{
    init_large_as(f, n, (struct gossip_config){0});
}

static void a_large_message_is_sent_by_all_of_the_mesh(void **state)
{
    static struct fixture f;
    struct sent s;
    uint8_t bytes[32], seqno[8], signature[64];
    ProtobufCBinaryData id;
    Wire__GossipMessage m;

    (void)state;
    init_large(&f, 4);
    connect_as(&f, &f.peers[4], GOSSIP_V11, false); /* does not know it */
    assert_ok(say_subscribe(&f, &f.peers[4], TOPIC, true));
    connect_as(&f, &f.peers[5], GOSSIP_V12, false); /* not in the mesh */
    drain(&f);
    /* Who has no right to it does not make us say that we have it. */
    m = make_message(&f.peers[9], TOPIC, span_str(large), seqno, 1, signature);
    signature[0] ^= 1;
    assert_ok(say_message(&f, &f.peers[0], &m));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).idontwant_ids);
    /* Told before the verdict; not to the sender, nor to the author. */
    assert_ok(say_text(&f, &f.peers[0], &f.peers[1], large, 2));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).rpcs);
    assert_int_equal(0, sent_to(&f, &f.peers[1]).rpcs);
    for (size_t i = 2; i < 4; i++) {
        s = sent_to(&f, &f.peers[i]);
        id = id_of(large, bytes);
        assert_int_equal(1, s.idontwant_ids);
        assert_int_equal(id.len, s.id_len);
        assert_memory_equal(id.data, s.id, id.len);
    }
    assert_int_equal(0, sent_to(&f, &f.peers[4]).rpcs);
    assert_int_equal(0, sent_to(&f, &f.peers[5]).rpcs);
    /* One byte less is not worth it. */
    large[1023] = '\0';
    assert_ok(say_text(&f, &f.peers[0], &f.peers[1], large, 3));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).idontwant_ids);
    assert_int_equal(2, gossip_stats(f.g)->idontwant_ids_out);
    fixture_release(&f);
}

static void what_is_not_wanted_is_sent(void **state)
{
    static struct fixture f;
    uint8_t bytes[32];
    ProtobufCBinaryData id = id_of("news", bytes);

    (void)state;
    init_large(&f, 4);
    assert_ok(say_idontwant(&f, &f.peers[2], &id, 1));
    assert_ok(say_text(&f, &f.peers[0], &f.peers[1], "news", 1));
    drain(&f);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[2]).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[3]).messages);
    assert_int_equal(1, gossip_stats(f.g)->kept_back);
    /* Not by IWANT either; another may have it. */
    assert_ok(say_ids(&f, &f.peers[2], false, &id, 1));
    assert_ok(say_ids(&f, &f.peers[1], false, &id, 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[2]).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[1]).messages);
    /* Three heartbeats later that is forgotten. */
    f.now += 3 * SECONDS - 1 * MILLISECONDS;
    assert_ok(say_ids(&f, &f.peers[2], false, &id, 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[2]).messages);
    f.now += 1 * MILLISECONDS;
    assert_ok(say_ids(&f, &f.peers[2], false, &id, 1));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[2]).messages);
    fixture_release(&f);
}

static void the_unwanted_have_no_limit(void **state)
{
    enum { N = 2 * IDONTWANT_IDS_MAX };
    static struct fixture f;
    static ProtobufCBinaryData ids[N];
    static uint32_t bytes[N];
    uint8_t text_id[32];
    char text[1100];

    (void)state;
    init_large(&f, 3);
    for (uint32_t i = 0; i < N; i++) {
        bytes[i] = i;
        ids[i] = wire_bytes(SPAN((uint8_t *)&bytes[i], sizeof(bytes[i])));
    }
    assert_ok(say_idontwant(&f, &f.peers[0], ids, N));
    assert_int_equal(IDONTWANT_IDS_MAX, f.g->unwanted.count);
    ids[0] = id_of("news", text_id);
    assert_ok(say_idontwant(&f, &f.peers[0], ids, 1)); /* not believed */
    assert_int_equal(IDONTWANT_IDS_MAX, f.g->unwanted.count);
    assert_true(score(&f, &f.peers[0]) >= 0); /* nor blamed */
    heartbeat(&f);
    assert_ok(say_idontwant(&f, &f.peers[0], ids, 1));
    assert_int_equal(IDONTWANT_IDS_MAX + 1, f.g->unwanted.count);
    /* An id of no length, or of too much, is none. */
    ids[0].len = 0;
    ids[1] = wire_bytes(SPAN((uint8_t *)large, GOSSIP_ID_MAX + 1));
    assert_ok(say_idontwant(&f, &f.peers[0], ids, 2));
    assert_int_equal(IDONTWANT_IDS_MAX + 1, f.g->unwanted.count);

    /* And what we say: so many to each peer a heartbeat. */
    for (unsigned i = 0; i < IDONTWANT_IDS_MAX + 20; i++) {
        snprintf(text, sizeof(text), "%u %s", i, large);
        assert_ok(say_text(&f, &f.peers[0], &f.peers[0], text, i));
        drain(&f);
        assert_ok(gossip_verdict(f.g, f.token, GOSSIP_IGNORE, f.now));
    }
    assert_int_equal(2 * IDONTWANT_IDS_MAX,
                     gossip_stats(f.g)->idontwant_ids_out);
    fixture_release(&f);
}

/* ---- Handing on later. ---- */

static void hand_on(struct fixture *f)
{
    while (gossip_hand_on(f->g, f->now))
        ;
    drain(f);
}

static void who_sent_a_copy_meanwhile_gets_one(void **state)
{
    static struct fixture f;

    (void)state;
    init_large_as(&f, 4, (struct gossip_config){.hands_on_later = true});
    assert_ok(say_text(&f, &f.peers[0], &f.peers[9], large, 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).rpcs);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).rpcs);
    assert_ok(say_text(&f, &f.peers[1], &f.peers[9], large, 1));
    hand_on(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).rpcs);
    assert_int_equal(0, sent_to(&f, &f.peers[1]).rpcs);
    for (size_t i = 2; i < 4; i++) {
        assert_int_equal(1, sent_to(&f, &f.peers[i]).messages);
        /* It has the message: no need to say so, too. */
        assert_int_equal(0, sent_to(&f, &f.peers[i]).idontwant_ids);
    }
    assert_int_equal(2, gossip_stats(f.g)->forwarded);
    hand_on(&f);
    assert_int_equal(0, sent_to(&f, NULL).rpcs);
    fixture_release(&f);
}

static void what_waits_for_its_verdict_is_kept_secret(void **state)
{
    static struct fixture f;

    (void)state;
    init_large_as(&f, 3, (struct gossip_config){.hands_on_later = true});
    assert_ok(say_text(&f, &f.peers[0], &f.peers[9], large, 1));
    hand_on(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[1]).idontwant_ids);
    assert_int_equal(0, sent_to(&f, &f.peers[1]).messages);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    hand_on(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[1]).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[2]).messages);
    /* What is refused before anybody was told of it concerns nobody. */
    assert_ok(say_text(&f, &f.peers[0], &f.peers[9], "other", 2));
    drain(&f);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_REJECT, f.now));
    hand_on(&f);
    assert_int_equal(0, sent_to(&f, NULL).rpcs);
    fixture_release(&f);
}

/* As many as the cache holds and one more, in one turn. */
static void what_the_cache_lets_go_is_handed_to_nobody(void **state)
{
    enum { BYTES = 60000, CACHE = 2 * GOSSIP_RPC_ACCEPTED_MAX };
    static struct fixture f;
    static char text[BYTES + 1];
    unsigned count = CACHE / BYTES + 1;

    (void)state;
    init_large_as(&f, 2,
                  (struct gossip_config){.hands_on_later = true,
                                         .cache_bytes_max = CACHE});
    memset(text, 'y', BYTES);
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(text, 8, "%06u", i);
        text[6] = 'y';
        assert_ok(say_text(&f, &f.peers[0], &f.peers[9], text, i));
        drain(&f);
        assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    }
    assert_true(gossip_stats(f.g)->cache_evicted > 0);
    hand_on(&f);
    assert_int_equal(count, gossip_stats(f.g)->forwarded);
    fixture_release(&f);
}

/* ---- Failed allocations. ---- */

static void run_scenario(struct fixture *f)
{
    uint8_t bytes[32];
    ProtobufCBinaryData id = id_of("unwanted", bytes);
    struct gossip_event ev;

    whatever(gossip_subscribe(f->g, SPAN_LIT(TOPIC), f->now));
    for (size_t i = 0; i < 14; i++) {
        if (gossip_peer_connected(f->g, &f->peers[i].id, GOSSIP_V12, false, 7,
                                  f->now) != OK)
            continue;
        gossip_set_app_score(f->g, &f->peers[i].id, 1000);
        whatever(gossip_set_record(f->g, &f->peers[i].id, SPAN_LIT("record")));
        whatever(say_subscribe(f, &f->peers[i], TOPIC, true));
        whatever(say_graft(f, &f->peers[i], TOPIC));
    }
    whatever(say_idontwant(f, &f->peers[1], &id, 1));
    whatever(say_px(f, &f->peers[2], &f->peers[20], 5, SPAN_LIT("record")));
    f->token = 0;
    whatever(say_text(f, &f->peers[0], &f->peers[30], large, 1));
    while (gossip_poll(f->g, &ev))
        if (ev.type == GOSSIP_EV_MESSAGE)
            note_message(f, &ev);
    whatever(gossip_verdict(f->g, f->token, GOSSIP_ACCEPT, f->now));
    f->now += 61 * SECONDS;
    gossip_tick(f->g, f->now);
    gossip_set_app_score(f->g, &f->peers[0].id, -1000);
    gossip_peer_gone(f->g, &f->peers[0].id, f->now);
    whatever(gossip_peer_connected(f->g, &f->peers[0].id, GOSSIP_V12, false, 8,
                                   f->now));
    while (gossip_poll(f->g, &ev))
        ;
}

static void a_failed_allocation_breaks_something(void **state)
{
    static struct fixture f;
    unsigned total, made;

    (void)state;
    memset(large, 'x', 1024);
    fixture_init(&f, (struct gossip_config){0});
    made = f.heap.count;
    run_scenario(&f);
    total = f.heap.count - made;
    assert_true(gossip_stats(f.g)->px_out > 0);
    assert_int_equal(5, gossip_stats(f.g)->px_in);
    assert_true(gossip_stats(f.g)->idontwant_ids_out > 0);
    fixture_release(&f);
    for (unsigned nth = 1; nth <= total; nth++) {
        fixture_init(&f, (struct gossip_config){0});
        test_heap_fail(&f.heap, nth);
        run_scenario(&f);
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_one_too_many_is_told_of_nobody),
        cmocka_unit_test(nobody_is_told_of_whom_we_would_not_take),
        cmocka_unit_test(all_the_world_is_told_of),
        cmocka_unit_test(strangers_are_believed_whom_they_tell_of),
        cmocka_unit_test(news_are_none_or_too_many),
        cmocka_unit_test(a_poor_mesh_takes_no_better_ones),
        cmocka_unit_test(a_large_message_is_sent_by_all_of_the_mesh),
        cmocka_unit_test(what_is_not_wanted_is_sent),
        cmocka_unit_test(the_unwanted_have_no_limit),
        cmocka_unit_test(who_sent_a_copy_meanwhile_gets_one),
        cmocka_unit_test(what_waits_for_its_verdict_is_kept_secret),
        cmocka_unit_test(what_the_cache_lets_go_is_handed_to_nobody),
        cmocka_unit_test(a_failed_allocation_breaks_something),
    };

    return cmocka_run_group_tests_name("gossip_px", tests, NULL, NULL);
}
