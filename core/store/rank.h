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
 * Exact names go first, then exact titles, then the others by their text and by
 * the static quality that their slot tells, so no row has to be fetched to be
 * ranked. */
enum {
    RANK_SCAN_MAX = 1000,
    RANK_EXACT_MAX = 32,
    RANK_MAX = 2 * RANK_SCAN_MAX + 2 * RANK_EXACT_MAX,
};

/* What static quality may add to the text when the best are picked. */
#define RANK_STATIC_WEIGHT 0.35

enum { RANK_NAME, RANK_TITLE, RANK_TEXT };

struct candidate {
    int64_t slot;
    double text;
    double value; /* within |rank|, more is better */
    uint8_t rank;
};

struct ranking {
    struct candidate list[RANK_MAX]; /* in no order, see ranking_select() */
    size_t count;
    bool is_whole;           /* nothing else matches */
    int64_t rest_after;      /* else: what follows has slots above … */
    int64_t slots[RANK_MAX]; /* … and is none of these, ascending */
};

MUST_USE
enum err ranking_build(struct ranking *r, struct db *db, const struct query *q,
                       const struct match *m);
/* Bring the best |k| of the |count| candidates at |list| to its front, in
 * order; returns how many that are. */
size_t ranking_select(struct candidate *list, size_t count, size_t k);
int candidate_cmp(const struct candidate *a, const struct candidate *b);
bool ranking_has(const struct ranking *r, int64_t slot);

#endif /* STORE_RANK_H */
