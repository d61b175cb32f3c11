/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdint.h>

/* Nanoseconds on the monotonic clock.  Passed in, never read: a function that
 * needs the time takes |now|. */
typedef uint64_t tstamp;
typedef uint64_t duration;
/* Milliseconds since the Unix epoch, where something must survive a restart or
 * be shown to people. */
typedef int64_t wall_ms;

#define TSTAMP_NEVER UINT64_MAX
#define MILLISECONDS ((duration)1000000)
#define SECONDS (1000 * MILLISECONDS)
#define MINUTES (60 * SECONDS)
#define HOURS (60 * MINUTES)

static inline tstamp tstamp_min(tstamp a, tstamp b)
{
    return a < b ? a : b;
}

/* |t| + |d|, TSTAMP_NEVER if that is beyond the clock. */
static inline tstamp tstamp_add(tstamp t, duration d)
{
    return t > TSTAMP_NEVER - d ? TSTAMP_NEVER : t + d;
}

#endif /* BASE_TIME_H */
