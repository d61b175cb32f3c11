/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

/* What the node has learnt, before and after a restart. */
struct loaded {
    size_t records, providers, peers, terms;
    struct saved_provider provider;
    struct saved_peer peer;
    wall_ms record_expires;
    char values[256];
    char term_list[512];
};

static void on_record(void *ctx, const struct saved_record *r)
{
    struct loaded *l = ctx;

    l->records++;
    l->record_expires = r->expires;
    strncat(l->values, (const char *)r->value.data, r->value.len);
    strcat(l->values, " ");
}

static void on_provider(void *ctx, const struct saved_provider *p)
{
    struct loaded *l = ctx;

    l->providers++;
    l->provider = *p;
}

static void on_peer(void *ctx, const struct saved_peer *p)
{
    struct loaded *l = ctx;

    l->peers++;
    l->peer = *p;
}

static void on_term(void *ctx, struct span term, unsigned packages)
{
    struct loaded *l = ctx;
    size_t len = strlen(l->term_list);

    l->terms++;
    snprintf(l->term_list + len, sizeof(l->term_list) - len, "%.*s=%u ",
             (int)term.len, (const char *)term.data, packages);
}

static struct loaded load(struct store *s, wall_ms wall)
{
    struct loaded l = {0};
    struct store_sink sink = {&l, on_record, on_provider, on_peer, on_term};

    assert_ok(store_load(s, &sink, wall));
    return l;
}

static struct saved_record record(const char *key, const char *value,
                                  uint8_t publisher, wall_ms expires)
{
    struct saved_record r = {.key = span_str(key),
                             .value = span_str(value),
                             .received = FIXTURE_WALL,
                             .expires = expires};

    if (publisher)
        fixture_peer(publisher, &r.publisher);
    return r;
}

static void put(struct store *s, const char *key, const char *value,
                uint8_t publisher, wall_ms expires)
{
    struct saved_record r = record(key, value, publisher, expires);

    assert_ok(fixture_do_free(s, job_save_record(&r)));
}

static void records_come_back_with_their_remaining_life(void **state)
{
    const wall_ms end = FIXTURE_WALL + 1000;
    struct store *s = fixture_memory();
    struct loaded l;
    struct peer_id one;

    (void)state;
    put(s, "k", "a", 1, end);
    put(s, "k", "b", 2, end);
    put(s, "k", "c", 1, end); /* newer, same publisher */
    put(s, "u", "unsigned", 0, end + 1);
    l = load(s, end - 1);
    assert_string_equal("c b unsigned ", l.values);
    assert_int_equal(end + 1, l.record_expires);
    l = load(s, end); /* at its end it is over */
    assert_string_equal("unsigned ", l.values);

    fixture_peer(1, &one);
    assert_ok(fixture_do_free(s, job_forget_record(SPAN_LIT("k"), &one)));
    assert_int_equal(2, load(s, FIXTURE_WALL).records);
    store_close(s);
}

static void expired_rows_are_dropped_in_the_background(void **state)
{
    struct store *s = fixture_memory();
    bool more = true;
    char key[16];

    (void)state;
    for (int i = 0; i < 1200; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        put(s, key, "v", 1, FIXTURE_WALL + (i < 1100 ? 1 : 1000000));
    }
    for (int i = 0; i < 100 && more; i++)
        assert_ok(store_maintain(s, FIXTURE_WALL + 500, &more));
    assert_false(more);
    /* Not only hidden: nothing comes back even for an earlier time. */
    assert_int_equal(100, load(s, FIXTURE_WALL).records);
    store_close(s);
}

static void providers_come_back_with_their_addresses(void **state)
{
    struct store *s = fixture_memory();
    struct saved_provider p = {
        .key = SPAN_LIT("key"), .addr_count = 2, .expires = FIXTURE_WALL + 10};
    struct loaded l;

    (void)state;
    fixture_peer(3, &p.provider);
    assert_ok(multiaddr_parse(&p.addrs[0], SPAN_LIT("/ip4/1.2.3.4/tcp/1")));
    assert_ok(multiaddr_parse(&p.addrs[1], SPAN_LIT("/dns/a.b/tcp/2")));
    assert_ok(fixture_do_free(s, job_save_provider(&p)));
    assert_ok(fixture_do_free(s, job_save_provider(&p)));
    l = load(s, FIXTURE_WALL);
    assert_int_equal(1, l.providers);
    assert_int_equal(2, l.provider.addr_count);
    assert_true(multiaddr_eq(&p.addrs[1], &l.provider.addrs[1]));
    assert_true(peer_id_eq(&p.provider, &l.provider.provider));
    assert_int_equal(0, load(s, FIXTURE_WALL + 10).providers);
    assert_ok(
        fixture_do_free(s, job_forget_provider(SPAN_LIT("key"), &p.provider)));
    assert_int_equal(0, load(s, FIXTURE_WALL).providers);
    store_close(s);
}

