/* SPDX-License-Identifier: Apache-2.0 */
#include "noise/handshake.h"

/* -> e
 * <- e, ee, s, es
 * -> s, se
 *
 * Every token below stands as a comment above the line that performs it; the
 * create_ and consume_ halves of a message perform the same ones in the same
 * order.  The order of the symmetric functions is that of the Noise
 * specification, section 5.2. */

static void mix_hash(struct handshake *hs, struct span data)
{
    struct sha256 sum;

    sha256_init(&sum);
    sha256_add(&sum, SPAN_OF(hs->h));
    sha256_add(&sum, data);
    sha256_final(&sum, hs->h);
}

static void mix_key(struct handshake *hs, const uint8_t shared[X25519_LEN])
{
    uint8_t pair[2 * SHA256_LEN];

    hkdf_sha256(SPAN_OF(hs->ck), SPAN(shared, X25519_LEN), SPAN_NONE, pair,
                sizeof(pair));
    memcpy(hs->ck, pair, SHA256_LEN);
    memcpy(hs->k, pair + SHA256_LEN, AEAD_KEY_LEN);
    hs->has_key = true;
    hs->n = 0;
    crypto_wipe(pair, sizeof(pair));
}

static enum err mix_dh(struct handshake *hs, const struct x25519_keypair *ours,
                       const uint8_t theirs[X25519_LEN])
{
    uint8_t shared[X25519_LEN];

    TRY(x25519_shared(shared, ours->secret, theirs));
    mix_key(hs, shared);
    crypto_wipe(shared, sizeof(shared));
    return OK;
}

static enum err encrypt_and_hash(struct handshake *hs, struct span plain,
                                 struct buf *out)
{
    size_t n = plain.len + (hs->has_key ? AEAD_TAG_LEN : 0);
    uint8_t *at;

    if (n == 0) {
        mix_hash(hs, SPAN_NONE);
        return OK;
    }
    TRY(buf_reserve(out, n, &at));
    if (hs->has_key) {
        TRY(aead_init(&hs->cipher, hs->k, AEAD_SEAL));
        TRY(aead_seal(&hs->cipher, hs->n++, SPAN_OF(hs->h), plain, at));
    } else {
        memcpy(at, plain.data, n);
    }
    mix_hash(hs, SPAN(at, n));
    buf_grow(out, n);
    return OK;
}

/* In place; |plain| is what becomes of |data|. */
static enum err decrypt_and_hash(struct handshake *hs, uint8_t *data, size_t n,
                                 struct span *plain)
{
    uint8_t before[SHA256_LEN];

    *plain = SPAN(data, n);
    if (!hs->has_key) {
        mix_hash(hs, *plain);
        return OK;
    }
    if (n < AEAD_TAG_LEN)
        return ERR_PROTO;
    memcpy(before, hs->h, sizeof(before));
    mix_hash(hs, *plain); /* the ciphertext, before it is gone */
    TRY(aead_init(&hs->cipher, hs->k, AEAD_OPEN));
    TRY(aead_open(&hs->cipher, hs->n++, SPAN_OF(before), *plain, data));
    plain->len -= AEAD_TAG_LEN;
    return OK;
}

static enum err send_e(struct handshake *hs, struct buf *out)
{
    TRY(buf_put(out, SPAN_OF(hs->e.pub)));
    mix_hash(hs, SPAN_OF(hs->e.pub));
    return OK;
}

static enum err read_e(struct handshake *hs, uint8_t **at, size_t *left)
{
    if (*left < X25519_LEN)
        return ERR_PROTO;
    memcpy(hs->re, *at, X25519_LEN);
    mix_hash(hs, SPAN_OF(hs->re));
    *at += X25519_LEN;
    *left -= X25519_LEN;
    return OK;
}

static enum err send_s(struct handshake *hs, struct buf *out)
{
    return encrypt_and_hash(hs, SPAN_OF(hs->s.pub), out);
}

static enum err read_s(struct handshake *hs, uint8_t **at, size_t *left)
{
    enum { SEALED_LEN = X25519_LEN + AEAD_TAG_LEN };
    struct span s;

    if (*left < SEALED_LEN)
        return ERR_PROTO;
    TRY(decrypt_and_hash(hs, *at, SEALED_LEN, &s));
    memcpy(hs->rs, s.data, X25519_LEN);
    *at += SEALED_LEN;
    *left -= SEALED_LEN;
    return OK;
}

void handshake_init(struct handshake *hs, struct span prologue,
                    const struct x25519_keypair *s,
                    const struct x25519_keypair *e)
{
    static const char name[] = "Noise_XX_25519_ChaChaPoly_SHA256";

    /* A name as long as a hash is the first hash. */
    _Static_assert(sizeof(name) - 1 == SHA256_LEN, "or else it is hashed");
    *hs = (struct handshake){.s = *s, .e = *e};
    memcpy(hs->h, name, SHA256_LEN);
    memcpy(hs->ck, name, SHA256_LEN);
    mix_hash(hs, prologue);
}

void handshake_release(struct handshake *hs)
{
    aead_release(&hs->cipher);
    crypto_wipe(hs, sizeof(*hs));
}

enum err create_first(struct handshake *hs, struct span payload,
                      struct buf *out)
{
    /* e */
    TRY(send_e(hs, out));
    return encrypt_and_hash(hs, payload, out);
}

enum err consume_first(struct handshake *hs, uint8_t *msg, size_t n,
                       struct span *payload)
{
    /* e */
    TRY(read_e(hs, &msg, &n));
    return decrypt_and_hash(hs, msg, n, payload);
}

enum err create_second(struct handshake *hs, struct span payload,
                       struct buf *out)
{
    /* e */
    TRY(send_e(hs, out));
    /* ee */
    TRY(mix_dh(hs, &hs->e, hs->re));
    /* s */
    TRY(send_s(hs, out));
    /* es */
    TRY(mix_dh(hs, &hs->s, hs->re));
    return encrypt_and_hash(hs, payload, out);
}

enum err consume_second(struct handshake *hs, uint8_t *msg, size_t n,
                        struct span *payload)
{
    /* e */
    TRY(read_e(hs, &msg, &n));
    /* ee */
    TRY(mix_dh(hs, &hs->e, hs->re));
    /* s */
    TRY(read_s(hs, &msg, &n));
    /* es */
    TRY(mix_dh(hs, &hs->e, hs->rs));
    return decrypt_and_hash(hs, msg, n, payload);
}

enum err create_third(struct handshake *hs, struct span payload,
                      struct buf *out)
{
    /* s */
    TRY(send_s(hs, out));
    /* se */
    TRY(mix_dh(hs, &hs->s, hs->re));
    return encrypt_and_hash(hs, payload, out);
}

enum err consume_third(struct handshake *hs, uint8_t *msg, size_t n,
                       struct span *payload)
{
    /* s */
    TRY(read_s(hs, &msg, &n));
    /* se */
    TRY(mix_dh(hs, &hs->e, hs->rs));
    return decrypt_and_hash(hs, msg, n, payload);
}

void handshake_split(const struct handshake *hs, uint8_t there[AEAD_KEY_LEN],
                     uint8_t back[AEAD_KEY_LEN])
{
    uint8_t pair[2 * AEAD_KEY_LEN];

    hkdf_sha256(SPAN_OF(hs->ck), SPAN_NONE, SPAN_NONE, pair, sizeof(pair));
    memcpy(there, pair, AEAD_KEY_LEN);
    memcpy(back, pair + AEAD_KEY_LEN, AEAD_KEY_LEN);
    crypto_wipe(pair, sizeof(pair));
}
