/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/records.h"

void records_init(struct records *r, const struct kad_config *config,
                  const struct kad_validator *validator, const struct rng *rng,
                  struct kad_stats *stats, struct events *events,
                  const struct mem *mem)
{
    *r = (struct records){.mem = mem,
                          .rng = rng,
                          .config = config,
                          .validator = validator,
                          .stats = stats,
                          .events = events};
    heap_init(&r->timers, mem);
}

/* --- values ------------------------------------------------------------ */

static struct value *value_find(const struct records *r, struct span bytes)
{
    struct value *v;

    MAP_FIND(r->values, bytes.data, bytes.len, v);
    return v;
}

static struct value *value_get(struct records *r, struct span bytes)
{
    struct value *v = value_find(r, bytes);

    if (v != NULL) {
        v->refs++;
        return v;
    }
    v = mem_try(r->mem, NULL, sizeof(*v) + bytes.len);
    if (v == NULL)
        return NULL;
    v->refs = 1;
    v->len = (uint32_t)bytes.len;
    memcpy(v->bytes, bytes.data, bytes.len);
    MAP_ADD(r->values, v->bytes, v->len, v);
    r->bytes += sizeof(*v) + v->len;
    return v;
}

static void value_put_back(struct records *r, struct value *v)
{
    if (--v->refs > 0)
        return;
    r->bytes -= sizeof(*v) + v->len;
    MAP_DEL(r->values, v);
    mem_free(r->mem, v);
}

/* --- one record -------------------------------------------------------- */

static struct peer_id peer_of(const uint8_t *bytes, uint8_t len)
{
    struct peer_id id = {.len = len};

    memcpy(id.bytes, bytes, len);
    return id;
}

struct peer_id record_publisher(const struct record *e)
{
    return peer_of(e->bytes + e->key_len, e->publisher_len);
}

static const uint8_t *owner_bytes(const struct record *e)
{
    return e->bytes + e->key_len + (e->owner_published ? 0 : e->publisher_len);
}

struct peer_id record_owner(const struct record *e)
{
    return peer_of(owner_bytes(e), e->owner_len);
}

static bool is_owned_by(const struct record *e, const struct peer_id *owner)
{
    return span_eq(SPAN(owner_bytes(e), e->owner_len), peer_id_span(owner));
}

uint32_t record_ttl(const struct record *e, tstamp now)
{
    tstamp left = e->expires_at > now ? e->expires_at - now : 0;

    return left / SECONDS > 0 ? (uint32_t)(left / SECONDS) : 1;
}

static size_t size_with(size_t key_len, size_t publisher_len, size_t owner_len,
                        bool owner_published)
{
    return sizeof(struct record) + key_len + publisher_len +
           (owner_published ? 0 : owner_len);
}

static size_t record_size(const struct record *e)
{
    return size_with(e->key_len, e->publisher_len, e->owner_len,
                     e->owner_published);
}

static bool is_owner_published(const struct record_in *in)
{
    return peer_id_eq(&in->owner, &in->publisher);
}

static size_t record_in_size(const struct record_in *in)
{
    return size_with(in->key.len, in->publisher.len, in->owner.len,
                     is_owner_published(in));
}

static uint8_t *append(uint8_t *to, struct span s)
{
    if (s.len > 0)
        memcpy(to, s.data, s.len);
    return to + s.len;
}

/* NULL without memory. */
static struct record *record_new(struct records *r, const struct record_in *in)
{
    struct record *e = mem_try_zero(r->mem, record_in_size(in));
    uint8_t *to;

    if (e == NULL)
        return NULL;
    e->value = value_get(r, in->value);
    if (e->value == NULL) {
        mem_free(r->mem, e);
        return NULL;
    }
    e->key_len = (uint16_t)in->key.len;
    e->publisher_len = in->publisher.len;
    e->owner_len = in->owner.len;
    e->owner_published = is_owner_published(in);
    e->is_own = in->is_own;
    e->received = in->received;
    e->expires_at = in->expires_at;
    to = append(e->bytes, in->key);
    to = append(to, peer_id_span(&in->publisher));
    if (!e->owner_published)
        append(to, peer_id_span(&in->owner));
    return e;
}

