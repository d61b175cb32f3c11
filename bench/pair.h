/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include "conn/conn.h"
#include "noise/noise.h"

/* Two connections joined in memory: [0] accepts, [1] dials. */
struct pair {
    struct conn *conn[2];
    unsigned upgraded; /* of the two */
};

/* Whom they belong to. */
struct pair_side {
    const struct ed25519_keypair *identity;
    const struct noise_static *static_key;
};

/* Speaking |protocol|; the dialer expects |expected|, which may be NULL. */
void pair_open(struct pair *p, const struct pair_side sides[2],
               const struct peer_id *expected, const char *const *protocol,
               tstamp now, const struct rng *rng);
/* Hand each what the other has to say until both are silent. */
void pair_talk(struct pair *p, tstamp now);
void pair_close(struct pair *p);

#endif /* BENCH_PAIR_H */
