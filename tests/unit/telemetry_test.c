/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/telemetry.h"

#include <telemetry/otlp.pb-c.h>

#include "multi/peer_id.h"
#include "support/heap.h"
#include "support/test.h"
#include "telemetry/backlog.h"
#include "telemetry/notes.h"
#include "telemetry/otlp.h"

#define ENDPOINT "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"

static struct otel otel;

/* Up to eight variables. */
static const struct otel *read_with(const char *const variables[])
{
    char *environment[9] = {NULL};

    for (size_t i = 0; i < 8 && variables[i] != NULL; i++)
        environment[i] = (char *)(uintptr_t)variables[i];
    otel_read(&otel, environment);
    return &otel;
}

#define READ(...) read_with((const char *const[]){__VA_ARGS__, NULL})

/* ---- What the environment says. ---- */

static void without_an_endpoint_nothing_is_on(void **state)
{
    (void)state;
    assert_false(READ("OTEL_SERVICE_NAME=x")->is_on);
    assert_false(READ("OTEL_EXPORTER_OTLP_ENDPOINT=")->is_on);
    assert_false(READ(ENDPOINT, "OTEL_SDK_DISABLED=TRUE")->is_on);
    assert_false(READ(ENDPOINT, "OTEL_TRACES_EXPORTER=none")->is_on);
    assert_false(READ("OTEL_EXPORTER_OTLP_ENDPOINT=ftp://x")->is_on);
    assert_int_equal(1, otel.warning_count);
    assert_true(READ(ENDPOINT, "OTEL_SDK_DISABLED=no")->is_on);
}

static void the_path_is_added_to_the_general_endpoint_only(void **state)
{
    (void)state;
    assert_string_equal("http://127.0.0.1:4318/v1/traces", READ(ENDPOINT)->url);
    assert_string_equal(
        "https://c.example/otlp/v1/traces",
        READ("OTEL_EXPORTER_OTLP_ENDPOINT=https://c.example/otlp/")->url);
    assert_string_equal(
        "http://c.example/mine",
        READ(ENDPOINT,
             "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c.example/mine")
            ->url);
}

static void the_defaults_are_the_specifications(void **state)
{
    const struct otel *o = READ(ENDPOINT);

    (void)state;
    assert_true(o->timeout == 10 * SECONDS);
    assert_true(o->schedule_delay == 5 * SECONDS);
    assert_true(o->export_timeout == 30 * SECONDS);
    assert_int_equal(2048, o->queue_max);
    assert_int_equal(512, o->batch_max);
    assert_int_equal(TRACE_ALWAYS_ON, o->sampler.root);
    assert_true(o->sampler.is_parent_based);
    assert_true(o->takes_parents);
    assert_int_equal(1, o->resource_count);
    assert_string_equal("souk", o->resource[0].value);
    assert_int_equal(0, o->warning_count);
}

static void numbers_are_taken_and_bounded(void **state)
{
    const struct otel *o = READ(
        ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE=100",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=4000", "OTEL_EXPORTER_OTLP_TIMEOUT=250",
        "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=300");

    (void)state;
    assert_int_equal(100, o->queue_max);
    assert_int_equal(100, o->batch_max); /* no more than there can be */
    assert_true(o->timeout == 300 * MILLISECONDS);
    assert_true(o->schedule_delay == 1 * MILLISECONDS);
    o = READ(ENDPOINT, "OTEL_BSP_MAX_QUEUE_SIZE=99999999999",
             "OTEL_BSP_SCHEDULE_DELAY=-1", "OTEL_EXPORTER_OTLP_TIMEOUT=1s");
    assert_int_equal(OTEL_QUEUE_MAX, o->queue_max);
    assert_true(o->schedule_delay == 5 * SECONDS);
    assert_true(o->timeout == 10 * SECONDS);
    assert_int_equal(3, o->warning_count);
}

static void headers_are_read_and_unescaped(void **state)
{
    const struct otel *o =
        READ(ENDPOINT, "OTEL_EXPORTER_OTLP_HEADERS= a = b%20c ,,d=e=f ");

    (void)state;
    assert_int_equal(2, o->header_count);
    assert_string_equal("a", o->headers[0].key);
    assert_string_equal("b c", o->headers[0].value);
    assert_string_equal("e=f", o->headers[1].value);
    /* What could add a header of its own is none. */
    o = READ(ENDPOINT,
             "OTEL_EXPORTER_OTLP_HEADERS=a=b%0d%0aX: y,c,=d,e=%2,f:=g,h=i");
    assert_int_equal(1, o->header_count);
    assert_string_equal("h", o->headers[0].key);
    assert_int_equal(5, o->warning_count);
}

