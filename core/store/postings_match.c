/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "store/postings_inner.h"
#include "store/score.h"

/* ---- One list. ---- */

struct list {
    const struct posting_word *word;
    const uint8_t *at;
    uint32_t nth; /* the posting at hand; from 1 */
    uint32_t tenths;
    uint32_t left; /* postings behind it */
    double rarity;
};

static uint32_t take_long(const uint8_t **at)
{
    uint32_t v = POSTING_LONG, byte;
    unsigned shift = 0;

    do {
        byte = *(*at)++;
        v += (byte & 0x7f) << shift;
        shift += 7;
    } while (byte >= 0x80);
    return v;
}

static inline bool list_next(struct list *l)
{
    uint32_t gap, tenths;

    if (l->left == 0)
        return false;
    l->left--;
    gap = *l->at++;
    if (gap == POSTING_LONG)
        gap = take_long(&l->at);
    tenths = *l->at++;
    if (tenths == POSTING_LONG)
        tenths = take_long(&l->at);
    l->nth += gap;
    l->tenths = tenths;
    return true;
}

static void list_jump(struct list *l, size_t block)
{
    const struct skip *s = &l->word->skips[block];

    l->at = l->word->bytes + s->at;
    l->nth = s->nth;
    l->left = l->word->count - (uint32_t)block * SKIP_EVERY;
}

/* To the last block that starts before |nth|, if that is a later one. */
static void list_skip(struct list *l, uint32_t nth)
{
    const struct posting_word *w = l->word;
    size_t low = (w->count - l->left + SKIP_EVERY - 1) / SKIP_EVERY;
    size_t high = w->skip_count;

    if (low >= high || w->skips[low].nth >= nth)
        return;
    while (high - low > 1) { /* skips[low].nth < nth */
        size_t mid = low + (high - low) / 2;

        if (w->skips[mid].nth < nth)
            low = mid;
        else
            high = mid;
    }
    list_jump(l, low);
}

/* To the first that is not before |nth|. */
static bool list_seek(struct list *l, uint32_t nth)
{
    if (l->nth < nth)
        list_skip(l, nth);
    while (l->nth < nth)
        if (!list_next(l))
            return false;
    return true;
}

/* ---- Matches. ---- */

/* Of packages with the same hits, who has more words is worth less.  So who was
 * below the floor tells of all others with so many words or more. */
enum { BELOW_BITS = 9, BELOW_LISTS_MAX = 3 };
struct below {
    uint64_t hits;
    unsigned words;
};

/* Lists that are about as long go through windows of packages together. */
enum { WINDOW = 4096, WINDOW_LISTS_MAX = 3, WINDOW_RATIO = 16 };
struct window {
    uint8_t seen[WINDOW]; /* lists with this package, so far */
    uint16_t tenths[WINDOW_LISTS_MAX][WINDOW];
};

struct matching {
    const struct postings *p;
    struct posting_query *q;
    struct list lists[POSTINGS_TERMS_MAX];
    size_t count;
    uint32_t tenths[POSTINGS_TERMS_MAX]; /* of the match at hand */
    const struct posting_row *named;     /* those still to come */
    size_t named_count;
    bool has_below;
    struct below below[1 << BELOW_BITS];
    posting_visitor visit;
    void *ctx;
    struct window window;
};

static bool is_named(struct matching *m, uint32_t nth)
{
    while (m->named_count > 0 && m->named->nth < nth) {
        m->named++;
        m->named_count--;
    }
    return m->named_count > 0 && m->named->nth == nth;
}

static double worth(const struct matching *m, unsigned words, double text)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->lists[i].rarity > 0)
            text += m->lists[i].rarity *
                    score_phrase(m->tenths[i], words, m->q->average);
    return text;
}

static inline struct below *below_of(struct matching *m)
{
    uint64_t hits = 1; /* no entry's, as long as it is empty */
    struct below *b;

    for (size_t i = 0; i < m->count; i++)
        hits = hits << 16 | m->tenths[i];
    b = &m->below[(hits * 0x9e3779b97f4a7c15u) >> (64 - BELOW_BITS)];
    if (b->hits != hits)
        *b = (struct below){hits, UINT32_MAX};
    return b;
}

/* |text|: what its row is worth. */
static inline void tell(struct matching *m, uint32_t nth, double text)
{
    unsigned words = m->p->lengths[nth - 1];
    struct below *below = NULL;
    bool must;

    if (words == 0)
        return;
    m->q->total++;
    must = m->named_count > 0 && is_named(m, nth);
    if (m->has_below) {
        below = below_of(m);
        if (words >= below->words && !must)
            return;
    }
    text = worth(m, words, text);
    if (text < m->q->floor && below != NULL)
        below->words = words < below->words ? words : below->words;
    if (must || text >= m->q->floor)
        m->visit(m->ctx, m->p->slots[nth - 1], text);
}

static void tell_lists(struct matching *m, uint32_t nth, double text)
{
    for (size_t i = 0; i < m->count; i++)
        m->tenths[i] = m->lists[i].tenths;
    tell(m, nth, text);
}

/* Bring the lists from |first| on to |nth|: that, if all have it, else the
 * place to go on from; 0 at the end. */
static uint32_t meet(struct matching *m, size_t first, uint32_t nth)
{
    for (size_t i = first; i < m->count; i++) {
        if (!list_seek(&m->lists[i], nth))
            return 0;
        if (m->lists[i].nth > nth)
            return m->lists[i].nth;
    }
    return nth;
}

