/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_ARENA_H
#define WIRE_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "base/mem.h"
#include "base/span.h"

/* Memory for one decoded message, given back at once.
 *
 * A peer's message can be far larger decoded than on the wire (an empty
 * sub-message takes 2 bytes there and 50 here), so every decode has a limit of
 * its own: at the limit an allocation is refused and the decode fails.
 *
 *      struct arena a;
 *      arena_init(&a, KAD_DECODE_MAX, mem);
 *      msg = wire_unpack(&wire__kad_message__descriptor, &a, bytes);
 *      …                          NULL: malformed, or too large decoded
 *      arena_reset(&a);           forgets the message, keeps a block
 *      arena_release(&a); */
struct arena_block;

struct arena {
    const struct mem *mem;
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out */
    size_t limit;
    bool refused; /* since the last reset: at the limit, or no memory */
    ProtobufCAllocator allocator;
};

/* Must not move afterwards. */
void arena_init(struct arena *a, size_t limit, const struct mem *mem);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

/* Aligned for anything, not zeroed; NULL at the limit or without memory. */
void *arena_alloc(struct arena *a, size_t n);
ProtobufCAllocator *arena_allocator(struct arena *a);

/* Decode a message of |type| into |a|.  NULL: malformed, or too large decoded
 * (then |a| refused).  protobuf-c takes a field number 0 for an unknown field
 * and would write it again; no other implementation reads it, so it is refused
 * here.
 * spec: protobuf.dev/programming-guides/encoding: field numbers begin at 1 */
void *wire_unpack(const ProtobufCMessageDescriptor *type, struct arena *a,
                  struct span bytes);

#endif /* WIRE_ARENA_H */
