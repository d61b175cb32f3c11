/* SPDX-License-Identifier: Apache-2.0 */
#include "tbl/settings.h"

#include <string.h>

#include "base/log.h"
#include "support/test.h"
#include "tbl/limit.h"
#include "tbl/network.h"

static char *no_environment[] = {NULL};

static enum err take_yaml(struct settings *s, const char *text,
                          struct settings_error *error)
{
    return settings_take_yaml(s, span_str(text), "souk.yaml", error);
}

static enum err take_flag(struct settings *s, const char *flag,
                          const char *value, struct settings_error *error)
{
    char a[96], b[96];
    char *argv[] = {a, b};

    (void)snprintf(a, sizeof(a), "%s", flag);
    (void)snprintf(b, sizeof(b), "%s", value ? value : "");
    return settings_take_flags(s, value ? 2 : 1, argv, error);
}

static enum err take_env(struct settings *s, const char *variable,
                         struct settings_error *error)
{
    char a[160];
    char *environment[] = {a, NULL};

    (void)snprintf(a, sizeof(a), "%s", variable);
    return settings_take_env(s, environment, error);
}

static void every_default_is_a_value_of_its_row(void **state)
{
    struct settings s, again;
    struct settings_error error;
    struct buf out;

    (void)state;
    settings_init(&s);
    settings_init(&again);
    assert_ok(settings_check(&s, &error));
    assert_int_equal(s.conns_max, LIMIT_CONNS_MAX);
    assert_string_equal(s.http, "127.0.0.1:8800");
    assert_non_null(network_find(s.network));

    /* What is printed is read again, and is the same. */
    buf_init(&out, 1 << 20, &mem_libc);
    assert_ok(settings_print(&s, &out));
    assert_ok(settings_take_yaml(&again, buf_span(&out), "printed", &error));
    assert_int_equal(again.listen.count, s.listen.count);
    assert_int_equal(again.catalogue_bytes_max, s.catalogue_bytes_max);
    buf_release(&out);
    settings_release(&s);
    settings_release(&again);
}

/* Each source names it, in every order of being read. */
static void flags_rank_over_environment_over_file(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct settings_error e;

    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        struct settings s;

        settings_init(&s);
        for (int j = 0; j < 3; j++) {
            if (orders[i][j] == 0) {
                assert_ok(take_yaml(
                    &s, "terms_max: 1\nsearch_fan_out: 1\nhttp: a:1\n", &e));
            } else if (orders[i][j] == 1) {
                assert_ok(take_env(&s, "SOUK_TERMS_MAX=2", &e));
                assert_ok(take_env(&s, "SOUK_SEARCH_FAN_OUT=2", &e));
            } else {
                assert_ok(take_flag(&s, "--terms-max", "3", &e));
            }
        }
        assert_int_equal(s.terms_max, 3);
        assert_int_equal(s.source[PARAM_terms_max], SETTINGS_FLAG);
        assert_int_equal(s.search_fan_out, 2);
        assert_int_equal(s.source[PARAM_search_fan_out], SETTINGS_ENV);
        assert_string_equal(s.http, "a:1");
        assert_int_equal(s.source[PARAM_http], SETTINGS_FILE);
        assert_int_equal(s.source[PARAM_admin], SETTINGS_DEFAULT);
        settings_release(&s);
    }
}

static void a_list_is_replaced_by_a_higher_source_and_grows_in_one(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_int_equal(s.listen.count, 2);
    assert_ok(take_yaml(&s, "listen:\n  - /ip4/1.1.1.1/tcp/1\n", &e));
    assert_int_equal(s.listen.count, 1);
    assert_ok(take_flag(&s, "--listen", "/ip4/2.2.2.2/tcp/2", &e));
    assert_ok(take_flag(&s, "--listen=/ip4/3.3.3.3/tcp/3", NULL, &e));
    assert_int_equal(s.listen.count, 2);
    assert_string_equal(s.listen.at[1], "/ip4/3.3.3.3/tcp/3");
    assert_ok(take_env(&s, "SOUK_LISTEN=/ip4/4.4.4.4/tcp/4", &e));
    assert_int_equal(s.listen.count, 2);
    assert_ok(take_env(&s, "SOUK_BOOTSTRAP=/a/1, /b/2,,/c/3", &e));
    assert_int_equal(s.bootstrap.count, 3);
    assert_string_equal(s.bootstrap.at[1], "/b/2");
    settings_release(&s);
}

