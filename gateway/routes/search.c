/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/problem.h"
#include "gateway/routes/routes.h"
#include "market/query.h"

/* A search: hot cache, else the network, else (and in any case) the catalogue.
 *
 *      cache ─ hit ──────────────────────────────────────────────► answer
 *        └─ miss ► core: the best peers ─► store: what they sent ─┐
 *        └─ local, a later page, peers were asked not long ago ───┴► page
 *
 * What peers send is verified by the core and goes into the catalogue; the page
 * is then read from there.  So there is one ranking, and the union of the pages
 * is the set. */
enum {
    SEARCH_NETWORK_COST = 9, /* tokens, besides the request's own */
    SEARCH_FAN_OUT_MAX = 8,
    SEARCH_ASK_MAX = 50, /* results of a peer */
    SEARCH_SOURCES_MAX = 512,
};

/* Who sent a package just now. */
struct source {
    char package[PACKAGE_TEXT_MAX];
    struct peer_id peer;
};

/* What a cursor says besides where the catalogue goes on: how the first page
 * came about. */
struct page_origin {
    uint8_t is_complete;
    uint8_t queried;
    uint8_t responded;
};

struct search {
    struct query query;
    char text[REQUEST_QUERY_MAX + 1]; /* as it came */
    char normal[QUERY_NORMAL_MAX];
    uint64_t limit;
    uint64_t fan_out;
    bool facets;
    bool is_local;
    bool is_network;               /* peers have answered */
    bool is_asked;                 /* |lookup| is of now … */
    bool is_kept;                  /* … or kept, as a struct asked */
    tstamp expires;                /* is_kept: when that is too old */
    struct cache_stamp losses;     /* before the network was asked */
    char after[READER_CURSOR_MAX]; /* the catalogue's cursor */
    struct lookup_report lookup;
    struct source *sources;
    size_t source_count;
    void (*render)(struct exchange *x, struct search_page *page,
                   const struct cache_stamp *stamp);
};

static void search_free(void *work)
{
    struct search *s = work;

    free(s->sources);
    free(s);
}

/* ---- What is asked. ---- */

/* The language's own complaints are about "/q", "/tag" … */
static void adopt_problems(struct exchange *x, const struct problems *from)
{
    for (size_t i = 0; i < from->count; i++)
        params_refuse(&x->params, from->list[i].pointer + 1, "%s",
                      from->list[i].detail);
}

static void take_query(struct exchange *x, struct search *s)
{
    static const char *const filters[] = {
        "category", "tag", "author", "license", "namespace", "trust", "sort"};
    struct problems problems = {.count = 0};
    struct span value = SPAN_NONE;

    (void)params_text(&x->params, "q", 0, REQUEST_QUERY_MAX, &value);
    if (value.len > 0)
        memcpy(s->text, value.data, value.len);
    if (query_parse(value, &s->query, &problems) != OK && problems.count == 0)
        problems_add(&problems, "/q", "cannot be read");
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        if (params_text(&x->params, filters[i], 1, REQUEST_QUERY_MAX, &value) &&
            query_set(&s->query, filters[i], value, &problems) != OK &&
            problems.count == 0)
            params_refuse(&x->params, filters[i], "cannot be read");
    adopt_problems(x, &problems);
    query_normalise(&s->query, s->normal);
}

static void take_cursor(struct exchange *x, struct search *s)
{
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    struct page_origin origin;
    struct span text;
    size_t len;

    if (!params_text(&x->params, "cursor", 1, CURSOR_TEXT_MAX, &text))
        return;
    if (cursor_open(&x->gateway->cursor_key, span_str(s->normal), text, payload,
                    &len) != OK ||
        len <= sizeof(origin) || len - sizeof(origin) >= sizeof(s->after)) {
        params_refuse(&x->params, "cursor", "is not a cursor of this search");
        return;
    }
    memcpy(&origin, payload, sizeof(origin));
    memcpy(s->after, payload + sizeof(origin), len - sizeof(origin));
    s->after[len - sizeof(origin)] = '\0';
    s->lookup.complete = origin.is_complete;
    s->lookup.reason = origin.is_complete ? NULL : "the first page was not";
    s->lookup.peers_queried = origin.queried;
    s->lookup.peers_responded = origin.responded;
}

