/* SPDX-License-Identifier: Apache-2.0 */
#include "store/listing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "market/fold.h"
#include "market/jcs.h"
#include "market/query.h"
#include "store/internal.h"
#include "store/precedence.h"

struct index_op {
    int64_t slot;
    size_t order;
    bool is_delete;
    bool is_borrowed; /* |doc| */
    struct doc doc;
    struct posting_hits hits; /* of |doc| */
};

enum {
    FACET_VALUE_MAX = 1024, /* filters are shorter */
    DOC_BYTES_MAX = 4 * RECORD_BYTES_MAX,
    DOC_COLUMN_FACETS = LISTING_COLUMNS - 2, /* and heads behind it */
    FOLDED_MAX = 4 * RECORD_BYTES_MAX,
    AUTOMERGE = 8,   /* segments of a level; spec: sqlite.org/fts5.html */
    MERGE_STEP = 64, /* pages */
};

/* ---- Hashes. ---- */

/* FNV-1a: it is stored, so it must not change with the process. */
static uint64_t fnv(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
    return hash;
}

#define FNV_START 0xcbf29ce484222325u

int64_t text_key(const char *folded)
{
    uint64_t hash = fnv(FNV_START, folded);

    return (int64_t)(hash ? hash : 1);
}

void facet_token(char facet, const char *value, char out[FACET_TOKEN_MAX])
{
    snprintf(out, FACET_TOKEN_MAX, "\xee\x80\x80%c%016llx", facet,
             (unsigned long long)fnv(FNV_START, value));
}

/* ---- The texts. ---- */

static enum err put_item(struct buf *out, const char *text)
{
    return buf_put(out, span_str(text));
}

static enum err put_end(struct buf *out)
{
    return buf_put_u8(out, '\0');
}

static enum err put_text(struct buf *out, const char *text)
{
    TRY(put_item(out, text));
    return put_end(out);
}

typedef const char *(*record_list)(const struct record *r, size_t nth);

static enum err put_list(struct buf *out, const struct record *r,
                         record_list at)
{
    for (size_t i = 0; at(r, i) != NULL; i++) {
        if (i > 0)
            TRY(buf_put_u8(out, '\n'));
        TRY(put_item(out, at(r, i)));
    }
    return put_end(out);
}

static enum err put_facet(struct buf *out, char facet, const char *value)
{
    char folded[FACET_VALUE_MAX], token[FACET_TOKEN_MAX];

    /* As query_set() folds what is asked for. */
    (void)fold_letters(span_str(value), folded, sizeof(folded));
    facet_token(facet, folded, token);
    TRY(put_item(out, token));
    return buf_put_u8(out, ' ');
}

static enum err put_facet_list(struct buf *out, char facet,
                               const struct record *r, record_list at)
{
    for (size_t i = 0; at(r, i) != NULL; i++)
        TRY(put_facet(out, facet, at(r, i)));
    return OK;
}

static enum err put_facets(struct buf *out, const struct record *r,
                           enum record_trust trust)
{
    TRY(put_facet(out, 'r', record_trust_name(trust)));
    TRY(put_facet(out, 'n', r->id.ns));
    TRY(put_facet(out, 'l', record_text(r, "license")));
    TRY(put_facet_list(out, 'c', r, record_category));
    TRY(put_facet_list(out, 't', r, record_tag));
    TRY(put_facet_list(out, 'a', r, record_author));
    return put_end(out);
}

static enum err put_head_words(struct buf *out, const char *text)
{
    char folded[4 * RECORD_TITLE_MAX + 1];
    struct span words =
        SPAN(folded, query_fold(span_str(text), folded, sizeof(folded)));

    while (words.len > 0) {
        const uint8_t *space = memchr(words.data, ' ', words.len);
        size_t len = space ? (size_t)(space - words.data) : words.len;

        TRY(put_item(out, HEAD_MARK));
        TRY(buf_put(out, span_take(&words, len)));
        TRY(buf_put_u8(out, ' '));
        (void)span_take(&words, 1);
    }
    return OK;
}

/* The mark alone parts name and title, so that no phrase spans both. */
static enum err put_heads(struct buf *out, const struct record *r)
{
    TRY(put_head_words(out, r->id.name));
    TRY(put_item(out, HEAD_MARK " "));
    TRY(put_head_words(out, record_text(r, "title")));
    return put_end(out);
}

