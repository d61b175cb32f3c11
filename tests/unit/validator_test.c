/* SPDX-License-Identifier: Apache-2.0 */
#include "market/validator.h"

#include <stdlib.h>

#include "record_fixture.h"

static const struct network souk_net = {.key_prefix = "/souk/"};
static const struct network ggen_net = {.key_prefix = "",
                                        .accepts_unsigned = true};

static struct validator *new_validator(const struct network *net, size_t max)
{
    struct validator_config config = {.network = net, .entries_max = max};

    return validator_new(&config, &mem_libc);
}

static const char *key_of(const struct network *net, const struct record *r,
                          enum key_kind kind, char out[PACKAGE_KEY_MAX])
{
    struct package_key key;

    package_key_of(r, kind, &key);
    return package_key_format(net, &key, out);
}

static struct span bytes_of(const struct record *r)
{
    return buf_span(&r->bytes);
}

/* ---- Keys. ---- */

static void a_key_is_written_or_read_differently(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    char text[PACKAGE_KEY_MAX], want[PACKAGE_KEY_MAX], peer[PEER_ID_TEXT_MAX];
    const char *const forms[] = {"/souk/ns/name", "/souk/ns/name~%s",
                                 "/souk/ns/name@1.2.3-rc.1~%s"};
    struct record r;

    (void)state;
    fixture_signed(&r, "ns/name", "1.2.3-rc.1", "", &key, 1);
    (void)peer_id_format(&r.publisher, peer);
    for (int kind = KEY_HEAD; kind <= KEY_VERSION_OF; kind++) {
        struct package_key parsed, made;
        const char *tail = strstr(forms[kind], "%s") ? peer : "";

        (void)snprintf(want, sizeof(want), "%.*s%s",
                       (int)strcspn(forms[kind], "%"), forms[kind], tail);
        assert_string_equal(want,
                            key_of(&souk_net, &r, (enum key_kind)kind, text));
        assert_ok(package_key_parse(&souk_net, span_str(text), &parsed));
        package_key_of(&r, (enum key_kind)kind, &made);
        assert_int_equal(made.kind, parsed.kind);
        assert_true(peer_id_eq(&made.publisher, &parsed.publisher));
        assert_memory_equal(&made.id, &parsed.id, sizeof(made.id));
        assert_memory_equal(&made.version, &parsed.version,
                            sizeof(made.version));
        assert_ok(package_key_check(&parsed, &r));
    }
    assert_string_equal("ns/name", key_of(&ggen_net, &r, KEY_HEAD, text));
    record_release(&r);
}

static void the_longest_key_does_not_fit(void **state)
{
    char text[PACKAGE_KEY_MAX], pre[SEMVER_PRE_RELEASE_MAX + 1];
    struct package_key key = {.kind = KEY_VERSION_OF}, again;

    (void)state;
    memset(key.id.ns, 'n', PACKAGE_NAME_MAX);
    memset(key.id.name, 'm', PACKAGE_NAME_MAX);
    memset(pre, 'p', SEMVER_PRE_RELEASE_MAX);
    key.version = (struct semver){UINT32_MAX, UINT32_MAX, UINT32_MAX, ""};
    memcpy(key.version.pre_release, pre, SEMVER_PRE_RELEASE_MAX);
    fixture_peer(1, &key.publisher);
    (void)package_key_format(&souk_net, &key, text);
    assert_ok(package_key_parse(&souk_net, span_str(text), &again));
    assert_memory_equal(&key.version, &again.version, sizeof(key.version));
}

/* |text| with |id| for each P. */
static void with_peer(const char *text, const struct peer_id *id,
                      char out[PACKAGE_KEY_MAX])
{
    char peer[PEER_ID_TEXT_MAX];
    size_t n = 0;

    (void)peer_id_format(id, peer);
    for (; *text != '\0'; text++)
        n += (size_t)snprintf(out + n, PACKAGE_KEY_MAX - n, "%.*s",
                              *text == 'P' ? PEER_ID_TEXT_MAX : 1,
                              *text == 'P' ? peer : text);
    out[n] = '\0';
}

