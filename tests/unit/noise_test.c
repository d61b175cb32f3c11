/* SPDX-License-Identifier: Apache-2.0 */
#include "noise/noise.h"

#include <stdlib.h>

#include "crypto/crypto.h"
#include "noise/handshake.h"
#include "noise/payload.h"
#include "support/test.h"
#include "vectors/noise_js.h"

#define HEX(name, max, text)   \
    uint8_t name##_bytes[max]; \
    struct span name = hex_bytes(text, name##_bytes, max)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { OUT_MAX = 1 << 20, WITHIN_S = 10 };

/* Randomness that is a list of bytes, each for 32 of them. */
static void fill_from_list(void *ctx, void *out, size_t n)
{
    const uint8_t **next = ctx;

    memset(out, *(*next)++, n);
}

struct side {
    struct ed25519_keypair identity;
    struct peer_id id;
    struct span muxers[NOISE_MUXERS_MAX];
    struct buf out, heard; /* ciphertext for the peer; plaintext from it */
    struct noise *noise;
    bool is_ready;
    struct noise_event ready;
};

/* |seeds|: of the identity, the Noise key, the ephemeral key. */
static enum err side_init(struct side *s, bool is_dialer, const uint8_t *seeds,
                          const char *muxers, const struct side *expected,
                          const struct mem *mem)
{
    const uint8_t *next = seeds + 1;
    struct rng rng = {fill_from_list, &next};
    struct noise_config config = {.is_dialer = is_dialer,
                                  .within = WITHIN_S * SECONDS};
    struct span names = span_str(muxers);
    uint8_t seed[32];

    *s = (struct side){0};
    memset(seed, seeds[0], sizeof(seed));
    ed25519_from_seed(&s->identity, seed);
    peer_id_from_ed25519(&s->id, s->identity.pub);
    while (names.len > 0) {
        const uint8_t *end = memchr(names.data, ' ', names.len);
        size_t n = end != NULL ? (size_t)(end - names.data) : names.len;

        s->muxers[config.muxers_count++] = span_take(&names, n);
        (void)span_take(&names, 1);
    }
    buf_init(&s->out, OUT_MAX, mem);
    buf_init(&s->heard, OUT_MAX, &mem_libc);
    config.identity = &s->identity;
    config.muxers = s->muxers;
    config.out = &s->out;
    if (expected != NULL)
        config.expected = expected->id;
    return noise_new(&s->noise, &config, 0, &rng, mem);
}

static void side_release(struct side *s)
{
    noise_free(s->noise);
    buf_release(&s->out);
    buf_release(&s->heard);
}

static const uint8_t dialer_seeds[] = {1, 2, 3}, listener_seeds[] = {4, 5, 6};

static void pair_init(struct side *a, struct side *b, const char *muxers,
                      const struct mem *mem)
{
    assert_ok(side_init(b, false, listener_seeds, muxers, NULL, mem));
    assert_ok(side_init(a, true, dialer_seeds, muxers, b, mem));
}

static void pair_release(struct side *a, struct side *b)
{
    side_release(a);
    side_release(b);
}

/* |bytes| come from a fresh block, so the sanitizer sees every step beside it.
 */
static enum err hear(struct side *s, struct span bytes)
{
    uint8_t *block = malloc(bytes.len + 1);
    struct noise_input in = {block, bytes.len};
    struct noise_event ev;
    enum err err;

    if (bytes.len > 0)
        memcpy(block, bytes.data, bytes.len);
    while ((err = noise_recv(s->noise, &in, &ev)) == OK &&
           ev.type != NOISE_EV_NONE) {
        if (ev.type == NOISE_EV_READY) {
            assert_false(s->is_ready);
            s->is_ready = true;
            s->ready = ev;
        } else {
            assert_true(s->is_ready && ev.data.len > 0);
            assert_ok(buf_put(&s->heard, ev.data));
        }
    }
    assert_true(err != OK || in.len == 0);
    free(block);
    return err;
}

static enum err pass(struct side *from, struct side *to)
{
    enum err err = hear(to, buf_span(&from->out));

    buf_clear(&from->out);
    return err;
}

static enum err shake(struct side *a, struct side *b)
{
    TRY(pass(a, b));
    TRY(pass(b, a));
    return pass(a, b);
}

/* Vectors. */

static const struct vector {
    const char *name;
    const char *prologue;
    const char *s[2], *e[2]; /* initiator, responder */
    struct {
        const char *payload, *message;
    } messages[6]; /* in turns; after the third, transport */
} vectors[] = {
    {"cacophony",
     "4a6f686e2047616c74",
     {"e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
      "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"},
     {"893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
      "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"},
     {{"4c756477696720766f6e204d69736573",
       "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c75647"
       "7696720766f6e204d69736573"},
      {"4d757272617920526f746862617264",
       "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1"
       "f276e038c48378ffce2b65285e08d6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f4"
       "88ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f8814c7194e83f23dbd8d1"
       "62c9326ad"},
      {"462e20412e20486179656b",
       "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b"
       "9df0f169ae80a89be0865b57f58c9fea0d4ec82a286427402f113e4b6ae769a1d95941d"
       "49b25030"},
      {"4361726c204d656e676572",
       "96763ed773f8e47bb3712f0e29b3060ffc956ffc146cee53d5e1df"},
      {"4a65616e2d426170746973746520536179",
       "3e40f15f6f3a46ae446b253bf8b1d9ffb6ed9b174d272328ff91a7e2e5c79c07f5"},
      {"457567656e2042f6686d20766f6e2042617765726b",
       "eb3f3515110702e047a6c9da4478b6ead94873c11c0f2d710ddb3f09fce024b3a58502a"
       "e3f"}}},
    {"snow",
     "5468657265206973206e6f20726967687420616e642077726f6e672e20546865726527732"
     "06f6e6c792066756e20616e6420626f72696e672e",
     {"7dec208517a3b81a2861d7a71266d5d6dc944c5a8816634a86fe63198a0148ee",
      "4d0aed5098e3b4ef20357e9f686ce66204c792b358da2e475017d6c485304881"},
     {"a32daf21e93c0131495ce1d903181fde81cc46937daaeb990bae7c992709421e",
      "4eece0f195d026db035ff987597c429d3ad3bcc2944df37d649528951b2a27c5"},
     {{"d03c489139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34",
       "f9fa868ba97ab8a2686deccfaad5a484ee10a5bb85e3d1dce015a84797f92818d03c489"
       "139e645d0711a3c9e810d776b46a84912463fafa87b884eebf242dc34"},
      {"d8190a92f7dc0c93dbea9118ba8055751fb7c6590c416ffbd419964132b99a85",
       "8c4e6fdb7d09d501a86f7eca5c234522751706ed409182c05cdf5f827d4dae47b81c6c5"
       "f43b025692c24391eefee725c17d8cb0fbe3e4abb8aedf42c4fd2592d4ea48ac08989d6"
       "ae8b4adae08b2c34087c808c7aa55a63c02b0fab9e930612336bd43eaea04d3c670a0a1"
       "46691aa9cc9d357872320dc735dbc48580cffb553db"},
      {"77891b19dcb92ef7c055b672c4a5aa7fdf1c84146b8b303459022729473ce254",
       "933ca6b5ed60df3df66121f0ab49a09e49efa45c613a86a3cecbf4c535cef2f83f72b42"
       "837b18e3572f2fdc2b74c331e2368a545cef54bdca081678ab0e9dd5348122459e0c034"
       "c851984d88ce610963d43cde6cfe73a67fbd5a63e8bfca96d0"},
      {"d7efdf988072881941db045a42882433817555128fbf5663e56081712ec7d212",
       "54ef0ff0629e1aaa7685a2806ab111cba76b52331f2642276736f415868eacb69ab2577"
       "f3bda0cbf72f879685f6ed25f"},
      {"dd7bf01a588bafb52c6cfba952e5d8fe35cc2b3f92b4730ae2474615157345ce",
       "356be70f110306d5c699bb834bb9d58d909e325924dfbec972e406e6f294dc63e1daebe"
       "fe8a62a334facc8048ab4ad66"}}},
};

static void vector_keypair(struct x25519_keypair *out, const char *hex)
{
    HEX(secret, X25519_LEN, hex);

    x25519_from_secret(out, secret.data);
}

static void check_handshake(const struct vector *v, struct handshake hs[2])
{
    static enum err (*const create[])(struct handshake *, struct span,
                                      struct buf *) = {
        create_first, create_second, create_third};
    static enum err (*const consume[])(struct handshake *, uint8_t *, size_t,
                                       struct span *) = {
        consume_first, consume_second, consume_third};

    for (size_t i = 0; i < 3; i++) {
        HEX(payload, 64, v->messages[i].payload);
        HEX(message, 256, v->messages[i].message);
        struct span got;
        struct buf out;

        buf_init(&out, 1024, &mem_libc);
        assert_ok(create[i](&hs[i % 2], payload, &out));
        assert_span_equal(message, buf_span(&out));
        assert_ok(consume[i](&hs[1 - i % 2], message_bytes, message.len, &got));
        assert_span_equal(payload, got);
        buf_release(&out);
    }
}

static void check_transport(const struct vector *v, struct handshake hs[2])
{
    uint8_t keys[2][2][AEAD_KEY_LEN]; /* [reader][direction] */

    handshake_split(&hs[0], keys[0][0], keys[0][1]);
    handshake_split(&hs[1], keys[1][0], keys[1][1]);
    for (size_t i = 3; i < 6 && v->messages[i].payload != NULL; i++) {
        HEX(payload, 64, v->messages[i].payload);
        HEX(message, 256, v->messages[i].message);
        struct aead seal = {0}, open = {0};
        uint64_t counter = (i - 3) / 2;
        uint8_t got[256];

        assert_ok(aead_init(&seal, keys[i % 2][i % 2], AEAD_SEAL));
        assert_ok(aead_init(&open, keys[1 - i % 2][i % 2], AEAD_OPEN));
        assert_ok(aead_seal(&seal, counter, SPAN_NONE, payload, got));
        assert_span_equal(message, SPAN(got, payload.len + AEAD_TAG_LEN));
        assert_ok(aead_open(&open, counter, SPAN_NONE, message, got));
        assert_span_equal(payload, SPAN(got, payload.len));
        aead_release(&seal);
        aead_release(&open);
    }
}

static void a_handshake_differs_from_the_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        HEX(prologue, 128, vectors[i].prologue);
        struct handshake hs[2];

        for (size_t side = 0; side < 2; side++) {
            struct x25519_keypair s, e;

            vector_keypair(&s, vectors[i].s[side]);
            vector_keypair(&e, vectors[i].e[side]);
            handshake_init(&hs[side], prologue, &s, &e);
        }
        check_handshake(&vectors[i], hs);
        check_transport(&vectors[i], hs);
        handshake_release(&hs[0]);
        handshake_release(&hs[1]);
    }
}

