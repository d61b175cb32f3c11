/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_CORE_H
#define SOUK_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "souk/err.h"
#include "souk/request.h"
#include "souk/status.h"
#include "souk/usage.h"

/* The core as the gateway sees it: a bounded mailbox into the core thread, and
 * a status anybody may read.  Every function here may be called from any
 * thread.  core/host implements them. */
struct core;

/* The clock of request deadlines: monotonic nanoseconds. */
tstamp core_now(void);

/* Hand |r| over.  On error it stays the caller's and done() is not called.
 *
 * ERR_BUSY      the mailbox is full: 503 with Retry-After
 * ERR_DRAINING  the node is shutting down */
MUST_USE
enum err core_submit(struct core *core, struct request *r);

/* Nobody waits for |r| any more: end it soon.  It still comes back through
 * done(), which may already be under way.  Never fails. */
void core_cancel(struct core *core, struct request *r);

/* A publish was committed: there is something new in the outbox. */
void core_outbox_grew(struct core *core);

/* A copy of the latest snapshot; does not wake the core. */
void core_status(struct core *core, struct node_status *out);

struct node_metrics; /* souk/metrics.h */
/* As core_status(), for what only counts. */
void core_metrics(struct core *core, struct node_metrics *out);

/* How full the limits are, those of the core at most 250 ms ago; does not wake
 * it either.  The gateway's own rows are left empty. */
void core_usage(struct core *core, struct usages *out);

#endif /* SOUK_CORE_H */
