/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/state.h"

/* The scores of peers, kept over their connections: who leaves with a bad one
 * finds it again. */

static struct standing *standing_find(const struct gossip *g,
                                      const struct peer_id *id)
{
    struct standing *s;

    MAP_FIND(g->standings, id, sizeof(*id), s);
    return s;
}

static double worth(const struct gossip *g, const struct standing *s,
                    struct score_terms *terms)
{
    score_weigh(g->params, &s->self, s->topics, g->config.topic_count, terms);
    return score_sum(terms);
}

double score_of(const struct gossip *g, const struct peer *p)
{
    struct score_terms terms;

    return g->config.no_scores ? 0 : worth(g, p->standing, &terms);
}

/* ---- Coming and going. ---- */

/* Those that left count too: coming and going by turns gains nothing. */
static void count_ip(struct gossip *g, uint64_t ip)
{
    struct standing *s, *next;
    unsigned count = 0;

    if (ip == 0)
        return;
    MAP_FOR_EACH(g->standings, s, next) {
        count += s->ip == ip;
    }
    MAP_FOR_EACH(g->standings, s, next) {
        if (s->ip == ip)
            s->self.ip_peers = count;
    }
}

static void standing_drop(struct gossip *g, struct standing *s)
{
    uint64_t ip = s->ip;

    if (!s->is_here)
        g->left_count--;
    list_remove(&s->link);
    assert(g->standings != NULL);
    MAP_DEL(g->standings, s);
    mem_free(g->mem, s);
    count_ip(g, ip);
}

static struct standing *standing_add(struct gossip *g, const struct peer_id *id)
{
    size_t topics = g->config.topic_count * sizeof(struct topic_score);
    struct standing *s = mem_try_zero(g->mem, sizeof(*s) + topics);

    if (s == NULL)
        return NULL;
    s->id = *id;
    list_init(&s->link);
    MAP_ADD(g->standings, &s->id, sizeof(s->id), s);
    return s;
}

enum err standing_arrived(struct gossip *g, struct peer *p, uint64_t ip)
{
    struct standing *s = standing_find(g, &p->id);
    uint64_t ip_before = s != NULL ? s->ip : 0;

    if (s == NULL && (s = standing_add(g, &p->id)) == NULL)
        return ERR_NOMEM;
    if (!list_is_empty(&s->link)) {
        list_remove(&s->link);
        g->left_count--;
    }
    s->is_here = true;
    s->ip = ip;
    s->self.ip_peers = 0;
    count_ip(g, ip);
    if (ip_before != ip)
        count_ip(g, ip_before);
    p->standing = s;
    return OK;
}

/* spec: gossipsub-v1.1.md#peer-scoring
 *   a score is kept for a while after the peer left; a good one is not, so
 *   that none is saved up */
void standing_left(struct gossip *g, struct peer *p, tstamp now)
{
    struct standing *s = p->standing;
    struct score_terms terms;
    double score = worth(g, s, &terms);

    p->standing = NULL;
    if (score > 0) {
        standing_drop(g, s);
        return;
    }
    for (size_t t = 0; t < g->config.topic_count; t++)
        score_left(g->params, &s->topics[t]);
    if (g->left_count >= (size_t)LEFT_A_PEER * g->config.peers_max) {
        standing_drop(g, LIST_ENTRY(g->left.next, struct standing, link));
        g->stats.standings_evicted++;
    }
    s->is_here = false;
    s->forgotten_at = tstamp_add(now, g->params->retain);
    list_push_back(&g->left, &s->link);
    g->left_count++;
}

static void forget_old(struct gossip *g, tstamp now)
{
    LIST_FOR_EACH(link, &g->left) {
        struct standing *s = LIST_ENTRY(link, struct standing, link);

        if (now < s->forgotten_at)
            break;
        standing_drop(g, s);
    }
}

void standing_release(struct gossip *g)
{
    struct standing *s, *next;

    MAP_FOR_EACH(g->standings, s, next) {
        MAP_DEL(g->standings, s);
        mem_free(g->mem, s);
    }
}

