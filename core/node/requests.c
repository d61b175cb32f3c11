/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* The gateway's requests: each ends exactly once, by its deadline. */

/* An outage shows in the log by one line a second, however many ask. */
static void tell_incomplete(struct node *n, const struct request *r)
{
    bool is_search = r->type == REQUEST_SEARCH;

    if ((r->type != REQUEST_GET && !is_search) || r->lookup.complete ||
        r->lookup.reason == NULL || r->err == ERR_CANCELLED)
        return;
    n->incomplete_count++;
    if (n->now < n->incomplete_at)
        return;
    log_info(n->log, "node",
             "incomplete op=%s reason=%s asked=%u answered=%u count=%u",
             is_search ? "search" : "get", r->lookup.reason,
             r->lookup.peers_queried, r->lookup.peers_responded,
             n->incomplete_count);
    n->incomplete_count = 0;
    n->incomplete_at = n->now + INCOMPLETE_TOLD_EVERY;
}

void request_answer(struct node *n, struct pending *p, enum err err,
                    const char *detail)
{
    struct request *r = p->request;
    struct action *a = action_push(n, NODE_ANSWER);

    if (p->get != NULL)
        get_leave(n, p);
    if (p->connect != NULL) {
        list_remove(&p->of_owner);
        peer_unhold(n, p->connect);
    }
    r->err = err;
    r->node_state = NULL;
    r->lookup.elapsed = n->now - p->started_at;
    tell_incomplete(n, r);
    if (detail != NULL)
        (void)snprintf(r->detail, sizeof(r->detail), "%s", detail);
    a->act.request = r;
    heap_remove(&n->timers, &p->timer.node);
    list_remove(&p->of_owner);
    list_remove(&p->of_node);
    n->request_count--;
    mem_free(n->mem, p);
}

static void end_early(struct node *n, struct pending *p, enum err err,
                      const char *reason)
{
    struct lookup_report *lookup = &p->request->lookup;

    lookup->complete = false;
    lookup->reason = reason;
    switch (p->request->type) {
    case REQUEST_SEARCH:
        find_leave(n, p, err, reason);
        return;
    case REQUEST_GET:
        request_answer(n, p, err == OK ? ERR_LOOKUP_INCOMPLETE : err, NULL);
        return;
    case REQUEST_CONNECT:
        request_answer(n, p, err == OK ? ERR_DIAL_FAILED : err,
                       "the peer did not answer in time");
        return;
    case REQUEST_ANNOUNCE: /* acked so far is the answer */
    case REQUEST_PEERS:
    case REQUEST_PEER:
    case REQUEST_DISCONNECT:
        request_answer(n, p, err, NULL);
        return;
    }
}

void request_timer(struct node *n, struct pending *p)
{
    end_early(n, p, OK, "deadline");
}

void node_cancel(struct node *n, struct request *r, tstamp now)
{
    if (now > n->now)
        n->now = now;
    if (r->node_state != NULL)
        end_early(n, r->node_state, ERR_CANCELLED, "cancelled");
    node_settle(n);
}

void requests_release(struct node *n)
{
    while (!list_is_empty(&n->requests))
        end_early(n, LIST_ENTRY(n->requests.next, struct pending, of_node),
                  ERR_DRAINING, "draining");
}

/* ---- Peers. ---- */

static void view_score(const struct node *n, const struct peer_id *id,
                       struct peer_info *info)
{
    struct reputation_view v;
    struct gossip_score gossip;

    (void)reputation_look(n->reputation, id, n->wall, &v);
    info->score = v.score;
    info->has_gossip_score = gossip_peer_score(n->gossip, id, &gossip);
    info->gossip_score = gossip.score;
    info->last_seen = v.last_seen;
    info->banned_until = v.banned_until > n->wall ? v.banned_until : 0;
    info->success = v.success;
    info->response = v.response;
    info->packages = v.packages;
    info->recency = v.recency;
    info->location = v.location;
    info->successes = (uint64_t)(v.successes + 0.5);
    info->failures = (uint64_t)(v.failures + 0.5);
    info->packages_provided = v.packages_provided;
    for (size_t i = 0; i < v.note_count && i < REQUEST_REASONS_MAX; i++) {
        struct reputation_reason *reason = &info->reasons[info->reason_count++];

        reason->at = v.notes[i].at;
        (void)snprintf(reason->text, sizeof(reason->text), "%s",
                       reputation_outcome_name(v.notes[i].outcome));
    }
}

