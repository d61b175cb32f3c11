/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARKET_RECORD_H
#define MARKET_RECORD_H

#include <jansson.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"
#include "market/package.h"
#include "market/select.h"
#include "market/semver.h"
#include "multi/peer_id.h"
#include "souk/err.h"

/* A package record: the one JSON object that is the value in the DHT, the
 * gossip announcement and the REST body.
 *
 *      record_parse() ─► complete? ──────────────► record_verify()
 *                           └► record_complete() ► record_sign()
 *
 * It is a value: what is read often is lifted out of |json|, and |bytes| is
 * the record as it is stored and sent.  Those are canonical (RFC 8785) for a
 * signed record and exactly what came for an unsigned one.  Never change
 * |json| from outside.  Parsing never trusts: until record_verify() the
 * publisher is only a claim. */

enum {
    RECORD_BYTES_MAX = 12 * 1024, /* compact */
    RECORD_DEPTH_MAX = 8,
    RECORD_TITLE_MAX = 200, /* code points, as all texts */
    RECORD_DESCRIPTION_MAX = 2000,
    RECORD_TAGS_MAX = 32,
    RECORD_TAG_MAX = 64,
    RECORD_DEPENDENCIES_MAX = 64,
    RECORD_VERSIONS_MAX = 128, /* in souk.versions */
    RECORD_REASON_MAX = 500,   /* of a yank, as this node writes it */
    RECORD_HASH_LEN = 32,

    PROBLEMS_MAX = 16,
    PROBLEM_TEXT_MAX = 128,
};

/* What is wrong with an input, for the `errors` of RFC 9457. */
struct problem {
    char pointer[PROBLEM_TEXT_MAX]; /* JSON pointer; "" = the whole */
    char detail[PROBLEM_TEXT_MAX];
};
struct problems {
    size_t count; /* at most PROBLEMS_MAX are kept */
    struct problem list[PROBLEMS_MAX];
};
/* |p| may be NULL, here and below. */
__attribute__((format(printf, 3, 4))) void
problems_add(struct problems *p, const char *pointer, const char *format, ...);

enum record_flags {
    /* As on the souk network: complete and signed. */
    RECORD_SIGNED_ONLY = 0,
    /* As on the ggen network: complete, signed or not. */
    RECORD_UNSIGNED_OK = 1 << 0,
    /* As a publisher may send it: unsigned ones may be incomplete, their id
     * may be "ns/name" and versions SemVer strings; signed ones as above. */
    RECORD_INPUT = 1 << 1,
};

enum record_trust { /* docs/PROTOCOLS.md, worst first */
                    TRUST_UNVERIFIED,
                    TRUST_SIGNED,
                    TRUST_PINNED,
                    TRUST_TRUSTED,
                    TRUST_SELF_CERTIFIED,
};
const char *record_trust_name(enum record_trust trust); /* "self-certified" */
bool record_trust_parse(struct span name, enum record_trust *trust);

struct record {
    json_t *json; /* NULL: released, or never filled */
    struct package_id id;
    struct semver version;
    struct peer_id publisher; /* len 0: unsigned */
    uint64_t sequence;        /* 0: unsigned */
    bool is_signed;           /* carries souk.signature */
    bool is_verified;         /* and record_verify() liked it */
    bool is_complete;         /* nothing left out; |bytes| are there */
    bool is_yanked;
    bool has_versions; /* carries souk.versions: it is or was a head */
    /* RECORD_INPUT: the client wrote these itself. */
    bool sent_created_at, sent_updated_at;
    wall_ms created_at;
    wall_ms updated_at;
    /* Of the content that never changes in a version: all but stats, times,
     * and souk less its artifact. */
    uint8_t content_hash[RECORD_HASH_LEN];
    uint8_t hash[RECORD_HASH_LEN]; /* SHA-256 of |bytes| */
    struct buf bytes;
    /* Where `,"signature":"…"` is in |bytes|, and its length. */
    size_t signature_at, signature_len;
    /* Where `"souk":{…}` is in |bytes|, or belongs (the length is 0 then); 0:
     * it is not known. */
    size_t souk_at, souk_len;
};

