/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Who is who: identify and its push both ways, ping, our own addresses. */

/* ---- Saying who we are. ---- */

static enum err write_identity(struct node *n, struct flow *f)
{
    struct identify_self self = {
        .public_key = pubkey_span(&n->identity_key),
        .addrs = n->announced.at,
        .addr_count = n->announced.count,
        .protocols = n->protocols,
        .protocol_count = n->protocol_count,
        .observed = &f->link->addr,
        .protocol_version = n->network->protocol_version,
        .agent_version = n->agent,
        .signed_record = buf_span(&n->signed_record),
    };
    struct buf out;
    enum err err;

    buf_init(&out, IDENTIFY_SENT_MAX + UVARINT_MAX, n->mem);
    err = identify_encode(&self, n->mem, &out);
    if (err == OK)
        err = flow_write(n, f, buf_span(&out));
    buf_release(&out);
    return err;
}

static void push_to(struct node *n, struct link *l)
{
    struct flow *f;

    if (flow_open(n, l, FLOW_PUSH_OUT, &n->protocols[PROTO_PUSH], 1, &f) ==
            OK &&
        write_identity(n, f) != OK)
        flow_reset(n, f);
}

void who_push_all(struct node *n)
{
    struct link *l, *tmp;

    MAP_FOR_EACH(n->links, l, tmp)
        if (l->peer != NULL && l == peer_link(l->peer) && l->peer->speaks_push)
            push_to(n, l);
}

static bool is_announced(const struct node *n, const struct multiaddr *a)
{
    return multiaddr_scope(a) != MULTIADDR_UNREACHABLE &&
           (n->config.is_private_network || !multiaddr_is_loopback(a));
}

static void announce_also(struct node *n, const struct multiaddr *a)
{
    for (size_t i = 0; i < n->announced.count; i++)
        if (multiaddr_eq(&n->announced.at[i], a))
            return;
    if (n->announced.count < STATUS_ADDRS_MAX)
        n->announced.at[n->announced.count++] = *a;
}

/* Grows also when the clock was set back: an older one is not believed. */
static uint64_t next_seq(struct node *n)
{
    uint64_t seq = (uint64_t)n->wall * 1000000;

    n->signed_seq = seq > n->signed_seq ? seq : n->signed_seq + 1;
    return n->signed_seq;
}

void who_addresses_changed(struct node *n)
{
    n->announced.count = 0;
    for (size_t i = 0; i < n->listen.count; i++)
        if (is_announced(n, &n->listen.at[i]))
            announce_also(n, &n->listen.at[i]);
    for (size_t i = 0; i < n->confirmed.count; i++)
        announce_also(n, &n->confirmed.at[i]);
    buf_clear(&n->signed_record);
    if (identify_make_record(&n->identity, n->announced.at, n->announced.count,
                             next_seq(n), n->mem, &n->signed_record) != OK)
        buf_clear(&n->signed_record);
    kad_set_addrs(n->kad, n->announced.at, n->announced.count);
    who_push_all(n);
}

void node_listening(struct node *n, const struct multiaddr *addrs, size_t count)
{
    n->listen.count = count < STATUS_ADDRS_MAX ? count : STATUS_ADDRS_MAX;
    if (n->listen.count > 0)
        memcpy(n->listen.at, addrs, n->listen.count * sizeof(*addrs));
    who_addresses_changed(n);
}

/* ---- Hearing who they are. ---- */

static char *join_protocols(struct node *n, const struct identify_info *info)
{
    size_t len = 1;
    char *text, *to;

    for (size_t i = 0; i < info->protocol_count; i++)
        len += info->protocols[i].len + 1;
    to = text = mem_try(n->mem, NULL, len);
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < info->protocol_count; i++) {
        struct span s = info->protocols[i];

        if (i > 0)
            *to++ = '\n';
        if (s.len > 0)
            memcpy(to, s.data, s.len);
        to += s.len;
    }
    *to = '\0';
    return text;
}

