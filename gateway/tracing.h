/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_TRACING_H
#define GATEWAY_TRACING_H

#include "market/package.h"
#include "market/semver.h"
#include "souk/request.h"
#include "souk/trace.h"

/* The spans of a request, one inside the other:
 *
 *      x->server   GET /api/v1/search      from its head to its last byte
 *      x->task       souk.search           until the answer is there
 *      x->step         souk.search.local   one after the other
 *
 * Each is NULL where nobody traces, and then so are those inside. */
struct exchange;

/* The head is there, and the route known. */
void tracing_begin(struct exchange *x, tstamp now);
/* The answer is there. */
void tracing_answered(struct exchange *x);
/* It was sent, or (499) the client left. */
void tracing_end(struct exchange *x, unsigned status);
/* Nobody will tell any more. */
void tracing_drop(struct exchange *x);

void tracing_task(struct exchange *x, const char *name);
void tracing_step(struct exchange *x, const char *name);
void tracing_step_end(struct exchange *x, enum err err);

/* What the task is about, and how it came about. */
void tracing_package(struct exchange *x, const struct package_id *id);
void tracing_lookup(struct exchange *x, const struct lookup_report *lookup);

/* What the core does for |r|, which may be NULL, is done for the task. */
void tracing_request(struct exchange *x, struct request *r);
/* What becomes of the publish of this version, likewise. */
void tracing_publish(struct exchange *x, const struct package_id *id,
                     const struct semver *version);

#endif /* GATEWAY_TRACING_H */
