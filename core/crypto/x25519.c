/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519.h"

#include <sodium.h>

_Static_assert(crypto_scalarmult_BYTES == X25519_LEN, "one size");

void x25519_from_secret(struct x25519_keypair *out,
                        const uint8_t secret[X25519_LEN])
{
    memcpy(out->secret, secret, X25519_LEN);
    (void)crypto_scalarmult_base(out->pub, out->secret);
}

void x25519_generate(struct x25519_keypair *out, const struct rng *rng)
{
    rng_fill(rng, out->secret, sizeof(out->secret));
    (void)crypto_scalarmult_base(out->pub, out->secret);
}

enum err x25519_shared(uint8_t out[X25519_LEN],
                       const uint8_t secret[X25519_LEN],
                       const uint8_t pub[X25519_LEN])
{
    return crypto_scalarmult(out, secret, pub) == 0 ? OK : ERR_CRYPTO;
}
