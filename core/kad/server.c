/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/internal.h"

/* What others ask of us.  Every handler gets a whole message and either makes
 * an answer or an error, on which the stream is reset. */
struct request {
    const struct peer_id *peer;
    const Wire__KadMessage *msg;
    struct span key;
    tstamp now;
    wall_ms wall;
    struct buf *answer;
};

bool peer_from_wire(struct kad *k, const Wire__KadPeer *w, struct peer_id *id,
                    struct addrs *addrs)
{
    if (peer_id_decode(id, message_bytes(w->id)) != OK)
        return false;
    for (size_t i = 0; i < w->n_addrs && i < KAD_ADDRS_SEEN_MAX; i++) {
        struct multiaddr m;

        if (addr_from_wire(&m, message_bytes(w->addrs[i]), id,
                           k->config.is_private_network) &&
            addrs_add(addrs, &m, k->mem) != OK)
            break; /* without memory the first ones must do */
    }
    return true;
}

static enum err answer_with(struct kad *k, const struct request *r,
                            const struct message *m)
{
    return message_encode(&k->arena, m, k->config.is_private_network,
                          r->answer);
}

static struct kad_peer as_peer(const struct contact *c)
{
    return (struct kad_peer){c->id, addrs_span(&c->addrs)};
}

/* The k peers nearest to the key, never the asker. */
static size_t closer_to(const struct kad *k, const struct request *r,
                        struct kad_peer out[KAD_K])
{
    struct contact *near[KAD_K + 1];
    uint8_t target[KAD_POSITION_LEN];
    size_t found, count = 0;

    position_of(r->key, target);
    found = routing_closest(&k->routing, target, near, KAD_K + 1);
    for (size_t i = 0; i < found && count < KAD_K; i++)
        if (!peer_id_eq(&near[i]->id, r->peer))
            out[count++] = as_peer(near[i]);
    return count;
}

/* Who is asked for by its own id is answered first, in the table or not, we
 * ourselves too: go-libp2p wants a non-empty answer before it takes us in. */
static bool find_target(const struct kad *k, const struct request *r,
                        struct kad_peer *out)
{
    const struct contact *c;
    struct peer_id id;

    if (peer_id_decode(&id, r->key) != OK)
        return false;
    if (peer_id_eq(&id, &k->config.self)) {
        *out = (struct kad_peer){id, addrs_span(&k->addrs)};
        return true;
    }
    c = routing_find(&k->routing, &id);
    if (c == NULL)
        return false;
    *out = as_peer(c);
    return true;
}

static enum err on_find_node(struct kad *k, const struct request *r)
{
    struct kad_peer peers[1 + KAD_K], closer[KAD_K];
    struct message m = {.type = KAD_FIND_NODE, .closer = peers};
    size_t count = closer_to(k, r, closer);

    if (find_target(k, r, &peers[0]))
        m.closer_count = 1;
    for (size_t i = 0; i < count && m.closer_count < KAD_K; i++)
        if (m.closer_count == 0 || !peer_id_eq(&closer[i].id, &peers[0].id))
            peers[m.closer_count++] = closer[i];
    return answer_with(k, r, &m);
}

static enum err on_get_value(struct kad *k, const struct request *r)
{
    struct kad_peer closer[KAD_K];
    struct message m = {.type = KAD_GET_VALUE, .key = r->key, .closer = closer};
    const struct record *e = records_best(&k->records, r->key, r->now);
    struct message_record record;
    struct peer_id publisher;

    m.closer_count = closer_to(k, r, closer);
    if (e != NULL) {
        publisher = record_publisher(e);
        record = (struct message_record){.key = r->key,
                                         .value = record_value(e),
                                         .publisher = peer_id_span(&publisher),
                                         .ttl = record_ttl(e, r->now),
                                         .received = e->received};
        m.record = &record;
    }
    return answer_with(k, r, &m);
}

/* The ttl is the putter's wish, never more than our own. */
static tstamp expiry_of(const struct kad *k, uint32_t ttl, tstamp now)
{
    duration life = k->config.record_lifetime;

    if (ttl > 0 && ttl * SECONDS < life)
        life = ttl * SECONDS;
    return tstamp_add(now, life);
}

static enum err check_record(struct kad *k, const struct request *r,
                             const Wire__KadRecord *w)
{
    struct span value = message_bytes(w->value);
    enum err err;

    if (value.len == 0 || value.len > KAD_VALUE_MAX)
        return ERR_RECORD_SIZE;
    err = k->validator.validate(k->validator.ctx, r->key, value, r->wall);
    if (err == OK)
        return OK;
    k->stats.records_invalid++;
    peer_outcome(k, r->peer, KAD_PEER_BAD_RECORD, err, 0);
    return err;
}

static enum err on_put_value(struct kad *k, const struct request *r)
{
    const Wire__KadRecord *w = r->msg->record;
    struct message_record echo;
    struct message m = {.type = KAD_PUT_VALUE, .key = r->key, .record = &echo};
    struct record_in in = {.key = r->key, .received = r->wall};

