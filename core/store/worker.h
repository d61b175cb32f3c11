/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_WORKER_H
#define STORE_WORKER_H

#include "store/job.h"
#include "store/store.h"

/* The one thread that writes.  It takes whatever waits, up to a bound, does it
 * in one transaction, commits durably and only then calls each job's done():
 * one fsync serves as many publishes as came in during the one before.
 *
 *                                           [urgent] ──┐
 *      any thread ── worker_submit(job) ──► [soon]   ──┼► store_perform()
 *                                           [behind] ──┘
 *
 * Urgent jobs (somebody waits) go first, and with them only what has waited its
 * time: WORKER_SOON_MS for records of others, WORKER_BEHIND_MS for all else
 * that nobody waits for.  Records of others are to be found as soon as they are
 * heard of: when nothing is urgent they do not wait either.  When there is
 * nothing to write it does the store's background work in small steps.
 */
struct worker;

enum {
    WORKER_URGENT_MAX = 4096,             /* jobs waiting; then ERR_BUSY */
    WORKER_BEHIND_MAX = 65536,            /* of soon and of behind each */
    WORKER_BYTES_MAX = 128 * 1024 * 1024, /* of all queues */
    WORKER_GROUP_MAX = 512,               /* urgent jobs a transaction */
    WORKER_BEHIND_GROUP_MAX = 512,        /* and of the others each */
    WORKER_SOON_MS = 2, /* a transaction takes as long, others gather then */
    WORKER_BEHIND_MS = 250,
};

/* The clock the worker stamps transactions with; any thread. */
typedef wall_ms (*worker_clock)(void *ctx);

/* Starts the thread, which owns |store| until worker_stop().  ERR_NOMEM. */
MUST_USE
enum err worker_start(struct store *store, worker_clock clock, void *clock_ctx,
                      struct worker **out);

/* Takes |job| unless it fails.
 *
 * ERR_BUSY      the queue is full: 503 with Retry-After
 * ERR_DRAINING  worker_stop() was called */
MUST_USE
enum err worker_submit(struct worker *w, struct job *job);

/* Does all that waits, commits, ends the thread.  The store stays open. */
void worker_stop(struct worker *w);

struct worker_status {
    size_t urgent, behind, bytes; /* waiting now */
    /* ERR_BUSY so far, for want of a place, or of memory. */
    uint64_t urgent_refused, behind_refused, bytes_refused;
    uint64_t commits, jobs; /* done so far */
};
void worker_status(struct worker *w, struct worker_status *out);

#endif /* STORE_WORKER_H */
