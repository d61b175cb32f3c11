/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a collector answers.  The first byte says where they are
 * cut: protobuf wants that a message in two pieces, one after the other, says
 * what the pieces say, the second one having the last word.  And how many spans
 * a well-formed answer refuses is what comes out, whatever is beside it. */
#include <stdlib.h>

#include "telemetry/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t refused(struct span body)
{
    return otlp_refused(body, &mem_libc);
}

static void put(struct buf *b, struct span s)
{
    if (buf_put(b, s) != OK)
        abort();
}

static void put_uvarint(struct buf *b, uint64_t n)
{
    for (; n >= 0x80; n >>= 7)
        put(b, SPAN_OF(((uint8_t[]){(uint8_t)(n | 0x80)})));
    put(b, SPAN_OF(((uint8_t[]){(uint8_t)n})));
}

/* partial_success {rejected_spans, error_message}, as the proto has it. */
static void put_answer(struct buf *b, uint64_t spans, struct span message)
{
    struct buf inner;

    buf_init(&inner, 1 << 20, &mem_libc);
    put(&inner, SPAN_LIT("\x08"));
    put_uvarint(&inner, spans);
    put(&inner, SPAN_LIT("\x12"));
    put_uvarint(&inner, message.len);
    put(&inner, message);
    put(b, SPAN_LIT("\x0a"));
    put_uvarint(b, buf_len(&inner));
    put(b, buf_span(&inner));
    buf_release(&inner);
}

static void cut(struct span body, size_t at)
{
    uint64_t first = refused(SPAN(body.data, at));
    uint64_t second = refused(SPAN(body.data + at, body.len - at));

    if (second > 0 && first > 0 && refused(body) != second)
        abort();
}

static void well_formed(struct span message, uint64_t spans)
{
    uint64_t wanted = spans > INT64_MAX ? 0 : spans; /* less than none */
    struct buf b;

    buf_init(&b, 2 << 20, &mem_libc);
    put_answer(&b, spans, message);
    if (refused(buf_span(&b)) != wanted)
        abort();
    put(&b, SPAN_LIT("\x7a\x01x")); /* a field of a later version */
    if (refused(buf_span(&b)) != wanted)
        abort();
    if (wanted > 0) /* the last one counts */
        put_answer(&b, wanted / 2 + 1, SPAN_NONE);
    if (wanted > 0 && refused(buf_span(&b)) != wanted / 2 + 1)
        abort();
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body;
    uint64_t spans = 0;

    if (size < 1 || size > OTLP_ANSWER_MAX)
        return 0;
    body = SPAN(data + 1, size - 1);
    (void)refused(body);
    cut(body, data[0] * body.len / 255);
    memcpy(&spans, body.data, body.len < 8 ? body.len : 8);
    /* What is longer than the arena of an answer is no answer. */
    if (body.len < OTLP_ANSWER_MAX / 2)
        well_formed(body, spans);
    return 0;
}
