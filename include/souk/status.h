/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_STATUS_H
#define SOUK_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

enum { STATUS_ADDRS_MAX = 16 };

struct status_addrs {
    struct multiaddr at[STATUS_ADDRS_MAX];
    size_t count;
};

/* What the node says of itself.  The core thread renews it at every change that
 * matters to readiness and at least each 250 ms. */
struct node_status {
    struct peer_id id;
    const char *network; /* static: "souk", "ggen" */
    tstamp started_at;
    tstamp updated_at;             /* too old: the loop hangs */
    struct status_addrs listen;    /* bound */
    struct status_addrs announced; /* what we tell others */
    struct status_addrs confirmed; /* seen by ≥ 4 IP groups from outside */
    bool is_started;               /* listeners bound, state loaded */
    bool is_standalone;
    bool is_draining;
    bool store_writes;      /* the last write of the store succeeded */
    tstamp dht_answered_at; /* TSTAMP_NEVER: never */
    duration loop_lag;      /* worst of the last second */
    uint64_t peers_connected;
    uint64_t peers_known;
    uint64_t routing_table_peers;
    uint64_t records;       /* DHT records held */
    uint64_t provider_keys; /* DHT provider keys held */
    uint64_t mesh_peers;
    uint64_t outbox;  /* publishes still on their way */
    uint64_t events;  /* handled by the node since it started */
    uint64_t lookups; /* finished */
    uint64_t rpcs_in, rpcs_out;
    /* Messages: new and accepted, sent, refused. */
    uint64_t gossip_received, gossip_sent, gossip_rejected;
    uint64_t bytes_in, bytes_out;
    uint64_t dials_failed; /* no address of the peer answered */
    uint64_t names_failed; /* DNS questions */
    uint64_t clock_jumps;  /* the wall clock was set, by a second and more */
};

#endif /* SOUK_STATUS_H */
