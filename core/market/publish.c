/* SPDX-License-Identifier: Apache-2.0 */
#include "market/publish.h"

#include "crypto/ed25519.h"
#include "market/check.h"

/* The last of 2^53 integers that a record may hold as its sequence. */
#define SEQUENCE_MAX (UINT64_C(1) << 53)

/* What is known, and what is to become of it. */
struct decision {
    const struct publish_facts *facts;
    const struct ed25519_keypair *key; /* NULL: nothing is signed here */
    struct peer_id us;                 /* len 0 without a key */
    struct peer_id publisher;          /* of the records at hand */
    const struct semver *version;      /* the one at hand */
    bool is_yanked;                    /* and what it will be */
    struct record_version *versions;   /* all, with it as it will be */
    size_t version_count;
    uint64_t sequence; /* the highest known or made */
    wall_ms wall;
    const struct mem *mem;
    struct publish_result *result;
};

void publish_result_release(struct publish_result *r)
{
    record_release(&r->version);
    record_release(&r->head);
    *r = (struct publish_result){0};
}

void publish_publisher(const struct record *input,
                       const struct ed25519_keypair *key, struct peer_id *out)
{
    *out = (struct peer_id){0};
    if (input->is_signed)
        *out = input->publisher;
    else if (key != NULL)
        peer_id_from_ed25519(out, key->pub);
}

/* The index of |version| among the facts; their count: it is new. */
static size_t find_version(const struct publish_facts *facts,
                           const struct semver *version)
{
    size_t i = 0;

    while (i < facts->version_count &&
           semver_cmp(&facts->versions[i].version, version) != 0)
        i++;
    return i;
}

static bool is_head(const struct publish_facts *facts,
                    const struct semver *version)
{
    return facts->head != NULL &&
           semver_cmp(&facts->head->version, version) == 0;
}

/* Is |a| a better head than |b|, both not yanked? */
static bool is_better_head(const struct semver *a, const struct semver *b)
{
    struct record_version pair[2] = {{.version = *b}, {.version = *a}};

    return record_choose_head(pair, 2) == 1;
}

size_t publish_next_head(const struct publish_facts *facts,
                         const struct semver *version, bool is_yanked)
{
    const struct semver *best = is_yanked ? NULL : version;
    size_t found = is_yanked ? SIZE_MAX : facts->version_count;

    for (size_t i = 0; i < facts->version_count; i++) {
        const struct record_version *v = &facts->versions[i];

        if (v->is_yanked || semver_cmp(&v->version, version) == 0)
            continue;
        if (best == NULL || is_better_head(&v->version, best)) {
            best = &v->version;
            found = i;
        }
    }
    if (found == SIZE_MAX && (facts->head == NULL || is_head(facts, version)))
        found = facts->version_count;
    return found;
}

/* ---- The parts of a decision. ---- */

static enum err decision_init(struct decision *d,
                              const struct publish_facts *facts,
                              const struct ed25519_keypair *key,
                              const struct record *at_hand, bool is_yanked,
                              wall_ms wall, struct publish_result *result)
{
    size_t at = find_version(facts, &at_hand->version);
    uint64_t seen = facts->sequence_seen;

    *d = (struct decision){.facts = facts,
                           .key = key,
                           .version = &at_hand->version,
                           .is_yanked = is_yanked,
                           .wall = wall,
                           .mem = at_hand->bytes.mem,
                           .result = result};
    if (key != NULL)
        peer_id_from_ed25519(&d->us, key->pub);
    publish_publisher(at_hand, key, &d->publisher);

    if (facts->head != NULL && facts->head->sequence > seen)
        seen = facts->head->sequence;
    if (facts->same != NULL && facts->same->sequence > seen)
        seen = facts->same->sequence;
    d->sequence = seen;

    d->versions = mem_try(d->mem, NULL,
                          (facts->version_count + 1) * sizeof(*d->versions));
    if (d->versions == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < facts->version_count; i++)
        d->versions[i] = facts->versions[i];
    d->versions[at] = (struct record_version){at_hand->version, is_yanked};
    d->version_count = facts->version_count + (at == facts->version_count);
    return OK;
}

