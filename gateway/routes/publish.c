/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "market/record.h"

/* Publish, yank, unyank: parse, hand to the store, and when that is durable
 * wait for as much of the network as the client asked for. */

enum wait { WAIT_LOCAL, WAIT_ONE, WAIT_QUORUM };

struct publish {
    unsigned wait;
    bool is_new; /* the resource was not there: 201 */
    bool is_committed;
    enum record_trust trust;
    uint8_t *record; /* as stored */
    size_t record_len;
    struct package_id id;
    struct semver version;
};

static void publish_free(void *work)
{
    struct publish *p = work;

    free(p->record);
    free(p);
}

/* ---- The answer. ---- */

static void answer(struct exchange *x, unsigned requested, unsigned acked)
{
    struct publish *p = x->work;
    char package[PACKAGE_TEXT_MAX], version[SEMVER_TEXT_MAX];
    struct jw j;

    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "package");
    jw_raw(&j, SPAN(p->record, p->record_len));
    jw_key(&j, "stored");
    jw_open(&j, '{');
    jw_key(&j, "requested");
    jw_u64(&j, requested);
    jw_key(&j, "acked");
    jw_u64(&j, acked);
    jw_key(&j, "local");
    jw_bool(&j, true);
    jw_close(&j, '}');
    jw_close(&j, '}');
    x->response.trust = record_trust_name(p->trust);
    if (x->method == METHOD_POST)
        exchange_location(x, "/api/v1/packages/%s/versions/%s",
                          package_id_format(&p->id, package),
                          semver_format(&p->version, version));
    exchange_answer(x, p->is_new ? 201 : 200, j.err);
}

static void announced(struct exchange *x, struct request *r)
{
    answer(x, r->requested, r->acked);
}

/* The package is safe; nobody can say how far it came beyond us.  Or it still
 * waits for the store: done then, and the same again is answered 200. */
static void expired(struct exchange *x)
{
    struct publish *p = x->work;

    if (p->is_committed)
        answer(x, 0, 0);
    else
        exchange_refuse(x, ERR_BUSY,
                        "the store did not answer in time; it may still be"
                        " done, and to ask for the same again is safe");
}

static void wait_for_network(struct exchange *x, int64_t outbox_id)
{
    struct publish *p = x->work;
    struct request *r = request_new(REQUEST_ANNOUNCE, x->deadline);

    if (r != NULL) {
        r->in.announce.outbox_id = outbox_id;
        r->in.announce.wait =
            p->wait == WAIT_ONE ? ANNOUNCE_ONE : ANNOUNCE_QUORUM;
        if (exchange_ask(x, r, announced) == OK)
            return;
    }
    answer(x, 0, 0);
}

static void refuse_job(struct exchange *x, const struct job *job)
{
    if (job->out.problems != NULL && job->out.problems->count > 0) {
        x->problems = *job->out.problems;
        exchange_refuse_problems(x, job->err);
    } else {
        exchange_refuse(x, job->err, job->out.detail);
    }
}

static void stored(struct exchange *x, struct job *job)
{
    struct publish *p = x->work;

    tracing_step_end(x, job->err);
    if (job->err != OK) {
        refuse_job(x, job);
        return;
    }
    p->is_committed = true;
    p->is_new = job->type == JOB_PUBLISH && job->out.outcome == PUBLISH_CREATED;
    p->trust = job->out.trust;
    p->record = job->out.record;
    p->record_len = job->out.record_len;
    job->out.record = NULL; /* ours now */
    if (job->out.outbox_id > 0 && p->wait != WAIT_LOCAL)
        wait_for_network(x, job->out.outbox_id);
    else
        answer(x, 0, 0);
}

static void submit(struct exchange *x, struct job *job)
{
    struct publish *p = x->work;
    enum err err;

    tracing_publish(x, &p->id, &p->version);
    tracing_step(x, "souk.store.commit");
    err = job ? exchange_write(x, job, stored) : ERR_NOMEM;
    if (err != OK)
        tracing_step_end(x, err);
    if (err != OK)
        exchange_refuse(x, err, "");
}

/* ---- Publish. ---- */

/* The record of the body, complete; else refused. */
static bool take_record(struct exchange *x, struct record *record)
{
    enum err err;

    if (buf_len(&x->body) == 0) {
        exchange_refuse(x, ERR_NOT_JSON, "the body is empty");
        return false;
    }
    err = record_parse(record, buf_span(&x->body), RECORD_INPUT, &mem_libc,
                       &x->problems);

    if (err == OK) {
        err = record_complete(record, gateway_wall(), NULL);
        if (err != OK)
            record_release(record);
    }
    if (err == OK)
        return true;
    if (x->problems.count > 0)
        exchange_refuse_problems(x, err);
    else
        exchange_refuse(x, err, "");
    return false;
}

void route_publish(struct exchange *x)
{
    static const char *const waits[] = {"local", "one", "quorum", NULL};
    struct publish *p = exchange_work_with(x, sizeof(*p), publish_free);
    struct record record;
    bool is_taken;

    if (p == NULL)
        return;
    tracing_task(x, "souk.publish");
    (void)params_choice(&x->params, "wait", waits, &p->wait);
    exchange_deadline(x, 10 * SECONDS);
    if (exchange_refused_params(x))
        return;
    x->on_deadline = expired;
    tracing_step(x, "souk.validate");
    is_taken = take_record(x, &record);
    tracing_step_end(x, x->refused);
    if (!is_taken)
        return;
    p->id = record.id;
    p->version = record.version;
    submit(x, job_publish(&record));
    record_release(&record);
}

/* ---- Yank. ---- */

static const char *text_member(struct exchange *x, const json_t *body,
                               const char *key, bool is_required)
{
    const json_t *v = json_object_get(body, key);
    char pointer[PROBLEM_TEXT_MAX];

    if (json_is_string(v) && (!is_required || json_string_length(v) > 0))
        return json_string_value(v);
    (void)snprintf(pointer, sizeof(pointer), "/%s", key);
    if (v == NULL && is_required)
        problems_add(&x->problems, pointer, "is missing");
    else if (v != NULL && !json_is_null(v))
        problems_add(&x->problems, pointer, "must be a text");
    else if (is_required)
        problems_add(&x->problems, pointer, "must be a text");
    return NULL;
}

static bool begin_change(struct exchange *x)
{
    struct publish *p = exchange_work_with(x, sizeof(*p), publish_free);

    tracing_task(x, "souk.publish");
    if (p == NULL || !exchange_package(x, &p->id) ||
        !exchange_version(x, &p->version))
        return false;
    exchange_deadline(x, 10 * SECONDS);
    x->on_deadline = expired;
    return !exchange_refused_params(x);
}

void route_yank(struct exchange *x)
{
    const char *reason, *use_instead;
    struct publish *p;
    json_t *body;

    if (!begin_change(x))
        return;
    body = exchange_body_object(x);
    if (body == NULL)
        return;
    p = x->work;
    reason = text_member(x, body, "reason", true);
    use_instead = text_member(x, body, "use_instead", false);
    if (x->problems.count > 0)
        exchange_refuse_problems(x, ERR_SCHEMA);
    else
        submit(x, job_yank(&p->id, &p->version, reason, use_instead));
    json_decref(body);
}

void route_delete_version(struct exchange *x)
{
    route_yank(x);
}

void route_unyank(struct exchange *x)
{
    struct publish *p;

    if (!begin_change(x))
        return;
    p = x->work;
    submit(x, job_unyank(&p->id, &p->version));
}
