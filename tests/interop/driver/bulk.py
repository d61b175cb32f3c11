# SPDX-License-Identifier: Apache-2.0
"""Bytes by the gigabyte and streams by the thousand, between the libraries and
souk's connection (tests/interop/bulk_peer.c is that without a node)."""
import contextlib
import json
import os
import subprocess

from driver.stranger import Stranger
from support.souk import BINARY, figure

BULK_PEER = os.path.join(os.path.dirname(BINARY), "bulk_peer")
# SOUK_INTEROP_BYTES=1000000000 for the whole of it.
SIZE = int(os.environ.get("SOUK_INTEROP_BYTES", 64_000_000))
STREAMS, AT_ONCE = 1000, 400


def call(*arguments):
    done = subprocess.run([BULK_PEER, *map(str, arguments)],
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def dial(*arguments):
    return call("dial", *arguments)


@contextlib.contextmanager
def listening():
    with subprocess.Popen([BULK_PEER, "listen"], text=True,
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as peer:
        yield {**json.loads(peer.stdout.readline()), "pid": peer.pid}
        peer.stdin.close()


def rate(count, seconds):
    return f"{count / 1e6 / seconds:.0f} MB/s"


def bulk_over_one_stream(kind):
    """Both ways, opened by souk, then by them."""
    size = SIZE // kind.slower
    with Stranger(kind.name) as peer:
        ours = dial(peer.address, size, size)
        assert ours["early_muxer"] == ("early" in kind.can), ours
        with listening() as souk:
            peer.do("dial", address=souk["listen"])
            theirs = peer.do("bulk", 600, peer=souk["peer"], send=size,
                             receive=size)
        assert theirs["received"] and theirs["sent"], theirs
    figure(f"{kind.name}: {size / 1e6:.0f} MB each way on one stream, "
           f"opened by souk {rate(2 * size, ours['seconds'])}, "
           f"by them {rate(2 * size, theirs['seconds'])}")


def a_thousand_streams(kind):
    """On one connection, 400 at once, each both ways; both as opener."""
    with Stranger(kind.name) as peer:
        ours = dial(peer.address, 5000, 5000, STREAMS, AT_ONCE)
        assert ours["good"] == STREAMS, ours
        with listening() as souk:
            peer.do("dial", address=souk["listen"])
            theirs = peer.do("streams", 300, peer=souk["peer"], count=STREAMS,
                             concurrent=AT_ONCE, bytes=5000)
        assert theirs["good"] == STREAMS, theirs
    figure(f"{kind.name}: {STREAMS} streams, {AT_ONCE} at once, opened by "
           f"souk {ours['seconds']:.2f} s, by them {theirs['seconds']:.2f} s")


CASES = [bulk_over_one_stream, a_thousand_streams]
