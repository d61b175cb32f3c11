/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include "market/terms.h"

/* A small market of random words, so that everything is found by something. */
enum { PACKAGES = 400, WORDS = 40 };

static const char *const words[WORDS] = {
    "json", "parser", "http", "server", "client", "tool",  "library", "fast",
    "tiny", "graph",  "data", "base",   "query",  "index", "market",  "peer",
    "mail", "queue",  "file", "system", "crypto", "hash",  "sign",    "key",
    "text", "search", "web",  "page",   "image",  "audio", "video",   "game",
    "math", "matrix", "time", "zone",   "cloud",  "night", "log",     "trace"};

struct market {
    struct store *store;
    struct reader *reader;
    struct rng_seeded seed;
    struct rng rng;
    struct record records[PACKAGES]; /* heads, as published */
    enum record_trust trust[PACKAGES];
    size_t count;
};

static const char *pick(const struct rng *rng)
{
    return words[rng_mostly_low(rng, WORDS)];
}

static void make_metadata(struct market *m, char *out, size_t max)
{
    static const char *const licenses[] = {"MIT", "Apache-2.0", "GPL-3.0"};
    static const char *const categories[] = {"\"Utility\"", "\"Database\"",
                                             "{\"Custom\":\"Fun Stuff\"}"};
    char title[64], text[512];

    random_phrase(&m->rng, 3, pick, title);
    random_phrase(&m->rng, 20, pick, text);
    snprintf(out, max,
             ",\"title\":\"%s\",\"description\":\"%s\",\"license\":\"%s\","
             "\"tags\":[\"%s\",\"C++\"],\"categories\":[%s]",
             title, text, licenses[rng_below(&m->rng, 3)], pick(&m->rng),
             categories[rng_below(&m->rng, 3)]);
}

static void add_package(struct market *m, size_t nth)
{
    char id[96], more[1024], ns[32];
    bool is_own = rng_below(&m->rng, 3) > 0;
    enum err err;

    snprintf(ns, sizeof(ns), "%s%u", is_own ? "own" : "their",
             (unsigned)rng_below(&m->rng, 5));
    snprintf(id, sizeof(id), "%s/%s-%s%zu", ns, pick(&m->rng), pick(&m->rng),
             nth);
    make_metadata(m, more, sizeof(more));
    fixture_input(&m->records[m->count], id, "1.0.0", more);
    m->trust[m->count] = is_own ? TRUST_PINNED : TRUST_SIGNED;
    err = is_own ? fixture_publish(m->store, id, "1.0.0", more)
                 : fixture_accept(m->store, id, "1.0.0", more, 3, nth, false);
    assert_ok(err);
    m->count++;
}

static struct market *market_new(uint64_t seed)
{
    struct market *m = calloc(1, sizeof(*m));

    m->rng = rng_seeded(&m->seed, seed);
    m->store = fixture_memory();
    m->reader = fixture_reader(m->store);
    for (size_t i = 0; i < PACKAGES; i++)
        add_package(m, i + 1);
    return m;
}

static void market_free(struct market *m)
{
    for (size_t i = 0; i < m->count; i++)
        record_release(&m->records[i]);
    reader_close(m->reader);
    store_close(m->store);
    free(m);
}

static void make_query(struct market *m, struct query *q)
{
    char text[256] = "";
    int n = (int)rng_below(&m->rng, 4);

    for (int i = 0; i < n; i++) {
        const char *w = pick(&m->rng);
        char term[64];

        switch (rng_below(&m->rng, 8)) {
        case 0:
            snprintf(term, sizeof(term), "%s %.2s* ", w, pick(&m->rng));
            break;
        case 1:
            snprintf(term, sizeof(term), "%s -%s ", w, pick(&m->rng));
            break;
        case 2:
            snprintf(term, sizeof(term), "\"%s %s\" ", w, pick(&m->rng));
            break;
        case 3:
            snprintf(term, sizeof(term), "title:%s ", w);
            break;
        case 4:
            snprintf(term, sizeof(term), "name:%s %s ", w, pick(&m->rng));
            break;
        default:
            snprintf(term, sizeof(term), "%s ", w);
            break;
        }
        strcat(text, term);
    }
    assert_ok(query_parse(span_str(text), q, NULL));
    if (rng_below(&m->rng, 3) == 0)
        assert_ok(query_set(q, "license", SPAN_LIT("mit"), NULL));
    if (rng_below(&m->rng, 4) == 0)
        assert_ok(query_set(q, "category", SPAN_LIT("fun stuff"), NULL));
    if (rng_below(&m->rng, 4) == 0)
        assert_ok(query_set(q, "tag", span_str(pick(&m->rng)), NULL));
    if (rng_below(&m->rng, 4) == 0)
        assert_ok(query_set(q, "namespace", SPAN_LIT("own1"), NULL));
    if (rng_below(&m->rng, 4) == 0)
        assert_ok(query_set(q, "trust", SPAN_LIT("signed"), NULL));
    q->sort = (enum query_sort)rng_below(&m->rng, 4);
}

