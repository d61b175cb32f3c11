/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/uvarint.h"

size_t uvarint_len(uint64_t v)
{
    size_t n = 1;

    while (v >>= 7)
        n++;
    return n;
}

size_t uvarint_encode(uint64_t v, uint8_t out[UVARINT_MAX])
{
    size_t n = 0;

    assert(v >> 63 == 0);
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

enum err uvarint_put(struct buf *b, uint64_t v)
{
    uint8_t bytes[UVARINT_MAX];
    size_t n = uvarint_encode(v, bytes);

    return buf_put(b, SPAN(bytes, n));
}

enum err uvarint_recv(struct uvarint *u, struct span *in, bool *whole)
{
    uint8_t byte;

    *whole = false;
    while (span_u8(in, &byte)) {
        if (u->have == 0)
            u->value = 0;
        u->value |= (uint64_t)(byte & 0x7f) << (7 * u->have++);
        if (byte & 0x80) {
            if (u->have == UVARINT_MAX)
                return ERR_PROTO;
            continue;
        }
        /* spec: multiformats/unsigned-varint#spec
         *   numbers must be encoded in the fewest bytes */
        if (byte == 0 && u->have > 1)
            return ERR_PROTO;
        u->have = 0;
        *whole = true;
        return OK;
    }
    return OK;
}

bool span_uvarint(struct span *s, uint64_t *v)
{
    struct uvarint u = {0};
    struct span rest = *s;
    bool whole;

    if (uvarint_recv(&u, &rest, &whole) != OK || !whole)
        return false;
    *v = u.value;
    *s = rest;
    return true;
}

bool span_uvarint_bytes(struct span *s, struct span *out)
{
    struct span rest = *s;
    uint64_t n;

    if (!span_uvarint(&rest, &n) || n > rest.len)
        return false;
    *out = span_take(&rest, (size_t)n);
    *s = rest;
    return true;
}
