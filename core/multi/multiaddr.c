/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/multiaddr.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "multi/base.h"
#include "multi/cid.h"
#include "multi/uvarint.h"

enum form {
    FORM_NONE,
    FORM_IP4,
    FORM_IP6,
    FORM_PORT,
    /* From here on the value is behind its length. */
    FORM_NAME,
    FORM_PEER,
    FORM_HASH,
};

/* spec: multiformats/multiaddr/protocols.csv */
static const struct rule {
    enum multiaddr_code code;
    enum form form;
    const char *name;
} rules[] = {
    {MULTIADDR_IP4, FORM_IP4, "ip4"},
    {MULTIADDR_TCP, FORM_PORT, "tcp"},
    {MULTIADDR_IP6, FORM_IP6, "ip6"},
    {MULTIADDR_DNS, FORM_NAME, "dns"},
    {MULTIADDR_DNS4, FORM_NAME, "dns4"},
    {MULTIADDR_DNS6, FORM_NAME, "dns6"},
    {MULTIADDR_DNSADDR, FORM_NAME, "dnsaddr"},
    {MULTIADDR_UDP, FORM_PORT, "udp"},
    {MULTIADDR_WEBRTC_DIRECT, FORM_NONE, "webrtc-direct"},
    {MULTIADDR_P2P_CIRCUIT, FORM_NONE, "p2p-circuit"},
    {MULTIADDR_P2P, FORM_PEER, "p2p"},
    {MULTIADDR_P2P, FORM_PEER, "ipfs"}, /* its old name, read only */
    {MULTIADDR_TLS, FORM_NONE, "tls"},
    {MULTIADDR_SNI, FORM_NAME, "sni"},
    {MULTIADDR_QUIC, FORM_NONE, "quic"},
    {MULTIADDR_QUIC_V1, FORM_NONE, "quic-v1"},
    {MULTIADDR_WEBTRANSPORT, FORM_NONE, "webtransport"},
    {MULTIADDR_CERTHASH, FORM_HASH, "certhash"},
    {MULTIADDR_WS, FORM_NONE, "ws"},
    {MULTIADDR_WSS, FORM_NONE, "wss"},
};

enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static const struct rule *rule_of_code(uint64_t code)
{
    for (size_t i = 0; i < RULES; i++)
        if ((uint64_t)rules[i].code == code)
            return &rules[i];
    return NULL;
}

static const struct rule *rule_of_name(struct span name)
{
    for (size_t i = 0; i < RULES; i++)
        if (span_eq(span_str(rules[i].name), name))
            return &rules[i];
    return NULL;
}

static bool is_name(struct span s)
{
    if (s.len == 0 || s.len >= MULTIADDR_NAME_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] > '~' || s.data[i] == '/')
            return false;
    return true;
}

static bool is_value_allowed(enum form form, struct span value)
{
    struct peer_id id;
    struct multihash hash;

    switch (form) {
    case FORM_NONE:
    case FORM_IP4:
    case FORM_IP6:
    case FORM_PORT:
        return true; /* every value of that length */
    case FORM_NAME:
        return is_name(value);
    case FORM_PEER:
        return peer_id_decode(&id, value) == OK;
    case FORM_HASH:
        return multihash_decode(&hash, value) == OK;
    }
    return false;
}

static bool read_value(struct span *s, enum form form, struct span *value)
{
    switch (form) {
    case FORM_NONE:
        return span_bytes(s, 0, value);
    case FORM_IP4:
        return span_bytes(s, 4, value);
    case FORM_IP6:
        return span_bytes(s, 16, value);
    case FORM_PORT:
        return span_bytes(s, 2, value);
    case FORM_NAME:
    case FORM_PEER:
    case FORM_HASH:
        return span_uvarint_bytes(s, value);
    }
    return false;
}

static enum err read_part(struct span *s, const struct rule **rule,
                          struct span *value)
{
    uint64_t code;

    if (!span_uvarint(s, &code))
        return ERR_PROTO;
    *rule = rule_of_code(code);
    if (*rule == NULL || !read_value(s, (*rule)->form, value) ||
        !is_value_allowed((*rule)->form, *value))
        return ERR_PROTO;
    return OK;
}

enum err multiaddr_decode(struct multiaddr *out, struct span bytes)
{
    struct span rest = bytes, value;
    const struct rule *rule;

    if (bytes.len == 0)
        return ERR_PROTO;
    if (bytes.len > MULTIADDR_MAX)
        return ERR_LIMIT;
    for (int parts = 0; rest.len > 0; parts++) {
        if (parts == MULTIADDR_PARTS_MAX)
            return ERR_LIMIT;
        TRY(read_part(&rest, &rule, &value));
    }
    *out = (struct multiaddr){.len = (uint16_t)bytes.len};
    memcpy(out->bytes, bytes.data, bytes.len);
    return OK;
}

bool multiaddr_next(struct span *rest, struct multiaddr_part *part)
{
    const struct rule *rule;

    if (rest->len == 0 || read_part(rest, &rule, &part->value) != OK)
        return false;
    part->code = rule->code;
    return true;
}

