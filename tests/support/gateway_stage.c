/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_stage DIR: the real gateway over a real catalogue, on a stage: core
 * and store do as they are told on standard input, so that a test can bring
 * about every answer there is.  A line each, each answered by "ok":
 *
 *      core answer|silent|busy       requests: answered, kept, refused
 *      status ok|unstarted|stale     what probes see
 *      store ok|busy|failing         writes
 *
 * First it prints {"http": URL, "admin": URL, "token": …, "publish_token": …,
 * "peer": ID}: the one peer the core knows.  It ends with its input. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/gateway.h"
#include "host/system.h"
#include "store/store.h"
#include "store/worker.h"
#include "tbl/network.h"

static const char peer_text[] =
    "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";

enum { HELD_MAX = 4096 };

static struct stage {
    pthread_mutex_t lock;
    struct store *store;
    struct peer_id peer;
    bool is_connected;
    char core, status, store_mode; /* the first letters of the words above */
    struct request *held[HELD_MAX];
    size_t held_count;
} stage = {PTHREAD_MUTEX_INITIALIZER, .core = 'a', .status = 'o',
           .store_mode = 'o'};

/* ---- The core. ---- */

tstamp core_now(void)
{
    return clock_now();
}

static void add_peer(struct request *r)
{
    struct peer_info *p = request_add_peer(r);

    p->id = stage.peer;
    p->latency_ms = 1.5;
    p->score = 0.85;
    p->state = PEER_CONNECTED;
    p->last_seen = clock_wall();
}

static enum err answer_peer(struct request *r)
{
    const struct request_peers *in = &r->in.peers;
    struct peer_id id = in->peer;

    if (r->type == REQUEST_CONNECT && !multiaddr_peer(&in->addr, &id))
        return ERR_INVAL;
    if (!peer_id_eq(&id, &stage.peer))
        return r->type == REQUEST_CONNECT ? ERR_DIAL_FAILED : ERR_NOT_FOUND;
    if (r->type == REQUEST_CONNECT) {
        r->was_connected = stage.is_connected;
        stage.is_connected = true;
    }
    add_peer(r);
    return OK;
}

static enum err answer(struct request *r)
{
    r->lookup = (struct lookup_report){
        .complete = true, .peers_queried = 3, .peers_responded = 3};
    switch (r->type) {
    case REQUEST_GET:
        return ERR_NOT_FOUND;
    case REQUEST_SEARCH:
        return OK;
    case REQUEST_ANNOUNCE:
        r->requested = 3;
        r->acked = 2;
        return OK;
    case REQUEST_PEERS:
        add_peer(r);
        return OK;
    case REQUEST_PEER:
    case REQUEST_CONNECT:
    case REQUEST_DISCONNECT:
        return answer_peer(r);
    case REQUEST_LIMITS:
        *request_add_limit(r) = (struct limit_info){"connections", 128, 1, 0};
        return OK;
    }
    return ERR_INTERNAL;
}

enum err core_submit(struct core *core, struct request *r)
{
    enum err err = OK;
    bool is_done = false;

    (void)core;
    pthread_mutex_lock(&stage.lock);
    if (stage.core == 'b' ||
        (stage.core == 's' && stage.held_count == HELD_MAX)) {
        err = ERR_BUSY;
    } else if (stage.core == 's') {
        stage.held[stage.held_count++] = r;
    } else {
        r->err = answer(r);
        is_done = true;
    }
    pthread_mutex_unlock(&stage.lock);
    if (is_done)
        r->done(r);
    return err;
}

void core_cancel(struct core *core, struct request *r)
{
    bool is_held = false;

    (void)core;
    pthread_mutex_lock(&stage.lock);
    for (size_t i = 0; i < stage.held_count && !is_held; i++)
        if (stage.held[i] == r) {
            stage.held[i] = stage.held[--stage.held_count];
            is_held = true;
        }
    pthread_mutex_unlock(&stage.lock);
    if (!is_held)
        return;
    r->err = ERR_CANCELLED;
    r->done(r);
}

