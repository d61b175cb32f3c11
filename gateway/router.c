/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/router.h"

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

enum fit { FIT_NONE, FIT_PARAMS, FIT_LITERAL };

static enum fit template_fits(const char *template, struct span path,
                              struct route_match *m)
{
    const uint8_t *at = path.data, *end = path.data + path.len;
    enum fit fit = FIT_LITERAL;

    m->param_count = 0;
    while (*template != '\0') {
        const uint8_t *from = at;

        if (*template != '{') {
            if (at == end || *at++ != (uint8_t) * template ++)
                return FIT_NONE;
            continue;
        }
        while (at < end && *at != '/')
            at++;
        if (at == from)
            return FIT_NONE;
        m->params[m->param_count++] = span_between(from, at);
        fit = FIT_PARAMS;
        template = strchr(template, '}') + 1;
    }
    return at == end ? fit : FIT_NONE;
}

void router_match(const struct route *routes, size_t count, bool is_admin,
                  enum http_method method, struct span path,
                  struct route_match *out)
{
    struct route_match m = {0};
    enum fit best = FIT_NONE;

    *out = (struct route_match){0};
    for (size_t i = 0; i < count; i++) {
        enum fit fit;

        if ((routes[i].flags & ROUTE_ADMIN) && !is_admin)
            continue;
        fit = template_fits(routes[i].template, path, &m);
        if (fit == FIT_NONE || fit < best)
            continue;
        if (fit > best)
            *out = (struct route_match){0};
        best = fit;
        out->methods |= 1u << routes[i].method;
        if (routes[i].method == method) {
            out->route = &routes[i];
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
