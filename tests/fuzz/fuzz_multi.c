/* SPDX-License-Identifier: Apache-2.0 */

/* The first byte chooses the decoder.  What decodes must print or encode to
 * something that decodes to the same value. */
#include <stdlib.h>

#include "multi/base.h"
#include "multi/cid.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "multi/uvarint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_address(const struct multiaddr *m)
{
    char text[MULTIADDR_TEXT_MAX];
    struct multiaddr again;
    struct endpoint endpoint;
    struct peer_id peer;

    demand(multiaddr_parse(&again, span_str(multiaddr_format(m, text))) == OK);
    demand(memcmp(m, &again, sizeof(*m)) == 0);
    if (multiaddr_endpoint(m, &endpoint) && endpoint.peer.len > 0)
        demand(multiaddr_peer(m, &peer) && peer_id_eq(&peer, &endpoint.peer));
    (void)multiaddr_scope(m);
    (void)multiaddr_ip_group(m);
    (void)multiaddr_ip_key(m);
    multiaddr_strip_peer(&again);
    demand(again.len <= m->len);
}

static void address_of_bytes(struct span in)
{
    struct multiaddr m;

    if (multiaddr_decode(&m, in) != OK)
        return;
    demand(span_eq(in, multiaddr_span(&m)));
    check_address(&m);
}

static void address_of_text(struct span in)
{
    struct multiaddr m;

    if (multiaddr_parse(&m, in) == OK)
        check_address(&m);
}

static void peer(struct span in)
{
    struct peer_id id, again;
    char text[PEER_ID_TEXT_MAX];
    struct pubkey key;

    if (peer_id_parse(&id, in) != OK && peer_id_decode(&id, in) != OK)
        return;
    demand(peer_id_parse(&again, span_str(peer_id_format(&id, text))) == OK);
    demand(peer_id_eq(&id, &again));
    (void)peer_id_format_base36(&id, text);
    demand(peer_id_parse(&again, span_str(text)) == OK);
    demand(peer_id_eq(&id, &again));
    if (peer_id_pubkey(&id, &key) == OK) {
        peer_id_from_pubkey(&again, &key);
        demand(peer_id_eq(&id, &again));
    }
}

static void cid(struct span in)
{
    char text[CID_TEXT_MAX];
    uint8_t bytes[CID_MAX];
    struct cid c, again;

    if (cid_parse(&c, in) != OK && cid_decode(&c, in) != OK)
        return;
    demand(cid_decode(&again, SPAN(bytes, cid_encode(&c, bytes))) == OK);
    demand(memcmp(&c, &again, sizeof(c)) == 0);
    demand(cid_parse(&again, SPAN(text, cid_format(&c, text))) == OK);
    demand(memcmp(&c, &again, sizeof(c)) == 0);
}

static void text(struct span in)
{
    uint8_t bytes[BASE_POSITIONAL_MAX], again[BASE_POSITIONAL_MAX];
    char out[2 * BASE_POSITIONAL_MAX + 2];
    enum base base;
    size_t n, m;

    if (multibase_decode(in, bytes, sizeof(bytes), &n) != OK)
        return;
    base = (enum base)(in.data[0] < 'a' ? in.data[0] + 32 : in.data[0]);
    m = multibase_encode(base, SPAN(bytes, n), out, sizeof(out));
    demand(m == in.len);
    demand(multibase_decode(SPAN(out, m), again, sizeof(again), &m) == OK);
    demand(span_eq(SPAN(bytes, n), SPAN(again, m)));
}

static void varint(struct span in)
{
    uint8_t bytes[UVARINT_MAX];
    struct span rest = in;
    uint64_t v;

    if (!span_uvarint(&rest, &v))
        return;
    demand(span_starts_with(in, SPAN(bytes, uvarint_encode(v, bytes))));
    demand(in.len - rest.len == uvarint_len(v));
}

static void key(struct span in)
{
    struct pubkey k;

    if (pubkey_decode(&k, in) != OK)
        return;
    demand(span_eq(in, pubkey_span(&k)));
    demand(!pubkey_verify(&k, in, SPAN_LIT("no signature")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const decoders[])(struct span) = {
        address_of_bytes, address_of_text, peer, cid, text, varint, key};
    struct span in = SPAN(data, size);
    uint8_t choice;

    if (span_u8(&in, &choice))
        decoders[choice % (sizeof(decoders) / sizeof(decoders[0]))](in);
    return 0;
}
