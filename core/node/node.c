/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

static void at(struct node *n, tstamp now)
{
    if (now > n->now) {
        n->wall += (wall_ms)((now - n->now) / MILLISECONDS);
        n->now = now;
    }
    n->count.events++;
}

static void at_wall(struct node *n, tstamp now, wall_ms wall)
{
    at(n, now);
    n->wall = wall;
}

/* ---- Making and unmaking. ---- */

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value ? value : otherwise;
}

static void protocols_init(struct node *n)
{
    n->protocols[PROTO_MESHSUB_12] = "/meshsub/1.2.0";
    n->protocols[PROTO_MESHSUB_11] = "/meshsub/1.1.0";
    n->protocols[PROTO_MESHSUB_10] = "/meshsub/1.0.0";
    n->protocols[PROTO_IDENTIFY] = IDENTIFY_PROTOCOL;
    n->protocols[PROTO_PUSH] = IDENTIFY_PUSH_PROTOCOL;
    n->protocols[PROTO_PING] = PING_PROTOCOL;
    n->protocols[PROTO_SEARCH] = SEARCH_PROTOCOL;
    n->protocols[PROTO_KAD] = n->network->kad_protocol;
    n->protocol_count = n->config.is_client ? PROTO_KAD : PROTO_COUNT;
}

static void config_init(struct node *n, const struct node_config *config)
{
    struct node_config *c = &n->config;

    *c = *config;
    c->dials_max = or_default(c->dials_max, LIMIT_CONNS_DIALLED);
    c->conns_trim = or_default(c->conns_trim, LIMIT_CONNS_TRIM);
    c->conns_max = or_default(c->conns_max, LIMIT_CONNS_MAX);
    c->conns_ip_max = or_default(c->conns_ip_max, LIMIT_CONNS_IP_MAX);
    c->search_fan_out = or_default(c->search_fan_out, LIMIT_SEARCH_FAN_OUT);
    c->terms_max =
        c->has_no_terms ? 0 : or_default(c->terms_max, LIMIT_TERMS_MAX);
    if (c->terms_max > TERMS_OWN_MAX)
        c->terms_max = TERMS_OWN_MAX;
    if (c->unsent_bytes_max == 0)
        c->unsent_bytes_max = LIMIT_UNSENT_BYTES_MAX;
    if (c->partial_bytes_max == 0)
        c->partial_bytes_max = LIMIT_PARTIAL_BYTES_MAX;
    if (c->records_bytes_max == 0)
        c->records_bytes_max = LIMIT_RECORDS_BYTES_MAX;
    (void)snprintf(n->agent, sizeof(n->agent), "%s", config->agent);
    c->agent = n->agent;
    n->network = config->network;
    n->identity = *config->identity;
    c->identity = &n->identity;
    pubkey_from_ed25519(&n->identity_key, n->identity.pub);
    peer_id_from_ed25519(&n->self, n->identity.pub);
    if (config->bootstrap_count > 0) {
        size_t size = config->bootstrap_count * sizeof(*n->bootstrap);

        n->bootstrap = mem_new(n->mem, size);
        memcpy(n->bootstrap, config->bootstrap, size);
    }
    c->bootstrap = n->bootstrap;
}

static void lists_init(struct node *n)
{
    list_init(&n->idle_peers);
    list_init(&n->flush);
    list_init(&n->gone);
    list_init(&n->requests);
    list_init(&n->early);
    list_init(&n->outbox.items);
    list_init(&n->announces);
    list_init(&n->term_queue);
    list_init(&n->actions);
    n->upkeep.type = TIMER_UPKEEP;
    n->outbox_timer.type = TIMER_OUTBOX;
    n->rest_timer.type = TIMER_REST;
    n->terms_timer.type = TIMER_TERMS;
    n->save_timer.type = TIMER_SAVE;
}

