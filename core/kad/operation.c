/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

/* An operation finds the peers nearest to a key, and what they know, then, if
 * it is a put or provide, gives them something:
 *
 *      begin ─▶ FIND ── enough known, or half the time gone ─▶ STORE ─▶ done
 *                 ╰── get, find: complete, quorum, deadline ───────────▶ done
 *
 * Peers slow to answer while finding do not hold up a put: those that answered
 * get the record at once, the slow ones when they do. */

static const char *const outcome_names[] = {
    [KAD_COMPLETE] = "complete",   [KAD_QUORUM] = "quorum",
    [KAD_DEADLINE] = "deadline",   [KAD_NO_PEERS] = "no-peers",
    [KAD_CANCELLED] = "cancelled",
};

static const char *const operation_names[] = {
    [KAD_OP_FIND_CLOSEST] = "find-closest",
    [KAD_OP_GET] = "get",
    [KAD_OP_PUT] = "put",
    [KAD_OP_PUT_TO] = "put-to",
    [KAD_OP_PROVIDE] = "provide",
    [KAD_OP_FIND_PROVIDERS] = "find-providers",
};

const char *kad_operation_name(enum kad_operation operation)
{
    return operation_names[operation];
}

const char *kad_outcome_name(enum kad_outcome outcome)
{
    return outcome_names[outcome];
}

static bool is_storing_type(enum kad_operation type)
{
    return type == KAD_OP_PUT || type == KAD_OP_PUT_TO ||
           type == KAD_OP_PROVIDE;
}

static enum kad_rpc_type find_type(enum kad_operation type)
{
    if (type == KAD_OP_GET)
        return KAD_GET_VALUE;
    return type == KAD_OP_FIND_PROVIDERS ? KAD_GET_PROVIDERS : KAD_FIND_NODE;
}

static enum kad_rpc_type store_type(enum kad_operation type)
{
    return type == KAD_OP_PROVIDE ? KAD_ADD_PROVIDER : KAD_PUT_VALUE;
}

/* --- messages ---------------------------------------------------------- */

enum err message_blob(struct kad *k, const struct message *m, struct blob **out)
{
    struct buf buf;
    enum err err;

    buf_init(&buf, KAD_MESSAGE_SEND_MAX, k->mem);
    err = message_encode(&k->arena, m, k->config.is_private_network, &buf);
    if (err == OK) {
        *out = blob_new(k->mem, buf_span(&buf));
        err = *out ? OK : ERR_NOMEM;
    }
    buf_release(&buf);
    return err;
}

enum err put_message(struct kad *k, struct span key, struct span value,
                     const struct peer_id *publisher, uint32_t ttl,
                     struct blob **out)
{
    struct message_record record = {.key = key,
                                    .value = value,
                                    .publisher = peer_id_span(publisher),
                                    .ttl = ttl};
    struct message m = {.type = KAD_PUT_VALUE, .key = key, .record = &record};

    return message_blob(k, &m, out);
}

enum err provider_message(struct kad *k, struct span key, struct blob **out)
{
    struct kad_peer self = {k->config.self, addrs_span(&k->addrs)};
    struct message m = {.type = KAD_ADD_PROVIDER,
                        .key = key,
                        .providers = &self,
                        .providers_count = 1};

    return message_blob(k, &m, out);
}

/* --- life -------------------------------------------------------------- */

struct operation *operation_find(const struct kad *k, uint64_t id)
{
    struct operation *op;

    MAP_FIND(k->operations, &id, sizeof(id), op);
    return op;
}

void operation_free(struct kad *k, struct operation *op)
{
    list_remove(&op->starved);
    heap_remove(&k->operation_timers, &op->timer);
    if (op->id != 0)
        MAP_DEL(k->operations, op);
    lookup_release(&op->lookup);
    for (size_t i = 0; i < op->values_count; i++)
        blob_unref(k->mem, op->values[i].value);
    for (size_t i = 0; i < op->providers_count; i++)
        addrs_release(&op->providers[i].addrs, k->mem);
    mem_free(k->mem, op->providers);
    blob_unref(k->mem, op->key);
    blob_unref(k->mem, op->request);
    blob_unref(k->mem, op->store);
    blob_unref(k->mem, op->value);
    event_free(&k->events, op->done);
    mem_free(k->mem, op);
}

