/* SPDX-License-Identifier: Apache-2.0 */
#include "store/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* First in, first out. */
struct queue {
    struct job *first;
    struct job **last;
    size_t count;
};

struct worker {
    struct store *store;
    worker_clock clock;
    void *clock_ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* on the monotonic clock */
    struct queue urgent, soon, behind;
    size_t bytes;
    uint64_t refused, commits, jobs;
    bool is_stopping;
    /* The thread's own: */
    bool has_chores;
    unsigned groups; /* since the last chore */
    struct job *group[WORKER_GROUP_MAX + 2 * WORKER_BEHIND_GROUP_MAX];
};

enum {
    CHORE_PAUSE_MS = 50,
    CHORE_IDLE_MS = 10000,
    CHORE_GROUPS = 16, /* without a pause, one chore after so many groups */
};

static void queue_init(struct queue *q)
{
    *q = (struct queue){.last = &q->first};
}

static void queue_push(struct queue *q, struct job *job)
{
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
    q->count++;
}

static struct job *queue_pop(struct queue *q)
{
    struct job *job = q->first;

    q->first = job->next;
    if (q->first == NULL)
        q->last = &q->first;
    q->count--;
    return job;
}

/* ---- Any thread. ---- */

static struct queue *queue_for(struct worker *w, const struct job *job,
                               size_t *max)
{
    bool is_urgent = job_is_urgent(job);

    *max = is_urgent ? WORKER_URGENT_MAX : WORKER_BEHIND_MAX;
    if (is_urgent)
        return &w->urgent;
    return job->type == JOB_ACCEPT ? &w->soon : &w->behind;
}

enum err worker_submit(struct worker *w, struct job *job)
{
    size_t max;
    struct queue *q = queue_for(w, job, &max);
    enum err err = OK;

    pthread_mutex_lock(&w->lock);
    if (w->is_stopping) {
        err = ERR_DRAINING;
    } else if (q->count >= max || w->bytes + job->bytes > WORKER_BYTES_MAX) {
        err = ERR_BUSY;
        w->refused++;
    } else {
        w->bytes += job->bytes;
        queue_push(q, job);
        /* Who writes behind waits for the timer, or for company. */
        if (q == &w->urgent || q->count == 1 ||
            q->count == WORKER_BEHIND_GROUP_MAX)
            pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return err;
}

void worker_status(struct worker *w, struct worker_status *out)
{
    pthread_mutex_lock(&w->lock);
    *out = (struct worker_status){.urgent = w->urgent.count,
                                  .behind = w->soon.count + w->behind.count,
                                  .bytes = w->bytes,
                                  .refused = w->refused,
                                  .commits = w->commits,
                                  .jobs = w->jobs};
    pthread_mutex_unlock(&w->lock);
}

/* ---- The thread. ---- */

static struct timespec after_ms(long ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool is_idle(const struct worker *w)
{
    return w->urgent.count + w->soon.count + w->behind.count == 0;
}

static bool is_pressing(const struct worker *w)
{
    return w->urgent.count > 0 || w->is_stopping ||
           w->soon.count >= WORKER_BEHIND_GROUP_MAX ||
           w->behind.count >= WORKER_BEHIND_GROUP_MAX;
}

static bool has_lasted(struct worker *w, const struct timespec *until)
{
    return pthread_cond_timedwait(&w->wake, &w->lock, until) == ETIMEDOUT;
}

/* Until somebody waits for us, or what is written behind is old enough, or it
 * is time for a chore.  The lock is held. */
static void wait_for_work(struct worker *w)
{
    struct timespec at =
        after_ms(w->has_chores ? CHORE_PAUSE_MS : CHORE_IDLE_MS);

    while (is_idle(w) && !w->is_stopping)
        if (has_lasted(w, &at))
            return;
    at = after_ms(WORKER_BEHIND_MS);
    while (!is_pressing(w) && w->soon.count == 0)
        if (has_lasted(w, &at))
            return;
    at = after_ms(WORKER_SOON_MS);
    while (!is_pressing(w))
        if (has_lasted(w, &at))
            return;
}

static size_t take_group(struct worker *w)
{
    size_t count = 0;

    while (w->urgent.count > 0 && count < WORKER_GROUP_MAX)
        w->group[count++] = queue_pop(&w->urgent);
    for (int i = 0; w->soon.count > 0 && i < WORKER_BEHIND_GROUP_MAX; i++)
        w->group[count++] = queue_pop(&w->soon);
    for (int i = 0; w->behind.count > 0 && i < WORKER_BEHIND_GROUP_MAX; i++)
        w->group[count++] = queue_pop(&w->behind);
    return count;
}

static void finish(struct job *job)
{
    if (job->done != NULL)
        job->done(job);
    else
        job_free(job);
}

static void do_group(struct worker *w, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += w->group[i]->bytes;
    store_perform(w->store, w->group, count, w->clock(w->clock_ctx));
    for (size_t i = 0; i < count; i++)
        finish(w->group[i]);
    pthread_mutex_lock(&w->lock);
    w->bytes -= bytes;
    w->commits++;
    w->jobs += count;
    pthread_mutex_unlock(&w->lock);
}

static void do_chore(struct worker *w)
{
    w->groups = 0;
    if (store_maintain(w->store, w->clock(w->clock_ctx), &w->has_chores) != OK)
        w->has_chores = false; /* not again at once */
}

static void *run(void *arg)
{
    struct worker *w = arg;
    bool is_over;

    do {
        size_t count;

        pthread_mutex_lock(&w->lock);
        wait_for_work(w);
        count = take_group(w);
        is_over = w->is_stopping && count == 0;
        pthread_mutex_unlock(&w->lock);
        if (count > 0)
            do_group(w, count);
        if (!is_over && (count == 0 || ++w->groups >= CHORE_GROUPS))
            do_chore(w);
    } while (!is_over);
    return NULL;
}

/* ---- Start and stop. ---- */

static void worker_free(struct worker *w)
{
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    mem_free(&mem_libc, w);
}

enum err worker_start(struct store *store, worker_clock clock, void *clock_ctx,
                      struct worker **out)
{
    struct worker *w = mem_new(&mem_libc, sizeof(*w));
    pthread_condattr_t attr;

    w->store = store;
    w->clock = clock;
    w->clock_ctx = clock_ctx;
    w->has_chores = true;
    queue_init(&w->urgent);
    queue_init(&w->soon);
    queue_init(&w->behind);
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        worker_free(w);
        return ERR_NOMEM;
    }
    *out = w;
    return OK;
}

void worker_stop(struct worker *w)
{
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    worker_free(w);
}
