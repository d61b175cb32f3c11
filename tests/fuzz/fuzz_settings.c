/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a configuration file: what is taken is printed as a file that
 * is taken again and prints the same. */
#include <stdlib.h>

#include "tbl/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Other alphabets have ends of lines of their own, which fold. */
static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] >= 0x80)
            return false;
    return true;
}

static void print(const struct settings *s, struct buf *out)
{
    buf_init(out, 8 << 20, &mem_libc);
    if (settings_print(s, out) != OK)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings first, second;
    struct settings_error error;
    struct buf a, b;

    settings_init(&first);
    settings_init(&second);
    if (settings_take_yaml(&first, SPAN(data, size), "f", &error) == OK) {
        print(&first, &a);
        if (settings_take_yaml(&second, buf_span(&a), "f", &error) != OK)
            abort();
        for (enum param p = 0; p < PARAM_COUNT; p++)
            second.source[p] = first.source[p];
        print(&second, &b);
        if (is_ascii(buf_span(&a)) && !span_eq(buf_span(&a), buf_span(&b)))
            abort();
        buf_release(&a);
        buf_release(&b);
    }
    settings_release(&first);
    settings_release(&second);
    return 0;
}
