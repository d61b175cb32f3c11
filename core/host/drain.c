/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>

#include "host/internal.h"

/* The end, in order:
 *
 *      SIGTERM ─► not ready ─ shutdown_delay ─► the gateway finishes (≤ 25 s)
 *              ─► goodbye to peers (≤ 2 s) ─► the loop ends
 *
 * A second signal skips what is being waited for. */

static const char *const phase_names[] = {
    [HOST_SERVING] = "serving",
    [HOST_DELAY] = "no longer ready, still serving",
    [HOST_GATEWAY] = "finishing requests in flight",
    [HOST_GOODBYE] = "closing connections to peers",
    [HOST_ENDED] = "stopped",
};

static void enter(struct host *h, enum host_phase phase);

static void on_phase_timer(uv_timer_t *timer)
{
    struct host *h = timer->data;

    enter(h, h->phase + 1);
}

static void wait_at_most(struct host *h, duration d)
{
    uint64_t ms = (d + MILLISECONDS - 1) / MILLISECONDS;

    uv_update_time(&h->loop);
    (void)uv_timer_start(&h->phase_timer, on_phase_timer, ms, 0);
}

/* No request may outlive the gateway's wait for it: what is still there comes
 * back cancelled, before the node goes. */
static void end_requests(struct host *h)
{
    mailbox_close(&h->core.mailbox);
    mailbox_cancel_all(&h->core.mailbox);
    core_collect(h);
}

static void enter(struct host *h, enum host_phase phase)
{
    duration drain_max =
        h->config.drain_max ? h->config.drain_max : 25 * SECONDS;

    h->phase = phase;
    log_info(h->config.log, "host", "%s", phase_names[phase]);
    switch (phase) {
    case HOST_SERVING:
        break;
    case HOST_DELAY:
        host_status_renew(h, clock_now());
        service_notify("STOPPING=1");
        wait_at_most(h, h->config.shutdown_delay);
        break;
    case HOST_GATEWAY:
        listeners_close(h);
        wait_at_most(h, drain_max);
        if (h->config.drain != NULL)
            h->config.drain(h->config.ctx);
        else
            enter(h, HOST_GOODBYE);
        break;
    case HOST_GOODBYE:
        end_requests(h);
        wait_at_most(h, GOODBYE_WITHIN);
        node_drain(h->node, clock_now());
        host_settle(h);
        drain_advance(h);
        break;
    case HOST_ENDED:
        (void)uv_timer_stop(&h->phase_timer);
        uv_stop(&h->loop);
        break;
    }
}

void drain_begin(struct host *h)
{
    if (h->phase == HOST_SERVING)
        enter(h, HOST_DELAY);
    else if (h->phase < HOST_GOODBYE)
        enter(h, h->phase + 1);
}

void drain_advance(struct host *h)
{
    if (h->phase == HOST_GATEWAY && atomic_load(&h->core.is_gateway_drained))
        enter(h, HOST_GOODBYE);
    if (h->phase == HOST_GOODBYE && node_is_drained(h->node) &&
        h->socks == NULL)
        enter(h, HOST_ENDED);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct host *h = signal->data;

    log_info(h->config.log, "host", "signal received signal=%s",
             number == SIGINT ? "SIGINT" : "SIGTERM");
    drain_begin(h);
}

enum err drain_init(struct host *h)
{
    h->phase_timer.data = h->sigterm.data = h->sigint.data = h;
    if (uv_timer_init(&h->loop, &h->phase_timer) != 0 ||
        uv_signal_init(&h->loop, &h->sigterm) != 0 ||
        uv_signal_init(&h->loop, &h->sigint) != 0 ||
        uv_signal_start(&h->sigterm, on_signal, SIGTERM) != 0 ||
        uv_signal_start(&h->sigint, on_signal, SIGINT) != 0)
        return ERR_IO;
    /* A peer or client that leaves is no reason to die. */
    (void)signal(SIGPIPE, SIG_IGN);
    return OK;
}
