/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_LINES_H
#define HOST_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/time.h"

/* Log lines on their way out: one write(2) a line, so threads do not mix.
 *
 *      2025-11-22T13:57:01.123Z info  node: peer connected peer=12D3…
 *      {"time":"…","level":"info","room":"node","message":"peer connected",
 *       "peer":"12D3…"}
 *
 * What peers say of themselves ends up here: control characters never pass. */
struct lines {
    int fd;
    bool is_json;
};

/* A log that writes to |lines|, which it borrows. */
struct log lines_log(struct lines *lines, enum log_level level);

/* One line with its newline, cut to |max|; its length. */
size_t lines_format(const struct lines *lines, wall_ms wall,
                    enum log_level level, const char *room, const char *line,
                    char *out, size_t max);

#endif /* HOST_LINES_H */
