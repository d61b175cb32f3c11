/* SPDX-License-Identifier: Apache-2.0 */
/* Who lies, falls silent, or leaves in the middle; and no memory for it. */
#include "unit/node_fixture.h"

/* ---- How others see us. ---- */

static struct multiaddr at_ip(unsigned a, unsigned b, unsigned c)
{
    uint8_t ip[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, 1};
    struct multiaddr m;

    multiaddr_from_ip(&m, SPAN_OF(ip), PORT);
    return m;
}

/* Somebody at 93.|group|.|host|.1 is connected and says who we are. */
static struct link *observer(struct node *n, unsigned group, unsigned host,
                             bool is_outbound, const struct multiaddr *says)
{
    struct multiaddr from = at_ip(93, group, host);
    struct link *l = link_new(n, &from, is_outbound);

    observed_by(n, l, says);
    return l;
}

static struct node *alone(struct world *w)
{
    struct node *n;

    world_init(w);
    n = add(w, (struct node_config){0});
    n->config.is_private_network = false;
    return n;
}

static void many_of_one_neighbourhood_do_not_make_an_address_ours(void **state)
{
    struct multiaddr ours = at_ip(92, 1, 1);
    struct world w;
    struct node *n = alone(&w);

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        (void)observer(n, 7, i, false, &ours);
    (void)observer(n, 8, 0, false, &ours);
    (void)observer(n, 9, 0, false, &ours);
    assert_int_equal(0, n->confirmed.count);
    (void)observer(n, 10, 0, false, &ours);
    assert_int_equal(1, n->confirmed.count);
    assert_true(multiaddr_eq(&ours, &n->confirmed.at[0]));
    assert_true(multiaddr_eq(&ours, &n->announced.at[n->announced.count - 1]));
    world_release(&w);
}

static void what_those_say_that_we_dialled_is_not_believed(void **state)
{
    struct multiaddr ours = at_ip(92, 1, 1);
    struct world w;
    struct node *n = alone(&w);

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        (void)observer(n, i, 0, true, &ours);
    assert_int_equal(0, n->confirmed.count);
    assert_int_equal(0, n->observed_count);
    for (unsigned i = 0; i < 20; i++) {
        struct multiaddr lan = address(i);

        observed_by(n, link_new(n, &lan, false), &ours);
    }
    assert_int_equal(0, n->observed_count);
    world_release(&w);
}

static void a_liar_does_not_fill_the_table(void **state)
{
    struct multiaddr ours = at_ip(92, 1, 1);
    struct world w;
    struct node *n = alone(&w);

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        struct multiaddr lie = at_ip(91, i, 1);

        (void)observer(n, 7, i, false, &lie);
        assert_true(n->observed_count <= 2);
    }
    for (unsigned i = 0; i < 100; i++) { /* more liars than there is room */
        struct multiaddr lie = at_ip(90, i, 1);

        (void)observer(n, i, 0, false, &lie);
        assert_true(n->observed_count <= STATUS_ADDRS_MAX);
    }
    for (unsigned i = 0; i < 4; i++)
        (void)observer(n, 200 + i, 0, false, &ours);
    assert_int_equal(1, n->confirmed.count);
    assert_true(multiaddr_eq(&ours, &n->confirmed.at[0]));
    world_release(&w);
}

static void an_address_that_nobody_sees_any_more_is_ours_for_ever(void **state)
{
    struct multiaddr ours = at_ip(92, 1, 1);
    struct link *links[4];
    struct world w;
    struct node *n = alone(&w);
    struct peer *p = peer_get(n, &n->self);

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        links[i] = observer(n, i, 0, false, &ours);
        links[i]->peer = p;
        links[i]->conn =
            conn_new(&(struct conn_config){.identity = &n->identity}, w.now,
                     &n->rng, n->mem, NULL);
        links[i]->opened_at = w.now + 10 * HOURS; /* never trimmed */
    }
    run(&w, 2 * HOURS);
    assert_int_equal(1, n->confirmed.count); /* they are still connected */
    for (unsigned i = 0; i < 4; i++) {
        links[i]->peer = NULL;
        link_gone(n, links[i], ERR_CLOSED);
    }
    run(&w, 39 * MINUTES);
    assert_int_equal(1, n->confirmed.count);
    run(&w, 3 * MINUTES);
    assert_int_equal(0, n->confirmed.count);
    assert_int_equal(0, n->observed_count);
    world_release(&w);
}

