/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

void kad_config_default(struct kad_config *config, const struct peer_id *self)
{
    *config = (struct kad_config){
        .self = *self,
        .is_server = true,
        .alpha = 10,
        .quorum = 3,
        .dial_timeout = 5 * SECONDS,
        .rpc_timeout = 10 * SECONDS,
        .rpc_slow = 1 * SECONDS,
        .lookup_timeout = 60 * SECONDS,
        .record_lifetime = 48 * HOURS,
        .republish_interval = 22 * HOURS,
        .replicate_interval = 1 * HOURS,
        .provider_lifetime = 48 * HOURS,
        .maintenance_spacing = 20 * MILLISECONDS,
        .refresh_interval = 10 * MINUTES,
        .liveness_interval = 60 * SECONDS,
        .need_peers_min = 1 * SECONDS,
        .need_peers_max = 60 * SECONDS,
        .operations_max = 256,
        .maintenance_max = 4,
        .rpcs_max = 1024,
        .contacts_max = 4096,
        .records_max = 131072,
        .record_bytes_max = (size_t)256 * 1024 * 1024,
        .provider_records_max = 100000,
        .provider_keys_max = 1000,
        .provided_max = 8192,
    };
}

static void check_config(const struct kad_config *c)
{
    assert(!peer_id_is_none(&c->self));
    assert(c->alpha > 0 && c->quorum > 0);
    assert(c->rpc_slow <= c->rpc_timeout);
    assert(c->republish_interval < c->record_lifetime);
    assert(c->replicate_interval < c->record_lifetime);
}

static void make_check_message(struct kad *k)
{
    /* spec: kad-dht/README.md#bootstrap-process
     *   a lookup of our own id tells others of us, so a check does as well */
    struct message m = {.type = KAD_FIND_NODE,
                        .key = peer_id_span(&k->config.self)};

    if (message_blob(k, &m, &k->check_message) != OK)
        abort(); /* our own, small */
}

struct kad *kad_new(const struct kad_config *config,
                    const struct kad_validator *validator,
                    const struct kad_scorer *scorer, const struct rng *rng,
                    const struct mem *mem, const struct log *log, tstamp now,
                    wall_ms wall)
{
    struct kad *k = mem_new(mem, sizeof(*k));

    check_config(config);
    k->mem = mem;
    k->rng = rng;
    k->log = log;
    k->config = *config;
    k->validator = *validator;
    if (scorer != NULL)
        k->scorer = *scorer;
    clock_set(k, now, wall);
    arena_init(&k->arena, KAD_DECODE_MAX, mem);
    events_init(&k->events, mem);
    routing_init(&k->routing, &config->self, config->contacts_max, mem);
    records_init(&k->records, &k->config, &k->validator, rng, &k->stats,
                 &k->events, mem);
    providers_init(&k->providers, &k->config, rng, &k->stats, &k->events, mem);
    heap_init(&k->rpc_timers, mem);
    heap_init(&k->operation_timers, mem);
    list_init(&k->starved);
    make_check_message(k);
    upkeep_init(k, now);
    return k;
}

void kad_free(struct kad *k)
{
    struct operation *op, *tmp;

    if (k == NULL)
        return;
    MAP_FOR_EACH(k->operations, op, tmp) {
        operation_free(k, op);
    }
    heap_release(&k->operation_timers);
    rpc_release_all(k);
    upkeep_release(k);
    providers_release(&k->providers);
    records_release(&k->records);
    routing_release(&k->routing);
    events_release(&k->events);
    addrs_release(&k->addrs, k->mem);
    blob_unref(k->mem, k->check_message);
    arena_release(&k->arena);
    mem_free(k->mem, k);
}

void kad_set_server(struct kad *k, bool is_server, tstamp now)
{
    (void)now;
    k->config.is_server = is_server;
}

void kad_set_addrs(struct kad *k, const struct multiaddr *addrs, size_t count)
{
    /* Without memory those known so far must do. */
    (void)!addrs_set(&k->addrs, addrs, count, k->mem);
}

/* --- operations -------------------------------------------------------- */

static bool is_key(struct span key, size_t max)
{
    return key.len > 0 && key.len <= max;
}

enum err kad_find_closest(struct kad *k, struct span key, tstamp deadline,
                          tstamp now, uint64_t *op_id)
{
    struct operation_spec spec = {
        .type = KAD_OP_FIND_CLOSEST, .key = key, .deadline = deadline};
    struct operation *op;

    if (!is_key(key, KAD_KEY_MAX))
        return ERR_INVAL;
    TRY(operation_new(k, &spec, now, &op));
    *op_id = op->id;
    operation_begin(k, op, now);
    return OK;
}

