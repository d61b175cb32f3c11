/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/map.h"
#include "store/find.h"

/* Facets are counted over the candidates of a ranked search, else over as many
 * of the first in static order: reading all matches of a common word would cost
 * more than the search. */
enum { FACET_VALUES_MAX = 4096, FACET_SCAN_MAX = RANK_SCAN_MAX };

static const char *const field_names[] = {"tag", "category", "license",
                                          "namespace"};
enum { FIELDS = sizeof(field_names) / sizeof(*field_names) };

struct value {
    UT_hash_handle hh;
    unsigned count;
    size_t len;
    char text[1]; /* the field's index as a character, then the value */
};

struct facet_counts {
    struct value *map;
};

static enum err count_value(struct facet_counts *c, int field, struct span text)
{
    char key[RECORD_BYTES_MAX];
    struct value *v;

    if (text.len == 0 || text.len + 2 > sizeof(key))
        return OK;
    key[0] = (char)('0' + field);
    memcpy(key + 1, text.data, text.len);
    MAP_FIND(c->map, key, text.len + 1, v);
    if (v == NULL) {
        if (MAP_COUNT(c->map) >= FACET_VALUES_MAX)
            return OK;
        v = mem_try_zero(&mem_libc, sizeof(*v) + text.len + 1);
        if (v == NULL)
            return ERR_NOMEM;
        v->len = text.len + 1;
        memcpy(v->text, key, v->len);
        MAP_ADD(c->map, v->text, v->len, v);
    }
    v->count++;
    return OK;
}

static enum err count_lines(struct facet_counts *c, int field,
                            struct span lines)
{
    while (lines.len > 0) {
        const uint8_t *end = memchr(lines.data, '\n', lines.len);
        size_t len = end ? (size_t)(end - lines.data) : lines.len;

        TRY(count_value(c, field, span_take(&lines, len)));
        (void)span_take(&lines, 1);
    }
    return OK;
}

static enum err count_slot(struct facet_counts *c, struct db *db, int64_t slot)
{
    bool has_row;
    enum err err = db_query(db, SQL_LISTING_FACETS, &has_row, "i", slot);

    for (int field = 0; field < FIELDS && err == OK && has_row; field++)
        err = count_lines(c, field,
                          span_str(db_text(db, SQL_LISTING_FACETS, field)));
    db_done(db, SQL_LISTING_FACETS);
    return err;
}

/* The first in static order, their slots only. */
static enum err read_slots(struct finding *f, enum sql id, bool has_row,
                           int64_t *slots, size_t *count)
{
    while (has_row && *count < FACET_SCAN_MAX) {
        slots[(*count)++] = db_int(&f->reader->db, id, 0);
        TRY(db_next(&f->reader->db, id, &has_row));
    }
    return OK;
}

static enum err first_slots(struct finding *f, int64_t *slots, size_t *count)
{
    struct db *db = &f->reader->db;
    enum sql id = f->match.is_all ? SQL_LISTING_AFTER : SQL_FIND_AFTER;
    bool has_row;
    enum err err;

    *count = 0;
    if (f->match.is_all)
        err = db_query(db, id, &has_row, "ii", (int64_t)0,
                       (int64_t)FACET_SCAN_MAX);
    else
        err =
            db_query(db, id, &has_row, "ti", match_wide(&f->match), (int64_t)0);
    if (err == OK)
        err = read_slots(f, id, has_row, slots, count);
    db_done(db, id);
    return err;
}

static enum err count_slots(struct finding *f, struct facet_counts *c,
                            size_t *counted)
{
    struct reader *r = f->reader;
    int64_t *slots = r->ranking.slots;

    /* The ranking of a sorted or static page is free for this. */
    *counted = r->ranking.count;
    if (!f->match.has_words || f->query->sort != SORT_RELEVANCE)
        TRY(first_slots(f, slots, counted));
    for (size_t i = 0; i < *counted; i++)
        TRY(count_slot(c, &r->db, slots[i]));
    return OK;
}

/* By field, the commonest first. */
static int value_cmp(const struct value *a, const struct value *b)
{
    if (a->text[0] != b->text[0])
        return a->text[0] < b->text[0] ? -1 : 1;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

static enum err write_facets(struct facet_counts *c, struct search_page *page,
                             struct pages *memory)
{
    size_t offsets[FIELDS * READER_FACETS_MAX] = {0};
    struct value *v, *next;
    int given[FIELDS] = {0};

    page->facets = mem_try_zero(&mem_libc, sizeof(offsets) / sizeof(*offsets) *
                                               sizeof(*page->facets));
    if (page->facets == NULL)
        return ERR_NOMEM;
    if (c->map != NULL)
        HASH_SORT(c->map, value_cmp);
    MAP_FOR_EACH(c->map, v, next) {
        int field = v->text[0] - '0';

        if (given[field]++ >= READER_FACETS_MAX)
            continue;
        TRY(pages_add(memory, span_str(v->text + 1),
                      &offsets[page->facet_count]));
        page->facets[page->facet_count++] = (struct search_facet){
            .field = field_names[field], .count = v->count};
    }
    for (size_t i = 0; i < page->facet_count; i++)
        page->facets[i].value = pages_at(memory, offsets[i]);
    return OK;
}

enum err count_facets(struct finding *f, struct search_page *page,
                      struct pages *memory)
{
    struct facet_counts c = {.map = NULL};
    struct value *v, *next;
    size_t counted = 0;
    enum err err = OK;

    if (!f->match.is_nothing)
        err = count_slots(f, &c, &counted);
    if (err == OK)
        err = write_facets(&c, page, memory);
    page->facets_are_exact = f->total_is_exact && counted == f->total;
    MAP_FOR_EACH(c.map, v, next) {
        MAP_DEL(c.map, v);
        mem_free(&mem_libc, v);
    }
    return err;
}
