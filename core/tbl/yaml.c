/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "tbl/table.h"

/* The configuration file: one mapping of settings to scalars, lists of scalars
 * and, for MAP settings, mappings of scalars.  Read as events, because those
 * know their lines. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    struct settings *settings;
    const char *file;
    struct settings_error *error;
    bool seen[PARAM_COUNT];
};

static void drop_event(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
}

static enum err next_event(struct reader *r)
{
    drop_event(r);
    if (yaml_parser_parse(&r->parser, &r->event) == 0)
        return settings_refuse(
            r->error, "%s:%zu: %s", r->file, r->parser.problem_mark.line + 1,
            r->parser.problem ? r->parser.problem : "not YAML");
    r->has_event = true;
    return OK;
}

/* |line| counts from 0, as libyaml does. */
static enum err refuse_at(struct reader *r, size_t line, const char *what)
{
    return settings_refuse(r->error, "%s:%zu: %s", r->file, line + 1, what);
}

static enum err refuse_here(struct reader *r, const char *what)
{
    return refuse_at(r, r->event.start_mark.line, what);
}

static const char *scalar_text(const yaml_event_t *e)
{
    return (const char *)e->data.scalar.value;
}

/* `key:` and `key: ~` are what a list or text of nothing looks like. */
static const char *plain_text(const yaml_event_t *e)
{
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *text = scalar_text(e);

    if (is_plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0))
        return "";
    return text;
}

static enum err set(struct reader *r, enum param p, const char *value)
{
    struct settings_error inner;
    size_t line = r->event.start_mark.line;

    if (settings_set(r->settings, p, SETTINGS_FILE, value, &inner) == OK)
        return OK;
    return refuse_at(r, line, inner.text);
}

static enum err take_scalar(struct reader *r, enum param p)
{
    const char *text = plain_text(&r->event);

    if (strlen(text) != r->event.data.scalar.length && *text != '\0')
        return refuse_here(r, "a NUL in a value");
    return set(r, p, text);
}

static enum err take_sequence(struct reader *r, enum param p)
{
    enum param_type type = param_rows[p].type;

    if (type != PARAM_TYPE_LIST && type != PARAM_TYPE_PLACE)
        return refuse_here(r, "not a list");
    if (type == PARAM_TYPE_PLACE)
        return refuse_here(r, "write a place as LAT,LON");
    TRY(set(r, p, ""));
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return OK;
        if (r->event.type != YAML_SCALAR_EVENT)
            return refuse_here(r, "a list of plain values is wanted");
        TRY(take_scalar(r, p));
    }
}

static enum err take_pair(struct reader *r, enum param p)
{
    char pair[512];
    int len;

    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse_here(r, "a plain key is wanted");
    len = snprintf(pair, sizeof(pair), "%s=", scalar_text(&r->event));
    TRY(next_event(r));
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse_here(r, "a plain value is wanted");
    if (len < 0 || (size_t)len + r->event.data.scalar.length >= sizeof(pair))
        return refuse_here(r, "too long");
    memcpy(pair + len, scalar_text(&r->event), r->event.data.scalar.length + 1);
    return set(r, p, pair);
}

static enum err take_mapping(struct reader *r, enum param p)
{
    if (param_rows[p].type != PARAM_TYPE_MAP)
        return refuse_here(r, "not a mapping");
    TRY(set(r, p, ""));
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return OK;
        TRY(take_pair(r, p));
    }
}

static enum err find_key(struct reader *r, enum param *p)
{
    const char *name = scalar_text(&r->event);
    size_t len = r->event.data.scalar.length;
    char what[160];

    *p = param_find(name, len);
    if (*p == PARAM_COUNT) {
        (void)snprintf(what, sizeof(what),
                       "unknown setting '%.64s'; did you mean '%s'?", name,
                       param_nearest(name, len));
        return refuse_here(r, what);
    }
    if (*p == PARAM_config)
        return refuse_here(r, "a file cannot name another as config");
    if (r->seen[*p])
        return refuse_here(r, "the setting stands here a second time");
    r->seen[*p] = true;
    return OK;
}

static enum err take_setting(struct reader *r)
{
    enum param p;

    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse_here(r, "the name of a setting is wanted");
    TRY(find_key(r, &p));
    TRY(next_event(r));
    if (r->event.type == YAML_SCALAR_EVENT)
        return take_scalar(r, p);
    if (r->event.type == YAML_SEQUENCE_START_EVENT)
        return take_sequence(r, p);
    if (r->event.type == YAML_MAPPING_START_EVENT)
        return take_mapping(r, p);
    return refuse_here(r, "aliases are not supported");
}

static enum err take_document(struct reader *r)
{
    TRY(next_event(r)); /* the document's root */
    if (r->event.type == YAML_SCALAR_EVENT && *plain_text(&r->event) == '\0')
        return next_event(r);
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse_here(r, "a mapping of settings is wanted");
    for (;;) {
        TRY(next_event(r));
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return next_event(r);
        TRY(take_setting(r));
    }
}

static enum err take_stream(struct reader *r)
{
    TRY(next_event(r)); /* stream start */
    TRY(next_event(r));
    if (r->event.type == YAML_STREAM_END_EVENT)
        return OK;
    TRY(take_document(r));
    TRY(next_event(r));
    if (r->event.type != YAML_STREAM_END_EVENT)
        return refuse_here(r, "a second document");
    return OK;
}

enum err settings_take_yaml(struct settings *s, struct span text,
                            const char *file, struct settings_error *error)
{
    struct reader r = {.settings = s, .file = file, .error = error};
    enum err err;

    if (yaml_parser_initialize(&r.parser) == 0)
        return ERR_NOMEM;
    yaml_parser_set_input_string(&r.parser, text.data, text.len);
    err = take_stream(&r);
    drop_event(&r);
    yaml_parser_delete(&r.parser);
    return err;
}
