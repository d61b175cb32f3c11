/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that take all they can get, on souk's own connection code and blocking
 * sockets.
 *
 *      rude_peer ADDR PLAN CONNS COUNT SIZE
 *
 * opens CONNS connections to ADDR, each with an identity of its own, does on
 * each what PLAN says, and holds on to it until stdin ends:
 *
 *      hold     nothing
 *      streams  COUNT streams of the DHT, empty
 *      partial  COUNT of them with SIZE bytes of a message that never ends
 *      long     COUNT of them with a message of SIZE bytes announced
 *      provide  COUNT keys, by ADD_PROVIDER on one stream
 *      search   COUNT searches, a stream each
 *      deaf     COUNT pings' streams with SIZE bytes, and no read any more
 *
 * What has become of it is a line of JSON whenever it changes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "conn/conn.h"
#include "crypto/ed25519.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "multi/uvarint.h"

enum {
    CONNS_MAX = 512,
    READ_MAX = 256 * 1024,
    PART = 16 * 1024,
    SMALL_BUFFER = 4096, /* so that who is deaf soon holds the other up */
};

enum plan_type { HOLD, STREAMS, PARTIAL, LONG, PROVIDE, SEARCH, DEAF };
static const struct plan {
    const char *name;
    const char *protocol;
} plans[] = {
    [HOLD] = {"hold", "/souk/kad/1.0.0"},
    [STREAMS] = {"streams", "/souk/kad/1.0.0"},
    [PARTIAL] = {"partial", "/souk/kad/1.0.0"},
    [LONG] = {"long", "/souk/kad/1.0.0"},
    [PROVIDE] = {"provide", "/souk/kad/1.0.0"},
    [SEARCH] = {"search", "/souk/search/1.0.0"},
    [DEAF] = {"deaf", "/ipfs/ping/1.0.0"},
};

struct stream {
    uint32_t id;
    size_t sent, size;
    bool is_over;
};

struct link {
    int fd;
    struct conn *conn;
    struct ed25519_keypair key;
    struct peer_id self;
    struct stream *streams;
    size_t opened;
    bool is_up, is_deaf;
};

