/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "gateway/usage.h"
#include "store/store.h"
#include "store/worker.h"
#include "telemetry/telemetry.h"

/* What is answered; the last stands for all others. */
static const unsigned statuses[METRICS_STATUSES] = {
    200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 413,
    415, 421, 422, 429, 431, 499, 500, 502, 503, 504, 599};

/* ---- Counting. ---- */

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

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void observe(struct timings *t, duration took)
{
    size_t bucket = 0;

    add(&t->count, 1);
    add(&t->sum_ns, took);
    while (bucket < HISTOGRAM_BUCKETS &&
           (double)took > histogram_durations[bucket] * (double)SECONDS)
        bucket++;
    if (bucket < HISTOGRAM_BUCKETS)
        add(&t->buckets[bucket], 1);
}

void metrics_count(struct metrics *m, size_t route, unsigned status,
                   duration took)
{
    assert(route < METRICS_ROUTES_MAX);
    observe(&m->requests[route][status_index(status)], took);
}

void metrics_searched(struct metrics *m, enum search_scope scope,
                      enum search_end end, duration took)
{
    observe(&m->searches[scope][end], took);
}

void metrics_catalogue(struct metrics *m, bool is_hit)
{
    add(is_hit ? &m->catalogue_hits : &m->catalogue_misses, 1);
}

/* ---- The text. ---- */

static enum err write_head(struct buf *out, const char *name, const char *type,
                           const char *help)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                      type);
}

static enum err write_one(struct buf *out, const char *name, const char *type,
                          const char *help, double value)
{
    TRY(write_head(out, name, type, help));
    return buf_printf(out, "%s %.17g\n", name, value);
}

/* One series of a histogram; |labels| without braces, may be "". */
static enum err write_histogram(struct buf *out, const char *name,
                                const char *labels, const double *bounds,
                                const struct histogram *h)
{
    const char *comma = labels[0] ? "," : "";
    const char *open = labels[0] ? "{" : "", *close = labels[0] ? "}" : "";
    uint64_t below = 0;

    for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
        below += h->buckets[b];
        TRY(buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name,
                       labels, comma, bounds[b], below));
    }
    TRY(buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name,
                   labels, comma, h->count));
    TRY(buf_printf(out, "%s_sum%s%s%s %.9f\n", name, open, labels, close,
                   h->sum));
    return buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels,
                      close, h->count);
}

/* |t| of one loop on top. */
static void gather(struct histogram *h, const struct timings *t)
{
    h->count += load(&t->count);
    h->sum += (double)load(&t->sum_ns) / (double)SECONDS;
    for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
        h->buckets[b] += load(&t->buckets[b]);
}

/* ---- The gateway's. ---- */

static const char requests_name[] = "http_server_request_duration_seconds";

/* One row of one route and status, summed over all loops. */
static enum err write_requests_of(struct gateway *g, size_t route,
                                  size_t status, struct buf *out)
{
    const char *method =
        route < routes_count ? http_method_name(routes[route].method) : "any";
    const char *template =
        route < routes_count ? routes[route].template : "none";
    struct histogram h = {.count = 0};
    char labels[192];

    for (unsigned i = 0; i < g->loop_count; i++)
        gather(&h, &g->loops[i].metrics.requests[route][status]);
    if (h.count == 0)
        return OK;
    (void)snprintf(labels, sizeof(labels),
                   "method=\"%s\",route=\"%s\",status=\"%u\"", method, template,
                   statuses[status]);
    return write_histogram(out, requests_name, labels, histogram_durations, &h);
}

static enum err write_requests(struct gateway *g, struct buf *out)
{
    TRY(write_head(out, requests_name, "histogram", "How long requests took."));
    for (size_t r = 0; r <= routes_count; r++)
        for (size_t s = 0; s < METRICS_STATUSES && statuses[s] != 0; s++)
            TRY(write_requests_of(g, r, s, out));
    return OK;
}

static enum err write_searches(struct gateway *g, struct buf *out)
{
    static const char name[] = "souk_search_duration_seconds";
    static const char *const scopes[] = {"local", "network"};
    static const char *const ends[] = {"complete", "incomplete", "failed"};
    char labels[64];

