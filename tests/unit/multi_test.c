/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/base.h"
#include "multi/cid.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"
#include "multi/uvarint.h"

#include "support/test.h"
#include "vectors/multi_js.h"

#define HEX(name, max, text)   \
    uint8_t name##_bytes[max]; \
    struct span name = hex_bytes(text, name##_bytes, max)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Varints. */

static void a_varint_changes_on_its_way(void **state)
{
    static const struct {
        uint64_t value;
        const char *bytes;
    } rows[] = {
        {0, "00"},         {1, "01"},
        {127, "7f"},       {128, "8001"},
        {255, "ff01"},     {300, "ac02"},
        {16384, "808001"}, {INT64_MAX, "ffffffffffffffff7f"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        HEX(want, UVARINT_MAX, rows[i].bytes);
        uint8_t got[UVARINT_MAX];
        struct span s = want;
        uint64_t v;

        assert_span_equal(want, SPAN(got, uvarint_encode(rows[i].value, got)));
        assert_int_equal(want.len, uvarint_len(rows[i].value));
        assert_true(span_uvarint(&s, &v));
        assert_int_equal(rows[i].value, v);
        assert_int_equal(0, s.len);
    }
}

static void a_bad_varint_is_read(void **state)
{
    static const struct {
        const char *why, *bytes;
        enum err err; /* as a stream; OK: more may come */
    } rows[] = {
        {"nothing", "", OK},
        {"cut", "80", OK},
        {"a zero too long", "8000", ERR_PROTO},
        {"not minimal", "ff8000", ERR_PROTO},
        {"ten bytes", "80808080808080808001", ERR_PROTO},
        {"2^63", "8080808080808080808001", ERR_PROTO},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        HEX(bytes, 16, rows[i].bytes);
        struct span s = bytes;
        struct uvarint u = {0};
        bool whole;
        uint64_t v;

        if (span_uvarint(&s, &v) || s.len != bytes.len)
            fail_msg("read: %s", rows[i].why);
        assert_err(rows[i].err, uvarint_recv(&u, &s, &whole));
        assert_false(whole);
    }
}

static void a_cut_varint_is_read_otherwise(void **state)
{
    HEX(bytes, 16, "ac02808001");
    uint64_t want[] = {300, 16384}, got[2];
    struct uvarint u = {0};
    size_t n = 0;
    bool whole;

    (void)state;
    for (size_t i = 0; i < bytes.len; i++) {
        struct span one = SPAN(bytes.data + i, 1);

        assert_ok(uvarint_recv(&u, &one, &whole));
        if (whole)
            got[n++] = u.value;
    }
    assert_int_equal(2, n);
    assert_memory_equal(want, got, sizeof(want));
}

static void length_prefixed_bytes_run_over(void **state)
{
    HEX(bytes, 8, "03616263");
    struct span s = bytes, out;

    (void)state;
    assert_true(span_uvarint_bytes(&s, &out));
    assert_span_equal(SPAN_LIT("abc"), out);
    for (size_t n = 0; n < bytes.len; n++) {
        s = SPAN(bytes.data, n);
        assert_false(span_uvarint_bytes(&s, &out));
        assert_int_equal(n, s.len);
    }
}

/* Bases: multiformats/multibase/tests. */

static void text_of_bytes_differs_from_multibase(void **state)
{
    static const struct {
        enum base base;
        const char *basic, *one_zero, *two_zeros;
    } rows[] = {
        {BASE16, "f796573206d616e692021", "f00796573206d616e692021",
         "f0000796573206d616e692021"},
        {BASE32, "bpfsxgidnmfxgsibb", "bab4wk4zanvqw42jaee",
         "baaahszltebwwc3tjeaqq"},
        {BASE36, "k2lcpzo5yikidynfl", "k02lcpzo5yikidynfl",
         "k002lcpzo5yikidynfl"},
        {BASE58, "z7paNL19xttacUY", "z17paNL19xttacUY", "z117paNL19xttacUY"},
        {BASE64URL, "ueWVzIG1hbmkgIQ", "uAHllcyBtYW5pICE", "uAAB5ZXMgbWFuaSAh"},
    };
    static const char zeros[] = "\0\0yes mani !";

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *texts[] = {rows[i].basic, rows[i].one_zero,
                               rows[i].two_zeros};

        for (size_t z = 0; z < 3; z++) {
            struct span want = SPAN(zeros + 2 - z, sizeof(zeros) - 3 + z);
            uint8_t bytes[32];
            char text[64];
            size_t n;

            n = multibase_encode(rows[i].base, want, text, sizeof(text));
            assert_string_equal(texts[z], text);
            assert_int_equal(strlen(text), n);
            assert_true(n + 1 <= base_text_max(rows[i].base, want.len));
            assert_ok(
                multibase_decode(span_str(text), bytes, sizeof(bytes), &n));
            assert_span_equal(want, SPAN(bytes, n));
        }
    }
}

static void case_matters_where_it_does_not(void **state)
{
    static const char *texts[] = {
        "f68656c6c6f20776F726C64", "F68656c6c6f20776F726C64",
        "bnbswy3dpeB3W64TMMQ",     "Bnbswy3dpeB3W64TMMQ",
        "kfUvrsIvVnfRbjWaJo",      "KfUVrSIVVnFRbJWAJo",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        uint8_t bytes[32];
        size_t n;

        assert_ok(
            multibase_decode(span_str(texts[i]), bytes, sizeof(bytes), &n));
        assert_span_equal(SPAN_LIT("hello world"), SPAN(bytes, n));
    }
}

static void a_bad_text_is_decoded(void **state)
{
    static const struct {
        const char *why, *text;
    } rows[] = {
        {"nothing", ""},
        {"an unknown base", "xabcd"},
        {"zero in base 58", "z10"},
        {"l in base 58", "zl"},
        {"half a byte", "f123"},
        {"not a hex digit", "fgg"},
        {"one digit of base 32", "ba"},
        {"bits beyond the last byte, base 32", "bmb"},
        {"bits beyond the last byte, base 64", "uAB"},
        {"one digit of base 64", "uA"},
        {"padding", "uAA=="},
        {"the other base 64", "uA+/A"},
        {"a space", "z1 1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[32];
        size_t n;

        if (multibase_decode(span_str(rows[i].text), bytes, sizeof(bytes),
                             &n) != ERR_INVAL)
            fail_msg("decoded: %s", rows[i].why);
    }
}

static void a_text_overruns_the_room_it_has(void **state)
{
    static const enum base bases[] = {BASE16, BASE32, BASE36, BASE58,
                                      BASE64URL};
    uint8_t in[BASE_POSITIONAL_MAX], out[BASE_POSITIONAL_MAX];
    char text[2 * sizeof(in) + 2], ones[1000];
    size_t n, got;

    (void)state;
    for (size_t i = 0; i < COUNT(bases); i++) {
        for (size_t len = 0; len <= sizeof(in); len++) {
            memset(in, 0xff, len);
            n = base_encode(bases[i], SPAN(in, len), text, sizeof(text));
            assert_true(n + 2 <= base_text_max(bases[i], len));
            for (size_t room = 0; room < len; room += 1 + room / 8)
                assert_err(ERR_LIMIT, base_decode(bases[i], SPAN(text, n), out,
                                                  room, &got));
            assert_ok(base_decode(bases[i], SPAN(text, n), out, len, &got));
            assert_span_equal(SPAN(in, len), SPAN(out, got));
        }
    }
    memset(ones, '1', sizeof(ones));
    assert_err(ERR_LIMIT,
               base_decode(BASE58, SPAN_OF(ones), out, sizeof(out), &n));
    memset(ones, 'z', sizeof(ones));
    assert_err(ERR_LIMIT,
               base_decode(BASE58, SPAN_OF(ones), out, sizeof(out), &n));
}

/* Multihashes and CIDs. */

static void a_cid_is_printed_otherwise(void **state)
{
    /* "hello world" as a raw block; a v0 of peer-ids.md. */
    static const char v1[] =
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    static const char v0[] = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    uint8_t bytes[CID_MAX];
    char text[CID_TEXT_MAX];
    struct cid cid, again;
    size_t n;

    (void)state;
    cid_of_raw(&cid, SPAN_LIT("hello world"));
    (void)cid_format(&cid, text);
    assert_string_equal(v1, text);
    assert_ok(cid_parse(&again, span_str(text)));
    assert_memory_equal(&cid, &again, sizeof(cid));
    n = cid_encode(&cid, bytes);
    assert_ok(cid_decode(&again, SPAN(bytes, n)));
    assert_memory_equal(&cid, &again, sizeof(cid));
    for (size_t cut = 0; cut < n; cut++)
        assert_err(ERR_PROTO, cid_decode(&again, SPAN(bytes, cut)));

    assert_ok(cid_parse(&cid, span_str(v0)));
    assert_int_equal(0, cid.version);
    assert_int_equal(CID_DAG_PB, cid.codec);
    assert_int_equal(46, cid_format(&cid, text));
    assert_string_equal(v0, text);
    n = cid_encode(&cid, bytes);
    assert_int_equal(34, n);
    assert_ok(cid_decode(&again, SPAN(bytes, n)));
    assert_memory_equal(&cid, &again, sizeof(cid));
}

static void a_bad_cid_is_read(void **state)
{
    static const struct {
        const char *why, *bytes;
        enum err err;
    } rows[] = {
        {"version 2", "0255120100", ERR_PROTO},
        {"a SHA-256 of one byte", "0155120100", ERR_PROTO},
        {"bytes after it", "015500010000", ERR_PROTO},
        {"a digest of 65 bytes",
         "01550041"
         "0000000000000000000000000000000000000000000000000000000000000000"
         "000000000000000000000000000000000000000000000000000000000000000000",
         ERR_LIMIT},
    };
    struct cid cid;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        HEX(bytes, 80, rows[i].bytes);

        if (cid_decode(&cid, bytes) != rows[i].err)
            fail_msg("%s", rows[i].why);
    }
    /* A v0 has no multibase form. */
    assert_err(ERR_INVAL,
               cid_parse(&cid, SPAN_LIT("zQmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXm"
                                        "mE7DWjhx5N")));
}

/* Peer ids. */

static void a_peer_id_differs_from_the_one_js_makes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(js_keys); i++) {
        HEX(protobuf, PUBKEY_MAX, js_keys[i].protobuf);
        const char *texts[] = {js_keys[i].base58, js_keys[i].base32,
                               js_keys[i].base36};
        struct peer_id id, parsed;
        char text[PEER_ID_TEXT_MAX];
        struct pubkey key, inside;

        assert_ok(pubkey_decode(&key, protobuf));
        peer_id_from_pubkey(&id, &key);
        assert_string_equal(js_keys[i].base58, peer_id_format(&id, text));
        assert_string_equal(js_keys[i].base36,
                            peer_id_format_base36(&id, text));
        for (size_t t = 0; t < COUNT(texts); t++) {
            assert_ok(peer_id_parse(&parsed, span_str(texts[t])));
            assert_true(peer_id_eq(&id, &parsed));
        }
        if (key.type == PUBKEY_RSA) {
            assert_err(ERR_NOT_FOUND, peer_id_pubkey(&id, &inside));
        } else {
            assert_ok(peer_id_pubkey(&id, &inside));
            assert_memory_equal(&key, &inside, sizeof(key));
        }
    }
}

