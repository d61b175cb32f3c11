/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the side, the second the chunk size; the rest is the
 * peer.  Two sessions with a few streams open hear the same, one whole and one
 * in chunks, and must tell the same and answer the same. */
#include <stdlib.h>

#include "base/buf.h"
#include "yamux/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 22 };

struct side {
    struct yamux *y;
    uint64_t story; /* a hash of it */
    struct buf out;
};

static void note(struct side *s, uint64_t what)
{
    s->story = (s->story ^ what) * 1099511628211u;
}

static void collect(struct side *s)
{
    uint8_t bytes[16 * 1024];
    size_t n;

    while ((n = yamux_out(s->y, bytes, sizeof(bytes))) > 0)
        if (buf_put(&s->out, SPAN(bytes, n)) != OK)
            abort();
}

static void side_init(struct side *s, bool is_dialer)
{
    static const uint8_t zeros[20 * 1024];
    const struct yamux_config config = {
        .is_dialer = is_dialer,
        .ping_every = SECONDS,
        .pong_within = SECONDS,
        .streams_in_max = 8,
        .streams_out_max = 8,
        .window_max = 1 << 20,
        .window_sum_max = 2 << 20,
        .stream_unsent_max = 512 * 1024,
        .unsent_max = 1 << 20,
    };
    uint32_t id[3];

    s->story = 1;
    buf_init(&s->out, OUT_MAX, &mem_libc);
    s->y = yamux_new(&config, 0, &mem_libc);
    for (int i = 0; i < 3; i++)
        if (yamux_open(s->y, NULL, 0, &id[i]) != OK)
            abort();
    if (yamux_write(s->y, id[0], SPAN_OF(zeros)) != OK ||
        yamux_write(s->y, id[1], SPAN(zeros, 100)) != OK)
        abort();
    collect(s);
    yamux_finish(s->y, id[1]);
}

static void side_release(struct side *s)
{
    yamux_free(s->y);
    buf_release(&s->out);
}

static void act(struct side *s, const struct yamux_event *ev)
{
    if (ev->type == YAMUX_EV_DATA) {
        for (size_t i = 0; i < ev->data.len; i++)
            note(s, (uint64_t)ev->stream << 8 | ev->data.data[i]);
        yamux_consumed(s->y, ev->stream, ev->data.len, 0);
        return;
    }
    note(s, (uint64_t)ev->type << 40 | ev->stream);
    note(s, ev->code);
    if (ev->type == YAMUX_EV_FIN)
        yamux_finish(s->y, ev->stream);
    if (ev->type == YAMUX_EV_OPENED && ev->stream % 3 == 0)
        yamux_reset(s->y, ev->stream, 1);
}

static enum err hear(struct side *s, struct span in)
{
    struct yamux_event ev;

    do {
        enum err err = yamux_recv(s->y, &in, 0, &ev);

        if (err != OK)
            return err;
        if (ev.type != YAMUX_EV_NONE)
            act(s, &ev);
        while (yamux_poll(s->y, &ev))
            act(s, &ev);
    } while (ev.type != YAMUX_EV_NONE || in.len > 0);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct side whole = {0}, cut = {0};
    enum err err_whole, err_cut = OK;
    struct span in;
    size_t chunk;

    if (size < 2)
        return 0;
    side_init(&whole, data[0] & 1);
    side_init(&cut, data[0] & 1);
    chunk = 1u + data[1] % 64u;
    in = SPAN(data + 2, size - 2);
    err_whole = hear(&whole, in);
    while (in.len > 0 && err_cut == OK)
        err_cut = hear(&cut, span_take(&in, chunk));
    collect(&whole);
    collect(&cut);
    if (err_whole != err_cut || whole.story != cut.story ||
        !span_eq(buf_span(&whole.out), buf_span(&cut.out)))
        abort();
    side_release(&whole);
    side_release(&cut);
    return 0;
}
