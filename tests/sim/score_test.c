/* SPDX-License-Identifier: Apache-2.0 */
/* Fifty nodes, ten of which misbehave in gossip, two in each way.  The same
 * network runs twice: with scores, and without. */
#include <stdlib.h>

#include "sim/rogue.h"
#include "sim/sim.h"
#include "support/test.h"
#include "tbl/network.h"

enum {
    NODES = 50,
    ROGUES = 10,
    HONEST = NODES - ROGUES,
    KNOWN = 7,    /* earlier nodes a node knows */
    A_SECOND = 5, /* messages */
    SECONDS_LONG = 60,
    MESSAGES = A_SECOND * SECONDS_LONG,
    ENOUGH = 5,          /* what a node cannot overlook; of messages … */
    ENOUGH_SILENCE = 50, /* … withheld from it */
};

/* What honest nodes saw, together. */
struct seen_sum {
    uint64_t bad_signatures, iwant_ids, over_budget;
};

struct story {
    struct sim *s;
    bool has_scores;
    /* What the first thought of the second, within the minute. */
    double lowest[NODES][NODES];
    size_t own[NODES];           /* messages it published */
    uint64_t late;               /* deliveries after 100 ms */
    uint64_t slots[ROGUE_COUNT]; /* places in honest meshes, summed */
    struct seen_sum before, after;
    unsigned answers[ROGUE_COUNT];
};

/* Every fifth, each way twice. */
static enum rogue kind_of(unsigned i)
{
    unsigned ways = ROGUE_WAYS - ROGUE_SILENT, one_in = NODES / ROGUES;

    return i % one_in != one_in - 1
               ? ROGUE_NOT
               : (enum rogue)(ROGUE_SILENT + i / one_in % ways);
}

static bool is_honest(unsigned i)
{
    return kind_of(i) == ROGUE_NOT;
}

static struct gossip *gossip_of(const struct story *st, unsigned i)
{
    return rogue_gossip(sim_peer(st->s, i));
}

static struct span topic(void)
{
    return span_str(network_find("souk")->topic);
}

/* ---- The network. ---- */

/* Kad clients only: nobody is dialled but who is known, so messages must pass
 * through others. */
static void make_network(struct story *st, uint64_t seed)
{
    struct sim_config config = {
        .seed = seed, .nodes_max = NODES, .no_gossip_scores = !st->has_scores};
    struct rng_seeded rs;
    struct rng rng = rng_seeded(&rs, seed);

    rogue_forget_all();
    st->s = sim_new(&config);
    for (unsigned i = 0; i < NODES; i++) {
        struct sim_node_options options = {.is_client = true};
        unsigned known = 0;

        for (; known < KNOWN && known < i; known++)
            options.bootstrap[known] = (int)rng_below(&rng, i);
        options.bootstrap[known] = SIM_NOBODY;
        (void)sim_add(st->s, &options);
    }
    sim_run(st->s, 60 * SECONDS);
    for (unsigned i = 0; i < NODES; i++)
        rogue_set(sim_peer(st->s, i), kind_of(i));
}

static struct seen_sum look(const struct story *st)
{
    struct seen_sum sum = {0};

    for (unsigned i = 0; i < NODES; i++) {
        const struct gossip_stats *g = gossip_stats(gossip_of(st, i));

        if (!is_honest(i))
            continue;

        sum.bad_signatures += g->outcomes[GOSSIP_BAD_SIGNATURE];
        sum.iwant_ids += g->iwant_ids_out;
        sum.over_budget += g->outcomes[GOSSIP_OVER_BUDGET];
    }
    return sum;
}

static void sample(struct story *st)
{
    for (unsigned i = 0; i < NODES; i++)
        for (unsigned k = 0; k < NODES; k++) {
            struct gossip_score score;

            if (!is_honest(i))
                continue;

            st->slots[kind_of(k)] += gossip_is_in_mesh(
                gossip_of(st, i), topic(), sim_peer(st->s, k));
            if (gossip_peer_score(gossip_of(st, i), sim_peer(st->s, k),
                                  &score) &&
                score.score < st->lowest[i][k])
                st->lowest[i][k] = score.score;
        }
}

static uint64_t heard_by_all(const struct story *st)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < NODES; i++)
        sum += is_honest(i) ? sim_heard(st->s, i) : 0;
    return sum;
}

