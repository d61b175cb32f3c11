/* SPDX-License-Identifier: Apache-2.0 */
#include "store/match.h"

#include "store/postings.h"
#include "store/reader.h"
#include "store/score.h"

enum {
    EXPRESSION_MAX = 16384,
    RARE_PACKAGES = 30,    /* what a prefix is taken to be in */
    EXACT_PACKAGES = 1000, /* the index is not asked about commoner words */
};

/* ---- The expression. ---- */

/* No column is named: only `facets` has such tokens, and FTS5 is quick only
 * where it need not look which column a hit is in. */
static enum err put_tokens(const struct match *m, bool with_held,
                           struct buf *out, bool *is_first)
{
    for (size_t i = 0; i < MATCH_FILTERS; i++) {
        if (m->tokens[i][0] == '\0' || (m->filters[i].is_held && !with_held))
            continue;
        TRY(buf_printf(out, "%s\"%s\"", *is_first ? "" : " AND ",
                       m->tokens[i]));
        *is_first = false;
    }
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

static enum err put_wide(const struct match *m, bool with_held, struct buf *out,
                         const struct query *q)
{
    bool is_first = q->term_count == 0;

    if (!is_first)
        TRY(put_words(out, q));
    TRY(put_tokens(m, with_held, out, &is_first));
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

static enum err put_narrow(const struct match *m, struct buf *out,
                           const struct query *q)
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
    TRY(put_tokens(m, true, out, &is_first));
    return buf_put_u8(out, '\0');
}

/* ---- The weights. ---- */

static void put_filters(struct match *m, const struct query *q)
{
    const struct search_filter *f = &q->filter;
    const struct {
        char facet;
        const char *value;
    } filters[MATCH_FILTERS] = {
        {'c', f->category},
        {'t', f->tag},
        {'a', f->author},
        {'l', f->license},
        {'n', f->namespace},
        {'r', q->has_trust ? record_trust_name(q->trust) : ""},
    };

    for (size_t i = 0; i < MATCH_FILTERS; i++)
        if (filters[i].value[0] != '\0')
            facet_token(filters[i].facet, filters[i].value, m->tokens[i]);
}

static bool has_filter(const struct match *m)
{
    for (size_t i = 0; i < MATCH_FILTERS; i++)
        if (m->tokens[i][0] != '\0')
            return true;
    return false;
}

static bool is_word(const struct query_term *t)
{
    return t->field == QUERY_ANY && !t->is_not && !t->is_prefix &&
           strchr(t->text, ' ') == NULL;
}

static void find_held(struct match *m, struct match_part *part,
                      struct postings *postings, const char *word)
{
    part->packages = postings_packages(postings, word);
    part->is_held = part->packages > 0;
    m->held += part->is_held;
}

/* What lists in memory can answer. */
static void find_all_held(struct match *m, const struct query *q,
                          struct postings *postings)
{
    postings_hold(postings);
    for (size_t i = 0; i < q->term_count; i++)
        if (is_word(&q->terms[i]))
            find_held(m, &m->terms[i], postings, q->terms[i].text);
    for (size_t i = 0; i < MATCH_FILTERS; i++)
        if (m->tokens[i][0] != '\0')
            find_held(m, &m->filters[i], postings, m->tokens[i]);
    postings_release(postings);
}

/* The index tells exactly, and takes its time for a common word. */
static enum err count_word(struct db *db, const char *word, bool exactly,
                           int64_t *out)
{
    TRY(db_get_int(db, SQL_COMMON_GET, 0, out, "t", word));
    if (*out > EXACT_PACKAGES || !exactly)
        return OK;
    return db_get_int(db, SQL_VOCABULARY_GET, 0, out, "t", word);
}

/* In how many packages is the rarest of the term's words? */
static enum err count_packages(struct db *db, const struct query_term *t,
                               bool exactly, int64_t *out)
{
    char word[QUERY_TERM_MAX + 1];
    int64_t packages;

    *out = t->is_prefix ? RARE_PACKAGES : INT64_MAX;
    for (const char *at = t->text; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");

        memcpy(word, at, len);
        word[len] = '\0';
        at += len;
        TRY(count_word(db, word, exactly, &packages));
        if (packages < *out && (*at != '\0' || !t->is_prefix))
            *out = packages;
    }
    return OK;
}

/* How rare a word is counts beside others only, and what is found of the one
 * word that is not in memory tells, too. */
static bool must_count(const struct match *m, const struct query *q)
{
    size_t unheld = 0;

    for (size_t i = 0; i < q->term_count; i++)
        unheld += !m->terms[i].is_held;
    return q->term_count > 1 && (unheld > 1 || has_filter(m));
}

static enum err weigh_term(struct match *m, struct db *db,
                           const struct query *q, size_t nth,
                           const struct match_facts *facts)
{
    struct match_part *part = &m->terms[nth];
    int64_t count;

    if (!part->is_held) {
        TRY(count_packages(db, &q->terms[nth], must_count(m, q), &count));
        part->packages = (uint64_t)count;
    }
    part->rarity =
        score_rarity((double)part->packages, (double)facts->packages);
    if (part->packages < m->rarest && !q->terms[nth].is_prefix)
        m->rarest = part->packages;
    return OK;
}

static enum err put_weights(struct match *m, struct db *db,
                            const struct query *q,
                            const struct match_facts *facts)
{
    struct match_weights *w = &m->weights;
    double sum = 0;

    w->of[0] = m->narrow_weights.of[0] = (float)facts->average;
    m->packages = facts->packages;
    m->rarest = UINT64_MAX;
    for (size_t i = 0; i < q->term_count; i++) {
        if (q->terms[i].is_not)
            continue;
        TRY(weigh_term(m, db, q, i, facts));
        sum += m->terms[i].rarity;
    }
    for (size_t i = 0; i < q->term_count; i++) {
        if (q->terms[i].is_not)
            continue;
        w->of[++w->count] = (float)(m->terms[i].rarity / sum);
    }
    if (q->term_count == 1 && is_word(&q->terms[0]) && !has_filter(m) &&
        m->rarest > READER_COUNT_MAX)
        m->packages_known = m->rarest;
    return OK;
}

/* In the narrow expression the marked words come first, then all positive
 * terms again: of those, the ones with a column of their own count. */
static void put_narrow_weights(struct match *m, const struct query *q)
{
    struct match_weights *to = &m->narrow_weights;

    for (size_t i = 0, nth = 1; i < q->term_count; i++) {
        if (is_for_heads(&q->terms[i]))
            to->of[++to->count] = m->weights.of[nth];
        nth += !q->terms[i].is_not;
    }
    m->has_narrow = to->count > 0;
    for (size_t i = 0, nth = 1; i < q->term_count; i++) {
        if (q->terms[i].is_not)
            continue;
        to->of[++to->count] =
            is_for_heads(&q->terms[i]) ? 0 : m->weights.of[nth];
        nth++;
    }
}

/* ---- Both. ---- */

enum err match_express(struct match *m, const struct query *q)
{
    if (m->is_nothing || m->is_all || buf_len(&m->wide) > 0)
        return OK;
    put_narrow_weights(m, q);
    TRY(put_wide(m, true, &m->wide, q));
    return m->has_narrow ? put_narrow(m, &m->narrow, q) : OK;
}

enum err match_init(struct match *m, struct db *db, const struct query *q,
                    const struct match_facts *facts)
{
    enum err err = OK;

    memset(m, 0, sizeof(*m));
    m->is_nothing = q->is_void;
    m->has_words = q->term_count > 0;
    put_filters(m, q);
    m->is_all = !m->has_words && !has_filter(m);
    buf_init(&m->wide, EXPRESSION_MAX, &mem_libc);
    buf_init(&m->narrow, EXPRESSION_MAX, &mem_libc);
    if (m->is_nothing || !m->has_words)
        return OK;
    if (facts->postings != NULL)
        find_all_held(m, q, facts->postings);
    err = put_weights(m, db, q, facts);
    if (err != OK)
        match_release(m);
    return err;
}

void match_release(struct match *m)
{
    buf_release(&m->wide);
    buf_release(&m->narrow);
}

/* ---- What lists in memory leave over. ---- */

static void keep_unheld(const struct match *m, const struct query *q,
                        struct query *left, struct match_rest *rest)
{
    size_t words = 0, nots = 0;

