/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <stdatomic.h>

#include "market/owner.h"
#include "store/cache.h"
#include "store/db.h"
#include "store/listing.h"
#include "store/postings.h"
#include "store/store.h"
#include "tbl/network.h"

/* What the rooms' files share of struct store. */

/* Counters that move with the transaction: undone with it, shown after it. */
struct tally {
    int64_t next_package; /* ids and slots not given yet */
    int64_t next_version;
    int64_t next_outbox;
    int64_t next_slot;
    int64_t packages;
    int64_t listed; /* packages with a live version */
    int64_t words;  /* of their texts */
    int64_t versions;
    int64_t own;
    int64_t outbox;
    int64_t others_bytes;
    int64_t evicted;
    int64_t refused;
};

/* The last commit's, for other threads. */
struct shown {
    _Atomic int64_t packages, listed, words, versions, own, outbox,
        others_bytes, evicted, refused, failures;
    /* Counted as they happen, whatever becomes of the transaction. */
    _Atomic int64_t outbox_refused, versions_refused;
    _Atomic bool writes;
};

/* Where the background work has got to. */
struct chores {
    int64_t package; /* quality was looked at up to this id */
    wall_ms quality_due;
    wall_ms expiry_due;
    wall_ms count_due;
    bool is_owed;     /* a namespace is to be judged anew: soon */
    bool is_unmerged; /* the index has had new segments */
    char word[256];   /* common words were counted up to this one */
    int64_t counted;  /* packages listed when that began */
    /* Of lists in memory (fill.h): what is to be done, and up to where it is.
     */
    enum fill_step { FILL_NOTHING, FILL_SLOTS, FILL_WORDS, FILL_LISTS } fill;
    bool is_filled;
    int64_t fill_key, fill_slot;
};

struct store {
    struct db db;
    char *path;  /* of the database; NULL: in memory */
    int lock_fd; /* -1: none */
    struct ed25519_keypair identity;
    struct peer_id self;
    char token[STORE_TOKEN_MAX];
    const struct network *network;
    struct store_trust *trust; /* strings owned */
    size_t trust_count;
    int64_t others_bytes_max, outbox_max;
    struct cache *cache;
    struct tokens *tokens;
    struct postings *postings;
    const struct log *log;
    const struct mem *mem;
    bool is_synced; /* commits wait for the disk now */
    struct tally tally;
    struct shown shown;
    bool index_is_confused;       /* see index_settle() */
    struct index_ops ops;         /* FTS5 writes of this transaction */
    struct cache_changes changes; /* what the cache is told after it */
    struct chores chores;
};

/* A peer id kept in a row; empty means none. */
static inline void column_peer(const struct db *db, enum sql id, int column,
                               struct peer_id *out)
{
    struct span bytes = db_blob(db, id, column);

    if (bytes.len == 0 || peer_id_decode(out, bytes) != OK)
        *out = (struct peer_id){0};
}

/* The operator's word and the pin for |id|. */
MUST_USE
enum err facts_of_owner(struct db *db, const struct store *s,
                        const struct package_id *id, struct owner_facts *out);
void shown_update(struct store *s);

#endif /* STORE_INTERNAL_H */
