/* SPDX-License-Identifier: Apache-2.0 */
#include "market/record.h"

#include <stdlib.h>

#include "crypto/hash.h"
#include "market/package.h"
#include "market/rfc3339.h"
#include "multi/base.h"
#include "record_fixture.h"

/* The record of docs/PROTOCOLS.md, complete but not signed. */
static const char complete[] =
    "{\"id\":{\"namespace\":\"myorg\",\"name\":\"awesome-lib\"},"
    "\"version\":{\"major\":1,\"minor\":2,\"patch\":3,"
    "\"pre_release\":\"beta.1\"},"
    "\"metadata\":{\"title\":\"t\",\"description\":\"d\","
    "\"long_description\":null,"
    "\"categories\":[\"WebService\",{\"Custom\":\"crypto\"}],"
    "\"tags\":[\"rust\"],\"license\":\"MIT\","
    "\"authors\":[{\"id\":\"alice\",\"name\":\"Alice\",\"email\":null,"
    "\"public_key\":{\"algorithm\":\"Ed25519\",\"key_data\":[0,1,255],"
    "\"fingerprint\":\"ab\"},\"metadata\":{}}],"
    "\"homepage\":null,\"repository\":null,\"documentation\":null,"
    "\"readme\":null,\"changelog\":null,\"custom_fields\":{}},"
    "\"content_id\":{\"hash\":\"ab12\",\"algorithm\":\"Sha256\"},"
    "\"dependencies\":[{\"package_id\":{\"namespace\":\"a\",\"name\":\"b\"},"
    "\"version_requirement\":{\"Compatible\":{\"major\":1,\"minor\":0,"
    "\"patch\":0,\"pre_release\":null}},\"optional\":false}],"
    "\"stats\":{\"downloads\":0,\"stars\":0,\"watchers\":0,\"forks\":0,"
    "\"contributors\":0,\"last_updated\":\"2025-11-02T22:20:00Z\"},"
    "\"created_at\":\"2025-11-02T22:20:00.123456789Z\","
    "\"updated_at\":\"2025-11-02T22:20:00Z\"}";

static enum err parse(const char *text, unsigned flags,
                      struct problems *problems)
{
    struct record r;
    enum err err = record_parse(&r, span_str(text), flags, &mem_libc, problems);

    if (err != OK)
        assert_null(r.json);
    record_release(&r);
    return err;
}

/* |complete| with the value at |path| ("metadata/tags/0") replaced by |json|,
 * or removed if that is NULL.  The caller frees it. */
