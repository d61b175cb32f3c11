/* SPDX-License-Identifier: Apache-2.0 */
#include "market/publish.h"

#include "record_fixture.h"

enum { NODE = 1, ALICE = 2, BOB = 3 };

/* What a store would hold of one package. */
struct world {
    struct publish_facts facts;
    struct record_version versions[8];
    struct record records[8]; /* of those versions */
    size_t count;
    struct record head;
};

static void world_release(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        record_release(&w->records[i]);
    record_release(&w->head);
}

static struct record *world_find(struct world *w, const struct semver *v)
{
    for (size_t i = 0; i < w->count; i++)
        if (semver_cmp(&w->versions[i].version, v) == 0)
            return &w->records[i];
    return NULL;
}

/* The facts about |v|, as a store gathers them. */
static void world_look(struct world *w, const struct semver *v, bool is_yanked)
{
    size_t next;

    w->facts.versions = w->versions;
    w->facts.version_count = w->count;
    w->facts.same = world_find(w, v);
    w->facts.head = w->head.json ? &w->head : NULL;
    next = publish_next_head(&w->facts, v, is_yanked);
    w->facts.next_head =
        next < w->count ? world_find(w, &w->versions[next].version) : NULL;
}

/* Store what was decided, checking it as a stranger would. */
static void check_stored(const struct record *r)
{
    struct record again;

    assert_ok(record_parse(&again, buf_span(&r->bytes), RECORD_SIGNED_ONLY,
                           &mem_libc, NULL));
    assert_ok(record_verify(&again));
    assert_memory_equal(&again.version, &r->version, sizeof(r->version));
    assert_string_equal(again.id.ns, r->id.ns);
    assert_string_equal(again.id.name, r->id.name);
    assert_true(peer_id_eq(&again.publisher, &r->publisher));
    assert_int_equal(again.is_yanked, r->is_yanked);
    assert_int_equal(again.has_versions, r->has_versions);
    assert_true(again.sequence == r->sequence);
    assert_true(again.created_at == r->created_at);
    assert_true(again.updated_at == r->updated_at);
    assert_memory_equal(again.hash, r->hash, RECORD_HASH_LEN);
    assert_memory_equal(again.content_hash, r->content_hash, RECORD_HASH_LEN);
    record_release(&again);
}

static void world_store(struct world *w, struct publish_result *result)
{
    if (result->version.json != NULL) {
        struct record *at = world_find(w, &result->version.version);

        check_stored(&result->version);
        if (at == NULL) {
            at = &w->records[w->count];
            w->versions[w->count++].version = result->version.version;
        } else {
            record_release(at);
        }
        w->versions[at - w->records].is_yanked = result->version.is_yanked;
        *at = result->version;
        result->version = (struct record){0};
    }
    if (result->has_head) {
        check_stored(&result->head);
        assert_true(result->head.has_versions);
        record_release(&w->head);
        w->head = result->head;
        result->head = (struct record){0};
    }
    if (result->pins)
        w->facts.owner.pinned = w->head.publisher;
    w->facts.sequence_seen = result->sequence;
    publish_result_release(result);
}

static enum err decide(struct world *w, struct record *input, uint8_t key,
                       struct publish_result *result)
{
    struct ed25519_keypair keys = fixture_key(key);

    world_look(w, &input->version, input->is_yanked);
    return publish_decide(input, &w->facts, key ? &keys : NULL, FIXTURE_WALL,
                          NULL, result);
}

/* Publish ns/name at |version| unsigned, on the node with |key|. */
static enum err publish(struct world *w, const char *version, const char *more,
                        uint8_t key, enum publish_outcome *outcome)
{
    struct publish_result result;
    struct record input;
    enum err err;

    fixture_input(&input, "ns/name", version, more);
    err = decide(w, &input, key, &result);
    if (err == OK) {
        *outcome = result.outcome;
        world_store(w, &result);
    } else {
        assert_null(result.version.json);
        assert_null(result.head.json);
    }
    record_release(&input);
    return err;
}

