/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

void jw_init(struct jw *j, struct buf *out)
{
    *j = (struct jw){.out = out, .err = OK};
}

static void put(struct jw *j, struct span s)
{
    if (j->err == OK)
        j->err = buf_put(j->out, s);
}

static void begin_value(struct jw *j)
{
    if (j->needs_comma)
        put(j, SPAN_LIT(","));
    j->needs_comma = true;
}

void jw_open(struct jw *j, char bracket)
{
    begin_value(j);
    put(j, SPAN(&bracket, 1));
    j->needs_comma = false;
}

void jw_close(struct jw *j, char bracket)
{
    put(j, SPAN(&bracket, 1));
    j->needs_comma = true;
}

void jw_key(struct jw *j, const char *key)
{
    begin_value(j);
    put(j, SPAN_LIT("\""));
    put(j, span_str(key));
    put(j, SPAN_LIT("\":"));
    j->needs_comma = false;
}

void jw_member(struct jw *j, const char *key)
{
    jw_str(j, key);
    put(j, SPAN_LIT(":"));
    j->needs_comma = false;
}

void jw_key_more(struct jw *j, const char *key)
{
    j->needs_comma = true;
    jw_key(j, key);
}

/* The length of the well-formed UTF-8 sequence at the front, 0 if none.
 * https://www.unicode.org/versions/Unicode15.0.0/ table 3-7 */
static size_t utf8_sequence(struct span s)
{
    uint8_t b = s.data[0], low = 0x80, high = 0xbf;
    size_t n;

    if (b < 0x80)
        return 1;
    if (b >= 0xc2 && b <= 0xdf)
        n = 2;
    else if (b >= 0xe0 && b <= 0xef)
        n = 3;
    else if (b >= 0xf0 && b <= 0xf4)
        n = 4;
    else
        return 0;
    if (s.len < n)
        return 0;
    if (b == 0xe0)
        low = 0xa0;
    else if (b == 0xed)
        high = 0x9f;
    else if (b == 0xf0)
        low = 0x90;
    else if (b == 0xf4)
        high = 0x8f;
    if (s.data[1] < low || s.data[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s.data[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool utf8_is_valid(struct span text)
{
    while (text.len > 0) {
        size_t n = utf8_sequence(text);

        if (n == 0)
            return false;
        (void)span_take(&text, n);
    }
    return true;
}

/* How much of |s| goes out as it is: up to the first byte that needs care. */
static size_t plain_prefix(struct span s)
{
    size_t i = 0;

    while (i < s.len && s.data[i] >= 0x20 && s.data[i] < 0x7f &&
           s.data[i] != '"' && s.data[i] != '\\')
        i++;
    return i;
}

static void put_escaped(struct jw *j, uint8_t c)
{
    char out[8];

    switch (c) {
    case '"':
        put(j, SPAN_LIT("\\\""));
        return;
    case '\\':
        put(j, SPAN_LIT("\\\\"));
        return;
    case '\n':
        put(j, SPAN_LIT("\\n"));
        return;
    case '\t':
        put(j, SPAN_LIT("\\t"));
        return;
    default:
        (void)snprintf(out, sizeof(out), "\\u%04x", c);
        put(j, span_str(out));
    }
}

void jw_text(struct jw *j, struct span text)
{
    begin_value(j);
    put(j, SPAN_LIT("\""));
    while (text.len > 0) {
        size_t n = plain_prefix(text);

        if (n > 0) {
            put(j, span_take(&text, n));
            continue;
        }
        n = utf8_sequence(text);
        if (n == 0) {
            put(j, SPAN_LIT("\xef\xbf\xbd"));
            (void)span_take(&text, 1);
        } else if (n > 1) {
            put(j, span_take(&text, n));
        } else {
            put_escaped(j, span_take(&text, 1).data[0]);
        }
    }
    put(j, SPAN_LIT("\""));
}

void jw_str(struct jw *j, const char *text)
{
    jw_text(j, span_str(text));
}

void jw_str_or_null(struct jw *j, const char *text)
{
    if (text == NULL || text[0] == '\0')
        jw_null(j);
    else
        jw_str(j, text);
}

void jw_u64(struct jw *j, uint64_t v)
{
    char digits[24];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    begin_value(j);
    put(j, SPAN(digits + at, sizeof(digits) - at));
}

void jw_bool(struct jw *j, bool v)
{
    begin_value(j);
    put(j, v ? SPAN_LIT("true") : SPAN_LIT("false"));
}

void jw_null(struct jw *j)
{
    begin_value(j);
    put(j, SPAN_LIT("null"));
}

void jw_double(struct jw *j, double v)
{
    char out[40];
    size_t n;

    if (!isfinite(v) || fabs(v) > 1e15)
        v = 0;
    n = (size_t)snprintf(out, sizeof(out), "%.6f", v);
    while (out[n - 1] == '0')
        n--;
    if (out[n - 1] == '.')
        n--;
    begin_value(j);
    put(j, n == 2 && out[0] == '-' && out[1] == '0' ? SPAN_LIT("0")
                                                    : SPAN(out, n));
}

const char *time_format(wall_ms at, char out[TIME_TEXT_MAX])
{
    time_t seconds = (time_t)(at / 1000);
    int ms = (int)(at % 1000);
    struct tm tm;

    if (ms < 0) {
        ms += 1000;
        seconds--;
    }
    if (gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 8099 || tm.tm_year < 0)
        (void)snprintf(out, TIME_TEXT_MAX, "9999-12-31T23:59:59.999Z");
    else
        (void)snprintf(
            out, TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
            (unsigned)(tm.tm_year + 1900) % 10000,
            (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
            (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
            (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
    return out;
}

void jw_time(struct jw *j, wall_ms at)
{
    char out[TIME_TEXT_MAX];

    jw_str(j, time_format(at, out));
}

void jw_raw(struct jw *j, struct span json)
{
    begin_value(j);
    put(j, json);
}
