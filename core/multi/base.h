/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MULTI_BASE_H
#define MULTI_BASE_H

#include "base/span.h"
#include "souk/err.h"

/* Bytes as text.  The value of a base is its multibase prefix; the plain
 * functions neither write nor expect one.  None is padded.  Those of up to 36
 * digits are read in either case: compare values, not texts. */
enum base {
    BASE16 = 'f',
    BASE32 = 'b',
    BASE36 = 'k',
    BASE58 = 'z', /* bitcoin's alphabet */
    BASE64URL = 'u',
};

/* Base 36 and 58 are quadratic, so they take no more bytes than this. */
enum { BASE_POSITIONAL_MAX = 128 };

/* Room that base_encode() needs for |n| bytes, prefix and NUL included. */
size_t base_text_max(enum base base, size_t n);

/* Write text and NUL to |out| of |max| bytes; the length without NUL.  Both
 * limits are the caller's to keep: they are asserted. */
size_t base_encode(enum base base, struct span in, char *out, size_t max);
size_t multibase_encode(enum base base, struct span in, char *out, size_t max);

/* ERR_INVAL: a character of another alphabet, an impossible length, or bits
 * set beyond the last byte.  ERR_LIMIT: more than |max| bytes. */
MUST_USE
enum err base_decode(enum base base, struct span text, uint8_t *out, size_t max,
                     size_t *n);
/* Prefixes F, B, K too. */
MUST_USE
enum err multibase_decode(struct span text, uint8_t *out, size_t max,
                          size_t *n);

#endif /* MULTI_BASE_H */
