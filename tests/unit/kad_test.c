/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

#include "support/kad.h"

/* One kad, the test being the rest of the network. */
struct one {
    struct test_heap heap;
    struct kad_config config;
    struct rng_seeded seed;
    struct rng rng;
    struct kad *k;
    tstamp now;
    struct buf answer;
};

/* A question of kad's, kept after its event is gone. */
struct question {
    uint64_t rpc, op;
    unsigned peer;
    enum kad_rpc_type type;
    size_t len;
    uint8_t message[KAD_MESSAGE_SEND_MAX];
};

static void one_open_with(struct one *o,
                          void (*alter)(struct kad_config *config))
{
    struct peer_id self = test_peer(0);
    struct multiaddr addr = test_addr(0);

    *o = (struct one){.now = 1000 * SECONDS};
    test_heap_init(&o->heap);
    o->rng = rng_seeded(&o->seed, 5);
    kad_config_default(&o->config, &self);
    if (alter != NULL)
        alter(&o->config);
    o->k = kad_new(&o->config, &test_validator, NULL, &o->rng, &o->heap.mem,
                   &log_none, o->now, test_wall);
    kad_set_addrs(o->k, &addr, 1);
    buf_init(&o->answer, KAD_MESSAGE_MAX, &o->heap.mem);
}

static void one_open(struct one *o)
{
    one_open_with(o, NULL);
}

static void one_close(struct one *o)
{
    buf_release(&o->answer);
    kad_free(o->k);
    assert_int_equal(0, o->heap.live);
}

static wall_ms wall_of(const struct one *o)
{
    return test_wall + (wall_ms)((o->now - 1000 * SECONDS) / MILLISECONDS);
}

static enum err request_from(struct one *o, unsigned peer, struct span msg)
{
    struct peer_id id = test_peer(peer);

    buf_clear(&o->answer);
    return kad_on_request(o->k, &id, msg, o->now, wall_of(o), &o->answer);
}

static enum err request(struct one *o, const char *hex)
{
    static uint8_t bytes[4096];

    return request_from(o, 1, hex_bytes(hex, bytes, sizeof(bytes)));
}

static void assert_answer(struct one *o, const char *hex)
{
    static uint8_t bytes[4096];

    assert_span_equal(hex_bytes(hex, bytes, sizeof(bytes)),
                      buf_span(&o->answer));
}

/* The next event of |type|; the ones before it are dropped. */
static bool next(struct one *o, enum kad_event_type type, struct kad_event *ev)
{
    while (kad_poll(o->k, ev))
        if (ev->type == type)
            return true;
    return false;
}

static unsigned count(struct one *o, enum kad_event_type type)
{
    struct kad_event ev;
    unsigned n = 0;

    while (next(o, type, &ev))
        n++;
    return n;
}

static bool next_question(struct one *o, struct question *q)
{
    struct kad_event ev;

    if (!next(o, KAD_EV_RPC, &ev))
        return false;
    *q = (struct question){.rpc = ev.rpc,
                           .op = ev.op,
                           .peer = test_peer_number(&ev.peer.id),
                           .type = ev.rpc_type,
                           .len = ev.message.len};
    memcpy(q->message, ev.message.data, ev.message.len);
    return true;
}

static enum err answer_with(struct one *o, uint64_t rpc, struct span msg)
{
    return kad_on_answer(o->k, rpc, msg, o->now, wall_of(o));
}

static enum err answer_hex(struct one *o, uint64_t rpc, const char *hex)
{
    static uint8_t bytes[4096];

    return answer_with(o, rpc, hex_bytes(hex, bytes, sizeof(bytes)));
}

static void fail_with(struct one *o, uint64_t rpc, enum err err)
{
    kad_on_failure(o->k, rpc, err, o->now, wall_of(o));
}

static void identified(struct one *o, unsigned peer, bool is_server)
{
    struct peer_id id = test_peer(peer);
    struct multiaddr addr = test_addr(peer);

    kad_peer_identified(o->k, &id, &addr, 1, &addr, is_server, o->now);
}

static bool in_table(const struct one *o, unsigned peer)
{
    struct peer_id id = test_peer(peer);

    return kad_is_in_table(o->k, &id);
}

static void tick(struct one *o, duration d)
{
    o->now += d;
    while (kad_deadline(o->k) <= o->now)
        kad_tick(o->k, o->now, wall_of(o));
}

/* Answer every question of ours: with nothing, puts by repeating them. */
static void answer_all(struct one *o)
{
    struct question q;

    while (next_question(o, &q)) {
        const uint8_t empty[] = {0x08, (uint8_t)q.type};

        if (q.type == KAD_PUT_VALUE)
            answer_with(o, q.rpc, SPAN(q.message, q.len));
        else if (q.type == KAD_ADD_PROVIDER)
            answer_with(o, q.rpc, SPAN_NONE);
        else
            answer_with(o, q.rpc, SPAN_OF(empty));
    }
}

static void befriend(struct one *o, unsigned peer)
{
    identified(o, peer, true);
    answer_all(o);
    assert_true(in_table(o, peer));
}

/* --- vectors ----------------------------------------------------------- */

#define PEER_0                           \
    "0024080112200000000000000000000000" \
    "000000000000000000000000000000000000000000"
#define PEER_1                           \
    "0024080112200000000100000000000000" \
    "000000000000000000000000000000000000000000"
#define KEY_A "2f736f756b2f61"     /* /souk/a */
#define VALUE_A "413a303030313a78" /* A:0001:x */
#define ADDR_0 "0414000707060fa1"  /* /ip4/20.0.7.7/tcp/4001 */
#define ADDR_1 "0414010707060fa1"

/* type absent: PUT_VALUE.  ttl 60, publisher, and rust's clusterLevelRaw. */
#define PUT_A \
    "1207" KEY_A "1a3f 0a07" KEY_A "1208" VALUE_A "d22926" PEER_1 "c8303c"

