/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_ROUTING_H
#define KAD_ROUTING_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "kad/addrs.h"
#include "kad/position.h"

/* The routing table and what it may soon hold.
 *
 *      bucket i: peers that share exactly i leading bits with us
 *        entries  ≤ 20, least recently heard first   ← asked, told to others
 *        spares   ≤ 8, newest last                   ← wait for a free place
 *      lost: ≤ 64 peers that fell out of a bucket    ← tried again, slowly
 *
 * It decides nothing about time or questions: contact.c does. */
enum contact_place {
    CONTACT_KNOWN, /* connected, no more */
    CONTACT_IN_TABLE,
    CONTACT_SPARE,
    CONTACT_LOST,
};

struct contact {
    UT_hash_handle hh;
    struct peer_id id;
    uint8_t position[KAD_POSITION_LEN];
    struct addrs addrs;
    struct list link;       /* of entries, spares or lost, by |place| */
    struct heap_node check; /* when to ask it for the sake of asking */
    enum contact_place place;
    uint64_t group; /* its IP neighbourhood, 0: exempt */
    tstamp heard_at;
    tstamp failed_at;
    uint16_t bucket;
    uint8_t failures; /* in a row */
    uint8_t tries;    /* since it was lost or first refused an answer */
    bool is_connected;
    bool is_server;
    bool is_asked; /* a check is under way */
};

struct bucket {
    struct list entries;
    struct list spares;
    unsigned count;
    unsigned spare_count;
};

enum { ROUTING_BUCKETS = 8 * KAD_POSITION_LEN };

struct routing {
    const struct mem *mem;
    uint8_t self[KAD_POSITION_LEN];
    size_t contacts_max;
    struct contact *contacts; /* map by id */
    struct bucket buckets[ROUTING_BUCKETS];
    struct list lost;
    unsigned lost_count;
    size_t count;   /* entries in all */
    unsigned depth; /* no bucket from here on ever had an entry */
    struct heap checks;
};

void routing_init(struct routing *r, const struct peer_id *self,
                  size_t contacts_max, const struct mem *mem);
void routing_release(struct routing *r);

struct contact *routing_find(const struct routing *r, const struct peer_id *id);
/* As routing_find, made if unknown.  NULL: contacts_max, no memory, or it is
 * ourselves. */
struct contact *routing_know(struct routing *r, const struct peer_id *id);
/* Out of everything, and freed. */
void routing_forget(struct routing *r, struct contact *c);

enum routing_room {
    ROUTING_ROOM,
    ROUTING_FULL,  /* the bucket is */
    ROUTING_GROUP, /* enough neighbours of it are in */
};
enum routing_room routing_room_for(const struct routing *r,
                                   const struct contact *c);
/* Into its bucket, which has room. */
void routing_enter(struct routing *r, struct contact *c);
/* Newest of the spares; the oldest makes way. */
void routing_spare(struct routing *r, struct contact *c);
/* Newest of the lost; the oldest makes way. */
void routing_lose(struct routing *r, struct contact *c);
/* Wherever it is, to CONTACT_KNOWN. */
void routing_leave(struct routing *r, struct contact *c);
/* An entry answered: it is the last to be doubted. */
void routing_heard(struct routing *r, struct contact *c);

struct contact *routing_oldest(const struct routing *r, unsigned bucket);
struct contact *routing_newest_spare(const struct routing *r, unsigned bucket);
/* Of all entries not being asked, the least recently heard. */
struct contact *routing_stalest(const struct routing *r);
/* One more than the deepest bucket with entries. */
unsigned routing_depth(const struct routing *r);

/* The entries nearest to |target|, nearest first; how many.  Those that
 * failed last are left out, or are the only ones. */
size_t routing_closest(const struct routing *r,
                       const uint8_t target[KAD_POSITION_LEN],
                       struct contact **out, size_t max);
size_t routing_closest_suspects(const struct routing *r,
                                const uint8_t target[KAD_POSITION_LEN],
                                struct contact **out, size_t max);

#endif /* KAD_ROUTING_H */
