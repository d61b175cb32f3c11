/* SPDX-License-Identifier: Apache-2.0 */
#include "support/hex.h"

#include "support/test.h"

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    fail_msg("not a hex digit: %c", c);
    return 0;
}

struct span hex_bytes(const char *hex, uint8_t *out, size_t max)
{
    size_t n = 0;

    while (*hex != '\0') {
        if (*hex == ' ' || *hex == '\n') {
            hex++;
            continue;
        }
        assert_true(n < max);
        out[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex += 2;
    }
    return SPAN(out, n);
}
