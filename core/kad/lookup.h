/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_LOOKUP_H
#define KAD_LOOKUP_H

#include "kad/addrs.h"
#include "kad/position.h"

/* One iterative lookup: the peers heard of, by distance, and whom to ask next.
 *
 *      heard ─ ask ─▶ asked ─▶ answered          finished when of the k nearest
 *                       │ ╲                       that did not fail all
 * answered ▼   ▶ failed slow ─▶ answered, failed    holds up nobody else
 *
 * Peers have a slot, which stays theirs while they are asked.  A liar can name
 * KAD_CLOSER_MAX peers an answer; KAD_CANDIDATES_MAX and KAD_ASKED_MAX bound
 * what all liars together can cost. */
enum candidate_state {
    CANDIDATE_HEARD,
    CANDIDATE_ASKED,
    CANDIDATE_SLOW,
    CANDIDATE_ANSWERED,
    CANDIDATE_FAILED,
};

/* What became of giving the candidate the record or provider entry. */
enum candidate_store {
    STORE_NONE,
    STORE_WANTED,
    STORE_SENT,
    STORE_SLOW, /* sent, of a put that looked for nobody: does not count */
    STORE_ACKED,
    STORE_FAILED,
};

struct candidate {
    struct peer_id id;
    uint8_t distance[KAD_POSITION_LEN];
    struct addrs addrs;
    float score;
    uint8_t state;
    uint8_t store;
    uint8_t hop;
    int8_t value; /* of a get: which of the values it holds, −1 none */
};

struct lookup {
    const struct mem *mem;
    uint8_t target[KAD_POSITION_LEN];
    struct candidate *pool;
    size_t pool_cap;
    uint8_t order[KAD_CANDIDATES_MAX]; /* slots by distance */
    size_t count;
    unsigned in_flight;   /* asked and not slow */
    unsigned outstanding; /* asked, the slow ones too */
    unsigned asked;
    unsigned answered;
    unsigned hops;
    bool leaves_slow_out; /* once any answered: a put need not wait for them */
};

enum { LOOKUP_NO_SLOT = -1 };

void lookup_init(struct lookup *l, struct span key, const struct mem *mem);
void lookup_release(struct lookup *l);

/* A peer was named by one |hop| - 1 away from us; of one known already the
 * addresses are merged.  Its slot, or LOOKUP_NO_SLOT: too far or no memory. */
int lookup_add(struct lookup *l, const struct peer_id *id, struct span addrs,
               unsigned hop, float score);

/* The slot to ask next with at most |alpha| asked at once; LOOKUP_NO_SLOT: none
 * now.  Of the k nearest unasked: those that share most bits with the target
 * first, among them the better reputed, then the nearer. */
int lookup_next(const struct lookup *l, unsigned alpha);
void lookup_asked(struct lookup *l, int slot);
void lookup_slow(struct lookup *l, int slot);
void lookup_answered(struct lookup *l, int slot);
void lookup_failed(struct lookup *l, int slot);

bool lookup_is_finished(const struct lookup *l);
/* KAD_ASKED_MAX peers were asked and more would have to be. */
bool lookup_is_exhausted(const struct lookup *l);

/* The |i|-th nearest of those that answered; LOOKUP_NO_SLOT: no more.  Start
 * with *at = 0. */
int lookup_next_answered(const struct lookup *l, size_t *at);

#endif /* KAD_LOOKUP_H */
