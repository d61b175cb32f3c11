/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/providers.h"
#include "kad/records.h"

#include "support/kad.h"

/* A record store, or a provider store, and what it needs. */
struct shop {
    struct test_heap heap;
    struct kad_config config;
    struct kad_stats stats;
    struct events events;
    struct rng_seeded seed;
    struct rng rng;
    struct records r;
    struct providers p;
    tstamp now;
};

static void shop_open(struct shop *s)
{
    struct peer_id self = test_peer(0);

    *s = (struct shop){.now = 1000 * SECONDS};
    test_heap_init(&s->heap);
    kad_config_default(&s->config, &self);
    s->rng = rng_seeded(&s->seed, 3);
    events_init(&s->events, &s->heap.mem);
    records_init(&s->r, &s->config, &test_validator, &s->rng, &s->stats,
                 &s->events, &s->heap.mem);
    providers_init(&s->p, &s->config, &s->rng, &s->stats, &s->events,
                   &s->heap.mem);
}

static void shop_close(struct shop *s)
{
    records_release(&s->r);
    providers_release(&s->p);
    events_release(&s->events);
    assert_int_equal(0, s->r.bytes);
    assert_int_equal(0, s->r.count);
    assert_int_equal(0, s->r.own_count);
    assert_int_equal(0, s->p.count);
    assert_int_equal(0, s->heap.live);
}

static wall_ms wall_of(const struct shop *s)
{
    return test_wall + (wall_ms)(s->now / MILLISECONDS);
}

/* How many events of |type| wait; all are taken. */
static unsigned drain(struct shop *s, enum kad_event_type type)
{
    struct kad_event ev;
    unsigned count = 0;

    while (events_poll(&s->events, &ev))
        count += ev.type == type;
    return count;
}

static enum err put_for(struct shop *s, const char *key, const char *value,
                        duration life, bool is_own)
{
    struct record_in in = {.key = span_str(key),
                           .value = span_str(value),
                           .publisher = test_peer(99),
                           .is_own = is_own,
                           .received = wall_of(s),
                           .expires_at = s->now + life};

    if (!test_publisher_of(NULL, in.value, &in.owner))
        in.owner = (struct peer_id){0};
    return records_put(&s->r, &in, false, s->now, wall_of(s));
}

static enum err put(struct shop *s, const char *key, const char *value)
{
    return put_for(s, key, value, 48 * HOURS, false);
}

static void assert_best(struct shop *s, const char *key, const char *value)
{
    const struct record *e = records_best(&s->r, span_str(key), s->now);

    if (value == NULL) {
        assert_null(e);
        return;
    }
    assert_non_null(e);
    assert_span_equal(span_str(value), record_value(e));
}

static void pass(struct shop *s, duration d)
{
    unsigned work = 1u << 30;

    s->now += d;
    while (records_due(&s->r, &work, false, s->now, wall_of(s)) != NULL)
        ;
    providers_expire(&s->p, &work, s->now, wall_of(s));
}

/* --- records ----------------------------------------------------------- */

static void an_older_record_replaces_a_newer_one(void **state)
{
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(put(&s, "/souk/a", "A:0002:x"));
    assert_err(ERR_STALE_SEQUENCE, put(&s, "/souk/a", "A:0001:x"));
    assert_best(&s, "/souk/a", "A:0002:x");
    assert_ok(put(&s, "/souk/a", "A:0003:x"));
    assert_best(&s, "/souk/a", "A:0003:x");
    assert_int_equal(1, s.r.count);
    assert_int_equal(2, drain(&s, KAD_EV_RECORD_STORED));
    shop_close(&s);
}

static void a_fifth_publisher_gets_in_without_being_better(void **state)
{
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(put(&s, "/souk/a", "A:0005:"));
    assert_ok(put(&s, "/souk/a", "B:0006:"));
    assert_ok(put(&s, "/souk/a", "C:0007:"));
    assert_ok(put(&s, "/souk/a", "D:0008:"));
    assert_err(ERR_LIMIT, put(&s, "/souk/a", "E:0004:"));
    assert_int_equal(1, s.stats.publishers_refused);
    assert_int_equal(4, s.r.count);
    (void)drain(&s, KAD_EV_DONE);
    assert_ok(put(&s, "/souk/a", "E:0009:"));
    assert_int_equal(4, s.r.count);
    assert_int_equal(1, drain(&s, KAD_EV_RECORD_FORGOTTEN));
    assert_best(&s, "/souk/a", "E:0009:");
    assert_err(ERR_LIMIT, put(&s, "/souk/a", "A:0005:"));
    shop_close(&s);
}

