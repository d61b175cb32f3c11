/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/routing.h"

void routing_init(struct routing *r, const struct peer_id *self,
                  size_t contacts_max, const struct mem *mem)
{
    *r = (struct routing){.mem = mem, .contacts_max = contacts_max};
    position_of(peer_id_span(self), r->self);
    for (unsigned i = 0; i < ROUTING_BUCKETS; i++) {
        list_init(&r->buckets[i].entries);
        list_init(&r->buckets[i].spares);
    }
    list_init(&r->lost);
    heap_init(&r->checks, mem);
}

void routing_release(struct routing *r)
{
    struct contact *c, *tmp;

    MAP_FOR_EACH(r->contacts, c, tmp) {
        routing_forget(r, c);
    }
    heap_release(&r->checks);
}

struct contact *routing_find(const struct routing *r, const struct peer_id *id)
{
    struct contact *c;

    MAP_FIND(r->contacts, id, sizeof(*id), c);
    return c;
}

struct contact *routing_know(struct routing *r, const struct peer_id *id)
{
    struct contact *c = routing_find(r, id);
    uint8_t position[KAD_POSITION_LEN];
    unsigned bucket;

    if (c != NULL || MAP_COUNT(r->contacts) >= r->contacts_max)
        return c;
    position_of(peer_id_span(id), position);
    bucket = position_prefix(r->self, position);
    if (bucket >= ROUTING_BUCKETS)
        return NULL;
    c = mem_try_zero(r->mem, sizeof(*c));
    if (c == NULL)
        return NULL;
    c->id = *id;
    memcpy(c->position, position, sizeof(position));
    c->bucket = (uint16_t)bucket;
    list_init(&c->link);
    MAP_ADD(r->contacts, &c->id, sizeof(c->id), c);
    return c;
}

void routing_forget(struct routing *r, struct contact *c)
{
    routing_leave(r, c);
    heap_remove(&r->checks, &c->check);
    MAP_DEL(r->contacts, c);
    addrs_release(&c->addrs, r->mem);
    mem_free(r->mem, c);
}

static unsigned group_count(const struct bucket *b, uint64_t group)
{
    unsigned count = 0;

    LIST_FOR_EACH(l, &b->entries) {
        count += LIST_ENTRY(l, struct contact, link)->group == group;
    }
    return count;
}

enum routing_room routing_room_for(const struct routing *r,
                                   const struct contact *c)
{
    const struct bucket *b = &r->buckets[c->bucket];
    unsigned neighbours = 0;

    if (c->group != 0) {
        if (group_count(b, c->group) >= KAD_GROUP_BUCKET_MAX)
            return ROUTING_GROUP;
        for (unsigned i = 0; i < r->depth; i++)
            neighbours += group_count(&r->buckets[i], c->group);
        if (neighbours >= KAD_GROUP_TABLE_MAX)
            return ROUTING_GROUP;
    }
    return b->count < KAD_K ? ROUTING_ROOM : ROUTING_FULL;
}

void routing_enter(struct routing *r, struct contact *c)
{
    struct bucket *b = &r->buckets[c->bucket];

    routing_leave(r, c);
    assert(b->count < KAD_K);
    list_push_back(&b->entries, &c->link);
    c->place = CONTACT_IN_TABLE;
    c->tries = 0;
    if (c->bucket >= r->depth)
        r->depth = c->bucket + 1u;
    b->count++;
    r->count++;
}

/* The oldest of |list| leaves; nobody remembers it once it is disconnected. */
static void drop_oldest(struct routing *r, struct list *list)
{
    struct contact *c = LIST_ENTRY(list->next, struct contact, link);

    routing_leave(r, c);
    if (!c->is_connected && !c->is_asked)
        routing_forget(r, c);
}

void routing_spare(struct routing *r, struct contact *c)
{
    struct bucket *b = &r->buckets[c->bucket];

    routing_leave(r, c);
    if (b->spare_count == KAD_SPARES_MAX)
        drop_oldest(r, &b->spares);
    list_push_back(&b->spares, &c->link);
    c->place = CONTACT_SPARE;
    b->spare_count++;
}

void routing_lose(struct routing *r, struct contact *c)
{
    routing_leave(r, c);
    if (r->lost_count == KAD_LOST_MAX)
        drop_oldest(r, &r->lost);
    list_push_back(&r->lost, &c->link);
    c->place = CONTACT_LOST;
    r->lost_count++;
}

