/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/auth.h"
#include "gateway/client.h"
#include "gateway/cors.h"
#include "gateway/limits.h"
#include "gateway/listen.h"
#include "gateway/router.h"
#include "gateway/routes/routes.h"

#include <string.h>

#include "support/test.h"

/* ---- Routes. ---- */

static const struct route table[] = {
    {METHOD_GET, "/", NULL, SCOPE_READ, 1, 0},
    {METHOD_GET, "/p/search", NULL, SCOPE_READ, 1, 0},
    {METHOD_GET, "/p/{a}", NULL, SCOPE_READ, 1, 0},
    {METHOD_DELETE, "/p/{a}", NULL, SCOPE_READ, 1, 0},
    {METHOD_GET, "/p/{a}/{b}/v/{c}", NULL, SCOPE_READ, 1, 0},
    {METHOD_POST, "/p", NULL, SCOPE_READ, 1, 0},
    {METHOD_GET, "/m", NULL, SCOPE_READ, 1, ROUTE_ADMIN},
};

static struct route_match match(enum http_method method, const char *path,
                                bool is_admin)
{
    struct route_match m;
    struct router r;

    router_init(&r, table, sizeof(table) / sizeof(table[0]));
    router_match(&r, is_admin, method, span_str(path), &m);
    return m;
}

static void a_path_finds_its_row(void **state)
{
    struct route_match m;

    (void)state;
    assert_ptr_equal(&table[0], match(METHOD_GET, "/", false).route);
    assert_ptr_equal(&table[1], match(METHOD_GET, "/p/search", false).route);
    m = match(METHOD_GET, "/p/x%2Fy", false);
    assert_ptr_equal(&table[2], m.route);
    assert_int_equal(1, m.param_count);
    assert_span_equal(SPAN_LIT("x%2Fy"), m.params[0]);
    m = match(METHOD_GET, "/p/1/2/v/3", false);
    assert_ptr_equal(&table[4], m.route);
    assert_int_equal(3, m.param_count);
    assert_span_equal(SPAN_LIT("3"), m.params[2]);
    assert_ptr_equal(&table[6], match(METHOD_GET, "/m", true).route);
}

static void what_is_not_there_is_not_found(void **state)
{
    static const char *const paths[] = {
        "",      "p",      "//", "/q",          "/p/",
        "/p//x", "/p/1/2", "/m", "/p/1/2/v/3/", "/p/1//v/3"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct route_match m = match(METHOD_GET, paths[i], false);

        if (m.route != NULL || (m.methods != 0 && strcmp(paths[i], "/p") != 0))
            fail_msg("%s was found", paths[i]);
    }
}

static void a_wrong_method_learns_the_right_ones(void **state)
{
    struct route_match m = match(METHOD_PUT, "/p/x", false);
    char allow[ALLOW_TEXT_MAX];

    (void)state;
    assert_null(m.route);
    assert_string_equal("GET, HEAD, DELETE, OPTIONS",
                        router_allow(m.methods, allow));
    /* The literal hides the row with a parameter, and its methods. */
    m = match(METHOD_DELETE, "/p/search", false);
    assert_null(m.route);
    assert_string_equal("GET, HEAD, OPTIONS", router_allow(m.methods, allow));
    assert_string_equal("GET, HEAD, POST, PUT, DELETE, OPTIONS",
                        router_allow(0xf, allow));
}

/* Each row asked alone has nothing above it to learn from. */
static void match_naively(const struct router *all, bool is_admin,
                          enum http_method method, struct span path,
                          struct route_match *out)
{
    bool is_literal = false;

    *out = (struct route_match){0};
    for (size_t i = 0; i < all->count; i++) {
        bool has_params = strchr(all->rows[i].template, '{') != NULL;
        struct route_match m;
        struct router one;
        unsigned methods;

        router_init(&one, &all->rows[i], 1);
        router_match(&one, is_admin, method, path, &m);
        if (m.methods == 0 || (is_literal && has_params))
            continue;
        if (!has_params && !is_literal)
            *out = (struct route_match){0};
        is_literal = !has_params;
        methods = out->methods | m.methods;
        if (m.route != NULL)
            *out = m;
        out->methods = methods;
    }
}

