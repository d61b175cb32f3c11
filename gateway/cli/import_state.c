/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/import_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/hash.h"

static const char format_name[] = "souk-import-1";

/* ---- Refusals. ---- */

static void copy(char *out, size_t max, const char *text)
{
    (void)snprintf(out, max, "%s", text ? text : "");
}

static struct import_group *group_of(struct import_state *s, const char *code,
                                     const char *title)
{
    struct import_group *g;

    for (size_t i = 0; i < s->group_count; i++)
        if (strncmp(s->groups[i].code, code, sizeof(g->code) - 1) == 0)
            return &s->groups[i];
    if (s->group_count == IMPORT_GROUPS_MAX)
        return &s->groups[IMPORT_GROUPS_MAX - 1];
    g = &s->groups[s->group_count++];
    *g = (struct import_group){.count = 0};
    copy(g->code, sizeof(g->code), code);
    copy(g->title, sizeof(g->title), title);
    return g;
}

static void add_sample(struct import_group *g, uint64_t line, const char *text)
{
    struct import_sample *sample;

    if (g->sample_count == IMPORT_SAMPLES_MAX)
        return;
    sample = &g->samples[g->sample_count++];
    sample->line = line;
    copy(sample->text, sizeof(sample->text), text);
}

void import_state_refuse(struct import_state *s, const char *code,
                         const char *title, uint64_t line, const char *text)
{
    struct import_group *g = group_of(s, code, title);

    g->count++;
    add_sample(g, line, text);
}

uint64_t import_state_refused(const struct import_state *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->group_count; i++)
        n += s->groups[i].count;
    return n;
}

/* ---- Which file. ---- */

static void digest(struct span bytes, char out[65])
{
    uint8_t hash[SHA256_LEN];

    sha256(bytes, hash);
    for (size_t i = 0; i < sizeof(hash); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

void import_state_know_file(struct import_state *s, struct span first)
{
    s->head_len = first.len;
    digest(first, s->head);
}

bool import_state_is_of(const struct import_state *s, struct span first,
                        uint64_t size)
{
    char head[65];

    if (first.len < s->head_len || size < s->offset)
        return false;
    digest(SPAN(first.data, s->head_len), head);
    return strcmp(head, s->head) == 0;
}

/* ---- As JSON. ---- */

static json_t *group_to_json(const struct import_group *g)
{
    json_t *samples = json_array();

    for (size_t i = 0; i < g->sample_count; i++)
        (void)json_array_append_new(samples,
                                    json_pack("{s:I, s:s}", "line",
                                              (json_int_t)g->samples[i].line,
                                              "text", g->samples[i].text));
    return json_pack("{s:s, s:s, s:I, s:o}", "code", g->code, "title", g->title,
                     "count", (json_int_t)g->count, "samples", samples);
}

json_t *import_state_to_json(const struct import_state *s)
{
    json_t *groups = json_array();

    for (size_t i = 0; i < s->group_count; i++)
        (void)json_array_append_new(groups, group_to_json(&s->groups[i]));
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "format", format_name, "node", s->node, "head", s->head,
                     "head_len", (json_int_t)s->head_len, "offset",
                     (json_int_t)s->offset, "line", (json_int_t)s->line,
                     "created", (json_int_t)s->created, "known",
                     (json_int_t)s->known, "report_bytes",
                     (json_int_t)s->report_bytes, "refused", groups);
}

static bool take_number(const json_t *json, const char *name, uint64_t *out)
{
    const json_t *n = json_object_get(json, name);

    if (!json_is_integer(n) || json_integer_value(n) < 0)
        return false;
    *out = (uint64_t)json_integer_value(n);
    return true;
}

static bool take_text(const json_t *json, const char *name, char *out,
                      size_t max)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (text == NULL || strlen(text) >= max)
        return false;
    copy(out, max, text);
    return true;
}

static bool take_group(struct import_state *s, const json_t *json)
{
    const json_t *samples = json_object_get(json, "samples"), *sample;
    struct import_group *g;
    size_t i;

    if (s->group_count == IMPORT_GROUPS_MAX)
        return false;
    g = &s->groups[s->group_count++];
    if (!take_text(json, "code", g->code, sizeof(g->code)) ||
        !take_text(json, "title", g->title, sizeof(g->title)) ||
        !take_number(json, "count", &g->count))
        return false;
    for (i = 0; (sample = json_array_get(samples, i)) != NULL; i++) {
        uint64_t line;

        if (!take_number(sample, "line", &line))
            return false;
        add_sample(g, line, json_string_value(json_object_get(sample, "text")));
    }
    return true;
}

enum err import_state_from_json(struct import_state *s, const json_t *json)
{
    const char *format = json_string_value(json_object_get(json, "format"));
    const json_t *groups = json_object_get(json, "refused"), *group;
    size_t i;

    *s = (struct import_state){.offset = 0};
    if (format == NULL || strcmp(format, format_name) != 0 ||
        !take_text(json, "node", s->node, sizeof(s->node)) ||
        !take_text(json, "head", s->head, sizeof(s->head)) ||
        !take_number(json, "head_len", &s->head_len) ||
        !take_number(json, "offset", &s->offset) ||
        !take_number(json, "line", &s->line) ||
        !take_number(json, "created", &s->created) ||
        !take_number(json, "known", &s->known) ||
        !take_number(json, "report_bytes", &s->report_bytes))
        return ERR_INVAL;
    for (i = 0; (group = json_array_get(groups, i)) != NULL; i++)
        if (!take_group(s, group))
            return ERR_INVAL;
    return OK;
}

/* ---- The file. ---- */

enum err import_state_save(const struct import_state *s, const char *path)
{
    json_t *json = import_state_to_json(s);
    char aside[4096];
    enum err err = ERR_IO;

    if (json != NULL &&
        snprintf(aside, sizeof(aside), "%s.new", path) < (int)sizeof(aside)) {
        if (json_dump_file(json, aside, JSON_COMPACT) == 0 &&
            rename(aside, path) == 0)
            err = OK;
        else
            (void)unlink(aside);
    }
    json_decref(json);
    return err;
}

enum err import_state_load(struct import_state *s, const char *path)
{
    FILE *f = fopen(path, "re");
    json_t *json;
    enum err err;

    if (f == NULL)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    json = json_loadf(f, 0, NULL);
    (void)fclose(f);
    err = import_state_from_json(s, json);
    json_decref(json);
    return err;
}
