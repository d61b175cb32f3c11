/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/crypto.h"

#include "support/test.h"
#include "vectors/multi_js.h"

#define HEX(name, max, text)   \
    uint8_t name##_bytes[max]; \
    struct span name = hex_bytes(text, name##_bytes, max)

static void sha256_gives_another_digest(void **state)
{
    HEX(want, 32,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    uint8_t got[SHA256_LEN];
    struct sha256 h;

    (void)state;
    sha256(SPAN_LIT("abc"), got);
    assert_span_equal(want, SPAN_OF(got));

    sha256_init(&h);
    sha256_add(&h, SPAN_LIT("a"));
    sha256_add(&h, SPAN_NONE);
    sha256_add(&h, SPAN_LIT("bc"));
    sha256_final(&h, got);
    assert_span_equal(want, SPAN_OF(got));
}

/* RFC 4231, cases 1 and 6; RFC 5869, case 1. */
static void hmac_or_hkdf_gives_another_key(void **state)
{
    HEX(key, 20, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    HEX(want, 32,
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    HEX(want_long, 32,
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    HEX(secret, 22, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
    HEX(salt, 13, "000102030405060708090a0b0c");
    HEX(info, 10, "f0f1f2f3f4f5f6f7f8f9");
    HEX(okm, 42,
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        "34007208d5b887185865");
    uint8_t got[SHA256_LEN], out[42], long_key[131];

    (void)state;
    hmac_sha256(key, SPAN_LIT("Hi There"), got);
    assert_span_equal(want, SPAN_OF(got));
    memset(long_key, 0xaa, sizeof(long_key));
    hmac_sha256(
        SPAN_OF(long_key),
        SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
        got);
    assert_span_equal(want_long, SPAN_OF(got));
    hkdf_sha256(salt, secret, info, out, sizeof(out));
    assert_span_equal(okm, SPAN_OF(out));
}

/* RFC 7748, section 5.2. */
static void x25519_gives_another_secret(void **state)
{
    HEX(scalar, 32,
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    HEX(point, 32,
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    HEX(want, 32,
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    uint8_t got[X25519_LEN];

    (void)state;
    assert_ok(x25519_shared(got, scalar.data, point.data));
    assert_span_equal(want, SPAN_OF(got));
}

static void x25519_accepts_a_point_of_low_order(void **state)
{
    static const uint8_t zero[X25519_LEN];
    struct x25519_keypair key;
    uint8_t got[X25519_LEN];
    struct rng_seeded seeded;
    struct rng rng = rng_seeded(&seeded, 1);

    (void)state;
    x25519_generate(&key, &rng);
    assert_err(ERR_CRYPTO, x25519_shared(got, key.secret, zero));
}

/* RFC 8439, appendix A.5. */
static const char aead_key[] =
    "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
static const char aead_ad[] = "f33388860000000000004e91";
static const char aead_plain[] =
    "Internet-Drafts are draft documents valid for a maximum of six months and "
    "may be updated, replaced, or obsoleted by other documents at any time. It "
    "is inappropriate to use Internet-Drafts as reference material or to cite "
    "them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
static const char aead_sealed[] =
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18"
    "755d43eea09ee94e382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce"
    "98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4f0ef61c186324e"
    "2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
    "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04"
    "b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a10"
    "73a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d"
    "6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38";
#define AEAD_COUNTER 0x0807060504030201u
enum { PLAIN_LEN = sizeof(aead_plain) - 1 };

static void aead_gives_other_bytes(void **state)
{
    HEX(key, 32, aead_key);
    HEX(ad, 12, aead_ad);
    HEX(sealed, PLAIN_LEN + AEAD_TAG_LEN, aead_sealed);
    uint8_t bytes[PLAIN_LEN + AEAD_TAG_LEN];
    struct aead seal = {0}, open = {0};

    (void)state;
    assert_ok(aead_init(&seal, key.data, AEAD_SEAL));
    assert_ok(aead_init(&open, key.data, AEAD_OPEN));
    /* Twice: the context is reused.  In place and not. */
    for (int i = 0; i < 2; i++) {
        memcpy(bytes, aead_plain, PLAIN_LEN);
        assert_ok(
            aead_seal(&seal, AEAD_COUNTER, ad, SPAN(bytes, PLAIN_LEN), bytes));
        assert_span_equal(sealed, SPAN_OF(bytes));
        assert_ok(aead_open(&open, AEAD_COUNTER, ad, SPAN_OF(bytes), bytes));
        assert_memory_equal(aead_plain, bytes, PLAIN_LEN);
        assert_ok(aead_open(&open, AEAD_COUNTER, ad, sealed, bytes));
        assert_memory_equal(aead_plain, bytes, PLAIN_LEN);
    }
    aead_release(&seal);
    aead_release(&open);
}

static void aead_opens_what_was_altered(void **state)
{
    HEX(key, 32, aead_key);
    HEX(ad, 12, aead_ad);
    uint8_t sealed[PLAIN_LEN + AEAD_TAG_LEN], out[sizeof(sealed)];
    struct aead open = {0};

    (void)state;
    (void)hex_bytes(aead_sealed, sealed, sizeof(sealed));
    assert_ok(aead_init(&open, key.data, AEAD_OPEN));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 1;
        assert_err(ERR_CRYPTO,
                   aead_open(&open, AEAD_COUNTER, ad, SPAN_OF(sealed), out));
        sealed[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof(sealed); n++)
        assert_err(ERR_CRYPTO,
                   aead_open(&open, AEAD_COUNTER, ad, SPAN(sealed, n), out));
    assert_err(ERR_CRYPTO,
               aead_open(&open, AEAD_COUNTER + 1, ad, SPAN_OF(sealed), out));
    assert_err(ERR_CRYPTO,
               aead_open(&open, AEAD_COUNTER, SPAN_NONE, SPAN_OF(sealed), out));
    assert_ok(aead_open(&open, AEAD_COUNTER, ad, SPAN_OF(sealed), out));
    aead_release(&open);
}

static void aead_cannot_seal_nothing(void **state)
{
    HEX(key, 32, aead_key);
    struct aead seal = {0}, open = {0};
    uint8_t tag[AEAD_TAG_LEN], none[1];

    (void)state;
    assert_ok(aead_init(&seal, key.data, AEAD_SEAL));
    assert_ok(aead_init(&open, key.data, AEAD_OPEN));
    assert_ok(aead_seal(&seal, 0, SPAN_NONE, SPAN_NONE, tag));
    assert_ok(aead_open(&open, 0, SPAN_NONE, SPAN_OF(tag), none));
    tag[0] ^= 1;
    assert_err(ERR_CRYPTO, aead_open(&open, 0, SPAN_NONE, SPAN_OF(tag), none));
    aead_release(&seal);
    aead_release(&open);
}

/* RFC 8032, section 7.1, tests 1 and 3. */
static void ed25519_signs_otherwise(void **state)
{
    static const struct {
        const char *seed, *pub, *message, *sig;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
         "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        HEX(seed, 32, rows[i].seed);
        HEX(pub, 32, rows[i].pub);
        HEX(message, 8, rows[i].message);
        HEX(want, 64, rows[i].sig);
        struct ed25519_keypair key;
        uint8_t sig[ED25519_SIG_LEN];

        ed25519_from_seed(&key, seed.data);
        assert_span_equal(pub, SPAN_OF(key.pub));
        ed25519_sign(&key, message, sig);
        assert_span_equal(want, SPAN_OF(sig));
        assert_true(ed25519_verify(key.pub, message, want));
        assert_false(ed25519_verify(key.pub, SPAN_LIT("other"), want));
        assert_false(ed25519_verify(key.pub, message, SPAN(sig, 63)));
        sig[40] ^= 1;
        assert_false(ed25519_verify(key.pub, message, SPAN_OF(sig)));
    }
}

/* spec: peer-ids/peer-ids.md#test-vectors */
static const char ed25519_file[] =
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
    "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
static const char ed25519_public[] =
    "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e";
static const char secp256k1_public[] = "08021221037777e994e452c21604f91de093ce4"
                                       "15f5432f701dd8cd1a7a6fea0e630bfca99";
static const char ecdsa_public[] =
    "0803125b3059301306072a8648ce3d020106082a8648ce3d03010703420004de3d300fa3"
    "6ae0e8f5d530899d83abab44abf3161f162a4bc901d8e6ecda020e8b6d5f8da30525e71d"
    "6851510c098e5c47c646a597fb4dcec034e9f77c409e62";
/* Made with libcrypto and the private key of that specification. */
static const char ecdsa_sig[] =
    "3045022100a5d8606a89a33cfa68b8a9d9a7a622b094490efb1817967a1171b39e62e4c0"
    "c602206f498f1cdd99c683cea324d0db4400ee2cea8014fcde35152e2edca508eb72f2";

static void key_file_is_written_otherwise(void **state)
{
    HEX(file, ED25519_FILE_LEN, ed25519_file);
    HEX(public, 36, ed25519_public);
    struct ed25519_keypair key;
    struct pubkey pub;
    uint8_t again[ED25519_FILE_LEN];

    (void)state;
    assert_ok(ed25519_decode(&key, file));
    ed25519_encode(&key, again);
    assert_span_equal(file, SPAN_OF(again));
    pubkey_from_ed25519(&pub, key.pub);
    assert_span_equal(public, pubkey_span(&pub));

    again[67] ^= 1; /* the halves do not belong together */
    assert_err(ERR_INVAL, ed25519_decode(&key, SPAN_OF(again)));
    again[67] ^= 1;
    again[1] = PUBKEY_SECP256K1;
    assert_err(ERR_INVAL, ed25519_decode(&key, SPAN_OF(again)));
    for (size_t n = 0; n < file.len; n++)
        assert_err(ERR_INVAL, ed25519_decode(&key, SPAN(file.data, n)));
}

static void check_key(const char *protobuf, const char *signature,
                      enum pubkey_type type)
{
    HEX(bytes, PUBKEY_MAX, protobuf);
    HEX(sig, PUBKEY_SIG_MAX, signature);
    struct pubkey key;

    assert_ok(pubkey_decode(&key, bytes));
    assert_int_equal(type, key.type);
    assert_span_equal(bytes, pubkey_span(&key));
    assert_true(pubkey_verify(&key, SPAN_LIT("a message"), sig));
    assert_false(pubkey_verify(&key, SPAN_LIT("b message"), sig));
    assert_false(pubkey_verify(&key, SPAN_LIT("a message"),
                               SPAN(sig.data, sig.len - 1)));
    assert_false(pubkey_verify(&key, SPAN_LIT("a message"), SPAN_NONE));
    sig_bytes[sig.len - 1] ^= 1;
    assert_false(pubkey_verify(&key, SPAN_LIT("a message"), sig));
}

static void a_foreign_key_does_not_verify(void **state)
{
    static const enum pubkey_type types[] = {PUBKEY_ED25519, PUBKEY_SECP256K1,
                                             PUBKEY_RSA, PUBKEY_RSA};

    (void)state;
    for (size_t i = 0; i < sizeof(js_keys) / sizeof(js_keys[0]); i++)
        check_key(js_keys[i].protobuf, js_keys[i].signature, types[i]);
    check_key(ecdsa_public, ecdsa_sig, PUBKEY_ECDSA);
}

static void a_key_of_the_specification_is_refused(void **state)
{
    HEX(secp256k1, 37, secp256k1_public);
    struct pubkey key;

    (void)state;
    assert_ok(pubkey_decode(&key, secp256k1));
    assert_int_equal(33, pubkey_data(&key).len);
}

static void a_bad_key_is_accepted(void **state)
{
    static const struct {
        const char *why, *bytes;
    } rows[] = {
        {"nothing", ""},
        {"no data", "0801"},
        {"an Ed25519 key of 31 bytes",
         "0801121fd1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2"
         "7e"},
        {"an unknown type", "080412201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3c"
                            "acf6010f0e42d474fce2"
                            "7e"},
        {"data first",
         "12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
         "0801"},
        {"a field more", "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf"
                         "6010f0e42d474fce2"
                         "7e1801"},
        {"a length that is not minimal", "080112a0001ed1e8fae2c4a144b8be8fd4b47"
                                         "bf3d3b34b871c3cacf6010f0e42d474fc"
                                         "e27e"},
        {"a point that is not on the curve",
         "08021221030000000000000000000000000000000000000000000000000000000000"
         "000007"},
        {"a point without its sign", "08021221047777e994e452c21604f91de093ce415"
                                     "f5432f701dd8cd1a7a6fea0e630bf"
                                     "ca99"},
        {"P-384",
         "080312783076301006072a8648ce3d020106052b8104002203620004c36e5414e9"
         "92f2896ad6c88a50da6bab9f25e6fabe9c687323573cac21cb36ea6e3d6a"
         "7b19093e3c"
         "47c66d07423ec239edfb131cf2b0e0d20d677f701131e7328f816464cb6e"
         "0bf7e60bec"
         "a3bd1be49bbcd9c6a51625b7af2c7016f4b0b9bae8"},
        {"RSA of 1024 bits",
         "080012a20130819f300d06092a864886f70d010101050003818d0030818902818100e"
         "6"
         "f36100a11544ce5b368226670fc57a3a5a2551dccdf5cde0826ad7a2ee3790aa701c3"
         "8"
         "9a301f8a7d6b5c07533769a613376d469efd704460414504ff92256aa690bbcaf656a"
         "b"
         "095032e29697d672dd9f8a3ce6635dbe33ffb9a5dda6287017121e04e047dbd948d82"
         "f"
         "10e1e52d689842e43b7a8f0d1898d894118cdf3c1fe90203010001"},
    };
    struct pubkey key;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        HEX(bytes, PUBKEY_MAX, rows[i].bytes);

        if (pubkey_decode(&key, bytes) != ERR_PROTO)
            fail_msg("accepted: %s", rows[i].why);
    }
}

/* Every way to cut a good key is bad; so is an ECDSA key that calls itself
 * RSA, and the reverse. */
static void half_a_key_is_accepted(void **state)
{
    HEX(ecdsa, 128, ecdsa_public);
    struct pubkey key;

    (void)state;
    for (size_t n = 0; n < ecdsa.len; n++)
        assert_err(ERR_PROTO, pubkey_decode(&key, SPAN(ecdsa.data, n)));
    ecdsa_bytes[1] = PUBKEY_RSA;
    assert_err(ERR_PROTO, pubkey_decode(&key, ecdsa));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_another_digest),
        cmocka_unit_test(hmac_or_hkdf_gives_another_key),
        cmocka_unit_test(x25519_gives_another_secret),
        cmocka_unit_test(x25519_accepts_a_point_of_low_order),
        cmocka_unit_test(aead_gives_other_bytes),
        cmocka_unit_test(aead_opens_what_was_altered),
        cmocka_unit_test(aead_cannot_seal_nothing),
        cmocka_unit_test(ed25519_signs_otherwise),
        cmocka_unit_test(key_file_is_written_otherwise),
        cmocka_unit_test(a_foreign_key_does_not_verify),
        cmocka_unit_test(a_key_of_the_specification_is_refused),
        cmocka_unit_test(a_bad_key_is_accepted),
        cmocka_unit_test(half_a_key_is_accepted),
    };

    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
