/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "market/terms.h"
#include "store/chores.h"

/* The terms of our own packages are counted at start: the network is told of
 * the rarest first. */
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

static enum err count_lines(struct store *s, const char *lines,
                            struct term_count **map)
{
    char term[TERM_MAX + 1];

    while (*lines) {
        size_t len = strcspn(lines, "\n");

        snprintf(term, sizeof(term), "%.*s", (int)len, lines);
        TRY(count_term(s, map, term));
        lines += len + (lines[len] == '\n');
    }
    return OK;
}

static enum err count_all(struct store *s, struct term_count **map)
{
    bool has_row;

    TRY(db_query(&s->db, SQL_PACKAGE_OWN_TERMS, &has_row, ""));
    while (has_row) {
        TRY(count_lines(s, db_text(&s->db, SQL_PACKAGE_OWN_TERMS, 0), map));
        TRY(db_next(&s->db, SQL_PACKAGE_OWN_TERMS, &has_row));
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
    struct term_count *map = NULL, *t;
    enum err err = count_all(s, &map);
    unsigned given = 0;

    db_done(&s->db, SQL_PACKAGE_OWN_TERMS);
    if (map != NULL)
        HASH_SORT(map, term_cmp);
    while ((t = map) != NULL) {
        if (err == OK && given++ < STORE_TERMS_MAX)
            sink->term(sink->ctx, span_str(t->term), t->packages);
        MAP_DEL(map, t);
        mem_free(s->mem, t);
    }
    return err;
}
