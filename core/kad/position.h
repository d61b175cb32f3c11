/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_POSITION_H
#define KAD_POSITION_H

#include "crypto/hash.h"
#include "kad/kad.h"

/* Where a peer or key stands: SHA-256 of its bytes; distance is XOR, read as
 * a big-endian number.
 *
 * spec: kad-dht/README.md#distance */
static inline void position_of(struct span bytes, uint8_t out[KAD_POSITION_LEN])
{
    sha256(bytes, out);
}

static inline void position_xor(const uint8_t a[KAD_POSITION_LEN],
                                const uint8_t b[KAD_POSITION_LEN],
                                uint8_t out[KAD_POSITION_LEN])
{
    for (int i = 0; i < KAD_POSITION_LEN; i++)
        out[i] = a[i] ^ b[i];
}

/* < 0 when |a| is nearer to |target| than |b|. */
static inline int position_cmp(const uint8_t target[KAD_POSITION_LEN],
                               const uint8_t a[KAD_POSITION_LEN],
                               const uint8_t b[KAD_POSITION_LEN])
{
    for (int i = 0; i < KAD_POSITION_LEN; i++)
        if (a[i] != b[i])
            return (a[i] ^ target[i]) - (b[i] ^ target[i]);
    return 0;
}

/* Leading zero bits: 0 … 256. */
static inline unsigned distance_prefix(const uint8_t d[KAD_POSITION_LEN])
{
    unsigned bits = 0;

    for (int i = 0; i < KAD_POSITION_LEN; i++, bits += 8)
        if (d[i] != 0) {
            for (uint8_t top = 0x80; (d[i] & top) == 0; top >>= 1)
                bits++;
            break;
        }
    return bits;
}

/* The bits two positions have in common. */
static inline unsigned position_prefix(const uint8_t a[KAD_POSITION_LEN],
                                       const uint8_t b[KAD_POSITION_LEN])
{
    uint8_t d[KAD_POSITION_LEN];

    position_xor(a, b, d);
    return distance_prefix(d);
}

#endif /* KAD_POSITION_H */
