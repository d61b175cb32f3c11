/* SPDX-License-Identifier: Apache-2.0 */
#include "market/jcs.h"

#include "support/test.h"

static void write_text(const char *json, struct buf *out)
{
    json_error_t e;
    json_t *value = json_loadb(json, strlen(json), JSON_DECODE_ANY, &e);

    if (value == NULL)
        fail_msg("%s", e.text);
    buf_init(out, 1 << 16, &mem_libc);
    assert_ok(jcs_write(value, out));
    json_decref(value);
}

static void assert_canonical(const char *want, const char *json)
{
    struct buf out;

    write_text(json, &out);
    assert_span_equal(span_str(want), buf_span(&out));
    buf_release(&out);
}

/* RFC 8785 3.2.3. */
static void members_are_not_in_the_order_of_the_specification(void **state)
{
    (void)state;
    assert_canonical("{\"\\r\":\"Carriage Return\","
                     "\"1\":\"One\","
                     "\"\xc2\x80\":\"Control\x7f\","
                     "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
                     "\"\xe2\x82\xac\":\"Euro Sign\","
                     "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
                     "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}",
                     "{\"\\u20ac\": \"Euro Sign\","
                     " \"\\r\": \"Carriage Return\","
                     " \"\\ufb33\": \"Hebrew Letter Dalet With Dagesh\","
                     " \"1\": \"One\","
                     " \"\\ud83d\\ude00\": \"Emoji: Grinning Face\","
                     " \"\\u0080\": \"Control\x7f\","
                     " \"\\u00f6\": \"Latin Small Letter O With Diaeresis\"}");
}

/* RFC 8785 3.2.2, without the numbers. */
static void the_sample_of_the_specification_differs(void **state)
{
    (void)state;
    assert_canonical(
        "{\"literals\":[null,true,false],"
        "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
        "{\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\""
        "\\/\", \"literals\": [null, true, false]}");
}

static void a_string_is_not_escaped_as_little_as_possible(void **state)
{
    (void)state;
    assert_canonical(
        "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7f\"",
        "\"\\u0008\\u0009\\u000a\\u000C\\u000D\\u0022\\u005C\\u002f"
        "\\u0001\\u001F\\u007f\"");
    assert_canonical("\"\xc3\xa9\xe2\x80\xa8\"", "\"\\u00e9\\u2028\"");
    assert_canonical("\"\"", "\"\"");
}

static void an_integer_is_not_written_plainly(void **state)
{
    (void)state;
    assert_canonical("[0,0,-1,9007199254740992,-9007199254740992]",
                     "[0, -0, -1, 9007199254740992, -9007199254740992]");
}

static void spaces_are_left_or_empties_lost(void **state)
{
    (void)state;
    assert_canonical("{\"a\":{},\"b\":[],\"c\":[[],{}]}",
                     " { \"c\" : [ [ ] , { } ] ,\n\t\"b\":[ ],\"a\":{ }}\r\n");
}

static void a_prefix_does_not_sort_first(void **state)
{
    (void)state;
    assert_canonical("{\"\":1,\"a\":2,\"aa\":3,\"b\":4}",
                     "{\"b\":4,\"aa\":3,\"a\":2,\"\":1}");
}

static void many_members_are_sorted_otherwise_than_few(void **state)
{
    json_t *object = json_object();
    struct buf out;
    char want[4096] = "{";
    size_t n = 1;

    (void)state;
    for (int i = 199; i >= 0; i--) {
        char key[16];

        (void)snprintf(key, sizeof(key), "k%03d", i);
        assert_int_equal(0, json_object_set_new(object, key, json_integer(i)));
    }
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s\"k%03d\":%d",
                              i ? "," : "", i, i);
    (void)snprintf(want + n, sizeof(want) - n, "}");
    buf_init(&out, 1 << 16, &mem_libc);
    assert_ok(jcs_write(object, &out));
    assert_span_equal(span_str(want), buf_span(&out));
    buf_release(&out);
    json_decref(object);
}

static void the_key_order_is_not_that_of_utf16(void **state)
{
    (void)state;
    assert_true(jcs_key_cmp("\xf0\x90\x80\x80", "\xee\x80\x80") < 0);
    assert_true(jcs_key_cmp("\xef\xbf\xbd", "\xf4\x8f\xbf\xbf") > 0);
    assert_true(jcs_key_cmp("\xf0\x90\x80\x80", "\xed\x9f\xbf") > 0);
    assert_true(jcs_key_cmp("\xf0\x90\x80\x80", "\xf0\x90\x80\x81") < 0);
    assert_true(jcs_key_cmp("\xee\x80\x80", "\xef\x80\x80") < 0);
    assert_int_equal(0, jcs_key_cmp("\xc3\xa9", "\xc3\xa9"));
}

