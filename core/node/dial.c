/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Dialling: the addresses of a peer one after the other, the next begun when
 * the one before fails or is slow, names resolved on the way. */

bool dial_may_use(const struct node *n, const struct multiaddr *a,
                  bool is_operators)
{
    struct endpoint e;

    if (!multiaddr_endpoint(a, &e))
        return false;
    switch (multiaddr_scope(a)) {
    case MULTIADDR_UNREACHABLE:
        return false;
    case MULTIADDR_LOOPBACK:
    case MULTIADDR_PRIVATE:
        return is_operators || n->config.is_private_network;
    case MULTIADDR_NAMED:
    case MULTIADDR_GLOBAL:
        break;
    }
    return true;
}

static void add_candidate(struct dial *d, const struct multiaddr *a,
                          uint8_t depth)
{
    for (size_t i = 0; i < d->addr_count; i++)
        if (multiaddr_eq(&d->addrs[i], a))
            return;
    if (d->addr_count == DIAL_ADDRS_MAX)
        return;
    d->depth[d->addr_count] = depth;
    d->addrs[d->addr_count++] = *a;
}

void dial_free(struct node *n, struct dial *d)
{
    struct resolve *r, *tmp;

    MAP_FOR_EACH(n->resolves, r, tmp) {
        if (!peer_id_eq(&r->peer, &d->peer->id))
            continue;
        MAP_DEL(n->resolves, r);
        mem_free(n->mem, r);
    }
    heap_remove(&n->timers, &d->timer.node);
    d->peer->dial = NULL;
    n->dialling_count--;
    traced_drop(n, &d->trace);
    mem_free(n->mem, d);
}

/* Sockets that still connect for |d| are of no use any more, and |why|. */
static void drop_links(struct node *n, struct dial *d, enum err why)
{
    struct link *l, *tmp;

    MAP_FOR_EACH(n->links, l, tmp)
        if (l->is_outbound && !l->is_upgraded &&
            peer_id_eq(&l->expected, &d->peer->id)) {
            traced_end(n, &l->trace, why);
            link_gone(n, l, ERR_CANCELLED);
        }
}

/* Nobody is reached: tell those who wait for it. */
static void dial_end(struct node *n, struct peer *p, enum err why)
{
    connects_done(n, p, ERR_DIAL_FAILED, err_text(why));
    rpcs_unreachable(n, p, ERR_DIAL_FAILED);
    peer_unhold(n, p);
}

static void dial_fail(struct node *n, struct dial *d)
{
    struct peer *p = d->peer;
    enum err err = d->last != OK ? d->last : ERR_DIAL_FAILED;
    duration wait = DIAL_BACKOFF_MIN;
    char text[PEER_ID_TEXT_MAX];

    d->in_flight = 0;
    traced_end(n, &d->trace, err);
    dial_free(n, d);
    for (unsigned i = 0; i < p->dial_failures && wait < DIAL_BACKOFF_MAX; i++)
        wait *= 2;
    p->dial_failures++;
    p->dial_not_before =
        n->now + (wait < DIAL_BACKOFF_MAX ? wait : DIAL_BACKOFF_MAX);
    n->count.dials_failed++;
    log_info(n->log, "node", "dial failed peer=%s reason=\"%s\"",
             peer_id_format(&p->id, text), err_text(err));
    if (err != ERR_LIMIT) /* that is ours */
        peer_learn(n, &p->id, REPUTATION_DIAL_FAILED, REPUTATION_NO_SAMPLE);
    dial_end(n, p, err);
}

static struct dial *any_dial(const struct node *n)
{
    struct peer *p, *tmp;

    MAP_FOR_EACH(n->peers, p, tmp)
        if (p->dial != NULL)
            return p->dial;
    return NULL;
}

void dials_stop(struct node *n)
{
    struct dial *d;

    while (n->dialling_count > 0 && (d = any_dial(n)) != NULL) {
        struct peer *p = d->peer;

        drop_links(n, d, ERR_CANCELLED);
        traced_end(n, &d->trace, ERR_CANCELLED);
        dial_free(n, d);
        dial_end(n, p, ERR_DRAINING);
    }
}

