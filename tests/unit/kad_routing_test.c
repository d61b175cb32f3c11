/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/lookup.h"
#include "kad/routing.h"

#include "support/kad.h"

enum { TWIN_PEERS = 600 };

struct table {
    struct routing r;
    struct test_heap heap;
};

static void table_open(struct table *t)
{
    struct peer_id self = test_peer(0);

    test_heap_init(&t->heap);
    routing_init(&t->r, &self, 4096, &t->heap.mem);
}

static void table_close(struct table *t)
{
    routing_release(&t->r);
    assert_int_equal(0, t->heap.live);
}

static struct contact *add(struct table *t, unsigned n, uint64_t group)
{
    struct peer_id id = test_peer(n);
    struct contact *c = routing_know(&t->r, &id);

    assert_non_null(c);
    c->group = group;
    if (routing_room_for(&t->r, c) == ROUTING_ROOM)
        routing_enter(&t->r, c);
    return c;
}

static const uint8_t *twin_target;

static int by_distance(const void *a, const void *b)
{
    const struct contact *const *x = a, *const *y = b;
    uint8_t da[KAD_POSITION_LEN], db[KAD_POSITION_LEN];

    position_xor((*x)->position, twin_target, da);
    position_xor((*y)->position, twin_target, db);
    return memcmp(da, db, sizeof(da));
}

/* The naive twin: all entries, sorted by distance. */
static size_t twin_closest(const struct table *t, const uint8_t *target,
                           bool wants_suspects, struct contact **out)
{
    struct contact *c, *tmp;
    size_t count = 0;

    MAP_FOR_EACH(t->r.contacts, c, tmp)
        if (c->place == CONTACT_IN_TABLE && (c->failures > 0) == wants_suspects)
            out[count++] = c;
    twin_target = target;
    qsort(out, count, sizeof(out[0]), by_distance);
    return count;
}

static void closest_are_not_what_sorting_everybody_gives(void **state)
{
    struct contact *got[KAD_K], *want[TWIN_PEERS];
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 7);
    struct table t;

    (void)state;
    table_open(&t);
    for (unsigned n = 1; n < TWIN_PEERS; n++) {
        struct contact *c = add(&t, n, 0);

        if (c->place == CONTACT_IN_TABLE && rng_below(&rng, 10) == 0)
            c->failures = 1;
        for (int q = 0; q < 3; q++) {
            uint8_t target[KAD_POSITION_LEN];
            size_t max = 1 + (size_t)rng_below(&rng, KAD_K), count;

            rng_fill(&rng, target, sizeof(target));
            if (q == 1) /* near ourselves: the deep buckets */
                memcpy(target, t.r.self, 2 + (size_t)rng_below(&rng, 30));
            if (q == 2)
                memcpy(target, c->position, sizeof(target));
            for (int suspects = 0; suspects < 2; suspects++) {
                count = twin_closest(&t, target, suspects, want);
                count = count < max ? count : max;
                assert_int_equal(
                    count,
                    suspects ? routing_closest_suspects(&t.r, target, got, max)
                             : routing_closest(&t.r, target, got, max));
                for (size_t i = 0; i < count; i++)
                    assert_ptr_equal(want[i], got[i]);
            }
        }
        if (rng_below(&rng, 4) == 0)
            routing_forget(&t.r, c);
    }
    table_close(&t);
}

static void a_bucket_takes_more_than_k(void **state)
{
    struct table t;
    unsigned waiting = 0;

    (void)state;
    table_open(&t);
    for (unsigned n = 1; n <= 200; n++) {
        struct contact *c = add(&t, n, 0);

        if (c->place == CONTACT_IN_TABLE)
            continue;
        assert_int_equal(KAD_K, t.r.buckets[c->bucket].count);
        routing_spare(&t.r, c);
        waiting += c->bucket == 0;
    }
    assert_true(waiting > KAD_SPARES_MAX);
    assert_int_equal(KAD_K, t.r.buckets[0].count);
    assert_int_equal(KAD_SPARES_MAX, t.r.buckets[0].spare_count);
    table_close(&t);
}

