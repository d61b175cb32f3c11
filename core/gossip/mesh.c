/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* The mesh of a topic: the peers that send us all of it and get all of it.
 *
 *    D_lo ≤ mesh ≤ D_hi, aiming at D, D_out of them dialled by us
 *
 * spec: pubsub/gossipsub/gossipsub-v1.0.md#heartbeat-procedure,
 *       gossipsub-v1.1.md#prune-backoff-and-peer-exchange */

bool is_mesh_peer(const struct peer *p)
{
    return p->version != GOSSIP_FLOODSUB;
}

/* ---- GRAFT and PRUNE out. ---- */

static struct blob *make_graft(struct gossip *g, unsigned topic)
{
    Wire__GossipGraft graft = WIRE__GOSSIP_GRAFT__INIT;
    Wire__GossipGraft *grafts[] = {&graft};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    graft.has_topic = true;
    graft.topic = wire_bytes(topic_name(g, topic));
    control.n_graft = 1;
    control.graft = grafts;
    rpc.control = &control;
    return pack_rpc(g, &rpc);
}

static struct blob *make_prune(struct gossip *g, unsigned topic,
                               duration backoff, Wire__GossipPeer *px,
                               size_t px_count)
{
    Wire__GossipPeer *peers[PX_PEERS_MAX];
    Wire__GossipPrune prune = WIRE__GOSSIP_PRUNE__INIT;
    Wire__GossipPrune *prunes[] = {&prune};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    prune.has_topic = true;
    prune.topic = wire_bytes(topic_name(g, topic));
    prune.has_backoff = true;
    prune.backoff = backoff / SECONDS;
    for (size_t i = 0; i < px_count; i++)
        peers[i] = &px[i];
    prune.n_peers = px_count;
    prune.peers = peers;
    control.n_prune = 1;
    control.prune = prunes;
    rpc.control = &control;
    return pack_rpc(g, &rpc);
}

static void mesh_put(struct gossip *g, struct peer *p, unsigned topic,
                     tstamp now)
{
    assert(!(p->mesh & topic_bit(topic)));
    p->mesh |= topic_bit(topic);
    p->fanout &= ~topic_bit(topic);
    g->topics[topic].mesh_count++;
    score_grafted(&p->standing->topics[topic], g->topics[topic].share, now);
}

static void mesh_take(struct gossip *g, struct peer *p, unsigned topic,
                      tstamp now)
{
    assert(p->mesh & topic_bit(topic));
    p->mesh &= ~topic_bit(topic);
    g->topics[topic].mesh_count--;
    p->left_mesh_at = now;
    score_pruned(g->params, &p->standing->topics[topic]);
}

static void graft(struct gossip *g, struct peer *const *peers, size_t count,
                  unsigned topic, tstamp now)
{
    struct blob *b;

    if (count == 0 || (b = make_graft(g, topic)) == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        mesh_put(g, peers[i], topic, now);
        send_blob(g, peers[i], GOSSIP_SEND_CONTROL, b);
        g->stats.grafts_out++;
    }
    blob_unref(b, g->mem);
}

/* Without memory for the PRUNE the peer goes on sending to us for a while.
 * |tells_others|: it did nothing wrong and may be told of others. */
static void prune(struct gossip *g, struct peer *p, unsigned topic,
                  duration backoff, bool tells_others, tstamp now)
{
    Wire__GossipPeer px[PX_PEERS_MAX];
    size_t px_count = tells_others ? px_choose(g, p, topic, px) : 0;
    struct blob *b = make_prune(g, topic, backoff, px, px_count);

    backoff_set(g, p, topic, backoff, true, now);
    if (p->mesh & topic_bit(topic))
        mesh_take(g, p, topic, now);
    if (b == NULL)
        return;
    send_blob(g, p, GOSSIP_SEND_CONTROL, b);
    g->stats.prunes_out++;
    blob_unref(b, g->mem);
}

/* ---- Choosing. ---- */

static void shuffle(struct gossip *g, struct peer **peers, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = (size_t)rng_below(g->rng, i);
        struct peer *other = peers[k];

        peers[k] = peers[i - 1];
        peers[i - 1] = other;
    }
}

