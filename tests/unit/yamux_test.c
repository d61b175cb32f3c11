/* SPDX-License-Identifier: Apache-2.0 */
#include "yamux/session.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/rng.h"
#include "support/test.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

static const struct yamux_config defaults = {
    .ping_every = 30 * SECONDS,
    .pong_within = 20 * SECONDS,
    .streams_in_max = 4,
    .streams_out_max = 300,
    .window_max = 16 * MIB,
    .window_sum_max = 64 * MIB,
    .stream_unsent_max = 512 * KIB,
    .unsent_max = 1 * MIB,
};

static struct yamux *session(bool is_dialer, const struct mem *mem)
{
    struct yamux_config config = defaults;
    struct yamux *y;

    config.is_dialer = is_dialer;
    y = yamux_new(&config, 0, mem);
    assert_non_null(y);
    return y;
}

/* Bytes as another implementation sends them. */
#define WORD(v)                                                      \
    (uint8_t)((v) >> 24), (uint8_t)((v) >> 16), (uint8_t)((v) >> 8), \
        (uint8_t)(v)
#define FRAME(type, flags, id, len) 0, type, 0, flags, WORD(id), WORD(len)
enum { SYN = 1, ACK = 2, FIN = 4, RST = 8 };

/* Feed |in|, writing what happened to |story| without where it was cut. */
static enum err feed(struct yamux *y, struct span in, char *story)
{
    struct yamux_event ev;

    do {
        char *end = story + strlen(story);

        while (yamux_poll(y, &ev))
            if (ev.type == YAMUX_EV_ENDED)
                end += sprintf(end, "ended(%u) ", ev.stream);
        TRY(yamux_recv(y, &in, 0, &ev));
        switch (ev.type) {
        case YAMUX_EV_OPENED:
            sprintf(end, "open(%u) ", ev.stream);
            break;
        case YAMUX_EV_DATA:
            sprintf(end, "%.*s", (int)ev.data.len, (const char *)ev.data.data);
            yamux_consumed(y, ev.stream, ev.data.len, 0);
            break;
        case YAMUX_EV_FIN:
            sprintf(end, " fin(%u) ", ev.stream);
            break;
        case YAMUX_EV_RESET:
            sprintf(end, "reset(%u:%u) ", ev.stream, ev.code);
            break;
        case YAMUX_EV_GO_AWAY:
            sprintf(end, "goaway(%u) ", ev.code);
            break;
        case YAMUX_EV_ENDED:
        case YAMUX_EV_WRITABLE:
            fail();
            break;
        case YAMUX_EV_NONE:
            break;
        }
    } while (ev.type != YAMUX_EV_NONE);
    return OK;
}

static void hear(struct yamux *y, struct span in, const char *want)
{
    char story[1024] = "";

    assert_ok(feed(y, in, story));
    assert_string_equal(want, story);
}

static void say(struct yamux *y, struct span want)
{
    uint8_t out[16 * KIB];

    assert_span_equal(want, SPAN(out, yamux_out(y, out, sizeof(out))));
    assert_false(yamux_has_out(y));
}

/* Throw away what it has to say. */
static size_t drain(struct yamux *y)
{
    uint8_t out[16 * KIB];
    size_t n, total = 0;

    while ((n = yamux_out(y, out, sizeof(out))) > 0)
        total += n;
    return total;
}

static uint32_t open_stream(struct yamux *y)
{
    uint32_t id;

    assert_ok(yamux_open(y, NULL, 0, &id));
    return id;
}