static void must_publish(struct world *w, const char *version)
{
    enum publish_outcome outcome;

    assert_ok(publish(w, version, "", NODE, &outcome));
    assert_int_equal(PUBLISH_CREATED, outcome);
}

static enum err yank(struct world *w, const char *version, bool is_yanked,
                     const char *reason, enum publish_outcome *outcome)
{
    struct publish_yank y = {.is_yanked = is_yanked,
                             .reason = span_str(reason)};
    struct ed25519_keypair key = fixture_key(NODE);
    struct publish_result result;
    struct semver v;
    enum err err;

    assert_ok(semver_parse(span_str(version), &v));
    world_look(w, &v, is_yanked);
    err = publish_decide_yank(&y, &w->facts, &key, FIXTURE_WALL, &result, NULL);
    if (err == OK) {
        *outcome = result.outcome;
        world_store(w, &result);
    }
    return err;
}

static void must_yank(struct world *w, const char *version, bool is_yanked)
{
    enum publish_outcome outcome;

    assert_ok(yank(w, version, is_yanked, "", &outcome));
    assert_int_equal(PUBLISH_CHANGED, outcome);
}

/* The head's version and its list: "1.1.0: 1.1.0 !1.0.0". */
static void assert_head(const struct world *w, const char *want)
{
    char text[256], version[SEMVER_TEXT_MAX];
    struct record_version v;
    size_t n;

    n = (size_t)snprintf(text, sizeof(text),
                         "%s%s:", w->head.is_yanked ? "!" : "",
                         semver_format(&w->head.version, version));
    for (size_t i = 0; record_version_at(&w->head, i, &v); i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, " %s%s",
                              v.is_yanked ? "!" : "",
                              semver_format(&v.version, version));
    assert_string_equal(want, text);
    assert_true(record_versions_total(&w->head) == w->count);
}

/* ---- Versions and the head. ---- */

static void the_head_is_not_the_newest_or_lists_too_little(void **state)
{
    struct world w = {0};
    uint64_t before;

    (void)state;
    must_publish(&w, "1.0.0-rc.1");
    assert_head(&w, "1.0.0-rc.1: 1.0.0-rc.1");
    assert_span_equal(buf_span(&w.head.bytes), buf_span(&w.records[0].bytes));
    must_publish(&w, "1.0.0");
    assert_head(&w, "1.0.0: 1.0.0 1.0.0-rc.1");
    must_publish(&w, "2.0.0-a");
    assert_head(&w, "1.0.0: 2.0.0-a 1.0.0 1.0.0-rc.1");
    before = w.head.sequence;
    must_publish(&w, "0.9.0");
    assert_head(&w, "1.0.0: 2.0.0-a 1.0.0 1.0.0-rc.1 0.9.0");
    assert_true(w.head.sequence > before);
    assert_true(w.facts.sequence_seen == w.head.sequence);
    world_release(&w);
}

static void a_yank_leaves_the_head_or_cannot_be_undone(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    must_publish(&w, "1.0.0");
    must_publish(&w, "1.1.0");
    must_yank(&w, "1.1.0", true);
    assert_head(&w, "1.0.0: !1.1.0 1.0.0");
    must_yank(&w, "1.0.0", true);
    /* All are yanked: the last head stays, marked. */
    assert_head(&w, "!1.0.0: !1.1.0 !1.0.0");
    assert_ok(yank(&w, "1.0.0", true, "broken", &outcome));
    assert_int_equal(PUBLISH_CHANGED, outcome);
    assert_string_equal("broken", record_yank_reason(&w.head));
    assert_ok(yank(&w, "1.0.0", true, "broken", &outcome));
    assert_int_equal(PUBLISH_SAME, outcome);
    /* The other one changes its words: the marked head stays marked. */
    assert_ok(yank(&w, "1.1.0", true, "worse", &outcome));
    assert_head(&w, "!1.0.0: !1.1.0 !1.0.0");
    assert_string_equal("broken", record_yank_reason(&w.head));
    must_yank(&w, "1.1.0", false);
    assert_head(&w, "1.1.0: 1.1.0 !1.0.0");
    assert_ok(yank(&w, "1.1.0", false, "", &outcome));
    assert_int_equal(PUBLISH_SAME, outcome);
    assert_err(ERR_NOT_FOUND, yank(&w, "3.0.0", true, "", &outcome));
    world_release(&w);
}

