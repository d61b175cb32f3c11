/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

#include "store/worker.h"

/* A clock that stands still, and, closed, keeps the worker from working; who
 * submits may look at it. */
struct gate {
    pthread_t submitter;
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool is_closed;
    unsigned done;
    unsigned failed;
};

static void gate_init(struct gate *g, bool is_closed)
{
    *g = (struct gate){.submitter = pthread_self(),
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .opened = PTHREAD_COND_INITIALIZER,
                       .is_closed = is_closed};
}

static wall_ms gate_clock(void *ctx)
{
    struct gate *g = ctx;

    pthread_mutex_lock(&g->lock);
    while (g->is_closed && !pthread_equal(pthread_self(), g->submitter))
        pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return FIXTURE_WALL;
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->is_closed = false;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
}

static void on_done(struct job *job)
{
    struct gate *g = job->owner;

    pthread_mutex_lock(&g->lock);
    g->done++;
    g->failed += job->err != OK;
    pthread_cond_broadcast(&g->opened);
    pthread_mutex_unlock(&g->lock);
    job_free(job);
}

static void wait_done(struct gate *g, unsigned count)
{
    pthread_mutex_lock(&g->lock);
    while (g->done < count)
        pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static enum err submit(struct worker *w, struct gate *g, struct job *job)
{
    enum err err;

    assert_non_null(job);
    job->done = on_done;
    job->owner = g;
    err = worker_submit(w, job);
    if (err != OK)
        job_free(job);
    return err;
}

static struct job *nth_publish(int nth)
{
    char id[32];

    snprintf(id, sizeof(id), "acme/p%d", nth);
    return fixture_publish_job(id, "1.0.0", "");
}

static void waiting_jobs_share_a_commit(void **state)
{
    enum { JOBS = 300 };
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);
    struct worker_status status;
    struct worker *w;
    struct gate g;

    (void)state;
    gate_init(&g, true);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    for (int i = 0; i < JOBS; i++)
        assert_ok(submit(w, &g, nth_publish(i)));
    /* One that fails on its own account. */
    assert_ok(
        submit(w, &g, fixture_accept_job("acme/x", "1.0.0", "", 3, 1, true)));
    gate_open(&g);
    wait_done(&g, JOBS + 1);
    worker_status(w, &status);
    assert_true(status.commits <= 4);
    worker_stop(w);
    assert_int_equal(1, g.failed);
    assert_int_equal(JOBS, fixture_counts(s).packages);
    store_close(s);
    fixture_remove(dir);
}

static void full_queue_is_busy_and_loses_nothing(void **state)
{
    struct store *s = fixture_memory();
    struct peer_id peer;
    struct worker_status status;
    struct worker *w;
    struct gate g;
    unsigned taken = 0, behind = 0;
    enum err err = OK;
    struct package_id id = fixture_id("acme/x");
    struct job *job;

    (void)state;
    fixture_peer(3, &peer);
    gate_init(&g, true);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    while (err == OK) {
        err = submit(w, &g, job_pin(&id, &peer));
        taken += err == OK;
    }
    assert_err(ERR_BUSY, err);
    /* Some may have left the queue before the gate closed it. */
    assert_true(taken >= WORKER_URGENT_MAX &&
                taken <= WORKER_URGENT_MAX + WORKER_GROUP_MAX);
    worker_status(w, &status);
    assert_int_equal(1, status.urgent_refused);
    /* What is written behind has a queue of its own. */
    for (err = OK; err == OK; behind++) {
        job = job_outbox_done(1);
        err = worker_submit(w, job);
    }
    assert_err(ERR_BUSY, err);
    assert_true(behind > 1000);
    job_free(job);
    worker_status(w, &status);
    assert_int_equal(1, status.urgent_refused);
    assert_int_equal(1, status.behind_refused);
    assert_int_equal(0, status.bytes_refused);
    gate_open(&g);
    worker_stop(w);
    assert_int_equal(taken, g.done);
    assert_int_equal(0, g.failed);
    store_close(s);
}

static void big_jobs_are_bounded_by_their_bytes(void **state)
{
    static uint8_t big[8 << 20];
    struct store *s = fixture_memory();
    struct worker_status status;
    struct worker *w;
    struct gate g;
    enum err err = OK;

    (void)state;
    gate_init(&g, true);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    while (err == OK)
        err = submit(w, &g, job_setting("big", SPAN_OF(big)));
    assert_err(ERR_BUSY, err);
    worker_status(w, &status);
    assert_true(status.bytes <= WORKER_BYTES_MAX);
    gate_open(&g);
    worker_stop(w);
    store_close(s);
}

