/* SPDX-License-Identifier: Apache-2.0 */
#include "market/query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "market/fold.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The first name of a field is the one query_text() writes. */
static const struct {
    const char *name;
    enum query_field field;
} fields[] = {
    {"name", QUERY_NAME},
    {"ns", QUERY_NAMESPACE},
    {"namespace", QUERY_NAMESPACE},
    {"title", QUERY_TITLE},
    {"tag", QUERY_TAGS},
    {"tags", QUERY_TAGS},
    {"category", QUERY_CATEGORIES},
    {"categories", QUERY_CATEGORIES},
    {"description", QUERY_DESCRIPTION},
    {"author", QUERY_AUTHORS},
    {"authors", QUERY_AUTHORS},
    {"license", QUERY_LICENSE},
};

const char *query_field_column(enum query_field field)
{
    static const char *const columns[QUERY_FIELD_COUNT] = {
        [QUERY_NAME] = "name",
        [QUERY_NAMESPACE] = "namespace",
        [QUERY_TITLE] = "title",
        [QUERY_TAGS] = "tags",
        [QUERY_CATEGORIES] = "categories",
        [QUERY_DESCRIPTION] = "description",
        [QUERY_AUTHORS] = "authors",
        [QUERY_LICENSE] = "license",
    };

    return columns[field];
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_utf8(struct span s)
{
    while (s.len > 0)
        if (utf8_next(&s) == UTF8_INVALID)
            return false;
    return true;
}

static bool peek(struct span s, char c)
{
    return s.len > 0 && s.data[0] == (uint8_t)c;
}

/* "field:" from the front of |s|, if it is one we know. */
static enum query_field take_field(struct span *s)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        size_t n = strlen(fields[i].name);
        char lower[16];

        if (s->len <= n || s->data[n] != ':')
            continue;
        (void)fold_letters(SPAN(s->data, n), lower, sizeof(lower));
        if (strcmp(lower, fields[i].name) == 0) {
            (void)span_take(s, n + 1);
            return fields[i].field;
        }
    }
    return QUERY_ANY;
}

/* What stands before the next space, or between quotes.  ERR_INVAL: a quote
 * that is not closed. */
static enum err take_text(struct span *s, struct span *text)
{
    bool is_quoted = peek(*s, '"');
    size_t n = 0;

    if (is_quoted)
        (void)span_take(s, 1);
    while (n < s->len &&
           (is_quoted ? s->data[n] != '"' : !is_space(s->data[n])))
        n++;
    if (is_quoted && n == s->len)
        return ERR_INVAL;
    *text = span_take(s, n);
    if (is_quoted)
        (void)span_take(s, 1);
    return OK;
}

/* A '*' behind the text: the last of a word's own bytes, or the next after a
 * closing quote. */
static bool take_star(struct span *s, struct span *text)
{
    if (text->len > 0 && text->data[text->len - 1] == '*') {
        text->len--;
        return true;
    }
    if (!peek(*s, '*'))
        return false;
    (void)span_take(s, 1);
    return true;
}

static enum err add_term(struct query *q, const struct query_term *like,
                         struct span text, struct problems *problems)
{
    char folded[2 * QUERY_BYTES_MAX];
    struct query_term term = *like;
    size_t n = fold_words(text, folded, sizeof(folded));

    if (n == 0)
        return OK; /* only punctuation */
    if (n > QUERY_TERM_MAX || q->term_count == QUERY_TERMS_MAX) {
        problems_add(problems, "/q",
                     "must have at most %d words, each of at most %d bytes",
                     QUERY_TERMS_MAX, QUERY_TERM_MAX);
        return ERR_INVAL;
    }
    memcpy(term.text, folded, n + 1);
    q->terms[q->term_count++] = term;
    return OK;
}

static bool has_word(struct span text)
{
    char folded[2 * QUERY_BYTES_MAX];

    return fold_words(text, folded, sizeof(folded)) > 0;
}

/* One slash with words on both sides, as packages are written. */
static bool split_pair(struct span text, struct span *ns, struct span *name)
{
    const uint8_t *slash = memchr(text.data, '/', text.len);

    if (slash == NULL)
        return false;
    *ns = SPAN(text.data, (size_t)(slash - text.data));
    *name = SPAN(slash + 1, text.len - ns->len - 1);
    return memchr(name->data, '/', name->len) == NULL && has_word(*ns) &&
           has_word(*name);
}

