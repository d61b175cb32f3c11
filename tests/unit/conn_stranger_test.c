/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

#include "crypto/ed25519.h"
#include "mss/mss.h"
#include "multi/peer_id.h"
#include "noise/noise.h"
#include "support/test.h"
#include "yamux/frame.h"

/* A connection of ours against another implementation, played byte by byte:
 * one that proposes TLS first as go does, lists no muxers in its handshake as
 * rust does, and then says whatever a test wants. */
static const char *const protocols[] = {"/echo/1"};

struct stranger {
    struct conn *conn;
    struct ed25519_keypair key, theirs;
    struct rng_seeded seed;
    struct rng rng;
    struct noise *noise; /* theirs */
    struct buf out;      /* for the connection */
    struct buf heard;    /* plaintext from it */
    char story[512];
};

static void hear(struct stranger *s)
{
    struct conn_event ev;

    while (conn_poll(s->conn, &ev)) {
        char *end = s->story + strlen(s->story);

        if (ev.type == CONN_EV_CLOSED)
            sprintf(end, "closed(%s) ", err_name(ev.err));
        else if (ev.type == CONN_EV_UPGRADED)
            sprintf(end, "up ");
        else if (ev.type == CONN_EV_STREAM_INBOUND)
            sprintf(end, "in(%u) ", ev.stream);
        else if (ev.type == CONN_EV_STREAM_RESET)
            sprintf(end, "reset(%u:%s) ", ev.stream, err_name(ev.err));
        else if (ev.type == CONN_EV_STREAM_DATA)
            sprintf(end, "%.*s ", (int)ev.data.len, (const char *)ev.data.data);
        else
            sprintf(end, "event%d ", (int)ev.type);
    }
}

static void give(struct stranger *s, struct span bytes)
{
    uint8_t copy[4096];

    assert_true(bytes.len <= sizeof(copy));
    memcpy(copy, bytes.data, bytes.len);
    conn_recv(s->conn, copy, bytes.len, 0);
    hear(s);
}

static void expect(struct stranger *s, const char *story)
{
    assert_string_equal(story, s->story);
    s->story[0] = '\0';
}

static void stranger_init(struct stranger *s, bool is_dialer)
{
    struct conn_config config = {
        .is_dialer = !is_dialer,
        .identity = &s->key,
        .protocols = protocols,
        .protocols_count = 1,
    };

    *s = (struct stranger){0};
    s->rng = rng_seeded(&s->seed, 1);
    ed25519_generate(&s->key, &s->rng);
    ed25519_generate(&s->theirs, &s->rng);
    buf_init(&s->out, 1 << 20, &mem_libc);
    buf_init(&s->heard, 1 << 20, &mem_libc);
    s->conn = conn_new(&config, 0, &s->rng, &mem_libc, NULL);
}

static void stranger_release(struct stranger *s)
{
    conn_free(s->conn);
    noise_free(s->noise);
    buf_release(&s->out);
    buf_release(&s->heard);
}

/* The bytes the connection has to say, expected to be these. */
static void said(struct stranger *s, struct span want)
{
    assert_span_equal(want, conn_out(s->conn));
    conn_sent(s->conn, want.len);
}

static void start_noise(struct stranger *s, bool is_dialer)
{
    const struct noise_config config = {
        .is_dialer = is_dialer,
        .identity = &s->theirs,
        .within = SECONDS,
        .out = &s->out,
    };

    assert_ok(noise_new(&s->noise, &config, 0, &s->rng, &mem_libc));
}

/* Both ways until nothing is left; plaintext is kept in |heard|. */
static void exchange(struct stranger *s)
{
    struct span out;

    while (buf_len(&s->out) > 0 || conn_out(s->conn).len > 0) {
        uint8_t copy[128 * 1024];
        struct noise_input in = {copy, 0};
        struct noise_event ev;

        give(s, buf_span(&s->out));
        buf_clear(&s->out);
        out = conn_out(s->conn);
        memcpy(copy, out.data, out.len);
        in.len = out.len;
        conn_sent(s->conn, out.len);
        do {
            assert_ok(noise_recv(s->noise, &in, &ev));
            if (ev.type == NOISE_EV_DATA)
                assert_ok(buf_put(&s->heard, ev.data));
        } while (ev.type != NOISE_EV_NONE);
    }
}

static void heard(struct stranger *s, struct span want)
{
    assert_span_equal(want, buf_span(&s->heard));
    buf_clear(&s->heard);
}

