/* SPDX-License-Identifier: Apache-2.0 */
#include "store/precedence.h"

enum {
    MARK_END = 0x00,
    MARK_NUMBER = 0x01,
    MARK_TEXT = 0x02,
    MARK_STABLE = 0xff
};

static void put_u8(struct precedence *out, uint8_t v)
{
    assert(out->len < sizeof(out->bytes));
    out->bytes[out->len++] = v;
}

static void put_u32(struct precedence *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        put_u8(out, (uint8_t)(v >> shift));
}

static void put_identifier(struct precedence *out, const char *text, size_t len)
{
    bool is_number = strspn(text, "0123456789") >= len;

    put_u8(out, is_number ? MARK_NUMBER : MARK_TEXT);
    if (is_number)
        put_u8(out, (uint8_t)len);
    for (size_t i = 0; i < len; i++)
        put_u8(out, (uint8_t)text[i]);
    if (!is_number)
        put_u8(out, MARK_END);
}

/* spec: semver.org#spec-item-11
 *   numeric identifiers compare as numbers and below others; a larger set of
 *   fields is higher; a pre-release is lower than its release */
struct span precedence_encode(const struct semver *v, struct precedence *out)
{
    const char *text = v->pre_release;

    out->len = 0;
    put_u32(out, v->major);
    put_u32(out, v->minor);
    put_u32(out, v->patch);
    if (*text == '\0') {
        put_u8(out, MARK_STABLE);
        return SPAN(out->bytes, out->len);
    }
    for (;;) {
        size_t len = strcspn(text, ".");

        put_identifier(out, text, len);
        if (text[len] == '\0')
            break;
        text += len + 1;
    }
    put_u8(out, MARK_END);
    return SPAN(out->bytes, out->len);
}

static bool take_identifier(struct span *in, uint8_t mark, struct span *out)
{
    const uint8_t *end;
    uint8_t len;

    if (mark == MARK_NUMBER)
        return span_u8(in, &len) && span_bytes(in, len, out);
    end = in->len ? memchr(in->data, MARK_END, in->len) : NULL;
    if (mark != MARK_TEXT || end == NULL)
        return false;
    *out = span_take(in, (size_t)(end - in->data));
    (void)span_take(in, 1);
    return true;
}

enum err precedence_decode(struct span in, struct semver *out)
{
    struct span part;
    size_t len = 0;
    uint8_t mark;

    memset(out, 0, sizeof(*out));
    if (!span_u32(&in, &out->major) || !span_u32(&in, &out->minor) ||
        !span_u32(&in, &out->patch) || !span_u8(&in, &mark))
        return ERR_STORE_CORRUPT;
    if (mark == MARK_STABLE)
        return OK;
    for (; mark != MARK_END; len += part.len) {
        if (!take_identifier(&in, mark, &part) || !span_u8(&in, &mark) ||
            len + 1 + part.len > SEMVER_PRE_RELEASE_MAX + (len == 0))
            return ERR_STORE_CORRUPT;
        if (len > 0)
            out->pre_release[len++] = '.';
        memcpy(out->pre_release + len, part.data, part.len);
    }
    return OK;
}
