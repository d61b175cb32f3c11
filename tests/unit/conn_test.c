/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/buf.h"
#include "crypto/ed25519.h"
#include "multi/peer_id.h"
#include "support/test.h"

/* Two connections joined by a wire that cuts bytes where it likes.  What a side
 * hears is written down as a story: "up in(1:0) <data> fin(1) ". */
enum { DIALER, LISTENER, SIDES, STORY_MAX = 4096 };

static const char *const protocols[] = {"/echo/1", "/sink/1"};

struct side {
    struct conn *conn;
    struct buf wire; /* on its way to the other side */
    char story[STORY_MAX];
    size_t story_len;
    size_t heard;     /* bytes of stream data */
    uint64_t sum;     /* of them, order counts */
    bool keeps;       /* does not give back what it hears */
    bool is_stuck;    /* its wire moves nothing */
    uint32_t inbound; /* the stream opened last by the other side */
    struct ed25519_keypair key;
    struct peer_id id;
};

struct rig {
    struct side side[SIDES];
    struct rng_seeded seed;
    struct rng rng;
    const struct mem *mem;
    tstamp now;
    size_t cut_max; /* bytes delivered at once; 0: as they are */
    size_t cut_at;  /* the DIALER's bytes are cut here once; 0: nowhere */
    size_t moved;   /* DIALER's bytes delivered */
};

static void add(struct side *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add(struct side *s, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(s->story + s->story_len, STORY_MAX - s->story_len, format,
                  args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < STORY_MAX - s->story_len);
    s->story_len += (size_t)n;
}

static void hear(struct rig *r, struct side *s, const struct conn_event *ev)
{
    switch (ev->type) {
    case CONN_EV_UPGRADED:
        add(s, "up ");
        break;
    case CONN_EV_STREAM_INBOUND:
        s->inbound = ev->stream;
        add(s, "in(%u:%zu) ", ev->stream, ev->protocol);
        break;
    case CONN_EV_STREAM_READY:
        add(s, "ready(%u:%zu) ", ev->stream, ev->protocol);
        break;
    case CONN_EV_STREAM_DATA:
        s->heard += ev->data.len;
        for (size_t i = 0; i < ev->data.len; i++)
            s->sum = s->sum * 31 + ev->data.data[i];
        if (s->heard <= 64)
            add(s, "%.*s", (int)ev->data.len, (const char *)ev->data.data);
        if (!s->keeps)
            conn_stream_consumed(s->conn, ev->stream, ev->data.len, r->now);
        break;
    case CONN_EV_STREAM_FIN:
        add(s, " fin(%u) ", ev->stream);
        break;
    case CONN_EV_STREAM_WRITABLE:
        add(s, "writable(%u) ", ev->stream);
        break;
    case CONN_EV_STREAM_RESET:
        add(s, "reset(%u:%s) ", ev->stream, err_name(ev->err));
        break;
    case CONN_EV_STREAM_ENDED:
        add(s, "ended(%u) ", ev->stream);
        break;
    case CONN_EV_GO_AWAY:
        add(s, "goaway ");
        break;
    case CONN_EV_CLOSED:
        add(s, "closed(%s) ", err_name(ev->err));
        break;
    case CONN_EV_NONE:
        fail();
    }
}

static void poll_all(struct rig *r, struct side *s)
{
    struct conn_event ev;

    while (conn_poll(s->conn, &ev))
        hear(r, s, &ev);
}

/* Bytes live only while they are polled, in memory of their own, so that
 * holding on to them is seen. */
static void deliver(struct rig *r, struct side *to, struct span bytes)
{
    uint8_t *copy = malloc(bytes.len);

    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.len);
    conn_recv(to->conn, copy, bytes.len, r->now);
    poll_all(r, to);
    memset(copy, 0xee, bytes.len);
    free(copy);
}

static void collect(struct rig *r, struct side *s)
{
    struct span out;

    if (s->is_stuck)
        return;
    while ((out = conn_out(s->conn)).len > 0) {
        assert_ok(buf_put(&s->wire, out));
        conn_sent(s->conn, out.len);
    }
    poll_all(r, s);
}

static size_t next_cut(struct rig *r, int from, size_t len)
{
    size_t n = r->cut_max ? 1 + (size_t)rng_below(&r->rng, r->cut_max) : len;

    if (from == DIALER && r->moved < r->cut_at && r->moved + n > r->cut_at)
        n = r->cut_at - r->moved;
    return n < len ? n : len;
}

