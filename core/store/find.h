/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FIND_H
#define STORE_FIND_H

#include "store/cursor.h"
#include "store/match.h"
#include "store/pages.h"
#include "store/rank.h"

/* Finding the slots of one page, in their order; search.c makes answers of
 * them. */
struct found {
    int64_t slot;
    double text;
    struct cursor at; /* to go on behind this one: phase and its keys */
};

struct finding {
    struct reader *reader;
    const struct query *query;
    struct cursor start;
    struct match match;
    size_t want; /* one more than the page holds, to know of a next one */
    bool wants_facets;
    struct found list[READER_LIMIT_MAX + 1];
    size_t count;
    uint64_t total;
    bool total_is_exact;
};

MUST_USE
enum err find_page(struct finding *f);
/* What |store| knows of its catalogue. */
struct match_facts match_facts_of(const struct store *s);
/* By q->sort, other than relevance. */
MUST_USE
enum err find_sorted(struct finding *f);

/* Count the values of what matches. */
MUST_USE
enum err count_facets(struct finding *f, struct search_page *page,
                      struct pages *memory);

#endif /* STORE_FIND_H */
