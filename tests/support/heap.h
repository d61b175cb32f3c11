/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_HEAP_H
#define SUPPORT_HEAP_H

#include "base/mem.h"

/* A heap that counts, and whose |fail_at|-th try fails (0: never).  What
 * mem_new() asks for aborts on failure, so a test calls test_heap_fail()
 * only after its objects are made, and drives what may fail. */
struct test_heap {
    struct mem mem;
    unsigned count; /* allocations asked for since the start */
    unsigned live;  /* not freed yet */
    unsigned fail_at;
};

void test_heap_init(struct test_heap *heap);
/* The |nth| allocation from now fails, once. */
void test_heap_fail(struct test_heap *heap, unsigned nth);

#endif /* SUPPORT_HEAP_H */
