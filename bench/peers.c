/* SPDX-License-Identifier: Apache-2.0 */

/* Many souk nodes in one process, each connected to the one named and to nobody
 * else: what 100 connections cost that one.
 *
 *      bench_peers COUNT /ip4/127.0.0.1/tcp/PORT/p2p/ID
 *
 * They are whole nodes (identify, DHT, gossip, search) without a store; DHT
 * clients, so that they do not come to know each other.  Prints "connected"
 * when all are, and stays until its input ends. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include "node/node.h"
#include "tbl/network.h"

enum { PEERS_MAX = 1000, READ_MAX = 256 * 1024 };

struct peer {
    struct node *node;
    struct ed25519_keypair identity;
    conn_id conn; /* 0: none */
    int fd;
    bool is_dialling, is_blocked;
};

static struct peer peers[PEERS_MAX];
static unsigned peer_count;
static uint8_t bytes[READ_MAX];

static tstamp now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

static wall_ms wall(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fill_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    if (getrandom(out, n, 0) != (ssize_t)n)
        abort();
}
static const struct rng rng = {.fill = fill_random};

/* ---- The one socket of a peer. ---- */

static void hang_up(struct peer *p)
{
    if (p->conn != 0)
        (void)close(p->fd);
    p->conn = 0;
}

static void lost(struct peer *p, enum err err)
{
    conn_id conn = p->conn;

    hang_up(p);
    node_conn_closed(p->node, conn, err, now());
}

static void dial(struct peer *p, const struct node_action *a)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct endpoint e;
    int on = 1;

    if (p->conn != 0 || !multiaddr_endpoint(a->addr, &e) ||
        e.kind != ENDPOINT_IP4) {
        node_conn_closed(p->node, a->conn, ERR_DIAL_FAILED, now());
        return;
    }
    memcpy(&to.sin_addr, e.ip, 4);
    to.sin_port = htons(e.port);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    p->conn = a->conn;
    p->is_dialling = true;
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(p->fd, (const struct sockaddr *)&to, sizeof(to)) != 0 &&
        errno != EINPROGRESS)
        lost(p, ERR_DIAL_FAILED);
}

static void flush(struct peer *p)
{
    struct span out;

    if (p->conn == 0 || p->is_dialling)
        return;
    p->is_blocked = false;
    while ((out = node_conn_out(p->node, p->conn)).len > 0) {
        ssize_t n = send(p->fd, out.data, out.len, MSG_NOSIGNAL);

        if (n < 0) {
            p->is_blocked = errno == EAGAIN;
            if (!p->is_blocked)
                lost(p, ERR_CLOSED);
            return;
        }
        node_conn_sent(p->node, p->conn, (size_t)n, now());
    }
}

static void receive(struct peer *p)
{
    ssize_t n = read(p->fd, bytes, sizeof(bytes));

    if (n > 0)
        node_conn_recv(p->node, p->conn, bytes, (size_t)n, now(), wall());
    else if (n == 0 || errno != EAGAIN)
        lost(p, n == 0 ? OK : ERR_CLOSED);
}

static void on_ready(struct peer *p, short events)
{
    int code = 0;
    socklen_t len = sizeof(code);

    if (p->is_dialling) {
        (void)getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &len);
        p->is_dialling = false;
        if (code != 0)
            lost(p, ERR_DIAL_FAILED);
        else
            node_conn_dialled(p->node, p->conn, now());
        return;
    }
    if (events & POLLOUT)
        flush(p);
    if (p->conn != 0 && (events & (POLLIN | POLLHUP | POLLERR)))
        receive(p);
}

/* ---- What the nodes want. ---- */