size_t pick_peers(struct gossip *g, unsigned topic, tstamp now,
                  bool (*may)(const struct gossip *g, const struct peer *p,
                              unsigned topic, tstamp now))
{
    struct peer *p, *next;
    size_t n = 0;

    MAP_FOR_EACH(g->peers, p, next) {
        if (may(g, p, topic, now))
            g->picked[n++] = p;
    }
    shuffle(g, g->picked, n);
    return n;
}

static bool may_join_mesh(const struct gossip *g, const struct peer *p,
                          unsigned topic, tstamp now)
{
    uint32_t bit = topic_bit(topic);

    return is_mesh_peer(p) && (p->subscribed & bit) && !(p->mesh & bit) &&
           score_of(g, p) >= 0 && !may_not_graft_yet(g, p, topic, now);
}

static bool may_join_mesh_dialled(const struct gossip *g, const struct peer *p,
                                  unsigned topic, tstamp now)
{
    return p->is_outbound && may_join_mesh(g, p, topic, now);
}

static bool is_in_mesh(const struct gossip *g, const struct peer *p,
                       unsigned topic, tstamp now)
{
    (void)g, (void)now;
    return p->mesh & topic_bit(topic);
}

static bool may_join_fanout(const struct gossip *g, const struct peer *p,
                            unsigned topic, tstamp now)
{
    uint32_t bit = topic_bit(topic);

    (void)now;
    return is_mesh_peer(p) && (p->subscribed & bit) && !(p->fanout & bit) &&
           score_of(g, p) >= g->params->publish;
}

/* ---- Keeping the mesh within its bounds. ---- */

static size_t at_most(size_t n, size_t max)
{
    return n < max ? n : max;
}

static void fill(struct gossip *g, unsigned topic, tstamp now)
{
    size_t have = g->topics[topic].mesh_count;

    if (have < g->config.d_lo) {
        size_t n = pick_peers(g, topic, now, may_join_mesh);

        graft(g, g->picked, at_most(n, g->config.d - have), topic, now);
    }
}

static size_t outbound_among(struct peer *const *peers, size_t n)
{
    size_t outbound = 0;

    for (size_t i = 0; i < n; i++)
        outbound += peers[i]->is_outbound;
    return outbound;
}

/* Best score first; equal ones stay in their random order. */
static void sort_by_score(const struct gossip *g, struct peer **peers, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct peer *p = peers[i];
        size_t k = i;

        for (; k > 0 && score_of(g, peers[k - 1]) < score_of(g, p); k--)
            peers[k] = peers[k - 1];
        peers[k] = p;
    }
}

/* spec: gossipsub-v1.1.md#heartbeat-maintenance
 *   keep the D_score best, the rest at random, with D_out outbound ones */
static void choose_who_stays(struct gossip *g, size_t n)
{
    struct peer **peers = g->picked;
    size_t d = g->config.d, kept = at_most(D_SCORE, d);
    size_t outbound;

    sort_by_score(g, peers, n);
    shuffle(g, peers + kept, n - kept);
    outbound = outbound_among(peers, d);
    for (size_t i = d, give = d; i < n && outbound < g->config.d_out; i++) {
        if (!peers[i]->is_outbound)
            continue;
        while (give > kept && peers[give - 1]->is_outbound)
            give--;
        if (give == kept)
            return;
        struct peer *other = peers[--give];
        peers[give] = peers[i];
        peers[i] = other;
        outbound++;
    }
}

static void trim(struct gossip *g, unsigned topic, tstamp now)
{
    size_t n;

    if (g->topics[topic].mesh_count <= g->config.d_hi)
        return;
    n = pick_peers(g, topic, now, is_in_mesh);
    choose_who_stays(g, n);
    for (size_t i = g->config.d; i < n; i++)
        prune(g, g->picked[i], topic, g->config.prune_backoff, true, now);
}

