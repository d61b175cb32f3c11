/* SPDX-License-Identifier: Apache-2.0 */
#include "identify/identify.h"

#include "identify/record.h"
#include "multi/uvarint.h"
#include "wire/delim.h"
#include "wire/envelope.pb-c.h"
#include "wire/identify.pb-c.h"

#include "support/test.h"
#include "vectors/identify_js.h"

struct who {
    struct ed25519_keypair key;
    struct pubkey pub;
    struct peer_id id;
};

static struct who who(uint8_t n)
{
    uint8_t seed[ED25519_SEED_LEN] = {n};
    struct who w;

    ed25519_from_seed(&w.key, seed);
    pubkey_from_ed25519(&w.pub, w.key.pub);
    peer_id_from_ed25519(&w.id, w.key.pub);
    return w;
}

static struct multiaddr addr(const char *text)
{
    struct multiaddr m;

    assert_ok(multiaddr_parse(&m, span_str(text)));
    return m;
}

static void assert_addr(const char *want, const struct multiaddr *got)
{
    char text[MULTIADDR_TEXT_MAX];

    assert_string_equal(want, multiaddr_format(got, text));
}

/* Feed all of |bytes| in pieces cut at |cut|; end the stream; judge. */
static enum err hear_cut(struct identify_reader *r, struct span bytes,
                         size_t cut, const struct peer_id *remote,
                         const struct identify_info **info)
{
    struct span head = span_take(&bytes, cut);

    TRY(identify_reader_recv(r, &head));
    TRY(identify_reader_recv(r, &bytes));
    return identify_reader_finish(r, remote, false, info);
}

static enum err hear(struct identify_reader *r, struct span bytes,
                     const struct peer_id *remote,
                     const struct identify_info **info)
{
    return hear_cut(r, bytes, 0, remote, info);
}

static const char *const protocols[] = {"/ipfs/id/1.0.0", "/ipfs/ping/1.0.0",
                                        "/souk/kad/1.0.0"};

static enum err say(const struct who *w, const struct multiaddr *addrs,
                    size_t addr_count, const struct mem *mem, struct buf *out)
{
    struct multiaddr observed = addr("/ip4/198.51.100.9/tcp/33333");
    struct identify_self self = {
        .public_key = pubkey_span(&w->pub),
        .addrs = addrs,
        .addr_count = addr_count,
        .protocols = protocols,
        .protocol_count = 3,
        .observed = &observed,
        .protocol_version = "/souk/1.0.0",
        .agent_version = "souk/0.1.0",
    };
    struct buf record;
    enum err err;

    buf_init(&record, 4096, mem);
    err = identify_make_record(&w->key, addrs, addr_count, 42, mem, &record);
    self.signed_record = buf_span(&record);
    if (err == OK)
        err = identify_encode(&self, mem, out);
    buf_release(&record);
    return err;
}

/* ---- Vectors. ---- */

static void a_message_of_js_is_understood(void **state)
{
    uint8_t bytes[1024], framed[1024];
    struct span message = hex_bytes(JS_IDENTIFY, bytes, sizeof(bytes));
    size_t n = uvarint_encode(message.len, framed);
    struct identify_reader *r = identify_reader_new(&mem_libc);
    const struct identify_info *info;
    struct peer_id peer;

    (void)state;
    memcpy(framed + n, message.data, message.len);
    assert_ok(peer_id_parse(&peer, SPAN_LIT(JS_PEER)));
    assert_ok(hear(r, SPAN(framed, n + message.len), &peer, &info));
    assert_string_equal("ipfs/0.1.0", info->protocol_version);
    assert_string_equal("js-libp2p/3.3.8", info->agent_version);
    assert_addr("/ip4/198.51.100.9/tcp/33333", &info->observed);
    assert_int_equal(2, info->protocol_count);
    assert_true(identify_has_protocol(info, "/meshsub/1.2.0"));
    assert_false(identify_has_protocol(info, "/meshsub/1.2"));
    /* The record's addresses, not those told without signature. */
    assert_true(info->has_record);
    assert_int_equal(1762122000000, info->record_seq);
    assert_int_equal(2, info->addr_count);
    assert_addr("/ip4/203.0.113.7/tcp/4001", &info->addrs[0]);
    assert_addr("/dns4/js.example.org/tcp/443/wss", &info->addrs[1]);
    identify_reader_free(r);
}

