/* SPDX-License-Identifier: Apache-2.0 */
#include "market/fold.h"
#include "market/query.h"

/* ---- For FTS5. ---- */

/* spec: sqlite.org/fts5.html#full_text_query_syntax: a string in quotes is a
 * phrase; folded text holds no quote. */
static enum err put_phrase(struct buf *out, const char *columns,
                           const char *text, bool is_prefix)
{
    if (columns != NULL)
        TRY(buf_printf(out, "{%s} : ", columns));
    return buf_printf(out, "\"%s\"%s", text, is_prefix ? " *" : "");
}

static enum err put_term(struct buf *out, const struct query_term *t,
                         const char *columns)
{
    if (t->field != QUERY_ANY)
        columns = query_field_column(t->field);
    return put_phrase(out, columns, t->text, t->is_prefix);
}

static enum err put_filter(struct buf *out, enum query_field field,
                           const char *value, bool *is_first)
{
    char words[2 * REQUEST_TEXT_MAX];

    if (fold_words(span_str(value), words, sizeof(words)) == 0)
        return OK; /* none, or one FTS5 cannot help with */
    if (!*is_first)
        TRY(buf_put_str(out, " AND "));
    *is_first = false;
    return put_phrase(out, query_field_column(field), words, false);
}

static enum err put_filters(struct buf *out, const struct search_filter *f,
                            bool *is_first)
{
    TRY(put_filter(out, QUERY_CATEGORIES, f->category, is_first));
    TRY(put_filter(out, QUERY_TAGS, f->tag, is_first));
    TRY(put_filter(out, QUERY_AUTHORS, f->author, is_first));
    TRY(put_filter(out, QUERY_LICENSE, f->license, is_first));
    return put_filter(out, QUERY_NAMESPACE, f->namespace, is_first);
}

/* (a AND b) NOT c NOT d */
static enum err put_query(const struct query *q, const char *columns,
                          struct buf *out)
{
    bool is_first = true;

    if (q->is_void)
        return buf_put_str(out, "\"\"");
    TRY(buf_put_str(out, "("));
    for (size_t i = 0; i < q->term_count; i++) {
        if (q->terms[i].is_not)
            continue;
        if (!is_first)
            TRY(buf_put_str(out, " AND "));
        is_first = false;
        TRY(put_term(out, &q->terms[i], columns));
    }
    TRY(put_filters(out, &q->filter, &is_first));
    TRY(buf_put_str(out, ")"));
    for (size_t i = 0; i < q->term_count; i++) {
        if (!q->terms[i].is_not)
            continue;
        TRY(buf_put_str(out, " NOT "));
        TRY(put_term(out, &q->terms[i], NULL));
    }
    return OK;
}

static bool is_for_fts(const struct query *q)
{
    const struct search_filter *f = &q->filter;
    const char *const values[] = {f->category, f->tag, f->author, f->license,
                                  f->namespace};
    char words[2 * REQUEST_TEXT_MAX];

    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
        if (fold_words(span_str(values[i]), words, sizeof(words)) > 0)
            return true;
    return q->term_count > 0 || q->is_void;
}

enum err query_to_fts_in(const struct query *q, const char *columns,
                         struct buf *out)
{
    return is_for_fts(q) ? put_query(q, columns, out) : OK;
}

enum err query_to_fts(const struct query *q, struct buf *out)
{
    return query_to_fts_in(q, NULL, out);
}

/* ---- Filters. ---- */

static bool is_alike(struct span item, const char *want)
{
    char folded[REQUEST_TEXT_MAX + 8]; /* longer than any filter */

    (void)fold_letters(item, folded, sizeof(folded));
    return strcmp(folded, want) == 0;
}

/* Is |want| among the lines of |list|?  "" is among all. */
static bool list_has(const char *list, const char *want)
{
    struct span rest = span_str(list ? list : "");

    if (want[0] == '\0')
        return true;
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t n = end ? (size_t)(end - rest.data) : rest.len;

        if (is_alike(span_take(&rest, n), want))
            return true;
        (void)span_take(&rest, 1);
    }
    return false;
}

bool query_filter_accepts(const struct query *q, const struct query_row *row)
{
    const struct search_filter *f = &q->filter;

    return list_has(row->ns, f->namespace) &&
           list_has(row->license, f->license) && list_has(row->tags, f->tag) &&
           list_has(row->categories, f->category) &&
           list_has(row->authors, f->author);
}

/* ---- A record against a query. ---- */

typedef const char *item_fn(const struct record *r, size_t nth);

