/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "souk/err.h"

/* A command line, taken apart by the tables verbs.h and options.h:
 *
 *      souk search c compiler --tag=lang --limit 5
 *           verb   words      options
 *
 * Options begin with two dashes and stand anywhere; "--" ends them.  A word
 * with one dash is a word (a search may say -not). */

enum verb {
#define VERB(symbol, ...) VERB_##symbol,
#include "gateway/cli/verbs.h"
    VERB_COUNT
};

#define FOR(symbol) (UINT32_C(1) << VERB_##symbol)
#define VERBS_ALL ((UINT32_C(1) << VERB_COUNT) - 1)
#define VERBS_REST (VERBS_ALL & ~(FOR(key_new) | FOR(key_show) | FOR(key_sign)))

/* A field's C type, by the type column of options.h. */
#define ARGS_FIELD_TEXT(name) const char *name;   /* NULL: not given */
#define ARGS_FIELD_CHOICE(name) const char *name; /* likewise */
#define ARGS_FIELD_SWITCH(name) bool name;
#define ARGS_FIELD_NUMBER(name) uint64_t name;   /* 0: not given */
#define ARGS_FIELD_DURATION(name) uint64_t name; /* ms; 0: not given */

struct args {
    enum verb verb;
    char **words; /* in the caller's argv */
    size_t word_count;
    bool wants_help;
#define OPTION(field, flag, type, ...) ARGS_FIELD_##type(field)
#include "gateway/cli/options.h"
};

struct args_error {
    char text[256]; /* one line, without its newline */
};

const char *verb_name(enum verb verb); /* "key new" */
/* By the first words of |argv|, counted in |*taken|.  false: no such. */
bool verb_find(int argc, char *const *argv, enum verb *verb, int *taken);

/* |argv| is what follows the verb; its words are moved to its front.
 * ERR_INVAL: |error| says why. */
MUST_USE
enum err args_parse(struct args *args, enum verb verb, int argc, char **argv,
                    struct args_error *error);
/* Usage and the options of |verb|. */
void args_help(enum verb verb, FILE *out);

/* 500ms 2s 5m 1h 7d, not 0. */
bool time_parse(const char *text, uint64_t *ms);

#endif /* CLI_ARGS_H */
