/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation/reputation.h"

#include <math.h>

#include "support/test.h"

#define WALL ((wall_ms)1762122000000)
#define HOUR ((wall_ms)3600 * 1000)

static struct peer_id peer(unsigned n)
{
    struct ed25519_keypair key;
    uint8_t seed[ED25519_SEED_LEN] = {(uint8_t)n, (uint8_t)(n >> 8)};
    struct peer_id id;

    ed25519_from_seed(&key, seed);
    peer_id_from_ed25519(&id, key.pub);
    return id;
}

#define assert_near(want, got) assert_float_equal_(want, got, __LINE__)
static void assert_float_equal_(double want, double got, int line)
{
    if (!(fabs(want - got) < 1e-9))
        fail_msg("line %d: wanted %.12f, got %.12f", line, want, got);
}

static void learn(struct reputation *r, const struct peer_id *p,
                  enum reputation_outcome outcome, unsigned times, double ms,
                  wall_ms wall)
{
    duration took =
        ms < 0 ? REPUTATION_NO_SAMPLE : (duration)(ms * (double)MILLISECONDS);

    for (unsigned i = 0; i < times; i++)
        (void)reputation_learn(r, p, outcome, took, i * MINUTES, wall);
}

static void provide(struct reputation *r, const struct peer_id *p,
                    unsigned packages, wall_ms wall)
{
    for (unsigned i = 0; i < packages; i++) {
        char name[32];

        snprintf(name, sizeof(name), "ns/package-%u", i);
        reputation_provided(r, p, span_str(name), wall);
        reputation_provided(r, p, span_str(name), wall); /* not distinct */
    }
}

/* ---- The formula, by hand. ---- */

static const struct {
    const char *why;
    unsigned successes, failures;
    double ms; /* < 0: no sample */
    unsigned packages;
    int hours;     /* since seen; < 0: never */
    double degree; /* north of us; < 0: unknown */
    double want;
} by_hand[] = {
    {"new, just seen", 0, 0, -1, 0, 0, -1, 0.85},
    {"never seen", 0, 0, -1, 0, -1, -1, 0.75},
    {"one success", 1, 0, -1, 0, 0, -1, 0.85},
    {"three of four", 3, 1, -1, 0, 0, -1, 0.725},
    {"one of four", 1, 3, -1, 0, 0, -1, 0.475},
    {"only failures, never seen", 0, 5, -1, 0, -1, -1, 0.25},
    {"999 ms is no loss", 0, 0, 999, 0, 0, -1, 0.85},
    {"1,999 ms halves the term", 0, 0, 1999, 0, 0, -1, 0.725},
    {"9,999 ms", 0, 0, 9999, 0, 0, -1, 0.625},
    {"five packages", 0, 0, -1, 5, 0, -1, 0.925},
    {"ten packages", 0, 0, -1, 10, 0, -1, 1.0},
    {"thirty packages are as ten", 0, 0, -1, 30, 0, -1, 1.0},
    {"seen an hour ago", 0, 0, -1, 0, 1, -1, 0.80},
    {"seen nine hours ago", 0, 0, -1, 0, 9, -1, 0.76},
    {"in the same place", 0, 0, -1, 0, 0, 0, 0.95},
    {"half a degree north", 0, 0, -1, 0, 0, 0.5, 0.8944025366777205},
    {"a degree north is too far", 0, 0, -1, 0, 0, 1, 0.85},
    {"never above 1", 1, 0, 0, 10, 0, 0, 1.0},
    {"all of it", 3, 1, 1999, 4, 3, 0.5, 0.6294025366777206},
};

