/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/state.h"

static struct conn_stream *stream_find(const struct conn *c, uint32_t id)
{
    return c->stage == STAGE_OPEN ? yamux_user(c->yamux, id) : NULL;
}

static struct conn_stream *stream_add(struct conn *c, uint32_t id, bool is_ours)
{
    struct conn_stream *s = mem_try_zero(c->mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->id = id;
    s->is_ours = is_ours;
    list_init(&s->news);
    list_init(&s->negotiating);
    list_push_back(&c->negotiating, &s->negotiating);
    list_push_back(&c->streams, &s->all);
    buf_init(&s->early, CONN_EARLY_MAX, c->mem);
    yamux_set_user(c->yamux, id, s);
    c->stats.idle_since = TSTAMP_NEVER;
    return s;
}

static void end_negotiation(struct conn *c, struct conn_stream *s)
{
    list_remove(&s->negotiating);
    if (s->mss == NULL)
        return;
    mss_release(s->mss);
    mem_free(c->mem, s->mss);
    s->mss = NULL;
}

static void stream_free(struct conn *c, struct conn_stream *s)
{
    end_negotiation(c, s);
    buf_release(&s->early);
    list_remove(&s->news);
    list_remove(&s->all);
    mem_free(c->mem, s);
    if (list_is_empty(&c->streams))
        c->stats.idle_since = c->now;
}

/* Yamux has it no more (or will not be asked again): whom the owner knows it
 * must hear of. */
static void stream_over(struct conn *c, struct conn_stream *s, enum err err)
{
    end_negotiation(c, s);
    if (!s->is_told) {
        stream_free(c, s);
        return;
    }
    s->tells = CONN_EV_STREAM_RESET;
    s->err = err;
    list_remove(&s->news);
    list_push_back(&c->news, &s->news);
}

static void stream_fail(struct conn *c, struct conn_stream *s, enum err err)
{
    yamux_reset(c->yamux, s->id, YAMUX_CODE_NEGOTIATION_FAILED);
    stream_over(c, s, err);
}

static void tell(const struct conn_stream *s, enum conn_event_type type,
                 struct conn_event *ev)
{
    ev->type = type;
    ev->stream = s->id;
    ev->user = s->user;
}

static enum err start_mss(struct conn *c, struct conn_stream *s,
                          const char *const names[], size_t count)
{
    tstamp deadline = tstamp_add(c->now, c->limits.negotiate_within);
    enum err err;

    s->mss = mem_try(c->mem, NULL, sizeof(*s->mss));
    if (s->mss == NULL)
        return ERR_NOMEM;
    if (s->is_ours)
        err = mss_dial(s->mss, names, count, deadline, c->mem);
    else
        err = mss_listen(s->mss, names, count, deadline, c->mem);
    if (err != OK) {
        mem_free(c->mem, s->mss);
        s->mss = NULL;
    }
    return err;
}

static enum err send_mss(struct conn *c, struct conn_stream *s)
{
    struct span out = mss_out(s->mss);

    if (out.len > 0)
        TRY(yamux_write(c->yamux, s->id, out));
    mss_sent(s->mss, out.len);
    return OK;
}

/* The protocol's bytes may follow: send those that waited. */
static enum err send_early(struct conn *c, struct conn_stream *s)
{
    if (buf_len(&s->early) > 0)
        TRY(yamux_write(c->yamux, s->id, buf_span(&s->early)));
    buf_clear(&s->early);
    buf_shrink(&s->early);
    if (s->is_finished)
        yamux_finish(c->yamux, s->id);
    if (s->is_starved && !s->is_finished) {
        s->is_starved = false;
        s->tells = CONN_EV_STREAM_WRITABLE;
        list_push_back(&c->news, &s->news);
    }
    return OK;
}

static void on_opened(struct conn *c, uint32_t id)
{
    struct conn_stream *s = stream_add(c, id, false);
    enum err err;

    if (s == NULL) {
        yamux_reset(c->yamux, id, YAMUX_CODE_RESOURCE_LIMIT);
        return;
    }
    err = start_mss(c, s, c->protocols, c->protocols_count);
    if (err == OK)
        err = send_mss(c, s);
    if (err != OK)
        stream_fail(c, s, err);
}

static enum err negotiate(struct conn *c, struct conn_stream *s,
                          struct span *data, struct mss_event *mev)
{
    size_t had = data->len;