/* spec: peer-ids/peer-ids.md#decoding, its examples */
static void both_forms_of_a_peer_id_differ(void **state)
{
    struct peer_id a, b;
    char text[PEER_ID_TEXT_MAX];

    (void)state;
    assert_ok(peer_id_parse(&a, SPAN_LIT("bafzbeie5745rpv2m6tjyuugywy4d5ewrqgq"
                                         "qhfnf445he3omzpjbx5xqxe")));
    assert_ok(peer_id_parse(
        &b, SPAN_LIT("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")));
    assert_true(peer_id_eq(&a, &b));
    assert_string_equal("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
                        peer_id_format(&a, text));
    assert_ok(peer_id_parse(
        &a, SPAN_LIT("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA")));
    assert_string_equal("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
                        peer_id_format(&a, text));
}

static void a_bad_peer_id_is_read(void **state)
{
    static const char *texts[] = {
        "",
        "1",
        "Qm",
        "k51",
        "12D3KooW",
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5S",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N5",
        /* a CID, but not of a key */
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        /* base58 with the prefix of multibase, but no CID */
        "zQmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
    };
    static const char *bytes[] = {
        "",
        "00",
        "0000",     /* no key */
        "0002ab",   /* cut */
        "0001abcd", /* too long */
        "1202abcd", /* a short SHA-256 */
        "1302abcd", /* another hash */
        "002b"
        "0000000000000000000000" /* 43 bytes inside */
        "0000000000000000000000000000000000000000000000000000000000000000",
    };
    struct peer_id id;
    struct pubkey key;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (peer_id_parse(&id, span_str(texts[i])) != ERR_INVAL)
            fail_msg("parsed: %s", texts[i]);
    for (size_t i = 0; i < COUNT(bytes); i++) {
        HEX(s, 64, bytes[i]);

        if (peer_id_decode(&id, s) != ERR_PROTO)
            fail_msg("decoded: %s", bytes[i]);
    }
    /* An id may hold what is no key; only who wants the key minds. */
    assert_ok(peer_id_decode(&id, SPAN("\x00\x01x", 3)));
    assert_err(ERR_PROTO, peer_id_pubkey(&id, &key));
}

