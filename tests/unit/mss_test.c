/* SPDX-License-Identifier: Apache-2.0 */
#include "mss/mss.h"

#include "support/test.h"

/* As go and rust put them on the wire. */
#define HEADER "\x13/multistream/1.0.0\n"
#define NA "\x03na\n"
#define LS "\x03ls\n"
#define NOISE "\x07/noise\n"
#define TLS "\x0b/tls/1.0.0\n"
#define YAMUX "\x0d/yamux/1.0.0\n"

static const char *const accepted[] = {"/yamux/1.0.0", "/noise"};
enum { ACCEPTED = 2, YAMUX_AT = 0, NOISE_AT = 1 };

static const char *const meshsub[] = {"/meshsub/1.2.0", "/meshsub/1.1.0",
                                      "/meshsub/1.0.0"};

static void listen_for(struct mss *m, const struct mem *mem)
{
    assert_ok(mss_listen(m, accepted, ACCEPTED, TSTAMP_NEVER, mem));
}

/* Hear |in|, expect |err| and, if OK, to be asked for more. */
static void hear(struct mss *m, struct span in, enum err err)
{
    struct mss_event ev;

    assert_err(err, mss_recv(m, &in, &ev));
    if (err == OK) {
        assert_int_equal(MSS_EV_NONE, ev.type);
        assert_int_equal(0, in.len);
    }
}

static void hear_agreed(struct mss *m, struct span in, size_t protocol,
                        struct span rest)
{
    struct mss_event ev;

    assert_ok(mss_recv(m, &in, &ev));
    assert_int_equal(MSS_EV_AGREED, ev.type);
    assert_int_equal(protocol, ev.protocol);
    assert_span_equal(rest, in);
}

static void say(struct mss *m, struct span want)
{
    assert_span_equal(want, mss_out(m));
    mss_sent(m, want.len);
}

static void listener_speaks_as_the_others_do(void **state)
{
    struct mss m;

    (void)state;
    listen_for(&m, &mem_libc);
    hear_agreed(&m, SPAN_LIT(HEADER NOISE "then"), NOISE_AT, SPAN_LIT("then"));
    say(&m, SPAN_LIT(HEADER NOISE));
    mss_release(&m);
}

static void dialer_waits_for_nothing(void **state)
{
    struct mss m;

    (void)state;
    assert_ok(mss_dial(&m, accepted, 1, TSTAMP_NEVER, &mem_libc));
    say(&m, SPAN_LIT(HEADER YAMUX));
    assert_true(mss_is_last_proposal(&m));
    hear_agreed(&m, SPAN_LIT(HEADER YAMUX "then"), 0, SPAN_LIT("then"));
    say(&m, SPAN_NONE);
    mss_release(&m);
}

/* go proposes /tls/1.0.0 first, and older ones simultaneous open. */
static void listener_refuses_and_goes_on(void **state)
{
    struct mss m;

    (void)state;
    listen_for(&m, &mem_libc);
    hear(&m, SPAN_LIT(HEADER TLS), OK);
    say(&m, SPAN_LIT(HEADER NA));
    hear(&m, SPAN_LIT("\x1d/libp2p/simultaneous-connect\n"), OK);
    say(&m, SPAN_LIT(NA));
    hear_agreed(&m, SPAN_LIT(NOISE), NOISE_AT, SPAN_NONE);
    say(&m, SPAN_LIT(NOISE));
    mss_release(&m);
}

static void listener_lists_what_it_has(void **state)
{
    struct mss m;

    (void)state;
    listen_for(&m, &mem_libc);
    hear(&m, SPAN_LIT(HEADER LS), OK);
    say(&m, SPAN_LIT(HEADER "\x17" YAMUX NOISE "\n"));
    hear_agreed(&m, SPAN_LIT(YAMUX), YAMUX_AT, SPAN_NONE);
    mss_release(&m);
}

static void listener_takes_no_part_of_a_name(void **state)
{
    struct mss m;

    (void)state;
    listen_for(&m, &mem_libc);
    hear(&m, SPAN_LIT(HEADER "\x06/nois\n\x08/noise2\n\x01\n"), OK);
    say(&m, SPAN_LIT(HEADER NA NA NA));
    mss_release(&m);
}