/* We take the part of |is_dialer| in what js said to itself, and must say its
 * very bytes. */
static void check_transcript(const struct js_transcript *t, bool is_dialer)
{
    struct side us, them;
    char text[PEER_ID_TEXT_MAX];

    assert_ok(side_init(&them, !is_dialer,
                        is_dialer ? listener_seeds : dialer_seeds, "", NULL,
                        &mem_libc));
    assert_ok(side_init(&us, is_dialer,
                        is_dialer ? dialer_seeds : listener_seeds,
                        is_dialer ? t->dialer_muxers : t->listener_muxers,
                        is_dialer ? &them : NULL, &mem_libc));
    for (size_t i = 0; i < COUNT(t->flights); i++) {
        HEX(flight, 4096, t->flights[i]);

        if ((i % 2 == 0) != is_dialer) {
            assert_ok(hear(&us, flight));
            continue;
        }
        if (i == 2)
            assert_ok(noise_seal(us.noise, SPAN_LIT("said by the dialer")));
        if (i == 3)
            assert_ok(noise_seal(us.noise, SPAN_LIT("said by the listener")));
        assert_span_equal(flight, buf_span(&us.out));
        buf_clear(&us.out);
    }
    assert_true(us.is_ready);
    assert_string_equal(is_dialer ? t->listener : t->dialer,
                        peer_id_format(&us.ready.peer, text));
    assert_true(us.ready.muxer >= 0);
    assert_span_equal(span_str(t->muxer), us.muxers[us.ready.muxer]);
    assert_span_equal(is_dialer ? SPAN_LIT("said by the listener")
                                : SPAN_LIT("said by the dialer"),
                      buf_span(&us.heard));
    side_release(&us);
    side_release(&them);
}

