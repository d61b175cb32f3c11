/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/map.h"
#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "tbl/limit.h"

void exchange_init(struct exchange *x, struct loop *loop, bool is_admin)
{
    memset(x, 0, sizeof(*x));
    x->loop = loop;
    x->gateway = loop->gateway;
    x->is_admin = is_admin;
    x->target = x->target_inline;
    list_init(&x->tickets);
    buf_init(&x->body, LIMIT_HTTP_BODY_BYTES_MAX, &mem_libc);
    response_init(&x->response);
}

void exchange_release(struct exchange *x)
{
    exchange_end(x);
    buf_release(&x->body);
    response_release(&x->response);
}

/* ---- The head. ---- */

void exchange_target(struct exchange *x, const char *target)
{
    size_t n = target ? strlen(target) : 0;

    x->target_len = 0;
    if (n == 0 || n > TARGET_MAX)
        return;
    if (n >= TARGET_INLINE) {
        x->target = malloc(n + 1);
        if (x->target == NULL) {
            x->target = x->target_inline;
            return;
        }
    }
    memcpy(x->target, target, n + 1);
    x->target_len = n;
}

/* "GET http://host/path" is as good as "GET /path" (RFC 9112#3.2.2). */
static void skip_authority(struct span *target)
{
    static const char scheme[] = "http://";
    const uint8_t *slash;

    if (!span_starts_with(*target, SPAN_LIT(scheme)))
        return;
    (void)span_take(target, sizeof(scheme) - 1);
    slash = target->len ? memchr(target->data, '/', target->len) : NULL;
    (void)span_take(target,
                    slash ? (size_t)(slash - target->data) : target->len);
}

/* The path under the base path; false: it is not under it. */
static bool strip_base(const struct exchange *x, struct span *path)
{
    struct span base = span_str(x->gateway->base_path);
    struct span rest = *path;

    if (base.len == 0 || !span_starts_with(rest, base) ||
        (rest.len > base.len && rest.data[base.len] != '/'))
        return false;
    (void)span_take(&rest, base.len);
    *path = rest.len > 0 ? rest : SPAN_LIT("/");
    return true;
}

static void split_target(struct exchange *x)
{
    struct span target = SPAN(x->target, x->target_len);
    const uint8_t *mark;

    skip_authority(&target);
    mark = target.len ? memchr(target.data, '?', target.len) : NULL;
    x->path = target;
    x->query = SPAN_NONE;
    x->params.count = 0;
    x->params.problems = &x->problems;
    if (mark != NULL) {
        x->path = span_between(target.data, mark);
        x->query = span_between(mark + 1, target.data + target.len);
    }
    x->instance = x->path;
}

/* Under the base path everything is found; besides it only what a probe or the
 * operator asks for. */
static void match_route(struct exchange *x)
{
    bool is_under = strip_base(x, &x->path);

    router_match(&x->gateway->router, x->is_admin, x->method, x->path,
                 &x->match);
    if (!is_under && x->gateway->base_path[0] != '\0' && !x->is_admin &&
        (x->match.route == NULL || !(x->match.route->flags & ROUTE_PROBE)))
        x->match = (struct route_match){0};
}

