/* SPDX-License-Identifier: Apache-2.0 */
#include "market/terms.h"

#include <stdlib.h>

#include "crypto/hash.h"
#include "market/fold.h"

/* In order, for bsearch(). */
static const char *const stop_words[] = {
    "a",    "about", "all",   "also", "an",    "and",   "any",  "are",
    "as",   "at",    "based", "be",   "by",    "can",   "for",  "from",
    "has",  "have",  "in",    "into", "is",    "it",    "its",  "more",
    "not",  "of",    "on",    "or",   "other", "some",  "such", "that",
    "the",  "this",  "to",    "use",  "used",  "using", "via",  "was",
    "when", "which", "will",  "with", "you",   "your",
};

static int word_cmp(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

bool term_is_stop_word(const char *term)
{
    return bsearch(term, stop_words, sizeof(stop_words) / sizeof(*stop_words),
                   sizeof(*stop_words), word_cmp) != NULL;
}

static bool has_term(const struct terms *terms, const char *term)
{
    for (size_t i = 0; i < terms->count; i++)
        if (strcmp(terms->list[i], term) == 0)
            return true;
    return false;
}

static void add_term(struct terms *terms, struct span word)
{
    char term[TERM_MAX + 1];

    if (word.len == 0 || word.len > TERM_MAX || terms->count == TERMS_MAX)
        return;
    memcpy(term, word.data, word.len);
    term[word.len] = '\0';
    if (!term_is_stop_word(term) && !has_term(terms, term))
        memcpy(terms->list[terms->count++], term, word.len + 1);
}

/* The words of folded text, the last one only if it is |whole|. */
static void add_folded(struct terms *terms, struct span text, bool whole)
{
    while (text.len > 0) {
        const uint8_t *space = memchr(text.data, ' ', text.len);
        size_t n = space ? (size_t)(space - text.data) : text.len;
        struct span word = span_take(&text, n);

        if (space != NULL || whole)
            add_term(terms, word);
        (void)span_take(&text, 1);
    }
}

static void add_words(struct terms *terms, const char *text)
{
    char folded[6 * RECORD_TITLE_MAX]; /* of the longest text, a title */

    (void)fold_words(span_str(text), folded, sizeof(folded));
    add_folded(terms, span_str(folded), true);
}

void terms_of_record(const struct record *r, struct terms *out)
{
    const char *text;

    *out = (struct terms){0};
    add_words(out, r->id.name);
    for (size_t i = 0; (text = record_tag(r, i)) != NULL; i++)
        add_words(out, text);
    for (size_t i = 0; (text = record_category(r, i)) != NULL; i++)
        add_words(out, text);
    add_words(out, record_text(r, "title"));
}

/* Descriptions, authors and licenses are not provided. */
static bool is_provided(const struct query_term *t)
{
    return !t->is_not && t->field != QUERY_DESCRIPTION &&
           t->field != QUERY_AUTHORS && t->field != QUERY_LICENSE &&
           t->field != QUERY_NAMESPACE;
}

void terms_of_query(const struct query *q, struct terms *out)
{
    *out = (struct terms){0};
    for (size_t i = 0; i < q->term_count; i++)
        if (is_provided(&q->terms[i]))
            add_folded(out, span_str(q->terms[i].text), !q->terms[i].is_prefix);
}

void term_key(const char *term, uint8_t out[TERM_KEY_LEN])
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, SPAN_LIT("souk-term-v1:"));
    sha256_add(&h, span_str(term));
    out[0] = 0x12; /* multihash: SHA-256, 32 bytes */
    out[1] = SHA256_LEN;
    sha256_final(&h, out + 2);
}