static void equal_values_are_kept_twice(void **state)
{
    struct shop s;
    size_t one;

    (void)state;
    shop_open(&s);
    assert_ok(put(&s, "/souk/a", "A:0001:the same long bytes"));
    one = s.r.bytes;
    assert_ok(put(&s, "/souk/b", "A:0001:the same long bytes"));
    assert_int_equal(1, MAP_COUNT(s.r.values));
    assert_true(s.r.bytes - one < one);
    assert_ptr_equal(records_first(&s.r, SPAN_LIT("/souk/a"))->value,
                     records_first(&s.r, SPAN_LIT("/souk/b"))->value);
    shop_close(&s);
}

static void an_owner_who_published_is_kept_twice(void **state)
{
    struct record_in in = {.key = SPAN_LIT("/souk/a"),
                           .value = SPAN_LIT("A:0001:x"),
                           .owner = test_owner('A'),
                           .publisher = test_owner('A'),
                           .expires_at = 2000 * SECONDS};
    const struct record *e;
    struct peer_id id;
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(records_put(&s.r, &in, false, s.now, wall_of(&s)));
    e = records_of(&s.r, in.key, &in.owner);
    assert_non_null(e);
    id = record_owner(e);
    assert_true(peer_id_eq(&id, &in.owner));
    id = record_publisher(e);
    assert_true(peer_id_eq(&id, &in.publisher));
    assert_int_equal(sizeof(struct record) + in.key.len + in.owner.len +
                         sizeof(struct value) + in.value.len,
                     s.r.bytes);
    shop_close(&s);
}

static void an_entry_is_larger_than_promised(void **state)
{
    (void)state;
    assert_true(sizeof(struct record) <= 136);
    assert_true(sizeof(struct provider_entry) <= 64);
}

static void a_record_outlives_its_time(void **state)
{
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(put_for(&s, "/souk/a", "A:0001:", 1 * HOURS, false));
    (void)drain(&s, KAD_EV_DONE);
    pass(&s, 1 * HOURS - 1);
    assert_best(&s, "/souk/a", "A:0001:");
    assert_int_equal(0, drain(&s, KAD_EV_RECORD_FORGOTTEN));
    pass(&s, 1);
    assert_best(&s, "/souk/a", NULL);
    assert_int_equal(1, drain(&s, KAD_EV_RECORD_FORGOTTEN));
    assert_int_equal(0, s.r.count);
    shop_close(&s);
}

static void a_refresh_shortens_a_life_or_is_saved_each_time(void **state)
{
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(put_for(&s, "/souk/a", "A:0001:", 40 * HOURS, false));
    assert_ok(put_for(&s, "/souk/a", "A:0001:", 1 * HOURS, false));
    assert_ok(put_for(&s, "/souk/a", "A:0001:", 41 * HOURS, false));
    assert_int_equal(1, drain(&s, KAD_EV_RECORD_STORED));
    assert_ok(put_for(&s, "/souk/a", "A:0001:", 48 * HOURS, false));
    assert_int_equal(1, drain(&s, KAD_EV_RECORD_STORED));
    pass(&s, 48 * HOURS - 1);
    assert_best(&s, "/souk/a", "A:0001:");
    shop_close(&s);
}

/* A signed record is due within 3/4 … 5/4 of an hour, an unsigned one never,
 * and hearing it from another holder puts it off. */
static void holders_replicate_at_the_wrong_time(void **state)
{
    unsigned work = 1000;
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(put(&s, "/souk/a", "A:0001:"));
    assert_ok(put(&s, "/souk/b", "-:0001:"));
    s.now += 45 * MINUTES - 1;
    assert_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_ok(put(&s, "/souk/a", "A:0001:"));
    s.now += 45 * MINUTES - 1;
    assert_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    s.now += 30 * MINUTES + 1;
    assert_null(records_due(&s.r, &work, false, s.now, wall_of(&s)));
    assert_non_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_int_equal(1, s.stats.replicated);
    shop_close(&s);
}