static void a_key_souk_never_makes_is_accepted(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"empty", ""},
        {"another namespace of keys", "/pk/ns/name"},
        {"no prefix", "ns/name"},
        {"prefix only", "/souk/"},
        {"no name", "/souk/ns/"},
        {"no slash", "/souk/nsname"},
        {"upper case", "/souk/ns/Name"},
        {"a third part", "/souk/ns/name/x"},
        {"an empty peer", "/souk/ns/name~"},
        {"no peer", "/souk/ns/name~nobody"},
        {"a version without a peer", "/souk/ns/name@1.0.0"},
        {"an empty version", "/souk/ns/name@~P"},
        {"build metadata", "/souk/ns/name@1.0.0+x~P"},
        {"a version spelt otherwise", "/souk/ns/name@01.0.0~P"},
        {"two peers", "/souk/ns/name~P~P"},
        {"a space behind", "/souk/ns/name "},
        {"a foreign tilde namespace", "/souk/~x/name"},
    };
    struct package_key key;
    char peer[PEER_ID_TEXT_MAX], text[PACKAGE_KEY_MAX];
    struct peer_id id;

    (void)state;
    fixture_peer(1, &id);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        with_peer(cases[i].text, &id, text);
        if (package_key_parse(&souk_net, span_str(text), &key) == OK)
            fail_msg("accepted: %s", cases[i].why);
    }
    /* The peer in its other text form is another place. */
    (void)snprintf(text, sizeof(text), "/souk/ns/name~%s",
                   peer_id_format_base36(&id, peer));
    assert_err(ERR_INVAL, package_key_parse(&souk_net, span_str(text), &key));
    /* The ggen network has the bare name only. */
    (void)snprintf(text, sizeof(text), "ns/name~%s", peer_id_format(&id, peer));
    assert_err(ERR_INVAL, package_key_parse(&ggen_net, span_str(text), &key));
    assert_ok(package_key_parse(&ggen_net, SPAN_LIT("ns/name"), &key));
}

/* ---- What may be stored where. ---- */

static void a_record_is_stored_under_a_foreign_key(void **state)
{
    struct ed25519_keypair one = fixture_key(1), two = fixture_key(2);
    struct validator *v = new_validator(&souk_net, 0);
    struct record mine, theirs, older, other;
    char key[PACKAGE_KEY_MAX];

    (void)state;
    fixture_signed(&mine, "ns/name", "1.1.0", "", &one, 2);
    fixture_signed(&theirs, "ns/name", "1.1.0", "", &two, 2);
    fixture_signed(&older, "ns/name", "1.0.0", "", &one, 1);
    fixture_signed(&other, "ns/other", "1.1.0", "", &one, 1);
    for (int kind = KEY_HEAD; kind <= KEY_VERSION_OF; kind++) {
        struct span k =
            span_str(key_of(&souk_net, &mine, (enum key_kind)kind, key));

        assert_ok(validator_check(v, k, bytes_of(&mine), 0));
        assert_err(kind == KEY_HEAD ? OK : ERR_WRONG_KEY,
                   validator_check(v, k, bytes_of(&theirs), 0));
        assert_err(kind == KEY_VERSION_OF ? ERR_WRONG_KEY : OK,
                   validator_check(v, k, bytes_of(&older), 0));
        assert_err(ERR_WRONG_KEY, validator_check(v, k, bytes_of(&other), 0));
    }
    assert_err(ERR_INVAL,
               validator_check(v, SPAN_LIT("/pk/x"), bytes_of(&mine), 0));
    assert_err(ERR_NOT_JSON,
               validator_check(v, SPAN_LIT("/souk/ns/name"), SPAN_LIT("x"), 0));
    record_release(&mine);
    record_release(&theirs);
    record_release(&older);
    record_release(&other);
    validator_free(v);
}

static void an_unsigned_record_is_stored_on_the_wrong_network(void **state)
{
    struct validator *souk = new_validator(&souk_net, 0);
    struct validator *ggen = new_validator(&ggen_net, 0);
    struct record r, open;
    struct peer_id publisher;

    (void)state;
    fixture_input(&r, "ns/name", "1.0.0", "");
    assert_err(ERR_UNSIGNED, validator_check(souk, SPAN_LIT("/souk/ns/name"),
                                             bytes_of(&r), 0));
    assert_ok(validator_check(ggen, SPAN_LIT("ns/name"), bytes_of(&r), 0));
    validator_publisher(ggen, bytes_of(&r), &publisher);
    assert_int_equal(0, publisher.len);
    assert_ok(validator_open(ggen, bytes_of(&r), &open, &mem_libc));
    assert_false(open.is_verified);
    record_release(&open);
    record_release(&r);
    validator_free(souk);
    validator_free(ggen);
}