static enum err fill(struct kad *k, struct operation *op,
                     const struct operation_spec *spec)
{
    struct message m = {.type = find_type(spec->type), .key = spec->key};

    arena_reset(&k->arena);
    op->key = blob_new(k->mem, spec->key);
    op->done = event_new(&k->events, KAD_EV_DONE, 0);
    if (op->key == NULL || op->done == NULL)
        return ERR_NOMEM;
    TRY(message_blob(k, &m, &op->request));
    return heap_set(&k->operation_timers, &op->timer, spec->deadline);
}

enum err operation_new(struct kad *k, const struct operation_spec *spec,
                       tstamp now, struct operation **out)
{
    struct operation *op;
    enum err err;

    if (MAP_COUNT(k->operations) >= k->config.operations_max) {
        k->stats.operations_refused++;
        return ERR_BUSY;
    }
    op = mem_try_zero(k->mem, sizeof(*op));
    if (op == NULL)
        return ERR_NOMEM;
    list_init(&op->starved);
    op->type = spec->type;
    op->upkeep = spec->upkeep;
    op->started_at = now;
    op->deadline = spec->deadline;
    op->best = -1;
    lookup_init(&op->lookup, spec->key, k->mem);
    op->lookup.leaves_slow_out = is_storing_type(spec->type);
    err = fill(k, op, spec);
    if (err != OK) {
        operation_free(k, op);
        return err;
    }
    op->id = ++k->last_operation;
    MAP_ADD(k->operations, &op->id, sizeof(op->id), op);
    *out = op;
    return OK;
}

/* --- done -------------------------------------------------------------- */

static size_t results_room(const struct operation *op)
{
    const struct lookup *l = &op->lookup;
    size_t at = 0;
    size_t room = op->values_count * sizeof(struct kad_value) +
                  (KAD_K + op->providers_count) * sizeof(struct kad_peer) +
                  2 * _Alignof(max_align_t);

    for (size_t i = 0; i < op->values_count; i++)
        room += op->values[i].value->len;
    for (size_t i = 0; i < op->providers_count; i++)
        room += op->providers[i].addrs.len;
    for (int i = 0, slot; i < KAD_K; i++)
        if ((slot = lookup_next_answered(l, &at)) != LOOKUP_NO_SLOT)
            room += l->pool[slot].addrs.len;
    return room;
}

static void keep_values(const struct operation *op, struct event_node *n)
{
    struct kad_value *to = event_alloc(n, op->values_count * sizeof(*to),
                                       _Alignof(struct kad_value));

    for (size_t i = 0; i < op->values_count; i++) {
        const struct found_value *from = &op->values[i];

        to[i] =
            (struct kad_value){.value = event_keep(n, blob_span(from->value)),
                               .owner = from->owner,
                               .publisher = from->publisher,
                               .holders = from->holders};
    }
    n->ev.values = to;
    n->ev.values_count = op->values_count;
}

static void keep_closest(const struct operation *op, struct event_node *n)
{
    const struct lookup *l = &op->lookup;
    struct kad_peer *to =
        event_alloc(n, KAD_K * sizeof(*to), _Alignof(struct kad_peer));
    size_t count = 0, at = 0;
    int slot;

    while (count < KAD_K &&
           (slot = lookup_next_answered(l, &at)) != LOOKUP_NO_SLOT)
        to[count++] = (struct kad_peer){
            l->pool[slot].id, event_keep(n, addrs_span(&l->pool[slot].addrs))};
    n->ev.peers = to;
    n->ev.peers_count = count;
}

static void keep_providers(const struct operation *op, struct event_node *n)
{
    struct kad_peer *to = event_alloc(n, op->providers_count * sizeof(*to),
                                      _Alignof(struct kad_peer));

    for (size_t i = 0; i < op->providers_count; i++)
        to[i] = (struct kad_peer){
            op->providers[i].id,
            event_keep(n, addrs_span(&op->providers[i].addrs))};
    n->ev.peers = to;
    n->ev.peers_count = op->providers_count;
}

/* The event was made when the operation began, so it never goes missing; only
 * its results may, without memory, and then it does not claim to be complete.
 */
