/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

static const char *const type_names[] = {
    [KAD_PUT_VALUE] = "put_value",       [KAD_GET_VALUE] = "get_value",
    [KAD_ADD_PROVIDER] = "add_provider", [KAD_GET_PROVIDERS] = "get_providers",
    [KAD_FIND_NODE] = "find_node",       [KAD_PING] = "ping",
};

const char *kad_rpc_type_name(enum kad_rpc_type type)
{
    return type_names[type];
}

static void rpc_free(struct kad *k, struct rpc *rpc)
{
    heap_remove(&k->rpc_timers, &rpc->timer);
    MAP_DEL(k->rpcs, rpc);
    blob_unref(k->mem, rpc->value);
    mem_free(k->mem, rpc);
}

void rpc_release_all(struct kad *k)
{
    struct rpc *rpc, *tmp;

    MAP_FOR_EACH(k->rpcs, rpc, tmp) {
        rpc_free(k, rpc);
    }
    heap_release(&k->rpc_timers);
}

/* What identify told us of a peer is better than what others did. */
static struct span best_addrs(const struct kad *k, const struct rpc_spec *spec)
{
    const struct contact *c = routing_find(&k->routing, spec->peer);

    return c && c->addrs.count > 0 ? addrs_span(&c->addrs) : spec->addrs;
}

static struct event_node *make_event(struct kad *k, const struct rpc_spec *spec,
                                     uint64_t id, tstamp now)
{
    struct span addrs = best_addrs(k, spec);
    struct event_node *n = event_new(&k->events, KAD_EV_RPC, addrs.len);

    if (n == NULL)
        return NULL;
    n->message = blob_ref(spec->message);
    n->ev.op = spec->op;
    n->ev.rpc = id;
    n->ev.peer.id = *spec->peer;
    n->ev.peer.addrs = event_keep(n, addrs);
    n->ev.rpc_type = spec->type;
    n->ev.message = blob_span(spec->message);
    n->ev.wants_answer = spec->type != KAD_ADD_PROVIDER;
    n->ev.dial_by = tstamp_add(now, k->config.dial_timeout);
    n->ev.answer_by = tstamp_add(now, k->config.rpc_timeout);
    return n;
}

enum err rpc_send(struct kad *k, const struct rpc_spec *spec, tstamp now)
{
    struct event_node *n;
    struct rpc *rpc;

    if (MAP_COUNT(k->rpcs) >= k->config.rpcs_max) {
        k->stats.rpcs_refused++;
        return ERR_BUSY;
    }
    rpc = mem_try_zero(k->mem, sizeof(*rpc));
    if (rpc == NULL)
        return ERR_NOMEM;
    n = make_event(k, spec, k->last_rpc + 1, now);
    if (n == NULL || heap_set(&k->rpc_timers, &rpc->timer,
                              tstamp_add(now, k->config.rpc_slow)) != OK) {
        event_free(&k->events, n);
        mem_free(k->mem, rpc);
        return ERR_NOMEM;
    }
    rpc->id = ++k->last_rpc;
    rpc->op = spec->op;
    rpc->slot = spec->slot;
    rpc->purpose = spec->purpose;
    rpc->type = spec->type;
    rpc->peer = *spec->peer;
    rpc->value = blob_ref(spec->value);
    rpc->sent_at = now;
    rpc->answer_by = n->ev.answer_by;
    MAP_ADD(k->rpcs, &rpc->id, sizeof(rpc->id), rpc);
    event_push(&k->events, n);
    k->stats.rpcs_sent[spec->type]++;
    return OK;
}

void peer_outcome(struct kad *k, const struct peer_id *peer,
                  enum kad_peer_outcome outcome, enum err err, duration elapsed)
{
    struct event_node *n = event_new(&k->events, KAD_EV_PEER_OUTCOME, 0);

    if (n == NULL)
        return; /* reputation misses one */
    n->ev.peer.id = *peer;
    n->ev.peer_outcome = outcome;
    n->ev.err = err;
    n->ev.elapsed = elapsed;
    event_push(&k->events, n);
}

static struct rpc *rpc_find(const struct kad *k, uint64_t id)
{
    struct rpc *rpc;

    MAP_FIND(k->rpcs, &id, sizeof(id), rpc);
    return rpc;
}

bool is_refusal(const struct rpc *rpc, enum err err)
{
    return rpc->purpose == RPC_STORE && err == ERR_RESET;
}

/* Take |rpc| off the books; what follows may send others. */
static enum err fail(struct kad *k, struct rpc *rpc,
                     enum kad_peer_outcome outcome, enum err err, tstamp now)
{
    struct rpc ended = *rpc;

