/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_QUERY_H
#define MARKET_QUERY_H

#include "market/record.h"
#include "souk/request.h"

/* The query language of openapi.yaml: words are ANDed, "phrases", prefix*,
 * -not, field:value; empty lists all.
 *
 *      text ─► query_parse() ─► query_normalise()   the cache's key
 *                            ├► query_to_fts()      for FTS5 MATCH
 *                            └► query_matches()     could a record match?
 *
 * A query is a value.  Its words are folded as the catalogue's index folds
 * them (lower case, no diacritics: FTS5's unicode61, remove_diacritics 2) and
 * hold letters and digits only: "foo-bar" is the phrase "foo bar".  A package
 * as it is written, acme/tool, is the words of both sides. */
enum {
    QUERY_BYTES_MAX = REQUEST_QUERY_MAX,
    QUERY_TERMS_MAX = 16,
    QUERY_TERM_MAX = 96,     /* bytes of one, folded */
    QUERY_NORMAL_MAX = 3072, /* normal form with filters, with NUL */
};

/* The columns of the catalogue's FTS5 table: name, namespace, title, tags,
 * categories, description, authors, license.  In the language they are name:x
 * ns:x namespace:x title:x tag:x category:x description:x author:x license:x;
 * anything else before ':' is text. */
enum query_field {
    QUERY_ANY,
    QUERY_NAME,
    QUERY_NAMESPACE,
    QUERY_TITLE,
    QUERY_TAGS,
    QUERY_CATEGORIES,
    QUERY_DESCRIPTION,
    QUERY_AUTHORS,
    QUERY_LICENSE,
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
    /* Each must equal one of the record's own but for case and diacritics;
     * kept lower-cased. */
    struct search_filter filter;
    bool has_trust;
    enum record_trust trust; /* exactly this */
    enum query_sort sort;
    bool is_void; /* there was text, but no word in it: matches nothing */
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
/* The MATCH expression, filters included as far as FTS5 can (hold what it
 * finds against query_filter_accepts()); nothing is appended when there is
 * neither a term nor a filter.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE
enum err query_to_fts(const struct query *q, struct buf *out);
/* The same, limited to some columns ("name title"); terms with fields of their
 * own keep them. */
MUST_USE
enum err query_to_fts_in(const struct query *q, const char *columns,
                         struct buf *out);

/* The filters against the ready fields of a stored row: lists hold their items
 * with a newline between.  NULL is "". */
struct query_row {
    const char *ns;
    const char *license;
    const char *tags;
    const char *categories;
    const char *authors;
};
bool query_filter_accepts(const struct query *q, const struct query_row *row);

/* A record made ready to be held against many queries. */
struct query_doc {
    struct buf text;
    size_t column[QUERY_FIELD_COUNT]; /* where it starts in |text| */
    struct query_row row;
};
/* |r| must outlive it.  ERR_NOMEM. */
MUST_USE
enum err query_doc_init(struct query_doc *doc, const struct record *r);
void query_doc_release(struct query_doc *doc);
/* Terms and filters; trust is the reader's judgement and not looked at.  True
 * for every record that FTS5 finds by query_to_fts() and the filters let
 * through. */
bool query_matches(const struct query *q, const struct query_doc *doc);

/* Fold |text| into words: letters and digits, lower case, without diacritics,
 * one space between.  Returns the length; what does not fit into |max| bytes
 * with NUL is cut at a word's end. */
size_t query_fold(struct span text, char *out, size_t max);

#endif /* MARKET_QUERY_H */
