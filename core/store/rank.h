/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_RANK_H
#define STORE_RANK_H

#include "market/query.h"
#include "store/db.h"
#include "store/match.h"

/* The order of results: exact names, then exact titles, then by the text's
 * score, which is bm25's; among equals the static quality decides, which a slot
 * tells, so no row has to be fetched to be ranked.
 *
 *      whole.h    looks at every match, with the commonest words' lists in
 *                 memory.  Nearly all searches.
 *      ranking    when those cannot answer (prefixes, phrases and fields that
 *                 very many have; lists that are not read yet, or have no
 *                 room): a bounded number of candidates, for FTS5 takes tens
 *                 of milliseconds to look at every match of a common word
 *
 *      exact names and titles        by their own indexes
 *      words anywhere                the first RANK_SCAN_MAX in static order:
 *                                    all of most
 *      words in name and title       likewise, if those were so many
 *
 * What follows behind the candidates is in static order. */
enum {
    RANK_SCAN_MAX = 1000,
    RANK_EXACT_MAX = 32,
    RANK_MAX = 2 * RANK_SCAN_MAX + 2 * RANK_EXACT_MAX,
};

enum { RANK_NAME, RANK_TITLE, RANK_TEXT };

struct candidate {
    int64_t slot;
    double text; /* within |rank|, more is better */
    uint8_t rank;
};

/* The packages that are named or titled as the query says. */
struct exacts {
    struct {
        int64_t slot;
        uint8_t rank;
    } list[2 * RANK_EXACT_MAX];
    size_t count;
};
MUST_USE
enum err exacts_read(struct exacts *e, struct db *db, const struct query *q);

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
