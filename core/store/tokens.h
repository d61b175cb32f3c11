/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_TOKENS_H
#define STORE_TOKENS_H

#include <sqlite3.h>

#include "base/span.h"
#include "souk/err.h"

/* Texts cut into words by the index's own tokenizer, so that what is counted
 * here is what FTS5 counts: query_fold() is only as good for some scripts.
 *
 * One of a connection, for its thread; closed before it. */
struct tokens;

/* ERR_STORE, ERR_NOMEM. */
MUST_USE
enum err tokens_open(sqlite3 *db, struct tokens **out);
void tokens_close(struct tokens *t);

/* |word| is borrowed, and no C string. */
typedef void (*token_visitor)(void *ctx, struct span word);

MUST_USE
enum err tokens_of(struct tokens *t, const char *text, token_visitor visit,
                   void *ctx);

/* souk_slot(slot, text…) for the migration of older databases: the slot with
 * the number of the texts' words in it. */
MUST_USE
enum err tokens_register(struct tokens *t, sqlite3 *db);

#endif /* STORE_TOKENS_H */
