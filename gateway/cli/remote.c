/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char default_url[] = "http://127.0.0.1:8800";

bool remote_data_path(const char *file, char out[REMOTE_PATH_MAX])
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;

    if (data != NULL && data[0] == '/')
        n = snprintf(out, REMOTE_PATH_MAX, "%s/souk/%s", data, file);
    else if (home != NULL && home[0] != '\0')
        n = snprintf(out, REMOTE_PATH_MAX, "%s/.local/share/souk/%s", home,
                     file);
    else
        return false;
    return n > 0 && n < REMOTE_PATH_MAX;
}

/* ---- The URL. ---- */

/* Of "host:port/path", without user, brackets and port. */
static bool is_loopback(const char *authority)
{
    size_t len = strcspn(authority, "/?#");
    char host[256];

    if (len >= sizeof(host) || memchr(authority, '@', len) != NULL)
        return false;
    memcpy(host, authority, len);
    host[len] = '\0';
    if (host[0] == '[')
        return strncmp(host, "[::1]", 5) == 0;
    host[strcspn(host, ":")] = '\0';
    return strcasecmp(host, "localhost") == 0 ||
           (strncmp(host, "127.", 4) == 0 &&
            strspn(host, "0123456789.") == strlen(host));
}

enum err remote_parse(struct remote *r, const char *url)
{
    size_t len = strlen(url);
    const char *authority;

    *r = (struct remote){.is_here = false};
    if (len == 0 || len >= REMOTE_URL_MAX)
        return ERR_INVAL;
    memcpy(r->name, url, len);
    if (strncmp(url, "unix:", 5) == 0) {
        memcpy(r->socket, url + 5, len - 5);
        (void)snprintf(r->base, sizeof(r->base), "http://localhost");
        r->is_here = true;
        return r->socket[0] == '/' ? OK : ERR_INVAL;
    }
    if (strncasecmp(url, "http://", 7) != 0 &&
        strncasecmp(url, "https://", 8) != 0)
        return ERR_INVAL;
    authority = strstr(url, "//") + 2;
    if (strcspn(authority, "/") == 0 || strpbrk(url, "?# ") != NULL)
        return ERR_INVAL;
    memcpy(r->base, url, len);
    while (r->base[len - 1] == '/')
        r->base[--len] = '\0';
    r->is_here = is_loopback(authority);
    return OK;
}

/* ---- The token. ---- */

/* The first line of the file; what errno says if that cannot be had. */
static enum err read_token(const char *path, char out[REMOTE_TOKEN_MAX])
{
    FILE *f = fopen(path, "re");
    bool is_read = f != NULL && fgets(out, REMOTE_TOKEN_MAX, f) != NULL;

    if (f != NULL)
        (void)fclose(f);
    if (!is_read)
        return ERR_IO;
    out[strcspn(out, "\r\n")] = '\0';
    return OK;
}

/* Only visible characters may stand in a header. */
static bool is_token(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

static enum err find_token(struct remote *r, const struct args *args,
                           struct args_error *error)
{
    const char *given = getenv("SOUK_TOKEN");

    errno = 0;
    if (args->token_file != NULL) {
        (void)snprintf(r->token_file, sizeof(r->token_file), "%s",
                       args->token_file);
        if (read_token(args->token_file, r->token) != OK) {
            (void)snprintf(error->text, sizeof(error->text),
                           "--token-file %.160s: %s", args->token_file,
                           errno ? strerror(errno) : "it is empty");
            return ERR_INVAL;
        }
    } else if (given != NULL) {
        (void)snprintf(r->token, sizeof(r->token), "%s", given);
    } else if (r->is_here && remote_data_path("admin-token", r->token_file)) {
        if (read_token(r->token_file, r->token) != OK)
            r->token[0] = '\0'; /* reading needs none */
    }
    if (is_token(r->token))
        return OK;
    (void)snprintf(error->text, sizeof(error->text),
                   "what %.160s holds is no token",
                   r->token_file[0] ? r->token_file : "SOUK_TOKEN");
    return ERR_INVAL;
}

enum err remote_find(struct remote *r, const struct args *args,
                     struct args_error *error)
{
    const char *url = args->api ? args->api : getenv("SOUK_API");

    if (url == NULL || url[0] == '\0')
        url = default_url;
    if (remote_parse(r, url) != OK) {
        (void)snprintf(error->text, sizeof(error->text),
                       "'%.128s' is no node's address: http://HOST:PORT, "
                       "https://HOST or unix:/PATH",
                       url);
        return ERR_INVAL;
    }
    return find_token(r, args, error);
}
