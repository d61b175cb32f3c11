/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/problem.h"

#include <stdio.h>

#include "gateway/json.h"

bool problem_is_retryable(enum err err)
{
    int status = err_http_status(err);

    return status == 429 || status == 502 || status == 503 || status == 504;
}

unsigned problem_retry_after(enum err err)
{
    int status = err_http_status(err);

    return status == 503 || status == 429 ? 1 : 0;
}

/* A JSON pointer as a URI fragment. */
static void pointer_write(struct jw *j, const char *pointer)
{
    char fragment[3 * PROBLEM_TEXT_MAX + 2];
    size_t n = 0;

    fragment[n++] = '#';
    for (; *pointer; pointer++) {
        unsigned char c = (unsigned char)*pointer;

        if (c <= 0x20 || c >= 0x7f || c == '%' || c == '"' || c == '#' ||
            c == '<' || c == '>' || c == '\\' || c == '^' || c == '`' ||
            c == '{' || c == '|' || c == '}')
            n += (size_t)snprintf(fragment + n, 4, "%%%02X", c);
        else
            fragment[n++] = (char)c;
    }
    jw_text(j, SPAN(fragment, n));
}

static void errors_write(struct jw *j, const struct problems *problems)
{
    jw_key(j, "errors");
    jw_open(j, '[');
    for (size_t i = 0; i < problems->count; i++) {
        jw_open(j, '{');
        jw_key(j, "pointer");
        pointer_write(j, problems->list[i].pointer);
        jw_key(j, "detail");
        jw_str(j, problems->list[i].detail);
        jw_close(j, '}');
    }
    jw_close(j, ']');
}

void lookup_write(struct jw *j, const struct lookup_report *lookup,
                  bool is_local, unsigned sources)
{
    jw_open(j, '{');
    jw_key(j, "complete");
    jw_bool(j, lookup->complete);
    jw_key(j, "reason");
    jw_str_or_null(j, lookup->complete ? NULL : lookup->reason);
    jw_key(j, "scope");
    jw_str(j, is_local ? "local" : "network");
    jw_key(j, "peers_queried");
    jw_u64(j, lookup->peers_queried);
    jw_key(j, "peers_responded");
    jw_u64(j, lookup->peers_responded);
    jw_key(j, "sources");
    jw_open(j, '[');
    if (sources & LOOKUP_CACHE)
        jw_str(j, "cache");
    if (sources & LOOKUP_LOCAL)
        jw_str(j, "local");
    if (sources & LOOKUP_NETWORK)
        jw_str(j, "network");
    jw_close(j, ']');
    jw_key(j, "elapsed_ms");
    jw_double(j, (double)lookup->elapsed / (double)MILLISECONDS);
    jw_close(j, '}');
}

enum err problem_write(const struct problem_answer *p, struct buf *out)
{
    const char *title = err_text(p->err), *code = err_code(p->err);
    char type[96];
    struct jw j;

    jw_init(&j, out);
    (void)snprintf(type, sizeof(type), "urn:souk:problem:%s", code);
    jw_open(&j, '{');
    jw_key(&j, "type");
    jw_str(&j, type);
    jw_key(&j, "title");
    jw_str(&j, title);
    jw_key(&j, "status");
    jw_u64(&j, (uint64_t)err_http_status(p->err));
    jw_key(&j, "detail");
    jw_str(&j, p->detail && p->detail[0] ? p->detail : title);
    jw_key(&j, "instance");
    jw_text(&j, p->instance);
    jw_key(&j, "code");
    jw_str(&j, code);
    jw_key(&j, "retryable");
    jw_bool(&j, problem_is_retryable(p->err));
    if (p->problems != NULL && p->problems->count > 0)
        errors_write(&j, p->problems);
    if (p->lookup != NULL) {
        jw_key(&j, "lookup");
        lookup_write(&j, p->lookup, false, LOOKUP_NETWORK);
    }
    jw_close(&j, '}');
    return j.err;
}