static char *copy_text(struct node *n, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = mem_try(n->mem, NULL, size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static int gossip_version_of(const struct identify_info *info)
{
    if (identify_has_protocol(info, "/meshsub/1.2.0"))
        return GOSSIP_V12;
    if (identify_has_protocol(info, "/meshsub/1.1.0"))
        return GOSSIP_V11;
    return identify_has_protocol(info, "/meshsub/1.0.0") ? GOSSIP_V10 : -1;
}

static void learn_protocols(struct node *n, struct peer *p,
                            const struct identify_info *info)
{
    mem_free(n->mem, p->protocols);
    p->protocols = join_protocols(n, info);
    p->is_kad_server = identify_has_protocol(info, n->protocols[PROTO_KAD]);
    p->speaks_search = identify_has_protocol(info, SEARCH_PROTOCOL);
    p->speaks_ping = identify_has_protocol(info, PING_PROTOCOL);
    p->speaks_push = identify_has_protocol(info, IDENTIFY_PUSH_PROTOCOL);
    p->gossip_version = gossip_version_of(info);
}

/* What is not said: of a push it is as it was, else there is none. */
static void identified(struct node *n, struct link *l,
                       const struct identify_info *info, bool is_push)
{
    struct peer *p = l->peer;

    if (info->agent_version[0] != '\0' || !is_push) {
        mem_free(n->mem, p->agent);
        p->agent = copy_text(n, info->agent_version);
    }
    if (info->protocol_count > 0 || !is_push)
        learn_protocols(n, p, info);
    /* Before what others said of it, which may be wrong and fill the list. */
    for (size_t i = info->addr_count; i-- > 0;)
        if (dial_may_use(n, &info->addrs[i], false))
            peer_add_addr(n, p, &info->addrs[i], true);
    if (l->is_outbound)
        peer_add_addr(n, p, &l->addr, true);
    observed_by(n, l, &info->observed);
    p->is_identified = true;
    pubsub_identified(n, p, info->record);
    dht_identified(n, p, l);
    connects_done(n, p, OK, NULL);
}

static void ask_again_later(struct node *n, struct link *l)
{
    l->identify_at = n->now + (IDENTIFY_RETRY << l->identify_tries);
}

void who_link_up(struct node *n, struct link *l)
{
    struct flow *f;

    l->identify_at = TSTAMP_NEVER;
    if (flow_open(n, l, FLOW_IDENTIFY_OUT, &n->protocols[PROTO_IDENTIFY], 1,
                  &f) == OK)
        f->u.reader = identify_reader_new(n->mem);
    else
        ask_again_later(n, l);
    l->identify_tries++;
}

void who_upkeep(struct node *n, struct link *l)
{
    if (!l->peer->is_identified && n->now >= l->identify_at &&
        l->identify_tries < IDENTIFY_TRIES_MAX)
        who_link_up(n, l);
}

/* Each push makes us go through what a peer is to us. */
static bool may_push(struct node *n, struct peer *p)
{
    tstamp due = p->push_due > n->now ? p->push_due : n->now;

    if (due > n->now + (PUSH_BURST - 1) * PUSH_EVERY) {
        n->count.pushes_refused++;
        return false;
    }
    p->push_due = due + PUSH_EVERY;
    return true;
}

void who_inbound(struct node *n, struct flow *f)
{
    if (f->type == FLOW_PUSH_IN && may_push(n, flow_peer(f)))
        f->u.reader = identify_reader_new(n->mem);
    else if (f->type == FLOW_PUSH_IN || write_identity(n, f) != OK)
        flow_reset(n, f);
    else
        flow_finish_later(n, f);
}

void who_fin(struct node *n, struct flow *f)
{
    const struct identify_info *info;
    struct link *l = f->link;
    bool is_push = f->type == FLOW_PUSH_IN;
    enum err err =
        identify_reader_finish(f->u.reader, &l->peer->id, is_push, &info);

    if (err == OK) {
        flow_finish(n, f);
        identified(n, l, info, is_push);
    } else if (err == ERR_WRONG_PEER) {
        link_close(n, l);
    } else {
        log_debug(n->log, "node", "identify failed reason=\"%s\"",
                  err_text(err));
        flow_reset(n, f);
    }
}

/* ---- Ping. ---- */

void who_ping(struct node *n, struct peer *p)
{
    struct flow *f;

    p->ping_at = n->now + PING_EVERY;
    if (flow_open(n, peer_link(p), FLOW_PING_OUT, &n->protocols[PROTO_PING], 1,
                  &f) != OK)
        return;
    ping_init(&f->u.ping);
    ping_send(&f->u.ping, &n->rng, n->now);
    if (flow_write(n, f, SPAN_OF(f->u.ping.bytes)) != OK)
        flow_reset(n, f);
}

static enum err pinged(struct node *n, struct flow *f, struct span data)
{
    struct peer *p = flow_peer(f);
    duration rtt;
    bool is_done;

    TRY(ping_recv(&f->u.ping, &data, n->now, &is_done, &rtt));
    if (!is_done)
        return OK;
    p->latency_ms = (double)rtt / (double)MILLISECONDS;
    peer_learn(n, &p->id, REPUTATION_PING_ANSWERED, REPUTATION_NO_SAMPLE);
    flow_finish(n, f);
    return OK;
}

enum err who_data(struct node *n, struct flow *f, struct span data)
{
    if (f->type == FLOW_PING_OUT)
        return pinged(n, f, data);
    return identify_reader_recv(f->u.reader, &data);
}

void who_gone(struct node *n, struct flow *f, enum err err)
{
    if (f->type == FLOW_IDENTIFY_OUT)
        ask_again_later(n, f->link);
    if (f->type != FLOW_PING_OUT)
        identify_reader_free(f->u.reader);
    else if (err == ERR_TIMEOUT && flow_peer(f) != NULL)
        peer_learn(n, &flow_peer(f)->id, REPUTATION_PING_FAILED,
                   REPUTATION_NO_SAMPLE);
}