static void a_clock_set_back_makes_our_addresses_stale(void **state)
{
    struct world w;
    struct node *n = alone(&w);
    uint64_t seq = n->signed_seq;

    (void)state;
    n->wall -= 86400000;
    who_addresses_changed(n);
    assert_true(n->signed_seq > seq);
    world_release(&w);
}

/* ---- Who they are. ---- */

/* Two nodes, of which the second answers another protocol than identify.  What
 * the first knows of it. */
static struct peer *two_without_identify(struct world *w, const char *protocol)
{
    world_init(w);
    (void)add(w, (struct node_config){0});
    (void)add(w, (struct node_config){0});
    w->nodes[1]->protocols[PROTO_IDENTIFY] = protocol;
    (void)connect_over(w, 0, 1, 1);
    run(w, 5 * SECONDS);
    return peer_find(w->nodes[0], &w->nodes[1]->self);
}

static void an_identify_that_fails_once_is_never_asked_for_again(void **state)
{
    struct world w;
    struct peer *p = two_without_identify(&w, "/not/today");

    (void)state;
    assert_non_null(peer_link(p));
    assert_false(p->is_identified);
    w.nodes[1]->protocols[PROTO_IDENTIFY] = IDENTIFY_PROTOCOL;
    run(&w, 10 * SECONDS);
    assert_true(p->is_identified);
    world_release(&w);
}

static void who_never_says_who_it_is_is_asked_for_ever(void **state)
{
    struct world w;
    struct peer *p = two_without_identify(&w, "/not/ever");

    (void)state;
    run(&w, 10 * MINUTES);
    assert_false(p->is_identified);
    assert_int_equal(IDENTIFY_TRIES_MAX, peer_link(p)->identify_tries);
    world_release(&w);
}

static void pushes_without_end_are_all_gone_through(void **state)
{
    struct world w;

    (void)state;
    two(&w);
    for (unsigned i = 0; i < 30; i++) {
        who_push_all(w.nodes[1]);
        settle(&w);
    }
    assert_true(w.nodes[0]->count.pushes_refused >= 20);
    assert_true(w.nodes[0]->count.pushes_refused <= 22);
    run(&w, 60 * SECONDS);
    w.nodes[0]->count.pushes_refused = 0;
    for (unsigned i = 0; i < PUSH_BURST; i++) {
        who_push_all(w.nodes[1]);
        settle(&w);
    }
    assert_int_equal(0, w.nodes[0]->count.pushes_refused);
    world_release(&w);
}

static void a_name_leads_nowhere(void **state)
{
    static const uint8_t ip[] = {10, 0, 0, 1};
    struct request *r;
    struct multiaddr a;
    struct world w;

    (void)state;
    world_init(&w);
    (void)add(&w, (struct node_config){0});
    (void)add(&w, (struct node_config){0});
    w.named.len = 5;
    w.named.bytes[0] = MULTIADDR_IP4;
    memcpy(w.named.bytes + 1, ip, sizeof(ip));
    for (unsigned i = 0; i < 2; i++) {
        w.has_names = i == 1; /* DNS fails, and recovers */
        assert_ok(
            multiaddr_parse(&a, SPAN_LIT("/dns4/node.example.org/tcp/4001")));
        assert_ok(multiaddr_add_peer(&a, &w.nodes[1]->self));
        r = request_new(REQUEST_CONNECT, w.now + 20 * SECONDS);
        r->in.peers.addr = a;
        (void)submit(&w, 0, r);
        run(&w, 5 * SECONDS);
        assert_true(is_answered(&w, r));
        assert_err(i == 1 ? OK : ERR_DIAL_FAILED, r->err);
    }
    assert_true(w.nodes[0]->count.names_failed > 0);
    assert_true(w.nodes[0]->count.dials_failed > 0);
    world_release(&w);
}

