/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk bytes over streams, on souk's own connection code and blocking sockets:
 * the same protocol the other implementations' peers speak here.
 *
 *      bulk_peer listen                       serves until stdin ends
 *      bulk_peer dial ADDR SEND RECEIVE [COUNT CONCURRENT]
 *                                             as many transfers, a stream each,
 *                                             then ends
 *
 * The opener says in 8 bytes (BE) how much it sends and in 8 more how much it
 * wants; the other takes the first, sends the second and the SHA-256 of what it
 * got. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conn/conn.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

static const char *const protocols[] = {"/souk/test/bulk/1.0.0"};

enum {
    PART = 64 * 1024,
    HEAD = 16,
    READ_MAX = 256 * 1024,
    CONNS_MAX = 8,
    STREAMS_MAX = 512,
};

static uint8_t part[PART];

struct bulk { /* a stream's user */
    uint32_t stream;
    bool is_opener, has_head, is_done;
    uint8_t head[HEAD];
    size_t head_have;
    uint64_t to_receive, received;
    uint64_t to_send, sent;
    struct sha256 in, out;
    uint8_t told[SHA256_LEN]; /* the other's hash of what we sent */
    size_t told_have;
};

struct link {
    int fd;
    struct conn *conn;
    /* The dialler's: what to do, and what came of it. */
    uint64_t send_count, receive_count;
    unsigned to_open, concurrent;
    unsigned open, good, bad;
    uint8_t expected[SHA256_LEN]; /* of what it receives, right */
};

static tstamp now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

static void fill_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    if (getrandom(out, n, 0) != (ssize_t)n)
        abort();
}
static const struct rng rng = {.fill = fill_random};

