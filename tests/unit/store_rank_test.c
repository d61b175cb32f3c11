/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/internal.h"
#include "store/match.h"

/* What search calls the best, held against FTS5's own bm25() of every match,
 * while packages come, change and go: lists in memory that lag behind a commit,
 * or are read wrongly from the index, would show. */
enum { WORDS = 24, PACKAGES = 420, TOP = 10 };

struct market {
    struct store *s;
    struct reader *r;
    struct rng_seeded seed;
    struct rng rng;
    sqlite3_stmt *best, *worth;
};

#define BM25 "bm25(words, 8.0, 1.5, 5.0, 3.0, 1.5, 1.0, 0.7, 0.5, 0.0, 8.0)"
static const char best_sql[] =
    "SELECT rowid, " BM25 " AS v FROM words WHERE words MATCH ?1 ORDER BY v";
static const char worth_sql[] =
    "SELECT " BM25 " FROM words WHERE words MATCH ?1 AND rowid="
    "(SELECT slot FROM listing WHERE namespace=?2 AND name=?3)";

static void market_init(struct market *m, struct store *s, uint64_t seed)
{
    sqlite3 *db = s->db.handle;

    m->rng = rng_seeded(&m->seed, seed);
    m->s = s;
    m->r = fixture_reader(s);
    assert_int_equal(SQLITE_OK,
                     sqlite3_prepare_v2(db, best_sql, -1, &m->best, NULL));
    assert_int_equal(SQLITE_OK,
                     sqlite3_prepare_v2(db, worth_sql, -1, &m->worth, NULL));
}

static void market_release(struct market *m)
{
    sqlite3_finalize(m->best);
    sqlite3_finalize(m->worth);
    reader_close(m->r);
}

static struct market *market_new(const struct store_config *config,
                                 uint64_t seed)
{
    struct market *m = calloc(1, sizeof(*m));

    market_init(m, fixture_open(config), seed);
    return m;
}

static void market_free(struct market *m)
{
    market_release(m);
    store_close(m->s);
    free(m);
}

static const char *word(unsigned nth)
{
    static const char *const words[WORDS] = {
        "json", "parser", "http",  "server", "client", "tool",
        "fast", "tiny",   "graph", "data",   "query",  "index",
        "peer", "mail",   "queue", "file",   "crypto", "hash",
        "sign", "key",    "text",  "web",    "page",   "\303\234bung"};

    return words[nth];
}

/* The first are in most packages, the last in few. */
static const char *pick(const struct rng *rng)
{
    return word((unsigned)rng_mostly_low(rng, WORDS));
}

static void metadata(struct market *m, char out[1024])
{
    char title[64], text[768];

    random_phrase(&m->rng, 3, pick, title);
    random_phrase(&m->rng, 40, pick, text);
    snprintf(out, 1024,
             ",\"title\":\"%s\",\"description\":\"%s\",\"license\":\"%s\","
             "\"tags\":[\"%s\"]",
             title, text, rng_below(&m->rng, 4) ? "MIT" : "Zlib",
             pick(&m->rng));
}

static void publish(struct market *m, unsigned nth, unsigned version)
{
    char id[64], v[32], more[1024];

    snprintf(id, sizeof(id), "acme/p%u", nth);
    snprintf(v, sizeof(v), "%u.0.0", version);
    metadata(m, more);
    (void)fixture_publish(m->s, id, v, more);
}

static void chores(struct store *s, int most)
{
    bool more = true;

    for (int i = 0; i < most && more; i++)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_true(most < 1000 || !more);
}

/* ---- The twin. ---- */

static double worth_of(struct market *m, const char *expression,
                       const struct package_id *id)
{
    double worth;

    sqlite3_bind_text(m->worth, 1, expression, -1, SQLITE_STATIC);
    sqlite3_bind_text(m->worth, 2, id->ns, -1, SQLITE_STATIC);
    sqlite3_bind_text(m->worth, 3, id->name, -1, SQLITE_STATIC);
    assert_int_equal(SQLITE_ROW, sqlite3_step(m->worth));
    worth = -sqlite3_column_double(m->worth, 0);
    sqlite3_reset(m->worth);
    return worth;
}

