/* SPDX-License-Identifier: Apache-2.0 */
/* What a network of nodes must do, each story on its own seed. */
#include <stdlib.h>

#include "sim/sim.h"
#include "support/test.h"

static struct sim *quiet_network(uint64_t seed, unsigned nodes)
{
    struct sim_config config = {.seed = seed, .nodes_max = nodes};

    return sim_new(&config);
}

/* Everybody knows node 0. */
static struct sim *star(uint64_t seed, unsigned nodes)
{
    struct sim *s = quiet_network(seed, nodes);

    for (unsigned i = 0; i < nodes; i++)
        (void)sim_add_knowing(s, i == 0 ? SIM_NOBODY : 0, SIM_NOBODY);
    assert_true(sim_settle(s, nodes - 1 < 10 ? nodes - 1 : 10, 60 * SECONDS));
    return s;
}

static bool outbox_is_empty(struct sim *s, void *ctx)
{
    return sim_outbox(s, *(unsigned *)ctx) == 0;
}

static void publish(struct sim *s, unsigned i, const char *id,
                    const char *version)
{
    assert_ok(sim_publish(s, i, id, version, "a package of the simulation"));
    assert_true(sim_run_until(s, outbox_is_empty, &i, 60 * SECONDS));
}

static void assert_gets(struct sim *s, unsigned i, const char *id,
                        const char *version)
{
    struct request *r = sim_get(s, i, id, NULL, NULL, 10 * SECONDS);
    struct record record;

    assert_err(OK, r->err);
    assert_true(r->lookup.complete);
    assert_true(r->record_count >= 1);
    assert_ok(record_parse(&record, r->records[0].bytes, RECORD_SIGNED_ONLY,
                           &mem_libc, NULL));
    if (version != NULL) {
        struct semver want;

        assert_ok(semver_parse(span_str(version), &want));
        assert_int_equal(0, semver_cmp(&want, &record.version));
    }
    record_release(&record);
    request_free(r);
}

static void a_record_put_on_one_node_is_got_on_the_other(void **state)
{
    struct sim *s = star(1, 2);
    struct request *r;

    (void)state;
    r = sim_get(s, 1, "org/none", NULL, NULL, 5 * SECONDS);
    assert_err(ERR_NOT_FOUND, r->err);
    assert_true(r->lookup.complete);
    request_free(r);
    publish(s, 0, "org/lib", "1.0.0");
    assert_gets(s, 1, "org/lib", "1.0.0");
    r = sim_get(s, 1, "org/lib", "1.0.0", sim_peer(s, 0), 5 * SECONDS);
    assert_err(OK, r->err);
    request_free(r);
    sim_free(s);
}

static void an_announcement_is_heard_once_by_each(void **state)
{
    struct sim *s = star(2, 3);

    (void)state;
    sim_run(s, 5 * SECONDS);
    for (unsigned i = 0; i < 3; i++) {
        char id[32];

        (void)snprintf(id, sizeof(id), "n%u/from", i);
        publish(s, i, id, "1.0.0");
    }
    sim_run(s, 5 * SECONDS);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(2, sim_heard(s, i));
        assert_int_equal(0, sim_heard_again(s, i));
        for (unsigned k = 0; k < 3; k++) {
            char id[32];

            (void)snprintf(id, sizeof(id), "n%u/from", k);
            assert_true(sim_holds(s, i, id, "1.0.0"));
        }
    }
    sim_free(s);
}

static bool knows_two(struct sim *s, void *ctx)
{
    struct node_status st;

    sim_status(s, *(unsigned *)ctx, &st);
    return st.routing_table_peers >= 2;
}

static void a_node_finds_peers_it_was_not_told_of(void **state)
{
    struct sim *s = quiet_network(3, 3);
    unsigned a = sim_add_knowing(s, SIM_NOBODY, SIM_NOBODY);
    unsigned b = sim_add_knowing(s, (int)a, SIM_NOBODY);
    unsigned c;

    (void)state;
    sim_run(s, 5 * SECONDS);
    c = sim_add_knowing(s, (int)b, SIM_NOBODY);
    assert_true(sim_run_until(s, knows_two, &c, 30 * SECONDS));
    publish(s, a, "org/from-a", "1.0.0");
    assert_gets(s, c, "org/from-a", "1.0.0");
    sim_free(s);
}