/* Until nothing moves any more. */
static void run(struct rig *r)
{
    bool moved = true;

    while (moved) {
        moved = false;
        for (int i = 0; i < SIDES; i++) {
            struct side *from = &r->side[i], *to = &r->side[1 - i];
            struct span out;
            size_t n;

            collect(r, from);
            out = buf_span(&from->wire);
            if (out.len == 0)
                continue;
            n = next_cut(r, i, out.len);
            deliver(r, to, SPAN(out.data, n));
            buf_drain(&from->wire, n);
            if (i == DIALER)
                r->moved += n;
            moved = true;
        }
    }
    for (int i = 0; i < SIDES; i++)
        poll_all(r, &r->side[i]);
}

static void side_init(struct rig *r, int i, const struct conn_limits *limits)
{
    struct side *s = &r->side[i], *other = &r->side[1 - i];
    struct conn_config config = {
        .is_dialer = i == DIALER,
        .identity = &s->key,
        .expected = i == DIALER ? &other->id : NULL,
        .protocols = protocols,
        .protocols_count = 2,
    };

    if (limits != NULL)
        config.limits = *limits;
    buf_init(&s->wire, 64 << 20, &mem_libc);
    s->conn = conn_new(&config, r->now, &r->rng, r->mem, NULL);
}

static void rig_init(struct rig *r, const struct conn_limits *limits,
                     const struct mem *mem)
{
    *r = (struct rig){.mem = mem, .now = 1000};
    r->rng = rng_seeded(&r->seed, 1);
    for (int i = 0; i < SIDES; i++) {
        ed25519_generate(&r->side[i].key, &r->rng);
        peer_id_from_ed25519(&r->side[i].id, r->side[i].key.pub);
    }
    for (int i = 0; i < SIDES; i++)
        side_init(r, i, limits);
}

static void rig_release(struct rig *r)
{
    for (int i = 0; i < SIDES; i++) {
        conn_free(r->side[i].conn);
        buf_release(&r->side[i].wire);
    }
}

/* What was heard since the last time. */
static void expect(struct side *s, const char *story)
{
    assert_string_equal(story, s->story);
    s->story_len = 0;
    s->story[0] = '\0';
}

static void rig_open(struct rig *r, const struct conn_limits *limits)
{
    rig_init(r, limits, &mem_libc);
    run(r);
    expect(&r->side[DIALER], "up ");
    expect(&r->side[LISTENER], "up ");
}

static uint32_t open_for(struct rig *r, int i, const char *protocol)
{
    uint32_t stream;

    assert_ok(conn_stream_open(r->side[i].conn, &protocol, 1, r->now, &stream));
    return stream;
}

static void both_sides_learn_who_the_other_is(void **state)
{
    struct rig r;
    struct conn_stats stats;

    (void)state;
    rig_open(&r, NULL);
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &r.side[i], *other = &r.side[1 - i];

        assert_true(peer_id_eq(&other->id, conn_peer(s->conn)));
        assert_span_equal(SPAN_OF(other->key.pub),
                          pubkey_data(conn_peer_key(s->conn)));
        conn_stats(s->conn, &stats);
        assert_true(stats.is_upgraded && stats.has_early_muxer);
    }
    rig_release(&r);
}

static void stream_carries_a_conversation(void **state)
{
    struct rig r;
    struct side *dialer = &r.side[DIALER], *listener = &r.side[LISTENER];
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    id = open_for(&r, DIALER, "/sink/1");
    assert_ok(conn_stream_write(dialer->conn, id, SPAN_LIT("hello")));
    run(&r);
    expect(dialer, "ready(1:0) ");
    expect(listener, "in(1:1) hello");
    assert_ok(conn_stream_write(listener->conn, id, SPAN_LIT("world")));
    conn_stream_finish(listener->conn, id);
    run(&r);
    expect(dialer, "world fin(1) ");
    conn_stream_finish(dialer->conn, id);
    run(&r);
    expect(dialer, "ended(1) ");
    expect(listener, " fin(1) ended(1) ");
    rig_release(&r);
}

/* If it can. */
static void say(struct conn *c, uint32_t stream, const char *text)
{
    enum err err = conn_stream_write(c, stream, span_str(text));

    (void)err;
}