static void header_has_the_form_of_the_specification(void **state)
{
    static const struct {
        struct yamux_header header;
        uint8_t bytes[YAMUX_HEADER_LEN];
    } vectors[] = {
        {{YAMUX_DATA, YAMUX_SYN, 1, 5}, {FRAME(0, SYN, 1, 5)}},
        {{YAMUX_WINDOW_UPDATE, YAMUX_ACK, 0x01020304, 0x05060708},
         {0, 1, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8}},
        {{YAMUX_PING, YAMUX_SYN, 0, 7}, {FRAME(2, SYN, 0, 7)}},
        {{YAMUX_GO_AWAY, 0, 0, 2}, {FRAME(3, 0, 0, 2)}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct yamux_header h;
        uint8_t bytes[YAMUX_HEADER_LEN];

        yamux_header_encode(&vectors[i].header, bytes);
        assert_memory_equal(vectors[i].bytes, bytes, sizeof(bytes));
        assert_ok(yamux_header_decode(&h, vectors[i].bytes));
        assert_int_equal(vectors[i].header.type, h.type);
        assert_int_equal(vectors[i].header.flags, h.flags);
        assert_int_equal(vectors[i].header.stream, h.stream);
        assert_int_equal(vectors[i].header.length, h.length);
    }
}

static void dialer_opens_odd_streams_with_syn_once(void **state)
{
    static const uint8_t first[] = {FRAME(2, SYN, 0, 0), /* measures */
                                    FRAME(0, SYN, 1, 2), 'h', 'i',
                                    FRAME(1, SYN, 3, 0)};
    static const uint8_t second[] = {FRAME(0, 0, 1, 1), '!',
                                     FRAME(0, FIN, 1, 0)};
    struct yamux *y = session(true, &mem_libc);
    uint32_t id = open_stream(y);

    (void)state;
    assert_int_equal(1, id);
    assert_int_equal(3, open_stream(y));
    assert_ok(yamux_write(y, id, SPAN_LIT("hi")));
    say(y, SPAN_OF(first));
    assert_ok(yamux_write(y, id, SPAN_LIT("!")));
    yamux_finish(y, id);
    say(y, SPAN_OF(second));
    assert_err(ERR_CLOSED, yamux_write(y, id, SPAN_LIT("late")));
    yamux_free(y);
}

static void listener_opens_even_streams(void **state)
{
    struct yamux *y = session(false, &mem_libc);

    (void)state;
    assert_int_equal(2, open_stream(y));
    assert_int_equal(4, open_stream(y));
    yamux_free(y);
}

static void listener_acknowledges_at_once_and_once(void **state)
{
    static const uint8_t in[] = {FRAME(1, SYN, 1, 0), FRAME(0, SYN, 3, 0)};
    static const uint8_t out[] = {FRAME(2, SYN, 0, 0), FRAME(1, ACK, 1, 0),
                                  FRAME(0, ACK, 3, 1), 'x'};
    struct yamux *y = session(false, &mem_libc);

    (void)state;
    hear(y, SPAN_OF(in), "open(1) open(3) ");
    assert_ok(yamux_write(y, 3, SPAN_LIT("x")));
    say(y, SPAN_OF(out));
    assert_ok(yamux_write(y, 1, SPAN_LIT("y")));
    drain(y);
    yamux_free(y);
}

static void pings_are_answered_once_each(void **state)
{
    static const uint8_t in[] = {FRAME(2, SYN, 0, 7), FRAME(2, ACK, 0, 99),
                                 FRAME(2, SYN, 0, 8)};
    static const uint8_t out[] = {FRAME(2, ACK, 0, 7), FRAME(2, ACK, 0, 8)};
    struct yamux *y = session(false, &mem_libc);

    (void)state;
    drain(y);
    hear(y, SPAN_OF(in), "");
    say(y, SPAN_OF(out));
    yamux_free(y);
}

/* A peer opens, talks, pings, half-closes, resets another stream with a code
 * (as go does), speaks of streams unknown, and goes. */
static const uint8_t script[] = {
    FRAME(0, SYN, 1, 5),
    'h',
    'e',
    'l',
    'l',
    'o',
    FRAME(2, SYN, 0, 9),
    FRAME(1, SYN, 3, 100),
    FRAME(0, 0, 77, 3),
    'l',
    'o',
    's',
    FRAME(1, 0, 78, 0xffffffff),
    FRAME(1, RST, 3, 0xffffffff),
    FRAME(0, 0, 3, 4),
    'd',
    'e',
    'a',
    'd',
    FRAME(0, FIN, 1, 1),
    '!',
    FRAME(1, 0, 1, 10),
    FRAME(3, 0, 0, 0x1001),
};
static const char script_story[] =
    "open(1) helloopen(3) reset(3:4294967295) ! fin(1) goaway(4097) ";

static void input_may_be_cut_anywhere(void **state)
{
    enum { LEN = sizeof(script) };

    (void)state;
    for (size_t cut = 0; cut <= LEN; cut++) {
        struct yamux *y = session(false, &mem_libc);
        char story[256] = "";

        assert_ok(feed(y, SPAN(script, cut), story));
        assert_ok(feed(y, SPAN(script + cut, LEN - cut), story));
        assert_string_equal(script_story, story);
        assert_int_equal(3 * YAMUX_HEADER_LEN, drain(y)); /* ping pong ack */
        yamux_free(y);
    }
}

static void input_may_come_byte_by_byte(void **state)
{
    struct yamux *y = session(false, &mem_libc);
    char story[256] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(script); i++)
        assert_ok(feed(y, SPAN(script + i, 1), story));
    assert_string_equal(script_story, story);
    yamux_free(y);
}

