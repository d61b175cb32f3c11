/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* What was published and is safe on disk, on its way into the network: three
 * DHT records and an announcement each, and the search terms.  The store keeps
 * the list; here are only those under way, paced.  An entry leaves the list
 * when its records were put; without a single peer all waits until some come.
 */

static struct outbox_work *work_find(const struct node *n, int64_t id)
{
    for (struct list *e = n->outbox.items.next; e != &n->outbox.items;
         e = e->next)
        if (LIST_ENTRY(e, struct outbox_work, of_node)->id == id)
            return LIST_ENTRY(e, struct outbox_work, of_node);
    return NULL;
}

/* ---- Who waits for it. ---- */

static bool is_enough(const struct outbox_work *w, enum announce_wait wait)
{
    if (wait == ANNOUNCE_ONE)
        return w->acked >= 1;
    return w->acked >= 1 && w->acked > w->requested / 2;
}

static void tell_waiting(struct node *n, const struct outbox_work *w,
                         bool is_over)
{
    LIST_FOR_EACH(entry, &n->announces) {
        struct pending *p = LIST_ENTRY(entry, struct pending, of_owner);
        struct request *r = p->request;

        if (r->in.announce.outbox_id != w->id)
            continue;
        r->requested = w->requested;
        r->acked = w->acked;
        if (is_over || is_enough(w, r->in.announce.wait))
            request_answer(n, p, OK, NULL);
    }
}

/* Whoever asks may come when all is done: the commit and the question take
 * different ways here. */
static void remember(struct node *n, const struct outbox_work *w)
{
    n->outbox.done[n->outbox.done_next++ % OUTBOX_DONE_MAX] =
        (struct outbox_done){w->id, w->requested, w->acked};
}

static const struct outbox_done *remembered(const struct node *n, int64_t id)
{
    for (size_t i = 0; i < OUTBOX_DONE_MAX; i++)
        if (n->outbox.done[i].id == id)
            return &n->outbox.done[i];
    return NULL;
}

/* ---- Loading. ---- */

static void load(struct node *n)
{
    struct action *a;

    if (n->outbox.is_loading || !n->outbox.may_have_more || n->is_draining ||
        n->outbox.count + OUTBOX_LOAD_MAX > OUTBOX_ITEMS_MAX ||
        n->now < n->outbox.retry_at)
        return;
    n->outbox.is_loading = true;
    n->outbox.has_grown = false;
    a = action_push(n, NODE_OUTBOX_LOAD);
    a->act.outbox.after = n->outbox.asked_after = n->outbox.after;
    a->act.outbox.limit = OUTBOX_LOAD_MAX;
}

/* There may be more than was seen; what is being read now may be older. */
static void look(struct node *n)
{
    n->outbox.may_have_more = true;
    n->outbox.has_grown = n->outbox.is_loading;
    load(n);
}

void outbox_start(struct node *n)
{
    load(n);
}

void node_outbox_grew(struct node *n, tstamp now)
{
    if (now > n->now)
        n->now = now;
    look(n);
}

/* Those that all refused have another turn; new ones did not wait for that. */
static void turn_back(struct node *n)
{
    if (n->outbox.again_at == 0 || n->now < n->outbox.again_at)
        return;
    if (n->outbox.again <= n->outbox.after)
        n->outbox.after = n->outbox.again - 1;
    n->outbox.again = 0;
    n->outbox.again_at = 0;
}

void outbox_timer(struct node *n)
{
    turn_back(n);
    look(n);
    if (n->outbox.again_at != 0)
        node_timer_set(n, &n->outbox_timer, n->outbox.again_at);
}

void outbox_peers_came(struct node *n)
{
    if (n->outbox.retry_at == 0)
        return;
    n->outbox.retry_at = 0;
    node_timer_set(n, &n->outbox_timer, n->now);
}

/* ---- One publish. ---- */

static void records_release(struct outbox_work *w)
{
    record_release(&w->head);
    record_release(&w->version);
}

