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
        .no_scores = n->config.no_gossip_scores,
        .hands_on_later = true,
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

/* A peer that only ever failed, seen just now, has a reputation of 0.35. */
static void tell_reputation(struct node *n, const struct peer *p)
{
    double score = reputation_score(n->reputation, &p->id, n->wall);

    gossip_set_app_score(n->gossip, &p->id, 20 * (score - 0.35));
}

/* Without memory or room for it nobody is told of the peer, no more. */
static void give_record(struct node *n, struct peer *p)
{
    if (p->record_len > 0 &&
        gossip_set_record(n->gossip, &p->id, SPAN(p->record, p->record_len)) !=
            OK)
        log_debug(n->log, "node", "a signed record is not kept");
    mem_free(n->mem, p->record);
    p->record = NULL;
    p->record_len = 0;
}

static void connect_gossip(struct node *n, struct peer *p,
                           enum gossip_version version)
{
    struct link *l = peer_link(p);
    uint64_t ip;

    if (p->in_gossip || l == NULL || p->gossip_out == NULL)
        return;
    ip = n->config.is_private_network ? 0 : multiaddr_ip_key(&l->addr);
    p->in_gossip = gossip_peer_connected(n->gossip, &p->id, version,
                                         l->is_outbound, ip, n->now) == OK;
    if (!p->in_gossip)
        return;
    tell_reputation(n, p);
    give_record(n, p);
}

void pubsub_identified(struct node *n, struct peer *p, struct span record)
{
    mem_free(n->mem, p->record);
    p->record_len = 0;
    p->record = record.len > 0 && record.len <= GOSSIP_RECORD_MAX
                    ? mem_try(n->mem, NULL, record.len)
                    : NULL;
    if (p->record != NULL) {
        memcpy(p->record, record.data, record.len);
        p->record_len = record.len;
    }
    if (p->in_gossip)
        give_record(n, p);
    pubsub_open(n, p);
}

void pubsub_open(struct node *n, struct peer *p)
{
    if (p->gossip_version >= 0)
        open_stream(n, p);
}

static void log_stream(const struct node *n, const struct flow *f,
                       const char *direction, size_t proto)
{
    char peer[PEER_ID_TEXT_MAX];

    log_debug(n->log, "node", "gossip stream peer=%s direction=%s protocol=%s",
              peer_id_format(&flow_peer(f)->id, peer), direction,
              n->protocols[proto]);
}

void pubsub_inbound(struct node *n, struct flow *f, enum proto proto)
{
    static const enum gossip_version versions[] = {
        [PROTO_MESHSUB_12] = GOSSIP_V12,
        [PROTO_MESHSUB_11] = GOSSIP_V11,
        [PROTO_MESHSUB_10] = GOSSIP_V10,
    };
    struct peer *p = flow_peer(f);
    bool had_lost_it = p->gossip_unheard_since != TSTAMP_NEVER;

    log_stream(n, f, "in", proto);
    p->gossip_in_count++;
    p->gossip_unheard_since = TSTAMP_NEVER;
    /* It speaks before identify may have told us that it does: what it says
     * must find it known, or its subscriptions are lost. */
    if (p->gossip_version < 0)
        p->gossip_version = (int)versions[proto];
    open_stream(n, p);
    connect_gossip(n, p, versions[proto]);
    /* go and py forget what we subscribed to when their stream to us ends. */
    if (had_lost_it && p->in_gossip &&
        gossip_peer_greet(n->gossip, &p->id) != OK)
        log_debug(n->log, "node", "subscriptions are not told again");
}

void pubsub_ready(struct node *n, struct flow *f, size_t proto)
{
    static const enum gossip_version versions[] = {GOSSIP_V12, GOSSIP_V11,
                                                   GOSSIP_V10};

    log_stream(n, f, "out", PROTO_MESHSUB_12 + proto);
    connect_gossip(n, flow_peer(f), versions[proto]);
}

