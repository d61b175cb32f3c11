/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_PUBLISH_H
#define MARKET_PUBLISH_H

#include "market/owner.h"
#include "market/record.h"

/* What happens when somebody publishes, yanks or unyanks: a decision over
 * facts the store gathered, made inside its transaction.
 *
 *      record_parse(RECORD_INPUT), record_complete()
 *                │                facts: owner, pin, versions, head …
 *                │ (publish_sign_ahead())     │
 *                ▼                            ▼
 *      publish_decide() ─► err, or outcome + records to store and announce
 *
 * The caller stores |version| under its version and, if |has_head|, |head| as
 * the package's head (often the same bytes).  Nothing here is remembered. */

struct publish_facts {
    struct owner_facts owner;
    /* All versions this node holds by the publisher at hand, yanked ones too;
     * any order. */
    const struct record_version *versions;
    size_t version_count;
    /* The stored record of the version at hand; NULL: there is none. */
    const struct record *same;
    const struct record *head; /* the present head; NULL: none */
    /* The record of publish_next_head(), where that is neither the version at
     * hand nor the present head; else NULL. */
    const struct record *next_head;
    /* The highest among the publisher's records of the package, stored or met
     * in a look-up.  Others' do not count: theirs may be anything. */
    uint64_t sequence_seen;
    /* The name of a package that differs from this one only in - and _;
     * "" if there is none.  Matters only for a new package. */
    const char *equivalent;
};

enum publish_outcome {
    PUBLISH_CREATED, /* a new version: 201 */
    PUBLISH_CHANGED, /* a version we have, newly signed or (un)yanked: 200 */
    PUBLISH_SAME,    /* nothing to do: 200 with |same| */
};

struct publish_result {
    enum publish_outcome outcome;
    bool pins;             /* the name is now the publisher's: pin it */
    bool has_head;         /* |head| replaces the present head */
    bool was_ahead;        /* publish_sign_ahead() made it */
    uint64_t sequence;     /* the highest now known or used: store it */
    struct record version; /* empty for PUBLISH_SAME */
    struct record head;
};
void publish_result_release(struct publish_result *r);

/* Whose records the facts are about: who signed |input|, else who will. */
void publish_publisher(const struct record *input,
                       const struct ed25519_keypair *key, struct peer_id *out);

/* Which version is the head once |version| is there (and yanked or not)?  Its
 * index in facts->versions; version_count: it is |version| itself, also when
 * all are yanked and |version| is the head; SIZE_MAX: all are yanked, and the
 * present head stays.  Load facts->next_head by this. */
size_t publish_next_head(const struct publish_facts *facts,
                         const struct semver *version, bool is_yanked);

/* What publish_decide() will sign if nothing is held of the package: the costly
 * part of a publish, for a thread that cannot know what is held.  |ahead| stays
 * empty where there is nothing to sign, or no memory; a signature that |input|
 * came with is looked at instead.  |wall| is what the sequence begins with. */
void publish_sign_ahead(struct record *input, const struct ed25519_keypair *key,
                        wall_ms wall, struct publish_result *ahead);

/* |input| is complete.  |key| signs what is not signed yet; NULL: the network
 * takes unsigned records and this stays one.  |ahead| is publish_sign_ahead()'s
 * or NULL; where it is right it moves into |result|, which is filled on OK
 * only.
 *
 * In this order (openapi.yaml):
 * ERR_BAD_SIGNATURE    the given signature does not verify
 * ERR_NOT_OWNER        the name is another key's
 * ERR_VERSION_EXISTS   the version is there with other content
 * ERR_STALE_SEQUENCE   a signed record older than what is there
 * ERR_NAME_EQUIVALENT  a new name too like |equivalent|
 * ERR_NOT_OUR_KEY      the head must be re-signed, and is another's
 * ERR_RECORD_SIZE, ERR_NOMEM */
MUST_USE
enum err publish_decide(struct record *input, const struct publish_facts *facts,
                        const struct ed25519_keypair *key, wall_ms wall,
                        struct publish_result *ahead,
                        struct publish_result *result);

struct publish_yank {
    bool is_yanked; /* false: undo it */
    struct span reason;
    struct span use_instead; /* SemVer text or empty */
};

/* Yank or unyank facts->same.  Yanking what is yanked with the same words is
 * PUBLISH_SAME.
 *
 * ERR_NOT_FOUND        no such version
 * ERR_SCHEMA           use_instead is no version, reason too long
 * ERR_NOT_OUR_KEY      another key signed it
 * ERR_RECORD_SIZE, ERR_NOMEM */
MUST_USE
enum err publish_decide_yank(const struct publish_yank *yank,
                             const struct publish_facts *facts,
                             const struct ed25519_keypair *key, wall_ms wall,
                             struct publish_result *result,
                             struct problems *problems);

/* A record from the network against what the catalogue holds of the same
 * version by the same publisher.  OK: take it (it is newer, or new);
 * ERR_VERSION_EXISTS: other content at the same version, refuse it;
 * ERR_STALE_SEQUENCE: the same or older, nothing to do. */
MUST_USE
enum err publish_accept(const struct record *have, const struct record *got);

#endif /* MARKET_PUBLISH_H */