void outbox_work_free(struct node *n, struct outbox_work *w)
{
    records_release(w);
    if (n->outbox.resting == w)
        n->outbox.resting = NULL;
    mem_free(n->mem, w->trace_state);
    list_remove(&w->of_node);
    mem_free(n->mem, w);
}

static void put_rest(struct node *n, struct outbox_work *w);

/* Later, from |id| on. */
static void begin_again(struct node *n, int64_t id)
{
    if (id <= n->outbox.after)
        n->outbox.after = id - 1;
    n->outbox.retry_at = n->now + OUTBOX_RETRY;
    node_timer_set(n, &n->outbox_timer, n->outbox.retry_at);
}

void node_outbox_again(struct node *n, tstamp now)
{
    if (now > n->now)
        n->now = now;
    begin_again(n, 1);
}

/* Those that nobody wanted to keep must not stop those behind them, which are
 * to be announced at least: they have their next turn when all had one. */
static void end_round(struct node *n)
{
    if (n->outbox.again == 0 || n->outbox.again_at != 0 ||
        n->outbox.may_have_more || n->outbox.is_loading || n->outbox.count > 0)
        return;
    n->outbox.again_at = n->now + OUTBOX_RETRY;
    node_timer_set(n, &n->outbox_timer, n->outbox.again_at);
}

static void work_done(struct node *n, struct outbox_work *w)
{
    tell_waiting(n, w, w->acked > 0 || w->is_refused || node_is_alone(n));
    if (w->acked > 0 || w->is_refused) {
        remember(n, w);
        action_push(n, NODE_OUTBOX_DONE)->act.outbox.id = w->id;
    } else {
        log_debug(n->log, "node", "publish waits id=%lld asked=%u",
                  (long long)w->id, w->requested);
        if (w->requested == 0) /* nobody is there */
            begin_again(n, w->id);
        else if (n->outbox.again == 0 || w->id < n->outbox.again)
            n->outbox.again = w->id;
    }
    outbox_work_free(n, w);
    n->outbox.count--;
    end_round(n);
    load(n);
}

/* What is left to be put of one publish must not take the processors from those
 * who now judge its announcement and write it down; of many at once nobody
 * waits for one. */
static bool may_rest(const struct node *n, const struct outbox_work *w)
{
    return n->outbox.count == 1 && is_enough(w, ANNOUNCE_QUORUM);
}

static void rest(struct node *n, struct outbox_work *w)
{
    assert(n->outbox.resting == NULL);
    n->outbox.resting = w;
    w->ops++;
    node_timer_set(n, &n->rest_timer, n->now + OUTBOX_REST);
}

void outbox_rested(struct node *n)
{
    struct outbox_work *w = n->outbox.resting;

    if (w == NULL)
        return;
    n->outbox.resting = NULL;
    put_rest(n, w);
    if (--w->ops == 0)
        work_done(n, w);
}

void outbox_progress(struct node *n, struct outbox_work *w, bool is_main,
                     const struct kad_event *ev)
{
    if (is_main) {
        w->requested = ev->requested;
        w->acked = ev->acked;
        tell_waiting(n, w, false);
    }
    if (ev->type != KAD_EV_DONE)
        return;
    if (is_main && may_rest(n, w))
        rest(n, w);
    else if (is_main)
        put_rest(n, w);
    if (--w->ops == 0)
        work_done(n, w);
}

/* False: it did not begin. */
static bool put(struct node *n, struct outbox_work *w, const struct record *r,
                enum key_kind kind)
{
    tstamp deadline = n->now + OUTBOX_PUT_WITHIN;
    char text[PACKAGE_KEY_MAX];
    struct package_key key;
    uint64_t id;
    struct op *op;
    enum err err;

