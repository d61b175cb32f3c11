/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/peer_id.h"

#include "crypto/hash.h"
#include "multi/base.h"
#include "multi/cid.h"

/* spec: peer-ids/peer-ids.md#peer-ids
 *   a key of up to 42 bytes is contained, a longer one hashed */
enum { INLINE_MAX = 42, HEADER = 2 };

static void set(struct peer_id *out, uint8_t code, struct span digest)
{
    assert(digest.len <= PEER_ID_MAX - HEADER);
    *out = (struct peer_id){.len = (uint8_t)(HEADER + digest.len)};
    out->bytes[0] = code;
    out->bytes[1] = (uint8_t)digest.len;
    memcpy(out->bytes + HEADER, digest.data, digest.len);
}

enum err peer_id_decode(struct peer_id *out, struct span bytes)
{
    uint8_t code, len;

    if (!span_u8(&bytes, &code) || !span_u8(&bytes, &len) || len != bytes.len)
        return ERR_PROTO;
    if (code == MULTIHASH_IDENTITY
            ? len < 1 || len > INLINE_MAX
            : code != MULTIHASH_SHA256 || len != SHA256_LEN)
        return ERR_PROTO;
    set(out, code, bytes);
    return OK;
}

/* spec: peer-ids/peer-ids.md#decoding
 *   "1" and "Qm" start a bare multihash, everything else is a CID */
enum err peer_id_parse(struct peer_id *out, struct span text)
{
    uint8_t bytes[2 + PEER_ID_MAX];
    struct span id, head;
    uint8_t version;
    size_t n;

    if (span_starts_with(text, SPAN_LIT("1")) ||
        span_starts_with(text, SPAN_LIT("Qm"))) {
        if (base_decode(BASE58, text, bytes, sizeof(bytes), &n) != OK)
            return ERR_INVAL;
        id = SPAN(bytes, n);
    } else {
        if (multibase_decode(text, bytes, sizeof(bytes), &n) != OK)
            return ERR_INVAL;
        id = SPAN(bytes, n);
        if (!span_u8(&id, &version) || version != 1 ||
            !span_bytes(&id, 1, &head) || head.data[0] != CID_LIBP2P_KEY)
            return ERR_INVAL;
    }
    return peer_id_decode(out, id) == OK ? OK : ERR_INVAL;
}

const char *peer_id_format(const struct peer_id *id, char out[PEER_ID_TEXT_MAX])
{
    (void)base_encode(BASE58, peer_id_span(id), out, PEER_ID_TEXT_MAX);
    return out;
}

const char *peer_id_format_base36(const struct peer_id *id,
                                  char out[PEER_ID_TEXT_MAX])
{
    uint8_t cid[2 + PEER_ID_MAX] = {1, CID_LIBP2P_KEY};

    memcpy(cid + 2, id->bytes, id->len);
    (void)multibase_encode(BASE36, SPAN(cid, 2u + id->len), out,
                           PEER_ID_TEXT_MAX);
    return out;
}

void peer_id_from_pubkey(struct peer_id *out, const struct pubkey *key)
{
    uint8_t digest[SHA256_LEN];

    if (key->len <= INLINE_MAX) {
        set(out, MULTIHASH_IDENTITY, pubkey_span(key));
        return;
    }
    sha256(pubkey_span(key), digest);
    set(out, MULTIHASH_SHA256, SPAN_OF(digest));
}

void peer_id_from_ed25519(struct peer_id *out,
                          const uint8_t pub[ED25519_PUB_LEN])
{
    struct pubkey key;

    pubkey_from_ed25519(&key, pub);
    peer_id_from_pubkey(out, &key);
}

enum err peer_id_pubkey(const struct peer_id *id, struct pubkey *out)
{
    if (id->len <= HEADER || id->bytes[0] != MULTIHASH_IDENTITY)
        return ERR_NOT_FOUND;
    return pubkey_decode(out, SPAN(id->bytes + HEADER, id->len - HEADER));
}