/* The naive twin: look at every record. */
static bool twin_matches(const struct market *m, const struct query *q,
                         size_t nth)
{
    struct query_doc doc;
    bool is_match;

    assert_ok(query_doc_init(&doc, &m->records[nth]));
    is_match =
        query_matches(q, &doc) && (!q->has_trust || m->trust[nth] == q->trust);
    query_doc_release(&doc);
    return is_match;
}

static size_t index_of(const struct market *m, const struct package_id *id)
{
    for (size_t i = 0; i < m->count; i++)
        if (memcmp(&m->records[i].id, id, sizeof(*id)) == 0)
            return i;
    fail_msg("found what was never published: %s/%s", id->ns, id->name);
    return 0;
}

static void expect_order(const struct query *q, const struct rank_entry *a,
                         const struct rank_entry *b)
{
    switch (q->sort) {
    case SORT_NAME:
        assert_true(rank_cmp(a, b, SORT_NAME) < 0);
        break;
    case SORT_RECENT:
        assert_true(a->updated_at >= b->updated_at);
        break;
    case SORT_DOWNLOADS:
        assert_true(a->downloads >= b->downloads);
        break;
    case SORT_RELEVANCE:
        break;
    }
}

/* Page through all of it: each once, in order, and nothing else. */
static void expect_pages(struct market *m, const struct query *q,
                         unsigned limit)
{
    static struct search_page page;
    static bool seen[PACKAGES];
    struct search_options options = {.limit = limit, .wall = FIXTURE_WALL};
    char cursor[READER_CURSOR_MAX] = "";
    struct rank_entry last;
    size_t found = 0, want = 0;

    memset(seen, 0, sizeof(seen));
    options.cursor = cursor;
    do {
        assert_ok(reader_search(m->reader, q, &options, &page));
        for (size_t i = 0; i < page.count; i++) {
            size_t nth = index_of(m, &page.hits[i].entry.id);

            assert_false(seen[nth]);
            assert_true(twin_matches(m, q, nth));
            assert_int_equal(m->trust[nth], page.hits[i].entry.trust);
            if (found > 0)
                expect_order(q, &last, &page.hits[i].entry);
            last = page.hits[i].entry;
            seen[nth] = true;
            found++;
        }
        assert_true(page.cursor[0] == '\0' || page.count == limit);
        memcpy(cursor, page.cursor, sizeof(cursor));
        search_page_free(&page);
    } while (cursor[0] != '\0');
    for (size_t i = 0; i < m->count; i++)
        want += twin_matches(m, q, i);
    assert_int_equal(want, found);
    assert_true(page.total_is_exact);
    assert_int_equal(want, page.total);
}

static void search_finds_what_a_scan_of_all_records_finds(void **state)
{
    struct market *m = market_new(11);

    (void)state;
    for (int i = 0; i < 400; i++) {
        struct query q;

        make_query(m, &q);
        expect_pages(m, &q, 1 + (unsigned)rng_below(&m->rng, 30));
    }
    market_free(m);
}

static size_t search(struct reader *r, const char *text,
                     struct search_page *page)
{
    struct search_options options = {.limit = 20, .wall = FIXTURE_WALL};
    struct query q;

