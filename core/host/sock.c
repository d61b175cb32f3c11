/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/internal.h"

/* The sockets of the node's connections, under uv_poll_t and not uv_tcp_t: what
 * is written stays in the node's own bounded buffers until the kernel takes it,
 * so nothing is copied and nothing piles up here. */

bool multiaddr_from_sockaddr(struct multiaddr *out,
                             const struct sockaddr_storage *from)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    if (from->ss_family == AF_INET) {
        memcpy(&in, from, sizeof(in));
        multiaddr_from_ip(out, SPAN(&in.sin_addr, 4), ntohs(in.sin_port));
        return true;
    }
    if (from->ss_family == AF_INET6) {
        memcpy(&in6, from, sizeof(in6));
        multiaddr_from_ip(out, SPAN(&in6.sin6_addr, 16), ntohs(in6.sin6_port));
        return true;
    }
    return false;
}

socklen_t multiaddr_to_sockaddr(const struct multiaddr *addr,
                                struct sockaddr_storage *out)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct endpoint e;

    *out = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    if (!multiaddr_endpoint(addr, &e))
        return 0;
    if (e.kind == ENDPOINT_IP4) {
        memcpy(&in.sin_addr, e.ip, 4);
        in.sin_port = htons(e.port);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    if (e.kind == ENDPOINT_IP6) {
        memcpy(&in6.sin6_addr, e.ip, 16);
        in6.sin6_port = htons(e.port);
        memcpy(out, &in6, sizeof(in6));
        return sizeof(in6);
    }
    return 0;
}

static struct sock *sock_find(const struct host *h, conn_id id)
{
    struct sock *s;

    MAP_FIND(h->socks, &id, sizeof(id), s);
    return s;
}

static void on_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void sock_close(struct sock *s)
{
    MAP_DEL(s->host->socks, s);
    uv_close((uv_handle_t *)&s->poll, on_freed);
    (void)close(s->fd);
    s->fd = -1;
}

/* The connection is over on its own account. */
static void sock_end(struct sock *s, enum err err)
{
    struct host *h = s->host;
    conn_id id = s->id;

    sock_close(s);
    node_conn_closed(h->node, id, err, clock_now());
}

static void on_ready(uv_poll_t *poll, int status, int events);

static void sock_watch(struct sock *s, int events)
{
    int failed;

    if (events == s->events)
        return;
    s->events = events;
    failed = uv_poll_start(&s->poll, events, on_ready);
    assert(!failed);
    (void)failed;
}

/* Takes |fd|; NULL: no memory. */
static struct sock *sock_new(struct host *h, conn_id id, int fd)
{
    struct sock *s = calloc(1, sizeof(*s));
    int on = 1;

