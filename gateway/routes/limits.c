/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/routes/routes.h"
#include "gateway/usage.h"

static void row_write(struct jw *j, enum usage_id id, const struct usage *u)
{
    jw_open(j, '{');
    jw_key(j, "name");
    jw_str(j, usage_name(id));
    jw_key(j, "limit");
    jw_u64(j, u->limit);
    jw_key(j, "use");
    jw_u64(j, u->use);
    jw_key(j, "refused");
    jw_u64(j, u->refused);
    jw_close(j, '}');
}

/* Answered without the core, so that it also tells why that answers nobody. */
void route_limits(struct exchange *x)
{
    struct usages all;
    struct jw j;

    gateway_usage(x->gateway, &all);
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "limits");
    jw_open(&j, '[');
    for (enum usage_id id = 0; id < USAGE_COUNT; id++)
        row_write(&j, id, &all.of[id]);
    jw_close(&j, ']');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}