static void push_done(struct kad *k, struct operation *op,
                      enum kad_outcome outcome, tstamp now)
{
    struct event_node *n = event_new(&k->events, KAD_EV_DONE, results_room(op));
    bool has_results = n != NULL;

    if (has_results) {
        keep_values(op, n);
        if (op->type == KAD_OP_FIND_PROVIDERS)
            keep_providers(op, n);
        else
            keep_closest(op, n);
    } else {
        n = op->done;
        op->done = NULL;
    }
    n->ev.op = op->id;
    n->ev.operation = op->type;
    n->ev.outcome = outcome;
    n->ev.complete = outcome == KAD_COMPLETE && has_results;
    n->ev.key = SPAN_NONE;
    n->ev.requested = op->requested;
    n->ev.acked = op->acked;
    n->ev.asked = op->lookup.asked;
    n->ev.answered = op->lookup.answered;
    n->ev.hops = op->lookup.hops;
    n->ev.elapsed = now - op->started_at;
    event_push(&k->events, n);
}

static void finish(struct kad *k, struct operation *op,
                   enum kad_outcome outcome, tstamp now)
{
    bool found_nobody = is_storing_type(op->type) ? op->requested == 0
                                                  : op->lookup.answered == 0;

    if (outcome == KAD_COMPLETE && found_nobody)
        outcome = KAD_NO_PEERS;
    if (op->type == KAD_OP_GET) {
        if (op->corrects && (outcome == KAD_COMPLETE || outcome == KAD_QUORUM))
            values_correct(k, op, outcome == KAD_COMPLETE, now);
        values_sort(k, op);
    }
    if (op->upkeep == UPKEEP_NONE)
        push_done(k, op, outcome, now);
    upkeep_operation_ended(k, op, now);
    operation_free(k, op);
}

/* --- sending ----------------------------------------------------------- */

static enum err send_to(struct kad *k, struct operation *op, int slot,
                        tstamp now)
{
    const struct candidate *c = &op->lookup.pool[slot];
    bool is_store = op->stage == STAGE_STORE;
    struct rpc_spec spec = {
        .type = is_store ? store_type(op->type) : find_type(op->type),
        .purpose = is_store ? RPC_STORE : RPC_LOOKUP,
        .op = op->id,
        .slot = slot,
        .peer = &c->id,
        .addrs = addrs_span(&c->addrs),
        .message = is_store ? op->store : op->request,
        .value = is_store ? op->value : NULL,
    };

    return rpc_send(k, &spec, now);
}

/* True: it must wait for a place among the RPCs. */
static bool is_starved(struct kad *k, struct operation *op, enum err err)
{
    if (err != ERR_BUSY || MAP_COUNT(k->rpcs) == 0)
        return false;
    list_remove(&op->starved);
    list_push_back(&k->starved, &op->starved);
    return true;
}

static void want_store(struct operation *op, int slot)
{
    op->lookup.pool[slot].store = STORE_WANTED;
    op->requested++;
    op->pending++;
}

static void start_storing(struct kad *k, struct operation *op)
{
    size_t at = 0;
    int slot;

    op->stage = STAGE_STORE;
    while (op->requested < KAD_K &&
           (slot = lookup_next_answered(&op->lookup, &at)) != LOOKUP_NO_SLOT)
        want_store(op, slot);
    if (heap_set(&k->operation_timers, &op->timer, op->deadline) != OK)
        assert(false); /* in the heap: needs no memory */
}

static void tell_progress(struct kad *k, const struct operation *op)
{
    struct event_node *n;

    if (op->upkeep != UPKEEP_NONE)
        return;
    n = event_new(&k->events, KAD_EV_PROGRESS, 0);
    if (n == NULL)
        return; /* KAD_EV_DONE will tell */
    n->ev.op = op->id;
    n->ev.operation = op->type;
    n->ev.requested = op->requested;
    n->ev.acked = op->acked;
    event_push(&k->events, n);
}

static void store_ended(struct kad *k, struct operation *op, int slot,
                        bool is_acked)
{
    struct candidate *c = &op->lookup.pool[slot];

    op->requested += c->store == STORE_SLOW && is_acked;
    c->store = is_acked ? STORE_ACKED : STORE_FAILED;
    op->pending--;
    op->acked += is_acked;
    if (is_acked)
        tell_progress(k, op);
}

