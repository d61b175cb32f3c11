/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

#include "gossip_fixture.h"
#include "vectors/gossip_js.h"

/* ---- Vectors: another implementation. ---- */

static const struct js_message {
    const char *peer, *seqno, *rpc;
} js_messages[] = {
    {JS_ED25519_PEER, JS_ED25519_SEQNO, JS_ED25519_RPC},
    {JS_SECP256K1_PEER, JS_SECP256K1_SEQNO, JS_SECP256K1_RPC},
    {JS_RSA_PEER, JS_RSA_SEQNO, JS_RSA_RPC},
};

static void messages_of_js_verify_and_are_forwarded_unchanged(void **state)
{
    static struct fixture f;
    uint8_t bytes[2048];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct span rpc = hex_bytes(js_messages[i].rpc, bytes, sizeof(bytes));
        struct gossip_event ev;

        fixture_init(&f, (struct gossip_config){0});
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        connect_subscribed(&f, 0, 2);
        drain(&f);
        assert_ok(gossip_on_rpc(f.g, &f.peers[0].id, rpc, f.now, WALL));
        drain(&f);
        assert_int_equal(1, message_count(&f));
        assert_string_equal("hello from js", f.data);
        assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
        while (gossip_poll(f.g, &ev))
            if (ev.type == GOSSIP_EV_SEND) {
                assert_true(peer_id_eq(&ev.peer, &f.peers[1].id));
                assert_span_equal(rpc, ev.send.rpc);
            }
        fixture_release(&f);
    }
}

static void every_altered_byte_of_a_js_message_is_noticed(void **state)
{
    static struct fixture f;
    uint8_t bytes[2048];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct span rpc = hex_bytes(js_messages[i].rpc, bytes, sizeof(bytes));

        for (size_t at = 0; at < rpc.len; at += 3) {
            enum err err;

            fixture_init(&f, (struct gossip_config){0});
            assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
            connect_as(&f, &f.peers[0], GOSSIP_V11, false);
            bytes[at] ^= 1;
            err = gossip_on_rpc(f.g, &f.peers[0].id, rpc, f.now, WALL);
            bytes[at] ^= 1;
            drain(&f);
            /* Field 6 is not signed: without it the id still tells the key. */
            if (err == OK && message_count(&f) != 0)
                assert_string_equal("hello from js", f.data);
            assert_true(i < 2 || message_count(&f) == 0 || at == 0);
            fixture_release(&f);
        }
    }
}

static void ids_are_those_of_other_implementations(void **state)
{
    static struct fixture f;
    struct peer_id author;
    struct msg_id id;
    uint8_t want[32], seqno[8];
    char text[128];

    (void)state;
    fixture_init(&f,
                 (struct gossip_config){.id_function = GOSSIP_ID_FROM_SEQNO});
    for (size_t i = 0; i < 3; i++) {
        uint64_t n = strtoull(js_messages[i].seqno, NULL, 10);

        for (int k = 0; k < 8; k++)
            seqno[k] = (uint8_t)(n >> (56 - 8 * k));
        assert_ok(peer_id_parse(&author, span_str(js_messages[i].peer)));
        message_id(f.g, &author, SPAN_OF(seqno), SPAN_LIT("x"), &id);
        snprintf(text, sizeof(text), "%s%s", js_messages[i].peer,
                 js_messages[i].seqno);
        assert_span_equal(span_str(text), msg_id_span(&id));
    }
    fixture_release(&f);

    fixture_init(&f, (struct gossip_config){0});
    message_id(f.g, &author, SPAN_OF(seqno), SPAN_LIT("abc"), &id);
    hex_bytes("ba7816bf8f01cfea414140de5dae2223b00361a3", want, sizeof(want));
    assert_span_equal(SPAN(want, 20), msg_id_span(&id));
    fixture_release(&f);
}

