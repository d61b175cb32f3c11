/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_LISTEN_H
#define GATEWAY_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "gateway/client.h"
#include "souk/err.h"

/* Listening sockets, from the text of a setting. */
struct listen_address {
    bool is_unix;
    struct ip ip;
    uint16_t port;
    struct sockaddr_storage sockaddr;
    socklen_t len;
};

/* "127.0.0.1:8800", "[::1]:0", "localhost:8800", "unix:/run/souk.sock".
 * ERR_CONFIG. */
MUST_USE
enum err listen_parse(const char *text, struct listen_address *out);

/* |count| sockets that share one TCP port (SO_REUSEPORT), which nobody else may
 * hold; |count| is 1 for a unix socket.  A port of 0 is replaced by the one
 * taken.  ERR_IO, errno says why; nothing is open then. */
MUST_USE
enum err listen_open(struct listen_address *a, int *fds, unsigned count);

/* "http://127.0.0.1:8800", "unix:/run/souk.sock". */
void listen_url(const struct listen_address *a, char *out, size_t max);

#endif /* GATEWAY_LISTEN_H */
