/* SPDX-License-Identifier: Apache-2.0 */
/* Gossip and nothing else, on souk's own rooms and blocking sockets: what
 * README.md says of start, dial, subscribers, burst and heard.  Every message
 * that is well signed is good, as it is to the peers of other libraries. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "crypto/ed25519.h"
#include "gossip/gossip.h"
#include "host/system.h"
#include "multi/peer_id.h"
#include "support/link.h"
#include "wire/delim.h"

static const char *const protocols[] = {"/meshsub/1.2.0"};

enum {
    SIDES_MAX = 64,
    WAITING_MAX = 64 << 20,
    LINES_BYTES = 64 * 1024,
    LISTENERS_MAX = 16,
    DATA_MAX = 128,
    ENOUGH = 1 << 28, /* no budget: what others can be told is measured */
};

struct side {
    struct link link;
    struct peer_id peer;
    bool is_dialer, is_ready;
    json_int_t asked; /* the dial that waits for it, or 0 */
    uint32_t out;
    struct buf waiting; /* frames that found no room */
    struct delim in;
};

static struct side sides[SIDES_MAX];
static struct ed25519_keypair key;
static struct peer_id self;
static struct gossip *gossip;
static char *topic;
static uint64_t heard;
static struct {
    json_int_t id;
    uint64_t count;
} listeners[LISTENERS_MAX];
static size_t listener_count;

static void must(enum err err)
{
    if (err != OK) {
        fprintf(stderr, "gossip_peer: %s\n", err_text(err));
        exit(1);
    }
}

static void say(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    if (text == NULL || puts(text) < 0 || fflush(stdout) != 0)
        exit(1);
    free(text);
    json_decref(line);
}

/* |more| may be NULL and is taken. */
static void answer(json_int_t id, json_t *more)
{
    json_t *line = json_pack("{s:I, s:b}", "id", id, "ok", 1);

    if (more != NULL)
        json_object_update(line, more);
    json_decref(more);
    say(line);
}

/* ---- Messages. ---- */

static void tell_listeners(void)
{
    size_t left = 0;

    for (size_t i = 0; i < listener_count; i++) {
        if (heard >= listeners[i].count)
            answer(listeners[i].id, NULL);
        else
            listeners[left++] = listeners[i];
    }
    listener_count = left;
}

static void send_frame(const struct peer_id *to, struct span frame)
{
    for (size_t i = 0; i < SIDES_MAX; i++) {
        struct side *s = &sides[i];

        if (s->link.fd < 0 || !s->is_ready || !peer_id_eq(&s->peer, to))
            continue;
        if (buf_len(&s->waiting) > 0 ||
            conn_stream_write(s->link.conn, s->out, frame) != OK)
            must(buf_put(&s->waiting, frame));
        return;
    }
}

static void pump(void)
{
    struct gossip_event ev;

    while (gossip_poll(gossip, &ev)) {
        if (ev.type == GOSSIP_EV_SEND) {
            send_frame(&ev.peer, ev.send.frame);
        } else if (ev.type == GOSSIP_EV_MESSAGE) {
            must(gossip_verdict(gossip, ev.message.token, GOSSIP_ACCEPT,
                                clock_now()));
            heard++;
        }
    }
    tell_listeners();
}

/* ---- Connections. ---- */

static void on_ready(struct side *s)
{
    s->is_ready = true;
    must(gossip_peer_connected(gossip, &s->peer, GOSSIP_V12, s->is_dialer, 0,
                               clock_now()));
    pump();
}

static void on_up(struct side *s)
{
    char id[PEER_ID_TEXT_MAX];

    s->peer = *conn_peer(s->link.conn);
    must(conn_stream_open(s->link.conn, protocols, 1, clock_now(), &s->out));
    if (s->asked != 0)
        answer(s->asked,
               json_pack("{s:s}", "peer", peer_id_format(&s->peer, id)));
    s->asked = 0;
}

static void on_data(struct side *s, struct span data)
{
    struct span msg;
    bool whole = true;

    for (;;) {
        must(delim_recv(&s->in, &data, &msg, &whole));
        if (!whole)
            return;
        must(gossip_on_rpc(gossip, &s->peer, msg, clock_now(), clock_wall()));
        pump();
    }
}

