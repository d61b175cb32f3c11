/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/delim.h"

#include "base/mem.h"

enum { BODY_FIRST = 1024 };

void delim_init(struct delim *d, size_t limit, const struct mem *mem)
{
    *d = (struct delim){.mem = mem, .limit = limit};
}

void delim_release(struct delim *d)
{
    if (d->mem != NULL)
        mem_free(d->mem, d->body);
    *d = (struct delim){0};
}

/* Byte by byte: a length that has not ended yet may already be too large, and
 * a cut must not change which error it is. */
static enum err read_length(struct delim *d, struct span *in)
{
    while (!d->in_body && in->len > 0) {
        struct span byte = span_take(in, 1);

        TRY(uvarint_recv(&d->length, &byte, &d->in_body));
        if (d->length.value > d->limit)
            return ERR_FRAME_SIZE;
    }
    return OK;
}

/* Room for |n| bytes.  A length alone gets no memory: what we hold stays within
 * twice what the peer has sent. */
static enum err make_room(struct delim *d, size_t n)
{
    size_t cap = d->cap > 0 ? d->cap : BODY_FIRST;
    uint8_t *body;

    if (n <= d->cap)
        return OK;
    while (cap < n)
        cap *= 2;
    if (cap > d->length.value)
        cap = (size_t)d->length.value;
    body = mem_try(d->mem, d->body, cap);
    if (body == NULL)
        return ERR_NOMEM;
    d->body = body;
    d->cap = cap;
    return OK;
}

static enum err gather(struct delim *d, struct span *in)
{
    struct span got = *in;

    got = span_take(&got, (size_t)d->length.value - d->have);
    if (got.len == 0)
        return OK;
    TRY(make_room(d, d->have + got.len));
    memcpy(d->body + d->have, got.data, got.len);
    d->have += got.len;
    (void)span_take(in, got.len);
    return OK;
}

enum err delim_recv(struct delim *d, struct span *in, struct span *msg,
                    bool *whole)
{
    size_t n;

    *whole = false;
    if (!d->in_body) {
        /* The message told last is the caller's until now. */
        mem_free(d->mem, d->body);
        d->body = NULL;
        d->have = d->cap = 0;
        TRY(read_length(d, in));
        if (!d->in_body)
            return OK;
    }
    n = (size_t)d->length.value;
    if (d->have == 0 && in->len >= n) {
        *msg = span_take(in, n);
    } else {
        TRY(gather(d, in));
        if (d->have < n)
            return OK;
        *msg = SPAN(d->body, n);
    }
    d->in_body = false;
    *whole = true;
    return OK;
}

bool delim_is_between(const struct delim *d)
{
    return !d->in_body && d->length.have == 0;
}

enum err delim_put(struct buf *b, struct span msg)
{
    uint8_t *at;

    TRY(buf_reserve(b, uvarint_len(msg.len) + msg.len, &at));
    buf_grow(b, uvarint_encode(msg.len, at));
    return buf_put(b, msg);
}

static enum err put(struct buf *b, const ProtobufCMessage *msg, bool framed)
{
    size_t n = protobuf_c_message_get_packed_size(msg), head = 0;
    uint8_t *at;

    if (!framed && n == 0)
        return OK;
    TRY(buf_reserve(b, (framed ? uvarint_len(n) : 0) + n, &at));
    if (framed)
        head = uvarint_encode(n, at);
    n = protobuf_c_message_pack(msg, at + head);
    buf_grow(b, head + n);
    return OK;
}

enum err wire_put_delim(struct buf *b, const ProtobufCMessage *msg)
{
    return put(b, msg, true);
}

enum err wire_put(struct buf *b, const ProtobufCMessage *msg)
{
    return put(b, msg, false);
}

/* protobuf-c has no word for bytes that are only read. */
ProtobufCBinaryData wire_bytes(struct span s)
{
    union {
        const uint8_t *read;
        uint8_t *written;
    } data = {.read = s.data};

    return (ProtobufCBinaryData){.len = s.len, .data = data.written};
}
