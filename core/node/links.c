/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Connections: from a socket to a peer, and what becomes of them. */

struct link *link_new(struct node *n, const struct multiaddr *addr,
                      bool is_outbound)
{
    struct link *l = mem_try_zero(n->mem, sizeof(*l));

    if (l == NULL)
        return NULL;
    l->timer.type = TIMER_LINK;
    l->id = ++n->last_conn;
    l->addr = *addr;
    l->is_outbound = is_outbound;
    l->must_close = true;
    l->opened_at = n->now;
    l->duplicate_since = TSTAMP_NEVER;
    list_init(&l->flows);
    list_init(&l->of_peer);
    list_init(&l->of_flush);
    list_init(&l->of_gone);
    budget_init(&l->partial, LINK_PARTIAL_MAX, &n->partial.mem);
    MAP_ADD(n->links, &l->id, sizeof(l->id), l);
    n->outbound_count += is_outbound;
    return l;
}

static void upgrade_begin(struct node *n, struct link *l)
{
    const struct peer *p = peer_find(n, &l->expected);

    if (p == NULL || p->dial == NULL)
        return;
    l->trace = traced_under(n, p->dial->trace, "conn.upgrade", TRACE_INTERNAL);
    trace_peer(l->trace, peer_id_span(&l->expected));
}

void link_open(struct node *n, struct link *l)
{
    struct conn_config config = {
        .is_dialer = l->is_outbound,
        .identity = &n->identity,
        .static_key = &n->noise_key,
        .expected = l->is_outbound ? &l->expected : NULL,
        .protocols = n->protocols,
        .protocols_count = n->protocol_count,
    };

    l->conn = conn_new(&config, n->now, &n->rng, n->mem, n->log);
    l->opened_at = n->now;
    if (l->is_outbound)
        upgrade_begin(n, l);
    link_touch(n, l);
}

/* Keep the sum over all connections. */
static void count_unsent(struct node *n, struct link *l)
{
    size_t now = l->conn != NULL && !l->is_gone ? conn_unsent(l->conn) : 0;

    n->unsent = n->unsent - l->unsent + now;
    l->unsent = now;
}

void link_touch(struct node *n, struct link *l)
{
    if (l->conn == NULL || l->is_gone)
        return;
    count_unsent(n, l);
    if (list_is_empty(&l->of_flush))
        list_push_back(&n->flush, &l->of_flush);
    node_timer_set(n, &l->timer, conn_deadline(l->conn));
}

void link_free(struct node *n, struct link *l)
{
    heap_remove(&n->timers, &l->timer.node);
    list_remove(&l->of_flush);
    list_remove(&l->of_gone);
    n->count.partial_refused += l->partial.refused;
    budget_release(&l->partial);
    conn_free(l->conn);
    traced_drop(n, &l->trace);
    mem_free(n->mem, l);
}

/* ---- Two connections of one peer. ---- */

/* Both sides keep the one that the smaller id dialled, so both keep the same.
 * The other is closed once it is idle, by the side with the smaller id.  The
 * libraries of others close none, so the larger does it when the smaller has
 * long had the time to; but of two that one side dialled the other may keep
 * another one than we do. */
static bool is_smaller(const struct node *n, const struct link *l)
{
    return span_cmp(peer_id_span(&n->self), peer_id_span(&l->peer->id)) < 0;
}

static bool is_kept_over(const struct node *n, const struct link *a,
                         const struct link *b)
{
    if (a->is_outbound != b->is_outbound)
        return a->is_outbound == is_smaller(n, a);
    return a->id < b->id;
}

static void choose_link(struct node *n, struct peer *p)
{
    struct link *best = peer_link(p);

    LIST_FOR_EACH(entry, &p->links) {
        struct link *l = LIST_ENTRY(entry, struct link, of_peer);

        if (l != best && !l->is_closing && is_kept_over(n, l, best))
            best = l;
    }
    if (best == NULL)
        return;
    list_remove(&best->of_peer);
    list_push_front(&p->links, &best->of_peer);
    LIST_FOR_EACH(entry, &p->links) {
        struct link *l = LIST_ENTRY(entry, struct link, of_peer);

        if (l == best)
            l->duplicate_since = TSTAMP_NEVER;
        else if (l->duplicate_since == TSTAMP_NEVER)
            l->duplicate_since = n->now;
    }
}

/* ---- Up and down. ---- */

static void log_link(struct node *n, const struct link *l, const char *what,
                     enum err why)
{
    char peer[PEER_ID_TEXT_MAX], addr[MULTIADDR_TEXT_MAX];

