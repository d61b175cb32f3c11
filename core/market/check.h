/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_CHECK_H
#define MARKET_CHECK_H

#include "market/record.h"

/* The room's own: the schema of docs/PROTOCOLS.md as tables. */
enum check_mode {
    CHECK_INPUT,    /* a publisher's: what the node fills in may be missing */
    CHECK_SIGNED,   /* complete, integers only, and `souk` whole */
    CHECK_UNSIGNED, /* complete; `souk` means nothing, any number */
};

/* ERR_SCHEMA with all |problems|, not only the first. */
MUST_USE
enum err check_record(const json_t *json, enum check_mode mode,
                      struct problems *problems);
/* Nesting and size, before anything is built from |text|.
 * ERR_SCHEMA, ERR_RECORD_SIZE. */
MUST_USE
enum err check_shape(struct span text, struct problems *problems);

size_t count_code_points(struct span text);

/* `souk`.|name|, NULL if it is absent or null. */
const json_t *souk_member(const json_t *record, const char *name);

/* The object form of a version, or of an id. */
bool version_from_json(const json_t *json, struct semver *out);
bool package_from_json(const json_t *json, struct package_id *out);

/* What a publisher wrote in short ("ns/name", "1.2.3") in the long form; what
 * is not right stays for check_record() to name.  ERR_NOMEM. */
MUST_USE
enum err normalise_record(json_t *json);

#endif /* MARKET_CHECK_H */
