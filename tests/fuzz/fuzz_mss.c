/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the side, the second the chunk size; the rest is the
 * peer.  Two negotiations hear the same, one whole and one in chunks, and must
 * agree in what they heard, what they say and where the protocol begins. */
#include <stdlib.h>

#include "mss/mss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"/a", "/noise", "/yamux/1.0.0"};

struct outcome {
    enum err err;
    struct mss_event ev;
    size_t taken;
};

static void start(struct mss *m, bool is_dialer)
{
    enum err err = is_dialer ? mss_dial(m, names, 3, 1, &mem_libc)
                             : mss_listen(m, names, 3, 1, &mem_libc);

    if (err != OK)
        abort();
}

static void hear(struct mss *m, struct span in, struct outcome *o)
{
    size_t had = in.len;

    o->err = mss_recv(m, &in, &o->ev);
    o->taken += had - in.len;
    if (o->err == OK && o->ev.type == MSS_EV_NONE && in.len > 0)
        abort();
    if (o->ev.type == MSS_EV_AGREED && mss_tick(m, 2) != OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0}, cut = {0};
    struct mss a, b;
    struct span in;
    size_t chunk;

    if (size < 2)
        return 0;
    start(&a, data[0] & 1);
    start(&b, data[0] & 1);
    chunk = 1u + data[1] % 64u;
    in = SPAN(data + 2, size - 2);
    hear(&a, in, &whole);
    while (in.len > 0 && cut.err == OK && cut.ev.type == MSS_EV_NONE)
        hear(&b, span_take(&in, chunk), &cut);
    if (whole.err != cut.err || whole.ev.type != cut.ev.type ||
        whole.ev.protocol != cut.ev.protocol ||
        (whole.err == OK && whole.taken != cut.taken) ||
        !span_eq(mss_out(&a), mss_out(&b)))
        abort();
    mss_release(&a);
    mss_release(&b);
    return 0;
}
