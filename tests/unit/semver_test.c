/* SPDX-License-Identifier: Apache-2.0 */
#include "market/semver.h"

#include <stdlib.h>

#include "base/rng.h"
#include "support/test.h"

/* Each is older than the next; the first eight are semver.org's own list
 * (2.0.0, #11). */
static const char *const ascending[] = {
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0-0",
    "2.0.0-1",
    "2.0.0-1.0",
    "2.0.0-9",
    "2.0.0-10",
    "2.0.0-99999999999999999999",
    "2.0.0-100000000000000000000",
    "2.0.0--",
    "2.0.0-0a",
    "2.0.0-A",
    "2.0.0-Z",
    "2.0.0-a",
    "2.0.0-rc.9",
    "2.0.0-rc.10",
    "2.0.0",
    "2.0.1",
    "2.1.0",
    "2.1.1",
    "10.0.0",
    "4294967295.4294967295.4294967295",
};

enum { ASCENDING_COUNT = sizeof(ascending) / sizeof(ascending[0]) };

static void precedence_is_not_that_of_semver_org(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASCENDING_COUNT; i++) {
        for (size_t k = 0; k < ASCENDING_COUNT; k++) {
            struct semver a, b;
            int order;

            assert_ok(semver_parse(span_str(ascending[i]), &a));
            assert_ok(semver_parse(span_str(ascending[k]), &b));
            order = semver_cmp(&a, &b);
            if ((order > 0) - (order < 0) != (i > k) - (i < k))
                fail_msg("%s against %s: %d", ascending[i], ascending[k],
                         order);
        }
    }
}

static void a_version_does_not_survive_a_round_trip(void **state)
{
    char text[SEMVER_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ASCENDING_COUNT; i++) {
        struct semver v;

        assert_ok(semver_parse(span_str(ascending[i]), &v));
        assert_string_equal(ascending[i], semver_format(&v, text));
    }
}

static void something_else_is_taken_for_a_version(void **state)
{
    static const struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"empty", ""},
        {"two numbers", "1.2"},
        {"four numbers", "1.2.3.4"},
        {"leading zero", "01.2.3"},
        {"leading zero in minor", "1.02.3"},
        {"leading zero in patch", "1.2.03"},
        {"double zero", "00.0.0"},
        {"a v", "v1.2.3"},
        {"space before", " 1.2.3"},
        {"space behind", "1.2.3 "},
        {"sign", "+1.2.3"},
        {"negative", "-1.2.3"},
        {"empty number", "1..3"},
        {"trailing dot", "1.2.3."},
        {"build metadata", "1.2.3+build"},
        {"build behind pre-release", "1.2.3-rc.1+build"},
        {"empty pre-release", "1.2.3-"},
        {"empty identifier", "1.2.3-a..b"},
        {"empty last identifier", "1.2.3-a."},
        {"numeric identifier with leading zero", "1.2.3-01"},
        {"same behind a dot", "1.2.3-a.00"},
        {"underscore", "1.2.3-a_b"},
        {"not ASCII", "1.2.3-\xc3\xa9"},
        {"one more than 2^32 - 1", "4294967296.0.0"},
        {"far more", "0.99999999999999999999.0"},
        {"hexadecimal", "0x1.0.0"},
    };
    struct semver v;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (semver_parse(span_str(cases[i].text), &v) != ERR_INVAL)
            fail_msg("accepted: %s", cases[i].why);
    assert_err(ERR_INVAL, semver_parse(SPAN("1.2.3\0", 6), &v));
}

static void
the_longest_pre_release_is_refused_or_one_more_accepted(void **state)
{
    char text[8 + SEMVER_PRE_RELEASE_MAX + 1] = "1.2.3-";
    struct semver v;
    char again[SEMVER_TEXT_MAX];

    (void)state;
    memset(text + 6, 'x', SEMVER_PRE_RELEASE_MAX + 1);
    assert_ok(semver_parse(SPAN(text, 6 + SEMVER_PRE_RELEASE_MAX), &v));
    assert_int_equal(6 + SEMVER_PRE_RELEASE_MAX,
                     strlen(semver_format(&v, again)));
    assert_err(ERR_INVAL,
               semver_parse(SPAN(text, 7 + SEMVER_PRE_RELEASE_MAX), &v));
}