void core_outbox_grew(struct core *core)
{
    (void)core;
}

void core_status(struct core *core, struct node_status *out)
{
    tstamp now = clock_now();

    (void)core;
    pthread_mutex_lock(&stage.lock);
    *out = (struct node_status){
        .id = stage.peer,
        .network = "souk",
        .started_at = now - SECONDS,
        .updated_at = stage.status == 's' ? now - 60 * SECONDS : now,
        .is_started = stage.status != 'u',
        .store_writes = stage.store_mode != 'f',
        .dht_answered_at = now,
        .peers_connected = 1,
    };
    pthread_mutex_unlock(&stage.lock);
}

/* ---- The store's writer. ---- */

enum err worker_submit(struct worker *w, struct job *job)
{
    (void)w;
    pthread_mutex_lock(&stage.lock);
    if (stage.store_mode == 'b') {
        pthread_mutex_unlock(&stage.lock);
        return ERR_BUSY;
    }
    if (stage.store_mode == 'f')
        job->err = ERR_STORE;
    else
        store_perform(stage.store, &job, 1, clock_wall());
    pthread_mutex_unlock(&stage.lock);
    if (job->done != NULL)
        job->done(job);
    else
        job_free(job);
    return OK;
}

void worker_status(struct worker *w, struct worker_status *out)
{
    (void)w;
    *out = (struct worker_status){.urgent = 0};
}

/* ---- Directions. ---- */

static bool direct(char *line)
{
    char *word = strchr(line, ' ');

    if (word == NULL)
        return false;
    *word++ = '\0';
    pthread_mutex_lock(&stage.lock);
    if (strcmp(line, "core") == 0)
        stage.core = *word;
    else if (strcmp(line, "status") == 0)
        stage.status = *word;
    else if (strcmp(line, "store") == 0)
        stage.store_mode = *word;
    else
        word = NULL;
    pthread_mutex_unlock(&stage.lock);
    return word != NULL;
}

static int play(struct gateway *g)
{
    struct gateway_ports ports;
    char line[128];

    gateway_ports(g, &ports);
    (void)printf("{\"http\":\"%s\",\"admin\":\"%s\",\"token\":\"admin-token\","
                 "\"publish_token\":\"publish-token\",\"peer\":\"%s\"}\n",
                 ports.http, ports.admin, peer_text);
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        (void)puts(direct(line) ? "ok" : "what?");
        (void)fflush(stdout);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static const char *const proxy = "127.0.0.1";
    struct store_config config = {.network = network_find("souk"),
                                  .rng = &rng_system};
    struct gateway_config gateway_config = {
        .http = "127.0.0.1:0",
        .admin = "127.0.0.1:0",
        .threads = 2,
        .admin_token = "admin-token",
        .publish_token = "publish-token",
        .rate = 5,
        .rate_burst = 20,
        .trusted_proxies = &proxy,
        .trusted_proxy_count = 1,
        .version = "0.0.0",
        .commit = "stage",
    };
    struct gateway_deps deps = {
        .network = config.network, .rng = &rng_system, .log = &log_none};
    struct gateway *gateway = NULL;
    char why[STORE_WHY_MAX] = "";
    int status = EXIT_FAILURE;

    if (argc != 2 || peer_id_parse(&stage.peer, span_str(peer_text)) != OK)
        return EXIT_FAILURE;
    config.dir = argv[1];
    config.cache = deps.cache = cache_new(1 << 20);
    if (store_open(&config, clock_wall(), &stage.store, why) == OK) {
        deps.store = stage.store;
        if (gateway_start(&gateway_config, &deps, &gateway, why) == OK)
            status = play(gateway);
    }
    if (status != EXIT_SUCCESS)
        (void)fprintf(stderr, "%s\n", why);
    gateway_stop(gateway);
    if (stage.store != NULL)
        store_close(stage.store);
    cache_free(deps.cache);
    return status;
}
