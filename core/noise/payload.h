/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NOISE_PAYLOAD_H
#define NOISE_PAYLOAD_H

#include "base/buf.h"
#include "crypto/crypto.h"
#include "noise/noise.h"

/* What libp2p says inside the handshake: who owns this Noise key, and which
 * muxers it would like.  |x25519| is the static key it travels with, that of
 * the configuration if there is one. */
MUST_USE
enum err create_payload(const struct noise_config *config,
                        const uint8_t x25519[X25519_LEN], struct buf *out);

struct payload {
    struct pubkey key;
    struct peer_id peer;
    int muxer; /* agreed on, an index in config.muxers; or NOISE_MUXER_NONE */
};

/* Verifies all of it.  ERR_PROTO: no such message or key; ERR_CRYPTO: the key
 * did not sign; ERR_WRONG_PEER. */
MUST_USE
enum err consume_payload(const struct noise_config *config,
                         const uint8_t x25519[X25519_LEN], struct span bytes,
                         struct payload *out, const struct mem *mem);

#endif /* NOISE_PAYLOAD_H */
