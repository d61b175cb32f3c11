/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/span.h"
#include "souk/err.h"

/* Who asks: an IP address, ours to believe from the socket, and from
 * X-Forwarded-For only as far as the proxies on the way are trusted. */
struct ip {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};
struct ip_net {
    struct ip ip;
    unsigned bits; /* of the sixteen bytes */
};

/* false: not IPv4, nor IPv6, nor one of them with a port ("1.2.3.4:80",
 * "[::1]", "[::1]:80"). */
bool ip_parse(struct span text, struct ip *out);
/* false: another address family, as a unix socket's. */
bool ip_from_sockaddr(const struct sockaddr *addr, struct ip *out);
bool ip_is_loopback(const struct ip *ip);
bool ip_eq(const struct ip *a, const struct ip *b);

/* "10.0.0.0/8", "::1", …  ERR_CONFIG. */
MUST_USE
enum err ip_net_parse(const char *text, struct ip_net *out);
bool ip_net_has(const struct ip_net *net, const struct ip *ip);
bool ip_nets_have(const struct ip_net *nets, size_t count, const struct ip *ip);

/* The client behind |peer|, a trusted proxy: the last address of |forwarded|
 * (X-Forwarded-For) that is no trusted proxy itself; |peer| when there is none.
 * What stands before it could be anybody's invention. */
struct ip ip_forwarded(const struct ip_net *proxies, size_t count,
                       const struct ip *peer, struct span forwarded);

#endif /* GATEWAY_CLIENT_H */
