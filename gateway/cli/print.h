/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PRINT_H
#define CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

/* What people see.  On a terminal: aligned tables with a heading, as wide as it
 * is, colours; elsewhere: a line a row, cells separated by tabs, for other
 * programs.
 *
 * Much of it was written by strangers.  No character reaches the terminal that
 * it would obey: controls and what turns the direction of writing round are
 * replaced. */
struct screen {
    FILE *out;
    bool is_terminal;
    bool has_colour; /* a terminal, and NO_COLOR is not set */
    unsigned width;  /* columns */
};
void screen_open(struct screen *s, FILE *out);

enum paint {
    PAINT_NONE,
    PAINT_BOLD,
    PAINT_DIM,
    PAINT_RED,
    PAINT_GREEN,
    PAINT_YELLOW
};

/* How many columns |text| takes; nothing of it is a control. */
unsigned text_width(const char *text);
/* |text| as it may be printed: controls are spaces.  To be freed. */
char *text_clean(struct span text);

/* ---- Tables. ---- */

enum { TABLE_COLUMNS_MAX = 8 };

struct column {
    const char *title;
    bool is_right;   /* numbers */
    bool is_elastic; /* gives way when the terminal is narrow */
};

struct table {
    const struct column *columns;
    size_t column_count;
    struct cell *cells;
    size_t cell_count, cell_room;
};
void table_init(struct table *t, const struct column *columns, size_t count);
void table_release(struct table *t);
/* The next cell; row by row. */
void table_text(struct table *t, const char *text); /* NULL: "-" */
__attribute__((format(printf, 2, 3))) void table_cell(struct table *t,
                                                      const char *format, ...);
/* Of the cell last added. */
void table_paint(struct table *t, enum paint paint);
void table_print(const struct table *t, const struct screen *s);

/* ---- Other things. ---- */

/* "name   value", or with a tab between them. */
__attribute__((format(printf, 3, 4))) void
print_field(const struct screen *s, const char *name, const char *format, ...);

/* Indented on a terminal, else on one line. */
void print_json(const struct screen *s, const json_t *json);
/* JSON as it came, and a newline. */
void print_raw(const struct screen *s, struct span text);

/* 93 s → "1m33s". */
const char *print_seconds(double seconds, char out[32]);

#endif /* CLI_PRINT_H */