/* Upgrade; both open streams, talk, and finish. */
static void tell_story(struct rig *r)
{
    static const char *const wants[] = {"/none/1", "/sink/1"};
    struct conn *dialer = r->side[DIALER].conn;
    struct conn *listener = r->side[LISTENER].conn;
    uint32_t id;

    run(r);
    if (conn_stream_open(dialer, wants, 2, r->now, &id) == OK) {
        say(dialer, id, "hello");
        conn_stream_finish(dialer, id);
    }
    run(r);
    if (conn_stream_open(listener, protocols, 1, r->now, &id) == OK)
        say(listener, id, "good day");
    run(r);
    say(listener, 1, "bye");
    conn_stream_finish(listener, 1);
    run(r);
    conn_stream_reset(dialer, 2);
    run(r);
    conn_close(dialer, r->now);
    run(r);
    conn_recv_eof(listener, r->now);
    run(r);
}

static const char dialer_story[] =
    "up ready(1:1) in(2:0) good daybye fin(1) ended(1) closed(OK) ";
static const char listener_story[] =
    "up in(1:1) hello fin(1) ready(2:0) ended(1) reset(2:RESET) goaway "
    "closed(CLOSED) ";

static void expect_story(struct rig *r)
{
    expect(&r->side[DIALER], dialer_story);
    expect(&r->side[LISTENER], listener_story);
    rig_release(r);
}

static void input_may_be_cut_anywhere(void **state)
{
    struct rig r;
    size_t total;

    (void)state;
    rig_init(&r, NULL, &mem_libc);
    tell_story(&r);
    total = r.moved;
    expect_story(&r);
    assert_true(total > 400);
    for (size_t cut = 1; cut < total; cut++) {
        rig_init(&r, NULL, &mem_libc);
        r.cut_at = cut;
        tell_story(&r);
        expect_story(&r);
    }
}

static void input_may_be_cut_everywhere(void **state)
{
    struct rig r;

    (void)state;
    for (size_t cut_max = 1; cut_max <= 100; cut_max += 3) {
        rig_init(&r, NULL, &mem_libc);
        r.seed.state = cut_max;
        r.cut_max = cut_max;
        tell_story(&r);
        expect_story(&r);
    }
}

static void both_sides_may_open_at_once(void **state)
{
    struct rig r;

    (void)state;
    rig_open(&r, NULL);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < SIDES; i++) {
            uint32_t id = open_for(&r, i, "/echo/1");

            assert_int_equal(2 * k + 1 + i, id);
            assert_ok(conn_stream_write(r.side[i].conn, id, SPAN_LIT("x")));
        }
    }
    run(&r);
    expect(&r.side[DIALER], "in(2:0) xin(4:0) xin(6:0) x"
                            "ready(1:0) ready(3:0) ready(5:0) ");
    expect(&r.side[LISTENER], "in(1:0) xin(3:0) xin(5:0) x"
                              "ready(2:0) ready(4:0) ready(6:0) ");
    rig_release(&r);
}

static void unknown_protocol_ends_the_stream_only(void **state)
{
    static const char *const wants[] = {"/none/1", "/none/2"};
    struct rig r;
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    id = open_for(&r, DIALER, "/none/1");
    assert_ok(conn_stream_write(r.side[DIALER].conn, id, SPAN_LIT("lost")));
    assert_ok(conn_stream_open(r.side[DIALER].conn, wants, 2, r.now, &id));
    assert_ok(conn_stream_write(r.side[DIALER].conn, id, SPAN_LIT("lost")));
    run(&r);
    expect(&r.side[DIALER], "reset(1:NO_PROTOCOL) reset(3:NO_PROTOCOL) ");
    expect(&r.side[LISTENER], "");
    open_for(&r, DIALER, "/echo/1");
    run(&r);
    expect(&r.side[DIALER], "ready(5:0) ");
    expect(&r.side[LISTENER], "in(5:0) ");
    rig_release(&r);
}

/* Optimistic bytes must not reach a listener that refuses the first of several
 * proposals, and must not get lost when it takes the second. */