static void neighbours_crowd_the_table(void **state)
{
    unsigned per_bucket[ROUTING_BUCKETS] = {0}, count = 0;
    struct table t;

    (void)state;
    table_open(&t);
    for (unsigned n = 1; n <= 300; n++) {
        struct contact *c = add(&t, n, 42);

        if (c->place == CONTACT_IN_TABLE) {
            count++;
            per_bucket[c->bucket]++;
        }
    }
    assert_int_equal(KAD_GROUP_TABLE_MAX, count);
    for (unsigned i = 0; i < ROUTING_BUCKETS; i++)
        assert_true(per_bucket[i] <= KAD_GROUP_BUCKET_MAX);
    table_close(&t);
}

static void the_lost_are_remembered_without_end(void **state)
{
    struct table t;

    (void)state;
    table_open(&t);
    for (unsigned n = 1; n <= 500; n++)
        routing_lose(&t.r, add(&t, n, 0));
    assert_int_equal(KAD_LOST_MAX, t.r.lost_count);
    assert_int_equal(KAD_LOST_MAX, MAP_COUNT(t.r.contacts));
    assert_int_equal(0, t.r.count);
    table_close(&t);
}

static void an_entry_that_answered_is_doubted_first(void **state)
{
    struct contact *first = NULL, *second = NULL;
    struct table t;

    (void)state;
    table_open(&t);
    for (unsigned n = 1; second == NULL; n++) {
        struct contact *c = add(&t, n, 0);

        if (c->bucket == 0 && first == NULL)
            first = c;
        else if (c->bucket == 0)
            second = c;
    }
    assert_ptr_equal(first, routing_oldest(&t.r, 0));
    routing_heard(&t.r, first);
    assert_ptr_equal(second, routing_oldest(&t.r, 0));
    table_close(&t);
}

static void contacts_exceed_their_limit(void **state)
{
    struct peer_id self = test_peer(0), id;
    struct routing r;

    (void)state;
    routing_init(&r, &self, 3, &mem_libc);
    for (unsigned n = 1; n <= 3; n++) {
        id = test_peer(n);
        assert_non_null(routing_know(&r, &id));
    }
    id = test_peer(4);
    assert_null(routing_know(&r, &id));
    assert_null(routing_know(&r, &self));
    routing_release(&r);
}

/* --- lookup ------------------------------------------------------------ */

static void a_lookup_asks_in_the_wrong_order(void **state)
{
    struct lookup l;
    uint8_t last[KAD_POSITION_LEN] = {0};
    unsigned asked = 0;
    int slot;

    (void)state;
    lookup_init(&l, SPAN_LIT("key"), &mem_libc);
    for (unsigned n = 1; n <= 50; n++) {
        struct peer_id id = test_peer(n);

        assert_true(lookup_add(&l, &id, SPAN_NONE, 1, 0) >= 0);
    }
    while ((slot = lookup_next(&l, 1000)) != LOOKUP_NO_SLOT) {
        assert_true(memcmp(last, l.pool[slot].distance, sizeof(last)) < 0);
        memcpy(last, l.pool[slot].distance, sizeof(last));
        lookup_asked(&l, slot);
        asked++;
    }
    assert_int_equal(KAD_K, asked);
    lookup_release(&l);
}

static void a_better_reputed_peer_as_near_waits(void **state)
{
    struct lookup l;
    int slot;

    (void)state;
    lookup_init(&l, SPAN_LIT("key"), &mem_libc);
    for (unsigned n = 1; n <= 64; n++) {
        struct peer_id id = test_peer(n);

        (void)lookup_add(&l, &id, SPAN_NONE, 1, (float)(n % 8));
    }
    slot = lookup_next(&l, 1000);
    for (size_t i = 0; i < KAD_K; i++) {
        const struct candidate *c = &l.pool[l.order[i]];

        assert_true(distance_prefix(c->distance) <=
                    distance_prefix(l.pool[slot].distance));
        if (distance_prefix(c->distance) ==
            distance_prefix(l.pool[slot].distance))
            assert_true(c->score <= l.pool[slot].score);
    }
    lookup_release(&l);
}

