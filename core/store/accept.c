/* SPDX-License-Identifier: Apache-2.0 */
#include "store/catalogue.h"
#include "store/precedence.h"

/* Taking in other people's records: heard by gossip, found by a search or a
 * look-up.  Form and signature were verified before; here it is decided whether
 * this node believes them and what they change. */

struct acceptance {
    struct record got;
    struct owner_verdict verdict;
    struct gathered g;
    bool pins;
};

/* Somebody else's claim to a name is counted, no more. */
static enum err refuse(struct store *s, const struct package_row *row,
                       bool *keep)
{
    s->tally.refused++;
    if (row->id == 0)
        return ERR_NOT_OWNER;
    TRY(db_run(&s->db, SQL_PACKAGE_CONFLICT, "i", row->id));
    cache_changes_package(&s->changes, &row->name);
    *keep = true;
    return ERR_NOT_OWNER;
}

/* Nobody owns the name yet: who came first stays, but a signature beats none.
 * The owner always takes its name over. */
static bool gives_way(const struct acceptance *a)
{
    if (a->verdict.is_owner)
        return true;
    return peer_id_is_none(&a->g.row.publisher) && !a->g.row.is_own;
}

static enum err check(struct store *s, const struct acceptance *a, bool *keep)
{
    const struct package_row *row = &a->g.row;

    if (a->verdict.is_conflict || (a->g.is_other && !gives_way(a)))
        return refuse(s, row, keep);
    if (!row->is_own && a->g.same_id == 0 && !a->g.is_other &&
        row->versions >= STORE_VERSIONS_MAX) {
        atomic_fetch_add(&s->shown.versions_refused, 1);
        return ERR_LIMIT;
    }
    return publish_accept(a->g.facts.same, &a->got);
}

/* A head tells of all versions; without one the best version we hold stands in
 * for it. */
static bool becomes_head(const struct acceptance *a)
{
    const struct gathered *g = &a->g;
    struct select_key got = record_select_key(&a->got), have;

    if (g->facts.head == NULL)
        return true;
    if (a->got.has_versions && !g->row.head_is_full)
        return true;
    if (a->got.has_versions) {
        have = record_select_key(g->facts.head);
        return select_cmp(&got, &have) < 0;
    }
    return !g->row.head_is_full &&
           publish_next_head(&g->facts, &a->got.version, a->got.is_yanked) ==
               g->facts.version_count;
}

/* An old copy of a version cannot undo what a later head said of it. */
static bool is_yanked_by_now(const struct acceptance *a)
{
    const struct record *head = a->g.facts.head;
    bool is_yanked;

    if (head != NULL && a->got.sequence < head->sequence &&
        record_lists(head, &a->got.version, &is_yanked))
        return is_yanked;
    return a->got.is_yanked;
}

/* What a new head says of the versions we hold. */
static enum err mark_versions(struct store *s, const struct record *head,
                              int64_t package)
{
    struct record_version v;
    struct precedence key;

    for (size_t i = 0; record_version_at(head, i, &v); i++)
        TRY(db_run(&s->db, SQL_VERSION_MARK, "isii", package,
                   precedence_encode(&v.version, &key), (int64_t)v.is_yanked,
                   (int64_t)head->sequence));
    return OK;
}

static enum err take(struct store *s, struct job *job, struct acceptance *a,
                     wall_ms wall)
{
    bool is_head = becomes_head(a);
    struct change change = {
        .id = &a->got.id,
        .publisher = &a->got.publisher,
        .version = &a->got,
        .is_yanked = is_yanked_by_now(a),
        .head = is_head ? &a->got : NULL,
        .is_own = peer_id_eq(&a->got.publisher, &s->self),
        .sequence = a->got.sequence,
        .reputation = job->in.accept.reputation,
        .trust = a->verdict.trust,
        .wall = wall,
    };
    struct changed ids;

    job->out.trust = a->verdict.trust;
    job->out.outcome = a->g.same_id ? PUBLISH_CHANGED : PUBLISH_CREATED;
    TRY(catalogue_change(s, &a->g, &change, &ids));
    if (is_head && a->g.row.id != 0 && !a->g.is_other)
        TRY(mark_versions(s, &a->got, ids.package));
    return OK;
}

/* The same bytes again: still good. */
static enum err confirm(struct store *s, struct job *job,
                        const struct acceptance *a, wall_ms wall)
{
    enum { HEARD_STEP_MS = 60 * 1000 };

    job->out.outcome = PUBLISH_SAME;
    job->out.trust = a->verdict.trust;
    if (wall - a->g.row.heard < HEARD_STEP_MS)
        return OK;
    cache_changes_package(&s->changes, &a->got.id);
    return db_run(&s->db, SQL_PACKAGE_HEARD, "ii", a->g.row.id, (int64_t)wall);
}

static enum err judge(struct store *s, struct job *job, struct acceptance *a,
                      wall_ms wall)
{
    const struct record *r = &a->got;

    owner_judge(&r->id, &r->publisher, &a->g.facts.owner, &a->verdict);
    if (!job->in.accept.pin || !a->verdict.may_pin)
        return OK;
    TRY(catalogue_pin(s, &r->id, &r->publisher, wall));
    a->g.facts.owner.pinned = r->publisher;
    owner_judge(&r->id, &r->publisher, &a->g.facts.owner, &a->verdict);
    a->pins = true;
    return OK;
}

static enum err settle(struct store *s, struct job *job, struct acceptance *a,
                       wall_ms wall, bool *keep)
{
    enum err err;

    TRY(judge(s, job, a, wall));
    err = check(s, a, keep);
    if (err == OK)
        return take(s, job, a, wall);
    /* The others of the namespace follow; this one is looked at now. */
    if (err == ERR_STALE_SEQUENCE && a->pins && !a->g.is_other)
        TRY(catalogue_relist(s, &a->g.row, a->verdict.trust, wall));
    if (err == ERR_STALE_SEQUENCE &&
        memcmp(a->got.hash, a->g.same.hash, sizeof(a->got.hash)) == 0)
        return confirm(s, job, a, wall);
    /* An explicit get pins also what we had already. */
    *keep = *keep || (a->pins && err == ERR_STALE_SEQUENCE);
    return err;
}

enum err catalogue_accept(struct store *s, struct job *job, wall_ms wall,
                          bool *keep)
{
    struct acceptance a = {.pins = false};
    unsigned flags =
        s->network && s->network->accepts_unsigned ? RECORD_UNSIGNED_OK : 0;
    enum err err;

    TRY(record_parse(&a.got, job->in.accept.bytes, flags, s->mem, NULL));
    a.got.is_verified = a.got.is_signed;
    err = gather(s, &a.got.id, &a.got.version, &a.got.publisher,
                 a.got.is_yanked, &a.g);
    if (err == OK) {
        err = settle(s, job, &a, wall, keep);
        gathered_release(&a.g);
    }
    record_release(&a.got);
    return err;
}
