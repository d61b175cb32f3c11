/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_INTERNAL_H
#define HOST_INTERNAL_H

#include <stdatomic.h>

#include <uv.h>

#include "base/map.h"
#include "host/host.h"
#include "host/mailbox.h"
#include "host/system.h"
#include "souk/metrics.h"
#include "store/reader.h"
#include "store/worker.h"
#include "tbl/limit.h"

/* The host's parts, shared by the files of this room only:
 *
 *      host.c     the loop: what wakes it, what it does then
 *      sock.c     connections          listen.c   who connects
 *      resolve.c  DNS                  saved.c    behind and before the run
 *      asker.c    the reader thread    drain.c    signals and the end
 *      core.c     what the gateway sees */

enum {
    /* One buffer for all connections: what is read is dealt with at once. */
    READ_BYTES = 256 * 1024,
    /* What one connection may write or accept before others have their turn. */
    WRITE_TURN_BYTES = 2 * 1024 * 1024,
    ACCEPT_TURN = 64,
    LISTENERS_MAX = STATUS_ADDRS_MAX,
    TICK_MS = 250,
    CLOCK_JUMP_MS = 1000,
    LAG_TICKS = 4,        /* the worst lag is that of the last second */
    NOTED_NAME_MAX = 512, /* of a traced publish: NS/NAME@VERSION */
    HELD_MAX = 4096,      /* outbox ids the store's queue had no room for */
};

/* After activity the status is this old at most. */
#define STATUS_WITHIN (20 * MILLISECONDS)
#define INTERFACES_EVERY (60 * SECONDS)
/* How long the goodbye to peers may take. */
#define GOODBYE_WITHIN (2 * SECONDS)

struct sock {
    conn_id id;
    int fd;
    int events; /* watched: UV_READABLE, UV_WRITABLE */
    bool is_dialling;
    struct host *host;
    uv_poll_t poll;
    UT_hash_handle hh;
};

struct listener {
    int fd;
    struct multiaddr addr; /* as bound */
    bool is_any;           /* of all interfaces */
    struct host *host;
    uv_poll_t poll;
};

/* What the gateway holds.  Its threads touch only this. */
struct core {
    struct mailbox mailbox;
    atomic_bool outbox_grew;
    atomic_bool is_gateway_drained;
    atomic_bool is_stopping;
    uv_async_t wake;
    uv_mutex_t status_lock;
    struct node_status status;
    struct node_metrics metrics; /* under the same lock */
    struct usages usages;
};

struct asker; /* asker.h */

enum host_phase {
    HOST_SERVING,
    HOST_DELAY,   /* not ready any more, serving */
    HOST_GATEWAY, /* the gateway finishes what is in flight */
    HOST_GOODBYE, /* the node closes its connections */
    HOST_ENDED,
};

struct host {
    struct host_config config;
    struct multiaddr *announce;
    struct node *node;
    struct worker *worker;
    struct asker *asker;
    struct core core;
    struct peer_id id;

    uv_loop_t loop;
    uv_timer_t deadline; /* the node's */
    uv_timer_t tick;
    uv_timer_t phase_timer;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_signal_t sigterm, sigint;

    struct listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    struct status_addrs listening; /* every interface's */
    tstamp interfaces_at;
    int spare_fd; /* given up to refuse a connection when there are no more */
    tstamp warned_at;
    struct sock *socks; /* map by id */
    uint8_t *read_buffer;
    size_t unsettled; /* bytes heard, and not acted on; 0: nothing is to do */
    unsigned resolving;
    uint64_t resolves_refused;
    uint64_t resolved_refused; /* addresses of DNS answers, left out */
    uint64_t descriptors_refused;

    enum host_phase phase;
    bool is_loop_up; /* handles exist */

    tstamp polled_at; /* when the loop came back from waiting */
    tstamp ticked_at;
    duration lag[LAG_TICKS];
    unsigned lag_at;
    tstamp started_at;
    tstamp status_at; /* when the snapshot was made */
    bool status_is_old;

    int64_t *held; /* outbox ids that are done, to be told the store */
    size_t held_count;
    uint64_t held_refused;
    uint64_t failures_seen; /* of the store */
    bool has_lost;          /* by them, since it could write last */
    wall_ms wall_offset;    /* of the wall clock from the monotonic one */
    uint64_t clock_jumps;
};

/* host.c */
/* Perform the node's actions until it has none.  For connections this is done
 * once a turn of the loop, or when much has come: of what many peers say at
 * once, part answers what others asked for. */
void host_settle(struct host *h);
void host_status_renew(struct host *h, tstamp now);

/* core.c */
void core_init(struct core *c, size_t mailbox_max);
void core_release(struct core *c);
/* What the gateway put in the mailbox; on the loop. */
void core_collect(struct host *h);
void core_answer(struct host *h, struct request *r);
/* What core_usage() and core_metrics() tell from now on. */
void core_figures_renew(struct host *h);

/* listen.c */
MUST_USE
enum err listeners_open(struct host *h, char why[256]);
void listeners_start(struct host *h);
void listeners_close(struct host *h);
/* The addresses of the interfaces, if any changed. */
void listeners_refresh(struct host *h, tstamp now);

/* sock.c */
/* The multiaddr of a socket address and back. */
bool multiaddr_from_sockaddr(struct multiaddr *out,
                             const struct sockaddr_storage *from);
socklen_t multiaddr_to_sockaddr(const struct multiaddr *addr,
                                struct sockaddr_storage *out);
void socks_dial(struct host *h, conn_id id, const struct multiaddr *addr);
/* Takes |fd|. */
void socks_accepted(struct host *h, int fd, conn_id id);
void socks_flush(struct host *h, conn_id id);
void socks_close(struct host *h, conn_id id);
void socks_close_all(struct host *h);

/* resolve.c */
void resolve_start(struct host *h, const struct node_action *action);

/* saved.c */
MUST_USE
enum err saved_load(struct host *h, char why[256]);
void saved_perform(struct host *h, const struct node_action *action);
void saved_retry(struct host *h);
void saved_check(struct host *h);

/* drain.c */
MUST_USE
enum err drain_init(struct host *h);
void drain_begin(struct host *h);
/* Go on if what was waited for has happened. */
void drain_advance(struct host *h);

#endif /* HOST_INTERNAL_H */
