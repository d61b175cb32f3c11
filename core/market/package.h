/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_PACKAGE_H
#define MARKET_PACKAGE_H

#include "base/span.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* The name of a package, a value whose unused bytes are zero, so it can be a
 * map key as it is.
 *
 * A namespace is [a-z0-9][a-z0-9._-]{0,63}, or self-certifying: '~' and its
 * owner's peer id as CIDv1 in base36.  A name has the first form only. */
enum {
    PACKAGE_NAME_MAX = 64,
    PACKAGE_TEXT_MAX = 2 * PACKAGE_NAME_MAX + 2, /* "ns/name" and NUL */
};

struct package_id {
    char ns[PACKAGE_NAME_MAX + 1];
    char name[PACKAGE_NAME_MAX + 1];
};

/* Strict: upper case is refused.  ERR_INVAL. */
MUST_USE
enum err package_id_set(struct package_id *id, struct span ns,
                        struct span name);
/* "ns/name", strict. */
MUST_USE
enum err package_id_parse(struct span text, struct package_id *id);
/* For look-ups: folds upper case, then strict. */
MUST_USE
enum err package_id_look_up(struct package_id *id, struct span ns,
                            struct span name);
/* "ns/name"; returns |out|. */
const char *package_id_format(const struct package_id *id,
                              char out[PACKAGE_TEXT_MAX]);
/* Both parts with '_' as '-': equal for names that differ only in that. */
const char *package_id_fold_dashes(const struct package_id *id,
                                   char out[PACKAGE_TEXT_MAX]);

/* "ns/name" of a record known to be good, without parsing all of it; false: not
 * in canonical form, or no record. */
bool package_id_peek(struct span record, char out[PACKAGE_TEXT_MAX]);

bool package_ns_is_valid(struct span ns); /* either form */
bool package_name_is_valid(struct span name);
/* The key a '~' namespace belongs to.  false: a plain namespace. */
bool package_ns_owner(const struct package_id *id, struct peer_id *owner);
/* The '~' namespace of |owner|; false if its text is too long (never for an
 * Ed25519, secp256k1 or hashed id). */
bool package_ns_of(const struct peer_id *owner, char out[PACKAGE_NAME_MAX + 1]);

#endif /* MARKET_PACKAGE_H */
