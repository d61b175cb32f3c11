/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Streams.  Each type of flow is a row of handlers; what they do stands in the
 * file of their protocol. */

struct flow_rule {
    enum err (*data)(struct node *n, struct flow *f, struct span data);
    /* The peer will send no more; NULL: finish our side too. */
    void (*fin)(struct node *n, struct flow *f);
    void (*gone)(struct node *n, struct flow *f, enum err err);
    duration silence; /* end it after this long without a byte; 0: never */
};

static const struct flow_rule *rule_of(const struct flow *f);

/* ---- Making. ---- */

struct flow *flow_new(struct node *n, struct link *l, enum flow_type type,
                      uint32_t stream)
{
    struct flow *f = mem_try_zero(n->mem, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->timer.type = TIMER_FLOW;
    f->type = type;
    f->stream = stream;
    f->link = l;
    list_init(&f->of_idle);
    list_push_back(&l->flows, &f->of_link);
    conn_stream_set_user(l->conn, stream, f);
    if (rule_of(f)->silence > 0)
        node_timer_set(n, &f->timer, n->now + rule_of(f)->silence);
    return f;
}

enum err flow_open(struct node *n, struct link *l, enum flow_type type,
                   const char *const protos[], size_t count, struct flow **out)
{
    uint32_t stream;
    enum err err = conn_stream_open(l->conn, protos, count, n->now, &stream);

    n->count.streams_out_refused += err == ERR_LIMIT;
    TRY(err);
    *out = flow_new(n, l, type, stream);
    if (*out == NULL) {
        conn_stream_reset(l->conn, stream);
        return ERR_NOMEM;
    }
    link_touch(n, l);
    return OK;
}

struct peer *flow_peer(const struct flow *f)
{
    return f->link->peer;
}

static void inbound_init(struct node *n, struct flow *f, enum proto proto)
{
    switch (proto) {
    case PROTO_IDENTIFY:
    case PROTO_PUSH:
        who_inbound(n, f);
        break;
    case PROTO_PING:
        ping_echo_init(&f->u.echo);
        break;
    case PROTO_KAD:
        delim_init(&f->in, KAD_MESSAGE_MAX, &f->link->partial.mem);
        break;
    case PROTO_SEARCH:
        delim_init(&f->in, SEARCH_REQUEST_MAX, &f->link->partial.mem);
        break;
    case PROTO_MESHSUB_12:
    case PROTO_MESHSUB_11:
    case PROTO_MESHSUB_10:
        delim_init(&f->in, GOSSIP_RPC_ACCEPTED_MAX, &f->link->partial.mem);
        pubsub_inbound(n, f, proto);
        break;
    case PROTO_COUNT:
        break;
    }
}

/* The connection is used for something that would be missed.  (Gossip goes on
 * over another, and rust pings each of them for ever.) */
static void note_use(struct node *n, const struct flow *f)
{
    bool is_gossip = f->type == FLOW_GOSSIP_IN || f->type == FLOW_GOSSIP_OUT;
    bool is_ping = f->type == FLOW_PING_IN || f->type == FLOW_PING_OUT;

    if (!is_gossip && !is_ping)
        f->link->asked_at = n->now;
}

void flow_inbound(struct node *n, struct link *l, uint32_t stream,
                  enum proto proto)
{
    static const enum flow_type types[] = {
        [PROTO_MESHSUB_12] = FLOW_GOSSIP_IN,
        [PROTO_MESHSUB_11] = FLOW_GOSSIP_IN,
        [PROTO_MESHSUB_10] = FLOW_GOSSIP_IN,
        [PROTO_IDENTIFY] = FLOW_IDENTIFY_IN,
        [PROTO_PUSH] = FLOW_PUSH_IN,
        [PROTO_PING] = FLOW_PING_IN,
        [PROTO_SEARCH] = FLOW_SEARCH_IN,
        [PROTO_KAD] = FLOW_KAD_IN,
    };
    struct flow *f;

    if (l->peer == NULL) { /* refused when it came up: closing */
        conn_stream_reset(l->conn, stream);
        return;
    }
    f = flow_new(n, l, types[proto], stream);
    if (f == NULL) {
        conn_stream_reset(l->conn, stream);
        return;
    }
    note_use(n, f);
    inbound_init(n, f, proto);
}

/* ---- Moving. ---- */

enum err flow_write(struct node *n, struct flow *f, struct span s)
{
    enum err err = ERR_LIMIT;

    if (n->unsent + s.len <= n->config.unsent_bytes_max)
        err = conn_stream_write(f->link->conn, f->stream, s);
    n->count.unsent_refused += err == ERR_LIMIT;
    TRY(err);
    f->wrote_at = n->now;
    link_touch(n, f->link);
    return OK;
}

void flow_finish(struct node *n, struct flow *f)
{
    conn_stream_finish(f->link->conn, f->stream);
    link_touch(n, f->link);
}

void flow_finish_later(struct node *n, struct flow *f)
{
    if (n->now >= f->wrote_at + FIN_AFTER) {
        flow_finish(n, f);
        return;
    }
    f->is_finishing = true;
    node_timer_set(n, &f->timer, n->now + FIN_AFTER);
}

void flow_data(struct node *n, struct flow *f, struct span data)
{
    const struct flow_rule *rule = rule_of(f);
    struct peer_id peer = flow_peer(f)->id;
    struct link *l = f->link;
    enum err err;

    note_use(n, f);
    if (rule->silence > 0 && !f->is_finishing)
        node_timer_set(n, &f->timer, n->now + rule->silence);
    err = rule->data(n, f, data);
    if (err == OK)
        return;
    log_debug(n->log, "node", "stream reset type=%d reason=\"%s\"",
              (int)f->type, err_text(err));
    flow_reset(n, f);
    n->count.messages_refused += err == ERR_FRAME_SIZE;
    if ((err == ERR_PROTO || err == ERR_FRAME_SIZE) && !l->is_gone)
        peer_learn(n, &peer, REPUTATION_FRAMING, REPUTATION_NO_SAMPLE);
}

void flow_fin(struct node *n, struct flow *f)
{
    if (rule_of(f)->fin != NULL)
        rule_of(f)->fin(n, f);
    else
        flow_finish_later(n, f);
}

void flow_ready(struct node *n, struct flow *f, size_t proto)
{
    if (f->type == FLOW_GOSSIP_OUT)
        pubsub_ready(n, f, proto);
    else if (f->type == FLOW_PUSH_OUT)
        flow_finish_later(n, f);
}

void flow_writable(struct node *n, struct flow *f)
{
    if (f->type == FLOW_GOSSIP_OUT)
        pubsub_writable(n, f);
}

/* ---- Ending. ---- */

static void flow_free(struct node *n, struct flow *f)
{
    heap_remove(&n->timers, &f->timer.node);
    list_remove(&f->of_link);
    list_remove(&f->of_idle);
    delim_release(&f->in);
    mem_free(n->mem, f);
}

void flow_gone(struct node *n, struct flow *f, enum err err)
{
    const struct flow_rule *rule = rule_of(f);

    note_use(n, f);
    conn_stream_set_user(f->link->conn, f->stream, NULL);
    if (rule->gone != NULL)
        rule->gone(n, f, err);
    flow_free(n, f);
}

void flow_reset(struct node *n, struct flow *f)
{
    conn_stream_reset(f->link->conn, f->stream);
    link_touch(n, f->link);
    flow_gone(n, f, ERR_RESET);
}

void flow_timer(struct node *n, struct flow *f)
{
    if (f->is_finishing) {
        f->is_finishing = false;
        flow_finish(n, f);
        node_timer_set(n, &f->timer, n->now + FLOW_OUT_WITHIN);
        return;
    }
    if (f->type == FLOW_KAD_OUT && f->u.rpc == NULL && !f->is_over) {
        rpc_flow_retire(n, f); /* nothing to ask for a while: close politely */
        return;
    }
    conn_stream_reset(f->link->conn, f->stream);
    link_touch(n, f->link);
    flow_gone(n, f, ERR_TIMEOUT);
}

/* ---- The table. ---- */

static enum err no_data(struct node *n, struct flow *f, struct span data)
{
    (void)n, (void)f, (void)data;
    return ERR_PROTO;
}

static enum err echo(struct node *n, struct flow *f, struct span data)
{
    while (data.len > 0)
        if (ping_echo_recv(&f->u.echo, &data))
            TRY(flow_write(n, f, SPAN_OF(f->u.echo.bytes)));
    return OK;
}

static void leave_open(struct node *n, struct flow *f)
{
    (void)n, (void)f;
}

static void gossip_gone(struct node *n, struct flow *f, enum err err)
{
    (void)err;
    pubsub_gone(n, f);
}

static void served_gone(struct node *n, struct flow *f, enum err err)
{
    (void)err;
    find_flow_gone(n, f);
}

static const struct flow_rule rules[FLOW_TYPE_COUNT] = {
    [FLOW_IDENTIFY_IN] = {no_data, NULL, NULL, FLOW_OUT_WITHIN},
    [FLOW_IDENTIFY_OUT] = {who_data, who_fin, who_gone, FLOW_OUT_WITHIN},
    [FLOW_PUSH_IN] = {who_data, who_fin, who_gone, FLOW_OUT_WITHIN},
    [FLOW_PUSH_OUT] = {no_data, leave_open, NULL, FLOW_OUT_WITHIN},
    [FLOW_PING_IN] = {echo, NULL, NULL, 2 * FLOW_IN_IDLE_WITHIN},
    [FLOW_PING_OUT] = {who_data, NULL, who_gone, PING_WITHIN},
    [FLOW_KAD_IN] = {dht_serve, NULL, NULL, FLOW_IN_IDLE_WITHIN},
    [FLOW_KAD_OUT] = {rpc_data, rpc_fin, rpc_gone, 0},
    [FLOW_GOSSIP_IN] = {pubsub_data, leave_open, gossip_gone, 0},
    [FLOW_GOSSIP_OUT] = {no_data, leave_open, gossip_gone, 0},
    [FLOW_SEARCH_IN] = {find_serve, leave_open, served_gone, FLOW_OUT_WITHIN},
    [FLOW_SEARCH_OUT] = {rpc_data, rpc_fin, rpc_gone, SEARCH_ASK_WITHIN},
};

static const struct flow_rule *rule_of(const struct flow *f)
{
    return &rules[f->type];
}
