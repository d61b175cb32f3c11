/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* Telling ids to peers outside the mesh, who ask for what they lack:
 *
 *    heartbeat ─► IHAVE ids ─►  lacks some ─► IWANT ids ─►  from our cache
 *
 * Who offers an id promises to send it; a promise not kept in time is told.
 *
 * spec: pubsub/gossipsub/gossipsub-v1.0.md#ihave, #iwant,
 *       gossipsub-v1.1.md#spam-protection-measures */

enum { ID_OVERHEAD = 2, RPC_OVERHEAD = 256 };

static bool may_get_gossip(const struct gossip *g, const struct peer *p,
                           unsigned topic, tstamp now)
{
    uint32_t bit = topic_bit(topic);

    (void)now;
    return is_mesh_peer(p) && (p->subscribed & bit) &&
           !((p->mesh | p->fanout) & bit) &&
           score_of(g, p) >= g->params->gossip;
}

/* How many of |ids| one RPC of ours may hold. */
static size_t ids_that_fit(const ProtobufCBinaryData *ids, size_t count)
{
    size_t bytes = RPC_OVERHEAD, n = 0;

    while (n < count) {
        bytes += ids[n].len + ID_OVERHEAD;
        if (bytes > GOSSIP_RPC_SENT_MAX)
            break;
        n++;
    }
    return n;
}

/* ---- IHAVE out. ---- */

static struct blob *make_ihave(struct gossip *g, unsigned topic,
                               ProtobufCBinaryData *ids, size_t count)
{
    Wire__GossipIHave ihave = WIRE__GOSSIP_IHAVE__INIT;
    Wire__GossipIHave *ihaves[] = {&ihave};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    ihave.has_topic = true;
    ihave.topic = wire_bytes(topic_name(g, topic));
    ihave.n_ids = count;
    ihave.ids = ids;
    control.n_ihave = 1;
    control.ihave = ihaves;
    rpc.control = &control;
    return pack_rpc(g, &rpc);
}

static struct message *cached_at(struct list *l)
{
    return LIST_ENTRY(l, struct message, link);
}

static bool is_gossiped(const struct message *m, unsigned topic)
{
    return m->topic == topic && blob_rpc_len(m->blob) <= GOSSIP_RPC_SENT_MAX;
}

/* The newest ids of the last heartbeats, in the arena. */
static size_t recent_ids(struct gossip *g, unsigned topic,
                         ProtobufCBinaryData **ids)
{
    struct list *end = g->cached.prev;
    size_t n = 0, max = 0;

    for (; end != &g->cached && g->beat - cached_at(end)->beat < GOSSIP_BEATS;
         end = end->prev)
        max++;
    if (max > IHAVE_IDS_MAX)
        max = IHAVE_IDS_MAX;
    if (max == 0 ||
        (*ids = arena_alloc(&g->arena, max * sizeof(**ids))) == NULL)
        return 0;
    for (struct list *l = g->cached.prev; l != end && n < max; l = l->prev)
        if (is_gossiped(cached_at(l), topic))
            (*ids)[n++] = wire_bytes(msg_id_span(&cached_at(l)->id));
    return n;
}

static size_t gossip_targets(struct gossip *g, unsigned topic, tstamp now)
{
    size_t n = pick_peers(g, topic, now, may_get_gossip);
    size_t want = n * GOSSIP_FACTOR_PERCENT / 100;

    if (want < g->config.d_lazy)
        want = g->config.d_lazy;
    return n < want ? n : want;
}

void lazy_gossip(struct gossip *g, unsigned topic, tstamp now)
{
    ProtobufCBinaryData *ids = NULL;
    size_t count, targets;

    arena_reset(&g->arena);
    count = recent_ids(g, topic, &ids);
    targets = count > 0 ? gossip_targets(g, topic, now) : 0;
    while (targets > 0 && count > 0) {
        size_t n = ids_that_fit(ids, count);
        struct blob *b = make_ihave(g, topic, ids, n);

        if (b == NULL)
            break;
        for (size_t i = 0; i < targets; i++) {
            send_blob(g, g->picked[i], GOSSIP_SEND_GOSSIP, b);
            g->stats.ihave_ids_out += n;
        }
        blob_unref(b, g->mem);
        ids += n;
        count -= n;
    }
    arena_reset(&g->arena);
}

/* ---- Promises. ---- */

static void promise_add(struct gossip *g, const struct peer *p, struct span id,
                        tstamp now)
{
    size_t at;

    if (g->promise_count == PROMISES_MAX)
        return;
    at = (g->promise_head + g->promise_count++) % PROMISES_MAX;
    g->promises[at] = (struct promise){
        .hash = seen_hash(id),
        .serial = p->serial,
        .until = tstamp_add(now, g->config.promise_ttl),
    };
}

