/* SPDX-License-Identifier: Apache-2.0 */
#include "market/jcs.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS_ON_STACK = 24, CHUNK = 2048 };

/* Room is asked of the buf in chunks, not byte by byte. */
struct jcs {
    struct buf *out;
    uint8_t *at, *end; /* reserved in |out| and not yet grown into */
    size_t written;    /* grown into */
    uint8_t *start;    /* of what is reserved */
    const struct jcs_options *options;
};

struct member {
    const char *key;
    const json_t *value;
};

/* UTF-8 sorts by code point.  UTF-16 differs in one thing: what is beyond
 * U+FFFF (four bytes, led by F0 and up) is written with surrogates, which come
 * before U+E000 to U+FFFF (led by EE and EF).
 *
 * spec: RFC 8785 3.2.3 */
int jcs_key_cmp(const char *a, const char *b)
{
    uint8_t x, y;

    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    x = (uint8_t)*a;
    y = (uint8_t)*b;
    if ((x >= 0xf0) != (y >= 0xf0) && x >= 0xee && y >= 0xee)
        return x >= 0xf0 ? -1 : 1;
    return (x > y) - (x < y);
}

static int member_cmp(const void *a, const void *b)
{
    const struct member *x = a, *y = b;

    return jcs_key_cmp(x->key, y->key);
}

/* Few members, mostly in order already, need no qsort(). */
static void sort(struct member *members, size_t count)
{
    if (count > MEMBERS_ON_STACK) {
        qsort(members, count, sizeof(*members), member_cmp);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct member m = members[i];
        size_t at = i;

        for (; at > 0 && member_cmp(&members[at - 1], &m) > 0; at--)
            members[at] = members[at - 1];
        members[at] = m;
    }
}

/* ---- Bytes. ---- */

static void settle(struct jcs *j)
{
    size_t n = (size_t)(j->at - j->start);

    if (n > 0)
        buf_grow(j->out, n);
    j->written += n;
    j->start = j->at;
}

static enum err more_room(struct jcs *j, size_t n)
{
    size_t chunk = n > CHUNK ? n : CHUNK;
    enum err err;

    settle(j);
    err = buf_reserve(j->out, chunk, &j->at);
    if (err == ERR_LIMIT) { /* no whole chunk is left */
        chunk = n;
        err = buf_reserve(j->out, chunk, &j->at);
    }
    TRY(err);
    j->start = j->at;
    j->end = j->at + chunk;
    return OK;
}

static enum err put(struct jcs *j, const void *bytes, size_t n)
{
    if (n == 0)
        return OK;
    if (j->at == NULL || (size_t)(j->end - j->at) < n)
        TRY(more_room(j, n));
    memcpy(j->at, bytes, n);
    j->at += n;
    return OK;
}

static enum err put_char(struct jcs *j, char c)
{
    if (j->at == j->end)
        TRY(more_room(j, 1));
    *j->at++ = (uint8_t)c;
    return OK;
}

static size_t position(const struct jcs *j)
{
    return j->written + (size_t)(j->at - j->start);
}

/* ---- Values. ---- */

/* spec: RFC 8785 3.2.2.2 */
static enum err put_escape(struct jcs *j, uint8_t c)
{
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[8] = {'\\', (char)c};

    if (c >= 0x20)
        return put(j, text, 2);
    if (short_forms[c] != '\0') {
        text[1] = short_forms[c];
        return put(j, text, 2);
    }
    (void)snprintf(text, sizeof(text), "\\u%04x", c);
    return put(j, text, 6);
}

static enum err put_string(struct jcs *j, struct span s)
{
    TRY(put_char(j, '"'));
    while (s.len > 0) {
        size_t n = 0;

        while (n < s.len && s.data[n] >= 0x20 && s.data[n] != '"' &&
               s.data[n] != '\\')
            n++;
        TRY(put(j, s.data, n));
        (void)span_take(&s, n);
        if (s.len > 0)
            TRY(put_escape(j, span_take(&s, 1).data[0]));
    }
    return put_char(j, '"');
}

/* The mark for |parent|/|key|, if one is asked for.  |parent| is NULL in the
 * outermost object. */
