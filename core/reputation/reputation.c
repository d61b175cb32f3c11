/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation/reputation.h"

#include <math.h>

#include "crypto/hash.h"
#include "reputation/state.h"

enum {
    EVICT_AMONG = 16, /* of the longest unheard of, the least worth leaves */
    GONE_MAX = 4096,  /* rows to delete; beyond it they stay in the store */
};

struct reputation *reputation_new(size_t peers_max, const struct mem *mem)
{
    struct reputation *r = mem_new(mem, sizeof(*r));

    r->mem = mem;
    r->peers_max = peers_max ? peers_max : REPUTATION_PEERS_MAX;
    list_init(&r->used);
    list_init(&r->dirty);
    list_init(&r->gone);
    return r;
}

static void entry_clean(struct reputation *r, struct entry *e)
{
    if (list_is_empty(&e->dirty))
        return;
    list_remove(&e->dirty);
    r->dirty_count--;
}

static void entry_drop(struct reputation *r, struct entry *e)
{
    entry_clean(r, e);
    list_remove(&e->used);
    MAP_DEL(r->entries, e);
    mem_free(r->mem, e->packages);
    mem_free(r->mem, e);
}

void reputation_free(struct reputation *r)
{
    struct entry *e, *next;
    struct list *l;

    if (r == NULL)
        return;
    MAP_FOR_EACH(r->entries, e, next) {
        entry_drop(r, e);
    }
    while ((l = list_pop_front(&r->gone)) != NULL)
        mem_free(r->mem, LIST_ENTRY(l, struct gone, link));
    mem_free(r->mem, r);
}

/* ---- Entries. ---- */

struct entry *entry_find(const struct reputation *r, const struct peer_id *peer)
{
    struct entry *e;

    MAP_FIND(r->entries, peer, sizeof(*peer), e);
    return e;
}

void entry_touch(struct reputation *r, struct entry *e)
{
    list_remove(&e->used);
    list_push_back(&r->used, &e->used);
}

void entry_dirty(struct reputation *r, struct entry *e)
{
    if (!list_is_empty(&e->dirty))
        return;
    list_push_back(&r->dirty, &e->dirty);
    r->dirty_count++;
}

bool entry_is_banned(const struct entry *e, wall_ms wall)
{
    return wall < e->banned_until;
}

static double worth(const struct reputation *r, const struct entry *e,
                    wall_ms wall)
{
    struct reputation_view view;

    entry_view(r, e, wall, &view);
    return view.score;
}

static struct entry *choose_victim(struct reputation *r, wall_ms wall)
{
    struct entry *victim = NULL;
    double least = INFINITY;
    unsigned looked_at = 0;

    LIST_FOR_EACH(l, &r->used) {
        struct entry *e = LIST_ENTRY(l, struct entry, used);
        double w;

        if (entry_is_banned(e, wall))
            continue;
        w = worth(r, e, wall);
        if (w < least) {
            least = w;
            victim = e;
        }
        if (++looked_at == EVICT_AMONG)
            break;
    }
    return victim;
}

static bool evict(struct reputation *r, wall_ms wall)
{
    struct entry *victim = choose_victim(r, wall);
    struct gone *gone;

    if (victim == NULL)
        return false;
    gone =
        r->gone_count < GONE_MAX ? mem_try(r->mem, NULL, sizeof(*gone)) : NULL;
    if (gone != NULL) {
        gone->id = victim->id;
        list_push_back(&r->gone, &gone->link);
        r->gone_count++;
    }
    entry_drop(r, victim);
    r->evicted++;
    return true;
}