static enum err parse_term(struct span *s, struct query *q,
                           struct problems *problems)
{
    struct query_term term = {0}, first;
    struct span text, ns, name;
    bool is_quoted;

    if (peek(*s, '-')) {
        term.is_not = true;
        (void)span_take(s, 1);
    }
    term.field = take_field(s);
    is_quoted = peek(*s, '"');
    if (take_text(s, &text) != OK) {
        problems_add(problems, "/q", "has a quote that is not closed");
        return ERR_INVAL;
    }
    term.is_prefix = take_star(s, &text);
    /* Two words and no phrase: no text of a package holds both in a row. */
    if (is_quoted || term.is_not || term.field != QUERY_ANY || text.len == 0 ||
        !split_pair(text, &ns, &name))
        return add_term(q, &term, text, problems);
    first = term;
    first.is_prefix = false;
    TRY(add_term(q, &first, ns, problems));
    return add_term(q, &term, name, problems);
}

static void skip_spaces(struct span *s)
{
    while (s->len > 0 && is_space(s->data[0]))
        (void)span_take(s, 1);
}

/* The whole query as one spelling of a name, if it may be one. */
static void set_plain(struct query *q)
{
    size_t n = 0;

    for (size_t i = 0; i < q->term_count; i++) {
        const struct query_term *t = &q->terms[i];
        size_t len = strlen(t->text);

        if (t->field != QUERY_ANY || t->is_not || t->is_prefix ||
            n + len + 2 > sizeof(q->plain)) {
            q->plain[0] = '\0';
            return;
        }
        if (n > 0)
            q->plain[n++] = ' ';
        memcpy(q->plain + n, t->text, len + 1);
        n += len;
    }
}

static bool has_positive(const struct query *q)
{
    for (size_t i = 0; i < q->term_count; i++)
        if (!q->terms[i].is_not)
            return true;
    return false;
}

enum err query_parse(struct span text, struct query *q,
                     struct problems *problems)
{
    *q = (struct query){0};
    if (text.len > QUERY_BYTES_MAX || !is_utf8(text)) {
        problems_add(problems, "/q", "must be UTF-8 of at most %d bytes",
                     QUERY_BYTES_MAX);
        return ERR_INVAL;
    }
    skip_spaces(&text);
    q->is_void = text.len > 0;
    while (text.len > 0) {
        TRY(parse_term(&text, q, problems));
        skip_spaces(&text);
    }
    if (q->term_count == 0)
        return OK;
    q->is_void = false;
    if (!has_positive(q)) {
        problems_add(problems, "/q", "must have a word without a minus");
        return ERR_INVAL;
    }
    set_plain(q);
    return OK;
}

bool query_is_empty(const struct query *q)
{
    return q->term_count == 0 && !q->is_void;
}

/* ---- Filters. ---- */

static struct span trim(struct span s)
{
    skip_spaces(&s);
    while (s.len > 0 && is_space(s.data[s.len - 1]))
        s.len--;
    return s;
}

static enum err set_filter(char out[REQUEST_TEXT_MAX + 1], const char *pointer,
                           struct span value, struct problems *problems)
{
    char folded[2 * REQUEST_TEXT_MAX + 8];
    size_t n = 0;
    bool is_bad = value.len > REQUEST_TEXT_MAX || !is_utf8(value);

    for (size_t i = 0; i < value.len; i++)
        is_bad = is_bad || value.data[i] < 0x20;
    if (!is_bad)
        n = fold_letters(trim(value), folded, sizeof(folded));
    if (is_bad || n > REQUEST_TEXT_MAX) {
        problems_add(problems, pointer, "must be text of at most %d bytes",
                     REQUEST_TEXT_MAX);
        return ERR_INVAL;
    }
    memcpy(out, n ? folded : "", n + 1);
    return OK;
}

static enum err set_sort(struct query *q, struct span value,
                         struct problems *problems)
{
    static const char *const names[] = {
        [SORT_RELEVANCE] = "relevance",
        [SORT_RECENT] = "recent",
        [SORT_NAME] = "name",
        [SORT_DOWNLOADS] = "downloads",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_eq(value, span_str(names[i]))) {
            q->sort = (enum query_sort)i;
            return OK;
        }
    }
    problems_add(problems, "/sort",
                 "must be relevance, recent, name or downloads");
    return ERR_INVAL;
}

