/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_CURSOR_H
#define GATEWAY_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "souk/err.h"

/* Where the next page begins, as a text clients cannot read, change or carry
 * over to another query:
 *
 *      base64url( HMAC(key, context ‖ payload)[8] ‖ payload )
 *
 * |context| is what the page belongs to (the route and the query in normal
 * form); it is in the sum only. */
enum {
    CURSOR_PAYLOAD_MAX = 384,
    CURSOR_SUM_LEN = 8,
    CURSOR_TEXT_MAX = (CURSOR_PAYLOAD_MAX + CURSOR_SUM_LEN + 2) / 3 * 4 + 1,
};

struct cursor_key {
    uint8_t bytes[32];
};

/* The same secret gives the same key, so cursors outlive a restart. */
void cursor_key_init(struct cursor_key *key, struct span secret);

/* Returns |out|.  |payload| is at most CURSOR_PAYLOAD_MAX. */
const char *cursor_seal(const struct cursor_key *key, struct span context,
                        struct span payload, char out[CURSOR_TEXT_MAX]);
/* ERR_INVAL: not one of ours, or of another context. */
MUST_USE
enum err cursor_open(const struct cursor_key *key, struct span context,
                     struct span text, uint8_t payload[CURSOR_PAYLOAD_MAX],
                     size_t *len);

#endif /* GATEWAY_CURSOR_H */