static void our_record_is_byte_for_byte_what_js_makes(void **state)
{
    struct multiaddr addrs[] = {addr("/ip4/203.0.113.7/tcp/4001"),
                                addr("/dns4/js.example.org/tcp/443/wss")};
    uint8_t bytes[1024], seed[ED25519_SEED_LEN];
    struct ed25519_keypair key;
    struct buf out;

    (void)state;
    for (uint8_t i = 0; i < sizeof(seed); i++)
        seed[i] = i;
    ed25519_from_seed(&key, seed);
    buf_init(&out, 4096, &mem_libc);
    assert_ok(
        identify_make_record(&key, addrs, 2, 1762122000000, &mem_libc, &out));
    assert_span_equal(hex_bytes(JS_ENVELOPE, bytes, sizeof(bytes)),
                      buf_span(&out));
    buf_release(&out);
}

static void every_altered_byte_of_a_js_record_is_noticed(void **state)
{
    uint8_t bytes[1024];
    struct span envelope = hex_bytes(JS_ENVELOPE, bytes, sizeof(bytes));
    struct record record;
    struct peer_id peer;

    (void)state;
    assert_ok(peer_id_parse(&peer, SPAN_LIT(JS_PEER)));
    assert_ok(record_open(envelope, &peer, &mem_libc, &record));
    for (size_t i = 0; i < envelope.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            assert_true(record_open(envelope, &peer, &mem_libc, &record) != OK);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
}

/* ---- Round trip. ---- */

static void what_we_say_is_heard(void **state)
{
    struct who w = who(1);
    struct multiaddr addrs[] = {addr("/ip4/192.0.2.7/tcp/4001"),
                                addr("/dns/souk.example/tcp/4001")};
    struct identify_reader *r = identify_reader_new(&mem_libc);
    const struct identify_info *info;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16, &mem_libc);
    assert_ok(say(&w, addrs, 2, &mem_libc, &out));
    assert_ok(hear(r, buf_span(&out), &w.id, &info));
    assert_true(peer_id_eq(&w.id, &info->peer));
    assert_true(info->has_record);
    assert_int_equal(42, info->record_seq);
    assert_int_equal(2, info->addr_count);
    assert_true(multiaddr_eq(&addrs[0], &info->addrs[0]));
    assert_true(multiaddr_eq(&addrs[1], &info->addrs[1]));
    assert_int_equal(3, info->protocol_count);
    for (int i = 0; i < 3; i++)
        assert_true(identify_has_protocol(info, protocols[i]));
    assert_string_equal("/souk/1.0.0", info->protocol_version);
    assert_string_equal("souk/0.1.0", info->agent_version);
    buf_release(&out);
    identify_reader_free(r);
}

/* ---- Any cut. ---- */

static void input_may_be_cut_anywhere(void **state)
{
    struct who w = who(1);
    struct multiaddr a = addr("/ip4/192.0.2.7/tcp/4001");
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16, &mem_libc);
    assert_ok(say(&w, &a, 1, &mem_libc, &out));
    for (size_t cut = 0; cut <= buf_len(&out); cut++) {
        struct identify_reader *r = identify_reader_new(&mem_libc);
        const struct identify_info *info;

        assert_ok(hear_cut(r, buf_span(&out), cut, &w.id, &info));
        assert_true(info->has_record);
        assert_int_equal(3, info->protocol_count);
        identify_reader_free(r);
        /* And the stream that ends there is noticed. */
        r = identify_reader_new(&mem_libc);
        if (cut < buf_len(&out))
            assert_err(ERR_PROTO,
                       hear(r, SPAN(buf_span(&out).data, cut), &w.id, &info));
        identify_reader_free(r);
        /* Also behind a whole message. */
        r = identify_reader_new(&mem_libc);
        assert_ok(hear(r, buf_span(&out), &w.id, &info));
        if (cut > 0 && cut < buf_len(&out))
            assert_err(ERR_PROTO,
                       hear(r, SPAN(buf_span(&out).data, cut), &w.id, &info));
        identify_reader_free(r);
    }
    buf_release(&out);
}

