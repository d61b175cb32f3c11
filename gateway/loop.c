/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/server.h"
#include "telemetry/telemetry.h"

enum { TICKETS_WAIT_MS = 2000 };

void loop_wake(struct loop *l)
{
    (void)uv_async_send(&l->wake);
}

/* ---- The inbox: many push, the loop takes all. ---- */

void loop_deliver(struct ticket *t)
{
    struct loop *l = t->loop;
    struct ticket *head = atomic_load_explicit(&l->inbox, memory_order_relaxed);

    do {
        t->next = head;
    } while (!atomic_compare_exchange_weak_explicit(
        &l->inbox, &head, t, memory_order_release, memory_order_relaxed));
    if (head == NULL) /* else a wake-up is under way already */
        loop_wake(l);
}

static struct ticket *take_inbox(struct loop *l)
{
    struct ticket *t =
        atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
    struct ticket *first = NULL;

    while (t != NULL) { /* the oldest first */
        struct ticket *next = t->next;

        t->next = first;
        first = t;
        t = next;
    }
    return first;
}

static void come_home(struct ticket *t)
{
    struct exchange *x = t->x;

    t->loop->tickets--;
    if (x != NULL) {
        list_remove(&t->link);
        x->pending--;
        /* What an answer left pending still counts, but has nothing to say. */
        if (x->response.status == 0) {
            if (t->request != NULL)
                t->then_request(x, t->request);
            else
                t->then_job(x, t->job);
            assert(x->response.status != 0 || x->pending > 0);
            if (x->response.status != 0)
                server_resume(x);
        }
    }
    if (t->request != NULL)
        request_free(t->request);
    if (t->job != NULL)
        job_free(t->job);
    free(t);
}

/* ---- Stopping. ---- */

static void check_drained(struct loop *l)
{
    struct gateway *g = l->gateway;

    if (l->drain_started == TSTAMP_NEVER || l->is_drained ||
        atomic_load_explicit(&l->connections, memory_order_relaxed) > 0)
        return;
    l->is_drained = true;
    if (atomic_fetch_sub(&g->loops_busy, 1) == 1 && g->deps.drained != NULL)
        g->deps.drained(g->deps.ctx);
}

static void begin_drain(struct loop *l)
{
    if (l->drain_started != TSTAMP_NEVER)
        return;
    l->drain_started = core_now();
    for (unsigned i = 0; i < 2; i++)
        if (l->daemons[i] != NULL)
            daemon_quiesce(l->daemons[i]);
    atomic_fetch_sub(&l->gateway->loops_listening, 1);
}

static void close_handles(struct loop *l)
{
    if (uv_is_closing((uv_handle_t *)&l->wake))
        return;
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->tick, NULL);
}

static void on_patience_lost(uv_timer_t *timer)
{
    close_handles(timer->data);
}

/* Tickets that are still out point at this loop, so it stays for them, a
 * while. */
static void close_all(struct loop *l)
{
    for (unsigned i = 0; i < 2; i++) {
        if (l->daemons[i] != NULL)
            daemon_close(l->daemons[i]);
        l->daemons[i] = NULL;
    }
    if (l->tickets == 0)
        close_handles(l);
    else
        (void)uv_timer_start(&l->tick, on_patience_lost, TICKETS_WAIT_MS, 0);
}

/* ---- The loop. ---- */

static void on_tick(uv_timer_t *timer)
{
    struct loop *l = timer->data;

    server_tick(l, core_now());
    check_drained(l);
    if (atomic_load_explicit(&l->connections, memory_order_relaxed) == 0) {
        ready_clear(&l->ready);
        (void)uv_timer_stop(timer);
    }
}

void loop_tick_on(struct loop *l)
{
    if (!uv_is_active((uv_handle_t *)&l->tick))
        (void)uv_timer_start(&l->tick, on_tick, TICK_MS, TICK_MS);
}

static void on_wake(uv_async_t *async)
{
    struct loop *l = async->data;
    struct ticket *t = take_inbox(l);

    atomic_fetch_add_explicit(&l->wakeups, 1, memory_order_relaxed);
    while (t != NULL) {
        struct ticket *next = t->next;

        come_home(t);
        t = next;
    }
    for (unsigned i = 0; i < 2; i++)
        if (l->daemons[i] != NULL)
            daemon_drive(l->daemons[i]);
    if (atomic_load_explicit(&l->gateway->is_draining, memory_order_acquire)) {
        begin_drain(l);
        check_drained(l);
    }
    if (atomic_load_explicit(&l->must_stop, memory_order_acquire) &&
        (l->daemons[0] != NULL || l->tickets == 0))
        close_all(l);
}

static void *loop_main(void *arg)
{
    struct loop *l = arg;

    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

enum err loop_start(struct loop *l)
{
    if (pthread_create(&l->thread, NULL, loop_main, l) != 0)
        return ERR_LIMIT;
    l->is_running = true;
    return OK;
}

enum err loop_init(struct loop *l, struct gateway *g, unsigned index)
{
    l->gateway = g;
    l->index = index;
    l->drain_started = TSTAMP_NEVER;
    for (unsigned i = 0; i < PHASE_COUNT; i++)
        list_init(&l->phases[i]);
    rng_fill(g->deps.rng, &l->id_state, sizeof(l->id_state));
    if (g->deps.telemetry != NULL)
        tracer_init(&l->tracer, telemetry_sampler(g->deps.telemetry),
                    g->deps.rng, &mem_libc);
    if (uv_loop_init(&l->uv) != 0)
        return ERR_LIMIT;
    if (uv_async_init(&l->uv, &l->wake, on_wake) != 0) {
        (void)uv_loop_close(&l->uv);
        return ERR_LIMIT;
    }
    (void)uv_timer_init(&l->uv, &l->tick);
    l->wake.data = l->tick.data = l;
    l->is_open = true;
    return OK;
}

bool loop_stop(struct loop *l)
{
    if (!l->is_open)
        return true;
    atomic_store_explicit(&l->must_stop, true, memory_order_release);
    if (l->is_running) {
        loop_wake(l);
        (void)pthread_join(l->thread, NULL);
    } else {
        close_all(l);
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    }
    l->is_running = false;
    ready_clear(&l->ready);
    (void)uv_loop_close(&l->uv);
    l->is_open = false;
    if (l->reader != NULL)
        reader_close(l->reader);
    l->reader = NULL;
    return l->tickets == 0;
}