/* Multiaddrs. */

static void an_address_differs_from_the_one_js_makes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(js_addresses); i++) {
        HEX(want, MULTIADDR_MAX, js_addresses[i].bytes);
        char text[MULTIADDR_TEXT_MAX];
        struct multiaddr parsed, decoded;

        assert_ok(multiaddr_parse(&parsed, span_str(js_addresses[i].text)));
        assert_span_equal(want, multiaddr_span(&parsed));
        assert_ok(multiaddr_decode(&decoded, want));
        assert_memory_equal(&parsed, &decoded, sizeof(parsed));
        assert_string_equal(js_addresses[i].text,
                            multiaddr_format(&decoded, text));
    }
}

static void half_an_address_is_read(void **state)
{
    HEX(bytes, MULTIADDR_MAX,
        "0409080706060fa1a503260024080112202ffa35a99d3a3cfbb17bb7c1dc5561b1"
        "8a8dcca4df38dc613ea859c37eb1336ba202");
    struct multiaddr m;

    (void)state;
    for (size_t n = 0; n < bytes.len; n++) {
        /* whole after the host, after the port, after the peer */
        bool whole = n == 5 || n == 8 || n == 49;

        assert_err(whole ? OK : ERR_PROTO,
                   multiaddr_decode(&m, SPAN(bytes.data, n)));
    }
}

