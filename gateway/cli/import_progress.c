/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/import_progress.h"

#include <inttypes.h>

static const duration bar_every = 100 * MILLISECONDS;
static const duration line_every = 2 * SECONDS;
enum { BAR_WIDTH = 28 };

void progress_start(struct progress *p, const struct screen *screen,
                    uint64_t size, uint64_t offset, uint64_t lines, tstamp now)
{
    *p = (struct progress){.screen = screen,
                           .started = now,
                           .drawn = now,
                           .size = size,
                           .begun_offset = offset,
                           .begun_lines = lines};
}

static double seconds(const struct progress *p, tstamp now)
{
    double s = (double)(now - p->started) / (double)SECONDS;

    return s > 0.000001 ? s : 0.000001;
}

double progress_rate(const struct progress *p, uint64_t lines, tstamp now)
{
    return (double)(lines - p->begun_lines) / seconds(p, now);
}

/* What is left, by the bytes done so far in this run. */
static double left(const struct progress *p, uint64_t offset, tstamp now)
{
    double rate = (double)(offset - p->begun_offset) / seconds(p, now);

    return rate > 0 && p->size > offset ? (double)(p->size - offset) / rate : 0;
}

static void show_bar(const struct progress *p, double share)
{
    int full = (int)(share * BAR_WIDTH);

    (void)fputc('[', p->screen->out);
    for (int i = 0; i < BAR_WIDTH; i++)
        (void)fputs(i < full ? "━" : " ", p->screen->out);
    (void)fprintf(p->screen->out, "] %3.0f %%  ", 100 * share);
}

static void show(struct progress *p, const struct progress_now *n, tstamp now)
{
    double share = p->size > 0 ? (double)n->offset / (double)p->size : 0;
    FILE *out = p->screen->out;
    char text[32];

    if (p->screen->is_terminal)
        (void)fputs("\r\033[K", out);
    if (p->screen->is_terminal && p->size > 0)
        show_bar(p, share > 1 ? 1 : share);
    (void)fprintf(out, "%" PRIu64 " lines, %.0f/s", n->lines,
                  progress_rate(p, n->lines, now));
    if (p->size > 0 && n->offset > p->begun_offset)
        (void)fprintf(out, ", %s left",
                      print_seconds(left(p, n->offset, now), text));
    if (n->refused > 0)
        (void)fprintf(out, ", %" PRIu64 " refused", n->refused);
    if (n->waiting != NULL)
        (void)fprintf(out, ", waiting: %s", n->waiting);
    if (!p->screen->is_terminal)
        (void)fputc('\n', out);
    (void)fflush(out);
    p->is_drawn = true;
}

void progress_show(struct progress *p, const struct progress_now *n, tstamp now)
{
    duration every = p->screen->is_terminal ? bar_every : line_every;

    if (now - p->drawn < every)
        return;
    p->drawn = now;
    show(p, n, now);
}

void progress_end(struct progress *p)
{
    if (p->is_drawn && p->screen->is_terminal)
        (void)fputs("\r\033[K", p->screen->out);
}
