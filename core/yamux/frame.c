/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/frame.h"

#define STREAM_FLAGS (YAMUX_SYN | YAMUX_ACK | YAMUX_FIN | YAMUX_RST)

/* What each type permits. */
static const struct {
    bool is_of_session; /* the stream id must be 0, else it must not */
    uint16_t flags;
} rules[YAMUX_TYPES] = {
    [YAMUX_DATA] = {false, STREAM_FLAGS},
    [YAMUX_WINDOW_UPDATE] = {false, STREAM_FLAGS},
    [YAMUX_PING] = {true, YAMUX_SYN | YAMUX_ACK},
    [YAMUX_GO_AWAY] = {true, 0},
};

enum err yamux_header_decode(struct yamux_header *h,
                             const uint8_t in[YAMUX_HEADER_LEN])
{
    struct span s = SPAN(in, YAMUX_HEADER_LEN);
    uint8_t version, type;
    bool is_whole;

    is_whole = span_u8(&s, &version) && span_u8(&s, &type) &&
               span_u16(&s, &h->flags) && span_u32(&s, &h->stream) &&
               span_u32(&s, &h->length);
    assert(is_whole);
    (void)is_whole;
    if (version != 0 || type >= YAMUX_TYPES)
        return ERR_PROTO;
    if (rules[type].is_of_session != (h->stream == 0))
        return ERR_PROTO;
    if ((h->flags & ~rules[type].flags) != 0)
        return ERR_PROTO;
    h->type = (enum yamux_type)type;
    return OK;
}

static void put_u32(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

void yamux_header_encode(const struct yamux_header *h,
                         uint8_t out[YAMUX_HEADER_LEN])
{
    out[0] = 0;
    out[1] = (uint8_t)h->type;
    out[2] = (uint8_t)(h->flags >> 8);
    out[3] = (uint8_t)h->flags;
    put_u32(out + 4, h->stream);
    put_u32(out + 8, h->length);
}
