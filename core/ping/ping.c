/* SPDX-License-Identifier: Apache-2.0 */
#include "ping/ping.h"

void ping_init(struct ping *p)
{
    *p = (struct ping){.sent_at = TSTAMP_NEVER};
}

bool ping_is_waiting(const struct ping *p)
{
    return p->sent_at != TSTAMP_NEVER;
}

void ping_send(struct ping *p, const struct rng *rng, tstamp now)
{
    assert(!ping_is_waiting(p));
    rng_fill(rng, p->bytes, sizeof(p->bytes));
    p->have = 0;
    p->sent_at = now;
}

enum err ping_recv(struct ping *p, struct span *in, tstamp now, bool *is_done,
                   duration *rtt)
{
    struct span got;

    *is_done = false;
    if (in->len == 0)
        return OK;
    if (!ping_is_waiting(p))
        return ERR_PROTO;
    got = span_take(in, PING_LEN - p->have);
    if (!span_eq(got, SPAN(p->bytes + p->have, got.len)))
        return ERR_PROTO;
    p->have += got.len;
    if (p->have < PING_LEN)
        return OK;
    *is_done = true;
    *rtt = now - p->sent_at;
    p->sent_at = TSTAMP_NEVER;
    return OK;
}

tstamp ping_deadline(const struct ping *p)
{
    return tstamp_add(p->sent_at, PING_WITHIN);
}

enum err ping_tick(const struct ping *p, tstamp now)
{
    return ping_is_waiting(p) && now >= ping_deadline(p) ? ERR_TIMEOUT : OK;
}

void ping_echo_init(struct ping_echo *e)
{
    *e = (struct ping_echo){0};
}

bool ping_echo_recv(struct ping_echo *e, struct span *in)
{
    struct span got;

    if (e->have == PING_LEN)
        e->have = 0;
    got = span_take(in, PING_LEN - e->have);
    if (got.len > 0)
        memcpy(e->bytes + e->have, got.data, got.len);
    e->have += got.len;
    return e->have == PING_LEN;
}
