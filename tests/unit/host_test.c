/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "host/asker.h"
#include "host/dnsaddr.h"
#include "host/endpoints.h"
#include "host/internal.h"
#include "host/lines.h"
#include "host/mailbox.h"
#include "host/system.h"
#include "support/test.h"
#include "tbl/limit.h"
#include "unit/store_fixture.h"

/* The parts of the host that can be seen without sockets. */

/* ---- The mailbox. ---- */

enum { PUTTERS = 4, PUTS = 5000 };

struct putter {
    struct mailbox *mailbox;
    struct request requests[PUTS];
    unsigned index;
    unsigned refused;
};

static void *put_many(void *ctx)
{
    struct putter *p = ctx;

    for (unsigned i = 0; i < PUTS; i++) {
        struct request *r = &p->requests[i];

        r->owner = p;
        r->deadline = i;
        while (mailbox_put(p->mailbox, r) == ERR_BUSY)
            p->refused++;
        if (i % 3 == 0)
            (void)mailbox_cancel(p->mailbox, r);
    }
    return NULL;
}

/* Every request is taken once, those of one thread in their order, and a
 * cancel is heard only of one that was taken before. */
static void no_request_is_lost_doubled_or_overtaken(void **state)
{
    static struct putter putters[PUTTERS];
    pthread_t threads[PUTTERS];
    struct mailbox m;
    size_t taken = 0;

    (void)state;
    mailbox_init(&m, 64);
    for (unsigned i = 0; i < PUTTERS; i++) {
        putters[i].mailbox = &m;
        assert_int_equal(
            pthread_create(&threads[i], NULL, put_many, &putters[i]), 0);
    }
    while (taken < (size_t)PUTTERS * PUTS) {
        struct request *r = mailbox_take(&m);
        struct request *next, *cancelled;

        for (; r != NULL; r = next) {
            struct putter *p = r->owner;

            next = r->next;
            assert_int_equal(r->deadline, p->index++);
            r->err = ERR_BUSY; /* "taken" */
            taken++;
            if (r->deadline % 2 == 0)
                mailbox_done(&m, r);
        }
        while ((cancelled = mailbox_take_cancel(&m)) != NULL) {
            assert_err(ERR_BUSY, cancelled->err);
            assert_int_equal(cancelled->deadline % 3, 0);
            assert_int_equal(cancelled->deadline % 2, 1);
        }
    }
    for (unsigned i = 0; i < PUTTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(mailbox_alive(&m), PUTTERS * PUTS / 2);
    for (unsigned i = 0; i < PUTTERS; i++)
        for (unsigned j = 1; j < PUTS; j += 2)
            mailbox_done(&m, &putters[i].requests[j]);
    mailbox_release(&m);
}

static void a_full_mailbox_refuses_and_counts(void **state)
{
    struct request r[3] = {{.type = REQUEST_GET}};
    struct usage usage;
    struct mailbox m;

    (void)state;
    mailbox_init(&m, 2);
    assert_ok(mailbox_put(&m, &r[0]));
    assert_ok(mailbox_put(&m, &r[1]));
    assert_err(ERR_BUSY, mailbox_put(&m, &r[2]));
    mailbox_usage(&m, &usage);
    assert_int_equal(usage.use, 2);
    assert_int_equal(usage.refused, 1);
    assert_ptr_equal(mailbox_take(&m), &r[0]);
    assert_ok(mailbox_put(&m, &r[2]));
    assert_ptr_equal(mailbox_take(&m), &r[2]);
    for (size_t i = 0; i < 3; i++)
        mailbox_done(&m, &r[i]);
    mailbox_release(&m);
}

/* ---- The reader's queue, and what waits for the writer. ---- */

static void nothing_woken(void *ctx)
{
    (void)ctx;
}

static void a_full_reader_refuses_and_counts(void **state)
{
    static const struct search_filter all;
    struct store *store = fixture_memory();
    struct usage usage;
    struct asker *asker;
    unsigned taken = 0;
    enum err err = OK;

    (void)state;
    assert_ok(asker_start(store, nothing_woken, NULL, &asker));
    /* To ask is quicker than to answer. */
    while (err == OK && taken < 1000000) {
        err = asker_search(asker, 1, "word", &all, 20, TSTAMP_NEVER, 0);
        taken += err == OK;
    }
    assert_err(ERR_BUSY, err);
    assert_true(taken >= LIMIT_READER_QUEUE_MAX);
    asker_usage(asker, &usage);
    assert_int_equal(LIMIT_READER_QUEUE_MAX, usage.limit);
    assert_true(usage.use <= usage.limit);
    assert_int_equal(1, usage.refused);
    /* The node's own questions have a place all the same. */
    assert_ok(asker_outbox(asker, 0, 0, 16));
    asker_stop(asker);
    store_close(store);
}

struct stop {
    pthread_mutex_t lock;
};

static wall_ms stopped_clock(void *ctx)
{
    struct stop *s = ctx;

    (void)pthread_mutex_lock(&s->lock);
    (void)pthread_mutex_unlock(&s->lock);
    return 1;
}

static void tell_done(struct host *h, int64_t id)
{
    struct node_action done = {.type = NODE_OUTBOX_DONE};

    done.outbox.id = id;
    saved_perform(h, &done);
}

/* What is done is kept for the store when its queue is full, so many. */
static void more_than_is_held_is_forgotten_uncounted(void **state)
{
    static struct host h;
    struct store *store = fixture_memory();
    struct stop stop = {.lock = PTHREAD_MUTEX_INITIALIZER};

    (void)state;
    (void)pthread_mutex_lock(&stop.lock);
    assert_ok(worker_start(store, stopped_clock, &stop, &h.worker));
    for (int64_t id = 1; h.held_count == 0; id++)
        tell_done(&h, id);
    for (int64_t id = 1; h.held_count < HELD_MAX; id++)
        tell_done(&h, id);
    assert_int_equal(0, h.held_refused);
    tell_done(&h, 1);
    assert_int_equal(HELD_MAX, h.held_count);
    assert_int_equal(1, h.held_refused);
    (void)pthread_mutex_unlock(&stop.lock);
    while (h.held_count > 0) /* as at each tick of the host */
        saved_retry(&h);
    worker_stop(h.worker);
    store_close(store);
    free(h.held);
}

static void a_closed_mailbox_takes_no_more_but_gives_what_waits(void **state)
{
    struct request a = {.type = REQUEST_GET}, b = {.type = REQUEST_GET};
    struct mailbox m;

    (void)state;
    mailbox_init(&m, 2);
    assert_ok(mailbox_put(&m, &a));
    mailbox_close(&m);
    assert_err(ERR_DRAINING, mailbox_put(&m, &b));
    mailbox_cancel_all(&m);
    assert_ptr_equal(mailbox_take(&m), &a);
    assert_ptr_equal(mailbox_take_cancel(&m), &a);
    assert_null(mailbox_take_cancel(&m));
    mailbox_done(&m, &a);
    mailbox_release(&m);
}

static void a_cancel_that_comes_late_or_twice_is_nothing(void **state)
{
    struct request a = {.type = REQUEST_GET};
    struct mailbox m;

    (void)state;
    mailbox_init(&m, 2);
    assert_false(mailbox_cancel(&m, &a));
    assert_ok(mailbox_put(&m, &a));
    assert_true(mailbox_cancel(&m, &a));
    assert_false(mailbox_cancel(&m, &a));
    assert_null(mailbox_take_cancel(&m)); /* it was not taken itself yet */
    assert_ptr_equal(mailbox_take(&m), &a);
    mailbox_done(&m, &a);
    assert_null(mailbox_take_cancel(&m)); /* it has ended */
    assert_false(mailbox_cancel(&m, &a));
    mailbox_release(&m);
}

/* ---- Log lines. ---- */

static const char *format(bool is_json, const char *line, char out[1024])
{
    struct lines lines = {.fd = -1, .is_json = is_json};
    size_t len =
        lines_format(&lines, 1763819821123, LOG_INFO, "node", line, out, 1023);

    assert_true(len < 1023);
    out[len] = '\0';
    return out;
}

static void lines_tell_time_level_room_and_pairs(void **state)
{
    char out[1024];

    (void)state;
    assert_string_equal(
        format(false, "peer connected peer=12D direction=in", out),
        "2025-11-22T13:57:01.123Z info  node: peer connected "
        "peer=12D direction=in\n");
    assert_string_equal(
        format(true, "dial failed peer=12D why=no route to host n=1", out),
        "{\"time\":\"2025-11-22T13:57:01.123Z\",\"level\":\"info\","
        "\"room\":\"node\",\"message\":\"dial failed\",\"peer\":\"12D\","
        "\"why\":\"no route to host\",\"n\":\"1\"}\n");
    assert_string_equal(format(true, "", out),
                        "{\"time\":\"2025-11-22T13:57:01.123Z\",\"level\":"
                        "\"info\",\"room\":\"node\",\"message\":\"\"}\n");
}

/* What a peer calls itself must not start a new line or end a string. */
static void a_line_cannot_be_forged(void **state)
{
    static const char evil[] =
        "agent=x\n2025 error node: \"owned\\\" \x1b[31m\x7f tail";
    char out[1024];
    json_t *root, *agent;

    (void)state;
    format(false, evil, out);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    assert_null(strchr(out, '\x1b'));
    format(true, evil, out);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
    root = json_loads(out, 0, NULL);
    assert_non_null(root);
    agent = json_object_get(root, "agent");
    assert_string_equal(json_string_value(agent), evil + strlen("agent="));
    json_decref(root);
}

static void a_line_too_long_is_cut_and_still_json(void **state)
{
    char line[4000], out[1024];
    json_t *root;

    (void)state;
    for (size_t pattern = 0; pattern < 3; pattern++) {
        static const char *const patterns[] = {"abc", "a=\" ", "\x01"};

        for (size_t i = 0; i < sizeof(line) - 1; i++)
            line[i] = patterns[pattern][i % strlen(patterns[pattern])];
        line[sizeof(line) - 1] = '\0';
        root = json_loads(format(true, line, out), 0, NULL);
        assert_non_null(root);
        json_decref(root);
        format(false, line, out);
        assert_int_equal(out[strlen(out) - 1], '\n');
    }
}

/* ---- endpoints.json. ---- */

static size_t files_in(const char *dir)
{
    DIR *d = opendir(dir);
    size_t count = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        count += e->d_name[0] != '.';
    (void)closedir(d);
    return count;
}

static void endpoints_are_written_whole_and_removed(void **state)
{
    char dir[] = "/tmp/souk-endpoints-XXXXXX";
    char path[64], id[PEER_ID_TEXT_MAX], want[256];
    struct endpoints e = {.http = "http://127.0.0.1:8800", .admin = NULL};
    struct ed25519_keypair key;
    json_t *root;

    (void)state;
    assert_non_null(mkdtemp(dir));
    ed25519_generate(&key, &rng_system);
    peer_id_from_ed25519(&e.peer_id, key.pub);
    assert_ok(multiaddr_parse(&e.listen.at[e.listen.count++],
                              SPAN_LIT("/ip4/127.0.0.1/tcp/8802")));
    assert_ok(endpoints_write(dir, &e));
    assert_ok(endpoints_write(dir, &e)); /* over the one of a crash */
    assert_int_equal(files_in(dir), 1);

    (void)snprintf(path, sizeof(path), "%s/endpoints.json", dir);
    root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    peer_id_format(&e.peer_id, id);
    assert_string_equal(json_string_value(json_object_get(root, "peer_id")),
                        id);
    (void)snprintf(want, sizeof(want), "/ip4/127.0.0.1/tcp/8802/p2p/%s", id);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(root, "listen"), 0)),
        want);
    assert_string_equal(json_string_value(json_object_get(root, "http")),
                        "http://127.0.0.1:8800");
    assert_true(json_is_null(json_object_get(root, "admin")));
    json_decref(root);

    endpoints_remove(dir);
    endpoints_remove(dir);
    assert_int_equal(files_in(dir), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_err(ERR_IO, endpoints_write(dir, &e));
}

