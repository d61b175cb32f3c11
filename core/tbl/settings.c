/* SPDX-License-Identifier: Apache-2.0 */
#include "tbl/settings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tbl/table.h"

enum err settings_refuse(struct settings_error *error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, args);
    va_end(args);
    return ERR_CONFIG;
}

static char *text_copy(const char *text, size_t len)
{
    char *copy = mem_new(&mem_libc, len + 1);

    memcpy(copy, text, len);
    return copy;
}

static void *array_grow(void *at, size_t count, size_t size)
{
    void *grown = mem_try(&mem_libc, at, (count + 1) * size);

    if (grown == NULL)
        abort();
    return grown;
}

/* ---- One function a type: |value| into |field|; false if it is none. ---- */

static bool take_text(void *field, const char *value)
{
    char **text = field;

    mem_free(&mem_libc, *text);
    *text = text_copy(value, strlen(value));
    return true;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t len = strlen(value);

    for (const char *c = choices; *c != '\0'; c += *c == '|') {
        size_t choice_len = strcspn(c, "|");

        if (choice_len == len && memcmp(c, value, len) == 0)
            return true;
        c += choice_len;
    }
    return false;
}

/* The next of |*list| between commas, without the blanks around it. */
static bool next_item(const char **list, const char **item, size_t *len)
{
    const char *end;

    *list += strspn(*list, ", \t");
    if (**list == '\0')
        return false;
    *item = *list;
    end = *list + strcspn(*list, ",");
    *list = end;
    while (end > *item && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *len = (size_t)(end - *item);
    return true;
}

static bool take_list(void *field, const char *value)
{
    struct text_list *l = field;
    const char *item;
    size_t len;

    while (next_item(&value, &item, &len)) {
        l->at = array_grow(l->at, l->count, sizeof(*l->at));
        l->at[l->count++] = text_copy(item, len);
    }
    return true;
}

static bool take_map(void *field, const char *value)
{
    struct text_map *m = field;
    const char *item;
    size_t len;

    while (next_item(&value, &item, &len)) {
        const char *equals = memchr(item, '=', len);
        size_t key_len = equals ? (size_t)(equals - item) : 0;

        if (key_len == 0 || key_len + 1 == len)
            return false;
        m->at = array_grow(m->at, m->count, sizeof(*m->at));
        m->at[m->count++] = (struct text_pair){
            .key = text_copy(item, key_len),
            .value = text_copy(equals + 1, len - key_len - 1),
        };
    }
    return true;
}

static bool take_bool(void *field, const char *value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (strcmp(value, yes[i]) == 0)
            return *(bool *)field = true;
        if (strcmp(value, no[i]) == 0)
            return !(*(bool *)field = false);
    }
    return false;
}

static bool take_number(enum param_type type, const char *value, uint64_t *out)
{
    char *end;

    switch (type) {
    case PARAM_TYPE_DURATION:
        return duration_parse(value, out);
    case PARAM_TYPE_SIZE:
        return bytes_parse(value, out);
    case PARAM_TYPE_NUMBER:
    case PARAM_TYPE_RATE:
        if (*value < '0' || *value > '9' || strlen(value) > 18)
            return false;
        *out = strtoull(value, &end, 10);
        return *end == '\0';
    case PARAM_TYPE_TEXT:
    case PARAM_TYPE_CHOICE:
    case PARAM_TYPE_LIST:
    case PARAM_TYPE_MAP:
    case PARAM_TYPE_PLACE:
    case PARAM_TYPE_BOOL:
        break;
    }
    return false;
}

static bool take_quantity(const struct param_row *row, void *field,
                          const char *value)
{
    uint64_t n;

    if (row->type == PARAM_TYPE_RATE && strcmp(value, "off") == 0) {
        *(uint64_t *)field = 0;
        return true;
    }
    if (!take_number(row->type, value, &n) || n < row->min || n > row->max)
        return false;
    *(uint64_t *)field = n;
    return true;
}

static bool take(const struct param_row *row, void *field, const char *value)
{
    switch (row->type) {
    case PARAM_TYPE_TEXT:
        return take_text(field, value);
    case PARAM_TYPE_CHOICE:
        return is_choice(row->argument, value) && take_text(field, value);
    case PARAM_TYPE_LIST:
        return take_list(field, value);
    case PARAM_TYPE_MAP:
        return take_map(field, value);
    case PARAM_TYPE_PLACE:
        return place_parse(value, field);
    case PARAM_TYPE_BOOL:
        return take_bool(field, value);
    case PARAM_TYPE_NUMBER:
    case PARAM_TYPE_SIZE:
    case PARAM_TYPE_RATE:
    case PARAM_TYPE_DURATION:
        return take_quantity(row, field, value);
    }
    abort();
}

