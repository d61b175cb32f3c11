/* SPDX-License-Identifier: Apache-2.0 */
#include "store/match.h"

#include <math.h>

#include "store/listing.h"
#include "store/reader.h"

enum {
    EXPRESSION_MAX = 16384,
    RARE_PACKAGES = 30, /* what an uncounted word is taken to be in */
};

/* ---- The expression. ---- */

struct filter_token {
    char facet;
    const char *value;
};

/* No column is named: only `facets` has such tokens, and FTS5 is quick only
 * where it need not look which column a hit is in. */
static enum err put_token(struct buf *out, struct filter_token t,
                          bool *is_first)
{
    char token[FACET_TOKEN_MAX];

    if (t.value[0] == '\0')
        return OK;
    facet_token(t.facet, t.value, token);
    TRY(buf_printf(out, "%s\"%s\"", *is_first ? "" : " AND ", token));
    *is_first = false;
    return OK;
}

static enum err put_tokens(struct buf *out, const struct query *q,
                           bool *is_first)
{
    const struct search_filter *f = &q->filter;
    const struct filter_token tokens[] = {
        {'c', f->category},
        {'t', f->tag},
        {'a', f->author},
        {'l', f->license},
        {'n', f->namespace},
        {'r', q->has_trust ? record_trust_name(q->trust) : ""},
    };

    for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++)
        TRY(put_token(out, tokens[i], is_first));
    return OK;
}

static enum err put_words(struct buf *out, const struct query *q)
{
    struct query words = *q;

    memset(&words.filter, 0, sizeof(words.filter));
    TRY(buf_put_u8(out, '('));
    TRY(query_to_fts(&words, out));
    return buf_put_u8(out, ')');
}

static enum err put_wide(struct buf *out, const struct query *q)
{
    bool is_first = q->term_count == 0;

    if (!is_first)
        TRY(put_words(out, q));
    TRY(put_tokens(out, q, &is_first));
    return buf_put_u8(out, '\0');
}

static bool is_for_heads(const struct query_term *t)
{
    return t->field == QUERY_ANY && !t->is_not;
}

/* "foo bar" as the words' marked twins. */
static enum err put_head_phrase(struct buf *out, const struct query_term *t)
{
    const char *text = t->text;

    TRY(buf_put_u8(out, '"'));
    while (*text) {
        size_t len = strcspn(text, " ");

        TRY(buf_put_str(out, HEAD_MARK));
        TRY(buf_put(out, SPAN(text, len)));
        TRY(buf_put_u8(out, ' '));
        text += len + (text[len] != '\0');
    }
    return buf_put_str(out, t->is_prefix ? "\" *" : "\"");
}

static enum err put_narrow(struct buf *out, const struct query *q)
{
    bool is_first = true, is_all = true;

    for (size_t i = 0; i < q->term_count; i++) {
        if (!is_for_heads(&q->terms[i])) {
            is_all = false;
            continue;
        }
        TRY(buf_put_str(out, is_first ? "" : " AND "));
        TRY(put_head_phrase(out, &q->terms[i]));
        is_first = false;
    }
    if (!is_all) {
        TRY(buf_put_str(out, " AND "));
        TRY(put_words(out, q));
    }
    TRY(put_tokens(out, q, &is_first));
    return buf_put_u8(out, '\0');
}

/* ---- The weights. ---- */

static bool has_filter(const struct query *q)
{
    const struct search_filter *f = &q->filter;

    return f->category[0] || f->tag[0] || f->author[0] || f->license[0] ||
           f->namespace[0] || q->has_trust;
}

static bool is_one_word(const struct query *q)
{
    const struct query_term *t = &q->terms[0];

    return q->term_count == 1 && t->field == QUERY_ANY && !t->is_prefix &&
           strchr(t->text, ' ') == NULL && !has_filter(q);
}

/* In how many packages is the rarest of the term's words? */
static enum err count_packages(struct db *db, const struct query_term *t,
                               int64_t *out)
{
    char word[QUERY_TERM_MAX + 1];
    int64_t packages;

    *out = INT64_MAX;
    for (const char *at = t->text; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");

        memcpy(word, at, len);
        word[len] = '\0';
        at += len;
        TRY(db_get_int(db, SQL_COMMON_GET, RARE_PACKAGES, &packages, "t",
                       word));
        if (packages < *out)
            *out = packages;
    }
    return OK;
}

static float rarity(int64_t packages, uint64_t of)
{
    double n = (double)of, df = (double)packages;

    if (df > n)
        df = n;
    return (float)log(1 + (n - df + 0.5) / (df + 0.5));
}

static enum err put_weights(struct match *m, struct db *db,
                            const struct query *q, uint64_t packages)
{
    struct match_weights *w = &m->weights;
    float sum = 0;

    for (size_t i = 0; i < q->term_count; i++) {
        int64_t count;

        if (q->terms[i].is_not)
            continue;
        TRY(count_packages(db, &q->terms[i], &count));
        if (count > READER_COUNT_MAX && is_one_word(q))
            m->packages_known = (uint64_t)count;
        w->of[w->count] = rarity(count, packages);
        sum += w->of[w->count++];
    }
    for (size_t i = 0; i < w->count && sum > 0; i++)
        w->of[i] /= sum;
    return OK;
}

/* In the narrow expression the marked words come first, then all positive
 * terms again: of those, the ones with a column of their own count. */
static void put_narrow_weights(struct match *m, const struct query *q)
{
    struct match_weights *to = &m->narrow_weights;

    for (size_t i = 0, nth = 0; i < q->term_count; i++) {
        if (is_for_heads(&q->terms[i]))
            to->of[to->count++] = m->weights.of[nth];
        nth += !q->terms[i].is_not;
    }
    m->has_narrow = to->count > 0;
    for (size_t i = 0, nth = 0; i < q->term_count; i++) {
        if (q->terms[i].is_not)
            continue;
        to->of[to->count++] =
            is_for_heads(&q->terms[i]) ? 0 : m->weights.of[nth];
        nth++;
    }
}

/* ---- Both. ---- */

static enum err fill(struct match *m, struct db *db, const struct query *q,
                     uint64_t packages)
{
    if (m->is_nothing || m->is_all)
        return OK;
    TRY(put_weights(m, db, q, packages));
    put_narrow_weights(m, q);
    TRY(put_wide(&m->wide, q));
    return m->has_narrow ? put_narrow(&m->narrow, q) : OK;
}

enum err match_init(struct match *m, struct db *db, const struct query *q,
                    uint64_t packages)
{
    enum err err;

    *m = (struct match){.is_nothing = q->is_void,
                        .has_words = q->term_count > 0,
                        .is_all = q->term_count == 0 && !has_filter(q)};
    buf_init(&m->wide, EXPRESSION_MAX, &mem_libc);
    buf_init(&m->narrow, EXPRESSION_MAX, &mem_libc);
    err = fill(m, db, q, packages);
    if (err != OK)
        match_release(m);
    return err;
}

void match_release(struct match *m)
{
    buf_release(&m->wide);
    buf_release(&m->narrow);
}
