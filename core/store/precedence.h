/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PRECEDENCE_H
#define STORE_PRECEDENCE_H

#include "market/semver.h"

/* A version as bytes that memcmp orders as SemVer does, so an index keeps
 * versions in order:
 *
 *      major minor patch    4 bytes each, big-endian
 *      ff                   stable
 *      (01 digits' count digits | 02 text 00)* 00    a pre-release
 */
enum { PRECEDENCE_MAX = 12 + 3 * SEMVER_PRE_RELEASE_MAX + 2 };

struct precedence {
    size_t len;
    uint8_t bytes[PRECEDENCE_MAX];
};

struct span precedence_encode(const struct semver *v, struct precedence *out);
/* ERR_STORE_CORRUPT: not made by precedence_encode(). */
MUST_USE
enum err precedence_decode(struct span bytes, struct semver *out);

#endif /* STORE_PRECEDENCE_H */