/* ---- Two connections of one peer. ---- */

/* A second one, dialled by node 1. */
static void second_link(struct world *w)
{
    struct peer *p = peer_find(w->nodes[1], &w->nodes[0]->self);
    struct link *l = link_new(w->nodes[1], &(struct multiaddr){0}, true);

    l->expected = p->id;
    w->pipes[w->pipe_count].ends[0] = (struct end){1, l->id};
    w->pipes[w->pipe_count].ends[1] = (struct end){0, 0};
    push(w, STEP_ACCEPT, &w->pipes[w->pipe_count++], 1, SPAN_NONE);
    settle(w);
    p = peer_find(w->nodes[0], &w->nodes[1]->self);
    assert_true(p->links.next != p->links.prev);
}

static struct link *chosen_link(struct world *w)
{
    return peer_link(peer_find(w->nodes[0], &w->nodes[1]->self));
}

static struct peer *peer_of(struct world *w, unsigned i)
{
    return peer_find(w->nodes[i], &w->nodes[!i]->self);
}

static unsigned link_count(struct world *w, unsigned i)
{
    unsigned count = 0;

    LIST_FOR_EACH(entry, &peer_of(w, i)->links) {
        count += LIST_ENTRY(entry, struct link, of_peer)->id != 0;
    }
    return count;
}

/* The last of the peer's, which was not chosen. */
static struct link *surplus_link(struct world *w, unsigned i)
{
    return LIST_ENTRY(peer_of(w, i)->links.prev, struct link, of_peer);
}

/* Which of the two has the larger id. */
static unsigned larger_of(const struct world *w)
{
    return span_cmp(peer_id_span(&w->nodes[0]->self),
                    peer_id_span(&w->nodes[1]->self)) < 0;
}

/* One side hears questions on the connection too many, as long as it lives. */
static void keep_asked(struct world *w, unsigned i, duration d)
{
    for (; d > 0; d -= SECONDS / 2) {
        if (link_count(w, i) == 2)
            surplus_link(w, i)->asked_at = w->now;
        run(w, SECONDS / 2);
    }
}

static void the_smaller_closes_nothing_and_both_connections_stay(void **state)
{
    struct world w;
    unsigned larger;

    (void)state;
    two(&w);
    second_link(&w);
    larger = larger_of(&w);
    /* As with the libraries of others, which close none. */
    keep_asked(&w, !larger, DUPLICATE_GRACE + 2 * SECONDS);
    assert_int_equal(2, link_count(&w, larger));
    keep_asked(&w, !larger, DUPLICATE_GRACE_LARGER - DUPLICATE_GRACE);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(1, link_count(&w, i));
        assert_non_null(peer_of(&w, i)->gossip_out);
    }
    world_release(&w);
}

static void a_connection_too_many_is_closed_while_it_is_asked(void **state)
{
    struct world w;

    (void)state;
    two(&w);
    second_link(&w);
    for (unsigned i = 0; i < 40; i++) {
        surplus_link(&w, 1)->asked_at = w.now;
        keep_asked(&w, 0, SECONDS / 2);
        assert_int_equal(2, link_count(&w, 0));
    }
    run(&w, DUPLICATE_QUIET + 2 * UPKEEP_EVERY);
    assert_int_equal(1, link_count(&w, 0));
    world_release(&w);
}

