/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CHORES_H
#define STORE_CHORES_H

#include "store/internal.h"

/* The store's background work, a bounded step at a time (store_maintain):
 *
 *      expire    DHT records and providers whose time is over
 *      evict     others' packages above catalogue_bytes_max, the worst first
 *      rejudge   packages of a namespace whose owner changed
 *      place     packages whose static quality changed move to their new slot
 *      count     how many packages the common words are in
 *      merge     segments of the index that many commits left
 *      fill      the commonest words' lists, in memory (fill.h)             */
enum {
    CHORE_EXPIRE_MAX = 512,  /* rows a step */
    CHORE_EVICT_MAX = 64,    /* packages a step */
    CHORE_PACKAGES_MAX = 16, /* who waits to write waits for a step, too */
    CHORE_WORDS_MAX = 2000,
    CHORE_POSTINGS_MAX = 50000,
    COMMON_WORD_MIN = 100, /* packages; rarer words are not counted */
    COUNT_GROWTH_MIN = 256,
};

/* Compare the operator's trust with that of the last time. */
MUST_USE
enum err chores_start(struct store *s, wall_ms wall);
/* Terms of our own packages into |sink|. */
MUST_USE
enum err terms_load(struct store *s, const struct store_sink *sink);

#endif /* STORE_CHORES_H */