/* ---- DNS answers. ---- */

/* A question for x, then |n| records of |type| with |rdata| each. */
static size_t make_answer(uint8_t *out, unsigned n, uint8_t type,
                          struct span rdata)
{
    static const uint8_t head[] = {0, 1, 0x81, 0x80, 0, 1, 0,  0, 0, 0,
                                   0, 0, 1,    'x',  0, 0, 16, 0, 1};
    size_t len = sizeof(head);

    memcpy(out, head, sizeof(head));
    out[7] = (uint8_t)n;
    for (unsigned i = 0; i < n; i++) {
        const uint8_t record[] = {0xc0,
                                  12,
                                  0,
                                  type,
                                  0,
                                  1,
                                  0,
                                  0,
                                  0,
                                  60,
                                  (uint8_t)(rdata.len >> 8),
                                  (uint8_t)rdata.len};

        memcpy(out + len, record, sizeof(record));
        memcpy(out + len + sizeof(record), rdata.data, rdata.len);
        len += sizeof(record) + rdata.len;
    }
    return len;
}

static void dnsaddr_reads_texts_in_one_or_several_strings(void **state)
{
    static const uint8_t whole[] = "\x1c"
                                   "dnsaddr=/ip4/1.2.3.4/tcp/4001";
    static const uint8_t split[] = "\x0a"
                                   "dnsaddr=/i"
                                   "\x00"
                                   "\x12"
                                   "p4/1.2.3.4/tcp/400";
    struct multiaddr got[4], want;
    uint8_t message[512];
    size_t len;

    (void)state;
    /* "dnsaddr=/ip4/1.2.3.4/tcp/4001" is 29 bytes: the length says 28. */
    len = make_answer(message, 2, 16, SPAN(whole, 29));
    assert_int_equal(dnsaddr_read(SPAN(message, len), got, 4), 2);
    assert_ok(multiaddr_parse(&want, SPAN_LIT("/ip4/1.2.3.4/tcp/400")));
    assert_true(multiaddr_eq(&got[0], &want));
    len = make_answer(message, 1, 16, SPAN(split, sizeof(split) - 1));
    assert_int_equal(dnsaddr_read(SPAN(message, len), got, 4), 1);
    assert_true(multiaddr_eq(&got[0], &want));
    len = make_answer(message, 6, 16, SPAN(whole, 29));
    assert_int_equal(dnsaddr_read(SPAN(message, len), got, 4), 4);
}

