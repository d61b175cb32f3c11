/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdint.h>

#include "base/mem.h"
#include "base/time.h"
#include "souk/err.h"

/* Deadlines in order: a binary heap of nodes embedded in their objects.  Equal
 * deadlines leave in the order they came, so runs replay. */
struct heap_node {
    tstamp at;
    uint64_t seq;
    size_t slot; /* 1 + index in the heap, 0 when in none */
};

struct heap {
    const struct mem *mem;
    struct heap_node **nodes;
    size_t count;
    size_t cap;
    uint64_t seq;
};

#define HEAP_ENTRY(node, type, member) \
    ((type *)(void *)((char *)(node)-offsetof(type, member)))

void heap_init(struct heap *h, const struct mem *mem);
void heap_release(struct heap *h);

/* Set |n| to fire at |at|, whether it is in the heap or not; TSTAMP_NEVER takes
 * it out.  ERR_NOMEM leaves all as it was. */
MUST_USE
enum err heap_set(struct heap *h, struct heap_node *n, tstamp at);
void heap_remove(struct heap *h, struct heap_node *n);

struct heap_node *heap_first(const struct heap *h);
/* When the first node is due, TSTAMP_NEVER if there is none. */
tstamp heap_deadline(const struct heap *h);
/* Take out and return the first node due at |now|, or NULL. */
struct heap_node *heap_pop_due(struct heap *h, tstamp now);

#endif /* BASE_HEAP_H */
