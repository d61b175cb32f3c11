/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tracing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "telemetry/telemetry.h"

static struct telemetry *telemetry_of(const struct exchange *x)
{
    return x->gateway->deps.telemetry;
}

static void hand_out(struct exchange *x, struct trace_span **s)
{
    if (*s != NULL)
        telemetry_take(telemetry_of(x), *s);
    mem_free(x->loop->tracer.mem, *s);
    *s = NULL;
}

/* ---- The whole. ---- */

/* A parent is taken from a proxy that is trusted; anybody else could put its
 * requests into traces of others. */
static bool follows(const struct exchange *x, struct trace_context *parent,
                    char state[TRACE_STATE_MAX + 1])
{
    const struct gateway *g = x->gateway;

    return x->headers.at[HEADER_TRACEPARENT].len > 0 && !x->is_local &&
           telemetry_takes_parents(g->deps.telemetry) &&
           ip_nets_have(g->proxies, g->proxy_count, &x->peer) &&
           trace_context_parse(parent, x->headers.at[HEADER_TRACEPARENT],
                               x->headers.at[HEADER_TRACESTATE], state);
}

static bool is_worth_it(const struct exchange *x)
{
    return x->match.route == NULL ||
           !(x->match.route->flags & (ROUTE_PROBE | ROUTE_FREE));
}

void tracing_begin(struct exchange *x, tstamp now)
{
    struct tracer *t = &x->loop->tracer;
    char state[TRACE_STATE_MAX + 1];
    struct trace_context parent;
    const char *method;

    if (!t->is_on || !is_worth_it(x))
        return;
    method = x->is_head ? "HEAD" : http_method_name(x->method);
    t->is_paused = !telemetry_has_room(telemetry_of(x));
    x->server = trace_begin_root(t, follows(x, &parent, state) ? &parent : NULL,
                                 method, TRACE_SERVER, now);
    telemetry_skipped(telemetry_of(x), t->skipped);
    telemetry_lost(telemetry_of(x), t->lost);
    t->skipped = t->lost = 0;
    if (x->server == NULL)
        return;
    trace_text(x->server, TRACE_HTTP_METHOD, span_str(method));
    if (x->match.route == NULL)
        return;
    x->server->route = x->match.route->template;
    trace_text(x->server, TRACE_HTTP_ROUTE, span_str(x->server->route));
}

static void end_task(struct exchange *x, unsigned status)
{
    enum err err = OK;

    if (x->task == NULL)
        return;
    if (status == 499)
        err = ERR_CANCELLED;
    else if (status >= 400)
        err = x->refused != OK ? x->refused : ERR_INTERNAL;
    else if (x->is_incomplete)
        trace_outcome(x->task, "incomplete", NULL);
    if (err == ERR_LOOKUP_INCOMPLETE)
        trace_outcome(x->task, "incomplete", err_code(err));
    tracing_step_end(x, status == 499 ? ERR_CANCELLED : ERR_TIMEOUT);
    trace_end(x->task, err, core_now());
    hand_out(x, &x->task);
}

void tracing_answered(struct exchange *x)
{
    end_task(x, x->response.status);
}

static void outcome_of(struct exchange *x, unsigned status)
{
    struct trace_span *s = x->server;

    if (status < 400)
        trace_outcome(s, x->is_incomplete ? "incomplete" : "ok", NULL);
    else if (status == 404)
        trace_outcome(s, "not_found", NULL);
    else if (status == 499)
        trace_outcome(s, "cancelled", NULL);
    else
        trace_outcome(s, status == 504 ? "timeout" : "error",
                      err_code(x->refused != OK ? x->refused : ERR_INTERNAL));
    /* A client's mistake is no failure of the server's. */
    s->has_failed = status >= 500;
}

void tracing_end(struct exchange *x, unsigned status)
{
    if (x->server == NULL)
        return;
    end_task(x, status);
    trace_number(x->server, TRACE_HTTP_STATUS, status);
    outcome_of(x, status);
    trace_end(x->server, OK, core_now());
    hand_out(x, &x->server);
}

void tracing_drop(struct exchange *x)
{
    struct trace_span **all[] = {&x->step, &x->task, &x->server};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (*all[i] != NULL)
            mem_free(x->loop->tracer.mem, *all[i]);
        *all[i] = NULL;
    }
    x->refused = OK;
}

/* ---- Its parts. ---- */

static struct trace_span *begin_under(struct exchange *x,
                                      const struct trace_span *parent,
                                      const char *name)
{
    struct trace_context context;

    if (parent == NULL)
        return NULL;
    context = trace_span_context(parent);
    return trace_begin(&x->loop->tracer, &context, name, TRACE_INTERNAL,
                       core_now());
}

void tracing_task(struct exchange *x, const char *name)
{
    if (x->task == NULL)
        x->task = begin_under(x, x->server, name);
}

void tracing_step(struct exchange *x, const char *name)
{
    tracing_step_end(x, OK);
    x->step = begin_under(x, x->task, name);
}

void tracing_step_end(struct exchange *x, enum err err)
{
    if (x->step == NULL)
        return;
    trace_end(x->step, err, core_now());
    hand_out(x, &x->step);
}

/* ---- What there is to say. ---- */

void tracing_package(struct exchange *x, const struct package_id *id)
{
    char text[PACKAGE_TEXT_MAX];

    if (x->task != NULL)
        trace_text(x->task, TRACE_PACKAGE_ID,
                   span_str(package_id_format(id, text)));
}

void tracing_lookup(struct exchange *x, const struct lookup_report *lookup)
{
    if (x->task == NULL)
        return;
    trace_number(x->task, TRACE_PEERS_QUERIED, lookup->peers_queried);
    trace_number(x->task, TRACE_PEERS_RESPONDED, lookup->peers_responded);
    if (lookup->fan_out > 0)
        trace_number(x->task, TRACE_FAN_OUT, lookup->fan_out);
    else
        trace_number(x->task, TRACE_HOPS, lookup->hops);
}

/* ---- What others do for it. ---- */

void tracing_request(struct exchange *x, struct request *r)
{
    if (x->task == NULL || r == NULL)
        return;
    r->trace = trace_span_context(x->task);
    if (r->trace.state != NULL)
        r->trace.state = r->trace_state = strdup(r->trace.state);
}

void tracing_publish(struct exchange *x, const struct package_id *id,
                     const struct semver *version)
{
    char package[PACKAGE_TEXT_MAX], text[SEMVER_TEXT_MAX];
    char name[PACKAGE_TEXT_MAX + SEMVER_TEXT_MAX + 1];
    struct trace_context context = {.is_sampled = false};

    tracing_package(x, id);
    if (telemetry_of(x) == NULL)
        return;
    if (x->task != NULL)
        context = trace_span_context(x->task);
    (void)snprintf(name, sizeof(name), "%s@%s", package_id_format(id, package),
                   semver_format(version, text));
    telemetry_note(telemetry_of(x), span_str(name), &context);
}
