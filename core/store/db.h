/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_DB_H
#define STORE_DB_H

#include <sqlite3.h>

#include "base/log.h"
#include "base/span.h"
#include "souk/err.h"

/* One SQLite connection with its prepared statements, and SQLite's codes
 * translated at this edge:
 *
 *      ERR_NOMEM, ERR_STORE_CORRUPT, ERR_STORE (disk full, I/O, all else)
 *
 * Statements are the rows of sql.h, prepared at first use.  Values are bound by
 * a format, one letter each:
 *
 *      i int64_t   d double   t const char *   s struct span (a blob)   n NULL
 *
 * Bound texts and spans are borrowed until the statement is done with. */
enum sql {
#define SQL(name, text) SQL_##name,
#include "store/sql.h"
    SQL_COUNT
};

struct db {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    const struct log *log;
    bool is_borrowed; /* the handle belongs to another struct db */
    bool is_failing;  /* what goes wrong has been told */
};

/* |flags|: SQLITE_OPEN_… */
MUST_USE
enum err db_open(struct db *db, const char *path, int flags,
                 const struct log *log);
void db_borrow(struct db *db, const struct db *owner);
void db_close(struct db *db);

MUST_USE
enum err db_err(const struct db *db, int rc, const char *what);
MUST_USE
enum err db_exec(const struct db *db, const char *sql);

/* Bind and run a statement that returns nothing. */
MUST_USE
enum err db_run(struct db *db, enum sql id, const char *format, ...);
/* The same without values, where nothing can be done about an error: it is
 * logged. */
void db_try(struct db *db, enum sql id);
/* Bind and go to the first row, if there is one.  Whatever comes of it, end
 * with db_done(). */
MUST_USE
enum err db_query(struct db *db, enum sql id, bool *has_row, const char *format,
                  ...);
MUST_USE
enum err db_next(struct db *db, enum sql id, bool *has_row);
void db_done(struct db *db, enum sql id);

/* Columns of the current row; valid until it moves. */
int64_t db_int(const struct db *db, enum sql id, int column);
double db_double(const struct db *db, enum sql id, int column);
const char *db_text(const struct db *db, enum sql id, int column);
struct span db_blob(const struct db *db, enum sql id, int column);
bool db_is_null(const struct db *db, enum sql id, int column);

/* The first column of the only row; |fallback| if there is none. */
MUST_USE
enum err db_get_int(struct db *db, enum sql id, int64_t fallback, int64_t *out,
                    const char *format, ...);

#endif /* STORE_DB_H */
