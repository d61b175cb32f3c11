/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONN_STATE_H
#define CONN_STATE_H

#include "base/list.h"
#include "conn/conn.h"
#include "mss/mss.h"
#include "noise/noise.h"
#include "yamux/session.h"

/* What conn.c (the layers below) and stream.c (the streams above) share. */
enum {
    CONN_OUT_FILL = 64 * 1024, /* one conn_out() when there is as much */
    CONN_OUT_REFILL = 16 * 1024,
    CONN_OUT_MAX = CONN_OUT_FILL + 32 * 1024,
    CONN_EARLY_MAX = 64 * 1024, /* written before one of several is agreed */
};

enum conn_stage {
    STAGE_SECURITY,  /* multistream for noise */
    STAGE_HANDSHAKE, /* noise */
    STAGE_MUXER,     /* multistream for yamux, inside noise */
    STAGE_OPEN,      /* yamux */
    STAGE_CLOSED,    /* only news are left */
};

struct conn_stream {
    struct list all;         /* in conn.streams */
    struct list negotiating; /* in conn.negotiating, the oldest first */
    struct list news;        /* in conn.news: |tells| */
    uint32_t id;
    bool is_ours;
    bool is_told; /* the owner knows it, so must hear of its end */
    enum conn_event_type tells;
    enum err err;
    struct mss *mss; /* while negotiating */
    struct buf early;
    bool is_starved; /* a write found |early| full */
    bool is_finished;
    void *user;
};

struct conn {
    const struct mem *mem;
    struct rng rng;
    const struct log *log;
    bool is_dialer;
    bool is_closing;
    const struct ed25519_keypair *identity;
    const struct noise_static *static_key;
    const char *const *protocols;
    size_t protocols_count;
    struct conn_limits limits;

    enum conn_stage stage;
    enum err closed_err;
    bool closed_due; /* events that are no stream's */
    bool upgraded_due;
    tstamp now;
    tstamp deadline; /* of the handshake, or of closing */

    struct mss *mss;
    struct noise *noise;
    struct yamux *yamux;
    struct noise_input in;
    struct span plain; /* decrypted, not yet taken */
    struct buf out;

    struct list streams;
    struct list negotiating;
    struct list news;
    struct span rest; /* of what brought the agreement of a stream */
    uint32_t rest_stream;

    struct peer_id peer;
    const struct pubkey *key;
    struct conn_stats stats;
};

/* What a yamux event means; |ev| may stay CONN_EV_NONE. */
void conn_streams_on(struct conn *c, const struct yamux_event *yev,
                     struct conn_event *ev);
/* The next thing to tell of any stream. */
bool conn_streams_tell(struct conn *c, struct conn_event *ev);
tstamp conn_streams_deadline(const struct conn *c);
void conn_streams_tick(struct conn *c);
/* The connection is over: those the owner knows are to be told. */
void conn_streams_close(struct conn *c);
void conn_streams_free(struct conn *c);

#endif /* CONN_STATE_H */
