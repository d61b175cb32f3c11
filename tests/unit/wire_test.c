/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/arena.h"
#include "wire/delim.h"

#include "support/test.h"
#include "wire/envelope.pb-c.h"
#include "wire/gossip.pb-c.h"
#include "wire/identify.pb-c.h"
#include "wire/kad.pb-c.h"
#include "wire/search.pb-c.h"

#define HEX(name, max, text)   \
    uint8_t name##_bytes[max]; \
    struct span name = hex_bytes(text, name##_bytes, max)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The arena. */

static void the_arena_gives_more_than_its_limit(void **state)
{
    struct test_heap heap;
    struct arena a;
    size_t given = 0;

    (void)state;
    test_heap_init(&heap);
    for (size_t limit = 0; limit < 20000; limit += 999) {
        arena_init(&a, limit, &heap.mem);
        for (int round = 0; round < 2; round++) {
            given = 0;
            for (size_t n = 1; n < 300; n += 7) {
                uint8_t *p = arena_alloc(&a, n);

                if (p == NULL)
                    break;
                memset(p, 0xaa, n); /* the sanitizer watches */
                assert_int_equal(0, (uintptr_t)p % _Alignof(max_align_t));
                given += n;
            }
            assert_true(given <= limit && a.used <= limit);
            assert_null(arena_alloc(&a, limit + 1));
            assert_null(arena_alloc(&a, SIZE_MAX));
            assert_true(a.refused);
            arena_reset(&a);
            assert_false(a.refused);
        }
        arena_release(&a);
    }
    assert_int_equal(0, heap.live);
}

static void the_arena_keeps_memory_when_it_runs_out(void **state)
{
    struct test_heap heap;
    struct arena a;

    (void)state;
    test_heap_init(&heap);
    arena_init(&a, 100000, &heap.mem);
    for (unsigned nth = 1; nth < 6; nth++) {
        test_heap_fail(&heap, nth);
        while (arena_alloc(&a, 100) != NULL)
            ;
        assert_true(a.refused);
        arena_release(&a);
        assert_int_equal(0, heap.live);
    }
}

/* A sub-message of two bytes takes fifty decoded. */
static void a_small_message_decodes_into_much_memory(void **state)
{
    uint8_t bomb[16384];
    struct arena a;

    (void)state;
    for (size_t i = 0; i < sizeof(bomb); i += 2)
        memcpy(bomb + i, "\x42\x00", 2); /* closer_peers, empty */
    arena_init(&a, 65536, &mem_libc);
    assert_null(
        wire__kad_message__unpack(arena_allocator(&a), sizeof(bomb), bomb));
    assert_true(a.refused);
    assert_true(a.used <= a.limit);
    arena_reset(&a);
    assert_non_null(wire__kad_message__unpack(arena_allocator(&a), 64, bomb));
    arena_release(&a);
}

static void a_decode_without_memory_leaks(void **state)
{
    HEX(bytes, 64, "0804120361626342080a0361626312017842040a026162");
    struct test_heap heap;
    Wire__KadMessage *msg = NULL;
    struct arena a;

    (void)state;
    test_heap_init(&heap);
    for (unsigned nth = 1; msg == NULL; nth++) {
        arena_init(&a, 100000, &heap.mem);
        test_heap_fail(&heap, nth);
        msg = wire__kad_message__unpack(arena_allocator(&a), bytes.len,
                                        bytes.data);
        arena_release(&a);
        assert_int_equal(0, heap.live);
        assert_true(nth < 100);
    }
}

/* Framing. */

static void frames_are_written_otherwise(void **state)
{
    static uint8_t body[300];
    struct buf b;

    (void)state;
    buf_init(&b, 306, &mem_libc);
    assert_ok(delim_put(&b, SPAN_LIT("abc")));
    assert_span_equal(SPAN_LIT("\x03"
                               "abc"),
                      buf_span(&b));
    /* All or nothing: here the length would fit, the body not. */
    assert_err(ERR_LIMIT, delim_put(&b, SPAN(body, sizeof(body) + 1)));
    assert_int_equal(4, buf_len(&b));
    assert_ok(delim_put(&b, SPAN_OF(body)));
    buf_drain(&b, 4);
    assert_true(span_starts_with(buf_span(&b), SPAN_LIT("\xac\x02")));
    buf_clear(&b);
    assert_ok(delim_put(&b, SPAN_NONE));
    assert_span_equal(SPAN("\0", 1), buf_span(&b));
    buf_release(&b);
}

/* What came out, joined by "|". */
static enum err drink(struct delim *d, struct span in, struct buf *story)
{
    struct span msg;
    bool whole;

    do {
        TRY(delim_recv(d, &in, &msg, &whole));
        if (whole) {
            TRY(buf_put(story, msg));
            TRY(buf_put_u8(story, '|'));
        }
    } while (whole);
    assert_int_equal(0, in.len);
    return OK;
}

static void a_cut_changes_the_story(void **state)
{
    static const char stream[] = "\x03"
                                 "abc\0\x01x\x00\x05hello\x82\x01";
    uint8_t bytes[sizeof(stream) - 1 + 130];
    struct test_heap heap;
    struct buf want, got;
    struct delim d;

    (void)state;
    test_heap_init(&heap);
    memset(bytes, 'z', sizeof(bytes));
    memcpy(bytes, stream, sizeof(stream) - 1);
    buf_init(&want, 1000, &mem_libc);
    buf_init(&got, 1000, &mem_libc);
    delim_init(&d, 130, &heap.mem);
    assert_ok(drink(&d, SPAN_OF(bytes), &want));
    assert_true(delim_is_between(&d));
    assert_int_equal(0, heap.live); /* whole messages cost nothing */
    assert_int_equal(3 + 1 + 5 + 130 + 6, buf_len(&want));

    for (size_t a = 0; a <= sizeof(bytes); a++) {
        for (size_t b = a; b <= sizeof(bytes); b += 1 + b / 40) {
            buf_clear(&got);
            assert_ok(drink(&d, SPAN(bytes, a), &got));
            assert_ok(drink(&d, SPAN(bytes + a, b - a), &got));
            assert_ok(drink(&d, SPAN(bytes + b, sizeof(bytes) - b), &got));
            assert_span_equal(buf_span(&want), buf_span(&got));
        }
    }
    buf_clear(&got);
    for (size_t i = 0; i < sizeof(bytes); i++)
        assert_ok(drink(&d, SPAN(bytes + i, 1), &got));
    assert_span_equal(buf_span(&want), buf_span(&got));
    assert_true(delim_is_between(&d));
    delim_release(&d);
    assert_int_equal(0, heap.live);
    buf_release(&want);
    buf_release(&got);
}

static void a_forbidden_frame_is_read(void **state)
{
    static const struct {
        const char *why, *bytes;
        enum err err;
    } rows[] = {
        {"one byte too many", "8101", ERR_FRAME_SIZE},
        {"2^63 - 1", "ffffffffffffffff7f", ERR_FRAME_SIZE},
        {"a large length, not even whole", "ffff", ERR_FRAME_SIZE},
        {"too large before it is not minimal", "f7ff00", ERR_FRAME_SIZE},
        {"not minimal", "8000", ERR_PROTO},
        {"a length of ten bytes", "80808080808080808001", ERR_PROTO},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        HEX(bytes, 16, rows[i].bytes);
        struct delim d;
        struct span msg;
        bool whole;

        delim_init(&d, 128, &mem_libc);
        if (delim_recv(&d, &bytes, &msg, &whole) != rows[i].err || whole)
            fail_msg("read: %s", rows[i].why);
        delim_release(&d);
    }
}

static void a_frame_of_the_limit_is_refused(void **state)
{
    uint8_t bytes[2 + 128] = {0x80, 0x01};
    struct span in = SPAN_OF(bytes), msg;
    struct delim d;
    bool whole;

    (void)state;
    delim_init(&d, 128, &mem_libc);
    assert_ok(delim_recv(&d, &in, &msg, &whole));
    assert_true(whole);
    assert_int_equal(128, msg.len);
    delim_release(&d);
}

static void a_length_alone_takes_memory(void **state)
{
    uint8_t bytes[] = {0x80, 0x80, 0x40, 'x'}; /* 1 MiB to come */
    struct span in = SPAN_OF(bytes), msg;
    struct test_heap heap;
    struct delim d;
    bool whole;

    (void)state;
    test_heap_init(&heap);
    delim_init(&d, 1 << 20, &heap.mem);
    assert_ok(delim_recv(&d, &in, &msg, &whole));
    assert_false(whole);
    assert_false(delim_is_between(&d));
    assert_true(d.cap <= 1024);
    delim_release(&d);
    assert_int_equal(0, heap.live);
}

static void a_frame_without_memory_leaks(void **state)
{
    uint8_t bytes[3000] = {0xb6, 0x17}; /* 2,998 to come */
    struct test_heap heap;
    enum err err = ERR_NOMEM;

    (void)state;
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        struct delim d;
        bool whole = false;

        delim_init(&d, 4000, &heap.mem);
        test_heap_fail(&heap, nth);
        err = OK;
        for (size_t i = 0; i < sizeof(bytes) && err == OK; i++) {
            struct span in = SPAN(bytes + i, 1), msg;

            err = delim_recv(&d, &in, &msg, &whole);
        }
        assert_true(err == OK ? whole : err == ERR_NOMEM && !whole);
        delim_release(&d);
        assert_int_equal(0, heap.live);
        assert_true(nth < 10);
    }
}

