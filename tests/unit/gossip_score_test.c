/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "gossip_fixture.h"

#define NEAR 1e-9
#define assert_near(want, got)                                 \
    do {                                                       \
        double want_ = (want), got_ = (got);                   \
        if (!(fabs(want_ - got_) <= NEAR * (1 + fabs(want_)))) \
            fail_msg("want %.12f, got %.12f", want_, got_);    \
    } while (0)

/* ---- Arithmetic. ---- */

static void a_score_is_not_what_it_is_by_hand(void **state)
{
    static const struct {
        const char *why;
        double score;
        struct topic_score topic;
        struct score_self self;
    } rows[] = {
        {"nothing is nothing", 0, {.first = 0}, {.app = 0}},
        {"P1: 4 whole quanta of 12 s", 0.8, {.time = 59 * SECONDS}, {.app = 0}},
        {"P1: 25 quanta", 5, {.time = 300 * SECONDS}, {.app = 0}},
        {"P1: capped", 5, {.time = 1 * HOURS}, {.app = 0}},
        {"P2: half a point each", 3.5, {.first = 7}, {.app = 0}},
        {"the cap: 20 + 5", 25, {.first = 40, .time = 1 * HOURS}, {.app = 0}},
        {"the cap: 24 + 5", 25, {.first = 48, .time = 1 * HOURS}, {.app = 0}},
        {"P3: 0.19 · 3²", -1.71, {.lack = 3}, {.app = 0}},
        {"P3: 0.19 · 10²", -19, {.lack = 10}, {.app = 0}},
        {"P3b: squared already", -19, {.failure = 100}, {.app = 0}},
        {"P4: 5 · 2²", -20, {.invalid = 2}, {.app = 0}},
        {"P4: 5 · 4²", -80, {.invalid = 4}, {.app = 0}},
        {"P5", 13, {.first = 0}, {.app = 13}},
        {"P5: bad", -90, {.first = 0}, {.app = -90}},
        {"P6: five are free", 0, {.first = 0}, {.ip_peers = 5}},
        {"P6: 5 · 1²", -5, {.first = 0}, {.ip_peers = 6}},
        {"P6: 5 · 3²", -45, {.first = 0}, {.ip_peers = 8}},
        {"P7: six are free", 0, {.first = 0}, {.behaviour = 6}},
        {"P7: 10 · 0.5²", -2.5, {.first = 0}, {.behaviour = 6.5}},
        {"P7: 10 · 3²", -90, {.first = 0}, {.behaviour = 9}},
        {"all: 1 + 10 - 0.76 - 0.95 - 5 + 10 - 20 - 40",
         -45.71,
         {.time = 60 * SECONDS,
          .first = 20,
          .lack = 2,
          .failure = 5,
          .invalid = 1},
         {.app = 10, .ip_peers = 7, .behaviour = 8}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct score_terms terms;

        score_weigh(&score_defaults, &rows[i].self, &rows[i].topic, 1, &terms);
        if (fabs(score_sum(&terms) - rows[i].score) > NEAR)
            fail_msg("%s: %.6f, not %.6f", rows[i].why, score_sum(&terms),
                     rows[i].score);
    }
}

static void topics_together_are_above_their_cap(void **state)
{
    struct topic_score topics[2] = {{.first = 40}, {.first = 40, .invalid = 1}};
    struct score_self self = {.app = 3};
    struct score_terms t;

    (void)state;
    /* 20 + 20 - 5 is more than 25; what the owner thinks is not capped. */
    score_weigh(&score_defaults, &self, topics, 2, &t);
    assert_near(28, score_sum(&t));
    assert_near(-10, t.above_cap);
    /* What is bad is not capped either. */
    topics[1].invalid = 10;
    score_weigh(&score_defaults, &self, topics, 2, &t);
    assert_near(20 + 20 - 500 + 3, score_sum(&t));
}

static void counters_do_not_halve(void **state)
{
    (void)state;
    assert_near(8, score_halved(8, 0, 60 * SECONDS, 0.01));
    assert_near(4, score_halved(8, 60 * SECONDS, 60 * SECONDS, 0.01));
    assert_near(2, score_halved(8, 120 * SECONDS, 60 * SECONDS, 0.01));
    assert_near(8 / sqrt(2), score_halved(8, 30 * SECONDS, MINUTES, 0.01));
    /* In one step as in many. */
    assert_near(score_halved(100, 90 * SECONDS, MINUTES, 0),
                score_halved(score_halved(100, 70 * SECONDS, MINUTES, 0),
                             20 * SECONDS, MINUTES, 0));
    assert_near(0.0101, score_halved(0.0202, MINUTES, MINUTES, 0.01));
    assert_near(0, score_halved(0.0198, MINUTES, MINUTES, 0.01));
}

/* ---- The counters against a list of all that happened. ---- */

enum happened { FIRST, COPY, INVALID, SHARE, KINDS };
struct twin {
    tstamp at[KINDS][4096];
    size_t count[KINDS];
    size_t since[KINDS]; /* those before are of no account */
    double failure[64];
    tstamp failed_at[64];
    size_t failures;
};

static double left_of(double value, tstamp at, tstamp now, duration halves)
{
    return value * pow(0.5, (double)(now - at) / (double)halves);
}

static double twin_sum(const struct twin *w, enum happened kind, tstamp now,
                       duration halves)
{
    double sum = 0;

    for (size_t i = w->since[kind]; i < w->count[kind]; i++)
        sum += left_of(1, w->at[kind][i], now, halves);
    return sum;
}

static double twin_failure(const struct twin *w, tstamp now, duration halves)
{
    double sum = 0;

    for (size_t i = 0; i < w->failures; i++)
        sum += left_of(w->failure[i], w->failed_at[i], now, halves);
    return sum;
}

static void note(struct twin *w, enum happened kind, tstamp now)
{
    assert_true(w->count[kind] < 4096);
    w->at[kind][w->count[kind]++] = now;
}

static void counters_agree_with_a_list_of_all(void **state)
{
    static struct twin w;
    struct score_params p = score_defaults;
    struct topic_score t = {0};
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 5);
    tstamp now = 5000 * SECONDS, grafted = 0;
    double share = 0, lack;
    unsigned lacked = 0;

    (void)state;
    p.first_cap = p.mesh_cap = p.failure_max = 1e9;
    p.zero = 0;
    for (int step = 0; step < 4000; step++) {
        duration passed = (1 + rng_below(&rng, 1500)) * MILLISECONDS;

        /* All happens at beats: in between nothing decays. */
        now += passed;
        share = score_halved(share, passed, p.mesh_halves, 0);
        score_beat(&p, &t, share, passed, now);
        lack = 0;
        if (t.is_in_mesh && now - grafted >= p.mesh_activation) {
            lack = 0.25 * twin_sum(&w, SHARE, now, p.mesh_halves) / 6;
            lack = fmax(0, fmin(10, lack) -
                               twin_sum(&w, COPY, now, p.mesh_halves));
        }
        lacked += lack > 0;
        assert_near(lack, t.lack);
        assert_near(twin_sum(&w, FIRST, now, p.first_halves), t.first);
        assert_near(twin_sum(&w, INVALID, now, p.invalid_halves), t.invalid);
        assert_near(twin_failure(&w, now, p.failure_halves), t.failure);

        switch (rng_below(&rng, 12)) {
        case 0:
            if (step % 7 != 0)
                break;
            score_invalid(&t);
            note(&w, INVALID, now);
            break;
        case 1:
            if (step % 5 != 0)
                break;
            score_first(&p, &t);
            note(&w, FIRST, now);
            if (t.is_in_mesh)
                note(&w, COPY, now);
            break;
        case 2:
            if (t.is_in_mesh || step % 3 != 0)
                break;
            score_grafted(&t, share, now);
            grafted = now;
            w.since[SHARE] = w.count[SHARE];
            w.since[COPY] = w.count[COPY];
            break;
        case 3:
            if (!t.is_in_mesh || step % 9 != 0 || w.failures == 64)
                break;
            w.failure[w.failures] = lack * lack;
            w.failed_at[w.failures++] = now;
            score_pruned(&p, &t);
            break;
        default:
            share += 1.0 / 6;
            note(&w, SHARE, now);
            break;
        }
    }
    assert_true(lacked > 100);
    assert_true(w.failures > 5);
}