static void who_lost_its_gossip_with_a_connection_opens_no_other(void **state)
{
    struct world w;
    struct flow *theirs = NULL;

    (void)state;
    two(&w);
    LIST_FOR_EACH(entry, &peer_link(peer_of(&w, 0))->flows) {
        struct flow *f = LIST_ENTRY(entry, struct flow, of_link);

        if (f->type == FLOW_GOSSIP_IN)
            theirs = f;
    }
    assert_non_null(theirs);
    assert_int_equal(1, peer_of(&w, 0)->gossip_in_count);
    /* Node 1 has tried too often to open another by itself. */
    peer_of(&w, 1)->gossip_opens = 100;
    flow_reset(w.nodes[0], theirs);
    settle(&w);
    assert_int_equal(0, peer_of(&w, 0)->gossip_in_count);
    peer_of(&w, 1)->gossip_opens = 0;
    run(&w, GOSSIP_UNHEARD_WITHIN + 2 * UPKEEP_EVERY);
    assert_int_equal(1, peer_of(&w, 0)->gossip_in_count);
    assert_non_null(peer_of(&w, 0)->gossip_out);
    world_release(&w);
}

static void assert_nothing_found(const struct world *w, const struct request *r)
{
    assert_true(is_answered(w, r));
    assert_err(ERR_NOT_FOUND, r->err);
    assert_true(r->lookup.complete);
    assert_int_equal(1, r->lookup.peers_responded);
}

static void a_question_dies_with_one_of_two_connections(void **state)
{
    struct request *r, *s;
    struct world w;
    struct pipe *p;
    struct link *l;
    unsigned end;

    (void)state;
    two(&w);
    run(&w, 20 * SECONDS);
    second_link(&w);
    l = chosen_link(&w);
    r = get_within(&w, 0, 4 * SECONDS);
    s = search(&w, 0);
    act(&w); /* written, and lost with the connection */
    p = pipe_of(&w, 0, l->id, &end);
    assert(p != NULL);
    p->ends[0].conn = p->ends[1].conn = 0;
    node_conn_closed(w.nodes[0], l->id, ERR_RESET, w.now);
    run(&w, 3 * SECONDS);
    assert_nothing_found(&w, r);
    assert_true(is_answered(&w, s));
    assert_true(s->lookup.complete);
    assert_int_equal(1, s->lookup.peers_responded);
    world_release(&w);
}

static void a_question_is_asked_over_a_connection_that_ends(void **state)
{
    struct request *r;
    struct world w;
    struct link *l;

    (void)state;
    two(&w);
    run(&w, 20 * SECONDS);
    second_link(&w);
    l = chosen_link(&w);
    link_close(w.nodes[0], l);
    assert_true(chosen_link(&w) != l);
    r = get_within(&w, 0, 4 * SECONDS);
    run(&w, 3 * SECONDS);
    assert_nothing_found(&w, r);
    world_release(&w);
}

/* ---- Requests. ---- */

static void
a_cancelled_lookup_goes_on_until_something_else_happens(void **state)
{
    struct kad_event ev;
    struct request *r;
    struct world w;

    (void)state;
    two(&w);
    run(&w, 20 * SECONDS);
    r = get_within(&w, 0, 4 * SECONDS);
    assert_non_null(w.nodes[0]->gets);
    node_cancel(w.nodes[0], r, w.now);
    assert_null(w.nodes[0]->gets);
    assert_false(kad_poll(w.nodes[0]->kad, &ev)); /* it was told the end */
    settle(&w);
    assert_err(ERR_CANCELLED, r->err);
    world_release(&w);
}

static bool has_no_memory;

struct found_record *__real_request_add_record(struct request *r,
                                               struct span bytes);
struct found_record *__wrap_request_add_record(struct request *r,
                                               struct span bytes);
struct found_record *__wrap_request_add_record(struct request *r,
                                               struct span bytes)
{
    return has_no_memory ? NULL : __real_request_add_record(r, bytes);
}

