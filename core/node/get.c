/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Getting a record from the DHT for the gateway.  Who asks for the same key
 * while a lookup is under way shares it. */

static enum err key_of(const struct node *n, const struct request_get *in,
                       char out[PACKAGE_KEY_MAX])
{
    struct package_key key = {.kind = KEY_HEAD, .publisher = in->owner};

    TRY(package_id_set(&key.id, span_str(in->namespace), span_str(in->name)));
    if (in->version[0] != '\0') {
        TRY(semver_parse(span_str(in->version), &key.version));
        key.kind = KEY_VERSION_OF;
    } else if (!peer_id_is_none(&in->owner)) {
        key.kind = KEY_HEAD_OF;
    }
    if (n->network->key_prefix[0] == '\0')
        key.kind = KEY_HEAD; /* all that network has */
    if (key.kind == KEY_VERSION_OF && peer_id_is_none(&in->owner))
        return ERR_INVAL;
    package_key_format(n->network, &key, out);
    return OK;
}

static void give_values(struct pending *p, const struct kad_value *values,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct found_record *f =
            request_add_record(p->request, values[i].value);

        if (f != NULL)
            f->publisher = values[i].owner;
    }
}

/* There are values: did memory suffice for any? */
static enum err given(const struct pending *p)
{
    return p->request->record_count > 0 ? OK : ERR_NOMEM;
}

/* A node on its own, or one that no lookup can help: what is held here. */
static void answer_locally(struct node *n, struct pending *p, const char *key)
{
    struct kad_value values[KAD_PUBLISHERS_MAX];
    size_t count = kad_local_records(n->kad, span_str(key), values);

    give_values(p, values, count);
    p->request->lookup.complete = true;
    request_answer(n, p, count > 0 ? given(p) : ERR_NOT_FOUND, NULL);
}

static enum err lookup(struct node *n, struct pending *p, struct get *g)
{
    static const struct kad_get_options options = {.quorum = 0};

    tstamp deadline = p->request->deadline;
    struct op *op;

    /* A little earlier than the request, so that what was gathered is there
     * when that ends. */
    if (deadline > n->now)
        deadline -= (deadline - n->now) / 16;
    TRY(kad_get(n->kad, span_str(g->key), &options, deadline, n->now, n->wall,
                &g->op));
    TRY(op_add(n, g->op, OP_GET, g, &op));
    op->trace = traced_lookup(n, &p->request->trace, "kad.get", g->key);
    return OK;
}

/* Somebody is connected, or nearly, but nobody has shown yet to be a server of
 * the DHT: "no peers" would be true and of no use. */
static bool is_early(const struct node *n)
{
    struct kad_stats stats;

    if (node_is_alone(n))
        return false;
    kad_stats(n->kad, &stats);
    return stats.table_peers == 0;
}

void gets_begin(struct node *n, bool is_all)
{
    LIST_FOR_EACH(entry, &n->early) {
        struct pending *p = LIST_ENTRY(entry, struct pending, of_owner);

        if (!is_all && n->now < p->started_at + GET_EARLY_WITHIN)
            continue;
        list_remove(&p->of_owner);
        get_start(n, p);
    }
}

void get_start(struct node *n, struct pending *p)
{
    char key[PACKAGE_KEY_MAX];
    struct get *g;
    enum err err = key_of(n, &p->request->in.get, key);

    if (err != OK) {
        request_answer(n, p, err, "no such key");
        return;
    }
    if (n->config.is_standalone && n->links == NULL) {
        answer_locally(n, p, key);
        return;
    }
    if (is_early(n) && !p->was_early) {
        p->was_early = true;
        list_push_back(&n->early, &p->of_owner);
        return;
    }
    MAP_FIND(n->gets, key, strlen(key), g);
    if (g == NULL) {
        g = mem_new(n->mem, sizeof(*g));
        memcpy(g->key, key, sizeof(key));
        g->deadline = p->request->deadline;
        list_init(&g->waiting);
        MAP_ADD(n->gets, g->key, strlen(g->key), g);
        err = lookup(n, p, g);
        if (err != OK) {
            MAP_DEL(n->gets, g);
            mem_free(n->mem, g);
            request_answer(n, p, err, NULL);
            return;
        }
    }
    p->get = g;
    list_push_back(&g->waiting, &p->of_owner);
}

/* |p| no longer waits; a lookup that nobody waits for ends. */
void get_leave(struct node *n, struct pending *p)
{
    struct get *g = p->get;

    p->get = NULL;
    list_remove(&p->of_owner);
    if (!list_is_empty(&g->waiting))
        return;
    ops_forget(n, g);
    MAP_DEL(n->gets, g);
    mem_free(n->mem, g);
}

static const char *reason_of(enum kad_outcome outcome)
{
    switch (outcome) {
    case KAD_COMPLETE:
    case KAD_QUORUM:
        return NULL;
    case KAD_NO_PEERS:
        return "no-peers";
    case KAD_DEADLINE:
        return "deadline";
    case KAD_CANCELLED:
        return "cancelled";
    }
    return NULL;
}

static void report(struct lookup_report *r, const struct kad_event *ev)
{
    r->complete = ev->outcome == KAD_COMPLETE || ev->outcome == KAD_QUORUM;
    r->reason = reason_of(ev->outcome);
    r->peers_queried = ev->asked;
    r->peers_responded = ev->answered;
    r->hops = ev->hops;
}

void get_done(struct node *n, struct get *g, const struct kad_event *ev)
{
    struct list *entry;

    MAP_DEL(n->gets, g);
    while ((entry = list_pop_front(&g->waiting)) != NULL) {
        struct pending *p = LIST_ENTRY(entry, struct pending, of_owner);

        p->get = NULL;
        if (ev->outcome == KAD_DEADLINE && ev->values_count == 0 &&
            p->request->deadline > g->deadline) {
            get_start(n, p); /* it shared the lookup of one with less time */
            continue;
        }
        give_values(p, ev->values, ev->values_count);
        report(&p->request->lookup, ev);
        if (ev->values_count > 0)
            request_answer(n, p, given(p), NULL);
        else
            request_answer(n, p,
                           p->request->lookup.complete ? ERR_NOT_FOUND
                                                       : ERR_LOOKUP_INCOMPLETE,
                           NULL);
    }
    mem_free(n->mem, g);
}
