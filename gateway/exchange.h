/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/span.h"
#include "base/time.h"
#include "gateway/client.h"
#include "gateway/headers.h"
#include "gateway/json.h"
#include "gateway/limits.h"
#include "gateway/metrics.h"
#include "gateway/params.h"
#include "gateway/response.h"
#include "gateway/router.h"
#include "gateway/tracing.h"
#include "market/record.h"
#include "souk/request.h"
#include "store/job.h"
#include "store/reader.h"

/* One request and its answer.  A connection has one, used again and again.
 *
 *      exchange_begin()   the head is known: refuse, or go on
 *      exchange_body()    its body, piece by piece
 *      exchange_run()     all is there: the route's handler
 *         handler:        exchange_answer…() / exchange_refuse(), or first
 *         exchange_ask()  ──► the core  ─► then(x, request) …
 *         exchange_write()──► the store ─► then(x, job) …
 *      exchange_end()     sent, or the client left
 *
 * It knows nothing of libmicrohttpd (server.c) and belongs to one loop.  When
 * response.status is set the answer is there, and nothing changes it.  A
 * handler that returns without one has something pending. */
struct exchange;
struct gateway;
struct loop;

enum {
    TARGET_INLINE = 512, /* longer request targets are allocated */
    TARGET_MAX = 16 << 10,
    REQUEST_ID_MAX = 128,
    PATH_PARAM_MAX = 256, /* of one parameter, decoded */
    PENDING_MAX = 16,     /* of one exchange, at the core and the store */

    TIMEOUT_MIN_MS = 50,
    TIMEOUT_MAX_MS = 25000,
};

/* Something that is worked on elsewhere. */
struct ticket {
    struct loop *loop;
    struct exchange *x;      /* NULL: its exchange has ended */
    struct list link;        /* in x->tickets */
    struct request *request; /* one of these two */
    struct job *job;
    void (*then_request)(struct exchange *x, struct request *r);
    void (*then_job)(struct exchange *x, struct job *job);
    struct ticket *next; /* the inbox's */
};

struct exchange {
    struct gateway *gateway;
    struct loop *loop;
    bool is_admin; /* came through the admin listener … */
    bool is_local; /* … or a unix socket */
    struct ip peer;

    /* The request. */
    tstamp started;
    tstamp deadline;
    enum http_method method;
    bool is_head;
    bool has_body;
    char target_inline[TARGET_INLINE];
    char *target; /* its own copy */
    size_t target_len;
    struct span instance; /* the path as it came */
    struct headers headers;
    struct span path;  /* without base path and query */
    struct span query; /* as it came */
    char query_inline[TARGET_INLINE];
    char *query_copy; /* of a longer one */
    struct params params;
    struct problems problems;
    struct route_match match;
    char decoded[ROUTE_PARAMS_MAX][PATH_PARAM_MAX];
    struct ip client;
    bool is_forwarded; /* a trusted proxy said who the client is */
    bool is_exempt;    /* from the rate limit */
    bool has_rate;
    struct rate_verdict rate;
    char request_id[REQUEST_ID_MAX + 1]; /* "": none */
    struct buf body;
    size_t body_counted; /* of the gateway's budget */

    struct response response;

    /* Who traces it; tracing.h. */
    struct trace_span *server, *task, *step;
    enum err refused; /* why; OK: it was not */

    /* A search, for the metrics. */
    bool is_search;
    enum search_scope search_scope;
    bool is_incomplete;

    /* What the route has going on. */
    struct list tickets;
    size_t pending;
    void *work; /* the route's; freed by work_free at the end */
    void (*work_free)(void *work);
    /* Answer with what is there: the deadline has passed.  NULL: 504. */
    void (*on_deadline)(struct exchange *x);
};

void exchange_init(struct exchange *x, struct loop *loop, bool is_admin);
void exchange_release(struct exchange *x);

/* The request line is there; NULL target: too long or no memory. */
void exchange_target(struct exchange *x, const char *target);
/* The head is complete: check all that needs no body.  What is refused has an
 * answer then; its body, if there is one, must be drained all the same. */
void exchange_begin(struct exchange *x, const char *method, const char *version,
                    tstamp now);