static enum err put_doc(struct buf *out, const struct record *r,
                        enum record_trust trust)
{
    TRY(put_text(out, r->id.name));
    TRY(put_text(out, r->id.ns));
    TRY(put_text(out, record_text(r, "title")));
    TRY(put_list(out, r, record_tag));
    TRY(put_list(out, r, record_category));
    TRY(put_text(out, record_text(r, "description")));
    TRY(put_list(out, r, record_author));
    TRY(put_text(out, record_text(r, "license")));
    TRY(put_facets(out, r, trust));
    return put_heads(out, r);
}

static enum err doc_take(struct doc *doc, const struct buf *from)
{
    struct span text = buf_span(from);

    assert(text.data != NULL);
    doc->text = mem_try(from->mem, NULL, text.len);
    if (doc->text == NULL)
        return ERR_NOMEM;
    memcpy(doc->text, text.data, text.len);
    doc->len = text.len;
    return OK;
}

static enum err doc_of_record(struct doc *doc, const struct record *r,
                              enum record_trust trust, const struct mem *mem)
{
    struct buf out;
    enum err err;

    buf_init(&out, DOC_BYTES_MAX, mem);
    err = put_doc(&out, r, trust);
    if (err == OK)
        err = doc_take(doc, &out);
    buf_release(&out);
    return err;
}

static void doc_columns(const struct doc *doc,
                        const char *columns[LISTING_COLUMNS])
{
    const char *at = doc->text;

    for (size_t i = 0; i < LISTING_COLUMNS; i++) {
        columns[i] = at;
        at += strlen(at) + 1;
    }
}

static bool doc_eq(const struct doc *a, const struct doc *b)
{
    return span_eq(SPAN(a->text, a->len), SPAN(b->text, b->len));
}

/* What can find this package also by a word may be stale now. */
static void doc_words(const struct doc *doc, struct cache_changes *changes)
{
    const char *columns[LISTING_COLUMNS];
    char folded[FOLDED_MAX];

    doc_columns(doc, columns);
    for (size_t i = 0; i < DOC_COLUMN_FACETS; i++) {
        (void)query_fold(span_str(columns[i]), folded, sizeof(folded));
        cache_changes_words(changes, folded);
    }
}

static void doc_changed(struct store *s, const struct doc *doc)
{
    if (s->cache != NULL)
        doc_words(doc, &s->changes);
}

/* ---- Writes to the index, kept until just before the commit. ---- */

/* What belongs to |op| moves, unless it fails. */
static enum err ops_add(struct store *s, struct index_op *op)
{
    struct index_ops *ops = &s->ops;

    if (ops->count == ops->cap) {
        size_t cap = ops->cap ? 2 * ops->cap : 64;
        struct index_op *list = mem_try(s->mem, ops->list, cap * sizeof(*list));

        if (list == NULL)
            return ERR_NOMEM;
        ops->list = list;
        ops->cap = cap;
    }
    op->order = ops->count;
    ops->list[ops->count++] = *op;
    op->doc = (struct doc){0};
    op->hits = (struct posting_hits){0};
    return OK;
}

void index_ops_truncate(struct store *s, size_t count)
{
    while (s->ops.count > count) {
        struct index_op *op = &s->ops.list[--s->ops.count];

        if (!op->is_borrowed)
            mem_free(s->mem, op->doc.text);
        posting_hits_release(s->postings, &op->hits);
    }
}

void index_ops_release(struct store *s)
{
    index_ops_truncate(s, 0);
    mem_free(s->mem, s->ops.list);
    s->ops = (struct index_ops){0};
}

