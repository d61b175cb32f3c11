/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that take all they can get, on souk's own connection code and blocking
 * sockets.
 *
 *      rude_peer ADDR PLAN CONNS COUNT SIZE
 *
 * opens CONNS connections to ADDR, each with an identity of its own, does on
 * each what PLAN says, and holds on to it until stdin ends:
 *
 *      hold     nothing
 *      streams  COUNT streams of the DHT, empty
 *      partial  COUNT of them with SIZE bytes of a message that never ends
 *      long     COUNT of them with a message of SIZE bytes announced
 *      provide  COUNT keys, by ADD_PROVIDER on one stream
 *      search   COUNT searches, a stream each
 *      gossip   COUNT times the same message, on one stream
 *      deaf     COUNT pings' streams with SIZE bytes, and no read any more
 *
 * What has become of it is a line of JSON whenever it changes. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "crypto/ed25519.h"
#include "host/system.h"
#include "multi/peer_id.h"
#include "multi/uvarint.h"
#include "support/link.h"
#include "tbl/network.h"

enum {
    CONNS_MAX = 512,
    PART = 16 * 1024,
    SMALL_BUFFER = 4096, /* so that who is deaf soon holds the other up */
};

enum plan_type { HOLD, STREAMS, PARTIAL, LONG, PROVIDE, SEARCH, GOSSIP, DEAF };
static const struct plan {
    const char *name;
    const char *protocol;
} plans[] = {
    [HOLD] = {"hold", "/souk/kad/1.0.0"},
    [STREAMS] = {"streams", "/souk/kad/1.0.0"},
    [PARTIAL] = {"partial", "/souk/kad/1.0.0"},
    [LONG] = {"long", "/souk/kad/1.0.0"},
    [PROVIDE] = {"provide", "/souk/kad/1.0.0"},
    [SEARCH] = {"search", "/souk/search/1.0.0"},
    [GOSSIP] = {"gossip", "/meshsub/1.1.0"},
    [DEAF] = {"deaf", "/ipfs/ping/1.0.0"},
};

struct stream {
    uint32_t id;
    size_t sent, size;
    bool is_over;
};

struct side { /* our end of a connection */
    struct link link;
    struct ed25519_keypair key;
    struct peer_id self;
    struct buf message; /* of gossip */
    struct stream *streams;
    size_t opened;
    bool is_up;
};

static enum plan_type plan;
static size_t count, size;
static struct side sides[CONNS_MAX];
static size_t side_count;
static struct {
    size_t up, closed, ready, reset, ended, sent;
} now_is, told;

static void tell(void)
{
    if (memcmp(&now_is, &told, sizeof(told)) == 0)
        return;
    told = now_is;
    printf("{\"up\":%zu,\"closed\":%zu,\"ready\":%zu,\"reset\":%zu,"
           "\"ended\":%zu,\"sent\":%zu}\n",
           told.up, told.closed, told.ready, told.reset, told.ended, told.sent);
    fflush(stdout);
}

/* ---- What is said. ---- */

static void must(enum err err)
{
    if (err != OK)
        abort();
}

/* ADD_PROVIDER of a random key, with its length in front. */
static void put_provider(struct buf *out, const struct side *d)
{
    struct span self = peer_id_span(&d->self);
    struct multiaddr addr;
    uint8_t key[34] = {0x12, 0x20};
    struct buf peer, body;

    rng_system.fill(NULL, key + 2, 32);
    must(multiaddr_parse(&addr, SPAN_LIT("/ip4/127.0.0.1/tcp/1")));
    buf_init(&peer, 1024, &mem_libc);
    buf_init(&body, 1024, &mem_libc);
    must(buf_put_u8(&peer, 0x0a)); /* id */
    must(buf_put_u8(&peer, (uint8_t)self.len));
    must(buf_put(&peer, self));
    must(buf_put_u8(&peer, 0x12)); /* addrs */
    must(buf_put_u8(&peer, (uint8_t)addr.len));
    must(buf_put(&peer, multiaddr_span(&addr)));
    must(buf_put(&body, SPAN_LIT("\x08\x02\x12\x22"))); /* type, key */
    must(buf_put(&body, SPAN_OF(key)));
    must(buf_put_u8(&body, 0x4a)); /* provider_peers */
    must(buf_put_u8(&body, (uint8_t)buf_len(&peer)));
    must(buf_put(&body, buf_span(&peer)));
    must(buf_put_u8(out, (uint8_t)buf_len(&body)));
    must(buf_put(out, buf_span(&body)));
    buf_release(&peer);
    buf_release(&body);
}