static void a_bad_address_is_read(void **state)
{
    static const char *texts[] = {
        "",
        "/",
        "ip4/1.2.3.4",
        "/ip4",
        "/ip4/",
        "/ip4/1.2.3.4/",
        "/ip4/1.2.3.4/tcp",
        "/ip4/1.2.3.4/tcp/",
        "/ip4/1.2.3.4/tcp/65536",
        "/ip4/1.2.3.4/tcp/-1",
        "/ip4/1.2.3.4/tcp/+1",
        "/ip4/1.2.3.4/tcp/000001",
        "/ip4/1.2.3/tcp/1",
        "/ip4/1.2.3.256/tcp/1",
        "/ip6/1.2.3.4/tcp/1",
        "/ip6/::g/tcp/1",
        "/ip4/::1/tcp/1",
        "/dns//tcp/1",
        "/dns/a b/tcp/1",
        "/p2p/abc",
        "/nosuch/1",
        "//ip4/1.2.3.4",
        "/p2p-circuit/1",
        "/certhash/zQm",
    };
    static const char *bytes[] = {
        "",               /* nothing */
        "0501020304",     /* code 5 */
        "8400010203",     /* ip4, not minimal */
        "3500",           /* an empty name */
        "3501002f",       /* a zero byte in it */
        "35012f",         /* a slash in it */
        "3503616263ff",   /* rubbish after it */
        "a5030412020000", /* a short peer id */
    };
    struct multiaddr m;

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (multiaddr_parse(&m, span_str(texts[i])) != ERR_INVAL)
            fail_msg("parsed: %s", texts[i]);
    for (size_t i = 0; i < COUNT(bytes); i++) {
        HEX(s, 64, bytes[i]);

        if (multiaddr_decode(&m, s) != ERR_PROTO)
            fail_msg("decoded: %s", bytes[i]);
    }
    assert_err(ERR_INVAL,
               multiaddr_parse(&m, SPAN("/ip4/1.2.3.4\0/tcp/1", 19)));
}

