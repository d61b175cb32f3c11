/* SPDX-License-Identifier: Apache-2.0 */
#include "noise/payload.h"

#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/noise.pb-c.h"

enum { DECODE_MAX = 32768 }; /* a payload of 8 KiB, with its structs */

/* spec: noise/README.md#static-key-authentication */
static const char sign_prefix[] = "noise-libp2p-static-key:";
enum {
    PREFIX_LEN = sizeof(sign_prefix) - 1,
    SIGNED_LEN = PREFIX_LEN + X25519_LEN,
};

static void write_signed(const uint8_t x25519[X25519_LEN],
                         uint8_t out[SIGNED_LEN])
{
    memcpy(out, sign_prefix, PREFIX_LEN);
    memcpy(out + PREFIX_LEN, x25519, X25519_LEN);
}

static void sign(const struct ed25519_keypair *identity,
                 const uint8_t x25519[X25519_LEN], uint8_t sig[ED25519_SIG_LEN])
{
    uint8_t covered[SIGNED_LEN];

    write_signed(x25519, covered);
    ed25519_sign(identity, SPAN_OF(covered), sig);
}

void noise_static_generate(struct noise_static *out,
                           const struct ed25519_keypair *identity,
                           const struct rng *rng)
{
    x25519_generate(&out->key, rng);
    sign(identity, out->key.pub, out->signature);
}

enum err create_payload(const struct noise_config *config,
                        const uint8_t x25519[X25519_LEN], struct buf *out)
{
    Wire__NoisePayload msg = WIRE__NOISE_PAYLOAD__INIT;
    Wire__NoiseExtensions extensions = WIRE__NOISE_EXTENSIONS__INIT;
    ProtobufCBinaryData muxers[NOISE_MUXERS_MAX];
    uint8_t sig[ED25519_SIG_LEN];
    struct pubkey key;

    if (config->static_key != NULL)
        memcpy(sig, config->static_key->signature, sizeof(sig));
    else
        sign(config->identity, x25519, sig);
    pubkey_from_ed25519(&key, config->identity->pub);
    msg.identity_key = wire_bytes(pubkey_span(&key));
    msg.identity_sig = wire_bytes(SPAN_OF(sig));
    for (size_t i = 0; i < config->muxers_count; i++)
        muxers[i] = wire_bytes(config->muxers[i]);
    if (config->muxers_count > 0) {
        extensions.n_stream_muxers = config->muxers_count;
        extensions.stream_muxers = muxers;
        msg.extensions = &extensions;
    }
    return wire_put(out, &msg.base);
}

static int index_of(struct span name, const struct noise_config *config)
{
    for (size_t i = 0; i < config->muxers_count; i++)
        if (span_eq(config->muxers[i], name))
            return (int)i;
    return NOISE_MUXER_NONE;
}

/* spec: connections/inlined-muxer-negotiation.md#early-muxer-negotiation
 *   the initiator's first that the responder has too
 * Without one in common both sides still have multistream-select. */
static int agree_on_muxer(const struct noise_config *config,
                          const Wire__NoiseExtensions *theirs)
{
    int best = NOISE_MUXER_NONE;

    if (theirs == NULL)
        return NOISE_MUXER_NONE;
    for (size_t i = 0; i < theirs->n_stream_muxers; i++) {
        int ours = index_of(wire_span(theirs->stream_muxers[i]), config);

        if (ours == NOISE_MUXER_NONE)
            continue;
        if (!config->is_dialer)
            return ours;
        if (best == NOISE_MUXER_NONE || ours < best)
            best = ours;
    }
    return best;
}

static enum err verify(const struct noise_config *config,
                       const uint8_t x25519[X25519_LEN],
                       const Wire__NoisePayload *msg, struct payload *out)
{
    uint8_t covered[SIGNED_LEN];

    TRY(pubkey_decode(&out->key, wire_span(msg->identity_key)));
    peer_id_from_pubkey(&out->peer, &out->key);
    if (config->expected.len > 0 && !peer_id_eq(&out->peer, &config->expected))
        return ERR_WRONG_PEER;
    /* spec: noise/README.md#the-libp2p-handshake-payload
     *   the signature must verify under the identity key */
    write_signed(x25519, covered);
    if (!pubkey_verify(&out->key, SPAN_OF(covered),
                       wire_span(msg->identity_sig)))
        return ERR_CRYPTO;
    out->muxer = agree_on_muxer(config, msg->extensions);
    return OK;
}

enum err consume_payload(const struct noise_config *config,
                         const uint8_t x25519[X25519_LEN], struct span bytes,
                         struct payload *out, const struct mem *mem)
{
    Wire__NoisePayload *msg;
    struct arena arena;
    enum err err;

    arena_init(&arena, DECODE_MAX, mem);
    msg = wire_unpack(&wire__noise_payload__descriptor, &arena, bytes);
    err = msg != NULL ? verify(config, x25519, msg, out) : ERR_PROTO;
    arena_release(&arena);
    return err;
}
