/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/lookup.h"

enum { POOL_FIRST = 32 };

void lookup_init(struct lookup *l, struct span key, const struct mem *mem)
{
    *l = (struct lookup){.mem = mem};
    position_of(key, l->target);
}

void lookup_release(struct lookup *l)
{
    for (size_t i = 0; i < l->count; i++)
        addrs_release(&l->pool[l->order[i]].addrs, l->mem);
    mem_free(l->mem, l->pool);
    *l = (struct lookup){0};
}

static struct candidate *nth(const struct lookup *l, size_t i)
{
    return &l->pool[l->order[i]];
}

/* Where |distance| stands or belongs in the order. */
static size_t rank_of(const struct lookup *l,
                      const uint8_t distance[KAD_POSITION_LEN])
{
    size_t low = 0, high = l->count;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (memcmp(nth(l, mid)->distance, distance, KAD_POSITION_LEN) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool grow_pool(struct lookup *l)
{
    size_t cap = l->pool_cap ? 2 * l->pool_cap : POOL_FIRST;
    struct candidate *pool;

    if (l->count < l->pool_cap)
        return true;
    pool = mem_try(l->mem, l->pool, cap * sizeof(*pool));
    if (pool == NULL)
        return false;
    l->pool = pool;
    l->pool_cap = cap;
    return true;
}

/* A slot for a newcomer of |rank|: a fresh one, or that of the furthest peer
 * not asked yet, when the newcomer is nearer. */
static int make_slot(struct lookup *l, size_t rank)
{
    size_t last = l->count;
    int slot;

    if (l->count < KAD_CANDIDATES_MAX)
        return grow_pool(l) ? (int)l->count++ : LOOKUP_NO_SLOT;
    while (last > rank && nth(l, last - 1)->state != CANDIDATE_HEARD)
        last--;
    if (last == rank)
        return LOOKUP_NO_SLOT;
    slot = l->order[last - 1];
    addrs_release(&l->pool[slot].addrs, l->mem);
    memmove(l->order + last - 1, l->order + last, l->count - last);
    return slot;
}

int lookup_add(struct lookup *l, const struct peer_id *id, struct span addrs,
               unsigned hop, float score)
{
    uint8_t distance[KAD_POSITION_LEN];
    struct candidate *c;
    size_t rank;
    int slot;

    position_of(peer_id_span(id), distance);
    position_xor(distance, l->target, distance);
    rank = rank_of(l, distance);
    if (rank < l->count && peer_id_eq(&nth(l, rank)->id, id)) {
        /* Somebody else may know better where it is; no memory, no merge. */
        (void)!addrs_add_packed(&nth(l, rank)->addrs, addrs, l->mem);
        return l->order[rank];
    }
    slot = make_slot(l, rank);
    if (slot == LOOKUP_NO_SLOT)
        return slot;
    memmove(l->order + rank + 1, l->order + rank, l->count - 1 - rank);
    l->order[rank] = (uint8_t)slot;
    c = &l->pool[slot];
    *c = (struct candidate){
        .id = *id, .score = score, .hop = (uint8_t)hop, .value = -1};
    memcpy(c->distance, distance, sizeof(distance));
    (void)!addrs_add_packed(&c->addrs, addrs, l->mem);
    return slot;
}

/* Whether |c| still counts among the k nearest. */
static bool is_live(const struct lookup *l, const struct candidate *c)
{
    if (c->state == CANDIDATE_SLOW)
        return !l->leaves_slow_out || l->answered == 0;
    return c->state != CANDIDATE_FAILED;
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    unsigned prefix_a = distance_prefix(a->distance);
    unsigned prefix_b = distance_prefix(b->distance);

    if (prefix_a != prefix_b)
        return prefix_a > prefix_b;
    return a->score > b->score; /* and the nearer was seen first */
}

int lookup_next(const struct lookup *l, unsigned alpha)
{
    const struct candidate *best = NULL;
    unsigned live = 0;

    if (l->in_flight >= alpha || l->asked >= KAD_ASKED_MAX)
        return LOOKUP_NO_SLOT;
    for (size_t i = 0; i < l->count && live < KAD_K; i++) {
        const struct candidate *c = nth(l, i);

        live += is_live(l, c);
        if (c->state == CANDIDATE_HEARD && (best == NULL || is_better(c, best)))
            best = c;
    }
    return best ? (int)(best - l->pool) : LOOKUP_NO_SLOT;
}

void lookup_asked(struct lookup *l, int slot)
{
    assert(l->pool[slot].state == CANDIDATE_HEARD);
    l->pool[slot].state = CANDIDATE_ASKED;
    l->in_flight++;
    l->outstanding++;
    l->asked++;
}

static void leave_flight(struct lookup *l, int slot)
{
    l->in_flight -= l->pool[slot].state == CANDIDATE_ASKED;
}

static void end_wait(struct lookup *l, int slot)
{
    enum candidate_state state = l->pool[slot].state;

    leave_flight(l, slot);
    l->outstanding -= state == CANDIDATE_ASKED || state == CANDIDATE_SLOW;
}

void lookup_slow(struct lookup *l, int slot)
{
    leave_flight(l, slot);
    l->pool[slot].state = CANDIDATE_SLOW;
}

void lookup_answered(struct lookup *l, int slot)
{
    struct candidate *c = &l->pool[slot];

    end_wait(l, slot);
    c->state = CANDIDATE_ANSWERED;
    l->answered++;
    if (c->hop > l->hops)
        l->hops = c->hop;
}

void lookup_failed(struct lookup *l, int slot)
{
    end_wait(l, slot);
    l->pool[slot].state = CANDIDATE_FAILED;
}

/* Count the k nearest live ones that have not answered: heard, and waited for.
 */
static void count_open(const struct lookup *l, unsigned *heard,
                       unsigned *waiting)
{
    unsigned live = 0;

    *heard = *waiting = 0;
    for (size_t i = 0; i < l->count && live < KAD_K; i++) {
        const struct candidate *c = nth(l, i);

        if (!is_live(l, c))
            continue;
        live++;
        if (c->state == CANDIDATE_HEARD)
            (*heard)++;
        else if (c->state != CANDIDATE_ANSWERED)
            (*waiting)++;
    }
}

bool lookup_is_finished(const struct lookup *l)
{
    unsigned heard, waiting;

    count_open(l, &heard, &waiting);
    return waiting == 0 && (heard == 0 || l->asked >= KAD_ASKED_MAX);
}

bool lookup_is_exhausted(const struct lookup *l)
{
    unsigned heard, waiting;

    count_open(l, &heard, &waiting);
    return heard > 0 && l->asked >= KAD_ASKED_MAX;
}

int lookup_next_answered(const struct lookup *l, size_t *at)
{
    while (*at < l->count) {
        int slot = l->order[(*at)++];

        if (l->pool[slot].state == CANDIDATE_ANSWERED)
            return slot;
    }
    return LOOKUP_NO_SLOT;
}
