/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"

#include <assert.h>
#include <stdalign.h>

/* In front of each piece: how large it is. */
struct piece {
    alignas(max_align_t) size_t size;
};

static struct piece *piece_of(void *ptr)
{
    return ptr != NULL ? (struct piece *)ptr - 1 : NULL;
}

static void *budget_resize(void *ctx, void *ptr, size_t size)
{
    struct budget *b = ctx;
    struct piece *p = piece_of(ptr);
    size_t had = p != NULL ? p->size : 0;

    if (size == 0) {
        b->used -= had;
        mem_free(b->under, p);
        return NULL;
    }
    if (size > b->max || b->used - had > b->max - size) {
        b->refused++;
        return NULL;
    }
    p = mem_try(b->under, p, sizeof(*p) + size);
    if (p == NULL)
        return NULL;
    p->size = size;
    b->used = b->used - had + size;
    return p + 1;
}

void budget_init(struct budget *b, size_t max, const struct mem *under)
{
    *b = (struct budget){
        .mem = {.resize = budget_resize, .ctx = b}, .under = under, .max = max};
}

void budget_release(struct budget *b)
{
    assert(b->used == 0);
    (void)b;
}
