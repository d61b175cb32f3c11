/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cache.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"

/* An entry and its answer are one block: the struct, the key, the body, the
 * extra.  |refs| counts the cache and everybody who reads it. */
struct entry {
    struct cached cached; /* first: a cached is its entry */
    UT_hash_handle hh;
    struct list by_use;
    struct span key;
    struct cache_stamp stamp;
    tstamp expires;
    size_t bytes;
    atomic_uint refs;
};

struct cache {
    pthread_mutex_t lock;
    struct entry *entries;
    struct list by_use; /* the least recent first */
    struct cache_status status;
    _Atomic uint64_t generation; /* of the whole */
    _Atomic uint32_t losses;
    _Atomic uint32_t generations[CACHE_BUCKETS];
};

enum {
    BUCKET_ALL = CACHE_BUCKETS,
    BUCKET_LOSSES,
    ENTRY_SHARE = 16,
};

struct cache *cache_new(size_t bytes_max)
{
    struct cache *c = mem_new(&mem_libc, sizeof(*c));

    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->by_use);
    c->status.bytes_max = bytes_max;
    return c;
}

static void release(struct entry *e)
{
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        mem_free(&mem_libc, e);
}

static void drop(struct cache *c, struct entry *e)
{
    MAP_DEL(c->entries, e);
    list_remove(&e->by_use);
    c->status.bytes -= e->bytes;
    c->status.entries--;
    release(e);
}

void cache_free(struct cache *c)
{
    struct entry *e;

    if (c == NULL)
        return;
    while ((e = c->entries) != NULL)
        drop(c, e);
    pthread_mutex_destroy(&c->lock);
    mem_free(&mem_libc, c);
}

void cached_release(const struct cached *hit)
{
    if (hit != NULL)
        release((struct entry *)(uintptr_t)hit);
}

void cached_hold(const struct cached *hit)
{
    struct entry *e = (struct entry *)(uintptr_t)hit;

    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
}

/* ---- Stamps. ---- */

static uint32_t generation_of(struct cache *c, uint16_t bucket)
{
    if (bucket == BUCKET_ALL)
        return (uint32_t)atomic_load(&c->generation);
    if (bucket == BUCKET_LOSSES)
        return atomic_load(&c->losses);
    return atomic_load(&c->generations[bucket]);
}

static bool is_fresh(struct cache *c, const struct cache_stamp *stamp)
{
    for (uint8_t i = 0; i < stamp->count; i++)
        if (generation_of(c, stamp->at[i].bucket) == stamp->at[i].generation)
            return true;
    return false;
}

static void stamp_add(struct cache *c, struct cache_stamp *stamp,
                      uint16_t bucket)
{
    if (stamp->count == CACHE_STAMP_MAX)
        return;
    stamp->at[stamp->count].bucket = bucket;
    stamp->at[stamp->count].generation = generation_of(c, bucket);
    stamp->count++;
}

static uint16_t bucket_of(struct span s)
{
    return (uint16_t)(map_hash(s.data, s.len) % CACHE_BUCKETS);
}

static uint16_t bucket_of_package(const struct package_id *id)
{
    char text[PACKAGE_TEXT_MAX];

    return bucket_of(span_str(package_id_format(id, text)));
}

void cache_stamp_all(struct cache *c, struct cache_stamp *out)
{
    *out = (struct cache_stamp){0};
    stamp_add(c, out, BUCKET_ALL);
}

void cache_stamp_losses(struct cache *c, struct cache_stamp *out)
{
    *out = (struct cache_stamp){0};
    stamp_add(c, out, BUCKET_LOSSES);
}

void cache_stamp_package(struct cache *c, const struct package_id *id,
                         struct cache_stamp *out)
{
    *out = (struct cache_stamp){0};
    stamp_add(c, out, bucket_of_package(id));
}

void cache_stamp_add_word(struct cache *c, struct cache_stamp *stamp,
                          struct span word)
{
    stamp_add(c, stamp, bucket_of(word));
}

/* ---- Changes. ---- */

static void mark(struct cache_changes *ch, uint16_t bucket)
{
    ch->bits[bucket / 64] |= (uint64_t)1 << bucket % 64;
    ch->is_any = true;
}

void cache_changes_words(struct cache_changes *ch, const char *words)
{
    while (*words) {
        size_t len = strcspn(words, " ");

        if (len > 0)
            mark(ch, bucket_of(SPAN(words, len)));
        words += len + (words[len] == ' ');
    }
}