/* go sends the signed record in a second message. */
static void messages_accumulate_until_the_stream_ends(void **state)
{
    struct who w = who(1);
    struct multiaddr b = addr("/ip4/192.0.2.8/tcp/4001");
    struct identify_reader *r = identify_reader_new(&mem_libc);
    const struct identify_info *info;
    struct span id1 = SPAN_LIT("/a/1"), id2 = SPAN_LIT("/b/1");
    ProtobufCBinaryData p1 = wire_bytes(id1), p2 = wire_bytes(id2);
    Wire__Identify m1 = WIRE__IDENTIFY__INIT, m2 = WIRE__IDENTIFY__INIT;
    struct buf out, record;

    (void)state;
    buf_init(&out, 1 << 16, &mem_libc);
    buf_init(&record, 4096, &mem_libc);
    assert_ok(identify_make_record(&w.key, &b, 1, 7, &mem_libc, &record));
    m1.public_key = wire_bytes(pubkey_span(&w.pub));
    m1.agent_version = wire_bytes(SPAN_LIT("first"));
    m1.n_protocols = m2.n_protocols = 1;
    m1.protocols = &p1;
    m2.protocols = &p2;
    m2.agent_version = wire_bytes(SPAN_LIT("last wins"));
    m2.signed_peer_record = wire_bytes(buf_span(&record));
    assert_ok(wire_put_delim(&out, &m1.base));
    assert_ok(wire_put_delim(&out, &m2.base));
    assert_ok(hear(r, buf_span(&out), &w.id, &info));
    assert_int_equal(2, info->protocol_count);
    assert_string_equal("last wins", info->agent_version);
    assert_true(info->has_record);
    assert_int_equal(7, info->record_seq);
    assert_true(multiaddr_eq(&b, &info->addrs[0]));
    buf_release(&out);
    buf_release(&record);
    identify_reader_free(r);
}

/* ---- Forbidden. ---- */

