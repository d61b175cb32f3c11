/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "store/ahead.h"

/* ---- SQLite's memory, whose nth allocation from now fails. ---- */

static sqlite3_mem_methods libc_methods;
static unsigned sqlite_countdown; /* 0: none fails */
static unsigned sqlite_failed;

static bool fails_now(void)
{
    if (sqlite_countdown == 0 || --sqlite_countdown > 0)
        return false;
    sqlite_failed++;
    return true;
}

static void *failing_malloc(int size)
{
    return fails_now() ? NULL : libc_methods.xMalloc(size);
}

static void *failing_realloc(void *p, int size)
{
    return fails_now() ? NULL : libc_methods.xRealloc(p, size);
}

static int install_failing_memory(void **state)
{
    sqlite3_mem_methods failing;

    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &libc_methods) != SQLITE_OK)
        return -1;
    failing = libc_methods;
    failing.xMalloc = failing_malloc;
    failing.xRealloc = failing_realloc;
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
}

/* Everything that is kept twice agrees, and the index is sound. */
static void expect_sound(struct store *s, struct reader *r)
{
    static struct search_page page;
    struct search_options options = {.limit = 100, .wall = FIXTURE_WALL};
    struct store_counts counts = fixture_counts(s);
    struct query q;

    assert_ok(query_parse(SPAN_LIT("acme"), &q, NULL));
    assert_ok(reader_search(r, &q, &options, &page));
    assert_int_equal(counts.listed, page.total);
    assert_int_equal(counts.packages, counts.listed);
    for (size_t i = 0; i < page.count; i++) {
        char id[PACKAGE_TEXT_MAX];
        struct package_view view;

        package_id_format(&page.hits[i].entry.id, id);
        assert_string_not_equal("", fixture_head(r, id, &view));
    }
    search_page_free(&page);
}

typedef struct job *(*job_maker)(unsigned round);

static struct job *make_publish(unsigned round)
{
    char id[32];

    snprintf(id, sizeof(id), "acme/p%u", round);
    return fixture_publish_job(id, "1.0.0", ",\"title\":\"a b c\"");
}

static struct job *make_new_version(unsigned round)
{
    char version[32];

    snprintf(version, sizeof(version), "1.0.%u", round);
    return fixture_publish_job("acme/same", version, ",\"title\":\"x\"");
}

static struct job *make_accept(unsigned round)
{
    char id[32];

    snprintf(id, sizeof(id), "their/acme-%u", round);
    return fixture_accept_job(id, "1.0.0", "", 3, 1, true);
}

/* Fail every allocation of SQLite in turn: the job ends with an error or is
 * done, and afterwards all is as if it had never been tried. */
static void fail_each(job_maker make, bool is_ahead)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s;
    struct reader *r;
    unsigned round = 0;

    config.log = NULL;
    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_ok(fixture_publish(s, "acme/same", "1.0.9999", ""));
    for (bool failed = true; failed; round++) {
        struct job *job = make(round);
        uint64_t packages = fixture_counts(s).packages;
        enum err err;

        if (is_ahead)
            ahead_make(s, job, FIXTURE_WALL);
        assert_int_equal(is_ahead, job->ahead != NULL);
        sqlite_failed = 0;
        sqlite_countdown = round + 1;
        err = fixture_do(s, job);
        sqlite_countdown = 0;
        failed = sqlite_failed > 0;
        if (err != OK) {
            assert_true(err == ERR_NOMEM || err == ERR_STORE);
            assert_int_equal(packages, fixture_counts(s).packages);
            assert_int_equal(0, job->out.outbox_id);
        }
        job_free(job);
        assert_ok(fixture_do_free(s, make(round)));
        if (round % 8 == 0)
            expect_sound(s, r);
    }
    expect_sound(s, r);
    assert_true(round > 20);
    reader_close(r);
    store_close(s);
    store_close(fixture_open(&config));
    fixture_check(dir);
    fixture_remove(dir);
}

static void publish_survives_every_failed_allocation(void **state)
{
    (void)state;
    fail_each(make_publish, false);
}

static void publish_made_ahead_survives_every_failed_allocation(void **state)
{
    (void)state;
    fail_each(make_publish, true);
}

static void new_version_survives_every_failed_allocation(void **state)
{
    (void)state;
    fail_each(make_new_version, false);
}

static void accept_survives_every_failed_allocation(void **state)
{
    (void)state;
    fail_each(make_accept, false);
}

