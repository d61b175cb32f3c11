/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RANK_H
#define STORE_RANK_H

#include "market/query.h"
#include "store/db.h"
#include "store/match.h"

/* The ranked part of a search: a bounded number of candidates, because looking
 * at every match of a common word takes tens of milliseconds.
 *
 *      exact names and titles        by their own indexes
 *      words in name and title       the first RANK_SCAN_MAX in static order
 *      words anywhere                likewise, unless those were so many
 *
 * All are scored by their text.  The best RANK_BEST_MAX are then judged by all
 * that counts (market/rank.h) and go first; the others follow by their text. */
enum {
    RANK_SCAN_MAX = 1000,
    RANK_EXACT_MAX = 32,
    RANK_MAX = 2 * RANK_SCAN_MAX + 2 * RANK_EXACT_MAX,
    RANK_BEST_MAX = 64,
};

struct candidate {
    int64_t slot;
    double text;
    double value;  /* within |rank|, more is better */
    uint8_t rank;  /* 0: the best, 1: the others */
    bool is_exact; /* by name or title */
};

struct ranking {
    struct candidate list[RANK_MAX]; /* in order once it is built */
    size_t count;
    bool is_whole;           /* nothing else matches */
    int64_t rest_after;      /* else: what follows has slots above … */
    int64_t slots[RANK_MAX]; /* … and is none of these, ascending */
};

MUST_USE
enum err ranking_build(struct ranking *r, struct db *db, const struct query *q,
                       const struct match *m, wall_ms wall);
bool ranking_has(const struct ranking *r, int64_t slot);

#endif /* STORE_RANK_H */