static void scores_are_those_computed_by_hand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(by_hand) / sizeof(by_hand[0]); i++) {
        struct reputation *r = reputation_new(0, &mem_libc);
        struct peer_id p = peer(1);
        wall_ms seen = WALL - by_hand[i].hours * HOUR - HOUR / 2;
        double got;

        /* The counters are of now, so that nothing has decayed. */
        learn(r, &p, REPUTATION_RPC_ANSWERED, by_hand[i].successes, -1, WALL);
        learn(r, &p, REPUTATION_RPC_FAILED, by_hand[i].failures, -1, WALL);
        if (by_hand[i].ms >= 0)
            learn(r, &p, REPUTATION_SEARCH_BUSY, 1, by_hand[i].ms, WALL);
        provide(r, &p, by_hand[i].packages, WALL);
        if (by_hand[i].hours >= 0)
            reputation_seen(r, &p, seen);
        if (by_hand[i].degree >= 0) {
            assert_ok(reputation_place_self(r, 50, 8));
            assert_ok(reputation_place(r, &p, 50 + by_hand[i].degree, 8,
                                       REPUTATION_PLACE_TOLD, WALL));
        }
        got = reputation_score(r, &p, WALL);
        if (!(fabs(by_hand[i].want - got) < 1e-9))
            fail_msg("%s: wanted %.16f, got %.16f", by_hand[i].why,
                     by_hand[i].want, got);
        reputation_free(r);
    }
}

static void distances_are_those_of_the_earth(void **state)
{
    (void)state;
    assert_near(0, reputation_km(50, 8, 50, 8));
    /* Quarter and half of a circumference of 2π·6371. */
    assert_near(10007.543398010286, reputation_km(0, 0, 0, 90));
    assert_near(20015.086796020572, reputation_km(0, 0, 0, 180));
    assert_near(20015.086796020572, reputation_km(90, 0, -90, 77));
    /* Across the date line; Berlin to Paris. */
    assert_near(reputation_km(0, 0, 0, 2), reputation_km(0, 179, 0, -179));
    assert_true(fabs(reputation_km(52.52, 13.405, 48.8566, 2.3522) - 877.5) <
                1);
}

static void the_terms_add_up_to_the_score(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id p = peer(1), stranger = peer(2);
    struct reputation_view v;

    (void)state;
    learn(r, &p, REPUTATION_RPC_ANSWERED, 3, 2000, WALL);
    learn(r, &p, REPUTATION_DIAL_FAILED, 1, -1, WALL);
    provide(r, &p, 2, WALL);
    assert_true(reputation_look(r, &p, WALL, &v));
    assert_near(0.375, v.success);
    assert_near(0.25 * 1000 / 2001, v.response);
    assert_near(0.03, v.packages);
    assert_near(0.10, v.recency);
    assert_near(0, v.location);
    assert_near(v.score,
                v.success + v.response + v.packages + v.recency + v.location);
    assert_near(3, v.successes);
    assert_near(1, v.failures);
    assert_near(2000, v.response_ms);
    assert_int_equal(2, v.packages_provided);
    assert_true(v.km < 0);
    assert_false(reputation_look(r, &stranger, WALL, &v));
    assert_near(0.75, v.score);
    assert_int_equal(1, reputation_count(r)); /* looking makes no entry */
    reputation_free(r);
}

/* ---- The naive twin: everything that happened, computed anew. ---- */

struct happened {
    bool is_success;
    wall_ms at;
};

enum { STORY_MAX = 4000 };

struct twin {
    struct happened story[STORY_MAX];
    size_t count;
    double ms;
    bool package[40];
    wall_ms seen;
};

/* Each outcome alone, halved once an hour on the entry's own clock, and gone
 * when the sum is next to nothing. */
static double twin_score(const struct twin *t, wall_ms start, wall_ms now)
{
    double s = 0, f = 0, packages = 0, score;
    wall_ms clock = start;
    size_t next = 0;

    for (;; clock += HOUR) {
        for (; next < t->count && t->story[next].at < clock + HOUR; next++)
            if (t->story[next].is_success)
                s++;
            else
                f++;
        if (clock + HOUR > now)
            break;
        s *= exp2(-1.0 / 24);
        f *= exp2(-1.0 / 6);
    }
    for (int i = 0; i < 40; i++)
        packages += t->package[i];
    score = 0.5 * (s + f > 0 ? s / (s + f) : 1);
    score += 0.25 * (t->ms < 0 ? 1 : fmin(1, 1000 / (t->ms + 1)));
    score += 0.15 * fmin(1, packages / 10);
    score +=
        t->seen == 0 ? 0 : 0.10 / (floor((double)(now - t->seen) / 3.6e6) + 1);
    return fmin(1, score);
}

