/* SPDX-License-Identifier: Apache-2.0 */
#include "noise/noise.h"

#include "crypto/crypto.h"
#include "noise/handshake.h"
#include "noise/payload.h"

enum {
    HEADER_LEN = 2,
    FIRST_LEN = X25519_LEN,
    HANDSHAKE_FRAME_MAX = 8192, /* an RSA-8192 key and signature take 2,200 */
    FRAME_OVERHEAD = HEADER_LEN + AEAD_TAG_LEN,
};

_Static_assert(NOISE_SEND_MAX + AEAD_TAG_LEN <= NOISE_FRAME_MAX, "we may send");

/* What the peer's next frame is. */
enum state {
    WANT_FIRST,
    WANT_SECOND,
    WANT_THIRD,
    READY,
};

struct noise {
    const struct mem *mem;
    struct noise_config config;
    enum state state;
    enum err broken; /* the error that ended it */
    tstamp deadline;

    struct handshake hs; /* until READY */
    struct payload peer; /* from then on */
    struct aead seal, open;
    uint64_t sealed_count, opened_count;

    /* The frame in hand, when the input cuts it. */
    uint8_t header[HEADER_LEN];
    size_t header_have;
    uint8_t *body;
    size_t body_len, body_have;
};

/* Handshake messages go behind their length, which is known when they are
 * made: the message is built in |msg| first. */
static enum err send_message(struct noise *n, struct buf *msg)
{
    struct span body = buf_span(msg);
    uint8_t *at;

    assert(body.data != NULL && body.len <= NOISE_FRAME_MAX);
    TRY(buf_reserve(n->config.out, HEADER_LEN + body.len, &at));
    at[0] = (uint8_t)(body.len >> 8);
    at[1] = (uint8_t)body.len;
    memcpy(at + HEADER_LEN, body.data, body.len);
    buf_grow(n->config.out, HEADER_LEN + body.len);
    return OK;
}

typedef enum err create_fn(struct handshake *, struct span, struct buf *);

static enum err create(struct noise *n, create_fn *message, bool with_payload)
{
    struct buf payload, msg;
    enum err err = OK;

    buf_init(&payload, HANDSHAKE_FRAME_MAX, n->mem);
    buf_init(&msg, HANDSHAKE_FRAME_MAX, n->mem);
    if (with_payload)
        err = create_payload(&n->config, n->hs.s.pub, &payload);
    if (err == OK)
        err = message(&n->hs, buf_span(&payload), &msg);
    if (err == OK)
        err = send_message(n, &msg);
    buf_release(&msg);
    buf_release(&payload);
    return err;
}

/* Transport keys in, handshake secrets out. */
static enum err become_ready(struct noise *n)
{
    uint8_t there[AEAD_KEY_LEN], back[AEAD_KEY_LEN];
    bool is_dialer = n->config.is_dialer;
    enum err err;

    handshake_split(&n->hs, there, back);
    handshake_release(&n->hs);
    err = aead_init(&n->seal, is_dialer ? there : back, AEAD_SEAL);
    if (err == OK)
        err = aead_init(&n->open, is_dialer ? back : there, AEAD_OPEN);
    crypto_wipe(there, sizeof(there));
    crypto_wipe(back, sizeof(back));
    n->state = READY;
    n->deadline = TSTAMP_NEVER;
    return err;
}

static enum err on_first(struct noise *n, uint8_t *msg, size_t len)
{
    struct span payload;

    /* Early data is not for libp2p: the first payload is empty. */
    if (len != FIRST_LEN)
        return ERR_PROTO;
    TRY(consume_first(&n->hs, msg, len, &payload));
    TRY(create(n, create_second, true));
    n->state = WANT_THIRD;
    return OK;
}

static enum err on_second(struct noise *n, uint8_t *msg, size_t len)
{
    struct span payload;

    TRY(consume_second(&n->hs, msg, len, &payload));
    TRY(consume_payload(&n->config, n->hs.rs, payload, &n->peer, n->mem));
    TRY(create(n, create_third, true));
    return become_ready(n);
}

static enum err on_third(struct noise *n, uint8_t *msg, size_t len)
{
    struct span payload;

    TRY(consume_third(&n->hs, msg, len, &payload));
    TRY(consume_payload(&n->config, n->hs.rs, payload, &n->peer, n->mem));
    return become_ready(n);
}

static enum err on_handshake(struct noise *n, uint8_t *msg, size_t len,
                             struct noise_event *ev)
{
    switch (n->state) {
    case WANT_FIRST:
        TRY(on_first(n, msg, len));
        break;
    case WANT_SECOND:
        TRY(on_second(n, msg, len));
        break;
    case WANT_THIRD:
        TRY(on_third(n, msg, len));
        break;
    case READY:
        assert(false); /* the handshake is over */
        return ERR_INTERNAL;
    }
    if (n->state == READY)
        *ev = (struct noise_event){.type = NOISE_EV_READY,
                                   .peer = n->peer.peer,
                                   .key = &n->peer.key,
                                   .muxer = n->peer.muxer};
    return OK;
}

static enum err on_transport(struct noise *n, uint8_t *frame, size_t len,
                             struct noise_event *ev)
{
    TRY(aead_open(&n->open, n->opened_count, SPAN_NONE, SPAN(frame, len),
                  frame));
    n->opened_count++;
    if (len > AEAD_TAG_LEN)
        *ev = (struct noise_event){.type = NOISE_EV_DATA,
                                   .data = SPAN(frame, len - AEAD_TAG_LEN)};
    return OK;
}

