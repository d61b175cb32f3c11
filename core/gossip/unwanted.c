/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* IDONTWANT: who has a large message tells its mesh at once, so that nobody
 * sends it again.
 *
 * spec: pubsub/gossipsub/gossipsub-v1.2.md#idontwant-message */

static struct blob *make_idontwant(struct gossip *g, const struct msg_id *id)
{
    ProtobufCBinaryData ids[] = {wire_bytes(msg_id_span(id))};
    Wire__GossipIDontWant idontwant = WIRE__GOSSIP_IDONT_WANT__INIT;
    Wire__GossipIDontWant *idontwants[] = {&idontwant};
    Wire__GossipControl control = WIRE__GOSSIP_CONTROL__INIT;
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;

    idontwant.n_ids = 1;
    idontwant.ids = ids;
    control.n_idontwant = 1;
    control.idontwant = idontwants;
    rpc.control = &control;
    return pack_rpc(g, &rpc);
}

/* The specification lets it be told before the message is judged.  We look at
 * the signature first: the id may be of the data alone, and whoever sent it
 * under a false name must not make others keep the true message back. */
void unwanted_tell(struct gossip *g, const struct message *m)
{
    struct blob *b = NULL;
    struct peer *p, *next;

    if (m->data_len < g->config.idontwant_bytes)
        return;
    MAP_FOR_EACH(g->peers, p, next) {
        if (p->version < GOSSIP_V12 || !(p->mesh & topic_bit(m->topic)) ||
            message_has_copy(m, p) || peer_id_eq(&p->id, &m->author) ||
            p->idontwants_out >= IDONTWANT_IDS_MAX)
            continue;
        if (b == NULL && (b = make_idontwant(g, &m->id)) == NULL)
            return;
        p->idontwants_out++;
        g->stats.idontwant_ids_out++;
        send_blob(g, p, GOSSIP_SEND_GOSSIP, b);
    }
    blob_unref(b, g->mem);
}

/* An id and who does not want it, in one. */
static uint64_t unwanted_hash(const struct peer *p, struct span id)
{
    uint8_t both[GOSSIP_ID_MAX + sizeof(p->serial)];

    memcpy(both, &p->serial, sizeof(p->serial));
    memcpy(both + sizeof(p->serial), id.data, id.len);
    return seen_hash(SPAN(both, sizeof(p->serial) + id.len));
}

/* Beyond the limit a peer is not believed, nor blamed: it costs it copies. */
void unwanted_on_idontwant(struct gossip *g, struct peer *p,
                           const Wire__GossipIDontWant *idontwant, tstamp now)
{
    g->stats.idontwant_ids_in += idontwant->n_ids;
    for (size_t i = 0; i < idontwant->n_ids; i++) {
        struct span id = wire_span(idontwant->ids[i]);

        if (p->idontwants_in >= IDONTWANT_IDS_MAX)
            return;
        p->idontwants_in++;
        if (id.len > 0 && id.len <= GOSSIP_ID_MAX)
            seen_add(&g->unwanted, unwanted_hash(p, id), now);
    }
}

bool unwanted_is(struct gossip *g, const struct peer *p,
                 const struct msg_id *id, tstamp now)
{
    if (g->unwanted.count == 0 ||
        !seen_has(&g->unwanted, unwanted_hash(p, msg_id_span(id)), now))
        return false;
    g->stats.kept_back++;
    return true;
}