static enum err set_trust(struct query *q, struct span value,
                          struct problems *problems)
{
    q->has_trust = value.len > 0;
    if (value.len == 0 || record_trust_parse(value, &q->trust))
        return OK;
    problems_add(problems, "/trust",
                 "must be self-certified, trusted, pinned, signed or "
                 "unverified");
    return ERR_INVAL;
}

enum err query_set(struct query *q, const char *name, struct span value,
                   struct problems *problems)
{
    struct search_filter *f = &q->filter;

    if (strcmp(name, "sort") == 0)
        return set_sort(q, value, problems);
    if (strcmp(name, "trust") == 0)
        return set_trust(q, value, problems);
    if (strcmp(name, "category") == 0)
        return set_filter(f->category, "/category", value, problems);
    if (strcmp(name, "tag") == 0)
        return set_filter(f->tag, "/tag", value, problems);
    if (strcmp(name, "author") == 0)
        return set_filter(f->author, "/author", value, problems);
    if (strcmp(name, "license") == 0)
        return set_filter(f->license, "/license", value, problems);
    if (strcmp(name, "namespace") == 0)
        return set_filter(f->namespace, "/namespace", value, problems);
    return ERR_NOT_FOUND;
}

/* ---- Written again. ---- */

static int term_cmp(const void *a, const void *b)
{
    const struct query_term *x = a, *y = b;
    int order = (int)x->field - (int)y->field;

    if (order == 0)
        order = x->is_not - y->is_not;
    if (order == 0)
        order = x->is_prefix - y->is_prefix;
    return order ? order : strcmp(x->text, y->text);
}

/* Appends to |out| of |max| bytes; false, and nothing, if it does not fit. */
__attribute__((format(printf, 4, 5))) static bool
append(char *out, size_t *n, size_t max, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(out + *n, max - *n, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= max - *n) {
        out[*n] = '\0';
        return false;
    }
    *n += (size_t)len;
    return true;
}

const char *query_normalise(const struct query *q, char out[QUERY_NORMAL_MAX])
{
    const struct search_filter *f = &q->filter;
    struct query_term sorted[QUERY_TERMS_MAX];
    size_t n = 0;
    bool fits;

    memcpy(sorted, q->terms, sizeof(sorted));
    qsort(sorted, q->term_count, sizeof(*sorted), term_cmp);
    /* The words' order tells only whether they are a name's. */
    fits = append(out, &n, QUERY_NORMAL_MAX, "%d%s\x1f", q->is_void, q->plain);
    for (size_t i = 0; i < q->term_count; i++) {
        const struct query_term *t = &sorted[i];

        if (i > 0 && term_cmp(t, t - 1) == 0)
            continue;
        fits = append(out, &n, QUERY_NORMAL_MAX, "%d%s%s%s\x1f", (int)t->field,
                      t->is_not ? "-" : "", t->text, t->is_prefix ? "*" : "") &&
               fits;
    }
    fits = append(out, &n, QUERY_NORMAL_MAX,
                  "%s\x1f%s\x1f%s\x1f%s\x1f%s\x1f%d\x1f%d", f->category, f->tag,
                  f->author, f->license, f->namespace,
                  q->has_trust ? (int)q->trust : -1, (int)q->sort) &&
           fits;
    assert(fits);
    (void)fits;
    return out;
}

static const char *field_name(enum query_field field)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (fields[i].field == field)
            return fields[i].name;
    return "";
}

const char *query_text(const struct query *q, char out[REQUEST_QUERY_MAX + 1])
{
    size_t n = 0;

    out[0] = '\0';
    if (q->is_void)
        (void)append(out, &n, REQUEST_QUERY_MAX + 1, "*");
    for (size_t i = 0; i < q->term_count; i++) {
        const struct query_term *t = &q->terms[i];
        bool is_phrase = strchr(t->text, ' ') != NULL;

        /* What does not fit widens the answer; it is filtered here again. */
        (void)append(out, &n, REQUEST_QUERY_MAX + 1, "%s%s%s%s%s%s%s%s",
                     n ? " " : "", t->is_not ? "-" : "", field_name(t->field),
                     t->field == QUERY_ANY ? "" : ":", is_phrase ? "\"" : "",
                     t->text, is_phrase ? "\"" : "", t->is_prefix ? "*" : "");
    }
    return out;
}

size_t query_fold(struct span text, char *out, size_t max)
{
    return fold_words(text, out, max);
}
