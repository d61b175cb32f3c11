/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONN_CONN_H
#define CONN_CONN_H

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "souk/err.h"

/* One connection to a peer, without the socket.
 *
 *   conn_recv -> |       |     |       |       |       |  mss a  | -> conn_poll
 *                | bytes | mss | noise | (mss) | yamux |         |
 *   conn_out  <- |       |     |       |       |       | stream  | <- write
 *
 * Drive it so, whenever bytes or time came:
 *
 *   conn_recv(c, bytes, n, now);       or conn_tick(c, now);
 *   while (conn_poll(c, &ev)) ...      the bytes must live until here
 *   while ((out = conn_out(c)).len)    as long as the socket takes them
 *       conn_sent(c, write(out));
 *   wake me at conn_deadline(c);       at once if more is to be polled
 *
 * Received bytes are decrypted where they are; CONN_EV_STREAM_DATA points into
 * them.  A peer sends on a stream as much as conn_stream_consumed() gives back.
 * Nothing is called back; every function may be called while polling.
 *
 * Streams are named by uint32_t ids.  Every stream the owner has heard of ends
 * with exactly one of CONN_EV_STREAM_RESET, CONN_EV_STREAM_ENDED or its own
 * conn_stream_reset(); calls with the id of an ended stream do nothing.  The
 * last event of a connection is CONN_EV_CLOSED. */
struct conn;
struct ed25519_keypair;
struct noise_static;
struct peer_id;
struct pubkey;

/* What a peer can make us spend.  Zero in a field means its default. */
struct conn_limits {
    duration handshake_within; /* 10 s, from conn_new() to UPGRADED */
    duration negotiate_within; /* 10 s, for the protocol of a stream */
    duration ping_every;       /* 30 s */
    duration pong_within;      /* 20 s of silence after a ping */
    duration close_within;     /* 5 s, from conn_close() to CLOSED */
    uint32_t streams_in_max;   /* 256; more are reset */
    uint32_t streams_out_max;  /* 256 */
    uint32_t window_max;       /* 16 MiB: a stream's receive window, grown */
    uint64_t window_sum_max;   /* 64 MiB: growth of all of them */
    size_t stream_unsent_max;  /* 1 MiB: written, not sent, one stream */
    size_t unsent_max;         /* 4 MiB: the same, all streams */
};
extern const struct conn_limits conn_limits_default;

struct conn_config {
    bool is_dialer;
    const struct ed25519_keypair *identity; /* must outlive the connection */
    /* The identity's, of all its connections; must outlive this one.  NULL: one
     * is made for this alone. */
    const struct noise_static *static_key;
    const struct peer_id *expected; /* whom we dialled, or NULL; copied */
    /* Protocol ids accepted on inbound streams; must outlive the connection. */
    const char *const *protocols;
    size_t protocols_count;
    struct conn_limits limits;
};

enum conn_event_type {
    CONN_EV_NONE,
    CONN_EV_UPGRADED,        /* conn_peer() is proven; streams may be opened */
    CONN_EV_STREAM_INBOUND,  /* the peer opened |stream| for |protocol| */
    CONN_EV_STREAM_READY,    /* our |stream| speaks |protocol| */
    CONN_EV_STREAM_DATA,     /* |data|, valid until the next conn_poll() */
    CONN_EV_STREAM_FIN,      /* the peer will send no more */
    CONN_EV_STREAM_WRITABLE, /* room, after a write gave ERR_LIMIT */
    CONN_EV_STREAM_RESET,    /* |stream| is gone: |err| */
    CONN_EV_STREAM_ENDED,    /* both sides finished, all is sent: it is gone */
    CONN_EV_GO_AWAY,         /* the peer takes no new streams */
    CONN_EV_CLOSED           /* nothing comes after; |err|, OK if we closed */
};

struct conn_event {
    enum conn_event_type type;
    uint32_t stream;
    void *user;      /* of the stream, NULL until set */
    size_t protocol; /* INBOUND: index in config.protocols; READY: index in
                      * what conn_stream_open() was given */
    struct span data;
    /* STREAM_RESET: ERR_RESET (by the peer), ERR_NO_PROTOCOL, ERR_TIMEOUT,
     *   ERR_PROTO (in negotiating), ERR_CLOSED (with the connection), ERR_NOMEM
     * CLOSED: ERR_TIMEOUT, ERR_CRYPTO, ERR_WRONG_PEER, ERR_NO_PROTOCOL,
     *   ERR_PROTO, ERR_FRAME_SIZE, ERR_FLOW_CONTROL, ERR_LIMIT, ERR_NOMEM */
    enum err err;
};

