/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk bytes over streams, on souk's own connection code and blocking sockets:
 * the same protocol the other implementations' peers speak here.
 *
 *      bulk_peer listen                       serves until stdin ends
 *      bulk_peer dial ADDR SEND RECEIVE [COUNT CONCURRENT]
 *                                             as many transfers, a stream each,
 *                                             then ends
 *      bulk_peer handshakes ADDR COUNT        connections one by one, nothing
 *                                             on them
 *
 * The opener says in 8 bytes (BE) how much it sends and in 8 more how much it
 * wants; the other takes the first, sends the second and the SHA-256 of what it
 * got. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "host/system.h"
#include "multi/peer_id.h"
#include "noise/noise.h"
#include "support/link.h"

static const char *const protocols[] = {"/souk/test/bulk/1.0.0"};

enum {
    PART = 64 * 1024,
    HEAD = 16,
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
    struct sha256 in;
    uint8_t told[SHA256_LEN]; /* the other's hash of what we sent */
    size_t told_have;
};

struct side { /* an end of a connection */
    struct link link;
    /* The dialler's: what to do, and what came of it. */
    uint64_t send_count, receive_count;
    unsigned to_open, concurrent;
    unsigned open, good, bad;
    /* The hashes of what it receives and sends, if all is right. */
    uint8_t expected_in[SHA256_LEN], expected_out[SHA256_LEN];
};

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
static void tell(struct side *d, struct bulk *b)
{
    uint8_t hash[SHA256_LEN];

    sha256_final(&b->in, hash);
    if (conn_stream_write(d->link.conn, b->stream, SPAN_OF(hash)) != OK)
        abort(); /* there is always room for it after an empty buffer */
    conn_stream_finish(d->link.conn, b->stream);
    b->is_done = true;
}

/* Write as much as the stream takes now. */
static void pump(struct side *d, struct bulk *b)
{
    if (!b->has_head || b->is_done ||
        (!b->is_opener && b->received < b->to_receive))
        return;
    while (b->sent < b->to_send) {
        uint64_t left = b->to_send - b->sent;
        size_t n = left < PART ? (size_t)left : PART;

        if (conn_stream_write(d->link.conn, b->stream, SPAN(part, n)) != OK)
            return; /* WRITABLE will come */
        b->sent += n;
    }
    if (!b->is_opener)
        tell(d, b);
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

static void judge(struct side *d, struct bulk *b)
{
    uint8_t in[SHA256_LEN];

    sha256_final(&b->in, in);
    if (memcmp(in, d->expected_in, sizeof(in)) == 0 &&
        memcmp(b->told, d->expected_out, sizeof(b->told)) == 0)
        d->good++;
    else
        d->bad++;
}

static void take_told(struct side *d, struct bulk *b, struct span *data)
{
    struct span got = span_take(data, SHA256_LEN - b->told_have);

    memcpy(b->told + b->told_have, got.data, got.len);
    b->told_have += got.len;
    if (b->told_have < SHA256_LEN || b->is_done)
        return;
    conn_stream_finish(d->link.conn, b->stream);
    b->is_done = true;
    judge(d, b);
}

static void take(struct side *d, struct bulk *b, struct span data)
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
        take_told(d, b, &data);
    pump(d, b);
}

/* ---- Opening. ---- */

static bool begin(struct side *d)
{
    struct bulk *b;
    uint32_t stream;

    if (conn_stream_open(d->link.conn, protocols, 1, clock_now(), &stream) !=
        OK)
        return false;
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        abort();
    conn_stream_set_user(d->link.conn, stream, b);
    b->stream = stream;
    b->is_opener = b->has_head = true;
    b->to_send = d->send_count;
    b->to_receive = d->receive_count;
    sha256_init(&b->in);
    put_be64(b->head, b->to_send);
    put_be64(b->head + 8, b->to_receive);
    if (conn_stream_write(d->link.conn, stream, SPAN_OF(b->head)) != OK)
        abort();
    d->open++;
    d->to_open--;
    pump(d, b);
    return true;
}

static void begin_more(struct side *d)
{
    while (d->link.fd >= 0 && d->to_open > 0 && d->open < d->concurrent &&
           begin(d))
        ;
}

/* ---- The connection. ---- */

static void serve_one(struct side *d, uint32_t stream)
{
    struct bulk *b = calloc(1, sizeof(*b));

    if (b == NULL)
        abort();
    b->stream = stream;
    sha256_init(&b->in);
    conn_stream_set_user(d->link.conn, stream, b);
}

