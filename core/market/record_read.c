/* SPDX-License-Identifier: Apache-2.0 */
#include "market/check.h"
#include "market/rfc3339.h"

static const char *const trust_names[] = {
    [TRUST_UNVERIFIED] = "unverified",
    [TRUST_SIGNED] = "signed",
    [TRUST_PINNED] = "pinned",
    [TRUST_TRUSTED] = "trusted",
    [TRUST_SELF_CERTIFIED] = "self-certified",
};

const char *record_trust_name(enum record_trust trust)
{
    return trust_names[trust];
}

bool record_trust_parse(struct span name, enum record_trust *trust)
{
    for (size_t i = 0; i < sizeof(trust_names) / sizeof(*trust_names); i++) {
        if (span_eq(name, span_str(trust_names[i]))) {
            *trust = (enum record_trust)i;
            return true;
        }
    }
    return false;
}

struct select_key record_select_key(const struct record *r)
{
    struct select_key key = {.is_signed = r->is_signed,
                             .sequence = r->sequence};

    memcpy(key.hash, r->hash, sizeof(key.hash));
    return key;
}

static bool is_same_time(const struct record *a, const struct record *b,
                         const char *name)
{
    const char *x = json_string_value(json_object_get(a->json, name));
    const char *y = json_string_value(json_object_get(b->json, name));
    struct moment m, n;

    return x != NULL && y != NULL && rfc3339_parse(span_str(x), &m) &&
           rfc3339_parse(span_str(y), &n) && m.ms == n.ms && m.ns == n.ns;
}

bool record_is_same_publish(const struct record *have,
                            const struct record *sent)
{
    assert(have->is_complete && sent->is_complete);
    return memcmp(have->content_hash, sent->content_hash, RECORD_HASH_LEN) ==
               0 &&
           (!sent->sent_created_at || is_same_time(have, sent, "created_at")) &&
           (!sent->sent_updated_at || is_same_time(have, sent, "updated_at"));
}

bool record_version_at(const struct record *r, size_t nth,
                       struct record_version *out)
{
    const json_t *item;
    const char *text;

    if (!r->is_signed)
        return false;
    item = json_array_get(souk_member(r->json, "versions"), nth);
    text = json_string_value(json_object_get(item, "version"));
    if (text == NULL || semver_parse(span_str(text), &out->version) != OK)
        return false;
    out->is_yanked = json_is_true(json_object_get(item, "yanked"));
    return true;
}

bool record_lists(const struct record *head, const struct semver *v,
                  bool *is_yanked)
{
    struct record_version listed;

    for (size_t i = 0; record_version_at(head, i, &listed); i++) {
        if (semver_cmp(&listed.version, v) == 0) {
            *is_yanked = listed.is_yanked;
            return true;
        }
    }
    return false;
}

uint64_t record_versions_total(const struct record *r)
{
    return r->is_signed ? (uint64_t)json_integer_value(
                              souk_member(r->json, "versions_total"))
                        : 0;
}

static const char *yank_text(const struct record *r, const char *name)
{
    const char *text = NULL;

    if (r->is_yanked)
        text = json_string_value(
            json_object_get(souk_member(r->json, "yanked"), name));
    return text ? text : "";
}

const char *record_yank_reason(const struct record *r)
{
    return yank_text(r, "reason");
}

const char *record_yank_use_instead(const struct record *r)
{
    return yank_text(r, "use_instead");
}

size_t record_choose_head(const struct record_version *versions, size_t count)
{
    size_t best = count;

    for (size_t i = 0; i < count; i++) {
        const struct semver *v = &versions[i].version;
        const struct semver *b = best < count ? &versions[best].version : NULL;

        if (versions[i].is_yanked)
            continue;
        if (b == NULL ||
            (semver_is_stable(v) == semver_is_stable(b) ? semver_cmp(v, b) > 0
                                                        : semver_is_stable(v)))
            best = i;
    }
    return best;
}

static const json_t *metadata(const struct record *r, const char *member)
{
    return json_object_get(json_object_get(r->json, "metadata"), member);
}

const char *record_text(const struct record *r, const char *member)
{
    const char *text = json_string_value(metadata(r, member));

    return text ? text : "";
}

const char *record_category(const struct record *r, size_t nth)
{
    const json_t *item = json_array_get(metadata(r, "categories"), nth);

    return json_string_value(
        json_is_object(item) ? json_object_get(item, "Custom") : item);
}

const char *record_tag(const struct record *r, size_t nth)
{
    return json_string_value(json_array_get(metadata(r, "tags"), nth));
}

const char *record_author(const struct record *r, size_t nth)
{
    return json_string_value(
        json_object_get(json_array_get(metadata(r, "authors"), nth), "name"));
}
