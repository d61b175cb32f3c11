/* SPDX-License-Identifier: Apache-2.0 */
#include "market/keys.h"

#include <stdio.h>

const char *package_key_format(const struct network *net,
                               const struct package_key *key,
                               char out[PACKAGE_KEY_MAX])
{
    char id[PACKAGE_TEXT_MAX], version[SEMVER_TEXT_MAX], peer[PEER_ID_TEXT_MAX];

    (void)package_id_format(&key->id, id);
    (void)peer_id_format(&key->publisher, peer);
    switch (key->kind) {
    case KEY_HEAD:
        (void)snprintf(out, PACKAGE_KEY_MAX, "%s%s", net->key_prefix, id);
        break;
    case KEY_HEAD_OF:
        (void)snprintf(out, PACKAGE_KEY_MAX, "%s%s~%s", net->key_prefix, id,
                       peer);
        break;
    case KEY_VERSION_OF:
        (void)snprintf(out, PACKAGE_KEY_MAX, "%s%s@%s~%s", net->key_prefix, id,
                       semver_format(&key->version, version), peer);
        break;
    }
    return out;
}

/* The text before the first |sep| in |s|, taken with it; false: there is
 * none. */
static bool split(struct span *s, char sep, struct span *before)
{
    const uint8_t *at = s->len ? memchr(s->data, sep, s->len) : NULL;

    if (at == NULL)
        return false;
    *before = span_take(s, (size_t)(at - s->data));
    (void)span_take(s, 1);
    return true;
}

/* Two texts of one key would be two places for one record. */
static bool is_literal(const struct network *net, const struct package_key *key,
                       struct span text)
{
    char again[PACKAGE_KEY_MAX];

    return span_eq(text, span_str(package_key_format(net, key, again)));
}

enum err package_key_parse(const struct network *net, struct span text,
                           struct package_key *key)
{
    struct span prefix = span_str(net->key_prefix), rest = text;
    struct span ns, name, id, version;
    bool has_version;

    *key = (struct package_key){.kind = KEY_HEAD};
    if (text.len >= PACKAGE_KEY_MAX || !span_starts_with(text, prefix))
        return ERR_INVAL;
    (void)span_take(&rest, prefix.len);
    /* A namespace may begin with '~', so the name is what is split. */
    if (!split(&rest, '/', &ns))
        return ERR_INVAL;
    id = rest;
    if (split(&rest, '~', &id)) {
        if (prefix.len == 0)
            return ERR_INVAL;
        name = id;
        has_version = split(&name, '@', &id);
        version = name;
        key->kind = has_version ? KEY_VERSION_OF : KEY_HEAD_OF;
        TRY(peer_id_parse(&key->publisher, rest));
        if (has_version)
            TRY(semver_parse(version, &key->version));
    }
    TRY(package_id_set(&key->id, ns, id));
    return is_literal(net, key, text) ? OK : ERR_INVAL;
}

void package_key_of(const struct record *r, enum key_kind kind,
                    struct package_key *out)
{
    *out = (struct package_key){.kind = kind, .id = r->id};
    if (kind != KEY_HEAD)
        out->publisher = r->publisher;
    if (kind == KEY_VERSION_OF)
        out->version = r->version;
}

enum err package_key_check(const struct package_key *key,
                           const struct record *r)
{
    if (memcmp(&key->id, &r->id, sizeof(r->id)) != 0)
        return ERR_WRONG_KEY;
    if (key->kind != KEY_HEAD && !peer_id_eq(&key->publisher, &r->publisher))
        return ERR_WRONG_KEY;
    if (key->kind == KEY_VERSION_OF &&
        semver_cmp(&key->version, &r->version) != 0)
        return ERR_WRONG_KEY;
    return OK;
}