static void our_record_ends_though_it_is_ours(void **state)
{
    struct shop s;
    unsigned work = 1u << 20;

    (void)state;
    shop_open(&s);
    assert_ok(put_for(&s, "/souk/a", "-:0001:", 48 * HOURS, true));
    s.now += 22 * HOURS - 1;
    assert_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    s.now += 1;
    assert_non_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_int_equal(1, s.stats.republished);
    /* Others' copies do not put our own renewal off. */
    s.now += 20 * HOURS;
    assert_ok(put(&s, "/souk/a", "-:0001:"));
    s.now += 2 * HOURS;
    assert_non_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_int_equal(2, s.stats.republished);
    records_disown(&s.r, SPAN_LIT("/souk/a"), s.now);
    s.now += 48 * HOURS;
    assert_null(records_due(&s.r, &work, true, s.now, wall_of(&s)));
    assert_int_equal(0, s.r.count);
    shop_close(&s);
}

static void a_full_store_takes_more(void **state)
{
    char key[32];
    struct shop s;

    (void)state;
    shop_open(&s);
    s.config.records_max = 10;
    for (int i = 0; i < 10; i++) {
        (void)snprintf(key, sizeof(key), "/souk/%d", i);
        assert_ok(put_for(&s, key, "A:0001:", 48 * HOURS, i < 3));
    }
    assert_err(ERR_LIMIT, put(&s, "/souk/x", "A:0001:"));
    assert_int_equal(1, s.stats.records_refused);
    /* Ours are let in: the oldest of the others leaves. */
    for (int i = 0; i < 7; i++) {
        (void)snprintf(key, sizeof(key), "/souk/own%d", i);
        assert_ok(put_for(&s, key, "A:0001:", 48 * HOURS, true));
        assert_int_equal(10, s.r.count);
    }
    assert_best(&s, "/souk/0", "A:0001:");
    assert_best(&s, "/souk/3", NULL);
    assert_int_equal(10, s.r.own_count);
    assert_err(ERR_LIMIT,
               put_for(&s, "/souk/own7", "A:0001:", 48 * HOURS, true));
    shop_close(&s);
}

static void bytes_exceed_their_limit(void **state)
{
    char key[32], value[64];
    struct shop s;
    enum err err = OK;
    int i;

    (void)state;
    shop_open(&s);
    s.config.record_bytes_max = 10000;
    for (i = 0; i < 1000 && err == OK; i++) {
        (void)snprintf(key, sizeof(key), "/souk/%d", i);
        (void)snprintf(value, sizeof(value), "A:%04d:", i);
        err = put(&s, key, value);
        assert_true(s.r.bytes <= 10000);
    }
    assert_err(ERR_LIMIT, err);
    assert_int_equal(1, s.stats.record_bytes_refused);
    shop_close(&s);
}

/* The naive twin: a plain array of (key, owner, sequence, end). */
enum { TWIN_KEYS = 12, TWIN_OWNERS = 6 };

struct twin {
    unsigned sequence[TWIN_KEYS][TWIN_OWNERS]; /* 0: none */
    tstamp end[TWIN_KEYS][TWIN_OWNERS];
};

/* Which (sequence, owner) wins, as test_select has it. */
static int twin_best(const struct twin *t, unsigned key, tstamp now,
                     unsigned *count)
{
    int best = -1;

    *count = 0;
    for (int o = 0; o < TWIN_OWNERS; o++) {
        if (t->end[key][o] <= now || t->sequence[key][o] == 0)
            continue;
        (*count)++;
        if (best < 0 || t->sequence[key][o] > t->sequence[key][best])
            best = o;
    }
    return best;
}

static int twin_worst(const struct twin *t, unsigned key, tstamp now)
{
    int worst = -1;

    for (int o = 0; o < TWIN_OWNERS; o++)
        if (t->end[key][o] > now && t->sequence[key][o] > 0 &&
            (worst < 0 || t->sequence[key][o] <= t->sequence[key][worst]))
            worst = o;
    return worst;
}

