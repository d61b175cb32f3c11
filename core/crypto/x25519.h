/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_X25519_H
#define CRYPTO_X25519_H

#include "base/rng.h"
#include "base/span.h"
#include "souk/err.h"

/* Diffie-Hellman on Curve25519, RFC 7748. */
enum { X25519_LEN = 32 };

struct x25519_keypair {
    uint8_t secret[X25519_LEN];
    uint8_t pub[X25519_LEN];
};

void x25519_generate(struct x25519_keypair *out, const struct rng *rng);
void x25519_from_secret(struct x25519_keypair *out,
                        const uint8_t secret[X25519_LEN]);

/* ERR_CRYPTO if |pub| is a point of low order: the secret would be zero. */
MUST_USE
enum err x25519_shared(uint8_t out[X25519_LEN],
                       const uint8_t secret[X25519_LEN],
                       const uint8_t pub[X25519_LEN]);

#endif /* CRYPTO_X25519_H */
