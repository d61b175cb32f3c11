/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/resolve.h"

#include <stdio.h>
#include <string.h>

#include "gateway/loop.h"
#include "store/worker.h"

enum { RESOLVE_PUBLISHERS_MAX = 4 };

bool resolve_is_fresh(const struct exchange *x, const struct package_view *view)
{
    return !exchange_wants_fresh(x) &&
           (view->is_own ||
            gateway_wall() - view->heard < RESOLVE_FRESH_S * 1000);
}

void resolve_describe(struct exchange *x, const struct resolve *r,
                      const struct package_view *view)
{
    x->response.trust = record_trust_name(view->trust);
    x->response.has_conflict = view->has_conflict;
    /* An old copy, and nobody could say whether there is a newer one. */
    if (r->is_asked && r->err != OK && r->err != ERR_NOT_FOUND)
        x->response.cache_control = "no-store";
}

void resolve_refuse(struct exchange *x, const struct resolve *r)
{
    if (r->err == ERR_NOT_FOUND || (r->err == OK && !r->is_asked))
        exchange_refuse_lookup(x, ERR_NOT_FOUND,
                               r->is_asked ? &r->lookup : NULL);
    else if (r->err == OK) /* found, but by keys that do not own the name */
        exchange_refuse(x, ERR_NOT_FOUND, "only records of other keys");
    else if (r->err == ERR_BUSY || r->err == ERR_DRAINING ||
             r->err == ERR_NOMEM || r->err == ERR_STORE || r->err == ERR_LIMIT)
        exchange_refuse(x, r->err, "");
    else
        exchange_refuse_lookup(x, ERR_LOOKUP_INCOMPLETE, &r->lookup);
}

struct request *resolve_request(struct exchange *x, const struct package_id *id,
                                const struct semver *version,
                                const struct peer_id *owner)
{
    struct request *r = request_new(REQUEST_GET, x->deadline);
    struct request_get *in;

    if (r == NULL)
        return NULL;
    in = &r->in.get;
    (void)snprintf(in->namespace, sizeof(in->namespace), "%s", id->ns);
    (void)snprintf(in->name, sizeof(in->name), "%s", id->name);
    if (version != NULL)
        (void)semver_format(version, in->version);
    if (owner != NULL)
        in->owner = *owner;
    tracing_request(x, r);
    return r;
}

/* The record to believe: its owner's, else the one the network ranks first. */
static size_t choose(struct exchange *x, const struct request *found)
{
    struct package_id id;
    struct peer_id owner;

    if (package_id_set(&id, span_str(found->in.get.namespace),
                       span_str(found->in.get.name)) != OK ||
        reader_owner(exchange_reader(x), &id, &owner) != OK ||
        peer_id_is_none(&owner))
        return 0;
    for (size_t i = 0; i < found->record_count; i++)
        if (peer_id_eq(&found->records[i].publisher, &owner))
            return i;
    return 0;
}

static struct job *accept_job(const struct found_record *f, bool pin)
{
    static const struct peer_id several;

    return job_accept(f->bytes, &several, ACCEPT_LOOKUP, 0, pin);
}

void resolve_accept(struct exchange *x, const struct request *found,
                    void (*then)(struct exchange *x, struct job *job))
{
    size_t first;
    struct job *job;

    if (found->record_count == 0) {
        then(x, NULL);
        return;
    }
    first = choose(x, found);
    job = accept_job(&found->records[first], true);
    if (job == NULL || exchange_write(x, job, then) != OK) {
        then(x, NULL);
        return;
    }
    /* The others are conflicts; the store counts them. */
    for (size_t i = 0; i < found->record_count && i < RESOLVE_PUBLISHERS_MAX;
         i++) {
        if (i == first)
            continue;
        job = accept_job(&found->records[i], false);
        if (job != NULL && worker_submit(x->gateway->deps.worker, job) != OK)
            job_free(job);
    }
}

/* ---- The steps. ---- */

static void ask_next(struct exchange *x, struct resolve *r);

static void finish(struct exchange *x, struct resolve *r)
{
    r->then(x, r);
}

static void accepted(struct exchange *x, struct job *job)
{
    struct resolve *r = x->work;

    if (job != NULL && job->err == ERR_STORE)
        r->err = ERR_STORE;
    if (r->has_version && !r->has_head && r->err == OK) {
        r->has_head = true;
        ask_next(x, r);
        return;
    }
    finish(x, r);
}

/* The network knows no more than what is held, and was heard of just now: then
 * there is nothing to write. */
static bool is_held(struct exchange *x, const struct resolve *r,
                    const struct request *found)
{
    struct buf *scratch = &x->response.body;
    struct package_view view;
    struct span held;
    bool is_same;

    if (r->has_version || found->record_count != 1)
        return false;
    buf_clear(scratch);
    is_same = reader_head(exchange_reader(x), &r->id, &view, scratch) == OK &&
              gateway_wall() - view.heard < RESOLVE_FRESH_S * 1000;
    held = buf_span(scratch);
    is_same =
        is_same && held.data != NULL && span_eq(held, found->records[0].bytes);
    buf_clear(scratch);
    return is_same;
}

static void found(struct exchange *x, struct request *request)
{
    struct resolve *r = x->work;

    r->err = request->err;
    r->lookup = request->lookup;
    tracing_lookup(x, &r->lookup);
    if (r->err == OK && !is_held(x, r, request))
        resolve_accept(x, request, accepted);
    else
        finish(x, r);
}

static void expired(struct exchange *x)
{
    struct resolve *r = x->work;

    r->is_expired = true;
    r->err = ERR_LOOKUP_INCOMPLETE;
    r->lookup.complete = false;
    r->lookup.reason = "deadline";
    finish(x, r);
}

static void ask_next(struct exchange *x, struct resolve *r)
{
    struct peer_id owner = {.len = 0};
    struct request *request;
    bool wants_version;

    if (reader_owner(exchange_reader(x), &r->id, &owner) != OK)
        owner.len = 0;
    wants_version = r->has_version && !peer_id_is_none(&owner);
    if (r->has_version && !wants_version && r->has_head) {
        finish(x, r); /* unsigned: there is only what came with the head */
        return;
    }
    r->has_head = r->has_head || wants_version;
    request =
        resolve_request(x, &r->id, wants_version ? &r->version : NULL, &owner);
    r->is_asked = true;
    r->err = request ? exchange_ask(x, request, found) : ERR_NOMEM;
    if (r->err != OK)
        finish(x, r);
}

static bool is_here(struct exchange *x, const struct resolve *r)
{
    struct buf *scratch = &x->response.body;
    struct package_view view;
    enum err err;

    buf_clear(scratch);
    err = r->has_version
              ? reader_version(exchange_reader(x), &r->id, &r->version, &view,
                               scratch)
              : reader_head(exchange_reader(x), &r->id, &view, scratch);
    buf_clear(scratch);
    return err == OK && resolve_is_fresh(x, &view);
}

void resolve_begin(struct exchange *x, struct resolve *r)
{
    bool is_hit;

    x->on_deadline = expired;
    if (r->is_local) {
        finish(x, r);
        return;
    }
    is_hit = is_here(x, r);
    metrics_catalogue(&x->loop->metrics, is_hit);
    if (is_hit)
        finish(x, r);
    else
        ask_next(x, r);
}
