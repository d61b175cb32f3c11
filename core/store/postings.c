/* SPDX-License-Identifier: Apache-2.0 */
#include "store/postings.h"

#include <stdlib.h>
#include <string.h>

#include "store/postings_inner.h"
#include "store/score.h"

enum { GONE_MIN = 1024 /* before it is worth anything to begin anew */ };

/* ---- Memory. ---- */

/* Room for |count| of |size| at |*list|. */
static bool reserve(struct postings *p, void **list, size_t *cap, size_t count,
                    size_t size)
{
    size_t want = *cap + *cap / 2 + 16;
    void *grown;

    if (count <= *cap)
        return true;
    if (want < count)
        want = count;
    if (atomic_load(&p->bytes) + (want - *cap) * size > p->bytes_max)
        return false;
    grown = mem_try(p->mem, *list, want * size);
    if (grown == NULL)
        return false;
    atomic_fetch_add(&p->bytes, (want - *cap) * size);
    *list = grown;
    *cap = want;
    return true;
}

static void give_back(struct postings *p, void *list, size_t cap, size_t size)
{
    mem_free(p->mem, list);
    atomic_fetch_sub(&p->bytes, cap * size);
}

static size_t word_size(const struct posting_word *w)
{
    return sizeof(*w) + w->text_len + 1;
}

static void word_free(struct postings *p, struct posting_word *w)
{
    MAP_DEL(p->words, w);
    give_back(p, w->bytes, w->cap, 1);
    give_back(p, w->skips, w->skip_cap, sizeof(*w->skips));
    give_back(p, w, word_size(w), 1);
}

static void forget_dropped(struct postings *p)
{
    give_back(p, p->dropped, p->dropped_cap, sizeof(*p->dropped));
    p->dropped = NULL;
    p->dropped_count = p->dropped_cap = 0;
}

static void forget_filled(struct postings *p)
{
    give_back(p, p->filled, p->filled_cap, sizeof(*p->filled));
    p->filled = NULL;
    p->filled_count = p->filled_cap = 0;
    p->filling = NULL;
}

static void clear(struct postings *p)
{
    struct posting_word *w, *next;

    MAP_FOR_EACH(p->words, w, next)
        word_free(p, w);
    give_back(p, p->slots, p->slot_cap, sizeof(*p->slots));
    give_back(p, p->lengths, p->length_cap, sizeof(*p->lengths));
    p->slots = NULL;
    p->lengths = NULL;
    p->slot_count = p->slot_cap = p->length_cap = p->gone = 0;
    forget_dropped(p);
    forget_filled(p);
    p->state = POSTINGS_EMPTY;
}

struct postings *postings_new(const struct mem *mem, size_t bytes_max)
{
    struct postings *p = mem_new(mem, sizeof(*p));
    pthread_rwlockattr_t attr;

    p->mem = mem;
    p->bytes_max = bytes_max;
    pthread_rwlockattr_init(&attr);
    /* Who writes has a commit to answer; searches can wait as long. */
    pthread_rwlockattr_setkind_np(&attr,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&p->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    return p;
}

void postings_free(struct postings *p)
{
    if (p == NULL)
        return;
    clear(p);
    pthread_rwlock_destroy(&p->lock);
    mem_free(p->mem, p);
}

void postings_status(const struct postings *p, struct postings_status *out)
{
    *out = (struct postings_status){.bytes = atomic_load(&p->bytes),
                                    .bytes_max = p->bytes_max,
                                    .refused = atomic_load(&p->refused)};
}

void postings_hold(struct postings *p)
{
    pthread_rwlock_rdlock(&p->lock);
}

void postings_release(struct postings *p)
{
    pthread_rwlock_unlock(&p->lock);
}

/* ---- Packages. ---- */

uint32_t postings_place(const struct postings *p, int64_t slot)
{
    size_t low = 0, high = p->slot_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (slot_order(slot_abs(p->slots[mid])) < slot_order(slot))
            low = mid + 1;
        else
            high = mid;
    }
    return low < p->slot_count && p->slots[low] == slot ? (uint32_t)low + 1 : 0;
}

