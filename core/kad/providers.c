/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/providers.h"

void providers_init(struct providers *p, const struct kad_config *config,
                    const struct rng *rng, struct kad_stats *stats,
                    struct events *events, const struct mem *mem)
{
    *p = (struct providers){
        .mem = mem, .config = config, .stats = stats, .events = events};
    rng_fill(rng, p->salt, sizeof(p->salt));
    heap_init(&p->timers, mem);
}

static struct provided_key *key_find(const struct providers *p, struct span key)
{
    struct provided_key *k;

    MAP_FIND(p->keys, key.data, key.len, k);
    return k;
}

static struct provided_key *key_make(struct providers *p, struct span key)
{
    struct provided_key *k = key_find(p, key);

    if (k != NULL)
        return k;
    k = mem_try_zero(p->mem, sizeof(*k) + key.len);
    if (k == NULL)
        return NULL;
    k->len = (uint8_t)key.len;
    memcpy(k->bytes, key.data, key.len);
    MAP_ADD(p->keys, k->bytes, k->len, k);
    return k;
}

static void key_drop_unused(struct providers *p, struct provided_key *k)
{
    if (k->count > 0)
        return;
    MAP_DEL(p->keys, k);
    mem_free(p->mem, k);
}

static struct provider *peer_find(const struct providers *p,
                                  const struct peer_id *id)
{
    struct provider *peer;

    MAP_FIND(p->peers, id, sizeof(*id), peer);
    return peer;
}

static struct provider *peer_make(struct providers *p, const struct peer_id *id)
{
    struct provider *peer = peer_find(p, id);

    if (peer != NULL)
        return peer;
    peer = mem_try_zero(p->mem, sizeof(*peer));
    if (peer == NULL)
        return NULL;
    peer->id = *id;
    MAP_ADD(p->peers, &peer->id, sizeof(peer->id), peer);
    return peer;
}

static void peer_drop_unused(struct providers *p, struct provider *peer)
{
    if (peer->count > 0)
        return;
    MAP_DEL(p->peers, peer);
    addrs_release(&peer->addrs, p->mem);
    mem_free(p->mem, peer);
}

static uint64_t rank_of(const struct providers *p, struct span key,
                        const struct peer_id *peer)
{
    uint8_t bytes[sizeof(p->salt) + sizeof(*peer) + KAD_PROVIDER_KEY_MAX];

    memcpy(bytes, p->salt, sizeof(p->salt));
    memcpy(bytes + sizeof(p->salt), peer, sizeof(*peer));
    memcpy(bytes + sizeof(p->salt) + sizeof(*peer), key.data, key.len);
    return map_hash(bytes, sizeof(p->salt) + sizeof(*peer) + key.len);
}

static struct event_node *make_event(struct providers *p,
                                     enum kad_event_type type,
                                     const struct provider_entry *e, tstamp now,
                                     wall_ms wall)
{
    struct event_node *n =
        event_new(p->events, type, e->key->len + e->provider->addrs.len);

    if (n == NULL)
        return NULL;
    n->ev.key = event_keep(n, SPAN(e->key->bytes, e->key->len));
    n->ev.peer.id = e->provider->id;
    n->ev.peer.addrs = event_keep(n, addrs_span(&e->provider->addrs));
    n->ev.received = wall;
    n->ev.expires =
        wall + ((wall_ms)e->timer.at - (wall_ms)now) / (wall_ms)MILLISECONDS;
    return n;
}

/* Take |e| out and free it, and what only it held, its key apart. */
static void entry_free(struct providers *p, struct provider_entry *e)
{
    struct provider_entry **at = &e->key->entries;

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->key->count--;
    e->provider->count--;
    p->count--;
    heap_remove(&p->timers, &e->timer);
    peer_drop_unused(p, e->provider);
    mem_free(p->mem, e);
}

static void forget(struct providers *p, struct provider_entry *e, tstamp now,
                   wall_ms wall)
{
    struct event_node *n =
        make_event(p, KAD_EV_PROVIDER_FORGOTTEN, e, now, wall);

    if (n != NULL)
        event_push(p->events, n);
    entry_free(p, e);
}

void providers_release(struct providers *p)
{
    struct provided_key *k, *tmp;

    MAP_FOR_EACH(p->keys, k, tmp) {
        while (k->entries != NULL)
            entry_free(p, k->entries);
        key_drop_unused(p, k);
    }
    heap_release(&p->timers);
}

static struct provider_entry *highest_rank(const struct provided_key *k)
{
    struct provider_entry *high = k->entries;

    for (struct provider_entry *e = k->entries; e != NULL; e = e->next)
        if (e->rank > high->rank)
            high = e;
    return high;
}

/* Whether the limits let one more entry of |peer| in; |is_swap|: another one
 * leaves for it. */
static enum err check_limits(struct providers *p, const struct peer_id *peer,
                             bool is_swap)
{
    const struct provider *known = peer_find(p, peer);

    if (known != NULL && known->count >= p->config->provider_keys_max) {
        p->stats->provider_keys_refused++;
        return ERR_LIMIT;
    }
    if (!is_swap && p->count >= p->config->provider_records_max) {
        p->stats->providers_refused++;
        return ERR_LIMIT;
    }
    return OK;
}

