/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_QUEUE_H
#define GOSSIP_QUEUE_H

#include "base/mem.h"
#include "gossip/gossip.h"

/* A serialised RPC with its length in front, shared by whoever sends it. */
struct blob {
    unsigned refs;
    uint32_t frame_at; /* the length */
    uint32_t rpc_at;   /* the RPC */
    uint32_t end;
    uint8_t bytes[];
};

/* |room| bytes to fill in; one reference.  NULL: no memory. */
struct blob *blob_new(size_t room, const struct mem *mem);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b, const struct mem *mem);
static inline size_t blob_rpc_len(const struct blob *b)
{
    return b->end - b->rpc_at;
}

/* What gossip_poll() will tell, in order. */
struct queued {
    enum gossip_event_type type;
    enum gossip_send_kind kind;
    enum gossip_outcome outcome;
    unsigned count;
    uint64_t token;
    struct blob *blob;
    struct peer_id peer;
};

struct queue {
    const struct mem *mem;
    struct queued *ring;
    size_t cap, head, count;
    size_t limit;
    uint64_t dropped;
};

void queue_init(struct queue *q, size_t limit, const struct mem *mem);
void queue_release(struct queue *q);
/* False: full or no memory; counted. */
bool queue_send(struct queue *q, const struct peer_id *peer,
                enum gossip_send_kind kind, struct blob *b);
bool queue_message(struct queue *q, const struct peer_id *peer, uint64_t token);
/* |b| holds the id of whom |peer| told of and, from rpc_at on, its record. */
bool queue_px(struct queue *q, const struct peer_id *peer, struct blob *b);
bool queue_outcome(struct queue *q, const struct peer_id *peer,
                   enum gossip_outcome outcome);
/* The reference of a SEND's or PX's blob moves to the caller. */
bool queue_take(struct queue *q, struct queued *out);

#endif /* GOSSIP_QUEUE_H */