static void early_bytes_wait_for_one_of_several(void **state)
{
    static const char *const wants[] = {"/none/1", "/none/2", "/echo/1"};
    static uint8_t bytes[64 * 1024];
    struct rig r;
    struct conn *c;
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    c = r.side[DIALER].conn;
    assert_ok(conn_stream_open(c, wants, 3, r.now, &id));
    assert_int_equal(sizeof(bytes), conn_stream_room(c, id));
    assert_ok(conn_stream_write(c, id, SPAN_OF(bytes)));
    assert_int_equal(0, conn_stream_room(c, id));
    assert_err(ERR_LIMIT, conn_stream_write(c, id, SPAN_LIT("x")));
    run(&r);
    expect(&r.side[DIALER], "writable(1) ready(1:2) ");
    assert_int_equal(sizeof(bytes), r.side[LISTENER].heard);
    rig_release(&r);

    rig_open(&r, NULL);
    c = r.side[DIALER].conn;
    assert_ok(conn_stream_open(c, wants, 3, r.now, &id));
    assert_ok(conn_stream_write(c, id, SPAN_LIT("all")));
    conn_stream_finish(c, id);
    assert_err(ERR_CLOSED, conn_stream_write(c, id, SPAN_LIT("late")));
    run(&r);
    expect(&r.side[LISTENER], "in(1:0) all fin(1) ");
    rig_release(&r);
}

/* Step |stage| of a stream's life. */
static uint32_t live(struct rig *r, int stage)
{
    uint32_t id = open_for(r, DIALER, "/echo/1");

    if (stage >= 1)
        assert_ok(
            conn_stream_write(r->side[DIALER].conn, id, SPAN_LIT("data")));
    if (stage >= 2)
        run(r);
    if (stage >= 3)
        conn_stream_finish(r->side[DIALER].conn, id);
    if (stage >= 4)
        run(r);
    if (stage >= 5)
        assert_ok(
            conn_stream_write(r->side[LISTENER].conn, id, SPAN_LIT("back")));
    if (stage >= 6)
        run(r);
    return id;
}

static void reset_is_heard_in_any_state(void **state)
{
    (void)state;
    for (int from = 0; from < SIDES; from++) {
        for (int stage = 2 * from; stage <= 6; stage++) {
            struct rig r;
            uint32_t id;
            char want[32];

            rig_open(&r, NULL);
            id = live(&r, stage);
            r.side[DIALER].story_len = r.side[LISTENER].story_len = 0;
            r.side[DIALER].story[0] = r.side[LISTENER].story[0] = '\0';
            conn_stream_reset(r.side[from].conn, id);
            conn_stream_reset(r.side[from].conn, id);
            conn_stream_finish(r.side[from].conn, id);
            conn_stream_consumed(r.side[from].conn, id, 4, r.now);
            assert_err(ERR_CLOSED, conn_stream_write(r.side[from].conn, id,
                                                     SPAN_LIT("late")));
            assert_null(conn_stream_user(r.side[from].conn, id));
            run(&r);
            expect(&r.side[from], "");
            snprintf(want, sizeof(want), "reset(%u:RESET) ", id);
            expect(&r.side[1 - from], stage >= 2 ? want : "");
            rig_release(&r);
        }
    }
}

static void reader_that_holds_back_bounds_the_writer(void **state)
{
    static uint8_t bytes[64 * 1024];
    const struct conn_limits limits = {.stream_unsent_max = 512 * 1024};
    struct rig r;
    struct side *dialer, *listener;
    struct conn_stats stats;
    enum err err = OK;
    size_t written = 0;
    uint32_t id;

    (void)state;
    rig_open(&r, &limits);
    dialer = &r.side[DIALER];
    listener = &r.side[LISTENER];
    listener->keeps = true;
    id = open_for(&r, DIALER, "/sink/1");
    while (err == OK && written < 64 << 20) {
        err = conn_stream_write(dialer->conn, id, SPAN_OF(bytes));
        written += err == OK ? sizeof(bytes) : 0;
        run(&r);
    }
    assert_err(ERR_LIMIT, err);
    assert_true(written <= (256 + 512) * 1024 + sizeof(bytes));
    assert_true(listener->heard <= 256 * 1024);
    expect(dialer, "ready(1:0) ");

    conn_stream_consumed(listener->conn, id, 150 * 1024, r.now);
    run(&r);
    expect(dialer, "");
    conn_stream_consumed(listener->conn, id, listener->heard - 150 * 1024,
                         r.now);
    listener->keeps = false;
    run(&r);
    expect(dialer, "writable(1) ");
    assert_int_equal(written, listener->heard);
    conn_stats(dialer->conn, &stats);
    assert_int_equal(0, stats.unsent);
    rig_release(&r);
}

