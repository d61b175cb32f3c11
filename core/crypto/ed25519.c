/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ed25519.h"

#include <sodium.h>

#include "crypto/crypto.h"

/* The key file's head: type Ed25519, then 64 bytes of data. */
static const uint8_t file_head[] = {0x08, 0x01, 0x12, 0x40};

enum { SECRET_LEN = ED25519_SEED_LEN + ED25519_PUB_LEN };

_Static_assert(crypto_sign_SECRETKEYBYTES == SECRET_LEN, "seed ‖ public");
_Static_assert(ED25519_FILE_LEN == sizeof(file_head) + SECRET_LEN, "the file");

void crypto_init(void)
{
    /* It fails only if it cannot read random numbers, which we never ask for.
     */
    (void)!sodium_init();
}

/* libsodium's form of the secret key. */
static void secret_of(const struct ed25519_keypair *key,
                      uint8_t out[SECRET_LEN])
{
    memcpy(out, key->seed, ED25519_SEED_LEN);
    memcpy(out + ED25519_SEED_LEN, key->pub, ED25519_PUB_LEN);
}

void ed25519_from_seed(struct ed25519_keypair *out,
                       const uint8_t seed[ED25519_SEED_LEN])
{
    uint8_t secret[SECRET_LEN];

    memmove(out->seed, seed, ED25519_SEED_LEN);
    (void)crypto_sign_seed_keypair(out->pub, secret, out->seed);
    crypto_wipe(secret, sizeof(secret));
}

void ed25519_generate(struct ed25519_keypair *out, const struct rng *rng)
{
    uint8_t seed[ED25519_SEED_LEN];

    rng_fill(rng, seed, sizeof(seed));
    ed25519_from_seed(out, seed);
    crypto_wipe(seed, sizeof(seed));
}

void ed25519_sign(const struct ed25519_keypair *key, struct span message,
                  uint8_t sig[ED25519_SIG_LEN])
{
    uint8_t secret[SECRET_LEN];

    secret_of(key, secret);
    (void)crypto_sign_detached(sig, NULL, message.data, message.len, secret);
    crypto_wipe(secret, sizeof(secret));
}

bool ed25519_verify(const uint8_t pub[ED25519_PUB_LEN], struct span message,
                    struct span sig)
{
    return sig.len == ED25519_SIG_LEN &&
           crypto_sign_verify_detached(sig.data, message.data, message.len,
                                       pub) == 0;
}

void ed25519_encode(const struct ed25519_keypair *key,
                    uint8_t out[ED25519_FILE_LEN])
{
    memcpy(out, file_head, sizeof(file_head));
    secret_of(key, out + sizeof(file_head));
}

enum err ed25519_decode(struct ed25519_keypair *out, struct span file)
{
    struct ed25519_keypair key;
    enum err err = OK;

    if (file.len != ED25519_FILE_LEN ||
        !span_starts_with(file, SPAN_OF(file_head)))
        return ERR_INVAL;
    ed25519_from_seed(&key, file.data + sizeof(file_head));
    if (!crypto_equal(key.pub, file.data + sizeof(file_head) + ED25519_SEED_LEN,
                      ED25519_PUB_LEN))
        err = ERR_INVAL;
    else
        *out = key;
    crypto_wipe(&key, sizeof(key));
    return err;
}
