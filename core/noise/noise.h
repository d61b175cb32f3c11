/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NOISE_NOISE_H
#define NOISE_NOISE_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "crypto/ed25519.h"
#include "crypto/x25519.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* libp2p's secure channel: Noise_XX_25519_ChaChaPoly_SHA256 with a signature
 * that ties each side's Noise key to its peer id.
 *
 *      peer's bytes -> noise_recv() -> READY (who it is), then DATA
 *      our bytes    -> noise_seal() -> config.out
 *      time         -> noise_tick()
 *
 * Everything for the peer, handshake messages too, is appended to the buf that
 * was handed in.  Plaintext appears where its ciphertext was, in the caller's
 * memory; only a frame that is cut by the end of the input is gathered in ours
 * (one frame, at most 64 KiB).  noise_seal() encrypts straight from the
 * caller's bytes into |out|: one pass, no copy.
 *
 * It never compares clocks, never retries, never tells the peer why it failed:
 * an error is final and the connection must be closed. */
struct noise;

enum {
    NOISE_FRAME_MAX = 65535, /* accepted, tag included */
    NOISE_SEND_MAX = 16384,  /* plaintext of the frames we make */
    NOISE_MUXERS_MAX = 8,    /* that we offer */
    NOISE_MUXER_NONE = -1,
};

/* A static Noise key, and that the identity signed it.  It takes a key exchange
 * and a signature to make, so one serves all sessions of a node; what a session
 * is encrypted with comes of its ephemeral keys.
 * spec: noise/README.md#static-key-authentication
 *   may be the same for several sessions */
struct noise_static {
    struct x25519_keypair key;
    uint8_t signature[ED25519_SIG_LEN];
};

void noise_static_generate(struct noise_static *out,
                           const struct ed25519_keypair *identity,
                           const struct rng *rng);

struct noise_config {
    bool is_dialer;
    const struct ed25519_keypair *identity; /* outlives the session */
    /* The identity's; outlives the session.  NULL: one for it alone. */
    const struct noise_static *static_key;
    struct peer_id expected; /* who must answer; len 0: anyone */
    /* Muxers to agree on within the handshake, best first; none: never. */
    const struct span *muxers; /* outlives the session */
    size_t muxers_count;
    duration within; /* the handshake must be done after this */
    struct buf *out; /* for the peer; outlives the session */
};

/* The caller's memory, which noise_recv() may alter. */
struct noise_input {
    uint8_t *data;
    size_t len;
};

enum noise_event_type {
    NOISE_EV_NONE,  /* the input ran out */
    NOISE_EV_READY, /* handshake done: |peer|, |key| and |muxer| hold */
    NOISE_EV_DATA,  /* |data| is plaintext, never empty */
};

struct noise_event {
    enum noise_event_type type;
    struct span data; /* valid until the next call, and as long as the input */
    struct peer_id peer;
    const struct pubkey *key; /* lives as long as the session */
    int muxer; /* index in config.muxers, or NOISE_MUXER_NONE: multistream */
};

/* A dialer's first message is in config.out already.  ERR_LIMIT, ERR_NOMEM:
 * no room for it. */
MUST_USE
enum err noise_new(struct noise **out, const struct noise_config *config,
                   tstamp now, const struct rng *rng, const struct mem *mem);
void noise_free(struct noise *n);

/* Take bytes from the front of |in| until one event is complete.  Call until
 * the event is NOISE_EV_NONE.
 *
 * ERR_PROTO       a handshake message of wrong form
 * ERR_CRYPTO      it does not decrypt, or a signature does not verify
 * ERR_WRONG_PEER  someone else answered than was dialled
 * ERR_LIMIT       config.out is full
 * ERR_NOMEM       no memory for a cut frame, or for the keys */
MUST_USE
enum err noise_recv(struct noise *n, struct noise_input *in,
                    struct noise_event *ev);

bool noise_is_ready(const struct noise *n);

/* Append |plain| to config.out, in frames of NOISE_SEND_MAX: all or nothing.
 * Only when ready.  ERR_LIMIT, ERR_NOMEM: nothing was taken, not final. */
MUST_USE
enum err noise_seal(struct noise *n, struct span plain);
/* What noise_seal() makes of |n| bytes. */
size_t noise_sealed_len(size_t n);

/* TSTAMP_NEVER once ready. */
tstamp noise_deadline(const struct noise *n);
/* ERR_TIMEOUT: the handshake took too long. */
MUST_USE
enum err noise_tick(struct noise *n, tstamp now);

#endif /* NOISE_NOISE_H */
