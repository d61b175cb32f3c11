/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "souk/usage.h"
#include "tbl/table.h"

enum { VALUE_COLUMN = 48 };

static const char *const source_names[] = {
    [SETTINGS_DEFAULT] = "default",
    [SETTINGS_FILE] = "file",
    [SETTINGS_ENV] = "environment",
    [SETTINGS_FLAG] = "flag",
};

/* ---- A value as YAML. ---- */

static bool is_plain(const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:+$";

    return *text != '\0' && *text != '-' && *text != ':' &&
           text[strspn(text, safe)] == '\0' && text[strlen(text) - 1] != ':';
}

static enum err put_text(struct buf *out, const char *text)
{
    if (is_plain(text))
        return buf_put_str(out, text);
    TRY(buf_put_u8(out, '\''));
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            TRY(buf_put_u8(out, '\''));
        TRY(buf_put_u8(out, (uint8_t)*text));
    }
    return buf_put_u8(out, '\'');
}

static enum err put_list(struct buf *out, const struct text_list *l)
{
    TRY(buf_put_u8(out, '['));
    for (size_t i = 0; i < l->count; i++) {
        if (i > 0)
            TRY(buf_put_str(out, ", "));
        TRY(put_text(out, l->at[i]));
    }
    return buf_put_u8(out, ']');
}

static enum err put_map(struct buf *out, const struct text_map *m)
{
    TRY(buf_put_u8(out, '{'));
    for (size_t i = 0; i < m->count; i++) {
        if (i > 0)
            TRY(buf_put_str(out, ", "));
        TRY(put_text(out, m->at[i].key));
        TRY(buf_put_str(out, ": "));
        TRY(put_text(out, m->at[i].value));
    }
    return buf_put_u8(out, '}');
}

static void quantity_text(enum param_type type, uint64_t n, char text[32])
{
    if (type == PARAM_TYPE_DURATION)
        duration_format(n, text);
    else if (type == PARAM_TYPE_SIZE)
        bytes_format(n, text);
    else if (type == PARAM_TYPE_RATE && n == 0)
        (void)snprintf(text, 32, "off");
    else
        (void)snprintf(text, 32, "%" PRIu64, n);
}

static enum err put_value(struct buf *out, const struct param_row *row,
                          const void *field)
{
    const struct place *place = field;
    char text[32];

    switch (row->type) {
    case PARAM_TYPE_TEXT:
    case PARAM_TYPE_CHOICE:
        return put_text(out, *(char *const *)field);
    case PARAM_TYPE_LIST:
        return put_list(out, field);
    case PARAM_TYPE_MAP:
        return put_map(out, field);
    case PARAM_TYPE_PLACE:
        return place->is_set ? buf_printf(out, "'%.9g,%.9g'", place->latitude,
                                          place->longitude)
                             : buf_put_str(out, "''");
    case PARAM_TYPE_BOOL:
        return buf_put_str(out, *(const bool *)field ? "true" : "false");
    case PARAM_TYPE_NUMBER:
    case PARAM_TYPE_SIZE:
    case PARAM_TYPE_RATE:
    case PARAM_TYPE_DURATION:
        quantity_text(row->type, *(const uint64_t *)field, text);
        return buf_put_str(out, text);
    }
    return ERR_INTERNAL;
}

enum err settings_print(const struct settings *s, struct buf *out)
{
    for (enum param p = 0; p < PARAM_COUNT; p++) {
        const struct param_row *row = &param_rows[p];
        size_t start = buf_len(out);
        size_t used;

        /* What the file itself may not hold is told as a comment. */
        TRY(buf_printf(out, "%s%s: ", p == PARAM_config ? "# " : "",
                       row->name));
        TRY(put_value(out, row, param_value(s, p)));
        used = buf_len(out) - start;
        TRY(buf_printf(out, "%*s # %s\n",
                       used < VALUE_COLUMN ? (int)(VALUE_COLUMN - used) : 0, "",
                       source_names[s->source[p]]));
    }
    return OK;
}

/* ---- The table for people. ---- */

static enum err put_default(struct buf *out, const struct param_row *row)
{
    char text[32];

    if (row->text != NULL)
        return buf_put_str(out, row->text);
    if (row->type == PARAM_TYPE_BOOL)
        return buf_put_str(out, row->number ? "true" : "false");
    quantity_text(row->type, row->number, text);
    return buf_put_str(out, text);
}

enum err settings_help(struct buf *out)
{
    for (enum param p = 0; p < PARAM_COUNT; p++) {
        const struct param_row *row = &param_rows[p];
        bool is_many =
            row->type == PARAM_TYPE_LIST || row->type == PARAM_TYPE_MAP;
        char flag[PARAM_NAME_MAX];
        char left[96];

        param_spell(row->name, SPELT_FLAG, flag);
        (void)snprintf(left, sizeof(left), "--%s%s%s%s", flag,
                       row->argument[0] ? " " : "", row->argument,
                       is_many ? " …" : "");
        TRY(buf_printf(out, "  %s\n      %s", left, row->help));
        if (row->text == NULL || row->text[0] != '\0') {
            TRY(buf_put_str(out, " ["));
            TRY(put_default(out, row));
            TRY(buf_put_str(out, "]"));
        }
        TRY(buf_put_str(out, "\n"));
    }
    return OK;
}

