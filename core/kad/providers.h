/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_PROVIDERS_H
#define KAD_PROVIDERS_H

#include "base/heap.h"
#include "base/map.h"
#include "kad/addrs.h"
#include "kad/events.h"

/* Who provides what, as others told us.
 *
 *      map: key ──▶ provided_key ──▶ entry ──▶ entry     ≤ 20 a key
 *                                      │ provider
 *      map: peer ──▶ provider ◀────────┘                 ≤ 1,000 keys a peer
 *
 * A full key keeps a uniform sample of all who ever offered: each pair has a
 * secret rank and the 20 lowest stay.  Neither coming first nor coming often
 * helps. */
struct provider {
    UT_hash_handle hh;
    struct peer_id id;
    struct addrs addrs;
    size_t count;
};

struct provided_key;

struct provider_entry {
    struct heap_node timer; /* when it ends */
    struct provider_entry *next;
    struct provided_key *key;
    struct provider *provider;
    uint64_t rank;
};

struct provided_key {
    UT_hash_handle hh;
    struct provider_entry *entries;
    uint8_t count;
    uint8_t len;
    uint8_t bytes[];
};

struct providers {
    const struct mem *mem;
    const struct kad_config *config;
    struct kad_stats *stats;
    struct events *events;
    struct provided_key *keys;
    struct provider *peers;
    struct heap timers;
    uint8_t salt[16]; /* makes ranks secret */
    size_t count;
};

void providers_init(struct providers *p, const struct kad_config *config,
                    const struct rng *rng, struct kad_stats *stats,
                    struct events *events, const struct mem *mem);
void providers_release(struct providers *p);

/* |peer| provides |key| until |expires_at|; again: longer.  |addrs| is a packed
 * list.  One not in the sample is OK too.
 *   ERR_LIMIT  provider_keys_max, provider_records_max
 *   ERR_NOMEM */
MUST_USE
enum err providers_put(struct providers *p, struct span key,
                       const struct peer_id *peer, struct span addrs,
                       tstamp expires_at, bool is_loaded, tstamp now,
                       wall_ms wall);
/* Up to |max| living ones of |key| in |out|; how many. */
size_t providers_of(const struct providers *p, struct span key, tstamp now,
                    struct kad_peer *out, size_t max);
/* Forget what has ended, |*work| entries at most. */
void providers_expire(struct providers *p, unsigned *work, tstamp now,
                      wall_ms wall);

#endif /* KAD_PROVIDERS_H */
