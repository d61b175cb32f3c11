/* SPDX-License-Identifier: Apache-2.0 */
#include "identify/record.h"
#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/identify.pb-c.h"

/* Everything heard, decoded: ten messages of 8 KiB. */
enum { READER_DECODED_MAX = 512 << 10 };

/* The messages are put one behind the other and decoded at the end as one:
 * which is what a protobuf with repeated fields says that means. */
struct identify_reader {
    const struct mem *mem;
    struct delim delim;
    struct buf heard;
    size_t message_count;
    struct arena arena;
    struct identify_info info;
};

struct identify_reader *identify_reader_new(const struct mem *mem)
{
    struct identify_reader *r = mem_new(mem, sizeof(*r));

    r->mem = mem;
    delim_init(&r->delim, IDENTIFY_ACCEPTED_MAX, mem);
    buf_init(&r->heard, IDENTIFY_MESSAGES_MAX * IDENTIFY_ACCEPTED_MAX, mem);
    arena_init(&r->arena, READER_DECODED_MAX, mem);
    return r;
}

void identify_reader_free(struct identify_reader *r)
{
    if (r == NULL)
        return;
    delim_release(&r->delim);
    buf_release(&r->heard);
    arena_release(&r->arena);
    mem_free(r->mem, r);
}

enum err identify_reader_recv(struct identify_reader *r, struct span *in)
{
    struct span msg;
    bool whole;

    for (;;) {
        TRY(delim_recv(&r->delim, in, &msg, &whole));
        if (!whole)
            return OK;
        if (r->message_count == IDENTIFY_MESSAGES_MAX)
            return ERR_LIMIT;
        r->message_count++;
        TRY(buf_put(&r->heard, msg));
    }
}

/* ---- Judging the whole. ---- */

/* For people and logs: no control characters, no byte that is not ASCII. */
static void copy_text(char out[IDENTIFY_TEXT_MAX + 1], struct span text)
{
    size_t n = text.len < IDENTIFY_TEXT_MAX ? text.len : IDENTIFY_TEXT_MAX;

    for (size_t i = 0; i < n; i++)
        out[i] = text.data[i] >= 0x20 && text.data[i] < 0x7f
                     ? (char)text.data[i]
                     : '?';
    out[n] = '\0';
}

static void take_protocols(struct identify_info *info, const Wire__Identify *m)
{
    for (size_t i = 0; i < m->n_protocols; i++) {
        struct span id = wire_span(m->protocols[i]);

        if (info->protocol_count == IDENTIFY_PROTOCOLS_MAX)
            return;
        if (id.len > 0 && id.len <= IDENTIFY_PROTOCOL_LEN_MAX)
            info->protocols[info->protocol_count++] = id;
    }
}

static void take_addrs(struct identify_info *info, const Wire__Identify *m)
{
    for (size_t i = 0; i < m->n_listen_addrs; i++)
        identify_addrs_add(info->addrs, &info->addr_count,
                           wire_span(m->listen_addrs[i]), &info->peer);
    if (m->observed_addr.len > 0 &&
        multiaddr_decode(&info->observed, wire_span(m->observed_addr)) != OK)
        info->observed = (struct multiaddr){0};
}

/* A record that does not verify is as good as none; the rest still counts. */
static enum err take_record(struct identify_reader *r, const Wire__Identify *m)
{
    struct span envelope = wire_span(m->signed_peer_record);
    struct identify_info *info = &r->info;
    struct record *record;
    enum err err;

    if (envelope.len == 0)
        return OK;
    record = arena_alloc(&r->arena, sizeof(*record));
    if (record == NULL)
        return ERR_NOMEM;
    err = record_open(envelope, &info->peer, r->mem, record);
    if (err != OK)
        return err == ERR_NOMEM ? err : OK;
    info->has_record = true;
    info->record_seq = record->seq;
    info->record = envelope;
    if (record->addr_count == 0)
        return OK;
    memcpy(info->addrs, record->addrs,
           record->addr_count * sizeof(record->addrs[0]));
    info->addr_count = record->addr_count;
    return OK;
}

/* spec: identify/README.md#publickey
 *   must match the key the connection was secured with */
static enum err check_key(const Wire__Identify *m, const struct peer_id *remote,
                          bool is_push)
{
    struct pubkey key;
    struct peer_id id;

    /* spec: identify/README.md#identifypush
     *   fields that are missing have not changed */
    if (m->public_key.len == 0)
        return is_push ? OK : ERR_PROTO;
    TRY(pubkey_decode(&key, wire_span(m->public_key)));
    peer_id_from_pubkey(&id, &key);
    return peer_id_eq(&id, remote) ? OK : ERR_WRONG_PEER;
}

enum err identify_reader_finish(struct identify_reader *r,
                                const struct peer_id *remote, bool is_push,
                                const struct identify_info **info)
{
    struct span heard = buf_span(&r->heard);
    Wire__Identify *m;

    if (r->message_count == 0 || !delim_is_between(&r->delim))
        return ERR_PROTO;
    arena_reset(&r->arena);
    m = wire_unpack(&wire__identify__descriptor, &r->arena, heard);
    if (m == NULL)
        return r->arena.refused ? ERR_NOMEM : ERR_PROTO;
    TRY(check_key(m, remote, is_push));
    r->info = (struct identify_info){.peer = *remote};
    take_protocols(&r->info, m);
    take_addrs(&r->info, m);
    copy_text(r->info.protocol_version, wire_span(m->protocol_version));
    copy_text(r->info.agent_version, wire_span(m->agent_version));
    TRY(take_record(r, m));
    *info = &r->info;
    return OK;
}
