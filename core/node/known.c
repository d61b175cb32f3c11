/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* Which records the catalogue was given not long ago, so that what every peer
 * sends with every answer need not be verified and stored each time.  Only a
 * mark of the bytes is kept, by a keyed hash: a record that is taken for
 * another one is not looked at for a while, never believed.
 *
 *      hash ─► chunk (made when first needed) ─► set of KNOWN_WAYS marks */
enum {
    KNOWN_WAYS = 4,
    KNOWN_SETS = 32, /* of a chunk */
};
#define KNOWN_FOR (10 * MINUTES) /* the catalogue may have let it go since */
#define KNOWN_SETTLES (1 * SECONDS)

struct known_mark {
    uint32_t tag;
    uint32_t at; /* seconds, 0: none */
};
struct known_chunk {
    struct known_mark sets[KNOWN_SETS][KNOWN_WAYS];
};

static struct known_mark *set_of(struct known_chunk *c, uint64_t hash)
{
    return c->sets[hash / KNOWN_CHUNKS % KNOWN_SETS];
}

static uint32_t seconds(tstamp t)
{
    return (uint32_t)(t / SECONDS) + 1;
}

static struct known_mark *mark_of(const struct node *n, struct span record)
{
    uint64_t hash = map_hash(record.data, record.len);
    struct known_chunk *c = n->known[hash % KNOWN_CHUNKS];

    for (int i = 0; c != NULL && i < KNOWN_WAYS; i++) {
        struct known_mark *m = &set_of(c, hash)[i];

        if (m->tag == (uint32_t)(hash >> 32) && m->at != 0 &&
            seconds(n->now) - m->at <= KNOWN_FOR / SECONDS)
            return m;
    }
    return NULL;
}

enum known known_look(const struct node *n, struct span record)
{
    const struct known_mark *m = mark_of(n, record);

    if (m == NULL)
        return KNOWN_NOT;
    return seconds(n->now) - m->at > KNOWN_SETTLES / SECONDS ? KNOWN_WELL
                                                             : KNOWN_JUST_NOW;
}

/* In the place of the same, else of the oldest. */
void known_add(struct node *n, struct span record)
{
    uint64_t hash = map_hash(record.data, record.len);
    struct known_chunk **c = &n->known[hash % KNOWN_CHUNKS];
    uint32_t tag = (uint32_t)(hash >> 32);
    struct known_mark *set, *m;

    if (*c == NULL)
        *c = mem_try_zero(n->mem, sizeof(**c));
    if (*c == NULL)
        return;
    m = set = set_of(*c, hash);
    for (int i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].tag == tag) {
            m = &set[i];
            break;
        }
        if (set[i].at < m->at)
            m = &set[i];
    }
    *m = (struct known_mark){.tag = tag, .at = seconds(n->now)};
}

void known_release(struct node *n)
{
    for (size_t i = 0; i < KNOWN_CHUNKS; i++) {
        mem_free(n->mem, n->known[i]);
        n->known[i] = NULL;
    }
}

/* ---- To the catalogue. ---- */

void accept_record(struct node *n, struct span record,
                   const struct peer_id *from, enum accept_source source)
{
    struct action *a = action_push(n, NODE_ACCEPT);

    a->act.accept.bytes = action_copy(n, a, record);
    a->act.accept.from = *from;
    a->act.accept.source = source;
    a->act.accept.reputation = reputation_score(n->reputation, from, n->wall);
    if (a->act.accept.bytes.len > 0)
        known_add(n, record);
    else
        action_drop(n, a); /* no memory: it will be sent again */
}

void node_accept_refused(struct node *n, struct span record)
{
    struct known_mark *m = mark_of(n, record);

    if (m != NULL)
        *m = (struct known_mark){0};
}

void node_catalogue_lost(struct node *n)
{
    known_release(n);
}
