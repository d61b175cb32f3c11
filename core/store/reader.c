/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader.h"

#include <stdio.h>

#include "crypto/hash.h"
#include "store/pages.h"
#include "store/precedence.h"
#include "store/score.h"

static enum err open_file(struct reader *r, const struct store *s)
{
    TRY(db_open(&r->db, s->path, SQLITE_OPEN_READONLY, s->log));
    TRY(db_exec(&r->db, "PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;"
                        "PRAGMA query_only=1; PRAGMA trusted_schema=OFF"));
    return score_register(r->db.handle);
}

enum err reader_open(struct store *s, struct reader **out)
{
    struct reader *r = mem_new(&mem_libc, sizeof(*r));
    enum err err = OK;

    r->store = s;
    if (s->path == NULL)
        db_borrow(&r->db, &s->db);
    else
        err = open_file(r, s);
    if (err != OK) {
        reader_close(r);
        return err;
    }
    *out = r;
    return OK;
}

void reader_close(struct reader *r)
{
    if (r == NULL)
        return;
    db_close(&r->db);
    mem_free(&mem_libc, r);
}

/* ---- Views. ---- */

static enum err find(struct reader *r, const struct package_id *id,
                     struct package_row *row)
{
    bool has_row;
    enum err err =
        db_query(&r->db, SQL_PACKAGE_FIND, &has_row, "tt", id->ns, id->name);

    if (err == OK && has_row)
        package_row_read(&r->db, SQL_PACKAGE_FIND, row);
    db_done(&r->db, SQL_PACKAGE_FIND);
    return err == OK && !has_row ? ERR_NOT_FOUND : err;
}

static enum err view_package(struct reader *r, const struct package_row *row,
                             struct package_view *view)
{
    struct owner_facts facts;
    struct owner_verdict verdict;

    TRY(facts_of_owner(&r->db, r->store, &row->name, &facts));
    owner_judge(&row->name, &row->publisher, &facts, &verdict);
    *view = (struct package_view){
        .id = row->name,
        .publisher = row->publisher,
        .trust = verdict.trust,
        .is_own = row->is_own,
        .all_yanked = row->slot == 0,
        .has_conflict = row->conflicts > 0 || verdict.is_conflict,
        .versions = (unsigned)row->versions,
        .heard = row->heard,
    };
    return OK;
}

static void make_etag(struct span bytes, char out[36])
{
    uint8_t hash[SHA256_LEN];

    sha256(bytes, hash);
    out[0] = '"';
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 1 + 2 * i, 3, "%02x", hash[i]);
    out[33] = '"';
    out[34] = '\0';
}

/* The columns id, precedence, is_yanked, sequence, updated, record. */
static enum err view_version(const struct db *db, enum sql id,
                             struct package_view *view, struct span *record)
{
    TRY(precedence_decode(db_blob(db, id, 1), &view->version));
    view->is_yanked = db_int(db, id, 2) != 0;
    view->sequence = (uint64_t)db_int(db, id, 3);
    view->updated = db_int(db, id, 4);
    *record = db_blob(db, id, 5);
    make_etag(*record, view->etag);
    return OK;
}

static enum err give(struct reader *r, enum sql id, bool has_row,
                     struct package_view *view, struct buf *out)
{
    struct span record;

    if (!has_row)
        return ERR_NOT_FOUND;
    TRY(view_version(&r->db, id, view, &record));
    return buf_put(out, record);
}

static enum err get_head(struct reader *r, const struct package_id *id,
                         struct package_view *view, struct buf *record)
{
    struct package_row row;
    bool has_row;
    enum err err;

    TRY(find(r, id, &row));
    TRY(view_package(r, &row, view));
    err = db_query(&r->db, SQL_PACKAGE_HEAD_BYTES, &has_row, "i", row.id);
    if (err == OK)
        err = give(r, SQL_PACKAGE_HEAD_BYTES, has_row, view, record);
    db_done(&r->db, SQL_PACKAGE_HEAD_BYTES);
    return err;
}

enum err reader_head(struct reader *r, const struct package_id *id,
                     struct package_view *view, struct buf *record)
{
    enum err err;

    TRY(snapshot_take(r));
    err = get_head(r, id, view, record);
    snapshot_drop(r);
    return err;
}

static enum err get_version(struct reader *r, const struct package_id *id,
                            const struct semver *version,
                            struct package_view *view, struct buf *record)
{
    struct package_row row;
    struct precedence key;
    bool has_row;
    enum err err;

