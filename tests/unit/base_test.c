/* SPDX-License-Identifier: Apache-2.0 */
#include "base/budget.h"
#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"

#include "support/test.h"

static void buf_keeps_bytes_in_order_and_its_limit(void **state)
{
    struct test_heap heap;
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 1);
    uint8_t twin[512], next_in = 0, next_out = 0;
    size_t twin_len = 0;
    struct buf b;

    (void)state;
    test_heap_init(&heap);
    buf_init(&b, sizeof(twin), &heap.mem);
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)rng_below(&rng, 100);
        uint8_t bytes[100];

        if (rng_below(&rng, 2)) {
            for (size_t k = 0; k < n; k++)
                bytes[k] = (uint8_t)(next_in + k);
            if (twin_len + n > sizeof(twin)) {
                assert_err(ERR_LIMIT, buf_put(&b, SPAN(bytes, n)));
                continue;
            }
            assert_ok(buf_put(&b, SPAN(bytes, n)));
            next_in = (uint8_t)(next_in + n);
            twin_len += n;
        } else {
            n = n < twin_len ? n : twin_len;
            for (size_t k = 0; k < n; k++)
                assert_int_equal((uint8_t)(next_out + k), buf_span(&b).data[k]);
            next_out = (uint8_t)(next_out + n);
            buf_drain(&b, n);
            twin_len -= n;
        }
        assert_int_equal(twin_len, buf_len(&b));
    }
    buf_release(&b);
    assert_int_equal(0, heap.live);
}

static void buf_survives_a_failed_allocation(void **state)
{
    struct test_heap heap;
    struct buf b;

    (void)state;
    test_heap_init(&heap);
    buf_init(&b, 4096, &heap.mem);
    assert_ok(buf_put(&b, SPAN_LIT("kept")));
    test_heap_fail(&heap, 1);
    assert_err(ERR_NOMEM, buf_printf(&b, "%200d", 1));
    assert_span_equal(SPAN_LIT("kept"), buf_span(&b));
    assert_ok(buf_printf(&b, " %d", 42));
    assert_span_equal(SPAN_LIT("kept 42"), buf_span(&b));
    buf_release(&b);
    assert_int_equal(0, heap.live);
}

/* The naive twin: look at every node for the least (at, order of setting). */
static void heap_pops_what_a_linear_scan_would(void **state)
{
    enum { N = 64 };
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 2);
    struct heap_node nodes[N] = {{0}};
    uint64_t order[N] = {0}, clock = 1;
    struct heap heap;

    (void)state;
    heap_init(&heap, &mem_libc);
    for (int i = 0; i < 20000; i++) {
        size_t k = (size_t)rng_below(&rng, N);
        tstamp at = rng_below(&rng, 50);
        size_t least = N;

        if (rng_below(&rng, 3)) {
            if (nodes[k].slot == 0 || nodes[k].at != at)
                order[k] = clock++;
            assert_ok(heap_set(&heap, &nodes[k], at));
            continue;
        }
        for (size_t j = 0; j < N; j++)
            if (nodes[j].slot != 0 &&
                (least == N || nodes[j].at < nodes[least].at ||
                 (nodes[j].at == nodes[least].at && order[j] < order[least])))
                least = j;
        if (least == N) {
            assert_null(heap_pop_due(&heap, TSTAMP_NEVER - 1));
            continue;
        }
        assert_int_equal(nodes[least].at, heap_deadline(&heap));
        if (nodes[least].at > 0)
            assert_null(heap_pop_due(&heap, nodes[least].at - 1));
        assert_ptr_equal(&nodes[least], heap_pop_due(&heap, nodes[least].at));
    }
    heap_release(&heap);
}

static void fill_counting(void *ctx, void *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)i;
}

/* The reference implementation's vectors, key and input 00 01 02 ... */
static void map_hash_is_siphash_2_4(void **state)
{
    static const uint64_t want[] = {
        [0] = 0x726fdb47dd0e0e31u,  [1] = 0x74f839c593dc67fdu,
        [7] = 0xab0200f58b01d137u,  [8] = 0x93f5f5799a932462u,
        [15] = 0xa129ca6149be45e5u,
    };
    const struct rng counting = {.fill = fill_counting};
    uint8_t in[16];

    (void)state;
    fill_counting(NULL, in, sizeof(in));
    map_set_key(&counting);
    for (size_t n = 0; n < sizeof(want) / sizeof(want[0]); n++)
        if (want[n] != 0)
            assert_int_equal(want[n], map_hash(in, n));
}

static void err_codes_are_made_from_the_names(void **state)
{
    (void)state;
    assert_string_equal("version-exists", err_code(ERR_VERSION_EXISTS));
    assert_int_equal(409, err_http_status(ERR_VERSION_EXISTS));
    assert_int_equal(ERR_CLASS_PEER, err_class(ERR_PROTO));
    assert_string_equal("ok", err_code(OK));
}

static void a_budget_gives_more_than_it_has(void **state)
{
    struct test_heap heap;
    struct budget all, one;
    void *a, *b, *grown;

    (void)state;
    test_heap_init(&heap);
    budget_init(&all, 1000, &heap.mem);
    budget_init(&one, 600, &all.mem);
    a = mem_try(&all.mem, NULL, 1000);
    assert_non_null(a);
    assert_int_equal(1000, all.used);
    assert_null(mem_try(&all.mem, NULL, 1));
    assert_int_equal(1, all.refused);
    /* Less is always possible, more only within the bound. */
    a = mem_try(&all.mem, a, 300);
    assert_int_equal(300, all.used);
    b = mem_try(&one.mem, NULL, 600);
    assert_non_null(b);
    memset(b, 1, 600);
    assert_null(mem_try(&one.mem, b, 601));
    assert_int_equal(1, one.refused);
    assert_null(mem_try(&all.mem, a, SIZE_MAX));
    /* What is below says no: nothing is counted as used. */
    mem_free(&one.mem, b);
    test_heap_fail(&heap, 1);
    assert_null(mem_try(&one.mem, NULL, 100));
    assert_int_equal(0, one.used);
    grown = mem_try(&one.mem, NULL, 100);
    memset(grown, 7, 100);
    grown = mem_try(&one.mem, grown, 400);
    assert_int_equal(7, ((uint8_t *)grown)[99]);
    mem_free(&one.mem, grown);
    mem_free(&all.mem, a);
    budget_release(&one);
    budget_release(&all);
    assert_int_equal(0, heap.live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_keeps_bytes_in_order_and_its_limit),
        cmocka_unit_test(a_budget_gives_more_than_it_has),
        cmocka_unit_test(buf_survives_a_failed_allocation),
        cmocka_unit_test(heap_pops_what_a_linear_scan_would),
        cmocka_unit_test(map_hash_is_siphash_2_4),
        cmocka_unit_test(err_codes_are_made_from_the_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
