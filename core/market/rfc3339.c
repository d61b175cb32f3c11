/* SPDX-License-Identifier: Apache-2.0 */
#include "market/rfc3339.h"

#include <stdio.h>

enum { DAY_S = 24 * 60 * 60 };

/* Days since 1970-01-01 of a date of the Gregorian calendar.  Years start in
 * March, so that the leap day is a year's last. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 -
                         year_of_era / 100 + day_of_year - 1;

    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
                           day_of_era / 146096) /
                          365;
    int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static bool digits(struct span *s, size_t n, int64_t *out)
{
    struct span head;

    if (!span_bytes(s, n, &head))
        return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (head.data[i] < '0' || head.data[i] > '9')
            return false;
        *out = *out * 10 + (head.data[i] - '0');
    }
    return true;
}

static bool literal(struct span *s, char c)
{
    uint8_t byte;

    return span_u8(s, &byte) && byte == (uint8_t)c;
}

/* ".123", ".123456" or ".123456789", in nanoseconds; nothing is 0. */
static bool fraction(struct span *s, int64_t *ns)
{
    struct span digits_only;
    size_t n;

    *ns = 0;
    if (s->len == 0 || s->data[0] != '.')
        return true;
    (void)span_take(s, 1);
    n = s->len ? s->len - 1 : 0; /* all but the Z */
    if ((n != 3 && n != 6 && n != 9) || !span_bytes(s, n, &digits_only) ||
        !digits(&digits_only, n, ns))
        return false;
    for (; n < 9; n++)
        *ns *= 10;
    return true;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    return month == 12 ? 31
                       : days_from_date(year, month + 1, 1) -
                             days_from_date(year, month, 1);
}

bool rfc3339_parse(struct span s, struct moment *out)
{
    int64_t year, month, day, hour, minute, second, ns, ms;

    if (!digits(&s, 4, &year) || !literal(&s, '-') || !digits(&s, 2, &month) ||
        !literal(&s, '-') || !digits(&s, 2, &day) || !literal(&s, 'T') ||
        !digits(&s, 2, &hour) || !literal(&s, ':') || !digits(&s, 2, &minute) ||
        !literal(&s, ':') || !digits(&s, 2, &second) || !fraction(&s, &ns) ||
        !literal(&s, 'Z') || s.len > 0)
        return false;
    /* spec: RFC 3339 5.7: a leap second is written :60 */
    if (month < 1 || month > 12 || day < 1 ||
        day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    ms = days_from_date(year, month, day) * DAY_S + hour * 3600 + minute * 60 +
         second;
    *out = (struct moment){.ms = ms * 1000 + ns / 1000000,
                           .ns = (uint32_t)(ns % 1000000)};
    return true;
}

const char *rfc3339_format(wall_ms ms, char out[RFC3339_TEXT_MAX])
{
    int64_t days = ms / (DAY_S * INT64_C(1000)), rest, second;
    int year, month, day, n;

    if (ms < days * DAY_S * 1000)
        days--;
    rest = ms - days * DAY_S * 1000;
    second = rest / 1000;
    date_from_days(days, &year, &month, &day);
    n = snprintf(out, RFC3339_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", year,
                 month, day, (int)(second / 3600), (int)(second / 60 % 60),
                 (int)(second % 60));
    if (rest % 1000 != 0)
        n += snprintf(out + n, RFC3339_TEXT_MAX - (size_t)n, ".%03d",
                      (int)(rest % 1000));
    (void)snprintf(out + n, RFC3339_TEXT_MAX - (size_t)n, "Z");
    return out;
}
