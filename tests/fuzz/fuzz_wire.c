/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the message, the second the arena's limit.  What
 * decodes within a limit must decode to the same without one, pack, and decode
 * again from that. */
#include <stdlib.h>

#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/envelope.pb-c.h"
#include "wire/gossip.pb-c.h"
#include "wire/identify.pb-c.h"
#include "wire/kad.pb-c.h"
#include "wire/noise.pb-c.h"
#include "wire/search.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PACKED_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &wire__identify__descriptor,       &wire__envelope__descriptor,
        &wire__peer_record__descriptor,    &wire__noise_payload__descriptor,
        &wire__kad_message__descriptor,    &wire__gossip_rpc__descriptor,
        &wire__search_request__descriptor, &wire__search_response__descriptor,
    };
    const ProtobufCMessageDescriptor *type;
    ProtobufCMessage *msg;
    struct arena a, b;
    struct buf packed, again;

    if (size < 2)
        return 0;
    type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
    arena_init(&a, (size_t)data[1] * 512, &mem_libc);
    arena_init(&b, PACKED_MAX, &mem_libc);
    buf_init(&packed, PACKED_MAX, &mem_libc);
    buf_init(&again, PACKED_MAX, &mem_libc);
    msg = wire_unpack(type, &a, SPAN(data + 2, size - 2));
    if (a.used > a.limit)
        abort();
    if (msg != NULL) {
        const ProtobufCMessage *free =
            wire_unpack(type, &b, SPAN(data + 2, size - 2));

        if (free == NULL || wire_put(&packed, msg) != OK ||
            wire_put(&again, free) != OK ||
            !span_eq(buf_span(&packed), buf_span(&again)))
            abort();
        arena_reset(&b);
        if (wire_unpack(type, &b, buf_span(&packed)) == NULL)
            abort();
    }
    buf_release(&again);
    buf_release(&packed);
    arena_release(&a);
    arena_release(&b);
    return 0;
}
