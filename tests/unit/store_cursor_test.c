/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cursor.h"

#include "support/test.h"

static const struct cursor sample = {
    .phase = CURSOR_SORTED,
    .wall = -1,
    .total = 12345,
    .total_is_exact = true,
    .rank = 2,
    .value = 0.25,
    .slot = INT64_MAX,
    .key = INT64_MIN,
    .id = {.ns = "acme", .name = "tool"},
};

static void cursors_come_back_as_they_were(void **state)
{
    char text[READER_CURSOR_MAX];
    struct cursor c = sample, back;

    (void)state;
    for (int phase = CURSOR_RANKED; phase <= CURSOR_SORTED; phase++) {
        c.phase = (enum cursor_phase)phase;
        memset(c.id.ns, 'n', PACKAGE_NAME_MAX);
        memset(c.id.name, 'm', PACKAGE_NAME_MAX);
        cursor_format(&c, UINT64_MAX, text);
        assert_ok(cursor_parse(text, UINT64_MAX, &back));
        assert_int_equal(c.phase, back.phase);
        assert_true(c.wall == back.wall && c.slot == back.slot &&
                    c.key == back.key && c.total == back.total &&
                    c.rank == back.rank && c.total_is_exact);
        assert_memory_equal(&c.value, &back.value, sizeof(c.value));
        assert_memory_equal(&c.id, &back.id, sizeof(c.id));
    }
}

static void nothing_is_the_start(void **state)
{
    struct cursor c;

    (void)state;
    assert_ok(cursor_parse(NULL, 1, &c));
    assert_int_equal(CURSOR_START, c.phase);
    assert_ok(cursor_parse("", 1, &c));
    assert_int_equal(CURSOR_START, c.phase);
}

static void cut_or_foreign_cursors_are_refused(void **state)
{
    char text[READER_CURSOR_MAX], cut[READER_CURSOR_MAX];
    struct cursor c;

    (void)state;
    cursor_format(&sample, 7, text);
    assert_ok(cursor_parse(text, 7, &c));
    assert_err(ERR_INVAL, cursor_parse(text, 8, &c));
    for (size_t len = 1; len < strlen(text); len++) {
        memcpy(cut, text, len);
        cut[len] = '\0';
        assert_err(ERR_INVAL, cursor_parse(cut, 7, &c));
    }
}

/* Found by the fuzzer: a name that ends before its length says. */
static void name_with_a_nul_in_it_is_refused(void **state)
{
    struct cursor c;

    (void)state;
    assert_err(ERR_INVAL,
               cursor_parse("AQAAAAAAAAAAAwAAAZpGp-aAAAAAAAAAACoBAj_gAAAAAAAA"
                            "AAAAAAAB4kAAAAAAAAAABwRhY21lBAAAA2w",
                            0, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_come_back_as_they_were),
        cmocka_unit_test(nothing_is_the_start),
        cmocka_unit_test(cut_or_foreign_cursors_are_refused),
        cmocka_unit_test(name_with_a_nul_in_it_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
