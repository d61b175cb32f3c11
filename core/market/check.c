/* SPDX-License-Identifier: Apache-2.0 */
#include "market/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "market/rfc3339.h"
#include "multi/base.h"
#include "multi/cid.h"

#define INTEGER_MAX INT64_C(9007199254740992) /* 2^53 */

enum {
    TEXT_UNLIMITED = 0,
    /* A whole record is this long at most with each byte escaped as \u00XX. */
    SHAPE_BYTES_MAX = 6 * RECORD_BYTES_MAX,
    HASH_TEXT_MAX = 128,
    SIGNATURE_TEXT_LEN = 86, /* 64 bytes in base64url */
};

/* A step from the root to the value at hand; written as a pointer only when
 * something is wrong there. */
struct step {
    const struct step *up;
    const char *name; /* NULL: the |nth| item of an array */
    size_t nth;
};

struct check {
    enum check_mode mode;
    struct problems *problems;
    bool failed;
    const struct step *here; /* NULL: at the root */
};

typedef void check_fn(struct check *c, const json_t *value, size_t max);

enum need {
    OPTIONAL, /* may be null or absent */
    FILLED,   /* needed, but the node fills it in for a publisher */
    NEEDED,
};

struct rule {
    const char *name;
    enum need need;
    check_fn *check;
    size_t max;
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

void problems_add(struct problems *p, const char *pointer, const char *format,
                  ...)
{
    struct problem *problem;
    va_list args;

    if (p == NULL || p->count == PROBLEMS_MAX)
        return;
    problem = &p->list[p->count++];
    (void)snprintf(problem->pointer, sizeof(problem->pointer), "%s", pointer);
    va_start(args, format);
    (void)vsnprintf(problem->detail, sizeof(problem->detail), format, args);
    va_end(args);
}

struct path {
    size_t len;
    char text[PROBLEM_TEXT_MAX];
};

static void path_add(struct path *p, char c)
{
    if (p->len + 1 < sizeof(p->text))
        p->text[p->len++] = c;
}

/* spec: RFC 6901 3 */
static void path_add_name(struct path *p, const char *name)
{
    for (; *name != '\0'; name++) {
        if (*name == '~' || *name == '/') {
            path_add(p, '~');
            path_add(p, *name == '~' ? '0' : '1');
        } else {
            path_add(p, *name);
        }
    }
}

/* At most RECORD_DEPTH_MAX steps, so this recursion ends soon. */
static void path_build(struct path *p, const struct step *step)
{
    char nth[24];

    if (step == NULL)
        return;
    path_build(p, step->up);
    (void)snprintf(nth, sizeof(nth), "%zu", step->nth);
    path_add(p, '/');
    path_add_name(p, step->name ? step->name : nth);
}

static void fail(struct check *c, const char *detail)
{
    struct path path = {0};

    c->failed = true;
    path_build(&path, c->here);
    problems_add(c->problems, path.text, "%s", detail);
}

size_t count_code_points(struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        n += (text.data[i] & 0xc0) != 0x80;
    return n;
}

static struct span text_of(const json_t *value)
{
    return SPAN(json_string_value(value), json_string_length(value));
}

static void check_members(struct check *c, const json_t *object,
                          const struct rule *rules, size_t count)
{
    if (!json_is_object(object)) {
        fail(c, "must be an object");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, rules[i].name);
        bool is_absent = value == NULL || json_is_null(value);
        bool may_be_absent =
            rules[i].need == OPTIONAL ||
            (rules[i].need == FILLED && c->mode == CHECK_INPUT);
        struct step step = {c->here, rules[i].name, 0};

        if (is_absent && may_be_absent)
            continue;
        c->here = &step;
        if (value == NULL)
            fail(c, "is missing");
        else
            rules[i].check(c, value, rules[i].max);
        c->here = step.up;
    }
}

static void check_list(struct check *c, const json_t *list, size_t max,
                       check_fn *check, size_t item_max)
{
    char detail[64];

    if (!json_is_array(list)) {
        fail(c, "must be an array");
        return;
    }
    if (max != 0 && json_array_size(list) > max) {
        (void)snprintf(detail, sizeof(detail), "must have at most %zu items",
                       max);
        fail(c, detail);
        return;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct step step = {c->here, NULL, i};

        c->here = &step;
        check(c, json_array_get(list, i), item_max);
        c->here = step.up;
    }
}

/* ---- Single values. ---- */