static char *changed(const char *path, const char *json)
{
    json_t *root = json_loads(complete, 0, NULL), *at = root;
    char copy[128], *name = copy, *slash, *text;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    while ((slash = strchr(name, '/')) != NULL) {
        *slash = '\0';
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
                               : json_object_get(at, name);
        assert_non_null(at);
        name = slash + 1;
    }
    if (json == NULL) {
        assert_int_equal(0, json_object_del(at, name));
    } else {
        json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

        assert_non_null(value);
        if (json_is_array(at))
            assert_int_equal(
                0, json_array_set_new(at, strtoul(name, NULL, 10), value));
        else
            assert_int_equal(0, json_object_set_new(at, name, value));
    }
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void assert_refused_at(const char *path, const char *json,
                              unsigned flags)
{
    char *text = changed(path, json);
    struct problems problems;
    enum err err = parse(text, flags, &problems);

    if (err != ERR_SCHEMA)
        fail_msg("%s = %s: %s", path, json ? json : "nothing", err_name(err));
    assert_int_equal(1, problems.count);
    if (strncmp(problems.list[0].pointer + 1, path, strlen(path)) != 0)
        fail_msg("%s = %s: points at %s", path, json ? json : "nothing",
                 problems.list[0].pointer);
    free(text);
}

static void assert_accepted_at(const char *path, const char *json,
                               unsigned flags)
{
    char *text = changed(path, json);
    struct problems problems;
    enum err err = parse(text, flags, &problems);

    if (err != OK)
        fail_msg("%s = %.60s: %s %s", path, json, problems.list[0].pointer,
                 problems.list[0].detail);
    free(text);
}

/* ---- What is no JSON, or not ours. ---- */

static void text_that_is_not_i_json_is_accepted(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        enum err err;
    } cases[] = {
        {"nothing", "", ERR_NOT_JSON},
        {"spaces", "  \n", ERR_NOT_JSON},
        {"an array", "[]", ERR_SCHEMA},
        {"a string", "\"x\"", ERR_SCHEMA},
        {"cut", "{\"id\":", ERR_NOT_JSON},
        {"more behind it", "{}{}", ERR_NOT_JSON},
        {"a comma too many", "{\"a\":1,}", ERR_NOT_JSON},
        {"a comment", "{} // x", ERR_NOT_JSON},
        {"single quotes", "{'a':1}", ERR_NOT_JSON},
        {"NaN", "{\"a\":NaN}", ERR_NOT_JSON},
        {"leading zero", "{\"a\":01}", ERR_NOT_JSON},
        {"plus sign", "{\"a\":+1}", ERR_NOT_JSON},
        {"a duplicate member", "{\"a\":1,\"a\":1}", ERR_NOT_JSON},
        {"one spelt differently", "{\"a\":1,\"\\u0061\":1}", ERR_NOT_JSON},
        {"one further in", "{\"b\":{\"a\":1,\"a\":1}}", ERR_NOT_JSON},
        {"U+0000", "{\"a\":\"\\u0000\"}", ERR_NOT_JSON},
        {"U+0000 in a name", "{\"\\u0000\":1}", ERR_NOT_JSON},
        {"a lone high surrogate", "{\"a\":\"\\ud800\"}", ERR_NOT_JSON},
        {"a lone low surrogate", "{\"a\":\"\\udc00\"}", ERR_NOT_JSON},
        {"two high ones", "{\"a\":\"\\ud800\\ud800\"}", ERR_NOT_JSON},
        {"a control character", "{\"a\":\"\x01\"}", ERR_NOT_JSON},
        {"Latin-1", "{\"a\":\"\xe9\"}", ERR_NOT_JSON},
        {"an overlong slash", "{\"a\":\"\xc0\xaf\"}", ERR_NOT_JSON},
        {"a surrogate in UTF-8", "{\"a\":\"\xed\xa0\x80\"}", ERR_NOT_JSON},
        {"beyond Unicode", "{\"a\":\"\xf4\x90\x80\x80\"}", ERR_NOT_JSON},
        {"a byte order mark", "\xef\xbb\xbf{}", ERR_NOT_JSON},
        {"a number beyond 2^63", "{\"a\":9223372036854775808}", ERR_SCHEMA},
        {"a number beyond all", "{\"a\":1e999}", ERR_SCHEMA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct problems problems;
        enum err err = parse(cases[i].text, RECORD_INPUT, &problems);

        if (err != cases[i].err || problems.count == 0)
            fail_msg("%s: %s", cases[i].why, err_name(err));
    }
    assert_err(ERR_NOT_JSON, record_parse(&(struct record){0}, SPAN("{}\0", 3),
                                          RECORD_INPUT, &mem_libc, NULL));
}

static void nesting_above_eight_is_accepted_or_eight_refused(void **state)
{
    char *deep = changed("metadata/custom_fields", "{\"x\":[[[[[[]]]]]]}");
    struct problems problems;

    (void)state;
    /* The record, metadata, custom_fields and five arrays make eight. */
    assert_accepted_at("metadata/custom_fields", "{\"x\":[[[[[]]]]]}",
                       RECORD_UNSIGNED_OK);
    assert_accepted_at("metadata/custom_fields", "{\"x\":\"[[[[[[[[[[\"}",
                       RECORD_INPUT);
    assert_accepted_at("metadata/custom_fields", "{\"x\":\"\\\"[[[[[[[[[\"}",
                       RECORD_INPUT);
    assert_err(ERR_SCHEMA, parse(deep, RECORD_INPUT, &problems));
    assert_err(ERR_SCHEMA, parse(deep, RECORD_UNSIGNED_OK, &problems));
    free(deep);
}

static void an_endless_nesting_reaches_the_parser(void **state)
{
    char text[5000];

    (void)state;
    memset(text, '[', sizeof(text));
    assert_err(ERR_SCHEMA, record_parse(&(struct record){0}, SPAN_OF(text),
                                        RECORD_INPUT, &mem_libc, NULL));
}

/* ---- The schema. ---- */

static void a_member_that_is_needed_may_be_left_out(void **state)
{
    static const char *const always[] = {
        "id",
        "id/name",
        "id/namespace",
        "version",
        "version/major",
        "version/minor",
        "version/patch",
        "dependencies/0/package_id",
        "dependencies/0/package_id/name",
        "dependencies/0/version_requirement",
        "dependencies/0/version_requirement/Compatible/major",
        "metadata/authors/0/id",
        "metadata/authors/0/name",
        "metadata/authors/0/public_key/key_data",
        "metadata/authors/0/public_key/algorithm",
        "metadata/authors/0/public_key/fingerprint",
        "content_id/hash",
        "content_id/algorithm",
    };
    static const char *const by_others[] = {
        "metadata",
        "metadata/title",
        "metadata/description",
        "metadata/categories",
        "metadata/tags",
        "metadata/license",
        "metadata/authors",
        "metadata/custom_fields",
        "metadata/authors/0/metadata",
        "content_id",
        "dependencies",
        "dependencies/0/optional",
        "stats",
        "stats/downloads",
        "stats/last_updated",
        "created_at",
        "updated_at",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++) {
        assert_refused_at(always[i], NULL, RECORD_INPUT);
        assert_refused_at(always[i], NULL, RECORD_UNSIGNED_OK);
        assert_refused_at(always[i], "null", RECORD_INPUT);
    }
    for (size_t i = 0; i < sizeof(by_others) / sizeof(*by_others); i++) {
        assert_refused_at(by_others[i], NULL, RECORD_UNSIGNED_OK);
        assert_refused_at(by_others[i], "null", RECORD_UNSIGNED_OK);
        assert_accepted_at(by_others[i], "null", RECORD_INPUT);
    }
}

static void an_optional_member_is_needed(void **state)
{
    static const char *const paths[] = {
        "metadata/long_description",
        "metadata/homepage",
        "metadata/repository",
        "metadata/documentation",
        "metadata/readme",
        "metadata/changelog",
        "version/pre_release",
        "metadata/authors/0/email",
        "metadata/authors/0/public_key",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        char *text = changed(paths[i], NULL);

        assert_ok(parse(text, RECORD_UNSIGNED_OK, NULL));
        free(text);
        assert_accepted_at(paths[i], "null", RECORD_UNSIGNED_OK);
    }
}

static void a_wrong_value_is_accepted(void **state)
{
    static const struct {
        const char *path;
        const char *json;
    } cases[] = {
        {"id", "7"},
        {"id", "[]"},
        {"id/name", "\"\""},
        {"id/name", "\"Upper\""},
        {"id/name", "\"-dash\""},
        {"id/name", "\".dot\""},
        {"id/name", "\"_under\""},
        {"id/name", "\"a/b\""},
        {"id/name", "\"a@b\""},
        {"id/name", "\"a~b\""},
        {"id/name", "\"a b\""},
        {"id/name", "\"\\u00e9\""},
        {"id/name", "5"},
        {"id/namespace", "\"My\""},
        {"id/namespace", "\"~\""},
        {"id/namespace", "\"~k51\""},
        {"version", "\"1.2\""},
        {"version", "1"},
        {"version/major", "-1"},
        {"version/major", "4294967296"},
        {"version/major", "\"1\""},
        {"version/minor", "true"},
        {"version/pre_release", "\"\""},
        {"version/pre_release", "\"01\""},
        {"version/pre_release", "\"a+b\""},
        {"version/pre_release", "7"},
        {"version/build", "\"x\""},
        {"metadata", "[]"},
        {"metadata/title", "7"},
        {"metadata/license", "[]"},
        {"metadata/homepage", "{}"},
        {"metadata/tags", "\"rust\""},
        {"metadata/tags/0", "7"},
        {"metadata/categories", "{}"},
        {"metadata/categories/0", "\"Web\""},
        {"metadata/categories/0", "{\"Custom\":7}"},
        {"metadata/categories/0", "{\"custom\":\"x\"}"},
        {"metadata/categories/0", "{\"Custom\":\"x\",\"y\":1}"},
        {"metadata/categories/0", "{}"},
        {"metadata/authors", "[\"alice\"]"},
        {"metadata/authors/0/public_key/key_data", "[256]"},
        {"metadata/authors/0/public_key/key_data", "[-1]"},
        {"metadata/authors/0/public_key/key_data", "\"00\""},
        {"metadata/authors/0/metadata", "[]"},
        {"metadata/custom_fields", "[]"},
        {"content_id/algorithm", "\"sha256\""},
        {"content_id/hash", "\"\""},
        {"content_id/hash", "7"},
        {"dependencies", "{}"},
        {"dependencies/0", "\"a/b\""},
        {"dependencies/0/optional", "0"},
        {"dependencies/0/package_id/name", "\"B\""},
        {"dependencies/0/version_requirement", "\"any\""},
        {"dependencies/0/version_requirement", "\"1.0.0\""},
        {"dependencies/0/version_requirement", "{}"},
        {"dependencies/0/version_requirement", "{\"Any\":null}"},
        {"dependencies/0/version_requirement", "{\"Exact\":null}"},
        {"dependencies/0/version_requirement", "{\"Range\":{}}"},
        {"stats", "[]"},
        {"stats/downloads", "-1"},
        {"stats/stars", "\"1\""},
        {"stats/last_updated", "\"yesterday\""},
        {"created_at", "0"},
        {"updated_at", "\"2025-11-02\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        /* What is missing inside is named itself: two of them. */
        if (strstr(cases[i].json, "Range") == NULL) {
            assert_refused_at(cases[i].path, cases[i].json, RECORD_INPUT);
            assert_refused_at(cases[i].path, cases[i].json, RECORD_UNSIGNED_OK);
        }
    }
}

static void a_right_value_is_refused(void **state)
{
    static const char v[] = "{\"major\":0,\"minor\":0,\"patch\":4294967295}";
    char json[256];

    (void)state;
    assert_accepted_at("version", v, RECORD_UNSIGNED_OK);
    assert_accepted_at("id/name", "\"0-._a\"", RECORD_UNSIGNED_OK);
    for (int i = 0; i < 3; i++) {
        static const char *const kinds[] = {"Exact", "Minimum", "Compatible"};

        (void)snprintf(json, sizeof(json), "{\"%s\":%s}", kinds[i], v);
        assert_accepted_at("dependencies/0/version_requirement", json,
                           RECORD_UNSIGNED_OK);
    }
    (void)snprintf(json, sizeof(json), "{\"Range\":{\"min\":%s,\"max\":%s}}", v,
                   v);
    assert_accepted_at("dependencies/0/version_requirement", json,
                       RECORD_UNSIGNED_OK);
    assert_accepted_at("dependencies/0/version_requirement", "\"Any\"",
                       RECORD_UNSIGNED_OK);
    assert_accepted_at("content_id/algorithm", "\"Blake3\"",
                       RECORD_UNSIGNED_OK);
    assert_accepted_at("metadata/unknown", "{\"anything\":[true]}",
                       RECORD_UNSIGNED_OK);
    assert_accepted_at("created_at", "\"2024-02-29T23:59:60.123456Z\"",
                       RECORD_UNSIGNED_OK);
}

/* ---- Limits: at the edge, and one beyond. ---- */

static char *repeated_text(const char *character, size_t count)
{
    size_t n = strlen(character);
    char *json = malloc(count * n + 3);

    assert_non_null(json);
    json[0] = '"';
    for (size_t i = 0; i < count; i++)
        memcpy(json + 1 + i * n, character, n);
    memcpy(json + 1 + count * n, "\"", 2);
    return json;
}

static void check_text_limit(const char *path, const char *character,
                             size_t max)
{
    char *fits = repeated_text(character, max);
    char *long_one = repeated_text(character, max + 1);

    assert_accepted_at(path, fits, RECORD_UNSIGNED_OK);
    assert_refused_at(path, long_one, RECORD_UNSIGNED_OK);
    free(fits);
    free(long_one);
}

static void a_text_has_another_limit_or_counts_bytes(void **state)
{
    (void)state;
    check_text_limit("metadata/title", "x", 200);
    check_text_limit("metadata/title", "\xf0\x9f\x98\x80", 200);
    check_text_limit("metadata/description", "x", 2000);
    check_text_limit("metadata/description", "\xc3\xa9", 2000);
    check_text_limit("metadata/tags/0", "\xe2\x82\xac", 64);
    check_text_limit("id/name", "n", 64);
    check_text_limit("id/namespace", "n", 64);
    check_text_limit("version/pre_release", "p", 64);
}

static char *repeated_item(const char *item, size_t count)
{
    char *json = malloc(count * (strlen(item) + 1) + 2);
    size_t n = 0;

    assert_non_null(json);
    json[n++] = '[';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            json[n++] = ',';
        memcpy(json + n, item, strlen(item));
        n += strlen(item);
    }
    memcpy(json + n, "]", 2);
    return json;
}

static void a_list_has_another_limit(void **state)
{
    static const char dependency[] =
        "{\"package_id\":{\"namespace\":\"a\",\"name\":\"b\"},"
        "\"version_requirement\":\"Any\",\"optional\":false}";
    const struct {
        const char *path;
        const char *item;
        size_t max;
    } cases[] = {{"metadata/tags", "\"t\"", 32},
                 {"dependencies", dependency, 64}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *fits = repeated_item(cases[i].item, cases[i].max);
        char *more = repeated_item(cases[i].item, cases[i].max + 1);

        assert_accepted_at(cases[i].path, fits, RECORD_UNSIGNED_OK);
        assert_refused_at(cases[i].path, more, RECORD_UNSIGNED_OK);
        free(fits);
        free(more);
    }
}

static void an_integer_beyond_2_to_the_53_is_signed(void **state)
{
    (void)state;
    assert_accepted_at("metadata/custom_fields", "{\"x\":9007199254740992}",
                       RECORD_INPUT);
    assert_accepted_at("metadata/custom_fields", "{\"x\":-9007199254740992}",
                       RECORD_INPUT);
    assert_refused_at("metadata/custom_fields", "{\"x\":9007199254740993}",
                      RECORD_INPUT);
    assert_refused_at("metadata/custom_fields", "{\"x\":[-9007199254740993]}",
                      RECORD_INPUT);
    assert_refused_at("metadata/custom_fields", "{\"x\":{\"y\":1.5}}",
                      RECORD_INPUT);
    assert_refused_at("metadata/custom_fields", "{\"x\":1.0}", RECORD_INPUT);
    assert_refused_at("stats/downloads", "9007199254740993",
                      RECORD_UNSIGNED_OK);
    /* What is not signed keeps its bytes, whatever its numbers. */
    assert_accepted_at("metadata/custom_fields", "{\"x\":1.5e-3}",
                       RECORD_UNSIGNED_OK);
}

/* The record with a readme of such a length that it takes |size| bytes. */
static char *record_of(size_t size)
{
    char *small = changed("metadata/readme", "\"\"");
    size_t base = strlen(small);
    char *readme = repeated_text("x", size - base), *text;

    text = changed("metadata/readme", readme);
    assert_int_equal(size, strlen(text));
    free(small);
    free(readme);
    return text;
}

static void a_record_above_12_kib_is_accepted_or_one_below_refused(void **state)
{
    char *fits = record_of(RECORD_BYTES_MAX);
    char *more = record_of(RECORD_BYTES_MAX + 1);
    struct problems problems;
    struct record r;

    (void)state;
    assert_ok(parse(fits, RECORD_UNSIGNED_OK, NULL));
    assert_err(ERR_RECORD_SIZE, parse(more, RECORD_UNSIGNED_OK, &problems));
    assert_int_equal(1, problems.count);

    assert_ok(record_parse(&r, span_str(fits), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&r, FIXTURE_WALL, NULL));
    assert_int_equal(RECORD_BYTES_MAX, buf_len(&r.bytes));
    record_release(&r);
    assert_ok(record_parse(&r, span_str(more), RECORD_INPUT, &mem_libc, NULL));
    assert_err(ERR_RECORD_SIZE, record_complete(&r, FIXTURE_WALL, NULL));
    record_release(&r);
    free(fits);
    free(more);
}

static void spaces_count_for_the_limit_of_a_publish(void **state)
{
    char *spaced = malloc(200000);
    struct record r;

    (void)state;
    assert_non_null(spaced);
    memset(spaced, ' ', 200000);
    memcpy(spaced + 100000, complete, sizeof(complete) - 1);
    assert_ok(
        record_parse(&r, SPAN(spaced, 200000), RECORD_INPUT, &mem_libc, NULL));
    record_release(&r);
    memset(spaced, 'x', 100000);
    assert_err(ERR_RECORD_SIZE, record_parse(&r, SPAN(spaced, 200000),
                                             RECORD_INPUT, &mem_libc, NULL));
    free(spaced);
}

static void only_the_first_problem_is_told_or_there_is_no_end(void **state)
{
    struct problems problems;
    char text[2048] = "{\"id\":\"Bad\",\"version\":\"1\",\"metadata\":{"
                      "\"title\":1,\"a/b~c\":1.5,\"tags\":[";
    size_t n = strlen(text);

    (void)state;
    for (int i = 0; i < 20; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%d,", i);
    (void)snprintf(text + n, sizeof(text) - n, "\"ok\"]}}");
    assert_err(ERR_SCHEMA, parse(text, RECORD_INPUT, &problems));
    assert_int_equal(PROBLEMS_MAX, problems.count);
    assert_string_equal("/id", problems.list[0].pointer);
    assert_string_equal("/version", problems.list[1].pointer);
    assert_string_equal("/metadata/title", problems.list[2].pointer);
    assert_string_equal("/metadata/tags/0", problems.list[3].pointer);
    assert_err(ERR_SCHEMA,
               parse("{\"id\":\"a/b\",\"version\":\"1.0.0\",\"a/b~c\":1.5}",
                     RECORD_INPUT, &problems));
    assert_string_equal("/a~1b~0c", problems.list[0].pointer);
}

/* ---- What the node fills in. ---- */

static void what_may_be_left_out_is_filled_in_wrongly(void **state)
{
    static const char input[] =
        "{\"id\":\"ns/name\",\"version\":\"1.2.3-rc.1\",\"metadata\":{"
        "\"authors\":[{\"id\":\"a\",\"name\":\"A\"}]},\"dependencies\":["
        "{\"package_id\":\"x/y\",\"version_requirement\":"
        "{\"Range\":{\"min\":\"1.0.0\",\"max\":\"2.0.0\"}}}]}";
    static const char want[] =
        "{\"content_id\":{\"algorithm\":\"Sha256\",\"hash\":"
        "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"},"
        "\"created_at\":\"2025-11-02T22:20:00.005Z\",\"dependencies\":["
        "{\"optional\":false,\"package_id\":{\"name\":\"y\","
        "\"namespace\":\"x\"},\"version_requirement\":{\"Range\":{\"max\":"
        "{\"major\":2,\"minor\":0,\"patch\":0,\"pre_release\":null},\"min\":"
        "{\"major\":1,\"minor\":0,\"patch\":0,\"pre_release\":null}}}}],"
        "\"id\":{\"name\":\"name\",\"namespace\":\"ns\"},\"metadata\":{"
        "\"authors\":[{\"id\":\"a\",\"metadata\":{},\"name\":\"A\"}],"
        "\"categories\":[],\"custom_fields\":{},\"description\":\"\","
        "\"license\":\"UNLICENSED\",\"tags\":[],\"title\":\"name\"},"
        "\"stats\":{\"contributors\":0,\"downloads\":0,\"forks\":0,"
        "\"last_updated\":\"2025-11-02T22:20:00.005Z\",\"stars\":0,"
        "\"watchers\":0},\"updated_at\":\"2025-11-02T22:20:00.005Z\","
        "\"version\":{\"major\":1,\"minor\":2,\"patch\":3,"
        "\"pre_release\":\"rc.1\"}}";
    struct record r;

    (void)state;
    assert_ok(record_parse(&r, SPAN_LIT(input), RECORD_INPUT, &mem_libc, NULL));
    assert_false(r.is_complete);
    assert_ok(record_complete(&r, FIXTURE_WALL + 5, NULL));
    assert_true(r.is_complete);
    assert_false(r.sent_created_at);
    assert_span_equal(SPAN_LIT(want), buf_span(&r.bytes));
    assert_string_equal("ns", r.id.ns);
    assert_string_equal("name", r.id.name);
    assert_string_equal("rc.1", r.version.pre_release);
    assert_true(r.created_at == FIXTURE_WALL + 5);
    record_release(&r);
    /* What the node makes is what others accept. */
    assert_ok(parse(want, RECORD_UNSIGNED_OK, NULL));
}

static void a_members_null_stays_where_others_need_a_value(void **state)
{
    static const char input[] =
        "{\"id\":\"ns/name\",\"version\":\"1.0.0\",\"metadata\":{\"title\":"
        "null,\"tags\":null,\"custom_fields\":null},\"stats\":null,"
        "\"content_id\":null,\"created_at\":null}";
    struct record r;
    uint8_t hash[SHA256_LEN] = {0xab};

    (void)state;
    assert_ok(record_parse(&r, SPAN_LIT(input), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&r, FIXTURE_WALL, hash));
    assert_false(r.sent_created_at);
    assert_string_equal("name", record_text(&r, "title"));
    assert_non_null(strstr((const char *)buf_span(&r.bytes).data, "\"ab00"));
    record_release(&r);
}

static void what_the_publisher_wrote_is_lost(void **state)
{
    struct record r;

    (void)state;
    assert_ok(record_parse(&r, SPAN(complete, sizeof(complete) - 1),
                           RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&r, FIXTURE_WALL, (const uint8_t[32]){1}));
    assert_true(r.sent_created_at && r.sent_updated_at);
    assert_string_equal("t", record_text(&r, "title"));
    assert_string_equal("MIT", record_text(&r, "license"));
    assert_string_equal("", record_text(&r, "homepage"));
    assert_string_equal("", record_text(&r, "nonsense"));
    assert_string_equal("WebService", record_category(&r, 0));
    assert_string_equal("crypto", record_category(&r, 1));
    assert_null(record_category(&r, 2));
    assert_string_equal("rust", record_tag(&r, 0));
    assert_null(record_tag(&r, 1));
    assert_string_equal("Alice", record_author(&r, 0));
    assert_null(record_author(&r, 1));
    assert_non_null(strstr((const char *)buf_span(&r.bytes).data, "ab12"));
    assert_true(r.created_at == FIXTURE_WALL + 123);
    record_release(&r);
}

static void an_unsigned_record_does_not_keep_its_bytes(void **state)
{
    char *text = changed("metadata/custom_fields", "{\"x\": 1.50}");
    char spaced[4096];
    struct record r;

    (void)state;
    (void)snprintf(spaced, sizeof(spaced), "\n %s  ", text);
    assert_err(ERR_UNSIGNED, parse(spaced, RECORD_SIGNED_ONLY, NULL));
    assert_ok(record_parse(&r, span_str(spaced), RECORD_UNSIGNED_OK, &mem_libc,
                           NULL));
    assert_span_equal(span_str(spaced), buf_span(&r.bytes));
    assert_false(r.is_signed);
    assert_int_equal(0, r.publisher.len);
    assert_err(ERR_UNSIGNED, record_verify(&r));
    record_release(&r);
    free(text);
}

static void an_unsigned_record_can_pose_as_somebodys(void **state)
{
    char *text = changed("souk", "{\"publisher\":\"12D3KooW\",\"sequence\":9,"
                                 "\"yanked\":{},\"versions\":7}");
    struct record_version version;
    struct record r;

    (void)state;
    assert_ok(
        record_parse(&r, span_str(text), RECORD_UNSIGNED_OK, &mem_libc, NULL));
    assert_int_equal(0, r.publisher.len);
    assert_true(r.sequence == 0);
    assert_false(r.is_yanked || r.has_versions);
    assert_false(record_version_at(&r, 0, &version));
    assert_true(record_versions_total(&r) == 0);
    record_release(&r);
    free(text);
}

/* ---- Signatures. ---- */

static void a_signed_record_does_not_verify_or_changes_on_the_way(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record r, again;
    struct peer_id peer;

    (void)state;
    fixture_peer(1, &peer);
    fixture_signed(&r, "ns/name", "1.0.0", ",\"tags\":[\"\xf0\x9f\x98\x80\"]",
                   &key, 7);
    assert_true(r.is_signed && r.is_verified && r.has_versions);
    assert_true(peer_id_eq(&peer, &r.publisher));
    assert_ok(record_parse(&again, buf_span(&r.bytes), RECORD_SIGNED_ONLY,
                           &mem_libc, NULL));
    assert_false(again.is_verified);
    assert_ok(record_verify(&again));
    assert_true(again.is_verified);
    assert_span_equal(buf_span(&r.bytes), buf_span(&again.bytes));
    assert_memory_equal(r.hash, again.hash, sizeof(r.hash));
    assert_memory_equal(r.content_hash, again.content_hash, sizeof(r.hash));
    assert_true(again.sequence == 7);
    assert_int_equal(r.signature_at, again.signature_at);
    assert_int_equal(r.signature_len, again.signature_len);
    record_release(&again);
    record_release(&r);
}

/* What is signed, said again by other means: RFC 8785 by jansson's sorted,
 * compact dump (alike for ASCII names), the prefix by hand. */
static void what_is_signed_is_not_what_the_specification_says(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    char message[8192], *signature, *text;
    uint8_t sig[ED25519_SIG_LEN];
    struct record r;
    json_t *souk;
    size_t n;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 7);
    souk = json_object_get(r.json, "souk");
    signature = strdup(json_string_value(json_object_get(souk, "signature")));
    assert_int_equal(0, json_object_del(souk, "signature"));
    text = json_dumps(r.json, JSON_COMPACT | JSON_SORT_KEYS);
    n = (size_t)snprintf(message, sizeof(message), "souk-package-v1:%s", text);
    assert_ok(base_decode(BASE64URL, span_str(signature), sig, sizeof(sig),
                          &(size_t){0}));
    assert_true(ed25519_verify(key.pub, SPAN(message, n), SPAN_OF(sig)));
    free(signature);
    free(text);
    record_release(&r);
}

