/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* Messages out: ours, and others' once they are judged. */

/* ---- Sending messages. ---- */

/* floodsub knows no mesh: it gets and sends everything. */
static bool is_floodsub_subscriber(const struct gossip *g, const struct peer *p,
                                   unsigned topic)
{
    return p->version == GOSSIP_FLOODSUB &&
           (p->subscribed & topic_bit(topic)) &&
           score_of(g, p) >= g->params->publish;
}

static void forward(struct gossip *g, struct message *m, tstamp now)
{
    struct peer *p, *next;

    if (blob_rpc_len(m->blob) > GOSSIP_RPC_SENT_MAX)
        return;
    MAP_FOR_EACH(g->peers, p, next) {
        if (!(p->mesh & topic_bit(m->topic)) &&
            !is_floodsub_subscriber(g, p, m->topic))
            continue;
        if (message_has_copy(m, p) || peer_id_eq(&p->id, &m->author) ||
            unwanted_is(g, p, &m->id, now))
            continue;
        send_blob(g, p, GOSSIP_SEND_FORWARDED, m->blob);
        g->stats.forwarded++;
    }
}

void message_hand_on(struct gossip *g, struct message *m, tstamp now)
{
    list_remove(&m->fresh);
    if (m->is_pending)
        unwanted_tell(g, m);
    else
        forward(g, m, now);
}

bool gossip_hand_on(struct gossip *g, tstamp now)
{
    if (list_is_empty(&g->fresh))
        return false;
    message_hand_on(g, LIST_ENTRY(g->fresh.next, struct message, fresh), now);
    return true;
}

void message_hand_on_soon(struct gossip *g, struct message *m, tstamp now)
{
    if (!g->config.hands_on_later)
        message_hand_on(g, m, now);
    else if (list_is_empty(&m->fresh))
        list_push_back(&g->fresh, &m->fresh);
}

static bool gets_our_own(const struct gossip *g, const struct peer *p,
                         unsigned topic)
{
    uint32_t bit = topic_bit(topic);

    if (is_floodsub_subscriber(g, p, topic))
        return true;
    if (!g->config.no_flood_publish)
        return (p->subscribed & bit) && score_of(g, p) >= g->params->publish;
    return (p->mesh | p->fanout) & bit;
}

static size_t send_own(struct gossip *g, const struct message *m)
{
    struct peer *p, *next;
    size_t count = 0;

    MAP_FOR_EACH(g->peers, p, next) {
        if (!gets_our_own(g, p, m->topic))
            continue;
        send_blob(g, p, GOSSIP_SEND_OWN, m->blob);
        count++;
    }
    return count;
}

/* spec: pubsub/README.md#the-message
 *   seqno grows with each message; beginning at the time it also does so over
 *   restarts */
static void next_seqno(struct gossip *g, wall_ms wall, uint8_t out[SEQNO_LEN])
{
    uint64_t start = wall > 0 ? (uint64_t)wall * MILLISECONDS : 0;

    g->seqno = g->seqno < start ? start : g->seqno + 1;
    for (unsigned i = 0; i < SEQNO_LEN; i++)
        out[i] = (uint8_t)(g->seqno >> (8 * (SEQNO_LEN - 1 - i)));
}

enum err gossip_publish(struct gossip *g, struct span topic, struct span data,
                        tstamp now, wall_ms wall, size_t *sent_to)
{
    int t = topic_index(g, topic);
    uint8_t seqno[SEQNO_LEN];
    struct fields f;
    struct msg_id id;
    struct message *m;
    struct blob *b;
    uint32_t data_at;
    size_t count;

    if (sent_to != NULL)
        *sent_to = 0;
    if (t < 0)
        return ERR_INVAL;
    if (data.len > GOSSIP_DATA_MAX)
        return ERR_LIMIT;
    next_seqno(g, wall, seqno);
    message_id(g, &g->config.self, SPAN_OF(seqno), data, &id);
    if (message_find(g, &id) != NULL ||
        seen_has(&g->seen, seen_hash(msg_id_span(&id)), now))
        return OK;

    f = (struct fields){.has_data = true,
                        .from = peer_id_span(&g->config.self),
                        .data = data,
                        .seqno = SPAN_OF(seqno),
                        .topic = topic};
    TRY(message_sign(g, &f, &b, &data_at));
    assert(blob_rpc_len(b) <= GOSSIP_RPC_SENT_MAX);
    m = message_add(g, &id, b);
    if (m == NULL)
        return ERR_NOMEM;
    m->author = g->config.self;
    m->topic = (uint8_t)t;
    m->data_at = data_at;
    m->data_len = (uint32_t)data.len;
    if (!g->topics[t].is_subscribed)
        fanout_use(g, (unsigned)t, now);
    seen_add(&g->seen, seen_hash(msg_id_span(&id)), now);
    count = send_own(g, m);
    cache_start(g, m, now);
    g->stats.published++;
    if (sent_to != NULL)
        *sent_to = count;
    return OK;
}

/* ---- Verdicts. ---- */

static void blame_senders(struct gossip *g, const struct message *m)
{
    for (size_t i = 0; i < m->copy_count; i++) {
        struct peer *p = peer_by_serial(g, m->copies[i]);

        if (p != NULL)
            standing_blame(g, p, m->topic, GOSSIP_REJECTED);
    }
}

enum err gossip_verdict(struct gossip *g, uint64_t token,
                        enum gossip_verdict verdict, tstamp now)
{
    struct message *m = pending_find(g, token);

    if (m == NULL)
        return ERR_NOT_FOUND;
    pending_stop(g, m);
    if (verdict != GOSSIP_UNJUDGED) {
        seen_add(&g->seen, seen_hash(msg_id_span(&m->id)), now);
        g->stats.seen_evicted = g->seen.evicted;
    }
    switch (verdict) {
    case GOSSIP_ACCEPT:
        tell(g, &m->sender, GOSSIP_DELIVERED);
        g->stats.delivered++;
        m->judged_at = now;
        standing_delivered(g, m);
        message_hand_on_soon(g, m, now);
        cache_start(g, m, now);
        return OK;
    case GOSSIP_IGNORE:
        tell(g, &m->sender, GOSSIP_IGNORED);
        break;
    case GOSSIP_REJECT:
        blame_senders(g, m);
        break;
    case GOSSIP_UNJUDGED:
        break;
    }
    message_drop(g, m);
    return OK;
}
