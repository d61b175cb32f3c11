/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_RANK_H
#define MARKET_RANK_H

#include "market/query.h"
#include "market/record.h"

/* The order of search results: exact name first, then exact title, then text
 * score, trust, reputation of the source and recency together. */
struct rank_facts {
    bool is_exact_name;      /* the query is the package's name */
    bool is_exact_title;     /* or its title */
    double text;             /* any scale ≥ 0, higher is better */
    enum record_trust trust; /* of the record */
    double reputation;       /* of its source, 0…1.1; ourselves: 1 */
    wall_ms updated_at;
};

/* 0…4: 2–3 an exact title, 3–4 an exact name, else below 1. */
double rank_score(const struct rank_facts *facts, wall_ms wall);
/* Is the query the name (or ns/name), or the title? */
void rank_exact(const struct query *q, const struct package_id *id,
                const char *title, struct rank_facts *facts);

/* A result on its way to the page. */
struct rank_entry {
    struct package_id id;
    struct semver version;
    enum record_trust trust;
    uint64_t sequence;
    double score;
    double reputation;
    wall_ms updated_at;
    uint64_t downloads;
    uint32_t sources; /* how many gave it */
    void *owner;      /* the caller's: its record, its bytes */
};

/* Merge by package in place: the more trusted publisher, then the higher
 * version, then the higher sequence stays, with the best score of all; sort
 * by |sort|, ties by name.  Returns the new count; entries that lost are
 * moved behind it. */
size_t rank_merge(struct rank_entry *entries, size_t count,
                  enum query_sort sort);
int rank_cmp(const struct rank_entry *a, const struct rank_entry *b,
             enum query_sort sort);

#endif /* MARKET_RANK_H */