static void scores_agree_with_a_naive_recomputation(void **state)
{
    static struct twin t;
    struct rng_seeded seed;

    (void)state;
    for (uint64_t run = 1; run <= 10; run++) {
        struct rng rng = rng_seeded(&seed, run);
        struct reputation *r = reputation_new(0, &mem_libc);
        struct peer_id p = peer(1);
        wall_ms now = WALL;

        t = (struct twin){.ms = -1};
        reputation_provided(r, &p, SPAN_LIT("0"), now);
        t.package[0] = true;
        while (t.count < 600) {
            double ms = (double)rng_below(&rng, 5000);
            char name[8];
            unsigned k;

            now += (wall_ms)rng_below(&rng, 20 * 60 * 1000);
            switch (rng_below(&rng, 4)) {
            case 0:
            case 1:
                learn(r, &p, REPUTATION_RPC_ANSWERED, 1, ms, now);
                t.story[t.count++] = (struct happened){true, now};
                t.ms = t.ms < 0 ? ms : 0.7 * t.ms + 0.3 * ms;
                t.seen = now;
                break;
            case 2:
                learn(r, &p, REPUTATION_RPC_FAILED, 1, -1, now);
                t.story[t.count++] = (struct happened){false, now};
                break;
            default:
                k = (unsigned)rng_below(&rng, 40);
                snprintf(name, sizeof(name), "%u", k);
                reputation_provided(r, &p, span_str(name), now);
                t.package[k] = true;
                break;
            }
            assert_near(twin_score(&t, WALL, now),
                        reputation_score(r, &p, now));
        }
        reputation_free(r);
    }
}

/* ---- Time. ---- */

static void the_past_is_forgiven_and_forgotten(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id p = peer(1);
    struct reputation_view v;

    (void)state;
    learn(r, &p, REPUTATION_RPC_ANSWERED, 8, -1, WALL);
    learn(r, &p, REPUTATION_RPC_FAILED, 8, -1, WALL);
    (void)reputation_look(r, &p, WALL + HOUR - 1, &v);
    assert_near(8, v.failures);
    (void)reputation_look(r, &p, WALL + HOUR, &v);
    assert_near(8 * exp2(-1.0 / 6), v.failures);
    (void)reputation_look(r, &p, WALL + 6 * HOUR, &v);
    assert_near(4, v.failures);
    assert_near(8 * exp2(-0.25), v.successes);
    (void)reputation_look(r, &p, WALL + 24 * HOUR, &v);
    assert_near(0.5, v.failures);
    assert_near(4, v.successes);
    assert_true(v.success > 0.4);
    /* In the end there is no history. */
    (void)reputation_look(r, &p, WALL + 1000 * HOUR, &v);
    assert_near(0, v.failures);
    assert_near(0, v.successes);
    assert_near(0.5, v.success);
    /* A wall clock that goes back does no harm. */
    assert_near(0.60, reputation_score(r, &p, WALL - 5 * HOUR));
    reputation_free(r);
}

/* ---- Bans. ---- */

static void ten_offences_in_a_minute_ban(void **state)
{
    static const struct {
        const char *why;
        enum reputation_outcome first, rest;
        duration apart;
        wall_ms ban; /* 0: none */
    } cases[] = {
        {"ten bad signatures", REPUTATION_SIGNATURE_BAD,
         REPUTATION_SIGNATURE_BAD, 1 * SECONDS, HOUR},
        {"malformed", REPUTATION_FRAMING, REPUTATION_FRAMING, 1 * SECONDS,
         HOUR / 2},
        {"nine malformed and a flood", REPUTATION_FLOOD, REPUTATION_FRAMING,
         1 * SECONDS, HOUR},
        {"just within a minute", REPUTATION_FLOOD, REPUTATION_FLOOD,
         1 * MINUTES / 9, HOUR},
        {"too slow", REPUTATION_FLOOD, REPUTATION_FLOOD, 1 * MINUTES / 9 + 1,
         0},
        {"failures are no offences", REPUTATION_RECORD_BAD,
         REPUTATION_RECORD_BAD, 1, 0},
    };
    struct peer_id p = peer(1);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reputation *r = reputation_new(0, &mem_libc);
        struct reputation_view v;
        bool banned = false;

        for (unsigned k = 0; k < 10; k++) {
            assert_false(banned);
            banned = reputation_learn(
                r, &p, k == 0 ? cases[i].first : cases[i].rest,
                REPUTATION_NO_SAMPLE, 5 * MINUTES + k * cases[i].apart, WALL);
        }
        if (banned != (cases[i].ban != 0))
            fail_msg("%s", cases[i].why);
        if (banned) {
            (void)reputation_look(r, &p, WALL, &v);
            assert_int_equal(WALL + cases[i].ban, v.banned_until);
            assert_true(reputation_is_banned(r, &p, WALL + cases[i].ban - 1));
            assert_false(reputation_is_banned(r, &p, WALL + cases[i].ban));
            assert_int_equal(REPUTATION_BANNED, v.notes[0].outcome);
        }
        reputation_free(r);
    }
}

