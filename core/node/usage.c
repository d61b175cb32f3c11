/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/usage.h"

#include <stdlib.h>

#include "node/internal.h"

/* How full the node's limits are: read off what the rooms count anyway. */

static void set(struct usages *out, enum usage_id id, uint64_t limit,
                uint64_t use, uint64_t refused)
{
    out->of[id] =
        (struct usage){.limit = limit, .use = use, .refused = refused};
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- Connections. ---- */

struct address {
    uint8_t bytes[sizeof(((struct endpoint *)0)->ip)];
};

static int address_cmp(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address));
}

/* How many connections the address with the most of them has. */
static uint64_t most_of_one_ip(const struct node *n)
{
    size_t count = 0, run = 0, best = 0;
    struct address *all;
    struct link *l, *tmp;

    all = mem_try_zero(n->mem, (MAP_COUNT(n->links) + 1) * sizeof(*all));
    if (all == NULL)
        return 0;
    MAP_FOR_EACH(n->links, l, tmp) {
        struct endpoint e;

        if (!multiaddr_endpoint(&l->addr, &e))
            continue;
        memcpy(all[count++].bytes, e.ip, sizeof(e.ip));
    }
    qsort(all, count, sizeof(*all), address_cmp);
    for (size_t i = 0; i < count; i++) {
        run = i > 0 && address_cmp(&all[i], &all[i - 1]) == 0 ? run + 1 : 1;
        best = run > best ? run : best;
    }
    mem_free(n->mem, all);
    return best;
}

static void of_connections(const struct node *n, struct usages *out)
{
    const struct node_config *c = &n->config;
    uint64_t in = 0, outbound = 0, refused = n->count.streams_refused;
    uint64_t partial = n->partial.refused + n->count.partial_refused;
    struct link *l, *tmp;

    MAP_FOR_EACH(n->links, l, tmp) {
        struct conn_stats s = {.streams_in = 0};

        if (l->conn != NULL)
            conn_stats(l->conn, &s);
        in = most(in, s.streams_in);
        outbound = most(outbound, s.streams_out);
        refused += s.streams_refused;
        partial += l->partial.refused;
    }
    set(out, USAGE_CONNS, c->conns_max, MAP_COUNT(n->links),
        n->count.conns_refused);
    set(out, USAGE_CONNS_IP, c->is_private_network ? 0 : c->conns_ip_max,
        most_of_one_ip(n), n->count.conns_ip_refused);
    set(out, USAGE_CONNS_TRIM, c->conns_trim, MAP_COUNT(n->links),
        n->count.conns_trimmed);
    set(out, USAGE_DIALS, LIMIT_DIALS_IN_FLIGHT, n->dialling_count,
        n->count.dials_refused);
    set(out, USAGE_STREAMS_IN, conn_limits_default.streams_in_max, in, refused);
    set(out, USAGE_STREAMS_OUT, conn_limits_default.streams_out_max, outbound,
        n->count.streams_out_refused);
    set(out, USAGE_UNSENT_BYTES, n->config.unsent_bytes_max, n->unsent,
        n->count.unsent_refused);
    set(out, USAGE_PARTIAL_BYTES, n->partial.max, n->partial.used, partial);
    set(out, USAGE_MESSAGE_BYTES, GOSSIP_RPC_ACCEPTED_MAX, 0,
        n->count.messages_refused);
}

static void of_peers(const struct node *n, struct usages *out)
{
    struct peer *p, *tmp;
    uint64_t waiting = 0;

    MAP_FOR_EACH(n->peers, p, tmp)
        waiting = most(waiting, p->waiting_count);
    set(out, USAGE_RPCS_WAITING, PEER_WAITING_MAX, waiting,
        n->count.waiting_refused);
    set(out, USAGE_PUSHES, PUSH_BURST, 0, n->count.pushes_refused);
    set(out, USAGE_PEERS_KNOWN, PEERS_KNOWN_MAX, MAP_COUNT(n->peers),
        n->count.peers_evicted);
}

/* ---- The protocols. ---- */

