/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_POSTER_H
#define TELEMETRY_POSTER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "telemetry/otel.h"

/* One HTTP client for one URL, over libcurl, with a connection that is kept.
 *
 *      its thread: poster_send(), until |until| at most
 *      any:        poster_hurry(): not after |until|, whatever was said before
 */
struct poster;

enum post_result {
    POST_TAKEN,   /* 2xx */
    POST_LATER,   /* no connection, no answer, 429, 502, 503, 504 */
    POST_REFUSED, /* any other status: again would be no better */
};

struct post_answer {
    enum post_result result;
    char why[256];        /* for people, unless it was taken */
    duration retry_after; /* 0: it did not say */
    struct buf *body;     /* what came, cut at its limit */
};

/* ERR_NOMEM. */
MUST_USE
enum err poster_new(const struct otel *otel, const char *version,
                    struct poster **out);
void poster_free(struct poster *p);

void poster_send(struct poster *p, struct span body, tstamp until,
                 struct post_answer *answer);
void poster_hurry(struct poster *p, tstamp until);

tstamp poster_now(void); /* the clock of |until| */

#endif /* TELEMETRY_POSTER_H */
