/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PERFORM_H
#define STORE_PERFORM_H

#include "store/internal.h"

/* A transaction of the store: the database, the counters, the index's waiting
 * writes and what the cache will be told go forward or back together. */
struct txn {
    struct tally tally;
    bool is_proof; /* the one before failed: this one must really write */
};
/* On error there is no transaction. */
MUST_USE
enum err txn_begin(struct store *s, struct txn *t);
/* Commit if |err| is OK, else undo it; returns what became of it. */
MUST_USE
enum err txn_end(struct store *s, const struct txn *t, enum err err);

#endif /* STORE_PERFORM_H */
