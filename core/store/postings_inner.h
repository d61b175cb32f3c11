/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_POSTINGS_INNER_H
#define STORE_POSTINGS_INNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "store/postings.h"

/* What postings.c, which keeps the lists, and postings_match.c, which reads
 * them, share. */
enum {
    SKIP_EVERY = 128,   /* postings; a search jumps over as many at a time */
    POSTING_MAX = 12,   /* bytes */
    POSTING_LONG = 255, /* a byte: a number follows, of what is above it */
    TENTHS_MAX = 0xffff,
};

/* A package is known by its place in |slots|, from 1. */
struct skip {
    uint32_t nth; /* before the block */
    uint32_t at;  /* where it starts */
};

struct posting_word {
    UT_hash_handle hh;
    uint8_t *bytes; /* of each the gap to the one before, and the hits' worth */
    struct skip *skips;
    size_t len, cap, skip_count, skip_cap;
    uint32_t last;     /* the last one's place */
    uint32_t count;    /* of postings */
    uint32_t packages; /* of those not gone */
    bool is_ready, is_wanted;
    uint64_t reading; /* its place in |hits| of this one is … */
    size_t nth_hit;   /* … this */
    size_t text_len;
    char text[]; /* NUL behind it */
};

struct postings {
    const struct mem *mem;
    size_t bytes_max;
    _Atomic size_t bytes;
    _Atomic uint64_t refused;
    pthread_rwlock_t lock;
    enum postings_state state;
    int64_t *slots;    /* ascending by order; < 0: gone */
    uint16_t *lengths; /* words of each; 0: gone */
    size_t slot_count, slot_cap, length_cap, gone;
    struct posting_word *words;
    /* The writing thread's own: */
    int64_t *dropped; /* while loading */
    size_t dropped_count, dropped_cap;
    struct posting_word *filling;
    uint64_t *filled; /* place ‖ worth */
    size_t filled_count, filled_cap;
    uint64_t reading;
};

static inline int64_t slot_abs(int64_t slot)
{
    return slot < 0 ? -slot : slot;
}

struct posting_word *postings_word(const struct postings *p, struct span text);
/* The place of |slot|, from 1; 0: it is not known. */
uint32_t postings_place(const struct postings *p, int64_t slot);

#endif /* STORE_POSTINGS_INNER_H */