static void every_re_signing_does_not_raise_the_sequence(void **state)
{
    struct world w = {0};
    uint64_t last = 0;

    (void)state;
    w.facts.sequence_seen = FIXTURE_WALL + 1000; /* met in a look-up */
    for (int i = 0; i < 4; i++) {
        if (i == 0)
            must_publish(&w, "1.0.0");
        else
            must_yank(&w, "1.0.0", i % 2 != 0);
        assert_true(w.head.sequence > last);
        assert_true(w.records[0].sequence <= w.head.sequence);
        last = w.head.sequence;
    }
    assert_true(last == FIXTURE_WALL + 1004);
    world_release(&w);
}

static void the_clock_does_not_count_for_the_sequence(void **state)
{
    struct world w = {0};

    (void)state;
    must_publish(&w, "1.0.0");
    assert_true(w.head.sequence == FIXTURE_WALL + 1);
    world_release(&w);
}

/* ---- Publishing again. ---- */

static void publishing_again_is_refused_or_changes_something(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    must_publish(&w, "1.0.0");
    assert_ok(publish(&w, "1.0.0", "", NODE, &outcome));
    assert_int_equal(PUBLISH_SAME, outcome);
    assert_err(ERR_VERSION_EXISTS,
               publish(&w, "1.0.0", ",\"title\":\"x\"", NODE, &outcome));
    must_yank(&w, "1.0.0", true);
    assert_ok(publish(&w, "1.0.0", "", NODE, &outcome));
    assert_int_equal(PUBLISH_SAME, outcome);
    assert_head(&w, "!1.0.0: !1.0.0");
    world_release(&w);
}

static void the_nodes_own_signed_record_is_not_the_same_again(void **state)
{
    struct world w = {0};
    struct publish_result result;
    struct record input;

    (void)state;
    must_publish(&w, "1.0.0");
    assert_ok(record_parse(&input, buf_span(&w.head.bytes), RECORD_INPUT,
                           &mem_libc, NULL));
    assert_ok(decide(&w, &input, NODE, &result));
    assert_int_equal(PUBLISH_SAME, result.outcome);
    publish_result_release(&result);
    record_release(&input);
    world_release(&w);
}

/* ---- Records signed elsewhere. ---- */

static enum err publish_signed(struct world *w, const char *version,
                               const char *more, uint8_t signer,
                               uint64_t sequence, enum publish_outcome *outcome)
{
    struct ed25519_keypair key = fixture_key(signer);
    struct publish_result result;
    struct record input;
    struct span bytes;
    enum err err;

    fixture_signed(&input, "ns/name", version, more, &key, sequence);
    bytes = buf_span(&input.bytes);
    err = decide(w, &input, NODE, &result);
    if (err == OK) {
        *outcome = result.outcome;
        if (result.outcome != PUBLISH_SAME)
            assert_span_equal(bytes, buf_span(&result.version.bytes));
        world_store(w, &result);
    }
    record_release(&input);
    return err;
}

