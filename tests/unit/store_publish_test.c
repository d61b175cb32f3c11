/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include "store/ahead.h"

static void publish_is_there_and_searchable(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct job *job = fixture_publish_job("acme/tool", "1.0.0", "");
    struct package_view view;

    (void)state;
    assert_ok(fixture_do(s, job));
    assert_int_equal(PUBLISH_CREATED, job->out.outcome);
    assert_int_equal(TRUST_PINNED, job->out.trust);
    assert_true(job->out.outbox_id > 0);
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    assert_int_equal(TRUST_PINNED, view.trust);
    assert_true(view.is_own);
    assert_true(peer_id_eq(store_self(s), &view.publisher));
    assert_int_equal(1, view.versions);
    assert_int_equal(1, fixture_counts(s).listed);
    job_free(job);
    reader_close(r);
    store_close(s);
}

static void same_publish_again_changes_nothing(void **state)
{
    struct store *s = fixture_memory();
    struct job *job;

    (void)state;
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    job = fixture_publish_job("acme/tool", "1.0.0", "");
    assert_ok(fixture_do(s, job));
    assert_int_equal(PUBLISH_SAME, job->out.outcome);
    assert_int_equal(1, job->out.outbox_id); /* still on its way */
    assert_int_equal(1, fixture_counts(s).outbox);
    job_free(job);
    assert_err(ERR_VERSION_EXISTS, fixture_publish(s, "acme/tool", "1.0.0",
                                                   ",\"title\":\"other\""));
    assert_int_equal(1, fixture_counts(s).versions);
    store_close(s);
}

static bool collect_version(void *ctx, const struct package_view *view,
                            struct span record)
{
    char text[SEMVER_TEXT_MAX];
    char *out = ctx;

    assert_true(record.len > 0);
    strcat(out, semver_format(&view->version, text));
    strcat(out, view->is_yanked ? "! " : " ");
    return true;
}

static const char *versions_of(struct reader *r, const char *id,
                               const char *after, unsigned limit, bool *more)
{
    static char out[512];
    struct package_id name = fixture_id(id);
    struct semver from;

    out[0] = '\0';
    if (after)
        from = fixture_version(after);
    assert_ok(reader_versions(r, &name, after ? &from : NULL, limit,
                              collect_version, out, more));
    return out;
}

static void versions_come_in_semver_order(void **state)
{
    static const char *const order[] = {
        "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
        "1.0.0",        "1.2.0",         "1.10.0"};
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    bool more;

    (void)state;
    for (size_t i = 0; i < 9; i++)
        assert_ok(fixture_publish(s, "acme/tool", order[i * 4 % 9], ""));
    assert_string_equal("1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta "
                        "1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0 1.2.0 "
                        "1.10.0 ",
                        versions_of(r, "acme/tool", NULL, 100, &more));
    assert_false(more);
    assert_string_equal("1.0.0-beta.11 1.0.0-rc.1 ",
                        versions_of(r, "acme/tool", "1.0.0-beta.2", 2, &more));
    assert_true(more);
    assert_string_equal("1.10.0", fixture_head(r, "acme/tool", &view));
    assert_int_equal(9, view.versions);
    reader_close(r);
    store_close(s);
}

static void head_lists_versions_published_out_of_order(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_id id = fixture_id("acme/tool");
    struct package_view view;
    struct record head;
    struct buf bytes;

    (void)state;
    buf_init(&bytes, RECORD_BYTES_MAX, &mem_libc);
    assert_ok(fixture_publish(s, "acme/tool", "2.0.0", ""));
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_ok(reader_head(r, &id, &view, &bytes));
    assert_ok(record_parse(&head, buf_span(&bytes), 0, &mem_libc, NULL));
    assert_ok(record_verify(&head));
    assert_int_equal(2, head.version.major);
    assert_int_equal(2, record_versions_total(&head));
    assert_int_equal(view.sequence, head.sequence);
    record_release(&head);
    buf_release(&bytes);
    reader_close(r);
    store_close(s);
}

