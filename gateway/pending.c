/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange.h"

#include <assert.h>
#include <stdlib.h>

#include "gateway/loop.h"
#include "store/worker.h"

/* What others work on for an exchange: a ticket goes out with each request and
 * job, and comes home through the loop (loop.c). */

static struct ticket *ticket_new(struct exchange *x)
{
    struct ticket *t = calloc(1, sizeof(*t));

    assert(x->pending < PENDING_MAX);
    assert(x->response.status == 0);
    if (t == NULL)
        return NULL;
    t->loop = x->loop;
    t->x = x;
    list_push_back(&x->tickets, &t->link);
    x->pending++;
    x->loop->tickets++;
    return t;
}

static void ticket_undo(struct ticket *t)
{
    t->x->pending--;
    t->loop->tickets--;
    list_remove(&t->link);
    free(t);
}

static void request_done(struct request *r)
{
    loop_deliver(r->owner);
}

enum err exchange_ask(struct exchange *x, struct request *r,
                      void (*then)(struct exchange *x, struct request *r))
{
    struct ticket *t = ticket_new(x);
    enum err err;

    if (t == NULL) {
        request_free(r);
        return ERR_NOMEM;
    }
    t->request = r;
    t->then_request = then;
    r->owner = t;
    r->done = request_done;
    err = core_submit(x->gateway->deps.core, r);
    if (err != OK) {
        ticket_undo(t);
        request_free(r);
    }
    return err;
}

void exchange_ask_simply(struct exchange *x, struct request *r,
                         void (*then)(struct exchange *x, struct request *r))
{
    enum err err = r ? exchange_ask(x, r, then) : ERR_NOMEM;

    if (err != OK)
        exchange_refuse(x, err, "");
}

/* Of the store's thread.  What is committed goes to the network, whether or not
 * who asked for it still waits for the answer. */
static void job_done(struct job *job)
{
    struct ticket *t = job->owner;

    if (job->err == OK && job->out.outbox_id > 0)
        core_outbox_grew(t->loop->gateway->deps.core);
    loop_deliver(t);
}

enum err exchange_write(struct exchange *x, struct job *job,
                        void (*then)(struct exchange *x, struct job *job))
{
    struct ticket *t = ticket_new(x);
    enum err err;

    if (t == NULL) {
        job_free(job);
        return ERR_NOMEM;
    }
    t->job = job;
    t->then_job = then;
    job->owner = t;
    job->done = job_done;
    err = worker_submit(x->gateway->deps.worker, job);
    if (err != OK) {
        ticket_undo(t);
        job_free(job);
    }
    return err;
}

void exchange_orphan(struct exchange *x)
{
    LIST_FOR_EACH(link, &x->tickets) {
        struct ticket *t = LIST_ENTRY(link, struct ticket, link);

        list_remove(&t->link);
        t->x = NULL;
        if (t->request != NULL)
            core_cancel(x->gateway->deps.core, t->request);
    }
    x->pending = 0;
}
