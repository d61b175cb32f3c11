/* SPDX-License-Identifier: Apache-2.0 */
#include "store/catalogue.h"

#include "store/precedence.h"

void package_row_read(const struct db *db, enum sql id, struct package_row *out)
{
    memset(out, 0, sizeof(*out));
    out->id = db_int(db, id, 0);
    column_peer(db, id, 1, &out->publisher);
    out->is_own = db_int(db, id, 2) != 0;
    out->conflicts = db_int(db, id, 3);
    out->sequence = db_int(db, id, 4);
    out->head_version = db_int(db, id, 5);
    out->head_sequence = db_int(db, id, 6);
    out->head_is_full = db_int(db, id, 7) != 0;
    out->versions = db_int(db, id, 8);
    out->bytes = db_int(db, id, 9);
    out->heard = db_int(db, id, 10);
    out->reputation = db_double(db, id, 11);
    out->slot = db_int(db, id, 12);
    snprintf(out->name.ns, sizeof(out->name.ns), "%s", db_text(db, id, 13));
    snprintf(out->name.name, sizeof(out->name.name), "%s", db_text(db, id, 14));
}

/* ---- Who owns what. ---- */

enum err facts_of_owner(struct db *db, const struct store *s,
                        const struct package_id *id, struct owner_facts *out)
{
    bool has_row;
    enum err err;

    *out = (struct owner_facts){0};
    for (size_t i = 0; i < s->trust_count; i++)
        if (strcmp(s->trust[i].namespace, id->ns) == 0)
            out->trusted = s->trust[i].owner;
    err = db_query(db, SQL_PIN_GET, &has_row, "t", id->ns);
    if (err == OK && has_row)
        err = peer_id_decode(&out->pinned, db_blob(db, SQL_PIN_GET, 0));
    db_done(db, SQL_PIN_GET);
    return err;
}

/* The whole namespace is the owner's from now on (docs/PROTOCOLS.md); what is
 * held of it is judged anew in the background. */
static enum err pin(struct store *s, const struct package_id *id,
                    const struct peer_id *owner, wall_ms wall)
{
    int64_t others;

    TRY(db_run(&s->db, SQL_PIN_PUT, "tsi", id->ns, peer_id_span(owner),
               (int64_t)wall));
    TRY(db_get_int(&s->db, SQL_PACKAGE_OTHERS_OF_NS, 0, &others, "tt", id->ns,
                   id->name));
    if (others == 0)
        return OK;
    s->chores.is_owed = true;
    return db_run(&s->db, SQL_REJUDGE_PUT, "t", id->ns);
}

enum err catalogue_pin(struct store *s, const struct package_id *id,
                       const struct peer_id *owner, wall_ms wall)
{
    struct owner_facts facts;
    struct owner_verdict verdict;

    TRY(facts_of_owner(&s->db, s, id, &facts));
    TRY(owner_check(id, owner, &facts, &verdict));
    if (!verdict.may_pin)
        return OK;
    TRY(pin(s, id, owner, wall));
    s->chores.is_owed = true;
    return db_run(&s->db, SQL_REJUDGE_PUT, "t", id->ns);
}

/* ---- Gathering. ---- */

/* What the store holds was checked when it came. */
static enum err parse_stored(struct store *s, struct span bytes,
                             struct record *out)
{
    enum err err = record_parse(out, bytes, RECORD_UNSIGNED_OK, s->mem, NULL);

    if (err != OK && err != ERR_NOMEM) {
        log_error(s->log, "store", "a stored record does not parse: %s",
                  err_text(err));
        return ERR_STORE_CORRUPT;
    }
    return err;
}

enum err catalogue_head(struct store *s, int64_t package, struct record *out)
{
    bool has_row;
    enum err err =
        db_query(&s->db, SQL_PACKAGE_HEAD_BYTES, &has_row, "i", package);

    if (err == OK && !has_row)
        err = ERR_STORE_CORRUPT;
    if (err == OK)
        err = parse_stored(s, db_blob(&s->db, SQL_PACKAGE_HEAD_BYTES, 5), out);
    db_done(&s->db, SQL_PACKAGE_HEAD_BYTES);
    return err;
}

static enum err load_version(struct store *s, int64_t package,
                             const struct semver *version, struct record *out,
                             int64_t *id)
{
    struct precedence key;
    bool has_row;
    enum err err = db_query(&s->db, SQL_VERSION_FIND, &has_row, "is", package,
                            precedence_encode(version, &key));

    *id = 0;
    if (err == OK && has_row) {
        *id = db_int(&s->db, SQL_VERSION_FIND, 0);
        err = parse_stored(s, db_blob(&s->db, SQL_VERSION_FIND, 5), out);
    }
    db_done(&s->db, SQL_VERSION_FIND);
    return err;
}

