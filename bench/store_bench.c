/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "store/internal.h"
#include "store/match.h"
#include "store/reader.h"
#include "store/worker.h"
#include "tbl/network.h"

/* What the store does on this machine: durable publishes a second with many in
 * flight, and the latency of searches among so many packages.
 *
 *      store_bench [PACKAGES|RECORDS.ndjson [DIR]]
 *
 * DIR stays, and if the same were published there before, they are not again.
 *
 * Searches are for words of random packages, as often as they occur there, then
 * for words by how many packages they are in; of those the ten best are held
 * against the ten best by FTS5's bm25() with our weights, which looks at every
 * match.  The last line is JSON. */

enum {
    WORDS = 20000,
    IN_FLIGHT = 512,
    ROUNDS = 2000,
    TOP = 10,
    BM25_ROUNDS = 100, /* queries of a class held against bm25() */
    CLASS_MAX = 65536, /* words of a class */
};

static struct {
    double publishes_s, cpu_us, writer_us, jobs_a_commit;
} published;

static size_t lists_bytes; /* of words, in memory */

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

enum { LOOK_EVERY = 256 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    size_t in_flight, done;
    struct job *over;  /* given back, to be freed by who submits, as a
                          gateway's loop does */
    double writer_s;   /* CPU time of the writing thread, … */
    size_t writer_did; /* … when it had done so many */
} flight = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .wake = PTHREAD_COND_INITIALIZER};

static void on_done(struct job *job)
{
    must(job->err, "publish");
    pthread_mutex_lock(&flight.lock);
    job->next = flight.over;
    flight.over = job;
    flight.in_flight--;
    if (++flight.done % LOOK_EVERY == 0) {
        flight.writer_s = cpu_s();
        flight.writer_did = flight.done;
    }
    pthread_cond_signal(&flight.wake);
    pthread_mutex_unlock(&flight.lock);
}

static void free_all(struct job *job)
{
    while (job != NULL) {
        struct job *next = job->next;

        job_free(job);
        job = next;
    }
}

static void wait_below(size_t max)
{
    struct job *over;

    pthread_mutex_lock(&flight.lock);
    while (flight.in_flight >= max)
        pthread_cond_wait(&flight.wake, &flight.lock);
    flight.in_flight++;
    over = flight.over;
    flight.over = NULL;
    pthread_mutex_unlock(&flight.lock);
    free_all(over);
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
    published.publishes_s = (double)count / (now_s() - start);
    published.cpu_us = (process_s() - cpu) * 1e6 / (double)count;
    published.jobs_a_commit = (double)status.jobs / (double)status.commits;
    if (flight.writer_did > 0)
        published.writer_us = flight.writer_s * 1e6 / (double)flight.writer_did;
    (void)printf("publish: %zu in %.2f s = %.0f/s, %.1f us CPU each, %.1f of"
                 " them the writing thread's, %.0f a commit\n",
                 count, (double)count / published.publishes_s,
                 published.publishes_s, published.cpu_us, published.writer_us,
                 published.jobs_a_commit);
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

/* ---- By frequency. ---- */

/* Words by how many packages they are in, and what searches for them take. */
struct class
{
    const char *name;
    size_t from, to; /* packages, in per mille of all; rare: at most TOP */
    size_t words;    /* of a query */
    const char *list[CLASS_MAX];
    size_t count;
    double p50, p99, same, overlap;
};
static struct class classes[] = {
    {.name = "words in at most ten packages", .to = 0, .words = 1},
    {.name = "words in up to 1 %", .from = 0, .to = 10, .words = 1},
    {.name = "words in 1 to 5 %", .from = 10, .to = 50, .words = 1},
    {.name = "words in more than 5 %", .from = 50, .to = 1000, .words = 1},
    {.name = "two words in 1 to 5 %", .from = 10, .to = 50, .words = 2},
    {.name = "two words in more than 5 %", .from = 50, .to = 1000, .words = 2},
    {.name = "two words as they occur", .from = 0, .to = 1000, .words = 2},
};
enum { CLASSES = sizeof(classes) / sizeof(*classes), OCCURRING = CLASSES - 1 };

static int cmp_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Every package's words, each once a package. */
static size_t split_texts(const struct corpus *c, char ***out)
{
    size_t count = 0, cap = 1 << 20;
    char **all = malloc(cap * sizeof(*all));

    must(all ? OK : ERR_NOMEM, "words");
    for (size_t i = 0; i < c->count; i++) {
        size_t first = count, unique = count;

        if (c->texts[i] == NULL)
            continue;
        for (char *at = strtok(c->texts[i], " "); at; at = strtok(NULL, " ")) {
            if (count == cap)
                all = realloc(all, (cap *= 2) * sizeof(*all));
            must(all ? OK : ERR_NOMEM, "words");
            all[count++] = at;
        }
        qsort(all + first, count - first, sizeof(*all), cmp_text);
        for (size_t k = first; k < count; k++)
            if (k == first || strcmp(all[k], all[k - 1]) != 0)
                all[unique++] = all[k];
        count = unique;
    }
    *out = all;
    return count;
}

static void classify(const char *text, size_t packages, size_t of)
{
    for (size_t i = 0; i < OCCURRING; i++) {
        struct class *c = &classes[i];
        bool is_in = c->to == 0
                         ? packages <= TOP
                         : packages > TOP && packages * 1000 > c->from * of &&
                               packages * 1000 <= c->to * of;

        if (is_in && c->count < CLASS_MAX && strlen(text) >= 2 &&
            strlen(text) < 24)
            c->list[c->count++] = text;
    }
}

static void classify_all(const struct corpus *c, const struct rng *rng)
{
    struct class *occurring = &classes[OCCURRING];
    char **all, w[24];
    size_t count;

    while (occurring->count < 2 * ROUNDS) {
        pick(c, rng, w);
        occurring->list[occurring->count++] = strdup(w);
    }
    count = split_texts(c, &all);
    qsort(all, count, sizeof(*all), cmp_text);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && strcmp(all[next], all[i]) == 0;)
            next++;
        classify(all[i], next - i, c->count);
    }
    free(all);
}

