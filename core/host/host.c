/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/asker.h"
#include "host/internal.h"
#include "tbl/network.h"
#include "telemetry/telemetry.h"

/* ---- Actions. ---- */

static void ask_catalogue(struct host *h, const struct node_action *a)
{
    enum err err =
        asker_search(h->asker, a->query, a->search.text, a->search.filter,
                     a->search.limit, a->search.deadline, clock_wall());

    if (err != OK)
        node_catalogue_found(h->node, a->query, err, NULL, 0, 0, clock_now());
}

static void load_outbox(struct host *h, const struct node_action *a)
{
    if (asker_outbox(h->asker, a->outbox.after, a->outbox.id,
                     a->outbox.limit) != OK)
        node_outbox_loaded(h->node, NULL, 0, clock_now(), clock_wall());
}

static void perform(struct host *h, const struct node_action *a)
{
    switch (a->type) {
    case NODE_NONE:
        break;
    case NODE_DIAL:
        socks_dial(h, a->conn, a->addr);
        break;
    case NODE_FLUSH:
        socks_flush(h, a->conn);
        break;
    case NODE_CLOSE:
        socks_close(h, a->conn);
        break;
    case NODE_RESOLVE:
        resolve_start(h, a);
        break;
    case NODE_OUTBOX_LOAD:
        load_outbox(h, a);
        break;
    case NODE_CATALOGUE_SEARCH:
        ask_catalogue(h, a);
        break;
    case NODE_OUTBOX_DONE:
    case NODE_ACCEPT:
    case NODE_SAVE_RECORD:
    case NODE_FORGET_RECORD:
    case NODE_SAVE_PROVIDER:
    case NODE_FORGET_PROVIDER:
    case NODE_SAVE_PEER:
    case NODE_FORGET_PEER:
        saved_perform(h, a);
        break;
    case NODE_ANSWER:
        core_answer(h, a->request);
        break;
    case NODE_SPAN:
        telemetry_take(h->config.telemetry, a->trace);
        break;
    }
}

void host_settle(struct host *h)
{
    struct node_action action;

    while (node_poll(h->node, &action))
        perform(h, &action);
    h->unsettled = 0;
    h->status_is_old = true;
}

/* ---- The snapshot others see. ---- */

static duration worst_lag(const struct host *h)
{
    duration worst = 0;

    for (size_t i = 0; i < LAG_TICKS; i++)
        if (h->lag[i] > worst)
            worst = h->lag[i];
    return worst;
}

void host_status_renew(struct host *h, tstamp now)
{
    struct node_status s = {.updated_at = now};
    struct store_counts counts;

    node_status(h->node, &s);
    store_counts(h->config.store, &counts);
    s.id = h->id;
    s.network = h->config.node.network->name;
    s.started_at = h->started_at;
    s.updated_at = now;
    s.listen = h->listening;
    s.is_started = h->phase >= HOST_SERVING && h->started_at != 0;
    s.is_standalone = h->config.node.is_standalone;
    s.is_draining = h->phase != HOST_SERVING;
    s.store_writes = store_writes(h->config.store);
    s.loop_lag = worst_lag(h);
    s.clock_jumps = h->clock_jumps;
    s.outbox = counts.outbox;
    uv_mutex_lock(&h->core.status_lock);
    h->core.status = s;
    uv_mutex_unlock(&h->core.status_lock);
    h->status_at = now;
    h->status_is_old = false;
}

/* ---- What wakes the loop. ---- */

/* Publishes that somebody traces still are that when they come from the store,
 * by the name they were noted under. */
static void outbox_came(struct host *h, struct asked *a)
{
    enum { PAGE_MAX = 16 };
    struct trace_context contexts[PAGE_MAX];
    char states[PAGE_MAX][TRACE_STATE_MAX + 1], name[NOTED_NAME_MAX];

    for (size_t i = 0;
         h->config.telemetry != NULL && i < a->outbox.count && i < PAGE_MAX;
         i++) {
        struct outbox_item *item = &a->outbox.items[i];

        (void)snprintf(name, sizeof(name), "%s/%s@%s", item->namespace,
                       item->name, item->version);
        if (telemetry_noted(h->config.telemetry, span_str(name), &contexts[i],
                            states[i]))
            item->trace = &contexts[i];
    }
    node_outbox_loaded(h->node, a->outbox.items, a->outbox.count, clock_now(),
                       clock_wall());
}

