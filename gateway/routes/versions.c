/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/problem.h"
#include "gateway/resolve.h"
#include "gateway/routes/routes.h"
#include "market/record.h"

/* All versions of a package: those of the catalogue, and those its head tells
 * of.  What of the page is not here yet is fetched, a few at a time. */
enum { FETCHES_MAX = PENDING_MAX / 2 };

struct entry {
    struct semver version;
    bool is_here;
    bool is_yanked;
    wall_ms updated; /* 0: not known */
};

struct versions {
    struct resolve resolve; /* first */
    bool is_brief;
    uint64_t limit;
    bool has_after;
    struct semver after;

    struct package_view head;
    struct entry *list; /* ascending */
    size_t count, cap;
    size_t from, to; /* the page */
    size_t next;     /* to fetch, if it is not here */
    size_t fetching;
    size_t missing;
};

static void versions_free(void *work)
{
    struct versions *v = work;

    free(v->list);
    free(v);
}

/* ---- The list. ---- */

static enum err add(struct versions *v, const struct entry *e)
{
    if (v->count == v->cap) {
        size_t cap = v->cap ? 2 * v->cap : 32;
        struct entry *list = realloc(v->list, cap * sizeof(*list));

        if (list == NULL)
            return ERR_NOMEM;
        v->list = list;
        v->cap = cap;
    }
    v->list[v->count++] = *e;
    return OK;
}

struct gathering {
    struct versions *v;
    enum err err;
};

static bool visit(void *ctx, const struct package_view *view,
                  struct span record)
{
    struct gathering *g = ctx;
    struct entry e = {.version = view->version,
                      .is_here = true,
                      .is_yanked = view->is_yanked,
                      .updated = view->updated};

    (void)record;
    g->err = add(g->v, &e);
    return g->err == OK;
}

static enum err list_held(struct exchange *x, struct versions *v)
{
    struct gathering g = {.v = v, .err = OK};
    struct semver after;
    bool more = true;

    for (bool is_first = true; more; is_first = false) {
        TRY(reader_versions(exchange_reader(x), &v->resolve.id,
                            is_first ? NULL : &after, READER_LIMIT_MAX, visit,
                            &g, &more));
        TRY(g.err);
        if (v->count > 0)
            after = v->list[v->count - 1].version;
        else
            more = false;
    }
    return OK;
}

static bool is_listed(const struct versions *v, size_t held,
                      const struct semver *version)
{
    for (size_t i = 0; i < held; i++)
        if (semver_cmp(&v->list[i].version, version) == 0)
            return true;
    return false;
}

/* Those of souk.versions that are not held. */
static enum err list_told(struct versions *v, struct span head)
{
    struct record_version told;
    size_t held = v->count;
    struct record record;
    enum err err;

    TRY(record_parse(&record, head, RECORD_UNSIGNED_OK, &mem_libc, NULL));
    err = OK;
    for (size_t i = 0; err == OK && record_version_at(&record, i, &told); i++) {
        struct entry e = {.version = told.version, .is_yanked = told.is_yanked};

        if (!is_listed(v, held, &told.version))
            err = add(v, &e);
    }
    record_release(&record);
    return err;
}

static int entry_cmp(const void *a, const void *b)
{
    return semver_cmp(&((const struct entry *)a)->version,
                      &((const struct entry *)b)->version);
}

static void choose_page(struct versions *v)
{
    if (v->count > 0)
        qsort(v->list, v->count, sizeof(*v->list), entry_cmp);
    while (v->has_after && v->from < v->count &&
           semver_cmp(&v->list[v->from].version, &v->after) <= 0)
        v->from++;
    v->to =
        v->count - v->from < v->limit ? v->count : v->from + (size_t)v->limit;
    v->next = v->from;
}

/* ---- The answer. ---- */

static struct span cursor_context(const struct versions *v, char out[192])
{
    char package[PACKAGE_TEXT_MAX];

    return SPAN(out,
                (size_t)snprintf(out, 192, "versions %s %d",
                                 package_id_format(&v->resolve.id, package),
                                 v->is_brief));
}

static void brief_write(struct jw *j, const struct entry *e)
{
    char version[SEMVER_TEXT_MAX];

    jw_open(j, '{');
    jw_key(j, "version");
    jw_str(j, semver_format(&e->version, version));
    jw_key(j, "yanked");
    jw_bool(j, e->is_yanked);
    jw_key(j, "updated_at");
    if (e->updated == 0)
        jw_null(j);
    else
        jw_time(j, e->updated);
    jw_close(j, '}');
}

static void full_write(struct exchange *x, struct versions *v, struct jw *j,
                       const struct entry *e)
{
    struct package_view view;
    struct buf record;

    buf_init(&record, RECORD_BYTES_MAX, &mem_libc);
    if (reader_version(exchange_reader(x), &v->resolve.id, &e->version, &view,
                       &record) == OK)
        jw_raw(j, buf_span(&record));
    else
        v->missing++;
    buf_release(&record);
}

static void next_cursor_write(struct exchange *x, const struct versions *v,
                              struct jw *j)
{
    char version[SEMVER_TEXT_MAX], context[192], cursor[CURSOR_TEXT_MAX] = "";

