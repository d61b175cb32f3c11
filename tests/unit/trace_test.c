/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/trace.h"

#include "support/heap.h"
#include "support/test.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00f067aa0ba902b7"

static struct test_heap heap;
static struct rng_seeded seed;
static struct rng rng;

static void start(struct tracer *t, enum trace_root root, bool is_parent_based,
                  double ratio)
{
    struct trace_sampler sampler = {root, is_parent_based,
                                    (uint64_t)(ratio * 0x1p63)};

    test_heap_init(&heap);
    rng = rng_seeded(&seed, 1);
    tracer_init(t, &sampler, &rng, &heap.mem);
}

static void finish(struct trace_span *s)
{
    mem_free(&heap.mem, s);
}

/* spec: trace-context#examples-of-http-traceparent-headers */
static void a_header_of_the_specification_is_understood(void **state)
{
    char text[TRACE_STATE_MAX + 1];
    struct trace_context c;

    (void)state;
    assert_true(trace_context_parse(
        &c, span_str("00-" TRACE "-" PARENT "-01"),
        span_str("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), text));
    assert_int_equal(0x4b, c.trace_id[0]);
    assert_int_equal(0x36, c.trace_id[15]);
    assert_int_equal(0xb7, c.span_id[7]);
    assert_true(c.is_sampled);
    assert_string_equal("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", c.state);
    assert_true(trace_context_parse(&c, span_str("00-" TRACE "-" PARENT "-00"),
                                    SPAN_NONE, text));
    assert_false(c.is_sampled);
    assert_null(c.state);
    /* A later version says more; the fields of ours still count. */
    assert_true(trace_context_parse(
        &c, span_str("cc-" TRACE "-" PARENT "-01-what"), SPAN_NONE, text));
}

static void what_is_no_parent_is_not_followed(void **state)
{
    static const struct {
        const char *why, *header;
    } cases[] = {
        {"empty", ""},
        {"cut", "00-" TRACE "-" PARENT "-0"},
        {"more in version 0", "00-" TRACE "-" PARENT "-01-what"},
        {"more without a dash", "01-" TRACE "-" PARENT "-01what"},
        {"version ff", "ff-" TRACE "-" PARENT "-01"},
        {"upper case", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01"},
        {"no hex", "00-4bf92f3577b34da6a3ce929d0e0e473g-" PARENT "-01"},
        {"trace of zeros", "00-00000000000000000000000000000000-" PARENT "-01"},
        {"parent of zeros", "00-" TRACE "-0000000000000000-01"},
        {"other dashes", "00_" TRACE "_" PARENT "_01"},
    };
    char text[TRACE_STATE_MAX + 1];
    struct trace_context c;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (trace_context_parse(&c, span_str(cases[i].header), SPAN_NONE, text))
            fail_msg("%s", cases[i].why);
        assert_true(trace_context_is_none(&c));
    }
}

static void a_state_that_is_too_long_is_left_out(void **state)
{
    char text[TRACE_STATE_MAX + 1], long_one[TRACE_STATE_MAX + 1];
    struct span parent = span_str("00-" TRACE "-" PARENT "-01");
    struct trace_context c;

    (void)state;
    memset(long_one, 'x', sizeof(long_one));
    assert_true(
        trace_context_parse(&c, parent, SPAN(long_one, TRACE_STATE_MAX), text));
    assert_int_equal(TRACE_STATE_MAX, strlen(c.state));
    assert_true(trace_context_parse(&c, parent,
                                    SPAN(long_one, TRACE_STATE_MAX + 1), text));
    assert_null(c.state);
    assert_true(trace_context_parse(&c, parent, span_str("a=\n"), text));
    assert_null(c.state);
}

static void children_lie_under_their_parent(void **state)
{
    struct trace_context remote, context;
    char text[TRACE_STATE_MAX + 1];
    struct trace_span *root, *child;
    struct tracer t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    assert_true(trace_context_parse(&remote,
                                    span_str("00-" TRACE "-" PARENT "-01"),
                                    span_str("a=b"), text));
    root = trace_begin_root(&t, &remote, "root", TRACE_SERVER, 5);
    assert_non_null(root);
    assert_memory_equal(remote.trace_id, root->trace_id, TRACE_ID_LEN);
    assert_memory_equal(remote.span_id, root->parent_id, TRACE_SPAN_ID_LEN);
    assert_true(root->is_parent_remote);
    context = trace_span_context(root);
    assert_string_equal("a=b", context.state);
    child = trace_begin(&t, &context, "child", TRACE_INTERNAL, 6);
    assert_memory_equal(root->trace_id, child->trace_id, TRACE_ID_LEN);
    assert_memory_equal(root->span_id, child->parent_id, TRACE_SPAN_ID_LEN);
    assert_memory_not_equal(root->span_id, child->span_id, TRACE_SPAN_ID_LEN);
    assert_false(child->is_parent_remote);
    finish(child);
    finish(root);
    assert_int_equal(0, heap.live);
}

/* How many of 1,000 traces are recorded, by root and parent. */
static unsigned sampled(struct tracer *t, const struct trace_context *remote)
{
    unsigned count = 0;

    for (unsigned i = 0; i < 1000; i++) {
        struct trace_span *s =
            trace_begin_root(t, remote, "s", TRACE_SERVER, 0);

        count += s != NULL;
        finish(s);
    }
    return count;
}

static void the_sampler_does_as_it_is_told(void **state)
{
    struct trace_context yes, no;
    char text[TRACE_STATE_MAX + 1];
    struct tracer t;

    (void)state;
    assert_true(trace_context_parse(
        &yes, span_str("00-" TRACE "-" PARENT "-01"), SPAN_NONE, text));
    assert_true(trace_context_parse(&no, span_str("00-" TRACE "-" PARENT "-00"),
                                    SPAN_NONE, text));
    start(&t, TRACE_ALWAYS_ON, false, 0);
    assert_int_equal(1000, sampled(&t, &no));
    start(&t, TRACE_ALWAYS_ON, true, 0);
    assert_int_equal(1000, sampled(&t, NULL));
    assert_int_equal(0, sampled(&t, &no));
    start(&t, TRACE_ALWAYS_OFF, true, 0);
    assert_int_equal(0, sampled(&t, NULL));
    assert_int_equal(1000, sampled(&t, &yes));
    start(&t, TRACE_RATIO, true, 0.25);
    assert_in_range(sampled(&t, NULL), 200, 300);
    start(&t, TRACE_RATIO, false, 0.25);
    /* The id decides, so every node decides alike: its half is a3ce…, 0.64. */
    assert_int_equal(0, sampled(&t, &yes));
    start(&t, TRACE_RATIO, false, 0.65);
    assert_int_equal(1000, sampled(&t, &no));
    start(&t, TRACE_RATIO, false, 1);
    assert_int_equal(1000, sampled(&t, NULL));
}

static void nobody_traces_without_a_sampled_parent(void **state)
{
    struct trace_context none = {.is_sampled = true};
    struct tracer off = {.is_on = false}, t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    assert_null(trace_begin(&t, &none, "s", TRACE_INTERNAL, 0));
    assert_null(trace_begin_root(&off, NULL, "s", TRACE_INTERNAL, 0));
    /* And what there is to say of nothing is nothing. */
    trace_number(NULL, TRACE_HOPS, 1);
    trace_text(NULL, TRACE_KAD_KEY, span_str("x"));
    trace_outcome(NULL, "ok", NULL);
    trace_end(NULL, OK, 0);
    assert_int_equal(0, heap.count);
}

static void while_there_is_no_room_none_is_begun_and_each_counted(void **state)
{
    struct tracer t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    t.is_paused = true;
    assert_int_equal(0, sampled(&t, NULL));
    assert_int_equal(1000, t.skipped);
    t.is_paused = false;
    assert_int_equal(1000, sampled(&t, NULL));
    assert_int_equal(1000, t.skipped);
}

static void without_memory_there_is_no_span_and_it_is_counted(void **state)
{
    struct trace_span *s;
    struct tracer t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    test_heap_fail(&heap, 1);
    assert_null(trace_begin_root(&t, NULL, "s", TRACE_INTERNAL, 0));
    assert_int_equal(1, t.lost);
    s = trace_begin_root(&t, NULL, "s", TRACE_INTERNAL, 0);
    assert_non_null(s);
    finish(s);
}

static const char *text_of(const struct trace_span *s, enum trace_key key)
{
    static char text[TRACE_VALUE_MAX + 1];

    for (size_t i = 0; i < s->attribute_count; i++)
        if (s->attributes[i].key == key) {
            memcpy(text, s->text + s->attributes[i].at, s->attributes[i].len);
            text[s->attributes[i].len] = '\0';
            return text;
        }
    return "";
}

static void each_error_has_its_outcome(void **state)
{
    static const struct {
        enum err err;
        const char *outcome, *error;
    } cases[] = {
        {OK, "ok", ""},
        {ERR_NOT_FOUND, "not_found", ""},
        {ERR_CANCELLED, "cancelled", ""},
        {ERR_TIMEOUT, "timeout", "timeout"},
        {ERR_DIAL_FAILED, "error", "dial-failed"},
    };
    struct tracer t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trace_span *s =
            trace_begin_root(&t, NULL, "s", TRACE_INTERNAL, 1);

        trace_end(s, cases[i].err, 3);
        assert_int_equal(3, s->ended_at);
        assert_string_equal(cases[i].outcome, text_of(s, TRACE_OUTCOME));
        assert_string_equal(cases[i].error, text_of(s, TRACE_ERROR_TYPE));
        assert_int_equal(cases[i].error[0] != '\0', s->has_failed);
        finish(s);
    }
}

static void an_outcome_of_its_own_is_kept(void **state)
{
    struct trace_span *s;
    struct tracer t;

    (void)state;
    start(&t, TRACE_ALWAYS_ON, true, 0);
    s = trace_begin_root(&t, NULL, "s", TRACE_INTERNAL, 1);
    trace_outcome(s, "incomplete", NULL);
    trace_end(s, ERR_TIMEOUT, 2);
    assert_string_equal("incomplete", text_of(s, TRACE_OUTCOME));
    assert_false(s->has_failed);
    finish(s);
}

static void a_span_holds_no_more_than_it_has_room_for(void **state)
{
    char long_text[TRACE_TEXT_MAX];
    struct trace_span *s;
    struct tracer t;

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    start(&t, TRACE_ALWAYS_ON, true, 0);
    s = trace_begin_root(&t, NULL, "s", TRACE_INTERNAL, 0);
    trace_text(s, TRACE_KAD_KEY, SPAN_OF(long_text));
    assert_int_equal(TRACE_VALUE_MAX, strlen(text_of(s, TRACE_KAD_KEY)));
    for (unsigned i = 0; i < 20; i++)
        trace_text(s, TRACE_KAD_KEY, SPAN_OF(long_text));
    assert_true(s->text_len <= TRACE_TEXT_MAX);
    assert_int_equal(1, s->attribute_count); /* a key once */
    trace_number(s, TRACE_HOPS, 1);
    trace_number(s, TRACE_HOPS, UINT64_MAX);
    assert_int_equal(2, s->attribute_count);
    assert_true(s->attributes[1].number == INT64_MAX);
    assert_true(trace_span_size(s) <= sizeof(*s));
    finish(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_of_the_specification_is_understood),
        cmocka_unit_test(what_is_no_parent_is_not_followed),
        cmocka_unit_test(a_state_that_is_too_long_is_left_out),
        cmocka_unit_test(children_lie_under_their_parent),
        cmocka_unit_test(the_sampler_does_as_it_is_told),
        cmocka_unit_test(nobody_traces_without_a_sampled_parent),
        cmocka_unit_test(while_there_is_no_room_none_is_begun_and_each_counted),
        cmocka_unit_test(without_memory_there_is_no_span_and_it_is_counted),
        cmocka_unit_test(each_error_has_its_outcome),
        cmocka_unit_test(an_outcome_of_its_own_is_kept),
        cmocka_unit_test(a_span_holds_no_more_than_it_has_room_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