static void what_is_no_dnsaddr_is_passed_over(void **state)
{
    static const struct {
        const char *why;
        uint8_t type;
        const char *rdata;
        size_t len;
    } table[] = {
        {"another text", 16, "\x05hello", 6},
        {"not an address", 16,
         "\x0d"
         "dnsaddr=/ip4/",
         14},
        {"nothing after =", 16,
         "\x08"
         "dnsaddr=",
         9},
        {"a string cut short", 16,
         "\x20"
         "dnsaddr=/ip4/1.2.3.4",
         21},
        {"no TXT record", 1,
         "\x1d"
         "dnsaddr=/ip4/1.2.3.4/tcp/4001",
         30},
        {"empty", 16, "", 0},
    };
    struct multiaddr got[2];
    uint8_t message[256];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        size_t len = make_answer(message, 1, table[i].type,
                                 SPAN(table[i].rdata, table[i].len));

        assert_int_equal(dnsaddr_read(SPAN(message, len), got, 2), 0);
    }
}

static void a_cut_dns_answer_is_survived_at_every_byte(void **state)
{
    static const uint8_t whole[] = "\x1d"
                                   "dnsaddr=/ip4/1.2.3.4/tcp/4001";
    struct multiaddr got[2];
    uint8_t message[256];
    size_t len = make_answer(message, 2, 16, SPAN(whole, 30));

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut + 1); /* so that ASan sees the end */

        assert_non_null(copy);
        memcpy(copy, message, cut);
        assert_true(dnsaddr_read(SPAN(copy, cut), got, 2) < 2);
        free(copy);
    }
    assert_int_equal(dnsaddr_read(SPAN(message, len), got, 2), 2);
}

