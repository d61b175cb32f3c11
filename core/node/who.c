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

void who_addresses_changed(struct node *n)
{
    size_t count = 0;

    for (size_t i = 0; i < n->listen.count; i++)
        if (is_announced(n, &n->listen.at[i]))
            n->announced.at[count++] = n->listen.at[i];
    for (size_t i = 0; i < n->confirmed.count && count < STATUS_ADDRS_MAX; i++)
        n->announced.at[count++] = n->confirmed.at[i];
    n->announced.count = count;
    buf_clear(&n->signed_record);
    if (identify_make_record(&n->identity, n->announced.at, count,
                             (uint64_t)n->wall * 1000000, n->mem,
                             &n->signed_record) != OK)
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

/* ---- How others see us. ---- */

/* An address is ours once two peers told of it that we dialled from our listen
 * port's machine: those that dialled us only repeat what they dialled. */
static void observed(struct node *n, const struct peer *p,
                     const struct multiaddr *a)
{
    size_t i;

    if (a->len == 0 || !multiaddr_is_global(a))
        return;
    for (i = 0; i < n->confirmed.count; i++)
        if (multiaddr_eq(&n->confirmed.at[i], a))
            return;
    for (i = 0; i < n->observed_count; i++)
        if (multiaddr_eq(&n->observed[i].addr, a))
            break;
    if (i == n->observed_count) {
        if (n->observed_count == STATUS_ADDRS_MAX)
            i = (size_t)rng_below(&n->rng, STATUS_ADDRS_MAX);
        else
            n->observed_count++;
        n->observed[i].addr = *a;
        n->observed[i].by = p->id;
        return;
    }
    if (peer_id_eq(&n->observed[i].by, &p->id) ||
        n->confirmed.count == STATUS_ADDRS_MAX)
        return;
    n->confirmed.at[n->confirmed.count++] = *a;
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

static void identified(struct node *n, struct link *l,
                       const struct identify_info *info)
{
    struct peer *p = l->peer;

    mem_free(n->mem, p->agent);
    mem_free(n->mem, p->protocols);
    p->agent = copy_text(n, info->agent_version);
    p->protocols = join_protocols(n, info);
    p->is_kad_server = identify_has_protocol(info, n->protocols[PROTO_KAD]);
    p->speaks_search = identify_has_protocol(info, SEARCH_PROTOCOL);
    p->speaks_ping = identify_has_protocol(info, PING_PROTOCOL);
    p->speaks_push = identify_has_protocol(info, IDENTIFY_PUSH_PROTOCOL);
    p->gossip_version = gossip_version_of(info);
    /* Before what others said of it, which may be wrong and fill the list. */
    for (size_t i = info->addr_count; i-- > 0;)
        if (dial_may_use(n, &info->addrs[i], false))
            peer_add_addr(n, p, &info->addrs[i], true);
    if (l->is_outbound)
        peer_add_addr(n, p, &l->addr, true);
    observed(n, p, &info->observed);
    p->is_identified = true;
    pubsub_open(n, p);
    dht_identified(n, p, l);
    connects_done(n, p, OK, NULL);
}

void who_link_up(struct node *n, struct link *l)
{
    struct flow *f;

    if (flow_open(n, l, FLOW_IDENTIFY_OUT, &n->protocols[PROTO_IDENTIFY], 1,
                  &f) == OK)
        f->u.reader = identify_reader_new(n->mem);
}

void who_inbound(struct node *n, struct flow *f)
{
    if (f->type == FLOW_PUSH_IN)
        f->u.reader = identify_reader_new(n->mem);
    else if (write_identity(n, f) != OK)
        flow_reset(n, f);
    else
        flow_finish_later(n, f);
}

void who_fin(struct node *n, struct flow *f)
{
    const struct identify_info *info;
    struct link *l = f->link;
    enum err err = identify_reader_finish(f->u.reader, &l->peer->id, &info);

    if (err == OK) {
        flow_finish(n, f);
        identified(n, l, info);
    } else if (err == ERR_WRONG_PEER) {
        link_close(n, l);
    } else {
        log_debug(n->log, "node", "identify failed reason=\"%s\"",
                  err_text(err));
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
    if (f->type != FLOW_PING_OUT)
        identify_reader_free(f->u.reader);
    else if (err == ERR_TIMEOUT && flow_peer(f) != NULL)
        peer_learn(n, &flow_peer(f)->id, REPUTATION_PING_FAILED,
                   REPUTATION_NO_SAMPLE);
}
