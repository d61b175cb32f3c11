/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

enum { BUF_FIRST = 64 };

static void buf_check(const struct buf *b)
{
    assert(b->head <= b->tail);
    assert(b->tail <= b->cap);
    assert((b->data == NULL) == (b->cap == 0));
}

void buf_init(struct buf *b, size_t limit, const struct mem *mem)
{
    *b = (struct buf){.mem = mem, .limit = limit};
}

void buf_release(struct buf *b)
{
    if (b->mem != NULL)
        mem_free(b->mem, b->data);
    *b = (struct buf){0};
}

enum err buf_reserve(struct buf *b, size_t n, uint8_t **at)
{
    size_t len = buf_len(b);
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    uint8_t *data;

    buf_check(b);
    if (n > b->cap - b->tail) {
        if (len > b->limit || n > b->limit - len)
            return ERR_LIMIT;
        while (cap < len + n)
            cap *= 2;
        if (cap > b->limit)
            cap = b->limit;
        /* Moving is cheap only when little is left in front of much room. */
        if (b->head > 0 && (len + n <= b->cap / 2 || cap <= b->cap)) {
            memmove(b->data, b->data + b->head, len);
            b->head = 0;
            b->tail = len;
        }
    } else if (n > b->limit - len) {
        return ERR_LIMIT;
    }
    if (n > b->cap - b->tail) {
        data = mem_try(b->mem, NULL, cap);
        if (data == NULL)
            return ERR_NOMEM;
        if (len > 0)
            memcpy(data, b->data + b->head, len);
        mem_free(b->mem, b->data);
        b->data = data;
        b->cap = cap;
        b->head = 0;
        b->tail = len;
    }
    *at = b->data + b->tail;
    return OK;
}

void buf_grow(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->tail);
    b->tail += n;
    buf_check(b);
}

enum err buf_put(struct buf *b, struct span s)
{
    uint8_t *at;

    if (s.len == 0)
        return OK;
    TRY(buf_reserve(b, s.len, &at));
    memcpy(at, s.data, s.len);
    buf_grow(b, s.len);
    return OK;
}

enum err buf_put_u8(struct buf *b, uint8_t v)
{
    return buf_put(b, SPAN(&v, 1));
}

enum err buf_put_str(struct buf *b, const char *text)
{
    return buf_put(b, span_str(text));
}

enum err buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    uint8_t *at;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        return ERR_INVAL;
    TRY(buf_reserve(b, (size_t)n + 1, &at));
    va_start(args, format);
    (void)vsnprintf((char *)at, (size_t)n + 1, format, args);
    va_end(args);
    buf_grow(b, (size_t)n);
    return OK;
}

void buf_drain(struct buf *b, size_t n)
{
    assert(n <= buf_len(b));
    b->head += n;
    if (b->head == b->tail)
        b->head = b->tail = 0;
    buf_check(b);
}

void buf_clear(struct buf *b)
{
    b->head = b->tail = 0;
}

void buf_shrink(struct buf *b)
{
    if (buf_len(b) > 0)
        return;
    mem_free(b->mem, b->data);
    b->data = NULL;
    b->cap = b->head = b->tail = 0;
}