    TRY(mss_recv(s->mss, data, mev));
    yamux_consumed(c->yamux, s->id, had - data->len, c->now);
    TRY(send_mss(c, s));
    if (mss_is_last_proposal(s->mss) || mev->type == MSS_EV_AGREED)
        TRY(send_early(c, s));
    return OK;
}

static void on_data(struct conn *c, struct conn_stream *s, struct span data,
                    struct conn_event *ev)
{
    struct mss_event mev = {MSS_EV_NONE, 0};
    enum err err;

    if (s->mss == NULL) {
        tell(s, CONN_EV_STREAM_DATA, ev);
        ev->data = data;
        return;
    }
    err = negotiate(c, s, &data, &mev);
    if (err != OK) {
        stream_fail(c, s, err);
        return;
    }
    if (mev.type != MSS_EV_AGREED)
        return;
    end_negotiation(c, s);
    s->is_told = true;
    tell(s, s->is_ours ? CONN_EV_STREAM_READY : CONN_EV_STREAM_INBOUND, ev);
    ev->protocol = mev.protocol;
    c->rest = data;
    c->rest_stream = s->id;
}

void conn_streams_on(struct conn *c, const struct yamux_event *yev,
                     struct conn_event *ev)
{
    struct conn_stream *s = yev->user;

    switch (yev->type) {
    case YAMUX_EV_OPENED:
        on_opened(c, yev->stream);
        break;
    case YAMUX_EV_DATA:
        on_data(c, s, yev->data, ev);
        break;
    case YAMUX_EV_FIN:
        if (s->mss != NULL)
            stream_fail(c, s, ERR_RESET);
        else
            tell(s, CONN_EV_STREAM_FIN, ev);
        break;
    case YAMUX_EV_RESET:
        stream_over(c, s, ERR_RESET);
        break;
    case YAMUX_EV_ENDED:
        if (s->is_told)
            tell(s, CONN_EV_STREAM_ENDED, ev);
        stream_free(c, s);
        break;
    case YAMUX_EV_WRITABLE:
        if (s->is_told)
            tell(s, CONN_EV_STREAM_WRITABLE, ev);
        break;
    case YAMUX_EV_GO_AWAY:
        ev->type = CONN_EV_GO_AWAY;
        break;
    case YAMUX_EV_NONE:
        break;
    }
}

bool conn_streams_tell(struct conn *c, struct conn_event *ev)
{
    struct conn_stream *s;
    struct list *link;

    if (c->rest.len > 0) {
        s = stream_find(c, c->rest_stream);
        if (s != NULL) {
            tell(s, CONN_EV_STREAM_DATA, ev);
            ev->data = c->rest;
        }
        c->rest = SPAN_NONE;
        if (s != NULL)
            return true;
    }
    link = list_pop_front(&c->news);
    if (link == NULL)
        return false;
    s = LIST_ENTRY(link, struct conn_stream, news);
    tell(s, s->tells, ev);
    if (s->tells == CONN_EV_STREAM_RESET) {
        ev->err = s->err;
        stream_free(c, s);
    }
    return true;
}

tstamp conn_streams_deadline(const struct conn *c)
{
    const struct conn_stream *oldest;

    if (list_is_empty(&c->negotiating))
        return TSTAMP_NEVER;
    oldest = LIST_ENTRY(c->negotiating.next, struct conn_stream, negotiating);
    return mss_deadline(oldest->mss);
}

void conn_streams_tick(struct conn *c)
{
    LIST_FOR_EACH(link, &c->negotiating) {
        struct conn_stream *s =
            LIST_ENTRY(link, struct conn_stream, negotiating);
        enum err err = mss_tick(s->mss, c->now);

        if (err == OK)
            break;
        stream_fail(c, s, err);
    }
}

void conn_streams_close(struct conn *c)
{
    LIST_FOR_EACH(link, &c->streams) {
        struct conn_stream *s = LIST_ENTRY(link, struct conn_stream, all);

        if (list_is_empty(&s->news) || s->tells != CONN_EV_STREAM_RESET)
            stream_over(c, s, ERR_CLOSED);
    }
}

void conn_streams_free(struct conn *c)
{
    LIST_FOR_EACH(link, &c->streams) {
        stream_free(c, LIST_ENTRY(link, struct conn_stream, all));
    }
}

enum err conn_stream_open(struct conn *c, const char *const protocols[],
                          size_t count, tstamp now, uint32_t *stream)
{
    struct conn_stream *s;
    enum err err;

    assert(now >= c->now);
    c->now = now;
    if (c->stage != STAGE_OPEN)
        return ERR_CLOSED;
    TRY(yamux_open(c->yamux, NULL, now, stream));
    s = stream_add(c, *stream, true);
    if (s == NULL) {
        yamux_reset(c->yamux, *stream, YAMUX_CODE_NORMAL);
        return ERR_NOMEM;
    }
    err = start_mss(c, s, protocols, count);
    if (err == OK)
        err = send_mss(c, s);
    if (err != OK)
        stream_fail(c, s, err);
    else
        s->is_told = true;
    return err;
}

/* Several proposals are still open, so nothing may follow the first. */
static bool must_wait(const struct conn_stream *s)
{
    return s->mss != NULL && !mss_is_last_proposal(s->mss);
}

enum err conn_stream_write(struct conn *c, uint32_t stream, struct span data)
{
    struct conn_stream *s = stream_find(c, stream);
    enum err err;

