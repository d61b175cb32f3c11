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

enum known known_look(const struct node *n, struct span record)
{
    uint64_t hash = map_hash(record.data, record.len);
    struct known_chunk *c = n->known[hash % KNOWN_CHUNKS];
    uint32_t now = seconds(n->now);

    for (int i = 0; c != NULL && i < KNOWN_WAYS; i++) {
        const struct known_mark *m = &set_of(c, hash)[i];

        if (m->tag != (uint32_t)(hash >> 32) || m->at == 0 ||
            now - m->at > KNOWN_FOR / SECONDS)
            continue;
        return now - m->at > KNOWN_SETTLES / SECONDS ? KNOWN_WELL
                                                     : KNOWN_JUST_NOW;
    }
    return KNOWN_NOT;
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
    for (size_t i = 0; i < KNOWN_CHUNKS; i++)
        mem_free(n->mem, n->known[i]);
}