static void silence_counts_before_its_time(void **state)
{
    struct topic_score t = {0};
    double share = 1000; /* from before: of no account */
    tstamp now = 100 * SECONDS;

    (void)state;
    score_grafted(&t, share, now);
    share += 40; /* each mesh peer brought 40 copies, this one none */
    score_beat(&score_defaults, &t, share, 0, now + 20 * SECONDS - 1);
    assert_false(t.is_active);
    assert_near(0, t.lack);
    score_beat(&score_defaults, &t, share, 0, now + 20 * SECONDS);
    assert_true(t.is_active);
    assert_near(10, t.lack); /* a quarter of 40 */
    for (int i = 0; i < 7; i++)
        score_copy(&score_defaults, &t);
    score_beat(&score_defaults, &t, share, 0, now + 21 * SECONDS);
    assert_near(3, t.lack);
    /* More than ten are never lacking. */
    score_beat(&score_defaults, &t, share + 1e6, 0, now + 21 * SECONDS);
    assert_near(3, t.lack);
    for (int i = 0; i < 3; i++)
        score_copy(&score_defaults, &t);
    score_beat(&score_defaults, &t, share + 1e6, 0, now + 21 * SECONDS);
    assert_near(0, t.lack);
}

static void what_was_withheld_grows_without_bounds(void **state)
{
    struct topic_score t = {0};

    (void)state;
    for (int i = 0; i < 10; i++) {
        score_grafted(&t, 0, 0);
        score_beat(&score_defaults, &t, 1000, 0, 1 * HOURS);
        score_pruned(&score_defaults, &t);
        assert_near(100, t.failure);
        assert_false(t.is_in_mesh);
        score_pruned(&score_defaults, &t); /* once only */
    }
}

