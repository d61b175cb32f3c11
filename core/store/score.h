/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_SCORE_H
#define STORE_SCORE_H

#include <sqlite3.h>

#include "souk/err.h"

/* souk_score(words, weights): how well a row's text matches, as an auxiliary
 * function of FTS5.  |weights| is a blob of one float a phrase of the query:
 * how rare it is.  Much like BM25F, but it reads neither the row's size (its
 * class rides in the rowid, listing.h) nor anything else but the positions, so
 * a row costs well below a microsecond. */
MUST_USE
enum err score_register(sqlite3 *db);

#endif /* STORE_SCORE_H */
