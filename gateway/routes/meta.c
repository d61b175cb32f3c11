/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/loop.h"
#include "gateway/openapi.h"
#include "gateway/routes/routes.h"

void route_openapi(struct exchange *x)
{
    x->response.borrowed = SPAN(openapi_json, openapi_json_len);
    exchange_answer_tagged(x, OK, x->response.borrowed, false);
}

void route_version_info(struct exchange *x)
{
    struct jw j;

    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "name");
    jw_str(&j, "souk");
    jw_key(&j, "version");
    jw_str(&j, x->gateway->version);
    jw_key(&j, "commit");
    jw_str(&j, x->gateway->commit);
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}

void route_root(struct exchange *x)
{
    static const struct {
        const char *name, *path;
    } links[] = {
        {"search", "/api/v1/search"},      {"packages", "/api/v1/index"},
        {"peers", "/api/v1/peers"},        {"node", "/api/v1/node"},
        {"limits", "/api/v1/node/limits"}, {"health", "/health?verbose"},
        {"openapi", "/openapi.json"},
    };
    struct jw j;

    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "name");
    jw_str(&j, "souk");
    jw_key(&j, "version");
    jw_str(&j, x->gateway->version);
    jw_key(&j, "links");
    jw_open(&j, '{');
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        char url[RESPONSE_LINK_MAX];

        jw_key(&j, links[i].name);
        jw_str(&j, exchange_url(x, links[i].path, url));
    }
    jw_close(&j, '}');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}