static void control_of_js_is_understood(void **state)
{
    static struct fixture f;
    uint8_t bytes[512];
    struct span rpc = hex_bytes(JS_CONTROL_RPC, bytes, sizeof(bytes));
    struct sent s;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    assert_ok(gossip_on_rpc(f.g, &f.peers[0].id, rpc, f.now, WALL));
    drain(&f);
    s = sent_to(&f, &f.peers[0]);
    assert_int_equal(1, s.subscribes);
    assert_int_equal(1, s.grafts);
    assert_int_equal(1, s.iwant_ids);
    assert_int_equal(7, s.id[0]);
    assert_int_equal(20, s.id_len);
    assert_int_equal(1, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    assert_int_equal(1, outcome_count(&f, NULL, GOSSIP_UNKNOWN_TOPIC));
    fixture_release(&f);
}

/* ---- Round trip. ---- */

static void what_we_publish_another_node_hears(void **state)
{
    static struct fixture a, b;
    uint8_t seqno[8], signature[64];
    struct gossip_event ev;
    size_t sent = 0;
    Wire__GossipMessage twin;
    Wire__GossipRpc *rpc;

    (void)state;
    fixture_init_as(&a, 1001, (struct gossip_config){0});
    fixture_init_as(&b, 1002, (struct gossip_config){0});
    assert_ok(gossip_subscribe(b.g, SPAN_LIT(TOPIC), b.now));
    connect_as(&b, &a.self, GOSSIP_V11, false);
    connect_subscribed(&a, 0, 1);
    drain(&a);
    assert_ok(gossip_publish(a.g, SPAN_LIT(TOPIC), SPAN_LIT("a package"), a.now,
                             WALL, &sent));
    assert_int_equal(1, sent);
    assert_true(gossip_poll(a.g, &ev));
    assert_int_equal(GOSSIP_SEND_OWN, ev.send.kind);
    assert_ok(gossip_on_rpc(b.g, &a.self.id, ev.send.rpc, b.now, WALL));
    drain(&b);
    assert_int_equal(1, message_count(&b));
    assert_string_equal("a package", b.data);

    /* Byte for byte what protobuf-c and the specification make of it. */
    twin = make_message(&a.self, TOPIC, SPAN_LIT("a package"), seqno,
                        (uint64_t)WALL * 1000000, signature);
    rpc = wire__gossip_rpc__unpack(NULL, ev.send.rpc.len, ev.send.rpc.data);
    assert_int_equal(1, rpc->n_publish);
    assert_span_equal(wire_span(twin.seqno), wire_span(rpc->publish[0]->seqno));
    assert_span_equal(wire_span(twin.signature),
                      wire_span(rpc->publish[0]->signature));
    assert_false(rpc->publish[0]->has_key); /* it is in the id */
    wire__gossip_rpc__free_unpacked(rpc, NULL);
    fixture_release(&a);
    fixture_release(&b);
}

static void sequence_numbers_grow(void **state)
{
    static struct fixture f;
    uint64_t last = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    connect_subscribed(&f, 0, 1);
    for (int i = 0; i < 5; i++) {
        uint8_t data = (uint8_t)i;
        Wire__GossipRpc *rpc;
        uint64_t n = 0;

        drain(&f);
        /* The wall clock may stand still or go back. */
        assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN(&data, 1), f.now,
                                 WALL - i * 1000, NULL));
        drain(&f);
        rpc = wire__gossip_rpc__unpack(NULL, f.log[0].rpc_len, f.log[0].rpc);
        for (int k = 0; k < 8; k++)
            n = n << 8 | rpc->publish[0]->seqno.data[k];
        wire__gossip_rpc__free_unpacked(rpc, NULL);
        assert_true(i == 0 ? n == (uint64_t)WALL * 1000000 : n == last + 1);
        last = n;
    }
    fixture_release(&f);
}

/* ---- Any cut. ---- */

