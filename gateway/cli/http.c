/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/http.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    CONNECT_MAX_MS = 10000,
    /* The node ends every request within 25 s and one more. */
    ANSWER_MAX_MS = 35000,
    ANSWER_LATE_MS = 3000, /* beyond the timeout it was told */
};

/* ---- URLs. ---- */

static void put(struct url *u, const char *text, size_t len)
{
    if (len >= sizeof(u->text) - u->len) {
        u->is_cut = true;
        return;
    }
    memcpy(u->text + u->len, text, len);
    u->len += len;
    u->text[u->len] = '\0';
}

/* spec: RFC 3986#section-2.3
 *   unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~" */
static void put_escaped(struct url *u, struct span text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        char escaped[4];

        if (c != '\0' && strchr(plain, c) != NULL) {
            put(u, (const char *)&text.data[i], 1);
        } else {
            (void)snprintf(escaped, sizeof(escaped), "%%%02X", c);
            put(u, escaped, 3);
        }
    }
}

void url_start(struct url *u, const char *path)
{
    u->len = 0;
    u->has_query = u->is_cut = false;
    put(u, path, strlen(path));
}

void url_segment(struct url *u, struct span text)
{
    put(u, "/", 1);
    /* A dot segment would be taken away on the way. */
    if (span_eq(text, SPAN_LIT(".")))
        put(u, "%2E", 3);
    else if (span_eq(text, SPAN_LIT("..")))
        put(u, "%2E%2E", 6);
    else
        put_escaped(u, text);
}

void url_query(struct url *u, const char *name, const char *value)
{
    if (value == NULL)
        return;
    put(u, u->has_query ? "&" : "?", 1);
    u->has_query = true;
    put(u, name, strlen(name));
    put(u, "=", 1);
    put_escaped(u, span_str(value));
}

void url_query_number(struct url *u, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    if (value > 0)
        url_query(u, name, text);
}

/* ---- Answers. ---- */

void answer_init(struct answer *a)
{
    *a = (struct answer){.status = 0};
    buf_init(&a->body, HTTP_ANSWER_MAX, &mem_libc);
}

void answer_release(struct answer *a)
{
    buf_release(&a->body);
}

static void answer_clear(struct answer *a)
{
    buf_clear(&a->body);
    a->status = 0;
    a->type[0] = a->trust[0] = a->failure[0] = '\0';
    a->is_conflict = false;
    a->retry_after_s = 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct answer *a = user;

    return buf_put(&a->body, SPAN(bytes, size * count)) == OK ? size * count
                                                              : 0;
}

/* |text| is "Name: value\r\n", and not ended by a NUL. */
static bool take_value(struct span line, const char *name, char *out,
                       size_t max)
{
    size_t n = strlen(name);

    if (line.len <= n || line.data[n] != ':' ||
        strncasecmp((const char *)line.data, name, n) != 0)
        return false;
    (void)span_take(&line, n + 1);
    while (line.len > 0 && line.data[0] == ' ')
        (void)span_take(&line, 1);
    while (line.len > 0 && line.data[line.len - 1] <= ' ')
        line.len--;
    (void)snprintf(out, max, "%.*s", (int)line.len, (const char *)line.data);
    return true;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *user)
{
    struct span line = SPAN(bytes, size * count);
    struct answer *a = user;
    char text[16];

    (void)take_value(line, "Content-Type", a->type, sizeof(a->type));
    (void)take_value(line, "Souk-Trust", a->trust, sizeof(a->trust));
    if (take_value(line, "Souk-Conflict", text, sizeof(text)))
        a->is_conflict = strcmp(text, "true") == 0;
    if (take_value(line, "Retry-After", text, sizeof(text)))
        a->retry_after_s = (unsigned)strtoul(text, NULL, 10);
    return size * count;
}

/* ---- Requests. ---- */

static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);

    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static struct curl_slist *make_headers(const struct remote *r, bool has_body,
                                       bool is_fresh)
{
    struct curl_slist *list = NULL;
    char token[REMOTE_TOKEN_MAX + 32];
    bool is_good;

    (void)snprintf(token, sizeof(token), "Authorization: Bearer %s", r->token);
    is_good = add_header(&list, "Accept: application/json, */*");
    if (r->token[0] != '\0')
        is_good = is_good && add_header(&list, token);
    if (has_body)
        is_good = is_good &&
                  add_header(&list, "Content-Type: application/json") &&
                  add_header(&list, "Expect:");
    if (is_fresh)
        is_good = is_good && add_header(&list, "Cache-Control: no-cache");
    if (is_good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

enum err http_open(struct http *h, const struct remote *remote,
                   uint64_t timeout_ms)
{
    *h = (struct http){
        .curl = curl_easy_init(), .remote = remote, .timeout_ms = timeout_ms};
    /* Of a publish, which is what others send themselves. */
    h->headers = make_headers(remote, true, false);
    if (h->curl != NULL && h->headers != NULL)
        return OK;
    http_close(h);
    return ERR_NOMEM;
}

void http_close(struct http *h)
{
    curl_easy_cleanup(h->curl);
    curl_slist_free_all(h->headers);
    *h = (struct http){.curl = NULL};
}

enum err http_prepare(const struct http *h, CURL *c, const struct url *url,
                      struct answer *a)
{
    const struct remote *r = h->remote;
    char whole[REMOTE_URL_MAX + URL_MAX];
    long most =
        h->timeout_ms ? (long)h->timeout_ms + ANSWER_LATE_MS : ANSWER_MAX_MS;
    bool is_good = !url->is_cut;

    (void)snprintf(whole, sizeof(whole), "%s%s", r->base, url->text);
    answer_clear(a);
    curl_easy_reset(c);
    is_good = is_good && !curl_easy_setopt(c, CURLOPT_URL, whole) &&
              !curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->headers) &&
              !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") &&
              !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (r->socket[0] != '\0')
        is_good = is_good &&
                  !curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, r->socket);
    if (r->is_here) /* a proxy would be no way to ourselves */
        is_good = is_good && !curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "souk/" SOUK_VERSION);
    (void)curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MAX_MS);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, most);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, a->failure);
    if (is_good)
        return OK;
    (void)snprintf(a->failure, sizeof(a->failure), "%s",
                   url->is_cut ? "the request is too long"
                               : "the address cannot be used");
    return ERR_IO;
}

enum err http_send(struct http *h, const struct question *q, struct answer *a)
{
    bool has_body = q->body.data != NULL;
    struct curl_slist *headers = make_headers(h->remote, has_body, q->is_fresh);
    CURL *c = h->curl;
    CURLcode code;
    enum err err = http_prepare(h, c, q->url, a);

    if (err != OK || headers == NULL) {
        curl_slist_free_all(headers);
        return err != OK ? err : ERR_NOMEM;
    }
    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    if (has_body) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)q->body.len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body.data);
    }
    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
    code = curl_easy_perform(c);
    (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->status);
    curl_slist_free_all(headers);
    if (code == CURLE_OK)
        return OK;
    if (a->failure[0] == '\0')
        (void)snprintf(a->failure, sizeof(a->failure), "%s",
                       curl_easy_strerror(code));
    a->status = 0;
    return ERR_IO;
}
