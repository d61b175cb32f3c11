/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "gateway/cli/args.h"

/* The node a command speaks to, and what it shows there.
 *
 *      node   --api, else SOUK_API, else http://127.0.0.1:8800
 *      token  --token-file, else SOUK_TOKEN, else DIR/admin-token
 *
 * The last is taken only for a node on this machine: whoever points --api
 * elsewhere has not asked for his own node's token to be sent there. */
enum {
    REMOTE_URL_MAX = 1024,
    REMOTE_TOKEN_MAX = 512,
    REMOTE_PATH_MAX = 4096,
};

struct remote {
    char name[REMOTE_URL_MAX];        /* as people wrote it */
    char base[REMOTE_URL_MAX];        /* no slash at its end */
    char socket[REMOTE_URL_MAX];      /* "": over TCP */
    char token[REMOTE_TOKEN_MAX];     /* "": none */
    char token_file[REMOTE_PATH_MAX]; /* where it is from, or would be; "" */
    bool is_here;                     /* loopback or a socket */
};

/* ERR_INVAL: |error| says why. */
MUST_USE
enum err remote_find(struct remote *r, const struct args *args,
                     struct args_error *error);
/* Only the URL.  ERR_INVAL. */
MUST_USE
enum err remote_parse(struct remote *r, const char *url);

/* DIR/|file| of the default data directory; false: there is no home. */
bool remote_data_path(const char *file, char out[REMOTE_PATH_MAX]);

#endif /* CLI_REMOTE_H */
