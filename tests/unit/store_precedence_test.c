/* SPDX-License-Identifier: Apache-2.0 */
#include "store/precedence.h"

#include "support/test.h"

static struct semver parse(const char *text)
{
    struct semver v;

    assert_ok(semver_parse(span_str(text), &v));
    return v;
}

static void bytes_order_as_semver_does(void **state)
{
    static const char *const versions[] = {
        "0.0.0-0",       "0.0.0",       "0.0.9",     "0.0.10",
        "0.9.0",         "0.10.0",      "1.0.0-0",   "1.0.0-9",
        "1.0.0-10",      "1.0.0-10.a",  "1.0.0--",   "1.0.0-a",
        "1.0.0-a.1",     "1.0.0-a.1.0", "1.0.0-a.2", "1.0.0-a.10",
        "1.0.0-a.b",     "1.0.0-a-b",   "1.0.0-aa",  "1.0.0-b",
        "1.0.0",         "255.0.0",     "256.0.0",   "4294967295.0.0-a",
        "4294967295.0.0"};
    enum { COUNT = sizeof(versions) / sizeof(*versions) };

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++) {
            struct semver a = parse(versions[i]), b = parse(versions[j]);
            struct precedence x, y;
            int want = semver_cmp(&a, &b);
            int got =
                span_cmp(precedence_encode(&a, &x), precedence_encode(&b, &y));

            if ((want > 0) != (got > 0) || (want < 0) != (got < 0))
                fail_msg("%s against %s", versions[i], versions[j]);
        }
}

static void versions_come_back_from_their_bytes(void **state)
{
    static const char *const versions[] = {
        "1.2.3", "0.0.0-a", "4294967295.4294967295.4294967295-x.0.y-1.22",
        "1.0.0-"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "1.0.0-"
        "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1"};

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(*versions); i++) {
        struct semver v = parse(versions[i]), back;
        struct precedence p;
        char text[SEMVER_TEXT_MAX];

        assert_ok(precedence_decode(precedence_encode(&v, &p), &back));
        assert_string_equal(versions[i], semver_format(&back, text));
    }
}

static void bytes_that_no_version_has_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *hex;
    } bad[] = {
        {"empty", ""},
        {"cut in a number", "00000001 00000002 0000"},
        {"no end", "00000001 00000002 00000003"},
        {"unknown mark", "00000001 00000002 00000003 07"},
        {"text without its end", "00000001 00000002 00000003 02 61"},
        {"number beyond the bytes", "00000001 00000002 00000003 01 09 31"},
        {"nothing behind the number", "00000001 00000002 00000003 01 01 31"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint8_t bytes[64];
        struct semver v;
        enum err err =
            precedence_decode(hex_bytes(bad[i].hex, bytes, sizeof(bytes)), &v);

        if (err != ERR_STORE_CORRUPT)
            fail_msg("%s: %s", bad[i].why, err_name(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_order_as_semver_does),
        cmocka_unit_test(versions_come_back_from_their_bytes),
        cmocka_unit_test(bytes_that_no_version_has_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
