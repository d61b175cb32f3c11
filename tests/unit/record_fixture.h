/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_RECORD_FIXTURE_H
#define UNIT_RECORD_FIXTURE_H

#include "crypto/ed25519.h"
#include "market/record.h"
#include "support/test.h"

/* Package records for the tests of the market. */
#define FIXTURE_WALL INT64_C(1762122000000) /* 2025-11-02T22:20:00Z */

static inline struct ed25519_keypair fixture_key(uint8_t nth)
{
    uint8_t seed[ED25519_SEED_LEN] = {nth};
    struct ed25519_keypair key;

    ed25519_from_seed(&key, seed);
    return key;
}

static inline void fixture_peer(uint8_t nth, struct peer_id *out)
{
    struct ed25519_keypair key = fixture_key(nth);

    peer_id_from_ed25519(out, key.pub);
}

/* A complete, unsigned record; |more| is put into its metadata: "" or
 * ",\"tags\":[…]". */
static inline void fixture_input(struct record *r, const char *id,
                                 const char *version, const char *more)
{
    char text[4096];
    int n = snprintf(text, sizeof(text),
                     "{\"id\":\"%s\",\"version\":\"%s\",\"metadata\":{"
                     "\"custom_fields\":{}%s}}",
                     id, version, more);
    struct problems problems;
    enum err err = record_parse(r, SPAN(text, (size_t)n), RECORD_INPUT,
                                &mem_libc, &problems);

    if (err != OK)
        fail_msg("%s: %s %s", err_name(err), problems.list[0].pointer,
                 problems.list[0].detail);
    assert_ok(record_complete(r, FIXTURE_WALL, NULL));
}

/* The same, signed by |key|, as the head of its one version. */
static inline void fixture_signed(struct record *r, const char *id,
                                  const char *version, const char *more,
                                  const struct ed25519_keypair *key,
                                  uint64_t sequence)
{
    struct record_version only = {.is_yanked = false};
    struct record_seal seal = {
        .sequence = sequence, .versions = &only, .version_count = 1};
    struct record input;

    fixture_input(&input, id, version, more);
    only.version = input.version;
    assert_ok(record_sign(&input, &seal, key, r));
    record_release(&input);
}

#endif /* UNIT_RECORD_FIXTURE_H */
