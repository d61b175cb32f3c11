/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Searching the network: the providers of the query's terms are looked up,
 * then the best few of them and of the connected peers are asked; one that
 * fails is replaced by the next.  And the other side: answering. */

static unsigned least(size_t a, size_t b)
{
    return (unsigned)(a < b ? a : b);
}

/* ---- Candidates. ---- */

static void add_candidate(const struct node *n, struct search *s,
                          const struct peer_id *id)
{
    if (peer_id_eq(id, &n->self) || s->candidate_count == SEARCH_CANDIDATES_MAX)
        return;
    for (size_t i = 0; i < s->candidate_count; i++)
        if (peer_id_eq(&s->candidates[i], id))
            return;
    s->candidates[s->candidate_count++] = *id;
}

static void order_best_first(struct node *n, struct peer_id *ids, size_t count)
{
    struct peer_id sorted[SEARCH_CANDIDATES_MAX];
    size_t best[SEARCH_CANDIDATES_MAX];
    size_t kept =
        reputation_best(n->reputation, ids, count, count, n->wall, best);

    for (size_t i = 0; i < kept; i++)
        sorted[i] = ids[best[i]];
    /* Banned ones were left out; their places at the end are not used. */
    for (size_t i = 0; i < kept; i++)
        ids[i] = sorted[i];
    for (size_t i = kept; i < count; i++)
        ids[i] = n->self;
}

static void add_connected(struct node *n, struct search *s)
{
    size_t first = s->candidate_count;
    struct peer *p, *tmp;

    MAP_FOR_EACH(n->peers, p, tmp)
        if (p->speaks_search && !list_is_empty(&p->links))
            add_candidate(n, s, &p->id);
    order_best_first(n, s->candidates + first, s->candidate_count - first);
}

/* ---- Ending. ---- */

static void answer(struct node *n, const struct search *s, struct pending *p,
                   enum err err, const char *reason)
{
    struct lookup_report *r = &p->request->lookup;

    r->complete = reason == NULL;
    r->reason = reason;
    r->peers_queried = s->queried;
    r->peers_responded = s->responded;
    r->fan_out = s->in.fan_out ? s->in.fan_out : n->config.search_fan_out;
    p->search = NULL;
    request_answer(n, p, err, NULL);
}

static void unlist(struct node *n, struct search *s)
{
    if (s->is_listed)
        MAP_DEL(n->searches, s);
    s->is_listed = false;
}

static void forget(struct node *n, struct search *s, enum err err)
{
    assert(list_is_empty(&s->waiting));
    unlist(n, s);
    heap_remove(&n->timers, &s->timer.node);
    ops_forget(n, s);
    while (!list_is_empty(&s->asks)) {
        struct ask *a = LIST_ENTRY(s->asks.next, struct ask, of_search);

        traced_end(n, &a->trace, err == OK ? ERR_TIMEOUT : ERR_CANCELLED);
        list_remove(&a->of_search);
        if (a->rpc != NULL)
            rpc_cancel(n, a->rpc);
        mem_free(n->mem, a);
    }
    mem_free(n->mem, s);
}

void find_leave(struct node *n, struct pending *p, enum err err,
                const char *reason)
{
    struct search *s = p->search;

    answer(n, s, p, err, reason);
    if (list_is_empty(&s->waiting))
        forget(n, s, err);
}

static void end(struct node *n, struct search *s, enum err err,
                const char *reason)
{
    struct list *entry;

    while ((entry = list_pop_front(&s->waiting)) != NULL)
        answer(n, s, LIST_ENTRY(entry, struct pending, of_owner), err, reason);
    forget(n, s, err);
}

/* ---- Asking. ---- */

/* On whose behalf peers are asked: the one that waits for longest. */
static const struct trace_context *trace_of(const struct search *s)
{
    return &LIST_ENTRY(s->waiting.next, struct pending, of_owner)
                ->request->trace;
}

static bool ask_one(struct node *n, struct search *s, const struct peer_id *id)
{
    struct search_request request = {.filter = s->in.filter,
                                     .limit = s->in.limit};
    struct peer *p = peer_find(n, id);
    struct ask *a;
    struct buf msg;
    enum err err;

    if (peer_id_eq(id, &n->self))
        return false;
    if ((p != NULL && n->now < p->search_not_before) ||
        search_pace_take(n->pace_out, id, n->now) > 0) {
        s->is_held = true;
        return false;
    }
    a = mem_try_zero(n->mem, sizeof(*a));
    if (a == NULL)
        return false;
    (void)snprintf(request.query, sizeof(request.query), "%s", s->in.query);
    request.deadline_ms =
        s->deadline > n->now
            ? least((size_t)((s->deadline - n->now) / MILLISECONDS) + 1,
                    SEARCH_DEADLINE_MS_MAX)
            : 1;
    a->search = s;
    a->peer = *id;
    a->sent_at = n->now;
    a->trace = traced(n, trace_of(s), "souk.search.peer", TRACE_CLIENT);
    trace_peer(a->trace, peer_id_span(id));
    list_push_back(&s->asks, &a->of_search);
    s->active++;
    buf_init(&msg, SEARCH_REQUEST_MAX, n->mem);
    err = search_request_encode(&request, &msg);
    if (err == OK)
        err = rpc_start(n, id, buf_span(&msg), true, 0, a, NULL, &a->rpc);
    buf_release(&msg);
    if (err == OK) {
        s->queried++;
        return true;
    }
    traced_end(n, &a->trace, err);
    s->active--;
    list_remove(&a->of_search);
    mem_free(n->mem, a);
    return false;
}

