/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the chunk size; the rest is the peer: once as who asks
 * and once as who answers.  Bytes heard whole and in chunks must be understood
 * the same, and only an exact echo is an answer. */
#include "ping/ping.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWERS_MAX = 64 };

/* What a side did with what it heard. */
struct heard {
    enum err err;
    size_t answers, eaten;
    uint8_t last[PING_LEN];
};

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static struct heard answer(struct span in, size_t chunk)
{
    struct heard h = {.err = OK};
    struct ping_echo e;

    ping_echo_init(&e);
    while (in.len > 0) {
        struct span part = span_take(&in, chunk);

        while (part.len > 0) {
            size_t before = part.len;

            if (ping_echo_recv(&e, &part)) {
                memcpy(h.last, e.bytes, PING_LEN);
                h.answers++;
            }
            demand(part.len < before);
            h.eaten += before - part.len;
        }
    }
    return h;
}

/* Questions are all zero bytes, so that the fuzzer can guess the answer. */
static void zeros(void *ctx, void *out, size_t n)
{
    (void)ctx;
    memset(out, 0, n);
}

static struct heard ask(struct span in, size_t chunk)
{
    const struct rng rng = {.fill = zeros};
    struct heard h = {.err = OK};
    struct ping p;

    ping_init(&p);
    ping_send(&p, &rng, 0);
    while (in.len > 0 && h.err == OK) {
        struct span part = span_take(&in, chunk);

        while (part.len > 0 && h.err == OK && h.answers < ANSWERS_MAX) {
            size_t before = part.len;
            bool is_done = false;
            duration rtt;

            h.err = ping_recv(&p, &part, 7, &is_done, &rtt);
            h.eaten += before - part.len;
            demand(h.err != OK || is_done || part.len == 0);
            if (h.err == OK && is_done) {
                demand(rtt == 7 && !ping_is_waiting(&p));
                h.answers++;
                ping_send(&p, &rng, 0);
            }
        }
        if (h.answers == ANSWERS_MAX)
            break;
    }
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct heard whole, cut;
    struct span in;
    size_t chunk;

    if (size < 1)
        return 0;
    chunk = 1u + data[0] % 64u;
    in = SPAN(data + 1, size - 1);

    whole = answer(in, in.len);
    cut = answer(in, chunk);
    demand(whole.answers == in.len / PING_LEN && whole.eaten == in.len);
    demand(cut.answers == whole.answers && cut.eaten == whole.eaten);
    demand(memcmp(cut.last, whole.last, PING_LEN) == 0);

    whole = ask(in, in.len);
    cut = ask(in, chunk);
    demand(whole.err == cut.err && whole.answers == cut.answers);
    return 0;
}
