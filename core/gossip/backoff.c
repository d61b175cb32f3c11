/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* After a PRUNE neither side grafts the other for a while.
 *
 * spec: pubsub/gossipsub/gossipsub-v1.1.md#prune-backoff-and-peer-exchange */

struct backoff *backoff_find(const struct gossip *g, const struct peer *p,
                             unsigned topic)
{
    struct backoff_key key = {.peer = p->id, .topic = (uint8_t)topic};
    struct backoff *b;

    MAP_FIND(g->backoffs, &key, sizeof(key), b);
    return b;
}

static void backoff_drop(struct gossip *g, struct backoff *b)
{
    MAP_DEL(g->backoffs, b);
    mem_free(g->mem, b);
}

static struct backoff *backoff_add(struct gossip *g, const struct peer *p,
                                   unsigned topic)
{
    struct backoff *b;

    if (MAP_COUNT(g->backoffs) >= BACKOFFS_A_PEER * g->config.peers_max) {
        backoff_drop(g, g->backoffs);
        g->backoffs_evicted++;
    }
    b = mem_try_zero(g->mem, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->key = (struct backoff_key){.peer = p->id, .topic = (uint8_t)topic};
    MAP_ADD(g->backoffs, &b->key, sizeof(b->key), b);
    return b;
}

void backoff_set(struct gossip *g, const struct peer *p, unsigned topic,
                 duration length, bool is_ours, tstamp now)
{
    struct backoff *b = backoff_find(g, p, topic);
    tstamp until = tstamp_add(now, length);

    if (b == NULL)
        b = backoff_add(g, p, topic);
    if (b == NULL)
        return;
    b->since = now;
    b->is_ours = b->is_ours || is_ours;
    if (b->until < until)
        b->until = until;
}

/* We wait a heartbeat longer than we were told, so that no clock's haste makes
 * our GRAFT a flood. */
bool may_not_graft_yet(const struct gossip *g, const struct peer *p,
                       unsigned topic, tstamp now)
{
    const struct backoff *b = backoff_find(g, p, topic);

    return b != NULL && now < tstamp_add(b->until, g->config.heartbeat);
}

bool was_pruned_by_us(const struct gossip *g, const struct peer *p, tstamp now)
{
    for (unsigned t = 0; t < g->config.topic_count; t++) {
        const struct backoff *b = backoff_find(g, p, t);

        if (b != NULL && b->is_ours && now < b->until)
            return true;
    }
    return false;
}

void backoff_expire(struct gossip *g, tstamp now)
{
    struct backoff *b, *next;

    MAP_FOR_EACH(g->backoffs, b, next) {
        if (now >= tstamp_add(b->until, g->config.heartbeat))
            backoff_drop(g, b);
    }
}

void backoff_release(struct gossip *g)
{
    struct backoff *b, *next;

    MAP_FOR_EACH(g->backoffs, b, next) {
        backoff_drop(g, b);
    }
}