static struct jcs_mark *find_mark(const struct jcs *j, const char *parent,
                                  const char *key)
{
    size_t n = parent ? strlen(parent) : 0;

    for (size_t i = 0; i < j->options->mark_count; i++) {
        const char *path = j->options->marks[i].path;

        if (parent == NULL && strcmp(path, key) == 0)
            return &j->options->marks[i];
        if (parent != NULL && strncmp(path, parent, n) == 0 && path[n] == '/' &&
            strcmp(path + n + 1, key) == 0)
            return &j->options->marks[i];
    }
    return NULL;
}

static enum err put_value(struct jcs *j, const json_t *value,
                          const char *parent, unsigned depth);

static enum err put_member(struct jcs *j, const struct member *m,
                           const char *parent, unsigned depth)
{
    struct jcs_mark *mark = depth < 2 ? find_mark(j, parent, m->key) : NULL;

    if (mark != NULL)
        mark->start = position(j);
    TRY(put_string(j, span_str(m->key)));
    TRY(put_char(j, ':'));
    TRY(put_value(j, m->value, depth == 0 ? m->key : NULL, depth + 1));
    if (mark != NULL)
        mark->end = position(j);
    return OK;
}

static enum err put_members(struct jcs *j, struct member *members, size_t count,
                            const char *parent, unsigned depth)
{
    sort(members, count);
    TRY(put_char(j, '{'));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            TRY(put_char(j, ','));
        TRY(put_member(j, &members[i], parent, depth));
    }
    return put_char(j, '}');
}

static enum err put_object(struct jcs *j, const json_t *object,
                           const char *parent, unsigned depth)
{
    struct member on_stack[MEMBERS_ON_STACK], *members = on_stack;
    size_t count = json_object_size(object), i = 0;
    json_t *o = (json_t *)(uintptr_t)object; /* jansson iterates non-const */
    enum err err;

    if (count > MEMBERS_ON_STACK) {
        members = mem_try(j->out->mem, NULL, count * sizeof(*members));
        if (members == NULL)
            return ERR_NOMEM;
    }
    for (void *it = json_object_iter(o); it != NULL;
         it = json_object_iter_next(o, it))
        members[i++] = (struct member){json_object_iter_key(it),
                                       json_object_iter_value(it)};
    assert(i == count);
    err = put_members(j, members, i, parent, depth);
    if (members != on_stack)
        mem_free(j->out->mem, members);
    return err;
}

static enum err put_array(struct jcs *j, const json_t *array, unsigned depth)
{
    TRY(put_char(j, '['));
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            TRY(put_char(j, ','));
        TRY(put_value(j, json_array_get(array, i), NULL, depth + 1));
    }
    return put_char(j, ']');
}

static enum err put_number(struct jcs *j, const json_t *number)
{
    char text[40];
    int n;

    if (json_is_integer(number))
        n = snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
                     json_integer_value(number));
    else if (j->options->is_loose)
        n = snprintf(text, sizeof(text), "%.17g", json_real_value(number));
    else
        return ERR_INVAL;
    return put(j, text, (size_t)n);
}

static enum err put_value(struct jcs *j, const json_t *value,
                          const char *parent, unsigned depth)
{
    if (depth > JCS_DEPTH_MAX)
        return ERR_INVAL;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return put_object(j, value, parent, depth);
    case JSON_ARRAY:
        return put_array(j, value, depth);
    case JSON_STRING:
        return put_string(
            j, SPAN(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER:
    case JSON_REAL:
        return put_number(j, value);
    case JSON_TRUE:
        return put(j, "true", 4);
    case JSON_FALSE:
        return put(j, "false", 5);
    case JSON_NULL:
        return put(j, "null", 4);
    }
    return ERR_INVAL;
}

enum err jcs_write_with(const json_t *value, const struct jcs_options *options,
                        struct buf *out)
{
    struct jcs j = {.out = out, .options = options};

    for (size_t i = 0; i < options->mark_count; i++)
        options->marks[i].start = options->marks[i].end = 0;
    TRY(put_value(&j, value, NULL, 0));
    settle(&j);
    return OK;
}

enum err jcs_write(const json_t *value, struct buf *out)
{
    return jcs_write_with(value, &(struct jcs_options){0}, out);
}
