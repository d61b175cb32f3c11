/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <string.h>

static uint64_t hash_key[2];

void map_set_key(const struct rng *rng)
{
    rng_fill(rng, hash_key, sizeof(hash_key));
}

static uint64_t rotl(uint64_t v, int n)
{
    return v << n | v >> (64 - n);
}

/* Four words in registers: called, they would go through memory each time. */
static inline __attribute__((always_inline)) void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static void sip_absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

/* SipHash-2-4, Aumasson and Bernstein 2012.  Words are read in host order: the
 * hash never leaves the process. */
uint64_t map_hash(const void *key, size_t len)
{
    const unsigned char *in = key;
    uint64_t word, last = (uint64_t)len << 56;
    uint64_t v[4] = {
        hash_key[0] ^ 0x736f6d6570736575u, hash_key[1] ^ 0x646f72616e646f6du,
        hash_key[0] ^ 0x6c7967656e657261u, hash_key[1] ^ 0x7465646279746573u};

    for (; len >= 8; len -= 8, in += 8) {
        memcpy(&word, in, 8);
        sip_absorb(v, word);
    }
    for (size_t i = 0; i < len; i++)
        last |= (uint64_t)in[i] << (8 * i);
    sip_absorb(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
