/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli/context.h"
#include "gateway/cli/import_feed.h"
#include "gateway/cli/import_progress.h"
#include "gateway/cli/import_state.h"
#include "gateway/cli/refusal.h"
#include "host/system.h"

/* Bulk publish: many requests in flight over kept connections.
 *
 *      feed ─► transfer ─► node ─► created, known, refused ─► feed ─► state
 *                 ▲    └ busy, gone ┘                      (in order)
 *                 └── again, later
 *
 * A line ends in one of three ways, and never twice; what the node could not
 * take now (429, 503, no connection) is sent again when it asks for it. */
enum {
    JOBS_MAX = 256,
    LINE_BYTES_MAX = 1 << 20, /* the node takes no more, so it is not sent */
    POLL_MS = 100,
    BACKOFF_MIN_MS = 250,
    BACKOFF_MAX_MS = 5000,
};
static const duration patience = 60 * SECONDS; /* without any progress */
static const duration save_every = 250 * MILLISECONDS;

struct transfer {
    CURL *curl;
    struct answer answer;
    struct line *line; /* NULL: idle */
    bool is_waiting;   /* to be sent again */
};

struct import {
    struct cli *cli;
    FILE *file, *report;
    const char *path, *state_path; /* NULL: no state is kept */
    char default_state_path[REMOTE_PATH_MAX];
    struct url url;
    CURLM *multi;
    struct transfer *transfers;
    size_t transfer_count, busy;

    struct feed feed;
    struct import_state state;
    uint64_t first_line; /* when this run began */
    struct progress progress;
    tstamp saved_at, progressed_at;
    tstamp resume_at; /* nothing is sent before */
    unsigned backoff_ms;
    char waiting[96];

    bool is_stopping; /* open requests are finished, no more are sent */
    int status;       /* why it stops early, else EXIT_OK */
};

/* A second signal kills: the state file is good at any time. */
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal,
                               .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* ---- What became of a line. ---- */

/* {line, id, status, code, title, detail, errors}: a line of the report. */
static json_t *make_refusal(const struct line *line, long status,
                            const json_t *problem)
{
    static const char *const kept[] = {"code", "title", "detail", "errors"};
    json_t *record = json_loadb(line->text, line->len, 0, NULL);
    json_t *id = json_object_get(record, "id");
    json_t *refusal =
        json_pack("{s:I, s:O?, s:I}", "line", (json_int_t)line->number, "id",
                  id, "status", (json_int_t)status);

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        json_t *value = json_object_get(problem, kept[i]);

        if (value != NULL)
            (void)json_object_set(refusal, kept[i], value);
    }
    json_decref(record);
    return refusal;
}

static void refuse_line(struct line *line, long status, const json_t *problem)
{
    line->refusal = make_refusal(line, status, problem);
    line->state = LINE_REFUSED;
}

/* What no node would take need not travel. */
static void refuse_here(struct line *line)
{
    json_t *problem = json_pack(
        "{s:s, s:s, s:s}", "code", err_code(ERR_BODY_TOO_LARGE), "title",
        err_text(ERR_BODY_TOO_LARGE), "detail", "a line holds more than 1 MiB");

    refuse_line(line, 413, problem);
    json_decref(problem);
}

/* "ns/name: #/metadata/title must be a text" */
static void describe(const json_t *refusal, char *out, size_t max)
{
    const json_t *id = json_object_get(refusal, "id");
    const json_t *first = json_array_get(json_object_get(refusal, "errors"), 0);
    const char *pointer = text_of(first, "pointer");
    const char *detail = text_of(first ? first : refusal, "detail");
    char name[PACKAGE_TEXT_MAX + 2] = "";

    if (json_is_string(id))
        (void)snprintf(name, sizeof(name), "%s: ", json_string_value(id));
    else if (text_of(id, "name") != NULL)
        (void)snprintf(name, sizeof(name), "%s/%s: ", text_of(id, "namespace"),
                       text_of(id, "name"));
    (void)snprintf(out, max, "%s%s%s%s", name, pointer ? pointer : "",
                   pointer ? " " : "", detail ? detail : "");
}

/* ---- In the order of the file. ---- */

