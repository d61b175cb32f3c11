/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MULTI_CID_H
#define MULTI_CID_H

#include "base/span.h"
#include "souk/err.h"

/* A multihash says which hash it is; a CID also says of what.
 *
 *      multihash   uvarint code ‖ uvarint length ‖ digest
 *      CIDv0       12 20 ‖ 32 bytes, in base58 without prefix ("Qm…")
 *      CIDv1       01 ‖ uvarint codec ‖ multihash, in multibase ("bafk…")
 *
 * Both are values without padding, unused bytes zero: whole structs may be
 * compared. */
enum {
    MULTIHASH_IDENTITY = 0x00,
    MULTIHASH_SHA256 = 0x12,
    MULTIHASH_SHA512 = 0x13,
    MULTIHASH_BLAKE3 = 0x1e,
};

enum cid_codec {
    CID_RAW = 0x55,
    CID_DAG_PB = 0x70,
    CID_DAG_CBOR = 0x71,
    CID_LIBP2P_KEY = 0x72,
};

enum {
    MULTIHASH_DIGEST_MAX = 64,
    MULTIHASH_MAX = 9 + 1 + MULTIHASH_DIGEST_MAX,
    CID_MAX = 1 + 9 + MULTIHASH_MAX,
    CID_TEXT_MAX = 176, /* NUL included, in any base but 16 */
};

struct multihash {
    uint64_t code;
    uint64_t len;
    uint8_t digest[MULTIHASH_DIGEST_MAX];
};

void multihash_of_sha256(struct multihash *out, struct span content);
/* The bytes written, at most MULTIHASH_MAX. */
size_t multihash_encode(const struct multihash *m, uint8_t *out);
/* ERR_PROTO: cut, not minimal, bytes left over, a length the known code does
 * not have.  ERR_LIMIT: a digest above MULTIHASH_DIGEST_MAX. */
MUST_USE
enum err multihash_decode(struct multihash *out, struct span in);

struct cid {
    uint64_t version; /* 0 or 1 */
    uint64_t codec;
    struct multihash hash;
};

void cid_of_raw(struct cid *out, struct span content); /* v1, SHA-256 */
size_t cid_encode(const struct cid *c, uint8_t out[CID_MAX]);
/* Errors as multihash_decode. */
MUST_USE
enum err cid_decode(struct cid *out, struct span in);

/* v0 in base58, v1 in base32, as everyone prints them. */
size_t cid_format(const struct cid *c, char out[CID_TEXT_MAX]);
/* Any multibase we know.  ERR_INVAL. */
MUST_USE
enum err cid_parse(struct cid *out, struct span text);

#endif /* MULTI_CID_H */
