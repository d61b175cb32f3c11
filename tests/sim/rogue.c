/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/rogue.h"

#include "gossip/state.h"
#include "support/test.h"

enum {
    MACHINES_MAX = 64,
    OFFERED = 10, /* ids of a PROMISER a heartbeat */
    FLOOD_ENTRIES = 1000,
    GRAFT_EVERY = 7, /* heartbeats: too seldom for a ban */
    RPC_MAX = 1 << 20,
};

static struct machine {
    struct gossip *g;
    struct peer_id id;
    enum rogue kind;
    struct peer_id victims[MACHINES_MAX];
    unsigned done[MACHINES_MAX];
    size_t victim_count;
} machines[MACHINES_MAX];
static size_t machine_count;
static unsigned answers[ROGUE_COUNT];
static uint8_t forged[RPC_MAX];

static const char *const names[ROGUE_COUNT] = {
    [ROGUE_NOT] = "honest",      [ROGUE_SILENT] = "silent",
    [ROGUE_FORGER] = "forger",   [ROGUE_PROMISER] = "promiser",
    [ROGUE_GRAFTER] = "grafter", [ROGUE_FLOODER] = "flooder",
    [ROGUE_LIAR] = "liar",
};

const char *rogue_name(enum rogue kind)
{
    return names[kind];
}

static struct machine *machine_by_id(const struct peer_id *id)
{
    size_t i = 0;

    while (i < machine_count && !peer_id_eq(&machines[i].id, id))
        i++;
    assert_true(i < MACHINES_MAX);
    if (i == machine_count)
        machines[machine_count++].id = *id;
    return &machines[i];
}

static struct machine *machine_of(const struct gossip *g)
{
    return machine_by_id(&g->config.self);
}

void rogue_forget_all(void)
{
    memset(machines, 0, sizeof(machines));
    memset(answers, 0, sizeof(answers));
    machine_count = 0;
}

void rogue_set(const struct peer_id *id, enum rogue kind)
{
    machine_by_id(id)->kind = kind;
}

struct gossip *rogue_gossip(const struct peer_id *id)
{
    return machine_by_id(id)->g;
}

static unsigned *done_to(struct machine *m, const struct peer_id *to)
{
    size_t i = 0;

    while (i < m->victim_count && !peer_id_eq(&m->victims[i], to))
        i++;
    assert_true(i < MACHINES_MAX);
    if (i == m->victim_count)
        m->victims[m->victim_count++] = *to;
    return &m->done[i];
}

unsigned rogue_done(const struct peer_id *id, const struct peer_id *to)
{
    return *done_to(machine_by_id(id), to);
}

unsigned rogue_answers(enum rogue kind)
{
    return answers[kind];
}

/* ---- What they send on their own. ---- */

static void say(struct machine *m, struct peer *p, Wire__GossipControl *c)
{
    Wire__GossipRpc rpc = WIRE__GOSSIP_RPC__INIT;
    struct blob *b;

    rpc.control = c;
    b = pack_rpc(m->g, &rpc);
    assert_non_null(b);
    send_blob(m->g, p, GOSSIP_SEND_CONTROL, b);
    blob_unref(b, m->g->mem);
    (*done_to(m, &p->id))++;
}

static void offer(struct machine *m, struct peer *p)
{
    Wire__GossipIHave ihave = WIRE__GOSSIP_IHAVE__INIT, *ihaves[] = {&ihave};
    Wire__GossipControl c = WIRE__GOSSIP_CONTROL__INIT;
    uint64_t numbers[OFFERED];
    ProtobufCBinaryData ids[OFFERED];

    for (size_t i = 0; i < OFFERED; i++) {
        numbers[i] = rng_u64(m->g->rng);
        ids[i] = wire_bytes(SPAN(&numbers[i], sizeof(numbers[i])));
    }
    ihave.has_topic = true;
    ihave.topic = wire_bytes(topic_name(m->g, 0));
    ihave.n_ids = OFFERED;
    ihave.ids = ids;
    c.n_ihave = 1;
    c.ihave = ihaves;
    say(m, p, &c);
}

static void graft_again(struct machine *m, struct peer *p)
{
    Wire__GossipPrune prune = WIRE__GOSSIP_PRUNE__INIT, *prunes[] = {&prune};
    Wire__GossipGraft graft = WIRE__GOSSIP_GRAFT__INIT, *grafts[] = {&graft};
    Wire__GossipControl stop = WIRE__GOSSIP_CONTROL__INIT, go = stop;

    prune.has_topic = graft.has_topic = true;
    prune.topic = graft.topic = wire_bytes(topic_name(m->g, 0));
    stop.n_prune = go.n_graft = 1;
    stop.prune = prunes;
    go.graft = grafts;
    say(m, p, &stop);
    say(m, p, &go);
}

