/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_ERR_H
#define SOUK_ERR_H

/* The node's one error type.  The table is souk/tbl/err.h; docs/ERRORS.md is
 * made from it. */

/* What a caller can do about an error, which is all most callers need. */
enum err_class {
    ERR_CLASS_NONE,
    ERR_CLASS_USAGE,    /* the caller asked for something impossible */
    ERR_CLASS_LIMIT,    /* try later or ask for less */
    ERR_CLASS_PEER,     /* a remote peer is at fault: lower its score */
    ERR_CLASS_INTERNAL, /* our fault: log it loudly */
};

enum err_index {
    ERR_INDEX_OK,
#define ERR(name, class, http, text) ERR_INDEX_##name,
#include "souk/tbl/err.h"
    ERR_INDEX_COUNT
};

/* Success is 0, every error is negative; nothing else is ever returned. */
enum err {
    OK = 0,
#define ERR(name, class, http, text) ERR_##name = -ERR_INDEX_##name,
#include "souk/tbl/err.h"
};

#define MUST_USE __attribute__((warn_unused_result))

const char *err_name(enum err err); /* "VERSION_EXISTS" */
const char *err_code(enum err err); /* "version-exists", stable over REST */
const char *err_text(enum err err); /* a sentence fragment for people */
enum err_class err_class(enum err err);
int err_http_status(enum err err);

/* Return |expr|'s error to our caller, if it has one.  The only macro in the
 * code base that hides control flow. */
#define TRY(expr)                   \
    do {                            \
        enum err try_err_ = (expr); \
        if (try_err_ != OK)         \
            return try_err_;        \
    } while (0)

#endif /* SOUK_ERR_H */
