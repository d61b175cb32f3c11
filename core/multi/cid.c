/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/cid.h"

#include "crypto/hash.h"
#include "multi/base.h"
#include "multi/uvarint.h"

_Static_assert(sizeof(struct cid) == 4 * 8 + MULTIHASH_DIGEST_MAX,
               "no padding");

/* The lengths of the hashes we know; others may have any. */
static bool is_length_allowed(uint64_t code, size_t len)
{
    switch (code) {
    case MULTIHASH_SHA256:
        return len == 32;
    case MULTIHASH_SHA512:
        return len == 64;
    default:
        return true; /* BLAKE3 has no length of its own */
    }
}

void multihash_of_sha256(struct multihash *out, struct span content)
{
    *out = (struct multihash){.code = MULTIHASH_SHA256, .len = SHA256_LEN};
    sha256(content, out->digest);
}

size_t multihash_encode(const struct multihash *m, uint8_t *out)
{
    size_t n = uvarint_encode(m->code, out);

    assert(m->len <= MULTIHASH_DIGEST_MAX);
    n += uvarint_encode(m->len, out + n);
    memcpy(out + n, m->digest, m->len);
    return n + m->len;
}

enum err multihash_decode(struct multihash *out, struct span in)
{
    struct span digest;
    uint64_t code;

    if (!span_uvarint(&in, &code) || !span_uvarint_bytes(&in, &digest) ||
        in.len > 0)
        return ERR_PROTO;
    if (!is_length_allowed(code, digest.len))
        return ERR_PROTO;
    if (digest.len > MULTIHASH_DIGEST_MAX)
        return ERR_LIMIT;
    *out = (struct multihash){.code = code, .len = digest.len};
    if (digest.len > 0)
        memcpy(out->digest, digest.data, digest.len);
    return OK;
}

void cid_of_raw(struct cid *out, struct span content)
{
    *out = (struct cid){.version = 1, .codec = CID_RAW};
    multihash_of_sha256(&out->hash, content);
}

size_t cid_encode(const struct cid *c, uint8_t out[CID_MAX])
{
    size_t n = 0;

    if (c->version > 0) {
        n += uvarint_encode(c->version, out);
        n += uvarint_encode(c->codec, out + n);
    }
    return n + multihash_encode(&c->hash, out + n);
}

/* spec: multiformats/cid#decoding-algorithm
 *   34 bytes that start with 12 20 are a CIDv0 */
static bool is_v0(struct span in)
{
    return in.len == 34 && span_starts_with(in, SPAN("\x12\x20", 2));
}

enum err cid_decode(struct cid *out, struct span in)
{
    struct cid c = {.codec = CID_DAG_PB};
    uint64_t version;

    if (!is_v0(in)) {
        if (!span_uvarint(&in, &version) || version != 1 ||
            !span_uvarint(&in, &c.codec))
            return ERR_PROTO;
        c.version = 1;
    }
    TRY(multihash_decode(&c.hash, in));
    *out = c;
    return OK;
}

size_t cid_format(const struct cid *c, char out[CID_TEXT_MAX])
{
    uint8_t bytes[CID_MAX];
    struct span s = SPAN(bytes, cid_encode(c, bytes));

    return c->version == 0 ? base_encode(BASE58, s, out, CID_TEXT_MAX)
                           : multibase_encode(BASE32, s, out, CID_TEXT_MAX);
}

enum err cid_parse(struct cid *out, struct span text)
{
    bool v0 = text.len == 46 && span_starts_with(text, SPAN_LIT("Qm"));
    uint8_t bytes[CID_MAX];
    size_t n;

    if ((v0 ? base_decode(BASE58, text, bytes, sizeof(bytes), &n)
            : multibase_decode(text, bytes, sizeof(bytes), &n)) != OK)
        return ERR_INVAL;
    /* spec: multiformats/cid#decoding-algorithm
     *   a multibase string that holds a v0 is an error */
    if (is_v0(SPAN(bytes, n)) != v0)
        return ERR_INVAL;
    return cid_decode(out, SPAN(bytes, n)) == OK ? OK : ERR_INVAL;
}
