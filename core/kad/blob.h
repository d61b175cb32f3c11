/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAD_BLOB_H
#define KAD_BLOB_H

#include "base/mem.h"
#include "base/span.h"

/* Bytes with several owners: a message that goes to twenty peers is one. */
struct blob {
    size_t refs;
    size_t len;
    uint8_t bytes[];
};

/* NULL without memory. */
static inline struct blob *blob_new(const struct mem *mem, struct span s)
{
    struct blob *b = mem_try(mem, NULL, sizeof(*b) + s.len);

    if (b == NULL)
        return NULL;
    b->refs = 1;
    b->len = s.len;
    if (s.len > 0) {
        assert(s.data != NULL);
        memcpy(b->bytes, s.data, s.len);
    }
    return b;
}
static inline struct blob *blob_ref(struct blob *b)
{
    if (b != NULL)
        b->refs++;
    return b;
}
static inline void blob_unref(const struct mem *mem, struct blob *b)
{
    if (b != NULL && --b->refs == 0)
        mem_free(mem, b);
}
static inline struct span blob_span(const struct blob *b)
{
    return b ? SPAN(b->bytes, b->len) : SPAN_NONE;
}

#endif /* KAD_BLOB_H */
