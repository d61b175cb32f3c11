/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/err.h"

#include <assert.h>
#include <stddef.h>

enum { CODE_MAX = 32 };

static const struct err_row {
    const char *name;
    const char *text;
    enum err_class class;
    int http;
} rows[ERR_INDEX_COUNT] = {
    [ERR_INDEX_OK] = {"OK", "success", ERR_CLASS_NONE, 200},
#define ERR(n, c, h, t) [ERR_INDEX_##n] = {#n, t, ERR_CLASS_##c, h},
#include "souk/tbl/err.h"
};

static const struct err_row *row_of(enum err err)
{
    int index = -(int)err;

    assert(index >= 0 && index < ERR_INDEX_COUNT);
    return &rows[index];
}

const char *err_name(enum err err)
{
    return row_of(err)->name;
}

/* The table is the only place where a name is written, so the code is made from
 * it.  Valid until the next call on the same thread. */
const char *err_code(enum err err)
{
    static _Thread_local char code[CODE_MAX];
    const char *name = err_name(err);
    size_t i;

    for (i = 0; i < CODE_MAX - 1 && name[i] != '\0'; i++)
        code[i] = name[i] == '_'                     ? '-'
                  : name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32)
                                                     : name[i];
    code[i] = '\0';
    return code;
}

const char *err_text(enum err err)
{
    return row_of(err)->text;
}

enum err_class err_class(enum err err)
{
    return row_of(err)->class;
}

int err_http_status(enum err err)
{
    return row_of(err)->http;
}