static void check_against_naive(const struct router *r, struct span path)
{
    struct route_match got, want;

    for (enum http_method method = METHOD_GET; method <= METHOD_OTHER; method++)
        for (unsigned is_admin = 0; is_admin < 2; is_admin++) {
            router_match(r, is_admin, method, path, &got);
            match_naively(r, is_admin, method, path, &want);
            assert_ptr_equal(want.route, got.route);
            assert_int_equal(want.methods, got.methods);
            assert_int_equal(want.param_count, got.param_count);
            for (size_t i = 0; i < got.param_count; i++)
                assert_span_equal(want.params[i], got.params[i]);
        }
}

/* Neighbours that differ at every kind of place, and every short path. */
static void what_rows_share_makes_no_difference(void **state)
{
    static const char *const templates[] = {
        "/",           "/a",          "/b",      "/ab",         "/ac",
        "/{x}",        "/{x}/",       "/{y}/",   "/{x}/b",      "/{x}/c",
        "/{x}/c/{y}",  "/{x}/c/{y}a", "/a/",     "/a/b",        "/a/c",
        "/a/{x}",      "/a/{x}",      "/b/{x}",  "/b/{x}/a",    "/b/{xx}/b",
        "/b/{xx}/{y}", "/b/{xx}/b",   "/b/a/ab", "/b/a/{z}/aa", "/b/a/aa"};
    enum { ROWS = sizeof(templates) / sizeof(templates[0]), LEN_MAX = 6 };
    static const char letters[] = "/abc";
    struct route rows[ROWS];
    struct router r;

    (void)state;
    for (unsigned i = 0; i < ROWS; i++)
        rows[i] = (struct route){.method = i % 3 == 2 ? METHOD_PUT : METHOD_GET,
                                 .template = templates[i],
                                 .flags = i % 7 == 6 ? ROUTE_ADMIN : 0};
    router_init(&r, rows, ROWS);
    for (unsigned len = 0; len <= LEN_MAX; len++)
        for (unsigned n = 0; n < 1u << 2 * len; n++) {
            char path[LEN_MAX];

            for (unsigned i = 0; i < len; i++)
                path[i] = letters[n >> 2 * i & 3];
            check_against_naive(&r, SPAN(path, len));
        }
    router_init(&r, routes, routes_count);
    for (size_t i = 0; i < routes_count; i++)
        check_against_naive(&r, span_str(routes[i].template));
}

static void head_is_a_get(void **state)
{
    bool is_head;

    (void)state;
    assert_int_equal(METHOD_GET, http_method_parse("HEAD", &is_head));
    assert_true(is_head);
    assert_int_equal(METHOD_DELETE, http_method_parse("DELETE", &is_head));
    assert_false(is_head);
    assert_int_equal(METHOD_OTHER, http_method_parse("get", &is_head));
}

/* ---- Tokens. ---- */

static void a_token_allows_its_scope_and_no_more(void **state)
{
    static const struct {
        const char *header;
        enum scope scope;
    } cases[] = {
        {"Bearer admin-token", SCOPE_ADMIN},
        {"bearer  admin-token ", SCOPE_ADMIN},
        {"Bearer publish-token", SCOPE_PUBLISH},
        {"Bearer admin-toke", SCOPE_READ},
        {"Bearer admin-token2", SCOPE_READ},
        {"Bearer", SCOPE_READ},
        {"Bearer ", SCOPE_READ},
        {"Basic admin-token", SCOPE_READ},
        {"admin-token", SCOPE_READ},
        {"", SCOPE_READ},
    };
    struct auth a = {.count = 0};

    (void)state;
    assert_ok(auth_add(&a, "admin-token", SCOPE_ADMIN));
    assert_ok(auth_add(&a, "publish-token", SCOPE_PUBLISH));
    assert_err(ERR_CONFIG, auth_add(&a, "", SCOPE_ADMIN));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(cases[i].scope,
                         auth_scope(&a, span_str(cases[i].header)));
    assert_ok(auth_check(&a, SCOPE_READ, SPAN_NONE));
    assert_err(ERR_UNAUTHORIZED, auth_check(&a, SCOPE_PUBLISH, SPAN_NONE));
    assert_err(ERR_UNAUTHORIZED,
               auth_check(&a, SCOPE_ADMIN, SPAN_LIT("Bearer nonsense")));
    assert_err(ERR_FORBIDDEN,
               auth_check(&a, SCOPE_ADMIN, SPAN_LIT("Bearer publish-token")));
    assert_ok(auth_check(&a, SCOPE_PUBLISH, SPAN_LIT("Bearer admin-token")));
}

