/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAMUX_QUEUE_H
#define YAMUX_QUEUE_H

#include "base/mem.h"
#include "base/span.h"
#include "souk/err.h"

/* What was written on a stream and not sent: chunks in a list.  Unlike a buf it
 * never moves bytes, however full it stays, and an empty one holds nothing. */
enum {
    YAMUX_CHUNK_MIN = 512,
    /* With its headroom as long as one output frame. */
    YAMUX_CHUNK_HEADROOM = 12,
    YAMUX_CHUNK_MAX = 16 * 1024 - YAMUX_CHUNK_HEADROOM,
};

struct yamux_chunk;
struct yamux_queue {
    struct yamux_chunk *first;
    struct yamux_chunk *last;
    size_t len;
};

/* All of |data| or, on ERR_NOMEM, nothing. */
MUST_USE
enum err yamux_queue_put(struct yamux_queue *q, struct span data,
                         const struct mem *mem);
/* Move |n| bytes, of q->len or less, to |out|. */
void yamux_queue_take(struct yamux_queue *q, uint8_t *out, size_t n,
                      const struct mem *mem);
/* How many bytes yamux_queue_lend() may be asked for. */
size_t yamux_queue_contiguous(const struct yamux_queue *q);
/* Take |n| bytes and leave them where they are: at the address returned, with
 * YAMUX_CHUNK_HEADROOM bytes in front that may be written to.  They live until
 * |*emptied| is freed or, if that is NULL, until the next call. */
uint8_t *yamux_queue_lend(struct yamux_queue *q, size_t n,
                          struct yamux_chunk **emptied);
void yamux_queue_release(struct yamux_queue *q, const struct mem *mem);

#endif /* YAMUX_QUEUE_H */
