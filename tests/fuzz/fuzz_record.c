/* SPDX-License-Identifier: Apache-2.0 */
#include "market/record.h"

#include <stdlib.h>

#include "crypto/ed25519.h"
#include "market/terms.h"

/* The record parser in each of its modes.  What it accepts must be the same
 * record when its own bytes are parsed again, and stay valid when it is
 * completed and signed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void parse_again(const struct record *r, unsigned flags)
{
    struct record again;

    check(record_parse(&again, buf_span(&r->bytes), flags, &mem_libc, NULL) ==
          OK);
    check(span_eq(buf_span(&again.bytes), buf_span(&r->bytes)));
    check(memcmp(again.hash, r->hash, sizeof(r->hash)) == 0);
    check(memcmp(again.content_hash, r->content_hash, sizeof(r->hash)) == 0);
    check(memcmp(&again.id, &r->id, sizeof(r->id)) == 0);
    check(again.sequence == r->sequence);
    record_release(&again);
}

static void sign(const struct record *r)
{
    struct record_version only = {r->version, false};
    struct record_seal seal = {
        .sequence = 1, .versions = &only, .version_count = 1};
    struct ed25519_keypair key;
    struct record out;

    ed25519_from_seed(&key, (uint8_t[ED25519_SEED_LEN]){1});
    if (record_sign(r, &seal, &key, &out) != OK)
        return; /* too long with its seal */
    check(memcmp(out.content_hash, r->content_hash, sizeof(r->hash)) == 0);
    check(record_verify(&out) == OK);
    parse_again(&out, RECORD_SIGNED_ONLY);
    record_release(&out);
}

static void try_mode(struct span text, unsigned flags)
{
    struct problems problems;
    struct query_doc doc;
    struct terms terms;
    struct record r;
    enum err err = record_parse(&r, text, flags, &mem_libc, &problems);

    if (err != OK) {
        check(problems.count > 0 && r.json == NULL);
        return;
    }
    if (record_complete(&r, 1762122000000, NULL) == OK) {
        parse_again(&r, RECORD_UNSIGNED_OK);
        if ((flags & RECORD_INPUT) != 0)
            sign(&r);
        (void)!record_verify(&r);
        terms_of_record(&r, &terms);
        check(query_doc_init(&doc, &r) == OK);
        query_doc_release(&doc);
    }
    record_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {data, size};

    try_mode(text, RECORD_SIGNED_ONLY);
    try_mode(text, RECORD_UNSIGNED_OK);
    try_mode(text, RECORD_INPUT);
    return 0;
}
