/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "gateway/cli/context.h"
#include "host/system.h"
#include "market/record.h"
#include "store/files.h"

/* key new, show, sign: without a node, so that a publisher's key need not be
 * where a node runs. */

/* The key file meant: |given|, else the node's own. */
static bool key_path(struct cli *cli, const char *given,
                     char out[REMOTE_PATH_MAX])
{
    if (given == NULL && !remote_data_path("identity.key", out)) {
        cli_complain(cli, "there is no home directory: name the key file");
        return false;
    }
    if (given != NULL)
        (void)snprintf(out, REMOTE_PATH_MAX, "%s", given);
    return true;
}

static bool load_key(struct cli *cli, const char *given,
                     struct ed25519_keypair *key, char path[REMOTE_PATH_MAX])
{
    char why[STORE_WHY_MAX];
    bool is_new;

    if (!key_path(cli, given, path))
        return false;
    if (access(path, R_OK) != 0) {
        cli_complain(cli, "%s: %s; souk key new %s makes one", path,
                     strerror(errno), given ? given : "");
        return false;
    }
    if (files_identity(path, false, &rng_system, key, &is_new, why) == OK)
        return true;
    cli_complain(cli, "%s", why);
    return false;
}

static int tell_key(struct cli *cli, const struct ed25519_keypair *key,
                    const char *path)
{
    char id[PEER_ID_TEXT_MAX], ns[PACKAGE_NAME_MAX + 1] = "";
    struct peer_id peer;
    json_t *json;

    peer_id_from_ed25519(&peer, key->pub);
    (void)peer_id_format(&peer, id);
    (void)package_ns_of(&peer, ns);
    if (!cli->args.json) {
        print_field(&cli->out, "id", "%s", id);
        print_field(&cli->out, "namespace", "%s", ns);
        print_field(&cli->out, "file", "%s", path);
        return EXIT_OK;
    }
    json =
        json_pack("{s:s, s:s, s:s}", "id", id, "namespace", ns, "file", path);
    if (json != NULL)
        print_json(&cli->out, json);
    json_decref(json);
    return json ? EXIT_OK : EXIT_FAILED;
}

/* Only for the default place: whoever names a file has made its directory. */
static void make_dirs_of(const char *path)
{
    char copy[REMOTE_PATH_MAX];

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = strchr(copy + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        (void)mkdir(copy, 0700); /* what failed shows when the key is written */
        *p = '/';
    }
}

int run_key_new(struct cli *cli)
{
    const char *given = cli->args.word_count ? cli->args.words[0] : NULL;
    char path[REMOTE_PATH_MAX], why[STORE_WHY_MAX];
    struct ed25519_keypair key;
    int status = EXIT_FAILED;
    bool is_new;

    if (!key_path(cli, given, path))
        return EXIT_FAILED;
    if (access(path, F_OK) == 0) {
        cli_complain(cli, "%s is there already, and a key is never overwritten",
                     path);
        return EXIT_FAILED;
    }
    if (given == NULL)
        make_dirs_of(path);
    if (files_identity(path, true, &rng_system, &key, &is_new, why) == OK)
        status = tell_key(cli, &key, path);
    else
        cli_complain(cli, "%s", why);
    crypto_wipe(&key, sizeof(key));
    return status;
}

int run_key_show(struct cli *cli)
{
    const char *given = cli->args.word_count ? cli->args.words[0] : NULL;
    char path[REMOTE_PATH_MAX];
    struct ed25519_keypair key;
    int status;

    if (!load_key(cli, given, &key, path))
        return EXIT_FAILED;
    status = tell_key(cli, &key, path);
    crypto_wipe(&key, sizeof(key));
    return status;
}

/* ---- Signing. ---- */

static void tell_problems(struct cli *cli, enum err err,
                          const struct problems *problems)
{
    cli_complain(cli, "%s", err_text(err));
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->list[i];
        char *where = text_clean(span_str(p->pointer));
        char *what = text_clean(span_str(p->detail));

        (void)fprintf(cli->err.out, "  #%s: %s\n", where, what);
        mem_free(&mem_libc, where);
        mem_free(&mem_libc, what);
    }
}

