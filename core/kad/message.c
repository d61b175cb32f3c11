/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/message.h"

#include <stdio.h>

#include "kad/addrs.h"

enum err message_decode(struct arena *arena, struct span bytes,
                        Wire__KadMessage **out)
{
    Wire__KadMessage *m;

    if (bytes.len > KAD_MESSAGE_MAX)
        return ERR_FRAME_SIZE;
    m = wire_unpack(&wire__kad_message__descriptor, arena, bytes);
    if (m == NULL)
        return arena->refused ? ERR_NOMEM : ERR_PROTO;
    if ((unsigned)m->type > KAD_PING)
        return ERR_PROTO;
    *out = m;
    return OK;
}

/* Days since 1970-01-01 to a date of the Gregorian calendar; years are counted
 * from March, so that the leap day is the last of its year. */
static void date_of(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year =
        of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * of_year + 2) / 153;

    *day = (int)(of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

const char *message_time(wall_ms t, char out[KAD_TIME_TEXT_MAX])
{
    enum { DAY_MS = 86400000 };
    int64_t day_number = (t >= 0 ? t : t - (DAY_MS - 1)) / DAY_MS;
    unsigned ms = (unsigned)(t - day_number * DAY_MS);
    int year, month, day;

    date_of(day_number, &year, &month, &day);
    (void)snprintf(
        out, KAD_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
        (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
        ms / 3600000 % 24, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    return out;
}

static ProtobufCBinaryData binary(struct span s)
{
    /* The packer only reads, but protobuf-c has no const form. */
    union {
        const uint8_t *from;
        uint8_t *to;
    } bytes = {.from = s.data};

    return (ProtobufCBinaryData){.data = bytes.to, .len = s.len};
}

/* The addresses stay where they are packed; only those that may be told. */
static enum err put_addrs(struct arena *arena, Wire__KadPeer *to,
                          struct span addrs, bool is_private_network)
{
    to->addrs = arena_alloc(arena, KAD_ADDRS_MAX * sizeof(*to->addrs));
    if (to->addrs == NULL)
        return ERR_NOMEM;
    while (addrs.len > 0 && to->n_addrs < KAD_ADDRS_MAX) {
        struct multiaddr m;

        if (!kad_addr_next(&addrs, &m))
            return ERR_INTERNAL;
        if (addr_may_be_told(&m, is_private_network))
            to->addrs[to->n_addrs++] = binary(SPAN(addrs.data - m.len, m.len));
    }
    return OK;
}

static enum err put_peers(struct arena *arena, const struct kad_peer *peers,
                          size_t count, bool wants_addrs,
                          bool is_private_network, Wire__KadPeer ***list,
                          size_t *list_count)
{
    Wire__KadPeer *each;

    *list_count = 0;
    if (count == 0)
        return OK;
    *list = arena_alloc(arena, count * sizeof(void *));
    if (*list == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        each = arena_alloc(arena, sizeof(*each));
        if (each == NULL)
            return ERR_NOMEM;
        wire__kad_peer__init(each);
        each->id = binary(peer_id_span(&peers[i].id));
        each->connection = WIRE__KAD_PEER__CONNECTION__CAN_CONNECT;
        TRY(put_addrs(arena, each, peers[i].addrs, is_private_network));
        if (each->n_addrs > 0 || !wants_addrs)
            (*list)[(*list_count)++] = each;
    }
    return OK;
}

static enum err put_record(struct arena *arena,
                           const struct message_record *from,
                           Wire__KadRecord **to)
{
    Wire__KadRecord *record;

    if (from == NULL)
        return OK;
    record = arena_alloc(arena, sizeof(*record));
    if (record == NULL)
        return ERR_NOMEM;
    wire__kad_record__init(record);
    record->key = binary(from->key);
    record->value = binary(from->value);
    record->publisher = binary(from->publisher);
    record->ttl = from->ttl;
    if (from->received != 0) {
        char *text = arena_alloc(arena, KAD_TIME_TEXT_MAX);

        if (text == NULL)
            return ERR_NOMEM;
        record->time_received =
            binary(span_str(message_time(from->received, text)));
    }
    *to = record;
    return OK;
}

static bool is_too_large(const Wire__KadMessage *m)
{
    return wire__kad_message__get_packed_size(m) > KAD_MESSAGE_SEND_MAX;
}

static void keep_addrs(Wire__KadPeer **list, size_t count, size_t keep)
{
    for (size_t i = 0; i < count; i++)
        if (list[i]->n_addrs > keep)
            list[i]->n_addrs = keep;
}

static enum err make_fit(Wire__KadMessage *m)
{
    for (size_t keep = KAD_ADDRS_MAX; is_too_large(m) && keep > 1;) {
        keep--;
        keep_addrs(m->closer_peers, m->n_closer_peers, keep);
        keep_addrs(m->provider_peers, m->n_provider_peers, keep);
    }
    while (is_too_large(m) && m->n_closer_peers > 0)
        m->n_closer_peers--;
    while (is_too_large(m) && m->n_provider_peers > 0)
        m->n_provider_peers--;
    return is_too_large(m) ? ERR_LIMIT : OK;
}

enum err message_encode(struct arena *arena, const struct message *m,
                        bool is_private_network, struct buf *out)
{
    Wire__KadMessage w = WIRE__KAD_MESSAGE__INIT;
    uint8_t *at;
    size_t len;

    w.type = (Wire__KadMessage__Type)m->type;
    w.key = binary(m->key);
    TRY(put_record(arena, m->record, &w.record));
    TRY(put_peers(arena, m->closer, m->closer_count, true, is_private_network,
                  &w.closer_peers, &w.n_closer_peers));
    TRY(put_peers(arena, m->providers, m->providers_count, false,
                  is_private_network, &w.provider_peers, &w.n_provider_peers));
    len = wire__kad_message__get_packed_size(&w);
    if (len > KAD_MESSAGE_SEND_MAX) {
        TRY(make_fit(&w));
        len = wire__kad_message__get_packed_size(&w);
    }
    TRY(buf_reserve(out, len, &at));
    (void)wire__kad_message__pack(&w, at);
    buf_grow(out, len);
    return OK;
}
