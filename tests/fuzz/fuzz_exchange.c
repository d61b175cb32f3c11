/* SPDX-License-Identifier: Apache-2.0 */
/* The input is an HTTP request as libmicrohttpd would hand it over:
 *
 *      METHOD target LF (Name: value LF)* LF body
 *
 * It goes through the whole gateway, with an empty catalogue, a core and a
 * store that never answer, and a deadline that passes at once.  Whatever it is,
 * there must be one answer, of a status the gateway knows, JSON if it says so,
 * and the same whether the body comes whole or in pieces. */
#include "gateway/exchange.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "host/system.h"
#include "store/store.h"
#include "store/worker.h"
#include "tbl/network.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ticket *out; /* at the core or the store */

static tstamp now = 1000 * SECONDS;

tstamp core_now(void)
{
    return now;
}

static void keep(struct ticket *t)
{
    t->next = out;
    out = t;
}

enum err core_submit(struct core *core, struct request *r)
{
    (void)core;
    keep(r->owner);
    return OK;
}

void core_cancel(struct core *core, struct request *r)
{
    (void)core;
    (void)r;
}

void core_outbox_grew(struct core *core)
{
    (void)core;
}

void core_status(struct core *core, struct node_status *status)
{
    (void)core;
    memset(status, 0, sizeof(*status));
}

void core_metrics(struct core *core, struct node_metrics *metrics)
{
    (void)core;
    memset(metrics, 0, sizeof(*metrics));
}

void core_usage(struct core *core, struct usages *usages)
{
    (void)core;
    *usages = (struct usages){0};
}

enum err worker_submit(struct worker *w, struct job *job)
{
    (void)w;
    if (job->done == NULL)
        job_free(job);
    else
        keep(job->owner);
    return OK;
}

void worker_status(struct worker *w, struct worker_status *status)
{
    (void)w;
    memset(status, 0, sizeof(*status));
}

static struct gateway gateway;
static struct loop loop;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct store_config config = {.network = network_find("souk"),
                                  .rng = &rng_system};
    char why[STORE_WHY_MAX];
    struct rate_config rate = {200, 4, 64}; /* a publish is too dear */

    (void)argc;
    (void)argv;
    config.cache = cache_new(1 << 20);
    if (store_open(&config, clock_wall(), &gateway.deps.store, why) != OK ||
        reader_open(gateway.deps.store, &loop.reader) != OK ||
        auth_add(&gateway.auth, "t", SCOPE_ADMIN) != OK)
        abort();
    gateway.deps.cache = config.cache;
    gateway.deps.network = config.network;
    gateway.deps.rng = config.rng;
    gateway.self = *store_self(gateway.deps.store);
    router_init(&gateway.router, routes, routes_count);
    gateway.rate = rate.rate;
    gateway.rate_burst = rate.burst;
    for (unsigned i = 0; i < RATE_SHARDS; i++) {
        pthread_mutex_init(&gateway.shards[i].lock, NULL);
        gateway.shards[i].limiter = rate_new(&rate, &mem_libc);
    }
    gateway.version = gateway.commit = gateway.public_url = strdup("");
    gateway.loops = &loop;
    gateway.loop_count = 1;
    loop.gateway = &gateway;
    return 0;
}

/* Up to the next line feed. */
static struct span line(struct span *in)
{
    const uint8_t *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    struct span s = span_take(in, end ? (size_t)(end - in->data) : in->len);

    (void)span_take(in, 1);
    return s;
}

static char *text_of(struct span s)
{
    return strndup((const char *)s.data, s.len);
}

static void check(struct exchange *x)
{
    const struct response *r = &x->response;
    struct span body = response_body(r);
    json_t *json;

    if (r->status < 200 || r->status > 504)
        abort();
    if (r->type == NULL || strstr(r->type, "json") == NULL ||
        r->produce != NULL)
        return;
    json = json_loadb((const char *)body.data, body.len, 0, NULL);
    if (json == NULL)
        abort();
    json_decref(json);
}

static void end(struct exchange *x)
{
    exchange_release(x);
    while (out != NULL) {
        struct ticket *t = out;

        out = t->next;
        request_free(t->request);
        job_free(t->job);
        free(t);
    }
}

static void feed_headers(struct exchange *x, struct span *in)
{
    while (in->len > 0) {
        struct span name = line(in), value;
        const uint8_t *colon =
            name.len ? memchr(name.data, ':', name.len) : NULL;

        if (name.len == 0)
            return;
        if (colon == NULL)
            continue;
        value = span_between(colon + 1, name.data + name.len);
        while (value.len > 0 && value.data[0] == ' ')
            (void)span_take(&value, 1);
        headers_add(&x->headers, span_between(name.data, colon), value);
    }
}

/* What a request came to. */
struct outcome {
    unsigned status;
    const char *type;
    size_t len;
};

/* But for its numbers: a lookup took 9 ms once and 10 the next time. */
static size_t len_of(struct span body)
{
    size_t n = 0;

    for (size_t i = 0; i < body.len; i++)
        n += body.data[i] < '0' || body.data[i] > '9';
    return n;
}

static struct outcome ask(const char *method, const char *target,
                          struct span in, bool is_admin, size_t chunk)
{
    static struct exchange x;
    struct outcome o;

    now += 10 * SECONDS; /* whoever asked before, nobody is throttled for it */
    exchange_init(&x, &loop, is_admin);
    x.peer = (struct ip){{[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    exchange_target(&x, target);
    feed_headers(&x, &in);
    exchange_begin(&x, method, "HTTP/1.0", core_now());
    while (in.len > 0)
        exchange_body(&x, span_take(&in, chunk));
    exchange_run(&x);
    if (x.response.status == 0)
        exchange_expire(&x);
    check(&x);
    o = (struct outcome){.status = x.response.status,
                         .type = x.response.type,
                         .len = len_of(response_body(&x.response))};
    end(&x);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = SPAN(data, size), first = line(&in);
    const uint8_t *space =
        first.len ? memchr(first.data, ' ', first.len) : NULL;
    struct outcome whole, cut;
    char *method, *target;

    if (space == NULL)
        return 0;
    method = text_of(span_between(first.data, space));
    target = text_of(span_between(space + 1, first.data + first.len));
    whole = ask(method, target, in, size % 2 == 0, SIZE_MAX);
    cut = ask(method, target, in, size % 2 == 0, 1 + size % 61);
    if (whole.status != cut.status || whole.type != cut.type ||
        whole.len != cut.len)
        abort();
    free(method);
    free(target);
    return 0;
}
