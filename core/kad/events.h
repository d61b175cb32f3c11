/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_EVENTS_H
#define KAD_EVENTS_H

#include "base/list.h"
#include "kad/blob.h"
#include "kad/kad.h"

/* What happened, in order, until kad_poll takes it.  A node carries the bytes
 * its event points to.  Its length is bounded by what makes events: RPCs,
 * operations, and the work of one call. */
struct event_node {
    struct list link;
    struct kad_event ev;
    struct blob *message; /* of an RPC, held */
    size_t used, room;    /* of |bytes| */
    _Alignas(max_align_t) uint8_t bytes[];
};

struct events {
    struct list queue;
    struct event_node *current; /* what the last kad_poll gave */
    const struct mem *mem;
};

void events_init(struct events *e, const struct mem *mem);
void events_release(struct events *e);

/* NULL without memory.  |room| bytes can be kept in it. */
struct event_node *event_new(struct events *e, enum kad_event_type type,
                             size_t room);
void event_free(struct events *e, struct event_node *n);
/* |n| bytes of the node's room, aligned for |align|. */
void *event_alloc(struct event_node *node, size_t n, size_t align);
/* A copy of |s| in the node's room. */
struct span event_keep(struct event_node *node, struct span s);
void event_push(struct events *e, struct event_node *n);

bool events_poll(struct events *e, struct kad_event *out);

#endif /* KAD_EVENTS_H */