static enum err twin_put(struct twin *t, unsigned key, unsigned owner,
                         unsigned sequence, tstamp end, tstamp now)
{
    unsigned count;
    int worst;

    if (t->end[key][owner] > now && t->sequence[key][owner] > 0) {
        if (t->sequence[key][owner] > sequence)
            return ERR_STALE_SEQUENCE;
        if (t->sequence[key][owner] == sequence) {
            if (end > t->end[key][owner])
                t->end[key][owner] = end;
            return OK;
        }
    } else {
        (void)twin_best(t, key, now, &count);
        worst = twin_worst(t, key, now);
        if (count == KAD_PUBLISHERS_MAX) {
            if (t->sequence[key][worst] > sequence ||
                (t->sequence[key][worst] == sequence && worst < (int)owner))
                return ERR_LIMIT;
            t->sequence[key][worst] = 0;
        }
    }
    t->sequence[key][owner] = sequence;
    t->end[key][owner] = end;
    return OK;
}

static void the_store_differs_from_a_plain_array(void **state)
{
    struct twin twin = {0};
    struct shop s;

    (void)state;
    shop_open(&s);
    for (int i = 0; i < 20000; i++) {
        unsigned key = (unsigned)rng_below(&s.rng, TWIN_KEYS), count;
        unsigned owner = (unsigned)rng_below(&s.rng, TWIN_OWNERS);
        unsigned sequence = 1 + (unsigned)rng_below(&s.rng, 9);
        duration life = (1 + rng_below(&s.rng, 40)) * HOURS;
        char name[16], value[16];
        int best;

        (void)snprintf(name, sizeof(name), "/souk/%02u", key);
        (void)snprintf(value, sizeof(value), "%c:%04u:", (char)('A' + owner),
                       sequence);
        assert_err(twin_put(&twin, key, owner, sequence, s.now + life, s.now),
                   put_for(&s, name, value, life, false));
        best = twin_best(&twin, key, s.now, &count);
        (void)snprintf(value, sizeof(value), "%c:%04u:", (char)('A' + best),
                       best < 0 ? 0 : twin.sequence[key][best]);
        assert_best(&s, name, best < 0 ? NULL : value);
        if (rng_below(&s.rng, 5) == 0)
            s.now += rng_below(&s.rng, 4) * HOURS;
        (void)drain(&s, KAD_EV_DONE);
    }
    pass(&s, 1000 * HOURS);
    /* Signed records are due before they end; nobody put them again. */
    for (unsigned work = 1u << 20;
         records_due(&s.r, &work, true, s.now, wall_of(&s)) != NULL;)
        ;
    assert_int_equal(0, s.r.count);
    shop_close(&s);
}

/* --- providers --------------------------------------------------------- */

static enum err provide(struct shop *s, const char *key, unsigned peer)
{
    struct peer_id id = test_peer(peer);

    return providers_put(&s->p, span_str(key), &id, SPAN_NONE,
                         s->now + s->config.provider_lifetime, false, s->now,
                         wall_of(s));
}

/* 200 provide one key, in order and the first half again and again: each must
 * be among the 20 about equally often. */
static void the_first_or_the_loud_crowd_a_key(void **state)
{
    unsigned kept[4] = {0};

    (void)state;
    for (unsigned round = 0; round < 100; round++) {
        struct kad_peer found[KAD_PROVIDERS_PER_KEY];
        struct shop s;
        size_t count;

        shop_open(&s);
        s.seed.state = round;
        rng_fill(&s.rng, s.p.salt, sizeof(s.p.salt));
        for (unsigned n = 0; n < 200; n++) {
            assert_ok(provide(&s, "key", n));
            assert_ok(provide(&s, "key", n / 2));
        }
        count = providers_of(&s.p, SPAN_LIT("key"), s.now, found,
                             KAD_PROVIDERS_PER_KEY);
        assert_int_equal(KAD_PROVIDERS_PER_KEY, count);
        for (size_t i = 0; i < count; i++)
            kept[test_peer_number(&found[i].id) / 50]++;
        shop_close(&s);
    }
    for (int quarter = 0; quarter < 4; quarter++)
        assert_in_range(kept[quarter], 400, 600);
}

