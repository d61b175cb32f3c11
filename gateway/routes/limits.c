/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "store/cache.h"

static void limit_write(struct jw *j, const char *name, uint64_t limit,
                        uint64_t use, uint64_t refused)
{
    jw_open(j, '{');
    jw_key(j, "name");
    jw_str(j, name);
    jw_key(j, "limit");
    jw_u64(j, limit);
    jw_key(j, "use");
    jw_u64(j, use);
    jw_key(j, "refused");
    jw_u64(j, refused);
    jw_close(j, '}');
}

static void gauge_write(struct jw *j, const char *name, uint64_t limit,
                        struct gauge *gauge)
{
    limit_write(j, name, limit, atomic_load(&gauge->use),
                atomic_load(&gauge->refused));
}

static uint64_t clients(struct gateway *g)
{
    uint64_t n = 0;

    for (unsigned i = 0; g->rate > 0 && i < RATE_SHARDS; i++) {
        pthread_mutex_lock(&g->shards[i].lock);
        n += rate_clients(g->shards[i].limiter);
        pthread_mutex_unlock(&g->shards[i].lock);
    }
    return n;
}

static void own_limits_write(struct jw *j, struct gateway *g)
{
    struct cache_status cache;

    cache_status(g->deps.cache, &cache);
    gauge_write(j, "http_connections", g->conns_max, &g->conns);
    gauge_write(j, "http_body_bytes", BODIES_BYTES_MAX, &g->bodies);
    /* The rate is a client's, so only its refusals can be told. */
    limit_write(j, "http_rate", g->rate, 0, atomic_load(&g->throttled.refused));
    limit_write(j, "http_rate_clients", RATE_CLIENTS_MAX, clients(g), 0);
    limit_write(j, "hot_cache_bytes", cache.bytes_max, cache.bytes,
                cache.evicted);
}

static void answer(struct exchange *x, struct request *r)
{
    struct jw j;

    if (r->err != OK) {
        exchange_refuse(x, r->err, r->detail);
        return;
    }
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "limits");
    jw_open(&j, '[');
    for (size_t i = 0; i < r->limit_count; i++)
        limit_write(&j, r->limits[i].name, r->limits[i].limit, r->limits[i].use,
                    r->limits[i].refused);
    own_limits_write(&j, x->gateway);
    jw_close(&j, ']');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}

void route_limits(struct exchange *x)
{
    exchange_ask_simply(x, request_new(REQUEST_LIMITS, x->deadline), answer);
}