static void seal_cursor(const struct exchange *x, const struct search *s,
                        const char *after, char out[CURSOR_TEXT_MAX])
{
    struct page_origin origin = {
        .is_complete = s->lookup.complete,
        .queried = (uint8_t)s->lookup.peers_queried,
        .responded = (uint8_t)s->lookup.peers_responded,
    };
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    struct span rest = span_str(after);

    memcpy(payload, &origin, sizeof(origin));
    memcpy(payload + sizeof(origin), rest.data, rest.len);
    cursor_seal(&x->gateway->cursor_key, span_str(s->normal),
                SPAN(payload, sizeof(origin) + rest.len), out);
}

/* ---- The hot cache. ----
 *
 * An answer is `{"query":…,` and what follows.  The latter is kept under the
 * query in normal form; asked for in the same words again, the whole is kept
 * under those, and goes out as it is. */

/* What an answer depends on, apart from the catalogue; len 0: too long. */
static struct span normal_key(const struct search *s, char out[CACHE_KEY_MAX])
{
    int n = snprintf(out, CACHE_KEY_MAX, "find %c%u %u %s %s",
                     s->facets ? 'f' : '-', (unsigned)s->limit,
                     (unsigned)s->fan_out, s->after, s->normal);

    return n < CACHE_KEY_MAX ? SPAN(out, (size_t)n) : SPAN_NONE;
}

static struct span literal_key(const struct exchange *x,
                               char out[CACHE_KEY_MAX])
{
    static const char prefix[] = "said ";
    size_t n = sizeof(prefix) - 1;

    if (x->query.len + n > CACHE_KEY_MAX)
        return SPAN_NONE;
    memcpy(out, prefix, n);
    if (x->query.len > 0)
        memcpy(out + n, x->query.data, x->query.len);
    return SPAN(out, n + x->query.len);
}

/* What is kept beside a body: "TAG", "/path?of=the&next=page", and when the
 * answer is too old, a line each. */
enum { EXTRA_MAX = RESPONSE_ETAG_MAX + RESPONSE_LINK_MAX + 24 };

static struct span extra_write(const char *etag, const char *next_path,
                               tstamp expires, char out[EXTRA_MAX])
{
    return SPAN(out, (size_t)snprintf(out, EXTRA_MAX, "%s\n%s\n%llu", etag,
                                      next_path, (unsigned long long)expires));
}

static struct span extra_line(struct span *extra)
{
    const uint8_t *newline = memchr(extra->data, '\n', extra->len);
    struct span line = span_take(
        extra, newline ? (size_t)(newline - extra->data) : extra->len);

    (void)span_take(extra, 1);
    return line;
}

/* Headers of an answer that was kept; when it expires. */
static tstamp extra_read(struct exchange *x, struct span extra)
{
    struct span tag = extra_line(&extra);
    tstamp expires = 0;

    assert(tag.len < sizeof(x->response.etag));
    memcpy(x->response.etag, tag.data, tag.len);
    x->response.etag[tag.len] = '\0';
    exchange_link(x, extra_line(&extra));
    for (size_t i = 0; i < extra.len; i++)
        expires = expires * 10 + (tstamp)(extra.data[i] - '0');
    return expires;
}

/* What the network said of a query.  A change of the catalogue makes a page
 * stale, not this: the page is read again and the peers are left alone, or a
 * busy market would ask them again with every package that is published.  Only
 * what was dropped to make room may be something that they had sent. */
struct asked {
    struct lookup_report lookup; /* complete, so without a |reason| */
    tstamp expires;
};

