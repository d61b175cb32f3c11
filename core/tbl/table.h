/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TBL_TABLE_H
#define TBL_TABLE_H

#include "tbl/settings.h"

/* The rows of tbl/params.h as data, for the files of this room. */
enum param_type {
    PARAM_TYPE_TEXT,
    PARAM_TYPE_CHOICE,
    PARAM_TYPE_LIST,
    PARAM_TYPE_MAP,
    PARAM_TYPE_PLACE,
    PARAM_TYPE_BOOL,
    PARAM_TYPE_NUMBER,
    PARAM_TYPE_SIZE,
    PARAM_TYPE_RATE,
    PARAM_TYPE_DURATION,
};

enum { PARAM_NAME_MAX = 40 };

struct param_row {
    const char *name;
    enum param_type type;
    size_t offset; /* in struct settings */
    const char *text;
    uint64_t number, min, max;
    const char *argument;
    const char *help;
};

extern const struct param_row param_rows[PARAM_COUNT];

/* |name| with '-' for '_', or the other way round. */
enum param_spelling { SPELT_KEY, SPELT_FLAG, SPELT_VARIABLE };
void param_spell(const char *name, enum param_spelling spelling,
                 char out[PARAM_NAME_MAX]);
/* '-' and '_' are the same.  PARAM_COUNT: no such setting. */
enum param param_find(const char *name, size_t len);
/* The name a mistyped one was most likely meant to be. */
const char *param_nearest(const char *name, size_t len);

static inline void *param_field(struct settings *s, enum param p)
{
    return (char *)s + param_rows[p].offset;
}
static inline const void *param_value(const struct settings *s, enum param p)
{
    return (const char *)s + param_rows[p].offset;
}

__attribute__((format(printf, 2, 3))) enum err
settings_refuse(struct settings_error *error, const char *format, ...);

#endif /* TBL_TABLE_H */