void cache_changes_package(struct cache_changes *ch,
                           const struct package_id *id)
{
    mark(ch, bucket_of_package(id));
}

void cache_changes_loss(struct cache_changes *ch)
{
    ch->is_any = ch->is_loss = true;
}

void cache_changes_add(struct cache_changes *ch,
                       const struct cache_changes *more)
{
    for (size_t i = 0; i < CACHE_BUCKETS / 64; i++)
        ch->bits[i] |= more->bits[i];
    ch->is_any = ch->is_any || more->is_any;
    ch->is_loss = ch->is_loss || more->is_loss;
}

void cache_apply(struct cache *c, struct cache_changes *ch)
{
    if (c != NULL && ch->is_any) {
        atomic_fetch_add(&c->generation, 1);
        atomic_fetch_add(&c->losses, ch->is_loss);
        for (size_t i = 0; i < CACHE_BUCKETS; i++)
            if (ch->bits[i / 64] >> i % 64 & 1)
                atomic_fetch_add(&c->generations[i], 1);
    }
    memset(ch, 0, sizeof(*ch));
}

uint64_t cache_generation(struct cache *c)
{
    return atomic_load(&c->generation);
}

/* ---- Entries. ---- */

static struct entry *entry_new(struct span key, const struct cache_stamp *stamp,
                               const struct cached *answer)
{
    size_t bytes =
        sizeof(struct entry) + key.len + answer->body.len + answer->extra.len;
    struct entry *e = mem_try(&mem_libc, NULL, bytes);
    uint8_t *at;

    if (e == NULL)
        return NULL;
    memset(e, 0, sizeof(*e));
    at = (uint8_t *)(e + 1);
    memcpy(at, key.data, key.len);
    e->key = SPAN(at, key.len);
    at += key.len;
    e->cached = *answer;
    e->cached.body.data = at;
    if (answer->body.len > 0)
        memcpy(at, answer->body.data, answer->body.len);
    at += answer->body.len;
    e->cached.extra.data = at;
    if (answer->extra.len > 0)
        memcpy(at, answer->extra.data, answer->extra.len);
    e->stamp = *stamp;
    e->bytes = bytes;
    atomic_init(&e->refs, 1);
    return e;
}

const struct cached *cache_get(struct cache *c, struct span key, tstamp now)
{
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    MAP_FIND(c->entries, key.data, key.len, e);
    if (e != NULL && (now >= e->expires || !is_fresh(c, &e->stamp))) {
        drop(c, e);
        e = NULL;
    }
    if (e != NULL) {
        list_remove(&e->by_use);
        list_push_back(&c->by_use, &e->by_use);
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        c->status.hits++;
    } else {
        c->status.misses++;
    }
    pthread_mutex_unlock(&c->lock);
    return e ? &e->cached : NULL;
}

static void make_room(struct cache *c, size_t bytes)
{
    while (c->status.bytes + bytes > c->status.bytes_max &&
           c->entries != NULL) {
        drop(c, LIST_ENTRY(c->by_use.next, struct entry, by_use));
        c->status.evicted++;
    }
}

static void insert(struct cache *c, struct entry *e)
{
    struct entry *old;

    make_room(c, e->bytes);
    MAP_FIND(c->entries, e->key.data, e->key.len, old);
    if (old != NULL)
        drop(c, old);
    MAP_ADD(c->entries, e->key.data, e->key.len, e);
    list_push_back(&c->by_use, &e->by_use);
    c->status.bytes += e->bytes;
    c->status.entries++;
}

void cache_put(struct cache *c, struct span key,
               const struct cache_stamp *stamp, struct cached answer,
               duration ttl, tstamp now)
{
    struct entry *e;

    if (key.len > CACHE_KEY_MAX || ttl == 0 || !is_fresh(c, stamp) ||
        sizeof(*e) + key.len + answer.body.len + answer.extra.len >
            c->status.bytes_max / ENTRY_SHARE)
        return;
    e = entry_new(key, stamp, &answer);
    if (e == NULL)
        return;
    e->expires = tstamp_add(now, ttl);
    pthread_mutex_lock(&c->lock);
    insert(c, e);
    pthread_mutex_unlock(&c->lock);
}

void cache_status(struct cache *c, struct cache_status *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->status;
    pthread_mutex_unlock(&c->lock);
}
