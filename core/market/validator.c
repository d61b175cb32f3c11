/* SPDX-License-Identifier: Apache-2.0 */
#include "market/validator.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"

enum {
    ENTRIES_DEFAULT = 1024,
    LAST_MAX = 8192, /* bytes of the value hashed last, kept to compare */
};

/* The verdict on some bytes, and of good ones what keys and order need. */
struct entry {
    uint8_t hash[SHA256_LEN]; /* of the bytes as they came: the map's key */
    enum err err;
    struct package_id id;
    struct semver version;
    struct peer_id publisher;
    struct select_key order;
    struct list link; /* in validator.used */
    UT_hash_handle hh;
};

struct validator {
    const struct mem *mem;
    struct validator_config config;
    struct entry *entries; /* map */
    struct list used;      /* the one used last comes first */
    uint64_t hits, misses;

    /* One value is asked about several times in a row: whether it is good,
     * whose it is, which is better.  To compare bytes costs a hundredth of
     * hashing them. */
    struct buf last; /* empty: none */
    uint8_t last_hash[SHA256_LEN];
};

static bool is_last(const struct validator *v, struct span value)
{
    struct span last = buf_span(&v->last);

    return last.data != NULL && value.len > 0 && span_eq(last, value);
}

static void hash_of(struct validator *v, struct span value,
                    uint8_t out[SHA256_LEN])
{
    if (!is_last(v, value)) {
        sha256(value, v->last_hash);
        buf_clear(&v->last);
        if (buf_put(&v->last, value) != OK) /* too long, or no memory */
            buf_clear(&v->last);
    }
    memcpy(out, v->last_hash, SHA256_LEN);
}

struct validator *validator_new(const struct validator_config *config,
                                const struct mem *mem)
{
    struct validator *v = mem_new(mem, sizeof(*v));

    v->mem = mem;
    v->config = *config;
    if (v->config.entries_max == 0)
        v->config.entries_max = ENTRIES_DEFAULT;
    list_init(&v->used);
    buf_init(&v->last, LAST_MAX, mem);
    return v;
}

static void drop(struct validator *v, struct entry *e)
{
    MAP_DEL(v->entries, e);
    list_remove(&e->link);
    mem_free(v->mem, e);
}

void validator_free(struct validator *v)
{
    if (v == NULL)
        return;
    while (v->entries != NULL)
        drop(v, v->entries);
    buf_release(&v->last);
    mem_free(v->mem, v);
}

static struct entry *find(struct validator *v, const uint8_t hash[SHA256_LEN])
{
    struct entry *e;

    MAP_FIND(v->entries, hash, SHA256_LEN, e);
    if (e == NULL) {
        v->misses++;
        return NULL;
    }
    v->hits++;
    list_remove(&e->link);
    list_push_front(&v->used, &e->link);
    return e;
}

/* Remember |found|.  Without memory it is only not remembered. */
static void keep(struct validator *v, const struct entry *found)
{
    struct entry *e;

    if (MAP_COUNT(v->entries) >= v->config.entries_max)
        drop(v, LIST_ENTRY(v->used.prev, struct entry, link));
    e = mem_try_zero(v->mem, sizeof(*e));
    if (e == NULL)
        return;
    *e = *found;
    MAP_ADD(v->entries, e->hash, SHA256_LEN, e);
    list_push_front(&v->used, &e->link);
}

static enum err parse(const struct validator *v, struct span value,
                      const struct mem *mem, struct record *out)
{
    unsigned flags = v->config.network->accepts_unsigned ? RECORD_UNSIGNED_OK
                                                         : RECORD_SIGNED_ONLY;

    return record_parse(out, value, flags, mem, NULL);
}

static void describe(struct entry *e, const struct record *r)
{
    e->id = r->id;
    e->version = r->version;
    e->publisher = r->publisher;
    e->order = record_select_key(r);
}

/* Parse and verify what was not seen before; |out| is the record. */
static enum err examine(struct validator *v, struct span value,
                        const struct mem *mem, struct entry *e,
                        struct record *out)
{
    e->err = parse(v, value, mem, out);
    if (e->err == OK && out->is_signed)
        e->err = record_verify(out);
    if (e->err == OK)
        describe(e, out);
    else
        record_release(out);
    if (e->err != ERR_NOMEM)
        keep(v, e);
    return e->err;
}

/* The verdict on |value|, from memory if possible. */
static void judge(struct validator *v, struct span value, struct entry *out)
{
    struct entry fresh = {0}, *known;
    struct record r;

    hash_of(v, value, fresh.hash);
    known = find(v, fresh.hash);
    if (known != NULL) {
        *out = *known;
        return;
    }
    if (examine(v, value, v->mem, &fresh, &r) == OK)
        record_release(&r);
    *out = fresh;
}

static enum err check_entry(const struct entry *e, const struct package_key *k)
{
    struct record like = {
        .id = e->id, .version = e->version, .publisher = e->publisher};

    return package_key_check(k, &like);
}

enum err validator_check(struct validator *v, struct span key,
                         struct span value, wall_ms wall)
{
    struct package_key parsed;
    struct entry e;

    (void)wall; /* records do not expire by themselves */
    TRY(package_key_parse(v->config.network, key, &parsed));
    judge(v, value, &e);
    if (e.err != OK)
        return e.err;
    return check_entry(&e, &parsed);
}

static int believe(const struct validator *v, const struct entry *e)
{
    if (v->config.believe == NULL)
        return 0;
    return v->config.believe(v->config.ctx, &e->id, &e->publisher);
}

int validator_select(struct validator *v, struct span key, struct span a,
                     struct span b)
{
    struct package_key parsed;
    struct entry x, y;
    bool is_key = package_key_parse(v->config.network, key, &parsed) == OK;
    bool x_fits, y_fits;
    int x_belief, y_belief;

    judge(v, a, &x);
    judge(v, b, &y);
    x_fits = is_key && x.err == OK && check_entry(&x, &parsed) == OK;
    y_fits = is_key && y.err == OK && check_entry(&y, &parsed) == OK;
    if (!x_fits || !y_fits)
        return y_fits - x_fits;
    x_belief = believe(v, &x);
    y_belief = believe(v, &y);
    if (x_belief != y_belief)
        return x_belief > y_belief ? -1 : 1;
    return select_cmp(&x.order, &y.order);
}

void validator_publisher(struct validator *v, struct span value,
                         struct peer_id *publisher)
{
    struct entry e;

    judge(v, value, &e);
    *publisher = e.err == OK ? e.publisher : (struct peer_id){0};
}

enum err validator_open(struct validator *v, struct span value,
                        struct record *out, const struct mem *mem)
{
    struct entry fresh = {0}, *known;

    *out = (struct record){0};
    hash_of(v, value, fresh.hash);
    known = find(v, fresh.hash);
    if (known == NULL)
        return examine(v, value, mem, &fresh, out);
    if (known->err != OK)
        return known->err;
    TRY(parse(v, value, mem, out));
    out->is_verified = out->is_signed;
    return OK;
}

void validator_stats(const struct validator *v, struct validator_stats *out)
{
    *out = (struct validator_stats){.hits = v->hits,
                                    .misses = v->misses,
                                    .entries = MAP_COUNT(v->entries),
                                    .entries_max = v->config.entries_max};
}