    assert_ok(query_parse(span_str(text), &q, NULL));
    assert_ok(reader_search(r, &q, &options, page));
    return page->count;
}

static void expect_first(struct reader *r, const char *text, const char *name)
{
    static struct search_page page;

    assert_true(search(r, text, &page) > 0);
    assert_string_equal(name, page.hits[0].entry.id.name);
    search_page_free(&page);
}

static void exact_name_comes_first_then_exact_title(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);

    (void)state;
    for (int i = 0; i < 50; i++) {
        char id[32];

        snprintf(id, sizeof(id), "acme/json%d", i);
        assert_ok(fixture_publish(s, id, "1.0.0",
                                  ",\"title\":\"json parser json\","
                                  "\"description\":\"json parser\""));
    }
    assert_ok(fixture_publish(s, "acme/other", "1.0.0",
                              ",\"title\":\"JSON\",\"description\":\"x\""));
    expect_first(r, "json", "other");
    /* Heard from somebody: of less worth, but it is the name asked for. */
    assert_ok(fixture_accept(s, "their/json", "1.0.0", ",\"title\":\"thing\"",
                             3, 1, false));
    expect_first(r, "json", "json");
    expect_first(r, "their json", "json");
    reader_close(r);
    store_close(s);
}

static void a_package_as_it_is_written_is_not_found(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    static struct search_page page;

    (void)state;
    for (int i = 0; i < 30; i++) {
        char id[32];

        snprintf(id, sizeof(id), "acme/tool-tool%d", i);
        assert_ok(fixture_publish(
            s, id, "1.0.0", ",\"title\":\"tool\",\"description\":\"acme\""));
    }
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ",\"title\":\"x\""));
    assert_ok(fixture_publish(s, "acme/cs", "1.0.0",
                              ",\"description\":\"client/server\""));
    expect_first(r, "acme/tool", "tool");
    expect_first(r, "Acme/Tool", "tool");
    expect_first(r, "client/server", "cs");
    assert_int_equal(0, search(r, "zzz/tool", &page));
    search_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void yanked_and_replaced_words_are_not_found(void **state)
{
    static struct search_page page;
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_id id = fixture_id("acme/tool");
    struct semver v2 = fixture_version("2.0.0"), v1 = fixture_version("1.0.0");

    (void)state;
    assert_ok(
        fixture_publish(s, "acme/tool", "1.0.0", ",\"title\":\"alpha thing\""));
    assert_int_equal(1, search(r, "alpha", &page));
    search_page_free(&page);
    assert_ok(
        fixture_publish(s, "acme/tool", "2.0.0", ",\"title\":\"beta thing\""));
    assert_int_equal(0, search(r, "alpha", &page));
    search_page_free(&page);
    assert_int_equal(1, search(r, "beta", &page));
    assert_int_equal(2, page.hits[0].entry.version.major);
    search_page_free(&page);

    assert_ok(fixture_do_free(s, job_yank(&id, &v2, NULL, NULL)));
    assert_int_equal(1, search(r, "alpha", &page));
    search_page_free(&page);
    assert_ok(fixture_do_free(s, job_yank(&id, &v1, NULL, NULL)));
    assert_int_equal(0, search(r, "tool", &page));
    search_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void summary_is_json_that_lacks_only_its_end(void **state)
{
    static struct search_page page;
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    char text[4096];
    json_t *json;

    (void)state;
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0",
                              ",\"title\":\"a \\\"b\\\" \\\\ \\n \\u0001 é\","
                              "\"tags\":[\"x\"],\"license\":\"MIT\","
                              "\"categories\":[{\"Custom\":\"y\"}]"));
    assert_int_equal(1, search(r, "tool", &page));
    snprintf(text, sizeof(text), "%.*s,\"score\":1,\"source\":\"local\"}",
             (int)page.hits[0].summary.len,
             (const char *)page.hits[0].summary.data);
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal("acme/tool",
                        json_string_value(json_object_get(json, "id")));
    assert_string_equal("a \"b\" \\ \n \x01 é",
                        json_string_value(json_object_get(json, "title")));
    assert_string_equal("pinned",
                        json_string_value(json_object_get(json, "trust")));
    assert_int_equal(12, json_object_size(json));
    json_decref(json);
    search_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void facets_count_what_was_found(void **state)
{
    static struct search_page page;
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct search_options options = {
        .limit = 1, .wall = FIXTURE_WALL, .facets = true};
    struct query q;
    unsigned mit = 0, red = 0;

    (void)state;
    assert_ok(fixture_publish(s, "a/x1", "1.0.0",
                              ",\"license\":\"MIT\",\"tags\":[\"red\"]"));
    assert_ok(
        fixture_publish(s, "a/x2", "1.0.0",
                        ",\"license\":\"MIT\",\"tags\":[\"red\",\"blue\"]"));
    assert_ok(fixture_publish(s, "a/y3", "1.0.0", ",\"license\":\"BSD\""));
    assert_ok(query_parse(SPAN_LIT("x*"), &q, NULL));
    assert_ok(reader_search(r, &q, &options, &page));
    assert_true(page.facets_are_exact);
    for (size_t i = 0; i < page.facet_count; i++) {
        if (strcmp(page.facets[i].value, "MIT") == 0)
            mit = page.facets[i].count;
        if (strcmp(page.facets[i].value, "red") == 0)
            red = page.facets[i].count;
        assert_string_not_equal("BSD", page.facets[i].value);
    }
    assert_int_equal(2, mit);
    assert_int_equal(2, red);
    search_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void cursor_of_another_query_is_refused(void **state)
{
    static struct search_page page;
    static const char *const bad[] = {"x", "AAAA", "!!", "AQ"};
    struct market *m = market_new(3);
    struct search_options options = {.limit = 1, .wall = FIXTURE_WALL};
    char cursor[READER_CURSOR_MAX];
    struct query q;

    (void)state;
    assert_ok(query_parse(SPAN_LIT("json"), &q, NULL));
    assert_ok(reader_search(m->reader, &q, &options, &page));
    assert_string_not_equal("", page.cursor);
    memcpy(cursor, page.cursor, sizeof(cursor));
    search_page_free(&page);
    options.cursor = cursor;
    assert_ok(reader_search(m->reader, &q, &options, &page));
    search_page_free(&page);
    assert_ok(query_parse(SPAN_LIT("http"), &q, NULL));
    assert_err(ERR_INVAL, reader_search(m->reader, &q, &options, &page));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        options.cursor = bad[i];
        assert_err(ERR_INVAL, reader_search(m->reader, &q, &options, &page));
    }
    market_free(m);
}

