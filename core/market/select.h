/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_SELECT_H
#define MARKET_SELECT_H

#include <stdbool.h>
#include <stdint.h>

/* Which of two records of one publisher is the better one: signed over
 * unsigned; higher sequence; then the smaller SHA-256 of the bytes.  Total, and
 * the same at every node. */
struct select_key {
    bool is_signed;
    uint64_t sequence;
    uint8_t hash[32];
};

/* < 0: |a| is better; 0: they are the same record. */
int select_cmp(const struct select_key *a, const struct select_key *b);

#endif /* MARKET_SELECT_H */
