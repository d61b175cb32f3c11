/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The catalogue:
 *
 *      package ──< version      every record held, and which one is the head
 *         │ slot
 *      listing                  what search shows; its rowid, the slot, is the
 *         │ rowid               package's place in the order of static quality
 *      words                    FTS5 over listing
 *
 * A package whose versions are all yanked has no listing. */
static const char version_1[] =
    "CREATE TABLE setting("
    " name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE package("
    " id INTEGER PRIMARY KEY,"
    " ns TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " fold TEXT NOT NULL,"            /* ns/name with - for _ */
    " publisher BLOB NOT NULL,"       /* empty: unsigned */
    " is_own INTEGER NOT NULL,"       /* published here: never evicted */
    " conflicts INTEGER NOT NULL,"    /* records of other keys refused */
    " sequence INTEGER NOT NULL,"     /* the highest met */
    " head_version INTEGER NOT NULL," /* version.id */
    " head_sequence INTEGER NOT NULL,"
    " head_is_full INTEGER NOT NULL," /* it lists the versions */
    " versions INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " heard INTEGER NOT NULL,"
    " reputation REAL NOT NULL," /* of the source, then */
    " slot INTEGER,"
    " terms TEXT NOT NULL," /* of an own package's head, a line each */
    " head BLOB);"          /* NULL: the bytes of head_version */
    "CREATE UNIQUE INDEX package_name ON package(ns, name);"
    "CREATE INDEX package_fold ON package(fold);"
    "CREATE INDEX package_others ON package(slot) WHERE NOT is_own;"

    "CREATE TABLE version("
    " id INTEGER PRIMARY KEY,"
    " package INTEGER NOT NULL,"
    " precedence BLOB NOT NULL,"
    " is_yanked INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL,"
    " updated INTEGER NOT NULL,"
    " record BLOB NOT NULL);"
    "CREATE INDEX version_order ON version(package, precedence, is_yanked);"

    "CREATE TABLE listing("
    " slot INTEGER PRIMARY KEY,"
    " package INTEGER NOT NULL,"
    " trust INTEGER NOT NULL,"
    " sequence INTEGER NOT NULL,"
    " updated INTEGER NOT NULL,"
    " downloads INTEGER NOT NULL,"
    " reputation REAL NOT NULL,"
    " name_key INTEGER NOT NULL," /* hashes of the folded name and title */
    " title_key INTEGER NOT NULL,"
    " precedence BLOB NOT NULL,"
    " publisher BLOB NOT NULL,"
    " namespace TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " title TEXT NOT NULL,"
    " tags TEXT NOT NULL," /* lists: a newline between */
    " categories TEXT NOT NULL,"
    " license TEXT NOT NULL,"
    " authors TEXT NOT NULL,"
    " facets TEXT NOT NULL,"
    " heads TEXT NOT NULL,"
    " summary BLOB NOT NULL,"
    " description TEXT NOT NULL);"
    "CREATE INDEX listing_order ON listing(name, namespace);"
    "CREATE INDEX listing_name ON listing(name_key);"
    "CREATE INDEX listing_title ON listing(title_key);"
    "CREATE INDEX listing_recent ON listing(updated);"
    "CREATE INDEX listing_downloads ON listing(downloads);"

    "CREATE VIRTUAL TABLE words USING fts5("
    " name, namespace, title, tags, categories, description, authors, license,"
    " facets, heads, content='listing', content_rowid='slot', columnsize=0,"
    " prefix='2 4',"
    " tokenize='unicode61 remove_diacritics 2');"
    "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');"
    /* How many packages the commoner words are in, now and then counted. */
    "CREATE TABLE common("
    " word TEXT PRIMARY KEY, packages INTEGER NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE pin("
    " ns TEXT PRIMARY KEY, owner BLOB NOT NULL, at INTEGER NOT NULL)"
    " WITHOUT ROWID;"
    /* Namespaces whose owner changed: their packages are judged anew. */
    "CREATE TABLE rejudge("
    " ns TEXT PRIMARY KEY, after TEXT NOT NULL) WITHOUT ROWID;"

    "CREATE TABLE outbox("
    " id INTEGER PRIMARY KEY,"
    " package INTEGER NOT NULL,"
    " version INTEGER NOT NULL);"
    "CREATE INDEX outbox_package ON outbox(package);"

    "CREATE TABLE record("
    " id INTEGER PRIMARY KEY,"
    " key BLOB NOT NULL,"
    " publisher BLOB NOT NULL,"
    " received INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " value BLOB NOT NULL);"
    "CREATE UNIQUE INDEX record_key ON record(key, publisher);"
    "CREATE INDEX record_expires ON record(expires);"

    "CREATE TABLE provider("
    " key BLOB NOT NULL,"
    " provider BLOB NOT NULL,"
    " addresses BLOB NOT NULL,"
    " expires INTEGER NOT NULL,"
    " PRIMARY KEY(key, provider)) WITHOUT ROWID;"
    "CREATE INDEX provider_expires ON provider(expires);"

    "CREATE TABLE peer("
    " id BLOB PRIMARY KEY,"
    " addresses BLOB NOT NULL,"
    " successes REAL NOT NULL,"
    " failures REAL NOT NULL,"
    " response_ms REAL NOT NULL,"
    " decayed INTEGER NOT NULL,"
    " last_seen INTEGER NOT NULL,"
    " banned_until INTEGER NOT NULL,"
    " place_source INTEGER NOT NULL,"
    " latitude REAL NOT NULL,"
    " longitude REAL NOT NULL,"
    " packages BLOB NOT NULL,"
    " notes TEXT NOT NULL) WITHOUT ROWID;";