static void report(struct import *im, const json_t *refusal)
{
    char *text = im->report ? json_dumps(refusal, JSON_COMPACT) : NULL;
    int n = text ? fprintf(im->report, "%s\n", text) : 0;

    if (n > 0)
        im->state.report_bytes += (uint64_t)n;
    free(text);
}

static void settle_refused(struct import *im, const struct line *line)
{
    const char *code = text_of(line->refusal, "code");
    const char *title = text_of(line->refusal, "title");
    char text[512];

    describe(line->refusal, text, sizeof(text));
    import_state_refuse(&im->state, code ? code : "?", title ? title : "?",
                        line->number, text);
    report(im, line->refusal);
}

static void settle(struct import *im)
{
    const struct line *line;

    while ((line = feed_settled(&im->feed)) != NULL) {
        im->state.created += line->state == LINE_CREATED;
        im->state.known += line->state == LINE_KNOWN;
        if (line->state == LINE_REFUSED)
            settle_refused(im, line);
        im->state.offset = line->end;
        im->state.line = line->number;
        feed_settle(&im->feed);
    }
}

static bool save(struct import *im, tstamp now)
{
    im->saved_at = now;
    if (im->state_path == NULL)
        return true;
    if (im->report != NULL)
        (void)fflush(im->report);
    if (import_state_save(&im->state, im->state_path) == OK)
        return true;
    cli_complain(im->cli, "%s: %s; name another place with --state FILE",
                 im->state_path, strerror(errno));
    return false;
}

/* ---- Transfers. ---- */

static void stop(struct import *im, int status)
{
    im->is_stopping = true;
    if (im->status == EXIT_OK)
        im->status = status;
}

/* What is wrong is wrong with every line. */
static void give_up(struct import *im, const struct answer *a)
{
    if (!im->is_stopping)
        (void)refusal_tell(&im->cli->err, &im->cli->remote, a, false);
    stop(im, EXIT_FAILED);
}

static void wait_until(struct import *im, unsigned ms, tstamp now,
                       const char *why)
{
    tstamp at = now + ms * MILLISECONDS;

    (void)snprintf(im->waiting, sizeof(im->waiting), "%s", why);
    if (at > im->resume_at)
        im->resume_at = at;
}

/* The node cannot take it now. */
static void again(struct import *im, struct transfer *t, const char *why,
                  tstamp now)
{
    unsigned ms = t->answer.retry_after_s * 1000;

    if (ms == 0 && now >= im->resume_at) {
        im->backoff_ms = im->backoff_ms ? 2 * im->backoff_ms : BACKOFF_MIN_MS;
        if (im->backoff_ms > BACKOFF_MAX_MS)
            im->backoff_ms = BACKOFF_MAX_MS;
    }
    t->is_waiting = true;
    if (now - im->progressed_at > patience)
        give_up(im, &t->answer);
    else
        wait_until(im, ms ? ms : im->backoff_ms, now, why);
}

/* Refused for what it is, or nobody may publish here at all? */
static bool is_fatal(long status, const char *code)
{
    return status == 401 || strcmp(code, "forbidden") == 0 || status == 404 ||
           status == 405 || status == 421;
}

static void finish_refused(struct import *im, struct transfer *t, tstamp now)
{
    long status = t->answer.status;
    json_t *problem = refusal_problem(&t->answer);
    const char *code = text_of(problem, "code");

    if (status == 429 || status == 503)
        again(im, t, code ? code : "the node is busy", now);
    else if (problem == NULL || is_fatal(status, code))
        give_up(im, &t->answer);
    else
        refuse_line(t->line, status, problem);
    json_decref(problem);
}

static void finish(struct import *im, struct transfer *t, CURLcode code,
                   tstamp now)
{
    struct line *line = t->line;

    im->busy--;
    t->answer.status = 0;
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE,
                                &t->answer.status);
    if (t->answer.status == 201 || t->answer.status == 200) {
        line->state = t->answer.status == 201 ? LINE_CREATED : LINE_KNOWN;
    } else if (t->answer.status != 0) {
        finish_refused(im, t, now);
    } else {
        if (t->answer.failure[0] == '\0')
            (void)snprintf(t->answer.failure, sizeof(t->answer.failure), "%s",
                           curl_easy_strerror(code));
        again(im, t, t->answer.failure, now);
    }
    if (line->state == LINE_OPEN)
        return;
    t->line = NULL;
    im->progressed_at = now;
    im->backoff_ms = 0;
}