static void a_late_comer_finds_by_words_what_it_never_heard(void **state)
{
    static const char *const ids[] = {"a/red-apple", "b/green-apple",
                                      "c/red-pear", "a/plum", "b/quince"};
    struct sim *s = quiet_network(4, 4);
    struct request *r;
    unsigned late;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        (void)sim_add_knowing(s, i == 0 ? SIM_NOBODY : 0, SIM_NOBODY);
    assert_true(sim_settle(s, 2, 60 * SECONDS));
    for (unsigned i = 0; i < 5; i++)
        publish(s, i % 3, ids[i], "1.0.0");
    sim_run(s, 10 * SECONDS);

    late = sim_add_knowing(s, 1, SIM_NOBODY);
    assert_true(sim_settle(s, 3, 60 * SECONDS));
    assert_false(sim_holds(s, late, "a/plum", "1.0.0"));
    r = sim_search(s, late, "apple", 3, 2 * SECONDS);
    assert_err(OK, r->err);
    assert_true(r->lookup.complete);
    assert_int_equal(3, r->lookup.peers_responded);
    assert_true(r->record_count >= 2);
    request_free(r);
    for (unsigned i = 0; i < 5; i++)
        assert_gets(s, late, ids[i], "1.0.0");
    sim_free(s);
}

static bool search_brings_new(struct sim *s, unsigned i)
{
    struct request *r = sim_search(s, i, "lib", 3, 2 * SECONDS);
    bool is_new = false;

    assert_true(r->record_count >= 1);
    for (size_t k = 0; k < r->record_count; k++)
        is_new = is_new || r->records[k].is_new;
    request_free(r);
    return is_new;
}

/* What every peer sends with every answer is verified and stored once, until
 * the catalogue may have let it go. */
static void a_record_found_again_costs_nothing(void **state)
{
    struct sim *s = quiet_network(6, 4);
    unsigned late;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        (void)sim_add_knowing(s, i == 0 ? SIM_NOBODY : 0, SIM_NOBODY);
    assert_true(sim_settle(s, 2, 60 * SECONDS));
    publish(s, 0, "org/lib", "1.0.0");
    sim_run(s, 10 * SECONDS);
    assert_false(search_brings_new(s, 1)); /* heard by gossip */
    assert_false(search_brings_new(s, 0)); /* its own */
    late = sim_add_knowing(s, 0, SIM_NOBODY);
    assert_true(sim_settle(s, 3, 60 * SECONDS));
    assert_true(search_brings_new(s, late));
    sim_run(s, 5 * SECONDS);
    assert_false(search_brings_new(s, late));
    sim_run(s, 11 * MINUTES);
    assert_true(search_brings_new(s, late));
    sim_free(s);
}

static void reputation_follows_what_peers_do(void **state)
{
    struct sim *s = star(5, 3);
    struct request *r, *q;
    double before;

    (void)state;
    publish(s, 0, "org/lib", "1.0.0");
    request_free(sim_search(s, 1, "lib", 3, 2 * SECONDS));
    q = request_new(REQUEST_PEER, sim_now(s) + SECONDS);
    q->in.peers.peer = *sim_peer(s, 0);
    r = sim_ask(s, 1, q);
    assert_err(OK, r->err);
    assert_int_equal(1, r->peer_count);
    before = r->peers[0].score;
    assert_true(before > 0.8);
    assert_true(r->peers[0].packages_provided >= 1);
    assert_true(r->peers[0].reason_count > 0);
    request_free(r);

    sim_crash(s, 0);
    sim_run(s, 5 * MINUTES);
    q = request_new(REQUEST_PEER, sim_now(s) + SECONDS);
    q->in.peers.peer = *sim_peer(s, 0);
    r = sim_ask(s, 1, q);
    assert_err(OK, r->err);
    assert_true(r->peers[0].failures > 0);
    assert_true(r->peers[0].score < before);
    request_free(r);
    sim_free(s);
}

static void two_versions_of_a_package_coexist(void **state)
{
    struct sim *s = star(6, 3);

    (void)state;
    publish(s, 0, "org/lib", "1.0.0");
    publish(s, 0, "org/lib", "2.0.0-beta.1");
    publish(s, 0, "org/lib", "1.1.0");
    assert_gets(s, 2, "org/lib", "1.1.0");
    for (unsigned i = 0; i < 3; i++) {
        static const char *const versions[] = {"1.0.0", "2.0.0-beta.1",
                                               "1.1.0"};
        struct request *r =
            sim_get(s, 2, "org/lib", versions[i], sim_peer(s, 0), 5 * SECONDS);

        assert_err(OK, r->err);
        request_free(r);
    }
    assert_err(ERR_VERSION_EXISTS,
               sim_publish(s, 0, "org/lib", "1.0.0", "other content"));
    sim_free(s);
}

