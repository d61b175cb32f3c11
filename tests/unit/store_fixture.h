/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_STORE_FIXTURE_H
#define UNIT_STORE_FIXTURE_H

#include <ftw.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record_fixture.h"
#include "store/reader.h"
#include "store/store.h"
#include "tbl/network.h"

/* A store in a directory of its own, or in memory, and the jobs done at once.
 */
static inline void seeded_fill(void *ctx, void *out, size_t n)
{
    struct rng rng = rng_seeded(ctx, ((struct rng_seeded *)ctx)->state);

    rng_fill(&rng, out, n);
}

static struct rng_seeded fixture_seed = {.state = 7};
static const struct rng fixture_rng = {.fill = seeded_fill,
                                       .ctx = &fixture_seed};

static inline void fixture_log_write(void *ctx, enum log_level level,
                                     const char *room, const char *line)
{
    (void)ctx;
    print_message("%s %s: %s\n", log_level_name(level), room, line);
}
static const struct log fixture_log = {.write = fixture_log_write,
                                       .level = LOG_ERROR};

static inline const char *fixture_dir(void)
{
    static char dir[64];

    snprintf(dir, sizeof(dir), "/tmp/souk-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline int fixture_unlink(const char *path, const struct stat *st,
                                 int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void fixture_remove(const char *dir)
{
    (void)nftw(dir, fixture_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *fixture_path(const char *dir, const char *name)
{
    static char path[512];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static inline struct store_config fixture_config(const char *dir)
{
    return (struct store_config){
        .dir = dir, .network = network_find("souk"), .rng = &fixture_rng};
}

static inline struct store *fixture_open(const struct store_config *config)
{
    char why[STORE_WHY_MAX];
    struct store *s = NULL;
    enum err err = store_open(config, FIXTURE_WALL, &s, why);

    if (err != OK)
        fail_msg("%s: %s", err_name(err), why);
    return s;
}

static inline struct store *fixture_memory(void)
{
    struct store_config config = fixture_config(NULL);

    return fixture_open(&config);
}

static inline struct reader *fixture_reader(struct store *s)
{
    struct reader *r = NULL;

    assert_ok(reader_open(s, &r));
    return r;
}

/* Do the one job; its result is still in it. */
static inline enum err fixture_do(struct store *s, struct job *job)
{
    assert_non_null(job);
    store_perform(s, &job, 1, FIXTURE_WALL);
    return job->err;
}

/* … and free it. */
static inline enum err fixture_do_free(struct store *s, struct job *job)
{
    enum err err = fixture_do(s, job);

    job_free(job);
    return err;
}

static inline struct job *
fixture_publish_job(const char *id, const char *version, const char *more)
{
    struct record r;

    fixture_input(&r, id, version, more);
    return job_publish(&r);
}

static inline enum err fixture_publish(struct store *s, const char *id,
                                       const char *version, const char *more)
{
    return fixture_do_free(s, fixture_publish_job(id, version, more));
}

/* A record of the |nth| key, heard from somebody. */
static inline struct job *fixture_accept_job(const char *id,
                                             const char *version,
                                             const char *more, uint8_t nth,
                                             uint64_t sequence, bool pin)
{
    struct ed25519_keypair key = fixture_key(nth);
    struct peer_id from;
    struct record r;
    struct job *job;

    fixture_peer(99, &from);
    fixture_signed(&r, id, version, more, &key, sequence);
    job = job_accept(buf_span(&r.bytes), &from, ACCEPT_GOSSIP, 0.5, pin);
    record_release(&r);
    return job;
}

static inline enum err fixture_accept(struct store *s, const char *id,
                                      const char *version, const char *more,
                                      uint8_t nth, uint64_t sequence, bool pin)
{
    return fixture_do_free(
        s, fixture_accept_job(id, version, more, nth, sequence, pin));
}

static inline struct package_id fixture_id(const char *text)
{
    struct package_id id;

    assert_ok(package_id_parse(span_str(text), &id));
    return id;
}

static inline struct semver fixture_version(const char *text)
{
    struct semver v;

    assert_ok(semver_parse(span_str(text), &v));
    return v;
}

/* The head's version, "" if there is no such package. */
static inline const char *fixture_head(struct reader *r, const char *id,
                                       struct package_view *view)
{
    static _Thread_local char text[SEMVER_TEXT_MAX];
    struct package_id name = fixture_id(id);
    struct buf record;
    enum err err;

    buf_init(&record, RECORD_BYTES_MAX, &mem_libc);
    err = reader_head(r, &name, view, &record);
    buf_release(&record);
    if (err == ERR_NOT_FOUND)
        return "";
    assert_ok(err);
    return semver_format(&view->version, text);
}

/* SQLite's own checks of the closed database: pages, and that the index has
 * exactly the words of what is listed. */
static inline void fixture_check(const char *dir)
{
    sqlite3 *db;
    char *why = NULL;
    sqlite3_stmt *st;

    assert_int_equal(SQLITE_OK,
                     sqlite3_open(fixture_path(dir, "souk.db"), &db));
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(db, "PRAGMA integrity_check",
                                                   -1, &st, NULL));
    assert_int_equal(SQLITE_ROW, sqlite3_step(st));
    assert_string_equal("ok", (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    if (sqlite3_exec(db,
                     "INSERT INTO words(words, rank)"
                     " VALUES('integrity-check', 1)",
                     NULL, NULL, &why) != SQLITE_OK)
        fail_msg("the index: %s", why);
    sqlite3_close(db);
}

static inline struct store_counts fixture_counts(const struct store *s)
{
    struct store_counts counts;

    store_counts(s, &counts);
    return counts;
}

/* Squared: the first of |n| are common, the last are rare. */
static inline uint64_t rng_mostly_low(const struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) * rng_below(rng, n) / n;
}

/* 1 to |max| words, as |pick| draws them. */
static inline void random_phrase(const struct rng *rng, uint64_t max,
                                 const char *(*pick)(const struct rng *rng),
                                 char *out)
{
    uint64_t n = 1 + rng_below(rng, max);

    out[0] = '\0';
    for (uint64_t i = 0; i < n; i++) {
        strcat(out, i ? " " : "");
        strcat(out, pick(rng));
    }
}

#endif /* UNIT_STORE_FIXTURE_H */
