/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/notes.h"

#include "base/map.h"

struct note {
    struct trace_context context; /* its state, and the name, follow */
    size_t state_len, name_len;
    char text[];
};

void notes_init(struct notes *n, const struct mem *mem)
{
    memset(n, 0, sizeof(*n));
    n->mem = mem;
    (void)pthread_mutex_init(&n->lock, NULL);
}

void notes_release(struct notes *n)
{
    for (size_t i = 0; i < NOTES_MAX; i++)
        mem_free(n->mem, n->at[i]);
    (void)pthread_mutex_destroy(&n->lock);
}

static size_t place_of(struct span name)
{
    return (size_t)(map_hash(name.data, name.len) % NOTES_MAX);
}

void notes_put(struct notes *n, struct span name, const struct trace_context *c)
{
    size_t state_len = c->state ? strlen(c->state) : 0;
    struct note *note, *old;

    if (name.len == 0 || name.len > NOTE_NAME_MAX ||
        state_len > TRACE_STATE_MAX)
        return;
    note = mem_try(n->mem, NULL, sizeof(*note) + state_len + name.len);
    if (note == NULL)
        return;
    note->context = *c;
    note->context.state = NULL;
    note->state_len = state_len;
    note->name_len = name.len;
    if (state_len > 0)
        memcpy(note->text, c->state, state_len);
    memcpy(note->text + state_len, name.data, name.len);
    pthread_mutex_lock(&n->lock);
    old = n->at[place_of(name)];
    n->at[place_of(name)] = note;
    pthread_mutex_unlock(&n->lock);
    mem_free(n->mem, old);
}

static bool is_of(const struct note *note, struct span name)
{
    return note != NULL &&
           span_eq(SPAN(note->text + note->state_len, note->name_len), name);
}

bool notes_get(struct notes *n, struct span name, struct trace_context *out,
               char text[TRACE_STATE_MAX + 1])
{
    const struct note *note;
    bool is_there;

    if (name.len == 0 || name.len > NOTE_NAME_MAX)
        return false;
    pthread_mutex_lock(&n->lock);
    note = n->at[place_of(name)];
    is_there = is_of(note, name);
    if (is_there) {
        *out = note->context;
        memcpy(text, note->text, note->state_len);
        text[note->state_len] = '\0';
        out->state = note->state_len > 0 ? text : NULL;
    }
    pthread_mutex_unlock(&n->lock);
    return is_there;
}
