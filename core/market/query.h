/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_QUERY_H
#define MARKET_QUERY_H

#include "market/record.h"
#include "souk/request.h"

/* The query language of API.md §2: words are ANDed, "phrases", prefix*, -not,
 * field:value; empty lists all.
 *
 *      text ─► query_parse() ─► query_normalise()   the cache's key
 *                            ├► query_to_fts()      for FTS5 MATCH
 *                            └► query_matches()     could a record match?
 *
 * A query is a value.  Its words are folded as the catalogue's index folds
 * them (lower case, no diacritics: FTS5's unicode61, remove_diacritics 2) and
 * hold letters and digits only: "foo-bar" is the phrase "foo bar". */
enum {
    QUERY_BYTES_MAX = REQUEST_QUERY_MAX,
    QUERY_TERMS_MAX = 16,
    QUERY_TERM_MAX = 96,     /* bytes of one, folded */
    QUERY_NORMAL_MAX = 2048, /* normal form with filters, with NUL */
};

/* The columns of the catalogue's FTS5 table, by these names, and fields of
 * the language: name:x ns:x namespace:x title:x description:x tag:x
 * category:x author:x license:x.  Anything else before ':' is text. */
#define QUERY_FIELDS(X)                                       \
    X(NAME, name)                                             \
    X(NAMESPACE, namespace) X(TITLE, title) X(TAGS, tags)     \
        X(CATEGORIES, categories) X(DESCRIPTION, description) \
            X(AUTHORS, authors) X(LICENSE, license)

enum query_field {
    QUERY_ANY,
#define X(upper, column) QUERY_##upper,
    QUERY_FIELDS(X)
#undef X
        QUERY_FIELD_COUNT
};
/* The FTS5 column, NULL for QUERY_ANY. */
const char *query_field_column(enum query_field field);

struct query_term {
    enum query_field field;
    bool is_not;
    bool is_prefix;                /* of its last word */
    char text[QUERY_TERM_MAX + 1]; /* folded words, one space between */
};

enum query_sort { SORT_RELEVANCE, SORT_RECENT, SORT_NAME, SORT_DOWNLOADS };

struct query {
    struct query_term terms[QUERY_TERMS_MAX];
    size_t term_count;
    struct search_filter filter; /* values folded; each must equal one of the
                                    record's own */
    bool has_trust;
    enum record_trust trust; /* exactly this */
    enum query_sort sort;
    /* The whole query as one name or title might be spelt: folded words, one
     * space between; "" when it has anything but plain words. */
    char plain[QUERY_BYTES_MAX + 1];
};

/* ERR_INVAL with |problems|: too long, too many terms, not UTF-8, a quote that
 * is not closed, nothing but -not. */
MUST_USE
enum err query_parse(struct span text, struct query *q,
                     struct problems *problems);
/* "category", "tag", "author", "license", "namespace", "trust", "sort".
 * ERR_INVAL with |problems|; ERR_NOT_FOUND: no such filter. */
MUST_USE
enum err query_set(struct query *q, const char *name, struct span value,
                   struct problems *problems);
bool query_is_empty(const struct query *q); /* no terms: list all */

/* Equal for queries with equal results: terms sorted and distinct, filters,
 * sort.  Returns |out|. */
const char *query_normalise(const struct query *q, char out[QUERY_NORMAL_MAX]);
/* The terms alone in the language itself, for a peer; REQUEST_QUERY_MAX. */
const char *query_text(const struct query *q, char out[REQUEST_QUERY_MAX + 1]);
/* The MATCH expression; nothing is appended for an empty query. */
MUST_USE
enum err query_to_fts(const struct query *q, struct buf *out);
/* The same, limited to some columns ("name title"); terms with fields of their
 * own keep them. */
MUST_USE
enum err query_to_fts_in(const struct query *q, const char *columns,
                         struct buf *out);

/* Terms and filters against a record (trust is the reader's judgement and not
 * looked at).  Every record FTS5 finds matches. */
bool query_matches(const struct query *q, const struct record *r);
/* The filters alone, against the ready fields of a stored row: lists hold
 * their items with a newline between.  NULL is "". */
struct query_row {
    const char *ns;
    const char *license;
    const char *tags;
    const char *categories;
    const char *authors;
};
bool query_filter_accepts(const struct query *q, const struct query_row *row);

/* Fold |text| into words: letters and digits, lower case, without diacritics,
 * one space between.  Returns the length, cut at a word's end to |max|-1. */
size_t query_fold(struct span text, char *out, size_t max);

#endif /* MARKET_QUERY_H */