static void spacing_or_order_breaks_a_signature(void **state)
{
    struct ed25519_keypair key = fixture_key(2);
    struct record r, again;
    char *pretty;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 1);
    pretty = json_dumps(r.json, JSON_INDENT(4) | JSON_ENSURE_ASCII);
    assert_ok(record_parse(&again, span_str(pretty), RECORD_SIGNED_ONLY,
                           &mem_libc, NULL));
    assert_ok(record_verify(&again));
    assert_span_equal(buf_span(&r.bytes), buf_span(&again.bytes));
    record_release(&again);
    record_release(&r);
    free(pretty);
}

/* Any byte to any of some others: it must not parse, not verify, or (a
 * spelling of the same, such as a space) be the very same record. */
static void a_changed_record_verifies(void **state)
{
    static const uint8_t flips[] = {0x01, 0x02, 0x04, 0x08,
                                    0x10, 0x20, 0x40, 0x80};
    struct ed25519_keypair key = fixture_key(3);
    struct record r;
    uint8_t *copy;
    size_t len;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", ",\"tags\":[\"x\"]", &key, 1);
    len = buf_len(&r.bytes);
    copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, buf_span(&r.bytes).data, len);
    for (size_t i = 0; i < len; i++) {
        struct record changed_one;
        uint8_t was = copy[i];

        copy[i] ^= flips[i % sizeof(flips)];
        if (record_parse(&changed_one, SPAN(copy, len), RECORD_UNSIGNED_OK,
                         &mem_libc, NULL) == OK) {
            if (changed_one.is_signed &&
                record_verify(&changed_one) != ERR_BAD_SIGNATURE)
                fail_msg("byte %zu: '%c' for '%c' verifies", i, copy[i], was);
            record_release(&changed_one);
        }
        copy[i] = was;
    }
    free(copy);
    record_release(&r);
}

