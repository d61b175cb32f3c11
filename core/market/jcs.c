/* SPDX-License-Identifier: Apache-2.0 */
#include "market/jcs.h"

#include <stdio.h>
#include <stdlib.h>

struct jcs {
    struct buf *out;
    const char *const *except; /* NULL: nothing is left out */
    bool is_loose;
};

struct member {
    const char *key;
    const json_t *value;
};

enum { MEMBERS_ON_STACK = 24 };

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

/* spec: RFC 8785 3.2.2.2 */
static enum err put_escape(struct buf *out, uint8_t c)
{
    static const char short_forms[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[7] = {'\\', (char)c, '\0'};

    if (c < 0x20 && short_forms[c] != '\0')
        text[1] = short_forms[c];
    else if (c < 0x20)
        (void)snprintf(text, sizeof(text), "\\u%04x", c);
    return buf_put_str(out, text);
}

static enum err put_string(struct buf *out, struct span s)
{
    TRY(buf_put_u8(out, '"'));
    while (s.len > 0) {
        size_t n = 0;

        while (n < s.len && s.data[n] >= 0x20 && s.data[n] != '"' &&
               s.data[n] != '\\')
            n++;
        TRY(buf_put(out, span_take(&s, n)));
        if (s.len > 0)
            TRY(put_escape(out, span_take(&s, 1).data[0]));
    }
    return buf_put_u8(out, '"');
}

/* Is |parent|/|key| on the list?  |parent| is NULL in the outermost object. */
static bool is_excepted(const struct jcs *j, const char *parent,
                        const char *key)
{
    for (const char *const *e = j->except; e != NULL && *e != NULL; e++) {
        size_t n = parent ? strlen(parent) : 0;

        if (parent == NULL && strcmp(*e, key) == 0)
            return true;
        if (parent != NULL && strncmp(*e, parent, n) == 0 && (*e)[n] == '/' &&
            strcmp(*e + n + 1, key) == 0)
            return true;
    }
    return false;
}

static enum err put_value(const struct jcs *j, const json_t *value,
                          const char *parent, unsigned depth);

static enum err put_members(const struct jcs *j, struct member *members,
                            size_t count, const char *parent, unsigned depth)
{
    bool is_first = true;

    qsort(members, count, sizeof(*members), member_cmp);
    TRY(buf_put_u8(j->out, '{'));
    for (size_t i = 0; i < count; i++) {
        if (depth < 2 && is_excepted(j, parent, members[i].key))
            continue;
        if (!is_first)
            TRY(buf_put_u8(j->out, ','));
        is_first = false;
        TRY(put_string(j->out, span_str(members[i].key)));
        TRY(buf_put_u8(j->out, ':'));
        TRY(put_value(j, members[i].value, depth == 0 ? members[i].key : NULL,
                      depth + 1));
    }
    return buf_put_u8(j->out, '}');
}

static enum err put_object(const struct jcs *j, const json_t *object,
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
    err = put_members(j, members, count, parent, depth);
    if (members != on_stack)
        mem_free(j->out->mem, members);
    return err;
}

static enum err put_array(const struct jcs *j, const json_t *array,
                          unsigned depth)
{
    TRY(buf_put_u8(j->out, '['));
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            TRY(buf_put_u8(j->out, ','));
        TRY(put_value(j, json_array_get(array, i), NULL, depth + 1));
    }
    return buf_put_u8(j->out, ']');
}

static enum err put_number(const struct jcs *j, const json_t *number)
{
    char text[40];

    if (json_is_integer(number))
        (void)snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT,
                       json_integer_value(number));
    else if (j->is_loose)
        (void)snprintf(text, sizeof(text), "%.17g", json_real_value(number));
    else
        return ERR_INVAL;
    return buf_put_str(j->out, text);
}

static enum err put_value(const struct jcs *j, const json_t *value,
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
            j->out, SPAN(json_string_value(value), json_string_length(value)));
    case JSON_INTEGER:
    case JSON_REAL:
        return put_number(j, value);
    case JSON_TRUE:
        return buf_put_str(j->out, "true");
    case JSON_FALSE:
        return buf_put_str(j->out, "false");
    case JSON_NULL:
        return buf_put_str(j->out, "null");
    }
    return ERR_INVAL;
}

enum err jcs_write(const json_t *value, struct buf *out)
{
    return put_value(&(struct jcs){.out = out}, value, NULL, 0);
}

enum err jcs_write_except(const json_t *value, const char *const *except,
                          struct buf *out)
{
    return put_value(&(struct jcs){.out = out, .except = except}, value, NULL,
                     0);
}

enum err jcs_write_loose(const json_t *value, const char *const *except,
                         struct buf *out)
{
    struct jcs j = {.out = out, .except = except, .is_loose = true};

    return put_value(&j, value, NULL, 0);
}
