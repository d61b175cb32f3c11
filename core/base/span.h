/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A span is somebody else's bytes: it never owns and never frees.
 *
 * Readers take bytes from the front.  They return false, leaving the span
 * untouched, when it is too short; so a decoder reads like the wire format. */
struct span {
    const uint8_t *data;
    size_t len;
};

#define SPAN(ptr, n) ((struct span){(const uint8_t *)(ptr), (n)})
#define SPAN_OF(array) SPAN(array, sizeof(array))
#define SPAN_LIT(text) SPAN(text, sizeof(text) - 1)
#define SPAN_NONE ((struct span){NULL, 0})

static inline struct span span_str(const char *text)
{
    return SPAN(text, strlen(text));
}

/* From |from| up to, not including, |end|. */
static inline struct span span_between(const void *from, const void *end)
{
    return SPAN(from, (size_t)((const uint8_t *)end - (const uint8_t *)from));
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Bytewise order, a shorter prefix first. */
static inline int span_cmp(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool span_starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(SPAN(s.data, prefix.len), prefix);
}

/* At most |n| bytes from the front. */
static inline struct span span_take(struct span *s, size_t n)
{
    struct span head = {s->data, n < s->len ? n : s->len};

    if (head.len > 0)
        s->data += head.len;
    s->len -= head.len;
    return head;
}

static inline bool span_u8(struct span *s, uint8_t *v)
{
    if (s->len < 1)
        return false;
    *v = s->data[0];
    (void)span_take(s, 1);
    return true;
}

static inline bool span_u16(struct span *s, uint16_t *v)
{
    if (s->len < 2)
        return false;
    *v = (uint16_t)(s->data[0] << 8 | s->data[1]);
    (void)span_take(s, 2);
    return true;
}

static inline bool span_u32(struct span *s, uint32_t *v)
{
    if (s->len < 4)
        return false;
    *v = (uint32_t)s->data[0] << 24 | (uint32_t)s->data[1] << 16 |
         (uint32_t)s->data[2] << 8 | (uint32_t)s->data[3];
    (void)span_take(s, 4);
    return true;
}

static inline bool span_bytes(struct span *s, size_t n, struct span *out)
{
    if (s->len < n)
        return false;
    *out = span_take(s, n);
    return true;
}

#endif /* BASE_SPAN_H */