void pubsub_gone(struct node *n, struct flow *f)
{
    struct peer *p = flow_peer(f);

    if (f->type == FLOW_GOSSIP_IN && --p->gossip_in_count == 0)
        p->gossip_unheard_since = n->now;
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

/* A library whose stream to us ended with a connection too many, as js's does,
 * opens another when ours is a new one. */
static void open_for_theirs(struct node *n, struct peer *p)
{
    if (n->now - p->gossip_unheard_since < GOSSIP_UNHEARD_WITHIN)
        return;
    p->gossip_unheard_since = n->now;
    if (p->gossip_opens < GOSSIP_OPENS_MAX)
        flow_reset(n, p->gossip_out); /* pubsub_gone() opens the next */
}

/* Streams that were lost are opened again, scores are told. */
void pubsub_upkeep(struct node *n)
{
    struct peer *p, *tmp;

    MAP_FOR_EACH(n->peers, p, tmp) {
        if (list_is_empty(&p->links))
            continue;
        if (p->gossip_out == NULL)
            pubsub_open(n, p);
        else if (p->gossip_unheard_since != TSTAMP_NEVER)
            open_for_theirs(n, p);
        if (p->in_gossip)
            tell_reputation(n, p);
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
    struct trace_span *s = traced_root(n, "gossip.receive", TRACE_CONSUMER);
    struct record record;
    enum err err =
        validator_open(n->validator, ev->message.data, &record, n->mem);

    trace_peer(s, peer_id_span(&ev->peer));
    if (err == OK) {
        accept_record(n, ev->message.data, &ev->peer, ACCEPT_GOSSIP);
        reputation_provided(n->reputation, &ev->peer,
                            span_str(package_id_format(&record.id, name)),
                            n->wall);
        trace_text(s, TRACE_PACKAGE_ID, span_str(name));
        record_release(&record);
    }
    traced_end(n, &s, err);
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
    case GOSSIP_WITHHELD:
        what = REPUTATION_MESSAGE_WITHHELD;
        break;
    case GOSSIP_GRAFT_FLOOD:
    case GOSSIP_FLOOD:
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

/* ---- Peers that others tell of. ---- */

static bool wants_px(struct node *n)
{
    if (n->now >= n->px_since + PX_DIALS_WITHIN) {
        n->px_since = n->now;
        n->px_dials = 0;
    }
    return n->px_dials < PX_DIALS_MAX && !n->is_draining &&
           MAP_COUNT(n->links) + n->dialling_count < n->config.dials_max;
}

/* What it says of itself and signed, nobody else's word. */
static struct peer *px_peer(struct node *n, const struct gossip_event *ev)
{
    struct multiaddr addrs[IDENTIFY_ADDRS_MAX];
    struct peer *p = peer_find(n, &ev->px.peer);
    size_t count;
    enum err err;

    if (ev->px.record.len == 0)
        return p;
    err = identify_open_record(ev->px.record, &ev->px.peer, n->mem, addrs,
                               &count);
    if (err == ERR_NOMEM)
        return NULL;
    if (err != OK) {
        peer_learn(n, &ev->peer, REPUTATION_RECORD_BAD, REPUTATION_NO_SAMPLE);
        return NULL;
    }
    p = peer_get(n, &ev->px.peer);
    for (size_t i = 0; p != NULL && i < count; i++)
        if (dial_may_use(n, &addrs[i], false))
            peer_add_addr(n, p, &addrs[i], false);
    return p;
}

static void told_of(struct node *n, const struct gossip_event *ev)
{
    struct peer *p;

    if (!wants_px(n)) {
        n->count.px_refused++;
        return;
    }
    n->px_dials++;
    p = px_peer(n, ev);
    if (p != NULL && list_is_empty(&p->links) && dial_start(n, p, false) != OK)
        log_debug(n->log, "node", "a peer told of is not dialled");
}

void pubsub_hand_on(struct node *n)
{
    while (gossip_hand_on(n->gossip, n->now))
        node_settle(n);
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
        case GOSSIP_EV_PX:
            told_of(n, &ev);
            break;
        }
    }
    return any;
}
