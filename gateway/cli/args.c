/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/args.h"

#include <stdarg.h>
#include <string.h>

enum option_type {
    TYPE_TEXT,
    TYPE_CHOICE,
    TYPE_SWITCH,
    TYPE_NUMBER,
    TYPE_DURATION,
};

struct option {
    const char *flag;
    enum option_type type;
    const char *argument;
    const char *otherwise;
    uint32_t verbs;
    const char *help;
    size_t offset;
};

static const struct option options[] = {
#define OPTION(field, flag, type, argument, otherwise, verbs, help) \
    {flag,                                                          \
     TYPE_##type,                                                   \
     argument,                                                      \
     otherwise,                                                     \
     verbs,                                                         \
     help,                                                          \
     offsetof(struct args, field)},
#include "gateway/cli/options.h"
};
enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };
_Static_assert(OPTION_COUNT <= 64, "given is a word of bits");
_Static_assert(VERB_COUNT < 32, "verbs are a word of bits");

static const struct {
    const char *name, *arguments;
    size_t words_min, words_max;
    const char *help;
} verbs[] = {
#define VERB(symbol, name, arguments, min, max, help) \
    {name, arguments, min, max, help},
#include "gateway/cli/verbs.h"
};

__attribute__((format(printf, 2, 3))) static enum err
refuse(struct args_error *error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    return ERR_INVAL;
}

/* ---- Verbs. ---- */

const char *verb_name(enum verb verb)
{
    return verbs[verb].name;
}

/* How many of |argv| spell |name|; 0: they do not. */
static int spells(const char *name, int argc, char *const *argv)
{
    int n = 0;

    for (; n < argc; n++) {
        size_t len = strcspn(name, " ");

        if (strlen(argv[n]) != len || memcmp(argv[n], name, len) != 0)
            return 0;
        name += len;
        if (*name == '\0')
            return n + 1;
        name++;
    }
    return 0;
}

bool verb_find(int argc, char *const *argv, enum verb *verb, int *taken)
{
    for (unsigned i = 0; i < VERB_COUNT; i++) {
        *taken = spells(verbs[i].name, argc, argv);
        *verb = (enum verb)i;
        if (*taken > 0)
            return true;
    }
    return false;
}

/* ---- Values. ---- */

bool time_parse(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
    };
    uint64_t n = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 9)
        return false;
    for (size_t i = 0; i < digits; i++)
        n = n * 10 + (uint64_t)(text[i] - '0');
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text + digits, units[i].name) == 0) {
            *ms = n * units[i].ms;
            return n > 0;
        }
    return false;
}

static bool number_parse(const char *text, uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");

    *out = 0;
    for (size_t i = 0; i < digits && digits < 19; i++)
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    return digits > 0 && digits < 19 && text[digits] == '\0' && *out > 0;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);

    for (;;) {
        size_t n = strcspn(choices, "|");

        if (n == len && memcmp(choices, text, n) == 0)
            return true;
        if (choices[n] == '\0')
            return false;
        choices += n + 1;
    }
}

static enum err set(struct args *args, const struct option *o,
                    const char *value, struct args_error *error)
{
    void *field = (char *)args + o->offset;

    switch (o->type) {
    case TYPE_SWITCH:
        *(bool *)field = true;
        return OK;
    case TYPE_TEXT:
        *(const char **)field = value;
        return OK;
    case TYPE_CHOICE:
        *(const char **)field = value;
        if (is_choice(o->argument, value))
            return OK;
        return refuse(error, "--%s is one of %s, not '%.64s'", o->flag,
                      o->argument, value);
    case TYPE_NUMBER:
        if (number_parse(value, field))
            return OK;
        return refuse(error, "--%s is a number from 1 on, not '%.64s'", o->flag,
                      value);
    case TYPE_DURATION:
        if (time_parse(value, field))
            return OK;
        return refuse(error,
                      "--%s is a time such as 500ms, 2s, 5m, 1h, 7d, "
                      "not '%.64s'",
                      o->flag, value);
    }
    return ERR_INTERNAL;
}

/* ---- The line. ---- */

static const struct option *find(enum verb verb, const char *name, size_t len)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if ((options[i].verbs >> verb & 1) && strlen(options[i].flag) == len &&
            memcmp(options[i].flag, name, len) == 0)
            return &options[i];
    return NULL;
}

/* One option at argv[*at] and, if it has one, its value. */
static enum err take_option(struct args *args, int argc, char **argv, int *at,
                            uint64_t *given, struct args_error *error)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    const struct option *o = find(args->verb, name, len);
    const char *value = name[len] == '=' ? name + len + 1 : NULL;
    uint64_t bit;

    if (o == NULL)
        return refuse(error, "no option --%.*s; see souk help %s",
                      len < 64 ? (int)len : 64, name, verbs[args->verb].name);
    bit = UINT64_C(1) << (o - options);
    if (*given & bit)
        return refuse(error, "--%s is given twice", o->flag);
    *given |= bit;
    if (o->type == TYPE_SWITCH && value != NULL)
        return refuse(error, "--%s takes no value", o->flag);
    if (o->type != TYPE_SWITCH && value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (o->type != TYPE_SWITCH && value == NULL)
        return refuse(error, "--%s needs a value: --%s %s", o->flag, o->flag,
                      o->argument);
    return set(args, o, value, error);
}

static enum err check_words(const struct args *args, struct args_error *error)
{
    const char *name = verbs[args->verb].name;
    const char *arguments = verbs[args->verb].arguments;
    size_t min = verbs[args->verb].words_min, max = verbs[args->verb].words_max;
    bool takes_any = args->verb == VERB_search;

    if (args->word_count < min)
        return refuse(error, "usage: souk %s %s", name, arguments);
    if (args->word_count > max && !takes_any)
        return refuse(error,
                      "'%.64s' is one argument too many; usage: souk %s %s",
                      args->words[max], name, arguments);
    return OK;
}

static void set_defaults(struct args *args)
{
    struct args_error error;

    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (options[i].otherwise[0] != '\0')
            (void)set(args, &options[i], options[i].otherwise, &error);
}

enum err args_parse(struct args *args, enum verb verb, int argc, char **argv,
                    struct args_error *error)
{
    bool is_over = false; /* "--" was there */
    uint64_t given = 0;

    *args = (struct args){.verb = verb, .words = argv};
    set_defaults(args);
    for (int i = 0; i < argc; i++) {
        if (!is_over && strcmp(argv[i], "--") == 0)
            is_over = true;
        else if (!is_over &&
                 (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0))
            args->wants_help = true;
        else if (!is_over && strncmp(argv[i], "--", 2) == 0)
            TRY(take_option(args, argc, argv, &i, &given, error));
        else
            args->words[args->word_count++] = argv[i];
    }
    return args->wants_help ? OK : check_words(args, error);
}

/* ---- Help. ---- */

void args_help(enum verb verb, FILE *out)
{
    (void)fprintf(out, "usage: souk %s%s%s [OPTIONS]\n\n%s\n\n",
                  verbs[verb].name, verbs[verb].arguments[0] ? " " : "",
                  verbs[verb].arguments, verbs[verb].help);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *o = &options[i];

        if (!(o->verbs >> verb & 1))
            continue;
        (void)fprintf(out, "  --%s%s%s\n      %s", o->flag,
                      o->argument[0] ? " " : "", o->argument, o->help);
        if (o->otherwise[0] != '\0')
            (void)fprintf(out, " [%s]", o->otherwise);
        (void)fprintf(out, "\n");
    }
}