static enum err yank(struct store *s, const char *id, const char *version)
{
    struct package_id name = fixture_id(id);
    struct semver v = fixture_version(version);

    return fixture_do_free(s, job_yank(&name, &v, "broken", NULL));
}

static enum err unyank(struct store *s, const char *id, const char *version)
{
    struct package_id name = fixture_id(id);
    struct semver v = fixture_version(version);

    return fixture_do_free(s, job_unyank(&name, &v));
}

static void yank_takes_a_version_out_of_head_and_search(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    bool more;

    (void)state;
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/tool", "2.0.0", ""));
    assert_ok(yank(s, "acme/tool", "2.0.0"));
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    assert_string_equal("1.0.0 2.0.0! ",
                        versions_of(r, "acme/tool", NULL, 10, &more));
    assert_ok(yank(s, "acme/tool", "1.0.0"));
    (void)fixture_head(r, "acme/tool", &view);
    assert_true(view.all_yanked);
    assert_int_equal(0, fixture_counts(s).listed);
    assert_ok(unyank(s, "acme/tool", "2.0.0"));
    assert_string_equal("2.0.0", fixture_head(r, "acme/tool", &view));
    assert_false(view.all_yanked);
    assert_int_equal(1, fixture_counts(s).listed);
    assert_err(ERR_NOT_FOUND, yank(s, "acme/tool", "3.0.0"));
    assert_err(ERR_NOT_FOUND, yank(s, "acme/other", "1.0.0"));
    reader_close(r);
    store_close(s);
}

static void yank_of_another_keys_version_is_refused(void **state)
{
    struct store *s = fixture_memory();

    (void)state;
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, false));
    assert_err(ERR_NOT_OUR_KEY, yank(s, "acme/tool", "1.0.0"));
    store_close(s);
}

static void gossip_never_pins_and_a_get_does(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    static struct search_page page;
    struct search_options options = {.limit = 10, .wall = FIXTURE_WALL};
    struct package_view view;
    struct peer_id owner, third;
    struct package_id id = fixture_id("acme/tool");
    struct query q;
    bool more;

    (void)state;
    fixture_peer(3, &third);
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, false));
    (void)fixture_head(r, "acme/tool", &view);
    assert_int_equal(TRUST_SIGNED, view.trust);
    assert_ok(reader_owner(r, &id, &owner));
    assert_true(peer_id_is_none(&owner));

    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, true));
    (void)fixture_head(r, "acme/tool", &view);
    assert_int_equal(TRUST_PINNED, view.trust);
    assert_ok(reader_owner(r, &id, &owner));
    assert_true(peer_id_eq(&third, &owner));
    /* What search shows, too, before any chore. */
    assert_ok(query_parse(SPAN_LIT("tool"), &q, NULL));
    q.has_trust = true;
    q.trust = TRUST_PINNED;
    assert_ok(reader_search(r, &q, &options, &page));
    assert_int_equal(1, page.count);
    search_page_free(&page);
    assert_true(store_owes(s));
    do
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    while (more);
    assert_false(store_owes(s));
    reader_close(r);
    store_close(s);
}

static void another_keys_record_is_refused_and_counted(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;

    (void)state;
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_err(ERR_NOT_OWNER,
               fixture_accept(s, "acme/tool", "9.0.0", "", 3, 5, true));
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    assert_true(view.has_conflict);
    assert_int_equal(1, fixture_counts(s).refused);
    /* The pin covers the whole namespace. */
    assert_err(ERR_NOT_OWNER,
               fixture_accept(s, "acme/else", "1.0.0", "", 3, 5, false));
    assert_string_equal("", fixture_head(r, "acme/else", &view));
    reader_close(r);
    store_close(s);
}

