/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses a scene, the second the chunk size, the rest is the
 * peer: a stranger who says just that to a listener or a dialer, or a peer with
 * whom the handshake is done, who seals pieces of it (each behind a length of
 * one byte), with one bit of the ciphertext turned over if the piece says so.
 * Two sessions with the same keys hear the same, one whole and one in chunks,
 * and must tell the same. */
#include <stdlib.h>

#include "noise/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 1 << 24, TURN_OVER = 255 };

struct side {
    struct ed25519_keypair identity;
    struct rng_seeded seeded;
    struct buf out, story;
    struct noise *noise;
};

static void side_init(struct side *s, bool is_dialer)
{
    struct noise_config config = {
        .is_dialer = is_dialer, .within = 1, .identity = &s->identity};
    struct rng rng = rng_seeded(&s->seeded, is_dialer);

    ed25519_generate(&s->identity, &rng);
    buf_init(&s->out, OUT_MAX, &mem_libc);
    buf_init(&s->story, OUT_MAX, &mem_libc);
    config.out = &s->out;
    if (noise_new(&s->noise, &config, 0, &rng, &mem_libc) != OK)
        abort();
}

static void side_release(struct side *s)
{
    noise_free(s->noise);
    buf_release(&s->out);
    buf_release(&s->story);
}

/* What is told: plaintext, and R for ready. */
static enum err hear(struct side *s, struct span bytes)
{
    uint8_t *block = malloc(bytes.len + 1);
    struct noise_input in = {block, bytes.len};
    struct noise_event ev;
    enum err err = OK;

    if (block == NULL)
        abort();
    if (bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    do {
        err = noise_recv(s->noise, &in, &ev);
        if (err == OK && ev.type == NOISE_EV_READY)
            err = buf_put_u8(&s->story, 'R');
        else if (err == OK && ev.type == NOISE_EV_DATA)
            err = buf_put(&s->story, ev.data);
    } while (err == OK && ev.type != NOISE_EV_NONE);
    free(block);
    return err;
}

/* All but the dialer's last message, which stays in its |out|. */
static void shake(struct side *a, struct side *b)
{
    if (hear(b, buf_span(&a->out)) != OK)
        abort();
    buf_clear(&a->out);
    if (hear(a, buf_span(&b->out)) != OK)
        abort();
    buf_clear(&b->out);
}

static void seal_pieces(struct side *dialer, struct span script)
{
    uint8_t len;

    while (span_u8(&script, &len)) {
        size_t start = buf_len(&dialer->out);

        if (noise_seal(dialer->noise, span_take(&script, len)) != OK)
            abort();
        if (len == TURN_OVER && buf_len(&dialer->out) > start)
            dialer->out.data[dialer->out.head + start + 7] ^= 1;
    }
}

static void check_same(struct side pair[2], struct span words, size_t chunk)
{
    enum err err_a = hear(&pair[0], words), err_b = OK;

    while (words.len > 0 && err_b == OK)
        err_b = hear(&pair[1], span_take(&words, chunk));
    if (err_a != err_b ||
        !span_eq(buf_span(&pair[0].story), buf_span(&pair[1].story)) ||
        !span_eq(buf_span(&pair[0].out), buf_span(&pair[1].out)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { STRANGER_DIALS, STRANGER_LISTENS, FRIEND };
    struct side pair[2], friend[2];
    struct span words;
    int scene;

    if (size < 2)
        return 0;
    scene = data[0] % 3;
    words = SPAN(data + 2, size - 2);
    for (int i = 0; i < 2; i++)
        side_init(&pair[i], scene == STRANGER_LISTENS);
    if (scene == FRIEND) {
        for (int i = 0; i < 2; i++) {
            side_init(&friend[i], true);
            shake(&friend[i], &pair[i]);
        }
        seal_pieces(&friend[0], words);
        words = buf_span(&friend[0].out);
    }
    check_same(pair, words, 1u + data[1]);
    for (int i = 0; i < 2; i++) {
        side_release(&pair[i]);
        if (scene == FRIEND)
            side_release(&friend[i]);
    }
    return 0;
}
