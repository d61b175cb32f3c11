/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/seen.h"

#include "base/map.h"

enum { SEEN_FIRST = 256 };
#define NONE UINT32_MAX

void seen_init(struct seen *s, size_t limit, duration ttl,
               const struct mem *mem)
{
    assert(limit > 0 && limit <= UINT32_MAX / 4);
    *s = (struct seen){
        .mem = mem,
        .limit = (uint32_t)limit,
        .ttl_ms = (uint32_t)(ttl / MILLISECONDS),
    };
}

void seen_release(struct seen *s)
{
    if (s->mem == NULL)
        return;
    mem_free(s->mem, s->ring);
    mem_free(s->mem, s->buckets);
    *s = (struct seen){0};
}

uint64_t seen_hash(struct span id)
{
    return map_hash(id.data, id.len);
}

static uint32_t ms_of(tstamp now)
{
    return (uint32_t)(now / MILLISECONDS);
}

static bool is_old(const struct seen *s, const struct seen_entry *e, tstamp now)
{
    return (uint32_t)(ms_of(now) - e->at_ms) >= s->ttl_ms;
}

static uint32_t *bucket_of(const struct seen *s, uint64_t hash)
{
    return &s->buckets[hash & (s->cap - 1)];
}

static void link_entry(struct seen *s, uint32_t at)
{
    uint32_t *bucket = bucket_of(s, s->ring[at].hash);

    s->ring[at].next = *bucket;
    *bucket = at;
}

static void drop_oldest(struct seen *s)
{
    uint32_t *link = bucket_of(s, s->ring[s->head].hash);

    assert(s->count > 0);
    while (*link != s->head)
        link = &s->ring[*link].next;
    *link = s->ring[s->head].next;
    s->head = (s->head + 1) & (s->cap - 1);
    s->count--;
}

static bool grow(struct seen *s)
{
    uint32_t cap = s->cap ? 2 * s->cap : SEEN_FIRST;
    struct seen_entry *ring = mem_try(s->mem, NULL, cap * sizeof(*ring));
    uint32_t *buckets = mem_try(s->mem, NULL, cap * sizeof(*buckets));

    if (ring == NULL || buckets == NULL) {
        mem_free(s->mem, ring);
        mem_free(s->mem, buckets);
        return false;
    }
    for (uint32_t i = 0; i < s->count; i++)
        ring[i] = s->ring[(s->head + i) & (s->cap - 1)];
    mem_free(s->mem, s->ring);
    mem_free(s->mem, s->buckets);
    memset(buckets, 0xff, cap * sizeof(*buckets));
    s->ring = ring;
    s->buckets = buckets;
    s->cap = cap;
    s->head = 0;
    for (uint32_t i = 0; i < s->count; i++)
        link_entry(s, i);
    return true;
}

static const struct seen_entry *find(const struct seen *s, uint64_t hash)
{
    if (s->cap == 0)
        return NULL;
    for (uint32_t at = *bucket_of(s, hash); at != NONE; at = s->ring[at].next)
        if (s->ring[at].hash == hash)
            return &s->ring[at];
    return NULL;
}

bool seen_has(const struct seen *s, uint64_t hash, tstamp now)
{
    const struct seen_entry *e = find(s, hash);

    return e != NULL && !is_old(s, e, now);
}

void seen_expire(struct seen *s, tstamp now)
{
    while (s->count > 0 && is_old(s, &s->ring[s->head], now))
        drop_oldest(s);
}

void seen_add(struct seen *s, uint64_t hash, tstamp now)
{
    uint32_t at;

    seen_expire(s, now);
    if (find(s, hash) != NULL)
        return;
    if (s->count == s->limit || (s->count == s->cap && !grow(s))) {
        if (s->count == 0)
            return;
        drop_oldest(s);
        s->evicted++;
    }
    at = (s->head + s->count++) & (s->cap - 1);
    s->ring[at].hash = hash;
    s->ring[at].at_ms = ms_of(now);
    link_entry(s, at);
}
