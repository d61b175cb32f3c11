# SPDX-License-Identifier: Apache-2.0
"""Messages written by hand: protobuf, just enough of it."""
B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def varint(n):
    out = b""
    while n >= 128:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    """A field: int, bytes or text."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    return b"".join(field(number, value) for number, value in fields)


def framed(data):
    return varint(len(data)) + data


def unframed(data):
    """The first framed message, and the rest."""
    length = shift = at = 0
    while True:
        byte = data[at]
        length, shift, at = length | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return data[at:at + length], data[at + length:]


def fields(data):
    """(number, value) of each field, values as int or bytes."""
    def number():
        nonlocal data
        value = shift = 0
        while True:
            byte, data = data[0], data[1:]
            value, shift = value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while data:
        tag = number()
        if tag & 7 == 0:
            yield tag >> 3, number()
        else:
            length = number()
            yield tag >> 3, data[:length]
            data = data[length:]


def peer_bytes(text):
    """The bytes of a peer id in base58."""
    n = 0
    for character in text:
        n = n * 58 + B58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + n.to_bytes((n.bit_length() + 7) // 8, "big")


# ---- Kademlia. ----

PUT_VALUE, GET_VALUE, ADD_PROVIDER, GET_PROVIDERS, FIND_NODE, KAD_PING = \
    range(6)


def kad(kind, key, *more):
    return framed(message((1, kind), (2, key), *more))


def kad_put(key, value, record_key=None):
    record = message((1, key if record_key is None else record_key),
                     (2, value))
    return kad(PUT_VALUE, key, (3, record))


# ---- Gossip. ----

def gossip_message(author, data, topic, seqno, signature=None):
    """An RPC with one message; without a signature when None."""
    parts = [(1, author), (2, data), (3, seqno.to_bytes(8, "big")),
             (4, topic)]
    if signature is not None:
        parts.append((5, signature))
    return framed(message((2, message(*parts))))


def gossip_subscription(topic, wanted=True):
    return framed(message((1, message((1, int(wanted)), (2, topic)))))
