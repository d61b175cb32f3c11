/* SPDX-License-Identifier: Apache-2.0 */
#include "store_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "tbl/limit.h"

static void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal((ssize_t)len, write(fd, bytes, len));
    close(fd);
}

static size_t read_file(const char *path, void *out, size_t max)
{
    int fd = open(path, O_RDONLY);
    ssize_t got = fd < 0 ? 0 : read(fd, out, max);

    if (fd >= 0)
        close(fd);
    return got > 0 ? (size_t)got : 0;
}

/* A store in |dir| that had one package published. */
static void make_store(const char *dir)
{
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);

    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    store_close(s);
}

/* Opening fails so, |why| has |part|, and the database stays as it is. */
static void expect_refused(const struct store_config *config, enum err want,
                           const char *part)
{
    static uint8_t before[1 << 20], after[1 << 20];
    const char *path = fixture_path(config->dir, "souk.db");
    size_t had = read_file(path, before, sizeof(before));
    char why[STORE_WHY_MAX];
    struct store *s;

    assert_err(want, store_open(config, FIXTURE_WALL, &s, why));
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, why);
    path = fixture_path(config->dir, "souk.db");
    assert_int_equal(had, read_file(path, after, sizeof(after)));
    assert_memory_equal(before, after, had);
}

static void restart_brings_everything_back(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct package_view view;
    struct reader *r;
    struct store *s;
    struct peer_id self;
    char token[STORE_TOKEN_MAX];

    (void)state;
    s = fixture_open(&config);
    self = *store_self(s);
    snprintf(token, sizeof(token), "%s", store_admin_token(s));
    assert_true(strlen(token) >= 43);
    assert_ok(fixture_publish(s, "acme/tool", "1.0.0", ""));
    assert_ok(fixture_accept(s, "acme2/tool", "1.0.0", "", 3, 5, true));
    assert_ok(fixture_do_free(s, job_setting("color", SPAN_LIT("red"))));
    store_close(s);

    s = fixture_open(&config);
    r = fixture_reader(s);
    assert_true(peer_id_eq(&self, store_self(s)));
    assert_string_equal(token, store_admin_token(s));
    assert_string_equal("1.0.0", fixture_head(r, "acme/tool", &view));
    assert_int_equal(TRUST_PINNED, view.trust);
    (void)fixture_head(r, "acme2/tool", &view);
    assert_int_equal(TRUST_PINNED, view.trust);
    assert_int_equal(2, fixture_counts(s).packages);
    assert_int_equal(2, fixture_counts(s).listed);
    assert_int_equal(1, fixture_counts(s).own);
    assert_int_equal(1, fixture_counts(s).outbox);
    assert_true(fixture_counts(s).others_bytes > 0);
    /* Ids go on where they were. */
    assert_ok(fixture_publish(s, "acme/tool", "1.1.0", ""));
    assert_string_equal("1.1.0", fixture_head(r, "acme/tool", &view));
    reader_close(r);
    store_close(s);
    fixture_remove(dir);
}

static void files_are_for_the_owner_only(void **state)
{
    static const char *const names[] = {"identity.key", "admin-token",
                                        "souk.db"};
    const char *dir = fixture_dir();
    uint8_t key[128];
    struct stat st;

    (void)state;
    make_store(dir);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(0, stat(fixture_path(dir, names[i]), &st));
        assert_int_equal(0600, st.st_mode & 0777);
    }
    assert_int_equal(
        68, read_file(fixture_path(dir, "identity.key"), key, sizeof(key)));
    assert_memory_equal("\x08\x01\x12\x40", key, 4);
    fixture_remove(dir);
}

static void garbage_is_no_database(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    uint8_t garbage[5000];

    (void)state;
    make_store(dir);
    memset(garbage, 'x', sizeof(garbage));
    write_file(fixture_path(dir, "souk.db"), garbage, sizeof(garbage));
    expect_refused(&config, ERR_STORE_CORRUPT, "souk.db");
    write_file(fixture_path(dir, "souk.db"), garbage, 50);
    expect_refused(&config, ERR_STORE_CORRUPT, "backup");
    fixture_remove(dir);
}

static void damaged_pages_are_found_before_anything_is_written(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    uint8_t noise[4096];
    int fd;

    (void)state;
    make_store(dir);
    memset(noise, 0xa5, sizeof(noise));
    fd = open(fixture_path(dir, "souk.db"), O_WRONLY);
    assert_int_equal(4096, pwrite(fd, noise, sizeof(noise), 3 * 4096));
    close(fd);
    expect_refused(&config, ERR_STORE_CORRUPT, "damaged");
    fixture_remove(dir);
}

