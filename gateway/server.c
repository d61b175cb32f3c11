/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/server.h"

#include <assert.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/routes/routes.h"

#define CHALLENGE "Bearer realm=\"souk\""

struct daemon {
    struct loop *loop;
    bool is_admin;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    bool is_quiesced;
};

struct connection {
    struct exchange x; /* first: an exchange is its connection */
    struct daemon *daemon;
    struct MHD_Connection *mhd;
    int fd;
    enum phase phase;
    tstamp since; /* in that phase */
    struct list link;
    size_t body_bytes;
    bool is_begun; /* the head was looked at */
    bool has_run;  /* the route's handler was called */
    bool is_gone;  /* the client left, or we cut it */
};

static struct connection *connection_of(struct exchange *x)
{
    return (struct connection *)(void *)x;
}

static void set_phase(struct connection *c, enum phase phase)
{
    struct loop *l = c->x.loop;

    if (c->phase == PHASE_WAITING)
        atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_relaxed);
    if (phase == PHASE_WAITING)
        atomic_fetch_add_explicit(&l->waiting, 1, memory_order_relaxed);
    c->phase = phase;
    c->since = l->now;
    list_remove(&c->link);
    list_push_back(&l->phases[phase], &c->link);
}

/* libmicrohttpd cannot be told to close a connection, but it notices when
 * nothing can be read or written any more. */
static void cut(struct connection *c)
{
    c->is_gone = true;
    (void)shutdown(c->fd, SHUT_RDWR);
}

/* ---- Connections. ---- */

/* The connection that has kept us waiting for a request the longest. */
static struct connection *oldest_incomplete(struct loop *l)
{
    static const enum phase phases[] = {PHASE_IDLE, PHASE_HEAD, PHASE_BODY,
                                        PHASE_DRAIN};
    struct connection *oldest = NULL;

    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
        LIST_FOR_EACH(link, &l->phases[phases[i]]) {
            struct connection *c = LIST_ENTRY(link, struct connection, link);

            if (c->is_gone)
                continue;
            if (oldest == NULL || c->since < oldest->since)
                oldest = c;
            break;
        }
    return oldest;
}

static enum MHD_Result on_accept(void *cls, const struct sockaddr *addr,
                                 socklen_t len)
{
    struct daemon *d = cls;
    struct gateway *g = d->loop->gateway;
    struct connection *victim;

    (void)addr;
    (void)len;
    if (atomic_load_explicit(&g->conns.use, memory_order_relaxed) <
        g->conns_max)
        return MHD_YES;
    atomic_fetch_add_explicit(&g->conns.refused, 1, memory_order_relaxed);
    victim = oldest_incomplete(d->loop);
    if (victim == NULL)
        return MHD_NO;
    cut(victim);
    return MHD_YES;
}

static void connection_opened(struct daemon *d, struct MHD_Connection *mhd,
                              void **socket_context)
{
    const union MHD_ConnectionInfo *info;
    struct loop *l = d->loop;
    struct connection *c = calloc(1, sizeof(*c));

    *socket_context = c;
    if (c == NULL)
        return; /* on_target() and on_request() see that there is none */
    exchange_init(&c->x, l, d->is_admin);
    c->daemon = d;
    c->mhd = mhd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->fd = info->connect_fd;
    info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    c->x.is_local = info == NULL || info->client_addr == NULL ||
                    !ip_from_sockaddr(info->client_addr, &c->x.peer);
    list_init(&c->link);
    c->phase = PHASE_IDLE;
    set_phase(c, PHASE_IDLE);
    atomic_fetch_add_explicit(&l->gateway->conns.use, 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&l->connections, 1, memory_order_relaxed) ==
        0)
        loop_tick_on(l);
}

static void connection_closed(struct connection *c)
{
    struct loop *l = c->x.loop;

    if (c->phase == PHASE_WAITING)
        atomic_fetch_sub_explicit(&l->waiting, 1, memory_order_relaxed);
    list_remove(&c->link);
    exchange_release(&c->x);
    free(c);
    atomic_fetch_sub_explicit(&l->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&l->gateway->conns.use, 1, memory_order_relaxed);
}

static void on_connection(void *cls, struct MHD_Connection *mhd,
                          void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_opened(cls, mhd, socket_context);
    else if (*socket_context != NULL)
        connection_closed(*socket_context);
}

/* ---- Requests. ---- */

