/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

#include "conn/state.h"

const struct conn_limits conn_limits_default = {
    .handshake_within = 10 * SECONDS,
    .negotiate_within = 10 * SECONDS,
    .ping_every = 30 * SECONDS,
    .pong_within = 20 * SECONDS,
    .close_within = 5 * SECONDS,
    .streams_in_max = 256,
    .streams_out_max = 256,
    .window_max = 16 << 20,
    .window_sum_max = 64 << 20,
    .stream_unsent_max = 1 << 20,
    .unsent_max = 4 << 20,
};

static const char *const security_protocols[] = {"/noise"};
static const char *const muxer_protocols[] = {"/yamux/1.0.0"};
static const struct span early_muxers[] = {
    {(const uint8_t *)"/yamux/1.0.0", 12},
};

#define OR_DEFAULT(field) \
    l->field = l->field ? l->field : conn_limits_default.field

static void fill_limits(struct conn_limits *l)
{
    OR_DEFAULT(handshake_within);
    OR_DEFAULT(negotiate_within);
    OR_DEFAULT(ping_every);
    OR_DEFAULT(pong_within);
    OR_DEFAULT(close_within);
    OR_DEFAULT(streams_in_max);
    OR_DEFAULT(streams_out_max);
    OR_DEFAULT(window_max);
    OR_DEFAULT(window_sum_max);
    OR_DEFAULT(stream_unsent_max);
    OR_DEFAULT(unsent_max);
}

/* Tell a peer that broke yamux why we leave.  Best effort. */
static void send_last_word(struct conn *c, enum err err)
{
    bool is_theirs = err_class(err) == ERR_CLASS_PEER;
    struct yamux_header h = {
        .type = YAMUX_GO_AWAY,
        .length = is_theirs ? YAMUX_CODE_PROTOCOL : YAMUX_CODE_INTERNAL,
    };
    uint8_t bytes[YAMUX_HEADER_LEN];

    yamux_header_encode(&h, bytes);
    if (!noise_is_ready(c->noise))
        return;
    if (noise_seal(c->noise, SPAN_OF(bytes)) != OK)
        log_debug(c->log, "conn", "no room for a go-away");
}

static void die(struct conn *c, enum err err)
{
    if (c->stage == STAGE_CLOSED)
        return;
    if (err != OK && err != ERR_CLOSED && c->stage == STAGE_OPEN)
        send_last_word(c, err);
    if (err != OK)
        log_debug(c->log, "conn", "connection failed error=%s stage=%d",
                  err_name(err), (int)c->stage);
    c->stage = STAGE_CLOSED;
    c->closed_err = err;
    c->closed_due = true;
    c->upgraded_due = false;
    c->in = (struct noise_input){0};
    c->plain = c->rest = SPAN_NONE;
    conn_streams_close(c);
}

static enum err start_mss(struct conn *c, const char *const names[])
{
    enum err err;

    c->mss = mem_try(c->mem, NULL, sizeof(*c->mss));
    if (c->mss == NULL)
        return ERR_NOMEM;
    if (c->is_dialer)
        err = mss_dial(c->mss, names, 1, c->deadline, c->mem);
    else
        err = mss_listen(c->mss, names, 1, c->deadline, c->mem);
    if (err != OK) {
        mem_free(c->mem, c->mss);
        c->mss = NULL;
    }
    return err;
}

static void end_mss(struct conn *c)
{
    if (c->mss == NULL)
        return;
    mss_release(c->mss);
    mem_free(c->mem, c->mss);
    c->mss = NULL;
}

static enum err start_noise(struct conn *c, const struct peer_id *expected)
{
    struct noise_config config = {
        .is_dialer = c->is_dialer,
        .identity = c->identity,
        .static_key = c->static_key,
        .muxers = early_muxers,
        .muxers_count = sizeof(early_muxers) / sizeof(early_muxers[0]),
        .within = c->limits.handshake_within,
        .out = &c->out,
    };

