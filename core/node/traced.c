/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Spans of what the node does, for who traces it.  They are begun and ended
 * here like everything else, by the clock that is handed in, and leave as
 * actions.  NULL: nobody traces. */

enum { BOOTSTRAP_WITHIN_S = 30 };

struct trace_span *traced_root(struct node *n, const char *name,
                               enum trace_kind kind)
{
    return trace_begin_root(&n->tracer, NULL, name, kind, n->now);
}

struct trace_span *traced(struct node *n, const struct trace_context *parent,
                          const char *name, enum trace_kind kind)
{
    return trace_begin(&n->tracer, parent, name, kind, n->now);
}

struct trace_span *traced_under(struct node *n, const struct trace_span *parent,
                                const char *name, enum trace_kind kind)
{
    struct trace_context context;

    if (parent == NULL)
        return NULL;
    context = trace_span_context(parent);
    return traced(n, &context, name, kind);
}

void traced_end(struct node *n, struct trace_span **s, enum err err)
{
    struct action *a;

    if (*s == NULL)
        return;
    trace_end(*s, err, n->now);
    a = action_push(n, NODE_SPAN);
    a->trace = *s;
    a->act.trace = *s;
    *s = NULL;
}

void traced_drop(struct node *n, struct trace_span **s)
{
    mem_free(n->mem, *s);
    *s = NULL;
}

uint64_t node_tracing(struct node *n, bool has_room, uint64_t *lost)
{
    uint64_t skipped = n->tracer.skipped;

    *lost = n->tracer.lost;
    n->tracer.skipped = n->tracer.lost = 0;
    n->tracer.is_paused = !has_room;
    return skipped;
}

/* ---- The DHT. ---- */

struct trace_span *traced_lookup(struct node *n,
                                 const struct trace_context *parent,
                                 const char *name, const char *key)
{
    struct trace_span *s = parent != NULL
                               ? traced(n, parent, name, TRACE_INTERNAL)
                               : traced_root(n, name, TRACE_INTERNAL);

    if (s != NULL)
        trace_text(s, TRACE_KAD_KEY, span_str(key));
    return s;
}

struct trace_span *traced_rpc(struct node *n, const struct kad_event *ev)
{
    struct trace_span *s;
    struct op *op;

    if (!n->tracer.is_on)
        return NULL;
    MAP_FIND(n->ops, &ev->op, sizeof(ev->op), op);
    s = traced_under(n, op != NULL ? op->trace : NULL, "kad.rpc", TRACE_CLIENT);
    if (s == NULL)
        return NULL;
    trace_peer(s, peer_id_span(&ev->peer.id));
    trace_text(s, TRACE_RPC_METHOD, span_str(kad_rpc_type_name(ev->rpc_type)));
    return s;
}

void traced_op_end(struct node *n, struct op *op, const struct kad_event *ev)
{
    bool is_put = ev->operation == KAD_OP_PUT || ev->operation == KAD_OP_PUT_TO;
    enum err err = OK;

    if (op->trace == NULL)
        return;
    trace_number(op->trace, TRACE_PEERS_QUERIED,
                 is_put ? ev->requested : ev->asked);
    trace_number(op->trace, TRACE_PEERS_RESPONDED,
                 is_put ? ev->acked : ev->answered);
    trace_number(op->trace, TRACE_HOPS, ev->hops);
    if (!is_put)
        trace_number(op->trace, TRACE_RESULTS, ev->values_count);
    switch (ev->outcome) {
    case KAD_COMPLETE:
    case KAD_QUORUM:
        break;
    case KAD_DEADLINE:
        err = ERR_TIMEOUT;
        break;
    case KAD_NO_PEERS:
        trace_outcome(op->trace, "error", "no-peers");
        break;
    case KAD_CANCELLED:
        err = ERR_CANCELLED;
        break;
    }
    /* A put that nobody took has failed, however completely it was tried. */
    if (is_put && err == OK && ev->acked == 0)
        trace_outcome(op->trace, "error",
                      ev->requested > 0 ? "not-taken" : "no-peers");
    traced_end(n, &op->trace, err);
}

/* ---- Joining the network. ---- */

void traced_bootstrap_begin(struct node *n)
{
    if (n->bootstrapping == NULL)
        n->bootstrapping = traced_root(n, "node.bootstrap", TRACE_INTERNAL);
}

/* As soon as there is a peer in the table; or nobody is left to wait for. */
void traced_bootstrap_upkeep(struct node *n)
{
    struct kad_stats stats;

    if (n->bootstrapping == NULL)
        return;
    kad_stats(n->kad, &stats);
    if (stats.table_peers > 0) {
        trace_number(n->bootstrapping, TRACE_RESULTS, stats.table_peers);
        traced_end(n, &n->bootstrapping, OK);
    } else if (node_is_alone(n)) {
        traced_end(n, &n->bootstrapping, ERR_DIAL_FAILED);
    } else if (n->now >=
               n->bootstrapping->started_at + BOOTSTRAP_WITHIN_S * SECONDS) {
        traced_end(n, &n->bootstrapping, ERR_TIMEOUT);
    }
}