static void a_record_signed_by_its_owner_is_altered_or_refused(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;
    struct peer_id alice;

    (void)state;
    fixture_peer(ALICE, &alice);
    assert_ok(publish_signed(&w, "1.0.0", "", ALICE, 10, &outcome));
    assert_int_equal(PUBLISH_CREATED, outcome);
    assert_true(peer_id_eq(&alice, &w.facts.owner.pinned));
    assert_ok(publish_signed(&w, "1.0.0", "", ALICE, 10, &outcome));
    assert_int_equal(PUBLISH_SAME, outcome);
    assert_ok(publish_signed(&w, "1.0.0", "", ALICE, 11, &outcome));
    assert_int_equal(PUBLISH_CHANGED, outcome);
    assert_err(ERR_STALE_SEQUENCE,
               publish_signed(&w, "1.0.0", "", ALICE, 10, &outcome));
    assert_err(
        ERR_VERSION_EXISTS,
        publish_signed(&w, "1.0.0", ",\"title\":\"x\"", ALICE, 12, &outcome));
    assert_ok(publish_signed(&w, "1.1.0", "", ALICE, 12, &outcome));
    assert_err(ERR_STALE_SEQUENCE,
               publish_signed(&w, "1.2.0", "", ALICE, 12, &outcome));
    /* An older version: the head would have to tell of it. */
    assert_err(ERR_NOT_OUR_KEY,
               publish_signed(&w, "0.9.0", "", ALICE, 13, &outcome));
    world_release(&w);
}

static void an_older_version_its_head_tells_of_is_refused(void **state)
{
    struct ed25519_keypair key = fixture_key(ALICE);
    struct record_version versions[] = {{{1, 0, 0, ""}, false},
                                        {{0, 9, 0, ""}, false}};
    struct record_seal seal = {
        .sequence = 10, .versions = versions, .version_count = 2};
    struct publish_result result;
    struct record input, head;
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    fixture_input(&input, "ns/name", "1.0.0", "");
    assert_ok(record_sign(&input, &seal, &key, &head));
    assert_ok(decide(&w, &head, NODE, &result));
    world_store(&w, &result);
    assert_ok(publish_signed(&w, "0.9.0", "", ALICE, 9, &outcome));
    assert_int_equal(PUBLISH_CREATED, outcome);
    assert_true(w.head.sequence == 10);
    record_release(&head);
    record_release(&input);
    world_release(&w);
}

static void an_own_record_signed_by_hand_leaves_the_head_behind(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    must_publish(&w, "1.0.0");
    /* It lists only itself and its sequence is old, but the key is ours. */
    assert_ok(publish_signed(&w, "1.1.0", "", NODE, 5, &outcome));
    assert_head(&w, "1.1.0: 1.1.0 1.0.0");
    assert_true(w.head.sequence > FIXTURE_WALL);
    assert_ok(publish_signed(&w, "0.1.0", "", NODE, 6, &outcome));
    assert_head(&w, "1.1.0: 1.1.0 1.0.0 0.1.0");
    world_release(&w);
}

static void a_version_another_key_signed_is_yanked_here(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    assert_ok(publish_signed(&w, "1.0.0", "", ALICE, 10, &outcome));
    assert_err(ERR_NOT_OUR_KEY, yank(&w, "1.0.0", true, "", &outcome));
    world_release(&w);
}

static void
a_forged_record_is_judged_by_anything_but_its_signature(void **state)
{
    struct ed25519_keypair key = fixture_key(ALICE);
    struct world w = {0};
    struct publish_result result;
    struct record r;

    (void)state;
    /* Also of another owner, and an old version with other content. */
    must_publish(&w, "1.0.0");
    fixture_signed(&r, "ns/name", "1.0.0", ",\"title\":\"x\"", &key, 1);
    r.is_verified = false;
    assert_non_null(r.bytes.data);
    r.bytes.data[r.bytes.head + 20] ^= 1;
    assert_err(ERR_BAD_SIGNATURE, decide(&w, &r, NODE, &result));
    record_release(&r);
    world_release(&w);
}

/* ---- Owners. ---- */