static void submit(struct import *im, struct transfer *t)
{
    struct http *http = &im->cli->http;

    t->is_waiting = false;
    if (http_prepare(http, t->curl, &im->url, &t->answer) != OK ||
        curl_easy_setopt(t->curl, CURLOPT_PRIVATE, t) ||
        curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)t->line->len) ||
        curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, t->line->text) ||
        curl_multi_add_handle(im->multi, t->curl) != CURLM_OK)
        give_up(im, &t->answer);
    else
        im->busy++;
}

/* Give |t| something to do, if there is something. */
static void occupy(struct import *im, struct transfer *t)
{
    while (t->line == NULL) {
        t->line = feed_next(&im->feed);
        if (t->line == NULL)
            return;
        if (t->line->len <= LINE_BYTES_MAX)
            break;
        refuse_here(t->line);
        t->line = NULL;
    }
    submit(im, t);
}

static void occupy_all(struct import *im, tstamp now)
{
    if (now < im->resume_at)
        return;
    im->waiting[0] = '\0';
    for (size_t i = 0; i < im->transfer_count && !im->is_stopping; i++) {
        struct transfer *t = &im->transfers[i];

        if (t->line == NULL || t->is_waiting)
            occupy(im, t);
    }
}

static void take_finished(struct import *im, tstamp now)
{
    struct CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(im->multi, &left)) != NULL) {
        CURLcode code = m->data.result;
        CURL *curl = m->easy_handle;
        char *t = NULL;

        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(curl, CURLINFO_PRIVATE, &t);
        (void)curl_multi_remove_handle(im->multi, curl);
        finish(im, (struct transfer *)(void *)t, code, now);
    }
}

/* ---- The run. ---- */

static void show(struct import *im, tstamp now)
{
    struct progress_now n = {
        .offset = im->state.offset,
        .lines = im->state.line,
        .refused = import_state_refused(&im->state),
        .waiting = im->waiting[0] ? im->waiting : NULL,
    };

    if (!im->cli->args.json)
        progress_show(&im->progress, &n, now);
}

static int poll_ms(const struct import *im, tstamp now)
{
    if (im->resume_at > now && im->resume_at - now < POLL_MS * MILLISECONDS)
        return (int)((im->resume_at - now) / MILLISECONDS) + 1;
    return POLL_MS;
}

static void run(struct import *im)
{
    int running;

    while (!feed_is_done(&im->feed) && !(im->is_stopping && im->busy == 0)) {
        tstamp now = clock_now();

        if (interrupted)
            stop(im, EXIT_FAILED);
        (void)curl_multi_perform(im->multi, &running);
        take_finished(im, now);
        occupy_all(im, now);
        settle(im);
        if (now - im->saved_at >= save_every && !save(im, now))
            stop(im, EXIT_FAILED);
        show(im, now);
        if (!feed_is_done(&im->feed))
            (void)curl_multi_poll(im->multi, NULL, 0, poll_ms(im, now), NULL);
    }
    settle(im);
    progress_end(&im->progress);
}

/* ---- Before. ---- */

/* Whom we publish to; that there is somebody is known by that, too. */
static int ask_node(struct import *im)
{
    struct url url;
    json_t *node;
    int status;

    url_start(&url, "/api/v1/node");
    status = cli_get(im->cli, &url);
    if (status != EXIT_OK)
        return status;
    node = cli_json(im->cli);
    (void)snprintf(im->state.node, sizeof(im->state.node), "%s",
                   text_of(node, "id") ? text_of(node, "id") : "");
    json_decref(node);
    return node ? EXIT_OK : EXIT_FAILED;
}

/* Does the state left by an earlier run continue this file at this node? */
static bool take_state(struct import *im, const struct import_state *now,
                       struct span first, uint64_t size)
{
    struct import_state old;
    enum err err = import_state_load(&old, im->state_path);