static int slot_cmp(const void *a, const void *b)
{
    int64_t x = slot_order(*(const int64_t *)a);
    int64_t y = slot_order(*(const int64_t *)b);

    return (x > y) - (x < y);
}

/* Lists are begun up to three quarters, so that they can grow. */
static bool has_room(const struct postings *p)
{
    return atomic_load(&p->bytes) < p->bytes_max / 4 * 3;
}

static bool push_slot(struct postings *p, int64_t slot)
{
    if (p->slot_count >= UINT32_MAX / 4 ||
        !reserve(p, (void **)&p->slots, &p->slot_cap, p->slot_count + 1,
                 sizeof(*p->slots)))
        return false;
    if (!reserve(p, (void **)&p->lengths, &p->length_cap, p->slot_count + 1,
                 sizeof(*p->lengths)))
        return false;
    p->lengths[p->slot_count] = (uint16_t)slot_words(slot);
    p->slots[p->slot_count++] = slot;
    return true;
}

static bool push_dropped(struct postings *p, int64_t slot)
{
    if (!reserve(p, (void **)&p->dropped, &p->dropped_cap, p->dropped_count + 1,
                 sizeof(*p->dropped)))
        return false;
    p->dropped[p->dropped_count++] = slot;
    return true;
}

static void mark_gone(struct postings *p, int64_t slot)
{
    uint32_t nth = postings_place(p, slot);

    if (nth == 0)
        return;
    p->slots[nth - 1] = -slot;
    p->lengths[nth - 1] = 0;
    p->gone++;
}

/* ---- One word's list. ---- */

static size_t put_number(uint8_t *out, uint32_t v)
{
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static size_t put_byte(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v < POSTING_LONG ? v : POSTING_LONG);
    return v < POSTING_LONG ? 1 : 1 + put_number(out + 1, v - POSTING_LONG);
}

static bool word_add(struct postings *p, struct posting_word *w, uint32_t nth,
                     uint32_t tenths)
{
    if (!reserve(p, (void **)&w->bytes, &w->cap, w->len + POSTING_MAX, 1))
        return false;
    if (w->count % SKIP_EVERY == 0) {
        if (!reserve(p, (void **)&w->skips, &w->skip_cap, w->skip_count + 1,
                     sizeof(*w->skips)))
            return false;
        w->skips[w->skip_count++] = (struct skip){w->last, (uint32_t)w->len};
    }
    w->len += put_byte(w->bytes + w->len, nth - w->last);
    w->len +=
        put_byte(w->bytes + w->len, tenths < TENTHS_MAX ? tenths : TENTHS_MAX);
    w->last = nth;
    w->count++;
    w->packages++;
    return true;
}

struct posting_word *postings_word(const struct postings *p, struct span text)
{
    struct posting_word *w;

    MAP_FIND(p->words, text.data, text.len, w);
    return w;
}

uint64_t postings_packages(const struct postings *p, const char *word)
{
    struct posting_word *w = postings_word(p, span_str(word));

    return w != NULL && w->is_ready ? w->packages : 0;
}

/* ---- What a commit changes. ---- */

struct reading {
    struct postings *p;
    struct posting_hits *hits;
    size_t cap;
    unsigned worth; /* of a hit in this column */
    bool has_failed;
};

static bool add_hit(struct reading *r, struct posting_word *w)
{
    struct posting_hits *h = r->hits;

    if (h->count == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 32;
        void *list = mem_try(r->p->mem, h->list, cap * sizeof(*h->list));

        if (list == NULL)
            return false;
        h->list = list;
        r->cap = cap;
    }
    w->reading = r->p->reading;
    w->nth_hit = h->count;
    h->list[h->count].word = w;
    h->list[h->count++].tenths = 0;
    return true;
}

static void read_word(void *ctx, struct span text)
{
    struct reading *r = ctx;
    struct posting_word *w;

    r->hits->words++;
    if (r->p->words == NULL)
        return;
    w = postings_word(r->p, text);
    if (w == NULL)
        return;
    if (w->reading != r->p->reading && !add_hit(r, w)) {
        r->has_failed = true;
        return;
    }
    r->hits->list[w->nth_hit].tenths += r->worth;
}

