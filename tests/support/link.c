/* SPDX-License-Identifier: Apache-2.0 */
#include "support/link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "host/system.h"

enum { READ_MAX = 256 * 1024, BACKLOG = 64 };

void link_die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- Sockets. ---- */

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        link_die("socket");
    return fd;
}

int link_connect(const struct endpoint *to, int receive_buffer)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(to->port)};
    int fd = tcp_socket();

    if (to->kind != ENDPOINT_IP4)
        abort();
    if (receive_buffer > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                         sizeof(receive_buffer));
    memcpy(&sa.sin_addr, to->ip, 4);
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        link_die("connect");
    return fd;
}

int link_listen(uint16_t *port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    int fd = tcp_socket();

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
        listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
        link_die("listen");
    *port = ntohs(sa.sin_port);
    return fd;
}

/* ---- The connection. ---- */

void link_start(struct link *l, int fd, const struct conn_config *config,
                link_on_event *on_event, void *owner)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *l = (struct link){.fd = fd, .on_event = on_event, .owner = owner};
    l->conn = conn_new(config, clock_now(), &rng_system, &mem_libc, NULL);
}

static void close_socket(struct link *l)
{
    if (l->fd >= 0)
        (void)close(l->fd);
    l->fd = -1;
}

void link_stop(struct link *l)
{
    close_socket(l);
    conn_free(l->conn);
    l->conn = NULL;
}

static void drain(struct link *l)
{
    struct conn_event ev;

    while (l->fd >= 0 && conn_poll(l->conn, &ev)) {
        l->on_event(l->owner, &ev);
        if (ev.type == CONN_EV_CLOSED)
            close_socket(l);
    }
}

static void receive(struct link *l)
{
    static uint8_t bytes[READ_MAX];
    ssize_t n = recv(l->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0)
        conn_recv(l->conn, bytes, (size_t)n, clock_now());
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        conn_recv_eof(l->conn, clock_now());
    drain(l);
}

void link_service(struct link *l, short revents)
{
    if (l->fd < 0)
        return;
    if (l->is_deaf && (revents & (POLLHUP | POLLERR)))
        conn_recv_eof(l->conn, clock_now());
    else if (!l->is_deaf && (revents & (POLLIN | POLLHUP | POLLERR)))
        receive(l);
    if (l->fd < 0)
        return;
    conn_tick(l->conn, clock_now());
    drain(l);
}

void link_flush(struct link *l)
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

/* ---- Waiting. ---- */

short link_wanted(struct link *l)
{
    if (l->fd < 0)
        return 0;
    return (short)((l->is_deaf ? 0 : POLLIN) |
                   (conn_out(l->conn).len > 0 ? POLLOUT : 0));
}

tstamp link_deadline(const struct link *l)
{
    return l->fd < 0 ? TSTAMP_NEVER : conn_deadline(l->conn);
}

int link_wait_ms(tstamp until)
{
    tstamp at = clock_now();

    if (until == TSTAMP_NEVER)
        return -1;
    return until <= at ? 0 : (int)((until - at) / MILLISECONDS) + 1;
}