static void make_request_id(struct exchange *x)
{
    struct span given = x->headers.at[HEADER_X_REQUEST_ID];
    bool is_probe = x->match.route && (x->match.route->flags & ROUTE_PROBE);
    static const char hex[] = "0123456789abcdef";
    uint64_t z;

    x->request_id[0] = '\0';
    if (header_is_echoable(given, REQUEST_ID_MAX)) {
        memcpy(x->request_id, given.data, given.len);
        x->request_id[given.len] = '\0';
        return;
    }
    if (is_probe)
        return;
    for (unsigned half = 0; half < 2; half++) { /* SplitMix64 */
        z = (x->loop->id_state += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        z ^= z >> 31;
        for (unsigned i = 0; i < 16; i++, z >>= 4)
            x->request_id[16 * half + i] = hex[z & 15];
    }
    x->request_id[32] = '\0';
}

static void identify_client(struct exchange *x)
{
    struct gateway *g = x->gateway;
    struct span forwarded = x->headers.at[HEADER_X_FORWARDED_FOR];

    x->client = x->peer;
    x->is_forwarded = false;
    if (!x->is_local && forwarded.len > 0 &&
        ip_nets_have(g->proxies, g->proxy_count, &x->peer)) {
        x->client =
            ip_forwarded(g->proxies, g->proxy_count, &x->peer, forwarded);
        x->is_forwarded = true;
    }
}

static bool is_exempt(const struct exchange *x)
{
    const struct route *route = x->match.route;

    if (x->gateway->rate == 0 || x->is_local)
        return true;
    if (route != NULL && (route->flags & (ROUTE_PROBE | ROUTE_FREE)))
        return true;
    if (x->headers.at[HEADER_X_FORWARDED_FOR].len == 0 &&
        ip_is_loopback(&x->peer))
        return true;
    return x->headers.at[HEADER_AUTHORIZATION].len > 0 &&
           auth_scope(&x->gateway->auth, x->headers.at[HEADER_AUTHORIZATION]) ==
               SCOPE_ADMIN;
}

bool exchange_charge(struct exchange *x, uint64_t tokens)
{
    struct rate_shard *shard;
    struct ip key;

    if (x->is_exempt || tokens == 0)
        return true;
    key = rate_key(&x->client);
    shard = &x->gateway->shards[map_hash(&key, sizeof(key)) % RATE_SHARDS];
    pthread_mutex_lock(&shard->lock);
    x->rate = rate_take(shard->limiter, &x->client, tokens, core_now());
    pthread_mutex_unlock(&shard->lock);
    x->has_rate = true;
    if (x->rate.is_allowed)
        return true;
    atomic_fetch_add_explicit(&x->gateway->throttled.refused, 1,
                              memory_order_relaxed);
    exchange_refuse(x, ERR_RATE_LIMITED, "");
    x->response.retry_after_s = (unsigned)x->rate.retry_after_s;
    return false;
}

static void answer_preflight(struct exchange *x)
{
    x->response.status = 204;
    x->response.allow = x->match.methods;
    x->response.cache_control = "no-store";
}

static void refuse_unrouted(struct exchange *x)
{
    if (x->match.methods == 0) {
        exchange_refuse(x, ERR_NOT_FOUND, "there is no such path");
        return;
    }
    exchange_refuse(x, ERR_METHOD_NOT_ALLOWED, "");
    x->response.allow = x->match.methods;
}

static bool is_authorized(struct exchange *x)
{
    const struct route *route = x->match.route;
    struct span header = x->headers.at[HEADER_AUTHORIZATION];
    enum err err = auth_check(&x->gateway->auth, route->scope, header);

    if (err == OK && route->scope != SCOPE_READ && header.len == 0 &&
        !cors_may_write(&x->gateway->cors, x->headers.at[HEADER_ORIGIN])) {
        /* Without tokens any web page could write through its reader's
         * browser. */
        exchange_refuse(x, ERR_FORBIDDEN, "pages of that origin may not write");
        return false;
    }
    if (err == OK)
        return true;
    exchange_refuse(x, err, "");
    x->response.wants_auth = err == ERR_UNAUTHORIZED;
    return false;
}

static bool content_length(const struct exchange *x, uint64_t *length)
{
    struct span s = x->headers.at[HEADER_CONTENT_LENGTH];

    *length = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || i > 17)
            return false;
        *length = *length * 10 + (uint64_t)(s.data[i] - '0');
    }
    return true;
}

/* Refused for its size. */
static void refuse_large(struct exchange *x, struct gauge *counter,
                         enum err err)
{
    atomic_fetch_add_explicit(&counter->refused, 1, memory_order_relaxed);
    exchange_refuse(x, err, "");
}

static void check_body(struct exchange *x)
{
    uint64_t length;

    x->has_body = x->headers.at[HEADER_TRANSFER_ENCODING].len > 0 ||
                  (content_length(x, &length) && length > 0);
    if (!x->has_body || !(x->match.route->flags & ROUTE_JSON))
        return;
    if (!content_length(x, &length) || length > LIMIT_HTTP_BODY_BYTES_MAX)
        refuse_large(x, &x->gateway->large_bodies, ERR_BODY_TOO_LARGE);
    else if (!header_is_json(x->headers.at[HEADER_CONTENT_TYPE]))
        exchange_refuse(x, ERR_UNSUPPORTED_MEDIA_TYPE,
                        "the body must be application/json");
}

