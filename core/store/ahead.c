/* SPDX-License-Identifier: Apache-2.0 */
#include "store/ahead.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/internal.h"

void ahead_terms(const struct record *head, char out[AHEAD_TERMS_MAX])
{
    struct terms terms;
    size_t len = 0;

    out[0] = '\0';
    terms_of_record(head, &terms);
    for (size_t i = 0; i < terms.count; i++)
        len += (size_t)snprintf(out + len, AHEAD_TERMS_MAX - len, "%s\n",
                                terms.list[i]);
    assert(len < AHEAD_TERMS_MAX);
}

/* Who publishes first owns the namespace then; who published there before has
 * it pinned. */
static enum record_trust guess_trust(const struct store *s,
                                     const struct record *r)
{
    struct owner_facts facts = {.pinned = r->publisher};
    struct owner_verdict verdict;

    for (size_t i = 0; i < s->trust_count; i++)
        if (strcmp(s->trust[i].namespace, r->id.ns) == 0)
            facts.trusted = s->trust[i].owner;
    owner_judge(&r->id, &r->publisher, &facts, &verdict);
    return verdict.trust;
}

static enum err fill(struct ahead *a, const struct store *s,
                     const struct mem *mem)
{
    const struct record *head = &a->result.head;
    char terms[AHEAD_TERMS_MAX];

    TRY(listing_draft_make(&a->listing, head, guess_trust(s, head),
                           s->cache != NULL, mem));
    ahead_terms(head, terms);
    a->terms = strdup(terms);
    return a->terms ? OK : ERR_NOMEM;
}

static size_t size_of(const struct ahead *a)
{
    return sizeof(*a) + 2 * buf_len(&a->result.version.bytes) +
           a->listing.doc.len + buf_len(&a->listing.summary) + strlen(a->terms);
}

void ahead_make(const struct store *s, struct job *job, wall_ms wall)
{
    struct record *input = &job->in.publish;
    struct ahead *a;

    if (job->type != JOB_PUBLISH || job->ahead != NULL)
        return;
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return;
    publish_sign_ahead(input, &s->identity, wall, &a->result);
    if (a->result.has_head && fill(a, s, input->bytes.mem) == OK) {
        job->ahead = a;
        job->bytes += size_of(a);
        return;
    }
    ahead_free(a);
}

void ahead_free(struct ahead *a)
{
    if (a == NULL)
        return;
    publish_result_release(&a->result);
    listing_draft_release(&a->listing);
    free(a->terms);
    free(a);
}