struct node *node_new(const struct node_config *config, tstamp now,
                      wall_ms wall, const struct rng *rng,
                      const struct mem *mem, const struct log *log)
{
    static const struct search_pace_config pace = {
        .rate_per_minute = SEARCH_RATE_PER_MINUTE, .burst = SEARCH_BURST};
    struct node *n = mem_new(mem, sizeof(*n));
    enum err err;

    n->mem = mem;
    n->log = log;
    n->rng = *rng;
    n->now = n->started_at = now;
    n->wall = wall;
    config_init(n, config);
    protocols_init(n);
    lists_init(n);
    noise_static_generate(&n->noise_key, &n->identity, &n->rng);
    heap_init(&n->timers, mem);
    budget_init(&n->partial, n->config.partial_bytes_max, mem);
    heap_init(&n->terms_common, mem);
    buf_init(&n->signed_record, IDENTIFY_RECORD_MAX, mem);
    n->reputation = reputation_new(PEERS_KNOWN_MAX, mem);
    if (config->has_location) {
        err = reputation_place_self(n->reputation, config->latitude,
                                    config->longitude);
        assert(err == OK);
    }
    n->pace_in = search_pace_new(&pace, mem);
    n->pace_out = search_pace_new(&pace, mem);
    if (config->sampler != NULL)
        tracer_init(&n->tracer, config->sampler, &n->rng, mem);
    n->outbox.may_have_more = true;
    n->outbox.tokens = 1000 * OUTBOX_RATE;
    n->outbox.tokens_at = now;
    dht_init(n);
    pubsub_init(n);
    return n;
}

static void maps_free(struct node *n)
{
    struct resolve *resolve, *resolve_tmp;
    struct op *op, *op_tmp;

    MAP_FOR_EACH(n->resolves, resolve, resolve_tmp) {
        MAP_DEL(n->resolves, resolve);
        mem_free(n->mem, resolve);
    }
    MAP_FOR_EACH(n->ops, op, op_tmp) {
        MAP_DEL(n->ops, op);
        traced_drop(n, &op->trace);
        mem_free(n->mem, op);
    }
    LIST_FOR_EACH(item, &n->outbox.items)
        outbox_work_free(n, LIST_ENTRY(item, struct outbox_work, of_node));
}

static void action_free(struct node *n, struct action *a)
{
    if (a == NULL)
        return;
    mem_free(n->mem, a->name);
    mem_free(n->mem, a->bytes);
    mem_free(n->mem, a->peer);
    mem_free(n->mem, a->trace);
    mem_free(n->mem, a);
}

void node_free(struct node *n)
{
    struct peer *peer, *peer_tmp;
    struct link *link, *link_tmp;
    struct list *entry;

    if (n == NULL)
        return;
    MAP_FOR_EACH(n->links, link, link_tmp)
        link_gone(n, link, ERR_CLOSED);
    requests_release(n);
    while ((entry = list_pop_front(&n->gone)) != NULL)
        link_free(n, LIST_ENTRY(entry, struct link, of_gone));
    /* Those of kad that wait for a dial; a search's went with its request. */
    while (n->kad_rpcs != NULL)
        rpc_cancel(n, n->kad_rpcs);
    MAP_FOR_EACH(n->peers, peer, peer_tmp)
        peer_free(n, peer);
    maps_free(n);
    known_release(n);
    terms_release(n);
    traced_drop(n, &n->bootstrapping);
    while ((entry = list_pop_front(&n->actions)) != NULL) {
        struct action *a = LIST_ENTRY(entry, struct action, link);

        if (a->act.type == NODE_ANSWER)
            request_free(a->act.request);
        action_free(n, a);
    }
    action_free(n, n->current);
    kad_free(n->kad);
    gossip_free(n->gossip);
    reputation_free(n->reputation);
    validator_free(n->validator);
    search_pace_free(n->pace_in);
    search_pace_free(n->pace_out);
    buf_release(&n->signed_record);
    heap_release(&n->timers);
    budget_release(&n->partial);
    mem_free(n->mem, n->bootstrap);
    mem_free(n->mem, n);
}

/* ---- Over a restart. ---- */

void node_load_record(struct node *n, const struct saved_record *r)
{
    struct kad_value value = {
        .value = r->value, .owner = r->publisher, .publisher = r->publisher};
    bool is_own = peer_id_eq(&r->publisher, &n->self);

    if (kad_load_record(n->kad, r->key, &value, is_own, r->received, r->expires,
                        n->now, n->wall) != OK)
        log_debug(n->log, "node", "a saved record is not taken back");
}

void node_load_provider(struct node *n, const struct saved_provider *p)
{
    if (kad_load_provider(n->kad, p->key, &p->provider, p->addrs, p->addr_count,
                          p->expires, n->now, n->wall) != OK)
        log_debug(n->log, "node", "a saved provider is not taken back");
}

