/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/otel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* ---- The environment. ---- */

/* NULL: not there, or empty. */
static const char *look(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 &&
            (*environment)[len] == '=' && (*environment)[len + 1] != '\0')
            return *environment + len + 1;
    return NULL;
}

/* The variable for traces alone goes before the one for everything. */
static const char *look_either(char *const *environment, const char *own,
                               const char *general)
{
    const char *value = look(environment, own);

    return value != NULL ? value : look(environment, general);
}

__attribute__((format(printf, 2, 3))) static void warn(struct otel *o,
                                                       const char *format, ...)
{
    va_list args;

    if (o->warning_count == OTEL_WARNINGS_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(o->warnings[o->warning_count++], OTEL_WARNING_MAX, format,
                    args);
    va_end(args);
}

static bool read_number(const char *text, uint64_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0';
}

static uint64_t number(struct otel *o, char *const *environment,
                       const char *name, uint64_t otherwise, uint64_t max)
{
    const char *text = look(environment, name);
    uint64_t value;

    if (text == NULL)
        return otherwise;
    if (!read_number(text, &value) || value == 0) {
        warn(o, "%s=%.64s is no number above 0", name, text);
        return otherwise;
    }
    if (value <= max)
        return value;
    warn(o, "%s is taken as %llu", name, (unsigned long long)max);
    return max;
}

static duration milliseconds(struct otel *o, char *const *environment,
                             const char *name, uint64_t otherwise)
{
    enum { DAY_MS = 24 * 60 * 60 * 1000 };

    return number(o, environment, name, otherwise, DAY_MS) * MILLISECONDS;
}

/* ---- Lists of key=value. ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place; false: a broken escape, or a control character. */
static bool unescape(char *text)
{
    char *to = text;

    for (; *text != '\0'; text++) {
        char c = *text;

        if (c == '%') {
            int high = hex_digit(text[1]);
            int low = high < 0 ? -1 : hex_digit(text[2]);

            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            text += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        *to++ = c;
    }
    *to = '\0';
    return true;
}

static void trim(const char **from, const char **to)
{
    while (*from < *to && (**from == ' ' || **from == '\t'))
        (*from)++;
    while (*to > *from && ((*to)[-1] == ' ' || (*to)[-1] == '\t'))
        (*to)--;
}

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~/";

    for (const char *c = text; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
              (*c >= '0' && *c <= '9') || strchr(others, *c) != NULL))
            return false;
    return *text != '\0';
}

static bool read_pair(const char *from, const char *to, struct otel_pair *pair)
{
    const char *equals = memchr(from, '=', (size_t)(to - from));
    const char *key_end = equals, *value = equals ? equals + 1 : to;

    if (equals == NULL)
        return false;
    trim(&from, &key_end);
    trim(&value, &to);
    if (key_end - from >= OTEL_KEY_MAX || to - value >= OTEL_VALUE_MAX)
        return false;
    memcpy(pair->key, from, (size_t)(key_end - from));
    pair->key[key_end - from] = '\0';
    memcpy(pair->value, value, (size_t)(to - value));
    pair->value[to - value] = '\0';
    return is_token(pair->key) && unescape(pair->value);
}

static void read_pairs(struct otel *o, const char *name, const char *text,
                       struct otel_pair *pairs, size_t *count)
{
    while (text != NULL && *text != '\0') {
        const char *comma = strchr(text, ',');
        const char *from = text, *to = comma ? comma : text + strlen(text);

        text = comma ? comma + 1 : NULL;
        trim(&from, &to);
        if (from == to)
            continue;
        if (*count == OTEL_PAIRS_MAX)
            warn(o, "%s has more than %d entries", name, OTEL_PAIRS_MAX);
        else if (read_pair(from, to, &pairs[*count]))
            (*count)++;
        else
            warn(o, "%s has an entry that is not key=value", name);
        if (*count == OTEL_PAIRS_MAX)
            return;
    }
}

/* The last word on |key|. */
static void set_resource(struct otel *o, const char *key, const char *value)
{
    struct otel_pair *pair = NULL;

    for (size_t i = 0; i < o->resource_count; i++)
        if (strcmp(o->resource[i].key, key) == 0)
            pair = &o->resource[i];
    if (pair == NULL && o->resource_count < OTEL_PAIRS_MAX)
        pair = &o->resource[o->resource_count++];
    if (pair == NULL)
        return;
    (void)snprintf(pair->key, sizeof(pair->key), "%s", key);
    (void)snprintf(pair->value, sizeof(pair->value), "%s", value);
}

static bool has_resource(const struct otel *o, const char *key)
{
    for (size_t i = 0; i < o->resource_count; i++)
        if (strcmp(o->resource[i].key, key) == 0)
            return true;
    return false;
}

static void read_resource(struct otel *o, char *const *environment)
{
    const char *name = look(environment, "OTEL_SERVICE_NAME");

    read_pairs(o, "OTEL_RESOURCE_ATTRIBUTES",
               look(environment, "OTEL_RESOURCE_ATTRIBUTES"), o->resource,
               &o->resource_count);
    if (name != NULL)
        set_resource(o, "service.name", name);
    else if (!has_resource(o, "service.name"))
        set_resource(o, "service.name", "souk");
}

/* ---- Where to. ---- */

