/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_HEX_H
#define SUPPORT_HEX_H

#include "base/span.h"

/* The bytes of |hex| (spaces ignored) in |out| of |max| bytes.  Fails the test
 * if it is no hex or does not fit. */
struct span hex_bytes(const char *hex, uint8_t *out, size_t max);

#endif /* SUPPORT_HEX_H */
