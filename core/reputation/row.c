/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "reputation/state.h"

/* An entry as a row and back.  Offences are not kept: they matter for a
 * minute. */

static void fill_row(const struct entry *e, struct reputation_row *row)
{
    *row = (struct reputation_row){
        .peer = e->id,
        .successes = e->successes,
        .failures = e->failures,
        .response_ms = e->response_ms,
        .decayed_at = e->decayed_at,
        .last_seen = e->last_seen,
        .banned_until = e->banned_until,
        .place_source = e->place_source,
        .latitude = e->latitude,
        .longitude = e->longitude,
        .package_count = e->package_count,
        .note_count = e->note_count,
    };
    if (e->package_count > 0)
        memcpy(row->packages, e->packages,
               e->package_count * sizeof(row->packages[0]));
    for (size_t i = 0; i < e->note_count; i++)
        row->notes[i] = entry_note_at(e, i);
}

bool reputation_take_dirty(struct reputation *r, struct reputation_row *row,
                           bool *is_gone)
{
    /* Deletions first: an evicted peer may have come back since. */
    struct list *l = list_pop_front(&r->gone);

    *is_gone = l != NULL;
    if (l != NULL) {
        struct gone *gone = LIST_ENTRY(l, struct gone, link);

        *row = (struct reputation_row){.peer = gone->id};
        r->gone_count--;
        mem_free(r->mem, gone);
        return true;
    }
    l = list_pop_front(&r->dirty);
    if (l == NULL)
        return false;
    r->dirty_count--;
    fill_row(LIST_ENTRY(l, struct entry, dirty), row);
    return true;
}

size_t reputation_dirty_count(const struct reputation *r)
{
    return r->dirty_count + r->gone_count;
}

/* What a damaged or hand-edited row could hold must not reach a score. */
static bool is_count(double v)
{
    return isfinite(v) && v >= 0;
}

static bool is_sane(const struct reputation_row *row)
{
    if (row->peer.len == 0 || row->peer.len > PEER_ID_MAX ||
        !is_count(row->successes) || !is_count(row->failures) ||
        !isfinite(row->response_ms) || row->last_seen < 0 ||
        row->banned_until < 0 ||
        row->place_source > REPUTATION_PLACE_OPERATOR ||
        row->package_count > REPUTATION_PACKAGES_MAX ||
        row->note_count > REPUTATION_NOTES_MAX)
        return false;
    if (row->place_source != REPUTATION_PLACE_UNKNOWN &&
        !is_place(row->latitude, row->longitude))
        return false;
    for (size_t i = 0; i < row->note_count; i++)
        if (row->notes[i].outcome >= REPUTATION_OUTCOME_COUNT)
            return false;
    return true;
}

enum err reputation_load(struct reputation *r, const struct reputation_row *row,
                         wall_ms wall)
{
    uint64_t *packages = NULL;
    struct entry *e;

    if (!is_sane(row))
        return ERR_INVAL;
    if (entry_find(r, &row->peer) == NULL &&
        MAP_COUNT(r->entries) >= r->peers_max)
        return ERR_LIMIT;
    if (row->package_count > 0) {
        packages =
            mem_try(r->mem, NULL, row->package_count * sizeof(*packages));
        if (packages == NULL)
            return ERR_NOMEM;
        memcpy(packages, row->packages, row->package_count * sizeof(*packages));
    }
    e = entry_get(r, &row->peer, wall);
    if (e == NULL) {
        mem_free(r->mem, packages);
        return ERR_NOMEM;
    }
    mem_free(r->mem, e->packages);
    e->packages = packages;
    e->package_count = e->package_cap = (uint8_t)row->package_count;
    e->successes = row->successes;
    e->failures = row->failures;
    e->response_ms = row->response_ms;
    /* A clock that was ahead when the row was written: begin anew. */
    e->decayed_at = row->decayed_at < wall ? row->decayed_at : wall;
    e->last_seen = row->last_seen < wall ? row->last_seen : wall;
    e->banned_until = row->banned_until;
    e->place_source = row->place_source;
    e->latitude = row->latitude;
    e->longitude = row->longitude;
    e->note_count = (uint8_t)row->note_count;
    e->note_next = (uint8_t)(row->note_count % REPUTATION_NOTES_MAX);
    for (size_t i = 0; i < row->note_count; i++)
        e->notes[row->note_count - 1 - i] = row->notes[i];
    return OK;
}