/* ---- The system. ---- */

static void too_few_descriptors_are_an_error_that_says_what_to_do(void **state)
{
    struct rlimit limit;
    char why[256] = "";

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_ok(descriptors_want(100, why));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 100);
    assert_err(ERR_LIMIT, descriptors_want((size_t)limit.rlim_max + 1, why));
    assert_non_null(strstr(why, "ulimit -n"));
}

/* A service manager's socket, and what it is called in the environment. */
static int manager_open(const char *path, char first)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(at.sun_path, path, len);
    at.sun_path[0] = first;
    assert_int_equal(
        0, bind(fd, (const struct sockaddr *)&at,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)));
    assert_int_equal(0, setenv("NOTIFY_SOCKET", path, 1));
    return fd;
}

static void manager_hears(int fd, const char *what)
{
    char got[64] = "";

    assert_int_equal(strlen(what), recv(fd, got, sizeof(got), 0));
    assert_string_equal(what, got);
    assert_int_equal(-1, recv(fd, got, sizeof(got), 0));
}

static void a_service_manager_is_told_under_either_kind_of_name(void **state)
{
    char path[64], hidden[64];
    int fd;

    (void)state;
    (void)snprintf(path, sizeof(path), "/tmp/souk-notify-%d", (int)getpid());
    fd = manager_open(path, '/');
    service_notify("READY=1");
    manager_hears(fd, "READY=1");
    (void)close(fd);
    service_notify("STOPPING=1"); /* nobody there any more */
    (void)unlink(path);

    (void)snprintf(hidden, sizeof(hidden), "@souk-notify-%d", (int)getpid());
    fd = manager_open(hidden, '\0');
    service_notify("STOPPING=1");
    manager_hears(fd, "STOPPING=1");
    (void)close(fd);
}

