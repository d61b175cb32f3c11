/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/log.h"
#include "node/node.h"
#include "souk/core.h"

/* The machine under a node: sockets, clock, timers, DNS, signals and threads.
 * One libuv loop owns the node and performs its actions; it never blocks and
 * never does SQL.
 *
 *      sockets ──► node_conn_recv()          ┌──► sockets, getaddrinfo
 *      mailbox ──► node_request()    loop    ├──► reader thread   (SELECT)
 *      reader  ──► node_…_found()  ────────► ├──► store's worker (write-behind)
 *      timer   ──► node_tick()               └──► done() of a request
 *
 * Its use, all on one thread:
 *
 *      host_new()     binds, restores what was saved; nothing is accepted yet
 *      gateway starts with host_core()
 *      host_run()     until SIGTERM or SIGINT and what follows it
 *      gateway stops
 *      host_free() */
struct host;
struct store;
struct telemetry;

struct host_config {
    struct node_config node;
    struct store *store;            /* borrowed, outlives the host; its one
                                       writer is the host's worker */
    const struct multiaddr *listen; /* copied by host_new() */
    size_t listen_count;
    /* One of |listen| that the machine has no address family for is a warning,
     * not an error. */
    bool listen_is_default;
    const struct multiaddr *announce; /* told to others besides */
    size_t announce_count;
    duration shutdown_delay; /* kept serving after the signal */
    duration drain_max;      /* for requests in flight; 0 is 25 s */
    unsigned mailbox_max;    /* 0: LIMIT_MAILBOX_MAX */
    unsigned terms_max;
    unsigned descriptors; /* those that others, the gateway first, may open */
    const struct log *log;
    struct telemetry *telemetry; /* NULL: spans are nobody's business */

    /* The gateway's side of the drain, called on the loop's thread: stop
     * accepting, finish what is in flight, then host_drained().  NULL: there
     * is no gateway. */
    void (*drain)(void *ctx);
    void *ctx;
};

/* Binds the listeners and restores the node from the store.  ERR_IO: an address
 * cannot be bound; ERR_LIMIT: the process may not open enough descriptors;
 * ERR_STORE….  |why| is a sentence for people. */
MUST_USE
enum err host_new(const struct host_config *config, struct host **out,
                  char why[256]);
void host_free(struct host *h);

/* What the gateway works with, valid until host_free(). */
struct core *host_core(struct host *h);
struct worker *host_worker(struct host *h);
const struct peer_id *host_peer_id(const struct host *h);
/* The bound addresses, ports filled in. */
const struct status_addrs *host_listening(const struct host *h);

/* Until a signal, host_stop() or a fatal error. */
MUST_USE
enum err host_run(struct host *h);

/* From any thread. */
void host_stop(struct host *h);    /* as SIGTERM does */
void host_drained(struct host *h); /* the gateway has nothing in flight */

#endif /* HOST_HOST_H */