static void js_says_something_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(js_transcripts); i++) {
        check_transcript(&js_transcripts[i], true);
        check_transcript(&js_transcripts[i], false);
    }
}

/* Round trips. */

static void bytes_change_on_their_way(void **state)
{
    static const size_t sizes[] = {0,     1,     15,    16,    17,
                                   16383, 16384, 16385, 65519, 200000};
    static uint8_t said[200000];
    struct side a, b;

    (void)state;
    for (size_t i = 0; i < sizeof(said); i++)
        said[i] = (uint8_t)(i * 7 + i / 251);
    pair_init(&a, &b, "", &mem_libc);
    assert_ok(shake(&a, &b));
    assert_true(a.is_ready && b.is_ready);
    assert_true(peer_id_eq(&a.id, &b.ready.peer));
    assert_true(peer_id_eq(&b.id, &a.ready.peer));
    assert_memory_equal(a.identity.pub, pubkey_data(b.ready.key).data,
                        ED25519_PUB_LEN);
    assert_int_equal(NOISE_MUXER_NONE, a.ready.muxer);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct span want = SPAN(said, sizes[i]);

        assert_ok(noise_seal(a.noise, want));
        assert_int_equal(noise_sealed_len(sizes[i]), buf_len(&a.out));
        assert_ok(pass(&a, &b));
        assert_span_equal(want, buf_span(&b.heard));
        assert_ok(noise_seal(b.noise, want));
        assert_ok(pass(&b, &a));
        assert_span_equal(want, buf_span(&a.heard));
        buf_clear(&a.heard);
        buf_clear(&b.heard);
    }
    pair_release(&a, &b);
}