static void cut_database_is_refused(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);

    (void)state;
    make_store(dir);
    assert_int_equal(0, truncate(fixture_path(dir, "souk.db"), 6 * 4096));
    expect_refused(&config, ERR_STORE_CORRUPT, "damaged");
    fixture_remove(dir);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(SQLITE_OK, sqlite3_open(path, &db));
    assert_int_equal(SQLITE_OK, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_close(db);
}

static void newer_database_is_left_alone(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);

    (void)state;
    make_store(dir);
    run_sql(fixture_path(dir, "souk.db"), "PRAGMA user_version=99");
    expect_refused(&config, ERR_STORE_NEWER, "newer souk");
    fixture_remove(dir);
}

static void another_programs_database_is_left_alone(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);

    (void)state;
    run_sql(fixture_path(dir, "souk.db"),
            "PRAGMA application_id=42; CREATE TABLE t(x)");
    expect_refused(&config, ERR_STORE_CORRUPT, "another program");
    remove(fixture_path(dir, "souk.db"));
    run_sql(fixture_path(dir, "souk.db"), "CREATE TABLE t(x)");
    expect_refused(&config, ERR_STORE_CORRUPT, "another program");
    fixture_remove(dir);
}

static void two_nodes_cannot_share_a_directory(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);
    char pid[32];

    (void)state;
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    expect_refused(&config, ERR_CONFIG, pid);
    store_close(s);
    store_close(fixture_open(&config));
    fixture_remove(dir);
}

static void directory_that_cannot_be_made_is_a_clear_error(void **state)
{
    const char *dir = fixture_dir();
    char inside[128], why[STORE_WHY_MAX];
    struct store_config config = fixture_config(inside);
    struct store *s;

    (void)state;
    write_file(fixture_path(dir, "file"), "x", 1);
    snprintf(inside, sizeof(inside), "%s/file/deeper", dir);
    assert_err(ERR_CONFIG, store_open(&config, FIXTURE_WALL, &s, why));
    assert_non_null(strstr(why, inside));
    fixture_remove(dir);
}

/* Permissions do not stop root, so the try is made as somebody else. */
static void directory_that_cannot_be_written_is_a_clear_error(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(0, chmod(dir, 0555));
    child = fork();
    if (child == 0) {
        char why[STORE_WHY_MAX];
        struct store *s;
        enum err err;

        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(3);
        err = store_open(&config, FIXTURE_WALL, &s, why);
        _exit(err == ERR_CONFIG && strstr(why, dir) ? 0 : 1);
    }
    assert_int_equal(child, waitpid(child, &status, 0));
    assert_int_equal(0, status);
    assert_int_equal(0, chmod(dir, 0755));
    fixture_remove(dir);
}

static void lost_key_is_never_replaced_silently(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    uint8_t bytes[64];

    (void)state;
    make_store(dir);
    assert_int_equal(0, remove(fixture_path(dir, "identity.key")));
    expect_refused(&config, ERR_CONFIG, "identity.key");
    assert_int_equal(0, read_file(fixture_path(dir, "identity.key"), bytes, 1));
    memset(bytes, 7, sizeof(bytes));
    write_file(fixture_path(dir, "identity.key"), bytes, sizeof(bytes));
    expect_refused(&config, ERR_STORE_CORRUPT, "identity.key");
    fixture_remove(dir);
}

static void identity_file_may_lie_elsewhere(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct ed25519_keypair key = fixture_key(5);
    struct peer_id fifth;
    uint8_t file[ED25519_FILE_LEN];
    char path[128];
    struct store *s;

    (void)state;
    ed25519_encode(&key, file);
    fixture_peer(5, &fifth);
    snprintf(path, sizeof(path), "%s/elsewhere.key", dir);
    write_file(path, file, sizeof(file));
    config.identity_file = path;
    s = fixture_open(&config);
    assert_true(peer_id_eq(&fifth, store_self(s)));
    store_close(s);
    fixture_remove(dir);
}

static void bad_admin_token_is_a_clear_error(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);

    (void)state;
    make_store(dir);
    write_file(fixture_path(dir, "admin-token"), "short\n", 6);
    expect_refused(&config, ERR_STORE_CORRUPT, "admin-token");
    write_file(fixture_path(dir, "admin-token"), "an-own-token-of-mine_1\n",
               23);
    store_close(fixture_open(&config));
    fixture_remove(dir);
}

