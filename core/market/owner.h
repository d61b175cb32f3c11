/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_OWNER_H
#define MARKET_OWNER_H

#include "market/record.h"

/* Who owns a name, as this node sees it (docs/PROTOCOLS.md): the key in a '~'
 * namespace, else the key the operator trusts for the namespace, else the key
 * pinned for the package, else nobody yet. */
struct owner_facts {
    struct peer_id trusted; /* of the namespace; len 0: none */
    struct peer_id pinned;  /* of the package; len 0: none */
};

struct owner_verdict {
    struct peer_id owner;    /* len 0: nobody yet */
    enum record_trust trust; /* of a record by |publisher| */
    bool is_owner;           /* the publisher owns the name */
    bool may_pin;            /* nobody does, and it is signed */
    bool is_conflict;        /* another key owns it: refuse and count */
};

/* The owner of |id|, len 0 if there is none yet. */
void owner_of(const struct package_id *id, const struct owner_facts *facts,
              struct peer_id *owner);
/* |publisher| with len 0: an unsigned record. */
void owner_judge(const struct package_id *id, const struct peer_id *publisher,
                 const struct owner_facts *facts, struct owner_verdict *out);
/* ERR_NOT_OWNER if |is_conflict|. */
MUST_USE
enum err owner_check(const struct package_id *id,
                     const struct peer_id *publisher,
                     const struct owner_facts *facts,
                     struct owner_verdict *out);

#endif /* MARKET_OWNER_H */