static void die(const char *what)
{
    fprintf(stderr, "bulk_peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The protocol. ---- */

static uint64_t be64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

/* The server's part is over with the hash of what it got. */
static void tell(struct link *l, struct bulk *b)
{
    uint8_t hash[SHA256_LEN];

    sha256_final(&b->in, hash);
    if (conn_stream_write(l->conn, b->stream, SPAN_OF(hash)) != OK)
        abort(); /* there is always room for it after an empty buffer */
    conn_stream_finish(l->conn, b->stream);
    b->is_done = true;
}

/* Write as much as the stream takes now. */
static void pump(struct link *l, struct bulk *b)
{
    if (!b->has_head || b->is_done ||
        (!b->is_opener && b->received < b->to_receive))
        return;
    while (b->sent < b->to_send) {
        uint64_t left = b->to_send - b->sent;
        size_t n = left < PART ? (size_t)left : PART;

        if (conn_stream_write(l->conn, b->stream, SPAN(part, n)) != OK)
            return; /* WRITABLE will come */
        if (b->is_opener)
            sha256_add(&b->out, SPAN(part, n));
        b->sent += n;
    }
    if (!b->is_opener)
        tell(l, b);
}

static void take_head(struct bulk *b, struct span *data)
{
    struct span got = span_take(data, HEAD - b->head_have);

    memcpy(b->head + b->head_have, got.data, got.len);
    b->head_have += got.len;
    if (b->head_have < HEAD)
        return;
    b->has_head = true;
    b->to_receive = be64(b->head);
    b->to_send = be64(b->head + 8);
}

static void judge(struct link *l, struct bulk *b)
{
    uint8_t in[SHA256_LEN], out[SHA256_LEN];

    sha256_final(&b->in, in);
    sha256_final(&b->out, out);
    if (memcmp(in, l->expected, sizeof(in)) == 0 &&
        memcmp(out, b->told, sizeof(out)) == 0)
        l->good++;
    else
        l->bad++;
}

static void take_told(struct link *l, struct bulk *b, struct span *data)
{
    struct span got = span_take(data, SHA256_LEN - b->told_have);

    memcpy(b->told + b->told_have, got.data, got.len);
    b->told_have += got.len;
    if (b->told_have < SHA256_LEN || b->is_done)
        return;
    conn_stream_finish(l->conn, b->stream);
    b->is_done = true;
    judge(l, b);
}

static void take(struct link *l, struct bulk *b, struct span data)
{
    if (!b->has_head)
        take_head(b, &data);
    if (b->received < b->to_receive) {
        uint64_t left = b->to_receive - b->received;
        struct span got =
            span_take(&data, left < data.len ? (size_t)left : data.len);

        sha256_add(&b->in, got);
        b->received += got.len;
    }
    if (b->is_opener && data.len > 0)
        take_told(l, b, &data);
    pump(l, b);
}

/* ---- Opening. ---- */

static bool begin(struct link *l)
{
    struct bulk *b;
    uint32_t stream;

    if (conn_stream_open(l->conn, protocols, 1, now(), &stream) != OK)
        return false;
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        abort();
    conn_stream_set_user(l->conn, stream, b);
    b->stream = stream;
    b->is_opener = b->has_head = true;
    b->to_send = l->send_count;
    b->to_receive = l->receive_count;
    sha256_init(&b->in);
    sha256_init(&b->out);
    put_be64(b->head, b->to_send);
    put_be64(b->head + 8, b->to_receive);
    if (conn_stream_write(l->conn, stream, SPAN_OF(b->head)) != OK)
        abort();
    l->open++;
    l->to_open--;
    pump(l, b);
    return true;
}

static void begin_more(struct link *l)
{
    while (l->fd >= 0 && l->to_open > 0 && l->open < l->concurrent && begin(l))
        ;
}

/* ---- The connection. ---- */

static void serve_one(struct link *l, uint32_t stream)
{
    struct bulk *b = calloc(1, sizeof(*b));

    if (b == NULL)
        abort();
    b->stream = stream;
    sha256_init(&b->in);
    conn_stream_set_user(l->conn, stream, b);
}

static void end_one(struct link *l, struct bulk *b, enum err err)
{
    if (b == NULL)
        return;
    if (b->is_opener) {
        l->open--;
        if (!b->is_done) {
            fprintf(stderr, "bulk_peer: a stream: %s\n", err_text(err));
            l->bad++;
        }
    }
    free(b);
}

static void on_event(struct link *l, const struct conn_event *ev)
{
    struct bulk *b = ev->user;

    switch (ev->type) {
    case CONN_EV_STREAM_INBOUND:
        serve_one(l, ev->stream);
        break;
    case CONN_EV_STREAM_DATA:
        take(l, b, ev->data);
        conn_stream_consumed(l->conn, ev->stream, ev->data.len, now());
        break;
    case CONN_EV_STREAM_WRITABLE:
        pump(l, b);
        break;
    case CONN_EV_STREAM_RESET:
    case CONN_EV_STREAM_ENDED:
        end_one(l, b, ev->err);
        break;
    case CONN_EV_CLOSED:
        if (l->to_open > 0 || l->open > 0)
            fprintf(stderr, "bulk_peer: closed: %s\n", err_text(ev->err));
        close(l->fd);
        l->fd = -1;
        break;
    case CONN_EV_NONE:
    case CONN_EV_UPGRADED:
    case CONN_EV_STREAM_READY:
    case CONN_EV_STREAM_FIN:
    case CONN_EV_GO_AWAY:
        break;
    }
}

static void drain(struct link *l)
{
    struct conn_event ev;

    while (l->fd >= 0 && conn_poll(l->conn, &ev))
        on_event(l, &ev);
}

static void flush(struct link *l)
{
    struct span out;

    while (l->fd >= 0 && (out = conn_out(l->conn)).len > 0) {
        ssize_t n = send(l->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n <= 0)
            return;
        conn_sent(l->conn, (size_t)n);
        drain(l);
    }
}

static void receive(struct link *l)
{
    static uint8_t bytes[READ_MAX];
    ssize_t n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0)
        conn_recv(l->conn, bytes, (size_t)n, now());
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        conn_recv_eof(l->conn, now());
    drain(l);
}

static void link_start(struct link *l, int fd, bool is_dialer,
                       const struct ed25519_keypair *key,
                       const struct peer_id *expected)
{
    struct conn_config config = {.is_dialer = is_dialer,
                                 .identity = key,
                                 .expected = expected,
                                 .protocols = protocols,
                                 .protocols_count = 1,
                                 .limits = {.streams_in_max = STREAMS_MAX,
                                            .streams_out_max = STREAMS_MAX}};
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *l = (struct link){.fd = fd};
    l->conn = conn_new(&config, now(), &rng, &mem_libc, NULL);
}

static void link_stop(struct link *l)
{
    conn_free(l->conn);
    if (l->fd >= 0)
        close(l->fd);
    *l = (struct link){.fd = -1};
}

/* ---- Listening. ---- */

static int timeout_ms(const struct link *links, size_t count)
{
    tstamp next = TSTAMP_NEVER, at = now();

    for (size_t i = 0; i < count; i++)
        if (links[i].fd >= 0)
            next = tstamp_min(next, conn_deadline(links[i].conn));
    if (next == TSTAMP_NEVER)
        return -1;
    return next <= at ? 0 : (int)((next - at) / MILLISECONDS) + 1;
}

static void service(struct link *l, short revents)
{
    if (l->fd < 0)
        return;
    if (revents & (POLLIN | POLLHUP | POLLERR))
        receive(l);
    if (l->fd >= 0) {
        conn_tick(l->conn, now());
        drain(l);
        flush(l);
    }
    if (l->fd < 0)
        link_stop(l);
}

static short wanted(struct link *l)
{
    return (short)(POLLIN | (conn_out(l->conn).len > 0 ? POLLOUT : 0));
}

static int listening_socket(uint16_t *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof(any);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
        listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&any, &len) != 0)
        die("listen");
    *port = ntohs(any.sin_port);
    return fd;
}

static void accept_one(int listener, struct link *links,
                       const struct ed25519_keypair *key)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    for (size_t i = 0; fd >= 0 && i < CONNS_MAX; i++)
        if (links[i].fd < 0) {
            link_start(&links[i], fd, false, key, NULL);
            return;
        }
    if (fd >= 0)
        close(fd);
}

