/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* A circular list of links embedded in their objects.  The head is a link of
 * its own; a link that is in no list points at itself (list_init). */
struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_ENTRY(link, type, member) \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* The entry after the current one is fetched first, so the body may remove the
 * current one. */
#define LIST_FOR_EACH(link, head)                                      \
    for (struct list *link = (head)->next, *link##_next_ = link->next; \
         link != (head); link = link##_next_, link##_next_ = link->next)

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
static inline void list_insert_between(struct list *l, struct list *prev,
                                       struct list *next)
{
    l->prev = prev;
    l->next = next;
    prev->next = l;
    next->prev = l;
}
static inline void list_push_back(struct list *head, struct list *l)
{
    list_insert_between(l, head->prev, head);
}
static inline void list_push_front(struct list *head, struct list *l)
{
    list_insert_between(l, head, head->next);
}
/* Also fine for a link that is in no list. */
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
/* The first link, taken out; NULL if there is none. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *l = head->next;

    if (l == head)
        return NULL;
    list_remove(l);
    return l;
}

#endif /* BASE_LIST_H */