    left->term_count = 0;
    rest->weights.of[0] = m->weights.of[0];
    for (size_t i = 0; i < q->term_count; i++) {
        if (m->terms[i].is_held)
            continue;
        left->terms[left->term_count++] = q->terms[i];
        if (q->terms[i].is_not) {
            nots++;
            continue;
        }
        words++;
        rest->word = i;
        rest->weights.of[++rest->weights.count] = (float)m->terms[i].rarity;
    }
    rest->is_odd = words == 0 && nots > 0;
    rest->is_word = words == 1 && nots == 0 && is_word(&q->terms[rest->word]);
}

enum err match_rest(const struct match *m, const struct query *q,
                    struct match_rest *rest)
{
    struct query left = *q;
    bool has_tokens = false;

    memset(rest, 0, sizeof(*rest));
    buf_init(&rest->expression, EXPRESSION_MAX, &mem_libc);
    keep_unheld(m, q, &left, rest);
    for (size_t i = 0; i < MATCH_FILTERS; i++)
        has_tokens |= m->tokens[i][0] != '\0' && !m->filters[i].is_held;
    rest->is_nothing = left.term_count == 0 && !has_tokens;
    rest->is_word &= !has_tokens;
    if (rest->is_nothing || rest->is_odd)
        return OK;
    return put_wide(m, false, &rest->expression, &left);
}
