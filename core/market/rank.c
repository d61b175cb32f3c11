/* SPDX-License-Identifier: Apache-2.0 */
#include "market/rank.h"

#include <stdlib.h>

#include "market/fold.h"

/* What the four parts of a score below 1 weigh. */
#define WEIGHT_TEXT 0.55
#define WEIGHT_TRUST 0.2
#define WEIGHT_REPUTATION 0.15
#define WEIGHT_RECENCY 0.1
#define REPUTATION_MAX 1.1
#define RECENCY_HALF_DAYS 90.0 /* an update this old counts half */

static double clamp(double v, double max)
{
    return v > 0 ? (v < max ? v : max) : 0; /* also what is no number */
}

static double recency(wall_ms updated_at, wall_ms wall)
{
    double days = (double)(wall - updated_at) / (24.0 * 3600 * 1000);

    return RECENCY_HALF_DAYS / (RECENCY_HALF_DAYS + clamp(days, 1e6));
}

double rank_score(const struct rank_facts *f, wall_ms wall)
{
    double text = clamp(f->text, 1e9);
    double score =
        WEIGHT_TEXT * text / (text + 1) +
        WEIGHT_TRUST * (double)f->trust / TRUST_SELF_CERTIFIED +
        WEIGHT_REPUTATION * clamp(f->reputation / REPUTATION_MAX, 1) +
        WEIGHT_RECENCY * recency(f->updated_at, wall);

    return score + (f->is_exact_name ? 3 : f->is_exact_title ? 2 : 0);
}

void rank_exact(const struct query *q, const struct package_id *id,
                const char *title, struct rank_facts *facts)
{
    char text[PACKAGE_TEXT_MAX], folded[QUERY_BYTES_MAX + 2];

    facts->is_exact_name = facts->is_exact_title = false;
    if (q->plain[0] == '\0')
        return;
    (void)fold_words(span_str(id->name), folded, sizeof(folded));
    facts->is_exact_name = strcmp(folded, q->plain) == 0;
    (void)fold_words(span_str(package_id_format(id, text)), folded,
                     sizeof(folded));
    facts->is_exact_name |= strcmp(folded, q->plain) == 0;
    (void)fold_words(span_str(title), folded, sizeof(folded));
    facts->is_exact_title = strcmp(folded, q->plain) == 0;
}

static int cmp_u64(uint64_t a, uint64_t b)
{
    return (a < b) - (a > b); /* the greater one first */
}

static int cmp_double(double a, double b)
{
    return (a < b) - (a > b);
}

static int cmp_id(const struct rank_entry *a, const struct rank_entry *b)
{
    int order = strcmp(a->id.ns, b->id.ns);

    return order ? order : strcmp(a->id.name, b->id.name);
}

/* As record_choose_head(): a stable version before any pre-release. */
static int cmp_version(const struct semver *a, const struct semver *b)
{
    if (semver_is_stable(a) != semver_is_stable(b))
        return semver_is_stable(a) ? -1 : 1;
    return semver_cmp(b, a);
}

/* Of one package, the one that stays first. */
static int package_cmp(const void *x, const void *y)
{
    const struct rank_entry *a = x, *b = y;
    int order = cmp_id(a, b);

    if (order == 0)
        order = (int)b->trust - (int)a->trust;
    if (order == 0)
        order = cmp_version(&a->version, &b->version);
    if (order == 0)
        order = cmp_u64(a->sequence, b->sequence);
    return order ? order : cmp_double(a->reputation, b->reputation);
}

static int relevance_cmp(const void *x, const void *y)
{
    const struct rank_entry *a = x, *b = y;
    int order = cmp_double(a->score, b->score);

    return order ? order : cmp_id(a, b);
}

static int recent_cmp(const void *x, const void *y)
{
    const struct rank_entry *a = x, *b = y;
    int order =
        (a->updated_at < b->updated_at) - (a->updated_at > b->updated_at);

    return order ? order : cmp_id(a, b);
}

static int name_cmp(const void *x, const void *y)
{
    const struct rank_entry *a = x, *b = y;
    int order = strcmp(a->id.name, b->id.name);

    return order ? order : strcmp(a->id.ns, b->id.ns);
}

static int downloads_cmp(const void *x, const void *y)
{
    const struct rank_entry *a = x, *b = y;
    int order = cmp_u64(a->downloads, b->downloads);

    return order ? order : relevance_cmp(x, y);
}

static int (*const orders[])(const void *, const void *) = {
    [SORT_RELEVANCE] = relevance_cmp,
    [SORT_RECENT] = recent_cmp,
    [SORT_NAME] = name_cmp,
    [SORT_DOWNLOADS] = downloads_cmp,
};

int rank_cmp(const struct rank_entry *a, const struct rank_entry *b,
             enum query_sort sort)
{
    return orders[sort](a, b);
}

static void swap(struct rank_entry *a, struct rank_entry *b)
{
    struct rank_entry c = *a;

    *a = *b;
    *b = c;
}

size_t rank_merge(struct rank_entry *entries, size_t count,
                  enum query_sort sort)
{
    size_t kept = 0;

    if (count == 0)
        return 0;
    qsort(entries, count, sizeof(*entries), package_cmp);
    for (size_t i = 0; i < count; i++) {
        struct rank_entry *last = kept ? &entries[kept - 1] : NULL;

        if (last == NULL || cmp_id(last, &entries[i]) != 0) {
            swap(&entries[kept++], &entries[i]);
            continue;
        }
        last->sources += entries[i].sources;
        if (entries[i].score > last->score)
            last->score = entries[i].score;
    }
    qsort(entries, kept, sizeof(*entries), orders[sort]);
    return kept;
}