static void a_cut_rpc_never_delivers_another_message(void **state)
{
    static struct fixture f;
    uint8_t seqno[8], signature[64];
    Wire__GossipMessage m, *messages[] = {&m};
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;
    struct buf whole;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    m = make_message(&f.peers[0], TOPIC, SPAN_LIT("whole"), seqno, 1,
                     signature);
    rpc.n_publish = 1;
    rpc.publish = messages;
    buf_init(&whole, 4096, &mem_libc);
    assert_ok(wire_put(&whole, &rpc.base));
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    for (size_t cut = 0; cut < buf_len(&whole); cut++) {
        struct span part = SPAN(buf_span(&whole).data, cut);
        enum err err = gossip_on_rpc(f.g, &f.peers[0].id, part, f.now, WALL);

        drain(&f);
        assert_err(cut == 0 ? OK : ERR_PROTO, err);
        assert_int_equal(0, message_count(&f));
    }
    assert_ok(
        gossip_on_rpc(f.g, &f.peers[0].id, buf_span(&whole), f.now, WALL));
    drain(&f);
    assert_int_equal(1, message_count(&f));
    buf_release(&whole);
    fixture_release(&f);
}

static void one_rpc_or_several_tell_the_same_story(void **state)
{
    static struct fixture f;
    unsigned messages[2], grafts[2], subscribers[2];

    (void)state;
    for (int together = 0; together < 2; together++) {
        uint8_t seqno[3][8], signature[3][64], data[3] = {0, 1, 2};
        Wire__GossipMessage m[3], *at[] = {&m[0], &m[1], &m[2]};
        Wire__GossipSub sub = WIRE__GOSSIP_SUB__INIT, *subs[] = {&sub};
        Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

        fixture_init(&f, (struct gossip_config){0});
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        connect_as(&f, &f.peers[0], GOSSIP_V11, false);
        drain(&f);
        for (uint8_t i = 0; i < 3; i++)
            m[i] = make_message(&f.peers[i], TOPIC, SPAN(&data[i], 1), seqno[i],
                                i, signature[i]);
        if (together) {
            sub.has_subscribe = sub.has_topic = sub.subscribe = true;
            sub.topic = wire_bytes(SPAN_LIT(TOPIC));
            rpc.n_subscriptions = 1;
            rpc.subscriptions = subs;
            rpc.n_publish = 3;
            rpc.publish = at;
            assert_ok(say(&f, &f.peers[0], &rpc));
        } else {
            assert_ok(say_subscribe(&f, &f.peers[0], TOPIC, true));
            for (size_t i = 0; i < 3; i++)
                assert_ok(say_message(&f, &f.peers[0], &m[i]));
        }
        drain(&f);
        messages[together] = message_count(&f);
        grafts[together] = sent_to(&f, NULL).grafts;
        subscribers[together] =
            (unsigned)gossip_subscriber_count(f.g, SPAN_LIT(TOPIC));
        fixture_release(&f);
    }
    assert_int_equal(3, messages[0]);
    assert_int_equal(1, grafts[0]);
    assert_int_equal(messages[0], messages[1]);
    assert_int_equal(grafts[0], grafts[1]);
    assert_int_equal(subscribers[0], subscribers[1]);
}

/* ---- Forbidden. ---- */

static void drop_from(Wire__GossipMessage *m)
{
    m->has_from = false;
}
static void cut_from(Wire__GossipMessage *m)
{
    m->from.len = 5;
}
static void drop_seqno(Wire__GossipMessage *m)
{
    m->has_seqno = false;
}
static void cut_seqno(Wire__GossipMessage *m)
{
    m->seqno.len = 7;
}
static void drop_signature(Wire__GossipMessage *m)
{
    m->has_signature = false;
}
static void cut_signature(Wire__GossipMessage *m)
{
    m->signature.len = 63;
}
static void alter_data(Wire__GossipMessage *m)
{
    m->data = wire_bytes(SPAN_LIT("altered"));
}
static void drop_data(Wire__GossipMessage *m)
{
    m->has_data = false;
}
static void alter_topic(Wire__GossipMessage *m)
{
    m->topic = wire_bytes(SPAN_LIT(OTHER_TOPIC));
}
static void foreign_topic(Wire__GossipMessage *m)
{
    m->topic = wire_bytes(SPAN_LIT("/elsewhere"));
}
static void drop_topic(Wire__GossipMessage *m)
{
    m->has_topic = false;
}
static void add_rubbish_key(Wire__GossipMessage *m)
{
    m->has_key = true;
    m->key = wire_bytes(SPAN_LIT("rubbish"));
}
static void add_another_key(Wire__GossipMessage *m)
{
    static struct pubkey key;
    struct who other;

    who_init(&other, 77);
    pubkey_from_ed25519(&key, other.key.pub);
    m->has_key = true;
    m->key = wire_bytes(pubkey_span(&key));
}

