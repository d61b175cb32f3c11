/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chores.h"

#include <stdlib.h>

#include "base/buf.h"
#include "store/catalogue.h"
#include "store/fill.h"
#include "store/perform.h"

#define EXPIRE_EVERY_MS ((wall_ms)60 * 1000)
#define PLACE_EVERY_MS ((wall_ms)6 * 3600 * 1000)
#define COUNT_EVERY_MS ((wall_ms)30 * 60 * 1000)

/* ---- Expire, evict. ---- */

static enum err expire(struct store *s, wall_ms wall, bool *more)
{
    int64_t gone;

    TRY(db_run(&s->db, SQL_RECORD_EXPIRE, "ii", (int64_t)wall,
               (int64_t)CHORE_EXPIRE_MAX));
    gone = sqlite3_changes64(s->db.handle);
    TRY(db_run(&s->db, SQL_PROVIDER_EXPIRE, "ii", (int64_t)wall,
               (int64_t)CHORE_EXPIRE_MAX));
    if (sqlite3_changes64(s->db.handle) > gone)
        gone = sqlite3_changes64(s->db.handle);
    *more = gone == CHORE_EXPIRE_MAX;
    if (!*more)
        s->chores.expiry_due = wall + EXPIRE_EVERY_MS;
    return OK;
}

static enum err find_one(struct store *s, enum sql id, struct package_row *row)
{
    bool has_row;
    enum err err = db_query(&s->db, id, &has_row, "");

    if (err == OK && has_row)
        package_row_read(&s->db, id, row);
    db_done(&s->db, id);
    return err;
}

/* What is yanked as a whole is of the least use. */
static enum err find_worst(struct store *s, struct package_row *row)
{
    TRY(find_one(s, SQL_PACKAGE_UNLISTED, row));
    return row->id ? OK : find_one(s, SQL_PACKAGE_WORST, row);
}

static bool is_over(const struct store *s)
{
    return s->tally.others_bytes > s->others_bytes_max;
}

static enum err evict(struct store *s, wall_ms wall, bool *more)
{
    (void)wall;
    for (int i = 0; i < CHORE_EVICT_MAX && is_over(s); i++) {
        struct package_row row = {0};

        TRY(find_worst(s, &row));
        if (row.id == 0)
            return ERR_STORE_CORRUPT; /* bytes of packages that are not */
        TRY(catalogue_remove(s, &row));
        cache_changes_loss(&s->changes);
        s->tally.evicted++;
    }
    *more = is_over(s);
    return OK;
}

/* ---- Packages looked at one after the other. ---- */

/* The rows are read first: a statement must not be on its way while its table
 * is written. */
struct batch {
    struct package_row rows[CHORE_PACKAGES_MAX];
    size_t count;
};

static enum err batch_read(struct db *db, enum sql id, struct batch *b,
                           bool has_row)
{
    b->count = 0;
    while (has_row && b->count < CHORE_PACKAGES_MAX) {
        package_row_read(db, id, &b->rows[b->count++]);
        TRY(db_next(db, id, &has_row));
    }
    return OK;
}

static enum err judge_row(struct store *s, const struct package_row *row,
                          struct owner_verdict *verdict)
{
    struct owner_facts facts;

    TRY(facts_of_owner(&s->db, s, &row->name, &facts));
    owner_judge(&row->name, &row->publisher, &facts, verdict);
    return OK;
}

static enum err rejudge_row(struct store *s, const struct package_row *row,
                            wall_ms wall)
{
    struct owner_verdict verdict;

    TRY(judge_row(s, row, &verdict));
    if (verdict.is_conflict && !row->is_own)
        return catalogue_remove(s, row);
    return catalogue_relist(s, row, verdict.trust, wall);
}

static enum err rejudge_batch(struct store *s, const char *ns,
                              const char *after, struct batch *b, wall_ms wall)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_PACKAGE_OF_NS, &has_row, "tti", ns,
                            after, (int64_t)CHORE_PACKAGES_MAX);

    if (err == OK)
        err = batch_read(&s->db, SQL_PACKAGE_OF_NS, b, has_row);
    db_done(&s->db, SQL_PACKAGE_OF_NS);
    for (size_t i = 0; i < b->count && err == OK; i++)
        err = rejudge_row(s, &b->rows[i], wall);
    TRY(err);
    if (b->count < CHORE_PACKAGES_MAX)
        return db_run(&s->db, SQL_REJUDGE_DELETE, "t", ns);
    return db_run(&s->db, SQL_REJUDGE_MOVE, "tt", ns,
                  b->rows[b->count - 1].name.name);
}