static void search_survives_every_failed_allocation(void **state)
{
    static struct search_page page;
    struct store_config config = fixture_config(NULL);
    struct search_options options = {
        .limit = 5, .wall = FIXTURE_WALL, .facets = true};
    struct store *s;
    struct query q;

    (void)state;
    config.log = NULL;
    s = fixture_open(&config);
    for (unsigned i = 0; i < 30; i++)
        assert_ok(fixture_do_free(s, make_publish(i)));
    assert_ok(query_parse(SPAN_LIT("a b -zz"), &q, NULL));
    for (unsigned nth = 1;; nth++) {
        struct reader *r;
        enum err err;

        sqlite_failed = 0;
        sqlite_countdown = nth;
        err = reader_open(s, &r);
        if (err == OK) {
            err = reader_search(r, &q, &options, &page);
            sqlite_countdown = 0;
            if (err == OK) {
                assert_int_equal(30, page.total);
                assert_int_equal(5, page.count);
                search_page_free(&page);
            }
            reader_close(r);
        }
        sqlite_countdown = 0;
        assert_true(err == OK || err == ERR_NOMEM || err == ERR_STORE);
        if (sqlite_failed == 0)
            break;
    }
    store_close(s);
}

/* The store's own memory. */
static void own_failed_allocations_are_survived(void **state)
{
    struct test_heap heap;
    struct store_config config = fixture_config(NULL);
    struct store *s;
    struct reader *r;

    (void)state;
    test_heap_init(&heap);
    config.mem = &heap.mem;
    config.log = NULL;
    s = fixture_open(&config);
    r = fixture_reader(s);
    for (unsigned nth = 1; nth < 200; nth++) {
        struct job *job = make_publish(nth);
        unsigned before = heap.count;
        enum err err;

        test_heap_fail(&heap, nth);
        err = fixture_do(s, job);
        if (heap.count - before < nth) {
            assert_ok(err);
            job_free(job);
            break;
        }
        assert_true(err == OK || err == ERR_NOMEM);
        job_free(job);
        heap.fail_at = 0;
        assert_ok(fixture_do_free(s, make_publish(nth)));
        expect_sound(s, r);
    }
    reader_close(r);
    store_close(s);
    assert_int_equal(0, heap.live);
}

/* ---- The disk. ---- */

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &limit));
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
}

static void full_disk_is_a_clear_error_that_passes(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store_counts before, after;
    struct package_view view;
    struct store *s;
    struct reader *r;

    (void)state;
    config.log = NULL;
    (void)signal(SIGXFSZ, SIG_IGN);
    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_ok(fixture_publish(s, "acme/before", "1.0.0", ""));
    before = fixture_counts(s);

    limit_files(4096);
    assert_err(ERR_STORE, fixture_publish(s, "acme/during", "1.0.0", ""));
    limit_files(RLIM_INFINITY);
    assert_false(store_writes(s));
    after = fixture_counts(s);
    assert_int_equal(1, after.failures);
    after.failures = 0;
    assert_memory_equal(&before, &after, sizeof(before));
    assert_string_equal("1.0.0", fixture_head(r, "acme/before", &view));
    assert_string_equal("", fixture_head(r, "acme/during", &view));

    assert_ok(fixture_publish(s, "acme/during", "1.0.0", ""));
    assert_true(store_writes(s));
    expect_sound(s, r);
    reader_close(r);
    store_close(s);
    s = fixture_open(&config);
    assert_int_equal(2, fixture_counts(s).packages);
    store_close(s);
    fixture_remove(dir);
}

/* A commit of nothing, or of a little that finds room in what was written
 * before, would make a node on a full disk look ready. */
static void a_full_disk_looks_written_to_again(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s;
    struct job *job;
    bool more;

    (void)state;
    config.log = NULL;
    (void)signal(SIGXFSZ, SIG_IGN);
    s = fixture_open(&config);
    do /* no chore is left */
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    while (more);
    limit_files(64 * 1024);
    assert_err(ERR_STORE, fixture_publish(s, "acme/during", "1.0.0", ""));
    assert_false(store_writes(s));
    assert_err(ERR_STORE, store_maintain(s, FIXTURE_WALL, &more));
    assert_false(store_writes(s));
    job = job_flush();
    assert_err(ERR_STORE, fixture_do_free(s, job));
    assert_false(store_writes(s));

    limit_files(RLIM_INFINITY);
    assert_ok(store_maintain(s, FIXTURE_WALL, &more)); /* nobody publishes */
    assert_true(store_writes(s));
    assert_ok(fixture_publish(s, "acme/during", "1.0.0", ""));
    store_close(s);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_survives_every_failed_allocation),
        cmocka_unit_test(publish_made_ahead_survives_every_failed_allocation),
        cmocka_unit_test(new_version_survives_every_failed_allocation),
        cmocka_unit_test(accept_survives_every_failed_allocation),
        cmocka_unit_test(search_survives_every_failed_allocation),
        cmocka_unit_test(own_failed_allocations_are_survived),
        cmocka_unit_test(full_disk_is_a_clear_error_that_passes),
        cmocka_unit_test(a_full_disk_looks_written_to_again),
    };

    return cmocka_run_group_tests(tests, install_failing_memory, NULL);
}
