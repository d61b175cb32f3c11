/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WHOLE_H
#define STORE_WHOLE_H

#include "store/find.h"

/* A page by relevance out of every match.
 *
 *      words whose lists are in memory (postings.h) ──┐
 *      all else the query says, from the index, if    ├──► every match, scored
 *      RANK_SCAN_MAX or fewer packages have that ─────┘         │
 *      exact names and titles ────────────────────────► the best of them
 *
 * Nothing is kept between pages: each looks at all matches again and takes the
 * best behind the last one's end.
 *
 * |*did|: false when the lists cannot answer |f|; then nothing was found.  A
 * query without any such word is the ranking's, of few packages. */
MUST_USE
enum err whole_find(struct finding *f, bool *did);

#endif /* STORE_WHOLE_H */