void routing_leave(struct routing *r, struct contact *c)
{
    struct bucket *b = &r->buckets[c->bucket];

    list_remove(&c->link);
    switch (c->place) {
    case CONTACT_KNOWN:
        break;
    case CONTACT_IN_TABLE:
        b->count--;
        r->count--;
        break;
    case CONTACT_SPARE:
        b->spare_count--;
        break;
    case CONTACT_LOST:
        r->lost_count--;
        break;
    }
    c->place = CONTACT_KNOWN;
}

void routing_heard(struct routing *r, struct contact *c)
{
    assert(c->place == CONTACT_IN_TABLE);
    list_remove(&c->link);
    list_push_back(&r->buckets[c->bucket].entries, &c->link);
}

struct contact *routing_oldest(const struct routing *r, unsigned bucket)
{
    const struct list *entries = &r->buckets[bucket].entries;

    return list_is_empty(entries)
               ? NULL
               : LIST_ENTRY(entries->next, struct contact, link);
}

struct contact *routing_newest_spare(const struct routing *r, unsigned bucket)
{
    const struct list *spares = &r->buckets[bucket].spares;

    return list_is_empty(spares)
               ? NULL
               : LIST_ENTRY(spares->prev, struct contact, link);
}

struct contact *routing_stalest(const struct routing *r)
{
    struct contact *stalest = NULL;

    for (unsigned i = 0; i < r->depth; i++)
        LIST_FOR_EACH(l, &r->buckets[i].entries) {
            struct contact *c = LIST_ENTRY(l, struct contact, link);

            if (!c->is_asked &&
                (stalest == NULL || c->heard_at < stalest->heard_at))
                stalest = c;
        }
    return stalest;
}

unsigned routing_depth(const struct routing *r)
{
    unsigned depth = r->depth;

    while (depth > 0 && r->buckets[depth - 1].count == 0)
        depth--;
    return depth;
}

/* The best |max| seen so far; those below |sorted| are nearer than all that
 * can still come. */
struct nearest {
    const uint8_t *target;
    struct contact **out;
    size_t max, count, sorted;
    bool wants_suspects;
};

static void offer(struct nearest *n, struct contact *c)
{
    size_t at = n->count;

    while (at > n->sorted &&
           position_cmp(n->target, c->position, n->out[at - 1]->position) < 0)
        at--;
    if (at == n->max)
        return;
    if (n->count < n->max)
        n->count++;
    memmove(n->out + at + 1, n->out + at, (n->count - at - 1) * sizeof(void *));
    n->out[at] = c;
}

static void offer_bucket(struct nearest *n, const struct bucket *b)
{
    LIST_FOR_EACH(l, &b->entries) {
        struct contact *c = LIST_ENTRY(l, struct contact, link);

        if ((c->failures > 0) == n->wants_suspects)
            offer(n, c);
    }
}

/* With i the bits that |target| shares with us: the peers of bucket i share
 * more than i with it, those of deeper buckets exactly i, and those of bucket
 * j < i exactly j.  So nothing after a group can be nearer than the group. */
static size_t closest(const struct routing *r, struct nearest *n)
{
    unsigned shared = position_prefix(r->self, n->target);

    if (shared < ROUTING_BUCKETS)
        offer_bucket(n, &r->buckets[shared]);
    n->sorted = n->count;
    if (n->count < n->max)
        for (unsigned i = shared + 1; i < r->depth; i++)
            offer_bucket(n, &r->buckets[i]);
    n->sorted = n->count;
    for (unsigned i = shared; i-- > 0 && n->count < n->max;
         n->sorted = n->count)
        offer_bucket(n, &r->buckets[i]);
    return n->count;
}

size_t routing_closest(const struct routing *r,
                       const uint8_t target[KAD_POSITION_LEN],
                       struct contact **out, size_t max)
{
    return closest(r,
                   &(struct nearest){.target = target, .out = out, .max = max});
}

size_t routing_closest_suspects(const struct routing *r,
                                const uint8_t target[KAD_POSITION_LEN],
                                struct contact **out, size_t max)
{
    return closest(r, &(struct nearest){.target = target,
                                        .out = out,
                                        .max = max,
                                        .wants_suspects = true});
}