/* Decoded in a copy: the query as it came is the key of ready answers. */
static bool take_params(struct exchange *x)
{
    char *copy = x->query_inline;

    if (x->query.len > sizeof(x->query_inline)) {
        copy = x->query_copy = malloc(x->query.len);
        if (copy == NULL)
            return false;
    }
    memcpy(copy, x->query.data, x->query.len);
    return params_parse(&x->params, copy, x->query.len, &x->problems) == OK;
}

static void check_head(struct exchange *x)
{
    const struct route *route = x->match.route;

    if (x->target_len == 0 ||
        x->headers.bytes + x->target_len > LIMIT_HTTP_HEADER_BYTES_MAX)
        refuse_large(x, &x->gateway->large_heads, ERR_HEADERS_TOO_LARGE);
    else if (x->is_admin && !header_host_is_ours(x->headers.at[HEADER_HOST],
                                                 x->gateway->admin_is_unix
                                                     ? NULL
                                                     : &x->gateway->admin_ip))
        exchange_refuse(x, ERR_MISDIRECTED, "");
    else if (x->method == METHOD_OPTIONS)
        answer_preflight(x);
    else if (!exchange_charge(x, route ? route->cost : 1))
        return;
    else if (route == NULL)
        refuse_unrouted(x);
    else if (!is_authorized(x))
        return;
    else if (x->query.len > 0 && !take_params(x))
        exchange_refuse(x, ERR_BAD_REQUEST, "the query is malformed");
}

void exchange_begin(struct exchange *x, const char *method, const char *version,
                    tstamp now)
{
    uint64_t length;

    x->started = now;
    x->deadline = tstamp_add(now, 10 * SECONDS);
    x->method = http_method_parse(method, &x->is_head);
    split_target(x);
    match_route(x);
    make_request_id(x);
    identify_client(x);
    x->is_exempt = is_exempt(x);
    if (strcmp(version, "HTTP/1.1") == 0 && x->headers.at[HEADER_HOST].len == 0)
        exchange_refuse(x, ERR_BAD_REQUEST, "there is no Host header");
    else
        check_head(x);
    x->has_body = x->headers.at[HEADER_TRANSFER_ENCODING].len > 0 ||
                  !content_length(x, &length) || length > 0;
    if (x->response.status == 0)
        check_body(x);
    tracing_begin(x, now);
}

/* ---- The body. ---- */

void exchange_body(struct exchange *x, struct span data)
{
    struct gauge *bodies = &x->gateway->bodies;
    enum err err;

    if (x->response.status != 0 || x->match.route == NULL ||
        !(x->match.route->flags & ROUTE_JSON))
        return;
    if (atomic_fetch_add(&bodies->use, data.len) + data.len >
        BODIES_BYTES_MAX) {
        atomic_fetch_sub(&bodies->use, data.len);
        atomic_fetch_add(&bodies->refused, 1);
        exchange_refuse(x, ERR_BUSY, "too many requests bring bodies");
        return;
    }
    x->body_counted += data.len;
    err = buf_put(&x->body, data);
    if (err == ERR_LIMIT)
        refuse_large(x, &x->gateway->large_bodies, ERR_BODY_TOO_LARGE);
    else if (err != OK)
        exchange_refuse(x, err, "");
}

void exchange_run(struct exchange *x)
{
    if (x->response.status != 0)
        return;
    if (x->has_body) { /* the time it took to come is the client's */
        x->started = core_now();
        x->deadline = tstamp_add(x->started, 10 * SECONDS);
    }
    x->match.route->handler(x);
    assert(x->response.status != 0 || x->pending > 0);
}

