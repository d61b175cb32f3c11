/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRYPTO_PUBKEY_H
#define CRYPTO_PUBKEY_H

#include "base/span.h"
#include "crypto/ed25519.h"
#include "souk/err.h"

/* The public key of a peer, of any of the four kinds libp2p has.
 *
 *      08 TYPE 12 LEN DATA        its protobuf form, from which ids are made
 *
 * spec: peer-ids/peer-ids.md#keys
 *   encoding is deterministic, so only the canonical form is a key */
enum pubkey_type {
    PUBKEY_RSA = 0,       /* DATA is SubjectPublicKeyInfo, 2048 to 8192 bits */
    PUBKEY_ED25519 = 1,   /* 32 bytes */
    PUBKEY_SECP256K1 = 2, /* 33 bytes, a compressed point */
    PUBKEY_ECDSA = 3,     /* SubjectPublicKeyInfo, P-256 */
};

enum {
    PUBKEY_MAX = 1100,    /* an RSA key of 8192 bits takes 1,064 */
    PUBKEY_SIG_MAX = 1024 /* the longest signature anyone makes */
};

/* A value: unused bytes are zero. */
struct pubkey {
    enum pubkey_type type;
    uint16_t len;     /* of the protobuf form */
    uint16_t data_at; /* where DATA starts in it */
    uint8_t bytes[PUBKEY_MAX];
};

static inline struct span pubkey_span(const struct pubkey *k)
{
    return SPAN(k->bytes, k->len);
}
static inline struct span pubkey_data(const struct pubkey *k)
{
    return SPAN(k->bytes + k->data_at, k->len - k->data_at);
}

/* ERR_PROTO: not the canonical form of a key we can verify with. */
MUST_USE
enum err pubkey_decode(struct pubkey *out, struct span protobuf);
void pubkey_from_ed25519(struct pubkey *out,
                         const uint8_t pub[ED25519_PUB_LEN]);

/* Whether |sig| is this key's signature of |message|.  Foreign kinds cost an
 * allocation and up to a millisecond. */
bool pubkey_verify(const struct pubkey *k, struct span message,
                   struct span sig);

#endif /* CRYPTO_PUBKEY_H */