/* Who is silent would not have been found, had anybody been looked for: it
 * is none of those that were to get the record. */
static void store_doubted(struct kad *k, struct operation *op, int slot)
{
    struct candidate *c = &op->lookup.pool[slot];

    if (!op->is_direct || c->store != STORE_SENT)
        return;
    c->store = STORE_SLOW;
    op->requested--;
    k->all_known_until = 0;
    tell_progress(k, op);
}

static void advance_store(struct kad *k, struct operation *op, tstamp now)
{
    struct lookup *l = &op->lookup;

    for (size_t i = 0; i < l->count; i++) {
        int slot = l->order[i];
        enum err err;

        if (l->pool[slot].store != STORE_WANTED)
            continue;
        err = send_to(k, op, slot, now);
        if (is_starved(k, op, err))
            return;
        if (err == OK)
            l->pool[slot].store = STORE_SENT;
        else
            store_ended(k, op, slot, false);
    }
    if (op->pending == 0 && (l->outstanding == 0 || op->requested >= KAD_K))
        finish(k, op, KAD_COMPLETE, now);
}

/* Everybody anybody named has answered, and is in the table. */
static void note_all_known(struct kad *k, const struct lookup *l, tstamp now)
{
    if (l->count == l->answered && l->count == k->routing.count &&
        l->count < KAD_K)
        k->all_known_until = tstamp_add(now, KAD_ALL_KNOWN_WITHIN);
}

/* Where all are known no question finds another peer: a get asks just those
 * that can make its quorum, and one more. */
static unsigned alpha_of(const struct kad *k, const struct operation *op,
                         tstamp now)
{
    if (op->type != KAD_OP_GET || op->quorum == 0 ||
        now >= k->all_known_until || op->quorum >= k->config.alpha)
        return k->config.alpha;
    return op->quorum + 1;
}

/* Ask whom there is to ask; move on when there is nobody left. */
static void advance(struct kad *k, struct operation *op, tstamp now)
{
    struct lookup *l = &op->lookup;
    int slot;

    if (op->stage == STAGE_STORE) {
        advance_store(k, op, now);
        return;
    }
    while ((slot = lookup_next(l, alpha_of(k, op, now))) != LOOKUP_NO_SLOT) {
        enum err err;

        if (peer_score(k, &l->pool[slot].id) < 0) {
            lookup_failed(l, slot); /* banned meanwhile */
            continue;
        }
        err = send_to(k, op, slot, now);
        if (is_starved(k, op, err))
            return;
        if (err == OK)
            lookup_asked(l, slot);
        else
            lookup_failed(l, slot);
    }
    if (!lookup_is_finished(l) && !(op->is_late && l->answered > 0))
        return;
    note_all_known(k, l, now);
    if (is_storing_type(op->type)) {
        start_storing(k, op);
        advance_store(k, op, now);
    } else {
        finish(k, op, lookup_is_exhausted(l) ? KAD_DEADLINE : KAD_COMPLETE,
               now);
    }
}

void operation_feed_starved(struct kad *k, tstamp now)
{
    struct list *l;

    while (MAP_COUNT(k->rpcs) < k->config.rpcs_max &&
           (l = list_pop_front(&k->starved)) != NULL)
        advance(k, LIST_ENTRY(l, struct operation, starved), now);
}

/* In a network that is smaller than k, and known to be in the table, all are
 * the nearest of every key. */
static bool may_skip_finding(const struct kad *k, const struct operation *op,
                             tstamp now)
{
    return is_storing_type(op->type) && op->stage == STAGE_FIND &&
           now < k->all_known_until && k->routing.count > 0 &&
           k->routing.count < KAD_K;
}

static void take_all_known(struct kad *k, struct operation *op)
{
    struct contact *all[KAD_K];
    size_t count = routing_closest(&k->routing, op->lookup.target, all, KAD_K);

    for (size_t i = 0; i < count; i++) {
        float score = peer_score(k, &all[i]->id);
        int slot = LOOKUP_NO_SLOT;

        if (score >= 0)
            slot = lookup_add(&op->lookup, &all[i]->id,
                              addrs_span(&all[i]->addrs), 1, score);
        if (slot != LOOKUP_NO_SLOT)
            op->lookup.pool[slot].state = CANDIDATE_ANSWERED;
    }
    op->is_direct = true;
    start_storing(k, op);
}

