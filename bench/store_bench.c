/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "store/reader.h"
#include "store/worker.h"
#include "tbl/network.h"

/* What the store does on this machine: durable publishes a second with many in
 * flight, and the latency of searches among so many packages.
 *
 *      store_bench [PACKAGES|RECORDS.ndjson [DIR]]
 *
 * Searches are for words of random packages, as often as they occur there. */

enum { WORDS = 20000, IN_FLIGHT = 512, ROUNDS = 2000 };

static void must(enum err err, const char *what)
{
    if (err == OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, err_text(err));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of this thread: what other processes do is not our doing. */
static double cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double process_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static wall_ms wall_now(void *ctx)
{
    struct timespec t;

    (void)ctx;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (wall_ms)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Words as a language has them: the nth is 1/n as frequent. ---- */

static size_t zipf(const struct rng *rng)
{
    double u = (double)rng_below(rng, 1000000) / 1e6;

    return (size_t)(pow(WORDS, u)) - 1;
}

static void word(size_t nth, char out[24])
{
    static const char *const syllables[] = {"ka", "lo", "mi", "ne", "pu",
                                            "ra", "so", "ti", "ve", "zu"};
    size_t n = 0;

    nth = nth * 7919 + 131;
    for (int i = 0; i < 3 || nth > 0; i++, nth /= 10)
        n += (size_t)snprintf(out + n, 24 - n, "%s", syllables[nth % 10]);
}

static void sentence(const struct rng *rng, int words, char *out, size_t max)
{
    size_t n = 0;

    for (int i = 0; i < words; i++) {
        char w[24];

        word(zipf(rng), w);
        n += (size_t)snprintf(out + n, max - n, "%s%s", i ? " " : "", w);
    }
}

/* ---- Records: made up, or a line of a file each. ---- */

struct corpus {
    char **lines; /* NULL: made up */
    size_t count;
    char **texts; /* title and description, folded */
};

static void read_lines(struct corpus *c, const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t max = 0;
    ssize_t len;

    must(file ? OK : ERR_IO, path);
    while ((len = getline(&line, &max, file)) > 0) {
        if ((c->count & (c->count - 1)) == 0)
            c->lines = realloc(c->lines, 2 * (c->count + 1) * sizeof(char *));
        c->lines[c->count++] = strdup(line);
    }
    free(line);
    (void)fclose(file);
}

static struct job *make_publish(struct corpus *c, const struct rng *rng,
                                size_t nth)
{
    char text[4096], title[256], description[2048], tags[2][24];
    struct span line;
    struct record r;
    int n;

    sentence(rng, 3, title, sizeof(title));
    sentence(rng, 40, description, sizeof(description));
    word(zipf(rng), tags[0]);
    word(zipf(rng), tags[1]);
    n = snprintf(text, sizeof(text),
                 "{\"id\":\"bench/p%zu\",\"version\":\"1.0.%zu\","
                 "\"metadata\":{\"title\":\"%s\",\"description\":\"%s\","
                 "\"tags\":[\"%s\",\"%s x\"],\"categories\":[\"Utility\"],"
                 "\"license\":\"MIT\",\"custom_fields\":{}},"
                 "\"stats\":{\"downloads\":%u,\"stars\":0,\"watchers\":0,"
                 "\"forks\":0,\"contributors\":0,"
                 "\"last_updated\":\"2025-11-02T22:20:00Z\"}}",
                 nth, nth % 10, title, description, tags[0], tags[1],
                 (unsigned)(1u << rng_below(rng, 20)));
    line = c->lines ? span_str(c->lines[nth]) : SPAN(text, (size_t)n);
    if (record_parse(&r, line, RECORD_INPUT, &mem_libc, NULL) != OK ||
        record_complete(&r, wall_now(NULL), NULL) != OK)
        return NULL;
    snprintf(text, sizeof(text), "%s %s", record_text(&r, "title"),
             record_text(&r, "description"));
    (void)query_fold(span_str(text), description, sizeof(description));
    c->texts[nth] = strdup(description);
    return job_publish(&r);
}

/* A random word of a random package. */
static void pick(const struct corpus *c, const struct rng *rng, char out[24])
{
    const char *text = NULL;
    size_t len = 0;

    while (len < 2 || len > 23) {
        if (text == NULL || *text == '\0') {
            text = c->texts[rng_below(rng, c->count)];
            if (text == NULL)
                continue;
            for (uint64_t skip = rng_below(rng, 12); skip > 0; skip--) {
                text += strcspn(text, " ");
                text += *text == ' ';
            }
        }
        len = strcspn(text, " ");
        memcpy(out, text, len < 23 ? len : 23);
        text += len + (text[len] == ' ');
    }
    out[len] = '\0';
}

/* ---- Publishing. ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t in_flight;
} flight = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .wake = PTHREAD_COND_INITIALIZER};

static void on_done(struct job *job)
{
    must(job->err, "publish");
    job_free(job);
    pthread_mutex_lock(&flight.lock);
    flight.in_flight--;
    pthread_cond_signal(&flight.wake);
    pthread_mutex_unlock(&flight.lock);
}

static void wait_below(size_t max)
{
    pthread_mutex_lock(&flight.lock);
    while (flight.in_flight >= max)
        pthread_cond_wait(&flight.wake, &flight.lock);
    flight.in_flight++;
    pthread_mutex_unlock(&flight.lock);
}

static void publish_all(struct store *s, struct job **jobs, size_t count)
{
    struct worker_status status;
    struct worker *w;
    double start, cpu;

    must(worker_start(s, wall_now, NULL, &w), "worker");
    start = now_s();
    cpu = process_s();
    for (size_t i = 0; i < count; i++) {
        if (jobs[i] == NULL)
            continue;
        wait_below(IN_FLIGHT);
        jobs[i]->done = on_done;
        must(worker_submit(w, jobs[i]), "submit");
    }
    wait_below(1);
    worker_status(w, &status);
    (void)printf("publish: %zu in %.2f s = %.0f/s, %.1f us CPU each,"
                 " %.0f a commit\n",
                 count, now_s() - start, (double)count / (now_s() - start),
                 (process_s() - cpu) * 1e6 / (double)count,
                 (double)status.jobs / (double)status.commits);
    flight.in_flight = 0;
    worker_stop(w);
}

/* ---- Searching. ---- */

static int cmp_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef void (*query_maker)(const struct corpus *c, const struct rng *rng,
                            struct query *q);

static void parse(struct query *q, const char *text)
{
    must(query_parse(span_str(text), q, NULL), "query");
}

static void words(const struct corpus *c, const struct rng *rng, int count,
                  struct query *q)
{
    char text[128] = "", w[24];

    for (int i = 0; i < count; i++) {
        pick(c, rng, w);
        strcat(text, w);
        strcat(text, " ");
    }
    parse(q, text);
}

static void one_word(const struct corpus *c, const struct rng *rng,
                     struct query *q)
{
    words(c, rng, 1, q);
}

static void two_words(const struct corpus *c, const struct rng *rng,
                      struct query *q)
{
    words(c, rng, 2, q);
}

static void three_words(const struct corpus *c, const struct rng *rng,
                        struct query *q)
{
    words(c, rng, 3, q);
}

static const char *commonest_word;

static void commonest(const struct corpus *c, const struct rng *rng,
                      struct query *q)
{
    (void)c, (void)rng;
    parse(q, commonest_word);
}

static void filtered(const struct corpus *c, const struct rng *rng,
                     struct query *q)
{
    one_word(c, rng, q);
    must(query_set(q, "license", SPAN_LIT("unlicensed"), NULL), "filter");
}

static void prefix(const struct corpus *c, const struct rng *rng,
                   struct query *q)
{
    char w[25];

    pick(c, rng, w);
    strcpy(w + (strlen(w) < 4 ? strlen(w) : 4), "*");
    parse(q, w);
}

static void by_name(const struct corpus *c, const struct rng *rng,
                    struct query *q)
{
    one_word(c, rng, q);
    q->sort = SORT_NAME;
}

static void everything(const struct corpus *c, const struct rng *rng,
                       struct query *q)
{
    (void)c, (void)rng;
    parse(q, "");
}

static void measure(struct reader *r, const struct corpus *c,
                    const struct rng *rng, const char *name, query_maker make,
                    bool facets)
{
    static double times[ROUNDS];
    static struct search_page page;
    struct search_options options = {
        .limit = 20, .wall = wall_now(NULL), .facets = facets};
    double sum = 0, hits = 0;

    for (size_t i = 0; i < ROUNDS; i++) {
        struct query q;
        double start;

        make(c, rng, &q);
        start = cpu_s();
        must(reader_search(r, &q, &options, &page), name);
        times[i] = (cpu_s() - start) * 1e3;
        sum += times[i];
        hits += (double)page.count;
        search_page_free(&page);
    }
    qsort(times, ROUNDS, sizeof(*times), cmp_double);
    (void)printf("search %-14s mean %6.3f  p50 %6.3f  p99 %6.3f  max %6.3f ms"
                 "  (%.1f hits)\n",
                 name, sum / ROUNDS, times[ROUNDS / 2],
                 times[ROUNDS * 99 / 100], times[ROUNDS - 1], hits / ROUNDS);
}

static int unlink_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void system_fill(void *ctx, void *out, size_t n)
{
    (void)ctx;
    if (getentropy(out, n < 256 ? n : 256) != 0)
        abort();
}

static void search_all(struct store *s, const struct corpus *c,
                       const struct rng *rng)
{
    struct reader *r;

    must(reader_open(s, &r), "reader");
    measure(r, c, rng, "one word", one_word, false);
    measure(r, c, rng, "two words", two_words, false);
    measure(r, c, rng, "three words", three_words, false);
    measure(r, c, rng, "commonest", commonest, false);
    measure(r, c, rng, "filtered", filtered, false);
    measure(r, c, rng, "prefix", prefix, false);
    measure(r, c, rng, "by name", by_name, false);
    measure(r, c, rng, "everything", everything, false);
    measure(r, c, rng, "facets", one_word, true);
    reader_close(r);
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/souk-bench-XXXXXX";
    const char *dir = argc > 2 ? argv[2] : mkdtemp(made);
    struct rng_seeded seed;
    struct rng rng = rng_seeded(&seed, 1), system = {.fill = system_fill};
    struct store_config config = {
        .dir = dir, .network = network_find("souk"), .rng = &system};
    struct corpus c = {.count = 0};
    char why[STORE_WHY_MAX], first[24];
    struct job **jobs;
    struct store *s;
    bool more = true;
    double start;

    crypto_init();
    if (argc > 1 && strchr(argv[1], '.') != NULL)
        read_lines(&c, argv[1]);
    else
        c.count = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
    c.texts = calloc(c.count, sizeof(char *));
    jobs = calloc(c.count, sizeof(struct job *));
    for (size_t i = 0; i < c.count; i++)
        jobs[i] = make_publish(&c, &rng, i);
    word(0, first);
    commonest_word = c.lines ? "library" : first;
    if (store_open(&config, wall_now(NULL), &s, why) != OK) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    publish_all(s, jobs, c.count);
    start = now_s();
    while (more)
        must(store_maintain(s, wall_now(NULL), &more), "maintain");
    (void)printf("maintain: %.2f s\n", now_s() - start);
    search_all(s, &c, &rng);
    store_close(s);
    if (argc <= 2)
        (void)nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