/* The signed record with one member of `souk` changed. */
static enum err parse_souk(const struct record *r, const char *name,
                           const char *json)
{
    json_t *root = json_deep_copy(r->json);
    char *text;
    enum err err;

    assert_int_equal(
        0, json ? json_object_set_new(json_object_get(root, "souk"), name,
                                      json_loads(json, JSON_DECODE_ANY, NULL))
                : json_object_del(json_object_get(root, "souk"), name));
    text = json_dumps(root, JSON_COMPACT);
    err = parse(text, RECORD_INPUT, NULL);
    free(text);
    json_decref(root);
    return err;
}

static void a_wrong_seal_is_accepted(void **state)
{
    static const struct {
        const char *name;
        const char *json;
    } cases[] = {
        {"publisher", NULL},
        {"publisher", "\"12D3KooW\""},
        /* An RSA key's id holds no key to verify with. */
        {"publisher", "\"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N\""},
        /* secp256k1 */
        {"publisher",
         "\"16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY\""},
        {"sequence", NULL},
        {"sequence", "0"},
        {"sequence", "-1"},
        {"sequence", "9007199254740993"},
        {"sequence", "\"7\""},
        {"signature", "7"},
        {"signature", "\"\""},
        {"signature", "\"AA==\""},
        {"versions", "{}"},
        {"versions", "[\"1.0.0\"]"},
        {"versions", "[{}]"},
        {"versions", "[{\"version\":\"1.0\"}]"},
        {"versions", "[{\"version\":\"1.0.0\",\"yanked\":1}]"},
        {"versions_total", "0"},
        {"artifact", "{}"},
        {"artifact", "{\"cid\":\"x\",\"size\":1}"},
        {"artifact", "{\"cid\":\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6wsyg236m"
                     "foks77nywkptdq\",\"size\":-1}"},
        {"yanked", "true"},
        {"yanked", "{\"use_instead\":\"latest\"}"},
        {"yanked", "{\"reason\":7}"},
        {"x", "1.5"},
    };
    struct ed25519_keypair key = fixture_key(1);
    struct record r;
    char *many = repeated_item("{\"version\":\"1.0.0\"}", 129);

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        if (parse_souk(&r, cases[i].name, cases[i].json) != ERR_SCHEMA)
            fail_msg("%s = %s", cases[i].name, cases[i].json);
    assert_err(ERR_SCHEMA, parse_souk(&r, "versions", many));
    assert_ok(parse_souk(
        &r, "artifact",
        "{\"cid\":\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6wsyg236mfoks77nywkptdq"
        "\",\"size\":0,\"media_type\":\"application/gzip\"}"));
    assert_ok(parse_souk(&r, "yanked", "{}"));
    assert_ok(parse_souk(&r, "later", "{\"unknown\":true}"));
    record_release(&r);
    free(many);
}