    if (expected != NULL)
        config.expected = *expected;
    return noise_new(&c->noise, &config, c->now, &c->rng, c->mem);
}

/* Move what negotiating has to say to |out|, sealed or not. */
static enum err send_mss(struct conn *c)
{
    struct span out = mss_out(c->mss);

    if (out.len == 0)
        return OK;
    if (c->stage == STAGE_MUXER)
        TRY(noise_seal(c->noise, out));
    else
        TRY(buf_put(&c->out, out));
    mss_sent(c->mss, out.len);
    return OK;
}

/* The dialer's proposal and first handshake message leave together. */
static enum err start(struct conn *c, const struct peer_id *expected)
{
    TRY(start_mss(c, security_protocols));
    TRY(send_mss(c));
    return c->is_dialer ? start_noise(c, expected) : OK;
}

struct conn *conn_new(const struct conn_config *config, tstamp now,
                      const struct rng *rng, const struct mem *mem,
                      const struct log *log)
{
    struct conn *c = mem_new(mem, sizeof(*c));
    enum err err;

    c->mem = mem;
    c->rng = *rng;
    c->log = log;
    c->is_dialer = config->is_dialer;
    c->identity = config->identity;
    c->static_key = config->static_key;
    c->protocols = config->protocols;
    c->protocols_count = config->protocols_count;
    c->limits = config->limits;
    fill_limits(&c->limits);
    c->stage = STAGE_SECURITY;
    c->now = now;
    c->deadline = tstamp_add(now, c->limits.handshake_within);
    c->stats.opened_at = c->stats.heard_at = c->stats.idle_since = now;
    list_init(&c->streams);
    list_init(&c->negotiating);
    list_init(&c->news);
    buf_init(&c->out, CONN_OUT_MAX, mem);
    err = start(c, config->expected);
    if (err != OK)
        die(c, err);
    return c;
}

void conn_free(struct conn *c)
{
    if (c == NULL)
        return;
    conn_streams_free(c);
    end_mss(c);
    yamux_free(c->yamux);
    noise_free(c->noise);
    buf_release(&c->out);
    mem_free(c->mem, c);
}

static enum err open_yamux(struct conn *c)
{
    struct yamux_config config = {
        .is_dialer = c->is_dialer,
        .ping_every = c->limits.ping_every,
        .pong_within = c->limits.pong_within,
        .streams_in_max = c->limits.streams_in_max,
        .streams_out_max = c->limits.streams_out_max,
        .window_max = c->limits.window_max,
        .window_sum_max = c->limits.window_sum_max,
        .stream_unsent_max = c->limits.stream_unsent_max,
        .unsent_max = c->limits.unsent_max,
    };

    c->yamux = yamux_new(&config, c->now, c->mem);
    if (c->yamux == NULL)
        return ERR_NOMEM;
    c->stage = STAGE_OPEN;
    c->deadline = TSTAMP_NEVER;
    c->stats.idle_since = c->now;
    c->stats.is_upgraded = true;
    c->upgraded_due = true;
    return OK;
}

/* Each stage takes what it can of the input.  |*is_idle|: there is no more. */
static enum err take_security(struct conn *c, bool *is_idle)
{
    struct span in = SPAN(c->in.data, c->in.len);
    struct mss_event ev;
    enum err err = mss_recv(c->mss, &in, &ev);

    if (in.len < c->in.len)
        c->in.data += c->in.len - in.len;
    c->in.len = in.len;
    TRY(send_mss(c)); /* what came before an error is answered */
    TRY(err);
    if (ev.type == MSS_EV_NONE) {
        *is_idle = true;
        return OK;
    }
    end_mss(c);
    c->stage = STAGE_HANDSHAKE;
    return c->is_dialer ? OK : start_noise(c, NULL);
}

static enum err take_handshake(struct conn *c, bool *is_idle)
{
    struct noise_event ev;

