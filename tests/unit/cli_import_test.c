/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/import_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/cli/import_feed.h"
#include "support/test.h"

static FILE *file_of(const char *text)
{
    FILE *f = tmpfile();

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    rewind(f);
    return f;
}

/* ---- The feed. ---- */

static void lines_settle_in_the_order_of_the_file(void **state)
{
    FILE *f = file_of("one\ntwo\nthree\n");
    struct line *one, *two, *three;
    struct feed feed;

    (void)state;
    feed_init(&feed, f);
    one = feed_next(&feed);
    two = feed_next(&feed);
    three = feed_next(&feed);
    assert_non_null(three);
    assert_null(feed_next(&feed));
    three->state = LINE_CREATED;
    two->state = LINE_REFUSED;
    assert_null(feed_settled(&feed)); /* one is still open */
    one->state = LINE_KNOWN;
    assert_int_equal(feed_settled(&feed)->number, 1);
    assert_int_equal(feed_settled(&feed)->end, 4);
    feed_settle(&feed);
    assert_int_equal(feed_settled(&feed)->number, 2);
    feed_settle(&feed);
    assert_false(feed_is_done(&feed));
    assert_int_equal(feed_settled(&feed)->end, 14);
    feed_settle(&feed);
    assert_true(feed_is_done(&feed));
    feed_release(&feed);
    (void)fclose(f);
}

static void blank_lines_count_but_are_not_sent(void **state)
{
    FILE *f = file_of("\n \t\r\n{}\n\nlast");
    struct feed feed;
    struct line *l;

    (void)state;
    feed_init(&feed, f);
    l = feed_next(&feed);
    assert_int_equal(l->number, 3);
    assert_int_equal(l->len, 2);
    l->state = LINE_CREATED;
    l = feed_next(&feed); /* without a newline */
    assert_int_equal(l->number, 5);
    assert_int_equal(l->len, 4);
    assert_int_equal(l->end, 13);
    l->state = LINE_CREATED;
    assert_null(feed_next(&feed));
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(feed_settled(&feed)->number, i);
        feed_settle(&feed);
    }
    assert_true(feed_is_done(&feed));
    feed_release(&feed);
    (void)fclose(f);
}

static void one_slow_line_bounds_how_far_others_run_ahead(void **state)
{
    FILE *f = tmpfile();
    struct feed feed;
    struct line *first, *l;
    size_t n = 1;

    (void)state;
    assert_non_null(f);
    for (int i = 0; i < FEED_LINES_MAX + 10; i++)
        (void)fputs("x\n", f);
    rewind(f);
    feed_init(&feed, f);
    first = feed_next(&feed);
    while ((l = feed_next(&feed)) != NULL) {
        l->state = LINE_CREATED;
        n++;
    }
    assert_int_equal(n, FEED_LINES_MAX);
    first->state = LINE_CREATED;
    feed_settle(&feed);
    assert_int_equal(feed_next(&feed)->number, FEED_LINES_MAX + 1);
    assert_null(feed_next(&feed));
    feed_release(&feed); /* what is open goes, too */
    (void)fclose(f);
}

static void a_feed_goes_on_where_another_stopped(void **state)
{
    FILE *f = file_of("one\ntwo\nthree\n");
    struct feed feed;
    struct line *l;

    (void)state;
    feed_init(&feed, f);
    assert_ok(feed_seek(&feed, 8, 2));
    l = feed_next(&feed);
    assert_int_equal(l->number, 3);
    assert_memory_equal(l->text, "three", 5);
    assert_int_equal(l->end, 14);
    feed_release(&feed);
    (void)fclose(f);
}

/* ---- The state. ---- */

static struct import_state some_state(void)
{
    struct import_state s = {
        .offset = 81920, .line = 117, .created = 100, .known = 14};

