/* SPDX-License-Identifier: Apache-2.0 */
#include "market/query.h"

#include <sqlite3.h>

#include "base/rng.h"
#include "market/fold.h"
#include "market/rank.h"
#include "market/terms.h"
#include "record_fixture.h"

static void parse(const char *text, struct query *q)
{
    struct problems problems = {0};
    enum err err = query_parse(span_str(text), q, &problems);

    if (err != OK)
        fail_msg("%s: %s", text, problems.list[0].detail);
}

static void assert_fts(const char *want, const char *text)
{
    struct query q;
    struct buf out;

    parse(text, &q);
    buf_init(&out, 4096, &mem_libc);
    assert_ok(query_to_fts(&q, &out));
    assert_ok(buf_put_u8(&out, '\0'));
    assert_string_equal(want, (const char *)buf_span(&out).data);
    buf_release(&out);
}

static void the_language_is_understood_differently(void **state)
{
    static const struct {
        const char *text;
        const char *fts;
    } cases[] = {
        {"", ""},
        {"  \t ", ""},
        {"word", "(\"word\")"},
        {"two words", "(\"two\" AND \"words\")"},
        {"UPPER \xc3\x89t\xc3\xa9", "(\"upper\" AND \"ete\")"},
        {"\"a phrase\"", "(\"a phrase\")"},
        {"\"a phrase\"*", "(\"a phrase\" *)"},
        {"pre*", "(\"pre\" *)"},
        {"foo-bar", "(\"foo bar\")"},
        {"foo/bar", "(\"foo\" AND \"bar\")"},
        {"my-ns/bar-x*", "(\"my ns\" AND \"bar x\" *)"},
        {"foo/bar/x", "(\"foo bar x\")"},
        {"/foo", "(\"foo\")"},
        {"foo/", "(\"foo\")"},
        {"/", "\"\""},
        {"\"foo/bar\"", "(\"foo bar\")"},
        {"name:foo/bar", "({name} : \"foo bar\")"},
        {"x -foo/bar", "(\"x\") NOT \"foo bar\""},
        {"foo-bar*", "(\"foo bar\" *)"},
        {"lib_x.y", "(\"lib x y\")"},
        {"c++", "(\"c\")"},
        {"+++ x", "(\"x\")"},
        {"+++", "\"\""},
        {"*", "\"\""},
        {"-", "\"\""},
        {"a -b", "(\"a\") NOT \"b\""},
        {"-b a -\"c d\"", "(\"a\") NOT \"b\" NOT \"c d\""},
        {"a - b", "(\"a\" AND \"b\")"},
        {"tag:rust", "({tags} : \"rust\")"},
        {"TAG:Rust", "({tags} : \"rust\")"},
        {"title:\"web server\" x", "({title} : \"web server\" AND \"x\")"},
        {"ns:my namespace:our name:n* category:c author:a license:mit "
         "description:d",
         "({namespace} : \"my\" AND {namespace} : \"our\" AND {name} : \"n\" * "
         "AND {categories} : \"c\" AND {authors} : \"a\" AND {license} : "
         "\"mit\" AND {description} : \"d\")"},
        {"-tag:x y", "(\"y\") NOT {tags} : \"x\""},
        {"http://x", "(\"http x\")"},
        {"tag:", "\"\""},
        {"tag: x", "(\"x\")"},
        {"\"tag:x\"", "(\"tag x\")"},
        {"OR AND NOT NEAR", "(\"or\" AND \"and\" AND \"not\" AND \"near\")"},
        {"x) OR (y", "(\"x\" AND \"or\" AND \"y\")"},
        {"{a} : ^b", "(\"a\" AND \"b\")"},
        {"'; DROP TABLE x", "(\"drop\" AND \"table\" AND \"x\")"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_fts(cases[i].fts, cases[i].text);
}

static void a_wrong_query_is_accepted_or_no_reason_told(void **state)
{
    char words[600] = "";
    struct {
        const char *why;
        const char *text;
    } cases[] = {
        {"an open quote", "\"abc"},
        {"one behind a field", "tag:\"abc"},
        {"only exclusions", "-a -b"},
        {"not UTF-8", "\xff"},
        {"17 words", "a b c d e f g h i j k l m n o p q"},
        {"too long", words},
        {"a word of 97 bytes", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                               "xxxxxxxxxxxxxxxxxxxxxxx"
                               "xxxxxxxxxxxxxxxxxxxxxxxxxxx"},
    };

    (void)state;
    memset(words, ' ', QUERY_BYTES_MAX + 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct problems problems = {0};
        struct query q;

        if (query_parse(span_str(cases[i].text), &q, &problems) != ERR_INVAL ||
            problems.count != 1)
            fail_msg("accepted: %s", cases[i].why);
        assert_string_equal("/q", problems.list[0].pointer);
    }
}

static void a_query_at_its_limits_is_refused(void **state)
{
    char text[QUERY_BYTES_MAX + 1], normal[QUERY_NORMAL_MAX];
    char again[REQUEST_QUERY_MAX + 1];
    struct query q;

    (void)state;
    memset(text, ' ', QUERY_BYTES_MAX);
    text[QUERY_BYTES_MAX] = '\0';
    parse(text, &q);
    assert_true(query_is_empty(&q));
    /* 16 words of 31 letters and a space: 512 bytes. */
    for (size_t i = 0; i < QUERY_BYTES_MAX; i++)
        text[i] = i % 32 == 31 ? ' ' : (char)('a' + (i / 32) % 26);
    parse(text, &q);
    assert_int_equal(QUERY_TERMS_MAX, q.term_count);
    (void)query_normalise(&q, normal);
    parse(query_text(&q, again), &q);
    assert_int_equal(QUERY_TERMS_MAX, q.term_count);
    memset(text, 'x', QUERY_TERM_MAX);
    text[QUERY_TERM_MAX] = '\0';
    parse(text, &q);
}

static void assert_normal(bool same, const char *a, const char *b)
{
    char x[QUERY_NORMAL_MAX], y[QUERY_NORMAL_MAX];
    struct query q, r;

    parse(a, &q);
    parse(b, &r);
    if (same != (strcmp(query_normalise(&q, x), query_normalise(&r, y)) == 0))
        fail_msg("'%s' and '%s'", a, b);
}

static void equal_queries_have_two_keys_or_unequal_ones_one(void **state)
{
    char x[QUERY_NORMAL_MAX], y[QUERY_NORMAL_MAX];
    struct query q, r;

    (void)state;
    assert_normal(true, "Foo  BAR", "foo bar");
    assert_normal(true, "tag:a name:b", "name:B tag:a tag:a");
    assert_normal(true, "a -b -c", " a -c -b");
    assert_normal(true, "foo-bar", "\"foo bar\"");
    assert_normal(false, "foo-bar", "foo bar*");
    assert_normal(false, "a", "a*");
    assert_normal(false, "tag:a", "a");
    assert_normal(false, "a -b", "a b");
    assert_normal(false, "", "+");
    parse("a", &q);
    parse("a", &r);
    assert_ok(query_set(&r, "tag", SPAN_LIT("x"), NULL));
    assert_string_not_equal(query_normalise(&q, x), query_normalise(&r, y));
    assert_ok(query_set(&q, "category", SPAN_LIT("x"), NULL));
    assert_string_not_equal(query_normalise(&q, x), query_normalise(&r, y));
    parse("a", &q);
    assert_ok(query_set(&q, "tag", SPAN_LIT(" X "), NULL));
    assert_string_equal(query_normalise(&q, x), query_normalise(&r, y));
    assert_ok(query_set(&q, "sort", SPAN_LIT("name"), NULL));
    assert_string_not_equal(query_normalise(&q, x), query_normalise(&r, y));
}

static void a_query_does_not_survive_the_way_to_a_peer(void **state)
{
    static const char *const texts[] = {
        "",
        "+",
        "a b",
        "\"a b\" c",
        "pre*",
        "a -b -\"c d\"",
        "tag:x -author:\"y z\" name:n*",
        "foo-bar*",
        "ns:a title:b tag:c category:d description:e author:f license:g"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char text[REQUEST_QUERY_MAX + 1];
        char x[QUERY_NORMAL_MAX], y[QUERY_NORMAL_MAX];
        struct query q, r;

        parse(texts[i], &q);
        parse(query_text(&q, text), &r);
        assert_string_equal(query_normalise(&q, x), query_normalise(&r, y));
    }
}

static void a_filter_is_misread(void **state)
{
    struct problems problems = {0};
    char text[REQUEST_TEXT_MAX + 2];
    struct query q = {0};

    (void)state;
    assert_ok(query_set(&q, "trust", SPAN_LIT("pinned"), &problems));
    assert_true(q.has_trust && q.trust == TRUST_PINNED);
    assert_ok(query_set(&q, "trust", SPAN_NONE, &problems));
    assert_false(q.has_trust);
    assert_ok(query_set(&q, "sort", SPAN_LIT("downloads"), &problems));
    assert_int_equal(SORT_DOWNLOADS, q.sort);
    assert_ok(query_set(&q, "license", SPAN_LIT("GPL-3.0"), &problems));
    assert_string_equal("gpl-3.0", q.filter.license);
    assert_err(ERR_NOT_FOUND,
               query_set(&q, "colour", SPAN_LIT("x"), &problems));
    memset(text, 'x', sizeof(text));
    assert_ok(query_set(&q, "tag", SPAN(text, REQUEST_TEXT_MAX), &problems));
    assert_int_equal(0, problems.count);
    assert_err(ERR_INVAL, query_set(&q, "tag", SPAN(text, REQUEST_TEXT_MAX + 1),
                                    &problems));
    assert_err(ERR_INVAL, query_set(&q, "tag", SPAN_LIT("\xff"), &problems));
    assert_err(ERR_INVAL, query_set(&q, "tag", SPAN_LIT("a\nb"), &problems));
    assert_err(ERR_INVAL, query_set(&q, "trust", SPAN_LIT("full"), &problems));
    assert_err(ERR_INVAL, query_set(&q, "sort", SPAN_LIT("Name"), &problems));
    assert_int_equal(5, problems.count);
    assert_string_equal("/tag", problems.list[0].pointer);
    assert_string_equal("/trust", problems.list[3].pointer);
    assert_string_equal("/sort", problems.list[4].pointer);
}

/* ---- Against records, and against SQLite. ---- */

static bool matches(const char *text, const char *filter, const char *value,
                    const struct record *r)
{
    struct query_doc doc;
    struct query q;
    bool found;

    parse(text, &q);
    if (filter != NULL)
        assert_ok(query_set(&q, filter, span_str(value), NULL));
    assert_ok(query_doc_init(&doc, r));
    found = query_matches(&q, &doc);
    query_doc_release(&doc);
    return found;
}

static void a_record_is_matched_wrongly(void **state)
{
    struct record r;

    (void)state;
    fixture_input(&r, "my-org/awesome-lib", "1.0.0",
                  ",\"title\":\"A Web Server\",\"description\":\"Caf\xc3\xa9 "
                  "au lait, quickly\",\"tags\":[\"c++\",\"web server\"],"
                  "\"categories\":[\"WebService\",{\"Custom\":\"Net\"}],"
                  "\"authors\":[{\"id\":\"a\",\"name\":\"Alice Doe\"},"
                  "{\"id\":\"b\",\"name\":\"Bob\"}],\"license\":\"GPL-3.0\"");
    assert_true(matches("", NULL, NULL, &r));
    assert_true(matches("cafe", NULL, NULL, &r));
    assert_true(matches("quick*", NULL, NULL, &r));
    assert_false(matches("quick", NULL, NULL, &r));
    assert_true(matches("\"web server\"", NULL, NULL, &r));
    assert_false(matches("\"server web\"", NULL, NULL, &r));
    assert_true(matches("awesome lait", NULL, NULL, &r));
    assert_false(matches("awesome tea", NULL, NULL, &r));
    assert_false(matches("awesome -lait", NULL, NULL, &r));
    assert_true(matches("awesome -tea", NULL, NULL, &r));
    assert_true(matches("name:lib author:alice ns:org", NULL, NULL, &r));
    assert_false(matches("name:web", NULL, NULL, &r));
    assert_true(matches("license:gpl-3.0", NULL, NULL, &r));
    assert_false(matches("+", NULL, NULL, &r));
    assert_true(matches("", "tag", "C++", &r));
    assert_false(matches("", "tag", "c", &r));
    assert_false(matches("", "tag", "web", &r));
    assert_true(matches("", "tag", "Web Server", &r));
    assert_true(matches("", "category", "net", &r));
    assert_true(matches("", "author", "alice doe", &r));
    assert_false(matches("", "author", "alice", &r));
    assert_true(matches("", "license", "gpl-3.0", &r));
    assert_true(matches("", "namespace", "My-Org", &r));
    assert_false(matches("tea", "namespace", "my-org", &r));
    record_release(&r);
}

static void run_sql(sqlite3 *db, const char *sql)
{
    char *message = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
}

static sqlite3 *open_index(void)
{
    sqlite3 *db;

    assert_int_equal(SQLITE_OK, sqlite3_open(":memory:", &db));
    run_sql(db, "CREATE VIRTUAL TABLE p USING fts5(name, namespace, title, "
                "tags, categories, description, authors, license, "
                "tokenize=\"unicode61 remove_diacritics 2\")");
    return db;
}

static void join(const struct record *r,
                 const char *(*item)(const struct record *, size_t), char *out,
                 size_t max)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; item(r, i) != NULL; i++)
        n += (size_t)snprintf(out + n, max - n, "%s%s", i ? "\n" : "",
                              item(r, i));
}

