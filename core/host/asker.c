/* SPDX-License-Identifier: Apache-2.0 */
#include "host/asker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/system.h"
#include "market/query.h"
#include "tbl/limit.h"

struct queue {
    struct asked *first, *last;
};

struct asker {
    struct reader *reader;
    void (*woken)(void *ctx);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct queue waiting, answered;
    size_t searches; /* of those waiting */
    uint64_t refused;
    bool is_stopping;
};

static void queue_put(struct queue *q, struct asked *asked)
{
    asked->next = NULL;
    if (q->last != NULL)
        q->last->next = asked;
    else
        q->first = asked;
    q->last = asked;
}

static struct asked *queue_take(struct queue *q)
{
    struct asked *asked = q->first;

    if (asked != NULL) {
        q->first = asked->next;
        if (q->first == NULL)
            q->last = NULL;
    }
    return asked;
}

void asked_free(struct asked *asked)
{
    if (asked == NULL)
        return;
    hit_page_free(&asked->hits);
    outbox_page_free(&asked->outbox);
    free(asked);
}

/* ---- On the thread. ---- */

static enum err set_filter(struct query *q, const char *name, const char *value,
                           struct problems *problems)
{
    if (*value == '\0')
        return OK;
    return query_set(q, name, span_str(value), problems);
}

static enum err make_query(const struct asked *asked, struct query *q)
{
    const struct search_filter *f = &asked->filter;
    struct problems problems = {.count = 0};

    TRY(query_parse(span_str(asked->text), q, &problems));
    TRY(set_filter(q, "category", f->category, &problems));
    TRY(set_filter(q, "tag", f->tag, &problems));
    TRY(set_filter(q, "author", f->author, &problems));
    TRY(set_filter(q, "license", f->license, &problems));
    return set_filter(q, "namespace", f->namespace, &problems);
}

static enum err search(struct asker *a, struct asked *asked)
{
    struct query q;

    if (clock_now() >= asked->deadline)
        return ERR_TIMEOUT;
    TRY(make_query(asked, &q));
    return reader_hits(a->reader, &q, asked->limit, asked->wall, &asked->hits);
}

static void ask(struct asker *a, struct asked *asked)
{
    if (asked->type == ASKED_SEARCH)
        asked->err = search(a, asked);
    else
        asked->err = reader_outbox(a->reader, asked->after, asked->id,
                                   asked->limit, &asked->outbox);
}

/* NULL: the thread is to end. */
static struct asked *wait_for_one(struct asker *a)
{
    while (!a->is_stopping) {
        struct asked *asked = queue_take(&a->waiting);

        if (asked != NULL) {
            a->searches -= asked->type == ASKED_SEARCH;
            return asked;
        }
        (void)pthread_cond_wait(&a->changed, &a->lock);
    }
    return NULL;
}

static void *run(void *ctx)
{
    struct asker *a = ctx;
    struct asked *asked;

    (void)pthread_mutex_lock(&a->lock);
    while ((asked = wait_for_one(a)) != NULL) {
        (void)pthread_mutex_unlock(&a->lock);
        ask(a, asked);
        (void)pthread_mutex_lock(&a->lock);
        queue_put(&a->answered, asked);
        a->woken(a->ctx);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* ---- On the loop. ---- */

enum err asker_start(struct store *store, void (*woken)(void *ctx), void *ctx,
                     struct asker **out)
{
    struct asker *a = calloc(1, sizeof(*a));
    enum err err;

    if (a == NULL)
        return ERR_NOMEM;
    a->woken = woken;
    a->ctx = ctx;
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->changed, NULL);
    err = reader_open(store, &a->reader);
    if (err == OK && pthread_create(&a->thread, NULL, run, a) != 0) {
        reader_close(a->reader);
        err = ERR_NOMEM;
    }
    if (err != OK) {
        (void)pthread_cond_destroy(&a->changed);
        (void)pthread_mutex_destroy(&a->lock);
        free(a);
        return err;
    }
    *out = a;
    return OK;
}

static void queue_free(struct queue *q)
{
    struct asked *asked;

    while ((asked = queue_take(q)) != NULL)
        asked_free(asked);
}

void asker_stop(struct asker *a)
{
    if (a == NULL)
        return;
    (void)pthread_mutex_lock(&a->lock);
    a->is_stopping = true;
    (void)pthread_cond_signal(&a->changed);
    (void)pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->thread, NULL);
    queue_free(&a->waiting);
    queue_free(&a->answered);
    reader_close(a->reader);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

static enum err put(struct asker *a, struct asked *asked)
{
    bool is_search = asked->type == ASKED_SEARCH;
    enum err err = OK;

    (void)pthread_mutex_lock(&a->lock);
    if (is_search && a->searches >= LIMIT_READER_QUEUE_MAX) {
        a->refused++;
        err = ERR_BUSY;
    } else {
        a->searches += is_search;
        queue_put(&a->waiting, asked);
        (void)pthread_cond_signal(&a->changed);
    }
    (void)pthread_mutex_unlock(&a->lock);
    if (err != OK)
        asked_free(asked);
    return err;
}

enum err asker_search(struct asker *a, uint32_t query, const char *text,
                      const struct search_filter *filter, unsigned limit,
                      tstamp deadline, wall_ms wall)
{
    struct asked *asked = calloc(1, sizeof(*asked));

    if (asked == NULL)
        return ERR_NOMEM;
    asked->type = ASKED_SEARCH;
    asked->query = query;
    (void)snprintf(asked->text, sizeof(asked->text), "%s", text);
    asked->filter = *filter;
    asked->limit = limit;
    asked->deadline = deadline;
    asked->wall = wall;
    return put(a, asked);
}

enum err asker_outbox(struct asker *a, int64_t after, int64_t id,
                      unsigned limit)
{
    struct asked *asked = calloc(1, sizeof(*asked));

    if (asked == NULL)
        return ERR_NOMEM;
    asked->type = ASKED_OUTBOX;
    asked->after = after;
    asked->id = id;
    asked->limit = limit;
    return put(a, asked);
}

struct asked *asker_take(struct asker *a)
{
    struct asked *asked;

    (void)pthread_mutex_lock(&a->lock);
    asked = queue_take(&a->answered);
    (void)pthread_mutex_unlock(&a->lock);
    return asked;
}

void asker_usage(struct asker *a, struct usage *out)
{
    (void)pthread_mutex_lock(&a->lock);
    *out = (struct usage){.limit = LIMIT_READER_QUEUE_MAX,
                          .use = a->searches,
                          .refused = a->refused};
    (void)pthread_mutex_unlock(&a->lock);
}