static void a_get_without_memory_is_answered_with_nothing(void **state)
{
    struct request *r;
    struct world w;

    (void)state;
    two(&w);
    publish(&w);
    run(&w, 5 * SECONDS);
    has_no_memory = true;
    r = get_within(&w, 1, 5 * SECONDS);
    run(&w, 6 * SECONDS);
    has_no_memory = false;
    assert_true(is_answered(&w, r));
    assert_err(ERR_NOMEM, r->err);
    r = get_within(&w, 1, 5 * SECONDS);
    run(&w, 6 * SECONDS);
    assert_ok(r->err);
    assert_int_equal(1, r->record_count);
    world_release(&w);
}

/* ---- What leaves, and what is given to the catalogue. ---- */

static void *(*resize_before)(void *ctx, void *ptr, size_t size);

static void *no_memory(void *ctx, void *ptr, size_t size)
{
    return size > 0 ? NULL : resize_before(ctx, ptr, size);
}

static void a_connection_that_cannot_be_written_is_noticed_late(void **state)
{
    struct world w;
    struct node *n;
    struct peer *p;
    struct link *l;

    (void)state;
    two(&w);
    n = w.nodes[0];
    run(&w, 30 * SECONDS);
    p = peer_find(n, &w.nodes[1]->self);
    l = peer_link(p);
    who_ping(n, p);
    resize_before = w.heap.mem.resize;
    w.heap.mem.resize = no_memory;
    assert_int_equal(0, node_conn_out(n, l->id).len);
    w.heap.mem.resize = resize_before;
    assert_true(node_deadline(n) <= w.now);
    node_tick(n, w.now, wall_of(&w));
    assert_true(list_is_empty(&p->links));
    settle(&w);
    world_release(&w);
}

static void what_the_store_did_not_keep_as_done_is_never_done(void **state)
{
    struct world w;

    (void)state;
    two(&w);
    publish(&w);
    run(&w, 5 * SECONDS);
    assert_false(has_outbox(&w));
    w.outbox[0] = true; /* that it is done was lost */
    run(&w, 60 * SECONDS);
    assert_true(has_outbox(&w));
    node_outbox_again(w.nodes[0], w.now);
    run(&w, OUTBOX_RETRY + OUTBOX_REST - 1);
    assert_true(has_outbox(&w));
    run(&w, 1);
    assert_false(has_outbox(&w));
    world_release(&w);
}

/* The store's answer is older than that it has grown. */
static void what_comes_while_the_outbox_is_read_waits_for_ever(void **state)
{
    struct node_action a = {.type = NODE_NONE};
    struct world w;

    (void)state;
    two(&w);
    publish(&w);
    while (a.type != NODE_OUTBOX_LOAD)
        assert_true(node_poll(w.nodes[0], &a));
    publish(&w);
    w.outbox[1] = false; /* as it was when it was read */
    load_outbox(&w, 0, a.outbox.after);
    w.outbox[1] = true;
    run(&w, SECONDS);
    assert_false(w.outbox[0]);
    assert_false(w.outbox[1]);
    world_release(&w);
}

static size_t puts_of(const struct node *n)
{
    struct kad_stats stats;

    kad_stats(n->kad, &stats);
    return stats.rpcs_sent[KAD_PUT_VALUE];
}

static void the_rest_of_a_publish_comes_between_it_and_its_readers(void **state)
{
    struct world w;

    (void)state;
    two(&w);
    publish(&w);
    run(&w, OUTBOX_REST - 1);
    assert_int_equal(1, puts_of(w.nodes[0])); /* the head's */
    assert_true(has_outbox(&w));
    run(&w, 1);
    assert_int_equal(3, puts_of(w.nodes[0]));
    assert_false(has_outbox(&w));
    world_release(&w);
}

/* How many publishes were offered; each is three records. */
static size_t offered(const struct node *n)
{
    return puts_of(n) / 3;
}

