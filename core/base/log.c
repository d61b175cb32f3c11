/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

static const char *const names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static void write_nothing(void *ctx, enum log_level level, const char *room,
                          const char *line)
{
    (void)ctx, (void)level, (void)room, (void)line;
}

const struct log log_none = {.write = write_nothing, .level = LOG_ERROR};

const char *log_level_name(enum log_level level)
{
    return names[level];
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

void log_line(const struct log *log, enum log_level level, const char *room,
              const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    if (log == NULL || level > log->level)
        return;
    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    log->write(log->ctx, level, room, line);
}