/* ---- The cache. ---- */

static void a_record_is_verified_again_and_again(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct validator *v = new_validator(&souk_net, 0);
    struct validator_stats stats;
    struct peer_id publisher;
    struct record r, open;
    char text[PACKAGE_KEY_MAX];

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 1);
    for (int kind = KEY_HEAD; kind <= KEY_VERSION_OF; kind++)
        assert_ok(validator_check(
            v, span_str(key_of(&souk_net, &r, (enum key_kind)kind, text)),
            bytes_of(&r), 0));
    assert_ok(validator_open(v, bytes_of(&r), &open, &mem_libc));
    assert_true(open.is_verified);
    assert_span_equal(bytes_of(&r), bytes_of(&open));
    validator_publisher(v, bytes_of(&r), &publisher);
    assert_true(peer_id_eq(&r.publisher, &publisher));
    validator_stats(v, &stats);
    assert_true(stats.misses == 1 && stats.hits == 4);
    assert_int_equal(1, stats.entries);
    record_release(&open);
    record_release(&r);
    validator_free(v);
}

static void bad_bytes_are_judged_anew_or_well_the_second_time(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct validator *v = new_validator(&souk_net, 0);
    struct validator_stats stats;
    struct record r, open;
    uint8_t *bytes;
    size_t len;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", ",\"title\":\"good\"", &key, 1);
    len = buf_len(&r.bytes);
    bytes = malloc(len);
    assert_non_null(bytes);
    memcpy(bytes, bytes_of(&r).data, len);
    *(uint8_t *)memmem(bytes, len, "good", 4) = 'f';
    for (int i = 0; i < 3; i++) {
        assert_err(
            ERR_BAD_SIGNATURE,
            validator_check(v, SPAN_LIT("/souk/ns/name"), SPAN(bytes, len), 0));
        assert_err(ERR_BAD_SIGNATURE,
                   validator_open(v, SPAN(bytes, len), &open, &mem_libc));
        assert_null(open.json);
    }
    validator_stats(v, &stats);
    assert_true(stats.misses == 1);
    free(bytes);
    record_release(&r);
    validator_free(v);
}

static void the_cache_grows_or_forgets_what_is_used(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct validator *v = new_validator(&souk_net, 3);
    struct validator_stats stats;
    struct record r[4];

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        fixture_signed(&r[i], "ns/name", "1.0.0", "", &key, i + 1);
    for (int i = 0; i < 3; i++)
        assert_ok(
            validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r[i]), 0));
    assert_ok(
        validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r[0]), 0));
    assert_ok(
        validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r[3]), 0));
    validator_stats(v, &stats);
    assert_int_equal(3, stats.entries);
    assert_int_equal(3, stats.entries_max);
    /* r[1] is what was not used longest. */
    assert_ok(
        validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r[0]), 0));
    validator_stats(v, &stats);
    assert_true(stats.misses == 4);
    assert_ok(
        validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r[1]), 0));
    validator_stats(v, &stats);
    assert_true(stats.misses == 5);
    for (int i = 0; i < 4; i++)
        record_release(&r[i]);
    validator_free(v);
}

/* ---- Selection. ---- */

static int believe_first(void *ctx, const struct package_id *id,
                         const struct peer_id *publisher)
{
    (void)id;
    return peer_id_eq(publisher, ctx) ? 1 : 0;
}