static void publishing_anothers_name_is_refused_with_the_owner(void **state)
{
    struct store *s = fixture_memory();
    struct job *job;

    (void)state;
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, true));
    job = fixture_publish_job("acme/tool", "1.0.1", "");
    assert_err(ERR_NOT_OWNER, fixture_do(s, job));
    assert_non_null(strstr(job->out.detail, "belongs to 12D3"));
    job_free(job);
    assert_int_equal(0, fixture_counts(s).outbox);
    store_close(s);
}

static void
first_unpinned_publisher_stays_until_the_owner_is_known(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    struct peer_id fourth;

    (void)state;
    fixture_peer(4, &fourth);
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, false));
    assert_err(ERR_NOT_OWNER,
               fixture_accept(s, "acme/tool", "2.0.0", "", 4, 9, false));
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    /* An explicit get of the other one decides. */
    assert_ok(fixture_accept(s, "acme/tool", "2.0.0", "", 4, 9, true));
    assert_string_equal("2.0.0", fixture_head(r, "acme/tool", &view));
    assert_true(peer_id_eq(&fourth, &view.publisher));
    assert_int_equal(1, view.versions);
    assert_int_equal(1, fixture_counts(s).packages);
    reader_close(r);
    store_close(s);
}

static void content_of_a_version_never_changes(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;

    (void)state;
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, false));
    assert_err(ERR_VERSION_EXISTS,
               fixture_accept(s, "acme/tool", "1.0.0", ",\"title\":\"new\"", 3,
                              50, false));
    assert_err(ERR_STALE_SEQUENCE,
               fixture_accept(s, "acme/tool", "1.0.0", "", 3, 4, false));
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 6, false));
    (void)fixture_head(r, "acme/tool", &view);
    assert_int_equal(6, view.sequence);
    reader_close(r);
    store_close(s);
}

/* Sign |version| of acme/tool as a head that lists 1.0.0 (|is_yanked|) and
 * itself. */
static struct job *head_job(const char *version, bool is_yanked,
                            uint64_t sequence)
{
    struct ed25519_keypair key = fixture_key(3);
    struct record_version list[2] = {
        {.version = fixture_version("1.0.0"), .is_yanked = is_yanked},
        {.version = fixture_version(version)}};
    struct record_seal seal = {
        .sequence = sequence, .versions = list, .version_count = 2};
    struct record input, head;
    struct peer_id from;
    struct job *job;

    fixture_peer(99, &from);
    fixture_input(&input, "acme/tool", version, "");
    assert_ok(record_sign(&input, &seal, &key, &head));
    job = job_accept(buf_span(&head.bytes), &from, ACCEPT_GOSSIP, 0.5, false);
    record_release(&head);
    record_release(&input);
    return job;
}

static void old_copy_of_a_version_cannot_undo_a_yank(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    bool more;

    (void)state;
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, false));
    assert_ok(fixture_do_free(s, head_job("1.1.0", true, 20)));
    assert_string_equal("1.0.0! 1.1.0 ",
                        versions_of(r, "acme/tool", NULL, 10, &more));
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 3, 7, false));
    assert_string_equal("1.0.0! 1.1.0 ",
                        versions_of(r, "acme/tool", NULL, 10, &more));
    assert_string_equal("1.1.0", fixture_head(r, "acme/tool", &view));
    assert_int_equal(20, view.sequence);
    reader_close(r);
    store_close(s);
}

