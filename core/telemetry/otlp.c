/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/otlp.h"

#include <stdio.h>

#include <telemetry/otlp.pb-c.h>

#include "multi/peer_id.h"
#include "wire/arena.h"

/* The messages point at each other and into the spans; all of them live in one
 * arena until they are packed. */
struct builder {
    struct arena arena;
    int64_t to_unix;
};

enum {
    OUR_ATTRIBUTES_MAX = 5,
    SPAN_SAMPLED = 1,
    SPAN_KNOWS_REMOTE = 0x100,
    SPAN_REMOTE = 0x200,
    STATUS_ERROR = 2
};

static void *alloc(struct builder *b, size_t n)
{
    return arena_alloc(&b->arena, n > 0 ? n : 1);
}

/* ---- Attributes. ---- */

struct pair { /* one allocation a key and its value */
    Otlp__KeyValue key;
    Otlp__AnyValue value;
};

static struct pair *pair_new(struct builder *b, const char *key)
{
    struct pair *p = alloc(b, sizeof(*p));

    if (p == NULL)
        return NULL;
    otlp__key_value__init(&p->key);
    otlp__any_value__init(&p->value);
    p->key.key = (char *)(uintptr_t)key;
    p->key.value = &p->value;
    return p;
}

/* Neither what has a shorter form, nor a surrogate, nor beyond the last. */
static bool may_follow(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second < 0xa0;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second < 0x90;
    default:
        return true;
    }
}

/* As far as it is UTF-8, which a string of protobuf must be: a collector
 * refuses a whole batch for one that is not. */
static size_t utf8_len(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint8_t c = (uint8_t)text[at];
        size_t more = c < 0x80                ? 0
                      : c >= 0xc2 && c < 0xe0 ? 1
                      : c >= 0xe0 && c < 0xf0 ? 2
                      : c >= 0xf0 && c < 0xf5 ? 3
                                              : 4;

        if (more == 4 || len - at <= more ||
            !may_follow(c, (uint8_t)text[at + (more > 0)]))
            break;
        for (size_t i = 1; i <= more; i++)
            if (((uint8_t)text[at + i] & 0xc0) != 0x80)
                return at;
        at += 1 + more;
    }
    return at;
}