static void index_record(sqlite3 *db, const struct record *r)
{
    char tags[512], categories[512], authors[512];
    const char *values[] = {r->id.name,
                            r->id.ns,
                            record_text(r, "title"),
                            tags,
                            categories,
                            record_text(r, "description"),
                            authors,
                            record_text(r, "license")};
    sqlite3_stmt *s;

    join(r, record_tag, tags, sizeof(tags));
    join(r, record_category, categories, sizeof(categories));
    join(r, record_author, authors, sizeof(authors));
    run_sql(db, "DELETE FROM p");
    assert_int_equal(SQLITE_OK, sqlite3_prepare_v2(
                                    db, "INSERT INTO p VALUES(?,?,?,?,?,?,?,?)",
                                    -1, &s, NULL));
    for (int i = 0; i < 8; i++)
        sqlite3_bind_text(s, i + 1, values[i], -1, SQLITE_TRANSIENT);
    assert_int_equal(SQLITE_DONE, sqlite3_step(s));
    sqlite3_finalize(s);
}

static bool is_in_index(sqlite3 *db, const struct query *q, const char *columns)
{
    sqlite3_stmt *s;
    struct buf fts;
    bool found;
    int rc;

    buf_init(&fts, 8192, &mem_libc);
    assert_ok(query_to_fts_in(q, columns, &fts));
    assert_int_equal(SQLITE_OK,
                     sqlite3_prepare_v2(db, "SELECT 1 FROM p WHERE p MATCH ?",
                                        -1, &s, NULL));
    sqlite3_bind_text(s, 1, (const char *)buf_span(&fts).data,
                      (int)buf_len(&fts), SQLITE_TRANSIENT);
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        fail_msg("%.*s: %s", (int)buf_len(&fts),
                 (const char *)buf_span(&fts).data, sqlite3_errmsg(db));
    found = rc == SQLITE_ROW;
    sqlite3_finalize(s);
    buf_release(&fts);
    return found;
}