static enum err read_versions(struct store *s, struct gathered *g, size_t max)
{
    bool has_row;

    TRY(db_query(&s->db, SQL_VERSION_LIST, &has_row, "i", g->row.id));
    while (has_row && g->facts.version_count < max) {
        struct record_version *v = &g->versions[g->facts.version_count];

        TRY(precedence_decode(db_blob(&s->db, SQL_VERSION_LIST, 0),
                              &v->version));
        v->is_yanked = db_int(&s->db, SQL_VERSION_LIST, 1) != 0;
        g->facts.version_count++;
        TRY(db_next(&s->db, SQL_VERSION_LIST, &has_row));
    }
    return OK;
}

static enum err load_versions(struct store *s, struct gathered *g)
{
    size_t max = (size_t)g->row.versions;
    enum err err;

    g->versions = mem_try(s->mem, NULL, (max + 1) * sizeof(*g->versions));
    if (g->versions == NULL)
        return ERR_NOMEM;
    err = read_versions(s, g, max);
    db_done(&s->db, SQL_VERSION_LIST);
    g->facts.versions = g->versions;
    return err;
}

static enum err load_row(struct store *s, const struct package_id *id,
                         struct package_row *row)
{
    bool has_row;
    enum err err =
        db_query(&s->db, SQL_PACKAGE_FIND, &has_row, "tt", id->ns, id->name);

    if (err == OK && has_row)
        package_row_read(&s->db, SQL_PACKAGE_FIND, row);
    db_done(&s->db, SQL_PACKAGE_FIND);
    return err;
}

static enum err load_equivalent(struct store *s, const struct package_id *id,
                                struct gathered *g)
{
    char fold[PACKAGE_TEXT_MAX];
    bool has_row;
    enum err err = db_query(&s->db, SQL_PACKAGE_FOLD, &has_row, "ttt",
                            package_id_fold_dashes(id, fold), id->ns, id->name);

    if (err == OK && has_row)
        snprintf(g->equivalent, sizeof(g->equivalent), "%s",
                 db_text(&s->db, SQL_PACKAGE_FOLD, 0));
    db_done(&s->db, SQL_PACKAGE_FOLD);
    g->facts.equivalent = g->equivalent;
    return err;
}

static enum err load_next_head(struct store *s, struct gathered *g,
                               const struct semver *version, bool is_yanked)
{
    size_t next = publish_next_head(&g->facts, version, is_yanked);
    int64_t id;

    if (next >= g->facts.version_count ||
        semver_cmp(&g->versions[next].version, &g->head.version) == 0)
        return OK;
    TRY(load_version(s, g->row.id, &g->versions[next].version, &g->next_head,
                     &id));
    g->facts.next_head = id ? &g->next_head : NULL;
    return OK;
}

static enum err load_held(struct store *s, struct gathered *g,
                          const struct semver *version, bool is_yanked)
{
    TRY(load_versions(s, g));
    TRY(load_version(s, g->row.id, version, &g->same, &g->same_id));
    if (g->same_id != 0) {
        g->facts.same = &g->same;
        g->same_len = buf_len(&g->same.bytes);
    }
    TRY(catalogue_head(s, g->row.id, &g->head));
    g->facts.head = &g->head;
    return load_next_head(s, g, version, is_yanked);
}

static enum err gather_all(struct store *s, const struct package_id *id,
                           const struct semver *version,
                           const struct peer_id *publisher, bool is_yanked,
                           struct gathered *g)
{
    TRY(facts_of_owner(&s->db, s, id, &g->facts.owner));
    TRY(load_row(s, id, &g->row));
    if (g->row.id == 0)
        return load_equivalent(s, id, g);
    g->is_other = publisher && !peer_id_eq(publisher, &g->row.publisher);
    if (g->is_other)
        return OK; /* nor does its sequence count: it may be anything */
    g->facts.sequence_seen = (uint64_t)g->row.sequence;
    return load_held(s, g, version, is_yanked);
}

enum err gather(struct store *s, const struct package_id *id,
                const struct semver *version, const struct peer_id *publisher,
                bool is_yanked, struct gathered *g)
{
    enum err err;

    memset(g, 0, sizeof(*g));
    g->mem = s->mem;
    err = gather_all(s, id, version, publisher, is_yanked, g);
    if (err != OK)
        gathered_release(g);
    return err;
}

