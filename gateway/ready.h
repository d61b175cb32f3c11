/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_READY_H
#define GATEWAY_READY_H

#include <stdbool.h>

struct MHD_Response;
struct exchange;

/* Answers from the hot cache with their headers, in libmicrohttpd's form.
 *
 *      ready_get(x) ─ not NULL ─► queue it
 *          └─ NULL ► make a response, add its headers ─► ready_put(x, it)
 *
 * To make such a response takes two dozen allocations, more than all else that
 * is done for a hot answer.  What differs from request to request, its id and
 * what is left of the rate limit, is exchanged at each: libmicrohttpd writes
 * the head out before MHD_queue_response()'s caller returns to it, so nobody
 * sees those of another.  Belongs to one loop. */
enum {
    READY_SLOTS = 32,
    READY_BODY_MAX = 16 << 10, /* a slot keeps its body, also if the cache
                                  has let it go */
};

struct ready {
    struct ready_slot *slots[READY_SLOTS];
};

/* The answer of |x| with the headers of this request, for MHD_queue_response()
 * only; NULL: not there. */
struct MHD_Response *ready_get(struct ready *r, struct exchange *x);

/* May |x|'s answer be kept?  Then its response is to be made by ready_make(),
 * and given to ready_put() with all of its headers; false: no memory, it is
 * still the caller's. */
bool ready_may_keep(const struct exchange *x);
struct MHD_Response *ready_make(const struct exchange *x);
bool ready_put(struct ready *r, const struct exchange *x,
               struct MHD_Response *mr);

void ready_clear(struct ready *r);

/* The two headers that are exchanged; "": there is none. */
enum { RATE_TEXT_MAX = 64 };
void ready_rate(const struct exchange *x, char out[RATE_TEXT_MAX]);

#endif /* GATEWAY_READY_H */
