/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MATCH_H
#define STORE_MATCH_H

#include "base/buf.h"
#include "market/query.h"
#include "store/db.h"

/* A query as FTS5 takes it: its words by market's query_to_fts(), its filters
 * as facet tokens (listing.h), so nothing is left to be looked at row by row.
 * |weights| says how rare each positive term is, their sum is 1. */
struct match {
    bool is_all;       /* no words and no filters: every package */
    bool is_nothing;   /* only punctuation: none */
    bool has_words;    /* so there is something to rank by */
    struct buf wide;   /* the MATCH expression, NUL behind it */
    struct buf narrow; /* the same with words in name or title only */
    float weights[QUERY_TERMS_MAX];
    size_t weight_count;
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
static inline struct span match_weights(const struct match *m)
{
    return SPAN(m->weights, m->weight_count * sizeof(*m->weights));
}

#endif /* STORE_MATCH_H */
