/* SPDX-License-Identifier: Apache-2.0 */
#include "market/package.h"

#include <stdio.h>

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool package_name_is_valid(struct span name)
{
    if (name.len == 0 || name.len > PACKAGE_NAME_MAX || !is_alnum(name.data[0]))
        return false;
    for (size_t i = 1; i < name.len; i++)
        if (!is_alnum(name.data[i]) && name.data[i] != '.' &&
            name.data[i] != '_' && name.data[i] != '-')
            return false;
    return true;
}

/* Only the one form: base36, lower case, so that a key has one namespace. */
static bool parse_self_certified(struct span ns, struct peer_id *owner)
{
    char text[PEER_ID_TEXT_MAX];

    if (ns.len < 2 || ns.len > PACKAGE_NAME_MAX || ns.data[0] != '~')
        return false;
    (void)span_take(&ns, 1);
    return peer_id_parse(owner, ns) == OK &&
           span_eq(span_str(peer_id_format_base36(owner, text)), ns);
}

bool package_ns_is_valid(struct span ns)
{
    struct peer_id owner;

    return package_name_is_valid(ns) || parse_self_certified(ns, &owner);
}

enum err package_id_set(struct package_id *id, struct span ns, struct span name)
{
    memset(id, 0, sizeof(*id));
    if (!package_ns_is_valid(ns) || !package_name_is_valid(name))
        return ERR_INVAL;
    memcpy(id->ns, ns.data, ns.len);
    memcpy(id->name, name.data, name.len);
    return OK;
}

enum err package_id_parse(struct span text, struct package_id *id)
{
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    struct span ns;

    memset(id, 0, sizeof(*id));
    if (slash == NULL)
        return ERR_INVAL;
    ns = span_take(&text, (size_t)(slash - text.data));
    (void)span_take(&text, 1);
    return package_id_set(id, ns, text);
}

static struct span fold_case(struct span s, uint8_t out[PACKAGE_NAME_MAX + 1])
{
    /* One byte too many stays too many. */
    struct span head = span_take(&s, PACKAGE_NAME_MAX + 1);

    for (size_t i = 0; i < head.len; i++) {
        bool is_upper = head.data[i] >= 'A' && head.data[i] <= 'Z';

        out[i] = (uint8_t)(head.data[i] + (is_upper ? 'a' - 'A' : 0));
    }
    return SPAN(out, head.len);
}

enum err package_id_look_up(struct package_id *id, struct span ns,
                            struct span name)
{
    uint8_t lower_ns[PACKAGE_NAME_MAX + 1], lower_name[PACKAGE_NAME_MAX + 1];

    return package_id_set(id, fold_case(ns, lower_ns),
                          fold_case(name, lower_name));
}

const char *package_id_format(const struct package_id *id,
                              char out[PACKAGE_TEXT_MAX])
{
    size_t n = strlen(id->ns);

    /* Not printed: every get asks for it. */
    memcpy(out, id->ns, n);
    out[n++] = '/';
    memcpy(out + n, id->name, strlen(id->name) + 1);
    return out;
}

const char *package_id_fold_dashes(const struct package_id *id,
                                   char out[PACKAGE_TEXT_MAX])
{
    (void)package_id_format(id, out);
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
    return out;
}

/* `id` comes before all that could look like it in a canonical record. */
bool package_id_peek(struct span record, char out[PACKAGE_TEXT_MAX])
{
    static const char start[] = "\"id\":{\"name\":\"";
    static const char middle[] = "\",\"namespace\":\"";
    const char *at, *end, *ns, *limit = (const char *)record.data + record.len;
    int n;

    at = memmem(record.data, record.len, start, sizeof(start) - 1);
    if (at == NULL)
        return false;
    at += sizeof(start) - 1;
    end = memmem(at, (size_t)(limit - at), middle, sizeof(middle) - 1);
    if (end == NULL)
        return false;
    ns = end + sizeof(middle) - 1;
    limit = memchr(ns, '"', (size_t)(limit - ns));
    if (limit == NULL)
        return false;
    n = snprintf(out, PACKAGE_TEXT_MAX, "%.*s/%.*s", (int)(limit - ns), ns,
                 (int)(end - at), at);
    return n > 0 && n < PACKAGE_TEXT_MAX;
}

bool package_ns_owner(const struct package_id *id, struct peer_id *owner)
{
    memset(owner, 0, sizeof(*owner));
    return parse_self_certified(span_str(id->ns), owner);
}

bool package_ns_of(const struct peer_id *owner, char out[PACKAGE_NAME_MAX + 1])
{
    char text[PEER_ID_TEXT_MAX];
    size_t len = strlen(peer_id_format_base36(owner, text));

    if (len + 1 > PACKAGE_NAME_MAX)
        return false;
    out[0] = '~';
    memcpy(out + 1, text, len + 1);
    return true;
}
