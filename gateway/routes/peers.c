/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "gateway/loop.h"
#include "gateway/routes/routes.h"

static const char *const states[] = {
    [PEER_CONNECTED] = "connected",
    [PEER_KNOWN] = "known",
    [PEER_BANNED] = "banned",
    NULL,
};

/* ---- One peer as JSON. ---- */

static void time_write(struct jw *j, const char *key, wall_ms at)
{
    jw_key(j, key);
    if (at == 0)
        jw_null(j);
    else
        jw_time(j, at);
}

static void protocols_write(struct jw *j, const char *lines)
{
    jw_key(j, "protocols");
    jw_open(j, '[');
    while (lines != NULL && *lines != '\0') {
        size_t n = strcspn(lines, "\n");

        if (n > 0)
            jw_text(j, SPAN(lines, n));
        lines += n + (lines[n] != '\0');
    }
    jw_close(j, ']');
}

static double shown_score(double score)
{
    return score < 0 ? 0 : score > 1 ? 1 : score;
}

static void peer_write(struct jw *j, const struct peer_info *p)
{
    char text[MULTIADDR_TEXT_MAX], id[PEER_ID_TEXT_MAX];

    jw_open(j, '{');
    jw_key(j, "id");
    jw_str(j, peer_id_format(&p->id, id));
    jw_key(j, "addresses");
    jw_open(j, '[');
    for (size_t i = 0; i < p->addr_count; i++)
        jw_str(j, multiaddr_format(&p->addrs[i], text));
    jw_close(j, ']');
    jw_key(j, "agent");
    jw_str_or_null(j, p->agent);
    protocols_write(j, p->protocols);
    jw_key(j, "direction");
    jw_str_or_null(j, p->state != PEER_CONNECTED ? NULL
                      : p->is_outbound           ? "outbound"
                                                 : "inbound");
    jw_key(j, "latency_ms");
    if (p->latency_ms < 0)
        jw_null(j);
    else
        jw_double(j, p->latency_ms);
    jw_key(j, "score");
    jw_double(j, shown_score(p->score));
    jw_key(j, "gossip_score");
    if (p->has_gossip_score)
        jw_double(j, p->gossip_score);
    else
        jw_null(j);
    jw_key(j, "state");
    jw_str(j, states[p->state]);
    time_write(j, "last_seen", p->last_seen);
    time_write(j, "banned_until", p->banned_until);
    jw_close(j, '}');
}

/* ---- The list. ---- */

enum peer_sort { SORT_BY_SCORE, SORT_BY_LATENCY, SORT_BY_ID };

/* Where a peer stands in the list; a cursor holds the last one shown. */
struct place_in_list {
    double key; /* less comes first */
    struct peer_id id;
};

struct listing {
    enum peer_sort sort;
    unsigned state;
    uint64_t limit;
    bool has_after;
    struct place_in_list after;
};

static struct place_in_list place_of(const struct peer_info *p,
                                     enum peer_sort sort)
{
    struct place_in_list place = {.id = p->id};

    if (sort == SORT_BY_SCORE)
        place.key = -p->score;
    else if (sort == SORT_BY_LATENCY)
        place.key = p->latency_ms < 0 ? 1e18 : p->latency_ms;
    return place;
}

static int place_cmp(const struct place_in_list *a,
                     const struct place_in_list *b)
{
    if (a->key < b->key || a->key > b->key)
        return a->key < b->key ? -1 : 1;
    return span_cmp(peer_id_span(&a->id), peer_id_span(&b->id));
}

static int peer_cmp(const void *a, const void *b, void *sort)
{
    struct place_in_list pa = place_of(a, *(enum peer_sort *)sort);
    struct place_in_list pb = place_of(b, *(enum peer_sort *)sort);

    return place_cmp(&pa, &pb);
}

/* What a cursor of this list belongs to. */
static struct span cursor_context(const struct listing *l, char out[32])
{
    int n = snprintf(out, 32, "peers %u %u", l->state, (unsigned)l->sort);

    return SPAN(out, (size_t)n);
}

