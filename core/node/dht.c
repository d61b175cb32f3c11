/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* The DHT's side: its questions become RPCs, its records are judged by the
 * market, its operations belong to gets, searches, publishes and terms. */

/* ---- What the DHT asks of the market and the reputation. ---- */

static enum err check_value(void *ctx, struct span key, struct span value,
                            wall_ms wall)
{
    return validator_check(ctx, key, value, wall);
}

static int select_value(void *ctx, struct span key, struct span a,
                        struct span b)
{
    return validator_select(ctx, key, a, b);
}

static bool publisher_of_value(void *ctx, struct span value,
                               struct peer_id *out)
{
    validator_publisher(ctx, value, out);
    return !peer_id_is_none(out);
}

static double score_peer(void *ctx, const struct peer_id *peer)
{
    const struct node *n = ctx;

    if (reputation_is_banned(n->reputation, peer, n->wall))
        return -1;
    return reputation_score(n->reputation, peer, n->wall);
}

void dht_config(const struct node *n, struct kad_config *out)
{
    kad_config_default(out, &n->self);
    out->is_server = !n->config.is_client;
    out->is_private_network = n->config.is_private_network;
    out->record_bytes_max = n->config.records_bytes_max;
    if (out->provided_max < n->config.terms_max)
        out->provided_max = n->config.terms_max;
}

void dht_init(struct node *n)
{
    struct validator_config market = {.network = n->network};
    struct kad_validator validator = {.validate = check_value,
                                      .select = select_value,
                                      .publisher_of = publisher_of_value};
    struct kad_scorer scorer = {.ctx = n, .score = score_peer};
    struct kad_config config;

    n->validator = validator_new(&market, n->mem);
    validator.ctx = n->validator;
    dht_config(n, &config);
    n->kad = kad_new(&config, &validator, &scorer, &n->rng, n->mem, n->log,
                     n->now, n->wall);
}

void dht_identified(struct node *n, struct peer *p, struct link *l)
{
    kad_peer_identified(n->kad, &p->id, p->addrs, p->addr_count, &l->addr,
                        p->is_kad_server, n->now);
}

/* ---- Serving. ---- */

enum err dht_serve(struct node *n, struct flow *f, struct span data)
{
    struct peer_id peer = flow_peer(f)->id;
    struct span msg;
    bool whole;

    for (;;) {
        struct buf answer, framed;
        enum err err;

        TRY(delim_recv(&f->in, &data, &msg, &whole));
        if (!whole)
            return OK;
        buf_init(&answer, KAD_MESSAGE_MAX, n->mem);
        buf_init(&framed, KAD_MESSAGE_MAX + UVARINT_MAX, n->mem);
        err = kad_on_request(n->kad, &peer, msg, n->now, n->wall, &answer);
        if (err == OK && buf_len(&answer) > 0)
            err = delim_put(&framed, buf_span(&answer));
        if (err == OK && buf_len(&framed) > 0)
            err = flow_write(n, f, buf_span(&framed));
        buf_release(&answer);
        buf_release(&framed);
        TRY(err);
    }
}

/* ---- Operations. ---- */

enum err op_add(struct node *n, uint64_t id, enum op_type type, void *owner,
                struct op **out)
{
    struct op *op = mem_try_zero(n->mem, sizeof(*op));

    if (op == NULL) {
        kad_cancel(n->kad, id, n->now);
        return ERR_NOMEM;
    }
    op->id = id;
    op->type = type;
    op->owner = owner;
    MAP_ADD(n->ops, &op->id, sizeof(op->id), op);
    if (out != NULL)
        *out = op;
    return OK;
}

void ops_forget(struct node *n, const void *owner)
{
    struct op *op, *tmp;

    MAP_FOR_EACH(n->ops, op, tmp) {
        if (op->owner != owner)
            continue;
        kad_cancel(n->kad, op->id, n->now);
        MAP_DEL(n->ops, op);
        traced_end(n, &op->trace, ERR_CANCELLED);
        mem_free(n->mem, op);
    }
}

static void op_done(struct node *n, const struct kad_event *ev)
{
    struct op *op;

    MAP_FIND(n->ops, &ev->op, sizeof(ev->op), op);
    n->count.lookups++;
    metrics_lookup_ended(n, ev);
    if (op == NULL)
        return;
    MAP_DEL(n->ops, op);
    traced_op_end(n, op, ev);
    switch (op->type) {
    case OP_GET:
        get_done(n, op->owner, ev);
        break;
    case OP_SEARCH:
        find_providers_done(n, op->owner, ev);
        break;
    case OP_OUTBOX:
        outbox_progress(n, op->owner, op->is_main, ev);
        break;
    case OP_TERM:
        terms_provided(n);
        break;
    }
    mem_free(n->mem, op);
}

static void op_progressed(struct node *n, const struct kad_event *ev)
{
    struct op *op;

    MAP_FIND(n->ops, &ev->op, sizeof(ev->op), op);
    if (op != NULL && op->type == OP_OUTBOX)
        outbox_progress(n, op->owner, op->is_main, ev);
}

/* ---- Neighbours. ---- */

static void seek_soon(struct node *n)
{
    n->seek_wait = SEEK_FIRST;
    n->seek_at = n->now + n->seek_wait;
}

/* Two who join at the same time are not yet in the table that each asks: while
 * a table has room, its owner looks again, ever more seldom. */
