/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/internal.h"

enum { BACKLOG = 512 };

/* ---- Binding. ---- */

static int bind_socket(const struct sockaddr_storage *to, socklen_t len)
{
    int fd =
        socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int code;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* IPv4 has listeners of its own. */
    if (to->ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)to, len) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    code = errno;
    (void)close(fd);
    errno = code;
    return -1;
}

static bool is_any_address(const struct multiaddr *addr)
{
    static const uint8_t zeros[16];
    struct endpoint e;

    return multiaddr_endpoint(addr, &e) && memcmp(e.ip, zeros, 16) == 0;
}

static enum err refuse(const struct multiaddr *addr, const char *what,
                       char why[256])
{
    char text[MULTIADDR_TEXT_MAX];

    (void)snprintf(why, 256, "cannot listen on %.128s: %s",
                   multiaddr_format(addr, text), what);
    return ERR_IO;
}

static enum err listener_open(struct host *h, const struct multiaddr *addr,
                              char why[256])
{
    struct sockaddr_storage at;
    socklen_t len = multiaddr_to_sockaddr(addr, &at);
    struct listener *l;
    int fd;

    if (len == 0)
        return refuse(addr, "an ip4 or ip6 address with a tcp port is wanted",
                      why);
    fd = bind_socket(&at, len);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
        h->config.listen_is_default) {
        (void)refuse(addr, strerror(errno), why);
        log_warn(h->config.log, "host", "%s", why);
        return OK;
    }
    if (fd < 0)
        return refuse(addr, strerror(errno), why);
    len = sizeof(at);
    l = mem_new(&mem_libc, sizeof(*l));
    l->fd = fd;
    l->host = h;
    l->poll.data = l;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        !multiaddr_from_sockaddr(&l->addr, &at)) {
        (void)close(fd);
        free(l);
        return refuse(addr, "its address cannot be told", why);
    }
    l->is_any = is_any_address(&l->addr);
    h->listeners[h->listener_count++] = l;
    return OK;
}

/* ---- What others can dial: for 0.0.0.0 that is every interface's. ---- */

static void add_address(struct status_addrs *all, const struct multiaddr *addr)
{
    for (size_t i = 0; i < all->count; i++)
        if (multiaddr_eq(&all->at[i], addr))
            return;
    if (all->count < STATUS_ADDRS_MAX)
        all->at[all->count++] = *addr;
}

static void add_interface(struct status_addrs *all, const struct listener *l,
                          const uv_interface_address_t *i)
{
    struct multiaddr addr;
    struct endpoint e;

    if (!multiaddr_endpoint(&l->addr, &e))
        return;
    if (e.kind == ENDPOINT_IP4 && i->address.address4.sin_family == AF_INET) {
        multiaddr_from_ip(&addr, SPAN(&i->address.address4.sin_addr, 4),
                          e.port);
        add_address(all, &addr);
    } else if (e.kind == ENDPOINT_IP6 &&
               i->address.address6.sin6_family == AF_INET6 &&
               !IN6_IS_ADDR_LINKLOCAL(&i->address.address6.sin6_addr)) {
        /* A link-local address means nothing without its interface. */
        multiaddr_from_ip(&addr, SPAN(&i->address.address6.sin6_addr, 16),
                          e.port);
        add_address(all, &addr);
    }
}

static void collect(const struct host *h, struct status_addrs *all)
{
    uv_interface_address_t *interfaces = NULL;
    int count = 0;

    *all = (struct status_addrs){.count = 0};
    (void)uv_interface_addresses(&interfaces, &count);
    for (size_t i = 0; i < h->listener_count; i++) {
        const struct listener *l = h->listeners[i];

        if (!l->is_any)
            add_address(all, &l->addr);
        for (int j = 0; l->is_any && j < count; j++)
            add_interface(all, l, &interfaces[j]);
    }
    if (interfaces != NULL)
        uv_free_interface_addresses(interfaces, count);
}

static void tell_node(struct host *h)
{
    struct status_addrs all = h->listening;

    for (size_t i = 0; i < h->config.announce_count; i++)
        add_address(&all, &h->announce[i]);
    node_listening(h->node, all.at, all.count);
}

void listeners_refresh(struct host *h, tstamp now)
{
    struct status_addrs all;

    if (now < h->interfaces_at + INTERFACES_EVERY)
        return;
    h->interfaces_at = now;
    collect(h, &all);
    if (all.count == h->listening.count &&
        memcmp(all.at, h->listening.at, all.count * sizeof(all.at[0])) == 0)
        return;
    h->listening = all;
    tell_node(h);
    host_settle(h);
}

enum err listeners_open(struct host *h, char why[256])
{
    if (h->config.listen_count > LISTENERS_MAX) {
        (void)snprintf(why, 256, "more than %d addresses to listen on",
                       LISTENERS_MAX);
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < h->config.listen_count; i++)
        TRY(listener_open(h, &h->config.listen[i], why));
    if (h->listener_count == 0)
        return ERR_IO; /* |why| says it of the last */
    h->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    collect(h, &h->listening);
    h->interfaces_at = clock_now();
    tell_node(h);
    return OK;
}

/* ---- Accepting. ---- */

/* Out of descriptors, the one waiting would keep the listener ready for ever:
 * give up the spare one, take the connection and refuse it. */
static void refuse_waiting(struct host *h, struct listener *l)
{
    tstamp now = clock_now();
    int fd;

    h->descriptors_refused++;
    (void)close(h->spare_fd);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        (void)close(fd);
    h->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (now >= h->warned_at + SECONDS) {
        h->warned_at = now;
        log_warn(h->config.log, "host",
                 "a connection is refused: no file descriptor is left");
    }
}

/* False: none is waiting. */
static bool accept_one(struct host *h, struct listener *l)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(l->fd, (struct sockaddr *)&from, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct multiaddr remote;
    conn_id id;

    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        refuse_waiting(h, l);
        return false;
    }
    if (fd < 0)
        return errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM;
    if (!multiaddr_from_sockaddr(&remote, &from) ||
        node_conn_accepted(h->node, &remote, clock_now(), &id) != OK)
        (void)close(fd);
    else
        socks_accepted(h, fd, id);
    return true;
}

static void on_waiting(uv_poll_t *poll, int status, int events)
{
    struct listener *l = poll->data;
    struct host *h = l->host;

    (void)status, (void)events;
    for (int i = 0; i < ACCEPT_TURN && accept_one(h, l); i++)
        continue;
    host_settle(h);
}

void listeners_start(struct host *h)
{
    for (size_t i = 0; i < h->listener_count; i++) {
        struct listener *l = h->listeners[i];
        int failed = uv_poll_init(&h->loop, &l->poll, l->fd);

        assert(!failed);
        failed = uv_poll_start(&l->poll, UV_READABLE, on_waiting);
        assert(!failed);
        (void)failed;
    }
}

static void on_listener_freed(uv_handle_t *handle)
{
    free(handle->data);
}

void listeners_close(struct host *h)
{
    for (size_t i = 0; i < h->listener_count; i++) {
        struct listener *l = h->listeners[i];

        if (l->poll.loop != NULL)
            uv_close((uv_handle_t *)&l->poll, on_listener_freed);
        (void)close(l->fd);
        if (l->poll.loop == NULL)
            free(l);
    }
    h->listener_count = 0;
    if (h->spare_fd >= 0)
        (void)close(h->spare_fd);
    h->spare_fd = -1;
}