static void take_answers(struct host *h)
{
    struct asked *a;

    while ((a = asker_take(h->asker)) != NULL) {
        if (a->type == ASKED_SEARCH)
            node_catalogue_found(h->node, a->query, a->err, a->hits.hits,
                                 a->hits.count, a->hits.total, clock_now());
        else
            outbox_came(h, a);
        host_settle(h);
        asked_free(a);
    }
}

static void on_wake(uv_async_t *async)
{
    struct host *h = async->data;

    core_collect(h);
    take_answers(h);
    if (atomic_exchange(&h->core.is_stopping, false))
        drain_begin(h);
    drain_advance(h);
}

static void on_answers(void *ctx)
{
    struct host *h = ctx;

    (void)uv_async_send(&h->core.wake);
}

static void on_deadline(uv_timer_t *timer)
{
    struct host *h = timer->data;

    node_tick(h->node, clock_now(), clock_wall());
    host_settle(h);
}

/* While nobody takes them, spans are not even begun. */
static void tell_room(struct host *h)
{
    struct telemetry *t = h->config.telemetry;
    uint64_t lost;

    if (t == NULL)
        return;
    telemetry_skipped(t, node_tracing(h->node, telemetry_has_room(t), &lost));
    telemetry_lost(t, lost);
}

static wall_ms wall_offset(void)
{
    return clock_wall() - (wall_ms)(clock_now() / MILLISECONDS);
}

/* Records, bans and what is saved are judged by the wall clock. */
static void watch_clock(struct host *h)
{
    wall_ms offset = wall_offset(), by = offset - h->wall_offset;

    h->wall_offset = offset;
    if (by < CLOCK_JUMP_MS && by > -CLOCK_JUMP_MS)
        return;
    h->clock_jumps++;
    log_warn(h->config.log, "host", "the clock was set by_s=%.1f",
             (double)by / 1000);
}

static void on_tick(uv_timer_t *timer)
{
    struct host *h = timer->data;
    tstamp now = clock_now();
    duration wanted = TICK_MS * MILLISECONDS;
    duration late =
        now > h->ticked_at + wanted ? now - h->ticked_at - wanted : 0;

    h->ticked_at = now;
    saved_check(h);
    watch_clock(h);
    h->lag_at = (h->lag_at + 1) % LAG_TICKS;
    h->lag[h->lag_at] = late;
    tell_room(h);
    saved_retry(h);
    listeners_refresh(h, now);
    host_status_renew(h, now);
    core_figures_renew(h);
}

static void on_after_poll(uv_check_t *check)
{
    struct host *h = check->data;

    h->polled_at = clock_now();
    if (h->unsettled > 0)
        host_settle(h);
}

static void arm_deadline(struct host *h, tstamp now)
{
    tstamp due = node_deadline(h->node);
    uint64_t ms = due > now ? (due - now + MILLISECONDS - 1) / MILLISECONDS : 0;

    if (h->status_is_old && ms > STATUS_WITHIN / MILLISECONDS)
        ms = STATUS_WITHIN / MILLISECONDS;
    uv_update_time(&h->loop);
    (void)uv_timer_start(&h->deadline, on_deadline, ms, 0);
}

/* Once a turn of the loop, when all that happened has been dealt with. */
static void on_before_poll(uv_prepare_t *prepare)
{
    struct host *h = prepare->data;
    tstamp now = clock_now();

    if (h->polled_at != 0 && now - h->polled_at > h->lag[h->lag_at])
        h->lag[h->lag_at] = now - h->polled_at;
    if (h->status_is_old && now >= h->status_at + STATUS_WITHIN)
        host_status_renew(h, now);
    if (h->phase != HOST_SERVING)
        drain_advance(h);
    arm_deadline(h, now);
}

/* ---- Making and unmaking. ---- */

static bool has_failed(int status)
{
    return status != 0;
}

static enum err loop_open(struct host *h)
{
    if (has_failed(uv_loop_init(&h->loop)))
        return ERR_IO;
    h->is_loop_up = true;
    h->deadline.data = h->tick.data = h;
    h->before_poll.data = h->after_poll.data = h->core.wake.data = h;
    if (has_failed(uv_timer_init(&h->loop, &h->deadline)) ||
        has_failed(uv_timer_init(&h->loop, &h->tick)) ||
        has_failed(uv_prepare_init(&h->loop, &h->before_poll)) ||
        has_failed(uv_check_init(&h->loop, &h->after_poll)) ||
        has_failed(uv_async_init(&h->loop, &h->core.wake, on_wake)))
        return ERR_IO;
    return drain_init(h);
}

