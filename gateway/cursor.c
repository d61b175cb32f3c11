/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cursor.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"
#include "multi/base.h"

void cursor_key_init(struct cursor_key *key, struct span secret)
{
    hmac_sha256(SPAN_LIT("souk-cursor-v1"), secret, key->bytes);
}

static void sum(const struct cursor_key *key, struct span context,
                struct span payload, uint8_t out[CURSOR_SUM_LEN])
{
    uint8_t inner[SHA256_LEN], full[SHA256_LEN], both[2 * SHA256_LEN];

    sha256(context, inner);
    memcpy(both, inner, sizeof(inner));
    sha256(payload, inner);
    memcpy(both + SHA256_LEN, inner, sizeof(inner));
    hmac_sha256(SPAN_OF(key->bytes), SPAN_OF(both), full);
    memcpy(out, full, CURSOR_SUM_LEN);
}

const char *cursor_seal(const struct cursor_key *key, struct span context,
                        struct span payload, char out[CURSOR_TEXT_MAX])
{
    uint8_t bytes[CURSOR_SUM_LEN + CURSOR_PAYLOAD_MAX];

    assert(payload.len <= CURSOR_PAYLOAD_MAX);
    sum(key, context, payload, bytes);
    if (payload.len > 0)
        memcpy(bytes + CURSOR_SUM_LEN, payload.data, payload.len);
    (void)base_encode(BASE64URL, SPAN(bytes, CURSOR_SUM_LEN + payload.len), out,
                      CURSOR_TEXT_MAX);
    return out;
}

enum err cursor_open(const struct cursor_key *key, struct span context,
                     struct span text, uint8_t payload[CURSOR_PAYLOAD_MAX],
                     size_t *len)
{
    uint8_t bytes[CURSOR_SUM_LEN + CURSOR_PAYLOAD_MAX], want[CURSOR_SUM_LEN];
    size_t n;

    if (base_decode(BASE64URL, text, bytes, sizeof(bytes), &n) != OK ||
        n < CURSOR_SUM_LEN)
        return ERR_INVAL;
    *len = n - CURSOR_SUM_LEN;
    sum(key, context, SPAN(bytes + CURSOR_SUM_LEN, *len), want);
    if (!crypto_equal(want, bytes, sizeof(want)))
        return ERR_INVAL;
    memcpy(payload, bytes + CURSOR_SUM_LEN, *len);
    return OK;
}