/* ---- In the machine. ---- */

static void init(struct fixture *f, size_t peers)
{
    fixture_init(f, (struct gossip_config){0});
    assert_ok(gossip_subscribe(f->g, SPAN_LIT(TOPIC), f->now));
    connect_subscribed(f, 0, peers);
    for (size_t i = 0; i < peers; i++)
        assert_ok(say_graft(f, &f->peers[i], TOPIC));
    drain(f);
}

/* A message of somebody else comes from |from|. */
static void bring(struct fixture *f, const struct who *from, const char *text)
{
    assert_ok(say_text(f, from, &f->peers[PEERS - 1], text, 1));
}

static void judge(struct fixture *f, enum gossip_verdict verdict)
{
    drain(f);
    assert_int_equal(1, message_count(f));
    assert_ok(gossip_verdict(f->g, f->token, verdict, f->now));
}

static struct topic_score *topic_of(struct fixture *f, size_t i)
{
    return &gossip_peer_find(f->g, &f->peers[i].id)->standing->topics[0];
}

static void copies_are_counted_wrongly(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 5);
    assert_int_equal(5, gossip_mesh_count(f.g, SPAN_LIT(TOPIC)));
    bring(&f, &f.peers[0], "a");
    bring(&f, &f.peers[1], "a"); /* while it is judged */
    bring(&f, &f.peers[0], "a"); /* again: no delivery */
    judge(&f, GOSSIP_ACCEPT);
    bring(&f, &f.peers[1], "a");
    f.now += 2 * SECONDS;
    bring(&f, &f.peers[2], "a"); /* just in time */
    bring(&f, &f.peers[2], "a");
    f.now += 1;
    bring(&f, &f.peers[3], "a"); /* too late */
    assert_near(1, topic_of(&f, 0)->first);
    assert_near(1, topic_of(&f, 0)->mesh);
    for (size_t i = 1; i < 5; i++) {
        assert_near(0, topic_of(&f, i)->first);
        assert_near(i < 3, topic_of(&f, i)->mesh);
    }
    assert_near(2.0 / 5, f.g->topics[0].share);
    /* Who is not in the mesh is first, and no more. */
    assert_ok(say_prune(&f, &f.peers[4], TOPIC, 60));
    bring(&f, &f.peers[4], "b");
    judge(&f, GOSSIP_ACCEPT);
    assert_near(1, topic_of(&f, 4)->first);
    assert_near(0, topic_of(&f, 4)->mesh);
    /* What is ignored, or left unjudged, is nobody's merit or fault. */
    bring(&f, &f.peers[3], "c");
    judge(&f, GOSSIP_IGNORE);
    bring(&f, &f.peers[3], "d");
    judge(&f, GOSSIP_UNJUDGED);
    assert_near(0, score(&f, &f.peers[3]));
    fixture_release(&f);
}

/* Five messages a second, brought by the first |bringers| of the mesh. */
static void traffic(struct fixture *f, unsigned seconds, size_t bringers)
{
    static unsigned number;
    char text[16];

    for (unsigned k = 0; k < 5 * seconds; k++) {
        snprintf(text, sizeof(text), "t%u", number++);
        for (size_t i = 0; i < bringers; i++)
            bring(f, &f->peers[(k + i) % bringers], text);
        judge(f, GOSSIP_ACCEPT);
        f->now += 200 * MILLISECONDS;
        if (f->now >= gossip_deadline(f->g)) {
            gossip_tick(f->g, f->now);
        }
    }
}

