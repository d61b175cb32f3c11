/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SOUK_TRACE_H
#define SOUK_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/span.h"
#include "base/time.h"
#include "souk/err.h"

/* What happened when, on whose behalf: the spans of OpenTelemetry.
 *
 *      gateway  souk.search ──── context ────► node  souk.search.peer
 *                   │          (in the request)        │
 *                   └──────► core/telemetry ◄──────────┘  when it ends
 *
 * Who works holds the span; when it ends it is copied into a bounded queue,
 * and a thread of its own sends it.  NULL stands for "nobody traces this": all
 * functions here take it, so what is not traced costs a comparison.
 *
 * spec: www.w3.org/TR/trace-context, opentelemetry.io/docs/specs/otel/trace */
enum {
    TRACE_ID_LEN = 16,
    TRACE_SPAN_ID_LEN = 8,
    TRACE_STATE_MAX = 512, /* of tracestate; longer ones are left out */
    TRACE_TEXT_MAX = 1024, /* of one span: state and texts of attributes */
    TRACE_VALUE_MAX = 256, /* of one attribute; longer ones are cut */
    TRACE_ATTRIBUTES_MAX = 16,
};

/* Where in which trace.  A trace_id of zeros: in none. */
struct trace_context {
    uint8_t trace_id[TRACE_ID_LEN];
    uint8_t span_id[TRACE_SPAN_ID_LEN];
    bool is_sampled;
    const char *state; /* tracestate, NULL: none; borrowed */
};

bool trace_context_is_none(const struct trace_context *c);
/* The two headers of a request; |state| may be SPAN_NONE and is then, or when
 * it is too long, left out, else copied into |text|.  False: not one to follow.
 */
bool trace_context_parse(struct trace_context *out, struct span parent,
                         struct span state, char text[TRACE_STATE_MAX + 1]);

/* Which traces are recorded. */
enum trace_root { TRACE_ALWAYS_ON, TRACE_ALWAYS_OFF, TRACE_RATIO };
struct trace_sampler {
    enum trace_root root;
    bool is_parent_based; /* who has a parent does as that does */
    uint64_t ratio_bound; /* RATIO: of 2^63 */
};

enum trace_kind { /* as OTLP numbers them */
                  TRACE_INTERNAL = 1,
                  TRACE_SERVER,
                  TRACE_CLIENT,
                  TRACE_PRODUCER,
                  TRACE_CONSUMER,
};

enum trace_key {
#define ATTRIBUTE(name, key) TRACE_##name,
#include "souk/tbl/trace.h"
    TRACE_KEYS
};
const char *trace_key_name(enum trace_key key); /* "peer.id" */

enum trace_type {
    TRACE_NUMBER,
    TRACE_BOOL,
    TRACE_TEXT,
    TRACE_PEER, /* the bytes of a peer id: who sends it makes the text */
};

struct trace_attribute {
    uint8_t key;      /* enum trace_key */
    uint8_t type;     /* enum trace_type */
    uint16_t at, len; /* of a text, in trace_span.text */
    int64_t number;
};

struct trace_span {
    const char *name;  /* static */
    const char *route; /* static: the second half of a server's name, or NULL */
    enum trace_kind kind;
    uint8_t trace_id[TRACE_ID_LEN];
    uint8_t span_id[TRACE_SPAN_ID_LEN];
    uint8_t parent_id[TRACE_SPAN_ID_LEN]; /* zeros: it is the root */
    bool is_parent_remote;
    bool has_failed;
    tstamp started_at, ended_at;
    size_t attribute_count;
    struct trace_attribute attributes[TRACE_ATTRIBUTES_MAX];
    size_t state_len, text_len;
    char text[TRACE_TEXT_MAX]; /* the state with its NUL, then texts */
};

/* The bytes of |s| that are in use: it may be copied by them. */
size_t trace_span_size(const struct trace_span *s);
/* What lies under |s|; borrows its state.  NULL gives none. */
struct trace_context trace_span_context(const struct trace_span *s);

/* Who begins spans, on one thread. */
struct tracer {
    struct trace_sampler sampler;
    struct rng_seeded ids;
    const struct mem *mem;
    bool is_on;       /* false: nothing is begun */
    bool is_paused;   /* likewise, because nobody has room for it: counted */
    uint64_t skipped; /* while it was paused */
    uint64_t lost;    /* for want of memory */
};

void tracer_init(struct tracer *t, const struct trace_sampler *sampler,
                 const struct rng *rng, const struct mem *mem);

/* A span without a parent here: |remote| (NULL, none: there is none) may be
 * elsewhere.  NULL when it is not sampled. */
struct trace_span *trace_begin_root(struct tracer *t,
                                    const struct trace_context *remote,
                                    const char *name, enum trace_kind kind,
                                    tstamp now);
/* One under |parent|; NULL when that is none or not sampled. */
struct trace_span *trace_begin(struct tracer *t,
                               const struct trace_context *parent,
                               const char *name, enum trace_kind kind,
                               tstamp now);

/* The last word on a key counts; what finds no room is left out. */
void trace_number(struct trace_span *s, enum trace_key key, uint64_t value);
void trace_bool(struct trace_span *s, enum trace_key key, bool value);
void trace_text(struct trace_span *s, enum trace_key key, struct span value);
void trace_peer(struct trace_span *s, struct span peer_id);

/* It is over; gives it an outcome: ok, not_found, cancelled, timeout, or error
 * with the code of |err| as error.type.  One that has an outcome keeps it. */
void trace_end(struct trace_span *s, enum err err, tstamp now);
/* An outcome of its own: "incomplete"; |error_type| NULL: it is no error. */
void trace_outcome(struct trace_span *s, const char *outcome,
                   const char *error_type);

#endif /* SOUK_TRACE_H */
