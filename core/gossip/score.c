/* SPDX-License-Identifier: Apache-2.0 */
#include "gossip/score.h"

#include <math.h>

const struct score_params score_defaults = {
    .topic_cap = 25,
    .time_weight = 0.2,
    .time_quantum = 12 * SECONDS,
    .time_cap = 25,
    .first_weight = 0.5,
    .first_cap = 40,
    .first_halves = 60 * SECONDS,
    .mesh_weight = -0.19,
    .mesh_share = 0.25,
    .mesh_lack_max = 10,
    .mesh_cap = 100,
    .mesh_halves = 60 * SECONDS,
    .mesh_activation = 20 * SECONDS,
    .mesh_window = 2 * SECONDS,
    .failure_max = 100,
    .failure_halves = 3 * MINUTES,
    .invalid_weight = -5,
    .invalid_halves = 5 * MINUTES,
    .app_weight = 1,
    .ip_weight = -5,
    .ip_free = 5,
    .behaviour_weight = -10,
    .behaviour_free = 6,
    .behaviour_halves = 2 * MINUTES,
    .zero = 0.01,
    .retain = 1 * HOURS,
    .gossip = -10,
    .publish = -50,
    .graylist = -80,
    .accept_px = 10,
    .opportunistic = 20,
};

double score_halved(double value, duration elapsed, duration halves,
                    double zero)
{
    double left = value * exp2(-(double)elapsed / (double)halves);

    return left < zero ? 0 : left;
}

static double squared(double x)
{
    return x * x;
}

/* ---- What happens. ---- */

void score_grafted(struct topic_score *t, double share, tstamp now)
{
    t->is_in_mesh = true;
    t->is_active = false;
    t->grafted_at = now;
    t->time = 0;
    t->mesh = 0;
    t->base = share;
    t->lack = 0;
}

/* Sticky, so that who was dropped for its silence is not taken back at once;
 * bounded, so that an honest peer that had nothing new to tell us, being far
 * behind us, is dropped and no more. */
void score_pruned(const struct score_params *params, struct topic_score *t)
{
    if (!t->is_in_mesh)
        return;
    t->failure = fmin(params->failure_max, t->failure + squared(t->lack));
    t->is_in_mesh = t->is_active = false;
    t->time = 0;
    t->mesh = t->lack = 0;
}

void score_copy(const struct score_params *params, struct topic_score *t)
{
    if (t->is_in_mesh)
        t->mesh = fmin(params->mesh_cap, t->mesh + 1);
}

void score_first(const struct score_params *params, struct topic_score *t)
{
    t->first = fmin(params->first_cap, t->first + 1);
    score_copy(params, t);
}

void score_invalid(struct topic_score *t)
{
    t->invalid++;
}

void score_left(const struct score_params *params, struct topic_score *t)
{
    score_pruned(params, t);
    t->first = 0;
}

/* ---- Time. ---- */

static double lacking(const struct score_params *params,
                      const struct topic_score *t, double share)
{
    double wanted = params->mesh_share * (share - t->base);

    return fmax(0, fmin(params->mesh_lack_max, wanted) - t->mesh);
}

void score_beat(const struct score_params *params, struct topic_score *t,
                double share, duration elapsed, tstamp now)
{
    double zero = params->zero;

    t->first = score_halved(t->first, elapsed, params->first_halves, zero);
    t->failure =
        score_halved(t->failure, elapsed, params->failure_halves, zero);
    t->invalid =
        score_halved(t->invalid, elapsed, params->invalid_halves, zero);
    t->mesh = score_halved(t->mesh, elapsed, params->mesh_halves, zero);
    /* Not rounded to zero: |share| is not, and only their difference counts. */
    t->base = score_halved(t->base, elapsed, params->mesh_halves, 0);
    if (!t->is_in_mesh)
        return;
    t->time = now - t->grafted_at;
    t->is_active = t->time >= params->mesh_activation;
    t->lack = t->is_active ? lacking(params, t, share) : 0;
}

void score_self_beat(const struct score_params *params, struct score_self *self,
                     duration elapsed)
{
    self->behaviour = score_halved(self->behaviour, elapsed,
                                   params->behaviour_halves, params->zero);
}

/* ---- What it is worth. ---- */

static void add_topic(const struct score_params *params,
                      const struct topic_score *t, struct score_terms *out)
{
    duration whole = t->time / params->time_quantum;
    double quanta = (double)whole;

    out->time += params->time_weight * fmin(params->time_cap, quanta);
    out->first += params->first_weight * t->first;
    out->mesh += params->mesh_weight * squared(t->lack);
    out->failure += params->mesh_weight * t->failure;
    out->invalid += params->invalid_weight * squared(t->invalid);
}

void score_weigh(const struct score_params *params,
                 const struct score_self *self,
                 const struct topic_score *topics, size_t count,
                 struct score_terms *out)
{
    double of_topics;

    *out = (struct score_terms){0};
    for (size_t i = 0; i < count; i++)
        add_topic(params, &topics[i], out);
    of_topics =
        out->time + out->first + out->mesh + out->failure + out->invalid;
    out->above_cap = fmin(0, params->topic_cap - of_topics);
    out->app = params->app_weight * self->app;
    if (self->ip_peers > params->ip_free)
        out->ip = params->ip_weight *
                  squared((double)(self->ip_peers - params->ip_free));
    if (self->behaviour > params->behaviour_free)
        out->behaviour = params->behaviour_weight *
                         squared(self->behaviour - params->behaviour_free);
}

double score_sum(const struct score_terms *t)
{
    return t->time + t->first + t->mesh + t->failure + t->invalid +
           t->above_cap + t->app + t->ip + t->behaviour;
}
