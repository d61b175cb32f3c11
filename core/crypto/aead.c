/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/aead.h"

#include <limits.h>
#include <openssl/evp.h>

enum { NONCE_LEN = 12 };

enum err aead_init(struct aead *a, const uint8_t key[AEAD_KEY_LEN],
                   enum aead_direction direction)
{
    const EVP_CIPHER *cipher = NULL; /* the one it has: looked up only once */

    a->direction = direction;
    if (a->ctx == NULL) {
        a->ctx = EVP_CIPHER_CTX_new();
        cipher = EVP_chacha20_poly1305();
    }
    if (a->ctx == NULL || EVP_CipherInit_ex(a->ctx, cipher, NULL, key, NULL,
                                            direction == AEAD_SEAL) != 1) {
        aead_release(a);
        return ERR_NOMEM;
    }
    return OK;
}

void aead_release(struct aead *a)
{
    EVP_CIPHER_CTX_free(a->ctx);
    a->ctx = NULL;
}

/* The nonce keeps the key, and AD comes first. */
static bool begin(struct aead *a, uint64_t counter, struct span ad)
{
    uint8_t nonce[NONCE_LEN] = {0};
    int n;

    for (size_t i = 0; i < 8; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
    if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, nonce, -1) != 1)
        return false;
    return ad.len == 0 ||
           EVP_CipherUpdate(a->ctx, NULL, &n, ad.data, (int)ad.len) == 1;
}

/* Zero bytes are no update: libcrypto would take it for the end. */
static bool update(struct aead *a, struct span in, uint8_t *out)
{
    int n;

    assert(in.len <= INT_MAX);
    return in.len == 0 ||
           (EVP_CipherUpdate(a->ctx, out, &n, in.data, (int)in.len) == 1 &&
            (size_t)n == in.len);
}

enum err aead_seal(struct aead *a, uint64_t counter, struct span ad,
                   struct span plain, uint8_t *out)
{
    uint8_t *tag = out + plain.len;
    int n;

    assert(a->ctx != NULL && a->direction == AEAD_SEAL);
    if (!begin(a, counter, ad) || !update(a, plain, out) ||
        EVP_CipherFinal_ex(a->ctx, tag, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, tag) !=
            1)
        return ERR_INTERNAL;
    return OK;
}

enum err aead_open(struct aead *a, uint64_t counter, struct span ad,
                   struct span sealed, uint8_t *out)
{
    uint8_t tag[AEAD_TAG_LEN];
    int n;

    assert(a->ctx != NULL && a->direction == AEAD_OPEN);
    if (sealed.len < AEAD_TAG_LEN)
        return ERR_CRYPTO;
    sealed.len -= AEAD_TAG_LEN;
    memcpy(tag, sealed.data + sealed.len, AEAD_TAG_LEN);
    if (!begin(a, counter, ad) ||
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) !=
            1)
        return ERR_INTERNAL;
    if (!update(a, sealed, out) || EVP_CipherFinal_ex(a->ctx, tag, &n) != 1)
        return ERR_CRYPTO;
    return OK;
}
