/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "store/catalogue.h"
#include "store/rank.h"
#include "store/reader.h"

/* What the reader's files share. */
struct reader {
    struct db db;
    struct store *store;
    struct ranking ranking; /* of the search at hand */
};

/* Between these two a reader sees one state of the database. */
MUST_USE
static inline enum err snapshot_take(struct reader *r)
{
    return db_run(&r->db, SQL_BEGIN_READ, "");
}
static inline void snapshot_drop(struct reader *r)
{
    db_try(&r->db, SQL_COMMIT);
}

/* Copies of what rows held, for a page that outlives them.  They move while it
 * grows, so until pages_at() a copy is known by its offset. */
struct pages {
    struct buf bytes;
};
enum { PAGES_BYTES_MAX = 64 << 20 };

static inline void pages_init(struct pages *p)
{
    buf_init(&p->bytes, PAGES_BYTES_MAX, &mem_libc);
}
/* A copy with a NUL behind it. */
MUST_USE
static inline enum err pages_add(struct pages *p, struct span s, size_t *offset)
{
    *offset = buf_len(&p->bytes);
    TRY(buf_put(&p->bytes, s));
    return buf_put_u8(&p->bytes, '\0');
}
static inline const char *pages_at(const struct pages *p, size_t offset)
{
    return (const char *)buf_span(&p->bytes).data + offset;
}

#endif /* STORE_PAGES_H */
