/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "gateway/cli/context.h"

enum { SEARCH_LIMIT = 20, QUERY_MAX = 2048 };

static void print_results(struct cli *cli, const json_t *answer)
{
    static const struct column columns[] = {
        {"PACKAGE", false, true}, {"VERSION", false, false},
        {"TITLE", false, true},   {"SCORE", true, false},
        {"SOURCE", false, false},
    };
    const json_t *one;
    struct table t;

    table_init(&t, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; (one = item_of(answer, "results", i)) != NULL; i++) {
        const char *source = text_of(one, "source");

        table_text(&t, text_of(one, "id"));
        table_text(&t, text_of(one, "version"));
        table_text(&t, text_of(one, "title"));
        table_cell(&t, "%.2f", real_of(one, "score"));
        /* On a terminal the end of a peer id tells peers apart. */
        if (cli->out.is_terminal && source != NULL && strlen(source) > 16)
            table_cell(&t, "…%s", source + strlen(source) - 8);
        else
            table_text(&t, source);
    }
    table_print(&t, &cli->out);
    table_release(&t);
}

/* "rust 3, c 1" */
static void write_counts(json_t *facet, char *out, size_t max)
{
    size_t len = 0;

    out[0] = '\0';
    for (void *at = json_object_iter(facet); at != NULL && len < max;
         at = json_object_iter_next(facet, at))
        len +=
            (size_t)snprintf(out + len, max - len, "%s%s %" JSON_INTEGER_FORMAT,
                             len ? ", " : "", json_object_iter_key(at),
                             json_integer_value(json_object_iter_value(at)));
}

static void print_facets(struct cli *cli, const json_t *answer)
{
    json_t *facets = json_object_get(answer, "facets");
    char text[900];

    for (void *at = json_object_iter(facets); at != NULL;
         at = json_object_iter_next(facets, at)) {
        write_counts(json_object_iter_value(at), text, sizeof(text));
        print_field(&cli->out, json_object_iter_key(at), "%s", text);
    }
}

static int tell(struct cli *cli, const json_t *answer)
{
    uint64_t total = number_of(answer, "total");
    const char *cursor = text_of(answer, "next_cursor");

    if (!cli->args.json) {
        (void)fprintf(cli->err.out, "%zu of %s%" PRIu64 " packages, ",
                      json_array_size(json_object_get(answer, "results")),
                      total > 1000 ? "more than " : "", total);
    }
    if (!cli->args.json && cursor != NULL && !cli->err.is_terminal)
        (void)fprintf(cli->err.out, "next --cursor %s, ", cursor);
    return cli_tell_lookup(cli, answer);
}

/* The words as one query; false: it is too long. */
static bool join(const struct args *args, char out[QUERY_MAX])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < args->word_count && len < QUERY_MAX; i++)
        len += (size_t)snprintf(out + len, QUERY_MAX - len, "%s%s",
                                i ? " " : "", args->words[i]);
    return len < QUERY_MAX;
}

static void put_query(const struct args *a, const char *q, struct url *url)
{
    char timeout[32];

    (void)snprintf(timeout, sizeof(timeout), "%" PRIu64 "ms", a->timeout);
    url_start(url, "/api/v1/search");
    url_query(url, "q", q);
    url_query(url, "category", a->category);
    url_query(url, "tag", a->tag);
    url_query(url, "author", a->author);
    url_query(url, "license", a->license);
    url_query(url, "namespace", a->namespace);
    url_query(url, "trust", a->trust);
    url_query(url, "sort", a->sort);
    url_query(url, "scope", a->scope);
    url_query_number(url, "fan_out", a->fan_out);
    url_query(url, "facets", a->facets ? "true" : NULL);
    url_query(url, "timeout", a->timeout ? timeout : NULL);
}

int run_search(struct cli *cli)
{
    uint64_t limit = cli->args.limit ? cli->args.limit : SEARCH_LIMIT;
    char q[QUERY_MAX];
    struct url url;
    json_t *answer;
    int status;

    if (!join(&cli->args, q)) {
        cli_complain(cli, "the search is too long");
        return EXIT_USAGE;
    }
    put_query(&cli->args, q, &url);
    status = cli_get_list(cli, &url, "results", limit, &answer);
    if (status != EXIT_OK)
        return status;
    if (cli->args.json) {
        print_json(&cli->out, answer);
    } else {
        print_results(cli, answer);
        print_facets(cli, answer);
    }
    status = tell(cli, answer);
    json_decref(answer);
    return status;
}
