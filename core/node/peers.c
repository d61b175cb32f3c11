/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

struct peer *peer_find(const struct node *n, const struct peer_id *id)
{
    struct peer *p;

    MAP_FIND(n->peers, id, sizeof(*id), p);
    return p;
}

static bool is_held(const struct peer *p)
{
    return !list_is_empty(&p->links) || !list_is_empty(&p->waiting) ||
           !list_is_empty(&p->connects) || p->dial != NULL;
}

/* The one that was idle for longest and is worth least to us makes room. */
static bool make_room(struct node *n)
{
    struct list *oldest = list_pop_front(&n->idle_peers);

    if (oldest == NULL)
        return false;
    n->count.peers_evicted++;
    peer_free(n, LIST_ENTRY(oldest, struct peer, idle));
    return true;
}

struct peer *peer_get(struct node *n, const struct peer_id *id)
{
    struct peer *p = peer_find(n, id);

    if (p != NULL)
        return p;
    if (MAP_COUNT(n->peers) >= PEERS_KNOWN_MAX && !make_room(n))
        return NULL;
    p = mem_try_zero(n->mem, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->id = *id;
    p->gossip_version = -1;
    p->latency_ms = -1;
    p->gossip_unheard_since = TSTAMP_NEVER;
    list_init(&p->links);
    list_init(&p->waiting);
    list_init(&p->kad_idle);
    list_init(&p->connects);
    list_init(&p->idle);
    list_push_back(&n->idle_peers, &p->idle);
    buf_init(&p->control, PEER_CONTROL_MAX, n->mem);
    MAP_ADD(n->peers, &p->id, sizeof(p->id), p);
    return p;
}

void peer_unhold(struct node *n, struct peer *p)
{
    list_remove(&p->idle);
    if (!is_held(p))
        list_push_back(&n->idle_peers, &p->idle);
}

void peer_free(struct node *n, struct peer *p)
{
    if (p->dial != NULL)
        dial_free(n, p->dial);
    MAP_DEL(n->peers, p);
    list_remove(&p->idle);
    mem_free(n->mem, p->addrs);
    mem_free(n->mem, p->agent);
    mem_free(n->mem, p->protocols);
    mem_free(n->mem, p->record);
    buf_release(&p->control);
    mem_free(n->mem, p);
}

void peer_add_addr(struct node *n, struct peer *p, const struct multiaddr *a,
                   bool is_front)
{
    struct multiaddr bare = *a, *addrs;
    size_t at;

    multiaddr_strip_peer(&bare);
    for (at = 0; at < p->addr_count; at++)
        if (multiaddr_eq(&p->addrs[at], &bare))
            break;
    if (at < p->addr_count && !is_front)
        return;
    if (at == p->addr_count) {
        if (p->addr_count == PEER_ADDRS_MAX) {
            if (!is_front)
                return;
            at = --p->addr_count;
        }
        addrs = mem_try(n->mem, p->addrs, (p->addr_count + 1) * sizeof(*addrs));
        if (addrs == NULL)
            return;
        p->addrs = addrs;
        p->addr_count++;
        p->addrs_are_dirty = true;
    }
    if (is_front) {
        memmove(p->addrs + 1, p->addrs, at * sizeof(*p->addrs));
        at = 0;
    }
    p->addrs[at] = bare;
}

struct link *peer_link(const struct peer *p)
{
    for (struct list *e = p->links.next; e != &p->links; e = e->next) {
        struct link *l = LIST_ENTRY(e, struct link, of_peer);

        if (!l->is_closing)
            return l;
    }
    return NULL;
}

void peer_learn(struct node *n, const struct peer_id *id,
                enum reputation_outcome outcome, duration took)
{
    struct peer *p;

    if (!reputation_learn(n->reputation, id, outcome, took, n->now, n->wall))
        return;
    p = peer_find(n, id);
    log_warn(n->log, "node", "peer banned reason=%s",
             reputation_outcome_name(outcome));
    kad_peer_forget(n->kad, id, n->now);
    if (p == NULL)
        return;
    LIST_FOR_EACH(entry, &p->links)
        link_close(n, LIST_ENTRY(entry, struct link, of_peer));
}

/* ---- Persistence. ---- */

static void save_one(struct node *n, const struct reputation_row *row)
{
    struct action *a = action_push(n, NODE_SAVE_PEER);
    struct peer *p = peer_find(n, &row->peer);

    a->peer = mem_new(n->mem, sizeof(*a->peer));
    a->peer->reputation = *row;
    if (p != NULL) {
        a->peer->addr_count = p->addr_count;
        if (p->addr_count > 0)
            memcpy(a->peer->addrs, p->addrs, p->addr_count * sizeof(*p->addrs));
        p->addrs_are_dirty = false;
    }
    a->act.peer = a->peer;
}

void peers_save(struct node *n)
{
    struct reputation_row row;
    bool is_gone;

    for (int i = 0; i < SAVE_PEERS_A_TICK &&
                    reputation_take_dirty(n->reputation, &row, &is_gone);
         i++) {
        if (is_gone) {
            struct action *a = action_push(n, NODE_FORGET_PEER);

            a->peer = mem_new(n->mem, sizeof(*a->peer));
            a->peer->reputation.peer = row.peer;
            a->act.peer = a->peer;
        } else {
            save_one(n, &row);
        }
    }
}
