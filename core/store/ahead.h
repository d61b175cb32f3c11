/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_AHEAD_H
#define STORE_AHEAD_H

#include "market/terms.h"
#include "store/job.h"
#include "store/listing.h"

/* What the submitter's thread makes of a publish before the one thread that
 * writes has it: all that needs no database, if nothing is held of the package,
 * which is what most of many publishes are.
 *
 *      worker_submit() ── ahead_make() ──► job->ahead ──► catalogue_publish()
 *                                                              │ is it right?
 *                                       yes: written as it is ◄┴► no: made anew
 *
 * It is a guess: without it, or where it is wrong, the writing thread does the
 * same by itself. */
enum { AHEAD_TERMS_MAX = TERMS_MAX * (TERM_MAX + 1) + 1 };

struct ahead {
    struct publish_result result; /* signed */
    struct listing_draft listing; /* of its head */
    char *terms;                  /* and what that can be found by */
};

/* Give |job| what can be made ahead for it; it stays as it is where that is
 * nothing.  Any thread. */
void ahead_make(const struct store *s, struct job *job, wall_ms wall);
void ahead_free(struct ahead *a);

/* The terms of |head|, a line each. */
void ahead_terms(const struct record *head, char out[AHEAD_TERMS_MAX]);

#endif /* STORE_AHEAD_H */
