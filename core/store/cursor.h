/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include "market/query.h"
#include "store/reader.h"

/* Where a page ended: everything needed to go on behind it in the same order,
 * without anything kept on this side.  Its text is opaque to clients. */
enum cursor_phase {
    CURSOR_START,
    CURSOR_RANKED, /* among the ranked candidates, by (rank, value, slot) */
    CURSOR_STATIC, /* behind them, by slot */
    CURSOR_SORTED, /* by the key of q->sort, then slot */
    CURSOR_WHOLE,  /* among all matches, by (rank, value, slot) */
};

struct cursor {
    enum cursor_phase phase;
    wall_ms wall;   /* of the first page: recency counts from there */
    uint64_t total; /* of the first page */
    bool total_is_exact;
    uint8_t rank;
    double value; /* the text's score */
    int64_t slot;
    int64_t key;          /* SORT_RECENT, SORT_DOWNLOADS */
    struct package_id id; /* SORT_NAME */
};

/* The query's own mark: a cursor of another query is refused. */
uint64_t cursor_mark(const struct query *q);
void cursor_format(const struct cursor *c, uint64_t mark,
                   char out[READER_CURSOR_MAX]);
/* "" and NULL: the start.  ERR_INVAL. */
MUST_USE
enum err cursor_parse(const char *text, uint64_t mark, struct cursor *c);

#endif /* STORE_CURSOR_H */
