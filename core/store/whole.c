/* SPDX-License-Identifier: Apache-2.0 */
#include "store/whole.h"

#include <stdlib.h>

#include "store/score.h"

/* ---- The best. ---- */

struct best {
    struct candidate *heap; /* the worst of them first */
    size_t count, max;
    struct exacts exacts;
    struct candidate end; /* of the page before */
    bool has_end;
    struct posting_query lists;
};

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;

    *a = *b;
    *b = c;
}

static void sift_up(struct candidate *heap, size_t at)
{
    for (; at > 0; at = (at - 1) / 2) {
        size_t up = (at - 1) / 2;

        if (candidate_cmp(&heap[up], &heap[at]) >= 0)
            return;
        swap(&heap[up], &heap[at]);
    }
}

static void sift_down(struct candidate *heap, size_t count)
{
    for (size_t at = 0, down; (down = 2 * at + 1) < count; at = down) {
        if (down + 1 < count && candidate_cmp(&heap[down + 1], &heap[down]) > 0)
            down++;
        if (candidate_cmp(&heap[at], &heap[down]) >= 0)
            return;
        swap(&heap[at], &heap[down]);
    }
}

static uint8_t rank_of(const struct exacts *e, int64_t slot)
{
    for (size_t i = 0; i < e->count; i++)
        if (e->list[i].slot == slot)
            return e->list[i].rank;
    return RANK_TEXT;
}

static void see(void *ctx, int64_t slot, double text)
{
    struct best *b = ctx;
    struct candidate c = {slot, text, RANK_TEXT};

    if (b->exacts.count > 0)
        c.rank = rank_of(&b->exacts, slot);
    if (b->count == b->max && candidate_cmp(&c, &b->heap[0]) > 0)
        return;
    if (b->has_end && candidate_cmp(&c, &b->end) <= 0)
        return;
    if (b->count < b->max) {
        b->heap[b->count] = c;
        sift_up(b->heap, b->count++);
    } else {
        b->heap[0] = c;
        sift_down(b->heap, b->count);
    }
    if (b->count == b->max && b->heap[0].rank == RANK_TEXT)
        b->lists.floor = b->heap[0].text;
}

static int order_cmp(const void *a, const void *b)
{
    return candidate_cmp(a, b);
}

/* ---- What the lists in memory leave over. ---- */

struct search {
    struct finding *f;
    struct match_rest rest;
    struct posting_row rows[RANK_SCAN_MAX];
    struct posting_row named[2 * RANK_EXACT_MAX];
    bool is_too_much; /* more than |rows| */
    struct best best;
};

static enum err read_rows(struct search *s, struct db *db, bool has_row)
{
    struct posting_query *q = &s->best.lists;

    while (has_row) {
        s->is_too_much = q->row_count == RANK_SCAN_MAX;
        if (s->is_too_much)
            return OK;
        q->rows[q->row_count++] =
            (struct posting_row){.slot = db_int(db, SQL_FIND_SCORED, 0),
                                 .text = db_double(db, SQL_FIND_SCORED, 1)};
        TRY(db_next(db, SQL_FIND_SCORED, &has_row));
    }
    return OK;
}

static enum err read_rest(struct search *s)
{
    struct db *db = &s->f->reader->db;
    struct match_rest *rest = &s->rest;
    bool has_row;
    enum err err;

    if (rest->is_nothing || rest->is_odd)
        return OK;
    s->best.lists.has_rows = true;
    if (rest->is_word)
        rest->weights.of[1] = 1;
    err = db_query(db, SQL_FIND_SCORED, &has_row, "tsi",
                   (const char *)buf_span(&rest->expression).data,
                   weights_span(&rest->weights), (int64_t)RANK_SCAN_MAX + 1);
    if (err == OK)
        err = read_rows(s, db, has_row);
    db_done(db, SQL_FIND_SCORED);
    return err;
}

/* How rare each part is, all of it together 1. */
static void weigh(struct search *s)
{
    const struct query *q = s->f->query;
    struct match *m = &s->f->match;
    struct posting_query *lists = &s->best.lists;
    double sum = 0, rest = 1;

    if (s->rest.is_word) { /* as many as were found */
        m->terms[s->rest.word].rarity = rest =
            score_rarity((double)lists->row_count, (double)m->packages);
    }
    for (size_t i = 0; i < q->term_count; i++)
        sum += m->terms[i].rarity;
    for (size_t i = 0; i < lists->row_count; i++)
        lists->rows[i].text *= rest / sum;
    for (size_t i = 0; i < q->term_count; i++) {
        if (!m->terms[i].is_held)
            continue;
        lists->words[lists->count] = q->terms[i].text;
        lists->rarity[lists->count++] = m->terms[i].rarity / sum;
    }
    for (size_t i = 0; i < MATCH_FILTERS; i++) {
        if (!m->filters[i].is_held)
            continue;
        lists->words[lists->count] = m->tokens[i];
        lists->rarity[lists->count++] = 0;
    }
}

