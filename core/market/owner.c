/* SPDX-License-Identifier: Apache-2.0 */
#include "market/owner.h"

/* Where the owner comes from, and so what its records are worth. */
static enum record_trust find_owner(const struct package_id *id,
                                    const struct owner_facts *facts,
                                    struct peer_id *owner)
{
    if (id->ns[0] == '~') {
        (void)package_ns_owner(id, owner);
        return TRUST_SELF_CERTIFIED;
    }
    if (!peer_id_is_none(&facts->trusted)) {
        *owner = facts->trusted;
        return TRUST_TRUSTED;
    }
    *owner = facts->pinned;
    return TRUST_PINNED;
}

void owner_of(const struct package_id *id, const struct owner_facts *facts,
              struct peer_id *owner)
{
    (void)find_owner(id, facts, owner);
}

void owner_judge(const struct package_id *id, const struct peer_id *publisher,
                 const struct owner_facts *facts, struct owner_verdict *out)
{
    enum record_trust as_owner;
    bool is_signed = !peer_id_is_none(publisher);
    bool is_owned;

    *out = (struct owner_verdict){.trust = is_signed ? TRUST_SIGNED
                                                     : TRUST_UNVERIFIED};
    as_owner = find_owner(id, facts, &out->owner);
    is_owned = !peer_id_is_none(&out->owner);
    out->is_owner = is_owned && peer_id_eq(&out->owner, publisher);
    out->is_conflict = is_owned && !out->is_owner;
    out->may_pin = !is_owned && is_signed;
    if (out->is_owner)
        out->trust = as_owner;
}

enum err owner_check(const struct package_id *id,
                     const struct peer_id *publisher,
                     const struct owner_facts *facts, struct owner_verdict *out)
{
    owner_judge(id, publisher, facts, out);
    return out->is_conflict ? ERR_NOT_OWNER : OK;
}
