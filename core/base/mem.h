/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* All memory of the core comes from here, so tests can count, limit and fail
 * it. */
struct mem {
    void *(*resize)(void *ctx, void *ptr, size_t size); /* size 0 frees */
    void *ctx;
};

extern const struct mem mem_libc;

/* mem_new is for our own small objects: zeroed, never NULL, aborts instead. */
void *mem_new(const struct mem *mem, size_t size);
/* mem_try is for sizes a peer can influence: NULL means refuse the peer.  Not
 * zeroed. */
void *mem_try(const struct mem *mem, void *ptr, size_t size);
/* As mem_try(NULL), zeroed. */
void *mem_try_zero(const struct mem *mem, size_t size);
void mem_free(const struct mem *mem, void *ptr);

#endif /* BASE_MEM_H */
