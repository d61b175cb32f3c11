/* SPDX-License-Identifier: Apache-2.0 */
#include "search/search.h"

#include <math.h>
#include <stdlib.h>

#include "wire/delim.h"
#include "wire/search.pb-c.h"

#include "support/test.h"

/* ---- Requests. ---- */

static struct search_request full_request(void)
{
    struct search_request r = {.limit = 7, .deadline_ms = 1500};

    memset(r.query, 'q', REQUEST_QUERY_MAX);
    memset(r.filter.category, 'c', REQUEST_TEXT_MAX);
    memset(r.filter.tag, 't', REQUEST_TEXT_MAX);
    memset(r.filter.author, 'a', REQUEST_TEXT_MAX);
    memset(r.filter.license, 'l', REQUEST_TEXT_MAX);
    memset(r.filter.namespace, 'n', REQUEST_TEXT_MAX);
    return r;
}

static void a_request_does_not_survive_the_wire(void **state)
{
    struct search_request want = full_request(), got;
    struct buf msg;

    (void)state;
    buf_init(&msg, SEARCH_REQUEST_MAX, &mem_libc);
    assert_ok(search_request_encode(&want, &msg));
    assert_ok(search_request_decode(buf_span(&msg), &got, &mem_libc));
    assert_memory_equal(&want, &got, sizeof(want));
    buf_release(&msg);
}

/* protoc's own bytes: fields 1, 2 {2, 5}, 3 and 4. */
static void a_request_has_other_bytes(void **state)
{
    static const uint8_t want[] = {0x0a, 0x02, 'h',  'i',  0x12, 0x06,
                                   0x12, 0x01, 't',  0x2a, 0x01, 'n',
                                   0x18, 0x05, 0x20, 0xe8, 0x07};
    struct search_request r = {.query = "hi", .limit = 5, .deadline_ms = 1000};
    struct buf msg;

    (void)state;
    r.filter.tag[0] = 't';
    r.filter.namespace[0] = 'n';
    buf_init(&msg, 64, &mem_libc);
    assert_ok(search_request_encode(&r, &msg));
    assert_span_equal(SPAN_OF(want), buf_span(&msg));
    buf_release(&msg);
}

static void an_empty_request_has_no_defaults(void **state)
{
    struct search_request r;

    (void)state;
    assert_ok(search_request_decode(SPAN_NONE, &r, &mem_libc));
    assert_int_equal(20, r.limit);
    assert_int_equal(0, r.deadline_ms);
    assert_string_equal("", r.query);
    assert_string_equal("", r.filter.tag);
}

static void a_number_above_its_limit_is_not_cut(void **state)
{
    struct search_request r = {.limit = 51, .deadline_ms = 25001}, got;
    struct buf msg;

    (void)state;
    buf_init(&msg, 64, &mem_libc);
    assert_ok(search_request_encode(&r, &msg));
    assert_ok(search_request_decode(buf_span(&msg), &got, &mem_libc));
    assert_int_equal(50, got.limit);
    assert_int_equal(25000, got.deadline_ms);
    buf_release(&msg);
}

static enum err decode_raw_request(const Wire__SearchRequest *raw)
{
    struct search_request r;
    struct buf msg;
    enum err err;

    buf_init(&msg, 2 * SEARCH_REQUEST_MAX, &mem_libc);
    assert_ok(wire_put(&msg, &raw->base));
    err = search_request_decode(buf_span(&msg), &r, &mem_libc);
    buf_release(&msg);
    return err;
}