static void the_wire_is_not_what_others_speak(void **state)
{
    struct one o;

    (void)state;
    one_open(&o);
    /* PING */
    assert_ok(request(&o, "0805"));
    assert_answer(&o, "0805");
    /* FIND_NODE of any bytes, an empty table: no key in the answer. */
    assert_ok(request(&o, "0804 1203616263"));
    assert_answer(&o, "0804");
    /* FIND_NODE of ourselves */
    assert_ok(request(&o, "0804 1226" PEER_0));
    assert_answer(&o, "0804 4234 0a26" PEER_0 "1208" ADDR_0 "1802");
    /* PUT_VALUE is repeated, key and value. */
    assert_ok(request(&o, PUT_A "5001"));
    assert_answer(&o, "1207" KEY_A "1a13 0a07" KEY_A "1208" VALUE_A);
    /* GET_VALUE, ten seconds later */
    tick(&o, 10 * SECONDS);
    assert_ok(request(&o, "0801 1207" KEY_A));
    assert_answer(&o, "0801 1207" KEY_A "1a59 0a07" KEY_A "1208" VALUE_A
                      /* 2023-11-14T22:13:20.000Z */
                      "2a18323032332d31312d31345432323a31333a32302e3030305a"
                      "d22926" PEER_1 "c83032");
    /* ADD_PROVIDER has no answer; GET_PROVIDERS. */
    assert_ok(request(&o, "0802 12036b6579 4a32 0a26" PEER_1 "1208" ADDR_1));
    assert_answer(&o, "");
    assert_ok(request(&o, "0803 12036b6579"));
    assert_answer(&o, "0803 12036b6579 4a34 0a26" PEER_1 "1208" ADDR_1 "1802");
    one_close(&o);
}

