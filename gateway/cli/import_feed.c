/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/import_feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/mem.h"

void feed_init(struct feed *f, FILE *file)
{
    *f = (struct feed){.file = file};
    f->lines = mem_new(&mem_libc, FEED_LINES_MAX * sizeof(*f->lines));
}

static void line_release(struct line *l)
{
    free(l->text);
    json_decref(l->refusal);
    *l = (struct line){.text = NULL};
}

void feed_release(struct feed *f)
{
    while (f->count > 0)
        feed_settle(f);
    mem_free(&mem_libc, f->lines);
    f->lines = NULL;
}

enum err feed_seek(struct feed *f, uint64_t offset, uint64_t line)
{
    if (fseeko(f->file, (off_t)offset, SEEK_SET) != 0)
        return ERR_IO;
    f->offset = offset;
    f->number = line;
    return OK;
}

static bool is_blank(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

/* One line, blank or not, into the window. */
static struct line *read_line(struct feed *f)
{
    struct line *l = &f->lines[(f->first + f->count) % FEED_LINES_MAX];
    size_t room = 0;
    ssize_t n;

    *l = (struct line){.text = NULL};
    n = getline(&l->text, &room, f->file);
    if (n < 0) {
        f->is_over = true;
        f->has_failed = ferror(f->file) != 0;
        line_release(l);
        return NULL;
    }
    f->offset += (uint64_t)n;
    l->len = (size_t)n;
    if (l->len > 0 && l->text[l->len - 1] == '\n')
        l->len--;
    l->number = ++f->number;
    l->end = f->offset;
    l->state = is_blank(l->text, l->len) ? LINE_BLANK : LINE_OPEN;
    f->count++;
    return l;
}

struct line *feed_next(struct feed *f)
{
    while (!f->is_over && f->count < FEED_LINES_MAX) {
        struct line *l = read_line(f);

        if (l != NULL && l->state == LINE_OPEN)
            return l;
    }
    return NULL;
}

const struct line *feed_settled(const struct feed *f)
{
    const struct line *l = &f->lines[f->first];

    return f->count > 0 && l->state != LINE_OPEN ? l : NULL;
}

void feed_settle(struct feed *f)
{
    assert(f->count > 0);
    line_release(&f->lines[f->first]);
    f->first = (f->first + 1) % FEED_LINES_MAX;
    f->count--;
}

bool feed_is_done(const struct feed *f)
{
    return f->is_over && f->count == 0;
}