static void dialer_tries_the_next(void **state)
{
    struct mss m;

    (void)state;
    assert_ok(mss_dial(&m, meshsub, 3, TSTAMP_NEVER, &mem_libc));
    say(&m, SPAN_LIT(HEADER "\x0f/meshsub/1.2.0\n"));
    assert_false(mss_is_last_proposal(&m));
    hear(&m, SPAN_LIT(HEADER NA), OK);
    say(&m, SPAN_LIT("\x0f/meshsub/1.1.0\n"));
    assert_false(mss_is_last_proposal(&m));
    hear(&m, SPAN_LIT(NA), OK);
    say(&m, SPAN_LIT("\x0f/meshsub/1.0.0\n"));
    assert_true(mss_is_last_proposal(&m));
    hear_agreed(&m, SPAN_LIT("\x0f/meshsub/1.0.0\n"), 2, SPAN_NONE);
    mss_release(&m);
}

static void dialer_is_told_when_nothing_is_left(void **state)
{
    struct mss m;

    (void)state;
    assert_ok(mss_dial(&m, meshsub, 2, TSTAMP_NEVER, &mem_libc));
    hear(&m, SPAN_LIT(HEADER NA), OK);
    hear(&m, SPAN_LIT(NA), ERR_NO_PROTOCOL);
    mss_release(&m);
}

/* Let the two talk, at most |step| bytes at a time. */
static void talk(struct mss *a, struct mss *b, size_t step, size_t *protocol)
{
    struct mss *side[2] = {a, b};
    unsigned agreed = 0;

    for (unsigned i = 0; agreed < 2; i++) {
        struct mss *from = side[i % 2], *to = side[1 - i % 2];
        struct span out = mss_out(from);
        size_t n = out.len < step ? out.len : step;
        struct span in = SPAN(out.data, n);
        struct mss_event ev;

        assert_true(i < 10000);
        assert_ok(mss_recv(to, &in, &ev));
        assert_int_equal(0, in.len);
        mss_sent(from, n);
        if (ev.type == MSS_EV_AGREED) {
            protocol[1 - i % 2] = ev.protocol;
            agreed++;
        }
    }
}

static void both_sides_agree_on_the_dialers_best(void **state)
{
    static const char *const wants[] = {"/a/2", "/noise", "/yamux/1.0.0"};

    (void)state;
    for (size_t step = 1; step < 100; step++) {
        struct mss dialer, listener;
        size_t protocol[2];

        assert_ok(mss_dial(&dialer, wants, 3, TSTAMP_NEVER, &mem_libc));
        listen_for(&listener, &mem_libc);
        talk(&dialer, &listener, step, protocol);
        assert_int_equal(1, protocol[0]);
        assert_int_equal(NOISE_AT, protocol[1]);
        mss_release(&dialer);
        mss_release(&listener);
    }
}

static void input_may_be_cut_anywhere(void **state)
{
    static const char script[] = HEADER TLS LS NOISE "then";
    enum { LEN = sizeof(script) - 1, AGREED_AT = LEN - 4 };

    (void)state;
    for (size_t a = 0; a <= LEN; a++) {
        for (size_t b = a; b <= LEN; b++) {
            size_t cuts[] = {a, b, LEN}, at = 0, agreed_at = 0;
            struct mss m;

            listen_for(&m, &mem_libc);
            for (int i = 0; i < 3; i++) {
                struct span in = SPAN(script + at, cuts[i] - at);
                struct mss_event ev;

                assert_ok(mss_recv(&m, &in, &ev));
                if (ev.type == MSS_EV_AGREED)
                    agreed_at = cuts[i] - in.len;
                at = cuts[i];
            }
            assert_int_equal(AGREED_AT, agreed_at);
            say(&m, SPAN_LIT(HEADER NA "\x17" YAMUX NOISE "\n" NOISE));
            mss_release(&m);
        }
    }
}