static void our_questions_are_not_what_others_expect(void **state)
{
    struct question q;
    uint8_t bytes[512];
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    identified(&o, 1, true);
    assert_true(next_question(&o, &q));
    assert_span_equal(hex_bytes("0804 1226" PEER_0, bytes, sizeof(bytes)),
                      SPAN(q.message, q.len));
    answer_hex(&o, q.rpc, "0804");
    assert_ok(kad_put(o.k, SPAN_LIT("/souk/a"), SPAN_LIT("A:0001:x"),
                      o.now + 10 * SECONDS, o.now, wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_span_equal(hex_bytes("0804 1207" KEY_A, bytes, sizeof(bytes)),
                      SPAN(q.message, q.len));
    answer_hex(&o, q.rpc, "0804");
    assert_true(next_question(&o, &q));
    assert_span_equal(hex_bytes("1207" KEY_A "1a41 0a07" KEY_A "1208" VALUE_A
                                "d22926" PEER_0 "c83080c60a",
                                bytes, sizeof(bytes)),
                      SPAN(q.message, q.len));
    answer_with(&o, q.rpc, SPAN(q.message, q.len));
    /* The put has shown that there is nobody else: nobody is looked for. */
    assert_ok(kad_provide(o.k, SPAN_LIT("key"), o.now + 10 * SECONDS, o.now,
                          wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_span_equal(hex_bytes("0802 12036b6579 4a34 0a26" PEER_0 "1208" ADDR_0
                                "1802",
                                bytes, sizeof(bytes)),
                      SPAN(q.message, q.len));
    one_close(&o);
}

static bool begins_with(const struct question *q, const char *hex)
{
    uint8_t bytes[8];
    struct span s = hex_bytes(hex, bytes, sizeof(bytes));

    return q->len >= s.len && memcmp(q->message, s.data, s.len) == 0;
}

/* In a network of two, as a lookup has shown. */
static void open_with_one_other(struct one *o)
{
    struct question q;
    uint64_t op;

    one_open(o);
    befriend(o, 1);
    assert_ok(kad_find_closest(o->k, SPAN_LIT("x"), o->now + 10 * SECONDS,
                               o->now, &op));
    assert_true(next_question(o, &q));
    answer_hex(o, q.rpc, "0804");
}

/* What a lookup found of a small network is used for other keys. */
static void a_small_network_is_believed_too_long(void **state)
{
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    open_with_one_other(&o);

    o.now += 10 * SECONDS - 1;
    assert_ok(kad_provide(o.k, SPAN_LIT("key"), o.now + 10 * SECONDS, o.now,
                          wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_true(begins_with(&q, "0802"));
    o.now += 1;
    assert_ok(kad_provide(o.k, SPAN_LIT("key"), o.now + 10 * SECONDS, o.now,
                          wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_true(begins_with(&q, "0804"));
    one_close(&o);
}

/* Nobody is looked for. */
static void put_straight(struct one *o, uint64_t *op, struct question *q)
{
    assert_ok(kad_put(o->k, SPAN_LIT("/souk/a"), SPAN_LIT("A:0001:x"),
                      o->now + 10 * SECONDS, o->now, wall_of(o), op));
    assert_true(next_question(o, q));
    assert_false(begins_with(q, "0804"));
}

/* One that keeps no more is there all the same, and counts. */
static void a_full_peer_passes_for_one_that_left(void **state)
{
    struct kad_event ev;
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    open_with_one_other(&o);
    for (unsigned i = 0; i < 10; i++) {
        put_straight(&o, &op, &q);
        fail_with(&o, q.rpc, ERR_RESET);
        do
            assert_true(kad_poll(o.k, &ev));
        while (ev.type != KAD_EV_DONE || ev.op != op);
        assert_int_equal(1, ev.requested);
        assert_int_equal(0, ev.acked);
        assert_true(in_table(&o, 1));
        o.now += 500 * MILLISECONDS;
    }
    one_close(&o);
}

/* Nor does one count that did not answer: it would not have been found. */
static void a_silent_peer_counts_among_those_that_were_to_get_it(void **state)
{
    struct kad_event ev;
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    open_with_one_other(&o);
    put_straight(&o, &op, &q);
    kad_on_failure(o.k, q.rpc, ERR_TIMEOUT, o.now, wall_of(&o));
    do
        assert_true(kad_poll(o.k, &ev));
    while (ev.type != KAD_EV_DONE || ev.op != op);
    assert_int_equal(0, ev.requested);
    assert_int_equal(KAD_NO_PEERS, ev.outcome);
    /* … and the next one looks for them again. */
    assert_ok(kad_put(o.k, SPAN_LIT("/souk/b"), SPAN_LIT("A:0001:x"),
                      o.now + 10 * SECONDS, o.now, wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_true(begins_with(&q, "0804"));
    one_close(&o);
}

static void times_are_wrong(void **state)
{
    static const struct {
        wall_ms t;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951826332123, "2000-02-29T12:12:12.123Z"},
        {1700000000000, "2023-11-14T22:13:20.000Z"},
        {1709251199999, "2024-02-29T23:59:59.999Z"},
        {4102444800000, "2100-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
    };
    char text[KAD_TIME_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(cases[i].text, message_time(cases[i].t, text));
}

/* --- round trip -------------------------------------------------------- */

static void a_message_loses_something_on_the_way(void **state)
{
    struct multiaddr addr = test_addr(3), private;
    struct addrs addrs = {0};
    struct peer_id publisher = test_peer(9);
    struct message_record record = {.key = SPAN_LIT("k"),
                                    .value = SPAN_LIT("v"),
                                    .publisher = peer_id_span(&publisher),
                                    .ttl = 77,
                                    .received = 1700000000000};
    struct kad_peer peers[2];
    struct message m = {.type = KAD_GET_PROVIDERS,
                        .key = SPAN_LIT("k"),
                        .record = &record,
                        .closer = peers,
                        .closer_count = 2,
                        .providers = peers,
                        .providers_count = 2};
    Wire__KadMessage *got;
    struct arena arena;
    struct buf buf;

    (void)state;
    assert_ok(multiaddr_parse(&private, SPAN_LIT("/ip4/10.0.0.1/tcp/1")));
    assert_ok(addrs_add(&addrs, &addr, &mem_libc));
    assert_ok(addrs_add(&addrs, &addr, &mem_libc));
    assert_ok(addrs_add(&addrs, &private, &mem_libc));
    assert_int_equal(2, addrs.count);
    peers[0] = (struct kad_peer){test_peer(3), addrs_span(&addrs)};
    peers[1] = (struct kad_peer){test_peer(4), SPAN_NONE};
    arena_init(&arena, KAD_DECODE_MAX, &mem_libc);
    buf_init(&buf, KAD_MESSAGE_SEND_MAX, &mem_libc);
    assert_ok(message_encode(&arena, &m, false, &buf));
    assert_ok(message_decode(&arena, buf_span(&buf), &got));
    assert_int_equal(KAD_GET_PROVIDERS, got->type);
    assert_span_equal(m.key, message_bytes(got->key));
    assert_span_equal(record.value, message_bytes(got->record->value));
    assert_span_equal(record.publisher, message_bytes(got->record->publisher));
    assert_int_equal(77, got->record->ttl);
    /* Who cannot be dialled is no closer peer; the private address stays. */
    assert_int_equal(1, got->n_closer_peers);
    assert_int_equal(2, got->n_provider_peers);
    assert_int_equal(1, got->closer_peers[0]->n_addrs);
    assert_span_equal(multiaddr_span(&addr),
                      message_bytes(got->closer_peers[0]->addrs[0]));
    buf_clear(&buf);
    assert_ok(message_encode(&arena, &m, true, &buf));
    assert_ok(message_decode(&arena, buf_span(&buf), &got));
    assert_int_equal(2, got->closer_peers[0]->n_addrs);
    buf_release(&buf);
    arena_release(&arena);
    addrs_release(&addrs, &mem_libc);
}

static void a_large_answer_exceeds_what_rust_takes(void **state)
{
    static uint8_t value[KAD_VALUE_MAX];
    struct message_record record = {.key = SPAN_LIT("/souk/a"),
                                    .value = SPAN_OF(value)};
    struct message m = {
        .type = KAD_GET_VALUE, .key = SPAN_LIT("/souk/a"), .record = &record};
    struct kad_peer peers[KAD_K];
    struct addrs addrs = {0};
    Wire__KadMessage *got;
    struct arena arena;
    struct buf buf;

    (void)state;
    for (unsigned i = 0; i < KAD_ADDRS_MAX; i++) {
        char text[160];
        struct multiaddr addr;

        (void)snprintf(text, sizeof(text),
                       "/dns4/%u.a-rather-long-name-of-a-host-that-eats-space."
                       "in-a-long-domain.example.org/tcp/4001",
                       i);
        assert_ok(multiaddr_parse(&addr, span_str(text)));
        assert_ok(addrs_add(&addrs, &addr, &mem_libc));
    }
    for (unsigned i = 0; i < KAD_K; i++)
        peers[i] = (struct kad_peer){test_peer(i), addrs_span(&addrs)};
    m.closer = peers;
    m.closer_count = KAD_K;
    arena_init(&arena, KAD_DECODE_MAX, &mem_libc);
    buf_init(&buf, KAD_MESSAGE_MAX, &mem_libc);
    assert_ok(message_encode(&arena, &m, false, &buf));
    assert_true(buf_len(&buf) <= KAD_MESSAGE_SEND_MAX);
    assert_ok(message_decode(&arena, buf_span(&buf), &got));
    assert_int_equal(KAD_VALUE_MAX, got->record->value.len);
    assert_int_equal(KAD_K, got->n_closer_peers);
    assert_int_equal(1, got->closer_peers[0]->n_addrs);
    /* With providers too, the furthest closer peers go. */
    m.providers = peers;
    m.providers_count = KAD_K;
    buf_clear(&buf);
    assert_ok(message_encode(&arena, &m, false, &buf));
    assert_true(buf_len(&buf) <= KAD_MESSAGE_SEND_MAX);
    assert_ok(message_decode(&arena, buf_span(&buf), &got));
    assert_true(got->n_closer_peers < KAD_K);
    assert_true(got->n_provider_peers > 0);
    /* A record alone too large is refused. */
    record.value.len = KAD_VALUE_MAX;
    m.key = SPAN(value, KAD_MESSAGE_SEND_MAX - KAD_VALUE_MAX);
    assert_err(ERR_LIMIT, message_encode(&arena, &m, false, &buf));
    buf_release(&buf);
    arena_release(&arena);
    addrs_release(&addrs, &mem_libc);
}

/* --- any cut ----------------------------------------------------------- */

static void a_cut_request_is_taken_for_a_whole_one(void **state)
{
    uint8_t bytes[256];
    struct span whole = hex_bytes("1207" KEY_A "1a13 0a07" KEY_A "1208" VALUE_A,
                                  bytes, sizeof(bytes));
    struct kad_value out[KAD_PUBLISHERS_MAX];
    struct one o;

    (void)state;
    one_open(&o);
    for (size_t cut = 0; cut < whole.len; cut++) {
        /* A copy of just that size: the sanitizer sees every byte too far. */
        uint8_t *copy = malloc(cut ? cut : 1);

        memcpy(copy, bytes, cut);
        assert_true(request_from(&o, 1, SPAN(copy, cut)) != OK);
        assert_int_equal(0, buf_len(&o.answer));
        free(copy);
    }
    assert_int_equal(0, kad_local_records(o.k, SPAN_LIT("/souk/a"), out));
    assert_ok(request_from(&o, 1, whole));
    assert_int_equal(1, kad_local_records(o.k, SPAN_LIT("/souk/a"), out));
    one_close(&o);
}

static void a_cut_answer_ends_a_get_twice_or_never(void **state)
{
    uint8_t bytes[256];
    struct span whole =
        hex_bytes("0801 1a13 0a07" KEY_A "1208" VALUE_A, bytes, sizeof(bytes));

    (void)state;
    for (size_t cut = 0; cut <= whole.len; cut++) {
        struct question q;
        struct kad_event ev;
        struct one o;
        uint64_t op;

        one_open(&o);
        befriend(&o, 1);
        assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                          o.now, wall_of(&o), &op));
        assert_true(next_question(&o, &q));
        answer_with(&o, q.rpc, SPAN(bytes, cut));
        answer_with(&o, q.rpc, whole); /* too late: that id is gone */
        assert_true(next(&o, KAD_EV_DONE, &ev));
        assert_int_equal(op, ev.op);
        assert_int_equal(cut == whole.len, ev.values_count);
        /* Just the type is an answer: none here. */
        assert_int_equal(cut == whole.len || cut == 2, ev.complete);
        assert_int_equal(0, count(&o, KAD_EV_DONE));
        one_close(&o);
    }
}

/* --- forbidden --------------------------------------------------------- */

#define KEY_81                         \
    "1251"                             \
    "00000000000000000000000000000000" \
    "00000000000000000000000000000000" \
    "00000000000000000000000000000000" \
    "00000000000000000000000000000000" \
    "0000000000000000000000000000000000"

static void what_the_protocol_forbids_is_answered(void **state)
{
    static const struct {
        const char *why;
        const char *hex;
        enum err err;
    } cases[] = {
        {"empty: a put of nothing", "", ERR_PROTO},
        {"no protobuf", "ffff", ERR_PROTO},
        {"type 6", "0806 120161", ERR_PROTO},
        {"type -1", "08ffffffffffffffffff01 120161", ERR_PROTO},
        {"find_node without key", "0804", ERR_PROTO},
        {"get_value without key", "0801", ERR_PROTO},
        {"get_providers without key", "0803", ERR_PROTO},
        {"get_providers, 81 bytes", "0803" KEY_81, ERR_PROTO},
        {"add_provider, 81 bytes",
         "0802" KEY_81 "4a32 0a26" PEER_1 "1208" ADDR_1, ERR_PROTO},
        {"add_provider of nobody", "0802 12036b6579", ERR_PROTO},
        {"add_provider of another",
         "0802 12036b6579 4a32 0a26" PEER_0 "1208" ADDR_1, ERR_PROTO},
        {"add_provider without address", "0802 12036b6579 4a28 0a26" PEER_1,
         ERR_PROTO},
        {"add_provider at a private address",
         "0802 12036b6579 4a32 0a26" PEER_1 "1208 040a000001060fa1", ERR_PROTO},
        {"put without record", "1207" KEY_A, ERR_PROTO},
        {"put of another key",
         "1207 2f736f756b2f62 1a13 0a07" KEY_A "1208" VALUE_A, ERR_PROTO},
        {"put without message key", "1a13 0a07" KEY_A "1208" VALUE_A,
         ERR_PROTO},
        {"put of no value", "1207" KEY_A "1a09 0a07" KEY_A, ERR_RECORD_SIZE},
        {"put with a bad signature",
         "1207" KEY_A "1a13 0a07" KEY_A "1208 213a303030313a78",
         ERR_BAD_SIGNATURE},
        {"put under a foreign prefix", "1201 61 1a0d 0a0161 1208" VALUE_A,
         ERR_WRONG_KEY},
        {"put of no record", "1207" KEY_A "1a0c 0a07" KEY_A "120161",
         ERR_SCHEMA},
    };
    struct one o;
    struct kad_stats s;

    (void)state;
    one_open(&o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err err = request(&o, cases[i].hex);

        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].why, err_name(err));
        assert_int_equal(0, buf_len(&o.answer));
    }
    kad_stats(o.k, &s);
    assert_int_equal(0, s.records);
    assert_int_equal(0, s.provider_records);
    assert_int_equal(3, s.records_invalid);
    /* The three bad records lower the sender's score. */
    assert_int_equal(3, count(&o, KAD_EV_PEER_OUTCOME));
    one_close(&o);
}

static void an_oversized_message_is_read(void **state)
{
    static uint8_t bytes[KAD_MESSAGE_MAX + 1];
    struct kad_stats s;
    struct one o;

    (void)state;
    one_open(&o);
    assert_err(ERR_FRAME_SIZE, request_from(&o, 1, SPAN_OF(bytes)));
    kad_stats(o.k, &s);
    assert_int_equal(1, s.messages_oversized);
    one_close(&o);
}

/* 30,000 empty peers in 60 KB would be megabytes decoded. */
static void a_message_swells_without_bound(void **state)
{
    static uint8_t bytes[KAD_MESSAGE_MAX];
    struct one o;

    (void)state;
    one_open(&o);
    for (size_t i = 0; i + 1 < sizeof(bytes); i += 2)
        bytes[i] = 0x42;
    assert_true(request_from(&o, 1, SPAN_OF(bytes)) != OK);
    assert_true(o.k->arena.used <= KAD_DECODE_MAX);
    one_close(&o);
}

static void make_client(struct kad_config *config)
{
    config->is_server = false;
}

static void a_client_answers(void **state)
{
    struct one o;

    (void)state;
    one_open_with(&o, make_client);
    assert_err(ERR_NO_PROTOCOL, request(&o, "0805"));
    kad_set_server(o.k, true, o.now);
    assert_ok(request(&o, "0805"));
    one_close(&o);
}

static void a_wrong_answer_counts(void **state)
{
    static const struct {
        const char *why;
        const char *hex;
        enum kad_peer_outcome outcome;
        enum err err;
    } cases[] = {
        {"no protobuf", "ffff", KAD_PEER_BAD_ANSWER, ERR_PROTO},
        {"another type", "0804", KAD_PEER_BAD_ANSWER, ERR_PROTO},
        {"nothing", "", KAD_PEER_BAD_ANSWER, ERR_PROTO},
        {"a record of another key",
         "0801 1a13 0a07 2f736f756b2f62 1208" VALUE_A, KAD_PEER_BAD_RECORD,
         ERR_WRONG_KEY},
        {"a bad signature", "0801 1a13 0a07" KEY_A "1208 213a303030313a78",
         KAD_PEER_BAD_RECORD, ERR_BAD_SIGNATURE},
        {"no value", "0801 1a09 0a07" KEY_A, KAD_PEER_BAD_RECORD,
         ERR_RECORD_SIZE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kad_event ev = {0};
        struct question q;
        struct one o;
        uint64_t op;
        bool is_bad = false;

        one_open(&o);
        befriend(&o, 1);
        assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                          o.now, wall_of(&o), &op));
        assert_true(next_question(&o, &q));
        assert_err(cases[i].err, answer_hex(&o, q.rpc, cases[i].hex));
        while (kad_poll(o.k, &ev) && ev.type != KAD_EV_DONE)
            is_bad |= ev.type == KAD_EV_PEER_OUTCOME &&
                      ev.peer_outcome == cases[i].outcome &&
                      ev.err == cases[i].err;
        if (!is_bad)
            fail_msg("%s: no outcome", cases[i].why);
        assert_int_equal(KAD_EV_DONE, ev.type);
        assert_int_equal(0, ev.values_count);
        one_close(&o);
    }
}

/* go-libp2p may honestly answer with more than we read. */
static void a_large_answer_is_held_against_a_peer(void **state)
{
    static uint8_t bytes[KAD_MESSAGE_MAX + 1];
    struct kad_event ev;
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                      o.now, wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    assert_err(ERR_FRAME_SIZE, answer_with(&o, q.rpc, SPAN_OF(bytes)));
    assert_true(next(&o, KAD_EV_PEER_OUTCOME, &ev));
    assert_int_equal(KAD_PEER_FAILED, ev.peer_outcome);
    assert_err(ERR_FRAME_SIZE, ev.err);
    one_close(&o);
}

static void a_put_not_repeated_is_acknowledged(void **state)
{
    struct kad_event ev;
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    assert_ok(kad_put(o.k, SPAN_LIT("/souk/a"), SPAN_LIT("A:0001:x"),
                      o.now + 5 * SECONDS, o.now, wall_of(&o), &op));
    assert_true(next_question(&o, &q));
    answer_hex(&o, q.rpc, "0804");
    assert_true(next_question(&o, &q));
    answer_hex(&o, q.rpc,
               "1207" KEY_A "1a13 0a07" KEY_A
               "1208 413a303030323a78"); /* A:0002:x */
    assert_true(next(&o, KAD_EV_DONE, &ev));
    assert_int_equal(1, ev.requested);
    assert_int_equal(0, ev.acked);
    one_close(&o);
}

/* --- who enters the table ---------------------------------------------- */

static void a_peer_enters_without_answering(void **state)
{
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    identified(&o, 1, true);
    assert_false(in_table(&o, 1));
    assert_true(next_question(&o, &q));
    assert_int_equal(1, q.peer);
    fail_with(&o, q.rpc, ERR_RESET);
    assert_false(in_table(&o, 1));
    /* It is asked again, since it is connected, some times. */
    for (int i = 0; i < 4; i++) {
        tick(&o, 5 * MINUTES);
        assert_true(next_question(&o, &q));
        if (i < 3)
            fail_with(&o, q.rpc, ERR_RESET);
    }
    answer_hex(&o, q.rpc, "0804");
    assert_true(in_table(&o, 1));
    one_close(&o);
}

static void a_client_enters(void **state)
{
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    identified(&o, 1, false);
    assert_false(next_question(&o, &q));
    identified(&o, 1, true);
    assert_true(next_question(&o, &q));
    answer_hex(&o, q.rpc, "0804");
    assert_true(in_table(&o, 1));
    identified(&o, 1, false);
    assert_false(in_table(&o, 1));
    assert_int_equal(1, count(&o, KAD_EV_PEER_REMOVED));
    one_close(&o);
}

/* Numbers of |want| peers of bucket 0. */
static void of_bucket_0(unsigned *out, unsigned want)
{
    struct peer_id self = test_peer(0);
    uint8_t ours[KAD_POSITION_LEN], theirs[KAD_POSITION_LEN];

    position_of(peer_id_span(&self), ours);
    for (unsigned n = 1, have = 0; have < want; n++) {
        struct peer_id id = test_peer(n);

        position_of(peer_id_span(&id), theirs);
        if (position_prefix(ours, theirs) == 0)
            out[have++] = n;
    }
}

/* Take questions until one goes to |peer|. */
static bool question_to(struct one *o, unsigned peer, struct question *q)
{
    while (next_question(o, q))
        if (q->peer == peer)
            return true;
    return false;
}

static void a_newcomer_replaces_one_that_answers(void **state)
{
    unsigned peer[KAD_K + 1];
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    of_bucket_0(peer, KAD_K + 1);
    for (unsigned i = 0; i < KAD_K; i++)
        befriend(&o, peer[i]);
    o.now += 2 * MINUTES;
    identified(&o, peer[KAD_K], true);
    assert_true(question_to(&o, peer[KAD_K], &q));
    answer_hex(&o, q.rpc, "0804");
    assert_false(in_table(&o, peer[KAD_K]));
    /* The one heard longest ago is in doubt; it answers. */
    assert_true(question_to(&o, peer[0], &q));
    answer_hex(&o, q.rpc, "0804");
    assert_true(in_table(&o, peer[0]));
    assert_false(in_table(&o, peer[KAD_K]));
    one_close(&o);
}

static void a_silent_entry_keeps_its_place(void **state)
{
    unsigned peer[KAD_K + 1];
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    of_bucket_0(peer, KAD_K + 1);
    for (unsigned i = 0; i < KAD_K; i++)
        befriend(&o, peer[i]);
    o.now += 2 * MINUTES;
    identified(&o, peer[KAD_K], true);
    assert_true(question_to(&o, peer[KAD_K], &q));
    answer_hex(&o, q.rpc, "0804");
    assert_true(question_to(&o, peer[0], &q));
    fail_with(&o, q.rpc, ERR_DIAL_FAILED);
    assert_false(in_table(&o, peer[0]));
    /* The newcomer has to answer once more before it is in. */
    assert_false(in_table(&o, peer[KAD_K]));
    assert_true(question_to(&o, peer[KAD_K], &q));
    answer_hex(&o, q.rpc, "0804");
    assert_true(in_table(&o, peer[KAD_K]));
    one_close(&o);
}

/* Entries heard just now are not bothered for a newcomer. */
static void a_flood_of_newcomers_makes_a_flood_of_questions(void **state)
{
    unsigned peer[KAD_K + 100], asked_entries = 0;
    struct kad_event ev;
    struct one o;

    (void)state;
    one_open(&o);
    of_bucket_0(peer, KAD_K + 100);
    for (unsigned i = 0; i < KAD_K; i++)
        befriend(&o, peer[i]);
    for (unsigned i = KAD_K; i < KAD_K + 100; i++) {
        struct question q;

        identified(&o, peer[i], true);
        while (next_question(&o, &q)) {
            asked_entries += q.peer != peer[i];
            answer_hex(&o, q.rpc, "0804");
        }
    }
    assert_int_equal(0, asked_entries);
    assert_false(next(&o, KAD_EV_PEER_REMOVED, &ev));
    assert_int_equal(KAD_SPARES_MAX, o.k->routing.buckets[0].spare_count);
    one_close(&o);
}

static void one_lost_connection_counts_for_all_its_streams(void **state)
{
    struct question q[8];
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    for (int i = 0; i < 8; i++) {
        assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                          o.now, wall_of(&o), &op));
        assert_true(next_question(&o, &q[i]));
    }
    for (int i = 0; i < 8; i++)
        fail_with(&o, q[i].rpc, ERR_CLOSED);
    assert_true(in_table(&o, 1));
    /* It is asked for want of others. */
    assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                      o.now, wall_of(&o), &op));
    assert_true(next_question(&o, &q[0]));
    /* But it is not told to others while in doubt. */
    assert_ok(request(&o, "0804 120161"));
    assert_answer(&o, "0804");
    tick(&o, 6 * SECONDS);
    assert_true(next_question(&o, &q[0]));
    fail_with(&o, q[0].rpc, ERR_CLOSED);
    assert_false(in_table(&o, 1));
    one_close(&o);
}

static void our_own_trouble_counts_against_a_peer(void **state)
{
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    for (int i = 0; i < 5; i++) {
        uint64_t op;

        assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 5 * SECONDS,
                          o.now, wall_of(&o), &op));
        assert_true(next_question(&o, &q));
        fail_with(&o, q.rpc, ERR_LIMIT);
        o.now += 2 * SECONDS;
    }
    assert_true(in_table(&o, 1));
    one_close(&o);
}

