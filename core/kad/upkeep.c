/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

/* What the node does for its own sake: keep the table fresh, keep records and
 * provider entries alive, never stay alone.  Puts of its own are paced and few
 * at once, because thousands may be due in the same hour. */
enum {
    REFRESH_BUCKETS_MAX = 12, /* deeper ones our own lookup fills */
    REFRESH_TRIES_MAX = 4096, /* hashes to find a key of a bucket */
    BACKOFF_DOUBLINGS_MAX = 16,
};
static const duration retry_after = 5 * SECONDS;  /* we were busy */
static const duration failed_after = 5 * MINUTES; /* nobody took it */

static duration jittered(const struct kad *k, duration d)
{
    return d - d / 8 + rng_below(k->rng, d / 4 + 1);
}

void upkeep_init(struct kad *k, tstamp now)
{
    heap_init(&k->own_key_timers, k->mem);
    k->upkeep_at = now;
    k->need_peers_at = now;
    k->refresh_at = TSTAMP_NEVER;
    k->liveness_at = TSTAMP_NEVER;
}

/* --- keys we provide --------------------------------------------------- */

struct own_key *own_key_find(const struct kad *k, struct span key)
{
    struct own_key *own;

    assert(key.data != NULL);
    MAP_FIND(k->own_keys, key.data, key.len, own);
    return own;
}

enum err own_key_add(struct kad *k, struct span key, tstamp due)
{
    struct own_key *own = own_key_find(k, key);

    if (own != NULL)
        return heap_set(&k->own_key_timers, &own->timer, due);
    if (MAP_COUNT(k->own_keys) >= k->config.provided_max) {
        k->stats.provided_refused++;
        return ERR_LIMIT;
    }
    own = mem_try_zero(k->mem, sizeof(*own) + key.len);
    if (own == NULL)
        return ERR_NOMEM;
    if (heap_set(&k->own_key_timers, &own->timer, due) != OK) {
        mem_free(k->mem, own);
        return ERR_NOMEM;
    }
    own->len = (uint8_t)key.len;
    memcpy(own->bytes, key.data, key.len);
    MAP_ADD(k->own_keys, own->bytes, own->len, own);
    return OK;
}

void own_key_drop(struct kad *k, struct own_key *own)
{
    heap_remove(&k->own_key_timers, &own->timer);
    MAP_DEL(k->own_keys, own);
    mem_free(k->mem, own);
}

void upkeep_release(struct kad *k)
{
    struct own_key *own, *tmp;

    MAP_FOR_EACH(k->own_keys, own, tmp) {
        own_key_drop(k, own);
    }
    heap_release(&k->own_key_timers);
}

/* --- peers ------------------------------------------------------------- */

void upkeep_table_changed(struct kad *k, tstamp now)
{
    bool is_alone = k->routing.count == 0;
    bool was_alone = k->refresh_at == TSTAMP_NEVER && !k->is_refreshing;

    if (is_alone) {
        log_info(k->log, "kad", "the routing table is empty");
        k->need_peers_at = now;
        k->need_peers_attempt = 0;
        k->refresh_at = TSTAMP_NEVER;
        k->liveness_at = TSTAMP_NEVER;
    } else if (was_alone) {
        k->need_peers_at =
            tstamp_add(now, jittered(k, k->config.refresh_interval));
        k->need_peers_attempt = 0;
        k->refresh_at = now;
        k->refresh_next = 0;
        k->liveness_at = tstamp_add(now, k->config.liveness_interval);
    }
}

static duration backoff(const struct kad *k)
{
    duration pause = k->config.need_peers_min;
    unsigned doublings = k->need_peers_attempt - 1;

    if (doublings > BACKOFF_DOUBLINGS_MAX)
        doublings = BACKOFF_DOUBLINGS_MAX;
    pause <<= doublings;
    return pause < k->config.need_peers_max ? pause : k->config.need_peers_max;
}

/* Alone: ask for peers for ever, ever more slowly.  Not alone: once in a while,
 * lest we and a few others are an island. */
static void need_peers(struct kad *k, tstamp now)
{
    struct event_node *n;
    bool is_alone = k->routing.count == 0;

    if (k->need_peers_at > now)
        return;
    if (is_alone)
        k->need_peers_attempt++;
    k->need_peers_at = tstamp_add(
        now, jittered(k, is_alone ? backoff(k) : k->config.refresh_interval));
    n = event_new(&k->events, KAD_EV_NEED_PEERS, 0);
    if (n == NULL)
        return; /* the next time */
    n->ev.attempt = k->need_peers_attempt;
    event_push(&k->events, n);
}

