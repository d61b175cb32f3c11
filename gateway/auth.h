/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_AUTH_H
#define GATEWAY_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "souk/err.h"

/* Who may write: bearer tokens, each with a scope that includes those below
 * it.  Only digests of the tokens are kept; they are compared in constant
 * time. */
enum scope { SCOPE_READ, SCOPE_PUBLISH, SCOPE_ADMIN };

enum { AUTH_TOKENS_MAX = 4, AUTH_DIGEST_LEN = 32 };

struct auth {
    struct {
        uint8_t digest[AUTH_DIGEST_LEN];
        enum scope scope;
    } tokens[AUTH_TOKENS_MAX];
    size_t count;
    bool publish_is_free; /* http_write_auth none */
};

/* ERR_CONFIG: empty, or one too many. */
MUST_USE
enum err auth_add(struct auth *a, const char *token, enum scope scope);

/* What an Authorization header allows; SCOPE_READ if it is absent (len 0),
 * malformed or unknown. */
enum scope auth_scope(const struct auth *a, struct span header);
/* ERR_UNAUTHORIZED: no token we know; ERR_FORBIDDEN: its scope is too small. */
MUST_USE
enum err auth_check(const struct auth *a, enum scope needed,
                    struct span header);

#endif /* GATEWAY_AUTH_H */