static void make_small(struct kad_config *config)
{
    config->operations_max = 2;
    config->rpcs_max = 3;
    config->contacts_max = 4;
    config->provided_max = 2;
}

static void limits_do_not_hold(void **state)
{
    struct kad_stats s;
    struct one o;
    uint64_t op;

    (void)state;
    one_open_with(&o, make_small);
    for (unsigned n = 1; n <= 6; n++) {
        identified(&o, n, true);
        answer_all(&o);
    }
    assert_ok(
        kad_find_closest(o.k, SPAN_LIT("a"), o.now + SECONDS, o.now, &op));
    assert_ok(
        kad_find_closest(o.k, SPAN_LIT("b"), o.now + SECONDS, o.now, &op));
    assert_err(ERR_BUSY, kad_find_closest(o.k, SPAN_LIT("c"), o.now + SECONDS,
                                          o.now, &op));
    kad_stats(o.k, &s);
    assert_int_equal(4, s.contacts);
    assert_int_equal(2, s.contacts_refused);
    assert_int_equal(3, s.rpcs);
    assert_true(s.rpcs_refused > 0);
    assert_int_equal(1, s.operations_refused);
    /* What waited for a place gets one. */
    answer_all(&o);
    tick(&o, SECONDS);
    answer_all(&o);
    kad_stats(o.k, &s);
    assert_int_equal(0, s.operations);
    assert_ok(kad_provide(o.k, SPAN_LIT("1"), o.now + SECONDS, o.now,
                          wall_of(&o), &op));
    answer_all(&o);
    assert_ok(kad_provide(o.k, SPAN_LIT("2"), o.now + SECONDS, o.now,
                          wall_of(&o), &op));
    answer_all(&o);
    assert_err(ERR_LIMIT, kad_provide(o.k, SPAN_LIT("3"), o.now + SECONDS,
                                      o.now, wall_of(&o), &op));
    kad_unprovide(o.k, SPAN_LIT("1"));
    assert_ok(kad_provide(o.k, SPAN_LIT("3"), o.now + SECONDS, o.now,
                          wall_of(&o), &op));
    kad_stats(o.k, &s);
    assert_int_equal(1, s.provided_refused);
    assert_int_equal(2, s.provided);
    one_close(&o);
}