    package_key_of(r, kind, &key);
    package_key_format(n->network, &key, text);
    err = kad_put(n->kad, span_str(text), buf_span(&r->bytes), deadline, n->now,
                  n->wall, &id);
    if (err == OK)
        err = op_add(n, id, OP_OUTBOX, w, &op);
    if (err != OK) {
        /* What is put after the head may be outdated by then, by a yank. */
        if (err == ERR_STALE_SEQUENCE && kind != KEY_HEAD)
            log_debug(n->log, "node", "record outdated key=%s", text);
        else
            log_warn(n->log, "node", "record not put key=%s reason=\"%s\"",
                     text, err_text(err));
        /* A newer record of ours is there already, or it can never be put:
         * either way there is nothing to try again. */
        if (err != ERR_BUSY && err != ERR_NOMEM && kind == KEY_HEAD)
            w->is_refused = true;
        return false;
    }
    op->trace =
        traced_lookup(n, w->is_noted ? &w->trace : NULL, "kad.put", text);
    op->is_main = kind == KEY_HEAD;
    w->ops++;
    return true;
}

/* A ggen node keeps only what is put to it directly. */
static void put_to_all(struct node *n, struct outbox_work *w,
                       const struct record *r, struct span value)
{
    struct peer_id servers[KAD_TARGETS_MAX];
    char text[PACKAGE_KEY_MAX];
    struct package_key key;
    struct peer *p, *tmp;
    size_t count = 0;
    uint64_t id;
    struct op *op;

    MAP_FOR_EACH(n->peers, p, tmp)
        if (p->is_kad_server && !list_is_empty(&p->links) &&
            count < KAD_TARGETS_MAX)
            servers[count++] = p->id;
    if (count == 0)
        return;
    package_key_of(r, KEY_HEAD, &key);
    package_key_format(n->network, &key, text);
    if (kad_put_to(n->kad, span_str(text), value, servers, count,
                   n->now + OUTBOX_PUT_WITHIN, n->now, n->wall, &id) != OK ||
        op_add(n, id, OP_OUTBOX, w, &op) != OK)
        return;
    op->trace =
        traced_lookup(n, w->is_noted ? &w->trace : NULL, "kad.put", text);
    w->ops++;
}

static void tell_announced(struct node *n, const struct outbox_item *item,
                           size_t sent, enum err err)
{
    char name[PACKAGE_TEXT_MAX];
    struct trace_span *s;

    if (item->trace == NULL || !n->tracer.is_on)
        return;
    s = traced(n, item->trace, "gossip.publish", TRACE_PRODUCER);
    if (s == NULL)
        return;
    (void)snprintf(name, sizeof(name), "%s/%s", item->namespace, item->name);
    trace_text(s, TRACE_PACKAGE_ID, span_str(name));
    trace_number(s, TRACE_PEERS_QUERIED, sent);
    traced_end(n, &s, err);
}

static void announce(struct node *n, const struct outbox_item *item)
{
    size_t sent = 0;
    enum err err = gossip_publish(n->gossip, span_str(n->network->topic),
                                  item->head, n->now, n->wall, &sent);

    tell_announced(n, item, sent, err);

    if (err != OK)
        log_warn(n->log, "node", "not announced package=%s/%s reason=\"%s\"",
                 item->namespace, item->name, err_text(err));
}

/* What others look for by name: some wait for it, so it goes first. */
static bool put_head(struct node *n, struct outbox_work *w)
{
    if (n->network->key_prefix[0] == '\0')
        put_to_all(n, w, &w->head, buf_span(&w->head.bytes));
    return put(n, w, &w->head, KEY_HEAD);
}

/* The same under the owner's key, and the version, which may be all there is
 * of the head; and what it can be found by. */
static void put_rest(struct node *n, struct outbox_work *w)
{
    const struct record *version = w->is_head ? &w->head : &w->version;

    if (n->network->key_prefix[0] != '\0') {
        (void)put(n, w, &w->head, KEY_HEAD_OF);
        if (version->json != NULL)
            (void)put(n, w, version, KEY_VERSION_OF);
    }
    terms_of_package(n, &w->head);
    records_release(w);
}

