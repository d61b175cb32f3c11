/* SPDX-License-Identifier: Apache-2.0 */
#include "souk/trace.h"

static const uint8_t zeros[TRACE_ID_LEN];

/* ---- Contexts. ---- */

bool trace_context_is_none(const struct trace_context *c)
{
    return memcmp(c->trace_id, zeros, TRACE_ID_LEN) == 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct span *s, uint8_t *out, size_t n)
{
    struct span digits;

    if (!span_bytes(s, 2 * n, &digits))
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = hex_digit(digits.data[2 * i]);
        int low = hex_digit(digits.data[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_dash(struct span *s)
{
    uint8_t c;

    return span_u8(s, &c) && c == '-';
}

/* spec: trace-context#traceparent-header
 *   version "-" trace-id "-" parent-id "-" trace-flags, lower case; of a later
 *   version the same fields, and then nothing or "-" */
static bool parse_parent(struct trace_context *out, struct span s)
{
    uint8_t version, flags;

    if (!take_hex(&s, &version, 1) || version == 0xff || !take_dash(&s) ||
        !take_hex(&s, out->trace_id, TRACE_ID_LEN) || !take_dash(&s) ||
        !take_hex(&s, out->span_id, TRACE_SPAN_ID_LEN) || !take_dash(&s) ||
        !take_hex(&s, &flags, 1))
        return false;
    if (s.len > 0 && (version == 0 || s.data[0] != '-'))
        return false;
    out->is_sampled = flags & 1;
    return !trace_context_is_none(out) &&
           memcmp(out->span_id, zeros, TRACE_SPAN_ID_LEN) != 0;
}

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] > 0x7e)
            return false;
    return true;
}

bool trace_context_parse(struct trace_context *out, struct span parent,
                         struct span state, char text[TRACE_STATE_MAX + 1])
{
    memset(out, 0, sizeof(*out));
    if (!parse_parent(out, parent)) {
        memset(out, 0, sizeof(*out));
        return false;
    }
    if (state.len == 0 || state.len > TRACE_STATE_MAX || !is_printable(state))
        return true;
    memcpy(text, state.data, state.len);
    text[state.len] = '\0';
    out->state = text;
    return true;
}

/* ---- Sampling. ---- */

static bool is_sampled(const struct trace_sampler *s,
                       const struct trace_context *remote,
                       const uint8_t trace_id[TRACE_ID_LEN])
{
    uint64_t low = 0;

    if (s->is_parent_based && remote != NULL && !trace_context_is_none(remote))
        return remote->is_sampled;
    switch (s->root) {
    case TRACE_ALWAYS_ON:
        return true;
    case TRACE_ALWAYS_OFF:
        return false;
    case TRACE_RATIO:
        break;
    }
    /* The random half of the id, so that all who see it decide alike. */
    for (size_t i = TRACE_ID_LEN - 8; i < TRACE_ID_LEN; i++)
        low = low << 8 | trace_id[i];
    return low >> 1 < s->ratio_bound;
}

void tracer_init(struct tracer *t, const struct trace_sampler *sampler,
                 const struct rng *rng, const struct mem *mem)
{
    memset(t, 0, sizeof(*t));
    t->sampler = *sampler;
    t->mem = mem;
    t->is_on = true;
    (void)rng_seeded(&t->ids, rng_u64(rng));
}

/* ---- Beginning. ---- */

static void make_id(struct tracer *t, uint8_t *out, size_t n)
{
    struct rng ids = rng_seeded(&t->ids, t->ids.state);

    do
        rng_fill(&ids, out, n);
    while (memcmp(out, zeros, n) == 0);
}

static struct trace_span *span_new(struct tracer *t, const char *name,
                                   enum trace_kind kind, tstamp now)
{
    /* Without the texts, most of which stay unused. */
    struct trace_span *s = mem_try(t->mem, NULL, sizeof(*s));

    if (s == NULL) {
        t->lost++;
        return NULL;
    }
    memset(s, 0, offsetof(struct trace_span, attributes));
    s->state_len = s->text_len = 0;
    s->text[0] = '\0';
    s->name = name;
    s->kind = kind;
    s->started_at = s->ended_at = now;
    make_id(t, s->span_id, TRACE_SPAN_ID_LEN);
    return s;
}

static void follow(struct trace_span *s, const struct trace_context *parent)
{
    size_t len = parent->state ? strlen(parent->state) : 0;

    memcpy(s->trace_id, parent->trace_id, TRACE_ID_LEN);
    memcpy(s->parent_id, parent->span_id, TRACE_SPAN_ID_LEN);
    if (len == 0 || len > TRACE_STATE_MAX)
        return;
    memcpy(s->text, parent->state, len + 1);
    s->state_len = len;
    s->text_len = len + 1;
}