static void the_service_name_has_the_last_word(void **state)
{
    const struct otel *o =
        READ(ENDPOINT,
             "OTEL_RESOURCE_ATTRIBUTES=service.name=a,team=b,service.name=c",
             "OTEL_SERVICE_NAME=d");

    (void)state;
    assert_string_equal("service.name", o->resource[2].key);
    assert_string_equal("d", o->resource[2].value);
    o = READ(ENDPOINT, "OTEL_RESOURCE_ATTRIBUTES=service.name=a");
    assert_string_equal("a", o->resource[0].value);
    assert_int_equal(1, o->resource_count);
}

static void samplers_are_known_by_name(void **state)
{
    const struct otel *o = READ(ENDPOINT, "OTEL_TRACES_SAMPLER=traceidratio",
                                "OTEL_TRACES_SAMPLER_ARG=0.5");

    (void)state;
    assert_int_equal(TRACE_RATIO, o->sampler.root);
    assert_false(o->sampler.is_parent_based);
    assert_true(o->sampler.ratio_bound == (uint64_t)1 << 62);
    o = READ(ENDPOINT, "OTEL_TRACES_SAMPLER=sometimes",
             "OTEL_TRACES_SAMPLER_ARG=2", "OTEL_PROPAGATORS=b3");
    assert_int_equal(TRACE_ALWAYS_ON, o->sampler.root);
    assert_int_equal(2, o->warning_count);
    assert_false(o->takes_parents);
}

static void lists_have_an_end(void **state)
{
    char text[OTEL_PAIRS_MAX * 8 + 64] = "OTEL_EXPORTER_OTLP_HEADERS=";
    size_t len = strlen(text);

    (void)state;
    for (int i = 0; i < OTEL_PAIRS_MAX + 1; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "k%d=v,", i);
    assert_int_equal(OTEL_PAIRS_MAX, READ(ENDPOINT, text)->header_count);
}

/* ---- Spans for the tests. ---- */

static struct trace_span sample;

static struct trace_span *span_of(const char *name)
{
    memset(&sample, 0, sizeof(sample));
    sample.name = name;
    sample.kind = TRACE_CLIENT;
    memset(sample.trace_id, 0xaa, sizeof(sample.trace_id));
    memset(sample.span_id, 0xbb, sizeof(sample.span_id));
    sample.started_at = 5;
    sample.ended_at = 9;
    return &sample;
}

/* ---- The backlog. ---- */

static void the_backlog_is_full_at_its_limit(void **state)
{
    struct test_heap heap;
    struct queued *batch;
    struct backlog b;
    size_t n;

    (void)state;
    test_heap_init(&heap);
    backlog_init(&b, 3, 2, &heap.mem);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(backlog_has_room(&b));
        assert_ok(backlog_put(&b, span_of(i == 0 ? "first" : "later")));
    }
    assert_false(backlog_has_room(&b));
    assert_int_equal(ERR_LIMIT, backlog_put(&b, span_of("too many")));
    batch = backlog_take(&b, 2, &n);
    assert_int_equal(2, n);
    assert_string_equal("first", batch->span.name);
    assert_int_equal(1, backlog_count(&b));
    queued_free(&heap.mem, batch);
    assert_ok(backlog_put(&b, span_of("again")));
    backlog_release(&b);
    assert_int_equal(0, heap.live);
}

static void a_span_without_memory_is_refused(void **state)
{
    struct test_heap heap;
    struct backlog b;

    (void)state;
    test_heap_init(&heap);
    backlog_init(&b, 3, 2, &heap.mem);
    test_heap_fail(&heap, 1);
    assert_int_equal(ERR_NOMEM, backlog_put(&b, span_of("s")));
    assert_int_equal(0, backlog_count(&b));
    assert_ok(backlog_put(&b, span_of("s")));
    backlog_release(&b);
    assert_int_equal(0, heap.live);
}

/* ---- Notes. ---- */

static void a_note_is_found_again_with_its_state(void **state)
{
    struct trace_context in = {.is_sampled = true, .state = "a=b"}, out;
    char text[TRACE_STATE_MAX + 1], name[32];
    struct test_heap heap;
    struct notes notes;

    (void)state;
    test_heap_init(&heap);
    notes_init(&notes, &heap.mem);
    memset(in.trace_id, 7, sizeof(in.trace_id));
    assert_false(notes_get(&notes, span_str("x"), &out, text));
    notes_put(&notes, span_str("x"), &in);
    assert_true(notes_get(&notes, span_str("x"), &out, text));
    assert_string_equal("a=b", out.state);
    assert_memory_equal(in.trace_id, out.trace_id, TRACE_ID_LEN);
    assert_false(notes_get(&notes, span_str("y"), &out, text));
    /* Bounded, however many there are. */
    for (int i = 0; i < 4 * NOTES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        notes_put(&notes, span_str(name), &in);
        assert_true(notes_get(&notes, span_str(name), &out, text));
    }
    assert_true(heap.live <= NOTES_MAX);
    test_heap_fail(&heap, 1);
    notes_put(&notes, span_str("no memory"), &in);
    assert_false(notes_get(&notes, span_str("no memory"), &out, text));
    notes_release(&notes);
    assert_int_equal(0, heap.live);
}