static void an_address_grows_beyond_its_limits(void **state)
{
    uint8_t bytes[MULTIADDR_MAX + 2] = {MULTIADDR_DNS, 200};
    char text[MULTIADDR_TEXT_MAX + 16] = "";
    struct multiaddr m;
    struct peer_id id;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i += 2)
        memcpy(bytes + i, "\xdd\x03", 2); /* ws */
    assert_ok(multiaddr_decode(&m, SPAN(bytes, 2 * MULTIADDR_PARTS_MAX)));
    assert_err(ERR_LIMIT,
               multiaddr_decode(&m, SPAN(bytes, 2 * MULTIADDR_PARTS_MAX + 2)));
    assert_err(ERR_LIMIT, multiaddr_decode(&m, SPAN(bytes, MULTIADDR_MAX + 2)));
    for (int i = 0; i < MULTIADDR_PARTS_MAX; i++)
        strcat(text, "/ws");
    assert_ok(multiaddr_parse(&m, span_str(text)));
    strcat(text, "/ws");
    assert_err(ERR_LIMIT, multiaddr_parse(&m, span_str(text)));

    /* Room for a name, not for a peer as well. */
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "\x35\xfd\x01", 3);
    assert_ok(multiaddr_decode(&m, SPAN(bytes, MULTIADDR_MAX)));
    assert_ok(peer_id_decode(&id, SPAN("\x00\x01x", 3)));
    assert_err(ERR_LIMIT, multiaddr_add_peer(&m, &id));
    assert_int_equal(MULTIADDR_MAX, m.len);
    memset(text, '/', sizeof(text));
    assert_err(ERR_LIMIT, multiaddr_parse(&m, SPAN_OF(text)));
}

static void the_longest_address_cannot_be_printed(void **state)
{
    struct multiaddr m = {0};
    char text[MULTIADDR_TEXT_MAX];
    uint8_t bytes[MULTIADDR_MAX];
    size_t n = 0;

    (void)state;
    /* ip6 is what grows most: 17 bytes become 44 characters. */
    for (; n + 17 <= sizeof(bytes); n += 17) {
        memset(bytes + n, 0xff, 17);
        bytes[n] = MULTIADDR_IP6;
    }
    assert_ok(multiaddr_decode(&m, SPAN(bytes, n)));
    assert_int_equal(n / 17 * 44, strlen(multiaddr_format(&m, text)));
}

static struct multiaddr addr(const char *text)
{
    struct multiaddr m;