/* |data| of the body; may refuse. */
void exchange_body(struct exchange *x, struct span data);
void exchange_run(struct exchange *x);
/* The deadline has passed, and some: answer now. */
void exchange_expire(struct exchange *x);
/* Nobody waits any more. */
void exchange_cancel(struct exchange *x);
/* What is still out comes home to nobody. */
void exchange_orphan(struct exchange *x);
/* Ready for the next request of the connection. */
void exchange_end(struct exchange *x);

/* ---- For routes. ---- */

/* Errors as problem+json.  |detail| "" or NULL: the error's own text. */
void exchange_refuse(struct exchange *x, enum err err, const char *detail);
/* 422 with x->problems, ERR_INVAL for parameters, ERR_SCHEMA for a body. */
void exchange_refuse_problems(struct exchange *x, enum err err);
void exchange_refuse_lookup(struct exchange *x, enum err err,
                            const struct lookup_report *lookup);
/* true: a parameter was bad, and 422 is the answer. */
bool exchange_refused_params(struct exchange *x);

/* A JSON body is begun; write it and finish with exchange_answer(). */
void exchange_json(struct exchange *x, struct jw *j);
/* |err|: the writer's; turns into a refusal. */
void exchange_answer(struct exchange *x, unsigned status, enum err err);
/* As exchange_answer(200), with an entity tag over |tagged| (a part of the
 * body), no-cache, and 304 if the client has it. */
void exchange_answer_tagged(struct exchange *x, enum err err,
                            struct span tagged, bool is_weak);
/* 304 if If-None-Match names response.etag. */
void exchange_not_modified(struct exchange *x);

/* Text of a path parameter, decoded; SPAN_NONE if it cannot be. */
struct span exchange_path_param(struct exchange *x, size_t nth);
/* Package and version of the path; false: refused with 422. */
bool exchange_package(struct exchange *x, struct package_id *id);
bool exchange_version(struct exchange *x, struct semver *version);
bool exchange_peer(struct exchange *x, struct peer_id *peer);

/* x->deadline from `timeout`, `Prefer: wait`, else |otherwise|. */
void exchange_deadline(struct exchange *x, duration otherwise);
/* `scope=local`? */
bool exchange_scope_is_local(struct exchange *x);
/* `Cache-Control: no-cache`? */
bool exchange_wants_fresh(const struct exchange *x);
/* More tokens of the client's bucket; false: refused with 429. */
bool exchange_charge(struct exchange *x, uint64_t tokens);

/* Hand |r| or |job| over; |then| is called on this loop, unless the exchange
 * has ended.  Both are freed after it.  On error they are freed at once, and
 * the caller refuses or does without. */
MUST_USE
enum err exchange_ask(struct exchange *x, struct request *r,
                      void (*then)(struct exchange *x, struct request *r));
MUST_USE
enum err exchange_write(struct exchange *x, struct job *job,
                        void (*then)(struct exchange *x, struct job *job));

/* Ask, and refuse by itself when that fails; |r| may be NULL (no memory). */
void exchange_ask_simply(struct exchange *x, struct request *r,
                         void (*then)(struct exchange *x, struct request *r));
/* |size| zeroed bytes as x->work, freed at the end; NULL: refused. */
void *exchange_work(struct exchange *x, size_t size);
/* As exchange_work(), with something inside to release. */
void *exchange_work_with(struct exchange *x, size_t size,
                         void (*work_free)(void *work));

/* The body as a JSON object with strict members; NULL: refused.  The caller
 * json_decref()s it. */
json_t *exchange_body_object(struct exchange *x);

/* The API's |path| as the client reaches it; returns |out|. */
const char *exchange_url(struct exchange *x, const char *path,
                         char out[RESPONSE_LINK_MAX]);
/* Location: the API's path |format| from the client's point of view. */
__attribute__((format(printf, 2, 3))) void
exchange_location(struct exchange *x, const char *format, ...);
/* Link: the same request with |cursor|; rel="next". */
void exchange_link_next(struct exchange *x, const char *cursor);
/* The same in two steps, for answers that are kept: path and query of the next
 * page ("" if that is too long), and the header made of it (none if empty). */
const char *exchange_next_path(struct exchange *x, const char *cursor,
                               char out[RESPONSE_LINK_MAX]);
void exchange_link(struct exchange *x, struct span next_path);

struct reader *exchange_reader(struct exchange *x);

/* Milliseconds since the epoch, now. */
wall_ms gateway_wall(void);

#endif /* GATEWAY_EXCHANGE_H */