static enum err rejudge(struct store *s, wall_ms wall, bool *more)
{
    char ns[PACKAGE_NAME_MAX + 1] = "", after[PACKAGE_NAME_MAX + 1] = "";
    struct batch *b;
    enum err err = db_query(&s->db, SQL_REJUDGE_GET, more, "");

    if (err == OK && *more) {
        snprintf(ns, sizeof(ns), "%s", db_text(&s->db, SQL_REJUDGE_GET, 0));
        snprintf(after, sizeof(after), "%s",
                 db_text(&s->db, SQL_REJUDGE_GET, 1));
    }
    db_done(&s->db, SQL_REJUDGE_GET);
    s->chores.is_owed = err != OK || *more;
    if (err != OK || !*more)
        return err;
    b = mem_new(s->mem, sizeof(*b));
    err = rejudge_batch(s, ns, after, b, wall);
    mem_free(s->mem, b);
    return err;
}

static enum err place_row(struct store *s, const struct package_row *row,
                          wall_ms wall)
{
    struct listing_source source = {.slot = row->slot,
                                    .is_own = row->is_own,
                                    .reputation = row->reputation};
    struct owner_verdict verdict;
    struct record head = {0};
    bool is_misplaced;

    if (row->slot == 0)
        return OK;
    TRY(judge_row(s, row, &verdict));
    source.trust = verdict.trust;
    TRY(catalogue_head(s, row->id, &head));
    is_misplaced = listing_is_misplaced(&source, &head, wall);
    record_release(&head);
    return is_misplaced ? catalogue_relist(s, row, verdict.trust, wall) : OK;
}

static enum err place_batch(struct store *s, struct batch *b, wall_ms wall)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_PACKAGE_AFTER, &has_row, "ii",
                            s->chores.package, (int64_t)CHORE_PACKAGES_MAX);

    if (err == OK)
        err = batch_read(&s->db, SQL_PACKAGE_AFTER, b, has_row);
    db_done(&s->db, SQL_PACKAGE_AFTER);
    for (size_t i = 0; i < b->count && err == OK; i++)
        err = place_row(s, &b->rows[i], wall);
    return err;
}

static enum err place(struct store *s, wall_ms wall, bool *more)
{
    struct batch *b = mem_new(s->mem, sizeof(*b));
    enum err err = place_batch(s, b, wall);

    *more = b->count == CHORE_PACKAGES_MAX;
    if (*more) {
        s->chores.package = b->rows[b->count - 1].id;
    } else {
        s->chores.package = 0;
        s->chores.quality_due = wall + PLACE_EVERY_MS;
    }
    mem_free(s->mem, b);
    return err;
}

/* ---- Counting words. ---- */

struct word_count {
    char word[sizeof(((struct chores *)0)->word)];
    int64_t packages;
};
struct word_counts {
    struct word_count list[CHORE_WORDS_MAX];
    size_t count;
    char last[sizeof(((struct chores *)0)->word)];
    bool is_end;
};

static enum err read_words(struct store *s, struct word_counts *w, bool has_row)
{
    int64_t postings = 0;

    w->is_end = true;
    for (int seen = 0; has_row; seen++) {
        const char *word = db_text(&s->db, SQL_VOCABULARY_AFTER, 0);
        int64_t packages = db_int(&s->db, SQL_VOCABULARY_AFTER, 1);

        if (seen == CHORE_WORDS_MAX || postings > CHORE_POSTINGS_MAX) {
            w->is_end = false;
            return OK;
        }
        snprintf(w->last, sizeof(w->last), "%s", word);
        postings += packages;
        if (packages >= COMMON_WORD_MIN &&
            strncmp(word, HEAD_MARK, strlen(HEAD_MARK)) != 0 &&
            strlen(word) < sizeof(w->last)) {
            struct word_count *c = &w->list[w->count++];

            snprintf(c->word, sizeof(c->word), "%s", word);
            c->packages = packages;
        }
        TRY(db_next(&s->db, SQL_VOCABULARY_AFTER, &has_row));
    }
    return OK;
}

static enum err write_words(struct store *s, const struct word_counts *w)
{
    if (w->is_end)
        TRY(db_run(&s->db, SQL_COMMON_DELETE_AFTER, "t", s->chores.word));
    else
        TRY(db_run(&s->db, SQL_COMMON_DELETE_BETWEEN, "tt", s->chores.word,
                   w->last));
    for (size_t i = 0; i < w->count; i++)
        TRY(db_run(&s->db, SQL_COMMON_PUT, "ti", w->list[i].word,
                   w->list[i].packages));
    return OK;
}

static enum err count_batch(struct store *s, struct word_counts *w)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_VOCABULARY_AFTER, &has_row, "ti",
                            s->chores.word, (int64_t)CHORE_WORDS_MAX + 1);

    if (err == OK)
        err = read_words(s, w, has_row);
    db_done(&s->db, SQL_VOCABULARY_AFTER);
    return err == OK ? write_words(s, w) : err;
}

