/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/gossip.h"

#include "gossip/state.h"
#include "multi/uvarint.h"

static const char *const outcome_names[GOSSIP_OUTCOME_COUNT] = {
    [GOSSIP_DELIVERED] = "delivered",
    [GOSSIP_DUPLICATE] = "duplicate",
    [GOSSIP_REJECTED] = "rejected",
    [GOSSIP_IGNORED] = "ignored",
    [GOSSIP_BAD_SIGNATURE] = "bad-signature",
    [GOSSIP_BAD_OWN_MESSAGE] = "bad-own-message",
    [GOSSIP_BAD_FORM] = "bad-form",
    [GOSSIP_OVER_BUDGET] = "over-budget",
    [GOSSIP_UNKNOWN_TOPIC] = "unknown-topic",
    [GOSSIP_BROKEN_PROMISE] = "broken-promise",
    [GOSSIP_GRAFT_FLOOD] = "graft-flood",
    [GOSSIP_WITHHELD] = "withheld",
    [GOSSIP_FLOOD] = "flood",
    [GOSSIP_NO_ROOM] = "no-room",
};

const char *gossip_outcome_name(enum gossip_outcome outcome)
{
    return outcome_names[outcome];
}

/* ---- Creation. ---- */

#define DEFAULT(field, value) \
    if ((field) == 0)         \
    (field) = (value)

static void fill_in(struct gossip_config *c)
{
    DEFAULT(c->heartbeat, 1 * SECONDS);
    DEFAULT(c->heartbeat_first, 100 * MILLISECONDS);
    DEFAULT(c->d, 6);
    DEFAULT(c->d_lo, 5);
    DEFAULT(c->d_hi, 12);
    DEFAULT(c->d_out, 2);
    DEFAULT(c->d_lazy, 6);
    DEFAULT(c->fanout_ttl, 60 * SECONDS);
    DEFAULT(c->prune_backoff, 60 * SECONDS);
    DEFAULT(c->leave_backoff, 10 * SECONDS);
    DEFAULT(c->seen_ttl, 120 * SECONDS);
    DEFAULT(c->promise_ttl, 3 * SECONDS);
    DEFAULT(c->verdict_ttl, 60 * SECONDS);
    DEFAULT(c->peers_max, 256);
    DEFAULT(c->seen_max, 131072);
    DEFAULT(c->cache_bytes_max, 16 << 20);
    DEFAULT(c->pending_max, 1024);
    DEFAULT(c->pending_bytes_max, 8 << 20);
    DEFAULT(c->events_max, 16384);
    DEFAULT(c->peer_bytes_per_s, 2 << 20);
    DEFAULT(c->peer_messages_per_s, 500);
    DEFAULT(c->peer_control_per_s, 500);
    DEFAULT(c->idontwant_bytes, 1024);
    assert(c->d_lo <= c->d && c->d <= c->d_hi && c->d_out <= c->d_lo);
    assert(c->cache_bytes_max >= 2 * GOSSIP_RPC_ACCEPTED_MAX);
}

static void copy_topics(struct gossip *g)
{
    const struct gossip_config *c = &g->config;

    assert(c->topic_count <= GOSSIP_TOPICS_MAX);
    for (size_t i = 0; i < c->topic_count; i++) {
        struct span name = span_str(c->topics[i]);

        assert(name.len <= GOSSIP_TOPIC_LEN_MAX);
        g->topics[i].len = (uint8_t)name.len;
        memcpy(g->topics[i].name, name.data, name.len);
    }
    g->config.topics = NULL;
}

struct gossip *gossip_new(const struct gossip_config *config, tstamp now,
                          const struct rng *rng, const struct mem *mem,
                          const struct log *log)
{
    struct gossip *g = mem_new(mem, sizeof(*g));
    struct gossip_config *c = &g->config;

    *c = *config;
    fill_in(c);
    g->mem = mem;
    g->rng = rng;
    g->log = log;
    g->params = c->scores != NULL ? c->scores : &score_defaults;
    g->topics = mem_new(mem, (c->topic_count + 1) * sizeof(*g->topics));
    copy_topics(g);
    g->picked = mem_new(mem, c->peers_max * sizeof(struct peer *));
    g->slots = mem_new(mem, c->pending_max * sizeof(struct message *));
    g->promises = mem_new(mem, PROMISES_MAX * sizeof(*g->promises));
    list_init(&g->pending);
    list_init(&g->cached);
    list_init(&g->fresh);
    list_init(&g->left);
    g->scored_at = now;
    g->next_better = tstamp_add(now, BETTER_EVERY);
    seen_init(&g->seen, c->seen_max, c->seen_ttl, mem);
    seen_init(&g->unwanted, UNWANTED_MAX, UNWANTED_BEATS * c->heartbeat, mem);
    queue_init(&g->queue, c->events_max, mem);
    arena_init(&g->arena, DECODED_MAX, mem);
    g->next_beat = tstamp_add(now, c->heartbeat_first);
    return g;
}

