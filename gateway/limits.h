/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_LIMITS_H
#define GATEWAY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/time.h"
#include "gateway/client.h"

/* A token bucket for each client, in a bounded table.
 *
 * A bucket is one number: the time at which it will be full again (the generic
 * cell rate algorithm).  Taking |cost| moves that time by cost/rate, and is
 * refused if it would lie more than burst/rate ahead.  A client is an IPv4
 * address or an IPv6 /64.  When the table is full the one seen least recently
 * is forgotten, which forgives it what it owed.
 *
 * Pure and single-threaded; its owner locks. */
struct rate_limiter;

struct rate_config {
    uint64_t rate;  /* tokens a second, > 0 */
    uint64_t burst; /* bucket size, > 0 */
    size_t clients_max;
};

struct rate_verdict {
    bool is_allowed;
    uint64_t remaining;     /* tokens left */
    uint64_t full_s;        /* seconds until the bucket is full, rounded up */
    uint64_t retry_after_s; /* ≥ 1 when refused */
};

/* Whose bucket a client takes from. */
struct ip rate_key(const struct ip *client);

struct rate_limiter *rate_new(const struct rate_config *config,
                              const struct mem *mem);
void rate_free(struct rate_limiter *l);

/* |cost| above the bucket's size counts as its size. */
struct rate_verdict rate_take(struct rate_limiter *l, const struct ip *client,
                              uint64_t cost, tstamp now);

size_t rate_clients(const struct rate_limiter *l);
uint64_t rate_forgotten(const struct rate_limiter *l); /* for lack of room */

#endif /* GATEWAY_LIMITS_H */