/* spec: docs/PROTOCOLS.md: max(stored, highest seen in a look-up, unix ms) + 1
 */
static enum err next_sequence(struct decision *d, uint64_t *out)
{
    if (d->wall > 0 && (uint64_t)d->wall > d->sequence)
        d->sequence = (uint64_t)d->wall;
    if (d->sequence >= SEQUENCE_MAX)
        return ERR_STALE_SEQUENCE;
    *out = ++d->sequence;
    return OK;
}

/* Sign |r| as it stands, as a head or as a version only. */
static enum err seal(struct decision *d, const struct record *r,
                     const struct publish_yank *yank, bool as_head,
                     struct record *out)
{
    struct record_seal s = {
        .versions = as_head ? d->versions : NULL,
        .version_count = as_head ? d->version_count : 0,
        .is_yanked = yank ? yank->is_yanked : r->is_yanked,
        .reason = yank ? yank->reason : span_str(record_yank_reason(r)),
        .use_instead =
            yank ? yank->use_instead : span_str(record_yank_use_instead(r)),
    };

    TRY(next_sequence(d, &s.sequence));
    return record_sign(r, &s, d->key, out);
}

/* The record that is the head, where the version at hand is not. */
static const struct record *other_head(const struct decision *d, size_t next)
{
    const struct publish_facts *facts = d->facts;

    if (next == SIZE_MAX || is_head(facts, &facts->versions[next].version))
        return facts->head;
    return facts->next_head;
}

static bool is_ours(const struct decision *d, const struct record *r)
{
    return d->key != NULL && r->is_signed && peer_id_eq(&r->publisher, &d->us);
}

/* Does the present head already tell of the version at hand? */
static bool head_knows(const struct decision *d)
{
    bool is_yanked;

    return d->facts->head != NULL &&
           peer_id_eq(&d->facts->head->publisher, &d->publisher) &&
           record_lists(d->facts->head, d->version, &is_yanked) &&
           is_yanked == d->is_yanked;
}

/* Sign anew the head that is another version, because the versions changed. */
static enum err renew_other_head(struct decision *d, size_t next)
{
    const struct record *head = other_head(d, next);

    if (head == NULL)
        return ERR_INTERNAL; /* the caller did not load it */
    if (!is_ours(d, head))
        return ERR_NOT_OUR_KEY;
    TRY(seal(d, head, NULL, true, &d->result->head));
    d->result->has_head = true;
    return OK;
}

static enum err head_is_version(struct decision *d)
{
    TRY(record_copy(&d->result->version, &d->result->head));
    d->result->has_head = true;
    return OK;
}

/* Sign |r| as the version at hand, and what becomes the head by that. */
static enum err sign_version(struct decision *d, const struct record *r,
                             const struct publish_yank *yank)
{
    size_t next = publish_next_head(d->facts, d->version, d->is_yanked);
    bool becomes_head = next == d->facts->version_count;
    const struct record *other = becomes_head ? NULL : other_head(d, next);

    /* Before anything is signed: all or nothing. */
    if (other != NULL && !is_ours(d, other))
        return ERR_NOT_OUR_KEY;
    TRY(seal(d, r, yank, becomes_head, &d->result->version));
    return becomes_head ? head_is_version(d) : renew_other_head(d, next);
}

/* |input| came signed.  It stays as it is; only another record may have to
 * say that it is there. */
static enum err take_signed(struct decision *d, const struct record *input)
{
    size_t next = publish_next_head(d->facts, d->version, d->is_yanked);
    const struct record *head = d->facts->head;
    bool becomes_head = next == d->facts->version_count;
    bool tells_all = input->has_versions || d->version_count == 1;
    bool is_stale = head != NULL && input->sequence <= head->sequence &&
                    peer_id_eq(&head->publisher, &input->publisher);