/* Signed by another, whose key is told: only the author's will do. */
static void forge(Wire__GossipMessage *m)
{
    static uint8_t signature[64];
    struct who other;
    struct buf b;

    who_init(&other, 77);
    m->has_signature = false;
    buf_init(&b, 4096, &mem_libc);
    assert_ok(buf_put_str(&b, "libp2p-pubsub:"));
    assert_ok(wire_put(&b, &m->base));
    ed25519_sign(&other.key, buf_span(&b), signature);
    buf_release(&b);
    m->has_signature = true;
    m->signature = wire_bytes(SPAN_OF(signature));
    add_another_key(m);
}

static const struct {
    const char *why;
    void (*spoil)(Wire__GossipMessage *m);
    enum gossip_outcome own, others;
} forbidden[] = {
    {"no author", drop_from, GOSSIP_BAD_FORM, GOSSIP_BAD_FORM},
    {"an author that is no peer id", cut_from, GOSSIP_BAD_FORM,
     GOSSIP_BAD_FORM},
    {"no seqno", drop_seqno, GOSSIP_BAD_OWN_MESSAGE, GOSSIP_BAD_FORM},
    {"a seqno of 7 bytes", cut_seqno, GOSSIP_BAD_OWN_MESSAGE, GOSSIP_BAD_FORM},
    {"no signature", drop_signature, GOSSIP_BAD_OWN_MESSAGE, GOSSIP_BAD_FORM},
    {"a cut signature", cut_signature, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
    {"altered data", alter_data, GOSSIP_BAD_OWN_MESSAGE, GOSSIP_BAD_SIGNATURE},
    {"no data, though signed", drop_data, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
    {"another topic than signed", alter_topic, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
    {"a topic not in the allow-list", foreign_topic, GOSSIP_UNKNOWN_TOPIC,
     GOSSIP_UNKNOWN_TOPIC},
    {"no topic", drop_topic, GOSSIP_UNKNOWN_TOPIC, GOSSIP_UNKNOWN_TOPIC},
    {"a key that is none", add_rubbish_key, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
    {"another's key", add_another_key, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
    {"another's key and signature", forge, GOSSIP_BAD_OWN_MESSAGE,
     GOSSIP_BAD_SIGNATURE},
};

static void forbidden_messages_are_told_and_not_forwarded(void **state)
{
    static struct fixture f;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        bool is_own = i % 2 == 0;
        uint8_t seqno[8], signature[64];
        Wire__GossipMessage m;

        fixture_init(&f, (struct gossip_config){0});
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(OTHER_TOPIC), f.now));
        connect_subscribed(&f, 0, 3);
        drain(&f);
        m = make_message(&f.peers[is_own ? 0 : 5], TOPIC, SPAN_LIT("data"),
                         seqno, 9, signature);
        forbidden[i / 2].spoil(&m);
        assert_ok(say_message(&f, &f.peers[0], &m));
        drain(&f);
        if (message_count(&f) != 0 ||
            outcome_count(&f, &f.peers[0],
                          is_own ? forbidden[i / 2].own
                                 : forbidden[i / 2].others) != 1)
            fail_msg("%s (%s)", forbidden[i / 2].why, is_own ? "own" : "other");
        assert_int_equal(0, sent_to(&f, NULL).rpcs);

        /* It does not spoil the true message either. */
        assert_ok(
            say_text(&f, &f.peers[1], &f.peers[is_own ? 0 : 5], "data", 9));
        drain(&f);
        assert_int_equal(1, message_count(&f));
        fixture_release(&f);
    }
}

static void bytes_that_are_no_rpc_are_an_error(void **state)
{
    static const struct {
        const char *why, *hex;
    } cases[] = {
        {"wire type 7", "0f"},
        {"a length beyond the end", "1205aabb"},
        {"a length of 10 bytes", "12ffffffffffffffffff01"},
        {"a broken message inside", "12030a05aa"},
        {"a broken control inside", "1a020a7f"},
    };
    static struct fixture f;
    uint8_t bytes[64];

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (gossip_on_rpc(f.g, &f.peers[0].id,
                          hex_bytes(cases[i].hex, bytes, sizeof(bytes)), f.now,
                          WALL) != ERR_PROTO)
            fail_msg("%s", cases[i].why);
    assert_err(ERR_NOT_FOUND,
               gossip_on_rpc(f.g, &f.peers[1].id, SPAN_NONE, f.now, WALL));
    fixture_release(&f);
}

/* A signature covers which fields were there. */
static void a_message_without_data_is_forwarded_without(void **state)
{
    static struct fixture f;
    uint8_t seqno[8], signature[64];
    struct gossip_event ev;
    Wire__GossipMessage m;
    struct buf b;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    m = make_message(&f.peers[0], TOPIC, SPAN_NONE, seqno, 1, signature);
    m.has_data = m.has_signature = false;
    buf_init(&b, 4096, &mem_libc);
    assert_ok(buf_put_str(&b, "libp2p-pubsub:"));
    assert_ok(wire_put(&b, &m.base));
    ed25519_sign(&f.peers[0].key, buf_span(&b), signature);
    m.has_signature = true;
    assert_ok(say_message(&f, &f.peers[0], &m));
    drain(&f);
    assert_int_equal(1, message_count(&f));
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    buf_clear(&b);
    assert_ok(say_message(&f, &f.peers[0], &m)); /* leaves it in f.rpc */
    while (gossip_poll(f.g, &ev))
        if (ev.type == GOSSIP_EV_SEND)
            assert_span_equal(buf_span(&f.rpc), ev.send.rpc);
    buf_release(&b);
    fixture_release(&f);
}

static void topics_outside_the_list_do_not_exist(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    assert_err(ERR_INVAL, gossip_subscribe(f.g, SPAN_LIT("/x"), f.now));
    assert_err(ERR_INVAL, gossip_unsubscribe(f.g, SPAN_LIT("/x"), f.now));
    assert_err(ERR_INVAL, gossip_publish(f.g, SPAN_LIT("/x"), SPAN_NONE, f.now,
                                         WALL, NULL));
    assert_ok(say_subscribe(&f, &f.peers[0], "/x", true));
    assert_ok(say_graft(&f, &f.peers[0], "/x"));
    assert_ok(say_prune(&f, &f.peers[0], "/x", 60));
    drain(&f);
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_UNKNOWN_TOPIC));
    assert_int_equal(0, sent_to(&f, NULL).rpcs);
    /* Without our subscription its messages are not heard. */
    assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "x", 1));
    drain(&f);
    assert_int_equal(0, message_count(&f));
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_UNKNOWN_TOPIC));
    fixture_release(&f);
}

