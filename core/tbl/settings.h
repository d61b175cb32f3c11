/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TBL_SETTINGS_H
#define TBL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/time.h"
#include "souk/err.h"

/* The settings of a node, from the one table tbl/params.h:
 *
 *      settings_init()        every default
 *      settings_take_flags()  --listen /ip4/…       ┐ in any order: what ranks
 *      settings_take_env()    SOUK_LISTEN=…         │ higher stays, flags over
 *      settings_take_yaml()   listen: [/ip4/…]      ┘ environment over file
 *      s.listen.at[0]         read the fields
 *
 * It reads no file and no environment itself: both are handed in.  A list is
 * replaced by the highest source that names it, and appended to within one. */

struct text_list {
    char **at;
    size_t count;
};
struct text_pair {
    char *key;
    char *value;
};
struct text_map {
    struct text_pair *at;
    size_t count;
};
struct place {
    bool is_set;
    double latitude, longitude;
};

/* A field's C type, by the type column of the table. */
#define SETTINGS_FIELD_TEXT(name) char *name;
#define SETTINGS_FIELD_CHOICE(name) char *name;
#define SETTINGS_FIELD_LIST(name) struct text_list name;
#define SETTINGS_FIELD_MAP(name) struct text_map name;
#define SETTINGS_FIELD_PLACE(name) struct place name;
#define SETTINGS_FIELD_BOOL(name) bool name;
#define SETTINGS_FIELD_NUMBER(name) uint64_t name;
#define SETTINGS_FIELD_SIZE(name) uint64_t name; /* bytes */
#define SETTINGS_FIELD_RATE(name) uint64_t name; /* 0: off */
#define SETTINGS_FIELD_DURATION(name) duration name;

enum param {
#define PARAM(name, type, text, number, min, max, argument, help) PARAM_##name,
#include "tbl/params.h"
    PARAM_COUNT
};

enum settings_source {
    SETTINGS_DEFAULT,
    SETTINGS_FILE,
    SETTINGS_ENV,
    SETTINGS_FLAG,
};

struct settings {
#define PARAM(name, type, text, number, min, max, argument, help) \
    SETTINGS_FIELD_##type(name)
#include "tbl/params.h"
    enum settings_source source[PARAM_COUNT];
};

/* Why something was refused, for people: one line without its newline. */
struct settings_error {
    char text[384];
};

void settings_init(struct settings *s);
void settings_release(struct settings *s);

/* One setting; one of lower rank than what is there is checked and left.
 * ERR_CONFIG: |error| says why. */
MUST_USE
enum err settings_set(struct settings *s, enum param param,
                      enum settings_source source, const char *value,
                      struct settings_error *error);

/* All of |argv| must be flags: --name VALUE, --name=VALUE, --switch. */
MUST_USE
enum err settings_take_flags(struct settings *s, int argc, char *const *argv,
                             struct settings_error *error);
/* SOUK_*, and the default of |data| from XDG_DATA_HOME and HOME. */
MUST_USE
enum err settings_take_env(struct settings *s, char *const *environment,
                           struct settings_error *error);
/* |file| is its name, for the errors: "souk.yaml:3: unknown …". */
MUST_USE
enum err settings_take_yaml(struct settings *s, struct span text,
                            const char *file, struct settings_error *error);

/* What holds between settings; after all sources. */
MUST_USE
enum err settings_check(const struct settings *s, struct settings_error *error);

/* The settings as a YAML file, the source of each behind it. */
MUST_USE
enum err settings_print(const struct settings *s, struct buf *out);
/* The flags, for `souk help serve`. */
MUST_USE
enum err settings_help(struct buf *out);
/* docs/CONFIG.md, docs/ERRORS.md and docs/LIMITS.md. */
MUST_USE
enum err settings_docs(struct buf *out);
MUST_USE
enum err errors_docs(struct buf *out);
MUST_USE
enum err limits_docs(struct buf *out);

/* The values of the table, each the whole of |text|. */
bool duration_parse(const char *text, duration *out); /* 250ms 2s 5m 1h */
bool bytes_parse(const char *text, uint64_t *out);    /* 512 64KiB 1GiB */
void duration_format(duration d, char out[32]);       /* the shortest exact */
void bytes_format(uint64_t bytes, char out[32]);
bool place_parse(const char *text, struct place *out); /* LAT,LON or "" */

#endif /* TBL_SETTINGS_H */