void node_load_peer(struct node *n, const struct saved_peer *p)
{
    struct peer *peer;

    if (peer_id_eq(&p->reputation.peer, &n->self) ||
        reputation_load(n->reputation, &p->reputation, n->wall) != OK)
        return;
    peer = peer_get(n, &p->reputation.peer);
    if (peer == NULL)
        return;
    for (size_t i = 0; i < p->addr_count; i++)
        peer_add_addr(n, peer, &p->addrs[i], false);
    peer->addrs_are_dirty = false;
    peer_unhold(n, peer);
}

void node_load_term(struct node *n, struct span term, unsigned packages)
{
    char text[TERM_MAX + 1];
    struct term *known;

    if (term.len > TERM_MAX)
        return;
    memcpy(text, term.data, term.len);
    text[term.len] = '\0';
    MAP_FIND(n->terms, text, term.len, known);
    if (known == NULL)
        terms_add(n, text, packages, 0);
}

/* ---- Running. ---- */

void node_start(struct node *n, tstamp now, wall_ms wall)
{
    at_wall(n, now, wall);
    n->is_started = true;
    node_timer_set(n, &n->upkeep, now + UPKEEP_EVERY);
    node_timer_set(n, &n->save_timer, now + UPKEEP_EVERY);
    bootstrap_dial(n);
    outbox_start(n);
    node_settle(n);
}

void node_drain(struct node *n, tstamp now)
{
    struct link *link, *tmp;

    at(n, now);
    n->is_draining = true;
    dials_stop(n);
    MAP_FOR_EACH(n->links, link, tmp)
        link_close(n, link);
    while (reputation_dirty_count(n->reputation) > 0)
        peers_save(n);
    node_settle(n);
}

bool node_is_drained(const struct node *n)
{
    return n->links == NULL;
}

bool node_is_alone(const struct node *n)
{
    return n->links == NULL && n->dialling_count == 0;
}

void node_timer_set(struct node *n, struct timer *t, tstamp when)
{
    /* The heap is a small allocation of ours: no memory for it is the end. */
    if (heap_set(&n->timers, &t->node, when) != OK)
        abort();
}

tstamp node_deadline(const struct node *n)
{
    tstamp next = heap_deadline(&n->timers);

    next = tstamp_min(next, kad_deadline(n->kad));
    return tstamp_min(next, gossip_deadline(n->gossip));
}

static void upkeep(struct node *n)
{
    links_upkeep(n);
    pubsub_upkeep(n);
    dht_upkeep(n);
    observed_upkeep(n);
    metrics_upkeep(n);
    traced_bootstrap_upkeep(n);
    gets_begin(n, false);
    node_timer_set(n, &n->upkeep, n->now + UPKEEP_EVERY);
}

static void save(struct node *n)
{
    peers_save(n);
    node_timer_set(n, &n->save_timer, n->now + UPKEEP_EVERY);
}

static void link_due(struct node *n, struct link *l)
{
    if (l->conn == NULL || l->is_gone)
        return;
    conn_tick(l->conn, n->now);
    link_drain(n, l);
}

static void fire(struct node *n, struct timer *t)
{
    switch (t->type) {
    case TIMER_LINK:
        link_due(n, (struct link *)(void *)t);
        break;
    case TIMER_FLOW:
        flow_timer(n, (struct flow *)(void *)t);
        break;
    case TIMER_DIAL:
        dial_timer(n, (struct dial *)(void *)t);
        break;
    case TIMER_REQUEST:
        request_timer(n, (struct pending *)(void *)t);
        break;
    case TIMER_SEARCH:
        find_timer(n, (struct search *)(void *)t);
        break;
    case TIMER_UPKEEP:
        upkeep(n);
        break;
    case TIMER_OUTBOX:
        outbox_timer(n);
        break;
    case TIMER_REST:
        outbox_rested(n);
        break;
    case TIMER_TERMS:
        break; /* node_settle() sees to them */
    case TIMER_SAVE:
        save(n);
        break;
    }
}

void node_tick(struct node *n, tstamp now, wall_ms wall)
{
    struct heap_node *due;

    at_wall(n, now, wall);
    while ((due = heap_pop_due(&n->timers, now)) != NULL)
        fire(n, (struct timer *)(void *)due);
    kad_tick(n->kad, now, wall);
    gossip_tick(n->gossip, now);
    node_settle(n);
}

