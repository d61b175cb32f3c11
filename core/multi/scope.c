/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/multiaddr.h"

/* What the IANA special-purpose registries say of an address, as far as
 * dialling it goes.  The first row that fits decides. */
struct range {
    uint8_t prefix[16];
    uint8_t bits;
    enum multiaddr_scope scope;
};

static const struct range ranges4[] = {
    {{0}, 8, MULTIADDR_UNREACHABLE},
    {{10}, 8, MULTIADDR_PRIVATE},
    {{100, 64}, 10, MULTIADDR_PRIVATE},
    {{127}, 8, MULTIADDR_LOOPBACK},
    {{169, 254}, 16, MULTIADDR_PRIVATE},
    {{172, 16}, 12, MULTIADDR_PRIVATE},
    {{192, 0, 0}, 24, MULTIADDR_UNREACHABLE},
    {{192, 0, 2}, 24, MULTIADDR_UNREACHABLE},
    {{192, 88, 99}, 24, MULTIADDR_UNREACHABLE},
    {{192, 168}, 16, MULTIADDR_PRIVATE},
    {{198, 18}, 15, MULTIADDR_PRIVATE},
    {{198, 51, 100}, 24, MULTIADDR_UNREACHABLE},
    {{203, 0, 113}, 24, MULTIADDR_UNREACHABLE},
    {{224}, 3, MULTIADDR_UNREACHABLE},
    {{0}, 0, MULTIADDR_GLOBAL},
};

static const struct range ranges6[] = {
    {{[15] = 1}, 128, MULTIADDR_LOOPBACK},
    {{0xfc}, 7, MULTIADDR_PRIVATE},
    {{0xfe, 0x80}, 10, MULTIADDR_PRIVATE},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, MULTIADDR_UNREACHABLE},
    {{0x20}, 3, MULTIADDR_GLOBAL},
    {{0}, 0, MULTIADDR_UNREACHABLE},
};

/* Prefixes of IPv6 whose last four bytes are an IPv4 address: mapped, NAT64. */
static const struct range embedding[] = {
    {{[10] = 0xff, [11] = 0xff}, 96, MULTIADDR_NAMED},
    {{0x00, 0x64, 0xff, 0x9b}, 96, MULTIADDR_NAMED},
};

static bool is_in(struct span ip, const struct range *r)
{
    size_t whole = r->bits / 8;
    unsigned shift = 8 - r->bits % 8;

    if (memcmp(ip.data, r->prefix, whole) != 0)
        return false;
    return shift == 8 || ip.data[whole] >> shift == r->prefix[whole] >> shift;
}

/* The IP of the first part, as IPv4 wherever it is one; empty if none. */
static struct span ip_of(const struct multiaddr *m)
{
    struct span rest = multiaddr_span(m);
    struct multiaddr_part part;

    if (!multiaddr_next(&rest, &part) ||
        (part.code != MULTIADDR_IP4 && part.code != MULTIADDR_IP6))
        return SPAN_NONE;
    if (part.code == MULTIADDR_IP6)
        for (size_t i = 0; i < sizeof(embedding) / sizeof(embedding[0]); i++)
            if (is_in(part.value, &embedding[i]))
                return SPAN(part.value.data + 12, 4);
    return part.value;
}

/* spec: RFC 6761 6.3: localhost and all below it are loopback */
static bool is_localhost(struct span name)
{
    static const char suffix[] = ".localhost";
    enum { LEN = sizeof(suffix) - 1 };

    return span_eq(name, SPAN_LIT("localhost")) ||
           (name.len > LEN &&
            span_eq(SPAN(name.data + name.len - LEN, LEN), SPAN(suffix, LEN)));
}

enum multiaddr_scope multiaddr_scope(const struct multiaddr *m)
{
    struct span ip = ip_of(m), rest = multiaddr_span(m);
    const struct range *r = ip.len == 4 ? ranges4 : ranges6;
    struct multiaddr_part part;

    if (ip.len > 0) {
        while (!is_in(ip, r))
            r++;
        return r->scope;
    }
    if (!multiaddr_next(&rest, &part))
        return MULTIADDR_UNREACHABLE;
    switch ((int)part.code) {
    case MULTIADDR_DNS:
    case MULTIADDR_DNS4:
    case MULTIADDR_DNS6:
    case MULTIADDR_DNSADDR:
        return is_localhost(part.value) ? MULTIADDR_LOOPBACK : MULTIADDR_NAMED;
    default:
        return MULTIADDR_UNREACHABLE;
    }
}

bool multiaddr_is_loopback(const struct multiaddr *m)
{
    return multiaddr_scope(m) == MULTIADDR_LOOPBACK;
}

bool multiaddr_is_private(const struct multiaddr *m)
{
    enum multiaddr_scope scope = multiaddr_scope(m);

    return scope == MULTIADDR_PRIVATE || scope == MULTIADDR_LOOPBACK;
}

bool multiaddr_is_global(const struct multiaddr *m)
{
    return multiaddr_scope(m) == MULTIADDR_GLOBAL;
}

uint64_t multiaddr_ip_group(const struct multiaddr *m)
{
    struct span ip = ip_of(m);
    size_t n = ip.len == 4 ? 2 : ip.len / 4;
    uint64_t group = ip.len; /* the families never meet */

    for (size_t i = 0; i < n; i++)
        group = group << 8 | ip.data[i];
    return group;
}

uint64_t multiaddr_ip_key(const struct multiaddr *m)
{
    struct span ip = ip_of(m);
    size_t n = ip.len == 4 ? 4 : 8;
    uint64_t key = 0;

    if (ip.len == 0 || multiaddr_is_private(m))
        return 0;
    for (size_t i = 0; i < n; i++)
        key = key << 8 | ip.data[i];
    return key;
}
