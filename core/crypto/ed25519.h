/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include "base/rng.h"
#include "base/span.h"
#include "souk/err.h"

/* Signatures, RFC 8032.  Ours are always of this kind. */
enum {
    ED25519_SEED_LEN = 32,
    ED25519_PUB_LEN = 32,
    ED25519_SIG_LEN = 64,
    ED25519_FILE_LEN = 68, /* the private key as libp2p keeps it on disk */
};

struct ed25519_keypair {
    uint8_t seed[ED25519_SEED_LEN];
    uint8_t pub[ED25519_PUB_LEN];
};

void ed25519_generate(struct ed25519_keypair *out, const struct rng *rng);
void ed25519_from_seed(struct ed25519_keypair *out,
                       const uint8_t seed[ED25519_SEED_LEN]);

void ed25519_sign(const struct ed25519_keypair *key, struct span message,
                  uint8_t sig[ED25519_SIG_LEN]);
bool ed25519_verify(const uint8_t pub[ED25519_PUB_LEN], struct span message,
                    struct span sig);

/* `08 01 12 40 ‖ seed ‖ public key`. */
void ed25519_encode(const struct ed25519_keypair *key,
                    uint8_t out[ED25519_FILE_LEN]);
/* ERR_INVAL: another form or type, or halves that do not belong together. */
MUST_USE
enum err ed25519_decode(struct ed25519_keypair *out, struct span file);

#endif /* CRYPTO_ED25519_H */