static void stop_does_what_waits_and_refuses_the_rest(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct worker *w;
    struct gate g;
    struct buf value;

    (void)state;
    buf_init(&value, 16, &mem_libc);
    gate_init(&g, false);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    /* Nobody waits for this one, and the timer would take longer. */
    assert_ok(worker_submit(w, job_setting("a", SPAN_LIT("1"))));
    assert_ok(submit(w, &g, nth_publish(1)));
    worker_stop(w);
    assert_int_equal(1, g.done);
    assert_ok(reader_setting(r, "a", &value));
    assert_int_equal(1, fixture_counts(s).packages);
    buf_release(&value);
    reader_close(r);
    store_close(s);
}

static void jobs_written_behind_are_done_without_an_urgent_one(void **state)
{
    struct store *s = fixture_memory();
    struct worker_status status;
    struct worker *w;
    struct gate g;

    (void)state;
    gate_init(&g, false);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    assert_ok(worker_submit(w, job_setting("a", SPAN_LIT("1"))));
    do {
        sched_yield();
        worker_status(w, &status);
    } while (status.jobs == 0);
    worker_stop(w);
    store_close(s);
}

/* A get waits for the record it found to be taken. */
static void accept_that_somebody_waits_for_is_not_written_behind(void **state)
{
    struct job *job = fixture_accept_job("acme/x", "1.0.0", "", 3, 1, true);

    (void)state;
    assert_false(job_is_urgent(job));
    job->done = on_done;
    assert_true(job_is_urgent(job));
    job_free(job);
}

static tstamp now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

/* The least of a few: the machine may be busy with something else. */
static void a_record_heard_of_is_found_within_milliseconds(void **state)
{
    enum { TRIES = 5 };
    struct store *s = fixture_memory();
    tstamp least = TSTAMP_NEVER;
    struct worker *w;
    struct gate g;

    (void)state;
    gate_init(&g, false);
    assert_ok(worker_start(s, gate_clock, &g, &w));
    for (uint64_t i = 1; i <= TRIES; i++) {
        tstamp start = now_ns();
        char id[32];

        snprintf(id, sizeof(id), "acme/p%d", (int)i);
        assert_ok(
            worker_submit(w, fixture_accept_job(id, "1.0.0", "", 3, i, false)));
        while (fixture_counts(s).packages < i)
            sched_yield();
        if (now_ns() - start < least)
            least = now_ns() - start;
    }
    assert_true(least < WORKER_BEHIND_MS * MILLISECONDS);
    worker_stop(w);
    store_close(s);
}

/* Publishing threads and reading ones, all at once (for the sanitizers). */
struct crowd {
    struct store *store;
    struct worker *worker;
    struct gate gate;
    atomic_int next;
    atomic_bool is_over;
};
enum { CROWD_PUBLISHES = 400 };

static void *publisher(void *arg)
{
    struct crowd *c = arg;
    int nth;

    while ((nth = atomic_fetch_add(&c->next, 1)) < CROWD_PUBLISHES)
        assert_ok(submit(c->worker, &c->gate, nth_publish(nth)));
    return NULL;
}

static void *searcher(void *arg)
{
    struct crowd *c = arg;
    struct search_page *page = calloc(1, sizeof(*page));
    struct search_options options = {.limit = 20, .wall = FIXTURE_WALL};
    struct reader *r = fixture_reader(c->store);
    struct query q;

    assert_ok(query_parse(SPAN_LIT("acme"), &q, NULL));
    while (!atomic_load(&c->is_over)) {
        struct package_view view;
        char id[PACKAGE_TEXT_MAX] = "";

        assert_ok(reader_search(r, &q, &options, page));
        if (page->count > 0)
            package_id_format(&page->hits[0].entry.id, id);
        search_page_free(page);
        if (*id)
            assert_string_equal("1.0.0", fixture_head(r, id, &view));
    }
    reader_close(r);
    free(page);
    return NULL;
}

