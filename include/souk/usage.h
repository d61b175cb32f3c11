/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_USAGE_H
#define SOUK_USAGE_H

#include <stdint.h>

/* How full each limit is.  The table is souk/tbl/usage.h; docs/LIMITS.md is
 * made from it.
 *
 *      node_usage()  ─► host, four times a second ─► core_usage()
 *      gateway_usage(): that, and the gateway's and the store's own
 *
 * Nothing is gathered on the way of a request: the rooms keep the counters they
 * need anyway, and they are read where somebody asks. */
enum usage_id {
#define USAGE(id, name, text) USAGE_##id,
#include "souk/tbl/usage.h"
    USAGE_COUNT
};

struct usage {
    uint64_t limit; /* 0: lifted, or not of this node */
    uint64_t use;
    uint64_t refused; /* times it was reached: refused, evicted or left out */
};

/* All of them, by usage_id. */
struct usages {
    struct usage of[USAGE_COUNT];
};

const char *usage_name(enum usage_id id); /* "dht_records"; a stable label */
const char *usage_text(enum usage_id id); /* for people */

#endif /* SOUK_USAGE_H */
