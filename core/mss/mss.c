/* SPDX-License-Identifier: Apache-2.0 */
#include "mss/mss.h"

#define HEADER SPAN_LIT("/multistream/1.0.0")
#define REFUSAL SPAN_LIT("na")
#define LIST SPAN_LIT("ls")

/* Append uvarint(length) ‖ text ‖ newline. */
static enum err put_message(struct buf *out, struct span text)
{
    assert(text.len < MSS_MESSAGE_MAX);
    TRY(uvarint_put(out, text.len + 1));
    TRY(buf_put(out, text));
    return buf_put_u8(out, '\n');
}

static enum err start(struct mss *m, const struct mem *mem)
{
    enum err err;

    buf_init(&m->in, MSS_MESSAGE_MAX, mem);
    buf_init(&m->out, MSS_OUT_MAX, mem);
    err = put_message(&m->out, HEADER);
    if (err == OK && m->is_dialer)
        err = put_message(&m->out, span_str(m->proposals[0]));
    if (err != OK)
        mss_release(m);
    return err;
}

enum err mss_dial(struct mss *m, const char *const names[], size_t count,
                  tstamp deadline, const struct mem *mem)
{
    assert(count >= 1 && count <= MSS_PROPOSALS_MAX);
    *m = (struct mss){.count = count, .is_dialer = true, .deadline = deadline};
    for (size_t i = 0; i < count; i++)
        m->proposals[i] = names[i];
    return start(m, mem);
}

enum err mss_listen(struct mss *m, const char *const names[], size_t count,
                    tstamp deadline, const struct mem *mem)
{
    *m = (struct mss){.names = names, .count = count, .deadline = deadline};
    return start(m, mem);
}

void mss_release(struct mss *m)
{
    buf_release(&m->in);
    buf_release(&m->out);
}

/* The text of the next message, without its newline.  It lies in |in|, or in
 * m->in when it was cut; either way it holds until the next call. */
static enum err take_message(struct mss *m, struct span *in, struct span *text,
                             bool *whole)
{
    *whole = false;
    if (m->need == 0) {
        bool known;

        TRY(uvarint_recv(&m->length, in, &known));
        if (!known)
            return OK;
        if (m->length.value > MSS_MESSAGE_MAX)
            return ERR_FRAME_SIZE;
        if (m->length.value == 0)
            return ERR_PROTO;
        m->need = (size_t)m->length.value;
        buf_clear(&m->in);
    }
    if (buf_len(&m->in) == 0 && in->len >= m->need) {
        *text = span_take(in, m->need);
    } else {
        TRY(buf_put(&m->in, span_take(in, m->need - buf_len(&m->in))));
        if (buf_len(&m->in) < m->need)
            return OK;
        *text = buf_span(&m->in);
    }
    assert(text->data != NULL && text->len == m->need);
    m->need = 0;
    *whole = true;
    if (text->data[text->len - 1] != '\n')
        return ERR_PROTO;
    text->len--;
    return OK;
}

static enum err dialer_took(struct mss *m, struct span text)
{
    if (span_eq(text, span_str(m->proposals[m->proposed]))) {
        m->agreed = true;
        return OK;
    }
    if (!span_eq(text, REFUSAL))
        return ERR_PROTO;
    if (mss_is_last_proposal(m))
        return ERR_NO_PROTOCOL;
    m->proposed++;
    return put_message(&m->out, span_str(m->proposals[m->proposed]));
}

/* One message that holds our names as messages, and a newline. */
static enum err put_list(struct mss *m)
{
    size_t len = 1;

    for (size_t i = 0; i < m->count; i++) {
        size_t name = strlen(m->names[i]) + 1;

        len += uvarint_len(name) + name;
    }
    TRY(uvarint_put(&m->out, len));
    for (size_t i = 0; i < m->count; i++)
        TRY(put_message(&m->out, span_str(m->names[i])));
    return buf_put_u8(&m->out, '\n');
}

static enum err listener_took(struct mss *m, struct span text)
{
    for (size_t i = 0; i < m->count; i++) {
        if (!span_eq(text, span_str(m->names[i])))
            continue;
        m->proposed = i;
        m->agreed = true;
        return put_message(&m->out, text);
    }
    if (++m->refusals > MSS_REFUSALS_MAX)
        return ERR_LIMIT;
    return span_eq(text, LIST) ? put_list(m) : put_message(&m->out, REFUSAL);
}

enum err mss_recv(struct mss *m, struct span *in, struct mss_event *ev)
{
    struct span text;
    bool whole;

    *ev = (struct mss_event){.type = MSS_EV_NONE};
    while (!m->agreed) {
        TRY(take_message(m, in, &text, &whole));
        if (!whole)
            return OK;
        if (!m->header_seen) {
            if (!span_eq(text, HEADER))
                return ERR_PROTO;
            m->header_seen = true;
        } else if (m->is_dialer) {
            TRY(dialer_took(m, text));
        } else {
            TRY(listener_took(m, text));
        }
        if (m->agreed)
            *ev = (struct mss_event){MSS_EV_AGREED, m->proposed};
    }
    return OK;
}

struct span mss_out(const struct mss *m)
{
    return buf_span(&m->out);
}

void mss_sent(struct mss *m, size_t n)
{
    buf_drain(&m->out, n);
}

bool mss_is_last_proposal(const struct mss *m)
{
    return m->is_dialer && m->proposed + 1 == m->count;
}

tstamp mss_deadline(const struct mss *m)
{
    return m->agreed ? TSTAMP_NEVER : m->deadline;
}

enum err mss_tick(const struct mss *m, tstamp now)
{
    return now < mss_deadline(m) ? OK : ERR_TIMEOUT;
}
