/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ready.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"

/* A response, and of what it was made. */
struct ready_slot {
    struct MHD_Response *mhd; /* holds |cached| */
    const struct cached *cached;
    const char *type, *cache_control, *trust;
    bool has_conflict, has_location, has_link, has_rate, has_origin;
    char etag[RESPONSE_ETAG_MAX];
    char id[REQUEST_ID_MAX + 1];
    char rate[RATE_TEXT_MAX];
    char link[]; /* as long as it is */
};

static struct ready_slot **slot_of(struct ready *r, const struct cached *cached)
{
    uint64_t at = (uint64_t)(uintptr_t)cached * 0x9e3779b97f4a7c15u;

    return &r->slots[(at >> 32) % READY_SLOTS];
}

static void slot_free(struct ready_slot *s)
{
    if (s == NULL)
        return;
    MHD_destroy_response(s->mhd);
    free(s);
}

void ready_clear(struct ready *r)
{
    for (size_t i = 0; i < READY_SLOTS; i++) {
        slot_free(r->slots[i]);
        r->slots[i] = NULL;
    }
}

bool ready_may_keep(const struct exchange *x)
{
    const struct response *r = &x->response;

    return r->cached != NULL && r->status == 200 && r->produce == NULL &&
           r->borrowed.len <= READY_BODY_MAX && x->method == METHOD_GET &&
           r->retry_after_s == 0 && r->allow == 0 && !r->wants_auth &&
           !r->must_close &&
           atomic_load_explicit(&x->gateway->loops_listening,
                                memory_order_relaxed) > 0;
}

/* Whatever becomes a header, besides those that are exchanged. */
static bool has_same_headers(const struct ready_slot *s,
                             const struct exchange *x)
{
    const struct response *r = &x->response;

    return s->type == r->type && s->cache_control == r->cache_control &&
           s->trust == r->trust && s->has_conflict == r->has_conflict &&
           s->has_location == r->has_location && s->has_link == r->has_link &&
           s->has_rate == x->has_rate &&
           s->has_origin == (x->headers.at[HEADER_ORIGIN].len > 0) &&
           strcmp(s->etag, r->etag) == 0 && strcmp(s->link, r->link) == 0;
}

void ready_rate(const struct exchange *x, char out[RATE_TEXT_MAX])
{
    out[0] = '\0';
    if (x->has_rate)
        (void)snprintf(out, RATE_TEXT_MAX, "\"client\";r=%llu;t=%llu",
                       (unsigned long long)x->rate.remaining,
                       (unsigned long long)x->rate.full_s);
}

/* |old| has room for |new|. */
static bool exchange_header(struct MHD_Response *mr, const char *name,
                            char *old, const char *new)
{
    if (strcmp(old, new) == 0)
        return true;
    if (old[0] != '\0')
        (void)MHD_del_response_header(mr, name, old);
    if (new[0] != '\0' && MHD_add_response_header(mr, name, new) != MHD_YES)
        return false;
    memcpy(old, new, strlen(new) + 1);
    return true;
}

struct MHD_Response *ready_get(struct ready *r, struct exchange *x)
{
    struct ready_slot **at = slot_of(r, x->response.cached), *s = *at;
    char rate[RATE_TEXT_MAX];

    if (s == NULL || s->cached != x->response.cached || !ready_may_keep(x) ||
        !has_same_headers(s, x))
        return NULL;
    ready_rate(x, rate);
    if (exchange_header(s->mhd, "X-Request-Id", s->id, x->request_id) &&
        exchange_header(s->mhd, "RateLimit", s->rate, rate))
        return s->mhd;
    slot_free(s); /* no memory: no answer with half of its headers */
    *at = NULL;
    return NULL;
}

static void on_free(void *cls)
{
    cached_release(cls);
}

struct MHD_Response *ready_make(const struct exchange *x)
{
    const struct cached *cached = x->response.cached;
    struct span body = x->response.borrowed;
    struct MHD_Response *mr =
        MHD_create_response_from_buffer_with_free_callback_cls(
            body.len, (void *)(uintptr_t)body.data, on_free,
            (void *)(uintptr_t)cached);

    if (mr != NULL)
        cached_hold(cached);
    return mr;
}

bool ready_put(struct ready *r, const struct exchange *x,
               struct MHD_Response *mr)
{
    struct ready_slot **at = slot_of(r, x->response.cached), *s;
    const struct response *from = &x->response;
    size_t len = strlen(from->link) + 1;

    s = calloc(1, sizeof(*s) + len);
    if (s == NULL)
        return false;
    s->mhd = mr;
    s->cached = from->cached;
    s->type = from->type;
    s->cache_control = from->cache_control;
    s->trust = from->trust;
    s->has_conflict = from->has_conflict;
    s->has_location = from->has_location;
    s->has_link = from->has_link;
    s->has_rate = x->has_rate;
    s->has_origin = x->headers.at[HEADER_ORIGIN].len > 0;
    memcpy(s->etag, from->etag, sizeof(s->etag));
    memcpy(s->link, from->link, len);
    memcpy(s->id, x->request_id, strlen(x->request_id) + 1);
    ready_rate(x, s->rate);
    slot_free(*at);
    *at = s;
    return true;
}