struct entry *entry_get(struct reputation *r, const struct peer_id *peer,
                        wall_ms wall)
{
    struct entry *e = entry_find(r, peer);

    if (e != NULL)
        return e;
    if (MAP_COUNT(r->entries) >= r->peers_max && !evict(r, wall))
        return NULL;
    e = mem_try_zero(r->mem, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->id = *peer;
    e->response_ms = -1;
    e->decayed_at = wall;
    list_init(&e->dirty);
    list_push_back(&r->used, &e->used);
    MAP_ADD(r->entries, &e->id, sizeof(e->id), e);
    return e;
}

/* Neighbours of one kind are one note. */
void entry_note(struct entry *e, enum reputation_outcome outcome, wall_ms wall)
{
    struct reputation_note *last =
        &e->notes[(e->note_next + REPUTATION_NOTES_MAX - 1) %
                  REPUTATION_NOTES_MAX];

    if (e->note_count > 0 && last->outcome == outcome) {
        last->at = wall;
        if (last->count < UINT32_MAX)
            last->count++;
        return;
    }
    e->notes[e->note_next] =
        (struct reputation_note){.at = wall, .count = 1, .outcome = outcome};
    e->note_next = (uint8_t)((e->note_next + 1) % REPUTATION_NOTES_MAX);
    if (e->note_count < REPUTATION_NOTES_MAX)
        e->note_count++;
}

/* ---- Learning. ---- */

static void sample(struct entry *e, duration took)
{
    double ms = (double)took / (double)MILLISECONDS;

    e->response_ms = e->response_ms < 0 ? ms : 0.7 * e->response_ms + 0.3 * ms;
}

static void ban(struct entry *e, wall_ms until, wall_ms wall)
{
    if (e->banned_until < until)
        e->banned_until = until;
    e->offence_count = 0;
    entry_note(e, REPUTATION_BANNED, wall);
}

/* The last ten offences are kept: they ban if the first of them is recent. */
static bool offend(struct entry *e, bool is_malformed, tstamp now, wall_ms wall)
{
    unsigned at = e->offence_next;
    bool all_malformed;

    e->offences[at] = now;
    e->offences_malformed = (uint16_t)((e->offences_malformed & ~(1u << at)) |
                                       ((unsigned)is_malformed << at));
    e->offence_next = (uint8_t)((at + 1) % REPUTATION_OFFENCES);
    if (e->offence_count < REPUTATION_OFFENCES)
        e->offence_count++;
    if (e->offence_count < REPUTATION_OFFENCES ||
        now - e->offences[e->offence_next] > REPUTATION_OFFENCES_WITHIN)
        return false;
    all_malformed = e->offences_malformed == (1u << REPUTATION_OFFENCES) - 1;
    ban(e,
        wall +
            (all_malformed ? REPUTATION_BAN_MALFORMED_MS : REPUTATION_BAN_MS),
        wall);
    return true;
}

bool reputation_learn(struct reputation *r, const struct peer_id *peer,
                      enum reputation_outcome outcome, duration took,
                      tstamp now, wall_ms wall)
{
    enum effect effect = outcome_effect(outcome);
    struct entry *e = entry_get(r, peer, wall);
    bool is_banned_now = false;

    if (e == NULL)
        return false;
    entry_decay(e, wall);
    entry_note(e, outcome, wall);
    if (effect == EFFECT_SUCCESS) {
        e->successes++;
        e->last_seen = wall;
    } else if (effect != EFFECT_NOTE) {
        e->failures++;
    }
    if (took != REPUTATION_NO_SAMPLE)
        sample(e, took);
    if (effect == EFFECT_OFFENCE || effect == EFFECT_MALFORMED)
        is_banned_now = offend(e, effect == EFFECT_MALFORMED, now, wall);
    entry_touch(r, e);
    entry_dirty(r, e);
    return is_banned_now;
}

void reputation_seen(struct reputation *r, const struct peer_id *peer,
                     wall_ms wall)
{
    struct entry *e = entry_get(r, peer, wall);

    if (e == NULL)
        return;
    e->last_seen = wall;
    entry_touch(r, e);
    entry_dirty(r, e);
}

static uint64_t package_hash(struct span package)
{
    uint8_t digest[SHA256_LEN];
    uint64_t hash;

    sha256(package, digest);
    memcpy(&hash, digest, sizeof(hash));
    return hash;
}

static bool make_package_room(struct reputation *r, struct entry *e)
{
    size_t cap = e->package_cap ? 2 * (size_t)e->package_cap : 4;
    uint64_t *packages;

    if (e->package_count < e->package_cap)
        return true;
    /* What was loaded may fill any number of places. */
    if (cap > REPUTATION_PACKAGES_MAX)
        cap = REPUTATION_PACKAGES_MAX;
    if (e->package_count >= cap)
        return false;
    packages = mem_try(r->mem, e->packages, cap * sizeof(*packages));
    if (packages == NULL)
        return false;
    e->packages = packages;
    e->package_cap = (uint8_t)cap;
    return true;
}

void reputation_provided(struct reputation *r, const struct peer_id *peer,
                         struct span package, wall_ms wall)
{
    struct entry *e = entry_get(r, peer, wall);
    uint64_t hash = package_hash(package);

    if (e == NULL)
        return;
    for (size_t i = 0; i < e->package_count; i++)
        if (e->packages[i] == hash)
            return;
    if (!make_package_room(r, e))
        return;
    e->packages[e->package_count++] = hash;
    entry_note(e, REPUTATION_PACKAGE_PROVIDED, wall);
    entry_touch(r, e);
    entry_dirty(r, e);
}

/* ---- Places. ---- */

bool is_place(double latitude, double longitude)
{
    return latitude >= -90 && latitude <= 90 && longitude >= -180 &&
           longitude <= 180;
}

enum err reputation_place_self(struct reputation *r, double latitude,
                               double longitude)
{
    if (!is_place(latitude, longitude))
        return ERR_INVAL;
    r->has_place = true;
    r->latitude = latitude;
    r->longitude = longitude;
    return OK;
}

bool reputation_self_place(const struct reputation *r, double *latitude,
                           double *longitude)
{
    *latitude = r->latitude;
    *longitude = r->longitude;
    return r->has_place;
}

enum err reputation_place(struct reputation *r, const struct peer_id *peer,
                          double latitude, double longitude,
                          enum reputation_place_source source, wall_ms wall)
{
    struct entry *e;

    if (!is_place(latitude, longitude) || source == REPUTATION_PLACE_UNKNOWN)
        return ERR_INVAL;
    e = entry_get(r, peer, wall);
    if (e == NULL)
        return ERR_LIMIT;
    if (e->place_source > source ||
        (e->place_source == source && e->latitude == latitude &&
         e->longitude == longitude))
        return OK;
    e->place_source = source;
    e->latitude = latitude;
    e->longitude = longitude;
    entry_note(e, REPUTATION_LOCATED, wall);
    entry_dirty(r, e);
    return OK;
}

/* ---- Bans. ---- */

enum err reputation_ban(struct reputation *r, const struct peer_id *peer,
                        wall_ms until, wall_ms wall)
{
    struct entry *e = entry_get(r, peer, wall);

    if (e == NULL)
        return ERR_LIMIT;
    e->banned_until = 0;
    ban(e, until, wall);
    entry_touch(r, e);
    entry_dirty(r, e);
    return OK;
}

void reputation_unban(struct reputation *r, const struct peer_id *peer,
                      wall_ms wall)
{
    struct entry *e = entry_find(r, peer);

    if (e == NULL || !entry_is_banned(e, wall))
        return;
    e->banned_until = 0;
    entry_note(e, REPUTATION_UNBANNED, wall);
    entry_dirty(r, e);
}

bool reputation_is_banned(const struct reputation *r,
                          const struct peer_id *peer, wall_ms wall)
{
    const struct entry *e = entry_find(r, peer);

    return e != NULL && entry_is_banned(e, wall);
}

/* ---- Iterating. ---- */

size_t reputation_count(const struct reputation *r)
{
    return MAP_COUNT(r->entries);
}

size_t reputation_banned_count(const struct reputation *r, wall_ms wall)
{
    struct entry *e, *next;
    size_t count = 0;

    MAP_FOR_EACH(r->entries, e, next) {
        count += entry_is_banned(e, wall);
    }
    return count;
}

uint64_t reputation_evicted_count(const struct reputation *r)
{
    return r->evicted;
}

const struct peer_id *reputation_next(const struct reputation *r,
                                      const struct peer_id *after)
{
    const struct entry *e = r->entries;

    if (after != NULL) {
        e = entry_find(r, after);
        e = e != NULL ? e->hh.next : NULL;
    }
    return e != NULL ? &e->id : NULL;
}