static const char *const words[] = {
    "web",
    "server",
    "Web",
    "caf\xc3\xa9",
    "cafe",
    "foo-bar",
    "foo_bar",
    "c++",
    "a.b",
    "\xc3\x89t\xc3\xa9",
    "x1",
    "1x",
    "\xd0\x9c\xd0\xb8\xd1\x80",
    "\xce\xa3\xce\xaf\xce\xb3",
    "\xe2\x80\x94",
    ("stra\xc3\x9f"
     "e"),
    "na\xc3\xafve",
    "\xe6\x97\xa5\xe6\x9c\xac",
    "e\xcc\x81t",
    "\xf0\x9f\x98\x80",
    "websocket",
    "\xc4\xb0stanbul",
    "\xe1\xba\xa4n",
    "foo",
    "bar",
    "\xc2\xb2",
    "\xef\xbc\xa1",
};

static const char *random_word(const struct rng *rng)
{
    return words[rng_below(rng, sizeof(words) / sizeof(*words))];
}

static void random_words(const struct rng *rng, uint64_t max, char *out,
                         size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (uint64_t i = rng_below(rng, max + 1); i > 0; i--)
        n += (size_t)snprintf(out + n, size - n, "%s%s", n ? " " : "",
                              random_word(rng));
}

static void random_record(const struct rng *rng, struct record *r)
{
    char title[128], description[128], more[512];

    random_words(rng, 2, title, sizeof(title));
    random_words(rng, 5, description, sizeof(description));
    (void)snprintf(more, sizeof(more),
                   ",\"title\":\"%s\",\"description\":\"%s\",\"tags\":[\"%s\","
                   "\"%s\"],\"license\":\"%s\"",
                   title, description, random_word(rng), random_word(rng),
                   random_word(rng));
    fixture_input(r, "foo/web-server", "1.0.0", more);
}

