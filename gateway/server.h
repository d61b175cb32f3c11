/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_SERVER_H
#define GATEWAY_SERVER_H

#include "gateway/loop.h"

/* libmicrohttpd on one loop: its daemon in external epoll mode, whose epoll
 * descriptor the loop polls, and the life of its connections.
 *
 *      IDLE ─► HEAD ─► (BODY | DRAIN) ─► WAITING ─► SENDING ─► IDLE …
 *
 * A connection that stays in a phase for too long is cut; so is the oldest of
 * the first three when there are too many. */
struct daemon;

enum {
    IDLE_MS = 60000,
    HEAD_MS = 10000,
    BODY_MS = 60000,
    DRAIN_MS = 5000, /* of a refused body … */
    DRAIN_BYTES_MAX = 16 << 20,
    SENDING_MS = 600000,
    STALLED_S = 60,        /* libmicrohttpd's own: no byte moved */
    GONE_MS = 500,         /* then look whether the client left */
    LATE_MS = 250,         /* after its deadline a request is answered here */
    TICK_MS = 100,         /* how often the above is looked at */
    IDLE_DRAIN_MS = 300,   /* while draining, so that nobody is cut mid-air */
    POOL_BYTES = 32 << 10, /* a connection's memory in libmicrohttpd */
    CONNS_SLACK = 64,      /* above the limit, on their way out */
};

/* Takes |listen_fd|, also on error.  ERR_IO. */
MUST_USE
enum err daemon_open(struct loop *l, int listen_fd, bool is_admin,
                     struct daemon **out);
void daemon_drive(struct daemon *d);
/* Stop accepting; what waits to be accepted still is. */
void daemon_quiesce(struct daemon *d);
/* Cuts what is left.  The loop must run on until its handles are closed. */
void daemon_close(struct daemon *d);

/* Every TICK_MS while there are connections. */
void server_tick(struct loop *l, tstamp now);
/* |x| has its answer, or will never have one. */
void server_resume(struct exchange *x);

#endif /* GATEWAY_SERVER_H */