static void of_dht(const struct node *n, struct usages *out)
{
    struct kad_config c;
    struct kad_stats k;

    dht_config(n, &c);
    kad_stats(n->kad, &k);
    set(out, USAGE_DHT_RECORDS, c.records_max, k.records, k.records_refused);
    set(out, USAGE_DHT_RECORD_BYTES, c.record_bytes_max, k.record_bytes,
        k.record_bytes_refused);
    set(out, USAGE_DHT_PUBLISHERS, KAD_PUBLISHERS_MAX, 0, k.publishers_refused);
    set(out, USAGE_DHT_PROVIDERS, c.provider_records_max, k.provider_records,
        k.providers_refused);
    set(out, USAGE_DHT_PROVIDER_KEYS, c.provider_keys_max, 0,
        k.provider_keys_refused);
    set(out, USAGE_DHT_PROVIDED, c.provided_max, k.provided,
        k.provided_refused);
    set(out, USAGE_DHT_OPERATIONS, c.operations_max, k.operations,
        k.operations_refused);
    set(out, USAGE_DHT_RPCS, c.rpcs_max, k.rpcs, k.rpcs_refused);
    set(out, USAGE_DHT_CONTACTS, c.contacts_max, k.contacts,
        k.contacts_refused);
    set(out, USAGE_DHT_GROUP, c.is_private_network ? 0 : KAD_GROUP_TABLE_MAX, 0,
        k.group_refused);
    set(out, USAGE_TERMS, n->config.terms_max, MAP_COUNT(n->terms),
        n->count.terms_refused);
}

static void of_gossip(const struct node *n, struct usages *out)
{
    const struct gossip_stats *s = gossip_stats(n->gossip);
    struct gossip_usage g;

    gossip_usage(n->gossip, &g);
    set(out, USAGE_GOSSIP_PEERS, g.peers_max, g.peers, g.peers_refused);
    set(out, USAGE_GOSSIP_PENDING, g.pending_max, g.pending, g.pending_refused);
    set(out, USAGE_GOSSIP_PENDING_BYTES, g.pending_bytes_max, g.pending_bytes,
        g.pending_bytes_refused);
    set(out, USAGE_GOSSIP_SEEN, g.seen_max, gossip_seen_count(n->gossip),
        s->seen_evicted);
    set(out, USAGE_GOSSIP_CACHE_BYTES, g.cache_bytes_max,
        gossip_cache_bytes(n->gossip), s->cache_evicted);
    set(out, USAGE_GOSSIP_EVENTS, g.events_max, g.events, g.events_refused);
    set(out, USAGE_GOSSIP_SCORES_LEFT, g.left_max, g.left,
        s->standings_evicted);
    set(out, USAGE_GOSSIP_BACKOFFS, g.backoffs_max, g.backoffs,
        g.backoffs_evicted);
    set(out, USAGE_GOSSIP_UNWANTED, g.unwanted_max, g.unwanted,
        g.unwanted_evicted);
    set(out, USAGE_GOSSIP_PX, PX_DIALS_MAX,
        n->now < n->px_since + PX_DIALS_WITHIN ? n->px_dials : 0,
        n->count.px_refused);
    set(out, USAGE_GOSSIP_BUDGET, GOSSIP_MESSAGES_PER_S, 0,
        s->outcomes[GOSSIP_OVER_BUDGET]);
}

/* ---- The whole. ---- */

void node_usage(const struct node *n, struct usages *out)
{
    of_connections(n, out);
    of_peers(n, out);
    of_dht(n, out);
    of_gossip(n, out);
    set(out, USAGE_SEARCHES_SERVED, SEARCHES_SERVED_MAX, MAP_COUNT(n->served),
        n->count.searches_refused);
    set(out, USAGE_SEARCH_RATE, search_pace_rate(n->pace_in), 0,
        search_pace_refused(n->pace_in));
    set(out, USAGE_REQUESTS, REQUESTS_MAX, n->request_count,
        n->count.requests_refused);
    set(out, USAGE_OUTBOX_IN_FLIGHT, OUTBOX_ITEMS_MAX, n->outbox.count, 0);
}
