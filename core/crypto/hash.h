/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <openssl/sha.h>

#include "base/span.h"

/* SHA-256, HMAC-SHA-256 and HKDF-SHA-256.  No allocation, no failure. */
enum { SHA256_LEN = 32 };

void sha256(struct span in, uint8_t out[SHA256_LEN]);

/* In pieces: init, add any number of times, final. */
struct sha256 {
    SHA256_CTX ctx;
};
void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, struct span in);
void sha256_final(struct sha256 *h, uint8_t out[SHA256_LEN]);

void hmac_sha256(struct span key, struct span in, uint8_t out[SHA256_LEN]);

/* RFC 5869; |out_len| is at most 255 * SHA256_LEN. */
void hkdf_sha256(struct span salt, struct span secret, struct span info,
                 uint8_t *out, size_t out_len);

/* Equal, in a time that depends on |n| alone. */
bool crypto_equal(const void *a, const void *b, size_t n);
/* Zero |n| bytes so that the compiler cannot leave it out. */
void crypto_wipe(void *p, size_t n);

#endif /* CRYPTO_HASH_H */