void gathered_release(struct gathered *g)
{
    record_release(&g->same);
    record_release(&g->head);
    record_release(&g->next_head);
    mem_free(g->mem, g->versions);
    g->versions = NULL;
}

/* ---- Writing. ---- */

static enum err put_version(struct store *s, const struct gathered *g,
                            const struct change *c, int64_t package,
                            int64_t *id)
{
    struct precedence key;
    struct span bytes = buf_span(&c->version->bytes);

    if (g->same_id != 0) {
        *id = g->same_id;
        return db_run(&s->db, SQL_VERSION_UPDATE, "iiiis", *id,
                      (int64_t)c->is_yanked, (int64_t)c->version->sequence,
                      (int64_t)c->version->updated_at, bytes);
    }
    *id = s->tally.next_version++;
    s->tally.versions++;
    return db_run(&s->db, SQL_VERSION_INSERT, "iisiiis", *id, package,
                  precedence_encode(&c->version->version, &key),
                  (int64_t)c->is_yanked, (int64_t)c->version->sequence,
                  (int64_t)c->version->updated_at, bytes);
}

static enum err find_version(struct store *s, int64_t package,
                             const struct semver *version, int64_t *id)
{
    struct precedence key;

    TRY(db_get_int(&s->db, SQL_VERSION_ID, 0, id, "is", package,
                   precedence_encode(version, &key)));
    return *id ? OK : ERR_STORE_CORRUPT;
}

/* The head's own bytes, where its version's row has others. */
static struct span head_bytes(const struct change *c)
{
    if (memcmp(c->head->hash, c->version->hash, RECORD_HASH_LEN) == 0)
        return SPAN_NONE;
    return buf_span(&c->head->bytes);
}

/* What the network is told that an own package can be found by. */
static const char *terms_text(const struct change *c, bool is_own,
                              char out[AHEAD_TERMS_MAX])
{
    out[0] = '\0';
    if (is_own && c->ahead != NULL)
        return c->ahead->terms;
    if (is_own)
        ahead_terms(c->head, out);
    return out;
}

static enum err insert_package(struct store *s, const struct change *c,
                               const struct changed *ids,
                               const struct package_row *row)
{
    char fold[PACKAGE_TEXT_MAX], terms[AHEAD_TERMS_MAX];

    assert(c->head != NULL);
    s->tally.packages++;
    s->tally.own += c->is_own;
    return db_run(&s->db, SQL_PACKAGE_INSERT, "itttsiiiiiiiidits", ids->package,
                  c->id->ns, c->id->name, package_id_fold_dashes(c->id, fold),
                  peer_id_span(c->publisher), (int64_t)c->is_own, row->sequence,
                  ids->version, (int64_t)c->head->sequence,
                  (int64_t)c->head->has_versions, row->versions, row->bytes,
                  (int64_t)c->wall, c->reputation, row->slot,
                  terms_text(c, c->is_own, terms), head_bytes(c));
}

static enum err update_head(struct store *s, const struct change *c,
                            const struct changed *ids, bool is_own)
{
    char terms[AHEAD_TERMS_MAX];
    int64_t version = ids->version;

    if (semver_cmp(&c->head->version, &c->version->version) != 0)
        TRY(find_version(s, ids->package, &c->head->version, &version));
    return db_run(&s->db, SQL_PACKAGE_HEAD, "iiiits", ids->package, version,
                  (int64_t)c->head->sequence, (int64_t)c->head->has_versions,
                  terms_text(c, is_own, terms), head_bytes(c));
}

static enum err update_package(struct store *s, const struct change *c,
                               const struct changed *ids,
                               const struct package_row *was,
                               const struct package_row *row)
{
    s->tally.own += row->is_own - was->is_own;
    if (c->head != NULL)
        TRY(update_head(s, c, ids, row->is_own));
    return db_run(&s->db, SQL_PACKAGE_UPDATE, "iiiiiidi", ids->package,
                  (int64_t)row->is_own, row->sequence, row->versions,
                  row->bytes, (int64_t)c->wall, row->reputation, row->slot);
}

/* Once all versions are yanked the package is no more to be searched for. */
static enum err list(struct store *s, const struct change *c, int64_t package,
                     const struct package_row *row, int64_t *slot)
{
    struct listing_source source = {.package = package,
                                    .slot = *slot,
                                    .trust = c->trust,
                                    .is_own = row->is_own,
                                    .reputation = c->reputation};

    if (c->head == NULL)
        return OK;
    if (!c->head->is_yanked)
        return listing_put(s, &source, c->head,
                           c->ahead ? &c->ahead->listing : NULL, c->wall, slot);
    TRY(listing_drop(s, *slot));
    *slot = 0;
    return OK;
}

