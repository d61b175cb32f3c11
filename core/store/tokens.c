/* SPDX-License-Identifier: Apache-2.0 */
#include "store/tokens.h"

#include <string.h>

#include "base/mem.h"
#include "store/listing.h"
#include "store/score.h"

struct tokens {
    fts5_tokenizer kind;
    Fts5Tokenizer *it;
};

enum err tokens_open(sqlite3 *db, struct tokens **out)
{
    /* As in the index: schema.c. */
    const char *arguments[] = {"remove_diacritics", "2"};
    fts5_api *api = score_api(db);
    struct tokens *t = mem_try_zero(&mem_libc, sizeof(*t));
    void *ctx;

    *out = NULL;
    if (t == NULL)
        return ERR_NOMEM;
    if (api == NULL ||
        api->xFindTokenizer(api, "unicode61", &ctx, &t->kind) != SQLITE_OK ||
        t->kind.xCreate(ctx, arguments, 2, &t->it) != SQLITE_OK) {
        mem_free(&mem_libc, t);
        return ERR_STORE;
    }
    *out = t;
    return OK;
}

void tokens_close(struct tokens *t)
{
    if (t == NULL)
        return;
    t->kind.xDelete(t->it);
    mem_free(&mem_libc, t);
}

struct visit {
    token_visitor visit;
    void *ctx;
};

static int on_token(void *ctx, int flags, const char *token, int len, int start,
                    int end)
{
    const struct visit *v = ctx;

    (void)flags, (void)start, (void)end;
    v->visit(v->ctx, SPAN(token, (size_t)len));
    return SQLITE_OK;
}

enum err tokens_of(struct tokens *t, const char *text, token_visitor visit,
                   void *ctx)
{
    struct visit v = {visit, ctx};
    int rc = t->kind.xTokenize(t->it, &v, FTS5_TOKENIZE_DOCUMENT, text,
                               (int)strlen(text), on_token);

    return rc == SQLITE_OK ? OK : rc == SQLITE_NOMEM ? ERR_NOMEM : ERR_STORE;
}

/* ---- For older databases. ---- */

/* Version 1 had 40 bits of the order of coming, and 6 of the length. */
enum { V1_LENGTH_BITS = 6, V1_QUALITY_SHIFT = 46 };

static int64_t slot_of_v1(int64_t slot, size_t words)
{
    int64_t order =
        (slot & ((INT64_C(1) << V1_QUALITY_SHIFT) - 1)) >> V1_LENGTH_BITS;

    return slot_make(SLOT_QUALITY_MAX - (int)(slot >> V1_QUALITY_SHIFT), order,
                     words);
}

static void count_word(void *ctx, struct span word)
{
    size_t *count = ctx;

    (void)word;
    (*count)++;
}

static void sql_slot(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct tokens *t = sqlite3_user_data(ctx);
    size_t words = 0;

    for (int i = 1; i < argc; i++) {
        const char *text = (const char *)sqlite3_value_text(argv[i]);

        if (text == NULL || tokens_of(t, text, count_word, &words) != OK) {
            sqlite3_result_error_nomem(ctx);
            return;
        }
    }
    sqlite3_result_int64(ctx, slot_of_v1(sqlite3_value_int64(argv[0]), words));
}

enum err tokens_register(struct tokens *t, sqlite3 *db)
{
    int rc = sqlite3_create_function(db, "souk_slot", 1 + LISTING_COLUMNS,
                                     SQLITE_UTF8 | SQLITE_DIRECTONLY, t,
                                     sql_slot, NULL, NULL);

    return rc == SQLITE_OK ? OK : ERR_STORE;
}
