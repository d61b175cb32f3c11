/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cors.h"

#include <string.h>

/* The origin as the operator wrote it; NULL if it is not on the list. */
static const char *listed(const struct cors *c, struct span origin)
{
    if (origin.len == 0)
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->origins[i], "*") == 0 ||
            span_eq(span_str(c->origins[i]), origin))
            return c->origins[i];
    return NULL;
}

bool cors_may_write(const struct cors *c, struct span origin)
{
    return origin.len == 0 || listed(c, origin) != NULL;
}

void cors_answer(const struct cors *c, struct span origin, bool is_write,
                 struct cors_answer *out)
{
    *out = (struct cors_answer){.allow_origin = "*"};
    if (is_write)
        out->allow_origin = listed(c, origin);
}

void cors_preflight(const struct cors *c, struct span origin,
                    struct span method, struct cors_answer *out)
{
    bool is_write =
        !span_eq(method, SPAN_LIT("GET")) && !span_eq(method, SPAN_LIT("HEAD"));

    cors_answer(c, origin, is_write, out);
    out->allow_methods = listed(c, origin)
                             ? "GET, HEAD, OPTIONS, POST, PUT, DELETE"
                             : "GET, HEAD, OPTIONS";
    out->allow_headers = "Authorization, Cache-Control, Content-Type, "
                         "If-None-Match, Prefer, X-Request-Id, traceparent";
    out->max_age = "600";
}
