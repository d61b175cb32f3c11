/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_ENDPOINTS_H
#define HOST_ENDPOINTS_H

#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "souk/err.h"
#include "souk/status.h"

/* DIR/endpoints.json: where a running node can be reached, for scripts and for
 * the client commands.
 *
 *      {"peer_id": "12D3…", "listen": ["/ip4/…/tcp/…/p2p/12D3…"],
 *       "http": "http://127.0.0.1:8800", "admin": "http://127.0.0.1:8801"} */
struct endpoints {
    struct peer_id peer_id;
    struct status_addrs listen;
    const char *http;  /* URLs; NULL: there is none */
    const char *admin; /* or unix:PATH */
};

/* Atomically: a reader sees the old file, the new one, or none.  ERR_IO. */
MUST_USE
enum err endpoints_write(const char *dir, const struct endpoints *e);
void endpoints_remove(const char *dir);

#endif /* HOST_ENDPOINTS_H */