/* A bar would end the cell of a Markdown table. */
static enum err put_cell(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|')
            TRY(buf_put_u8(out, '\\'));
        TRY(buf_put_u8(out, (uint8_t)*text));
    }
    return OK;
}

static bool has_range(enum param_type type)
{
    return type == PARAM_TYPE_NUMBER || type == PARAM_TYPE_SIZE ||
           type == PARAM_TYPE_RATE || type == PARAM_TYPE_DURATION;
}

static enum err put_form(struct buf *out, const struct param_row *row)
{
    char min[32], max[32];

    if (!has_range(row->type))
        return put_cell(out, row->type == PARAM_TYPE_BOOL ? "true|false"
                                                          : row->argument);
    quantity_text(row->type == PARAM_TYPE_RATE ? PARAM_TYPE_NUMBER : row->type,
                  row->min, min);
    quantity_text(row->type, row->max, max);
    return buf_printf(out, "%s … %s%s", min, max,
                      row->type == PARAM_TYPE_RATE ? ", off" : "");
}

static enum err put_row(struct buf *out, const struct param_row *row)
{
    char flag[PARAM_NAME_MAX], var[PARAM_NAME_MAX];

    param_spell(row->name, SPELT_FLAG, flag);
    param_spell(row->name, SPELT_VARIABLE, var);
    TRY(buf_printf(out, "| `%s` | `--%s` | `SOUK_%s` | ", row->name, flag,
                   var));
    TRY(put_form(out, row));
    TRY(buf_put_str(out, " | "));
    TRY(put_default(out, row));
    TRY(buf_put_str(out, " | "));
    TRY(put_cell(out, row->help));
    return buf_put_str(out, " |\n");
}

enum err settings_docs(struct buf *out)
{
    TRY(buf_put_str(
        out,
        "# Configuration\n\n"
        "Made from `core/tbl/params.h` by `souk config docs`; do not edit.\n\n"
        "A setting is looked for in this order: the flag of `souk serve`, the\n"
        "environment variable, the YAML file (`--config FILE`, else\n"
        "`DIR/souk.yaml` if it is there), the default. A list named by one is\n"
        "not added to by the next. In a variable, lists are written with\n"
        "commas; a flag may be repeated. Times are written `250ms`, `2s`, "
        "`5m`,\n`1h`; sizes `512`, `64KiB`, `1GiB`. Unknown names are "
        "errors.\n\n"
        "`souk config print` shows every setting and where it came from;\n"
        "`souk config check` says whether a node would start with them.\n\n"
        "| key | flag | variable | values | default | meaning |\n"
        "|---|---|---|---|---|---|\n"));
    for (enum param p = 0; p < PARAM_COUNT; p++)
        TRY(put_row(out, &param_rows[p]));
    return buf_put_str(
        out, "\nWhere spans go, and which, is said by OpenTelemetry's own "
             "variables\n(`OTEL_EXPORTER_OTLP_ENDPOINT` and others): see "
             "[OPERATIONS.md](OPERATIONS.md#tracing).\n");
}

static const char *class_name(enum err_class class)
{
    switch (class) {
    case ERR_CLASS_USAGE:
        return "usage";
    case ERR_CLASS_LIMIT:
        return "limit";
    case ERR_CLASS_PEER:
        return "peer";
    case ERR_CLASS_INTERNAL:
        return "internal";
    case ERR_CLASS_NONE:
        break;
    }
    return "none";
}

enum err errors_docs(struct buf *out)
{
    TRY(buf_put_str(
        out,
        "# Errors\n\n"
        "Made from `include/souk/tbl/err.h` by `souk config errors`; do not "
        "edit.\n\n"
        "`code` is the stable member of a problem+json answer. The class says\n"
        "who can do something about it: *usage* the caller, by asking\n"
        "differently; *limit* the caller, by trying later; *peer* nobody "
        "here,\nanother peer failed; *internal* whoever runs the node.\n\n"
        "| code | status | class | meaning |\n|---|---|---|---|\n"));
    for (int i = 1; i < ERR_INDEX_COUNT; i++) {
        enum err err = (enum err) - i;

        TRY(buf_printf(out, "| `%s` | %d | %s | %s |\n", err_code(err),
                       err_http_status(err), class_name(err_class(err)),
                       err_text(err)));
    }
    return OK;
}

enum err limits_docs(struct buf *out)
{
    TRY(buf_put_str(
        out,
        "# Limits\n\n"
        "Made from `include/souk/tbl/usage.h` by `souk config limits`; do not "
        "edit.\n\n"
        "What `souk limits` and `GET /api/v1/node/limits` show with its limit, "
        "its\nuse and how often it refused. A limit of 0 is lifted. Where one "
        "holds for a\nsingle connection, peer or key, the use is that of the "
        "fullest connection,\nor 0 where only the refusals are counted.\n\n"
        "| name | of what |\n|---|---|\n"));
    for (enum usage_id id = 0; id < USAGE_COUNT; id++)
        TRY(buf_printf(out, "| `%s` | %s |\n", usage_name(id), usage_text(id)));
    return OK;
}
