/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/refusal.h"

#include <string.h>

#include "base/mem.h"
#include "gateway/command.h"

static const struct {
    const char *code, *advice;
} advices[] = {
    {"unauthorized", "give the node's token: --token-file DIR/admin-token, or "
                     "SOUK_TOKEN"},
    {"forbidden", "the token is of another scope; use the admin token, "
                  "DIR/admin-token"},
    {"not-json", "see that the file is one JSON object in UTF-8"},
    {"schema", "mend the members named above and try again"},
    {"inval", "mend what is named above and try again"},
    {"record-size", "shorten the texts or the lists of the record"},
    {"bad-signature", "sign it anew: souk key sign RECORD.json"},
    {"unsigned", "sign it: souk key sign RECORD.json"},
    {"wrong-key", "the namespace is of another key: use one of your own"},
    {"not-owner", "publish it under a name of your own, or have the owner sign "
                  "it: souk key sign"},
    {"version-exists", "a version never changes: publish it under a new one"},
    {"stale-sequence", "sign it anew: souk key sign RECORD.json"},
    {"name-equivalent", "choose a name that differs in more than - and _"},
    {"not-our-key", "its owner signs it: souk key sign, then souk publish"},
    {"all-yanked", "ask for a version by its number: souk versions NS/NAME"},
    {"lookup-incomplete", "ask again, or longer: --timeout 20s"},
    {"dial-failed", "see that the peer runs and that its address is right"},
    {"banned", "wait until the ban is over: souk peers --state banned"},
    {"rate-limited", "ask less often, or with the admin token"},
    {"busy", "try again a little later"},
    {"limit", "try again later; souk limits shows which limit it was"},
    {"draining", "the node is shutting down: try again when it is back"},
    {"store", "look at the node's log: its disk may be full"},
    {"misdirected", "use the address the node itself logs as admin"},
    {"method-not-allowed", "the node is of another version than this souk"},
};

const char *refusal_advice(const char *code)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (strcmp(advices[i].code, code) == 0)
            return advices[i].advice;
    return "";
}

int refusal_exit(long status)
{
    return status == 404   ? EXIT_NOT_FOUND
           : status == 504 ? EXIT_INCOMPLETE
                           : EXIT_FAILED;
}

json_t *refusal_problem(const struct answer *a)
{
    struct span body = buf_span(&a->body);
    json_t *json;

    if (strncmp(a->type, "application/problem+json", 24) != 0)
        return NULL;
    json = json_loadb((const char *)body.data, body.len, 0, NULL);
    if (json_is_string(json_object_get(json, "code")))
        return json;
    json_decref(json);
    return NULL;
}

static const char *text(const json_t *object, const char *member)
{
    const char *value = json_string_value(json_object_get(object, member));

    return value ? value : "";
}

static void tell(const struct screen *to, const char *prefix,
                 const char *between, const char *a, const char *b)
{
    char *first = text_clean(span_str(a)), *second = text_clean(span_str(b));

    (void)fprintf(to->out, "%s%s%s%s\n", prefix, first, between, second);
    mem_free(&mem_libc, first);
    mem_free(&mem_libc, second);
}

static void tell_problem(const struct screen *to, const json_t *problem,
                         const struct answer *a)
{
    const char *title = text(problem, "title");
    const char *detail = text(problem, "detail"), *code = text(problem, "code");
    char where[160];
    const json_t *errors = json_object_get(problem, "errors"), *one;
    size_t i;

    (void)snprintf(where, sizeof(where), "%.100s, %ld", code, a->status);
    tell(to, to->has_colour ? "\033[31msouk: \033[0m" : "souk: ", " — ", title,
         where);
    if (detail[0] != '\0' && strcmp(detail, title) != 0)
        tell(to, "  ", "", detail, "");
    for (i = 0; (one = json_array_get(errors, i)) != NULL; i++)
        tell(to, "  ", ": ", text(one, "pointer"), text(one, "detail"));
    if (a->retry_after_s > 1)
        (void)fprintf(to->out, "  → try again in %u s\n", a->retry_after_s);
    else if (refusal_advice(code)[0] != '\0')
        (void)fprintf(to->out, "  → %s\n", refusal_advice(code));
}

static void tell_silence(const struct screen *to, const struct remote *remote,
                         const struct answer *a)
{
    (void)fprintf(to->out, "souk: no answer from %s: %s\n", remote->name,
                  a->failure);
    (void)fprintf(to->out, "  → is the node running (souk serve), and is its "
                           "address right (--api, SOUK_API)?\n");
}

int refusal_tell(const struct screen *to, const struct remote *remote,
                 const struct answer *a, bool as_json)
{
    json_t *problem;

    if (a->status == 0) {
        tell_silence(to, remote, a);
        return EXIT_FAILED;
    }
    problem = refusal_problem(a);
    if (problem == NULL) {
        (void)fprintf(to->out,
                      "souk: %s answered %ld and not as a souk node does\n"
                      "  → is the address right (--api, SOUK_API)?\n",
                      remote->name, a->status);
        return EXIT_FAILED;
    }
    if (as_json)
        print_raw(to, buf_span(&a->body));
    else
        tell_problem(to, problem, a);
    json_decref(problem);
    return refusal_exit(a->status);
}
