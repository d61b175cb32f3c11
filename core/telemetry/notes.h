/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_NOTES_H
#define TELEMETRY_NOTES_H

#include <pthread.h>

#include "souk/trace.h"

/* On whose behalf something is done that comes back by another way: a publish
 * goes through the store's outbox, its trace does not.  By a name; a bounded
 * table without chains, so that a later name may take an earlier one's place,
 * which then counts as never noted. */
enum { NOTES_MAX = 4096, NOTE_NAME_MAX = 512 };

struct note; /* allocated with what it holds */

struct notes {
    const struct mem *mem;
    pthread_mutex_t lock;
    struct note *at[NOTES_MAX];
};

void notes_init(struct notes *n, const struct mem *mem);
void notes_release(struct notes *n);

/* Any thread.  Without memory nothing is noted. */
void notes_put(struct notes *n, struct span name,
               const struct trace_context *c);
/* Likewise.  |text| holds the state.  False: never noted. */
bool notes_get(struct notes *n, struct span name, struct trace_context *out,
               char text[TRACE_STATE_MAX + 1]);

#endif /* TELEMETRY_NOTES_H */