/* ---- Validation. ---- */

static void nothing_is_forwarded_or_first_before_its_verdict(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 4);
    drain(&f);
    assert_ok(say_text(&f, &f.peers[0], &f.peers[9], "news", 1));
    drain(&f);
    assert_int_equal(1, message_count(&f));
    assert_string_equal("news", f.data);
    assert_int_equal(0, sent_to(&f, NULL).messages);
    assert_int_equal(0, gossip_seen_count(f.g));

    assert_ok(say_text(&f, &f.peers[1], &f.peers[9], "news", 1));
    drain(&f);
    assert_int_equal(0, message_count(&f));
    assert_int_equal(1, outcome_count(&f, &f.peers[1], GOSSIP_DUPLICATE));
    assert_int_equal(0, sent_to(&f, NULL).messages);

    /* Now it goes to the two of the mesh that have not brought it. */
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(2, sent_to(&f, NULL).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[2]).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[3]).messages);
    assert_int_equal(1, outcome_count(&f, NULL, GOSSIP_DELIVERED));
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_DELIVERED));
    assert_int_equal(1, gossip_seen_count(f.g));
    assert_err(ERR_NOT_FOUND,
               gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));

    assert_ok(say_text(&f, &f.peers[2], &f.peers[9], "news", 1));
    drain(&f);
    assert_int_equal(1, outcome_count(&f, &f.peers[2], GOSSIP_DUPLICATE));
    assert_int_equal(0, sent_to(&f, NULL).messages);
    fixture_release(&f);
}