bool multiaddr_has(const struct multiaddr *m, enum multiaddr_code code)
{
    struct span rest = multiaddr_span(m);
    struct multiaddr_part part;

    while (multiaddr_next(&rest, &part))
        if (part.code == code)
            return true;
    return false;
}

static enum err append(struct multiaddr *m, struct span s)
{
    if (s.len > (size_t)(MULTIADDR_MAX - m->len))
        return ERR_LIMIT;
    if (s.len > 0)
        memcpy(m->bytes + m->len, s.data, s.len);
    m->len = (uint16_t)(m->len + s.len);
    return OK;
}

static enum err append_number(struct multiaddr *m, uint64_t v)
{
    uint8_t bytes[UVARINT_MAX];
    size_t n = uvarint_encode(v, bytes);

    return append(m, SPAN(bytes, n));
}

static enum err append_part(struct multiaddr *m, const struct rule *rule,
                            struct span value)
{
    TRY(append_number(m, (uint64_t)rule->code));
    if (rule->form >= FORM_NAME)
        TRY(append_number(m, value.len));
    return append(m, value);
}

/* Text. */

static enum err parse_ip(int family, struct span text, uint8_t *out)
{
    char name[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(name) || memchr(text.data, 0, text.len) != NULL)
        return ERR_INVAL;
    memcpy(name, text.data, text.len);
    name[text.len] = '\0';
    return inet_pton(family, name, out) == 1 ? OK : ERR_INVAL;
}

static enum err parse_port(struct span text, uint8_t out[2])
{
    unsigned port = 0;

    if (text.len == 0 || text.len > 5)
        return ERR_INVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return ERR_INVAL;
        port = port * 10 + (text.data[i] - '0');
    }
    if (port > UINT16_MAX)
        return ERR_INVAL;
    out[0] = (uint8_t)(port >> 8);
    out[1] = (uint8_t)port;
    return OK;
}

static enum err parse_value(enum form form, struct span text,
                            uint8_t out[MULTIADDR_MAX], size_t *n)
{
    struct peer_id id;

    *n = form == FORM_IP4 ? 4 : form == FORM_IP6 ? 16 : 2;
    switch (form) {
    case FORM_NONE:
        *n = 0;
        return OK;
    case FORM_IP4:
        return parse_ip(AF_INET, text, out);
    case FORM_IP6:
        return parse_ip(AF_INET6, text, out);
    case FORM_PORT:
        return parse_port(text, out);
    case FORM_NAME:
        if (!is_name(text))
            return ERR_INVAL;
        memcpy(out, text.data, text.len);
        *n = text.len;
        return OK;
    case FORM_PEER:
        TRY(peer_id_parse(&id, text));
        memcpy(out, id.bytes, id.len);
        *n = id.len;
        return OK;
    case FORM_HASH:
        return multibase_decode(text, out, MULTIADDR_MAX, n);
    }
    return ERR_INVAL;
}

/* "/word" from the front of |s|. */
static bool take_word(struct span *s, struct span *word)
{
    const uint8_t *end;

    if (s->len == 0 || s->data[0] != '/')
        return false;
    (void)span_take(s, 1);
    end = s->len > 0 ? memchr(s->data, '/', s->len) : NULL;
    *word = span_take(s, end != NULL ? (size_t)(end - s->data) : s->len);
    return true;
}

enum err multiaddr_parse(struct multiaddr *out, struct span text)
{
    uint8_t value[MULTIADDR_MAX];
    struct multiaddr m = {0};
    struct span word;
    const struct rule *rule;
    enum err err;
    size_t n;

    if (text.len >= MULTIADDR_TEXT_MAX)
        return ERR_LIMIT;
    while (text.len > 0) {
        if (!take_word(&text, &word) || (rule = rule_of_name(word)) == NULL)
            return ERR_INVAL;
        word = SPAN_NONE;
        if (rule->form != FORM_NONE && !take_word(&text, &word))
            return ERR_INVAL;
        TRY(parse_value(rule->form, word, value, &n));
        if (!is_value_allowed(rule->form, SPAN(value, n)))
            return ERR_INVAL;
        TRY(append_part(&m, rule, SPAN(value, n)));
    }
    err = multiaddr_decode(out, multiaddr_span(&m)); /* counts the parts */
    return err == ERR_PROTO ? ERR_INVAL : err;
}

static void format_value(enum form form, struct span value, char *out,
                         size_t max)
{
    struct peer_id id;
    char text[PEER_ID_TEXT_MAX];
    const char *done;

    switch (form) {
    case FORM_NONE:
        break;
    case FORM_IP4:
    case FORM_IP6:
        done = inet_ntop(form == FORM_IP4 ? AF_INET : AF_INET6, value.data, out,
                         (socklen_t)max);
        assert(done != NULL);
        (void)done;
        break;
    case FORM_PORT:
        (void)snprintf(out, max, "%u",
                       (unsigned)(value.data[0] << 8 | value.data[1]));
        break;
    case FORM_NAME:
        (void)snprintf(out, max, "%.*s", (int)value.len,
                       (const char *)value.data);
        break;
    case FORM_PEER:
        if (peer_id_decode(&id, value) == OK)
            (void)snprintf(out, max, "%s", peer_id_format(&id, text));
        break;
    case FORM_HASH:
        (void)multibase_encode(BASE64URL, value, out, max);
        break;
    }
}