static void another_owners_name_may_be_published(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    fixture_peer(BOB, &w.facts.owner.pinned);
    assert_err(ERR_NOT_OWNER, publish(&w, "1.0.0", "", NODE, &outcome));
    assert_err(ERR_NOT_OWNER,
               publish_signed(&w, "1.0.0", "", ALICE, 1, &outcome));
    assert_ok(publish_signed(&w, "1.0.0", "", BOB, 1, &outcome));
    fixture_peer(ALICE, &w.facts.owner.trusted); /* the operator's word */
    assert_err(ERR_NOT_OWNER,
               publish_signed(&w, "1.1.0", "", BOB, 2, &outcome));
    world_release(&w);
}

static void the_owner_is_not_found_in_the_order_of_the_rule(void **state)
{
    struct peer_id alice, bob, none = {0};
    char ns[PACKAGE_NAME_MAX + 1];
    struct package_id plain, own;
    struct {
        const struct package_id *id;
        const struct peer_id *publisher, *trusted, *pinned;
        enum record_trust trust;
        bool is_conflict, may_pin;
    } cases[] = {
        {&own, &alice, &none, &none, TRUST_SELF_CERTIFIED, false, false},
        {&own, &alice, &bob, &bob, TRUST_SELF_CERTIFIED, false, false},
        {&own, &bob, &bob, &bob, TRUST_SIGNED, true, false},
        {&own, &none, &none, &none, TRUST_UNVERIFIED, true, false},
        {&plain, &alice, &alice, &bob, TRUST_TRUSTED, false, false},
        {&plain, &bob, &alice, &bob, TRUST_SIGNED, true, false},
        {&plain, &bob, &none, &bob, TRUST_PINNED, false, false},
        {&plain, &alice, &none, &bob, TRUST_SIGNED, true, false},
        {&plain, &alice, &none, &none, TRUST_SIGNED, false, true},
        {&plain, &none, &none, &none, TRUST_UNVERIFIED, false, false},
        {&plain, &none, &none, &bob, TRUST_UNVERIFIED, true, false},
    };

    (void)state;
    fixture_peer(ALICE, &alice);
    fixture_peer(BOB, &bob);
    assert_true(package_ns_of(&alice, ns));
    assert_ok(package_id_set(&own, span_str(ns), SPAN_LIT("x")));
    assert_ok(package_id_set(&plain, SPAN_LIT("ns"), SPAN_LIT("x")));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct owner_facts facts = {*cases[i].trusted, *cases[i].pinned};
        struct owner_verdict v;
        enum err err = owner_check(cases[i].id, cases[i].publisher, &facts, &v);

        if (v.trust != cases[i].trust || v.may_pin != cases[i].may_pin ||
            v.is_conflict != cases[i].is_conflict ||
            (err == ERR_NOT_OWNER) != cases[i].is_conflict)
            fail_msg("case %zu: %s", i, record_trust_name(v.trust));
    }
}

static void trust_has_other_names(void **state)
{
    static const char *const names[] = {"unverified", "signed", "pinned",
                                        "trusted", "self-certified"};

    (void)state;
    for (int i = 0; i < 5; i++) {
        enum record_trust trust;

        assert_string_equal(names[i], record_trust_name((enum record_trust)i));
        assert_true(record_trust_parse(span_str(names[i]), &trust));
        assert_int_equal(i, trust);
    }
    assert_false(
        record_trust_parse(SPAN_LIT("nobody"), &(enum record_trust){0}));
}

static void a_name_too_like_another_is_published(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    w.facts.equivalent = "ns/na_me";
    assert_err(ERR_NAME_EQUIVALENT, publish(&w, "1.0.0", "", NODE, &outcome));
    w.facts.equivalent = "";
    must_publish(&w, "1.0.0");
    /* Both were there before: no reason to stop the one. */
    w.facts.equivalent = "ns/na_me";
    must_publish(&w, "1.1.0");
    world_release(&w);
}

/* Every refusal at once: they come one after the other, in openapi.yaml's
 * order. */