static void
the_tenth_offence_counts_within_the_minute_and_not_after(void **state)
{
    struct peer_id p = peer(1);

    (void)state;
    for (duration late = 0; late < 2; late++) {
        struct reputation *r = reputation_new(0, &mem_libc);

        for (int i = 0; i < 9; i++)
            assert_false(reputation_learn(r, &p, REPUTATION_FLOOD,
                                          REPUTATION_NO_SAMPLE, 0, WALL));
        assert_int_equal(late == 0, reputation_learn(r, &p, REPUTATION_FLOOD,
                                                     REPUTATION_NO_SAMPLE,
                                                     1 * MINUTES + late, WALL));
        reputation_free(r);
    }
}

static void bans_by_hand_begin_and_end(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id p = peer(1), q = peer(2);

    (void)state;
    assert_false(reputation_is_banned(r, &p, WALL));
    assert_ok(reputation_ban(r, &p, WALL_MS_FOREVER, WALL));
    assert_ok(reputation_ban(r, &q, WALL + HOUR, WALL));
    assert_int_equal(2, reputation_banned_count(r, WALL));
    assert_int_equal(1, reputation_banned_count(r, WALL + HOUR));
    assert_true(reputation_is_banned(r, &p, WALL + 100000 * HOUR));
    /* A shorter ban by hand replaces a longer one. */
    assert_ok(reputation_ban(r, &p, WALL + HOUR, WALL));
    assert_false(reputation_is_banned(r, &p, WALL + HOUR));
    reputation_unban(r, &p, WALL);
    assert_false(reputation_is_banned(r, &p, WALL));
    reputation_unban(r, &p, WALL);
    reputation_free(r);
}

/* ---- Reasons. ---- */

static void recent_reasons_can_be_read(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id p = peer(1);
    struct reputation_view v;

    (void)state;
    learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    learn(r, &p, REPUTATION_RPC_ANSWERED, 5, 3, WALL + 1);
    learn(r, &p, REPUTATION_SEARCH_FAILED, 1, -1, WALL + 2);
    (void)reputation_look(r, &p, WALL + 2, &v);
    assert_int_equal(3, v.note_count);
    assert_int_equal(REPUTATION_SEARCH_FAILED, v.notes[0].outcome);
    assert_int_equal(REPUTATION_RPC_ANSWERED, v.notes[1].outcome);
    assert_int_equal(5, v.notes[1].count);
    assert_int_equal(WALL + 1, v.notes[1].at);
    assert_string_equal("search-failed",
                        reputation_outcome_name(v.notes[0].outcome));
    assert_string_equal("it did not answer a search",
                        reputation_outcome_text(v.notes[0].outcome));
    /* The ring keeps the newest. */
    for (int i = 0; i < 50; i++) {
        learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL + 10 + i);
        learn(r, &p, REPUTATION_DIAL_FAILED, 1, -1, WALL + 10 + i);
    }
    (void)reputation_look(r, &p, WALL + 60, &v);
    assert_int_equal(REPUTATION_NOTES_MAX, v.note_count);
    for (size_t i = 0; i < v.note_count; i++)
        assert_int_equal(WALL + 59 - (wall_ms)i / 2, v.notes[i].at);
    reputation_free(r);
}