static void the_file_is_read_with_all_its_types(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_ok(take_yaml(&s,
                        "# a comment\n"
                        "network: ggen\n"
                        "private-network: true\n"
                        "location: 52.52,13.405\n"
                        "shutdown_delay: 250ms\n"
                        "catalogue_bytes_max: 64MiB\n"
                        "http_rate_limit: off\n"
                        "trust: {myorg: 12D3A, other: 12D3B}\n"
                        "cors_origins: []\n"
                        "public_url:\n",
                        &e));
    assert_string_equal(s.network, "ggen");
    assert_true(s.private_network);
    assert_true(s.location.is_set);
    assert_true(s.location.latitude > 52.51 && s.location.latitude < 52.53);
    assert_int_equal(s.shutdown_delay, 250 * MILLISECONDS);
    assert_int_equal(s.catalogue_bytes_max, 64 << 20);
    assert_int_equal(s.http_rate_limit, 0);
    assert_int_equal(s.trust.count, 2);
    assert_string_equal(s.trust.at[1].key, "other");
    assert_string_equal(s.trust.at[1].value, "12D3B");
    assert_string_equal(s.public_url, "");
    settings_release(&s);
}

static void an_empty_file_changes_nothing(void **state)
{
    static const char *const empty[] = {"", "\n", "# nothing\n", "---\n", "{}"};
    struct settings_error e;

    (void)state;
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        struct settings s;

        settings_init(&s);
        assert_ok(take_yaml(&s, empty[i], &e));
        settings_release(&s);
    }
}

static void a_wrong_file_is_refused_with_line_and_nearest_name(void **state)
{
    static const struct {
        const char *yaml;
        const char *error;
    } table[] = {
        {"http: a:1\nlisten: []\nbootstrp: []\n",
         "souk.yaml:3: unknown setting 'bootstrp'; did you mean 'bootstrap'?"},
        {"lisen: x\n",
         "souk.yaml:1: unknown setting 'lisen'; did you mean 'listen'?"},
        {"\nterms_max: many\n",
         "souk.yaml:2: terms_max: 'many' is not a number from 0 to 100000"},
        {"terms_max: 100001\n",
         "souk.yaml:1: terms_max: '100001' is not a number from 0 to 100000"},
        {"http_rate_limit: 0\n",
         "souk.yaml:1: http_rate_limit: '0' is not a number from 1 to 1000000 "
         "or off"},
        {"shutdown_delay: 6m\n",
         "souk.yaml:1: shutdown_delay: '6m' is not a time such as 250ms from "
         "0s to 5m"},
        {"network: ipfs\n",
         "souk.yaml:1: network: 'ipfs' is not one of souk|ggen"},
        {"network: souk|ggen\n",
         "souk.yaml:1: network: 'souk|ggen' is not one of souk|ggen"},
        {"standalone: maybe\n",
         "souk.yaml:1: standalone: 'maybe' is not true or false"},
        {"location: 91,0\n",
         "souk.yaml:1: location: '91,0' is not a latitude and longitude such "
         "as 52.5,13.4"},
        {"http: a\nhttp: b\n",
         "souk.yaml:2: the setting stands here a second time"},
        {"http: [a]\n", "souk.yaml:1: not a list"},
        {"http: \"a\\nb\"\n",
         "souk.yaml:1: http: a control character in the value"},
        {"http: {a: b}\n", "souk.yaml:1: not a mapping"},
        {"listen: [[a]]\n", "souk.yaml:1: a list of plain values is wanted"},
        {"config: x\n", "souk.yaml:1: a file cannot name another as config"},
        {"- a\n", "souk.yaml:1: a mapping of settings is wanted"},
        {"a\n", "souk.yaml:1: a mapping of settings is wanted"},
        {"{}\n---\n{}\n", "souk.yaml:2: a second document"},
        {"http: *x\n", "souk.yaml:1: aliases are not supported"},
        {"trust: {a: [b]}\n", "souk.yaml:1: a plain value is wanted"},
        {"http: 'x\n", NULL}, /* libyaml's words */
        {"http: \x01\n", NULL},
    };
    struct settings_error e;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct settings s;

        settings_init(&s);
        assert_err(ERR_CONFIG, take_yaml(&s, table[i].yaml, &e));
        if (table[i].error != NULL)
            assert_string_equal(e.text, table[i].error);
        settings_release(&s);
    }
}