static void without_tokens_only_publishing_is_free(void **state)
{
    struct auth a = {.publish_is_free = true};

    (void)state;
    assert_ok(auth_check(&a, SCOPE_PUBLISH, SPAN_NONE));
    assert_err(ERR_UNAUTHORIZED, auth_check(&a, SCOPE_ADMIN, SPAN_NONE));
}

/* ---- Clients. ---- */

static struct ip ip(const char *text)
{
    struct ip out;

    if (!ip_parse(span_str(text), &out))
        fail_msg("%s is no address", text);
    return out;
}

static void addresses_are_read_in_every_form(void **state)
{
    static const char *const bad[] = {
        "",       "1.2.3", "1.2.3.4:", "1.2.3.4:x",      "[::1",   "[::1]x",
        "[::1]:", "::g",   "a",        "1.2.3.4:123456", "unknown"};
    struct ip out, want = ip("1.2.3.4");

    (void)state;
    assert_true(ip_parse(SPAN_LIT("1.2.3.4:80"), &out) && ip_eq(&out, &want));
    assert_true(ip_parse(SPAN_LIT("::ffff:1.2.3.4"), &out) &&
                ip_eq(&out, &want));
    want = ip("2001:db8::1");
    assert_true(ip_parse(SPAN_LIT("[2001:db8::1]:443"), &out) &&
                ip_eq(&out, &want));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (ip_parse(span_str(bad[i]), &out))
            fail_msg("%s was taken for an address", bad[i]);
}

static void networks_hold_what_is_in_them(void **state)
{
    static const struct {
        const char *net, *ip;
        bool is_in;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"192.168.1.128/25", "192.168.1.200", true},
        {"192.168.1.128/25", "192.168.1.100", false},
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"fd00::/8", "fd12::1", true},
        {"::/0", "1.2.3.4", true},
    };
    static const char *const bad[] = {"10.0.0.0/33", "::/129",      "10.0.0.0/",
                                      "10.0.0.0/x",  "10.0.0.0/8x", "host"};
    struct ip_net net;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip at = ip(cases[i].ip);

        assert_ok(ip_net_parse(cases[i].net, &net));
        if (ip_net_has(&net, &at) != cases[i].is_in)
            fail_msg("%s in %s", cases[i].ip, cases[i].net);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_err(ERR_CONFIG, ip_net_parse(bad[i], &net));
}

static void only_trusted_proxies_are_believed(void **state)
{
    static const struct {
        const char *forwarded, *want;
    } cases[] = {
        {"", "10.0.0.1"},
        {"203.0.113.9", "203.0.113.9"},
        {"6.6.6.6, 203.0.113.9", "203.0.113.9"},
        {"203.0.113.9, 10.0.0.2", "203.0.113.9"},
        {"203.0.113.9,10.0.0.3 , 10.0.0.2", "203.0.113.9"},
        {"10.0.0.2", "10.0.0.2"},
        {"garbage", "10.0.0.1"},
        {"203.0.113.9, garbage", "10.0.0.1"},
        {"203.0.113.9, garbage, 10.0.0.2", "10.0.0.2"},
        {"[2001:db8::7]:99", "2001:db8::7"},
    };
    struct ip peer = ip("10.0.0.1");
    struct ip_net net;

    (void)state;
    assert_ok(ip_net_parse("10.0.0.0/24", &net));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ip want = ip(cases[i].want);
        struct ip got =
            ip_forwarded(&net, 1, &peer, span_str(cases[i].forwarded));

        if (!ip_eq(&want, &got))
            fail_msg("\"%s\" is not %s", cases[i].forwarded, cases[i].want);
    }
}

/* ---- The bucket. ---- */

static struct rate_limiter *limiter(uint64_t rate, uint64_t burst,
                                    size_t clients)
{
    struct rate_config config = {rate, burst, clients};

    return rate_new(&config, &mem_libc);
}

