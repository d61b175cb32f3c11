/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAMUX_WINDOW_H
#define YAMUX_WINDOW_H

#include <stdbool.h>

#include "base/time.h"
#include "souk/err.h"

/* How much a peer may send on one stream, and when to tell it more.
 *
 *      |<------------------- target ------------------->|
 *      | held: here, not consumed | left: may come | due |
 *
 * Each 128 KiB due are worth an update.  If they came at a rate that empties a
 * whole target in less than two round trips, the target doubles: up to |max|,
 * and as long as the budget all streams of a connection share lasts.  So it
 * ends between two and four bandwidth-delay products, or where the reader is
 * what limits; one and an update's worth would do to never stall. */
enum {
    YAMUX_WINDOW_FIRST = 256 * 1024,
    YAMUX_WINDOW_STEP = YAMUX_WINDOW_FIRST / 2,
};

struct yamux_window {
    uint32_t target;
    uint32_t left;
    uint32_t held;
    tstamp epoch; /* when we began to count what is due */
};

struct yamux_tuning {
    uint32_t max;    /* of one target */
    uint64_t budget; /* what targets may still grow, summed over streams */
    duration rtt;    /* 0: not measured yet, and nothing grows */
};

void yamux_window_init(struct yamux_window *w, tstamp now);
/* |n| bytes came.  ERR_FLOW_CONTROL if they were not allowed. */
MUST_USE
enum err yamux_window_take(struct yamux_window *w, uint32_t n, tstamp now);
/* The owner is done with |n| of the bytes held. */
void yamux_window_consume(struct yamux_window *w, uint32_t n);
bool yamux_window_is_due(const struct yamux_window *w);
/* What to tell the peer now, possibly after growing. */
uint32_t yamux_window_grant(struct yamux_window *w, struct yamux_tuning *t,
                            tstamp now);
/* The stream is gone: its growth goes back to the budget. */
void yamux_window_end(struct yamux_window *w, struct yamux_tuning *t);

#endif /* YAMUX_WINDOW_H */
