/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_RESPONSE_H
#define GATEWAY_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "store/cache.h"

/* What will be answered, as a value: the server turns it into bytes.  The body
 * is |body|, or bytes borrowed from the hot cache or from static memory, or
 * comes piece by piece. */
struct exchange;

enum {
    RESPONSE_BODY_MAX = 4 << 20,
    RESPONSE_BODY_KEEP = 16 << 10, /* memory a connection keeps */
    RESPONSE_ETAG_MAX = 48,
    RESPONSE_LINK_MAX = 2048,
};

struct response {
    unsigned status; /* 0: there is no answer yet */
    const char *type;
    const char *cache_control; /* NULL: leave it out */
    const char *trust;         /* Souk-Trust */
    bool has_conflict;         /* Souk-Conflict */
    bool has_location, has_link;
    char etag[RESPONSE_ETAG_MAX]; /* "": none */
    char link[RESPONSE_LINK_MAX]; /* Link or Location, never both */
    unsigned retry_after_s;       /* 0: none */
    unsigned allow;               /* methods for Allow; 0: none */
    bool wants_auth;              /* WWW-Authenticate: */
    bool must_close;

    struct buf body;
    struct span borrowed;        /* instead of |body| if data is not NULL */
    const struct cached *cached; /* what |borrowed| belongs to */
    /* Append the next piece to |body|; false: that was the last. */
    bool (*produce)(struct exchange *x, struct buf *body);
};

void response_init(struct response *r);
/* Ready for the next answer on the same connection. */
void response_reset(struct response *r);
void response_release(struct response *r);

struct span response_body(const struct response *r);

/* A strong tag of |bytes|, or a weak one. */
void response_tag(struct response *r, struct span bytes, bool is_weak);

#endif /* GATEWAY_RESPONSE_H */