static void refusals_come_in_another_order(void **state)
{
    struct world w = {0};
    enum publish_outcome outcome;

    (void)state;
    assert_ok(publish_signed(&w, "1.0.0", "", ALICE, 10, &outcome));
    w.facts.equivalent = "ns/na_me";
    fixture_peer(BOB, &w.facts.owner.pinned);
    assert_err(ERR_NOT_OWNER, publish_signed(&w, "1.0.0", ",\"title\":\"x\"",
                                             ALICE, 5, &outcome));
    fixture_peer(ALICE, &w.facts.owner.pinned);
    assert_err(
        ERR_VERSION_EXISTS,
        publish_signed(&w, "1.0.0", ",\"title\":\"x\"", ALICE, 5, &outcome));
    assert_err(ERR_STALE_SEQUENCE,
               publish_signed(&w, "1.0.0", "", ALICE, 5, &outcome));
    world_release(&w);
}

static void another_keys_record_of_the_version_stands_in_the_way(void **state)
{
    struct ed25519_keypair alice = fixture_key(ALICE);
    struct world w = {0};
    struct publish_result result;
    struct record heard, input;

    (void)state;
    /* Heard by gossip: nobody's yet, and no claim to the name. */
    fixture_signed(&heard, "ns/name", "1.0.0", ",\"title\":\"x\"", &alice, 9);
    fixture_input(&input, "ns/name", "1.0.0", "");
    world_look(&w, &input.version, false);
    w.facts.same = &heard;
    {
        struct ed25519_keypair node = fixture_key(NODE);

        assert_ok(publish_decide(&input, &w.facts, &node, FIXTURE_WALL, NULL,
                                 &result));
    }
    assert_int_equal(PUBLISH_CREATED, result.outcome);
    assert_true(result.pins);
    publish_result_release(&result);
    record_release(&heard);
    record_release(&input);
    world_release(&w);
}

static void an_unsigned_record_is_signed_by_nobody(void **state)
{
    struct world w = {0};
    struct publish_result result;
    struct record input;

    (void)state;
    fixture_input(&input, "ns/name", "1.0.0", "");
    assert_ok(decide(&w, &input, 0, &result));
    assert_false(result.version.is_signed);
    assert_false(result.pins);
    assert_true(result.has_head);
    publish_result_release(&result);
    record_release(&input);
}

/* ---- Yank requests, and what the network brings. ---- */

static void a_wrong_yank_request_is_accepted(void **state)
{
    struct ed25519_keypair key = fixture_key(NODE);
    struct publish_result result;
    struct problems problems;
    struct world w = {0};
    char reason[RECORD_REASON_MAX + 2];
    struct publish_yank y = {.is_yanked = true, .reason = SPAN_OF(reason)};

    (void)state;
    memset(reason, 'x', sizeof(reason));
    must_publish(&w, "1.0.0");
    world_look(&w, &w.versions[0].version, true);
    y.reason.len = RECORD_REASON_MAX;
    assert_ok(publish_decide_yank(&y, &w.facts, &key, FIXTURE_WALL, &result,
                                  &problems));
    publish_result_release(&result);
    y.reason.len++;
    y.use_instead = SPAN_LIT("1.0");
    assert_err(ERR_SCHEMA, publish_decide_yank(&y, &w.facts, &key, FIXTURE_WALL,
                                               &result, &problems));
    assert_int_equal(2, problems.count);
    assert_string_equal("/reason", problems.list[0].pointer);
    assert_string_equal("/use_instead", problems.list[1].pointer);
    world_release(&w);
}

