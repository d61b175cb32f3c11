/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Randomness, handed in: the host gives the system's, tests and the simulator
 * a seeded one. */
struct rng {
    void (*fill)(void *ctx, void *out, size_t n);
    void *ctx;
};

void rng_fill(const struct rng *r, void *out, size_t n);
uint64_t rng_u64(const struct rng *r);
/* Uniform in [0, bound), bound > 0. */
uint64_t rng_below(const struct rng *r, uint64_t bound);

/* A reproducible generator (SplitMix64).  Never for keys. */
struct rng_seeded {
    uint64_t state;
};
struct rng rng_seeded(struct rng_seeded *s, uint64_t seed);

#endif /* BASE_RNG_H */
