/* SPDX-License-Identifier: Apache-2.0 */
/* What can be seen only from inside a node, or with every byte in hand. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/node_fixture.h"

/* ---- The end. ---- */

static void a_node_that_says_goodbye_dials_no_more(void **state)
{
    struct node_config config = {0};
    struct world w;
    struct node *n;
    struct peer *p;

    (void)state;
    world_init(&w);
    n = add(&w, config);
    (void)add(&w, config);
    p = peer_get(n, &w.nodes[1]->self);
    for (unsigned i = 900; i < 904; i++) { /* nobody is there */
        struct multiaddr a = address(i);

        peer_add_addr(n, p, &a, false);
    }
    (void)connect_over(&w, 0, 904, 1);
    settle(&w);
    run(&w, 300 * MILLISECONDS);
    assert_int_equal(2, w.dials);
    node_drain(n, w.now);
    settle(&w);
    assert_true(node_is_drained(n));
    run(&w, 10 * SECONDS);
    assert_int_equal(2, w.dials);
    assert_true(node_is_drained(n));
    assert_int_equal(1, w.answer_count);
    assert_int_equal(0, n->dialling_count);
    world_release(&w);
}

/* ---- Dialling. ---- */

static void an_address_given_while_others_are_tried_is_tried_too(void **state)
{
    struct node_config config = {0};
    struct request *first, *second;
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, config);
    (void)add(&w, config);
    first = connect_over(&w, 0, 900, 1); /* nobody is there */
    run(&w, SECONDS);
    assert_int_equal(1, w.dials);
    second = connect_over(&w, 0, 1, 1);
    run(&w, 15 * SECONDS);
    assert_true(is_answered(&w, first) && is_answered(&w, second));
    assert_ok(second->err);
    assert_ok(first->err);
    world_release(&w);
}

static void dials_leave_the_limit_of_connections_as_it_is(void **state)
{
    struct node_config config = {.conns_max = 8};
    struct world w;
    struct node *n;

    (void)state;
    world_init(&w);
    n = add(&w, config);
    for (unsigned k = 0; k < 6; k++) {
        struct peer_id id;
        struct peer *p;

        fixture_peer((uint8_t)(100 + k), &id);
        p = peer_get(n, &id);
        for (unsigned i = 0; i < PEER_ADDRS_MAX; i++) {
            struct multiaddr a = address(300 + 100 * k + i);

            peer_add_addr(n, p, &a, false);
        }
        assert_ok(dial_start(n, p, false));
    }
    for (unsigned k = 0; k < 40; k++) {
        run(&w, 100 * MILLISECONDS);
        assert_true(MAP_COUNT(n->links) <= 8);
    }
    run(&w, 10 * SECONDS);
    assert_int_equal(0, n->dialling_count);
    assert_int_equal(0, n->outbound_count);
    world_release(&w);
}

static void what_a_peer_says_of_itself_is_kept_before_hearsay(void **state)
{
    struct multiaddr own = address(1);
    struct world w;
    struct peer *p;
    bool is_kept = false;

    (void)state;
    world_init(&w);
    (void)add(&w, (struct node_config){0});
    (void)add(&w, (struct node_config){0});
    p = peer_get(w.nodes[0], &w.nodes[1]->self);
    for (unsigned i = 0; i < PEER_ADDRS_MAX; i++) {
        struct multiaddr a = address(900 + i);

        peer_add_addr(w.nodes[0], p, &a, false);
    }
    (void)connect_over(&w, 1, 0, 0);
    run(&w, 5 * SECONDS);
    assert_true(p->is_identified);
    for (size_t i = 0; i < p->addr_count; i++)
        is_kept |= multiaddr_eq(&own, &p->addrs[i]);
    assert_true(is_kept);
    world_release(&w);
}

/* ---- Gossip over two connections. ---- */