static void first_start_that_died_halfway_can_start_again(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);

    (void)state;
    write_file(fixture_path(dir, "souk.db"), "", 0);
    write_file(fixture_path(dir, "identity.key.new"), "half", 4);
    store_close(fixture_open(&config));
    fixture_remove(dir);
}

static void trust_of_the_operator_is_judged_anew_at_start(void **state)
{
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store_trust trust = {.namespace = "acme"};
    struct package_view view;
    struct reader *r;
    struct store *s;
    bool more = true;

    (void)state;
    fixture_peer(4, &trust.owner);
    s = fixture_open(&config);
    assert_ok(fixture_accept(s, "acme/a", "1.0.0", "", 3, 5, false));
    assert_ok(fixture_accept(s, "acme/b", "1.0.0", "", 4, 5, false));
    store_close(s);

    config.trust = &trust;
    config.trust_count = 1;
    s = fixture_open(&config);
    r = fixture_reader(s);
    while (more)
        assert_ok(store_maintain(s, FIXTURE_WALL, &more));
    assert_string_equal("", fixture_head(r, "acme/a", &view));
    assert_string_equal("1.0.0", fixture_head(r, "acme/b", &view));
    assert_int_equal(TRUST_TRUSTED, view.trust);
    reader_close(r);
    store_close(s);
    fixture_remove(dir);
}

/* The most that SQLite held while all of a table of 96 MiB was read. */
static uint64_t most_while_reading(sqlite3 *db)
{
    sqlite3_stmt *row;
    uint64_t most = 0;

    assert_int_equal(SQLITE_OK,
                     sqlite3_prepare_v2(db, "SELECT v FROM t", -1, &row, NULL));
    while (sqlite3_step(row) == SQLITE_ROW) {
        (void)sqlite3_column_blob(row, 0);
        if (store_memory() > most)
            most = store_memory();
    }
    assert_int_equal(SQLITE_OK, sqlite3_finalize(row));
    return most;
}

static void pages_beyond_their_memory_make_way(void **state)
{
    const uint64_t limit = LIMIT_DATABASE_CACHE_BYTES_MAX;
    const char *dir = fixture_dir();
    struct store_config config = fixture_config(dir);
    struct store *s = fixture_open(&config);
    struct package_view view;
    struct reader *r;
    sqlite3 *db;

    (void)state;
    /* A connection that would keep all of what it reads. */
    assert_int_equal(SQLITE_OK,
                     sqlite3_open(fixture_path(dir, "other.db"), &db));
    assert_int_equal(
        SQLITE_OK,
        sqlite3_exec(db,
                     "PRAGMA cache_size=-200000; PRAGMA synchronous=OFF;"
                     "CREATE TABLE t(v);"
                     "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1"
                     " FROM c LIMIT 32768)"
                     "INSERT INTO t SELECT randomblob(3000) FROM c",
                     NULL, NULL, NULL));
    assert_in_range(most_while_reading(db), limit - (1 << 20),
                    limit + (1 << 20));
    assert_ok(fixture_publish(s, "acme/json", "1.0.0", ""));
    r = fixture_reader(s);
    assert_string_equal("1.0.0", fixture_head(r, "acme/json", &view));
    reader_close(r);
    assert_in_range(store_memory(), limit - (1 << 20), limit + (1 << 20));
    (void)sqlite3_soft_heap_limit64(0);
    assert_true(most_while_reading(db) > limit + limit / 4);
    assert_int_equal(SQLITE_OK, sqlite3_close(db));
    assert_true(store_memory() < limit / 4);
    store_close(s);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restart_brings_everything_back),
        cmocka_unit_test(files_are_for_the_owner_only),
        cmocka_unit_test(garbage_is_no_database),
        cmocka_unit_test(damaged_pages_are_found_before_anything_is_written),
        cmocka_unit_test(cut_database_is_refused),
        cmocka_unit_test(newer_database_is_left_alone),
        cmocka_unit_test(another_programs_database_is_left_alone),
        cmocka_unit_test(two_nodes_cannot_share_a_directory),
        cmocka_unit_test(directory_that_cannot_be_made_is_a_clear_error),
        cmocka_unit_test(directory_that_cannot_be_written_is_a_clear_error),
        cmocka_unit_test(lost_key_is_never_replaced_silently),
        cmocka_unit_test(identity_file_may_lie_elsewhere),
        cmocka_unit_test(bad_admin_token_is_a_clear_error),
        cmocka_unit_test(first_start_that_died_halfway_can_start_again),
        cmocka_unit_test(trust_of_the_operator_is_judged_anew_at_start),
        cmocka_unit_test(pages_beyond_their_memory_make_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
