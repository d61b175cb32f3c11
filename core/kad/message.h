/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_MESSAGE_H
#define KAD_MESSAGE_H

#include <wire/kad.pb-c.h>

#include "base/buf.h"
#include "kad/kad.h"
#include "wire/arena.h"

/* The one message of the protocol, both ways.
 *
 *      type, key, record?, closer peers*, provider peers*
 *
 * Decoded it lives in the arena; to be sent it borrows everything. */
enum {
    KAD_DECODE_MAX = 1024 * 1024, /* of one message, in memory */
    KAD_ADDRS_SEEN_MAX = 32,      /* of one peer, looked at */
    KAD_TIME_TEXT_MAX = 32,
};

struct message_record {
    struct span key, value, publisher;
    uint32_t ttl;     /* seconds, 0: not sent */
    wall_ms received; /* 0: not sent */
};

struct message {
    enum kad_rpc_type type;
    struct span key;
    const struct message_record *record; /* NULL: none */
    const struct kad_peer *closer;       /* nearest first */
    size_t closer_count;
    const struct kad_peer *providers;
    size_t providers_count;
};

/*   ERR_FRAME_SIZE  above KAD_MESSAGE_MAX
 *   ERR_PROTO       malformed, or no such type
 *   ERR_NOMEM */
MUST_USE
enum err message_decode(struct arena *arena, struct span bytes,
                        Wire__KadMessage **out);

/* Append |m| in at most KAD_MESSAGE_SEND_MAX bytes: what is too much goes in
 * this order: addresses, the furthest closer peers, providers.  Addresses that
 * may not be told are left out, and closer peers without any.
 *   ERR_LIMIT  key and record alone are too large
 *   ERR_NOMEM */
MUST_USE
enum err message_encode(struct arena *arena, const struct message *m,
                        bool is_private_network, struct buf *out);

static inline struct span message_bytes(ProtobufCBinaryData b)
{
    return SPAN(b.data, b.len);
}

/* RFC 3339 with milliseconds, as the wire wants it.  Returns |out|. */
const char *message_time(wall_ms t, char out[KAD_TIME_TEXT_MAX]);

#endif /* KAD_MESSAGE_H */
