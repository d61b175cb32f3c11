/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_JCS_H
#define MARKET_JCS_H

#include <jansson.h>

#include "base/buf.h"

/* Canonical JSON: members sorted by their UTF-16 code units, the shortest
 * escapes, no spaces.  https://www.rfc-editor.org/rfc/rfc8785
 *
 * Integers only: a signed record holds no other numbers, so the ECMAScript
 * number format is not needed. */
enum { JCS_DEPTH_MAX = 32 };

/* Where a member was written: "stats", or one level down "souk/signature".
 * The bytes from |start| to |end| are its name, the colon and its value; both
 * are 0 if there is no such member. */
struct jcs_mark {
    const char *path;
    size_t start, end;
};

struct jcs_options {
    struct jcs_mark *marks; /* filled in; offsets from the first byte written */
    size_t mark_count;
    /* Real numbers too, with 17 digits: not RFC 8785, but the same at every
     * node; for hashing records that are not signed. */
    bool is_loose;
};

/* Append |value| to |out|.
 * ERR_INVAL: a real number, or deeper than JCS_DEPTH_MAX; ERR_LIMIT: |out| is
 * full; ERR_NOMEM.  After an error |out| holds a part. */
MUST_USE
enum err jcs_write(const json_t *value, struct buf *out);
MUST_USE
enum err jcs_write_with(const json_t *value, const struct jcs_options *options,
                        struct buf *out);
/* The order of two member names: UTF-16 code units. */
int jcs_key_cmp(const char *a, const char *b);

#endif /* MARKET_JCS_H */
