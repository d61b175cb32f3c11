/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GOSSIP_SCORE_H
#define GOSSIP_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

/* What a peer is worth to us as a gossip peer: arithmetic only.
 *
 *    score = min(cap, Σ topics (P1 + P2 + P3 + P3b + P4)) + P5 + P6 + P7
 *
 *    P1  time in the mesh            P4   (invalid messages)²
 *    P2  first to deliver            P5   what the owner thinks of it
 *    P3  (deliveries lacking)²       P6   (peers of its IP beyond some)²
 *    P3b the same of earlier stays   P7   (misbehaviour beyond some)²
 *
 * P1, P2 and a good P5 are positive, the rest negative.  Counters halve with
 * time.  P1 and P3 are as of the last score_beat().
 *
 * How much a mesh peer should deliver is not a fixed number, as topics fall
 * silent: it is held against what the mesh as a whole delivers.  A copy of a
 * message beyond the first one shows that paths cross; each raises the topic's
 * |share| by one part of the mesh, and who delivers less than |mesh_share| of
 * that lacks the rest.  Where no paths cross nobody lacks anything.
 *
 * spec: pubsub/gossipsub/gossipsub-v1.1.md#the-score-function */
struct score_params {
    double topic_cap; /* of what good the topics do */

    double time_weight, time_cap; /* P1, in quanta */
    duration time_quantum;
    double first_weight, first_cap; /* P2, in messages */
    duration first_halves;
    double mesh_weight; /* P3 and P3b */
    double mesh_share;  /* of the average, wanted */
    double mesh_lack_max;
    double mesh_cap;          /* deliveries counted */
    duration mesh_halves;     /* of deliveries and of what is wanted */
    duration mesh_activation; /* in the mesh before P3 counts */
    duration mesh_window;     /* a copy this late is still a delivery */
    double failure_max;
    duration failure_halves;
    double invalid_weight; /* P4 */
    duration invalid_halves;

    double app_weight;       /* P5 */
    double ip_weight;        /* P6 */
    unsigned ip_free;        /* peers of one IP that cost nothing */
    double behaviour_weight; /* P7 */
    double behaviour_free;
    duration behaviour_halves;

    double zero;     /* a counter below is 0 */
    duration retain; /* after a peer that was not good left */

    /* Thresholds. */
    double gossip, publish, graylist;
    double accept_px, opportunistic;
};
/* What souk uses; docs/PROTOCOLS.md gives the reasons. */
extern const struct score_params score_defaults;

struct topic_score {
    bool is_in_mesh, is_active;
    tstamp grafted_at;
    duration time;  /* in the mesh */
    double first;   /* P2 */
    double mesh;    /* delivered while in the mesh */
    double base;    /* the topic's share when it came in */
    double lack;    /* P3's, not squared */
    double failure; /* P3b */
    double invalid; /* P4 */
};

/* The parts of a score that do not belong to a topic. */
struct score_self {
    double app;
    double behaviour;
    unsigned ip_peers; /* of the same IP, this one included; 0: exempt */
};

/* Each part weighted; their sum is the score. */
struct score_terms {
    double time, first, mesh, failure, invalid;
    double above_cap; /* ≤ 0: what the topics' cap took away */
    double app, ip, behaviour;
};

/* ---- What happens. ---- */

void score_grafted(struct topic_score *t, double share, tstamp now);
/* It left the mesh, whoever wanted it. */
void score_pruned(const struct score_params *params, struct topic_score *t);
void score_first(const struct score_params *params, struct topic_score *t);
void score_copy(const struct score_params *params, struct topic_score *t);
void score_invalid(struct topic_score *t);
/* |elapsed| has passed since the last time; |share| is the topic's. */
void score_beat(const struct score_params *params, struct topic_score *t,
                double share, duration elapsed, tstamp now);
void score_self_beat(const struct score_params *params, struct score_self *self,
                     duration elapsed);
/* Half of |value| is left after each |halves|. */
double score_halved(double value, duration elapsed, duration halves,
                    double zero);
/* The peer left and its score is kept: what good it did is forgotten. */
void score_left(const struct score_params *params, struct topic_score *t);

/* ---- What it is worth. ---- */

void score_weigh(const struct score_params *params,
                 const struct score_self *self,
                 const struct topic_score *topics, size_t count,
                 struct score_terms *out);
double score_sum(const struct score_terms *terms);

#endif /* GOSSIP_SCORE_H */