static void operators_trust_beats_who_came_first(void **state)
{
    struct store_trust trust = {.namespace = "acme"};
    struct store_config config = fixture_config(NULL);
    struct package_view view;
    struct reader *r;
    struct store *s;

    (void)state;
    fixture_peer(4, &trust.owner);
    config.trust = &trust;
    config.trust_count = 1;
    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_err(ERR_NOT_OWNER,
               fixture_accept(s, "acme/tool", "1.0.0", "", 3, 5, true));
    assert_err(ERR_NOT_OWNER, fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_ok(fixture_accept(s, "acme/tool", "1.0.0", "", 4, 5, false));
    (void)fixture_head(r, "acme/tool", &view);
    assert_int_equal(TRUST_TRUSTED, view.trust);
    reader_close(r);
    store_close(s);
}

static void name_that_differs_only_in_dashes_is_refused(void **state)
{
    struct store *s = fixture_memory();
    struct job *job = fixture_publish_job("acme/my_tool", "1.0.0", "");

    (void)state;
    assert_ok(fixture_publish(s, "acme/my-tool", "1.0.0", ""));
    assert_err(ERR_NAME_EQUIVALENT, fixture_do(s, job));
    assert_non_null(strstr(job->out.detail, "acme/my-tool"));
    job_free(job);
    store_close(s);
}

static enum err publish_signed(struct store *s, const char *id,
                               const char *version, uint8_t nth,
                               uint64_t sequence)
{
    struct ed25519_keypair key = fixture_key(nth);
    struct record r;

    fixture_signed(&r, id, version, "", &key, sequence);
    return fixture_do_free(s, job_publish(&r));
}

static void record_signed_by_a_client_stays_its_own(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    struct peer_id third;

    (void)state;
    fixture_peer(3, &third);
    assert_ok(publish_signed(s, "acme/tool", "1.0.0", 3, 100));
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    assert_true(peer_id_eq(&third, &view.publisher));
    assert_int_equal(100, view.sequence);
    assert_int_equal(TRUST_PINNED, view.trust);
    assert_true(view.is_own);
    assert_err(ERR_NOT_OWNER, publish_signed(s, "acme/tool", "2.0.0", 4, 200));
    assert_err(ERR_NOT_OWNER, fixture_publish(s, "acme/tool", "2.0.0", ""));
    reader_close(r);
    store_close(s);
}

static struct job *unsigned_job(const char *id, const char *version)
{
    struct peer_id from;
    struct record r;
    struct job *job;

    fixture_peer(99, &from);
    fixture_input(&r, id, version, "");
    job = job_accept(buf_span(&r.bytes), &from, ACCEPT_GOSSIP, 0.5, true);
    record_release(&r);
    return job;
}

static void unsigned_records_are_for_their_network_only(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct store *s = fixture_memory();
    struct package_view view;
    struct reader *r;

    (void)state;
    assert_err(ERR_UNSIGNED,
               fixture_do_free(s, unsigned_job("acme/tool", "1.0.0")));
    store_close(s);

    config.network = network_find("ggen");
    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_ok(fixture_do_free(s, unsigned_job("acme/tool", "1.0.0")));
    assert_ok(fixture_do_free(s, unsigned_job("acme/tool", "1.1.0")));
    assert_ok(fixture_do_free(s, unsigned_job("acme/tool", "0.9.0")));
    assert_string_equal("1.1.0", fixture_head(r, "acme/tool", &view));
    assert_int_equal(TRUST_UNVERIFIED, view.trust);
    assert_int_equal(3, view.versions);
    /* A signature beats none, and none never beats a signature. */
    assert_ok(fixture_accept(s, "acme/tool", "1.0.5", "", 3, 5, false));
    assert_string_equal("1.0.5", fixture_head(r, "acme/tool", &view));
    assert_int_equal(TRUST_SIGNED, view.trust);
    assert_err(ERR_NOT_OWNER,
               fixture_do_free(s, unsigned_job("acme/tool", "2.0.0")));
    assert_int_equal(1, fixture_counts(s).packages);
    reader_close(r);
    store_close(s);
}

static void failed_job_undoes_only_itself(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    struct job *jobs[4] = {
        fixture_publish_job("acme/a", "1.0.0", ""),
        fixture_publish_job("acme/a", "1.0.0", ",\"title\":\"other\""),
        fixture_accept_job("acme/b", "1.0.0", "", 3, 5, true),
        fixture_publish_job("acme/c", "1.0.0", ""),
    };

    (void)state;
    store_perform(s, jobs, 4, FIXTURE_WALL);
    assert_ok(jobs[0]->err);
    assert_err(ERR_VERSION_EXISTS, jobs[1]->err);
    assert_err(ERR_NOT_OWNER, jobs[2]->err);
    assert_ok(jobs[3]->err);
    assert_string_equal("1.0.0", fixture_head(r, "acme/a", &view));
    assert_string_equal("", fixture_head(r, "acme/b", &view));
    assert_string_equal("1.0.0", fixture_head(r, "acme/c", &view));
    assert_int_equal(2, fixture_counts(s).packages);
    assert_int_equal(2, fixture_counts(s).versions);
    assert_int_equal(2, fixture_counts(s).outbox);
    for (size_t i = 0; i < 4; i++)
        job_free(jobs[i]);
    reader_close(r);
    store_close(s);
}

static void outbox_holds_what_is_not_announced_yet(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct outbox_page page;
    int64_t first;

    (void)state;
    assert_ok(fixture_publish(s, "acme/a", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/b", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/a", "0.9.0", ""));
    assert_ok(reader_outbox(r, 0, 0, 2, &page));
    assert_int_equal(2, page.count);
    assert_string_equal("a", page.items[0].name);
    assert_string_equal("b", page.items[1].name);
    assert_true(page.items[0].head.len > 0);
    first = page.items[0].id;
    outbox_page_free(&page);

    assert_ok(fixture_do_free(s, job_outbox_done(first)));
    assert_int_equal(2, fixture_counts(s).outbox);
    assert_ok(reader_outbox(r, 0, 0, 10, &page));
    assert_int_equal(2, page.count);
    assert_string_equal("0.9.0", page.items[1].version);
    /* The head is another version's than this one. */
    assert_false(span_eq(page.items[1].head, page.items[1].version_record));
    outbox_page_free(&page);
    assert_ok(reader_outbox(r, 0, first, 10, &page));
    assert_int_equal(0, page.count);
    outbox_page_free(&page);
    reader_close(r);
    store_close(s);
}

static void others_packages_are_evicted_the_worst_first(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct reader *r;
    struct store *s;
    struct package_view view;
    char id[32];
    bool more = true;

    (void)state;
    config.catalogue_bytes_max = 20000;
    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_ok(fixture_publish(s, "own/tool", "1.0.0", ""));
    assert_ok(fixture_accept(s, "good/tool", "1.0.0", "", 3, 5, true));
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "other/tool%d", i);
        assert_ok(fixture_accept(s, id, "1.0.0", "", 4, 5, false));
    }
    assert_true(fixture_counts(s).others_bytes > 20000);
    for (int i = 0; i < 100 && more; i++)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_false(more);
    assert_true(fixture_counts(s).others_bytes <= 20000);
    assert_true(fixture_counts(s).others_bytes > 18000);
    assert_true(fixture_counts(s).evicted > 0);
    assert_string_equal("1.0.0", fixture_head(r, "own/tool", &view));
    assert_string_equal("1.0.0", fixture_head(r, "good/tool", &view));
    reader_close(r);
    store_close(s);
}