json_t *exchange_body_object(struct exchange *x)
{
    struct span text = buf_span(&x->body);
    json_error_t where;
    json_t *json;

    json = text.len == 0
               ? NULL
               : json_loadb((const char *)text.data, text.len,
                            JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (json == NULL) {
        char detail[256];

        (void)snprintf(detail, sizeof(detail), "%s",
                       text.len == 0 ? "the body is empty" : where.text);
        exchange_refuse(x, ERR_NOT_JSON, detail);
        return NULL;
    }
    if (!json_is_object(json)) {
        problems_add(&x->problems, "", "must be an object");
        exchange_refuse_problems(x, ERR_SCHEMA);
        json_decref(json);
        return NULL;
    }
    return json;
}

/* ---- The end. ---- */

void exchange_expire(struct exchange *x)
{
    exchange_orphan(x);
    if (x->response.status != 0)
        return;
    if (x->on_deadline != NULL)
        x->on_deadline(x);
    else
        exchange_refuse(x, ERR_BUSY, "no answer within the time given");
    assert(x->response.status != 0);
}

void exchange_cancel(struct exchange *x)
{
    exchange_orphan(x);
}

void exchange_end(struct exchange *x)
{
    exchange_orphan(x);
    if (x->work_free != NULL)
        x->work_free(x->work);
    x->work = NULL;
    x->work_free = NULL;
    x->on_deadline = NULL;
    if (x->target != x->target_inline)
        free(x->target);
    x->target = x->target_inline;
    x->target_len = 0;
    free(x->query_copy);
    x->query_copy = NULL;
    memset(&x->headers, 0, sizeof(x->headers));
    x->problems.count = 0;
    x->params.count = 0;
    x->has_rate = false;
    x->is_search = x->is_incomplete = false;
    tracing_drop(x);
    x->request_id[0] = '\0';
    if (x->body_counted > 0)
        atomic_fetch_sub(&x->gateway->bodies.use, x->body_counted);
    x->body_counted = 0;
    buf_clear(&x->body);
    if (x->body.cap > RESPONSE_BODY_KEEP)
        buf_shrink(&x->body);
    response_reset(&x->response);
}

/* ---- What a route asks of its request. ---- */

struct span exchange_path_param(struct exchange *x, size_t nth)
{
    struct span raw = x->match.params[nth];
    char *text = x->decoded[nth];
    size_t len = raw.len;

    assert(nth < x->match.param_count);
    if (len > PATH_PARAM_MAX)
        return SPAN_NONE;
    memcpy(text, raw.data, len);
    return percent_decode(text, &len, false) ? SPAN(text, len) : SPAN_NONE;
}

bool exchange_package(struct exchange *x, struct package_id *id)
{
    struct span ns = exchange_path_param(x, 0);
    struct span name = exchange_path_param(x, 1);

    if (package_id_look_up(id, ns, name) == OK) {
        tracing_package(x, id);
        return true;
    }
    problems_add(&x->problems, "/path", "is not a package's namespace/name");
    exchange_refuse_problems(x, ERR_INVAL);
    return false;
}

bool exchange_version(struct exchange *x, struct semver *version)
{
    if (semver_parse(exchange_path_param(x, 2), version) == OK)
        return true;
    problems_add(&x->problems, "/path/version",
                 "is not a version (SemVer 2.0)");
    exchange_refuse_problems(x, ERR_INVAL);
    return false;
}

bool exchange_peer(struct exchange *x, struct peer_id *peer)
{
    if (peer_id_parse(peer, exchange_path_param(x, 0)) == OK)
        return true;
    problems_add(&x->problems, "/path/peer", "is not a peer id");
    exchange_refuse_problems(x, ERR_INVAL);
    return false;
}

void exchange_deadline(struct exchange *x, duration otherwise)
{
    const duration min = TIMEOUT_MIN_MS * MILLISECONDS;
    const duration max = TIMEOUT_MAX_MS * MILLISECONDS;
    duration d = otherwise;

    if (!params_duration(&x->params, "timeout", min, max, &d) &&
        prefer_wait(x->headers.at[HEADER_PREFER], &d))
        d = d < min ? min : d > max ? max : d;
    x->deadline = tstamp_add(x->started, d);
}

bool exchange_scope_is_local(struct exchange *x)
{
    static const char *const words[] = {"network", "local", NULL};
    unsigned scope = 0;

    (void)params_choice(&x->params, "scope", words, &scope);
    return scope == 1;
}

bool exchange_wants_fresh(const struct exchange *x)
{
    return header_has_token(x->headers.at[HEADER_CACHE_CONTROL], "no-cache");
}

void *exchange_work_with(struct exchange *x, size_t size,
                         void (*work_free)(void *work))
{
    assert(x->work == NULL);
    x->work = calloc(1, size);
    x->work_free = work_free;
    if (x->work == NULL) {
        x->work_free = NULL;
        exchange_refuse(x, ERR_NOMEM, "");
    }
    return x->work;
}

void *exchange_work(struct exchange *x, size_t size)
{
    return exchange_work_with(x, size, free);
}

wall_ms gateway_wall(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct reader *exchange_reader(struct exchange *x)
{
    return x->loop->reader;
}
