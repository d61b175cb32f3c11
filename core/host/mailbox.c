/* SPDX-License-Identifier: Apache-2.0 */
#include "host/mailbox.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

struct ticket {
    struct request *request;
    struct list of_cancels;
    bool was_cancelled;
    UT_hash_handle hh;
};

void mailbox_init(struct mailbox *m, size_t waiting_max)
{
    assert(waiting_max > 0);
    *m = (struct mailbox){.waiting_max = waiting_max};
    (void)pthread_mutex_init(&m->lock, NULL);
    list_init(&m->cancels);
    list_init(&m->taken_cancels);
}

void mailbox_release(struct mailbox *m)
{
    assert(MAP_COUNT(m->alive) == 0);
    (void)pthread_mutex_destroy(&m->lock);
}

static struct ticket *find(struct mailbox *m, const struct request *r)
{
    struct ticket *t;

    MAP_FIND(m->alive, &r, sizeof(r), t);
    return t;
}

static enum err enqueue(struct mailbox *m, struct request *r, struct ticket *t)
{
    if (m->is_closed)
        return ERR_DRAINING;
    if (m->waiting >= m->waiting_max) {
        m->refused++;
        return ERR_BUSY;
    }
    t->request = r;
    MAP_ADD(m->alive, &t->request, sizeof(t->request), t);
    r->next = NULL;
    if (m->last != NULL)
        m->last->next = r;
    else
        m->first = r;
    m->last = r;
    m->waiting++;
    return OK;
}

enum err mailbox_put(struct mailbox *m, struct request *r)
{
    struct ticket *t = calloc(1, sizeof(*t));
    enum err err;

    if (t == NULL)
        return ERR_NOMEM;
    list_init(&t->of_cancels);
    (void)pthread_mutex_lock(&m->lock);
    err = enqueue(m, r, t);
    (void)pthread_mutex_unlock(&m->lock);
    if (err != OK)
        free(t);
    return err;
}

static bool cancel(struct mailbox *m, struct ticket *t)
{
    if (t->was_cancelled)
        return false;
    t->was_cancelled = true;
    list_push_back(&m->cancels, &t->of_cancels);
    return true;
}

bool mailbox_cancel(struct mailbox *m, const struct request *r)
{
    struct ticket *t;
    bool is_new;

    (void)pthread_mutex_lock(&m->lock);
    t = find(m, r);
    is_new = t != NULL && cancel(m, t);
    (void)pthread_mutex_unlock(&m->lock);
    return is_new;
}

void mailbox_cancel_all(struct mailbox *m)
{
    struct ticket *t, *tmp;

    (void)pthread_mutex_lock(&m->lock);
    MAP_FOR_EACH(m->alive, t, tmp)
        (void)cancel(m, t);
    (void)pthread_mutex_unlock(&m->lock);
}

struct request *mailbox_take(struct mailbox *m)
{
    struct request *all;

    (void)pthread_mutex_lock(&m->lock);
    all = m->first;
    m->first = m->last = NULL;
    m->waiting = 0;
    LIST_FOR_EACH(l, &m->cancels) {
        list_remove(l);
        list_push_back(&m->taken_cancels, l);
    }
    (void)pthread_mutex_unlock(&m->lock);
    return all;
}

struct request *mailbox_take_cancel(struct mailbox *m)
{
    struct request *r = NULL;
    struct list *l;

    (void)pthread_mutex_lock(&m->lock);
    l = list_pop_front(&m->taken_cancels);
    if (l != NULL)
        r = LIST_ENTRY(l, struct ticket, of_cancels)->request;
    (void)pthread_mutex_unlock(&m->lock);
    return r;
}

void mailbox_done(struct mailbox *m, const struct request *r)
{
    struct ticket *t;

    (void)pthread_mutex_lock(&m->lock);
    t = find(m, r);
    assert(t != NULL); /* ends once */
    MAP_DEL(m->alive, t);
    list_remove(&t->of_cancels);
    (void)pthread_mutex_unlock(&m->lock);
    free(t);
}

void mailbox_close(struct mailbox *m)
{
    (void)pthread_mutex_lock(&m->lock);
    m->is_closed = true;
    (void)pthread_mutex_unlock(&m->lock);
}

size_t mailbox_alive(struct mailbox *m)
{
    size_t count;

    (void)pthread_mutex_lock(&m->lock);
    count = MAP_COUNT(m->alive);
    (void)pthread_mutex_unlock(&m->lock);
    return count;
}

void mailbox_usage(struct mailbox *m, struct usage *out)
{
    (void)pthread_mutex_lock(&m->lock);
    *out = (struct usage){
        .limit = m->waiting_max,
        .use = m->waiting,
        .refused = m->refused,
    };
    (void)pthread_mutex_unlock(&m->lock);
}
