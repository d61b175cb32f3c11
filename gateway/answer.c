/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/problem.h"

/* ---- Answers. ---- */

static void refuse(struct exchange *x, enum err err,
                   const struct problem_answer *p)
{
    struct response *r = &x->response;

    response_reset(r);
    if (problem_write(p, &r->body) != OK)
        buf_clear(&r->body); /* no memory: the status says it all */
    r->status = (unsigned)err_http_status(err);
    x->refused = err;
    r->type = "application/problem+json";
    r->cache_control = "no-store";
    r->retry_after_s = problem_retry_after(err);
}

void exchange_refuse(struct exchange *x, enum err err, const char *detail)
{
    struct problem_answer p = {
        .err = err, .detail = detail, .instance = x->instance};

    refuse(x, err, &p);
}

void exchange_refuse_problems(struct exchange *x, enum err err)
{
    struct problem_answer p = {
        .err = err, .instance = x->instance, .problems = &x->problems};

    refuse(x, err, &p);
}

void exchange_refuse_lookup(struct exchange *x, enum err err,
                            const struct lookup_report *lookup)
{
    struct problem_answer p = {.err = err,
                               .detail = lookup ? lookup->reason : NULL,
                               .instance = x->instance,
                               .lookup = lookup};

    refuse(x, err, &p);
}

bool exchange_refused_params(struct exchange *x)
{
    if (x->problems.count == 0)
        return false;
    exchange_refuse_problems(x, ERR_INVAL);
    return true;
}

void exchange_json(struct exchange *x, struct jw *j)
{
    buf_clear(&x->response.body);
    jw_init(j, &x->response.body);
}

void exchange_answer(struct exchange *x, unsigned status, enum err err)
{
    struct response *r = &x->response;

    if (err != OK) {
        exchange_refuse(x, err, "");
        return;
    }
    r->status = status;
    if (r->type == NULL)
        r->type = "application/json";
    if (r->cache_control == NULL)
        r->cache_control = x->method == METHOD_GET ? "no-cache" : "no-store";
}

void exchange_not_modified(struct exchange *x)
{
    struct response *r = &x->response;

    if (r->status != 200 || r->etag[0] == '\0' ||
        !header_etag_matches(x->headers.at[HEADER_IF_NONE_MATCH], r->etag))
        return;
    r->status = 304;
    r->type = NULL;
    buf_clear(&r->body);
    r->borrowed = SPAN_NONE;
    r->produce = NULL;
}

void exchange_answer_tagged(struct exchange *x, enum err err,
                            struct span tagged, bool is_weak)
{
    if (err == OK)
        response_tag(&x->response, tagged, is_weak);
    exchange_answer(x, 200, err);
    exchange_not_modified(x);
}

/* ---- Where the client finds us. ---- */

/* A text of at most RESPONSE_LINK_MAX bytes with its NUL, written in place. */
struct line {
    char *out;
    size_t len;
    bool is_full;
};

static void put(struct line *l, struct span s)
{
    l->is_full = l->is_full || l->len + s.len >= RESPONSE_LINK_MAX;
    if (l->is_full || s.len == 0)
        return;
    memcpy(l->out + l->len, s.data, s.len);
    l->len += s.len;
}

/* Whether all of it is there. */
static bool put_end(struct line *l)
{
    l->out[l->is_full ? 0 : l->len] = '\0';
    return !l->is_full;
}

/* The root of the API as the client sees it, without a slash at its end. */
static void put_root(struct line *l, const struct exchange *x)
{
    const struct gateway *g = x->gateway;
    struct span prefix = x->headers.at[HEADER_X_FORWARDED_PREFIX];
    struct span proto = x->headers.at[HEADER_X_FORWARDED_PROTO];
    struct span host = x->headers.at[HEADER_HOST];

    if (g->public_url[0] != '\0') {
        put(l, span_str(g->public_url));
        return;
    }
    if (!x->is_local && ip_nets_have(g->proxies, g->proxy_count, &x->peer)) {
        if ((span_eq(proto, SPAN_LIT("https")) ||
             span_eq(proto, SPAN_LIT("http"))) &&
            header_is_echoable(host, 255)) {
            put(l, proto);
            put(l, SPAN_LIT("://"));
            put(l, host);
        }
        while (prefix.len > 0 && prefix.data[prefix.len - 1] == '/')
            prefix.len--;
        if (header_is_echoable(prefix, BASE_PATH_MAX) && prefix.data[0] == '/')
            put(l, prefix);
    }
    put(l, span_str(g->base_path));
}

const char *exchange_url(struct exchange *x, const char *path,
                         char out[RESPONSE_LINK_MAX])
{
    struct line l = {.out = out};

    put_root(&l, x);
    put(&l, span_str(path));
    (void)put_end(&l);
    return out;
}

void exchange_location(struct exchange *x, const char *format, ...)
{
    char path[RESPONSE_LINK_MAX / 2];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    (void)exchange_url(x, path, x->response.link);
    x->response.has_location = true;
}

static void put_encoded(struct line *l, struct span s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.len; i++) {
        const char escape[] = {'%', hex[s.data[i] >> 4], hex[s.data[i] & 15]};

        if (s.data[i] != 0 && strchr(plain, s.data[i]) != NULL)
            put(l, SPAN(&s.data[i], 1));
        else
            put(l, SPAN_OF(escape));
    }
}

const char *exchange_next_path(struct exchange *x, const char *cursor,
                               char out[RESPONSE_LINK_MAX])
{
    struct line l = {.out = out};

    put(&l, x->path);
    put(&l, SPAN_LIT("?"));
    for (size_t i = 0; i < x->params.count; i++) {
        if (span_eq(x->params.at[i].name, SPAN_LIT("cursor")))
            continue;
        put_encoded(&l, x->params.at[i].name);
        put(&l, SPAN_LIT("="));
        put_encoded(&l, x->params.at[i].value);
        put(&l, SPAN_LIT("&"));
    }
    put(&l, SPAN_LIT("cursor="));
    put(&l, span_str(cursor));
    (void)put_end(&l);
    return out;
}

void exchange_link(struct exchange *x, struct span next_path)
{
    struct line l = {.out = x->response.link};

    if (next_path.len == 0)
        return;
    put(&l, SPAN_LIT("<"));
    put_root(&l, x);
    put(&l, next_path);
    put(&l, SPAN_LIT(">; rel=\"next\""));
    x->response.has_link = put_end(&l);
}

void exchange_link_next(struct exchange *x, const char *cursor)
{
    char path[RESPONSE_LINK_MAX];

    exchange_link(x, span_str(exchange_next_path(x, cursor, path)));
}
