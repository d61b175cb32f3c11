/* SPDX-License-Identifier: Apache-2.0 */
#include "store/score.h"

#include <math.h>
#include <string.h>

/* name, namespace, title, tags, categories, description, authors, license,
 * facets, heads. */
const unsigned score_columns[LISTING_COLUMNS] = {80, 15, 50, 30, 15,
                                                 10, 7,  5,  0,  80};

double score_rarity(double packages, double of)
{
    double rarity = log((of - packages + 0.5) / (packages + 0.5));

    return packages < of && rarity > 0 ? rarity : 1e-6; /* as FTS5 has it */
}

/* The columns that phrase |nth| is in, each hit by its column's weight. */
static int phrase_hits(const Fts5ExtensionApi *api, Fts5Context *fts, int nth,
                       unsigned *tenths)
{
    Fts5PhraseIter it;
    int column, offset;
    int rc = api->xPhraseFirst(fts, nth, &it, &column, &offset);

    *tenths = 0;
    while (rc == SQLITE_OK && column >= 0) {
        if (column < LISTING_COLUMNS)
            *tenths += score_columns[column];
        api->xPhraseNext(fts, &it, &column, &offset);
    }
    return rc;
}

struct facts {
    const char *blob;
    size_t count;
};

static float fact(const struct facts *f, size_t nth)
{
    float v = 1;

    if (nth < f->count)
        memcpy(&v, f->blob + nth * sizeof(v), sizeof(v));
    return v;
}

static int score_row(const Fts5ExtensionApi *api, Fts5Context *fts,
                     const struct facts *f, double *sum)
{
    unsigned words = slot_words(api->xRowid(fts));
    int phrases = api->xPhraseCount(fts);

    *sum = 0;
    for (int i = 0; i < phrases; i++) {
        float rarity = fact(f, (size_t)i + 1);
        unsigned tenths;
        int rc;

        if (rarity == 0)
            continue; /* a filter */
        rc = phrase_hits(api, fts, i, &tenths);
        if (rc != SQLITE_OK)
            return rc;
        *sum +=
            (double)rarity * score_phrase(tenths, words, (double)fact(f, 0));
    }
    return SQLITE_OK;
}

static void score(const Fts5ExtensionApi *api, Fts5Context *fts,
                  sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct facts f = {.blob = argc > 0 ? sqlite3_value_blob(argv[0]) : NULL};
    double sum;
    int rc;

    if (f.blob != NULL)
        f.count = (size_t)sqlite3_value_bytes(argv[0]) / sizeof(float);
    rc = score_row(api, fts, &f, &sum);
    if (rc == SQLITE_OK)
        sqlite3_result_double(ctx, sum);
    else
        sqlite3_result_error_code(ctx, rc);
}

static void hits(const Fts5ExtensionApi *api, Fts5Context *fts,
                 sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    unsigned tenths;
    int rc = phrase_hits(api, fts, 0, &tenths);

    (void)argc, (void)argv;
    if (rc == SQLITE_OK)
        sqlite3_result_int64(ctx, tenths);
    else
        sqlite3_result_error_code(ctx, rc);
}

/* spec: sqlite.org/fts5.html#extending_fts5 */
fts5_api *score_api(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    fts5_api *api = NULL;

    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &st, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(st, 1, (void *)&api, "fts5_api_ptr", NULL);
        (void)sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return api;
}

enum err score_register(sqlite3 *db)
{
    fts5_api *api = score_api(db);

    if (api == NULL)
        return ERR_STORE;
    if (api->xCreateFunction(api, "souk_score", NULL, score, NULL) !=
            SQLITE_OK ||
        api->xCreateFunction(api, "souk_hits", NULL, hits, NULL) != SQLITE_OK)
        return ERR_NOMEM;
    return OK;
}