static void what_is_forbidden_ends_the_session(void **state)
{
    static const uint8_t version[] = {1, 0, 0, 1, WORD(1), WORD(0)};
    static const uint8_t type[] = {FRAME(4, 0, 0, 0)};
    static const uint8_t flag[] = {FRAME(0, 16, 1, 0)};
    static const uint8_t zero[] = {FRAME(0, SYN, 0, 0)};
    static const uint8_t ping[] = {FRAME(2, SYN, 1, 0)};
    static const uint8_t away[] = {FRAME(3, 0, 1, 0)};
    static const uint8_t away_syn[] = {FRAME(3, SYN, 0, 0)};
    static const uint8_t parity[] = {FRAME(0, SYN, 2, 0)};
    static const uint8_t again[] = {FRAME(1, SYN, 1, 0), FRAME(1, SYN, 1, 0)};
    static const uint8_t huge[] = {FRAME(0, SYN, 1, 16 * MIB + 1)};
    static const uint8_t over[] = {FRAME(0, SYN, 1, 256 * KIB + 1)};
    static const uint8_t window[] = {FRAME(1, SYN, 1, 0xfffbffff),
                                     FRAME(1, 0, 1, 1)};
    static const struct {
        const char *why;
        const uint8_t *bytes;
        size_t len;
        enum err err;
    } cases[] = {
        {"another version", version, sizeof(version), ERR_PROTO},
        {"another type", type, sizeof(type), ERR_PROTO},
        {"another flag", flag, sizeof(flag), ERR_PROTO},
        {"data of stream 0", zero, sizeof(zero), ERR_PROTO},
        {"ping of a stream", ping, sizeof(ping), ERR_PROTO},
        {"go-away of a stream", away, sizeof(away), ERR_PROTO},
        {"go-away with a flag", away_syn, sizeof(away_syn), ERR_PROTO},
        {"a dialer's even id", parity, sizeof(parity), ERR_PROTO},
        {"a second SYN", again, sizeof(again), ERR_PROTO},
        {"more than 16 MiB", huge, sizeof(huge), ERR_FRAME_SIZE},
        {"a byte beyond the window", over, sizeof(over), ERR_FLOW_CONTROL},
        {"a window of 2^32", window, sizeof(window), ERR_FLOW_CONTROL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct yamux *y = session(false, &mem_libc);
        char story[64] = "";

        print_message("%s\n", cases[i].why);
        assert_err(cases[i].err,
                   feed(y, SPAN(cases[i].bytes, cases[i].len), story));
        yamux_free(y);
    }
}

static void window_is_given_back_as_it_is_consumed(void **state)
{
    static const uint8_t header[] = {FRAME(0, SYN, 1, 256 * KIB)};
    static const uint8_t ack[] = {FRAME(2, SYN, 0, 0), FRAME(1, ACK, 1, 0)};
    static const uint8_t update[] = {FRAME(1, 0, 1, 128 * KIB)};
    static const uint8_t more[] = {FRAME(0, 0, 1, 128 * KIB + 1)};
    static uint8_t payload[256 * KIB];
    struct yamux *y = session(false, &mem_libc);
    struct span in = SPAN_OF(header);
    struct yamux_event ev;

    (void)state;
    hear(y, in, "open(1) ");
    in = SPAN_OF(payload);
    assert_ok(yamux_recv(y, &in, 0, &ev));
    assert_int_equal(256 * KIB, ev.data.len);
    say(y, SPAN_OF(ack));
    yamux_consumed(y, 1, 128 * KIB - 1, 0);
    say(y, SPAN_NONE);
    yamux_consumed(y, 1, 1, 0);
    say(y, SPAN_OF(update));
    in = SPAN_OF(more);
    assert_err(ERR_FLOW_CONTROL, yamux_recv(y, &in, 0, &ev));
    yamux_free(y);
}

static void writer_stops_at_the_peers_window(void **state)
{
    static const uint8_t more[] = {FRAME(1, ACK, 1, 1000)};
    static uint8_t bytes[300 * KIB];
    struct yamux *y = session(true, &mem_libc);
    struct yamux_stats stats;
    uint32_t id = open_stream(y);
    size_t frames = 256 / 16 + 1; /* the first shares its room with a ping */

    (void)state;
    assert_ok(yamux_write(y, id, SPAN_OF(bytes)));
    assert_int_equal(256 * KIB + (frames + 1) * YAMUX_HEADER_LEN, drain(y));
    yamux_stats(y, &stats);
    assert_int_equal(44 * KIB, stats.unsent);
    hear(y, SPAN_OF(more), "");
    assert_int_equal(1000 + YAMUX_HEADER_LEN, drain(y));
    yamux_free(y);
}

static void large_frames_are_lent_where_they_lie(void **state)
{
    static const uint8_t more[] = {FRAME(1, ACK, 1, 5000)};
    static uint8_t bytes[256 * KIB + 5000];
    struct yamux *y = session(true, &mem_libc);
    uint32_t id = open_stream(y);
    struct span lent;
    size_t heard = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 >> 3);
    assert_ok(yamux_write(y, id, SPAN_OF(bytes)));
    assert_int_equal(0, yamux_lend(y).len); /* the ping goes first */
    drain(y);
    hear(y, SPAN_OF(more), "");
    lent = yamux_lend(y);
    assert_int_equal(5000 + YAMUX_HEADER_LEN, lent.len);
    assert_memory_equal(bytes + 256 * KIB, lent.data + YAMUX_HEADER_LEN, 5000);
    yamux_free(y);

    y = session(true, &mem_libc);
    id = open_stream(y);
    say(y, SPAN(((const uint8_t[]){FRAME(2, SYN, 0, 0), FRAME(1, SYN, 1, 0)}),
                2 * YAMUX_HEADER_LEN));
    assert_ok(yamux_write(y, id, SPAN_OF(bytes)));
    yamux_finish(y, id);
    while ((lent = yamux_lend(y)).len > 0) {
        assert_memory_equal(bytes + heard, lent.data + YAMUX_HEADER_LEN,
                            lent.len - YAMUX_HEADER_LEN);
        heard += lent.len - YAMUX_HEADER_LEN;
    }
    assert_in_range(heard, 252 * KIB, 256 * KIB);
    yamux_lend_done(y);
    yamux_free(y);
}

