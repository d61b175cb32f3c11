/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAMUX_SESSION_H
#define YAMUX_SESSION_H

#include "base/mem.h"
#include "base/span.h"
#include "base/time.h"
#include "souk/err.h"
#include "yamux/frame.h"

/* One yamux session: many streams over one ordered byte stream.
 *
 *      bytes in -> yamux_recv -> events
 *      time     -> yamux_tick -> debts (pong, window, RST) -+-> yamux_out
 *                  yamux_write -> a queue a stream ---------+   bytes out
 *
 * Received payload is handed on as it comes, never kept: a peer sends as much
 * as yamux_consumed() gives back, in windows that tune themselves to the round
 * trip.  What is written is kept, bounded a stream and a session, and leaves in
 * turns of one frame a stream.  What other implementations end a connection for
 * (unsolicited pongs, overrun windows, a second SYN) is never sent.
 *
 * Streams are named by their ids.  A stream ends with YAMUX_EV_RESET,
 * YAMUX_EV_ENDED or yamux_reset(); its id means nothing afterwards, and calls
 * with it do nothing.
 *
 * spec: https://github.com/hashicorp/yamux/blob/master/spec.md */
struct yamux;

enum {
    /* Payload.  rust ends a session above 1 MiB, but js fills a whole window
     * with one frame, and ours grow to 16 MiB. */
    YAMUX_FRAME_IN_MAX = 16 * 1024 * 1024,
    YAMUX_FRAME_OUT_MAX = 16 * 1024, /* payload: one turn */
    YAMUX_UNACKED_MAX = 256,         /* our streams the peer did not ACK yet */
    YAMUX_OWED_MAX = 16 * 1024,      /* bytes of pongs and resets unsent */
    YAMUX_OUT_MIN = 1024 + 2 * YAMUX_HEADER_LEN, /* for yamux_out() */
};

struct yamux_config {
    bool is_dialer;
    duration ping_every;  /* the first ping leaves at once */
    duration pong_within; /* of silence after a ping */
    uint32_t streams_in_max;
    uint32_t streams_out_max;
    uint32_t window_max;      /* what one stream's window may grow to */
    uint64_t window_sum_max;  /* what all of them may grow, together */
    size_t stream_unsent_max; /* bytes written and not sent, one stream */
    size_t unsent_max;        /* the same, all streams */
};

enum yamux_event_type {
    YAMUX_EV_NONE,
    YAMUX_EV_OPENED,   /* by the peer */
    YAMUX_EV_DATA,     /* |data|, to be given back by yamux_consumed() */
    YAMUX_EV_FIN,      /* the peer will send no more */
    YAMUX_EV_RESET,    /* by the peer, with |code|: the stream is gone */
    YAMUX_EV_ENDED,    /* both sides finished: the stream is gone */
    YAMUX_EV_WRITABLE, /* room again, after a write that had none */
    YAMUX_EV_GO_AWAY   /* the peer takes no more streams; |code| */
};

struct yamux_event {
    enum yamux_event_type type;
    uint32_t stream;
    void *user;       /* of the stream */
    struct span data; /* points into the caller's input */
    uint32_t code;
};

struct yamux_stats {
    uint32_t streams_in;
    uint32_t streams_out;
    uint64_t refused; /* inbound streams beyond streams_in_max */
    size_t unsent;
    duration rtt; /* 0: not measured yet */
};

/* NULL: out of memory. */
struct yamux *yamux_new(const struct yamux_config *config, tstamp now,
                        const struct mem *mem);
void yamux_free(struct yamux *y);

/* Take bytes from the front of |in| until one event is complete.  Input may be
 * cut anywhere.  Call until |ev| is YAMUX_EV_NONE.  An error is final.
 *
 * ERR_PROTO         a frame the specification forbids
 * ERR_FRAME_SIZE    a payload larger than YAMUX_FRAME_IN_MAX
 * ERR_FLOW_CONTROL  more than the window allowed, or a window beyond 2^32
 * ERR_LIMIT         the peer made us owe more than YAMUX_OWED_MAX
 * ERR_NOMEM */
MUST_USE
enum err yamux_recv(struct yamux *y, struct span *in, tstamp now,
                    struct yamux_event *ev);
/* What happened other than by input: WRITABLE, ENDED. */
bool yamux_poll(struct yamux *y, struct yamux_event *ev);
bool yamux_has_news(const struct yamux *y); /* for yamux_poll() */

/* Write whole frames to |out|, at most |cap| bytes, YAMUX_OUT_MIN or more. They
 * count as sent.  0: nothing to send. */
size_t yamux_out(struct yamux *y, uint8_t *out, size_t cap);
bool yamux_has_out(const struct yamux *y);
/* The same without the copy, when the next thing to send is one large data
 * frame: the frame where it lies, until the next call or yamux_lend_done(),
 * which should come soon for the memory it holds.  Empty: use yamux_out(). */
struct span yamux_lend(struct yamux *y);
void yamux_lend_done(struct yamux *y);

tstamp yamux_deadline(const struct yamux *y);
/* ERR_TIMEOUT if the peer has gone silent. */
MUST_USE
enum err yamux_tick(struct yamux *y, tstamp now);

/* ERR_LIMIT, ERR_CLOSED (one side said go-away), ERR_NOMEM. */
MUST_USE
enum err yamux_open(struct yamux *y, void *user, tstamp now, uint32_t *stream);
void yamux_set_user(struct yamux *y, uint32_t stream, void *user);
void *yamux_user(const struct yamux *y, uint32_t stream);
/* All of |data| or nothing.  ERR_LIMIT (then wait for WRITABLE), ERR_CLOSED (no
 * such stream, or finished), ERR_NOMEM. */
MUST_USE
enum err yamux_write(struct yamux *y, uint32_t stream, struct span data);
/* What yamux_write() would take now. */
size_t yamux_room(const struct yamux *y, uint32_t stream);
/* Send what was written, then FIN. */
void yamux_finish(struct yamux *y, uint32_t stream);
/* Drop what was not sent, and end both ways at once, without an event. */
void yamux_reset(struct yamux *y, uint32_t stream, uint32_t code);
void yamux_consumed(struct yamux *y, uint32_t stream, size_t n, tstamp now);

/* Say that we take no more streams, once what can be sent is sent. */
void yamux_go_away(struct yamux *y, uint32_t code);

void yamux_stats(const struct yamux *y, struct yamux_stats *out);
size_t yamux_unsent(const struct yamux *y); /* of these */

#endif /* YAMUX_SESSION_H */
