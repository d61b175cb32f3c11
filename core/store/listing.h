/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_LISTING_H
#define STORE_LISTING_H

#include "base/span.h"
#include "base/time.h"
#include "market/record.h"
#include "souk/err.h"
#include "store/cache.h"

/* What search shows of a package: its row in `listing`, its words in the FTS5
 * index, and its slot.  The slot is the rowid of both; lower is better, so
 * FTS5 meets good packages first and a search may stop early:
 *
 *      slot = 63 − static quality (6 bits) ‖ order of coming (35) ‖ length (11)
 *
 * The number of the text's words rides in the slot too, so the scoring function
 * needs no further look-up: exact up to 511, then its first nine bits.  A slot
 * is never used for another text.
 *
 * FTS5 writes out what it gathered at every savepoint and whenever rowids do
 * not ascend.  So writes to it wait in |index_ops| and are done in order of
 * slot, just before the commit. */
struct store;

enum {
    SLOT_LENGTH_BITS = 11,
    SLOT_ORDER_BITS = 35,
    SLOT_QUALITY_MAX = 63,
    LISTING_COLUMNS = 10, /* of the index */
};

static inline int slot_quality(int64_t slot)
{
    return SLOT_QUALITY_MAX -
           (int)(slot >> (SLOT_ORDER_BITS + SLOT_LENGTH_BITS));
}
static inline int64_t slot_order(int64_t slot)
{
    return slot >> SLOT_LENGTH_BITS & ((INT64_C(1) << SLOT_ORDER_BITS) - 1);
}
static inline unsigned slot_words(int64_t slot)
{
    unsigned code = (unsigned)(slot & ((1 << SLOT_LENGTH_BITS) - 1));
    unsigned shift = code >> 8;

    return shift ? (256 + (code & 255)) << (shift - 1) : code;
}
static inline int64_t slot_make(int quality, int64_t order, size_t words)
{
    size_t shift = 0;

    while (words >> shift >= 512)
        shift++;
    words = shift > 6 ? (1 << SLOT_LENGTH_BITS) - 1
                      : (words >> shift) + 256 * shift;
    return (int64_t)(SLOT_QUALITY_MAX - quality)
               << (SLOT_ORDER_BITS + SLOT_LENGTH_BITS) |
           order << SLOT_LENGTH_BITS | (int64_t)words;
}

/* The texts of a listing in the order of the index's columns, each with its
 * NUL, one behind the other. */
struct doc {
    char *text;
    size_t len;
};

/* All of a listing that its head and its trust decide: what can be made before
 * the writing thread has it. */
struct listing_draft {
    enum record_trust trust;
    struct doc doc;
    struct buf summary;
    int64_t name_key, title_key;
    struct cache_changes words; /* the head can be found by */
};
/* |words| only if |has_cache|.  ERR_NOMEM. */
MUST_USE
enum err listing_draft_make(struct listing_draft *d, const struct record *head,
                            enum record_trust trust, bool has_cache,
                            const struct mem *mem);
void listing_draft_release(struct listing_draft *d);

struct index_op;
struct index_ops {
    struct index_op *list;
    size_t count;
    size_t cap;
};
void index_ops_truncate(struct store *s, size_t count);
void index_ops_release(struct store *s);

/* What a listing is made from, besides the head record. */
struct listing_source {
    int64_t package;
    int64_t slot; /* 0: not listed yet */
    enum record_trust trust;
    bool is_own;
    double reputation;
};

/* List |head|, anew or in place of what was there; |*slot| is where.  |draft|
 * is |head|'s, of whatever trust, and stays until the transaction ends; or
 * NULL. */
MUST_USE
enum err listing_put(struct store *s, const struct listing_source *source,
                     const struct record *head,
                     const struct listing_draft *draft, wall_ms wall,
                     int64_t *slot);
MUST_USE
enum err listing_drop(struct store *s, int64_t slot);
/* Do what waits in s->ops, before the commit … */
MUST_USE
enum err listing_index(struct store *s);
/* … and tell of it who keeps lists in memory, behind it. */
void listing_indexed(struct store *s);
/* A commit adds a segment to the index.  While many are written they are merged
 * eight at a time, which is cheaper; listing_merge() does it four at a time, a
 * step each, when there is time.  |*more|: there is more to merge. */
MUST_USE
enum err listing_tune(struct store *s);
MUST_USE
enum err listing_merge(struct store *s, bool *more);
/* Would listing_put() give |slot| another place now? */
bool listing_is_misplaced(const struct listing_source *source,
                          const struct record *head, wall_ms wall);

/* Two of the index's columns hold tokens that no word of a query can be, for
 * they begin with a letter of private use.  They have lists of their own in the
 * index, so none is read only to be skipped:
 *
 *   facets  U+E000 ‖ facet ‖ hash: the package has that value in |facet| ('c'
 *           category, 't' tag, 'a' author, 'l' license, 'n' namespace, 'r'
 *           trust)
 *   heads   U+E001 ‖ word: the word is in the name or the title          */
#define HEAD_MARK "\xee\x80\x81"
enum { FACET_TOKEN_MAX = 24 };
void facet_token(char facet, const char *value, char out[FACET_TOKEN_MAX]);
/* A hash for exact names and titles, of the folded text; never 0. */
int64_t text_key(const char *folded);

#endif /* STORE_LISTING_H */