static void half_closed_stream_still_carries_the_other_half(void **state)
{
    static const uint8_t in[] = {FRAME(0, SYN | FIN, 1, 1), '?'};
    static const uint8_t out[] = {FRAME(2, SYN, 0, 0), FRAME(0, ACK, 1, 1),
                                  '!'};
    static const uint8_t fin[] = {FRAME(0, FIN, 1, 0)};
    struct yamux *y = session(false, &mem_libc);
    struct yamux_event ev;

    (void)state;
    hear(y, SPAN_OF(in), "open(1) ? fin(1) ");
    assert_ok(yamux_write(y, 1, SPAN_LIT("!")));
    say(y, SPAN_OF(out));
    assert_false(yamux_poll(y, &ev));
    yamux_finish(y, 1);
    say(y, SPAN_OF(fin));
    assert_true(yamux_poll(y, &ev));
    assert_int_equal(YAMUX_EV_ENDED, ev.type);
    assert_int_equal(1, ev.stream);
    assert_false(yamux_poll(y, &ev));
    yamux_free(y);
}

/* Copied and lent bytes alike: who reads the flags first loses nothing. */
static void end_of_a_stream_shares_no_frame_with_its_data(void **state)
{
    static uint8_t bytes[8 * KIB];
    static const uint8_t last[] = {FRAME(2, SYN, 0, 0), /* measures */
                                   FRAME(0, SYN, 1, 4), 'l', 'a', 's', 't',
                                   FRAME(0, FIN, 1, 0)};
    static const uint8_t hi[] = {FRAME(0, SYN, 3, 2), 'h', 'i'};
    static const uint8_t fin[] = {FRAME(0, FIN, 3, 0)};
    struct yamux *y = session(true, &mem_libc);
    struct span lent;

    (void)state;
    assert_int_equal(1, open_stream(y));
    assert_ok(yamux_write(y, 1, SPAN_LIT("last")));
    yamux_finish(y, 1);
    say(y, SPAN_OF(last));
    assert_int_equal(3, open_stream(y));
    assert_ok(yamux_write(y, 3, SPAN_LIT("hi")));
    say(y, SPAN_OF(hi));
    assert_ok(yamux_write(y, 3, SPAN_OF(bytes)));
    yamux_finish(y, 3);
    lent = yamux_lend(y);
    assert_int_equal(YAMUX_HEADER_LEN + sizeof(bytes), lent.len);
    assert_memory_equal("\0\0\0\0", lent.data, 4);
    assert_int_equal(0, yamux_lend(y).len);
    yamux_lend_done(y);
    say(y, SPAN_OF(fin));
    yamux_free(y);
}

