/* SPDX-License-Identifier: Apache-2.0 */
#include "search/search.h"

#include <math.h>

#include "wire/search.pb-c.h"

#include "wire/arena.h"
#include "wire/delim.h"

enum {
    LIMIT_DEFAULT = 20,
    /* Decoded, a message is its own bytes and some structs. */
    REQUEST_DECODED_MAX = 2 * SEARCH_REQUEST_MAX,
    RESPONSE_DECODED_MAX = 2 * SEARCH_RESPONSE_MAX,
    RESULT_OVERHEAD_MAX = 2 * 4 + 1 + 9, /* tags, lengths, score */
};

/* ---- The request. ---- */

/* Set a field that borrows |text|; an empty one stays absent. */
static ProtobufCBinaryData text_bytes(const char *text)
{
    return wire_bytes(span_str(text));
}

enum err search_request_encode(const struct search_request *r, struct buf *out)
{
    Wire__SearchRequest msg = WIRE__SEARCH_REQUEST__INIT;
    Wire__SearchFilters filters = WIRE__SEARCH_FILTERS__INIT;

    filters.category = text_bytes(r->filter.category);
    filters.tag = text_bytes(r->filter.tag);
    filters.author = text_bytes(r->filter.author);
    filters.license = text_bytes(r->filter.license);
    filters.namespace_ = text_bytes(r->filter.namespace);
    msg.query = text_bytes(r->query);
    msg.filters = &filters;
    msg.limit = r->limit;
    msg.deadline_ms = r->deadline_ms;
    return wire_put(out, &msg.base);
}

/* Copy a text of at most |max| bytes to |out|, which has one more. */
static bool take_text(ProtobufCBinaryData field, char *out, size_t max)
{
    if (field.len > max ||
        (field.len > 0 && memchr(field.data, '\0', field.len) != NULL))
        return false;
    if (field.len > 0)
        memcpy(out, field.data, field.len);
    out[field.len] = '\0';
    return true;
}

static bool take_filters(const Wire__SearchFilters *f,
                         struct search_filter *out)
{
    return take_text(f->category, out->category, REQUEST_TEXT_MAX) &&
           take_text(f->tag, out->tag, REQUEST_TEXT_MAX) &&
           take_text(f->author, out->author, REQUEST_TEXT_MAX) &&
           take_text(f->license, out->license, REQUEST_TEXT_MAX) &&
           take_text(f->namespace_, out->namespace, REQUEST_TEXT_MAX);
}

static uint32_t at_most(uint32_t v, uint32_t max)
{
    return v < max ? v : max;
}

static enum err take_request(const Wire__SearchRequest *msg,
                             struct search_request *r)
{
    if (!take_text(msg->query, r->query, REQUEST_QUERY_MAX))
        return ERR_PROTO;
    if (msg->filters != NULL && !take_filters(msg->filters, &r->filter))
        return ERR_PROTO;
    r->limit =
        at_most(msg->limit ? msg->limit : LIMIT_DEFAULT, SEARCH_RESULTS_MAX);
    r->deadline_ms = at_most(msg->deadline_ms, SEARCH_DEADLINE_MS_MAX);
    return OK;
}

enum err search_request_decode(struct span msg, struct search_request *r,
                               const struct mem *mem)
{
    Wire__SearchRequest *decoded;
    struct arena arena;
    enum err err;

    *r = (struct search_request){0};
    if (msg.len > SEARCH_REQUEST_MAX)
        return ERR_FRAME_SIZE;
    arena_init(&arena, REQUEST_DECODED_MAX, mem);
    decoded = wire_unpack(&wire__search_request__descriptor, &arena, msg);
    if (decoded != NULL)
        err = take_request(decoded, r);
    else
        err = arena.refused ? ERR_NOMEM : ERR_PROTO;
    arena_release(&arena);
    return err;
}

/* ---- The response. ---- */

/* As many hits as fit behind the other fields. */
static size_t fitting_hits(const struct search_response *r, size_t room)
{
    size_t n = 0;

    while (n < r->count) {
        size_t size = r->hits[n].record.len + RESULT_OVERHEAD_MAX;

        if (size > room)
            break;
        room -= size;
        n++;
    }
    return n;
}

static enum err put_response(const struct search_response *r,
                             Wire__SearchResponse *msg, struct buf *out)
{
    Wire__SearchResult results[SEARCH_RESULTS_MAX];
    Wire__SearchResult *pointers[SEARCH_RESULTS_MAX];
    size_t rest = protobuf_c_message_get_packed_size(&msg->base) + 2;
    size_t count = fitting_hits(r, SEARCH_RESPONSE_MAX - rest);
    enum err err;

    for (size_t i = 0; i < count; i++) {
        wire__search_result__init(&results[i]);
        results[i].record = wire_bytes(r->hits[i].record);
        results[i].score = r->hits[i].score;
        pointers[i] = &results[i];
    }
    msg->results = pointers;
    msg->n_results = count;
    msg->truncated = r->is_truncated || count < r->count;
    err = wire_put(out, &msg->base);
    msg->results = NULL;
    msg->n_results = 0;
    return err;
}

