/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEARCH_SEARCH_H
#define SEARCH_SEARCH_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/span.h"
#include "base/time.h"
#include "multi/peer_id.h"
#include "souk/err.h"
#include "souk/request.h"

/* /souk/search/1.0.0 (docs/PROTOCOLS.md): one request and one response a
 * stream, varint-framed protobuf (wire/search.proto).  Here are the two
 * messages, unframed, and the pace a peer may ask at; no streams and no
 * catalogue.
 *
 *      asker:     search_request_encode() ─ stream ─► search_request_decode()
 *      answerer:  search_pace_take() ─► catalogue ─► search_response_add() … */
#define SEARCH_PROTOCOL "/souk/search/1.0.0"

enum {
    SEARCH_REQUEST_MAX = 16 * 1024,
    SEARCH_RESPONSE_MAX = 256 * 1024,
    SEARCH_RESULTS_MAX = 50,
    SEARCH_DEADLINE_MS_MAX = 25 * 1000,
};

struct search_request {
    char query[REQUEST_QUERY_MAX + 1];
    struct search_filter filter;
    uint32_t limit;       /* 1…50 */
    uint32_t deadline_ms; /* the asker waits no longer */
};

/* ERR_LIMIT: |out| is full. */
MUST_USE
enum err search_request_encode(const struct search_request *r, struct buf *out);
/* A limit of 0 is 20; numbers above their limits are cut to them.  The texts
 * are bounded and have no NUL, and are not trusted otherwise.
 *
 * ERR_PROTO       malformed, or a text above its limit
 * ERR_FRAME_SIZE  above SEARCH_REQUEST_MAX
 * ERR_NOMEM       no memory, or too large decoded */
MUST_USE
enum err search_request_decode(struct span msg, struct search_request *r,
                               const struct mem *mem);

struct search_hit {
    struct span record; /* as signed */
    double score;
};

struct search_response {
    struct search_hit hits[SEARCH_RESULTS_MAX];
    size_t count;
    uint64_t total;    /* matches the answerer holds */
    bool is_truncated; /* it had more than it sent */
    bool is_busy;      /* it did not look: come back in |retry_ms| */
    uint32_t retry_ms;
    uint32_t rate_per_minute; /* what the asker may do; 0: not told */
    bool has_location;
    double latitude, longitude;
};

/* Hits that no longer fit into SEARCH_RESPONSE_MAX are left out and
 * |is_truncated| is set on the wire.  ERR_LIMIT, ERR_NOMEM. */
MUST_USE
enum err search_response_encode(const struct search_response *r,
                                struct buf *out);
/* The hits point into |msg|; a score is never negative nor infinite.
 *
 * ERR_PROTO       malformed, too many hits, a location that is none
 * ERR_FRAME_SIZE  above SEARCH_RESPONSE_MAX
 * ERR_NOMEM       no memory, or too large decoded */
MUST_USE
enum err search_response_decode(struct span msg, struct search_response *r,
                                const struct mem *mem);

/* How often each peer may ask: a token bucket a peer, bounded.  A peer that is
 * forgotten for lack of room was idle longest. */
struct search_pace;

struct search_pace_config {
    uint32_t rate_per_minute; /* 0 = 120 */
    uint32_t burst;           /* 0 = 20 */
    size_t peers_max;         /* 0 = 256 */
};

struct search_pace *search_pace_new(const struct search_pace_config *config,
                                    const struct mem *mem);
void search_pace_free(struct search_pace *p);
/* May |peer| ask now?  0: yes, and it is counted; else the milliseconds it
 * should wait. */
uint32_t search_pace_take(struct search_pace *p, const struct peer_id *peer,
                          tstamp now);
uint32_t search_pace_rate(const struct search_pace *p); /* a minute */
void search_pace_forget(struct search_pace *p, const struct peer_id *peer);
uint64_t search_pace_refused(const struct search_pace *p);
size_t search_pace_peers(const struct search_pace *p);

#endif /* SEARCH_SEARCH_H */