/* Whatever we had begun, a peer's reset ends it, and ours needs no answer. */
static void reset_ends_a_stream_in_any_state(void **state)
{
    static const uint8_t rst[] = {FRAME(1, RST, 1, 0)};
    static const uint8_t late[] = {
        FRAME(0, 0, 1, 2),  'x', 'x', FRAME(1, 0, 1, 5), FRAME(0, FIN, 1, 0),
        FRAME(1, RST, 1, 0)};

    (void)state;
    for (int is_ours = 0; is_ours < 2; is_ours++) {
        for (int stage = 0; stage < 4; stage++) {
            struct yamux *y = session(true, &mem_libc);
            struct yamux_stats stats;

            open_stream(y);
            if (stage >= 1)
                assert_ok(yamux_write(y, 1, SPAN_LIT("data")));
            if (stage >= 2)
                drain(y);
            if (stage >= 3)
                yamux_finish(y, 1);
            if (is_ours)
                yamux_reset(y, 1, 0);
            else
                hear(y, SPAN_OF(rst), "reset(1:0) ");
            assert_err(ERR_CLOSED, yamux_write(y, 1, SPAN_LIT("late")));
            assert_int_equal(0, yamux_room(y, 1));
            yamux_finish(y, 1);
            yamux_consumed(y, 1, 5, 0);
            yamux_reset(y, 1, 0);
            yamux_stats(y, &stats);
            assert_int_equal(0, stats.streams_out);
            assert_int_equal(0, stats.unsent);
            drain(y);
            hear(y, SPAN_OF(late), "");
            yamux_free(y);
        }
    }
}

static void reset_of_an_unheard_stream_is_silent(void **state)
{
    static const uint8_t ping[] = {FRAME(2, SYN, 0, 0)};
    static const uint8_t rst[] = {FRAME(1, RST, 3, 7)};
    struct yamux *y = session(true, &mem_libc);

    (void)state;
    yamux_reset(y, open_stream(y), 7);
    say(y, SPAN_OF(ping));
    open_stream(y);
    drain(y);
    yamux_reset(y, 3, 7);
    say(y, SPAN_OF(rst));
    yamux_free(y);
}

static void go_away_stops_new_streams_both_ways(void **state)
{
    static const uint8_t out[] = {FRAME(2, SYN, 0, 0), FRAME(0, SYN, 1, 1), 'x',
                                  FRAME(3, 0, 0, 0)};
    static const uint8_t syn[] = {FRAME(1, SYN, 2, 0)};
    static const uint8_t rst[] = {FRAME(1, RST, 2, 0x1002)};
    static const uint8_t away[] = {FRAME(3, 0, 0, 0)};
    struct yamux *y = session(true, &mem_libc);
    uint32_t id;

    (void)state;
    assert_ok(yamux_write(y, open_stream(y), SPAN_LIT("x")));
    yamux_go_away(y, YAMUX_CODE_NORMAL);
    say(y, SPAN_OF(out)); /* last of all */
    assert_err(ERR_CLOSED, yamux_open(y, NULL, 0, &id));
    hear(y, SPAN_OF(syn), "");
    say(y, SPAN_OF(rst));
    yamux_free(y);

    y = session(true, &mem_libc);
    hear(y, SPAN_OF(away), "goaway(0) ");
    assert_err(ERR_CLOSED, yamux_open(y, NULL, 0, &id));
    yamux_free(y);
}

static void keepalive_pings_then_gives_up(void **state)
{
    static const uint8_t pong0[] = {FRAME(2, ACK, 0, 0)};
    static const uint8_t ping1[] = {FRAME(2, SYN, 0, 1)};
    struct yamux *y = session(true, &mem_libc);
    struct yamux_stats stats;
    struct yamux_event ev;
    struct span in = SPAN_OF(pong0);

    (void)state;
    drain(y);
    assert_int_equal(20 * SECONDS, yamux_deadline(y)); /* of the first pong */
    assert_ok(yamux_recv(y, &in, 5 * MILLISECONDS, &ev));
    yamux_stats(y, &stats);
    assert_int_equal(5 * MILLISECONDS, stats.rtt);
    assert_int_equal(30 * SECONDS, yamux_deadline(y));
    assert_ok(yamux_tick(y, 30 * SECONDS - 1));
    say(y, SPAN_NONE);
    assert_ok(yamux_tick(y, 30 * SECONDS));
    say(y, SPAN_OF(ping1));
    assert_int_equal(50 * SECONDS, yamux_deadline(y));
    assert_ok(yamux_tick(y, 50 * SECONDS - 1));
    assert_err(ERR_TIMEOUT, yamux_tick(y, 50 * SECONDS));
    yamux_free(y);
}

