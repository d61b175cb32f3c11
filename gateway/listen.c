/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static enum err parse_unix(const char *path, struct listen_address *out)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (path[0] != '/' || strlen(path) >= sizeof(un.sun_path))
        return ERR_CONFIG;
    memcpy(un.sun_path, path, strlen(path) + 1);
    memcpy(&out->sockaddr, &un, sizeof(un));
    out->len = sizeof(un);
    out->is_unix = true;
    return OK;
}

static void set_ip(struct listen_address *a)
{
    static const struct ip_net ip4 = {{{[10] = 0xff, [11] = 0xff}}, 96};

    if (ip_net_has(&ip4, &a->ip)) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(a->port)};

        memcpy(&in.sin_addr, a->ip.bytes + 12, 4);
        memcpy(&a->sockaddr, &in, sizeof(in));
        a->len = sizeof(in);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(a->port)};

        memcpy(&in6.sin6_addr, a->ip.bytes, 16);
        memcpy(&a->sockaddr, &in6, sizeof(in6));
        a->len = sizeof(in6);
    }
}

enum err listen_parse(const char *text, struct listen_address *out)
{
    const char *colon = strrchr(text, ':');
    unsigned long port;
    struct span host;
    char *end;

    memset(out, 0, sizeof(*out));
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    if (colon == NULL || colon[1] < '0' || colon[1] > '9')
        return ERR_CONFIG;
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX)
        return ERR_CONFIG;
    host = span_between(text, colon);
    if (span_eq(host, SPAN_LIT("localhost")))
        host = SPAN_LIT("127.0.0.1");
    if (memchr(host.data, ':', host.len) != NULL && host.data[0] != '[')
        return ERR_CONFIG; /* an IPv6 address needs its brackets */
    if (!ip_parse(host, &out->ip))
        return ERR_CONFIG;
    out->port = (uint16_t)port;
    set_ip(out);
    return OK;
}

static int fail(int fd)
{
    int saved = errno;

    if (fd >= 0)
        (void)close(fd);
    errno = saved;
    return -1;
}

static int open_one(struct listen_address *a, bool is_first)
{
    const int on = 1;
    socklen_t len = sizeof(a->sockaddr);
    int fd = socket(a->sockaddr.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (a->is_unix) {
        const struct sockaddr_un *un = (const void *)&a->sockaddr;

        (void)unlink(un->sun_path); /* of a run that was killed */
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (a->sockaddr.ss_family == AF_INET6)
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        /* The first binds alone, so that a second souk is refused. */
        if (!is_first)
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    }
    if (bind(fd, (const struct sockaddr *)&a->sockaddr, a->len) != 0)
        return fail(fd);
    if (!a->is_unix && is_first) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
        if (getsockname(fd, (struct sockaddr *)&a->sockaddr, &len) != 0)
            return fail(fd);
        a->port = ntohs(((const struct sockaddr_in *)(const void *)&a->sockaddr)
                            ->sin_port); /* at the same place for IPv6 */
    }
    return listen(fd, BACKLOG) == 0 ? fd : fail(fd);
}

enum err listen_open(struct listen_address *a, int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fds[i] = open_one(a, i == 0);
        if (fds[i] < 0) {
            while (i-- > 0)
                (void)fail(fds[i]);
            return ERR_IO;
        }
    }
    return OK;
}

void listen_url(const struct listen_address *a, char *out, size_t max)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (a->is_unix) {
        const struct sockaddr_un *un = (const void *)&a->sockaddr;

        (void)snprintf(out, max, "unix:%s", un->sun_path);
    } else if (a->sockaddr.ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, a->ip.bytes + 12, host, sizeof(host));
        (void)snprintf(out, max, "http://%s:%u", host, a->port);
    } else {
        (void)inet_ntop(AF_INET6, a->ip.bytes, host, sizeof(host));
        (void)snprintf(out, max, "http://[%s]:%u", host, a->port);
    }
}