static void on_writable(struct side *s)
{
    size_t n = conn_stream_room(s->link.conn, s->out);

    if (n > buf_len(&s->waiting))
        n = buf_len(&s->waiting);
    if (n > 0 && conn_stream_write(s->link.conn, s->out,
                                   SPAN(buf_span(&s->waiting).data, n)) == OK)
        buf_drain(&s->waiting, n);
}

static void on_event(void *owner, const struct conn_event *ev)
{
    struct side *s = owner;

    switch (ev->type) {
    case CONN_EV_UPGRADED:
        on_up(s);
        break;
    case CONN_EV_STREAM_READY:
        on_ready(s);
        break;
    case CONN_EV_STREAM_DATA:
        conn_stream_consumed(s->link.conn, ev->stream, ev->data.len,
                             clock_now());
        on_data(s, ev->data);
        break;
    case CONN_EV_STREAM_WRITABLE:
        on_writable(s);
        break;
    case CONN_EV_CLOSED:
        if (s->is_ready)
            gossip_peer_gone(gossip, &s->peer, clock_now());
        break;
    case CONN_EV_NONE:
    case CONN_EV_STREAM_INBOUND:
    case CONN_EV_STREAM_RESET:
    case CONN_EV_STREAM_ENDED:
    case CONN_EV_STREAM_FIN:
    case CONN_EV_GO_AWAY:
        break;
    }
}

static void begin(int fd, const struct peer_id *expected, json_int_t asked)
{
    struct conn_config config = {.is_dialer = expected != NULL,
                                 .identity = &key,
                                 .expected = expected,
                                 .protocols = protocols,
                                 .protocols_count = 1};

    for (size_t i = 0; i < SIDES_MAX; i++) {
        struct side *s = &sides[i];

        if (s->link.fd >= 0)
            continue;
        *s = (struct side){.is_dialer = expected != NULL, .asked = asked};
        buf_init(&s->waiting, WAITING_MAX, &mem_libc);
        delim_init(&s->in, GOSSIP_RPC_ACCEPTED_MAX, &mem_libc);
        link_start(&s->link, fd, &config, on_event, s);
        return;
    }
    link_die("too many connections");
}

static void end(struct side *s)
{
    link_stop(&s->link);
    buf_release(&s->waiting);
    delim_release(&s->in);
}

/* ---- Commands. ---- */

static void start(json_int_t id, const json_t *q, uint16_t port)
{
    char text[PEER_ID_TEXT_MAX], address[MULTIADDR_TEXT_MAX];
    struct gossip_config config = {
        .self = self,
        .identity = &key,
        .topics = (const char *const *)&topic,
        .topic_count = 1,
        .peer_bytes_per_s = ENOUGH,
        .peer_messages_per_s = ENOUGH,
        .peer_control_per_s = ENOUGH,
    };

    topic = strdup(json_string_value(json_object_get(q, "topic")));
    gossip = gossip_new(&config, clock_now(), &rng_system, &mem_libc, NULL);
    must(gossip_subscribe(gossip, span_str(topic), clock_now()));
    (void)peer_id_format(&self, text);
    (void)snprintf(address, sizeof(address), "/ip4/127.0.0.1/tcp/%u/p2p/%s",
                   port, text);
    answer(id, json_pack("{s:s, s:[s]}", "peer", text, "listen", address));
}

static void dial(json_int_t id, const json_t *q)
{
    const char *text = json_string_value(json_object_get(q, "address"));
    struct multiaddr addr;
    struct endpoint e;

    if (text == NULL || multiaddr_parse(&addr, span_str(text)) != OK ||
        !multiaddr_endpoint(&addr, &e) || peer_id_is_none(&e.peer))
        link_die("address");
    begin(link_connect(&e, 0), &e.peer, id);
}

static void burst(json_int_t id, const json_t *q)
{
    json_int_t first = json_integer_value(json_object_get(q, "first"));
    json_int_t count = json_integer_value(json_object_get(q, "count"));
    char text[PEER_ID_TEXT_MAX], data[DATA_MAX];

    (void)peer_id_format(&self, text);
    for (json_int_t i = first; i < first + count; i++) {
        (void)snprintf(data, sizeof(data), "%8" JSON_INTEGER_FORMAT " of %s", i,
                       text);
        must(gossip_publish(gossip, span_str(topic), span_str(data),
                            clock_now(), clock_wall(), NULL));
        pump();
    }
    answer(id, NULL);
}

