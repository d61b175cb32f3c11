/* SPDX-License-Identifier: Apache-2.0 */
#include "ping/ping.h"

#include "support/test.h"

static struct rng_seeded seed;
static struct rng rng;

static void start(struct ping *p, tstamp now)
{
    rng = rng_seeded(&seed, 1);
    ping_init(p);
    ping_send(p, &rng, now);
}

/* Ping has no vectors but its length: 32 bytes, whatever they are. */
static void a_question_is_32_bytes_and_new_each_time(void **state)
{
    struct ping p;
    uint8_t first[32];
    struct span in;
    bool is_done;
    duration rtt;

    (void)state;
    start(&p, 0);
    assert_int_equal(32, sizeof(p.bytes));
    memcpy(first, p.bytes, 32);
    in = SPAN_OF(first);
    assert_ok(ping_recv(&p, &in, 1, &is_done, &rtt));
    assert_true(is_done);
    ping_send(&p, &rng, 2);
    assert_memory_not_equal(first, p.bytes, 32);
}

static void question_and_answer_make_a_round_trip(void **state)
{
    struct ping_echo echo;
    struct ping p;
    struct span in;
    bool is_done;
    duration rtt = 0;

    (void)state;
    ping_echo_init(&echo);
    start(&p, 5 * SECONDS);
    for (int i = 0; i < 3; i++) {
        in = SPAN_OF(p.bytes);
        assert_true(ping_echo_recv(&echo, &in));
        assert_int_equal(0, in.len);
        in = SPAN_OF(echo.bytes);
        assert_ok(ping_recv(&p, &in, 5 * SECONDS + 7, &is_done, &rtt));
        assert_true(is_done);
        assert_int_equal(7, rtt);
        assert_false(ping_is_waiting(&p));
        ping_send(&p, &rng, 5 * SECONDS);
    }
}

static void the_answer_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= PING_LEN; cut++) {
        struct ping p;
        struct span in, rest;
        uint8_t bytes[PING_LEN];
        bool is_done;
        duration rtt = 0;

        start(&p, 0);
        memcpy(bytes, p.bytes, sizeof(bytes));
        in = SPAN(bytes, cut);
        assert_ok(ping_recv(&p, &in, 1, &is_done, &rtt));
        assert_int_equal(cut == PING_LEN, is_done);
        if (is_done)
            continue;
        rest = SPAN(bytes + cut, PING_LEN - cut);
        assert_ok(ping_recv(&p, &rest, 2, &is_done, &rtt));
        assert_true(is_done);
        assert_int_equal(2, rtt);
    }
}

static void questions_may_be_cut_and_joined_anywhere(void **state)
{
    uint8_t two[2 * PING_LEN], back[2 * PING_LEN];

    (void)state;
    for (size_t i = 0; i < sizeof(two); i++)
        two[i] = (uint8_t)(i * 3);
    for (size_t cut = 0; cut <= sizeof(two); cut++) {
        struct span parts[] = {SPAN(two, cut),
                               SPAN(two + cut, sizeof(two) - cut)};
        struct ping_echo echo;
        size_t n = 0;

        ping_echo_init(&echo);
        for (int i = 0; i < 2; i++)
            while (parts[i].len > 0)
                if (ping_echo_recv(&echo, &parts[i])) {
                    assert_true(n < sizeof(back));
                    memcpy(back + n, echo.bytes, PING_LEN);
                    n += PING_LEN;
                }
        assert_int_equal(sizeof(two), n);
        assert_memory_equal(two, back, sizeof(two));
    }
}

static void forbidden_answers_are_refused(void **state)
{
    struct ping p;
    struct span in;
    bool is_done;
    duration rtt;
    uint8_t wrong[PING_LEN + 1];

    (void)state;
    /* Nobody asked. */
    ping_init(&p);
    in = SPAN(wrong, 1);
    assert_err(ERR_PROTO, ping_recv(&p, &in, 0, &is_done, &rtt));
    /* Any other byte. */
    for (size_t i = 0; i < PING_LEN; i++) {
        start(&p, 0);
        memcpy(wrong, p.bytes, PING_LEN);
        wrong[i] ^= 0x80;
        in = SPAN(wrong, PING_LEN);
        assert_err(ERR_PROTO, ping_recv(&p, &in, 0, &is_done, &rtt));
        assert_false(is_done);
    }
    /* A byte too many. */
    start(&p, 0);
    memcpy(wrong, p.bytes, PING_LEN);
    in = SPAN(wrong, PING_LEN + 1);
    assert_ok(ping_recv(&p, &in, 0, &is_done, &rtt));
    assert_true(is_done);
    assert_int_equal(1, in.len);
    assert_err(ERR_PROTO, ping_recv(&p, &in, 0, &is_done, &rtt));
}

static void the_answer_has_ten_seconds(void **state)
{
    struct ping p;

    (void)state;
    ping_init(&p);
    assert_int_equal(TSTAMP_NEVER, ping_deadline(&p));
    assert_ok(ping_tick(&p, 1 * HOURS));
    start(&p, 3 * SECONDS);
    assert_int_equal(13 * SECONDS, ping_deadline(&p));
    assert_ok(ping_tick(&p, 13 * SECONDS - 1));
    assert_err(ERR_TIMEOUT, ping_tick(&p, 13 * SECONDS));
}

/* Neither machine has memory to fail or to fill: a peer that asks without end
 * is answered 32 bytes at a time, by a writer that bounds itself. */
static void neither_machine_grows(void **state)
{
    struct ping_echo echo;
    uint8_t flood[1000] = {0};
    struct span in = SPAN_OF(flood);
    unsigned answers = 0;

    (void)state;
    ping_echo_init(&echo);
    while (in.len > 0)
        answers += ping_echo_recv(&echo, &in);
    assert_int_equal(1000 / 32, answers);
    assert_int_equal(1000 % 32, echo.have);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_32_bytes_and_new_each_time),
        cmocka_unit_test(question_and_answer_make_a_round_trip),
        cmocka_unit_test(the_answer_may_be_cut_anywhere),
        cmocka_unit_test(questions_may_be_cut_and_joined_anywhere),
        cmocka_unit_test(forbidden_answers_are_refused),
        cmocka_unit_test(the_answer_has_ten_seconds),
        cmocka_unit_test(neither_machine_grows),
    };

    return cmocka_run_group_tests_name("ping", tests, NULL, NULL);
}