static void a_signed_record_may_be_incomplete(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record r;
    char *text;

    (void)state;
    fixture_signed(&r, "ns/name", "1.0.0", "", &key, 1);
    assert_int_equal(0, json_object_del(r.json, "stats"));
    text = json_dumps(r.json, JSON_COMPACT);
    assert_err(ERR_SCHEMA, parse(text, RECORD_INPUT, NULL));
    free(text);
    assert_int_equal(0,
                     json_object_set_new(r.json, "id", json_string("ns/name")));
    text = json_dumps(r.json, JSON_COMPACT);
    assert_err(ERR_SCHEMA, parse(text, RECORD_INPUT, NULL));
    free(text);
    record_release(&r);
}

static void somebody_elses_signature_verifies(void **state)
{
    struct ed25519_keypair one = fixture_key(1), other = fixture_key(2);
    struct record mine, theirs, forged;
    char peer[PEER_ID_TEXT_MAX], *text;

    (void)state;
    fixture_signed(&mine, "ns/name", "1.0.0", "", &one, 1);
    fixture_signed(&theirs, "ns/name", "1.0.0", "", &other, 1);
    assert_int_equal(0,
                     json_object_set_new(
                         json_object_get(theirs.json, "souk"), "publisher",
                         json_string(peer_id_format(&mine.publisher, peer))));
    text = json_dumps(theirs.json, JSON_COMPACT);
    assert_ok(
        record_parse(&forged, span_str(text), RECORD_INPUT, &mem_libc, NULL));
    assert_err(ERR_BAD_SIGNATURE, record_verify(&forged));
    assert_false(forged.is_verified);
    record_release(&forged);
    record_release(&mine);
    record_release(&theirs);
    free(text);
}

