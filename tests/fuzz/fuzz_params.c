/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a query.  Its parameters are read as every type there is; what
 * was accepted must hold what the type promises, and writing the parameters
 * again, all bytes encoded, must give the same ones. */
#include "gateway/json.h"
#include "gateway/params.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

static void read_all(struct params *p)
{
    static const char *const names[] = {"q", "n", "b", "d", "c", ""};
    static const char *const words[] = {"one", "two", NULL};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t before = p->problems->count;
        struct span text;
        uint64_t n;
        bool b;
        duration d;
        unsigned c;

        if (params_text(p, names[i], 1, 64, &text))
            REQUIRE(text.len >= 1 && text.len <= 64 && utf8_is_valid(text));
        if (params_u64(p, names[i], 3, 99, &n))
            REQUIRE(n >= 3 && n <= 99);
        if (params_duration(p, names[i], 50 * MILLISECONDS, SECONDS, &d))
            REQUIRE(d >= 50 * MILLISECONDS && d <= SECONDS);
        if (params_choice(p, names[i], words, &c))
            REQUIRE(c < 2);
        (void)params_bool(p, names[i], &b);
        if (!params_has(p, names[i]))
            REQUIRE(p->problems->count == before);
    }
}

static size_t encode(struct span s, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        out[n++] = '%';
        out[n++] = hex[s.data[i] >> 4];
        out[n++] = hex[s.data[i] & 15];
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *query = malloc(size + 1);
    char *again = malloc(3 * size + 2 * PARAMS_MAX + 1);
    struct problems problems = {.count = 0}, none = {.count = 0};
    struct params p, twin;
    size_t n = 0;
    duration wait;

    (void)prefer_wait(SPAN(data, size), &wait);
    if (size > 0)
        memcpy(query, data, size);
    if (params_parse(&p, query, size, &problems) == OK) {
        read_all(&p);
        for (size_t i = 0; i < p.count; i++) {
            n += encode(p.at[i].name, again + n);
            again[n++] = '=';
            n += encode(p.at[i].value, again + n);
            again[n++] = '&';
        }
        REQUIRE(params_parse(&twin, again, n, &none) == OK);
        REQUIRE(twin.count == p.count);
        for (size_t i = 0; i < p.count; i++)
            REQUIRE(span_eq(p.at[i].name, twin.at[i].name) &&
                    span_eq(p.at[i].value, twin.at[i].value));
    }
    free(query);
    free(again);
    return 0;
}
