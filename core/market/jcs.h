/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_JCS_H
#define MARKET_JCS_H

#include <jansson.h>

#include "base/buf.h"

/* Canonical JSON: members sorted by their UTF-16 code units, the shortest
 * escapes, no spaces.  https://www.rfc-editor.org/rfc/rfc8785
 *
 * Integers only: a signed record holds no other numbers, so the ECMAScript
 * number format is not needed.  ERR_INVAL for a real number, ERR_LIMIT when
 * |out| is full, ERR_NOMEM. */
MUST_USE
enum err jcs_write(const json_t *value, struct buf *out);
/* The order of two member names: UTF-16 code units. */
int jcs_key_cmp(const char *a, const char *b);

#endif /* MARKET_JCS_H */
