/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/rng.h"
#include "souk/core.h"
#include "souk/err.h"

/* The node's REST interface: openapi/openapi.yaml over libmicrohttpd.
 *
 *      client ──► gateway thread ─┬─ hot cache, reader ──► answer at once
 *                (loop + daemon)  ├─ core_submit() ──► suspended … resumed
 *                                 └─ worker_submit() ─► likewise
 *
 * Each thread is a libuv loop that drives a libmicrohttpd daemon of its own in
 * external epoll mode over SO_REUSEPORT, with a reader of its own.  Threads
 * share the hot cache, the rate limiter and counters, nothing else.
 *
 *      gateway_start()   bound and serving
 *      gateway_drain()   no new connections; deps.drained() when none is left
 *      gateway_stop()    joins the threads
 *
 * A request ends exactly once: answered, at its deadline, or because its client
 * left. */
struct gateway;
struct cache;
struct network;
struct store;
struct store_trust;
struct telemetry;
struct worker;

enum {
    GATEWAY_ADDRESS_MAX = 256,
    GATEWAY_WHY_MAX = 256,
    GATEWAY_THREADS_MAX = 64,
};

/* As core/tbl/params.h names them; all copied. */
struct gateway_config {
    const char *http;  /* ADDR:PORT; port 0 takes a free one */
    const char *admin; /* ADDR:PORT, unix:PATH; NULL or "": none */
    unsigned threads;  /* 0: one per core, at most 4 */
    bool write_auth_none;
    const char *admin_token;
    const char *publish_token; /* NULL: there is none */
    uint64_t rate;             /* requests a second of a client; 0: off */
    uint64_t rate_burst;
    unsigned conns_max;                 /* 0: LIMIT_HTTP_CONNS_MAX */
    const char *const *trusted_proxies; /* ADDR or ADDR/BITS */
    size_t trusted_proxy_count;
    const char *public_url;          /* NULL or "": none */
    const char *base_path;           /* NULL or "": the root */
    const char *const *cors_origins; /* may write */
    size_t cors_origin_count;
    const char *version; /* "0.1.0" */
    const char *commit;
};

/* All borrowed; they outlive the gateway. */
struct gateway_deps {
    struct core *core;
    struct store *store;         /* to open readers on, and for its counts */
    struct worker *worker;       /* writes */
    struct cache *cache;         /* hot answers */
    struct telemetry *telemetry; /* takes spans; NULL: there are none */
    const struct network *network;
    const struct rng *rng; /* any thread may call it */
    const struct log *log; /* likewise */
    /* Nothing is in flight after gateway_drain(); called once, on a gateway
     * thread.  May be NULL. */
    void (*drained)(void *ctx);
    void *ctx;
};

/* ERR_CONFIG: an address, proxy or path that cannot be read, or
 * write_auth_none beyond loopback; ERR_IO: an address that cannot be bound;
 * ERR_STORE, ERR_NOMEM.  |why| is a sentence for people. */
MUST_USE
enum err gateway_start(const struct gateway_config *config,
                       const struct gateway_deps *deps, struct gateway **out,
                       char why[GATEWAY_WHY_MAX]);

/* Where it listens, ports filled in, as URLs: "http://127.0.0.1:8800" (with the
 * base path), "unix:/path"; "" for a listener there is not. */
struct gateway_ports {
    char http[GATEWAY_ADDRESS_MAX];
    char admin[GATEWAY_ADDRESS_MAX];
};
void gateway_ports(const struct gateway *g, struct gateway_ports *out);

/* Descriptors it may hold at once, for the process's budget. */
unsigned gateway_descriptors(const struct gateway_config *config);

/* From any thread: stop accepting, close what is idle, finish the rest.  The
 * requests' own deadlines bound how long that takes. */
void gateway_drain(struct gateway *g);
/* Ends what is still there and frees all. */
void gateway_stop(struct gateway *g);

#endif /* GATEWAY_GATEWAY_H */
