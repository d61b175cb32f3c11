/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_FOLD_H
#define MARKET_FOLD_H

#include "base/span.h"

/* Text as search compares it: lower case, without diacritics, as SQLite's
 * unicode61 tokenizer (remove_diacritics=2) folds it for the scripts most
 * packages are described in.  Scripts beyond those keep their letters. */
enum {
    FOLD_SEPARATOR = 0,      /* neither letter nor digit */
    FOLD_NOTHING = 0x110000, /* a combining mark: dropped */
    UTF8_INVALID = 0x110001,
};

/* The first code point of |s|, which is not empty; UTF8_INVALID takes a
 * byte. */
uint32_t utf8_next(struct span *s);
size_t utf8_put(uint32_t cp, char out[4]); /* the bytes written */

uint32_t fold_code_point(uint32_t cp);
/* Words with one space between; returns the length.  What does not fit into
 * |max| bytes with NUL is cut at a word's end. */
size_t fold_words(struct span text, char *out, size_t max);
/* Letters folded, all else as it is; cut at |max|. */
size_t fold_letters(struct span text, char *out, size_t max);

#endif /* MARKET_FOLD_H */