static void random_query(const struct rng *rng, char *out, size_t size)
{
    static const char *const starts[] = {
        "", "", "", "tag:", "title:", "-", "-tag:", "license:"};
    size_t n = (size_t)snprintf(out, size, "%s", random_word(rng));

    for (uint64_t i = rng_below(rng, 3); i > 0; i--) {
        const char *start = starts[rng_below(rng, 8)];

        if (rng_below(rng, 3) == 0)
            n += (size_t)snprintf(out + n, size - n, " %s\"%s %s\"", start,
                                  random_word(rng), random_word(rng));
        else
            n += (size_t)snprintf(out + n, size - n, " %s%s%s", start,
                                  random_word(rng),
                                  rng_below(rng, 3) ? "" : "*");
    }
}

/* The cache is emptied of what a record could match, and the catalogue asks
 * SQLite: both must understand a query alike. */
static void sqlite_finds_what_does_not_match_or_the_reverse(void **state)
{
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 7);
    sqlite3 *db = open_index();
    unsigned found = 0;

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct query_doc doc;
        struct record r;

        random_record(&rng, &r);
        index_record(db, &r);
        assert_ok(query_doc_init(&doc, &r));
        for (int k = 0; k < 30; k++) {
            char text[512];
            struct query q;
            bool in_index, in_title;

            random_query(&rng, text, sizeof(text));
            if (query_parse(span_str(text), &q, NULL) != OK)
                continue;
            in_index = is_in_index(db, &q, NULL);
            in_title = is_in_index(db, &q, "name title");
            if (in_index != query_matches(&q, &doc))
                fail_msg("%s: SQLite says %d of %s", text, in_index,
                         (const char *)buf_span(&r.bytes).data);
            assert_true(in_index || !in_title);
            found += in_index;
        }
        query_doc_release(&doc);
        record_release(&r);
    }
    assert_true(found > 500);
    sqlite3_close(db);
}

