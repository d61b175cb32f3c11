/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* One RPC of a peer: subscriptions, then messages, then control, each within
 * its budget. */

static bool spend_control(struct gossip *g, struct peer *p, tstamp now)
{
    unsigned per_s = g->config.peer_control_per_s;

    return bucket_take(&p->control, 1, per_s, (uint64_t)BURST_S * per_s, now);
}

/* ---- Subscriptions. ---- */

static void on_subscription(struct gossip *g, struct peer *p,
                            const Wire__GossipSub *sub, tstamp now)
{
    int t = topic_index(g, wire_span(sub->topic));

    if (t < 0) {
        tell(g, &p->id, GOSSIP_UNKNOWN_TOPIC);
    } else if (sub->subscribe) {
        if (p->subscribed & topic_bit((unsigned)t))
            return;
        p->subscribed |= topic_bit((unsigned)t);
        mesh_peer_subscribed(g, p, (unsigned)t, now);
    } else {
        p->subscribed &= ~topic_bit((unsigned)t);
        mesh_peer_unsubscribed(g, p, (unsigned)t, now);
    }
}

static bool on_subscriptions(struct gossip *g, struct peer *p,
                             const Wire__GossipRpc *rpc, tstamp now)
{
    for (size_t i = 0; i < rpc->n_subscriptions; i++) {
        if (!spend_control(g, p, now))
            return false;
        on_subscription(g, p, rpc->subscriptions[i], now);
    }
    return true;
}

/* ---- Messages. ---- */

static struct fields take_apart(const Wire__GossipMessage *m)
{
    return (struct fields){
        .has_data = m->has_data,
        .from = wire_span(m->from),
        .data = wire_span(m->data),
        .seqno = wire_span(m->seqno),
        .topic = wire_span(m->topic),
        .signature = wire_span(m->signature),
        .key = wire_span(m->key),
    };
}

/* An id whose message we have, or are looking at, is a duplicate. */
static bool is_duplicate(struct gossip *g, struct peer *p,
                         const struct msg_id *id, tstamp now)
{
    struct message *m = message_find(g, id);

    if (m != NULL && m->is_pending)
        (void)message_note_copy(m, p);
    else if (m != NULL)
        standing_copied(g, m, p, now);
    return m != NULL || seen_has(&g->seen, seen_hash(msg_id_span(id)), now);
}

/* A peer whose ids are made otherwise, go's way, keeps its promise too. */
static void keep_promises(struct gossip *g, const struct msg_id *id,
                          const struct fields *f)
{
    uint8_t plain[PEER_ID_MAX + SEQNO_LEN];

    if (g->promise_count == 0)
        return;
    promise_kept(g, msg_id_span(id));
    memcpy(plain, f->from.data, f->from.len);
    memcpy(plain + f->from.len, f->seqno.data, f->seqno.len);
    promise_kept(g, SPAN(plain, f->from.len + f->seqno.len));
}

static enum err start_pending(struct gossip *g, struct peer *p,
                              const struct fields *f,
                              const struct peer_id *author,
                              const struct msg_id *id, unsigned topic,
                              tstamp now)
{
    struct message *m;
    struct blob *b;
    uint32_t data_at;

    if (!pending_has_room(g, f->data.len + GOSSIP_TOPIC_LEN_MAX + 4096))
        return ERR_LIMIT;
    TRY(message_verify(g, f, author, &b, &data_at));
    m = message_add(g, id, b);
    if (m == NULL)
        return ERR_NOMEM;
    m->author = *author;
    m->topic = (uint8_t)topic;
    m->data_at = data_at;
    m->data_len = (uint32_t)f->data.len;
    pending_start(g, m, p, now);
    if (queue_message(&g->queue, &p->id, m->token)) {
        message_hand_on_soon(g, m, now);
        return OK;
    }
    g->stats.events_dropped = g->queue.dropped;
    message_drop(g, m);
    return ERR_LIMIT;
}

