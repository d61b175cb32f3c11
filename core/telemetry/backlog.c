/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/backlog.h"

#include <assert.h>

void backlog_init(struct backlog *q, size_t max, size_t wake_at,
                  const struct mem *mem)
{
    pthread_condattr_t attributes;

    assert(max > 0 && wake_at > 0);
    q->mem = mem;
    q->max = max;
    q->wake_at = wake_at;
    q->first = q->last = NULL;
    atomic_init(&q->count, 0);
    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->grown, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void backlog_release(struct backlog *q)
{
    queued_free(q->mem, q->first);
    q->first = q->last = NULL;
    (void)pthread_cond_destroy(&q->grown);
    (void)pthread_mutex_destroy(&q->lock);
}

size_t backlog_count(const struct backlog *q)
{
    return atomic_load_explicit(&q->count, memory_order_relaxed);
}

bool backlog_has_room(const struct backlog *q)
{
    return backlog_count(q) < q->max;
}

enum err backlog_put(struct backlog *q, const struct trace_span *s)
{
    size_t size = offsetof(struct queued, span) + trace_span_size(s);
    struct queued *copy;
    size_t count;
    bool is_full;

    if (!backlog_has_room(q))
        return ERR_LIMIT; /* without a lock: it may stay so for long */
    copy = mem_try(q->mem, NULL, size);
    if (copy == NULL)
        return ERR_NOMEM;
    copy->next = NULL;
    memcpy(&copy->span, s, trace_span_size(s));
    pthread_mutex_lock(&q->lock);
    count = backlog_count(q);
    is_full = count >= q->max;
    if (!is_full) {
        if (q->last != NULL)
            q->last->next = copy;
        else
            q->first = copy;
        q->last = copy;
        atomic_store_explicit(&q->count, ++count, memory_order_relaxed);
        if (count == q->wake_at)
            (void)pthread_cond_signal(&q->grown);
    }
    pthread_mutex_unlock(&q->lock);
    if (!is_full)
        return OK;
    mem_free(q->mem, copy);
    return ERR_LIMIT;
}

struct queued *backlog_take(struct backlog *q, size_t max, size_t *count)
{
    struct queued *first = q->first, *last = NULL;
    size_t n = 0;

    for (struct queued *at = first; at != NULL && n < max; at = at->next) {
        last = at;
        n++;
    }
    *count = n;
    if (last == NULL)
        return NULL;
    q->first = last->next;
    if (q->first == NULL)
        q->last = NULL;
    last->next = NULL;
    atomic_store_explicit(&q->count, backlog_count(q) - n,
                          memory_order_relaxed);
    return first;
}

void queued_free(const struct mem *mem, struct queued *first)
{
    while (first != NULL) {
        struct queued *next = first->next;

        mem_free(mem, first);
        first = next;
    }
}