/* ---- Places. ---- */

static void an_operators_place_outweighs_what_is_told(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id p = peer(1);
    struct reputation_view v;
    double lat, lon;

    (void)state;
    assert_false(reputation_self_place(r, &lat, &lon));
    assert_err(ERR_INVAL, reputation_place_self(r, 91, 0));
    assert_err(ERR_INVAL, reputation_place_self(r, 0, NAN));
    assert_err(ERR_INVAL,
               reputation_place(r, &p, 0, 181, REPUTATION_PLACE_TOLD, WALL));
    assert_int_equal(0, reputation_count(r));
    assert_ok(reputation_place_self(r, 50, 8));
    assert_true(reputation_self_place(r, &lat, &lon));
    assert_ok(reputation_place(r, &p, 50, 8, REPUTATION_PLACE_TOLD, WALL));
    assert_ok(reputation_place(r, &p, 10, 10, REPUTATION_PLACE_OPERATOR, WALL));
    assert_ok(reputation_place(r, &p, 50, 8, REPUTATION_PLACE_TOLD, WALL));
    (void)reputation_look(r, &p, WALL, &v);
    assert_int_equal(REPUTATION_PLACE_OPERATOR, v.place_source);
    assert_near(0, v.location);
    assert_true(v.km > 4000);
    reputation_free(r);
}

/* ---- Choosing. ---- */

static void the_best_are_chosen_in_order(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    struct peer_id peers[6];
    size_t best[6];

    (void)state;
    for (unsigned i = 0; i < 6; i++)
        peers[i] = peer(i);
    learn(r, &peers[1], REPUTATION_RPC_FAILED, 3, -1, WALL);  /* 0.25 */
    learn(r, &peers[2], REPUTATION_RPC_ANSWERED, 3, 1, WALL); /* 0.85 */
    learn(r, &peers[4], REPUTATION_RPC_ANSWERED, 3, 1, WALL); /* 0.85 */
    provide(r, &peers[5], 10, WALL);                          /* 0.90 */
    assert_ok(reputation_ban(r, &peers[4], WALL + HOUR, WALL));
    assert_int_equal(3, reputation_best(r, peers, 6, 3, WALL, best));
    assert_int_equal(5, best[0]);
    assert_int_equal(2, best[1]);
    assert_int_equal(0, best[2]); /* before 3, which is its equal */
    assert_int_equal(5, reputation_best(r, peers, 6, 6, WALL, best));
    assert_int_equal(3, best[3]);
    assert_int_equal(1, best[4]);
    /* The ban over, its score decides again. */
    assert_int_equal(2, reputation_best(r, peers, 5, 2, WALL + HOUR, best));
    assert_int_equal(2, best[0]);
    assert_int_equal(4, best[1]);
    assert_int_equal(0, reputation_best(r, peers, 6, 0, WALL, best));
    assert_int_equal(0, reputation_best(r, peers, 0, 3, WALL, best));
    reputation_free(r);
}

/* ---- Bounds. ---- */

static void of_the_oldest_the_least_worth_gives_way(void **state)
{
    struct reputation *r = reputation_new(20, &mem_libc);
    struct peer_id banned = peer(0), bad = peer(3), good = peer(1), p;
    struct reputation_row row;
    bool is_gone;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        p = peer(i);
        learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    }
    assert_ok(reputation_ban(r, &banned, WALL + HOUR, WALL));
    learn(r, &bad, REPUTATION_RPC_FAILED, 1, -1, WALL);
    for (unsigned i = 4; i < 20; i++) {
        p = peer(i);
        learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    }
    while (reputation_take_dirty(r, &row, &is_gone))
        assert_false(is_gone);

    p = peer(100);
    learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    assert_int_equal(20, reputation_count(r));
    assert_int_equal(1, reputation_evicted_count(r));
    assert_near(0.75, reputation_score(r, &bad, WALL)); /* forgotten */
    assert_near(0.85, reputation_score(r, &good, WALL));
    /* Its row goes; then the new one's comes. */
    assert_true(reputation_take_dirty(r, &row, &is_gone));
    assert_true(is_gone);
    assert_true(peer_id_eq(&bad, &row.peer));
    assert_true(reputation_take_dirty(r, &row, &is_gone));
    assert_false(is_gone);
    assert_true(peer_id_eq(&p, &row.peer));
    assert_false(reputation_take_dirty(r, &row, &is_gone));

    for (unsigned i = 200; i < 300; i++) {
        p = peer(i);
        learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    }
    assert_true(reputation_is_banned(r, &banned, WALL));
    assert_int_equal(20, reputation_count(r));
    reputation_free(r);
}

