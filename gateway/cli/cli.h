/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "gateway/command.h"

/* The commands that ask a running node, over its REST interface, and `key`,
 * which asks nobody.  They use nothing of a node's inside but the record and
 * its signature.
 *
 *      verbs.h options.h ─► args ─► remote, http ─► a verb ─► print, refusal
 *
 * Results go to the output, all else (problems, progress, how complete a list
 * is) to the error output.  Exit: 0 done, 1 failed, 2 the command line is
 * wrong, 3 not found, 4 incomplete: nobody knows. */
extern const struct command cli_commands[];

/* Usage and options of one of them.  false: it is none of ours. */
bool cli_help(const char *name);

#endif /* CLI_CLI_H */
