/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/session.h"

#include <stdlib.h>

#include "base/list.h"
#include "support/test.h"

/* Two sessions on a link of some rate and delay, in virtual time. */
enum { SENDER, RECEIVER, SIDES, KIB = 1024, MIB = 1024 * 1024 };

struct packet {
    struct list link;
    tstamp at;
    size_t len;
    uint8_t bytes[];
};

struct lane {
    uint64_t rate; /* bytes a second */
    duration delay;
    tstamp free_at;
    struct list packets;
};

struct net {
    struct yamux *y[SIDES];
    struct lane lane[SIDES]; /* from that side */
    tstamp now;
    size_t heard[8]; /* of streams 1, 3, 5 … */
    size_t slowness; /* the reader's: bytes a second, 0: at once */
    size_t unread;
    tstamp read_at;
};

static const struct yamux_config config = {
    .ping_every = 30 * SECONDS,
    .pong_within = 20 * SECONDS,
    .streams_in_max = 256,
    .streams_out_max = 256,
    .window_max = 16 * MIB,
    .window_sum_max = 64 * MIB,
    .stream_unsent_max = 1 * MIB,
    .unsent_max = 4 * MIB,
};

static void net_init(struct net *n, uint64_t rate, duration rtt)
{
    *n = (struct net){.now = 0};
    for (int i = 0; i < SIDES; i++) {
        struct yamux_config c = config;

        c.is_dialer = i == SENDER;
        n->y[i] = yamux_new(&c, 0, &mem_libc);
        n->lane[i].rate = rate;
        n->lane[i].delay = rtt / 2;
        list_init(&n->lane[i].packets);
    }
}

static void net_release(struct net *n)
{
    for (int i = 0; i < SIDES; i++) {
        struct list *link;

        while ((link = list_pop_front(&n->lane[i].packets)) != NULL)
            free(LIST_ENTRY(link, struct packet, link));
        yamux_free(n->y[i]);
    }
}

static void send_if_free(struct net *n, int from)
{
    struct lane *l = &n->lane[from];
    uint8_t bytes[16 * KIB];
    struct packet *p;
    size_t len;

    if (l->free_at > n->now || !yamux_has_out(n->y[from]))
        return;
    len = yamux_out(n->y[from], bytes, sizeof(bytes));
    p = malloc(sizeof(*p) + len);
    assert_non_null(p);
    memcpy(p->bytes, bytes, len);
    p->len = len;
    l->free_at = n->now + len * SECONDS / l->rate;
    p->at = l->free_at + l->delay;
    list_push_back(&l->packets, &p->link);
}

static void receive(struct net *n, int to, struct span in)
{
    struct yamux_event ev;

    do {
        assert_ok(yamux_recv(n->y[to], &in, n->now, &ev));
        if (ev.type != YAMUX_EV_DATA)
            continue;
        n->heard[ev.stream / 2] += ev.data.len;
        if (n->slowness)
            n->unread += ev.data.len;
        else
            yamux_consumed(n->y[to], ev.stream, ev.data.len, n->now);
    } while (ev.type != YAMUX_EV_NONE);
}

static void receive_due(struct net *n, int to)
{
    struct list *packets = &n->lane[1 - to].packets;

    while (!list_is_empty(packets)) {
        struct packet *p = LIST_ENTRY(packets->next, struct packet, link);

        if (p->at > n->now)
            return;
        list_remove(&p->link);
        receive(n, to, SPAN(p->bytes, p->len));
        free(p);
    }
}

static tstamp next_event(const struct net *n)
{
    tstamp at = TSTAMP_NEVER;

    for (int i = 0; i < SIDES; i++) {
        const struct lane *l = &n->lane[i];

        if (!list_is_empty(&l->packets)) {
            const struct list *first = l->packets.next;
            const struct packet *p = (const void *)first;

            at = tstamp_min(at, p->at);
        }
        if (l->free_at > n->now)
            at = tstamp_min(at, l->free_at);
    }
    if (n->slowness)
        at = tstamp_min(at, n->now + MILLISECONDS);
    return at;
}

static void fill(struct net *n, uint32_t stream)
{
    static const uint8_t zeros[64 * KIB];
    struct yamux_event ev;

    while (yamux_room(n->y[SENDER], stream) >= sizeof(zeros))
        assert_ok(yamux_write(n->y[SENDER], stream, SPAN_OF(zeros)));
    while (yamux_poll(n->y[SENDER], &ev))
        ;
}

