/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/listen.h"
#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "gateway/server.h"
#include "store/reader.h"
#include "store/store.h"
#include "tbl/limit.h"

__attribute__((format(printf, 3, 4))) static enum err
complain(char why[GATEWAY_WHY_MAX], enum err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, GATEWAY_WHY_MAX, format, args);
    va_end(args);
    return err;
}

static unsigned thread_count(const struct gateway_config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->threads > 0)
        return config->threads < GATEWAY_THREADS_MAX ? config->threads
                                                     : GATEWAY_THREADS_MAX;
    return cores < 1 ? 1 : cores > 4 ? 4 : (unsigned)cores;
}

static unsigned conns_max(const struct gateway_config *config)
{
    return config->conns_max ? config->conns_max : LIMIT_HTTP_CONNS_MAX;
}

unsigned gateway_descriptors(const struct gateway_config *config)
{
    /* Of a thread: the loop's and the daemons' own, listeners, SQLite's. */
    return conns_max(config) + CONNS_SLACK + thread_count(config) * 20;
}

/* ---- Settings. ---- */

static char *copy(const char *text)
{
    char *s = strdup(text ? text : "");

    if (s == NULL)
        abort();
    return s;
}

/* Without a slash at the end, with one in front, unless it is empty. */
static enum err take_base_path(struct gateway *g, const char *path)
{
    size_t n = path ? strlen(path) : 0;

    while (n > 0 && path[n - 1] == '/')
        n--;
    if (n == 0)
        return OK;
    if (path[0] != '/' || n >= sizeof(g->base_path) ||
        !header_is_echoable(SPAN(path, n), n))
        return ERR_CONFIG;
    memcpy(g->base_path, path, n);
    return OK;
}

static enum err take_public_url(struct gateway *g, const char *url)
{
    size_t n;

    g->public_url = copy(url);
    n = strlen(g->public_url);
    while (n > 0 && g->public_url[n - 1] == '/')
        g->public_url[--n] = '\0';
    if (n == 0)
        return OK;
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return ERR_CONFIG;
    return header_is_echoable(SPAN(g->public_url, n), 1024) ? OK : ERR_CONFIG;
}

static enum err take_proxies(struct gateway *g,
                             const struct gateway_config *config,
                             char why[GATEWAY_WHY_MAX])
{
    if (config->trusted_proxy_count > PROXIES_MAX)
        return complain(why, ERR_CONFIG, "more than %d trusted proxies",
                        PROXIES_MAX);
    for (size_t i = 0; i < config->trusted_proxy_count; i++)
        if (ip_net_parse(config->trusted_proxies[i], &g->proxies[i]) != OK)
            return complain(why, ERR_CONFIG,
                            "trusted proxy %s is not an address or network",
                            config->trusted_proxies[i]);
    g->proxy_count = config->trusted_proxy_count;
    return OK;
}

static enum err take_origins(struct gateway *g,
                             const struct gateway_config *config,
                             char why[GATEWAY_WHY_MAX])
{
    if (config->cors_origin_count > ORIGINS_MAX)
        return complain(why, ERR_CONFIG, "more than %d web origins",
                        ORIGINS_MAX);
    for (size_t i = 0; i < config->cors_origin_count; i++)
        g->origins[i] = copy(config->cors_origins[i]);
    g->cors.origins = (const char *const *)g->origins;
    g->cors.count = config->cors_origin_count;
    return OK;
}

static enum err take_tokens(struct gateway *g,
                            const struct gateway_config *config)
{
    const char *secret = config->admin_token ? config->admin_token : "";

    if (secret[0] != '\0')
        TRY(auth_add(&g->auth, secret, SCOPE_ADMIN));
    if (config->publish_token != NULL && config->publish_token[0] != '\0')
        TRY(auth_add(&g->auth, config->publish_token, SCOPE_PUBLISH));
    g->auth.publish_is_free = config->write_auth_none;
    cursor_key_init(&g->cursor_key, span_str(secret));
    return OK;
}

static void make_limiters(struct gateway *g)
{
    struct rate_config config = {.rate = g->rate,
                                 .burst = g->rate_burst,
                                 .clients_max = RATE_CLIENTS_MAX / RATE_SHARDS};

    for (unsigned i = 0; i < RATE_SHARDS; i++) {
        pthread_mutex_init(&g->shards[i].lock, NULL);
        if (g->rate > 0)
            g->shards[i].limiter = rate_new(&config, &mem_libc);
    }
}

static enum err take_config(struct gateway *g,
                            const struct gateway_config *config,
                            char why[GATEWAY_WHY_MAX])
{
    g->rate = config->rate;
    g->rate_burst = config->rate_burst ? config->rate_burst : 1;
    g->conns_max = conns_max(config);
    g->version = copy(config->version);
    g->commit = copy(config->commit);
    make_limiters(g);
    if (take_public_url(g, config->public_url) != OK)
        return complain(why, ERR_CONFIG, "public_url %s is no http(s) URL",
                        config->public_url);
    if (take_base_path(g, config->base_path) != OK)
        return complain(why, ERR_CONFIG, "base_path %s is no path",
                        config->base_path);
    TRY(take_proxies(g, config, why));
    TRY(take_origins(g, config, why));
    return take_tokens(g, config);
}

/* ---- Starting. ---- */

static enum err bind_address(const char *text, struct listen_address *a,
                             int *fds, unsigned count,
                             char why[GATEWAY_WHY_MAX])
{
    if (listen_parse(text, a) != OK)
        return complain(why, ERR_CONFIG, "%s is not ADDR:PORT", text);
    if (listen_open(a, fds, count) != OK)
        return complain(why, ERR_IO, "cannot listen on %s: %s", text,
                        strerror(errno));
    return OK;
}