static void ask_name(struct node *n, struct dial *d, const struct endpoint *e,
                     uint8_t depth)
{
    static const enum resolve_kind kinds[] = {
        [ENDPOINT_DNS] = RESOLVE_IP,
        [ENDPOINT_DNS4] = RESOLVE_IP4,
        [ENDPOINT_DNS6] = RESOLVE_IP6,
        [ENDPOINT_DNSADDR] = RESOLVE_TXT,
    };
    static const char prefix[] = "_dnsaddr.";
    struct resolve *r = mem_try_zero(n->mem, sizeof(*r));
    struct action *a;
    size_t len = sizeof(prefix) + strlen(e->name);

    if (r == NULL)
        return;
    r->id = ++n->last_query;
    r->peer = d->peer->id;
    r->port = e->port;
    r->depth = depth;
    MAP_ADD(n->resolves, &r->id, sizeof(r->id), r);
    d->resolving++;

    a = action_push(n, NODE_RESOLVE);
    a->name = mem_new(n->mem, len);
    (void)snprintf(a->name, len, "%s%s",
                   e->kind == ENDPOINT_DNSADDR ? prefix : "", e->name);
    a->act.query = r->id;
    a->act.resolve.kind = kinds[e->kind];
    a->act.resolve.name = a->name;
}

static void connect_to(struct node *n, struct dial *d,
                       const struct multiaddr *addr)
{
    struct action *a;
    struct link *l;

    if (MAP_COUNT(n->links) >= n->config.conns_max) {
        n->count.conns_refused++;
        d->last = ERR_LIMIT;
        return;
    }
    l = link_new(n, addr, true);
    if (l == NULL)
        return;
    l->expected = d->peer->id;
    d->in_flight++;
    a = action_push(n, NODE_DIAL);
    a->addr = *addr;
    multiaddr_strip_peer(&a->addr);
    a->act.conn = l->id;
    a->act.addr = &a->addr;
}

/* Begin the next address; when there is none left to wait for, give up. */
static void dial_next(struct node *n, struct dial *d)
{
    if (d->next < d->addr_count) {
        size_t i = d->next++;
        struct multiaddr addr = d->addrs[i];
        struct endpoint e;

        if (!multiaddr_endpoint(&addr, &e))
            d->last = ERR_INVAL;
        else if (e.kind == ENDPOINT_IP4 || e.kind == ENDPOINT_IP6)
            connect_to(n, d, &addr);
        else if (d->depth[i] < DIAL_RESOLVE_DEPTH_MAX)
            ask_name(n, d, &e, d->depth[i]);
    }
    if (d->in_flight == 0 && d->resolving == 0 && d->next == d->addr_count) {
        dial_fail(n, d);
        return;
    }
    node_timer_set(
        n, &d->timer,
        d->next < d->addr_count
            ? tstamp_min(n->now +
                             (d->in_flight + d->resolving ? DIAL_STAGGER : 0),
                         d->deadline)
            : d->deadline);
}

void dial_timer(struct node *n, struct dial *d)
{
    if (n->now < d->deadline) {
        dial_next(n, d);
        return;
    }
    d->last = ERR_TIMEOUT;
    drop_links(n, d, ERR_TIMEOUT);
    dial_fail(n, d);
}

/* What became known while it is under way; it gets its time. */
static void dial_extend(struct node *n, struct dial *d)
{
    size_t before = d->addr_count;

    for (size_t i = 0; i < d->peer->addr_count; i++)
        add_candidate(d, &d->peer->addrs[i], 0);
    if (d->addr_count == before)
        return;
    d->is_operators = true;
    d->deadline = n->now + DIAL_WITHIN;
    node_timer_set(n, &d->timer, n->now);
}

enum err dial_start(struct node *n, struct peer *p, bool is_impatient)
{
    struct dial *d;

    if (p->dial != NULL) {
        if (is_impatient)
            dial_extend(n, p->dial);
        return OK;
    }
    if (n->config.is_standalone || n->is_draining)
        return ERR_DIAL_FAILED;
    if (reputation_is_banned(n->reputation, &p->id, n->wall))
        return ERR_BANNED;
    if (p->addr_count == 0 || (!is_impatient && n->now < p->dial_not_before))
        return ERR_DIAL_FAILED;
    if (n->dialling_count >= LIMIT_DIALS_IN_FLIGHT) {
        n->count.dials_refused++;
        return ERR_LIMIT;
    }
    if (MAP_COUNT(n->links) >= n->config.conns_max) {
        n->count.conns_refused++;
        return ERR_LIMIT;
    }
    d = mem_try_zero(n->mem, sizeof(*d));
    if (d == NULL)
        return ERR_NOMEM;
    d->timer.type = TIMER_DIAL;
    d->peer = p;
    d->is_operators = is_impatient;
    d->started_at = n->now;
    d->deadline = n->now + DIAL_WITHIN;
    for (size_t i = 0; i < p->addr_count; i++)
        add_candidate(d, &p->addrs[i], 0);
    d->trace = traced_root(n, "conn.dial", TRACE_CLIENT);
    trace_peer(d->trace, peer_id_span(&p->id));
    p->dial = d;
    n->dialling_count++;
    list_remove(&p->idle);
    /* At once, but from the loop: a caller may not yet be ready to hear that
     * it failed. */
    node_timer_set(n, &d->timer, n->now);
    return OK;
}

