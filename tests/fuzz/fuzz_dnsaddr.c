/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a DNS answer: whatever addresses come out can be printed and
 * read again. */
#include <stdlib.h>

#include "host/dnsaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct multiaddr got[4], again;
    char text[MULTIADDR_TEXT_MAX];
    size_t count = dnsaddr_read(SPAN(data, size), got, 4);

    if (count > 4)
        abort();
    for (size_t i = 0; i < count; i++)
        if (multiaddr_parse(&again,
                            span_str(multiaddr_format(&got[i], text))) != OK ||
            !multiaddr_eq(&got[i], &again))
            abort();
    return 0;
}
