/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "store/catalogue.h"
#include "store/chores.h"
#include "store/files.h"
#include "store/schema.h"
#include "store/score.h"
#include "store/state.h"
#include "tbl/limit.h"

enum {
    OTHERS_BYTES_DEFAULT = 1 << 30,
    CHECK_BYTES_MAX = 128 << 20, /* a larger database is not read through */
};

/* ---- Opening. ---- */

static enum err copy_trust(struct store *s, const struct store_config *config)
{
    s->trust =
        mem_try_zero(s->mem, (config->trust_count + 1) * sizeof(*s->trust));
    if (s->trust == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->trust_count; i++) {
        char *ns = strdup(config->trust[i].namespace);

        if (ns == NULL)
            return ERR_NOMEM;
        s->trust[i].namespace = ns;
        s->trust[i].owner = config->trust[i].owner;
        s->trust_count++;
    }
    return OK;
}

static enum err pragmas(struct store *s)
{
    TRY(db_exec(&s->db, "PRAGMA journal_mode=WAL;"
                        "PRAGMA synchronous=FULL;"
                        "PRAGMA journal_size_limit=67108864;"
                        "PRAGMA wal_autocheckpoint=4000;"
                        "PRAGMA cache_size=-8192;"
                        "PRAGMA temp_store=MEMORY;"
                        "PRAGMA trusted_schema=OFF"));
    s->is_synced = true;
    return OK;
}

/* Is every page of it sound? */
static enum err check(struct store *s, char *why)
{
    enum err err;
    bool has_row;
    struct stat st;

    if (stat(s->path, &st) != 0 || st.st_size > CHECK_BYTES_MAX)
        return OK;
    err = db_query(&s->db, SQL_QUICK_CHECK, &has_row, "");
    if (err == OK && has_row &&
        strcmp(db_text(&s->db, SQL_QUICK_CHECK, 0), "ok") != 0)
        err = ERR_STORE_CORRUPT;
    if (err == ERR_STORE_CORRUPT)
        snprintf(why, STORE_WHY_MAX,
                 "%s is damaged (%s); put a backup in its place, or move it"
                 " away to start with an empty one (the identity stays)",
                 s->path,
                 has_row ? db_text(&s->db, SQL_QUICK_CHECK, 0)
                         : sqlite3_errmsg(s->db.handle));
    db_done(&s->db, SQL_QUICK_CHECK);
    return err;
}

/* A database that nobody marked and that is not empty is somebody else's. */
static enum err check_owner(struct store *s, char *why)
{
    int64_t application, tables;

    TRY(db_get_int(&s->db, SQL_APPLICATION, 0, &application, ""));
    TRY(db_get_int(&s->db, SQL_SCHEMA_COUNT, 0, &tables, ""));
    if (application == SCHEMA_APPLICATION || (application == 0 && tables == 0))
        return OK;
    snprintf(why, STORE_WHY_MAX,
             "%s is a database of another program; choose another data"
             " directory (--data)",
             s->path);
    return ERR_STORE_CORRUPT;
}

/* Until it is known to be good, closing it must not write to it either. */
static enum err inspect(struct store *s, char *why)
{
    enum err err;

    (void)sqlite3_db_config(s->db.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                            NULL);
    err = check_owner(s, why);
    if (err == OK)
        err = check(s, why);
    if (err == OK)
        (void)sqlite3_db_config(s->db.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
                                0, NULL);
    return err;
}

/* What a migration may need. */
static enum err open_words(struct store *s)
{
    TRY(score_register(s->db.handle));
    TRY(tokens_open(s->db.handle, &s->tokens));
    return tokens_register(s->tokens, s->db.handle);
}

static enum err open_file(struct store *s, char *why)
{
    enum { FLAGS = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE };
    bool is_new;

    TRY(schema_probe(s->path, &is_new, why, STORE_WHY_MAX));
    TRY(db_open(&s->db, s->path, FLAGS, s->log));
    if (!is_new)
        TRY(inspect(s, why));
    TRY(pragmas(s));
    TRY(open_words(s));
    TRY(schema_migrate(&s->db));
    /* The file's own header tells its version from now on. */
    TRY(db_exec(&s->db, "PRAGMA wal_checkpoint(TRUNCATE)"));
    (void)chmod(s->path, 0600);
    return OK;
}

static enum err open_memory(struct store *s)
{
    TRY(db_open(&s->db, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                s->log));
    TRY(db_exec(&s->db, "PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY"));
    TRY(open_words(s));
    return schema_migrate(&s->db);
}

/* ---- Counting. ---- */