/* How many match, and what the last of the best is worth. */
static size_t find_best(struct market *m, const char *expression, double *last)
{
    size_t count = 0;

    sqlite3_bind_text(m->best, 1, expression, -1, SQLITE_STATIC);
    for (; sqlite3_step(m->best) == SQLITE_ROW; count++)
        if (count < TOP)
            *last = -sqlite3_column_double(m->best, 1);
    sqlite3_reset(m->best);
    return count;
}

static void express(struct market *m, const struct query *q, struct match *out)
{
    struct match_facts facts = {.packages = 1, .average = 1};

    assert_ok(match_init(out, &m->s->db, q, &facts));
    assert_ok(match_express(out, q));
}

static void expect_best(struct market *m, const char *text, const char *license)
{
    static struct search_page page;
    struct search_options options = {.limit = TOP, .wall = FIXTURE_WALL};
    struct match match;
    struct query q;
    double last = 0, before = 1e9;
    size_t count;

    assert_ok(query_parse(span_str(text), &q, NULL));
    if (license != NULL)
        assert_ok(query_set(&q, "license", span_str(license), NULL));
    express(m, &q, &match);
    count = find_best(m, match_wide(&match), &last);
    assert_ok(reader_search(m->r, &q, &options, &page));
    assert_int_equal(count < TOP ? count : TOP, page.count);
    assert_true(page.total_is_exact);
    assert_int_equal(count, page.total);
    for (size_t i = 0; i < page.count; i++) {
        double worth = worth_of(m, match_wide(&match), &page.hits[i].entry.id);

        if (page.hits[i].entry.score >= 2)
            continue; /* the very name or title */
        if (worth < last * (1 - 1e-6) || worth > before * (1 + 1e-6))
            fail_msg("%s: %zu. is worth %f, behind %f, the last %f", text,
                     i + 1, worth, before, last);
        before = worth;
    }
    search_page_free(&page);
    match_release(&match);
}

/* What the lists say of a word is what the index says; returns whether there is
 * a list. */
static bool expect_packages(struct market *m, const char *name)
{
    char folded[64], quoted[80];
    uint64_t held;
    double last;

    (void)query_fold(span_str(name), folded, sizeof(folded));
    snprintf(quoted, sizeof(quoted), "\"%s\"", folded);
    postings_hold(m->s->postings);
    held = postings_packages(m->s->postings, folded);
    postings_release(m->s->postings);
    if (held > 0)
        assert_int_equal(find_best(m, quoted, &last), held);
    return held > 0;
}

static unsigned expect_all(struct market *m)
{
    unsigned held = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        char two[128], three[192];

        held += expect_packages(m, word(i));
        expect_best(m, word(i), NULL);
        expect_best(m, word(i), "mit");
        snprintf(two, sizeof(two), "%s %s", pick(&m->rng), word(i));
        expect_best(m, two, NULL);
        snprintf(three, sizeof(three), "%s %s", two, pick(&m->rng));
        expect_best(m, three, i % 2 ? "zlib" : NULL);
        snprintf(three, sizeof(three), "%s -%s", two, pick(&m->rng));
        expect_best(m, three, NULL);
    }
    return held;
}

/* ---- Tests. ---- */

static void the_best_are_those_of_bm25(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct market *m = market_new(&config, 21);

    (void)state;
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    chores(m->s, 1000);
    assert_true(expect_all(m) >= 4);
    market_free(m);
}

