/* SPDX-License-Identifier: Apache-2.0 */
#include "host/host.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/system.h"
#include "store/store.h"
#include "support/test.h"
#include "tbl/network.h"

/* Whole nodes on real sockets, without a gateway: the test is the gateway. */

struct runner {
    struct cache *cache;
    struct store *store;
    struct host *host;
    struct core *core;
    pthread_t thread;
    struct multiaddr addr; /* with /p2p */
    enum err ended;
};

static void *run(void *ctx)
{
    struct runner *r = ctx;

    r->ended = host_run(r->host);
    return NULL;
}

/* |dir| NULL: in memory. */
static void runner_start(struct runner *r, const char *dir,
                         const struct multiaddr *bootstrap)
{
    struct store_config store = {
        .dir = dir, .network = network_find("souk"), .rng = &rng_system};
    struct multiaddr listen;
    struct host_config host = {
        .listen = &listen, .listen_count = 1, .log = &log_none};
    char why[STORE_WHY_MAX] = "";
    enum err err;

    assert_ok(multiaddr_parse(&listen, SPAN_LIT("/ip4/127.0.0.1/tcp/0")));
    r->cache = cache_new(1 << 20);
    store.cache = r->cache;
    err = store_open(&store, clock_wall(), &r->store, why);
    if (err != OK)
        print_message("%s\n", why);
    assert_ok(err);
    host.store = r->store;
    host.node.network = store.network;
    host.node.identity = store_identity(r->store);
    host.node.agent = "souk/test";
    host.node.is_private_network = true;
    host.node.bootstrap = bootstrap;
    host.node.bootstrap_count = bootstrap != NULL;
    err = host_new(&host, &r->host, why);
    if (err != OK)
        print_message("%s\n", why);
    assert_ok(err);
    r->core = host_core(r->host);
    r->addr = host_listening(r->host)->at[0];
    assert_ok(multiaddr_add_peer(&r->addr, host_peer_id(r->host)));
    assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
}

static void runner_free(struct runner *r)
{
    host_free(r->host);
    store_close(r->store);
    cache_free(r->cache);
}

static void runner_stop(struct runner *r)
{
    host_stop(r->host);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    assert_ok(r->ended);
    runner_free(r);
}

/* ---- Waiting for answers. ---- */

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t done;
};

#define WAITER_INIT                                            \
    {                                                          \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 \
    }

static void on_done(struct request *r)
{
    struct waiter *w = r->owner;

    (void)pthread_mutex_lock(&w->lock);
    w->done++;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
}

static void wait_for(struct waiter *w, size_t count)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->done < count)
        (void)pthread_cond_wait(&w->changed, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
}

static struct request *make_request(struct waiter *w, enum request_type type,
                                    duration within)
{
    struct request *r = request_new(type, tstamp_add(core_now(), within));

    assert_non_null(r);
    r->owner = w;
    r->done = on_done;
    return r;
}

/* |why|, if not NULL, has room for a request's detail. */
static enum err connect_why(struct runner *from, const struct multiaddr *addr,
                            bool *was_connected, char *why)
{
    struct waiter w = WAITER_INIT;
    struct request *r = make_request(&w, REQUEST_CONNECT, 10 * SECONDS);
    enum err err;

    r->in.peers.addr = *addr;
    assert_ok(core_submit(from->core, r));
    wait_for(&w, 1);
    err = r->err;
    if (was_connected != NULL)
        *was_connected = r->was_connected;
    if (why != NULL)
        (void)snprintf(why, sizeof(r->detail), "%s", r->detail);
    request_free(r);
    return err;
}

static enum err connect_to(struct runner *from, const struct multiaddr *addr,
                           bool *was_connected)
{
    return connect_why(from, addr, was_connected, NULL);
}

static size_t peers_connected(struct runner *of)
{
    struct waiter w = WAITER_INIT;
    struct request *r = make_request(&w, REQUEST_PEERS, 10 * SECONDS);
    size_t count;

    r->in.peers.state = PEER_CONNECTED;
    assert_ok(core_submit(of->core, r));
    wait_for(&w, 1);
    assert_err(OK, r->err);
    count = r->peer_count;
    request_free(r);
    return count;
}

/* ---- Tests. ---- */

static void two_nodes_connect_and_see_each_other(void **state)
{
    struct runner a = {.host = NULL}, b = {.host = NULL};
    bool was_connected = true;

    (void)state;
    runner_start(&a, NULL, NULL);
    runner_start(&b, NULL, NULL);
    assert_ok(connect_to(&b, &a.addr, &was_connected));
    assert_false(was_connected);
    assert_ok(connect_to(&b, &a.addr, &was_connected));
    assert_true(was_connected);
    assert_int_equal(peers_connected(&b), 1);
    assert_int_equal(peers_connected(&a), 1);
    runner_stop(&b);
    runner_stop(&a);
}

