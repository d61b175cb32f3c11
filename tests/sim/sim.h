/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "node/node.h"
#include "store/reader.h"
#include "store/store.h"

/* A network of whole souk nodes in virtual time.
 *
 * Each node is the real node over a real store; only sockets, clock and threads
 * are the simulator's.  Time jumps from one event to the next, so minutes take
 * milliseconds; every choice comes from the seed, so a run replays.
 *
 *      node ── NODE_FLUSH ──► pipe ── latency, re-cut, stall, reset ──► node
 *      node ── NODE_DIAL ───► a pipe, if the other is up and not cut off
 *      node ── the rest ────► its store, at once
 *
 * Loss shows as TCP shows it: a chunk is late by a retransmission (stall), or
 * the connection is gone (reset). */
struct sim;

struct sim_config {
    uint64_t seed;
    unsigned nodes_max;
    duration latency_min, latency_max; /* one way; 0, 0: 0.2 … 2 ms */
    unsigned stall_per_million;        /* chunks that come 200 ms late */
    unsigned reset_per_million;        /* chunks that end their connection */
    bool recut;                        /* chunks are cut at random */
    const char *dir;     /* stores are kept below it; NULL: in memory, and a
                          * crash loses them */
    const char *network; /* NULL: "souk" */
    bool no_gossip_scores;
};

/* Prints the seed and every option drawn from it. */
struct sim *sim_new(const struct sim_config *config);
void sim_free(struct sim *s);
tstamp sim_now(const struct sim *s);
wall_ms sim_wall(const struct sim *s);

/* ---- Nodes: 0, 1, 2 … ---- */

enum { SIM_BOOTSTRAP_MAX = 8, SIM_NOBODY = -1 };
struct sim_node_options {
    int bootstrap[SIM_BOOTSTRAP_MAX]; /* nodes it knows; ends at SIM_NOBODY or
                                       * the end of the array */
    bool is_client;
    bool is_standalone;
};
/* Add and start a node; returns its number. */
unsigned sim_add(struct sim *s, const struct sim_node_options *options);
/* As sim_add() with up to two nodes it knows, SIM_NOBODY for none. */
unsigned sim_add_knowing(struct sim *s, int a, int b);
/* kill -9: what the store did not acknowledge is gone. */
void sim_crash(struct sim *s, unsigned i);
void sim_restart(struct sim *s, unsigned i);
bool sim_is_up(const struct sim *s, unsigned i);
/* Nodes of different sides cannot reach each other; side 0 is the default. */
void sim_cut(struct sim *s, unsigned i, unsigned side);
/* All reach all again, and nothing is stalled or reset any more. */
void sim_heal(struct sim *s);

struct node *sim_node(struct sim *s, unsigned i);
const struct peer_id *sim_peer(const struct sim *s, unsigned i);
void sim_status(const struct sim *s, unsigned i, struct node_status *out);

/* ---- Time. ---- */

void sim_run(struct sim *s, duration d);
/* Until |is_true|; false if it is not by then. */
bool sim_run_until(struct sim *s, bool (*is_true)(struct sim *s, void *ctx),
                   void *ctx, duration within);
/* Until every node that is up has |count| peers in its routing table, or all
 * others if they are fewer. */
bool sim_settle(struct sim *s, unsigned count, duration within);

/* ---- What people do with a node. ---- */

/* Publish ns/name@version with a description; the store's answer. */
enum err sim_publish(struct sim *s, unsigned i, const char *id,
                     const char *version, const char *description);
/* As sim_publish(), but it is only signed and stored, announced to nobody:
 * append the record to |record|. */
void sim_sign(struct sim *s, unsigned i, const char *id, const char *version,
              const char *description, struct buf *record);
/* Let a node that was called behind the simulator's back act. */
void sim_poke(struct sim *s, unsigned i);
/* What the outbox holds now. */
size_t sim_outbox(struct sim *s, unsigned i);
/* A request, answered; request_free() it. */
struct request *sim_get(struct sim *s, unsigned i, const char *id,
                        const char *version, const struct peer_id *owner,
                        duration within);
struct request *sim_search(struct sim *s, unsigned i, const char *query,
                           unsigned fan_out, duration within);
struct request *sim_connect(struct sim *s, unsigned i, unsigned to,
                            duration within);
struct request *sim_ask(struct sim *s, unsigned i, struct request *r);

/* Is it in the node's own catalogue? */
bool sim_holds(struct sim *s, unsigned i, const char *id, const char *version);

/* Announcements that came by gossip and passed, and those among them that came
 * more than once. */
unsigned sim_heard(const struct sim *s, unsigned i);
unsigned sim_heard_again(const struct sim *s, unsigned i);

struct sim_stats {
    uint64_t events, chunks, bytes, resets, stalls, dials;
};
void sim_stats(const struct sim *s, struct sim_stats *out);

#endif /* SIM_SIM_H */