static void forbidden_messages_are_refused(void **state)
{
    struct who w = who(1), other = who(2);
    static const struct {
        const char *why;
        int key;         /* 0 none, 1 its own, 2 another's, 3 rubbish */
        const char *hex; /* instead of a message */
        enum err want;
    } cases[] = {
        {"no message at all", 0, "", ERR_PROTO},
        {"half a length", 0, "80", ERR_PROTO},
        {"half a message", 0, "050a03", ERR_PROTO},
        {"a length that is not minimal", 0, "8000", ERR_PROTO},
        {"a message above 8,192", 0, "8140", ERR_FRAME_SIZE},
        {"no protobuf", 0, "020aff", ERR_PROTO},
        {"an empty message", 0, "00", ERR_PROTO},
        {"no key", 0, NULL, ERR_PROTO},
        {"another's key", 2, NULL, ERR_WRONG_PEER},
        {"a key that is none", 3, NULL, ERR_PROTO},
        {"but its own is right", 1, NULL, OK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct identify_reader *r = identify_reader_new(&mem_libc);
        const struct identify_info *info;
        Wire__Identify m = WIRE__IDENTIFY__INIT;
        uint8_t bytes[16];
        struct buf out;
        enum err err;

        buf_init(&out, 4096, &mem_libc);
        m.agent_version = wire_bytes(SPAN_LIT("x"));
        if (cases[i].key == 1)
            m.public_key = wire_bytes(pubkey_span(&w.pub));
        if (cases[i].key == 2)
            m.public_key = wire_bytes(pubkey_span(&other.pub));
        if (cases[i].key == 3)
            m.public_key = wire_bytes(SPAN_LIT("rubbish"));
        if (cases[i].hex != NULL)
            assert_ok(
                buf_put(&out, hex_bytes(cases[i].hex, bytes, sizeof(bytes))));
        else
            assert_ok(wire_put_delim(&out, &m.base));
        err = hear(r, buf_span(&out), &w.id, &info);
        if (err != cases[i].want)
            fail_msg("%s: %s", cases[i].why, err_name(err));
        buf_release(&out);
        identify_reader_free(r);
    }
}

/* |seal| the record of |about| by |signer|; 0: of the right type. */
static void make_foreign_record(const struct who *signer,
                                const struct who *about, int spoil,
                                struct buf *out)
{
    static const uint8_t type[] = {3, 1}, other_type[] = {3, 2};
    struct span used = SPAN(spoil == 1 ? other_type : type, 2);
    struct multiaddr a = addr("/ip4/6.6.6.6/tcp/6");
    Wire__PeerRecord__Address address = WIRE__PEER_RECORD__ADDRESS__INIT;
    Wire__PeerRecord__Address *addresses[] = {&address};
    Wire__PeerRecord record = WIRE__PEER_RECORD__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    uint8_t signature[64];
    struct buf payload, to_sign;

    buf_init(&payload, 1024, &mem_libc);
    buf_init(&to_sign, 1024, &mem_libc);
    address.multiaddr = wire_bytes(multiaddr_span(&a));
    record.peer_id = wire_bytes(peer_id_span(&about->id));
    record.seq = 1;
    record.n_addresses = 1;
    record.addresses = addresses;
    assert_ok(wire_put(&payload, &record.base));
    assert_ok(delim_put(&to_sign, spoil == 2 ? SPAN_LIT("libp2p-routing-state")
                                             : SPAN_LIT("libp2p-peer-record")));
    assert_ok(delim_put(&to_sign, used));
    assert_ok(delim_put(&to_sign, buf_span(&payload)));
    ed25519_sign(&signer->key, buf_span(&to_sign), signature);
    envelope.public_key = wire_bytes(pubkey_span(&signer->pub));
    envelope.payload_type = wire_bytes(used);
    envelope.payload = wire_bytes(buf_span(&payload));
    envelope.signature = wire_bytes(SPAN(signature, spoil == 3 ? 63 : 64));
    assert_ok(wire_put(out, &envelope.base));
    buf_release(&payload);
    buf_release(&to_sign);
}

/* The same when somebody else handed it on. */
static void assert_handed_on(struct span record, const struct who *about,
                             bool is_good)
{
    struct multiaddr addrs[IDENTIFY_ADDRS_MAX];
    size_t count = 0;
    enum err err =
        identify_open_record(record, &about->id, &mem_libc, addrs, &count);

    assert_int_equal(is_good, err == OK);
    assert_int_equal(is_good, count);
    if (is_good)
        assert_addr("/ip4/6.6.6.6/tcp/6", &addrs[0]);
}

static void a_bad_record_is_ignored_and_the_rest_kept(void **state)
{
    struct who w = who(1), other = who(2);
    struct {
        const char *why;
        const struct who *signer, *about;
        int spoil;
    } cases[] = {
        {"signed by another", &other, &w, 0},
        {"about another", &w, &other, 0},
        {"of and about another", &other, &other, 0},
        {"another type", &w, &w, 1},
        {"another domain", &w, &w, 2},
        {"a cut signature", &w, &w, 3},
        {"rubbish", &w, &w, 4},
    };

    (void)state;
    for (size_t i = 0; i <= sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_good = i == sizeof(cases) / sizeof(cases[0]);
        struct identify_reader *r = identify_reader_new(&mem_libc);
        struct multiaddr a = addr("/ip4/192.0.2.7/tcp/4001");
        ProtobufCBinaryData told = wire_bytes(multiaddr_span(&a));
        Wire__Identify m = WIRE__IDENTIFY__INIT;
        const struct identify_info *info;
        struct buf out, record;

        buf_init(&out, 8192, &mem_libc);
        buf_init(&record, 4096, &mem_libc);
        if (is_good)
            make_foreign_record(&w, &w, 0, &record);
        else if (cases[i].spoil == 4)
            assert_ok(buf_put_str(&record, "rubbish"));
        else
            make_foreign_record(cases[i].signer, cases[i].about, cases[i].spoil,
                                &record);
        m.public_key = wire_bytes(pubkey_span(&w.pub));
        m.n_listen_addrs = 1;
        m.listen_addrs = &told;
        m.signed_peer_record = wire_bytes(buf_span(&record));
        assert_ok(wire_put_delim(&out, &m.base));
        assert_ok(hear(r, buf_span(&out), &w.id, &info));
        if (info->has_record != is_good)
            fail_msg("%s", is_good ? "the good one" : cases[i].why);
        assert_handed_on(buf_span(&record), &w, is_good);
        assert_span_equal(is_good ? buf_span(&record) : SPAN_NONE,
                          info->record);
        assert_int_equal(1, info->addr_count);
        assert_addr(is_good ? "/ip4/6.6.6.6/tcp/6" : "/ip4/192.0.2.7/tcp/4001",
                    &info->addrs[0]);
        buf_release(&out);
        buf_release(&record);
        identify_reader_free(r);
    }
}

static void unusable_addresses_are_dropped_alone(void **state)
{
    struct who w = who(1), other = who(2);
    struct multiaddr plain = addr("/ip4/192.0.2.7/tcp/4001");
    struct multiaddr own = plain, foreign = addr("/ip4/192.0.2.8/tcp/4001");
    ProtobufCBinaryData told[5];
    struct identify_reader *r = identify_reader_new(&mem_libc);
    Wire__Identify m = WIRE__IDENTIFY__INIT;
    const struct identify_info *info;
    struct buf out;

    (void)state;
    assert_ok(multiaddr_add_peer(&own, &w.id));
    assert_ok(multiaddr_add_peer(&foreign, &other.id));
    told[0] = wire_bytes(SPAN_LIT("\xff\x7f\x01")); /* unknown code */
    told[1] = wire_bytes(multiaddr_span(&foreign)); /* another's */
    told[2] = wire_bytes(multiaddr_span(&own));     /* its own: stripped */
    told[3] = wire_bytes(multiaddr_span(&plain));   /* the same again */
    told[4] = wire_bytes(SPAN_LIT(""));
    m.public_key = wire_bytes(pubkey_span(&w.pub));
    m.n_listen_addrs = 5;
    m.listen_addrs = told;
    m.observed_addr = wire_bytes(SPAN_LIT("rubbish"));
    m.agent_version = wire_bytes(SPAN_LIT("a\x01\n\xc3\xa4z"));
    buf_init(&out, 8192, &mem_libc);
    assert_ok(wire_put_delim(&out, &m.base));
    assert_ok(hear(r, buf_span(&out), &w.id, &info));
    assert_int_equal(1, info->addr_count);
    assert_true(multiaddr_eq(&plain, &info->addrs[0]));
    assert_int_equal(0, info->observed.len);
    assert_string_equal("a????z", info->agent_version);
    buf_release(&out);
    identify_reader_free(r);
}

/* Identify keeps no time: its streams' deadlines are their owner's. */

/* ---- Failed allocations. ---- */

/* The reader itself is small and ours: it may not fail, so |fail| counts from
 * after it was made. */
static enum err talk(const struct who *w, struct test_heap *heap, unsigned fail)
{
    struct multiaddr a = addr("/ip4/192.0.2.7/tcp/4001");
    struct identify_reader *r = identify_reader_new(&heap->mem);
    const struct identify_info *info;
    struct buf out;
    enum err err;

    test_heap_fail(heap, fail);
    buf_init(&out, 1 << 16, &heap->mem);
    err = say(w, &a, 1, &heap->mem, &out);
    if (err == OK)
        err = hear_cut(r, buf_span(&out), buf_len(&out) / 2, &w->id, &info);
    buf_release(&out);
    identify_reader_free(r);
    return err;
}

static void every_failed_allocation_is_survived(void **state)
{
    struct who w = who(1);
    struct test_heap heap;
    unsigned total;

    (void)state;
    test_heap_init(&heap);
    assert_ok(talk(&w, &heap, 0));
    total = heap.count - 1;
    assert_true(total > 5);
    for (unsigned nth = 1; nth <= total; nth++) {
        test_heap_init(&heap);
        assert_err(ERR_NOMEM, talk(&w, &heap, nth));
        assert_int_equal(0, heap.live);
    }
}

/* ---- Limits reached. ---- */

static void what_we_say_fits_4096_bytes(void **state)
{
    static struct multiaddr addrs[200];
    static char names[128][40];
    const char *many[128];
    struct who w = who(1);
    struct identify_self self = {.public_key = pubkey_span(&w.pub),
                                 .protocols = many,
                                 .protocol_version = "/souk/1.0.0",
                                 .agent_version = "souk/0.1.0"};
    struct buf out, record;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char text[200];

        snprintf(text, sizeof(text),
                 "/dns4/a-host-with-quite-a-long-name-%03u.of.a.domain.with."
                 "quite.a.long.name.too.example.org/tcp/4001",
                 i);
        addrs[i] = addr(text);
    }
    for (unsigned i = 0; i < 128; i++) {
        snprintf(names[i], sizeof(names[i]), "/a/protocol/name/%03u/1.0.0", i);
        many[i] = names[i];
    }
    buf_init(&record, 1 << 16, &mem_libc);
    buf_init(&out, 1 << 16, &mem_libc);
    assert_ok(identify_make_record(&w.key, addrs, 200, 1, &mem_libc, &record));
    assert_in_range(buf_len(&record), 1000, IDENTIFY_RECORD_MAX);
    self.signed_record = buf_span(&record);
    self.addrs = addrs;
    self.addr_count = 200;
    for (size_t n = 0; n <= 128; n += 32) {
        const struct identify_info *info;
        struct identify_reader *r = identify_reader_new(&mem_libc);

        buf_clear(&out);
        self.protocol_count = n;
        assert_ok(identify_encode(&self, &mem_libc, &out));
        assert_in_range(buf_len(&out), 3000, IDENTIFY_SENT_MAX + 2);
        assert_ok(hear(r, buf_span(&out), &w.id, &info));
        assert_int_equal(n, info->protocol_count);
        assert_true(info->addr_count > 0);
        assert_true(multiaddr_eq(&addrs[0], &info->addrs[0]));
        identify_reader_free(r);
    }
    /* Protocols alone above the limit. */
    memset(names, 'x', sizeof(names));
    for (unsigned i = 0; i < 128; i++)
        names[i][39] = '\0';
    buf_clear(&out);
    assert_err(ERR_LIMIT, identify_encode(&self, &mem_libc, &out));
    assert_int_equal(0, buf_len(&out));
    buf_release(&record);
    buf_release(&out);
}

