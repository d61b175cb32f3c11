/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <pthread.h>

static void put(struct cache *c, const char *key, const char *body,
                const struct cache_stamp *stamp, tstamp now)
{
    cache_put(c, span_str(key), stamp, (struct cached){.body = span_str(body)},
              CACHE_TTL_RESULTS, now);
}

static bool has(struct cache *c, const char *key, tstamp now)
{
    const struct cached *hit = cache_get(c, span_str(key), now);

    cached_release(hit);
    return hit != NULL;
}

static void answers_live_as_long_as_they_should(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct cache_stamp all;

    (void)state;
    cache_stamp_all(c, &all);
    put(c, "k", "body", &all, 1000);
    cache_put(c, SPAN_LIT("e"), &all, (struct cached){.is_empty = true},
              CACHE_TTL_EMPTY, 1000);
    assert_true(has(c, "k", 1000 + 300 * SECONDS - 1));
    assert_false(has(c, "k", 1000 + 300 * SECONDS));
    assert_true(has(c, "e", 1000 + 15 * SECONDS - 1));
    assert_false(has(c, "e", 1000 + 15 * SECONDS));
    cache_free(c);
}

static void least_recently_used_goes_first(void **state)
{
    struct cache *c = cache_new(100000);
    struct cache_stamp all;
    struct cache_status status;
    char key[16], body[1000];

    (void)state;
    cache_stamp_all(c, &all);
    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    put(c, "keep", body, &all, 0);
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(c, key, body, &all, 0);
        assert_true(has(c, "keep", 0));
    }
    cache_status(c, &status);
    assert_true(status.bytes <= status.bytes_max);
    assert_true(status.evicted > 300);
    assert_false(has(c, "k0", 0));
    assert_true(has(c, "k499", 0));
    cache_free(c);
}

static void huge_answers_and_keys_are_not_kept(void **state)
{
    struct cache *c = cache_new(16 * 1000);
    struct cache_stamp all;
    char body[1200];

    (void)state;
    cache_stamp_all(c, &all);
    memset(body, 'x', sizeof(body));
    body[sizeof(body) - 1] = '\0';
    put(c, "k", body, &all, 0);
    assert_false(has(c, "k", 0));
    cache_free(c);
}

static struct store *open_with(struct cache *c)
{
    struct store_config config = fixture_config(NULL);

    config.cache = c;
    return fixture_open(&config);
}

static void put_search(struct cache *c, struct reader *r, const char *text)
{
    struct cache_stamp stamp;
    struct query q;

    assert_ok(query_parse(span_str(text), &q, NULL));
    reader_search_stamp(r, &q, &stamp);
    put(c, text, "answer", &stamp, 0);
    assert_true(has(c, text, 0));
}

/* What peers said does not change with what is published here, but what they
 * sent may have been dropped. */
static void only_losses_make_stale_what_depends_on_them(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct store_config config = fixture_config(NULL);
    struct cache_stamp losses;
    struct store *s;
    bool more = true;
    char id[32];

    (void)state;
    config.cache = c;
    config.catalogue_bytes_max = 20000;
    s = fixture_open(&config);
    cache_stamp_losses(c, &losses);
    put(c, "asked json", "answer", &losses, 0);
    assert_ok(fixture_publish(s, "acme/json", "1.0.0", ""));
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "other/tool%d", i);
        assert_ok(fixture_accept(s, id, "1.0.0", "", 4, 5, false));
    }
    assert_true(has(c, "asked json", 0));
    for (int i = 0; i < 100 && more; i++)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_true(fixture_counts(s).evicted > 0);
    assert_false(has(c, "asked json", 0));
    store_close(s);
    cache_free(c);
}

