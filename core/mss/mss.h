/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MSS_MSS_H
#define MSS_MSS_H

#include "base/buf.h"
#include "base/time.h"
#include "multi/uvarint.h"

/* multistream-select: two peers agree on one protocol of a byte stream.
 *
 *      dialer                           listener
 *      /multistream/1.0.0  --------->
 *      /a                  --------->
 *                          <---------   /multistream/1.0.0
 *                          <---------   na
 *      /b                  --------->
 *                          <---------   /b             both: MSS_EV_AGREED
 *
 * The dialer waits for nothing: its header and first proposal are there at
 * once, and while mss_is_last_proposal() holds, the protocol's own bytes may
 * follow them.  The listener answers `na` to what it does not have, and `ls`
 * with its list.  Bytes after the agreement stay in |in|: they belong to the
 * protocol.  One negotiation is one struct, released when it is over.
 *
 * spec: https://github.com/multiformats/multistream-select */
enum {
    MSS_MESSAGE_MAX = 1024, /* text and newline, as go and js have it */
    MSS_PROPOSALS_MAX = 8,  /* what one dialer may propose */
    MSS_REFUSALS_MAX = 16,  /* what one listener answers na or ls to */
    MSS_OUT_MAX = 8192,     /* answers the peer has not read yet */
};

enum mss_event_type {
    MSS_EV_NONE,  /* the input ran out */
    MSS_EV_AGREED /* on |protocol| */
};

struct mss_event {
    enum mss_event_type type;
    size_t protocol; /* index in the names given */
};

struct mss {
    const char *const *names; /* the listener's; must outlive us */
    const char *proposals[MSS_PROPOSALS_MAX]; /* the dialer's */
    size_t count;
    size_t proposed; /* dialer: index of the proposal on its way */
    unsigned refusals;
    bool is_dialer;
    bool header_seen;
    bool agreed;
    tstamp deadline;
    struct uvarint length; /* of the message in hand */
    size_t need;           /* the same, once known; 0 before */
    struct buf in;         /* its text, if it was cut */
    struct buf out;
};

/* The texts must outlive |m|; the dialer copies the array, the listener does
 * not.  1 <= |count|, and at most MSS_PROPOSALS_MAX for a dialer.  On ERR_NOMEM
 * there is nothing to release. */
MUST_USE
enum err mss_dial(struct mss *m, const char *const names[], size_t count,
                  tstamp deadline, const struct mem *mem);
MUST_USE
enum err mss_listen(struct mss *m, const char *const names[], size_t count,
                    tstamp deadline, const struct mem *mem);
void mss_release(struct mss *m);

/* Take bytes from the front of |in|, up to the agreement and not one more.  An
 * error is final.
 *
 * ERR_PROTO        not a multistream message, or an answer nobody asked for
 * ERR_FRAME_SIZE   a message larger than MSS_MESSAGE_MAX
 * ERR_NO_PROTOCOL  dialer: all our proposals were refused
 * ERR_LIMIT        listener: too many proposals, or answers unread
 * ERR_NOMEM */
MUST_USE
enum err mss_recv(struct mss *m, struct span *in, struct mss_event *ev);

struct span mss_out(const struct mss *m);
void mss_sent(struct mss *m, size_t n);

/* Dialer: nothing else can be proposed, so data may follow at once. */
bool mss_is_last_proposal(const struct mss *m);

tstamp mss_deadline(const struct mss *m);
/* ERR_TIMEOUT when the deadline has come without an agreement. */
MUST_USE
enum err mss_tick(const struct mss *m, tstamp now);

#endif /* MSS_MSS_H */