/* Messages. */

static void an_absent_type_is_not_put_value(void **state)
{
    HEX(bytes, 64, "12036162631a0a0a03616263120378797a");
    Wire__KadMessage *msg;
    struct arena a;
    struct buf b;

    (void)state;
    arena_init(&a, 4096, &mem_libc);
    msg = wire__kad_message__unpack(arena_allocator(&a), bytes.len, bytes.data);
    assert_non_null(msg);
    assert_int_equal(WIRE__KAD_MESSAGE__TYPE__PUT_VALUE, msg->type);
    assert_span_equal(SPAN_LIT("abc"), wire_span(msg->key));
    assert_span_equal(SPAN_LIT("xyz"), wire_span(msg->record->value));
    /* And zeros are not written. */
    buf_init(&b, 4096, &mem_libc);
    assert_ok(wire_put(&b, &msg->base));
    assert_span_equal(bytes, buf_span(&b));
    buf_clear(&b);
    assert_ok(wire_put_delim(&b, &msg->base));
    assert_int_equal(bytes.len + 1, buf_len(&b));
    assert_true(span_starts_with(buf_span(&b), SPAN("\x11", 1)));
    buf_release(&b);
    arena_release(&a);
}

/* spec: kad-dht/README.md#rpc-messages, and rust's two fields more */
static void a_kad_field_has_another_number(void **state)
{
    HEX(bytes, 64,
        "08031201611a100a01621201632a0164d2290165c8300742080a01661201"
        "6718014a030a0168");
    Wire__KadMessage *msg;
    struct arena a;

    (void)state;
    arena_init(&a, 4096, &mem_libc);
    msg = wire__kad_message__unpack(arena_allocator(&a), bytes.len, bytes.data);
    assert_non_null(msg);
    assert_int_equal(WIRE__KAD_MESSAGE__TYPE__GET_PROVIDERS, msg->type);
    assert_span_equal(SPAN_LIT("a"), wire_span(msg->key));
    assert_span_equal(SPAN_LIT("b"), wire_span(msg->record->key));
    assert_span_equal(SPAN_LIT("c"), wire_span(msg->record->value));
    assert_span_equal(SPAN_LIT("d"), wire_span(msg->record->time_received));
    assert_span_equal(SPAN_LIT("e"), wire_span(msg->record->publisher));
    assert_int_equal(7, msg->record->ttl);
    assert_span_equal(SPAN_LIT("f"), wire_span(msg->closer_peers[0]->id));
    assert_span_equal(SPAN_LIT("g"), wire_span(msg->closer_peers[0]->addrs[0]));
    assert_int_equal(WIRE__KAD_PEER__CONNECTION__CONNECTED,
                     msg->closer_peers[0]->connection);
    assert_span_equal(SPAN_LIT("h"), wire_span(msg->provider_peers[0]->id));
    arena_release(&a);
}