static void
a_peer_stays_subscribed_when_one_of_its_two_connections_goes(void **state)
{
    struct world w;
    struct peer *p;
    struct link *l;
    struct span topic;

    (void)state;
    two(&w);
    topic = span_str(w.nodes[0]->network->topic);
    assert_int_equal(1, gossip_subscriber_count(w.nodes[0]->gossip, topic));
    /* A second one, dialled by the other: its gossip stays on the first, as
     * does ours, until ours is moved by hand. */
    p = peer_find(w.nodes[1], &w.nodes[0]->self);
    l = link_new(w.nodes[1], &(struct multiaddr){0}, true);
    l->expected = p->id;
    w.pipes[w.pipe_count].ends[0] = (struct end){1, l->id};
    w.pipes[w.pipe_count].ends[1] = (struct end){0, 0};
    push(&w, STEP_ACCEPT, &w.pipes[w.pipe_count++], 1, SPAN_NONE);
    settle(&w);
    p = peer_find(w.nodes[0], &w.nodes[1]->self);
    assert_true(p->links.next != p->links.prev);

    /* Node 0 loses the stream it writes to; node 1 keeps its own. */
    assert_non_null(p->gossip_out);
    flow_reset(w.nodes[0], p->gossip_out);
    settle(&w);
    run(&w, 30 * SECONDS);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(1, gossip_subscriber_count(w.nodes[i]->gossip, topic));
    world_release(&w);
}

/* ---- Trimming. ---- */

static void each_connection_too_many_is_closed_once(void **state)
{
    struct node_config config = {.conns_trim = 1};
    struct world w;
    unsigned closing = 0;
    struct link *l, *tmp;

    (void)state;
    world_init(&w);
    (void)add(&w, config);
    for (unsigned i = 1; i < NODES_MAX; i++) {
        (void)add(&w, (struct node_config){.is_client = true});
        (void)connect_over(&w, 0, i, i);
    }
    run(&w, 5 * SECONDS);
    assert_int_equal(3, MAP_COUNT(w.nodes[0]->links));
    MAP_FOR_EACH(w.nodes[0]->links, l, tmp) {
        /* As if none were in the mesh. */
        gossip_peer_gone(w.nodes[0]->gossip, &l->peer->id, w.now);
        l->opened_at = 0;
    }
    links_upkeep(w.nodes[0]);
    MAP_FOR_EACH(w.nodes[0]->links, l, tmp)
        closing += l->is_closing;
    assert_int_equal(2, closing);
    settle(&w);
    assert_int_equal(1, MAP_COUNT(w.nodes[0]->links));
    world_release(&w);
}

/* ---- Questions. ---- */

static void what_follows_an_answer_ends_its_stream_only(void **state)
{
    static const uint8_t message[100] = {1};
    struct world w;
    struct node *n;
    struct peer *p;
    struct flow *f;
    struct buf framed;

    (void)state;
    two(&w);
    n = w.nodes[0];
    p = peer_find(n, &w.nodes[1]->self);
    run(&w, 20 * SECONDS);
    for (uint64_t k = 1; k <= PEER_ASKING_MAX + 1; k++)
        assert_ok(rpc_start(n, &p->id, SPAN_OF(message), true, k << 40, NULL,
                            NULL, NULL));
    f = LIST_ENTRY(peer_link(p)->flows.prev, struct flow, of_link);
    buf_init(&framed, 4096, &mem_libc);
    assert_ok(delim_put(&framed, SPAN_OF(message)));
    assert_ok(buf_put(&framed, SPAN_OF(message)));
    conn_stream_finish(f->link->conn, f->stream);
    flow_data(n, f, buf_span(&framed));
    buf_release(&framed);
    while (n->kad_rpcs != NULL)
        rpc_cancel(n, n->kad_rpcs);
    assert_int_equal(0, p->asking_count);
    world_release(&w);
}

/* ---- Gets. ---- */

static void a_get_that_shares_a_lookup_keeps_its_own_deadline(void **state)
{
    struct request *first, *second;
    struct world w;

    (void)state;
    two(&w);
    w.pipes[0].ends[1].conn = 0; /* node 1 falls silent */
    first = get_within(&w, 0, SECONDS);
    second = get_within(&w, 0, 4 * SECONDS);
    run(&w, 2 * SECONDS);
    assert_true(is_answered(&w, first));
    assert_false(is_answered(&w, second));
    run(&w, 3 * SECONDS);
    assert_true(is_answered(&w, second));
    assert_err(ERR_LOOKUP_INCOMPLETE, second->err);
    world_release(&w);
}

/* ---- Searches. ---- */

static const struct search *search_of(const struct request *r)
{
    return ((const struct pending *)r->node_state)->search;
}

