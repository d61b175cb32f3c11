/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/time.h"

/* How many requests ended how, and how long they took.  Each loop has its own,
 * written by its thread alone and read by any. */
enum {
    METRICS_ROUTES_MAX = 40, /* rows of the route table, and one for none */
    METRICS_STATUSES = 24,
    METRICS_BUCKETS = 12,
};

struct metrics {
    struct {
        atomic_uint_fast64_t count;
        atomic_uint_fast64_t sum_ns;
        atomic_uint_fast64_t buckets[METRICS_BUCKETS];
    } requests[METRICS_ROUTES_MAX][METRICS_STATUSES];
};

void metrics_count(struct metrics *m, size_t route, unsigned status,
                   duration took);

struct gateway;
/* All that is known, as Prometheus text. */
MUST_USE
enum err metrics_write(struct gateway *g, struct buf *out);

#endif /* GATEWAY_METRICS_H */