static void plaintext_lies_elsewhere_than_its_ciphertext(void **state)
{
    struct noise_input in;
    struct noise_event ev;
    struct side a, b;
    uint8_t bytes[64];

    (void)state;
    pair_init(&a, &b, "", &mem_libc);
    assert_ok(shake(&a, &b));
    assert_ok(noise_seal(a.noise, SPAN_LIT("hello")));
    in = (struct noise_input){bytes, buf_len(&a.out)};
    memcpy(bytes, buf_span(&a.out).data, in.len);
    assert_ok(noise_recv(b.noise, &in, &ev));
    assert_int_equal(NOISE_EV_DATA, ev.type);
    assert_ptr_equal(bytes + 2, ev.data.data);
    pair_release(&a, &b);
}

static void muxers_are_agreed_on_wrongly(void **state)
{
    static const struct {
        const char *dialer, *listener, *agreed;
    } rows[] = {
        {"", "", NULL},
        {"/yamux/1.0.0", "", NULL},
        {"", "/yamux/1.0.0", NULL},
        {"/yamux/1.0.0", "/yamux/1.0.0", "/yamux/1.0.0"},
        {"/a /b", "/b /a", "/a"},
        {"/a /b /c", "/c /b", "/b"},
        {"/a", "/b", NULL}, /* multistream-select may still find one */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct side a, b;

        assert_ok(side_init(&b, false, listener_seeds, rows[i].listener, NULL,
                            &mem_libc));
        assert_ok(
            side_init(&a, true, dialer_seeds, rows[i].dialer, &b, &mem_libc));
        assert_ok(shake(&a, &b));
        if (rows[i].agreed == NULL) {
            assert_int_equal(NOISE_MUXER_NONE, a.ready.muxer);
            assert_int_equal(NOISE_MUXER_NONE, b.ready.muxer);
        } else {
            assert_span_equal(span_str(rows[i].agreed),
                              a.muxers[a.ready.muxer]);
            assert_span_equal(span_str(rows[i].agreed),
                              b.muxers[b.ready.muxer]);
        }
        pair_release(&a, &b);
    }
}

/* Any cut. */

enum { SAID_LEN = 40000 };

/* All the listener hears, from the first message on: with both sides' keys
 * fixed the dialer says the same every time. */
static void dialers_words(struct buf *words)
{
    static uint8_t said[SAID_LEN];
    struct side a, b;

    memset(said, 'x', sizeof(said));
    pair_init(&a, &b, "/yamux/1.0.0", &mem_libc);
    assert_ok(buf_put(words, buf_span(&a.out)));
    assert_ok(pass(&a, &b));
    assert_ok(pass(&b, &a));
    assert_ok(noise_seal(a.noise, SPAN_LIT("a")));
    assert_ok(noise_seal(a.noise, SPAN_OF(said)));
    assert_ok(noise_seal(a.noise, SPAN_LIT("z")));
    assert_ok(buf_put(words, buf_span(&a.out)));
    pair_release(&a, &b);
}

static void check_heard(const struct side *b)
{
    struct span heard = buf_span(&b->heard);

    assert_true(b->is_ready);
    assert_int_equal(SAID_LEN + 2, heard.len);
    assert_true(span_starts_with(heard, SPAN_LIT("ax")));
    (void)span_take(&heard, SAID_LEN);
    assert_span_equal(SPAN_LIT("xz"), heard);
}

static void a_cut_changes_the_story(void **state)
{
    struct test_heap heap;
    struct buf words;
    struct span all;
    struct side b;

    (void)state;
    test_heap_init(&heap);
    buf_init(&words, OUT_MAX, &mem_libc);
    dialers_words(&words);
    all = buf_span(&words);
    for (size_t cut = 0; cut <= all.len; cut += cut < 400 ? 1 : 97) {
        assert_ok(side_init(&b, false, listener_seeds, "/yamux/1.0.0", NULL,
                            &heap.mem));
        assert_ok(hear(&b, SPAN(all.data, cut)));
        assert_ok(hear(&b, SPAN(all.data + cut, all.len - cut)));
        check_heard(&b);
        side_release(&b);
    }
    for (size_t step = 1; step < 20000; step = step * 3 + 1) {
        assert_ok(side_init(&b, false, listener_seeds, "/yamux/1.0.0", NULL,
                            &heap.mem));
        for (size_t at = 0; at < all.len; at += step)
            assert_ok(
                hear(&b, SPAN(all.data + at,
                              all.len - at < step ? all.len - at : step)));
        check_heard(&b);
        side_release(&b);
    }
    assert_int_equal(0, heap.live);
    buf_release(&words);
}

/* What must not be accepted. */

