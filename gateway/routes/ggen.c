/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"
#include "store/store.h"

/* What ggen's REST client reads besides the search (search.c). */

/* ---- The index: all of the catalogue, piece by piece. ---- */

struct index {
    bool is_begun;
    bool is_failed;
    struct package_id after;
    struct jw json;
};

static bool entry_write(void *ctx, const struct package_view *view,
                        struct span record)
{
    char version[SEMVER_TEXT_MAX];
    struct index *i = ctx;
    struct jw *j = &i->json;

    (void)record;
    i->after = view->id;
    if (view->all_yanked)
        return true;
    jw_open(j, '{');
    jw_key(j, "id");
    jw_open(j, '{');
    jw_key(j, "namespace");
    jw_str(j, view->id.ns);
    jw_key(j, "name");
    jw_str(j, view->id.name);
    jw_close(j, '}');
    jw_key(j, "latest_version");
    jw_str(j, semver_format(&view->version, version));
    jw_close(j, '}');
    return j->err == OK;
}

static bool index_produce(struct exchange *x, struct buf *body)
{
    struct index *i = x->work;
    bool more = false;

    i->json.out = body;
    if (!i->is_begun) {
        jw_init(&i->json, body);
        jw_open(&i->json, '{');
        jw_key(&i->json, "version");
        jw_str(&i->json, "1.0.0");
        jw_key(&i->json, "packages");
        jw_open(&i->json, '[');
    }
    if (reader_index(exchange_reader(x), i->is_begun ? &i->after : NULL, 100,
                     entry_write, i, &more) != OK)
        more = false;
    i->is_begun = true;
    if (more && i->json.err == OK)
        return true;
    jw_close(&i->json, ']');
    jw_close(&i->json, '}');
    return false;
}

void route_ggen_index(struct exchange *x)
{
    uint64_t generation = cache_generation(x->gateway->deps.cache);
    struct index *i = exchange_work(x, sizeof(*i));

    if (i == NULL)
        return;
    (void)snprintf(x->response.etag, sizeof(x->response.etag),
                   "W/\"%016" PRIx64 "\"", generation + x->gateway->salt);
    x->response.produce = index_produce;
    exchange_answer(x, 200, OK);
    exchange_not_modified(x);
}

/* ---- The registry. ---- */

void route_ggen_metadata(struct exchange *x)
{
    static const char *const features[] = {"search", "versions", "yank",
                                           "signatures", "peers"};
    struct store_counts counts;
    struct jw j;

    store_counts(x->gateway->deps.store, &counts);
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "name");
    jw_str(&j, "souk");
    jw_key(&j, "description");
    jw_str(&j, "A node of a peer-to-peer package marketplace");
    jw_key(&j, "version");
    jw_str(&j, x->gateway->version);
    jw_key(&j, "package_count");
    jw_u64(&j, counts.packages);
    jw_key(&j, "api_version");
    jw_str(&j, "v1");
    jw_key(&j, "features");
    jw_open(&j, '[');
    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        jw_str(&j, features[i]);
    jw_close(&j, ']');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}