static void change_one(struct market *m, unsigned round)
{
    unsigned nth = (unsigned)rng_below(&m->rng, PACKAGES + round / 4);
    char id[64], more[1024];
    struct package_id name;
    struct semver v;

    snprintf(id, sizeof(id), "acme/p%u", nth);
    name = fixture_id(id);
    snprintf(more, sizeof(more), "%u.0.0", (unsigned)rng_below(&m->rng, 3));
    v = fixture_version(more);
    switch (rng_below(&m->rng, 6)) {
    case 0:
        (void)fixture_do_free(m->s, job_yank(&name, &v, NULL, NULL));
        break;
    case 1:
        (void)fixture_do_free(m->s, job_unyank(&name, &v));
        break;
    case 2:
        metadata(m, more);
        snprintf(id, sizeof(id), "their/q%u", (unsigned)rng_below(&m->rng, 90));
        (void)fixture_accept(m->s, id, "1.0.0", more, 3, round + 1, false);
        break;
    default:
        publish(m, nth, 1 + (unsigned)rng_below(&m->rng, 4));
        break;
    }
}

/* Publishes, new versions, yanks and evictions between the steps that read the
 * lists, and behind them. */
static void they_are_while_packages_come_change_and_go(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct market *m;
    unsigned held = 0;

    (void)state;
    config.catalogue_bytes_max = 60000;
    m = market_new(&config, 22);
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    for (unsigned round = 0; round < 1200; round++) {
        change_one(m, round);
        if (round % 5 == 0)
            chores(m->s, 1);
        if (round % 300 == 250)
            held += expect_all(m);
        if (round == 600) /* begin anew, with commits between the steps */
            postings_clear(m->s->postings);
    }
    chores(m->s, 1000);
    held += expect_all(m);
    assert_true(held >= 12);
    assert_true(fixture_counts(m->s).evicted > 0);
    market_free(m);
}

/* Jobs of one transaction, of which some fail: what is undone is in no list. */
static void what_is_undone_is_in_no_list(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct market *m = market_new(&config, 23);
    struct job *jobs[40];

    (void)state;
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    chores(m->s, 1000);
    for (unsigned i = 0; i < 40; i++) {
        char id[64], more[1024];

        metadata(m, more);
        snprintf(id, sizeof(id), "acme/p%u", i / 2 * 3);
        /* The same version with another text: the second is refused, and so
         * are all of them for what was published before. */
        jobs[i] = fixture_publish_job(id, i % 4 < 2 ? "1.0.0" : "5.0.0", more);
    }
    store_perform(m->s, jobs, 40, FIXTURE_WALL);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(i % 4 == 2, jobs[i]->err == OK);
        job_free(jobs[i]);
    }
    assert_true(expect_all(m) >= 4);
    market_free(m);
}

static void page_through(struct market *m, const char *text, size_t want)
{
    static struct search_page page;
    static bool seen[4096];
    char cursor[READER_CURSOR_MAX] = "";
    struct search_options options = {
        .limit = 97, .wall = FIXTURE_WALL, .cursor = cursor};
    double last = 1e9;
    struct query q;
    size_t found = 0;

    memset(seen, 0, sizeof(seen));
    assert_ok(query_parse(span_str(text), &q, NULL));
    do {
        assert_ok(reader_search(m->r, &q, &options, &page));
        assert_int_equal(want, page.total);
        assert_true(page.total_is_exact);
        for (size_t i = 0; i < page.count; i++) {
            unsigned nth = (unsigned)atoi(page.hits[i].entry.id.name + 1);

            assert_false(seen[nth]);
            assert_true(page.hits[i].text <= last);
            last = page.hits[i].text;
            seen[nth] = true;
            found++;
        }
        memcpy(cursor, page.cursor, sizeof(cursor));
        /* The lists go in the middle: the pages must not notice. */
        if (strcmp(text, "common thing") == 0 && found > 500)
            postings_clear(m->s->postings);
        search_page_free(&page);
    } while (cursor[0] != '\0');
    assert_int_equal(want, found);
}