    if (s == NULL || uv_poll_init(&h->loop, &s->poll, fd) != 0) {
        free(s);
        (void)close(fd);
        return NULL;
    }
    /* Our messages are whole when we write them. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    s->id = id;
    s->fd = fd;
    s->host = h;
    s->poll.data = s;
    MAP_ADD(h->socks, &s->id, sizeof(s->id), s);
    return s;
}

void socks_accepted(struct host *h, int fd, conn_id id)
{
    struct sock *s = sock_new(h, id, fd);

    if (s == NULL)
        node_conn_closed(h->node, id, ERR_NOMEM, clock_now());
    else
        sock_watch(s, UV_READABLE);
}

static void dialled(struct sock *s)
{
    s->is_dialling = false;
    sock_watch(s, UV_READABLE);
    node_conn_dialled(s->host->node, s->id, clock_now());
}

static int connect_socket(const struct multiaddr *addr, int *code)
{
    struct sockaddr_storage to;
    socklen_t len = multiaddr_to_sockaddr(addr, &to);
    int fd;

    *code = EAFNOSUPPORT;
    if (len == 0)
        return -1;
    fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *code = errno;
        return -1;
    }
    *code = connect(fd, (const struct sockaddr *)&to, len) == 0 ? 0 : errno;
    return fd;
}

/* The node sets the dial's deadline, and closes it then. */
void socks_dial(struct host *h, conn_id id, const struct multiaddr *addr)
{
    struct sock *s;
    int code;
    int fd = connect_socket(addr, &code);

    if (fd < 0 || (code != 0 && code != EINPROGRESS)) {
        if (fd >= 0)
            (void)close(fd);
        h->descriptors_refused += code == EMFILE || code == ENFILE;
        node_conn_closed(h->node, id, err_from_errno(code), clock_now());
        return;
    }
    s = sock_new(h, id, fd);
    if (s == NULL) {
        node_conn_closed(h->node, id, ERR_NOMEM, clock_now());
    } else if (code == 0) {
        dialled(s);
    } else {
        s->is_dialling = true;
        sock_watch(s, UV_WRITABLE);
    }
}

static int pending_error(const struct sock *s)
{
    socklen_t len = sizeof(int);
    int code = 0;

    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        return errno;
    return code;
}

/* One read; false if there will be no other: |s| has ended or has no more. */
static bool sock_read(struct sock *s)
{
    struct host *h = s->host;
    conn_id id = s->id;
    ssize_t n = read(s->fd, h->read_buffer, READ_BYTES);

    if (n < 0) {
        if (errno == EINTR)
            return true;
        if (errno != EAGAIN)
            sock_end(s, err_from_errno(errno));
        return false;
    }
    if (n == 0) {
        sock_end(s, OK);
        return false;
    }
    node_conn_recv(h->node, id, h->read_buffer, (size_t)n, clock_now(),
                   clock_wall());
    h->unsettled += (size_t)n;
    if (h->unsettled >= READ_BYTES)
        host_settle(h);
    return sock_find(h, id) != NULL;
}

/* Write what the node has, at most a turn's worth; false if |s| has ended. */
static bool sock_flush(struct sock *s)
{
    struct host *h = s->host;
    size_t turn = WRITE_TURN_BYTES;

    while (turn > 0) {
        struct span out = node_conn_out(h->node, s->id);
        ssize_t n;

        if (out.len == 0) {
            sock_watch(s, UV_READABLE);
            return true;
        }
        n = send(s->fd, out.data, out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            sock_end(s, err_from_errno(errno));
            return false;
        }
        node_conn_sent(h->node, s->id, (size_t)n, clock_now());
        turn -= (size_t)n < turn ? (size_t)n : turn;
    }
    sock_watch(s, UV_READABLE | UV_WRITABLE);
    return true;
}

void socks_flush(struct host *h, conn_id id)
{
    struct sock *s = sock_find(h, id);

    /* When the socket was full it is watched, and says when it is not. */
    if (s != NULL && !s->is_dialling && !(s->events & UV_WRITABLE))
        (void)sock_flush(s);
}

void socks_close(struct host *h, conn_id id)
{
    struct sock *s = sock_find(h, id);

    if (s != NULL)
        sock_close(s);
}

void socks_close_all(struct host *h)
{
    struct sock *s, *tmp;

    MAP_FOR_EACH(h->socks, s, tmp)
        sock_close(s);
}

/* libuv reports an error of the socket as UV_EBADF and stops watching. */
static void on_broken(struct sock *s)
{
    struct host *h = s->host;
    conn_id id = s->id;
    int code = pending_error(s);

    s->events = 0;
    /* What came before the error is still worth reading. */
    while (!s->is_dialling && sock_read(s))
        continue;
    s = sock_find(h, id);
    if (s != NULL)
        sock_end(s, err_from_errno(code ? code : ECONNRESET));
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct sock *s = poll->data;
    struct host *h = s->host;
    int code;

    if (status != 0) {
        on_broken(s);
    } else if (s->is_dialling) {
        code = pending_error(s);
        if (code != 0)
            sock_end(s, err_from_errno(code));
        else
            dialled(s);
    } else if (!(events & UV_WRITABLE) || sock_flush(s)) {
        if (events & UV_READABLE)
            (void)sock_read(s);
    }
    h->unsettled++; /* all that is ready is heard before anybody is answered */
}
