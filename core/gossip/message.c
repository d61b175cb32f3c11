/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "crypto/hash.h"
#include "gossip/state.h"
#include "multi/uvarint.h"

/* A message is written once, behind room for what is later put in front:
 *
 *    signing   "libp2p-pubsub:" │ from data seqno topic │
 *    sending     len(rpc) 12 len │ from data seqno topic │ signature key
 *
 * so the signed bytes and the sent bytes are the same ones, in place. */
#define SIGN_PREFIX "libp2p-pubsub:"
enum {
    FRONT = sizeof(SIGN_PREFIX) - 1,
    ID_SHA256_LEN = 20,
    TAG_FROM = 0x0a,
    TAG_DATA = 0x12,
    TAG_SEQNO = 0x1a,
    TAG_TOPIC = 0x22,
    TAG_SIGNATURE = 0x2a,
    TAG_KEY = 0x32,
    TAG_PUBLISH = 0x12,
};

void message_id(const struct gossip *g, const struct peer_id *author,
                struct span seqno, struct span data, struct msg_id *out)
{
    uint8_t digest[SHA256_LEN];
    char text[PEER_ID_TEXT_MAX];
    uint64_t n = 0;

    *out = (struct msg_id){0};
    if (g->config.id_function == GOSSIP_ID_SHA256) {
        sha256(data, digest);
        out->len = ID_SHA256_LEN;
        memcpy(out->bytes, digest, ID_SHA256_LEN);
        return;
    }
    for (size_t i = 0; i < seqno.len; i++)
        n = n << 8 | seqno.data[i];
    out->len = (uint8_t)snprintf((char *)out->bytes, sizeof(out->bytes),
                                 "%s%" PRIu64, peer_id_format(author, text), n);
    assert(out->len < sizeof(out->bytes));
}

static size_t field_len(struct span value)
{
    return 1 + uvarint_len(value.len) + value.len;
}

/* Returns where the value starts. */
static size_t put_field(uint8_t *to, size_t *at, uint8_t tag, struct span value)
{
    size_t start;

    to[(*at)++] = tag;
    *at += uvarint_encode(value.len, to + *at);
    start = *at;
    if (value.len > 0)
        memcpy(to + start, value.data, value.len);
    *at += value.len;
    return start;
}

/* Fields 1 to 4 and the prefix; |*at| is behind them. */
static struct blob *start_message(struct gossip *g, const struct fields *f,
                                  size_t signature_len, size_t *at,
                                  uint32_t *data_at)
{
    size_t room = FRONT + field_len(f->from) + field_len(f->seqno) +
                  field_len(f->topic) + field_len(f->data) +
                  field_len(SPAN(NULL, signature_len)) + field_len(f->key);
    struct blob *b = blob_new(room, g->mem);

    if (b == NULL)
        return NULL;
    memcpy(b->bytes, SIGN_PREFIX, FRONT);
    *at = FRONT;
    (void)put_field(b->bytes, at, TAG_FROM, f->from);
    *data_at = (uint32_t)*at;
    if (f->has_data)
        *data_at = (uint32_t)put_field(b->bytes, at, TAG_DATA, f->data);
    (void)put_field(b->bytes, at, TAG_SEQNO, f->seqno);
    (void)put_field(b->bytes, at, TAG_TOPIC, f->topic);
    return b;
}

/* Fields 5 and 6, then the lengths over the prefix. */
static void finish_message(struct blob *b, const struct fields *f, size_t at)
{
    uint8_t front[FRONT];
    size_t n = 0, message_len;

    (void)put_field(b->bytes, &at, TAG_SIGNATURE, f->signature);
    if (f->key.len > 0)
        (void)put_field(b->bytes, &at, TAG_KEY, f->key);
    assert(at <= b->end);
    b->end = (uint32_t)at;

    message_len = at - FRONT;
    front[n++] = TAG_PUBLISH;
    n += uvarint_encode(message_len, front + n);
    b->rpc_at = (uint32_t)(FRONT - n);
    memcpy(b->bytes + b->rpc_at, front, n);
    n = uvarint_encode(blob_rpc_len(b), front);
    assert(n <= b->rpc_at);
    b->frame_at = b->rpc_at - (uint32_t)n;
    memcpy(b->bytes + b->frame_at, front, n);
}

/* spec: pubsub/README.md#message-signing
 *   key must be there when it is not inlined in the id, and must match from */
static enum err author_key(const struct fields *f, const struct peer_id *author,
                           struct pubkey *out)
{
    struct peer_id id;

    if (f->key.len == 0)
        return peer_id_pubkey(author, out);
    TRY(pubkey_decode(out, f->key));
    peer_id_from_pubkey(&id, out);
    return peer_id_eq(&id, author) ? OK : ERR_BAD_SIGNATURE;
}

enum err message_verify(struct gossip *g, const struct fields *f,
                        const struct peer_id *author, struct blob **out,
                        uint32_t *data_at)
{
    struct pubkey key;
    struct blob *b;
    size_t at;

    if (author_key(f, author, &key) != OK || f->signature.len > SIGNATURE_MAX)
        return ERR_BAD_SIGNATURE;
    b = start_message(g, f, f->signature.len, &at, data_at);
    if (b == NULL)
        return ERR_NOMEM;
    if (!pubkey_verify(&key, SPAN(b->bytes, at), f->signature)) {
        blob_unref(b, g->mem);
        return ERR_BAD_SIGNATURE;
    }
    finish_message(b, f, at);
    *out = b;
    return OK;
}

enum err message_sign(struct gossip *g, struct fields *f, struct blob **out,
                      uint32_t *data_at)
{
    uint8_t signature[ED25519_SIG_LEN];
    struct blob *b;
    size_t at;

    b = start_message(g, f, sizeof(signature), &at, data_at);
    if (b == NULL)
        return ERR_NOMEM;
    ed25519_sign(g->config.identity, SPAN(b->bytes, at), signature);
    f->signature = SPAN_OF(signature);
    finish_message(b, f, at);
    f->signature = SPAN_NONE;
    *out = b;
    return OK;
}
