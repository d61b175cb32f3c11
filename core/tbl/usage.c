/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/usage.h"

#include <assert.h>

static const struct usage_row {
    const char *name;
    const char *text;
} rows[USAGE_COUNT] = {
#define USAGE(id, name, text) [USAGE_##id] = {name, text},
#include "souk/tbl/usage.h"
};

const char *usage_name(enum usage_id id)
{
    assert(id < USAGE_COUNT);
    return rows[id].name;
}

const char *usage_text(enum usage_id id)
{
    assert(id < USAGE_COUNT);
    return rows[id].text;
}
