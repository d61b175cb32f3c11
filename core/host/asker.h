/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_ASKER_H
#define HOST_ASKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"
#include "souk/err.h"
#include "souk/request.h"
#include "souk/usage.h"
#include "store/reader.h"

/* The thread that asks the store for the core, which never does SQL.
 *
 *      loop:   asker_search(), asker_outbox() ──► thread ──► woken()
 *      loop:   asker_take() until NULL, asked_free()
 *
 * Searches of peers are bounded, and not begun after their deadline; the
 * outbox, which the node asks for one page at a time, always has room. */
struct asker;
struct store;

enum asked_type { ASKED_SEARCH, ASKED_OUTBOX };

struct asked {
    enum asked_type type;
    uint32_t query;
    char text[REQUEST_QUERY_MAX + 1];
    struct search_filter filter;
    unsigned limit;
    tstamp deadline;
    int64_t after, id;
    wall_ms wall;

    enum err err;
    struct hit_page hits;
    struct outbox_page outbox;
    struct asked *next;
};

/* |woken| is called on the thread, when there is something to take. */
MUST_USE
enum err asker_start(struct store *store, void (*woken)(void *ctx), void *ctx,
                     struct asker **out);
/* Ends the thread; what is not taken is freed. */
void asker_stop(struct asker *a);

/* ERR_BUSY: LIMIT_READER_QUEUE_MAX wait; ERR_NOMEM. */
MUST_USE
enum err asker_search(struct asker *a, uint32_t query, const char *text,
                      const struct search_filter *filter, unsigned limit,
                      tstamp deadline, wall_ms wall);
MUST_USE
enum err asker_outbox(struct asker *a, int64_t after, int64_t id,
                      unsigned limit);

struct asked *asker_take(struct asker *a);
void asked_free(struct asked *asked);

void asker_usage(struct asker *a, struct usage *out);

#endif /* HOST_ASKER_H */