static void who_keeps_no_more_holds_up_what_is_published(void **state)
{
    struct world w;
    struct node *n;

    (void)state;
    world_init(&w);
    n = add(&w, (struct node_config){0});
    (void)add(&w, (struct node_config){.records_bytes_max = 1});
    (void)connect_over(&w, 0, 1, 1);
    run(&w, 5 * SECONDS);
    publish(&w);
    run(&w, SECONDS);
    assert_int_equal(1, offered(n));
    for (unsigned i = 1; i < 4; i++) { /* at once, each of them */
        publish(&w);
        run(&w, 500 * MILLISECONDS);
        assert_int_equal(i + 1, offered(n));
    }
    /* All of them have another turn, and wait for the next. */
    run(&w, OUTBOX_RETRY);
    assert_int_equal(8, offered(n));
    run(&w, OUTBOX_RETRY);
    assert_int_equal(12, offered(n));
    for (unsigned i = 0; i < 4; i++)
        assert_true(w.outbox[i]);
    assert_non_null(peer_link(peer_find(n, &w.nodes[1]->self)));
    world_release(&w);
}

static size_t accepts(struct node *n)
{
    struct node_action a;
    size_t count = 0;

    while (node_poll(n, &a))
        count += a.type == NODE_ACCEPT;
    return count;
}

static void a_record_the_catalogue_refused_is_held_for_known(void **state)
{
    static const uint8_t bytes[] = "a record";
    struct span record = SPAN_OF(bytes);
    struct world w;
    struct node *n = alone(&w);

    (void)state;
    (void)accepts(n);
    accept_record(n, record, &n->self, ACCEPT_GOSSIP);
    assert_int_equal(KNOWN_JUST_NOW, known_look(n, record));
    assert_int_equal(1, accepts(n));
    node_accept_refused(n, record);
    assert_int_equal(KNOWN_NOT, known_look(n, record));

    accept_record(n, record, &n->self, ACCEPT_GOSSIP);
    node_catalogue_lost(n);
    assert_int_equal(KNOWN_NOT, known_look(n, record));
    assert_int_equal(1, accepts(n));

    test_heap_fail(&w.heap, 2); /* of the copy */
    accept_record(n, record, &n->self, ACCEPT_GOSSIP);
    test_heap_fail(&w.heap, 0);
    assert_int_equal(KNOWN_NOT, known_look(n, record));
    assert_int_equal(0, accepts(n));
    world_release(&w);
}

/* ---- Terms. ---- */

static void tell_package(struct node *n, const char *id, const char *tags)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record r;
    char more[128];

    (void)snprintf(more, sizeof(more), ",\"tags\":[%s]", tags);
    fixture_signed(&r, id, "1.0.0", more, &key, 1);
    terms_of_package(n, &r);
    record_release(&r);
}

static bool has_term(const struct node *n, const char *text)
{
    struct term *t;

    MAP_FIND(n->terms, text, strlen(text), t);
    return t != NULL;
}

static void a_term_of_many_packages_keeps_a_rare_one_out(void **state)
{
    struct world w;
    struct node *n;

    (void)state;
    world_init(&w);
    n = add(&w, (struct node_config){.terms_max = 4});
    node_load_term(n, SPAN_LIT("common"), 9);
    node_load_term(n, SPAN_LIT("usual"), 5);
    tell_package(n, "org/aaa", "\"usual\"");
    tell_package(n, "org/aaa", "\"usual\""); /* the same: it counts once */
    assert_true(MAP_COUNT(n->terms) <= 4);
    assert_true(has_term(n, "aaa") && has_term(n, "usual"));
    tell_package(n, "org/bbb", "\"ccc\"");
    assert_int_equal(4, MAP_COUNT(n->terms));
    assert_false(has_term(n, "common"));
    assert_true(has_term(n, "aaa") && has_term(n, "bbb") && has_term(n, "ccc"));
    /* All are as rare as can be: who came first stays. */
    tell_package(n, "org/ddd", "\"eee\"");
    tell_package(n, "org/fff", "\"ggg\"");
    assert_int_equal(4, MAP_COUNT(n->terms));
    assert_true(has_term(n, "aaa") && has_term(n, "bbb") && has_term(n, "ccc"));
    assert_true(n->count.terms_refused > 0);
    world_release(&w);
}

