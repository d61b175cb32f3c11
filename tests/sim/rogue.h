/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_ROGUE_H
#define SIM_ROGUE_H

#include "gossip/gossip.h"

/* Nodes whose gossip misbehaves.  The node is the real one; what its gossip
 * machine says is changed between the two: the linker puts __wrap_gossip_poll()
 * and its siblings in the place of what the node calls. */
enum rogue {
    ROGUE_NOT,
    ROGUE_SILENT,   /* takes messages from the mesh, forwards none */
    ROGUE_FORGER,   /* changes what it forwards */
    ROGUE_PROMISER, /* offers ids each heartbeat and has no message to them */
    ROGUE_GRAFTER,  /* GRAFT after PRUNE after GRAFT, each heartbeat */
    ROGUE_FLOODER,  /* twice its budget of control each heartbeat */
    ROGUE_WAYS,
    ROGUE_LIAR = ROGUE_WAYS, /* tells of others with false records */
    ROGUE_COUNT
};
const char *rogue_name(enum rogue kind);

/* From now on the node |id| is such a one. */
void rogue_set(const struct peer_id *id, enum rogue kind);
/* How often it did it to |to|. */
unsigned rogue_done(const struct peer_id *id, const struct peer_id *to);
/* Control RPCs honest nodes sent to rogues of this kind. */
unsigned rogue_answers(enum rogue kind);
/* The gossip machine of node |id|, for looking, and for gossip_publish(). */
struct gossip *rogue_gossip(const struct peer_id *id);
void rogue_forget_all(void);

#endif /* SIM_ROGUE_H */