/* Readiness wants one answer a minute; so does every entry, in turn. */
static void keep_alive(struct kad *k, tstamp now)
{
    tstamp due = tstamp_add(k->last_answer_at, k->config.liveness_interval);
    struct contact *c;

    if (k->liveness_at > now)
        return;
    if (due > now) {
        k->liveness_at = due;
        return;
    }
    k->liveness_at = tstamp_add(now, k->config.rpc_timeout);
    c = routing_stalest(&k->routing);
    if (c != NULL)
        contact_check(k, c, now);
}

/* A random key that falls into |bucket|; false: not found in so many tries. */
static bool key_in_bucket(const struct kad *k, unsigned bucket, uint8_t key[32])
{
    uint8_t position[KAD_POSITION_LEN];

    for (int i = 0; i < REFRESH_TRIES_MAX; i++) {
        rng_fill(k->rng, key, 32);
        position_of(SPAN(key, 32), position);
        if (position_prefix(k->routing.self, position) == bucket)
            return true;
    }
    return false;
}

/* The next lookup of a refresh: ourselves, then each bucket. */
static void refresh(struct kad *k, tstamp now)
{
    struct operation_spec spec = {
        .type = KAD_OP_FIND_CLOSEST,
        .upkeep = UPKEEP_REFRESH,
        .deadline = tstamp_add(now, k->config.lookup_timeout)};
    unsigned depth = routing_depth(&k->routing);
    struct operation *op;
    uint8_t key[32];

    if (k->refresh_at > now || k->is_refreshing)
        return;
    if (depth > REFRESH_BUCKETS_MAX)
        depth = REFRESH_BUCKETS_MAX;
    if (k->routing.count < KAD_K)
        depth = 0; /* the lookup of ourselves asks everybody */
    if (k->refresh_next > depth) {
        k->refresh_next = 0;
        k->refresh_at =
            tstamp_add(now, jittered(k, k->config.refresh_interval));
        return;
    }
    spec.key = peer_id_span(&k->config.self);
    if (k->refresh_next > 0) {
        if (!key_in_bucket(k, k->refresh_next - 1, key)) {
            k->refresh_next++;
            return;
        }
        spec.key = SPAN_OF(key);
    }
    if (operation_new(k, &spec, now, &op) != OK) {
        k->refresh_at = tstamp_add(now, retry_after);
        return;
    }
    k->refresh_next++;
    k->is_refreshing = true;
    operation_begin(k, op, now);
}

/* --- records and provider entries -------------------------------------- */

/* Whether one more of our own puts may start, now or at |upkeep_at|. */
static bool has_place(const struct kad *k)
{
    return k->upkeep_running < k->config.maintenance_max &&
           k->routing.count > 0;
}

static void upkeep_started(struct kad *k, tstamp now)
{
    k->upkeep_running++;
    k->upkeep_at = tstamp_add(now, k->config.maintenance_spacing);
}

static enum err put_again(struct kad *k, const struct record *e, tstamp now)
{
    struct peer_id publisher = record_publisher(e);
    struct operation_spec spec = {
        .type = KAD_OP_PUT,
        .upkeep = UPKEEP_RECORD,
        .key = record_key(e),
        .deadline = tstamp_add(now, k->config.lookup_timeout)};
    struct operation *op;
    enum err err;

    TRY(operation_new(k, &spec, now, &op));
    op->owner = record_owner(e);
    op->value = blob_new(k->mem, record_value(e));
    err = op->value ? put_message(k, spec.key, blob_span(op->value), &publisher,
                                  record_ttl(e, now), &op->store)
                    : ERR_NOMEM;
    if (err != OK) {
        operation_free(k, op);
        return err;
    }
    upkeep_started(k, now);
    operation_begin(k, op, now);
    return OK;
}

static enum err provide_again(struct kad *k, struct own_key *own, tstamp now)
{
    struct operation_spec spec = {
        .type = KAD_OP_PROVIDE,
        .upkeep = UPKEEP_PROVIDED,
        .key = SPAN(own->bytes, own->len),
        .deadline = tstamp_add(now, k->config.lookup_timeout)};
    struct operation *op;
    enum err err;

    TRY(operation_new(k, &spec, now, &op));
    err = provider_message(k, spec.key, &op->store);
    if (err != OK) {
        operation_free(k, op);
        return err;
    }
    k->stats.reprovided++;
    upkeep_started(k, now);
    operation_begin(k, op, now);
    return OK;
}