static void who_was_heard_of_lately_stays_however_bad(void **state)
{
    struct reputation *r = reputation_new(20, &mem_libc);
    struct peer_id bad = peer(0), p;
    struct reputation_view v;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        p = peer(i);
        learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    }
    learn(r, &bad, REPUTATION_RPC_FAILED, 9, -1, WALL);
    p = peer(100);
    learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    assert_true(reputation_look(r, &bad, WALL, &v));
    reputation_free(r);
}

static void an_evicted_peer_that_is_back_keeps_its_row(void **state)
{
    struct reputation *r = reputation_new(1, &mem_libc);
    struct peer_id a = peer(1), b = peer(2);
    struct reputation_row row;
    bool is_gone, is_stored = true;

    (void)state;
    reputation_seen(r, &a, WALL);
    reputation_seen(r, &b, WALL);
    reputation_seen(r, &a, WALL);
    while (reputation_take_dirty(r, &row, &is_gone))
        if (peer_id_eq(&row.peer, &a))
            is_stored = !is_gone;
    assert_true(is_stored);
    reputation_free(r);
}

static void the_banned_stay_even_when_nothing_else_fits(void **state)
{
    struct reputation *r = reputation_new(5, &mem_libc);
    struct peer_id p;

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        p = peer(i);
        assert_ok(reputation_ban(r, &p, WALL + HOUR, WALL));
    }
    p = peer(9);
    assert_err(ERR_LIMIT, reputation_ban(r, &p, WALL + HOUR, WALL));
    learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
    reputation_seen(r, &p, WALL);
    provide(r, &p, 1, WALL);
    assert_near(0.75, reputation_score(r, &p, WALL));
    /* Bans that are over leave room. */
    assert_ok(reputation_ban(r, &p, WALL + 3 * HOUR, WALL + HOUR));
    assert_int_equal(5, reputation_count(r));
    reputation_free(r);
}

static void packages_told_apart_are_limited(void **state)
{
    struct test_heap heap;
    struct reputation *r;
    struct peer_id p = peer(1);
    struct reputation_view v;

    (void)state;
    test_heap_init(&heap);
    r = reputation_new(0, &heap.mem);
    provide(r, &p, 200, WALL);
    (void)reputation_look(r, &p, WALL, &v);
    assert_int_equal(REPUTATION_PACKAGES_MAX, v.packages_provided);
    reputation_free(r);
    assert_int_equal(0, heap.live);
}

/* ---- Rows. ---- */

/* However many packages a row brings, the rest fills up to the limit. */
static void a_loaded_peer_keeps_the_limit_of_packages(void **state)
{
    struct reputation_view v;
    struct peer_id p = peer(1);

    (void)state;
    for (unsigned n = 0; n <= REPUTATION_PACKAGES_MAX; n++) {
        struct reputation *a = reputation_new(0, &mem_libc);
        struct reputation *b = reputation_new(0, &mem_libc);
        struct reputation_row row;
        bool is_gone;

        provide(a, &p, n, WALL);
        learn(a, &p, REPUTATION_RPC_ANSWERED, 1, 1, WALL);
        assert_true(reputation_take_dirty(a, &row, &is_gone));
        assert_ok(reputation_load(b, &row, WALL));
        provide(b, &p, 600, WALL);
        learn(b, &p, REPUTATION_RPC_ANSWERED, 1, 1, WALL);
        (void)reputation_look(b, &p, WALL, &v);
        assert_int_equal(REPUTATION_PACKAGES_MAX, v.packages_provided);
        assert_true(reputation_take_dirty(b, &row, &is_gone));
        assert_int_equal(REPUTATION_PACKAGES_MAX, row.package_count);
        reputation_free(a);
        reputation_free(b);
    }
}

