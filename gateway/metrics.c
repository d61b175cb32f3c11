/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <assert.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "store/store.h"
#include "store/worker.h"

/* What is answered; the last stands for all others. */
static const unsigned statuses[METRICS_STATUSES] = {
    200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413,
    415, 421, 422, 429, 431, 499, 500, 502, 503, 504, 599};
static const double bounds_s[METRICS_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 25};

static size_t status_index(unsigned status)
{
    size_t i = 0;

    while (i < METRICS_STATUSES - 1 && statuses[i] != status &&
           statuses[i + 1] != 0)
        i++;
    return i;
}

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void metrics_count(struct metrics *m, size_t route, unsigned status,
                   duration took)
{
    size_t at = status_index(status), bucket = 0;

    assert(route < METRICS_ROUTES_MAX);
    add(&m->requests[route][at].count, 1);
    add(&m->requests[route][at].sum_ns, took);
    while (bucket < METRICS_BUCKETS &&
           (double)took > bounds_s[bucket] * (double)SECONDS)
        bucket++;
    if (bucket < METRICS_BUCKETS)
        add(&m->requests[route][at].buckets[bucket], 1);
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* One row of one route and status, summed over all loops. */
static enum err write_series(struct gateway *g, size_t route, size_t status,
                             struct buf *out)
{
    const char *method =
        route < routes_count ? http_method_name(routes[route].method) : "any";
    const char *template =
        route < routes_count ? routes[route].template : "none";
    uint64_t count = 0, sum = 0, below = 0;
    char labels[192];

    for (unsigned i = 0; i < g->loop_count; i++) {
        count += load(&g->loops[i].metrics.requests[route][status].count);
        sum += load(&g->loops[i].metrics.requests[route][status].sum_ns);
    }
    if (count == 0)
        return OK;
    (void)snprintf(labels, sizeof(labels),
                   "method=\"%s\",route=\"%s\",status=\"%u\"", method, template,
                   statuses[status]);
    for (size_t b = 0; b < METRICS_BUCKETS; b++) {
        for (unsigned i = 0; i < g->loop_count; i++)
            below +=
                load(&g->loops[i].metrics.requests[route][status].buckets[b]);
        TRY(buf_printf(
            out,
            "http_server_request_duration_seconds_bucket{%s,le=\"%g\"} "
            "%llu\n",
            labels, bounds_s[b], (unsigned long long)below));
    }
    TRY(buf_printf(
        out,
        "http_server_request_duration_seconds_bucket{%s,le=\"+Inf\"} "
        "%llu\n",
        labels, (unsigned long long)count));
    TRY(buf_printf(out, "http_server_request_duration_seconds_sum{%s} %.9f\n",
                   labels, (double)sum / (double)SECONDS));
    return buf_printf(out,
                      "http_server_request_duration_seconds_count{%s} %llu\n",
                      labels, (unsigned long long)count);
}

static enum err write_requests(struct gateway *g, struct buf *out)
{
    TRY(buf_put_str(
        out, "# HELP http_server_request_duration_seconds How long requests "
             "took.\n# TYPE http_server_request_duration_seconds histogram\n"));
    for (size_t r = 0; r <= routes_count; r++)
        for (size_t s = 0; s < METRICS_STATUSES && statuses[s] != 0; s++)
            TRY(write_series(g, r, s, out));
    return OK;
}

static enum err write_one(struct buf *out, const char *name, const char *type,
                          const char *help, double value)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help,
                      name, type, name, value);
}

static enum err write_node(struct gateway *g, struct buf *out)
{
    struct node_status s;
    tstamp now = core_now();

