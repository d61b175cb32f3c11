/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "wire/arena.h"

static bool has_field_zero(const ProtobufCMessage *m);

static bool in_field(const ProtobufCMessage *m,
                     const ProtobufCFieldDescriptor *f)
{
    const char *at = (const char *)m + f->offset;
    const ProtobufCMessage *const *list, *one;
    size_t count;

    if (f->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        memcpy(&one, at, sizeof(one));
        return one != NULL && has_field_zero(one);
    }
    memcpy(&count, (const char *)m + f->quantifier_offset, sizeof(count));
    memcpy(&list, at, sizeof(list));
    for (size_t i = 0; i < count; i++)
        if (has_field_zero(list[i]))
            return true;
    return false;
}

/* As deep as the types are nested: none contains itself. */
static bool has_field_zero(const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->n_unknown_fields; i++)
        if (m->unknown_fields[i].tag == 0)
            return true;
    for (unsigned i = 0; i < m->descriptor->n_fields; i++)
        if (in_field(m, &m->descriptor->fields[i]))
            return true;
    return false;
}

void *wire_unpack(const ProtobufCMessageDescriptor *type, struct arena *a,
                  struct span bytes)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(type, arena_allocator(a),
                                                    bytes.len, bytes.data);

    return m != NULL && !has_field_zero(m) ? m : NULL;
}