enum err postings_read(struct postings *p, struct tokens *t,
                       const char *const columns[LISTING_COLUMNS],
                       struct posting_hits *out)
{
    struct reading r = {.p = p, .hits = out};
    enum err err = OK;

    *out = (struct posting_hits){0};
    p->reading++;
    for (size_t i = 0; i < LISTING_COLUMNS && err == OK; i++) {
        r.worth = score_columns[i];
        err = tokens_of(t, columns[i], read_word, &r);
    }
    if (err == OK && r.has_failed)
        err = ERR_NOMEM;
    if (err != OK)
        posting_hits_release(p, out);
    return err;
}

void posting_hits_release(struct postings *p, struct posting_hits *hits)
{
    mem_free(p->mem, hits->list);
    *hits = (struct posting_hits){0};
}

static bool push_filled(struct postings *p, uint32_t nth, uint32_t tenths)
{
    if (!reserve(p, (void **)&p->filled, &p->filled_cap, p->filled_count + 1,
                 sizeof(*p->filled)))
        return false;
    p->filled[p->filled_count++] = (uint64_t)nth << 32 | tenths;
    return true;
}

static bool list_one(struct postings *p, const struct posting_change *c)
{
    uint32_t nth;

    if (!push_slot(p, c->slot))
        return false;
    nth = (uint32_t)p->slot_count;
    if (p->state == POSTINGS_LOADING)
        return true;
    for (size_t i = 0; i < c->hits->count; i++) {
        struct posting_word *w = c->hits->list[i].word;
        uint32_t tenths = c->hits->list[i].tenths;

        if (w->is_ready && !word_add(p, w, nth, tenths))
            return false;
        if (w == p->filling && !push_filled(p, nth, tenths))
            return false;
    }
    return true;
}

static bool drop_one(struct postings *p, const struct posting_change *c)
{
    if (p->state == POSTINGS_LOADING)
        return push_dropped(p, c->slot);
    mark_gone(p, c->slot);
    for (size_t i = 0; i < c->hits->count; i++)
        if (c->hits->list[i].word->is_ready)
            c->hits->list[i].word->packages--;
    return true;
}

void postings_apply(struct postings *p, const struct posting_change *listed,
                    size_t listed_count, const struct posting_change *dropped,
                    size_t dropped_count)
{
    bool is_whole = true;

    if (p->state == POSTINGS_EMPTY)
        return;
    pthread_rwlock_wrlock(&p->lock);
    for (size_t i = 0; i < listed_count && is_whole; i++)
        is_whole = list_one(p, &listed[i]);
    for (size_t i = 0; i < dropped_count && is_whole; i++)
        is_whole = drop_one(p, &dropped[i]);
    /* No room, or most of it of no use: begin anew. */
    if (!is_whole)
        atomic_fetch_add(&p->refused, 1);
    if (!is_whole || p->gone > p->slot_count / 4 + GONE_MIN)
        clear(p);
    pthread_rwlock_unlock(&p->lock);
}

/* ---- Filling. ---- */

enum postings_state postings_state(const struct postings *p)
{
    return p->state;
}

void postings_clear(struct postings *p)
{
    pthread_rwlock_wrlock(&p->lock);
    clear(p);
    pthread_rwlock_unlock(&p->lock);
}

void postings_load_begin(struct postings *p)
{
    assert(p->state == POSTINGS_EMPTY);
    pthread_rwlock_wrlock(&p->lock);
    p->state = POSTINGS_LOADING;
    pthread_rwlock_unlock(&p->lock);
}

enum err postings_load(struct postings *p, int64_t slot)
{
    return has_room(p) && push_slot(p, slot) ? OK : ERR_LIMIT;
}

