/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MULTI_MULTIADDR_H
#define MULTI_MULTIADDR_H

#include "base/span.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* An address that says how to use itself: "/ip4/1.2.3.4/tcp/4001/p2p/12D3…".
 *
 *      (uvarint code ‖ value)*       each code tells how long its value is
 *
 * so an address with a code we do not know cannot be read at all.  A value:
 * unused bytes are zero, the whole struct may be compared.  Valid by
 * construction: only the functions here fill one. */
enum {
    MULTIADDR_MAX = 256, /* bytes; nobody's real address comes near */
    MULTIADDR_PARTS_MAX = 16,
    MULTIADDR_TEXT_MAX = 1024, /* NUL included */
    MULTIADDR_NAME_MAX = 254,  /* a DNS name, NUL included */
};

enum multiaddr_code {
    MULTIADDR_IP4 = 4,
    MULTIADDR_TCP = 6,
    MULTIADDR_IP6 = 41,
    MULTIADDR_DNS = 53,
    MULTIADDR_DNS4 = 54,
    MULTIADDR_DNS6 = 55,
    MULTIADDR_DNSADDR = 56,
    MULTIADDR_UDP = 273,
    MULTIADDR_WEBRTC_DIRECT = 280,
    MULTIADDR_P2P_CIRCUIT = 290,
    MULTIADDR_P2P = 421,
    MULTIADDR_TLS = 448,
    MULTIADDR_SNI = 449,
    MULTIADDR_QUIC = 460,
    MULTIADDR_QUIC_V1 = 461,
    MULTIADDR_WEBTRANSPORT = 465,
    MULTIADDR_CERTHASH = 466,
    MULTIADDR_WS = 477,
    MULTIADDR_WSS = 478,
};

struct multiaddr {
    uint16_t len;
    uint8_t bytes[MULTIADDR_MAX];
};

static inline struct span multiaddr_span(const struct multiaddr *m)
{
    return SPAN(m->bytes, m->len);
}
static inline bool multiaddr_eq(const struct multiaddr *a,
                                const struct multiaddr *b)
{
    return span_eq(multiaddr_span(a), multiaddr_span(b));
}

/* ERR_PROTO: empty, cut, an unknown code, a value its code does not allow.
 * ERR_LIMIT: longer than MULTIADDR_MAX. */
MUST_USE
enum err multiaddr_decode(struct multiaddr *out, struct span bytes);
/* ERR_INVAL, ERR_LIMIT.  "/ipfs/" is read as "/p2p/", CIDv1 peer ids too. */
MUST_USE
enum err multiaddr_parse(struct multiaddr *out, struct span text);
/* Returns |out|. */
const char *multiaddr_format(const struct multiaddr *m,
                             char out[MULTIADDR_TEXT_MAX]);

/* The parts in order: start with rest = multiaddr_span(m); false at the end. */
struct multiaddr_part {
    enum multiaddr_code code;
    struct span value; /* without its length prefix */
};
bool multiaddr_next(struct span *rest, struct multiaddr_part *part);
bool multiaddr_has(const struct multiaddr *m, enum multiaddr_code code);

/* The peer of the last /p2p part; false if it does not end in one. */
bool multiaddr_peer(const struct multiaddr *m, struct peer_id *out);
/* Drop a last /p2p part. */
void multiaddr_strip_peer(struct multiaddr *m);
/* Append /p2p/|id|, unless it is there.  ERR_LIMIT; ERR_INVAL if it already
 * ends in another peer. */
MUST_USE
enum err multiaddr_add_peer(struct multiaddr *m, const struct peer_id *id);

/* Append /ip4|ip6/…/tcp/port made of |ip| of 4 or 16 bytes. */
void multiaddr_from_ip(struct multiaddr *out, struct span ip, uint16_t port);

/* Where the first part leads.  An IPv4 address mapped into IPv6 counts as the
 * IPv4 address it is. */
enum multiaddr_scope {
    MULTIADDR_NAMED,       /* a DNS name, "localhost" apart: who knows */
    MULTIADDR_LOOPBACK,    /* 127/8, ::1, localhost */
    MULTIADDR_PRIVATE,     /* RFC 1918, RFC 6598, link-local, fc00::/7 */
    MULTIADDR_GLOBAL,      /* routed on the Internet */
    MULTIADDR_UNREACHABLE, /* unspecified, multicast, documentation, … */
};
enum multiaddr_scope multiaddr_scope(const struct multiaddr *m);
bool multiaddr_is_loopback(const struct multiaddr *m);
bool multiaddr_is_private(const struct multiaddr *m); /* or loopback */
bool multiaddr_is_global(const struct multiaddr *m);
/* Neighbours on the network have the same: the /16 of an IPv4, the /32 of an
 * IPv6 address; 0 if it has no IP. */
uint64_t multiaddr_ip_group(const struct multiaddr *m);
/* Who has one of these has all of them: an IPv4 address, the /64 of an IPv6
 * one.  0 for loopback and private ranges, where many share one, and without an
 * IP. */
uint64_t multiaddr_ip_key(const struct multiaddr *m);

/* What a TCP socket needs. */
enum endpoint_kind {
    ENDPOINT_IP4,
    ENDPOINT_IP6,
    ENDPOINT_DNS,     /* A and AAAA */
    ENDPOINT_DNS4,    /* A only */
    ENDPOINT_DNS6,    /* AAAA only */
    ENDPOINT_DNSADDR, /* TXT records of _dnsaddr.|name| are the addresses */
};

struct endpoint {
    enum endpoint_kind kind;
    uint8_t ip[16];                /* IP4: the first four */
    char name[MULTIADDR_NAME_MAX]; /* the other kinds */
    uint16_t port;                 /* host order; 0 for DNSADDR */
    struct peer_id peer;           /* len 0 if the address names none */
};

/* Whether |m| is ip or name over plain TCP, with or without a peer, and so one
 * we can dial; relays, QUIC and WebSocket are not. */
bool multiaddr_endpoint(const struct multiaddr *m, struct endpoint *out);

#endif /* MULTI_MULTIADDR_H */
