/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/queue.h"

struct yamux_chunk {
    struct yamux_chunk *next;
    uint32_t head;
    uint32_t tail;
    uint32_t cap;
    uint8_t bytes[];
};

/* Enough for |want| more, or as large as chunks get; bytes that come in drops
 * get chunks as long as the queue, so they do not make a long list. */
static struct yamux_chunk *chunk_new(size_t want, size_t queued,
                                     const struct mem *mem)
{
    size_t cap = want > queued ? want : queued;
    struct yamux_chunk *c;

    if (cap < YAMUX_CHUNK_MIN)
        cap = YAMUX_CHUNK_MIN;
    if (cap > YAMUX_CHUNK_MAX)
        cap = YAMUX_CHUNK_MAX;
    cap += YAMUX_CHUNK_HEADROOM;
    c = mem_try(mem, NULL, sizeof(*c) + cap);
    if (c != NULL)
        *c = (struct yamux_chunk){.head = YAMUX_CHUNK_HEADROOM,
                                  .tail = YAMUX_CHUNK_HEADROOM,
                                  .cap = (uint32_t)cap};
    return c;
}

static void chunk_fill(struct yamux_chunk *c, struct span *data)
{
    struct span part = span_take(data, c->cap - c->tail);

    if (part.len > 0)
        memcpy(c->bytes + c->tail, part.data, part.len);
    c->tail += (uint32_t)part.len;
}

static void chunks_free(struct yamux_chunk *c, const struct mem *mem)
{
    while (c != NULL) {
        struct yamux_chunk *next = c->next;

        mem_free(mem, c);
        c = next;
    }
}

enum err yamux_queue_put(struct yamux_queue *q, struct span data,
                         const struct mem *mem)
{
    size_t spare = q->last ? q->last->cap - q->last->tail : 0;
    struct yamux_chunk *fresh = NULL, *last = NULL;
    size_t want = data.len > spare ? data.len - spare : 0;

    /* First all the memory, so that nothing is half done. */
    for (size_t had = 0; had < want; had += last->cap - last->tail) {
        struct yamux_chunk *c = chunk_new(want - had, q->len, mem);

        if (c == NULL) {
            chunks_free(fresh, mem);
            return ERR_NOMEM;
        }
        if (fresh == NULL)
            fresh = c;
        else
            last->next = c;
        last = c;
    }
    q->len += data.len;
    if (q->last != NULL) {
        chunk_fill(q->last, &data);
        q->last->next = fresh;
    } else {
        q->first = fresh;
    }
    for (struct yamux_chunk *c = fresh; c != NULL; c = c->next)
        chunk_fill(c, &data);
    if (last != NULL)
        q->last = last;
    assert(data.len == 0);
    return OK;
}

/* |n| bytes of the first chunk are gone; it is returned if it is empty. */
static struct yamux_chunk *advance(struct yamux_queue *q, size_t n)
{
    struct yamux_chunk *c = q->first;

    assert(n <= c->tail - c->head);
    q->len -= n;
    c->head += (uint32_t)n;
    if (c->head < c->tail)
        return NULL;
    q->first = c->next;
    if (q->first == NULL)
        q->last = NULL;
    return c;
}

size_t yamux_queue_contiguous(const struct yamux_queue *q)
{
    return q->first ? q->first->tail - q->first->head : 0;
}

void yamux_queue_take(struct yamux_queue *q, uint8_t *out, size_t n,
                      const struct mem *mem)
{
    assert(n <= q->len);
    while (n > 0) {
        struct yamux_chunk *c = q->first;
        size_t part = yamux_queue_contiguous(q);

        assert(c != NULL);
        if (part > n)
            part = n;
        memcpy(out, c->bytes + c->head, part);
        out += part;
        n -= part;
        mem_free(mem, advance(q, part));
    }
}

uint8_t *yamux_queue_lend(struct yamux_queue *q, size_t n,
                          struct yamux_chunk **emptied)
{
    uint8_t *at;

    assert(n > 0 && n <= yamux_queue_contiguous(q));
    at = q->first->bytes + q->first->head;
    *emptied = advance(q, n);
    return at;
}

void yamux_queue_release(struct yamux_queue *q, const struct mem *mem)
{
    chunks_free(q->first, mem);
    *q = (struct yamux_queue){0};
}