    /* spec: kad-dht/README.md#rpc-messages
     *   key and record.key are the same */
    if (w == NULL || !span_eq(message_bytes(w->key), r->key))
        return ERR_PROTO;
    TRY(check_record(k, r, w));
    in.value = message_bytes(w->value);
    in.expires_at = expiry_of(k, w->ttl, r->now);
    if (!k->validator.publisher_of(k->validator.ctx, in.value, &in.owner))
        in.owner = (struct peer_id){0};
    if (peer_id_decode(&in.publisher, message_bytes(w->publisher)) != OK)
        in.publisher = (struct peer_id){0};
    echo = (struct message_record){.key = in.key, .value = in.value};
    TRY(answer_with(k, r, &m));
    return records_put(&k->records, &in, false, r->now, r->wall);
}

/* spec: kad-dht/README.md#content-provider-advertisement-and-discovery
 *   only the sender itself may be added; its entry comes with an address */
static enum err on_add_provider(struct kad *k, const struct request *r)
{
    const struct contact *c = routing_find(&k->routing, r->peer);
    struct addrs addrs = {0};
    enum err err = ERR_PROTO;

    for (size_t i = 0; i < r->msg->n_provider_peers && err != OK; i++) {
        struct peer_id id;

        addrs_release(&addrs, k->mem);
        if (peer_from_wire(k, r->msg->provider_peers[i], &id, &addrs) &&
            peer_id_eq(&id, r->peer))
            err = OK;
    }
    if (err == OK && addrs.count == 0 && c != NULL)
        err = addrs_add_packed(&addrs, addrs_span(&c->addrs), k->mem);
    if (err == OK && addrs.count == 0)
        err = ERR_PROTO;
    if (err == OK)
        err = providers_put(&k->providers, r->key, r->peer, addrs_span(&addrs),
                            tstamp_add(r->now, k->config.provider_lifetime),
                            false, r->now, r->wall);
    addrs_release(&addrs, k->mem);
    return err;
}

static enum err on_get_providers(struct kad *k, const struct request *r)
{
    struct kad_peer closer[KAD_K], found[KAD_PROVIDERS_PER_KEY + 1];
    struct message m = {.type = KAD_GET_PROVIDERS,
                        .key = r->key,
                        .closer = closer,
                        .providers = found};

    m.closer_count = closer_to(k, r, closer);
    if (own_key_find(k, r->key) != NULL)
        found[m.providers_count++] =
            (struct kad_peer){k->config.self, addrs_span(&k->addrs)};
    m.providers_count +=
        providers_of(&k->providers, r->key, r->now, found + m.providers_count,
                     KAD_PROVIDERS_PER_KEY);
    return answer_with(k, r, &m);
}

static enum err on_ping(struct kad *k, const struct request *r)
{
    struct message m = {.type = KAD_PING, .key = r->key};

    return answer_with(k, r, &m);
}

static const struct handler {
    enum err (*handle)(struct kad *k, const struct request *r);
    size_t key_min, key_max;
} handlers[] = {
    [KAD_PUT_VALUE] = {on_put_value, 1, KAD_KEY_MAX},
    [KAD_GET_VALUE] = {on_get_value, 1, KAD_KEY_MAX},
    [KAD_ADD_PROVIDER] = {on_add_provider, 1, KAD_PROVIDER_KEY_MAX},
    [KAD_GET_PROVIDERS] = {on_get_providers, 1, KAD_PROVIDER_KEY_MAX},
    [KAD_FIND_NODE] = {on_find_node, 1, KAD_KEY_MAX},
    [KAD_PING] = {on_ping, 0, KAD_KEY_MAX},
};

static enum err handle(struct kad *k, struct request *r, struct span msg)
{
    Wire__KadMessage *m;
    const struct handler *h;
    enum err err = message_decode(&k->arena, msg, &m);

    k->stats.messages_oversized += err == ERR_FRAME_SIZE;
    k->stats.messages_malformed += err == ERR_PROTO;
    if (err != OK)
        return err;
    r->msg = m;
    r->key = message_bytes(m->key);
    h = &handlers[m->type];
    k->stats.requests[m->type]++;
    err = r->key.len < h->key_min || r->key.len > h->key_max ? ERR_PROTO
                                                             : h->handle(k, r);
    k->stats.requests_refused[m->type] += err != OK;
    return err;
}

enum err kad_on_request(struct kad *k, const struct peer_id *peer,
                        struct span msg, tstamp now, wall_ms wall,
                        struct buf *answer)
{
    struct request r = {
        .peer = peer, .now = now, .wall = wall, .answer = answer};
    size_t before = buf_len(answer);
    enum err err;

    clock_set(k, now, wall);
    /* spec: kad-dht/README.md#client-and-server-mode
     *   clients do not answer */
    if (!k->config.is_server)
        return ERR_NO_PROTOCOL;
    arena_reset(&k->arena);
    err = handle(k, &r, msg);
    if (err != OK)
        answer->tail -= buf_len(answer) - before; /* half an answer is none */
    return err;
}