static void a_text_above_its_limit_is_accepted(void **state)
{
    Wire__SearchRequest raw = WIRE__SEARCH_REQUEST__INIT;
    Wire__SearchFilters filters = WIRE__SEARCH_FILTERS__INIT;
    uint8_t text[SEARCH_REQUEST_MAX] = {0};

    (void)state;
    memset(text, 'x', sizeof(text));
    raw.query = wire_bytes(SPAN(text, REQUEST_QUERY_MAX));
    raw.filters = &filters;
    filters.author = wire_bytes(SPAN(text, REQUEST_TEXT_MAX));
    assert_ok(decode_raw_request(&raw));
    raw.query.len++;
    assert_err(ERR_PROTO, decode_raw_request(&raw));
    raw.query.len = 0;
    filters.author.len++;
    assert_err(ERR_PROTO, decode_raw_request(&raw));
    filters.author.len = 2;
    text[1] = '\0';
    assert_err(ERR_PROTO, decode_raw_request(&raw));
    text[1] = 'x';
    raw.query.len = SEARCH_REQUEST_MAX;
    assert_err(ERR_FRAME_SIZE, decode_raw_request(&raw));
}

static void a_malformed_request_is_accepted(void **state)
{
    static const struct {
        const char *why;
        const char *hex;
    } cases[] = {
        {"a cut tag", "80"},
        {"a cut length", "0a80"},
        {"a length beyond the end", "0a0541"},
        {"a cut number", "18"},
        {"filters that are none", "1201ff"},
        {"a field number of 0", "0000"},
        {"a group", "0b"},
        {"wire type 6", "0e00"},
    };
    uint8_t bytes[32];
    struct search_request r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct span s = hex_bytes(cases[i].hex, bytes, sizeof(bytes));

        if (search_request_decode(s, &r, &mem_libc) != ERR_PROTO)
            fail_msg("accepted: %s", cases[i].why);
    }
}

static void an_unknown_field_is_refused(void **state)
{
    uint8_t bytes[32];
    struct search_request r;

    (void)state;
    assert_ok(search_request_decode(
        hex_bytes("0a 02 68 69 78 01 7a 01 41 7d 01020304 79 0102030405060708",
                  bytes, sizeof(bytes)),
        &r, &mem_libc));
    assert_string_equal("hi", r.query);
}

/* ---- Responses. ---- */

static void a_response_does_not_survive_the_wire(void **state)
{
    struct search_response want = {.count = 2,
                                   .total = 1000000,
                                   .is_truncated = true,
                                   .rate_per_minute = 120,
                                   .has_location = true,
                                   .latitude = -90,
                                   .longitude = 180};
    struct search_response got;
    struct buf msg;
    struct span s;

    (void)state;
    want.hits[0] = (struct search_hit){SPAN_LIT("{\"a\":1}"), 3.5};
    want.hits[1] = (struct search_hit){SPAN_NONE, 0};
    buf_init(&msg, SEARCH_RESPONSE_MAX, &mem_libc);
    assert_ok(search_response_encode(&want, &msg));
    s = buf_span(&msg);
    assert_ok(search_response_decode(s, &got, &mem_libc));
    assert_int_equal(2, got.count);
    assert_span_equal(want.hits[0].record, got.hits[0].record);
    assert_true(got.hits[0].record.data > s.data &&
                got.hits[0].record.data < s.data + s.len);
    assert_int_equal(0, got.hits[1].record.len);
    assert_true(got.hits[0].score == 3.5 && got.hits[1].score == 0);
    assert_true(got.total == 1000000 && got.is_truncated && !got.is_busy);
    assert_int_equal(120, got.rate_per_minute);
    assert_true(got.has_location && got.latitude == -90 &&
                got.longitude == 180);
    buf_release(&msg);
}

static void busy_is_not_told_or_not_understood(void **state)
{
    struct search_response want = {.is_busy = true, .retry_ms = 0}, got;
    struct buf msg;

    (void)state;
    buf_init(&msg, 64, &mem_libc);
    assert_ok(search_response_encode(&want, &msg));
    assert_ok(search_response_decode(buf_span(&msg), &got, &mem_libc));
    assert_true(got.is_busy);
    assert_int_equal(1, got.retry_ms);
    assert_false(got.has_location);
    buf_release(&msg);
}

