/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/args.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/cli/http.h"
#include "gateway/cli/refusal.h"
#include "gateway/cli/remote.h"
#include "gateway/command.h"
#include "support/test.h"

enum { WORDS_MAX = 16 };

/* A command line in one text, as a shell would split it at spaces. */
struct line {
    char text[512];
    char *argv[WORDS_MAX];
    int argc;
};

static void split(struct line *l, const char *text)
{
    (void)snprintf(l->text, sizeof(l->text), "%s", text);
    l->argc = 0;
    for (char *at = l->text, *save = NULL;
         (at = strtok_r(l->argc ? NULL : at, " ", &save)) != NULL;)
        l->argv[l->argc++] = at;
}

static enum err parse(struct line *l, const char *text, struct args *args,
                      struct args_error *error)
{
    enum verb verb;
    int taken;

    split(l, text);
    assert_true(verb_find(l->argc, l->argv, &verb, &taken));
    return args_parse(args, verb, l->argc - taken, l->argv + taken, error);
}

static void options_stand_anywhere_and_words_stay_in_order(void **state)
{
    struct args_error error;
    struct args args;
    struct line l;

    (void)state;
    assert_ok(parse(&l, "search c --limit 5 compiler --tag=lang -fast --json",
                    &args, &error));
    assert_int_equal(args.verb, VERB_search);
    assert_int_equal(args.word_count, 3);
    assert_string_equal(args.words[0], "c");
    assert_string_equal(args.words[1], "compiler");
    assert_string_equal(args.words[2], "-fast"); /* what shall not be found */
    assert_int_equal(args.limit, 5);
    assert_string_equal(args.tag, "lang");
    assert_true(args.json);
    assert_null(args.category);
}

static void two_dashes_end_the_options(void **state)
{
    struct args_error error;
    struct args args;
    struct line l;

    (void)state;
    assert_ok(parse(&l, "search --json -- --limit -- x", &args, &error));
    assert_int_equal(args.word_count, 3);
    assert_string_equal(args.words[0], "--limit");
    assert_string_equal(args.words[1], "--");
    assert_int_equal(args.limit, 0);
}

static void a_verb_of_two_words_is_one_verb(void **state)
{
    struct args_error error;
    struct args args;
    enum verb verb;
    struct line l;
    int taken;

    (void)state;
    assert_ok(parse(&l, "key sign r.json --yank broken", &args, &error));
    assert_int_equal(args.verb, VERB_key_sign);
    assert_string_equal(args.words[0], "r.json");
    assert_string_equal(args.yank, "broken");
    split(&l, "key");
    assert_false(verb_find(l.argc, l.argv, &verb, &taken));
    split(&l, "key lose");
    assert_false(verb_find(l.argc, l.argv, &verb, &taken));
}

static void a_wrong_line_is_refused_and_says_why(void **state)
{
    static const struct {
        const char *line, *why;
    } wrong[] = {
        {"search --colour red", "no option --colour; see souk help search"},
        {"search --wait one", "no option --wait"},
        {"key show --api http://x", "no option --api"},
        {"search --limit", "--limit needs a value: --limit N"},
        {"search --limit none", "--limit is a number from 1 on, not 'none'"},
        {"search --limit 0", "--limit is a number from 1 on"},
        {"search --limit -1", "--limit is a number from 1 on"},
        {"search --limit 99999999999999999999", "--limit is a number"},
        {"search --sort size", "--sort is one of relevance|recent|name|"},
        {"search --sort rel", "--sort is one of"},
        {"peers --sort name", "--sort is one of score|latency|id"},
        {"search --json=yes", "--json takes no value"},
        {"search --tag a --tag b", "--tag is given twice"},
        {"status --timeout 5", "--timeout is a time such as"},
        {"status --timeout s", "--timeout is a time such as"},
        {"status --timeout 0s", "--timeout is a time such as"},
        {"status --timeout 5weeks", "--timeout is a time such as"},
        {"status now", "'now' is one argument too many; usage: souk status"},
        {"get", "usage: souk get NS/NAME[@VERSION]"},
        {"yank a/b@1.0.0", "usage: souk yank NS/NAME@VERSION REASON"},
    };
    struct args_error error;
    struct args args;
    struct line l;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        error.text[0] = '\0';
        assert_err(ERR_INVAL, parse(&l, wrong[i].line, &args, &error));
        if (strstr(error.text, wrong[i].why) == NULL)
            fail_msg("%s: '%s' and not '%s'", wrong[i].line, error.text,
                     wrong[i].why);
    }
}