static void record_free(struct records *r, struct record *e)
{
    heap_remove(&r->timers, &e->timer);
    value_put_back(r, e->value);
    mem_free(r->mem, e);
}

/* Between 3/4 and 5/4 of |d|: the holders of a record must not all put it
 * again at once, the first one's put is heard by the others. */
static duration jittered(const struct records *r, duration d)
{
    return d - d / 4 + rng_below(r->rng, d / 2 + 1);
}

/* Ours are renewed so long before they end. */
static tstamp republish_at(const struct records *r, const struct record *e)
{
    duration lead = r->config->record_lifetime - r->config->republish_interval;

    return e->expires_at > lead ? e->expires_at - lead : 0;
}

static tstamp due_at(const struct records *r, const struct record *e,
                     tstamp now)
{
    tstamp due = TSTAMP_NEVER;

    if (e->owner_len > 0 && !e->is_distant && r->config->is_server)
        due = now + jittered(r, r->config->replicate_interval);
    if (e->is_own)
        due = tstamp_min(due, republish_at(r, e));
    return tstamp_min(due, e->expires_at);
}

/* --- the map ----------------------------------------------------------- */

struct record *records_first(const struct records *r, struct span key)
{
    struct record *e;

    MAP_FIND(r->keys, key.data, key.len, e);
    return e;
}

struct record *records_of(const struct records *r, struct span key,
                          const struct peer_id *owner)
{
    struct record *e = records_first(r, key);

    while (e != NULL && !is_owned_by(e, owner))
        e = e->next;
    return e;
}

static void link_in(struct records *r, struct record *e)
{
    struct record *first = records_first(r, record_key(e));

    if (first == NULL) {
        MAP_ADD(r->keys, e->bytes, e->key_len, e);
    } else {
        e->next = first->next;
        first->next = e;
    }
    r->count++;
    r->own_count += e->is_own;
    r->bytes += record_size(e);
}

static void link_out(struct records *r, struct record *e)
{
    struct record *first = records_first(r, record_key(e));

    assert(first != NULL);
    if (first == e) {
        MAP_DEL(r->keys, e);
        if (e->next != NULL)
            MAP_ADD(r->keys, e->next->bytes, e->next->key_len, e->next);
    } else {
        while (first->next != e)
            first = first->next;
        first->next = e->next;
    }
    e->next = NULL;
    r->count--;
    r->own_count -= e->is_own;
    r->bytes -= record_size(e);
}

/* --- events ------------------------------------------------------------ */

static struct event_node *make_event(struct records *r,
                                     enum kad_event_type type,
                                     const struct record *e, tstamp now,
                                     wall_ms wall)
{
    bool has_value = type == KAD_EV_RECORD_STORED;
    size_t room = e->key_len + (has_value ? e->value->len : 0);
    struct event_node *n = event_new(r->events, type, room);

    if (n == NULL)
        return NULL;
    n->ev.key = event_keep(n, record_key(e));
    if (has_value)
        n->ev.record.value = event_keep(n, record_value(e));
    n->ev.record.owner = record_owner(e);
    n->ev.record.publisher = record_publisher(e);
    n->ev.is_own = e->is_own;
    n->ev.received = e->received;
    n->ev.expires =
        wall + ((wall_ms)e->expires_at - (wall_ms)now) / (wall_ms)MILLISECONDS;
    return n;
}

static void forget(struct records *r, struct record *e, tstamp now,
                   wall_ms wall)
{
    struct event_node *n = make_event(r, KAD_EV_RECORD_FORGOTTEN, e, now, wall);

    /* Without the event the row on disk lives until it is loaded and found
     * expired. */
    if (n != NULL)
        event_push(r->events, n);
    link_out(r, e);
    record_free(r, e);
}

void records_release(struct records *r)
{
    struct record *e, *tmp;

    MAP_FOR_EACH(r->keys, e, tmp) {
        for (struct record *next; e != NULL; e = next) {
            next = e->next;
            link_out(r, e);
            record_free(r, e);
        }
    }
    heap_release(&r->timers);
}