static void who_is_silent_in_the_mesh_stays_there(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 6);
    gossip_set_app_score(f.g, &f.peers[5].id, 10);
    traffic(&f, 19, 5);
    assert_true(score(&f, &f.peers[5]) > 0); /* too early to tell */
    traffic(&f, 21, 5);
    assert_in_range(-score(&f, &f.peers[5]) * 10, 1, 100);
    assert_false(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[5].id));
    for (size_t i = 0; i < 5; i++) {
        assert_true(score(&f, &f.peers[i]) > 10);
        assert_true(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id));
    }
    /* It is taken back when that is forgiven, not before. */
    assert_ok(say_graft(&f, &f.peers[5], TOPIC));
    assert_false(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[5].id));
    traffic(&f, 200, 5);
    assert_true(score(&f, &f.peers[5]) > 0);
    assert_ok(say_graft(&f, &f.peers[5], TOPIC));
    assert_true(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[5].id));
    fixture_release(&f);
}

static void withheld_is_not_told_of(void **state)
{
    static struct fixture f;
    unsigned told = 0;

    (void)state;
    init(&f, 6);
    for (int i = 0; i < 60; i++) {
        traffic(&f, 1, 5);
        drain(&f);
        told += outcome_count(&f, &f.peers[5], GOSSIP_WITHHELD);
        assert_int_equal(outcome_count(&f, NULL, GOSSIP_WITHHELD),
                         outcome_count(&f, &f.peers[5], GOSSIP_WITHHELD));
    }
    assert_int_equal(0, told); /* traffic() drained it */
    assert_int_equal(1, gossip_stats(f.g)->outcomes[GOSSIP_WITHHELD]);
    fixture_release(&f);
}

/* A star: one publishes, the others have only us to hear it from. */
static void leaves_are_blamed_for_their_silence(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 8);
    traffic(&f, 120, 1);
    for (size_t i = 0; i < 8; i++) {
        assert_true(score(&f, &f.peers[i]) >= 0);
        assert_true(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[i].id));
    }
    fixture_release(&f);
}

static void rubbish_costs_its_senders_nothing(void **state)
{
    static struct fixture f;
    uint8_t seqno[8], signature[64];
    Wire__GossipMessage m;

    (void)state;
    init(&f, 3);
    bring(&f, &f.peers[0], "bad");
    bring(&f, &f.peers[1], "bad");
    judge(&f, GOSSIP_REJECT);
    assert_near(-5, score(&f, &f.peers[0]));
    assert_near(-5, score(&f, &f.peers[1]));
    assert_near(0, score(&f, &f.peers[2]));
    /* Signed by nobody, signed wrongly; its own as well. */
    m = make_message(&f.peers[9], TOPIC, SPAN_LIT("x"), seqno, 1, signature);
    signature[3] ^= 1;
    assert_ok(say_message(&f, &f.peers[0], &m));
    assert_near(-20, score(&f, &f.peers[0]));
    m = make_message(&f.peers[0], TOPIC, SPAN_LIT("y"), seqno, 1, signature);
    m.has_signature = false;
    m.signature.len = 0;
    assert_ok(say_message(&f, &f.peers[0], &m));
    assert_near(-45, score(&f, &f.peers[0]));
    heartbeat(&f);
    assert_false(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[0].id));
    /* Half is forgiven in five minutes: 5 · 1.5². */
    f.now += 5 * MINUTES - 100 * MILLISECONDS;
    gossip_tick(f.g, f.now);
    assert_near(-11.25, score(&f, &f.peers[0]));
    fixture_release(&f);
}

static void broken_promises_cost_nothing(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 2);
    for (uint64_t i = 0; i < 9; i++) {
        ProtobufCBinaryData id = wire_bytes(SPAN((uint8_t *)&i, sizeof(i)));

        assert_ok(say_ids(&f, &f.peers[0], true, &id, 1));
    }
    f.now += 3 * SECONDS - 1;
    gossip_tick(f.g, f.now);
    assert_near(
        0, gossip_peer_find(f.g, &f.peers[0].id)->standing->self.behaviour);
    f.now = gossip_deadline(f.g);
    gossip_tick(f.g, f.now);
    assert_true(score(&f, &f.peers[0]) < -80); /* (9 - 6)² · 10 */
    assert_near(0, score(&f, &f.peers[1]));
    fixture_release(&f);
}

