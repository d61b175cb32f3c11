/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_DNSADDR_H
#define HOST_DNSADDR_H

#include "base/span.h"
#include "multi/multiaddr.h"

/* The addresses in a DNS answer to a TXT question: those of its texts that
 * start with "dnsaddr=" and can be read.  At most |max|; a message that is no
 * answer has none.
 *
 * spec: addressing/README.md#dnsaddr-links */
size_t dnsaddr_read(struct span message, struct multiaddr *out, size_t max);

#endif /* HOST_DNSADDR_H */
