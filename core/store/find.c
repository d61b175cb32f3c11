/* SPDX-License-Identifier: Apache-2.0 */
#include "store/find.h"

#include "store/whole.h"

struct match_facts match_facts_of(const struct store *s)
{
    int64_t packages = atomic_load(&s->shown.listed);
    int64_t words = atomic_load(&s->shown.words);

    return (struct match_facts){
        .packages = (uint64_t)packages,
        .average = packages > 0 ? (double)words / (double)packages : 1,
        .postings = s->postings,
    };
}

/* ---- By relevance: the ranked, then the rest. ---- */

/* Those behind the last page's end, to the front. */
static size_t keep_behind(const struct cursor *at, struct ranking *r)
{
    struct candidate end = {
        .slot = at->slot, .text = at->value, .rank = at->rank};
    size_t kept = 0;

    if (at->phase != CURSOR_RANKED)
        return r->count;
    for (size_t i = 0; i < r->count; i++)
        if (candidate_cmp(&r->list[i], &end) > 0)
            r->list[kept++] = r->list[i];
    return kept;
}

static void take_ranked(struct finding *f, struct ranking *r)
{
    size_t count = ranking_select(r->list, keep_behind(&f->start, r), f->want);

    for (size_t i = 0; i < count; i++) {
        const struct candidate *c = &r->list[i];

        f->list[f->count++] = (struct found){.slot = c->slot,
                                             .text = c->text,
                                             .at = {.phase = CURSOR_RANKED,
                                                    .rank = c->rank,
                                                    .value = c->text,
                                                    .slot = c->slot}};
    }
}

static enum err take_rows(struct finding *f, enum sql id, bool has_row,
                          const struct ranking *without)
{
    struct db *db = &f->reader->db;

    while (has_row && f->count < f->want) {
        int64_t slot = db_int(db, id, 0);

        if (without == NULL || !ranking_has(without, slot))
            f->list[f->count++] = (struct found){
                .slot = slot, .at = {.phase = CURSOR_STATIC, .slot = slot}};
        TRY(db_next(db, id, &has_row));
    }
    return OK;
}

/* In static order, above |after|. */
static enum err take_static(struct finding *f, int64_t after,
                            const struct ranking *without)
{
    struct db *db = &f->reader->db;
    enum sql id = f->match.is_all ? SQL_LISTING_AFTER : SQL_FIND_AFTER;
    bool has_row;
    enum err err;

    if (f->start.phase == CURSOR_STATIC && f->start.slot > after)
        after = f->start.slot;
    if (f->match.is_all)
        err = db_query(db, id, &has_row, "ii", after, (int64_t)f->want);
    else
        err = db_query(db, id, &has_row, "ti", match_wide(&f->match), after);
    if (err == OK)
        err = take_rows(f, id, has_row, without);
    db_done(db, id);
    return err;
}

static enum err find_relevant(struct finding *f)
{
    struct ranking *r = &f->reader->ranking;
    bool did;

    TRY(whole_find(f, &did));
    if (did)
        return OK;
    TRY(match_express(&f->match, f->query));
    if (!f->match.has_words)
        return take_static(f, 0, NULL);
    TRY(ranking_build(r, &f->reader->db, f->query, &f->match));
    if (f->start.phase != CURSOR_STATIC)
        take_ranked(f, r);
    if (r->is_whole) {
        f->total = r->count;
        f->total_is_exact = true;
        return OK;
    }
    /* To count them all would take longer than to find the best. */
    f->total =
        f->match.packages_known > r->count ? f->match.packages_known : r->count;
    return f->count < f->want ? take_static(f, r->rest_after, r) : OK;
}

/* ---- How many there are. ---- */

static enum err count_total(struct finding *f)
{
    int64_t count;

    if (f->match.is_all) {
        f->total = (uint64_t)atomic_load(&f->reader->store->shown.listed);
        f->total_is_exact = true;
        return OK;
    }
    if (f->match.packages_known > 0) {
        f->total = f->match.packages_known;
        return OK;
    }
    TRY(db_get_int(&f->reader->db, SQL_FIND_COUNT, 0, &count, "ti",
                   match_wide(&f->match), (int64_t)READER_COUNT_MAX + 1));
    f->total = (uint64_t)count;
    f->total_is_exact = count <= READER_COUNT_MAX;
    return OK;
}

enum err find_page(struct finding *f)
{
    if (f->match.is_nothing) {
        f->total_is_exact = true;
        return OK;
    }
    if (f->query->sort == SORT_RELEVANCE) {
        TRY(find_relevant(f));
    } else {
        TRY(match_express(&f->match, f->query));
        TRY(find_sorted(f));
    }
    if (f->start.phase != CURSOR_START) {
        f->total = f->start.total;
        f->total_is_exact = f->start.total_is_exact;
        return OK;
    }
    return f->total > 0 || f->total_is_exact ? OK : count_total(f);
}