static void a_forbidden_message_is_accepted(void **state)
{
    static const struct {
        const char *why;
        bool is_dialer;
        const char *bytes;
        enum err err;
    } rows[] = {
        {"an empty first message", false, "0000", ERR_PROTO},
        {"31 bytes", false,
         "001f"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddee",
         ERR_PROTO},
        {"a payload in the first message", false,
         "0021"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00",
         ERR_PROTO},
        {"a key of low order", false,
         "0020"
         "0000000000000000000000000000000000000000000000000000000000000000",
         ERR_CRYPTO},
        {"a handshake message beyond the limit", false, "2001", ERR_FRAME_SIZE},
        {"an empty second message", true, "0000", ERR_PROTO},
        {"a second message of one key", true,
         "0020"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
         ERR_PROTO},
        {"a second message of rubbish", true,
         "0060"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
         ERR_CRYPTO},
        {"TLS", false, "16030100c8010000c403", ERR_PROTO},
        {"HTTP", false, "474554202f20485454502f312e310d0a", ERR_FRAME_SIZE},
    };

    static const uint8_t rest[8192];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        HEX(bytes, 128, rows[i].bytes);
        struct side s;
        enum err err;

        assert_ok(side_init(&s, rows[i].is_dialer, dialer_seeds, "", NULL,
                            &mem_libc));
        err = hear(&s, bytes);
        if (err == OK) /* more than the rest of the announced frame */
            err = hear(&s, SPAN_OF(rest));
        if (err != rows[i].err)
            fail_msg("%s: %s", rows[i].why, err_name(err));
        assert_err(err, hear(&s, SPAN_NONE)); /* and it stays so */
        assert_false(noise_is_ready(s.noise));
        assert_err(err, noise_tick(s.noise, 0));
        side_release(&s);
    }
}

static void altered_bytes_are_accepted(void **state)
{
    (void)state;
    /* Every byte of every message of the handshake, and of a frame. */
    for (int message = 0; message < 4; message++) {
        for (size_t i = 0;; i++) {
            struct side a, b, *from = message % 2 ? &b : &a,
                              *to = message % 2 ? &a : &b;
            uint8_t bytes[512];
            enum err err;
            size_t n;

            pair_init(&a, &b, "/yamux/1.0.0", &mem_libc);
            for (int m = 0; m < message; m++)
                assert_ok(m % 2 ? pass(&b, &a) : pass(&a, &b));
            if (message == 3)
                assert_ok(noise_seal(b.noise, SPAN_LIT("hello")));
            n = buf_len(&from->out);
            assert_true(n <= sizeof(bytes));
            memcpy(bytes, buf_span(&from->out).data, n);
            if (i == n) {
                pair_release(&a, &b);
                break;
            }
            buf_clear(&from->out);
            bytes[i] ^= 0x40;
            err = hear(to, SPAN(bytes, n));
            if (message == 0 && i >= 2) {
                /* Nothing protects the first but the second. */
                assert_ok(err);
                err = pass(&b, &a);
            }
            /* A length that grew just waits for more. */
            assert_true(err != OK || i < 2);
            assert_int_equal(0, buf_len(&to->heard));
            assert_true(message == 3 || !to->is_ready);
            pair_release(&a, &b);
        }
    }
}

static void a_replayed_or_swapped_frame_is_accepted(void **state)
{
    struct side a, b;
    uint8_t one[64], two[64];
    struct span first, second;

    (void)state;
    for (int swapped = 0; swapped < 2; swapped++) {
        pair_init(&a, &b, "", &mem_libc);
        assert_ok(shake(&a, &b));
        assert_ok(noise_seal(a.noise, SPAN_LIT("one")));
        first = SPAN(one, buf_len(&a.out));
        memcpy(one, buf_span(&a.out).data, first.len);
        buf_clear(&a.out);
        assert_ok(noise_seal(a.noise, SPAN_LIT("two")));
        second = SPAN(two, buf_len(&a.out));
        memcpy(two, buf_span(&a.out).data, second.len);
        if (swapped) {
            assert_err(ERR_CRYPTO, hear(&b, second));
        } else {
            assert_ok(hear(&b, first));
            assert_err(ERR_CRYPTO, hear(&b, first));
        }
        /* Not even what would have been right comes after an error. */
        assert_err(ERR_CRYPTO, hear(&b, swapped ? first : second));
        assert_false(noise_is_ready(b.noise));
        pair_release(&a, &b);
    }
}

static void another_peer_is_accepted(void **state)
{
    static const uint8_t mallorys_seeds[] = {7, 8, 9};
    struct side a, b, mallory;

    (void)state;
    assert_ok(side_init(&b, false, listener_seeds, "", NULL, &mem_libc));
    assert_ok(side_init(&a, true, dialer_seeds, "", &b, &mem_libc));
    assert_ok(side_init(&mallory, false, mallorys_seeds, "", NULL, &mem_libc));
    assert_ok(pass(&a, &mallory));
    assert_err(ERR_WRONG_PEER, pass(&mallory, &a));
    assert_int_equal(0, buf_len(&a.out)); /* and hears nothing from us */
    pair_release(&a, &b);
    side_release(&mallory);
}

