/* SPDX-License-Identifier: Apache-2.0 */
#include "kad/addrs.h"

enum { LENGTH_BYTES = 2 };

bool kad_addr_next(struct span *addrs, struct multiaddr *out)
{
    struct span in = *addrs, bytes;
    uint16_t len;

    if (!span_u16(&in, &len) || len > MULTIADDR_MAX ||
        !span_bytes(&in, len, &bytes))
        return false;
    *out = (struct multiaddr){.len = len};
    memcpy(out->bytes, bytes.data, bytes.len);
    *addrs = in;
    return true;
}

void addrs_release(struct addrs *a, const struct mem *mem)
{
    mem_free(mem, a->bytes);
    *a = (struct addrs){0};
}

static bool addrs_has(const struct addrs *a, const struct multiaddr *m)
{
    struct span rest = addrs_span(a);
    struct multiaddr have;

    while (kad_addr_next(&rest, &have))
        if (multiaddr_eq(&have, m))
            return true;
    return false;
}

enum err addrs_add(struct addrs *a, const struct multiaddr *m,
                   const struct mem *mem)
{
    size_t need = LENGTH_BYTES + (size_t)m->len;
    uint8_t *bytes;

    if (a->count == KAD_ADDRS_MAX || a->len + need > KAD_ADDRS_BYTES_MAX ||
        addrs_has(a, m))
        return OK;
    bytes = mem_try(mem, a->bytes, a->len + need);
    if (bytes == NULL)
        return ERR_NOMEM;
    bytes[a->len] = (uint8_t)(m->len >> 8);
    bytes[a->len + 1] = (uint8_t)m->len;
    memcpy(bytes + a->len + LENGTH_BYTES, m->bytes, m->len);
    a->bytes = bytes;
    a->len = (uint16_t)(a->len + need);
    a->count++;
    return OK;
}

enum err addrs_add_packed(struct addrs *a, struct span packed,
                          const struct mem *mem)
{
    struct multiaddr m;

    while (kad_addr_next(&packed, &m))
        TRY(addrs_add(a, &m, mem));
    return OK;
}

enum err addrs_set(struct addrs *a, const struct multiaddr *list, size_t count,
                   const struct mem *mem)
{
    struct addrs fresh = {0};

    for (size_t i = 0; i < count; i++)
        if (addrs_add(&fresh, &list[i], mem) != OK) {
            addrs_release(&fresh, mem);
            return ERR_NOMEM;
        }
    addrs_release(a, mem);
    *a = fresh;
    return OK;
}

bool addr_may_be_told(const struct multiaddr *m, bool is_private_network)
{
    switch (multiaddr_scope(m)) {
    case MULTIADDR_NAMED:
    case MULTIADDR_GLOBAL:
        return true;
    case MULTIADDR_LOOPBACK:
    case MULTIADDR_PRIVATE:
        return is_private_network;
    case MULTIADDR_UNREACHABLE:
        return false;
    }
    return false;
}

bool addr_from_wire(struct multiaddr *out, struct span bytes,
                    const struct peer_id *peer, bool is_private_network)
{
    struct peer_id named;

    if (multiaddr_decode(out, bytes) != OK)
        return false;
    /* spec: kad-dht/README.md#rpc-messages
     *   addresses come without the peer's own id; some send it all the same */
    if (multiaddr_peer(out, &named)) {
        if (!peer_id_eq(&named, peer))
            return false;
        multiaddr_strip_peer(out);
    }
    return out->len > 0 && addr_may_be_told(out, is_private_network);
}
