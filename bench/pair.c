/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <string.h>

enum { PIECE_MAX = 256 * 1024 };

void pair_open(struct pair *p, const struct pair_side sides[2],
               const struct peer_id *expected, const char *const *protocol,
               tstamp now, const struct rng *rng)
{
    p->upgraded = 0;
    for (int i = 0; i < 2; i++) {
        struct conn_config config = {.is_dialer = i == 1,
                                     .identity = sides[i].identity,
                                     .static_key = sides[i].static_key,
                                     .expected = i == 1 ? expected : NULL,
                                     .protocols = protocol,
                                     .protocols_count = 1};

        p->conn[i] = conn_new(&config, now, rng, &mem_libc, NULL);
    }
}

void pair_talk(struct pair *p, tstamp now)
{
    static uint8_t in[PIECE_MAX]; /* received bytes are written to */
    struct conn_event ev;
    bool moved = true;

    while (moved) {
        moved = false;
        for (int i = 0; i < 2; i++) {
            struct span out = conn_out(p->conn[i]);
            size_t len = out.len < sizeof(in) ? out.len : sizeof(in);

            if (len == 0)
                continue;
            memcpy(in, out.data, len);
            conn_sent(p->conn[i], len);
            conn_recv(p->conn[1 - i], in, len, now);
            while (conn_poll(p->conn[1 - i], &ev))
                p->upgraded += ev.type == CONN_EV_UPGRADED;
            moved = true;
        }
    }
}

void pair_close(struct pair *p)
{
    conn_free(p->conn[0]);
    conn_free(p->conn[1]);
}
