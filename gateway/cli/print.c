/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/print.h"

#include <assert.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"

enum { GAP = 2, ELASTIC_MIN = 12, FIELD_WIDTH = 19 };

struct cell {
    char *text;
    unsigned width;
    enum paint paint;
};

static const char *const paints[] = {
    [PAINT_NONE] = "",          [PAINT_BOLD] = "\033[1m",
    [PAINT_DIM] = "\033[2m",    [PAINT_RED] = "\033[31m",
    [PAINT_GREEN] = "\033[32m", [PAINT_YELLOW] = "\033[33m",
};

void screen_open(struct screen *s, FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size;

    *s = (struct screen){.out = out, .width = 80};
    s->is_terminal = isatty(fileno(out));
    s->has_colour = s->is_terminal && (no_colour == NULL || !no_colour[0]) &&
                    term != NULL && strcmp(term, "dumb") != 0;
    if (s->is_terminal && ioctl(fileno(out), TIOCGWINSZ, &size) == 0 &&
        size.ws_col > 0)
        s->width = size.ws_col;
    /* For wcwidth(): what we print is UTF-8, whatever else is set. */
    (void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* ---- Characters. ---- */

/* The next code point and its length; what is no UTF-8 is U+FFFD, a byte. */
static uint32_t next_point(struct span s, size_t *len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t c = s.data[0];
    size_t n = c < 0x80             ? 1
               : (c & 0xe0) == 0xc0 ? 2
               : (c & 0xf0) == 0xe0 ? 3
               : (c & 0xf8) == 0xf0 ? 4
                                    : 0;
    uint32_t v = n == 1 ? c : c & (0x7fu >> n);

    *len = 1;
    if (n == 0 || n > s.len)
        return 0xfffd;
    for (size_t i = 1; i < n; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 0xfffd;
        v = v << 6 | (s.data[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0xfffd;
    *len = n;
    return v;
}

/* A terminal would do something else with it than show it. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e ||
           c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

char *text_clean(struct span text)
{
    static const uint8_t replacement[3] = {0xef, 0xbf, 0xbd}; /* U+FFFD */
    /* Every byte may become one. */
    char *out = mem_new(&mem_libc, sizeof(replacement) * text.len + 1);
    size_t at = 0, len;

    while (text.len > 0) {
        uint32_t c = next_point(text, &len);

        if (c == 0xfffd) {
            memcpy(out + at, replacement, sizeof(replacement));
            at += sizeof(replacement);
        } else if (is_control(c)) {
            out[at++] = ' ';
        } else {
            memcpy(out + at, text.data, len);
            at += len;
        }
        (void)span_take(&text, len);
    }
    return out;
}

static unsigned point_width(uint32_t c)
{
    int width = wcwidth((wchar_t)c);

    return width < 0 ? 1 : (unsigned)width;
}

unsigned text_width(const char *text)
{
    struct span s = span_str(text);
    unsigned width = 0;
    size_t len;

    while (s.len > 0) {
        width += point_width(next_point(s, &len));
        (void)span_take(&s, len);
    }
    return width;
}

/* How many bytes of |text| fit into |*width| columns, and what they take. */
static size_t fitting(const char *text, unsigned *width)
{
    struct span s = span_str(text);
    unsigned taken = 0;
    size_t len;

    while (s.len > 0) {
        unsigned more = point_width(next_point(s, &len));

        if (taken + more > *width)
            break;
        taken += more;
        (void)span_take(&s, len);
    }
    *width = taken;
    return strlen(text) - s.len;
}

/* ---- Tables. ---- */

void table_init(struct table *t, const struct column *columns, size_t count)
{
    assert(count <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns, .column_count = count};
}

void table_release(struct table *t)
{
    for (size_t i = 0; i < t->cell_count; i++)
        mem_free(&mem_libc, t->cells[i].text);
    mem_free(&mem_libc, t->cells);
    *t = (struct table){.cells = NULL};
}

void table_text(struct table *t, const char *text)
{
    struct cell *c;

    if (t->cell_count == t->cell_room) {
        t->cell_room = t->cell_room ? 2 * t->cell_room : 64;
        c = mem_try(&mem_libc, t->cells, t->cell_room * sizeof(*c));
        if (c == NULL)
            abort();
        t->cells = c;
    }
    c = &t->cells[t->cell_count++];
    c->text = text_clean(span_str(text ? text : "-"));
    c->width = text_width(c->text);
    c->paint = PAINT_NONE;
}

void table_cell(struct table *t, const char *format, ...)
{
    va_list list;
    char text[512];

    va_start(list, format);
    (void)vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    table_text(t, text);
}

void table_paint(struct table *t, enum paint paint)
{
    assert(t->cell_count > 0);
    t->cells[t->cell_count - 1].paint = paint;
}

/* As wide as the widest cell; the elastic ones give what the screen lacks. */
static void measure(const struct table *t, const struct screen *s,
                    unsigned widths[TABLE_COLUMNS_MAX])
{
    unsigned sum = (unsigned)(t->column_count - 1) * GAP;

    assert(t->column_count > 0);
    for (size_t i = 0; i < t->column_count; i++)
        widths[i] = text_width(t->columns[i].title);
    for (size_t i = 0; i < t->cell_count; i++)
        if (t->cells[i].width > widths[i % t->column_count])
            widths[i % t->column_count] = t->cells[i].width;
    for (size_t i = 0; i < t->column_count; i++)
        sum += widths[i];
    for (size_t i = t->column_count; i-- > 0 && sum > s->width;) {
        unsigned lacking = sum - s->width;
        unsigned spare = widths[i] > ELASTIC_MIN ? widths[i] - ELASTIC_MIN : 0;
        unsigned less = lacking < spare ? lacking : spare;

        if (!t->columns[i].is_elastic)
            continue;
        widths[i] -= less;
        sum -= less;
    }
}

static void print_cell(const struct screen *s, const struct cell *c,
                       unsigned room, bool is_right, bool is_last)
{
    bool is_cut = c->width > room;
    unsigned width = is_cut ? room - 1 : room;
    size_t bytes = fitting(c->text, &width);
    unsigned pad = room - width - is_cut;
    bool has_paint = s->has_colour && c->paint != PAINT_NONE;

    if (is_right)
        (void)fprintf(s->out, "%*s", (int)pad, "");
    (void)fprintf(s->out, "%s%.*s%s%s", has_paint ? paints[c->paint] : "",
                  (int)bytes, c->text, is_cut ? "…" : "",
                  has_paint ? "\033[0m" : "");
    if (!is_right && !is_last)
        (void)fprintf(s->out, "%*s", (int)pad, "");
    (void)fputs(is_last ? "\n" : "  ", s->out);
}

static void print_heading(const struct table *t, const struct screen *s,
                          const unsigned *widths)
{
    for (size_t i = 0; i < t->column_count; i++) {
        char title[32];
        struct cell c = {.text = title, .paint = PAINT_BOLD};

        (void)snprintf(title, sizeof(title), "%s", t->columns[i].title);
        c.width = text_width(title);
        print_cell(s, &c, widths[i], t->columns[i].is_right,
                   i + 1 == t->column_count);
    }
}

void table_print(const struct table *t, const struct screen *s)
{
    unsigned widths[TABLE_COLUMNS_MAX];

    if (s->is_terminal && t->cell_count > 0) {
        measure(t, s, widths);
        print_heading(t, s, widths);
    }
    for (size_t i = 0; i < t->cell_count; i++) {
        size_t column = i % t->column_count;
        bool is_last = column + 1 == t->column_count;

        if (s->is_terminal)
            print_cell(s, &t->cells[i], widths[column],
                       t->columns[column].is_right, is_last);
        else
            (void)fprintf(s->out, "%s%c", t->cells[i].text,
                          is_last ? '\n' : '\t');
    }
}

/* ---- Other things. ---- */

void print_field(const struct screen *s, const char *name, const char *format,
                 ...)
{
    va_list list;
    char raw[1024], *text;

    va_start(list, format);
    (void)vsnprintf(raw, sizeof(raw), format, list);
    va_end(list);
    text = text_clean(span_str(raw));
    if (s->is_terminal)
        (void)fprintf(s->out, "%s%-*s%s  %s\n",
                      s->has_colour ? paints[PAINT_DIM] : "", FIELD_WIDTH, name,
                      s->has_colour ? "\033[0m" : "", text);
    else
        (void)fprintf(s->out, "%s\t%s\n", name, text);
    mem_free(&mem_libc, text);
}

/* JSON may hold any character within its texts; there \u says the same. */
static void print_escaped(const struct screen *s, struct span text)
{
    size_t len;

    while (text.len > 0) {
        uint32_t c = next_point(text, &len);

        if (c != '\n' && is_control(c))
            (void)fprintf(s->out, "\\u%04x", (unsigned)c);
        else
            (void)fwrite(text.data, 1, len, s->out);
        (void)span_take(&text, len);
    }
    (void)fputc('\n', s->out);
}

void print_json(const struct screen *s, const json_t *json)
{
    char *text =
        json_dumps(json, s->is_terminal ? JSON_INDENT(2) : JSON_COMPACT);

    if (text == NULL)
        return;
    print_escaped(s, span_str(text));
    free(text);
}

void print_raw(const struct screen *s, struct span text)
{
    while (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;
    if (s->is_terminal)
        print_escaped(s, text);
    else if (text.len > 0 && fwrite(text.data, 1, text.len, s->out) > 0)
        (void)fputc('\n', s->out);
}

const char *print_seconds(double seconds, char out[32])
{
    unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

    if (s < 60)
        (void)snprintf(out, 32, s < 10 ? "%.1fs" : "%.0fs", seconds);
    else if (s < 3600)
        (void)snprintf(out, 32, "%lum%02lus", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, 32, "%luh%02lum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, 32, "%lud%luh", s / 86400, s / 3600 % 24);
    return out;
}
