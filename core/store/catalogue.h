/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CATALOGUE_H
#define STORE_CATALOGUE_H

#include "store/ahead.h"
#include "store/internal.h"

/* Packages and their versions: market's decisions, executed inside the
 * transaction of store_perform(). */

/* A row of `package`.  id 0: there is none. */
struct package_row {
    int64_t id;
    struct package_id name;
    struct peer_id publisher; /* len 0: unsigned */
    bool is_own;
    int64_t conflicts;
    int64_t sequence;
    int64_t head_version;
    int64_t head_sequence;
    bool head_is_full;
    int64_t versions;
    int64_t bytes;
    wall_ms heard;
    double reputation;
    int64_t slot; /* 0: not listed */
};
/* The current row of |id|, a statement that selects PACKAGE_ROW. */
void package_row_read(const struct db *db, enum sql id,
                      struct package_row *out);

/* What market decides on: everything held of one package, by one publisher. */
struct gathered {
    const struct mem *mem;
    struct publish_facts facts;
    struct package_row row;
    bool is_other; /* |row| is another publisher's, who gives way */
    int64_t same_id;
    size_t same_len;
    struct record_version *versions;
    struct record same, head, next_head;
    char equivalent[PACKAGE_TEXT_MAX];
};
MUST_USE
enum err gather(struct store *s, const struct package_id *id,
                const struct semver *version, const struct peer_id *publisher,
                bool is_yanked, struct gathered *g);
void gathered_release(struct gathered *g);

/* A change of one package, ready to be written. */
struct change {
    const struct package_id *id;
    const struct peer_id *publisher;
    const struct record *version; /* to keep as this version */
    bool is_yanked;               /* as we now know of it */
    const struct record *head;    /* NULL: it stays */
    const struct ahead *ahead;    /* made of |head|; NULL: nothing was */
    bool is_own;
    uint64_t sequence; /* the highest met */
    double reputation;
    enum record_trust trust;
    wall_ms wall;
};
struct changed {
    int64_t package;
    int64_t version;
};
MUST_USE
enum err catalogue_change(struct store *s, const struct gathered *g,
                          const struct change *c, struct changed *out);

MUST_USE
enum err catalogue_publish(struct store *s, struct job *job, wall_ms wall);
MUST_USE
enum err catalogue_yank(struct store *s, struct job *job, wall_ms wall);
/* |keep|: what was written stays although the job failed. */
MUST_USE
enum err catalogue_accept(struct store *s, struct job *job, wall_ms wall,
                          bool *keep);
MUST_USE
enum err catalogue_pin(struct store *s, const struct package_id *id,
                       const struct peer_id *owner, wall_ms wall);

/* The package's head record. */
MUST_USE
enum err catalogue_head(struct store *s, int64_t package, struct record *out);
/* Remove the package with all it has. */
MUST_USE
enum err catalogue_remove(struct store *s, const struct package_row *row);
/* List the package anew, as its head and its owner now are. */
MUST_USE
enum err catalogue_relist(struct store *s, const struct package_row *row,
                          enum record_trust trust, wall_ms wall);

#endif /* STORE_CATALOGUE_H */