    if (multiaddr_parse(&m, span_str(text)) != OK)
        fail_msg("cannot parse %s", text);
    return m;
}

#define PEER_A "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define PEER_B "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static void a_peer_is_put_on_wrongly(void **state)
{
    struct multiaddr bare = addr("/ip4/1.2.3.4/tcp/1");
    struct multiaddr full = addr("/ip4/1.2.3.4/tcp/1/p2p/" PEER_A);
    struct multiaddr relay = addr("/p2p/" PEER_A "/p2p-circuit");
    struct multiaddr old = addr("/ip4/1.2.3.4/tcp/1/ipfs/" PEER_A);
    struct multiaddr m = bare;
    struct peer_id a, b, got;

    (void)state;
    assert_ok(peer_id_parse(&a, SPAN_LIT(PEER_A)));
    assert_ok(peer_id_parse(&b, SPAN_LIT(PEER_B)));
    assert_true(multiaddr_eq(&full, &old));
    assert_false(multiaddr_peer(&bare, &got));
    assert_false(multiaddr_peer(&relay, &got)); /* that is the relay */
    assert_true(multiaddr_peer(&full, &got));
    assert_true(peer_id_eq(&a, &got));

    assert_ok(multiaddr_add_peer(&m, &a));
    assert_memory_equal(&full, &m, sizeof(m));
    assert_ok(multiaddr_add_peer(&m, &a));
    assert_memory_equal(&full, &m, sizeof(m));
    assert_err(ERR_INVAL, multiaddr_add_peer(&m, &b));
    multiaddr_strip_peer(&m);
    assert_memory_equal(&bare, &m, sizeof(m));
    multiaddr_strip_peer(&m);
    assert_memory_equal(&bare, &m, sizeof(m));
    assert_true(multiaddr_has(&relay, MULTIADDR_P2P_CIRCUIT));
    assert_false(multiaddr_has(&full, MULTIADDR_P2P_CIRCUIT));
}

