/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "support/test.h"

/* A screen that writes into memory. */
struct sheet {
    struct screen screen;
    char *text;
    size_t len;
};

static void sheet_open(struct sheet *s, bool is_terminal, unsigned width)
{
    FILE *out = open_memstream(&s->text, &s->len);

    assert_non_null(out);
    screen_open(&s->screen, out);
    s->screen.is_terminal = is_terminal;
    s->screen.has_colour = false;
    s->screen.width = width;
}

static void sheet_expect(struct sheet *s, const char *want)
{
    (void)fclose(s->screen.out);
    assert_string_equal(want, s->text);
    free(s->text);
}

static const struct column columns[] = {
    {"PACKAGE", false, true},
    {"N", true, false},
    {"TITLE", false, true},
};

static void fill(struct table *t)
{
    table_init(t, columns, 3);
    table_text(t, "org/a");
    table_cell(t, "%d", 7);
    table_text(t, "Grüße, 世界");
    table_text(t, "org/much-longer");
    table_cell(t, "%d", 12345);
    table_text(t, NULL);
}

static void a_terminal_gets_columns_that_align(void **state)
{
    struct sheet s;
    struct table t;

    (void)state;
    sheet_open(&s, true, 80);
    fill(&t);
    table_print(&t, &s.screen);
    table_release(&t);
    sheet_expect(&s, "PACKAGE              N  TITLE\n"
                     "org/a                7  Grüße, 世界\n"
                     "org/much-longer  12345  -\n");
}

static void a_narrow_terminal_cuts_the_elastic_columns_only(void **state)
{
    struct sheet s;
    struct table t;

    (void)state;
    sheet_open(&s, true, 32);
    table_init(&t, columns, 3);
    table_text(&t, "org/package");
    table_text(&t, "1");
    table_text(&t, "A title of some forty characters, 世界世界");
    table_print(&t, &s.screen);
    table_release(&t);
    sheet_expect(&s, "PACKAGE      N  TITLE\n"
                     "org/package  1  A title of some…\n");
}

static void a_pipe_gets_tabs_and_everything(void **state)
{
    struct sheet s;
    struct table t;

    (void)state;
    sheet_open(&s, false, 10);
    fill(&t);
    table_print(&t, &s.screen);
    table_release(&t);
    sheet_expect(&s, "org/a\t7\tGrüße, 世界\n"
                     "org/much-longer\t12345\t-\n");
}

static void colours_are_for_terminals_only(void **state)
{
    struct sheet s;
    struct table t;

    (void)state;
    for (int is_coloured = 0; is_coloured < 2; is_coloured++) {
        sheet_open(&s, true, 80);
        s.screen.has_colour = is_coloured;
        table_init(&t, columns + 1, 1);
        table_text(&t, "yanked");
        table_paint(&t, PAINT_RED);
        table_print(&t, &s.screen);
        table_release(&t);
        sheet_expect(&s, is_coloured ? "     \033[1mN\033[0m\n"
                                       "\033[31myanked\033[0m\n"
                                     : "     N\nyanked\n");
    }
}

/* Titles are written by strangers. */
static void nothing_a_terminal_would_obey_reaches_it(void **state)
{
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"plain", "plain"},
        {"\033[2J\a\x7f", " [2J  "},
        {"a\tb\nc\r", "a b c "},
        {"\xc2\x9b"
         "31m",
         " 31m"},                  /* CSI in eight bits */
        {"x\xe2\x80\xaey", "x y"}, /* right-to-left override */
        {"x\xe2\x81\xa6y", "x y"}, /* isolate */
        {"\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"Grüße 世界", "Grüße 世界"},
    };
    struct sheet s;
    json_t *json;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *clean = text_clean(span_str(cases[i].text));

        assert_string_equal(clean, cases[i].clean);
        mem_free(&mem_libc, clean);
    }
    /* In JSON they can be told. */
    sheet_open(&s, true, 80);
    json = json_pack("{s:s}", "t", "\xc2\x9b\x7f\xe2\x80\xae ü\033");
    print_json(&s.screen, json);
    json_decref(json);
    sheet_expect(&s, "{\n  \"t\": \"\\u009b\\u007f\\u202e ü\\u001B\"\n}\n");
}

static void fields_align_for_people_and_split_for_programs(void **state)
{
    struct sheet s;

    (void)state;
    sheet_open(&s, true, 80);
    print_field(&s.screen, "id", "%d", 7);
    sheet_expect(&s, "id                   7\n");
    sheet_open(&s, false, 80);
    print_field(&s.screen, "id", "%d", 7);
    sheet_expect(&s, "id\t7\n");
}

static void raw_json_ends_with_one_newline(void **state)
{
    struct sheet s;

    (void)state;
    sheet_open(&s, false, 80);
    print_raw(&s.screen, SPAN_LIT("{\"a\":\"\xc2\x9b\"}\n\n"));
    sheet_expect(&s, "{\"a\":\"\xc2\x9b\"}\n");
}

static void times_are_told_in_two_units(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(print_seconds(0.04, text), "0.0s");
    assert_string_equal(print_seconds(9.96, text), "10.0s");
    assert_string_equal(print_seconds(42.4, text), "42s");
    assert_string_equal(print_seconds(93, text), "1m33s");
    assert_string_equal(print_seconds(3600, text), "1h00m");
    assert_string_equal(print_seconds(90000, text), "1d1h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_columns_that_align),
        cmocka_unit_test(a_narrow_terminal_cuts_the_elastic_columns_only),
        cmocka_unit_test(a_pipe_gets_tabs_and_everything),
        cmocka_unit_test(colours_are_for_terminals_only),
        cmocka_unit_test(nothing_a_terminal_would_obey_reaches_it),
        cmocka_unit_test(fields_align_for_people_and_split_for_programs),
        cmocka_unit_test(raw_json_ends_with_one_newline),
        cmocka_unit_test(times_are_told_in_two_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