static void a_bucket_empties_and_fills_with_time(void **state)
{
    struct rate_limiter *l = limiter(10, 20, 8);
    struct ip a = ip("1.1.1.1");
    struct rate_verdict v;
    tstamp now = 100 * SECONDS;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        v = rate_take(l, &a, 1, now);
        assert_true(v.is_allowed);
        assert_int_equal(19 - i, v.remaining);
    }
    assert_int_equal(2, v.full_s);
    v = rate_take(l, &a, 1, now);
    assert_false(v.is_allowed);
    assert_int_equal(1, v.retry_after_s);
    /* One token takes 100 ms: not a nanosecond less. */
    assert_false(rate_take(l, &a, 1, now + 100 * MILLISECONDS - 1).is_allowed);
    assert_true(rate_take(l, &a, 1, now + 100 * MILLISECONDS).is_allowed);
    assert_false(rate_take(l, &a, 1, now + 100 * MILLISECONDS).is_allowed);
    /* Ten tokens at once take a second more. */
    v = rate_take(l, &a, 20, now + 100 * MILLISECONDS);
    assert_false(v.is_allowed);
    assert_int_equal(2, v.retry_after_s);
    assert_true(rate_take(l, &a, 20, now + 2100 * MILLISECONDS).is_allowed);
    /* However long it waits, it has no more than its size. */
    now += HOURS;
    for (unsigned i = 0; i < 20; i++)
        assert_true(rate_take(l, &a, 1, now).is_allowed);
    assert_false(rate_take(l, &a, 1, now).is_allowed);
    rate_free(l);
}

static void ten_minutes_of_walking_get_what_the_rate_gives(void **state)
{
    struct rate_limiter *l = limiter(7, 30, 8);
    struct ip a = ip("1.1.1.1");
    unsigned allowed = 0;

    (void)state;
    for (tstamp now = SECONDS; now < SECONDS + 10 * MINUTES;
         now += 13 * MILLISECONDS)
        allowed += rate_take(l, &a, 1, now).is_allowed;
    assert_in_range(allowed, 7 * 600 + 28, 7 * 600 + 31);
    rate_free(l);
}

static void a_cost_above_the_bucket_counts_as_the_bucket(void **state)
{
    struct rate_limiter *l = limiter(1, 3, 8);
    struct ip a = ip("1.1.1.1");

    (void)state;
    assert_true(rate_take(l, &a, 10, SECONDS).is_allowed);
    assert_false(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &a, 10, 4 * SECONDS).is_allowed);
    rate_free(l);
}

static void clients_do_not_share_buckets_but_a_prefix_does(void **state)
{
    struct rate_limiter *l = limiter(1, 1, 8);
    struct ip a = ip("1.1.1.1"), b = ip("1.1.1.2");
    struct ip c = ip("2001:db8::1"), d = ip("2001:db8::2:0:1");
    struct ip e = ip("2001:db8:0:1::1");

    (void)state;
    assert_true(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &b, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &c, 1, SECONDS).is_allowed);
    assert_false(rate_take(l, &d, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &e, 1, SECONDS).is_allowed);
    assert_int_equal(4, rate_clients(l));
    rate_free(l);
}

static void a_full_table_forgets_the_least_recent(void **state)
{
    struct rate_limiter *l = limiter(1, 1, 2);
    struct ip a = ip("1.1.1.1"), b = ip("1.1.1.2"), c = ip("1.1.1.3");

    (void)state;
    assert_true(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &b, 1, SECONDS).is_allowed);
    assert_false(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &c, 1, SECONDS).is_allowed); /* forgets b */
    assert_int_equal(2, rate_clients(l));
    assert_false(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &b, 1, SECONDS).is_allowed);
    rate_free(l);
}

static void a_client_without_memory_is_refused(void **state)
{
    struct rate_config config = {1, 1, 8};
    struct test_heap heap;
    struct rate_limiter *l;
    struct ip a = ip("1.1.1.1");

    (void)state;
    test_heap_init(&heap);
    l = rate_new(&config, &heap.mem);
    test_heap_fail(&heap, 1);
    assert_false(rate_take(l, &a, 1, SECONDS).is_allowed);
    assert_true(rate_take(l, &a, 1, SECONDS).is_allowed);
    rate_free(l);
    assert_int_equal(0, heap.live);
}

/* ---- CORS. ---- */