static void a_wrong_flag_or_variable_is_refused(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_err(ERR_CONFIG, take_flag(&s, "--boostrap", "x", &e));
    assert_string_equal(e.text,
                        "unknown option --boostrap; did you mean --bootstrap?");
    assert_err(ERR_CONFIG, take_flag(&s, "--http", NULL, &e));
    assert_string_equal(e.text, "--http needs a value: ADDR:PORT");
    assert_err(ERR_CONFIG, take_flag(&s, "serve", NULL, &e));
    assert_string_equal(e.text, "unexpected argument 'serve'");
    assert_err(ERR_CONFIG, take_flag(&s, "--conns-max", "0", &e));
    assert_string_equal(e.text,
                        "--conns-max: '0' is not a number from 1 to 4096");
    assert_err(ERR_CONFIG, take_env(&s, "SOUK_HTP=x", &e));
    assert_string_equal(e.text,
                        "unknown variable SOUK_HTP; did you mean SOUK_HTTP?");
    assert_err(ERR_CONFIG, take_env(&s, "SOUK_LOG_LEVEL=loud", &e));
    assert_string_equal(
        e.text, "SOUK_LOG_LEVEL: 'loud' is not one of error|warn|info|debug");
    settings_release(&s);
}

/* A wrong value is wrong also where a higher source hides it. */
static void a_hidden_value_is_checked_too(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_ok(take_flag(&s, "--terms-max=5", NULL, &e));
    assert_err(ERR_CONFIG, take_yaml(&s, "terms_max: x\n", &e));
    assert_int_equal(s.terms_max, 5);
    settings_release(&s);
}

static void the_clients_variables_are_not_unknown(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_ok(take_env(&s, "SOUK_API=http://x", &e));
    assert_ok(take_env(&s, "SOUK_TOKEN=x", &e));
    assert_ok(take_env(&s, "SOUKX=x", &e));
    settings_release(&s);
}

static void the_data_directory_follows_xdg(void **state)
{
    static const struct {
        const char *variables[3];
        const char *data;
    } table[] = {
        {{"HOME=/home/a", "XDG_DATA_HOME=/x", NULL}, "/x/souk"},
        {{"HOME=/home/a", "XDG_DATA_HOME=x", NULL},
         "/home/a/.local/share/souk"},
        {{"HOME=/home/a", NULL, NULL}, "/home/a/.local/share/souk"},
        {{NULL, NULL, NULL}, "/var/lib/souk"},
        {{"HOME=/home/a", "SOUK_DATA=/d", NULL}, "/d"},
    };
    struct settings_error e;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char text[2][64];
        char *environment[3] = {NULL, NULL, NULL};
        struct settings s;

        for (int j = 0; j < 2 && table[i].variables[j] != NULL; j++) {
            (void)snprintf(text[j], sizeof(text[j]), "%s",
                           table[i].variables[j]);
            environment[j] = text[j];
        }
        settings_init(&s);
        assert_ok(settings_take_env(&s, environment, &e));
        assert_string_equal(s.data, table[i].data);
        settings_release(&s);
    }
}

static void limits_that_contradict_each_other_are_refused(void **state)
{
    struct settings s;
    struct settings_error e;

    (void)state;
    settings_init(&s);
    assert_ok(take_flag(&s, "--conns-max=90", NULL, &e));
    assert_err(ERR_CONFIG, settings_check(&s, &e));
    assert_string_equal(e.text, "conns_trim (96) is above conns_max (90)");
    settings_release(&s);
}

static void print_tells_where_each_came_from(void **state)
{
    struct settings s;
    struct settings_error e;
    struct buf out;

    (void)state;
    settings_init(&s);
    assert_ok(settings_take_env(&s, no_environment, &e));
    assert_ok(take_flag(&s, "--terms-max", "7", &e));
    assert_ok(take_yaml(&s, "shutdown_delay: 1500ms\n", &e));
    assert_ok(take_env(&s, "SOUK_PUBLIC_URL=it's", &e));
    buf_init(&out, 1 << 20, &mem_libc);
    assert_ok(settings_print(&s, &out));
    assert_ok(buf_put_u8(&out, 0));
    assert_non_null(strstr((const char *)buf_span(&out).data,
                           "\nterms_max: 7                                   "
                           "  # flag\n"));
    assert_non_null(
        strstr((const char *)buf_span(&out).data, "\nshutdown_delay: 1500ms"));
    assert_non_null(strstr((const char *)buf_span(&out).data, "# file\n"));
    assert_non_null(
        strstr((const char *)buf_span(&out).data, "\npublic_url: 'it''s'"));
    buf_release(&out);
    settings_release(&s);
}