static void versions_of_anothers_package_are_bounded(void **state)
{
    struct store *s = fixture_memory();
    char version[32];

    (void)state;
    for (int i = 0; i < STORE_VERSIONS_MAX; i++) {
        snprintf(version, sizeof(version), "1.0.%d", i);
        assert_ok(fixture_accept(s, "acme/tool", version, "", 3,
                                 (uint64_t)i + 1, false));
    }
    assert_err(ERR_LIMIT,
               fixture_accept(s, "acme/tool", "2.0.0", "", 3, 9999, false));
    assert_int_equal(STORE_VERSIONS_MAX, fixture_counts(s).versions);
    assert_int_equal(1, fixture_counts(s).versions_refused);
    store_close(s);
}

static void a_full_outbox_takes_no_publish(void **state)
{
    struct store_config config = fixture_config(NULL);
    struct store *s;

    (void)state;
    config.outbox_max = 2;
    s = fixture_open(&config);
    assert_ok(fixture_publish(s, "acme/a", "1.0.0", ""));
    assert_ok(fixture_publish(s, "acme/b", "1.0.0", ""));
    assert_int_equal(0, fixture_counts(s).outbox_refused);
    assert_err(ERR_BUSY, fixture_publish(s, "acme/c", "1.0.0", ""));
    assert_int_equal(1, fixture_counts(s).outbox_refused);
    assert_int_equal(2, fixture_counts(s).outbox);
    assert_int_equal(2, fixture_counts(s).packages); /* nothing half-done */
    assert_ok(fixture_do_free(s, job_outbox_done(1)));
    assert_ok(fixture_publish(s, "acme/c", "1.0.0", ""));
    store_close(s);
}

