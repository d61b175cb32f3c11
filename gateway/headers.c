/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/headers.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t len;
} names[HEADER_COUNT] = {
#define X(name, text) {text, sizeof(text) - 1},
    HEADERS(X)
#undef X
};

void headers_add(struct headers *h, struct span name, struct span value)
{
    h->bytes += name.len + value.len + 4; /* ": " and the line's end */
    for (size_t i = 0; i < HEADER_COUNT; i++)
        if (names[i].len == name.len && h->at[i].len == 0 &&
            strncasecmp(names[i].name, (const char *)name.data, name.len) ==
                0) {
            h->at[i] = value;
            return;
        }
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        (void)span_take(&s, 1);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool equals_caseless(struct span s, const char *text)
{
    return s.len == strlen(text) &&
           strncasecmp((const char *)s.data, text, s.len) == 0;
}

/* The item before the next comma, trimmed. */
static struct span next_item(struct span *list)
{
    const uint8_t *comma = memchr(list->data, ',', list->len);
    struct span item =
        span_take(list, comma ? (size_t)(comma - list->data) : list->len);

    (void)span_take(list, 1);
    return trim(item);
}

bool header_has_token(struct span header, const char *token)
{
    while (header.len > 0)
        if (equals_caseless(next_item(&header), token))
            return true;
    return false;
}

static struct span opaque_tag(struct span etag)
{
    if (span_starts_with(etag, SPAN_LIT("W/")))
        (void)span_take(&etag, 2);
    return etag;
}

bool header_etag_matches(struct span list, const char *etag)
{
    struct span want = opaque_tag(span_str(etag));

    while (list.len > 0) {
        struct span item = next_item(&list);

        if (span_eq(item, SPAN_LIT("*")) || span_eq(opaque_tag(item), want))
            return true;
    }
    return false;
}

bool header_is_json(struct span content_type)
{
    const uint8_t *semicolon =
        content_type.len ? memchr(content_type.data, ';', content_type.len)
                         : NULL;

    if (semicolon != NULL)
        content_type.len = (size_t)(semicolon - content_type.data);
    return equals_caseless(trim(content_type), "application/json");
}

bool header_host_is_ours(struct span host, const struct ip *bound)
{
    static const struct ip any4 = {{[10] = 0xff, [11] = 0xff}}, any6 = {{0}};
    struct span name = host;
    struct ip ip;

    if (bound == NULL || host.len == 0)
        return true;
    if (ip_parse(host, &ip))
        return ip_is_loopback(&ip) || ip_eq(bound, &any4) ||
               ip_eq(bound, &any6) || ip_eq(bound, &ip);
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] == ':') {
            name.len = i;
            break;
        }
    return equals_caseless(name, "localhost");
}

bool header_is_echoable(struct span value, size_t max)
{
    if (value.len == 0 || value.len > max)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] <= 0x20 || value.data[i] >= 0x7f ||
            value.data[i] == '"' || value.data[i] == '\\')
            return false;
    return true;
}
