/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_PROBLEM_H
#define GATEWAY_PROBLEM_H

#include "base/buf.h"
#include "base/span.h"
#include "market/record.h" /* struct problems */
#include "souk/err.h"
#include "souk/request.h"

/* An error as application/problem+json, https://www.rfc-editor.org/rfc/rfc9457.
 * Status, code and title come from the one error table. */
struct problem_answer {
    enum err err;
    const char *detail;                 /* "" or NULL: the title again */
    struct span instance;               /* the path that was asked for */
    const struct problems *problems;    /* NULL: no `errors` */
    const struct lookup_report *lookup; /* NULL: no `lookup` */
};

/* Append the document to |out|. */
MUST_USE
enum err problem_write(const struct problem_answer *p, struct buf *out);

bool problem_is_retryable(enum err err);
/* Seconds for Retry-After; 0: none. */
unsigned problem_retry_after(enum err err);

struct jw;
/* |sources|: bits of enum lookup_source. */
enum lookup_source {
    LOOKUP_CACHE = 1 << 0,
    LOOKUP_LOCAL = 1 << 1,
    LOOKUP_NETWORK = 1 << 2,
};
void lookup_write(struct jw *j, const struct lookup_report *lookup,
                  bool is_local, unsigned sources);

#endif /* GATEWAY_PROBLEM_H */
