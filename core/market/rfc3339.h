/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_RFC3339_H
#define MARKET_RFC3339_H

#include "base/span.h"
#include "base/time.h"

/* Times as records write them: "2025-11-02T22:20:00Z", UTC only, with no or
 * with 3, 6 or 9 digits of a second.  https://www.rfc-editor.org/rfc/rfc3339 */
enum { RFC3339_TEXT_MAX = 32 };

struct moment {
    wall_ms ms;
    uint32_t ns; /* beyond the millisecond */
};

bool rfc3339_parse(struct span text, struct moment *out);
/* Milliseconds only when there are some.  Years 0000 to 9999; returns |out|. */
const char *rfc3339_format(wall_ms ms, char out[RFC3339_TEXT_MAX]);

#endif /* MARKET_RFC3339_H */