    if (becomes_head && is_stale && !is_ours(d, input))
        return ERR_STALE_SEQUENCE;
    TRY(record_copy(input, &d->result->version));
    if (input->sequence > d->sequence)
        d->sequence = input->sequence;
    if (!becomes_head)
        return head_knows(d) ? OK : renew_other_head(d, next);
    if (!is_ours(d, input) || (tells_all && !is_stale))
        return head_is_version(d);
    TRY(seal(d, input, NULL, true, &d->result->head));
    d->result->has_head = true;
    return OK;
}

/* The ggen network: it stays unsigned, and there is no head to sign. */
static enum err take_unsigned(struct decision *d, const struct record *input)
{
    size_t next = publish_next_head(d->facts, d->version, false);

    TRY(record_copy(input, &d->result->version));
    return next == d->facts->version_count ? head_is_version(d) : OK;
}

static enum err take(struct decision *d, const struct record *input)
{
    if (input->is_signed)
        return take_signed(d, input);
    if (d->key == NULL)
        return take_unsigned(d, input);
    return sign_version(d, input, NULL);
}

/* The version is there already.  OK with PUBLISH_SAME: nothing to do; with
 * PUBLISH_CHANGED: |input| is a newer signature of the same content. */
static enum err compare_with_same(const struct record *input,
                                  const struct publish_facts *facts,
                                  struct publish_result *result)
{
    struct select_key new, old;

    result->outcome = PUBLISH_SAME;
    if (memcmp(facts->same->hash, input->hash, RECORD_HASH_LEN) == 0)
        return OK;
    if (!record_is_same_publish(facts->same, input))
        return ERR_VERSION_EXISTS;
    if (!input->is_signed)
        return OK;
    new = record_select_key(input);
    old = record_select_key(facts->same);
    if (select_cmp(&new, &old) > 0)
        return ERR_STALE_SEQUENCE;
    result->outcome = PUBLISH_CHANGED;
    return OK;
}

static enum err judge(struct record *input, const struct publish_facts *facts,
                      const struct peer_id *publisher,
                      struct publish_result *result)
{
    struct owner_verdict verdict;
    bool is_there =
        facts->same != NULL && peer_id_eq(&facts->same->publisher, publisher);
    bool is_new_name;

    if (input->is_signed && !input->is_verified)
        TRY(record_verify(input));
    TRY(owner_check(&input->id, publisher, &facts->owner, &verdict));
    result->pins = verdict.may_pin;
    result->outcome = PUBLISH_CREATED;
    if (is_there)
        return compare_with_same(input, facts, result);
    is_new_name = facts->version_count == 0 && facts->head == NULL;
    if (is_new_name && facts->equivalent != NULL &&
        facts->equivalent[0] != '\0')
        return ERR_NAME_EQUIVALENT;
    return OK;
}

static enum err decide(struct record *input, const struct publish_facts *facts,
                       const struct ed25519_keypair *key, wall_ms wall,
                       struct publish_result *result)
{
    struct decision d = {0};
    enum err err =
        decision_init(&d, facts, key, input, input->is_yanked, wall, result);

    if (err == OK)
        err = take(&d, input);
    result->sequence = d.sequence;
    mem_free(input->bytes.mem, d.versions);
    if (err != OK)
        publish_result_release(result);
    return err;
}

void publish_sign_ahead(struct record *input, const struct ed25519_keypair *key,
                        wall_ms wall, struct publish_result *ahead)
{
    static const struct publish_facts nothing_held;

    assert(input->is_complete);
    *ahead = (struct publish_result){0};
    if (input->is_signed)
        (void)!record_verify(input); /* it tells by is_verified */
    else if (key != NULL)
        (void)!decide(input, &nothing_held, key, wall, ahead);
}

/* Nothing is held, as was thought when |ahead| was signed. */
static bool is_right(const struct publish_result *ahead,
                     const struct publish_facts *facts)
{
    return ahead != NULL && ahead->version.is_signed &&
           facts->version_count == 0 && facts->head == NULL &&
           facts->same == NULL &&
           facts->sequence_seen < ahead->version.sequence;
}