static void end_one(struct side *d, struct bulk *b, enum err err)
{
    if (b == NULL)
        return;
    if (b->is_opener) {
        d->open--;
        if (!b->is_done) {
            fprintf(stderr, "bulk_peer: a stream: %s\n", err_text(err));
            d->bad++;
        }
    }
    free(b);
}

static void on_event(void *owner, const struct conn_event *ev)
{
    struct side *d = owner;
    struct bulk *b = ev->user;

    switch (ev->type) {
    case CONN_EV_STREAM_INBOUND:
        serve_one(d, ev->stream);
        break;
    case CONN_EV_STREAM_DATA:
        take(d, b, ev->data);
        conn_stream_consumed(d->link.conn, ev->stream, ev->data.len,
                             clock_now());
        break;
    case CONN_EV_STREAM_WRITABLE:
        pump(d, b);
        break;
    case CONN_EV_STREAM_RESET:
    case CONN_EV_STREAM_ENDED:
        end_one(d, b, ev->err);
        break;
    case CONN_EV_CLOSED:
        if (d->to_open > 0 || d->open > 0)
            fprintf(stderr, "bulk_peer: closed: %s\n", err_text(ev->err));
        break;
    case CONN_EV_NONE:
    case CONN_EV_UPGRADED:
    case CONN_EV_STREAM_READY:
    case CONN_EV_STREAM_FIN:
    case CONN_EV_GO_AWAY:
        break;
    }
}

static struct noise_static noise_key; /* as of a node: of all connections */

static void start(struct side *d, int fd, bool is_dialer,
                  const struct ed25519_keypair *key,
                  const struct peer_id *expected)
{
    struct conn_config config = {.is_dialer = is_dialer,
                                 .identity = key,
                                 .static_key = &noise_key,
                                 .expected = expected,
                                 .protocols = protocols,
                                 .protocols_count = 1,
                                 .limits = {.streams_in_max = STREAMS_MAX,
                                            .streams_out_max = STREAMS_MAX}};

    *d = (struct side){.send_count = 0};
    link_start(&d->link, fd, &config, on_event, d);
}

/* Receive, go on, send; let go of one that is over. */
static void service(struct side *d, short revents)
{
    link_service(&d->link, revents);
    link_flush(&d->link);
    if (d->link.fd < 0 && d->link.conn != NULL)
        link_stop(&d->link);
}

/* ---- Listening. ---- */

static void accept_one(int listener, struct side *sides,
                       const struct ed25519_keypair *key)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    for (size_t i = 0; fd >= 0 && i < CONNS_MAX; i++)
        if (sides[i].link.fd < 0) {
            start(&sides[i], fd, false, key, NULL);
            return;
        }
    if (fd >= 0)
        close(fd);
}

/* Until stdin has something to say. */
static void serve_all(int listener, struct side *sides,
                      const struct ed25519_keypair *key)
{
    struct pollfd polls[CONNS_MAX + 2];

    for (;;) {
        tstamp next = TSTAMP_NEVER;

        polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        for (size_t i = 0; i < CONNS_MAX; i++) {
            struct link *l = &sides[i].link;

            polls[i + 2] =
                (struct pollfd){.fd = l->fd, .events = link_wanted(l)};
            next = tstamp_min(next, link_deadline(l));
        }
        if (poll(polls, CONNS_MAX + 2, link_wait_ms(next)) < 0)
            link_die("poll");
        if (polls[1].revents != 0)
            return;
        for (size_t i = 0; i < CONNS_MAX; i++)
            service(&sides[i], polls[i + 2].revents);
        if (polls[0].revents & POLLIN)
            accept_one(listener, sides, key);
    }
}

static int serve(const struct ed25519_keypair *key, const struct peer_id *self)
{
    struct side sides[CONNS_MAX];
    char id[PEER_ID_TEXT_MAX];
    uint16_t port;
    int listener = link_listen(&port);

    for (size_t i = 0; i < CONNS_MAX; i++)
        sides[i] = (struct side){.link = {.fd = -1}};
    printf("{\"peer\":\"%s\",\"listen\":\"/ip4/127.0.0.1/tcp/%u/p2p/%s\"}\n",
           peer_id_format(self, id), port, id);
    fflush(stdout);
    serve_all(listener, sides, key);
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (sides[i].link.fd >= 0)
            link_stop(&sides[i].link);
    close(listener);
    return 0;
}

/* ---- Dialling. ---- */

static struct endpoint endpoint_of(const char *address)
{
    struct multiaddr addr;
    struct endpoint e;