/* Once a process, before the first record: let jansson abort when memory ends,
 * as our own small allocations do.  Otherwise its lexer (2.14) goes on, and
 * loses a character of the text it reads without an error, or crashes. */
void record_init(void);

/* Fill |r| from |text|, whatever its spacing.  On error |r| is empty and
 * |problems| says what is wrong and where.
 *
 * ERR_NOT_JSON       not I-JSON: syntax, UTF-8, duplicate member, lone
 *                    surrogate, U+0000; also no object
 * ERR_SCHEMA         a member is missing, wrong or over its limit
 * ERR_UNSIGNED       no souk.signature where one is needed
 * ERR_RECORD_SIZE    more than RECORD_BYTES_MAX compact
 * ERR_NOMEM */
MUST_USE
enum err record_parse(struct record *r, struct span text, unsigned flags,
                      const struct mem *mem, struct problems *problems);
void record_release(struct record *r);

/* Fill in what a publisher may leave out.  |artifact_sha256| (32 bytes) is the
 * hash of the artifact, NULL if there is none.  A complete record stays as it
 * is.  ERR_RECORD_SIZE, ERR_NOMEM. */
MUST_USE
enum err record_complete(struct record *r, wall_ms wall,
                         const uint8_t *artifact_sha256);

/* Is the signature that of the publisher?  Marks it verified.
 * ERR_UNSIGNED, ERR_BAD_SIGNATURE, ERR_NOMEM. */
MUST_USE
enum err record_verify(struct record *r);

/* A version of the package, as souk.versions lists it. */
struct record_version {
    struct semver version;
    bool is_yanked;
};

/* What record_sign() writes into `souk`, besides publisher and sequence. */
struct record_seal {
    uint64_t sequence;
    /* A head: all versions, this one among them, in any order. */
    const struct record_version *versions; /* NULL: not a head */
    size_t version_count;
    bool is_yanked;
    struct span reason;      /* text, empty = none */
    struct span use_instead; /* SemVer text, empty = none */
};

struct ed25519_keypair;

/* A copy of |r| (complete) in |out|, sealed and signed by |key|: the artifact
 * stays, every other member of `souk` is made anew.  ERR_RECORD_SIZE (fewer
 * versions are listed before that happens), ERR_NOMEM. */
MUST_USE
enum err record_sign(const struct record *r, const struct record_seal *seal,
                     const struct ed25519_keypair *key, struct record *out);

/* A copy that shares |json|. */
MUST_USE
enum err record_copy(const struct record *r, struct record *out);

/* Is |sent| the same publish as |have|: the same content, and the times as far
 * as the client sent them? */
bool record_is_same_publish(const struct record *have,
                            const struct record *sent);

/* The order of records of one publisher under one key. */
struct select_key record_select_key(const struct record *r);

/* The |nth| entry of souk.versions, newest first.  false: no such. */
bool record_version_at(const struct record *r, size_t nth,
                       struct record_version *out);
/* Does the head list |v|, and how?  An old copy of a version cannot undo a
 * yank that its head tells of. */
bool record_lists(const struct record *head, const struct semver *v,
                  bool *is_yanked);
/* souk.versions_total; 0 if the record is no head. */
uint64_t record_versions_total(const struct record *r);
/* souk.yanked.reason / .use_instead, "" if there is none; valid as long as
 * |r|. */
const char *record_yank_reason(const struct record *r);
const char *record_yank_use_instead(const struct record *r);

/* Of the versions a package has, the one that is its head: the highest stable
 * one not yanked, else the highest pre-release not yanked.  |count| if there
 * is none (all are yanked: the last head stays). */
size_t record_choose_head(const struct record_version *versions, size_t count);

/* Texts of the record, never NULL ("" if null or absent), valid as long as
 * |r|: "title", "description", "license", "homepage", … of metadata. */
const char *record_text(const struct record *r, const char *member);
/* "WebService" or the text of {"Custom": text}; NULL beyond the last. */
const char *record_category(const struct record *r, size_t nth);
const char *record_tag(const struct record *r, size_t nth);
const char *record_author(const struct record *r, size_t nth); /* its name */

#endif /* MARKET_RECORD_H */