static void a_filter_loses_what_sqlite_could_have_found(void **state)
{
    sqlite3 *db = open_index();
    struct record r;
    struct query q;

    (void)state;
    fixture_input(&r, "my-org/lib", "1.0.0",
                  ",\"tags\":[\"c++\",\"Web Server\"]");
    index_record(db, &r);
    parse("", &q);
    assert_ok(query_set(&q, "tag", SPAN_LIT("c++"), NULL));
    assert_ok(query_set(&q, "namespace", SPAN_LIT("my-org"), NULL));
    assert_true(is_in_index(db, &q, NULL));
    assert_true(is_in_index(db, &q, "name title"));
    assert_ok(query_set(&q, "tag", SPAN_LIT("server"), NULL));
    assert_true(is_in_index(db, &q, NULL)); /* the row is checked later */
    assert_ok(query_set(&q, "tag", SPAN_LIT("python"), NULL));
    assert_false(is_in_index(db, &q, NULL));
    record_release(&r);
    sqlite3_close(db);
}

static void folding_is_not_that_of_sqlite(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        {"", ""},
        {"Hello, World!", "hello world"},
        {"\xc3\x84pfel", "apfel"},
        {"stra\xc3\x9f"
         "e",
         "stra\xc3\x9f"
         "e"},
        {"e\xcc\x81", "e"},
        {"\xd0\x9f\xd0\xa0", "\xd0\xbf\xd1\x80"},
        {"\xce\x91\xce\xa9", "\xce\xb1\xcf\x89"},
        {"a\xe2\x80\x94"
         "b",
         "a b"},
        {"\xe6\x97\xa5", "\xe6\x97\xa5"},
        {"\xff"
         "a",
         "a"},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t n = query_fold(span_str(cases[i].in), out, sizeof(out));

        assert_string_equal(cases[i].want, out);
        assert_int_equal(strlen(out), n);
    }
    assert_int_equal(3, query_fold(SPAN_LIT("abc def"), out, 7));
    assert_string_equal("abc", out);
    assert_int_equal(7, query_fold(SPAN_LIT("abc def"), out, 9));
    assert_int_equal(0, query_fold(SPAN_LIT("abcdef"), out, 4));
}

