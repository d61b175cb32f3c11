# SPDX-License-Identifier: Apache-2.0
"""Peer ids as text: nobody's, and the namespace that belongs to one."""
import os

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
ED25519_INLINE = bytes.fromhex("002408011220")


def encode(alphabet, data):
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        text = alphabet[digit] + text
    zeros = len(data) - len(data.lstrip(b"\0"))
    return alphabet[0] * zeros + text


def decode(alphabet, text, length):
    number = 0
    for letter in text:
        number = number * len(alphabet) + alphabet.index(letter)
    return number.to_bytes(length, "big")


def stranger():
    """The id of an Ed25519 key that nobody has."""
    return encode(BASE58, ED25519_INLINE + os.urandom(32))


def cid(peer):
    """The peer id as a CID in base36."""
    multihash = decode(BASE58, peer, len(ED25519_INLINE) + 32)
    return "k" + encode(BASE36, b"\x01\x72" + multihash)
