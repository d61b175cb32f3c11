/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_MAILBOX_H
#define HOST_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "souk/request.h"
#include "souk/usage.h"

/* Requests on their way to the core: many put, one takes.
 *
 *      any thread: mailbox_put(), mailbox_cancel()
 *      the core:   mailbox_take(), mailbox_take_cancel(), mailbox_done()
 *
 * A cancel may cross the end of its request.  Therefore the mailbox knows which
 * requests are alive, from put to done, and a cancel of any other is nothing:
 * no stale pointer reaches the core. */
struct ticket;

struct mailbox {
    pthread_mutex_t lock;
    struct request *first, *last; /* waiting, by request.next */
    struct ticket *alive;         /* a map by request */
    struct list cancels;          /* struct ticket.of_cancels */
    struct list taken_cancels;    /* of requests that were taken */
    size_t waiting, waiting_max;
    uint64_t refused;
    bool is_closed;
};

void mailbox_init(struct mailbox *m, size_t waiting_max);
/* Nothing may be alive any more. */
void mailbox_release(struct mailbox *m);

/* Takes |r| unless it fails.  ERR_BUSY: full; ERR_DRAINING: closed; ERR_NOMEM.
 */
MUST_USE
enum err mailbox_put(struct mailbox *m, struct request *r);
/* False: |r| has ended already, or was cancelled before. */
bool mailbox_cancel(struct mailbox *m, const struct request *r);

/* All that wait, oldest first, linked by next; NULL if none. */
struct request *mailbox_take(struct mailbox *m);
/* One that was cancelled before the last mailbox_take() and is alive; NULL if
 * none. */
struct request *mailbox_take_cancel(struct mailbox *m);
/* |r| has ended: before its done() is called. */
void mailbox_done(struct mailbox *m, const struct request *r);

/* As mailbox_cancel() of every request alive. */
void mailbox_cancel_all(struct mailbox *m);
/* Nothing is put any more; what waits can still be taken. */
void mailbox_close(struct mailbox *m);
size_t mailbox_alive(struct mailbox *m);
void mailbox_usage(struct mailbox *m, struct usage *out);

#endif /* HOST_MAILBOX_H */
