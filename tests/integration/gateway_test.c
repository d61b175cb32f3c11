/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/system.h"
#include "souk/metrics.h"
#include "store/store.h"
#include "store/worker.h"
#include "support/test.h"
#include "tbl/network.h"

/* The gateway on real sockets, with a real store and a core that the test plays
 * itself: silent, busy, or answering when it is told to. */

enum { HELD_MAX = 512 };

struct core {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct request *held[HELD_MAX];
    unsigned held_count, cancelled;
    enum err refuses;
};

tstamp core_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

enum err core_submit(struct core *core, struct request *r)
{
    enum err err;

    pthread_mutex_lock(&core->lock);
    err = core->refuses;
    if (err == OK)
        core->held[core->held_count++] = r;
    pthread_cond_broadcast(&core->changed);
    pthread_mutex_unlock(&core->lock);
    return err;
}

static void forget(struct core *core, unsigned i)
{
    core->held[i] = core->held[--core->held_count];
}

void core_cancel(struct core *core, struct request *r)
{
    bool is_held = false;

    pthread_mutex_lock(&core->lock);
    for (unsigned i = 0; i < core->held_count; i++)
        if (core->held[i] == r) {
            forget(core, i);
            is_held = true;
            break;
        }
    core->cancelled++;
    pthread_cond_broadcast(&core->changed);
    pthread_mutex_unlock(&core->lock);
    if (is_held) {
        r->err = ERR_CANCELLED;
        r->done(r);
    }
}

void core_outbox_grew(struct core *core)
{
    (void)core;
}

void core_status(struct core *core, struct node_status *out)
{
    (void)core;
    *out = (struct node_status){.is_started = true,
                                .store_writes = true,
                                .updated_at = core_now(),
                                .dht_answered_at = TSTAMP_NEVER};
}

void core_metrics(struct core *core, struct node_metrics *out)
{
    (void)core;
    memset(out, 0, sizeof(*out));
}

void core_usage(struct core *core, struct usages *out)
{
    (void)core;
    *out = (struct usages){0};
    out->of[USAGE_TERMS] = (struct usage){0};
    out->of[USAGE_DIALS] = (struct usage){.limit = 8, .use = 4, .refused = 3};
}

/* Wait, for at most ten seconds, until so many are held or cancelled. */
static void await_core(struct core *core, unsigned held, unsigned cancelled)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&core->lock);
    while (core->held_count < held || core->cancelled < cancelled)
        if (pthread_cond_timedwait(&core->changed, &core->lock, &until) != 0)
            fail_msg("%u held, %u cancelled", core->held_count,
                     core->cancelled);
    pthread_mutex_unlock(&core->lock);
}

/* Answer all that is held: a peer as it was asked for, the latest first. */
static void answer_all(struct core *core)
{
    for (;;) {
        struct request *r = NULL;

        pthread_mutex_lock(&core->lock);
        if (core->held_count > 0)
            r = core->held[--core->held_count];
        pthread_mutex_unlock(&core->lock);
        if (r == NULL)
            return;
        if (r->type == REQUEST_PEER)
            request_add_peer(r)->id = r->in.peers.peer;
        r->err = OK;
        r->done(r);
    }
}

/* ---- The house. ---- */

struct house {
    char dir[64];
    struct core core;
    struct cache *cache;
    struct store *store;
    struct worker *worker;
    struct gateway_config config;
    struct gateway_deps deps;
    struct gateway *gateway;
    struct gateway_ports ports;
    uint16_t http, admin;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_drained;
};

static wall_ms worker_wall(void *ctx)
{
    (void)ctx;
    return clock_wall();
}