/* Records of 12 KiB: 21 fit into 256 KiB. */
static void a_response_outgrows_its_limit_or_is_not_filled(void **state)
{
    static uint8_t record[12 * 1024];
    struct search_response want = {.count = SEARCH_RESULTS_MAX, .total = 50};
    struct search_response got;
    struct buf msg;

    (void)state;
    for (size_t i = 0; i < want.count; i++)
        want.hits[i] = (struct search_hit){SPAN_OF(record), 1};
    buf_init(&msg, SEARCH_RESPONSE_MAX, &mem_libc);
    assert_ok(search_response_encode(&want, &msg));
    assert_true(buf_len(&msg) <= SEARCH_RESPONSE_MAX);
    assert_ok(search_response_decode(buf_span(&msg), &got, &mem_libc));
    assert_int_equal(21, got.count);
    assert_true(got.is_truncated);
    buf_release(&msg);

    buf_init(&msg, 1000, &mem_libc);
    assert_err(ERR_LIMIT, search_response_encode(&want, &msg));
    buf_release(&msg);
}

static void more_hits_than_50_are_accepted(void **state)
{
    uint8_t msg[51 * 2];
    struct search_response r;

    (void)state;
    for (size_t i = 0; i < sizeof(msg); i += 2) {
        msg[i] = 0x0a; /* an empty result */
        msg[i + 1] = 0;
    }
    assert_ok(search_response_decode(SPAN(msg, 100), &r, &mem_libc));
    assert_int_equal(50, r.count);
    assert_err(ERR_PROTO,
               search_response_decode(SPAN(msg, 102), &r, &mem_libc));
}

static void a_message_above_256_kib_is_decoded(void **state)
{
    uint8_t *big = calloc(1, SEARCH_RESPONSE_MAX + 1);
    struct search_response r;

    (void)state;
    assert_non_null(big);
    /* An unknown field as long as fits: tag 15, then its length. */
    big[0] = 0x7a;
    big[1] = 0xfc;
    big[2] = 0xff;
    big[3] = 0x0f;
    assert_ok(
        search_response_decode(SPAN(big, SEARCH_RESPONSE_MAX), &r, &mem_libc));
    assert_err(ERR_FRAME_SIZE,
               search_response_decode(SPAN(big, SEARCH_RESPONSE_MAX + 1), &r,
                                      &mem_libc));
    free(big);
}

/* Two bytes each on the wire, tens decoded. */
static void a_small_message_takes_much_memory(void **state)
{
    uint8_t *many = malloc(SEARCH_RESPONSE_MAX);
    struct search_response r;

    (void)state;
    assert_non_null(many);
    for (size_t i = 0; i < SEARCH_RESPONSE_MAX; i += 2) {
        many[i] = 0x78;
        many[i + 1] = 1;
    }
    assert_err(ERR_NOMEM, search_response_decode(
                              SPAN(many, SEARCH_RESPONSE_MAX), &r, &mem_libc));
    free(many);
}

static enum err decode_raw(const Wire__SearchResponse *raw,
                           struct search_response *r)
{
    struct buf msg;
    enum err err;

    buf_init(&msg, 4096, &mem_libc);
    assert_ok(wire_put(&msg, &raw->base));
    err = search_response_decode(buf_span(&msg), r, &mem_libc);
    buf_release(&msg);
    return err;
}

static void a_place_that_is_none_or_a_mad_score_is_accepted(void **state)
{
    Wire__SearchResponse raw = WIRE__SEARCH_RESPONSE__INIT;
    Wire__SearchLocation place = WIRE__SEARCH_LOCATION__INIT;
    Wire__SearchResult result = WIRE__SEARCH_RESULT__INIT;
    Wire__SearchResult *results[] = {&result};
    const double places[][2] = {{90.1, 0},    {-90.1, 0}, {0, 180.1},
                                {0, -180.1},  {NAN, 0},   {0, NAN},
                                {INFINITY, 0}};
    const double scores[] = {-1, NAN, INFINITY, -INFINITY};
    struct search_response r;

    (void)state;
    raw.location = &place;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        place.latitude = places[i][0];
        place.longitude = places[i][1];
        assert_err(ERR_PROTO, decode_raw(&raw, &r));
    }
    raw.location = NULL;
    raw.n_results = 1;
    raw.results = results;
    for (size_t i = 0; i < sizeof(scores) / sizeof(*scores); i++) {
        result.score = scores[i];
        assert_ok(decode_raw(&raw, &r));
        assert_true(r.hits[0].score == 0);
    }
}