/* Our own copies count as one more holder each. */
static void take_local(struct kad *k, struct operation *op, tstamp now)
{
    for (const struct record *e =
             records_first(&k->records, blob_span(op->key));
         e != NULL; e = e->next) {
        struct peer_id publisher = record_publisher(e);
        struct message_record record = {.key = record_key(e),
                                        .value = record_value(e),
                                        .publisher = peer_id_span(&publisher),
                                        .ttl = record_ttl(e, now)};

        if (e->expires_at > now)
            (void)values_take(k, op, LOOKUP_NO_SLOT, &record, now);
    }
}

enum err kad_get(struct kad *k, struct span key,
                 const struct kad_get_options *options, tstamp deadline,
                 tstamp now, wall_ms wall, uint64_t *op_id)
{
    static const struct kad_get_options none;
    struct operation_spec spec = {
        .type = KAD_OP_GET, .key = key, .deadline = deadline};
    struct operation *op;

    if (!is_key(key, KAD_KEY_MAX))
        return ERR_INVAL;
    if (options == NULL)
        options = &none;
    clock_set(k, now, wall);
    TRY(operation_new(k, &spec, now, &op));
    *op_id = op->id;
    op->corrects = !options->is_silent;
    if (!options->is_full)
        op->quorum = options->quorum ? options->quorum : k->config.quorum;
    if (!options->skip_local)
        take_local(k, op, now);
    operation_begin(k, op, now);
    return OK;
}

/* Keep it here as ours. */
static enum err store_own(struct kad *k, struct span key, struct span value,
                          tstamp now, wall_ms wall)
{
    const struct kad_validator *v = &k->validator;
    struct record_in in = {.key = key,
                           .value = value,
                           .publisher = k->config.self,
                           .is_own = true,
                           .received = wall};

    if (!is_key(key, KAD_KEY_MAX))
        return ERR_INVAL;
    if (value.len == 0 || value.len > KAD_VALUE_MAX)
        return ERR_RECORD_SIZE;
    TRY(v->validate(v->ctx, key, value, wall));
    if (!v->publisher_of(v->ctx, value, &in.owner))
        in.owner = (struct peer_id){0};
    in.expires_at = tstamp_add(now, k->config.record_lifetime);
    return records_put(&k->records, &in, false, now, wall);
}

static enum err put_new(struct kad *k, const struct operation_spec *spec,
                        struct span value, tstamp now, wall_ms wall,
                        struct operation **out)
{
    uint32_t ttl = (uint32_t)(k->config.record_lifetime / SECONDS);
    struct operation *op;
    enum err err;

    clock_set(k, now, wall);
    TRY(operation_new(k, spec, now, &op));
    op->value = blob_new(k->mem, value);
    err = op->value ? put_message(k, spec->key, value, &k->config.self, ttl,
                                  &op->store)
                    : ERR_NOMEM;
    if (err == OK)
        err = store_own(k, spec->key, value, now, wall);
    if (err != OK) {
        operation_free(k, op);
        return err;
    }
    *out = op;
    return OK;
}

enum err kad_put(struct kad *k, struct span key, struct span value,
                 tstamp deadline, tstamp now, wall_ms wall, uint64_t *op_id)
{
    struct operation_spec spec = {
        .type = KAD_OP_PUT, .key = key, .deadline = deadline};
    struct operation *op;

    if (!is_key(key, KAD_KEY_MAX))
        return ERR_INVAL;
    TRY(put_new(k, &spec, value, now, wall, &op));
    *op_id = op->id;
    operation_begin(k, op, now);
    return OK;
}

static void add_target(struct kad *k, struct operation *op,
                       const struct peer_id *peer)
{
    struct candidate *c;
    int slot = lookup_add(&op->lookup, peer, SPAN_NONE, 0, 0);

    if (slot == LOOKUP_NO_SLOT || peer_id_eq(peer, &k->config.self))
        return;
    c = &op->lookup.pool[slot];
    if (c->store == STORE_WANTED)
        return; /* named twice */
    c->state = CANDIDATE_ANSWERED;
    c->store = STORE_WANTED;
    op->requested++;
    op->pending++;
}

