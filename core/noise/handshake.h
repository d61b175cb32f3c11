/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NOISE_HANDSHAKE_H
#define NOISE_HANDSHAKE_H

#include "base/buf.h"
#include "crypto/crypto.h"
#include "souk/err.h"

/* The Noise handshake itself, Noise_XX_25519_ChaChaPoly_SHA256:
 *
 *      -> e                            create_first    consume_first
 *      <- e, ee, s, es                 create_second   consume_second
 *      -> s, se                        create_third    consume_third
 *
 * The initiator calls create_first, consume_second, create_third; the responder
 * the others; then both handshake_split().  It knows nothing of frames, peer
 * ids or what payloads mean. */
struct handshake {
    /* The symmetric state: hash of all that was said, chaining key, and the
     * key of the moment with its counter. */
    uint8_t h[SHA256_LEN];
    uint8_t ck[SHA256_LEN];
    struct aead cipher;
    uint8_t k[AEAD_KEY_LEN];
    bool has_key;
    uint64_t n;

    struct x25519_keypair s, e;             /* ours: static, ephemeral */
    uint8_t rs[X25519_LEN], re[X25519_LEN]; /* theirs */
};

/* Both keys are fresh or, in tests, given. */
void handshake_init(struct handshake *hs, struct span prologue,
                    const struct x25519_keypair *s,
                    const struct x25519_keypair *e);
/* Forget all secrets. */
void handshake_release(struct handshake *hs);

/* Append one message carrying |payload| to |out|: all or nothing is left to the
 * caller, who gives up on any error.  ERR_LIMIT, ERR_NOMEM; ERR_CRYPTO if the
 * peer's keys are unusable. */
MUST_USE
enum err create_first(struct handshake *hs, struct span payload,
                      struct buf *out);
MUST_USE
enum err create_second(struct handshake *hs, struct span payload,
                       struct buf *out);
MUST_USE
enum err create_third(struct handshake *hs, struct span payload,
                      struct buf *out);

/* Read one message of |n| bytes, decrypting it where it lies; |*payload| points
 * into it.  ERR_PROTO: too short; ERR_CRYPTO: not authentic. */
MUST_USE
enum err consume_first(struct handshake *hs, uint8_t *msg, size_t n,
                       struct span *payload);
MUST_USE
enum err consume_second(struct handshake *hs, uint8_t *msg, size_t n,
                        struct span *payload);
MUST_USE
enum err consume_third(struct handshake *hs, uint8_t *msg, size_t n,
                       struct span *payload);

/* The keys of the transport: initiator to responder, and back. */
void handshake_split(const struct handshake *hs, uint8_t there[AEAD_KEY_LEN],
                     uint8_t back[AEAD_KEY_LEN]);

#endif /* NOISE_HANDSHAKE_H */
