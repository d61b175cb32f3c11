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

static void assert_timeout(const struct trace_span *s)
{
    assert_text(s, TRACE_OUTCOME, "timeout");
    assert_text(s, TRACE_ERROR_TYPE, "timeout");
    assert_true(s->has_failed);
}

static void assert_error(const struct trace_span *s, const char *type)
{
    assert_text(s, TRACE_OUTCOME, "error");
    assert_text(s, TRACE_ERROR_TYPE, type);
    assert_true(s->has_failed);
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

static struct request *get_for(struct world *w,
                               const struct trace_context *trace)
{
    struct request *r = request_new(REQUEST_GET, w->now + 2 * SECONDS);

    (void)snprintf(r->in.get.namespace, sizeof(r->in.get.namespace), "org");
    (void)snprintf(r->in.get.name, sizeof(r->in.get.name), "lib");
    r->trace = *trace;
    return submit(w, 0, r);
}

static struct request *search_for(struct world *w,
                                  const struct trace_context *trace)
{
    struct request *r = request_new(REQUEST_SEARCH, w->now + SECONDS);

    (void)snprintf(r->in.search.query, sizeof(r->in.search.query), "lib");
    r->in.search.limit = 10;
    r->trace = *trace;
    return submit(w, 0, r);
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
    assert_timeout(dial);
    assert_true(dial->started_at == begun);
    assert_true(dial->ended_at == begun + DIAL_WITHIN);
    world_release(&w);
}

static void a_get_is_told_under_who_asked(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *lookup, *rpc;
    struct world w;

    (void)state;
    connected(&w);
    (void)get_for(&w, &parent);
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

/* ---- What takes too long. ---- */

/* For so long connections come about, and what is said on them is lost. */
static void run_deaf(struct world *w, duration d)
{
    tstamp until = w->now + d;

    while (w->now < until) {
        struct list *link;

        act(w);
        while ((link = list_pop_front(&w->steps)) != NULL) {
            struct step *s = LIST_ENTRY(link, struct step, link);

            if (s->type != STEP_BYTES)
                take(w, s);
            free(s);
            act(w);
        }
        w->now = tstamp_min(until, w->now + 100 * MILLISECONDS);
        for (unsigned i = 0; i < w->count; i++)
            node_tick(w->nodes[i], w->now, wall_of(w));
    }
    act(w);
}

static void a_search_that_a_peer_leaves_open_ends_as_a_timeout(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *asked;
    struct request *r;
    struct world w;

    (void)state;
    connected(&w);
    r = search_for(&w, &parent);
    run_deaf(&w, 2 * SECONDS);
    assert_true(is_answered(&w, r));
    asked = find(&w, "souk.search.peer");
    assert_under(asked, parent.trace_id, parent.span_id);
    assert_timeout(asked);
    assert_true(asked->ended_at <= r->deadline);
    world_release(&w);
}

static void a_get_that_nobody_answers_ends_as_a_timeout(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *lookup, *rpc;
    struct world w;

    (void)state;
    connected(&w);
    (void)get_for(&w, &parent);
    run_deaf(&w, 15 * SECONDS);
    lookup = find(&w, "kad.get");
    assert_timeout(lookup);
    rpc = find(&w, "kad.rpc");
    assert_under(rpc, lookup->trace_id, lookup->span_id);
    assert_timeout(rpc);
    world_release(&w);
}

/* The loop stood still, or everybody is slow: its time is over first. */
static void a_put_that_nobody_answers_ends_as_a_timeout(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *put;
    struct world w;

    (void)state;
    connected(&w);
    publish_for(&w, &parent);
    act(&w);
    w.now += OUTBOX_PUT_WITHIN;
    node_tick(w.nodes[0], w.now, wall_of(&w));
    act(&w);
    put = find(&w, "kad.put");
    assert_under(put, parent.trace_id, parent.span_id);
    assert_timeout(put);
    assert_text(find(&w, "gossip.publish"), TRACE_OUTCOME, "ok"); /* sent */
    world_release(&w);
}

static void an_upgrade_that_never_ends_is_told_as_cancelled(void **state)
{
    const struct trace_span *dial, *upgrade;
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, traced_config);
    (void)add(&w, traced_config);
    (void)connect_over(&w, 0, 1, 1);
    run_deaf(&w, DIAL_WITHIN + SECONDS);
    dial = find(&w, "conn.dial");
    upgrade = find(&w, "conn.upgrade");
    assert_under(upgrade, dial->trace_id, dial->span_id);
    assert_timeout(dial);
    assert_timeout(upgrade);
    world_release(&w);
}

/* ---- What fails. ---- */

static void a_put_that_nobody_takes_is_told_as_done(void **state)
{
    struct node_config full = {.records_bytes_max = 1};
    struct trace_context parent = someone();
    const struct trace_span *put, *rpc;
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, traced_config);
    (void)add(&w, full);
    (void)connect_over(&w, 0, 1, 1);
    run(&w, 5 * SECONDS);
    publish_for(&w, &parent);
    run(&w, SECONDS);
    put = find(&w, "kad.put");
    assert_error(put, "not-taken");
    rpc = find(&w, "kad.rpc");
    assert_under(rpc, put->trace_id, put->span_id);
    assert_error(rpc, "reset");
    world_release(&w);
}

