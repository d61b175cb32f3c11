/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/stream.h"

/* A frame shorter than this is not worth a header when more is waiting. */
enum { SLIVER = YAMUX_OUT_MIN - 2 * YAMUX_HEADER_LEN };
/* A frame shorter than this is worth copying next to others. */
enum { LEND_MIN = 4 * 1024 };

_Static_assert((int)YAMUX_CHUNK_HEADROOM >= (int)YAMUX_HEADER_LEN, "lent");
_Static_assert((int)YAMUX_CHUNK_MAX <= (int)YAMUX_FRAME_OUT_MAX, "one turn");

static size_t sendable(const struct yamux_stream *s)
{
    return s->unsent.len < s->allowed ? s->unsent.len : s->allowed;
}

static bool is_fin_due(const struct yamux_stream *s)
{
    return s->is_finishing && !s->fin_sent && s->unsent.len == 0;
}

static bool is_window_due(const struct yamux_stream *s)
{
    return !s->fin_seen && yamux_window_is_due(&s->window);
}

static bool has_turn(const struct yamux_stream *s)
{
    return s->syn_due || s->ack_due || sendable(s) > 0 || is_fin_due(s) ||
           is_window_due(s);
}

void yamux_schedule(struct yamux *y, struct yamux_stream *s)
{
    if (list_is_empty(&s->turn) && has_turn(s))
        list_push_back(&y->turns, &s->turn);
}

struct room {
    uint8_t *at;
    size_t len;
};

static void put_header(struct room *out, struct yamux_header h)
{
    assert(out->len >= YAMUX_HEADER_LEN);
    yamux_header_encode(&h, out->at);
    out->at += YAMUX_HEADER_LEN;
    out->len -= YAMUX_HEADER_LEN;
}

/* The first frame of a stream carries SYN or ACK, whatever it is. */
static uint16_t opening_flags(struct yamux_stream *s)
{
    uint16_t flags = s->syn_due ? YAMUX_SYN : s->ack_due ? YAMUX_ACK : 0;

    s->syn_due = s->ack_due = false;
    return flags;
}

static void send_window(struct yamux *y, struct yamux_stream *s,
                        struct room *out)
{
    uint32_t n = 0;

    if (is_window_due(s))
        n = yamux_window_grant(&s->window, &y->tuning, y->now);
    put_header(out, (struct yamux_header){YAMUX_WINDOW_UPDATE, opening_flags(s),
                                          s->id, n});
}

/* The header of a data frame of |n| bytes, which are on their way with it. */
static struct yamux_header begin_data(struct yamux *y, struct yamux_stream *s,
                                      size_t n)
{
    uint16_t flags = opening_flags(s);

    /* In a frame of its own: go-yamux sees the end before the bytes that came
     * in the same frame, and its reader may be faster than they are. */
    if (is_fin_due(s)) {
        s->fin_sent = true;
        flags |= YAMUX_FIN;
    }
    s->allowed -= (uint32_t)n;
    y->stats.unsent -= n;
    return (struct yamux_header){YAMUX_DATA, flags, s->id, (uint32_t)n};
}

static void send_data(struct yamux *y, struct yamux_stream *s, struct room *out)
{
    size_t n = sendable(s);

    if (n > YAMUX_FRAME_OUT_MAX)
        n = YAMUX_FRAME_OUT_MAX;
    if (n > out->len - YAMUX_HEADER_LEN)
        n = out->len - YAMUX_HEADER_LEN;
    put_header(out, begin_data(y, s, n));
    yamux_queue_take(&s->unsent, out->at, n, y->mem);
    out->at += n;
    out->len -= n;
}

static void end_turn(struct yamux *y, struct yamux_stream *s)
{
    yamux_schedule(y, s);
    if (s->fin_sent && s->fin_seen)
        yamux_stream_ended(y, s);
}

/* One turn: a window update if one is due, and one data frame. */
static void send_turn(struct yamux *y, struct yamux_stream *s, struct room *out)
{
    bool has_data = sendable(s) > 0 || is_fin_due(s);

    if (!has_turn(s)) /* what was due when it queued is due no more */
        return;
    if (is_window_due(s) || !has_data)
        send_window(y, s, out);
    if (has_data)
        send_data(y, s, out);
    end_turn(y, s);
}

