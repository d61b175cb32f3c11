/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SCORE_H
#define STORE_SCORE_H

#include <sqlite3.h>

#include "souk/err.h"
#include "store/listing.h"

/* How well a row's text matches: bm25 with weights of the columns, the same as
 * FTS5's own, but what is the same for all rows is handed in, and a row's
 * length is in its slot (listing.h).  So a row costs well below a microsecond.
 *
 *      souk_score(words, facts)    |facts| is a blob of floats: the words of a
 *                                  package on average, then how rare each
 *                                  phrase of the query is; 0: a filter
 *      souk_hits(words)            the first phrase's hits, in tenths
 *
 * as auxiliary functions of FTS5. */
MUST_USE
enum err score_register(sqlite3 *db);
/* FTS5's own interface; NULL: there is none. */
fts5_api *score_api(sqlite3 *db);

/* spec: sqlite.org/fts5.html#the_bm25_function */
#define SCORE_K1 1.2
#define SCORE_B 0.75
/* No phrase is worth more than this, times its rarity. */
#define SCORE_MAX (SCORE_K1 + 1)

static inline double score_phrase(unsigned tenths, unsigned words,
                                  double average)
{
    double damp = SCORE_K1 * (1 - SCORE_B + SCORE_B * words / average);

    return tenths * (SCORE_K1 + 1) / (tenths + 10 * damp);
}
/* How rare a phrase is that |of| packages' |packages| have. */
double score_rarity(double packages, double of);

/* What a hit is worth in tenths, by the index's columns. */
extern const unsigned score_columns[LISTING_COLUMNS];

#endif /* STORE_SCORE_H */