static void a_version_changes_its_content_or_goes_back(void **state)
{
    struct ed25519_keypair key = fixture_key(ALICE);
    struct record old, new, other, plain;

    (void)state;
    fixture_signed(&old, "ns/name", "1.0.0", "", &key, 1);
    fixture_signed(&new, "ns/name", "1.0.0", "", &key, 2);
    fixture_signed(&other, "ns/name", "1.0.0", ",\"title\":\"x\"", &key, 3);
    fixture_input(&plain, "ns/name", "1.0.0", ",\"title\":\"y\"");
    assert_ok(publish_accept(NULL, &old));
    assert_ok(publish_accept(&old, &new));
    assert_err(ERR_STALE_SEQUENCE, publish_accept(&new, &old));
    assert_err(ERR_STALE_SEQUENCE, publish_accept(&new, &new));
    assert_err(ERR_VERSION_EXISTS, publish_accept(&old, &other));
    assert_ok(publish_accept(&plain, &old));
    assert_err(ERR_STALE_SEQUENCE, publish_accept(&old, &plain));
    record_release(&old);
    record_release(&new);
    record_release(&other);
    record_release(&plain);
}

/* ---- No memory. ---- */

static struct span bytes_of(const struct record *r)
{
    return buf_span(&r->bytes);
}

/* Decide on |input| with what was signed ahead of it. */
static void decide_ahead(struct world *w, struct record *input,
                         struct publish_result *ahead,
                         struct publish_result *result)
{
    struct ed25519_keypair key = fixture_key(NODE);

    world_look(w, &input->version, false);
    assert_ok(
        publish_decide(input, &w->facts, &key, FIXTURE_WALL, ahead, result));
}

static void what_was_signed_ahead_is_not_what_would_be_signed(void **state)
{
    struct ed25519_keypair key = fixture_key(NODE);
    struct publish_result ahead, with, without;
    struct world w = {0};
    struct record input;

    (void)state;
    fixture_input(&input, "ns/name", "1.0.0", ",\"title\":\"x\"");
    publish_sign_ahead(&input, &key, FIXTURE_WALL, &ahead);
    decide_ahead(&w, &input, NULL, &without);
    decide_ahead(&w, &input, &ahead, &with);
    assert_true(with.was_ahead && !without.was_ahead);
    assert_null(ahead.version.json);
    assert_int_equal(without.outcome, with.outcome);
    assert_int_equal(without.pins, with.pins);
    assert_true(with.pins && with.has_head);
    assert_true(without.sequence == with.sequence);
    assert_true(span_eq(bytes_of(&without.version), bytes_of(&with.version)));
    assert_true(span_eq(bytes_of(&without.head), bytes_of(&with.head)));
    world_store(&w, &with);
    publish_result_release(&without);
    record_release(&input);
    world_release(&w);
}

static void what_was_signed_ahead_is_taken_where_it_is_wrong(void **state)
{
    struct ed25519_keypair key = fixture_key(NODE);
    struct publish_result ahead, result;
    struct world w = {0};
    struct record input;

    (void)state;
    /* A sequence was met that it is behind. */
    fixture_input(&input, "ns/name", "1.0.0", "");
    publish_sign_ahead(&input, &key, FIXTURE_WALL, &ahead);
    w.facts.sequence_seen = ahead.version.sequence;
    decide_ahead(&w, &input, &ahead, &result);
    assert_false(result.was_ahead);
    assert_true(result.version.sequence > ahead.version.sequence);
    assert_non_null(ahead.version.json); /* still to be released */
    world_store(&w, &result);
    publish_result_release(&ahead);
    record_release(&input);
    /* There are versions its head does not tell of. */
    fixture_input(&input, "ns/name", "1.1.0", "");
    publish_sign_ahead(&input, &key, FIXTURE_WALL + 1000, &ahead);
    decide_ahead(&w, &input, &ahead, &result);
    assert_false(result.was_ahead);
    assert_int_equal(2, record_versions_total(&result.head));
    world_store(&w, &result);
    /* It is there already. */
    decide_ahead(&w, &input, &ahead, &result);
    assert_int_equal(PUBLISH_SAME, result.outcome);
    assert_null(result.version.json);
    publish_result_release(&ahead);
    record_release(&input);
    world_release(&w);
}

