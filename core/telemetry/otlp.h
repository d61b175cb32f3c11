/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_OTLP_H
#define TELEMETRY_OTLP_H

#include "base/buf.h"
#include "telemetry/backlog.h"
#include "telemetry/otel.h"

/* Spans as the OpenTelemetry protocol has them, and what is answered.
 *
 * spec: opentelemetry-proto 1.x, ExportTraceServiceRequest */
enum {
    OTLP_BODY_MAX = 32 << 20,   /* a request; more than OTEL_BATCH_MAX needs */
    OTLP_BUILD_MAX = 128 << 20, /* while it is put together */
    OTLP_ANSWER_MAX = 64 << 10,
};

/* Who sends. */
struct otlp_sender {
    const struct otel *otel; /* the resource's attributes */
    const char *version;     /* of souk */
    const char *instance;    /* the peer id, as people know it; "": none */
};

/* Append the request for |count| spans from |first| on; |to_unix| is what turns
 * their times into nanoseconds since 1970.  ERR_NOMEM, ERR_LIMIT. */
MUST_USE
enum err otlp_encode(const struct otlp_sender *sender,
                     const struct queued *first, size_t count, int64_t to_unix,
                     const struct mem *mem, struct buf *out);

/* How many spans the answer |body| says it has refused; 0 also if it cannot be
 * read: that they came is told by the status. */
uint64_t otlp_refused(struct span body, const struct mem *mem);

#endif /* TELEMETRY_OTLP_H */
