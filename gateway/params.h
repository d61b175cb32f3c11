/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_PARAMS_H
#define GATEWAY_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/time.h"
#include "market/record.h" /* struct problems */
#include "souk/err.h"

/* The query of a URL, as typed values.
 *
 *      params_parse(&p, "limit=5&q=a+b", problems)
 *      params_u64(&p, "limit", 1, 100, &limit)     absent: left as it was
 *
 * A bad value is remembered in |problems| under "/query/NAME" and left as it
 * was; the caller answers 422 when there are any, after it has read all it
 * knows.  Names it does not ask for are never looked at. */
enum { PARAMS_MAX = 32 };

struct params {
    struct {
        struct span name;
        struct span value;
    } at[PARAMS_MAX];
    size_t count;
    struct problems *problems;
};

/* Decodes |query| in place; |p| points into it.  ERR_BAD_REQUEST: a '%' that no
 * two hex digits follow, or more than PARAMS_MAX of them. */
MUST_USE
enum err params_parse(struct params *p, char *query, size_t len,
                      struct problems *problems);

/* Percent-decode in place; the new length.  false: malformed. */
bool percent_decode(char *text, size_t *len, bool plus_is_space);

bool params_has(const struct params *p, const char *name);

/* Each is true when the parameter is there and good.  Twice is bad. */
/* UTF-8 without control characters, |min| to |max| bytes. */
bool params_text(struct params *p, const char *name, size_t min, size_t max,
                 struct span *out);
bool params_u64(struct params *p, const char *name, uint64_t min, uint64_t max,
                uint64_t *out);
/* true, false, 1, 0; empty is true. */
bool params_bool(struct params *p, const char *name, bool *out);
/* 250ms, 2s … */
bool params_duration(struct params *p, const char *name, duration min,
                     duration max, duration *out);
/* |words|: the choices, NULL behind the last; |out| is an index. */
bool params_choice(struct params *p, const char *name, const char *const *words,
                   unsigned *out);

/* What is wrong with a parameter, for rules of the caller's own. */
__attribute__((format(printf, 3, 4))) void
params_refuse(struct params *p, const char *name, const char *format, ...);

/* RFC 7240 `Prefer: …, wait=N`.  false: no such preference. */
bool prefer_wait(struct span header, duration *out);

#endif /* GATEWAY_PARAMS_H */