static void pin_drops_what_others_claimed_in_the_namespace(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    bool more = true;

    (void)state;
    assert_ok(fixture_accept(s, "acme/a", "1.0.0", "", 3, 5, false));
    assert_ok(fixture_accept(s, "acme/b", "1.0.0", "", 4, 5, false));
    assert_ok(fixture_accept(s, "acme/a", "1.0.0", "", 3, 5, true));
    while (more)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_string_equal("1.0.0", fixture_head(r, "acme/a", &view));
    assert_string_equal("", fixture_head(r, "acme/b", &view));
    reader_close(r);
    store_close(s);
}

/* Names before, between and behind what a step takes at once. */
static void rejudging_a_large_namespace_ends(void **state)
{
    enum { PACKAGES = 200, STEPS_MAX = 400 };
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_view view;
    bool more = true;
    int steps = 0;
    char id[32];

    (void)state;
    assert_ok(fixture_accept(s, "acme/0", "1.0.0", "", 4, 5, false));
    for (int i = 0; i < PACKAGES; i++) {
        snprintf(id, sizeof(id), "acme/%d-p", i);
        assert_ok(fixture_accept(s, id, "1.0.0", "", i % 2 ? 3 : 4, 5, false));
    }
    assert_ok(fixture_accept(s, "acme/a", "1.0.0", "", 3, 5, true));
    for (; more && steps < STEPS_MAX; steps++)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_false(more);
    assert_int_equal(PACKAGES / 2 + 1, fixture_counts(s).packages);
    assert_string_equal("", fixture_head(r, "acme/0", &view));
    reader_close(r);
    store_close(s);
}

static bool count_index(void *ctx, const struct package_view *view,
                        struct span record)
{
    char *out = ctx;

    (void)record;
    strcat(out, view->id.ns);
    strcat(out, "/");
    strcat(out, view->id.name);
    strcat(out, " ");
    return true;
}

static void index_lists_every_package_once(void **state)
{
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct package_id after;
    char out[256] = "";
    bool more;

    (void)state;
    assert_ok(fixture_publish(s, "b/x", "1.0.0", ""));
    assert_ok(fixture_publish(s, "a/z", "1.0.0", ""));
    assert_ok(fixture_publish(s, "b/a", "1.0.0", ""));
    assert_ok(reader_index(r, NULL, 2, count_index, out, &more));
    assert_true(more);
    assert_string_equal("a/z b/a ", out);
    after = fixture_id("b/a");
    assert_ok(reader_index(r, &after, 2, count_index, out, &more));
    assert_false(more);
    assert_string_equal("a/z b/a b/x ", out);
    reader_close(r);
    store_close(s);
}

static int64_t segments(const char *dir)
{
    sqlite3_stmt *st;
    int64_t count;
    sqlite3 *db;

    assert_int_equal(SQLITE_OK,
                     sqlite3_open(fixture_path(dir, "souk.db"), &db));
    assert_int_equal(
        SQLITE_OK,
        sqlite3_prepare_v2(db, "SELECT count(DISTINCT segid) FROM words_idx",
                           -1, &st, NULL));
    assert_int_equal(SQLITE_ROW, sqlite3_step(st));
    count = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return count;
}