/* ---- The encoding. ---- */

static const struct otlp_sender *sender(void)
{
    static struct otlp_sender s;

    s = (struct otlp_sender){READ(ENDPOINT, "OTEL_SERVICE_NAME=market"),
                             "1.2.3", "12D3KooW"};
    return &s;
}

/* Two spans: a server's with everything, and one with nothing. */
static struct queued *two_spans(struct backlog *b, const struct mem *mem)
{
    static const uint8_t pub[ED25519_PUB_LEN] = {1, 2, 3};
    struct trace_span *s = span_of("GET");
    struct peer_id peer;
    size_t n;

    backlog_init(b, 2, 2, mem);
    peer_id_from_ed25519(&peer, pub);
    s->route = "/api/v1/search";
    memset(s->parent_id, 0xcc, sizeof(s->parent_id));
    s->is_parent_remote = true;
    memcpy(s->text, "a=b", 4);
    s->state_len = 3;
    s->text_len = 4;
    trace_peer(s, peer_id_span(&peer));
    trace_number(s, TRACE_HOPS, 3);
    trace_bool(s, TRACE_CACHE_HIT, true);
    trace_text(s, TRACE_KAD_KEY, span_str("/souk/org/\xff"));
    trace_outcome(s, "error", "busy");
    assert_ok(backlog_put(b, s));
    assert_ok(backlog_put(b, span_of("nothing")));
    return backlog_take(b, 2, &n);
}

static const Otlp__AnyValue *value(const Otlp__Span *s, const char *key)
{
    for (size_t i = 0; i < s->n_attributes; i++)
        if (strcmp(s->attributes[i]->key, key) == 0)
            return s->attributes[i]->value;
    fail_msg("no %s", key);
    return NULL;
}

static void check(const Otlp__TraceRequest *r)
{
    const Otlp__ResourceSpans *of = r->resource_spans[0];
    const Otlp__Span *s = of->scope_spans[0]->spans[0];
    const Otlp__Span *bare = of->scope_spans[0]->spans[1];

    assert_int_equal(6, of->resource->n_attributes);
    assert_string_equal("market",
                        of->resource->attributes[0]->value->string_value);
    assert_string_equal("1.2.3", of->scope_spans[0]->scope->version);
    assert_string_equal("GET /api/v1/search", s->name);
    assert_string_equal("a=b", s->trace_state);
    assert_int_equal(TRACE_SPAN_ID_LEN, s->parent_span_id.len);
    assert_int_equal(0x301, s->flags);
    assert_int_equal(1005, s->start_time_unix_nano);
    assert_int_equal(1009, s->end_time_unix_nano);
    assert_int_equal(TRACE_CLIENT, s->kind);
    assert_int_equal(2, s->status->code);
    assert_int_equal(3, value(s, "hops")->int_value);
    assert_true(value(s, "cache.hit")->bool_value);
    assert_memory_equal("12D3", value(s, "peer.id")->string_value, 4);
    /* A text that is none is cut: it must be UTF-8. */
    assert_string_equal("/souk/org/", value(s, "kad.key")->string_value);
    assert_string_equal("busy", value(s, "error.type")->string_value);
    assert_int_equal(0, bare->parent_span_id.len);
    assert_int_equal(0x101, bare->flags);
    assert_null(bare->status);
    assert_int_equal(0, bare->n_attributes);
}

/* The first attribute of who sends, when the operator says that. */
static void assert_sent(const char *attributes, const char *text)
{
    struct otlp_sender s = {READ(ENDPOINT, (char *)(uintptr_t)attributes),
                            "1.2.3", "12D3KooW"};
    struct queued *batch;
    Otlp__TraceRequest *r;
    struct backlog b;
    struct buf out;

    batch = two_spans(&b, &mem_libc);
    buf_init(&out, OTLP_BODY_MAX, &mem_libc);
    assert_ok(otlp_encode(&s, batch, 2, 0, &mem_libc, &out));
    r = otlp__trace_request__unpack(NULL, buf_len(&out), buf_span(&out).data);
    assert_non_null(r);
    assert_string_equal(
        text,
        r->resource_spans[0]->resource->attributes[0]->value->string_value);
    otlp__trace_request__free_unpacked(r, NULL);
    buf_release(&out);
    queued_free(&mem_libc, batch);
    backlog_release(&b);
}

