/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "gateway/cli/context.h"

/* publish, get, versions, yank, unyank. */

enum { BODY_MAX = 2 << 20 }; /* more than a node takes: it says why */

static void put_timeout(struct cli *cli, struct url *url)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64 "ms", cli->args.timeout);
    if (cli->args.timeout > 0)
        url_query(url, "timeout", text);
}

/* "ns/name" and "1.2.3-rc.1" of a record. */
static void name_of(const json_t *record, char package[PACKAGE_TEXT_MAX],
                    char version[128])
{
    const json_t *id = json_object_get(record, "id");
    const json_t *v = json_object_get(record, "version");
    const char *ns = text_of(id, "namespace"), *name = text_of(id, "name");
    const char *pre = text_of(v, "pre_release");

    (void)snprintf(package, PACKAGE_TEXT_MAX, "%s/%s", ns ? ns : "",
                   name ? name : "");
    (void)snprintf(version, 128, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 "%s%s",
                   number_of(v, "major"), number_of(v, "minor"),
                   number_of(v, "patch"), pre && *pre ? "-" : "",
                   pre ? pre : "");
}

/* ---- Writes: the answer is {package, stored}. ---- */

static int tell_stored(struct cli *cli, const char *done)
{
    json_t *answer = cli->args.json ? NULL : cli_json(cli);
    const json_t *record = json_object_get(answer, "package");
    const json_t *stored = json_object_get(answer, "stored");
    char package[PACKAGE_TEXT_MAX], version[128];
    uint64_t acked = number_of(stored, "acked");

    if (cli->args.json) {
        print_raw(&cli->out, buf_span(&cli->answer.body));
        return EXIT_OK;
    }
    if (answer == NULL)
        return EXIT_FAILED;
    name_of(record, package, version);
    (void)fprintf(cli->out.out, "%s %s@%s", done, package, version);
    if (cli->args.wait != NULL && strcmp(cli->args.wait, "local") != 0)
        (void)fprintf(cli->out.out, ", at %" PRIu64 " of %" PRIu64 " peers",
                      acked, number_of(stored, "requested"));
    (void)fprintf(cli->out.out, "\n");
    if (cli->args.wait != NULL && strcmp(cli->args.wait, "local") != 0 &&
        acked == 0 && cli->answer.status == 201)
        cli_complain(cli, "no peer has it yet; it is safe on the node, which "
                          "goes on by itself");
    json_decref(answer);
    return EXIT_OK;
}

static int publish(struct cli *cli, struct span body)
{
    struct url url;
    struct question q = {.method = "POST", .url = &url, .body = body};
    int status;

    url_start(&url, "/api/v1/packages");
    url_query(&url, "wait", cli->args.wait);
    put_timeout(cli, &url);
    status = cli_ask(cli, &q);
    if (status != EXIT_OK)
        return status;
    return tell_stored(cli, cli->answer.status == 201 ? "published"
                                                      : "was there already:");
}

int run_publish(struct cli *cli)
{
    struct buf body;
    int status = EXIT_FAILED;

    buf_init(&body, BODY_MAX + 65536, &mem_libc);
    if (cli_read_file(cli, cli->args.words[0], BODY_MAX, &body))
        status = publish(cli, SPAN(buf_len(&body) ? buf_span(&body).data
                                                  : (const uint8_t *)"",
                                   buf_len(&body)));
    buf_release(&body);
    return status;
}

static int change_yank(struct cli *cli, const char *method, const json_t *body,
                       const char *done)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct url url;
    struct question q = {.method = method,
                         .url = &url,
                         .body = text ? span_str(text) : SPAN_NONE};
    int status = cli_package_url(cli, cli->args.words[0], VERSION_MUST, &url);

    if (status == EXIT_OK) {
        url_segment(&url, SPAN_LIT("yank"));
        put_timeout(cli, &url);
        status = cli_ask(cli, &q);
    }
    free(text);
    return status == EXIT_OK ? tell_stored(cli, done) : status;
}

int run_yank(struct cli *cli)
{
    json_t *body = json_pack("{s:s}", "reason", cli->args.words[1]);
    int status;

    if (body == NULL) {
        cli_complain(cli, "the reason is not UTF-8");
        return EXIT_USAGE;
    }
    if (cli->args.use_instead != NULL)
        (void)json_object_set_new(body, "use_instead",
                                  json_string(cli->args.use_instead));
    status = change_yank(cli, "PUT", body, "yanked");
    json_decref(body);
    return status;
}

int run_unyank(struct cli *cli)
{
    return change_yank(cli, "DELETE", NULL, "no longer yanked:");
}

/* ---- Reads. ---- */

static void tell_trust(struct cli *cli)
{
    if (!cli->err.is_terminal || cli->args.json)
        return;
    (void)fprintf(cli->err.out, "trust: %s%s\n", cli->answer.trust,
                  cli->answer.is_conflict
                      ? "; another key claims this name too, and is refused"
                      : "");
}

int run_get(struct cli *cli)
{
    struct url url;
    json_t *record;
    int status = cli_package_url(cli, cli->args.words[0], VERSION_MAYBE, &url);

    if (status != EXIT_OK)
        return status;
    url_query(&url, "scope", cli->args.scope);
    put_timeout(cli, &url);
    status = cli_get(cli, &url);
    if (status != EXIT_OK)
        return status;
    record = cli_json(cli);
    if (record == NULL)
        return EXIT_FAILED;
    if (cli->out.is_terminal && !cli->args.json)
        print_json(&cli->out, record);
    else
        print_raw(&cli->out, buf_span(&cli->answer.body));
    tell_trust(cli);
    json_decref(record);
    return EXIT_OK;
}

static void print_versions(struct cli *cli, const json_t *list)
{
    static const struct column columns[] = {
        {"VERSION", false, false},
        {"YANKED", false, false},
        {"UPDATED", false, false},
    };
    const json_t *one;
    struct table t;

    table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; (one = item_of(list, "versions", i)) != NULL; i++) {
        bool is_yanked = json_is_true(json_object_get(one, "yanked"));

        table_text(&t, text_of(one, "version"));
        table_text(&t, is_yanked ? "yanked" : "-");
        table_paint(&t, is_yanked ? PAINT_RED : PAINT_NONE);
        table_text(&t, text_of(one, "updated_at"));
    }
    table_print(&t, &cli->out);
    table_release(&t);
}

int run_versions(struct cli *cli)
{
    struct url url;
    json_t *list;
    int status = cli_package_url(cli, cli->args.words[0], VERSION_NONE, &url);

    if (status != EXIT_OK)
        return status;
    url_segment(&url, SPAN_LIT("versions"));
    url_query(&url, "view", "brief");
    url_query(&url, "scope", cli->args.scope);
    put_timeout(cli, &url);
    status = cli_get_list(cli, &url, "versions", cli->args.limit, &list);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json)
        print_json(&cli->out, list);
    else
        print_versions(cli, list);
    status = cli_tell_lookup(cli, list);
    json_decref(list);
    return status;
}
