/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/events.h"

void events_init(struct events *e, const struct mem *mem)
{
    *e = (struct events){.mem = mem};
    list_init(&e->queue);
}

void events_release(struct events *e)
{
    struct list *l;

    while ((l = list_pop_front(&e->queue)) != NULL)
        event_free(e, LIST_ENTRY(l, struct event_node, link));
    event_free(e, e->current);
    e->current = NULL;
}

struct event_node *event_new(struct events *e, enum kad_event_type type,
                             size_t room)
{
    struct event_node *n = mem_try(e->mem, NULL, sizeof(*n) + room);

    if (n == NULL)
        return NULL;
    *n = (struct event_node){.ev = {.type = type}, .room = room};
    list_init(&n->link);
    return n;
}

void event_free(struct events *e, struct event_node *n)
{
    if (n == NULL)
        return;
    blob_unref(e->mem, n->message);
    mem_free(e->mem, n);
}

void *event_alloc(struct event_node *node, size_t n, size_t align)
{
    size_t at = (node->used + align - 1) / align * align;

    assert(at + n <= node->room);
    node->used = at + n;
    return node->bytes + at;
}

struct span event_keep(struct event_node *node, struct span s)
{
    uint8_t *to = event_alloc(node, s.len, 1);

    if (s.len > 0)
        memcpy(to, s.data, s.len);
    return SPAN(to, s.len);
}

void event_push(struct events *e, struct event_node *n)
{
    list_push_back(&e->queue, &n->link);
}

bool events_poll(struct events *e, struct kad_event *out)
{
    struct list *l = list_pop_front(&e->queue);

    event_free(e, e->current);
    e->current = l ? LIST_ENTRY(l, struct event_node, link) : NULL;
    if (l == NULL)
        return false;
    *out = e->current->ev;
    return true;
}