static char *libc_copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static void describe(const struct node *n, const struct peer_id *id,
                     struct peer_info *info)
{
    const struct peer *p = peer_find(n, id);
    const struct link *l = p != NULL ? peer_link(p) : NULL;

    info->id = *id;
    info->latency_ms = -1;
    view_score(n, id, info);
    info->state = info->banned_until != 0 ? PEER_BANNED
                  : l != NULL             ? PEER_CONNECTED
                                          : PEER_KNOWN;
    if (p == NULL)
        return;
    info->latency_ms = p->latency_ms;
    info->addr_count = p->addr_count;
    for (size_t i = 0; i < p->addr_count; i++)
        info->addrs[i] = p->addrs[i];
    if (p->agent != NULL)
        (void)snprintf(info->agent, sizeof(info->agent), "%s", p->agent);
    info->protocols = libc_copy(p->protocols);
    if (l == NULL)
        return;
    info->is_outbound = l->is_outbound;
    if (info->latency_ms < 0) {
        struct conn_stats stats;

        conn_stats(l->conn, &stats);
        if (stats.rtt > 0)
            info->latency_ms = (double)stats.rtt / (double)MILLISECONDS;
    }
    if (info->addr_count == 0)
        info->addrs[info->addr_count++] = l->addr;
}

static void list_peers(struct node *n, struct pending *p)
{
    const struct request_peers *in = &p->request->in.peers;
    const struct peer_id *id = NULL;
    struct peer *known, *tmp;

    MAP_FOR_EACH(n->peers, known, tmp) {
        bool is_connected = !list_is_empty(&known->links);
        bool is_banned =
            reputation_is_banned(n->reputation, &known->id, n->wall);
        struct peer_info *info;

        /* known: all but the banned, connected ones among them */
        if (is_banned || (in->state == PEER_CONNECTED && !is_connected) ||
            in->state == PEER_BANNED)
            continue;
        info = request_add_peer(p->request);
        if (info != NULL)
            describe(n, &known->id, info);
    }
    while (in->state == PEER_BANNED &&
           (id = reputation_next(n->reputation, id)) != NULL) {
        struct peer_info *info;

        if (!reputation_is_banned(n->reputation, id, n->wall))
            continue;
        info = request_add_peer(p->request);
        if (info != NULL)
            describe(n, id, info);
    }
    request_answer(n, p, OK, NULL);
}

static void one_peer(struct node *n, struct pending *p)
{
    const struct peer_id *id = &p->request->in.peers.peer;
    struct reputation_view view;
    struct peer_info *info;

    if (peer_find(n, id) == NULL &&
        !reputation_look(n->reputation, id, n->wall, &view)) {
        request_answer(n, p, ERR_NOT_FOUND, "no such peer is known");
        return;
    }
    info = request_add_peer(p->request);
    if (info != NULL)
        describe(n, id, info);
    request_answer(n, p, info != NULL ? OK : ERR_NOMEM, NULL);
}

void connects_done(struct node *n, struct peer *p, enum err err,
                   const char *detail)
{
    while (!list_is_empty(&p->connects)) {
        struct pending *w =
            LIST_ENTRY(p->connects.next, struct pending, of_owner);
        struct peer_info *info;

        if (err == OK) {
            info = request_add_peer(w->request);
            if (info != NULL)
                describe(n, &p->id, info);
        }
        request_answer(n, w, err, detail);
    }
}

static bool is_connected_over(const struct peer *p, const struct multiaddr *a)
{
    struct multiaddr bare = *a;

    multiaddr_strip_peer(&bare);
    for (struct list *e = p->links.next; e != &p->links; e = e->next)
        if (multiaddr_eq(&LIST_ENTRY(e, struct link, of_peer)->addr, &bare))
            return true;
    return false;
}