/* A peer that does the handshake right and may say anything in it. */
static enum err hear_payload(struct span payload,
                             const struct x25519_keypair *s)
{
    static const uint8_t e_secret[X25519_LEN] = {8};
    struct x25519_keypair e;
    struct handshake hs;
    struct side b;
    struct buf msg, frame;
    struct span none;
    enum err err;

    buf_init(&msg, OUT_MAX, &mem_libc);
    buf_init(&frame, OUT_MAX, &mem_libc);
    assert_ok(side_init(&b, false, listener_seeds, "/a", NULL, &mem_libc));
    x25519_from_secret(&e, e_secret);
    handshake_init(&hs, SPAN_NONE, s, &e);

    assert_ok(create_first(&hs, SPAN_NONE, &msg));
    assert_ok(hear(&b, SPAN("\0\x20", 2)));
    assert_ok(hear(&b, buf_span(&msg)));
    buf_drain(&b.out, 2);
    assert_ok(
        consume_second(&hs, b.out.data + b.out.head, buf_len(&b.out), &none));
    buf_clear(&msg);
    assert_ok(create_third(&hs, payload, &msg));
    assert_ok(buf_put_u8(&frame, (uint8_t)(buf_len(&msg) >> 8)));
    assert_ok(buf_put_u8(&frame, (uint8_t)buf_len(&msg)));
    assert_ok(buf_put(&frame, buf_span(&msg)));
    err = hear(&b, buf_span(&frame));
    assert_int_equal(err == OK, b.is_ready);
    handshake_release(&hs);
    side_release(&b);
    buf_release(&msg);
    buf_release(&frame);
    return err;
}

static void a_forged_payload_is_accepted(void **state)
{
    static const uint8_t s_secret[X25519_LEN] = {16};
    struct ed25519_keypair identity, other;
    struct x25519_keypair s, other_s;
    struct noise_config config = {.identity = &identity};
    struct buf good, bad;
    uint8_t seed[32] = {0}, bytes[128];

    (void)state;
    ed25519_from_seed(&identity, seed);
    seed[0] = 24;
    ed25519_from_seed(&other, seed);
    x25519_from_secret(&s, s_secret);
    x25519_from_secret(&other_s, seed);
    buf_init(&good, OUT_MAX, &mem_libc);
    buf_init(&bad, OUT_MAX, &mem_libc);

    assert_ok(create_payload(&config, s.pub, &good));
    assert_ok(hear_payload(buf_span(&good), &s));

    /* signed for another Noise key: stolen from another handshake */
    assert_ok(create_payload(&config, other_s.pub, &bad));
    assert_err(ERR_CRYPTO, hear_payload(buf_span(&bad), &s));
    buf_clear(&bad);
    /* signed by another identity: 0a LEN 08 01 12 20 KEY */
    assert_true(buf_len(&good) <= sizeof(bytes));
    memcpy(bytes, buf_span(&good).data, buf_len(&good));
    memcpy(bytes + 6, other.pub, sizeof(other.pub));
    assert_err(ERR_CRYPTO, hear_payload(SPAN(bytes, buf_len(&good)), &s));
    /* no such key */
    bytes[3] = 9;
    assert_err(ERR_PROTO, hear_payload(SPAN(bytes, buf_len(&good)), &s));
    /* no payload, no message, half a message */
    assert_err(ERR_PROTO, hear_payload(SPAN_NONE, &s));
    assert_err(ERR_PROTO, hear_payload(SPAN_LIT("\xff"), &s));
    for (size_t n = 0; n < buf_len(&good); n++)
        assert_true(hear_payload(SPAN(buf_span(&good).data, n), &s) != OK);
    /* a field we do not know is skipped: 1a 01 78 */
    assert_ok(buf_put(&good, SPAN_LIT("\x1a\x01x")));
    assert_ok(hear_payload(buf_span(&good), &s));
    buf_release(&good);
    buf_release(&bad);
}

/* What a session of |own|, given its static key, answers a first message with:
 * the keys it uses. */
static void answer_with(const struct noise_static *own,
                        const struct ed25519_keypair *identity,
                        const struct rng *rng, struct handshake *hs)
{
    struct noise_config config = {
        .identity = identity, .static_key = own, .within = WITHIN_S * SECONDS};
    struct side b = {0};
    struct span payload;
    struct buf msg;
    enum err err;

    buf_init(&b.out, OUT_MAX, &mem_libc);
    buf_init(&msg, OUT_MAX, &mem_libc);
    config.out = &b.out;
    assert_ok(noise_new(&b.noise, &config, 0, rng, &mem_libc));
    handshake_init(hs, SPAN_NONE, &own->key, &own->key);
    assert_ok(buf_put(&msg, SPAN("\0\x20", 2)));
    assert_ok(create_first(hs, SPAN_NONE, &msg));
    assert_ok(hear(&b, buf_span(&msg)));
    buf_drain(&b.out, 2);
    assert_ok(
        consume_second(hs, b.out.data + b.out.head, buf_len(&b.out), &payload));
    config.expected.len = 0;
    err = hear_payload(payload, &own->key);
    assert_ok(err);
    buf_release(&msg);
    side_release(&b);
}