static void announce(struct story *st, unsigned from, unsigned number)
{
    char id[32];
    struct buf record;

    (void)snprintf(id, sizeof(id), "n%u/p%u", from, number);
    buf_init(&record, 64 << 10, &mem_libc);
    sim_sign(st->s, from, id, "1.0.0", "a package of the simulation", &record);
    assert_ok(gossip_publish(gossip_of(st, from), topic(), buf_span(&record),
                             sim_now(st->s), sim_wall(st->s), NULL));
    buf_release(&record);
    sim_poke(st->s, from);
    st->own[from]++;
}

static unsigned an_honest(const struct rng *rng)
{
    unsigned i;

    do
        i = (unsigned)rng_below(rng, NODES);
    while (!is_honest(i));
    return i;
}

static void tell_story(struct story *st, uint64_t seed)
{
    struct rng_seeded rs;
    struct rng rng = rng_seeded(&rs, seed + 1);
    unsigned number = 0;

    make_network(st, seed);
    st->before = look(st);
    for (unsigned second = 0; second < SECONDS_LONG; second++) {
        for (unsigned k = 0; k < A_SECOND; k++) {
            uint64_t heard = heard_by_all(st);

            announce(st, an_honest(&rng), number++);
            sim_run(st->s, 100 * MILLISECONDS);
            /* Earlier ones that were late come as well. */
            heard = heard_by_all(st) - heard;
            st->late += heard < HONEST - 1 ? HONEST - 1 - heard : 0;
            sim_run(st->s, 100 * MILLISECONDS);
        }
        sample(st);
    }
    /* Two more minutes, for what goes on. */
    sim_run(st->s, 2 * MINUTES);
    st->after = look(st);
    for (enum rogue kind = ROGUE_SILENT; kind < ROGUE_WAYS; kind++)
        st->answers[kind] = rogue_answers(kind);
}

/* ---- What must be. ---- */

static void assert_honest_got_everything(const struct story *st)
{
    for (unsigned i = 0; i < NODES; i++) {
        if (!is_honest(i))
            continue;
        assert_int_equal(MESSAGES - st->own[i], sim_heard(st->s, i));
        assert_int_equal(0, sim_heard_again(st->s, i));
    }
}

static void assert_rogues_are_known(const struct story *st)
{
    unsigned pairs[ROGUE_COUNT] = {0};
    double worst[ROGUE_COUNT] = {0};

    for (unsigned k = 0; k < NODES; k++) {
        enum rogue kind = kind_of(k);
        unsigned enough = kind == ROGUE_SILENT ? ENOUGH_SILENCE : ENOUGH;

        for (unsigned i = 0; i < NODES; i++) {
            unsigned done = rogue_done(sim_peer(st->s, k), sim_peer(st->s, i));

            if (done < enough || !is_honest(i))
                continue;
            pairs[kind]++;
            if (st->lowest[i][k] >= 0)
                fail_msg("node %u thinks %.1f of the %s %u after %u times", i,
                         st->lowest[i][k], rogue_name(kind), k, done);
            if (st->lowest[i][k] < worst[kind])
                worst[kind] = st->lowest[i][k];
        }
    }
    for (enum rogue kind = ROGUE_SILENT; kind < ROGUE_WAYS; kind++) {
        printf("figure: %s: below zero at all %u honest nodes it did it to, "
               "at worst %.0f\n",
               rogue_name(kind), pairs[kind], worst[kind]);
        assert_true(pairs[kind] > 0);
    }
}

static void assert_no_honest_is_graylisted(const struct story *st)
{
    unsigned below_zero = 0, pairs = 0;
    double lowest = 0;

    for (unsigned i = 0; i < NODES; i++)
        for (unsigned k = 0; k < NODES; k++) {
            struct gossip_score score;

            if (!is_honest(i) || !is_honest(k) ||
                !gossip_peer_score(gossip_of(st, i), sim_peer(st->s, k),
                                   &score))
                continue;
            pairs++;
            below_zero += st->lowest[i][k] < 0;
            if (st->lowest[i][k] < lowest)
                lowest = st->lowest[i][k];
        }
    printf("figure: honest of honest: %u of %u ever below zero, lowest %.1f\n",
           below_zero, pairs, lowest);
    assert_true(lowest >= -10); /* nor cut off from gossip */
}