static void assert_found(const struct world *w, const struct request *r)
{
    assert_true(is_answered(w, r));
    assert_ok(r->err);
    assert_true(r->lookup.complete);
    assert_int_equal(1, r->lookup.peers_responded);
    assert_int_equal(1, r->total);
    assert_int_equal(1, r->record_count);
}

static void searches_for_the_same_ask_the_peers_anew(void **state)
{
    struct request *first, *left, *last, *other;
    struct world w;

    (void)state;
    two(&w);
    publish(&w);
    run(&w, 20 * SECONDS);
    first = search(&w, 0);
    left = search(&w, 0);
    last = search(&w, 0);
    other = request_new(REQUEST_SEARCH, w.now + 5 * SECONDS);
    other->in.search = first->in.search;
    other->in.search.limit++;
    (void)submit(&w, 0, other);
    node_cancel(w.nodes[0], left, w.now);
    assert_err(ERR_CANCELLED, left->err);
    settle(&w);
    assert_found(&w, first);
    assert_found(&w, last);
    assert_found(&w, other);
    assert_int_equal(2, w.searches_served);
    assert_int_equal(0, left->record_count);

    first = search(&w, 0);
    settle(&w);
    assert_found(&w, first);
    assert_int_equal(3, w.searches_served);
    assert_int_equal(0, MAP_COUNT(w.nodes[0]->searches));
    world_release(&w);
}

static void a_search_ends_with_the_one_that_began_it(void **state)
{
    struct request *first, *second, *third;
    struct world w;

    (void)state;
    two(&w);
    w.pipes[0].ends[1].conn = 0; /* node 1 falls silent */
    first = search_within(&w, 0, SECONDS);
    second = search_within(&w, 0, 1250 * MILLISECONDS);
    assert_ptr_equal(search_of(first), search_of(second));
    third = search_within(&w, 0, 4 * SECONDS); /* peers think of less */
    assert_ptr_not_equal(search_of(first), search_of(third));
    assert_int_equal(1, MAP_COUNT(w.nodes[0]->searches));
    run(&w, 1100 * MILLISECONDS);
    assert_true(is_answered(&w, first));
    assert_string_equal("deadline", first->lookup.reason);
    assert_false(is_answered(&w, second));
    run(&w, 300 * MILLISECONDS);
    assert_true(is_answered(&w, second));
    assert_string_equal("deadline", second->lookup.reason);
    assert_false(is_answered(&w, third));
    run(&w, 3 * SECONDS);
    assert_true(is_answered(&w, third));
    assert_int_equal(0, MAP_COUNT(w.nodes[0]->searches));
    world_release(&w);
}

static void an_answer_that_came_is_missed_by_who_joins(void **state)
{
    struct request *first, *second;
    struct world w;

    (void)state;
    two(&w);
    (void)add(&w, (struct node_config){0});
    (void)connect_over(&w, 0, 2, 2);
    run(&w, 20 * SECONDS);
    publish(&w);
    run(&w, 20 * SECONDS);
    w.pipes[0].ends[1].conn = 0; /* node 1 falls silent, node 2 answers */
    first = search(&w, 0);
    run(&w, SECONDS);
    assert_int_equal(1, w.searches_served);
    assert_false(is_answered(&w, first));
    second = search(&w, 0);
    assert_ptr_not_equal(search_of(first), search_of(second));
    run(&w, 6 * SECONDS);
    assert_int_equal(2, w.searches_served);
    assert_int_equal(1, first->record_count);
    assert_int_equal(1, second->record_count);
    world_release(&w);
}

static void who_asks_too_much_is_told_that_nobody_is_there(void **state)
{
    struct request *r = NULL;
    struct world w;

    (void)state;
    two(&w);
    run(&w, 20 * SECONDS);
    for (unsigned i = 0; i <= SEARCH_BURST; i++) {
        while (w.answer_count > 0)
            request_free(w.answered[--w.answer_count]);
        r = search(&w, 0);
        settle(&w);
        assert_true(is_answered(&w, r));
        if (i < SEARCH_BURST)
            assert_true(r->lookup.complete);
    }
    assert_false(r->lookup.complete);
    assert_string_equal("peers-busy", r->lookup.reason);
    world_release(&w);
}

/* ---- Limits. ---- */

