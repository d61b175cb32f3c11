/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/context.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "gateway/cli/refusal.h"
#include "market/semver.h"

enum { PAGE_MAX = 100 };

void cli_complain(struct cli *cli, const char *format, ...)
{
    char text[1024], *clean;
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    clean = text_clean(span_str(text));
    (void)fprintf(cli->err.out, "souk: %s\n", clean);
    mem_free(&mem_libc, clean);
}

const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

uint64_t number_of(const json_t *object, const char *member)
{
    json_int_t n = json_integer_value(json_object_get(object, member));

    return n > 0 ? (uint64_t)n : 0;
}

double real_of(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

const json_t *item_of(const json_t *object, const char *member, size_t i)
{
    return json_array_get(json_object_get(object, member), i);
}

/* ---- Questions. ---- */

int cli_ask(struct cli *cli, const struct question *q)
{
    enum err err = http_send(&cli->http, q, &cli->answer);

    if (err == OK && cli->answer.status >= 200 && cli->answer.status < 300)
        return EXIT_OK;
    return refusal_tell(&cli->err, &cli->remote, &cli->answer, cli->args.json);
}

int cli_get(struct cli *cli, const struct url *url)
{
    struct question q = {
        .method = "GET", .url = url, .is_fresh = cli->args.fresh};

    return cli_ask(cli, &q);
}

json_t *cli_json(struct cli *cli)
{
    struct span body = buf_span(&cli->answer.body);
    json_t *json = json_loadb((const char *)body.data, body.len, 0, NULL);

    if (json_is_object(json))
        return json;
    json_decref(json);
    cli_complain(cli,
                 "%s did not answer with a JSON object; is it a souk node?",
                 cli->remote.name);
    return NULL;
}

/* ---- Lists. ---- */

/* The next page onto |list|; its cursor comes with it. */
static void append_page(json_t *list, json_t *page, const char *member)
{
    const char *kept[] = {"next_cursor", "total"};

    (void)json_array_extend(json_object_get(list, member),
                            json_object_get(page, member));
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (json_object_get(page, kept[i]) != NULL)
            (void)json_object_set(list, kept[i],
                                  json_object_get(page, kept[i]));
}

static int get_page(struct cli *cli, const struct url *base, uint64_t limit,
                    const char *cursor, const char *member, json_t **page)
{
    struct url url = *base;
    int status;

    url_query_number(&url, "limit", limit);
    url_query(&url, "cursor", cursor);
    *page = NULL;
    status = cli_get(cli, &url);
    if (status != EXIT_OK)
        return status;
    *page = cli_json(cli);
    if (*page == NULL)
        return EXIT_FAILED;
    if (json_is_array(json_object_get(*page, member)))
        return EXIT_OK;
    cli_complain(cli, "the answer has no '%s'; is it a souk node?", member);
    return EXIT_FAILED;
}

int cli_get_list(struct cli *cli, const struct url *url, const char *member,
                 uint64_t limit, json_t **list)
{
    const char *cursor = cli->args.cursor;
    int status = EXIT_OK;
    json_t *page;

    *list = NULL;
    do {
        uint64_t have = json_array_size(json_object_get(*list, member));
        uint64_t more =
            limit == 0 || limit - have > PAGE_MAX ? PAGE_MAX : limit - have;

        status = get_page(cli, url, more, cursor, member, &page);
        if (status != EXIT_OK)
            break;
        if (*list == NULL) {
            *list = json_incref(page);
        } else {
            append_page(*list, page, member);
            /* A node that sends nothing more has nothing more. */
            if (json_array_size(json_object_get(page, member)) == 0)
                limit = have;
        }
        json_decref(page);
        cursor = text_of(*list, "next_cursor");
    } while (cursor != NULL && (limit == 0 || json_array_size(json_object_get(
                                                  *list, member)) < limit));
    if (status != EXIT_OK)
        json_decref(*list);
    return status;
}

int cli_tell_lookup(struct cli *cli, const json_t *answer)
{
    const json_t *lookup = json_object_get(answer, "lookup");
    const char *reason = text_of(lookup, "reason");
    bool is_complete = !json_is_false(json_object_get(lookup, "complete"));
    const char *scope = text_of(lookup, "scope");

    if (cli->args.json)
        return is_complete ? EXIT_OK : EXIT_INCOMPLETE;
    if (scope != NULL && strcmp(scope, "local") == 0)
        (void)fprintf(cli->err.out, "of this node only");
    else
        (void)fprintf(cli->err.out, "%s: %u of %u peers answered",
                      is_complete ? "complete" : "incomplete",
                      (unsigned)number_of(lookup, "peers_responded"),
                      (unsigned)number_of(lookup, "peers_queried"));
    if (!is_complete && reason != NULL)
        (void)fprintf(cli->err.out, " (%s)", reason);
    (void)fprintf(cli->err.out, ", %.1f ms\n", real_of(lookup, "elapsed_ms"));
    return is_complete ? EXIT_OK : EXIT_INCOMPLETE;
}

/* ---- Words. ---- */

static bool split_package(struct span word, struct span *ns, struct span *name,
                          struct span *version)
{
    const uint8_t *slash = memchr(word.data, '/', word.len);
    const uint8_t *at;

    if (slash == NULL)
        return false;
    *ns = SPAN(word.data, (size_t)(slash - word.data));
    *name = SPAN(slash + 1, word.len - ns->len - 1);
    *version = SPAN_NONE;
    at = memchr(name->data, '@', name->len);
    if (at != NULL) {
        *version = SPAN(at + 1, name->len - (size_t)(at - name->data) - 1);
        name->len = (size_t)(at - name->data);
    }
    return true;
}

int cli_package_url(struct cli *cli, const char *word, enum wants_version wants,
                    struct url *url)
{
    static const char *const forms[] = {
        [VERSION_NONE] = "NS/NAME",
        [VERSION_MAYBE] = "NS/NAME or NS/NAME@VERSION",
        [VERSION_MUST] = "NS/NAME@VERSION",
    };
    struct span ns, name, version;
    struct package_id id;
    struct semver v;
    bool has_form = split_package(span_str(word), &ns, &name, &version) &&
                    package_id_look_up(&id, ns, name) == OK;
    bool has_version = has_form && version.data != NULL;

    if (!has_form || (has_version && wants == VERSION_NONE) ||
        (!has_version && wants == VERSION_MUST)) {
        cli_complain(cli, "'%s' is not %s", word, forms[wants]);
        return EXIT_USAGE;
    }
    if (has_version && semver_parse(version, &v) != OK) {
        cli_complain(cli, "'%.*s' is no version such as 1.2.3 or 1.0.0-rc.1",
                     (int)version.len, (const char *)version.data);
        return EXIT_USAGE;
    }
    url_start(url, "/api/v1/packages");
    url_segment(url, span_str(id.ns));
    url_segment(url, span_str(id.name));
    if (has_version) {
        url_segment(url, SPAN_LIT("versions"));
        url_segment(url, version);
    }
    return EXIT_OK;
}

bool cli_read_file(struct cli *cli, const char *path, size_t max,
                   struct buf *out)
{
    bool is_input = strcmp(path, "-") == 0, is_read = false;
    FILE *f = is_input ? stdin : fopen(path, "re");
    uint8_t *at;
    size_t n;

    while (f != NULL && !is_read && buf_len(out) <= max &&
           buf_reserve(out, 65536, &at) == OK) {
        n = fread(at, 1, 65536, f);
        buf_grow(out, n);
        is_read = n == 0 && !ferror(f);
        if (n == 0)
            break;
    }
    if (buf_len(out) > max)
        cli_complain(cli, "%s: larger than %zu bytes", path, max);
    else if (!is_read)
        cli_complain(cli, "%s: %s", path, strerror(errno));
    if (f != NULL && !is_input)
        (void)fclose(f);
    return is_read && buf_len(out) <= max;
}