static void list_answer(struct exchange *x, struct request *r)
{
    struct listing *l = x->work;
    char cursor[CURSOR_TEXT_MAX] = "", context[32];
    size_t i = 0, shown = 0;
    struct jw j;

    if (r->err != OK) {
        exchange_refuse(x, r->err, r->detail);
        return;
    }
    if (r->peer_count > 0)
        qsort_r(r->peers, r->peer_count, sizeof(*r->peers), peer_cmp, &l->sort);
    for (; l->has_after && i < r->peer_count; i++) {
        struct place_in_list place = place_of(&r->peers[i], l->sort);

        if (place_cmp(&place, &l->after) > 0)
            break;
    }
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "peers");
    jw_open(&j, '[');
    for (; i < r->peer_count && shown < l->limit; i++, shown++)
        peer_write(&j, &r->peers[i]);
    jw_close(&j, ']');
    jw_key(&j, "total");
    jw_u64(&j, r->peer_count);
    jw_key(&j, "next_cursor");
    if (shown > 0 && i < r->peer_count) {
        struct place_in_list last;

        memset(&last, 0, sizeof(last)); /* its padding is sealed too */
        last.key = place_of(&r->peers[i - 1], l->sort).key;
        last.id = r->peers[i - 1].id;
        cursor_seal(&x->gateway->cursor_key, cursor_context(l, context),
                    SPAN(&last, sizeof(last)), cursor);
        exchange_link_next(x, cursor);
    }
    jw_str_or_null(&j, cursor);
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}

static void take_cursor(struct exchange *x, struct listing *l)
{
    uint8_t payload[CURSOR_PAYLOAD_MAX];
    struct span text;
    char context[32];
    size_t len;

    if (!params_text(&x->params, "cursor", 1, CURSOR_TEXT_MAX, &text))
        return;
    if (cursor_open(&x->gateway->cursor_key, cursor_context(l, context), text,
                    payload, &len) != OK ||
        len != sizeof(l->after)) {
        params_refuse(&x->params, "cursor", "is not a cursor of this list");
        return;
    }
    memcpy(&l->after, payload, sizeof(l->after));
    l->has_after = true;
}

void route_peers(struct exchange *x)
{
    static const char *const sorts[] = {"score", "latency", "id", NULL};
    struct listing *l = exchange_work(x, sizeof(*l));
    unsigned sort = SORT_BY_SCORE;
    struct request *r;

    if (l == NULL)
        return;
    l->limit = 20;
    (void)params_choice(&x->params, "state", states, &l->state);
    (void)params_choice(&x->params, "sort", sorts, &sort);
    (void)params_u64(&x->params, "limit", 1, 100, &l->limit);
    l->sort = (enum peer_sort)sort;
    take_cursor(x, l);
    if (exchange_refused_params(x))
        return;
    r = request_new(REQUEST_PEERS, x->deadline);
    if (r != NULL)
        r->in.peers.state = (enum peer_state)l->state;
    exchange_ask_simply(x, r, list_answer);
}

/* ---- One. ---- */

static void peer_answer(struct exchange *x, struct request *r)
{
    struct jw j;

    if (r->err != OK || r->peer_count == 0) {
        exchange_refuse(x, r->err != OK ? r->err : ERR_NOT_FOUND, r->detail);
        return;
    }
    exchange_json(x, &j);
    peer_write(&j, &r->peers[0]);
    exchange_answer(x, 200, j.err);
}

static void ask_peer(struct exchange *x,
                     void (*then)(struct exchange *, struct request *))
{
    struct peer_id id;
    struct request *r;

    if (!exchange_peer(x, &id))
        return;
    r = request_new(REQUEST_PEER, x->deadline);
    if (r != NULL)
        r->in.peers.peer = id;
    exchange_ask_simply(x, r, then);
}

void route_peer(struct exchange *x)
{
    ask_peer(x, peer_answer);
}

static void term_write(struct jw *j, const char *key, double v)
{
    jw_key(j, key);
    jw_double(j, v);
}

