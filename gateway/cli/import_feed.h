/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_FEED_H
#define CLI_IMPORT_FEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "souk/err.h"

/* The lines of a file, some of them open at once, settled in their order:
 *
 *      settled │ done  open  done  done  open │ not read yet
 *              └ feed_settled()               └ feed_next()
 *
 * A window of FEED_LINES_MAX bounds how far one slow line lets others run
 * ahead. */
enum { FEED_LINES_MAX = 4096 };

enum line_state {
    LINE_OPEN,
    LINE_BLANK,
    LINE_CREATED,
    LINE_KNOWN, /* it was there already */
    LINE_REFUSED,
};

struct line {
    uint64_t number; /* from 1 */
    uint64_t end;    /* offset in the file behind it */
    char *text;
    size_t len; /* without its newline */
    enum line_state state;
    json_t *refusal; /* owned; LINE_REFUSED only */
};

struct feed {
    FILE *file; /* the caller's */
    uint64_t offset, number;
    bool is_over; /* all lines were read */
    bool has_failed;
    struct line *lines; /* a ring */
    size_t first, count;
};

void feed_init(struct feed *f, FILE *file);
void feed_release(struct feed *f);
/* Go on at |offset|, before which there are |line| lines.  ERR_IO, errno. */
MUST_USE
enum err feed_seek(struct feed *f, uint64_t offset, uint64_t line);

/* The next line that is not blank, open.  NULL: there is none, or the window
 * is full. */
struct line *feed_next(struct feed *f);
/* The first line not settled yet, if it is done, else NULL.  It stays good
 * until feed_settle(). */
const struct line *feed_settled(const struct feed *f);
void feed_settle(struct feed *f);
/* Every line was read and settled. */
bool feed_is_done(const struct feed *f);

#endif /* CLI_IMPORT_FEED_H */