static enum err work_open(struct node *n, struct outbox_work *w,
                          const struct outbox_item *item)
{
    w->is_head = span_eq(item->head, item->version_record);
    TRY(validator_open(n->validator, item->head, &w->head, n->mem));
    if (!w->is_head && validator_open(n->validator, item->version_record,
                                      &w->version, n->mem) != OK)
        log_warn(n->log, "node", "a version is not put id=%lld",
                 (long long)item->id);
    return OK;
}

/* Without memory the state is left out. */
static void work_trace(struct node *n, struct outbox_work *w,
                       const struct trace_context *trace)
{
    size_t size;

    if (trace == NULL)
        return;
    w->is_noted = true;
    w->trace = *trace;
    w->trace.state = NULL;
    if (trace->state == NULL)
        return;
    size = strlen(trace->state) + 1;
    w->trace_state = mem_try(n->mem, NULL, size);
    if (w->trace_state != NULL)
        w->trace.state = memcpy(w->trace_state, trace->state, size);
}

static void work_start(struct node *n, const struct outbox_item *item)
{
    struct outbox_work *w = mem_new(n->mem, sizeof(*w));

    w->id = item->id;
    list_push_back(&n->outbox.items, &w->of_node);
    n->outbox.count++;
    w->ops = 1; /* ours, until all are begun */
    work_trace(n, w, item->trace);
    if (work_open(n, w, item) == OK) {
        announce(n, item);
        known_add(n, item->head);
        if (!put_head(n, w))
            put_rest(n, w); /* else when that has ended */
    } else {
        log_error(n->log, "node", "an outbox entry is no record id=%lld",
                  (long long)item->id);
        w->is_refused = true;
    }
    if (--w->ops == 0)
        work_done(n, w);
}

/* ---- Pacing. ---- */

static bool may_start(struct node *n, size_t count)
{
    uint64_t earned =
        (n->now - n->outbox.tokens_at) * OUTBOX_RATE / (SECONDS / 1000);

    n->outbox.tokens_at = n->now;
    n->outbox.tokens += earned;
    if (n->outbox.tokens > 1000 * OUTBOX_RATE)
        n->outbox.tokens = 1000 * OUTBOX_RATE;
    if (n->outbox.tokens < 1000 * count)
        return false;
    n->outbox.tokens -= 1000 * count;
    return true;
}

void node_outbox_loaded(struct node *n, const struct outbox_item *items,
                        size_t count, tstamp now, wall_ms wall)
{
    if (now > n->now)
        n->now = now;
    n->wall = wall;
    n->outbox.is_loading = false;
    if (n->outbox.after != n->outbox.asked_after) {
        load(n); /* gone back meanwhile: these come later, in their order */
        return;
    }
    n->outbox.may_have_more = count == OUTBOX_LOAD_MAX || n->outbox.has_grown;
    if (!may_start(n, count)) {
        node_timer_set(n, &n->outbox_timer, n->now + 10 * MILLISECONDS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].id > n->outbox.after)
            n->outbox.after = items[i].id;
        if (work_find(n, items[i].id) == NULL)
            work_start(n, &items[i]);
    }
    end_round(n);
    load(n);
    node_settle(n);
}

void announce_start(struct node *n, struct pending *p)
{
    const struct request_announce *in = &p->request->in.announce;
    const struct outbox_done *done = remembered(n, in->outbox_id);

    if (done != NULL) {
        p->request->requested = done->requested;
        p->request->acked = done->acked;
        request_answer(n, p, OK, NULL);
        return;
    }
    list_push_back(&n->announces, &p->of_owner);
    if (work_find(n, in->outbox_id) != NULL) {
        tell_waiting(n, work_find(n, in->outbox_id), false);
        return;
    }
    if (n->now < n->outbox.retry_at && node_is_alone(n)) {
        request_answer(n, p, OK, NULL);
        return;
    }
    look(n);
}