    if (multiaddr_parse(&addr, span_str(address)) != OK ||
        !multiaddr_endpoint(&addr, &e) || e.kind != ENDPOINT_IP4) {
        fprintf(stderr, "bulk_peer: no address to dial: %s\n", address);
        exit(2);
    }
    return e;
}

static void dial(struct side *d, const struct ed25519_keypair *key,
                 const struct endpoint *e)
{
    start(d, link_connect(e, 0), true, key,
          peer_id_is_none(&e->peer) ? NULL : &e->peer);
    link_flush(&d->link);
}

/* Wait for something, and go on with it. */
static void turn(struct side *d)
{
    struct pollfd p = {.fd = d->link.fd, .events = link_wanted(&d->link)};

    if (poll(&p, 1, link_wait_ms(link_deadline(&d->link))) < 0)
        link_die("poll");
    service(d, p.revents);
}

static struct conn_stats stats_of(const struct side *d)
{
    struct conn_stats stats = {.is_upgraded = false};

    if (d->link.conn != NULL)
        conn_stats(d->link.conn, &stats);
    return stats;
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

static double seconds_since(tstamp begun)
{
    return (double)(clock_now() - begun) / (double)SECONDS;
}

/* Of this process, all of it. */
static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static int transfers(const struct ed25519_keypair *key, char **argv,
                     unsigned count, unsigned concurrent)
{
    struct endpoint e = endpoint_of(argv[0]);
    uint64_t send_count = strtoull(argv[1], NULL, 10);
    uint64_t receive_count = strtoull(argv[2], NULL, 10);
    uint8_t in[SHA256_LEN], out[SHA256_LEN];
    struct side d;
    tstamp begun = 0;
    bool is_good;

    /* Before anybody waits for us: a gigabyte takes a while. */
    hash_of(receive_count, in);
    if (send_count == receive_count)
        memcpy(out, in, sizeof(out));
    else
        hash_of(send_count, out);
    dial(&d, key, &e);
    memcpy(d.expected_in, in, sizeof(in));
    memcpy(d.expected_out, out, sizeof(out));
    d.send_count = send_count;
    d.receive_count = receive_count;
    d.to_open = count;
    d.concurrent = concurrent;
    while (d.link.fd >= 0 && d.bad == 0 && d.good < count) {
        turn(&d);
        if (!stats_of(&d).is_upgraded)
            continue;
        if (begun == 0)
            begun = clock_now();
        begin_more(&d);
        link_flush(&d.link);
    }
    printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"good\":%u,"
           "\"early_muxer\":%s}\n",
           seconds_since(begun), cpu_seconds(), d.good,
           stats_of(&d).has_early_muxer ? "true" : "false");
    is_good = d.good == count;
    if (d.link.fd >= 0) {
        link_flush(&d.link);
        link_stop(&d.link);
    }
    return is_good ? 0 : 1;
}

/* One after the other: dialled, upgraded, closed. */
static int handshakes(const struct ed25519_keypair *key, const char *address,
                      unsigned count)
{
    struct endpoint e = endpoint_of(address);
    tstamp begun = clock_now();

    for (unsigned i = 0; i < count; i++) {
        struct side d;

        dial(&d, key, &e);
        while (d.link.fd >= 0 && !stats_of(&d).is_upgraded)
            turn(&d);
        if (d.link.fd < 0)
            return 1;
        conn_close(d.link.conn, clock_now());
        while (d.link.fd >= 0)
            turn(&d);
    }
    printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f}\n", seconds_since(begun),
           cpu_seconds());
    return 0;
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
    ed25519_generate(&key, &rng_system);
    noise_static_generate(&noise_key, &key, &rng_system);
    peer_id_from_ed25519(&self, key.pub);
    if (argc == 2 && strcmp(argv[1], "listen") == 0)
        return serve(&key, &self);
    if (argc == 5 && strcmp(argv[1], "dial") == 0)
        return transfers(&key, argv + 2, 1, 1);
    if (argc == 7 && strcmp(argv[1], "dial") == 0)
        return transfers(&key, argv + 2, number(argv[5]), number(argv[6]));
    if (argc == 4 && strcmp(argv[1], "handshakes") == 0)
        return handshakes(&key, argv[2], number(argv[3]));
    fprintf(stderr, "usage: bulk_peer listen | "
                    "dial ADDR SEND RECEIVE [COUNT CONCURRENT] | "
                    "handshakes ADDR COUNT\n");
    return 2;
}
