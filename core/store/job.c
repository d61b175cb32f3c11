/* SPDX-License-Identifier: Apache-2.0 */
#include "store/job.h"

#include <stddef.h>
#include <stdlib.h>

#include "store/ahead.h"

/* With |size| bytes for the input of that type.  Not inlined: the compiler
 * would hold the whole union against it. */
__attribute__((noinline)) static struct job *job_new(enum job_type type,
                                                     size_t size)
{
    size_t whole = offsetof(struct job, in) + size;
    struct job *job = calloc(1, whole);

    if (job == NULL)
        return NULL;
    job->type = type;
    job->bytes = whole;
    return job;
}
#define SIZE_OF(member) sizeof(((struct job *)0)->in.member)

/* A copy of |s| that the job owns. */
static bool copy_span(struct job *job, struct span s, struct span *out)
{
    uint8_t *copy = mem_try(&mem_libc, NULL, s.len ? s.len : 1);

    *out = SPAN(copy, copy ? s.len : 0);
    if (copy == NULL)
        return false;
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    job->bytes += s.len;
    return true;
}

static bool copy_text(struct job *job, const char *text, char **out)
{
    *out = text ? strdup(text) : NULL;
    job->bytes += text ? strlen(text) : 0;
    return text == NULL || *out != NULL;
}

static struct job *unless(bool failed, struct job *job)
{
    if (!failed)
        return job;
    job_free(job);
    return NULL;
}

struct job *job_publish(struct record *record)
{
    struct job *job = job_new(JOB_PUBLISH, SIZE_OF(publish));

    if (job == NULL)
        return NULL;
    job->in.publish = *record;
    job->bytes += 4 * buf_len(&record->bytes); /* it is parsed, too */
    *record = (struct record){0};
    return job;
}

struct job *job_yank(const struct package_id *id, const struct semver *version,
                     const char *reason, const char *use_instead)
{
    struct job *job = job_new(JOB_YANK, SIZE_OF(yank));

    if (job == NULL)
        return NULL;
    job->in.yank.id = *id;
    job->in.yank.version = *version;
    return unless(!copy_text(job, reason, &job->in.yank.reason) ||
                      !copy_text(job, use_instead, &job->in.yank.use_instead),
                  job);
}

struct job *job_unyank(const struct package_id *id,
                       const struct semver *version)
{
    struct job *job = job_yank(id, version, NULL, NULL);

    if (job != NULL)
        job->type = JOB_UNYANK;
    return job;
}

struct job *job_pin(const struct package_id *id, const struct peer_id *owner)
{
    struct job *job = job_new(JOB_PIN, SIZE_OF(pin));

    if (job == NULL)
        return NULL;
    job->in.pin.id = *id;
    job->in.pin.owner = *owner;
    return job;
}

struct job *job_flush(void)
{
    return job_new(JOB_FLUSH, 0);
}

struct job *job_accept(struct span bytes, const struct peer_id *from,
                       enum accept_source source, double reputation, bool pin)
{
    struct job *job = job_new(JOB_ACCEPT, SIZE_OF(accept));

    if (job == NULL)
        return NULL;
    job->in.accept.from = *from;
    job->in.accept.source = source;
    job->in.accept.reputation = reputation;
    job->in.accept.pin = pin;
    return unless(!copy_span(job, bytes, &job->in.accept.bytes), job);
}

struct job *job_outbox_done(int64_t id)
{
    struct job *job = job_new(JOB_OUTBOX_DONE, SIZE_OF(outbox_id));

    if (job != NULL)
        job->in.outbox_id = id;
    return job;
}

struct job *job_save_record(const struct saved_record *r)
{
    struct job *job = job_new(JOB_SAVE_RECORD, SIZE_OF(record));

    if (job == NULL)
        return NULL;
    job->in.record = *r;
    job->in.record.key = job->in.record.value = SPAN_NONE;
    return unless(!copy_span(job, r->key, &job->in.record.key) ||
                      !copy_span(job, r->value, &job->in.record.value),
                  job);
}

struct job *job_forget_record(struct span key, const struct peer_id *publisher)
{
    struct saved_record r = {.key = key, .publisher = *publisher};
    struct job *job = job_save_record(&r);

    if (job != NULL)
        job->type = JOB_FORGET_RECORD;
    return job;
}

struct job *job_save_provider(const struct saved_provider *p)
{
    size_t size = offsetof(struct saved_provider, addrs) +
                  p->addr_count * sizeof(p->addrs[0]);
    struct job *job = job_new(JOB_SAVE_PROVIDER, size);

    if (job == NULL)
        return NULL;
    memcpy(&job->in.provider, p, size);
    job->in.provider.key = SPAN_NONE;
    return unless(!copy_span(job, p->key, &job->in.provider.key), job);
}

struct job *job_forget_provider(struct span key, const struct peer_id *provider)
{
    struct job *job =
        job_new(JOB_FORGET_PROVIDER, offsetof(struct saved_provider, addrs));

    if (job == NULL)
        return NULL;
    job->in.provider.provider = *provider;
    return unless(!copy_span(job, key, &job->in.provider.key), job);
}

struct job *job_save_peer(const struct saved_peer *p)
{
    size_t size = offsetof(struct saved_peer, addrs) +
                  p->addr_count * sizeof(p->addrs[0]);
    struct job *job = job_new(JOB_SAVE_PEER, size);

    if (job != NULL)
        memcpy(&job->in.peer, p, size);
    return job;
}

struct job *job_forget_peer(const struct peer_id *id)
{
    struct job *job = job_new(JOB_FORGET_PEER, SIZE_OF(peer.reputation));

    if (job != NULL)
        job->in.peer.reputation.peer = *id;
    return job;
}

struct job *job_setting(const char *name, struct span value)
{
    struct job *job = job_new(JOB_SETTING, SIZE_OF(setting));
    size_t len = strlen(name);

    if (job == NULL)
        return NULL;
    assert(len < sizeof(job->in.setting.name));
    memcpy(job->in.setting.name, name, len + 1);
    return unless(!copy_span(job, value, &job->in.setting.value), job);
}

static void free_span(struct span s)
{
    mem_free(&mem_libc, (void *)(uintptr_t)s.data);
}

static void release_input(struct job *job)
{
    switch (job->type) {
    case JOB_PUBLISH:
        record_release(&job->in.publish);
        break;
    case JOB_YANK:
    case JOB_UNYANK:
        free(job->in.yank.reason);
        free(job->in.yank.use_instead);
        break;
    case JOB_ACCEPT:
        free_span(job->in.accept.bytes);
        break;
    case JOB_SAVE_RECORD:
    case JOB_FORGET_RECORD:
        free_span(job->in.record.key);
        free_span(job->in.record.value);
        break;
    case JOB_SAVE_PROVIDER:
    case JOB_FORGET_PROVIDER:
        free_span(job->in.provider.key);
        break;
    case JOB_SETTING:
        free_span(job->in.setting.value);
        break;
    case JOB_PIN:
    case JOB_FLUSH:
    case JOB_OUTBOX_DONE:
    case JOB_SAVE_PEER:
    case JOB_FORGET_PEER:
        break;
    }
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    release_input(job);
    ahead_free(job->ahead);
    free(job->out.record);
    free(job->out.problems);
    free(job);
}

bool job_is_urgent(const struct job *job)
{
    return job->type <= JOB_FLUSH || job->done != NULL;
}