void dial_link_failed(struct node *n, struct link *l, enum err err)
{
    struct peer *p = peer_find(n, &l->expected);

    if (p == NULL || p->dial == NULL || p->dial->in_flight == 0)
        return;
    p->dial->in_flight--;
    if (err != ERR_CANCELLED) {
        p->dial->last = err;
        node_timer_set(n, &p->dial->timer, n->now);
        if (p->dial->next == p->dial->addr_count && p->dial->in_flight == 0 &&
            p->dial->resolving == 0)
            dial_fail(n, p->dial);
    }
}

void dial_succeeded(struct node *n, struct peer *p)
{
    p->dial_failures = 0;
    p->dial_not_before = 0;
    if (p->dial == NULL)
        return;
    p->dial->in_flight = 0;
    drop_links(n, p->dial, ERR_CANCELLED);
    traced_end(n, &p->dial->trace, OK);
    dial_free(n, p->dial);
}

/* ---- Names. ---- */

static bool leads_to(const struct multiaddr *a, const struct peer_id *peer)
{
    struct peer_id told;

    return !multiaddr_peer(a, &told) || peer_id_eq(&told, peer);
}

/* A bare IP, as a name leads to one, with the port of the name. */
static bool give_port(struct multiaddr *a, uint16_t port)
{
    struct span rest = multiaddr_span(a);
    struct multiaddr_part part;
    uint8_t ip[16];
    size_t len;

    if (!multiaddr_next(&rest, &part) || rest.len > 0 ||
        (part.code != MULTIADDR_IP4 && part.code != MULTIADDR_IP6))
        return false;
    len = part.value.len;
    memcpy(ip, part.value.data, len);
    multiaddr_from_ip(a, SPAN(ip, len), port);
    return true;
}

void node_resolved(struct node *n, uint32_t query, enum err err,
                   const struct multiaddr *addrs, size_t count, tstamp now)
{
    struct resolve *r;
    struct peer *p;
    struct dial *d;

    if (now > n->now)
        n->now = now;
    n->count.names_failed += err != OK; /* also for who waits no more */
    MAP_FIND(n->resolves, &query, sizeof(query), r);
    if (r == NULL)
        return;
    MAP_DEL(n->resolves, r);
    p = peer_find(n, &r->peer);
    d = p != NULL ? p->dial : NULL;
    if (d == NULL) {
        mem_free(n->mem, r);
        return;
    }
    d->resolving--;
    if (err != OK)
        d->last = err;
    for (size_t i = 0; i < count; i++) {
        struct multiaddr a = addrs[i];

        if (r->port != 0 ? !give_port(&a, r->port) : !leads_to(&a, &p->id))
            continue;
        multiaddr_strip_peer(&a);
        if (dial_may_use(n, &a, d->is_operators))
            add_candidate(d, &a, (uint8_t)(r->depth + 1));
    }
    mem_free(n->mem, r);
    dial_next(n, d);
    node_settle(n);
}

/* ---- Bootstrap. ---- */

static void dial_known(struct node *n, struct peer *p, bool is_operators)
{
    if (p != NULL && list_is_empty(&p->links) &&
        dial_start(n, p, is_operators) == ERR_LIMIT)
        log_debug(n->log, "node", "bootstrap waits: too many dials");
}

/* Peers that a restart brought back, or that fell silent: the best few. */
static void dial_remembered(struct node *n)
{
    enum { LOOK_MAX = 64, BEST = 8 };
    struct peer_id ids[LOOK_MAX];
    size_t best[BEST], count = 0, k;

    for (struct list *e = n->idle_peers.prev;
         e != &n->idle_peers && count < LOOK_MAX; e = e->prev) {
        struct peer *p = LIST_ENTRY(e, struct peer, idle);

        if (p->addr_count > 0 && n->now >= p->dial_not_before)
            ids[count++] = p->id;
    }
    k = reputation_best(n->reputation, ids, count, BEST, n->wall, best);
    for (size_t i = 0; i < k; i++)
        dial_known(n, peer_find(n, &ids[best[i]]), false);
}

void bootstrap_dial(struct node *n)
{
    if (n->config.is_standalone || n->is_draining)
        return;
    for (size_t i = 0; i < n->config.bootstrap_count; i++) {
        struct peer_id id;
        struct peer *p;

        if (!multiaddr_peer(&n->bootstrap[i], &id) || peer_id_eq(&id, &n->self))
            continue;
        p = peer_get(n, &id);
        if (p == NULL)
            continue;
        if (list_is_empty(&p->links))
            peer_add_addr(n, p, &n->bootstrap[i], true);
        dial_known(n, p, true);
    }
    dial_remembered(n);
    if (n->links == NULL && n->dialling_count > 0)
        traced_bootstrap_begin(n);
}