static void who_is_not_the_one_that_was_dialled_is_told_as_ok(void **state)
{
    const struct trace_span *dial, *upgrade;
    struct world w;

    (void)state;
    world_init(&w);
    for (unsigned i = 0; i < 3; i++)
        (void)add(&w, traced_config);
    (void)connect_over(&w, 0, 1, 2);
    run(&w, 5 * SECONDS);
    dial = find(&w, "conn.dial");
    upgrade = find(&w, "conn.upgrade");
    assert_under(upgrade, dial->trace_id, dial->span_id);
    assert_error(dial, "wrong-peer");
    assert_error(upgrade, "wrong-peer");
    world_release(&w);
}

/* Its peer goes before what it was asked has arrived. */
static void lose_the_peer(struct world *w)
{
    struct list *link;

    act(w);
    while ((link = list_pop_front(&w->steps)) != NULL)
        free(LIST_ENTRY(link, struct step, link));
    for (unsigned end = 0; end < 2; end++) {
        const struct end *e = &w->pipes[0].ends[end];

        node_conn_closed(w->nodes[e->node], e->conn, OK, w->now);
    }
    w->pipes[0] = (struct pipe){0};
    w->nodes[0]->config.is_standalone = true; /* nor is it dialled again */
    w->nodes[1]->config.is_standalone = true;
}

static void a_question_to_who_left_is_told_as_answered(void **state)
{
    struct trace_context parent = someone();
    struct world w;

    (void)state;
    connected(&w);
    (void)get_for(&w, &parent);
    lose_the_peer(&w);
    run(&w, 5 * SECONDS);
    assert_error(find(&w, "kad.rpc"), "closed");
    world_release(&w);
}

static void a_search_of_who_left_is_told_as_answered(void **state)
{
    struct trace_context parent = someone();
    const struct pending *p;
    struct list *link;
    struct world w;

    (void)state;
    connected(&w);
    (void)search_for(&w, &parent);
    p = LIST_ENTRY(w.nodes[0]->requests.next, struct pending, of_node);
    /* Until it was told who may know, and asks. */
    for (act(&w); p->search->queried == 0; act(&w)) {
        struct step *s;

        link = list_pop_front(&w.steps);
        if (link == NULL) {
            fail_msg("nobody is asked");
            break;
        }
        s = LIST_ENTRY(link, struct step, link);
        take(&w, s);
        free(s);
    }
    lose_the_peer(&w);
    run(&w, 5 * SECONDS);
    assert_error(find(&w, "souk.search.peer"), "closed");
    world_release(&w);
}

static void without_a_peer_operations_are_told_as_done(void **state)
{
    struct trace_context parent = someone();
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, traced_config);
    publish_for(&w, &parent);
    (void)get_for(&w, &parent);
    run(&w, 5 * SECONDS);
    assert_error(find(&w, "kad.put"), "no-peers");
    assert_error(find(&w, "kad.get"), "no-peers");
    world_release(&w);
}

static void an_answer_that_is_malformed_is_told_as_a_good_one(void **state)
{
    struct trace_context parent = someone();
    const struct trace_span *rpc;
    struct world w;
    struct rpc *r;

    (void)state;
    connected(&w);
    (void)get_for(&w, &parent);
    act(&w);
    r = w.nodes[0]->kad_rpcs;
    assert_non_null(r);
    rpc_answered(w.nodes[0], r, SPAN_LIT("\xff\xff"));
    run(&w, 5 * SECONDS);
    rpc = find(&w, "kad.rpc");
    assert_error(rpc, "proto");
    assert_under(rpc, find(&w, "kad.get")->trace_id,
                 find(&w, "kad.get")->span_id);
    world_release(&w);
}

