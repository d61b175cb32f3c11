/* SPDX-License-Identifier: Apache-2.0 */
#include "store/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "store/ahead.h"

/* First in, first out. */
struct queue {
    struct job *first;
    struct job **last;
    size_t count;
    duration patience; /* how long its first one may wait */
    tstamp due;        /* for that; when there is one */
};

struct worker {
    struct store *store;
    worker_clock clock;
    void *clock_ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* on the monotonic clock */
    struct queue urgent, soon, behind;
    size_t flushes; /* among the urgent */
    size_t bytes;
    uint64_t urgent_refused, behind_refused, bytes_refused, commits, jobs;
    bool is_stopping;
    /* The thread's own: */
    bool has_chores;
    unsigned groups; /* since the last chore */
    struct job *group[WORKER_GROUP_MAX + 2 * WORKER_BEHIND_GROUP_MAX];
};

enum {
    CHORE_PAUSE_MS = 10,
    CHORE_IDLE_MS = 10000,
    CHORE_RETRY_MS = 1000, /* while nothing can be written */
    CHORE_GROUPS = 16,     /* without a pause, one chore after so many groups */
};

static tstamp now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

static void queue_init(struct queue *q, duration patience)
{
    *q = (struct queue){.last = &q->first, .patience = patience};
}

static void queue_push(struct queue *q, struct job *job)
{
    if (q->count == 0)
        q->due = now() + q->patience;
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

/* The lock is held. */
static enum err look_for_room(struct worker *w, const struct job *job)
{
    size_t max;
    const struct queue *q = queue_for(w, job, &max);

    if (w->is_stopping)
        return ERR_DRAINING;
    if (q->count >= max)
        ++*(q == &w->urgent ? &w->urgent_refused : &w->behind_refused);
    else if (w->bytes + job->bytes > WORKER_BYTES_MAX)
        w->bytes_refused++;
    else
        return OK;
    return ERR_BUSY;
}

/* All that needs no database, on the submitter's thread; nothing for a job that
 * will be refused. */
static enum err prepare(struct worker *w, struct job *job)
{
    enum err err;

    if (job->type != JOB_PUBLISH)
        return OK;
    pthread_mutex_lock(&w->lock);
    err = look_for_room(w, job);
    pthread_mutex_unlock(&w->lock);
    if (err == OK)
        ahead_make(w->store, job, w->clock(w->clock_ctx));
    return err;
}

enum err worker_submit(struct worker *w, struct job *job)
{
    size_t max;
    struct queue *q = queue_for(w, job, &max);
    enum err err;

    TRY(prepare(w, job));
    pthread_mutex_lock(&w->lock);
    err = look_for_room(w, job);
    if (err == OK) {
        w->bytes += job->bytes;
        w->flushes += job->type == JOB_FLUSH;
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
                                  .urgent_refused = w->urgent_refused,
                                  .behind_refused = w->behind_refused,
                                  .bytes_refused = w->bytes_refused,
                                  .commits = w->commits,
                                  .jobs = w->jobs};
    pthread_mutex_unlock(&w->lock);
}

/* ---- The thread. ---- */

static bool is_idle(const struct worker *w)
{
    return w->urgent.count + w->soon.count + w->behind.count == 0;
}

static bool is_due(const struct worker *w, const struct queue *q, tstamp at)
{
    return q->count > 0 &&
           (at >= q->due || q->count >= WORKER_BEHIND_GROUP_MAX ||
            w->flushes > 0 || w->is_stopping ||
            (q == &w->soon && w->urgent.count == 0));
}

static void wait_until(struct worker *w, tstamp at)
{
    struct timespec t = {.tv_sec = (time_t)(at / SECONDS),
                         .tv_nsec = (long)(at % SECONDS)};

    (void)pthread_cond_timedwait(&w->wake, &w->lock, &t);
}

static duration chore_pause_ms(const struct worker *w)
{
    if (!store_writes(w->store))
        return CHORE_RETRY_MS;
    return w->has_chores || store_owes(w->store) ? CHORE_PAUSE_MS
                                                 : CHORE_IDLE_MS;
}

/* Until somebody waits for us, or what is written behind is old enough, or it
 * is time for a chore.  The lock is held. */
static void wait_for_work(struct worker *w)
{
    tstamp at = now(), chore_at;

    chore_at = at + chore_pause_ms(w) * MILLISECONDS;
    while (w->urgent.count == 0 && !w->is_stopping &&
           !is_due(w, &w->soon, at) && !is_due(w, &w->behind, at)) {
        tstamp next = TSTAMP_NEVER;

        if (is_idle(w)) {
            if (at >= chore_at)
                return;
            next = chore_at;
        }
        if (w->soon.count > 0)
            next = tstamp_min(next, w->soon.due);
        if (w->behind.count > 0)
            next = tstamp_min(next, w->behind.due);
        wait_until(w, next);
        at = now();
    }
}

static size_t take(struct worker *w, struct queue *q, size_t max, size_t count)
{
    for (size_t i = 0; q->count > 0 && i < max; i++)
        w->group[count++] = queue_pop(q);
    return count;
}

/* Who waits is not made to wait for what may be written later. */
static size_t take_group(struct worker *w)
{
    bool takes_soon = is_due(w, &w->soon, now());
    bool takes_behind = is_due(w, &w->behind, now());
    size_t count = take(w, &w->urgent, WORKER_GROUP_MAX, 0);

    for (size_t i = 0; i < count; i++)
        w->flushes -= w->group[i]->type == JOB_FLUSH;
    if (takes_soon)
        count = take(w, &w->soon, WORKER_BEHIND_GROUP_MAX, count);
    if (takes_behind)
        count = take(w, &w->behind, WORKER_BEHIND_GROUP_MAX, count);
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

/* What was just written may be more than may be kept; a trickle of writes that
 * never leaves the thread idle must not put that off. */
static void look_for_chores(struct worker *w)
{
    struct store_counts counts;

    store_counts(w->store, &counts);
    if (counts.others_bytes > counts.others_bytes_max)
        w->has_chores = true;
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
        if (count > 0) {
            do_group(w, count);
            look_for_chores(w);
        }
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
    queue_init(&w->urgent, 0);
    queue_init(&w->soon, WORKER_SOON_MS * MILLISECONDS);
    queue_init(&w->behind, WORKER_BEHIND_MS * MILLISECONDS);
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
