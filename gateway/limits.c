/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"

#include <assert.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"

struct bucket {
    struct ip client; /* IPv6: the upper half only */
    tstamp full_at;
    struct list by_use; /* the least recent first */
    UT_hash_handle hh;
};

struct rate_limiter {
    const struct mem *mem;
    duration interval; /* of one token */
    duration depth;    /* of a whole bucket */
    uint64_t burst;
    size_t clients_max;
    uint64_t forgotten;
    struct bucket *buckets;
    struct list by_use;
};

struct rate_limiter *rate_new(const struct rate_config *config,
                              const struct mem *mem)
{
    struct rate_limiter *l = mem_new(mem, sizeof(*l));

    assert(config->rate > 0 && config->rate <= SECONDS);
    assert(config->burst > 0 && config->burst <= SECONDS);
    assert(config->clients_max > 0);
    l->mem = mem;
    l->interval = SECONDS / config->rate;
    l->depth = l->interval * config->burst;
    l->burst = config->burst;
    l->clients_max = config->clients_max;
    list_init(&l->by_use);
    return l;
}

static void forget(struct rate_limiter *l, struct bucket *b)
{
    MAP_DEL(l->buckets, b);
    list_remove(&b->by_use);
    mem_free(l->mem, b);
}

void rate_free(struct rate_limiter *l)
{
    struct bucket *b = NULL, *tmp = NULL;

    if (l == NULL)
        return;
    MAP_FOR_EACH(l->buckets, b, tmp) {
        forget(l, b);
    }
    mem_free(l->mem, l);
}

size_t rate_clients(const struct rate_limiter *l)
{
    return MAP_COUNT(l->buckets);
}

uint64_t rate_forgotten(const struct rate_limiter *l)
{
    return l->forgotten;
}

struct ip rate_key(const struct ip *client)
{
    static const struct ip_net ip4 = {{{[10] = 0xff, [11] = 0xff}}, 96};
    struct ip key = *client;

    if (!ip_net_has(&ip4, client))
        memset(key.bytes + 8, 0, 8);
    return key;
}

/* NULL when memory ends. */
static struct bucket *bucket_of(struct rate_limiter *l, const struct ip *client)
{
    struct ip key = rate_key(client);
    struct bucket *b;

    MAP_FIND(l->buckets, &key, sizeof(key), b);
    if (b != NULL) {
        list_remove(&b->by_use);
        list_push_back(&l->by_use, &b->by_use);
        return b;
    }
    if (MAP_COUNT(l->buckets) == l->clients_max) {
        l->forgotten++;
        forget(l, LIST_ENTRY(l->by_use.next, struct bucket, by_use));
    }
    b = mem_try_zero(l->mem, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->client = key;
    list_push_back(&l->by_use, &b->by_use);
    MAP_ADD(l->buckets, &b->client, sizeof(b->client), b);
    return b;
}

static uint64_t seconds_up(duration d)
{
    return (d + SECONDS - 1) / SECONDS;
}

struct rate_verdict rate_take(struct rate_limiter *l, const struct ip *client,
                              uint64_t cost, tstamp now)
{
    struct bucket *b = bucket_of(l, client);
    struct rate_verdict v = {.is_allowed = false, .retry_after_s = 1};
    duration owed, price;

    if (b == NULL)
        return v;
    price = l->interval * (cost < l->burst ? cost : l->burst);
    owed = b->full_at > now ? b->full_at - now : 0;
    v.is_allowed = owed + price <= l->depth;
    if (v.is_allowed) {
        owed += price;
        b->full_at = now + owed;
        v.retry_after_s = 0;
    } else {
        v.retry_after_s = seconds_up(owed + price - l->depth);
    }
    v.remaining = (l->depth - owed) / l->interval;
    v.full_s = seconds_up(owed);
    return v;
}
