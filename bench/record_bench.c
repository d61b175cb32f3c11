/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/crypto.h"
#include "market/record.h"
#include "market/validator.h"

/* What a package record of 1.5 KiB costs, in microseconds of CPU each.
 *
 *      record_bench [ROUNDS] */

static const char input[] =
    "{\"id\":\"debian/libawesome-perl\",\"version\":\"1.2.3\",\"metadata\":{"
    "\"title\":\"libawesome-perl\",\"description\":\"awesome interface to the "
    "system's message queues. This module lets a program send and receive "
    "messages, wait for several queues at once and be told when one of them "
    "is full. It is written in C, has no dependencies but the standard "
    "library, and is used by many programs for printing, scanning and the "
    "delivery of mail.\",\"categories\":[\"Utility\",{\"Custom\":\"perl\"}],"
    "\"tags\":[\"perl\",\"devel\",\"library\",\"implemented-in\"],"
    "\"license\":\"Artistic-2.0\",\"authors\":[{\"id\":\"perl\",\"name\":"
    "\"Debian Perl Group\",\"email\":\"perl@example.org\"}],\"homepage\":"
    "\"https://example.org/libawesome-perl\"},\"dependencies\":["
    "{\"package_id\":\"debian/perl\",\"version_requirement\":{\"Minimum\":"
    "\"5.30.0\"}},{\"package_id\":\"debian/libc6\",\"version_requirement\":"
    "\"Any\"}]}";

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(enum err err)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "%s\n", err_text(err));
    exit(1);
}

static void report(const char *what, double since, unsigned rounds)
{
    (void)printf("%-28s %8.1f us\n", what, (now_us() - since) / (double)rounds);
}

static void publish_once(const struct ed25519_keypair *key, uint64_t sequence,
                         struct record *out)
{
    struct record_version only = {{1, 2, 3, ""}, false};
    struct record_seal seal = {
        .sequence = sequence, .versions = &only, .version_count = 1};
    struct record r;

    must(record_parse(&r, SPAN_LIT(input), RECORD_INPUT, &mem_libc, NULL));
    must(record_complete(&r, 1762122000000, NULL));
    must(record_sign(&r, &seal, key, out));
    record_release(&r);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 20000;
    static const struct network net = {.key_prefix = "/souk/"};
    struct validator *v =
        validator_new(&(struct validator_config){.network = &net}, &mem_libc);
    struct package_key key = {0};
    char key_text[PACKAGE_KEY_MAX];
    struct ed25519_keypair keys;
    struct record r, copy;
    double start;

    crypto_init();
    ed25519_from_seed(&keys, (uint8_t[ED25519_SEED_LEN]){1});
    publish_once(&keys, 1, &r);
    package_key_of(&r, KEY_HEAD, &key);
    (void)package_key_format(&net, &key, key_text);
    (void)printf("a record of %zu bytes, %u rounds\n", buf_len(&r.bytes),
                 rounds);

    start = now_us();
    for (unsigned i = 0; i < rounds; i++) {
        publish_once(&keys, i + 2, &copy);
        record_release(&copy);
    }
    report("parse, complete, sign", start, rounds);

    start = now_us();
    for (unsigned i = 0; i < rounds; i++) {
        must(record_parse(&copy, buf_span(&r.bytes), RECORD_SIGNED_ONLY,
                          &mem_libc, NULL));
        record_release(&copy);
    }
    report("parse, check, canonicalise", start, rounds);

    start = now_us();
    for (unsigned i = 0; i < rounds; i++)
        must(record_verify(&r));
    report("verify", start, rounds);

    start = now_us();
    for (unsigned i = 0; i < rounds; i++)
        must(validator_check(v, span_str(key_text), buf_span(&r.bytes), 0));
    report("validator, seen before", start, rounds);

    record_release(&r);
    validator_free(v);
    return 0;
}