static void the_worse_record_is_selected(void **state)
{
    struct ed25519_keypair one = fixture_key(1), two = fixture_key(2);
    struct record old, new, other;
    struct peer_id first;
    struct validator_config config = {
        .network = &souk_net, .believe = believe_first, .ctx = &first};
    struct validator *v = validator_new(&config, &mem_libc);
    struct span key = SPAN_LIT("/souk/ns/name"), bad = SPAN_LIT("{}");

    (void)state;
    fixture_peer(1, &first);
    fixture_signed(&old, "ns/name", "1.0.0", "", &one, 1);
    fixture_signed(&new, "ns/name", "1.0.0", "", &one, 2);
    fixture_signed(&other, "ns/name", "1.0.0", "", &two, 9);
    assert_true(validator_select(v, key, bytes_of(&new), bytes_of(&old)) < 0);
    assert_true(validator_select(v, key, bytes_of(&old), bytes_of(&new)) > 0);
    assert_int_equal(0,
                     validator_select(v, key, bytes_of(&new), bytes_of(&new)));
    assert_true(validator_select(v, key, bytes_of(&old), bytes_of(&other)) < 0);
    assert_true(validator_select(v, key, bad, bytes_of(&old)) > 0);
    assert_true(validator_select(v, key, bytes_of(&old), bad) < 0);
    assert_int_equal(0, validator_select(v, key, bad, bad));
    record_release(&old);
    record_release(&new);
    record_release(&other);
    validator_free(v);
}

/* Any order of any records comes out the same: best first, at every node. */
static void selection_depends_on_the_order_of_arrival(void **state)
{
    enum { COUNT = 12 };
    struct validator *v = new_validator(&souk_net, 0);
    struct span key = SPAN_LIT("/souk/ns/name");
    struct record r[COUNT];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        struct ed25519_keypair k = fixture_key((uint8_t)(1 + i % 3));
        char title[32];

        (void)snprintf(title, sizeof(title), ",\"title\":\"%d\"", i / 6);
        fixture_signed(&r[i], "ns/name", "1.0.0", title, &k,
                       (uint64_t)(1 + i % 4));
    }
    for (int a = 0; a < COUNT; a++) {
        for (int b = 0; b < COUNT; b++) {
            int ab = validator_select(v, key, bytes_of(&r[a]), bytes_of(&r[b]));

            assert_int_equal(ab == 0, a == b);
            assert_int_equal(ab<0, validator_select(v, key, bytes_of(&r[b]),
                                                    bytes_of(&r[a]))> 0);
            for (int c = 0; c < COUNT; c++)
                if (ab < 0 && validator_select(v, key, bytes_of(&r[b]),
                                               bytes_of(&r[c])) < 0)
                    assert_true(validator_select(v, key, bytes_of(&r[a]),
                                                 bytes_of(&r[c])) < 0);
        }
    }
    for (int i = 0; i < COUNT; i++)
        record_release(&r[i]);
    validator_free(v);
}

static void a_failed_allocation_is_not_survived_or_remembered(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct test_heap heap;
    struct validator_config config = {.network = &souk_net};
    struct record r;
    enum err err = ERR_NOMEM;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 1);
    test_heap_init(&heap);
    for (unsigned nth = 1; heap.count >= heap.fail_at; nth++) {
        struct validator *v = validator_new(&config, &heap.mem);

        test_heap_fail(&heap, nth);
        err = validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r), 0);
        assert_true(err == OK || err == ERR_NOMEM);
        if (heap.count < heap.fail_at)
            heap.fail_at = UINT32_MAX;
        else
            test_heap_fail(&heap, 0);
        assert_ok(
            validator_check(v, SPAN_LIT("/souk/ns/name"), bytes_of(&r), 0));
        validator_free(v);
        assert_int_equal(0, heap.live);
    }
    assert_ok(err);
    record_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_written_or_read_differently),
        cmocka_unit_test(the_longest_key_does_not_fit),
        cmocka_unit_test(a_key_souk_never_makes_is_accepted),
        cmocka_unit_test(a_record_is_stored_under_a_foreign_key),
        cmocka_unit_test(an_unsigned_record_is_stored_on_the_wrong_network),
        cmocka_unit_test(a_record_is_verified_again_and_again),
        cmocka_unit_test(bad_bytes_are_judged_anew_or_well_the_second_time),
        cmocka_unit_test(the_cache_grows_or_forgets_what_is_used),
        cmocka_unit_test(the_worse_record_is_selected),
        cmocka_unit_test(selection_depends_on_the_order_of_arrival),
        cmocka_unit_test(a_failed_allocation_is_not_survived_or_remembered),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