static void a_signature_that_came_is_signed_over_ahead(void **state)
{
    struct ed25519_keypair node = fixture_key(NODE), alice = fixture_key(ALICE);
    struct publish_result ahead, result;
    struct world w = {0};
    struct record input;

    (void)state;
    fixture_signed(&input, "ns/name", "1.0.0", "", &alice, 9);
    input.is_verified = false;
    publish_sign_ahead(&input, &node, FIXTURE_WALL, &ahead);
    assert_true(input.is_verified);
    assert_null(ahead.version.json);
    decide_ahead(&w, &input, &ahead, &result);
    assert_false(result.was_ahead);
    assert_true(span_eq(bytes_of(&input), bytes_of(&result.version)));
    publish_result_release(&result);
    /* One that is not the publisher's. */
    fixture_peer(BOB, &input.publisher);
    publish_sign_ahead(&input, &node, FIXTURE_WALL, &ahead);
    assert_false(input.is_verified);
    assert_err(
        ERR_BAD_SIGNATURE,
        publish_decide(&input, &w.facts, &node, FIXTURE_WALL, &ahead, &result));
    record_release(&input);
    world_release(&w);
}

static void a_failed_allocation_is_not_survived(void **state)
{
    struct ed25519_keypair key = fixture_key(NODE);
    struct world w = {0};
    struct test_heap heap;
    enum err err = ERR_NOMEM;

    (void)state;
    must_publish(&w, "1.0.0");
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        struct publish_result result;
        struct record input;

        fixture_input(&input, "ns/name", "0.9.0", "");
        world_look(&w, &input.version, false);
        input.bytes.mem = w.head.bytes.mem = &heap.mem;
        test_heap_fail(&heap, nth);
        err =
            publish_decide(&input, &w.facts, &key, FIXTURE_WALL, NULL, &result);
        input.bytes.mem = w.head.bytes.mem = &mem_libc;
        assert_err(heap.count < heap.fail_at ? OK : ERR_NOMEM, err);
        publish_result_release(&result);
        assert_int_equal(0, heap.live);
        record_release(&input);
    }
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_is_not_the_newest_or_lists_too_little),
        cmocka_unit_test(a_yank_leaves_the_head_or_cannot_be_undone),
        cmocka_unit_test(every_re_signing_does_not_raise_the_sequence),
        cmocka_unit_test(the_clock_does_not_count_for_the_sequence),
        cmocka_unit_test(publishing_again_is_refused_or_changes_something),
        cmocka_unit_test(the_nodes_own_signed_record_is_not_the_same_again),
        cmocka_unit_test(a_record_signed_by_its_owner_is_altered_or_refused),
        cmocka_unit_test(an_older_version_its_head_tells_of_is_refused),
        cmocka_unit_test(an_own_record_signed_by_hand_leaves_the_head_behind),
        cmocka_unit_test(a_version_another_key_signed_is_yanked_here),
        cmocka_unit_test(
            a_forged_record_is_judged_by_anything_but_its_signature),
        cmocka_unit_test(another_owners_name_may_be_published),
        cmocka_unit_test(the_owner_is_not_found_in_the_order_of_the_rule),
        cmocka_unit_test(trust_has_other_names),
        cmocka_unit_test(a_name_too_like_another_is_published),
        cmocka_unit_test(refusals_come_in_another_order),
        cmocka_unit_test(another_keys_record_of_the_version_stands_in_the_way),
        cmocka_unit_test(an_unsigned_record_is_signed_by_nobody),
        cmocka_unit_test(a_wrong_yank_request_is_accepted),
        cmocka_unit_test(a_version_changes_its_content_or_goes_back),
        cmocka_unit_test(what_was_signed_ahead_is_not_what_would_be_signed),
        cmocka_unit_test(what_was_signed_ahead_is_taken_where_it_is_wrong),
        cmocka_unit_test(a_signature_that_came_is_signed_over_ahead),
        cmocka_unit_test(a_failed_allocation_is_not_survived),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
