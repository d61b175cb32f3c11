/* SPDX-License-Identifier: Apache-2.0 */
#include "support/heap.h"

#include <stdlib.h>

static void *counting_resize(void *ctx, void *ptr, size_t size)
{
    struct test_heap *heap = ctx;

    if (size == 0) {
        heap->live -= ptr != NULL;
        free(ptr);
        return NULL;
    }
    if (++heap->count == heap->fail_at)
        return NULL;
    heap->live += ptr == NULL;
    return realloc(ptr, size);
}

void test_heap_init(struct test_heap *heap)
{
    *heap = (struct test_heap){.mem = {.resize = counting_resize, .ctx = heap}};
}

void test_heap_fail(struct test_heap *heap, unsigned nth)
{
    heap->fail_at = nth ? heap->count + nth : 0;
}
