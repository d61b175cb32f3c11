/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_USAGE_H
#define GATEWAY_USAGE_H

#include "souk/usage.h"

struct gateway;

/* How full every limit of the process is: the core's, as core_usage() tells
 * them, and the gateway's own as of now.  Any thread of the gateway; wakes
 * nobody. */
void gateway_usage(struct gateway *g, struct usages *out);

#endif /* GATEWAY_USAGE_H */