static void field_release(const struct param_row *row, void *field)
{
    if (row->type == PARAM_TYPE_TEXT || row->type == PARAM_TYPE_CHOICE) {
        mem_free(&mem_libc, *(char **)field);
        *(char **)field = NULL;
    } else if (row->type == PARAM_TYPE_LIST) {
        struct text_list *l = field;

        for (size_t i = 0; i < l->count; i++)
            mem_free(&mem_libc, l->at[i]);
        mem_free(&mem_libc, l->at);
        *l = (struct text_list){NULL, 0};
    } else if (row->type == PARAM_TYPE_MAP) {
        struct text_map *m = field;

        for (size_t i = 0; i < m->count; i++) {
            mem_free(&mem_libc, m->at[i].key);
            mem_free(&mem_libc, m->at[i].value);
        }
        mem_free(&mem_libc, m->at);
        *m = (struct text_map){NULL, 0};
    }
}

void settings_init(struct settings *s)
{
    *s = (struct settings){.data = NULL};
    for (enum param p = 0; p < PARAM_COUNT; p++) {
        const struct param_row *row = &param_rows[p];

        if (row->text != NULL) {
            bool is_taken = take(row, param_field(s, p), row->text);

            assert(is_taken);
            (void)is_taken;
        } else if (row->type == PARAM_TYPE_BOOL) {
            *(bool *)param_field(s, p) = row->number != 0;
        } else {
            *(uint64_t *)param_field(s, p) = row->number;
        }
    }
}

void settings_release(struct settings *s)
{
    for (enum param p = 0; p < PARAM_COUNT; p++)
        field_release(&param_rows[p], param_field(s, p));
}

/* ---- Setting one, from anywhere. ---- */

/* What a value of the row must look like, after "is not". */
static void describe(const struct param_row *row, char out[96])
{
    char min[32], max[32];

    switch (row->type) {
    case PARAM_TYPE_CHOICE:
        (void)snprintf(out, 96, "one of %s", row->argument);
        return;
    case PARAM_TYPE_MAP:
        (void)snprintf(out, 96, "%s", row->argument);
        return;
    case PARAM_TYPE_PLACE:
        (void)snprintf(out, 96, "a latitude and longitude such as 52.5,13.4");
        return;
    case PARAM_TYPE_BOOL:
        (void)snprintf(out, 96, "true or false");
        return;
    case PARAM_TYPE_SIZE:
        bytes_format(row->min, min);
        bytes_format(row->max, max);
        (void)snprintf(out, 96, "a size such as 64MiB from %s to %s", min, max);
        return;
    case PARAM_TYPE_DURATION:
        duration_format(row->min, min);
        duration_format(row->max, max);
        (void)snprintf(out, 96, "a time such as 250ms from %s to %s", min, max);
        return;
    case PARAM_TYPE_NUMBER:
    case PARAM_TYPE_RATE:
        (void)snprintf(out, 96, "a number from %" PRIu64 " to %" PRIu64 "%s",
                       row->min, row->max,
                       row->type == PARAM_TYPE_RATE ? " or off" : "");
        return;
    case PARAM_TYPE_TEXT:
    case PARAM_TYPE_LIST:
        break;
    }
    abort(); /* any text is one */
}

/* Nothing we are told has a line's end in it. */
static bool has_control(const char *value)
{
    for (; *value != '\0'; value++)
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            return true;
    return false;
}

static enum err refuse_value(enum param p, enum settings_source source,
                             const char *value, struct settings_error *error)
{
    static const char *const before[] = {
        [SETTINGS_DEFAULT] = "",
        [SETTINGS_FILE] = "",
        [SETTINGS_ENV] = "SOUK_",
        [SETTINGS_FLAG] = "--",
    };
    static const enum param_spelling spelling[] = {
        [SETTINGS_DEFAULT] = SPELT_KEY,
        [SETTINGS_FILE] = SPELT_KEY,
        [SETTINGS_ENV] = SPELT_VARIABLE,
        [SETTINGS_FLAG] = SPELT_FLAG,
    };
    char name[PARAM_NAME_MAX], wanted[96];

    param_spell(param_rows[p].name, spelling[source], name);
    describe(&param_rows[p], wanted);
    return settings_refuse(error, "%s%s: '%.64s' is not %s", before[source],
                           name, value, wanted);
}

/* Checked, but of lower rank than what is set. */
static bool is_fit(const struct param_row *row, const char *value)
{
    union {
        char *text;
        struct text_list list;
        struct text_map map;
        struct place place;
        uint64_t number;
    } scratch;
    bool is_taken;

    memset(&scratch, 0, sizeof(scratch));
    is_taken = take(row, &scratch, value);
    field_release(row, &scratch);
    return is_taken;
}

enum err settings_set(struct settings *s, enum param param,
                      enum settings_source source, const char *value,
                      struct settings_error *error)
{
    const struct param_row *row = &param_rows[param];

