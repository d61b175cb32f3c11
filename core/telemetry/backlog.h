/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_BACKLOG_H
#define TELEMETRY_BACKLOG_H

#include <pthread.h>
#include <stdatomic.h>

#include "souk/trace.h"

/* Spans that ended, waiting to be sent: many put, one takes.  Bounded in
 * number; each takes as many bytes as it has to say.
 *
 *      any thread: backlog_put()         the sender: backlog_take(),
 * queued_free()
 */
struct queued {
    struct queued *next;
    struct trace_span span; /* cut after its text */
};

struct backlog {
    const struct mem *mem; /* of any thread */
    size_t max;
    size_t wake_at; /* |grown| is signalled when so many wait */
    atomic_size_t count;
    pthread_mutex_t lock;
    pthread_cond_t grown;
    struct queued *first, *last;
};

void backlog_init(struct backlog *q, size_t max, size_t wake_at,
                  const struct mem *mem);
/* What still waits is freed. */
void backlog_release(struct backlog *q);

/* A copy of |s|.  ERR_LIMIT: full; ERR_NOMEM. */
MUST_USE
enum err backlog_put(struct backlog *q, const struct trace_span *s);
bool backlog_has_room(const struct backlog *q);
size_t backlog_count(const struct backlog *q);

/* With the lock held: up to |max|, the oldest first, linked by next. */
struct queued *backlog_take(struct backlog *q, size_t max, size_t *count);
void queued_free(const struct mem *mem, struct queued *first);

#endif /* TELEMETRY_BACKLOG_H */