/* The same with a socket that takes nothing: nothing leaves, so nothing but
 * the writer's own limits holds. */
static void stuck_socket_bounds_the_writers_together(void **state)
{
    static uint8_t bytes[64 * 1024];
    const struct conn_limits limits = {.unsent_max = 1 << 20};
    struct conn_stats stats;
    size_t written = 0;
    struct rig r;

    (void)state;
    rig_open(&r, &limits);
    r.side[DIALER].is_stuck = true;
    for (int i = 0; i < 10; i++) {
        uint32_t id = open_for(&r, DIALER, "/sink/1");

        for (int k = 0; k < 5; k++)
            if (conn_stream_write(r.side[DIALER].conn, id, SPAN_OF(bytes)) ==
                OK)
                written += sizeof(bytes);
    }
    conn_stats(r.side[DIALER].conn, &stats);
    assert_true(stats.unsent <= 1 << 20);
    assert_true(written <= 1 << 20);
    r.side[DIALER].is_stuck = false;
    run(&r);
    assert_int_equal(written, r.side[LISTENER].heard);
    rig_release(&r);
}

static void bulk_bytes_arrive_whole_and_in_order(void **state)
{
    static uint8_t bytes[100 * 1000];
    uint64_t sum = 0;
    struct rig r;
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    r.cut_max = 70000;
    id = open_for(&r, DIALER, "/sink/1");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rng_u64(&r.rng);
    for (int k = 0; k < 30; k++) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            sum = sum * 31 + bytes[i];
        while (conn_stream_write(r.side[DIALER].conn, id, SPAN_OF(bytes)) != OK)
            run(&r);
    }
    run(&r);
    assert_int_equal(30 * sizeof(bytes), r.side[LISTENER].heard);
    assert_true(sum == r.side[LISTENER].sum);
    rig_release(&r);
}

static void large_outputs_are_offered_in_large_pieces(void **state)
{
    static uint8_t bytes[256 * 1024];
    struct rig r;
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    id = open_for(&r, DIALER, "/sink/1");
    assert_ok(conn_stream_write(r.side[DIALER].conn, id, SPAN_OF(bytes)));
    assert_true(conn_out(r.side[DIALER].conn).len >= 64 * 1024);
    rig_release(&r);
}

static void inbound_streams_are_bounded(void **state)
{
    const struct conn_limits limits = {.streams_in_max = 2};
    struct conn_stats stats;
    struct rig r;

    (void)state;
    rig_open(&r, &limits);
    for (int i = 0; i < 3; i++)
        open_for(&r, DIALER, "/echo/1");
    run(&r);
    expect(&r.side[LISTENER], "in(1:0) in(3:0) ");
    expect(&r.side[DIALER], "reset(5:RESET) ready(1:0) ready(3:0) ");
    conn_stats(r.side[LISTENER].conn, &stats);
    assert_int_equal(2, stats.streams_in);
    assert_int_equal(1, stats.streams_refused);
    rig_release(&r);
}

static void outbound_streams_are_bounded(void **state)
{
    static const char *const wants[] = {"/echo/1"};
    const struct conn_limits limits = {.streams_out_max = 2};
    struct rig r;
    uint32_t id;

    (void)state;
    rig_init(&r, &limits, &mem_libc);
    assert_err(ERR_CLOSED, conn_stream_open(r.side[DIALER].conn, wants, 1,
                                            r.now, &id)); /* not upgraded */
    run(&r);
    open_for(&r, DIALER, "/echo/1");
    open_for(&r, DIALER, "/echo/1");
    assert_err(ERR_LIMIT,
               conn_stream_open(r.side[DIALER].conn, wants, 1, r.now, &id));
    conn_stream_reset(r.side[DIALER].conn, 1);
    open_for(&r, DIALER, "/echo/1");
    rig_release(&r);
}

