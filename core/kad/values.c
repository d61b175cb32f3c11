/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

static int find_value(const struct operation *op, struct span value)
{
    for (size_t i = 0; i < op->values_count; i++)
        if (span_eq(blob_span(op->values[i].value), value))
            return (int)i;
    return -1;
}

/* < 0 when value |a| is better. */
static int compare(struct kad *k, const struct operation *op, size_t a,
                   size_t b)
{
    return k->validator.select(k->validator.ctx, blob_span(op->key),
                               blob_span(op->values[a].value),
                               blob_span(op->values[b].value));
}

/* Where a new one goes; among too many the best stays.  −1: nowhere. */
static int place_for(struct kad *k, struct operation *op, struct span value)
{
    const struct blob *best;

    if (op->values_count < KAD_VALUES_MAX)
        return (int)op->values_count;
    best = op->values[op->best].value;
    if (k->validator.select(k->validator.ctx, blob_span(op->key),
                            blob_span(best), value) <= 0)
        return -1;
    return op->best == KAD_VALUES_MAX - 1 ? 0 : KAD_VALUES_MAX - 1;
}

static void release_place(struct kad *k, struct operation *op, int at)
{
    struct lookup *l = &op->lookup;

    if ((size_t)at == op->values_count)
        return;
    blob_unref(k->mem, op->values[at].value);
    for (size_t i = 0; i < l->count; i++)
        if (l->pool[l->order[i]].value == at)
            l->pool[l->order[i]].value = -1;
}

static int add_value(struct kad *k, struct operation *op,
                     const struct message_record *record)
{
    const struct kad_validator *v = &k->validator;
    struct found_value found = {.ttl = record->ttl};
    int at = place_for(k, op, record->value);

    if (at < 0)
        return -1;
    found.value = blob_new(k->mem, record->value);
    if (found.value == NULL)
        return -1;
    if (!v->publisher_of(v->ctx, record->value, &found.owner))
        found.owner = (struct peer_id){0};
    if (peer_id_decode(&found.publisher, record->publisher) != OK)
        found.publisher = (struct peer_id){0};
    release_place(k, op, at);
    op->values[at] = found;
    if ((size_t)at == op->values_count)
        op->values_count++;
    if (op->best < 0 || compare(k, op, (size_t)at, (size_t)op->best) < 0)
        op->best = at;
    return at;
}

static enum err check(const struct kad *k, const struct message_record *record,
                      tstamp now)
{
    const struct kad_validator *v = &k->validator;

    if (record->value.len == 0 || record->value.len > KAD_VALUE_MAX)
        return ERR_RECORD_SIZE;
    return v->validate(v->ctx, record->key, record->value, wall_at(k, now));
}

enum err values_take(struct kad *k, struct operation *op, int slot,
                     const struct message_record *record, tstamp now)
{
    int at = find_value(op, record->value);

    if (at < 0) {
        enum err err = check(k, record, now);

        if (err != OK) {
            k->stats.records_invalid++;
            if (slot != LOOKUP_NO_SLOT)
                peer_outcome(k, &op->lookup.pool[slot].id, KAD_PEER_BAD_RECORD,
                             err, 0);
            return err;
        }
        at = add_value(k, op, record);
    }
    if (at < 0)
        return OK;
    op->values[at].holders++;
    if (slot != LOOKUP_NO_SLOT)
        op->lookup.pool[slot].value = (int8_t)at;
    return OK;
}

bool values_have_quorum(const struct operation *op)
{
    return op->quorum > 0 && op->best >= 0 &&
           op->values[op->best].holders >= op->quorum;
}

void values_sort(struct kad *k, struct operation *op)
{
    for (size_t i = 1; i < op->values_count; i++)
        for (size_t j = i; j > 0 && compare(k, op, j, j - 1) < 0; j--) {
            struct found_value tmp = op->values[j];

            op->values[j] = op->values[j - 1];
            op->values[j - 1] = tmp;
        }
    op->best = op->values_count > 0 ? 0 : -1;
}

/* Whether the holder of |value| (−1: of none) should have the best instead.
 * Another publisher's record is no older copy of it. */
static bool is_stale(const struct operation *op, int value, bool is_complete)
{
    if (value == op->best)
        return false;
    if (value < 0)
        return is_complete;
    return peer_id_eq(&op->values[value].owner, &op->values[op->best].owner);
}

static void correct_ours(struct kad *k, const struct operation *op, tstamp now)
{
    const struct found_value *best = &op->values[op->best];
    struct record_in in = {.key = blob_span(op->key),
                           .value = blob_span(best->value),
                           .owner = best->owner,
                           .publisher = best->publisher,
                           .received = wall_at(k, now)};
    duration left = k->config.record_lifetime;

    if (records_of(&k->records, in.key, &in.owner) == NULL)
        return;
    if (best->ttl > 0 && best->ttl * SECONDS < left)
        left = best->ttl * SECONDS;
    in.expires_at = tstamp_add(now, left);
    /* Refused: ours was the better one after all, or there is no memory. */
    (void)!records_put(&k->records, &in, false, now, wall_at(k, now));
}

/* spec: kad-dht/README.md#entry-correction
 *   the best record goes to those of the k closest that had another or none */
void values_correct(struct kad *k, struct operation *op, bool is_complete,
                    tstamp now)
{
    const struct found_value *best;
    struct lookup *l = &op->lookup;
    struct blob *message = NULL;
    struct rpc_spec spec = {
        .type = KAD_PUT_VALUE, .purpose = RPC_CORRECT, .slot = LOOKUP_NO_SLOT};
    size_t at = 0;
    int slot;

    if (op->best < 0)
        return;
    best = &op->values[op->best];
    if (peer_id_is_none(&best->owner))
        return; /* unsigned: nobody to hand it on for */
    correct_ours(k, op, now);
    for (unsigned i = 0; i < KAD_K; i++) {
        slot = lookup_next_answered(l, &at);
        if (slot == LOOKUP_NO_SLOT)
            break;
        if (!is_stale(op, l->pool[slot].value, is_complete))
            continue;
        if (message == NULL &&
            put_message(k, blob_span(op->key), blob_span(best->value),
                        &best->publisher, best->ttl, &message) != OK)
            return;
        spec.peer = &l->pool[slot].id;
        spec.addrs = addrs_span(&l->pool[slot].addrs);
        spec.message = message;
        spec.value = best->value;
        if (rpc_send(k, &spec, now) != OK)
            break;
    }
    blob_unref(k->mem, message);
}
