/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

#include "gossip_fixture.h"

/* ---- The mesh. ---- */

static void the_mesh_stays_within_its_bounds(void **state)
{
    static struct fixture f;
    size_t outbound = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 3);
    /* Few: all of them, at once. */
    assert_int_equal(3, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    connect_subscribed(&f, 3, 20);
    assert_int_equal(5, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    for (size_t i = 20; i < 24; i++) {
        connect_as(&f, &f.peers[i], GOSSIP_V11, true);
        assert_ok(say_subscribe(&f, &f.peers[i], TOPIC, true));
    }
    /* Two of those we dialled are taken in addition. */
    heartbeat(&f);
    assert_in_range(gossip_mesh_count(f.g, SPAN_LIT(TOPIC)), 5, 8);
    for (size_t i = 20; i < 24; i++)
        outbound += gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id);
    assert_int_equal(2, outbound);

    /* Others graft us: up to D_hi, those we dialled beyond. */
    for (size_t i = 0; i < 24; i++)
        assert_ok(say_graft(&f, &f.peers[i], TOPIC));
    assert_int_equal(14, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    drain(&f);
    assert_int_equal(10, sent_to(&f, NULL).prunes);
    assert_int_equal(60, sent_to(&f, NULL).backoff);

    /* The heartbeat brings it back to D, with D_out dialled ones. */
    heartbeat(&f);
    drain(&f);
    assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    assert_int_equal(8, sent_to(&f, NULL).prunes);
    outbound = 0;
    for (size_t i = 20; i < 24; i++)
        outbound += gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id);
    assert_true(outbound >= 2);
    fixture_release(&f);
}

static void trimming_keeps_those_we_dialled(void **state)
{
    static struct fixture f;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        fixture_init(&f, (struct gossip_config){0});
        f.rng = rng_seeded(&f.seed, seed);
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        connect_subscribed(&f, 0, 12);
        for (size_t i = 12; i < 14; i++) {
            connect_as(&f, &f.peers[i], GOSSIP_V11, true);
            assert_ok(say_subscribe(&f, &f.peers[i], TOPIC, true));
        }
        for (size_t i = 0; i < 14; i++)
            assert_ok(say_graft(&f, &f.peers[i], TOPIC));
        assert_int_equal(14, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
        heartbeat(&f);
        assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
        for (size_t i = 12; i < 14; i++)
            assert_true(
                gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id));
        fixture_release(&f);
    }
}

static void trimming_keeps_the_best(void **state)
{
    static struct fixture f;

    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        fixture_init(&f, (struct gossip_config){0});
        f.rng = rng_seeded(&f.seed, seed);
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        for (size_t i = 0; i < 14; i++) {
            connect_as(&f, &f.peers[i], GOSSIP_V11, true);
            assert_ok(say_subscribe(&f, &f.peers[i], TOPIC, true));
            assert_ok(say_graft(&f, &f.peers[i], TOPIC));
            gossip_set_app_score(f.g, &f.peers[i].id, (double)i);
        }
        heartbeat(&f);
        assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
        for (size_t i = 10; i < 14; i++)
            assert_true(
                gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id));
        fixture_release(&f);
    }
}

static void a_lost_mesh_peer_is_replaced_at_once(void **state)
{
    static struct fixture f;
    unsigned grafts = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){.heartbeat = 10 * SECONDS});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 12);
    drain(&f);
    for (size_t i = 0; i < 5; i++)
        gossip_peer_gone(f.g, &f.peers[i].id, f.now);
    drain(&f);
    grafts = sent_to(&f, NULL).grafts;
    assert_true(grafts >= 5);
    assert_true(gossip_mesh_count(f.g, SPAN_LIT(TOPIC)) >= 5);
    gossip_peer_gone(f.g, &f.peers[0].id, f.now); /* twice does no harm */
    assert_int_equal(7, gossip_peer_count(f.g));
    fixture_release(&f);
}