static void segments_of_many_commits_are_merged_in_the_end(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);
    unsigned steps = 0;
    bool more = true;

    (void)state;
    for (int i = 0; i < 7; i++) {
        char id[32];

        snprintf(id, sizeof(id), "acme/p%d", i);
        assert_ok(fixture_publish(s, id, "1.0.0", ""));
    }
    assert_int_equal(7, segments(dir));
    while (more && steps++ < 100)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_false(more);
    assert_in_range(segments(dir), 1, 3);
    store_close(s);
    fixture_check(dir);
    fixture_remove(dir);
}

/* ---- Made ahead. ---- */

static int put_row(void *ctx, int count, char **values, char **names)
{
    FILE *out = ctx;

    (void)names;
    for (int i = 0; i < count; i++)
        (void)fprintf(out, "%s|", values[i] ? values[i] : "NULL");
    return fputc('\n', out) == EOF;
}

/* All that a closed store says of packages. */
static char *dump(const char *dir)
{
    static const char *const queries[] = {
        "SELECT id, ns, name, fold, hex(publisher), is_own, sequence,"
        " head_version, head_sequence, head_is_full, versions, bytes, slot,"
        " terms, hex(head) FROM package ORDER BY id",
        "SELECT id, package, hex(precedence), is_yanked, sequence, updated,"
        " hex(record) FROM version ORDER BY id",
        "SELECT slot, package, trust, sequence, updated, downloads, reputation,"
        " name_key, title_key, hex(precedence), hex(publisher), namespace, "
        "name,"
        " title, tags, categories, license, authors, facets, heads, summary,"
        " description FROM listing ORDER BY slot",
        "SELECT term, doc, cnt FROM vocabulary",
        "SELECT * FROM outbox",
        "SELECT ns, hex(owner) FROM pin"};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    sqlite3 *db;

    assert_int_equal(SQLITE_OK,
                     sqlite3_open(fixture_path(dir, "souk.db"), &db));
    for (size_t i = 0; i < sizeof(queries) / sizeof(*queries); i++)
        assert_int_equal(SQLITE_OK,
                         sqlite3_exec(db, queries[i], put_row, out, NULL));
    sqlite3_close(db);
    (void)fclose(out);
    assert_true(len > 0);
    return text;
}

/* Publish the same into a store that has the same key. */
static char *publish_and_dump(const char *dir, bool is_ahead)
{
    static const char *const more[] = {
        "", ",\"title\":\"Été à L'Or\",\"description\":\"a \\\"b\\\" c\"",
        (",\"tags\":[\"x y\",\"z\"],\"categories\":[\"Utility\"],"
         "\"authors\":[{\"id\":\"ab\",\"name\":\"A B\"}],\"license\":\"MIT\"")};
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);

    for (int i = 0; i < 6; i++) {
        struct job *job;
        char id[32];

        snprintf(id, sizeof(id), "%s/p-%d", i < 4 ? "acme" : "other", i);
        job = fixture_publish_job(id, "1.0.0-rc.1", more[i % 3]);
        if (is_ahead)
            ahead_make(s, job, FIXTURE_WALL);
        assert_int_equal(is_ahead, job->ahead != NULL);
        assert_ok(fixture_do_free(s, job));
    }
    store_close(s);
    fixture_check(dir);
    return dump(dir);
}

static void publish_made_ahead_is_written_as_any_other(void **state)
{
    const char *dir = fixture_dir();
    char *there, *ahead;

    (void)state;
    there = publish_and_dump(dir, false);
    assert_int_equal(0, remove(fixture_path(dir, "souk.db")));
    ahead = publish_and_dump(dir, true);
    assert_string_equal(there, ahead);
    free(there);
    free(ahead);
    fixture_remove(dir);
}

