/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "gateway/cli/context.h"

/* peers, peer, connect, disconnect, ban. */

static void put_latency(struct table *t, const json_t *peer)
{
    if (json_is_number(json_object_get(peer, "latency_ms")))
        table_cell(t, "%.1f", real_of(peer, "latency_ms"));
    else
        table_text(t, NULL);
}

static void print_peers(struct cli *cli, const json_t *list)
{
    static const struct column columns[] = {
        {"PEER", false, false},      {"STATE", false, false},
        {"SCORE", true, false},      {"MS", true, false},
        {"DIRECTION", false, false}, {"AGENT", false, true},
        {"ADDRESS", false, true},
    };
    const json_t *one;
    struct table t;

    table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; (one = item_of(list, "peers", i)) != NULL; i++) {
        const json_t *addresses = json_object_get(one, "addresses");
        const char *state = text_of(one, "state");
        bool is_banned = state != NULL && strcmp(state, "banned") == 0;

        table_text(&t, text_of(one, "id"));
        table_text(&t, state);
        table_paint(&t, is_banned ? PAINT_RED : PAINT_NONE);
        table_cell(&t, "%.3f", real_of(one, "score"));
        put_latency(&t, one);
        table_text(&t, text_of(one, "direction"));
        table_text(&t, text_of(one, "agent"));
        table_text(&t, json_string_value(json_array_get(addresses, 0)));
    }
    table_print(&t, &cli->out);
    table_release(&t);
}

int run_peers(struct cli *cli)
{
    struct url url;
    json_t *list;
    int status;

    url_start(&url, "/api/v1/peers");
    url_query(&url, "state", cli->args.peer_state);
    url_query(&url, "sort", cli->args.peer_sort);
    status = cli_get_list(cli, &url, "peers", cli->args.limit, &list);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json)
        print_json(&cli->out, list);
    else
        print_peers(cli, list);
    if (!cli->args.json)
        (void)fprintf(cli->err.out, "%zu of %" PRIu64 " peers\n",
                      json_array_size(json_object_get(list, "peers")),
                      number_of(list, "total"));
    json_decref(list);
    return EXIT_OK;
}

/* ---- One. ---- */

static int peer_url(struct cli *cli, const char *id, const char *rest,
                    struct url *url)
{
    struct peer_id parsed;

    if (peer_id_parse(&parsed, span_str(id)) != OK) {
        cli_complain(cli, "'%s' is no peer id such as 12D3Koo…", id);
        return EXIT_USAGE;
    }
    url_start(url, "/api/v1/peers");
    url_segment(url, span_str(id));
    if (rest != NULL)
        url_segment(url, span_str(rest));
    return EXIT_OK;
}

static void print_texts(struct cli *cli, const char *name, const json_t *list)
{
    const json_t *one;

    for (size_t i = 0; (one = json_array_get(list, i)) != NULL; i++)
        print_field(&cli->out, i ? "" : name, "%s", json_string_value(one));
}

static void print_optional(struct cli *cli, const json_t *object,
                           const char *name)
{
    if (text_of(object, name) != NULL)
        print_field(&cli->out, name, "%s", text_of(object, name));
}

static void print_peer(struct cli *cli, const json_t *peer)
{
    print_field(&cli->out, "id", "%s", text_of(peer, "id"));
    print_optional(cli, peer, "state");
    print_optional(cli, peer, "direction");
    print_optional(cli, peer, "agent");
    print_texts(cli, "addresses", json_object_get(peer, "addresses"));
    print_texts(cli, "protocols", json_object_get(peer, "protocols"));
    if (json_is_number(json_object_get(peer, "latency_ms")))
        print_field(&cli->out, "latency", "%.1f ms",
                    real_of(peer, "latency_ms"));
    print_field(&cli->out, "score", "%.3f", real_of(peer, "score"));
    print_optional(cli, peer, "last_seen");
    print_optional(cli, peer, "banned_until");
}