/* Keep as many questions out as sources are missing; end when all are in. */
static void go_on(struct node *n, struct search *s)
{
    if (!s->is_asking || s->is_busy)
        return;
    s->is_busy = true; /* an ask may fail at once and come back here */
    while (s->active + s->responded < s->chosen &&
           s->next < s->candidate_count) {
        struct peer_id id = s->candidates[s->next++];

        (void)ask_one(n, s, &id);
    }
    s->is_busy = false;
    if (s->active > 0)
        return;
    if (s->responded >= s->chosen && s->chosen > 0)
        end(n, s, OK, NULL);
    else
        end(n, s, OK,
            s->is_held       ? "peers-busy"
            : s->queried > 0 ? "peers-failed"
                             : "no-peers");
}

static void begin_asking(struct node *n, struct search *s)
{
    if (s->is_asking)
        return;
    s->is_asking = true;
    heap_remove(&n->timers, &s->timer.node);
    order_best_first(n, s->candidates, s->candidate_count);
    add_connected(n, s);
    for (size_t i = 0; i < s->candidate_count; i++)
        s->chosen += !peer_id_eq(&s->candidates[i], &n->self);
    s->chosen = least(s->chosen,
                      s->in.fan_out ? s->in.fan_out : n->config.search_fan_out);
    go_on(n, s);
}

void find_timer(struct node *n, struct search *s)
{
    begin_asking(n, s);
}

void find_providers_done(struct node *n, struct search *s,
                         const struct kad_event *ev)
{
    s->provider_ops--;
    for (size_t i = 0; i < ev->peers_count; i++) {
        struct peer *p = peer_get(n, &ev->peers[i].id);
        struct span addrs = ev->peers[i].addrs;
        struct multiaddr a;

        if (p == NULL || peer_id_eq(&p->id, &n->self))
            continue;
        while (kad_addr_next(&addrs, &a))
            if (dial_may_use(n, &a, false))
                peer_add_addr(n, p, &a, false);
        add_candidate(n, s, &p->id);
    }
    if (s->provider_ops == 0)
        begin_asking(n, s);
}

static void look_for_providers(struct node *n, struct search *s)
{
    tstamp until = tstamp_min(s->deadline, n->now + SEARCH_PROVIDERS_WITHIN);
    struct terms terms;

    terms_of_query(&s->query, &terms);
    for (size_t i = 0; i < terms.count && i < SEARCH_TERMS_ASKED_MAX; i++) {
        uint8_t key[TERM_KEY_LEN];
        uint64_t op;

        term_key(terms.list[i], key);
        if (kad_find_providers(n->kad, SPAN_OF(key), 0, until, n->now, &op) ==
                OK &&
            op_add(n, op, OP_SEARCH, s, NULL) == OK)
            s->provider_ops++;
    }
    if (s->provider_ops == 0)
        begin_asking(n, s);
    else
        node_timer_set(n, &s->timer, until);
}

static void wait_for(struct search *s, struct pending *p)
{
    p->search = s;
    if (p->request->deadline > s->deadline)
        s->deadline = p->request->deadline;
    list_push_back(&s->waiting, &p->of_owner);
}

/* True: one that is under way will do, as long as no peer's answer is missed.
 * Peers were told its deadline, so who has much more time asks again. */
static bool join(struct node *n, struct pending *p)
{
    struct search *s;

    MAP_FIND(n->searches, &p->request->in.search, sizeof(s->in), s);
    if (s == NULL)
        return false;
    if (s->responded > 0 || p->request->deadline > s->join_until) {
        unlist(n, s);
        return false;
    }
    wait_for(s, p);
    return true;
}

static struct search *begin(struct node *n, struct pending *p)
{
    tstamp deadline = p->request->deadline;
    struct search *s = mem_new(n->mem, sizeof(*s));

