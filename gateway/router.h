/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_ROUTER_H
#define GATEWAY_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "gateway/auth.h"

/* Which row of a table of routes a request is for.
 *
 * A template is literal segments and {parameters}, each of which takes one
 * whole, non-empty segment; a literal beats a parameter.  Paths are matched as
 * they came, so an encoded slash never splits a segment.
 *
 * A row is not looked at where it is the same as the one above it and that one
 * has failed: neighbours in the table should be alike. */
struct exchange;

enum http_method {
    METHOD_GET, /* and HEAD */
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER,
};
enum { METHOD_ROUTED = METHOD_OPTIONS }; /* the ones routes are for */

enum route_flags {
    ROUTE_JSON = 1 << 0,  /* takes a JSON body */
    ROUTE_PROBE = 1 << 1, /* never limited; no request id is made */
    ROUTE_ADMIN = 1 << 2, /* on the admin listener only */
    ROUTE_FREE = 1 << 3,  /* never limited */
};

struct route {
    enum http_method method;
    const char *template;
    void (*handler)(struct exchange *x);
    enum scope scope;
    unsigned cost; /* tokens of the client's bucket */
    unsigned flags;
};

enum { ROUTE_PARAMS_MAX = 3 };

struct route_match {
    const struct route *route; /* NULL: see |methods| */
    unsigned methods; /* 1 << enum http_method of what the path has; 0: 404 */
    struct span params[ROUTE_PARAMS_MAX]; /* still percent-encoded */
    size_t param_count;
};

enum { ROUTER_ROWS_MAX = 64 };

struct router {
    const struct route *rows;
    size_t count;
    size_t shared[ROUTER_ROWS_MAX];  /* bytes a template has of the one above */
    size_t literal[ROUTER_ROWS_MAX]; /* its bytes before the first parameter */
};

/* |rows| must stay; each template begins with a slash. */
void router_init(struct router *r, const struct route *rows, size_t count);
void router_match(const struct router *r, bool is_admin,
                  enum http_method method, struct span path,
                  struct route_match *out);

/* HEAD is METHOD_GET with |is_head|. */
enum http_method http_method_parse(const char *text, bool *is_head);
const char *http_method_name(enum http_method method);

/* "GET, HEAD, POST, OPTIONS"; returns |out|. */
enum { ALLOW_TEXT_MAX = 48 };
const char *router_allow(unsigned methods, char out[ALLOW_TEXT_MAX]);

#endif /* GATEWAY_ROUTER_H */
