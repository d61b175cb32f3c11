/* SPDX-License-Identifier: Apache-2.0 */
#include "tbl/table.h"

#include <ctype.h>
#include <string.h>

#include "tbl/limit.h"

const struct param_row param_rows[PARAM_COUNT] = {
#define PARAM(name, type, text, number, min, max, argument, help) \
    {#name,                                                       \
     PARAM_TYPE_##type,                                           \
     offsetof(struct settings, name),                             \
     text,                                                        \
     number,                                                      \
     min,                                                         \
     max,                                                         \
     argument,                                                    \
     help},
#include "tbl/params.h"
};

void param_spell(const char *name, enum param_spelling spelling,
                 char out[PARAM_NAME_MAX])
{
    size_t i = 0;

    for (; name[i] != '\0' && i + 1 < PARAM_NAME_MAX; i++) {
        bool is_gap = name[i] == '_' || name[i] == '-';

        if (is_gap)
            out[i] = spelling == SPELT_FLAG ? '-' : '_';
        else
            out[i] = spelling == SPELT_VARIABLE
                         ? (char)toupper((unsigned char)name[i])
                         : (char)tolower((unsigned char)name[i]);
    }
    out[i] = '\0';
}

enum param param_find(const char *name, size_t len)
{
    char key[PARAM_NAME_MAX] = "";

    if (len >= PARAM_NAME_MAX)
        return PARAM_COUNT;
    memcpy(key, name, len);
    param_spell(key, SPELT_KEY, key);
    for (enum param p = 0; p < PARAM_COUNT; p++)
        if (strcmp(param_rows[p].name, key) == 0)
            return p;
    return PARAM_COUNT;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions and changes from one to the other. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[PARAM_NAME_MAX + 1];
    size_t len = strlen(b);

    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[len];
}

const char *param_nearest(const char *name, size_t len)
{
    char key[PARAM_NAME_MAX] = "";
    const char *best = param_rows[0].name;
    size_t best_distance = SIZE_MAX;

    memcpy(key, name, least(len, PARAM_NAME_MAX - 1));
    param_spell(key, SPELT_KEY, key);
    for (enum param p = 0; p < PARAM_COUNT; p++) {
        size_t distance = edit_distance(key, param_rows[p].name);

        if (distance < best_distance) {
            best_distance = distance;
            best = param_rows[p].name;
        }
    }
    return best;
}