static void perform(struct peer *p, const struct node_action *a)
{
    switch (a->type) {
    case NODE_DIAL:
        dial(p, a);
        break;
    case NODE_FLUSH:
        if (a->conn == p->conn)
            flush(p);
        break;
    case NODE_CLOSE:
        if (a->conn == p->conn)
            hang_up(p);
        break;
    case NODE_RESOLVE:
        node_resolved(p->node, a->query, ERR_NOT_FOUND, NULL, 0, now());
        break;
    case NODE_OUTBOX_LOAD:
        node_outbox_loaded(p->node, NULL, 0, now(), wall());
        break;
    case NODE_CATALOGUE_SEARCH:
        node_catalogue_found(p->node, a->query, OK, NULL, 0, 0, now());
        break;
    case NODE_NONE:
    case NODE_OUTBOX_DONE:
    case NODE_ACCEPT:
    case NODE_SAVE_RECORD:
    case NODE_FORGET_RECORD:
    case NODE_SAVE_PROVIDER:
    case NODE_FORGET_PROVIDER:
    case NODE_SAVE_PEER:
    case NODE_FORGET_PEER:
    case NODE_ANSWER:
    case NODE_SPAN:
        break; /* nothing is kept */
    }
}

static void settle(struct peer *p)
{
    struct node_action a;

    while (node_poll(p->node, &a))
        perform(p, &a);
}

static void start(struct peer *p, const struct multiaddr *target)
{
    struct node_config config = {
        .network = network_find("souk"),
        .identity = &p->identity,
        .agent = "souk/bench",
        .is_private_network = true,
        .is_client = true,
        .bootstrap = target,
        .bootstrap_count = 1,
    };

    ed25519_generate(&p->identity, &rng);
    p->node = node_new(&config, now(), wall(), &rng, &mem_libc, &log_none);
    node_start(p->node, now(), wall());
    settle(p);
}

/* ---- All of them. ---- */

static int wait_ms(void)
{
    tstamp t = now(), next = TSTAMP_NEVER;

    for (unsigned i = 0; i < peer_count; i++)
        next = tstamp_min(next, node_deadline(peers[i].node));
    if (next <= t)
        return 0;
    return next - t > SECONDS ? 1000 : (int)((next - t) / MILLISECONDS) + 1;
}

static void turn(struct pollfd *fds)
{
    for (unsigned i = 0; i < peer_count; i++)
        fds[1 + i] = (struct pollfd){.fd = peers[i].conn ? peers[i].fd : -1,
                                     .events = peers[i].is_dialling ||
                                                       peers[i].is_blocked
                                                   ? POLLIN | POLLOUT
                                                   : POLLIN};
    if (poll(fds, 1 + peer_count, wait_ms()) < 0)
        return;
    for (unsigned i = 0; i < peer_count; i++) {
        if (fds[1 + i].revents != 0)
            on_ready(&peers[i], fds[1 + i].revents);
        settle(&peers[i]);
        if (node_deadline(peers[i].node) <= now())
            node_tick(peers[i].node, now(), wall());
        settle(&peers[i]);
    }
}

static unsigned connected(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < peer_count; i++) {
        struct node_status status;

        node_status(peers[i].node, &status);
        count += status.peers_connected > 0;
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct pollfd fds[1 + PEERS_MAX];
    struct multiaddr target;
    bool has_told = false;

    if (argc != 3 || (peer_count = (unsigned)atoi(argv[1])) == 0 ||
        peer_count > PEERS_MAX ||
        multiaddr_parse(&target, span_str(argv[2])) != OK) {
        (void)fprintf(stderr, "usage: bench_peers COUNT MULTIADDR/p2p/ID\n");
        return 2;
    }
    for (unsigned i = 0; i < peer_count; i++)
        start(&peers[i], &target);
    fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    while (fds[0].revents == 0) {
        turn(fds);
        if (!has_told && connected() == peer_count) {
            has_told = true;
            (void)puts("connected");
            (void)fflush(stdout);
        }
    }
    for (unsigned i = 0; i < peer_count; i++) {
        hang_up(&peers[i]);
        node_free(peers[i].node);
    }
    return 0;
}