/* Of more than candidates are looked at otherwise. */
static void pages_have_every_match_once_in_order(void **state)
{
    enum { MANY = 2300 };
    struct store_config config = fixture_config(NULL);
    struct market *m = market_new(&config, 24);

    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        char id[32], more[160];

        snprintf(id, sizeof(id), "acme/p%u", i);
        snprintf(more, sizeof(more), ",\"title\":\"%s\",\"description\":\"%s\"",
                 i % 4 ? "thing" : "the common one",
                 i % 7 ? "common words of it" : "common thing");
        assert_ok(fixture_publish(m->s, id, "1.0.0", more));
    }
    chores(m->s, 1000);
    page_through(m, "common", MANY);
    page_through(m, "words thing", MANY - MANY / 7 - 1 - 492);
    page_through(m, "common thing", 1808);
    market_free(m);
}

static void facets_are_those_of_the_best(void **state)
{
    static struct search_page page;
    struct store_config config = fixture_config(NULL);
    struct market *m = market_new(&config, 25);
    struct search_options options = {
        .limit = 3, .wall = FIXTURE_WALL, .facets = true};
    char cursor[READER_CURSOR_MAX];
    struct query q;

    (void)state;
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    chores(m->s, 1000);
    assert_true(expect_packages(m, "json"));
    assert_ok(query_parse(SPAN_LIT("json"), &q, NULL));
    for (int i = 0; i < 2; i++) {
        unsigned licenses = 0;

        assert_ok(reader_search(m->r, &q, &options, &page));
        assert_int_equal(3, page.count);
        assert_true(page.facets_are_exact);
        for (size_t k = 0; k < page.facet_count; k++)
            if (strcmp(page.facets[k].field, "license") == 0)
                licenses += page.facets[k].count;
        assert_int_equal(page.total, licenses);
        memcpy(cursor, page.cursor, sizeof(cursor));
        options.cursor = cursor;
        search_page_free(&page);
    }
    market_free(m);
}

/* The store's own memory fails in the middle of a commit's lists: they are
 * given up, and read again. */
static void lists_without_memory_are_read_again(void **state)
{
    struct test_heap heap;
    struct store_config config = fixture_config(NULL);
    struct market *m;
    unsigned cleared = 0;

    (void)state;
    test_heap_init(&heap);
    config.mem = &heap.mem;
    config.log = NULL;
    m = market_new(&config, 26);
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    chores(m->s, 1000);
    for (unsigned round = 0; round < 75; round++) {
        unsigned nth = 1 + round % 25;
        bool more;

        test_heap_fail(&heap, nth);
        publish(m, round, 2);
        cleared += postings_state(m->s->postings) != POSTINGS_READY;
        test_heap_fail(&heap, nth);
        if (store_maintain(m->s, FIXTURE_WALL, &more) != OK)
            assert_int_equal(POSTINGS_EMPTY, postings_state(m->s->postings));
        heap.fail_at = 0;
        if (nth == 16)
            (void)expect_all(m);
        chores(m->s, 1000);
        assert_true(expect_packages(m, "json"));
    }
    assert_true(cleared > 1);
    assert_true(expect_all(m) >= 4);
    market_free(m);
    assert_int_equal(0, heap.live);
}

static size_t bytes_of(const struct postings *p)
{
    struct postings_status status;

    postings_status(p, &status);
    return status.bytes;
}

static void lists_stay_within_their_limit(void **state)
{
    struct postings_status status;
    enum { BYTES = 65536 };
    struct postings *p = postings_new(&mem_libc, BYTES);
    struct posting_change change = {.hits = &(struct posting_hits){0}};
    int64_t order = 1;

    (void)state;
    postings_load_begin(p);
    while (postings_load(p, slot_make(30, order, 50)) == OK)
        order++;
    assert_in_range(order, 1000, BYTES / 8);
    assert_in_range(bytes_of(p), BYTES / 2, BYTES);
    postings_clear(p);
    assert_int_equal(0, bytes_of(p));

    postings_load_begin(p);
    assert_ok(postings_load(p, slot_make(30, 1, 50)));
    postings_load_end(p);
    assert_int_equal(POSTINGS_READY, postings_state(p));
    /* It was filled, and then grows. */
    for (order = 2; postings_state(p) == POSTINGS_READY; order++) {
        change.slot = slot_make(30, order, 50);
        postings_apply(p, &change, 1, NULL, 0);
        assert_in_range(bytes_of(p), 0, BYTES);
        assert_true(order < BYTES);
    }
    assert_true(order > 1000);
    postings_status(p, &status);
    assert_int_equal(1, status.refused);
    postings_free(p);
}