    TRY(noise_recv(c->noise, &c->in, &ev));
    if (ev.type != NOISE_EV_READY) {
        *is_idle = true;
        return OK;
    }
    c->peer = ev.peer;
    c->key = ev.key;
    if (ev.muxer != NOISE_MUXER_NONE) {
        c->stats.has_early_muxer = true;
        return open_yamux(c);
    }
    c->stage = STAGE_MUXER;
    TRY(start_mss(c, muxer_protocols));
    return send_mss(c);
}

static enum err decrypt(struct conn *c, bool *is_idle)
{
    struct noise_event ev;

    TRY(noise_recv(c->noise, &c->in, &ev));
    if (ev.type == NOISE_EV_DATA)
        c->plain = ev.data;
    else
        *is_idle = true;
    return OK;
}

static enum err take_muxer(struct conn *c, bool *is_idle)
{
    struct mss_event ev;
    enum err err;

    if (c->plain.len == 0)
        return decrypt(c, is_idle);
    err = mss_recv(c->mss, &c->plain, &ev);
    TRY(send_mss(c));
    TRY(err);
    if (ev.type != MSS_EV_AGREED)
        return OK;
    end_mss(c);
    return open_yamux(c);
}

static enum err take_frames(struct conn *c, struct conn_event *ev,
                            bool *is_idle)
{
    struct yamux_event yev;

    if (!yamux_poll(c->yamux, &yev))
        TRY(yamux_recv(c->yamux, &c->plain, c->now, &yev));
    if (yev.type == YAMUX_EV_NONE)
        return decrypt(c, is_idle);
    conn_streams_on(c, &yev, ev);
    return OK;
}

static enum err take(struct conn *c, struct conn_event *ev, bool *is_idle)
{
    switch (c->stage) {
    case STAGE_SECURITY:
        return take_security(c, is_idle);
    case STAGE_HANDSHAKE:
        return take_handshake(c, is_idle);
    case STAGE_MUXER:
        return take_muxer(c, is_idle);
    case STAGE_OPEN:
        return take_frames(c, ev, is_idle);
    case STAGE_CLOSED:
        break;
    }
    *is_idle = true;
    return OK;
}

static bool tell(struct conn *c, struct conn_event *ev)
{
    if (c->upgraded_due) {
        c->upgraded_due = false;
        ev->type = CONN_EV_UPGRADED;
        return true;
    }
    if (conn_streams_tell(c, ev))
        return true;
    if (c->closed_due) {
        c->closed_due = false;
        ev->type = CONN_EV_CLOSED;
        ev->err = c->closed_err;
        return true;
    }
    return false;
}

/* Closing, and what had to be sent is. */
static bool may_close(const struct conn *c)
{
    return c->stage == STAGE_OPEN && c->is_closing && buf_len(&c->out) == 0 &&
           !yamux_has_out(c->yamux);
}

bool conn_poll(struct conn *c, struct conn_event *ev)
{
    bool is_idle = false;

    *ev = (struct conn_event){.type = CONN_EV_NONE};
    while (ev->type == CONN_EV_NONE && !tell(c, ev)) {
        enum err err;

        if (is_idle)
            return false;
        err = take(c, ev, &is_idle);
        if (err == OK && is_idle && may_close(c))
            die(c, OK);
        if (err != OK)
            die(c, err);
    }
    return true;
}

static void set_now(struct conn *c, tstamp now)
{
    assert(now >= c->now);
    c->now = now;
}

void conn_recv(struct conn *c, uint8_t *bytes, size_t n, tstamp now)
{
    set_now(c, now);
    c->stats.bytes_in += n;
    if (n == 0 || c->stage == STAGE_CLOSED)
        return;
    assert(c->in.len == 0);
    c->stats.heard_at = now;
    c->in = (struct noise_input){bytes, n};
}

void conn_recv_eof(struct conn *c, tstamp now)
{
    set_now(c, now);
    die(c, c->is_closing ? OK : ERR_CLOSED);
}

