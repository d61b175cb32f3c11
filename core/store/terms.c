/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "market/terms.h"
#include "store/chores.h"

/* The terms of our own packages are counted at start, from the packages
 * themselves: the network is told of the rarest first. */
struct term_count {
    UT_hash_handle hh;
    char term[TERM_MAX + 1];
    unsigned packages;
};

static enum err count_term(struct store *s, struct term_count **map,
                           const char *term)
{
    struct term_count *t;

    MAP_FIND(*map, term, strlen(term), t);
    if (t == NULL) {
        t = mem_try_zero(s->mem, sizeof(*t));
        if (t == NULL)
            return ERR_NOMEM;
        snprintf(t->term, sizeof(t->term), "%s", term);
        MAP_ADD(*map, t->term, strlen(t->term), t);
    }
    t->packages++;
    return OK;
}

static enum err count_record(struct store *s, struct span bytes,
                             struct term_count **map)
{
    struct terms terms;
    struct record r;
    enum err err = record_parse(&r, bytes, RECORD_UNSIGNED_OK, s->mem, NULL);

    if (err != OK)
        return err == ERR_NOMEM ? err : ERR_STORE_CORRUPT;
    terms_of_record(&r, &terms);
    record_release(&r);
    for (size_t i = 0; i < terms.count && err == OK; i++)
        err = count_term(s, map, terms.list[i]);
    return err;
}

static enum err count_all(struct store *s, struct term_count **map)
{
    bool has_row;

    TRY(db_query(&s->db, SQL_PACKAGE_OWN_HEADS, &has_row, ""));
    while (has_row) {
        TRY(count_record(s, db_blob(&s->db, SQL_PACKAGE_OWN_HEADS, 0), map));
        TRY(db_next(&s->db, SQL_PACKAGE_OWN_HEADS, &has_row));
    }
    return OK;
}

static int term_cmp(const struct term_count *a, const struct term_count *b)
{
    if (a->packages != b->packages)
        return a->packages < b->packages ? -1 : 1;
    return strcmp(a->term, b->term);
}

enum err terms_load(struct store *s, const struct store_sink *sink)
{
    struct term_count *map = NULL, *t, *next;
    enum err err = count_all(s, &map);
    unsigned given = 0;

    db_done(&s->db, SQL_PACKAGE_OWN_HEADS);
    HASH_SORT(map, term_cmp);
    MAP_FOR_EACH(map, t, next) {
        if (err == OK && given++ < STORE_TERMS_MAX)
            sink->term(sink->ctx, span_str(t->term), t->packages);
        MAP_DEL(map, t);
        mem_free(s->mem, t);
    }
    return err;
}
