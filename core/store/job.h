/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_JOB_H
#define STORE_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/time.h"
#include "market/publish.h"
#include "market/record.h"
#include "multi/peer_id.h"
#include "node/node.h"
#include "souk/err.h"
#include "souk/request.h"

/* One thing to write, and how it ended: one object for both.
 *
 *      job_publish(…) -> job->done, job->owner -> worker_submit()
 *      store thread: does it, commits, then job->done(job), exactly once
 *      its owner: reads job->err, job->out -> job_free()
 *
 * A job without done() is freed by the worker: nobody waits for it.  Everything
 * inside is a copy and belongs to the job. */

struct ahead;

enum job_type {
    /* Somebody waits for these. */
    JOB_PUBLISH,
    JOB_YANK,
    JOB_UNYANK,
    JOB_PIN,
    JOB_FLUSH, /* nothing itself: what was written behind can be read now */
    /* Nobody waits for these, unless they have a done(): written behind. */
    JOB_ACCEPT,
    JOB_OUTBOX_DONE,
    JOB_SAVE_RECORD,
    JOB_FORGET_RECORD,
    JOB_SAVE_PROVIDER,
    JOB_FORGET_PROVIDER,
    JOB_SAVE_PEER,
    JOB_FORGET_PEER,
    JOB_SETTING,
};

struct job_out {
    enum publish_outcome outcome; /* PUBLISH, YANK, UNYANK, ACCEPT */
    int64_t outbox_id; /* PUBLISH, YANK, UNYANK; 0: nothing to announce */
    uint8_t *record; /* PUBLISH: the version's as stored; YANK …: likewise */
    size_t record_len;
    enum record_trust trust;
    char detail[160];          /* for people: why it failed, "" */
    struct problems *problems; /* YANK with ERR_SCHEMA, else NULL */
};

struct job {
    enum job_type type;
    enum err err;
    struct job_out out;

    void (*done)(struct job *job); /* on the store thread, after the commit */
    void *owner;                   /* the submitter's */
    struct job *next;              /* the queue's */
    struct ahead *ahead;           /* PUBLISH, by worker_submit(); or NULL */
    size_t bytes;                  /* counted against the queue's limit */

    /* What is to be done.  Thousands may wait, so there is memory behind the
     * member of this type only. */
    union {
        struct record publish; /* completed, maybe signed */
        struct {
            struct package_id id;
            struct semver version;
            char *reason;      /* may be NULL */
            char *use_instead; /* may be NULL */
        } yank;
        struct {
            struct package_id id;
            struct peer_id owner;
        } pin;
        struct {
            struct span bytes;
            struct peer_id from;
            enum accept_source source;
            double reputation; /* of |from| */
            bool pin;          /* an explicit get: pin its owner */
        } accept;
        int64_t outbox_id;
        struct saved_record record;
        struct saved_provider provider;
        struct saved_peer peer;
        struct {
            char name[REQUEST_TEXT_MAX + 1];
            struct span value;
        } setting;
    } in;
};

/* All return NULL when memory ends. */

/* |record|, a client's after record_parse(RECORD_INPUT) and record_complete(),
 * moves into the job and is left empty.  The store signs it with the node's key
 * if it is not signed yet.  Ends with what publish_decide() says, or
 *
 * ERR_STORE  the disk is full or failed: nothing is kept */
struct job *job_publish(struct record *record);
/* Ends with what publish_decide_yank() says, or ERR_STORE.  |reason| and
 * |use_instead| may be NULL. */
struct job *job_yank(const struct package_id *id, const struct semver *version,
                     const char *reason, const char *use_instead);
struct job *job_unyank(const struct package_id *id,
                       const struct semver *version);
/* From now on |owner| owns the namespace of |id|, if nobody does yet. */
struct job *job_pin(const struct package_id *id, const struct peer_id *owner);
/* Done when what was submitted behind before it can be read (of a queue that is
 * not longer than WORKER_BEHIND_GROUP_MAX). */
struct job *job_flush(void);

/* A record, verified (form and signature), that came from |from|.  Never pins
 * unless |pin|.  Ends with
 *
 * ERR_NOT_OWNER       another key owns the name; counted as a conflict
 * ERR_VERSION_EXISTS  other content for a version we have
 * ERR_STALE_SEQUENCE  nothing new in it
 * ERR_LIMIT           STORE_VERSIONS_MAX versions of it are held already */
struct job *job_accept(struct span bytes, const struct peer_id *from,
                       enum accept_source source, double reputation, bool pin);

/* The node's NODE_OUTBOX_DONE and NODE_SAVE_… and NODE_FORGET_… */
struct job *job_outbox_done(int64_t id);
struct job *job_save_record(const struct saved_record *r);
struct job *job_forget_record(struct span key, const struct peer_id *publisher);
struct job *job_save_provider(const struct saved_provider *p);
struct job *job_forget_provider(struct span key,
                                const struct peer_id *provider);
struct job *job_save_peer(const struct saved_peer *p);
struct job *job_forget_peer(const struct peer_id *id);
struct job *job_setting(const char *name, struct span value);

void job_free(struct job *job);
/* Whether somebody waits for it: by its type, or because it has done(). */
bool job_is_urgent(const struct job *job);

#endif /* STORE_JOB_H */