/* Scores of those who left stand still: staying away mends nothing. */
void standing_beat(struct gossip *g, tstamp now)
{
    duration elapsed = now - g->scored_at;
    struct peer *p, *next;

    g->scored_at = now;
    for (unsigned t = 0; t < g->config.topic_count; t++)
        g->topics[t].share = score_halved(g->topics[t].share, elapsed,
                                          g->params->mesh_halves, 0);
    MAP_FOR_EACH(g->peers, p, next) {
        score_self_beat(g->params, &p->standing->self, elapsed);
        for (unsigned t = 0; t < g->config.topic_count; t++)
            score_beat(g->params, &p->standing->topics[t], g->topics[t].share,
                       elapsed, now);
    }
    forget_old(g, now);
}

/* ---- What peers do. ---- */

void standing_misbehaved(struct peer *p)
{
    p->standing->self.behaviour++;
}

/* A copy beyond the first is what a mesh is for. */
static void count_copy(struct gossip *g, struct peer *p, unsigned topic)
{
    if (!(p->mesh & topic_bit(topic)))
        return;
    g->topics[topic].share += 1.0 / (double)g->topics[topic].mesh_count;
    score_copy(g->params, &p->standing->topics[topic]);
}

void standing_delivered(struct gossip *g, const struct message *m)
{
    struct peer *p = gossip_peer_find(g, &m->sender);

    if (p != NULL && p->serial == m->copies[0])
        score_first(g->params, &p->standing->topics[m->topic]);
    for (size_t i = 1; i < m->copy_count; i++)
        if ((p = peer_by_serial(g, m->copies[i])) != NULL)
            count_copy(g, p, m->topic);
}

void standing_copied(struct gossip *g, struct message *m, struct peer *p,
                     tstamp now)
{
    if (now > tstamp_add(m->judged_at, g->params->mesh_window) ||
        !message_note_copy(m, p))
        return;
    count_copy(g, p, m->topic);
}

void standing_blame(struct gossip *g, struct peer *p, unsigned topic,
                    enum gossip_outcome outcome)
{
    score_invalid(&p->standing->topics[topic]);
    tell(g, &p->id, outcome);
}

/* A mesh peer that floods may only be one that has much to forward: it is
 * dropped from the mesh, and its score falls no further.  Outside of the mesh
 * nobody has a reason, and who was told to stop by a PRUNE least of all. */
void standing_flooded(struct gossip *g, struct peer *p, tstamp now)
{
    bool is_outside =
        p->mesh == 0 && now >= tstamp_add(p->left_mesh_at, FLOOD_GRACE);
    double *behaviour = &p->standing->self.behaviour;
    double in_mesh_max = g->params->behaviour_free + FLOOD_IN_MESH_MAX;

    tell(g, &p->id, GOSSIP_OVER_BUDGET);
    if (p->has_flooded)
        return;
    p->has_flooded = true;
    if (is_outside || *behaviour + 1 <= in_mesh_max)
        standing_misbehaved(p);
    else if (*behaviour < in_mesh_max)
        *behaviour = in_mesh_max;
    if (is_outside && was_pruned_by_us(g, p, now))
        tell(g, &p->id, GOSSIP_FLOOD);
}

/* ---- Looking. ---- */

bool gossip_peer_score(const struct gossip *g, const struct peer_id *peer,
                       struct gossip_score *out)
{
    const struct standing *s = standing_find(g, peer);
    struct score_terms t;

    *out = (struct gossip_score){0};
    if (s == NULL)
        return false;
    *out = (struct gossip_score){
        .score = worth(g, s, &t),
        .is_connected = s->is_here,
        .time_in_mesh = t.time,
        .first_deliveries = t.first,
        .mesh_deliveries = t.mesh,
        .mesh_failures = t.failure,
        .invalid_messages = t.invalid,
        .topics_cap = t.above_cap,
        .app = t.app,
        .ip = t.ip,
        .behaviour = t.behaviour,
    };
    return true;
}

size_t gossip_scores(const struct gossip *g, double *out, size_t max)
{
    struct peer *p, *next;
    size_t n = 0;

    MAP_FOR_EACH(g->peers, p, next) {
        if (n < max)
            out[n++] = score_of(g, p);
    }
    return n;
}

size_t gossip_left_count(const struct gossip *g)
{
    return g->left_count;
}