/* ---- Every match. ---- */

static void begin(struct best *b)
{
    b->count = 0;
    b->lists.floor = 0;
    b->lists.total = 0;
}

static void sort(struct best *b)
{
    if (b->count > 0)
        qsort(b->heap, b->count, sizeof(*b->heap), order_cmp);
}

static bool see_all(struct search *s)
{
    struct postings *p = s->f->reader->store->postings;
    bool did;

    begin(&s->best);
    postings_hold(p);
    did = postings_match(p, &s->best.lists, see, &s->best);
    postings_release(p);
    sort(&s->best);
    return did;
}

/* A page by the lists is followed by one that they cannot answer, for they were
 * thrown away: it takes its time. */
static enum err see_index(struct search *s)
{
    struct db *db = &s->f->reader->db;
    const struct match *m = &s->f->match;
    bool has_row;

    TRY(db_query(db, SQL_FIND_SCORED, &has_row, "tsi", match_wide(m),
                 weights_span(&m->weights), INT64_MAX));
    for (; has_row; s->best.lists.total++) {
        see(&s->best, db_int(db, SQL_FIND_SCORED, 0),
            db_double(db, SQL_FIND_SCORED, 1));
        TRY(db_next(db, SQL_FIND_SCORED, &has_row));
    }
    sort(&s->best);
    return OK;
}

static enum err see_slowly(struct search *s)
{
    enum err err;

    TRY(match_express(&s->f->match, s->f->query));
    begin(&s->best);
    err = see_index(s);
    db_done(&s->f->reader->db, SQL_FIND_SCORED);
    return err;
}

/* ---- A page. ---- */

static void take(struct finding *f, const struct best *b)
{
    for (size_t i = 0; i < b->count && f->count < f->want; i++) {
        const struct candidate *c = &b->heap[i];

        f->list[f->count++] = (struct found){.slot = c->slot,
                                             .text = c->text,
                                             .at = {.phase = CURSOR_WHOLE,
                                                    .rank = c->rank,
                                                    .value = c->text,
                                                    .slot = c->slot}};
    }
    f->total = b->lists.total;
    f->total_is_exact = true;
}

/* Facets are of the best, whichever page this is. */
static void note_for_facets(struct ranking *r, const struct best *b)
{
    r->count = b->count;
    for (size_t i = 0; i < b->count; i++)
        r->slots[i] = b->heap[i].slot;
}

static bool answers(const struct search *s)
{
    return s->f->match.held > 0 && !s->rest.is_odd && !s->is_too_much;
}

static enum err see_page(struct search *s, bool *did)
{
    *did = answers(s) && see_all(s);
    if (*did || s->f->start.phase != CURSOR_WHOLE)
        return OK;
    *did = true;
    return see_slowly(s);
}

static enum err find(struct search *s, bool *did)
{
    struct finding *f = s->f;
    struct ranking *r = &f->reader->ranking;
    struct best *b = &s->best;

    TRY(read_rest(s));
    TRY(exacts_read(&b->exacts, &f->reader->db, f->query));
    weigh(s);
    for (size_t i = 0; i < b->exacts.count; i++)
        s->named[i].slot = b->exacts.list[i].slot;
    b->lists.named_count = b->exacts.count;
    b->heap = r->list;
    if (f->wants_facets) {
        b->max = RANK_SCAN_MAX;
        TRY(see_page(s, did));
        note_for_facets(r, b);
    }
    if (!f->wants_facets || f->start.phase == CURSOR_WHOLE) {
        b->max = f->want;
        b->has_end = f->start.phase == CURSOR_WHOLE;
        b->end =
            (struct candidate){f->start.slot, f->start.value, f->start.rank};
        TRY(see_page(s, did));
    }
    if (*did)
        take(f, b);
    return OK;
}

enum err whole_find(struct finding *f, bool *did)
{
    struct search *s;
    enum err err;

    *did = false;
    if (!f->match.has_words ||
        (f->start.phase != CURSOR_START && f->start.phase != CURSOR_WHOLE) ||
        (f->match.held == 0 && f->start.phase != CURSOR_WHOLE))
        return OK;
    s = mem_try(&mem_libc, NULL, sizeof(*s));
    if (s == NULL)
        return ERR_NOMEM;
    s->f = f;
    memset(&s->best, 0, sizeof(s->best));
    s->best.lists.rows = s->rows;
    s->best.lists.named = s->named;
    s->best.lists.average = (double)f->match.weights.of[0];
    s->is_too_much = false;
    err = match_rest(&f->match, f->query, &s->rest);
    if (err == OK)
        err = find(s, did);
    buf_release(&s->rest.expression);
    mem_free(&mem_libc, s);
    return err;
}