/* A collector refuses all that comes with it. */
static void an_attribute_that_is_no_utf8_is_sent(void **state)
{
    (void)state;
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=%C3%A9", "\xc3\xa9");
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=b%ff", "b");
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=b%c3", "b");
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=b%e0%80%80", "b");
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=%ed%9f%bf%ed%a0%80",
                "\xed\x9f\xbf"); /* a surrogate */
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=b%f0%8f%bf%bf", "b");
    assert_sent("OTEL_RESOURCE_ATTRIBUTES=a=%f4%8f%bf%bf%f4%90%80%80",
                "\xf4\x8f\xbf\xbf");
}

static void spans_make_a_round_trip(void **state)
{
    Otlp__TraceRequest *r;
    struct backlog b;
    struct queued *batch = two_spans(&b, &mem_libc);
    struct buf out;

    (void)state;
    buf_init(&out, OTLP_BODY_MAX, &mem_libc);
    assert_ok(otlp_encode(sender(), batch, 2, 1000, &mem_libc, &out));
    r = otlp__trace_request__unpack(NULL, buf_len(&out), buf_span(&out).data);
    assert_non_null(r);
    assert_int_equal(1, r->n_resource_spans);
    assert_int_equal(2, r->resource_spans[0]->scope_spans[0]->n_spans);
    check(r);
    otlp__trace_request__free_unpacked(r, NULL);
    buf_release(&out);
    queued_free(&mem_libc, batch);
    backlog_release(&b);
}

static void every_failed_allocation_of_the_encoder_is_survived(void **state)
{
    struct test_heap heap;
    struct backlog b;
    struct queued *batch = two_spans(&b, &mem_libc);
    struct buf out;
    enum err err = ERR_NOMEM;
    unsigned nth;

    (void)state;
    for (nth = 1; err != OK; nth++) {
        test_heap_init(&heap);
        buf_init(&out, OTLP_BODY_MAX, &heap.mem);
        test_heap_fail(&heap, nth);
        err = otlp_encode(sender(), batch, 2, 1000, &heap.mem, &out);
        assert_true(err == OK || err == ERR_NOMEM);
        buf_release(&out);
        assert_int_equal(0, heap.live);
    }
    assert_true(nth > 2);
    queued_free(&mem_libc, batch);
    backlog_release(&b);
}

static void what_a_collector_refused_is_read(void **state)
{
    static const uint8_t three[] = {0x0a, 0x02, 0x08, 0x03};
    static const uint8_t broken[] = {0x0a, 0x7f, 0x08};
    static const uint8_t negative[] = {0x0a, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0x01};

    (void)state;
    assert_int_equal(3, otlp_refused(SPAN_OF(three), &mem_libc));
    assert_int_equal(0, otlp_refused(SPAN_OF(broken), &mem_libc));
    assert_int_equal(0, otlp_refused(SPAN_OF(negative), &mem_libc));
    assert_int_equal(0, otlp_refused(SPAN_NONE, &mem_libc));
}

/* ---- The whole. ---- */

static void nobody_listens_and_stopping_is_soon_over(void **state)
{
    /* Port 9 of this machine: discard, which nobody runs. */
    struct telemetry_config config = {
        .otel = READ("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9",
                     "OTEL_BSP_MAX_QUEUE_SIZE=2"),
        .version = "1.2.3",
        .instance = "",
        .mem = &mem_libc,
        .log = &log_none};
    struct telemetry_status before, after;
    struct telemetry *t;

    (void)state;
    assert_ok(telemetry_start(&config, &t));
    telemetry_take(t, span_of("a"));
    telemetry_skipped(t, 3);
    telemetry_lost(t, 2);
    telemetry_status(t, &before);
    assert_int_equal(0, before.exported);
    assert_int_equal(3, before.dropped_full);
    assert_int_equal(2, before.dropped_memory);
    telemetry_stop(t);
    telemetry_status(NULL, &after);
    assert_int_equal(0, after.dropped_full);
    telemetry_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_endpoint_nothing_is_on),
        cmocka_unit_test(the_path_is_added_to_the_general_endpoint_only),
        cmocka_unit_test(the_defaults_are_the_specifications),
        cmocka_unit_test(numbers_are_taken_and_bounded),
        cmocka_unit_test(headers_are_read_and_unescaped),
        cmocka_unit_test(the_service_name_has_the_last_word),
        cmocka_unit_test(samplers_are_known_by_name),
        cmocka_unit_test(lists_have_an_end),
        cmocka_unit_test(the_backlog_is_full_at_its_limit),
        cmocka_unit_test(a_span_without_memory_is_refused),
        cmocka_unit_test(a_note_is_found_again_with_its_state),
        cmocka_unit_test(spans_make_a_round_trip),
        cmocka_unit_test(an_attribute_that_is_no_utf8_is_sent),
        cmocka_unit_test(every_failed_allocation_of_the_encoder_is_survived),
        cmocka_unit_test(what_a_collector_refused_is_read),
        cmocka_unit_test(nobody_listens_and_stopping_is_soon_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