static enum err read_slots(struct store *s, struct tally *t)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_LISTING_SLOTS, &has_row, "iii",
                            INT64_MIN, INT64_MIN, INT64_MAX);

    while (err == OK && has_row) {
        int64_t slot = db_int(&s->db, SQL_LISTING_SLOTS, 0);

        t->words += slot_words(slot);
        if (slot_order(slot) > t->next_slot)
            t->next_slot = slot_order(slot);
        err = db_next(&s->db, SQL_LISTING_SLOTS, &has_row);
    }
    t->next_slot++;
    db_done(&s->db, SQL_LISTING_SLOTS);
    return err;
}

static enum err read_tally(struct store *s)
{
    struct tally *t = &s->tally;
    bool has_row;
    enum err err;

    err = db_query(&s->db, SQL_TALLY_PACKAGES, &has_row, "");
    t->next_package = db_int(&s->db, SQL_TALLY_PACKAGES, 0) + 1;
    t->packages = db_int(&s->db, SQL_TALLY_PACKAGES, 1);
    t->listed = db_int(&s->db, SQL_TALLY_PACKAGES, 2);
    t->own = db_int(&s->db, SQL_TALLY_PACKAGES, 3);
    t->others_bytes = db_int(&s->db, SQL_TALLY_PACKAGES, 4);
    t->versions = db_int(&s->db, SQL_TALLY_PACKAGES, 5);
    db_done(&s->db, SQL_TALLY_PACKAGES);
    TRY(err);

    err = db_query(&s->db, SQL_TALLY_OUTBOX, &has_row, "");
    t->next_outbox = db_int(&s->db, SQL_TALLY_OUTBOX, 0) + 1;
    t->outbox = db_int(&s->db, SQL_TALLY_OUTBOX, 1);
    db_done(&s->db, SQL_TALLY_OUTBOX);
    TRY(err);

    TRY(db_get_int(&s->db, SQL_TALLY_VERSION, 0, &t->next_version, ""));
    t->next_version++;
    return read_slots(s, t);
}

void shown_update(struct store *s)
{
    const struct tally *t = &s->tally;

    atomic_store(&s->shown.packages, t->packages);
    atomic_store(&s->shown.listed, t->listed);
    atomic_store(&s->shown.words, t->words);
    atomic_store(&s->shown.versions, t->versions);
    atomic_store(&s->shown.own, t->own);
    atomic_store(&s->shown.outbox, t->outbox);
    atomic_store(&s->shown.others_bytes, t->others_bytes);
    atomic_store(&s->shown.evicted, t->evicted);
    atomic_store(&s->shown.refused, t->refused);
}

void store_counts(const struct store *s, struct store_counts *out)
{
    struct postings_status lists;

    postings_status(s->postings, &lists);
    *out = (struct store_counts){
        .packages = (uint64_t)atomic_load(&s->shown.packages),
        .listed = (uint64_t)atomic_load(&s->shown.listed),
        .versions = (uint64_t)atomic_load(&s->shown.versions),
        .own = (uint64_t)atomic_load(&s->shown.own),
        .outbox = (uint64_t)atomic_load(&s->shown.outbox),
        .others_bytes = (uint64_t)atomic_load(&s->shown.others_bytes),
        .others_bytes_max = (uint64_t)s->others_bytes_max,
        .outbox_max = (uint64_t)s->outbox_max,
        .lists_bytes = lists.bytes,
        .lists_bytes_max = lists.bytes_max,
        .lists_refused = lists.refused,
        .outbox_refused = (uint64_t)atomic_load(&s->shown.outbox_refused),
        .versions_refused = (uint64_t)atomic_load(&s->shown.versions_refused),
        .evicted = (uint64_t)atomic_load(&s->shown.evicted),
        .refused = (uint64_t)atomic_load(&s->shown.refused),
        .failures = (uint64_t)atomic_load(&s->shown.failures),
    };
}

uint64_t store_memory(void)
{
    return (uint64_t)sqlite3_memory_used();
}

bool store_owes(const struct store *s)
{
    return s->chores.is_owed;
}

bool store_writes(const struct store *s)
{
    return atomic_load(&s->shown.writes);
}

/* ---- Identity. ---- */

/* Whose store this is: kept inside, so that a lost key file is noticed. */
static enum err stored_self(struct store *s, struct peer_id *out)
{
    bool has_row;
    enum err err = db_query(&s->db, SQL_SETTING_GET, &has_row, "t", "self");

    *out = (struct peer_id){0};
    if (err == OK && has_row)
        err = peer_id_decode(out, db_blob(&s->db, SQL_SETTING_GET, 0));
    db_done(&s->db, SQL_SETTING_GET);
    return err;
}