static void neighbours_enter_all(void **state)
{
    unsigned in = 0;
    struct kad_stats s;
    struct one o;

    (void)state;
    one_open(&o);
    for (unsigned n = 1; n <= 40; n++) {
        const uint8_t ip[4] = {20, 1, (uint8_t)n, 1};
        struct peer_id id = test_peer(n);
        struct multiaddr addr;

        multiaddr_from_ip(&addr, SPAN_OF(ip), 4001);
        kad_peer_identified(o.k, &id, &addr, 1, &addr, true, o.now);
        answer_all(&o);
        in += in_table(&o, n);
    }
    assert_int_equal(KAD_GROUP_TABLE_MAX, in);
    kad_stats(o.k, &s);
    assert_int_equal(40 - KAD_GROUP_TABLE_MAX, s.group_refused);
    /* Loopback is exempt. */
    for (unsigned n = 101; n <= 110; n++) {
        struct peer_id id = test_peer(n);
        struct multiaddr addr;

        assert_ok(multiaddr_parse(&addr, SPAN_LIT("/ip4/127.0.0.1/tcp/1")));
        kad_peer_identified(o.k, &id, &addr, 1, &addr, true, o.now);
        answer_all(&o);
        assert_true(in_table(&o, n));
    }
    one_close(&o);
}