static void print_reputation(struct cli *cli, const json_t *reputation)
{
    json_t *terms = json_object_get(reputation, "terms");
    const json_t *reason;

    for (void *at = json_object_iter(terms); at != NULL;
         at = json_object_iter_next(terms, at)) {
        char left[32];

        (void)snprintf(left, sizeof(left), "  %s", json_object_iter_key(at));
        print_field(&cli->out, left, "%.3f",
                    json_number_value(json_object_iter_value(at)));
    }
    print_field(&cli->out, "outcomes", "%" PRIu64 " good, %" PRIu64 " bad",
                number_of(reputation, "successes"),
                number_of(reputation, "failures"));
    print_field(&cli->out, "packages", "%" PRIu64,
                number_of(reputation, "packages_provided"));
    for (size_t i = 0; (reason = item_of(reputation, "reasons", i)) != NULL;
         i++)
        print_field(&cli->out, i ? "" : "reasons", "%s %s",
                    text_of(reason, "at"), text_of(reason, "text"));
}

/* GET; NULL and |*status| if there is nothing. */
static json_t *fetch(struct cli *cli, const char *rest, int *status)
{
    struct url url;
    json_t *json = NULL;

    *status = peer_url(cli, cli->args.words[0], rest, &url);
    if (*status == EXIT_OK)
        *status = cli_get(cli, &url);
    if (*status == EXIT_OK) {
        json = cli_json(cli);
        *status = json ? EXIT_OK : EXIT_FAILED;
    }
    return json;
}

int run_peer(struct cli *cli)
{
    int status;
    json_t *peer = fetch(cli, NULL, &status), *reputation = NULL;

    if (status == EXIT_OK)
        reputation = fetch(cli, "reputation", &status);
    if (status == EXIT_OK && cli->args.json) {
        (void)json_object_set(peer, "reputation", reputation);
        print_json(&cli->out, peer);
    } else if (status == EXIT_OK) {
        print_peer(cli, peer);
        print_reputation(cli, reputation);
    }
    json_decref(peer);
    json_decref(reputation);
    return status;
}

/* ---- Changes. ---- */

int run_connect(struct cli *cli)
{
    json_t *body = json_pack("{s:s}", "multiaddr", cli->args.words[0]), *peer;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, timeout[32];
    struct url url;
    struct question q = {.method = "POST", .url = &url};
    int status;

    if (text == NULL) {
        cli_complain(cli, "the address is not UTF-8");
        return EXIT_USAGE;
    }
    q.body = span_str(text);
    (void)snprintf(timeout, sizeof(timeout), "%" PRIu64 "ms",
                   cli->args.timeout);
    url_start(&url, "/api/v1/peers");
    url_query(&url, "timeout", cli->args.timeout ? timeout : NULL);
    status = cli_ask(cli, &q);
    free(text);
    json_decref(body);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json) {
        print_raw(&cli->out, buf_span(&cli->answer.body));
        return EXIT_OK;
    }
    peer = cli_json(cli);
    if (peer == NULL)
        return EXIT_FAILED;
    (void)fprintf(cli->out.out, "%s\n",
                  cli->answer.status == 201 ? "connected"
                                            : "was connected already");
    print_peer(cli, peer);
    json_decref(peer);
    return EXIT_OK;
}

static int leave(struct cli *cli, uint64_t ban_s)
{
    const char *id = cli->args.words[0];
    char ban[32];
    struct url url;
    struct question q = {.method = "DELETE", .url = &url};
    int status = peer_url(cli, id, NULL, &url);

    if (status != EXIT_OK)
        return status;
    (void)snprintf(ban, sizeof(ban), "%" PRIu64 "s", ban_s);
    url_query(&url, "ban", ban_s ? ban : NULL);
    status = cli_ask(cli, &q);
    if (status == EXIT_OK && !cli->args.json) {
        char left[32];

        (void)fprintf(cli->out.out, "%s %s", ban_s ? "banned" : "disconnected",
                      id);
        if (ban_s)
            (void)fprintf(cli->out.out, " for %s",
                          print_seconds((double)ban_s, left));
        (void)fprintf(cli->out.out, "\n");
    }
    return status;
}

int run_disconnect(struct cli *cli)
{
    return leave(cli, 0);
}

int run_ban(struct cli *cli)
{
    uint64_t s = cli->args.duration / 1000;

    return leave(cli, s > 0 ? s : 1);
}