struct trace_span *trace_begin_root(struct tracer *t,
                                    const struct trace_context *remote,
                                    const char *name, enum trace_kind kind,
                                    tstamp now)
{
    bool has_parent = remote != NULL && !trace_context_is_none(remote);
    uint8_t trace_id[TRACE_ID_LEN];
    struct trace_span *s;

    if (!t->is_on)
        return NULL;
    if (t->is_paused && t->sampler.root == TRACE_ALWAYS_ON && !has_parent) {
        t->skipped++; /* no need to draw an id to know that */
        return NULL;
    }
    if (has_parent)
        memcpy(trace_id, remote->trace_id, TRACE_ID_LEN);
    else
        make_id(t, trace_id, TRACE_ID_LEN);
    if (!is_sampled(&t->sampler, remote, trace_id))
        return NULL;
    if (t->is_paused) {
        t->skipped++;
        return NULL;
    }
    s = span_new(t, name, kind, now);
    if (s == NULL)
        return NULL;
    memcpy(s->trace_id, trace_id, TRACE_ID_LEN);
    if (has_parent) {
        follow(s, remote);
        s->is_parent_remote = true;
    }
    return s;
}

struct trace_span *trace_begin(struct tracer *t,
                               const struct trace_context *parent,
                               const char *name, enum trace_kind kind,
                               tstamp now)
{
    struct trace_span *s;

    if (!t->is_on || !parent->is_sampled || trace_context_is_none(parent))
        return NULL;
    if (t->is_paused) {
        t->skipped++;
        return NULL;
    }
    s = span_new(t, name, kind, now);
    if (s != NULL)
        follow(s, parent);
    return s;
}

size_t trace_span_size(const struct trace_span *s)
{
    return offsetof(struct trace_span, text) + s->text_len;
}

struct trace_context trace_span_context(const struct trace_span *s)
{
    struct trace_context c = {.is_sampled = s != NULL};

    if (s == NULL)
        return c;
    memcpy(c.trace_id, s->trace_id, TRACE_ID_LEN);
    memcpy(c.span_id, s->span_id, TRACE_SPAN_ID_LEN);
    c.state = s->state_len > 0 ? s->text : NULL;
    return c;
}

/* ---- What there is to say. ---- */

static const char *const keys[TRACE_KEYS] = {
#define ATTRIBUTE(name, key) [TRACE_##name] = (key),
#include "souk/tbl/trace.h"
};

const char *trace_key_name(enum trace_key key)
{
    return keys[key];
}

static struct trace_attribute *put(struct trace_span *s, enum trace_key key,
                                   enum trace_type type)
{
    struct trace_attribute *a;
    size_t i = 0;

    if (s == NULL)
        return NULL;
    while (i < s->attribute_count && s->attributes[i].key != key)
        i++;
    if (i == TRACE_ATTRIBUTES_MAX)
        return NULL;
    if (i == s->attribute_count)
        s->attribute_count++;
    a = &s->attributes[i];
    *a = (struct trace_attribute){.key = (uint8_t)key, .type = (uint8_t)type};
    return a;
}

void trace_number(struct trace_span *s, enum trace_key key, uint64_t value)
{
    struct trace_attribute *a = put(s, key, TRACE_NUMBER);

    if (a != NULL)
        a->number = value < INT64_MAX ? (int64_t)value : INT64_MAX;
}

void trace_bool(struct trace_span *s, enum trace_key key, bool value)
{
    struct trace_attribute *a = put(s, key, TRACE_BOOL);

    if (a != NULL)
        a->number = value;
}

static void put_bytes(struct trace_span *s, enum trace_key key,
                      enum trace_type type, struct span value)
{
    size_t len = value.len < TRACE_VALUE_MAX ? value.len : TRACE_VALUE_MAX;
    struct trace_attribute *a;

    if (s == NULL || len > TRACE_TEXT_MAX - s->text_len)
        return;
    a = put(s, key, type);
    if (a == NULL)
        return;
    a->at = (uint16_t)s->text_len;
    a->len = (uint16_t)len;
    if (len > 0)
        memcpy(s->text + s->text_len, value.data, len);
    s->text_len += len;
}

void trace_text(struct trace_span *s, enum trace_key key, struct span value)
{
    put_bytes(s, key, TRACE_TEXT, value);
}

void trace_peer(struct trace_span *s, struct span peer_id)
{
    put_bytes(s, TRACE_PEER_ID, TRACE_PEER, peer_id);
}

/* ---- The end. ---- */

static bool has_outcome(const struct trace_span *s)
{
    for (size_t i = 0; i < s->attribute_count; i++)
        if (s->attributes[i].key == TRACE_OUTCOME)
            return true;
    return false;
}

void trace_outcome(struct trace_span *s, const char *outcome,
                   const char *error_type)
{
    if (s == NULL || has_outcome(s))
        return;
    trace_text(s, TRACE_OUTCOME, span_str(outcome));
    if (error_type == NULL)
        return;
    trace_text(s, TRACE_ERROR_TYPE, span_str(error_type));
    s->has_failed = true;
}

void trace_end(struct trace_span *s, enum err err, tstamp now)
{
    if (s == NULL)
        return;
    s->ended_at = now;
    if (err == OK)
        trace_outcome(s, "ok", NULL);
    else if (err == ERR_NOT_FOUND)
        trace_outcome(s, "not_found", NULL);
    else if (err == ERR_CANCELLED)
        trace_outcome(s, "cancelled", NULL);
    else if (err == ERR_TIMEOUT)
        trace_outcome(s, "timeout", err_code(err));
    else
        trace_outcome(s, "error", err_code(err));
}
