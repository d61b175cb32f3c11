/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a cursor: it must not open, unless sealing what is inside gives
 * the same text.  And the input is a payload: it must survive. */
#include "gateway/cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    char text[CURSOR_TEXT_MAX];
    struct cursor_key key;
    size_t len;

    cursor_key_init(&key, SPAN_LIT("a secret"));
    if (cursor_open(&key, SPAN_LIT("here"), SPAN(data, size), payload, &len) ==
        OK) {
        cursor_seal(&key, SPAN_LIT("here"), SPAN(payload, len), text);
        if (!span_eq(span_str(text), SPAN(data, size)))
            abort();
    }
    if (size > CURSOR_PAYLOAD_MAX)
        return 0;
    cursor_seal(&key, SPAN_LIT("here"), SPAN(data, size), text);
    if (cursor_open(&key, SPAN_LIT("here"), span_str(text), payload, &len) !=
            OK ||
        !span_eq(SPAN(data, size), SPAN(payload, len)) ||
        cursor_open(&key, SPAN_LIT("there"), span_str(text), payload, &len) ==
            OK)
        abort();
    return 0;
}