/* Handling an event may cause others, of the same or another room. */
void node_settle(struct node *n)
{
    bool more = true;

    while (more) {
        more = pubsub_pump(n);
        more |= dht_pump(n);
    }
    terms_pump(n);
}

/* ---- Connections. ---- */

static size_t conns_of_ip(const struct node *n, const struct multiaddr *remote)
{
    struct endpoint want, have;
    struct link *l, *tmp;
    size_t count = 0;

    if (!multiaddr_endpoint(remote, &want))
        return 0;
    MAP_FOR_EACH(n->links, l, tmp)
        count += multiaddr_endpoint(&l->addr, &have) &&
                 have.kind == want.kind &&
                 memcmp(have.ip, want.ip, sizeof(have.ip)) == 0;
    return count;
}

enum err node_conn_accepted(struct node *n, const struct multiaddr *remote,
                            tstamp now, conn_id *conn)
{
    struct link *l;

    at(n, now);
    if (n->is_draining)
        return ERR_DRAINING;
    if (MAP_COUNT(n->links) >= n->config.conns_max) {
        n->count.conns_refused++;
        return ERR_LIMIT;
    }
    if (!n->config.is_private_network && !multiaddr_is_loopback(remote) &&
        conns_of_ip(n, remote) >= n->config.conns_ip_max) {
        n->count.conns_ip_refused++;
        return ERR_LIMIT;
    }
    l = link_new(n, remote, false);
    if (l == NULL)
        return ERR_NOMEM;
    *conn = l->id;
    link_open(n, l);
    node_settle(n);
    return OK;
}

static struct link *link_find(const struct node *n, conn_id id)
{
    struct link *l;

    MAP_FIND(n->links, &id, sizeof(id), l);
    return l;
}

void node_conn_dialled(struct node *n, conn_id conn, tstamp now)
{
    struct link *l = link_find(n, conn);

    at(n, now);
    if (l == NULL || l->conn != NULL)
        return;
    link_open(n, l);
    node_settle(n);
}

void node_conn_closed(struct node *n, conn_id conn, enum err err, tstamp now)
{
    struct link *l = link_find(n, conn);

    at(n, now);
    if (l == NULL)
        return;
    l->must_close = false;
    if (l->conn != NULL) {
        conn_recv_eof(l->conn, now);
        link_drain(n, l);
    }
    link_gone(n, l, err == OK ? ERR_CLOSED : err);
    node_settle(n);
}

void node_conn_recv(struct node *n, conn_id conn, uint8_t *bytes, size_t len,
                    tstamp now, wall_ms wall)
{
    struct link *l = link_find(n, conn);

    at_wall(n, now, wall);
    if (l == NULL || l->conn == NULL)
        return;
    n->count.bytes_in += len;
    /* Answers to who asked go before what others are told. */
    if (list_is_empty(&l->of_flush))
        list_push_front(&n->flush, &l->of_flush);
    conn_recv(l->conn, bytes, len, now);
    link_drain(n, l);
    node_settle(n);
}

struct span node_conn_out(struct node *n, conn_id conn)
{
    struct link *l = link_find(n, conn);
    struct span out;

    if (l == NULL) { /* on its way out, with a last word to say */
        LIST_FOR_EACH(entry, &n->gone) {
            l = LIST_ENTRY(entry, struct link, of_gone);
            if (l->id == conn && l->conn != NULL)
                return conn_out(l->conn);
        }
        return SPAN_NONE;
    }
    if (l->conn == NULL)
        return SPAN_NONE;
    out = conn_out(l->conn);
    if (out.len == 0) /* sealing it may have failed, and nothing will be sent */
        node_timer_set(n, &l->timer, conn_deadline(l->conn));
    return out;
}

void node_conn_sent(struct node *n, conn_id conn, size_t len, tstamp now)
{
    struct link *l = link_find(n, conn);

    if (now > n->now)
        at(n, now);
    n->count.bytes_out += len;
    if (l != NULL && l->conn != NULL) {
        conn_sent(l->conn, len);
        link_drain(n, l);
        node_settle(n);
        return;
    }
    LIST_FOR_EACH(entry, &n->gone) {
        l = LIST_ENTRY(entry, struct link, of_gone);
        if (l->id == conn && l->conn != NULL)
            conn_sent(l->conn, len);
    }
}