static enum plan_type plan;
static size_t count, size;
static struct link links[CONNS_MAX];
static size_t link_count;
static struct {
    size_t up, closed, ready, reset, ended, sent;
} now_is, told;

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
    fprintf(stderr, "rude_peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void tell(void)
{
    if (memcmp(&now_is, &told, sizeof(told)) == 0)
        return;
    told = now_is;
    printf("{\"up\":%zu,\"closed\":%zu,\"ready\":%zu,\"reset\":%zu,"
           "\"ended\":%zu,\"sent\":%zu}\n",
           told.up, told.closed, told.ready, told.reset, told.ended, told.sent);
    fflush(stdout);
}

/* ---- What is said. ---- */

static void must(enum err err)
{
    if (err != OK)
        abort();
}

/* ADD_PROVIDER of a random key, with its length in front. */
static void put_provider(struct buf *out, const struct link *l)
{
    struct span self = peer_id_span(&l->self);
    struct multiaddr addr;
    uint8_t key[34] = {0x12, 0x20};
    struct buf peer, body;

    fill_random(NULL, key + 2, 32);
    must(multiaddr_parse(&addr, SPAN_LIT("/ip4/127.0.0.1/tcp/1")));
    buf_init(&peer, 1024, &mem_libc);
    buf_init(&body, 1024, &mem_libc);
    must(buf_put_u8(&peer, 0x0a)); /* id */
    must(buf_put_u8(&peer, (uint8_t)self.len));
    must(buf_put(&peer, self));
    must(buf_put_u8(&peer, 0x12)); /* addrs */
    must(buf_put_u8(&peer, (uint8_t)addr.len));
    must(buf_put(&peer, multiaddr_span(&addr)));
    must(buf_put(&body, SPAN_LIT("\x08\x02\x12\x22"))); /* type, key */
    must(buf_put(&body, SPAN_OF(key)));
    must(buf_put_u8(&body, 0x4a)); /* provider_peers */
    must(buf_put_u8(&body, (uint8_t)buf_len(&peer)));
    must(buf_put(&body, buf_span(&peer)));
    must(buf_put_u8(out, (uint8_t)buf_len(&body)));
    must(buf_put(out, buf_span(&body)));
    buf_release(&peer);
    buf_release(&body);
}

static void put_length(struct buf *out, uint64_t n)
{
    for (; n >= 128; n >>= 7)
        must(buf_put_u8(out, (uint8_t)(n | 128)));
    must(buf_put_u8(out, (uint8_t)n));
}

/* The first bytes of a stream. */
static void put_first(struct buf *out, const struct link *l)
{
    static const char query[] = "\x0c\x0a\x05thing\x18\x05\x20\xe8\x07";

    switch (plan) {
    case HOLD:
    case STREAMS:
    case DEAF:
        break;
    case PARTIAL:
        put_length(out, size + 1);
        break;
    case LONG:
        put_length(out, size);
        break;
    case PROVIDE:
        for (size_t i = 0; i < count; i++)
            put_provider(out, l);
        break;
    case SEARCH:
        must(buf_put(out, SPAN(query, sizeof(query) - 1)));
        break;
    }
}

static bool open_one(struct link *l)
{
    struct stream *s = &l->streams[l->opened];
    struct buf first;

    if (conn_stream_open(l->conn, &plans[plan].protocol, 1, now(), &s->id) !=
        OK)
        return false; /* not before the others are taken */
    l->opened++;
    conn_stream_set_user(l->conn, s->id, s);
    buf_init(&first, 1 << 20, &mem_libc);
    put_first(&first, l);
    if (buf_len(&first) > 0)
        must(conn_stream_write(l->conn, s->id, buf_span(&first)));
    s->size = plan == PARTIAL || plan == DEAF ? size : 0;
    now_is.sent += buf_len(&first);
    buf_release(&first);
    if (plan == SEARCH)
        conn_stream_finish(l->conn, s->id);
    return true;
}

static void go_on(struct link *l)
{
    static const uint8_t part[PART];
    size_t wanted = plan == HOLD ? 0 : plan == PROVIDE ? 1 : count;

    if (!l->is_up || l->fd < 0)
        return;
    while (l->opened < wanted && open_one(l))
        continue;
    for (size_t i = 0; i < l->opened; i++) {
        struct stream *s = &l->streams[i];

        while (!s->is_over && s->sent < s->size) {
            size_t n = s->size - s->sent < PART ? s->size - s->sent : PART;

            if (conn_stream_write(l->conn, s->id, SPAN(part, n)) != OK)
                break;
            s->sent += n;
            now_is.sent += n;
        }
    }
    l->is_deaf = plan == DEAF && l->opened == wanted;
}

/* ---- Connections. ---- */

static void on_event(struct link *l, const struct conn_event *ev)
{
    struct stream *s = ev->user;

    switch (ev->type) {
    case CONN_EV_UPGRADED:
        l->is_up = true;
        now_is.up++;
        break;
    case CONN_EV_STREAM_READY:
        now_is.ready++;
        break;
    case CONN_EV_STREAM_DATA:
        conn_stream_consumed(l->conn, ev->stream, ev->data.len, now());
        break;
    case CONN_EV_STREAM_RESET:
    case CONN_EV_STREAM_ENDED:
        now_is.reset += ev->type == CONN_EV_STREAM_RESET;
        now_is.ended += ev->type == CONN_EV_STREAM_ENDED;
        if (s != NULL)
            s->is_over = true;
        break;
    case CONN_EV_CLOSED:
        now_is.closed++;
        now_is.up -= l->is_up;
        close(l->fd);
        l->fd = -1;
        break;
    case CONN_EV_NONE:
    case CONN_EV_STREAM_INBOUND:
    case CONN_EV_STREAM_FIN:
    case CONN_EV_STREAM_WRITABLE:
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

static void service(struct link *l, short revents)
{
    if (l->fd < 0)
        return;
    if (revents & (POLLIN | POLLHUP | POLLERR)) {
        if (!l->is_deaf)
            receive(l);
        else if (revents & (POLLHUP | POLLERR))
            conn_recv_eof(l->conn, now());
    }
    if (l->fd < 0)
        return;
    conn_tick(l->conn, now());
    drain(l);
    go_on(l);
    flush(l);
}

static void connect_to(struct link *l, const struct endpoint *e)
{
    struct conn_config config = {
        .is_dialer = true,
        .identity = &l->key,
        .expected = peer_id_is_none(&e->peer) ? NULL : &e->peer,
        .limits = {.streams_out_max = 4096,
                   .unsent_max = 256 << 20,
                   .pong_within = HOURS},
    };
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(e->port)};
    int on = 1, small = SMALL_BUFFER;

    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        die("socket");
    if (plan == DEAF)
        (void)setsockopt(l->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    memcpy(&to.sin_addr, e->ip, 4);
    if (connect(l->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("connect");
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ed25519_generate(&l->key, &rng);
    peer_id_from_ed25519(&l->self, l->key.pub);
    l->streams = calloc(count + 1, sizeof(*l->streams));
    if (l->streams == NULL)
        die("memory");
    l->conn = conn_new(&config, now(), &rng, &mem_libc, NULL);
    flush(l);
}

/* ---- The loop. ---- */

static int timeout_ms(void)
{
    tstamp next = TSTAMP_NEVER, at = now();

    for (size_t i = 0; i < link_count; i++)
        if (links[i].fd >= 0)
            next = tstamp_min(next, conn_deadline(links[i].conn));
    if (next == TSTAMP_NEVER)
        return -1;
    return next <= at ? 0 : (int)((next - at) / MILLISECONDS) + 1;
}

static short wanted(struct link *l)
{
    return (short)((l->is_deaf ? 0 : POLLIN) |
                   (conn_out(l->conn).len > 0 ? POLLOUT : 0));
}

static void run(void)
{
    struct pollfd polls[CONNS_MAX + 1];

    for (;;) {
        polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        for (size_t i = 0; i < link_count; i++)
            polls[i + 1] = (struct pollfd){
                .fd = links[i].fd,
                .events = links[i].fd >= 0 ? wanted(&links[i]) : (short)0};
        tell();
        if (poll(polls, link_count + 1, timeout_ms()) < 0)
            die("poll");
        if (polls[0].revents != 0)
            return;
        for (size_t i = 0; i < link_count; i++)
            service(&links[i], polls[i + 1].revents);
    }
}

int main(int argc, char **argv)
{
    const size_t plan_count = sizeof(plans) / sizeof(plans[0]);
    struct multiaddr addr;
    struct endpoint e;
    size_t p = 0;

    while (argc == 6 && p < plan_count && strcmp(plans[p].name, argv[2]) != 0)
        p++;
    if (argc != 6 || p == plan_count ||
        multiaddr_parse(&addr, span_str(argv[1])) != OK ||
        !multiaddr_endpoint(&addr, &e) || e.kind != ENDPOINT_IP4) {
        fprintf(stderr, "usage: rude_peer ADDR PLAN CONNS COUNT SIZE\n");
        return 2;
    }
    plan = (enum plan_type)p;
    link_count = strtoul(argv[3], NULL, 10);
    count = strtoul(argv[4], NULL, 10);
    size = strtoul(argv[5], NULL, 10);
    if (link_count > CONNS_MAX)
        return 2;
    for (size_t i = 0; i < link_count; i++)
        connect_to(&links[i], &e);
    run();
    for (size_t i = 0; i < link_count; i++) {
        conn_free(links[i].conn);
        if (links[i].fd >= 0)
            close(links[i].fd);
        free(links[i].streams);
    }
    return 0;
}
