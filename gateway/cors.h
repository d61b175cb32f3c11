/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_CORS_H
#define GATEWAY_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* Which web pages may do what (https://fetch.spec.whatwg.org/#cors-protocol):
 * any may read, those of an allow-list may write. */
struct cors {
    const char *const *origins; /* may write; "*" is any */
    size_t count;
};

/* What to answer a request from a page; NULL: leave the header out. */
struct cors_answer {
    const char *allow_origin; /* "*" or one of cors.origins */
    /* Of a preflight only. */
    const char *allow_methods;
    const char *allow_headers;
    const char *max_age;
};

#define CORS_EXPOSE_HEADERS                                            \
    "ETag, Link, Location, Retry-After, RateLimit, RateLimit-Policy, " \
    "X-Request-Id, Souk-Trust, Souk-Conflict"

/* |origin|: the Origin header, len 0 if there is none. */
void cors_answer(const struct cors *c, struct span origin, bool is_write,
                 struct cors_answer *out);
/* |method|: Access-Control-Request-Method. */
void cors_preflight(const struct cors *c, struct span origin,
                    struct span method, struct cors_answer *out);
/* A page that may not write, or no page at all: is this write its? */
bool cors_may_write(const struct cors *c, struct span origin);

#endif /* GATEWAY_CORS_H */