    log_info(n->log, "node", "%s peer=%s addr=%s direction=%s%s%s%s", what,
             peer_id_format(&l->peer->id, peer),
             multiaddr_format(&l->addr, addr), l->is_outbound ? "out" : "in",
             why ? " reason=\"" : "", why ? err_text(why) : "",
             why ? "\"" : "");
}

static void link_up(struct node *n, struct link *l)
{
    const struct peer_id *id = conn_peer(l->conn);
    struct peer *p;

    if (peer_id_eq(id, &n->self) ||
        reputation_is_banned(n->reputation, id, n->wall)) {
        link_close(n, l);
        return;
    }
    p = peer_get(n, id);
    if (p == NULL) {
        link_close(n, l);
        return;
    }
    l->is_upgraded = true;
    traced_end(n, &l->trace, OK);
    l->peer = p;
    list_push_back(&p->links, &l->of_peer);
    list_remove(&p->idle);
    log_link(n, l, "peer connected", OK);
    if (l->is_outbound)
        peer_add_addr(n, p, &l->addr, true);
    choose_link(n, p);
    if (l->is_outbound || p->dial != NULL)
        dial_succeeded(n, p);
    peer_learn(n, id, l->is_outbound ? REPUTATION_DIALLED : REPUTATION_ACCEPTED,
               REPUTATION_NO_SAMPLE);
    if (l->is_gone)
        return;
    who_link_up(n, l);
    rpcs_connected(n, p);
}

/* The last connection of |p| is gone. */
static void peer_down(struct node *n, struct peer *p)
{
    if (p->in_gossip)
        gossip_peer_gone(n->gossip, &p->id, n->now);
    p->in_gossip = false;
    p->gossip_opens = 0;
    p->gossip_unheard_since = TSTAMP_NEVER;
    p->is_identified = false;
    buf_clear(&p->control);
    buf_shrink(&p->control);
    kad_peer_disconnected(n->kad, &p->id, n->now);
    if (n->links == NULL && !n->is_draining)
        log_warn(n->log, "node", "no peer is connected");
    connects_done(n, p, ERR_CLOSED, "the peer closed the connection");
    /* The connection may have died under questions that another may carry. */
    if (p->waiting_count > 0 && dial_start(n, p, false) != OK)
        rpcs_unreachable(n, p, ERR_CLOSED);
    peer_unhold(n, p);
}

static void count_streams(struct node *n, const struct link *l)
{
    struct conn_stats s;

    if (l->conn == NULL)
        return;
    conn_stats(l->conn, &s);
    n->count.streams_refused += s.streams_refused;
}

void link_gone(struct node *n, struct link *l, enum err err)
{
    struct peer *p = l->peer;

    if (l->is_gone)
        return;
    l->is_gone = true;
    count_unsent(n, l);
    count_streams(n, l);
    traced_end(n, &l->trace, err == OK ? ERR_CLOSED : err);
    heap_remove(&n->timers, &l->timer.node);
    list_remove(&l->of_peer); /* nothing is to be sent over it again */
    while (!list_is_empty(&l->flows))
        flow_gone(n, LIST_ENTRY(l->flows.next, struct flow, of_link),
                  ERR_CLOSED);
    MAP_DEL(n->links, l);
    n->outbound_count -= l->is_outbound;
    list_push_back(&n->gone, &l->of_gone);
    if (p != NULL) {
        log_link(n, l, "peer disconnected", err);
        l->peer = NULL;
        if (list_is_empty(&p->links))
            peer_down(n, p);
        else
            choose_link(n, p);
    } else if (l->is_outbound) {
        dial_link_failed(n, l, err);
    }
    if (l->conn != NULL && l->must_close && conn_out(l->conn).len > 0 &&
        list_is_empty(&l->of_flush))
        list_push_back(&n->flush, &l->of_flush);
}

void link_close(struct node *n, struct link *l)
{
    if (l->is_gone)
        return;
    if (l->conn == NULL || !l->is_upgraded) {
        link_gone(n, l, ERR_CANCELLED);
        return;
    }
    l->is_closing = true;
    conn_close(l->conn, n->now);
    link_touch(n, l);
}

/* ---- Events. ---- */

static void on_closed(struct node *n, struct link *l, enum err err)
{
    struct peer_id id;

    /* Framing that is broken before the handshake is nobody's we know. */
    if (l->peer != NULL && (err == ERR_PROTO || err == ERR_FRAME_SIZE ||
                            err == ERR_FLOW_CONTROL || err == ERR_CRYPTO)) {
        id = l->peer->id;
        link_gone(n, l, err);
        peer_learn(n, &id, REPUTATION_FRAMING, REPUTATION_NO_SAMPLE);
        return;
    }
    link_gone(n, l, err == OK ? ERR_CLOSED : err);
}