static void close_flushes_what_was_written(void **state)
{
    struct rig r;
    uint32_t id;

    (void)state;
    rig_open(&r, NULL);
    id = open_for(&r, DIALER, "/sink/1");
    assert_ok(conn_stream_write(r.side[DIALER].conn, id, SPAN_LIT("last")));
    conn_stream_finish(r.side[DIALER].conn, id);
    conn_close(r.side[DIALER].conn, r.now);
    assert_err(ERR_CLOSED,
               conn_stream_open(r.side[DIALER].conn, protocols, 1, r.now, &id));
    run(&r);
    expect(&r.side[DIALER], "reset(1:CLOSED) closed(OK) ");
    expect(&r.side[LISTENER], "in(1:1) last fin(1) goaway ");
    assert_err(ERR_CLOSED, conn_stream_open(r.side[LISTENER].conn, protocols, 1,
                                            r.now, &id));
    conn_recv_eof(r.side[LISTENER].conn, r.now);
    run(&r);
    expect(&r.side[LISTENER], "reset(1:CLOSED) closed(CLOSED) ");
    assert_true(conn_deadline(r.side[DIALER].conn) == TSTAMP_NEVER);
    rig_release(&r);
}

static void close_does_not_wait_for_ever(void **state)
{
    struct rig r;
    struct side *s;

    (void)state;
    rig_open(&r, NULL);
    s = &r.side[DIALER];
    s->is_stuck = true;
    conn_close(s->conn, r.now);
    assert_int_equal(r.now + 5 * SECONDS, conn_deadline(s->conn));
    conn_tick(s->conn, r.now + 5 * SECONDS - 1);
    poll_all(&r, s);
    expect(s, "");
    r.now += 5 * SECONDS;
    conn_tick(s->conn, r.now);
    poll_all(&r, s);
    expect(s, "closed(OK) ");
    rig_release(&r);
}

static void handshake_has_a_deadline(void **state)
{
    struct rig r;

    (void)state;
    rig_init(&r, NULL, &mem_libc);
    for (int i = 0; i < SIDES; i++) {
        struct side *s = &r.side[i];
        tstamp deadline = 1000 + 10 * SECONDS;

        assert_int_equal(deadline, conn_deadline(s->conn));
        conn_tick(s->conn, deadline - 1);
        poll_all(&r, s);
        expect(s, "");
        conn_tick(s->conn, deadline);
        poll_all(&r, s);
        expect(s, "closed(TIMEOUT) ");
        conn_tick(s->conn, deadline + 1);
        poll_all(&r, s);
        expect(s, "");
    }
    rig_release(&r);
}

static void negotiating_a_stream_has_a_deadline(void **state)
{
    const struct conn_limits limits = {.pong_within = HOURS};
    struct rig r;
    struct side *s;

    (void)state;
    rig_open(&r, &limits);
    s = &r.side[DIALER];
    open_for(&r, DIALER, "/echo/1");
    collect(&r, s);
    s->is_stuck = true;
    assert_int_equal(1000 + 10 * SECONDS, conn_deadline(s->conn));
    r.now += 2 * SECONDS;
    open_for(&r, DIALER, "/echo/1");
    conn_tick(s->conn, 1000 + 10 * SECONDS - 1);
    poll_all(&r, s);
    expect(s, "");
    conn_tick(s->conn, 1000 + 10 * SECONDS);
    assert_int_equal(0, conn_deadline(s->conn)); /* to be polled */
    poll_all(&r, s);
    expect(s, "reset(1:TIMEOUT) ");
    assert_int_equal(1000 + 12 * SECONDS, conn_deadline(s->conn));
    conn_tick(s->conn, 1000 + 12 * SECONDS);
    poll_all(&r, s);
    expect(s, "reset(3:TIMEOUT) ");
    rig_release(&r);
}

static void silent_peer_is_given_up(void **state)
{
    struct rig r;
    struct side *s;

    (void)state;
    rig_open(&r, NULL);
    s = &r.side[DIALER];
    assert_int_equal(1000 + 30 * SECONDS, conn_deadline(s->conn));
    conn_tick(s->conn, 1000 + 30 * SECONDS);
    collect(&r, s);
    assert_int_equal(1000 + 50 * SECONDS, conn_deadline(s->conn));
    conn_tick(s->conn, 1000 + 50 * SECONDS);
    poll_all(&r, s);
    expect(s, "closed(TIMEOUT) ");
    rig_release(&r);
}

