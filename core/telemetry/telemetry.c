/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/telemetry.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "libcurl/libcurl.h"
#include "telemetry/backlog.h"
#include "telemetry/notes.h"
#include "telemetry/otlp.h"
#include "telemetry/poster.h"

#define STOP_WITHIN (2 * SECONDS)
#define RETRY_FIRST (1 * SECONDS)
#define RETRY_LAST (16 * SECONDS)
#define CLOCKS_APART ((int64_t)MILLISECONDS)

enum { INSTANCE_MAX = 96 };

struct telemetry {
    struct otel otel;
    struct otlp_sender sender;
    char instance[INSTANCE_MAX];
    const struct mem *mem;
    const struct log *log;
    struct backlog queue;
    struct notes notes;
    struct poster *poster;
    pthread_t thread;
    int64_t to_unix; /* what makes our times those of the wall */
    bool is_failing; /* the last batch was: told once */
    /* Under the queue's lock. */
    bool is_stopping;
    tstamp stop_by;
    atomic_uint_fast64_t exported, full, memory, failed, refused;
};

static void count(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- From any thread. ---- */

void telemetry_take(struct telemetry *t, const struct trace_span *s)
{
    enum err err = backlog_put(&t->queue, s);

    if (err != OK)
        count(err == ERR_LIMIT ? &t->full : &t->memory, 1);
}

bool telemetry_has_room(const struct telemetry *t)
{
    return backlog_has_room(&t->queue);
}

void telemetry_skipped(struct telemetry *t, uint64_t spans)
{
    if (spans > 0)
        count(&t->full, spans);
}

void telemetry_lost(struct telemetry *t, uint64_t spans)
{
    if (spans > 0)
        count(&t->memory, spans);
}

void telemetry_note(struct telemetry *t, struct span name,
                    const struct trace_context *c)
{
    if (t != NULL)
        notes_put(&t->notes, name, c);
}

bool telemetry_noted(struct telemetry *t, struct span name,
                     struct trace_context *out, char text[TRACE_STATE_MAX + 1])
{
    return t != NULL && notes_get(&t->notes, name, out, text);
}

const struct trace_sampler *telemetry_sampler(const struct telemetry *t)
{
    return t != NULL ? &t->otel.sampler : NULL;
}

bool telemetry_takes_parents(const struct telemetry *t)
{
    return t != NULL && t->otel.takes_parents;
}

void telemetry_status(const struct telemetry *t, struct telemetry_status *out)
{
    *out = (struct telemetry_status){.exported = 0};
    if (t == NULL)
        return;
    out->exported = load(&t->exported);
    out->dropped_full = load(&t->full);
    out->dropped_memory = load(&t->memory);
    out->dropped_export = load(&t->failed);
    out->dropped_refused = load(&t->refused);
    out->waiting = backlog_count(&t->queue);
}

/* ---- The thread: waiting. ---- */

/* With the queue's lock held, until |when| or a signal. */
static void wait_until(struct telemetry *t, tstamp when)
{
    struct timespec until = {.tv_sec = (time_t)(when / SECONDS),
                             .tv_nsec = (long)(when % SECONDS)};

    (void)pthread_cond_timedwait(&t->queue.grown, &t->queue.lock, &until);
}

/* A batch that is whole, or old enough, or the last; NULL: all is over. */
static struct queued *next_batch(struct telemetry *t, size_t *n)
{
    struct queued *batch = NULL;
    tstamp due;

    pthread_mutex_lock(&t->queue.lock);
    due = poster_now() + t->otel.schedule_delay;
    while (!t->is_stopping && backlog_count(&t->queue) < t->otel.batch_max) {
        if (poster_now() >= due) {
            if (backlog_count(&t->queue) > 0)
                break;
            due = poster_now() + t->otel.schedule_delay;
        }
        wait_until(t, due);
    }
    batch = backlog_take(&t->queue, t->otel.batch_max, n);
    pthread_mutex_unlock(&t->queue.lock);
    return batch;
}

/* Between two attempts; when it is over, or we stop.  False: no more. */
static bool pause_until(struct telemetry *t, tstamp when)
{
    bool may_go_on;

    pthread_mutex_lock(&t->queue.lock);
    while (!t->is_stopping && poster_now() < when)
        wait_until(t, when);
    may_go_on = !t->is_stopping;
    pthread_mutex_unlock(&t->queue.lock);
    return may_go_on;
}

static bool is_stopping(struct telemetry *t, tstamp *stop_by)
{
    bool is;

    pthread_mutex_lock(&t->queue.lock);
    is = t->is_stopping;
    *stop_by = is ? t->stop_by : TSTAMP_NEVER;
    pthread_mutex_unlock(&t->queue.lock);
    return is;
}

/* ---- The thread: sending. ---- */

static void tell(struct telemetry *t, bool has_failed, const char *why,
                 size_t spans)
{
    if (has_failed && !t->is_failing)
        log_warn(t->log, "telemetry",
                 "spans are not taken endpoint=%s spans=%zu reason=\"%s\"",
                 t->otel.url, spans, why);
    else if (!has_failed && t->is_failing)
        log_info(t->log, "telemetry", "spans are taken again endpoint=%s",
                 t->otel.url);
    t->is_failing = has_failed;
}

/* Until it is taken, refused, or too late. */
static void deliver(struct telemetry *t, struct span body,
                    struct post_answer *answer)
{
    tstamp until = tstamp_add(poster_now(), t->otel.export_timeout), stop_by;
    duration wait = RETRY_FIRST;

    for (;;) {
        duration pause;

        (void)is_stopping(t, &stop_by);
        buf_release(answer->body); /* it may have been cut at its limit */
        buf_init(answer->body, OTLP_ANSWER_MAX, t->mem);
        poster_send(t->poster, body, tstamp_min(until, stop_by), answer);
        if (answer->result != POST_LATER)
            return;
        pause = answer->retry_after > wait ? answer->retry_after : wait;
        if (tstamp_add(poster_now(), pause) >= until ||
            !pause_until(t, poster_now() + pause))
            return;
        wait = wait < RETRY_LAST ? 2 * wait : RETRY_LAST;
    }
}

/* The two clocks are never read at the same instant: only when they were set
 * apart is the difference another, or a child might begin before its parent. */
static int64_t to_unix(struct telemetry *t)
{
    struct timespec wall;
    int64_t now, apart;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    now = (int64_t)((uint64_t)wall.tv_sec * SECONDS + (uint64_t)wall.tv_nsec -
                    poster_now());
    apart = now > t->to_unix ? now - t->to_unix : t->to_unix - now;
    if (apart > CLOCKS_APART)
        t->to_unix = now;
    return t->to_unix;
}

static void count_taken(struct telemetry *t, struct span body, size_t n)
{
    uint64_t refused = otlp_refused(body, t->mem);

    if (refused > n)
        refused = n;
    count(&t->refused, refused);
    count(&t->exported, n - refused);
}

static void send_batch(struct telemetry *t, const struct queued *batch,
                       size_t n)
{
    struct buf body, told;
    struct post_answer answer = {.body = &told};
    enum err err;

    buf_init(&body, OTLP_BODY_MAX, t->mem);
    buf_init(&told, OTLP_ANSWER_MAX, t->mem);
    err = otlp_encode(&t->sender, batch, n, to_unix(t), t->mem, &body);
    if (err != OK) {
        count(&t->memory, n);
    } else {
        deliver(t, buf_span(&body), &answer);
        tell(t, answer.result != POST_TAKEN, answer.why, n);
        if (answer.result == POST_TAKEN)
            count_taken(t, buf_span(&told), n);
        else
            count(answer.result == POST_REFUSED ? &t->refused : &t->failed, n);
    }
    buf_release(&body);
    buf_release(&told);
}

static void *run(void *arg)
{
    struct telemetry *t = arg;
    struct queued *batch;
    tstamp stop_by;
    size_t n;

    while ((batch = next_batch(t, &n)) != NULL) {
        if (is_stopping(t, &stop_by) && poster_now() >= stop_by)
            count(&t->failed, n);
        else
            send_batch(t, batch, n);
        queued_free(t->mem, batch);
    }
    return NULL;
}

/* ---- Starting and stopping. ---- */

static void release(struct telemetry *t)
{
    poster_free(t->poster);
    notes_release(&t->notes);
    backlog_release(&t->queue);
    mem_free(t->mem, t);
}

enum err telemetry_start(const struct telemetry_config *config,
                         struct telemetry **out)
{
    struct telemetry *t = mem_try_zero(config->mem, sizeof(*t));
    char why[LIBCURL_WHY_MAX];
    enum err err;

    if (t == NULL)
        return ERR_NOMEM;
    if (libcurl_load(why) != OK) {
        log_error(config->log, "telemetry",
                  "spans go nowhere, libcurl cannot be loaded reason=\"%s\"",
                  why);
        mem_free(config->mem, t);
        return ERR_IO;
    }
    t->mem = config->mem;
    t->log = config->log;
    t->otel = *config->otel;
    (void)snprintf(t->instance, sizeof(t->instance), "%s", config->instance);
    t->sender = (struct otlp_sender){&t->otel, config->version, t->instance};
    backlog_init(&t->queue, t->otel.queue_max, t->otel.batch_max, t->mem);
    notes_init(&t->notes, t->mem);
    err = poster_new(&t->otel, config->version, &t->poster);
    if (err == OK && pthread_create(&t->thread, NULL, run, t) != 0)
        err = ERR_LIMIT;
    if (err != OK) {
        release(t);
        return err;
    }
    log_info(t->log, "telemetry", "spans go to endpoint=%s", t->otel.url);
    *out = t;
    return OK;
}

void telemetry_stop(struct telemetry *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->queue.lock);
    t->is_stopping = true;
    t->stop_by = poster_now() + STOP_WITHIN;
    (void)pthread_cond_signal(&t->queue.grown);
    pthread_mutex_unlock(&t->queue.lock);
    poster_hurry(t->poster, t->stop_by);
    (void)pthread_join(t->thread, NULL);
    release(t);
}