static void requests_beyond_the_limit_are_told_so(void **state)
{
    struct world w;
    unsigned busy = 0;

    (void)state;
    world_init(&w);
    (void)add(&w, (struct node_config){0});
    for (unsigned i = 0; i < REQUESTS_MAX + 2; i++) {
        struct request *r = request_new(REQUEST_ANNOUNCE, w.now + SECONDS);

        r->in.announce.outbox_id = 77;
        (void)submit(&w, 0, r);
    }
    settle(&w);
    for (unsigned i = 0; i < w.answer_count; i++)
        busy += w.answered[i]->err == ERR_BUSY;
    assert_int_equal(2, busy);
    run(&w, 2 * SECONDS);
    assert_int_equal(REQUESTS_MAX + 2, w.answer_count);
    assert_int_equal(0, w.nodes[0]->request_count);
    world_release(&w);
}

static void the_peer_idle_for_longest_makes_room(void **state)
{
    struct world w;
    struct node *n;
    struct peer_id id;

    (void)state;
    two(&w);
    n = w.nodes[0];
    for (unsigned i = 0; i < PEERS_KNOWN_MAX + 10; i++) {
        fixture_peer(200, &id);
        memcpy(id.bytes + 6, &i, sizeof(i));
        assert_non_null(peer_get(n, &id));
    }
    assert_int_equal(PEERS_KNOWN_MAX, MAP_COUNT(n->peers));
    assert_int_equal(11, n->count.peers_evicted);
    assert_non_null(peer_find(n, &w.nodes[1]->self));
    world_release(&w);
}

static void connections_beyond_the_limits_are_refused(void **state)
{
    struct node_config config = {.conns_max = 3};
    struct multiaddr from = address(500);
    struct world w;
    conn_id conn;

    (void)state;
    world_init(&w);
    (void)add(&w, config);
    for (unsigned i = 0; i < 3; i++)
        assert_ok(node_conn_accepted(w.nodes[0], &from, w.now, &conn));
    assert_err(ERR_LIMIT, node_conn_accepted(w.nodes[0], &from, w.now, &conn));
    run(&w, 11 * SECONDS); /* they never say a word */
    assert_null(w.nodes[0]->links);
    assert_ok(node_conn_accepted(w.nodes[0], &from, w.now, &conn));
    world_release(&w);
}

static struct usage usage_of(const struct node *n, enum usage_id id)
{
    struct usages all = {0};

    node_usage(n, &all);
    return all.of[id];
}

static void one_address_takes_all_the_connections(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct node_config config = {.network = network_find("souk"),
                                 .identity = &key,
                                 .agent = "souk/test",
                                 .conns_ip_max = 2};
    struct multiaddr one, other;
    struct usage u;
    struct node *n;
    struct world w;
    conn_id conn;

    (void)state;
    assert_ok(multiaddr_parse(&one, SPAN_LIT("/ip4/198.51.100.1/tcp/1")));
    assert_ok(multiaddr_parse(&other, SPAN_LIT("/ip4/198.51.100.2/tcp/1")));
    world_init(&w);
    n = node_new(&config, w.now, wall_of(&w), &w.rng, &w.heap.mem, NULL);
    node_start(n, w.now, wall_of(&w));
    assert_ok(node_conn_accepted(n, &one, w.now, &conn));
    assert_ok(node_conn_accepted(n, &one, w.now, &conn));
    assert_int_equal(2, usage_of(n, USAGE_CONNS_IP).use);
    assert_err(ERR_LIMIT, node_conn_accepted(n, &one, w.now, &conn));
    assert_ok(node_conn_accepted(n, &other, w.now, &conn));
    u = usage_of(n, USAGE_CONNS_IP);
    assert_int_equal(2, u.limit);
    assert_int_equal(2, u.use);
    assert_int_equal(1, u.refused);
    assert_int_equal(3, usage_of(n, USAGE_CONNS).use);
    assert_int_equal(0, usage_of(n, USAGE_CONNS).refused);
    node_free(n);
    world_release(&w);
}