#define HEADER "\x13/multistream/1.0.0\n"
#define NOISE "\x07/noise\n"
#define YAMUX "\x0d/yamux/1.0.0\n"
#define PING "\0\2\0\1\0\0\0\0\0\0\0\0"

/* Up to where yamux begins, as a dialer. */
static void dial(struct stranger *s)
{
    stranger_init(s, true);
    give(s, SPAN_LIT(HEADER "\x0b/tls/1.0.0\n"));
    said(s, SPAN_LIT(HEADER "\x03na\n"));
    give(s, SPAN_LIT(NOISE));
    said(s, SPAN_LIT(NOISE));
    start_noise(s, true);
    exchange(s);
    heard(s, SPAN_LIT(HEADER));
    assert_ok(noise_seal(s->noise, SPAN_LIT(HEADER YAMUX)));
    exchange(s);
    heard(s, SPAN_LIT(YAMUX PING));
    expect(s, "up ");
}

static void tell(struct stranger *s, struct span plain)
{
    assert_ok(noise_seal(s->noise, plain));
    exchange(s);
}

static void dialer_without_early_muxer_is_answered(void **state)
{
    struct conn_stats stats;
    struct stranger s;

    (void)state;
    dial(&s);
    conn_stats(s.conn, &stats);
    assert_false(stats.has_early_muxer);
    tell(&s, SPAN_LIT("\0\0\0\1\0\0\0\1\0\0\0\x21" HEADER "\x08/echo/1\n"
                      "talk"));
    expect(&s, "in(1) talk ");
    heard(&s, SPAN_LIT("\0\0\0\2\0\0\0\1\0\0\0\x1d" HEADER "\x08/echo/1\n"));
    stranger_release(&s);
}

/* Our bytes as a dialer, from the first on. */
static void listener_without_early_muxer_is_dialled(void **state)
{
    struct stranger s;
    struct span out;
    uint32_t id;

    (void)state;
    stranger_init(&s, false);
    out = conn_out(s.conn);
    assert_int_equal(20 + 8 + 2 + 32, out.len);
    assert_span_equal(SPAN_LIT(HEADER NOISE "\0\x20"), SPAN(out.data, 30));
    start_noise(&s, false);
    {
        uint8_t first[34];
        struct noise_input in = {first, sizeof(first)};
        struct noise_event ev;

        memcpy(first, out.data + 28, sizeof(first));
        conn_sent(s.conn, out.len);
        assert_ok(noise_recv(s.noise, &in, &ev));
    }
    give(&s, SPAN_LIT(HEADER NOISE));
    exchange(&s);
    heard(&s, SPAN_LIT(HEADER YAMUX));
    expect(&s, "");
    tell(&s, SPAN_LIT(HEADER YAMUX));
    expect(&s, "up ");
    heard(&s, SPAN_LIT(PING));
    assert_ok(conn_stream_open(s.conn, protocols, 1, 0, &id));
    assert_ok(conn_stream_write(s.conn, id, SPAN_LIT("hi")));
    exchange(&s);
    heard(&s, SPAN_LIT("\0\0\0\1\0\0\0\1\0\0\0\x1f" HEADER "\x08/echo/1\nhi"));
    stranger_release(&s);
}

static void muxer_we_do_not_have_is_refused(void **state)
{
    struct stranger s;

    (void)state;
    stranger_init(&s, true);
    give(&s, SPAN_LIT(HEADER NOISE));
    said(&s, SPAN_LIT(HEADER NOISE));
    start_noise(&s, true);
    exchange(&s);
    heard(&s, SPAN_LIT(HEADER));
    tell(&s, SPAN_LIT(HEADER "\x0d/mplex/6.7.0\n"));
    heard(&s, SPAN_LIT("\x03na\n"));
    tell(&s, SPAN_LIT(YAMUX));
    heard(&s, SPAN_LIT(YAMUX PING));
    stranger_release(&s);
}

static void what_is_no_libp2p_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
        const char *story;
    } cases[] = {
        {"an HTTP request", "GET / HTTP/1.1\r\n\r\n", 18, ""},
        {"a longer one",
         "GET /index.html HTTP/1.1\r\nHost: example.org\r\nUser-Agent: "
         "Mozilla/5.0\r\n\r\n",
         72, "closed(PROTO) "},
        {"a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 abcdefghijkl",
         24, "closed(PROTO) "},
        {"noise without a proposal", HEADER "\0\x20", 22, "closed(PROTO) "},
        {"a proposal that goes on", HEADER "\xff\x7f", 22,
         "closed(FRAME_SIZE) "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stranger s;

        print_message("%s\n", cases[i].why);
        stranger_init(&s, true);
        give(&s, SPAN(cases[i].bytes, cases[i].len));
        expect(&s, cases[i].story);
        stranger_release(&s);
    }
}