void operation_begin(struct kad *k, struct operation *op, tstamp now)
{
    struct contact *seeds[KAD_K];
    size_t count = 0;

    if (may_skip_finding(k, op, now))
        take_all_known(k, op);
    if (op->stage == STAGE_FIND)
        count = routing_closest(&k->routing, op->lookup.target, seeds, KAD_K);
    if (op->stage == STAGE_FIND && count == 0)
        count = routing_closest_suspects(&k->routing, op->lookup.target, seeds,
                                         KAD_K);
    for (size_t i = 0; i < count; i++) {
        float score = peer_score(k, &seeds[i]->id);

        if (score >= 0)
            (void)lookup_add(&op->lookup, &seeds[i]->id,
                             addrs_span(&seeds[i]->addrs), 1, score);
    }
    /* Half of a put's time is for finding, so that some is left to put. */
    if (op->stage == STAGE_FIND && is_storing_type(op->type) &&
        op->deadline > now &&
        heap_set(&k->operation_timers, &op->timer,
                 now + (op->deadline - now) / 2) != OK)
        assert(false); /* in the heap: needs no memory */
    if (op->type == KAD_OP_GET && values_have_quorum(op))
        finish(k, op, KAD_QUORUM, now);
    else
        advance(k, op, now);
}

/* --- answers ----------------------------------------------------------- */

/* Whether it is worth asking: others still name peers that we found dead, and
 * peers that nobody can dial. */
static bool is_promising(const struct kad *k, const struct peer_id *id,
                         const struct addrs *addrs)
{
    const struct contact *c = routing_find(&k->routing, id);

    if (peer_id_eq(id, &k->config.self))
        return false;
    return c ? c->place != CONTACT_LOST : addrs->count > 0;
}

/* Nearer peers, as another tells of them.  At most KAD_CLOSER_MAX count. */
static void take_closer(struct kad *k, struct operation *op, int slot,
                        const Wire__KadMessage *msg)
{
    unsigned hop = op->lookup.pool[slot].hop + 1u;
    size_t count = msg->n_closer_peers;

    if (count > KAD_CLOSER_MAX) {
        k->stats.closer_ignored += count - KAD_CLOSER_MAX;
        count = KAD_CLOSER_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        struct addrs addrs = {0};
        struct peer_id id;
        float score;

        if (peer_from_wire(k, msg->closer_peers[i], &id, &addrs) &&
            is_promising(k, &id, &addrs) && (score = peer_score(k, &id)) >= 0)
            (void)lookup_add(&op->lookup, &id, addrs_span(&addrs), hop, score);
        else
            k->stats.closer_ignored++;
        addrs_release(&addrs, k->mem);
    }
}

static bool has_provider(const struct operation *op, const struct peer_id *id)
{
    for (size_t i = 0; i < op->providers_count; i++)
        if (peer_id_eq(&op->providers[i].id, id))
            return true;
    return false;
}

/* Owns |addrs| afterwards. */
static void add_provider(struct kad *k, struct operation *op,
                         const struct peer_id *id, struct addrs *addrs)
{
    if (op->providers_count >= op->wanted || has_provider(op, id)) {
        addrs_release(addrs, k->mem);
        return;
    }
    op->providers[op->providers_count++] = (struct found_peer){*id, *addrs};
}

static void take_providers(struct kad *k, struct operation *op,
                           const Wire__KadMessage *msg)
{
    for (size_t i = 0; i < msg->n_provider_peers; i++) {
        struct addrs addrs = {0};
        struct peer_id id;

        if (op->providers_count >= op->wanted)
            return;
        if (peer_from_wire(k, msg->provider_peers[i], &id, &addrs))
            add_provider(k, op, &id, &addrs);
        else
            addrs_release(&addrs, k->mem);
    }
}

