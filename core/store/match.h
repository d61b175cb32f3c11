/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MATCH_H
#define STORE_MATCH_H

#include "base/buf.h"
#include "market/query.h"
#include "store/db.h"

/* A query as FTS5 takes it: its words by market's query_to_fts(), its filters
 * as facet tokens (listing.h), so nothing is left to be looked at row by row.
 * |weights| says how rare each positive term is, their sum is 1. */
struct match_weights {
    float of[2 * QUERY_TERMS_MAX]; /* a phrase each */
    size_t count;
};

struct match {
    bool is_all;     /* no words and no filters: every package */
    bool is_nothing; /* only punctuation: none */
    bool has_words;  /* so there is something to rank by */
    struct buf wide; /* the MATCH expression, NUL behind it */
    struct match_weights weights;
    /* The same, with the words that are for any column in name or title;
     * there may be none of those. */
    bool has_narrow;
    struct buf narrow;
    struct match_weights narrow_weights;
    /* One word and nothing else, that very many packages have: so many, when
     * they were last counted.  0: count them. */
    uint64_t packages_known;
};

/* |packages|: how many the catalogue lists. */
MUST_USE
enum err match_init(struct match *m, struct db *db, const struct query *q,
                    uint64_t packages);
void match_release(struct match *m);

static inline const char *match_wide(const struct match *m)
{
    return (const char *)buf_span(&m->wide).data;
}
static inline const char *match_narrow(const struct match *m)
{
    return (const char *)buf_span(&m->narrow).data;
}
static inline struct span weights_span(const struct match_weights *w)
{
    return SPAN(w->of, w->count * sizeof(*w->of));
}

#endif /* STORE_MATCH_H */