static void set_timer(struct heap *h, struct heap_node *n, tstamp at)
{
    if (heap_set(h, n, at) != OK)
        assert(false); /* in the heap: needs no memory */
}

static bool provide_due(struct kad *k, tstamp now)
{
    struct heap_node *n = heap_first(&k->own_key_timers);
    struct own_key *own;

    if (n == NULL || n->at > now)
        return false;
    own = HEAP_ENTRY(n, struct own_key, timer);
    set_timer(&k->own_key_timers, n,
              tstamp_add(now, jittered(k, k->config.republish_interval)));
    if (provide_again(k, own, now) != OK)
        set_timer(&k->own_key_timers, n, tstamp_add(now, retry_after));
    return true;
}

static bool put_due(struct kad *k, unsigned *work, tstamp now)
{
    struct record *e =
        records_due(&k->records, work, has_place(k) && k->upkeep_at <= now, now,
                    wall_at(k, now));

    if (e == NULL)
        return false;
    if (put_again(k, e, now) != OK)
        set_timer(&k->records.timers, &e->timer, tstamp_add(now, retry_after));
    return true;
}

static void keep_up(struct kad *k, unsigned *work, tstamp now)
{
    while (*work > 0 && has_place(k) && k->upkeep_at <= now &&
           provide_due(k, now))
        (*work)--;
    while (*work > 0 && put_due(k, work, now))
        ;
}

/* Enough peers nearer than ourselves took it: leave it to them. */
static bool is_for_others(const struct kad *k, const struct operation *op)
{
    const struct lookup *l = &op->lookup;
    uint8_t ours[KAD_POSITION_LEN];
    size_t at = 0;
    int slot = LOOKUP_NO_SLOT;

    if (op->acked < KAD_K)
        return false;
    for (int i = 0; i < KAD_K; i++)
        if ((slot = lookup_next_answered(l, &at)) == LOOKUP_NO_SLOT)
            return false;
    position_xor(k->routing.self, l->target, ours);
    return memcmp(l->pool[slot].distance, ours, KAD_POSITION_LEN) < 0;
}

static void record_put_ended(struct kad *k, const struct operation *op,
                             tstamp now)
{
    struct record *e = records_of(&k->records, blob_span(op->key), &op->owner);

    k->upkeep_running--;
    if (e == NULL)
        return;
    if (op->acked == 0)
        set_timer(&k->records.timers, &e->timer,
                  tstamp_min(tstamp_add(now, failed_after), e->expires_at));
    else if (is_for_others(k, op))
        records_set_distant(&k->records, e);
}

static void provide_ended(struct kad *k, const struct operation *op, tstamp now)
{
    struct own_key *own = own_key_find(k, blob_span(op->key));

    k->upkeep_running--;
    if (own != NULL && op->acked == 0)
        set_timer(&k->own_key_timers, &own->timer,
                  tstamp_add(now, failed_after));
}

void upkeep_operation_ended(struct kad *k, const struct operation *op,
                            tstamp now)
{
    switch (op->upkeep) {
    case UPKEEP_NONE:
        break;
    case UPKEEP_REFRESH:
        k->is_refreshing = false;
        k->refresh_at = k->routing.count > 0 ? now : TSTAMP_NEVER;
        break;
    case UPKEEP_RECORD:
        record_put_ended(k, op, now);
        break;
    case UPKEEP_PROVIDED:
        provide_ended(k, op, now);
        break;
    }
}

/* --- time -------------------------------------------------------------- */

tstamp upkeep_deadline(const struct kad *k)
{
    tstamp at = tstamp_min(k->need_peers_at, k->liveness_at);
    tstamp due = tstamp_min(heap_deadline(&k->own_key_timers),
                            heap_deadline(&k->records.timers));

    if (!k->is_refreshing)
        at = tstamp_min(at, k->refresh_at);
    /* What is due waits for a place; the end of an operation or a peer brings
     * us back. */
    if (has_place(k) && due != TSTAMP_NEVER)
        at = tstamp_min(at, due > k->upkeep_at ? due : k->upkeep_at);
    return tstamp_min(at, heap_deadline(&k->providers.timers));
}

void upkeep_tick(struct kad *k, unsigned *work, tstamp now)
{
    need_peers(k, now);
    keep_alive(k, now);
    refresh(k, now);
    keep_up(k, work, now);
    providers_expire(&k->providers, work, now, wall_at(k, now));
}
