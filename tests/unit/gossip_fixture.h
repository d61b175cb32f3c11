/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_FIXTURE_H
#define GOSSIP_FIXTURE_H

/* One gossip machine, its scripted peers, and what it told of itself. */
#include "base/buf.h"
#include "base/rng.h"
#include "gossip/state.h"
#include "multi/uvarint.h"
#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/gossip.pb-c.h"

#include "support/test.h"

#define TOPIC "/souk/packages/v1"
#define OTHER_TOPIC "/souk/other/v1"
#define WALL ((wall_ms)1762122000000)

struct who {
    struct ed25519_keypair key;
    struct peer_id id;
};

static inline void who_init(struct who *w, unsigned n)
{
    uint8_t seed[ED25519_SEED_LEN] = {(uint8_t)n, (uint8_t)(n >> 8), 0x77};

    ed25519_from_seed(&w->key, seed);
    peer_id_from_ed25519(&w->id, w->key.pub);
}

enum { LOG_MAX = 512, PEERS = 40 };

/* What was told since the last drain(). */
struct told {
    struct gossip_event ev; /* its spans are gone but for |rpc| */
    uint8_t *rpc;
    size_t rpc_len;
};

struct fixture {
    struct test_heap heap;
    struct rng_seeded seed;
    struct rng rng;
    struct who self;
    struct who peers[PEERS];
    struct gossip *g;
    tstamp now;
    struct told log[LOG_MAX];
    size_t logged;
    uint64_t token; /* of the last MESSAGE */
    char data[64];  /* its beginning */
    struct buf rpc; /* room for what peers send */
};

static inline void forget(struct fixture *f)
{
    for (size_t i = 0; i < f->logged; i++)
        free(f->log[i].rpc);
    f->logged = 0;
}

static inline void note_message(struct fixture *f,
                                const struct gossip_event *ev)
{
    size_t n = ev->message.data.len < sizeof(f->data) - 1 ? ev->message.data.len
                                                          : sizeof(f->data) - 1;

    f->token = ev->message.token;
    memcpy(f->data, ev->message.data.data, n);
    f->data[n] = '\0';
}

/* Replace the log by what is to be polled now. */
static inline void drain(struct fixture *f)
{
    struct gossip_event ev;

    forget(f);
    while (gossip_poll(f->g, &ev)) {
        struct told *t = &f->log[f->logged];

        if (ev.type == GOSSIP_EV_MESSAGE)
            note_message(f, &ev);
        if (f->logged == LOG_MAX)
            continue;
        *t = (struct told){.ev = ev};
        if (ev.type == GOSSIP_EV_SEND) {
            struct span frame = ev.send.frame, rpc;

            assert_true(span_uvarint_bytes(&frame, &rpc));
            assert_int_equal(0, frame.len);
            assert_span_equal(rpc, ev.send.rpc);
            t->rpc = malloc(ev.send.rpc.len + 1);
            t->rpc_len = ev.send.rpc.len;
            memcpy(t->rpc, ev.send.rpc.data, ev.send.rpc.len);
        }
        f->logged++;
    }
}

static inline void fixture_init_as(struct fixture *f, unsigned self,
                                   struct gossip_config config)
{
    static const char *const topics[] = {TOPIC, OTHER_TOPIC};

    memset(f, 0, sizeof(*f));
    test_heap_init(&f->heap);
    f->rng = rng_seeded(&f->seed, 7);
    who_init(&f->self, self);
    for (unsigned i = 0; i < PEERS; i++)
        who_init(&f->peers[i], i);
    f->now = 1000 * SECONDS;
    config.self = f->self.id;
    config.identity = &f->self.key;
    config.topics = topics;
    config.topic_count = 2;
    buf_init(&f->rpc, 4 << 20, &mem_libc);
    f->g = gossip_new(&config, f->now, &f->rng, &f->heap.mem, NULL);
}

static inline void fixture_init(struct fixture *f, struct gossip_config config)
{
    fixture_init_as(f, 1000, config);
}

/* Where a test does not care. */
static inline void whatever(enum err err)
{
    (void)err;
}

static inline void fixture_release(struct fixture *f)
{
    forget(f);
    gossip_free(f->g);
    buf_release(&f->rpc);
    assert_int_equal(0, f->heap.live);
}

/* ---- What peers send. ---- */

static inline enum err say(struct fixture *f, const struct who *from,
                           const Wire__GossipRpc *rpc)
{
    buf_clear(&f->rpc);
    assert_ok(wire_put(&f->rpc, &rpc->base));
    return gossip_on_rpc(f->g, &from->id, buf_span(&f->rpc), f->now, WALL);
}