enum err search_response_encode(const struct search_response *r,
                                struct buf *out)
{
    Wire__SearchResponse msg = WIRE__SEARCH_RESPONSE__INIT;
    Wire__SearchLocation location = WIRE__SEARCH_LOCATION__INIT;
    Wire__SearchRate rate = WIRE__SEARCH_RATE__INIT;

    assert(r->count <= SEARCH_RESULTS_MAX);
    msg.total = r->total;
    if (r->is_busy)
        msg.busy_ms = r->retry_ms ? r->retry_ms : 1;
    if (r->has_location) {
        location.latitude = r->latitude;
        location.longitude = r->longitude;
        msg.location = &location;
    }
    if (r->rate_per_minute > 0) {
        rate.per_minute = r->rate_per_minute;
        msg.rate = &rate;
    }
    return put_response(r, &msg, out);
}

/* A varint as protobuf has it: up to ten bytes, not always minimal. */
static bool take_varint(struct span *s, uint64_t *v)
{
    uint8_t byte = 0x80;

    *v = 0;
    for (unsigned i = 0; i < 10 && (byte & 0x80) != 0; i++) {
        if (!span_u8(s, &byte))
            return false;
        *v |= (uint64_t)(byte & 0x7f) << (7 * i);
    }
    return (byte & 0x80) == 0;
}

/* One field; |body| is empty unless it is length-delimited. */
static bool take_field(struct span *s, uint64_t *tag, struct span *body)
{
    struct span skipped;
    uint64_t n;

    *body = SPAN_NONE;
    if (!take_varint(s, tag))
        return false;
    switch (*tag & 7) {
    case 0:
        return take_varint(s, &n);
    case 1:
        return span_bytes(s, 8, &skipped);
    case 2:
        return take_varint(s, &n) && n <= s->len &&
               span_bytes(s, (size_t)n, body);
    case 5:
        return span_bytes(s, 4, &skipped);
    default:
        return false; /* groups are long gone */
    }
}

enum { TAG_RESULTS = 1 << 3 | 2, TAG_RECORD = 1 << 3 | 2 };

/* protobuf-c copies bytes; the records are by far the most of a response, so
 * they are found again where they lie.  Also counts the results before
 * anything is allocated for them. */
static enum err borrow_records(struct span msg, struct search_response *r)
{
    struct span result, field;
    uint64_t tag;

    while (msg.len > 0) {
        if (!take_field(&msg, &tag, &result))
            return ERR_PROTO;
        if (tag != TAG_RESULTS)
            continue;
        if (r->count == SEARCH_RESULTS_MAX)
            return ERR_PROTO;
        while (result.len > 0) {
            if (!take_field(&result, &tag, &field))
                return ERR_PROTO;
            if (tag == TAG_RECORD)
                r->hits[r->count].record = field;
        }
        r->count++;
    }
    return OK;
}

static enum err take_location(const Wire__SearchLocation *l,
                              struct search_response *r)
{
    /* Written so that what is no number fails. */
    if (!(fabs(l->latitude) <= 90) || !(fabs(l->longitude) <= 180))
        return ERR_PROTO;
    r->has_location = true;
    r->latitude = l->latitude;
    r->longitude = l->longitude;
    return OK;
}

static enum err take_response(const Wire__SearchResponse *msg,
                              struct search_response *r)
{
    if (msg->n_results != r->count)
        return ERR_PROTO;
    for (size_t i = 0; i < r->count; i++) {
        double score = msg->results[i]->score;

        r->hits[i].score = isfinite(score) && score > 0 ? score : 0;
    }
    r->total = msg->total;
    r->is_truncated = msg->truncated;
    r->is_busy = msg->busy_ms != 0;
    r->retry_ms = msg->busy_ms;
    r->rate_per_minute = msg->rate ? msg->rate->per_minute : 0;
    return msg->location ? take_location(msg->location, r) : OK;
}

enum err search_response_decode(struct span msg, struct search_response *r,
                                const struct mem *mem)
{
    Wire__SearchResponse *decoded;
    struct arena arena;
    enum err err;

    *r = (struct search_response){0};
    if (msg.len > SEARCH_RESPONSE_MAX)
        return ERR_FRAME_SIZE;
    TRY(borrow_records(msg, r));
    arena_init(&arena, RESPONSE_DECODED_MAX, mem);
    decoded = wire_unpack(&wire__search_response__descriptor, &arena, msg);
    if (decoded != NULL)
        err = take_response(decoded, r);
    else
        err = arena.refused ? ERR_NOMEM : ERR_PROTO;
    arena_release(&arena);
    return err;
}