static void prune_backoff_is_honoured_both_ways(void **state)
{
    static struct fixture f;
    tstamp pruned_at;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    assert_int_equal(1, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));

    /* It prunes us for 30 s: we stay away that long and a heartbeat more. */
    assert_ok(say_prune(&f, &f.peers[0], TOPIC, 30));
    pruned_at = f.now;
    for (;;) {
        drain(&f);
        heartbeat(&f);
        if (gossip_mesh_count(f.g, SPAN_LIT(TOPIC)) > 0)
            break;
        assert_true(f.now < pruned_at + 60 * SECONDS);
    }
    assert_in_range(f.now, pruned_at + 31 * SECONDS, pruned_at + 33 * SECONDS);

    /* Its GRAFT within the backoff is a PRUNE, and soon a flood. */
    assert_ok(say_prune(&f, &f.peers[0], TOPIC, 0));
    pruned_at = f.now;
    drain(&f);
    f.now = pruned_at + 10 * SECONDS - 1;
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).prunes);
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_GRAFT_FLOOD));
    assert_int_equal(0, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    /* That renewed the backoff. */
    f.now += 60 * SECONDS - 1;
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).prunes);
    assert_int_equal(0, outcome_count(&f, &f.peers[0], GOSSIP_GRAFT_FLOOD));
    f.now += 60 * SECONDS;
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).prunes);
    assert_int_equal(1, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    fixture_release(&f);
}

static void backoff_outlives_the_connection(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    assert_ok(say_prune(&f, &f.peers[0], TOPIC, 60));
    gossip_peer_gone(f.g, &f.peers[0].id, f.now);
    connect_subscribed(&f, 0, 1);
    assert_int_equal(0, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    fixture_release(&f);
}

static void leaving_prunes_for_ten_seconds_then_unsubscribes(void **state)
{
    static struct fixture f;
    size_t prune_at = 0, unsubscribe_at = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    drain(&f);
    assert_ok(gossip_unsubscribe(f.g, SPAN_LIT(TOPIC), f.now));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).prunes);
    assert_int_equal(10, sent_to(&f, &f.peers[0]).backoff);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).unsubscribes);
    for (size_t i = 0; i < f.logged; i++)
        if (f.log[i].rpc[0] == 0x0a)
            unsubscribe_at = i;
        else
            prune_at = i;
    assert_true(prune_at < unsubscribe_at);
    assert_int_equal(0, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    /* A GRAFT of a topic we left is not answered. */
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(0, f.logged);
    assert_ok(gossip_unsubscribe(f.g, SPAN_LIT(TOPIC), f.now));
    fixture_release(&f);
}

static void the_first_rpc_tells_all_subscriptions(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    connect_as(&f, &f.peers[0], GOSSIP_V12, true);
    drain(&f);
    assert_int_equal(0, f.logged); /* none yet */
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(OTHER_TOPIC), f.now));
    connect_as(&f, &f.peers[1], GOSSIP_V12, true);
    drain(&f);
    assert_int_equal(2, sent_to(&f, &f.peers[0]).rpcs);
    assert_int_equal(1, sent_to(&f, &f.peers[1]).rpcs);
    assert_int_equal(2, sent_to(&f, &f.peers[1]).subscribes);
    for (size_t i = 0; i < f.logged; i++)
        assert_int_equal(GOSSIP_SEND_CONTROL, f.log[i].ev.send.kind);
    /* Connecting once more is not a second peer. */
    connect_as(&f, &f.peers[1], GOSSIP_V12, true);
    drain(&f);
    assert_int_equal(0, f.logged);
    fixture_release(&f);
}

