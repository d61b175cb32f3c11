/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "reputation/state.h"

#define HOUR_MS ((wall_ms)60 * 60 * 1000)
#define EARTH_KM 6371.0
#define RADIANS (3.14159265358979323846 / 180.0)

enum { PACKAGES_FULL = 10, NEAR_KM = 100 };

/* Less than this of an outcome is forgotten altogether. */
#define HISTORY_MIN 0.1

double reputation_km(double latitude_a, double longitude_a, double latitude_b,
                     double longitude_b)
{
    double phi_a = latitude_a * RADIANS, phi_b = latitude_b * RADIANS;
    double half_phi = (phi_b - phi_a) / 2;
    double half_lambda = (longitude_b - longitude_a) * RADIANS / 2;
    double h = sin(half_phi) * sin(half_phi) +
               cos(phi_a) * cos(phi_b) * sin(half_lambda) * sin(half_lambda);

    /* Rounding may put antipodes outside of asin's range. */
    return 2 * EARTH_KM * asin(sqrt(h < 1 ? h : 1));
}

static double halved(double value, wall_ms age, wall_ms halves_in)
{
    double left = value * exp2(-(double)age / (double)halves_in);

    return left < HISTORY_MIN ? 0 : left;
}

static wall_ms whole_hours(wall_ms since, wall_ms wall)
{
    return wall > since ? (wall - since) / HOUR_MS * HOUR_MS : 0;
}

void entry_decay(struct entry *e, wall_ms wall)
{
    wall_ms age = whole_hours(e->decayed_at, wall);

    if (age == 0)
        return;
    e->successes = halved(e->successes, age, REPUTATION_SUCCESSES_HALVE_MS);
    e->failures = halved(e->failures, age, REPUTATION_FAILURES_HALVE_MS);
    e->decayed_at += age;
}

static double success_of(double successes, double failures)
{
    double all = successes + failures;

    return all > 0 ? successes / all : 1;
}

static double response_of(double ms)
{
    return ms < 0 ? 1 : fmin(1, 1000 / (ms + 1));
}

static double recency_of(wall_ms last_seen, wall_ms wall)
{
    wall_ms hours = whole_hours(last_seen, wall) / HOUR_MS;

    return last_seen == 0 ? 0 : 0.10 / (double)(hours + 1);
}

static void locate(const struct reputation *r, const struct entry *e,
                   struct reputation_view *view)
{
    view->km = -1;
    view->place_source = e->place_source;
    if (e->place_source == REPUTATION_PLACE_UNKNOWN)
        return;
    view->latitude = e->latitude;
    view->longitude = e->longitude;
    if (!r->has_place)
        return;
    view->km =
        reputation_km(r->latitude, r->longitude, e->latitude, e->longitude);
    if (view->km < NEAR_KM)
        view->location = 0.1 * (1 - view->km / NEAR_KM);
}

static void copy_notes(const struct entry *e, struct reputation_view *view)
{
    for (size_t i = 0; i < e->note_count; i++)
        view->notes[i] = entry_note_at(e, i);
    view->note_count = e->note_count;
}

void entry_view(const struct reputation *r, const struct entry *known,
                wall_ms wall, struct reputation_view *view)
{
    static const struct entry unknown = {.response_ms = -1};
    struct entry e = known != NULL ? *known : unknown;

    entry_decay(&e, wall);
    *view = (struct reputation_view){
        .success = 0.50 * success_of(e.successes, e.failures),
        .response = 0.25 * response_of(e.response_ms),
        .packages = 0.15 * fmin(1, (double)e.package_count / PACKAGES_FULL),
        .recency = recency_of(e.last_seen, wall),
        .successes = e.successes,
        .failures = e.failures,
        .response_ms = e.response_ms,
        .packages_provided = e.package_count,
        .last_seen = e.last_seen,
        .banned_until = entry_is_banned(&e, wall) ? e.banned_until : 0,
    };
    locate(r, &e, view);
    copy_notes(&e, view);
    view->score = fmin(1, view->success + view->response + view->packages +
                              view->recency + view->location);
}

double reputation_score(const struct reputation *r, const struct peer_id *peer,
                        wall_ms wall)
{
    struct reputation_view view;

    entry_view(r, entry_find(r, peer), wall, &view);
    return view.score;
}

bool reputation_look(const struct reputation *r, const struct peer_id *peer,
                     wall_ms wall, struct reputation_view *view)
{
    const struct entry *e = entry_find(r, peer);

    entry_view(r, e, wall, view);
    return e != NULL;
}

/* The |k| best so far are kept in order; |k| is small. */
size_t reputation_best(const struct reputation *r, const struct peer_id *peers,
                       size_t count, size_t k, wall_ms wall, size_t *best)
{
    double scores[REPUTATION_BEST_MAX];
    size_t n = 0;

    assert(k <= REPUTATION_BEST_MAX);
    for (size_t i = 0; i < count; i++) {
        double score = reputation_score(r, &peers[i], wall);
        size_t at = n;

        if (reputation_is_banned(r, &peers[i], wall))
            continue;
        while (at > 0 && scores[at - 1] < score)
            at--;
        if (at == k)
            continue;
        if (n < k)
            n++;
        for (size_t j = n - 1; j > at; j--) {
            scores[j] = scores[j - 1];
            best[j] = best[j - 1];
        }
        scores[at] = score;
        best[at] = i;
    }
    return n;
}