static enum err load_identity(struct store *s,
                              const struct store_config *config, char *why)
{
    char path[4096];
    struct peer_id was;
    bool is_new;
    enum err err;

    TRY(stored_self(s, &was));
    if (config->identity_file)
        snprintf(path, sizeof(path), "%s", config->identity_file);
    else
        snprintf(path, sizeof(path), "%s/identity.key", config->dir);
    err = files_identity(path, peer_id_is_none(&was), config->rng, &s->identity,
                         &is_new, why);
    if (err == ERR_NOT_FOUND)
        return ERR_CONFIG;
    TRY(err);
    peer_id_from_ed25519(&s->self, s->identity.pub);
    if (peer_id_eq(&was, &s->self))
        return OK;
    if (!peer_id_is_none(&was))
        log_warn(s->log, "store",
                 "the identity key is another one than before path=%s", path);
    return db_run(&s->db, SQL_SETTING_PUT, "ts", "self",
                  peer_id_span(&s->self));
}

static enum err load_files(struct store *s, const struct store_config *config,
                           char *why)
{
    char path[4096];

    if (config->dir == NULL) {
        ed25519_generate(&s->identity, config->rng);
        peer_id_from_ed25519(&s->self, s->identity.pub);
        files_make_token(config->rng, s->token);
        return OK;
    }
    TRY(load_identity(s, config, why));
    snprintf(path, sizeof(path), "%s/admin-token", config->dir);
    return files_token(path, config->rng, s->token, why);
}

/* ---- The whole. ---- */

static enum err open_store(struct store *s, const struct store_config *config,
                           wall_ms wall, char *why)
{
    TRY(copy_trust(s, config));
    if (config->dir != NULL) {
        TRY(files_lock_dir(config->dir, &s->lock_fd, why));
        if (asprintf(&s->path, "%s/souk.db", config->dir) < 0)
            return ERR_NOMEM;
        TRY(open_file(s, why));
    } else {
        TRY(open_memory(s));
    }
    TRY(listing_tune(s));
    TRY(load_files(s, config, why));
    TRY(read_tally(s));
    atomic_store(&s->shown.writes, true);
    TRY(chores_start(s, wall));
    shown_update(s);
    return OK;
}

/* Else each connection begins with twenty pages, touched though empty.  Before
 * anything else is asked of SQLite. */
static void set_up_sqlite(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
}

enum err store_open(const struct store_config *config, wall_ms wall,
                    struct store **out, char why[STORE_WHY_MAX])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct store *s = mem_new(&mem_libc, sizeof(*s));
    enum err err;

    s->lock_fd = -1;
    s->mem = config->mem ? config->mem : &mem_libc;
    s->log = config->log;
    s->network = config->network;
    s->cache = config->cache;
    s->others_bytes_max = config->catalogue_bytes_max
                              ? (int64_t)config->catalogue_bytes_max
                              : OTHERS_BYTES_DEFAULT;
    s->outbox_max =
        config->outbox_max ? (int64_t)config->outbox_max : LIMIT_OUTBOX_MAX;
    s->postings = postings_new(s->mem, LIMIT_POSTINGS_BYTES_MAX);
    why[0] = '\0';
    (void)pthread_once(&once, set_up_sqlite);
    /* From there on connections reuse their own pages. */
    (void)sqlite3_soft_heap_limit64(LIMIT_DATABASE_CACHE_BYTES_MAX);
    err = open_store(s, config, wall, why);
    if (err == OK) {
        *out = s;
        return OK;
    }
    if (why[0] == '\0')
        snprintf(why, STORE_WHY_MAX, "%s: %s%s%s",
                 s->path ? s->path : "the store in memory", err_text(err),
                 s->db.handle ? ": " : "",
                 s->db.handle ? sqlite3_errmsg(s->db.handle) : "");
    store_close(s);
    return err;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    tokens_close(s->tokens);
    db_close(&s->db);
    for (size_t i = 0; i < s->trust_count; i++)
        free((void *)(uintptr_t)s->trust[i].namespace);
    mem_free(s->mem, s->trust);
    index_ops_release(s);
    postings_free(s->postings);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    free(s->path);
    crypto_wipe(&s->identity, sizeof(s->identity));
    free(s);
}

const struct ed25519_keypair *store_identity(const struct store *s)
{
    return &s->identity;
}

const struct peer_id *store_self(const struct store *s)
{
    return &s->self;
}

const char *store_admin_token(const struct store *s)
{
    return s->token;
}

enum err store_load(struct store *s, const struct store_sink *sink,
                    wall_ms wall)
{
    TRY(state_load(&s->db, sink, wall));
    return sink->term ? terms_load(s, sink) : OK;
}
