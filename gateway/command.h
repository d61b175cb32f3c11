/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_COMMAND_H
#define GATEWAY_COMMAND_H

/* What the subcommands of the binary have in common. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_INCOMPLETE = 4,
};

/* A row of a table of subcommands, which ends with a name of NULL.  |argv[0]|
 * is the subcommand. */
struct command {
    const char *name;
    const char *arguments;
    const char *help;
    int (*run)(int argc, char **argv);
};

/* The git commit this was built from, "unknown" outside a clone. */
extern const char souk_commit[];

#endif /* GATEWAY_COMMAND_H */
