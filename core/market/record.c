/* SPDX-License-Identifier: Apache-2.0 */
#include "market/record.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/hash.h"
#include "market/check.h"
#include "market/jcs.h"
#include "market/rfc3339.h"
#include "multi/base.h"

enum { JSON_FLAGS = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY };

static void *alloc_or_abort(size_t size)
{
    void *ptr = mem_try(&mem_libc, NULL, size ? size : 1);

    if (ptr == NULL)
        abort();
    return ptr;
}

static void release(void *ptr)
{
    mem_free(&mem_libc, ptr);
}

void record_init(void)
{
    json_set_alloc_funcs(alloc_or_abort, release);
}

void record_release(struct record *r)
{
    json_decref(r->json);
    buf_release(&r->bytes);
    *r = (struct record){0};
}

static struct span string_span(const json_t *value)
{
    return SPAN(json_string_value(value), json_string_length(value));
}

static enum err load(struct span text, json_t **out, struct problems *problems)
{
    json_error_t e;

    *out = json_loadb((const char *)text.data, text.len, JSON_FLAGS, &e);
    if (*out == NULL && json_error_code(&e) == json_error_out_of_memory)
        return ERR_NOMEM;
    if (*out == NULL) {
        problems_add(problems, "", "line %d, column %d: %s", e.line, e.column,
                     e.text);
        /* A number may be JSON and still be none we can hold. */
        return json_error_code(&e) == json_error_numeric_overflow
                   ? ERR_SCHEMA
                   : ERR_NOT_JSON;
    }
    if (!json_is_object(*out)) {
        problems_add(problems, "", "must be an object");
        return ERR_SCHEMA;
    }
    return OK;
}

static wall_ms time_member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    struct moment moment = {0};

    if (json_is_string(value))
        (void)rfc3339_parse(string_span(value), &moment);
    return moment.ms;
}

/* The members that are read often, from a checked record. */
static void lift(struct record *r)
{
    const json_t *publisher = souk_member(r->json, "publisher");
    enum err err;

    (void)package_from_json(json_object_get(r->json, "id"), &r->id);
    (void)version_from_json(json_object_get(r->json, "version"), &r->version);
    r->created_at = time_member(r->json, "created_at");
    r->updated_at = time_member(r->json, "updated_at");
    if (!r->is_signed)
        return;
    err = peer_id_parse(&r->publisher, string_span(publisher));
    assert(err == OK); /* it was checked */
    (void)err;
    r->sequence =
        (uint64_t)json_integer_value(souk_member(r->json, "sequence"));
    r->is_yanked = souk_member(r->json, "yanked") != NULL;
    r->has_versions = souk_member(r->json, "versions") != NULL;
}

/* The members that are not a version's content, and the one in `souk` that
 * is, in the order of their names. */
enum {
    MARK_CREATED,
    MARK_SOUK,
    MARK_STATS,
    MARK_UPDATED,
    MARK_ARTIFACT,
    MARK_SEQUENCE,
    MARK_SIGNATURE,
    MARK_COUNT
};

struct marks {
    struct jcs_mark at[MARK_COUNT];
};

static enum err write_marked(const json_t *json, bool is_loose,
                             struct marks *marks, struct buf *out)
{
    struct jcs_options options = {marks->at, MARK_COUNT, is_loose};
    enum err err;

    *marks = (struct marks){{[MARK_CREATED] = {"created_at", 0, 0},
                             [MARK_SOUK] = {"souk", 0, 0},
                             [MARK_STATS] = {"stats", 0, 0},
                             [MARK_UPDATED] = {"updated_at", 0, 0},
                             [MARK_ARTIFACT] = {"souk/artifact", 0, 0},
                             [MARK_SEQUENCE] = {"souk/sequence", 0, 0},
                             [MARK_SIGNATURE] = {"souk/signature", 0, 0}}};
    err = jcs_write_with(json, &options, out);
    return err == OK || err == ERR_NOMEM ? err : ERR_RECORD_SIZE;
}

/* Hash canonical |bytes| without what may change.  No marked member is the
 * first of its object, so each goes with the comma before it. */
static void hash_content(struct span bytes, const struct marks *marks,
                         uint8_t out[SHA256_LEN])
{
    const struct jcs_mark *artifact = &marks->at[MARK_ARTIFACT];
    struct sha256 h;
    size_t from = 0;

    sha256_init(&h);
    for (int i = MARK_CREATED; i <= MARK_UPDATED; i++) {
        const struct jcs_mark *m = &marks->at[i];

        if (m->end == 0)
            continue;
        sha256_add(&h, SPAN(bytes.data + from, m->start - 1 - from));
        from = m->end;
    }
    sha256_add(&h, SPAN(bytes.data + from, bytes.len - from));
    sha256_add(&h, SPAN(bytes.data + artifact->start,
                        artifact->end - artifact->start));
    sha256_final(&h, out);
}

