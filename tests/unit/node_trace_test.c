/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of whole nodes, in a time that the test makes. */
#include "unit/node_fixture.h"

static const struct trace_sampler always = {TRACE_ALWAYS_ON, true, 0};
static const struct node_config traced_config = {.sampler = &always};

static struct trace_context someone(void)
{
    struct trace_context c = {.is_sampled = true, .state = "a=b"};

    memset(c.trace_id, 0x11, sizeof(c.trace_id));
    memset(c.span_id, 0x22, sizeof(c.span_id));
    return c;
}

static const struct trace_span *find(const struct world *w, const char *name)
{
    for (unsigned i = 0; i < w->span_count; i++)
        if (strcmp(w->spans[i].name, name) == 0)
            return &w->spans[i];
    fail_msg("no span %s among %u", name, w->span_count);
    return NULL;
}

static unsigned count(const struct world *w, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->span_count; i++)
        n += strcmp(w->spans[i].name, name) == 0;
    return n;
}

static struct span text_of(const struct trace_span *s, enum trace_key key)
{
    for (size_t i = 0; i < s->attribute_count; i++)
        if (s->attributes[i].key == key)
            return SPAN(s->text + s->attributes[i].at, s->attributes[i].len);
    fail_msg("%s says no %s", s->name, trace_key_name(key));
    return SPAN_NONE;
}

static void assert_text(const struct trace_span *s, enum trace_key key,
                        const char *text)
{
    struct span is = text_of(s, key);

    if (!span_eq(is, span_str(text)))
        fail_msg("%s: %s is %.*s, not %s", s->name, trace_key_name(key),
                 (int)is.len, (const char *)is.data, text);
}

static void assert_under(const struct trace_span *s, const uint8_t *trace_id,
                         const uint8_t *span_id)
{
    assert_memory_equal(trace_id, s->trace_id, TRACE_ID_LEN);
    assert_memory_equal(span_id, s->parent_id, TRACE_SPAN_ID_LEN);
}

static void connected(struct world *w)
{
    world_init(w);
    (void)add(w, traced_config);
    (void)add(w, traced_config);
    (void)connect_over(w, 0, 1, 1);
    run(w, 5 * SECONDS);
}

static void publish_for(struct world *w, const struct trace_context *trace)
{
    w->trace = trace;
    publish(w);
}

static void a_dial_and_its_upgrade_are_told(void **state)
{
    const struct trace_span *dial, *upgrade;
    struct world w;

    (void)state;
    connected(&w);
    dial = find(&w, "conn.dial");
    upgrade = find(&w, "conn.upgrade");
    assert_under(upgrade, dial->trace_id, dial->span_id);
    assert_text(dial, TRACE_OUTCOME, "ok");
    assert_text(upgrade, TRACE_OUTCOME, "ok");
    assert_true(
        span_eq(peer_id_span(&w.nodes[1]->self), text_of(dial, TRACE_PEER_ID)));
    assert_true(upgrade->started_at >= dial->started_at);
    assert_true(upgrade->ended_at <= dial->ended_at);
    world_release(&w);
}

static void a_dial_that_nobody_takes_ends_at_its_time(void **state)
{
    const struct trace_span *dial;
    struct world w;
    tstamp begun;

    (void)state;
    world_init(&w);
    (void)add(&w, traced_config);
    (void)add(&w, traced_config);
    begun = w.now;
    (void)connect_over(&w, 0, 900, 1); /* nobody is there */
    run(&w, DIAL_WITHIN - 1);
    assert_int_equal(0, count(&w, "conn.dial"));
    run(&w, 1);
    dial = find(&w, "conn.dial");
    assert_text(dial, TRACE_OUTCOME, "timeout");
    assert_text(dial, TRACE_ERROR_TYPE, "timeout");
    assert_true(dial->has_failed);
    assert_true(dial->started_at == begun);
    assert_true(dial->ended_at == begun + DIAL_WITHIN);
    world_release(&w);
}

static void a_get_is_told_under_who_asked(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *lookup, *rpc;
    struct request *r;
    struct world w;

    (void)state;
    connected(&w);
    r = request_new(REQUEST_GET, w.now + 5 * SECONDS);
    (void)snprintf(r->in.get.namespace, sizeof(r->in.get.namespace), "org");
    (void)snprintf(r->in.get.name, sizeof(r->in.get.name), "lib");
    r->trace = parent;
    (void)submit(&w, 0, r);
    run(&w, 5 * SECONDS);
    lookup = find(&w, "kad.get");
    assert_under(lookup, parent.trace_id, parent.span_id);
    assert_string_equal("a=b", lookup->text);
    assert_text(lookup, TRACE_OUTCOME, "ok"); /* that nobody has it is known */
    rpc = find(&w, "kad.rpc");
    assert_under(rpc, lookup->trace_id, lookup->span_id);
    assert_text(rpc, TRACE_RPC_METHOD, "get_value");
    assert_text(rpc, TRACE_OUTCOME, "ok");
    world_release(&w);
}

/* The node does nothing more for a request without a trace, and tells nothing
 * of it. */
static void a_get_that_nobody_traces_is_not_told(void **state)
{
    struct world w;

    (void)state;
    connected(&w);
    (void)get_within(&w, 0, 5 * SECONDS);
    (void)search(&w, 0);
    run(&w, 5 * SECONDS);
    assert_int_equal(0, count(&w, "kad.get"));
    assert_int_equal(0, count(&w, "souk.search.peer"));
    world_release(&w);
}