static int op_cmp(const void *a, const void *b)
{
    const struct index_op *x = a, *y = b;

    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static enum err op_do(struct db *db, const struct index_op *op)
{
    const char *c[LISTING_COLUMNS];

    doc_columns(&op->doc, c);
    return db_run(db, op->is_delete ? SQL_WORDS_DELETE : SQL_WORDS_INSERT,
                  "itttttttttt", op->slot, c[0], c[1], c[2], c[3], c[4], c[5],
                  c[6], c[7], c[8], c[9]);
}

enum err listing_index(struct store *s)
{
    if (s->ops.count > 0) {
        qsort(s->ops.list, s->ops.count, sizeof(*s->ops.list), op_cmp);
        s->chores.is_unmerged = true;
    }
    for (size_t i = 0; i < s->ops.count; i++)
        TRY(op_do(&s->db, &s->ops.list[i]));
    return OK;
}

enum err listing_tune(struct store *s)
{
    int64_t was;

    TRY(db_get_int(&s->db, SQL_WORDS_AUTOMERGE_GET, 0, &was, ""));
    if (was == AUTOMERGE)
        return OK;
    return db_run(&s->db, SQL_WORDS_AUTOMERGE, "i", (int64_t)AUTOMERGE);
}

/* spec: sqlite.org/fts5.html#the_merge_command: fewer than two changes say that
 * there was nothing to merge. */
enum err listing_merge(struct store *s, bool *more)
{
    int64_t before = sqlite3_total_changes64(s->db.handle);

    TRY(db_run(&s->db, SQL_WORDS_MERGE, "i", (int64_t)MERGE_STEP));
    *more = sqlite3_total_changes64(s->db.handle) - before >= 2;
    s->chores.is_unmerged = *more;
    return OK;
}

static int change_cmp(const void *a, const void *b)
{
    int64_t x = slot_order(((const struct posting_change *)a)->slot);
    int64_t y = slot_order(((const struct posting_change *)b)->slot);

    return (x > y) - (x < y);
}

/* All that were listed to the front, the others behind them. */
static void tell_changes(struct store *s, struct posting_change *changes)
{
    const struct index_ops *ops = &s->ops;
    size_t listed = 0, dropped = ops->count;

    for (size_t i = 0; i < ops->count; i++) {
        const struct index_op *op = &ops->list[i];

        changes[op->is_delete ? --dropped : listed++] =
            (struct posting_change){op->slot, &op->hits};
    }
    qsort(changes, listed, sizeof(*changes), change_cmp);
    postings_apply(s->postings, changes, listed, changes + dropped,
                   ops->count - dropped);
}

void listing_indexed(struct store *s)
{
    struct posting_change *changes = NULL;

    if (s->ops.count == 0)
        return;
    if (postings_state(s->postings) != POSTINGS_EMPTY) {
        changes = mem_try(s->mem, NULL, s->ops.count * sizeof(*changes));
        if (changes != NULL)
            tell_changes(s, changes);
        else
            postings_clear(s->postings);
        mem_free(s->mem, changes);
    }
    index_ops_truncate(s, 0);
}

/* ---- The summary. ---- */

static enum err put_json_text(struct buf *out, const char *text)
{
    TRY(buf_put_u8(out, '"'));
    for (; *text; text++) {
        size_t plain = 0;

        while ((uint8_t)text[plain] >= 0x20 && text[plain] != '"' &&
               text[plain] != '\\')
            plain++;
        TRY(buf_put(out, SPAN(text, plain)));
        text += plain;
        if (*text == '\0')
            break;
        if (*text == '"' || *text == '\\')
            TRY(buf_printf(out, "\\%c", *text));
        else
            TRY(buf_printf(out, "\\u%04x", (unsigned)*text));
    }
    return buf_put_u8(out, '"');
}

static enum err put_member(struct buf *out, const char *name, const char *text)
{
    TRY(buf_printf(out, ",\"%s\":", name));
    return put_json_text(out, text);
}

static enum err put_member_array(struct buf *out, const char *name,
                                 const json_t *metadata)
{
    const json_t *array = json_object_get(metadata, name);

    TRY(buf_printf(out, ",\"%s\":", name));
    if (!json_is_array(array))
        return buf_put_str(out, "[]");
    return jcs_write(array, out);
}

static enum err put_summary(struct buf *out, const struct record *r,
                            enum record_trust trust)
{
    const json_t *metadata = json_object_get(r->json, "metadata");
    const char *updated =
        json_string_value(json_object_get(r->json, "updated_at"));
    const char *publisher = json_string_value(
        json_object_get(json_object_get(r->json, "souk"), "publisher"));
    char version[SEMVER_TEXT_MAX];

    TRY(buf_printf(out, "{\"id\":\"%s/%s\",\"version\":\"%s\"", r->id.ns,
                   r->id.name, semver_format(&r->version, version)));
    TRY(put_member(out, "title", record_text(r, "title")));
    TRY(put_member(out, "description", record_text(r, "description")));
    TRY(put_member_array(out, "tags", metadata));
    TRY(put_member_array(out, "categories", metadata));
    TRY(put_member(out, "license", record_text(r, "license")));
    TRY(put_member(out, "trust", record_trust_name(trust)));
    TRY(put_member(out, "updated_at", updated ? updated : ""));
    if (publisher == NULL)
        return buf_put_str(out, ",\"publisher\":null");
    return put_member(out, "publisher", publisher);
}

/* ---- The draft. ---- */

static void put_keys(struct listing_draft *d)
{
    char name[PACKAGE_NAME_MAX + 1], title[4 * RECORD_TITLE_MAX + 1];
    const char *c[LISTING_COLUMNS];

    doc_columns(&d->doc, c);
    (void)query_fold(span_str(c[0]), name, sizeof(name));
    (void)query_fold(span_str(c[2]), title, sizeof(title));
    d->name_key = text_key(name);
    d->title_key = text_key(title);
}

enum err listing_draft_make(struct listing_draft *d, const struct record *head,
                            enum record_trust trust, bool has_cache,
                            const struct mem *mem)
{
    enum err err;

    *d = (struct listing_draft){.trust = trust};
    buf_init(&d->summary, DOC_BYTES_MAX, mem);
    err = doc_of_record(&d->doc, head, trust, mem);
    if (err == OK)
        err = put_summary(&d->summary, head, trust);
    if (err != OK) {
        listing_draft_release(d);
        return err;
    }
    put_keys(d);
    if (has_cache)
        doc_words(&d->doc, &d->words);
    return OK;
}

void listing_draft_release(struct listing_draft *d)
{
    if (d->summary.mem != NULL)
        mem_free(d->summary.mem, d->doc.text);
    d->doc = (struct doc){0};
    buf_release(&d->summary);
}

/* ---- The slot. ---- */

static double stat_of(const struct record *r, const char *name)
{
    const json_t *stats = json_object_get(r->json, "stats");
    json_int_t value = json_integer_value(json_object_get(stats, name));

    return value > 0 ? (double)value : 0;
}

static double at_most_1(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* 0…1: trust, the source's reputation, use, and how lately it was updated. */
static double static_quality(const struct listing_source *source,
                             const struct record *head, wall_ms wall)
{
    static const double year_ms = 365.0 * 24 * 3600 * 1000;
    double use = stat_of(head, "downloads") + 10 * stat_of(head, "stars");
    double age = at_most_1((double)(wall - head->updated_at) / (3 * year_ms));
    double reputation = source->is_own ? 1 : source->reputation;

    return 0.40 * (double)source->trust / TRUST_SELF_CERTIFIED +
           0.20 * at_most_1(reputation) + 0.25 * at_most_1(log10(1 + use) / 6) +
           0.15 * (1 - age);
}

static int quality_class(const struct listing_source *source,
                         const struct record *head, wall_ms wall)
{
    return (int)(static_quality(source, head, wall) *
                 (SLOT_QUALITY_MAX + 0.999));
}

static bool is_near(int a, int b)
{
    return a - b <= 1 && b - a <= 1;
}

bool listing_is_misplaced(const struct listing_source *source,
                          const struct record *head, wall_ms wall)
{
    return !is_near(slot_quality(source->slot),
                    quality_class(source, head, wall));
}

/* A package moves when its text is another one, or it is off by more than one
 * class. */
static int64_t choose_slot(struct store *s, const struct listing_source *source,
                           const struct record *head, bool is_same_text,
                           size_t words, wall_ms wall)
{
    int quality = quality_class(source, head, wall);

    if (is_same_text && is_near(slot_quality(source->slot), quality))
        return source->slot;
    return slot_make(quality, s->tally.next_slot++, words);
}

/* ---- Rows. ---- */

static enum err put_columns(const struct db *db, struct buf *out)
{
    for (int i = 0; i < LISTING_COLUMNS; i++)
        TRY(put_text(out, db_text(db, SQL_LISTING_TEXTS, i)));
    return OK;
}

/* The texts as they are indexed at |slot|; none if it is 0. */
static enum err doc_of_slot(struct store *s, int64_t slot, struct doc *doc)
{
    struct buf out;
    bool has_row;
    enum err err;

    if (slot == 0)
        return OK;
    buf_init(&out, DOC_BYTES_MAX, s->mem);
    err = db_query(&s->db, SQL_LISTING_TEXTS, &has_row, "i", slot);
    if (err == OK && !has_row)
        err = ERR_STORE_CORRUPT;
    if (err == OK)
        err = put_columns(&s->db, &out);
    db_done(&s->db, SQL_LISTING_TEXTS);
    if (err == OK)
        err = doc_take(doc, &out);
    buf_release(&out);
    return err;
}

static enum err write_row(struct store *s, const struct listing_source *source,
                          const struct record *r, int64_t slot,
                          const struct listing_draft *d)
{
    const char *c[LISTING_COLUMNS];
    struct precedence precedence;

    doc_columns(&d->doc, c);
    return db_run(&s->db, SQL_LISTING_PUT, "iiiiiidiisstttttttttst", slot,
                  source->package, (int64_t)source->trust, (int64_t)r->sequence,
                  (int64_t)r->updated_at, (int64_t)stat_of(r, "downloads"),
                  source->is_own ? 1.0 : source->reputation, d->name_key,
                  d->title_key, precedence_encode(&r->version, &precedence),
                  peer_id_span(&r->publisher), c[1], c[0], c[2], c[3], c[4],
                  c[7], c[6], c[8], c[9], buf_span(&d->summary), c[5]);
}

static enum err read_hits(struct store *s, struct index_op *op)
{
    const char *c[LISTING_COLUMNS];

    doc_columns(&op->doc, c);
    return postings_read(s->postings, s->tokens, c, &op->hits);
}

static enum err put_draft(struct store *s, const struct listing_source *source,
                          const struct record *head,
                          const struct listing_draft *d, wall_ms wall,
                          bool is_same_text, struct index_op *is)
{
    TRY(read_hits(s, is));
    is->slot = choose_slot(s, source, head, is_same_text, is->hits.words, wall);
    cache_changes_add(&s->changes, &d->words);
    if (source->slot != 0 && is->slot != source->slot)
        TRY(db_run(&s->db, SQL_LISTING_DELETE, "i", source->slot));
    return write_row(s, source, head, is->slot, d);
}

/* What was indexed is no more. */
static enum err add_drop(struct store *s, struct index_op *was)
{
    doc_changed(s, &was->doc);
    if (postings_state(s->postings) != POSTINGS_EMPTY)
        TRY(read_hits(s, was));
    s->tally.words -= slot_words(was->slot);
    return ops_add(s, was);
}

/* |is| takes the place of what was indexed at |slot|; 0: nothing was. */
static enum err reindex(struct store *s, int64_t slot, struct index_op *was,
                        struct index_op *is)
{
    if (slot == is->slot)
        return OK;
    if (slot == 0)
        s->tally.listed++;
    else
        TRY(add_drop(s, was));
    s->tally.words += slot_words(is->slot);
    return ops_add(s, is);
}

static enum err put(struct store *s, const struct listing_source *source,
                    const struct record *head, const struct listing_draft *d,
                    wall_ms wall, struct index_op *is)
{
    struct index_op was = {.slot = source->slot, .is_delete = true};
    enum err err = doc_of_slot(s, source->slot, &was.doc);

    if (err == OK)
        err = put_draft(s, source, head, d, wall,
                        source->slot != 0 && doc_eq(&was.doc, &is->doc), is);
    if (err == OK)
        err = reindex(s, source->slot, &was, is);
    mem_free(s->mem, was.doc.text);
    posting_hits_release(s->postings, &was.hits);
    posting_hits_release(s->postings, &is->hits);
    return err;
}

/* A draft of our own gives its texts to the index. */
static enum err put_anew(struct store *s, const struct listing_source *source,
                         const struct record *head, wall_ms wall, int64_t *slot)
{
    struct listing_draft d;
    struct index_op is = {0};
    enum err err;

    TRY(listing_draft_make(&d, head, source->trust, s->cache != NULL, s->mem));
    is.doc = d.doc;
    err = put(s, source, head, &d, wall, &is);
    *slot = is.slot;
    d.doc = is.doc;
    listing_draft_release(&d);
    return err;
}

enum err listing_put(struct store *s, const struct listing_source *source,
                     const struct record *head,
                     const struct listing_draft *draft, wall_ms wall,
                     int64_t *slot)
{
    struct index_op is;
    enum err err;

    if (draft == NULL || draft->trust != source->trust)
        return put_anew(s, source, head, wall, slot);
    is = (struct index_op){.is_borrowed = true, .doc = draft->doc};
    err = put(s, source, head, draft, wall, &is);
    *slot = is.slot;
    return err;
}

enum err listing_drop(struct store *s, int64_t slot)
{
    struct index_op was = {.slot = slot, .is_delete = true};
    enum err err;

    if (slot == 0)
        return OK;
    err = doc_of_slot(s, slot, &was.doc);
    if (err == OK)
        err = db_run(&s->db, SQL_LISTING_DELETE, "i", slot);
    if (err == OK)
        err = add_drop(s, &was);
    if (err == OK)
        s->tally.listed--;
    mem_free(s->mem, was.doc.text);
    posting_hits_release(s->postings, &was.hits);
    return err;
}
