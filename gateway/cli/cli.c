/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/cli.h"

#include <string.h>

#include "gateway/cli/context.h"
#include "libcurl/libcurl.h"

static int (*const runs[])(struct cli *) = {
#define VERB(symbol, ...) run_##symbol,
#include "gateway/cli/verbs.h"
};

static bool asks_node(enum verb verb)
{
    return VERBS_REST >> verb & 1;
}

static int ask_node(struct cli *cli, enum verb verb, struct args_error *error)
{
    char why[LIBCURL_WHY_MAX];
    int status = EXIT_FAILED;

    if (libcurl_load(why) != OK) {
        (void)snprintf(error->text, sizeof(error->text),
                       "libcurl cannot be loaded: %s", why);
        return EXIT_FAILED;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    if (http_open(&cli->http, &cli->remote, cli->args.timeout) == OK) {
        status = runs[verb](cli);
        http_close(&cli->http);
    } else {
        (void)snprintf(error->text, sizeof(error->text), "out of memory");
    }
    curl_global_cleanup();
    return status;
}

/* The exit status; |error| is empty, or says what is wrong with the line. */
static int run(struct cli *cli, enum verb verb, struct args_error *error)
{
    int status;

    answer_init(&cli->answer);
    if (!asks_node(verb))
        status = runs[verb](cli);
    else if (remote_find(&cli->remote, &cli->args, error) != OK)
        status = EXIT_USAGE;
    else
        status = ask_node(cli, verb, error);
    answer_release(&cli->answer);
    return status;
}

static int finish(struct cli *cli, int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    cli_complain(cli, "the output could not be written");
    return status == EXIT_OK ? EXIT_FAILED : status;
}

static int cli_run(int argc, char **argv)
{
    struct args_error error = {.text = ""};
    struct cli cli = {.args = {.word_count = 0}};
    enum verb verb;
    int taken, status;

    screen_open(&cli.out, stdout);
    screen_open(&cli.err, stderr);
    if (!verb_find(argc, argv, &verb, &taken)) {
        (void)cli_help(argv[0]);
        return EXIT_USAGE;
    }
    if (args_parse(&cli.args, verb, argc - taken, argv + taken, &error) != OK) {
        cli_complain(&cli, "%s", error.text);
        return EXIT_USAGE;
    }
    if (cli.args.wants_help) {
        args_help(verb, stdout);
        return EXIT_OK;
    }
    status = run(&cli, verb, &error);
    if (error.text[0] != '\0')
        cli_complain(&cli, "%s", error.text);
    return finish(&cli, status);
}

const struct command cli_commands[] = {
#define VERB(symbol, name, arguments, min, max, help) \
    {name, arguments, help, cli_run},
#include "gateway/cli/verbs.h"
    {NULL, NULL, NULL, NULL},
};

bool cli_help(const char *name)
{
    size_t len = strlen(name);
    bool is_ours = false;

    for (unsigned v = 0; v < VERB_COUNT; v++) {
        const char *verb = verb_name((enum verb)v);

        if (strncmp(verb, name, len) != 0 ||
            (verb[len] != '\0' && verb[len] != ' '))
            continue;
        if (is_ours)
            (void)printf("\n");
        args_help((enum verb)v, stdout);
        is_ours = true;
    }
    return is_ours;
}