/* Copies |config| but for what must outlive the connection.  |log| may be
 * NULL.  The deadline of the handshake runs from |now|. */
struct conn *conn_new(const struct conn_config *config, tstamp now,
                      const struct rng *rng, const struct mem *mem,
                      const struct log *log);
void conn_free(struct conn *c);

/* Takes all |n| bytes, which are written to and must stay until conn_poll() has
 * returned false.  What is wrong with them shows as CONN_EV_CLOSED. */
void conn_recv(struct conn *c, uint8_t *bytes, size_t n, tstamp now);
/* The peer closed its end: whatever is not complete ends with ERR_CLOSED. */
void conn_recv_eof(struct conn *c, tstamp now);
bool conn_poll(struct conn *c, struct conn_event *ev);

/* What to send next, 64 KiB and more when there is as much; empty if nothing.
 * Valid until the next call other than conn_sent().  After CLOSED what it still
 * holds (a go-away) is worth one try before the socket is closed. */
struct span conn_out(struct conn *c);
void conn_sent(struct conn *c, size_t n);

/* When conn_tick() and conn_poll() must next be called: 0 while there is
 * something to poll, as sending may have caused it (WRITABLE, ENDED, CLOSED);
 * TSTAMP_NEVER once closed. */
tstamp conn_deadline(const struct conn *c);
void conn_tick(struct conn *c, tstamp now);

/* Open a stream for the first of |protocols| (at most MSS_PROPOSALS_MAX) that
 * the peer has; the texts must outlive the stream.  Writing may begin at once:
 * with one protocol the bytes leave together with its name, with several once
 * one is agreed on.
 * ERR_LIMIT (streams), ERR_CLOSED (not upgraded, closing or go-away),
 * ERR_NOMEM. */
MUST_USE
enum err conn_stream_open(struct conn *c, const char *const protocols[],
                          size_t count, tstamp now, uint32_t *stream);
/* All of |data| or nothing.  ERR_LIMIT (full: WRITABLE will come), ERR_CLOSED
 * (ended or finished), ERR_NOMEM. */
MUST_USE
enum err conn_stream_write(struct conn *c, uint32_t stream, struct span data);
/* How much a write would take now. */
size_t conn_stream_room(const struct conn *c, uint32_t stream);
/* Half-close: what was written, then FIN. */
void conn_stream_finish(struct conn *c, uint32_t stream);
/* End both ways now, without a further event of that stream. */
void conn_stream_reset(struct conn *c, uint32_t stream);
/* |n| bytes of STREAM_DATA are dealt with: the peer may send as many more. */
void conn_stream_consumed(struct conn *c, uint32_t stream, size_t n,
                          tstamp now);
void conn_stream_set_user(struct conn *c, uint32_t stream, void *user);
void *conn_stream_user(const struct conn *c, uint32_t stream);

/* Send what can be sent and a go-away; CLOSED comes once that has left, or
 * after close_within.  New inbound streams are refused meanwhile. */
void conn_close(struct conn *c, tstamp now);

/* After UPGRADED; NULL before. */
const struct peer_id *conn_peer(const struct conn *c);
const struct pubkey *conn_peer_key(const struct conn *c);

struct conn_stats {
    uint64_t bytes_in; /* as on the wire */
    uint64_t bytes_out;
    uint32_t streams_in;
    uint32_t streams_out;
    uint64_t streams_refused; /* inbound, beyond streams_in_max */
    size_t unsent;            /* bytes written and not yet in conn_out() */
    duration rtt;             /* 0: not measured yet */
    tstamp opened_at;
    tstamp heard_at;   /* last byte */
    tstamp idle_since; /* when the last stream ended; TSTAMP_NEVER while one
                        * is open */
    bool is_upgraded;
    bool has_early_muxer; /* yamux was agreed on inside the handshake */
};
void conn_stats(const struct conn *c, struct conn_stats *out);
size_t conn_unsent(const struct conn *c); /* of these */

#endif /* CONN_CONN_H */
