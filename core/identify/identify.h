/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTIFY_IDENTIFY_H
#define IDENTIFY_IDENTIFY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "crypto/ed25519.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0: who one is.
 *
 *    opener                       other side
 *      ── stream ──────────────►                       id: the other side says
 *      ◄── message, FIN ───────     identify_encode
 *      ── stream, message, FIN ►  identify_reader      push: the opener says
 *
 * Saying is one message with everything in it.  Listening accumulates up to
 * ten messages until FIN, because go splits; then identify_reader_finish()
 * judges the whole.  Both speak the stream's bytes, length prefixes included.
 *
 * spec: identify/README.md, RFC 0002 (envelope), RFC 0003 (peer record) */

#define IDENTIFY_PROTOCOL "/ipfs/id/1.0.0"
#define IDENTIFY_PUSH_PROTOCOL "/ipfs/id/push/1.0.0"

enum {
    IDENTIFY_SENT_MAX = 4096,     /* rust reads one message of that size */
    IDENTIFY_RECORD_MAX = 1536,   /* our signed record: leaves room for both */
    IDENTIFY_ACCEPTED_MAX = 8192, /* a message */
    IDENTIFY_MESSAGES_MAX = 10,
    IDENTIFY_ADDRS_MAX = 32,      /* more are ignored */
    IDENTIFY_PROTOCOLS_MAX = 128, /* more are ignored */
    IDENTIFY_PROTOCOL_LEN_MAX = 255,
    IDENTIFY_TEXT_MAX = 128, /* agent and protocol version, cut there */
};

/* ---- Saying who we are. ---- */

struct identify_self {
    struct span public_key; /* protobuf of the identity key */
    const struct multiaddr *addrs;
    size_t addr_count; /* most useful first: the tail is dropped if too long */
    const char *const *protocols;
    size_t protocol_count;
    const struct multiaddr *observed; /* how we see the other; may be NULL */
    const char *protocol_version;     /* "/souk/1.0.0" */
    const char *agent_version;        /* "souk/0.1.0" */
    struct span signed_record; /* of identify_make_record(), may be empty */
};

/* Append the sealed peer record to |out|; make it anew when addresses change.
 * |seq| must grow: Unix time in ns.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err identify_make_record(const struct ed25519_keypair *key,
                                       const struct multiaddr *addrs,
                                       size_t addr_count, uint64_t seq,
                                       const struct mem *mem, struct buf *out);

/* Append the message, with its length in front; then close the stream.  Drops
 * addresses, then the record, until it fits.  ERR_LIMIT (protocols alone are
 * too long, or |out| is full), ERR_NOMEM. */
MUST_USE enum err identify_encode(const struct identify_self *self,
                                  const struct mem *mem, struct buf *out);

/* ---- Hearing who they are. ---- */

struct identify_info {
    struct peer_id peer;
    struct multiaddr addrs[IDENTIFY_ADDRS_MAX]; /* told, without /p2p */
    size_t addr_count;
    struct span protocols[IDENTIFY_PROTOCOLS_MAX];
    size_t protocol_count;
    struct multiaddr observed; /* how they see us; len 0: not told */
    char protocol_version[IDENTIFY_TEXT_MAX + 1]; /* printable ASCII */
    char agent_version[IDENTIFY_TEXT_MAX + 1];
    /* A record that verified; its addresses are then what addrs holds. */
    bool has_record;
    uint64_t record_seq;
    struct span record; /* as it came, for handing on */
};
bool identify_has_protocol(const struct identify_info *info, const char *id);

struct identify_reader;
struct identify_reader *identify_reader_new(const struct mem *mem);
void identify_reader_free(struct identify_reader *r);

/* Eat bytes of the stream.  ERR_FRAME_SIZE, ERR_LIMIT (an eleventh message),
 * ERR_PROTO, ERR_NOMEM. */
MUST_USE enum err identify_reader_recv(struct identify_reader *r,
                                       struct span *in);
/* The stream ended: what was said by |remote|, whom the handshake proved.
 * |*info| lives as long as |r|.  A push may leave out anything, which then is
 * as it was; js leaves out the key.  ERR_PROTO (no message, or one cut short,
 * or no key where there must be one), ERR_WRONG_PEER (another's key),
 * ERR_NOMEM. */
MUST_USE enum err identify_reader_finish(struct identify_reader *r,
                                         const struct peer_id *remote,
                                         bool is_push,
                                         const struct identify_info **info);

/* ---- Somebody else handed on a record. ---- */

/* The addresses in it, without /p2p, if |peer| signed it and it is about
 * |peer|.  ERR_PROTO, ERR_BAD_SIGNATURE, ERR_WRONG_PEER, ERR_NOMEM. */
MUST_USE enum err
identify_open_record(struct span envelope, const struct peer_id *peer,
                     const struct mem *mem,
                     struct multiaddr addrs[IDENTIFY_ADDRS_MAX], size_t *count);

#endif /* IDENTIFY_IDENTIFY_H */
