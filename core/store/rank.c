/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rank.h"

#include <stdlib.h>

#include "market/rank.h"
#include "store/listing.h"

/* What static quality may add to the text when the best are picked. */
#define STATIC_WEIGHT 0.35

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

static enum err scan(struct ranking *r, struct db *db, const char *expression,
                     const struct match *m, size_t *seen, int64_t *last)
{
    size_t known = r->count;
    bool has_row;

    *seen = 0;
    *last = 0;
    TRY(db_query(db, SQL_FIND_SCORED, &has_row, "tsi", expression,
                 match_weights(m), (int64_t)RANK_SCAN_MAX));
    for (; has_row; (*seen)++) {
        struct candidate c = {.slot = db_int(db, SQL_FIND_SCORED, 0),
                              .text = db_double(db, SQL_FIND_SCORED, 1)};

        *last = c.slot;
        if (known == 0 ||
            bsearch(&c, r->list, known, sizeof(c), slot_cmp) == NULL)
            r->list[r->count++] = c;
        TRY(db_next(db, SQL_FIND_SCORED, &has_row));
    }
    return OK;
}

static enum err scan_all(struct ranking *r, struct db *db,
                         const struct match *m)
{
    size_t seen;
    int64_t last;
    enum err err = scan(r, db, match_narrow(m), m, &seen, &last);

    db_done(db, SQL_FIND_SCORED);
    TRY(err);
    r->rest_after = 0;
    if (seen == RANK_SCAN_MAX)
        return OK;
    err = scan(r, db, match_wide(m), m, &seen, &last);
    db_done(db, SQL_FIND_SCORED);
    TRY(err);
    r->is_whole = seen < RANK_SCAN_MAX;
    r->rest_after = last;
    if (r->count > 0)
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    return OK;
}

/* A package known by its name or title is a candidate wherever it stands, if it
 * matches at all. */
static enum err add_exact(struct ranking *r, struct db *db,
                          const struct match *m, int64_t slot)
{
    struct candidate *known = find(r, slot);
    bool has_row;
    enum err err;

    if (known != NULL) {
        known->is_exact = true;
        return OK;
    }
    err = db_query(db, SQL_FIND_ONE, &has_row, "tsi", match_wide(m),
                   match_weights(m), slot);
    if (err == OK && has_row) {
        r->list[r->count++] =
            (struct candidate){.slot = slot,
                               .text = db_double(db, SQL_FIND_ONE, 0),
                               .is_exact = true};
        qsort(r->list, r->count, sizeof(*r->list), slot_cmp);
    }
    db_done(db, SQL_FIND_ONE);
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
                           const struct query *q, const struct match *m)
{
    int64_t slots[RANK_EXACT_MAX];
    size_t names = 0, titles = 0;

    if (q->plain[0] == '\0')
        return OK;
    TRY(read_names(db, q->plain, slots, &names));
    for (size_t i = 0; i < names; i++)
        TRY(add_exact(r, db, m, slots[i]));
    TRY(read_slots(db, SQL_FIND_TITLE, q->plain, slots, &titles));
    for (size_t i = 0; i < titles; i++)
        TRY(add_exact(r, db, m, slots[i]));
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
    TRY(add_exacts(r, db, q, m));
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