static void what_is_exported_is_loaded_again(void **state)
{
    struct reputation *a = reputation_new(0, &mem_libc);
    struct reputation *b = reputation_new(0, &mem_libc);
    struct reputation_row row;
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 5);
    bool is_gone;

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        struct peer_id p = peer(i);

        learn(a, &p, REPUTATION_RPC_ANSWERED, (unsigned)rng_below(&rng, 9),
              (double)rng_below(&rng, 4000), WALL - 30 * HOUR);
        learn(a, &p, REPUTATION_DIAL_FAILED, (unsigned)rng_below(&rng, 9), -1,
              WALL);
        provide(a, &p, i, WALL);
        if (i % 5 == 0)
            assert_ok(reputation_ban(a, &p, WALL + HOUR, WALL));
        if (i % 7 == 0)
            assert_ok(reputation_place(a, &p, (double)i, -(double)i,
                                       REPUTATION_PLACE_OPERATOR, WALL));
    }
    assert_int_equal(30, reputation_dirty_count(a));
    while (reputation_take_dirty(a, &row, &is_gone))
        assert_ok(reputation_load(b, &row, WALL));
    assert_int_equal(0, reputation_dirty_count(a));
    assert_int_equal(0, reputation_dirty_count(b)); /* loading is no change */
    for (unsigned i = 0; i < 30; i++) {
        struct peer_id p = peer(i);
        struct reputation_view va, vb;

        (void)reputation_look(a, &p, WALL + 2 * HOUR, &va);
        (void)reputation_look(b, &p, WALL + 2 * HOUR, &vb);
        assert_near(va.score, vb.score);
        assert_int_equal(va.note_count, vb.note_count);
        for (size_t k = 0; k < va.note_count; k++) {
            assert_int_equal(va.notes[k].outcome, vb.notes[k].outcome);
            assert_int_equal(va.notes[k].at, vb.notes[k].at);
        }
        assert_int_equal(va.packages_provided, vb.packages_provided);
        assert_int_equal(va.place_source, vb.place_source);
        assert_int_equal(i % 5 == 0, reputation_is_banned(b, &p, WALL));
        /* The same packages again are still the same. */
        provide(b, &p, i, WALL);
        (void)reputation_look(b, &p, WALL, &vb);
        assert_int_equal(va.packages_provided, vb.packages_provided);
        /* And both go on alike. */
        learn(a, &p, REPUTATION_SEARCH_BUSY, 1, 5, WALL);
        learn(b, &p, REPUTATION_SEARCH_BUSY, 1, 5, WALL);
        (void)reputation_look(a, &p, WALL, &va);
        (void)reputation_look(b, &p, WALL, &vb);
        assert_int_equal(va.notes[0].outcome, vb.notes[0].outcome);
        assert_near(va.response_ms, vb.response_ms);
    }
    reputation_free(a);
    reputation_free(b);
}

static void rows_that_make_no_sense_are_refused(void **state)
{
    struct reputation *r = reputation_new(2, &mem_libc);
    struct reputation_row good = {.peer = peer(1),
                                  .successes = 1,
                                  .response_ms = -1,
                                  .decayed_at = WALL,
                                  .last_seen = WALL};
    struct reputation_row rows[9];

    (void)state;
    for (size_t i = 0; i < 9; i++)
        rows[i] = good;
    rows[0].peer.len = 0;
    rows[1].successes = NAN;
    rows[2].failures = -1;
    rows[3].response_ms = INFINITY;
    rows[4].package_count = REPUTATION_PACKAGES_MAX + 1;
    rows[5].note_count = REPUTATION_NOTES_MAX + 1;
    rows[6].place_source = REPUTATION_PLACE_TOLD;
    rows[6].latitude = 100;
    rows[7].note_count = 1;
    rows[7].notes[0].outcome = REPUTATION_OUTCOME_COUNT;
    rows[8].peer.len = PEER_ID_MAX + 1;
    for (size_t i = 0; i < 9; i++)
        assert_err(ERR_INVAL, reputation_load(r, &rows[i], WALL));
    assert_int_equal(0, reputation_count(r));
    assert_ok(reputation_load(r, &good, WALL));
    assert_ok(reputation_load(r, &good, WALL)); /* twice is once */
    good.peer = peer(2);
    /* A clock that was ahead. */
    good.last_seen = good.decayed_at = WALL + 1000 * HOUR;
    assert_ok(reputation_load(r, &good, WALL));
    assert_near(0.85, reputation_score(r, &good.peer, WALL));
    good.peer = peer(3);
    assert_err(ERR_LIMIT, reputation_load(r, &good, WALL));
    reputation_free(r);
}

