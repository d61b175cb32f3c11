/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_JSON_H
#define GATEWAY_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/time.h"

/* A JSON writer (jansson is the reader): straight into a buf, no tree, no
 * allocation of its own.
 *
 *      jw_init(&j, &body);
 *      jw_open(&j, '{');
 *      jw_key(&j, "total"), jw_u64(&j, 3);
 *      jw_close(&j, '}');
 *      if (j.err != OK) …
 *
 * Commas are its own business.  The first error sticks and makes the rest do
 * nothing, so it is looked at once. */
struct jw {
    struct buf *out;
    enum err err;
    bool needs_comma;
};

void jw_init(struct jw *j, struct buf *out);

void jw_open(struct jw *j, char bracket);
void jw_close(struct jw *j, char bracket);
/* |key| must need no escapes. */
void jw_key(struct jw *j, const char *key);

/* As jw_key(), of any text. */
void jw_member(struct jw *j, const char *key);
/* The next member of an object whose beginning came through jw_raw(). */
void jw_key_more(struct jw *j, const char *key);

/* Bytes that are no UTF-8 become U+FFFD. */
void jw_text(struct jw *j, struct span text);
void jw_str(struct jw *j, const char *text);
/* "…", or null for "" and NULL. */
void jw_str_or_null(struct jw *j, const char *text);
void jw_u64(struct jw *j, uint64_t v);
void jw_bool(struct jw *j, bool v);
/* At most six digits behind the point. */
void jw_double(struct jw *j, double v);
void jw_null(struct jw *j);
/* RFC 3339, UTC, milliseconds. */
void jw_time(struct jw *j, wall_ms at);
/* Already JSON. */
void jw_raw(struct jw *j, struct span json);

/* "2025-11-02T22:20:00.123Z"; returns |out|. */
enum { TIME_TEXT_MAX = 32 };
const char *time_format(wall_ms at, char out[TIME_TEXT_MAX]);

/* Is |text| well-formed UTF-8 (no surrogates, shortest form, ≤ U+10FFFF)? */
bool utf8_is_valid(struct span text);

#endif /* GATEWAY_JSON_H */