/* ---- Terms. ---- */

static void the_terms_of_a_package_are_others(void **state)
{
    struct record r;
    struct terms t;

    (void)state;
    fixture_input(&r, "ns/awesome-lib_2", "1.0.0",
                  ",\"title\":\"The Awesome library for \xc3\x84pfel\","
                  "\"tags\":[\"Web server\",\"rust\"],"
                  "\"categories\":[\"Database\",{\"Custom\":\"of\"}]");
    terms_of_record(&r, &t);
    {
        static const char *const want[] = {"awesome",  "lib",     "2",
                                           "web",      "server",  "rust",
                                           "database", "library", "apfel"};

        assert_int_equal(sizeof(want) / sizeof(*want), t.count);
        for (size_t i = 0; i < t.count; i++)
            assert_string_equal(want[i], t.list[i]);
    }
    record_release(&r);
}

static void more_than_32_terms_or_a_long_one_are_taken(void **state)
{
    char title[1024] = "";
    char more[1200];
    struct record r;
    struct terms t;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < 40; i++)
        n += (size_t)snprintf(title + n, sizeof(title) - n, "w%d ", i);
    (void)snprintf(more, sizeof(more), ",\"title\":\"%s\"", title);
    fixture_input(&r, "ns/x", "1.0.0", more);
    terms_of_record(&r, &t);
    assert_int_equal(TERMS_MAX, t.count);
    record_release(&r);

    memset(title, 'y', 65);
    (void)snprintf(title + 65, sizeof(title) - 65, " z%.63s", title);
    title[65 + 2 + 63] = '\0';
    (void)snprintf(more, sizeof(more), ",\"title\":\"%s\"", title);
    fixture_input(&r, "ns/x", "1.0.0", more);
    terms_of_record(&r, &t);
    assert_int_equal(2, t.count); /* x, and the one of 64 bytes */
    assert_int_equal(TERM_MAX, strlen(t.list[1]));
    record_release(&r);
}

static void the_terms_of_a_query_are_others(void **state)
{
    static const char *const want[] = {"awesome", "web", "rust"};
    struct query q;
    struct terms t;

    (void)state;
    parse("the Awesome-lib* -bad web server* tag:rust author:alice "
          "description:x ns:y",
          &q);
    /* "lib*" and "server*" may be the start of another word. */
    terms_of_query(&q, &t);
    assert_int_equal(3, t.count);
    for (size_t i = 0; i < t.count; i++)
        assert_string_equal(want[i], t.list[i]);
}