void gossip_free(struct gossip *g)
{
    struct message *m, *next_m;
    struct peer *p, *next_p;

    if (g == NULL)
        return;
    MAP_FOR_EACH(g->messages, m, next_m) {
        message_drop(g, m);
    }
    MAP_FOR_EACH(g->peers, p, next_p) {
        MAP_DEL(g->peers, p);
        mem_free(g->mem, p->record);
        mem_free(g->mem, p);
    }
    standing_release(g);
    backoff_release(g);
    blob_unref(g->held, g->mem);
    queue_release(&g->queue);
    seen_release(&g->seen);
    seen_release(&g->unwanted);
    arena_release(&g->arena);
    mem_free(g->mem, g->promises);
    mem_free(g->mem, g->slots);
    mem_free(g->mem, g->picked);
    mem_free(g->mem, g->topics);
    mem_free(g->mem, g);
}

/* ---- Small things the room shares. ---- */

struct peer *gossip_peer_find(const struct gossip *g, const struct peer_id *id)
{
    struct peer *p;

    MAP_FIND(g->peers, id, sizeof(*id), p);
    return p;
}

struct peer *peer_by_serial(const struct gossip *g, uint32_t serial)
{
    struct peer *p, *next;

    MAP_FOR_EACH(g->peers, p, next) {
        if (p->serial == serial)
            return p;
    }
    return NULL;
}

int topic_index(const struct gossip *g, struct span name)
{
    for (unsigned t = 0; t < g->config.topic_count; t++)
        if (span_eq(topic_name(g, t), name))
            return (int)t;
    return -1;
}

void send_blob(struct gossip *g, struct peer *p, enum gossip_send_kind kind,
               struct blob *b)
{
    if (!queue_send(&g->queue, &p->id, kind, b)) {
        g->stats.events_dropped = g->queue.dropped;
        return;
    }
    g->stats.rpcs_out++;
    g->stats.bytes_out += blob_rpc_len(b);
}

void tell(struct gossip *g, const struct peer_id *peer,
          enum gossip_outcome outcome)
{
    g->stats.outcomes[outcome]++;
    if (!queue_outcome(&g->queue, peer, outcome))
        g->stats.events_dropped = g->queue.dropped;
}

bool bucket_take(struct bucket *b, uint64_t n, uint64_t per_s, uint64_t burst,
                 tstamp now)
{
    duration elapsed = now - b->at;
    duration to_full = burst * SECONDS / per_s;

    if (elapsed >= to_full) {
        b->level = burst;
        b->at = now;
    } else {
        uint64_t gained = elapsed * per_s / SECONDS;

        /* The clock moves only by what was gained: no fraction is lost. */
        b->at += gained * SECONDS / per_s;
        b->level = b->level + gained < burst ? b->level + gained : burst;
    }
    if (b->level < n)
        return false;
    b->level -= n;
    return true;
}

struct blob *pack_rpc(struct gossip *g, const Wire__GossipRpc *rpc)
{
    size_t len = wire__gossip_rpc__get_packed_size(rpc);
    struct blob *b = blob_new(uvarint_len(len) + len, g->mem);

    if (b == NULL)
        return NULL;
    b->rpc_at = (uint32_t)uvarint_encode(len, b->bytes);
    (void)wire__gossip_rpc__pack(rpc, b->bytes + b->rpc_at);
    return b;
}

/* ---- Peers. ---- */

/* Subscriptions to the |count| topics of |topics|. */
static struct blob *make_subscriptions(struct gossip *g, const unsigned *topics,
                                       size_t count, bool subscribe)
{
    Wire__GossipSub subs[GOSSIP_TOPICS_MAX];
    Wire__GossipSub *at[GOSSIP_TOPICS_MAX];
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    for (size_t i = 0; i < count; i++) {
        wire__gossip_sub__init(&subs[i]);
        subs[i].has_subscribe = true;
        subs[i].subscribe = subscribe;
        subs[i].has_topic = true;
        subs[i].topic = wire_bytes(topic_name(g, topics[i]));
        at[i] = &subs[i];
    }
    rpc.n_subscriptions = count;
    rpc.subscriptions = at;
    return pack_rpc(g, &rpc);
}