static void another_peer_than_dialled_is_refused(void **state)
{
    struct rig r;
    struct conn_config config = {.is_dialer = true};

    (void)state;
    rig_init(&r, NULL, &mem_libc);
    conn_free(r.side[DIALER].conn);
    config.identity = &r.side[DIALER].key;
    config.expected = &r.side[DIALER].id; /* ourselves */
    r.side[DIALER].conn = conn_new(&config, r.now, &r.rng, &mem_libc, NULL);
    run(&r);
    expect(&r.side[DIALER], "closed(WRONG_PEER) ");
    assert_null(conn_peer(r.side[DIALER].conn));
    expect(&r.side[LISTENER], "");
    rig_release(&r);
}

static void altered_bytes_end_the_connection(void **state)
{
    struct rig r;
    struct span out;
    uint8_t copy[256];
    size_t n;

    (void)state;
    rig_open(&r, NULL);
    open_for(&r, DIALER, "/echo/1");
    out = conn_out(r.side[DIALER].conn);
    n = out.len;
    assert_true(n <= sizeof(copy));
    memcpy(copy, out.data, n);
    copy[n - 1] ^= 1;
    deliver(&r, &r.side[LISTENER], SPAN(copy, n));
    expect(&r.side[LISTENER], "closed(CRYPTO) ");
    deliver(&r, &r.side[LISTENER], SPAN(copy, n));
    expect(&r.side[LISTENER], "");
    rig_release(&r);
}

static void streams_are_told_their_end_with_the_connection(void **state)
{
    struct rig r;
    struct side *s;
    int mark;

    (void)state;
    rig_open(&r, NULL);
    s = &r.side[DIALER];
    open_for(&r, DIALER, "/echo/1");
    run(&r);
    open_for(&r, DIALER, "/echo/1");
    open_for(&r, DIALER, "/echo/1");
    conn_stream_set_user(s->conn, 3, &mark);
    assert_ptr_equal(&mark, conn_stream_user(s->conn, 3));
    conn_recv_eof(s->conn, r.now);
    conn_stream_reset(s->conn, 5); /* now it is not to be told */
    poll_all(&r, s);
    expect(s, "ready(1:0) reset(1:CLOSED) reset(3:CLOSED) closed(CLOSED) ");
    rig_release(&r);
}

/* What the owner does to a stream while it hears of it counts at once. */
static void stream_may_be_reset_when_it_comes(void **state)
{
    struct rig r;
    struct side *s;
    struct conn_event ev;
    struct span out;
    uint8_t copy[512];
    size_t n;

    (void)state;
    rig_open(&r, NULL);
    s = &r.side[LISTENER];
    assert_ok(conn_stream_write(r.side[DIALER].conn,
                                open_for(&r, DIALER, "/sink/1"),
                                SPAN_LIT("unheard")));
    out = conn_out(r.side[DIALER].conn);
    n = out.len;
    assert_true(n <= sizeof(copy));
    memcpy(copy, out.data, n);
    conn_sent(r.side[DIALER].conn, n);
    conn_recv(s->conn, copy, n, r.now);
    assert_true(conn_poll(s->conn, &ev));
    assert_int_equal(CONN_EV_STREAM_INBOUND, ev.type);
    conn_stream_reset(s->conn, ev.stream);
    assert_false(conn_poll(s->conn, &ev));
    run(&r);
    expect(&r.side[DIALER], "reset(1:RESET) ");
    rig_release(&r);
}

static void counters_tell_what_passed(void **state)
{
    struct conn_stats stats[SIDES];
    struct rig r;

    (void)state;
    rig_open(&r, NULL);
    r.now += 1 * SECONDS;
    open_for(&r, DIALER, "/echo/1");
    run(&r);
    for (int i = 0; i < SIDES; i++)
        conn_stats(r.side[i].conn, &stats[i]);
    assert_int_equal(stats[DIALER].bytes_out, stats[LISTENER].bytes_in);
    assert_int_equal(stats[DIALER].bytes_in, stats[LISTENER].bytes_out);
    assert_int_equal(1, stats[DIALER].streams_out);
    assert_int_equal(1, stats[LISTENER].streams_in);
    assert_int_equal(1000, stats[DIALER].opened_at);
    assert_int_equal(1000 + 1 * SECONDS, stats[DIALER].heard_at);
    assert_true(stats[DIALER].idle_since == TSTAMP_NEVER);
    r.now += 1 * SECONDS;
    conn_tick(r.side[DIALER].conn, r.now);
    conn_stream_reset(r.side[DIALER].conn, 1);
    conn_stats(r.side[DIALER].conn, &stats[DIALER]);
    assert_int_equal(1000 + 2 * SECONDS, stats[DIALER].idle_since);
    rig_release(&r);
}

