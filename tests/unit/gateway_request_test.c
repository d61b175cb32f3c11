/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cursor.h"
#include "gateway/headers.h"
#include "gateway/json.h"
#include "gateway/params.h"
#include "gateway/problem.h"

#include <math.h>

#include "base/rng.h"
#include "support/test.h"

/* ---- Parameters. ---- */

struct given {
    char text[512];
    struct params params;
    struct problems problems;
};

static struct params *give(struct given *g, const char *query)
{
    memset(g, 0, sizeof(*g));
    (void)snprintf(g->text, sizeof(g->text), "%s", query);
    assert_ok(params_parse(&g->params, g->text, strlen(g->text), &g->problems));
    return &g->params;
}

static void a_parameter_is_decoded(void **state)
{
    struct given g;
    struct span v;

    (void)state;
    give(&g, "q=a+b%2Bc%20%C3%A9&&empty=&flag&x=1=2");
    assert_true(params_text(&g.params, "q", 0, 99, &v));
    assert_span_equal(SPAN_LIT("a b+c \xc3\xa9"), v);
    assert_true(params_text(&g.params, "empty", 0, 99, &v));
    assert_int_equal(0, v.len);
    assert_true(params_has(&g.params, "flag"));
    assert_true(params_text(&g.params, "x", 0, 99, &v));
    assert_span_equal(SPAN_LIT("1=2"), v);
    assert_false(params_text(&g.params, "absent", 0, 99, &v));
    assert_int_equal(0, g.problems.count);
}

static void a_malformed_query_is_refused(void **state)
{
    static const char *const bad[] = {"q=%", "q=%4", "q=%zz", "%g0=1",
                                      "a=1&b=%1"};
    char many[512] = "";
    struct given g;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        (void)snprintf(g.text, sizeof(g.text), "%s", bad[i]);
        assert_err(ERR_BAD_REQUEST, params_parse(&g.params, g.text,
                                                 strlen(g.text), &g.problems));
    }
    for (size_t i = 0; i <= PARAMS_MAX; i++)
        strcat(many, "a=1&");
    assert_err(ERR_BAD_REQUEST,
               params_parse(&g.params, many, strlen(many), &g.problems));
}

static void a_bad_value_is_pointed_at_and_left_out(void **state)
{
    static const char *const words[] = {"one", "two", NULL};
    static const struct {
        const char *why, *query, *name;
        char type; /* text, number, bool, duration, choice */
    } cases[] = {
        {"empty", "t=", "t", 't'},
        {"too long", "t=123456", "t", 't'},
        {"no UTF-8", "t=%ff", "t", 't'},
        {"a NUL", "t=a%00", "t", 't'},
        {"a line break", "t=a%0a", "t", 't'},
        {"twice", "t=a&t=a", "t", 't'},
        {"too small", "n=0", "n", 'n'},
        {"too large", "n=101", "n", 'n'},
        {"negative", "n=-1", "n", 'n'},
        {"no number", "n=ten", "n", 'n'},
        {"empty number", "n=", "n", 'n'},
        {"beyond 64 bits", "n=99999999999999999999", "n", 'n'},
        {"a fraction", "n=1.5", "n", 'n'},
        {"no bool", "b=yes", "b", 'b'},
        {"no unit", "d=2", "d", 'd'},
        {"too short a time", "d=49ms", "d", 'd'},
        {"too long a time", "d=26s", "d", 'd'},
        {"a NUL in a time", "d=2s%00", "d", 'd'},
        {"no such word", "c=three", "c", 'c'},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct given g;
        struct params *p = give(&g, cases[i].query);
        uint64_t n = 7;
        bool b = true;
        duration d = 7;
        unsigned c = 7;
        struct span t = SPAN_LIT("7");
        char pointer[16];

        switch (cases[i].type) {
        case 't':
            assert_false(params_text(p, "t", 1, 5, &t));
            break;
        case 'n':
            assert_false(params_u64(p, "n", 1, 100, &n));
            break;
        case 'b':
            assert_false(params_bool(p, "b", &b));
            break;
        case 'd':
            assert_false(
                params_duration(p, "d", 50 * MILLISECONDS, 25 * SECONDS, &d));
            break;
        default:
            assert_false(params_choice(p, "c", words, &c));
        }
        assert_true(n == 7 && b && d == 7 && c == 7 && t.len == 1);
        if (g.problems.count != 1)
            fail_msg("%s: not a problem", cases[i].why);
        (void)snprintf(pointer, sizeof(pointer), "/query/%s", cases[i].name);
        assert_string_equal(pointer, g.problems.list[0].pointer);
    }
}