/* Version 1 had fewer bits for the length in a slot. */
static void database_of_version_1_is_brought_up(void **state)
{
    static const char downgrade[] =
        "UPDATE package SET slot=((slot>>46)<<46)"
        "|(((slot>>11)&34359738367)<<6)|12 WHERE slot IS NOT NULL;"
        "UPDATE listing SET slot=-(((slot>>46)<<46)"
        "|(((slot>>11)&34359738367)<<6)|12);"
        "UPDATE listing SET slot=-slot;"
        "INSERT INTO words(words) VALUES('rebuild');"
        "PRAGMA user_version=1";
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct market *m = market_new(&config, 27);
    sqlite3 *db;

    (void)state;
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    market_free(m);
    assert_int_equal(SQLITE_OK,
                     sqlite3_open(fixture_path(dir, "souk.db"), &db));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, downgrade, NULL, NULL, NULL));
    sqlite3_close(db);

    m = market_new(&config, 28);
    assert_int_equal(PACKAGES, fixture_counts(m->s).listed);
    expect_best(m, "json", NULL); /* without lists: lengths are in the slots */
    publish(m, 3, 2);
    chores(m->s, 1000);
    assert_true(expect_all(m) >= 4);
    market_free(m);
    fixture_check(dir);
    fixture_remove(dir);
}

/* ---- Searching while it is written. ---- */

struct other {
    struct store *s;
    _Atomic bool is_over;
    unsigned searches;
};

static void *search_all_the_time(void *arg)
{
    static struct search_page page;
    struct other *o = arg;
    struct reader *r = fixture_reader(o->s);
    struct search_options options = {.limit = TOP, .wall = FIXTURE_WALL};

    while (!atomic_load(&o->is_over) || o->searches < 100) {
        struct query q;

        assert_ok(query_parse(span_str(o->searches % 2 ? "json" : "json http"),
                              &q, NULL));
        assert_ok(reader_search(r, &q, &options, &page));
        for (size_t i = 0; i < page.count; i++)
            for (size_t k = 0; k < i; k++)
                assert_memory_not_equal(&page.hits[i].entry.id,
                                        &page.hits[k].entry.id,
                                        sizeof(struct package_id));
        search_page_free(&page);
        o->searches++;
    }
    reader_close(r);
    return NULL;
}

static void searches_see_whole_lists_while_they_change(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct market *m = market_new(&config, 29);
    struct other other = {.s = m->s};
    pthread_t thread;

    (void)state;
    for (unsigned i = 0; i < PACKAGES; i++)
        publish(m, i, 1);
    assert_int_equal(
        0, pthread_create(&thread, NULL, search_all_the_time, &other));
    for (unsigned round = 0; round < 300; round++) {
        change_one(m, round);
        chores(m->s, 2);
        if (round == 150)
            postings_clear(m->s->postings);
    }
    atomic_store(&other.is_over, true);
    pthread_join(thread, NULL);
    chores(m->s, 1000);
    assert_true(expect_all(m) >= 4);
    market_free(m);
    fixture_check(dir);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_are_those_of_bm25),
        cmocka_unit_test(they_are_while_packages_come_change_and_go),
        cmocka_unit_test(what_is_undone_is_in_no_list),
        cmocka_unit_test(pages_have_every_match_once_in_order),
        cmocka_unit_test(facets_are_those_of_the_best),
        cmocka_unit_test(lists_without_memory_are_read_again),
        cmocka_unit_test(lists_stay_within_their_limit),
        cmocka_unit_test(database_of_version_1_is_brought_up),
        cmocka_unit_test(searches_see_whole_lists_while_they_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