static void dials_fail_with_their_reason(void **state)
{
    struct runner a = {.host = NULL}, b = {.host = NULL};
    struct multiaddr wrong, nobody;
    char why[160];
    struct peer_id other;
    struct ed25519_keypair key;

    (void)state;
    runner_start(&a, NULL, NULL);
    runner_start(&b, NULL, NULL);
    ed25519_generate(&key, &rng_system);
    peer_id_from_ed25519(&other, key.pub);
    wrong = a.addr;
    multiaddr_strip_peer(&wrong);
    assert_ok(multiaddr_add_peer(&wrong, &other));
    assert_err(ERR_DIAL_FAILED, connect_why(&b, &wrong, NULL, why));
    assert_string_equal(why, err_text(ERR_WRONG_PEER));

    nobody = a.addr; /* its port is free again once it has stopped */
    runner_stop(&a);
    assert_err(ERR_DIAL_FAILED, connect_why(&b, &nobody, NULL, why));
    assert_string_equal(why, err_text(ERR_DIAL_FAILED));
    runner_stop(&b);
}

static int raw_connect(const struct runner *to)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct endpoint e;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(multiaddr_endpoint(&to->addr, &e));
    memcpy(&in.sin_addr, e.ip, 4);
    in.sin_port = htons(e.port);
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

/* True when the other side has closed, within a limit. */
static bool is_closed_by_peer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char bytes[4096];

    while (poll(&p, 1, 20000) == 1)
        if (read(fd, bytes, sizeof(bytes)) <= 0)
            return true;
    return false;
}

static void a_stranger_who_talks_rubbish_is_cut_off_and_only_he(void **state)
{
    struct runner a = {.host = NULL}, b = {.host = NULL};
    char rubbish[3000];
    int fd;

    (void)state;
    runner_start(&a, NULL, NULL);
    runner_start(&b, NULL, &a.addr);
    memset(rubbish, 'x', sizeof(rubbish));
    fd = raw_connect(&a);
    assert_true(write(fd, rubbish, sizeof(rubbish)) > 0);
    assert_true(is_closed_by_peer(fd));
    (void)close(fd);
    assert_ok(connect_to(&b, &a.addr, NULL));
    runner_stop(&b);
    runner_stop(&a);
}

static size_t fds_open(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        count++;
    (void)closedir(d);
    return count;
}

/* Out of descriptors, those who knock are refused, the loop does not spin on
 * them, and the node goes on when there are some again. */
static void running_out_of_descriptors_refuses_and_recovers(void **state)
{
    struct rlimit before, tight;
    struct runner a = {.host = NULL}, b = {.host = NULL};
    struct node_status s;
    int fds[3];

    (void)state;
    runner_start(&a, NULL, NULL);
    runner_start(&b, NULL, NULL);
    for (size_t i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)fds[0]; /* what is open stays usable */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        struct endpoint e;

        assert_true(multiaddr_endpoint(&a.addr, &e));
        memcpy(&in.sin_addr, e.ip, 4);
        in.sin_port = htons(e.port);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&in, sizeof(in)),
                         0);
        assert_true(is_closed_by_peer(fds[i]));
    }
    core_status(a.core, &s);
    assert_int_equal(s.peers_connected, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < 3; i++)
        (void)close(fds[i]);
    assert_ok(connect_to(&b, &a.addr, NULL));
    runner_stop(&b);
    runner_stop(&a);
}

enum { MANY = 4000 };

/* Requests come back once each, whether refused, cancelled or answered. */
static void a_flood_of_requests_is_bounded_and_each_ends_once(void **state)
{
    static struct request *requests[MANY];
    struct runner a = {.host = NULL};
    struct waiter w = WAITER_INIT;
    size_t submitted = 0, refused = 0;

    (void)state;
    runner_start(&a, NULL, NULL);
    for (size_t i = 0; i < MANY; i++) {
        struct request *r = make_request(&w, REQUEST_PEERS, SECONDS);
        enum err err = core_submit(a.core, r);

        if (err == OK) {
            requests[submitted++] = r;
            if (i % 2 == 0)
                core_cancel(a.core, r);
        } else {
            assert_err(ERR_BUSY, err);
            refused++;
            request_free(r);
        }
    }
    wait_for(&w, submitted);
    assert_int_equal(w.done, submitted);
    assert_int_equal(submitted + refused, MANY);
    for (size_t i = 0; i < submitted; i++)
        request_free(requests[i]);
    runner_stop(&a);
}