/* The head shares its bytes with the version that is about to get others. */
static enum err part_head(struct store *s, const struct gathered *g,
                          const struct change *c)
{
    if (c->head != NULL || g->same_id == 0 || g->same_id != g->row.head_version)
        return OK;
    return db_run(&s->db, SQL_PACKAGE_PART_HEAD, "is", g->row.id,
                  buf_span(&g->head.bytes));
}

static int64_t others_bytes(const struct package_row *row)
{
    return row->is_own ? 0 : row->bytes;
}

enum err catalogue_change(struct store *s, const struct gathered *g,
                          const struct change *c, struct changed *out)
{
    static const struct package_row none;
    const struct package_row *was = g->is_other ? &none : &g->row;
    struct package_row row = *was;
    bool is_new = was->id == 0;

    if (g->is_other)
        TRY(catalogue_remove(s, &g->row));
    out->package = is_new ? s->tally.next_package++ : was->id;
    TRY(part_head(s, g, c));
    TRY(put_version(s, g, c, out->package, &out->version));
    row.is_own = was->is_own || c->is_own;
    row.reputation = c->reputation;
    row.versions += g->same_id == 0;
    row.bytes += (int64_t)buf_len(&c->version->bytes) - (int64_t)g->same_len;
    if ((int64_t)c->sequence > row.sequence)
        row.sequence = (int64_t)c->sequence;
    TRY(list(s, c, out->package, &row, &row.slot));
    s->tally.others_bytes += others_bytes(&row) - others_bytes(was);
    cache_changes_package(&s->changes, c->id);
    if (is_new)
        return insert_package(s, c, out, &row);
    return update_package(s, c, out, was, &row);
}

enum err catalogue_remove(struct store *s, const struct package_row *row)
{
    int64_t pending;

    TRY(listing_drop(s, row->slot));
    TRY(db_run(&s->db, SQL_OUTBOX_DROP, "i", row->id));
    pending = sqlite3_changes64(s->db.handle);
    TRY(db_run(&s->db, SQL_VERSION_DELETE_ALL, "i", row->id));
    TRY(db_run(&s->db, SQL_PACKAGE_DELETE, "i", row->id));
    s->tally.outbox -= pending;
    s->tally.packages--;
    s->tally.versions -= row->versions;
    s->tally.own -= row->is_own;
    s->tally.others_bytes -= others_bytes(row);
    cache_changes_package(&s->changes, &row->name);
    return OK;
}

enum err catalogue_relist(struct store *s, const struct package_row *row,
                          enum record_trust trust, wall_ms wall)
{
    struct listing_source source = {.package = row->id,
                                    .slot = row->slot,
                                    .trust = trust,
                                    .is_own = row->is_own,
                                    .reputation = row->reputation};
    struct record head = {0};
    int64_t slot = row->slot;
    enum err err;

    if (row->slot == 0)
        return OK;
    TRY(catalogue_head(s, row->id, &head));
    err = listing_put(s, &source, &head, NULL, wall, &slot);
    record_release(&head);
    if (err == OK)
        err = db_run(&s->db, SQL_PACKAGE_SLOT, "ii", row->id, slot);
    cache_changes_package(&s->changes, &row->name);
    return err;
}

/* ---- Publish and yank. ---- */

static enum err answer(struct job *job, const struct record *record)
{
    struct span bytes = buf_span(&record->bytes);

    assert(bytes.data != NULL);
    job->out.record = mem_try(&mem_libc, NULL, bytes.len + 1);
    if (job->out.record == NULL)
        return ERR_NOMEM;
    memcpy(job->out.record, bytes.data, bytes.len);
    job->out.record_len = bytes.len;
    return OK;
}

static enum err announce(struct store *s, const struct changed *ids,
                         int64_t *outbox_id)
{
    if (s->tally.outbox >= s->outbox_max) {
        atomic_fetch_add(&s->shown.outbox_refused, 1);
        return ERR_BUSY;
    }
    *outbox_id = s->tally.next_outbox++;
    s->tally.outbox++;
    return db_run(&s->db, SQL_OUTBOX_PUT, "iii", *outbox_id, ids->package,
                  ids->version);
}