    s->timer.type = TIMER_SEARCH;
    /* Its padding, too: it is a key. */
    memcpy(&s->in, &p->request->in.search, sizeof(s->in));
    s->join_until = deadline;
    if (deadline > n->now)
        s->join_until = tstamp_add(deadline, (deadline - n->now) / 4);
    list_init(&s->waiting);
    list_init(&s->asks);
    MAP_ADD(n->searches, &s->in, sizeof(s->in), s);
    s->is_listed = true;
    wait_for(s, p);
    return s;
}

void find_start(struct node *n, struct pending *p)
{
    struct search *s;

    if (join(n, p))
        return;
    s = begin(n, p);
    if (query_parse(span_str(s->in.query), &s->query, NULL) != OK) {
        end(n, s, ERR_INVAL, "query");
        return;
    }
    s->query.filter = s->in.filter;
    if (n->config.is_standalone && n->links == NULL) {
        end(n, s, OK, NULL); /* nobody is left out: there is nobody */
        return;
    }
    look_for_providers(n, s);
}

/* ---- Answers. ---- */

static void ask_free(struct node *n, struct ask *a)
{
    traced_end(n, &a->trace, OK);
    a->search->active--;
    list_remove(&a->of_search);
    mem_free(n->mem, a);
}

void find_failed(struct node *n, struct ask *a, enum err err)
{
    struct search *s = a->search;

    peer_learn(n, &a->peer, REPUTATION_SEARCH_FAILED, REPUTATION_NO_SAMPLE);
    traced_end(n, &a->trace, err);
    log_debug(n->log, "search", "a peer did not answer reason=\"%s\"",
              err_text(err));
    ask_free(n, a);
    go_on(n, s);
}

/* For each of those who wait; a name is all they need, and there may be many.
 */
static void add_found(const struct search *s, const struct ask *a,
                      const char *name, bool is_new)
{
    LIST_FOR_EACH(entry, &s->waiting) {
        struct pending *p = LIST_ENTRY(entry, struct pending, of_owner);
        struct found_record *f = request_add_record(p->request, span_str(name));

        if (f == NULL)
            continue;
        f->source = a->peer;
        f->is_new = is_new;
    }
}

/* The catalogue has it, so what it is and whether it matches is known there.
 */
static bool take_known_hit(struct node *n, const struct search *s,
                           const struct ask *a, const struct search_hit *hit)
{
    enum known known = known_look(n, hit->record);
    char name[PACKAGE_TEXT_MAX];

    if (known == KNOWN_NOT || !package_id_peek(hit->record, name))
        return false;
    reputation_provided(n->reputation, &a->peer, span_str(name), n->wall);
    add_found(s, a, name, known == KNOWN_JUST_NOW);
    return true;
}

/* Verified before it is believed: neither the record nor that it matches is
 * taken on the peer's word. */
static void take_hit(struct node *n, const struct search *s,
                     const struct ask *a, const struct search_hit *hit)
{
    struct query_doc doc;
    struct record record;
    char name[PACKAGE_TEXT_MAX];

    if (take_known_hit(n, s, a, hit))
        return;
    if (validator_open(n->validator, hit->record, &record, n->mem) != OK) {
        peer_learn(n, &a->peer, REPUTATION_RECORD_BAD, REPUTATION_NO_SAMPLE);
        return;
    }
    (void)package_id_format(&record.id, name);
    reputation_provided(n->reputation, &a->peer, span_str(name), n->wall);
    accept_record(n, hit->record, &a->peer, ACCEPT_SEARCH);
    if (query_doc_init(&doc, &record) == OK) {
        if (query_matches(&s->query, &doc))
            add_found(s, a, name, true);
        query_doc_release(&doc);
    }
    record_release(&record);
}

static void take_response(struct node *n, struct ask *a,
                          const struct search_response *r)
{
    struct search *s = a->search;

    s->responded++;
    trace_number(a->trace, TRACE_RESULTS, r->count);
    LIST_FOR_EACH(entry, &s->waiting) {
        struct pending *p = LIST_ENTRY(entry, struct pending, of_owner);

        p->request->total += r->total;
        p->request->truncated |= r->is_truncated;
    }
    peer_learn(n, &a->peer, REPUTATION_SEARCH_ANSWERED, n->now - a->sent_at);
    if (r->has_location &&
        reputation_place(n->reputation, &a->peer, r->latitude, r->longitude,
                         REPUTATION_PLACE_TOLD, n->wall) != OK)
        log_debug(n->log, "search", "a peer told a place that is none");
    for (size_t i = 0; i < r->count; i++)
        take_hit(n, s, a, &r->hits[i]);
}