static struct span asked_key(const struct search *s, char out[CACHE_KEY_MAX])
{
    int n = snprintf(out, CACHE_KEY_MAX, "asked %u %s", (unsigned)s->fan_out,
                     s->normal);

    return n < CACHE_KEY_MAX ? SPAN(out, (size_t)n) : SPAN_NONE;
}

static void keep_asked(const struct exchange *x, const struct search *s,
                       duration ttl, tstamp now)
{
    struct asked asked = {.lookup = s->lookup, .expires = now + ttl};
    struct cached answer = {.body = SPAN(&asked, sizeof(asked))};
    char bytes[CACHE_KEY_MAX];
    struct span key = asked_key(s, bytes);

    if (key.len > 0)
        cache_put(x->gateway->deps.cache, key, &s->losses, answer, ttl, now);
}

static bool was_asked(const struct exchange *x, struct search *s)
{
    char bytes[CACHE_KEY_MAX];
    struct span key = asked_key(s, bytes);
    const struct cached *hit;
    struct asked asked;

    hit = key.len ? cache_get(x->gateway->deps.cache, key, x->started) : NULL;
    if (hit == NULL)
        return false;
    memcpy(&asked, hit->body.data, sizeof(asked));
    cached_release(hit);
    s->lookup = asked.lookup;
    s->expires = asked.expires;
    s->is_kept = true;
    return true;
}

static void finish_cached(struct exchange *x, enum err err)
{
    exchange_answer(x, 200, err);
    exchange_not_modified(x);
}

static bool answer_literally(struct exchange *x)
{
    char bytes[CACHE_KEY_MAX];
    struct span key = literal_key(x, bytes);
    const struct cached *hit;

    hit = key.len ? cache_get(x->gateway->deps.cache, key, x->started) : NULL;
    if (hit == NULL)
        return false;
    trace_bool(x->task, TRACE_CACHE_HIT, true);
    x->is_search = true;
    x->search_scope = SEARCH_NETWORK; /* of others none is kept */
    (void)extra_read(x, hit->extra);
    x->response.cached = hit;
    x->response.borrowed = hit->body;
    finish_cached(x, OK);
    return true;
}

static void query_write(struct exchange *x, struct jw *j,
                        const struct search *s)
{
    exchange_json(x, j);
    jw_open(j, '{');
    jw_key(j, "query");
    jw_str(j, s->text);
}

static void keep_literally(struct exchange *x, const struct cached *hit,
                           const struct cache_stamp *stamp, tstamp expires)
{
    struct cached answer = {.body = buf_span(&x->response.body),
                            .extra = hit->extra,
                            .total = hit->total,
                            .is_empty = hit->is_empty};
    char bytes[CACHE_KEY_MAX];
    struct span key = literal_key(x, bytes);

    if (key.len > 0 && expires > x->started)
        cache_put(x->gateway->deps.cache, key, stamp, answer,
                  expires - x->started, x->started);
}

static bool answer_from_cache(struct exchange *x, struct search *s)
{
    char bytes[CACHE_KEY_MAX];
    struct span key = normal_key(s, bytes);
    const struct cached *hit;
    struct cache_stamp stamp;
    tstamp expires;
    struct jw j;

    if (key.len == 0)
        return false;
    reader_search_stamp(exchange_reader(x), &s->query, &stamp);
    hit = cache_get(x->gateway->deps.cache, key, x->started);
    if (hit == NULL)
        return false;
    trace_bool(x->task, TRACE_CACHE_HIT, true);
    expires = extra_read(x, hit->extra);
    query_write(x, &j, s);
    jw_raw(&j, hit->body);
    if (j.err == OK)
        keep_literally(x, hit, &stamp, expires);
    cached_release(hit);
    finish_cached(x, j.err);
    return true;
}

