/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_RESOLVE_H
#define GATEWAY_RESOLVE_H

#include "gateway/exchange.h"

/* Bringing the catalogue up to date about one package, or one version of it,
 * before it is read:
 *
 *      fresh here, or scope=local ────────────────────────────► then()
 *      else core: GET the head ─► store: accept, pin ─┐
 *           core: GET the version by its owner ─► …   ┴───────► then()
 *
 * What the network says is verified by the core; whose word counts is the
 * store's decision.  then() reads the catalogue, and finds in |err| what the
 * network had to say. */
enum { RESOLVE_FRESH_S = 300 };

struct resolve {
    struct package_id id;
    bool has_version;
    struct semver version;
    bool is_local;
    void (*then)(struct exchange *x, struct resolve *r);

    bool is_asked;   /* the network was */
    bool is_expired; /* then() must answer at once */
    enum err err;    /* OK, ERR_NOT_FOUND, ERR_LOOKUP_INCOMPLETE, … */
    struct lookup_report lookup;

    bool has_head; /* that step is done */
};

/* |r| is the first member of x->work; id, version, is_local and then are
 * set. */
void resolve_begin(struct exchange *x, struct resolve *r);

/* What there is to say when the catalogue has nothing: 404 after a complete
 * look-up, else 504, or what went wrong. */
void resolve_refuse(struct exchange *x, const struct resolve *r);
/* Headers for an answer that reads the catalogue. */
void resolve_describe(struct exchange *x, const struct resolve *r,
                      const struct package_view *view);
/* Is what the catalogue has of this package new enough? */
bool resolve_is_fresh(const struct exchange *x,
                      const struct package_view *view);

/* Store what the core found; then() when that is done, or at once if there is
 * nothing to store.  Also used for versions fetched one by one. */
void resolve_accept(struct exchange *x, const struct request *found,
                    void (*then)(struct exchange *x, struct job *job));
/* A request for the head (|version| NULL), or for a version of |owner|. */
struct request *resolve_request(struct exchange *x, const struct package_id *id,
                                const struct semver *version,
                                const struct peer_id *owner);

#endif /* GATEWAY_RESOLVE_H */