/* As hash_content(), of a record whose bytes are not canonical. */
static enum err hash_content_of(struct record *r)
{
    struct marks marks;
    struct buf text;
    enum err err;

    /* A real number may be longer here than it came. */
    buf_init(&text, 4 * RECORD_BYTES_MAX, r->bytes.mem);
    err = write_marked(r->json, true, &marks, &text);
    if (err == OK)
        hash_content(buf_span(&text), &marks, r->content_hash);
    buf_release(&text);
    return err;
}

/* `souk` comes right before `stats`, unless somebody's own member is between.
 */
static bool is_between(const json_t *json)
{
    json_t *o = (json_t *)(uintptr_t)json; /* jansson iterates non-const */

    for (void *it = json_object_iter(o); it != NULL;
         it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);

        if (jcs_key_cmp(key, "souk") > 0 && jcs_key_cmp(key, "stats") < 0)
            return true;
    }
    return false;
}

static void find_souk(struct record *r, const struct marks *marks)
{
    const struct jcs_mark *souk = &marks->at[MARK_SOUK];

    r->souk_len = souk->end - souk->start;
    r->souk_at = souk->start;
    if (souk->end == 0 && !is_between(r->json))
        r->souk_at = marks->at[MARK_STATS].start;
}

/* Write the canonical bytes. */
static enum err settle(struct record *r, struct marks *marks)
{
    const struct jcs_mark *signature = &marks->at[MARK_SIGNATURE];

    buf_clear(&r->bytes);
    TRY(write_marked(r->json, false, marks, &r->bytes));
    sha256(buf_span(&r->bytes), r->hash);
    hash_content(buf_span(&r->bytes), marks, r->content_hash);
    if (signature->end > 0) {
        r->signature_at = signature->start - 1;
        r->signature_len = signature->end - r->signature_at;
    }
    find_souk(r, marks);
    r->is_complete = true;
    return OK;
}

/* Take the bytes as they came. */
static enum err settle_verbatim(struct record *r, struct span text)
{
    enum err err = buf_put(&r->bytes, text);

    if (err != OK)
        return err == ERR_NOMEM ? ERR_NOMEM : ERR_RECORD_SIZE;
    sha256(text, r->hash);
    TRY(hash_content_of(r));
    r->is_complete = true;
    return OK;
}

static bool is_there(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return value != NULL && !json_is_null(value);
}

static enum err parse(struct record *r, struct span text, unsigned flags,
                      struct problems *problems)
{
    bool is_input = (flags & RECORD_INPUT) != 0;
    struct marks marks;

    TRY(check_shape(text, problems));
    TRY(load(text, &r->json, problems));
    r->is_signed = souk_member(r->json, "signature") != NULL;
    r->sent_created_at = is_there(r->json, "created_at");
    r->sent_updated_at = is_there(r->json, "updated_at");
    if (r->is_signed) {
        TRY(check_record(r->json, CHECK_SIGNED, problems));
    } else if (is_input) {
        TRY(normalise_record(r->json));
        TRY(check_record(r->json, CHECK_INPUT, problems));
    } else if ((flags & RECORD_UNSIGNED_OK) != 0) {
        TRY(check_record(r->json, CHECK_UNSIGNED, problems));
    } else {
        problems_add(problems, "/souk/signature", "is missing");
        return ERR_UNSIGNED;
    }
    lift(r);
    if (is_input && !r->is_signed)
        return OK; /* record_complete() settles it */
    return r->is_signed ? settle(r, &marks) : settle_verbatim(r, text);
}

enum err record_parse(struct record *r, struct span text, unsigned flags,
                      const struct mem *mem, struct problems *problems)
{
    enum err err;

    if (problems != NULL)
        problems->count = 0;
    *r = (struct record){0};
    buf_init(&r->bytes, RECORD_BYTES_MAX, mem);
    err = parse(r, text, flags, problems);
    if (err == ERR_RECORD_SIZE)
        problems_add(problems, "", "is longer than %d bytes", RECORD_BYTES_MAX);
    if (err != OK)
        record_release(r);
    return err;
}

enum err record_copy(const struct record *r, struct record *out)
{
    struct buf bytes;