static void put_field(struct buf *out, uint8_t tag, struct span value)
{
    must(buf_put_u8(out, tag));
    must(uvarint_put(out, value.len));
    must(buf_put(out, value));
}

/* An RPC with a message, which is signed but no package. */
static void put_message(struct buf *out, const struct side *d)
{
    static const char prefix[] = "libp2p-pubsub:";
    uint8_t signature[ED25519_SIG_LEN];
    struct buf body, rpc;
    struct span fields;

    buf_init(&body, 1024, &mem_libc);
    buf_init(&rpc, 1024, &mem_libc);
    must(buf_put(&body, span_str(prefix)));
    put_field(&body, 0x0a, peer_id_span(&d->self)); /* from */
    put_field(&body, 0x12, peer_id_span(&d->self)); /* data: like nobody's */
    put_field(&body, 0x1a, SPAN_LIT("12345678"));   /* seqno */
    put_field(&body, 0x22, span_str(network_find("souk")->topic));
    ed25519_sign(&d->key, buf_span(&body), signature);
    put_field(&body, 0x2a, SPAN_OF(signature));
    fields = buf_span(&body);
    (void)span_take(&fields, sizeof(prefix) - 1);
    put_field(&rpc, 0x12, fields); /* publish */
    must(uvarint_put(out, buf_len(&rpc)));
    must(buf_put(out, buf_span(&rpc)));
    buf_release(&rpc);
    buf_release(&body);
}

/* The first bytes of a stream. */
static void put_first(struct buf *out, const struct side *d)
{
    static const char query[] = "\x0c\x0a\x05thing\x18\x05\x20\xe8\x07";

    switch (plan) {
    case HOLD:
    case STREAMS:
    case GOSSIP:
    case DEAF:
        break;
    case PARTIAL:
        must(uvarint_put(out, size + 1));
        break;
    case LONG:
        must(uvarint_put(out, size));
        break;
    case PROVIDE:
        for (size_t i = 0; i < count; i++)
            put_provider(out, d);
        break;
    case SEARCH:
        must(buf_put(out, SPAN(query, sizeof(query) - 1)));
        break;
    }
}

static bool open_one(struct side *d)
{
    struct stream *s = &d->streams[d->opened];
    struct buf first;

    if (conn_stream_open(d->link.conn, &plans[plan].protocol, 1, clock_now(),
                         &s->id) != OK)
        return false; /* not before the others are taken */
    d->opened++;
    conn_stream_set_user(d->link.conn, s->id, s);
    buf_init(&first, 1 << 20, &mem_libc);
    put_first(&first, d);
    if (buf_len(&first) > 0)
        must(conn_stream_write(d->link.conn, s->id, buf_span(&first)));
    s->size = plan == PARTIAL || plan == DEAF ? size
              : plan == GOSSIP                ? count * buf_len(&d->message)
                                              : 0;
    now_is.sent += buf_len(&first);
    buf_release(&first);
    if (plan == SEARCH)
        conn_stream_finish(d->link.conn, s->id);
    return true;
}

static void go_on(struct side *d)
{
    static const uint8_t zeros[PART];
    struct span part = plan == GOSSIP ? buf_span(&d->message) : SPAN_OF(zeros);
    size_t wanted = plan == HOLD                        ? 0
                    : plan == PROVIDE || plan == GOSSIP ? 1
                                                        : count;

    if (!d->is_up || d->link.fd < 0)
        return;
    while (d->opened < wanted && open_one(d))
        continue;
    for (size_t i = 0; i < d->opened; i++) {
        struct stream *s = &d->streams[i];

        while (!s->is_over && s->sent < s->size) {
            size_t at = s->sent % part.len, n = part.len - at;

            if (n > s->size - s->sent)
                n = s->size - s->sent;
            if (conn_stream_write(d->link.conn, s->id,
                                  SPAN(part.data + at, n)) != OK)
                break;
            s->sent += n;
            now_is.sent += n;
        }
    }
    d->link.is_deaf = plan == DEAF && d->opened == wanted;
}

