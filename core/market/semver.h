/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_SEMVER_H
#define MARKET_SEMVER_H

#include <stdint.h>

#include "base/span.h"
#include "souk/err.h"

/* A version as SemVer 2.0 orders it, without build metadata.  A value: the
 * bytes behind pre_release's NUL are zero, so two equal versions are equal
 * bytes.  https://semver.org/spec/v2.0.0.html */
enum {
    SEMVER_PRE_RELEASE_MAX = 64,
    SEMVER_TEXT_MAX = 3 * 11 + SEMVER_PRE_RELEASE_MAX + 1, /* with the NUL */
};

struct semver {
    uint32_t major;
    uint32_t minor;
    uint32_t patch;
    char pre_release[SEMVER_PRE_RELEASE_MAX + 1]; /* "" = a stable version */
};

/* ERR_INVAL: not a version, a number above 2^32 - 1, or build metadata. */
MUST_USE
enum err semver_parse(struct span text, struct semver *v);
/* Only the part after the '-'.  "" is fine. */
bool semver_pre_release_is_valid(struct span text);
/* "1.2.3-beta.1"; returns |out|. */
const char *semver_format(const struct semver *v, char out[SEMVER_TEXT_MAX]);
/* Precedence: < 0, 0 (equal bytes), > 0. */
int semver_cmp(const struct semver *a, const struct semver *b);
bool semver_is_stable(const struct semver *v);

#endif /* MARKET_SEMVER_H */
