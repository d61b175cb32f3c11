/* SPDX-License-Identifier: Apache-2.0 */
#include "store/perform.h"

#include "store/catalogue.h"
#include "store/state.h"

static enum err outbox_done(struct store *s, int64_t id)
{
    TRY(db_run(&s->db, SQL_OUTBOX_DONE, "i", id));
    s->tally.outbox -= sqlite3_changes64(s->db.handle);
    return OK;
}

static enum err do_job(struct store *s, struct job *job, wall_ms wall,
                       bool *keep)
{
    switch (job->type) {
    case JOB_PUBLISH:
        return catalogue_publish(s, job, wall);
    case JOB_YANK:
    case JOB_UNYANK:
        return catalogue_yank(s, job, wall);
    case JOB_PIN:
        return catalogue_pin(s, &job->in.pin.id, &job->in.pin.owner, wall);
    case JOB_FLUSH:
        return OK;
    case JOB_ACCEPT:
        return catalogue_accept(s, job, wall, keep);
    case JOB_OUTBOX_DONE:
        return outbox_done(s, job->in.outbox_id);
    case JOB_SAVE_RECORD:
        return state_put_record(&s->db, &job->in.record);
    case JOB_FORGET_RECORD:
        return state_forget_record(&s->db, &job->in.record);
    case JOB_SAVE_PROVIDER:
        return state_put_provider(&s->db, &job->in.provider);
    case JOB_FORGET_PROVIDER:
        return state_forget_provider(&s->db, &job->in.provider);
    case JOB_SAVE_PEER:
        return state_put_peer(&s->db, &job->in.peer);
    case JOB_FORGET_PEER:
        return state_forget_peer(&s->db, &job->in.peer.reputation.peer);
    case JOB_SETTING:
        return db_run(&s->db, SQL_SETTING_PUT, "ts", job->in.setting.name,
                      job->in.setting.value);
    }
    return ERR_INTERNAL;
}

/* When memory ends inside FTS5, SQLite rolls back while FTS5 is still at it,
 * and FTS5 then keeps row counts of 0 for good: later deletions find the index
 * "corrupt".  Any rollback that it takes part in makes it look them up again.
 */
static enum err index_settle(struct store *s)
{
    enum err err;

    if (!s->index_is_confused)
        return OK;
    TRY(db_run(&s->db, SQL_BEGIN, ""));
    err = db_run(&s->db, SQL_WORDS_TOUCH, "");
    if (!sqlite3_get_autocommit(s->db.handle))
        db_try(&s->db, SQL_ROLLBACK);
    s->index_is_confused = err != OK;
    return err;
}

/* Whether what is to be kept can be, for /readyz and the operator. */
static void tell(struct store *s, enum err err)
{
    bool did = atomic_load(&s->shown.writes);

    atomic_store(&s->shown.writes, err == OK);
    s->db.is_failing = err != OK; /* told once, not at each try */
    if (err != OK)
        atomic_fetch_add(&s->shown.failures, 1);
    if (err != OK && did)
        log_error(s->log, "store",
                  "nothing can be written path=%s reason=\"%s\"",
                  s->path ? s->path : "memory", err_text(err));
    else if (err == OK && !did)
        log_info(s->log, "store", "writes work again path=%s",
                 s->path ? s->path : "memory");
}

enum err txn_begin(struct store *s, struct txn *t)
{
    enum err err = index_settle(s);

    t->tally = s->tally;
    t->is_proof = !atomic_load(&s->shown.writes);
    if (err == OK)
        err = db_run(&s->db, SQL_BEGIN, "");
    if (err != OK)
        tell(s, err);
    return err;
}

static void txn_undo(struct store *s, const struct txn *t)
{
    if (!sqlite3_get_autocommit(s->db.handle))
        db_try(&s->db, SQL_ROLLBACK);
    s->index_is_confused = true;
    index_ops_truncate(s, 0);
    memset(&s->changes, 0, sizeof(s->changes));
    s->tally = t->tally;
}

enum err txn_end(struct store *s, const struct txn *t, enum err err)
{
    if (err == OK)
        err = listing_index(s);
    /* Nothing, or little, can be written to a full disk, too. */
    if (err == OK && t->is_proof)
        err = db_run(&s->db, SQL_SETTING_PROVE, "");
    if (err == OK)
        err = db_run(&s->db, SQL_COMMIT, "");
    if (err == OK && t->is_proof)
        db_try(&s->db, SQL_SETTING_PROVED);
    tell(s, err);
    if (err != OK) {
        txn_undo(s, t);
        return err;
    }
    /* Answers that lists behind this commit gave are stale with it. */
    listing_indexed(s);
    shown_update(s);
    cache_apply(s->cache, &s->changes);
    return OK;
}

/* One job inside the transaction.  An error returned here ends the whole
 * transaction; a job's own is in job->err. */
static enum err do_guarded(struct store *s, struct job *job, wall_ms wall)
{
    struct tally tally = s->tally;
    size_t ops = s->ops.count;
    bool keep = false;

    TRY(db_run(&s->db, SQL_SAVEPOINT, ""));
    job->err = do_job(s, job, wall, &keep);
    /* SQLite gives a whole transaction up when, say, the disk is full. */
    if (sqlite3_get_autocommit(s->db.handle))
        return job->err ? job->err : ERR_STORE;
    if (job->err != OK && !keep) {
        TRY(db_run(&s->db, SQL_UNDO, ""));
        index_ops_truncate(s, ops);
        tally.refused = s->tally.refused;
        s->tally = tally;
    }
    return db_run(&s->db, SQL_RELEASE, "");
}

/* Nobody may take for done what was not committed. */
static void fail_all(struct job *const *jobs, size_t count, enum err err)
{
    for (size_t i = 0; i < count; i++) {
        if (jobs[i]->err == OK)
            jobs[i]->err = err;
        jobs[i]->out.outbox_id = 0;
    }
}

/* Only what somebody waits for must outlive a power failure once it is
 * answered; what is written behind may be a checkpoint older then, and asks no
 * disk to hurry.  The database is whole in either case, and after kill -9
 * nothing is missing. */
static bool must_last(struct job *const *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (job_is_urgent(jobs[i]) && jobs[i]->type != JOB_FLUSH)
            return true;
    return false;
}

static enum err sync_set(struct store *s, bool is_synced)
{
    if (s->is_synced == is_synced)
        return OK;
    TRY(db_exec(&s->db, is_synced ? "PRAGMA synchronous=FULL"
                                  : "PRAGMA synchronous=NORMAL"));
    s->is_synced = is_synced;
    return OK;
}

void store_perform(struct store *s, struct job *const *jobs, size_t count,
                   wall_ms wall)
{
    struct txn t;
    enum err err = sync_set(s, must_last(jobs, count));

    if (err != OK)
        tell(s, err);
    else
        err = txn_begin(s, &t);
    if (err != OK) {
        fail_all(jobs, count, err);
        return;
    }
    for (size_t i = 0; i < count && err == OK; i++)
        err = do_guarded(s, jobs[i], wall);
    err = txn_end(s, &t, err);
    if (err != OK)
        fail_all(jobs, count, err);
}
