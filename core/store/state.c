/* SPDX-License-Identifier: Apache-2.0 */
#include "store/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Packing. ---- */

enum {
    ADDRS_BYTES_MAX = REQUEST_ADDRS_MAX * (2 + MULTIADDR_MAX),
    NOTE_TEXT_MAX = 80,
    NOTES_BYTES_MAX = REPUTATION_NOTES_MAX * NOTE_TEXT_MAX,
};

/* (length, 2 bytes ‖ address)* */
static struct span pack_addrs(const struct multiaddr *addrs, size_t count,
                              uint8_t out[ADDRS_BYTES_MAX])
{
    size_t len = 0;

    assert(count <= REQUEST_ADDRS_MAX);
    for (size_t i = 0; i < count; i++) {
        out[len++] = (uint8_t)(addrs[i].len >> 8);
        out[len++] = (uint8_t)addrs[i].len;
        memcpy(out + len, addrs[i].bytes, addrs[i].len);
        len += addrs[i].len;
    }
    return SPAN(out, len);
}

static size_t unpack_addrs(struct span in, struct multiaddr *addrs)
{
    size_t count = 0;
    struct span addr;
    uint16_t len;

    while (count < REQUEST_ADDRS_MAX && span_u16(&in, &len) &&
           span_bytes(&in, len, &addr))
        if (multiaddr_decode(&addrs[count], addr) == OK)
            count++;
    return count;
}

/* Outcomes by their names: their numbers may change with the table. */
static void pack_notes(const struct reputation_row *row,
                       char out[NOTES_BYTES_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < row->note_count; i++) {
        const struct reputation_note *n = &row->notes[i];
        int wrote = snprintf(out + len, NOTES_BYTES_MAX - len,
                             "%" PRId64 " %" PRIu32 " %s\n", n->at, n->count,
                             reputation_outcome_name(n->outcome));

        if (wrote < 0 || (size_t)wrote >= NOTES_BYTES_MAX - len)
            break;
        len += (size_t)wrote;
    }
}

static bool outcome_parse(const char *name, enum reputation_outcome *out)
{
    for (int i = 0; i < REPUTATION_OUTCOME_COUNT; i++)
        if (strcmp(reputation_outcome_name((enum reputation_outcome)i), name) ==
            0) {
            *out = (enum reputation_outcome)i;
            return true;
        }
    return false;
}

static bool unpack_note(const char *line, struct reputation_note *note)
{
    char name[NOTE_TEXT_MAX];

    return sscanf(line, "%" SCNd64 " %" SCNu32 " %79[a-z-]", &note->at,
                  &note->count, name) == 3 &&
           outcome_parse(name, &note->outcome);
}

