/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/time.h"
#include "crypto/ed25519.h"
#include "multi/peer_id.h"
#include "node/node.h"
#include "souk/err.h"
#include "store/cache.h"
#include "store/job.h"

/* The node's memory on disk: one SQLite database in the data directory, its
 * identity key and its admin token.
 *
 *      worker thread ── store_perform(jobs) ──► one transaction, one fsync
 *      each reader   ── reader_…() ───────────► a read-only connection each
 *      start         ── store_load() ─────────► what the node had learnt
 *
 * A struct store writes and belongs to one thread; struct reader (reader.h)
 * reads and belongs to one thread; struct worker (worker.h) is the thread that
 * owns the store while the node runs.  The simulator has none of them: it opens
 * a store in memory and calls store_perform() itself.
 *
 * What store_perform() answered OK survives kill -9 and, if somebody waited for
 * it (job.h), power loss.  The store executes decisions, it takes none: who
 * owns a name, what is the same content and which version heads a package is
 * core/market's. */
struct store;

enum {
    STORE_WHY_MAX = 512,
    STORE_TOKEN_MAX = 64,      /* the admin token with its NUL */
    STORE_TERMS_MAX = 8192,    /* of our own packages, brought back */
    STORE_VERSIONS_MAX = 1024, /* kept of another's package */
};

struct store_trust { /* the operator's word: |owner| owns |namespace| */
    const char *namespace;
    struct peer_id owner;
};

struct store_config {
    const char *dir;           /* made if missing; NULL: in memory */
    const char *identity_file; /* NULL: DIR/identity.key */
    const struct network *network;
    uint64_t catalogue_bytes_max; /* of others' packages; 0: 1 GiB */
    uint64_t outbox_max; /* publishes the network has not got; 0: 1,048,576 */
    const struct store_trust *trust;
    size_t trust_count;
    struct cache *cache; /* told of every change; may be NULL */
    const struct rng *rng;
    const struct log *log; /* may be NULL */
    const struct mem *mem; /* NULL: mem_libc */
};

/* Open or create.  On error nothing on disk was touched, and |why| names the
 * file and says what to do.
 *
 * ERR_STORE_CORRUPT  the database, or the key file, is damaged
 * ERR_STORE_NEWER    a newer souk wrote it
 * ERR_CONFIG         the directory is missing, in use or not writable
 * ERR_IO, ERR_STORE  the disk said no */
MUST_USE
enum err store_open(const struct store_config *config, wall_ms wall,
                    struct store **out, char why[STORE_WHY_MAX]);
void store_close(struct store *s);

const struct ed25519_keypair *store_identity(const struct store *s);
const struct peer_id *store_self(const struct store *s);
const char *store_admin_token(const struct store *s);

/* What a restart brings back, less what has expired; before node_start(). */
struct store_sink {
    void *ctx;
    void (*record)(void *ctx, const struct saved_record *r);
    void (*provider)(void *ctx, const struct saved_provider *p);
    void (*peer)(void *ctx, const struct saved_peer *p);
    /* Terms of our own packages, rarest first, at most STORE_TERMS_MAX. */
    void (*term)(void *ctx, struct span term, unsigned packages);
};
MUST_USE
enum err store_load(struct store *s, const struct store_sink *sink,
                    wall_ms wall);

/* Do |jobs| in one transaction, durable if somebody waits for one of them; each
 * job gets its own result in job->err, and one that fails undoes only itself.
 * If the commit fails every job gets that error.  Does not call job->done. */
void store_perform(struct store *s, struct job *const *jobs, size_t count,
                   wall_ms wall);

/* One bounded step of background work: drop what expired, evict above
 * catalogue_bytes_max, move packages to where their static quality belongs.
 * |more|: there is more to do at once. */
MUST_USE
enum err store_maintain(struct store *s, wall_ms wall, bool *more);

/* Background work that cannot wait until the store has been idle; the store's
 * thread. */
bool store_owes(const struct store *s);

/* Whether the last transaction could be written; any thread.  After one that
 * failed, only one that really wrote makes it true. */
bool store_writes(const struct store *s);

struct store_counts {
    uint64_t packages; /* all held */
    uint64_t listed;   /* with a version not yanked: what search finds */
    uint64_t versions;
    uint64_t own;          /* packages we published */
    uint64_t outbox;       /* publishes not yet all over the network */
    uint64_t others_bytes; /* against catalogue_bytes_max */
    uint64_t others_bytes_max, outbox_max;
    uint64_t lists_bytes, lists_bytes_max; /* postings.h */
    /* Since the start. */
    uint64_t evicted, refused, outbox_refused, versions_refused;
    uint64_t failures;      /* transactions that could not be written */
    uint64_t lists_refused; /* of words, for want of room */
};
/* Of the writer's last commit; any thread. */
void store_counts(const struct store *s, struct store_counts *out);
/* Bytes SQLite holds, all connections of the process; any thread. */
uint64_t store_memory(void);

#endif /* STORE_STORE_H */
