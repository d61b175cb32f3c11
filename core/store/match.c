/* SPDX-License-Identifier: Apache-2.0 */
#include "store/match.h"

#include <math.h>

#include "store/listing.h"

enum {
    EXPRESSION_MAX = 16384,
    RARE_PACKAGES = 30, /* what an uncounted word is taken to be in */
};

/* ---- The expression. ---- */

struct filter_token {
    char facet;
    const char *value;
};

static enum err put_token(struct buf *out, struct filter_token t,
                          bool *is_first)
{
    char token[FACET_TOKEN_MAX];

    if (t.value[0] == '\0')
        return OK;
    facet_token(t.facet, t.value, token);
    TRY(buf_printf(out, "%s{facets} : \"%s\"", *is_first ? "" : " AND ",
                   token));
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

static enum err put_expression(struct buf *out, const struct query *q,
                               const char *columns)
{
    bool is_first = q->term_count == 0;
    struct query words = *q;

    memset(&words.filter, 0, sizeof(words.filter));
    if (!is_first) {
        TRY(buf_put_u8(out, '('));
        TRY(query_to_fts_in(&words, columns, out));
        TRY(buf_put_u8(out, ')'));
    }
    TRY(put_tokens(out, q, &is_first));
    return buf_put_u8(out, '\0');
}

/* ---- The weights. ---- */

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
    float sum = 0;

    for (size_t i = 0; i < q->term_count; i++) {
        int64_t count;

        if (q->terms[i].is_not)
            continue;
        TRY(count_packages(db, &q->terms[i], &count));
        m->weights[m->weight_count] = rarity(count, packages);
        sum += m->weights[m->weight_count++];
    }
    for (size_t i = 0; i < m->weight_count && sum > 0; i++)
        m->weights[i] /= sum;
    return OK;
}

/* ---- Both. ---- */

static bool has_filter(const struct query *q)
{
    const struct search_filter *f = &q->filter;

    return f->category[0] || f->tag[0] || f->author[0] || f->license[0] ||
           f->namespace[0] || q->has_trust;
}

static enum err fill(struct match *m, struct db *db, const struct query *q,
                     uint64_t packages)
{
    if (m->is_nothing || m->is_all)
        return OK;
    TRY(put_expression(&m->wide, q, NULL));
    TRY(put_expression(&m->narrow, q, "name title"));
    return put_weights(m, db, q, packages);
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