void find_answered(struct node *n, struct ask *a, struct span msg)
{
    struct search_response *r = mem_new(n->mem, sizeof(*r));
    struct search *s = a->search;
    struct peer *p = peer_find(n, &a->peer);

    a->rpc = NULL;
    if (search_response_decode(msg, r, n->mem) != OK) {
        peer_learn(n, &a->peer, REPUTATION_FRAMING, REPUTATION_NO_SAMPLE);
        mem_free(n->mem, r);
        find_failed(n, a, ERR_PROTO);
        return;
    }
    if (r->is_busy) {
        if (p != NULL)
            p->search_not_before = n->now + r->retry_ms * MILLISECONDS;
        s->is_held = true;
        peer_learn(n, &a->peer, REPUTATION_SEARCH_BUSY, REPUTATION_NO_SAMPLE);
        traced_end(n, &a->trace, ERR_BUSY);
    } else {
        take_response(n, a, r);
    }
    mem_free(n->mem, r);
    ask_free(n, a);
    go_on(n, s);
}

/* ---- Serving. ---- */

static enum err respond(struct node *n, struct flow *f,
                        struct search_response *r)
{
    struct buf msg, framed;
    enum err err;

    r->rate_per_minute = search_pace_rate(n->pace_in);
    r->has_location = n->config.has_location;
    r->latitude = n->config.latitude;
    r->longitude = n->config.longitude;
    buf_init(&msg, SEARCH_RESPONSE_MAX, n->mem);
    buf_init(&framed, SEARCH_RESPONSE_MAX + UVARINT_MAX, n->mem);
    err = search_response_encode(r, &msg);
    if (err == OK)
        err = delim_put(&framed, buf_span(&msg));
    if (err == OK)
        err = flow_write(n, f, buf_span(&framed));
    buf_release(&msg);
    buf_release(&framed);
    if (err == OK)
        flow_finish(n, f);
    return err;
}

static enum err respond_busy(struct node *n, struct flow *f, uint32_t retry_ms)
{
    struct search_response *r = mem_new(n->mem, sizeof(*r));
    enum err err;

    r->is_busy = true;
    r->retry_ms = retry_ms;
    err = respond(n, f, r);
    mem_free(n->mem, r);
    return err;
}

static enum err serve(struct node *n, struct flow *f,
                      const struct search_request *r)
{
    struct served *served = mem_try_zero(n->mem, sizeof(*served));
    struct action *a;

    if (served == NULL)
        return ERR_NOMEM;
    served->query = ++n->last_query;
    served->flow = f;
    f->u.served = served;
    MAP_ADD(n->served, &served->query, sizeof(served->query), served);

    a = action_push(n, NODE_CATALOGUE_SEARCH);
    a->name = mem_new(n->mem, sizeof(r->query));
    memcpy(a->name, r->query, sizeof(r->query));
    a->filter = r->filter;
    a->act.query = served->query;
    a->act.search.text = a->name;
    a->act.search.filter = &a->filter;
    a->act.search.limit = r->limit;
    a->act.search.deadline = n->now + r->deadline_ms * MILLISECONDS;
    return OK;
}

enum err find_serve(struct node *n, struct flow *f, struct span data)
{
    struct search_request request;
    struct span msg;
    uint32_t wait;
    bool whole;

    if (f->is_over)
        return ERR_PROTO; /* one request a stream */
    TRY(delim_recv(&f->in, &data, &msg, &whole));
    if (!whole)
        return OK;
    f->is_over = true;
    TRY(search_request_decode(msg, &request, n->mem));
    wait = search_pace_take(n->pace_in, &flow_peer(f)->id, n->now);
    if (wait > 0)
        return respond_busy(n, f, wait);
    if (MAP_COUNT(n->served) >= SEARCHES_SERVED_MAX) {
        n->count.searches_refused++;
        return respond_busy(n, f, 100);
    }
    return serve(n, f, &request);
}

void find_flow_gone(struct node *n, struct flow *f)
{
    struct served *served = f->u.served;

    if (served == NULL)
        return;
    MAP_DEL(n->served, served);
    mem_free(n->mem, served);
    f->u.served = NULL;
}

void node_catalogue_found(struct node *n, uint32_t query, enum err err,
                          const struct catalogue_hit *hits, size_t count,
                          uint64_t total, tstamp now)
{
    struct search_response *r;
    struct served *served;
    struct flow *f;

    if (now > n->now)
        n->now = now;
    MAP_FIND(n->served, &query, sizeof(query), served);
    if (served == NULL)
        return; /* the asker has left */
    f = served->flow;
    find_flow_gone(n, f);
    if (err != OK) {
        if (respond_busy(n, f, 1000) != OK)
            flow_reset(n, f);
        node_settle(n);
        return;
    }
    r = mem_new(n->mem, sizeof(*r));
    r->count = count < SEARCH_RESULTS_MAX ? count : SEARCH_RESULTS_MAX;
    r->total = total;
    r->is_truncated = total > r->count;
    for (size_t i = 0; i < r->count; i++)
        r->hits[i] = (struct search_hit){hits[i].record, hits[i].score};
    if (respond(n, f, r) != OK)
        flow_reset(n, f);
    mem_free(n->mem, r);
    node_settle(n);
}