static void on_drained(void *ctx)
{
    struct house *h = ctx;

    pthread_mutex_lock(&h->lock);
    h->is_drained = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static uint16_t port_of(const char *url)
{
    return (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10);
}

static void house_open(struct house *h)
{
    struct store_config store = {.network = network_find("souk"),
                                 .rng = &rng_system};
    char why[STORE_WHY_MAX] = "";

    memset(h, 0, sizeof(*h));
    (void)snprintf(h->dir, sizeof(h->dir), "/tmp/souk-gateway-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    pthread_mutex_init(&h->core.lock, NULL);
    pthread_cond_init(&h->core.changed, NULL);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    h->cache = cache_new(1 << 20);
    store.dir = h->dir;
    store.cache = h->cache;
    if (store_open(&store, clock_wall(), &h->store, why) != OK)
        fail_msg("%s", why);
    assert_ok(worker_start(h->store, worker_wall, NULL, &h->worker));
    h->config = (struct gateway_config){.http = "127.0.0.1:0",
                                        .admin = "127.0.0.1:0",
                                        .threads = 2,
                                        .admin_token = "admin-token",
                                        .publish_token = "publish-token",
                                        .rate = 200,
                                        .rate_burst = 2000,
                                        .version = "0.1.0",
                                        .commit = "test"};
    h->deps = (struct gateway_deps){.core = &h->core,
                                    .store = h->store,
                                    .worker = h->worker,
                                    .cache = h->cache,
                                    .network = store.network,
                                    .rng = &rng_system,
                                    .log = &log_none,
                                    .drained = on_drained,
                                    .ctx = h};
}

static void house_serve(struct house *h)
{
    char why[GATEWAY_WHY_MAX];

    if (gateway_start(&h->config, &h->deps, &h->gateway, why) != OK)
        fail_msg("%s", why);
    gateway_ports(h->gateway, &h->ports);
    h->http = port_of(h->ports.http);
    h->admin = port_of(h->ports.admin);
}

static void house_close(struct house *h)
{
    char command[96];

    gateway_stop(h->gateway);
    worker_stop(h->worker);
    store_close(h->store);
    cache_free(h->cache);
    (void)snprintf(command, sizeof(command), "rm -rf %s", h->dir);
    assert_int_equal(0, system(command));
}

/* ---- A client. ---- */

static int dial(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(strlen(text), send(fd, text, strlen(text), MSG_NOSIGNAL));
}

struct answer {
    char text[65536]; /* head and body; "" if the connection ended */
    const char *body;
    int status;
};

static const char *body_of(struct answer *a, size_t *missing)
{
    char *end = strstr(a->text, "\r\n\r\n"), *length;

    if (end == NULL)
        return NULL;
    length = strstr(a->text, "Content-Length: ");
    *missing = 0;
    if (length != NULL && length < end) {
        size_t want = strtoul(length + 16, NULL, 10), have = strlen(end + 4);

        *missing = want > have ? want - have : 0;
    }
    return end + 4;
}

/* One answer, within |ms|. */
static void hear(int fd, struct answer *a, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    size_t len = 0, missing = 1;

    memset(a, 0, sizeof(*a));
    while (a->body == NULL || missing > 0) {
        ssize_t n;

        if (poll(&p, 1, ms) != 1)
            fail_msg("no answer in time, so far: %s", a->text);
        n = recv(fd, a->text + len, sizeof(a->text) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        a->body = body_of(a, &missing);
        if (a->body != NULL && strstr(a->text, "HTTP/1.1 204") != NULL)
            break;
    }
    if (len > 9)
        a->status = atoi(a->text + 9);
}

static void ask_on(int fd, const char *request, struct answer *a)
{
    say(fd, request);
    hear(fd, a, 5000);
}

static void ask(uint16_t port, const char *request, struct answer *a)
{
    int fd = dial(port);

    assert_true(fd >= 0);
    ask_on(fd, request, a);
    (void)close(fd);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define PEER_A "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

static duration since(tstamp at)
{
    return core_now() - at;
}

/* ---- Deadlines. ---- */

static void a_silent_core_is_not_waited_for(void **state)
{
    struct answer a;
    struct house h;
    tstamp at;

    (void)state;
    house_open(&h);
    house_serve(&h);
    at = core_now();
    ask(h.http, GET("/api/v1/search?q=x&timeout=100ms"), &a);
    assert_int_equal(200, a.status);
    assert_non_null(
        strstr(a.body, "\"complete\":false,\"reason\":\"deadline\""));
    assert_non_null(strstr(a.text, "Cache-Control: no-store"));
    assert_in_range(since(at), 100 * MILLISECONDS, 1100 * MILLISECONDS);
    at = core_now();
    ask(h.http, GET("/api/v1/packages/a/b?timeout=100ms"), &a);
    assert_int_equal(504, a.status);
    assert_non_null(strstr(a.body, "lookup-incomplete"));
    assert_in_range(since(at), 100 * MILLISECONDS, 1100 * MILLISECONDS);
    await_core(&h.core, 0, 2);
    house_close(&h);
}

static void a_client_that_left_is_not_worked_for(void **state)
{
    struct house h;
    int fd;

    (void)state;
    house_open(&h);
    house_serve(&h);
    fd = dial(h.http);
    say(fd, GET("/api/v1/search?q=x&timeout=20s"));
    await_core(&h.core, 1, 0);
    (void)close(fd);
    await_core(&h.core, 0, 1);
    house_close(&h);
}

static void a_full_mailbox_is_told(void **state)
{
    struct answer a;
    struct house h;

    (void)state;
    house_open(&h);
    house_serve(&h);
    h.core.refuses = ERR_BUSY;
    ask(h.http, GET("/api/v1/peers"), &a);
    assert_int_equal(503, a.status);
    assert_non_null(strstr(a.text, "Retry-After: 1\r\n"));
    assert_non_null(strstr(a.body, "\"code\":\"busy\""));
    house_close(&h);
}

/* ---- Many at once. ---- */

/* 128 is where libmicrohttpd's own loop stalls. */
static void every_connection_gets_its_own_answer(void **state)
{
    enum { CLIENTS = 128, ROUNDS = 3 };
    static int fds[CLIENTS];
    static char ids[CLIENTS][PEER_ID_TEXT_MAX];
    struct house h;

    (void)state;
    house_open(&h);
    house_serve(&h);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct peer_id id = {.len = 34, .bytes = {0x12, 0x20, (uint8_t)i}};

        peer_id_format(&id, ids[i]);
        fds[i] = dial(h.http);
        assert_true(fds[i] >= 0);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < CLIENTS; i++) {
            char request[256];

            (void)snprintf(request, sizeof(request),
                           "GET /api/v1/peers/%.*s HTTP/1.1\r\n"
                           "Host: x\r\n\r\n",
                           PEER_ID_TEXT_MAX, ids[i]);
            say(fds[i], request);
        }
        await_core(&h.core, CLIENTS, 0);
        answer_all(&h.core);
        for (unsigned i = 0; i < CLIENTS; i++) {
            struct answer a;

            hear(fds[i], &a, 5000);
            assert_int_equal(200, a.status);
            assert_non_null(strstr(a.body, ids[i]));
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        (void)close(fds[i]);
    house_close(&h);
}

static void too_many_connections_evict_the_oldest_idle_one(void **state)
{
    enum { CLIENTS = 16 };
    int fds[CLIENTS];
    struct answer a;
    struct house h;
    char byte;
    int fd;

    (void)state;
    house_open(&h);
    h.config.conns_max = CLIENTS;
    h.config.threads = 1;
    house_serve(&h);
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = dial(h.http);
        ask_on(fds[i], GET("/version"), &a); /* so that it is accepted */
        assert_int_equal(200, a.status);
    }
    ask_on(fds[0], GET("/version"), &a); /* the second is the oldest now */
    fd = dial(h.http);
    ask_on(fd, GET("/version"), &a);
    assert_int_equal(200, a.status);
    assert_int_equal(0, recv(fds[1], &byte, 1, 0));
    ask_on(fds[0], GET("/version"), &a);
    assert_int_equal(200, a.status);
    for (unsigned i = 0; i < CLIENTS; i++)
        (void)close(fds[i]);
    (void)close(fd);
    house_close(&h);
}

/* ---- Ending. ---- */

static void a_drain_finishes_what_is_in_flight(void **state)
{
    struct timespec until;
    struct answer a;
    struct house h;
    int fd, idle;

    (void)state;
    house_open(&h);
    house_serve(&h);
    idle = dial(h.http);
    fd = dial(h.http);
    say(fd, GET("/api/v1/peers/" PEER_A));
    await_core(&h.core, 1, 0);
    gateway_drain(h.gateway);
    /* The idle one is closed, and nobody else is let in. */
    hear(idle, &a, 5000);
    assert_int_equal(0, a.status);
    assert_int_equal(-1, dial(h.http));
    assert_false(h.is_drained);
    answer_all(&h.core);
    hear(fd, &a, 5000);
    assert_int_equal(200, a.status);
    assert_non_null(strstr(a.text, "Connection: close"));
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&h.lock);
    while (!h.is_drained)
        assert_int_equal(0,
                         pthread_cond_timedwait(&h.changed, &h.lock, &until));
    pthread_mutex_unlock(&h.lock);
    (void)close(fd);
    (void)close(idle);
    house_close(&h);
}

static void a_stop_cuts_what_is_in_flight(void **state)
{
    struct answer a;
    struct house h;
    int fd;

    (void)state;
    house_open(&h);
    house_serve(&h);
    fd = dial(h.http);
    say(fd, GET("/api/v1/search?q=x"));
    await_core(&h.core, 1, 0);
    house_close(&h);
    hear(fd, &a, 5000);
    assert_int_equal(0, a.status);
    (void)close(fd);
}

/* ---- Listeners. ---- */

static void a_taken_port_is_not_shared(void **state)
{
    struct gateway *second = NULL;
    char why[GATEWAY_WHY_MAX], http[64];
    struct house h;

    (void)state;
    house_open(&h);
    house_serve(&h);
    (void)snprintf(http, sizeof(http), "127.0.0.1:%u", h.http);
    h.config.http = http;
    assert_err(ERR_IO, gateway_start(&h.config, &h.deps, &second, why));
    assert_non_null(strstr(why, http));
    house_close(&h);
}

static void a_bad_setting_is_refused_with_its_reason(void **state)
{
    static const char *const proxy = "proxy.example";
    struct gateway *g = NULL;
    char why[GATEWAY_WHY_MAX];
    struct gateway_config good;
    struct house h;

    (void)state;
    house_open(&h);
    good = h.config;
    h.config.http = "127.0.0.1";
    assert_err(ERR_CONFIG, gateway_start(&h.config, &h.deps, &g, why));
    h.config = good;
    h.config.http = "0.0.0.0:0";
    h.config.write_auth_none = true;
    assert_err(ERR_CONFIG, gateway_start(&h.config, &h.deps, &g, why));
    assert_non_null(strstr(why, "loopback"));
    h.config = good;
    h.config.trusted_proxies = &proxy;
    h.config.trusted_proxy_count = 1;
    assert_err(ERR_CONFIG, gateway_start(&h.config, &h.deps, &g, why));
    h.config = good;
    h.config.base_path = "souk";
    assert_err(ERR_CONFIG, gateway_start(&h.config, &h.deps, &g, why));
    h.config = good;
    h.config.public_url = "ftp://x";
    assert_err(ERR_CONFIG, gateway_start(&h.config, &h.deps, &g, why));
    house_close(&h);
}

static void the_admin_listener_has_what_the_public_one_has_not(void **state)
{
    struct answer a;
    struct house h;

    (void)state;
    house_open(&h);
    house_serve(&h);
    ask(h.http, GET("/metrics"), &a);
    assert_int_equal(404, a.status);
    ask(h.admin, GET("/metrics"), &a);
    assert_int_equal(200, a.status);
    assert_non_null(
        strstr(a.body, "# TYPE http_server_request_duration_seconds"));
    /* What the core limits is told, without a division by a limit of 0. */
    assert_non_null(strstr(a.body, "limit_usage_ratio{limit=\"dials\"} 0.5\n"));
    assert_null(strstr(a.body, "limit_usage_ratio{limit=\"terms\"}"));
    assert_non_null(strstr(a.body, "limit_refused_total{limit=\"dials\"} 3\n"));
    ask(h.admin, "GET /version HTTP/1.1\r\nHost: evil.example\r\n\r\n", &a);
    assert_int_equal(421, a.status);
    ask(h.http, "GET /version HTTP/1.1\r\nHost: any.example\r\n\r\n", &a);
    assert_int_equal(200, a.status);
    house_close(&h);
}

static void the_admin_listener_may_be_a_unix_socket(void **state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char admin[96];
    struct answer a;
    struct house h;
    int fd;

    (void)state;
    house_open(&h);
    (void)snprintf(admin, sizeof(admin), "unix:%s/admin.sock", h.dir);
    (void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", admin + 5);
    h.config.admin = admin;
    house_serve(&h);
    assert_string_equal(admin, h.ports.admin);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof(to)));
    ask_on(fd, "GET /metrics HTTP/1.1\r\nHost: any.thing\r\n\r\n", &a);
    assert_int_equal(200, a.status);
    (void)close(fd);
    gateway_stop(h.gateway);
    h.gateway = NULL;
    assert_int_equal(-1, access(to.sun_path, F_OK));
    house_close(&h);
}

/* ---- Bodies. ---- */

#define POST_HEAD                                                 \
    "POST /api/v1/packages HTTP/1.1\r\nHost: x\r\nContent-Type: " \
    "application/json\r\nAuthorization: Bearer publish-token\r\n"

static void a_refused_body_is_read_and_the_connection_lives(void **state)
{
    enum { LEN = 2 << 20 };
    char *body = malloc(LEN + 1), head[512];
    struct answer a;
    struct house h;
    int fd;

    (void)state;
    assert_non_null(body);
    memset(body, 'x', LEN);
    body[LEN] = '\0';
    house_open(&h);
    house_serve(&h);
    fd = dial(h.http);
    (void)snprintf(head, sizeof(head), POST_HEAD "Content-Length: %d\r\n\r\n",
                   LEN);
    say(fd, head);
    say(fd, body);
    hear(fd, &a, 5000);
    assert_int_equal(413, a.status);
    assert_non_null(strstr(a.body, "body-too-large"));
    ask_on(fd, GET("/version"), &a);
    assert_int_equal(200, a.status);
    /* Who asks first is answered first. */
    (void)snprintf(head, sizeof(head),
                   POST_HEAD "Expect: 100-continue\r\nContent-Length: %d\r\n"
                             "\r\n",
                   LEN);
    ask_on(fd, head, &a);
    assert_int_equal(413, a.status);
    (void)close(fd);
    free(body);
    house_close(&h);
}

static void what_is_published_is_there(void **state)
{
    static const char record[] = "{\"id\":\"ns/name\",\"version\":\"1.0.0\"}";
    char request[1024], tagged[1024], *tag;
    struct answer a;
    struct house h;

    (void)state;
    house_open(&h);
    house_serve(&h);
    (void)snprintf(request, sizeof(request),
                   POST_HEAD "Content-Length: %zu\r\n\r\n%s",
                   sizeof(record) - 1, record);
    ask(h.http, request, &a);
    assert_int_equal(201, a.status);
    assert_non_null(
        strstr(a.text, "Location: /api/v1/packages/ns/name/versions/1.0.0"));
    ask(h.http, request, &a);
    assert_int_equal(200, a.status);
    ask(h.http, GET("/api/v1/packages/ns/name"), &a);
    assert_int_equal(200, a.status);
    tag = strstr(a.text, "ETag: ");
    assert_non_null(tag);
    *strchr(tag, '\r') = '\0';
    (void)snprintf(tagged, sizeof(tagged),
                   "GET /api/v1/packages/ns/name HTTP/1.1\r\nHost: x\r\n"
                   "If-None-Match: %s\r\n\r\n",
                   tag + 6);
    ask(h.http, tagged, &a);
    assert_int_equal(304, a.status);
    ask(h.http, "HEAD /api/v1/packages/ns/name HTTP/1.0\r\n\r\n", &a);
    assert_int_equal(200, a.status);
    assert_string_equal("", a.body);
    house_close(&h);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_core_is_not_waited_for),
        cmocka_unit_test(a_client_that_left_is_not_worked_for),
        cmocka_unit_test(a_full_mailbox_is_told),
        cmocka_unit_test(every_connection_gets_its_own_answer),
        cmocka_unit_test(too_many_connections_evict_the_oldest_idle_one),
        cmocka_unit_test(a_drain_finishes_what_is_in_flight),
        cmocka_unit_test(a_stop_cuts_what_is_in_flight),
        cmocka_unit_test(a_taken_port_is_not_shared),
        cmocka_unit_test(a_bad_setting_is_refused_with_its_reason),
        cmocka_unit_test(the_admin_listener_has_what_the_public_one_has_not),
        cmocka_unit_test(the_admin_listener_may_be_a_unix_socket),
        cmocka_unit_test(a_refused_body_is_read_and_the_connection_lives),
        cmocka_unit_test(what_is_published_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
