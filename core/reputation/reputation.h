/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPUTATION_REPUTATION_H
#define REPUTATION_REPUTATION_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/span.h"
#include "base/time.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* What we learnt of peers, and what it makes them worth.
 *
 *    score = min(1, 0.50·success + 0.25·min(1, 1000/(ms+1))
 *                   + 0.15·min(1, packages/10) + 0.10/(hours+1) + geo)
 *
 *    success  s/(s+f), 1 with no history
 *    ms       response time, 0.7 old + 0.3 new; its term is 1 with no sample
 *    packages distinct ones that verified
 *    hours    whole ones since it was last seen; no term if it never was
 *    geo      0.1·(1 − km/100) under 100 km, 0 if either place is unknown
 *
 * Every outcome is told by reputation_learn().  Counters halve with time,
 * failures faster, so the past is forgiven.  Ten offences in a minute ban.
 * The number of peers is bounded: of those not heard of for longest the least
 * worth gives way, a banned one never.  Nothing is written here: changed peers
 * wait in a list of dirty ones to be written behind. */

enum {
    REPUTATION_PEERS_MAX = 4096,  /* default */
    REPUTATION_NOTES_MAX = 16,    /* remembered a peer */
    REPUTATION_PACKAGES_MAX = 64, /* told apart a peer; more count no more */
    REPUTATION_BEST_MAX = 64,     /* chosen at once */
    REPUTATION_OFFENCES = 10,     /* this many … */
};
#define REPUTATION_OFFENCES_WITHIN (1 * MINUTES) /* … in this time ban */
#define REPUTATION_BAN_MS ((wall_ms)60 * 60 * 1000)
#define REPUTATION_BAN_MALFORMED_MS ((wall_ms)30 * 60 * 1000)
#define REPUTATION_FAILURES_HALVE_MS ((wall_ms)6 * 60 * 60 * 1000)
#define REPUTATION_SUCCESSES_HALVE_MS ((wall_ms)24 * 60 * 60 * 1000)

enum reputation_outcome {
#define OUTCOME(name, effect, text) REPUTATION_##name,
#include "reputation/outcomes.h"
    REPUTATION_OUTCOME_COUNT
};
/* "dial-failed"; valid until the next call on the same thread. */
const char *reputation_outcome_name(enum reputation_outcome outcome);
const char *reputation_outcome_text(enum reputation_outcome outcome);

struct reputation;
/* |peers_max| 0: the default. */
struct reputation *reputation_new(size_t peers_max, const struct mem *mem);
void reputation_free(struct reputation *r);

/* ---- Learning. ---- */

/* Something happened with |peer|.  |took| is the response time, or
 * REPUTATION_NO_SAMPLE.  True when this just banned the peer: close its
 * connections. */
#define REPUTATION_NO_SAMPLE UINT64_MAX
bool reputation_learn(struct reputation *r, const struct peer_id *peer,
                      enum reputation_outcome outcome, duration took,
                      tstamp now, wall_ms wall);
/* Any sign of life that is no outcome. */
void reputation_seen(struct reputation *r, const struct peer_id *peer,
                     wall_ms wall);
/* A package of |peer| verified; |package| is its name ("ns/name"). */
void reputation_provided(struct reputation *r, const struct peer_id *peer,
                         struct span package, wall_ms wall);

/* ---- Places, in degrees. ---- */

enum reputation_place_source {
    REPUTATION_PLACE_UNKNOWN,
    REPUTATION_PLACE_TOLD,     /* by the peer itself */
    REPUTATION_PLACE_OPERATOR, /* not overridden by what is told */
};
/* ERR_INVAL: no place on earth. */
MUST_USE enum err reputation_place_self(struct reputation *r, double latitude,
                                        double longitude);
MUST_USE enum err reputation_place(struct reputation *r,
                                   const struct peer_id *peer, double latitude,
                                   double longitude,
                                   enum reputation_place_source source,
                                   wall_ms wall);
bool reputation_self_place(const struct reputation *r, double *latitude,
                           double *longitude);
/* Haversine, R = 6371. */
double reputation_km(double latitude_a, double longitude_a, double latitude_b,
                     double longitude_b);

/* ---- Bans. ---- */

/* |until| WALL_MS_FOREVER bans for ever.  ERR_LIMIT: no room, all others are
 * banned too. */
#define WALL_MS_FOREVER INT64_MAX
MUST_USE enum err reputation_ban(struct reputation *r,
                                 const struct peer_id *peer, wall_ms until,
                                 wall_ms wall);
void reputation_unban(struct reputation *r, const struct peer_id *peer,
                      wall_ms wall);
bool reputation_is_banned(const struct reputation *r,
                          const struct peer_id *peer, wall_ms wall);

/* ---- Judging. ---- */

struct reputation_note {
    wall_ms at; /* of the last one */
    uint32_t count;
    enum reputation_outcome outcome;
};

struct reputation_view {
    double score;
    /* The terms, weighted: their sum, at most 1, is the score. */
    double success, response, packages, recency, location;
    double successes, failures; /* decayed */
    double response_ms;         /* < 0: never measured */
    size_t packages_provided;
    wall_ms last_seen;    /* 0: never */
    wall_ms banned_until; /* 0: not banned */
    enum reputation_place_source place_source;
    double latitude, longitude, km;                     /* km < 0: unknown */
    struct reputation_note notes[REPUTATION_NOTES_MAX]; /* newest first */
    size_t note_count;
};
/* A peer never heard of is one without history, not yet seen: 0.75. */
double reputation_score(const struct reputation *r, const struct peer_id *peer,
                        wall_ms wall);
/* False: never heard of; |*view| is then what is assumed of such a one. */
bool reputation_look(const struct reputation *r, const struct peer_id *peer,
                     wall_ms wall, struct reputation_view *view);
/* The indices of the best |k| of |peers| in |best|, best first, equal ones in
 * the order given, banned ones left out.  Returns how many.  |k| is at most
 * REPUTATION_BEST_MAX. */
size_t reputation_best(const struct reputation *r, const struct peer_id *peers,
                       size_t count, size_t k, wall_ms wall, size_t *best);

/* ---- Iterating (REST lists), in the order peers were met. ---- */

size_t reputation_count(const struct reputation *r);
size_t reputation_banned_count(const struct reputation *r, wall_ms wall);
uint64_t reputation_evicted_count(const struct reputation *r);
/* NULL starts and ends. */
const struct peer_id *reputation_next(const struct reputation *r,
                                      const struct peer_id *after);

/* ---- Persistence: one row a peer. ---- */

struct reputation_row {
    struct peer_id peer;
    double successes, failures;
    double response_ms; /* < 0: never measured */
    wall_ms decayed_at;
    wall_ms last_seen;
    wall_ms banned_until;
    enum reputation_place_source place_source;
    double latitude, longitude;
    uint64_t packages[REPUTATION_PACKAGES_MAX]; /* hashes of names */
    size_t package_count;
    struct reputation_note notes[REPUTATION_NOTES_MAX]; /* newest first */
    size_t note_count;
};
/* One changed peer, taken off the dirty list; false when there is none.  A
 * peer that was evicted comes once with |*is_gone|: delete its row. */
bool reputation_take_dirty(struct reputation *r, struct reputation_row *row,
                           bool *is_gone);
size_t reputation_dirty_count(const struct reputation *r);
/* At start, in any order.  ERR_INVAL (no sane row: skip it), ERR_LIMIT,
 * ERR_NOMEM. */
MUST_USE enum err reputation_load(struct reputation *r,
                                  const struct reputation_row *row,
                                  wall_ms wall);

#endif /* REPUTATION_REPUTATION_H */