/* An accepted record makes stale what it could match, and only that. */
static void changes_invalidate_what_could_match(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct store *s = open_with(c);
    struct reader *r = fixture_reader(s);

    (void)state;
    put_search(c, r, "json parser");
    put_search(c, r, "json video");
    put_search(c, r, "pars*");
    put_search(c, r, "");
    assert_ok(
        fixture_publish(s, "acme/json", "1.0.0", ",\"title\":\"Json PARSER\""));
    assert_false(has(c, "json parser", 0));
    assert_true(has(c, "json video", 0));
    assert_false(has(c, "pars*", 0));
    assert_false(has(c, "", 0));

    /* What it no longer matches is stale too. */
    put_search(c, r, "parser");
    assert_ok(fixture_publish(s, "acme/json", "2.0.0", ",\"title\":\"other\""));
    assert_false(has(c, "parser", 0));
    reader_close(r);
    store_close(s);
    cache_free(c);
}

static void changed_package_is_stale_and_others_are_not(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct store *s = open_with(c);
    struct package_id a = fixture_id("acme/a"), b = fixture_id("acme/b");
    struct cache_stamp stamp;

    (void)state;
    cache_stamp_package(c, &a, &stamp);
    put(c, "a", "head", &stamp, 0);
    cache_stamp_package(c, &b, &stamp);
    put(c, "b", "head", &stamp, 0);
    assert_ok(fixture_publish(s, "acme/a", "1.0.0", ""));
    assert_false(has(c, "a", 0));
    assert_true(has(c, "b", 0));
    store_close(s);
    cache_free(c);
}

/* Read before the commit, put after it: it must not stay. */
static void answer_read_before_a_commit_does_not_outlive_it(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct store *s = open_with(c);
    struct package_id a = fixture_id("acme/a");
    struct cache_stamp stamp;

    (void)state;
    cache_stamp_package(c, &a, &stamp);
    assert_ok(fixture_publish(s, "acme/a", "1.0.0", ""));
    put(c, "a", "old head", &stamp, 0);
    assert_false(has(c, "a", 0));
    store_close(s);
    cache_free(c);
}

static void failed_transaction_invalidates_nothing(void **state)
{
    struct cache *c = cache_new(1 << 20);
    struct store *s = open_with(c);
    uint64_t generation = cache_generation(c);

    (void)state;
    assert_ok(fixture_publish(s, "acme/a", "1.0.0", ""));
    assert_true(cache_generation(c) > generation);
    generation = cache_generation(c);
    assert_ok(fixture_do_free(s, job_setting("x", SPAN_LIT("y"))));
    assert_true(cache_generation(c) == generation);
    store_close(s);
    cache_free(c);
}

static void *hammer(void *arg)
{
    struct cache *c = arg;
    struct cache_stamp stamp;
    struct cache_changes changes = {.is_any = false};
    char key[16];

    for (int i = 0; i < 3000; i++) {
        const struct cached *hit;

        snprintf(key, sizeof(key), "word%d", i % 50);
        hit = cache_get(c, span_str(key), 0);
        if (hit != NULL)
            assert_true(hit->body.len == 4 && hit->body.data[0] == 'b');
        cached_release(hit);
        memset(&stamp, 0, sizeof(stamp));
        cache_stamp_add_word(c, &stamp, span_str(key));
        put(c, key, "body", &stamp, 0);
        if (i % 7 == 0) {
            cache_changes_words(&changes, key);
            cache_apply(c, &changes);
        }
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    struct cache *c = cache_new(20000);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, hammer, c));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_live_as_long_as_they_should),
        cmocka_unit_test(least_recently_used_goes_first),
        cmocka_unit_test(huge_answers_and_keys_are_not_kept),
        cmocka_unit_test(only_losses_make_stale_what_depends_on_them),
        cmocka_unit_test(changes_invalidate_what_could_match),
        cmocka_unit_test(changed_package_is_stale_and_others_are_not),
        cmocka_unit_test(answer_read_before_a_commit_does_not_outlive_it),
        cmocka_unit_test(failed_transaction_invalidates_nothing),
        cmocka_unit_test(threads_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