    (void)snprintf(s.node, sizeof(s.node), "12D3KooWExample");
    import_state_know_file(&s, SPAN_LIT("the first bytes"));
    import_state_refuse(&s, "schema", "wrong form", 3, "a/b: #/title \"x\"");
    import_state_refuse(&s, "not-owner", "another key's", 5, "c/d");
    import_state_refuse(&s, "schema", "wrong form", 9, "e/f");
    s.report_bytes = 77;
    return s;
}

static void a_state_comes_back_as_it_was_saved(void **state)
{
    struct import_state s = some_state(), back;
    char path[] = "/tmp/souk-state-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_ok(import_state_save(&s, path));
    memset(&back, 0xff, sizeof(back));
    assert_ok(import_state_load(&back, path));
    assert_int_equal(back.offset, 81920);
    assert_int_equal(back.line, 117);
    assert_int_equal(back.created, 100);
    assert_int_equal(back.known, 14);
    assert_int_equal(back.report_bytes, 77);
    assert_string_equal(back.node, s.node);
    assert_int_equal(back.group_count, 2);
    assert_int_equal(import_state_refused(&back), 3);
    assert_string_equal(back.groups[0].code, "schema");
    assert_int_equal(back.groups[0].count, 2);
    assert_int_equal(back.groups[0].samples[1].line, 9);
    assert_string_equal(back.groups[0].samples[0].text, "a/b: #/title \"x\"");
    assert_true(import_state_is_of(&back, SPAN_LIT("the first bytes"), 81920));
    (void)unlink(path);
    assert_err(ERR_NOT_FOUND, import_state_load(&back, path));
    assert_err(ERR_IO, import_state_save(&s, "/nowhere/state"));
}

static void a_state_is_not_taken_for_another_file(void **state)
{
    struct import_state s = some_state();

    (void)state;
    /* It may have grown since. */
    assert_true(import_state_is_of(
        &s, SPAN_LIT("the first bytes and what was appended"), 99999));
    assert_false(import_state_is_of(&s, SPAN_LIT("the first byteS"), 99999));
    assert_false(import_state_is_of(&s, SPAN_LIT("the first"), 99999));
    assert_false(import_state_is_of(&s, SPAN_LIT("the first bytes"), 81919));
}

static void what_is_no_state_is_refused(void **state)
{
    static const char *const wrong[] = {
        "null",
        "{}",
        "[]",
        "{\"format\":\"souk-import-2\"}",
        "{\"format\":\"souk-import-1\",\"node\":1}",
    };
    json_t *json = import_state_to_json(&(struct import_state){.line = 1});
    struct import_state s;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        json_t *bad = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

        assert_err(ERR_INVAL, import_state_from_json(&s, bad));
        json_decref(bad);
    }
    assert_ok(import_state_from_json(&s, json));
    (void)json_object_set_new(json, "offset", json_integer(-1));
    assert_err(ERR_INVAL, import_state_from_json(&s, json));
    json_decref(json);
}

static void reasons_without_number_stay_bounded(void **state)
{
    static struct import_state s;
    char code[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(code, sizeof(code), "code-%d", i);
        import_state_refuse(&s, code, "why", (uint64_t)i, "text");
    }
    assert_int_equal(s.group_count, IMPORT_GROUPS_MAX);
    assert_int_equal(import_state_refused(&s), 1000);
    assert_int_equal(s.groups[IMPORT_GROUPS_MAX - 1].sample_count,
                     IMPORT_SAMPLES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_settle_in_the_order_of_the_file),
        cmocka_unit_test(blank_lines_count_but_are_not_sent),
        cmocka_unit_test(one_slow_line_bounds_how_far_others_run_ahead),
        cmocka_unit_test(a_feed_goes_on_where_another_stopped),
        cmocka_unit_test(a_state_comes_back_as_it_was_saved),
        cmocka_unit_test(a_state_is_not_taken_for_another_file),
        cmocka_unit_test(what_is_no_state_is_refused),
        cmocka_unit_test(reasons_without_number_stay_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