static void keep(struct exchange *x, const struct search *s,
                 const struct search_page *page,
                 const struct cache_stamp *stamp, struct span head,
                 const char *cursor)
{
    struct cached answer = {.total = page->total, .is_empty = page->count == 0};
    duration ttl = answer.is_empty ? CACHE_TTL_EMPTY : CACHE_TTL_RESULTS;
    char bytes[CACHE_KEY_MAX], extra[EXTRA_MAX], next[RESPONSE_LINK_MAX] = "";
    struct lookup_report lookup = s->lookup;
    struct span key = normal_key(s, bytes);
    tstamp now = core_now();
    struct buf body;
    struct jw j;

    if (s->is_local || !s->lookup.complete || key.len == 0)
        return;
    if (s->is_asked)
        keep_asked(x, s, ttl, now);
    if (s->is_kept)
        ttl = tstamp_min(ttl, s->expires > now ? s->expires - now : 0);
    lookup.elapsed = 0;
    buf_init(&body, RESPONSE_BODY_MAX, &mem_libc);
    jw_init(&j, &body);
    j.err = buf_put(&body, head);
    j.needs_comma = true;
    jw_key(&j, "lookup");
    lookup_write(&j, &lookup, false, LOOKUP_CACHE);
    jw_close(&j, '}');
    if (cursor[0] != '\0')
        (void)exchange_next_path(x, cursor, next);
    if (j.err == OK) {
        answer.body = buf_span(&body);
        answer.extra = extra_write(x->response.etag, next, now + ttl, extra);
        cache_put(x->gateway->deps.cache, key, stamp, answer, ttl, now);
    }
    buf_release(&body);
}

/* ---- The page. ---- */

static const char *source_of(const struct search *s, const char *package,
                             char out[PEER_ID_TEXT_MAX])
{
    for (size_t i = 0; i < s->source_count; i++)
        if (strcmp(s->sources[i].package, package) == 0 &&
            !peer_id_is_none(&s->sources[i].peer))
            return peer_id_format(&s->sources[i].peer, out);
    return "local";
}

static void hit_write(struct jw *j, const struct search *s,
                      const struct search_hit *hit)
{
    char package[PACKAGE_TEXT_MAX], peer[PEER_ID_TEXT_MAX];

    jw_raw(j, hit->summary);
    jw_key_more(j, "score");
    jw_double(j, hit->entry.score);
    jw_key(j, "source");
    jw_str(j, source_of(s, package_id_format(&hit->entry.id, package), peer));
    jw_close(j, '}');
}

static void facets_write(struct jw *j, const struct search_page *page)
{
    static const char *const fields[] = {"category", "tag", "license",
                                         "namespace"};

    jw_key(j, "facets");
    jw_open(j, '{');
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        jw_key(j, fields[f]);
        jw_open(j, '{');
        for (size_t i = 0; i < page->facet_count; i++) {
            const struct search_facet *facet = &page->facets[i];

            if (strcmp(facet->field, fields[f]) != 0)
                continue;
            jw_member(j, facet->value);
            jw_u64(j, facet->count);
        }
        jw_close(j, '}');
    }
    jw_close(j, '}');
}

static void render(struct exchange *x, struct search_page *page,
                   const struct cache_stamp *stamp)
{
    unsigned sources = LOOKUP_LOCAL;
    struct search *s = x->work;
    char cursor[CURSOR_TEXT_MAX] = "";
    size_t from, to;
    struct jw j;

    if (page->cursor[0] != '\0') {
        seal_cursor(x, s, page->cursor, cursor);
        exchange_link_next(x, cursor);
    }
    query_write(x, &j, s);
    from = buf_len(&x->response.body) + 1; /* behind the comma */
    jw_key(&j, "total");
    jw_u64(&j, page->total);
    jw_key(&j, "total_is_exact");
    jw_bool(&j, page->total_is_exact);
    jw_key(&j, "results");
    jw_open(&j, '[');
    for (size_t i = 0; i < page->count; i++)
        hit_write(&j, s, &page->hits[i]);
    jw_close(&j, ']');
    if (s->facets)
        facets_write(&j, page);
    jw_key(&j, "next_cursor");
    jw_str_or_null(&j, cursor);
    to = buf_len(&x->response.body);
    if (j.err == OK) {
        struct span head =
            SPAN(buf_span(&x->response.body).data + from, to - from);

        response_tag(&x->response, head, true);
        keep(x, s, page, stamp, head, cursor);
    }
    if (s->is_network)
        sources |= LOOKUP_NETWORK;
    if (s->is_kept)
        sources |= LOOKUP_CACHE;
    s->lookup.elapsed = core_now() - x->started;
    jw_key(&j, "lookup");
    lookup_write(&j, &s->lookup, s->is_local, sources);
    jw_close(&j, '}');
    x->is_incomplete = !s->lookup.complete;
    if (!s->lookup.complete) {
        x->response.etag[0] = '\0';
        x->response.cache_control = "no-store";
    }
    exchange_answer(x, 200, j.err);
    exchange_not_modified(x);
}