static void link_event(struct node *n, struct link *l,
                       const struct conn_event *ev)
{
    struct flow *f = ev->user;

    n->count.events++;
    switch (ev->type) {
    case CONN_EV_NONE:
        break;
    case CONN_EV_UPGRADED:
        link_up(n, l);
        break;
    case CONN_EV_STREAM_INBOUND:
        flow_inbound(n, l, ev->stream, (enum proto)ev->protocol);
        break;
    case CONN_EV_STREAM_READY:
        if (f != NULL)
            flow_ready(n, f, ev->protocol);
        break;
    case CONN_EV_STREAM_DATA:
        conn_stream_consumed(l->conn, ev->stream, ev->data.len, n->now);
        if (f != NULL)
            flow_data(n, f, ev->data);
        break;
    case CONN_EV_STREAM_FIN:
        if (f != NULL)
            flow_fin(n, f);
        break;
    case CONN_EV_STREAM_WRITABLE:
        if (f != NULL)
            flow_writable(n, f);
        break;
    case CONN_EV_STREAM_RESET:
        l->is_closing |= ev->err == ERR_CLOSED; /* it goes, and so will all */
        if (f != NULL)
            flow_gone(n, f, ev->err);
        break;
    case CONN_EV_STREAM_ENDED:
        if (f != NULL)
            flow_gone(n, f, OK);
        break;
    case CONN_EV_GO_AWAY:
        link_close(n, l);
        break;
    case CONN_EV_CLOSED:
        on_closed(n, l, ev->err);
        break;
    }
}

void link_drain(struct node *n, struct link *l)
{
    struct conn_event ev;

    while (!l->is_gone && conn_poll(l->conn, &ev))
        link_event(n, l, &ev);
    link_touch(n, l);
}

/* ---- Upkeep. ---- */

bool link_may_be_idle(const struct link *l)
{
    LIST_FOR_EACH(entry, &l->flows) {
        const struct flow *f = LIST_ENTRY(entry, struct flow, of_link);

        switch (f->type) {
        case FLOW_GOSSIP_IN:
        case FLOW_GOSSIP_OUT:
        case FLOW_PING_IN:
            break;
        case FLOW_KAD_OUT:
            if (f->u.rpc != NULL)
                return false;
            break;
        case FLOW_KAD_IN:
            break;
        case FLOW_IDENTIFY_IN:
        case FLOW_IDENTIFY_OUT:
        case FLOW_PUSH_IN:
        case FLOW_PUSH_OUT:
        case FLOW_PING_OUT:
        case FLOW_SEARCH_IN:
        case FLOW_SEARCH_OUT:
        case FLOW_TYPE_COUNT:
            return false;
        }
    }
    return true;
}

static bool is_surplus(const struct node *n, const struct link *l)
{
    const struct link *kept = peer_link(l->peer);
    duration grace = DUPLICATE_GRACE;

    if (l->duplicate_since == TSTAMP_NEVER || l == kept)
        return false;
    if (!is_smaller(n, l)) {
        if (kept == NULL || kept->is_outbound == l->is_outbound)
            return false;
        grace = DUPLICATE_GRACE_LARGER;
    }
    return n->now >= l->duplicate_since + grace &&
           n->now >= l->asked_at + DUPLICATE_QUIET && link_may_be_idle(l);
}

static struct link *least_worth(struct node *n)
{
    struct span topic = span_str(n->network->topic);
    struct link *l, *tmp, *worst = NULL;
    double least = 2;

    MAP_FOR_EACH(n->links, l, tmp) {
        double score;

        if (l->peer == NULL || l->is_closing ||
            n->now < l->opened_at + TRIM_GRACE ||
            gossip_is_in_mesh(n->gossip, topic, &l->peer->id) ||
            !link_may_be_idle(l))
            continue;
        score = reputation_score(n->reputation, &l->peer->id, n->wall);
        if (score < least) {
            least = score;
            worst = l;
        }
    }
    return worst;
}

void links_upkeep(struct node *n)
{
    struct link *l, *tmp;
    size_t count = 0;

    MAP_FOR_EACH(n->links, l, tmp) {
        struct peer *p = l->peer;

        count += !l->is_closing;
        if (p == NULL || l->is_closing)
            continue;
        if (is_surplus(n, l)) {
            link_close(n, l);
            count--;
            continue;
        }
        who_upkeep(n, l);
        if (p->speaks_ping && n->now >= p->ping_at && l == peer_link(p))
            who_ping(n, p);
    }
    for (; count > n->config.conns_trim; count--) {
        l = least_worth(n);
        if (l == NULL)
            break;
        log_info(n->log, "node", "connection trimmed count=%zu", count);
        n->count.conns_trimmed++;
        link_close(n, l);
    }
}