static void more_terms_are_provided_than_is_set(void **state)
{
    struct world w;
    struct node *n;
    struct usage u;
    char term[16];

    (void)state;
    world_init(&w);
    n = add(&w, (struct node_config){.terms_max = 3});
    for (int i = 0; i < 5; i++) {
        snprintf(term, sizeof(term), "term%d", i);
        node_load_term(n, span_str(term), 1);
    }
    u = usage_of(n, USAGE_TERMS);
    assert_int_equal(3, u.limit);
    assert_int_equal(3, u.use);
    assert_int_equal(2, u.refused);
    n = add(&w, (struct node_config){.has_no_terms = true});
    node_load_term(n, SPAN_LIT("term"), 1);
    assert_int_equal(0, usage_of(n, USAGE_TERMS).use);
    world_release(&w);
}

/* ---- Memory. ---- */

static void story(struct world *w)
{
    (void)connect_over(w, 0, 1, 1);
    run(w, 3 * SECONDS);
    publish(w);
    run(w, 5 * SECONDS);
    (void)get_within(w, 1, 5 * SECONDS);
    (void)search(w, 1);
    (void)search(w, 1);
    run(w, 6 * SECONDS);
    node_drain(w->nodes[0], w->now);
    run(w, 6 * SECONDS);
}

static bool has_just_failed; /* nothing was asked for since */
static unsigned fail_at;
static unsigned asked;
static void *(*resize_inner)(void *ctx, void *ptr, size_t size);

static void *resize_watched(void *ctx, void *ptr, size_t size)
{
    has_just_failed = size > 0 && ++asked == fail_at;
    if (has_just_failed)
        return NULL;
    return resize_inner(ctx, ptr, size);
}

/* What is small and our own ends the process at once when there is no memory
 * for it: that is no failure of this test.  Any other abort is. */
static void on_abort(int number)
{
    (void)number;
    _exit(has_just_failed ? 0 : 3);
}

static void tell_story(unsigned nth, bool is_child)
{
    struct world w;

    world_init(&w);
    (void)add(&w, (struct node_config){0});
    (void)add(&w, (struct node_config){0});
    resize_inner = w.heap.mem.resize;
    w.heap.mem.resize = resize_watched;
    asked = 0;
    fail_at = nth;
    story(&w);
    assert_int_equal(4, w.answer_count); /* each request ended, once */
    if (!is_child) {
        for (unsigned i = 0; i < w.answer_count; i++)
            assert_ok(w.answered[i]->err);
        assert_int_equal(1, w.answered[1]->record_count);
    }
    world_release(&w);
}

static void every_failed_allocation_is_survived(void **state)
{
    const char *step_text = getenv("NODE_TEST_STEP");
    unsigned step = step_text != NULL ? (unsigned)atoi(step_text) : 97;
    unsigned total;

    (void)state;
    tell_story(0, false);
    total = asked;
    printf("figure: %u allocations, every %uth fails\n", total, step);
    for (unsigned nth = 1; nth <= total; nth += step) {
        pid_t child;
        int status;

        (void)fflush(stdout);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)signal(SIGABRT, on_abort);
            tell_story(nth, true);
            _exit(0);
        }
        assert_int_equal(child, waitpid(child, &status, 0));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("allocation %u: status %x", nth, (unsigned)status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_says_goodbye_dials_no_more),
        cmocka_unit_test(an_address_given_while_others_are_tried_is_tried_too),
        cmocka_unit_test(dials_leave_the_limit_of_connections_as_it_is),
        cmocka_unit_test(
            a_peer_stays_subscribed_when_one_of_its_two_connections_goes),
        cmocka_unit_test(each_connection_too_many_is_closed_once),
        cmocka_unit_test(what_a_peer_says_of_itself_is_kept_before_hearsay),
        cmocka_unit_test(what_follows_an_answer_ends_its_stream_only),
        cmocka_unit_test(a_get_that_shares_a_lookup_keeps_its_own_deadline),
        cmocka_unit_test(searches_for_the_same_ask_the_peers_anew),
        cmocka_unit_test(a_search_ends_with_the_one_that_began_it),
        cmocka_unit_test(an_answer_that_came_is_missed_by_who_joins),
        cmocka_unit_test(who_asks_too_much_is_told_that_nobody_is_there),
        cmocka_unit_test(requests_beyond_the_limit_are_told_so),
        cmocka_unit_test(the_peer_idle_for_longest_makes_room),
        cmocka_unit_test(connections_beyond_the_limits_are_refused),
        cmocka_unit_test(one_address_takes_all_the_connections),
        cmocka_unit_test(more_terms_are_provided_than_is_set),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