    if (s == NULL || s->is_finished)
        return ERR_CLOSED;
    if (!must_wait(s))
        return yamux_write(c->yamux, stream, data);
    err = buf_put(&s->early, data);
    if (err == ERR_LIMIT)
        s->is_starved = true;
    return err;
}

size_t conn_stream_room(const struct conn *c, uint32_t stream)
{
    const struct conn_stream *s = stream_find(c, stream);

    if (s == NULL || s->is_finished)
        return 0;
    if (must_wait(s))
        return CONN_EARLY_MAX - buf_len(&s->early);
    return yamux_room(c->yamux, stream);
}

void conn_stream_finish(struct conn *c, uint32_t stream)
{
    struct conn_stream *s = stream_find(c, stream);

    if (s == NULL || s->is_finished)
        return;
    s->is_finished = true;
    if (!must_wait(s))
        yamux_finish(c->yamux, stream);
}

void conn_stream_reset(struct conn *c, uint32_t stream)
{
    struct conn_stream *s = stream_find(c, stream);

    if (s == NULL) {
        /* It ended by itself, and the owner has just not heard of it. */
        LIST_FOR_EACH(link, &c->news) {
            s = LIST_ENTRY(link, struct conn_stream, news);
            if (s->id == stream)
                stream_free(c, s);
        }
        return;
    }
    yamux_reset(c->yamux, stream, YAMUX_CODE_NORMAL);
    stream_free(c, s);
}

void conn_stream_consumed(struct conn *c, uint32_t stream, size_t n, tstamp now)
{
    assert(now >= c->now);
    c->now = now;
    if (c->stage == STAGE_OPEN)
        yamux_consumed(c->yamux, stream, n, now);
}

void conn_stream_set_user(struct conn *c, uint32_t stream, void *user)
{
    struct conn_stream *s = stream_find(c, stream);

    if (s != NULL)
        s->user = user;
}

void *conn_stream_user(const struct conn *c, uint32_t stream)
{
    const struct conn_stream *s = stream_find(c, stream);

    return s ? s->user : NULL;
}
