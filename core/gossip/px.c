/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* Peer exchange: who is pruned because there are too many is told of others.
 * Nobody bad is told of, or told anything, or believed.  Only peers whose
 * signed record we have are passed on: the receiver can check it.
 *
 * spec: pubsub/gossipsub/gossipsub-v1.1.md#prune-backoff-and-peer-exchange */

static bool may_be_told_of(const struct gossip *g, const struct peer *p,
                           const struct peer *to, unsigned topic)
{
    return p != to && is_mesh_peer(p) && (p->subscribed & topic_bit(topic)) &&
           p->record_len > 0 && score_of(g, p) >= 0;
}

/* A fair choice without g->picked, over which a caller may be walking. */
size_t px_choose(struct gossip *g, const struct peer *to, unsigned topic,
                 Wire__GossipPeer out[PX_PEERS_MAX])
{
    const struct peer *chosen[PX_PEERS_MAX];
    struct peer *p, *next;
    size_t met = 0, n = 0;

    if (to->version < GOSSIP_V11 || score_of(g, to) < 0)
        return 0;
    MAP_FOR_EACH(g->peers, p, next) {
        size_t at = n;

        if (!may_be_told_of(g, p, to, topic))
            continue;
        if (++met > PX_PEERS_MAX)
            at = (size_t)rng_below(g->rng, met);
        else
            n++;
        if (at < PX_PEERS_MAX)
            chosen[at] = p;
    }
    for (size_t i = 0; i < n; i++) {
        wire__gossip_peer__init(&out[i]);
        out[i].has_id = out[i].has_signed_record = true;
        out[i].id = wire_bytes(peer_id_span(&chosen[i]->id));
        out[i].signed_record =
            wire_bytes(SPAN(chosen[i]->record, chosen[i]->record_len));
    }
    g->stats.px_out += n;
    return n;
}

static bool is_news(const struct gossip *g, const struct peer_id *id)
{
    return !peer_id_eq(id, &g->config.self) && gossip_peer_find(g, id) == NULL;
}

static void hand_on(struct gossip *g, const struct peer *from,
                    const Wire__GossipPeer *told)
{
    struct span id = wire_span(told->id),
                record = wire_span(told->signed_record);
    struct peer_id who;
    struct blob *b;

    if (peer_id_decode(&who, id) != OK || !is_news(g, &who) ||
        record.len > GOSSIP_RECORD_MAX)
        return;
    b = blob_new(id.len + record.len, g->mem);
    if (b == NULL)
        return;
    memcpy(b->bytes, id.data, id.len);
    if (record.len > 0)
        memcpy(b->bytes + id.len, record.data, record.len);
    b->rpc_at = (uint32_t)id.len;
    if (queue_px(&g->queue, &from->id, b))
        g->stats.px_in++;
    else
        g->stats.events_dropped = g->queue.dropped;
    blob_unref(b, g->mem);
}

void px_on_prune(struct gossip *g, struct peer *p, unsigned topic,
                 const Wire__GossipPrune *prune)
{
    size_t n = prune->n_peers, start;

    if (n == 0)
        return;
    if (!g->topics[topic].is_subscribed ||
        score_of(g, p) < g->params->accept_px) {
        g->stats.px_refused += n;
        return;
    }
    start = (size_t)rng_below(g->rng, n);
    for (size_t i = 0; i < n && p->px_taken < PX_PEERS_MAX; i++) {
        p->px_taken++;
        hand_on(g, p, prune->peers[(start + i) % n]);
    }
}

enum err gossip_set_record(struct gossip *g, const struct peer_id *peer,
                           struct span record)
{
    struct peer *p = gossip_peer_find(g, peer);
    uint8_t *copy = NULL;

    if (p == NULL)
        return ERR_NOT_FOUND;
    if (record.len > GOSSIP_RECORD_MAX)
        return ERR_LIMIT;
    if (record.len > 0) {
        copy = mem_try(g->mem, NULL, record.len);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, record.data, record.len);
    }
    mem_free(g->mem, p->record);
    p->record = copy;
    p->record_len = record.len;
    return OK;
}