static void a_publish_is_told_to_who_hears_it(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *put, *told;
    struct world w;

    (void)state;
    connected(&w);
    publish_for(&w, &parent);
    run(&w, 10 * SECONDS);
    assert_int_equal(3, count(&w, "kad.put"));
    for (unsigned i = 0; i < w.span_count; i++)
        if (strcmp(w.spans[i].name, "kad.put") == 0)
            assert_under(&w.spans[i], parent.trace_id, parent.span_id);
    put = find(&w, "kad.put");
    assert_text(put, TRACE_OUTCOME, "ok");
    assert_string_equal("a=b", put->text);
    told = find(&w, "gossip.publish");
    assert_under(told, parent.trace_id, parent.span_id);
    assert_text(told, TRACE_PACKAGE_ID, "org/lib");
    assert_text(find(&w, "gossip.receive"), TRACE_PACKAGE_ID, "org/lib");
    world_release(&w);
}

static void a_search_that_a_peer_leaves_open_ends_as_a_timeout(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *asked;
    struct request *r;
    struct world w;

    (void)state;
    connected(&w);
    r = request_new(REQUEST_SEARCH, w.now + SECONDS);
    (void)snprintf(r->in.search.query, sizeof(r->in.search.query), "lib");
    r->in.search.limit = 10;
    r->trace = parent;
    (void)submit(&w, 0, r);
    /* What is on its way to the other is lost. */
    while (!is_answered(&w, r)) {
        struct node_action a;
        struct list *link;

        while ((link = list_pop_front(&w.steps)) != NULL)
            free(LIST_ENTRY(link, struct step, link));
        w.now = node_deadline(w.nodes[0]);
        node_tick(w.nodes[0], w.now, wall_of(&w));
        while (node_poll(w.nodes[0], &a))
            perform(&w, 0, &a);
    }
    asked = find(&w, "souk.search.peer");
    assert_under(asked, parent.trace_id, parent.span_id);
    assert_text(asked, TRACE_OUTCOME, "timeout");
    assert_true(asked->ended_at <= r->deadline);
    world_release(&w);
}

static void joining_is_told_once(void **state)
{
    struct node_config config = traced_config;
    struct multiaddr first;
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, (struct node_config){0});
    first = address_with_id(&w, 0, 0);
    config.bootstrap = &first;
    config.bootstrap_count = 1;
    (void)add(&w, config);
    run(&w, 60 * SECONDS);
    assert_int_equal(1, count(&w, "node.bootstrap"));
    assert_text(find(&w, "node.bootstrap"), TRACE_OUTCOME, "ok");
    world_release(&w);
}

static void without_a_sampler_nothing_is_told(void **state)
{
    struct world w;

    (void)state;
    two(&w);
    run(&w, 60 * SECONDS);
    assert_int_equal(0, w.span_count);
    world_release(&w);
}

static void without_room_nothing_is_begun_and_all_counted(void **state)
{
    struct world w;
    uint64_t lost;

    (void)state;
    world_init(&w);
    (void)add(&w, traced_config);
    (void)add(&w, traced_config);
    assert_int_equal(0, node_tracing(w.nodes[0], false, &lost));
    (void)connect_over(&w, 0, 1, 1);
    run(&w, 5 * SECONDS);
    assert_int_equal(0, count(&w, "conn.dial"));
    assert_int_equal(1, node_tracing(w.nodes[0], true, &lost));
    assert_int_equal(0, node_tracing(w.nodes[0], true, &lost));
    world_release(&w);
}

static void *(*resize_before)(void *ctx, void *ptr, size_t size);

static void *no_span(void *ctx, void *ptr, size_t size)
{
    return size == sizeof(struct trace_span) ? NULL
                                             : resize_before(ctx, ptr, size);
}

static void without_memory_for_spans_all_else_goes_on(void **state)
{
    struct trace_context parent = someone();
    struct world w;
    uint64_t lost;

    (void)state;
    world_init(&w);
    resize_before = w.heap.mem.resize;
    w.heap.mem.resize = no_span;
    (void)add(&w, traced_config);
    (void)add(&w, traced_config);
    (void)connect_over(&w, 0, 1, 1);
    run(&w, 5 * SECONDS);
    publish_for(&w, &parent);
    run(&w, 10 * SECONDS);
    assert_false(w.has_outbox); /* it has reached the other */
    assert_int_equal(0, w.span_count);
    (void)node_tracing(w.nodes[0], true, &lost);
    assert_true(lost >= 3);
    w.heap.mem.resize = resize_before;
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dial_and_its_upgrade_are_told),
        cmocka_unit_test(a_dial_that_nobody_takes_ends_at_its_time),
        cmocka_unit_test(a_get_is_told_under_who_asked),
        cmocka_unit_test(a_get_that_nobody_traces_is_not_told),
        cmocka_unit_test(a_publish_is_told_to_who_hears_it),
        cmocka_unit_test(a_search_that_a_peer_leaves_open_ends_as_a_timeout),
        cmocka_unit_test(joining_is_told_once),
        cmocka_unit_test(without_a_sampler_nothing_is_told),
        cmocka_unit_test(without_room_nothing_is_begun_and_all_counted),
        cmocka_unit_test(without_memory_for_spans_all_else_goes_on),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
