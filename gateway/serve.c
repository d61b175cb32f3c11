/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "crypto/crypto.h"
#include "gateway/command.h"
#include "gateway/configure.h"
#include "host/endpoints.h"
#include "host/system.h"
#include "market/record.h"
#include "store/cache.h"
#include "telemetry/telemetry.h"

enum { TOKEN_MAX = 256 };

/* A node, put together: each part borrows those above it.
 *
 *      cache ◄── store ◄── host (loop, worker) ◄── gateway
 *
 * They are made in this order and unmade in the other. */
struct serving {
    struct setup setup;
    struct lines lines;
    struct log log;
    struct cache *cache;
    struct store *store;
    struct telemetry *telemetry;
    struct host *host;
    struct gateway *gateway;
    bool has_endpoints;
    char why[512];
};

static void drain_gateway(void *ctx)
{
    struct serving *s = ctx;

    gateway_drain(s->gateway);
}

static void gateway_drained(void *ctx)
{
    struct serving *s = ctx;

    host_drained(s->host);
}

static enum err open_store(struct serving *s)
{
    struct store_config config;

    s->cache = cache_new(s->setup.settings.hot_cache_bytes_max);
    setup_store_config(&s->setup, &config);
    config.cache = s->cache;
    config.rng = &rng_system;
    config.log = &s->log;
    return store_open(&config, clock_wall(), &s->store, s->why);
}

/* Spans, if the environment says where to. */
static enum err open_telemetry(struct serving *s)
{
    char peer[PEER_ID_TEXT_MAX];
    struct otel *otel = malloc(sizeof(*otel));
    struct peer_id id;
    enum err err = OK;

    if (otel == NULL)
        return ERR_NOMEM;
    otel_read(otel, environ);
    for (size_t i = 0; i < otel->warning_count; i++)
        log_warn(&s->log, "telemetry", "%s", otel->warnings[i]);
    peer_id_from_ed25519(&id, store_identity(s->store)->pub);
    if (otel->is_on) {
        struct telemetry_config config = {.otel = otel,
                                          .version = SOUK_VERSION,
                                          .instance = peer_id_format(&id, peer),
                                          .mem = &mem_libc,
                                          .log = &s->log};

        err = telemetry_start(&config, &s->telemetry);
        if (err == ERR_IO) /* it said so; a market needs no spans */
            err = OK;
    }
    free(otel);
    return err;
}

static enum err open_host(struct serving *s)
{
    struct gateway_config gateway;
    struct host_config config;

    setup_host_config(&s->setup, &config);
    setup_gateway_config(&s->setup, &gateway);
    config.node.identity = store_identity(s->store);
    config.store = s->store;
    config.log = &s->log;
    config.telemetry = s->telemetry;
    config.descriptors = gateway_descriptors(&gateway);
    config.drain = drain_gateway;
    config.ctx = s;
    return host_new(&config, &s->host, s->why);
}

/* The first line of |path|, which is not empty. */
static enum err read_token(struct serving *s, const char *path,
                           char token[TOKEN_MAX])
{
    FILE *file = fopen(path, "re");
    bool is_read = file != NULL && fgets(token, TOKEN_MAX, file) != NULL;

    if (file != NULL)
        (void)fclose(file);
    if (is_read)
        token[strcspn(token, "\r\n")] = '\0';
    if (is_read && token[0] != '\0')
        return OK;
    (void)snprintf(s->why, sizeof(s->why), "%.256s holds no token", path);
    return ERR_CONFIG;
}

static enum err open_gateway(struct serving *s)
{
    const char *token_file = s->setup.settings.publish_token_file;
    struct gateway_config config;
    char token[TOKEN_MAX];
    struct gateway_deps deps = {
        .core = host_core(s->host),
        .store = s->store,
        .worker = host_worker(s->host),
        .cache = s->cache,
        .telemetry = s->telemetry,
        .network = s->setup.network,
        .rng = &rng_system,
        .log = &s->log,
        .drained = gateway_drained,
        .ctx = s,
    };

    setup_gateway_config(&s->setup, &config);
    config.admin_token = store_admin_token(s->store);
    if (token_file[0] != '\0') {
        TRY(read_token(s, token_file, token));
        config.publish_token = token;
    }
    return gateway_start(&config, &deps, &s->gateway, s->why);
}

static const char *url_or_null(const char *url)
{
    return url[0] ? url : NULL;
}

/* The file and the line that tell where the node can be reached. */
static enum err tell_endpoints(struct serving *s)
{
    const struct status_addrs *listen = host_listening(s->host);
    char peer[PEER_ID_TEXT_MAX], text[MULTIADDR_TEXT_MAX];
    char all[1024] = "";
    struct gateway_ports ports;
    struct endpoints e = {.peer_id = *host_peer_id(s->host), .listen = *listen};
    size_t len = 0;

    gateway_ports(s->gateway, &ports);
    e.http = url_or_null(ports.http);
    e.admin = url_or_null(ports.admin);
    if (endpoints_write(s->setup.settings.data, &e) != OK) {
        (void)snprintf(s->why, sizeof(s->why),
                       "%.256s/endpoints.json cannot be written",
                       s->setup.settings.data);
        return ERR_IO;
    }
    s->has_endpoints = true;
    for (size_t i = 0; i < listen->count && len < sizeof(all); i++)
        len +=
            (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? "," : "",
                             multiaddr_format(&listen->at[i], text));
    log_info(&s->log, "host", "ready peer=%s listen=%s http=%s admin=%s",
             peer_id_format(&e.peer_id, peer), all, ports.http, ports.admin);
    return OK;
}

static enum err open_all(struct serving *s)
{
    TRY(open_store(s));
    TRY(open_telemetry(s));
    TRY(open_host(s));
    TRY(open_gateway(s));
    return tell_endpoints(s);
}

static void close_all(struct serving *s)
{
    if (s->has_endpoints)
        endpoints_remove(s->setup.settings.data);
    if (s->gateway != NULL)
        gateway_stop(s->gateway);
    host_free(s->host);
    telemetry_stop(s->telemetry);
    if (s->store != NULL)
        store_close(s->store);
    cache_free(s->cache);
    setup_release(&s->setup);
}

static int serve(struct serving *s)
{
    enum err err;

    s->lines = (struct lines){
        .fd = STDERR_FILENO,
        .is_json = s->setup.settings.log_format[0] == 'j',
    };
    s->log = lines_log(&s->lines, s->setup.log_level);
    crypto_init();
    record_init();
    map_set_key(&rng_system);
    log_info(&s->log, "host", "starting version=%s commit=%s data=%s",
             SOUK_VERSION, souk_commit, s->setup.settings.data);
    err = open_all(s);
    if (err == OK)
        err = host_run(s->host);
    if (err != OK)
        log_error(&s->log, "host", "%s", s->why[0] ? s->why : err_text(err));
    close_all(s);
    return err == OK ? EXIT_OK : EXIT_FAILED;
}

int serve_run(int argc, char **argv)
{
    struct serving s = {.host = NULL};
    struct settings_error error;

    if (setup_make(&s.setup, argc - 1, argv + 1, environ, &error) != OK) {
        (void)fprintf(stderr, "souk: %s\n", error.text);
        setup_release(&s.setup);
        return EXIT_USAGE;
    }
    return serve(&s);
}
