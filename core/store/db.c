/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <stdarg.h>
#include <string.h>

static const char *const sql_texts[] = {
#define SQL(name, text) [SQL_##name] = text,
#include "store/sql.h"
};

/* What the system said last about the log of writes, or else the database; 0:
 * nothing.  (sqlite3_system_errno does not know of a COMMIT that failed.) */
static int system_errno(const struct db *db)
{
    sqlite3_file *wal = NULL;
    int error = 0;

    (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER,
                               &wal);
    if (wal != NULL && wal->pMethods != NULL)
        (void)wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &error);
    if (error == 0)
        (void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_LAST_ERRNO,
                                   &error);
    return error;
}

/* SQLite's own words are "disk I/O error". */
static const char *system_text(const struct db *db, int rc)
{
    int error = 0;

    if (db->handle != NULL && (rc & 0xff) == SQLITE_IOERR)
        error = system_errno(db);
    return error != 0 ? strerrordesc_np(error) : "";
}

enum err db_err(const struct db *db, int rc, const char *what)
{
    const char *of_system;

    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    default:
        break;
    }
    of_system = system_text(db, rc);
    log_line(db->log, db->is_failing ? LOG_DEBUG : LOG_ERROR, "store",
             "%.60s: %s (%d)%s%s", what,
             db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc), rc,
             of_system[0] != '\0' ? ": " : "", of_system);
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_STORE_CORRUPT;
    default:
        return ERR_STORE;
    }
}

enum err db_open(struct db *db, const char *path, int flags,
                 const struct log *log)
{
    enum err err;
    int rc;

    *db = (struct db){.log = log};
    rc = sqlite3_open_v2(path, &db->handle,
                         flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                         NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(db->handle, 5000);
    err = db_err(db, rc, path);
    if (err != OK)
        db_close(db);
    return err;
}

void db_borrow(struct db *db, const struct db *owner)
{
    *db = (struct db){
        .handle = owner->handle, .log = owner->log, .is_borrowed = true};
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    if (!db->is_borrowed)
        sqlite3_close_v2(db->handle);
    *db = (struct db){0};
}

enum err db_exec(const struct db *db, const char *sql)
{
    return db_err(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), sql);
}

static enum err prepare(struct db *db, enum sql id)
{
    if (db->statements[id] != NULL)
        return OK;
    return db_err(db,
                  sqlite3_prepare_v3(db->handle, sql_texts[id], -1,
                                     SQLITE_PREPARE_PERSISTENT,
                                     &db->statements[id], NULL),
                  sql_texts[id]);
}

static int bind_span(sqlite3_stmt *st, int at, struct span s)
{
    return s.len ? sqlite3_bind_blob64(st, at, s.data, s.len, SQLITE_STATIC)
                 : sqlite3_bind_zeroblob(st, at, 0);
}

static int bind_all(sqlite3_stmt *st, const char *format, va_list args)
{
    int rc = SQLITE_OK;

    for (int at = 1; *format && rc == SQLITE_OK; at++, format++) {
        switch (*format) {
        case 'i':
            rc = sqlite3_bind_int64(st, at, va_arg(args, int64_t));
            break;
        case 'd':
            rc = sqlite3_bind_double(st, at, va_arg(args, double));
            break;
        case 't':
            rc = sqlite3_bind_text(st, at, va_arg(args, const char *), -1,
                                   SQLITE_STATIC);
            break;
        case 's':
            rc = bind_span(st, at, va_arg(args, struct span));
            break;
        default:
            assert(*format == 'n');
            rc = sqlite3_bind_null(st, at);
            break;
        }
    }
    return rc;
}

enum err db_next(struct db *db, enum sql id, bool *has_row)
{
    int rc = sqlite3_step(db->statements[id]);

    *has_row = rc == SQLITE_ROW;
    return db_err(db, rc, sql_texts[id]);
}

void db_done(struct db *db, enum sql id)
{
    if (db->statements[id] == NULL)
        return;
    sqlite3_reset(db->statements[id]);
    sqlite3_clear_bindings(db->statements[id]);
}

enum err db_query(struct db *db, enum sql id, bool *has_row, const char *format,
                  ...)
{
    va_list args;
    int rc;

    *has_row = false;
    TRY(prepare(db, id));
    va_start(args, format);
    rc = bind_all(db->statements[id], format, args);
    va_end(args);
    TRY(db_err(db, rc, sql_texts[id]));
    return db_next(db, id, has_row);
}

enum err db_run(struct db *db, enum sql id, const char *format, ...)
{
    bool has_row;
    va_list args;
    enum err err;
    int rc;

    TRY(prepare(db, id));
    va_start(args, format);
    rc = bind_all(db->statements[id], format, args);
    va_end(args);
    err = db_err(db, rc, sql_texts[id]);
    if (err == OK)
        err = db_next(db, id, &has_row);
    db_done(db, id);
    return err;
}

void db_try(struct db *db, enum sql id)
{
    if (db_run(db, id, "") != OK)
        log_warn(db->log, "store", "%s failed", sql_texts[id]);
}

enum err db_get_int(struct db *db, enum sql id, int64_t fallback, int64_t *out,
                    const char *format, ...)
{
    bool has_row = false;
    va_list args;
    enum err err;
    int rc;

    *out = fallback;
    TRY(prepare(db, id));
    va_start(args, format);
    rc = bind_all(db->statements[id], format, args);
    va_end(args);
    err = db_err(db, rc, sql_texts[id]);
    if (err == OK)
        err = db_next(db, id, &has_row);
    if (has_row)
        *out = db_int(db, id, 0);
    db_done(db, id);
    return err;
}

int64_t db_int(const struct db *db, enum sql id, int column)
{
    return sqlite3_column_int64(db->statements[id], column);
}

double db_double(const struct db *db, enum sql id, int column)
{
    return sqlite3_column_double(db->statements[id], column);
}

const char *db_text(const struct db *db, enum sql id, int column)
{
    const void *text = sqlite3_column_text(db->statements[id], column);

    return text ? text : "";
}

struct span db_blob(const struct db *db, enum sql id, int column)
{
    const void *data = sqlite3_column_blob(db->statements[id], column);

    return SPAN(data,
                data ? (size_t)sqlite3_column_bytes(db->statements[id], column)
                     : 0);
}

bool db_is_null(const struct db *db, enum sql id, int column)
{
    return sqlite3_column_type(db->statements[id], column) == SQLITE_NULL;
}
