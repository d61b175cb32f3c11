/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_IMPORT_STATE_H
#define CLI_IMPORT_STATE_H

#include <jansson.h>

#include "base/span.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* How far an import came: what is said at its end, and what is kept in a small
 * file meanwhile, so that after any death the next run goes on from there.
 *
 *      {"node":"12D3…","head":"…","offset":81920,"line":117,"created":115,
 *       "known":0,"report_bytes":210,"refused":[{"code":"schema",…}]}
 *
 * Only lines before which nothing is open are counted: what was acknowledged
 * beyond is published again, which changes nothing. */
enum {
    IMPORT_GROUPS_MAX = 24,
    IMPORT_SAMPLES_MAX = 3,
    IMPORT_HEAD_BYTES = 4096, /* by which a file is known again */
    IMPORT_STATE_BYTES_MAX = 1 << 20,
};

struct import_sample {
    uint64_t line;
    char text[256];
};

/* What was refused for one reason. */
struct import_group {
    char code[64];
    char title[128];
    uint64_t count;
    struct import_sample samples[IMPORT_SAMPLES_MAX];
    size_t sample_count;
};

struct import_state {
    char node[PEER_ID_TEXT_MAX]; /* whom it was published to */
    char head[65];               /* SHA-256 of the file's first bytes, in hex */
    uint64_t head_len;
    uint64_t offset; /* in the file, of the next line */
    uint64_t line;   /* lines before it */
    uint64_t created, known;
    uint64_t report_bytes; /* of the report */
    struct import_group groups[IMPORT_GROUPS_MAX];
    size_t group_count;
};

/* Count a refusal; what is beyond the groups counts in the last one. */
void import_state_refuse(struct import_state *s, const char *code,
                         const char *title, uint64_t line, const char *text);
uint64_t import_state_refused(const struct import_state *s);

/* Remember which file it is; |first| are up to IMPORT_HEAD_BYTES of it. */
void import_state_know_file(struct import_state *s, struct span first);
/* Does the file that begins so (it may have grown since) continue it? */
bool import_state_is_of(const struct import_state *s, struct span first,
                        uint64_t size);

json_t *import_state_to_json(const struct import_state *s);
/* ERR_INVAL. */
MUST_USE
enum err import_state_from_json(struct import_state *s, const json_t *json);

/* Atomically: a reader sees the old one or the new one.  ERR_IO, errno. */
MUST_USE
enum err import_state_save(const struct import_state *s, const char *path);
/* ERR_NOT_FOUND; ERR_INVAL: it is no state; ERR_IO. */
MUST_USE
enum err import_state_load(struct import_state *s, const char *path);

#endif /* CLI_IMPORT_STATE_H */
