/* SPDX-License-Identifier: Apache-2.0 */
#include "host/endpoints.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

static json_t *listen_array(const struct endpoints *e)
{
    json_t *array = json_array();

    for (size_t i = 0; i < e->listen.count; i++) {
        struct multiaddr addr = e->listen.at[i];
        char text[MULTIADDR_TEXT_MAX];

        if (multiaddr_add_peer(&addr, &e->peer_id) == OK)
            (void)json_array_append_new(
                array, json_string(multiaddr_format(&addr, text)));
    }
    return array;
}

static char *to_json(const struct endpoints *e)
{
    char id[PEER_ID_TEXT_MAX];
    json_t *root = json_pack(
        "{s:s, s:o, s:s?, s:s?}", "peer_id", peer_id_format(&e->peer_id, id),
        "listen", listen_array(e), "http", e->http, "admin", e->admin);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;

    json_decref(root);
    return text;
}

static enum err write_all(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = write(fd, text, len);

        if (n <= 0)
            return ERR_IO;
        text += n;
        len -= (size_t)n;
    }
    return OK;
}

static enum err write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum err err;

    if (fd < 0)
        return ERR_IO;
    err = write_all(fd, text);
    if (err == OK)
        err = write_all(fd, "\n");
    if (close(fd) != 0)
        err = ERR_IO;
    return err;
}

enum err endpoints_write(const char *dir, const struct endpoints *e)
{
    char path[PATH_MAX], next[PATH_MAX];
    char *text = to_json(e);
    enum err err;

    if (text == NULL)
        return ERR_NOMEM;
    if (snprintf(path, sizeof(path), "%s/endpoints.json", dir) >=
            (int)sizeof(path) ||
        snprintf(next, sizeof(next), "%s/endpoints.json.new", dir) >=
            (int)sizeof(next)) {
        free(text);
        return ERR_IO;
    }
    err = write_file(next, text);
    if (err == OK && rename(next, path) != 0)
        err = ERR_IO;
    if (err != OK)
        (void)unlink(next);
    free(text);
    return err;
}

void endpoints_remove(const char *dir)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/endpoints.json", dir) <
        (int)sizeof(path))
        (void)unlink(path);
}