/* All made ahead while nothing was held, then done in one transaction. */
static void made_ahead_for_the_same_package_each_is_right(void **state)
{
    static const struct {
        const char *id, *version;
        enum publish_outcome outcome;
    } list[] = {{"acme/tool", "1.0.0", PUBLISH_CREATED},
                {"acme/tool", "1.1.0", PUBLISH_CREATED},
                {"acme/tool", "1.0.0", PUBLISH_SAME},
                {"acme/other", "1.0.0", PUBLISH_CREATED}};
    enum { COUNT = sizeof(list) / sizeof(*list) };
    struct store *s = fixture_memory();
    struct reader *r = fixture_reader(s);
    struct job *jobs[COUNT];
    struct package_view view;
    uint64_t sequence = 0;
    bool more;

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        jobs[i] = fixture_publish_job(list[i].id, list[i].version, "");
        ahead_make(s, jobs[i], FIXTURE_WALL);
        assert_non_null(jobs[i]->ahead);
    }
    store_perform(s, jobs, COUNT, FIXTURE_WALL);
    for (size_t i = 0; i < COUNT; i++) {
        struct record got;

        assert_ok(jobs[i]->err);
        assert_int_equal(list[i].outcome, jobs[i]->out.outcome);
        assert_ok(record_parse(
            &got, SPAN(jobs[i]->out.record, jobs[i]->out.record_len), 0,
            &mem_libc, NULL));
        assert_ok(record_verify(&got));
        assert_true(i > 1 || got.sequence > sequence);
        sequence = got.sequence;
        record_release(&got);
        job_free(jobs[i]);
    }
    assert_string_equal("1.1.0", fixture_head(r, "acme/tool", &view));
    assert_string_equal("1.0.0 1.1.0 ",
                        versions_of(r, "acme/tool", NULL, 10, &more));
    assert_int_equal(3, fixture_counts(s).versions);
    assert_int_equal(2, fixture_counts(s).listed);
    reader_close(r);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publish_is_there_and_searchable),
        cmocka_unit_test(same_publish_again_changes_nothing),
        cmocka_unit_test(versions_come_in_semver_order),
        cmocka_unit_test(head_lists_versions_published_out_of_order),
        cmocka_unit_test(yank_takes_a_version_out_of_head_and_search),
        cmocka_unit_test(yank_of_another_keys_version_is_refused),
        cmocka_unit_test(gossip_never_pins_and_a_get_does),
        cmocka_unit_test(another_keys_record_is_refused_and_counted),
        cmocka_unit_test(publishing_anothers_name_is_refused_with_the_owner),
        cmocka_unit_test(
            first_unpinned_publisher_stays_until_the_owner_is_known),
        cmocka_unit_test(content_of_a_version_never_changes),
        cmocka_unit_test(old_copy_of_a_version_cannot_undo_a_yank),
        cmocka_unit_test(operators_trust_beats_who_came_first),
        cmocka_unit_test(name_that_differs_only_in_dashes_is_refused),
        cmocka_unit_test(record_signed_by_a_client_stays_its_own),
        cmocka_unit_test(unsigned_records_are_for_their_network_only),
        cmocka_unit_test(failed_job_undoes_only_itself),
        cmocka_unit_test(outbox_holds_what_is_not_announced_yet),
        cmocka_unit_test(others_packages_are_evicted_the_worst_first),
        cmocka_unit_test(versions_of_anothers_package_are_bounded),
        cmocka_unit_test(a_full_outbox_takes_no_publish),
        cmocka_unit_test(pin_drops_what_others_claimed_in_the_namespace),
        cmocka_unit_test(rejudging_a_large_namespace_ends),
        cmocka_unit_test(index_lists_every_package_once),
        cmocka_unit_test(segments_of_many_commits_are_merged_in_the_end),
        cmocka_unit_test(publish_made_ahead_is_written_as_any_other),
        cmocka_unit_test(made_ahead_for_the_same_package_each_is_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
