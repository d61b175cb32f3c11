/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IDENTIFY_RECORD_H
#define IDENTIFY_RECORD_H

#include "identify/identify.h"

/* A peer record sealed in an envelope, read by whom it is about.
 *
 *    Envelope { public_key, payload_type 03 01, payload, signature }
 *                                    └ PeerRecord { peer_id, seq, addresses* }
 */
struct record {
    uint64_t seq;
    struct multiaddr addrs[IDENTIFY_ADDRS_MAX]; /* without /p2p */
    size_t addr_count;
};

/* ERR_PROTO: malformed, or another type.  ERR_BAD_SIGNATURE.  ERR_WRONG_PEER:
 * not signed by |remote|, or not about it.  ERR_NOMEM. */
MUST_USE enum err record_open(struct span envelope,
                              const struct peer_id *remote,
                              const struct mem *mem, struct record *out);

/* Append the address |bytes| to |addrs| unless it cannot be read, is there
 * already, names another peer, or there is no room. */
void identify_addrs_add(struct multiaddr addrs[IDENTIFY_ADDRS_MAX],
                        size_t *count, struct span bytes,
                        const struct peer_id *remote);

#endif /* IDENTIFY_RECORD_H */
