/* SPDX-License-Identifier: Apache-2.0 */
#include "market/query.h"

#include <stdlib.h>

#include "market/keys.h"
#include "market/terms.h"

/* The query language, and the keys of the DHT beside it: what is accepted must
 * be understood the same when it is written again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void try_query(struct span text)
{
    char normal[QUERY_NORMAL_MAX], again[QUERY_NORMAL_MAX];
    char written[REQUEST_QUERY_MAX + 1];
    struct query q, r;
    struct terms terms;
    struct buf fts;

    if (query_parse(text, &q, NULL) != OK)
        return;
    buf_init(&fts, 16384, &mem_libc);
    check(query_to_fts(&q, &fts) == OK);
    check((buf_len(&fts) == 0) == query_is_empty(&q));
    buf_release(&fts);
    terms_of_query(&q, &terms);
    (void)query_text(&q, written);
    if (strlen(written) + QUERY_TERM_MAX + 32 > REQUEST_QUERY_MAX)
        return; /* a term may have been left out */
    check(query_parse(span_str(written), &r, NULL) == OK);
    check(strcmp(query_normalise(&q, normal), query_normalise(&r, again)) == 0);
}

static void try_key(struct span text)
{
    static const struct network net = {.key_prefix = "/souk/"};
    char written[PACKAGE_KEY_MAX];
    struct package_key key;

    if (package_key_parse(&net, text, &key) == OK)
        check(span_eq(text, span_str(package_key_format(&net, &key, written))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {data, size};

    try_query(text);
    try_key(text);
    return 0;
}