/* Link a new entry in; all or nothing. */
static enum err entry_make(struct providers *p, struct provided_key *k,
                           const struct peer_id *id, uint64_t rank,
                           tstamp expires_at, struct provider_entry **out)
{
    struct provider *peer = peer_make(p, id);
    struct provider_entry *e;

    if (peer == NULL)
        return ERR_NOMEM;
    e = mem_try_zero(p->mem, sizeof(*e));
    if (e == NULL || heap_set(&p->timers, &e->timer, expires_at) != OK) {
        mem_free(p->mem, e);
        peer_drop_unused(p, peer);
        return ERR_NOMEM;
    }
    e->key = k;
    e->provider = peer;
    e->rank = rank;
    e->next = k->entries;
    k->entries = e;
    k->count++;
    peer->count++;
    p->count++;
    *out = e;
    return OK;
}

static enum err set_addrs(struct providers *p, struct provider *peer,
                          struct span packed)
{
    struct addrs fresh = {0};

    if (addrs_add_packed(&fresh, packed, p->mem) != OK) {
        addrs_release(&fresh, p->mem);
        return ERR_NOMEM;
    }
    addrs_release(&peer->addrs, p->mem);
    peer->addrs = fresh;
    return OK;
}

static enum err announce(struct providers *p, struct provider_entry *e,
                         tstamp now, wall_ms wall)
{
    struct event_node *n = make_event(p, KAD_EV_PROVIDER_STORED, e, now, wall);

    if (n == NULL)
        return ERR_NOMEM;
    event_push(p->events, n);
    return OK;
}

static enum err insert(struct providers *p, struct provided_key *k,
                       const struct peer_id *peer, struct span addrs,
                       tstamp expires_at, bool is_loaded, tstamp now,
                       wall_ms wall)
{
    uint64_t rank = rank_of(p, SPAN(k->bytes, k->len), peer);
    bool is_full = k->count >= KAD_PROVIDERS_PER_KEY;
    struct provider_entry *out = is_full ? highest_rank(k) : NULL;
    struct provider_entry *e;
    enum err err;

    if (out != NULL && rank >= out->rank)
        return OK;
    TRY(check_limits(p, peer, out != NULL));
    TRY(entry_make(p, k, peer, rank, expires_at, &e));
    err = set_addrs(p, e->provider, addrs);
    if (err == OK && !is_loaded)
        err = announce(p, e, now, wall);
    if (err != OK)
        entry_free(p, e);
    else if (out != NULL)
        forget(p, out, now, wall);
    return err;
}

/* The same again.  Saying it often must not become writes on disk. */
static enum err refresh(struct providers *p, struct provider_entry *e,
                        struct span addrs, tstamp expires_at, bool is_loaded,
                        tstamp now, wall_ms wall)
{
    duration worth_saving = p->config->provider_lifetime / 8;
    bool is_worth = expires_at > tstamp_add(e->timer.at, worth_saving) ||
                    !span_eq(addrs, addrs_span(&e->provider->addrs));

    TRY(set_addrs(p, e->provider, addrs));
    if (expires_at > e->timer.at)
        TRY(heap_set(&p->timers, &e->timer, expires_at));
    return is_loaded || !is_worth ? OK : announce(p, e, now, wall);
}

enum err providers_put(struct providers *p, struct span key,
                       const struct peer_id *peer, struct span addrs,
                       tstamp expires_at, bool is_loaded, tstamp now,
                       wall_ms wall)
{
    struct provided_key *k = key_make(p, key);
    struct provider_entry *e;
    enum err err;

    assert(key.len > 0 && key.len <= KAD_PROVIDER_KEY_MAX);
    if (k == NULL)
        return ERR_NOMEM;
    for (e = k->entries; e != NULL; e = e->next)
        if (peer_id_eq(&e->provider->id, peer))
            return refresh(p, e, addrs, expires_at, is_loaded, now, wall);
    err = insert(p, k, peer, addrs, expires_at, is_loaded, now, wall);
    key_drop_unused(p, k);
    return err;
}

size_t providers_of(const struct providers *p, struct span key, tstamp now,
                    struct kad_peer *out, size_t max)
{
    const struct provided_key *k = key_find(p, key);
    size_t n = 0;

    for (const struct provider_entry *e = k ? k->entries : NULL;
         e != NULL && n < max; e = e->next)
        if (e->timer.at > now)
            out[n++] = (struct kad_peer){e->provider->id,
                                         addrs_span(&e->provider->addrs)};
    return n;
}

void providers_expire(struct providers *p, unsigned *work, tstamp now,
                      wall_ms wall)
{
    struct heap_node *n;

    while (*work > 0 && (n = heap_first(&p->timers)) != NULL && n->at <= now) {
        struct provider_entry *e = HEAP_ENTRY(n, struct provider_entry, timer);
        struct provided_key *k = e->key;

        (*work)--;
        forget(p, e, now, wall);
        key_drop_unused(p, k);
    }
}