static void a_given_static_key_is_not_used(void **state)
{
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 7);
    struct ed25519_keypair identity;
    struct noise_static own;
    struct handshake first, second;

    (void)state;
    ed25519_generate(&identity, &rng);
    noise_static_generate(&own, &identity, &rng);
    answer_with(&own, &identity, &rng, &first);
    answer_with(&own, &identity, &rng, &second);
    assert_memory_equal(own.key.pub, first.rs, X25519_LEN);
    assert_memory_equal(own.key.pub, second.rs, X25519_LEN);
    /* … and what the session is encrypted with is as fresh as ever */
    assert_memory_not_equal(first.re, second.re, X25519_LEN);
    handshake_release(&first);
    handshake_release(&second);
}

static void a_payload_takes_unbounded_memory(void **state)
{
    static const uint8_t s_secret[X25519_LEN] = {16};
    uint8_t bomb[7000] = {0x22, 0xd5, 0x36}; /* extensions of 6,997 bytes */
    struct x25519_keypair s;

    (void)state;
    for (size_t i = 3; i + 2 <= sizeof(bomb); i += 2)
        memcpy(bomb + i, "\x12\x00", 2); /* muxers without a name */
    x25519_from_secret(&s, s_secret);
    assert_err(ERR_PROTO, hear_payload(SPAN(bomb, sizeof(bomb)), &s));
}

/* Clock walk. */

static void a_slow_handshake_is_waited_for(void **state)
{
    struct side a, b;

    (void)state;
    pair_init(&a, &b, "", &mem_libc);
    assert_int_equal(WITHIN_S * SECONDS, noise_deadline(a.noise));
    assert_ok(noise_tick(a.noise, noise_deadline(a.noise) - 1));
    assert_ok(shake(&a, &b));
    assert_true(noise_deadline(a.noise) == TSTAMP_NEVER);
    assert_true(noise_deadline(b.noise) == TSTAMP_NEVER);
    assert_ok(noise_tick(a.noise, 1000 * HOURS));
    pair_release(&a, &b);

    for (int after = 0; after < 2; after++) {
        pair_init(&a, &b, "", &mem_libc);
        assert_ok(pass(&a, &b));
        assert_err(ERR_TIMEOUT, noise_tick(b.noise, noise_deadline(b.noise) +
                                                        (tstamp)after));
        assert_ok(pass(&b, &a));
        assert_err(ERR_TIMEOUT, pass(&a, &b)); /* too late */
        pair_release(&a, &b);
    }
}

/* Failed allocations. */

static enum err talk(struct side *a, struct side *b, struct test_heap *heap,
                     unsigned nth)
{
    struct span frame;

    test_heap_fail(heap, nth);
    TRY(shake(a, b));
    TRY(noise_seal(a->noise, SPAN_LIT("hello")));
    frame = buf_span(&a->out);
    TRY(hear(b, SPAN(frame.data, 4)));
    TRY(hear(b, SPAN(frame.data + 4, frame.len - 4)));
    return OK;
}

static void memory_that_ran_out_leaks(void **state)
{
    struct test_heap heap;
    struct side a, b;
    enum err err = ERR_NOMEM;

    (void)state;
    test_heap_init(&heap);
    for (unsigned nth = 1; err != OK; nth++) {
        pair_init(&a, &b, "/yamux/1.0.0", &heap.mem);
        err = talk(&a, &b, &heap, nth);
        /* A payload that cannot be decoded for want of memory is no payload. */
        assert_true(err == OK || err == ERR_NOMEM || err == ERR_PROTO);
        if (err == OK)
            assert_span_equal(SPAN_LIT("hello"), buf_span(&b.heard));
        pair_release(&a, &b);
        assert_int_equal(0, heap.live);
        assert_true(nth < 100);
    }
}

/* The dialer's first message is made in noise_new(). */
static void a_session_without_memory_is_made(void **state)
{
    struct test_heap heap;
    struct side a;

    (void)state;
    test_heap_init(&heap);
    for (unsigned nth = 2; nth < 4; nth++) {
        test_heap_fail(&heap, nth);
        assert_err(ERR_NOMEM,
                   side_init(&a, true, dialer_seeds, "", NULL, &heap.mem));
        a.noise = NULL;
        side_release(&a);
        assert_int_equal(0, heap.live);
    }
}

/* Limits. */

