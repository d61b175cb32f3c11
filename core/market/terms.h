/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_TERMS_H
#define MARKET_TERMS_H

#include "market/query.h"
#include "market/record.h"

/* The words a package is provided under in the DHT (docs/PROTOCOLS.md): name
 * parts, tags, categories, title words; folded, without stop words, each once.
 */
enum {
    TERMS_MAX = 32,
    TERM_MAX = 64,     /* bytes; longer words are left out */
    TERM_KEY_LEN = 34, /* a SHA-256 multihash */
};

struct terms {
    size_t count;
    char list[TERMS_MAX][TERM_MAX + 1]; /* as they stand in the record */
};

void terms_of_record(const struct record *r, struct terms *out);
/* Those of a query worth asking the DHT for: positive whole words. */
void terms_of_query(const struct query *q, struct terms *out);
bool term_is_stop_word(const char *term);
/* multihash(SHA-256("souk-term-v1:" ‖ term)), the provider key. */
void term_key(const char *term, uint8_t out[TERM_KEY_LEN]);

#endif /* MARKET_TERMS_H */
