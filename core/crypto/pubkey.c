/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pubkey.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, SECP256K1_PUB_LEN = 33 };

/* Errors of libcrypto stay here, so its queue of them must not grow. */
static EVP_PKEY *fail(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
    ERR_clear_error();
    return NULL;
}

static bool is_curve(const EVP_PKEY *key, const char *name)
{
    char group[32];
    size_t n;

    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
           strcmp(group, name) == 0;
}

static bool is_rsa(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= RSA_BITS_MIN &&
           bits <= RSA_BITS_MAX;
}

static EVP_PKEY *load_spki(enum pubkey_type type, struct span der)
{
    const uint8_t *at = der.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);

    if (key == NULL || at != der.data + der.len)
        return fail(key);
    if (type == PUBKEY_RSA ? !is_rsa(key) : !is_curve(key, SN_X9_62_prime256v1))
        return fail(key);
    return key;
}

/* The point has no SubjectPublicKeyInfo around it; this is the one it would
 * have. */
static EVP_PKEY *load_secp256k1(struct span point)
{
    static const uint8_t head[] = {
        0x30, 0x36, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
        0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a, 0x03, 0x22, 0x00};
    uint8_t der[sizeof(head) + SECP256K1_PUB_LEN];
    const uint8_t *at = der;
    EVP_PKEY *key;

    if (point.len != SECP256K1_PUB_LEN ||
        (point.data[0] != 2 && point.data[0] != 3))
        return NULL;
    memcpy(der, head, sizeof(head));
    memcpy(der + sizeof(head), point.data, point.len);
    key = d2i_PUBKEY(NULL, &at, (long)sizeof(der));
    return key != NULL ? key : fail(key);
}

static EVP_PKEY *load(enum pubkey_type type, struct span data)
{
    return type == PUBKEY_SECP256K1 ? load_secp256k1(data)
                                    : load_spki(type, data);
}

/* The largest protobuf form has 1,100 bytes, so LEN has one or two. */
static bool read_len(struct span *s, size_t *len)
{
    uint8_t low, high = 0;

    if (!span_u8(s, &low))
        return false;
    if (low & 0x80 && (!span_u8(s, &high) || high == 0 || high & 0x80))
        return false;
    *len = (size_t)(low & 0x7f) | (size_t)high << 7;
    return true;
}

static bool is_usable(enum pubkey_type type, struct span data)
{
    EVP_PKEY *key;

    if (type == PUBKEY_ED25519)
        return data.len == ED25519_PUB_LEN;
    key = load(type, data);
    EVP_PKEY_free(key);
    return key != NULL;
}

enum err pubkey_decode(struct pubkey *out, struct span protobuf)
{
    struct span s = protobuf, head;
    uint8_t type;
    size_t len;

    if (s.len > PUBKEY_MAX || !span_bytes(&s, 1, &head) ||
        head.data[0] != 0x08 || !span_u8(&s, &type) || type > PUBKEY_ECDSA ||
        !span_bytes(&s, 1, &head) || head.data[0] != 0x12 ||
        !read_len(&s, &len) || len != s.len)
        return ERR_PROTO;
    if (!is_usable((enum pubkey_type)type, s))
        return ERR_PROTO;
    *out = (struct pubkey){.type = (enum pubkey_type)type,
                           .len = (uint16_t)protobuf.len,
                           .data_at = (uint16_t)(protobuf.len - s.len)};
    memcpy(out->bytes, protobuf.data, protobuf.len);
    return OK;
}

void pubkey_from_ed25519(struct pubkey *out, const uint8_t pub[ED25519_PUB_LEN])
{
    static const uint8_t head[] = {0x08, PUBKEY_ED25519, 0x12, ED25519_PUB_LEN};

    *out = (struct pubkey){.type = PUBKEY_ED25519,
                           .len = sizeof(head) + ED25519_PUB_LEN,
                           .data_at = sizeof(head)};
    memcpy(out->bytes, head, sizeof(head));
    memcpy(out->bytes + sizeof(head), pub, ED25519_PUB_LEN);
}

/* PKCS #1 v1.5 for RSA and DER for the curves are libcrypto's own defaults. */
static bool verify_sha256(EVP_PKEY *key, struct span message, struct span sig)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL &&
                EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestVerify(ctx, sig.data, sig.len, message.data,
                                 message.len) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

bool pubkey_verify(const struct pubkey *k, struct span message, struct span sig)
{
    EVP_PKEY *key;
    bool good;

    if (sig.len == 0 || sig.len > PUBKEY_SIG_MAX)
        return false;
    if (k->type == PUBKEY_ED25519)
        return ed25519_verify(pubkey_data(k).data, message, sig);
    key = load(k->type, pubkey_data(k));
    if (key == NULL)
        return false;
    good = verify_sha256(key, message, sig);
    EVP_PKEY_free(key);
    return good;
}
