/* SPDX-License-Identifier: Apache-2.0 */
/* A network that is treated badly: first only safety is asked for (what was
 * acknowledged stays, nothing forged is believed, every request ends once),
 * then the faults stop and it must come back to life. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/sim.h"
#include "support/test.h"

enum { NODES = 6, ROUNDS = 25, SEEDS = 6 };

struct publishes {
    char id[ROUNDS][32];
    unsigned count;
};

static void rude_round(struct sim *s, const struct rng *rng, unsigned round,
                       struct publishes *done)
{
    unsigned i = (unsigned)rng_below(rng, NODES);

    switch (rng_below(rng, 4)) {
    case 0:
        if (sim_is_up(s, i))
            sim_crash(s, i);
        break;
    case 1:
        sim_cut(s, i, (unsigned)rng_below(rng, 2));
        break;
    default:
        break;
    }
    for (unsigned k = 0; k < NODES; k++)
        if (!sim_is_up(s, k) && rng_below(rng, 2))
            sim_restart(s, k);
    i = (unsigned)rng_below(rng, NODES);
    if (!sim_is_up(s, i))
        return;
    (void)snprintf(done->id[done->count], sizeof(done->id[0]), "n%u/p%u", i,
                   round);
    if (sim_publish(s, i, done->id[done->count], "1.0.0", "under faults") == OK)
        done->count++;
    if (done->count > 0) { /* any answer will do, as long as there is one */
        struct request *r = sim_get(s, i, done->id[rng_below(rng, done->count)],
                                    NULL, NULL, SECONDS);

        request_free(r);
    }
    sim_run(s, rng_below(rng, 3) * SECONDS);
}

static bool all_outboxes_are_empty(struct sim *s, void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < NODES; i++)
        if (sim_outbox(s, i) > 0)
            return false;
    return true;
}

static void storm(uint64_t seed, const char *dir)
{
    struct sim_config config = {
        .seed = seed,
        .nodes_max = NODES,
        .stall_per_million = (unsigned)(seed % 3) * 20000,
        .reset_per_million = (unsigned)(seed % 2) * 5000,
        .recut = seed % 2 == 0,
        .dir = dir,
    };
    struct sim *s = sim_new(&config);
    struct rng_seeded state;
    struct rng rng = rng_seeded(&state, seed);
    static struct publishes done;

    done.count = 0;
    for (unsigned i = 0; i < NODES; i++)
        (void)sim_add_knowing(s, i == 0 ? SIM_NOBODY : 0,
                              i > 1 ? 1 : SIM_NOBODY);
    sim_run(s, 5 * SECONDS);
    for (unsigned round = 0; round < ROUNDS; round++)
        rude_round(s, &rng, round, &done);

    sim_heal(s);
    for (unsigned i = 0; i < NODES; i++)
        if (!sim_is_up(s, i))
            sim_restart(s, i);
    sim_run(s, 5 * MINUTES); /* peers that were lost are tried within four */
    assert_true(sim_run_until(s, all_outboxes_are_empty, NULL, 5 * MINUTES));
    for (unsigned k = 0; k < done.count; k++)
        for (unsigned i = 0; i < NODES; i++) {
            struct request *r =
                sim_get(s, i, done.id[k], NULL, NULL, 20 * SECONDS);

            if (r->err != OK)
                fail_msg("seed %llu: node %u cannot get %s: %s",
                         (unsigned long long)seed, i, done.id[k],
                         err_name(r->err));
            request_free(r);
        }
    printf("figure: seed %llu: %u publishes survived\n",
           (unsigned long long)seed, done.count);
    sim_free(s);
}

static void remove_tree(const char *dir)
{
    char command[300];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(0, system(command));
}

static void what_was_acknowledged_survives_any_storm(void **state)
{
    const char *one = getenv("SIM_SEED");

    (void)state;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
        char dir[] = "/tmp/souk-sim-XXXXXX";

        assert_non_null(mkdtemp(dir));
        storm(one != NULL ? strtoull(one, NULL, 10) : seed, dir);
        remove_tree(dir);
        if (one != NULL)
            break;
    }
}

static void the_same_seed_tells_the_same_story(void **state)
{
    struct sim_stats stats[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct sim_config config = {.seed = 77,
                                    .nodes_max = 5,
                                    .stall_per_million = 10000,
                                    .recut = true};
        struct sim *s = sim_new(&config);

        for (int k = 0; k < 5; k++)
            (void)sim_add_knowing(s, k == 0 ? SIM_NOBODY : 0, SIM_NOBODY);
        sim_run(s, 10 * SECONDS);
        assert_ok(sim_publish(s, 2, "org/same", "1.0.0", "story"));
        sim_run(s, 20 * SECONDS);
        sim_stats(s, &stats[i]);
        sim_free(s);
    }
    assert_int_equal(stats[0].events, stats[1].events);
    assert_int_equal(stats[0].chunks, stats[1].chunks);
    assert_int_equal(stats[0].bytes, stats[1].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_any_storm),
        cmocka_unit_test(the_same_seed_tells_the_same_story),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
