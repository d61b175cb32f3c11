/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/dnsaddr.h"
#include "host/internal.h"

/* Names.  Addresses come through getaddrinfo(3), so /etc/hosts counts; the TXT
 * records of dnsaddr through the resolver itself.  Both on libuv's pool. */

struct resolve {
    struct host *host;
    uint32_t query;
    union {
        uv_getaddrinfo_t info;
        uv_work_t work;
    } req;
    char name[MULTIADDR_NAME_MAX + 16];
    enum err err;
    struct multiaddr addrs[LIMIT_RESOLVED_ADDRS_MAX];
    size_t count;
};

static void finish(struct resolve *r)
{
    struct host *h = r->host;

    h->resolving--;
    if (r->err != OK && r->err != ERR_CANCELLED)
        log_info(h->config.log, "host",
                 "name not resolved name=%s reason=\"%s\"", r->name,
                 err_text(r->err));
    node_resolved(h->node, r->query, r->err, r->addrs, r->count, clock_now());
    free(r);
    host_settle(h);
}

static void refuse(struct host *h, uint32_t query, enum err err)
{
    node_resolved(h->node, query, err, NULL, 0, clock_now());
}

/* ---- A and AAAA. ---- */

static enum err err_from_lookup(int status)
{
    switch (status) {
    case 0:
        return OK;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
        return ERR_NOT_FOUND;
    case UV_EAI_MEMORY:
        return ERR_NOMEM;
    case UV_ECANCELED:
        return ERR_CANCELLED;
    default:
        return ERR_DIAL_FAILED;
    }
}

/* ip4 or ip6 alone: the port is the node's. */
static bool ip_multiaddr(const struct addrinfo *a, struct multiaddr *out)
{
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    struct multiaddr_part part;
    struct multiaddr full;
    struct span rest;

    if (a->ai_addrlen > sizeof(from))
        return false;
    memcpy(&from, a->ai_addr, a->ai_addrlen);
    if (!multiaddr_from_sockaddr(&full, &from))
        return false;
    rest = multiaddr_span(&full);
    if (!multiaddr_next(&rest, &part))
        return false;
    return multiaddr_decode(out, SPAN(full.bytes, full.len - rest.len)) == OK;
}

static void on_addresses(uv_getaddrinfo_t *req, int status,
                         struct addrinfo *list)
{
    struct resolve *r = req->data;

    r->err = err_from_lookup(status);
    for (struct addrinfo *a = list; a != NULL; a = a->ai_next)
        if (r->count < LIMIT_RESOLVED_ADDRS_MAX)
            r->count += ip_multiaddr(a, &r->addrs[r->count]);
        else
            r->host->resolved_refused++;
    uv_freeaddrinfo(list);
    finish(r);
}

static int start_addresses(struct resolve *r, enum resolve_kind kind)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_family = kind == RESOLVE_IP4   ? AF_INET
                                          : kind == RESOLVE_IP6 ? AF_INET6
                                                                : AF_UNSPEC};

    r->req.info.data = r;
    return uv_getaddrinfo(&r->host->loop, &r->req.info, on_addresses, r->name,
                          NULL, &hints);
}

/* ---- TXT. ---- */

enum { ANSWER_MAX = 65535 };

static void query_texts(uv_work_t *work)
{
    struct resolve *r = work->data;
    struct __res_state state = {.options = 0};
    uint8_t *answer = malloc(ANSWER_MAX);
    int len = -1;

    r->err = ERR_NOMEM;
    if (answer == NULL)
        return;
    r->err = ERR_DIAL_FAILED;
    if (res_ninit(&state) == 0) {
        len =
            res_nquery(&state, r->name, ns_c_in, ns_t_txt, answer, ANSWER_MAX);
        if (len < 0 && (state.res_h_errno == HOST_NOT_FOUND ||
                        state.res_h_errno == NO_DATA))
            r->err = ERR_NOT_FOUND;
        res_nclose(&state);
    }
    if (len >= 0) {
        /* The answer may have been longer than what we let it be. */
        size_t got = (size_t)len < ANSWER_MAX ? (size_t)len : ANSWER_MAX;

        r->count =
            dnsaddr_read(SPAN(answer, got), r->addrs, LIMIT_RESOLVED_ADDRS_MAX);
        r->err = OK;
    }
    free(answer);
}

static void on_texts(uv_work_t *work, int status)
{
    struct resolve *r = work->data;

    if (status != 0)
        r->err = ERR_CANCELLED;
    finish(r);
}

static int start_texts(struct resolve *r)
{
    r->req.work.data = r;
    return uv_queue_work(&r->host->loop, &r->req.work, query_texts, on_texts);
}

void resolve_start(struct host *h, const struct node_action *action)
{
    uint32_t query = action->query;
    enum resolve_kind kind = action->resolve.kind;
    struct resolve *r;

    if (h->resolving >= LIMIT_RESOLVES_IN_FLIGHT) {
        h->resolves_refused++;
        refuse(h, query, ERR_LIMIT);
        return;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        refuse(h, query, ERR_NOMEM);
        return;
    }
    r->host = h;
    r->query = query;
    (void)snprintf(r->name, sizeof(r->name), "%s", action->resolve.name);
    if ((kind == RESOLVE_TXT ? start_texts(r) : start_addresses(r, kind)) !=
        0) {
        free(r);
        refuse(h, query, ERR_DIAL_FAILED);
        return;
    }
    h->resolving++;
}