static void add_outbound(struct gossip *g, unsigned topic, tstamp now)
{
    size_t n = pick_peers(g, topic, now, is_in_mesh);
    size_t outbound = outbound_among(g->picked, n);

    if (n < g->config.d_lo || outbound >= g->config.d_out)
        return;
    n = pick_peers(g, topic, now, may_join_mesh_dialled);
    graft(g, g->picked, at_most(n, g->config.d_out - outbound), topic, now);
}

/* spec: gossipsub-v1.1.md#opportunistic-grafting
 *   a mesh whose median is poor takes in some that are better than it */
static void add_better(struct gossip *g, unsigned topic, tstamp now)
{
    size_t n = pick_peers(g, topic, now, is_in_mesh), better = 0;
    double median;

    if (n < 2)
        return;
    sort_by_score(g, g->picked, n);
    median = score_of(g, g->picked[(n - 1) / 2]);
    if (median >= g->params->opportunistic)
        return;
    n = pick_peers(g, topic, now, may_join_mesh);
    for (size_t i = 0; i < n && better < BETTER_PEERS; i++)
        if (score_of(g, g->picked[i]) > median)
            g->picked[better++] = g->picked[i];
    graft(g, g->picked, better, topic, now);
    g->stats.better_grafts += better;
}

static void drop_bad(struct gossip *g, unsigned topic, tstamp now)
{
    struct peer *p, *next;

    MAP_FOR_EACH(g->peers, p, next) {
        if (!(p->mesh & topic_bit(topic)) || score_of(g, p) >= 0)
            continue;
        if (p->standing->topics[topic].lack > 0)
            tell(g, &p->id, GOSSIP_WITHHELD);
        prune(g, p, topic, g->config.prune_backoff, false, now);
    }
}

/* ---- Fanout: whom we publish to without being subscribed. ---- */

static size_t fanout_keep(struct gossip *g, unsigned topic)
{
    uint32_t bit = topic_bit(topic);
    struct peer *p, *next;
    size_t count = 0;

    MAP_FOR_EACH(g->peers, p, next) {
        if (!(p->fanout & bit))
            continue;
        if ((p->subscribed & bit) && score_of(g, p) >= g->params->publish)
            count++;
        else
            p->fanout &= ~bit;
    }
    return count;
}

static void fanout_fill(struct gossip *g, unsigned topic, tstamp now)
{
    size_t have = fanout_keep(g, topic), n;

    if (have >= g->config.d)
        return;
    n = at_most(pick_peers(g, topic, now, may_join_fanout), g->config.d - have);
    for (size_t i = 0; i < n; i++)
        g->picked[i]->fanout |= topic_bit(topic);
}

static void fanout_end(struct gossip *g, unsigned topic)
{
    struct peer *p, *next;

    g->topics[topic].fanout_until = 0;
    MAP_FOR_EACH(g->peers, p, next) {
        p->fanout &= ~topic_bit(topic);
    }
}

void fanout_use(struct gossip *g, unsigned topic, tstamp now)
{
    bool is_new = g->topics[topic].fanout_until == 0;

    g->topics[topic].fanout_until = tstamp_add(now, g->config.fanout_ttl);
    if (is_new)
        fanout_fill(g, topic, now);
}

/* ---- What happens to a mesh. ---- */

void mesh_joined(struct gossip *g, unsigned topic, tstamp now)
{
    uint32_t bit = topic_bit(topic);
    struct peer *p, *next;
    size_t n = 0;

    MAP_FOR_EACH(g->peers, p, next) {
        if ((p->fanout & bit) && may_join_mesh(g, p, topic, now))
            g->picked[n++] = p;
    }
    graft(g, g->picked, at_most(n, g->config.d), topic, now);
    fanout_end(g, topic);
    fill(g, topic, now);
}

void mesh_left(struct gossip *g, unsigned topic, tstamp now)
{
    struct peer *p, *next;

    MAP_FOR_EACH(g->peers, p, next) {
        if (p->mesh & topic_bit(topic))
            prune(g, p, topic, g->config.leave_backoff, true, now);
    }
}

/* A small mesh takes a new subscriber at once: with a slow heartbeat it would
 * hear nothing for long. */
