/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

/* A peer's way: known ─ answered ─▶ in the table ─ failed twice ─▶ lost ─ … ─▶
 * forgotten; a full bucket makes it a spare. */
enum {
    FAILURES_MAX = 2,     /* in a row, then an entry falls out */
    LOST_TRIES_MAX = 240, /* about 16 hours */
    KNOWN_TRIES_MAX = 5,
    DOUBLINGS_MAX = 3,
};
static const duration suspect_again = 5 * SECONDS;
static const duration same_failure = 1 * SECONDS; /* a connection's streams */
static const duration lost_again = 30 * SECONDS;  /* … doubling to 4 min */

float peer_score(const struct kad *k, const struct peer_id *peer)
{
    return k->scorer.score ? (float)k->scorer.score(k->scorer.ctx, peer) : 0;
}

static void table_event(struct kad *k, enum kad_event_type type,
                        const struct contact *c)
{
    struct event_node *n = event_new(&k->events, type, c->addrs.len);
    char text[PEER_ID_TEXT_MAX];

    log_debug(k->log, "kad", "peer %s the table peer=%s",
              type == KAD_EV_PEER_ADDED ? "entered" : "left",
              peer_id_format(&c->id, text));
    if (n == NULL)
        return;
    n->ev.peer.id = c->id;
    n->ev.peer.addrs = event_keep(n, addrs_span(&c->addrs));
    event_push(&k->events, n);
}

static void check_at(struct kad *k, struct contact *c, tstamp at)
{
    /* Without memory it is not tried again by itself; others' answers and
     * identify may still bring it back. */
    (void)!heap_set(&k->routing.checks, &c->check, at);
}

/* Drop what is neither connected, in a list, nor being asked. */
static void forget_unused(struct kad *k, struct contact *c)
{
    if (c->place == CONTACT_KNOWN && !c->is_connected && !c->is_asked)
        routing_forget(&k->routing, c);
}

void contact_check(struct kad *k, struct contact *c, tstamp now)
{
    struct rpc_spec spec = {.type = KAD_FIND_NODE,
                            .purpose = RPC_CHECK,
                            .slot = LOOKUP_NO_SLOT,
                            .peer = &c->id,
                            .message = k->check_message};

    if (c->is_asked)
        return;
    heap_remove(&k->routing.checks, &c->check);
    if (rpc_send(k, &spec, now) == OK)
        c->is_asked = true;
    else
        check_at(k, c, tstamp_add(now, suspect_again));
}

void contact_check_ended(struct kad *k, const struct peer_id *peer)
{
    struct contact *c = routing_find(&k->routing, peer);

    if (c != NULL)
        c->is_asked = false;
}

/* An entry that nobody heard of for long is in doubt when others wait.
 *
 * spec: kad-dht/README.md#kademlia-routing-table
 *   keep what answers; replace what does not */
static void challenge_oldest(struct kad *k, unsigned bucket, tstamp now)
{
    struct contact *c = routing_oldest(&k->routing, bucket);

    if (c != NULL &&
        tstamp_add(c->heard_at, k->config.liveness_interval) <= now)
        contact_check(k, c, now);
}

/* The peer is a server and has just answered. */
static void admit(struct kad *k, struct contact *c, tstamp now)
{
    bool was_spare = c->place == CONTACT_SPARE;

    switch (routing_room_for(&k->routing, c)) {
    case ROUTING_ROOM:
        routing_enter(&k->routing, c);
        table_event(k, KAD_EV_PEER_ADDED, c);
        upkeep_table_changed(k, now);
        break;
    case ROUTING_FULL:
        if (!was_spare)
            routing_spare(&k->routing, c);
        challenge_oldest(k, c->bucket, now);
        break;
    case ROUTING_GROUP:
        k->stats.group_refused++;
        routing_leave(&k->routing, c);
        break;
    }
}

void contact_answered(struct kad *k, const struct peer_id *peer, tstamp now)
{
    struct contact *c = routing_find(&k->routing, peer);

    if (c == NULL)
        return;
    c->failures = 0;
    c->tries = 0;
    c->heard_at = now;
    heap_remove(&k->routing.checks, &c->check);
    if (c->place == CONTACT_IN_TABLE)
        routing_heard(&k->routing, c);
    else if (c->is_server)
        admit(k, c, now);
    forget_unused(k, c);
}

static void promote_spare(struct kad *k, unsigned bucket, tstamp now)
{
    struct contact *c = routing_newest_spare(&k->routing, bucket);

    if (c != NULL)
        contact_check(k, c, now);
}

static void remove_entry(struct kad *k, struct contact *c, tstamp now)
{
    unsigned bucket = c->bucket;

    table_event(k, KAD_EV_PEER_REMOVED, c);
    routing_leave(&k->routing, c);
    promote_spare(k, bucket, now);
    upkeep_table_changed(k, now);
}

