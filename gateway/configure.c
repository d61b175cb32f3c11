/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/configure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/command.h"
#include "tbl/limit.h"
#include "tbl/network.h"

__attribute__((format(printf, 2, 3))) static enum err
refuse(struct settings_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return ERR_CONFIG;
}

/* ---- The file. ---- */

/* The whole of a small file; ERR_NOT_FOUND, ERR_CONFIG. */
static enum err read_file(const char *path, struct buf *out,
                          struct settings_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    enum err err = OK;
    uint8_t *at;

    while (n > 0 && err == OK) {
        err = buf_reserve(out, 4096, &at);
        if (err != OK)
            break;
        n = read(fd, at, 4096);
        if (n > 0)
            buf_grow(out, (size_t)n);
    }
    if (n < 0)
        err = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    if (err != OK)
        (void)refuse(error, "%.256s: %s", path,
                     n < 0 ? strerror(errno) : err_text(err));
    if (fd >= 0)
        (void)close(fd);
    return err == OK || err == ERR_NOT_FOUND ? err : ERR_CONFIG;
}

static enum err take_file(struct setup *s, struct settings_error *error)
{
    bool is_named = s->settings.config[0] != '\0';
    struct buf text;
    enum err err;

    if (is_named)
        (void)snprintf(s->file, sizeof(s->file), "%s", s->settings.config);
    else
        (void)snprintf(s->file, sizeof(s->file), "%s/souk.yaml",
                       s->settings.data);
    buf_init(&text, LIMIT_CONFIG_BYTES_MAX, &mem_libc);
    err = read_file(s->file, &text, error);
    if (err == OK)
        err = settings_take_yaml(&s->settings, buf_span(&text), s->file, error);
    else
        s->file[0] = '\0';
    buf_release(&text);
    if (err == ERR_NOT_FOUND)
        return is_named ? ERR_CONFIG : OK;
    return err;
}

/* ---- Texts into values. ---- */

/* Whether |addr| is one a socket can be bound to, or be told of, or dialled. */
static bool is_tcp(const struct multiaddr *addr, bool is_ip)
{
    struct endpoint e;

    if (!multiaddr_endpoint(addr, &e))
        return false;
    return !is_ip || e.kind == ENDPOINT_IP4 || e.kind == ENDPOINT_IP6;
}

static enum err parse_addrs(const struct text_list *texts, const char *what,
                            bool is_ip, struct multiaddr **out,
                            struct settings_error *error)
{
    *out = mem_new(&mem_libc, (texts->count + 1) * sizeof(**out));
    for (size_t i = 0; i < texts->count; i++) {
        const char *text = texts->at[i];

        if (multiaddr_parse(&(*out)[i], span_str(text)) != OK)
            return refuse(error, "%s: '%.128s' is not a multiaddr", what, text);
        if (!is_tcp(&(*out)[i], is_ip))
            return refuse(error, "%s: '%.128s' is not %s with a tcp port", what,
                          text, is_ip ? "ip4 or ip6" : "ip or dns");
    }
    return OK;
}

static enum err check_bootstrap(const struct setup *s,
                                struct settings_error *error)
{
    struct peer_id peer;

    for (size_t i = 0; i < s->settings.bootstrap.count; i++)
        if (!multiaddr_peer(&s->bootstrap[i], &peer))
            return refuse(error, "bootstrap: '%.128s' does not end in /p2p/ID",
                          s->settings.bootstrap.at[i]);
    return OK;
}

static enum err parse_trust(struct setup *s, struct settings_error *error)
{
    const struct text_map *m = &s->settings.trust;

    s->trust = mem_new(&mem_libc, (m->count + 1) * sizeof(*s->trust));
    for (size_t i = 0; i < m->count; i++) {
        s->trust[i].namespace = m->at[i].key;
        if (peer_id_parse(&s->trust[i].owner, span_str(m->at[i].value)) != OK)
            return refuse(error, "trust: '%.80s' of '%.64s' is not a peer id",
                          m->at[i].value, m->at[i].key);
    }
    return OK;
}

static enum err parse_all(struct setup *s, struct settings_error *error)
{
    const struct settings *v = &s->settings;

    s->network = network_find(v->network);
    if (s->network == NULL || !log_level_parse(v->log_level, &s->log_level))
        return refuse(error, "no such network or log level");
    TRY(parse_addrs(&v->listen, "listen", true, &s->listen, error));
    TRY(parse_addrs(&v->announce, "announce", false, &s->announce, error));
    TRY(parse_addrs(&v->bootstrap, "bootstrap", false, &s->bootstrap, error));
    TRY(check_bootstrap(s, error));
    return parse_trust(s, error);
}

enum err setup_make(struct setup *s, int argc, char *const *argv,
                    char *const *environment, struct settings_error *error)
{
    enum err err;

    *s = (struct setup){.network = NULL};
    error->text[0] = '\0';
    settings_init(&s->settings);
    err = settings_take_flags(&s->settings, argc, argv, error);
    if (err == OK)
        err = settings_take_env(&s->settings, environment, error);
    if (err == OK)
        err = take_file(s, error);
    if (err == OK)
        err = settings_check(&s->settings, error);
    if (err == OK)
        err = parse_all(s, error);
    return err;
}