/* A pong may queue behind what the peer sends; whoever sends is alive. */
static void talking_peer_is_not_given_up(void **state)
{
    static const uint8_t noise[] = {FRAME(1, 0, 99, 0)};
    struct yamux *y = session(true, &mem_libc);

    (void)state;
    for (tstamp now = 0; now < 100 * SECONDS; now += 10 * SECONDS) {
        struct span in = SPAN_OF(noise);
        struct yamux_event ev;

        assert_ok(yamux_tick(y, now));
        assert_ok(yamux_recv(y, &in, now, &ev));
    }
    assert_err(ERR_TIMEOUT, yamux_tick(y, 110 * SECONDS));
    yamux_free(y);
}

static void inbound_streams_are_bounded(void **state)
{
    static const uint8_t fifth[] = {FRAME(0, SYN, 9, 3), 'a', 'b', 'c',
                                    FRAME(0, FIN, 9, 1), 'd'};
    static const uint8_t refusal[] = {FRAME(1, RST, 9, 0x1002)};
    struct yamux *y = session(false, &mem_libc);
    struct yamux_stats stats;

    (void)state;
    for (uint8_t id = 1; id <= 7; id = (uint8_t)(id + 2)) {
        const uint8_t syn[] = {FRAME(1, SYN, id, 0)};
        char story[32], want[32];

        snprintf(want, sizeof(want), "open(%u) ", id);
        story[0] = '\0';
        assert_ok(feed(y, SPAN_OF(syn), story));
        assert_string_equal(want, story);
    }
    drain(y);
    hear(y, SPAN_OF(fifth), "");
    say(y, SPAN_OF(refusal));
    yamux_stats(y, &stats);
    assert_int_equal(4, stats.streams_in);
    assert_int_equal(1, stats.refused);
    yamux_reset(y, 1, 0);
    hear(y, SPAN_OF(fifth), "open(9) abcd fin(9) ");
    yamux_free(y);
}

static void unacknowledged_streams_are_bounded(void **state)
{
    static const uint8_t ack[] = {FRAME(1, ACK, 1, 0)};
    struct yamux *y = session(true, &mem_libc);
    uint32_t id;

    (void)state;
    for (int i = 0; i < YAMUX_UNACKED_MAX; i++)
        open_stream(y);
    assert_err(ERR_LIMIT, yamux_open(y, NULL, 0, &id));
    hear(y, SPAN_OF(ack), "");
    open_stream(y);
    assert_err(ERR_LIMIT, yamux_open(y, NULL, 0, &id));
    yamux_reset(y, 3, 0);
    open_stream(y);
    yamux_free(y);
}

static void outbound_streams_are_bounded(void **state)
{
    struct yamux *y = session(true, &mem_libc);
    uint32_t id;

    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        const uint8_t ack[] = {FRAME(1, ACK, 2 * i + 1, 0)};

        open_stream(y);
        hear(y, SPAN_OF(ack), "");
    }
    assert_err(ERR_LIMIT, yamux_open(y, NULL, 0, &id));
    yamux_free(y);
}

static void peer_that_reads_nothing_makes_us_owe_no_more(void **state)
{
    static const uint8_t ping[] = {FRAME(2, SYN, 0, 1)};
    struct yamux *y = session(false, &mem_libc);
    char story[64] = "";
    enum err err = OK;
    int pings = 0;

    (void)state;
    while (err == OK && pings < 10000) {
        err = feed(y, SPAN_OF(ping), story);
        pings++;
    }
    assert_err(ERR_LIMIT, err);
    assert_int_equal(YAMUX_OWED_MAX / YAMUX_HEADER_LEN + 1, pings);
    yamux_free(y);
}