static void an_empty_message_is_something(void **state)
{
    Wire__KadMessage msg = WIRE__KAD_MESSAGE__INIT;
    struct buf b;

    (void)state;
    buf_init(&b, 64, &mem_libc);
    assert_ok(wire_put(&b, &msg.base));
    assert_int_equal(0, buf_len(&b));
    assert_ok(wire_put_delim(&b, &msg.base));
    assert_span_equal(SPAN("\0", 1), buf_span(&b));
    buf_release(&b);
}

/* A signature covers what was there, whether we know it or not. */
static void a_gossip_message_is_packed_otherwise(void **state)
{
    /* from, data (empty, yet there), seqno, topic, an unknown field 99 */
    HEX(bytes, 64,
        "0a0161"
        "1200"
        "1a0162"
        "220163"
        "9a060178");
    Wire__GossipMessage *msg;
    struct arena a;
    struct buf b;

    (void)state;
    arena_init(&a, 4096, &mem_libc);
    buf_init(&b, 4096, &mem_libc);
    msg = wire__gossip_message__unpack(arena_allocator(&a), bytes.len,
                                       bytes.data);
    assert_non_null(msg);
    assert_true(msg->has_data);
    assert_int_equal(0, msg->data.len);
    assert_false(msg->has_signature);
    assert_ok(wire_put(&b, &msg->base));
    assert_span_equal(bytes, buf_span(&b));
    buf_release(&b);
    arena_release(&a);
}