static void what_we_hear_is_limited(void **state)
{
    static uint8_t big[IDENTIFY_ACCEPTED_MAX + 8];
    static ProtobufCBinaryData many[300];
    static struct multiaddr addrs[300];
    static char names[300][16];
    struct who w = who(1);
    struct identify_reader *r = identify_reader_new(&mem_libc);
    const struct identify_info *info;
    Wire__Identify m = WIRE__IDENTIFY__INIT;
    struct span in;
    struct buf out;

    (void)state;
    /* Ten messages of the largest size, not one more. */
    buf_init(&out, 1 << 20, &mem_libc);
    for (int i = 0; i < 10; i++) {
        m.public_key = wire_bytes(pubkey_span(&w.pub));
        m.agent_version = wire_bytes(SPAN(big, IDENTIFY_ACCEPTED_MAX - 38 - 3));
        assert_ok(wire_put_delim(&out, &m.base));
    }
    assert_int_equal(10 * (2 + IDENTIFY_ACCEPTED_MAX), buf_len(&out));
    in = buf_span(&out);
    assert_ok(identify_reader_recv(r, &in));
    in = SPAN(buf_span(&out).data, 2 + IDENTIFY_ACCEPTED_MAX);
    assert_err(ERR_LIMIT, identify_reader_recv(r, &in));
    assert_ok(identify_reader_finish(r, &w.id, false, &info));
    assert_int_equal(IDENTIFY_TEXT_MAX, strlen(info->agent_version));
    identify_reader_free(r);

    /* More addresses, more and longer protocols than we keep. */
    r = identify_reader_new(&mem_libc);
    buf_clear(&out);
    m.agent_version = wire_bytes(SPAN_NONE);
    m.n_listen_addrs = m.n_protocols = 300;
    for (unsigned i = 0; i < 300; i++) {
        uint8_t ip[4] = {1, 2, (uint8_t)(i >> 8), (uint8_t)i};

        multiaddr_from_ip(&addrs[i], SPAN_OF(ip), 1);
        snprintf(names[i], sizeof(names[i]), "/p/%u", i);
        many[i] = wire_bytes(multiaddr_span(&addrs[i]));
    }
    m.listen_addrs = many;
    m.n_protocols = 0;
    assert_ok(wire_put_delim(&out, &m.base));
    for (unsigned i = 0; i < 300; i++)
        many[i] = wire_bytes(span_str(names[i]));
    many[0] = wire_bytes(SPAN(big, IDENTIFY_PROTOCOL_LEN_MAX + 1));
    m.n_listen_addrs = 0;
    m.n_protocols = 300;
    m.protocols = many;
    assert_ok(wire_put_delim(&out, &m.base));
    assert_ok(hear(r, buf_span(&out), &w.id, &info));
    assert_int_equal(IDENTIFY_ADDRS_MAX, info->addr_count);
    assert_int_equal(IDENTIFY_PROTOCOLS_MAX, info->protocol_count);
    assert_true(identify_has_protocol(info, "/p/1"));
    identify_reader_free(r);
    buf_release(&out);
}