static void writes_are_bounded_and_told_when_there_is_room(void **state)
{
    static const uint8_t more[] = {FRAME(1, ACK, 1, 200 * KIB)};
    static uint8_t bytes[512 * KIB];
    struct yamux *y = session(true, &mem_libc);
    struct yamux_event ev;
    uint32_t id = open_stream(y), other = open_stream(y), told = 0;

    (void)state;
    assert_int_equal(512 * KIB, yamux_room(y, id));
    assert_ok(yamux_write(y, id, SPAN_OF(bytes)));
    assert_int_equal(0, yamux_room(y, id));
    assert_err(ERR_LIMIT, yamux_write(y, id, SPAN_LIT("x")));
    assert_ok(yamux_write(y, other, SPAN(bytes, 500 * KIB)));
    assert_int_equal(12 * KIB, yamux_room(y, other)); /* of both together */
    assert_err(ERR_LIMIT, yamux_write(y, other, SPAN(bytes, 13 * KIB)));
    drain(y); /* both windows: 512 KiB of 1,012 */
    for (int i = 0; i < 2; i++) {
        assert_true(yamux_poll(y, &ev));
        assert_int_equal(YAMUX_EV_WRITABLE, ev.type);
        told += ev.stream;
    }
    assert_int_equal(id + other, told);
    assert_false(yamux_poll(y, &ev));
    hear(y, SPAN_OF(more), "");
    drain(y);
    assert_false(yamux_poll(y, &ev)); /* told once */
    yamux_free(y);
}

static void every_failed_allocation_is_survived(void **state)
{
    unsigned total = 0;

    (void)state;
    for (unsigned nth = 1;; nth++) {
        struct test_heap heap;
        struct yamux *y;
        char story[256] = "";
        enum err err = OK;
        uint32_t id;

        test_heap_init(&heap);
        y = session(false, &heap.mem);
        test_heap_fail(&heap, nth);
        if (err == OK)
            err = yamux_open(y, NULL, 0, &id);
        if (err == OK)
            err = yamux_write(y, id, SPAN(script, sizeof(script)));
        if (err == OK) {
            drain(y);
            yamux_reset(y, id, 0);
        }
        if (err == OK)
            err = feed(y, SPAN_OF(script), story);
        yamux_free(y);
        assert_int_equal(0, heap.live);
        if (heap.count < nth + 1) {
            assert_ok(err);
            break;
        }
        /* A stream there is no memory for is refused, no more. */
        assert_true(err == ERR_NOMEM || strstr(story, "open(1)") == NULL ||
                    strstr(story, "open(3)") == NULL);
        total++;
    }
    assert_true(total >= 5);
}

/* What rust ends a connection for. */
struct strict {
    uint32_t pings, pongs;
    uint64_t window[64]; /* what the other side may still send, by id */
    bool is_open[64];
};

static void strict_hear(struct strict *to, struct strict *from, struct span in,
                        bool from_dialer)
{
    uint8_t version = 0, type = 0;
    uint16_t flags = 0;
    uint32_t id = 0, len = 0;

    while (in.len > 0) {
        assert_true(span_u8(&in, &version) && span_u8(&in, &type) &&
                    span_u16(&in, &flags) && span_u32(&in, &id) &&
                    span_u32(&in, &len));
        assert_int_equal(0, version);
        assert_true(id < 64);
        if (flags & SYN && type < 2) {
            assert_int_equal(from_dialer, id % 2);
            assert_false(to->is_open[id]);
            to->is_open[id] = from->is_open[id] = true;
            to->window[id] = from->window[id] = 256 * KIB;
        }
        if (type == YAMUX_PING) {
            from->pings += (flags & SYN) != 0;
            from->pongs += (flags & ACK) != 0;
            assert_true(from->pongs <= to->pings);
        } else if (type == YAMUX_DATA) {
            assert_true(len <= MIB && len <= to->window[id]);
            to->window[id] -= len;
            span_take(&in, len);
        } else if (type == YAMUX_WINDOW_UPDATE && !(flags & RST)) {
            from->window[id] += len;
            assert_true(from->window[id] < 1ull << 32);
        }
    }
}

/* Two sessions do random things to each other for a while; what one wrote the
 * other hears, in order, and nothing forbidden was sent. */
struct peer {
    struct yamux *y;
    struct strict strict;
    uint8_t written[64], heard[64]; /* next byte, counting up, by stream */
    size_t held[64];
    size_t total;
};

