/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses a scene, the second the chunk size, the rest is the
 * peer: a stranger who says just that to a listener or a dialer, or a dialer
 * whose handshake is done and who seals pieces of it (each behind a length of
 * one byte) as yamux.  Two connections with the same keys hear the same, one
 * whole and one in chunks, and must tell the same and answer the same. */
#include <stdlib.h>

#include "conn/conn.h"
#include "crypto/ed25519.h"
#include "noise/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 22 };

static const char *const protocols[] = {"/a", "/b/1.0.0"};
static const struct span muxers[] = {{(const uint8_t *)"/yamux/1.0.0", 12}};

struct side {
    struct ed25519_keypair key;
    struct rng_seeded seeded;
    struct conn *conn;
    uint64_t story; /* a hash of it */
    struct buf out;
};

static void note(struct side *s, uint64_t what)
{
    s->story = (s->story ^ what) * 1099511628211u;
}

static void act(struct side *s, const struct conn_event *ev)
{
    uint32_t id;

    if (ev->type == CONN_EV_STREAM_DATA) {
        for (size_t i = 0; i < ev->data.len; i++)
            note(s, (uint64_t)ev->stream << 8 | ev->data.data[i]);
        conn_stream_consumed(s->conn, ev->stream, ev->data.len, 0);
        return;
    }
    note(s, (uint64_t)ev->type << 40 | ev->stream);
    note(s, (uint64_t)ev->protocol << 32 | (uint32_t)ev->err);
    if (ev->type == CONN_EV_UPGRADED)
        note(s, (uint64_t)conn_stream_open(s->conn, protocols, 2, 0, &id));
    if (ev->type == CONN_EV_STREAM_INBOUND)
        note(s, (uint64_t)conn_stream_write(s->conn, ev->stream,
                                            SPAN_LIT("hello")));
    if (ev->type == CONN_EV_STREAM_FIN)
        conn_stream_finish(s->conn, ev->stream);
    if (ev->type == CONN_EV_STREAM_INBOUND && ev->stream % 3 == 0)
        conn_stream_reset(s->conn, ev->stream);
}

static void hear(struct side *s, struct span bytes)
{
    uint8_t *block = malloc(bytes.len + 1);
    struct conn_event ev;

    if (block == NULL)
        abort();
    if (bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    conn_recv(s->conn, block, bytes.len, 0);
    while (conn_poll(s->conn, &ev))
        act(s, &ev);
    free(block);
}

static void collect(struct side *s)
{
    struct conn_event ev;
    struct span out;

    while ((out = conn_out(s->conn)).len > 0) {
        if (buf_put(&s->out, out) != OK)
            abort();
        conn_sent(s->conn, out.len);
    }
    while (conn_poll(s->conn, &ev))
        act(s, &ev);
}

static void side_init(struct side *s, bool is_dialer)
{
    struct rng rng = rng_seeded(&s->seeded, is_dialer);
    const struct conn_config config = {
        .is_dialer = is_dialer,
        .identity = &s->key,
        .protocols = protocols,
        .protocols_count = 2,
    };

    ed25519_generate(&s->key, &rng);
    s->story = 1;
    buf_init(&s->out, OUT_MAX, &mem_libc);
    s->conn = conn_new(&config, 0, &rng, &mem_libc, NULL);
}

static void side_release(struct side *s)
{
    conn_free(s->conn);
    buf_release(&s->out);
}

/* The friend: what it seals lands in |out|. */
struct friend
{
    struct ed25519_keypair key;
    struct rng_seeded seeded;
    struct noise *noise;
    struct buf out;
};

static void befriend(struct friend *f, struct side *s)
{
    struct rng rng = rng_seeded(&f->seeded, 7);
    struct noise_config config = {
        .is_dialer = true, .within = 1, .identity = &f->key};
    struct noise_event ev;
    struct noise_input in;

    config.muxers = muxers;
    config.muxers_count = 1;
    config.out = &f->out;
    ed25519_generate(&f->key, &rng);
    buf_init(&f->out, OUT_MAX, &mem_libc);
    if (noise_new(&f->noise, &config, 0, &rng, &mem_libc) != OK)
        abort();
    hear(s, SPAN_LIT("\x13/multistream/1.0.0\n\x07/noise\n"));
    hear(s, buf_span(&f->out));
    buf_clear(&f->out);
    collect(s);
    buf_drain(&s->out, 28); /* the header and the echo */
    in = (struct noise_input){s->out.data + s->out.head, buf_len(&s->out)};
    if (noise_recv(f->noise, &in, &ev) != OK || ev.type != NOISE_EV_READY)
        abort();
    hear(s, buf_span(&f->out));
    buf_clear(&f->out);
    collect(s);
    buf_clear(&s->out);
}

static void friend_release(struct friend *f)
{
    noise_free(f->noise);
    buf_release(&f->out);
}

static void seal_pieces(struct friend *f, struct span script)
{
    uint8_t len;

    while (span_u8(&script, &len))
        if (noise_seal(f->noise, span_take(&script, len)) != OK)
            abort();
}

static void check_same(struct side *whole, struct side *cut, struct span in,
                       size_t chunk)
{
    hear(whole, in);
    while (in.len > 0)
        hear(cut, span_take(&in, chunk));
    collect(whole);
    collect(cut);
    if (whole->story != cut->story ||
        !span_eq(buf_span(&whole->out), buf_span(&cut->out)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { STRANGER_DIALS, STRANGER_LISTENS, FRIEND };
    struct side side[2];
    struct friend friends[2];
    struct span in;
    int scene;

    if (size < 2)
        return 0;
    scene = data[0] % 3;
    in = SPAN(data + 2, size - 2);
    for (int i = 0; i < 2; i++) {
        side_init(&side[i], scene == STRANGER_LISTENS);
        if (scene == FRIEND)
            befriend(&friends[i], &side[i]);
    }
    if (scene == FRIEND) {
        seal_pieces(&friends[0], in);
        in = buf_span(&friends[0].out);
    }
    check_same(&side[0], &side[1], in, 1u + data[1]);
    for (int i = 0; i < 2; i++) {
        side_release(&side[i]);
        if (scene == FRIEND)
            friend_release(&friends[i]);
    }
    return 0;
}
