/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "store/store.h"
#include "tbl/network.h"

static void addresses_write(struct jw *j, const char *key,
                            const struct status_addrs *addrs)
{
    char text[MULTIADDR_TEXT_MAX];

    jw_key(j, key);
    jw_open(j, '[');
    for (size_t i = 0; i < addrs->count; i++)
        jw_str(j, multiaddr_format(&addrs->at[i], text));
    jw_close(j, ']');
}

static void count_write(struct jw *j, const char *key, uint64_t n)
{
    jw_key(j, key);
    jw_u64(j, n);
}

static void counts_write(struct jw *j, const struct node_status *s,
                         const struct store_counts *c)
{
    jw_key(j, "counts");
    jw_open(j, '{');
    count_write(j, "packages", c->packages);
    count_write(j, "versions", c->versions);
    count_write(j, "own_packages", c->own);
    count_write(j, "peers_connected", s->peers_connected);
    count_write(j, "peers_known", s->peers_known);
    count_write(j, "routing_table_peers", s->routing_table_peers);
    count_write(j, "records", s->records);
    count_write(j, "provider_keys", s->provider_keys);
    count_write(j, "mesh_peers", s->mesh_peers);
    count_write(j, "outbox", c->outbox);
    jw_close(j, '}');
}

void route_node(struct exchange *x)
{
    char id[PEER_ID_TEXT_MAX];
    tstamp now = core_now();
    struct store_counts c;
    struct node_status s;
    duration up;
    struct jw j;

    core_status(x->gateway->deps.core, &s);
    store_counts(x->gateway->deps.store, &c);
    up = s.started_at != 0 && now > s.started_at ? now - s.started_at : 0;
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "id");
    jw_str(&j, peer_id_format(&x->gateway->self, id));
    jw_key(&j, "version");
    jw_str(&j, x->gateway->version);
    jw_key(&j, "network");
    jw_str(&j, x->gateway->deps.network->name);
    jw_key(&j, "addresses");
    jw_open(&j, '{');
    addresses_write(&j, "listen", &s.listen);
    addresses_write(&j, "announced", &s.announced);
    addresses_write(&j, "confirmed", &s.confirmed);
    jw_close(&j, '}');
    jw_key(&j, "started_at");
    jw_time(&j, gateway_wall() - (wall_ms)(up / MILLISECONDS));
    jw_key(&j, "uptime_s");
    jw_double(&j, (double)up / (double)SECONDS);
    jw_key(&j, "standalone");
    jw_bool(&j, s.is_standalone);
    jw_key(&j, "draining");
    jw_bool(&j, s.is_draining || atomic_load(&x->gateway->is_draining));
    counts_write(&j, &s, &c);
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}
