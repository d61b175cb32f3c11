/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as the environment of a process: whatever is read of it is within its
 * bounds and can be sent, as text that is UTF-8.  And the input as a list of
 * headers: the whole against its entries, one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <telemetry/otlp.pb-c.h>

#include "telemetry/otlp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { VARIABLES_MAX = 64, INPUT_MAX = 1 << 16 };

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

/* |data| with a NUL for each end of line, and one more. */
static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    must(text != NULL);
    for (size_t i = 0; i < size; i++)
        text[i] = data[i] == '\n' ? '\0' : (char)data[i];
    text[size] = '\0';
    return text;
}

/* ---- What was read. ---- */

static void check_pairs(const struct otel_pair *pairs, size_t count)
{
    must(count <= OTEL_PAIRS_MAX);
    for (size_t i = 0; i < count; i++) {
        must(memchr(pairs[i].key, '\0', OTEL_KEY_MAX) != NULL);
        must(memchr(pairs[i].value, '\0', OTEL_VALUE_MAX) != NULL);
        must(pairs[i].key[0] != '\0');
        must(strpbrk(pairs[i].key, " \t\r\n:=,") == NULL);
    }
}

static void check(const struct otel *o)
{
    must(o->warning_count <= OTEL_WARNINGS_MAX);
    for (size_t i = 0; i < o->warning_count; i++)
        must(memchr(o->warnings[i], '\0', OTEL_WARNING_MAX) != NULL);
    if (!o->is_on)
        return;
    must(strncasecmp(o->url, "http", 4) == 0);
    must(memchr(o->url, '\0', OTEL_URL_MAX) != NULL);
    must(memchr(o->certificate, '\0', OTEL_URL_MAX) != NULL);
    check_pairs(o->headers, o->header_count);
    check_pairs(o->resource, o->resource_count);
    /* A header that ends before its time would be another one. */
    for (size_t i = 0; i < o->header_count; i++)
        must(strpbrk(o->headers[i].value, "\r\n") == NULL);
    must(o->sampler.ratio_bound <= UINT64_C(1) << 63);
    must(o->queue_max >= 1 && o->queue_max <= OTEL_QUEUE_MAX);
    must(o->batch_max >= 1 && o->batch_max <= OTEL_BATCH_MAX);
    must(o->batch_max <= o->queue_max);
    must(o->timeout > 0 && o->schedule_delay > 0 && o->export_timeout > 0);
    must(o->timeout <= 24 * HOURS);
}

/* ---- What is sent of it. ---- */

/* By decoding, which encoding does not know of. */
static bool is_utf8(const char *text)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    for (const uint8_t *c = (const uint8_t *)text; *c != '\0'; c++) {
        size_t more = *c < 0x80             ? 0
                      : (*c & 0xe0) == 0xc0 ? 1
                      : (*c & 0xf0) == 0xe0 ? 2
                      : (*c & 0xf8) == 0xf0 ? 3
                                            : 4;
        uint32_t point = more == 0 ? *c : *c & (0x3fu >> more);

        if (more == 4)
            return false;
        for (size_t i = 0; i < more; i++) {
            if ((*++c & 0xc0) != 0x80)
                return false;
            point = point << 6 | (*c & 0x3fu);
        }
        if (point < least[more] || point > 0x10ffff ||
            (point >= 0xd800 && point < 0xe000))
            return false;
    }
    return true;
}

static void check_sent(const struct otel *o)
{
    struct otlp_sender sender = {o, "0.1.0", "someone"};
    static struct queued one = {.span = {.name = "a span"}};
    Otlp__TraceRequest *request;
    Otlp__Resource *resource;
    struct buf body;

    buf_init(&body, OTLP_BODY_MAX, &mem_libc);
    must(otlp_encode(&sender, &one, 1, 0, &mem_libc, &body) == OK);
    request =
        otlp__trace_request__unpack(NULL, buf_len(&body), buf_span(&body).data);
    must(request != NULL && request->n_resource_spans == 1);
    resource = request->resource_spans[0]->resource;
    must(resource->n_attributes >=
         1); /* empty and repeated ones are not sent */
    for (size_t i = 0; i < resource->n_attributes; i++) {
        must(is_utf8(resource->attributes[i]->key));
        must(is_utf8(resource->attributes[i]->value->string_value));
    }
    otlp__trace_request__free_unpacked(request, NULL);
    buf_release(&body);
}

static void as_environment(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *variables[VARIABLES_MAX + 1];
    static struct otel o;
    size_t count = 0;

    for (size_t at = 0; at < size && count < VARIABLES_MAX;
         at += strlen(text + at) + 1)
        variables[count++] = text + at;
    variables[count] = NULL;
    otel_read(&o, variables);
    check(&o);
    if (o.is_on)
        check_sent(&o);
    free(text);
}

/* ---- The list, whole and cut. ---- */

static void read_headers(const char *list, size_t len, struct otel *o)
{
    static char variable[INPUT_MAX + 64];
    static char url[] = "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost";
    char *variables[] = {url, variable, NULL};

    (void)snprintf(variable, sizeof(variable),
                   "OTEL_EXPORTER_OTLP_HEADERS=%.*s", (int)len, list);
    otel_read(o, variables);
    must(o->is_on);
}

static void as_headers(const uint8_t *data, size_t size)
{
    static struct otel whole, part;
    char *text = text_of(data, size);
    size_t len = strlen(text), found = 0;

    read_headers(text, len, &whole);
    check_pairs(whole.headers, whole.header_count);
    for (const char *at = text; at <= text + len && found < OTEL_PAIRS_MAX;) {
        size_t n = strcspn(at, ",");

        read_headers(at, n, &part);
        must(part.header_count <= 1);
        if (part.header_count == 1) {
            must(found < whole.header_count);
            must(strcmp(whole.headers[found].key, part.headers[0].key) == 0);
            must(strcmp(whole.headers[found].value, part.headers[0].value) ==
                 0);
            found++;
        }
        at += n + 1;
    }
    must(found == whole.header_count);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    as_environment(data, size);
    as_headers(data, size);
    return 0;
}
