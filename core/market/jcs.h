/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_JCS_H
#define MARKET_JCS_H

#include <jansson.h>

#include "base/buf.h"

/* Canonical JSON: members sorted by their UTF-16 code units, the shortest
 * escapes, no spaces.  https://www.rfc-editor.org/rfc/rfc8785
 *
 * Integers only: a signed record holds no other numbers, so the ECMAScript
 * number format is not needed.  ERR_INVAL for a real number or nesting above
 * JCS_DEPTH_MAX, ERR_LIMIT when |out| is full, ERR_NOMEM. */
enum { JCS_DEPTH_MAX = 32 };

MUST_USE
enum err jcs_write(const json_t *value, struct buf *out);
/* The same without some members: "stats" or, one level down,
 * "souk/signature".  |except| ends with NULL. */
MUST_USE
enum err jcs_write_except(const json_t *value, const char *const *except,
                          struct buf *out);
/* Real numbers too, with 17 digits: not RFC 8785, but the same at every node;
 * for hashing records that are not signed. */
MUST_USE
enum err jcs_write_loose(const json_t *value, const char *const *except,
                         struct buf *out);
/* The order of two member names: UTF-16 code units. */
int jcs_key_cmp(const char *a, const char *b);

#endif /* MARKET_JCS_H */
