/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_METRICS_H
#define SOUK_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "souk/request.h"

/* What the core counts for /metrics.  Rows name themselves, so that who writes
 * them out needs to know none of the rooms they come from; all texts are
 * static. */
enum {
    HISTOGRAM_BUCKETS = 12,
    METRICS_LOOKUPS_MAX = 32,
    METRICS_RPCS_MAX = 40,
    METRICS_MESSAGES_MAX = 32,
};

/* What lies above the last bound is only in |count|. */
struct histogram {
    uint64_t count;
    double sum;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Upper bounds, in seconds and for scores from 0 to 1. */
extern const double histogram_durations[HISTOGRAM_BUCKETS];
extern const double histogram_scores[HISTOGRAM_BUCKETS];

void histogram_observe(struct histogram *h,
                       const double bounds[HISTOGRAM_BUCKETS], double value);

struct node_metrics {
    struct {
        const char *op, *outcome;
        struct histogram took; /* seconds */
    } lookups[METRICS_LOOKUPS_MAX];
    size_t lookup_count;
    struct {
        const char *type, *direction, *outcome;
        uint64_t count;
    } rpcs[METRICS_RPCS_MAX];
    size_t rpc_count;
    struct {
        const char *direction, *outcome;
        uint64_t count;
    } messages[METRICS_MESSAGES_MAX]; /* of gossip */
    size_t message_count;
    const char *topic;
    uint64_t mesh_peers;
    struct histogram scores; /* of the connected, each second */
};

#endif /* SOUK_METRICS_H */