    ended.value = NULL;
    rpc_free(k, rpc);
    k->stats.rpcs_failed[ended.type]++;
    k->stats.rpcs_timeout[ended.type] += err == ERR_TIMEOUT;
    if (err_class(err) == ERR_CLASS_PEER)
        peer_outcome(k, &ended.peer, outcome, err, now - ended.sent_at);
    if (ended.purpose == RPC_CHECK)
        contact_check_ended(k, &ended.peer);
    if (!is_refusal(&ended, err))
        contact_failed(k, &ended.peer, err, now);
    operation_on_failed(k, &ended, err, now);
    operation_feed_starved(k, now);
    return err;
}

/* go-libp2p and js echo what was put: it counts only if the value comes back.
 */
static bool is_taken(const struct rpc *rpc, const Wire__KadMessage *msg)
{
    return rpc->type != KAD_PUT_VALUE ||
           (msg->record != NULL &&
            span_eq(message_bytes(msg->record->value), blob_span(rpc->value)));
}

static enum err succeed(struct kad *k, struct rpc *rpc,
                        const Wire__KadMessage *msg, tstamp now)
{
    struct rpc ended = *rpc;
    enum err err;

    ended.value = NULL;
    rpc_free(k, rpc);
    k->stats.rpcs_answered[ended.type]++;
    if (msg != NULL) {
        k->last_answer_at = now;
        peer_outcome(k, &ended.peer, KAD_PEER_ANSWERED, OK,
                     now - ended.sent_at);
        if (ended.purpose == RPC_CHECK)
            contact_check_ended(k, &ended.peer);
        contact_answered(k, &ended.peer, now);
    }
    if (ended.purpose == RPC_CORRECT)
        k->stats.corrected++;
    err = operation_on_answer(k, &ended, msg, now);
    operation_feed_starved(k, now);
    return err;
}

enum err kad_on_answer(struct kad *k, uint64_t id, struct span bytes,
                       tstamp now, wall_ms wall)
{
    struct rpc *rpc = rpc_find(k, id);
    Wire__KadMessage *msg = NULL;
    enum err err;

    clock_set(k, now, wall);
    if (rpc == NULL)
        return OK;
    if (rpc->type == KAD_ADD_PROVIDER)
        return succeed(k, rpc, NULL, now);
    arena_reset(&k->arena);
    err = message_decode(&k->arena, bytes, &msg);
    if (err == OK && (unsigned)msg->type != (unsigned)rpc->type)
        err = ERR_PROTO;
    k->stats.messages_oversized += err == ERR_FRAME_SIZE;
    k->stats.messages_malformed += err == ERR_PROTO;
    if (err != OK)
        /* A large answer may be an honest one. */
        return fail(k, rpc,
                    err == ERR_FRAME_SIZE ? KAD_PEER_FAILED
                                          : KAD_PEER_BAD_ANSWER,
                    err, now);
    if (!is_taken(rpc, msg))
        return fail(k, rpc, KAD_PEER_FAILED, ERR_PROTO, now);
    return succeed(k, rpc, msg, now);
}

void kad_on_failure(struct kad *k, uint64_t id, enum err err, tstamp now,
                    wall_ms wall)
{
    struct rpc *rpc = rpc_find(k, id);

    clock_set(k, now, wall);
    if (rpc == NULL)
        return;
    arena_reset(&k->arena);
    (void)fail(k, rpc, KAD_PEER_FAILED, err, now);
}

static void abandon(struct kad *k, const struct rpc *rpc)
{
    struct event_node *n = event_new(&k->events, KAD_EV_RPC_ABANDONED, 0);

    if (n == NULL)
        return; /* the stream ends by itself, later */
    n->ev.rpc = rpc->id;
    n->ev.peer.id = rpc->peer;
    event_push(&k->events, n);
}

void rpc_tick(struct kad *k, unsigned *work, tstamp now)
{
    struct heap_node *n;

    while (*work > 0 && (n = heap_first(&k->rpc_timers)) != NULL &&
           n->at <= now) {
        struct rpc *rpc = HEAP_ENTRY(n, struct rpc, timer);

        (*work)--;
        if (rpc->answer_by <= now) {
            abandon(k, rpc);
            (void)fail(k, rpc, KAD_PEER_FAILED, ERR_TIMEOUT, now);
            continue;
        }
        rpc->is_slow = true;
        if (heap_set(&k->rpc_timers, &rpc->timer, rpc->answer_by) != OK)
            assert(false); /* in the heap: needs no memory */
        operation_on_slow(k, rpc, now);
    }
}
