/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "gateway/cli/context.h"
#include "gateway/cli/refusal.h"

/* status, limits, healthcheck. */

static void print_addresses(struct cli *cli, const json_t *addresses,
                            const char *which)
{
    const json_t *one;

    for (size_t i = 0; (one = item_of(addresses, which, i)) != NULL; i++)
        print_field(&cli->out, i ? "" : which, "%s", json_string_value(one));
}

static void print_node(struct cli *cli, const json_t *node)
{
    const json_t *addresses = json_object_get(node, "addresses");
    json_t *counts = json_object_get(node, "counts");
    char up[32];

    print_field(&cli->out, "id", "%s", text_of(node, "id"));
    print_field(&cli->out, "version", "%s", text_of(node, "version"));
    print_field(&cli->out, "network", "%s%s", text_of(node, "network"),
                json_is_true(json_object_get(node, "standalone"))
                    ? ", standalone"
                    : "");
    print_field(&cli->out, "uptime", "%s",
                print_seconds(real_of(node, "uptime_s"), up));
    print_addresses(cli, addresses, "listen");
    print_addresses(cli, addresses, "announced");
    print_addresses(cli, addresses, "confirmed");
    for (void *at = json_object_iter(counts); at != NULL;
         at = json_object_iter_next(counts, at)) {
        char spelt[64];

        (void)snprintf(spelt, sizeof(spelt), "%s", json_object_iter_key(at));
        for (char *p = spelt; *p; p++)
            if (*p == '_')
                *p = ' ';
        print_field(&cli->out, spelt, "%" JSON_INTEGER_FORMAT,
                    json_integer_value(json_object_iter_value(at)));
    }
}

/* "no (network: no peer answered …)" */
static void why_not(const json_t *health, char *out, size_t max)
{
    json_t *checks = json_object_get(health, "checks");
    size_t len = 0;

    out[0] = '\0';
    for (void *at = json_object_iter(checks); at != NULL;
         at = json_object_iter_next(checks, at)) {
        const char *name = json_object_iter_key(at);
        const json_t *check = json_array_get(json_object_iter_value(at), 0);
        const char *status = text_of(check, "status");
        const char *why = text_of(check, "output");

        if (len < max && status != NULL && strcmp(status, "pass") != 0)
            len += (size_t)snprintf(out + len, max - len, "%s%s: %s",
                                    len ? "; " : "", name, why ? why : status);
    }
}

/* GET a probe, 503 being an answer like 200.  NULL: it was said. */
static json_t *probe(struct cli *cli, const char *name, int *status)
{
    char path[64];
    struct url url;
    struct question q = {.method = "GET", .url = &url};
    json_t *health = NULL;
    enum err err;

    (void)snprintf(path, sizeof(path), "/%s", name);
    url_start(&url, path);
    url_query(&url, "verbose", "true");
    err = http_send(&cli->http, &q, &cli->answer);
    if (err == OK &&
        strncmp(cli->answer.type, "application/health+json", 23) == 0)
        health = cli_json(cli);
    else
        (void)refusal_tell(&cli->err, &cli->remote, &cli->answer,
                           cli->args.json);
    *status =
        health != NULL && cli->answer.status == 200 ? EXIT_OK : EXIT_FAILED;
    return health;
}

int run_status(struct cli *cli)
{
    json_t *node, *health;
    struct url url;
    char why[512];
    int status, ready;

    url_start(&url, "/api/v1/node");
    status = cli_get(cli, &url);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json) {
        print_raw(&cli->out, buf_span(&cli->answer.body));
        return EXIT_OK;
    }
    node = cli_json(cli);
    if (node == NULL)
        return EXIT_FAILED;
    health = probe(cli, "readyz", &ready);
    print_node(cli, node);
    why_not(health, why, sizeof(why));
    if (health != NULL)
        print_field(&cli->out, "ready", "%s%s%s%s",
                    ready == EXIT_OK ? "yes" : "no", why[0] ? " (" : "", why,
                    why[0] ? ")" : "");
    json_decref(node);
    json_decref(health);
    return health != NULL ? EXIT_OK : EXIT_FAILED;
}

static void put_limit(struct table *t, const json_t *one)
{
    uint64_t use = number_of(one, "use"), limit = number_of(one, "limit");
    uint64_t refused = number_of(one, "refused");
    bool is_near = limit > 0 && use * 5 >= limit * 4;

    table_text(t, text_of(one, "name"));
    table_cell(t, "%" PRIu64, use);
    if (limit == 0) {
        table_text(t, "off");
        table_text(t, NULL);
    } else {
        table_cell(t, "%" PRIu64, limit);
        table_cell(t, "%.0f", 100 * (double)use / (double)limit);
    }
    table_paint(t, is_near ? PAINT_YELLOW : PAINT_NONE);
    table_cell(t, "%" PRIu64, refused);
    table_paint(t, refused ? PAINT_RED : PAINT_NONE);
}

int run_limits(struct cli *cli)
{
    static const struct column columns[] = {
        {"LIMIT", false, true}, {"USE", true, false},     {"OF", true, false},
        {"%", true, false},     {"REFUSED", true, false},
    };
    const json_t *one;
    json_t *answer;
    struct url url;
    struct table t;
    int status;

    url_start(&url, "/api/v1/node/limits");
    status = cli_get(cli, &url);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json) {
        print_raw(&cli->out, buf_span(&cli->answer.body));
        return EXIT_OK;
    }
    answer = cli_json(cli);
    if (answer == NULL)
        return EXIT_FAILED;
    table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; (one = item_of(answer, "limits", i)) != NULL; i++)
        put_limit(&t, one);
    table_print(&t, &cli->out);
    table_release(&t);
    json_decref(answer);
    return EXIT_OK;
}

static bool is_probe(const char *name)
{
    static const char *const probes[] = {"readyz", "livez", "startupz",
                                         "health"};

    for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
        if (strcmp(probes[i], name) == 0)
            return true;
    return false;
}

int run_healthcheck(struct cli *cli)
{
    const char *name = cli->args.word_count ? cli->args.words[0] : "readyz";
    json_t *health;
    char why[512];
    int status;

    if (!is_probe(name)) {
        cli_complain(cli, "no probe '%s': readyz, livez, startupz, health",
                     name);
        return EXIT_USAGE;
    }
    health = probe(cli, name, &status);
    if (health == NULL)
        return EXIT_FAILED;
    why_not(health, why, sizeof(why));
    if (cli->args.json)
        print_raw(&cli->out, buf_span(&cli->answer.body));
    else
        (void)fprintf(cli->out.out, "%s%s%s\n",
                      status == EXIT_OK ? "pass" : "fail", why[0] ? " " : "",
                      why);
    json_decref(health);
    return status;
}