/* As ggen wants it: whole records. */
static void render_ggen(struct exchange *x, struct search_page *page,
                        const struct cache_stamp *stamp)
{
    struct package_view view;
    struct buf record;
    struct jw j;

    (void)stamp;
    buf_init(&record, RECORD_BYTES_MAX, &mem_libc);
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "packages");
    jw_open(&j, '[');
    for (size_t i = 0; i < page->count; i++) {
        buf_clear(&record);
        if (reader_head(exchange_reader(x), &page->hits[i].entry.id, &view,
                        &record) == OK)
            jw_raw(&j, buf_span(&record));
    }
    jw_close(&j, ']');
    jw_key(&j, "total");
    jw_u64(&j, page->total);
    jw_close(&j, '}');
    buf_release(&record);
    exchange_answer(x, 200, j.err);
}

static void answer_page(struct exchange *x)
{
    struct search *s = x->work;
    struct search_options options = {.limit = (unsigned)s->limit,
                                     .cursor = s->after,
                                     .facets = s->facets,
                                     .wall = gateway_wall()};
    struct search_page *page = calloc(1, sizeof(*page));
    struct cache_stamp stamp;
    enum err err;

    if (page == NULL) {
        exchange_refuse(x, ERR_NOMEM, "");
        return;
    }
    reader_search_stamp(exchange_reader(x), &s->query, &stamp);
    tracing_step(x, "souk.search.local");
    err = reader_search(exchange_reader(x), &s->query, &options, page);
    trace_number(x->step, TRACE_RESULTS, page->count);
    tracing_step_end(x, err);
    if (err == OK) {
        tracing_lookup(x, &s->lookup);
        trace_number(x->task, TRACE_RESULTS, page->count);
        s->render(x, page, &stamp);
        search_page_free(page);
    } else if (err == ERR_INVAL) {
        params_refuse(&x->params, "cursor", "is not a cursor of this search");
        exchange_refuse_problems(x, ERR_INVAL);
    } else {
        exchange_refuse(x, err, "");
    }
    free(page);
}

/* ---- The network. ---- */

static void remember_sources(struct search *s, const struct request *r)
{
    size_t n = r->record_count < SEARCH_SOURCES_MAX ? r->record_count
                                                    : SEARCH_SOURCES_MAX;

    s->sources = n ? calloc(n, sizeof(*s->sources)) : NULL;
    for (size_t i = 0; s->sources != NULL && i < n; i++) {
        struct source *source = &s->sources[s->source_count++];
        struct span name = r->records[i].bytes;

        source->peer = r->records[i].source;
        assert(name.len < sizeof(source->package));
        memcpy(source->package, name.data, name.len); /* zeros follow */
    }
}

static bool has_new(const struct request *r)
{
    for (size_t i = 0; i < r->record_count; i++)
        if (r->records[i].is_new)
            return true;
    return false;
}

static void flushed(struct exchange *x, struct job *job)
{
    (void)job; /* if the store failed, what it had before is the answer */
    answer_page(x);
}

