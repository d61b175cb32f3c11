/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_SYSTEM_H
#define HOST_SYSTEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/rng.h"
#include "base/time.h"
#include "souk/err.h"
#include "souk/usage.h"

/* What the pure rooms are handed instead of asking the system. */
extern const struct rng rng_system; /* getrandom(2) */
tstamp clock_now(void);             /* monotonic */
wall_ms clock_wall(void);

/* An errno as ours: what went wrong with a peer, or with the machine. */
enum err err_from_errno(int code);

/* May the process open |wanted| descriptors?  Raises the soft limit as far as
 * the hard one lets it.  ERR_LIMIT: |why| says what to do. */
MUST_USE
enum err descriptors_want(size_t wanted, char why[256]);

/* How many are open now, and may be; any thread. */
void descriptors_usage(struct usage *out);

/* "READY=1" and the like for a service manager, if there is one. */
void service_notify(const char *state);

#endif /* HOST_SYSTEM_H */