/* The same rules, written down naively: split at dots, try a number. */
static int naive_identifier_cmp(const char *a, const char *b)
{
    char *a_end, *b_end;
    unsigned long x = strtoul(a, &a_end, 10), y = strtoul(b, &b_end, 10);
    bool a_number = *a != '-' && *a != '\0' && *a_end == '\0';
    bool b_number = *b != '-' && *b != '\0' && *b_end == '\0';

    if (a_number && b_number)
        return (x > y) - (x < y);
    if (a_number != b_number)
        return a_number ? -1 : 1;
    return strcmp(a, b);
}

static int naive_pre_release_cmp(const char *a, const char *b)
{
    char x[80], y[80], *x_rest, *y_rest, *x_id, *y_id;

    if (*a == '\0' || *b == '\0')
        return (*a == '\0') - (*b == '\0');
    (void)snprintf(x, sizeof(x), "%s", a);
    (void)snprintf(y, sizeof(y), "%s", b);
    x_id = strtok_r(x, ".", &x_rest);
    y_id = strtok_r(y, ".", &y_rest);
    while (x_id != NULL && y_id != NULL) {
        int order = naive_identifier_cmp(x_id, y_id);

        if (order != 0)
            return order;
        x_id = strtok_r(NULL, ".", &x_rest);
        y_id = strtok_r(NULL, ".", &y_rest);
    }
    return (x_id != NULL) - (y_id != NULL);
}

static int naive_cmp(const struct semver *a, const struct semver *b)
{
    const uint32_t x[] = {a->major, a->minor, a->patch};
    const uint32_t y[] = {b->major, b->minor, b->patch};

    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return x[i] > y[i] ? 1 : -1;
    return naive_pre_release_cmp(a->pre_release, b->pre_release);
}

static void random_version(const struct rng *rng, struct semver *v)
{
    static const char *const ids[] = {"0",  "1",  "9",    "10", "alpha",
                                      "a",  "rc", "beta", "-",  "0a",
                                      "-1", "B",  "11"};
    char text[SEMVER_TEXT_MAX];
    int n =
        snprintf(text, sizeof(text), "%u.%u.%u", (unsigned)rng_below(rng, 2),
                 (unsigned)rng_below(rng, 2), (unsigned)rng_below(rng, 2));

    for (uint64_t i = 0, count = rng_below(rng, 4); i < count; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%c%s",
                      i == 0 ? '-' : '.',
                      ids[rng_below(rng, sizeof(ids) / sizeof(*ids))]);
    assert_ok(semver_parse(span_str(text), v));
}

static int sign_of(int v)
{
    return (v > 0) - (v < 0);
}

static void the_order_differs_from_a_naive_one_or_is_none(void **state)
{
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 20251102);

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct semver a, b, c;
        int ab, bc;

        random_version(&rng, &a);
        random_version(&rng, &b);
        random_version(&rng, &c);
        ab = semver_cmp(&a, &b);
        bc = semver_cmp(&b, &c);
        assert_int_equal(sign_of(naive_cmp(&a, &b)), sign_of(ab));
        assert_int_equal(sign_of(ab), -sign_of(semver_cmp(&b, &a)));
        assert_int_equal(ab == 0, memcmp(&a, &b, sizeof(a)) == 0);
        if (ab <= 0 && bc <= 0)
            assert_true(semver_cmp(&a, &c) <= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence_is_not_that_of_semver_org),
        cmocka_unit_test(a_version_does_not_survive_a_round_trip),
        cmocka_unit_test(something_else_is_taken_for_a_version),
        cmocka_unit_test(
            the_longest_pre_release_is_refused_or_one_more_accepted),
        cmocka_unit_test(the_order_differs_from_a_naive_one_or_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
