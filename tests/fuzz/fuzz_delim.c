/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the chunk size; the rest is the peer.  Two readers
 * hear the same bytes, one whole and one in chunks, and must tell the same. */
#include <stdlib.h>

#include "wire/delim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 300, STORY_MAX = 1 << 24 };

static enum err drink(struct delim *d, struct span in, struct buf *story)
{
    struct span msg;
    bool whole;

    do {
        TRY(delim_recv(d, &in, &msg, &whole));
        if (whole)
            TRY(delim_put(story, msg));
    } while (whole);
    return in.len == 0 ? OK : ERR_INTERNAL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum err err_a, err_b = OK;
    struct buf a_story, b_story;
    struct delim a, b;
    size_t chunk;

    if (size < 1)
        return 0;
    chunk = 1u + data[0] % 64u;
    data++;
    size--;
    buf_init(&a_story, STORY_MAX, &mem_libc);
    buf_init(&b_story, STORY_MAX, &mem_libc);
    delim_init(&a, LIMIT, &mem_libc);
    delim_init(&b, LIMIT, &mem_libc);

    err_a = drink(&a, SPAN(data, size), &a_story);
    for (size_t at = 0; at < size && err_b == OK; at += chunk)
        err_b =
            drink(&b, SPAN(data + at, size - at < chunk ? size - at : chunk),
                  &b_story);
    if (err_a != err_b || !span_eq(buf_span(&a_story), buf_span(&b_story)))
        abort();
    /* What was told is what was said. */
    if (!span_starts_with(SPAN(data, size), buf_span(&a_story)))
        abort();
    if (err_a == OK && delim_is_between(&a) != (buf_len(&a_story) == size))
        abort();
    delim_release(&a);
    delim_release(&b);
    buf_release(&a_story);
    buf_release(&b_story);
    return 0;
}