    if (err == ERR_NOT_FOUND || im->cli->args.restart)
        return false;
    if (err == OK && import_state_is_of(&old, first, size) &&
        strcmp(old.node, now->node) == 0) {
        im->state = old;
        return true;
    }
    cli_complain(im->cli, "%s is of another file or node: from the first line",
                 im->state_path);
    return false;
}

static int open_state(struct import *im, uint64_t size)
{
    static uint8_t first[IMPORT_HEAD_BYTES];
    size_t n = fread(first, 1, sizeof(first), im->file);
    struct import_state fresh = im->state;

    if (take_state(im, &fresh, SPAN(first, n), size))
        (void)fprintf(im->cli->err.out,
                      "going on behind line %" PRIu64 " (%s)\n", im->state.line,
                      im->state_path);
    else
        import_state_know_file(&im->state, SPAN(first, n));
    if (feed_seek(&im->feed, im->state.offset, im->state.line) != OK) {
        cli_complain(im->cli, "%s: %s", im->path, strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* What an earlier run reported beyond its state is reported again. */
static int open_report(struct import *im)
{
    const char *path = im->cli->args.report;

    if (path == NULL)
        return EXIT_OK;
    im->report = fopen(path, im->state.report_bytes > 0 ? "r+e" : "we");
    if (im->report != NULL &&
        ftruncate(fileno(im->report), (off_t)im->state.report_bytes) == 0 &&
        fseeko(im->report, 0, SEEK_END) == 0)
        return EXIT_OK;
    cli_complain(im->cli, "%s: %s", path, strerror(errno));
    return EXIT_FAILED;
}

static int open_file(struct import *im, uint64_t *size)
{
    struct stat st;
    bool is_input = strcmp(im->path, "-") == 0;

    *size = 0;
    im->file = is_input ? stdin : fopen(im->path, "re");
    if (im->file == NULL || fstat(fileno(im->file), &st) != 0 ||
        S_ISDIR(st.st_mode)) {
        cli_complain(im->cli, "%s: %s", im->path,
                     im->file ? "it is no file" : strerror(errno));
        return EXIT_FAILED;
    }
    feed_init(&im->feed, im->file);
    if (is_input || !S_ISREG(st.st_mode))
        return EXIT_OK; /* it cannot be read twice: there is no going on */
    *size = (uint64_t)st.st_size;
    (void)snprintf(im->default_state_path, sizeof(im->default_state_path),
                   "%s.souk-import", im->path);
    im->state_path =
        im->cli->args.state ? im->cli->args.state : im->default_state_path;
    return EXIT_OK;
}

static bool open_transfers(struct import *im)
{
    uint64_t jobs = im->cli->args.jobs;

    im->transfer_count = jobs < JOBS_MAX ? (size_t)jobs : JOBS_MAX;
    im->transfers =
        mem_new(&mem_libc, im->transfer_count * sizeof(*im->transfers));
    im->multi = curl_multi_init();
    for (size_t i = 0; i < im->transfer_count; i++) {
        struct transfer *t = &im->transfers[i];

        t->curl = curl_easy_init();
        answer_init(&t->answer);
        if (t->curl == NULL)
            return false;
    }
    return im->multi != NULL &&
           !curl_multi_setopt(im->multi, CURLMOPT_MAXCONNECTS,
                              (long)im->transfer_count);
}

static int open_all(struct import *im)
{
    char timeout[32];
    uint64_t size;
    int status = open_file(im, &size);

    if (status == EXIT_OK)
        status = ask_node(im);
    if (status == EXIT_OK && im->state_path != NULL)
        status = open_state(im, size);
    if (status == EXIT_OK)
        status = open_report(im);
    if (status != EXIT_OK)
        return status;
    (void)snprintf(timeout, sizeof(timeout), "%" PRIu64 "ms",
                   im->cli->args.timeout);
    url_start(&im->url, "/api/v1/packages");
    url_query(&im->url, "wait", im->cli->args.wait);
    url_query(&im->url, "timeout", im->cli->args.timeout ? timeout : NULL);
    im->progressed_at = clock_now();
    im->first_line = im->state.line;
    progress_start(&im->progress, &im->cli->err, size, im->state.offset,
                   im->state.line, im->progressed_at);
    return open_transfers(im) && save(im, im->progressed_at) ? EXIT_OK
                                                             : EXIT_FAILED;
}

/* ---- After. ---- */

static void tell_refused(const struct import *im)
{
    FILE *out = im->cli->err.out;

    for (size_t i = 0; i < im->state.group_count; i++) {
        const struct import_group *g = &im->state.groups[i];

        (void)fprintf(out, "%" PRIu64 " refused: %s — %s\n", g->count, g->title,
                      g->code);
        for (size_t k = 0; k < g->sample_count; k++) {
            char *text = text_clean(span_str(g->samples[k].text));

            (void)fprintf(out, "  line %" PRIu64 ": %s\n", g->samples[k].line,
                          text);
            mem_free(&mem_libc, text);
        }
        if (g->count > g->sample_count)
            (void)fprintf(out, "  … and %" PRIu64 " more%s\n",
                          g->count - g->sample_count,
                          im->report ? "" : "; --report FILE has all of them");
        if (refusal_advice(g->code)[0] != '\0')
            (void)fprintf(out, "  → %s\n", refusal_advice(g->code));
    }
}

static void tell_summary(const struct import *im, bool is_done, tstamp now)
{
    uint64_t refused = import_state_refused(&im->state);
    double took = (double)(now - im->progress.started) / (double)SECONDS;
    double rate = progress_rate(&im->progress, im->state.line, now);
    char text[32];
    json_t *json;

    if (!im->cli->args.json) {
        (void)fprintf(
            im->cli->out.out,
            "%" PRIu64 " published, %" PRIu64 " there already, %" PRIu64
            " refused; %" PRIu64 " lines in %s, %.0f/s\n",
            im->state.created, im->state.known, refused,
            im->state.line - im->first_line, print_seconds(took, text), rate);
        return;
    }
    json = import_state_to_json(&im->state);
    (void)json_object_del(json, "format");
    (void)json_object_set_new(json, "done", json_boolean(is_done));
    (void)json_object_set_new(json, "seconds", json_real(took));
    (void)json_object_set_new(json, "rate", json_real(rate));
    print_json(&im->cli->out, json);
    json_decref(json);
}

static int finish_all(struct import *im)
{
    bool is_done = feed_is_done(&im->feed) && !im->feed.has_failed;
    tstamp now = clock_now();

    if (im->feed.has_failed)
        cli_complain(im->cli, "%s: it could not be read to its end", im->path);
    if (is_done && im->state_path != NULL)
        (void)unlink(im->state_path);
    else
        (void)save(im, now);
    tell_summary(im, is_done, now);
    if (!im->cli->args.json)
        tell_refused(im);
    if (!is_done && im->state_path != NULL)
        cli_complain(im->cli,
                     "stopped behind line %" PRIu64
                     "; the same command goes on from there",
                     im->state.line);
    return is_done && import_state_refused(&im->state) == 0 ? EXIT_OK
                                                            : EXIT_FAILED;
}

static void close_all(struct import *im)
{
    for (size_t i = 0; i < im->transfer_count; i++) {
        if (im->transfers[i].line != NULL && !im->transfers[i].is_waiting)
            (void)curl_multi_remove_handle(im->multi, im->transfers[i].curl);
        curl_easy_cleanup(im->transfers[i].curl);
        answer_release(&im->transfers[i].answer);
    }
    mem_free(&mem_libc, im->transfers);
    (void)curl_multi_cleanup(im->multi);
    if (im->feed.lines != NULL)
        feed_release(&im->feed);
    if (im->file != NULL && im->file != stdin)
        (void)fclose(im->file);
    if (im->report != NULL && fclose(im->report) != 0)
        cli_complain(im->cli, "%s: %s", im->cli->args.report, strerror(errno));
}

int run_import(struct cli *cli)
{
    struct import im = {.cli = cli, .path = cli->args.words[0]};
    int status = open_all(&im);

    if (status == EXIT_OK) {
        catch_signals();
        run(&im);
        status = finish_all(&im);
    }
    close_all(&im);
    return status;
}
