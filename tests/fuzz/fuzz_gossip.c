/* SPDX-License-Identifier: Apache-2.0 */

/* Three peers talk: one byte says who and what becomes of messages, one how far
 * the clock goes, two how long the RPC is.  Whatever they say, what we send is
 * well formed and within its limits, and nothing grows beyond them. */
#include <math.h>
#include <stdlib.h>

#include "gossip/gossip.h"
#include "multi/uvarint.h"
#include "wire/gossip.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 3, PENDING_MAX = 8, SEEN_MAX = 64 };

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check_send(const struct gossip_event *ev)
{
    struct span frame = ev->send.frame, rpc;
    Wire__GossipRpc *msg;

    demand(span_uvarint_bytes(&frame, &rpc) && frame.len == 0);
    demand(span_eq(rpc, ev->send.rpc));
    demand(rpc.len > 0 && rpc.len <= GOSSIP_RPC_SENT_MAX);
    msg = wire__gossip_rpc__unpack(NULL, rpc.len, rpc.data);
    demand(msg != NULL);
    wire__gossip_rpc__free_unpacked(msg, NULL);
}

static void drain(struct gossip *g, unsigned verdict, tstamp now)
{
    struct gossip_event ev;

    while (gossip_poll(g, &ev)) {
        if (ev.type == GOSSIP_EV_SEND)
            check_send(&ev);
        if (ev.type == GOSSIP_EV_PX)
            demand(ev.px.peer.len > 0 && ev.px.record.len <= GOSSIP_RECORD_MAX);
        if (ev.type == GOSSIP_EV_MESSAGE && verdict < 4)
            demand(gossip_verdict(g, ev.message.token,
                                  (enum gossip_verdict)verdict, now) == OK);
    }
}

static void check_scores(const struct gossip *g)
{
    double scores[PEERS + 1];
    size_t n = gossip_scores(g, scores, PEERS + 1);

    demand(n == gossip_peer_count(g));
    for (size_t i = 0; i < n; i++)
        demand(isfinite(scores[i]) && scores[i] <= 25 + 20);
}

static void check_limits(const struct gossip *g)
{
    struct span topic = SPAN_LIT("/souk/packages/v1");

    demand(gossip_mesh_count(g, topic) <= gossip_subscriber_count(g, topic));
    demand(gossip_subscriber_count(g, topic) <= PEERS);
    check_scores(g);
    demand(gossip_pending_count(g) <= PENDING_MAX);
    demand(gossip_seen_count(g) <= SEEN_MAX);
    demand(gossip_left_count(g) == 0);
}

static void converse(struct gossip *g, const struct peer_id *peers,
                     struct span in, tstamp now)
{
    uint8_t who, step;
    uint16_t len;

    while (span_u8(&in, &who) && span_u8(&in, &step) && span_u16(&in, &len)) {
        struct span rpc = span_take(&in, len);
        enum err err;

        now += step * 50 * MILLISECONDS;
        gossip_tick(g, now);
        err = gossip_on_rpc(g, &peers[who % PEERS], rpc, now, 1);
        demand(err == OK || err == ERR_PROTO || err == ERR_LIMIT ||
               err == ERR_NOMEM);
        drain(g, who >> 4 & 7, now);
        check_limits(g);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const topics[] = {"/souk/packages/v1", "other"};
    struct gossip_config config = {
        .topics = topics,
        .topic_count = 2,
        .pending_max = PENDING_MAX,
        .seen_max = SEEN_MAX,
        .peer_messages_per_s = 20,
        .peer_control_per_s = 20,
    };
    struct ed25519_keypair keys[PEERS + 1];
    struct peer_id peers[PEERS];
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 1);
    struct gossip *g;

    for (uint8_t i = 0; i <= PEERS; i++) {
        uint8_t bytes[ED25519_SEED_LEN] = {i};

        ed25519_from_seed(&keys[i], bytes);
        if (i < PEERS)
            peer_id_from_ed25519(&peers[i], keys[i].pub);
    }
    peer_id_from_ed25519(&config.self, keys[PEERS].pub);
    config.identity = &keys[PEERS];
    g = gossip_new(&config, SECONDS, &rng, &mem_libc, NULL);
    demand(gossip_subscribe(g, span_str(topics[0]), SECONDS) == OK);
    for (unsigned i = 0; i < PEERS; i++) {
        demand(gossip_peer_connected(g, &peers[i], GOSSIP_V12, i == 0, i,
                                     SECONDS) == OK);
        demand(gossip_set_record(g, &peers[i], SPAN_LIT("record")) == OK);
        gossip_set_app_score(g, &peers[i], 20); /* believed in a PRUNE */
    }
    converse(g, peers, SPAN(data, size), SECONDS);
    gossip_peer_gone(g, &peers[0], 1 * HOURS);
    gossip_tick(g, 1 * HOURS);
    drain(g, 0, 1 * HOURS);
    gossip_free(g);
    return 0;
}
