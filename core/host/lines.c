/* SPDX-License-Identifier: Apache-2.0 */
#include "host/lines.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/system.h"

enum { LINE_BYTES_MAX = 4096 };

/* Text that is only ever cut, never overrun. */
struct writer {
    char *at;
    size_t left; /* the newline's byte not counted */
};

static void put_char(struct writer *w, char c)
{
    if (w->left == 0)
        return;
    *w->at++ = c;
    w->left--;
}

static void put(struct writer *w, const char *text)
{
    while (*text != '\0')
        put_char(w, *text++);
}

/* |n| bytes inside a JSON string; what does not fit whole is left out. */
static void put_json(struct writer *w, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";

    for (size_t i = 0; i < n && w->left >= 16; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\') {
            put_char(w, '\\');
            put_char(w, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            put(w, "\\u00");
            put_char(w, hex[c >> 4]);
            put_char(w, hex[c & 15]);
        } else {
            put_char(w, (char)c);
        }
    }
}

static void put_text(struct writer *w, const char *text)
{
    for (; *text != '\0'; text++)
        put_char(w, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void format_time(wall_ms wall, char out[40])
{
    time_t seconds = (time_t)(wall / 1000);
    struct tm utc;
    size_t len;

    (void)gmtime_r(&seconds, &utc);
    len = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out + len, 40 - len, ".%03dZ", (int)(wall % 1000));
}

/* The length of "name=" at the start of |word|, 0 if it is none. */
static size_t pair_name(const char *word)
{
    size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return len > 0 && word[len] == '=' ? len + 1 : 0;
}

/* Where the next " name=" is, or the end. */
static const char *pair_end(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == ' ' && pair_name(text + 1) > 0)
            return text;
    return text;
}

static void put_json_line(struct writer *w, const char *line)
{
    const char *end = pair_name(line) > 0 ? line : pair_end(line);

    put(w, ",\"message\":\"");
    put_json(w, line, (size_t)(end - line));
    put(w, "\"");
    while (*end != '\0' && w->left > 64) {
        const char *name = *end == ' ' ? end + 1 : end;
        const char *value = name + pair_name(name);

        end = pair_end(value);
        put(w, ",\"");
        put_json(w, name, (size_t)(value - name) - 1);
        put(w, "\":\"");
        put_json(w, value, (size_t)(end - value));
        put(w, "\"");
    }
}

size_t lines_format(const struct lines *lines, wall_ms wall,
                    enum log_level level, const char *room, const char *line,
                    char *out, size_t max)
{
    /* The tail is kept free for what closes the line. */
    struct writer w = {out, max - 8};
    char when[40];

    assert(max > 256);
    format_time(wall, when);
    if (lines->is_json) {
        put(&w, "{\"time\":\"");
        put(&w, when);
        put(&w, "\",\"level\":\"");
        put(&w, log_level_name(level));
        put(&w, "\",\"room\":\"");
        put(&w, room);
        put(&w, "\"");
        put_json_line(&w, line);
        w.left = 8;
        put(&w, "}\n");
    } else {
        char head[96];

        (void)snprintf(head, sizeof(head), "%s %-5s %s: ", when,
                       log_level_name(level), room);
        put(&w, head);
        put_text(&w, line);
        w.left = 8;
        put(&w, "\n");
    }
    return (size_t)(w.at - out);
}

static void write_line(void *ctx, enum log_level level, const char *room,
                       const char *line)
{
    const struct lines *lines = ctx;
    char text[LINE_BYTES_MAX];
    size_t len = lines_format(lines, clock_wall(), level, room, line, text,
                              sizeof(text));

    /* A log that cannot be written must not stop the node. */
    if (write(lines->fd, text, len) < 0)
        return;
}

struct log lines_log(struct lines *lines, enum log_level level)
{
    return (struct log){.write = write_line, .ctx = lines, .level = level};
}
