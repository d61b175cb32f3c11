# SPDX-License-Identifier: Apache-2.0
"""Bytes by the million.  The opener says in 8 bytes (BE) how many it sends and
in 8 more how many it wants; the other takes the first, sends the second and the
SHA-256 of what it got."""
import base64 as b64
import functools
import hashlib
import time

import trio

from libp2p.io.utils import read_exactly

PROTOCOL = "/souk/test/bulk/1.0.0"
PART = bytes(i % 251 for i in range(64 * 1024))


def base64(data):
    return b64.b64encode(data).decode()


async def send(stream, count):
    while count > 0:
        part = PART[:min(count, len(PART))]
        await stream.write(part)
        count -= len(part)


async def receive(stream, count):
    """The SHA-256 of the next `count` bytes."""
    digest = hashlib.sha256()
    while count > 0:
        part = await stream.read(min(count, len(PART)))
        if part == b"":
            raise EOFError("the stream ended early")
        digest.update(part)
        count -= len(part)
    return digest.digest()


@functools.lru_cache
def expected(count):
    """What send() sends, hashed."""
    digest = hashlib.sha256()
    while count > 0:
        digest.update(PART[:min(count, len(PART))])
        count -= len(PART)
    return digest.digest()


async def serve(stream):
    try:
        head = await read_exactly(stream, 16)
        got = await receive(stream, int.from_bytes(head[:8], "big"))
        await send(stream, int.from_bytes(head[8:], "big"))
        await stream.write(got)
        await stream.close()
    except Exception:
        await stream.reset()


async def transfer(host, peer, out, wanted):
    stream = await host.new_stream(peer, [PROTOCOL])
    begun = time.monotonic()
    await stream.write(out.to_bytes(8, "big") + wanted.to_bytes(8, "big"))
    await send(stream, out)
    got = await receive(stream, wanted)
    told = await read_exactly(stream, 32)
    seconds = time.monotonic() - begun
    await stream.close()
    return {"seconds": seconds, "received": got == expected(wanted),
            "sent": told == expected(out)}


async def many(host, peer, count, concurrent, each):
    """`count` transfers of `each` bytes both ways, so many of them at once."""
    expected(each)  # not while it is measured
    begun, turns = time.monotonic(), trio.Semaphore(concurrent)
    good, failures = [], []

    async def one():
        async with turns:
            try:
                result = await transfer(host, peer, each, each)
                good.append(result["received"] and result["sent"])
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return {"good": sum(good), "error": failures[0] if failures else None,
            "seconds": time.monotonic() - begun}
