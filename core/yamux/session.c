/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/session.h"

#include "yamux/stream.h"

struct yamux *yamux_new(const struct yamux_config *config, tstamp now,
                        const struct mem *mem)
{
    struct yamux *y = mem_try_zero(mem, sizeof(*y));

    assert(config->ping_every > 0 && config->pong_within > 0);
    assert(config->window_max >= YAMUX_WINDOW_FIRST);
    if (y == NULL)
        return NULL;
    y->mem = mem;
    y->config = *config;
    y->next_id = config->is_dialer ? 1 : 2;
    y->tuning.max = config->window_max;
    y->tuning.budget = config->window_sum_max;
    list_init(&y->turns);
    list_init(&y->starved);
    list_init(&y->news);
    buf_init(&y->owed, YAMUX_OWED_MAX, mem);
    y->now = y->heard_at = now;
    y->pinged_at = now;
    y->ping_at = tstamp_add(now, config->ping_every);
    y->ping_due = true;
    return y;
}

static void set_now(struct yamux *y, tstamp now)
{
    assert(now >= y->now);
    y->now = now;
}

static struct yamux_stream *stream_find(const struct yamux *y, uint32_t id)
{
    struct yamux_stream *s;

    MAP_FIND(y->streams, &id, sizeof(id), s);
    return s;
}