static void peers_are_listed_in_the_order_they_came(void **state)
{
    struct reputation *r = reputation_new(0, &mem_libc);
    const struct peer_id *at = NULL;

    (void)state;
    assert_null(reputation_next(r, NULL));
    for (unsigned i = 0; i < 10; i++) {
        struct peer_id p = peer(i);

        reputation_seen(r, &p, WALL);
    }
    for (unsigned i = 0; i < 10; i++) {
        struct peer_id p = peer(i);

        at = reputation_next(r, at);
        assert_non_null(at);
        assert_true(peer_id_eq(&p, at));
    }
    assert_null(reputation_next(r, at));
    reputation_free(r);
}

/* ---- Failed allocations. ---- */

static void every_failed_allocation_is_survived(void **state)
{
    struct test_heap heap;
    unsigned total = 20;

    (void)state;
    for (unsigned nth = 0; nth <= total; nth++) {
        struct reputation *r;
        struct reputation_row row;
        bool is_gone;
        unsigned made;

        test_heap_init(&heap);
        r = reputation_new(4, &heap.mem);
        made = heap.count;
        test_heap_fail(&heap, nth);
        for (unsigned i = 0; i < 6; i++) {
            struct peer_id p = peer(i);

            learn(r, &p, REPUTATION_DIALLED, 1, -1, WALL);
            provide(r, &p, 6, WALL);
        }
        while (reputation_take_dirty(r, &row, &is_gone))
            ;
        row.peer = peer(0);
        row.package_count = 1;
        if (reputation_load(r, &row, WALL) != OK)
            assert_true(reputation_count(r) <= 4);
        if (nth == 0)
            total = heap.count - made;
        assert_in_range(reputation_count(r), 3, 4);
        reputation_free(r);
        assert_int_equal(0, heap.live);
    }
    assert_true(total > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_computed_by_hand),
        cmocka_unit_test(distances_are_those_of_the_earth),
        cmocka_unit_test(the_terms_add_up_to_the_score),
        cmocka_unit_test(scores_agree_with_a_naive_recomputation),
        cmocka_unit_test(the_past_is_forgiven_and_forgotten),
        cmocka_unit_test(ten_offences_in_a_minute_ban),
        cmocka_unit_test(
            the_tenth_offence_counts_within_the_minute_and_not_after),
        cmocka_unit_test(bans_by_hand_begin_and_end),
        cmocka_unit_test(recent_reasons_can_be_read),
        cmocka_unit_test(an_operators_place_outweighs_what_is_told),
        cmocka_unit_test(the_best_are_chosen_in_order),
        cmocka_unit_test(of_the_oldest_the_least_worth_gives_way),
        cmocka_unit_test(who_was_heard_of_lately_stays_however_bad),
        cmocka_unit_test(an_evicted_peer_that_is_back_keeps_its_row),
        cmocka_unit_test(the_banned_stay_even_when_nothing_else_fits),
        cmocka_unit_test(packages_told_apart_are_limited),
        cmocka_unit_test(a_loaded_peer_keeps_the_limit_of_packages),
        cmocka_unit_test(what_is_exported_is_loaded_again),
        cmocka_unit_test(rows_that_make_no_sense_are_refused),
        cmocka_unit_test(peers_are_listed_in_the_order_they_came),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests_name("reputation", tests, NULL, NULL);
}