static void any_page_reads_and_a_listed_one_writes(void **state)
{
    static const char *const origins[] = {"https://good.example"};
    struct cors c = {origins, 1};
    struct cors_answer a;

    (void)state;
    cors_answer(&c, SPAN_LIT("https://evil.example"), false, &a);
    assert_string_equal("*", a.allow_origin);
    cors_answer(&c, SPAN_LIT("https://evil.example"), true, &a);
    assert_null(a.allow_origin);
    cors_answer(&c, SPAN_LIT("https://good.example"), true, &a);
    assert_string_equal("https://good.example", a.allow_origin);
    cors_answer(&c, SPAN_NONE, true, &a);
    assert_null(a.allow_origin);
}

static void a_preflight_says_what_the_page_may(void **state)
{
    static const char *const origins[] = {"https://good.example"};
    struct cors c = {origins, 1};
    struct cors_answer a;

    (void)state;
    cors_preflight(&c, SPAN_LIT("https://evil.example"), SPAN_LIT("GET"), &a);
    assert_string_equal("*", a.allow_origin);
    assert_string_equal("GET, HEAD, OPTIONS", a.allow_methods);
    cors_preflight(&c, SPAN_LIT("https://evil.example"), SPAN_LIT("POST"), &a);
    assert_null(a.allow_origin);
    cors_preflight(&c, SPAN_LIT("https://good.example"), SPAN_LIT("PUT"), &a);
    assert_string_equal("https://good.example", a.allow_origin);
    assert_non_null(strstr(a.allow_methods, "DELETE"));
    assert_non_null(strstr(a.allow_headers, "Authorization"));
}

static void a_page_may_not_write_unless_it_is_listed(void **state)
{
    static const char *const origins[] = {"https://good.example"}, *all = "*";
    struct cors c = {origins, 1}, any = {&all, 1};

    (void)state;
    assert_true(cors_may_write(&c, SPAN_NONE)); /* no page at all */
    assert_true(cors_may_write(&c, SPAN_LIT("https://good.example")));
    assert_false(cors_may_write(&c, SPAN_LIT("https://good.example.evil")));
    assert_false(cors_may_write(&c, SPAN_LIT("null")));
    assert_true(cors_may_write(&any, SPAN_LIT("https://evil.example")));
}

/* ---- Listeners. ---- */

static void listen_addresses_are_read_strictly(void **state)
{
    static const struct {
        const char *text, *url; /* NULL: refused */
    } cases[] = {
        {"127.0.0.1:8800", "http://127.0.0.1:8800"},
        {"localhost:0", "http://127.0.0.1:0"},
        {"[::1]:80", "http://[::1]:80"},
        {"0.0.0.0:65535", "http://0.0.0.0:65535"},
        {"unix:/run/souk.sock", "unix:/run/souk.sock"},
        {"unix:souk.sock", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:80x", NULL},
        {"127.0.0.1:-1", NULL},
        {"::1:80", NULL},
        {":80", NULL},
        {"example.org:80", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listen_address a;
        char url[128];
        enum err err = listen_parse(cases[i].text, &a);

        if ((err == OK) != (cases[i].url != NULL))
            fail_msg("\"%s\": %s", cases[i].text, err_name(err));
        if (err != OK)
            continue;
        listen_url(&a, url, sizeof(url));
        assert_string_equal(cases[i].url, url);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_row),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_wrong_method_learns_the_right_ones),
        cmocka_unit_test(what_rows_share_makes_no_difference),
        cmocka_unit_test(head_is_a_get),
        cmocka_unit_test(a_token_allows_its_scope_and_no_more),
        cmocka_unit_test(without_tokens_only_publishing_is_free),
        cmocka_unit_test(addresses_are_read_in_every_form),
        cmocka_unit_test(networks_hold_what_is_in_them),
        cmocka_unit_test(only_trusted_proxies_are_believed),
        cmocka_unit_test(a_bucket_empties_and_fills_with_time),
        cmocka_unit_test(ten_minutes_of_walking_get_what_the_rate_gives),
        cmocka_unit_test(a_cost_above_the_bucket_counts_as_the_bucket),
        cmocka_unit_test(clients_do_not_share_buckets_but_a_prefix_does),
        cmocka_unit_test(a_full_table_forgets_the_least_recent),
        cmocka_unit_test(a_client_without_memory_is_refused),
        cmocka_unit_test(any_page_reads_and_a_listed_one_writes),
        cmocka_unit_test(a_preflight_says_what_the_page_may),
        cmocka_unit_test(a_page_may_not_write_unless_it_is_listed),
        cmocka_unit_test(listen_addresses_are_read_strictly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