/* A '~' namespace takes no other key's signature: better said here. */
static bool may_sign(struct cli *cli, const struct record *r,
                     const struct peer_id *us)
{
    char ns[PACKAGE_NAME_MAX + 1] = "";
    struct peer_id owner;

    if (!package_ns_owner(&r->id, &owner) || peer_id_eq(&owner, us))
        return true;
    (void)package_ns_of(us, ns);
    cli_complain(cli, "namespace %s belongs to another key; this key's is %s",
                 r->id.ns, ns);
    return false;
}

/* What the record says of its package's versions stays, but for itself. */
static size_t take_versions(const struct record *r, bool is_yanked,
                            struct record_version out[RECORD_VERSIONS_MAX + 1])
{
    bool is_listed = false;
    size_t n = 0;

    while (n < RECORD_VERSIONS_MAX && record_version_at(r, n, &out[n])) {
        if (semver_cmp(&out[n].version, &r->version) == 0) {
            out[n].is_yanked = is_yanked;
            is_listed = true;
        }
        n++;
    }
    if (n > 0 && !is_listed)
        out[n++] = (struct record_version){r->version, is_yanked};
    return n;
}

static enum err sign(struct cli *cli, const struct record *r,
                     const struct ed25519_keypair *key, struct record *out)
{
    const struct args *a = &cli->args;
    struct record_version versions[RECORD_VERSIONS_MAX + 1];
    uint64_t wall = (uint64_t)clock_wall();
    struct record_seal seal = {
        .sequence = (r->sequence > wall ? r->sequence : wall) + 1,
        .is_yanked = a->yank != NULL || r->is_yanked,
        .reason = span_str(a->yank ? a->yank : record_yank_reason(r)),
        .use_instead = span_str(a->use_instead ? a->use_instead
                                               : record_yank_use_instead(r)),
    };

    seal.version_count = take_versions(r, seal.is_yanked, versions);
    seal.versions = seal.version_count ? versions : NULL;
    return record_sign(r, &seal, key, out);
}

static int sign_text(struct cli *cli, struct span text,
                     const struct ed25519_keypair *key)
{
    struct problems problems = {.count = 0};
    struct record r = {.json = NULL}, sealed = {.json = NULL};
    struct peer_id us;
    int status = EXIT_FAILED;
    enum err err = record_parse(&r, text, RECORD_INPUT, &mem_libc, &problems);

    peer_id_from_ed25519(&us, key->pub);
    if (err == OK)
        err = record_complete(&r, clock_wall(), NULL);
    if (err == OK && !may_sign(cli, &r, &us)) {
        record_release(&r);
        return EXIT_FAILED;
    }
    if (err == OK)
        err = sign(cli, &r, key, &sealed);
    if (err == OK) {
        print_raw(&cli->out, buf_span(&sealed.bytes));
        status = EXIT_OK;
    } else {
        tell_problems(cli, err, &problems);
    }
    record_release(&sealed);
    record_release(&r);
    return status;
}

static int check_sign(struct cli *cli)
{
    struct semver v;

    if (cli->args.use_instead == NULL)
        return EXIT_OK;
    if (cli->args.yank == NULL)
        cli_complain(cli, "--use-instead is said with --yank only");
    else if (semver_parse(span_str(cli->args.use_instead), &v) != OK)
        cli_complain(cli, "--use-instead: '%s' is no version such as 1.2.3",
                     cli->args.use_instead);
    else
        return EXIT_OK;
    return EXIT_USAGE;
}

int run_key_sign(struct cli *cli)
{
    char path[REMOTE_PATH_MAX];
    struct ed25519_keypair key;
    struct buf text;
    int status = check_sign(cli);

    if (status != EXIT_OK || !load_key(cli, cli->args.key, &key, path))
        return status != EXIT_OK ? status : EXIT_FAILED;
    status = EXIT_FAILED;
    buf_init(&text, (1 << 20) + 65536, &mem_libc);
    if (cli_read_file(cli, cli->args.words[0], 1 << 20, &text))
        status = sign_text(cli, buf_span(&text), &key);
    buf_release(&text);
    crypto_wipe(&key, sizeof(key));
    return status;
}
