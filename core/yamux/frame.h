/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAMUX_FRAME_H
#define YAMUX_FRAME_H

#include "base/span.h"
#include "souk/err.h"

/* The yamux header, all big-endian:
 *
 *      0       1       2               4               8              12
 *      | 0     | type  | flags         | stream id     | length       |
 *
 * spec: https://github.com/hashicorp/yamux/blob/master/spec.md */
enum { YAMUX_HEADER_LEN = 12 };

enum yamux_type {
    YAMUX_DATA,          /* length: payload bytes that follow */
    YAMUX_WINDOW_UPDATE, /* length: bytes more; with RST an error code */
    YAMUX_PING,          /* length: opaque, comes back */
    YAMUX_GO_AWAY,       /* length: a code */
    YAMUX_TYPES
};

enum yamux_flags {
    YAMUX_SYN = 1 << 0,
    YAMUX_ACK = 1 << 1,
    YAMUX_FIN = 1 << 2,
    YAMUX_RST = 1 << 3,
};

/* Codes of GO_AWAY, and of RST as go sends them.
 * spec: libp2p/specs error-codes/README.md */
enum yamux_code {
    YAMUX_CODE_NORMAL = 0,
    YAMUX_CODE_PROTOCOL = 1,
    YAMUX_CODE_INTERNAL = 2,
    YAMUX_CODE_NEGOTIATION_FAILED = 0x1001,
    YAMUX_CODE_RESOURCE_LIMIT = 0x1002,
};

struct yamux_header {
    enum yamux_type type;
    uint16_t flags;
    uint32_t stream;
    uint32_t length;
};

/* ERR_PROTO if the specification does not define such a frame. */
MUST_USE
enum err yamux_header_decode(struct yamux_header *h,
                             const uint8_t in[YAMUX_HEADER_LEN]);
void yamux_header_encode(const struct yamux_header *h,
                         uint8_t out[YAMUX_HEADER_LEN]);

#endif /* YAMUX_FRAME_H */
