/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/usage.h"

#include "gateway/loop.h"
#include "store/cache.h"
#include "tbl/limit.h"

static uint64_t load(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct usage of_gauge(uint64_t limit, struct gauge *gauge)
{
    return (struct usage){limit, load(&gauge->use), load(&gauge->refused)};
}

/* Clients whose bucket is kept, and how many were forgotten for others. */
static struct usage of_clients(struct gateway *g)
{
    struct usage all = {.limit = g->rate > 0 ? RATE_CLIENTS_MAX : 0};

    for (unsigned i = 0; g->rate > 0 && i < RATE_SHARDS; i++) {
        pthread_mutex_lock(&g->shards[i].lock);
        all.use += rate_clients(g->shards[i].limiter);
        all.refused += rate_forgotten(g->shards[i].limiter);
        pthread_mutex_unlock(&g->shards[i].lock);
    }
    return all;
}

void gateway_usage(struct gateway *g, struct usages *out)
{
    struct cache_status cache;

    core_usage(g->deps.core, out);
    cache_status(g->deps.cache, &cache);
    out->of[USAGE_HOT_CACHE] =
        (struct usage){cache.bytes_max, cache.bytes, cache.evicted};
    out->of[USAGE_HTTP_CONNS] = of_gauge(g->conns_max, &g->conns);
    out->of[USAGE_HTTP_BODIES] = of_gauge(BODIES_BYTES_MAX, &g->bodies);
    out->of[USAGE_HTTP_BODY] =
        of_gauge(LIMIT_HTTP_BODY_BYTES_MAX, &g->large_bodies);
    out->of[USAGE_HTTP_HEADERS] =
        of_gauge(LIMIT_HTTP_HEADER_BYTES_MAX, &g->large_heads);
    out->of[USAGE_HTTP_RATE] = of_gauge(g->rate, &g->throttled);
    out->of[USAGE_HTTP_CLIENTS] = of_clients(g);
}
