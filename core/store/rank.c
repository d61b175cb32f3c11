/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rank.h"

#include <stdlib.h>

#include "market/rank.h"
#include "store/listing.h"
#include "store/score.h"

/* The text score of a package that is what was asked for, and stands behind
 * the candidates. */
#define TEXT_OF_EXACT SCORE_MAX

static int slot_cmp(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* ---- Collecting; the list is ascending by slot. ---- */

struct scan {
    const char *expression;
    const struct match_weights *weights;
    bool is_wide;
    size_t seen;
    int64_t last;
};

static enum err scan_rows(struct ranking *r, struct db *db, struct scan *scan)
{
    size_t known = r->count;
    bool has_row;

    TRY(db_query(db, SQL_FIND_SCORED, &has_row, "tsi", scan->expression,
                 weights_span(scan->weights), (int64_t)RANK_SCAN_MAX));
    for (; has_row; scan->seen++) {
        struct candidate c = {.slot = db_int(db, SQL_FIND_SCORED, 0),
                              .text = db_double(db, SQL_FIND_SCORED, 1),
                              .rank = RANK_TEXT};
        struct candidate *same =
            known ? bsearch(&c, r->list, known, sizeof(c), slot_cmp) : NULL;

        scan->last = c.slot;
        if (same == NULL)
            r->list[r->count++] = c;
        else if (scan->is_wide)
            same->text = c.text;
        TRY(db_next(db, SQL_FIND_SCORED, &has_row));
    }
    return OK;
}

static enum err scan(struct ranking *r, struct db *db, struct scan *scan)
{
    enum err err = scan_rows(r, db, scan);

    db_done(db, SQL_FIND_SCORED);
    if (r->count > 0)
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    return err;
}

/* The words in name or title have lists of their own, and a few of those are
 * worth more than as many of the rest. */
static enum err scan_all(struct ranking *r, struct db *db,
                         const struct match *m)
{
    struct scan narrow = {match_narrow(m), &m->narrow_weights, false, 0, 0};
    struct scan wide = {match_wide(m), &m->weights, true, 0, 0};
    bool is_common = m->rarest > RANK_SCAN_MAX;

    if (m->has_narrow && is_common)
        TRY(scan(r, db, &narrow));
    if (narrow.seen == RANK_SCAN_MAX)
        return OK;
    TRY(scan(r, db, &wide));
    r->is_whole = wide.seen < RANK_SCAN_MAX;
    r->rest_after = wide.last;
    if (r->is_whole || !m->has_narrow || is_common)
        return OK;
    return scan(r, db, &narrow);
}

/* ---- Known by name or title. ---- */

/* "acme tool" is acme/tool only if no phrase of the query spans the two parts:
 * their words are in different columns. */
static bool parts_between_terms(const struct query *q, const char *ns)
{
    char folded[PACKAGE_NAME_MAX + 1];
    size_t want = query_fold(span_str(ns), folded, sizeof(folded)), len = 0;

    for (size_t i = 0; i < q->term_count && len < want; i++)
        len += strlen(q->terms[i].text) + (i > 0);
    return len == want;
}

/* Is the listing at hand named (RANK_NAME) or titled (RANK_TITLE) as the query
 * says, and let through by its filters? */
static uint8_t exact_rank(const struct db *db, const struct query *q)
{
    const enum sql id = SQL_LISTING_EXACT;
    const struct query_row row = {.ns = db_text(db, id, 2),
                                  .license = db_text(db, id, 5),
                                  .tags = db_text(db, id, 6),
                                  .categories = db_text(db, id, 7),
                                  .authors = db_text(db, id, 8)};
    const char *title = db_text(db, id, 4);
    struct package_id name_only = {.ns = ""}, full;
    struct rank_facts facts, full_facts;

    snprintf(name_only.name, sizeof(name_only.name), "%s", db_text(db, id, 3));
    full = name_only;
    snprintf(full.ns, sizeof(full.ns), "%s", row.ns);
    if (!query_filter_accepts(q, &row) ||
        (q->has_trust && (enum record_trust)db_int(db, id, 1) != q->trust))
        return RANK_TEXT;
    rank_exact(q, &name_only, title, &facts);
    rank_exact(q, &full, title, &full_facts);
    if (facts.is_exact_name ||
        (full_facts.is_exact_name && parts_between_terms(q, row.ns)))
        return RANK_NAME;
    return facts.is_exact_title ? RANK_TITLE : RANK_TEXT;
}

static enum err put_exact(struct exacts *e, struct db *db,
                          const struct query *q, int64_t slot)
{
    uint8_t rank = RANK_TEXT;
    bool has_row;
    enum err err;

    for (size_t i = 0; i < e->count; i++)
        if (e->list[i].slot == slot)
            return OK;
    err = db_query(db, SQL_LISTING_EXACT, &has_row, "i", slot);
    if (err == OK && has_row)
        rank = exact_rank(db, q);
    db_done(db, SQL_LISTING_EXACT);
    if (err != OK || rank == RANK_TEXT)
        return err;
    e->list[e->count].slot = slot;
    e->list[e->count++].rank = rank;
    return OK;
}

static enum err read_slots(struct db *db, enum sql id, const char *folded,
                           int64_t *slots, size_t *count)
{
    bool has_row;
    enum err err = db_query(db, id, &has_row, "ii", text_key(folded),
                            (int64_t)RANK_EXACT_MAX - (int64_t)*count);

    while (err == OK && has_row && *count < RANK_EXACT_MAX) {
        slots[(*count)++] = db_int(db, id, 0);
        err = db_next(db, id, &has_row);
    }
    db_done(db, id);
    return err;
}

/* The name may be all of the query, or what follows its namespace. */
static enum err read_names(struct db *db, const char *plain, int64_t *slots,
                           size_t *count)
{
    enum { SPLITS_MAX = 4 };

    TRY(read_slots(db, SQL_FIND_NAME, plain, slots, count));
    for (int i = 0; i < SPLITS_MAX; i++) {
        plain = strchr(plain, ' ');
        if (plain == NULL)
            break;
        TRY(read_slots(db, SQL_FIND_NAME, ++plain, slots, count));
    }
    return OK;
}

enum err exacts_read(struct exacts *e, struct db *db, const struct query *q)
{
    int64_t slots[RANK_EXACT_MAX];
    size_t names = 0, titles = 0;

    e->count = 0;
    if (q->plain[0] == '\0')
        return OK;
    TRY(read_names(db, q->plain, slots, &names));
    for (size_t i = 0; i < names; i++)
        TRY(put_exact(e, db, q, slots[i]));
    TRY(read_slots(db, SQL_FIND_TITLE, q->plain, slots, &titles));
    for (size_t i = 0; i < titles; i++)
        TRY(put_exact(e, db, q, slots[i]));
    return OK;
}

/* Such a package is a candidate wherever it stands. */
static enum err add_exacts(struct ranking *r, struct db *db,
                           const struct query *q)
{
    struct exacts e;
    size_t known = r->count;

    TRY(exacts_read(&e, db, q));
    for (size_t i = 0; i < e.count; i++) {
        struct candidate c = {e.list[i].slot, TEXT_OF_EXACT, e.list[i].rank};
        struct candidate *same =
            known ? bsearch(&c, r->list, known, sizeof(c), slot_cmp) : NULL;

        if (same != NULL)
            same->rank = c.rank;
        else
            r->list[r->count++] = c;
    }
    if (r->count > known)
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    return OK;
}

/* ---- Ordering. ---- */

static void note_slots(struct ranking *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->slots[i] = r->list[i].slot;
}

int candidate_cmp(const struct candidate *a, const struct candidate *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->text < b->text || a->text > b->text)
        return a->text > b->text ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

static int order_cmp(const void *a, const void *b)
{
    return candidate_cmp(a, b);
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate c = *a;

    *a = *b;
    *b = c;
}

/* Split around a middle one: what is better stands before it. */
static size_t split(struct candidate *list, size_t count)
{
    struct candidate pivot = list[count / 2];
    size_t better = 0;

    swap(&list[count / 2], &list[count - 1]);
    for (size_t i = 0; i + 1 < count; i++)
        if (candidate_cmp(&list[i], &pivot) < 0)
            swap(&list[i], &list[better++]);
    swap(&list[better], &list[count - 1]);
    return better;
}

/* Hoare's selection: sorting them all would cost as much as finding them. */
size_t ranking_select(struct candidate *list, size_t count, size_t k)
{
    size_t from = 0, to = count;

    if (k > count)
        k = count;
    while (to - from > 1 && k < count) {
        size_t at = from + split(list + from, to - from);

        if (at == k)
            break;
        if (at < k)
            from = at + 1;
        else
            to = at;
    }
    if (k > 0)
        qsort(list, k, sizeof(*list), order_cmp);
    return k;
}

enum err ranking_build(struct ranking *r, struct db *db, const struct query *q,
                       const struct match *m)
{
    r->count = 0;
    r->is_whole = false;
    r->rest_after = 0;
    TRY(scan_all(r, db, m));
    TRY(add_exacts(r, db, q));
    note_slots(r);
    return OK;
}

static int int64_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

bool ranking_has(const struct ranking *r, int64_t slot)
{
    return r->count > 0 &&
           bsearch(&slot, r->slots, r->count, sizeof(slot), int64_cmp) != NULL;
}