static void reputation_answer(struct exchange *x, struct request *r)
{
    const struct peer_info *p = r->peers;
    char id[PEER_ID_TEXT_MAX];
    struct jw j;

    if (r->err != OK || r->peer_count == 0) {
        exchange_refuse(x, r->err != OK ? r->err : ERR_NOT_FOUND, r->detail);
        return;
    }
    exchange_json(x, &j);
    jw_open(&j, '{');
    jw_key(&j, "id");
    jw_str(&j, peer_id_format(&p->id, id));
    term_write(&j, "score", shown_score(p->score));
    jw_key(&j, "terms");
    jw_open(&j, '{');
    term_write(&j, "success", p->success);
    term_write(&j, "response", p->response);
    term_write(&j, "packages", p->packages);
    term_write(&j, "recency", p->recency);
    term_write(&j, "location", p->location);
    jw_close(&j, '}');
    jw_key(&j, "successes");
    jw_u64(&j, p->successes);
    jw_key(&j, "failures");
    jw_u64(&j, p->failures);
    jw_key(&j, "packages_provided");
    jw_u64(&j, p->packages_provided);
    time_write(&j, "banned_until", p->banned_until);
    jw_key(&j, "reasons");
    jw_open(&j, '[');
    for (size_t i = 0; i < p->reason_count; i++) {
        jw_open(&j, '{');
        time_write(&j, "at", p->reasons[i].at);
        jw_key(&j, "text");
        jw_str(&j, p->reasons[i].text);
        jw_close(&j, '}');
    }
    jw_close(&j, ']');
    jw_close(&j, '}');
    exchange_answer(x, 200, j.err);
}

void route_reputation(struct exchange *x)
{
    ask_peer(x, reputation_answer);
}

/* ---- Connect, disconnect. ---- */

static void connect_answer(struct exchange *x, struct request *r)
{
    char id[PEER_ID_TEXT_MAX];
    struct jw j;

    if (r->err == ERR_INVAL) {
        problems_add(&x->problems, "/multiaddr", "%s", r->detail);
        exchange_refuse_problems(x, ERR_SCHEMA);
        return;
    }
    if (r->err != OK || r->peer_count == 0) {
        bool is_peers_fault = err_class(r->err) == ERR_CLASS_PEER;

        exchange_refuse(x, is_peers_fault ? ERR_DIAL_FAILED : r->err,
                        r->detail[0] ? r->detail : err_text(r->err));
        return;
    }
    exchange_json(x, &j);
    peer_write(&j, &r->peers[0]);
    exchange_location(x, "/api/v1/peers/%s",
                      peer_id_format(&r->peers[0].id, id));
    exchange_answer(x, r->was_connected ? 200 : 201, j.err);
}

static void connect_expired(struct exchange *x)
{
    exchange_refuse(x, ERR_DIAL_FAILED, "no answer within the time given");
}

/* The address in the body; false: refused. */
static bool take_multiaddr(struct exchange *x, struct multiaddr *addr)
{
    json_t *body = exchange_body_object(x);
    const json_t *text;
    struct endpoint to;

    if (body == NULL)
        return false;
    text = json_object_get(body, "multiaddr");
    if (!json_is_string(text))
        problems_add(&x->problems, "/multiaddr", "must be a text");
    else if (multiaddr_parse(addr, SPAN(json_string_value(text),
                                        json_string_length(text))) != OK)
        problems_add(&x->problems, "/multiaddr", "is not a multiaddr");
    else if (!multiaddr_endpoint(addr, &to) || to.peer.len == 0)
        problems_add(&x->problems, "/multiaddr",
                     "must be /ip…|dns…/tcp/PORT/p2p/ID");
    json_decref(body);
    if (x->problems.count == 0)
        return true;
    exchange_refuse_problems(x, ERR_SCHEMA);
    return false;
}

void route_connect(struct exchange *x)
{
    struct multiaddr addr;
    struct request *r;

    exchange_deadline(x, 10 * SECONDS);
    if (exchange_refused_params(x) || !take_multiaddr(x, &addr))
        return;
    x->on_deadline = connect_expired;
    r = request_new(REQUEST_CONNECT, x->deadline);
    if (r != NULL)
        r->in.peers.addr = addr;
    exchange_ask_simply(x, r, connect_answer);
}

static void disconnect_answer(struct exchange *x, struct request *r)
{
    if (r->err == OK) {
        x->response.status = 204;
        x->response.cache_control = "no-store";
    } else {
        exchange_refuse(x, r->err, r->detail);
    }
}

void route_disconnect(struct exchange *x)
{
    const duration day = 24 * HOURS;
    struct peer_id id;
    struct request *r;
    duration ban = 0;
    bool has_ban;

    if (!exchange_peer(x, &id))
        return;
    has_ban = params_duration(&x->params, "ban", SECONDS, 3650 * day, &ban);
    if (exchange_refused_params(x))
        return;
    r = request_new(REQUEST_DISCONNECT, x->deadline);
    if (r != NULL) {
        r->in.peers.peer = id;
        r->in.peers.ban = has_ban;
        r->in.peers.ban_ms = (int64_t)(ban / MILLISECONDS);
    }
    exchange_ask_simply(x, r, disconnect_answer);
}