/* spec: pubsub/README.md#stream-management
 *   the first RPC tells all subscriptions */
static enum err say_hello(struct gossip *g, struct peer *p)
{
    unsigned topics[GOSSIP_TOPICS_MAX];
    size_t count = 0;
    struct blob *b;

    for (unsigned t = 0; t < g->config.topic_count; t++)
        if (g->topics[t].is_subscribed)
            topics[count++] = t;
    if (count == 0)
        return OK;
    b = make_subscriptions(g, topics, count, true);
    if (b == NULL)
        return ERR_NOMEM;
    send_blob(g, p, GOSSIP_SEND_CONTROL, b);
    blob_unref(b, g->mem);
    return OK;
}

enum err gossip_peer_connected(struct gossip *g, const struct peer_id *peer,
                               enum gossip_version version, bool is_outbound,
                               uint64_t ip, tstamp now)
{
    struct peer *p;
    enum err err;

    if (gossip_peer_find(g, peer) != NULL)
        return OK;
    if (MAP_COUNT(g->peers) >= g->config.peers_max) {
        g->peers_refused++;
        return ERR_LIMIT;
    }
    p = mem_try_zero(g->mem, sizeof(*p));
    if (p == NULL)
        return ERR_NOMEM;
    p->id = *peer;
    p->serial = ++g->serial;
    p->version = version;
    p->is_outbound = is_outbound;
    p->left_mesh_at = now;
    p->bytes = p->messages = p->control =
        (struct bucket){.level = UINT32_MAX, .at = now}; /* full */
    err = standing_arrived(g, p, ip);
    if (err == OK && (err = say_hello(g, p)) != OK)
        standing_left(g, p, now);
    if (err != OK) {
        mem_free(g->mem, p);
        return err;
    }
    MAP_ADD(g->peers, &p->id, sizeof(p->id), p);
    return OK;
}

enum err gossip_peer_greet(struct gossip *g, const struct peer_id *peer)
{
    struct peer *p = gossip_peer_find(g, peer);

    return p != NULL ? say_hello(g, p) : ERR_NOT_FOUND;
}

void gossip_peer_gone(struct gossip *g, const struct peer_id *peer, tstamp now)
{
    struct peer *p = gossip_peer_find(g, peer);
    uint32_t mesh;

    if (p == NULL)
        return;
    mesh = p->mesh;
    standing_left(g, p, now);
    MAP_DEL(g->peers, p);
    mem_free(g->mem, p->record);
    mem_free(g->mem, p);
    mesh_peer_gone(g, mesh, now);
}

void gossip_set_app_score(struct gossip *g, const struct peer_id *peer,
                          double score)
{
    struct peer *p = gossip_peer_find(g, peer);

    if (p != NULL)
        p->standing->self.app = score;
}

/* ---- Topics. ---- */

static enum err tell_all(struct gossip *g, unsigned topic, bool subscribe)
{
    struct blob *b = make_subscriptions(g, &topic, 1, subscribe);
    struct peer *p, *next;

    if (b == NULL)
        return ERR_NOMEM;
    MAP_FOR_EACH(g->peers, p, next) {
        send_blob(g, p, GOSSIP_SEND_CONTROL, b);
    }
    blob_unref(b, g->mem);
    return OK;
}

enum err gossip_subscribe(struct gossip *g, struct span topic, tstamp now)
{
    int t = topic_index(g, topic);

    if (t < 0)
        return ERR_INVAL;
    if (g->topics[t].is_subscribed)
        return OK;
    TRY(tell_all(g, (unsigned)t, true));
    g->topics[t].is_subscribed = true;
    mesh_joined(g, (unsigned)t, now);
    return OK;
}

enum err gossip_unsubscribe(struct gossip *g, struct span topic, tstamp now)
{
    int t = topic_index(g, topic);

    if (t < 0)
        return ERR_INVAL;
    if (!g->topics[t].is_subscribed)
        return OK;
    mesh_left(g, (unsigned)t, now);
    g->topics[t].is_subscribed = false;
    return tell_all(g, (unsigned)t, false);
}

/* ---- Time and events. ---- */

tstamp gossip_deadline(const struct gossip *g)
{
    return g->next_beat;
}

void gossip_tick(struct gossip *g, tstamp now)
{
    if (now < g->next_beat)
        return;
    seen_expire(&g->seen, now);
    seen_expire(&g->unwanted, now);
    pending_expire(g, now);
    promise_expire(g, now);
    mesh_heartbeat(g, now);
    /* Late is late: missed heartbeats are not made up for. */
    g->next_beat = tstamp_add(now, g->config.heartbeat);
}