static void a_real_number_is_signed(void **state)
{
    static const char *const cases[] = {"1.5", "1e3", "1.0", "-0.0"};
    struct buf out;

    (void)state;
    buf_init(&out, 1024, &mem_libc);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json_t *v = json_loads(cases[i], JSON_DECODE_ANY, NULL);

        assert_err(ERR_INVAL, jcs_write(v, &out));
        assert_ok(
            jcs_write_with(v, &(struct jcs_options){.is_loose = true}, &out));
        json_decref(v);
    }
    buf_release(&out);
}

static json_t *nested(unsigned depth)
{
    json_t *v = json_array();

    while (depth-- > 0) {
        json_t *outer = json_array();

        assert_int_equal(0, json_array_append_new(outer, v));
        v = outer;
    }
    return v;
}

static void nesting_has_no_limit_or_a_lower_one(void **state)
{
    json_t *fits = nested(JCS_DEPTH_MAX), *deep = nested(JCS_DEPTH_MAX + 1);
    struct buf out;

    (void)state;
    buf_init(&out, 1024, &mem_libc);
    assert_ok(jcs_write(fits, &out));
    assert_err(ERR_INVAL, jcs_write(deep, &out));
    buf_release(&out);
    json_decref(fits);
    json_decref(deep);
}

/* At every limit: all or ERR_LIMIT, also where a chunk does not fit. */
static void the_limit_of_the_buffer_is_overrun_or_not_used(void **state)
{
    json_t *v =
        json_loads("{\"abc\":[1,true,\"\\u0001x\"],\"d\":null}", 0, NULL);
    const size_t len = strlen("{\"abc\":[1,true,\"\\u0001x\"],\"d\":null}");

    (void)state;
    for (size_t limit = 1; limit <= len + 1; limit++) {
        struct buf out;

        buf_init(&out, limit, &mem_libc);
        assert_err(limit < len ? ERR_LIMIT : OK, jcs_write(v, &out));
        assert_true(buf_len(&out) <= limit);
        buf_release(&out);
    }
    json_decref(v);
}

static void a_mark_does_not_frame_its_member(void **state)
{
    struct jcs_mark marks[] = {{.path = "b"}, {.path = "b/y"}, {.path = "z"}};
    struct jcs_options options = {.marks = marks, .mark_count = 3};
    json_t *v =
        json_loads("{\"c\":1,\"b\":{\"y\":[2],\"x\":0},\"y\":5}", 0, NULL);
    struct buf out;
    struct span s;

    (void)state;
    buf_init(&out, 1024, &mem_libc);
    assert_ok(buf_put_str(&out, "before"));
    assert_ok(jcs_write_with(v, &options, &out));
    s = buf_span(&out);
    (void)span_take(&s, 6);
    assert_span_equal(
        SPAN_LIT("\"b\":{\"x\":0,\"y\":[2]}"),
        SPAN(s.data + marks[0].start, marks[0].end - marks[0].start));
    assert_span_equal(
        SPAN_LIT("\"y\":[2]"),
        SPAN(s.data + marks[1].start, marks[1].end - marks[1].start));
    assert_int_equal(0, marks[2].end);
    buf_release(&out);
    json_decref(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_not_in_the_order_of_the_specification),
        cmocka_unit_test(the_sample_of_the_specification_differs),
        cmocka_unit_test(a_string_is_not_escaped_as_little_as_possible),
        cmocka_unit_test(an_integer_is_not_written_plainly),
        cmocka_unit_test(spaces_are_left_or_empties_lost),
        cmocka_unit_test(a_prefix_does_not_sort_first),
        cmocka_unit_test(many_members_are_sorted_otherwise_than_few),
        cmocka_unit_test(the_key_order_is_not_that_of_utf16),
        cmocka_unit_test(a_real_number_is_signed),
        cmocka_unit_test(nesting_has_no_limit_or_a_lower_one),
        cmocka_unit_test(the_limit_of_the_buffer_is_overrun_or_not_used),
        cmocka_unit_test(a_mark_does_not_frame_its_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