static void flood(struct machine *m, struct peer *p)
{
    static Wire__GossipIWant iwant = WIRE__GOSSIP_IWANT__INIT;
    static Wire__GossipIWant *iwants[FLOOD_ENTRIES];
    Wire__GossipControl c = WIRE__GOSSIP_CONTROL__INIT;

    for (size_t i = 0; i < FLOOD_ENTRIES; i++)
        iwants[i] = &iwant;
    c.n_iwant = FLOOD_ENTRIES;
    c.iwant = iwants;
    say(m, p, &c);
}

static void act(struct machine *m)
{
    struct peer *p, *next;

    MAP_FOR_EACH(m->g->peers, p, next) {
        if (m->kind == ROGUE_PROMISER)
            offer(m, p);
        else if (m->kind == ROGUE_GRAFTER && m->g->beat % GRAFT_EVERY == 0)
            graft_again(m, p);
        else if (m->kind == ROGUE_FLOODER)
            flood(m, p);
    }
}

/* ---- What they do to what others say. ---- */

static void forge(struct gossip_event *ev)
{
    size_t head = (size_t)(ev->send.rpc.data - ev->send.frame.data);

    assert_true(ev->send.frame.len <= sizeof(forged));
    memcpy(forged, ev->send.frame.data, ev->send.frame.len);
    forged[ev->send.frame.len / 2] ^= 1; /* in the data: it is longest */
    ev->send.frame.data = forged;
    ev->send.rpc.data = forged + head;
}

/* False: it is not said at all. */
static bool pass(struct machine *m, struct gossip_event *ev)
{
    if (ev->type != GOSSIP_EV_SEND)
        return true;
    if (m->kind == ROGUE_NOT && ev->send.kind == GOSSIP_SEND_CONTROL)
        answers[machine_by_id(&ev->peer)->kind]++;
    if (m->kind == ROGUE_SILENT && ev->send.kind == GOSSIP_SEND_GOSSIP)
        return false;
    if (ev->send.kind != GOSSIP_SEND_FORWARDED ||
        (m->kind != ROGUE_SILENT && m->kind != ROGUE_FORGER))
        return true;
    (*done_to(m, &ev->peer))++;
    if (m->kind == ROGUE_SILENT)
        return false;
    forge(ev);
    return true;
}

/* ---- In the place of the machine's own. ---- */

struct gossip *__real_gossip_new(const struct gossip_config *config, tstamp now,
                                 const struct rng *rng, const struct mem *mem,
                                 const struct log *log);
struct gossip *__wrap_gossip_new(const struct gossip_config *config, tstamp now,
                                 const struct rng *rng, const struct mem *mem,
                                 const struct log *log);
void __real_gossip_tick(struct gossip *g, tstamp now);
void __wrap_gossip_tick(struct gossip *g, tstamp now);
bool __real_gossip_poll(struct gossip *g, struct gossip_event *ev);
bool __wrap_gossip_poll(struct gossip *g, struct gossip_event *ev);

enum err __real_gossip_set_record(struct gossip *g, const struct peer_id *peer,
                                  struct span record);
enum err __wrap_gossip_set_record(struct gossip *g, const struct peer_id *peer,
                                  struct span record);

struct gossip *__wrap_gossip_new(const struct gossip_config *config, tstamp now,
                                 const struct rng *rng, const struct mem *mem,
                                 const struct log *log)
{
    struct machine *m = machine_by_id(&config->self);

    m->g = __real_gossip_new(config, now, rng, mem, log);
    return m->g;
}

void __wrap_gossip_tick(struct gossip *g, tstamp now)
{
    uint64_t beat = g->beat;

    __real_gossip_tick(g, now);
    if (g->beat != beat)
        act(machine_of(g));
}

bool __wrap_gossip_poll(struct gossip *g, struct gossip_event *ev)
{
    while (__real_gossip_poll(g, ev))
        if (pass(machine_of(g), ev))
            return true;
    return false;
}

enum err __wrap_gossip_set_record(struct gossip *g, const struct peer_id *peer,
                                  struct span record)
{
    bool is_liar = machine_of(g)->kind == ROGUE_LIAR;

    return __real_gossip_set_record(g, peer,
                                    is_liar ? SPAN_LIT("no record") : record);
}
