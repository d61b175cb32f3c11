/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/queue.h"

enum { QUEUE_FIRST = 64 };

struct blob *blob_new(size_t room, const struct mem *mem)
{
    struct blob *b = mem_try(mem, NULL, sizeof(*b) + room);

    assert(room <= UINT32_MAX);
    if (b != NULL)
        *b = (struct blob){.refs = 1, .end = (uint32_t)room};
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    b->refs++;
    return b;
}

void blob_unref(struct blob *b, const struct mem *mem)
{
    if (b == NULL)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0)
        mem_free(mem, b);
}

void queue_init(struct queue *q, size_t limit, const struct mem *mem)
{
    *q = (struct queue){.mem = mem, .limit = limit};
}

void queue_release(struct queue *q)
{
    struct queued e;

    while (queue_take(q, &e))
        blob_unref(e.blob, q->mem);
    if (q->mem != NULL)
        mem_free(q->mem, q->ring);
    *q = (struct queue){0};
}

static bool make_room(struct queue *q)
{
    size_t cap = q->cap ? 2 * q->cap : QUEUE_FIRST;
    struct queued *ring;

    assert(q->count == 0 || q->ring != NULL);
    if (q->count < q->cap)
        return true;
    if (q->count >= q->limit)
        return false;
    ring = mem_try(q->mem, NULL, cap * sizeof(*ring));
    if (ring == NULL)
        return false;
    for (size_t i = 0; i < q->count; i++)
        ring[i] = q->ring[(q->head + i) % q->cap];
    mem_free(q->mem, q->ring);
    q->ring = ring;
    q->cap = cap;
    q->head = 0;
    return true;
}

static struct queued *push(struct queue *q, enum gossip_event_type type,
                           const struct peer_id *peer)
{
    struct queued *e;

    if (!make_room(q)) {
        q->dropped++;
        return NULL;
    }
    assert(q->ring != NULL);
    e = &q->ring[(q->head + q->count++) % q->cap];
    *e = (struct queued){.type = type, .peer = *peer};
    return e;
}

bool queue_send(struct queue *q, const struct peer_id *peer,
                enum gossip_send_kind kind, struct blob *b)
{
    struct queued *e = push(q, GOSSIP_EV_SEND, peer);

    if (e == NULL)
        return false;
    e->kind = kind;
    e->blob = blob_ref(b);
    return true;
}

bool queue_message(struct queue *q, const struct peer_id *peer, uint64_t token)
{
    struct queued *e = push(q, GOSSIP_EV_MESSAGE, peer);

    if (e == NULL)
        return false;
    e->token = token;
    return true;
}

bool queue_px(struct queue *q, const struct peer_id *peer, struct blob *b)
{
    struct queued *e = push(q, GOSSIP_EV_PX, peer);

    if (e == NULL)
        return false;
    e->blob = blob_ref(b);
    return true;
}

bool queue_outcome(struct queue *q, const struct peer_id *peer,
                   enum gossip_outcome outcome)
{
    struct queued *last =
        q->count ? &q->ring[(q->head + q->count - 1) % q->cap] : NULL;
    struct queued *e;

    if (last != NULL && last->type == GOSSIP_EV_OUTCOME &&
        last->outcome == outcome && peer_id_eq(&last->peer, peer)) {
        last->count++;
        return true;
    }
    e = push(q, GOSSIP_EV_OUTCOME, peer);
    if (e == NULL)
        return false;
    e->outcome = outcome;
    e->count = 1;
    return true;
}

bool queue_take(struct queue *q, struct queued *out)
{
    if (q->count == 0)
        return false;
    *out = q->ring[q->head];
    q->head = (q->head + 1) % q->cap;
    q->count--;
    return true;
}