/* Whatever liars invent, one lookup remembers and asks so many and no more. */
static void liars_make_a_lookup_endless(void **state)
{
    unsigned asked = 0, invented = 1;
    struct lookup l;
    int slot;

    (void)state;
    lookup_init(&l, SPAN_LIT("key"), &mem_libc);
    for (int i = 0; i < KAD_K; i++) {
        struct peer_id id = test_peer(invented++);

        (void)lookup_add(&l, &id, SPAN_NONE, 1, 0);
    }
    while ((slot = lookup_next(&l, 1000)) != LOOKUP_NO_SLOT) {
        lookup_asked(&l, slot);
        asked++;
        if (asked % 2 == 0)
            lookup_answered(&l, slot);
        else
            lookup_failed(&l, slot);
        for (int i = 0; i < KAD_K; i++) {
            struct peer_id id = test_peer(invented++);

            (void)lookup_add(&l, &id, SPAN_NONE, 2, 0);
        }
    }
    assert_true(asked <= KAD_ASKED_MAX);
    assert_true(l.count <= KAD_CANDIDATES_MAX);
    assert_true(lookup_is_finished(&l));
    lookup_release(&l);
}

/* The full set of candidates keeps the nearest, as sorting all would. */
static void a_full_lookup_forgets_the_nearest(void **state)
{
    uint8_t nearest[KAD_POSITION_LEN];
    struct lookup l;

    (void)state;
    memset(nearest, 0xff, sizeof(nearest));
    lookup_init(&l, SPAN_LIT("key"), &mem_libc);
    for (unsigned n = 1; n <= 2000; n++) {
        struct peer_id id = test_peer(n);
        uint8_t d[KAD_POSITION_LEN];

        (void)lookup_add(&l, &id, SPAN_NONE, 1, 0);
        position_of(peer_id_span(&id), d);
        position_xor(d, l.target, d);
        if (memcmp(d, nearest, sizeof(d)) < 0)
            memcpy(nearest, d, sizeof(d));
        assert_memory_equal(nearest, l.pool[l.order[0]].distance,
                            sizeof(nearest));
        for (size_t i = 1; i < l.count; i++)
            assert_true(memcmp(l.pool[l.order[i - 1]].distance,
                               l.pool[l.order[i]].distance,
                               KAD_POSITION_LEN) < 0);
    }
    assert_int_equal(KAD_CANDIDATES_MAX, l.count);
    lookup_release(&l);
}

static void a_slow_peer_holds_up_a_put_but_not_a_get(void **state)
{
    struct peer_id near = test_peer(1), far = test_peer(2);
    struct lookup l;
    int slow, quick;

    (void)state;
    lookup_init(&l, SPAN_LIT("key"), &mem_libc);
    slow = lookup_add(&l, &near, SPAN_NONE, 1, 0);
    quick = lookup_add(&l, &far, SPAN_NONE, 1, 0);
    lookup_asked(&l, slow);
    lookup_asked(&l, quick);
    lookup_slow(&l, slow);
    assert_int_equal(1, l.in_flight);
    lookup_answered(&l, quick);
    assert_int_equal(0, l.in_flight);
    assert_int_equal(1, l.outstanding);
    assert_false(lookup_is_finished(&l));
    l.leaves_slow_out = true;
    assert_true(lookup_is_finished(&l));
    lookup_failed(&l, slow);
    assert_int_equal(0, l.outstanding);
    l.leaves_slow_out = false;
    assert_true(lookup_is_finished(&l));
    lookup_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closest_are_not_what_sorting_everybody_gives),
        cmocka_unit_test(a_bucket_takes_more_than_k),
        cmocka_unit_test(neighbours_crowd_the_table),
        cmocka_unit_test(the_lost_are_remembered_without_end),
        cmocka_unit_test(an_entry_that_answered_is_doubted_first),
        cmocka_unit_test(contacts_exceed_their_limit),
        cmocka_unit_test(a_lookup_asks_in_the_wrong_order),
        cmocka_unit_test(a_better_reputed_peer_as_near_waits),
        cmocka_unit_test(liars_make_a_lookup_endless),
        cmocka_unit_test(a_full_lookup_forgets_the_nearest),
        cmocka_unit_test(a_slow_peer_holds_up_a_put_but_not_a_get),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
