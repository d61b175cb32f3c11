/* SPDX-License-Identifier: Apache-2.0 */
#include "store/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/listing.h"

/* What a hit is worth, by the index's columns: name, namespace, title, tags,
 * categories, description, authors, license, facets,
 * heads. */
static const double column_weights[LISTING_COLUMNS] = {8.0, 1.5, 5.0, 3.0, 1.5,
                                                       1.0, 0.7, 0.5, 0.0, 8.0};

enum { SATURATION = 3, HITS_MAX = 16 /* counted a phrase */ };

/* How much the text's length dampens a hit: 1 at 256 bytes, eight classes (four
 * times the length) double what is above 0.4. */
enum { LENGTHS = 1 << SLOT_LENGTH_BITS };

static double *dampenings_new(void)
{
    double *of = malloc(LENGTHS * sizeof(*of));

    for (int i = 0; of != NULL && i < LENGTHS; i++)
        of[i] = 0.4 + 0.6 * exp2((i - 32) / 8.0);
    return of;
}

/* The columns that phrase |nth| is in, each hit by its column's weight. */
static int phrase_weight(const Fts5ExtensionApi *api, Fts5Context *fts, int nth,
                         double *out)
{
    Fts5PhraseIter it;
    int column, offset, hits = 0;
    int rc = api->xPhraseFirst(fts, nth, &it, &column, &offset);

    *out = 0;
    for (; rc == SQLITE_OK && column >= 0 && hits < HITS_MAX; hits++) {
        if (column < LISTING_COLUMNS)
            *out += column_weights[column];
        api->xPhraseNext(fts, &it, &column, &offset);
    }
    return rc;
}

static void score(const Fts5ExtensionApi *api, Fts5Context *fts,
                  sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    int phrases = api->xPhraseCount(fts);
    const void *blob = argc > 0 ? sqlite3_value_blob(argv[0]) : NULL;
    int given = blob ? sqlite3_value_bytes(argv[0]) / (int)sizeof(float) : 0;
    const double *dampenings = api->xUserData(fts);
    double damp = dampenings[slot_length(api->xRowid(fts))], sum = 0;

    for (int i = 0; i < phrases; i++) {
        float rarity = 1;
        double weight;
        int rc;

        if (i < given)
            memcpy(&rarity, (const char *)blob + (size_t)i * sizeof(rarity),
                   sizeof(rarity));
        if (rarity == 0)
            continue; /* a filter */
        rc = phrase_weight(api, fts, i, &weight);
        if (rc != SQLITE_OK) {
            sqlite3_result_error_code(ctx, rc);
            return;
        }
        sum += (double)rarity * weight * (SATURATION + 1) /
               (weight + SATURATION * damp);
    }
    sqlite3_result_double(ctx, sum);
}

/* spec: sqlite.org/fts5.html#extending_fts5 */
static fts5_api *find_api(sqlite3 *db)
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
    fts5_api *api = find_api(db);
    double *dampenings;

    if (api == NULL)
        return ERR_STORE;
    dampenings = dampenings_new();
    if (dampenings == NULL)
        return ERR_NOMEM;
    if (api->xCreateFunction(api, "souk_score", dampenings, score, free) ==
        SQLITE_OK)
        return OK;
    free(dampenings);
    return ERR_STORE;
}