static void act(struct peer *p, const struct rng *rng, tstamp now)
{
    uint32_t id = (uint32_t)rng_below(rng, 63) + 1;
    uint8_t bytes[40 * KIB];
    size_t n = (size_t)rng_below(rng, sizeof(bytes));

    switch (rng_below(rng, 40)) {
    case 0:
        if (yamux_open(p->y, NULL, now, &id) == OK && id >= 60)
            yamux_reset(p->y, id, 0);
        return;
    case 1:
        yamux_finish(p->y, id);
        return;
    case 2:
        yamux_reset(p->y, id, 0);
        p->held[id] = 0;
        return;
    default:
        break;
    }
    if (rng_below(rng, 2)) {
        yamux_consumed(p->y, id, p->held[id], now);
        p->held[id] = 0;
        return;
    }
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(p->written[id] + i);
    if (yamux_write(p->y, id, SPAN(bytes, n)) == OK)
        p->written[id] = (uint8_t)(p->written[id] + n);
}

static void hear_all(struct peer *p, struct span in, tstamp now)
{
    struct yamux_event ev;

    do {
        assert_ok(yamux_recv(p->y, &in, now, &ev));
        if (ev.type == YAMUX_EV_RESET)
            p->held[ev.stream] = 0;
        if (ev.type != YAMUX_EV_DATA)
            continue;
        p->held[ev.stream] += ev.data.len;
        p->total += ev.data.len;
        for (size_t i = 0; i < ev.data.len; i++)
            assert_int_equal(p->heard[ev.stream]++, ev.data.data[i]);
    } while (ev.type != YAMUX_EV_NONE);
    while (yamux_poll(p->y, &ev))
        if (ev.type == YAMUX_EV_ENDED)
            p->held[ev.stream] = 0;
}

static void sessions_agree_whatever_they_do(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct peer *peers = calloc(2, sizeof(*peers));
        struct rng_seeded s;
        struct rng rng = rng_seeded(&s, seed);
        struct yamux_config config = defaults;
        tstamp now = 0;

        print_message("seed %ju\n", (uintmax_t)seed);
        config.streams_in_max = 20;
        config.streams_out_max = 20;
        assert_non_null(peers);
        for (int i = 0; i < 2; i++) {
            config.is_dialer = i == 0;
            peers[i].y = yamux_new(&config, 0, &mem_libc);
        }
        for (int k = 0; k < 4000; k++) {
            size_t i = (size_t)rng_below(&rng, 2);
            uint8_t bytes[8 * KIB];
            struct span out;

            now += rng_below(&rng, 5 * MILLISECONDS);
            assert_ok(yamux_tick(peers[i].y, now));
            act(&peers[i], &rng, now);
            out = rng_below(&rng, 2) ? yamux_lend(peers[i].y) : SPAN_NONE;
            if (out.len == 0)
                out = SPAN(bytes, yamux_out(peers[i].y, bytes, sizeof(bytes)));
            strict_hear(&peers[1 - i].strict, &peers[i].strict, out, i == 0);
            hear_all(&peers[1 - i], out, now);
        }
        assert_true(peers[0].total > MIB && peers[1].total > MIB);
        yamux_free(peers[0].y);
        yamux_free(peers[1].y);
        free(peers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_has_the_form_of_the_specification),
        cmocka_unit_test(dialer_opens_odd_streams_with_syn_once),
        cmocka_unit_test(listener_opens_even_streams),
        cmocka_unit_test(listener_acknowledges_at_once_and_once),
        cmocka_unit_test(pings_are_answered_once_each),
        cmocka_unit_test(input_may_be_cut_anywhere),
        cmocka_unit_test(input_may_come_byte_by_byte),
        cmocka_unit_test(what_is_forbidden_ends_the_session),
        cmocka_unit_test(window_is_given_back_as_it_is_consumed),
        cmocka_unit_test(writer_stops_at_the_peers_window),
        cmocka_unit_test(large_frames_are_lent_where_they_lie),
        cmocka_unit_test(half_closed_stream_still_carries_the_other_half),
        cmocka_unit_test(end_of_a_stream_shares_no_frame_with_its_data),
        cmocka_unit_test(reset_ends_a_stream_in_any_state),
        cmocka_unit_test(reset_of_an_unheard_stream_is_silent),
        cmocka_unit_test(go_away_stops_new_streams_both_ways),
        cmocka_unit_test(keepalive_pings_then_gives_up),
        cmocka_unit_test(talking_peer_is_not_given_up),
        cmocka_unit_test(inbound_streams_are_bounded),
        cmocka_unit_test(unacknowledged_streams_are_bounded),
        cmocka_unit_test(outbound_streams_are_bounded),
        cmocka_unit_test(peer_that_reads_nothing_makes_us_owe_no_more),
        cmocka_unit_test(writes_are_bounded_and_told_when_there_is_room),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(sessions_agree_whatever_they_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
