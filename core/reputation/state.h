/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPUTATION_STATE_H
#define REPUTATION_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "reputation/reputation.h"

enum effect {
    EFFECT_SUCCESS,
    EFFECT_FAILURE,
    EFFECT_OFFENCE,
    EFFECT_MALFORMED,
    EFFECT_NOTE,
};
enum effect outcome_effect(enum reputation_outcome outcome);

struct entry {
    UT_hash_handle hh;
    struct peer_id id;
    struct list used;  /* least recently first */
    struct list dirty; /* in no list when clean */
    double successes, failures;
    double response_ms; /* < 0: never measured */
    wall_ms decayed_at;
    wall_ms last_seen, banned_until; /* 0: never, not */
    enum reputation_place_source place_source;
    double latitude, longitude;

    uint64_t *packages; /* hashes of names, grown as needed */
    uint8_t package_count, package_cap;

    /* Rings; the newest is before |note_next|. */
    struct reputation_note notes[REPUTATION_NOTES_MAX];
    uint8_t note_count, note_next;

    tstamp offences[REPUTATION_OFFENCES];
    uint8_t offence_count, offence_next;
    uint16_t offences_malformed; /* a bit each */
};

/* Evicted peers whose row is still in the store. */
struct gone {
    struct list link;
    struct peer_id id;
};

struct reputation {
    const struct mem *mem;
    size_t peers_max;
    struct entry *entries;
    struct list used;
    struct list dirty;
    size_t dirty_count;
    struct list gone;
    size_t gone_count;
    uint64_t evicted;
    bool has_place;
    double latitude, longitude;
};

/* ---- reputation.c ---- */

struct entry *entry_find(const struct reputation *r,
                         const struct peer_id *peer);
/* The entry of |peer|, made if need be; NULL: no room, no memory. */
struct entry *entry_get(struct reputation *r, const struct peer_id *peer,
                        wall_ms wall);
void entry_touch(struct reputation *r, struct entry *e);
void entry_dirty(struct reputation *r, struct entry *e);
void entry_note(struct entry *e, enum reputation_outcome outcome, wall_ms wall);
/* The |i|-th newest. */
static inline struct reputation_note entry_note_at(const struct entry *e,
                                                   size_t i)
{
    return e->notes[(e->note_next + (size_t)REPUTATION_NOTES_MAX - 1 - i) %
                    REPUTATION_NOTES_MAX];
}
bool entry_is_banned(const struct entry *e, wall_ms wall);
bool is_place(double latitude, double longitude);

/* ---- score.c ---- */

/* Halve the counters for the whole hours since they last were. */
void entry_decay(struct entry *e, wall_ms wall);
/* What |e| (NULL: an unknown peer) is worth. */
void entry_view(const struct reputation *r, const struct entry *e, wall_ms wall,
                struct reputation_view *view);

#endif /* REPUTATION_STATE_H */
