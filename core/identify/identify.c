/* SPDX-License-Identifier: Apache-2.0 */
#include "identify/identify.h"

#include "wire/delim.h"
#include "wire/identify.pb-c.h"

/* The message with the first |addr_count| addresses; borrows everything. */
static void fill_message(const struct identify_self *self, size_t addr_count,
                         bool with_record, ProtobufCBinaryData *addrs,
                         ProtobufCBinaryData *protocols, Wire__Identify *m)
{
    wire__identify__init(m);
    m->public_key = wire_bytes(self->public_key);
    for (size_t i = 0; i < addr_count; i++)
        addrs[i] = wire_bytes(multiaddr_span(&self->addrs[i]));
    m->n_listen_addrs = addr_count;
    m->listen_addrs = addrs;
    for (size_t i = 0; i < self->protocol_count; i++)
        protocols[i] = wire_bytes(span_str(self->protocols[i]));
    m->n_protocols = self->protocol_count;
    m->protocols = protocols;
    if (self->observed != NULL)
        m->observed_addr = wire_bytes(multiaddr_span(self->observed));
    m->protocol_version = wire_bytes(span_str(self->protocol_version));
    m->agent_version = wire_bytes(span_str(self->agent_version));
    if (with_record)
        m->signed_peer_record = wire_bytes(self->signed_record);
}

/* spec: identify/README.md#the-identify-message
 *   rust reads one message of at most 4,096 bytes, so all goes into one */
enum err identify_encode(const struct identify_self *self,
                         const struct mem *mem, struct buf *out)
{
    ProtobufCBinaryData addrs[IDENTIFY_ADDRS_MAX];
    ProtobufCBinaryData protocols[IDENTIFY_PROTOCOLS_MAX];
    size_t most = self->addr_count < IDENTIFY_ADDRS_MAX ? self->addr_count
                                                        : IDENTIFY_ADDRS_MAX;
    size_t n = most;
    bool with_record = self->signed_record.len > 0;
    Wire__Identify m;

    (void)mem;
    assert(self->protocol_count <= IDENTIFY_PROTOCOLS_MAX);
    for (;;) {
        fill_message(self, n, with_record, addrs, protocols, &m);
        if (wire__identify__get_packed_size(&m) <= IDENTIFY_SENT_MAX)
            return wire_put_delim(out, &m.base);
        if (n > (with_record ? 1u : 0u)) {
            n--;
        } else if (with_record) {
            with_record = false;
            n = most;
        } else {
            return ERR_LIMIT;
        }
    }
}

bool identify_has_protocol(const struct identify_info *info, const char *id)
{
    for (size_t i = 0; i < info->protocol_count; i++)
        if (span_eq(info->protocols[i], span_str(id)))
            return true;
    return false;
}
