/* SPDX-License-Identifier: Apache-2.0 */
#include "market/rank.h"
#include "store/find.h"
#include "store/precedence.h"

struct search_memory {
    struct finding finding;
    struct pages pages;  /* summaries */
    struct pages values; /* of facets */
    size_t summaries[READER_LIMIT_MAX];
};

static void free_memory(struct search_memory *m)
{
    match_release(&m->finding.match);
    buf_release(&m->pages.bytes);
    buf_release(&m->values.bytes);
    mem_free(&mem_libc, m);
}

/* ---- Hits. ---- */

static enum err read_entry(const struct db *db, enum sql id,
                           const struct query *q, const struct found *found,
                           wall_ms wall, struct rank_entry *e)
{
    struct rank_facts facts = {.text = found->text};

    *e = (struct rank_entry){
        .trust = (enum record_trust)db_int(db, id, 2),
        .sequence = (uint64_t)db_int(db, id, 3),
        .updated_at = db_int(db, id, 4),
        .downloads = (uint64_t)db_int(db, id, 5),
        .reputation = db_double(db, id, 6),
        .sources = 1,
    };
    TRY(precedence_decode(db_blob(db, id, 7), &e->version));
    snprintf(e->id.ns, sizeof(e->id.ns), "%s", db_text(db, id, 8));
    snprintf(e->id.name, sizeof(e->id.name), "%s", db_text(db, id, 9));
    rank_exact(q, &e->id, db_text(db, id, 10), &facts);
    facts.trust = e->trust;
    facts.reputation = e->reputation;
    facts.updated_at = e->updated_at;
    e->score = rank_score(&facts, wall);
    return OK;
}

static enum err read_hit(const struct db *db, struct search_memory *m,
                         const struct found *found, size_t *offset,
                         struct search_hit *hit)
{
    const struct finding *f = &m->finding;
    struct span summary = db_blob(db, SQL_LISTING_SUMMARY, 12);

    TRY(read_entry(db, SQL_LISTING_SUMMARY, f->query, found, f->start.wall,
                   &hit->entry));
    column_peer(db, SQL_LISTING_SUMMARY, 11, &hit->publisher);
    hit->text = found->text;
    hit->summary.len = summary.len;
    return pages_add(&m->pages, summary, offset);
}

/* |*has_row|: false when it was found by a list that knows of a later commit.
 */
static enum err fetch_hit(struct db *db, struct search_memory *m,
                          const struct found *found, size_t to,
                          struct search_hit *hit, bool *has_row)
{
    enum err err = db_query(db, SQL_LISTING_SUMMARY, has_row, "i", found->slot);

    if (err == OK && !*has_row && found->at.phase != CURSOR_WHOLE)
        err = ERR_STORE_CORRUPT; /* found, but it is not there */
    if (err == OK && *has_row)
        err = read_hit(db, m, found, &m->summaries[to], hit);
    db_done(db, SQL_LISTING_SUMMARY);
    return err;
}

static enum err fetch_hits(struct db *db, struct search_memory *m,
                           struct search_page *page, size_t limit)
{
    const struct finding *f = &m->finding;

    for (size_t i = 0; i < f->count && i < limit; i++) {
        bool has_row;

        TRY(fetch_hit(db, m, &f->list[i], page->count, &page->hits[page->count],
                      &has_row));
        page->count += has_row;
    }
    for (size_t i = 0; i < page->count; i++)
        page->hits[i].summary.data =
            (const uint8_t *)pages_at(&m->pages, m->summaries[i]);
    return OK;
}

/* ---- A page. ---- */

static void write_cursor(const struct finding *f, size_t limit, uint64_t mark,
                         struct search_page *page)
{
    struct cursor next;

    if (f->count <= limit)
        return;
    next = f->list[limit - 1].at;
    next.wall = f->start.wall;
    next.total = f->total;
    next.total_is_exact = f->total_is_exact;
    cursor_format(&next, mark, page->cursor);
}

static enum err search(struct reader *r, const struct query *q,
                       const struct search_options *options,
                       struct search_memory *m, struct search_page *page)
{
    struct finding *f = &m->finding;
    uint64_t mark = cursor_mark(q);
    struct match_facts facts;

    f->wants_facets = options->facets;
    f->reader = r;
    f->query = q;
    f->want = options->limit + 1;
    TRY(cursor_parse(options->cursor, mark, &f->start));
    if (f->start.phase == CURSOR_START)
        f->start.wall = options->wall;
    facts = match_facts_of(r->store);
    TRY(match_init(&f->match, &r->db, q, &facts));
    TRY(find_page(f));
    TRY(fetch_hits(&r->db, m, page, options->limit));
    page->total = f->total;
    page->total_is_exact = f->total_is_exact;
    write_cursor(f, options->limit, mark, page);
    return options->facets ? count_facets(f, page, &m->values) : OK;
}

enum err reader_search(struct reader *r, const struct query *q,
                       const struct search_options *options,
                       struct search_page *page)
{
    struct search_memory *m = mem_new(&mem_libc, sizeof(*m));
    enum err err;