static void what_is_no_address_of_a_manager_is_passed_over(void **state)
{
    static const char *const bad[] = {"", "/", "@", "relative", "vsock:2:1"};
    char deep[200];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(0, setenv("NOTIFY_SOCKET", bad[i], 1));
        service_notify("READY=1");
    }
    memset(deep, 'x', sizeof(deep));
    deep[0] = '/';
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(0, setenv("NOTIFY_SOCKET", deep, 1));
    service_notify("READY=1");
    assert_int_equal(0, unsetenv("NOTIFY_SOCKET"));
    service_notify("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_request_is_lost_doubled_or_overtaken),
        cmocka_unit_test(a_full_mailbox_refuses_and_counts),
        cmocka_unit_test(a_full_reader_refuses_and_counts),
        cmocka_unit_test(more_than_is_held_is_forgotten_uncounted),
        cmocka_unit_test(a_closed_mailbox_takes_no_more_but_gives_what_waits),
        cmocka_unit_test(a_cancel_that_comes_late_or_twice_is_nothing),
        cmocka_unit_test(lines_tell_time_level_room_and_pairs),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(a_line_too_long_is_cut_and_still_json),
        cmocka_unit_test(endpoints_are_written_whole_and_removed),
        cmocka_unit_test(dnsaddr_reads_texts_in_one_or_several_strings),
        cmocka_unit_test(what_is_no_dnsaddr_is_passed_over),
        cmocka_unit_test(a_cut_dns_answer_is_survived_at_every_byte),
        cmocka_unit_test(too_few_descriptors_are_an_error_that_says_what_to_do),
        cmocka_unit_test(a_service_manager_is_told_under_either_kind_of_name),
        cmocka_unit_test(what_is_no_address_of_a_manager_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