static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *c = info ? info->socket_context : NULL;

    (void)cls;
    if (c == NULL)
        return NULL;
    c->is_begun = c->has_run = false;
    c->body_bytes = 0;
    set_phase(c, PHASE_HEAD);
    exchange_target(&c->x, uri);
    return c;
}

/* Paths and queries are decoded by us. */
static size_t no_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind,
                                 const char *key, size_t key_size,
                                 const char *value, size_t value_size)
{
    struct headers *h = cls;

    (void)kind;
    headers_add(h, SPAN(key, key_size), SPAN(value, value ? value_size : 0));
    return MHD_YES;
}

static ssize_t on_produce(void *cls, uint64_t pos, char *out, size_t max)
{
    struct connection *c = cls;
    struct response *r = &c->x.response;
    struct span piece;
    size_t n;

    (void)pos;
    while (buf_len(&r->body) == 0) {
        if (r->produce == NULL)
            return MHD_CONTENT_READER_END_OF_STREAM;
        buf_clear(&r->body);
        if (!r->produce(&c->x, &r->body))
            r->produce = NULL;
    }
    piece = buf_span(&r->body);
    n = piece.len < max ? piece.len : max;
    if (piece.data != NULL)
        memcpy(out, piece.data, n);
    buf_drain(&r->body, n);
    return (ssize_t)n;
}

static void add(struct MHD_Response *mr, const char *name, const char *value)
{
    if (value != NULL && value[0] != '\0')
        (void)MHD_add_response_header(mr, name, value);
}

static void add_rate(struct MHD_Response *mr, const struct exchange *x)
{
    const struct gateway *g = x->gateway;
    char text[96];

    (void)snprintf(
        text, sizeof(text), "\"client\";q=%llu;w=%llu",
        (unsigned long long)g->rate_burst,
        (unsigned long long)((g->rate_burst + g->rate - 1) / g->rate));
    add(mr, "RateLimit-Policy", text);
    ready_rate(x, text);
    add(mr, "RateLimit", text);
}

static void add_cors(struct MHD_Response *mr, const struct exchange *x)
{
    struct span origin = x->headers.at[HEADER_ORIGIN];
    struct cors_answer a;

    if (x->method == METHOD_OPTIONS)
        cors_preflight(&x->gateway->cors, origin,
                       x->headers.at[HEADER_REQUEST_METHOD], &a);
    else
        cors_answer(&x->gateway->cors, origin, x->method != METHOD_GET, &a);
    add(mr, "Access-Control-Allow-Origin", a.allow_origin);
    add(mr, "Access-Control-Allow-Methods", a.allow_methods);
    add(mr, "Access-Control-Allow-Headers", a.allow_headers);
    add(mr, "Access-Control-Max-Age", a.max_age);
    if (a.allow_methods == NULL && a.allow_origin != NULL && origin.len > 0)
        add(mr, "Access-Control-Expose-Headers", CORS_EXPOSE_HEADERS);
    add(mr, "Vary", "Origin");
}

static void add_headers(struct MHD_Response *mr, const struct exchange *x)
{
    const struct response *r = &x->response;
    char text[ALLOW_TEXT_MAX];

    add(mr, "Content-Type", r->type);
    add(mr, "Cache-Control", r->cache_control);
    add(mr, "ETag", r->etag);
    add(mr, "Souk-Trust", r->trust);
    add(mr, "X-Request-Id", x->request_id);
    add_cors(mr, x);
    if (r->has_conflict)
        add(mr, "Souk-Conflict", "true");
    if (r->has_location || r->has_link)
        add(mr, r->has_location ? "Location" : "Link", r->link);
    if (r->retry_after_s > 0) {
        (void)snprintf(text, sizeof(text), "%u", r->retry_after_s);
        add(mr, "Retry-After", text);
    }
    if (r->allow != 0)
        add(mr, "Allow", router_allow(r->allow, text));
    if (r->wants_auth)
        add(mr, "WWW-Authenticate", CHALLENGE);
    if (x->has_rate)
        add_rate(mr, x);
    /* Not while anybody still listens: who is sent away comes back at once, and
     * would be lost with the last listener's queue. */
    if (r->must_close || atomic_load_explicit(&x->gateway->loops_listening,
                                              memory_order_relaxed) == 0)
        add(mr, "Connection", "close");
}

/* The body is x's own until exchange_end(), so nothing is copied. */
static struct MHD_Response *make_response(struct connection *c)
{
    struct response *r = &c->x.response;
    struct span body = response_body(r);