void setup_release(struct setup *s)
{
    settings_release(&s->settings);
    mem_free(&mem_libc, s->listen);
    mem_free(&mem_libc, s->announce);
    mem_free(&mem_libc, s->bootstrap);
    mem_free(&mem_libc, s->trust);
    *s = (struct setup){.network = NULL};
}

/* ---- What each room is told. ---- */

void setup_store_config(const struct setup *s, struct store_config *out)
{
    const struct settings *v = &s->settings;

    *out = (struct store_config){
        .dir = v->data,
        .identity_file = v->identity_file[0] ? v->identity_file : NULL,
        .network = s->network,
        .catalogue_bytes_max = v->catalogue_bytes_max,
        .outbox_max = v->outbox_max,
        .trust = s->trust,
        .trust_count = v->trust.count,
    };
}

void setup_host_config(const struct setup *s, struct host_config *out)
{
    const struct settings *v = &s->settings;

    *out = (struct host_config){
        .node = {.network = s->network,
                 .agent = "souk/" SOUK_VERSION,
                 .is_standalone = v->standalone,
                 .is_private_network = v->private_network,
                 .is_client = strcmp(v->kad_mode, "client") == 0,
                 .bootstrap = s->bootstrap,
                 .bootstrap_count = v->bootstrap.count,
                 .has_location = v->location.is_set,
                 .latitude = v->location.latitude,
                 .longitude = v->location.longitude,
                 .dials_max = (unsigned)v->dials_max,
                 .conns_trim = (unsigned)v->conns_trim,
                 .conns_max = (unsigned)v->conns_max,
                 .conns_ip_max = (unsigned)v->conns_ip_max,
                 .unsent_bytes_max = v->unsent_bytes_max,
                 .partial_bytes_max = v->partial_bytes_max,
                 .records_bytes_max = v->records_bytes_max,
                 .search_fan_out = (unsigned)v->search_fan_out},
        .listen = s->listen,
        .listen_count = v->listen.count,
        .listen_is_default = v->source[PARAM_listen] == SETTINGS_DEFAULT,
        .announce = s->announce,
        .announce_count = v->announce.count,
        .shutdown_delay = v->shutdown_delay,
        .terms_max = (unsigned)v->terms_max,
    };
}

void setup_gateway_config(const struct setup *s, struct gateway_config *out)
{
    const struct settings *v = &s->settings;

    *out = (struct gateway_config){
        .http = v->http,
        .admin = v->admin,
        .threads = (unsigned)v->gateway_threads,
        .write_auth_none = strcmp(v->http_write_auth, "none") == 0,
        .rate = v->http_rate_limit,
        .rate_burst = v->http_rate_burst,
        .conns_max = (unsigned)v->http_conns_max,
        .trusted_proxies = (const char *const *)v->trusted_proxies.at,
        .trusted_proxy_count = v->trusted_proxies.count,
        .public_url = v->public_url,
        .base_path = v->base_path,
        .cors_origins = (const char *const *)v->cors_origins.at,
        .cors_origin_count = v->cors_origins.count,
        .version = SOUK_VERSION,
        .commit = souk_commit,
    };
}

/* ---- souk config. ---- */

static int print_text(enum err err, struct buf *text)
{
    struct span s = buf_span(text);

    if (err == OK && fwrite(s.data, 1, s.len, stdout) != s.len)
        err = ERR_IO;
    buf_release(text);
    if (err != OK)
        (void)fprintf(stderr, "souk: %s\n", err_text(err));
    return err == OK ? EXIT_OK : EXIT_FAILED;
}

static int print_settings(const struct setup *s)
{
    struct buf text;

    buf_init(&text, 1 << 20, &mem_libc);
    return print_text(settings_print(&s->settings, &text), &text);
}

static int print_docs(enum err (*docs)(struct buf *out))
{
    struct buf text;

    buf_init(&text, 1 << 20, &mem_libc);
    return print_text(docs(&text), &text);
}

static int with_settings(int argc, char **argv, bool is_print)
{
    struct settings_error error;
    struct setup s;
    int status = EXIT_OK;

    if (setup_make(&s, argc, argv, environ, &error) != OK) {
        (void)fprintf(stderr, "souk: %s\n", error.text);
        status = EXIT_USAGE;
    } else if (is_print) {
        status = print_settings(&s);
    } else {
        (void)printf("the configuration is good%s%s\n",
                     s.file[0] ? "; read " : "", s.file);
    }
    setup_release(&s);
    return status;
}

int config_run(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "check") == 0 || strcmp(what, "print") == 0)
        return with_settings(argc - 2, argv + 2, what[0] == 'p');
    if (strcmp(what, "docs") == 0)
        return print_docs(settings_docs);
    if (strcmp(what, "errors") == 0)
        return print_docs(errors_docs);
    if (strcmp(what, "limits") == 0)
        return print_docs(limits_docs);
    (void)fprintf(stderr, "usage: souk config check|print [OPTIONS]\n");
    return EXIT_USAGE;
}