static void a_head_does_not_list_its_versions_newest_first(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record_version versions[] = {
        {{1, 0, 0, ""}, false}, {{1, 2, 0, ""}, true}, {{1, 1, 0, ""}, false}};
    struct record_seal seal = {.sequence = 3,
                               .versions = versions,
                               .version_count = 3,
                               .is_yanked = true,
                               .reason = SPAN_LIT("br\"oken"),
                               .use_instead = SPAN_LIT("1.1.0")};
    struct record_version got;
    struct record input, r;
    bool is_yanked;

    (void)state;
    fixture_input(&input, "ns/name", "1.2.0", "");
    assert_ok(record_sign(&input, &seal, &key, &r));
    assert_true(r.is_yanked);
    assert_string_equal("br\"oken", record_yank_reason(&r));
    assert_string_equal("1.1.0", record_yank_use_instead(&r));
    assert_true(record_versions_total(&r) == 3);
    assert_true(record_version_at(&r, 0, &got));
    assert_true(got.is_yanked && got.version.minor == 2);
    assert_true(record_version_at(&r, 2, &got));
    assert_true(!got.is_yanked && got.version.minor == 0);
    assert_false(record_version_at(&r, 3, &got));
    assert_true(record_lists(&r, &versions[1].version, &is_yanked));
    assert_true(is_yanked);
    assert_true(record_lists(&r, &versions[0].version, &is_yanked));
    assert_false(is_yanked);
    assert_false(record_lists(&r, &(struct semver){9, 0, 0, ""}, &is_yanked));
    assert_string_equal("", record_yank_reason(&input));
    record_release(&r);
    record_release(&input);
}

static void
a_head_lists_more_than_128_versions_or_counts_them_wrongly(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record_version versions[300], got;
    struct record_seal seal = {
        .sequence = 3, .versions = versions, .version_count = 300};
    struct record input, r, again;

    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        versions[i] = (struct record_version){{0, i, 0, ""}, false};
    fixture_input(&input, "ns/name", "0.299.0", "");
    assert_ok(record_sign(&input, &seal, &key, &r));
    assert_true(record_versions_total(&r) == 300);
    assert_true(record_version_at(&r, 127, &got));
    assert_int_equal(172, got.version.minor);
    assert_false(record_version_at(&r, 128, &got));
    assert_ok(record_parse(&again, buf_span(&r.bytes), RECORD_SIGNED_ONLY,
                           &mem_libc, NULL));
    assert_ok(record_verify(&again));
    record_release(&again);
    record_release(&r);
    record_release(&input);
}

static void
a_large_record_cannot_be_signed_for_its_list_of_versions(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record_version versions[128];
    struct record_seal seal = {
        .sequence = 3, .versions = versions, .version_count = 128};
    char *text = record_of(RECORD_BYTES_MAX - 1200);
    struct record input, r;

    (void)state;
    for (uint32_t i = 0; i < 128; i++)
        versions[i] = (struct record_version){{0, i, 0, ""}, false};
    assert_ok(
        record_parse(&input, span_str(text), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&input, FIXTURE_WALL, NULL));
    assert_ok(record_sign(&input, &seal, &key, &r));
    assert_true(record_versions_total(&r) == 128);
    assert_true(buf_len(&r.bytes) <= RECORD_BYTES_MAX);
    record_release(&r);
    record_release(&input);
    free(text);

    text = record_of(RECORD_BYTES_MAX - 100);
    assert_ok(
        record_parse(&input, span_str(text), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&input, FIXTURE_WALL, NULL));
    assert_err(ERR_RECORD_SIZE, record_sign(&input, &seal, &key, &r));
    assert_null(r.json);
    record_release(&input);
    free(text);
}

static void a_seal_stands_elsewhere_than_its_name_says(void **state)
{
    static const char *const members[] = {
        "",
        ",\"soul\":[1]",
        ",\"soukx\":{}",
        ",\"spam\":{\"souk\":1,\"sequence\":2}",
        ",\"stat\":\"\"",
        ",\"sotto\":0,\"statsx\":0,\"zz\":0",
        ",\"souk\":{\"artifact\":{\"cid\":"
        "\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6ws"
        "yg236mfoks77nywkptdq\",\"size\":1}}",
        ",\"souk\":{\"artifact\":{\"cid\":"
        "\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6ws"
        "yg236mfoks77nywkptdq\",\"size\":1}},\"spam\":1"};
    struct ed25519_keypair key = fixture_key(1);
    struct record_version only = {{1, 0, 0, ""}, false};
    struct record_seal seal = {
        .sequence = 3, .versions = &only, .version_count = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        struct record input, r, again;
        char text[512];
        int n =
            snprintf(text, sizeof(text),
                     "{\"id\":\"ns/name\",\"version\":\"1.0.0\",\"metadata\":"
                     "{\"custom_fields\":{}}%s}",
                     members[i]);

        assert_ok(record_parse(&input, SPAN(text, (size_t)n), RECORD_INPUT,
                               &mem_libc, NULL));
        assert_ok(record_complete(&input, FIXTURE_WALL, NULL));
        assert_ok(record_sign(&input, &seal, &key, &r));
        /* Parsing writes what it understood in canonical form. */
        assert_ok(record_parse(&again, buf_span(&r.bytes), RECORD_SIGNED_ONLY,
                               &mem_libc, NULL));
        assert_true(span_eq(buf_span(&r.bytes), buf_span(&again.bytes)));
        assert_ok(record_verify(&again));
        assert_memory_equal(r.hash, again.hash, sizeof(r.hash));
        assert_memory_equal(r.content_hash, again.content_hash, sizeof(r.hash));
        record_release(&r);
        /* … and once more, in place of the seal that is there. */
        seal.sequence++;
        assert_ok(record_sign(&again, &seal, &key, &r));
        record_release(&again);
        assert_ok(record_parse(&again, buf_span(&r.bytes), RECORD_SIGNED_ONLY,
                               &mem_libc, NULL));
        assert_true(span_eq(buf_span(&r.bytes), buf_span(&again.bytes)));
        assert_ok(record_verify(&again));
        record_release(&again);
        record_release(&r);
        record_release(&input);
    }
}

static void the_artifact_is_lost_or_an_old_seal_kept(void **state)
{
    struct ed25519_keypair key = fixture_key(1), other = fixture_key(2);
    char *text = changed(
        "souk", "{\"artifact\":{\"cid\":\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6"
                "wsyg236mfoks77nywkptdq\",\"size\":5},\"sequence\":99,"
                "\"junk\":true}");
    struct record_seal seal = {.sequence = 4};
    struct record input, r, twice;
    json_t *souk;

    (void)state;
    assert_ok(
        record_parse(&input, span_str(text), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&input, FIXTURE_WALL, NULL));
    assert_ok(record_sign(&input, &seal, &key, &r));
    souk = json_object_get(r.json, "souk");
    assert_int_equal(4, json_object_size(souk));
    assert_non_null(json_object_get(souk, "artifact"));
    assert_true(r.sequence == 4);
    seal.sequence = 5;
    assert_ok(record_sign(&r, &seal, &other, &twice));
    assert_memory_equal(r.content_hash, twice.content_hash, sizeof(r.hash));
    assert_memory_equal(r.content_hash, input.content_hash, sizeof(r.hash));
    assert_ok(record_verify(&twice));
    assert_ok(record_verify(&r));
    record_release(&twice);
    record_release(&r);
    record_release(&input);
    free(text);
}

/* ---- Equality. ---- */