static void a_field_zero_is_handed_on(void **state)
{
    static const char *const cases[] = {
        "0001",             /* by itself, */
        "800001",           /* not in its shortest form, */
        "82800001 78",      /* the same with bytes, */
        "0a02 080008 0001", /* behind a subscription, */
        "0a05 0800 8000 01" /* and in one. */
    };
    bool any_was_let_through = false;
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 16, &mem_libc);
    for (size_t i = 0; i < COUNT(cases); i++) {
        HEX(bytes, 64, cases[i]);

        any_was_let_through |=
            wire__gossip_rpc__unpack(arena_allocator(&a), bytes.len,
                                     bytes.data) != NULL;
        assert_null(wire_unpack(&wire__gossip_rpc__descriptor, &a, bytes));
        arena_reset(&a);
    }
    assert_true(any_was_let_through); /* or there is nothing to guard against */
    arena_release(&a);
}

static void a_name_ends_at_a_zero_byte(void **state)
{
    HEX(bytes, 64,
        "1a03610062"
        "2a03630064");
    Wire__Identify *msg;
    struct arena a;

    (void)state;
    arena_init(&a, 4096, &mem_libc);
    msg = wire__identify__unpack(arena_allocator(&a), bytes.len, bytes.data);
    assert_non_null(msg);
    assert_int_equal(1, msg->n_protocols);
    assert_span_equal(SPAN("a\0b", 3), wire_span(msg->protocols[0]));
    assert_span_equal(SPAN("c\0d", 3), wire_span(msg->protocol_version));
    arena_release(&a);
}

static void a_search_changes_on_its_way(void **state)
{
    Wire__SearchResponse out = WIRE__SEARCH_RESPONSE__INIT, *in;
    Wire__SearchResult result = WIRE__SEARCH_RESULT__INIT, *results = &result;
    Wire__SearchLocation location = WIRE__SEARCH_LOCATION__INIT;
    Wire__SearchRate rate = WIRE__SEARCH_RATE__INIT;
    struct arena a;
    struct buf b;

    (void)state;
    result.record = wire_bytes(SPAN_LIT("{}"));
    result.score = 0.85;
    location.latitude = -33.5;
    location.longitude = 151.25;
    rate.per_minute = 60;
    out.n_results = 1;
    out.results = &results;
    out.total = 1u << 20;
    out.truncated = 1;
    out.location = &location;
    out.busy_ms = 7;
    out.rate = &rate;
    buf_init(&b, 4096, &mem_libc);
    arena_init(&a, 4096, &mem_libc);
    assert_ok(wire_put(&b, &out.base));
    in = wire__search_response__unpack(arena_allocator(&a), buf_len(&b),
                                       buf_span(&b).data);
    assert_non_null(in);
    assert_int_equal(1, in->n_results);
    assert_span_equal(SPAN_LIT("{}"), wire_span(in->results[0]->record));
    assert_true(in->results[0]->score >= 0.85 && in->results[0]->score <= 0.85);
    assert_true(in->location->latitude <= -33.5);
    assert_int_equal(1u << 20, in->total);
    assert_int_equal(7, in->busy_ms);
    assert_int_equal(60, in->rate->per_minute);
    buf_release(&b);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_gives_more_than_its_limit),
        cmocka_unit_test(the_arena_keeps_memory_when_it_runs_out),
        cmocka_unit_test(a_small_message_decodes_into_much_memory),
        cmocka_unit_test(a_decode_without_memory_leaks),
        cmocka_unit_test(frames_are_written_otherwise),
        cmocka_unit_test(a_cut_changes_the_story),
        cmocka_unit_test(a_forbidden_frame_is_read),
        cmocka_unit_test(a_frame_of_the_limit_is_refused),
        cmocka_unit_test(a_length_alone_takes_memory),
        cmocka_unit_test(a_frame_without_memory_leaks),
        cmocka_unit_test(an_absent_type_is_not_put_value),
        cmocka_unit_test(a_kad_field_has_another_number),
        cmocka_unit_test(an_empty_message_is_something),
        cmocka_unit_test(a_gossip_message_is_packed_otherwise),
        cmocka_unit_test(a_field_zero_is_handed_on),
        cmocka_unit_test(a_name_ends_at_a_zero_byte),
        cmocka_unit_test(a_search_changes_on_its_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