    TRY(find(r, id, &row));
    TRY(view_package(r, &row, view));
    err = db_query(&r->db, SQL_VERSION_FIND, &has_row, "is", row.id,
                   precedence_encode(version, &key));
    if (err == OK)
        err = give(r, SQL_VERSION_FIND, has_row, view, record);
    db_done(&r->db, SQL_VERSION_FIND);
    return err;
}

enum err reader_version(struct reader *r, const struct package_id *id,
                        const struct semver *version, struct package_view *view,
                        struct buf *record)
{
    enum err err;

    TRY(snapshot_take(r));
    err = get_version(r, id, version, view, record);
    snapshot_drop(r);
    return err;
}

static enum err visit_versions(struct reader *r, struct package_view *view,
                               unsigned limit, bool has_row,
                               package_visitor visit, void *ctx, bool *more)
{
    struct span record;

    *more = false;
    for (unsigned i = 0; has_row; i++) {
        *more = i == limit;
        TRY(view_version(&r->db, SQL_VERSION_AFTER, view, &record));
        if (*more || !visit(ctx, view, record))
            break;
        TRY(db_next(&r->db, SQL_VERSION_AFTER, &has_row));
    }
    return OK;
}

static enum err get_versions(struct reader *r, const struct package_id *id,
                             const struct semver *after, unsigned limit,
                             package_visitor visit, void *ctx, bool *more)
{
    struct precedence key = {0};
    struct package_view view;
    struct package_row row;
    bool has_row;
    enum err err;

    *more = false;
    if (after != NULL)
        (void)precedence_encode(after, &key);
    TRY(find(r, id, &row));
    TRY(view_package(r, &row, &view));
    err = db_query(&r->db, SQL_VERSION_AFTER, &has_row, "isi", row.id,
                   SPAN(key.bytes, key.len), (int64_t)limit + 1);
    if (err == OK)
        err = visit_versions(r, &view, limit, has_row, visit, ctx, more);
    db_done(&r->db, SQL_VERSION_AFTER);
    return err;
}

enum err reader_versions(struct reader *r, const struct package_id *id,
                         const struct semver *after, unsigned limit,
                         package_visitor visit, void *ctx, bool *more)
{
    enum err err;

    TRY(snapshot_take(r));
    err = get_versions(r, id, after, limit, visit, ctx, more);
    snapshot_drop(r);
    return err;
}

static enum err view_index(struct reader *r, struct package_view *view)
{
    struct package_row row;

    package_row_read(&r->db, SQL_PACKAGE_INDEX, &row);
    TRY(view_package(r, &row, view));
    TRY(precedence_decode(db_blob(&r->db, SQL_PACKAGE_INDEX, 15),
                          &view->version));
    view->sequence = (uint64_t)row.head_sequence;
    view->is_yanked = db_int(&r->db, SQL_PACKAGE_INDEX, 16) != 0;
    view->updated = db_int(&r->db, SQL_PACKAGE_INDEX, 17);
    return OK;
}

static enum err visit_index(struct reader *r, unsigned limit, bool has_row,
                            package_visitor visit, void *ctx, bool *more)
{
    struct package_view view;

    for (unsigned i = 0; has_row; i++) {
        *more = i == limit;
        if (*more)
            break;
        TRY(view_index(r, &view));
        if (!visit(ctx, &view, SPAN_NONE))
            break;
        TRY(db_next(&r->db, SQL_PACKAGE_INDEX, &has_row));
    }
    return OK;
}

static enum err get_index(struct reader *r, const struct package_id *after,
                          unsigned limit, package_visitor visit, void *ctx,
                          bool *more)
{
    bool has_row;
    enum err err;

    *more = false;
    err = db_query(&r->db, SQL_PACKAGE_INDEX, &has_row, "tti",
                   after ? after->ns : "", after ? after->name : "",
                   (int64_t)limit + 1);
    if (err == OK)
        err = visit_index(r, limit, has_row, visit, ctx, more);
    db_done(&r->db, SQL_PACKAGE_INDEX);
    return err;
}

enum err reader_index(struct reader *r, const struct package_id *after,
                      unsigned limit, package_visitor visit, void *ctx,
                      bool *more)
{
    enum err err;

    TRY(snapshot_take(r));
    err = get_index(r, after, limit, visit, ctx, more);
    snapshot_drop(r);
    return err;
}

