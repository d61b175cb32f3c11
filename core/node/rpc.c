/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* One question on a stream, one answer: the DHT's and the search's.  A
 * question waits for a connection if there is none, and for its turn if the
 * peer has many to answer; the DHT's streams are kept for the next question. */

static void rpcs_next(struct node *n, struct peer *p);

static void rpc_free(struct node *n, struct rpc *r)
{
    struct peer *p = r->peer;

    if (r->is_waiting) {
        list_remove(&r->of_owner);
        p->waiting_count--;
        peer_unhold(n, p);
    }
    if (r->kad != 0)
        MAP_DEL(n->kad_rpcs, r);
    traced_drop(n, &r->trace);
    buf_release(&r->message);
    mem_free(n->mem, r);
}

static void rpc_attach(struct rpc *r, struct flow *f)
{
    f->u.rpc = r;
    r->flow = f;
    r->peer->asking_count++;
}

/* Take |r| off its stream, which lives on. */
static void rpc_detach(struct rpc *r)
{
    if (r->flow == NULL)
        return;
    r->flow->u.rpc = NULL;
    r->flow = NULL;
    r->peer->asking_count--;
}

static bool may_ask(const struct peer *p)
{
    return peer_link(p) != NULL && p->asking_count < PEER_ASKING_MAX;
}

void rpc_answered(struct node *n, struct rpc *r, struct span msg)
{
    struct peer *p = r->peer;
    uint64_t kad = r->kad;
    struct ask *ask = r->ask;
    struct trace_span *trace = r->trace;

    r->trace = NULL;
    rpc_detach(r);
    rpc_free(n, r);
    if (ask != NULL)
        find_answered(n, ask, msg); /* has a span of its own */
    else
        traced_end(n, &trace, kad_on_answer(n->kad, kad, msg, n->now, n->wall));
    rpcs_next(n, p); /* may take, or end, the stream that |msg| is in */
}

void rpc_failed(struct node *n, struct rpc *r, enum err err)
{
    struct peer *p = r->peer;
    uint64_t kad = r->kad;
    struct ask *ask = r->ask;

    traced_end(n, &r->trace, err);
    rpc_detach(r);
    rpc_free(n, r);
    rpcs_next(n, p);
    if (ask != NULL)
        find_failed(n, ask, err);
    else
        kad_on_failure(n->kad, kad, err, n->now, n->wall);
}

/* ---- Streams. ---- */

static void flow_rest(struct node *n, struct flow *f)
{
    struct peer *p = flow_peer(f);

    if (f->type != FLOW_KAD_OUT || p->kad_idle_count >= PEER_KAD_IDLE_MAX) {
        flow_finish(n, f);
        f->is_over = true;
        node_timer_set(n, &f->timer, n->now + FLOW_OUT_WITHIN);
        return;
    }
    list_push_front(&p->kad_idle, &f->of_idle);
    p->kad_idle_count++;
    node_timer_set(n, &f->timer, n->now + KAD_IDLE_WITHIN);
}

static void flow_wake(struct node *n, struct flow *f)
{
    list_remove(&f->of_idle);
    flow_peer(f)->kad_idle_count--;
    heap_remove(&n->timers, &f->timer.node);
}

static bool is_idle(const struct flow *f)
{
    return !list_is_empty(&f->of_idle);
}

void rpc_flow_retire(struct node *n, struct flow *f)
{
    if (is_idle(f))
        flow_wake(n, f);
    f->is_over = true;
    flow_finish(n, f);
    node_timer_set(n, &f->timer, n->now + FLOW_OUT_WITHIN);
}

static struct flow *idle_flow(struct node *n, struct rpc *r)
{
    if (r->ask != NULL || r->was_retried)
        return NULL;
    LIST_FOR_EACH(entry, &r->peer->kad_idle) {
        struct flow *f = LIST_ENTRY(entry, struct flow, of_idle);

        if (f->link->is_gone || f->link->is_closing)
            continue;
        flow_wake(n, f);
        f->was_used = true;
        return f;
    }
    return NULL;
}

static enum err rpc_send(struct node *n, struct rpc *r)
{
    enum flow_type type = r->ask ? FLOW_SEARCH_OUT : FLOW_KAD_OUT;
    enum proto proto = r->ask ? PROTO_SEARCH : PROTO_KAD;
    struct flow *f = idle_flow(n, r);
    enum err err;

    if (f == NULL) {
        TRY(flow_open(n, peer_link(r->peer), type, &n->protocols[proto], 1,
                      &f));
        delim_init(&f->in, r->ask ? SEARCH_RESPONSE_MAX : KAD_MESSAGE_MAX,
                   &f->link->partial.mem);
    }
    rpc_attach(r, f);
    err = flow_write(n, f, buf_span(&r->message));
    if (err != OK) {
        rpc_detach(r);
        flow_reset(n, f);
        return err;
    }
    return OK;
}

/* Send, and tell what came of it if that is already known. */
static void rpc_go(struct node *n, struct rpc *r)
{
    struct flow *f;
    enum err err = rpc_send(n, r);

    if (err != OK) {
        rpc_failed(n, r, err);
        return;
    }
    if (r->wants_answer)
        return;
    /* The stream takes the next question all the same: one a message would
     * soon be too many. */
    f = r->flow;
    rpc_detach(r);
    flow_rest(n, f);
    rpc_answered(n, r, SPAN_NONE);
}