static void check_text(struct check *c, const json_t *v, size_t max)
{
    char detail[64];

    if (!json_is_string(v)) {
        fail(c, "must be a string");
    } else if (max != TEXT_UNLIMITED && json_string_length(v) > max &&
               count_code_points(text_of(v)) > max) {
        (void)snprintf(detail, sizeof(detail),
                       "must be at most %zu characters long", max);
        fail(c, detail);
    }
}

static void check_bool(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_boolean(v))
        fail(c, "must be true or false");
}

static void check_count(struct check *c, const json_t *v, size_t min)
{
    if (!json_is_integer(v) || json_integer_value(v) < (json_int_t)min ||
        json_integer_value(v) > INTEGER_MAX)
        fail(c, min ? "must be an integer from 1 to 2^53"
                    : "must be an integer from 0 to 2^53");
}

static void check_u32(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) > (json_int_t)UINT32_MAX)
        fail(c, "must be an integer from 0 to 2^32 - 1");
}

static void check_byte(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) > UINT8_MAX)
        fail(c, "must be an integer from 0 to 255");
}

static void check_time(struct check *c, const json_t *v, size_t max)
{
    struct moment moment;

    (void)max;
    if (!json_is_string(v) || !rfc3339_parse(text_of(v), &moment))
        fail(c, "must be an RFC 3339 time in UTC, e.g. 2025-11-02T22:20:00Z");
}

static void check_object(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_object(v))
        fail(c, "must be an object");
}

/* ---- The record, inside out. ---- */

static void check_pre_release(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_string(v) || json_string_length(v) == 0 ||
        !semver_pre_release_is_valid(text_of(v)))
        fail(c, "must be a SemVer pre-release of at most 64 characters");
}

static void check_no_build(struct check *c, const json_t *v, size_t max)
{
    (void)v;
    (void)max;
    fail(c, "build metadata is not allowed");
}

static void check_version(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"major", NEEDED, check_u32, 0},
        {"minor", NEEDED, check_u32, 0},
        {"patch", NEEDED, check_u32, 0},
        {"pre_release", OPTIONAL, check_pre_release, 0},
        {"build", OPTIONAL, check_no_build, 0},
        {"build_metadata", OPTIONAL, check_no_build, 0},
    };

    (void)max;
    if (c->mode == CHECK_INPUT && json_is_string(v))
        fail(c, "is not a SemVer version without build metadata");
    else
        check_members(c, v, rules, COUNT_OF(rules));
}

static void check_ns(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_string(v) || !package_ns_is_valid(text_of(v)))
        fail(c, "must match [a-z0-9][a-z0-9._-]{0,63}, or be ~ and a peer id "
                "in base36");
}

static void check_name(struct check *c, const json_t *v, size_t max)
{
    (void)max;
    if (!json_is_string(v) || !package_name_is_valid(text_of(v)))
        fail(c, "must match [a-z0-9][a-z0-9._-]{0,63}");
}

static void check_id(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"namespace", NEEDED, check_ns, 0},
        {"name", NEEDED, check_name, 0},
    };

    (void)max;
    if (c->mode == CHECK_INPUT && json_is_string(v))
        fail(c, "is not \"namespace/name\", each of which must match "
                "[a-z0-9][a-z0-9._-]{0,63}");
    else
        check_members(c, v, rules, COUNT_OF(rules));
}

static void check_category(struct check *c, const json_t *v, size_t max)
{
    static const char *const known[] = {
        "WebService", "Database",   "Authentication", "Middleware", "Testing",
        "Deployment", "Monitoring", "Documentation",  "Utility",
    };
    static const struct rule custom[] = {
        {"Custom", NEEDED, check_text, TEXT_UNLIMITED}};

    (void)max;
    if (json_is_object(v) && json_object_size(v) == 1) {
        check_members(c, v, custom, COUNT_OF(custom));
        return;
    }
    for (size_t i = 0; json_is_string(v) && i < COUNT_OF(known); i++)
        if (strcmp(json_string_value(v), known[i]) == 0)
            return;
    fail(c, "must be a known category or {\"Custom\": text}");
}

static void check_categories(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_category, 0);
}

static void check_texts(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_text, RECORD_TAG_MAX);
}

static void check_bytes(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_byte, 0);
}

static void check_public_key(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"algorithm", NEEDED, check_text, TEXT_UNLIMITED},
        {"key_data", NEEDED, check_bytes, 0},
        {"fingerprint", NEEDED, check_text, TEXT_UNLIMITED},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_author(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"id", NEEDED, check_text, TEXT_UNLIMITED},
        {"name", NEEDED, check_text, TEXT_UNLIMITED},
        {"email", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"public_key", OPTIONAL, check_public_key, 0},
        {"metadata", FILLED, check_object, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_authors(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_author, 0);
}