/* Every cut is refused, or is itself a message: never a crash, never a hit
 * that points outside. */
static void a_cut_response_points_outside(void **state)
{
    struct search_response want = {
        .count = 3, .total = 9, .has_location = true, .rate_per_minute = 7};
    struct search_response got;
    struct buf msg;

    (void)state;
    for (size_t i = 0; i < want.count; i++)
        want.hits[i] = (struct search_hit){SPAN_LIT("{\"id\":\"x\"}"), 1.5};
    buf_init(&msg, 4096, &mem_libc);
    assert_ok(search_response_encode(&want, &msg));
    for (size_t cut = 0; cut < buf_len(&msg); cut++) {
        /* Alone on the heap, so that a byte too far is seen. */
        uint8_t *copy = malloc(cut ? cut : 1);

        assert_non_null(copy);
        memcpy(copy, buf_span(&msg).data, cut);
        if (search_response_decode(SPAN(copy, cut), &got, &mem_libc) == OK)
            for (size_t i = 0; i < got.count; i++)
                assert_true(got.hits[i].record.len == 0 ||
                            got.hits[i].record.data + got.hits[i].record.len <=
                                copy + cut);
        free(copy);
    }
    buf_release(&msg);
}

static void a_failed_allocation_is_not_survived(void **state)
{
    struct search_request request = full_request(), got;
    struct search_response response = {.count = 1, .has_location = true};
    struct search_response back;
    struct buf ask, answer;
    struct test_heap heap;
    enum err err = ERR_NOMEM;

    (void)state;
    response.hits[0] = (struct search_hit){SPAN_LIT("{}"), 1};
    buf_init(&ask, SEARCH_REQUEST_MAX, &mem_libc);
    buf_init(&answer, SEARCH_RESPONSE_MAX, &mem_libc);
    assert_ok(search_request_encode(&request, &ask));
    assert_ok(search_response_encode(&response, &answer));
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        test_heap_fail(&heap, nth);
        err = search_request_decode(buf_span(&ask), &got, &heap.mem);
        if (err == OK)
            err = search_response_decode(buf_span(&answer), &back, &heap.mem);
        assert_err(heap.count < heap.fail_at ? OK : ERR_NOMEM, err);
        assert_int_equal(0, heap.live);
    }
    buf_release(&ask);
    buf_release(&answer);
}

/* ---- The pace. ---- */

static struct peer_id peer(uint16_t nth)
{
    struct peer_id id = {.len = 2};

    id.bytes[0] = (uint8_t)nth;
    id.bytes[1] = (uint8_t)(nth >> 8);
    return id;
}

/* 60 a minute, 5 at once: one a second. */
static struct search_pace *new_pace(const struct mem *mem)
{
    return search_pace_new(&(struct search_pace_config){.rate_per_minute = 60,
                                                        .burst = 5,
                                                        .peers_max = 3},
                           mem);
}

static void the_pace_is_another_before_at_or_after_its_time(void **state)
{
    struct search_pace *p = new_pace(&mem_libc);
    struct peer_id a = peer(1);
    tstamp t = 1000 * SECONDS;

    (void)state;
    assert_int_equal(60, search_pace_rate(p));
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, search_pace_take(p, &a, t));
    assert_int_equal(1000, search_pace_take(p, &a, t));
    /* Being told to wait costs nothing. */
    assert_int_equal(1000, search_pace_take(p, &a, t));
    assert_int_equal(1, search_pace_take(p, &a, t + 1 * SECONDS - 1));
    assert_int_equal(0, search_pace_take(p, &a, t + 1 * SECONDS));
    assert_int_equal(500, search_pace_take(p, &a, t + 1500 * MILLISECONDS));
    assert_int_equal(0, search_pace_take(p, &a, t + 2 * SECONDS));
    assert_true(search_pace_refused(p) == 4);
    /* Silence fills the bucket, and no more than that. */
    t += 1 * HOURS;
    for (int i = 0; i < 5; i++)
        assert_int_equal(0, search_pace_take(p, &a, t));
    assert_int_equal(1000, search_pace_take(p, &a, t));
    search_pace_free(p);
}