static void make_query(const struct class *c, const struct rng *rng,
                       struct query *q)
{
    char text[64] = "";

    for (size_t i = 0; i < c->words; i++) {
        strcat(text, c->list[rng_below(rng, c->count)]);
        strcat(text, " ");
    }
    parse(q, text);
}

/* ---- Beside FTS5's own bm25(), which takes seconds. ---- */

#define BM25 "bm25(words, 8.0, 1.5, 5.0, 3.0, 1.5, 1.0, 0.7, 0.5, 0.0, 8.0)"
static const char best_sql[] =
    "SELECT rowid, " BM25 " AS v FROM words WHERE words MATCH ?1"
    " ORDER BY v LIMIT 10";
static const char worth_sql[] =
    "SELECT " BM25 " FROM words WHERE words MATCH ?1 AND rowid=?2";
static const char slot_sql[] =
    "SELECT slot FROM listing WHERE name=?1 AND namespace=?2";

struct judge {
    struct db db;
    sqlite3_stmt *best, *worth, *slot;
};

static void prepare(struct judge *j, const char *sql, sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(j->db.handle, sql, -1, out, NULL) == SQLITE_OK)
        return;
    (void)fprintf(stderr, "judge: %s\n", sqlite3_errmsg(j->db.handle));
    exit(1);
}

static void judge_open(struct judge *j, const char *dir)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s/souk.db", dir);
    must(db_open(&j->db, path, SQLITE_OPEN_READONLY, &log_none), "database");
    prepare(j, best_sql, &j->best);
    prepare(j, worth_sql, &j->worth);
    prepare(j, slot_sql, &j->slot);
}

static void judge_close(struct judge *j)
{
    (void)sqlite3_finalize(j->best);
    (void)sqlite3_finalize(j->worth);
    (void)sqlite3_finalize(j->slot);
    db_close(&j->db);
}

/* The worst worth of bm25()'s ten, and how many those are. */
static size_t find_best(struct judge *j, const char *expression, double *worst)
{
    size_t count = 0;

    (void)sqlite3_bind_text(j->best, 1, expression, -1, SQLITE_STATIC);
    for (; sqlite3_step(j->best) == SQLITE_ROW; count++)
        *worst = -sqlite3_column_double(j->best, 1);
    (void)sqlite3_reset(j->best);
    return count;
}