static void assert_less(const char *what, uint64_t with, uint64_t without)
{
    printf("figure: %s: %llu with scores, %llu without\n", what,
           (unsigned long long)with, (unsigned long long)without);
    assert_true(with < without);
}

/* SIM_SEED=N: another network. */
static uint64_t seed_of(void)
{
    const char *seed = getenv("SIM_SEED");

    return seed != NULL ? strtoull(seed, NULL, 10) : 7;
}

static void ten_rogues_among_fifty_hurt_somebody(void **state)
{
    static struct story with = {.has_scores = true}, without;

    (void)state;
    tell_story(&with, seed_of());
    assert_honest_got_everything(&with);
    assert_rogues_are_known(&with);
    assert_no_honest_is_graylisted(&with);
    sim_free(with.s);

    tell_story(&without, seed_of());
    sim_free(without.s);
    assert_less("silent: seconds in honest meshes", with.slots[ROGUE_SILENT],
                without.slots[ROGUE_SILENT]);
    assert_less("forger: forged messages looked at",
                with.after.bad_signatures - with.before.bad_signatures,
                without.after.bad_signatures - without.before.bad_signatures);
    assert_less("promiser: ids asked for in vain",
                with.after.iwant_ids - with.before.iwant_ids,
                without.after.iwant_ids - without.before.iwant_ids);
    assert_less("grafter: GRAFTs answered", with.answers[ROGUE_GRAFTER],
                without.answers[ROGUE_GRAFTER]);
    assert_less("flooder: RPCs above a budget",
                with.after.over_budget - with.before.over_budget,
                without.after.over_budget - without.before.over_budget);
    printf("figure: deliveries later than 100 ms, of %u: %llu with scores, "
           "%llu without\n",
           MESSAGES * (HONEST - 1), (unsigned long long)with.late,
           (unsigned long long)without.late);
}

/* ---- Peer exchange. ---- */

enum { FIRST_LEAVES = 12, LEAVES = 20 }; /* as many as the mesh takes; all */

static void add_leaf(struct sim *s)
{
    struct sim_node_options options = {.is_client = true,
                                       .bootstrap = {0, SIM_NOBODY}};

    (void)sim_add(s, &options);
}

/* Leaves that know node 0 only; those that its mesh has no place for.  How
 * many of these have found others? */
static unsigned leaves_that_found_others(bool lies)
{
    struct sim_config config = {.seed = 3, .nodes_max = LEAVES + 1};
    struct sim_node_options first = {.is_client = true,
                                     .bootstrap = {SIM_NOBODY}};
    struct sim *s = sim_new(&config);
    unsigned found = 0;

    rogue_forget_all();
    (void)sim_add(s, &first);
    rogue_set(sim_peer(s, 0), lies ? ROGUE_LIAR : ROGUE_NOT);
    for (unsigned i = 1; i <= FIRST_LEAVES; i++)
        add_leaf(s);
    sim_run(s, 5 * SECONDS);
    for (unsigned i = FIRST_LEAVES + 1; i <= LEAVES; i++)
        add_leaf(s);
    sim_run(s, 5 * SECONDS);
    for (unsigned i = FIRST_LEAVES + 1; i <= LEAVES; i++) {
        struct node_status status;
        struct gossip_score score;

        sim_status(s, i, &status);
        found += status.peers_connected > 1;
        assert_true(gossip_peer_score(rogue_gossip(sim_peer(s, i)),
                                      sim_peer(s, 0), &score));
        assert_true(lies ? score.app < 10 : score.app >= 10);
    }
    sim_free(s);
    return found;
}

static void who_is_told_of_others_does_not_find_them(void **state)
{
    unsigned found = leaves_that_found_others(false);

    (void)state;
    printf("figure: %u of %u that were pruned found others\n", found,
           LEAVES - FIRST_LEAVES);
    assert_int_equal(LEAVES - FIRST_LEAVES, found);
}

static void a_record_that_does_not_verify_is_dialled(void **state)
{
    (void)state;
    assert_int_equal(0, leaves_that_found_others(true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_told_of_others_does_not_find_them),
        cmocka_unit_test(a_record_that_does_not_verify_is_dialled),
        cmocka_unit_test(ten_rogues_among_fifty_hurt_somebody),
    };

    return cmocka_run_group_tests_name("sim_score", tests, NULL, NULL);
}