static void an_unsubscribed_peer_leaves_the_mesh(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    assert_ok(say_subscribe(&f, &f.peers[0], TOPIC, false));
    assert_int_equal(0, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    assert_int_equal(0, gossip_subscriber_count(f.g, SPAN_LIT(TOPIC)));
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    assert_int_equal(0, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    fixture_release(&f);
}

static void the_owners_score_decides_who_is_heard(void **state)
{
    static struct fixture f;
    size_t sent;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    assert_int_equal(2, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));

    /* Below 0: out of the mesh, and not back. */
    gossip_set_app_score(f.g, &f.peers[0].id, -1);
    heartbeat(&f);
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).prunes);
    assert_int_equal(1, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    f.now += 100 * SECONDS;
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).prunes);

    /* Below -10: no gossip.  At -10 still. */
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("1"), f.now, WALL,
                             &sent));
    assert_int_equal(2, sent);
    gossip_set_app_score(f.g, &f.peers[0].id, -10);
    heartbeat(&f);
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).ihaves);
    gossip_set_app_score(f.g, &f.peers[0].id, -11);
    heartbeat(&f);
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).ihaves);

    /* Below -50: none of our messages. */
    gossip_set_app_score(f.g, &f.peers[0].id, -51);
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("2"), f.now, WALL,
                             &sent));
    assert_int_equal(1, sent);

    /* Below -80: not heard. */
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "a", 1));
    gossip_set_app_score(f.g, &f.peers[0].id, -81);
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "b", 2));
    drain(&f);
    assert_int_equal(1, message_count(&f));
    fixture_release(&f);
}

/* ---- IHAVE and IWANT. ---- */

static void what_is_offered_and_lacking_is_asked_for(void **state)
{
    static struct fixture f;
    uint8_t bytes[3][32];
    ProtobufCBinaryData ids[3] = {id_of("known", bytes[0]),
                                  id_of("waiting", bytes[1]),
                                  id_of("unknown", bytes[2])};

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 3);
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("known"), f.now,
                             WALL, NULL));
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "waiting", 1));
    drain(&f);
    assert_ok(say_ids(&f, &f.peers[1], true, ids, 3));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[1]).iwant_ids);
    assert_memory_equal(bytes[2], sent_to(&f, &f.peers[1]).id, 20);

    /* It comes: the promise is kept. */
    assert_ok(say_text(&f, &f.peers[1], &f.peers[2], "unknown", 1));
    for (int i = 0; i < 6; i++)
        heartbeat(&f);
    drain(&f);
    assert_int_equal(0, outcome_count(&f, NULL, GOSSIP_BROKEN_PROMISE));
    fixture_release(&f);
}

static void a_promise_is_broken_after_three_seconds(void **state)
{
    static struct fixture f;
    uint8_t bytes[32];
    ProtobufCBinaryData id = id_of("never comes", bytes);

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    heartbeat(&f);
    assert_ok(say_ids(&f, &f.peers[1], true, &id, 1));
    for (int i = 0; i < 2; i++)
        heartbeat(&f);
    drain(&f);
    assert_int_equal(0, outcome_count(&f, NULL, GOSSIP_BROKEN_PROMISE));
    heartbeat(&f);
    drain(&f);
    assert_int_equal(1, outcome_count(&f, &f.peers[1], GOSSIP_BROKEN_PROMISE));
    /* Told once. */
    heartbeat(&f);
    drain(&f);
    assert_int_equal(0, outcome_count(&f, NULL, GOSSIP_BROKEN_PROMISE));
    fixture_release(&f);
}

