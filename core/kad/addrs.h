/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_ADDRS_H
#define KAD_ADDRS_H

#include "base/mem.h"
#include "kad/kad.h"

/* The addresses of one peer, packed, because thousands of peers are kept:
 *
 *      (length, 2 bytes ‖ multiaddr)*
 *
 * at most KAD_ADDRS_MAX of them and KAD_ADDRS_BYTES_MAX bytes, each once. */
struct addrs {
    uint8_t *bytes;
    uint16_t len;
    uint16_t count;
};

void addrs_release(struct addrs *a, const struct mem *mem);
static inline struct span addrs_span(const struct addrs *a)
{
    return SPAN(a->bytes, a->len);
}

/* One more at the end; what is too many is left out.  ERR_NOMEM. */
MUST_USE
enum err addrs_add(struct addrs *a, const struct multiaddr *m,
                   const struct mem *mem);
/* All of a packed list. */
MUST_USE
enum err addrs_add_packed(struct addrs *a, struct span packed,
                          const struct mem *mem);
/* Replace the list; without memory the old one stays. */
MUST_USE
enum err addrs_set(struct addrs *a, const struct multiaddr *list, size_t count,
                   const struct mem *mem);

/* What strangers tell of each other: nothing private, unless the network is,
 * and nothing that leads nowhere. */
bool addr_may_be_told(const struct multiaddr *m, bool is_private_network);
/* Read one address of |peer| as a message has it.  False: unreadable, another
 * peer's, or one that may not be told. */
bool addr_from_wire(struct multiaddr *out, struct span bytes,
                    const struct peer_id *peer, bool is_private_network);

#endif /* KAD_ADDRS_H */