static double worth_of(struct judge *j, const char *expression,
                       const struct package_id *id)
{
    double worth = -1;

    (void)sqlite3_bind_text(j->slot, 1, id->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(j->slot, 2, id->ns, -1, SQLITE_STATIC);
    if (sqlite3_step(j->slot) == SQLITE_ROW) {
        (void)sqlite3_bind_text(j->worth, 1, expression, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(j->worth, 2, sqlite3_column_int64(j->slot, 0));
        if (sqlite3_step(j->worth) == SQLITE_ROW)
            worth = -sqlite3_column_double(j->worth, 0);
        (void)sqlite3_reset(j->worth);
    }
    (void)sqlite3_reset(j->slot);
    return worth;
}

/* How many of our ten are among bm25()'s ten, or worth as much as the last of
 * those; an exact name or title is where it belongs. */
static size_t held_against(struct judge *j, struct reader *r,
                           const struct query *q, size_t *all)
{
    static struct search_page page;
    struct search_options options = {.limit = TOP, .wall = wall_now(NULL)};
    struct match_facts facts = {.packages = 1, .average = 1};
    struct match m;
    double worst = 0;
    size_t n = 0;

    must(match_init(&m, &j->db, q, &facts), "match");
    must(match_express(&m, q), "expression");
    must(reader_search(r, q, &options, &page), "search");
    *all = find_best(j, match_wide(&m), &worst);
    for (size_t i = 0; i < page.count; i++)
        n += page.hits[i].entry.score >= 2 ||
             worth_of(j, match_wide(&m), &page.hits[i].entry.id) >=
                 worst * (1 - 1e-9);
    search_page_free(&page);
    match_release(&m);
    return n;
}

static void compare(struct class *c, struct judge *j, struct reader *r,
                    const struct rng *rng)
{
    size_t same = 0, sum = 0, of = 0;

    for (size_t i = 0; i < BM25_ROUNDS; i++) {
        struct query q;
        size_t all, n;

        make_query(c, rng, &q);
        n = held_against(j, r, &q, &all);
        same += n == all;
        sum += n;
        of += all;
    }
    c->same = (double)same / BM25_ROUNDS;
    c->overlap = of ? (double)sum / (double)of : 1;
}

static void time_class(struct class *c, struct reader *r, const struct rng *rng)
{
    static double times[ROUNDS];
    static struct search_page page;
    struct search_options options = {.limit = 20, .wall = wall_now(NULL)};

    for (size_t i = 0; i < ROUNDS; i++) {
        struct query q;
        double start;

        make_query(c, rng, &q);
        start = cpu_s();
        must(reader_search(r, &q, &options, &page), c->name);
        times[i] = (cpu_s() - start) * 1e3;
        search_page_free(&page);
    }
    qsort(times, ROUNDS, sizeof(*times), cmp_double);
    c->p50 = times[ROUNDS / 2];
    c->p99 = times[ROUNDS * 99 / 100];
}

static void by_frequency(struct store *s, const struct corpus *c,
                         const struct rng *rng, const char *dir)
{
    struct judge j = {.best = NULL};
    struct reader *r;

    must(reader_open(s, &r), "reader");
    judge_open(&j, dir);
    classify_all(c, rng);
    for (size_t i = 0; i < CLASSES; i++) {
        struct class *class = &classes[i];

        if (class->count == 0)
            continue;
        time_class(class, r, rng);
        compare(class, &j, r, rng);
        (void)printf("%-30s p50 %.3f  p99 %.3f ms  top ten as bm25 %.0f %%"
                     " (%.1f %% of them)  (%zu words)\n",
                     class->name, class->p50, class->p99, 100 * class->same,
                     100 * class->overlap, class->count);
        (void)fflush(stdout);
    }
    judge_close(&j);
    reader_close(r);
}

static void print_json(const struct corpus *c)
{
    (void)printf("{\"bench\":\"store\",\"packages\":%zu,"
                 "\"publishes_s\":%.0f,\"publish_cpu_us\":%.0f,"
                 "\"publish_writer_us\":%.0f,\"publishes_a_commit\":%.0f,"
                 "\"lists_bytes\":%zu,\"rounds\":%d,\"classes\":[",
                 c->count, published.publishes_s, published.cpu_us,
                 published.writer_us, published.jobs_a_commit, lists_bytes,
                 BM25_ROUNDS);
    for (size_t i = 0, n = 0; i < CLASSES; i++)
        if (classes[i].count > 0)
            (void)printf("%s{\"name\":\"%s\",\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
                         "\"same\":%.3f,\"overlap\":%.3f}",
                         n++ ? "," : "", classes[i].name, classes[i].p50,
                         classes[i].p99, classes[i].same, classes[i].overlap);
    (void)printf("]}\n");
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
    struct store_counts counts;
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
    store_counts(s, &counts);
    if (counts.packages == 0)
        publish_all(s, jobs, c.count);
    start = now_s();
    while (more)
        must(store_maintain(s, wall_now(NULL), &more), "maintain");
    store_counts(s, &counts);
    lists_bytes = (size_t)counts.lists_bytes;
    (void)printf("maintain: %.2f s, %.1f MiB of lists\n", now_s() - start,
                 (double)lists_bytes / 1048576);
    search_all(s, &c, &rng);
    by_frequency(s, &c, &rng, dir);
    print_json(&c);
    store_close(s);
    if (argc <= 2)
        (void)nftw(dir, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