static void a_partition_heals(void **state)
{
    struct sim *s = star(7, 6);
    struct request *r;

    (void)state;
    for (unsigned i = 3; i < 6; i++)
        sim_cut(s, i, 1);
    sim_run(s, 2 * MINUTES); /* both sides notice */
    publish(s, 0, "org/left", "1.0.0");
    publish(s, 4, "org/right", "1.0.0");
    assert_gets(s, 1, "org/left", "1.0.0");
    assert_gets(s, 5, "org/right", "1.0.0");
    r = sim_get(s, 5, "org/left", NULL, NULL, 10 * SECONDS);
    assert_int_not_equal(OK, r->err);
    request_free(r);

    sim_heal(s);
    sim_run(s, 3 * MINUTES);
    assert_gets(s, 5, "org/left", "1.0.0");
    assert_gets(s, 0, "org/right", "1.0.0");
    sim_free(s);
}

static void a_ring_of_five_propagates(void **state)
{
    struct sim *s = quiet_network(8, 5);

    (void)state;
    for (int i = 0; i < 5; i++)
        (void)sim_add_knowing(s, i == 0 ? SIM_NOBODY : i - 1, SIM_NOBODY);
    sim_run(s, 30 * SECONDS);
    publish(s, 0, "org/round", "1.0.0");
    sim_run(s, 5 * SECONDS);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(sim_holds(s, i, "org/round", "1.0.0"));
        assert_gets(s, i, "org/round", "1.0.0");
    }
    sim_free(s);
}

static void ten_peers_keep_twenty_keys(void **state)
{
    struct sim *s = star(9, 10);

    (void)state;
    for (unsigned k = 0; k < 20; k++) {
        char id[32];

        (void)snprintf(id, sizeof(id), "n%u/key-%u", k % 10, k);
        publish(s, k % 10, id, "1.0.0");
    }
    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 0; i < 10; i++) {
            char id[32];

            (void)snprintf(id, sizeof(id), "n%u/key-%u", k % 10, k);
            assert_gets(s, i, id, "1.0.0");
        }
    sim_free(s);
}

static void fifty_nodes_find_what_any_of_them_has(void **state)
{
    struct sim *s = star(10, 50);
    struct sim_stats stats;

    (void)state;
    for (unsigned k = 0; k < 10; k++) {
        char id[32];

        (void)snprintf(id, sizeof(id), "n%u/wide", k);
        publish(s, k * 5, id, "1.0.0");
    }
    sim_run(s, 5 * SECONDS);
    for (unsigned i = 0; i < 50; i++) {
        char id[32];

        (void)snprintf(id, sizeof(id), "n%u/wide", i % 10);
        assert_gets(s, i, id, "1.0.0");
        assert_int_equal(0, sim_heard_again(s, i));
    }
    sim_stats(s, &stats);
    printf("figure: 50 nodes: %llu events, %llu chunks, %.1f MB, %llu dials\n",
           (unsigned long long)stats.events, (unsigned long long)stats.chunks,
           (double)stats.bytes / 1e6, (unsigned long long)stats.dials);
    sim_free(s);
}

static void what_was_published_alone_is_announced_when_peers_come(void **state)
{
    enum { ALONE = 100 };
    struct sim *s = quiet_network(13, 2);
    unsigned first = sim_add_knowing(s, SIM_NOBODY, SIM_NOBODY);
    char id[32];

    (void)state;
    for (unsigned k = 0; k < ALONE; k++) {
        (void)snprintf(id, sizeof(id), "alone/p%u", k);
        assert_ok(sim_publish(s, first, id, "1.0.0", "before anybody came"));
    }
    sim_run(s, 7 * SECONDS);
    assert_int_equal(ALONE, sim_outbox(s, first));
    (void)sim_add_knowing(s, (int)first, SIM_NOBODY);
    assert_true(sim_run_until(s, outbox_is_empty, &first, 60 * SECONDS));
    for (unsigned k = 0; k < ALONE; k++) {
        (void)snprintf(id, sizeof(id), "alone/p%u", k);
        assert_gets(s, 1, id, "1.0.0");
    }
    sim_free(s);
}

