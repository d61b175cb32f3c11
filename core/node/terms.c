/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* The search terms of our own packages, told to the network.  There is room
 * for some: the rarest, for a term that many packages have leads to too many
 * of them to be of use. */

static void term_free(struct node *n, struct term *t)
{
    uint8_t key[TERM_KEY_LEN];

    if (t->is_provided) {
        term_key(t->text, key);
        kad_unprovide(n->kad, SPAN_OF(key));
        n->terms_provided--;
    }
    heap_remove(&n->terms_common, &t->common);
    list_remove(&t->of_queue);
    MAP_DEL(n->terms, t);
    mem_free(n->mem, t);
}

void terms_release(struct node *n)
{
    struct term *t, *tmp;

    MAP_FOR_EACH(n->terms, t, tmp)
        term_free(n, t);
    heap_release(&n->terms_common);
}

static MUST_USE enum err rank(struct node *n, struct term *t)
{
    return heap_set(&n->terms_common, &t->common,
                    TSTAMP_NEVER - 1 - t->packages);
}

/* The commonest term gives way to a rarer one. */
static bool make_room(struct node *n, unsigned packages)
{
    struct heap_node *first = heap_first(&n->terms_common);
    struct term *worst;

    if (MAP_COUNT(n->terms) < n->config.terms_max)
        return true;
    n->count.terms_refused++;
    if (first == NULL)
        return false;
    worst = HEAP_ENTRY(first, struct term, common);
    if (worst->packages <= packages)
        return false;
    term_free(n, worst);
    return true;
}

void terms_add(struct node *n, const char *text, unsigned packages,
               uint64_t package)
{
    struct term *t;

    if (!make_room(n, packages))
        return;
    t = mem_try_zero(n->mem, sizeof(*t));
    if (t == NULL)
        return;
    (void)snprintf(t->text, sizeof(t->text), "%s", text);
    t->packages = packages;
    t->package = package;
    if (list_is_empty(&n->term_queue)) {
        n->terms_at = n->now + TERMS_AFTER;
        node_timer_set(n, &n->terms_timer, n->terms_at);
    }
    list_init(&t->of_queue);
    MAP_ADD(n->terms, t->text, strlen(t->text), t);
    list_push_back(&n->term_queue, &t->of_queue);
    if (rank(n, t) != OK)
        term_free(n, t);
}

/* One more package has it.  Versions of one package come in a row, mostly. */
static void count_one(struct node *n, struct term *t, uint64_t package)
{
    if (t->package == package)
        return;
    t->package = package;
    t->packages++;
    if (rank(n, t) != OK)
        t->packages--; /* it keeps its place */
}

void terms_of_package(struct node *n, const struct record *r)
{
    char name[PACKAGE_TEXT_MAX];
    struct terms terms;
    uint64_t package;

    (void)package_id_format(&r->id, name);
    package = map_hash(name, strlen(name));
    terms_of_record(r, &terms);
    for (size_t i = 0; i < terms.count; i++) {
        const char *text = terms.list[i];
        struct term *t;

        MAP_FIND(n->terms, text, strlen(text), t);
        if (t != NULL)
            count_one(n, t, package);
        else
            terms_add(n, text, 1, package);
    }
}

void terms_provided(struct node *n)
{
    n->terms_providing--;
}

/* A few at a time, and none before somebody is there to keep them. */
void terms_pump(struct node *n)
{
    struct kad_stats stats;

    if (list_is_empty(&n->term_queue) ||
        n->terms_providing >= TERMS_PROVIDING_MAX || n->now < n->terms_at ||
        n->is_draining)
        return;
    kad_stats(n->kad, &stats);
    if (stats.table_peers == 0)
        return;
    while (n->terms_providing < TERMS_PROVIDING_MAX &&
           !list_is_empty(&n->term_queue)) {
        struct list *entry = list_pop_front(&n->term_queue);
        struct term *t = LIST_ENTRY(entry, struct term, of_queue);
        uint8_t key[TERM_KEY_LEN];
        uint64_t id;

        term_key(t->text, key);
        if (kad_provide(n->kad, SPAN_OF(key), n->now + TERM_WITHIN, n->now,
                        n->wall, &id) != OK) {
            list_push_front(&n->term_queue, entry);
            return;
        }
        t->is_provided = true;
        n->terms_provided++;
        n->terms_providing++;
        if (op_add(n, id, OP_TERM, NULL, NULL) != OK)
            n->terms_providing--;
    }
}