static void threads_publish_and_search_at_once(void **state)
{
    const char *dir = fixture_dir();
    struct cache *cache = cache_new(1 << 20);
    struct store_config config = fixture_config(dir);
    struct crowd c = {.is_over = false};
    pthread_t threads[4];

    (void)state;
    config.cache = cache;
    c.store = fixture_open(&config);
    gate_init(&c.gate, false);
    assert_ok(worker_start(c.store, gate_clock, &c.gate, &c.worker));
    pthread_create(&threads[0], NULL, publisher, &c);
    pthread_create(&threads[1], NULL, publisher, &c);
    pthread_create(&threads[2], NULL, searcher, &c);
    pthread_create(&threads[3], NULL, searcher, &c);
    wait_done(&c.gate, CROWD_PUBLISHES);
    atomic_store(&c.is_over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    worker_stop(c.worker);
    assert_int_equal(0, c.gate.failed);
    assert_int_equal(CROWD_PUBLISHES, fixture_counts(c.store).listed);
    store_close(c.store);
    cache_free(cache);
    fixture_remove(dir);
}

/* ---- kill -9. ---- */

static int ack_pipe;

struct told {
    int32_t nth;
};

static void on_published(struct job *job)
{
    struct told *told = job->owner;

    if (job->err != OK ||
        write(ack_pipe, told, sizeof(*told)) != (ssize_t)sizeof(*told))
        _exit(2);
    free(told);
    job_free(job);
}

static void publish_for_ever(const char *dir, int32_t from)
{
    struct store_config config = fixture_config(dir);
    char why[STORE_WHY_MAX];
    struct worker *w;
    struct store *s;
    struct gate g;

    gate_init(&g, false);
    if (store_open(&config, FIXTURE_WALL, &s, why) != OK ||
        worker_start(s, gate_clock, &g, &w) != OK)
        _exit(3);
    for (int32_t nth = from;;) {
        struct job *job = nth_publish(nth);
        struct told *told = malloc(sizeof(*told));

        told->nth = nth;
        job->owner = told;
        job->done = on_published;
        if (worker_submit(w, job) == OK) {
            nth++;
        } else {
            free(told);
            job_free(job);
        }
    }
}

/* The last number told, after |wanted| were; then the child is killed. */
static int32_t run_and_kill(const char *dir, int32_t from, uint64_t wanted)
{
    int fds[2], status;
    struct told told = {.nth = from - 1};
    uint64_t count = 0;
    pid_t child;

    assert_int_equal(0, pipe(fds));
    child = fork();
    if (child == 0) {
        close(fds[0]);
        ack_pipe = fds[1];
        publish_for_ever(dir, from);
    }
    close(fds[1]);
    while (count < wanted &&
           read(fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
        count++;
    assert_int_equal(wanted, count);
    kill(child, SIGKILL);
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_true(WIFSIGNALED(status));
    /* Also what was told while it was being killed. */
    while (read(fds[0], &told, sizeof(told)) == (ssize_t)sizeof(told))
        count++;
    close(fds[0]);
    return told.nth;
}

static void expect_all(const char *dir, int32_t last)
{
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);
    struct reader *r = fixture_reader(s);
    static struct search_page page;
    struct search_options options = {.limit = 1, .wall = FIXTURE_WALL};
    struct query q;

    for (int32_t i = 0; i <= last; i++) {
        struct package_view view;
        char id[32];

        snprintf(id, sizeof(id), "acme/p%d", i);
        assert_string_equal("1.0.0", fixture_head(r, id, &view));
    }
    assert_true(fixture_counts(s).outbox >= (uint64_t)last + 1);
    assert_int_equal(fixture_counts(s).packages, fixture_counts(s).listed);
    /* The index knows exactly what the catalogue lists. */
    assert_ok(query_parse(SPAN_LIT("acme"), &q, NULL));
    q.sort = SORT_NAME; /* else not all are counted */
    assert_ok(reader_search(r, &q, &options, &page));
    assert_int_equal(fixture_counts(s).listed, page.total);
    search_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void acknowledged_publishes_survive_kill_9(void **state)
{
    const char *dir = fixture_dir();
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 42);
    int32_t last = -1;

    (void)state;
    for (int round = 0; round < 10; round++) {
        int32_t told = run_and_kill(dir, last + 1, rng_below(&rng, 120));

        /* What was not told may be there too: the next round goes on behind. */
        expect_all(dir, told);
        fixture_check(dir);
        last = told;
    }
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_jobs_share_a_commit),
        cmocka_unit_test(full_queue_is_busy_and_loses_nothing),
        cmocka_unit_test(big_jobs_are_bounded_by_their_bytes),
        cmocka_unit_test(stop_does_what_waits_and_refuses_the_rest),
        cmocka_unit_test(jobs_written_behind_are_done_without_an_urgent_one),
        cmocka_unit_test(a_record_heard_of_is_found_within_milliseconds),
        cmocka_unit_test(accept_that_somebody_waits_for_is_not_written_behind),
        cmocka_unit_test(threads_publish_and_search_at_once),
        cmocka_unit_test(acknowledged_publishes_survive_kill_9),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