static void void_query_finds_nothing_and_empty_all(void **state)
{
    static struct search_page page;
    struct market *m = market_new(4);

    (void)state;
    assert_int_equal(0, search(m->reader, "...", &page));
    assert_int_equal(0, page.total);
    search_page_free(&page);
    assert_int_equal(20, search(m->reader, "", &page));
    assert_int_equal(PACKAGES, page.total);
    search_page_free(&page);
    market_free(m);
}

/* More matches than candidates: the ranked ones and then the rest. */
static void paging_goes_on_behind_the_ranked_candidates(void **state)
{
    static struct search_page page;
    static uint8_t seen[2600];
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct search_options options = {.limit = 100, .wall = FIXTURE_WALL};
    char cursor[READER_CURSOR_MAX] = "";
    struct query q;
    size_t found = 0;

    (void)state;
    for (int i = 0; i < 2600; i++) {
        char id[32], more[96];

        snprintf(id, sizeof(id), "acme/p%d", i);
        snprintf(more, sizeof(more), ",\"title\":\"%s\",\"description\":\"%s\"",
                 i % 4 ? "thing" : "common", i % 7 ? "common words" : "common");
        assert_ok(fixture_publish(s, id, "1.0.0", more));
    }
    assert_ok(query_parse(SPAN_LIT("common"), &q, NULL));
    options.cursor = cursor;
    do {
        assert_ok(reader_search(r, &q, &options, &page));
        assert_false(page.total_is_exact);
        assert_in_range(page.total, 1000, 2600);
        for (size_t i = 0; i < page.count; i++) {
            int nth = atoi(page.hits[i].entry.id.name + 1);

            assert_int_equal(0, seen[nth]++);
            found++;
        }
        memcpy(cursor, page.cursor, sizeof(cursor));
        search_page_free(&page);
    } while (cursor[0] != '\0');
    assert_int_equal(2600, found);
    reader_close(r);
    store_close(s);
}