    if (ready_may_keep(&c->x))
        return ready_make(&c->x);
    if (r->produce != NULL)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 << 10,
                                                 on_produce, c, NULL);
    return MHD_create_response_from_buffer(
        body.len, (void *)(uintptr_t)body.data, MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result queue(struct connection *c, struct MHD_Response *mr)
{
    set_phase(c, PHASE_SENDING);
    return MHD_queue_response(c->mhd, c->x.response.status, mr);
}

static enum MHD_Result send_response(struct connection *c)
{
    struct ready *ready = &c->x.loop->ready;
    struct MHD_Response *mr;
    enum MHD_Result result;
    bool is_kept;

    tracing_answered(&c->x);
    mr = ready_get(ready, &c->x);
    if (mr != NULL)
        return queue(c, mr);
    mr = make_response(c);
    if (mr == NULL)
        return MHD_NO;
    add_headers(mr, &c->x);
    /* Else libmicrohttpd sends the last chunk of the body a HEAD has not. */
    if (c->x.is_head && c->x.response.produce != NULL)
        (void)MHD_set_response_options(mr, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT,
                                       MHD_RO_END);
    is_kept = ready_may_keep(&c->x) && ready_put(ready, &c->x, mr);
    result = queue(c, mr);
    if (!is_kept)
        MHD_destroy_response(mr);
    return result;
}

/* The answer to a body that does not end: libmicrohttpd takes none before the
 * body is read, and so far nothing was written to the socket. */
static void send_raw(struct connection *c)
{
    const char *challenge =
        c->x.response.wants_auth ? "WWW-Authenticate: " CHALLENGE "\r\n" : "";
    struct span body = response_body(&c->x.response);
    struct buf out;

    buf_init(&out, body.len + 512, &mem_libc);
    if (buf_printf(&out,
                   "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: "
                   "%zu\r\nCache-Control: no-store\r\nX-Request-Id: %s\r\n"
                   "%sConnection: close\r\n"
                   "Access-Control-Allow-Origin: *\r\n\r\n",
                   c->x.response.status,
                   MHD_get_reason_phrase_for(c->x.response.status),
                   c->x.response.type, body.len, c->x.request_id,
                   challenge) == OK &&
        buf_put(&out, body) == OK)
        (void)send(c->fd, buf_span(&out).data, buf_len(&out),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    buf_release(&out);
    (void)shutdown(c->fd, SHUT_WR);
}

/* The head is there.  An answer queued here would end the connection (it must,
 * if the client waits for a 100 Continue), so it waits for the next call. */
static enum MHD_Result begin(struct connection *c, const char *method,
                             const char *version)
{
    struct exchange *x = &c->x;

    c->is_begun = true;
    (void)MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, on_header,
                                      &x->headers);
    exchange_begin(x, method, version, core_now());
    if (!x->has_body)
        return MHD_YES;
    if (x->response.status != 0 &&
        header_has_token(x->headers.at[HEADER_EXPECT], "100-continue"))
        return send_response(c);
    set_phase(c, x->response.status != 0 ? PHASE_DRAIN : PHASE_BODY);
    return MHD_YES;
}

static enum MHD_Result take_body(struct connection *c, struct span data)
{
    struct exchange *x = &c->x;

    c->body_bytes += data.len;
    exchange_body(x, data);
    if (x->response.status == 0 && c->body_bytes > DRAIN_BYTES_MAX)
        exchange_refuse(x, ERR_BODY_TOO_LARGE, "");
    if (x->response.status != 0 && c->phase == PHASE_BODY)
        set_phase(c, PHASE_DRAIN);
    if (c->body_bytes <= DRAIN_BYTES_MAX)
        return MHD_YES;
    send_raw(c);
    return MHD_NO;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd,
                                  const char *url, const char *method,
                                  const char *version, const char *data,
                                  size_t *size, void **request_context)
{
    struct connection *c = *request_context;
    struct exchange *x;

    (void)cls;
    (void)url;
    (void)mhd;
    if (c == NULL || c->is_gone)
        return MHD_NO;
    x = &c->x;
    if (!c->is_begun)
        return begin(c, method, version);
    if (*size > 0) {
        struct span piece = SPAN(data, *size);

        *size = 0;
        return take_body(c, piece);
    }
    if (!c->has_run) {
        c->has_run = true;
        exchange_run(x);
    }
    if (x->response.status != 0)
        return send_response(c);
    set_phase(c, PHASE_WAITING);
    MHD_suspend_connection(c->mhd);
    return MHD_YES;
}

static void tell(const struct exchange *x, unsigned status, duration took)
{
    const struct log *log = x->gateway->deps.log;

    if (log != NULL && log->level >= LOG_DEBUG)
        log_debug(log, "gateway",
                  "request method=%s path=%.*s status=%u ms=%.3f id=%s",
                  x->is_head ? "HEAD" : http_method_name(x->method),
                  (int)x->instance.len, (const char *)x->instance.data, status,
                  (double)took / (double)MILLISECONDS, x->request_id);
}

static void count(struct connection *c, bool is_sent)
{
    struct exchange *x = &c->x;
    size_t row =
        x->match.route ? (size_t)(x->match.route - routes) : routes_count;
    unsigned status = is_sent ? x->response.status : 499;
    duration took = core_now() - x->started;

    metrics_count(&x->loop->metrics, row, status, took);
    if (x->is_search)
        metrics_searched(&x->loop->metrics, x->search_scope,
                         status >= 400      ? SEARCH_FAILED
                         : x->is_incomplete ? SEARCH_INCOMPLETE
                                            : SEARCH_COMPLETE,
                         took);
    tracing_end(x, status);
    atomic_fetch_add_explicit(&x->loop->requests, 1, memory_order_relaxed);
    tell(x, status, took);
}

static void on_completed(void *cls, struct MHD_Connection *mhd,
                         void **request_context,
                         enum MHD_RequestTerminationCode why)
{
    struct connection *c = *request_context;

    (void)cls;
    (void)mhd;
    if (c == NULL)
        return;
    if (c->is_begun)
        count(c, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *request_context = NULL;
    exchange_end(&c->x);
    set_phase(c, PHASE_IDLE);
}

void server_resume(struct exchange *x)
{
    struct connection *c = connection_of(x);

    assert(c->phase == PHASE_WAITING);
    set_phase(c, PHASE_SENDING);
    MHD_resume_connection(c->mhd);
}

/* ---- Time. ---- */

static void cut_older(struct loop *l, enum phase phase, duration max,
                      tstamp now)
{
    LIST_FOR_EACH(link, &l->phases[phase]) {
        struct connection *c = LIST_ENTRY(link, struct connection, link);

        if (now < c->since || now - c->since < max)
            return;
        if (phase == PHASE_DRAIN && !c->is_gone)
            send_raw(c);
        cut(c);
    }
}

/* What is left to read is for libmicrohttpd; then there is nothing more. */
static void cut_if_silent(struct connection *c)
{
    char byte;

    if (!c->is_gone && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        cut(c);
}

/* Who left, of those in |phase| for |since| at least.  Suspended connections
 * are in nobody's epoll set; of the others libmicrohttpd overlooks an end that
 * came together with the last bytes. */
static void find_gone(struct loop *l, enum phase phase, duration since,
                      tstamp now)
{
    enum { BATCH = 128 };
    struct connection *at[BATCH];
    struct pollfd fds[BATCH];
    struct list *link = l->phases[phase].next;
    bool is_over = false;

    while (link != &l->phases[phase] && !is_over) {
        nfds_t n = 0;

        for (; link != &l->phases[phase] && n < BATCH; link = link->next) {
            at[n] = LIST_ENTRY(link, struct connection, link);
            is_over = now < tstamp_add(at[n]->since, since);
            if (is_over)
                break;
            fds[n] = (struct pollfd){.fd = at[n]->fd, .events = POLLRDHUP};
            n++;
        }
        if (poll(fds, n, 0) <= 0)
            continue;
        for (nfds_t i = 0; i < n; i++) {
            if (fds[i].revents == 0)
                continue;
            if (phase == PHASE_WAITING)
                at[i]->is_gone = true;
            else
                cut_if_silent(at[i]);
        }
    }
}

static void end_waiting(struct loop *l, tstamp now)
{
    LIST_FOR_EACH(link, &l->phases[PHASE_WAITING]) {
        struct connection *c = LIST_ENTRY(link, struct connection, link);

        if (c->is_gone)
            exchange_cancel(&c->x);
        else if (now >= tstamp_add(c->x.deadline, LATE_MS * MILLISECONDS))
            exchange_expire(&c->x);
        else
            continue;
        server_resume(&c->x);
    }
}

void server_tick(struct loop *l, tstamp now)
{
    bool is_draining = l->drain_started != TSTAMP_NEVER;

    l->now = now;
    cut_older(l, PHASE_IDLE,
              (is_draining ? IDLE_DRAIN_MS : IDLE_MS) * MILLISECONDS, now);
    cut_older(l, PHASE_HEAD, HEAD_MS * MILLISECONDS, now);
    cut_older(l, PHASE_BODY, BODY_MS * MILLISECONDS, now);
    cut_older(l, PHASE_DRAIN, DRAIN_MS * MILLISECONDS, now);
    cut_older(l, PHASE_SENDING, SENDING_MS * MILLISECONDS, now);
    for (enum phase phase = PHASE_IDLE; phase < PHASE_WAITING; phase++)
        find_gone(l, phase, GONE_MS * MILLISECONDS, now);
    find_gone(l, PHASE_WAITING, 0, now);
    end_waiting(l, now);
    for (unsigned i = 0; i < 2; i++)
        if (l->daemons[i] != NULL)
            daemon_drive(l->daemons[i]);
}

/* ---- The daemon. ---- */

void daemon_drive(struct daemon *d)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    d->loop->now = core_now();
    for (unsigned i = 0; i < 8; i++) {
        (void)MHD_run(d->mhd);
        if (MHD_get_timeout(d->mhd, &timeout) == MHD_NO || timeout > 0)
            return;
    }
    loop_wake(d->loop); /* more to do, after what else waits */
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct daemon *d = poll->data;

    (void)status;
    (void)events;
    atomic_fetch_add_explicit(&d->loop->wakeups, 1, memory_order_relaxed);
    daemon_drive(d);
}

__attribute__((format(printf, 2, 0))) static void
on_log(void *cls, const char *format, va_list args)
{
    struct daemon *d = cls;
    char line[256];
    size_t n;

    if (d->loop->gateway->deps.log == NULL ||
        d->loop->gateway->deps.log->level < LOG_DEBUG)
        return;
    (void)vsnprintf(line, sizeof(line), format, args);
    n = strlen(line);
    while (n > 0 && line[n - 1] == '\n')
        line[--n] = '\0';
    log_debug(d->loop->gateway->deps.log, "gateway", "%s", line);
}

enum err daemon_open(struct loop *l, int listen_fd, bool is_admin,
                     struct daemon **out)
{
    const union MHD_DaemonInfo *info;
    struct daemon *d = calloc(1, sizeof(*d));

    if (d == NULL) {
        (void)close(listen_fd);
        return ERR_NOMEM;
    }
    d->loop = l;
    d->is_admin = is_admin;
    d->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        on_accept, d, on_request, d, MHD_OPTION_EXTERNAL_LOGGER, on_log, d,
        MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, d, MHD_OPTION_NOTIFY_COMPLETED, on_completed, d,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, d, MHD_OPTION_UNESCAPE_CALLBACK,
        no_unescape, NULL, MHD_OPTION_CONNECTION_LIMIT,
        l->gateway->conns_max + CONNS_SLACK, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)STALLED_S,
        MHD_OPTION_END);
    info =
        d->mhd ? MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL || uv_poll_init(&l->uv, &d->poll, info->epoll_fd) != 0) {
        if (d->mhd != NULL)
            MHD_stop_daemon(d->mhd);
        else
            (void)close(listen_fd);
        free(d);
        return ERR_IO;
    }
    d->poll.data = d;
    (void)uv_poll_start(&d->poll, UV_READABLE, on_readable);
    *out = d;
    return OK;
}

void daemon_quiesce(struct daemon *d)
{
    int fd;

    if (d->is_quiesced)
        return;
    for (unsigned i = 0; i < 16; i++) /* ten are accepted in each */
        daemon_drive(d);
    fd = MHD_quiesce_daemon(d->mhd);
    d->is_quiesced = true;
    if (fd >= 0)
        (void)close(fd);
    daemon_drive(d);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void daemon_close(struct daemon *d)
{
    struct loop *l = d->loop;

    daemon_quiesce(d);
    LIST_FOR_EACH(link, &l->phases[PHASE_WAITING]) {
        struct connection *c = LIST_ENTRY(link, struct connection, link);

        if (c->daemon != d)
            continue;
        c->is_gone = true;
        exchange_cancel(&c->x);
        server_resume(&c->x);
    }
    daemon_drive(d);
    (void)uv_poll_stop(&d->poll);
    uv_close((uv_handle_t *)&d->poll, on_poll_closed);
    MHD_stop_daemon(d->mhd);
}