    if (v->to < v->count && v->to > v->from) {
        semver_format(&v->list[v->to - 1].version, version);
        cursor_seal(&x->gateway->cursor_key, cursor_context(v, context),
                    span_str(version), cursor);
        exchange_link_next(x, cursor);
    }
    jw_key(j, "next_cursor");
    jw_str_or_null(j, cursor);
}

static void render(struct exchange *x, struct versions *v)
{
    struct lookup_report lookup = v->resolve.lookup;
    unsigned sources = LOOKUP_LOCAL;
    struct jw j;

    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "versions");
    jw_open(&j, '[');
    for (size_t i = v->from; i < v->to; i++) {
        if (v->is_brief)
            brief_write(&j, &v->list[i]);
        else
            full_write(x, v, &j, &v->list[i]);
    }
    jw_close(&j, ']');
    jw_key(&j, "total");
    jw_u64(&j, v->count);
    next_cursor_write(x, v, &j);
    if (j.err == OK)
        response_tag(&x->response, buf_span(&x->response.body), true);
    resolve_describe(x, &v->resolve, &v->head);
    if (!v->resolve.is_asked)
        lookup.complete = true;
    else
        sources |= LOOKUP_NETWORK;
    if (v->missing > 0 && !v->resolve.is_local) {
        lookup.complete = false;
        lookup.reason = "versions-missing";
    }
    if (!lookup.complete) {
        x->response.etag[0] = '\0';
        x->response.cache_control = "no-store";
    }
    lookup.elapsed = core_now() - x->started;
    jw_key(&j, "lookup");
    lookup_write(&j, &lookup, v->resolve.is_local, sources);
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
    exchange_not_modified(x);
}

/* ---- What is not here yet. ---- */

static void go_on(struct exchange *x, struct versions *v);

static void one_stored(struct exchange *x, struct job *job)
{
    struct versions *v = x->work;

    (void)job;
    v->fetching--;
    go_on(x, v);
}

static void one_found(struct exchange *x, struct request *r)
{
    resolve_accept(x, r, one_stored);
}

static void late(struct exchange *x)
{
    render(x, x->work);
}

static void go_on(struct exchange *x, struct versions *v)
{
    while (v->fetching < FETCHES_MAX && v->next < v->to) {
        const struct entry *e = &v->list[v->next++];
        struct request *r;

        if (e->is_here)
            continue;
        r = resolve_request(x, &v->resolve.id, &e->version, &v->head.publisher);
        if (r == NULL || exchange_ask(x, r, one_found) != OK) {
            v->next = v->to; /* the core has no room: what there is, then */
            break;
        }
        v->resolve.is_asked = true;
        v->fetching++;
    }
    if (v->fetching == 0)
        render(x, v);
}

static enum err list(struct exchange *x, struct versions *v)
{
    struct buf head;
    enum err err;

    buf_init(&head, RECORD_BYTES_MAX, &mem_libc);
    err = reader_head(exchange_reader(x), &v->resolve.id, &v->head, &head);
    if (err == OK)
        err = list_held(x, v);
    if (err == OK && !v->resolve.is_local)
        err = list_told(v, buf_span(&head));
    buf_release(&head);
    return err;
}

static void listed(struct exchange *x, struct resolve *r)
{
    struct versions *v = (struct versions *)(void *)r;
    enum err err = list(x, v);

    if (err == ERR_NOT_FOUND) {
        resolve_refuse(x, r);
        return;
    }
    if (err != OK) {
        exchange_refuse(x, err, "");
        return;
    }
    choose_page(v);
    if (v->is_brief || r->is_local || r->is_expired ||
        peer_id_is_none(&v->head.publisher)) {
        render(x, v);
        return;
    }
    x->on_deadline = late;
    if (!r->is_asked)
        r->lookup.complete = true;
    go_on(x, v);
}

/* ---- In. ---- */

static void take_cursor(struct exchange *x, struct versions *v)
{
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    struct span text;
    char context[192];
    size_t len;

    if (!params_text(&x->params, "cursor", 1, CURSOR_TEXT_MAX, &text))
        return;
    if (cursor_open(&x->gateway->cursor_key, cursor_context(v, context), text,
                    payload, &len) == OK &&
        semver_parse(SPAN(payload, len), &v->after) == OK)
        v->has_after = true;
    else
        params_refuse(&x->params, "cursor", "is not a cursor of this list");
}

void route_versions(struct exchange *x)
{
    static const char *const views[] = {"full", "brief", NULL};
    struct versions *v = exchange_work_with(x, sizeof(*v), versions_free);
    unsigned view = 0;

    tracing_task(x, "souk.get");
    if (v == NULL || !exchange_package(x, &v->resolve.id))
        return;
    v->limit = 20;
    (void)params_choice(&x->params, "view", views, &view);
    v->is_brief = view == 1;
    (void)params_u64(&x->params, "limit", 1, 100, &v->limit);
    v->resolve.is_local = exchange_scope_is_local(x);
    v->resolve.then = listed;
    exchange_deadline(x, 10 * SECONDS);
    take_cursor(x, v);
    if (!exchange_refused_params(x))
        resolve_begin(x, &v->resolve);
}