static void a_term_has_another_key(void **state)
{
    uint8_t key[TERM_KEY_LEN], want[TERM_KEY_LEN];
    /* printf 'souk-term-v1:rust' | sha256sum */
    struct span s = hex_bytes("1220"
                              "535b730579850d82046a23ee2f875d01"
                              "61d2fb56b0d6d22c66ec3d06bd5e1eb4",
                              want, sizeof(want));

    (void)state;
    term_key("rust", key);
    assert_span_equal(s, SPAN_OF(key));
}

/* ---- Rank. ---- */

static void an_exact_name_does_not_come_first(void **state)
{
    struct rank_facts worst = {.text = 0, .trust = TRUST_UNVERIFIED};
    struct rank_facts best = {.text = 1e9,
                              .trust = TRUST_SELF_CERTIFIED,
                              .reputation = 1.1,
                              .updated_at = FIXTURE_WALL};
    struct rank_facts title = worst, name = worst;

    (void)state;
    title.is_exact_title = name.is_exact_name = true;
    assert_true(rank_score(&name, FIXTURE_WALL) >
                rank_score(&title, FIXTURE_WALL) + 0.5);
    assert_true(rank_score(&title, FIXTURE_WALL) >
                rank_score(&best, FIXTURE_WALL));
    assert_true(rank_score(&best, FIXTURE_WALL) <= 1);
    best.is_exact_title = true;
    assert_true(rank_score(&name, FIXTURE_WALL) >=
                rank_score(&best, FIXTURE_WALL));
}

static void a_better_fact_lowers_the_score(void **state)
{
    struct rank_facts base = {.text = 1,
                              .trust = TRUST_SIGNED,
                              .reputation = 0.5,
                              .updated_at = FIXTURE_WALL - 1000000000};
    struct rank_facts more[4] = {base, base, base, base};
    double score = rank_score(&base, FIXTURE_WALL);

    (void)state;
    more[0].text = 2;
    more[1].trust = TRUST_PINNED;
    more[2].reputation = 0.6;
    more[3].updated_at = FIXTURE_WALL;
    for (int i = 0; i < 4; i++)
        assert_true(rank_score(&more[i], FIXTURE_WALL) > score);
    more[0].text = -1.0 / 0.0;
    assert_true(rank_score(&more[0], FIXTURE_WALL) >= 0);
    more[3].updated_at = FIXTURE_WALL + 1000000; /* of the future: now */
    assert_true(rank_score(&more[3], FIXTURE_WALL) <= 1);
}

static void an_exact_name_is_not_seen(void **state)
{
    struct package_id id;
    struct rank_facts f;
    struct query q;

    (void)state;
    assert_ok(package_id_parse(SPAN_LIT("my-org/web-server"), &id));
    parse("Web Server", &q);
    rank_exact(&q, &id, "Other", &f);
    assert_true(f.is_exact_name && !f.is_exact_title);
    parse("my-org/web-server", &q);
    rank_exact(&q, &id, "my org web server", &f);
    assert_true(f.is_exact_name && f.is_exact_title);
    parse("server web", &q);
    rank_exact(&q, &id, "Web", &f);
    assert_false(f.is_exact_name || f.is_exact_title);
    parse("web-server*", &q);
    rank_exact(&q, &id, "", &f);
    assert_false(f.is_exact_name);
}

static struct rank_entry entry(const char *id, const char *version,
                               enum record_trust trust, double score)
{
    struct rank_entry e = {.trust = trust, .score = score, .sources = 1};

    assert_ok(package_id_parse(span_str(id), &e.id));
    assert_ok(semver_parse(span_str(version), &e.version));
    return e;
}