static void read_slowly(struct net *n)
{
    size_t due = (size_t)((n->now - n->read_at) / 1000 * n->slowness / 1000000);

    if (due > n->unread)
        due = n->unread;
    if (due == 0)
        return;
    yamux_consumed(n->y[RECEIVER], 1, due, n->now);
    n->unread -= due;
    n->read_at = n->now;
}

/* |streams| bulk streams for |time|. */
static void pump(struct net *n, unsigned streams, duration time)
{
    while (n->now < time) {
        for (unsigned i = 0; i < streams; i++)
            fill(n, 2 * i + 1);
        for (int i = 0; i < SIDES; i++)
            send_if_free(n, i);
        n->now = next_event(n);
        for (int i = 0; i < SIDES; i++)
            receive_due(n, i);
        if (n->slowness)
            read_slowly(n);
    }
}

static void open_streams(struct net *n, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint32_t id;

        assert_ok(yamux_open(n->y[SENDER], NULL, n->now, &id));
        assert_int_equal(2 * i + 1, id);
    }
}

/* Unlimited windows reach what the link carries from the first byte on, less
 * the delay. */
static void bulk_stream_fills_a_long_link(void **state)
{
    static const struct {
        uint64_t rate;
        duration rtt, time;
    } links[] = {
        {1250 * KIB, 100 * MILLISECONDS, 10 * SECONDS},
        {12500 * KIB, 100 * MILLISECONDS, 10 * SECONDS},
        {12500 * KIB, 200 * MILLISECONDS, 20 * SECONDS},
        {40000 * KIB, 100 * MILLISECONDS, 10 * SECONDS},
        {1250 * KIB, 2 * MILLISECONDS, 2 * SECONDS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        duration carrying = links[i].time - links[i].rtt / 2;
        double unlimited = (double)links[i].rate * (double)carrying / SECONDS;
        struct net n;

        net_init(&n, links[i].rate, links[i].rtt);
        open_streams(&n, 1);
        pump(&n, 1, links[i].time);
        print_message("%ju KiB/s, %ju ms: %.1f %% of unlimited\n",
                      (uintmax_t)links[i].rate / KIB,
                      (uintmax_t)(links[i].rtt / MILLISECONDS),
                      100.0 * (double)n.heard[0] / unlimited);
        assert_true((double)n.heard[0] >= 0.95 * unlimited);
        net_release(&n);
    }
}

static void slow_reader_holds_no_more_than_the_first_window(void **state)
{
    struct net n;

    (void)state;
    net_init(&n, 12500 * KIB, 10 * MILLISECONDS);
    n.slowness = 500 * KIB;
    open_streams(&n, 1);
    pump(&n, 1, 10 * SECONDS);
    assert_true(n.unread <= 256 * KIB);
    assert_true(n.heard[0] >= 4 * MIB && n.heard[0] <= 6 * MIB);
    net_release(&n);
}

static void streams_share_a_link_fairly(void **state)
{
    enum { STREAMS = 5 };
    size_t least = SIZE_MAX, most = 0;
    struct net n;

    (void)state;
    net_init(&n, 2500 * KIB, 20 * MILLISECONDS);
    open_streams(&n, STREAMS);
    pump(&n, STREAMS, 5 * SECONDS);
    for (int i = 0; i < STREAMS; i++) {
        least = n.heard[i] < least ? n.heard[i] : least;
        most = n.heard[i] > most ? n.heard[i] : most;
    }
    assert_true(least > 2 * MIB);
    assert_true(most - least <= (size_t)2 * YAMUX_FRAME_OUT_MAX);
    net_release(&n);
}

static void rtt_is_measured(void **state)
{
    struct yamux_stats stats;
    struct net n;

    (void)state;
    net_init(&n, 12500 * KIB, 100 * MILLISECONDS);
    open_streams(&n, 1);
    pump(&n, 1, 1 * SECONDS);
    yamux_stats(n.y[SENDER], &stats);
    assert_true(stats.rtt >= 100 * MILLISECONDS &&
                stats.rtt <= 110 * MILLISECONDS);
    net_release(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_stream_fills_a_long_link),
        cmocka_unit_test(slow_reader_holds_no_more_than_the_first_window),
        cmocka_unit_test(streams_share_a_link_fairly),
        cmocka_unit_test(rtt_is_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