static tstamp again_at(struct kad *k, const struct contact *c, tstamp now)
{
    unsigned doublings = c->tries < DOUBLINGS_MAX ? c->tries : DOUBLINGS_MAX;
    duration pause = lost_again << doublings;

    return tstamp_add(now, pause + rng_below(k->rng, pause / 4));
}

static void entry_failed(struct kad *k, struct contact *c, tstamp now)
{
    bool has_spare = k->routing.buckets[c->bucket].spare_count > 0;

    if (c->failures > 0 && now < tstamp_add(c->failed_at, same_failure))
        return;
    c->failures++;
    c->failed_at = now;
    if (c->failures < FAILURES_MAX && !has_spare) {
        check_at(k, c, tstamp_add(now, suspect_again));
        return;
    }
    remove_entry(k, c, now);
    c->tries = 0;
    routing_lose(&k->routing, c);
    check_at(k, c, again_at(k, c, now));
}

/* Not in the table, and it does not answer. */
static void outsider_failed(struct kad *k, struct contact *c, tstamp now)
{
    bool is_lost = c->place == CONTACT_LOST;
    unsigned bucket = c->bucket;

    if (c->place == CONTACT_SPARE) {
        routing_leave(&k->routing, c);
        promote_spare(k, bucket, now);
    }
    c->tries++;
    if (c->tries < (is_lost ? LOST_TRIES_MAX : KNOWN_TRIES_MAX) &&
        (is_lost || (c->is_connected && c->is_server))) {
        check_at(k, c, again_at(k, c, now));
        return;
    }
    if (is_lost)
        routing_leave(&k->routing, c);
    forget_unused(k, c);
}

/* It speaks the protocol no more. */
static void became_client(struct kad *k, struct contact *c, tstamp now)
{
    c->is_server = false;
    heap_remove(&k->routing.checks, &c->check);
    if (c->place == CONTACT_IN_TABLE)
        remove_entry(k, c, now);
    else
        routing_leave(&k->routing, c);
    forget_unused(k, c);
}

void contact_failed(struct kad *k, const struct peer_id *peer, enum err err,
                    tstamp now)
{
    struct contact *c = routing_find(&k->routing, peer);

    if (c == NULL)
        return;
    if (err == ERR_NO_PROTOCOL)
        became_client(k, c, now);
    else if (err_class(err) != ERR_CLASS_PEER)
        check_at(k, c, tstamp_add(now, suspect_again)); /* our own trouble */
    else if (c->place == CONTACT_IN_TABLE)
        entry_failed(k, c, now);
    else
        outsider_failed(k, c, now);
}

void contact_tick(struct kad *k, unsigned *work, tstamp now)
{
    struct heap_node *n;

    while (*work > 0 && (n = heap_pop_due(&k->routing.checks, now)) != NULL) {
        (*work)--;
        contact_check(k, HEAP_ENTRY(n, struct contact, check), now);
    }
}

/* Whose neighbour it is: by where the connection ends, which it cannot choose,
 * before what it says. */
static uint64_t group_of(const struct kad *k, const struct contact *c,
                         const struct multiaddr *remote)
{
    struct span rest = addrs_span(&c->addrs);
    struct multiaddr m;

    if (k->config.is_private_network)
        return 0;
    if (remote != NULL && multiaddr_ip_group(remote) != 0)
        return multiaddr_is_loopback(remote) ? 0 : multiaddr_ip_group(remote);
    while (kad_addr_next(&rest, &m))
        if (multiaddr_ip_group(&m) != 0 && !multiaddr_is_loopback(&m))
            return multiaddr_ip_group(&m);
    return 0;
}

void kad_peer_identified(struct kad *k, const struct peer_id *peer,
                         const struct multiaddr *addrs, size_t count,
                         const struct multiaddr *remote, bool is_server,
                         tstamp now)
{
    struct contact *c = routing_know(&k->routing, peer);

    if (c == NULL) {
        k->stats.contacts_refused++;
        return;
    }
    /* Without memory the addresses known so far must do. */
    (void)!addrs_set(&c->addrs, addrs, count, k->mem);
    c->is_connected = true;
    if (c->place != CONTACT_IN_TABLE)
        c->group = group_of(k, c, remote);
    if (!is_server) {
        became_client(k, c, now);
        return;
    }
    c->is_server = true;
    c->tries = 0;
    if (c->place == CONTACT_KNOWN || c->place == CONTACT_LOST)
        contact_check(k, c, now);
}

void kad_peer_disconnected(struct kad *k, const struct peer_id *peer,
                           tstamp now)
{
    struct contact *c = routing_find(&k->routing, peer);

    (void)now;
    if (c == NULL)
        return;
    c->is_connected = false;
    forget_unused(k, c);
}

void kad_peer_forget(struct kad *k, const struct peer_id *peer, tstamp now)
{
    struct contact *c = routing_find(&k->routing, peer);

    if (c == NULL)
        return;
    if (c->place == CONTACT_IN_TABLE)
        remove_entry(k, c, now);
    routing_forget(&k->routing, c);
}