static void
a_bad_signature_does_not_keep_a_promise_but_other_ids_do(void **state)
{
    static struct fixture f;
    uint8_t bytes[64], seqno[8], signature[64];
    struct peer_id author;
    ProtobufCBinaryData id;
    Wire__GossipMessage m;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 3);
    /* go's default id: from ‖ seqno. */
    author = f.peers[5].id;
    m = make_message(&f.peers[5], TOPIC, SPAN_LIT("x"), seqno, 5, signature);
    memcpy(bytes, author.bytes, author.len);
    memcpy(bytes + author.len, seqno, 8);
    id = wire_bytes(SPAN(bytes, author.len + 8u));
    assert_ok(say_ids(&f, &f.peers[0], true, &id, 1));
    assert_ok(say_ids(&f, &f.peers[1], true, &id, 1));
    signature[3] ^= 1;
    assert_ok(say_message(&f, &f.peers[0], &m));
    drain(&f);
    assert_int_equal(1, outcome_count(&f, NULL, GOSSIP_BAD_SIGNATURE));
    assert_int_equal(2, f.g->promise_count);
    f.g->promises[0].serial = 0; /* look at one of them */
    signature[3] ^= 1;
    assert_ok(say_message(&f, &f.peers[1], &m));
    for (int i = 0; i < 6; i++)
        heartbeat(&f);
    drain(&f);
    assert_int_equal(0, outcome_count(&f, NULL, GOSSIP_BROKEN_PROMISE));
    fixture_release(&f);
}

static void iwant_is_answered_three_times_from_the_cache(void **state)
{
    static struct fixture f;
    uint8_t bytes[32];
    ProtobufCBinaryData id = id_of("cached", bytes);

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("cached"), f.now,
                             WALL, NULL));
    for (unsigned i = 0; i < 5; i++) {
        drain(&f);
        assert_ok(say_ids(&f, &f.peers[0], false, &id, 1));
        drain(&f);
        assert_int_equal(i < 3, sent_to(&f, &f.peers[0]).messages);
    }
    /* Another peer has its own three; five heartbeats end it all. */
    assert_ok(say_ids(&f, &f.peers[1], false, &id, 1));
    drain(&f);
    assert_string_equal("cached", sent_to(&f, &f.peers[1]).data);
    for (unsigned i = 0; i < 5; i++)
        heartbeat(&f);
    assert_int_equal(0, gossip_cache_bytes(f.g));
    assert_ok(say_ids(&f, &f.peers[1], false, &id, 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[1]).messages);
    fixture_release(&f);
}

static void a_message_waiting_for_its_verdict_is_not_given_away(void **state)
{
    static struct fixture f;
    uint8_t bytes[32];
    ProtobufCBinaryData id = id_of("waiting", bytes);

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "waiting", 1));
    drain(&f);
    assert_ok(say_ids(&f, &f.peers[1], false, &id, 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).messages);
    fixture_release(&f);
}

static void
gossip_goes_to_peers_outside_the_mesh_for_three_heartbeats(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 40);
    assert_ok(
        gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("x"), f.now, WALL, NULL));
    for (unsigned beat = 0; beat < 5; beat++) {
        drain(&f);
        heartbeat(&f);
        drain(&f);
        /* A quarter of the 35 or fewer outside the mesh. */
        assert_int_equal(beat < 3 ? 8 : 0, sent_to(&f, NULL).ihaves);
        for (size_t i = 0; i < f.logged; i++)
            assert_true(
                f.log[i].ev.send.kind != GOSSIP_SEND_GOSSIP ||
                !gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.log[i].ev.peer));
    }
    fixture_release(&f);
}

static void ihaves_are_split_so_that_no_rpc_is_too_large(void **state)
{
    static struct fixture f;
    struct sent s;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    for (unsigned i = 0; i < 6000; i++) {
        struct gossip_event ev;

        assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN(&i, sizeof(i)),
                                 f.now, WALL, NULL));
        while (gossip_poll(f.g, &ev))
            ;
    }
    /* The one peer leaves the mesh to become one that gets gossip. */
    assert_ok(say_prune(&f, &f.peers[0], TOPIC, 60));
    heartbeat(&f);
    drain(&f);
    s = sent_to(&f, &f.peers[0]);
    assert_int_equal(5000, s.ihave_ids);
    assert_int_equal(2, s.ihaves);
    assert_in_range(s.largest, 60000, GOSSIP_RPC_SENT_MAX);
    fixture_release(&f);
}

