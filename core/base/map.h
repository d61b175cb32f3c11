/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/rng.h"

/* Hash maps: uthash with a keyed hash (SipHash-2-4), because most keys come
 * from strangers.  The process sets the key once, before the first map, from
 * its rng; tests leave it at zero.
 *
 * Entries embed a UT_hash_handle named hh.  Iteration is in insertion order,
 * so runs replay.  uthash's own tables abort when memory ends: they are small
 * against the entries, which the caller allocates and bounds. */
void map_set_key(const struct rng *rng);
uint64_t map_hash(const void *key, size_t len);

#define HASH_FUNCTION(keyptr, keylen, hashv) \
    ((hashv) = (unsigned)map_hash((keyptr), (keylen)))
#define uthash_fatal(msg) abort()
#include <uthash.h>

#define MAP_FIND(map, keyptr, keylen, out) \
    HASH_FIND(hh, map, keyptr, keylen, out)
/* |keyptr| must point into |entry|. */
#define MAP_ADD(map, keyptr, keylen, entry) \
    HASH_ADD_KEYPTR(hh, map, keyptr, keylen, entry)
#define MAP_DEL(map, entry) HASH_DELETE(hh, map, entry)
#define MAP_COUNT(map) ((size_t)HASH_COUNT(map))
/* The body may remove |el|. */
#define MAP_FOR_EACH(map, el, tmp) HASH_ITER(hh, map, el, tmp)

#endif /* BASE_MAP_H */
