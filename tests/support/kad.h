/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_KAD_H
#define SUPPORT_KAD_H

#include <stdio.h>
#include <stdlib.h>

#include "kad/kad.h"
#include "support/test.h"

/* What the kad tests share: peers by number, and records so simple that a test
 * can write them:  "A:0007:anything" is signed by owner A, its sequence 7;
 * owner "-" is nobody.  Valid under keys "/souk/…". */
enum { TEST_WALL = 1700000000 };
static const wall_ms test_wall = (wall_ms)TEST_WALL * 1000;

static inline struct peer_id test_peer(unsigned n)
{
    struct peer_id id = {.len = 38,
                         .bytes = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20}};

    for (int i = 0; i < 4; i++)
        id.bytes[6 + i] = (uint8_t)(n >> (24 - 8 * i));
    return id;
}

/* The number of test_peer(). */
static inline unsigned test_peer_number(const struct peer_id *id)
{
    return (unsigned)id->bytes[6] << 24 | (unsigned)id->bytes[7] << 16 |
           (unsigned)id->bytes[8] << 8 | id->bytes[9];
}

/* Each number is in an IP group of its own. */
static inline struct multiaddr test_addr(unsigned n)
{
    const uint8_t ip[4] = {(uint8_t)(20 + n / 250), (uint8_t)(n % 250), 7, 7};
    struct multiaddr m;

    multiaddr_from_ip(&m, SPAN_OF(ip), 4001);
    return m;
}

static inline struct peer_id test_owner(char letter)
{
    return test_peer(0x40000000u + (unsigned)letter);
}

static inline enum err test_validate(void *ctx, struct span key,
                                     struct span value, wall_ms wall)
{
    (void)ctx, (void)wall;
    if (!span_starts_with(key, SPAN_LIT("/souk/")))
        return ERR_WRONG_KEY;
    if (value.len < 7 || value.data[1] != ':' || value.data[6] != ':')
        return ERR_SCHEMA;
    return value.data[0] == '!' ? ERR_BAD_SIGNATURE : OK;
}

/* Signed first, then the higher sequence, then the smaller bytes. */
static inline int test_select(void *ctx, struct span key, struct span a,
                              struct span b)
{
    int signed_a = a.data[0] != '-', signed_b = b.data[0] != '-';
    int order = memcmp(b.data + 2, a.data + 2, 4);

    (void)ctx, (void)key;
    if (signed_a != signed_b)
        return signed_b - signed_a;
    return order ? order : span_cmp(a, b);
}

static inline bool test_publisher_of(void *ctx, struct span value,
                                     struct peer_id *out)
{
    (void)ctx;
    if (value.data[0] == '-')
        return false;
    *out = test_owner((char)value.data[0]);
    return true;
}

static const struct kad_validator test_validator = {
    .validate = test_validate,
    .select = test_select,
    .publisher_of = test_publisher_of,
};

#endif /* SUPPORT_KAD_H */
