/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Gossip's side: one stream each way a peer, announcements judged by the
 * market before they go on. */

enum { GOSSIP_OPENS_MAX = 5 }; /* tries at an outbound stream a connection */

void pubsub_init(struct node *n)
{
    struct gossip_config config = {
        .self = n->self,
        .identity = &n->identity,
        .topics = &n->network->topic,
        .topic_count = 1,
        .id_function = n->network->message_id == MESSAGE_ID_SHA256
                           ? GOSSIP_ID_SHA256
                           : GOSSIP_ID_FROM_SEQNO,
        .heartbeat = n->network->heartbeat_ms * MILLISECONDS,
        .peer_messages_per_s = GOSSIP_MESSAGES_PER_S,
        .peer_bytes_per_s = GOSSIP_BYTES_PER_S,
        .seen_max = GOSSIP_SEEN_MAX,
        .cache_bytes_max = GOSSIP_CACHE_BYTES_MAX,
    };

    n->gossip = gossip_new(&config, n->now, &n->rng, n->mem, n->log);
    if (gossip_subscribe(n->gossip, span_str(n->network->topic), n->now) != OK)
        abort(); /* the one topic of our own configuration */
}

/* ---- Streams. ---- */

static void open_stream(struct node *n, struct peer *p)
{
    if (p->gossip_out != NULL || peer_link(p) == NULL ||
        p->gossip_opens >= GOSSIP_OPENS_MAX)
        return;
    p->gossip_opens++;
    if (flow_open(n, peer_link(p), FLOW_GOSSIP_OUT,
                  &n->protocols[PROTO_MESHSUB_12], 3, &p->gossip_out) != OK)
        p->gossip_out = NULL;
}

static void connect_gossip(struct node *n, struct peer *p,
                           enum gossip_version version)
{
    struct link *l = peer_link(p);

    if (p->in_gossip || l == NULL || p->gossip_out == NULL)
        return;
    p->in_gossip =
        gossip_peer_connected(n->gossip, &p->id, version, l->is_outbound,
                              multiaddr_ip_group(&l->addr), n->now) == OK;
}

void pubsub_open(struct node *n, struct peer *p)
{
    if (p->gossip_version >= 0)
        open_stream(n, p);
}

void pubsub_inbound(struct node *n, struct flow *f, enum proto proto)
{
    static const enum gossip_version versions[] = {
        [PROTO_MESHSUB_12] = GOSSIP_V12,
        [PROTO_MESHSUB_11] = GOSSIP_V11,
        [PROTO_MESHSUB_10] = GOSSIP_V10,
    };
    struct peer *p = flow_peer(f);

    /* It speaks before identify may have told us that it does: what it says
     * must find it known, or its subscriptions are lost. */
    if (p->gossip_version < 0)
        p->gossip_version = (int)versions[proto];
    open_stream(n, p);
    connect_gossip(n, p, versions[proto]);
}

void pubsub_ready(struct node *n, struct flow *f, size_t proto)
{
    static const enum gossip_version versions[] = {GOSSIP_V12, GOSSIP_V11,
                                                   GOSSIP_V10};

    connect_gossip(n, flow_peer(f), versions[proto]);
}

void pubsub_gone(struct node *n, struct flow *f)
{
    struct peer *p = flow_peer(f);

    if (f->type != FLOW_GOSSIP_OUT || p->gossip_out != f)
        return;
    p->gossip_out = NULL;
    buf_clear(&p->control);
    if (!p->in_gossip)
        return;
    /* The peer is still there and will not tell its subscriptions again: they
     * are kept.  It may have forgotten ours. */
    open_stream(n, p);
    if (p->gossip_out != NULL && gossip_peer_greet(n->gossip, &p->id) == OK)
        return;
    gossip_peer_gone(n->gossip, &p->id, n->now);
    p->in_gossip = false;
}

/* Streams that were lost are opened again, scores are told. */
void pubsub_upkeep(struct node *n)
{
    struct peer *p, *tmp;

    MAP_FOR_EACH(n->peers, p, tmp) {
        double score;

        if (list_is_empty(&p->links))
            continue;
        if (p->gossip_out == NULL)
            pubsub_open(n, p);
        if (!p->in_gossip)
            continue;
        /* A peer that only ever failed, seen just now, scores 0.35. */
        score = reputation_score(n->reputation, &p->id, n->wall);
        gossip_set_app_score(n->gossip, &p->id, 20 * (score - 0.35));
    }
}

