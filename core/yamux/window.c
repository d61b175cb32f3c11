/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/window.h"

#include <assert.h>

/* Longer ones are not a matter of windows; and the product must fit. */
#define RTT_MAX (10 * SECONDS)

static void window_check(const struct yamux_window *w)
{
    assert(w->target >= YAMUX_WINDOW_FIRST);
    assert((uint64_t)w->left + w->held <= w->target);
}

void yamux_window_init(struct yamux_window *w, tstamp now)
{
    *w = (struct yamux_window){
        .target = YAMUX_WINDOW_FIRST, .left = YAMUX_WINDOW_FIRST, .epoch = now};
}

enum err yamux_window_take(struct yamux_window *w, uint32_t n, tstamp now)
{
    if (n > w->left)
        return ERR_FLOW_CONTROL;
    /* What starts after a pause is not measured with the pause. */
    if (w->left == w->target)
        w->epoch = now;
    w->left -= n;
    w->held += n;
    window_check(w);
    return OK;
}

void yamux_window_consume(struct yamux_window *w, uint32_t n)
{
    assert(n <= w->held);
    w->held -= n;
}

static uint32_t due(const struct yamux_window *w)
{
    return w->target - w->left - w->held;
}

bool yamux_window_is_due(const struct yamux_window *w)
{
    return due(w) >= YAMUX_WINDOW_STEP;
}

/* Whether, as fast as what is due came, a target goes by in two round trips. */
static bool is_short(const struct yamux_window *w, const struct yamux_tuning *t,
                     tstamp now)
{
    duration rtt = t->rtt < RTT_MAX ? t->rtt : RTT_MAX;

    return now - w->epoch < 2 * rtt * due(w) / w->target;
}

static void grow(struct yamux_window *w, struct yamux_tuning *t)
{
    uint64_t more = w->target;

    if (w->target >= t->max)
        return;
    if (more > t->max - w->target)
        more = t->max - w->target;
    if (more > t->budget)
        more = t->budget;
    w->target += (uint32_t)more;
    t->budget -= more;
}

uint32_t yamux_window_grant(struct yamux_window *w, struct yamux_tuning *t,
                            tstamp now)
{
    uint32_t n;

    assert(now >= w->epoch);
    if (is_short(w, t, now))
        grow(w, t);
    w->epoch = now;
    n = due(w);
    w->left += n;
    window_check(w);
    return n;
}

void yamux_window_end(struct yamux_window *w, struct yamux_tuning *t)
{
    t->budget += w->target - YAMUX_WINDOW_FIRST;
    w->target = YAMUX_WINDOW_FIRST;
}
