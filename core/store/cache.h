/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CACHE_H
#define STORE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/time.h"
#include "market/package.h"
#include "souk/err.h"

/* The hot cache: ready answers, least recently used thrown out first, shared by
 * all threads.
 *
 *      stamp = search_stamp(query)            what the answer depends on, now
 *      cache_get(key, now) -> hit              … or work the answer out, then
 *      cache_put(key, stamp, answer, ttl, now)
 *
 * A stamp is taken before the catalogue is read.  It names up to four buckets
 * (one a word of the query; one a package) and their generations; each change
 * of the catalogue moves the generations of all words of the old and the new
 * record.  A record that could match has every word, so the entry is stale only
 * when all of its buckets have moved.  Entries need no looking up to be
 * invalidated, and an answer read before a commit cannot outlive it. */
struct cache;

enum {
    CACHE_BUCKETS = 4096,
    CACHE_STAMP_MAX = 4,
    CACHE_KEY_MAX = 4096, /* longer keys are not kept */
};

struct cache_stamp {
    uint8_t count;
    struct {
        uint16_t bucket;
        uint32_t generation;
    } at[CACHE_STAMP_MAX];
};

/* An answer; immutable, counted, may outlive the cache's own copy. */
struct cached {
    struct span body;
    struct span extra; /* the putter's: an ETag, a trust word … */
    uint64_t total;
    bool is_empty;
};

struct cache *cache_new(size_t bytes_max);
void cache_free(struct cache *c);

/* NULL: not there, expired or stale (its stamp is kept with it).  Give back
 * with cached_release(). */
const struct cached *cache_get(struct cache *c, struct span key, tstamp now);
void cached_release(const struct cached *hit);
/* For one more release. */
void cached_hold(const struct cached *hit);
/* Copies.  Not kept if it is larger than a sixteenth of the cache, if |ttl| is
 * 0, or if it is stale already. */
void cache_put(struct cache *c, struct span key,
               const struct cache_stamp *stamp, struct cached answer,
               duration ttl, tstamp now);

/* How long a search's answer is kept. */
#define CACHE_TTL_RESULTS (300 * SECONDS)
#define CACHE_TTL_EMPTY (15 * SECONDS)

/* Stamps.  A package's covers its head and versions. */
void cache_stamp_all(struct cache *c, struct cache_stamp *out);
/* Of what only needs that nothing was dropped to make room. */
void cache_stamp_losses(struct cache *c, struct cache_stamp *out);
void cache_stamp_package(struct cache *c, const struct package_id *id,
                         struct cache_stamp *out);
/* |word|: as the index folds it (reader_search_stamp() does that). */
void cache_stamp_add_word(struct cache *c, struct cache_stamp *stamp,
                          struct span word);

/* What a transaction changes, gathered while it runs, told after its commit. */
struct cache_changes {
    uint64_t bits[CACHE_BUCKETS / 64];
    bool is_any;
    bool is_loss;
};
/* Words with a space between, folded. */
void cache_changes_words(struct cache_changes *ch, const char *words);
void cache_changes_package(struct cache_changes *ch,
                           const struct package_id *id);
/* A package was dropped to make room. */
void cache_changes_loss(struct cache_changes *ch);
void cache_changes_add(struct cache_changes *ch,
                       const struct cache_changes *more);
/* Tell it and forget it. */
void cache_apply(struct cache *c, struct cache_changes *ch);

/* Grows with every transaction that changed the catalogue. */
uint64_t cache_generation(struct cache *c);

struct cache_status {
    size_t entries, bytes, bytes_max;
    uint64_t hits, misses, evicted;
};
void cache_status(struct cache *c, struct cache_status *out);

#endif /* STORE_CACHE_H */