    TRY(write_head(out, name, "histogram", "How long searches took."));
    for (size_t s = 0; s < SEARCH_SCOPES; s++)
        for (size_t e = 0; e < SEARCH_ENDS; e++) {
            struct histogram h = {.count = 0};

            for (unsigned i = 0; i < g->loop_count; i++)
                gather(&h, &g->loops[i].metrics.searches[s][e]);
            (void)snprintf(labels, sizeof(labels),
                           "scope=\"%s\",outcome=\"%s\"", scopes[s], ends[e]);
            TRY(write_histogram(out, name, labels, histogram_durations, &h));
        }
    return OK;
}

#define GAUGE(name, help, value) \
    TRY(write_one(out, name, "gauge", help, (double)(value)))
#define COUNTER(name, help, value) \
    TRY(write_one(out, name, "counter", help, (double)(value)))

static enum err write_gateway(struct gateway *g, struct buf *out)
{
    TRY(write_requests(g, out));
    TRY(write_searches(g, out));
    GAUGE("http_connections", "Connections of clients.", load(&g->conns.use));
    GAUGE("http_body_bytes", "Request bodies in memory.", load(&g->bodies.use));
    return OK;
}

/* ---- The core's. ---- */

static enum err write_status(struct gateway *g, struct buf *out)
{
    struct node_status s;
    tstamp now = core_now();

    core_status(g->deps.core, &s);
    GAUGE("peers_connected", "Peers we are connected to.", s.peers_connected);
    GAUGE("peers_known", "Peers we know of.", s.peers_known);
    GAUGE("kad_routing_table_peers", "Peers in the routing table.",
          s.routing_table_peers);
    GAUGE("kad_records", "DHT records held.", s.records);
    GAUGE("kad_provider_keys", "DHT provider keys held.", s.provider_keys);
    GAUGE("souk_outbox", "Publishes still on their way.", s.outbox);
    GAUGE("loop_lag_seconds", "Worst delay of the core loop in a second.",
          (double)s.loop_lag / (double)SECONDS);
    GAUGE("souk_uptime_seconds", "Since the node started.",
          now > s.started_at ? (double)(now - s.started_at) / (double)SECONDS
                             : 0);
    COUNTER("p2p_received_bytes_total", "Bytes from peers.", s.bytes_in);
    COUNTER("p2p_dials_failed_total", "Peers that no dial reached.",
            s.dials_failed);
    COUNTER("p2p_names_failed_total", "DNS questions that failed.",
            s.names_failed);
    COUNTER("souk_clock_jumps_total", "Times the wall clock was set.",
            s.clock_jumps);
    COUNTER("p2p_sent_bytes_total", "Bytes to peers.", s.bytes_out);
    return OK;
}

static enum err write_lookups(const struct node_metrics *m, struct buf *out)
{
    static const char name[] = "kad_lookup_duration_seconds";
    char labels[96];

    TRY(write_head(out, name, "histogram", "How long DHT operations took."));
    for (size_t i = 0; i < m->lookup_count; i++) {
        (void)snprintf(labels, sizeof(labels), "op=\"%s\",outcome=\"%s\"",
                       m->lookups[i].op, m->lookups[i].outcome);
        TRY(write_histogram(out, name, labels, histogram_durations,
                            &m->lookups[i].took));
    }
    return OK;
}

static enum err write_rpcs(const struct node_metrics *m, struct buf *out)
{
    TRY(write_head(out, "kad_rpc_total", "counter",
                   "Questions of the DHT, ours and those of peers."));
    for (size_t i = 0; i < m->rpc_count; i++)
        TRY(buf_printf(out,
                       "kad_rpc_total{type=\"%s\",direction=\"%s\","
                       "outcome=\"%s\"} %" PRIu64 "\n",
                       m->rpcs[i].type, m->rpcs[i].direction,
                       m->rpcs[i].outcome, m->rpcs[i].count));
    return OK;
}

static enum err write_gossip(const struct node_metrics *m, struct buf *out)
{
    TRY(write_head(out, "gossip_messages_total", "counter",
                   "Gossip messages, and what became of them."));
    for (size_t i = 0; i < m->message_count; i++)
        TRY(buf_printf(out,
                       "gossip_messages_total{direction=\"%s\",outcome=\"%s\"} "
                       "%" PRIu64 "\n",
                       m->messages[i].direction, m->messages[i].outcome,
                       m->messages[i].count));
    TRY(write_head(out, "gossip_mesh_peers", "gauge",
                   "Peers in the mesh of a topic."));
    return m->topic == NULL
               ? OK
               : buf_printf(out,
                            "gossip_mesh_peers{topic=\"%s\"} %" PRIu64 "\n",
                            m->topic, m->mesh_peers);
}

