/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/router.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const char *const method_names[] = {
    [METHOD_GET] = "GET",         [METHOD_POST] = "POST",
    [METHOD_PUT] = "PUT",         [METHOD_DELETE] = "DELETE",
    [METHOD_OPTIONS] = "OPTIONS", [METHOD_OTHER] = "OTHER",
};

const char *http_method_name(enum http_method method)
{
    return method_names[method];
}

enum http_method http_method_parse(const char *text, bool *is_head)
{
    *is_head = strcmp(text, "HEAD") == 0;
    if (*is_head)
        return METHOD_GET;
    for (unsigned i = 0; i < METHOD_OTHER; i++)
        if (strcmp(text, method_names[i]) == 0)
            return (enum http_method)i;
    return METHOD_OTHER;
}

static size_t bytes_shared(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] != '\0' && a[n] == b[n])
        n++;
    return n;
}

void router_init(struct router *r, const struct route *rows, size_t count)
{
    assert(count <= ROUTER_ROWS_MAX);
    *r = (struct router){.rows = rows, .count = count};
    for (size_t i = 1; i < count; i++)
        r->shared[i] = bytes_shared(rows[i - 1].template, rows[i].template);
    for (size_t i = 0; i < count; i++) {
        assert(rows[i].template[0] == '/');
        r->literal[i] = strcspn(rows[i].template, "{");
    }
}

enum fit { FIT_NONE, FIT_PARAMS, FIT_LITERAL };

/* |*decided|: how much of the template said that it does not fit; another one
 * that has all of that does not fit either.  The first |literal| bytes have no
 * parameter; the last of those is where templates differ most. */
static enum fit template_fits(const char *template, size_t literal,
                              struct span path, struct route_match *m,
                              size_t *decided)
{
    const uint8_t *at, *end = path.data + path.len;
    const char *t = template + literal;
    enum fit fit = FIT_LITERAL;

    *decided = literal;
    if (path.len < literal ||
        path.data[literal - 1] != (uint8_t) template[literal - 1] ||
        memcmp(path.data, template, literal) != 0)
        return FIT_NONE;
    m->param_count = 0;
    for (at = path.data + literal; *t != '\0'; t++) {
        const uint8_t *from = at;

        *decided = (size_t)(t - template) + 1;
        if (*t != '{') {
            if (at == end || *at++ != (uint8_t)*t)
                return FIT_NONE;
            continue;
        }
        while (at < end && *at != '/')
            at++;
        if (at == from)
            return FIT_NONE;
        m->params[m->param_count++] = span_between(from, at);
        fit = FIT_PARAMS;
        t = strchr(t, '}');
    }
    *decided = SIZE_MAX; /* the end, which no other template shares */
    return at == end ? fit : FIT_NONE;
}

void router_match(const struct router *r, bool is_admin,
                  enum http_method method, struct span path,
                  struct route_match *out)
{
    struct route_match m = {0};
    enum fit best = FIT_NONE;
    size_t decided = SIZE_MAX;

    *out = (struct route_match){0};
    for (size_t i = 0; i < r->count; i++) {
        const struct route *row = &r->rows[i];
        enum fit fit;

        if (r->shared[i] >= decided)
            continue;
        fit = template_fits(row->template, r->literal[i], path, &m, &decided);
        if (fit == FIT_NONE || fit < best ||
            ((row->flags & ROUTE_ADMIN) && !is_admin))
            continue;
        if (fit > best)
            *out = (struct route_match){0};
        best = fit;
        out->methods |= 1u << row->method;
        if (row->method == method) {
            out->route = row;
            memcpy(out->params, m.params, sizeof(m.params));
            out->param_count = m.param_count;
        }
    }
}

const char *router_allow(unsigned methods, char out[ALLOW_TEXT_MAX])
{
    size_t n = 0;

    for (unsigned i = 0; i < METHOD_ROUTED; i++)
        if (methods & 1u << i)
            n += (size_t)snprintf(out + n, ALLOW_TEXT_MAX - n, "%s%s, ",
                                  method_names[i],
                                  i == METHOD_GET ? ", HEAD" : "");
    (void)snprintf(out + n, ALLOW_TEXT_MAX - n, "OPTIONS");
    return out;
}
