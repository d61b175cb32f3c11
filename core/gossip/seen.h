/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_SEEN_H
#define GOSSIP_SEEN_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/span.h"
#include "base/time.h"

/* The ids of the last |ttl|, as keyed 64-bit hashes: 20 bytes an id.
 *
 *    buckets[hash]  ─►  ring entry  ─►  next of the same bucket …
 *    ring: oldest … newest; the oldest leaves by age, or when it is full
 *
 * Adding never fails: without memory an older id is forgotten instead. */
struct seen_entry {
    uint64_t hash;
    uint32_t at_ms; /* wraps; ages are far shorter */
    uint32_t next;
};

struct seen {
    const struct mem *mem;
    struct seen_entry *ring;
    uint32_t *buckets;
    uint32_t cap; /* a power of two, of both */
    uint32_t head, count;
    uint32_t limit;
    uint32_t ttl_ms;
    uint64_t evicted;
};

void seen_init(struct seen *s, size_t limit, duration ttl,
               const struct mem *mem);
void seen_release(struct seen *s);
uint64_t seen_hash(struct span id);

/* An id that is there keeps its age. */
void seen_add(struct seen *s, uint64_t hash, tstamp now);
bool seen_has(const struct seen *s, uint64_t hash, tstamp now);
void seen_expire(struct seen *s, tstamp now);

#endif /* GOSSIP_SEEN_H */