/* One text as a column: its words with a space before each and one behind the
 * last, so that a phrase is found by its bytes. */
static enum err add_words(struct query_doc *doc, const char *text)
{
    size_t max = strlen(text) * 2 + 2;
    uint8_t *at;

    TRY(buf_reserve(&doc->text, max, &at));
    buf_grow(&doc->text, fold_words(span_str(text), (char *)at, max));
    return buf_put_u8(&doc->text, ' ');
}

static enum err add_column(struct query_doc *doc, enum query_field field,
                           const char *text)
{
    doc->column[field] = buf_len(&doc->text);
    TRY(buf_put_u8(&doc->text, ' '));
    TRY(add_words(doc, text));
    return buf_put_u8(&doc->text, '\0');
}

static enum err add_list_column(struct query_doc *doc, enum query_field field,
                                const struct record *r, item_fn *item)
{
    const char *text;

    doc->column[field] = buf_len(&doc->text);
    TRY(buf_put_u8(&doc->text, ' '));
    for (size_t i = 0; (text = item(r, i)) != NULL; i++)
        TRY(add_words(doc, text));
    return buf_put_u8(&doc->text, '\0');
}

static enum err add_lines(struct query_doc *doc, const struct record *r,
                          item_fn *item, size_t *at)
{
    const char *text;

    *at = buf_len(&doc->text);
    for (size_t i = 0; (text = item(r, i)) != NULL; i++) {
        if (i > 0)
            TRY(buf_put_u8(&doc->text, '\n'));
        TRY(buf_put_str(&doc->text, text));
    }
    return buf_put_u8(&doc->text, '\0');
}

static enum err fill_doc(struct query_doc *doc, const struct record *r)
{
    size_t tags, categories, authors;
    const char *base;

    TRY(add_column(doc, QUERY_NAME, r->id.name));
    TRY(add_column(doc, QUERY_NAMESPACE, r->id.ns));
    TRY(add_column(doc, QUERY_TITLE, record_text(r, "title")));
    TRY(add_column(doc, QUERY_DESCRIPTION, record_text(r, "description")));
    TRY(add_column(doc, QUERY_LICENSE, record_text(r, "license")));
    TRY(add_list_column(doc, QUERY_TAGS, r, record_tag));
    TRY(add_list_column(doc, QUERY_CATEGORIES, r, record_category));
    TRY(add_list_column(doc, QUERY_AUTHORS, r, record_author));
    TRY(add_lines(doc, r, record_tag, &tags));
    TRY(add_lines(doc, r, record_category, &categories));
    TRY(add_lines(doc, r, record_author, &authors));
    base = (const char *)buf_span(&doc->text).data;
    doc->row = (struct query_row){.ns = r->id.ns,
                                  .license = record_text(r, "license"),
                                  .tags = base + tags,
                                  .categories = base + categories,
                                  .authors = base + authors};
    return OK;
}

enum err query_doc_init(struct query_doc *doc, const struct record *r)
{
    enum err err;

    *doc = (struct query_doc){0};
    /* Folding may lengthen a letter by half, and lists are kept twice. */
    buf_init(&doc->text, 4 * RECORD_BYTES_MAX, r->bytes.mem);
    err = fill_doc(doc, r);
    if (err != OK)
        query_doc_release(doc);
    return err;
}

void query_doc_release(struct query_doc *doc)
{
    buf_release(&doc->text);
    *doc = (struct query_doc){0};
}

static bool column_has(const struct query_doc *doc, enum query_field field,
                       const struct query_term *t)
{
    const char *column =
        (const char *)buf_span(&doc->text).data + doc->column[field];
    size_t n = strlen(t->text);

    assert(buf_len(&doc->text) > 0 && column != NULL);
    for (const char *at = column; (at = strstr(at, t->text)) != NULL; at++)
        if (at[-1] == ' ' && (t->is_prefix || at[n] == ' '))
            return true;
    return false;
}

static bool doc_has(const struct query_doc *doc, const struct query_term *t)
{
    if (t->field != QUERY_ANY)
        return column_has(doc, t->field, t);
    for (int field = QUERY_ANY + 1; field < QUERY_FIELD_COUNT; field++)
        if (column_has(doc, (enum query_field)field, t))
            return true;
    return false;
}

bool query_matches(const struct query *q, const struct query_doc *doc)
{
    if (q->is_void)
        return false;
    for (size_t i = 0; i < q->term_count; i++)
        if (doc_has(doc, &q->terms[i]) == q->terms[i].is_not)
            return false;
    return query_filter_accepts(q, &doc->row);
}
