/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_ROUTES_H
#define GATEWAY_ROUTES_H

#include "gateway/exchange.h"
#include "gateway/router.h"

/* The handlers, and the table of them. */
#define ROUTE(method, template, handler, scope, cost, flags) \
    void handler(struct exchange *x);
#include "gateway/routes/table.h"

extern const struct route routes[];
extern const size_t routes_count;

#endif /* GATEWAY_ROUTES_H */
