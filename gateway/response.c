/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/response.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"

void response_init(struct response *r)
{
    memset(r, 0, sizeof(*r));
    buf_init(&r->body, RESPONSE_BODY_MAX, &mem_libc);
}

void response_reset(struct response *r)
{
    if (r->cached != NULL)
        cached_release(r->cached);
    r->status = 0;
    r->type = r->cache_control = r->trust = NULL;
    r->has_conflict = r->has_location = r->has_link = false;
    r->etag[0] = r->link[0] = '\0';
    r->retry_after_s = r->allow = 0;
    r->wants_auth = r->must_close = false;
    r->borrowed = SPAN_NONE;
    r->cached = NULL;
    r->produce = NULL;
    buf_clear(&r->body);
    if (r->body.cap > RESPONSE_BODY_KEEP)
        buf_shrink(&r->body);
}

void response_release(struct response *r)
{
    response_reset(r);
    buf_release(&r->body);
}

struct span response_body(const struct response *r)
{
    return r->borrowed.data != NULL ? r->borrowed : buf_span(&r->body);
}

void response_tag(struct response *r, struct span bytes, bool is_weak)
{
    uint8_t digest[SHA256_LEN];
    char *at = r->etag;

    sha256(bytes, digest);
    if (is_weak) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    for (size_t i = 0; i < 12; i++, at += 2)
        (void)snprintf(at, 3, "%02x", digest[i]);
    memcpy(at, "\"", 2);
}
