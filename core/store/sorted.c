/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "store/find.h"

/* Pages by name, time or downloads.
 *
 *      no words, no filters   walk the order's index
 *      few matches            fetch the key of each and sort
 *      many                   walk the index, keeping what matches: the more
 *                             match, the sooner a page is full             */
enum {
    SORT_FEW = 1000,
    SORT_KNOWN_MAX = 20000, /* matches remembered; beyond, each is asked for */
};

struct sort_key {
    int64_t number;       /* SORT_RECENT, SORT_DOWNLOADS: descending */
    struct package_id id; /* SORT_NAME: by name, then namespace */
    int64_t slot;
};

static int key_cmp(const struct sort_key *a, const struct sort_key *b)
{
    int order = strcmp(a->id.name, b->id.name);

    if (a->number != b->number)
        return a->number > b->number ? -1 : 1;
    if (order == 0)
        order = strcmp(a->id.ns, b->id.ns);
    if (order != 0)
        return order;
    return (a->slot < b->slot) - (a->slot > b->slot);
}

static int key_qsort_cmp(const void *a, const void *b)
{
    return key_cmp(a, b);
}

static void take(struct finding *f, const struct sort_key *key)
{
    f->list[f->count++] = (struct found){.slot = key->slot,
                                         .at = {.phase = CURSOR_SORTED,
                                                .key = key->number,
                                                .id = key->id,
                                                .slot = key->slot}};
}

static void set_id(struct package_id *id, const char *ns, const char *name)
{
    memset(id, 0, sizeof(*id));
    snprintf(id->ns, sizeof(id->ns), "%s", ns);
    snprintf(id->name, sizeof(id->name), "%s", name);
}

/* ---- The index of the order. ---- */

static enum sql walk_of(enum query_sort sort)
{
    switch (sort) {
    case SORT_NAME:
        return SQL_LISTING_BY_NAME;
    case SORT_DOWNLOADS:
        return SQL_LISTING_BY_DOWNLOADS;
    case SORT_RECENT:
    case SORT_RELEVANCE:
        break;
    }
    return SQL_LISTING_BY_RECENT;
}

static enum err walk_start(struct finding *f, enum sql id, bool *has_row)
{
    struct db *db = &f->reader->db;
    bool is_first = f->start.phase != CURSOR_SORTED;

    if (f->query->sort == SORT_NAME)
        return db_query(db, id, has_row, "tt", f->start.id.name,
                        f->start.id.ns);
    return db_query(db, id, has_row, "ii", is_first ? INT64_MAX : f->start.key,
                    is_first ? INT64_MAX : f->start.slot);
}

static void walk_key(struct finding *f, enum sql id, struct sort_key *key)
{
    const struct db *db = &f->reader->db;

    *key = (struct sort_key){.slot = db_int(db, id, 0)};
    if (f->query->sort == SORT_NAME)
        set_id(&key->id, db_text(db, id, 1), db_text(db, id, 2));
    else
        key->number = db_int(db, id, 1);
}

/* ---- What matches. ---- */

struct known {
    int64_t *slots; /* ascending */
    size_t count;
    bool is_whole;
};

static enum err read_known(struct db *db, bool has_row, struct known *k)
{
    while (has_row && k->count < SORT_KNOWN_MAX) {
        k->slots[k->count++] = db_int(db, SQL_FIND_AFTER, 0);
        TRY(db_next(db, SQL_FIND_AFTER, &has_row));
    }
    k->is_whole = !has_row;
    return OK;
}

static enum err find_known(struct finding *f, struct known *k)
{
    struct db *db = &f->reader->db;
    bool has_row;
    enum err err;

    k->slots = mem_try(&mem_libc, NULL, SORT_KNOWN_MAX * sizeof(*k->slots));
    if (k->slots == NULL)
        return ERR_NOMEM;
    err = db_query(db, SQL_FIND_AFTER, &has_row, "ti", match_wide(&f->match),
                   (int64_t)0);
    if (err == OK)
        err = read_known(db, has_row, k);
    db_done(db, SQL_FIND_AFTER);
    return err;
}

