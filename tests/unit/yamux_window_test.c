/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/window.h"

#include "base/rng.h"
#include "support/test.h"

enum { STEPS = 1500, WINDOWS = 3, KIB = 1024, MIB = 1024 * 1024 };

enum happening { TAKEN, CONSUMED, GRANTED };

/* The naive twin remembers all that happened and replays it for every
 * question. */
struct twin {
    struct {
        enum happening what;
        uint32_t n;
        uint32_t growth;
        tstamp at;
    } log[STEPS];
    size_t count;
};

static void note(struct twin *t, enum happening what, uint32_t n,
                 uint32_t growth, tstamp at)
{
    assert_true(t->count < STEPS);
    t->log[t->count].what = what;
    t->log[t->count].n = n;
    t->log[t->count].growth = growth;
    t->log[t->count].at = at;
    t->count++;
}

static uint64_t sum(const struct twin *t, enum happening what)
{
    uint64_t total = 0;

    for (size_t i = 0; i < t->count; i++)
        if (t->log[i].what == what)
            total += t->log[i].n;
    return total;
}

static uint64_t twin_target(const struct twin *t)
{
    uint64_t target = YAMUX_WINDOW_FIRST;

    for (size_t i = 0; i < t->count; i++)
        target += t->log[i].growth;
    return target;
}

static uint64_t twin_held(const struct twin *t)
{
    return sum(t, TAKEN) - sum(t, CONSUMED);
}

static uint64_t twin_left(const struct twin *t)
{
    return YAMUX_WINDOW_FIRST + sum(t, GRANTED) - sum(t, TAKEN);
}

/* Since the last update, or the first byte after the whole window was free. */
static tstamp twin_epoch(const struct twin *t)
{
    uint64_t left = YAMUX_WINDOW_FIRST, target = YAMUX_WINDOW_FIRST;
    tstamp epoch = 0;

    for (size_t i = 0; i < t->count; i++) {
        if (t->log[i].what == GRANTED) {
            target += t->log[i].growth;
            left += t->log[i].n;
            epoch = t->log[i].at;
        } else if (t->log[i].what == TAKEN) {
            if (left == target)
                epoch = t->log[i].at;
            left -= t->log[i].n;
        }
    }
    return epoch;
}

static uint32_t twin_growth(const struct twin *t, const struct yamux_tuning *u,
                            tstamp now)
{
    uint64_t growth = twin_target(t);

    uint64_t due = twin_target(t) - twin_left(t) - twin_held(t);
    double rate = (double)due / (double)(now - twin_epoch(t) + 1);

    if ((double)twin_target(t) / rate >= 2 * (double)u->rtt)
        return 0;
    if (twin_target(t) + growth > u->max)
        growth = u->max - twin_target(t);
    return (uint32_t)(growth < u->budget ? growth : u->budget);
}

static void step(struct yamux_window *w, struct twin *t,
                 struct yamux_tuning *tuning, const struct rng *rng, tstamp now)
{
    uint32_t n = (uint32_t)rng_below(rng, 200 * KIB);

    if (rng_below(rng, 2)) {
        enum err want = n > twin_left(t) ? ERR_FLOW_CONTROL : OK;

        assert_err(want, yamux_window_take(w, n, now));
        if (want == OK)
            note(t, TAKEN, n, 0, now);
    } else if (n <= twin_held(t)) {
        yamux_window_consume(w, n);
        note(t, CONSUMED, n, 0, now);
    }
    assert_int_equal(twin_target(t) - twin_left(t) - twin_held(t) >= 128 * KIB,
                     yamux_window_is_due(w));
    if (yamux_window_is_due(w)) {
        uint32_t growth = twin_growth(t, tuning, now);
        uint64_t want = twin_target(t) + growth - twin_left(t) - twin_held(t);

        n = yamux_window_grant(w, tuning, now);
        assert_int_equal(want, n);
        note(t, GRANTED, n, growth, now);
    }
    assert_int_equal(twin_target(t), w->target);
    assert_int_equal(twin_left(t), w->left);
    assert_int_equal(twin_held(t), w->held);
}