static double score_by_number(void *ctx, const struct peer_id *peer)
{
    (void)ctx;
    return test_peer_number(peer) == 2 ? -1 : 0.5;
}

static void a_banned_peer_is_asked(void **state)
{
    const struct kad_scorer scorer = {.score = score_by_number};
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    o.k->scorer = scorer;
    befriend(&o, 1);
    befriend(&o, 2);
    befriend(&o, 3);
    assert_ok(
        kad_find_closest(o.k, SPAN_LIT("a"), o.now + SECONDS, o.now, &op));
    while (next_question(&o, &q))
        assert_int_not_equal(2, q.peer);
    one_close(&o);
}

static void strangers_make_us_dial_private_addresses(void **state)
{
    struct question q;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    assert_ok(
        kad_find_closest(o.k, SPAN_LIT("a"), o.now + SECONDS, o.now, &op));
    assert_true(next_question(&o, &q));
    /* Peer 2 at 10.0.0.1, peer 3 at 127.0.0.1 and 20.1.7.7 */
    answer_hex(&o, q.rpc,
               "0804"
               "4232 0a26 00240801122000000002000000000000000000000000"
               "00000000000000000000000000000000 1208 040a000001060fa1"
               "423c 0a26 00240801122000000003000000000000000000000000"
               "00000000000000000000000000000000 1208 047f000001060fa1"
               "1208" ADDR_1);
    assert_true(next_question(&o, &q));
    assert_int_equal(3, q.peer);
    assert_false(next_question(&o, &q));
    one_close(&o);
}

