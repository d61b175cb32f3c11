/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/routes/routes.h"

const struct route routes[] = {
#define ROUTE(method, template, handler, scope, cost, flags) \
    {METHOD_##method, template, handler, SCOPE_##scope, cost, flags},
#include "gateway/routes/table.h"
};

const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
