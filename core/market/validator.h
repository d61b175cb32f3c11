/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_VALIDATOR_H
#define MARKET_VALIDATOR_H

#include "market/keys.h"

/* What the DHT and gossip ask about package records.  Its first three
 * functions have the shape of the DHT's validator table.
 *
 * Checking a signature is the dearest thing souk does for a record, and one
 * record comes under three keys, from several holders and by gossip.  So the
 * verdict on some bytes is kept under their SHA-256, bounded, the one not
 * used longest first out; bad ones too. */
struct validator;

struct validator_config {
    const struct network *network;
    size_t entries_max; /* 0 = 1,024 */
    /* How much a publisher is believed for a package, higher is better: its
     * order decides between publishers.  NULL: all alike. */
    int (*believe)(void *ctx, const struct package_id *id,
                   const struct peer_id *publisher);
    void *ctx;
};

struct validator *validator_new(const struct validator_config *config,
                                const struct mem *mem);
void validator_free(struct validator *v);

/* Is |value| a record that may be stored under |key|?
 * ERR_INVAL (no key of ours), ERR_WRONG_KEY, and all of record_parse() and
 * record_verify(). */
MUST_USE
enum err validator_check(struct validator *v, struct span key,
                         struct span value, wall_ms wall);
/* Which of two valid values is better under |key|: < 0 |a|, > 0 |b|, 0 the
 * same record.  A value that is not valid is worse than one that is. */
int validator_select(struct validator *v, struct span key, struct span a,
                     struct span b);
/* Who signed |value|; len 0 for an unsigned or invalid one. */
void validator_publisher(struct validator *v, struct span value,
                         struct peer_id *publisher);

/* The record in |value|, parsed and verified (the signature only if these
 * bytes were not seen before).  As record_parse() and record_verify(). */
MUST_USE
enum err validator_open(struct validator *v, struct span value,
                        struct record *out, const struct mem *mem);

struct validator_stats {
    uint64_t hits, misses;
    size_t entries, entries_max;
};
void validator_stats(const struct validator *v, struct validator_stats *out);

#endif /* MARKET_VALIDATOR_H */