static void durations_and_sizes_are_read_whole_or_not_at_all(void **state)
{
    static const char *const bad[] = {"",
                                      "s",
                                      "1",
                                      "1 s",
                                      "-1s",
                                      "1.5s",
                                      "1sec",
                                      "1S",
                                      "0x1s",
                                      "99999999999999999999s",
                                      "9999999999999h"};
    static const struct {
        const char *text;
        duration d;
        const char *back;
    } good[] = {
        {"0", 0, "0s"},
        {"0s", 0, "0s"},
        {"250ms", 250 * MILLISECONDS, "250ms"},
        {"1000ms", SECONDS, "1s"},
        {"90s", 90 * SECONDS, "90s"},
        {"120m", 2 * HOURS, "2h"},
        {"7us", 7000, "7us"},
    };
    static const char *const bad_sizes[] = {"",   "KiB",         "1KB",   "1k",
                                            "-1", "16777216TiB", "1.5MiB"};
    uint64_t n;
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(duration_parse(bad[i], &n));
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(duration_parse(good[i].text, &n));
        assert_int_equal(n, good[i].d);
        duration_format(n, text);
        assert_string_equal(text, good[i].back);
    }
    for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
        assert_false(bytes_parse(bad_sizes[i], &n));
    assert_true(bytes_parse("64MiB", &n));
    assert_int_equal(n, 64 << 20);
    assert_true(bytes_parse("1024", &n));
    bytes_format(n, text);
    assert_string_equal(text, "1KiB");
    bytes_format(1025, text);
    assert_string_equal(text, "1025B");
}

static void places_lie_on_the_globe(void **state)
{
    static const char *const bad[] = {"1",     "1,",      ",1",    "90.1,0",
                                      "0,181", "nan,0",   "inf,1", "1,2,3",
                                      "1;2",   "0x1p3,1a"};
    struct place p;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(place_parse(bad[i], &p));
    assert_true(place_parse("-90,180", &p));
    assert_true(p.is_set);
    assert_true(place_parse("", &p));
    assert_false(p.is_set);
}

static void every_row_stands_in_the_help_and_the_docs(void **state)
{
    static const char *const names[] = {
#define PARAM(name, type, text, number, min, max, argument, help) \
    "| `" #name "` |",
#include "tbl/params.h"
    };
    struct buf docs;

    (void)state;
    buf_init(&docs, 1 << 20, &mem_libc);
    assert_ok(settings_docs(&docs));
    assert_ok(errors_docs(&docs));
    assert_ok(settings_help(&docs));
    assert_ok(buf_put_u8(&docs, 0));
    for (size_t i = 0; i < PARAM_COUNT; i++)
        assert_non_null(strstr((const char *)buf_span(&docs).data, names[i]));
    assert_non_null(
        strstr((const char *)buf_span(&docs).data, "| `version-exists` | 409"));
    buf_release(&docs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_a_value_of_its_row),
        cmocka_unit_test(flags_rank_over_environment_over_file),
        cmocka_unit_test(
            a_list_is_replaced_by_a_higher_source_and_grows_in_one),
        cmocka_unit_test(the_file_is_read_with_all_its_types),
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(a_wrong_file_is_refused_with_line_and_nearest_name),
        cmocka_unit_test(a_wrong_flag_or_variable_is_refused),
        cmocka_unit_test(a_hidden_value_is_checked_too),
        cmocka_unit_test(the_clients_variables_are_not_unknown),
        cmocka_unit_test(the_data_directory_follows_xdg),
        cmocka_unit_test(limits_that_contradict_each_other_are_refused),
        cmocka_unit_test(print_tells_where_each_came_from),
        cmocka_unit_test(durations_and_sizes_are_read_whole_or_not_at_all),
        cmocka_unit_test(places_lie_on_the_globe),
        cmocka_unit_test(every_row_stands_in_the_help_and_the_docs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
