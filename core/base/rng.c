/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <assert.h>
#include <string.h>

void rng_fill(const struct rng *r, void *out, size_t n)
{
    r->fill(r->ctx, out, n);
}

uint64_t rng_u64(const struct rng *r)
{
    uint64_t v;

    rng_fill(r, &v, sizeof(v));
    return v;
}

uint64_t rng_below(const struct rng *r, uint64_t bound)
{
    uint64_t limit, v;

    assert(bound > 0);
    limit = UINT64_MAX - UINT64_MAX % bound;
    do
        v = rng_u64(r);
    while (v >= limit);
    return v % bound;
}

static uint64_t split_mix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void seeded_fill(void *ctx, void *out, size_t n)
{
    struct rng_seeded *s = ctx;
    unsigned char *to = out;

    while (n > 0) {
        uint64_t v = split_mix(&s->state);
        size_t part = n < sizeof(v) ? n : sizeof(v);

        memcpy(to, &v, part);
        to += part;
        n -= part;
    }
}

struct rng rng_seeded(struct rng_seeded *s, uint64_t seed)
{
    s->state = seed;
    return (struct rng){.fill = seeded_fill, .ctx = s};
}
