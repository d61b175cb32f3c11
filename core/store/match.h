/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_MATCH_H
#define STORE_MATCH_H

#include "base/buf.h"
#include "market/query.h"
#include "store/db.h"
#include "store/listing.h"

/* A query as FTS5 takes it: its words by market's query_to_fts(), its filters
 * as facet tokens (listing.h), so nothing is left to be looked at row by row.
 * |weights| says how rare each positive term is, their sum is 1. */
struct match_weights {
    float of[1 + 2 * QUERY_TERMS_MAX]; /* see score.h; a phrase each */
    size_t count;
};

/* What is known of the catalogue. */
struct postings;
struct match_facts {
    uint64_t packages; /* listed */
    double average;    /* words of one */
    struct postings *postings;
};

struct match_part {    /* a term, or a filter */
    bool is_held;      /* a word whose list is in memory */
    double rarity;     /* 0: of a filter, or of what must not be there */
    uint64_t packages; /* with it, about */
};
enum { MATCH_FILTERS = 6 };

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
    struct match_part terms[QUERY_TERMS_MAX];
    struct match_part filters[MATCH_FILTERS];
    char tokens[MATCH_FILTERS][FACET_TOKEN_MAX]; /* "": no such filter */
    size_t held;       /* terms and filters in memory */
    uint64_t packages; /* listed */
    uint64_t rarest;   /* packages of the rarest term, about */
    /* One word and nothing else, that very many packages have: so many, when
     * they were last counted.  0: count them. */
    uint64_t packages_known;
};

MUST_USE
enum err match_init(struct match *m, struct db *db, const struct query *q,
                    const struct match_facts *facts);
void match_release(struct match *m);

/* Make the expressions, if they are not made yet. */
MUST_USE
enum err match_express(struct match *m, const struct query *q);
/* What is left for the index when lists in memory answer what they can. */
struct match_rest {
    bool is_nothing; /* they answer it all */
    bool is_odd;     /* or nothing of it: the rest only says what must not be */
    bool is_word;    /* one word, of which only the hits are asked */
    size_t word;     /* that term */
    struct buf expression;        /* NUL behind it; released by the caller */
    struct match_weights weights; /* their sum is not 1 */
};
MUST_USE
enum err match_rest(const struct match *m, const struct query *q,
                    struct match_rest *rest);

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
    return SPAN(w->of, (1 + w->count) * sizeof(*w->of));
}

#endif /* STORE_MATCH_H */