static void handshake_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
        const char *story;
    } cases[] = {
        {"an empty message", "\0\0", 2, "closed(PROTO) "},
        {"a first message with a payload", "\0\x21" HEADER HEADER, 2 + 33,
         "closed(PROTO) "},
        {"one of 64 KiB", "\xff\xff", 2, "closed(FRAME_SIZE) "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stranger s;

        print_message("%s\n", cases[i].why);
        stranger_init(&s, true);
        give(&s, SPAN_LIT(HEADER NOISE));
        give(&s, SPAN(cases[i].bytes, cases[i].len));
        expect(&s, cases[i].story);
        stranger_release(&s);
    }
}

#define SYN_OF(id) "\0\1\0\1\0\0\0" id "\0\0\0\0"
#define LAST_WORD "\0\3\0\0\0\0\0\0\0\0\0\1"

static void frames_that_are_forbidden_end_the_connection(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
        const char *story;
    } cases[] = {
        {"another version", "\1\0\0\0\0\0\0\1\0\0\0\0", 12, "closed(PROTO) "},
        {"an even stream", SYN_OF("\2"), 12, "closed(PROTO) "},
        {"a second SYN", SYN_OF("\1") SYN_OF("\1"), 24, "closed(PROTO) "},
        {"a frame of 32 MiB", "\0\0\0\1\0\0\0\1\2\0\0\0", 12,
         "closed(FRAME_SIZE) "},
        {"more than the window", "\0\0\0\1\0\0\0\1\0\4\0\1", 12,
         "closed(FLOW_CONTROL) "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stranger s;

        print_message("%s\n", cases[i].why);
        dial(&s);
        tell(&s, SPAN(cases[i].bytes, cases[i].len));
        expect(&s, cases[i].story);
        /* At least it is told that it was its fault. */
        assert_true(buf_len(&s.heard) >= 12);
        buf_drain(&s.heard, buf_len(&s.heard) - 12);
        heard(&s, SPAN_LIT(LAST_WORD));
        stranger_release(&s);
    }
}

/* A stream that talks no multistream, or ends before it is agreed what it
 * talks, costs the connection nothing. */
static void streams_that_do_not_negotiate_are_reset(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"no header", "\0\0\0\1\0\0\0\1\0\0\0\6\5hello", 18},
        {"ends at once", "\0\0\0\5\0\0\0\1\0\0\0\0", 12},
        {"ends after the header", "\0\0\0\5\0\0\0\1\0\0\0\x14" HEADER, 32},
        {"optimistic bytes after a refusal",
         "\0\0\0\1\0\0\0\1\0\0\0\x1c" HEADER "\3/x\n\3byt", 40},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conn_stats stats;
        struct stranger s;

        print_message("%s\n", cases[i].why);
        dial(&s);
        tell(&s, SPAN(cases[i].bytes, cases[i].len));
        expect(&s, "");
        heard(&s, SPAN_LIT("\0\1\0\x08\0\0\0\1\0\0\x10\1"));
        conn_stats(s.conn, &stats);
        assert_int_equal(0, stats.streams_in);
        stranger_release(&s);
    }
}

static void listener_that_leaves_a_stream_unanswered(void **state)
{
    struct stranger s;
    uint32_t id;

    (void)state;
    dial(&s);
    assert_ok(conn_stream_open(s.conn, protocols, 1, 0, &id));
    assert_int_equal(2, id);
    exchange(&s);
    tell(&s, SPAN_LIT("\0\0\0\6\0\0\0\2\0\0\0\0"));
    expect(&s, "reset(2:RESET) ");
    stranger_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialer_without_early_muxer_is_answered),
        cmocka_unit_test(listener_without_early_muxer_is_dialled),
        cmocka_unit_test(muxer_we_do_not_have_is_refused),
        cmocka_unit_test(what_is_no_libp2p_is_refused),
        cmocka_unit_test(handshake_that_is_none_is_refused),
        cmocka_unit_test(frames_that_are_forbidden_end_the_connection),
        cmocka_unit_test(streams_that_do_not_negotiate_are_reset),
        cmocka_unit_test(listener_that_leaves_a_stream_unanswered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