static void what_is_forbidden_is_refused(void **state)
{
    const struct {
        const char *why;
        bool is_dialer;
        struct span in;
        enum err err;
    } cases[] = {
        {"a proposal before the header", false, SPAN_LIT(NOISE), ERR_PROTO},
        {"another version", false, SPAN_LIT("\x13/multistream/2.0.0\n"),
         ERR_PROTO},
        {"an empty message", false, SPAN_LIT("\0"), ERR_PROTO},
        {"no newline", false, SPAN_LIT("\x04na\nx"), ERR_PROTO},
        {"a length not minimal", false, SPAN_LIT("\x93\0/multi"), ERR_PROTO},
        {"a length that never ends", false,
         SPAN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_PROTO},
        {"1,025 bytes", false, SPAN_LIT("\x81\x08"), ERR_FRAME_SIZE},
        {"an answer to nothing", true, SPAN_LIT(HEADER NOISE), ERR_PROTO},
        {"a list nobody asked for", true, SPAN_LIT(HEADER LS), ERR_PROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mss m;

        if (cases[i].is_dialer)
            assert_ok(mss_dial(&m, accepted, 1, TSTAMP_NEVER, &mem_libc));
        else
            listen_for(&m, &mem_libc);
        print_message("%s\n", cases[i].why);
        hear(&m, cases[i].in, cases[i].err);
        mss_release(&m);
    }
}

static void deadline_is_kept_to_the_nanosecond(void **state)
{
    struct mss m;

    (void)state;
    assert_ok(mss_listen(&m, accepted, ACCEPTED, 10 * SECONDS, &mem_libc));
    assert_int_equal(10 * SECONDS, mss_deadline(&m));
    assert_ok(mss_tick(&m, 10 * SECONDS - 1));
    assert_err(ERR_TIMEOUT, mss_tick(&m, 10 * SECONDS));
    assert_err(ERR_TIMEOUT, mss_tick(&m, 11 * SECONDS));
    hear_agreed(&m, SPAN_LIT(HEADER NOISE), NOISE_AT, SPAN_NONE);
    assert_true(mss_deadline(&m) == TSTAMP_NEVER);
    assert_ok(mss_tick(&m, 11 * SECONDS));
    mss_release(&m);
}

/* One byte at a time, so that messages have to be gathered too. */
static enum err tell_slowly(struct mss *m, struct span script)
{
    struct mss_event ev;

    for (size_t i = 0; i < script.len; i++) {
        struct span in = SPAN(script.data + i, 1);

        TRY(mss_recv(m, &in, &ev));
    }
    return OK;
}

static void every_failed_allocation_is_survived(void **state)
{
    unsigned total = 0;

    (void)state;
    for (unsigned nth = 1;; nth++) {
        struct test_heap heap;
        struct mss m;
        enum err err;

        test_heap_init(&heap);
        test_heap_fail(&heap, nth);
        err = mss_listen(&m, accepted, ACCEPTED, TSTAMP_NEVER, &heap.mem);
        if (err == OK) {
            err = tell_slowly(&m, SPAN_LIT(HEADER LS TLS LS NOISE));
            mss_release(&m);
        }
        assert_int_equal(0, heap.live);
        if (heap.count < nth) {
            assert_ok(err);
            break;
        }
        assert_err(ERR_NOMEM, err);
        total++;
    }
    assert_true(total >= 3);
}

static void refusals_are_bounded(void **state)
{
    struct mss m;

    (void)state;
    listen_for(&m, &mem_libc);
    hear(&m, SPAN_LIT(HEADER), OK);
    for (int i = 0; i < MSS_REFUSALS_MAX; i++)
        hear(&m, i % 2 ? SPAN_LIT(TLS) : SPAN_LIT(LS), OK);
    hear(&m, SPAN_LIT(TLS), ERR_LIMIT);
    mss_release(&m);
}

static void longest_message_is_taken(void **state)
{
    uint8_t bytes[2 + MSS_MESSAGE_MAX];
    struct mss m;

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    bytes[0] = 0x80;
    bytes[1] = 0x08;
    bytes[sizeof(bytes) - 1] = '\n';
    listen_for(&m, &mem_libc);
    hear(&m, SPAN_LIT(HEADER), OK);
    hear(&m, SPAN_OF(bytes), OK);
    say(&m, SPAN_LIT(HEADER NA));
    assert_ok(tell_slowly(&m, SPAN_OF(bytes)));
    say(&m, SPAN_LIT(NA));
    mss_release(&m);
}

/* 60 names of 100 bytes, asked for twice, are more than answers may take. */
static void unread_answers_are_bounded(void **state)
{
    static char text[60][101];
    const char *names[60];
    struct mss m;

    (void)state;
    for (int i = 0; i < 60; i++)
        names[i] = memset(text[i], 'a', 100);
    assert_ok(mss_listen(&m, names, 60, TSTAMP_NEVER, &mem_libc));
    hear(&m, SPAN_LIT(HEADER LS), OK);
    hear(&m, SPAN_LIT(LS), ERR_LIMIT);
    mss_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listener_speaks_as_the_others_do),
        cmocka_unit_test(dialer_waits_for_nothing),
        cmocka_unit_test(listener_refuses_and_goes_on),
        cmocka_unit_test(listener_lists_what_it_has),
        cmocka_unit_test(listener_takes_no_part_of_a_name),
        cmocka_unit_test(dialer_tries_the_next),
        cmocka_unit_test(dialer_is_told_when_nothing_is_left),
        cmocka_unit_test(both_sides_agree_on_the_dialers_best),
        cmocka_unit_test(input_may_be_cut_anywhere),
        cmocka_unit_test(what_is_forbidden_is_refused),
        cmocka_unit_test(deadline_is_kept_to_the_nanosecond),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(refusals_are_bounded),
        cmocka_unit_test(longest_message_is_taken),
        cmocka_unit_test(unread_answers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
