/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_HEADERS_H
#define GATEWAY_HEADERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "gateway/client.h"

/* The request headers the gateway reads, gathered in one pass. */
#define HEADERS(X)                                     \
    X(REQUEST_METHOD, "Access-Control-Request-Method") \
    X(AUTHORIZATION, "Authorization")                  \
    X(CACHE_CONTROL, "Cache-Control")                  \
    X(CONTENT_LENGTH, "Content-Length")                \
    X(CONTENT_TYPE, "Content-Type")                    \
    X(EXPECT, "Expect")                                \
    X(HOST, "Host")                                    \
    X(IF_NONE_MATCH, "If-None-Match")                  \
    X(ORIGIN, "Origin")                                \
    X(PREFER, "Prefer")                                \
    X(TRACEPARENT, "traceparent")                      \
    X(TRACESTATE, "tracestate")                        \
    X(TRANSFER_ENCODING, "Transfer-Encoding")          \
    X(X_FORWARDED_FOR, "X-Forwarded-For")              \
    X(X_FORWARDED_PREFIX, "X-Forwarded-Prefix")        \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto")          \
    X(X_REQUEST_ID, "X-Request-Id")

enum header {
#define X(name, text) HEADER_##name,
    HEADERS(X)
#undef X
        HEADER_COUNT
};

struct headers {
    struct span at[HEADER_COUNT]; /* len 0: absent; the first of several */
    size_t bytes;                 /* of all headers, as they came */
};

/* One header line. */
void headers_add(struct headers *h, struct span name, struct span value);

/* Does a comma-separated header have |token|, in any case? */
bool header_has_token(struct span header, const char *token);

/* If-None-Match against an entity tag, by weak comparison (RFC 9110#13.1.2). */
bool header_etag_matches(struct span if_none_match, const char *etag);

/* Is the media type application/json, whatever its parameters? */
bool header_is_json(struct span content_type);

/* A Host header for a listener on |bound| (NULL: a unix socket): is it ours, so
 * that no page under another name can reach us through DNS? */
bool header_host_is_ours(struct span host, const struct ip *bound);

/* Printable, without spaces and quotes, at most |max| bytes: may be echoed. */
bool header_is_echoable(struct span value, size_t max);

#endif /* GATEWAY_HEADERS_H */
