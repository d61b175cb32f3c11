/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/span.h"
#include "souk/err.h"

/* ChaCha20-Poly1305, RFC 8439, with one key and one direction.  The cipher
 * context is made once and reused for every message; |counter| is the nonce
 * (4 zero bytes ‖ 64-bit little-endian, as Noise has it) and the caller's
 * business never to repeat. */
enum { AEAD_KEY_LEN = 32, AEAD_TAG_LEN = 16 };

enum aead_direction { AEAD_SEAL, AEAD_OPEN };

struct aead {
    void *ctx; /* libcrypto's, NULL before aead_init */
    enum aead_direction direction;
};

/* ERR_NOMEM.  Initialising again replaces the key. */
MUST_USE
enum err aead_init(struct aead *a, const uint8_t key[AEAD_KEY_LEN],
                   enum aead_direction direction);
void aead_release(struct aead *a);

/* Write |plain.len| + AEAD_TAG_LEN bytes to |out|, which may be |plain.data|
 * itself but may not otherwise overlap it. */
MUST_USE
enum err aead_seal(struct aead *a, uint64_t counter, struct span ad,
                   struct span plain, uint8_t *out);
/* The reverse: |sealed.len| - AEAD_TAG_LEN bytes to |out|, likewise in place if
 * you like.  ERR_CRYPTO if anything was altered; |out| is then rubbish. */
MUST_USE
enum err aead_open(struct aead *a, uint64_t counter, struct span ad,
                   struct span sealed, uint8_t *out);

#endif /* CRYPTO_AEAD_H */