/* spec: pubsub/README.md#message-signing, StrictSign
 *   from, seqno and signature must be there */
static bool has_form(const struct fields *f, struct peer_id *author)
{
    return peer_id_decode(author, f->from) == OK && f->seqno.len == SEQNO_LEN &&
           f->signature.len > 0;
}

static void on_message(struct gossip *g, struct peer *p,
                       const Wire__GossipMessage *wire, tstamp now)
{
    struct fields f = take_apart(wire);
    int t = topic_index(g, f.topic);
    struct peer_id author = {0};
    struct msg_id id;
    bool is_own = span_eq(f.from, peer_id_span(&p->id));
    enum err err;

    if (t < 0 || !g->topics[t].is_subscribed) {
        tell(g, &p->id, GOSSIP_UNKNOWN_TOPIC);
        return;
    }
    if (!has_form(&f, &author)) {
        standing_blame(g, p, (unsigned)t,
                       is_own ? GOSSIP_BAD_OWN_MESSAGE : GOSSIP_BAD_FORM);
        return;
    }
    message_id(g, &author, f.seqno, f.data, &id);
    if (peer_id_eq(&author, &g->config.self) || is_duplicate(g, p, &id, now)) {
        keep_promises(g, &id, &f);
        tell(g, &p->id, GOSSIP_DUPLICATE);
        return;
    }
    err = start_pending(g, p, &f, &author, &id, (unsigned)t, now);
    if (err == OK)
        keep_promises(g, &id, &f);
    else if (err == ERR_BAD_SIGNATURE)
        standing_blame(g, p, (unsigned)t,
                       is_own ? GOSSIP_BAD_OWN_MESSAGE : GOSSIP_BAD_SIGNATURE);
    else
        tell(g, &p->id, GOSSIP_NO_ROOM);
}

static bool on_messages(struct gossip *g, struct peer *p,
                        const Wire__GossipRpc *rpc, tstamp now)
{
    unsigned per_s = g->config.peer_messages_per_s;

    for (size_t i = 0; i < rpc->n_publish; i++) {
        if (!bucket_take(&p->messages, 1, per_s, (uint64_t)BURST_S * per_s,
                         now))
            return false;
        on_message(g, p, rpc->publish[i], now);
    }
    return true;
}

/* ---- Control. ---- */

static bool on_prunes(struct gossip *g, struct peer *p,
                      const Wire__GossipControl *c, tstamp now)
{
    for (size_t i = 0; i < c->n_prune; i++) {
        const Wire__GossipPrune *prune = c->prune[i];
        int t = topic_index(g, wire_span(prune->topic));
        duration backoff = g->config.prune_backoff;

        if (!spend_control(g, p, now))
            return false;
        if (t < 0)
            continue;
        px_on_prune(g, p, (unsigned)t, prune);
        if (prune->has_backoff && prune->backoff > 0)
            backoff = prune->backoff < BACKOFF_MAX / SECONDS
                          ? prune->backoff * SECONDS
                          : BACKOFF_MAX;
        mesh_on_prune(g, p, (unsigned)t, backoff, now);
    }
    return true;
}

static bool on_grafts(struct gossip *g, struct peer *p,
                      const Wire__GossipControl *c, tstamp now)
{
    for (size_t i = 0; i < c->n_graft; i++) {
        int t = topic_index(g, wire_span(c->graft[i]->topic));

        if (!spend_control(g, p, now))
            return false;
        if (t >= 0)
            mesh_on_graft(g, p, (unsigned)t, now);
    }
    return true;
}