/* --- put --------------------------------------------------------------- */

/* A record of ours goes in although the store is full of others': the oldest
 * of those makes way.  Ours met on the way go to the back, so that the next
 * search does not meet them again. */
static bool make_way(struct records *r, tstamp now, wall_ms wall)
{
    while (r->count > r->own_count) {
        struct record *first = r->keys, *e = first;

        assert(first != NULL);
        while (e != NULL && e->is_own)
            e = e->next;
        if (e != NULL) {
            forget(r, e, now, wall);
            return true;
        }
        MAP_DEL(r->keys, first);
        MAP_ADD(r->keys, first->bytes, first->key_len, first);
    }
    return false;
}

static bool is_too_many(const struct records *r)
{
    return r->count >= r->config->records_max;
}

static bool is_too_large(const struct records *r, const struct record_in *in)
{
    size_t need =
        sizeof(struct record) + in->key.len + in->publisher.len + in->owner.len;

    if (value_find(r, in->value) == NULL)
        need += sizeof(struct value) + in->value.len;
    return r->bytes + need > r->config->record_bytes_max;
}

static enum err make_room(struct records *r, const struct record_in *in,
                          tstamp now, wall_ms wall)
{
    while (is_too_many(r) || is_too_large(r, in)) {
        if (in->is_own && make_way(r, now, wall))
            continue;
        if (is_too_many(r))
            r->stats->records_refused++;
        else
            r->stats->record_bytes_refused++;
        return ERR_LIMIT;
    }
    return OK;
}

/* The same bytes again. */
static enum err refresh(struct records *r, struct record *e,
                        const struct record_in *in, bool is_loaded, tstamp now,
                        wall_ms wall)
{
    /* Each hour's replication must not become a write on disk. */
    duration worth_saving = r->config->record_lifetime / 8;
    bool is_worth = in->expires_at > tstamp_add(e->expires_at, worth_saving) ||
                    (in->is_own && !e->is_own);

    if (in->is_own && !e->is_own) {
        e->is_own = true;
        r->own_count++;
    }
    /* Ours end when we last said so, or nobody would renew them. */
    if (in->expires_at > e->expires_at && (in->is_own || !e->is_own))
        e->expires_at = in->expires_at;
    else
        is_worth = is_worth && in->is_own;
    e->received = in->received;
    TRY(heap_set(&r->timers, &e->timer, due_at(r, e, now)));
    if (is_worth && !is_loaded) {
        struct event_node *n =
            make_event(r, KAD_EV_RECORD_STORED, e, now, wall);

        if (n == NULL)
            return ERR_NOMEM;
        event_push(r->events, n);
    }
    return OK;
}

/* A record that has ended, else the one every other beats. */
static struct record *find_worst(const struct records *r, struct span key,
                                 unsigned *count, tstamp now)
{
    const struct kad_validator *v = r->validator;
    struct record *worst = NULL;

    *count = 0;
    for (struct record *e = records_first(r, key); e; e = e->next) {
        (*count)++;
        if (worst == NULL || e->expires_at <= now ||
            (worst->expires_at > now &&
             v->select(v->ctx, key, record_value(e), record_value(worst)) > 0))
            worst = e;
    }
    return worst;
}

/* The record that |in| would replace: its owner's, or the worst of four others
 * if |in| beats it.  *out NULL: none has to go. */
static enum err find_replaced(struct records *r, const struct record_in *in,
                              tstamp now, struct record **out)
{
    const struct kad_validator *v = r->validator;
    struct record *worst;
    unsigned count;

    *out = records_of(r, in->key, &in->owner);
    if (*out != NULL)
        return v->select(v->ctx, in->key, record_value(*out), in->value) > 0
                   ? OK
                   : ERR_STALE_SEQUENCE;
    worst = find_worst(r, in->key, &count, now);
    if (count < KAD_PUBLISHERS_MAX)
        return OK;
    if (!in->is_own && worst->expires_at > now &&
        v->select(v->ctx, in->key, record_value(worst), in->value) <= 0) {
        r->stats->publishers_refused++;
        return ERR_LIMIT;
    }
    *out = worst;
    return OK;
}