static int serve(const struct ed25519_keypair *key, const struct peer_id *self)
{
    struct link links[CONNS_MAX];
    struct pollfd polls[CONNS_MAX + 2];
    char id[PEER_ID_TEXT_MAX];
    uint16_t port;
    int listener = listening_socket(&port);

    for (size_t i = 0; i < CONNS_MAX; i++)
        links[i] = (struct link){.fd = -1};
    printf("{\"peer\":\"%s\",\"listen\":\"/ip4/127.0.0.1/tcp/%u/p2p/%s\"}\n",
           peer_id_format(self, id), port, id);
    fflush(stdout);
    for (;;) {
        polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        for (size_t i = 0; i < CONNS_MAX; i++)
            polls[i + 2] = (struct pollfd){
                .fd = links[i].fd,
                .events = links[i].fd >= 0 ? wanted(&links[i]) : (short)0};
        if (poll(polls, CONNS_MAX + 2, timeout_ms(links, CONNS_MAX)) < 0)
            die("poll");
        if (polls[1].revents != 0)
            break;
        for (size_t i = 0; i < CONNS_MAX; i++)
            service(&links[i], polls[i + 2].revents);
        if (polls[0].revents & POLLIN)
            accept_one(listener, links, key);
    }
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (links[i].fd >= 0)
            link_stop(&links[i]);
    close(listener);
    return 0;
}

/* ---- Dialling. ---- */

static int connect_to(const struct endpoint *e)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(e->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(&to.sin_addr, e->ip, 4);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    return fd;
}

static bool is_upgraded(const struct conn *c)
{
    struct conn_stats stats;

    conn_stats(c, &stats);
    return stats.is_upgraded;
}

/* The hash of |count| bytes as everybody sends them. */
static void hash_of(uint64_t count, uint8_t out[SHA256_LEN])
{
    struct sha256 hash;

    sha256_init(&hash);
    for (uint64_t left = count; left > 0;) {
        size_t n = left < PART ? (size_t)left : PART;

        sha256_add(&hash, SPAN(part, n));
        left -= n;
    }
    sha256_final(&hash, out);
}

static void dial_link(struct link *l, const struct ed25519_keypair *key,
                      const char *address)
{
    struct multiaddr addr;
    struct endpoint e;

    if (multiaddr_parse(&addr, span_str(address)) != OK ||
        !multiaddr_endpoint(&addr, &e) || e.kind != ENDPOINT_IP4)
        die("address");
    link_start(l, connect_to(&e), true, key,
               peer_id_is_none(&e.peer) ? NULL : &e.peer);
}

static int dial(const struct ed25519_keypair *key, char **argv, unsigned count,
                unsigned concurrent)
{
    struct link l;
    struct conn_stats stats = {0};
    uint8_t expected[SHA256_LEN];
    tstamp begun = 0;
    double seconds;
    bool is_good;

    /* Before anybody waits for us: a gigabyte takes a while. */
    hash_of(strtoull(argv[2], NULL, 10), expected);
    dial_link(&l, key, argv[0]);
    memcpy(l.expected, expected, sizeof(expected));
    l.send_count = strtoull(argv[1], NULL, 10);
    l.receive_count = strtoull(argv[2], NULL, 10);
    l.to_open = count;
    l.concurrent = concurrent;
    while (l.fd >= 0 && l.bad == 0 && l.good < count) {
        struct pollfd p = {.fd = l.fd, .events = wanted(&l)};

        if (poll(&p, 1, timeout_ms(&l, 1)) < 0)
            die("poll");
        service(&l, p.revents);
        if (l.conn == NULL || !is_upgraded(l.conn))
            continue;
        if (begun == 0)
            begun = now();
        begin_more(&l);
        flush(&l);
    }
    seconds = (double)(now() - begun) / (double)SECONDS;
    if (l.conn != NULL)
        conn_stats(l.conn, &stats);
    printf("{\"seconds\":%.6f,\"good\":%u,\"early_muxer\":%s}\n", seconds,
           l.good, stats.has_early_muxer ? "true" : "false");
    is_good = l.good == count;
    if (l.fd >= 0) {
        flush(&l);
        link_stop(&l);
    }
    return is_good ? 0 : 1;
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    struct ed25519_keypair key;
    struct peer_id self;

    for (size_t i = 0; i < PART; i++)
        part[i] = (uint8_t)(i % 251);
    ed25519_generate(&key, &rng);
    peer_id_from_ed25519(&self, key.pub);
    if (argc == 2 && strcmp(argv[1], "listen") == 0)
        return serve(&key, &self);
    if (argc == 5 && strcmp(argv[1], "dial") == 0)
        return dial(&key, argv + 2, 1, 1);
    if (argc == 7 && strcmp(argv[1], "dial") == 0)
        return dial(&key, argv + 2, number(argv[5]), number(argv[6]));
    fprintf(stderr, "usage: bulk_peer listen | "
                    "dial ADDR SEND RECEIVE [COUNT CONCURRENT]\n");
    return 2;
}