static struct saved_peer make_peer(void)
{
    struct saved_peer p = {
        .reputation = {.successes = 12.5,
                       .failures = 0.25,
                       .response_ms = 33.5,
                       .decayed_at = 1,
                       .last_seen = 2,
                       .banned_until = WALL_MS_FOREVER,
                       .place_source = REPUTATION_PLACE_OPERATOR,
                       .latitude = -1.5,
                       .longitude = 2.5,
                       .packages = {7, UINT64_MAX},
                       .package_count = 2,
                       .note_count = 2},
        .addr_count = 1};

    fixture_peer(8, &p.reputation.peer);
    p.reputation.notes[0] = (struct reputation_note){
        .at = 5, .count = 3, .outcome = REPUTATION_DIAL_FAILED};
    p.reputation.notes[1] = (struct reputation_note){
        .at = 4, .count = 1, .outcome = REPUTATION_BANNED};
    assert_ok(multiaddr_parse(&p.addrs[0], SPAN_LIT("/ip6/::1/tcp/9")));
    return p;
}

static void peers_come_back_with_reputation_and_ban(void **state)
{
    struct store *s = fixture_memory();
    struct saved_peer p = make_peer();
    struct loaded l;

    (void)state;
    assert_ok(fixture_do_free(s, job_save_peer(&p)));
    l = load(s, FIXTURE_WALL);
    assert_int_equal(1, l.peers);
    assert_memory_equal(&p.reputation.peer, &l.peer.reputation.peer,
                        sizeof(p.reputation.peer));
    assert_true(l.peer.reputation.successes > 12.4 &&
                l.peer.reputation.successes < 12.6);
    assert_true(l.peer.reputation.banned_until == WALL_MS_FOREVER);
    assert_int_equal(REPUTATION_PLACE_OPERATOR, l.peer.reputation.place_source);
    assert_int_equal(2, l.peer.reputation.package_count);
    assert_true(l.peer.reputation.packages[1] == UINT64_MAX);
    assert_int_equal(2, l.peer.reputation.note_count);
    assert_int_equal(REPUTATION_DIAL_FAILED,
                     l.peer.reputation.notes[0].outcome);
    assert_int_equal(3, l.peer.reputation.notes[0].count);
    assert_int_equal(1, l.peer.addr_count);
    assert_true(multiaddr_eq(&p.addrs[0], &l.peer.addrs[0]));
    assert_ok(fixture_do_free(s, job_forget_peer(&p.reputation.peer)));
    assert_int_equal(0, load(s, FIXTURE_WALL).peers);
    store_close(s);
}

static void terms_of_own_packages_come_back_rarest_first(void **state)
{
    struct store *s = fixture_memory();
    struct loaded l;

    (void)state;
    assert_ok(fixture_publish(s, "acme/json", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/json-tool", "1.0.0", ""));
    assert_ok(fixture_accept(s, "their/json-other", "1.0.0", "", 3, 5, false));
    l = load(s, FIXTURE_WALL);
    assert_string_equal("tool=1 json=2 ", l.term_list);
    store_close(s);
}

static void settings_are_kept_and_replaced(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct buf value;

    (void)state;
    buf_init(&value, 100, &mem_libc);
    assert_err(ERR_NOT_FOUND, reader_setting(r, "a", &value));
    assert_ok(fixture_do_free(s, job_setting("a", SPAN_LIT("1"))));
    assert_ok(fixture_do_free(s, job_setting("a", SPAN_LIT("22"))));
    assert_ok(reader_setting(r, "a", &value));
    assert_span_equal(SPAN_LIT("22"), buf_span(&value));
    buf_release(&value);
    reader_close(r);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_with_their_remaining_life),
        cmocka_unit_test(expired_rows_are_dropped_in_the_background),
        cmocka_unit_test(providers_come_back_with_their_addresses),
        cmocka_unit_test(peers_come_back_with_reputation_and_ban),
        cmocka_unit_test(terms_of_own_packages_come_back_rarest_first),
        cmocka_unit_test(settings_are_kept_and_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
