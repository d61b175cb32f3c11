/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_PROGRESS_H
#define CLI_IMPORT_PROGRESS_H

#include "base/time.h"
#include "gateway/cli/print.h"

/* How an import does, while it does: a bar on a terminal, elsewhere a line now
 * and then. */
struct progress {
    const struct screen *screen;
    tstamp started, drawn;
    uint64_t size;                      /* of the file, 0: not known */
    uint64_t begun_offset, begun_lines; /* where this run began */
    bool is_drawn;
};

struct progress_now {
    uint64_t offset, lines, refused;
    const char *waiting; /* why nothing goes on, NULL */
};

void progress_start(struct progress *p, const struct screen *screen,
                    uint64_t size, uint64_t offset, uint64_t lines, tstamp now);
/* When it is time to. */
void progress_show(struct progress *p, const struct progress_now *n,
                   tstamp now);
/* Take the bar away. */
void progress_end(struct progress *p);
/* Lines a second of this run. */
double progress_rate(const struct progress *p, uint64_t lines, tstamp now);

#endif /* CLI_IMPORT_PROGRESS_H */