static void an_address_is_taken_for_another_scope(void **state)
{
    static const struct {
        enum multiaddr_scope scope;
        const char *text;
    } rows[] = {
        {MULTIADDR_LOOPBACK, "/ip4/127.0.0.1/tcp/1"},
        {MULTIADDR_LOOPBACK, "/ip4/127.255.1.2/tcp/1"},
        {MULTIADDR_LOOPBACK, "/ip6/::1/tcp/1"},
        {MULTIADDR_LOOPBACK, "/ip6/::ffff:127.0.0.1/tcp/1"},
        {MULTIADDR_LOOPBACK, "/dns/localhost/tcp/1"},
        {MULTIADDR_LOOPBACK, "/dns4/a.localhost/tcp/1"},
        {MULTIADDR_NAMED, "/dns/notlocalhost/tcp/1"},
        {MULTIADDR_NAMED, "/dnsaddr/example.org"},
        {MULTIADDR_PRIVATE, "/ip4/10.1.2.3/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/172.16.0.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/172.31.255.255/tcp/1"},
        {MULTIADDR_GLOBAL, "/ip4/172.32.0.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/192.168.1.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/100.64.0.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/100.127.0.1/tcp/1"},
        {MULTIADDR_GLOBAL, "/ip4/100.128.0.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip4/169.254.0.1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip6/fe80::1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip6/fd00::1/tcp/1"},
        {MULTIADDR_PRIVATE, "/ip6/64:ff9b::a00:1/tcp/1"},
        {MULTIADDR_GLOBAL, "/ip4/1.2.3.4/tcp/1"},
        {MULTIADDR_GLOBAL, "/ip4/223.255.255.255/udp/1/quic-v1"},
        {MULTIADDR_GLOBAL, "/ip6/2a00::1/tcp/1"},
        {MULTIADDR_GLOBAL, "/ip6/::ffff:1.2.3.4/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip4/0.0.0.0/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip4/224.0.0.1/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip4/255.255.255.255/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip4/192.0.2.1/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip6/::/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip6/ff02::1/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/ip6/2001:db8::1/tcp/1"},
        {MULTIADDR_UNREACHABLE, "/p2p-circuit"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct multiaddr m = addr(rows[i].text);
        enum multiaddr_scope scope = multiaddr_scope(&m);

        if (scope != rows[i].scope)
            fail_msg("%s: %d", rows[i].text, scope);
        assert_int_equal(scope == MULTIADDR_LOOPBACK,
                         multiaddr_is_loopback(&m));
        assert_int_equal(scope == MULTIADDR_GLOBAL, multiaddr_is_global(&m));
        assert_int_equal(scope == MULTIADDR_LOOPBACK ||
                             scope == MULTIADDR_PRIVATE,
                         multiaddr_is_private(&m));
    }
}

static uint64_t group(const char *text)
{
    struct multiaddr m = addr(text);

    return multiaddr_ip_group(&m);
}

static void strangers_are_in_one_ip_group(void **state)
{
    (void)state;
    assert_int_equal(group("/ip4/1.2.3.4/tcp/1"), group("/ip4/1.2.9.9/tcp/2"));
    assert_int_equal(group("/ip4/1.2.3.4/tcp/1"),
                     group("/ip6/::ffff:1.2.9.9/tcp/2"));
    assert_int_not_equal(group("/ip4/1.2.3.4/tcp/1"),
                         group("/ip4/1.3.3.4/tcp/1"));
    assert_int_equal(group("/ip6/2a00:1::1/tcp/1"),
                     group("/ip6/2a00:1:ffff::9/tcp/1"));
    assert_int_not_equal(group("/ip6/2a00:1::1/tcp/1"),
                         group("/ip6/2a00:2::1/tcp/1"));
    assert_int_not_equal(group("/ip4/0.1.0.0/tcp/1"),
                         group("/ip6/0:1::/tcp/1"));
    assert_int_equal(0, group("/dns/example.org/tcp/1"));
}

static uint64_t key(const char *text)
{
    struct multiaddr m = addr(text);

    return multiaddr_ip_key(&m);
}

static void those_of_one_address_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(0x01020304, key("/ip4/1.2.3.4/tcp/1"));
    assert_int_equal(key("/ip4/1.2.3.4/tcp/1"), key("/ip4/1.2.3.4/tcp/2"));
    assert_int_equal(key("/ip4/1.2.3.4/tcp/1"),
                     key("/ip6/::ffff:1.2.3.4/tcp/2"));
    assert_int_not_equal(key("/ip4/1.2.3.4/tcp/1"), key("/ip4/1.2.3.5/tcp/1"));
    /* A /64 belongs to one. */
    assert_int_equal(key("/ip6/2a00:1:2:3::1/tcp/1"),
                     key("/ip6/2a00:1:2:3:ffff::9/tcp/1"));
    assert_int_not_equal(key("/ip6/2a00:1:2:3::1/tcp/1"),
                         key("/ip6/2a00:1:2:4::1/tcp/1"));
    /* Many share these, or they say nothing. */
    assert_int_equal(0, key("/ip4/127.0.0.1/tcp/1"));
    assert_int_equal(0, key("/ip4/10.1.2.3/tcp/1"));
    assert_int_equal(0, key("/ip4/192.168.1.1/tcp/1"));
    assert_int_equal(0, key("/ip4/100.64.0.1/tcp/1"));
    assert_int_equal(0, key("/ip6/::1/tcp/1"));
    assert_int_equal(0, key("/ip6/fd00::1/tcp/1"));
    assert_int_equal(0, key("/dns/example.org/tcp/1"));
}