static bool fill_event(struct gossip *g, const struct queued *e,
                       struct gossip_event *ev)
{
    struct message *m;

    *ev = (struct gossip_event){.type = e->type, .peer = e->peer};
    switch (e->type) {
    case GOSSIP_EV_SEND:
        g->held = e->blob;
        ev->send.kind = e->kind;
        ev->send.rpc =
            SPAN(e->blob->bytes + e->blob->rpc_at, blob_rpc_len(e->blob));
        ev->send.frame = SPAN(e->blob->bytes + e->blob->frame_at,
                              e->blob->end - e->blob->frame_at);
        return true;
    case GOSSIP_EV_MESSAGE:
        m = pending_find(g, e->token);
        if (m == NULL) /* it waited here for longer than verdict_ttl */
            return false;
        ev->message.token = m->token;
        ev->message.author = m->author;
        ev->message.topic = topic_name(g, m->topic);
        ev->message.data = SPAN(m->blob->bytes + m->data_at, m->data_len);
        return true;
    case GOSSIP_EV_OUTCOME:
        ev->outcome.kind = e->outcome;
        ev->outcome.count = e->count;
        return true;
    case GOSSIP_EV_PX:
        g->held = e->blob;
        ev->px.record =
            SPAN(e->blob->bytes + e->blob->rpc_at, blob_rpc_len(e->blob));
        return peer_id_decode(&ev->px.peer,
                              SPAN(e->blob->bytes, e->blob->rpc_at)) == OK;
    case GOSSIP_EV_NONE:
        break;
    }
    return false;
}

bool gossip_poll(struct gossip *g, struct gossip_event *ev)
{
    struct queued e;

    blob_unref(g->held, g->mem);
    g->held = NULL;
    while (queue_take(&g->queue, &e))
        if (fill_event(g, &e, ev))
            return true;
    *ev = (struct gossip_event){.type = GOSSIP_EV_NONE};
    return false;
}

/* ---- Looking. ---- */

const struct gossip_stats *gossip_stats(const struct gossip *g)
{
    return &g->stats;
}

size_t gossip_peer_count(const struct gossip *g)
{
    return MAP_COUNT(g->peers);
}

size_t gossip_subscriber_count(const struct gossip *g, struct span topic)
{
    int t = topic_index(g, topic);
    struct peer *p, *next;
    size_t count = 0;

    if (t < 0)
        return 0;
    MAP_FOR_EACH(g->peers, p, next) {
        count += (p->subscribed & topic_bit((unsigned)t)) != 0;
    }
    return count;
}

size_t gossip_mesh_count(const struct gossip *g, struct span topic)
{
    int t = topic_index(g, topic);

    return t < 0 ? 0 : g->topics[t].mesh_count;
}

bool gossip_is_in_mesh(const struct gossip *g, struct span topic,
                       const struct peer_id *peer)
{
    struct peer *p = gossip_peer_find(g, peer);
    int t = topic_index(g, topic);

    return p != NULL && t >= 0 && (p->mesh & topic_bit((unsigned)t));
}

size_t gossip_seen_count(const struct gossip *g)
{
    return g->seen.count;
}

size_t gossip_pending_count(const struct gossip *g)
{
    return g->pending_count;
}

size_t gossip_cache_bytes(const struct gossip *g)
{
    return g->cached_bytes;
}

void gossip_usage(const struct gossip *g, struct gossip_usage *out)
{
    *out = (struct gossip_usage){
        .peers = MAP_COUNT(g->peers),
        .peers_max = g->config.peers_max,
        .pending = g->pending_count,
        .pending_max = g->config.pending_max,
        .pending_bytes = g->pending_bytes,
        .pending_bytes_max = g->config.pending_bytes_max,
        .events = g->queue.count,
        .events_max = g->config.events_max,
        .seen_max = g->config.seen_max,
        .cache_bytes_max = g->config.cache_bytes_max,
        .left = g->left_count,
        .left_max = (size_t)LEFT_A_PEER * g->config.peers_max,
        .backoffs = MAP_COUNT(g->backoffs),
        .backoffs_max = (size_t)BACKOFFS_A_PEER * g->config.peers_max,
        .backoffs_evicted = g->backoffs_evicted,
        .unwanted = g->unwanted.count,
        .unwanted_max = UNWANTED_MAX,
        .unwanted_evicted = g->unwanted.evicted,
        .peers_refused = g->peers_refused,
        .pending_refused = g->pending_refused,
        .pending_bytes_refused = g->pending_bytes_refused,
        .events_refused = g->queue.dropped,
    };
}