/* Publish, replace, yank, take back and evict at random: the index must follow
 * every step. */
static void index_follows_every_change(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct market *m = calloc(1, sizeof(*m));
    bool more;

    (void)state;
    config.catalogue_bytes_max = 60000;
    m->rng = rng_seeded(&m->seed, 9);
    m->store = fixture_open(&config);
    for (int i = 0; i < 600; i++) {
        char id[32], version[32], metadata[1024];
        struct package_id name;
        struct semver v;

        snprintf(id, sizeof(id), "own/p%d", (int)rng_below(&m->rng, 30));
        snprintf(version, sizeof(version), "%d.0.0",
                 (int)rng_below(&m->rng, 4));
        name = fixture_id(id);
        v = fixture_version(version);
        make_metadata(m, metadata, sizeof(metadata));
        switch (rng_below(&m->rng, 5)) {
        case 0:
            (void)fixture_do_free(m->store, job_yank(&name, &v, NULL, NULL));
            break;
        case 1:
            (void)fixture_do_free(m->store, job_unyank(&name, &v));
            break;
        case 2:
            snprintf(id, sizeof(id), "their/q%d", (int)rng_below(&m->rng, 60));
            (void)fixture_accept(m->store, id, version, metadata, 3,
                                 (uint64_t)i + 1, i % 3 == 0);
            break;
        default:
            (void)fixture_publish(m->store, id, version, metadata);
            break;
        }
        assert_ok(store_maintain(m->store, FIXTURE_WALL, &more));
    }
    assert_true(fixture_counts(m->store).evicted > 0);
    store_close(m->store);
    fixture_check(dir);
    fixture_remove(dir);
    free(m);
}

/* Quality changes, the package moves, and is still found exactly once. */
static void package_moves_when_its_quality_changes(void **state)
{
    struct market *m = market_new(5);
    wall_ms later = FIXTURE_WALL + INT64_C(4 * 365 * 24 * 3600) * 1000;
    bool more = true;

    (void)state;
    for (int i = 0; i < 200 && more; i++)
        assert_ok(store_maintain(m->store, later, &more));
    assert_false(more);
    for (int i = 0; i < 50; i++) {
        struct query q;

        make_query(m, &q);
        expect_pages(m, &q, 17);
    }
    market_free(m);
}

static void hits_are_head_records_for_another_peer(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct hit_page page;
    struct record head;
    struct query q;

    (void)state;
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/tool", "1.1.0", ""));
    assert_ok(fixture_publish(s, "acme/drill", "1.0.0", ""));
    assert_ok(query_parse(SPAN_LIT("tool"), &q, NULL));
    assert_ok(reader_hits(r, &q, 10, FIXTURE_WALL, &page));
    assert_int_equal(1, page.count);
    assert_int_equal(1, page.total);
    assert_true(page.hits[0].score > 0);
    assert_ok(record_parse(&head, page.hits[0].record, 0, &mem_libc, NULL));
    assert_ok(record_verify(&head));
    assert_int_equal(1, head.version.minor);
    record_release(&head);
    hit_page_free(&page);
    reader_close(r);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_finds_what_a_scan_of_all_records_finds),
        cmocka_unit_test(exact_name_comes_first_then_exact_title),
        cmocka_unit_test(a_package_as_it_is_written_is_not_found),
        cmocka_unit_test(yanked_and_replaced_words_are_not_found),
        cmocka_unit_test(summary_is_json_that_lacks_only_its_end),
        cmocka_unit_test(facets_count_what_was_found),
        cmocka_unit_test(cursor_of_another_query_is_refused),
        cmocka_unit_test(void_query_finds_nothing_and_empty_all),
        cmocka_unit_test(paging_goes_on_behind_the_ranked_candidates),
        cmocka_unit_test(index_follows_every_change),
        cmocka_unit_test(package_moves_when_its_quality_changes),
        cmocka_unit_test(hits_are_head_records_for_another_peer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