static size_t descriptors_wanted(const struct host_config *c)
{
    size_t conns =
        c->node.conns_max ? c->node.conns_max : (size_t)LIMIT_CONNS_MAX;

    return conns + LIMIT_DIALS_IN_FLIGHT + c->listen_count + c->descriptors +
           LIMIT_FDS_RESERVED;
}

static wall_ms worker_wall(void *ctx)
{
    (void)ctx;
    return clock_wall();
}

static enum err threads_start(struct host *h, char why[256])
{
    enum err err = asker_start(h->config.store, on_answers, h, &h->asker);

    if (err == OK)
        err = worker_start(h->config.store, worker_wall, NULL, &h->worker);
    if (err != OK)
        (void)snprintf(why, 256, "the store's threads cannot start: %s",
                       err_text(err));
    return err;
}

static enum err open_all(struct host *h, char why[256])
{
    enum err err;

    TRY(descriptors_want(descriptors_wanted(&h->config), why));
    err = loop_open(h);
    if (err != OK) {
        (void)snprintf(why, 256, "the event loop cannot start");
        return err;
    }
    TRY(saved_load(h, why));
    TRY(listeners_open(h, why));
    return threads_start(h, why);
}

static struct host *host_make(const struct host_config *config)
{
    struct host *h = mem_new(&mem_libc, sizeof(*h));
    struct node_config node = config->node;
    size_t size = config->announce_count * sizeof(*config->announce);

    h->config = *config;
    h->spare_fd = -1;
    /* Not cleared: a node that reads little never touches most of it. */
    h->read_buffer = mem_try(&mem_libc, NULL, READ_BYTES);
    if (h->read_buffer == NULL)
        abort();
    if (size > 0) {
        h->announce = mem_new(&mem_libc, size);
        memcpy(h->announce, config->announce, size);
    }
    core_init(&h->core,
              config->mailbox_max ? config->mailbox_max : LIMIT_MAILBOX_MAX);
    peer_id_from_ed25519(&h->id, config->node.identity->pub);
    /* A name server that is silent must not hold a pool thread for long, nor
     * the end of the process. */
    (void)setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
    node.terms_max = config->terms_max;
    node.has_no_terms = config->terms_max == 0;
    node.sampler = telemetry_sampler(config->telemetry);
    h->node = node_new(&node, clock_now(), clock_wall(), &rng_system, &mem_libc,
                       config->log);
    return h;
}

enum err host_new(const struct host_config *config, struct host **out,
                  char why[256])
{
    struct host *h = host_make(config);
    enum err err = open_all(h, why);

    if (err != OK) {
        host_free(h);
        return err;
    }
    host_status_renew(h, clock_now());
    core_figures_renew(h);
    *out = h;
    return OK;
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void loop_close(struct host *h)
{
    int failed;

    socks_close_all(h);
    listeners_close(h);
    uv_walk(&h->loop, close_handle, NULL);
    /* Also ends what the pool still resolves. */
    (void)uv_run(&h->loop, UV_RUN_DEFAULT);
    failed = uv_loop_close(&h->loop);
    assert(!failed);
    (void)failed;
}

void host_free(struct host *h)
{
    if (h == NULL)
        return;
    /* The worker first: it does what was written behind. */
    if (h->worker != NULL)
        worker_stop(h->worker);
    asker_stop(h->asker);
    if (h->is_loop_up)
        loop_close(h);
    node_free(h->node);
    core_release(&h->core);
    free(h->held);
    free(h->announce);
    free(h->read_buffer);
    free(h);
}

struct core *host_core(struct host *h)
{
    return &h->core;
}

struct worker *host_worker(struct host *h)
{
    return h->worker;
}

const struct peer_id *host_peer_id(const struct host *h)
{
    return &h->id;
}

const struct status_addrs *host_listening(const struct host *h)
{
    return &h->listening;
}

enum err host_run(struct host *h)
{
    tstamp now = clock_now();

    h->started_at = h->ticked_at = now;
    h->wall_offset = wall_offset();
    listeners_start(h);
    node_start(h->node, now, clock_wall());
    host_settle(h);
    host_status_renew(h, now);
    if (has_failed(uv_timer_start(&h->tick, on_tick, TICK_MS, TICK_MS)) ||
        has_failed(uv_prepare_start(&h->before_poll, on_before_poll)) ||
        has_failed(uv_check_start(&h->after_poll, on_after_poll)))
        return ERR_IO;
    service_notify("READY=1");
    (void)uv_run(&h->loop, UV_RUN_DEFAULT);
    return OK;
}
