/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/arena.h"

#include <stdalign.h>

enum { BLOCK_FIRST = 2048, ALIGN = alignof(max_align_t) };

/* Blocks double, so a message of any size takes few of them. */
struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    alignas(max_align_t) uint8_t bytes[];
};

static void *protobuf_alloc(void *arena, size_t n)
{
    return arena_alloc(arena, n);
}

static void protobuf_free(void *arena, void *ptr)
{
    /* All goes at once, with arena_reset(). */
    (void)arena;
    (void)ptr;
}

void arena_init(struct arena *a, size_t limit, const struct mem *mem)
{
    *a = (struct arena){.mem = mem,
                        .limit = limit,
                        .allocator = {protobuf_alloc, protobuf_free, a}};
}

static void free_after(struct arena *a, struct arena_block *b)
{
    while (b->next != NULL) {
        struct arena_block *old = b->next;

        b->next = old->next;
        mem_free(a->mem, old);
    }
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->blocks;

    if (b != NULL) {
        free_after(a, b);
        b->used = 0;
    }
    a->used = 0;
    a->refused = false;
}

void arena_release(struct arena *a)
{
    arena_reset(a);
    mem_free(a->mem, a->blocks);
    a->blocks = NULL;
}

static bool add_block(struct arena *a, size_t n)
{
    size_t cap = a->blocks != NULL ? 2 * a->blocks->cap : BLOCK_FIRST;
    struct arena_block *b;

    if (cap > a->limit - a->used)
        cap = a->limit - a->used;
    if (cap < n)
        cap = n;
    b = mem_try(a->mem, NULL, sizeof(*b) + cap);
    if (b == NULL)
        return false;
    *b = (struct arena_block){.next = a->blocks, .cap = cap};
    a->blocks = b;
    return true;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;
    void *p;

    if (n > a->limit) /* so that rounding up cannot overflow */
        goto refuse;
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (n > a->limit - a->used)
        goto refuse;
    if ((b == NULL || n > b->cap - b->used) && !add_block(a, n))
        goto refuse;
    b = a->blocks;
    p = b->bytes + b->used;
    b->used += n;
    a->used += n;
    return p;

refuse:
    a->refused = true;
    return NULL;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
    return &a->allocator;
}