static void a_message_does_not_go_back_to_its_author(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 3);
    assert_ok(say_text(&f, &f.peers[0], &f.peers[1], "mine", 1));
    drain(&f);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[1]).messages);
    assert_int_equal(1, sent_to(&f, &f.peers[2]).messages);
    fixture_release(&f);
}

static void a_verdict_against_stops_the_message(void **state)
{
    static const struct {
        enum gossip_verdict verdict;
        enum gossip_outcome outcome;
        unsigned told; /* to the first and the second sender */
        unsigned again;
    } cases[] = {
        {GOSSIP_REJECT, GOSSIP_REJECTED, 2, 0},
        {GOSSIP_IGNORE, GOSSIP_IGNORED, 1, 0},
        {GOSSIP_UNJUDGED, GOSSIP_IGNORED, 0, 1},
    };
    static struct fixture f;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fixture_init(&f, (struct gossip_config){0});
        assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
        connect_subscribed(&f, 0, 3);
        assert_ok(say_text(&f, &f.peers[0], &f.peers[0], "bad", 1));
        assert_ok(say_text(&f, &f.peers[1], &f.peers[0], "bad", 1));
        drain(&f);
        assert_ok(gossip_verdict(f.g, f.token, cases[i].verdict, f.now));
        drain(&f);
        assert_int_equal(0, sent_to(&f, NULL).messages);
        assert_int_equal(cases[i].told,
                         outcome_count(&f, NULL, cases[i].outcome));
        assert_int_equal(0, gossip_pending_count(f.g));
        assert_ok(say_text(&f, &f.peers[1], &f.peers[0], "bad", 1));
        drain(&f);
        assert_int_equal(cases[i].again, message_count(&f));
        fixture_release(&f);
    }
}

static void our_own_message_coming_back_is_no_news(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    assert_ok(
        gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("x"), f.now, WALL, NULL));
    /* Also one of before our restart, which we do not remember. */
    assert_ok(say_text(&f, &f.peers[0], &f.self, "old", 1));
    drain(&f);
    assert_int_equal(0, message_count(&f));
    assert_int_equal(1, outcome_count(&f, &f.peers[0], GOSSIP_DUPLICATE));
    fixture_release(&f);
}

/* ---- Publishing. ---- */

static void publishing_needs_no_heartbeat_and_shares_its_bytes(void **state)
{
    static struct fixture f;
    struct gossip_event ev;
    const uint8_t *bytes = NULL;
    unsigned allocations;
    size_t sent = 0, count = 0;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    connect_subscribed(&f, 0, 30);
    connect_as(&f, &f.peers[30], GOSSIP_V11, false); /* not subscribed */
    drain(&f);
    allocations = f.heap.count;
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("x"), f.now, WALL,
                             &sent));
    assert_int_equal(30, sent);
    /* The bytes, the entry, and rings that grow once in a while. */
    assert_in_range(f.heap.count - allocations, 1, 6);
    while (gossip_poll(f.g, &ev)) {
        assert_int_equal(GOSSIP_SEND_OWN, ev.send.kind);
        assert_true(bytes == NULL || bytes == ev.send.rpc.data);
        bytes = ev.send.rpc.data;
        count++;
    }
    assert_int_equal(30, count);

    /* The same content is the same id: nothing is sent twice. */
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("x"), f.now, WALL,
                             &sent));
    assert_int_equal(0, sent);
    fixture_release(&f);
}

static void without_flood_publish_only_the_mesh_is_told(void **state)
{
    static struct fixture f;
    size_t sent;

    (void)state;
    fixture_init(&f, (struct gossip_config){.no_flood_publish = true});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 20);
    heartbeat(&f);
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("x"), f.now, WALL,
                             &sent));
    assert_int_equal(gossip_mesh_count(f.g, SPAN_LIT(TOPIC)), sent);
    assert_in_range(sent, 5, 12);
    fixture_release(&f);
}