static void a_request_without_peers_ends_by_its_deadline(void **state)
{
    struct runner a = {.host = NULL};
    struct waiter w = WAITER_INIT;
    struct request *r;
    tstamp start;

    (void)state;
    runner_start(&a, NULL, NULL);
    start = core_now();
    r = make_request(&w, REQUEST_SEARCH, 300 * MILLISECONDS);
    (void)snprintf(r->in.search.query, sizeof(r->in.search.query), "x");
    r->in.search.limit = 10;
    r->in.search.fan_out = 3;
    assert_ok(core_submit(a.core, r));
    wait_for(&w, 1);
    assert_true(core_now() - start < 1300 * MILLISECONDS);
    request_free(r);
    runner_stop(&a);
}

static void after_the_stop_nothing_is_taken_and_nothing_hangs(void **state)
{
    struct runner a = {.host = NULL}, b = {.host = NULL};
    struct waiter w = WAITER_INIT;
    struct request *r;
    struct node_status s;

    (void)state;
    runner_start(&a, NULL, NULL);
    runner_start(&b, NULL, NULL);
    assert_ok(connect_to(&b, &a.addr, NULL));
    host_stop(a.host);
    assert_int_equal(pthread_join(a.thread, NULL), 0);
    assert_ok(a.ended);
    core_status(a.core, &s);
    assert_true(s.is_draining);
    r = make_request(&w, REQUEST_PEERS, SECONDS);
    assert_err(ERR_DRAINING, core_submit(a.core, r));
    request_free(r);
    runner_free(&a);
    runner_stop(&b);
}

static void remove_tree(const char *dir)
{
    DIR *d = opendir(dir);
    char path[512];

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            assert_int_equal(unlink(path), 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

static void a_restart_brings_back_who_it_was(void **state)
{
    char dir[] = "/tmp/souk-host-XXXXXX";
    struct runner a = {.host = NULL};
    struct peer_id first;

    (void)state;
    assert_non_null(mkdtemp(dir));
    runner_start(&a, dir, NULL);
    first = *host_peer_id(a.host);
    runner_stop(&a);
    runner_start(&a, dir, NULL);
    assert_true(peer_id_eq(&first, host_peer_id(a.host)));
    runner_stop(&a);
    remove_tree(dir);
}

static void a_taken_port_is_an_error_that_names_it(void **state)
{
    struct runner a = {.host = NULL};
    struct multiaddr listen;
    struct host_config config = {
        .listen = &listen, .listen_count = 1, .log = &log_none};
    struct host *host = NULL;
    char why[256] = "", text[MULTIADDR_TEXT_MAX];

    (void)state;
    runner_start(&a, NULL, NULL);
    listen = a.addr;
    multiaddr_strip_peer(&listen);
    config.store = a.store;
    config.node.network = network_find("souk");
    config.node.identity = store_identity(a.store);
    config.node.agent = "souk/test";
    assert_err(ERR_IO, host_new(&config, &host, why));
    assert_non_null(strstr(why, multiaddr_format(&listen, text)));
    assert_non_null(strstr(why, "Address already in use"));
    runner_stop(&a);
}

static size_t fds_before;

static int before_all(void **state)
{
    struct runner a = {.host = NULL};

    (void)state;
    /* libuv keeps the pipe of its signals from the first loop on. */
    runner_start(&a, NULL, NULL);
    runner_stop(&a);
    fds_before = fds_open();
    return 0;
}

static int after_all(void **state)
{
    (void)state;
    return fds_open() == fds_before ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_connect_and_see_each_other),
        cmocka_unit_test(dials_fail_with_their_reason),
        cmocka_unit_test(a_stranger_who_talks_rubbish_is_cut_off_and_only_he),
        cmocka_unit_test(running_out_of_descriptors_refuses_and_recovers),
        cmocka_unit_test(a_flood_of_requests_is_bounded_and_each_ends_once),
        cmocka_unit_test(a_request_without_peers_ends_by_its_deadline),
        cmocka_unit_test(after_the_stop_nothing_is_taken_and_nothing_hangs),
        cmocka_unit_test(a_restart_brings_back_who_it_was),
        cmocka_unit_test(a_taken_port_is_an_error_that_names_it),
    };

    /* No test leaves a descriptor open. */
    return cmocka_run_group_tests(tests, before_all, after_all);
}