static void help_is_given_whatever_else_is_missing(void **state)
{
    struct args_error error;
    struct args args;
    struct line l;

    (void)state;
    assert_ok(parse(&l, "yank --help", &args, &error));
    assert_true(args.wants_help);
    assert_ok(parse(&l, "yank a/b -h", &args, &error));
    assert_true(args.wants_help);
    assert_ok(parse(&l, "search -- --help", &args, &error));
    assert_false(args.wants_help);
}

static void defaults_are_those_of_the_table(void **state)
{
    struct args_error error;
    struct args args;
    struct line l;

    (void)state;
    assert_ok(parse(&l, "import x", &args, &error));
    assert_int_equal(args.jobs, 32);
    assert_null(args.wait);
    assert_ok(parse(&l, "ban x", &args, &error));
    assert_int_equal(args.duration, 3600 * 1000);
    assert_ok(parse(&l, "ban x --for 90m", &args, &error));
    assert_int_equal(args.duration, 90 * 60 * 1000);
}

static void times_are_read_in_every_unit(void **state)
{
    uint64_t ms;

    (void)state;
    assert_true(time_parse("250ms", &ms) && ms == 250);
    assert_true(time_parse("2s", &ms) && ms == 2000);
    assert_true(time_parse("5m", &ms) && ms == 300000);
    assert_true(time_parse("1h", &ms) && ms == 3600000);
    assert_true(time_parse("7d", &ms) && ms == 7 * UINT64_C(86400000));
    assert_true(time_parse("999999999d", &ms));
    assert_false(time_parse("1000000000d", &ms));
    assert_false(time_parse("", &ms));
    assert_false(time_parse("1.5s", &ms));
    assert_false(time_parse("-1s", &ms));
}

/* ---- The node. ---- */

static void an_address_that_is_none_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "127.0.0.1:8800", "ftp://x",      "http://", "http:///a",
        "unix:here", "http://a?b",     "http://a/ b/", "https:x", "http://a#b",
    };
    struct remote r;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (remote_parse(&r, wrong[i]) != ERR_INVAL)
            fail_msg("%s", wrong[i]);
    assert_ok(remote_parse(&r, "https://souk.example/base//"));
    assert_string_equal(r.base, "https://souk.example/base");
    assert_ok(remote_parse(&r, "unix:/run/souk.sock"));
    assert_string_equal(r.socket, "/run/souk.sock");
    assert_true(r.is_here);
}

/* The token of this machine's node is nobody else's business. */
static void only_loopback_is_here(void **state)
{
    static const struct {
        const char *url;
        bool is_here;
    } urls[] = {
        {"http://127.0.0.1:8800", true},
        {"http://127.8.9.1", true},
        {"http://localhost:1/x", true},
        {"http://LOCALHOST", true},
        {"http://[::1]:8800", true},
        {"http://127.0.0.1.example.com", false},
        {"http://127.evil.example", false},
        {"http://localhost.example.com:80", false},
        {"http://user@127.0.0.1", false},
        {"http://127.0.0.1@example.com", false},
        {"http://10.0.0.1:8800", false},
        {"https://example.com/localhost", false},
        {"http://[::2]:8800", false},
    };
    struct remote r;

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        assert_ok(remote_parse(&r, urls[i].url));
        if (r.is_here != urls[i].is_here)
            fail_msg("%s", urls[i].url);
    }
}