static inline enum err say_subscribe(struct fixture *f, const struct who *from,
                                     const char *topic, bool subscribe)
{
    Wire__GossipSub sub = WIRE__GOSSIP_SUB__INIT, *subs[] = {&sub};
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    sub.has_subscribe = sub.has_topic = true;
    sub.subscribe = subscribe;
    sub.topic = wire_bytes(span_str(topic));
    rpc.n_subscriptions = 1;
    rpc.subscriptions = subs;
    return say(f, from, &rpc);
}

static inline enum err say_control(struct fixture *f, const struct who *from,
                                   Wire__GossipControl *control)
{
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    rpc.control = control;
    return say(f, from, &rpc);
}

static inline enum err say_graft(struct fixture *f, const struct who *from,
                                 const char *topic)
{
    Wire__GossipGraft graft = WIRE__GOSSIP_GRAFT__INIT, *grafts[] = {&graft};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;

    graft.has_topic = true;
    graft.topic = wire_bytes(span_str(topic));
    control.n_graft = 1;
    control.graft = grafts;
    return say_control(f, from, &control);
}

static inline enum err say_prune(struct fixture *f, const struct who *from,
                                 const char *topic, uint64_t backoff_s)
{
    Wire__GossipPrune prune = WIRE__GOSSIP_PRUNE__INIT, *prunes[] = {&prune};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;

    prune.has_topic = true;
    prune.topic = wire_bytes(span_str(topic));
    prune.has_backoff = backoff_s > 0;
    prune.backoff = backoff_s;
    control.n_prune = 1;
    control.prune = prunes;
    return say_control(f, from, &control);
}

static inline enum err say_ids(struct fixture *f, const struct who *from,
                               bool is_ihave, ProtobufCBinaryData *ids,
                               size_t count)
{
    Wire__GossipIHave ihave = WIRE__GOSSIP_IHAVE__INIT, *ihaves[] = {&ihave};
    Wire__GossipIWant iwant = WIRE__GOSSIP_IWANT__INIT, *iwants[] = {&iwant};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;

    ihave.has_topic = true;
    ihave.topic = wire_bytes(span_str(TOPIC));
    ihave.n_ids = iwant.n_ids = count;
    ihave.ids = iwant.ids = ids;
    control.n_ihave = is_ihave;
    control.ihave = ihaves;
    control.n_iwant = !is_ihave;
    control.iwant = iwants;
    return say_control(f, from, &control);
}

/* A message as protobuf-c and the specification make it; |signature| holds its
 * signature. */
static inline Wire__GossipMessage
make_message(const struct who *author, const char *topic, struct span data,
             uint8_t seqno[8], uint64_t n, uint8_t signature[64])
{
    Wire__GossipMessage m = WIRE__GOSSIP_MESSAGE__INIT;
    struct buf b;

    for (int i = 0; i < 8; i++)
        seqno[i] = (uint8_t)(n >> (56 - 8 * i));
    m.has_from = m.has_data = m.has_seqno = m.has_topic = true;
    m.from = wire_bytes(peer_id_span(&author->id));
    m.data = wire_bytes(data);
    m.seqno = wire_bytes(SPAN(seqno, 8));
    m.topic = wire_bytes(span_str(topic));
    buf_init(&b, 2 << 20, &mem_libc);
    assert_ok(buf_put_str(&b, "libp2p-pubsub:"));
    assert_ok(wire_put(&b, &m.base));
    ed25519_sign(&author->key, buf_span(&b), signature);
    buf_release(&b);
    m.has_signature = true;
    m.signature = wire_bytes(SPAN(signature, 64));
    return m;
}

static inline enum err say_message(struct fixture *f, const struct who *from,
                                   const Wire__GossipMessage *m)
{
    Wire__GossipMessage copy = *m, *messages[] = {&copy};
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    rpc.n_publish = 1;
    rpc.publish = messages;
    return say(f, from, &rpc);
}

static inline enum err say_text(struct fixture *f, const struct who *from,
                                const struct who *author, const char *text,
                                uint64_t n)
{
    uint8_t seqno[8], signature[64];
    Wire__GossipMessage m =
        make_message(author, TOPIC, span_str(text), seqno, n, signature);

    return say_message(f, from, &m);
}

static inline ProtobufCBinaryData id_of(const char *text, uint8_t out[32])
{
    struct msg_id id;
    static struct gossip as_sha256;

    message_id(&as_sha256, NULL, SPAN_NONE, span_str(text), &id);
    memcpy(out, id.bytes, id.len);
    return wire_bytes(SPAN(out, id.len));
}

static inline enum err say_idontwant(struct fixture *f, const struct who *from,
                                     ProtobufCBinaryData *ids, size_t count)
{
    Wire__GossipIDontWant idontwant = WIRE__GOSSIP_IDONT_WANT__INIT;
    Wire__GossipIDontWant *idontwants[] = {&idontwant};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;

    idontwant.n_ids = count;
    idontwant.ids = ids;
    control.n_idontwant = 1;
    control.idontwant = idontwants;
    return say_control(f, from, &control);
}