static void grafts_in_backoff_cost_nothing(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 2);
    assert_ok(say_prune(&f, &f.peers[0], TOPIC, 60));
    for (int i = 1; i <= 4; i++) {
        assert_ok(say_graft(&f, &f.peers[0], TOPIC));
        assert_near(i < 4 ? 0 : -40, score(&f, &f.peers[0]));
    }
    /* Once the first ten seconds are over, one each. */
    f.now += 10 * SECONDS;
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    assert_near(-90, score(&f, &f.peers[0]));
    fixture_release(&f);
}

static void connect_from(struct fixture *f, size_t i, uint64_t ip)
{
    assert_ok(gossip_peer_connected(f->g, &f->peers[i].id, GOSSIP_V11, false,
                                    ip, f->now));
}

static void many_of_one_address_are_as_good_as_others(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){0});
    for (size_t i = 0; i < 8; i++) {
        connect_from(&f, i, 77);
        connect_from(&f, 10 + i, 0); /* loopback, private */
    }
    connect_from(&f, 20, 78);
    for (size_t i = 0; i < 8; i++) {
        assert_near(-45, score(&f, &f.peers[i]));
        assert_near(0, score(&f, &f.peers[10 + i]));
    }
    assert_near(0, score(&f, &f.peers[20]));
    /* Who leaves still counts: a turn of many is no way around it … */
    gossip_peer_gone(f.g, &f.peers[0].id, f.now);
    assert_near(-45, score(&f, &f.peers[1]));
    /* … unless it comes from elsewhere. */
    connect_from(&f, 0, 79);
    assert_near(-20, score(&f, &f.peers[1]));
    assert_near(0, score(&f, &f.peers[0]));
    fixture_release(&f);
}

static void leaving_mends_a_bad_score(void **state)
{
    static struct fixture f;
    struct gossip_score s;

    (void)state;
    init(&f, 3);
    for (int i = 0; i < 2; i++) {
        bring(&f, &f.peers[0], i ? "bad" : "worse");
        judge(&f, GOSSIP_REJECT);
    }
    bring(&f, &f.peers[1], "good");
    judge(&f, GOSSIP_ACCEPT);
    assert_near(-20, score(&f, &f.peers[0]));
    assert_near(0.5, score(&f, &f.peers[1]));
    for (size_t i = 0; i < 3; i++)
        gossip_peer_gone(f.g, &f.peers[i].id, f.now);
    assert_true(gossip_peer_score(f.g, &f.peers[0].id, &s));
    assert_false(s.is_connected);
    assert_false(gossip_peer_score(f.g, &f.peers[1].id, &s)); /* not kept */
    assert_int_equal(2, gossip_left_count(f.g));

    f.now += 1 * HOURS - 1;
    gossip_tick(f.g, f.now);
    connect_as(&f, &f.peers[0], GOSSIP_V11, false);
    assert_near(-20, score(&f, &f.peers[0])); /* as it was */
    assert_int_equal(1, gossip_left_count(f.g));
    f.now += 1 * SECONDS;
    gossip_tick(f.g, f.now);
    assert_int_equal(0, gossip_left_count(f.g));
    assert_false(gossip_peer_score(f.g, &f.peers[2].id, &s));
    assert_true(score(&f, &f.peers[0]) > -20); /* here, it is forgiven */
    fixture_release(&f);
}

static void bad_scores_of_those_who_left_have_no_limit(void **state)
{
    static struct fixture f;
    struct gossip_score s;

    (void)state;
    fixture_init(&f, (struct gossip_config){.peers_max = 2});
    for (size_t i = 0; i < 20; i++) {
        connect_as(&f, &f.peers[i], GOSSIP_V11, false);
        gossip_peer_gone(f.g, &f.peers[i].id, f.now);
    }
    assert_int_equal((size_t)LEFT_A_PEER * 2, gossip_left_count(f.g));
    assert_int_equal(20 - LEFT_A_PEER * 2,
                     gossip_stats(f.g)->standings_evicted);
    /* Who left first is forgotten first. */
    assert_false(gossip_peer_score(f.g, &f.peers[11].id, &s));
    assert_true(gossip_peer_score(f.g, &f.peers[12].id, &s));
    fixture_release(&f);
}

