/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rank.h"

#include <stdlib.h>

#include "market/rank.h"
#include "store/listing.h"

/* What static quality may add to the text when the best are picked. */
#define STATIC_WEIGHT 0.35
/* The text score of a package that is what was asked for. */
#define TEXT_OF_EXACT 4.0

static int slot_cmp(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return (x->slot > y->slot) - (x->slot < y->slot);
}

/* ---- Collecting; the list is ascending by slot. ---- */

static struct candidate *find(struct ranking *r, int64_t slot)
{
    struct candidate key = {.slot = slot};

    return r->count ? bsearch(&key, r->list, r->count, sizeof(key), slot_cmp)
                    : NULL;
}

struct scan {
    const char *expression;
    const struct match_weights *weights;
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
                              .text = db_double(db, SQL_FIND_SCORED, 1)};

        scan->last = c.slot;
        if (known == 0 ||
            bsearch(&c, r->list, known, sizeof(c), slot_cmp) == NULL)
            r->list[r->count++] = c;
        TRY(db_next(db, SQL_FIND_SCORED, &has_row));
    }
    return OK;
}

static enum err scan(struct ranking *r, struct db *db, struct scan *scan)
{
    enum err err = scan_rows(r, db, scan);

    db_done(db, SQL_FIND_SCORED);
    return err;
}

static enum err scan_all(struct ranking *r, struct db *db,
                         const struct match *m)
{
    struct scan narrow = {match_narrow(m), &m->narrow_weights, 0, 0};
    struct scan wide = {match_wide(m), &m->weights, 0, 0};

    if (m->has_narrow)
        TRY(scan(r, db, &narrow));
    if (narrow.seen == RANK_SCAN_MAX)
        return OK;
    TRY(scan(r, db, &wide));
    r->is_whole = wide.seen < RANK_SCAN_MAX;
    r->rest_after = wide.last;
    if (narrow.seen > 0)
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    return OK;
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

static bool is_exact_match(const struct db *db, const struct query *q)
{
    const enum sql id = SQL_LISTING_EXACT;
    const struct query_row row = {.ns = db_text(db, id, 2),
                                  .license = db_text(db, id, 5),
                                  .tags = db_text(db, id, 6),
                                  .categories = db_text(db, id, 7),
                                  .authors = db_text(db, id, 8)};
    const char *title = db_text(db, id, 4);
    struct rank_facts facts;
    struct package_id name_only = {.ns = ""}, full = {.ns = ""};
    bool is_exact;

    snprintf(name_only.name, sizeof(name_only.name), "%s", db_text(db, id, 3));
    full = name_only;
    snprintf(full.ns, sizeof(full.ns), "%s", row.ns);
    rank_exact(q, &name_only, title, &facts);
    is_exact = facts.is_exact_name || facts.is_exact_title;
    rank_exact(q, &full, title, &facts);
    is_exact =
        is_exact || (facts.is_exact_name && parts_between_terms(q, row.ns));
    return is_exact && query_filter_accepts(q, &row) &&
           (!q->has_trust || (enum record_trust)db_int(db, id, 1) == q->trust);
}

/* Such a package is a candidate wherever it stands. */
static enum err add_exact(struct ranking *r, struct db *db,
                          const struct query *q, int64_t slot)
{
    struct candidate *known = find(r, slot);
    bool has_row;
    enum err err = OK;

    if (known != NULL) {
        known->is_exact = true;
        return OK;
    }
    err = db_query(db, SQL_LISTING_EXACT, &has_row, "i", slot);
    if (err == OK && has_row && is_exact_match(db, q)) {
        r->list[r->count++] = (struct candidate){
            .slot = slot, .text = TEXT_OF_EXACT, .is_exact = true};
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    }
    db_done(db, SQL_LISTING_EXACT);
    return err;
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

static enum err add_exacts(struct ranking *r, struct db *db,
                           const struct query *q)
{
    int64_t slots[RANK_EXACT_MAX];
    size_t names = 0, titles = 0;

    if (q->plain[0] == '\0')
        return OK;
    TRY(read_names(db, q->plain, slots, &names));
    for (size_t i = 0; i < names; i++)
        TRY(add_exact(r, db, q, slots[i]));
    TRY(read_slots(db, SQL_FIND_TITLE, q->plain, slots, &titles));
    for (size_t i = 0; i < titles; i++)
        TRY(add_exact(r, db, q, slots[i]));
    return OK;
}

/* ---- Ordering. ---- */

static double guess(const struct candidate *c)
{
    return c->text / (c->text + 1) +
           STATIC_WEIGHT * slot_quality(c->slot) / SLOT_QUALITY_MAX;
}

static int order_cmp(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->value < y->value || x->value > y->value)
        return x->value > y->value ? -1 : 1;
    return slot_cmp(a, b);
}

static enum err judge(struct candidate *c, struct db *db, const struct query *q,
                      wall_ms wall)
{
    struct rank_facts facts = {.text = c->text};
    struct package_id id = {0};
    bool has_row;
    enum err err = db_query(db, SQL_LISTING_GET, &has_row, "i", c->slot);

    if (err == OK && has_row) {
        facts.trust = (enum record_trust)db_int(db, SQL_LISTING_GET, 2);
        facts.updated_at = db_int(db, SQL_LISTING_GET, 4);
        facts.reputation = db_double(db, SQL_LISTING_GET, 6);
        snprintf(id.ns, sizeof(id.ns), "%s", db_text(db, SQL_LISTING_GET, 8));
        snprintf(id.name, sizeof(id.name), "%s",
                 db_text(db, SQL_LISTING_GET, 9));
        rank_exact(q, &id, db_text(db, SQL_LISTING_GET, 10), &facts);
        c->value = rank_score(&facts, wall);
    }
    db_done(db, SQL_LISTING_GET);
    return err;
}

static enum err order(struct ranking *r, struct db *db, const struct query *q,
                      wall_ms wall)
{
    for (size_t i = 0; i < r->count; i++) {
        struct candidate *c = &r->list[i];

        r->slots[i] = c->slot;
        c->rank = c->is_exact ? 0 : 1;
        c->value = guess(c);
    }
    if (r->count == 0)
        return OK;
    qsort(r->list, r->count, sizeof(*r->list), order_cmp);
    for (size_t i = 0; i < r->count && i < RANK_BEST_MAX; i++) {
        r->list[i].rank = 0;
        TRY(judge(&r->list[i], db, q, wall));
    }
    qsort(r->list, r->count < RANK_BEST_MAX ? r->count : RANK_BEST_MAX,
          sizeof(*r->list), order_cmp);
    return OK;
}

enum err ranking_build(struct ranking *r, struct db *db, const struct query *q,
                       const struct match *m, wall_ms wall)
{
    r->count = 0;
    r->is_whole = false;
    r->rest_after = 0;
    TRY(scan_all(r, db, m));
    TRY(add_exacts(r, db, q));
    return order(r, db, q, wall);
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