    *out = (struct record){0};
    buf_init(&bytes, RECORD_BYTES_MAX, r->bytes.mem);
    TRY(buf_put(&bytes, buf_span(&r->bytes)));
    *out = *r;
    out->bytes = bytes;
    json_incref(out->json);
    return OK;
}

/* ---- What the node fills in. ---- */

/* Gives |value| to |object| if there is nothing yet.  false: no memory. */
static bool fill(json_t *object, const char *name, json_t *value)
{
    if (is_there(object, name)) {
        json_decref(value);
        return true;
    }
    return json_object_set_new(object, name, value) == 0;
}

static bool fill_metadata(const struct record *r)
{
    json_t *metadata = json_object_get(r->json, "metadata");
    json_t *authors;
    bool ok;

    ok = fill(metadata, "title", json_string(r->id.name)) &&
         fill(metadata, "description", json_string("")) &&
         fill(metadata, "categories", json_array()) &&
         fill(metadata, "tags", json_array()) &&
         fill(metadata, "license", json_string("UNLICENSED")) &&
         fill(metadata, "authors", json_array()) &&
         fill(metadata, "custom_fields", json_object());
    authors = json_object_get(metadata, "authors");
    for (size_t i = 0; ok && i < json_array_size(authors); i++)
        ok = fill(json_array_get(authors, i), "metadata", json_object());
    return ok;
}

static bool fill_dependencies(const struct record *r)
{
    json_t *list = json_object_get(r->json, "dependencies");

    for (size_t i = 0; i < json_array_size(list); i++)
        if (!fill(json_array_get(list, i), "optional", json_false()))
            return false;
    return true;
}

static bool fill_stats(const struct record *r, const char *now)
{
    static const char *const counts[] = {"downloads", "stars", "watchers",
                                         "forks", "contributors"};
    json_t *stats = json_object_get(r->json, "stats");

    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (!fill(stats, counts[i], json_integer(0)))
            return false;
    return fill(stats, "last_updated", json_string(now));
}

static json_t *content_id(const uint8_t *artifact_sha256)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t of_nothing[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1] = "";

    if (artifact_sha256 == NULL) {
        sha256(SPAN_NONE, of_nothing);
        artifact_sha256 = of_nothing;
    }
    for (size_t i = 0; i < SHA256_LEN; i++) {
        hex[2 * i] = digits[artifact_sha256[i] >> 4];
        hex[2 * i + 1] = digits[artifact_sha256[i] & 15];
    }
    return json_pack("{s:s,s:s}", "hash", hex, "algorithm", "Sha256");
}

enum err record_complete(struct record *r, wall_ms wall,
                         const uint8_t *artifact_sha256)
{
    char now[RFC3339_TEXT_MAX];
    struct marks marks;
    bool ok;

    if (r->is_complete)
        return OK;
    (void)rfc3339_format(wall, now);
    ok = fill(r->json, "metadata", json_object()) &&
         fill(r->json, "content_id", content_id(artifact_sha256)) &&
         fill(r->json, "dependencies", json_array()) &&
         fill(r->json, "stats", json_object()) &&
         fill(r->json, "created_at", json_string(now)) &&
         fill(r->json, "updated_at", json_string(now)) && fill_metadata(r) &&
         fill_dependencies(r) && fill_stats(r, now);
    if (!ok)
        return ERR_NOMEM;
    lift(r);
    return settle(r, &marks);
}

/* ---- Signatures. ---- */

/* spec: docs/PROTOCOLS.md: over `souk-package-v1:` ‖ JCS without souk.signature
 */
static enum err write_message(struct buf *out, struct span before,
                              struct span after)
{
    TRY(buf_put(out, SPAN_LIT("souk-package-v1:")));
    TRY(buf_put(out, before));
    return buf_put(out, after);
}

static bool verify(const struct record *r, struct span message)
{
    const json_t *signature = souk_member(r->json, "signature");
    uint8_t sig[ED25519_SIG_LEN];
    struct pubkey key;
    size_t n = 0;

    return base_decode(BASE64URL, string_span(signature), sig, sizeof(sig),
                       &n) == OK &&
           peer_id_pubkey(&r->publisher, &key) == OK &&
           ed25519_verify(pubkey_data(&key).data, message, SPAN(sig, n));
}

enum err record_verify(struct record *r)
{
    struct span before = buf_span(&r->bytes), after = before;
    struct buf message;
    enum err err;