    assert(param < PARAM_COUNT);
    if (has_control(value))
        return settings_refuse(error, "%s: a control character in the value",
                               row->name);
    if (!is_fit(row, value))
        return refuse_value(param, source, value, error);
    if (source < s->source[param])
        return OK;
    if (source > s->source[param])
        field_release(row, param_field(s, param));
    s->source[param] = source;
    (void)take(row, param_field(s, param), value);
    return OK;
}

/* ---- The command line and the environment. ---- */

static enum err refuse_flag(const char *name, size_t len,
                            struct settings_error *error)
{
    char nearest[PARAM_NAME_MAX];

    param_spell(param_nearest(name, len), SPELT_FLAG, nearest);
    return settings_refuse(error, "unknown option --%.*s; did you mean --%s?",
                           (int)(len < 64 ? len : 64), name, nearest);
}

static enum err take_flag(struct settings *s, int argc, char *const *argv,
                          int *at, struct settings_error *error)
{
    const char *arg = argv[*at];
    const char *equals, *value;
    enum param p;
    size_t len;

    if (strncmp(arg, "--", 2) != 0)
        return settings_refuse(error, "unexpected argument '%.64s'", arg);
    arg += 2;
    equals = strchr(arg, '=');
    len = equals ? (size_t)(equals - arg) : strlen(arg);
    p = param_find(arg, len);
    if (p == PARAM_COUNT)
        return refuse_flag(arg, len, error);
    if (equals != NULL)
        value = equals + 1;
    else if (param_rows[p].type == PARAM_TYPE_BOOL)
        value = "true";
    else if (*at + 1 < argc)
        value = argv[++*at];
    else
        return settings_refuse(error, "--%s needs a value: %s", arg,
                               param_rows[p].argument);
    return settings_set(s, p, SETTINGS_FLAG, value, error);
}

enum err settings_take_flags(struct settings *s, int argc, char *const *argv,
                             struct settings_error *error)
{
    for (int i = 0; i < argc; i++)
        TRY(take_flag(s, argc, argv, &i, error));
    return OK;
}

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return "";
}

static void default_data(struct settings *s, char *const *environment)
{
    const char *xdg = variable(environment, "XDG_DATA_HOME");
    const char *home = variable(environment, "HOME");
    char dir[4096];

    /* The XDG specification tells to ignore a relative path. */
    if (xdg[0] == '/')
        (void)snprintf(dir, sizeof(dir), "%s/souk", xdg);
    else if (home[0] != '\0')
        (void)snprintf(dir, sizeof(dir), "%s/.local/share/souk", home);
    else
        (void)snprintf(dir, sizeof(dir), "/var/lib/souk");
    (void)take_text(&s->data, dir);
}

/* Of the client commands: no settings of a node, nor unknown. */
static bool is_client_variable(const char *name, size_t len)
{
    return (len == 3 && memcmp(name, "API", 3) == 0) ||
           (len == 5 && memcmp(name, "TOKEN", 5) == 0);
}

static enum err take_variable(struct settings *s, const char *name,
                              struct settings_error *error)
{
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : 0;
    char nearest[PARAM_NAME_MAX];
    enum param p;

    if (equals == NULL || is_client_variable(name, len))
        return OK;
    p = param_find(name, len);
    if (p != PARAM_COUNT)
        return settings_set(s, p, SETTINGS_ENV, equals + 1, error);
    param_spell(param_nearest(name, len), SPELT_VARIABLE, nearest);
    return settings_refuse(error,
                           "unknown variable SOUK_%.*s; did you mean SOUK_%s?",
                           (int)(len < 64 ? len : 64), name, nearest);
}

enum err settings_take_env(struct settings *s, char *const *environment,
                           struct settings_error *error)
{
    if (s->source[PARAM_data] == SETTINGS_DEFAULT)
        default_data(s, environment);
    for (char *const *e = environment; *e != NULL; e++)
        if (strncmp(*e, "SOUK_", 5) == 0)
            TRY(take_variable(s, *e + 5, error));
    return OK;
}

enum err settings_check(const struct settings *s, struct settings_error *error)
{
    if (s->conns_trim > s->conns_max)
        return settings_refuse(
            error, "conns_trim (%" PRIu64 ") is above conns_max (%" PRIu64 ")",
            s->conns_trim, s->conns_max);
    if (s->dials_max > s->conns_trim)
        return settings_refuse(
            error, "dials_max (%" PRIu64 ") is above conns_trim (%" PRIu64 ")",
            s->dials_max, s->conns_trim);
    if (s->listen.count == 0)
        return settings_refuse(error, "listen: no address");
    if (s->base_path[0] != '\0' && s->base_path[0] != '/')
        return settings_refuse(error, "base_path: '%.64s' must start with /",
                               s->base_path);
    return OK;
}
