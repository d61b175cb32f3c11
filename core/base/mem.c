/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *ctx, void *ptr, size_t size)
{
    (void)ctx;
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size);
}

const struct mem mem_libc = {.resize = libc_resize};

void *mem_new(const struct mem *mem, size_t size)
{
    void *ptr = mem->resize(mem->ctx, NULL, size);

    if (ptr == NULL)
        abort();
    return memset(ptr, 0, size);
}

void *mem_try(const struct mem *mem, void *ptr, size_t size)
{
    return mem->resize(mem->ctx, ptr, size);
}

void *mem_try_zero(const struct mem *mem, size_t size)
{
    void *ptr = mem->resize(mem->ctx, NULL, size);

    return ptr ? memset(ptr, 0, size) : NULL;
}

void mem_free(const struct mem *mem, void *ptr)
{
    if (ptr != NULL)
        mem->resize(mem->ctx, ptr, 0);
}