static bool on_ids(struct gossip *g, struct peer *p,
                   const Wire__GossipControl *c, tstamp now)
{
    for (size_t i = 0; i < c->n_ihave; i++) {
        int t = topic_index(g, wire_span(c->ihave[i]->topic));

        if (!spend_control(g, p, now))
            return false;
        if (t >= 0)
            lazy_on_ihave(g, p, (unsigned)t, c->ihave[i], now);
    }
    for (size_t i = 0; i < c->n_iwant; i++) {
        if (!spend_control(g, p, now))
            return false;
        lazy_on_iwant(g, p, c->iwant[i], now);
    }
    /* One comes for each large message: they have a limit of their own. */
    for (size_t i = 0; i < c->n_idontwant; i++)
        unwanted_on_idontwant(g, p, c->idontwant[i], now);
    return true;
}

static bool on_control(struct gossip *g, struct peer *p,
                       const Wire__GossipRpc *rpc, tstamp now)
{
    const Wire__GossipControl *c = rpc->control;

    return c == NULL || (on_grafts(g, p, c, now) && on_prunes(g, p, c, now) &&
                         on_ids(g, p, c, now));
}

/* ---- The RPC. ---- */

/* Of a graylisted peer only the subscriptions are heard, which it will not
 * repeat when it is forgiven.  The rest is still held against its budgets. */
static bool on_deaf_ears(struct gossip *g, struct peer *p,
                         const Wire__GossipRpc *rpc, tstamp now)
{
    const Wire__GossipControl *c = rpc->control;
    size_t entries =
        c == NULL ? 0 : c->n_graft + c->n_prune + c->n_ihave + c->n_iwant;
    unsigned messages_per_s = g->config.peer_messages_per_s;
    unsigned control_per_s = g->config.peer_control_per_s;

    g->stats.rpcs_unheard++;
    return bucket_take(&p->messages, rpc->n_publish, messages_per_s,
                       (uint64_t)BURST_S * messages_per_s, now) &&
           bucket_take(&p->control, entries, control_per_s,
                       (uint64_t)BURST_S * control_per_s, now);
}

/* A large RPC is rare: its memory is not kept. */
static void forget_decoded(struct gossip *g)
{
    if (g->arena.used > DECODED_KEPT)
        arena_release(&g->arena);
    else
        arena_reset(&g->arena);
}

static enum err admit(struct gossip *g, struct peer *p, struct span rpc,
                      tstamp now)
{
    uint64_t per_s = g->config.peer_bytes_per_s;
    uint64_t burst = BURST_S * per_s;

    if (rpc.len > GOSSIP_RPC_ACCEPTED_MAX)
        return ERR_FRAME_SIZE;
    if (burst < GOSSIP_RPC_ACCEPTED_MAX)
        burst = GOSSIP_RPC_ACCEPTED_MAX;
    if (bucket_take(&p->bytes, rpc.len, per_s, burst, now))
        return OK;
    standing_flooded(g, p, now);
    return ERR_LIMIT;
}

enum err gossip_on_rpc(struct gossip *g, const struct peer_id *peer,
                       struct span rpc, tstamp now, wall_ms wall)
{
    struct peer *p = gossip_peer_find(g, peer);
    Wire__GossipRpc *msg;
    bool is_within;

    (void)wall;
    if (p == NULL)
        return ERR_NOT_FOUND;
    g->stats.rpcs_in++;
    g->stats.bytes_in += rpc.len;
    TRY(admit(g, p, rpc, now));

    arena_reset(&g->arena);
    msg = wire_unpack(&wire__gossip_rpc__descriptor, &g->arena, rpc);
    if (msg == NULL) {
        bool is_refused = g->arena.refused;

        forget_decoded(g);
        return is_refused ? ERR_NOMEM : ERR_PROTO;
    }
    is_within =
        on_subscriptions(g, p, msg, now) &&
        (score_of(g, p) < g->params->graylist
             ? on_deaf_ears(g, p, msg, now)
             : on_messages(g, p, msg, now) && on_control(g, p, msg, now));
    forget_decoded(g);
    if (is_within)
        return OK;
    standing_flooded(g, p, now);
    return ERR_LIMIT;
}