/* ---- Clock walk. ---- */

static void the_clock_ends_what_it_should(void **state)
{
    static struct fixture f;
    tstamp start;

    (void)state;
    /* The first heartbeat comes early, then one a second. */
    fixture_init(&f, (struct gossip_config){0});
    assert_int_equal(f.now + 100 * MILLISECONDS, gossip_deadline(f.g));
    gossip_tick(f.g, f.now + 100 * MILLISECONDS - 1);
    assert_int_equal(f.now + 100 * MILLISECONDS, gossip_deadline(f.g));
    gossip_tick(f.g, f.now + 100 * MILLISECONDS);
    assert_int_equal(f.now + 1100 * MILLISECONDS, gossip_deadline(f.g));
    /* Missed ones are not made up for. */
    gossip_tick(f.g, f.now + 1 * HOURS);
    assert_int_equal(f.now + 1 * HOURS + 1 * SECONDS, gossip_deadline(f.g));

    /* Seen for 120 s. */
    start = f.now = f.now + 2 * HOURS;
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    drain(&f);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_REJECT, f.now));
    f.now = start + 120 * SECONDS - 1 * MILLISECONDS;
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    drain(&f);
    assert_int_equal(0, message_count(&f));
    f.now = start + 120 * SECONDS;
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    drain(&f);
    assert_int_equal(1, message_count(&f));

    /* Waiting for a verdict for 60 s. */
    start = f.now;
    gossip_tick(f.g, start + 60 * SECONDS - 1);
    assert_int_equal(1, gossip_pending_count(f.g));
    gossip_tick(f.g, start + 61 * SECONDS);
    assert_int_equal(0, gossip_pending_count(f.g));
    assert_err(ERR_NOT_FOUND,
               gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    fixture_release(&f);

    /* Fanout for 60 s after the last publish. */
    fixture_init(&f, (struct gossip_config){.no_flood_publish = true});
    connect_subscribed(&f, 0, 10);
    start = f.now;
    assert_ok(
        gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("1"), f.now, WALL, NULL));
    gossip_tick(f.g, start + 60 * SECONDS - 1);
    assert_true(f.g->topics[0].fanout_until != 0);
    gossip_tick(f.g, start + 62 * SECONDS);
    assert_true(f.g->topics[0].fanout_until == 0);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mesh_stays_within_its_bounds),
        cmocka_unit_test(trimming_keeps_those_we_dialled),
        cmocka_unit_test(trimming_keeps_the_best),
        cmocka_unit_test(a_lost_mesh_peer_is_replaced_at_once),
        cmocka_unit_test(prune_backoff_is_honoured_both_ways),
        cmocka_unit_test(backoff_outlives_the_connection),
        cmocka_unit_test(leaving_prunes_for_ten_seconds_then_unsubscribes),
        cmocka_unit_test(the_first_rpc_tells_all_subscriptions),
        cmocka_unit_test(an_unsubscribed_peer_leaves_the_mesh),
        cmocka_unit_test(the_owners_score_decides_who_is_heard),
        cmocka_unit_test(what_is_offered_and_lacking_is_asked_for),
        cmocka_unit_test(a_promise_is_broken_after_three_seconds),
        cmocka_unit_test(
            a_bad_signature_does_not_keep_a_promise_but_other_ids_do),
        cmocka_unit_test(iwant_is_answered_three_times_from_the_cache),
        cmocka_unit_test(a_message_waiting_for_its_verdict_is_not_given_away),
        cmocka_unit_test(
            gossip_goes_to_peers_outside_the_mesh_for_three_heartbeats),
        cmocka_unit_test(ihaves_are_split_so_that_no_rpc_is_too_large),
        cmocka_unit_test(the_clock_ends_what_it_should),
    };

    return cmocka_run_group_tests_name("gossip_mesh", tests, NULL, NULL);
}