static void take_ahead(struct publish_result *ahead,
                       struct publish_result *result)
{
    ahead->outcome = result->outcome;
    ahead->pins = result->pins;
    ahead->was_ahead = true;
    *result = *ahead;
    *ahead = (struct publish_result){0};
}

enum err publish_decide(struct record *input, const struct publish_facts *facts,
                        const struct ed25519_keypair *key, wall_ms wall,
                        struct publish_result *ahead,
                        struct publish_result *result)
{
    struct peer_id publisher;

    assert(input->is_complete);
    *result = (struct publish_result){0};
    publish_publisher(input, key, &publisher);
    TRY(judge(input, facts, &publisher, result));
    result->sequence = facts->sequence_seen;
    if (result->outcome == PUBLISH_SAME)
        return OK;
    if (!is_right(ahead, facts))
        return decide(input, facts, key, wall, result);
    take_ahead(ahead, result);
    return OK;
}

/* ---- Yank. ---- */

static enum err check_yank(const struct publish_yank *yank,
                           struct problems *problems)
{
    struct semver version;
    enum err err = OK;

    if (count_code_points(yank->reason) > RECORD_REASON_MAX) {
        problems_add(problems, "/reason", "must be at most %d characters long",
                     RECORD_REASON_MAX);
        err = ERR_SCHEMA;
    }
    if (yank->use_instead.len > 0 &&
        semver_parse(yank->use_instead, &version) != OK) {
        problems_add(problems, "/use_instead",
                     "must be a SemVer version without build metadata");
        err = ERR_SCHEMA;
    }
    return err;
}

static bool is_yanked_alike(const struct record *r,
                            const struct publish_yank *yank)
{
    if (!r->is_yanked || !yank->is_yanked)
        return r->is_yanked == yank->is_yanked;
    return span_eq(span_str(record_yank_reason(r)), yank->reason) &&
           span_eq(span_str(record_yank_use_instead(r)), yank->use_instead);
}

enum err publish_decide_yank(const struct publish_yank *yank,
                             const struct publish_facts *facts,
                             const struct ed25519_keypair *key, wall_ms wall,
                             struct publish_result *result,
                             struct problems *problems)
{
    struct publish_yank plain = *yank;
    struct decision d;
    enum err err;

    *result = (struct publish_result){.outcome = PUBLISH_CHANGED};
    if (problems != NULL)
        problems->count = 0;
    if (facts->same == NULL)
        return ERR_NOT_FOUND;
    TRY(check_yank(yank, problems));
    if (!yank->is_yanked)
        plain.reason = plain.use_instead = SPAN_NONE;

    err = decision_init(&d, facts, key, facts->same, yank->is_yanked, wall,
                        result);
    if (err == OK && !is_ours(&d, facts->same)) {
        err = ERR_NOT_OUR_KEY;
    } else if (err == OK && is_yanked_alike(facts->same, &plain)) {
        result->outcome = PUBLISH_SAME;
        d.sequence = facts->sequence_seen;
    } else if (err == OK) {
        err = sign_version(&d, facts->same, &plain);
    }
    mem_free(facts->same->bytes.mem, d.versions);
    result->sequence = d.sequence;
    if (err != OK)
        publish_result_release(result);
    return err;
}

enum err publish_accept(const struct record *have, const struct record *got)
{
    struct select_key a, b;

    if (have == NULL)
        return OK;
    /* An unsigned record never had a claim to the name. */
    if (have->is_signed && got->is_signed &&
        memcmp(have->content_hash, got->content_hash, RECORD_HASH_LEN) != 0)
        return ERR_VERSION_EXISTS;
    a = record_select_key(got);
    b = record_select_key(have);
    return select_cmp(&a, &b) < 0 ? OK : ERR_STALE_SEQUENCE;
}
