/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include <jansson.h>

#include "gateway/cli/args.h"
#include "gateway/cli/http.h"
#include "gateway/cli/print.h"
#include "gateway/cli/remote.h"
#include "gateway/command.h"
#include "market/package.h"

/* What a verb has at hand, and what several of them do. */
struct cli {
    struct args args;
    struct remote remote;
    struct http http;
    struct answer answer; /* of the last question */
    struct screen out, err;
};

/* What is run for each verb; the exit status. */
#define VERB(symbol, ...) int run_##symbol(struct cli *cli);
#include "gateway/cli/verbs.h"

/* "souk: …" on the error output. */
__attribute__((format(printf, 2, 3))) void
cli_complain(struct cli *cli, const char *format, ...);

/* Ask.  EXIT_OK for a 2xx; else it was said what is wrong, and this is the exit
 * status. */
MUST_USE
int cli_ask(struct cli *cli, const struct question *q);
/* GET. */
MUST_USE
int cli_get(struct cli *cli, const struct url *url);
/* The answer's body; NULL (and it was said) if that is no JSON object. */
json_t *cli_json(struct cli *cli);
/* GET a list: |member| of the object at |url|, page after page until there are
 * |limit| entries (0: all).  |*list| is the first page with all of them. */
MUST_USE
int cli_get_list(struct cli *cli, const struct url *url, const char *member,
                 uint64_t limit, json_t **list);
/* What is said of a list that has a `lookup`: EXIT_OK, EXIT_INCOMPLETE. */
int cli_tell_lookup(struct cli *cli, const json_t *answer);

/* "ns/name" or "ns/name@version" into the path of its record; EXIT_USAGE if
 * it is neither, or not with the version wanted. */
enum wants_version { VERSION_NONE, VERSION_MAYBE, VERSION_MUST };
MUST_USE
int cli_package_url(struct cli *cli, const char *word, enum wants_version wants,
                    struct url *url);

/* The whole of a file, "-" being the input; false: it was said. */
bool cli_read_file(struct cli *cli, const char *path, size_t max,
                   struct buf *out);

/* Texts of an object, NULL if absent or of another type. */
const char *text_of(const json_t *object, const char *member);
uint64_t number_of(const json_t *object, const char *member);
double real_of(const json_t *object, const char *member);
/* Of a list in it; NULL beyond its end. */
const json_t *item_of(const json_t *object, const char *member, size_t i);

#endif /* CLI_CONTEXT_H */
