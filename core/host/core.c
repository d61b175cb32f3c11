/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/core.h"

#include "host/asker.h"
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

static void gather(struct host *h, struct usages *out)
{
    struct worker_status w;
    struct store_counts s;

    *out = (struct usages){0};
    node_usage(h->node, out);
    worker_status(h->worker, &w);
    store_counts(h->config.store, &s);
    out->of[USAGE_RESOLVES] = (struct usage){LIMIT_RESOLVES_IN_FLIGHT,
                                             h->resolving, h->resolves_refused};
    out->of[USAGE_RESOLVED_ADDRS] =
        (struct usage){LIMIT_RESOLVED_ADDRS_MAX, 0, h->resolved_refused};
    out->of[USAGE_WRITES_WAITING] =
        (struct usage){WORKER_URGENT_MAX, w.urgent, w.urgent_refused};
    out->of[USAGE_WRITES_BEHIND] =
        (struct usage){WORKER_BEHIND_MAX, w.behind, w.behind_refused};
    out->of[USAGE_WRITES_BYTES] =
        (struct usage){WORKER_BYTES_MAX, w.bytes, w.bytes_refused};
    out->of[USAGE_OUTBOX] =
        (struct usage){s.outbox_max, s.outbox, s.outbox_refused};
    out->of[USAGE_OUTBOX_HELD] =
        (struct usage){HELD_MAX, h->held_count, h->held_refused};
    out->of[USAGE_CATALOGUE_BYTES] =
        (struct usage){s.others_bytes_max, s.others_bytes, s.evicted};
    out->of[USAGE_SEARCH_LISTS] =
        (struct usage){s.lists_bytes_max, s.lists_bytes, s.lists_refused};
    out->of[USAGE_CATALOGUE_VERSIONS] =
        (struct usage){STORE_VERSIONS_MAX, 0, s.versions_refused};
    out->of[USAGE_FDS] = (struct usage){.refused = h->descriptors_refused};
    asker_usage(h->asker, &out->of[USAGE_READER_QUEUE]);
}

void core_figures_renew(struct host *h)
{
    struct usages now;
    struct node_metrics m;

    gather(h, &now);
    node_metrics(h->node, &m);
    uv_mutex_lock(&h->core.status_lock);
    h->core.usages = now;
    h->core.metrics = m;
    uv_mutex_unlock(&h->core.status_lock);
}

/* Those of other threads are as of now. */
void core_usage(struct core *core, struct usages *out)
{
    uv_mutex_lock(&core->status_lock);
    *out = core->usages;
    uv_mutex_unlock(&core->status_lock);
    mailbox_usage(&core->mailbox, &out->of[USAGE_MAILBOX]);
    out->of[USAGE_DATABASE_CACHE].limit = LIMIT_DATABASE_CACHE_BYTES_MAX;
    out->of[USAGE_DATABASE_CACHE].use = store_memory();
    descriptors_usage(&out->of[USAGE_FDS]);
}

void core_answer(struct host *h, struct request *r)
{
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
