/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MULTI_UVARINT_H
#define MULTI_UVARINT_H

#include "base/buf.h"
#include "base/span.h"

/* Unsigned LEB128 as multiformats has it: minimal, at most 9 bytes, so values
 * end at 2^63 - 1. */
enum { UVARINT_MAX = 9 };

size_t uvarint_len(uint64_t v);
/* The number of bytes written.  |v| must be below 2^63. */
size_t uvarint_encode(uint64_t v, uint8_t out[UVARINT_MAX]);
MUST_USE
enum err uvarint_put(struct buf *b, uint64_t v);

/* A span reader: false, span untouched, if |s| is too short or the number is
 * not minimal or too long. */
bool span_uvarint(struct span *s, uint64_t *v);
/* uvarint(length) ‖ bytes. */
bool span_uvarint_bytes(struct span *s, struct span *out);

/* The same from a stream cut anywhere: feed until |*whole|. */
struct uvarint {
    uint64_t value;
    uint8_t have;
};
/* Takes bytes from |in|; |*whole| tells that u->value is complete, and the
 * next call starts a new number.  ERR_PROTO: not minimal or too long. */
MUST_USE
enum err uvarint_recv(struct uvarint *u, struct span *in, bool *whole);

#endif /* MULTI_UVARINT_H */