static char *text_copy(struct builder *b, const char *text, size_t len)
{
    char *copy;

    len = utf8_len(text, strnlen(text, len));
    copy = alloc(b, len + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static Otlp__KeyValue *text_pair(struct builder *b, const char *key,
                                 const char *text)
{
    struct pair *p = pair_new(b, key);

    if (p == NULL)
        return NULL;
    p->value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    p->value.string_value = text_copy(b, text, strlen(text));
    return p->value.string_value != NULL ? &p->key : NULL;
}

static char *peer_text(struct builder *b, struct span bytes)
{
    struct peer_id id;
    char *text = alloc(b, PEER_ID_TEXT_MAX);

    if (text == NULL)
        return NULL;
    if (peer_id_decode(&id, bytes) == OK)
        (void)peer_id_format(&id, text);
    else
        text[0] = '\0';
    return text;
}

static Otlp__KeyValue *attribute(struct builder *b, const struct trace_span *s,
                                 const struct trace_attribute *a)
{
    struct pair *p = pair_new(b, trace_key_name((enum trace_key)a->key));
    const char *text = s->text + a->at;

    if (p == NULL)
        return NULL;
    switch ((enum trace_type)a->type) {
    case TRACE_NUMBER:
        p->value.value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
        p->value.int_value = a->number;
        return &p->key;
    case TRACE_BOOL:
        p->value.value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
        p->value.bool_value = a->number != 0;
        return &p->key;
    case TRACE_TEXT:
        p->value.string_value = text_copy(b, text, a->len);
        break;
    case TRACE_PEER:
        p->value.string_value = peer_text(b, SPAN(text, a->len));
        break;
    }
    p->value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
    return p->value.string_value != NULL ? &p->key : NULL;
}

/* ---- A span. ---- */

static char *name_of(struct builder *b, const struct trace_span *s)
{
    size_t size;
    char *name;

    if (s->route == NULL)
        return (char *)(uintptr_t)s->name;
    size = strlen(s->name) + strlen(s->route) + 2;
    name = alloc(b, size);
    if (name != NULL)
        (void)snprintf(name, size, "%s %s", s->name, s->route);
    return name;
}

static ProtobufCBinaryData bytes_of(const uint8_t *data, size_t len)
{
    return (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
}

static bool is_root(const struct trace_span *s)
{
    static const uint8_t none[TRACE_SPAN_ID_LEN];

    return memcmp(s->parent_id, none, sizeof(none)) == 0;
}

static uint64_t unix_time(const struct builder *b, tstamp t)
{
    return t + (uint64_t)b->to_unix; /* wraps as it should, if negative */
}

static enum err span_fill(struct builder *b, const struct trace_span *s,
                          Otlp__Span *out)
{
    otlp__span__init(out);
    out->trace_id = bytes_of(s->trace_id, TRACE_ID_LEN);
    out->span_id = bytes_of(s->span_id, TRACE_SPAN_ID_LEN);
    if (!is_root(s))
        out->parent_span_id = bytes_of(s->parent_id, TRACE_SPAN_ID_LEN);
    if (s->state_len > 0)
        out->trace_state = (char *)(uintptr_t)s->text;
    out->name = name_of(b, s);
    out->kind = (int32_t)s->kind;
    out->start_time_unix_nano = unix_time(b, s->started_at);
    out->end_time_unix_nano = unix_time(b, s->ended_at);
    out->flags = SPAN_SAMPLED | SPAN_KNOWS_REMOTE |
                 (s->is_parent_remote ? SPAN_REMOTE : 0);
    out->attributes = alloc(b, s->attribute_count * sizeof(*out->attributes));
    if (out->name == NULL || out->attributes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < s->attribute_count; i++) {
        out->attributes[i] = attribute(b, s, &s->attributes[i]);
        if (out->attributes[i] == NULL)
            return ERR_NOMEM;
        out->n_attributes++;
    }
    if (!s->has_failed)
        return OK;
    out->status = alloc(b, sizeof(*out->status));
    if (out->status == NULL)
        return ERR_NOMEM;
    otlp__status__init(out->status);
    out->status->code = STATUS_ERROR;
    return OK;
}

static enum err spans_fill(struct builder *b, const struct queued *first,
                           size_t count, Otlp__ScopeSpans *out)
{
    Otlp__Span *spans = alloc(b, count * sizeof(*spans));

    out->spans = alloc(b, count * sizeof(*out->spans));
    if (spans == NULL || out->spans == NULL)
        return ERR_NOMEM;
    for (; first != NULL && out->n_spans < count; first = first->next) {
        Otlp__Span *span = &spans[out->n_spans];

        TRY(span_fill(b, &first->span, span));
        out->spans[out->n_spans++] = span;
    }
    return OK;
}

/* ---- Who sends it. ---- */

static enum err add_attribute(struct builder *b, Otlp__Resource *out,
                              const char *key, const char *value)
{
    if (value[0] == '\0')
        return OK;
    for (size_t i = 0; i < out->n_attributes; i++)
        if (strcmp(out->attributes[i]->key, key) == 0)
            return OK; /* the operator said it */
    out->attributes[out->n_attributes] = text_pair(b, key, value);
    return out->attributes[out->n_attributes++] != NULL ? OK : ERR_NOMEM;
}

static enum err resource_fill(struct builder *b,
                              const struct otlp_sender *sender,
                              Otlp__Resource *out)
{
    const struct otel *o = sender->otel;

    out->attributes = alloc(b, (o->resource_count + OUR_ATTRIBUTES_MAX) *
                                   sizeof(*out->attributes));
    if (out->attributes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < o->resource_count; i++)
        TRY(add_attribute(b, out, o->resource[i].key, o->resource[i].value));
    TRY(add_attribute(b, out, "service.version", sender->version));
    TRY(add_attribute(b, out, "service.instance.id", sender->instance));
    TRY(add_attribute(b, out, "telemetry.sdk.name", "souk"));
    TRY(add_attribute(b, out, "telemetry.sdk.language", "c"));
    return add_attribute(b, out, "telemetry.sdk.version", sender->version);
}

/* ---- The request. ---- */

static enum err pack(const Otlp__TraceRequest *request, struct buf *out)
{
    size_t size = otlp__trace_request__get_packed_size(request);
    uint8_t *at;

    TRY(buf_reserve(out, size, &at));
    buf_grow(out, otlp__trace_request__pack(request, at));
    return OK;
}

static enum err build(struct builder *b, const struct otlp_sender *sender,
                      const struct queued *first, size_t count, struct buf *out)
{
    Otlp__TraceRequest request;
    Otlp__ResourceSpans of_resource, *resources[] = {&of_resource};
    Otlp__Resource resource;
    Otlp__ScopeSpans of_scope, *scopes[] = {&of_scope};
    Otlp__Scope scope;

    otlp__trace_request__init(&request);
    otlp__resource_spans__init(&of_resource);
    otlp__resource__init(&resource);
    otlp__scope_spans__init(&of_scope);
    otlp__scope__init(&scope);
    scope.name = (char *)(uintptr_t) "souk";
    scope.version = (char *)(uintptr_t)sender->version;
    TRY(resource_fill(b, sender, &resource));
    TRY(spans_fill(b, first, count, &of_scope));
    of_scope.scope = &scope;
    of_resource.resource = &resource;
    of_resource.n_scope_spans = 1;
    of_resource.scope_spans = scopes;
    request.n_resource_spans = 1;
    request.resource_spans = resources;
    return pack(&request, out);
}

enum err otlp_encode(const struct otlp_sender *sender,
                     const struct queued *first, size_t count, int64_t to_unix,
                     const struct mem *mem, struct buf *out)
{
    struct builder b = {.to_unix = to_unix};
    enum err err;

    arena_init(&b.arena, OTLP_BUILD_MAX, mem);
    err = build(&b, sender, first, count, out);
    arena_release(&b.arena);
    return err;
}

uint64_t otlp_refused(struct span body, const struct mem *mem)
{
    Otlp__TraceResponse *r;
    struct arena arena;
    int64_t refused = 0;

    arena_init(&arena, 4 * OTLP_ANSWER_MAX, mem);
    r = otlp__trace_response__unpack(arena_allocator(&arena), body.len,
                                     body.data);
    if (r != NULL && r->partial_success != NULL)
        refused = r->partial_success->rejected_spans;
    arena_release(&arena);
    return refused > 0 ? (uint64_t)refused : 0;
}
