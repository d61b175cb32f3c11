/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation/state.h"

enum { NAME_MAX_BYTES = 24 };

static const struct outcome_row {
    const char *name;
    enum effect effect;
    const char *text;
} rows[REPUTATION_OUTCOME_COUNT] = {
#define OUTCOME(name, effect, text) \
    [REPUTATION_##name] = {#name, EFFECT_##effect, text},
#include "reputation/outcomes.h"
};

const char *reputation_outcome_name(enum reputation_outcome outcome)
{
    static _Thread_local char name[NAME_MAX_BYTES];
    const char *upper = rows[outcome].name;
    size_t i;

    for (i = 0; i < NAME_MAX_BYTES - 1 && upper[i] != '\0'; i++)
        name[i] = upper[i] == '_' ? '-' : (char)(upper[i] | 0x20);
    name[i] = '\0';
    return name;
}

const char *reputation_outcome_text(enum reputation_outcome outcome)
{
    return rows[outcome].text;
}

enum effect outcome_effect(enum reputation_outcome outcome)
{
    return rows[outcome].effect;
}