/* All that counts the bytes a connection holds of what we hand it. */
struct scale {
    struct mem mem;
    size_t bytes;
};

static void *weigh(void *ctx, void *ptr, size_t size)
{
    struct scale *s = ctx;

    if (ptr != NULL)
        s->bytes -= malloc_usable_size(ptr);
    if (size == 0) {
        free(ptr);
        return NULL;
    }
    ptr = realloc(ptr, size);
    s->bytes += malloc_usable_size(ptr);
    return ptr;
}

static void quiet_connection_is_small(void **state)
{
    static uint8_t bytes[256 * 1024];
    struct scale scale = {.mem = {.resize = weigh, .ctx = &scale}};
    struct rig r;
    size_t heaviest;

    (void)state;
    rig_init(&r, NULL, &scale.mem);
    run(&r);
    for (int i = 0; i < SIDES; i++) {
        uint32_t id = open_for(&r, i, "/sink/1");

        assert_ok(conn_stream_write(r.side[i].conn, id, SPAN_OF(bytes)));
    }
    heaviest = scale.bytes;
    run(&r);
    print_message("two ends, two quiet streams: %zu bytes\n", scale.bytes);
    assert_true(heaviest > 2 * sizeof(bytes));
    assert_true(scale.bytes / SIDES < 10 * 1024);
    rig_release(&r);
    assert_int_equal(0, scale.bytes);
}

/* One side's allocations fail, each in turn: the connection or a stream ends,
 * nothing leaks, and the other side hears of nothing but ends. */
static void every_failed_allocation_is_survived(void **state)
{
    (void)state;
    for (int i = 0; i < SIDES; i++) {
        unsigned nth = 2; /* the first is the connection, which may not fail */

        for (;; nth++) {
            struct test_heap heap;
            struct rig r;

            rig_init(&r, NULL, &mem_libc);
            conn_free(r.side[i].conn);
            test_heap_init(&heap);
            test_heap_fail(&heap, nth);
            r.mem = &heap.mem;
            side_init(&r, i, NULL);
            tell_story(&r);
            conn_recv_eof(r.side[DIALER].conn, r.now);
            run(&r);
            for (int k = 0; k < SIDES; k++)
                assert_non_null(strstr(r.side[k].story, "closed("));
            rig_release(&r);
            assert_int_equal(0, heap.live);
            if (heap.count < nth)
                break;
        }
        print_message("%u allocations\n", nth - 2);
        assert_true(nth > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(stream_carries_a_conversation),
        cmocka_unit_test(input_may_be_cut_anywhere),
        cmocka_unit_test(input_may_be_cut_everywhere),
        cmocka_unit_test(both_sides_may_open_at_once),
        cmocka_unit_test(unknown_protocol_ends_the_stream_only),
        cmocka_unit_test(early_bytes_wait_for_one_of_several),
        cmocka_unit_test(reset_is_heard_in_any_state),
        cmocka_unit_test(reader_that_holds_back_bounds_the_writer),
        cmocka_unit_test(stuck_socket_bounds_the_writers_together),
        cmocka_unit_test(bulk_bytes_arrive_whole_and_in_order),
        cmocka_unit_test(large_outputs_are_offered_in_large_pieces),
        cmocka_unit_test(inbound_streams_are_bounded),
        cmocka_unit_test(outbound_streams_are_bounded),
        cmocka_unit_test(close_flushes_what_was_written),
        cmocka_unit_test(close_does_not_wait_for_ever),
        cmocka_unit_test(handshake_has_a_deadline),
        cmocka_unit_test(negotiating_a_stream_has_a_deadline),
        cmocka_unit_test(silent_peer_is_given_up),
        cmocka_unit_test(another_peer_than_dialled_is_refused),
        cmocka_unit_test(altered_bytes_end_the_connection),
        cmocka_unit_test(streams_are_told_their_end_with_the_connection),
        cmocka_unit_test(stream_may_be_reset_when_it_comes),
        cmocka_unit_test(counters_tell_what_passed),
        cmocka_unit_test(quiet_connection_is_small),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