/* A slot may have been read, and told by a commit as well. */
void postings_load_end(struct postings *p)
{
    size_t kept = 0;

    if (p->slot_count > 0)
        qsort(p->slots, p->slot_count, sizeof(*p->slots), slot_cmp);
    for (size_t i = 0; i < p->slot_count; i++)
        if (kept == 0 || p->slots[kept - 1] != p->slots[i])
            p->slots[kept++] = p->slots[i];
    p->slot_count = kept;
    for (size_t i = 0; i < kept; i++)
        p->lengths[i] = (uint16_t)slot_words(p->slots[i]);
    for (size_t i = 0; i < p->dropped_count; i++)
        mark_gone(p, p->dropped[i]);
    forget_dropped(p);
    pthread_rwlock_wrlock(&p->lock);
    p->state = POSTINGS_READY;
    pthread_rwlock_unlock(&p->lock);
}

void postings_want_none(struct postings *p)
{
    struct posting_word *w, *next;

    assert(p->filling == NULL);
    MAP_FOR_EACH(p->words, w, next)
        w->is_wanted = false;
}

static struct posting_word *word_new(struct postings *p, struct span text)
{
    struct posting_word *w;
    size_t size = sizeof(*w) + text.len + 1;

    if (!has_room(p))
        return NULL;
    w = mem_try_zero(p->mem, size);
    if (w == NULL)
        return NULL;
    memcpy(w->text, text.data, text.len);
    w->text_len = text.len;
    atomic_fetch_add(&p->bytes, size);
    return w;
}

enum err postings_want(struct postings *p, const char *word)
{
    struct posting_word *w = postings_word(p, span_str(word));

    if (w == NULL) {
        w = word_new(p, span_str(word));
        if (w == NULL)
            return ERR_LIMIT;
        pthread_rwlock_wrlock(&p->lock);
        MAP_ADD(p->words, w->text, w->text_len, w);
        pthread_rwlock_unlock(&p->lock);
    }
    w->is_wanted = true;
    return OK;
}

void postings_drop_unwanted(struct postings *p)
{
    struct posting_word *w, *next;

    pthread_rwlock_wrlock(&p->lock);
    MAP_FOR_EACH(p->words, w, next)
        if (!w->is_wanted)
            word_free(p, w);
    pthread_rwlock_unlock(&p->lock);
}

void postings_fill_no_more(struct postings *p)
{
    struct posting_word *w, *next;

    MAP_FOR_EACH(p->words, w, next)
        if (!w->is_ready) {
            w->is_wanted = false;
            atomic_fetch_add(&p->refused, 1);
        }
    forget_filled(p);
    postings_drop_unwanted(p);
}

const char *postings_fill_next(struct postings *p)
{
    struct posting_word *w, *next;

    if (p->filling != NULL)
        return p->filling->text;
    MAP_FOR_EACH(p->words, w, next)
        if (!w->is_ready) {
            p->filling = w;
            return w->text;
        }
    forget_filled(p);
    return NULL;
}

enum err postings_fill(struct postings *p, int64_t slot, uint32_t tenths)
{
    uint32_t nth = postings_place(p, slot);

    assert(p->filling != NULL);
    if (nth == 0)
        return OK;
    return has_room(p) && push_filled(p, nth, tenths) ? OK : ERR_LIMIT;
}

static int number_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* What the index and a commit told is there twice, the same. */
static enum err write_list(struct postings *p, struct posting_word *w)
{
    if (p->filled_count > 0)
        qsort(p->filled, p->filled_count, sizeof(*p->filled), number_cmp);
    for (size_t i = 0; i < p->filled_count; i++) {
        uint32_t nth = (uint32_t)(p->filled[i] >> 32);

        if (nth == w->last || p->slots[nth - 1] < 0)
            continue;
        if (!word_add(p, w, nth, (uint32_t)p->filled[i]))
            return ERR_LIMIT;
    }
    return OK;
}

enum err postings_fill_end(struct postings *p)
{
    struct posting_word *w = p->filling;

    assert(w != NULL);
    TRY(write_list(p, w));
    pthread_rwlock_wrlock(&p->lock);
    w->is_ready = true;
    pthread_rwlock_unlock(&p->lock);
    p->filling = NULL;
    p->filled_count = 0;
    return OK;
}