static void more_is_sealed_than_there_is_room_for(void **state)
{
    static uint8_t said[40000];
    struct side a, b;

    (void)state;
    pair_init(&a, &b, "", &mem_libc);
    assert_ok(shake(&a, &b));
    a.out.limit = noise_sealed_len(sizeof(said)) - 1;
    assert_err(ERR_LIMIT, noise_seal(a.noise, SPAN_OF(said)));
    assert_int_equal(0, buf_len(&a.out));
    /* Nothing was taken: the counters still agree. */
    assert_ok(noise_seal(a.noise, SPAN(said, sizeof(said) - 1)));
    assert_ok(pass(&a, &b));
    assert_int_equal(sizeof(said) - 1, buf_len(&b.heard));
    pair_release(&a, &b);
}

static void a_frame_of_the_largest_size_is_refused(void **state)
{
    static uint8_t frame[2 + NOISE_FRAME_MAX], plain[NOISE_FRAME_MAX];
    static const uint8_t e_secret[X25519_LEN] = {8},
                         s_secret[X25519_LEN] = {16};
    uint8_t there[AEAD_KEY_LEN], back[AEAD_KEY_LEN];
    struct noise_config config = {0};
    struct x25519_keypair s, e;
    struct ed25519_keypair identity;
    struct handshake hs;
    struct aead seal = {0};
    struct buf msg, payload;
    struct span none;
    struct side b;

    (void)state;
    ed25519_from_seed(&identity, s_secret);
    config.identity = &identity;
    x25519_from_secret(&s, s_secret);
    x25519_from_secret(&e, e_secret);
    buf_init(&msg, OUT_MAX, &mem_libc);
    buf_init(&payload, OUT_MAX, &mem_libc);
    assert_ok(side_init(&b, false, listener_seeds, "", NULL, &mem_libc));
    handshake_init(&hs, SPAN_NONE, &s, &e);
    assert_ok(create_payload(&config, s.pub, &payload));

    assert_ok(buf_put(&msg, SPAN("\0\x20", 2)));
    assert_ok(create_first(&hs, SPAN_NONE, &msg));
    assert_ok(hear(&b, buf_span(&msg)));
    buf_drain(&b.out, 2);
    assert_ok(
        consume_second(&hs, b.out.data + b.out.head, buf_len(&b.out), &none));
    buf_clear(&msg);
    assert_ok(create_third(&hs, buf_span(&payload), &msg));
    frame[0] = (uint8_t)(buf_len(&msg) >> 8);
    frame[1] = (uint8_t)buf_len(&msg);
    assert_ok(hear(&b, SPAN(frame, 2)));
    assert_ok(hear(&b, buf_span(&msg)));
    assert_true(b.is_ready);

    handshake_split(&hs, there, back);
    assert_ok(aead_init(&seal, there, AEAD_SEAL));
    memset(plain, 'p', sizeof(plain));
    frame[0] = frame[1] = 0xff;
    assert_ok(aead_seal(&seal, 0, SPAN_NONE,
                        SPAN(plain, NOISE_FRAME_MAX - AEAD_TAG_LEN),
                        frame + 2));
    assert_ok(hear(&b, SPAN_OF(frame)));
    assert_int_equal(NOISE_FRAME_MAX - AEAD_TAG_LEN, buf_len(&b.heard));
    /* An empty frame is no event, and no end either. */
    frame[0] = 0;
    frame[1] = AEAD_TAG_LEN;
    assert_ok(aead_seal(&seal, 1, SPAN_NONE, SPAN_NONE, frame + 2));
    assert_ok(hear(&b, SPAN(frame, 2 + AEAD_TAG_LEN)));
    assert_true(noise_is_ready(b.noise));
    /* A frame too short for its tag. */
    frame[1] = AEAD_TAG_LEN - 1;
    assert_err(ERR_CRYPTO, hear(&b, SPAN(frame, 2 + AEAD_TAG_LEN)));

    aead_release(&seal);
    handshake_release(&hs);
    side_release(&b);
    buf_release(&msg);
    buf_release(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handshake_differs_from_the_vectors),
        cmocka_unit_test(js_says_something_else),
        cmocka_unit_test(bytes_change_on_their_way),
        cmocka_unit_test(plaintext_lies_elsewhere_than_its_ciphertext),
        cmocka_unit_test(muxers_are_agreed_on_wrongly),
        cmocka_unit_test(a_cut_changes_the_story),
        cmocka_unit_test(a_forbidden_message_is_accepted),
        cmocka_unit_test(altered_bytes_are_accepted),
        cmocka_unit_test(a_replayed_or_swapped_frame_is_accepted),
        cmocka_unit_test(another_peer_is_accepted),
        cmocka_unit_test(a_forged_payload_is_accepted),
        cmocka_unit_test(a_given_static_key_is_not_used),
        cmocka_unit_test(a_payload_takes_unbounded_memory),
        cmocka_unit_test(a_slow_handshake_is_waited_for),
        cmocka_unit_test(memory_that_ran_out_leaks),
        cmocka_unit_test(a_session_without_memory_is_made),
        cmocka_unit_test(more_is_sealed_than_there_is_room_for),
        cmocka_unit_test(a_frame_of_the_largest_size_is_refused),
    };

    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
