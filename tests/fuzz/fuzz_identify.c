/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the chunk size; the rest is the peer.  Two readers
 * hear the same bytes, one whole and one in chunks, and must think the same of
 * it. */
#include <stdlib.h>

#include "identify/identify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct identify_info *info)
{
    demand(info->addr_count <= IDENTIFY_ADDRS_MAX);
    demand(info->protocol_count <= IDENTIFY_PROTOCOLS_MAX);
    for (size_t i = 0; i < info->addr_count; i++) {
        struct multiaddr again;

        demand(multiaddr_decode(&again, multiaddr_span(&info->addrs[i])) == OK);
    }
    for (const char *c = info->agent_version; *c != '\0'; c++)
        demand(*c >= 0x20 && *c < 0x7f);
}

static void check_same(const struct identify_info *a,
                       const struct identify_info *b)
{
    demand(a->addr_count == b->addr_count);
    demand(memcmp(a->addrs, b->addrs, a->addr_count * sizeof(a->addrs[0])) ==
           0);
    demand(a->protocol_count == b->protocol_count);
    for (size_t i = 0; i < a->protocol_count; i++)
        demand(span_eq(a->protocols[i], b->protocols[i]));
    demand(a->has_record == b->has_record && a->record_seq == b->record_seq);
    demand(strcmp(a->agent_version, b->agent_version) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct identify_reader *a, *b;
    const struct identify_info *info_a, *info_b;
    struct ed25519_keypair key;
    uint8_t seed[ED25519_SEED_LEN];
    struct peer_id remote;
    enum err err_a, err_b = OK;
    struct span in;
    size_t chunk;

    if (size < 1)
        return 0;
    for (uint8_t i = 0; i < sizeof(seed); i++)
        seed[i] = i;
    ed25519_from_seed(&key, seed);
    peer_id_from_ed25519(&remote, key.pub);
    chunk = 1u + data[0] % 64u;
    in = SPAN(data + 1, size - 1);

    a = identify_reader_new(&mem_libc);
    b = identify_reader_new(&mem_libc);
    {
        struct span whole = in;

        err_a = identify_reader_recv(a, &whole);
    }
    while (in.len > 0 && err_b == OK) {
        struct span part = span_take(&in, chunk);

        err_b = identify_reader_recv(b, &part);
    }
    demand(err_a == err_b);
    if (err_a == OK) {
        err_a = identify_reader_finish(a, &remote, false, &info_a);
        err_b = identify_reader_finish(b, &remote, false, &info_b);
        demand(err_a == err_b);
    }
    if (err_a == OK) {
        check(info_a);
        check_same(info_a, info_b);
    }
    identify_reader_free(a);
    identify_reader_free(b);
    return 0;
}