static void check_metadata(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"title", FILLED, check_text, RECORD_TITLE_MAX},
        {"description", FILLED, check_text, RECORD_DESCRIPTION_MAX},
        {"long_description", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"categories", FILLED, check_categories, 0},
        {"tags", FILLED, check_texts, RECORD_TAGS_MAX},
        {"license", FILLED, check_text, TEXT_UNLIMITED},
        {"authors", FILLED, check_authors, 0},
        {"homepage", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"repository", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"documentation", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"readme", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"changelog", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"custom_fields", FILLED, check_object, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_hex(struct check *c, const json_t *v, size_t max)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    bool is_hex = json_is_string(v) && json_string_length(v) > 0 &&
                  json_string_length(v) <= max;

    /* The ggen network's own tests call a content "abc…" anything. */
    if (c->mode != CHECK_UNSIGNED && is_hex)
        is_hex = strspn(json_string_value(v), digits) == json_string_length(v);
    if (!is_hex)
        fail(c, "must be 1 to 128 hexadecimal digits");
}

static void check_algorithm(struct check *c, const json_t *v, size_t max)
{
    const char *text = json_is_string(v) ? json_string_value(v) : "";

    (void)max;
    if (strcmp(text, "Sha256") != 0 && strcmp(text, "Sha512") != 0 &&
        strcmp(text, "Blake3") != 0)
        fail(c, "must be Sha256, Sha512 or Blake3");
}

static void check_content_id(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"hash", NEEDED, check_hex, HASH_TEXT_MAX},
        {"algorithm", NEEDED, check_algorithm, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_range(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"min", NEEDED, check_version, 0},
        {"max", NEEDED, check_version, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_requirement(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"Exact", OPTIONAL, check_version, 0},
        {"Range", OPTIONAL, check_range, 0},
        {"Minimum", OPTIONAL, check_version, 0},
        {"Compatible", OPTIONAL, check_version, 0},
    };
    bool is_any = json_is_string(v) && strcmp(json_string_value(v), "Any") == 0;

    (void)max;
    for (size_t i = 0; json_is_object(v) && i < COUNT_OF(rules); i++) {
        const json_t *only = json_object_get(v, rules[i].name);

        if (json_object_size(v) == 1 && only != NULL && !json_is_null(only)) {
            check_members(c, v, rules, COUNT_OF(rules));
            return;
        }
    }
    if (!is_any)
        fail(c, "must be \"Any\" or one of Exact, Range, Minimum, Compatible");
}

static void check_dependency(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"package_id", NEEDED, check_id, 0},
        {"version_requirement", NEEDED, check_requirement, 0},
        {"optional", FILLED, check_bool, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_dependencies(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_dependency, 0);
}

static void check_stats(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"downloads", FILLED, check_count, 0},
        {"stars", FILLED, check_count, 0},
        {"watchers", FILLED, check_count, 0},
        {"forks", FILLED, check_count, 0},
        {"contributors", FILLED, check_count, 0},
        {"last_updated", FILLED, check_time, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

/* ---- `souk`. ---- */

static void check_publisher(struct check *c, const json_t *v, size_t max)
{
    struct peer_id id;
    struct pubkey key;

    (void)max;
    if (!json_is_string(v) || peer_id_parse(&id, text_of(v)) != OK ||
        peer_id_pubkey(&id, &key) != OK || key.type != PUBKEY_ED25519)
        fail(c, "must be the peer id of an Ed25519 key");
}

static void check_semver_text(struct check *c, const json_t *v, size_t max)
{
    struct semver version;

    (void)max;
    if (!json_is_string(v) || semver_parse(text_of(v), &version) != OK)
        fail(c, "must be a SemVer version without build metadata");
}

static void check_listed_version(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"version", NEEDED, check_semver_text, 0},
        {"yanked", OPTIONAL, check_bool, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_versions(struct check *c, const json_t *v, size_t max)
{
    check_list(c, v, max, check_listed_version, 0);
}

static void check_cid(struct check *c, const json_t *v, size_t max)
{
    struct cid cid;

    (void)max;
    if (!json_is_string(v) || cid_parse(&cid, text_of(v)) != OK)
        fail(c, "must be a CID");
}

static void check_artifact(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"cid", NEEDED, check_cid, 0},
        {"size", NEEDED, check_count, 0},
        {"media_type", OPTIONAL, check_text, TEXT_UNLIMITED},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

static void check_yanked(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"reason", OPTIONAL, check_text, TEXT_UNLIMITED},
        {"use_instead", OPTIONAL, check_semver_text, 0},
    };

    (void)max;
    check_members(c, v, rules, COUNT_OF(rules));
}

