/* SPDX-License-Identifier: Apache-2.0 */
#include "node/internal.h"

/* How others see us.  Who dialled us says over which address: one that others
 * may use too.  What those say that we dialled is no use, its port belongs to
 * that one connection.
 *
 * Nobody is believed alone, and one liar may have many names: an address is
 * ours while OBSERVERS_MIN neighbourhoods of the network say so.  A
 * neighbourhood has two addresses to name, so it cannot fill the table; it
 * counts for as long as somebody of it is connected, and a while longer. */

enum { OBSERVERS_MIN = 4, OBSERVED_OF_GROUP_MAX = 2 };
#define OBSERVED_FOR (40 * MINUTES)
#define OBSERVED_EVERY (1 * MINUTES)

static struct observation *find(struct node *n, const struct multiaddr *a)
{
    for (size_t i = 0; i < n->observed_count; i++)
        if (multiaddr_eq(&n->observed[i].addr, a))
            return &n->observed[i];
    return NULL;
}

static struct observer *observer_of(struct observation *o, uint64_t group)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->by[i].group == group)
            return &o->by[i];
    return NULL;
}

static void drop_observer(struct observation *o, const struct observer *by)
{
    size_t at = (size_t)(by - o->by);

    o->count--;
    memmove(o->by + at, o->by + at + 1, (o->count - at) * sizeof(*o->by));
}

static void drop(struct node *n, const struct observation *o)
{
    size_t at = (size_t)(o - n->observed);

    n->observed_count--;
    memmove(n->observed + at, n->observed + at + 1,
            (n->observed_count - at) * sizeof(*n->observed));
}

static void drop_unseen(struct node *n)
{
    for (size_t i = n->observed_count; i-- > 0;)
        if (n->observed[i].count == 0)
            drop(n, &n->observed[i]);
}

/* The oldest word of |group| gives way when it has said enough. */
static void make_room_in_group(struct node *n, uint64_t group)
{
    struct observation *from = NULL;
    struct observer *oldest = NULL;
    size_t count = 0;

    for (size_t i = 0; i < n->observed_count; i++) {
        struct observer *by = observer_of(&n->observed[i], group);

        if (by == NULL)
            continue;
        count++;
        if (oldest == NULL || by->at < oldest->at) {
            oldest = by;
            from = &n->observed[i];
        }
    }
    if (count < OBSERVED_OF_GROUP_MAX)
        return;
    drop_observer(from, oldest);
    drop_unseen(n);
}

/* The one that fewest told of; the first of those is the oldest. */
static void make_room(struct node *n)
{
    struct observation *least = &n->observed[0];

    if (n->observed_count < STATUS_ADDRS_MAX)
        return;
    for (size_t i = 1; i < n->observed_count; i++)
        if (n->observed[i].count < least->count)
            least = &n->observed[i];
    drop(n, least);
}

static void note(struct node *n, uint64_t group, const struct multiaddr *a)
{
    struct observation *o = find(n, a);
    struct observer *by = o != NULL ? observer_of(o, group) : NULL;

    if (by == NULL) {
        make_room_in_group(n, group);
        o = find(n, a);
        if (o == NULL) {
            make_room(n);
            o = &n->observed[n->observed_count++];
            *o = (struct observation){.addr = *a};
        }
        if (o->count == OBSERVERS_MAX)
            return;
        by = &o->by[o->count++];
        by->group = group;
    }
    by->at = n->now;
}

static void note_link(struct node *n, const struct link *l)
{
    uint64_t group = multiaddr_ip_group(&l->addr);

    if (l->observed.len == 0)
        return;
    if (n->config.is_private_network)
        group = map_hash(l->peer->id.bytes, l->peer->id.len);
    note(n, group, &l->observed);
}

static void expire(struct node *n)
{
    for (size_t i = 0; i < n->observed_count; i++) {
        struct observation *o = &n->observed[i];

        for (size_t k = o->count; k-- > 0;)
            if (n->now > o->by[k].at + OBSERVED_FOR)
                drop_observer(o, &o->by[k]);
    }
    drop_unseen(n);
}

static void judge(struct node *n)
{
    struct status_addrs now = {.count = 0};
    bool is_same;

    for (size_t i = 0; i < n->observed_count; i++)
        if (n->observed[i].count >= OBSERVERS_MIN)
            now.at[now.count++] = n->observed[i].addr;
    is_same = now.count == n->confirmed.count;
    for (size_t i = 0; is_same && i < now.count; i++)
        is_same = multiaddr_eq(&now.at[i], &n->confirmed.at[i]);
    if (is_same)
        return;
    n->confirmed = now;
    who_addresses_changed(n);
}

void observed_by(struct node *n, struct link *l, const struct multiaddr *a)
{
    if (l->is_outbound || a->len == 0 || !multiaddr_is_global(a) ||
        (!n->config.is_private_network && !multiaddr_is_global(&l->addr)))
        return;
    l->observed = *a;
    multiaddr_strip_peer(&l->observed);
    note_link(n, l);
    judge(n);
}

void observed_upkeep(struct node *n)
{
    struct link *l, *tmp;

    if (n->now < n->observed_at + OBSERVED_EVERY)
        return;
    n->observed_at = n->now;
    MAP_FOR_EACH(n->links, l, tmp)
        if (l->peer != NULL)
            note_link(n, l);
    expire(n);
    judge(n);
}
