/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/time.h"
#include "souk/metrics.h"

/* How many requests ended how, and how long they took.  Each loop has its own,
 * written by its thread alone and read by any. */
enum {
    METRICS_ROUTES_MAX = 40, /* rows of the route table, and one for none */
    METRICS_STATUSES = 24,
};

/* What a request searched, as a metric tells it. */
enum search_scope { SEARCH_LOCAL, SEARCH_NETWORK, SEARCH_SCOPES };
enum search_end {
    SEARCH_COMPLETE,
    SEARCH_INCOMPLETE, /* answered with what there was */
    SEARCH_FAILED,
    SEARCH_ENDS
};

struct timings { /* a histogram, bounds as histogram_durations */
    atomic_uint_fast64_t count;
    atomic_uint_fast64_t sum_ns;
    atomic_uint_fast64_t buckets[HISTOGRAM_BUCKETS];
};

struct metrics {
    struct timings requests[METRICS_ROUTES_MAX][METRICS_STATUSES];
    struct timings searches[SEARCH_SCOPES][SEARCH_ENDS];
    /* Gets that found the package in the catalogue, fresh enough. */
    atomic_uint_fast64_t catalogue_hits, catalogue_misses;
};

void metrics_count(struct metrics *m, size_t route, unsigned status,
                   duration took);
void metrics_searched(struct metrics *m, enum search_scope scope,
                      enum search_end end, duration took);
void metrics_catalogue(struct metrics *m, bool is_hit);

struct gateway;
/* All that is known, as Prometheus text. */
MUST_USE
enum err metrics_write(struct gateway *g, struct buf *out);

#endif /* GATEWAY_METRICS_H */
