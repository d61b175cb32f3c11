/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "kad/internal.h"

/* The input is a story of what a hostile network does to one kad:
 *
 *      (what, 1 byte ‖ which, 1 byte ‖ length, 2 bytes ‖ bytes)*
 *
 * requests of strangers, answers to our questions, failures, time.  Whatever
 * happens, every operation ends exactly once and nothing grows beyond its
 * limit. */
enum { QUESTIONS_MAX = 64, OPERATIONS_MAX = 8 };

static enum err fuzz_validate(void *ctx, struct span key, struct span value,
                              wall_ms wall)
{
    (void)ctx, (void)key, (void)wall;
    return value.data[0] == '!' ? ERR_BAD_SIGNATURE : OK;
}

static int fuzz_select(void *ctx, struct span key, struct span a, struct span b)
{
    (void)ctx, (void)key;
    return span_cmp(a, b);
}

/* The first byte is the owner. */
static bool fuzz_publisher_of(void *ctx, struct span value, struct peer_id *out)
{
    (void)ctx;
    *out = (struct peer_id){.len = 3, .bytes = {0, 1, value.data[0]}};
    return value.data[0] != '-';
}

static const struct kad_validator validator = {
    .validate = fuzz_validate,
    .select = fuzz_select,
    .publisher_of = fuzz_publisher_of,
};

struct play {
    struct kad *k;
    struct rng_seeded seed;
    struct rng rng;
    tstamp now;
    uint64_t questions[QUESTIONS_MAX];
    size_t question_count;
    unsigned started, ended;
};

static struct peer_id peer_of(uint8_t n)
{
    return (struct peer_id){.len = 4, .bytes = {0, 2, 1, n}};
}

static void drain(struct play *p)
{
    struct kad_event ev;

    while (kad_poll(p->k, &ev)) {
        p->ended += ev.type == KAD_EV_DONE;
        if (ev.type == KAD_EV_RPC && p->question_count < QUESTIONS_MAX)
            p->questions[p->question_count++] = ev.rpc;
    }
}

static void start(struct play *p, uint8_t which, struct span bytes)
{
    tstamp deadline = p->now + 20 * SECONDS;
    enum err err = ERR_INVAL;
    uint64_t op;

    switch (which % 5) {
    case 0:
        err = kad_get(p->k, bytes, NULL, deadline, p->now, 1, &op);
        break;
    case 1:
        err = kad_put(p->k, SPAN_LIT("key"), bytes, deadline, p->now, 1, &op);
        break;
    case 2:
        err = kad_provide(p->k, bytes, deadline, p->now, 1, &op);
        break;
    case 3:
        err = kad_find_providers(p->k, bytes, 0, deadline, p->now, &op);
        break;
    case 4:
        err = kad_find_closest(p->k, bytes, deadline, p->now, &op);
        break;
    }
    p->started += err == OK;
}

static void act(struct play *p, uint8_t what, uint8_t which, struct span bytes)
{
    struct peer_id peer = peer_of(which);
    struct multiaddr addr;
    struct buf answer;
    uint64_t rpc =
        p->question_count ? p->questions[which % p->question_count] : which;

    switch (what % 6) {
    case 0:
        buf_init(&answer, KAD_MESSAGE_MAX, &mem_libc);
        if (kad_on_request(p->k, &peer, bytes, p->now, 1, &answer) != OK &&
            buf_len(&answer) > 0)
            abort();
        if (buf_len(&answer) > KAD_MESSAGE_SEND_MAX)
            abort();
        buf_release(&answer);
        break;
    case 1:
        kad_on_answer(p->k, rpc, bytes, p->now, 1);
        break;
    case 2:
        kad_on_failure(p->k, rpc, ERR_RESET, p->now, 1);
        break;
    case 3:
        p->now += (tstamp)which * which * 10 * MILLISECONDS;
        kad_tick(p->k, p->now, 1);
        break;
    case 4:
        start(p, which, bytes);
        break;
    case 5:
        multiaddr_from_ip(&addr, SPAN(((uint8_t[]){20, which, 1, 1}), 4), 1);
        kad_peer_identified(p->k, &peer, &addr, 1, &addr, which % 4 != 0,
                            p->now);
        if (which % 8 == 7)
            kad_peer_disconnected(p->k, &peer, p->now);
        break;
    }
    drain(p);
}

static void check(const struct play *p, const struct kad_config *config)
{
    struct kad_stats s;

    kad_stats(p->k, &s);
    if (s.records > config->records_max ||
        s.record_bytes > config->record_bytes_max ||
        s.provider_records > config->provider_records_max ||
        s.rpcs > config->rpcs_max || s.operations > config->operations_max ||
        s.contacts > config->contacts_max)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer_id self = peer_of(0);
    struct play p = {.now = 1000 * SECONDS};
    struct span in = SPAN(data, size), bytes;
    struct kad_config config;
    uint8_t what, which;
    uint16_t len;

    kad_config_default(&config, &self);
    config.records_max = 8;
    config.record_bytes_max = 4096;
    config.provider_records_max = 8;
    config.provider_keys_max = 4;
    config.rpcs_max = 16;
    config.operations_max = OPERATIONS_MAX;
    config.contacts_max = 16;
    p.rng = rng_seeded(&p.seed, 1);
    p.k = kad_new(&config, &validator, NULL, &p.rng, &mem_libc, &log_none,
                  p.now, 1);
    while (span_u8(&in, &what) && span_u8(&in, &which) && span_u16(&in, &len)) {
        bytes = span_take(&in, len);
        act(&p, what, which, bytes);
        check(&p, &config);
    }
    /* All that runs ends by its deadline. */
    for (int i = 0; i < 100 && p.ended < p.started; i++) {
        p.now += 1 * SECONDS;
        kad_tick(p.k, p.now, 1);
        drain(&p);
    }
    if (p.started != p.ended)
        abort();
    kad_free(p.k);
    return 0;
}