    if (!r->is_signed)
        return ERR_UNSIGNED;
    before.len = r->signature_at;
    (void)span_take(&after, r->signature_at + r->signature_len);
    buf_init(&message, 2 * RECORD_BYTES_MAX, r->bytes.mem);
    err = write_message(&message, before, after);
    if (err == OK && !verify(r, buf_span(&message)))
        err = ERR_BAD_SIGNATURE;
    buf_release(&message);
    r->is_verified = err == OK;
    return err;
}

static int newest_first(const void *a, const void *b)
{
    const struct record_version *x = a, *y = b;

    return semver_cmp(&y->version, &x->version);
}

/* The newest |count| of the sealed versions, which are sorted. */
static json_t *versions_to_json(const struct record_version *versions,
                                size_t count)
{
    json_t *list = json_array();
    char text[SEMVER_TEXT_MAX];
    bool ok = list != NULL;

    for (size_t i = 0; ok && i < count; i++) {
        json_t *item = json_object();

        (void)semver_format(&versions[i].version, text);
        ok = item != NULL &&
             json_object_set_new(item, "version", json_string(text)) == 0 &&
             (!versions[i].is_yanked ||
              json_object_set_new(item, "yanked", json_true()) == 0) &&
             json_array_append(list, item) == 0;
        json_decref(item);
    }
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *text_to_json(struct span s)
{
    return json_stringn((const char *)s.data, s.len);
}

static json_t *yanked_to_json(const struct record_seal *seal)
{
    json_t *yanked = json_object();
    bool ok = yanked != NULL;

    if (ok && seal->reason.len > 0)
        ok = json_object_set_new(yanked, "reason",
                                 text_to_json(seal->reason)) == 0;
    if (ok && seal->use_instead.len > 0)
        ok = json_object_set_new(yanked, "use_instead",
                                 text_to_json(seal->use_instead)) == 0;
    if (ok)
        return yanked;
    json_decref(yanked);
    return NULL;
}

/* `souk` with all but the signature, |listed| versions in it. */
static json_t *seal_to_json(const struct record *r,
                            const struct record_seal *seal,
                            const struct peer_id *publisher, size_t listed)
{
    const json_t *artifact = souk_member(r->json, "artifact");
    char text[PEER_ID_TEXT_MAX];
    json_t *souk = json_object();
    bool ok = souk != NULL;

    ok = ok &&
         json_object_set_new(souk, "publisher",
                             json_string(peer_id_format(publisher, text))) == 0;
    ok = ok &&
         json_object_set_new(souk, "sequence",
                             json_integer((json_int_t)seal->sequence)) == 0;
    if (artifact != NULL)
        ok = ok && json_object_set_new(souk, "artifact",
                                       json_deep_copy(artifact)) == 0;
    if (seal->versions != NULL) {
        ok = ok &&
             json_object_set_new(souk, "versions",
                                 versions_to_json(seal->versions, listed)) == 0;
        ok = ok && json_object_set_new(
                       souk, "versions_total",
                       json_integer((json_int_t)seal->version_count)) == 0;
    }
    if (seal->is_yanked)
        ok = ok &&
             json_object_set_new(souk, "yanked", yanked_to_json(seal)) == 0;
    if (ok)
        return souk;
    json_decref(souk);
    return NULL;
}

/* Put the signature where it belongs by its name: behind the sequence, for a
 * `souk` of our own making has nothing between. */
static enum err insert_signature(struct record *r, size_t at, const char *text)
{
    static const char name[] = ",\"signature\":\"";
    size_t n = strlen(name) + strlen(text) + 1;
    size_t tail = buf_len(&r->bytes) - at;
    uint8_t *end, *hole;
    enum err err = buf_reserve(&r->bytes, n, &end);

    if (err != OK)
        return err == ERR_NOMEM ? ERR_NOMEM : ERR_RECORD_SIZE;
    hole = end - tail;
    memmove(hole + n, hole, tail);
    (void)snprintf((char *)hole, n, "%s%s", name, text);
    hole[n - 1] = '"';
    buf_grow(&r->bytes, n);
    r->signature_at = at;
    r->signature_len = n;
    sha256(buf_span(&r->bytes), r->hash);
    return json_object_set_new(json_object_get(r->json, "souk"), "signature",
                               json_string(text)) == 0
               ? OK
               : ERR_NOMEM;
}

static enum err put_signature(struct record *r,
                              const struct ed25519_keypair *key, size_t at)
{
    char text[2 * ED25519_SIG_LEN];
    uint8_t sig[ED25519_SIG_LEN];
    struct buf message;
    enum err err;

    buf_init(&message, 2 * RECORD_BYTES_MAX, r->bytes.mem);
    err = write_message(&message, buf_span(&r->bytes), SPAN_NONE);
    if (err == OK)
        ed25519_sign(key, buf_span(&message), sig);
    buf_release(&message);
    TRY(err);
    (void)base_encode(BASE64URL, SPAN_OF(sig), text, sizeof(text));
    return insert_signature(r, at, text);
}

/* The bytes of |r| with another |souk|; |*at| is where its sequence ends. */
static enum err splice(const struct record *r, const json_t *souk,
                       struct buf *out, size_t *at)
{
    struct jcs_mark sequence = {"sequence", 0, 0};
    struct jcs_options options = {&sequence, 1, false};
    struct span before = buf_span(&r->bytes), after = before;

    before.len = r->souk_at;
    (void)span_take(&after, r->souk_at + r->souk_len);
    TRY(buf_put(out, before));
    TRY(buf_put_str(out, "\"souk\":"));
    *at = buf_len(out);
    TRY(jcs_write_with(souk, &options, out));
    *at += sequence.end;
    if (r->souk_len == 0)
        TRY(buf_put_u8(out, ','));
    return buf_put(out, after);
}

/* What is to be signed: most of it is written already. */
static enum err write_sealed(const struct record *r, struct record *out,
                             size_t *at)
{
    struct marks marks;
    enum err err;

    if (r->souk_at > 0) {
        err = splice(r, json_object_get(out->json, "souk"), &out->bytes, at);
        return err == OK || err == ERR_NOMEM ? err : ERR_RECORD_SIZE;
    }
    err = write_marked(out->json, false, &marks, &out->bytes);
    *at = marks.at[MARK_SEQUENCE].end;
    return err;
}

/* What a seal does not change, and what it says; the hash of the bytes follows
 * with the signature. */
static void lift_sealed(struct record *out, const struct record *r,
                        const struct record_seal *seal,
                        const struct peer_id *publisher)
{
    out->id = r->id;
    out->version = r->version;
    out->created_at = r->created_at;
    out->updated_at = r->updated_at;
    memcpy(out->content_hash, r->content_hash, sizeof(out->content_hash));
    out->publisher = *publisher;
    out->sequence = seal->sequence;
    out->is_yanked = seal->is_yanked;
    out->has_versions = seal->versions != NULL;
    out->is_signed = out->is_verified = out->is_complete = true;
}

/* One try of record_sign(), with |listed| versions. */
static enum err sign(const struct record *r, const struct record_seal *seal,
                     const struct ed25519_keypair *key, size_t listed,
                     struct record *out)
{
    json_t *json = (json_t *)(uintptr_t)r->json; /* only its count changes */
    struct peer_id publisher;
    size_t at = 0;
    enum err err;

    *out = (struct record){0};
    buf_init(&out->bytes, RECORD_BYTES_MAX, r->bytes.mem);
    peer_id_from_ed25519(&publisher, key->pub);
    out->json = json_copy(json);
    if (out->json == NULL ||
        json_object_set_new(out->json, "souk",
                            seal_to_json(r, seal, &publisher, listed)) != 0)
        err = ERR_NOMEM;
    else
        err = write_sealed(r, out, &at);
    if (err == OK) {
        lift_sealed(out, r, seal, &publisher);
        err = put_signature(out, key, at);
    }
    if (err != OK)
        record_release(out);
    return err;
}

enum err record_sign(const struct record *r, const struct record_seal *seal,
                     const struct ed25519_keypair *key, struct record *out)
{
    const struct mem *mem = r->bytes.mem;
    struct record_seal sorted = *seal;
    struct record_version *versions = NULL;
    size_t listed = seal->version_count;
    enum err err;

    assert(r->is_complete);
    *out = (struct record){0};
    if (seal->versions != NULL) {
        size_t size = seal->version_count * sizeof(*versions);

        assert(seal->version_count > 0);
        versions = mem_try(mem, NULL, size);
        if (versions == NULL)
            return ERR_NOMEM;
        memcpy(versions, seal->versions, size);
        qsort(versions, seal->version_count, sizeof(*versions), newest_first);
        sorted.versions = versions;
    }
    if (listed > RECORD_VERSIONS_MAX)
        listed = RECORD_VERSIONS_MAX;
    do {
        err = sign(r, &sorted, key, listed, out);
        listed /= 2;
    } while (err == ERR_RECORD_SIZE && listed > 0);
    mem_free(mem, versions);
    return err;
}
