/* SPDX-License-Identifier: Apache-2.0 */
#include "store/db.h"

#include <stdarg.h>

static const char *const sql_texts[] = {
#define SQL(name, text) [SQL_##name] = text,
#include "store/sql.h"
};

enum err db_err(const struct db *db, int rc, const char *what)
{
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
    log_error(db->log, "store", "%.60s: %s (%d)", what,
              db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc), rc);
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

static int bind_one(sqlite3_stmt *st, int at, char type, va_list *args)
{
    const char *text;
    struct span s;

    switch (type) {
    case 'i':
        return sqlite3_bind_int64(st, at, va_arg(*args, int64_t));
    case 'd':
        return sqlite3_bind_double(st, at, va_arg(*args, double));
    case 't':
        text = va_arg(*args, const char *);
        return sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
    case 's':
        s = va_arg(*args, struct span);
        return s.len ? sqlite3_bind_blob64(st, at, s.data, s.len, SQLITE_STATIC)
                     : sqlite3_bind_zeroblob(st, at, 0);
    default:
        assert(type == 'n');
        return sqlite3_bind_null(st, at);
    }
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

static enum err bind(struct db *db, enum sql id, const char *format,
                     va_list *args)
{
    int rc = SQLITE_OK;

    TRY(prepare(db, id));
    for (int at = 1; *format && rc == SQLITE_OK; at++, format++)
        rc = bind_one(db->statements[id], at, *format, args);
    return db_err(db, rc, sql_texts[id]);
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

static enum err query(struct db *db, enum sql id, bool *has_row,
                      const char *format, va_list *args)
{
    *has_row = false;
    TRY(bind(db, id, format, args));
    return db_next(db, id, has_row);
}

enum err db_query(struct db *db, enum sql id, bool *has_row, const char *format,
                  ...)
{
    va_list args;
    enum err err;

    va_start(args, format);
    err = query(db, id, has_row, format, &args);
    va_end(args);
    return err;
}

enum err db_run(struct db *db, enum sql id, const char *format, ...)
{
    va_list args;
    bool has_row;
    enum err err;

    va_start(args, format);
    err = query(db, id, &has_row, format, &args);
    va_end(args);
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
    va_list args;
    bool has_row;
    enum err err;

    va_start(args, format);
    err = query(db, id, &has_row, format, &args);
    va_end(args);
    *out = err == OK && has_row ? db_int(db, id, 0) : fallback;
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