void dht_upkeep(struct node *n)
{
    struct kad_stats stats;
    uint64_t op;

    if (n->seek_at == 0 || n->now < n->seek_at || n->is_draining)
        return;
    kad_stats(n->kad, &stats);
    n->seek_wait = n->seek_wait < SEEK_LAST / 2 ? 2 * n->seek_wait : SEEK_LAST;
    n->seek_at = n->now + n->seek_wait;
    if (stats.table_peers == 0 || stats.table_peers >= KAD_K)
        return;
    if (kad_find_closest(n->kad, peer_id_span(&n->self), n->now + SEEK_WITHIN,
                         n->now, &op) != OK)
        log_debug(n->log, "node", "no look for neighbours now");
}

/* ---- Events. ---- */

static void ask(struct node *n, const struct kad_event *ev)
{
    struct trace_span *trace = traced_rpc(n, ev);
    struct peer *p = peer_get(n, &ev->peer.id);
    struct span addrs = ev->peer.addrs;
    struct multiaddr a;
    enum err err = ERR_LIMIT;

    if (p != NULL) {
        if (list_is_empty(&p->links))
            while (kad_addr_next(&addrs, &a))
                if (dial_may_use(n, &a, false))
                    peer_add_addr(n, p, &a, false);
        err = rpc_start(n, &ev->peer.id, ev->message, ev->wants_answer, ev->rpc,
                        NULL, &trace, NULL);
    }
    traced_end(n, &trace, err); /* if it did not come to a question */
    if (err != OK)
        kad_on_failure(n->kad, ev->rpc, err, n->now, n->wall);
}

static void abandon(struct node *n, uint64_t id)
{
    struct rpc *r;

    MAP_FIND(n->kad_rpcs, &id, sizeof(id), r);
    if (r == NULL)
        return;
    traced_end(n, &r->trace, ERR_TIMEOUT);
    rpc_cancel(n, r);
}

static void save_record(struct node *n, const struct kad_event *ev)
{
    struct action *a =
        action_push(n, ev->type == KAD_EV_RECORD_STORED ? NODE_SAVE_RECORD
                                                        : NODE_FORGET_RECORD);
    size_t value_len =
        ev->type == KAD_EV_RECORD_STORED ? ev->record.value.len : 0;

    a->bytes = mem_new(n->mem, ev->key.len + value_len + 1);
    memcpy(a->bytes, ev->key.data, ev->key.len);
    if (value_len > 0)
        memcpy(a->bytes + ev->key.len, ev->record.value.data, value_len);
    a->record = (struct saved_record){
        .key = SPAN(a->bytes, ev->key.len),
        .value = SPAN(a->bytes + ev->key.len, value_len),
        .publisher = ev->record.owner,
        .received = ev->received,
        .expires = ev->expires,
    };
    a->act.record = &a->record;
}

static void save_provider(struct node *n, const struct kad_event *ev)
{
    struct action *a = action_push(n, ev->type == KAD_EV_PROVIDER_STORED
                                          ? NODE_SAVE_PROVIDER
                                          : NODE_FORGET_PROVIDER);
    struct span addrs = ev->peer.addrs;

    a->bytes = mem_new(n->mem, ev->key.len + 1);
    memcpy(a->bytes, ev->key.data, ev->key.len);
    a->provider.key = SPAN(a->bytes, ev->key.len);
    a->provider.provider = ev->peer.id;
    a->provider.expires = ev->expires;
    while (a->provider.addr_count < REQUEST_ADDRS_MAX &&
           kad_addr_next(&addrs, &a->provider.addrs[a->provider.addr_count]))
        a->provider.addr_count++;
    a->act.provider = &a->provider;
}

static void learn(struct node *n, const struct kad_event *ev)
{
    static const enum reputation_outcome outcomes[] = {
        [KAD_PEER_ANSWERED] = REPUTATION_RPC_ANSWERED,
        [KAD_PEER_FAILED] = REPUTATION_RPC_FAILED,
        [KAD_PEER_BAD_ANSWER] = REPUTATION_FRAMING,
        [KAD_PEER_BAD_RECORD] = REPUTATION_RECORD_BAD,
    };

    peer_learn(n, &ev->peer.id, outcomes[ev->peer_outcome],
               ev->peer_outcome == KAD_PEER_ANSWERED ? ev->elapsed
                                                     : REPUTATION_NO_SAMPLE);
}

static void dht_event(struct node *n, const struct kad_event *ev)
{
    switch (ev->type) {
    case KAD_EV_RPC:
        ask(n, ev);
        break;
    case KAD_EV_RPC_ABANDONED:
        abandon(n, ev->rpc);
        break;
    case KAD_EV_PROGRESS:
        op_progressed(n, ev);
        break;
    case KAD_EV_DONE:
        op_done(n, ev);
        break;
    case KAD_EV_RECORD_STORED:
    case KAD_EV_RECORD_FORGOTTEN:
        save_record(n, ev);
        break;
    case KAD_EV_PROVIDER_STORED:
    case KAD_EV_PROVIDER_FORGOTTEN:
        save_provider(n, ev);
        break;
    case KAD_EV_PEER_ADDED:
        seek_soon(n);
        outbox_peers_came(n);
        gets_begin(n, true);
        traced_bootstrap_upkeep(n);
        break;
    case KAD_EV_PEER_REMOVED:
        seek_soon(n);
        break;
    case KAD_EV_PEER_OUTCOME:
        learn(n, ev);
        break;
    case KAD_EV_NEED_PEERS:
        bootstrap_dial(n);
        break;
    }
}

bool dht_pump(struct node *n)
{
    struct kad_event ev;
    bool any = false;

    while (kad_poll(n->kad, &ev)) {
        n->count.events++;
        dht_event(n, &ev);
        any = true;
    }
    return any;
}