static void a_good_value_is_taken(void **state)
{
    static const char *const words[] = {"one", "two", NULL};
    struct given g;
    struct params *p = give(&g, "n=100&b&d=250ms&c=two&f=false");
    uint64_t n = 0;
    bool b = false, f = true;
    duration d = 0;
    unsigned c = 0;

    (void)state;
    assert_true(params_u64(p, "n", 1, 100, &n) && n == 100);
    assert_true(params_bool(p, "b", &b) && b);
    assert_true(params_bool(p, "f", &f) && !f);
    assert_true(params_duration(p, "d", 50 * MILLISECONDS, 25 * SECONDS, &d));
    assert_int_equal(250 * MILLISECONDS, d);
    assert_true(params_choice(p, "c", words, &c) && c == 1);
    assert_int_equal(0, g.problems.count);
}

static void prefer_wait_is_found_among_others(void **state)
{
    static const struct {
        const char *header;
        duration want; /* 0: none */
    } cases[] = {
        {"wait=5", 5 * SECONDS},
        {"respond-async, wait=10", 10 * SECONDS},
        {"WAIT = 3 ; foo=1, x", 3 * SECONDS},
        {"wait=", 0},
        {"wait=1.5", 0},
        {"await=5", 0},
        {"", 0},
        {",,,", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        duration d = 0;

        assert_int_equal(cases[i].want != 0,
                         prefer_wait(span_str(cases[i].header), &d));
        assert_int_equal(cases[i].want, d);
    }
}

/* ---- Headers. ---- */

static void a_header_is_found_whatever_its_case(void **state)
{
    struct headers h = {.bytes = 0};

    (void)state;
    headers_add(&h, SPAN_LIT("content-TYPE"), SPAN_LIT("application/json"));
    headers_add(&h, SPAN_LIT("Content-Type"), SPAN_LIT("text/plain"));
    headers_add(&h, SPAN_LIT("X-Other"), SPAN_LIT("1"));
    assert_span_equal(SPAN_LIT("application/json"), h.at[HEADER_CONTENT_TYPE]);
    assert_int_equal(12 + 16 + 4 + 12 + 10 + 4 + 7 + 1 + 4, h.bytes);
}

static void only_json_is_json(void **state)
{
    (void)state;
    assert_true(header_is_json(SPAN_LIT("application/json")));
    assert_true(header_is_json(SPAN_LIT("Application/JSON ; charset=utf-8")));
    assert_false(header_is_json(SPAN_LIT("application/json5")));
    assert_false(header_is_json(SPAN_LIT("text/plain")));
    assert_false(header_is_json(SPAN_NONE));
}

static void entity_tags_match_weakly(void **state)
{
    (void)state;
    assert_true(header_etag_matches(SPAN_LIT("\"a\""), "\"a\""));
    assert_true(header_etag_matches(SPAN_LIT("W/\"a\""), "\"a\""));
    assert_true(header_etag_matches(SPAN_LIT("\"b\", \"a\""), "W/\"a\""));
    assert_true(header_etag_matches(SPAN_LIT("*"), "\"a\""));
    assert_false(header_etag_matches(SPAN_LIT("\"b\""), "\"a\""));
    assert_false(header_etag_matches(SPAN_LIT("a"), "\"a\""));
    assert_false(header_etag_matches(SPAN_NONE, "\"a\""));
}

static void a_foreign_host_is_not_ours(void **state)
{
    static const struct {
        const char *bound, *host;
        bool is_ours;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:8801", true},
        {"127.0.0.1", "localhost", true},
        {"127.0.0.1", "LOCALHOST:1", true},
        {"127.0.0.1", "[::1]:8801", true},
        {"127.0.0.1", "evil.example", false},
        {"127.0.0.1", "localhost.evil.example", false},
        {"127.0.0.1", "10.0.0.1", false},
        {"10.0.0.1", "10.0.0.1:80", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"0.0.0.0", "10.0.0.2:80", true},
        {"::", "[2001:db8::1]", true},
        {"0.0.0.0", "evil.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip bound;

        assert_true(ip_parse(span_str(cases[i].bound), &bound));
        if (header_host_is_ours(span_str(cases[i].host), &bound) !=
            cases[i].is_ours)
            fail_msg("%s on %s", cases[i].host, cases[i].bound);
    }
    assert_true(header_host_is_ours(SPAN_LIT("any.thing"), NULL));
}

/* ---- JSON out. ---- */

static void json_comes_out_as_it_must(void **state)
{
    static const char want[] =
        "{\"s\":\"a\\\"\\\\\\n\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\","
        "\"n\":[0,18446744073709551615],\"d\":[1.5,0,-2,0.000001,0],"
        "\"b\":true,\"z\":null,\"o\":{},\"raw\":{\"x\":1,\"y\":\"\"},"
        "\"k\\\"\":[],\"t\":\"1970-01-01T00:00:01.002Z\"}";
    struct buf b;
    struct jw j;

    (void)state;
    buf_init(&b, 4096, &mem_libc);
    jw_init(&j, &b);
    jw_open(&j, '{');
    jw_key(&j, "s");
    jw_str(&j, "a\"\\\n\t\x01\x7f\xc3\xa9\xc3");
    jw_key(&j, "n");
    jw_open(&j, '[');
    jw_u64(&j, 0);
    jw_u64(&j, UINT64_MAX);
    jw_close(&j, ']');
    jw_key(&j, "d");
    jw_open(&j, '[');
    jw_double(&j, 1.5);
    jw_double(&j, -0.0);
    jw_double(&j, -2);
    jw_double(&j, 1e-6);
    jw_double(&j, (double)NAN);
    jw_close(&j, ']');
    jw_key(&j, "b");
    jw_bool(&j, true);
    jw_key(&j, "z");
    jw_str_or_null(&j, "");
    jw_key(&j, "o");
    jw_open(&j, '{');
    jw_close(&j, '}');
    jw_key(&j, "raw");
    jw_raw(&j, SPAN_LIT("{\"x\":1"));
    jw_key_more(&j, "y");
    jw_str(&j, "");
    jw_close(&j, '}');
    jw_member(&j, "k\"");
    jw_open(&j, '[');
    jw_close(&j, ']');
    jw_key(&j, "t");
    jw_time(&j, 1002);
    jw_close(&j, '}');
    assert_ok(j.err);
    assert_span_equal(SPAN_LIT(want), buf_span(&b));
    buf_release(&b);
}

static void json_that_does_not_fit_is_an_error(void **state)
{
    struct buf b;
    struct jw j;

    (void)state;
    buf_init(&b, 8, &mem_libc);
    jw_init(&j, &b);
    jw_str(&j, "0123456789");
    jw_u64(&j, 1);
    assert_err(ERR_LIMIT, j.err);
    buf_release(&b);
}

static void utf8_is_told_from_what_is_not(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xe2\x82\xac",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xed\x9f\xbf"};
    static const char *const bad[] = {
        "\x80",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xe2\x82",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "a\xe2\x28\xa1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(utf8_is_valid(span_str(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_is_valid(span_str(bad[i])));
}

/* ---- Problems. ---- */

static void a_problem_says_all_that_is_known(void **state)
{
    static const char want[] =
        "{\"type\":\"urn:souk:problem:schema\",\"title\":\"the record does not "
        "have the required form\",\"status\":422,\"detail\":\"the record does "
        "not have the required form\",\"instance\":\"/a\\\"b\",\"code\":"
        "\"schema\",\"retryable\":false,\"errors\":[{\"pointer\":"
        "\"#/metadata/a%20b\",\"detail\":\"is missing\"},{\"pointer\":\"#\","
        "\"detail\":\"x\"}]}";
    struct problems problems = {.count = 0};
    struct problem_answer p = {.err = ERR_SCHEMA,
                               .instance = SPAN_LIT("/a\"b"),
                               .problems = &problems};
    struct buf b;

    (void)state;
    problems_add(&problems, "/metadata/a b", "is missing");
    problems_add(&problems, "", "x");
    buf_init(&b, 4096, &mem_libc);
    assert_ok(problem_write(&p, &b));
    assert_span_equal(SPAN_LIT(want), buf_span(&b));
    buf_release(&b);
}

static void what_may_pass_is_retryable(void **state)
{
    (void)state;
    assert_true(problem_is_retryable(ERR_BUSY));
    assert_true(problem_is_retryable(ERR_RATE_LIMITED));
    assert_true(problem_is_retryable(ERR_LOOKUP_INCOMPLETE));
    assert_false(problem_is_retryable(ERR_NOT_FOUND));
    assert_false(problem_is_retryable(ERR_SCHEMA));
    assert_int_equal(1, problem_retry_after(ERR_BUSY));
    assert_int_equal(0, problem_retry_after(ERR_NOT_FOUND));
}

/* ---- Cursors. ---- */

static void a_cursor_survives_a_round_trip(void **state)
{
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 1);
    struct cursor_key key;

    (void)state;
    cursor_key_init(&key, SPAN_LIT("secret"));
    for (size_t n = 0; n <= CURSOR_PAYLOAD_MAX; n++) {
        uint8_t in[CURSOR_PAYLOAD_MAX], out[CURSOR_PAYLOAD_MAX];
        char text[CURSOR_TEXT_MAX];
        size_t len;

        rng_fill(&rng, in, n);
        cursor_seal(&key, SPAN_LIT("context"), SPAN(in, n), text);
        assert_ok(
            cursor_open(&key, SPAN_LIT("context"), span_str(text), out, &len));
        assert_span_equal(SPAN(in, n), SPAN(out, len));
    }
}

static void a_cursor_that_was_touched_is_refused(void **state)
{
    struct cursor_key key, other;
    uint8_t out[CURSOR_PAYLOAD_MAX];
    char text[CURSOR_TEXT_MAX];
    size_t len;

    (void)state;
    cursor_key_init(&key, SPAN_LIT("secret"));
    cursor_key_init(&other, SPAN_LIT("other"));
    cursor_seal(&key, SPAN_LIT("context"), SPAN_LIT("payload"), text);
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        for (unsigned bit = 0; bit < 8; bit++) {
            text[i] = (char)((unsigned char)was ^ (1u << bit));
            assert_err(ERR_INVAL,
                       cursor_open(&key, SPAN_LIT("context"),
                                   SPAN(text, strlen(text)), out, &len));
        }
        text[i] = was;
        assert_err(ERR_INVAL, cursor_open(&key, SPAN_LIT("context"),
                                          SPAN(text, i), out, &len));
    }
    assert_err(ERR_INVAL, cursor_open(&key, SPAN_LIT("another"), span_str(text),
                                      out, &len));
    assert_err(ERR_INVAL, cursor_open(&other, SPAN_LIT("context"),
                                      span_str(text), out, &len));
    assert_ok(
        cursor_open(&key, SPAN_LIT("context"), span_str(text), out, &len));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parameter_is_decoded),
        cmocka_unit_test(a_malformed_query_is_refused),
        cmocka_unit_test(a_bad_value_is_pointed_at_and_left_out),
        cmocka_unit_test(a_good_value_is_taken),
        cmocka_unit_test(prefer_wait_is_found_among_others),
        cmocka_unit_test(a_header_is_found_whatever_its_case),
        cmocka_unit_test(only_json_is_json),
        cmocka_unit_test(entity_tags_match_weakly),
        cmocka_unit_test(a_foreign_host_is_not_ours),
        cmocka_unit_test(json_comes_out_as_it_must),
        cmocka_unit_test(json_that_does_not_fit_is_an_error),
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(a_problem_says_all_that_is_known),
        cmocka_unit_test(what_may_pass_is_retryable),
        cmocka_unit_test(a_cursor_survives_a_round_trip),
        cmocka_unit_test(a_cursor_that_was_touched_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
