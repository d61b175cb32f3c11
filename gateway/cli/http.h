/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include <curl/curl.h>

#include "base/buf.h"
#include "gateway/cli/remote.h"

/* Requests to the node, one after the other over a kept connection.
 *
 *      http_open() → url_start, url_segment, url_query → http_send() → answer
 *
 * Nothing is followed elsewhere and nothing is retried here. */
enum { URL_MAX = 8192, HTTP_ANSWER_MAX = 64 << 20 };

/* The path and query of a request, escaped. */
struct url {
    char text[URL_MAX];
    size_t len;
    bool has_query;
    bool is_cut; /* it was too long */
};
void url_start(struct url *u, const char *path);
void url_segment(struct url *u, struct span text);
/* NULL |value|: left out. */
void url_query(struct url *u, const char *name, const char *value);
void url_query_number(struct url *u, const char *name, uint64_t value);

struct answer {
    long status; /* 0: there was no answer */
    char type[64];
    char trust[32];
    bool is_conflict; /* another key claims the name, too */
    unsigned retry_after_s;
    struct buf body;
    char failure[CURL_ERROR_SIZE]; /* why there was no answer */
};
void answer_init(struct answer *a);
void answer_release(struct answer *a);

struct http {
    CURL *curl;
    const struct remote *remote;
    uint64_t timeout_ms; /* the operation's, 0: the node's default */
    struct curl_slist *headers;
};

/* ERR_NOMEM. */
MUST_USE
enum err http_open(struct http *h, const struct remote *remote,
                   uint64_t timeout_ms);
void http_close(struct http *h);

struct question {
    const char *method;
    const struct url *url;
    struct span body; /* JSON; SPAN_NONE: no body */
    bool is_fresh;    /* Cache-Control: no-cache */
};
/* OK when there was an answer, whatever its status; it is empty before.
 * ERR_IO: |a->failure| says why there was none. */
MUST_USE
enum err http_send(struct http *h, const struct question *q, struct answer *a);

/* For who drives a transfer himself: all of the above but the body. */
MUST_USE
enum err http_prepare(const struct http *h, CURL *curl, const struct url *url,
                      struct answer *a);

#endif /* CLI_HTTP_H */