void mesh_peer_subscribed(struct gossip *g, struct peer *p, unsigned topic,
                          tstamp now)
{
    if (g->topics[topic].is_subscribed &&
        g->topics[topic].mesh_count < g->config.d_lo &&
        may_join_mesh(g, p, topic, now))
        graft(g, &p, 1, topic, now);
}

void mesh_peer_unsubscribed(struct gossip *g, struct peer *p, unsigned topic,
                            tstamp now)
{
    if (p->mesh & topic_bit(topic))
        mesh_take(g, p, topic, now);
    p->fanout &= ~topic_bit(topic);
}

/* |mesh|: the topics whose mesh lost a peer. */
void mesh_peer_gone(struct gossip *g, uint32_t mesh, tstamp now)
{
    for (unsigned t = 0; t < g->config.topic_count; t++) {
        if (!(mesh & topic_bit(t)))
            continue;
        g->topics[t].mesh_count--;
        fill(g, t, now);
    }
}

static bool is_graft_flood(struct gossip *g, struct peer *p, unsigned topic,
                           tstamp now)
{
    const struct backoff *b = backoff_find(g, p, topic);

    if (b == NULL || now >= b->until)
        return false;
    standing_misbehaved(p);
    if (now < tstamp_add(b->since, GRAFT_FLOOD)) {
        standing_misbehaved(p);
        tell(g, &p->id, GOSSIP_GRAFT_FLOOD);
    }
    return true;
}

/* spec: gossipsub-v1.0.md#graft, gossipsub-v1.1.md#graft-backoff */
void mesh_on_graft(struct gossip *g, struct peer *p, unsigned topic, tstamp now)
{
    struct topic *t = &g->topics[topic];

    g->stats.grafts_in++;
    if (!t->is_subscribed || !is_mesh_peer(p) ||
        !(p->subscribed & topic_bit(topic)) || (p->mesh & topic_bit(topic)))
        return;
    if (is_graft_flood(g, p, topic, now) || score_of(g, p) < 0)
        prune(g, p, topic, g->config.prune_backoff, false, now);
    else if (t->mesh_count >= g->config.d_hi && !p->is_outbound)
        prune(g, p, topic, g->config.prune_backoff, true, now);
    else
        mesh_put(g, p, topic, now);
}

void mesh_on_prune(struct gossip *g, struct peer *p, unsigned topic,
                   duration backoff, tstamp now)
{
    g->stats.prunes_in++;
    backoff_set(g, p, topic, backoff < BACKOFF_MAX ? backoff : BACKOFF_MAX,
                false, now);
    if (!(p->mesh & topic_bit(topic)))
        return;
    mesh_take(g, p, topic, now);
    fill(g, topic, now);
}

/* ---- Heartbeat. ---- */

static void forget_counts(struct gossip *g)
{
    struct peer *p, *next;

    MAP_FOR_EACH(g->peers, p, next) {
        p->ihaves = p->ids_asked = p->ids_wanted = 0;
        p->idontwants_in = p->idontwants_out = p->px_taken = 0;
        p->has_flooded = false;
        p->bytes_wanted = 0;
    }
}

void mesh_heartbeat(struct gossip *g, tstamp now)
{
    bool is_time_for_better = now >= g->next_better;

    forget_counts(g);
    backoff_expire(g, now);
    standing_beat(g, now);
    if (is_time_for_better)
        g->next_better = tstamp_add(now, BETTER_EVERY);
    for (unsigned t = 0; t < g->config.topic_count; t++) {
        struct topic *topic = &g->topics[t];

        if (topic->is_subscribed) {
            drop_bad(g, t, now);
            fill(g, t, now);
            trim(g, t, now);
            add_outbound(g, t, now);
            if (is_time_for_better)
                add_better(g, t, now);
        } else if (topic->fanout_until != 0) {
            if (now >= topic->fanout_until)
                fanout_end(g, t);
            else
                fanout_fill(g, t, now);
        }
        if (topic->is_subscribed || topic->fanout_until != 0)
            lazy_gossip(g, t, now);
    }
    g->beat++;
    cache_shift(g);
}