static bool is_open_to_others(const struct listen_address *a)
{
    return !a->is_unix && !ip_is_loopback(&a->ip);
}

static enum err check_write_auth(const struct gateway_config *config,
                                 char why[GATEWAY_WHY_MAX])
{
    struct listen_address a;
    const char *texts[] = {config->http, config->admin};

    for (size_t i = 0; config->write_auth_none && i < 2; i++)
        if (texts[i] != NULL && listen_parse(texts[i], &a) == OK &&
            is_open_to_others(&a))
            return complain(why, ERR_CONFIG,
                            "http_write_auth none is refused on %s: "
                            "only a loopback listener may do without tokens",
                            texts[i]);
    return OK;
}

static enum err open_public(struct gateway *g, const char *text,
                            char why[GATEWAY_WHY_MAX])
{
    int fds[GATEWAY_THREADS_MAX] = {0};
    struct listen_address a;
    enum err err = OK;
    size_t len;

    TRY(bind_address(text, &a, fds, g->loop_count, why));
    for (unsigned i = 0; i < g->loop_count; i++) {
        if (err != OK)
            (void)close(fds[i]);
        else
            err = daemon_open(&g->loops[i], fds[i], false,
                              &g->loops[i].daemons[0]);
    }
    listen_url(&a, g->ports.http, sizeof(g->ports.http));
    len = strlen(g->ports.http);
    (void)snprintf(g->ports.http + len, sizeof(g->ports.http) - len, "%s",
                   g->base_path);
    return err == OK ? OK : complain(why, err, "cannot serve on %s", text);
}

static enum err open_admin(struct gateway *g, const char *text,
                           char why[GATEWAY_WHY_MAX])
{
    struct listen_address a;
    int fd = -1;

    TRY(bind_address(text, &a, &fd, 1, why));
    g->admin_ip = a.ip;
    g->admin_is_unix = a.is_unix;
    if (a.is_unix)
        g->admin_socket = copy(text + strlen("unix:"));
    listen_url(&a, g->ports.admin, sizeof(g->ports.admin));
    if (daemon_open(&g->loops[0], fd, true, &g->loops[0].daemons[1]) != OK)
        return complain(why, ERR_IO, "cannot serve on %s", text);
    return OK;
}

static enum err open_loops(struct gateway *g,
                           const struct gateway_config *config,
                           char why[GATEWAY_WHY_MAX])
{
    unsigned count = thread_count(config);

    g->loops = calloc(count, sizeof(*g->loops));
    if (g->loops == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < count; i++) {
        TRY(loop_init(&g->loops[i], g, i));
        g->loop_count = i + 1;
        if (reader_open(g->deps.store, &g->loops[i].reader) != OK)
            return complain(why, ERR_STORE, "the catalogue cannot be read");
    }
    atomic_store(&g->loops_busy, count);
    atomic_store(&g->loops_listening, count);
    TRY(open_public(g, config->http, why));
    if (config->admin != NULL && config->admin[0] != '\0')
        TRY(open_admin(g, config->admin, why));
    for (unsigned i = 0; i < count; i++)
        if (loop_start(&g->loops[i]) != OK)
            return complain(why, ERR_LIMIT, "no more threads can be started");
    return OK;
}

enum err gateway_start(const struct gateway_config *config,
                       const struct gateway_deps *deps, struct gateway **out,
                       char why[GATEWAY_WHY_MAX])
{
    struct gateway *g = calloc(1, sizeof(*g));
    enum err err;

    why[0] = '\0';
    if (g == NULL)
        return ERR_NOMEM;
    g->deps = *deps;
    g->self = *store_self(deps->store);
    g->salt = rng_u64(deps->rng);
    router_init(&g->router, routes, routes_count);
    err = take_config(g, config, why);
    if (err == OK)
        err = check_write_auth(config, why);
    if (err == OK)
        err = open_loops(g, config, why);
    if (err != OK) {
        if (why[0] == '\0')
            (void)complain(why, err, "%s", err_text(err));
        gateway_stop(g);
        return err;
    }
    *out = g;
    return OK;
}

void gateway_ports(const struct gateway *g, struct gateway_ports *out)
{
    *out = g->ports;
}

/* ---- Stopping. ---- */

void gateway_drain(struct gateway *g)
{
    atomic_store_explicit(&g->is_draining, true, memory_order_release);
    for (unsigned i = 0; i < g->loop_count; i++)
        loop_wake(&g->loops[i]);
}

static void release(struct gateway *g)
{
    for (unsigned i = 0; i < RATE_SHARDS; i++) {
        rate_free(g->shards[i].limiter);
        pthread_mutex_destroy(&g->shards[i].lock);
    }
    for (size_t i = 0; i < g->cors.count; i++)
        free(g->origins[i]);
    free(g->public_url);
    free(g->version);
    free(g->commit);
    free(g->admin_socket);
    free(g->loops);
    free(g);
}

void gateway_stop(struct gateway *g)
{
    bool is_over = true;

    if (g == NULL)
        return;
    for (unsigned i = 0; i < g->loop_count; i++)
        is_over = loop_stop(&g->loops[i]) && is_over;
    if (g->admin_socket != NULL)
        (void)unlink(g->admin_socket);
    if (is_over)
        release(g);
    else /* somebody still holds requests that point here */
        log_error(g->deps.log, "gateway", "requests never came back");
}
