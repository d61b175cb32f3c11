/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/request.h"

#include <stdlib.h>

struct request *request_new(enum request_type type, tstamp deadline)
{
    struct request *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->type = type;
    r->deadline = deadline;
    return r;
}

void request_free(struct request *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->record_count; i++)
        free((void *)(uintptr_t)r->records[i].bytes.data);
    free(r->records);
    for (size_t i = 0; i < r->peer_count; i++)
        free(r->peers[i].protocols);
    free(r->peers);
    free(r->trace_state);
    free(r);
}

/* Room for one more entry of |size| bytes, zeroed.  The array doubles at the
 * powers of two, so its capacity need not be kept. */
static void *array_extend(void **array, size_t *count, size_t size)
{
    char *entries = *array;

    if ((*count & (*count - 1)) == 0) {
        entries = realloc(entries, (*count ? 2 * *count : 1) * size);
        if (entries == NULL)
            return NULL;
        *array = entries;
    }
    return memset(entries + (*count)++ * size, 0, size);
}

struct found_record *request_add_record(struct request *r, struct span bytes)
{
    struct found_record *f;
    void *array = r->records;
    uint8_t *copy = malloc(bytes.len ? bytes.len : 1);

    if (copy == NULL)
        return NULL;
    f = array_extend(&array, &r->record_count, sizeof(*f));
    r->records = array;
    if (f == NULL) {
        free(copy);
        return NULL;
    }
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    f->bytes = SPAN(copy, bytes.len);
    return f;
}

struct peer_info *request_add_peer(struct request *r)
{
    void *array = r->peers;
    struct peer_info *p = array_extend(&array, &r->peer_count, sizeof(*p));

    r->peers = array;
    return p;
}
