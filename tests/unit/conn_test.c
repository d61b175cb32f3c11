/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/conn.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_learn_who_the_other_is),
        cmocka_unit_test(stream_carries_a_conversation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