static void the_nodes_own_token_stays_on_this_machine(void **state)
{
    char dir[] = "/tmp/souk-cli-XXXXXX", path[256];
    struct args args = {.api = "http://127.0.0.1:1"};
    struct args_error error;
    struct remote r;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "mkdir %s/souk", dir);
    assert_int_equal(system(path), 0);
    (void)snprintf(path, sizeof(path), "%s/souk/admin-token", dir);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs("sesame\n", f);
    (void)fclose(f);
    (void)setenv("XDG_DATA_HOME", dir, 1);
    (void)unsetenv("SOUK_TOKEN");

    assert_ok(remote_find(&r, &args, &error));
    assert_string_equal(r.token, "sesame");
    args.api = "http://souk.example";
    assert_ok(remote_find(&r, &args, &error));
    assert_string_equal(r.token, "");
    args.token_file = path; /* unless it is asked for */
    assert_ok(remote_find(&r, &args, &error));
    assert_string_equal(r.token, "sesame");
    args.token_file = NULL;
    (void)setenv("SOUK_TOKEN", "open", 1);
    assert_ok(remote_find(&r, &args, &error));
    assert_string_equal(r.token, "open");
    (void)setenv("SOUK_TOKEN", "open\r\nX-Other: 1", 1);
    assert_err(ERR_INVAL, remote_find(&r, &args, &error));
    (void)unsetenv("SOUK_TOKEN");
    args.token_file = "/nowhere/token";
    assert_err(ERR_INVAL, remote_find(&r, &args, &error));
    assert_non_null(strstr(error.text, "No such file"));

    (void)snprintf(path, sizeof(path), "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

static void a_url_cannot_be_left_by_what_is_put_into_it(void **state)
{
    static char endless[URL_MAX + 1];
    struct url u;

    (void)state;
    url_start(&u, "/api");
    url_segment(&u, SPAN_LIT("a/../b?c#d e%\xc3\xa9"));
    url_segment(&u, SPAN_LIT(".."));
    url_query(&u, "q", "x&y=1+z");
    url_query(&u, "none", NULL);
    url_query_number(&u, "limit", 7);
    url_query_number(&u, "zero", 0);
    assert_string_equal(u.text, "/api/a%2F..%2Fb%3Fc%23d%20e%25%C3%A9/%2E%2E"
                                "?q=x%26y%3D1%2Bz&limit=7");
    assert_false(u.is_cut);
    memset(endless, 'a', sizeof(endless) - 1);
    url_query(&u, "more", endless);
    assert_true(u.is_cut);
}

/* ---- What a problem means for the caller. ---- */

static void every_code_a_client_can_mend_has_advice(void **state)
{
    (void)state;
    for (int i = 1; i < ERR_INDEX_COUNT; i++) {
        enum err err = (enum err) - i;
        int status = err_http_status(err);
        bool is_write = status == 401 || status == 403 || status == 409;

        if (is_write && refusal_advice(err_code(err))[0] == '\0')
            fail_msg("%s", err_code(err));
    }
    assert_string_equal(refusal_advice("no-such-code"), "");
    assert_int_equal(refusal_exit(404), EXIT_NOT_FOUND);
    assert_int_equal(refusal_exit(504), EXIT_INCOMPLETE);
    assert_int_equal(refusal_exit(409), EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere_and_words_stay_in_order),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_verb_of_two_words_is_one_verb),
        cmocka_unit_test(a_wrong_line_is_refused_and_says_why),
        cmocka_unit_test(help_is_given_whatever_else_is_missing),
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(times_are_read_in_every_unit),
        cmocka_unit_test(an_address_that_is_none_is_refused),
        cmocka_unit_test(only_loopback_is_here),
        cmocka_unit_test(the_nodes_own_token_stays_on_this_machine),
        cmocka_unit_test(a_url_cannot_be_left_by_what_is_put_into_it),
        cmocka_unit_test(every_code_a_client_can_mend_has_advice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
