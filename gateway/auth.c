/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/auth.h"

#include <string.h>
#include <strings.h>

#include "crypto/hash.h"

enum err auth_add(struct auth *a, const char *token, enum scope scope)
{
    if (token[0] == '\0' || a->count == AUTH_TOKENS_MAX)
        return ERR_CONFIG;
    sha256(span_str(token), a->tokens[a->count].digest);
    a->tokens[a->count].scope = scope;
    a->count++;
    return OK;
}

/* spec: RFC 6750#section-2.1
 *   credentials = "Bearer" 1*SP b64token; the scheme in any case */
static bool bearer_token(struct span header, struct span *token)
{
    static const char scheme[] = "bearer ";
    size_t n = sizeof(scheme) - 1;

    if (header.len <= n ||
        strncasecmp((const char *)header.data, scheme, n) != 0)
        return false;
    *token = SPAN(header.data + n, header.len - n);
    while (token->len > 0 && token->data[0] == ' ')
        (void)span_take(token, 1);
    while (token->len > 0 && token->data[token->len - 1] == ' ')
        token->len--;
    return token->len > 0;
}

enum scope auth_scope(const struct auth *a, struct span header)
{
    uint8_t digest[AUTH_DIGEST_LEN];
    enum scope scope = SCOPE_READ;
    struct span token;

    if (!bearer_token(header, &token))
        return SCOPE_READ;
    sha256(token, digest);
    for (size_t i = 0; i < a->count; i++)
        if (crypto_equal(digest, a->tokens[i].digest, sizeof(digest)) &&
            a->tokens[i].scope > scope)
            scope = a->tokens[i].scope;
    return scope;
}

enum err auth_check(const struct auth *a, enum scope needed, struct span header)
{
    enum scope has;

    if (needed == SCOPE_READ)
        return OK;
    if (needed == SCOPE_PUBLISH && a->publish_is_free)
        return OK;
    has = auth_scope(a, header);
    if (has >= needed)
        return OK;
    return has == SCOPE_READ ? ERR_UNAUTHORIZED : ERR_FORBIDDEN;
}