/* ---- The outbox. ---- */

struct outbox_offsets {
    int64_t id;
    size_t head, head_len, version, version_len, ns, name, text;
};

struct outbox_memory {
    struct pages pages;
    struct outbox_item *items;
    struct outbox_offsets *offsets;
};

static enum err read_item(struct db *db, enum sql id, struct pages *p,
                          struct outbox_offsets *o)
{
    struct span head = db_blob(db, id, 1), version = db_blob(db, id, 2);
    char text[SEMVER_TEXT_MAX];
    struct semver v;

    o->id = db_int(db, id, 0);
    o->head_len = head.len;
    o->version_len = version.len;
    TRY(precedence_decode(db_blob(db, id, 5), &v));
    TRY(pages_add(p, head, &o->head));
    TRY(pages_add(p, version, &o->version));
    TRY(pages_add(p, span_str(db_text(db, id, 3)), &o->ns));
    TRY(pages_add(p, span_str(db_text(db, id, 4)), &o->name));
    return pages_add(p, span_str(semver_format(&v, text)), &o->text);
}

static void settle_item(const struct pages *p, const struct outbox_offsets *o,
                        struct outbox_item *item)
{
    *item = (struct outbox_item){
        .id = o->id,
        .head = SPAN(pages_at(p, o->head), o->head_len),
        .version_record = SPAN(pages_at(p, o->version), o->version_len),
        .namespace = pages_at(p, o->ns),
        .name = pages_at(p, o->name),
        .version = pages_at(p, o->text),
    };
}

static enum err read_items(struct reader *r, enum sql id, bool has_row,
                           unsigned limit, struct outbox_memory *m,
                           size_t *count)
{
    for (; has_row && *count < limit; (*count)++) {
        TRY(read_item(&r->db, id, &m->pages, &m->offsets[*count]));
        TRY(db_next(&r->db, id, &has_row));
    }
    return OK;
}

enum err reader_outbox(struct reader *r, int64_t after, int64_t id,
                       unsigned limit, struct outbox_page *page)
{
    struct outbox_memory *m = mem_new(&mem_libc, sizeof(*m));
    enum sql sql = id > 0 ? SQL_OUTBOX_GET : SQL_OUTBOX_AFTER;
    bool has_row;
    enum err err;

    limit = limit < OUTBOX_PAGE_MAX ? limit : OUTBOX_PAGE_MAX;
    *page = (struct outbox_page){.memory = m};
    pages_init(&m->pages);
    m->items = mem_new(&mem_libc, (limit + 1) * sizeof(*m->items));
    m->offsets = mem_new(&mem_libc, (limit + 1) * sizeof(*m->offsets));
    if (id > 0)
        err = db_query(&r->db, sql, &has_row, "i", id);
    else
        err = db_query(&r->db, sql, &has_row, "ii", after, (int64_t)limit);
    if (err == OK)
        err = read_items(r, sql, has_row, limit, m, &page->count);
    db_done(&r->db, sql);
    if (err != OK) {
        outbox_page_free(page);
        return err;
    }
    for (size_t i = 0; i < page->count; i++)
        settle_item(&m->pages, &m->offsets[i], &m->items[i]);
    page->items = m->items;
    return OK;
}

void outbox_page_free(struct outbox_page *page)
{
    struct outbox_memory *m = page->memory;

    if (m == NULL)
        return;
    buf_release(&m->pages.bytes);
    mem_free(&mem_libc, m->items);
    mem_free(&mem_libc, m->offsets);
    mem_free(&mem_libc, m);
    *page = (struct outbox_page){0};
}

/* ---- The rest. ---- */

enum err reader_owner(struct reader *r, const struct package_id *id,
                      struct peer_id *owner)
{
    struct owner_facts facts;

    *owner = (struct peer_id){0};
    TRY(facts_of_owner(&r->db, r->store, id, &facts));
    owner_of(id, &facts, owner);
    return OK;
}

enum err reader_setting(struct reader *r, const char *name, struct buf *value)
{
    bool has_row;
    enum err err = db_query(&r->db, SQL_SETTING_GET, &has_row, "t", name);

    if (err == OK)
        err = has_row ? buf_put(value, db_blob(&r->db, SQL_SETTING_GET, 0))
                      : ERR_NOT_FOUND;
    db_done(&r->db, SQL_SETTING_GET);
    return err;
}
