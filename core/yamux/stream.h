/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YAMUX_STREAM_H
#define YAMUX_STREAM_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "yamux/queue.h"
#include "yamux/session.h"
#include "yamux/window.h"

/* What session.c (input, streams) and send.c (output) share. */
struct yamux_stream {
    UT_hash_handle hh;
    uint32_t id;
    bool is_ours;
    bool is_acked; /* ours: by the peer */
    bool syn_due;  /* our next frame must carry it */
    bool ack_due;
    bool is_finishing; /* nothing more can be written */
    bool fin_sent;
    bool fin_seen;
    uint32_t allowed; /* bytes the peer lets us send */
    struct yamux_window window;
    struct yamux_queue unsent;
    void *user;
    struct list turn;    /* in session.turns while it has something to send */
    struct list starved; /* in session.starved after a write found no room */
    struct list news;    /* in session.news: yamux_poll() tells */
    enum yamux_event_type tells;
};

struct yamux {
    const struct mem *mem;
    struct yamux_config config;
    enum err broken; /* what went wrong where nobody could be told */

    struct yamux_stream *streams;
    struct list turns;
    struct list starved;
    struct list news;
    struct yamux_stats stats;
    uint32_t next_id;
    uint32_t unacked; /* our streams the peer did not ACK yet */
    struct yamux_tuning tuning;

    /* Input.  We hold at most one partial header; payloads pass through. */
    uint8_t header_bytes[YAMUX_HEADER_LEN];
    size_t header_have;
    struct yamux_header header; /* valid once header_have is full */
    enum { STAGE_BEGIN, STAGE_OPENED, STAGE_PAYLOAD } stage;
    struct yamux_stream *target; /* of the frame in hand, NULL: nobody */
    uint32_t payload_left;

    /* Output other than the streams'. */
    struct buf owed;
    struct yamux_chunk *lent; /* what yamux_lend() gave lies in it */
    bool ping_due;
    bool go_away_due;
    bool is_leaving; /* we said, or are about to say, go-away */
    bool is_left;    /* the peer did */
    uint32_t go_away_code;

    tstamp now; /* the latest we were told */
    tstamp heard_at;
    tstamp ping_at;   /* when the next ping is due */
    tstamp pinged_at; /* of the unanswered one, TSTAMP_NEVER if none */
    uint32_t ping_id;
};

/* Put |s| into its place in the order of turns, if it has anything to send. */
void yamux_schedule(struct yamux *y, struct yamux_stream *s);
/* Both sides have finished: tell, and take no more input for it. */
void yamux_stream_ended(struct yamux *y, struct yamux_stream *s);

#endif /* YAMUX_STREAM_H */
