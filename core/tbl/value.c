/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tbl/settings.h"

struct unit {
    const char *name;
    uint64_t size;
};

/* Greatest first, so that formatting finds the shortest exact form. */
static const struct unit time_units[] = {
    {"h", HOURS},         {"m", MINUTES}, {"s", SECONDS},
    {"ms", MILLISECONDS}, {"us", 1000},   {"ns", 1},
};
static const struct unit byte_units[] = {
    {"TiB", UINT64_C(1) << 40},
    {"GiB", UINT64_C(1) << 30},
    {"MiB", UINT64_C(1) << 20},
    {"KiB", UINT64_C(1) << 10},
    {"B", 1},
};

/* Digits, then the name of a unit. */
static bool quantity_parse(const char *text, const struct unit *units,
                           size_t count, uint64_t *out)
{
    uint64_t n = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    if (p == text)
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(p, units[i].name) == 0) {
            if (n > UINT64_MAX / units[i].size)
                return false;
            *out = n * units[i].size;
            return true;
        }
    return false;
}

static void quantity_format(uint64_t n, const struct unit *units, size_t count,
                            char out[32])
{
    size_t i = 0;

    while (i + 1 < count && (n < units[i].size || n % units[i].size != 0))
        i++;
    (void)snprintf(out, 32, "%" PRIu64 "%s", n / units[i].size, units[i].name);
}

#define UNIT_COUNT(units) (sizeof(units) / sizeof((units)[0]))

bool duration_parse(const char *text, duration *out)
{
    if (strcmp(text, "0") == 0) {
        *out = 0;
        return true;
    }
    return quantity_parse(text, time_units, UNIT_COUNT(time_units), out);
}

void duration_format(duration d, char out[32])
{
    if (d == 0)
        (void)snprintf(out, 32, "0s");
    else
        quantity_format(d, time_units, UNIT_COUNT(time_units), out);
}

bool bytes_parse(const char *text, uint64_t *out)
{
    static const struct unit bare = {"", 1};

    return quantity_parse(text, byte_units, UNIT_COUNT(byte_units), out) ||
           quantity_parse(text, &bare, 1, out);
}

void bytes_format(uint64_t bytes, char out[32])
{
    if (bytes == 0)
        (void)snprintf(out, 32, "0");
    else
        quantity_format(bytes, byte_units, UNIT_COUNT(byte_units), out);
}

static bool degrees_parse(const char **text, double most, double *out)
{
    char *end;

    if (strchr("+-.0123456789", **text) == NULL || **text == '\0')
        return false;
    *out = strtod(*text, &end);
    if (end == *text || !isfinite(*out) || fabs(*out) > most)
        return false;
    *text = end;
    return true;
}

bool place_parse(const char *text, struct place *out)
{
    struct place p = {.is_set = true};

    if (*text == '\0') {
        *out = (struct place){.is_set = false};
        return true;
    }
    if (!degrees_parse(&text, 90, &p.latitude) || *text++ != ',')
        return false;
    while (*text == ' ')
        text++;
    if (!degrees_parse(&text, 180, &p.longitude) || *text != '\0')
        return false;
    *out = p;
    return true;
}