static void unpack_notes(const char *text, struct reputation_row *row)
{
    while (*text && row->note_count < REPUTATION_NOTES_MAX) {
        if (unpack_note(text, &row->notes[row->note_count]))
            row->note_count++;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
}

static struct span pack_packages(const struct reputation_row *row,
                                 uint8_t out[8 * REPUTATION_PACKAGES_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < row->package_count; i++)
        for (int shift = 56; shift >= 0; shift -= 8)
            out[len++] = (uint8_t)(row->packages[i] >> shift);
    return SPAN(out, len);
}

static void unpack_packages(struct span in, struct reputation_row *row)
{
    uint32_t hi, lo;

    while (row->package_count < REPUTATION_PACKAGES_MAX && in.len >= 8 &&
           span_u32(&in, &hi) && span_u32(&in, &lo))
        row->packages[row->package_count++] = (uint64_t)hi << 32 | lo;
}

/* ---- Putting. ---- */

enum err state_put_record(struct db *db, const struct saved_record *r)
{
    return db_run(db, SQL_RECORD_PUT, "ssiis", r->key,
                  peer_id_span(&r->publisher), (int64_t)r->received,
                  (int64_t)r->expires, r->value);
}

enum err state_forget_record(struct db *db, const struct saved_record *r)
{
    return db_run(db, SQL_RECORD_DELETE, "ss", r->key,
                  peer_id_span(&r->publisher));
}

enum err state_put_provider(struct db *db, const struct saved_provider *p)
{
    uint8_t addrs[ADDRS_BYTES_MAX];

    return db_run(
        db, SQL_PROVIDER_PUT, "sssi", p->key, peer_id_span(&p->provider),
        pack_addrs(p->addrs, p->addr_count, addrs), (int64_t)p->expires);
}

enum err state_forget_provider(struct db *db, const struct saved_provider *p)
{
    return db_run(db, SQL_PROVIDER_DELETE, "ss", p->key,
                  peer_id_span(&p->provider));
}

enum err state_put_peer(struct db *db, const struct saved_peer *p)
{
    const struct reputation_row *r = &p->reputation;
    uint8_t addrs[ADDRS_BYTES_MAX], packages[8 * REPUTATION_PACKAGES_MAX];
    char notes[NOTES_BYTES_MAX];

    pack_notes(r, notes);
    return db_run(db, SQL_PEER_PUT, "ssdddiiiiddst", peer_id_span(&r->peer),
                  pack_addrs(p->addrs, p->addr_count, addrs), r->successes,
                  r->failures, r->response_ms, (int64_t)r->decayed_at,
                  (int64_t)r->last_seen, (int64_t)r->banned_until,
                  (int64_t)r->place_source, r->latitude, r->longitude,
                  pack_packages(r, packages), notes);
}

enum err state_forget_peer(struct db *db, const struct peer_id *id)
{
    return db_run(db, SQL_PEER_DELETE, "s", peer_id_span(id));
}

/* ---- Loading: a row that makes no sense is left out. ---- */

static bool read_peer_id(const struct db *db, enum sql id, int column,
                         struct peer_id *out)
{
    *out = (struct peer_id){0};
    return peer_id_decode(out, db_blob(db, id, column)) == OK;
}

static void give_record(struct db *db, const struct store_sink *sink)
{
    struct saved_record r = {
        .key = db_blob(db, SQL_RECORD_ALL, 0),
        .received = db_int(db, SQL_RECORD_ALL, 2),
        .expires = db_int(db, SQL_RECORD_ALL, 3),
        .value = db_blob(db, SQL_RECORD_ALL, 4),
    };

    (void)read_peer_id(db, SQL_RECORD_ALL, 1, &r.publisher);
    sink->record(sink->ctx, &r);
}

static void give_provider(struct db *db, const struct store_sink *sink)
{
    struct saved_provider p = {
        .key = db_blob(db, SQL_PROVIDER_ALL, 0),
        .expires = db_int(db, SQL_PROVIDER_ALL, 3),
    };

    p.addr_count = unpack_addrs(db_blob(db, SQL_PROVIDER_ALL, 2), p.addrs);
    if (read_peer_id(db, SQL_PROVIDER_ALL, 1, &p.provider))
        sink->provider(sink->ctx, &p);
}

static void give_peer(struct db *db, const struct store_sink *sink)
{
    struct saved_peer p = {
        .reputation = {
            .successes = db_double(db, SQL_PEER_ALL, 2),
            .failures = db_double(db, SQL_PEER_ALL, 3),
            .response_ms = db_double(db, SQL_PEER_ALL, 4),
            .decayed_at = db_int(db, SQL_PEER_ALL, 5),
            .last_seen = db_int(db, SQL_PEER_ALL, 6),
            .banned_until = db_int(db, SQL_PEER_ALL, 7),
            .place_source =
                (enum reputation_place_source)db_int(db, SQL_PEER_ALL, 8),
            .latitude = db_double(db, SQL_PEER_ALL, 9),
            .longitude = db_double(db, SQL_PEER_ALL, 10),
        }};

    if (!read_peer_id(db, SQL_PEER_ALL, 0, &p.reputation.peer))
        return;
    p.addr_count = unpack_addrs(db_blob(db, SQL_PEER_ALL, 1), p.addrs);
    unpack_packages(db_blob(db, SQL_PEER_ALL, 11), &p.reputation);
    unpack_notes(db_text(db, SQL_PEER_ALL, 12), &p.reputation);
    sink->peer(sink->ctx, &p);
}

typedef void (*giver)(struct db *db, const struct store_sink *sink);

static enum err give_all(struct db *db, enum sql id, giver give,
                         const struct store_sink *sink, bool *has_row)
{
    while (*has_row) {
        give(db, sink);
        TRY(db_next(db, id, has_row));
    }
    return OK;
}

static enum err load(struct db *db, enum sql id, giver give,
                     const struct store_sink *sink, const char *format,
                     wall_ms wall)
{
    bool has_row;
    enum err err = db_query(db, id, &has_row, format, (int64_t)wall);

    if (err == OK)
        err = give_all(db, id, give, sink, &has_row);
    db_done(db, id);
    return err;
}

enum err state_load(struct db *db, const struct store_sink *sink, wall_ms wall)
{
    if (sink->record)
        TRY(load(db, SQL_RECORD_ALL, give_record, sink, "i", wall));
    if (sink->provider)
        TRY(load(db, SQL_PROVIDER_ALL, give_provider, sink, "i", wall));
    if (sink->peer)
        TRY(load(db, SQL_PEER_ALL, give_peer, sink, "", wall));
    return OK;
}
