/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TELEMETRY_TELEMETRY_H
#define TELEMETRY_TELEMETRY_H

#include "base/log.h"
#include "telemetry/otel.h"

/* Spans on their way to a collector (OTLP over HTTP), never in anybody's way:
 *
 *      any thread ── telemetry_take() ──► bounded queue ──► thread ──► libcurl
 *                      full: counted                batches; tried again, then
 *                                                   counted
 *
 * Where it is NULL nothing is traced; functions that are called from the path
 * of a request take that. */
struct telemetry;

struct telemetry_config {
    const struct otel *otel; /* is_on; copied */
    const char *version;     /* of souk; static */
    const char *instance;    /* the peer id; copied */
    const struct mem *mem;   /* of any thread */
    const struct log *log;   /* likewise; borrowed */
};

/* ERR_NOMEM, ERR_LIMIT (no thread), ERR_IO (no libcurl: logged as an error). */
MUST_USE
enum err telemetry_start(const struct telemetry_config *config,
                         struct telemetry **out);
/* Sends what waits, for at most two seconds. */
void telemetry_stop(struct telemetry *t);

const struct trace_sampler *telemetry_sampler(const struct telemetry *t);
bool telemetry_takes_parents(const struct telemetry *t);

/* ---- From any thread. ---- */

/* A copy of |s|, which has ended. */
void telemetry_take(struct telemetry *t, const struct trace_span *s);
/* Is there room?  If not, better do not begin any; tell how many. */
bool telemetry_has_room(const struct telemetry *t);
void telemetry_skipped(struct telemetry *t, uint64_t spans);
void telemetry_lost(struct telemetry *t, uint64_t spans); /* no memory */

/* What is done on whose behalf, by a name; see notes.h. */
void telemetry_note(struct telemetry *t, struct span name,
                    const struct trace_context *c);
bool telemetry_noted(struct telemetry *t, struct span name,
                     struct trace_context *out, char text[TRACE_STATE_MAX + 1]);

struct telemetry_status {
    uint64_t exported; /* spans that a collector took */
    uint64_t dropped_full, dropped_memory;
    uint64_t dropped_export;  /* nobody took them in time */
    uint64_t dropped_refused; /* a collector did not want them */
    uint64_t waiting;
};
/* All zeros for NULL. */
void telemetry_status(const struct telemetry *t, struct telemetry_status *out);

#endif /* TELEMETRY_TELEMETRY_H */