static bool is_same(const char *have_path, const char *have_json,
                    const char *sent_path, const char *sent_json)
{
    char *a = changed(have_path, have_json), *b = changed(sent_path, sent_json);
    struct record have, sent;
    bool same;

    assert_ok(record_parse(&have, span_str(a), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&have, FIXTURE_WALL, NULL));
    assert_ok(record_parse(&sent, span_str(b), RECORD_INPUT, &mem_libc, NULL));
    assert_ok(record_complete(&sent, FIXTURE_WALL + 12345, NULL));
    same = record_is_same_publish(&have, &sent);
    record_release(&have);
    record_release(&sent);
    free(a);
    free(b);
    return same;
}

static void the_same_publish_is_not_recognised_or_another_one_is(void **state)
{
    static const char artifact[] =
        "{\"artifact\":{\"cid\":\"bafkreidgvpkjawlxz6sffxzwgooowe5yt7i6wsyg236m"
        "foks77nywkptdq\",\"size\":5}}";

    (void)state;
    assert_true(is_same("stats/stars", "1", "stats/stars", "9"));
    assert_true(is_same("created_at", NULL, "created_at", NULL));
    assert_true(is_same("stats", NULL, "created_at", NULL));
    assert_true(is_same("updated_at", "\"2025-11-02T22:20:00.000Z\"",
                        "stats/stars", "1"));
    assert_false(
        is_same("updated_at", "\"2025-11-02T22:20:01Z\"", "stats/stars", "1"));
    assert_false(is_same("created_at", "\"2025-11-02T22:20:00.123456788Z\"",
                         "stats/stars", "1"));
    assert_true(
        is_same("created_at", "\"2020-11-02T22:20:00Z\"", "created_at", NULL));
    assert_true(is_same("souk", "{\"x\":1}", "souk", "{\"sequence\":2}"));
    assert_false(is_same("souk", artifact, "souk", "{}"));
    assert_true(is_same("souk", artifact, "souk", artifact));
    assert_false(is_same("metadata/title", "\"a\"", "metadata/title", "\"b\""));
    assert_false(is_same("metadata/unknown", "1", "metadata/unknown", "2"));
    assert_false(is_same("unknown", "1", "stats/stars", "1"));
}

/* ---- The order of records, and the head. ---- */

static void selection_is_not_a_total_order(void **state)
{
    struct select_key keys[24];
    size_t n = 0;

    (void)state;
    for (int is_signed = 0; is_signed < 2; is_signed++)
        for (uint64_t sequence = 0; sequence < 3; sequence++)
            for (uint8_t hash = 0; hash < 4; hash++)
                keys[n++] =
                    (struct select_key){is_signed != 0, sequence, {hash}};
    for (size_t a = 0; a < n; a++) {
        for (size_t b = 0; b < n; b++) {
            int ab = select_cmp(&keys[a], &keys[b]);

            assert_int_equal(ab == 0, a == b);
            assert_true((ab < 0) == (select_cmp(&keys[b], &keys[a]) > 0));
            for (size_t c = 0; c < n; c++)
                if (ab < 0 && select_cmp(&keys[b], &keys[c]) < 0)
                    assert_true(select_cmp(&keys[a], &keys[c]) < 0);
        }
    }
    assert_true(select_cmp(&(struct select_key){true, 1, {9}},
                           &(struct select_key){false, 5, {0}}) < 0);
    assert_true(select_cmp(&(struct select_key){true, 2, {9}},
                           &(struct select_key){true, 1, {0}}) < 0);
    assert_true(select_cmp(&(struct select_key){true, 1, {0}},
                           &(struct select_key){true, 1, {9}}) < 0);
}

static size_t head_of(const char *const *texts, size_t count)
{
    struct record_version versions[8];

    for (size_t i = 0; i < count; i++) {
        bool is_yanked = texts[i][0] == '!';

        assert_ok(
            semver_parse(span_str(texts[i] + is_yanked), &versions[i].version));
        versions[i].is_yanked = is_yanked;
    }
    return record_choose_head(versions, count);
}

static void another_version_is_the_head(void **state)
{
    (void)state;
    assert_int_equal(0, head_of(NULL, 0));
    assert_int_equal(1, head_of((const char *[]){"1.0.0", "1.1.0"}, 2));
    assert_int_equal(0, head_of((const char *[]){"1.0.0", "2.0.0-rc.1"}, 2));
    assert_int_equal(0,
                     head_of((const char *[]){"2.0.0-rc.10", "2.0.0-rc.9"}, 2));
    assert_int_equal(1, head_of((const char *[]){"!1.0.0", "0.9.0"}, 2));
    assert_int_equal(
        1, head_of((const char *[]){"!1.0.0", "2.0.0-a", "!0.1.0"}, 3));
    assert_int_equal(2, head_of((const char *[]){"!1.0.0", "!2.0.0"}, 2));
}

/* ---- Names and times. ---- */

static void another_packages_name_is_peeked(void **state)
{
    struct ed25519_keypair key = fixture_key(1);
    char text[PACKAGE_TEXT_MAX];
    struct record r;

    (void)state;
    fixture_signed(&r, "org/lib", "1.0.0",
                   "},\"dependencies\":[{\"package_id\":{\"name\":\"other\","
                   "\"namespace\":\"some\"},\"version_requirement\":\"Any\","
                   "\"optional\":false}],\"stats\":{",
                   &key, 1);
    assert_true(package_id_peek(buf_span(&r.bytes), text));
    assert_string_equal("org/lib", text);
    record_release(&r);
    assert_false(package_id_peek(SPAN_LIT("{\"id\":{\"name\":\"lib"), text));
    assert_false(package_id_peek(
        SPAN_LIT("{\"id\":{\"name\":\"lib\",\"namespace\":\"o"), text));
    assert_false(package_id_peek(SPAN_LIT("{}"), text));
}

static void a_name_is_read_wrongly(void **state)
{
    struct package_id id;
    struct peer_id peer, owner;
    char ns[PACKAGE_NAME_MAX + 1], text[PACKAGE_TEXT_MAX];
    char twisted[PACKAGE_NAME_MAX + 1];

    (void)state;
    assert_ok(package_id_parse(SPAN_LIT("my-org/lib_x.y"), &id));
    assert_string_equal("my-org/lib_x.y", package_id_format(&id, text));
    assert_string_equal("my-org/lib-x.y", package_id_fold_dashes(&id, text));
    assert_err(ERR_INVAL, package_id_parse(SPAN_LIT("noslash"), &id));
    assert_err(ERR_INVAL, package_id_parse(SPAN_LIT("a/b/c"), &id));
    assert_err(ERR_INVAL, package_id_parse(SPAN_LIT("/b"), &id));
    assert_err(ERR_INVAL, package_id_parse(SPAN_LIT("a/"), &id));
    assert_err(ERR_INVAL, package_id_parse(SPAN_LIT("A/b"), &id));
    assert_ok(package_id_look_up(&id, SPAN_LIT("MyOrg"), SPAN_LIT("LIB")));
    assert_string_equal("myorg/lib", package_id_format(&id, text));
    assert_err(ERR_INVAL, package_id_look_up(&id, SPAN_LIT("a"), SPAN_LIT("")));
    assert_false(package_ns_owner(&id, &owner));

    fixture_peer(1, &peer);
    assert_true(package_ns_of(&peer, ns));
    assert_int_equal(63, strlen(ns));
    assert_memory_equal("~k51", ns, 4);
    assert_ok(package_id_set(&id, span_str(ns), SPAN_LIT("x")));
    assert_true(package_ns_owner(&id, &owner));
    assert_true(peer_id_eq(&peer, &owner));
    /* The same key in another text is another place: refused. */
    (void)snprintf(twisted, sizeof(twisted), "~K%s", ns + 2);
    assert_err(ERR_INVAL,
               package_id_set(&id, span_str(twisted), SPAN_LIT("x")));
    assert_err(ERR_INVAL, package_id_set(&id, SPAN(ns, 62), SPAN_LIT("x")));
    assert_err(ERR_INVAL, package_id_set(&id, SPAN_LIT("x"), span_str(ns)));
}

