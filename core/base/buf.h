/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/mem.h"
#include "base/span.h"
#include "souk/err.h"

/* A buf is a queue of bytes we own: append at the back, drain at the front.
 *
 *      data        data+head                data+tail          data+cap
 *      |  drained  |  readable (buf_span)  |  free            |
 *
 * It grows by doubling and never holds more than |limit| bytes; asking for more
 * is ERR_LIMIT, which is how every queue in the node stays bounded. */
struct buf {
    const struct mem *mem;
    uint8_t *data;
    size_t head;
    size_t tail;
    size_t cap;
    size_t limit;
};

void buf_init(struct buf *b, size_t limit, const struct mem *mem);
void buf_release(struct buf *b);

static inline size_t buf_len(const struct buf *b)
{
    return b->tail - b->head;
}
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->data ? b->data + b->head : NULL, buf_len(b)};
}

/* Append all of |s| or nothing.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE
enum err buf_put(struct buf *b, struct span s);
MUST_USE
enum err buf_put_u8(struct buf *b, uint8_t v);
MUST_USE
enum err buf_put_str(struct buf *b, const char *text);
/* printf; all or nothing. */
MUST_USE __attribute__((format(printf, 2, 3))) enum err
buf_printf(struct buf *b, const char *format, ...);

/* Room for |n| more bytes at |*at|; make them readable with buf_grow(). */
MUST_USE
enum err buf_reserve(struct buf *b, size_t n, uint8_t **at);
void buf_grow(struct buf *b, size_t n);

/* Drop |n| bytes from the front.  |n| must not exceed buf_len(). */
void buf_drain(struct buf *b, size_t n);
/* Forget the content, keep the memory. */
void buf_clear(struct buf *b);
/* Give back memory that an empty buf still holds. */
void buf_shrink(struct buf *b);

#endif /* BASE_BUF_H */