/* ---- Actions. ---- */

struct action *action_push(struct node *n, enum node_action_type type)
{
    struct action *a = mem_new(n->mem, sizeof(*a));

    a->act.type = type;
    list_push_back(&n->actions, &a->link);
    return a;
}

void action_drop(struct node *n, struct action *a)
{
    list_remove(&a->link);
    action_free(n, a);
}

struct span action_copy(struct node *n, struct action *a, struct span s)
{
    assert(a->bytes == NULL);
    a->bytes = mem_try(n->mem, NULL, s.len ? s.len : 1);
    if (a->bytes == NULL)
        return SPAN_NONE;
    if (s.len > 0)
        memcpy(a->bytes, s.data, s.len);
    return SPAN(a->bytes, s.len);
}

static bool poll_flush(struct node *n, struct node_action *action)
{
    struct list *entry = list_pop_front(&n->flush);
    struct link *l;

    if (entry == NULL)
        return false;
    l = LIST_ENTRY(entry, struct link, of_flush);
    *action = (struct node_action){.type = NODE_FLUSH, .conn = l->id};
    return true;
}

static bool poll_gone(struct node *n, struct node_action *action)
{
    struct list *entry;
    struct link *l;

    while ((entry = list_pop_front(&n->gone)) != NULL) {
        l = LIST_ENTRY(entry, struct link, of_gone);
        *action = (struct node_action){.type = NODE_CLOSE, .conn = l->id};
        if (!l->must_close)
            action->type = NODE_NONE;
        link_free(n, l);
        if (action->type == NODE_CLOSE)
            return true;
    }
    return false;
}

/* Peers first: they wait for what is sent, nobody for what is saved. */
bool node_poll(struct node *n, struct node_action *action)
{
    struct list *entry;

    action_free(n, n->current);
    n->current = NULL;
    pubsub_hand_on(n);
    if (poll_flush(n, action))
        return true;
    entry = list_pop_front(&n->actions);
    if (entry != NULL) {
        n->current = LIST_ENTRY(entry, struct action, link);
        *action = n->current->act;
        return true;
    }
    *action = (struct node_action){.type = NODE_NONE};
    return poll_gone(n, action);
}

/* ---- Looking. ---- */

void node_status(const struct node *n, struct node_status *out)
{
    const struct gossip_stats *g = gossip_stats(n->gossip);
    tstamp answered = kad_last_answer_at(n->kad);
    struct peer *p, *tmp;
    struct kad_stats k;

    kad_stats(n->kad, &k);
    *out = (struct node_status){
        .id = n->self,
        .network = n->network->name,
        .started_at = n->started_at,
        .updated_at = n->now,
        .listen = n->listen,
        .announced = n->announced,
        .confirmed = n->confirmed,
        .is_started = n->is_started,
        .is_standalone = n->config.is_standalone,
        .is_draining = n->is_draining,
        .dht_answered_at = answered ? answered : TSTAMP_NEVER,
        .peers_known = MAP_COUNT(n->peers),
        .routing_table_peers = k.table_peers,
        .records = k.records,
        .provider_keys = k.provider_keys,
        .mesh_peers = gossip_mesh_count(n->gossip, span_str(n->network->topic)),
        .events = n->count.events,
        .lookups = n->count.lookups,
        .gossip_received = g->delivered,
        .gossip_sent = g->published + g->forwarded,
        .gossip_rejected =
            g->outcomes[GOSSIP_REJECTED] + g->outcomes[GOSSIP_BAD_SIGNATURE] +
            g->outcomes[GOSSIP_BAD_OWN_MESSAGE] + g->outcomes[GOSSIP_BAD_FORM],
        .bytes_in = n->count.bytes_in,
        .bytes_out = n->count.bytes_out,
        .outbox = n->outbox.count,
        .dials_failed = n->count.dials_failed,
        .names_failed = n->count.names_failed,
    };
    for (size_t i = 0; i < 6; i++) {
        out->rpcs_in += k.requests[i];
        out->rpcs_out += k.rpcs_sent[i];
    }
    MAP_FOR_EACH(n->peers, p, tmp)
        out->peers_connected += !list_is_empty(&p->links);
}
