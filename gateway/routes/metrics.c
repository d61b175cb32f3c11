/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"
#include "gateway/routes/routes.h"

void route_metrics(struct exchange *x)
{
    enum err err = metrics_write(x->gateway, &x->response.body);

    x->response.type = "text/plain; version=0.0.4; charset=utf-8";
    x->response.cache_control = "no-store";
    exchange_answer(x, 200, err);
}

static void count_write(struct jw *j, const char *key,
                        const atomic_uint_fast64_t *n)
{
    jw_key(j, key);
    jw_u64(j, atomic_load_explicit(n, memory_order_relaxed));
}

void route_debug(struct exchange *x)
{
    struct gateway *g = x->gateway;
    struct jw j;

    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "threads");
    jw_open(&j, '[');
    for (unsigned i = 0; i < g->loop_count; i++) {
        jw_open(&j, '{');
        count_write(&j, "connections", &g->loops[i].connections);
        count_write(&j, "waiting", &g->loops[i].waiting);
        count_write(&j, "requests", &g->loops[i].requests);
        count_write(&j, "loop_wakeups", &g->loops[i].wakeups);
        jw_close(&j, '}');
    }
    jw_close(&j, ']');
    jw_close(&j, '}');
    x->response.cache_control = "no-store";
    exchange_answer(x, 200, j.err);
}