/* js pushes without its key. */
static void a_push_that_leaves_out_the_key_is_refused(void **state)
{
    struct who w = who(1), other = who(2);
    struct identify_reader *r = identify_reader_new(&mem_libc);
    const struct identify_info *info;
    Wire__Identify m = WIRE__IDENTIFY__INIT;
    ProtobufCBinaryData name = wire_bytes(span_str("/p/1"));
    struct span in;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20, &mem_libc);
    m.protocols = &name;
    m.n_protocols = 1;
    assert_ok(wire_put_delim(&out, &m.base));
    in = buf_span(&out);
    assert_ok(identify_reader_recv(r, &in));
    assert_err(ERR_PROTO, identify_reader_finish(r, &w.id, false, &info));
    assert_ok(identify_reader_finish(r, &w.id, true, &info));
    assert_true(identify_has_protocol(info, "/p/1"));
    assert_string_equal("", info->agent_version);
    identify_reader_free(r);

    /* What it does say must be right. */
    r = identify_reader_new(&mem_libc);
    buf_clear(&out);
    m.public_key = wire_bytes(pubkey_span(&other.pub));
    assert_ok(wire_put_delim(&out, &m.base));
    in = buf_span(&out);
    assert_ok(identify_reader_recv(r, &in));
    assert_err(ERR_WRONG_PEER, identify_reader_finish(r, &w.id, true, &info));
    identify_reader_free(r);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_of_js_is_understood),
        cmocka_unit_test(our_record_is_byte_for_byte_what_js_makes),
        cmocka_unit_test(every_altered_byte_of_a_js_record_is_noticed),
        cmocka_unit_test(what_we_say_is_heard),
        cmocka_unit_test(input_may_be_cut_anywhere),
        cmocka_unit_test(messages_accumulate_until_the_stream_ends),
        cmocka_unit_test(forbidden_messages_are_refused),
        cmocka_unit_test(a_bad_record_is_ignored_and_the_rest_kept),
        cmocka_unit_test(unusable_addresses_are_dropped_alone),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(what_we_say_fits_4096_bytes),
        cmocka_unit_test(what_we_hear_is_limited),
        cmocka_unit_test(a_push_that_leaves_out_the_key_is_refused),
    };

    return cmocka_run_group_tests_name("identify", tests, NULL, NULL);
}