    core_status(g->deps.core, &s);
#define GAUGE(name, help, value) \
    TRY(write_one(out, name, "gauge", help, (double)(value)))
#define COUNTER(name, help, value) \
    TRY(write_one(out, name, "counter", help, (double)(value)))
    GAUGE("peers_connected", "Peers we are connected to.", s.peers_connected);
    GAUGE("peers_known", "Peers we know of.", s.peers_known);
    GAUGE("kad_routing_table_peers", "Peers in the routing table.",
          s.routing_table_peers);
    GAUGE("kad_records", "DHT records held.", s.records);
    GAUGE("kad_provider_keys", "DHT provider keys held.", s.provider_keys);
    GAUGE("gossip_mesh_peers", "Peers in the mesh.", s.mesh_peers);
    GAUGE("souk_outbox", "Publishes still on their way.", s.outbox);
    GAUGE("loop_lag_seconds", "Worst delay of the core loop in a second.",
          (double)s.loop_lag / (double)SECONDS);
    GAUGE("souk_uptime_seconds", "Since the node started.",
          now > s.started_at ? (double)(now - s.started_at) / (double)SECONDS
                             : 0);
    COUNTER("kad_lookups_total", "Lookups finished.", s.lookups);
    COUNTER("kad_rpcs_received_total", "Requests of peers.", s.rpcs_in);
    COUNTER("kad_rpcs_sent_total", "Requests to peers.", s.rpcs_out);
    COUNTER("gossip_received_total", "Gossip messages received.",
            s.gossip_received);
    COUNTER("gossip_sent_total", "Gossip messages sent.", s.gossip_sent);
    COUNTER("gossip_rejected_total", "Gossip messages refused.",
            s.gossip_rejected);
    COUNTER("p2p_received_bytes_total", "Bytes from peers.", s.bytes_in);
    COUNTER("p2p_sent_bytes_total", "Bytes to peers.", s.bytes_out);
    return OK;
}

static enum err write_store(struct gateway *g, struct buf *out)
{
    struct store_counts counts;
    struct worker_status worker;
    struct cache_status cache;

    store_counts(g->deps.store, &counts);
    worker_status(g->deps.worker, &worker);
    cache_status(g->deps.cache, &cache);
    GAUGE("souk_packages", "Packages in the catalogue.", counts.packages);
    GAUGE("souk_versions", "Versions in the catalogue.", counts.versions);
    GAUGE("souk_catalogue_others_bytes", "Others' packages on disk.",
          counts.others_bytes);
    COUNTER("souk_catalogue_evicted_total", "Packages evicted.",
            counts.evicted);
    GAUGE("souk_store_waiting_jobs", "Writes waiting.",
          worker.urgent + worker.behind);
    COUNTER("souk_store_commits_total", "Transactions.", worker.commits);
    TRY(buf_printf(out,
                   "# HELP souk_cache_hits_total Answers found ready.\n"
                   "# TYPE souk_cache_hits_total counter\n"
                   "souk_cache_hits_total{tier=\"hot\"} %llu\n"
                   "# HELP souk_cache_misses_total Answers not found ready.\n"
                   "# TYPE souk_cache_misses_total counter\n"
                   "souk_cache_misses_total{tier=\"hot\"} %llu\n",
                   (unsigned long long)cache.hits,
                   (unsigned long long)cache.misses));
    GAUGE("souk_cache_bytes", "Answers kept ready.", cache.bytes);
    return OK;
}

static enum err write_gateway(struct gateway *g, struct buf *out)
{
    GAUGE("http_connections", "Connections of clients.", load(&g->conns.use));
    GAUGE("http_body_bytes", "Request bodies in memory.", load(&g->bodies.use));
    TRY(buf_printf(out,
                   "# HELP limit_refused_total What a limit refused.\n"
                   "# TYPE limit_refused_total counter\n"
                   "limit_refused_total{limit=\"http_connections\"} %llu\n"
                   "limit_refused_total{limit=\"http_body_bytes\"} %llu\n"
                   "limit_refused_total{limit=\"http_rate\"} %llu\n",
                   (unsigned long long)load(&g->conns.refused),
                   (unsigned long long)load(&g->bodies.refused),
                   (unsigned long long)load(&g->throttled.refused)));
    return OK;
}

enum err metrics_write(struct gateway *g, struct buf *out)
{
    TRY(write_requests(g, out));
    TRY(write_node(g, out));
    TRY(write_store(g, out));
    return write_gateway(g, out);
}