static void a_get_in_the_first_moments_waits_for_a_peer(void **state)
{
    struct sim *s = quiet_network(14, 2);
    struct request *r;

    (void)state;
    (void)sim_add_knowing(s, SIM_NOBODY, SIM_NOBODY);
    assert_ok(sim_publish(s, 0, "org/soon", "1.0.0", "already there"));
    sim_run(s, SECONDS);
    (void)sim_add_knowing(s, 0, SIM_NOBODY);
    assert_gets(s, 1, "org/soon", "1.0.0"); /* before any handshake is done */

    sim_crash(s, 0);
    sim_run(s, 5 * MINUTES);
    r = sim_get(s, 1, "org/never", NULL, NULL, 10 * SECONDS);
    assert_err(ERR_LOOKUP_INCOMPLETE, r->err);
    assert_string_equal("no-peers", r->lookup.reason);
    assert_true(r->lookup.elapsed < 3 * SECONDS);
    request_free(r);
    sim_free(s);
}

static void who_asks_late_for_a_publish_hears_how_it_went(void **state)
{
    struct sim *s = star(15, 3);
    struct request *r;

    (void)state;
    publish(s, 0, "org/done", "1.0.0"); /* and out of the outbox */
    r = request_new(REQUEST_ANNOUNCE, sim_now(s) + 10 * SECONDS);
    r->in.announce.outbox_id = 1;
    r->in.announce.wait = ANNOUNCE_QUORUM;
    r = sim_ask(s, 0, r);
    assert_err(OK, r->err);
    assert_int_equal(2, r->requested);
    assert_int_equal(2, r->acked);
    assert_true(r->lookup.elapsed < SECONDS);
    request_free(r);
    sim_free(s);
}

static void a_client_uses_the_network_and_is_in_no_table(void **state)
{
    struct sim *s = quiet_network(11, 3);
    struct sim_node_options client = {.bootstrap = {0, SIM_NOBODY},
                                      .is_client = true};
    struct node_status st;
    unsigned c;

    (void)state;
    (void)sim_add_knowing(s, SIM_NOBODY, SIM_NOBODY);
    (void)sim_add_knowing(s, 0, SIM_NOBODY);
    c = sim_add(s, &client);
    sim_run(s, 20 * SECONDS);
    publish(s, c, "org/by-client", "1.0.0");
    assert_gets(s, 1, "org/by-client", "1.0.0");
    publish(s, 1, "org/by-server", "1.0.0");
    assert_gets(s, c, "org/by-server", "1.0.0");
    for (unsigned i = 0; i < 2; i++) {
        sim_status(s, i, &st);
        assert_int_equal(1, st.routing_table_peers);
    }
    sim_free(s);
}

static void a_search_ends_at_its_deadline_and_says_so(void **state)
{
    struct sim *s = star(12, 3);
    struct request *r;
    tstamp start;

    (void)state;
    publish(s, 1, "org/there", "1.0.0");
    sim_cut(s, 1, 1);
    sim_cut(s, 2, 2);
    start = sim_now(s);
    r = sim_search(s, 0, "there", 3, SECONDS);
    assert_err(OK, r->err);
    assert_false(r->lookup.complete);
    assert_non_null(r->lookup.reason);
    assert_true(sim_now(s) - start < SECONDS + SECONDS / 10);
    request_free(r);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_put_on_one_node_is_got_on_the_other),
        cmocka_unit_test(an_announcement_is_heard_once_by_each),
        cmocka_unit_test(a_node_finds_peers_it_was_not_told_of),
        cmocka_unit_test(a_late_comer_finds_by_words_what_it_never_heard),
        cmocka_unit_test(a_record_found_again_costs_nothing),
        cmocka_unit_test(reputation_follows_what_peers_do),
        cmocka_unit_test(two_versions_of_a_package_coexist),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_ring_of_five_propagates),
        cmocka_unit_test(ten_peers_keep_twenty_keys),
        cmocka_unit_test(fifty_nodes_find_what_any_of_them_has),
        cmocka_unit_test(what_was_published_alone_is_announced_when_peers_come),
        cmocka_unit_test(a_get_in_the_first_moments_waits_for_a_peer),
        cmocka_unit_test(who_asks_late_for_a_publish_hears_how_it_went),
        cmocka_unit_test(a_client_uses_the_network_and_is_in_no_table),
        cmocka_unit_test(a_search_ends_at_its_deadline_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
