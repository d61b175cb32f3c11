/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_KEYS_H
#define MARKET_KEYS_H

#include "market/record.h"
#include "tbl/network.h"

/* Where a record lives in the DHT (docs/PROTOCOLS.md), after the network's
 * prefix:
 *
 *      ns/name             KEY_HEAD        the head, as any publisher claims it
 *      ns/name~PEER        KEY_HEAD_OF     the same, signed by PEER
 *      ns/name@1.2.3~PEER  KEY_VERSION_OF  that version, signed by PEER
 *
 * A network without a prefix (ggen) has the first only. */
enum key_kind { KEY_HEAD, KEY_HEAD_OF, KEY_VERSION_OF };

enum {
    PACKAGE_KEY_MAX = 16 + PACKAGE_TEXT_MAX + SEMVER_TEXT_MAX +
                      PEER_ID_TEXT_MAX, /* with the NUL */
};

struct package_key {
    enum key_kind kind;
    struct package_id id;
    struct semver version;    /* KEY_VERSION_OF */
    struct peer_id publisher; /* KEY_HEAD_OF, KEY_VERSION_OF */
};

/* The key's text; returns |out|. */
const char *package_key_format(const struct network *net,
                               const struct package_key *key,
                               char out[PACKAGE_KEY_MAX]);
/* ERR_INVAL: not a key souk makes.  Only the one literal form is accepted. */
MUST_USE
enum err package_key_parse(const struct network *net, struct span text,
                           struct package_key *key);
/* The key of |kind| that |r| belongs under. */
void package_key_of(const struct record *r, enum key_kind kind,
                    struct package_key *out);
/* ERR_WRONG_KEY: |r| does not belong under |key|. */
MUST_USE
enum err package_key_check(const struct package_key *key,
                           const struct record *r);

#endif /* MARKET_KEYS_H */