static void input_skip(struct noise_input *in, size_t n)
{
    in->data += n;
    in->len -= n;
}

/* Move bytes from |in| until |*have| is |want|; whether it is. */
static bool gather(struct noise_input *in, uint8_t *to, size_t *have,
                   size_t want)
{
    size_t n = want - *have;

    if (n > in->len)
        n = in->len;
    if (n > 0) {
        memcpy(to + *have, in->data, n);
        *have += n;
        input_skip(in, n);
    }
    return *have == want;
}

/* The next whole frame: where it lies in |in|, or in our memory if it was cut.
 * NULL: it is not whole yet. */
static enum err take_frame(struct noise *n, struct noise_input *in,
                           uint8_t **frame, size_t *len)
{
    *frame = NULL;
    if (n->header_have < HEADER_LEN) {
        if (in->len == 0 || !gather(in, n->header, &n->header_have, HEADER_LEN))
            return OK;
        n->body_len = (size_t)n->header[0] << 8 | n->header[1];
        if (n->state != READY && n->body_len > HANDSHAKE_FRAME_MAX)
            return ERR_FRAME_SIZE;
    }
    *len = n->body_len;
    if (n->body == NULL && in->len >= n->body_len) {
        *frame = in->data;
        input_skip(in, n->body_len);
    } else if (in->len > 0) {
        if (n->body == NULL)
            n->body = mem_try(n->mem, NULL, n->body_len);
        if (n->body == NULL)
            return ERR_NOMEM;
        if (gather(in, n->body, &n->body_have, n->body_len))
            *frame = n->body;
    }
    if (*frame != NULL)
        n->header_have = 0;
    return OK;
}

/* The frame told last is the caller's until the next call. */
static void drop_told_frame(struct noise *n)
{
    if (n->body == NULL || n->header_have > 0)
        return;
    mem_free(n->mem, n->body);
    n->body = NULL;
    n->body_have = 0;
}

static enum err recv_event(struct noise *n, struct noise_input *in,
                           struct noise_event *ev)
{
    uint8_t *frame;
    size_t len;

    while (ev->type == NOISE_EV_NONE) {
        drop_told_frame(n);
        TRY(take_frame(n, in, &frame, &len));
        if (frame == NULL)
            return OK;
        if (n->state == READY)
            TRY(on_transport(n, frame, len, ev));
        else
            TRY(on_handshake(n, frame, len, ev));
    }
    return OK;
}

enum err noise_recv(struct noise *n, struct noise_input *in,
                    struct noise_event *ev)
{
    *ev = (struct noise_event){.type = NOISE_EV_NONE};
    if (n->broken == OK)
        n->broken = recv_event(n, in, ev);
    return n->broken;
}

bool noise_is_ready(const struct noise *n)
{
    return n->state == READY && n->broken == OK;
}

size_t noise_sealed_len(size_t n)
{
    return n + (n + NOISE_SEND_MAX - 1) / NOISE_SEND_MAX * FRAME_OVERHEAD;
}

enum err noise_seal(struct noise *n, struct span plain)
{
    size_t total = noise_sealed_len(plain.len);
    uint8_t *at;

    assert(noise_is_ready(n));
    if (total == 0)
        return OK;
    TRY(buf_reserve(n->config.out, total, &at));
    while (plain.len > 0) {
        struct span piece = span_take(&plain, NOISE_SEND_MAX);
        size_t len = piece.len + AEAD_TAG_LEN;

        at[0] = (uint8_t)(len >> 8);
        at[1] = (uint8_t)len;
        TRY(aead_seal(&n->seal, n->sealed_count++, SPAN_NONE, piece,
                      at + HEADER_LEN));
        at += HEADER_LEN + len;
    }
    buf_grow(n->config.out, total);
    return OK;
}

tstamp noise_deadline(const struct noise *n)
{
    return n->deadline;
}

enum err noise_tick(struct noise *n, tstamp now)
{
    if (n->broken == OK && now >= n->deadline)
        n->broken = ERR_TIMEOUT;
    return n->broken;
}

enum err noise_new(struct noise **out, const struct noise_config *config,
                   tstamp now, const struct rng *rng, const struct mem *mem)
{
    struct noise *n = mem_try_zero(mem, sizeof(*n));
    struct x25519_keypair s, e;
    enum err err = OK;

    assert(config->muxers_count <= NOISE_MUXERS_MAX);
    assert(config->within > 0);
    if (n == NULL)
        return ERR_NOMEM;
    n->mem = mem;
    n->config = *config;
    n->state = config->is_dialer ? WANT_SECOND : WANT_FIRST;
    n->deadline = tstamp_add(now, config->within);
    if (config->static_key != NULL)
        s = config->static_key->key;
    else
        x25519_generate(&s, rng);
    x25519_generate(&e, rng);
    handshake_init(&n->hs, SPAN_NONE, &s, &e);
    crypto_wipe(&s, sizeof(s));
    crypto_wipe(&e, sizeof(e));
    if (config->is_dialer)
        err = create(n, create_first, false);
    if (err != OK) {
        noise_free(n);
        return err;
    }
    *out = n;
    return OK;
}

void noise_free(struct noise *n)
{
    if (n == NULL)
        return;
    handshake_release(&n->hs);
    aead_release(&n->seal);
    aead_release(&n->open);
    mem_free(n->mem, n->body);
    mem_free(n->mem, n);
}
