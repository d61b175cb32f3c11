/* SPDX-License-Identifier: Apache-2.0 */

/* What comes back to the store from outside: a client's cursor, and the bytes
 * of a version in a database that may be damaged.  The first byte chooses; what
 * is understood must come back the same after it was written again. */
#include <stdlib.h>

#include "store/cursor.h"
#include "store/precedence.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_cursor(struct span in)
{
    char text[READER_CURSOR_MAX + 8], again[READER_CURSOR_MAX];
    struct cursor c, back;
    uint64_t mark = 0;

    if (in.len >= sizeof(text))
        in.len = sizeof(text) - 1;
    if (in.len > 0)
        memcpy(text, in.data, in.len);
    text[in.len] = '\0';
    if (cursor_parse(text, mark, &c) != OK || c.phase == CURSOR_START)
        return;
    cursor_format(&c, mark, again);
    if (cursor_parse(again, mark, &back) != OK ||
        memcmp(&c.id, &back.id, sizeof(c.id)) != 0 || c.slot != back.slot ||
        c.phase != back.phase || c.total != back.total)
        abort();
}

static void try_precedence(struct span in)
{
    struct precedence bytes;
    struct semver v, back;

    if (precedence_decode(in, &v) != OK ||
        !semver_pre_release_is_valid(span_str(v.pre_release)))
        return;
    if (precedence_decode(precedence_encode(&v, &bytes), &back) != OK ||
        semver_cmp(&v, &back) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        try_cursor(SPAN(data + 1, size - 1));
    else
        try_precedence(SPAN(data + 1, size - 1));
    return 0;
}