static struct yamux_stream *stream_add(struct yamux *y, uint32_t id,
                                       bool is_ours)
{
    struct yamux_stream *s = mem_try_zero(y->mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->id = id;
    s->is_ours = is_ours;
    s->syn_due = is_ours;
    s->ack_due = !is_ours;
    s->allowed = YAMUX_WINDOW_FIRST;
    yamux_window_init(&s->window, y->now);
    list_init(&s->turn);
    list_init(&s->starved);
    list_init(&s->news);
    MAP_ADD(y->streams, &s->id, sizeof(s->id), s);
    if (is_ours) {
        y->stats.streams_out++;
        y->unacked++;
    } else {
        y->stats.streams_in++;
    }
    yamux_schedule(y, s);
    return s;
}

static void stream_remove(struct yamux *y, struct yamux_stream *s)
{
    if (s->is_ours) {
        y->stats.streams_out--;
        y->unacked -= !s->is_acked;
    } else {
        y->stats.streams_in--;
    }
    if (y->target == s)
        y->target = NULL;
    list_remove(&s->turn);
    list_remove(&s->starved);
    list_remove(&s->news);
    y->stats.unsent -= s->unsent.len;
    yamux_queue_release(&s->unsent, y->mem);
    yamux_window_end(&s->window, &y->tuning);
    MAP_DEL(y->streams, s);
    mem_free(y->mem, s);
}

void yamux_free(struct yamux *y)
{
    struct yamux_stream *s = NULL, *next = NULL;

    if (y == NULL)
        return;
    MAP_FOR_EACH(y->streams, s, next) {
        stream_remove(y, s);
    }
    yamux_lend_done(y);
    buf_release(&y->owed);
    mem_free(y->mem, y);
}

static enum err owe(struct yamux *y, struct yamux_header h)
{
    uint8_t bytes[YAMUX_HEADER_LEN];

    yamux_header_encode(&h, bytes);
    return buf_put(&y->owed, SPAN_OF(bytes));
}

/* As a window update, not as data: it may carry a code, and no other
 * implementation takes that for a window. */
static enum err owe_reset(struct yamux *y, uint32_t id, uint32_t code)
{
    return owe(y, (struct yamux_header){.type = YAMUX_WINDOW_UPDATE,
                                        .flags = YAMUX_RST,
                                        .stream = id,
                                        .length = code});
}

/* Move bytes from |in| to the partial header; true once it is whole. */
static bool fill_header(struct yamux *y, struct span *in)
{
    struct span got = span_take(in, YAMUX_HEADER_LEN - y->header_have);

    if (got.len > 0)
        memcpy(y->header_bytes + y->header_have, got.data, got.len);
    y->header_have += got.len;
    return y->header_have == YAMUX_HEADER_LEN;
}

/* Queues wait in front of us, so the least we saw is nearest to the truth; it
 * may still rise when the path changes. */
static void measure(struct yamux *y, duration sample)
{
    duration *rtt = &y->tuning.rtt;

    if (*rtt == 0 || sample < *rtt)
        *rtt = sample;
    else
        *rtt += (sample - *rtt) / 8;
    y->stats.rtt = *rtt;
}

static enum err recv_ping(struct yamux *y)
{
    const struct yamux_header *h = &y->header;

    if (h->flags & YAMUX_SYN)
        return owe(y, (struct yamux_header){.type = YAMUX_PING,
                                            .flags = YAMUX_ACK,
                                            .length = h->length});
    if (y->pinged_at != TSTAMP_NEVER && !y->ping_due &&
        h->length == y->ping_id) {
        measure(y, y->now - y->pinged_at);
        y->pinged_at = TSTAMP_NEVER;
    }
    return OK;
}

/* The peer opens a stream: take it as the target, or refuse it. */
static enum err recv_syn(struct yamux *y)
{
    const struct yamux_header *h = &y->header;
    bool is_of_dialer = h->stream % 2 == 1;

    /* spec: hashicorp/yamux spec.md#streamid-field
     *   the client opens odd ids, the server even ones */
    if (is_of_dialer == y->config.is_dialer || y->target != NULL)
        return ERR_PROTO;
    if (h->flags & YAMUX_RST)
        return OK;
    if (!y->is_leaving && y->stats.streams_in < y->config.streams_in_max)
        y->target = stream_add(y, h->stream, false);
    if (y->target != NULL)
        return OK;
    y->stats.refused++;
    return owe_reset(y, h->stream, YAMUX_CODE_RESOURCE_LIMIT);
}

static enum err recv_window(struct yamux *y, struct yamux_stream *s)
{
    uint32_t more = y->header.length;

    if (more > UINT32_MAX - s->allowed)
        return ERR_FLOW_CONTROL;
    s->allowed += more;
    yamux_schedule(y, s);
    return OK;
}

/* Everything a stream's header says but the bytes that follow, and FIN. */
static enum err recv_header(struct yamux *y)
{
    const struct yamux_header *h = &y->header;
    bool is_data = h->type == YAMUX_DATA;
    struct yamux_stream *s;

    if (is_data && h->length > YAMUX_FRAME_IN_MAX)
        return ERR_FRAME_SIZE;
    y->payload_left = is_data ? h->length : 0;
    y->target = stream_find(y, h->stream);
    if (h->flags & YAMUX_SYN)
        TRY(recv_syn(y));
    /* A stream we do not have was ended by us a moment ago: not an error.  One
     * that has ended on both sides cannot end again. */
    s = y->target;
    if (s != NULL && s->fin_seen && s->fin_sent)
        s = y->target = NULL;
    if (s == NULL || h->flags & YAMUX_RST)
        return OK;
    if (h->flags & YAMUX_ACK && s->is_ours && !s->is_acked) {
        s->is_acked = true;
        y->unacked--;
    }
    if (!is_data)
        return recv_window(y, s);
    if (s->fin_seen)
        y->target = NULL;
    else
        TRY(yamux_window_take(&s->window, h->length, y->now));
    return OK;
}

static void tell(const struct yamux_stream *s, enum yamux_event_type type,
                 struct yamux_event *ev)
{
    ev->type = type;
    ev->stream = s->id;
    ev->user = s->user;
}

void yamux_stream_ended(struct yamux *y, struct yamux_stream *s)
{
    list_remove(&s->news);
    s->tells = YAMUX_EV_ENDED;
    list_push_back(&y->news, &s->news);
}

/* The flags that end something, after the payload. */
static void recv_end(struct yamux *y, struct yamux_event *ev)
{
    struct yamux_stream *s = y->target;

    if (!(y->header.flags & YAMUX_FIN) || s->fin_seen)
        return;
    s->fin_seen = true;
    tell(s, YAMUX_EV_FIN, ev);
    if (s->fin_sent)
        yamux_stream_ended(y, s);
}

/* The next event of the stream frame in hand, in the order the flags mean:
 * open, reset, bytes, close.  When it has no more to tell, the frame is over
 * and |ev| may be YAMUX_EV_NONE. */
static enum err stream_event(struct yamux *y, struct span *in,
                             struct yamux_event *ev)
{
    const struct yamux_header *h = &y->header;

    if (y->stage == STAGE_BEGIN) {
        TRY(recv_header(y));
        y->stage = STAGE_OPENED;
        if (y->target != NULL && h->flags & YAMUX_SYN) {
            tell(y->target, YAMUX_EV_OPENED, ev);
            return OK;
        }
    }
    if (y->stage == STAGE_OPENED) {
        y->stage = STAGE_PAYLOAD;
        if (y->target != NULL && h->flags & YAMUX_RST) {
            tell(y->target, YAMUX_EV_RESET, ev);
            ev->code = h->type == YAMUX_WINDOW_UPDATE ? h->length : 0;
            stream_remove(y, y->target);
            return OK;
        }
    }
    if (y->payload_left > 0) {
        struct span data = span_take(in, y->payload_left);

        y->payload_left -= (uint32_t)data.len;
        if (y->target != NULL && data.len > 0) {
            tell(y->target, YAMUX_EV_DATA, ev);
            ev->data = data;
        }
        return OK;
    }
    y->header_have = 0;
    if (y->target != NULL)
        recv_end(y, ev);
    y->target = NULL;
    return OK;
}

static enum err frame_event(struct yamux *y, struct span *in,
                            struct yamux_event *ev)
{
    switch (y->header.type) {
    case YAMUX_PING:
        y->header_have = 0;
        return recv_ping(y);
    case YAMUX_GO_AWAY:
        y->header_have = 0;
        y->is_left = true;
        ev->type = YAMUX_EV_GO_AWAY;
        ev->code = y->header.length;
        return OK;
    case YAMUX_DATA:
    case YAMUX_WINDOW_UPDATE:
    case YAMUX_TYPES:
        break;
    }
    return stream_event(y, in, ev);
}

enum err yamux_recv(struct yamux *y, struct span *in, tstamp now,
                    struct yamux_event *ev)
{
    *ev = (struct yamux_event){.type = YAMUX_EV_NONE};
    set_now(y, now);
    if (in->len > 0)
        y->heard_at = now;
    for (;;) {
        if (y->broken != OK)
            return y->broken;
        if (y->header_have < YAMUX_HEADER_LEN) {
            if (!fill_header(y, in))
                return OK;
            TRY(yamux_header_decode(&y->header, y->header_bytes));
            y->stage = STAGE_BEGIN;
        }
        TRY(frame_event(y, in, ev));
        if (ev->type != YAMUX_EV_NONE)
            return OK;
        /* Only a payload of which no byte is here waits for more. */
        if (in->len == 0 && y->header_have > 0 && y->payload_left > 0)
            return OK;
    }
}

bool yamux_poll(struct yamux *y, struct yamux_event *ev)
{
    struct list *link = list_pop_front(&y->news);
    struct yamux_stream *s;

    *ev = (struct yamux_event){.type = YAMUX_EV_NONE};
    if (link == NULL)
        return false;
    s = LIST_ENTRY(link, struct yamux_stream, news);
    tell(s, s->tells, ev);
    if (s->tells == YAMUX_EV_ENDED)
        stream_remove(y, s);
    return true;
}

bool yamux_has_news(const struct yamux *y)
{
    return !list_is_empty(&y->news);
}

static tstamp silence_deadline(const struct yamux *y)
{
    tstamp since = y->heard_at;

    if (y->pinged_at == TSTAMP_NEVER)
        return TSTAMP_NEVER;
    if (since < y->pinged_at)
        since = y->pinged_at;
    return tstamp_add(since, y->config.pong_within);
}

tstamp yamux_deadline(const struct yamux *y)
{
    return tstamp_min(y->ping_at, silence_deadline(y));
}

enum err yamux_tick(struct yamux *y, tstamp now)
{
    set_now(y, now);
    if (y->broken != OK)
        return y->broken;
    if (now >= silence_deadline(y))
        return ERR_TIMEOUT;
    if (now < y->ping_at)
        return OK;
    y->ping_at = tstamp_add(now, y->config.ping_every);
    if (y->pinged_at == TSTAMP_NEVER) {
        y->pinged_at = now;
        y->ping_id++;
        y->ping_due = true;
    }
    return OK;
}

enum err yamux_open(struct yamux *y, void *user, tstamp now, uint32_t *stream)
{
    struct yamux_stream *s;

    set_now(y, now);
    if (y->is_leaving || y->is_left)
        return ERR_CLOSED;
    if (y->stats.streams_out >= y->config.streams_out_max ||
        y->unacked >= YAMUX_UNACKED_MAX || y->next_id > UINT32_MAX - 2)
        return ERR_LIMIT;
    s = stream_add(y, y->next_id, true);
    if (s == NULL)
        return ERR_NOMEM;
    s->user = user;
    y->next_id += 2;
    *stream = s->id;
    return OK;
}

void yamux_set_user(struct yamux *y, uint32_t stream, void *user)
{
    struct yamux_stream *s = stream_find(y, stream);

    if (s != NULL)
        s->user = user;
}

void *yamux_user(const struct yamux *y, uint32_t stream)
{
    const struct yamux_stream *s = stream_find(y, stream);

    return s ? s->user : NULL;
}

static size_t room(const struct yamux *y, const struct yamux_stream *s)
{
    size_t own = y->config.stream_unsent_max, all = y->config.unsent_max;

    own = own > s->unsent.len ? own - s->unsent.len : 0;
    all = all > y->stats.unsent ? all - y->stats.unsent : 0;
    return own < all ? own : all;
}

size_t yamux_room(const struct yamux *y, uint32_t stream)
{
    const struct yamux_stream *s = stream_find(y, stream);

    return s && !s->is_finishing ? room(y, s) : 0;
}

enum err yamux_write(struct yamux *y, uint32_t stream, struct span data)
{
    struct yamux_stream *s = stream_find(y, stream);

    if (s == NULL || s->is_finishing)
        return ERR_CLOSED;
    if (data.len > room(y, s)) {
        if (list_is_empty(&s->starved))
            list_push_back(&y->starved, &s->starved);
        return ERR_LIMIT;
    }
    TRY(yamux_queue_put(&s->unsent, data, y->mem));
    y->stats.unsent += data.len;
    yamux_schedule(y, s);
    return OK;
}

void yamux_finish(struct yamux *y, uint32_t stream)
{
    struct yamux_stream *s = stream_find(y, stream);

    if (s == NULL || s->is_finishing)
        return;
    s->is_finishing = true;
    yamux_schedule(y, s);
}

void yamux_reset(struct yamux *y, uint32_t stream, uint32_t code)
{
    struct yamux_stream *s = stream_find(y, stream);

    if (s == NULL)
        return;
    /* Nobody needs to hear of a stream nobody has heard of, nor of one that
     * has ended on both sides. */
    if (!s->syn_due && !(s->fin_sent && s->fin_seen) && y->broken == OK)
        y->broken = owe_reset(y, stream, code);
    stream_remove(y, s);
}

void yamux_consumed(struct yamux *y, uint32_t stream, size_t n, tstamp now)
{
    struct yamux_stream *s = stream_find(y, stream);

    set_now(y, now);
    if (s == NULL)
        return;
    assert(n <= s->window.held);
    yamux_window_consume(&s->window, (uint32_t)n);
    yamux_schedule(y, s);
}

void yamux_go_away(struct yamux *y, uint32_t code)
{
    if (y->is_leaving)
        return;
    y->is_leaving = true;
    y->go_away_due = true;
    y->go_away_code = code;
}

size_t yamux_unsent(const struct yamux *y)
{
    return y->stats.unsent;
}

void yamux_stats(const struct yamux *y, struct yamux_stats *out)
{
    *out = y->stats;
}
