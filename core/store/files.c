/* SPDX-License-Identifier: Apache-2.0 */
#include "store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hash.h"
#include "multi/base.h"

enum { TOKEN_BYTES = 32, TOKEN_TEXT_MIN = 16, FILE_MAX = 4096 };

static enum err fail(enum err err, char *why, const char *path,
                     const char *what)
{
    snprintf(why, STORE_WHY_MAX, "%s: %s", path, what);
    return err;
}

static enum err fail_errno(char *why, const char *path, const char *advice)
{
    bool is_setup = errno == EACCES || errno == EPERM || errno == EROFS ||
                    errno == ENOTDIR || errno == ENOENT;

    snprintf(why, STORE_WHY_MAX, "%s: %s%s", path, strerror(errno), advice);
    return is_setup ? ERR_CONFIG : ERR_IO;
}

static int make_dirs(const char *dir)
{
    char path[PATH_MAX];
    size_t len = strlen(dir);

    if (len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(path, dir, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return -1;
        path[i] = i < len ? '/' : '\0';
    }
    return 0;
}

enum err files_lock_dir(const char *dir, int *out, char why[STORE_WHY_MAX])
{
    static const char advice[] = "; the data directory must be one this user"
                                 " can write (--data)";
    char path[PATH_MAX], text[32] = "";
    ssize_t got;
    int fd;

    if (make_dirs(dir) != 0)
        return fail_errno(why, dir, advice);
    snprintf(path, sizeof(path), "%s/lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail_errno(why, path, advice);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        got = pread(fd, text, sizeof(text) - 1, 0);
        text[got > 0 ? strcspn(text, "\n") : 0] = '\0';
        snprintf(why, STORE_WHY_MAX,
                 "%s is in use by another souk%s%s; stop it, or give this one"
                 " its own directory (--data)",
                 dir, *text ? ", process " : "", text);
        close(fd);
        return ERR_CONFIG;
    }
    got = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)got, 0) != got) {
        enum err err = fail_errno(why, path, advice);

        close(fd);
        return err;
    }
    *out = fd;
    return OK;
}

/* ERR_NOT_FOUND: there is no such file. */
static enum err read_file(const char *path, uint8_t *out, size_t max,
                          size_t *len, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = 0;

    if (fd < 0 && errno == ENOENT)
        return ERR_NOT_FOUND;
    if (fd < 0)
        return fail_errno(why, path, "");
    for (*len = 0; *len < max; *len += (size_t)got) {
        got = read(fd, out + *len, max - *len);
        if (got <= 0)
            break;
    }
    close(fd);
    return got < 0 ? fail_errno(why, path, "") : OK;
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.data, bytes.len);

        if (n < 0 && errno != EINTR)
            return -1;
        (void)span_take(&bytes, n > 0 ? (size_t)n : 0);
    }
    return 0;
}

static int sync_dir_of(const char *path)
{
    char copy[PATH_MAX];
    int fd, result;

    snprintf(copy, sizeof(copy), "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    result = fsync(fd);
    close(fd);
    return result;
}

/* All of it and durable, or not there: written aside, synced, renamed. */
static enum err create_file(const char *path, struct span bytes, char *why)
{
    char aside[PATH_MAX];
    int fd, result;

    if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
        return fail(ERR_CONFIG, why, path, "the name is too long");
    (void)unlink(aside);
    fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(why, aside, "");
    result = write_all(fd, bytes) == 0 && fsync(fd) == 0 ? 0 : -1;
    if (close(fd) != 0)
        result = -1;
    if (result == 0)
        result = rename(aside, path);
    if (result == 0)
        result = sync_dir_of(path);
    if (result != 0) {
        enum err err = fail_errno(why, path, " (could not be written)");

        (void)unlink(aside);
        return err;
    }
    return OK;
}

enum err files_identity(const char *path, bool may_create,
                        const struct rng *rng, struct ed25519_keypair *key,
                        bool *is_new, char why[STORE_WHY_MAX])
{
    uint8_t file[FILE_MAX];
    size_t len;
    enum err err = read_file(path, file, sizeof(file), &len, why);

    *is_new = err == ERR_NOT_FOUND;
    if (*is_new && may_create) {
        ed25519_generate(key, rng);
        ed25519_encode(key, file);
        err = create_file(path, SPAN(file, ED25519_FILE_LEN), why);
    } else if (*is_new) {
        err = fail(ERR_NOT_FOUND, why, path,
                   "the identity key is missing, but this directory has"
                   " already had one; put it back, or move the directory away"
                   " to start as a new peer");
    } else if (err == OK && ed25519_decode(key, SPAN(file, len)) != OK) {
        err = fail(ERR_STORE_CORRUPT, why, path,
                   "this is no Ed25519 private key in libp2p's form (68"
                   " bytes); put the right one back");
    }
    crypto_wipe(file, sizeof(file));
    return err;
}

void files_make_token(const struct rng *rng, char token[STORE_TOKEN_MAX])
{
    uint8_t bytes[TOKEN_BYTES];

    rng_fill(rng, bytes, sizeof(bytes));
    (void)base_encode(BASE64URL, SPAN_OF(bytes), token, STORE_TOKEN_MAX);
    crypto_wipe(bytes, sizeof(bytes));
}

static bool token_is_valid(const char *token)
{
    return strlen(token) >= TOKEN_TEXT_MIN &&
           strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789-_") == strlen(token);
}

enum err files_token(const char *path, const struct rng *rng,
                     char token[STORE_TOKEN_MAX], char why[STORE_WHY_MAX])
{
    char line[STORE_TOKEN_MAX + 1] = "";
    size_t len = 0;
    enum err err =
        read_file(path, (uint8_t *)line, sizeof(line) - 1, &len, why);

    if (err == ERR_NOT_FOUND) {
        files_make_token(rng, token);
        snprintf(line, sizeof(line), "%s\n", token);
        return create_file(path, span_str(line), why);
    }
    if (err != OK)
        return err;
    line[strcspn(line, "\r\n")] = '\0';
    if (!token_is_valid(line) || strlen(line) >= STORE_TOKEN_MAX)
        return fail(ERR_STORE_CORRUPT, why, path,
                    "this is no token (one line, 16 to 63 of A-Z a-z 0-9 - _);"
                    " remove it to get a new one");
    memcpy(token, line, STORE_TOKEN_MAX);
    return OK;
}