static enum err insert(struct records *r, const struct record_in *in,
                       struct record *replaced, bool is_loaded, tstamp now,
                       wall_ms wall)
{
    struct event_node *n = NULL;
    struct record *e = record_new(r, in);

    if (e == NULL)
        return ERR_NOMEM;
    if (!is_loaded)
        n = make_event(r, KAD_EV_RECORD_STORED, e, now, wall);
    if ((n == NULL && !is_loaded) ||
        heap_set(&r->timers, &e->timer, due_at(r, e, now)) != OK) {
        event_free(r->events, n);
        record_free(r, e);
        return ERR_NOMEM;
    }
    if (replaced != NULL) {
        /* The same owner's row is overwritten by the new one's event. */
        if (is_owned_by(replaced, &in->owner)) {
            link_out(r, replaced);
            record_free(r, replaced);
        } else {
            forget(r, replaced, now, wall);
        }
    }
    link_in(r, e);
    if (n != NULL)
        event_push(r->events, n);
    return OK;
}

enum err records_put(struct records *r, const struct record_in *in,
                     bool is_loaded, tstamp now, wall_ms wall)
{
    struct record *e = records_of(r, in->key, &in->owner);

    assert(in->key.len > 0 && in->key.len <= KAD_KEY_MAX);
    if (e != NULL && e->expires_at <= now) {
        forget(r, e, now, wall);
        e = NULL;
    }
    if (e != NULL && span_eq(record_value(e), in->value))
        return refresh(r, e, in, is_loaded, now, wall);
    TRY(find_replaced(r, in, now, &e));
    if (e == NULL) {
        TRY(make_room(r, in, now, wall));
    } else if (is_too_large(r, in)) {
        r->stats->record_bytes_refused++;
        return ERR_LIMIT;
    }
    return insert(r, in, e, is_loaded, now, wall);
}

const struct record *records_best(const struct records *r, struct span key,
                                  tstamp now)
{
    const struct kad_validator *v = r->validator;
    const struct record *best = NULL;

    for (struct record *e = records_first(r, key); e != NULL; e = e->next)
        if (e->expires_at > now &&
            (best == NULL ||
             v->select(v->ctx, key, record_value(best), record_value(e)) > 0))
            best = e;
    return best;
}

void records_disown(struct records *r, struct span key, tstamp now)
{
    for (struct record *e = records_first(r, key); e != NULL; e = e->next) {
        r->own_count -= e->is_own;
        e->is_own = false;
        /* It is in the heap already, so this needs no memory. */
        if (heap_set(&r->timers, &e->timer, due_at(r, e, now)) != OK)
            assert(false);
    }
}

/* --- time -------------------------------------------------------------- */

struct record *records_due(struct records *r, unsigned *work, bool may_put,
                           tstamp now, wall_ms wall)
{
    struct heap_node *n;

    while (*work > 0 && (n = heap_first(&r->timers)) != NULL && n->at <= now) {
        struct record *e = HEAP_ENTRY(n, struct record, timer);

        (*work)--;
        if (e->expires_at <= now) {
            forget(r, e, now, wall);
            continue;
        }
        if (!may_put)
            return NULL;
        if (e->is_own && republish_at(r, e) <= now) {
            struct event_node *ev;

            e->expires_at = tstamp_add(now, r->config->record_lifetime);
            e->is_distant = false;
            r->stats->republished++;
            ev = make_event(r, KAD_EV_RECORD_STORED, e, now, wall);
            if (ev != NULL)
                event_push(r->events, ev);
        } else {
            r->stats->replicated++;
        }
        if (heap_set(&r->timers, &e->timer, due_at(r, e, now)) != OK)
            assert(false); /* in the heap: needs no memory */
        return e;
    }
    return NULL;
}

void records_set_distant(struct records *r, struct record *e)
{
    tstamp at = e->expires_at;

    e->is_distant = true;
    if (e->is_own)
        at = tstamp_min(at, republish_at(r, e));
    if (heap_set(&r->timers, &e->timer, at) != OK)
        assert(false);
}