static void send_owed(struct yamux *y, struct room *out)
{
    struct span owed = buf_span(&y->owed);
    size_t n = out->len / YAMUX_HEADER_LEN * YAMUX_HEADER_LEN;

    if (n > owed.len)
        n = owed.len;
    if (n == 0)
        return;
    assert(owed.data != NULL);
    memcpy(out->at, owed.data, n);
    out->at += n;
    out->len -= n;
    buf_drain(&y->owed, n);
    buf_shrink(&y->owed);
}

static void send_turns(struct yamux *y, struct room *out)
{
    while (!list_is_empty(&y->turns)) {
        struct yamux_stream *s =
            LIST_ENTRY(y->turns.next, struct yamux_stream, turn);
        size_t want = sendable(s) < SLIVER ? sendable(s) : SLIVER;

        if (out->len < 2 * YAMUX_HEADER_LEN + want)
            return;
        list_remove(&s->turn);
        send_turn(y, s, out);
    }
}

/* Those who found no room hear of it once half of it is free. */
static void feed_starved(struct yamux *y)
{
    if (y->stats.unsent > y->config.unsent_max / 2)
        return;
    LIST_FOR_EACH(link, &y->starved) {
        struct yamux_stream *s = LIST_ENTRY(link, struct yamux_stream, starved);

        if (s->unsent.len > y->config.stream_unsent_max / 2)
            continue;
        list_remove(&s->starved);
        if (!s->is_finishing && list_is_empty(&s->news)) {
            s->tells = YAMUX_EV_WRITABLE;
            list_push_back(&y->news, &s->news);
        }
    }
}

size_t yamux_out(struct yamux *y, uint8_t *out, size_t cap)
{
    struct room room = {out, cap};

    assert(cap >= YAMUX_OUT_MIN);
    send_owed(y, &room);
    if (y->ping_due && room.len >= YAMUX_HEADER_LEN) {
        put_header(&room,
                   (struct yamux_header){YAMUX_PING, YAMUX_SYN, 0, y->ping_id});
        y->ping_due = false;
    }
    send_turns(y, &room);
    if (y->go_away_due && list_is_empty(&y->turns) &&
        room.len >= YAMUX_HEADER_LEN) {
        put_header(&room,
                   (struct yamux_header){YAMUX_GO_AWAY, 0, 0, y->go_away_code});
        y->go_away_due = false;
    }
    feed_starved(y);
    return cap - room.len;
}

void yamux_lend_done(struct yamux *y)
{
    mem_free(y->mem, y->lent);
    y->lent = NULL;
}

/* How much the stream whose turn it is can lend: all it would send by copy, as
 * far as it lies in one piece. */
static size_t lendable(const struct yamux_stream *s)
{
    size_t n = yamux_queue_contiguous(&s->unsent);

    if (n > sendable(s))
        n = sendable(s);
    return n >= LEND_MIN && !is_window_due(s) ? n : 0;
}

struct span yamux_lend(struct yamux *y)
{
    struct yamux_stream *s;
    struct yamux_header h;
    uint8_t *at;
    size_t n;

    yamux_lend_done(y);
    if (buf_len(&y->owed) > 0 || y->ping_due || list_is_empty(&y->turns))
        return SPAN_NONE;
    s = LIST_ENTRY(y->turns.next, struct yamux_stream, turn);
    n = lendable(s);
    if (n == 0)
        return SPAN_NONE;
    list_remove(&s->turn);
    h = begin_data(y, s, n);
    at = yamux_queue_lend(&s->unsent, n, &y->lent) - YAMUX_HEADER_LEN;
    yamux_header_encode(&h, at);
    end_turn(y, s);
    feed_starved(y);
    return SPAN(at, YAMUX_HEADER_LEN + n);
}

bool yamux_has_out(const struct yamux *y)
{
    return buf_len(&y->owed) > 0 || y->ping_due || y->go_away_due ||
           !list_is_empty(&y->turns);
}