static void windows_account_as_their_history_says(void **state)
{
    enum { BUDGET = 3 * MIB };
    static struct twin twins[WINDOWS];

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rng_seeded s;
        struct rng rng = rng_seeded(&s, seed);
        struct yamux_tuning tuning = {2 * MIB, BUDGET,
                                      (seed + 4) * 5 * MILLISECONDS};
        struct yamux_window w[WINDOWS];
        tstamp now = 0;
        uint64_t grown = 0;

        print_message("seed %ju\n", (uintmax_t)seed);
        for (int i = 0; i < WINDOWS; i++) {
            yamux_window_init(&w[i], now);
            twins[i].count = 0;
        }
        for (int k = 0; k < 600; k++) {
            size_t i = (size_t)rng_below(&rng, WINDOWS);

            now += rng_below(&rng, 2 * MILLISECONDS);
            step(&w[i], &twins[i], &tuning, &rng, now);
        }
        for (int i = 0; i < WINDOWS; i++) {
            assert_true(w[i].target <= tuning.max);
            grown += w[i].target - YAMUX_WINDOW_FIRST;
        }
        assert_true(grown > 0);
        assert_int_equal(BUDGET, tuning.budget + grown);
        for (int i = 0; i < WINDOWS; i++)
            yamux_window_end(&w[i], &tuning);
        assert_int_equal(BUDGET, tuning.budget);
    }
}

/* One byte more than was granted is refused, the last one granted is not. */
static void window_is_exact(void **state)
{
    struct yamux_window w;

    (void)state;
    yamux_window_init(&w, 0);
    assert_err(ERR_FLOW_CONTROL,
               yamux_window_take(&w, YAMUX_WINDOW_FIRST + 1, 0));
    assert_ok(yamux_window_take(&w, YAMUX_WINDOW_FIRST, 0));
    assert_err(ERR_FLOW_CONTROL, yamux_window_take(&w, 1, 0));
    assert_false(yamux_window_is_due(&w));
    yamux_window_consume(&w, YAMUX_WINDOW_FIRST / 2 - 1);
    assert_false(yamux_window_is_due(&w));
    yamux_window_consume(&w, 1);
    assert_true(yamux_window_is_due(&w));
}

static void slow_reader_does_not_grow(void **state)
{
    struct yamux_tuning tuning = {16 * MIB, 64 * MIB, 100 * MILLISECONDS};
    struct yamux_window w;
    tstamp now = 0;

    (void)state;
    yamux_window_init(&w, now);
    for (int i = 0; i < 20; i++) {
        assert_ok(yamux_window_take(&w, YAMUX_WINDOW_FIRST / 2, now));
        now += 101 * MILLISECONDS;
        yamux_window_consume(&w, YAMUX_WINDOW_FIRST / 2);
        assert_int_equal(YAMUX_WINDOW_FIRST / 2,
                         yamux_window_grant(&w, &tuning, now));
    }
    assert_int_equal(YAMUX_WINDOW_FIRST, w.target);
}

/* A pause does not make what follows it look slow. */
static void fast_reader_grows_after_a_pause(void **state)
{
    struct yamux_tuning tuning = {16 * MIB, 64 * MIB, 100 * MILLISECONDS};
    struct yamux_window w;

    (void)state;
    yamux_window_init(&w, 0);
    assert_ok(yamux_window_take(&w, YAMUX_WINDOW_FIRST, HOURS));
    yamux_window_consume(&w, YAMUX_WINDOW_FIRST);
    assert_int_equal(
        2 * YAMUX_WINDOW_FIRST,
        yamux_window_grant(&w, &tuning, HOURS + 199 * MILLISECONDS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_account_as_their_history_says),
        cmocka_unit_test(window_is_exact),
        cmocka_unit_test(slow_reader_does_not_grow),
        cmocka_unit_test(fast_reader_grows_after_a_pause),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
