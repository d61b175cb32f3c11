/* SPDX-License-Identifier: Apache-2.0 */
#include "identify/record.h"

#include "multi/uvarint.h"
#include "wire/arena.h"
#include "wire/delim.h"
#include "wire/envelope.pb-c.h"

#define RECORD_DOMAIN SPAN_LIT("libp2p-peer-record")
static const uint8_t record_type[] = {0x03, 0x01};

/* Decoded: an address of 4 bytes on the wire costs 100 here. */
enum { RECORD_DECODED_MAX = 256 << 10 };

/* spec: RFC/0002-signed-envelopes.md#signature-production-verification
 *   the signature covers domain, type and payload, each behind its length */
static enum err put_signed_bytes(struct buf *b, struct span payload)
{
    TRY(delim_put(b, RECORD_DOMAIN));
    TRY(delim_put(b, SPAN_OF(record_type)));
    return delim_put(b, payload);
}

/* ---- Making. ---- */

static enum err put_payload(struct buf *b, const struct peer_id *self,
                            const struct multiaddr *addrs, size_t count,
                            uint64_t seq)
{
    Wire__PeerRecord__Address addresses[IDENTIFY_ADDRS_MAX];
    Wire__PeerRecord__Address *at[IDENTIFY_ADDRS_MAX];
    Wire__PeerRecord record = WIRE__PEER_RECORD__INIT;

    for (size_t i = 0; i < count; i++) {
        wire__peer_record__address__init(&addresses[i]);
        addresses[i].multiaddr = wire_bytes(multiaddr_span(&addrs[i]));
        at[i] = &addresses[i];
    }
    record.peer_id = wire_bytes(peer_id_span(self));
    record.seq = seq;
    record.n_addresses = count;
    record.addresses = at;
    return wire_put(b, &record.base);
}

static enum err seal(const struct ed25519_keypair *key, struct span payload,
                     const struct mem *mem, struct buf *out)
{
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    uint8_t signature[ED25519_SIG_LEN];
    struct pubkey pub;
    struct buf signed_bytes;
    enum err err;

    buf_init(&signed_bytes, payload.len + 64, mem);
    err = put_signed_bytes(&signed_bytes, payload);
    if (err == OK) {
        ed25519_sign(key, buf_span(&signed_bytes), signature);
        pubkey_from_ed25519(&pub, key->pub);
        envelope.public_key = wire_bytes(pubkey_span(&pub));
        envelope.payload_type = wire_bytes(SPAN_OF(record_type));
        envelope.payload = wire_bytes(payload);
        envelope.signature = wire_bytes(SPAN_OF(signature));
        err = wire_put(out, &envelope.base);
    }
    buf_release(&signed_bytes);
    return err;
}

/* How many of |addrs| a record of ours holds: the first that fit. */
static size_t addrs_that_fit(const struct multiaddr *addrs, size_t count)
{
    enum { ENVELOPE = 200, PER_ADDR = 6 };
    size_t bytes = ENVELOPE, n = 0;

    for (; n < count && n < IDENTIFY_ADDRS_MAX; n++) {
        bytes += addrs[n].len + PER_ADDR;
        if (bytes > IDENTIFY_RECORD_MAX)
            break;
    }
    return n;
}

enum err identify_make_record(const struct ed25519_keypair *key,
                              const struct multiaddr *addrs, size_t addr_count,
                              uint64_t seq, const struct mem *mem,
                              struct buf *out)
{
    struct peer_id self;
    struct buf payload;
    enum err err;

    peer_id_from_ed25519(&self, key->pub);
    buf_init(&payload, IDENTIFY_RECORD_MAX, mem);
    err = put_payload(&payload, &self, addrs, addrs_that_fit(addrs, addr_count),
                      seq);
    if (err == OK)
        err = seal(key, buf_span(&payload), mem, out);
    buf_release(&payload);
    return err;
}

/* ---- Reading. ---- */

void identify_addrs_add(struct multiaddr addrs[IDENTIFY_ADDRS_MAX],
                        size_t *count, struct span bytes,
                        const struct peer_id *remote)
{
    struct multiaddr addr;
    struct peer_id named;

    if (*count == IDENTIFY_ADDRS_MAX || multiaddr_decode(&addr, bytes) != OK)
        return;
    if (multiaddr_peer(&addr, &named)) {
        if (!peer_id_eq(&named, remote))
            return;
        multiaddr_strip_peer(&addr);
        if (addr.len == 0)
            return;
    }
    for (size_t i = 0; i < *count; i++)
        if (multiaddr_eq(&addrs[i], &addr))
            return;
    addrs[(*count)++] = addr;
}

/* The received bytes are verified, never a re-encoding of them. */
static enum err check_signature(const Wire__Envelope *envelope,
                                const struct peer_id *remote,
                                const struct mem *mem)
{
    struct span payload = wire_span(envelope->payload);
    struct pubkey key;
    struct peer_id signer;
    struct buf b;
    enum err err;

    TRY(pubkey_decode(&key, wire_span(envelope->public_key)));
    peer_id_from_pubkey(&signer, &key);
    if (!peer_id_eq(&signer, remote))
        return ERR_WRONG_PEER;
    buf_init(&b, payload.len + 64, mem);
    err = put_signed_bytes(&b, payload);
    if (err == OK &&
        !pubkey_verify(&key, buf_span(&b), wire_span(envelope->signature)))
        err = ERR_BAD_SIGNATURE;
    buf_release(&b);
    return err;
}

static enum err open_payload(struct span payload, const struct peer_id *remote,
                             struct arena *arena, struct record *out)
{
    Wire__PeerRecord *record =
        wire_unpack(&wire__peer_record__descriptor, arena, payload);

    if (record == NULL)
        return ERR_PROTO;
    if (!span_eq(wire_span(record->peer_id), peer_id_span(remote)))
        return ERR_WRONG_PEER;
    out->seq = record->seq;
    out->addr_count = 0;
    for (size_t i = 0; i < record->n_addresses; i++)
        identify_addrs_add(out->addrs, &out->addr_count,
                           wire_span(record->addresses[i]->multiaddr), remote);
    return OK;
}

static enum err open_envelope(struct span bytes, const struct peer_id *remote,
                              struct arena *arena, struct record *out)
{
    Wire__Envelope *envelope =
        wire_unpack(&wire__envelope__descriptor, arena, bytes);

    if (envelope == NULL ||
        !span_eq(wire_span(envelope->payload_type), SPAN_OF(record_type)))
        return ERR_PROTO;
    TRY(check_signature(envelope, remote, arena->mem));
    return open_payload(wire_span(envelope->payload), remote, arena, out);
}

enum err record_open(struct span envelope, const struct peer_id *remote,
                     const struct mem *mem, struct record *out)
{
    struct arena arena;
    enum err err;

    arena_init(&arena, RECORD_DECODED_MAX, mem);
    err = open_envelope(envelope, remote, &arena, out);
    if (err != OK && arena.refused)
        err = ERR_NOMEM;
    arena_release(&arena);
    return err;
}

enum err identify_open_record(struct span envelope, const struct peer_id *peer,
                              const struct mem *mem,
                              struct multiaddr addrs[IDENTIFY_ADDRS_MAX],
                              size_t *count)
{
    struct record record;

    TRY(record_open(envelope, peer, mem, &record));
    memcpy(addrs, record.addrs, record.addr_count * sizeof(addrs[0]));
    *count = record.addr_count;
    return OK;
}
