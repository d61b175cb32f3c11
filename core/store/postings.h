/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_POSTINGS_H
#define STORE_POSTINGS_H

#include "base/mem.h"
#include "base/span.h"
#include "souk/err.h"
#include "store/listing.h"
#include "store/tokens.h"

/* The commonest words' packages, in memory: with them every match of a common
 * word is looked at in the time that FTS5 takes for a few hundred.
 *
 *      packages   1 2 3 4 5 6 7 …    slots in their order of coming
 *      json         2     5   7      of each its number and what its hits are
 *      server     1 2 3       7      worth: two bytes, mostly
 *
 * A new package's order is above all others', so lists only grow at their end;
 * who is gone is marked, and when many are all is thrown away.  The store's
 * chores read the lists from the index, a bounded step at a time (fill.h), and
 * every commit adds to them what it listed: they are never behind it.  Nothing
 * of it is kept on disk.
 *
 * One thread writes; any reads, between postings_hold() and postings_release().
 * A reader may know of a commit that its snapshot of the database lacks. */
struct postings;

enum {
    POSTINGS_PACKAGES_MIN = 300, /* of a word; rarer ones are quick anyhow */
    POSTINGS_WORDS_MAX = 8192,
};

struct postings *postings_new(const struct mem *mem, size_t bytes_max);
void postings_free(struct postings *p);

struct postings_status {
    size_t bytes, bytes_max;
    uint64_t refused; /* lists for which there was no room */
};
void postings_status(const struct postings *p, struct postings_status *out);

/* ---- Searching. ---- */

void postings_hold(struct postings *p);
void postings_release(struct postings *p);

/* How many packages have |word|; 0: it is not held. */
uint64_t postings_packages(const struct postings *p, const char *word);

enum { POSTINGS_TERMS_MAX = 24 };

struct posting_row { /* what else the query says, answered by the index */
    int64_t slot;
    double text;
    uint32_t nth; /* postings_match()'s own */
};

struct posting_query {
    const char *words[POSTINGS_TERMS_MAX];
    double rarity[POSTINGS_TERMS_MAX]; /* 0: a filter */
    size_t count;
    bool has_rows; /* then only these; their order changes */
    struct posting_row *rows;
    size_t row_count;
    double average; /* words of a package */
    /* Visited are only those whose text is worth |floor|, which the visitor may
     * raise, and those named here. */
    double floor;
    struct posting_row *named; /* .slot; their order changes */
    size_t named_count;
    uint64_t total; /* of all; postings_match()'s own */
};

typedef void (*posting_visitor)(void *ctx, int64_t slot, double text);

/* Every package that has all words: false if one of them is not held. */
bool postings_match(const struct postings *p, struct posting_query *q,
                    posting_visitor visit, void *ctx);

/* ---- What a commit changes; the writing thread, as all below. ---- */

struct posting_word;

struct posting_hits { /* of a package's texts */
    struct {
        struct posting_word *word;
        uint32_t tenths;
    } * list; /* owned: posting_hits_release() */
    size_t count;
    size_t words; /* in all of the texts */
};
MUST_USE
enum err postings_read(struct postings *p, struct tokens *t,
                       const char *const columns[LISTING_COLUMNS],
                       struct posting_hits *out);
void posting_hits_release(struct postings *p, struct posting_hits *hits);

/* After the commit: what it listed, ascending in slot_order(), and then what it
 * dropped. */
struct posting_change {
    int64_t slot;
    const struct posting_hits *hits;
};
void postings_apply(struct postings *p, const struct posting_change *listed,
                    size_t listed_count, const struct posting_change *dropped,
                    size_t dropped_count);

/* ---- Filling. ---- */

enum postings_state {
    POSTINGS_EMPTY,
    POSTINGS_LOADING, /* slots are being read */
    POSTINGS_READY,   /* lists may be */
};
enum postings_state postings_state(const struct postings *p);
/* Throw all away. */
void postings_clear(struct postings *p);

/* POSTINGS_EMPTY -> LOADING -> READY, slots in any order.
 *
 * ERR_LIMIT  of all these: there is no room; then postings_clear(), or, of a
 *            word, postings_fill_no_more() */
void postings_load_begin(struct postings *p);
MUST_USE
enum err postings_load(struct postings *p, int64_t slot);
void postings_load_end(struct postings *p);

/* A word that is to be held. */
MUST_USE
enum err postings_want(struct postings *p, const char *word);
/* No word is, until postings_want() says so again; not while one is filled. */
void postings_want_none(struct postings *p);
void postings_drop_unwanted(struct postings *p);
/* The next word without a list; NULL: none.  Its list is read from the index,
 * in any order, with commits between. */
const char *postings_fill_next(struct postings *p);
MUST_USE
enum err postings_fill(struct postings *p, int64_t slot, uint32_t tenths);
MUST_USE
enum err postings_fill_end(struct postings *p);
void postings_fill_no_more(struct postings *p);

#endif /* STORE_POSTINGS_H */