static void without_subscription_the_fanout_is_told(void **state)
{
    static struct fixture f;
    size_t sent;

    (void)state;
    fixture_init(&f, (struct gossip_config){.no_flood_publish = true});
    connect_subscribed(&f, 0, 20);
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_LIT("1"), f.now, WALL,
                             &sent));
    assert_int_equal(6, sent);
    drain(&f);

    /* Subscribing makes a mesh of the fanout. */
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    drain(&f);
    assert_int_equal(6, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    assert_int_equal(20, sent_to(&f, NULL).subscribes);
    assert_int_equal(6, sent_to(&f, NULL).grafts);
    fixture_release(&f);
}

static void floodsub_peers_get_everything_and_no_control(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_as(&f, &f.peers[0], GOSSIP_FLOODSUB, true);
    assert_ok(say_subscribe(&f, &f.peers[0], TOPIC, true));
    connect_subscribed(&f, 1, 2);
    for (int i = 0; i < 3; i++)
        heartbeat(&f);
    assert_ok(say_text(&f, &f.peers[1], &f.peers[1], "news", 1));
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).grafts);
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(1, sent_to(&f, &f.peers[0]).messages);
    heartbeat(&f);
    drain(&f);
    assert_int_equal(0, sent_to(&f, &f.peers[0]).rpcs);
    fixture_release(&f);
}

static void
a_message_too_large_for_others_is_heard_but_not_forwarded(void **state)
{
    static struct fixture f;
    static uint8_t data[GOSSIP_RPC_SENT_MAX];
    uint8_t seqno[8], signature[64];
    Wire__GossipMessage m;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 3);
    m = make_message(&f.peers[0], TOPIC, SPAN_OF(data), seqno, 1, signature);
    assert_ok(say_message(&f, &f.peers[0], &m));
    drain(&f);
    assert_int_equal(1, message_count(&f));
    assert_ok(gossip_verdict(f.g, f.token, GOSSIP_ACCEPT, f.now));
    drain(&f);
    assert_int_equal(0, sent_to(&f, NULL).messages);

    assert_err(ERR_LIMIT, gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN_OF(data),
                                         f.now, WALL, NULL));
    assert_ok(gossip_publish(f.g, SPAN_LIT(TOPIC), SPAN(data, GOSSIP_DATA_MAX),
                             f.now, WALL, NULL));
    drain(&f);
    assert_in_range(sent_to(&f, NULL).largest, GOSSIP_DATA_MAX,
                    GOSSIP_RPC_SENT_MAX);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_js_verify_and_are_forwarded_unchanged),
        cmocka_unit_test(every_altered_byte_of_a_js_message_is_noticed),
        cmocka_unit_test(ids_are_those_of_other_implementations),
        cmocka_unit_test(control_of_js_is_understood),
        cmocka_unit_test(what_we_publish_another_node_hears),
        cmocka_unit_test(sequence_numbers_grow),
        cmocka_unit_test(a_cut_rpc_never_delivers_another_message),
        cmocka_unit_test(one_rpc_or_several_tell_the_same_story),
        cmocka_unit_test(forbidden_messages_are_told_and_not_forwarded),
        cmocka_unit_test(bytes_that_are_no_rpc_are_an_error),
        cmocka_unit_test(a_message_without_data_is_forwarded_without),
        cmocka_unit_test(topics_outside_the_list_do_not_exist),
        cmocka_unit_test(nothing_is_forwarded_or_first_before_its_verdict),
        cmocka_unit_test(a_message_does_not_go_back_to_its_author),
        cmocka_unit_test(a_verdict_against_stops_the_message),
        cmocka_unit_test(our_own_message_coming_back_is_no_news),
        cmocka_unit_test(publishing_needs_no_heartbeat_and_shares_its_bytes),
        cmocka_unit_test(without_flood_publish_only_the_mesh_is_told),
        cmocka_unit_test(without_subscription_the_fanout_is_told),
        cmocka_unit_test(floodsub_peers_get_everything_and_no_control),
        cmocka_unit_test(
            a_message_too_large_for_others_is_heard_but_not_forwarded),
    };

    return cmocka_run_group_tests_name("gossip", tests, NULL, NULL);
}