static enum err count(struct store *s, wall_ms wall, bool *more)
{
    struct word_counts *w = mem_new(s->mem, sizeof(*w));
    enum err err;

    if (s->chores.word[0] == '\0')
        s->chores.counted = s->tally.listed;
    err = count_batch(s, w);
    *more = !w->is_end;
    if (*more) {
        memcpy(s->chores.word, w->last, sizeof(s->chores.word));
    } else {
        s->chores.word[0] = '\0';
        s->chores.count_due = wall + COUNT_EVERY_MS;
        fill_start(s);
    }
    mem_free(s->mem, w);
    return err;
}

/* ---- One step. ---- */

/* Counts are of use while the catalogue is much as it was. */
static bool is_count_due(const struct store *s, wall_ms wall)
{
    const struct chores *c = &s->chores;

    return wall >= c->count_due || c->word[0] != '\0' ||
           s->tally.listed > c->counted + c->counted / 2 + COUNT_GROWTH_MIN;
}

static enum err do_chore(struct store *s, wall_ms wall, bool *more)
{
    struct chores *c = &s->chores;

    if (is_over(s))
        return evict(s, wall, more);
    if (wall >= c->expiry_due)
        return expire(s, wall, more);
    TRY(rejudge(s, wall, more));
    if (*more)
        return OK;
    if (is_count_due(s, wall))
        return count(s, wall, more);
    if (fill_is_due(s))
        return fill_step(s, more);
    if (wall >= c->quality_due)
        return place(s, wall, more);
    return c->is_unmerged ? listing_merge(s, more) : OK;
}

static bool is_any_due(const struct store *s, wall_ms wall)
{
    const struct chores *c = &s->chores;

    return is_over(s) || wall >= c->expiry_due || is_count_due(s, wall) ||
           fill_is_due(s) || wall >= c->quality_due || c->is_unmerged;
}

enum err store_maintain(struct store *s, wall_ms wall, bool *more)
{
    struct txn t;
    enum err err;

    *more = false;
    TRY(txn_begin(s, &t));
    err = do_chore(s, wall, more);
    err = txn_end(s, &t, err);
    *more = err == OK && (*more || is_any_due(s, wall));
    return err;
}

/* ---- The operator's trust. ---- */

static enum err put_trust(const struct store *s, struct buf *out)
{
    char peer[PEER_ID_TEXT_MAX];

    for (size_t i = 0; i < s->trust_count; i++)
        TRY(buf_printf(out, "%s %s\n", s->trust[i].namespace,
                       peer_id_format(&s->trust[i].owner, peer)));
    return buf_put_u8(out, '\0');
}

static const char *text_of(const struct buf *b)
{
    const char *text = (const char *)buf_span(b).data;

    return text ? text : "";
}

static enum err rejudge_lines(struct store *s, const char *lines)
{
    char ns[PACKAGE_NAME_MAX + 1];

    while (*lines) {
        snprintf(ns, sizeof(ns), "%.*s", (int)strcspn(lines, " "), lines);
        TRY(db_run(&s->db, SQL_REJUDGE_PUT, "t", ns));
        lines += strcspn(lines, "\n");
        lines += *lines == '\n';
    }
    return OK;
}

static enum err get_setting(struct store *s, const char *name, struct buf *out)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_SETTING_GET, &has_row, "t", name);

    if (err == OK && has_row)
        err = buf_put(out, db_blob(&s->db, SQL_SETTING_GET, 0));
    db_done(&s->db, SQL_SETTING_GET);
    return err;
}

static enum err compare_trust(struct store *s, struct buf *was, struct buf *is)
{
    TRY(get_setting(s, "trust", was));
    TRY(put_trust(s, is));
    if (strcmp(text_of(was), text_of(is)) == 0)
        return OK;
    TRY(rejudge_lines(s, text_of(was)));
    TRY(rejudge_lines(s, text_of(is)));
    return db_run(&s->db, SQL_SETTING_PUT, "ts", "trust", buf_span(is));
}

enum err chores_start(struct store *s, wall_ms wall)
{
    enum { TRUST_BYTES_MAX = 1 << 20 };
    struct buf was, is;
    struct txn t;
    enum err err;

    s->chores.expiry_due = wall;
    s->chores.count_due = wall;
    s->chores.quality_due = wall + PLACE_EVERY_MS;
    buf_init(&was, TRUST_BYTES_MAX, s->mem);
    buf_init(&is, TRUST_BYTES_MAX, s->mem);
    err = txn_begin(s, &t);
    if (err == OK)
        err = txn_end(s, &t, compare_trust(s, &was, &is));
    buf_release(&was);
    buf_release(&is);
    return err;
}
