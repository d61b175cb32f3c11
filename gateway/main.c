/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/command.h"
#include "gateway/configure.h"
#include "gateway/serve.h"
#include "tbl/settings.h"

static int version_run(int argc, char **argv)
{
    (void)argc, (void)argv;
    (void)printf("souk %s (%s)\n", SOUK_VERSION, souk_commit);
    return EXIT_OK;
}

static int help_run(int argc, char **argv);

static const struct command commands[] = {
    {"serve", "[OPTIONS]", "run a node", serve_run},
    {"config", "check|print [OPTIONS]", "what a node would run with",
     config_run},
    {"version", "", "the version of this program", version_run},
    {"help", "[COMMAND]", "this, or the options of one", help_run},
    {NULL, NULL, NULL, NULL},
};

static const struct command *find(const struct command *table, const char *name)
{
    size_t len = strlen(name);

    /* "key" finds "key new": what follows is told apart there. */
    for (; table->name != NULL; table++)
        if (strncmp(table->name, name, len) == 0 &&
            (table->name[len] == '\0' || table->name[len] == ' '))
            return table;
    return NULL;
}

static const struct command *find_any(const char *name)
{
    const struct command *c = find(commands, name);

    return c != NULL ? c : find(cli_commands, name);
}

static void print_commands(FILE *out, const struct command *table)
{
    for (; table->name != NULL; table++)
        (void)fprintf(out, "  %-12s %-34s %s\n", table->name, table->arguments,
                      table->help);
}

static void print_usage(FILE *out)
{
    (void)fprintf(out, "usage: souk COMMAND …\n\n");
    print_commands(out, commands);
    (void)fprintf(out, "\nOf a running node (--api URL, --token-file FILE, "
                       "--json, --timeout TIME):\n\n");
    print_commands(out, cli_commands);
    (void)fprintf(out, "\nExit status: 0 done, 1 failed, 2 usage, 3 not found, "
                       "4 incomplete.\n");
}

static int print_options(void)
{
    struct buf text;
    enum err err;

    buf_init(&text, 1 << 20, &mem_libc);
    err = settings_help(&text);
    if (err == OK)
        (void)fwrite(buf_span(&text).data, 1, buf_len(&text), stdout);
    buf_release(&text);
    return err == OK ? EXIT_OK : EXIT_FAILED;
}

static int help_run(int argc, char **argv)
{
    const struct command *c = argc > 1 ? find_any(argv[1]) : NULL;

    if (argc < 2) {
        print_usage(stdout);
        return EXIT_OK;
    }
    if (c == NULL) {
        (void)fprintf(stderr, "souk: no command '%s'\n", argv[1]);
        return EXIT_USAGE;
    }
    if (cli_help(argv[1]))
        return EXIT_OK;
    (void)printf("usage: souk %s %s\n\n%s\n", c->name, c->arguments, c->help);
    if (c->run != serve_run && c->run != config_run)
        return EXIT_OK;
    (void)printf("\n");
    return print_options();
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

int main(int argc, char **argv)
{
    const struct command *c;

    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (is_one_of(argv[1], "--help", "-h"))
        return help_run(1, argv);
    if (is_one_of(argv[1], "--version", "-V"))
        return version_run(1, argv);
    c = find_any(argv[1]);
    if (c == NULL) {
        (void)fprintf(stderr, "souk: no command '%s'; see souk help\n",
                      argv[1]);
        return EXIT_USAGE;
    }
    if (argc > 2 && is_one_of(argv[2], "--help", "-h"))
        return help_run(2, argv);
    return c->run(argc - 1, argv + 1);
}