static void subscribers(json_int_t id)
{
    json_t *mesh = json_array();
    char text[PEER_ID_TEXT_MAX];

    for (size_t i = 0; i < SIDES_MAX; i++)
        if (sides[i].link.fd >= 0 && sides[i].is_ready &&
            gossip_is_in_mesh(gossip, span_str(topic), &sides[i].peer))
            json_array_append_new(
                mesh, json_string(peer_id_format(&sides[i].peer, text)));
    answer(id, json_pack("{s:o}", "mesh", mesh));
}

static void do_line(const char *line, uint16_t port)
{
    json_t *q = json_loads(line, 0, NULL);
    const char *name = json_string_value(json_object_get(q, "do"));
    json_int_t id = json_integer_value(json_object_get(q, "id"));

    if (name != NULL && strcmp(name, "start") == 0) {
        start(id, q, port);
    } else if (name != NULL && strcmp(name, "dial") == 0) {
        dial(id, q);
    } else if (name != NULL && strcmp(name, "burst") == 0) {
        burst(id, q);
    } else if (name != NULL && strcmp(name, "subscribers") == 0) {
        subscribers(id);
    } else if (name != NULL && strcmp(name, "heard") == 0 &&
               listener_count < LISTENERS_MAX) {
        listeners[listener_count].id = id;
        listeners[listener_count++].count =
            (uint64_t)json_integer_value(json_object_get(q, "count"));
        tell_listeners();
    } else {
        fprintf(stderr, "gossip_peer: %s\n", line);
        exit(2);
    }
    json_decref(q);
}

/* False: stdin has ended. */
static bool take_lines(uint16_t port)
{
    static char lines[LINES_BYTES];
    static size_t have;
    ssize_t n = read(STDIN_FILENO, lines + have, sizeof(lines) - 1 - have);
    char *end_of;

    if (n <= 0)
        return false;
    have += (size_t)n;
    lines[have] = '\0';
    while ((end_of = strchr(lines, '\n')) != NULL) {
        size_t len = (size_t)(end_of - lines) + 1;

        *end_of = '\0';
        do_line(lines, port);
        have -= len;
        memmove(lines, lines + len, have + 1);
    }
    return true;
}

/* ---- The loop. ---- */

static int wait_for(struct pollfd *polls)
{
    tstamp next = gossip != NULL ? gossip_deadline(gossip) : TSTAMP_NEVER;

    for (size_t i = 0; i < SIDES_MAX; i++) {
        struct link *l = &sides[i].link;

        link_flush(l); /* a message for one side came from another */
        polls[i + 2] = (struct pollfd){.fd = l->fd, .events = link_wanted(l)};
        next = tstamp_min(next, link_deadline(l));
    }
    return poll(polls, SIDES_MAX + 2, link_wait_ms(next));
}

int main(void)
{
    struct pollfd polls[SIDES_MAX + 2];
    uint16_t port;
    int listener = link_listen(&port);

    ed25519_generate(&key, &rng_system);
    peer_id_from_ed25519(&self, key.pub);
    for (size_t i = 0; i < SIDES_MAX; i++)
        sides[i].link.fd = -1;
    polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    polls[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (;;) {
        if (wait_for(polls) < 0)
            link_die("poll");
        if (polls[0].revents != 0 && !take_lines(port))
            break;
        for (size_t i = 0; i < SIDES_MAX; i++) {
            if (polls[i + 2].fd < 0)
                continue;
            link_service(&sides[i].link, polls[i + 2].revents);
            if (sides[i].link.fd < 0)
                end(&sides[i]);
        }
        if (polls[1].revents & POLLIN)
            begin(accept4(listener, NULL, NULL, SOCK_CLOEXEC), NULL, 0);
        if (gossip != NULL) {
            gossip_tick(gossip, clock_now());
            pump();
        }
    }
    for (size_t i = 0; i < SIDES_MAX; i++)
        if (sides[i].link.fd >= 0)
            end(&sides[i]);
    if (gossip != NULL)
        gossip_free(gossip);
    free(topic);
    close(listener);
    return 0;
}