/* --- clock walk -------------------------------------------------------- */

static void a_question_waits_for_ever(void **state)
{
    struct kad_event ev;
    struct one o;
    tstamp asked_at;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    tick(&o, 0);
    answer_all(&o); /* the lookup of ourselves */
    tick(&o, 0);
    asked_at = o.now;
    assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 60 * SECONDS,
                      o.now, wall_of(&o), &op));
    assert_true(next(&o, KAD_EV_RPC, &ev));
    assert_int_equal(op, ev.op);
    assert_int_equal(asked_at + 5 * SECONDS, ev.dial_by);
    assert_int_equal(asked_at + 10 * SECONDS, ev.answer_by);
    assert_true(ev.wants_answer);
    assert_int_equal(asked_at + 1 * SECONDS, kad_deadline(o.k));
    tick(&o, 10 * SECONDS - 1);
    assert_false(next(&o, KAD_EV_RPC_ABANDONED, &ev));
    tick(&o, 1);
    assert_true(next(&o, KAD_EV_RPC_ABANDONED, &ev));
    assert_true(next(&o, KAD_EV_PEER_OUTCOME, &ev));
    assert_int_equal(KAD_PEER_FAILED, ev.peer_outcome);
    assert_err(ERR_TIMEOUT, ev.err);
    assert_true(next(&o, KAD_EV_DONE, &ev));
    assert_int_equal(KAD_NO_PEERS, ev.outcome);
    assert_false(ev.complete);
    one_close(&o);
}

static void an_operation_outlives_its_deadline(void **state)
{
    struct kad_event ev;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 2 * SECONDS,
                      o.now, wall_of(&o), &op));
    tick(&o, 2 * SECONDS - 1);
    assert_false(next(&o, KAD_EV_DONE, &ev));
    tick(&o, 1);
    assert_true(next(&o, KAD_EV_DONE, &ev));
    assert_int_equal(KAD_DEADLINE, ev.outcome);
    assert_int_equal(2 * SECONDS, ev.elapsed);
    one_close(&o);
}

static void a_cancelled_operation_is_not_reported_once(void **state)
{
    struct kad_event ev;
    struct one o;
    uint64_t op;

    (void)state;
    one_open(&o);
    befriend(&o, 1);
    assert_ok(kad_get(o.k, SPAN_LIT("/souk/a"), NULL, o.now + 2 * SECONDS,
                      o.now, wall_of(&o), &op));
    kad_cancel(o.k, op, o.now);
    kad_cancel(o.k, op, o.now);
    assert_true(next(&o, KAD_EV_DONE, &ev));
    assert_int_equal(KAD_CANCELLED, ev.outcome);
    tick(&o, 20 * SECONDS);
    assert_int_equal(0, count(&o, KAD_EV_DONE));
    one_close(&o);
}