/* One cipher frame of yamux frames: a large one straight from where it was
 * written, small ones together. */
static enum err seal_frames(struct conn *c)
{
    struct span lent = yamux_lend(c->yamux);
    uint8_t frames[NOISE_SEND_MAX];
    enum err err;

    if (lent.len == 0)
        lent = SPAN(frames, yamux_out(c->yamux, frames, sizeof(frames)));
    err = noise_seal(c->noise, lent);
    yamux_lend_done(c->yamux);
    return err;
}

static enum err fill_out(struct conn *c)
{
    struct yamux_stats stats;
    uint8_t *at;

    if (buf_len(&c->out) >= CONN_OUT_REFILL)
        return OK;
    yamux_stats(c->yamux, &stats);
    if (stats.unsent > NOISE_SEND_MAX)
        TRY(buf_reserve(&c->out, CONN_OUT_MAX - buf_len(&c->out), &at));
    while (buf_len(&c->out) < CONN_OUT_FILL && yamux_has_out(c->yamux))
        TRY(seal_frames(c));
    return OK;
}

struct span conn_out(struct conn *c)
{
    if (c->stage == STAGE_OPEN) {
        enum err err = fill_out(c);

        if (err != OK)
            die(c, err);
    }
    return buf_span(&c->out);
}

void conn_sent(struct conn *c, size_t n)
{
    buf_drain(&c->out, n);
    c->stats.bytes_out += n;
    if (buf_len(&c->out) == 0 &&
        (c->stage != STAGE_OPEN || !yamux_has_out(c->yamux)))
        buf_shrink(&c->out);
}

static bool has_news(const struct conn *c)
{
    if (c->upgraded_due || c->closed_due || !list_is_empty(&c->news))
        return true;
    return c->stage == STAGE_OPEN && (yamux_has_news(c->yamux) || may_close(c));
}

tstamp conn_deadline(const struct conn *c)
{
    tstamp at = c->deadline;

    if (has_news(c))
        return 0;
    if (c->stage == STAGE_CLOSED)
        return TSTAMP_NEVER;
    if (c->stage == STAGE_OPEN) {
        at = tstamp_min(at, yamux_deadline(c->yamux));
        at = tstamp_min(at, conn_streams_deadline(c));
    }
    return at;
}

void conn_tick(struct conn *c, tstamp now)
{
    enum err err = OK;

    set_now(c, now);
    if (now >= c->deadline)
        die(c, c->is_closing ? OK : ERR_TIMEOUT);
    if (c->stage != STAGE_OPEN)
        return;
    err = yamux_tick(c->yamux, now);
    if (err != OK)
        die(c, err);
    else
        conn_streams_tick(c);
}

void conn_close(struct conn *c, tstamp now)
{
    set_now(c, now);
    if (c->is_closing)
        return;
    c->is_closing = true;
    if (c->stage != STAGE_OPEN) {
        die(c, OK);
        return;
    }
    yamux_go_away(c->yamux, YAMUX_CODE_NORMAL);
    c->deadline = tstamp_add(now, c->limits.close_within);
}

const struct peer_id *conn_peer(const struct conn *c)
{
    return c->stats.is_upgraded ? &c->peer : NULL;
}

const struct pubkey *conn_peer_key(const struct conn *c)
{
    return c->stats.is_upgraded ? c->key : NULL;
}

void conn_stats(const struct conn *c, struct conn_stats *out)
{
    struct yamux_stats y;

    *out = c->stats;
    if (c->yamux == NULL)
        return;
    yamux_stats(c->yamux, &y);
    out->streams_in = y.streams_in;
    out->streams_out = y.streams_out;
    out->streams_refused = y.refused;
    out->unsent = y.unsent;
    out->rtt = y.rtt;
}

size_t conn_unsent(const struct conn *c)
{
    return c->yamux != NULL ? yamux_unsent(c->yamux) : 0;
}