enum err pubsub_data(struct node *n, struct flow *f, struct span data)
{
    struct peer_id peer = flow_peer(f)->id;
    struct span msg;
    bool whole;

    for (;;) {
        enum err err;

        TRY(delim_recv(&f->in, &data, &msg, &whole));
        if (!whole)
            return OK;
        err = gossip_on_rpc(n->gossip, &peer, msg, n->now, n->wall);
        if (err == ERR_PROTO || err == ERR_FRAME_SIZE || err == ERR_NOMEM)
            return err;
        /* The message's bytes live no longer than this call. */
        (void)pubsub_pump(n);
    }
}

/* ---- Events. ---- */

/* True: nothing waits any more. */
static bool send_control(struct node *n, struct peer *p)
{
    if (buf_len(&p->control) == 0)
        return true;
    if (flow_write(n, p->gossip_out, buf_span(&p->control)) != OK)
        return false;
    buf_clear(&p->control);
    return true;
}

static void send(struct node *n, const struct gossip_event *ev)
{
    struct peer *p = peer_find(n, &ev->peer);

    if (p == NULL || p->gossip_out == NULL)
        return;
    /* Tried each time: what waits for memory is not told when there is some. */
    if (send_control(n, p) &&
        flow_write(n, p->gossip_out, ev->send.frame) == OK)
        return;
    if (ev->send.kind != GOSSIP_SEND_CONTROL ||
        buf_put(&p->control, ev->send.frame) != OK)
        n->count.gossip_dropped++;
}

void pubsub_writable(struct node *n, struct flow *f)
{
    struct peer *p = flow_peer(f);

    if (p->gossip_out == f)
        (void)send_control(n, p);
}

/* Whose fault is a record that does not pass: a sender's, or ours? */
static enum gossip_verdict verdict_of(enum err err)
{
    if (err == OK)
        return GOSSIP_ACCEPT;
    return err == ERR_NOMEM ? GOSSIP_UNJUDGED : GOSSIP_REJECT;
}

static void judge(struct node *n, const struct gossip_event *ev)
{
    char name[PACKAGE_TEXT_MAX];
    uint64_t token = ev->message.token;
    struct record record;
    enum err err =
        validator_open(n->validator, ev->message.data, &record, n->mem);

    if (err == OK) {
        accept_record(n, ev->message.data, &ev->peer, ACCEPT_GOSSIP);
        reputation_provided(n->reputation, &ev->peer,
                            span_str(package_id_format(&record.id, name)),
                            n->wall);
        record_release(&record);
    }
    if (gossip_verdict(n->gossip, token, verdict_of(err), n->now) != OK)
        log_debug(n->log, "node", "a gossip message was judged too late");
}

static void outcome(struct node *n, const struct gossip_event *ev)
{
    enum reputation_outcome what = REPUTATION_OUTCOME_COUNT;

    switch (ev->outcome.kind) {
    case GOSSIP_DELIVERED:
        what = REPUTATION_MESSAGE_FIRST;
        break;
    case GOSSIP_REJECTED:
    case GOSSIP_BAD_SIGNATURE:
    case GOSSIP_BAD_FORM:
        what = REPUTATION_MESSAGE_INVALID;
        break;
    case GOSSIP_BAD_OWN_MESSAGE:
        what = REPUTATION_SIGNATURE_BAD;
        break;
    case GOSSIP_OVER_BUDGET:
        what = REPUTATION_MESSAGE_DROPPED;
        break;
    case GOSSIP_BROKEN_PROMISE:
        what = REPUTATION_PROMISE_BROKEN;
        break;
    case GOSSIP_GRAFT_FLOOD:
        what = REPUTATION_FLOOD;
        break;
    case GOSSIP_DUPLICATE:
    case GOSSIP_IGNORED:
    case GOSSIP_UNKNOWN_TOPIC:
    case GOSSIP_NO_ROOM:
        return;
    }
    for (unsigned i = 0; i < ev->outcome.count; i++)
        peer_learn(n, &ev->peer, what, REPUTATION_NO_SAMPLE);
}

bool pubsub_pump(struct node *n)
{
    struct gossip_event ev;
    bool any = false;

    while (gossip_poll(n->gossip, &ev)) {
        n->count.events++;
        any = true;
        switch (ev.type) {
        case GOSSIP_EV_NONE:
            break;
        case GOSSIP_EV_SEND:
            send(n, &ev);
            break;
        case GOSSIP_EV_MESSAGE:
            judge(n, &ev);
            break;
        case GOSSIP_EV_OUTCOME:
            outcome(n, &ev);
            break;
        }
    }
    return any;
}