static void connect_peer(struct node *n, struct pending *p)
{
    const struct multiaddr *addr = &p->request->in.peers.addr;
    struct peer_id id;
    struct peer *peer;
    enum err err;

    if (!multiaddr_peer(addr, &id) || !dial_may_use(n, addr, true)) {
        request_answer(n, p, ERR_INVAL,
                       "the address must be /ip…|dns…/tcp/PORT/p2p/ID");
        return;
    }
    if (peer_id_eq(&id, &n->self)) {
        request_answer(n, p, ERR_INVAL, "that is this node itself");
        return;
    }
    peer = peer_get(n, &id);
    if (peer == NULL) {
        request_answer(n, p, ERR_LIMIT, "too many peers");
        return;
    }
    p->request->was_connected = peer_link(peer) != NULL;
    p->connect = peer;
    list_push_back(&peer->connects, &p->of_owner);
    if (peer->is_identified &&
        (is_connected_over(peer, addr) || peer_link(peer) != NULL)) {
        connects_done(n, peer, OK, NULL);
        return;
    }
    peer_add_addr(n, peer, addr, true);
    err = peer_link(peer) == NULL ? dial_start(n, peer, true) : OK;
    peer_unhold(n, peer);
    if (err != OK)
        connects_done(n, peer, err,
                      n->config.is_standalone ? "the node is standalone"
                                              : err_text(err));
}

static void disconnect_peer(struct node *n, struct pending *p)
{
    const struct request_peers *in = &p->request->in.peers;
    struct peer *peer = peer_find(n, &in->peer);
    char text[PEER_ID_TEXT_MAX];
    enum err err = OK;

    if (in->ban) {
        err = reputation_ban(
            n->reputation, &in->peer,
            in->ban_ms > 0 ? n->wall + in->ban_ms : WALL_MS_FOREVER, n->wall);
        kad_peer_forget(n->kad, &in->peer, n->now);
        log_info(n->log, "node", "peer banned peer=%s reason=operator",
                 peer_id_format(&in->peer, text));
    } else if (peer == NULL) {
        err = ERR_NOT_FOUND;
    }
    if (peer != NULL)
        LIST_FOR_EACH(entry, &peer->links)
            link_close(n, LIST_ENTRY(entry, struct link, of_peer));
    request_answer(n, p, err, NULL);
}

/* ---- In. ---- */

static void begin(struct node *n, struct pending *p)
{
    switch (p->request->type) {
    case REQUEST_GET:
        get_start(n, p);
        break;
    case REQUEST_SEARCH:
        find_start(n, p);
        break;
    case REQUEST_ANNOUNCE:
        announce_start(n, p);
        break;
    case REQUEST_PEERS:
        list_peers(n, p);
        break;
    case REQUEST_PEER:
        one_peer(n, p);
        break;
    case REQUEST_CONNECT:
        connect_peer(n, p);
        break;
    case REQUEST_DISCONNECT:
        disconnect_peer(n, p);
        break;
    }
}

static void refuse(struct node *n, struct request *r, enum err err)
{
    n->count.requests_refused++;
    r->err = err;
    action_push(n, NODE_ANSWER)->act.request = r;
}

void node_request(struct node *n, struct request *r, tstamp now, wall_ms wall)
{
    struct pending *p;

    if (now > n->now)
        n->now = now;
    n->wall = wall;
    n->count.events++;
    if (n->request_count >= REQUESTS_MAX) {
        refuse(n, r, ERR_BUSY);
        return;
    }
    p = mem_try_zero(n->mem, sizeof(*p));
    if (p == NULL) {
        refuse(n, r, ERR_NOMEM);
        return;
    }
    p->timer.type = TIMER_REQUEST;
    p->request = r;
    p->started_at = n->now;
    r->node_state = p;
    list_init(&p->of_owner);
    list_push_back(&n->requests, &p->of_node);
    n->request_count++;
    node_timer_set(n, &p->timer, r->deadline);
    begin(n, p);
    node_settle(n);
}