/* Slots with the number of words in them (listing.h).  None may be another's
 * while they move, so they go through the negative numbers. */
static const char version_2[] =
    "CREATE TEMP TABLE moved(was INTEGER PRIMARY KEY, slot INTEGER NOT NULL);"
    "INSERT INTO moved SELECT slot, souk_slot(slot, name, namespace, title,"
    " tags, categories, description, authors, license, facets, heads)"
    " FROM listing;"
    "UPDATE package SET slot=(SELECT slot FROM moved WHERE was=package.slot)"
    " WHERE slot IS NOT NULL;"
    "UPDATE listing SET slot=-(SELECT slot FROM moved WHERE was=listing.slot);"
    "UPDATE listing SET slot=-slot;"
    "DROP TABLE moved;"
    "INSERT INTO words(words) VALUES('rebuild');";

/* The nth moves a database of version n to n + 1. */
static const char *const migrations[SCHEMA_VERSION] = {version_1, version_2};

enum {
    HEADER_LEN = 100, /* https://www.sqlite.org/fileformat2.html */
    HEADER_USER_VERSION = 60,
    HEADER_APPLICATION = 68,
};

static uint32_t header_u32(const uint8_t *header, size_t at)
{
    struct span s = SPAN(header + at, 4);
    uint32_t v = 0;

    (void)span_u32(&s, &v);
    return v;
}

static enum err read_header(const char *path, uint8_t *header, ssize_t *got,
                            char *why, size_t why_max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *got = 0;
    if (fd < 0 && errno == ENOENT)
        return OK;
    if (fd >= 0) {
        *got = pread(fd, header, HEADER_LEN, 0);
        close(fd);
    }
    if (fd >= 0 && *got >= 0)
        return OK;
    snprintf(why, why_max, "%s: %s", path, strerror(errno));
    return ERR_IO;
}

enum err schema_probe(const char *path, bool *is_new, char *why, size_t why_max)
{
    uint8_t header[HEADER_LEN];
    ssize_t got;

    TRY(read_header(path, header, &got, why, why_max));
    *is_new = got == 0;
    if (*is_new)
        return OK;
    if (got < HEADER_LEN || memcmp(header, "SQLite format 3", 16) != 0) {
        snprintf(why, why_max,
                 "%s is not a database, or damaged; put a backup in its place,"
                 " or move it away to start with an empty one (the identity"
                 " stays)",
                 path);
        return ERR_STORE_CORRUPT;
    }
    /* Made, but nothing was in it yet when the process died. */
    if (header_u32(header, HEADER_APPLICATION) == 0 &&
        header_u32(header, HEADER_USER_VERSION) == 0)
        return OK;
    if (header_u32(header, HEADER_APPLICATION) != SCHEMA_APPLICATION) {
        snprintf(why, why_max,
                 "%s is a database of another program; choose another data"
                 " directory",
                 path);
        return ERR_STORE_CORRUPT;
    }
    if (header_u32(header, HEADER_USER_VERSION) > SCHEMA_VERSION) {
        snprintf(why, why_max,
                 "%s was written by a newer souk (its form is %u, this souk"
                 " knows up to %d); start that one, or use another data"
                 " directory",
                 path, header_u32(header, HEADER_USER_VERSION), SCHEMA_VERSION);
        return ERR_STORE_NEWER;
    }
    return OK;
}

static enum err get_version(struct db *db, int64_t *version)
{
    TRY(db_get_int(db, SQL_USER_VERSION, 0, version, ""));
    return OK;
}

static enum err step_up(struct db *db, int64_t from)
{
    char pragmas[96];

    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA application_id=%d;PRAGMA user_version=%d",
             SCHEMA_APPLICATION, (int)from + 1);
    TRY(db_exec(db, "BEGIN IMMEDIATE"));
    TRY(db_exec(db, migrations[from]));
    TRY(db_exec(db, pragmas));
    return db_exec(db, "COMMIT");
}

enum err schema_migrate(struct db *db)
{
    int64_t version;

    TRY(get_version(db, &version));
    if (version < 0 || version > SCHEMA_VERSION)
        return ERR_STORE_NEWER;
    for (; version < SCHEMA_VERSION; version++) {
        enum err err = step_up(db, version);

        if (err != OK) {
            (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
            return err;
        }
    }
    return OK;
}
