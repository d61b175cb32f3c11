/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* A message is here from its signature's check to five heartbeats after its
 * verdict:
 *
 *    message_add ─► pending ─► cache ─► message_drop
 *                      └── rejected, ignored, out of time ──┘
 */

struct message *message_find(const struct gossip *g, const struct msg_id *id)
{
    struct message *m;

    MAP_FIND(g->messages, id->bytes, id->len, m);
    return m;
}

struct message *message_add(struct gossip *g, const struct msg_id *id,
                            struct blob *b)
{
    struct message *m = mem_try_zero(g->mem, sizeof(*m));

    if (m == NULL) {
        blob_unref(b, g->mem);
        return NULL;
    }
    m->id = *id;
    m->blob = b;
    list_init(&m->link);
    list_init(&m->fresh);
    MAP_ADD(g->messages, m->id.bytes, m->id.len, m);
    return m;
}

void message_drop(struct gossip *g, struct message *m)
{
    assert(g->messages != NULL);
    if (m->is_pending)
        pending_stop(g, m);
    else if (!list_is_empty(&m->link))
        g->cached_bytes -= m->blob->end;
    list_remove(&m->link);
    list_remove(&m->fresh);
    MAP_DEL(g->messages, m);
    blob_unref(m->blob, g->mem);
    mem_free(g->mem, m->sent);
    mem_free(g->mem, m);
}

bool message_note_copy(struct message *m, const struct peer *from)
{
    if (m->copy_count >= COPIES_MAX || message_has_copy(m, from))
        return false;
    m->copies[m->copy_count++] = from->serial;
    return true;
}

bool message_has_copy(const struct message *m, const struct peer *p)
{
    for (size_t i = 0; i < m->copy_count; i++)
        if (m->copies[i] == p->serial)
            return true;
    return false;
}

/* ---- Waiting for a verdict. ---- */

bool pending_has_room(struct gossip *g, size_t bytes)
{
    bool has_slot = g->pending_count < g->config.pending_max;
    bool has_bytes = bytes <= g->config.pending_bytes_max - g->pending_bytes;

    g->pending_refused += !has_slot;
    g->pending_bytes_refused += !has_bytes;
    return has_slot && has_bytes;
}

/* A token is its slot and which use of the slot it is. */
void pending_start(struct gossip *g, struct message *m, const struct peer *from,
                   tstamp now)
{
    size_t slots = g->config.pending_max;

    assert(g->pending_count < slots);
    while (g->slots[++g->tokens % slots] != NULL)
        ;
    g->slots[g->tokens % slots] = m;
    m->token = g->tokens;
    m->is_pending = true;
    m->since = now;
    m->sender = from->id;
    m->copies[0] = from->serial;
    m->copy_count = 1;
    list_push_back(&g->pending, &m->link);
    g->pending_count++;
    g->pending_bytes += m->blob->end;
}

struct message *pending_find(const struct gossip *g, uint64_t token)
{
    struct message *m = g->slots[token % g->config.pending_max];

    return m != NULL && m->token == token ? m : NULL;
}

void pending_stop(struct gossip *g, struct message *m)
{
    assert(m->is_pending);
    g->slots[m->token % g->config.pending_max] = NULL;
    g->pending_count--;
    g->pending_bytes -= m->blob->end;
    list_remove(&m->link);
    m->is_pending = false;
}

void pending_expire(struct gossip *g, tstamp now)
{
    LIST_FOR_EACH(link, &g->pending) {
        struct message *m = LIST_ENTRY(link, struct message, link);

        if (now < tstamp_add(m->since, g->config.verdict_ttl))
            break;
        message_drop(g, m);
    }
}

/* ---- Kept for IWANT. ---- */

static struct message *oldest_cached(struct gossip *g)
{
    return LIST_ENTRY(g->cached.next, struct message, link);
}

void cache_start(struct gossip *g, struct message *m, tstamp now)
{
    m->beat = g->beat;
    list_push_back(&g->cached, &m->link);
    g->cached_bytes += m->blob->end;
    while (g->cached_bytes > g->config.cache_bytes_max) {
        struct message *oldest = oldest_cached(g);

        if (!list_is_empty(&oldest->fresh))
            message_hand_on(g, oldest, now);
        message_drop(g, oldest);
        g->stats.cache_evicted++;
    }
}

void cache_shift(struct gossip *g)
{
    while (!list_is_empty(&g->cached) &&
           g->beat - oldest_cached(g)->beat >= CACHE_BEATS)
        message_drop(g, oldest_cached(g));
}

static struct retransmit *sent_entry(struct gossip *g, struct message *m,
                                     uint32_t serial)
{
    uint32_t cap = m->sent_cap ? 2 * m->sent_cap : 4;
    struct retransmit *sent;

    for (uint32_t i = 0; i < m->sent_count; i++)
        if (m->sent[i].serial == serial)
            return &m->sent[i];
    if (m->sent_count == m->sent_cap) {
        if (m->sent_count >= g->config.peers_max)
            return NULL;
        sent = mem_try(g->mem, m->sent, cap * sizeof(*sent));
        if (sent == NULL)
            return NULL;
        m->sent = sent;
        m->sent_cap = cap;
    }
    m->sent[m->sent_count] = (struct retransmit){.serial = serial};
    return &m->sent[m->sent_count++];
}

bool cache_may_resend(struct gossip *g, struct message *m, const struct peer *p)
{
    struct retransmit *sent = sent_entry(g, m, p->serial);

    if (sent == NULL || sent->count >= RETRANSMIT_MAX)
        return false;
    sent->count++;
    return true;
}
