/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MULTI_PEER_ID_H
#define MULTI_PEER_ID_H

#include "base/span.h"
#include "crypto/pubkey.h"
#include "souk/err.h"

/* Who a peer is: the multihash of its public key.  Short keys (Ed25519,
 * secp256k1) are contained in it, long ones only hashed.
 *
 * A value: unused bytes are zero, so the whole struct is a map key. */
enum {
    PEER_ID_MAX = 46,
    PEER_ID_TEXT_MAX = 80, /* in either form printed here, NUL included */
};

struct peer_id {
    uint8_t len; /* 0: nobody */
    uint8_t bytes[PEER_ID_MAX];
};

static inline struct span peer_id_span(const struct peer_id *id)
{
    return SPAN(id->bytes, id->len);
}
static inline bool peer_id_eq(const struct peer_id *a, const struct peer_id *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
static inline bool peer_id_is_none(const struct peer_id *id)
{
    return id->len == 0;
}

/* ERR_PROTO: not an identity (1 to 42 bytes) or SHA-256 multihash. */
MUST_USE
enum err peer_id_decode(struct peer_id *out, struct span bytes);
/* Both text forms: base58 multihash, or CIDv1 of codec libp2p-key in any
 * multibase.  ERR_INVAL. */
MUST_USE
enum err peer_id_parse(struct peer_id *out, struct span text);

/* "12D3Koo…": what people know.  Returns |out|. */
const char *peer_id_format(const struct peer_id *id,
                           char out[PEER_ID_TEXT_MAX]);
/* "k51…": CIDv1 in base36, lower case only, as namespaces have it. */
const char *peer_id_format_base36(const struct peer_id *id,
                                  char out[PEER_ID_TEXT_MAX]);

void peer_id_from_pubkey(struct peer_id *out, const struct pubkey *key);
void peer_id_from_ed25519(struct peer_id *out,
                          const uint8_t pub[ED25519_PUB_LEN]);
/* The key inside the id.  ERR_NOT_FOUND: the id is a hash; ERR_PROTO: what is
 * inside is no key. */
MUST_USE
enum err peer_id_pubkey(const struct peer_id *id, struct pubkey *out);

#endif /* MULTI_PEER_ID_H */