static void a_provider_outlives_its_time(void **state)
{
    struct kad_peer found[KAD_PROVIDERS_PER_KEY];
    struct shop s;

    (void)state;
    shop_open(&s);
    assert_ok(provide(&s, "key", 1));
    pass(&s, 24 * HOURS);
    assert_ok(provide(&s, "key", 2));
    assert_int_equal(2, drain(&s, KAD_EV_PROVIDER_STORED));
    pass(&s, 24 * HOURS - 1);
    assert_int_equal(2, providers_of(&s.p, SPAN_LIT("key"), s.now, found, 20));
    pass(&s, 1);
    assert_int_equal(1, providers_of(&s.p, SPAN_LIT("key"), s.now, found, 20));
    assert_int_equal(1, drain(&s, KAD_EV_PROVIDER_FORGOTTEN));
    pass(&s, 24 * HOURS);
    assert_int_equal(0, MAP_COUNT(s.p.keys));
    assert_int_equal(0, MAP_COUNT(s.p.peers));
    shop_close(&s);
}

static void saying_it_often_is_saved_often(void **state)
{
    struct shop s;

    (void)state;
    shop_open(&s);
    for (int i = 0; i < 100; i++) {
        assert_ok(provide(&s, "key", 1));
        s.now += 1 * MINUTES;
    }
    assert_int_equal(1, drain(&s, KAD_EV_PROVIDER_STORED));
    s.now += 22 * HOURS;
    assert_ok(provide(&s, "key", 1));
    assert_int_equal(1, drain(&s, KAD_EV_PROVIDER_STORED));
    shop_close(&s);
}

static void providers_exceed_their_limits(void **state)
{
    char key[16];
    struct shop s;

    (void)state;
    shop_open(&s);
    s.config.provider_keys_max = 5;
    s.config.provider_records_max = 12;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(key, sizeof(key), "key%d", i);
        assert_ok(provide(&s, key, 1));
        assert_ok(provide(&s, key, 2));
    }
    assert_err(ERR_LIMIT, provide(&s, "key5", 1));
    assert_int_equal(1, s.stats.provider_keys_refused);
    assert_ok(provide(&s, "key5", 3));
    assert_ok(provide(&s, "key5", 4));
    assert_err(ERR_LIMIT, provide(&s, "key5", 5));
    assert_int_equal(1, s.stats.providers_refused);
    assert_ok(provide(&s, "key4", 1));
    assert_int_equal(12, s.p.count);
    shop_close(&s);
}

static void a_failed_allocation_leaves_half_an_entry(void **state)
{
    (void)state;
    for (unsigned nth = 1;; nth++) {
        struct shop s;
        enum err first, second, third;

        shop_open(&s);
        assert_ok(put(&s, "/souk/a", "A:0001:x"));
        assert_ok(provide(&s, "key", 1));
        test_heap_fail(&s.heap, nth);
        first = put(&s, "/souk/a", "A:0002:y");
        second = put(&s, "/souk/b", "B:0001:z");
        third = provide(&s, "key2", 2);
        assert_best(&s, "/souk/a", first ? "A:0001:x" : "A:0002:y");
        assert_best(&s, "/souk/b", second ? NULL : "B:0001:z");
        assert_int_equal(third ? 1 : 2, s.p.count);
        assert_int_equal(s.p.count, MAP_COUNT(s.p.keys));
        shop_close(&s);
        if (first == OK && second == OK && third == OK)
            break;
        assert_true(nth < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_older_record_replaces_a_newer_one),
        cmocka_unit_test(a_fifth_publisher_gets_in_without_being_better),
        cmocka_unit_test(equal_values_are_kept_twice),
        cmocka_unit_test(an_owner_who_published_is_kept_twice),
        cmocka_unit_test(an_entry_is_larger_than_promised),
        cmocka_unit_test(a_record_outlives_its_time),
        cmocka_unit_test(a_refresh_shortens_a_life_or_is_saved_each_time),
        cmocka_unit_test(holders_replicate_at_the_wrong_time),
        cmocka_unit_test(our_record_ends_though_it_is_ours),
        cmocka_unit_test(a_full_store_takes_more),
        cmocka_unit_test(bytes_exceed_their_limit),
        cmocka_unit_test(the_store_differs_from_a_plain_array),
        cmocka_unit_test(the_first_or_the_loud_crowd_a_key),
        cmocka_unit_test(a_provider_outlives_its_time),
        cmocka_unit_test(saying_it_often_is_saved_often),
        cmocka_unit_test(providers_exceed_their_limits),
        cmocka_unit_test(a_failed_allocation_leaves_half_an_entry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