static enum err write_core(struct gateway *g, const struct node_metrics *m,
                           struct buf *out)
{
    TRY(write_status(g, out));
    TRY(write_lookups(m, out));
    TRY(write_rpcs(m, out));
    TRY(write_gossip(m, out));
    TRY(write_head(out, "peer_score", "histogram",
                   "Reputation of the connected peers, each second."));
    return write_histogram(out, "peer_score", "", histogram_scores, &m->scores);
}

/* ---- Limits: the table of /api/v1/node/limits. ---- */

static enum err write_limits(struct gateway *g, struct buf *out)
{
    struct usages all;

    gateway_usage(g, &all);
    TRY(write_head(out, "limit_usage_ratio", "gauge",
                   "How much of a limit is used, 1 is all."));
    for (enum usage_id id = 0; id < USAGE_COUNT; id++)
        if (all.of[id].limit > 0)
            TRY(buf_printf(out, "limit_usage_ratio{limit=\"%s\"} %.6g\n",
                           usage_name(id),
                           (double)all.of[id].use / (double)all.of[id].limit));
    TRY(write_head(out, "limit_refused_total", "counter",
                   "What a limit refused."));
    for (enum usage_id id = 0; id < USAGE_COUNT; id++)
        TRY(buf_printf(out, "limit_refused_total{limit=\"%s\"} %" PRIu64 "\n",
                       usage_name(id), all.of[id].refused));
    return OK;
}

/* ---- The store's. ---- */

static enum err write_tiers(struct gateway *g, bool are_hits, uint64_t hot,
                            struct buf *out)
{
    const char *name =
        are_hits ? "souk_cache_hits_total" : "souk_cache_misses_total";
    uint64_t catalogue = 0;

    for (unsigned i = 0; i < g->loop_count; i++)
        catalogue += load(are_hits ? &g->loops[i].metrics.catalogue_hits
                                   : &g->loops[i].metrics.catalogue_misses);
    TRY(write_head(out, name, "counter",
                   are_hits ? "Found ready: an answer, a fresh package."
                            : "Not found ready."));
    return buf_printf(out,
                      "%s{tier=\"hot\"} %" PRIu64 "\n"
                      "%s{tier=\"catalogue\"} %" PRIu64 "\n",
                      name, hot, name, catalogue);
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
    COUNTER("souk_store_failures_total",
            "Transactions that could not be written.", counts.failures);
    COUNTER("souk_store_commits_total", "Transactions.", worker.commits);
    TRY(write_tiers(g, true, cache.hits, out));
    TRY(write_tiers(g, false, cache.misses, out));
    GAUGE("souk_cache_bytes", "Answers kept ready.", cache.bytes);
    return OK;
}

/* ---- Spans. ---- */

static enum err write_spans(struct gateway *g, struct buf *out)
{
    struct telemetry_status s;

    telemetry_status(g->deps.telemetry, &s);
    COUNTER("souk_spans_exported_total", "Spans a collector has taken.",
            s.exported);
    TRY(write_head(out, "souk_spans_dropped_total", "counter",
                   "Spans nobody will see, and why."));
    TRY(buf_printf(
        out,
        "souk_spans_dropped_total{reason=\"queue-full\"} %" PRIu64 "\n"
        "souk_spans_dropped_total{reason=\"no-memory\"} %" PRIu64 "\n"
        "souk_spans_dropped_total{reason=\"not-taken\"} %" PRIu64 "\n"
        "souk_spans_dropped_total{reason=\"refused\"} %" PRIu64 "\n",
        s.dropped_full, s.dropped_memory, s.dropped_export, s.dropped_refused));
    GAUGE("souk_spans_waiting", "Spans on their way to a collector.",
          s.waiting);
    return OK;
}

enum err metrics_write(struct gateway *g, struct buf *out)
{
    struct node_metrics *m = malloc(sizeof(*m));
    enum err err;

    if (m == NULL)
        return ERR_NOMEM;
    core_metrics(g->deps.core, m);
    err = write_gateway(g, out);
    if (err == OK)
        err = write_core(g, m, out);
    if (err == OK)
        err = write_limits(g, out);
    if (err == OK)
        err = write_spans(g, out);
    free(m);
    return err == OK ? write_store(g, out) : err;
}
