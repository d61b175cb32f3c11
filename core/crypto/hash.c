/* SPDX-License-Identifier: Apache-2.0 */

/* libcrypto calls these functions old, because they bypass its providers; that
 * is what makes them five times faster on short input, with no allocation. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/hash.h"

#include <sodium.h>

enum { SHA256_BLOCK = 64 };

void sha256_init(struct sha256 *h)
{
    (void)SHA256_Init(&h->ctx);
}

void sha256_add(struct sha256 *h, struct span in)
{
    if (in.len > 0)
        (void)SHA256_Update(&h->ctx, in.data, in.len);
}

void sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN])
{
    (void)SHA256_Final(out, &h->ctx);
}

void sha256(struct span in, uint8_t out[SHA256_LEN])
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, in);
    sha256_final(&h, out);
}

/* RFC 2104: H(key ^ outer ‖ H(key ^ inner ‖ text)), either half begun here. */
static void hmac_begin(struct sha256 *h, const uint8_t key[SHA256_BLOCK],
                       uint8_t pad)
{
    uint8_t block[SHA256_BLOCK];

    for (size_t i = 0; i < SHA256_BLOCK; i++)
        block[i] = key[i] ^ pad;
    sha256_init(h);
    sha256_add(h, SPAN_OF(block));
    crypto_wipe(block, sizeof(block));
}

struct hmac {
    struct sha256 inner, outer;
};

static void hmac_init(struct hmac *m, struct span key)
{
    uint8_t block[SHA256_BLOCK] = {0};

    if (key.len > SHA256_BLOCK)
        sha256(key, block);
    else if (key.len > 0)
        memcpy(block, key.data, key.len);
    hmac_begin(&m->inner, block, 0x36);
    hmac_begin(&m->outer, block, 0x5c);
    crypto_wipe(block, sizeof(block));
}

static void hmac_final(struct hmac *m, uint8_t out[SHA256_LEN])
{
    sha256_final(&m->inner, out);
    sha256_add(&m->outer, SPAN(out, SHA256_LEN));
    sha256_final(&m->outer, out);
    crypto_wipe(m, sizeof(*m));
}

void hmac_sha256(struct span key, struct span in, uint8_t out[SHA256_LEN])
{
    struct hmac m;

    hmac_init(&m, key);
    sha256_add(&m.inner, in);
    hmac_final(&m, out);
}

void hkdf_sha256(struct span salt, struct span secret, struct span info,
                 uint8_t *out, size_t out_len)
{
    uint8_t prk[SHA256_LEN], block[SHA256_LEN];
    struct span previous = SPAN_NONE;
    struct hmac m;

    assert(out_len <= 255 * (size_t)SHA256_LEN);
    hmac_sha256(salt, secret, prk);
    for (uint8_t i = 1; out_len > 0; i++) {
        size_t n = out_len < SHA256_LEN ? out_len : SHA256_LEN;

        hmac_init(&m, SPAN_OF(prk));
        sha256_add(&m.inner, previous);
        sha256_add(&m.inner, info);
        sha256_add(&m.inner, SPAN(&i, 1));
        hmac_final(&m, block);
        previous = SPAN_OF(block);
        memcpy(out, block, n);
        out += n;
        out_len -= n;
    }
    crypto_wipe(prk, sizeof(prk));
    crypto_wipe(block, sizeof(block));
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return n == 0 || sodium_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    sodium_memzero(p, n);
}