    assert(options->limit >= 1 && options->limit <= READER_LIMIT_MAX);
    page->count = page->facet_count = 0;
    page->facets = NULL;
    page->facets_are_exact = false;
    page->cursor[0] = '\0';
    page->memory = m;
    pages_init(&m->pages);
    pages_init(&m->values);
    err = snapshot_take(r);
    if (err == OK) {
        err = search(r, q, options, m, page);
        snapshot_drop(r);
    }
    if (err != OK)
        search_page_free(page);
    return err;
}

void search_page_free(struct search_page *page)
{
    if (page->memory != NULL)
        free_memory(page->memory);
    mem_free(&mem_libc, page->facets);
    page->memory = NULL;
    page->facets = NULL;
    page->count = page->facet_count = 0;
}

/* ---- Stamps. ---- */

/* All words but a prefix are in every record that matches. */
static void stamp_term(struct cache *c, const struct query_term *t,
                       struct cache_stamp *out)
{
    const char *at = t->text;

    if (t->is_not)
        return;
    while (*at) {
        size_t len = strcspn(at, " ");

        if (at[len] != '\0' || !t->is_prefix)
            cache_stamp_add_word(c, out, SPAN(at, len));
        at += len + (at[len] != '\0');
    }
}

void reader_search_stamp(struct reader *r, const struct query *q,
                         struct cache_stamp *out)
{
    struct cache *c = r->store->cache;

    *out = (struct cache_stamp){0};
    if (c == NULL)
        return;
    for (size_t i = 0; i < q->term_count; i++)
        stamp_term(c, &q->terms[i], out);
    if (out->count == 0)
        cache_stamp_all(c, out);
}

/* ---- Records for another peer. ---- */

struct hit_memory {
    struct search_memory *search;
    struct pages records;
    struct catalogue_hit hits[READER_LIMIT_MAX];
    size_t offsets[READER_LIMIT_MAX];
};

static enum err fetch_package(struct db *db, int64_t slot, int64_t *package)
{
    bool has_row;
    enum err err = db_query(db, SQL_LISTING_GET, &has_row, "i", slot);

    *package = err == OK && has_row ? db_int(db, SQL_LISTING_GET, 1) : 0;
    db_done(db, SQL_LISTING_GET);
    return err;
}

static enum err fetch_record(struct db *db, struct hit_memory *m, size_t nth,
                             const struct found *found, bool *has_row)
{
    int64_t package;
    enum err err;

    TRY(fetch_package(db, found->slot, &package));
    err = db_query(db, SQL_PACKAGE_HEAD_BYTES, has_row, "i", package);
    if (err == OK && *has_row) {
        struct span record = db_blob(db, SQL_PACKAGE_HEAD_BYTES, 5);

        m->hits[nth] = (struct catalogue_hit){.record.len = record.len,
                                              .score = found->text};
        err = pages_add(&m->records, record, &m->offsets[nth]);
    }
    db_done(db, SQL_PACKAGE_HEAD_BYTES);
    if (err == OK && !*has_row && found->at.phase != CURSOR_WHOLE)
        err = ERR_STORE_CORRUPT;
    return err;
}

static enum err fetch_records(struct reader *r, const struct query *q,
                              unsigned limit, wall_ms wall,
                              struct hit_memory *m, struct hit_page *page)
{
    struct finding *f = &m->search->finding;
    struct match_facts facts;

    f->reader = r;
    f->query = q;
    f->want = limit;
    f->start.wall = wall;
    facts = match_facts_of(r->store);
    TRY(match_init(&f->match, &r->db, q, &facts));
    TRY(find_page(f));
    for (size_t i = 0; i < f->count; i++) {
        bool has_row;

        TRY(fetch_record(&r->db, m, page->count, &f->list[i], &has_row));
        page->count += has_row;
    }
    for (size_t i = 0; i < page->count; i++)
        m->hits[i].record.data =
            (const uint8_t *)pages_at(&m->records, m->offsets[i]);
    page->hits = m->hits;
    page->total = f->total;
    return OK;
}

enum err reader_hits(struct reader *r, const struct query *q, unsigned limit,
                     wall_ms wall, struct hit_page *page)
{
    struct hit_memory *m = mem_new(&mem_libc, sizeof(*m));
    enum err err;

    assert(limit >= 1 && limit <= READER_LIMIT_MAX);
    m->search = mem_new(&mem_libc, sizeof(*m->search));
    pages_init(&m->records);
    *page = (struct hit_page){.memory = m};
    err = snapshot_take(r);
    if (err == OK) {
        err = fetch_records(r, q, limit, wall, m, page);
        snapshot_drop(r);
    }
    if (err != OK)
        hit_page_free(page);
    return err;
}

void hit_page_free(struct hit_page *page)
{
    struct hit_memory *m = page->memory;

    if (m == NULL)
        return;
    free_memory(m->search);
    buf_release(&m->records.bytes);
    mem_free(&mem_libc, m);
    *page = (struct hit_page){0};
}
