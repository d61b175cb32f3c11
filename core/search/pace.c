/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"
#include "base/map.h"
#include "search/search.h"

enum { RATE_DEFAULT = 120, BURST_DEFAULT = 20, PEERS_DEFAULT = 256 };

/* A token bucket, kept as one time: |full_at| is when it will be full again.
 * A token costs |interval|; the bucket is empty when |full_at| is
 * burst * interval ahead. */
struct bucket {
    struct peer_id peer; /* the map's key */
    tstamp full_at;
    struct list link; /* in search_pace.used */
    UT_hash_handle hh;
};

struct search_pace {
    const struct mem *mem;
    struct search_pace_config config;
    duration interval;
    struct bucket *buckets; /* map */
    struct list used;       /* the one that asked last comes first */
    uint64_t refused;
};

struct search_pace *search_pace_new(const struct search_pace_config *config,
                                    const struct mem *mem)
{
    struct search_pace *p = mem_new(mem, sizeof(*p));

    p->mem = mem;
    p->config = *config;
    if (p->config.rate_per_minute == 0)
        p->config.rate_per_minute = RATE_DEFAULT;
    if (p->config.burst == 0)
        p->config.burst = BURST_DEFAULT;
    if (p->config.peers_max == 0)
        p->config.peers_max = PEERS_DEFAULT;
    p->interval = MINUTES / p->config.rate_per_minute;
    list_init(&p->used);
    return p;
}

static void drop(struct search_pace *p, struct bucket *b)
{
    MAP_DEL(p->buckets, b);
    list_remove(&b->link);
    mem_free(p->mem, b);
}

void search_pace_free(struct search_pace *p)
{
    if (p == NULL)
        return;
    while (p->buckets != NULL)
        drop(p, p->buckets);
    mem_free(p->mem, p);
}

static struct bucket *find(struct search_pace *p, const struct peer_id *peer)
{
    struct bucket *b;

    MAP_FIND(p->buckets, peer, sizeof(*peer), b);
    return b;
}

static struct bucket *add(struct search_pace *p, const struct peer_id *peer)
{
    struct bucket *b;

    if (MAP_COUNT(p->buckets) >= p->config.peers_max)
        drop(p, LIST_ENTRY(p->used.prev, struct bucket, link));
    b = mem_try_zero(p->mem, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->peer = *peer;
    list_init(&b->link);
    MAP_ADD(p->buckets, &b->peer, sizeof(b->peer), b);
    return b;
}

uint32_t search_pace_take(struct search_pace *p, const struct peer_id *peer,
                          tstamp now)
{
    duration depth = p->config.burst * p->interval;
    struct bucket *b = find(p, peer);
    tstamp full_at;

    if (b == NULL)
        b = add(p, peer);
    if (b == NULL) { /* no memory: the peer comes back later */
        p->refused++;
        return 1000;
    }
    list_remove(&b->link);
    list_push_front(&p->used, &b->link);
    full_at = (b->full_at > now ? b->full_at : now) + p->interval;
    if (full_at - now > depth) {
        p->refused++;
        return (uint32_t)((full_at - now - depth + MILLISECONDS - 1) /
                          MILLISECONDS);
    }
    b->full_at = full_at;
    return 0;
}

uint32_t search_pace_rate(const struct search_pace *p)
{
    return p->config.rate_per_minute;
}

void search_pace_forget(struct search_pace *p, const struct peer_id *peer)
{
    struct bucket *b = find(p, peer);

    if (b != NULL)
        drop(p, b);
}

uint64_t search_pace_refused(const struct search_pace *p)
{
    return p->refused;
}

size_t search_pace_peers(const struct search_pace *p)
{
    return MAP_COUNT(p->buckets);
}