/* ---- Connections. ---- */

static void on_event(void *owner, const struct conn_event *ev)
{
    struct side *d = owner;
    struct stream *s = ev->user;

    switch (ev->type) {
    case CONN_EV_UPGRADED:
        d->is_up = true;
        now_is.up++;
        break;
    case CONN_EV_STREAM_READY:
        now_is.ready++;
        break;
    case CONN_EV_STREAM_DATA:
        conn_stream_consumed(d->link.conn, ev->stream, ev->data.len,
                             clock_now());
        break;
    case CONN_EV_STREAM_RESET:
    case CONN_EV_STREAM_ENDED:
        now_is.reset += ev->type == CONN_EV_STREAM_RESET;
        now_is.ended += ev->type == CONN_EV_STREAM_ENDED;
        if (s != NULL)
            s->is_over = true;
        break;
    case CONN_EV_CLOSED:
        now_is.closed++;
        now_is.up -= d->is_up;
        break;
    case CONN_EV_NONE:
    case CONN_EV_STREAM_INBOUND:
    case CONN_EV_STREAM_FIN:
    case CONN_EV_STREAM_WRITABLE:
    case CONN_EV_GO_AWAY:
        break;
    }
}

static void service(struct side *d, short revents)
{
    link_service(&d->link, revents);
    go_on(d);
    link_flush(&d->link);
}

static void begin(struct side *d, const struct endpoint *e)
{
    struct conn_config config = {
        .is_dialer = true,
        .identity = &d->key,
        .expected = peer_id_is_none(&e->peer) ? NULL : &e->peer,
        .limits = {.streams_out_max = 4096,
                   .unsent_max = 256 << 20,
                   .pong_within = HOURS},
    };

    ed25519_generate(&d->key, &rng_system);
    peer_id_from_ed25519(&d->self, d->key.pub);
    buf_init(&d->message, 1024, &mem_libc);
    if (plan == GOSSIP)
        put_message(&d->message, d);
    d->streams = calloc(count + 1, sizeof(*d->streams));
    if (d->streams == NULL)
        link_die("memory");
    link_start(&d->link, link_connect(e, plan == DEAF ? SMALL_BUFFER : 0),
               &config, on_event, d);
    link_flush(&d->link);
}

/* ---- The loop. ---- */

static void run(void)
{
    struct pollfd polls[CONNS_MAX + 1];

    for (;;) {
        tstamp next = TSTAMP_NEVER;

        polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        for (size_t i = 0; i < side_count; i++) {
            struct link *l = &sides[i].link;

            polls[i + 1] =
                (struct pollfd){.fd = l->fd, .events = link_wanted(l)};
            next = tstamp_min(next, link_deadline(l));
        }
        tell();
        if (poll(polls, side_count + 1, link_wait_ms(next)) < 0)
            link_die("poll");
        if (polls[0].revents != 0)
            return;
        for (size_t i = 0; i < side_count; i++)
            service(&sides[i], polls[i + 1].revents);
    }
}

int main(int argc, char **argv)
{
    const size_t plan_count = sizeof(plans) / sizeof(plans[0]);
    struct multiaddr addr;
    struct endpoint e;
    size_t p = 0;

    while (argc == 6 && p < plan_count && strcmp(plans[p].name, argv[2]) != 0)
        p++;
    if (argc != 6 || p == plan_count ||
        multiaddr_parse(&addr, span_str(argv[1])) != OK ||
        !multiaddr_endpoint(&addr, &e) || e.kind != ENDPOINT_IP4) {
        fprintf(stderr, "usage: rude_peer ADDR PLAN CONNS COUNT SIZE\n");
        return 2;
    }
    plan = (enum plan_type)p;
    side_count = strtoul(argv[3], NULL, 10);
    count = strtoul(argv[4], NULL, 10);
    size = strtoul(argv[5], NULL, 10);
    if (side_count > CONNS_MAX)
        return 2;
    for (size_t i = 0; i < side_count; i++)
        begin(&sides[i], &e);
    run();
    for (size_t i = 0; i < side_count; i++) {
        link_stop(&sides[i].link);
        free(sides[i].streams);
        buf_release(&sides[i].message);
    }
    return 0;
}