/* The trust of what was just published: it may have pinned the name. */
static enum record_trust trust_after(const struct gathered *g,
                                     const struct record *r, bool pins)
{
    struct owner_facts facts = g->facts.owner;
    struct owner_verdict verdict;

    if (pins)
        facts.pinned = r->publisher;
    owner_judge(&r->id, &r->publisher, &facts, &verdict);
    return verdict.trust;
}

static enum err write_result(struct store *s, struct job *job,
                             const struct gathered *g,
                             const struct publish_result *result, wall_ms wall)
{
    const struct record *r = &result->version;
    struct change change = {.id = &r->id,
                            .publisher = &r->publisher,
                            .version = r,
                            .is_yanked = r->is_yanked,
                            .head = result->has_head ? &result->head : NULL,
                            .ahead = result->was_ahead ? job->ahead : NULL,
                            .is_own = true,
                            .sequence = result->sequence,
                            .reputation = 1,
                            .trust = trust_after(g, r, result->pins),
                            .wall = wall};
    struct changed ids;

    job->out.trust = change.trust;
    TRY(catalogue_change(s, g, &change, &ids));
    if (result->pins)
        TRY(pin(s, &r->id, &r->publisher, wall));
    TRY(announce(s, &ids, &job->out.outbox_id));
    return answer(job, r);
}

static enum err same_again(struct store *s, struct job *job,
                           const struct gathered *g)
{
    job->out.trust = trust_after(g, &g->same, false);
    TRY(db_get_int(&s->db, SQL_OUTBOX_OF, 0, &job->out.outbox_id, "ii",
                   g->row.id, g->same_id));
    return answer(job, &g->same);
}

static enum err write_outcome(struct store *s, struct job *job,
                              const struct gathered *g,
                              const struct publish_result *result, wall_ms wall)
{
    job->out.outcome = result->outcome;
    if (result->outcome == PUBLISH_SAME)
        return same_again(s, job, g);
    return write_result(s, job, g, result, wall);
}

static void explain(struct job *job, enum err err, const struct gathered *g)
{
    char peer[PEER_ID_TEXT_MAX];
    struct peer_id owner;

    if (err == ERR_NAME_EQUIVALENT)
        snprintf(job->out.detail, sizeof(job->out.detail), "%s exists",
                 g->equivalent);
    if (err != ERR_NOT_OWNER)
        return;
    owner_of(&job->in.publish.id, &g->facts.owner, &owner);
    snprintf(job->out.detail, sizeof(job->out.detail), "%s belongs to %s",
             job->in.publish.id.ns, peer_id_format(&owner, peer));
}

enum err catalogue_publish(struct store *s, struct job *job, wall_ms wall)
{
    struct publish_result *ahead = job->ahead ? &job->ahead->result : NULL;
    struct record *input = &job->in.publish;
    struct publish_result result;
    struct peer_id publisher;
    struct gathered g;
    enum err err;

    publish_publisher(input, &s->identity, &publisher);
    TRY(gather(s, &input->id, &input->version, &publisher, input->is_yanked,
               &g));
    err = publish_decide(input, &g.facts, &s->identity, wall, ahead, &result);
    if (err == OK) {
        err = write_outcome(s, job, &g, &result, wall);
        if (ahead != NULL && result.was_ahead)
            *ahead = result; /* to be freed by who made it, or to try again */
        else
            publish_result_release(&result);
    } else {
        explain(job, err, &g);
    }
    gathered_release(&g);
    return err;
}

static struct span text_or_none(const char *text)
{
    return text ? span_str(text) : SPAN_NONE;
}

enum err catalogue_yank(struct store *s, struct job *job, wall_ms wall)
{
    struct publish_yank yank = {
        .is_yanked = job->type == JOB_YANK,
        .reason = text_or_none(job->in.yank.reason),
        .use_instead = text_or_none(job->in.yank.use_instead),
    };
    struct publish_result result;
    struct problems problems = {0};
    struct gathered g;
    enum err err;

    TRY(gather(s, &job->in.yank.id, &job->in.yank.version, NULL, yank.is_yanked,
               &g));
    err = publish_decide_yank(&yank, &g.facts, &s->identity, wall, &result,
                              &problems);
    if (err == OK) {
        err = write_outcome(s, job, &g, &result, wall);
        publish_result_release(&result);
    } else if (problems.count > 0) {
        job->out.problems = mem_try(&mem_libc, NULL, sizeof(problems));
        if (job->out.problems != NULL)
            *job->out.problems = problems;
    }
    gathered_release(&g);
    return err;
}