/* ---- Asking. ---- */

enum err rpc_start(struct node *n, const struct peer_id *peer,
                   struct span message, bool wants_answer, uint64_t kad,
                   struct ask *ask, struct trace_span **trace, struct rpc **out)
{
    struct peer *p = peer_get(n, peer);
    struct rpc *r;
    enum err err;

    if (p == NULL)
        return ERR_LIMIT;
    if (!may_ask(p) && p->waiting_count >= PEER_WAITING_MAX) {
        n->count.waiting_refused++;
        return ERR_LIMIT;
    }
    if (peer_link(p) == NULL)
        TRY(dial_start(n, p, false));
    r = mem_try_zero(n->mem, sizeof(*r));
    if (r == NULL)
        return ERR_NOMEM;
    list_init(&r->of_owner);
    r->peer = p;
    r->wants_answer = wants_answer;
    r->kad = kad;
    r->ask = ask;
    if (trace != NULL) {
        r->trace = *trace;
        *trace = NULL;
    }
    buf_init(&r->message, message.len + UVARINT_MAX, n->mem);
    if (kad != 0)
        MAP_ADD(n->kad_rpcs, &r->kad, sizeof(r->kad), r);
    err = delim_put(&r->message, message);
    if (err != OK) {
        rpc_free(n, r);
        return err;
    }
    if (out != NULL)
        *out = r;
    if (may_ask(p) && list_is_empty(&p->waiting)) {
        rpc_go(n, r);
        return OK;
    }
    r->is_waiting = true;
    list_push_back(&p->waiting, &r->of_owner);
    p->waiting_count++;
    peer_unhold(n, p);
    rpcs_next(n, p);
    return OK;
}

void rpc_cancel(struct node *n, struct rpc *r)
{
    struct flow *f = r->flow;
    struct peer *p = r->peer;

    traced_end(n, &r->trace, ERR_CANCELLED);
    rpc_detach(r);
    rpc_free(n, r);
    if (f != NULL)
        flow_reset(n, f);
    rpcs_next(n, p);
}

/* Those whose turn it is now.  One that fails at once makes room for the next,
 * which the loop of the first call takes. */
static void rpcs_next(struct node *n, struct peer *p)
{
    if (p->is_asking)
        return;
    p->is_asking = true;
    while (may_ask(p) && !list_is_empty(&p->waiting)) {
        struct list *entry = list_pop_front(&p->waiting);
        struct rpc *r = LIST_ENTRY(entry, struct rpc, of_owner);

        r->is_waiting = false;
        p->waiting_count--;
        rpc_go(n, r);
    }
    p->is_asking = false;
}

void rpcs_connected(struct node *n, struct peer *p)
{
    rpcs_next(n, p);
}

void rpcs_unreachable(struct node *n, struct peer *p, enum err err)
{
    /* Failing one may ask another of the same peer: only those here now. */
    for (size_t left = p->waiting_count; left > 0; left--) {
        struct list *entry = p->waiting.next;

        if (entry == &p->waiting)
            break;
        rpc_failed(n, LIST_ENTRY(entry, struct rpc, of_owner), err);
    }
}

/* ---- Answers. ---- */

enum err rpc_data(struct node *n, struct flow *f, struct span data)
{
    struct span msg;
    bool whole;

    if (f->is_over)
        return OK; /* late words of one we no longer wait for */
    while (data.len > 0) {
        struct rpc *r = f->u.rpc;
        bool is_alone;

        if (r == NULL)
            return ERR_PROTO; /* an answer to no question */
        TRY(delim_recv(&f->in, &data, &msg, &whole));
        if (!whole)
            break;
        is_alone = data.len == 0;
        rpc_detach(r);
        if (is_alone)
            flow_rest(n, f);
        rpc_answered(n, r, msg);
        /* A stream that rested may be gone; one that says more is not reused.
         */
        return is_alone ? OK : ERR_PROTO;
    }
    return OK;
}

/* A stream that was kept may have been closed while the question was on its
 * way, and a connection may die under it: that says nothing about the question.
 */
static bool may_ask_again(const struct flow *f, const struct rpc *r,
                          enum err err)
{
    if (r->was_retried || peer_link(r->peer) == NULL)
        return false;
    return err == ERR_CLOSED || (f->was_used && err != ERR_TIMEOUT);
}

static void rpc_lost(struct node *n, struct flow *f, enum err err)
{
    struct rpc *r = f->u.rpc;

    if (r == NULL)
        return;
    rpc_detach(r);
    if (may_ask_again(f, r, err)) {
        r->was_retried = true;
        rpc_go(n, r);
        return;
    }
    rpc_failed(n, r, err == OK ? ERR_RESET : err);
}

void rpc_fin(struct node *n, struct flow *f)
{
    if (is_idle(f))
        flow_wake(n, f);
    if (!f->is_over)
        flow_finish(n, f);
    f->is_over = true;
    node_timer_set(n, &f->timer, n->now + FLOW_OUT_WITHIN);
    rpc_lost(n, f, ERR_RESET);
}

void rpc_gone(struct node *n, struct flow *f, enum err err)
{
    if (is_idle(f))
        flow_wake(n, f);
    rpc_lost(n, f, err);
}