static int slot_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static enum err matches(struct finding *f, const struct known *k, int64_t slot,
                        bool *out)
{
    struct db *db = &f->reader->db;
    enum err err;

    *out = f->match.is_all ||
           (k->count > 0 &&
            bsearch(&slot, k->slots, k->count, sizeof(slot), slot_cmp) != NULL);
    if (*out || k->is_whole || (k->count > 0 && slot < k->slots[k->count - 1]))
        return OK;
    err = db_query(db, SQL_FIND_ONE, out, "tsi", match_wide(&f->match),
                   weights_span(&f->match.weights), slot);
    db_done(db, SQL_FIND_ONE);
    return err;
}

/* ---- Both together. ---- */

static enum err walk_rows(struct finding *f, enum sql id, bool has_row,
                          const struct known *k)
{
    struct sort_key key;
    bool is_match;

    while (has_row && f->count < f->want) {
        walk_key(f, id, &key);
        TRY(matches(f, k, key.slot, &is_match));
        if (is_match)
            take(f, &key);
        TRY(db_next(&f->reader->db, id, &has_row));
    }
    return OK;
}

static enum err walk(struct finding *f, const struct known *k)
{
    enum sql id = walk_of(f->query->sort);
    bool has_row;
    enum err err = walk_start(f, id, &has_row);

    if (err == OK)
        err = walk_rows(f, id, has_row, k);
    db_done(&f->reader->db, id);
    return err;
}

static enum err fetch_key(struct finding *f, int64_t slot, struct sort_key *key)
{
    struct db *db = &f->reader->db;
    bool has_row;
    enum err err = db_query(db, SQL_LISTING_GET, &has_row, "i", slot);

    *key = (struct sort_key){.slot = slot};
    if (err == OK && has_row && f->query->sort == SORT_NAME)
        set_id(&key->id, db_text(db, SQL_LISTING_GET, 8),
               db_text(db, SQL_LISTING_GET, 9));
    else if (err == OK && has_row)
        key->number =
            db_int(db, SQL_LISTING_GET, f->query->sort == SORT_RECENT ? 4 : 5);
    db_done(db, SQL_LISTING_GET);
    return err;
}

static enum err sort_known(struct finding *f, const struct known *k,
                           struct sort_key *keys)
{
    struct sort_key start = {
        .number = f->start.key, .id = f->start.id, .slot = f->start.slot};

    for (size_t i = 0; i < k->count; i++)
        TRY(fetch_key(f, k->slots[i], &keys[i]));
    if (k->count > 0)
        qsort(keys, k->count, sizeof(*keys), key_qsort_cmp);
    for (size_t i = 0; i < k->count && f->count < f->want; i++)
        if (f->start.phase != CURSOR_SORTED || key_cmp(&keys[i], &start) > 0)
            take(f, &keys[i]);
    return OK;
}

static enum err find_few(struct finding *f, const struct known *k)
{
    struct sort_key *keys =
        mem_try(&mem_libc, NULL, (k->count + 1) * sizeof(*keys));
    enum err err;

    if (keys == NULL)
        return ERR_NOMEM;
    err = sort_known(f, k, keys);
    mem_free(&mem_libc, keys);
    return err;
}

enum err find_sorted(struct finding *f)
{
    struct known k = {.slots = NULL};
    enum err err = f->match.is_all ? OK : find_known(f, &k);

    if (err == OK && !f->match.is_all && k.is_whole) {
        f->total = k.count;
        f->total_is_exact = true;
    }
    if (err == OK)
        err = !f->match.is_all && k.is_whole && k.count <= SORT_FEW
                  ? find_few(f, &k)
                  : walk(f, &k);
    mem_free(&mem_libc, k.slots);
    return err;
}
