/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_FILL_H
#define STORE_FILL_H

#include "store/internal.h"

/* Reading the commonest words' lists (postings.h) from the index, a bounded
 * step at a time, as the last of store_maintain()'s work:
 *
 *      slots   of all packages listed      once
 *      words   which are common            whenever they were counted
 *      lists   of those without one                                        */
enum {
    FILL_SLOTS_MAX = 8192, /* a step */
    FILL_ROWS_MAX = 4096,
};

/* Words were counted: there is something to do. */
void fill_start(struct store *s);
bool fill_is_due(const struct store *s);
MUST_USE
enum err fill_step(struct store *s, bool *more);

#endif /* STORE_FILL_H */
