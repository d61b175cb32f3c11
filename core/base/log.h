/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

/* Log lines, handed to a sink.  A line is one event: a short sentence and
 * name=value pairs, e.g. "peer connected peer=12D3… direction=in". */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    void (*write)(void *ctx, enum log_level level, const char *room,
                  const char *line);
    void *ctx;
    enum log_level level; /* lines above it are not even formatted */
};

extern const struct log log_none;

const char *log_level_name(enum log_level level); /* "error" */
bool log_level_parse(const char *name, enum log_level *level);

/* |log| may be NULL. */
__attribute__((format(printf, 4, 5))) void log_line(const struct log *log,
                                                    enum log_level level,
                                                    const char *room,
                                                    const char *format, ...);

#define log_error(log, room, ...) log_line(log, LOG_ERROR, room, __VA_ARGS__)
#define log_warn(log, room, ...) log_line(log, LOG_WARN, room, __VA_ARGS__)
#define log_info(log, room, ...) log_line(log, LOG_INFO, room, __VA_ARGS__)
#define log_debug(log, room, ...) log_line(log, LOG_DEBUG, room, __VA_ARGS__)

#endif /* BASE_LOG_H */