enum err kad_put_to(struct kad *k, struct span key, struct span value,
                    const struct peer_id *peers, size_t count, tstamp deadline,
                    tstamp now, wall_ms wall, uint64_t *op_id)
{
    struct operation_spec spec = {
        .type = KAD_OP_PUT_TO, .key = key, .deadline = deadline};
    struct operation *op;

    if (!is_key(key, KAD_KEY_MAX) || count > KAD_TARGETS_MAX)
        return ERR_INVAL;
    TRY(put_new(k, &spec, value, now, wall, &op));
    *op_id = op->id;
    op->stage = STAGE_STORE;
    for (size_t i = 0; i < count; i++)
        add_target(k, op, &peers[i]);
    operation_begin(k, op, now);
    return OK;
}

void kad_disown(struct kad *k, struct span key, tstamp now)
{
    records_disown(&k->records, key, now);
}

enum err kad_provide(struct kad *k, struct span key, tstamp deadline,
                     tstamp now, wall_ms wall, uint64_t *op_id)
{
    struct operation_spec spec = {
        .type = KAD_OP_PROVIDE, .key = key, .deadline = deadline};
    struct operation *op;
    enum err err;

    if (!is_key(key, KAD_PROVIDER_KEY_MAX))
        return ERR_INVAL;
    clock_set(k, now, wall);
    TRY(operation_new(k, &spec, now, &op));
    err = provider_message(k, key, &op->store);
    if (err == OK)
        err =
            own_key_add(k, key, tstamp_add(now, k->config.republish_interval));
    if (err != OK) {
        operation_free(k, op);
        return err;
    }
    *op_id = op->id;
    operation_begin(k, op, now);
    return OK;
}

void kad_unprovide(struct kad *k, struct span key)
{
    struct own_key *own = own_key_find(k, key);

    if (own != NULL)
        own_key_drop(k, own);
}

static void take_local_providers(struct kad *k, struct operation *op,
                                 tstamp now)
{
    struct kad_peer found[KAD_PROVIDERS_PER_KEY];
    size_t count = providers_of(&k->providers, blob_span(op->key), now, found,
                                KAD_PROVIDERS_PER_KEY);

    for (size_t i = 0; i < count && op->providers_count < op->wanted; i++) {
        struct found_peer *to = &op->providers[op->providers_count++];

        *to = (struct found_peer){.id = found[i].id};
        /* Without memory it comes without addresses. */
        (void)!addrs_add_packed(&to->addrs, found[i].addrs, k->mem);
    }
}

enum err kad_find_providers(struct kad *k, struct span key, size_t wanted,
                            tstamp deadline, tstamp now, uint64_t *op_id)
{
    struct operation_spec spec = {
        .type = KAD_OP_FIND_PROVIDERS, .key = key, .deadline = deadline};
    struct operation *op;

    if (!is_key(key, KAD_PROVIDER_KEY_MAX) || wanted > KAD_PROVIDERS_MAX)
        return ERR_INVAL;
    TRY(operation_new(k, &spec, now, &op));
    op->wanted = wanted ? wanted : KAD_PROVIDERS_PER_KEY;
    op->providers = mem_try_zero(k->mem, op->wanted * sizeof(*op->providers));
    if (op->providers == NULL) {
        operation_free(k, op);
        return ERR_NOMEM;
    }
    *op_id = op->id;
    take_local_providers(k, op, now);
    operation_begin(k, op, now);
    return OK;
}

/* --- time and events --------------------------------------------------- */

bool kad_poll(struct kad *k, struct kad_event *ev)
{
    return events_poll(&k->events, ev);
}

tstamp kad_deadline(const struct kad *k)
{
    tstamp at = upkeep_deadline(k);

    at = tstamp_min(at, heap_deadline(&k->rpc_timers));
    at = tstamp_min(at, heap_deadline(&k->operation_timers));
    return tstamp_min(at, heap_deadline(&k->routing.checks));
}

void kad_tick(struct kad *k, tstamp now, wall_ms wall)
{
    unsigned work = KAD_TICK_WORK_MAX;

    clock_set(k, now, wall);
    arena_reset(&k->arena);
    operation_tick(k, &work, now);
    rpc_tick(k, &work, now);
    contact_tick(k, &work, now);
    upkeep_tick(k, &work, now);
}

/* --- over restarts ----------------------------------------------------- */

/* The moment |at| on the wall in our own time; what is past is now. */
static tstamp moment_of(wall_ms at, tstamp now, wall_ms wall)
{
    if (at <= wall)
        return now;
    if ((uint64_t)(at - wall) > UINT64_MAX / MILLISECONDS)
        return TSTAMP_NEVER - 1;
    return tstamp_min(tstamp_add(now, (duration)(at - wall) * MILLISECONDS),
                      TSTAMP_NEVER - 1);
}

