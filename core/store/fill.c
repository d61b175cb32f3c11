/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fill.h"

void fill_start(struct store *s)
{
    struct chores *c = &s->chores;

    if (c->fill != FILL_NOTHING || s->tally.listed < POSTINGS_PACKAGES_MIN)
        return;
    c->fill =
        postings_state(s->postings) == POSTINGS_READY ? FILL_WORDS : FILL_SLOTS;
}

/* They may have been thrown away since. */
bool fill_is_due(const struct store *s)
{
    return s->chores.fill != FILL_NOTHING ||
           (s->chores.is_filled &&
            postings_state(s->postings) == POSTINGS_EMPTY);
}

/* ---- Slots. ---- */

static enum err read_slots(struct store *s, bool has_row, size_t *count)
{
    const enum sql id = SQL_LISTING_SLOTS;

    for (; has_row; (*count)++) {
        s->chores.fill_slot = db_int(&s->db, id, 0);
        s->chores.fill_key = db_int(&s->db, id, 1);
        TRY(postings_load(s->postings, s->chores.fill_slot));
        TRY(db_next(&s->db, id, &has_row));
    }
    return OK;
}

static enum err load_slots(struct store *s)
{
    bool has_row;
    size_t count = 0;
    enum err err =
        db_query(&s->db, SQL_LISTING_SLOTS, &has_row, "iii", s->chores.fill_key,
                 s->chores.fill_slot, (int64_t)FILL_SLOTS_MAX);

    if (err == OK)
        err = read_slots(s, has_row, &count);
    db_done(&s->db, SQL_LISTING_SLOTS);
    if (err == OK && count < FILL_SLOTS_MAX) {
        postings_load_end(s->postings);
        s->chores.fill = FILL_WORDS;
    }
    return err;
}

static enum err fill_slots(struct store *s)
{
    if (postings_state(s->postings) == POSTINGS_EMPTY) {
        s->chores.fill_key = s->chores.fill_slot = INT64_MIN;
        postings_load_begin(s->postings);
    }
    return load_slots(s);
}

/* ---- Words. ---- */

static enum err want_words(struct store *s, bool has_row)
{
    while (has_row) {
        TRY(postings_want(s->postings, db_text(&s->db, SQL_COMMON_MOST, 0)));
        TRY(db_next(&s->db, SQL_COMMON_MOST, &has_row));
    }
    return OK;
}

static enum err fill_words(struct store *s)
{
    bool has_row;
    enum err err =
        db_query(&s->db, SQL_COMMON_MOST, &has_row, "ii",
                 (int64_t)POSTINGS_PACKAGES_MIN, (int64_t)POSTINGS_WORDS_MAX);

    postings_want_none(s->postings);
    if (err == OK)
        err = want_words(s, has_row);
    db_done(&s->db, SQL_COMMON_MOST);
    if (err == OK || err == ERR_LIMIT)
        postings_drop_unwanted(s->postings);
    s->chores.fill = FILL_LISTS;
    s->chores.fill_slot = 0;
    return err == ERR_LIMIT ? OK : err;
}

/* ---- Lists. ---- */

static enum err read_rows(struct store *s, bool has_row, size_t *count)
{
    const enum sql id = SQL_FIND_HITS;

    for (; has_row; (*count)++) {
        s->chores.fill_slot = db_int(&s->db, id, 0);
        TRY(postings_fill(s->postings, s->chores.fill_slot,
                          (uint32_t)db_int(&s->db, id, 1)));
        TRY(db_next(&s->db, id, &has_row));
    }
    return OK;
}

static enum err fill_list(struct store *s, const char *word, size_t *rows)
{
    char expression[sizeof(s->chores.word) + 2];
    bool has_row;
    size_t count = 0;
    enum err err;

    snprintf(expression, sizeof(expression), "\"%s\"", word);
    err = db_query(&s->db, SQL_FIND_HITS, &has_row, "tii", expression,
                   s->chores.fill_slot, (int64_t)FILL_ROWS_MAX);
    if (err == OK)
        err = read_rows(s, has_row, &count);
    db_done(&s->db, SQL_FIND_HITS);
    *rows += count;
    if (err == OK && count < FILL_ROWS_MAX) {
        s->chores.fill_slot = 0;
        err = postings_fill_end(s->postings);
    }
    return err;
}

static enum err fill_lists(struct store *s)
{
    for (size_t rows = 0; rows < FILL_ROWS_MAX;) {
        const char *word = postings_fill_next(s->postings);

        if (word == NULL) {
            s->chores.fill = FILL_NOTHING;
            s->chores.is_filled = true;
            return OK;
        }
        TRY(fill_list(s, word, &rows));
    }
    return OK;
}

/* ---- One step. ---- */

static enum err do_step(struct store *s)
{
    switch (s->chores.fill) {
    case FILL_SLOTS:
        return fill_slots(s);
    case FILL_WORDS:
        return fill_words(s);
    case FILL_LISTS:
        return fill_lists(s);
    case FILL_NOTHING:
        break;
    }
    return OK;
}

/* What there is no room for is searched as if it had not been tried; it is,
 * when words are counted again. */
static void give_up(struct store *s)
{
    if (s->chores.fill == FILL_LISTS)
        postings_fill_no_more(s->postings);
    else
        postings_clear(s->postings);
    s->chores.fill = FILL_NOTHING;
    s->chores.is_filled = postings_state(s->postings) == POSTINGS_READY;
}

enum err fill_step(struct store *s, bool *more)
{
    enum err err;

    /* A commit between two steps may have had no room. */
    if (postings_state(s->postings) == POSTINGS_EMPTY &&
        s->chores.fill != FILL_SLOTS) {
        s->chores.fill = FILL_NOTHING;
        s->chores.is_filled = false;
        fill_start(s);
    }
    err = do_step(s);
    if (err != OK)
        give_up(s);
    *more = s->chores.fill != FILL_NOTHING;
    return err == ERR_LIMIT ? OK : err;
}
