/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PING_PING_H
#define PING_PING_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "souk/err.h"

/* /ipfs/ping/1.0.0: 32 random bytes out, the same back, again and again on one
 * stream until its opener closes it.
 *
 *    ping       ── 32 bytes ──►   ping_echo
 *    (asks)     ◄── 32 bytes ──   (answers)
 *
 * Both are small values, visible, without memory of their own.
 * spec: ping/ping.md */

#define PING_PROTOCOL "/ipfs/ping/1.0.0"

enum { PING_LEN = 32 };
#define PING_WITHIN (10 * SECONDS)

struct ping {
    uint8_t bytes[PING_LEN];
    size_t have;    /* echoed so far */
    tstamp sent_at; /* TSTAMP_NEVER: nothing is asked */
};

void ping_init(struct ping *p);
/* Ask: write |p->bytes| to the stream.  Not while one is under way. */
void ping_send(struct ping *p, const struct rng *rng, tstamp now);
bool ping_is_waiting(const struct ping *p);
/* Eat echoed bytes.  |*rtt| is set and |*is_done| true when the answer is
 * whole.  ERR_PROTO: bytes nobody asked for, or other ones. */
MUST_USE enum err ping_recv(struct ping *p, struct span *in, tstamp now,
                            bool *is_done, duration *rtt);
tstamp ping_deadline(const struct ping *p);
/* ERR_TIMEOUT: no answer in time; reset the stream. */
MUST_USE enum err ping_tick(const struct ping *p, tstamp now);

struct ping_echo {
    uint8_t bytes[PING_LEN];
    size_t have;
};

void ping_echo_init(struct ping_echo *e);
/* Eat bytes up to one question; true when |e->bytes| is to be written back.
 * Call again while |in| holds bytes. */
MUST_USE bool ping_echo_recv(struct ping_echo *e, struct span *in);

#endif /* PING_PING_H */