void promise_kept(struct gossip *g, struct span id)
{
    uint64_t hash;

    if (g->promise_count == 0)
        return;
    hash = seen_hash(id);
    for (size_t i = 0; i < g->promise_count; i++) {
        struct promise *p = &g->promises[(g->promise_head + i) % PROMISES_MAX];

        if (p->hash == hash)
            p->serial = 0;
    }
}

void promise_expire(struct gossip *g, tstamp now)
{
    while (g->promise_count > 0) {
        struct promise *promise = &g->promises[g->promise_head];
        struct peer *p;

        if (promise->serial != 0) {
            if (now < promise->until)
                return;
            p = peer_by_serial(g, promise->serial);
            if (p != NULL) {
                standing_misbehaved(p);
                tell(g, &p->id, GOSSIP_BROKEN_PROMISE);
            }
        }
        g->promise_head = (g->promise_head + 1) % PROMISES_MAX;
        g->promise_count--;
    }
}

/* ---- IHAVE in, IWANT out. ---- */

static struct blob *make_iwant(struct gossip *g, ProtobufCBinaryData *ids,
                               size_t count)
{
    Wire__GossipIWant iwant = WIRE__GOSSIP_IWANT__INIT;
    Wire__GossipIWant *iwants[] = {&iwant};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    iwant.n_ids = count;
    iwant.ids = ids;
    control.n_iwant = 1;
    control.iwant = iwants;
    rpc.control = &control;
    return pack_rpc(g, &rpc);
}

static void send_iwants(struct gossip *g, struct peer *p,
                        ProtobufCBinaryData *ids, size_t count, tstamp now)
{
    if (count > 0)
        promise_add(g, p, wire_span(ids[rng_below(g->rng, count)]), now);
    while (count > 0) {
        size_t n = ids_that_fit(ids, count);
        struct blob *b = make_iwant(g, ids, n);

        if (b == NULL)
            return;
        send_blob(g, p, GOSSIP_SEND_GOSSIP, b);
        blob_unref(b, g->mem);
        p->ids_asked += (unsigned)n;
        g->stats.iwant_ids_out += n;
        ids += n;
        count -= n;
    }
}

static bool is_wanted(const struct gossip *g, struct span id, tstamp now)
{
    struct message *m;

    if (id.len == 0 || id.len > GOSSIP_ID_MAX)
        return false;
    MAP_FIND(g->messages, id.data, id.len, m);
    return m == NULL && !seen_has(&g->seen, seen_hash(id), now);
}

void lazy_on_ihave(struct gossip *g, struct peer *p, unsigned topic,
                   const Wire__GossipIHave *ihave, tstamp now)
{
    ProtobufCBinaryData *wanted = ihave->ids;
    size_t n = 0;

    g->stats.ihave_ids_in += ihave->n_ids;
    if (!g->topics[topic].is_subscribed || score_of(g, p) < g->params->gossip)
        return;
    if (++p->ihaves > IHAVE_MESSAGES_MAX) {
        standing_flooded(g, p, now);
        return;
    }
    /* The decoded list is ours: the wanted ones move to its front. */
    for (size_t i = 0; i < ihave->n_ids && p->ids_asked + n < IHAVE_IDS_MAX;
         i++)
        if (is_wanted(g, wire_span(ihave->ids[i]), now))
            wanted[n++] = ihave->ids[i];
    send_iwants(g, p, wanted, n, now);
}

/* ---- IWANT in. ---- */

static void answer_iwant(struct gossip *g, struct peer *p, struct span id,
                         tstamp now)
{
    struct message *m;

    if (id.len == 0 || id.len > GOSSIP_ID_MAX)
        return;
    MAP_FIND(g->messages, id.data, id.len, m);
    if (m == NULL || m->is_pending ||
        blob_rpc_len(m->blob) > GOSSIP_RPC_SENT_MAX ||
        p->bytes_wanted + m->blob->end > IWANT_BYTES_MAX ||
        unwanted_is(g, p, &m->id, now) || !cache_may_resend(g, m, p))
        return;
    p->bytes_wanted += m->blob->end;
    send_blob(g, p, GOSSIP_SEND_FORWARDED, m->blob);
}

void lazy_on_iwant(struct gossip *g, struct peer *p,
                   const Wire__GossipIWant *iwant, tstamp now)
{
    g->stats.iwant_ids_in += iwant->n_ids;
    if (score_of(g, p) < g->params->gossip)
        return;
    for (size_t i = 0; i < iwant->n_ids; i++) {
        if (++p->ids_wanted > IWANT_IDS_MAX) {
            standing_flooded(g, p, now);
            return;
        }
        answer_iwant(g, p, wire_span(iwant->ids[i]), now);
    }
}
