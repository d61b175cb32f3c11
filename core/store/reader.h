/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include "base/buf.h"
#include "base/span.h"
#include "base/time.h"
#include "market/query.h"
#include "market/rank.h"
#include "market/record.h"
#include "multi/peer_id.h"
#include "node/node.h"
#include "souk/err.h"
#include "souk/request.h"
#include "store/cache.h"
#include "store/store.h"

/* Reading the catalogue: a read-only connection with its prepared statements,
 * one a thread.  Every call sees what was committed before it and holds no lock
 * after it.
 *
 *      get     reader_head(), reader_version(), reader_versions()
 *      search  reader_search(): a page of ready summaries, ranked
 *      core    reader_outbox(), reader_hits()
 *
 * Answers are bytes to join: a record is stored as it is served, and a summary
 * is a search result of openapi.yaml that lacks only what depends on the query.
 *
 * ERR_STORE  SQLite failed;  ERR_NOMEM */
struct reader;

MUST_USE
enum err reader_open(struct store *s, struct reader **out);
void reader_close(struct reader *r);

enum {
    READER_LIMIT_MAX = 100, /* entries a page */
    READER_CURSOR_MAX = 320,
    READER_FACETS_MAX = 32, /* values a facet */
    OUTBOX_PAGE_MAX = 256,
};

/* What an answer says beside a record's bytes. */
struct package_view {
    struct package_id id;
    struct semver version;
    struct peer_id publisher; /* len 0: unsigned */
    enum record_trust trust;
    uint64_t sequence;
    bool is_own;       /* published here */
    bool is_yanked;    /* this version */
    bool all_yanked;   /* no version is left */
    bool has_conflict; /* another key claims the name */
    unsigned versions; /* held here */
    wall_ms updated;   /* the record's updated_at */
    wall_ms heard;     /* when this node last took it or confirmed it */
    char etag[36];     /* quoted, of the bytes */
};

/* The newest version's record, appended to |record|.  ERR_NOT_FOUND. */
MUST_USE
enum err reader_head(struct reader *r, const struct package_id *id,
                     struct package_view *view, struct buf *record);
MUST_USE
enum err reader_version(struct reader *r, const struct package_id *id,
                        const struct semver *version, struct package_view *view,
                        struct buf *record);

/* Visitors borrow what they see and must not call the reader; false stops. */
typedef bool (*package_visitor)(void *ctx, const struct package_view *view,
                                struct span record);

/* Ascending; |after|: that version and all before it are skipped, NULL = from
 * the first.  At most |limit|; |more|: there are others.  ERR_NOT_FOUND: no
 * such package. */
MUST_USE
enum err reader_versions(struct reader *r, const struct package_id *id,
                         const struct semver *after, unsigned limit,
                         package_visitor visit, void *ctx, bool *more);
/* Every package with its head, by name; |record| is empty.  |after|: skip
 * it and all before it; NULL = from the first. */
MUST_USE
enum err reader_index(struct reader *r, const struct package_id *after,
                      unsigned limit, package_visitor visit, void *ctx,
                      bool *more);

/* ---- Search. ---- */

struct search_options {
    unsigned limit;     /* 1…READER_LIMIT_MAX */
    const char *cursor; /* of the page before; NULL or "": the first page */
    bool facets;
    wall_ms wall;
};

struct search_hit {
    struct span summary;     /* a JSON object that lacks its end, see below */
    struct rank_entry entry; /* for merging; .owner is NULL */
    struct peer_id publisher;
    double text; /* how well the words match; ≥ 0 */
};

struct search_facet {  /* one value of one field */
    const char *field; /* static: "category", "tag", "license", "namespace" */
    const char *value;
    unsigned count;
};

/* One page.  A hit as JSON is its summary, then
 *     ,"score":S,"source":"…"}
 * The summary holds id, version, title, description, tags, categories, license,
 * trust, publisher, updated_at. */
struct search_page {
    struct search_hit hits[READER_LIMIT_MAX];
    size_t count;
    uint64_t total;
    bool total_is_exact;            /* else at least so many */
    char cursor[READER_CURSOR_MAX]; /* "": this was the last page */
    struct search_facet *facets;
    size_t facet_count;
    bool facets_are_exact; /* else counted over the best matches only */
    void *memory;          /* search_page_free() */
};
enum { READER_COUNT_MAX = 10000 };

/* ERR_INVAL: the cursor is not one of this query.  With paging, the union of
 * the pages is the whole set, by how well the text matches (see rank.h; where
 * not every match can be looked at the rest follows by static quality). */
MUST_USE
enum err reader_search(struct reader *r, const struct query *q,
                       const struct search_options *options,
                       struct search_page *page);
void search_page_free(struct search_page *page);

/* What an answer to |q| depends on; take it before reader_search().  The key of
 * the cache is the caller's to make from query_normalise(), cursor and limit.
 */
void reader_search_stamp(struct reader *r, const struct query *q,
                         struct cache_stamp *out);

/* ---- For the core's reader thread. ---- */

/* The answer to NODE_CATALOGUE_SEARCH: head records, best first. */
struct hit_page {
    struct catalogue_hit *hits;
    size_t count;
    uint64_t total;
    void *memory; /* hit_page_free() */
};
MUST_USE
enum err reader_hits(struct reader *r, const struct query *q, unsigned limit,
                     wall_ms wall, struct hit_page *page);
void hit_page_free(struct hit_page *page);

/* The answer to NODE_OUTBOX_LOAD: ids above |after|, or just |id| if > 0. */
struct outbox_page {
    struct outbox_item *items;
    size_t count;
    void *memory; /* outbox_page_free() */
};
MUST_USE
enum err reader_outbox(struct reader *r, int64_t after, int64_t id,
                       unsigned limit, struct outbox_page *page);
void outbox_page_free(struct outbox_page *page);

/* Whose |id| is, by its namespace, the operator's trust or a pin; len 0:
 * nobody's yet. */
MUST_USE
enum err reader_owner(struct reader *r, const struct package_id *id,
                      struct peer_id *owner);
/* ERR_NOT_FOUND. */
MUST_USE
enum err reader_setting(struct reader *r, const char *name, struct buf *value);

#endif /* STORE_READER_H */