static inline double score(const struct fixture *f, const struct who *w)
{
    struct gossip_score s;

    assert_true(gossip_peer_score(f->g, &w->id, &s));
    return s.score;
}

/* ---- Peers come. ---- */

static inline void connect_as(struct fixture *f, const struct who *w,
                              enum gossip_version version, bool is_outbound)
{
    assert_ok(
        gossip_peer_connected(f->g, &w->id, version, is_outbound, 0, f->now));
}

static inline void connect_subscribed(struct fixture *f, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        connect_as(f, &f->peers[i], GOSSIP_V11, false);
        assert_ok(say_subscribe(f, &f->peers[i], TOPIC, true));
    }
}

static inline void heartbeat(struct fixture *f)
{
    f->now = gossip_deadline(f->g);
    gossip_tick(f->g, f->now);
}

/* ---- What was told. ---- */

static inline unsigned outcome_count(const struct fixture *f,
                                     const struct who *w,
                                     enum gossip_outcome kind)
{
    unsigned count = 0;

    for (size_t i = 0; i < f->logged; i++) {
        const struct gossip_event *ev = &f->log[i].ev;

        if (ev->type == GOSSIP_EV_OUTCOME && ev->outcome.kind == kind &&
            (w == NULL || peer_id_eq(&ev->peer, &w->id)))
            count += ev->outcome.count;
    }
    return count;
}

static inline unsigned message_count(const struct fixture *f)
{
    unsigned count = 0;

    for (size_t i = 0; i < f->logged; i++)
        count += f->log[i].ev.type == GOSSIP_EV_MESSAGE;
    return count;
}

/* What the RPCs to |w| (NULL: to anybody) contain. */
struct sent {
    unsigned rpcs, subscribes, unsubscribes, messages, grafts, prunes, ihaves;
    size_t ihave_ids, iwant_ids, idontwant_ids, px, largest;
    uint64_t backoff; /* of the last PRUNE */
    char data[64];    /* beginning of the last message */
    uint8_t id[96];   /* the last id told or asked for */
    size_t id_len;
};

static inline void count_ids(struct sent *s, const ProtobufCBinaryData *ids,
                             size_t n)
{
    if (n == 0)
        return;
    assert_in_range(ids[n - 1].len, 1, sizeof(s->id));
    s->id_len = ids[n - 1].len;
    memcpy(s->id, ids[n - 1].data, s->id_len);
}

static inline void count_rpc(struct sent *s, const Wire__GossipRpc *rpc)
{
    const Wire__GossipControl *c = rpc->control;

    for (size_t i = 0; i < rpc->n_subscriptions; i++)
        if (rpc->subscriptions[i]->subscribe)
            s->subscribes++;
        else
            s->unsubscribes++;
    for (size_t i = 0; i < rpc->n_publish; i++) {
        size_t n = rpc->publish[i]->data.len;

        n = n < sizeof(s->data) - 1 ? n : sizeof(s->data) - 1;
        memcpy(s->data, rpc->publish[i]->data.data, n);
        s->data[n] = '\0';
        s->messages++;
    }
    if (c == NULL)
        return;
    s->grafts += (unsigned)c->n_graft;
    s->prunes += (unsigned)c->n_prune;
    for (size_t i = 0; i < c->n_prune; i++) {
        s->backoff = c->prune[i]->backoff;
        s->px += c->prune[i]->n_peers;
    }
    for (size_t i = 0; i < c->n_idontwant; i++) {
        s->idontwant_ids += c->idontwant[i]->n_ids;
        count_ids(s, c->idontwant[i]->ids, c->idontwant[i]->n_ids);
    }
    for (size_t i = 0; i < c->n_ihave; i++) {
        s->ihaves++;
        s->ihave_ids += c->ihave[i]->n_ids;
        count_ids(s, c->ihave[i]->ids, c->ihave[i]->n_ids);
    }
    for (size_t i = 0; i < c->n_iwant; i++) {
        s->iwant_ids += c->iwant[i]->n_ids;
        count_ids(s, c->iwant[i]->ids, c->iwant[i]->n_ids);
    }
}

static inline struct sent sent_to(const struct fixture *f, const struct who *w)
{
    struct sent s = {0};

    for (size_t i = 0; i < f->logged; i++) {
        const struct told *t = &f->log[i];
        Wire__GossipRpc *rpc;

        if (t->ev.type != GOSSIP_EV_SEND ||
            (w != NULL && !peer_id_eq(&t->ev.peer, &w->id)))
            continue;
        rpc = wire__gossip_rpc__unpack(NULL, t->rpc_len, t->rpc);
        assert_non_null(rpc);
        s.rpcs++;
        s.largest = t->rpc_len > s.largest ? t->rpc_len : s.largest;
        count_rpc(&s, rpc);
        wire__gossip_rpc__free_unpacked(rpc, NULL);
    }
    return s;
}

#endif /* GOSSIP_FIXTURE_H */