/* 64 bytes are 86 characters and four spare bits, which must be zero: one
 * signature has one text. */
static void check_signature(struct check *c, const json_t *v, size_t max)
{
    uint8_t bytes[ED25519_SIG_LEN];
    size_t n = 0;

    (void)max;
    if (!json_is_string(v) || json_string_length(v) != SIGNATURE_TEXT_LEN ||
        base_decode(BASE64URL, text_of(v), bytes, sizeof(bytes), &n) != OK)
        fail(c, "must be 64 bytes in base64url without padding");
}

static void check_souk(struct check *c, const json_t *v, size_t max)
{
    static const struct rule rules[] = {
        {"artifact", OPTIONAL, check_artifact, 0},
        /* What follows the node makes itself when it signs. */
        {"publisher", NEEDED, check_publisher, 0},
        {"sequence", NEEDED, check_count, 1},
        {"versions", OPTIONAL, check_versions, RECORD_VERSIONS_MAX},
        {"versions_total", OPTIONAL, check_count, 1},
        {"yanked", OPTIONAL, check_yanked, 0},
        {"signature", NEEDED, check_signature, 0},
    };

    (void)max;
    if (c->mode == CHECK_SIGNED)
        check_members(c, v, rules, COUNT_OF(rules));
    else if (c->mode == CHECK_INPUT)
        check_members(c, v, rules, 1);
}

static void check_root(struct check *c, const json_t *v)
{
    static const struct rule rules[] = {
        {"id", NEEDED, check_id, 0},
        {"version", NEEDED, check_version, 0},
        {"metadata", FILLED, check_metadata, 0},
        {"content_id", FILLED, check_content_id, 0},
        {"dependencies", FILLED, check_dependencies, RECORD_DEPENDENCIES_MAX},
        {"stats", FILLED, check_stats, 0},
        {"created_at", FILLED, check_time, 0},
        {"updated_at", FILLED, check_time, 0},
        {"souk", OPTIONAL, check_souk, 0},
    };

    check_members(c, v, rules, COUNT_OF(rules));
}

/* Everywhere, also in members souk knows nothing of. */
static void check_numbers(struct check *c, const json_t *v)
{
    json_t *o = (json_t *)(uintptr_t)v; /* jansson iterates non-const */

    if (json_is_real(v)) {
        fail(c, "must be an integer: a signed record holds no other numbers");
    } else if (json_is_integer(v)) {
        if (json_integer_value(v) > INTEGER_MAX ||
            json_integer_value(v) < -INTEGER_MAX)
            fail(c, "must be within 2^53");
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v); i++) {
            struct step step = {c->here, NULL, i};

            c->here = &step;
            check_numbers(c, json_array_get(v, i));
            c->here = step.up;
        }
    } else if (json_is_object(v)) {
        for (void *it = json_object_iter(o); it != NULL;
             it = json_object_iter_next(o, it)) {
            struct step step = {c->here, json_object_iter_key(it), 0};

            c->here = &step;
            check_numbers(c, json_object_iter_value(it));
            c->here = step.up;
        }
    }
}

enum err check_record(const json_t *json, enum check_mode mode,
                      struct problems *problems)
{
    struct check c = {.mode = mode, .problems = problems};

    check_root(&c, json);
    if (mode != CHECK_UNSIGNED)
        check_numbers(&c, json);
    return c.failed ? ERR_SCHEMA : OK;
}

enum err check_shape(struct span text, struct problems *problems)
{
    unsigned depth = 0;
    size_t bytes = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t ch = text.data[i];

        if (in_string && ch == '\\' && i + 1 < text.len) {
            i++;
            bytes++;
        } else if (ch == '"') {
            in_string = !in_string;
        } else if (in_string) {
            /* Just a character. */
        } else if (ch == '{' || ch == '[') {
            depth++;
        } else if (ch == '}' || ch == ']') {
            depth -= depth > 0;
        } else if (ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t') {
            continue;
        }
        bytes++;
        if (depth > RECORD_DEPTH_MAX) {
            problems_add(problems, "", "is nested deeper than %d levels",
                         RECORD_DEPTH_MAX);
            return ERR_SCHEMA;
        }
        if (bytes > SHAPE_BYTES_MAX)
            return ERR_RECORD_SIZE;
    }
    return OK;
}
