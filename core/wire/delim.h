/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DELIM_H
#define WIRE_DELIM_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/span.h"
#include "multi/uvarint.h"
#include "souk/err.h"

/* Messages on a stream, each behind its length: uvarint(n) ‖ n bytes.
 *
 * The reader takes a stream cut anywhere.  A message that lies whole in the
 * input is pointed at where it lies; only one that is cut is gathered. */
struct delim {
    const struct mem *mem;
    size_t limit; /* largest message */
    struct uvarint length;
    bool in_body;
    uint8_t *body; /* of a cut message; grows with what has arrived of it */
    size_t have, cap;
};

void delim_init(struct delim *d, size_t limit, const struct mem *mem);
void delim_release(struct delim *d);

/* Take bytes from the front of |in| until a message is whole.  |*whole| tells
 * so; |*msg|, possibly empty, is then valid until the next call and no longer
 * than the input.  False: all input was taken.
 *
 * ERR_FRAME_SIZE  a message above the limit
 * ERR_PROTO       a length that is not minimal or too long
 * ERR_NOMEM
 * An error is final: reset the stream. */
MUST_USE
enum err delim_recv(struct delim *d, struct span *in, struct span *msg,
                    bool *whole);
/* Whether the stream may end here: no message is half read. */
bool delim_is_between(const struct delim *d);

/* Append |msg| behind its length: all or nothing.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE
enum err delim_put(struct buf *b, struct span msg);

/* The same from protobuf-c's structs: behind the length, or bare. */
MUST_USE
enum err wire_put_delim(struct buf *b, const ProtobufCMessage *msg);
MUST_USE
enum err wire_put(struct buf *b, const ProtobufCMessage *msg);

/* Spans in and out of protobuf-c's fields.  A field set from a span borrows
 * it, for packing only. */
static inline struct span wire_span(ProtobufCBinaryData field)
{
    return SPAN(field.data, field.len);
}
ProtobufCBinaryData wire_bytes(struct span s);

#endif /* WIRE_DELIM_H */
