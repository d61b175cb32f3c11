/* SPDX-License-Identifier: Apache-2.0 */

/* Bulk bytes between two threads over loopback TCP: a connection of ours next
 * to bare ChaCha20-Poly1305 frames, which are the limit.  One line of JSON.
 *
 *      conn_bench [MEGABYTES] [bare|conn] */
#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conn/conn.h"
#include "crypto/aead.h"
#include "crypto/ed25519.h"
#include "multi/peer_id.h"
#include "pair.h"

enum {
    FRAME = 16 * 1024,
    FRAMES_A_WRITE = 4,
    WIRE_FRAME = 2 + FRAME + AEAD_TAG_LEN,
    READ_MAX = 256 * 1024,
};

static const char *const protocols[] = {"/bulk/1.0.0"};
static struct ed25519_keypair keys[2];

struct end {
    int fd;
    size_t total;
    bool is_dialer;
};

static void check(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static tstamp read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

static tstamp now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void write_all(int fd, struct span s)
{
    while (s.len > 0) {
        ssize_t n = write(fd, s.data, s.len);

        check(n > 0, "write");
        span_take(&s, (size_t)n);
    }
}

/* The limit: nothing but frames. */
static void *bare_send(void *arg)
{
    static uint8_t plain[FRAME], wire[FRAMES_A_WRITE * WIRE_FRAME];
    static const uint8_t key[AEAD_KEY_LEN];
    const struct end *e = arg;
    struct aead aead = {0};
    uint64_t counter = 0;

    check(aead_init(&aead, key, AEAD_SEAL) == OK, "aead");
    for (size_t sent = 0; sent < e->total; sent += sizeof(plain)) {
        size_t slot = counter % FRAMES_A_WRITE;
        uint8_t *at = wire + slot * WIRE_FRAME;

        at[0] = (FRAME + AEAD_TAG_LEN) >> 8;
        at[1] = (FRAME + AEAD_TAG_LEN) & 0xff;
        check(aead_seal(&aead, counter++, SPAN_NONE, SPAN_OF(plain), at + 2) ==
                  OK,
              "seal");
        if (slot == FRAMES_A_WRITE - 1)
            write_all(e->fd, SPAN_OF(wire));
    }
    aead_release(&aead);
    return NULL;
}

static void *bare_recv(void *arg)
{
    static const uint8_t key[AEAD_KEY_LEN];
    const struct end *e = arg;
    uint8_t *in = malloc(READ_MAX + WIRE_FRAME);
    struct aead aead = {0};
    uint64_t counter = 0;
    size_t have = 0;

    check(in != NULL && aead_init(&aead, key, AEAD_OPEN) == OK, "aead");
    for (size_t got = 0; got < e->total;) {
        ssize_t n = read(e->fd, in + have, READ_MAX);
        size_t at = 0;

        check(n > 0, "read");
        have += (size_t)n;
        for (; have - at >= WIRE_FRAME; at += WIRE_FRAME) {
            check(aead_open(&aead, counter++, SPAN_NONE,
                            SPAN(in + at + 2, FRAME + AEAD_TAG_LEN),
                            in + at + 2) == OK,
                  "open");
            got += FRAME;
        }
        have -= at;
        memmove(in, in + at, have);
    }
    aead_release(&aead);
    free(in);
    return NULL;
}

/* Ours. */
struct bulk {
    struct conn *conn;
    const struct end *end;
    uint32_t stream;
    size_t done; /* bytes written, or read */
    bool is_over;
};

static void on_event(struct bulk *b, const struct conn_event *ev, tstamp now)
{
    switch (ev->type) {
    case CONN_EV_UPGRADED:
        if (b->end->is_dialer)
            check(conn_stream_open(b->conn, protocols, 1, now, &b->stream) ==
                      OK,
                  "open");
        break;
    case CONN_EV_STREAM_DATA:
        b->done += ev->data.len;
        conn_stream_consumed(b->conn, ev->stream, ev->data.len, now);
        break;
    case CONN_EV_STREAM_FIN:
        conn_stream_finish(b->conn, ev->stream);
        break;
    case CONN_EV_STREAM_ENDED:
        b->is_over = true;
        break;
    case CONN_EV_CLOSED:
        fprintf(stderr, "closed: %s\n", err_name(ev->err));
        exit(1);
    case CONN_EV_NONE:
    case CONN_EV_STREAM_INBOUND:
    case CONN_EV_STREAM_READY:
    case CONN_EV_STREAM_WRITABLE:
    case CONN_EV_STREAM_RESET:
    case CONN_EV_GO_AWAY:
        break;
    }
}

static void write_more(struct bulk *b)
{
    static const uint8_t zeros[64 * 1024];

    if (!b->end->is_dialer || b->stream == 0)
        return;
    while (b->done < b->end->total &&
           conn_stream_write(b->conn, b->stream, SPAN_OF(zeros)) == OK)
        b->done += sizeof(zeros);
    if (b->done >= b->end->total)
        conn_stream_finish(b->conn, b->stream);
}

/* True when the socket took all there was. */
static bool flush(struct bulk *b)
{
    struct span out;

    for (;;) {
        ssize_t n;

        write_more(b);
        out = conn_out(b->conn);
        if (out.len == 0)
            return true;
        n = write(b->end->fd, out.data, out.len);
        if (n < 0)
            return false;
        conn_sent(b->conn, (size_t)n);
    }
}

static void *conn_run(void *arg)
{
    const struct end *e = arg;
    struct peer_id expected;
    struct conn_config config = {.is_dialer = e->is_dialer,
                                 .identity = &keys[e->is_dialer],
                                 .expected = e->is_dialer ? &expected : NULL,
                                 .protocols = protocols,
                                 .protocols_count = 1};
    struct bulk b = {.end = e};
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, e->is_dialer);
    uint8_t *in = malloc(READ_MAX);
    struct conn_event ev;

    check(in != NULL && fcntl(e->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
    peer_id_from_ed25519(&expected, keys[0].pub);
    b.conn = conn_new(&config, now_ns(), &rng, &mem_libc, NULL);
    while (!b.is_over) {
        bool is_flushed = flush(&b);
        struct pollfd p = {e->fd, is_flushed ? POLLIN : POLLIN | POLLOUT, 0};
        ssize_t n;

        while (conn_poll(b.conn, &ev))
            on_event(&b, &ev, now_ns());
        if (b.is_over)
            break;
        check(poll(&p, 1, 10000) > 0, "poll");
        n = p.revents & POLLIN ? read(e->fd, in, READ_MAX) : 0;
        if (n > 0)
            conn_recv(b.conn, in, (size_t)n, now_ns());
        while (conn_poll(b.conn, &ev))
            on_event(&b, &ev, now_ns());
    }
    flush(&b);
    conn_free(b.conn);
    free(in);
    check(e->is_dialer || b.done == e->total, "count");
    return NULL;
}

static void connect_loopback(int fd[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

    check(bind(listener, (struct sockaddr *)&at, len) == 0 &&
              listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&at, &len) == 0,
          "listen");
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(fd[0], (struct sockaddr *)&at, len) == 0, "connect");
    fd[1] = accept(listener, NULL, NULL);
    check(fd[1] >= 0, "accept");
    for (int i = 0; i < 2; i++)
        setsockopt(fd[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listener);
}

struct figures {
    double gb_s;
    double cpu_s_gb; /* both ends together */
};

static struct figures measure(void *(*from)(void *), void *(*to)(void *),
                              size_t total)
{
    double gb = (double)total / 1e9;
    struct end ends[2];
    pthread_t thread;
    tstamp start, cpu;
    int fd[2];

    connect_loopback(fd);
    ends[0] = (struct end){fd[0], total, true};
    ends[1] = (struct end){fd[1], total, false};
    start = now_ns();
    cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    check(pthread_create(&thread, NULL, from, &ends[0]) == 0, "thread");
    to(&ends[1]);
    pthread_join(thread, NULL);
    close(fd[0]);
    close(fd[1]);
    cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    return (struct figures){
        .gb_s = gb / ((double)(now_ns() - start) / SECONDS),
        .cpu_s_gb = (double)cpu / SECONDS / gb,
    };
}

static size_t idle_bytes(void)
{
    enum { PAIRS = 100 };
    static struct pair pairs[PAIRS];
    struct noise_static noise_keys[2];
    struct pair_side sides[2];
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 3);
    size_t before, after;

    for (int i = 0; i < 2; i++) {
        noise_static_generate(&noise_keys[i], &keys[i], &rng);
        sides[i] = (struct pair_side){&keys[i], &noise_keys[i]};
    }
    before = mallinfo2().uordblks;
    for (int k = 0; k < PAIRS; k++) {
        struct pair *p = &pairs[k];

        pair_open(p, sides, NULL, protocols, 0, &rng);
        pair_talk(p, 0);
        for (int i = 0; i < 2; i++) {
            uint32_t stream;

            check(
                conn_stream_open(p->conn[i], protocols, 1, 0, &stream) == OK &&
                    conn_stream_write(p->conn[i], stream, SPAN_LIT("hello")) ==
                        OK,
                "open");
        }
        pair_talk(p, 0);
    }
    after = mallinfo2().uordblks;
    for (int k = 0; k < PAIRS; k++)
        pair_close(&pairs[k]);
    return (after - before) / (size_t)(2 * PAIRS);
}

int main(int argc, char **argv)
{
    size_t total = (size_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
    const char *only = argc > 2 ? argv[2] : "";
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 1);
    struct figures bare = {0}, conn = {0};

    for (int i = 0; i < 2; i++)
        ed25519_generate(&keys[i], &rng);
    if (strcmp(only, "conn") != 0)
        bare = measure(bare_send, bare_recv, total);
    if (strcmp(only, "bare") != 0)
        conn = measure(conn_run, conn_run, total);
    printf("{\"bench\":\"conn\",\"megabytes\":%zu,\"bare_gb_s\":%.2f,"
           "\"conn_gb_s\":%.2f,\"bare_cpu_s_gb\":%.2f,"
           "\"conn_cpu_s_gb\":%.2f,\"idle_bytes\":%zu}\n",
           total >> 20, bare.gb_s, conn.gb_s, bare.cpu_s_gb, conn.cpu_s_gb,
           idle_bytes());
    return 0;
}
