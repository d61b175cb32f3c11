/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "store/cache.h"

static void limit_write(struct jw *j, const struct limit_info *l)
{
    jw_open(j, '{');
    jw_key(j, "name");
    jw_str(j, l->name);
    jw_key(j, "limit");
    jw_u64(j, l->limit);
    jw_key(j, "use");
    jw_u64(j, l->use);
    jw_key(j, "refused");
    jw_u64(j, l->refused);
    jw_close(j, '}');
}

static struct limit_info gauge_info(const char *name, uint64_t limit,
                                    struct gauge *gauge)
{
    return (struct limit_info){name, limit, atomic_load(&gauge->use),
                               atomic_load(&gauge->refused)};
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

size_t gateway_limits(struct gateway *g,
                      struct limit_info out[GATEWAY_LIMITS_MAX])
{
    struct cache_status cache;
    size_t n = 0;

    cache_status(g->deps.cache, &cache);
    out[n++] = gauge_info("http_connections", g->conns_max, &g->conns);
    out[n++] = gauge_info("http_body_bytes", BODIES_BYTES_MAX, &g->bodies);
    /* The rate is a client's, so only its refusals can be told. */
    out[n++] = (struct limit_info){"http_rate", g->rate, 0,
                                   atomic_load(&g->throttled.refused)};
    out[n++] = (struct limit_info){"http_rate_clients", RATE_CLIENTS_MAX,
                                   clients(g), 0};
    out[n++] = (struct limit_info){"hot_cache_bytes", cache.bytes_max,
                                   cache.bytes, cache.evicted};
    assert(n <= GATEWAY_LIMITS_MAX);
    return n;
}

static void answer(struct exchange *x, struct request *r)
{
    struct limit_info own[GATEWAY_LIMITS_MAX];
    size_t own_count;
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
        limit_write(&j, &r->limits[i]);
    own_count = gateway_limits(x->gateway, own);
    for (size_t i = 0; i < own_count; i++)
        limit_write(&j, &own[i]);
    jw_close(&j, ']');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}

void route_limits(struct exchange *x)
{
    exchange_ask_simply(x, request_new(REQUEST_LIMITS, x->deadline), answer);
}
