/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/metrics.h"

#include "node/internal.h"

/* What the node has counted, row by row.  Everything enumerable is there from
 * the start, at 0, so that a rate is never taken over a series that just
 * appeared. */

const double histogram_durations[HISTOGRAM_BUCKETS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1, 5, 25};
const double histogram_scores[HISTOGRAM_BUCKETS] = {
    0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1};

void histogram_observe(struct histogram *h,
                       const double bounds[HISTOGRAM_BUCKETS], double value)
{
    size_t i = 0;

    while (i < HISTOGRAM_BUCKETS && value > bounds[i])
        i++;
    if (i < HISTOGRAM_BUCKETS)
        h->buckets[i]++;
    h->count++;
    h->sum += value;
}

/* ---- Lookups. ---- */

void metrics_lookup_ended(struct node *n, const struct kad_event *ev)
{
    histogram_observe(&n->lookups[ev->operation][ev->outcome],
                      histogram_durations,
                      (double)ev->elapsed / (double)SECONDS);
}

static void add_lookups(const struct node *n, struct node_metrics *out)
{
    for (size_t op = 0; op < LOOKUP_OPS; op++)
        for (size_t end = 0; end < LOOKUP_OUTCOMES; end++) {
            size_t i = out->lookup_count++;

            assert(i < METRICS_LOOKUPS_MAX);
            out->lookups[i].op = kad_operation_name((enum kad_operation)op);
            out->lookups[i].outcome = kad_outcome_name((enum kad_outcome)end);
            out->lookups[i].took = n->lookups[op][end];
        }
}

/* ---- RPCs. ---- */

static void add_rpc(struct node_metrics *out, size_t type,
                    const char *direction, const char *outcome, uint64_t count)
{
    size_t i = out->rpc_count++;

    assert(i < METRICS_RPCS_MAX);
    out->rpcs[i].type = kad_rpc_type_name((enum kad_rpc_type)type);
    out->rpcs[i].direction = direction;
    out->rpcs[i].outcome = outcome;
    out->rpcs[i].count = count;
}

static void add_rpcs(const struct node *n, struct node_metrics *out)
{
    struct kad_stats k;

    kad_stats(n->kad, &k);
    for (size_t t = KAD_PUT_VALUE; t <= KAD_PING; t++) {
        add_rpc(out, t, "in", "answered",
                k.requests[t] - k.requests_refused[t]);
        add_rpc(out, t, "in", "refused", k.requests_refused[t]);
        add_rpc(out, t, "out", "answered", k.rpcs_answered[t]);
        add_rpc(out, t, "out", "timeout", k.rpcs_timeout[t]);
        add_rpc(out, t, "out", "failed", k.rpcs_failed[t] - k.rpcs_timeout[t]);
    }
}

/* ---- Gossip. ---- */

static void add_messages(struct node_metrics *out, const char *direction,
                         const char *outcome, uint64_t count)
{
    size_t i = out->message_count++;

    assert(i < METRICS_MESSAGES_MAX);
    out->messages[i].direction = direction;
    out->messages[i].outcome = outcome;
    out->messages[i].count = count;
}

static void add_gossip(const struct node *n, struct node_metrics *out)
{
    const struct gossip_stats *g = gossip_stats(n->gossip);

    for (size_t i = 0; i < GOSSIP_OUTCOME_COUNT; i++)
        add_messages(out, "in", gossip_outcome_name((enum gossip_outcome)i),
                     g->outcomes[i]);
    add_messages(out, "out", "published", g->published);
    add_messages(out, "out", "forwarded", g->forwarded);
    add_messages(out, "out", "dropped", n->count.gossip_dropped);
    out->topic = n->network->topic;
    out->mesh_peers = gossip_mesh_count(n->gossip, span_str(n->network->topic));
}

void metrics_upkeep(struct node *n)
{
    struct peer *p, *tmp;

    MAP_FOR_EACH(n->peers, p, tmp)
        if (!list_is_empty(&p->links))
            histogram_observe(&n->scores, histogram_scores,
                              reputation_score(n->reputation, &p->id, n->wall));
}

void node_metrics(const struct node *n, struct node_metrics *out)
{
    memset(out, 0, sizeof(*out));
    add_lookups(n, out);
    add_rpcs(n, out);
    add_gossip(n, out);
    out->scores = n->scores;
}