/* Minutes of asking as fast as allowed: burst + rate, never more. */
static void a_patient_peer_gets_more_or_less_than_its_rate(void **state)
{
    struct search_pace *p = new_pace(&mem_libc);
    struct peer_id a = peer(1);
    tstamp t = 0;
    unsigned taken = 0;

    (void)state;
    while (t < 10 * MINUTES) {
        uint32_t wait = search_pace_take(p, &a, t);

        taken += wait == 0;
        t += wait * MILLISECONDS;
    }
    assert_int_equal(5 + 600 - 1, taken);
    search_pace_free(p);
}

static void one_peer_slows_another_down(void **state)
{
    struct search_pace *p = new_pace(&mem_libc);
    struct peer_id a = peer(1), b = peer(2);

    (void)state;
    while (search_pace_take(p, &a, 0) == 0)
        ;
    assert_int_equal(0, search_pace_take(p, &b, 0));
    search_pace_forget(p, &a);
    assert_int_equal(1, search_pace_peers(p));
    assert_int_equal(0, search_pace_take(p, &a, 0));
    search_pace_forget(p, &(struct peer_id){0});
    search_pace_free(p);
}

static void the_peers_are_not_bounded_or_the_wrong_one_goes(void **state)
{
    struct search_pace *p = new_pace(&mem_libc);
    struct peer_id a = peer(1), b = peer(2);

    (void)state;
    while (search_pace_take(p, &a, 0) == 0)
        ;
    assert_int_equal(0, search_pace_take(p, &b, 0));
    for (uint16_t i = 10; i < 100; i++) {
        struct peer_id id = peer(i);

        assert_int_equal(0, search_pace_take(p, &id, 0));
        assert_true(search_pace_peers(p) <= 3);
        assert_int_not_equal(0, search_pace_take(p, &a, 0));
    }
    search_pace_free(p);
}

static void a_peer_without_memory_is_let_in(void **state)
{
    struct test_heap heap;
    struct search_pace *p;
    struct peer_id a = peer(1);

    (void)state;
    test_heap_init(&heap);
    p = new_pace(&heap.mem);
    test_heap_fail(&heap, 1);
    assert_int_equal(1000, search_pace_take(p, &a, 0));
    assert_int_equal(0, search_pace_take(p, &a, 0));
    search_pace_free(p);
    assert_int_equal(0, heap.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_does_not_survive_the_wire),
        cmocka_unit_test(a_request_has_other_bytes),
        cmocka_unit_test(an_empty_request_has_no_defaults),
        cmocka_unit_test(a_number_above_its_limit_is_not_cut),
        cmocka_unit_test(a_text_above_its_limit_is_accepted),
        cmocka_unit_test(a_malformed_request_is_accepted),
        cmocka_unit_test(an_unknown_field_is_refused),
        cmocka_unit_test(a_response_does_not_survive_the_wire),
        cmocka_unit_test(busy_is_not_told_or_not_understood),
        cmocka_unit_test(a_response_outgrows_its_limit_or_is_not_filled),
        cmocka_unit_test(more_hits_than_50_are_accepted),
        cmocka_unit_test(a_message_above_256_kib_is_decoded),
        cmocka_unit_test(a_small_message_takes_much_memory),
        cmocka_unit_test(a_place_that_is_none_or_a_mad_score_is_accepted),
        cmocka_unit_test(a_cut_response_points_outside),
        cmocka_unit_test(a_failed_allocation_is_not_survived),
        cmocka_unit_test(the_pace_is_another_before_at_or_after_its_time),
        cmocka_unit_test(a_patient_peer_gets_more_or_less_than_its_rate),
        cmocka_unit_test(one_peer_slows_another_down),
        cmocka_unit_test(the_peers_are_not_bounded_or_the_wrong_one_goes),
        cmocka_unit_test(a_peer_without_memory_is_let_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