/* A record under another key is no answer (go fails such a get). */
static enum err take_record(struct kad *k, struct operation *op,
                            const struct rpc *rpc, const Wire__KadRecord *w,
                            tstamp now)
{
    struct message_record record;

    if (w == NULL)
        return OK;
    if (!span_eq(message_bytes(w->key), blob_span(op->key))) {
        k->stats.records_invalid++;
        peer_outcome(k, &rpc->peer, KAD_PEER_BAD_RECORD, ERR_WRONG_KEY, 0);
        return ERR_WRONG_KEY;
    }
    record = (struct message_record){.key = blob_span(op->key),
                                     .value = message_bytes(w->value),
                                     .publisher = message_bytes(w->publisher),
                                     .ttl = w->ttl};
    return values_take(k, op, rpc->slot, &record, now);
}

static enum err take_answer(struct kad *k, struct operation *op,
                            const struct rpc *rpc, const Wire__KadMessage *msg,
                            tstamp now)
{
    bool has_enough = false;
    enum err err = OK;

    take_closer(k, op, rpc->slot, msg);
    lookup_answered(&op->lookup, rpc->slot);
    if (op->type == KAD_OP_GET) {
        err = take_record(k, op, rpc, msg->record, now);
        has_enough = values_have_quorum(op);
    } else if (op->type == KAD_OP_FIND_PROVIDERS) {
        take_providers(k, op, msg);
        has_enough = op->providers_count >= op->wanted;
    }
    if (has_enough)
        finish(k, op, KAD_QUORUM, now);
    else
        advance(k, op, now);
    return err;
}

/* NULL when it is over, or |rpc| was of none. */
static struct operation *waiting_for(struct kad *k, const struct rpc *rpc)
{
    return rpc->op != 0 ? operation_find(k, rpc->op) : NULL;
}

enum err operation_on_answer(struct kad *k, const struct rpc *rpc,
                             const Wire__KadMessage *msg, tstamp now)
{
    struct operation *op = waiting_for(k, rpc);

    if (op == NULL)
        return OK;
    if (rpc->purpose == RPC_STORE) {
        store_ended(k, op, rpc->slot, true);
        advance(k, op, now);
    } else if (op->stage == STAGE_STORE) {
        lookup_answered(&op->lookup, rpc->slot);
        if (op->requested < KAD_K)
            want_store(op, rpc->slot);
        advance(k, op, now);
    } else {
        return take_answer(k, op, rpc, msg, now);
    }
    return OK;
}

void operation_on_failed(struct kad *k, const struct rpc *rpc, enum err err,
                         tstamp now)
{
    struct operation *op = waiting_for(k, rpc);
    bool has_answered = err == ERR_PROTO || err == ERR_FRAME_SIZE;

    if (op == NULL)
        return;
    if (rpc->purpose == RPC_STORE) {
        if (!has_answered && !is_refusal(rpc, err))
            store_doubted(k, op, rpc->slot);
        store_ended(k, op, rpc->slot, false);
    } else {
        lookup_failed(&op->lookup, rpc->slot);
    }
    advance(k, op, now);
}

void operation_on_slow(struct kad *k, const struct rpc *rpc, tstamp now)
{
    struct operation *op = waiting_for(k, rpc);

    if (op == NULL)
        return;
    if (rpc->purpose == RPC_STORE) {
        store_doubted(k, op, rpc->slot);
        return;
    }
    lookup_slow(&op->lookup, rpc->slot);
    advance(k, op, now);
}

void operation_tick(struct kad *k, unsigned *work, tstamp now)
{
    struct heap_node *n;

    while (*work > 0 && (n = heap_first(&k->operation_timers)) != NULL &&
           n->at <= now) {
        struct operation *op = HEAP_ENTRY(n, struct operation, timer);

        (*work)--;
        if (op->deadline <= now) {
            finish(k, op, KAD_DEADLINE, now);
            continue;
        }
        op->is_late = true;
        if (heap_set(&k->operation_timers, &op->timer, op->deadline) != OK)
            assert(false); /* in the heap: needs no memory */
        advance(k, op, now);
    }
}

void kad_cancel(struct kad *k, uint64_t id, tstamp now)
{
    struct operation *op = operation_find(k, id);

    if (op != NULL && op->upkeep == UPKEEP_NONE)
        finish(k, op, KAD_CANCELLED, now);
}