static void found(struct exchange *x, struct request *r)
{
    struct search *s = x->work;

    if (r->err == ERR_BUSY || r->err == ERR_DRAINING) {
        exchange_refuse(x, r->err, r->detail);
        return;
    }
    s->is_asked = true;
    s->is_network = r->lookup.peers_responded > 0;
    s->lookup = r->lookup;
    if (r->err != OK)
        s->lookup.complete = false;
    if (!s->lookup.complete && s->lookup.reason == NULL)
        s->lookup.reason = err_code(r->err);
    remember_sources(s, r);
    if (has_new(r)) {
        struct job *job = job_flush();

        if (job != NULL && exchange_write(x, job, flushed) == OK)
            return;
    }
    answer_page(x);
}

static void expired(struct exchange *x)
{
    struct search *s = x->work;

    if (!s->is_network) /* else peers have answered, and the store is late */
        s->lookup = (struct lookup_report){.reason = "deadline"};
    answer_page(x);
}

static void ask_network(struct exchange *x)
{
    uint64_t most = x->gateway->rate_burst - 1; /* of a full bucket */
    struct search *s = x->work;
    struct request *r;

    if (!exchange_charge(x, most < SEARCH_NETWORK_COST ? most
                                                       : SEARCH_NETWORK_COST))
        return;
    r = request_new(REQUEST_SEARCH, x->deadline);
    if (r != NULL) {
        (void)query_text(&s->query, r->in.search.query);
        r->in.search.filter = s->query.filter;
        r->in.search.limit = SEARCH_ASK_MAX;
        r->in.search.fan_out = (unsigned)s->fan_out;
    }
    cache_stamp_losses(x->gateway->deps.cache, &s->losses);
    tracing_request(x, r);
    x->on_deadline = expired;
    exchange_ask_simply(x, r, found);
}

/* ---- In. ---- */

static struct search *begin(struct exchange *x)
{
    struct search *s = exchange_work_with(x, sizeof(*s), search_free);

    if (s == NULL)
        return NULL;
    s->limit = 20;
    s->fan_out = 0; /* as the node is set */
    s->render = render;
    take_query(x, s);
    (void)params_u64(&x->params, "limit", 1, READER_LIMIT_MAX, &s->limit);
    s->is_local = exchange_scope_is_local(x);
    exchange_deadline(x, 2 * SECONDS);
    return s;
}

/* From here on it is a search, not a mistaken request. */
static void begun(struct exchange *x, const struct search *s)
{
    x->is_search = true;
    x->search_scope = s->is_local ? SEARCH_LOCAL : SEARCH_NETWORK;
}

void route_search(struct exchange *x)
{
    struct search *s;

    tracing_task(x, "souk.search");
    if (!exchange_wants_fresh(x) && answer_literally(x))
        return;
    s = begin(x);
    if (s == NULL)
        return;
    (void)params_u64(&x->params, "fan_out", 1, SEARCH_FAN_OUT_MAX, &s->fan_out);
    (void)params_bool(&x->params, "facets", &s->facets);
    take_cursor(x, s);
    if (exchange_refused_params(x))
        return;
    begun(x, s);
    if (s->is_local)
        s->lookup = (struct lookup_report){.complete = true};
    else if (!exchange_wants_fresh(x) && answer_from_cache(x, s))
        return;
    trace_bool(x->task, TRACE_CACHE_HIT, false);
    if (s->is_local || s->after[0] != '\0' ||
        (!exchange_wants_fresh(x) && was_asked(x, s)))
        answer_page(x);
    else
        ask_network(x);
}

void route_ggen_search(struct exchange *x)
{
    struct search *s;

    tracing_task(x, "souk.search");
    s = begin(x);
    if (s == NULL || exchange_refused_params(x))
        return;
    begun(x, s);
    s->render = render_ggen;
    if (s->is_local)
        answer_page(x);
    else
        ask_network(x);
}