const char *multiaddr_format(const struct multiaddr *m,
                             char out[MULTIADDR_TEXT_MAX])
{
    struct span rest = multiaddr_span(m), value;
    char text[MULTIADDR_MAX * 2];
    const struct rule *rule;
    size_t at = 0;

    out[0] = '\0';
    while (rest.len > 0 && read_part(&rest, &rule, &value) == OK) {
        text[0] = '\0';
        format_value(rule->form, value, text, sizeof(text));
        at += (size_t)snprintf(out + at, MULTIADDR_TEXT_MAX - at, "/%s%s%s",
                               rule->name, rule->form != FORM_NONE ? "/" : "",
                               text);
        assert(at < MULTIADDR_TEXT_MAX);
    }
    return out;
}

/* The peer at the end, and where its part starts. */
static bool last_peer(const struct multiaddr *m, struct peer_id *out,
                      size_t *start)
{
    struct span rest = multiaddr_span(m);
    struct multiaddr_part part = {0};

    *start = 0;
    while (rest.len > 0) {
        *start = m->len - rest.len;
        if (!multiaddr_next(&rest, &part))
            return false;
    }
    return part.code == MULTIADDR_P2P && peer_id_decode(out, part.value) == OK;
}

bool multiaddr_peer(const struct multiaddr *m, struct peer_id *out)
{
    size_t start;

    return last_peer(m, out, &start);
}

void multiaddr_strip_peer(struct multiaddr *m)
{
    struct peer_id id;
    size_t start;

    if (!last_peer(m, &id, &start))
        return;
    memset(m->bytes + start, 0, m->len - start);
    m->len = (uint16_t)start;
}

enum err multiaddr_add_peer(struct multiaddr *m, const struct peer_id *id)
{
    struct multiaddr longer = *m;
    struct peer_id there;

    if (multiaddr_peer(m, &there))
        return peer_id_eq(&there, id) ? OK : ERR_INVAL;
    TRY(append_part(&longer, rule_of_code(MULTIADDR_P2P), peer_id_span(id)));
    return multiaddr_decode(m, multiaddr_span(&longer));
}

void multiaddr_from_ip(struct multiaddr *out, struct span ip, uint16_t port)
{
    uint8_t port_bytes[] = {(uint8_t)(port >> 8), (uint8_t)port};
    enum err err;

    assert(ip.len == 4 || ip.len == 16);
    *out = (struct multiaddr){0};
    err = append_part(
        out, rule_of_code(ip.len == 4 ? MULTIADDR_IP4 : MULTIADDR_IP6), ip);
    assert(err == OK);
    err = append_part(out, rule_of_code(MULTIADDR_TCP), SPAN_OF(port_bytes));
    assert(err == OK);
    (void)err;
}

static bool endpoint_host(const struct multiaddr_part *part,
                          struct endpoint *out)
{
    static const struct {
        enum multiaddr_code code;
        enum endpoint_kind kind;
    } hosts[] = {
        {MULTIADDR_IP4, ENDPOINT_IP4},   {MULTIADDR_IP6, ENDPOINT_IP6},
        {MULTIADDR_DNS, ENDPOINT_DNS},   {MULTIADDR_DNS4, ENDPOINT_DNS4},
        {MULTIADDR_DNS6, ENDPOINT_DNS6}, {MULTIADDR_DNSADDR, ENDPOINT_DNSADDR},
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        if (hosts[i].code != part->code)
            continue;
        out->kind = hosts[i].kind;
        if (out->kind <= ENDPOINT_IP6)
            memcpy(out->ip, part->value.data, part->value.len);
        else
            memcpy(out->name, part->value.data, part->value.len);
        return true;
    }
    return false;
}

bool multiaddr_endpoint(const struct multiaddr *m, struct endpoint *out)
{
    struct span rest = multiaddr_span(m);
    struct multiaddr_part part;
    struct endpoint e = {0};

    if (!multiaddr_next(&rest, &part) || !endpoint_host(&part, &e))
        return false;
    if (e.kind != ENDPOINT_DNSADDR) {
        if (!multiaddr_next(&rest, &part) || part.code != MULTIADDR_TCP)
            return false;
        e.port = (uint16_t)(part.value.data[0] << 8 | part.value.data[1]);
    }
    if (multiaddr_next(&rest, &part) &&
        (part.code != MULTIADDR_P2P ||
         peer_id_decode(&e.peer, part.value) != OK))
        return false;
    if (rest.len > 0)
        return false;
    *out = e;
    return true;
}
