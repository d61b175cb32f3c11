/* SPDX-License-Identifier: Apache-2.0 */
#include "search/search.h"

#include <stdlib.h>

/* Both messages of the search protocol: what is accepted comes out the same
 * when it is encoded and decoded again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void try_request(struct span msg)
{
    struct search_request r, again;
    struct buf out;

    if (search_request_decode(msg, &r, &mem_libc) != OK)
        return;
    buf_init(&out, SEARCH_REQUEST_MAX, &mem_libc);
    check(search_request_encode(&r, &out) == OK);
    check(search_request_decode(buf_span(&out), &again, &mem_libc) == OK);
    check(strcmp(r.query, again.query) == 0);
    check(strcmp(r.filter.tag, again.filter.tag) == 0);
    check(r.limit == again.limit && r.deadline_ms == again.deadline_ms);
    buf_release(&out);
}

static void try_response(struct span msg)
{
    static struct search_response r, again;
    struct buf out;

    if (search_response_decode(msg, &r, &mem_libc) != OK)
        return;
    buf_init(&out, SEARCH_RESPONSE_MAX, &mem_libc);
    check(search_response_encode(&r, &out) == OK);
    check(search_response_decode(buf_span(&out), &again, &mem_libc) == OK);
    check(again.count <= r.count && r.total == again.total);
    check(r.is_busy == again.is_busy && r.retry_ms == again.retry_ms);
    for (size_t i = 0; i < again.count; i++)
        check(span_eq(r.hits[i].record, again.hits[i].record));
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span msg = {data, size};

    try_request(msg);
    try_response(msg);
    return 0;
}
