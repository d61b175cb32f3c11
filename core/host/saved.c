/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "host/internal.h"

/* What outlives the process: read before the node starts, written behind while
 * it runs. */

struct loading {
    struct node *node;
    size_t records, providers, peers, terms, terms_max;
};

static void load_record(void *ctx, const struct saved_record *r)
{
    struct loading *l = ctx;

    node_load_record(l->node, r);
    l->records++;
}

static void load_provider(void *ctx, const struct saved_provider *p)
{
    struct loading *l = ctx;

    node_load_provider(l->node, p);
    l->providers++;
}

static void load_peer(void *ctx, const struct saved_peer *p)
{
    struct loading *l = ctx;

    node_load_peer(l->node, p);
    l->peers++;
}

/* They come rarest first, which are the ones worth providing. */
static void load_term(void *ctx, struct span term, unsigned packages)
{
    struct loading *l = ctx;

    if (l->terms >= l->terms_max)
        return;
    node_load_term(l->node, term, packages);
    l->terms++;
}

enum err saved_load(struct host *h, char why[256])
{
    struct loading l = {.node = h->node, .terms_max = h->config.terms_max};
    struct store_sink sink = {.ctx = &l,
                              .record = load_record,
                              .provider = load_provider,
                              .peer = load_peer,
                              .term = load_term};
    enum err err = store_load(h->config.store, &sink, clock_wall());

    if (err != OK) {
        (void)snprintf(why, 256, "the saved state cannot be read: %s",
                       err_text(err));
        return err;
    }
    log_info(h->config.log, "host",
             "restored records=%zu providers=%zu peers=%zu terms=%zu",
             l.records, l.providers, l.peers, l.terms);
    return OK;
}

/* ---- Written behind. ---- */

static bool submit(struct host *h, struct job *job)
{
    if (job == NULL)
        return false;
    if (worker_submit(h->worker, job) == OK)
        return true;
    job_free(job);
    return false;
}

/* An outbox entry is forgotten only once the store knows that it is done; the
 * others are only as good as the last time they were written. */
static void outbox_done(struct host *h, int64_t id)
{
    if (h->held_count == 0 && submit(h, job_outbox_done(id)))
        return;
    if (h->held == NULL)
        h->held = mem_new(&mem_libc, HELD_MAX * sizeof(*h->held));
    if (h->held_count < HELD_MAX)
        h->held[h->held_count++] = id;
    else
        h->held_refused++; /* it is announced again after a restart */
}

void saved_retry(struct host *h)
{
    size_t done = 0;

    while (done < h->held_count && submit(h, job_outbox_done(h->held[done])))
        done++;
    if (done == 0)
        return;
    h->held_count -= done;
    memmove(h->held, h->held + done, h->held_count * sizeof(*h->held));
}

/* What was given to the store and could not be written is not there: neither a
 * record, nor that a publish has reached the network, which is found out by
 * announcing it again once something can be written. */
void saved_check(struct host *h)
{
    struct store_counts counts;

    store_counts(h->config.store, &counts);
    if (counts.failures != h->failures_seen) {
        h->failures_seen = counts.failures;
        h->has_lost = true;
        node_catalogue_lost(h->node);
    }
    if (h->has_lost && store_writes(h->config.store)) {
        h->has_lost = false;
        node_outbox_again(h->node, clock_now());
    }
}

static struct job *save_job(const struct node_action *a)
{
    switch (a->type) {
    case NODE_SAVE_RECORD:
        return job_save_record(a->record);
    case NODE_FORGET_RECORD:
        return job_forget_record(a->record->key, &a->record->publisher);
    case NODE_SAVE_PROVIDER:
        return job_save_provider(a->provider);
    case NODE_FORGET_PROVIDER:
        return job_forget_provider(a->provider->key, &a->provider->provider);
    case NODE_SAVE_PEER:
        return job_save_peer(a->peer);
    case NODE_FORGET_PEER:
        return job_forget_peer(&a->peer->reputation.peer);
    case NODE_NONE:
    case NODE_DIAL:
    case NODE_FLUSH:
    case NODE_CLOSE:
    case NODE_RESOLVE:
    case NODE_OUTBOX_LOAD:
    case NODE_OUTBOX_DONE:
    case NODE_ACCEPT:
    case NODE_CATALOGUE_SEARCH:
    case NODE_ANSWER:
    case NODE_SPAN:
        break;
    }
    abort();
}

void saved_perform(struct host *h, const struct node_action *a)
{
    if (a->type == NODE_OUTBOX_DONE) {
        outbox_done(h, a->outbox.id);
    } else if (a->type == NODE_ACCEPT) {
        struct job *job =
            job_accept(a->accept.bytes, &a->accept.from, a->accept.source,
                       a->accept.reputation, false);

        if (submit(h, job))
            return;
        node_accept_refused(h->node, a->accept.bytes);
    } else {
        (void)submit(h, save_job(a));
    }
}