static void a_record_that_is_none_is_told_as_a_good_answer(void **state)
{
    struct trace_context parent = someone();
    struct saved_record lie = {.value = SPAN_LIT("no record")};
    struct world w;

    (void)state;
    connected(&w);
    (void)get_for(&w, &parent);
    lie.key = span_str(w.nodes[0]->gets->key);
    lie.publisher = w.nodes[1]->self;
    lie.received = wall_of(&w);
    lie.expires = wall_of(&w) + 1000000;
    node_load_record(w.nodes[1], &lie);
    run(&w, 5 * SECONDS);
    assert_error(find(&w, "kad.rpc"), "not-json");
    /* It was asked and has answered: nobody else is there. */
    assert_text(find(&w, "kad.get"), TRACE_OUTCOME, "ok");
    world_release(&w);
}

static void gossip_that_is_no_record_is_told_as_received(void **state)
{
    const struct trace_span *heard;
    struct world w;
    size_t sent;

    (void)state;
    connected(&w);
    assert_ok(gossip_publish(w.nodes[1]->gossip,
                             span_str(w.nodes[1]->network->topic),
                             SPAN_LIT("no record"), w.now, wall_of(&w), &sent));
    assert_int_equal(1, sent);
    run(&w, SECONDS);
    heard = find(&w, "gossip.receive");
    assert_error(heard, "not-json");
    assert_true(span_eq(peer_id_span(&w.nodes[1]->self),
                        text_of(heard, TRACE_PEER_ID)));
    world_release(&w);
}

/* ---- Joining. ---- */

/* Nobody at |at|, or who never says who it is. */
static void join(struct world *w, unsigned at, duration d)
{
    struct node_config config = traced_config;
    struct multiaddr first;

    world_init(w);
    (void)add(w, (struct node_config){0});
    w->nodes[0]->protocols[PROTO_IDENTIFY] = "/not/ever";
    first = address_with_id(w, at, 0);
    config.bootstrap = &first;
    config.bootstrap_count = 1;
    (void)add(w, config);
    run(w, d);
}

static void joining_nobody_is_told_as_done(void **state)
{
    struct world w;

    (void)state;
    join(&w, 900, DIAL_WITHIN + 2 * SECONDS);
    assert_error(find(&w, "node.bootstrap"), "dial-failed");
    world_release(&w);
}

static void joining_who_stays_unknown_is_told_as_done(void **state)
{
    struct world w;

    (void)state;
    join(&w, 0, 29 * SECONDS);
    assert_int_equal(0, count(&w, "node.bootstrap"));
    run(&w, 5 * SECONDS);
    assert_timeout(find(&w, "node.bootstrap"));
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
    assert_false(has_outbox(&w)); /* it has reached the other */
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
        cmocka_unit_test(a_get_that_nobody_answers_ends_as_a_timeout),
        cmocka_unit_test(a_put_that_nobody_answers_ends_as_a_timeout),
        cmocka_unit_test(a_put_that_nobody_takes_is_told_as_done),
        cmocka_unit_test(an_upgrade_that_never_ends_is_told_as_cancelled),
        cmocka_unit_test(who_is_not_the_one_that_was_dialled_is_told_as_ok),
        cmocka_unit_test(a_question_to_who_left_is_told_as_answered),
        cmocka_unit_test(a_search_of_who_left_is_told_as_answered),
        cmocka_unit_test(without_a_peer_operations_are_told_as_done),
        cmocka_unit_test(an_answer_that_is_malformed_is_told_as_a_good_one),
        cmocka_unit_test(a_record_that_is_none_is_told_as_a_good_answer),
        cmocka_unit_test(gossip_that_is_no_record_is_told_as_received),
        cmocka_unit_test(joining_nobody_is_told_as_done),
        cmocka_unit_test(joining_who_stays_unknown_is_told_as_done),
        cmocka_unit_test(joining_is_told_once),
        cmocka_unit_test(without_a_sampler_nothing_is_told),
        cmocka_unit_test(without_room_nothing_is_begun_and_all_counted),
        cmocka_unit_test(without_memory_for_spans_all_else_goes_on),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
