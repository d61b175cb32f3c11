/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/params.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/json.h"
#include "tbl/settings.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool percent_decode(char *text, size_t *len, bool plus_is_space)
{
    size_t to = 0;

    for (size_t at = 0; at < *len; at++) {
        char c = text[at];

        if (c == '+' && plus_is_space) {
            c = ' ';
        } else if (c == '%') {
            int high, low;

            if (*len - at < 3)
                return false;
            high = hex_digit(text[at + 1]);
            low = hex_digit(text[at + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            at += 2;
        }
        text[to++] = c;
    }
    *len = to;
    return true;
}

/* One "name=value" of |len| bytes. */
static enum err parse_pair(struct params *p, char *pair, size_t len)
{
    char *equals = memchr(pair, '=', len);
    size_t name_len = equals ? (size_t)(equals - pair) : len;
    char *value = equals ? equals + 1 : pair + len;
    size_t value_len = equals ? len - name_len - 1 : 0;

    if (len == 0)
        return OK;
    if (p->count == PARAMS_MAX)
        return ERR_BAD_REQUEST;
    if (!percent_decode(pair, &name_len, true) ||
        !percent_decode(value, &value_len, true))
        return ERR_BAD_REQUEST;
    p->at[p->count].name = SPAN(pair, name_len);
    p->at[p->count].value = SPAN(value, value_len);
    p->count++;
    return OK;
}

enum err params_parse(struct params *p, char *query, size_t len,
                      struct problems *problems)
{
    p->count = 0;
    p->problems = problems;
    while (len > 0) {
        char *amp = memchr(query, '&', len);
        size_t n = amp ? (size_t)(amp - query) : len;

        TRY(parse_pair(p, query, n));
        if (amp == NULL)
            break;
        query += n + 1;
        len -= n + 1;
    }
    return OK;
}

void params_refuse(struct params *p, const char *name, const char *format, ...)
{
    char pointer[PROBLEM_TEXT_MAX], detail[PROBLEM_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    (void)snprintf(pointer, sizeof(pointer), "/query/%s", name);
    problems_add(p->problems, pointer, "%s", detail);
}

bool params_has(const struct params *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++)
        if (span_eq(p->at[i].name, span_str(name)))
            return true;
    return false;
}

/* The one value of |name|. */
static bool find(struct params *p, const char *name, struct span *value)
{
    bool found = false;

    for (size_t i = 0; i < p->count; i++) {
        if (!span_eq(p->at[i].name, span_str(name)))
            continue;
        if (found) {
            params_refuse(p, name, "given more than once");
            return false;
        }
        *value = p->at[i].value;
        found = true;
    }
    return found;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] == 0x7f)
            return true;
    return false;
}

bool params_text(struct params *p, const char *name, size_t min, size_t max,
                 struct span *out)
{
    struct span value;

    if (!find(p, name, &value))
        return false;
    if (value.len < min)
        params_refuse(p, name, "must not be empty");
    else if (value.len > max)
        params_refuse(p, name, "must not be longer than %zu bytes", max);
    else if (!utf8_is_valid(value) || has_control(value))
        params_refuse(p, name, "must be UTF-8 without control characters");
    else {
        *out = value;
        return true;
    }
    return false;
}

static bool parse_u64(struct span text, uint64_t *out)
{
    uint64_t v = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = v;
    return true;
}

bool params_u64(struct params *p, const char *name, uint64_t min, uint64_t max,
                uint64_t *out)
{
    struct span value;
    uint64_t v;

    if (!find(p, name, &value))
        return false;
    if (!parse_u64(value, &v) || v < min || v > max) {
        params_refuse(p, name, "must be a number from %llu to %llu",
                      (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = v;
    return true;
}

bool params_bool(struct params *p, const char *name, bool *out)
{
    struct span value;

    if (!find(p, name, &value))
        return false;
    if (value.len == 0 || span_eq(value, SPAN_LIT("true")) ||
        span_eq(value, SPAN_LIT("1")))
        *out = true;
    else if (span_eq(value, SPAN_LIT("false")) || span_eq(value, SPAN_LIT("0")))
        *out = false;
    else {
        params_refuse(p, name, "must be true or false");
        return false;
    }
    return true;
}

bool params_duration(struct params *p, const char *name, duration min,
                     duration max, duration *out)
{
    char text[24], low[32], high[32];
    struct span value;
    duration d;

    if (!find(p, name, &value))
        return false;
    if (value.len < sizeof(text) && value.len > 0) {
        memcpy(text, value.data, value.len);
        text[value.len] = '\0';
        if (strlen(text) == value.len && duration_parse(text, &d) && d >= min &&
            d <= max) {
            *out = d;
            return true;
        }
    }
    duration_format(min, low);
    duration_format(max, high);
    params_refuse(p, name, "must be a time from %s to %s, as 250ms or 2s", low,
                  high);
    return false;
}

bool params_choice(struct params *p, const char *name, const char *const *words,
                   unsigned *out)
{
    char list[PROBLEM_TEXT_MAX] = "";
    struct span value;
    size_t used = 0;

    if (!find(p, name, &value))
        return false;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (span_eq(value, span_str(words[i]))) {
            *out = i;
            return true;
        }
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
                                 i > 0 ? ", " : "", words[i]);
        if (used >= sizeof(list))
            break;
    }
    params_refuse(p, name, "must be one of: %s", list);
    return false;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        (void)span_take(&s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

bool prefer_wait(struct span header, duration *out)
{
    static const char name[] = "wait";

    while (header.len > 0) {
        const uint8_t *comma = memchr(header.data, ',', header.len);
        size_t n = comma ? (size_t)(comma - header.data) : header.len;
        struct span item = span_take(&header, n);
        const uint8_t *semicolon = memchr(item.data, ';', item.len);
        const uint8_t *equals;
        uint64_t seconds;

        (void)span_take(&header, 1);
        if (semicolon != NULL) /* parameters of the preference */
            item.len = (size_t)(semicolon - item.data);
        equals = memchr(item.data, '=', item.len);
        if (equals != NULL) {
            struct span key = trim(span_between(item.data, equals));
            struct span value =
                trim(span_between(equals + 1, item.data + item.len));

            if (key.len == sizeof(name) - 1 &&
                strncasecmp((const char *)key.data, name, key.len) == 0 &&
                parse_u64(value, &seconds) && seconds < 1000000) {
                *out = seconds * SECONDS;
                return true;
            }
        }
    }
    return false;
}