static void packages_are_merged_wrongly(void **state)
{
    struct rank_entry e[] = {
        entry("a/x", "1.0.0", TRUST_SIGNED, 0.9),
        entry("a/y", "1.0.0", TRUST_SIGNED, 0.5),
        entry("a/x", "2.0.0", TRUST_SIGNED, 0.1),
        entry("a/x", "3.0.0-rc.1", TRUST_SIGNED, 0.2),
        entry("a/z", "1.0.0", TRUST_SIGNED, 0.5),
        entry("a/z", "0.1.0", TRUST_PINNED, 0.4),
    };
    bool seen[6] = {false};

    (void)state;
    for (size_t i = 0; i < 6; i++)
        e[i].owner = &seen[i];
    assert_int_equal(3, rank_merge(e, 6, SORT_RELEVANCE));
    assert_string_equal("x", e[0].id.name);
    assert_int_equal(2, e[0].version.major);
    assert_true(e[0].score > 0.8);
    assert_int_equal(3, e[0].sources);
    assert_string_equal("y", e[1].id.name); /* the tie goes by name */
    assert_string_equal("z", e[2].id.name);
    assert_int_equal(TRUST_PINNED, e[2].trust);
    for (size_t i = 0; i < 6; i++)
        *(bool *)e[i].owner = true;
    for (size_t i = 0; i < 6; i++)
        assert_true(seen[i]); /* the losers are all there behind */
    assert_int_equal(0, rank_merge(e, 0, SORT_RELEVANCE));
}

static void the_sort_order_is_another(void **state)
{
    struct rank_entry e[] = {
        entry("b/a", "1.0.0", TRUST_SIGNED, 0.1),
        entry("a/b", "1.0.0", TRUST_SIGNED, 0.2),
        entry("c/c", "1.0.0", TRUST_SIGNED, 0.3),
    };
    static const struct {
        enum query_sort sort;
        const char *order;
    } cases[] = {{SORT_RELEVANCE, "cba"},
                 {SORT_NAME, "abc"},
                 {SORT_RECENT, "bac"},
                 {SORT_DOWNLOADS, "acb"}};

    (void)state;
    e[0].updated_at = 2;
    e[1].updated_at = 3;
    e[2].updated_at = 1;
    e[0].downloads = 7;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(3, rank_merge(e, 3, cases[i].sort));
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(cases[i].order[k], e[k].id.name[0]);
    }
}

static void a_failed_allocation_is_not_survived(void **state)
{
    struct test_heap heap;
    struct record r;
    enum err err = ERR_NOMEM;

    (void)state;
    fixture_input(&r, "ns/name", "1.0.0", ",\"tags\":[\"a\",\"b\"]");
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        struct query_doc doc;

        r.bytes.mem = &heap.mem;
        test_heap_fail(&heap, nth);
        err = query_doc_init(&doc, &r);
        r.bytes.mem = &mem_libc;
        assert_err(heap.count < heap.fail_at ? OK : ERR_NOMEM, err);
        query_doc_release(&doc);
        assert_int_equal(0, heap.live);
    }
    record_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_is_understood_differently),
        cmocka_unit_test(a_wrong_query_is_accepted_or_no_reason_told),
        cmocka_unit_test(a_query_at_its_limits_is_refused),
        cmocka_unit_test(equal_queries_have_two_keys_or_unequal_ones_one),
        cmocka_unit_test(a_query_does_not_survive_the_way_to_a_peer),
        cmocka_unit_test(a_filter_is_misread),
        cmocka_unit_test(a_record_is_matched_wrongly),
        cmocka_unit_test(sqlite_finds_what_does_not_match_or_the_reverse),
        cmocka_unit_test(a_filter_loses_what_sqlite_could_have_found),
        cmocka_unit_test(folding_is_not_that_of_sqlite),
        cmocka_unit_test(the_terms_of_a_package_are_others),
        cmocka_unit_test(more_than_32_terms_or_a_long_one_are_taken),
        cmocka_unit_test(the_terms_of_a_query_are_others),
        cmocka_unit_test(a_term_has_another_key),
        cmocka_unit_test(an_exact_name_does_not_come_first),
        cmocka_unit_test(a_better_fact_lowers_the_score),
        cmocka_unit_test(an_exact_name_is_not_seen),
        cmocka_unit_test(packages_are_merged_wrongly),
        cmocka_unit_test(the_sort_order_is_another),
        cmocka_unit_test(a_failed_allocation_is_not_survived),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
