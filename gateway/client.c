/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void from_ip4(const void *ip4, struct ip *out)
{
    memset(out->bytes, 0, 10);
    out->bytes[10] = out->bytes[11] = 0xff;
    memcpy(out->bytes + 12, ip4, 4);
}

static bool parse_plain(struct span text, struct ip *out)
{
    char z[INET6_ADDRSTRLEN];
    uint8_t ip4[4];

    if (text.len == 0 || text.len >= sizeof(z) ||
        memchr(text.data, '\0', text.len) != NULL)
        return false;
    memcpy(z, text.data, text.len);
    z[text.len] = '\0';
    if (inet_pton(AF_INET, z, ip4) == 1) {
        from_ip4(ip4, out);
        return true;
    }
    return inet_pton(AF_INET6, z, out->bytes) == 1;
}

static bool is_port(struct span s)
{
    if (s.len < 2 || s.len > 6 || s.data[0] != ':')
        return false;
    for (size_t i = 1; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return true;
}

bool ip_parse(struct span text, struct ip *out)
{
    const uint8_t *end;
    struct span rest;

    if (text.len > 0 && text.data[0] == '[') {
        end = memchr(text.data, ']', text.len);
        if (end == NULL)
            return false;
        rest = span_between(end + 1, text.data + text.len);
        return (rest.len == 0 || is_port(rest)) &&
               parse_plain(span_between(text.data + 1, end), out);
    }
    if (parse_plain(text, out))
        return true;
    end = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (end == NULL)
        return false;
    rest = span_between(end, text.data + text.len);
    return is_port(rest) && parse_plain(span_between(text.data, end), out);
}

bool ip_from_sockaddr(const struct sockaddr *addr, struct ip *out)
{
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, addr, sizeof(in));
        from_ip4(&in.sin_addr, out);
        return true;
    }
    if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, addr, sizeof(in6));
        memcpy(out->bytes, &in6.sin6_addr, sizeof(out->bytes));
        return true;
    }
    return false;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
    size_t whole = net->bits / 8;
    unsigned left = net->bits % 8;

    if (memcmp(net->ip.bytes, ip->bytes, whole) != 0)
        return false;
    return left == 0 ||
           (net->ip.bytes[whole] ^ ip->bytes[whole]) >> (8 - left) == 0;
}

bool ip_nets_have(const struct ip_net *nets, size_t count, const struct ip *ip)
{
    for (size_t i = 0; i < count; i++)
        if (ip_net_has(&nets[i], ip))
            return true;
    return false;
}

bool ip_is_loopback(const struct ip *ip)
{
    static const struct ip_net loopback[] = {
        {{{[10] = 0xff, [11] = 0xff, [12] = 127}}, 104},
        {{{[15] = 1}}, 128},
    };

    return ip_nets_have(loopback, 2, ip);
}

enum err ip_net_parse(const char *text, struct ip_net *out)
{
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    bool is_ip4 = memchr(text, ':', n) == NULL;
    unsigned long bits = is_ip4 ? 32 : 128;

    if (!parse_plain(SPAN(text, n), &out->ip))
        return ERR_CONFIG;
    if (slash != NULL) {
        unsigned long max = bits;
        char *end;

        if (slash[1] < '0' || slash[1] > '9')
            return ERR_CONFIG;
        bits = strtoul(slash + 1, &end, 10);
        if (*end != '\0' || bits > max)
            return ERR_CONFIG;
    }
    out->bits = (unsigned)bits + (is_ip4 ? 96 : 0);
    return OK;
}

struct ip ip_forwarded(const struct ip_net *proxies, size_t count,
                       const struct ip *peer, struct span forwarded)
{
    struct ip last = *peer;

    while (forwarded.len > 0) {
        size_t from = forwarded.len;
        struct span item;
        struct ip ip;

        while (from > 0 && forwarded.data[from - 1] != ',')
            from--;
        item = SPAN(forwarded.data + from, forwarded.len - from);
        forwarded.len = from > 0 ? from - 1 : 0;
        while (item.len > 0 && item.data[0] == ' ')
            (void)span_take(&item, 1);
        while (item.len > 0 && item.data[item.len - 1] == ' ')
            item.len--;
        if (!ip_parse(item, &ip))
            break;
        last = ip;
        if (!ip_nets_have(proxies, count, &ip))
            break;
    }
    return last;
}
