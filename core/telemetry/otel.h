/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_OTEL_H
#define TELEMETRY_OTEL_H

#include "base/time.h"
#include "souk/trace.h"

/* What OpenTelemetry's own environment variables ask for.  An empty variable is
 * one that is not there; one that cannot be read counts as not there, with a
 * warning, as the specification wants it.
 *
 * spec: otel/specification/configuration/sdk-environment-variables */
enum {
    OTEL_URL_MAX = 1024,
    OTEL_PAIRS_MAX = 32, /* headers, resource attributes */
    OTEL_KEY_MAX = 128,
    OTEL_VALUE_MAX = 1024,
    OTEL_WARNINGS_MAX = 8,
    OTEL_WARNING_MAX = 192,
    OTEL_QUEUE_MAX = 65536, /* spans */
    OTEL_BATCH_MAX = 4096,
};

struct otel_pair {
    char key[OTEL_KEY_MAX];
    char value[OTEL_VALUE_MAX];
};

struct otel {
    bool is_on;             /* an endpoint is set, and nothing forbids */
    char url[OTEL_URL_MAX]; /* of traces */
    char certificate[OTEL_URL_MAX]; /* of its authority; "": the system's */
    bool takes_parents;             /* traceparent is honoured */
    struct otel_pair headers[OTEL_PAIRS_MAX];
    size_t header_count;
    struct otel_pair resource[OTEL_PAIRS_MAX]; /* service.name among them */
    size_t resource_count;
    struct trace_sampler sampler;
    duration timeout;        /* of one attempt: 10 s */
    duration schedule_delay; /* a span waits so long at most: 5 s */
    duration export_timeout; /* of all attempts at a batch: 30 s */
    size_t queue_max;        /* 2,048 */
    size_t batch_max;        /* 512 */
    char warnings[OTEL_WARNINGS_MAX][OTEL_WARNING_MAX];
    size_t warning_count;
};

/* |environment| as environ(7), "NAME=VALUE" each, NULL at the end. */
void otel_read(struct otel *o, char *const *environment);

#endif /* TELEMETRY_OTEL_H */