static void what_cannot_be_dialled_has_an_endpoint(void **state)
{
    static const struct {
        const char *text;
        enum endpoint_kind kind;
        const char *name;
        uint16_t port;
        bool has_peer;
    } good[] = {
        {"/ip4/1.2.3.4/tcp/4001", ENDPOINT_IP4, "", 4001, false},
        {"/ip6/::1/tcp/1/p2p/" PEER_A, ENDPOINT_IP6, "", 1, true},
        {"/dns/example.org/tcp/65535", ENDPOINT_DNS, "example.org", 65535,
         false},
        {"/dns4/a/tcp/1", ENDPOINT_DNS4, "a", 1, false},
        {"/dns6/a/tcp/1", ENDPOINT_DNS6, "a", 1, false},
        {"/dnsaddr/example.org", ENDPOINT_DNSADDR, "example.org", 0, false},
        {"/dnsaddr/a/p2p/" PEER_A, ENDPOINT_DNSADDR, "a", 0, true},
    };
    static const char *bad[] = {
        "/ip4/1.2.3.4",
        "/ip4/1.2.3.4/udp/1",
        "/ip4/1.2.3.4/udp/1/quic-v1",
        "/ip4/1.2.3.4/tcp/1/ws",
        "/ip4/1.2.3.4/tcp/1/tls/ws",
        ("/ip4/1.2.3.4/tcp/1/p2p/" PEER_A "/p2p-circuit"),
        ("/ip4/1.2.3.4/tcp/1/p2p/" PEER_A "/p2p-circuit/p2p/" PEER_B),
        "/p2p/" PEER_A,
        "/dnsaddr/a/tcp/1",
        "/tcp/1",
    };
    struct multiaddr m;
    struct endpoint e;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        m = addr(good[i].text);
        assert_true(multiaddr_endpoint(&m, &e));
        assert_int_equal(good[i].kind, e.kind);
        assert_string_equal(good[i].name, e.name);
        assert_int_equal(good[i].port, e.port);
        assert_int_equal(good[i].has_peer, e.peer.len > 0);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        m = addr(bad[i]);
        if (multiaddr_endpoint(&m, &e))
            fail_msg("dialled: %s", bad[i]);
    }
    m = addr("/ip4/1.2.3.4/tcp/4001");
    assert_true(multiaddr_endpoint(&m, &e));
    assert_memory_equal("\x01\x02\x03\x04", e.ip, 4);
    multiaddr_from_ip(&m, SPAN(e.ip, 4), 4001);
    assert_true(multiaddr_endpoint(&m, &e));
    assert_int_equal(4001, e.port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_varint_changes_on_its_way),
        cmocka_unit_test(a_bad_varint_is_read),
        cmocka_unit_test(a_cut_varint_is_read_otherwise),
        cmocka_unit_test(length_prefixed_bytes_run_over),
        cmocka_unit_test(text_of_bytes_differs_from_multibase),
        cmocka_unit_test(case_matters_where_it_does_not),
        cmocka_unit_test(a_bad_text_is_decoded),
        cmocka_unit_test(a_text_overruns_the_room_it_has),
        cmocka_unit_test(a_cid_is_printed_otherwise),
        cmocka_unit_test(a_bad_cid_is_read),
        cmocka_unit_test(a_peer_id_differs_from_the_one_js_makes),
        cmocka_unit_test(both_forms_of_a_peer_id_differ),
        cmocka_unit_test(a_bad_peer_id_is_read),
        cmocka_unit_test(an_address_differs_from_the_one_js_makes),
        cmocka_unit_test(half_an_address_is_read),
        cmocka_unit_test(a_bad_address_is_read),
        cmocka_unit_test(an_address_grows_beyond_its_limits),
        cmocka_unit_test(the_longest_address_cannot_be_printed),
        cmocka_unit_test(a_peer_is_put_on_wrongly),
        cmocka_unit_test(an_address_is_taken_for_another_scope),
        cmocka_unit_test(strangers_are_in_one_ip_group),
        cmocka_unit_test(those_of_one_address_are_told_apart),
        cmocka_unit_test(what_cannot_be_dialled_has_an_endpoint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
