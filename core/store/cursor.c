/* SPDX-License-Identifier: Apache-2.0 */
#include "store/cursor.h"

#include "crypto/hash.h"
#include "multi/base.h"

enum { CURSOR_VERSION = 2, CURSOR_BYTES_MAX = 200 };

struct packer {
    uint8_t bytes[CURSOR_BYTES_MAX];
    size_t len;
};

static void put_u8(struct packer *p, uint8_t v)
{
    assert(p->len < sizeof(p->bytes));
    p->bytes[p->len++] = v;
}

static void put_u64(struct packer *p, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        put_u8(p, (uint8_t)(v >> shift));
}

static void put_text(struct packer *p, const char *text)
{
    size_t len = strlen(text);

    put_u8(p, (uint8_t)len);
    for (size_t i = 0; i < len; i++)
        put_u8(p, (uint8_t)text[i]);
}

static bool take_u64(struct span *s, uint64_t *v)
{
    uint32_t hi, lo;

    if (s->len < 8 || !span_u32(s, &hi) || !span_u32(s, &lo))
        return false;
    *v = (uint64_t)hi << 32 | lo;
    return true;
}

static bool take_i64(struct span *s, int64_t *v)
{
    uint64_t bits;

    if (!take_u64(s, &bits))
        return false;
    *v = (int64_t)bits;
    return true;
}

static bool take_text(struct span *s, char *out, size_t max)
{
    struct span text;
    uint8_t len;

    if (!span_u8(s, &len) || len >= max || !span_bytes(s, len, &text))
        return false;
    memcpy(out, text.data, len);
    return memchr(out, '\0', max) == out + len;
}

uint64_t cursor_mark(const struct query *q)
{
    char normal[QUERY_NORMAL_MAX];
    uint8_t hash[SHA256_LEN];
    struct span s = SPAN_OF(hash);
    uint64_t mark = 0;

    sha256(span_str(query_normalise(q, normal)), hash);
    (void)take_u64(&s, &mark);
    return mark;
}

void cursor_format(const struct cursor *c, uint64_t mark,
                   char out[READER_CURSOR_MAX])
{
    struct packer p = {.len = 0};
    uint64_t bits;

    memcpy(&bits, &c->value, sizeof(bits));
    put_u8(&p, CURSOR_VERSION);
    put_u64(&p, mark);
    put_u8(&p, (uint8_t)c->phase);
    put_u64(&p, (uint64_t)c->wall);
    put_u64(&p, c->total);
    put_u8(&p, c->total_is_exact);
    put_u8(&p, c->rank);
    put_u64(&p, bits);
    put_u64(&p, (uint64_t)c->slot);
    put_u64(&p, (uint64_t)c->key);
    put_text(&p, c->id.ns);
    put_text(&p, c->id.name);
    (void)base_encode(BASE64URL, SPAN(p.bytes, p.len), out, READER_CURSOR_MAX);
}

static bool unpack(struct span s, uint64_t mark, struct cursor *c)
{
    uint8_t version, phase, exact;
    uint64_t whose, bits;

    if (!span_u8(&s, &version) || version != CURSOR_VERSION ||
        !take_u64(&s, &whose) || whose != mark || !span_u8(&s, &phase) ||
        phase < CURSOR_RANKED || phase > CURSOR_WHOLE ||
        !take_i64(&s, &c->wall) || !take_u64(&s, &c->total) ||
        !span_u8(&s, &exact) || !span_u8(&s, &c->rank) ||
        !take_u64(&s, &bits) || !take_i64(&s, &c->slot) ||
        !take_i64(&s, &c->key) || !take_text(&s, c->id.ns, sizeof(c->id.ns)) ||
        !take_text(&s, c->id.name, sizeof(c->id.name)) || s.len > 0)
        return false;
    c->phase = (enum cursor_phase)phase;
    c->total_is_exact = exact != 0;
    memcpy(&c->value, &bits, sizeof(bits));
    return true;
}

enum err cursor_parse(const char *text, uint64_t mark, struct cursor *c)
{
    uint8_t bytes[CURSOR_BYTES_MAX];
    size_t len;

    *c = (struct cursor){.phase = CURSOR_START};
    if (text == NULL || text[0] == '\0')
        return OK;
    if (strlen(text) >= READER_CURSOR_MAX ||
        base_decode(BASE64URL, span_str(text), bytes, sizeof(bytes), &len) !=
            OK ||
        !unpack(SPAN(bytes, len), mark, c))
        return ERR_INVAL;
    return OK;
}