enum err kad_load_record(struct kad *k, struct span key,
                         const struct kad_value *record, bool is_own,
                         wall_ms received, wall_ms expires, tstamp now,
                         wall_ms wall)
{
    struct record_in in = {.key = key,
                           .value = record->value,
                           .owner = record->owner,
                           .publisher = record->publisher,
                           .is_own = is_own,
                           .received = received};
    tstamp latest = tstamp_add(now, k->config.record_lifetime);

    clock_set(k, now, wall);
    if (!is_key(key, KAD_KEY_MAX) || record->value.len == 0 ||
        record->value.len > KAD_VALUE_MAX)
        return ERR_INVAL;
    if (expires <= wall)
        return ERR_NOT_FOUND;
    /* A clock that was set back must not make records immortal. */
    in.expires_at = tstamp_min(moment_of(expires, now, wall), latest);
    return records_put(&k->records, &in, true, now, wall);
}

enum err kad_load_provider(struct kad *k, struct span key,
                           const struct peer_id *provider,
                           const struct multiaddr *addrs, size_t count,
                           wall_ms expires, tstamp now, wall_ms wall)
{
    tstamp latest = tstamp_add(now, k->config.provider_lifetime);
    struct addrs packed = {0};
    enum err err;

    clock_set(k, now, wall);
    if (!is_key(key, KAD_PROVIDER_KEY_MAX))
        return ERR_INVAL;
    if (expires <= wall)
        return ERR_NOT_FOUND;
    TRY(addrs_set(&packed, addrs, count, k->mem));
    err = providers_put(&k->providers, key, provider, addrs_span(&packed),
                        tstamp_min(moment_of(expires, now, wall), latest), true,
                        now, wall);
    addrs_release(&packed, k->mem);
    return err;
}

enum err kad_load_provided(struct kad *k, struct span key, wall_ms due,
                           tstamp now, wall_ms wall)
{
    tstamp latest = tstamp_add(now, k->config.republish_interval);

    clock_set(k, now, wall);
    if (!is_key(key, KAD_PROVIDER_KEY_MAX))
        return ERR_INVAL;
    return own_key_add(k, key, tstamp_min(moment_of(due, now, wall), latest));
}

/* --- looking in -------------------------------------------------------- */

size_t kad_local_records(const struct kad *k, struct span key,
                         struct kad_value *out)
{
    const struct kad_validator *v = &k->validator;
    size_t count = 0;

    for (const struct record *e = records_first(&k->records, key);
         e != NULL && count < KAD_PUBLISHERS_MAX; e = e->next) {
        struct kad_value value = {.value = record_value(e),
                                  .owner = record_owner(e),
                                  .publisher = record_publisher(e),
                                  .holders = 1};
        size_t at = count++;

        while (at > 0 &&
               v->select(v->ctx, key, value.value, out[at - 1].value) < 0) {
            out[at] = out[at - 1];
            at--;
        }
        out[at] = value;
    }
    return count;
}

size_t kad_closest(const struct kad *k, struct span key, struct kad_peer *out,
                   size_t max)
{
    struct contact *near[KAD_K];
    uint8_t target[KAD_POSITION_LEN];
    size_t count;

    position_of(key, target);
    count =
        routing_closest(&k->routing, target, near, max < KAD_K ? max : KAD_K);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct kad_peer){near[i]->id, addrs_span(&near[i]->addrs)};
    return count;
}

bool kad_is_in_table(const struct kad *k, const struct peer_id *peer)
{
    const struct contact *c = routing_find(&k->routing, peer);

    return c != NULL && c->place == CONTACT_IN_TABLE;
}

tstamp kad_last_answer_at(const struct kad *k)
{
    return k->last_answer_at;
}

void kad_stats(const struct kad *k, struct kad_stats *out)
{
    *out = k->stats;
    out->table_peers = k->routing.count;
    out->contacts = MAP_COUNT(k->routing.contacts);
    out->operations = MAP_COUNT(k->operations);
    out->rpcs = MAP_COUNT(k->rpcs);
    out->records = k->records.count;
    out->records_own = k->records.own_count;
    out->record_bytes = k->records.bytes;
    out->record_values = MAP_COUNT(k->records.values);
    out->provider_records = k->providers.count;
    out->provider_keys = MAP_COUNT(k->providers.keys);
    out->provided = MAP_COUNT(k->own_keys);
}