static void a_time_is_read_or_written_wrongly(void **state)
{
    static const struct {
        const char *text;
        wall_ms ms;
        uint32_t ns;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0, 0},
        {"2025-11-02T22:20:00.123456789Z", 1762122000123, 456789},
        {"2025-11-02T22:20:00.001Z", 1762122000001, 0},
        {"2000-02-29T00:00:00.000001Z", 951782400000, 1000},
        {"1969-12-31T23:59:59Z", -1000, 0},
        {"0000-01-01T00:00:00Z", -62167219200000, 0},
        {"9999-12-31T23:59:59Z", 253402300799000, 0},
    };
    static const char *const bad[] = {
        "",
        "2025-11-02",
        "2025-11-02T22:20:00",
        "2025-11-02T22:20Z",
        "2025-11-02T22:20:00+00:00",
        "2025-11-02t22:20:00z",
        "2025-11-02 22:20:00Z",
        "2025-11-02T22:20:00.1Z",
        "2025-11-02T22:20:00.1234Z",
        "2025-11-02T22:20:00.1234567890Z",
        "2025-11-02T22:20:00.Z",
        "2025-11-02T22:20:00.12aZ",
        "2025-13-02T22:20:00Z",
        "2025-00-02T22:20:00Z",
        "2025-02-29T22:20:00Z",
        "2100-02-29T22:20:00Z",
        "2025-11-31T22:20:00Z",
        "2025-11-00T22:20:00Z",
        "2025-11-02T24:20:00Z",
        "2025-11-02T22:60:00Z",
        "2025-11-02T22:20:61Z",
        "2025-11-02T22:20:00ZZ",
        "+025-11-02T22:20:00Z",
        "12025-11-02T22:20:00Z",
    };
    char text[RFC3339_TEXT_MAX];
    struct moment m;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_true(rfc3339_parse(span_str(good[i].text), &m));
        assert_true(m.ms == good[i].ms && m.ns == good[i].ns);
        if (m.ns == 0)
            assert_string_equal(good[i].text, rfc3339_format(m.ms, text));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (rfc3339_parse(span_str(bad[i]), &m))
            fail_msg("accepted: %s", bad[i]);
    for (wall_ms ms = -3000000000000; ms < 9000000000000;
         ms += 86399999) { /* near midnight of every day */
        assert_true(rfc3339_parse(span_str(rfc3339_format(ms, text)), &m));
        assert_true(m.ms == ms && m.ns == 0);
    }
}

/* ---- No memory. ---- */

/* The whole life of a record; whatever fails, nothing leaks. */
static enum err live(const struct mem *mem)
{
    struct ed25519_keypair key = fixture_key(1);
    struct record_version versions[40];
    struct record_seal seal = {
        .sequence = 1, .versions = versions, .version_count = 40};
    struct record input, r = {0}, again = {0}, copy = {0};
    enum err err;

    for (uint32_t i = 0; i < 40; i++)
        versions[i] = (struct record_version){{0, i, 0, ""}, i % 2 != 0};
    err = record_parse(&input, SPAN(complete, sizeof(complete) - 1),
                       RECORD_INPUT, mem, NULL);
    if (err == OK)
        err = record_complete(&input, FIXTURE_WALL, NULL);
    if (err == OK)
        err = record_sign(&input, &seal, &key, &r);
    if (err == OK)
        err = record_parse(&again, buf_span(&r.bytes), RECORD_SIGNED_ONLY, mem,
                           NULL);
    if (err == OK)
        err = record_verify(&again);
    if (err == OK)
        err = record_copy(&again, &copy);
    record_release(&copy);
    record_release(&again);
    record_release(&r);
    record_release(&input);
    return err;
}

static void a_failed_allocation_is_not_survived(void **state)
{
    struct test_heap heap;
    enum err err = ERR_NOMEM;

    (void)state;
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        test_heap_fail(&heap, nth);
        err = live(&heap.mem);
        assert_err(heap.count < heap.fail_at ? OK : ERR_NOMEM, err);
        assert_int_equal(0, heap.live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_that_is_not_i_json_is_accepted),
        cmocka_unit_test(nesting_above_eight_is_accepted_or_eight_refused),
        cmocka_unit_test(an_endless_nesting_reaches_the_parser),
        cmocka_unit_test(a_member_that_is_needed_may_be_left_out),
        cmocka_unit_test(an_optional_member_is_needed),
        cmocka_unit_test(a_wrong_value_is_accepted),
        cmocka_unit_test(a_right_value_is_refused),
        cmocka_unit_test(a_text_has_another_limit_or_counts_bytes),
        cmocka_unit_test(a_list_has_another_limit),
        cmocka_unit_test(an_integer_beyond_2_to_the_53_is_signed),
        cmocka_unit_test(
            a_record_above_12_kib_is_accepted_or_one_below_refused),
        cmocka_unit_test(spaces_count_for_the_limit_of_a_publish),
        cmocka_unit_test(only_the_first_problem_is_told_or_there_is_no_end),
        cmocka_unit_test(what_may_be_left_out_is_filled_in_wrongly),
        cmocka_unit_test(a_members_null_stays_where_others_need_a_value),
        cmocka_unit_test(what_the_publisher_wrote_is_lost),
        cmocka_unit_test(an_unsigned_record_does_not_keep_its_bytes),
        cmocka_unit_test(an_unsigned_record_can_pose_as_somebodys),
        cmocka_unit_test(a_signed_record_does_not_verify_or_changes_on_the_way),
        cmocka_unit_test(what_is_signed_is_not_what_the_specification_says),
        cmocka_unit_test(spacing_or_order_breaks_a_signature),
        cmocka_unit_test(a_changed_record_verifies),
        cmocka_unit_test(a_wrong_seal_is_accepted),
        cmocka_unit_test(a_signed_record_may_be_incomplete),
        cmocka_unit_test(somebody_elses_signature_verifies),
        cmocka_unit_test(a_head_does_not_list_its_versions_newest_first),
        cmocka_unit_test(
            a_head_lists_more_than_128_versions_or_counts_them_wrongly),
        cmocka_unit_test(
            a_large_record_cannot_be_signed_for_its_list_of_versions),
        cmocka_unit_test(a_seal_stands_elsewhere_than_its_name_says),
        cmocka_unit_test(the_artifact_is_lost_or_an_old_seal_kept),
        cmocka_unit_test(the_same_publish_is_not_recognised_or_another_one_is),
        cmocka_unit_test(selection_is_not_a_total_order),
        cmocka_unit_test(another_version_is_the_head),
        cmocka_unit_test(another_packages_name_is_peeked),
        cmocka_unit_test(a_name_is_read_wrongly),
        cmocka_unit_test(a_time_is_read_or_written_wrongly),
        cmocka_unit_test(a_failed_allocation_is_not_survived),
    };

    record_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
