/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_RECORDS_H
#define KAD_RECORDS_H

#include "base/heap.h"
#include "base/map.h"
#include "kad/events.h"
#include "kad/kad.h"

/* The records held here.
 *
 *      map: key ──▶ record ──▶ record        one a publisher, ≤ 4 a key
 *                     │          │
 *                     ▼          ▼
 *      map: bytes ──▶ value ◀────┘           equal bytes are kept once
 *
 * One timer a record: when to put it again at the closest peers, or when it
 * ends.  There may be 131,072 of them, so an entry is frugal: its key, its
 * publisher and its owner stand behind it. */
struct value {
    UT_hash_handle hh;
    uint32_t refs;
    uint32_t len;
    uint8_t bytes[];
};

struct record {
    UT_hash_handle hh; /* only the first of a key is in the map */
    struct record *next;
    struct value *value;
    struct heap_node timer; /* due or expiry, whichever is first */
    tstamp expires_at;
    wall_ms received;
    uint16_t key_len;
    uint8_t publisher_len;
    uint8_t owner_len; /* 0: unsigned */
    bool is_own;
    bool is_distant;      /* enough peers are nearer: theirs to replicate */
    bool owner_published; /* the two are one, as with most, and kept once */
    uint8_t bytes[];      /* key ‖ publisher ‖ owner */
};

/* A record on its way in or out. */
struct record_in {
    struct span key;
    struct span value;
    struct peer_id owner, publisher;
    bool is_own;
    wall_ms received;
    tstamp expires_at;
};

struct records {
    const struct mem *mem;
    const struct rng *rng;
    const struct kad_config *config;
    const struct kad_validator *validator;
    struct kad_stats *stats;
    struct events *events;
    struct record *keys;
    struct value *values;
    struct heap timers;
    size_t count, own_count, bytes;
};

void records_init(struct records *r, const struct kad_config *config,
                  const struct kad_validator *validator, const struct rng *rng,
                  struct kad_stats *stats, struct events *events,
                  const struct mem *mem);
void records_release(struct records *r);

/* Take a valid record.  The same again lives longer, a better one of the same
 * owner replaces, the fifth owner must beat the worst.  |is_loaded|: it comes
 * from disk, no event.
 *   ERR_STALE_SEQUENCE  that owner's better one is here
 *   ERR_LIMIT, ERR_NOMEM */
MUST_USE
enum err records_put(struct records *r, const struct record_in *in,
                     bool is_loaded, tstamp now, wall_ms wall);
/* The best one living of |key|, NULL if there is none. */
const struct record *records_best(const struct records *r, struct span key,
                                  tstamp now);
/* All of |key|, living or not; follow ->next. */
struct record *records_first(const struct records *r, struct span key);
struct record *records_of(const struct records *r, struct span key,
                          const struct peer_id *owner);
void records_disown(struct records *r, struct span key, tstamp now);

/* The next record to be put again, if one is due and |may_put|.  Those that
 * have ended meanwhile are forgotten, |*work| of them at most.  Its timer is
 * set anew. */
struct record *records_due(struct records *r, unsigned *work, bool may_put,
                           tstamp now, wall_ms wall);
/* It was found that the k closest are all nearer than we are. */
void records_set_distant(struct records *r, struct record *e);

static inline struct span record_key(const struct record *e)
{
    return SPAN(e->bytes, e->key_len);
}
static inline struct span record_value(const struct record *e)
{
    return SPAN(e->value->bytes, e->value->len);
}
struct peer_id record_publisher(const struct record *e);
struct peer_id record_owner(const struct record *e);
/* Whole seconds left, at least 1. */
uint32_t record_ttl(const struct record *e, tstamp now);

#endif /* KAD_RECORDS_H */
