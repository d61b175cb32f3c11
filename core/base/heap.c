/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <assert.h>
#include <stdbool.h>

void heap_init(struct heap *h, const struct mem *mem)
{
    *h = (struct heap){.mem = mem};
}

void heap_release(struct heap *h)
{
    for (size_t i = 0; i < h->count; i++)
        h->nodes[i]->slot = 0;
    if (h->mem != NULL)
        mem_free(h->mem, h->nodes);
    *h = (struct heap){0};
}

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void place(struct heap *h, struct heap_node *n, size_t i)
{
    h->nodes[i] = n;
    n->slot = i + 1;
}

static void sift_up(struct heap *h, struct heap_node *n, size_t i)
{
    while (i > 0 && is_before(n, h->nodes[(i - 1) / 2])) {
        place(h, h->nodes[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(h, n, i);
}

static void sift_down(struct heap *h, struct heap_node *n, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count &&
            is_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!is_before(h->nodes[child], n))
            break;
        place(h, h->nodes[child], i);
        i = child;
    }
    place(h, n, i);
}

static enum err make_room(struct heap *h)
{
    size_t cap = h->cap ? 2 * h->cap : 16;
    struct heap_node **nodes;

    if (h->count < h->cap)
        return OK;
    nodes = mem_try(h->mem, h->nodes, cap * sizeof(*nodes));
    if (nodes == NULL)
        return ERR_NOMEM;
    h->nodes = nodes;
    h->cap = cap;
    return OK;
}

enum err heap_set(struct heap *h, struct heap_node *n, tstamp at)
{
    if (at == TSTAMP_NEVER) {
        heap_remove(h, n);
        return OK;
    }
    if (n->slot != 0 && n->at == at)
        return OK;
    if (n->slot == 0) {
        TRY(make_room(h));
        n->slot = ++h->count;
    }
    n->at = at;
    n->seq = h->seq++;
    sift_up(h, n, n->slot - 1);
    sift_down(h, n, n->slot - 1);
    return OK;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    size_t i = n->slot - 1;
    struct heap_node *last;

    if (n->slot == 0)
        return;
    assert(h->nodes[i] == n);
    n->slot = 0;
    last = h->nodes[--h->count];
    if (last == n)
        return;
    last->slot = i + 1;
    sift_up(h, last, i);
    sift_down(h, last, last->slot - 1);
}

struct heap_node *heap_first(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}

tstamp heap_deadline(const struct heap *h)
{
    return h->count ? h->nodes[0]->at : TSTAMP_NEVER;
}

struct heap_node *heap_pop_due(struct heap *h, tstamp now)
{
    struct heap_node *n = heap_first(h);

    if (n == NULL || n->at > now)
        return NULL;
    heap_remove(h, n);
    return n;
}
