/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/resolve.h"
#include "gateway/routes/routes.h"

/* One record: the head of a package, or one version. */
struct get {
    struct resolve resolve; /* first */
    bool is_pinned;         /* or that was tried */
    struct cache_stamp stamp;
};

/* ---- The hot cache: the record, and "TRUST CONFLICT ETAG". ---- */

static struct span cache_key(const struct resolve *r, char out[CACHE_KEY_MAX])
{
    static const char prefix[] = "get ";
    size_t n = sizeof(prefix) - 1;

    _Static_assert(sizeof(prefix) + PACKAGE_TEXT_MAX + SEMVER_TEXT_MAX <
                       CACHE_KEY_MAX,
                   "a key has room for all of it");
    memcpy(out, prefix, n);
    n += strlen(package_id_format(&r->id, out + n));
    out[n++] = '@';
    if (r->has_version)
        n += strlen(semver_format(&r->version, out + n));
    return SPAN(out, n);
}

static bool answer_from_cache(struct exchange *x, const struct resolve *r)
{
    char bytes[CACHE_KEY_MAX];
    const struct cached *hit =
        cache_get(x->gateway->deps.cache, cache_key(r, bytes), x->started);

    if (hit == NULL)
        return false;
    trace_bool(x->task, TRACE_CACHE_HIT, true);
    x->response.trust =
        record_trust_name((enum record_trust)(hit->extra.data[0] - '0'));
    x->response.has_conflict = hit->extra.data[1] == 'c';
    memcpy(x->response.etag, hit->extra.data + 2, hit->extra.len - 2);
    x->response.etag[hit->extra.len - 2] = '\0';
    x->response.cached = hit;
    x->response.borrowed = hit->body;
    exchange_answer(x, 200, OK);
    exchange_not_modified(x);
    return true;
}

static void keep(struct exchange *x, const struct get *g,
                 const struct package_view *view)
{
    char key[CACHE_KEY_MAX], extra[64];
    wall_ms age = view->is_own ? 0 : gateway_wall() - view->heard;
    struct cached answer = {.body = buf_span(&x->response.body)};

    if (!resolve_is_fresh(x, view))
        return;
    answer.extra =
        SPAN(extra,
             (size_t)snprintf(extra, sizeof(extra), "%d%c%s", (int)view->trust,
                              view->has_conflict ? 'c' : '-', view->etag));
    cache_put(
        x->gateway->deps.cache, cache_key(&g->resolve, key), &g->stamp, answer,
        (RESOLVE_FRESH_S * 1000 - (duration)(age > 0 ? age : 0)) * MILLISECONDS,
        core_now());
}

/* ---- The catalogue. ---- */

static void answer(struct exchange *x, struct resolve *r);

static void pinned(struct exchange *x, struct job *job)
{
    (void)job;
    answer(x, x->work);
}

/* Whoever asks for a package by name takes its first signer for its owner. */
static bool pins(struct exchange *x, struct get *g,
                 const struct package_view *view)
{
    struct job *job;

    if (view->trust != TRUST_SIGNED || g->is_pinned || g->resolve.is_expired)
        return false;
    g->is_pinned = true;
    job = job_pin(&view->id, &view->publisher);
    return job != NULL && exchange_write(x, job, pinned) == OK;
}

static void answer(struct exchange *x, struct resolve *r)
{
    struct get *g = (struct get *)(void *)r;
    struct package_view view;
    enum err err;

    cache_stamp_package(x->gateway->deps.cache, &r->id, &g->stamp);
    buf_clear(&x->response.body);
    err = r->has_version ? reader_version(exchange_reader(x), &r->id,
                                          &r->version, &view, &x->response.body)
                         : reader_head(exchange_reader(x), &r->id, &view,
                                       &x->response.body);
    if (err == ERR_NOT_FOUND) {
        resolve_refuse(x, r);
    } else if (err != OK) {
        exchange_refuse(x, err, "");
    } else if (pins(x, g, &view)) {
        buf_clear(&x->response.body);
    } else if (!r->has_version && view.all_yanked) {
        exchange_refuse(x, ERR_ALL_YANKED, "");
    } else {
        resolve_describe(x, r, &view);
        (void)snprintf(x->response.etag, sizeof(x->response.etag), "%s",
                       view.etag);
        keep(x, g, &view);
        exchange_answer(x, 200, OK);
        exchange_not_modified(x);
    }
}

/* ---- In. ---- */

static void begin(struct exchange *x, struct get *g)
{
    g->resolve.then = answer;
    g->resolve.is_local = exchange_scope_is_local(x);
    exchange_deadline(x, 10 * SECONDS);
    if (exchange_refused_params(x))
        return;
    if (!exchange_wants_fresh(x) && answer_from_cache(x, &g->resolve))
        return;
    trace_bool(x->task, TRACE_CACHE_HIT, false);
    resolve_begin(x, &g->resolve);
}

void route_package(struct exchange *x)
{
    struct get *g = exchange_work(x, sizeof(*g));

    tracing_task(x, "souk.get");
    if (g != NULL && exchange_package(x, &g->resolve.id))
        begin(x, g);
}

void route_version(struct exchange *x)
{
    struct get *g = exchange_work(x, sizeof(*g));

    tracing_task(x, "souk.get");
    if (g == NULL || !exchange_package(x, &g->resolve.id) ||
        !exchange_version(x, &g->resolve.version))
        return;
    g->resolve.has_version = true;
    begin(x, g);
}