static void a_graylisted_peer_is_heard_or_forgotten(void **state)
{
    static struct fixture f;

    (void)state;
    init(&f, 1);
    gossip_set_app_score(f.g, &f.peers[0].id, -81);
    assert_ok(say_subscribe(&f, &f.peers[0], TOPIC, false));
    assert_int_equal(0, gossip_subscriber_count(f.g, SPAN_LIT(TOPIC)));
    assert_ok(say_subscribe(&f, &f.peers[0], TOPIC, true));
    bring(&f, &f.peers[0], "a");
    assert_ok(say_graft(&f, &f.peers[0], TOPIC));
    drain(&f);
    assert_int_equal(0, message_count(&f));
    assert_int_equal(0, sent_to(&f, NULL).prunes);
    assert_int_equal(4, gossip_stats(f.g)->rpcs_unheard);
    /* Forgiven, it is a subscriber like others. */
    assert_int_equal(1, gossip_subscriber_count(f.g, SPAN_LIT(TOPIC)));
    gossip_set_app_score(f.g, &f.peers[0].id, 1);
    heartbeat(&f);
    assert_true(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[0].id));
    fixture_release(&f);
}

/* Four seconds' worth of control at once, every second. */
static void flood(struct fixture *f, const struct who *w)
{
    for (int i = 0; i < 50; i++)
        (void)say_ids(f, w, false, NULL, 0);
}

static void a_flood_is_not_told_from_much_to_say(void **state)
{
    static struct fixture f;
    struct gossip_config config = {.peer_control_per_s = 10};

    (void)state;
    fixture_init(&f, config);
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 2);
    gossip_set_app_score(f.g, &f.peers[0].id, 10);
    connect_as(&f, &f.peers[9], GOSSIP_V11, false); /* in no mesh */
    gossip_set_app_score(f.g, &f.peers[9].id, 10);
    for (int i = 0; i < 12; i++) {
        flood(&f, &f.peers[0]);
        flood(&f, &f.peers[9]);
        assert_true(score(&f, &f.peers[0]) >= -30);
        heartbeat(&f);
    }
    /* The one was dropped from the mesh, the other is not heard. */
    assert_false(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[0].id));
    assert_true(score(&f, &f.peers[9]) < -80);
    assert_near(0, score(&f, &f.peers[1]));
    assert_int_equal(0, gossip_stats(f.g)->outcomes[GOSSIP_FLOOD]);
    /* It goes on, having been pruned: an offence each second. */
    for (int i = 0; i < 12; i++) {
        flood(&f, &f.peers[0]);
        heartbeat(&f);
    }
    assert_in_range(gossip_stats(f.g)->outcomes[GOSSIP_FLOOD], 5, 12);
    assert_true(score(&f, &f.peers[0]) < -80);
    fixture_release(&f);
}

static void without_scores_somebody_is_judged(void **state)
{
    static struct fixture f;

    (void)state;
    fixture_init(&f, (struct gossip_config){.no_scores = true});
    assert_ok(gossip_subscribe(f.g, SPAN_LIT(TOPIC), f.now));
    connect_subscribed(&f, 0, 1);
    gossip_set_app_score(f.g, &f.peers[0].id, -1000);
    heartbeat(&f);
    assert_true(gossip_is_in_mesh(f.g, SPAN_LIT(TOPIC), &f.peers[0].id));
    bring(&f, &f.peers[0], "a");
    judge(&f, GOSSIP_ACCEPT);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_score_is_not_what_it_is_by_hand),
        cmocka_unit_test(topics_together_are_above_their_cap),
        cmocka_unit_test(counters_do_not_halve),
        cmocka_unit_test(counters_agree_with_a_list_of_all),
        cmocka_unit_test(silence_counts_before_its_time),
        cmocka_unit_test(what_was_withheld_grows_without_bounds),
        cmocka_unit_test(copies_are_counted_wrongly),
        cmocka_unit_test(who_is_silent_in_the_mesh_stays_there),
        cmocka_unit_test(withheld_is_not_told_of),
        cmocka_unit_test(leaves_are_blamed_for_their_silence),
        cmocka_unit_test(rubbish_costs_its_senders_nothing),
        cmocka_unit_test(broken_promises_cost_nothing),
        cmocka_unit_test(grafts_in_backoff_cost_nothing),
        cmocka_unit_test(many_of_one_address_are_as_good_as_others),
        cmocka_unit_test(leaving_mends_a_bad_score),
        cmocka_unit_test(bad_scores_of_those_who_left_have_no_limit),
        cmocka_unit_test(a_graylisted_peer_is_heard_or_forgotten),
        cmocka_unit_test(a_flood_is_not_told_from_much_to_say),
        cmocka_unit_test(without_scores_somebody_is_judged),
    };

    return cmocka_run_group_tests_name("gossip_score", tests, NULL, NULL);
}
