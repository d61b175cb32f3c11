/* SPDX-License-Identifier: Apache-2.0 */
#include "market/semver.h"

#include <stdio.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier_char(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '-';
}

static bool is_numeric(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_digit(s.data[i]))
            return false;
    return s.len > 0;
}

/* The part before the next |sep|, taken from |s| with the separator.  Without
 * one it is all of |s|, and |*more| is false. */
static struct span next_part(struct span *s, char sep, bool *more)
{
    const uint8_t *at = s->len ? memchr(s->data, sep, s->len) : NULL;
    struct span part = span_take(s, at ? (size_t)(at - s->data) : s->len);

    *more = at != NULL;
    if (at != NULL)
        (void)span_take(s, 1);
    return part;
}

/* spec: semver.org 2.0.0 #2
 *   non-negative integers, and MUST NOT contain leading zeroes */
static bool parse_number(struct span s, uint32_t *out)
{
    uint64_t n = 0;

    if (!is_numeric(s) || s.len > 10 || (s.len > 1 && s.data[0] == '0'))
        return false;
    for (size_t i = 0; i < s.len; i++)
        n = n * 10 + (uint64_t)(s.data[i] - '0');
    *out = (uint32_t)n;
    return n <= UINT32_MAX;
}

/* spec: semver.org 2.0.0 #9
 *   Identifiers MUST NOT be empty. Numeric identifiers MUST NOT include
 *   leading zeroes. */
static bool identifier_is_valid(struct span id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!is_identifier_char(id.data[i]))
            return false;
    return id.len > 0 && !(is_numeric(id) && id.len > 1 && id.data[0] == '0');
}

bool semver_pre_release_is_valid(struct span text)
{
    bool more = true;

    if (text.len == 0)
        return true;
    if (text.len > SEMVER_PRE_RELEASE_MAX)
        return false;
    while (more)
        if (!identifier_is_valid(next_part(&text, '.', &more)))
            return false;
    return true;
}

enum err semver_parse(struct span text, struct semver *v)
{
    struct span core, major, minor;
    bool has_pre, more;

    memset(v, 0, sizeof(*v));
    core = next_part(&text, '-', &has_pre);
    if (has_pre && (text.len == 0 || !semver_pre_release_is_valid(text)))
        return ERR_INVAL;
    if (has_pre)
        memcpy(v->pre_release, text.data, text.len);

    major = next_part(&core, '.', &more);
    minor = next_part(&core, '.', &more);
    if (!more || !parse_number(major, &v->major) ||
        !parse_number(minor, &v->minor) || !parse_number(core, &v->patch))
        return ERR_INVAL;
    return OK;
}

const char *semver_format(const struct semver *v, char out[SEMVER_TEXT_MAX])
{
    (void)snprintf(out, SEMVER_TEXT_MAX, "%u.%u.%u%s%s", v->major, v->minor,
                   v->patch, v->pre_release[0] ? "-" : "", v->pre_release);
    return out;
}

static int cmp_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

/* spec: semver.org 2.0.0 #11
 *   digits compare numerically, others in ASCII order, and numeric
 *   identifiers always have lower precedence */
static int identifier_cmp(struct span a, struct span b)
{
    bool a_numeric = is_numeric(a), b_numeric = is_numeric(b);

    if (a_numeric != b_numeric)
        return a_numeric ? -1 : 1;
    /* No leading zeroes: the longer number is the greater one. */
    if (a_numeric && a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return span_cmp(a, b);
}

static int pre_release_cmp(struct span a, struct span b)
{
    bool a_more = true, b_more = true;
    int order = 0;

    if (a.len == 0 || b.len == 0)
        return (a.len == 0) - (b.len == 0);
    while (order == 0 && a_more && b_more)
        order = identifier_cmp(next_part(&a, '.', &a_more),
                               next_part(&b, '.', &b_more));
    return order ? order : a_more - b_more;
}

int semver_cmp(const struct semver *a, const struct semver *b)
{
    int order = cmp_u32(a->major, b->major);

    if (order == 0)
        order = cmp_u32(a->minor, b->minor);
    if (order == 0)
        order = cmp_u32(a->patch, b->patch);
    if (order == 0)
        order =
            pre_release_cmp(span_str(a->pre_release), span_str(b->pre_release));
    return order;
}

bool semver_is_stable(const struct semver *v)
{
    return v->pre_release[0] == '\0';
}