static void terms_are_provided_although_the_operator_wants_none(void **state)
{
    struct world w;
    struct node *n;

    (void)state;
    world_init(&w);
    n = add(&w, (struct node_config){.has_no_terms = true});
    node_load_term(n, SPAN_LIT("loaded"), 1);
    tell_package(n, "org/aaa", "\"bbb\"");
    assert_int_equal(0, MAP_COUNT(n->terms));
    n = add(&w, (struct node_config){.terms_max = 1 << 30});
    assert_true(n->config.terms_max <= 8192);
    world_release(&w);
}

static void a_term_that_gave_way_is_provided_for_ever(void **state)
{
    struct kad_stats stats;
    struct world w;
    struct node *n;

    (void)state;
    two(&w);
    n = w.nodes[0];
    n->config.terms_max = 2;
    node_load_term(n, SPAN_LIT("common"), 9);
    node_load_term(n, SPAN_LIT("usual"), 5);
    run(&w, 10 * SECONDS);
    kad_stats(n->kad, &stats);
    assert_int_equal(2, stats.provided);
    tell_package(n, "org/aaa", "\"bbb\"");
    run(&w, 10 * SECONDS);
    kad_stats(n->kad, &stats);
    assert_int_equal(2, stats.provided);
    assert_int_equal(2, n->terms_provided);
    assert_false(has_term(n, "common"));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_of_one_neighbourhood_do_not_make_an_address_ours),
        cmocka_unit_test(what_those_say_that_we_dialled_is_not_believed),
        cmocka_unit_test(a_liar_does_not_fill_the_table),
        cmocka_unit_test(an_address_that_nobody_sees_any_more_is_ours_for_ever),
        cmocka_unit_test(a_clock_set_back_makes_our_addresses_stale),
        cmocka_unit_test(an_identify_that_fails_once_is_never_asked_for_again),
        cmocka_unit_test(who_never_says_who_it_is_is_asked_for_ever),
        cmocka_unit_test(pushes_without_end_are_all_gone_through),
        cmocka_unit_test(a_name_leads_nowhere),
        cmocka_unit_test(the_smaller_closes_nothing_and_both_connections_stay),
        cmocka_unit_test(a_connection_too_many_is_closed_while_it_is_asked),
        cmocka_unit_test(who_lost_its_gossip_with_a_connection_opens_no_other),
        cmocka_unit_test(a_question_dies_with_one_of_two_connections),
        cmocka_unit_test(a_question_is_asked_over_a_connection_that_ends),
        cmocka_unit_test(
            a_cancelled_lookup_goes_on_until_something_else_happens),
        cmocka_unit_test(a_get_without_memory_is_answered_with_nothing),
        cmocka_unit_test(what_comes_while_the_outbox_is_read_waits_for_ever),
        cmocka_unit_test(who_keeps_no_more_holds_up_what_is_published),
        cmocka_unit_test(what_the_store_did_not_keep_as_done_is_never_done),
        cmocka_unit_test(
            the_rest_of_a_publish_comes_between_it_and_its_readers),
        cmocka_unit_test(a_connection_that_cannot_be_written_is_noticed_late),
        cmocka_unit_test(a_record_the_catalogue_refused_is_held_for_known),
        cmocka_unit_test(a_term_of_many_packages_keeps_a_rare_one_out),
        cmocka_unit_test(terms_are_provided_although_the_operator_wants_none),
        cmocka_unit_test(a_term_that_gave_way_is_provided_for_ever),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
