/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/poster.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TURN (1 * SECONDS)

struct poster {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    _Atomic tstamp hurry; /* whatever is being sent ends by then */
};

tstamp poster_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

/* ---- Making. ---- */

static bool add_header(struct poster *p, const char *name, const char *value)
{
    char line[OTEL_KEY_MAX + OTEL_VALUE_MAX + 2];
    struct curl_slist *longer;

    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    longer = curl_slist_append(p->headers, line);
    if (longer != NULL)
        p->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct poster *p, const struct otel *otel)
{
    for (size_t i = 0; i < otel->header_count; i++)
        if (!add_header(p, otel->headers[i].key, otel->headers[i].value))
            return false;
    /* Not the pause that libcurl makes before a longer body. */
    return add_header(p, "Content-Type", "application/x-protobuf") &&
           add_header(p, "Expect", "");
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct buf *body = ctx;

    /* What is beyond the limit is of no interest. */
    if (body != NULL && buf_put(body, SPAN(data, size * count)) != OK)
        body->limit = buf_len(body);
    return size * count;
}

#define SET(option, value) \
    (curl_easy_setopt(p->easy, (option), (value)) == CURLE_OK)

static bool set_up(struct poster *p, const struct otel *otel,
                   const char *version)
{
    char agent[64];

    (void)snprintf(agent, sizeof(agent), "souk/%s", version);
    return add_headers(p, otel) && SET(CURLOPT_URL, otel->url) &&
           SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
           SET(CURLOPT_HTTPHEADER, p->headers) &&
           SET(CURLOPT_USERAGENT, agent) && SET(CURLOPT_NOSIGNAL, 1L) &&
           SET(CURLOPT_POST, 1L) && SET(CURLOPT_FOLLOWLOCATION, 0L) &&
           SET(CURLOPT_WRITEFUNCTION, on_body) &&
           SET(CURLOPT_ERRORBUFFER, p->error) &&
           SET(CURLOPT_TIMEOUT_MS, (long)(otel->timeout / MILLISECONDS)) &&
           SET(CURLOPT_CONNECTTIMEOUT_MS,
               (long)(otel->timeout / MILLISECONDS)) &&
           (otel->certificate[0] == '\0' ||
            SET(CURLOPT_CAINFO, otel->certificate));
}

enum err poster_new(const struct otel *otel, const char *version,
                    struct poster **out)
{
    struct poster *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return ERR_NOMEM;
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    atomic_init(&p->hurry, TSTAMP_NEVER);
    p->multi = curl_multi_init();
    p->easy = curl_easy_init();
    if (p->multi == NULL || p->easy == NULL || !set_up(p, otel, version)) {
        poster_free(p);
        return ERR_NOMEM;
    }
    *out = p;
    return OK;
}

void poster_free(struct poster *p)
{
    if (p == NULL)
        return;
    if (p->easy != NULL)
        curl_easy_cleanup(p->easy);
    if (p->multi != NULL)
        (void)curl_multi_cleanup(p->multi);
    curl_slist_free_all(p->headers);
    curl_global_cleanup();
    free(p);
}

/* ---- Sending. ---- */

void poster_hurry(struct poster *p, tstamp until)
{
    atomic_store(&p->hurry, until);
    (void)curl_multi_wakeup(p->multi);
}

/* The end of the transfer; CURLE_OPERATION_TIMEDOUT when |until| was first. */
static CURLcode wait_for_end(struct poster *p, tstamp until)
{
    struct CURLMsg *message;
    int running, left;

    for (;;) {
        tstamp now, by = tstamp_min(until, atomic_load(&p->hurry));

        if (curl_multi_perform(p->multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        message = curl_multi_info_read(p->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE)
            return message->data.result;
        now = poster_now();
        if (now >= by)
            return CURLE_OPERATION_TIMEDOUT;
        by = tstamp_min(by, now + TURN);
        (void)curl_multi_poll(
            p->multi, NULL, 0,
            (int)((by - now + MILLISECONDS - 1) / MILLISECONDS), NULL);
    }
}

static void judge(struct poster *p, CURLcode code, struct post_answer *a)
{
    curl_off_t seconds = 0;
    long status = 0;

    if (code != CURLE_OK) {
        a->result = POST_LATER;
        (void)snprintf(a->why, sizeof(a->why), "%s",
                       p->error[0] ? p->error : curl_easy_strerror(code));
        return;
    }
    (void)curl_easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(p->easy, CURLINFO_RETRY_AFTER, &seconds);
    if (seconds > 0 && seconds < 3600)
        a->retry_after = (duration)seconds * SECONDS;
    if (status >= 200 && status < 300)
        a->result = POST_TAKEN;
    else if (status == 429 || status == 502 || status == 503 || status == 504)
        a->result = POST_LATER;
    else
        a->result = POST_REFUSED;
    (void)snprintf(a->why, sizeof(a->why), "status %ld", status);
}

void poster_send(struct poster *p, struct span body, tstamp until,
                 struct post_answer *answer)
{
    CURLcode code = CURLE_OUT_OF_MEMORY;

    answer->result = POST_LATER;
    answer->retry_after = 0;
    answer->why[0] = p->error[0] = '\0';
    if (SET(CURLOPT_POSTFIELDS, body.data) &&
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len) &&
        SET(CURLOPT_WRITEDATA, answer->body) &&
        curl_multi_add_handle(p->multi, p->easy) == CURLM_OK) {
        code = wait_for_end(p, until);
        (void)curl_multi_remove_handle(p->multi, p->easy);
    }
    judge(p, code, answer);
}