static void read_url(struct otel *o, char *const *environment)
{
    const char *own = look(environment, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    const char *base = look(environment, "OTEL_EXPORTER_OTLP_ENDPOINT");
    const char *url = own != NULL ? own : base;
    bool has_slash;
    int n;

    if (url == NULL)
        return;
    has_slash = url[strlen(url) - 1] == '/';
    n = snprintf(o->url, sizeof(o->url), "%s%s", url,
                 own != NULL ? ""
                 : has_slash ? "v1/traces"
                             : "/v1/traces");
    if (n >= (int)sizeof(o->url) || (strncasecmp(url, "http://", 7) != 0 &&
                                     strncasecmp(url, "https://", 8) != 0)) {
        warn(o, "the endpoint %.64s is no http or https URL", url);
        o->url[0] = '\0';
    }
}

static void read_exporter(struct otel *o, char *const *environment)
{
    const char *text =
        look_either(environment, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                    "OTEL_EXPORTER_OTLP_PROTOCOL");
    const char *compression =
        look_either(environment, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                    "OTEL_EXPORTER_OTLP_COMPRESSION");
    const char *certificate =
        look_either(environment, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                    "OTEL_EXPORTER_OTLP_CERTIFICATE");

    if (text != NULL && strcmp(text, "http/protobuf") != 0)
        warn(o, "the protocol is http/protobuf, not %.32s", text);
    if (compression != NULL && strcmp(compression, "none") != 0)
        warn(o, "spans are sent without compression, not as %.32s",
             compression);
    if (certificate != NULL)
        (void)snprintf(o->certificate, sizeof(o->certificate), "%s",
                       certificate);
    read_pairs(o, "OTEL_EXPORTER_OTLP_HEADERS",
               look_either(environment, "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                           "OTEL_EXPORTER_OTLP_HEADERS"),
               o->headers, &o->header_count);
    o->timeout =
        milliseconds(o, environment,
                     look(environment, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
                         ? "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"
                         : "OTEL_EXPORTER_OTLP_TIMEOUT",
                     10000);
}

/* ---- How much. ---- */

static void read_ratio(struct otel *o, char *const *environment)
{
    const char *text = look(environment, "OTEL_TRACES_SAMPLER_ARG");
    double ratio = 1;
    char *end;

    if (text != NULL) {
        ratio = strtod(text, &end);
        if (*end != '\0' || !(ratio >= 0 && ratio <= 1)) {
            warn(o, "OTEL_TRACES_SAMPLER_ARG=%.32s is not from 0 to 1", text);
            ratio = 1;
        }
    }
    o->sampler.ratio_bound = (uint64_t)(ratio * 0x1p63);
}

static void read_sampler(struct otel *o, char *const *environment)
{
    static const struct {
        const char *name;
        struct trace_sampler sampler;
    } known[] = {
        {"always_on", {TRACE_ALWAYS_ON, false, 0}},
        {"always_off", {TRACE_ALWAYS_OFF, false, 0}},
        {"traceidratio", {TRACE_RATIO, false, 0}},
        {"parentbased_always_on", {TRACE_ALWAYS_ON, true, 0}},
        {"parentbased_always_off", {TRACE_ALWAYS_OFF, true, 0}},
        {"parentbased_traceidratio", {TRACE_RATIO, true, 0}},
    };
    const char *name = look(environment, "OTEL_TRACES_SAMPLER");
    bool is_known = name == NULL;

    o->sampler = (struct trace_sampler){TRACE_ALWAYS_ON, true, 0};
    for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]);
         i++)
        if (strcmp(known[i].name, name) == 0) {
            o->sampler = known[i].sampler;
            is_known = true;
        }
    if (!is_known)
        warn(o, "OTEL_TRACES_SAMPLER=%.64s is not known", name);
    read_ratio(o, environment);
}

static void read_batches(struct otel *o, char *const *environment)
{
    o->schedule_delay =
        milliseconds(o, environment, "OTEL_BSP_SCHEDULE_DELAY", 5000);
    o->export_timeout =
        milliseconds(o, environment, "OTEL_BSP_EXPORT_TIMEOUT", 30000);
    o->queue_max = (size_t)number(o, environment, "OTEL_BSP_MAX_QUEUE_SIZE",
                                  2048, OTEL_QUEUE_MAX);
    o->batch_max = (size_t)number(
        o, environment, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, OTEL_BATCH_MAX);
    if (o->batch_max > o->queue_max)
        o->batch_max = o->queue_max;
}

/* ---- All of it. ---- */

static bool is_forbidden(struct otel *o, char *const *environment)
{
    const char *disabled = look(environment, "OTEL_SDK_DISABLED");
    const char *exporter = look(environment, "OTEL_TRACES_EXPORTER");

    if (disabled != NULL && strcasecmp(disabled, "true") == 0)
        return true;
    if (exporter == NULL || strcmp(exporter, "otlp") == 0)
        return false;
    if (strcmp(exporter, "none") != 0)
        warn(o, "OTEL_TRACES_EXPORTER=%.32s is not known; it can be otlp",
             exporter);
    return true;
}

static bool takes_parents(char *const *environment)
{
    const char *text = look(environment, "OTEL_PROPAGATORS");

    return text == NULL || strstr(text, "tracecontext") != NULL;
}

void otel_read(struct otel *o, char *const *environment)
{
    memset(o, 0, sizeof(*o));
    if (is_forbidden(o, environment))
        return;
    read_url(o, environment);
    if (o->url[0] == '\0')
        return;
    read_exporter(o, environment);
    read_resource(o, environment);
    read_sampler(o, environment);
    read_batches(o, environment);
    o->takes_parents = takes_parents(environment);
    o->is_on = true;
}
