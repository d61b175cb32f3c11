/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"

/* Probes: each is some of the same checks. */

enum {
    STATUS_STALE_S = 10, /* livez: the core's loop hangs */
    STATUS_LATE_S = 2,   /* readyz: it does not keep time */
    DHT_SILENCE_S = 120,
};

enum check {
    CHECK_LOOP = 1 << 0,
    CHECK_STARTED = 1 << 1,
    CHECK_STORE = 1 << 2,
    CHECK_DHT = 1 << 3,
    CHECK_PACE = 1 << 4,
    CHECK_SERVING = 1 << 5,
};

static duration age(tstamp at, tstamp now)
{
    return now > at ? now - at : 0;
}

/* Is all well?  If not, |why|. */
static bool check_passes(enum check check, const struct node_status *s,
                         bool is_draining, tstamp now, const char **why)
{
    switch (check) {
    case CHECK_LOOP:
        *why = "the core does not answer";
        return s->updated_at == 0 ||
               age(s->updated_at, now) < STATUS_STALE_S * SECONDS;
    case CHECK_STARTED:
        *why = "not started yet";
        return s->is_started;
    case CHECK_STORE:
        *why = "the last write failed";
        return s->store_writes;
    case CHECK_DHT:
        *why = "no peer answered a question in the last 120 s";
        return s->is_standalone ||
               (s->dht_answered_at != TSTAMP_NEVER && s->dht_answered_at != 0 &&
                age(s->dht_answered_at, now) <= DHT_SILENCE_S * SECONDS);
    case CHECK_PACE:
        *why = "the core is late";
        return age(s->updated_at, now) < STATUS_LATE_S * SECONDS &&
               s->loop_lag < STATUS_LATE_S * SECONDS;
    case CHECK_SERVING:
        *why = "shutting down";
        return !s->is_draining && !is_draining;
    }
    return false;
}

static const struct {
    enum check check;
    const char *name;
} checks[] = {
    {CHECK_LOOP, "core"},   {CHECK_STARTED, "listeners"},
    {CHECK_STORE, "store"}, {CHECK_DHT, "network"},
    {CHECK_PACE, "pace"},   {CHECK_SERVING, "serving"},
};
enum { CHECK_COUNT = sizeof(checks) / sizeof(checks[0]) };

static void answer(struct exchange *x, unsigned wanted)
{
    bool is_draining = atomic_load(&x->gateway->is_draining);
    bool is_verbose = params_has(&x->params, "verbose"), is_well = true;
    const char *why[CHECK_COUNT];
    bool passes[CHECK_COUNT];
    tstamp now = core_now();
    struct node_status s;
    struct jw j;

    core_status(x->gateway->deps.core, &s);
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        passes[i] =
            check_passes(checks[i].check, &s, is_draining, now, &why[i]);
        if (wanted & checks[i].check)
            is_well = is_well && passes[i];
    }
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "status");
    jw_str(&j, is_well ? "pass" : "fail");
    if (is_verbose) {
        jw_key(&j, "version");
        jw_str(&j, x->gateway->version);
        jw_key(&j, "checks");
        jw_open(&j, '{');
        for (size_t i = 0; i < CHECK_COUNT; i++) {
            if (!(wanted & checks[i].check))
                continue;
            jw_key(&j, checks[i].name);
            jw_open(&j, '[');
            jw_open(&j, '{');
            jw_key(&j, "status");
            jw_str(&j, passes[i] ? "pass" : "fail");
            if (!passes[i]) {
                jw_key(&j, "output");
                jw_str(&j, why[i]);
            }
            jw_close(&j, '}');
            jw_close(&j, ']');
        }
        jw_close(&j, '}');
    }
    jw_close(&j, '}');
    x->response.type = "application/health+json";
    x->response.cache_control = "no-store";
    exchange_answer(x, is_well ? 200 : 503, j.err);
}

void route_livez(struct exchange *x)
{
    answer(x, CHECK_LOOP);
}

void route_startupz(struct exchange *x)
{
    answer(x, CHECK_STARTED);
}

void route_readyz(struct exchange *x)
{
    answer(x, CHECK_STARTED | CHECK_STORE | CHECK_DHT | CHECK_PACE |
                  CHECK_SERVING);
}

void route_health(struct exchange *x)
{
    answer(x, CHECK_LOOP | CHECK_STARTED | CHECK_STORE | CHECK_DHT |
                  CHECK_PACE | CHECK_SERVING);
}
