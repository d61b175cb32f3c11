/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/core.h"

#include "host/internal.h"

tstamp core_now(void)
{
    return clock_now();
}

void core_init(struct core *c, size_t mailbox_max)
{
    mailbox_init(&c->mailbox, mailbox_max);
    atomic_init(&c->outbox_grew, false);
    atomic_init(&c->is_gateway_drained, false);
    atomic_init(&c->is_stopping, false);
    (void)uv_mutex_init(&c->status_lock);
}

void core_release(struct core *c)
{
    mailbox_release(&c->mailbox);
    uv_mutex_destroy(&c->status_lock);
}

static void wake(struct core *c)
{
    (void)uv_async_send(&c->wake);
}

enum err core_submit(struct core *core, struct request *r)
{
    TRY(mailbox_put(&core->mailbox, r));
    wake(core);
    return OK;
}

void core_cancel(struct core *core, struct request *r)
{
    if (mailbox_cancel(&core->mailbox, r))
        wake(core);
}

void core_outbox_grew(struct core *core)
{
    if (!atomic_exchange(&core->outbox_grew, true))
        wake(core);
}

void core_status(struct core *core, struct node_status *out)
{
    uv_mutex_lock(&core->status_lock);
    *out = core->status;
    uv_mutex_unlock(&core->status_lock);
}

void core_metrics(struct core *core, struct node_metrics *out)
{
    uv_mutex_lock(&core->status_lock);
    *out = core->metrics;
    uv_mutex_unlock(&core->status_lock);
}

void host_stop(struct host *h)
{
    atomic_store(&h->core.is_stopping, true);
    wake(&h->core);
}

void host_drained(struct host *h)
{
    atomic_store(&h->core.is_gateway_drained, true);
    wake(&h->core);
}

/* ---- On the loop. ---- */

static void add_limit(struct request *r, struct limit_info info)
{
    struct limit_info *l = request_add_limit(r);

    if (l != NULL)
        *l = info;
}

/* What only the host knows of its limits. */
static void add_own_limits(struct host *h, struct request *r)
{
    struct worker_status w;
    struct limit_info mailbox;

    mailbox_usage(&h->core.mailbox, &mailbox);
    worker_status(h->worker, &w);
    add_limit(r, mailbox);
    add_limit(r, (struct limit_info){.name = "resolves_in_flight",
                                     .limit = LIMIT_RESOLVES_IN_FLIGHT,
                                     .use = h->resolving,
                                     .refused = h->resolves_refused});
    add_limit(r, (struct limit_info){.name = "writes_waiting",
                                     .limit = WORKER_URGENT_MAX,
                                     .use = w.urgent,
                                     .refused = w.refused});
    add_limit(r, (struct limit_info){.name = "writes_behind",
                                     .limit = WORKER_BEHIND_MAX,
                                     .use = w.behind,
                                     .refused = h->saves_refused +
                                                h->accepts_refused});
    add_limit(r, (struct limit_info){.name = "database_cache_bytes",
                                     .limit = LIMIT_DATABASE_CACHE_BYTES_MAX,
                                     .use = store_memory()});
}

void core_limits(struct host *h, struct request *r)
{
    node_limits(h->node, r);
    add_own_limits(h, r);
}

void core_answer(struct host *h, struct request *r)
{
    if (r->type == REQUEST_LIMITS && r->err == OK)
        add_own_limits(h, r);
    mailbox_done(&h->core.mailbox, r);
    r->done(r);
}

void core_collect(struct host *h)
{
    struct request *r = mailbox_take(&h->core.mailbox);
    struct request *next;

    for (; r != NULL; r = next) {
        next = r->next;
        node_request(h->node, r, clock_now(), clock_wall());
        host_settle(h);
    }
    while ((r = mailbox_take_cancel(&h->core.mailbox)) != NULL) {
        node_cancel(h->node, r, clock_now());
        host_settle(h);
    }
    if (atomic_exchange(&h->core.outbox_grew, false)) {
        node_outbox_grew(h->node, clock_now());
        host_settle(h);
    }
}
