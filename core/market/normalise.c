/* SPDX-License-Identifier: Apache-2.0 */
#include "market/check.h"

static struct span string_span(const json_t *value)
{
    return SPAN(json_string_value(value), json_string_length(value));
}

const json_t *souk_member(const json_t *record, const char *name)
{
    const json_t *souk = json_object_get(record, "souk");
    const json_t *value = json_object_get(souk, name);

    return json_is_null(value) ? NULL : value;
}

bool version_from_json(const json_t *json, struct semver *out)
{
    const json_t *pre = json_object_get(json, "pre_release");

    memset(out, 0, sizeof(*out));
    if (!json_is_object(json))
        return false;
    out->major = (uint32_t)json_integer_value(json_object_get(json, "major"));
    out->minor = (uint32_t)json_integer_value(json_object_get(json, "minor"));
    out->patch = (uint32_t)json_integer_value(json_object_get(json, "patch"));
    if (json_is_string(pre)) {
        if (json_string_length(pre) > SEMVER_PRE_RELEASE_MAX)
            return false;
        memcpy(out->pre_release, json_string_value(pre),
               json_string_length(pre));
    }
    return true;
}

bool package_from_json(const json_t *json, struct package_id *out)
{
    const json_t *ns = json_object_get(json, "namespace");
    const json_t *name = json_object_get(json, "name");

    return json_is_string(ns) && json_is_string(name) &&
           package_id_set(out, string_span(ns), string_span(name)) == OK;
}

static json_t *version_to_json(const struct semver *v)
{
    return json_pack("{s:I,s:I,s:I,s:s?}", "major", (json_int_t)v->major,
                     "minor", (json_int_t)v->minor, "patch",
                     (json_int_t)v->patch, "pre_release",
                     v->pre_release[0] ? v->pre_release : NULL);
}

static json_t *package_to_json(const struct package_id *id)
{
    return json_pack("{s:s,s:s}", "namespace", id->ns, "name", id->name);
}

static enum err replace(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0 ? OK : ERR_NOMEM;
}

static enum err normalise_version(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    struct semver version;

    if (json_is_object(value) && json_object_get(value, "pre_release") == NULL)
        return replace(value, "pre_release", json_null());
    if (!json_is_string(value) ||
        semver_parse(string_span(value), &version) != OK)
        return OK;
    return replace(object, name, version_to_json(&version));
}

static enum err normalise_id(json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    struct package_id id;

    if (!json_is_string(value) ||
        package_id_parse(string_span(value), &id) != OK)
        return OK;
    return replace(object, name, package_to_json(&id));
}

static enum err normalise_dependency(json_t *dependency)
{
    json_t *need = json_object_get(dependency, "version_requirement");
    json_t *range = json_object_get(need, "Range");

    TRY(normalise_id(dependency, "package_id"));
    TRY(normalise_version(need, "Exact"));
    TRY(normalise_version(need, "Minimum"));
    TRY(normalise_version(need, "Compatible"));
    TRY(normalise_version(range, "min"));
    return normalise_version(range, "max");
}

enum err normalise_record(json_t *json)
{
    const json_t *list = json_object_get(json, "dependencies");

    TRY(normalise_id(json, "id"));
    TRY(normalise_version(json, "version"));
    for (size_t i = 0; i < json_array_size(list); i++)
        TRY(normalise_dependency(json_array_get(list, i)));
    return OK;
}