static void being_alone_is_told_once_or_all_the_time(void **state)
{
    static const duration pause[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct kad_event ev;
    struct one o;

    (void)state;
    one_open(&o);
    kad_tick(o.k, o.now, wall_of(&o));
    assert_true(next(&o, KAD_EV_NEED_PEERS, &ev));
    assert_int_equal(1, ev.attempt);
    for (unsigned i = 0; i < sizeof(pause) / sizeof(pause[0]); i++) {
        duration d = kad_deadline(o.k) - o.now;

        assert_in_range(d, pause[i] * SECONDS * 7 / 8,
                        pause[i] * SECONDS * 9 / 8);
        tick(&o, d - 1);
        assert_false(next(&o, KAD_EV_NEED_PEERS, &ev));
        tick(&o, 1);
        assert_true(next(&o, KAD_EV_NEED_PEERS, &ev));
        assert_int_equal(i + 2, ev.attempt);
    }
    befriend(&o, 1);
    tick(&o, 2 * MINUTES);
    answer_all(&o);
    assert_false(next(&o, KAD_EV_NEED_PEERS, &ev));
    one_close(&o);
}

static void our_first_question_comes_late(void **state)
{
    struct question q;
    struct one o;

    (void)state;
    one_open(&o);
    assert_int_equal(0, kad_last_answer_at(o.k));
    identified(&o, 1, true);
    assert_true(next_question(&o, &q));
    answer_hex(&o, q.rpc, "0804");
    assert_int_equal(o.now, kad_last_answer_at(o.k));
    one_close(&o);
}

/* --- over restarts ----------------------------------------------------- */

static void a_restart_changes_the_remaining_life(void **state)
{
    struct kad_value record = {.value = SPAN_LIT("A:0001:x"),
                               .owner = test_owner('A'),
                               .publisher = test_peer(7)};
    struct kad_value out[KAD_PUBLISHERS_MAX];
    struct peer_id provider = test_peer(8);
    struct multiaddr addr = test_addr(8);
    struct kad_event ev;
    struct kad_stats s;
    struct one o;
    wall_ms soon;

    (void)state;
    one_open(&o);
    soon = wall_of(&o) + 3600 * 1000;
    assert_ok(kad_load_record(o.k, SPAN_LIT("/souk/a"), &record, false, 1, soon,
                              o.now, wall_of(&o)));
    assert_err(ERR_NOT_FOUND,
               kad_load_record(o.k, SPAN_LIT("/souk/b"), &record, false, 1,
                               wall_of(&o), o.now, wall_of(&o)));
    assert_ok(kad_load_provider(o.k, SPAN_LIT("key"), &provider, &addr, 1, soon,
                                o.now, wall_of(&o)));
    assert_ok(kad_load_provided(o.k, SPAN_LIT("ours"), 0, o.now, wall_of(&o)));
    assert_false(next(&o, KAD_EV_RECORD_STORED, &ev));
    assert_int_equal(1, kad_local_records(o.k, SPAN_LIT("/souk/a"), out));
    assert_true(peer_id_eq(&record.publisher, &out[0].publisher));
    assert_true(peer_id_eq(&record.owner, &out[0].owner));
    befriend(&o, 1);
    tick(&o, 1 * SECONDS);
    answer_all(&o);
    kad_stats(o.k, &s);
    assert_int_equal(1, s.reprovided);
    assert_int_equal(1, s.provider_records);
    tick(&o, 59 * MINUTES + 58 * SECONDS);
    answer_all(&o);
    kad_stats(o.k, &s);
    assert_int_equal(1, s.records);
    assert_int_equal(1, s.provider_records);
    tick(&o, 1 * SECONDS);
    assert_true(next(&o, KAD_EV_RECORD_FORGOTTEN, &ev));
    assert_span_equal(SPAN_LIT("/souk/a"), ev.key);
    kad_stats(o.k, &s);
    assert_int_equal(0, s.records);
    assert_int_equal(0, s.provider_records);
    one_close(&o);
}

static void what_is_stored_is_not_told_to_the_disk(void **state)
{
    struct kad_event ev;
    struct one o;

    (void)state;
    one_open(&o);
    assert_ok(request(&o, PUT_A));
    assert_true(next(&o, KAD_EV_RECORD_STORED, &ev));
    assert_span_equal(SPAN_LIT("/souk/a"), ev.key);
    assert_span_equal(SPAN_LIT("A:0001:x"), ev.record.value);
    assert_int_equal(1, test_peer_number(&ev.record.publisher));
    assert_true(ev.record.owner.len > 0);
    assert_false(ev.is_own);
    assert_int_equal(wall_of(&o), ev.received);
    assert_int_equal(wall_of(&o) + 60 * 1000, ev.expires);
    assert_ok(request(&o, "0802 12036b6579 4a32 0a26" PEER_1 "1208" ADDR_1));
    assert_true(next(&o, KAD_EV_PROVIDER_STORED, &ev));
    assert_span_equal(SPAN_LIT("key"), ev.key);
    assert_int_equal(1, test_peer_number(&ev.peer.id));
    assert_int_equal(wall_of(&o) + 48 * 3600 * 1000, ev.expires);
    one_close(&o);
}

/* --- memory ------------------------------------------------------------ */

static unsigned started, ended;

static void begun(enum err err)
{
    started += err == OK;
}

/* A little of everything; what cannot be had is done without. */
static void live(struct one *o)
{
    static const char *const requests[] = {
        "0805",
        "0804 1203616263",
        PUT_A,
        "0801 1207" KEY_A,
        "0802 12036b6579 4a32 0a26" PEER_1 "1208" ADDR_1,
        "0803 12036b6579",
    };
    struct kad_get_options full = {.is_full = true};
    uint64_t op;

    for (unsigned n = 1; n <= 4; n++)
        identified(o, n, true);
    answer_all(o);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        (void)request(o, requests[i]);
    begun(kad_put(o->k, SPAN_LIT("/souk/b"), SPAN_LIT("B:0002:y"),
                  o->now + 5 * SECONDS, o->now, wall_of(o), &op));
    begun(kad_get(o->k, SPAN_LIT("/souk/b"), &full, o->now + 5 * SECONDS,
                  o->now, wall_of(o), &op));
    begun(kad_provide(o->k, SPAN_LIT("key"), o->now + 5 * SECONDS, o->now,
                      wall_of(o), &op));
    begun(kad_find_providers(o->k, SPAN_LIT("key"), 0, o->now + 5 * SECONDS,
                             o->now, &op));
    for (int i = 0; i < 30; i++) {
        struct kad_event ev;

        while (kad_poll(o->k, &ev)) {
            uint8_t empty[2] = {0x08};
            uint8_t copy[512];

            ended += ev.type == KAD_EV_DONE;
            if (ev.type != KAD_EV_RPC)
                continue;
            empty[1] = (uint8_t)ev.rpc_type;
            memcpy(copy, ev.message.data, ev.message.len);
            answer_with(o, ev.rpc,
                        ev.rpc_type == KAD_PUT_VALUE
                            ? SPAN(copy, ev.message.len)
                            : SPAN_OF(empty));
        }
        o->now += 2 * SECONDS;
        kad_tick(o->k, o->now, wall_of(o));
    }
}

static void a_failed_allocation_is_not_survived(void **state)
{
    unsigned total = 0;

    (void)state;
    for (unsigned nth = 0; nth <= total; nth++) {
        struct one o;
        unsigned before;

        started = ended = 0;
        one_open(&o);
        before = o.heap.count;
        test_heap_fail(&o.heap, nth);
        live(&o);
        if (nth == 0) {
            total = o.heap.count - before;
            assert_int_equal(4, started);
        }
        assert_int_equal(started, ended);
        one_close(&o);
    }
    assert_true(total > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wire_is_not_what_others_speak),
        cmocka_unit_test(our_questions_are_not_what_others_expect),
        cmocka_unit_test(a_small_network_is_believed_too_long),
        cmocka_unit_test(a_full_peer_passes_for_one_that_left),
        cmocka_unit_test(a_silent_peer_counts_among_those_that_were_to_get_it),
        cmocka_unit_test(times_are_wrong),
        cmocka_unit_test(a_message_loses_something_on_the_way),
        cmocka_unit_test(a_large_answer_exceeds_what_rust_takes),
        cmocka_unit_test(a_cut_request_is_taken_for_a_whole_one),
        cmocka_unit_test(a_cut_answer_ends_a_get_twice_or_never),
        cmocka_unit_test(what_the_protocol_forbids_is_answered),
        cmocka_unit_test(an_oversized_message_is_read),
        cmocka_unit_test(a_message_swells_without_bound),
        cmocka_unit_test(a_client_answers),
        cmocka_unit_test(a_wrong_answer_counts),
        cmocka_unit_test(a_large_answer_is_held_against_a_peer),
        cmocka_unit_test(a_put_not_repeated_is_acknowledged),
        cmocka_unit_test(a_peer_enters_without_answering),
        cmocka_unit_test(a_client_enters),
        cmocka_unit_test(a_newcomer_replaces_one_that_answers),
        cmocka_unit_test(a_silent_entry_keeps_its_place),
        cmocka_unit_test(a_flood_of_newcomers_makes_a_flood_of_questions),
        cmocka_unit_test(one_lost_connection_counts_for_all_its_streams),
        cmocka_unit_test(our_own_trouble_counts_against_a_peer),
        cmocka_unit_test(limits_do_not_hold),
        cmocka_unit_test(neighbours_enter_all),
        cmocka_unit_test(a_banned_peer_is_asked),
        cmocka_unit_test(strangers_make_us_dial_private_addresses),
        cmocka_unit_test(a_question_waits_for_ever),
        cmocka_unit_test(an_operation_outlives_its_deadline),
        cmocka_unit_test(a_cancelled_operation_is_not_reported_once),
        cmocka_unit_test(being_alone_is_told_once_or_all_the_time),
        cmocka_unit_test(our_first_question_comes_late),
        cmocka_unit_test(a_restart_changes_the_remaining_life),
        cmocka_unit_test(what_is_stored_is_not_told_to_the_disk),
        cmocka_unit_test(a_failed_allocation_is_not_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