/* The shortest leads, the others follow. */
static void match_by_turns(struct matching *m)
{
    while (list_next(&m->lists[0])) {
        uint32_t at = m->lists[0].nth, met;

        while ((met = meet(m, 1, at)) != at) {
            if (met == 0 || !list_seek(&m->lists[0], met))
                return;
            at = m->lists[0].nth;
        }
        tell_lists(m, at, 0);
    }
}

static void match_one(struct matching *m)
{
    struct list *l = &m->lists[0];

    while (list_next(l)) {
        m->tenths[0] = l->tenths;
        tell(m, l->nth, 0);
    }
}

/* ---- By windows. ---- */

static inline void list_step(struct list *l)
{
    if (!list_next(l))
        l->nth = UINT32_MAX;
}

/* The |i|th list up to |end|: how often each was seen, and its hits. */
static void mark(struct matching *m, size_t i, uint32_t base, uint32_t end)
{
    struct list *l = &m->lists[i];

    for (; l->nth < end; list_step(l)) {
        uint8_t *seen = &m->window.seen[l->nth - base];

        *seen = (uint8_t)(*seen + (*seen == i));
        m->window.tenths[i][l->nth - base] = (uint16_t)l->tenths;
    }
}

/* The last list, where all others have it. */
static void match_marked(struct matching *m, uint32_t base, uint32_t end)
{
    size_t last = m->count - 1;
    struct list *l = &m->lists[last];

    for (; l->nth < end; list_step(l)) {
        uint32_t at = l->nth - base;

        if (m->window.seen[at] != last)
            continue;
        for (size_t i = 0; i < last; i++)
            m->tenths[i] = m->window.tenths[i][at];
        m->tenths[last] = l->tenths;
        tell(m, l->nth, 0);
    }
}

static uint32_t furthest(const struct matching *m)
{
    uint32_t nth = 0;

    for (size_t i = 0; i < m->count; i++)
        if (m->lists[i].nth > nth)
            nth = m->lists[i].nth;
    return nth;
}

static void match_by_windows(struct matching *m)
{
    uint32_t base;

    for (size_t i = 0; i < m->count; i++)
        list_step(&m->lists[i]);
    while ((base = furthest(m)) != UINT32_MAX) {
        memset(m->window.seen, 0, sizeof(m->window.seen));
        for (size_t i = 0; i < m->count; i++)
            if (!list_seek(&m->lists[i], base))
                return;
        for (size_t i = 0; i + 1 < m->count; i++)
            mark(m, i, base, base + WINDOW);
        match_marked(m, base, base + WINDOW);
    }
}

/* ---- All of it. ---- */

static int row_cmp(const void *a, const void *b)
{
    const struct posting_row *x = a, *y = b;

    return (x->nth > y->nth) - (x->nth < y->nth);
}

static void find_rows(const struct postings *p, struct posting_row *rows,
                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        rows[i].nth = postings_place(p, rows[i].slot);
    if (count > 0)
        qsort(rows, count, sizeof(*rows), row_cmp);
}

static void match_rows(struct matching *m, const struct posting_row *rows,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t met;

        if (rows[i].nth == 0)
            continue; /* the last commit dropped it */
        met = meet(m, 0, rows[i].nth);
        if (met == 0)
            return;
        if (met == rows[i].nth)
            tell_lists(m, met, rows[i].text);
    }
}

static int list_cmp(const void *a, const void *b)
{
    const struct list *x = a, *y = b;

    return (x->word->count > y->word->count) -
           (x->word->count < y->word->count);
}

static bool begin(struct matching *m)
{
    const struct posting_query *q = m->q;

    for (size_t i = 0; i < q->count; i++) {
        struct posting_word *w = postings_word(m->p, span_str(q->words[i]));

        if (w == NULL || !w->is_ready)
            return false;
        m->lists[m->count++] = (struct list){.word = w,
                                             .at = w->bytes,
                                             .left = w->count,
                                             .rarity = q->rarity[i]};
    }
    qsort(m->lists, m->count, sizeof(*m->lists), list_cmp);
    return true;
}

static void match_lists(struct matching *m)
{
    const struct list *first = &m->lists[0], *last = &m->lists[m->count - 1];

    if (m->count == 1)
        match_one(m);
    else if (m->count <= WINDOW_LISTS_MAX + 1 &&
             first->left >= last->left / WINDOW_RATIO)
        match_by_windows(m);
    else
        match_by_turns(m);
}

bool postings_match(const struct postings *p, struct posting_query *q,
                    posting_visitor visit, void *ctx)
{
    struct matching m;

    m.p = p;
    m.q = q;
    m.count = 0;
    m.visit = visit;
    m.ctx = ctx;
    q->total = 0;
    if (p->state != POSTINGS_READY || q->count == 0 || !begin(&m))
        return false;
    find_rows(p, q->named, q->named_count);
    m.named = q->named;
    m.named_count = q->named_count;
    m.has_below = !q->has_rows && q->count <= BELOW_LISTS_MAX;
    memset(m.below, 0, sizeof(m.below));
    if (q->has_rows) {
        find_rows(p, q->rows, q->row_count);
        match_rows(&m, q->rows, q->row_count);
    } else {
        match_lists(&m);
    }
    return true;
}
